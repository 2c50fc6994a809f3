#include "groups.h"
#include "store/audit.h"
#include "store/erase.h"
#include "store/verify.h"
#include "support/store/store_fixture.h"

#include <sqlite3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * Any single row that another hand has changed, added or deleted is found: for every table each
 * value of each row is changed, each row deleted, and each row added once more under another key,
 * one at a time on a copy. What no other row derives is listed here, with the reason; only the sums
 * over the tables (promise tables_sealed) can find that.
 */

enum { DELETED = -1, ADDED = -2 };

static const struct {
    const char *table, *column, *why;
} underived[] = {
    {"ow_audit",       "(added)",        "a word of people: no other row knows of it"                  },
    {"ow_audit",       "(deleted)",      "likewise"                                                    },
    {"ow_audit",       "at_ms",          "likewise"                                                    },
    {"ow_audit",       "command",        "likewise"                                                    },
    {"ow_audit",       "detail",         "likewise"                                                    },
    {"ow_audit",       "id",             "likewise"                                                    },
    {"ow_audit",       "subject",        "likewise"                                                    },
    {"ow_audit",       "who",            "likewise"                                                    },
    {"ow_audit",       "why",            "likewise"                                                    },
    {"ow_bucket",      "opened_at_ms",   "a time of the wall clock, which may jump"                    },
    {"ow_bucket",      "sealed_at_ms",   "likewise"                                                    },
    {"ow_claims",      "key",            "of a stale record, whose message is not stored"              },
    {"ow_claims",      "fingerprint",
     "of an applied or stale record, whose message is not stored whole"                                },
    {"ow_filter",      "(deleted)",      "a cache, of which nothing need be there"                     },
    {"ow_history_row", "applied_at_ms",  "a time of the wall clock"                                    },
    {"ow_history_row", "event_time_ms",  "of a row that is neither an entity's first nor its last"     },
    {"ow_meta",        "(deleted)",      "the hash key may lie in a file of its own"                   },
    {"ow_meta",        "(sum)",          "the sums are the last resort themselves"                     },
    {"ow_meta",        "value",          "numbers of the store itself: epoch, batch, its id, its birth"},
    {"ow_parked",      "headers",        "they are no part of the event"                               },
    {"ow_parked",      "key",            "likewise"                                                    },
    {"ow_parked",      "timestamp_ms",   "the event has a time of its own"                             },
    {"ow_position",    "anchor",         "the record is not stored"                                    },
    {"ow_position",    "began_epoch",    "when a later incarnation began; the store has seen others"   },
    {"ow_position",    "next_offset",    "an operator's rewind may have moved it"                      },
    {"ow_position",    "reread",         "re-reads leave nothing else"                                 },
    {"ow_position",    "seen_committed", "what Kafka said"                                             },
    {"ow_quarantine",  "attempts",       "nothing else says how often it was tried"                    },
    {"ow_quarantine",  "detail",         "a text for people"                                           },
    {"ow_quarantine",  "entity_id",      "of a row whose payload was erased"                           },
    {"ow_quarantine",  "first_seen_ms",  "of what was seen more than once"                             },
    {"ow_quarantine",  "headers",        "they are no part of the event"                               },
    {"ow_quarantine",  "key",            "likewise"                                                    },
    {"ow_quarantine",  "last_seen_ms",   "of what was seen more than once"                             },
    {"ow_quarantine",  "machine",        "of a row whose payload was erased"                           },
    {"ow_quarantine",  "note",           "a text by people"                                            },
    {"ow_quarantine",  "offset",         "beside a conflict that was met again and has left no row"    },
    {"ow_quarantine",  "timestamp_ms",   "the event has a time of its own"                             },
    {"ow_quarantine",  "value",          "of what is no event: another one is none either"             },
    {"ow_sighting",    "ref",            "of a repetition, whose message is not stored"                },
    {"ow_sighting",    "seen_at_ms",     "a time of the wall clock"                                    },
};
enum { UNDERIVED = sizeof(underived) / sizeof(underived[0]) };

