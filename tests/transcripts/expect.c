#include "transcript.h"

#include <stdlib.h>

static bool prepare(struct ow_play *play, const char *sql, sqlite3_stmt **ret_statement)
{
    if (sqlite3_prepare_v2(play->reader, sql, -1, ret_statement, NULL) != SQLITE_OK) {
        return ow_play_fail(play, "%s: %s", sql, sqlite3_errmsg(play->reader));
    }
    return true;
}

bool ow_play_execute(struct ow_play *play, const char *sql)
{
    char *error = NULL;
    if (sqlite3_exec(play->reader, sql, NULL, NULL, &error) == SQLITE_OK) {
        return true;
    }
    const bool result = ow_play_fail(play, "%s: %s", sql, error);
    sqlite3_free(error);
    return result;
}

/* Integers and texts as in JSON, blobs as x'…'. */
static json_t *cell(sqlite3_stmt *statement, int column)
{
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL:
        return json_null();
    case SQLITE_INTEGER:
        return json_integer(sqlite3_column_int64(statement, column));
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_column_text(statement, column);
        return json_stringn(text, (size_t)sqlite3_column_bytes(statement, column));
    }
    default:
        break;
    }
    const uint8_t *bytes = sqlite3_column_blob(statement, column);
    const int len = sqlite3_column_bytes(statement, column);
    OW_BUFFER text = {0};
    ow_buffer_text(&text, "x'");
    for (int i = 0; i < len; i++) {
        ow_buffer_printf(&text, "%02x", bytes[i]);
    }
    ow_buffer_byte(&text, '\'');
    return json_string(ow_buffer_cstr(&text));
}

static json_t *row_of(sqlite3_stmt *statement)
{
    json_t *row = json_array();
    for (int column = 0; column < sqlite3_column_count(statement); column++) {
        (void)json_array_append_new(row, cell(statement, column));
    }
    return row;
}

/* Appends one line a row. */
static bool dump_query(struct ow_play *play, const char *title, const char *sql,
                       struct ow_buffer *out)
{
    sqlite3_stmt *statement = NULL;
    if (!prepare(play, sql, &statement)) {
        return false;
    }
    while (sqlite3_step(statement) == SQLITE_ROW) {
        json_t *row = row_of(statement);
        char *text = json_dumps(row, JSON_COMPACT);
        ow_buffer_printf(out, "%s ", title);
        ow_buffer_text(out, text); /* rows can be longer than a printf may make */
        ow_buffer_byte(out, '\n');
        free(text);
        json_decref(row);
    }
    const bool done = sqlite3_finalize(statement) == SQLITE_OK;
    return done || ow_play_fail(play, "%s: %s", sql, sqlite3_errmsg(play->reader));
}

/* What differs from store to store and batch to batch is left out: epoch, batch, buckets, what has
 * been committed. */
bool ow_play_dump(struct ow_play *play, bool settled, struct ow_buffer *out)
{
    static const struct {
        const char *title, *sql;
        bool changed_by_rereads;
    } queries[] = {
        {"ow_history",             "SELECT * FROM ow_history ORDER BY seq",                        false},
        {"ow_parked",              "SELECT * FROM ow_parked ORDER BY id",                          false},
        {"ow_sighting",            "SELECT * FROM ow_sighting ORDER BY rowid",                     false},
        {"ow_claims",              "SELECT key, fingerprint, ref FROM ow_claims ORDER BY ref",     false},
        {"ow_ledger",              "SELECT * FROM ow_ledger ORDER BY 1, 2, 3, 4",                  false},
        {"ow_position",
         "SELECT topic, partition, incarnation, high_offset, applied, duplicate, stale, parked, "
         "quarantined, filtered"
         " FROM ow_position ORDER BY 1, 2, 3",                                                     false},
        {"ow_position (re-reads)",
         "SELECT topic, partition, next_offset, anchor, reread FROM ow_position ORDER BY 1, 2",    true },
        {"ow_quarantine",
         "SELECT id, reason, detail, machine, entity_id, topic, partition, offset, timestamp_ms, "
         "key, headers, value,"
         " first_seen_ms, attempts, status, note, conflict_ref, conflict_fingerprint FROM "
         "ow_quarantine ORDER BY id",                                                              false},
        {"ow_quarantine (seen)",   "SELECT id, last_seen_ms, seen FROM ow_quarantine ORDER BY id",
         true                                                                                           },
        {"next_ref",               "SELECT value FROM ow_meta WHERE key = 'next_ref'",             false},
    };
    for (size_t i = 0; i < play->machines.count; i++) {
        const struct ow_machine *machine = play->machines.list[i];
        for (size_t j = 0; j <= machine->record_count; j++) {
            const char *table = j == 0 ? machine->entity.name : machine->records[j - 1].name;
            if (!dump_query(play, table,
                            ow_arena_printf(&play->arena, "SELECT * FROM \"%s\" ORDER BY 1", table),
                            out)) {
                return false;
            }
        }
    }
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        if (!(settled && queries[i].changed_by_rereads) &&
            !dump_query(play, queries[i].title, queries[i].sql, out)) {
            return false;
        }
    }
    return true;
}

