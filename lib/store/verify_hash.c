#include "store/internal.h"
#include "store/verify_internal.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * The state hash (DESIGN 5, reading 13 of ARCHITECTURE): BLAKE2b-256 over all rows of the business
 * tables: tables by name, rows by key, columns by name without last_seq and seq. Two stores with
 * the same business state have the same one, whatever way their records came.
 */

static int compare_names(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;
    return strcmp(*left, *right);
}

static enum ow_status hash_table(struct ow_verify *verify, struct ow_hash *hash,
                                 const struct ow_table *table, bool entity, struct ow_err *err)
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
    for (size_t i = 0; i < count; i++) {
        ow_buffer_text(&text, i == 0 ? "SELECT " : ", ");
        ow_store_identifier(&text, names[i]);
    }
    ow_buffer_text(&text, " FROM ");
    ow_store_identifier(&text, table->name);
    ow_buffer_text(&text, " ORDER BY ");
    ow_store_identifier(&text, table->key);
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&verify->sql, ow_buffer_cstr(&text), &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        for (size_t i = 0; i < count; i++) {
            const struct ow_value value = ow_sql_value(&statement, (int)i, NULL);
            char digits[24];
            struct ow_slice part = value.text; /* NULL: the absent slice */
            if (value.type == OW_TYPE_INTEGER) {
                (void)snprintf(digits, sizeof(digits), "%lld", (long long)value.integer);
                part = ow_slice_of(digits);
            }
            ow_hash_part(hash, part);
        }
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

/* A business table with whether it is an entity's. */
struct named_table {
    const struct ow_table *table;
    bool entity;
};

static int compare_tables(const void *a, const void *b)
{
    const struct named_table *left = a;
    const struct named_table *right = b;
    return strcmp(left->table->name, right->table->name);
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
    struct ow_hash hash;
    uint8_t digest[OW_DIGEST_BYTES];
    ow_hash_begin(&hash, NULL, sizeof(digest));
    for (size_t i = 0; i < count; i++) {
        OW_TRY(hash_table(verify, &hash, tables[i].table, tables[i].entity, err));
    }
    ow_hash_end(&hash, digest, sizeof(digest));
    ow_hash_hex(digest, sizeof(digest), verify->state_hash);
    return OW_OK;
}
