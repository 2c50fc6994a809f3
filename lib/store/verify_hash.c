#include "store/internal.h"
#include "store/verify_internal.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * The state hash (DESIGN 5, reading 13 of ARCHITECTURE): BLAKE2b-256 over all rows of the business
 * tables: tables by name, rows by key, columns by name without last_seq and seq. Two stores with
 * the same business state have the same one, whatever way their records came.
 */

/* How often a state is waited for that holds still for long enough. */
enum { ATTEMPTS = 4 };

static int compare_names(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;
    return strcmp(*left, *right);
}

/* A business table with whether it is an entity's. */
struct named_table {
    const struct ow_table *table;
    bool entity;
};

/* A scan over the table: its key, then its columns by name. */
static enum ow_status open_table(struct ow_verify *verify, const struct ow_table *table,
                                 bool entity, struct ow_verify_cursor *cursor, size_t *ret_count,
                                 struct ow_err *err)
{
    static const char *const fixed[] = {"state", "version", "created_at_ms", "updated_at_ms"};
    const char *names[OW_TABLE_COLUMNS_MAX + 5] = {table->key};
    size_t count = 1;
    for (size_t i = 0; entity && i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        names[count++] = fixed[i];
    }
    for (size_t c = 0; c < table->column_count; c++) {
        names[count++] = table->columns[c].name;
    }
    qsort(names, count, sizeof(const char *), compare_names);

    OW_BUFFER text = {0};
    ow_buffer_text(&text, "SELECT ");
    ow_store_identifier(&text, table->key);
    for (size_t i = 0; i < count; i++) {
        ow_buffer_text(&text, ", ");
        ow_store_identifier(&text, names[i]);
    }
    ow_buffer_text(&text, " FROM ");
    ow_store_identifier(&text, table->name);
    ow_verify_append_order(&text, table);
    *ret_count = count;
    return ow_verify_cursor_open(cursor, verify, ow_buffer_cstr(&text), err);
}

static void hash_row(struct ow_hash *hash, const struct ow_statement *row, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct ow_value value = ow_sql_value(row, 1 + (int)i, NULL);
        char digits[24];
        struct ow_slice part = value.text; /* NULL: the absent slice */
        if (value.type == OW_TYPE_INTEGER) {
            (void)snprintf(digits, sizeof(digits), "%lld", (long long)value.integer);
            part = ow_slice_of(digits);
        }
        ow_hash_part(hash, part);
    }
}

/* *ret_same: the store was not written to since batch; else the hash is of no state that ever was.
 */
static enum ow_status hash_table(struct ow_verify *verify, struct ow_hash *hash,
                                 const struct named_table *named, int64_t batch, bool *ret_same,
                                 struct ow_err *err)
{
    OW_VERIFY_CURSOR rows = {.by = OW_VERIFY_BY_TEXT};
    size_t count = 0;
    OW_TRY(open_table(verify, named->table, named->entity, &rows, &count, err));
    bool row = false;
    OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    while (row && *ret_same) {
        hash_row(hash, &rows.statement, count);
        OW_TRY(ow_verify_pause(verify, err));
        *ret_same = verify->slices.batch == batch;
        OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    }
    return OW_OK;
}

static int compare_tables(const void *a, const void *b)
{
    const struct named_table *left = a;
    const struct named_table *right = b;
    return strcmp(left->table->name, right->table->name);
}

/* One state: in one snapshot, or in several between which nobody wrote. */
static enum ow_status hash_all(struct ow_verify *verify, const struct named_table *tables,
                               size_t count, bool *ret_same, struct ow_err *err)
{
    OW_TRY(ow_verify_turn(verify, err));
    const int64_t batch = verify->slices.batch;
    struct ow_hash hash;
    uint8_t digest[OW_DIGEST_BYTES];
    ow_hash_begin(&hash, NULL, sizeof(digest));
    for (size_t i = 0; i < count && *ret_same; i++) {
        OW_TRY(hash_table(verify, &hash, &tables[i], batch, ret_same, err));
    }
    ow_hash_end(&hash, digest, sizeof(digest));
    if (*ret_same) {
        ow_hash_hex(digest, sizeof(digest), verify->state_hash);
    }
    return OW_OK;
}

enum ow_status ow_verify_state_hash(struct ow_verify *verify, struct ow_err *err)
{
    size_t count = 0;
    for (const struct ow_verify_machine *machine = verify->machines; machine != NULL;
         machine = machine->next) {
        count += 1 + machine->newest->record_count;
    }
    struct named_table *tables = OW_ARENA_ARRAY(verify->arena, count, struct named_table);
    count = 0;
    for (const struct ow_verify_machine *machine = verify->machines; machine != NULL;
         machine = machine->next) {
        tables[count++] = (struct named_table){&machine->newest->entity, true};
        for (size_t r = 0; r < machine->newest->record_count; r++) {
            tables[count++] = (struct named_table){&machine->newest->records[r], false};
        }
    }
    if (count > 1) {
        qsort(tables, count, sizeof(tables[0]), compare_tables);
    }
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        bool same = true;
        OW_TRY(hash_all(verify, tables, count, &same, err));
        if (same) {
            return OW_OK;
        }
    }
    ow_verify_remark(verify, "no state hash: the worker wrote between the slices, and a hash needs "
                             "one state. Stop the worker, or run verify on a backup");
    return OW_OK;
}
