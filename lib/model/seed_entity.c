#include "model/seed_entity.h"

#include "base/contract.h"

static const struct ow_column *find_column(const struct ow_table *table, const char *name,
                                           size_t *ret_index)
{
    for (size_t c = 0; c < table->column_count; c++) {
        if (strcmp(table->columns[c].name, name) == 0) {
            *ret_index = c;
            return &table->columns[c];
        }
    }
    return NULL;
}

/* A value of a column, as a transition could have left it. Returns the problem, or NULL. */
static const char *take_value(const struct ow_column *column, const json_t *value,
                              struct ow_arena *arena, struct ow_value *ret_value)
{
    if (column->type == OW_TYPE_INTEGER) {
        const int64_t integer = json_integer_value(value);
        if (!json_is_integer(value) || integer < -OW_INTEGER_MAX || integer > OW_INTEGER_MAX) {
            return ow_arena_printf(arena, "'%s' is not an integer within 2^53", column->name);
        }
        if (integer < column->min || integer > column->max) {
            return ow_arena_printf(arena, "'%s' is outside its range", column->name);
        }
        *ret_value = ow_value_integer(integer);
        return NULL;
    }
    const struct ow_slice text = {(const uint8_t *)json_string_value(value),
                                  json_string_length(value)};
    if (!json_is_string(value) || !ow_slice_is_text(text)) {
        return ow_arena_printf(arena, "'%s' is not a text", column->name);
    }
    const int64_t characters = (int64_t)ow_slice_characters(text);
    if (characters < column->length_min || characters > column->length_max) {
        return ow_arena_printf(arena, "'%s' has not the length of its column", column->name);
    }
    *ret_value = ow_value_text(ow_arena_copy(arena, text));
    return NULL;
}

/* The members of object, all of them columns of the table but key (NULL: none is). */
static const char *take_columns(const struct ow_table *table, const char *key, const json_t *object,
                                struct ow_arena *arena, struct ow_value *columns)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        size_t index = 0;
        const struct ow_column *column = find_column(table, name, &index);
        if ((key != NULL && strcmp(key, name) == 0) || (column != NULL && json_is_null(value))) {
            continue;
        }
        const char *problem =
            column == NULL
                ? ow_arena_printf(arena, "table '%s' has no column '%s'", table->name, name)
                : take_value(column, value, arena, &columns[index]);
        if (problem != NULL) {
            return problem;
        }
    }
    return NULL;
}

static const struct ow_table *find_table(const struct ow_machine *machine, const char *name)
{
    for (size_t r = 0; r < machine->record_count; r++) {
        if (strcmp(machine->records[r].name, name) == 0) {
            return &machine->records[r];
        }
    }
    return NULL;
}

static struct ow_value *defaults_of(const struct ow_table *table, struct ow_arena *arena)
{
    struct ow_value *columns = OW_ARENA_ARRAY(arena, table->column_count, struct ow_value);
    for (size_t c = 0; c < table->column_count; c++) {
        columns[c] =
            table->columns[c].has_default ? table->columns[c].default_value : OW_VALUE_NULL;
    }
    return columns;
}

static const char *take_row(const struct ow_table *table, const json_t *object,
                            struct ow_arena *arena, struct ow_seed_row *row)
{
    const json_t *key = ow_seed_member(object, table->key);
    *row = (struct ow_seed_row){.table = table, .columns = defaults_of(table, arena)};
    if (!json_is_object(object)) {
        return ow_arena_printf(arena, "a row of '%s' is no object", table->name);
    }
    if (key == NULL || !ow_seed_read_text(key, arena, &row->key)) {
        return ow_arena_printf(arena, "a row of '%s' has no '%s'", table->name, table->key);
    }
    row->key = ow_arena_copy(arena, row->key);
    const char *problem = take_columns(table, table->key, object, arena, row->columns);
    for (size_t c = 0; problem == NULL && c < table->column_count; c++) {
        if (row->columns[c].type == OW_TYPE_NULL) {
            problem = ow_arena_printf(arena, "a row of '%s' has no '%s'", table->name,
                                      table->columns[c].name);
        }
    }
    return problem;
}

static const char *take_rows(const struct ow_table *table, const json_t *list,
                             struct ow_arena *arena, struct ow_seed_row **rows)
{
    if (!json_is_array(list)) {
        return ow_arena_printf(arena, "the rows of '%s' are no array", table->name);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct ow_seed_row *row = OW_ARENA_NEW(arena, struct ow_seed_row);
        const char *problem = take_row(table, json_array_get(list, i), arena, row);
        if (problem != NULL) {
            return problem;
        }
        for (const struct ow_seed_row *other = *rows; other != NULL; other = other->next) {
            if (other->table == table && ow_slice_equal(other->key, row->key)) {
                return ow_arena_printf(arena, "'%s' has a row twice", table->name);
            }
        }
        row->next = *rows;
        *rows = row;
    }
    return NULL;
}

