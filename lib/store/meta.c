#include "store/internal.h"

/* Opens a row of ow_meta; *ret_row false where there is none. */
static enum ow_status find(struct ow_sql *sql, const char *key, struct ow_statement *statement,
                           bool *ret_row, struct ow_err *err)
{
    OW_TRY(ow_sql_prepare(sql, "SELECT value FROM ow_meta WHERE key = ?", statement, err));
    ow_sql_bind_cstr(statement, key);
    return ow_sql_step(statement, ret_row, err);
}

enum ow_status ow_meta_get_i64(struct ow_sql *sql, const char *key, int64_t *ret_value,
                               struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    bool row = false;
    OW_TRY(find(sql, key, &statement, &row, err));
    if (!row) {
        return ow_fail(err, OW_UNSAFE, "the store has no '%s' in ow_meta", key);
    }
    *ret_value = ow_sql_i64(&statement, 0);
    return OW_OK;
}

enum ow_status ow_meta_get_text(struct ow_sql *sql, const char *key, struct ow_arena *arena,
                                const char **ret_text, struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    bool row = false;
    OW_TRY(find(sql, key, &statement, &row, err));
    *ret_text = row ? ow_arena_text(arena, ow_sql_slice(&statement, 0)) : NULL;
    return OW_OK;
}

static enum ow_status put(struct ow_sql *sql, const char *key, struct ow_value value,
                          struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(sql,
                          "INSERT INTO ow_meta (key, value) VALUES (?, ?)"
                          " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                          &statement, err));
    ow_sql_bind_cstr(&statement, key);
    ow_sql_bind_value(&statement, &value);
    return ow_sql_run(&statement, NULL, err);
}

enum ow_status ow_meta_put_i64(struct ow_sql *sql, const char *key, int64_t value,
                               struct ow_err *err)
{
    return put(sql, key, ow_value_integer(value), err);
}

enum ow_status ow_meta_put_text(struct ow_sql *sql, const char *key, const char *text,
                                struct ow_err *err)
{
    return put(sql, key, ow_value_text(ow_slice_of(text)), err);
}
