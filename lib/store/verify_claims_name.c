#include "store/verify_internal.h"

#include <inttypes.h>

/*
 * Where the sums of claims and of their owners differ: both are written down and compared row by
 * row. Seldom needed, so it may take its time. Only from the ref on below which claims may have
 * been pruned: with several retentions a row's class is not always known, for it may have waited
 * for another machine version.
 */

static const char schema[] =
    "CREATE TABLE claim (ref INTEGER NOT NULL, key BLOB NOT NULL) STRICT;"
    "CREATE TABLE owner (ref INTEGER NOT NULL, seq INTEGER NOT NULL, key BLOB) STRICT";
static const char indexes[] =
    "CREATE INDEX claim_ref ON claim (ref); CREATE INDEX owner_ref ON owner (ref)";

static enum ow_status note_bucket(struct ow_verify *verify, int64_t bucket,
                                  struct ow_statement *add, struct ow_err *err)
{
    OW_VERIFY_CURSOR claims = {
        .by = OW_VERIFY_BY_BLOB, .fixed = {ow_value_integer(bucket)}, .fixed_count = 1};
    OW_TRY(ow_verify_cursor_open(
        &claims, verify,
        "SELECT key, ref FROM ow_claims WHERE bucket = ? AND key >= ? ORDER BY key", err));
    bool row = false;
    OW_TRY(ow_verify_cursor_next(&claims, &row, err));
    while (row) {
        const int64_t ref = ow_sql_i64(&claims.statement, 1);
        if (ref < verify->next_ref && ref >= ow_verify_pruned_below(verify)) {
            ow_sql_bind_i64(add, ref);
            ow_sql_bind_blob(add, ow_sql_slice(&claims.statement, 0));
            OW_TRY(ow_sql_run(add, NULL, err));
        }
        OW_TRY(ow_verify_pause(verify, err));
        OW_TRY(ow_verify_cursor_next(&claims, &row, err));
    }
    return OW_OK;
}

static enum ow_status note_claims(struct ow_verify *verify, struct ow_err *err)
{
    OW_STATEMENT add = {0};
    OW_TRY(ow_sql_prepare(&verify->notes.sql, "INSERT INTO claim VALUES (?, ?)", &add, err));
    for (size_t i = 0; i < verify->bucket_count; i++) {
        if (verify->buckets[i].doomed) {
            continue;
        }
        OW_TRY(note_bucket(verify, verify->buckets[i].bucket, &add, err));
    }
    return OW_OK;
}

static enum ow_status note_owner(struct ow_verify *verify, const struct ow_statement *row,
                                 struct ow_statement *add, struct ow_err *err)
{
    struct ow_past past;
    OW_TRY(ow_verify_past_take(verify, row, &past, err));
    if (ow_verify_is_seed(&past)) {
        return OW_OK;
    }
    const int64_t ref = past.first_ref != 0 ? past.first_ref : past.seq;
    if (ref >= verify->next_ref || ref < ow_verify_pruned_below(verify)) {
        return OW_OK;
    }
    OW_JSON *data =
        json_loadb((const char *)past.data_text.ptr, past.data_text.len, JSON_ALLOW_NUL, NULL);
    struct ow_verify_step step = {.data = data};
    uint8_t key[OW_CLAIM_KEY_BYTES];
    (void)ow_verify_step_find(verify, &past, &step);
    const bool known = ow_verify_past_key(verify, &past, &step, key);
    ow_sql_bind_i64(add, ref);
    ow_sql_bind_i64(add, past.seq);
    ow_sql_bind_blob(add, (struct ow_slice){known ? key : NULL, known ? sizeof(key) : 0});
    return ow_sql_run(add, NULL, err);
}

static enum ow_status note_owners(struct ow_verify *verify, struct ow_err *err)
{
    OW_STATEMENT add = {0};
    OW_TRY(ow_sql_prepare(&verify->notes.sql, "INSERT INTO owner VALUES (?, ?, ?)", &add, err));
    OW_VERIFY_CURSOR rows = {.by = OW_VERIFY_BY_NUMBER};
    OW_TRY(ow_verify_cursor_open(
        &rows, verify,
        "SELECT " OW_VERIFY_PAST_COLUMNS " FROM ow_history_row WHERE seq >= ? ORDER BY seq", err));
    bool row = false;
    OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    while (row) {
        OW_TRY(note_owner(verify, &rows.statement, &add, err));
        OW_TRY(ow_verify_pause(verify, err));
        OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    }
    return OW_OK;
}

/* A question to the notes whose rows are broken promises, each with a number. */
struct question {
    enum ow_promise_name promise;
    const char *sql, *before, *after; /* the number */
};

#define OWNERS "e.role <= 4"
static_assert(OW_VERIFY_APPLIED == 4, "as in OWNERS");
static const struct question questions[] = {
    {OW_PROMISE_OWNED, "SELECT ref FROM claim GROUP BY ref HAVING count(*) > 1",
     "the claim with ref",                                                                                               "is there twice"                },
    {OW_PROMISE_OWNED,
     "SELECT c.ref FROM claim c WHERE NOT EXISTS (SELECT 1 FROM owner o WHERE o.ref = c.ref)"
     " AND NOT EXISTS (SELECT 1 FROM expected e WHERE e.ref = c.ref AND " OWNERS ")",
     "the claim with ref",                                                                                               "belongs to nothing"            },
    {OW_PROMISE_OWNED,
     "SELECT seq FROM owner o WHERE NOT EXISTS (SELECT 1 FROM claim c WHERE c.ref = o.ref)", "history row",              "has no claim"                  },
    {OW_PROMISE_OWNED, "SELECT max(seq) FROM owner GROUP BY ref HAVING count(*) > 1",        "history row",
     "is not the only one with its claim"                                                                                                                },
    {OW_PROMISE_KEYS,
     "SELECT o.seq FROM owner o JOIN claim c ON c.ref = o.ref WHERE c.key <> o.key",         "the claim of history row", "has not the key of its message"},
};

static enum ow_status ask(struct ow_verify *verify, const struct question *question,
                          struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&verify->notes.sql, question->sql, &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        ow_verify_broken(verify, question->promise, "%s %" PRId64 " %s", question->before,
                         ow_sql_i64(&statement, 0), question->after);
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

/* What was noted of a claim that there is not. */
static enum ow_status ask_expected(struct ow_verify *verify, struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&verify->notes.sql,
                          "SELECT role, id, ref FROM expected e WHERE ref >= ? AND NOT EXISTS"
                          " (SELECT 1 FROM claim c WHERE c.ref = e.ref)",
                          &statement, err));
    bool row = false;
    ow_sql_bind_i64(&statement, ow_verify_pruned_below(verify));
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        const enum ow_verify_role role = (enum ow_verify_role)ow_sql_i64(&statement, 0);
        ow_verify_broken(verify, OW_PROMISE_OWNED,
                         "%s %" PRId64 " has no claim: there is none with ref %" PRId64,
                         ow_verify_role_text(role), ow_sql_i64(&statement, 1),
                         ow_sql_i64(&statement, 2));
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

enum ow_status ow_verify_claims_name(struct ow_verify *verify, struct ow_err *err)
{
    OW_TRY(ow_sql_exec(&verify->notes.sql, schema, err));
    OW_TRY(note_claims(verify, err));
    OW_TRY(note_owners(verify, err));
    OW_TRY(ow_sql_exec(&verify->notes.sql, indexes, err));
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        OW_TRY(ask(verify, &questions[i], err));
    }
    return ask_expected(verify, err);
}