static const char *take_records(const struct ow_machine *machine, const json_t *records,
                                struct ow_arena *arena, struct ow_seed_row **ret_rows)
{
    *ret_rows = NULL;
    if (records != NULL && !json_is_object(records)) {
        return "'records' is no object";
    }
    const char *name = NULL;
    json_t *list = NULL;
    json_object_foreach((json_t *)(uintptr_t)records, name, list)
    {
        const struct ow_table *table = find_table(machine, name);
        const char *problem =
            table == NULL ? ow_arena_printf(arena, "the machine records nothing in '%s'", name)
                          : take_rows(table, list, arena, ret_rows);
        if (problem != NULL) {
            return problem;
        }
    }
    return NULL;
}

const char *ow_seed_entity_read_data(const struct ow_machine *machine, const json_t *data,
                                     struct ow_arena *arena, struct ow_value *columns,
                                     struct ow_seed_row **ret_rows)
{
    const json_t *given = json_object_get(data, "columns");
    const json_t *records = json_object_get(data, "records");
    if (!json_is_object(given) || json_object_size(data) != (records == NULL ? 1U : 2U)) {
        return "what was given is not its columns and records";
    }
    const char *problem = take_columns(&machine->entity, NULL, given, arena, columns);
    return problem != NULL ? problem : take_records(machine, records, arena, ret_rows);
}

/* Members of their own, which no column can have the name of. */
static const char *const own_members[] = {"machine", "id", "state", "at", "records", NULL};

static const char *find_clash(const struct ow_machine *machine, struct ow_arena *arena)
{
    for (size_t i = 0; own_members[i] != NULL; i++) {
        size_t index = 0;
        if (find_column(&machine->entity, own_members[i], &index) != NULL) {
            return ow_arena_printf(arena,
                                   "column '%s' of table '%s' cannot be told from the member of "
                                   "that name",
                                   own_members[i], machine->entity.name);
        }
    }
    return NULL;
}

/* {"columns":{…},"records":{…}}: what was given, and no more, so that a default stays one. A
 * database has no objects: there records are a text. */
static const char *make_data(const json_t *object, json_t **ret_data)
{
    json_t *columns = json_object();
    *ret_data = json_pack("{s:o}", "columns", columns);
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        size_t i = 0;
        while (own_members[i] != NULL && strcmp(own_members[i], name) != 0) {
            i++;
        }
        if (own_members[i] == NULL && !json_is_null(value)) {
            (void)json_object_set(columns, name, value);
        }
    }
    const json_t *records = ow_seed_member(object, "records");
    if (records == NULL) {
        return NULL;
    }
    json_t *parsed = json_is_string(records)
                         ? json_loads(json_string_value(records), JSON_REJECT_DUPLICATES, NULL)
                         : json_incref((json_t *)(uintptr_t)records);
    if (parsed == NULL) {
        return "'records' is a text, and no JSON";
    }
    (void)json_object_set_new(*ret_data, "records", parsed);
    return NULL;
}

const char *ow_seed_entity_read(const struct ow_machine *machine, const json_t *object,
                                struct ow_arena *arena, struct ow_seed_entity *ret_entity)
{
    if (!json_is_object(object)) {
        return "it is no JSON object";
    }
    *ret_entity = (struct ow_seed_entity){.machine = machine,
                                          .columns = defaults_of(&machine->entity, arena)};
    const json_t *name = ow_seed_member(object, "machine");
    const json_t *id = ow_seed_member(object, "id");
    const json_t *state = ow_seed_member(object, "state");
    const int number = ow_machine_state(machine, ow_slice_of(json_string_value(state)));
    if (name != NULL &&
        !ow_slice_equals_text(ow_slice_of(json_string_value(name)), machine->name)) {
        return "'machine' is another one";
    }
    if (id == NULL || !ow_seed_read_text(id, arena, &ret_entity->id)) {
        return "'id' is no text with anything in it";
    }
    if (number <= 0) {
        return "'state' is no state of the machine";
    }
    ret_entity->id = ow_arena_copy(arena, ret_entity->id);
    ret_entity->state = (size_t)number;
    OW_JSON *data = NULL;
    const char *problem = find_clash(machine, arena);
    if (problem == NULL) {
        problem = ow_seed_read_time(object, &ret_entity->at_ms);
    }
    if (problem == NULL) {
        problem = make_data(object, &data);
    }
    if (problem == NULL) {
        problem =
            ow_seed_entity_read_data(machine, data, arena, ret_entity->columns, &ret_entity->rows);
    }
    if (problem == NULL) {
        OW_BUFFER text = {0};
        ow_json_canonical(&text, data, NULL, NULL, 0);
        ret_entity->data = ow_arena_copy(arena, ow_buffer_view(&text));
    }
    return problem;
}