/* The machines' tables too. Everything that a store has. */
static const char *const tables[] = {"ow_meta",        "ow_machine",  "ow_bucket", "ow_claims",
                                     "ow_filter",      "ow_position", "ow_ledger", "ow_text",
                                     "ow_history_row", "ow_sighting", "ow_parked", "ow_quarantine",
                                     "ow_audit",       "orders",      "payments",  "refunds"};

struct column {
    char name[32];
    char type[16];
    bool key;
};

struct edits {
    struct ow_fixture filled, copy; /* of the copy only its folder and path are used */
    struct column columns[24];
    int column_count;
    bool rowid;
    bool listed[UNDERIVED]; /* a change of it was not derived */
    int tried, derived, refused, unfound;
};

/* Some of everything, in several buckets, of two machine reasons more than the fixture's own. */
static void fill(struct ow_fixture *fixture)
{
    ow_fixture_fill(fixture);
    static const struct {
        const char *id, *type, *entity, *data;
    } more[] = {
        {"e1",  "order.created",     "o1", "\"amount\":7,\"currency\":\"EUR\""                     },
        {"f1",  "order.created",     "o4", "\"amount\":9,\"currency\":\"EUR\""                     },
        {"f2",  "payment.succeeded", "o4",
         "\"payment_id\":\"p4\",\"amount\":8,\"currency\":\"EUR\",\"method\":\"card\""             },
        {"f3",  "payment.succeeded", "o4",
         "\"payment_id\":\"p1\",\"amount\":9,\"currency\":\"EUR\",\"method\":\"card\""             },
        {"f4",  "payment.succeeded", "o4",
         "\"payment_id\":\"p4\",\"amount\":9,\"currency\":\"EUR\",\"method\":\"transfer\""         },
        {"f5",  "order.received",    "o4", ""                                                      },
        {"f6",  "payment.refunded",  "o4", "\"refund_id\":\"r4\",\"amount\":4,\"currency\":\"EUR\""},
        {"f7",  "payment.refunded",  "o4", "\"refund_id\":\"r5\",\"amount\":5,\"currency\":\"EUR\""},
        {"f2",  "payment.succeeded", "o4",
         "\"payment_id\":\"p4\",\"amount\":8,\"currency\":\"EUR\",\"method\":\"card\""             },
        {"f8",  "order.created",     "o5", "\"amount\":\"much\",\"currency\":\"EUR\""              },
        {"",    "order.created",     "o5", "\"amount\":1,\"currency\":\"EUR\""                     },
        {"f10", "order.dispatched",  "o6", ""                                                      },
    };
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        (void)ow_fixture_event(fixture, more[i].id, more[i].type, more[i].entity, more[i].data);
    }
}

/* Another topic under the name: offsets begin anew, and at one was a malformed record before. */
static void adopt(struct ow_fixture *fixture)
{
    static const struct ow_audit audit = {.who = "somebody",
                                          .command = "positions adopt",
                                          .subject = "order-events[0]",
                                          .detail = "{}",
                                          .why = "it was made anew"};
    ow_fixture_begin(fixture);
    fixture->position = ow_position_next_incarnation(&fixture->position, 12);
    fixture->position.began_epoch = ow_store_epoch(fixture->store);
    fixture->position.began_ref = fixture->world.next_ref;
    assert_int_equal(
        ow_store_last_sighting(fixture->store, &fixture->position.began_sighting, &fixture->err),
        OW_OK);
    assert_int_equal(ow_audit_write(fixture->store, fixture->clock.now_ms, &audit, &fixture->err),
                     OW_OK);
    assert_int_equal(ow_fixture_write(fixture), OW_OK);
    ow_fixture_commit(fixture);
    fixture->position_offset = 12;
    assert_int_equal(ow_fixture_event(fixture, "e5", "order.dispatched", "o1", ""),
                     OW_OUTCOME_DUPLICATE);
    assert_int_equal(ow_fixture_feed(fixture, "no event"), OW_OUTCOME_QUARANTINED);
    assert_int_equal(ow_fixture_feed(fixture, "{}"), OW_OUTCOME_QUARANTINED);
    assert_int_equal(
        ow_fixture_event(fixture, "g1", "order.created", "o7", "\"amount\":1,\"currency\":\"EUR\""),
        OW_OUTCOME_APPLIED);
    assert_int_equal(
        ow_fixture_event(fixture, "g2", "order.created", "o7", "\"amount\":1,\"currency\":\"EUR\""),
        OW_OUTCOME_STALE);
}

