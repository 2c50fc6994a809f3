#include "base/failpoint.h"
#include "store/internal.h"

static struct ow_statement *statement_of(struct ow_store *store, const struct ow_row *row,
                                         bool insert)
{
    struct ow_machine_statements *statements = &store->machine_statements[row->machine->index];
    OW_REQUIRE(row->table->index < statements->record_count);
    return insert ? &statements->row_insert[row->table->index]
                  : &statements->row_read[row->table->index];
}

static enum ow_status read_one(struct ow_store *store, struct ow_world *world, struct ow_row *row,
                               struct ow_err *err)
{
    struct ow_statement *read = statement_of(store, row, false);
    if (row->columns == NULL) {
        row->columns = OW_ARENA_ARRAY(world->arena, row->table->column_count, struct ow_value);
    }
    ow_sql_bind_text(read, row->key);
    OW_TRY(ow_sql_step(read, &row->exists, err));
    if (row->exists) {
        for (size_t c = 0; c < row->table->column_count; c++) {
            row->columns[c] = ow_sql_value(read, (int)c, world->arena);
        }
        row->seq = ow_sql_i64(read, (int)row->table->column_count);
        ow_sql_reset(read);
    }
    row->loaded = true;
    return OW_OK;
}

enum ow_status ow_row_read(struct ow_store *store, struct ow_world *world, struct ow_err *err)
{
    for (struct ow_row *row = world->rows; row != NULL; row = row->next) {
        if (row->loaded) {
            continue;
        }
        OW_TRY(read_one(store, world, row, err));
    }
    return OW_OK;
}

static enum ow_status write_one(struct ow_store *store, const struct ow_row *row,
                                struct ow_err *err)
{
    OW_REQUIRE(row->seq > 0);
    struct ow_statement *write = statement_of(store, row, true);
    for (size_t c = 0; c < row->table->column_count; c++) {
        ow_sql_bind_value(write, &row->columns[c]);
    }
    ow_sql_bind_i64(write, row->seq);
    ow_sql_bind_text(write, row->key);
    int64_t changes = 0;
    OW_TRY(ow_sql_write(write, &changes, err));
    if (changes != 1) {
        return ow_fail(err, OW_FAILED,
                       "table '%s' has a row '" OW_SLICE_FMT
                       "' already, but had none when it was read",
                       row->table->name, OW_SLICE_ARG(row->key));
    }
    return OW_OK;
}

enum ow_status ow_row_write(struct ow_store *store, const struct ow_world *world,
                            struct ow_err *err)
{
    for (const struct ow_row *row = world->rows; row != NULL; row = row->next) {
        if (!row->fresh) {
            continue;
        }
        OW_TRY(write_one(store, row, err));
        OW_FAILPOINT(RECORD_WRITTEN);
    }
    return OW_OK;
}
