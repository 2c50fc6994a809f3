#include "content.h"

#include "clock.h"
#include "store/verify.h"

#include <sqlite3.h>

#include <inttypes.h>
#include <string.h>

struct query {
    const char *title, *text;
};

/* Tables of which no row depends on how the records were cut into batches. */
static const struct query always[] = {
    {"ow_machine",     "SELECT name, version, hex(digest) FROM ow_machine ORDER BY 1, 2"},
    {"ow_history_row", "SELECT * FROM ow_history ORDER BY seq"                          },
    {"ow_ledger",      "SELECT * FROM ow_ledger ORDER BY 1, 2, 3, 4"                    },
    {"ow_parked",      "SELECT * FROM ow_parked ORDER BY id"                            },
    {"ow_quarantine",  "SELECT * FROM ow_quarantine ORDER BY id"                        },
    {"ow_sighting",    "SELECT * FROM ow_sighting ORDER BY rowid"                       },
    {"ow_audit",       "SELECT * FROM ow_audit ORDER BY id"                             },
    {"orders",         "SELECT * FROM orders ORDER BY 1"                                },
    {"payments",       "SELECT * FROM payments ORDER BY 1"                              },
    {"refunds",        "SELECT * FROM refunds ORDER BY 1"                               },
};
static const struct query exact[] = {
    {"ow_position", "SELECT * FROM ow_position ORDER BY 1, 2, 3"},
    {"ow_meta",     "SELECT * FROM ow_meta ORDER BY 1"          },
    {"ow_bucket",   "SELECT * FROM ow_bucket ORDER BY 1"        },
    {"ow_claims",   "SELECT * FROM ow_claims ORDER BY 1, 2"     },
    {"ow_filter",   "SELECT * FROM ow_filter ORDER BY id, chunk"},
    {"ow_text",     "SELECT * FROM ow_text ORDER BY 1"          },
};
static const struct query settled[] = {
    {"ow_position",
     "SELECT topic, partition, incarnation, next_offset, high_offset, anchor, applied, duplicate,"
     " stale, parked, quarantined, filtered, reread FROM ow_position ORDER BY 1, 2, 3"                    },
    {"ow_claims",   "SELECT key, fingerprint, ref FROM ow_claims ORDER BY ref"                            },
    {"ow_meta",     "SELECT * FROM ow_meta WHERE key IN ('store_id', 'next_ref', 'schema_version',"
                " 'created_at_ms', 'hash_key') OR key LIKE 'fingerprint_rule.%' ORDER BY 1"},
};

/* Most of what is read is claims, so this is most of the time. */
static void put_blob(const uint8_t *bytes, int len, struct ow_buffer *out)
{
    for (int i = 0; i < len; i++) {
        const char pair[2] = {"0123456789abcdef"[bytes[i] >> 4], "0123456789abcdef"[bytes[i] & 15]};
        ow_buffer_append(out, pair, sizeof(pair));
    }
}

static void put_cell(sqlite3_stmt *statement, int column, struct ow_buffer *out)
{
    ow_buffer_byte(out, ' ');
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL:
        ow_buffer_byte(out, '-');
        break;
    case SQLITE_INTEGER:
        ow_buffer_printf(out, "%" PRId64, (int64_t)sqlite3_column_int64(statement, column));
        break;
    case SQLITE_TEXT:
        ow_buffer_byte(out, '\'');
        ow_buffer_append(out, sqlite3_column_text(statement, column),
                         (size_t)sqlite3_column_bytes(statement, column));
        break;
    default:
        put_blob(sqlite3_column_blob(statement, column), sqlite3_column_bytes(statement, column),
                 out);
        break;
    }
}

static bool put_query(sqlite3 *handle, const struct query *query, struct ow_buffer *out)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(handle, query->text, -1, &statement, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        ow_buffer_text(out, query->title);
        for (int column = 0; column < sqlite3_column_count(statement); column++) {
            put_cell(statement, column, out);
        }
        ow_buffer_byte(out, '\n');
        code = SQLITE_OK;
    }
    (void)sqlite3_finalize(statement);
    if (code != SQLITE_DONE) {
        ow_buffer_clear(out);
        ow_buffer_printf(out, "%s: %s", query->title, sqlite3_errmsg(handle));
    }
    return code == SQLITE_DONE;
}

static bool put_queries(sqlite3 *handle, const struct query *list, size_t count,
                        struct ow_buffer *out)
{
    bool good = true;
    for (size_t i = 0; good && i < count; i++) {
        good = put_query(handle, &list[i], out);
    }
    return good;
}