/* An entity without payload: what remains of it is held all the same. */
static void erase_one(struct ow_fixture *fixture)
{
    struct ow_erasure erasure;
    const struct ow_erase_options options = {.path = fixture->path,
                                             .machines = &fixture->machines,
                                             .clock = ow_clock_manual(&fixture->clock),
                                             .entity = "o4",
                                             .discard_parked = true};
    assert_int_equal(ow_erase(&options, &erasure, &fixture->err), OW_OK);
    assert_true(erasure.history > 0 && erasure.quarantine > 0);
}

static int start(void **state)
{
    struct edits *edits = calloc(1, sizeof(*edits));
    assert_non_null(edits);
    ow_fixture_init(&edits->filled);
    edits->filled.bucket_claims = 6;
    ow_fixture_open(&edits->filled);
    fill(&edits->filled);
    adopt(&edits->filled);
    ow_fixture_tend(&edits->filled, INT64_MIN);
    ow_fixture_close(&edits->filled);
    erase_one(&edits->filled);
    ow_fixture_init(&edits->copy);
    *state = edits;
    /* For a fixture of this schema version (fixtures/). NOLINTNEXTLINE(concurrency-mt-unsafe) */
    const char *keep = getenv("ONCEWARD_FILLED");
    if (keep != NULL) {
        char sql[256];
        (void)snprintf(sql, sizeof(sql), "VACUUM INTO '%s'", keep);
        ow_fixture_exec(&edits->filled, sql);
    }
    return 0;
}

static int stop(void **state)
{
    struct edits *edits = *state;
    ow_fixture_done(&edits->filled);
    ow_fixture_done(&edits->copy);
    free(edits);
    return 0;
}

static sqlite3 *copy_store(const struct edits *edits)
{
    FILE *from = fopen(edits->filled.path, "re");
    FILE *to = fopen(edits->copy.path, "we");
    assert_non_null(from);
    assert_non_null(to);
    static char bytes[65536];
    size_t len = 0;
    while ((len = fread(bytes, 1, sizeof(bytes), from)) > 0) {
        assert_int_equal(fwrite(bytes, 1, len, to), len);
    }
    assert_int_equal(fclose(to), 0);
    assert_int_equal(fclose(from), 0);
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open_v2(edits->copy.path, &handle, SQLITE_OPEN_READWRITE, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "PRAGMA synchronous = OFF", NULL, NULL, NULL), SQLITE_OK);
    return handle;
}

static void take_columns(struct edits *edits, sqlite3 *handle, const char *table)
{
    char sql[128];
    (void)snprintf(sql, sizeof(sql), "SELECT name, type, pk FROM pragma_table_info('%s')", table);
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
    edits->column_count = 0;
    edits->rowid = true;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        struct column *column = &edits->columns[edits->column_count++];
        (void)snprintf(column->name, sizeof(column->name), "%s",
                       (const char *)sqlite3_column_text(statement, 0));
        (void)snprintf(column->type, sizeof(column->type), "%s",
                       (const char *)sqlite3_column_text(statement, 1));
        column->key = sqlite3_column_int(statement, 2) > 0;
    }
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    (void)snprintf(sql, sizeof(sql), "SELECT rowid FROM %s", table);
    edits->rowid = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) == SQLITE_OK;
    (void)sqlite3_finalize(statement);
}

