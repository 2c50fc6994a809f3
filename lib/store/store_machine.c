#include "store/internal.h"

#include <inttypes.h>

static enum ow_status register_machine(struct ow_sql *sql, const struct ow_machine *machine,
                                       struct ow_err *err);
static enum ow_status create_table(struct ow_sql *sql, const struct ow_machine *machine,
                                   const struct ow_table *table, struct ow_err *err);
static enum ow_status adapt_table(struct ow_sql *sql, const struct ow_machine *machine,
                                  const struct ow_table *table, struct ow_err *err);
static enum ow_status create_records(struct ow_sql *sql, const struct ow_machine *machine,
                                     struct ow_err *err);
static enum ow_status number_rules(struct ow_sql *sql, const struct ow_machine *machine,
                                   struct ow_err *err);
static enum ow_status number_rule(struct ow_sql *sql, struct ow_claim_rule *rule,
                                  struct ow_err *err);

static bool is_entity(const struct ow_machine *machine, const struct ow_table *table)
{
    return table == &machine->entity;
}

enum ow_status ow_store_machines(struct ow_sql *sql, struct ow_machines *machines,
                                 struct ow_err *err)
{
    OW_REQUIRE(ow_sql_in_transaction(sql));
    for (size_t i = 0; i < machines->count; i++) {
        const struct ow_machine *machine = machines->list[i];
        OW_TRY(register_machine(sql, machine, err));
        OW_TRY(create_table(sql, machine, &machine->entity, err));
        OW_TRY(create_records(sql, machine, err));
        OW_TRY(number_rules(sql, machine, err));
    }
    return OW_OK;
}

static enum ow_status create_records(struct ow_sql *sql, const struct ow_machine *machine,
                                     struct ow_err *err)
{
    for (size_t r = 0; r < machine->record_count; r++) {
        OW_TRY(create_table(sql, machine, &machine->records[r], err));
    }
    return OW_OK;
}

static enum ow_status number_rules(struct ow_sql *sql, const struct ow_machine *machine,
                                   struct ow_err *err)
{
    for (size_t e = 0; e < machine->event_count; e++) {
        OW_TRY(number_rule(sql, machine->events[e].claim, err));
    }
    return OW_OK;
}

/* A version is what was stored under it, for ever: verify judges old history by it. */
static enum ow_status register_machine(struct ow_sql *sql, const struct ow_machine *machine,
                                       struct ow_err *err)
{
    OW_STATEMENT find = {0};
    OW_TRY(ow_sql_prepare(
        sql, "SELECT version, digest FROM ow_machine WHERE name = ? ORDER BY version DESC LIMIT 1",
        &find, err));
    ow_sql_bind_cstr(&find, machine->name);
    bool row = false;
    OW_TRY(ow_sql_step(&find, &row, err));
    const struct ow_slice digest = {machine->digest, sizeof(machine->digest)};
    if (row && ow_sql_i64(&find, 0) > machine->version) {
        return ow_fail(err, OW_UNSAFE,
                       "machine '%s' has version %" PRId64
                       ", but the store was used with version %" PRId64
                       ": go on with that one, or raise its version",
                       machine->name, machine->version, ow_sql_i64(&find, 0));
    }
    if (row && ow_sql_i64(&find, 0) == machine->version) {
        if (!ow_slice_equal(ow_sql_slice(&find, 1), digest)) {
            return ow_fail(err, OW_UNSAFE,
                           "machine '%s' was changed, but its version is still %" PRId64
                           ": raise its version",
                           machine->name, machine->version);
        }
        return OW_OK;
    }
    OW_STATEMENT insert = {0};
    OW_TRY(ow_sql_prepare(
        sql, "INSERT INTO ow_machine (name, version, digest, text) VALUES (?, ?, ?, ?)", &insert,
        err));
    ow_sql_bind_cstr(&insert, machine->name);
    ow_sql_bind_i64(&insert, machine->version);
    ow_sql_bind_blob(&insert, digest);
    ow_sql_bind_cstr(&insert, machine->text);
    return ow_sql_run(&insert, NULL, err);
}

void ow_store_identifier(struct ow_buffer *out, const char *name)
{
    ow_buffer_byte(out, '"');
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '"') {
            ow_buffer_byte(out, '"');
        }
        ow_buffer_byte(out, (uint8_t)*c);
    }
    ow_buffer_byte(out, '"');
}

