#include "store/internal.h"
#include "store/seal.h"
#include "store/seal_row.h"

enum ow_status ow_seal_load(struct ow_sql *sql, struct ow_seal *seal, struct ow_err *err)
{
    char key[OW_SEAL_KEY_BYTES];
    ow_seal_key(seal->name, seal->chunk, key);
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(sql, "SELECT value FROM ow_meta WHERE key = ?", &statement, err));
    ow_sql_bind_cstr(&statement, key);
    OW_TRY(ow_sql_step(&statement, &seal->stored, err));
    seal->committed = seal->stored ? (uint64_t)ow_sql_i64(&statement, 0) : 0;
    seal->live = seal->saved = seal->committed;
    return OW_OK;
}

enum ow_status ow_seal_sum(struct ow_buffer *buffer, struct ow_statement *read, int64_t *ret_rows,
                           uint64_t *ret_sum, struct ow_err *err)
{
    *ret_rows = 0;
    *ret_sum = 0;
    bool row = false;
    OW_TRY(ow_sql_step(read, &row, err));
    while (row) {
        ow_seal_row_read(buffer, read->handle);
        *ret_sum += ow_hash_row(ow_buffer_view(buffer));
        ++*ret_rows;
        OW_TRY(ow_sql_step(read, &row, err));
    }
    return OW_OK;
}

static enum ow_status prepare_scan(struct ow_sql *sql, enum ow_seal_name name, int64_t chunk,
                                   struct ow_statement *ret_read, struct ow_err *err)
{
    const struct ow_seal_form *form = &ow_seal_forms[name];
    char text[256];
    if (name == OW_SEAL_META) {
        (void)snprintf(text, sizeof(text), "SELECT * FROM ow_meta WHERE key <> 'seal.ow_meta'");
    } else if (form->column == NULL) {
        (void)snprintf(text, sizeof(text), "SELECT * FROM %s", form->table);
    } else {
        (void)snprintf(text, sizeof(text), "SELECT * FROM %s WHERE %s BETWEEN ? AND ?", form->table,
                       form->column);
    }
    OW_TRY(ow_sql_prepare(sql, text, ret_read, err));
    if (form->column != NULL) {
        const uint64_t width = (uint64_t)1 << form->bits;
        const int64_t first = (int64_t)((uint64_t)chunk << form->bits);
        ow_sql_bind_i64(ret_read, first);
        ow_sql_bind_i64(ret_read, (int64_t)((uint64_t)first + width - 1));
    }
    return OW_OK;
}

enum ow_status ow_seal_scan(struct ow_sql *sql, enum ow_seal_name name, int64_t chunk,
                            int64_t *ret_rows, uint64_t *ret_sum, struct ow_err *err)
{
    OW_STATEMENT read = {0};
    OW_BUFFER row = {0};
    OW_TRY(prepare_scan(sql, name, chunk, &read, err));
    return ow_seal_sum(&row, &read, ret_rows, ret_sum, err);
}

/* The least chunk behind the cursor that has rows; *ret_found is left alone where there is none. */
static enum ow_status find_rows(struct ow_sql *sql, const struct ow_seal_cursor *cursor,
                                bool *ret_found, int64_t *ret_chunk, struct ow_err *err)
{
    const struct ow_seal_form *form = &ow_seal_forms[cursor->name];
    char text[256];
    (void)snprintf(text, sizeof(text), "SELECT min(%s) >> %d FROM %s WHERE %s >= ?", form->column,
                   form->bits, form->table, form->column);
    OW_STATEMENT read = {0};
    bool row = false;
    OW_TRY(ow_sql_prepare(sql, text, &read, err));
    ow_sql_bind_i64(&read,
                    cursor->begun ? (cursor->chunk + 1) * ((int64_t)1 << form->bits) : INT64_MIN);
    OW_TRY(ow_sql_step(&read, &row, err));
    if (row && !ow_sql_is_null(&read, 0)) {
        *ret_found = true;
        *ret_chunk = ow_sql_i64(&read, 0);
    }
    return OW_OK;
}

/* Likewise, that has a sum in ow_meta; the keys are in the order of their chunks. */
static enum ow_status find_sum(struct ow_sql *sql, const struct ow_seal_cursor *cursor,
                               bool *ret_found, int64_t *ret_chunk, struct ow_err *err)
{
    const struct ow_seal_form *form = &ow_seal_forms[cursor->name];
    char after[OW_SEAL_KEY_BYTES];
    char end[OW_SEAL_KEY_BYTES];
    if (cursor->begun) {
        ow_seal_key((enum ow_seal_name)cursor->name, cursor->chunk, after);
    } else {
        (void)snprintf(after, sizeof(after), "seal.%s.", form->table);
    }
    (void)snprintf(end, sizeof(end), "seal.%s/", form->table); /* '/' follows '.' */
    OW_STATEMENT read = {0};
    bool row = false;
    OW_TRY(ow_sql_prepare(sql,
                          "SELECT CAST(substr(key, ?) AS INTEGER) FROM ow_meta"
                          " WHERE key > ? AND key < ? ORDER BY key LIMIT 1",
                          &read, err));
    ow_sql_bind_i64(&read, (int64_t)strlen(form->table) + 7);
    ow_sql_bind_cstr(&read, after);
    ow_sql_bind_cstr(&read, end);
    OW_TRY(ow_sql_step(&read, &row, err));
    /* A key of another hand need not be in its place; the sum of ow_meta tells of it. */
    if (row && (!cursor->begun || ow_sql_i64(&read, 0) > cursor->chunk)) {
        *ret_found = true;
        *ret_chunk = ow_sql_i64(&read, 0);
    }
    return OW_OK;
}

/* Moves to the least chunk behind the cursor that has rows or a sum. */
static enum ow_status find_chunk(struct ow_sql *sql, struct ow_seal_cursor *cursor, bool *ret_found,
                                 struct ow_err *err)
{
    *ret_found = !cursor->begun;
    if (ow_seal_forms[cursor->name].column == NULL) {
        return OW_OK;
    }
    bool rows = false;
    bool sum = false;
    int64_t of_rows = 0;
    int64_t of_sum = 0;
    OW_TRY(find_rows(sql, cursor, &rows, &of_rows, err));
    OW_TRY(find_sum(sql, cursor, &sum, &of_sum, err));
    *ret_found = rows || sum;
    cursor->chunk = rows && (!sum || of_rows < of_sum) ? of_rows : of_sum;
    return OW_OK;
}

enum ow_status ow_seal_next(struct ow_sql *sql, struct ow_seal_cursor *cursor,
                            struct ow_seal_check *ret_check, bool *ret_found, struct ow_err *err)
{
    *ret_found = false;
    while (cursor->name < OW_SEAL_COUNT) {
        OW_TRY(find_chunk(sql, cursor, ret_found, err));
        cursor->begun = true;
        if (*ret_found) {
            break;
        }
        *cursor = (struct ow_seal_cursor){.name = cursor->name + 1};
    }
    if (!*ret_found) {
        return OW_OK;
    }
    struct ow_seal seal = {.name = (enum ow_seal_name)cursor->name, .chunk = cursor->chunk};
    *ret_check = (struct ow_seal_check){.name = seal.name, .chunk = seal.chunk};
    uint64_t sum = 0;
    OW_TRY(ow_seal_load(sql, &seal, err));
    OW_TRY(ow_seal_scan(sql, seal.name, seal.chunk, &ret_check->rows, &sum, err));
    ret_check->stored = seal.stored;
    ret_check->fits = seal.committed == sum;
    return OW_OK;
}