/* Whether the store's own first transaction is there: its tables, and those of the machines. */
static int has_store(sqlite3 *handle, bool *ret_has)
{
    static const char text[] = "SELECT count(*) FROM sqlite_schema WHERE name IN ('ow_meta', "
                               "'refunds')";
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(handle, text, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        *ret_has = code == SQLITE_ROW && sqlite3_column_int(statement, 0) == 2;
    }
    (void)sqlite3_finalize(statement);
    return code;
}

static enum ow_content_found put_content(sqlite3 *handle, enum ow_content_kind kind,
                                         struct ow_buffer *out)
{
    bool has = false;
    const int code = has_store(handle, &has);
    if (code == SQLITE_BUSY) {
        return OW_CONTENT_BUSY;
    }
    if (code != SQLITE_ROW) {
        ow_buffer_printf(out, "%s", sqlite3_errmsg(handle));
        return OW_CONTENT_BAD;
    }
    const bool good =
        !has || (put_queries(handle, always, sizeof(always) / sizeof(always[0]), out) &&
                 (kind == OW_CONTENT_EXACT
                      ? put_queries(handle, exact, sizeof(exact) / sizeof(exact[0]), out)
                      : put_queries(handle, settled, sizeof(settled) / sizeof(settled[0]), out)));
    return good ? OW_CONTENT_READ : OW_CONTENT_BAD;
}

/* Says "ok", once. */
static bool is_sound(sqlite3 *handle, struct ow_buffer *out)
{
    sqlite3_stmt *statement = NULL;
    const int code = sqlite3_prepare_v2(handle, "PRAGMA integrity_check(3)", -1, &statement, NULL);
    const bool row = code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW;
    const char *text = row ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    const bool good = text != NULL && strcmp(text, "ok") == 0;
    if (!good) {
        ow_buffer_printf(out, "integrity_check: %s", row ? text : sqlite3_errmsg(handle));
    }
    (void)sqlite3_finalize(statement);
    return good;
}

static enum ow_content_found look(const char *path, int flags, enum ow_content_kind kind,
                                  bool check, struct ow_buffer *out)
{
    sqlite3 *handle = NULL;
    enum ow_content_found found = OW_CONTENT_BAD;
    int code = sqlite3_open_v2(path, &handle, flags | SQLITE_OPEN_EXRESCODE, NULL);
    if (code == SQLITE_OK) {
        /* What a look does must not be what mends it. */
        code = sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    }
    if (code != SQLITE_OK) {
        ow_buffer_printf(out, "cannot open it: %s", sqlite3_errstr(code));
    } else if (!check || is_sound(handle, out)) {
        found = put_content(handle, kind, out);
    }
    (void)sqlite3_close(handle);
    return found;
}

enum ow_content_found ow_content_read(const char *path, enum ow_content_kind kind,
                                      struct ow_buffer *out)
{
    return look(path, SQLITE_OPEN_READONLY, kind, false, out);
}

enum ow_content_found ow_content_check(const char *path, struct ow_buffer *out)
{
    return look(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, OW_CONTENT_EXACT, true, out);
}

bool ow_content_verify(const char *path, struct ow_buffer *out)
{
    struct ow_arena arena;
    struct ow_verification found;
    struct ow_err err = {.text = ""};
    ow_arena_init(&arena, (size_t)64 * 1024);
    const struct ow_verify_options options = {.path = path, .clock = ow_sim_clock()};
    const enum ow_status status = ow_verify_store(&options, &arena, &found, &err);
    if (status != OW_OK) {
        ow_buffer_printf(out, "it cannot be verified: %s", err.text);
    }
    bool good = status == OW_OK;
    for (size_t i = 0; status == OW_OK && i < found.promise_count; i++) {
        const struct ow_promise *promise = &found.promises[i];
        /* The trigger that makes poison is ours, and verify is right to tell of it. */
        if (promise->broken > 0 && strcmp(promise->name, "schema_known") != 0) {
            ow_buffer_printf(out, "%s is broken %" PRId64 " times: %s; ", promise->name,
                             promise->broken,
                             promise->examples[0] == NULL ? "" : promise->examples[0]);
            good = false;
        }
    }
    ow_arena_done(&arena);
    return good;
}

void ow_content_difference(const char *expected, const char *got, struct ow_buffer *out)
{
    enum { MOST = 400 };
    while (*expected != '\0' || *got != '\0') {
        const size_t expected_len = strcspn(expected, "\n");
        const size_t got_len = strcspn(got, "\n");
        if (expected_len != got_len || memcmp(expected, got, got_len) != 0) {
            ow_buffer_printf(out, "expected '%.*s', got '%.*s'",
                             (int)(expected_len < MOST ? expected_len : MOST), expected,
                             (int)(got_len < MOST ? got_len : MOST), got);
            return;
        }
        expected += expected_len + (expected[expected_len] == '\n');
        got += got_len + (got[got_len] == '\n');
    }
    ow_buffer_text(out, "no difference");
}