static void append_default(struct ow_buffer *out, const struct ow_value *value)
{
    switch (value->type) {
    case OW_TYPE_NULL:
        ow_buffer_text(out, "NULL");
        return;
    case OW_TYPE_INTEGER:
        ow_buffer_printf(out, "%" PRId64, value->integer);
        return;
    case OW_TYPE_TEXT:
        ow_buffer_byte(out, '\'');
        for (size_t i = 0; i < value->text.len; i++) {
            if (value->text.ptr[i] == '\'') {
                ow_buffer_byte(out, '\'');
            }
            ow_buffer_byte(out, value->text.ptr[i]);
        }
        ow_buffer_byte(out, '\'');
        return;
    }
    OW_IMPOSSIBLE("a value has a type");
}

/* required: NOT NULL. A column that is added to a table with rows cannot be that without a default.
 */
static void append_column(struct ow_buffer *out, const struct ow_column *column, bool required)
{
    ow_store_identifier(out, column->name);
    ow_buffer_text(out, column->type == OW_TYPE_INTEGER ? " INTEGER" : " TEXT");
    if (required || column->has_default) {
        ow_buffer_text(out, " NOT NULL");
    }
    if (column->has_default) {
        ow_buffer_text(out, " DEFAULT ");
        append_default(out, &column->default_value);
    }
}

static enum ow_status create_indexes(struct ow_sql *sql, const struct ow_table *table,
                                     struct ow_err *err)
{
    OW_BUFFER text = {0};
    for (size_t c = 0; c < table->column_count; c++) {
        if (!table->columns[c].index) {
            continue;
        }
        OW_BUFFER name = {0};
        ow_buffer_printf(&name, "%s_%s", table->name, table->columns[c].name);
        ow_buffer_clear(&text);
        ow_buffer_text(&text, "CREATE INDEX IF NOT EXISTS ");
        ow_store_identifier(&text, ow_buffer_cstr(&name));
        ow_buffer_text(&text, " ON ");
        ow_store_identifier(&text, table->name);
        ow_buffer_text(&text, " (");
        ow_store_identifier(&text, table->columns[c].name);
        ow_buffer_text(&text, ")");
        OW_TRY(ow_sql_exec(sql, ow_buffer_cstr(&text), err));
    }
    return OW_OK;
}

static enum ow_status table_exists(struct ow_sql *sql, const char *name, bool *ret_exists,
                                   struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(sql, "SELECT 1 FROM sqlite_schema WHERE name = ? COLLATE NOCASE",
                          &statement, err));
    ow_sql_bind_cstr(&statement, name);
    return ow_sql_step(&statement, ret_exists, err);
}

static enum ow_status create_table(struct ow_sql *sql, const struct ow_machine *machine,
                                   const struct ow_table *table, struct ow_err *err)
{
    bool exists = false;
    OW_TRY(table_exists(sql, table->name, &exists, err));
    if (exists) {
        OW_TRY(adapt_table(sql, machine, table, err));
        return create_indexes(sql, table, err);
    }
    const bool entity = is_entity(machine, table);
    OW_BUFFER text = {0};
    ow_buffer_text(&text, "CREATE TABLE ");
    ow_store_identifier(&text, table->name);
    ow_buffer_text(&text, " (");
    ow_store_identifier(&text, table->key);
    ow_buffer_text(&text, " TEXT NOT NULL PRIMARY KEY");
    if (entity) {
        ow_buffer_text(&text, ", state TEXT NOT NULL, version INTEGER NOT NULL CHECK (version > 0),"
                              " last_seq INTEGER NOT NULL");
    }
    for (size_t c = 0; c < table->column_count; c++) {
        ow_buffer_text(&text, ", ");
        append_column(&text, &table->columns[c], !entity);
    }
    ow_buffer_text(&text, entity
                              ? ", created_at_ms INTEGER NOT NULL, updated_at_ms INTEGER NOT NULL"
                              : ", seq INTEGER NOT NULL");
    ow_buffer_text(&text, ") STRICT, WITHOUT ROWID");
    const enum ow_status status = ow_sql_exec(sql, ow_buffer_cstr(&text), err);
    if (status != OW_OK) {
        return ow_fail_within(err, status, "cannot create table '%s' of machine '%s'", table->name,
                              machine->name);
    }
    return create_indexes(sql, table, err);
}

static const struct ow_column *declared(const struct ow_table *table, const char *name)
{
    for (size_t c = 0; c < table->column_count; c++) {
        if (strcmp(table->columns[c].name, name) == 0) {
            return &table->columns[c];
        }
    }
    return NULL;
}