const char *ow_dump_difference(struct ow_arena *arena, const char *expected, const char *got)
{
    while (*expected != '\0' || *got != '\0') {
        const int expected_len = (int)strcspn(expected, "\n");
        const int got_len = (int)strcspn(got, "\n");
        if (expected_len != got_len || memcmp(expected, got, (size_t)got_len) != 0) {
            return ow_arena_printf(arena, "expected %.*s\n  got      %.*s",
                                   expected_len < 2000 ? expected_len : 2000, expected,
                                   got_len < 2000 ? got_len : 2000, got);
        }
        expected += expected_len + (expected[expected_len] == '\n');
        got += got_len + (got[got_len] == '\n');
    }
    return "no difference";
}

/* The first row of a query about a record's place, as texts; false where there is none. */
static bool at_place(struct ow_play *play, const char *sql, const struct ow_sent *sent,
                     const char *ret_texts[2])
{
    const struct ow_record *record = &sent->record;
    sqlite3_stmt *statement = NULL;
    if (!prepare(play, sql, &statement)) {
        return false;
    }
    (void)sqlite3_bind_text(statement, 1, (const char *)record->topic.ptr, (int)record->topic.len,
                            SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 2, record->partition);
    (void)sqlite3_bind_int64(statement, 3, record->offset);
    (void)sqlite3_bind_int64(statement, 4, sent->incarnation);
    const bool found = sqlite3_step(statement) == SQLITE_ROW;
    for (int i = 0; found && i < 2; i++) {
        const struct ow_slice text = {sqlite3_column_text(statement, i),
                                      (size_t)sqlite3_column_bytes(statement, i)};
        ret_texts[i] = ow_arena_text(&play->arena, text);
    }
    (void)sqlite3_finalize(statement);
    return found;
}

static bool check_one(struct ow_play *play, struct ow_sent *sent, bool must_be_there)
{
    play->path = sent->path;
    const char *ledger[2] = {"none", ""};
    const char *row[2] = {"", ""};
    const bool handled =
        at_place(play,
                 "SELECT outcome, '' FROM ow_ledger WHERE topic = ? AND partition = ?"
                 " AND ? BETWEEN first_offset AND last_offset AND incarnation = ?",
                 sent, ledger);
    if (!handled && !must_be_there) {
        return !play->failed;
    }
    (void)at_place(play,
                   "SELECT reason, detail FROM ow_quarantine WHERE topic = ?1 AND partition = ?2"
                   " AND offset = ?3 AND id >= (SELECT began_ref FROM ow_position WHERE topic = ?1"
                   " AND partition = ?2 AND incarnation = ?4) ORDER BY id LIMIT 1",
                   sent, row);
    sent->checked = true;
    if (play->failed) {
        return false;
    }
    if (strcmp(sent->outcome, ledger[0]) != 0 ||
        (sent->reason != NULL && strcmp(sent->reason, row[0]) != 0)) {
        return ow_play_fail(play, OW_SLICE_FMT "[%d] offset %lld: expected %s %s, got %s %s (%s)",
                            OW_SLICE_ARG(sent->record.topic), (int)sent->record.partition,
                            (long long)sent->record.offset, sent->outcome,
                            sent->reason == NULL ? "" : sent->reason, ledger[0], row[0], row[1]);
    }
    return true;
}

bool ow_play_check_sent(struct ow_play *play, bool must_be_there)
{
    const char *path = play->path;
    for (struct ow_sent *sent = play->sent; sent != NULL; sent = sent->next) {
        if (!sent->checked && !check_one(play, sent, must_be_there)) {
            return false;
        }
    }
    play->path = path;
    return true;
}

bool ow_play_check_rows(struct ow_play *play, const char *sql, const json_t *rows)
{
    sqlite3_stmt *statement = NULL;
    if (!prepare(play, sql, &statement)) {
        return false;
    }
    OW_JSON *got = json_array();
    while (sqlite3_step(statement) == SQLITE_ROW) {
        (void)json_array_append_new(got, row_of(statement));
    }
    if (sqlite3_finalize(statement) != SQLITE_OK) {
        return ow_play_fail(play, "%s: %s", sql, sqlite3_errmsg(play->reader));
    }
    if (json_equal(rows, got)) {
        return true;
    }
    char *expected_text = json_dumps(rows, JSON_COMPACT);
    char *got_text = json_dumps(got, JSON_COMPACT);
    const bool result =
        ow_play_fail(play, "%s\n  expected %s\n  got      %s", sql, expected_text, got_text);
    free(expected_text);
    free(got_text);
    return result;
}