/* WHERE … of the n-th row. */
static char *find_row(const struct edits *edits, sqlite3 *handle, const char *table, int n)
{
    sqlite3_str *sql = sqlite3_str_new(handle);
    sqlite3_str_appendf(sql, "SELECT 'WHERE '");
    if (edits->rowid) {
        sqlite3_str_appendf(sql, " || 'rowid = ' || rowid");
    }
    for (int c = 0; !edits->rowid && c < edits->column_count; c++) {
        if (edits->columns[c].key) {
            sqlite3_str_appendf(sql, " || '%s = ' || quote(%s) || ' AND '", edits->columns[c].name,
                                edits->columns[c].name);
        }
    }
    sqlite3_str_appendf(sql, "%s FROM %s LIMIT 1 OFFSET %d", edits->rowid ? "" : " || '1'", table,
                        n);
    char *text = sqlite3_str_finish(sql);
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(handle, text, -1, &statement, NULL), SQLITE_OK);
    sqlite3_free(text);
    char *where = sqlite3_step(statement) == SQLITE_ROW
                      ? sqlite3_mprintf("%s", sqlite3_column_text(statement, 0))
                      : NULL;
    (void)sqlite3_finalize(statement);
    return where;
}

/* Another value of the same kind, as SQL. */
static char *other_value(const struct column *column)
{
    /* Values that are as good as those that were there; others would be refused by their form. */
    if (strcmp(column->name, "headers") == 0) {
        return sqlite3_mprintf("coalesce(replace(headers, 'trace', 'tract'), '[]')");
    }
    if (strcmp(column->name, "next_offset") == 0) {
        return sqlite3_mprintf("next_offset - 1");
    }
    return sqlite3_mprintf(
        "CASE typeof(%s) WHEN 'integer' THEN %s + 1 WHEN 'text' THEN %s || 'x' WHEN 'blob' THEN"
        " CAST(substr(%s, 1, length(%s) - 1) || CASE substr(%s, -1) WHEN x'00' THEN x'01' ELSE"
        " x'00' END AS BLOB) ELSE %s END",
        column->name, column->name, column->name, column->name, column->name, column->name,
        strcmp(column->type, "TEXT") == 0   ? "'x'"
        : strcmp(column->type, "BLOB") == 0 ? "x'0102030405060708090a0b0c0d0e0f10'"
                                            : "1");
}

/* The statement of an edit: a column's number, DELETED or ADDED. */
static char *write_edit(const struct edits *edits, const char *table, const char *where, int what)
{
    if (what == DELETED) {
        return sqlite3_mprintf("DELETE FROM %s %s", table, where);
    }
    if (what >= 0) {
        char *value = other_value(&edits->columns[what]);
        char *text = sqlite3_mprintf("UPDATE %s SET %s = %s %s", table, edits->columns[what].name,
                                     value, where);
        sqlite3_free(value);
        return text;
    }
    sqlite3_str *sql = sqlite3_str_new(NULL);
    sqlite3_str_appendf(sql, "INSERT INTO %s SELECT ", table);
    for (int c = 0; c < edits->column_count; c++) {
        const struct column *column = &edits->columns[c];
        const bool number = column->key && strcmp(column->type, "INTEGER") == 0;
        const bool unique = column->key || strcmp(table, "ow_text") == 0;
        char *value = number ? sqlite3_mprintf("(SELECT max(%s) + 1 FROM %s)", column->name, table)
                      : unique ? other_value(column)
                               : sqlite3_mprintf("%s", column->name);
        sqlite3_str_appendf(sql, "%s%s", c == 0 ? "" : ", ", value);
        sqlite3_free(value);
    }
    sqlite3_str_appendf(sql, " FROM %s %s", table, where);
    return sqlite3_str_finish(sql);
}

