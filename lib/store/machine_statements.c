#include "store/internal.h"

/* The statements over a machine's own tables. Columns come in the order of the machine, whatever
 * the table's is. */

static void append_columns(struct ow_buffer *out, const struct ow_table *table, const char *suffix)
{
    for (size_t c = 0; c < table->column_count; c++) {
        ow_store_identifier(out, table->columns[c].name);
        ow_buffer_text(out, suffix);
    }
}

static void append_marks(struct ow_buffer *out, size_t count)
{
    ow_buffer_text(out, ") VALUES (?");
    for (size_t i = 1; i < count; i++) {
        ow_buffer_text(out, ", ?");
    }
    ow_buffer_text(out, ")");
}

/* SELECT each column, then the columns that every table of its kind has. */
static enum ow_status prepare_read(struct ow_sql *sql, const struct ow_table *table,
                                   const char *fixed, struct ow_statement *ret_statement,
                                   struct ow_err *err)
{
    OW_BUFFER text = {0};
    ow_buffer_text(&text, "SELECT ");
    append_columns(&text, table, ", ");
    ow_buffer_text(&text, fixed);
    ow_buffer_text(&text, " FROM ");
    ow_store_identifier(&text, table->name);
    ow_buffer_text(&text, " WHERE ");
    ow_store_identifier(&text, table->key);
    ow_buffer_text(&text, " = ?");
    return ow_sql_prepare(sql, ow_buffer_cstr(&text), ret_statement, err);
}

/* INSERT columns, then fixed ones, then the key. A key that is there changes nothing: the caller
 * counts. */
static enum ow_status prepare_insert(struct ow_sql *sql, const struct ow_table *table,
                                     const char *fixed, size_t fixed_count,
                                     struct ow_statement *ret_statement, struct ow_err *err)
{
    OW_BUFFER text = {0};
    ow_buffer_text(&text, "INSERT INTO ");
    ow_store_identifier(&text, table->name);
    ow_buffer_text(&text, " (");
    append_columns(&text, table, ", ");
    ow_buffer_text(&text, fixed);
    ow_buffer_text(&text, ", ");
    ow_store_identifier(&text, table->key);
    append_marks(&text, table->column_count + fixed_count + 1);
    ow_buffer_text(&text, " ON CONFLICT (");
    ow_store_identifier(&text, table->key);
    ow_buffer_text(&text, ") DO NOTHING");
    return ow_sql_prepare(sql, ow_buffer_cstr(&text), ret_statement, err);
}

static enum ow_status prepare_update(struct ow_sql *sql, const struct ow_table *table,
                                     struct ow_statement *ret_statement, struct ow_err *err)
{
    OW_BUFFER text = {0};
    ow_buffer_text(&text, "UPDATE ");
    ow_store_identifier(&text, table->name);
    ow_buffer_text(&text, " SET ");
    append_columns(&text, table, " = ?, ");
    ow_buffer_text(
        &text, "state = ?, version = ?, last_seq = ?, created_at_ms = ?, updated_at_ms = ? WHERE ");
    ow_store_identifier(&text, table->key);
    ow_buffer_text(&text, " = ? AND version = ?");
    return ow_sql_prepare(sql, ow_buffer_cstr(&text), ret_statement, err);
}

static enum ow_status prepare_machine(struct ow_store *store, const struct ow_machine *machine,
                                      struct ow_machine_statements *statements, struct ow_err *err)
{
    static const char fixed[] = "state, version, last_seq, created_at_ms, updated_at_ms";
    struct ow_sql *sql = &store->sql;
    statements->row_read =
        OW_ARENA_ARRAY(&store->arena, machine->record_count, struct ow_statement);
    statements->row_insert =
        OW_ARENA_ARRAY(&store->arena, machine->record_count, struct ow_statement);
    statements->record_count = machine->record_count;
    OW_TRY(prepare_read(sql, &machine->entity, fixed, &statements->entity_read, err));
    OW_TRY(prepare_insert(sql, &machine->entity, fixed, 5, &statements->entity_insert, err));
    OW_TRY(prepare_update(sql, &machine->entity, &statements->entity_update, err));
    for (size_t r = 0; r < machine->record_count; r++) {
        OW_TRY(prepare_read(sql, &machine->records[r], "seq", &statements->row_read[r], err));
        OW_TRY(
            prepare_insert(sql, &machine->records[r], "seq", 1, &statements->row_insert[r], err));
    }
    return OW_OK;
}

enum ow_status ow_machine_statements_prepare(struct ow_store *store,
                                             const struct ow_machines *machines, struct ow_err *err)
{
    store->machine_statements =
        OW_ARENA_ARRAY(&store->arena, machines->count, struct ow_machine_statements);
    store->machine_count = machines->count;
    for (size_t i = 0; i < machines->count; i++) {
        OW_REQUIRE(machines->list[i]->index == (int64_t)i);
        OW_TRY(prepare_machine(store, machines->list[i], &store->machine_statements[i], err));
    }
    return OW_OK;
}

void ow_machine_statements_done(struct ow_store *store)
{
    for (size_t i = 0; i < store->machine_count; i++) {
        struct ow_machine_statements *statements = &store->machine_statements[i];
        ow_sql_finalize(&statements->entity_read);
        ow_sql_finalize(&statements->entity_insert);
        ow_sql_finalize(&statements->entity_update);
        for (size_t r = 0; r < statements->record_count; r++) {
            ow_sql_finalize(&statements->row_read[r]);
            ow_sql_finalize(&statements->row_insert[r]);
        }
    }
    store->machine_count = 0;
}