/* The type of a column that every table of its kind has, or NULL. */
static const char *fixed_type(const struct ow_machine *machine, const struct ow_table *table,
                              const char *name)
{
    static const char *const entity_integers[] = {"version", "last_seq", "created_at_ms",
                                                  "updated_at_ms"};
    if (strcmp(name, table->key) == 0) {
        return "TEXT";
    }
    if (!is_entity(machine, table)) {
        return strcmp(name, "seq") == 0 ? "INTEGER" : NULL;
    }
    if (strcmp(name, "state") == 0) {
        return "TEXT";
    }
    for (size_t i = 0; i < sizeof(entity_integers) / sizeof(entity_integers[0]); i++) {
        if (strcmp(name, entity_integers[i]) == 0) {
            return "INTEGER";
        }
    }
    return NULL;
}

/* A stored column is one of the machine's, with its type. *ret_known counts the declared ones and
 * the fixed ones. */
static enum ow_status check_columns(struct ow_sql *sql, const struct ow_machine *machine,
                                    const struct ow_table *table, bool *present, size_t *ret_fixed,
                                    struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(
        ow_sql_prepare(sql, "SELECT name, type, pk FROM pragma_table_xinfo(?)", &statement, err));
    ow_sql_bind_cstr(&statement, table->name);
    OW_CLEANUP(ow_arena_done) struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        const char *name = ow_arena_text(&arena, ow_sql_slice(&statement, 0));
        const struct ow_slice type = ow_sql_slice(&statement, 1);
        const struct ow_column *column = declared(table, name);
        const char *wanted = fixed_type(machine, table, name);
        if (column != NULL) {
            wanted = column->type == OW_TYPE_INTEGER ? "INTEGER" : "TEXT";
            present[column - table->columns] = true;
        } else if (wanted != NULL) {
            (*ret_fixed)++;
        }
        const bool is_key = strcmp(name, table->key) == 0;
        if (wanted == NULL || !ow_slice_equals_text(type, wanted) ||
            (ow_sql_i64(&statement, 2) == 1) != is_key) {
            return ow_fail(err, OW_BAD_CONFIG,
                           "the store's table '%s' has a column '%s' of type " OW_SLICE_FMT
                           ", which machine '%s' does not declare so",
                           table->name, name, OW_SLICE_ARG(type), machine->name);
        }
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

/* A newer version of a machine may declare more columns, and nothing else. */
static enum ow_status adapt_table(struct ow_sql *sql, const struct ow_machine *machine,
                                  const struct ow_table *table, struct ow_err *err)
{
    bool present[OW_TABLE_COLUMNS_MAX] = {false};
    size_t fixed = 0;
    OW_REQUIRE(table->column_count <= OW_TABLE_COLUMNS_MAX);
    OW_TRY(check_columns(sql, machine, table, present, &fixed, err));
    if (fixed != (is_entity(machine, table) ? 6U : 2U)) {
        return ow_fail(err, OW_BAD_CONFIG,
                       "the store has a '%s' already that is no table of machine '%s'", table->name,
                       machine->name);
    }
    for (size_t c = 0; c < table->column_count; c++) {
        if (present[c]) {
            continue;
        }
        OW_BUFFER text = {0};
        ow_buffer_text(&text, "ALTER TABLE ");
        ow_store_identifier(&text, table->name);
        ow_buffer_text(&text, " ADD COLUMN ");
        append_column(&text, &table->columns[c], false);
        OW_TRY(ow_sql_exec(sql, ow_buffer_cstr(&text), err));
    }
    return OW_OK;
}

/* The number of a rule's text; a new text gets the lowest free number. */
static enum ow_status number_rule(struct ow_sql *sql, struct ow_claim_rule *rule,
                                  struct ow_err *err)
{
    OW_CLEANUP(ow_arena_done) struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    const char *key = NULL;
    const char *text = "";
    int number = 0;
    while (text != NULL && strcmp(text, rule->rule_text) != 0) {
        if (++number > OW_FINGERPRINT_RULES_MAX) {
            return ow_fail(err, OW_BAD_CONFIG,
                           "the store has seen %d fingerprint rules, as many as it can number",
                           OW_FINGERPRINT_RULES_MAX);
        }
        key = ow_arena_printf(&arena, "fingerprint_rule.%d", number);
        OW_TRY(ow_meta_get_text(sql, key, &arena, &text, err));
    }
    OW_ENSURE(number > 0);
    rule->rule_number = (uint8_t)number;
    return text != NULL ? OW_OK : ow_meta_put_text(sql, key, rule->rule_text, err);
}