/* The names of the broken promises but tables_sealed; *ret_ok: none at all is broken. Whatever was
 * edited, verify tells a result: a store that it refuses to read is a failure of the test. */
static void look(struct edits *edits, char *names, size_t size, bool *ret_ok)
{
    struct ow_verification verification;
    if (ow_verify(edits->copy.path, &edits->copy.arena, &verification, &edits->copy.err) != OW_OK) {
        fail_msg("verify has no result: %s", edits->copy.err.text);
    }
    *ret_ok = verification.ok;
    names[0] = '\0';
    for (size_t i = 0; i < verification.promise_count; i++) {
        const struct ow_promise *promise = &verification.promises[i];
        const bool sealed = strcmp(promise->name, "tables_sealed") == 0;
        if (promise->broken > 0 && !sealed) {
            const size_t len = strlen(names);
            (void)snprintf(names + len, size - len, " %s", promise->name);
        }
    }
}

static void judge(struct edits *edits, const char *table, const char *column, const char *sql)
{
    char names[512];
    bool ok = true;
    look(edits, names, sizeof(names), &ok);
    ow_arena_reset(&edits->copy.arena);
    if (strcmp(table, "ow_meta") == 0 && strstr(sql, "'seal.") != NULL) {
        column = "(sum)";
    }
    edits->tried++;
    edits->derived += names[0] != '\0';
    int at = 0;
    while (at < UNDERIVED &&
           (strcmp(underived[at].table, table) != 0 || strcmp(underived[at].column, column) != 0)) {
        at++;
    }
    if (names[0] == '\0' && at == UNDERIVED) {
        print_message("NOT FOUND: %s\n", sql);
        edits->unfound++;
    } else if (names[0] == '\0') {
        edits->listed[at] = true;
    }
    if (ok) {
        fail_msg("not even by the sums: %s", sql);
    }
    print_message("%s.%s:%s\n", table, column, names[0] == '\0' ? " (not derived)" : names);
}

/* False where the table has not so many rows. */
static bool edit_row(struct edits *edits, const char *table, int n)
{
    for (int what = ADDED; what < edits->column_count; what++) {
        sqlite3 *handle = copy_store(edits);
        char *where = find_row(edits, handle, table, n);
        if (where == NULL) {
            assert_int_equal(sqlite3_close(handle), SQLITE_OK);
            return false;
        }
        char *sql = write_edit(edits, table, where, what);
        const int code = sqlite3_exec(handle, sql, NULL, NULL, NULL);
        const bool changed = code == SQLITE_OK && sqlite3_changes(handle) == 1;
        assert_int_equal(sqlite3_close(handle), SQLITE_OK);
        if (changed) {
            judge(edits, table,
                  what == DELETED ? "(deleted)"
                  : what == ADDED ? "(added)"
                                  : edits->columns[what].name,
                  sql);
        } else if ((code & 0xff) == SQLITE_CONSTRAINT) {
            edits->refused++; /* the table itself does not take it */
        } else {
            fail_msg("%s: %d", sql, code);
        }
        sqlite3_free(sql);
        sqlite3_free(where);
    }
    return true;
}

static void verify__any_row_edited_by_hand__is_found(void **state)
{
    struct edits *edits = *state;
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        sqlite3 *handle = copy_store(edits);
        take_columns(edits, handle, tables[t]);
        assert_int_equal(sqlite3_close(handle), SQLITE_OK);
        int rows = 0;
        while (edit_row(edits, tables[t], rows)) {
            rows++;
        }
        if (rows == 0) {
            fail_msg("%s has no rows", tables[t]);
        }
    }
    print_message("%d edits: %d found by derivation, %d refused by the table itself\n",
                  edits->tried, edits->derived, edits->refused);
    assert_int_equal(edits->unfound, 0);
    for (int i = 0; i < UNDERIVED; i++) {
        if (!edits->listed[i]) {
            fail_msg("%s.%s is derived: take it off the list", underived[i].table,
                     underived[i].column);
        }
    }
}

