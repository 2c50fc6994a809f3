/* The entity table and the append-only record tables. */
#include "model/machine_load.h"

int ow_table_column(const struct ow_table *table, const char *name)
{
    for (size_t i = 0; i < table->column_count; i++) {
        if (strcmp(table->columns[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

enum ow_status ow_table_check_constant(struct ow_machine_load *load, const char *path,
                                       const struct ow_column *column, const struct ow_value *value)
{
    if (value->type == OW_TYPE_INTEGER &&
        (value->integer < column->min || value->integer > column->max)) {
        return ow_tree_fail(load->tree, path, load->err,
                            "%lld is outside the declared range of the column '%s'",
                            (long long)value->integer, column->name);
    }
    if (value->type == OW_TYPE_TEXT) {
        const int64_t characters = (int64_t)ow_slice_characters(value->text);
        if (characters < column->length_min || characters > column->length_max) {
            return ow_tree_fail(load->tree, path, load->err,
                                "'" OW_SLICE_FMT "' has not the declared length of the column '%s'",
                                OW_SLICE_ARG(value->text), column->name);
        }
    }
    return OW_OK;
}

static int64_t integer_or(const json_t *object, const char *name, int64_t fallback)
{
    const json_t *const value = json_object_get(object, name);
    return value == NULL ? fallback : json_integer_value(value);
}

static enum ow_status load_lengths(struct ow_machine_load *load, const json_t *json,
                                   const char *path, struct ow_column *column)
{
    const json_t *const length = json_object_get(json, "length");
    if (length != NULL && (json_object_get(json, "min_length") != NULL ||
                           json_object_get(json, "max_length") != NULL)) {
        return ow_tree_fail(load->tree, path, load->err,
                            "length says it all: no min_length or max_length beside it");
    }
    column->length_min = integer_or(json, length != NULL ? "length" : "min_length", 0);
    column->length_max = integer_or(json, length != NULL ? "length" : "max_length", INT64_MAX);
    if (column->length_min > column->length_max) {
        return ow_tree_fail(load->tree, path, load->err, "min_length is above max_length");
    }
    return OW_OK;
}

static enum ow_status load_default(struct ow_machine_load *load, const json_t *json,
                                   const char *path, struct ow_column *column)
{
    const json_t *const given = json_object_get(json, "default");
    if (given == NULL) {
        return OW_OK;
    }
    column->has_default = true;
    column->default_value = json_is_integer(given)
                                ? ow_value_integer(json_integer_value(given))
                                : ow_value_text(ow_slice_of(ow_machine_load_text(load, given)));
    return ow_table_check_constant(load, ow_tree_path(load->arena, path, "default"), column,
                                   &column->default_value);
}

static enum ow_status load_column(struct ow_machine_load *load, const char *name,
                                  const json_t *json, const char *path, struct ow_column *column)
{
    const char *const type =
        json_string_value(json_is_string(json) ? json : json_object_get(json, "type"));
    column->name = ow_arena_text(load->arena, ow_slice_of(name));
    column->type = strcmp(type, "integer") == 0 ? OW_TYPE_INTEGER : OW_TYPE_TEXT;
    column->min = integer_or(json, "min", INT64_MIN);
    column->max = integer_or(json, "max", INT64_MAX);
    column->index = json_is_true(json_object_get(json, "index"));
    if (column->min > column->max) {
        return ow_tree_fail(load->tree, path, load->err, "min is above max");
    }
    OW_TRY(load_lengths(load, json, path, column));
    return load_default(load, json, path, column);
}

static enum ow_status load_columns(struct ow_machine_load *load, const json_t *json,
                                   const char *path, struct ow_table *table)
{
    const char *const columns_path = ow_tree_path(load->arena, path, "columns");
    json_t *const list = json_object_get(json, "columns");
    struct ow_column *const columns =
        OW_ARENA_ARRAY(load->arena, json_object_size(list), struct ow_column);
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(list, name, value)
    {
        const char *const column_path = ow_tree_path(load->arena, columns_path, name);
        if (strcmp(name, table->key) == 0) {
            return ow_tree_fail(load->tree, column_path, load->err,
                                "the key is a column of its own already");
        }
        OW_TRY(load_column(load, name, value, column_path, &columns[table->column_count]));
        table->column_count++;
    }
    table->columns = columns;
    return OW_OK;
}

static enum ow_status load_records(struct ow_machine_load *load)
{
    struct ow_machine *const machine = load->machine;
    json_t *const records = json_object_get(load->tree->root, "records");
    machine->records = OW_ARENA_ARRAY(load->arena, json_object_size(records), struct ow_table);
    const char *name = NULL;
    json_t *json = NULL;
    json_object_foreach(records, name, json)
    {
        const char *const path = ow_tree_path(load->arena, "/records", name);
        struct ow_table *const table = &machine->records[machine->record_count];
        if (strcmp(name, machine->entity.name) == 0) {
            return ow_tree_fail(load->tree, path, load->err, "this is the table of the entity");
        }
        table->name = ow_arena_text(load->arena, ow_slice_of(name));
        table->key = ow_machine_load_member(load, json, "key", NULL);
        table->index = machine->record_count++;
        OW_TRY(load_columns(load, json, path, table));
        for (size_t i = 0; i < table->column_count; i++) {
            if (table->columns[i].has_default) {
                return ow_tree_fail(
                    load->tree, path, load->err,
                    "the column '%s' has a default, but whatever records a row gives every column",
                    table->columns[i].name);
            }
        }
    }
    return OW_OK;
}

enum ow_status ow_machine_load_tables(struct ow_machine_load *load)
{
    const json_t *const entity = json_object_get(load->tree->root, "entity");
    struct ow_table *const table = &load->machine->entity;
    table->name = ow_machine_load_member(load, entity, "table", NULL);
    table->key = ow_machine_load_member(load, entity, "key", NULL);
    OW_TRY(load_columns(load, entity, "/entity", table));
    return load_records(load);
}