static void verify__foreign_filter_row__is_found(void **state)
{
    struct edits *edits = *state;
    edits->unfound = 0;
    sqlite3 *handle = copy_store(edits);
    assert_int_equal(sqlite3_exec(handle, "INSERT INTO ow_filter VALUES (99, 1, 1, 0, 0, x'00')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    judge(edits, "ow_filter", "(added)", "INSERT INTO ow_filter");
    assert_int_equal(edits->unfound, 0);
}

/* Words of the closed lists too, for which another word is as well-formed. */
static void verify__another_legal_word__is_found(void **state)
{
    static const char *const edit[] = {
        "UPDATE ow_sighting SET cause = 'stale' WHERE cause = 'same_id'",
        "UPDATE ow_sighting SET cause = 'same_id' WHERE cause = 'stale'",
        "UPDATE ow_quarantine SET reason = 'guard' WHERE reason = 'malformed'",
        "UPDATE ow_quarantine SET reason = 'missing_key' WHERE reason = 'malformed'",
        "UPDATE ow_quarantine SET reason = 'conflict' WHERE reason = 'illegal'",
        "UPDATE ow_quarantine SET status = 'applied' WHERE reason = 'illegal'",
        "UPDATE ow_history_row SET via = (SELECT id FROM ow_text WHERE text = 'wake') WHERE seq=1",
        "UPDATE ow_ledger SET outcome = 'skipped' WHERE first_offset = 3",
        "UPDATE ow_ledger SET outcome = 'filtered' WHERE outcome = 'stale'",
        "UPDATE ow_parked SET event_type = 'order.received'",
        "INSERT INTO ow_bucket VALUES (99, 3888000000, 0, 1, 0)",
        ("UPDATE ow_bucket SET sealed_at_ms = 1;"
         "UPDATE ow_bucket SET sealed_at_ms = NULL WHERE bucket = 1"),
    };
    struct edits *edits = *state;
    edits->unfound = 0;
    for (size_t i = 0; i < sizeof(edit) / sizeof(edit[0]); i++) {
        sqlite3 *handle = copy_store(edits);
        assert_int_equal(sqlite3_exec(handle, edit[i], NULL, NULL, NULL), SQLITE_OK);
        assert_true(sqlite3_changes(handle) > 0);
        assert_int_equal(sqlite3_close(handle), SQLITE_OK);
        judge(edits, "words", "word", edit[i]);
    }
    assert_int_equal(edits->unfound, 0);
}

/* Objects of the schema. */
static void verify__foreign_schema__is_found(void **state)
{
    static const char *const edit[] = {
        "CREATE TABLE ow_extra (x)",
        "CREATE TRIGGER t AFTER INSERT ON ow_claims BEGIN SELECT 1; END",
        "CREATE INDEX i ON ow_parked (topic)",
        "DROP INDEX ow_sighting_ref",
        "DROP INDEX payments_order_id",
        "ALTER TABLE orders ADD COLUMN extra TEXT",
        "DROP TABLE ow_filter",
    };
    struct edits *edits = *state;
    edits->unfound = 0;
    for (size_t i = 0; i < sizeof(edit) / sizeof(edit[0]); i++) {
        sqlite3 *handle = copy_store(edits);
        assert_int_equal(sqlite3_exec(handle, edit[i], NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(handle), SQLITE_OK);
        judge(edits, "sqlite_schema", "sql", edit[i]);
    }
    assert_int_equal(edits->unfound, 0);
}

int ow_test_verify_edits(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verify__any_row_edited_by_hand__is_found),
        cmocka_unit_test(verify__foreign_filter_row__is_found),
        cmocka_unit_test(verify__another_legal_word__is_found),
        cmocka_unit_test(verify__foreign_schema__is_found),
    };
    return cmocka_run_group_tests_name("verify_edits", tests, start, stop);
}
