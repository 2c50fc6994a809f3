/* Operands of require, set, add, record; and what an event needs of the values at its pointers. */
#include "model/machine_load.h"

static const char *type_text(enum ow_type type)
{
    return type == OW_TYPE_INTEGER ? "an integer" : "a text";
}

/* The number of a pointer among the event's needs: a new one where it comes for the first time. */
static enum ow_status need_pointer(struct ow_event_load *event, const char *text, const char *path,
                                   size_t *ret_index)
{
    struct ow_machine_load *const load = event->load;
    size_t i = 0;
    while (i < event->event->need_count && strcmp(event->needs[i].pointer.text, text) != 0) {
        i++;
    }
    if (i == OW_EVENT_POINTERS_MAX) {
        return ow_tree_fail(load->tree, path, load->err, "an event names at most %d pointers",
                            OW_EVENT_POINTERS_MAX);
    }
    if (i == event->event->need_count) {
        if (!ow_pointer_parse(load->arena, text, &event->needs[i].pointer)) {
            return ow_tree_fail(load->tree, path, load->err, "'%s' is not a JSON pointer", text);
        }
        event->needs[i].ranges =
            OW_ARENA_ARRAY(load->arena, event->range_max, const struct ow_column *);
        event->event->need_count++;
    }
    event->pointers |= UINT64_C(1) << i;
    *ret_index = i;
    return OW_OK;
}

static enum ow_status load_text(struct ow_event_load *event, const char *text, const char *path,
                                struct ow_operand *operand)
{
    struct ow_machine_load *const load = event->load;
    if (text[0] == '/') {
        operand->kind = OW_OPERAND_POINTER;
        return need_pointer(event, text, path, &operand->index);
    }
    if (strcmp(text, load->machine->entity.key) == 0) {
        return ow_tree_fail(load->tree, path, load->err,
                            "'%s' is the entity's key, which is no operand: name its pointer "
                            "({const: %s} for the text)",
                            text, text);
    }
    const int column = ow_table_column(&load->machine->entity, text);
    if (column >= 0) {
        operand->kind = OW_OPERAND_COLUMN;
        operand->index = (size_t)column;
        return OW_OK;
    }
    operand->kind = OW_OPERAND_CONSTANT;
    operand->constant = ow_value_text(ow_slice_of(ow_arena_text(load->arena, ow_slice_of(text))));
    return OW_OK;
}

static void load_constant(const struct ow_event_load *event, const json_t *json,
                          struct ow_operand *operand)
{
    operand->kind = OW_OPERAND_CONSTANT;
    operand->constant = json_is_integer(json)
                            ? ow_value_integer(json_integer_value(json))
                            : ow_value_text(ow_slice_of(ow_machine_load_text(event->load, json)));
}

/* Everything but a sum. */
static enum ow_status load_term(struct ow_event_load *event, const json_t *json, const char *path,
                                struct ow_operand *operand)
{
    if (json_is_string(json)) {
        return load_text(event, json_string_value(json), path, operand);
    }
    load_constant(event, json_is_object(json) ? json_object_get(json, "const") : json, operand);
    return OW_OK;
}

enum ow_status ow_operand_load(struct ow_event_load *event, const json_t *json, const char *path,
                               struct ow_operand *ret_operand)
{
    *ret_operand = (struct ow_operand){0};
    const json_t *const sum = json_object_get(json, "sum");
    if (sum == NULL) {
        return load_term(event, json, path, ret_operand);
    }
    const size_t count = json_array_size(sum);
    struct ow_operand *const terms = OW_ARENA_ARRAY(event->load->arena, count, struct ow_operand);
    for (size_t i = 0; i < count; i++) {
        const char *const term_path = ow_arena_printf(event->load->arena, "%s/sum/%zu", path, i);
        OW_TRY(load_term(event, json_array_get(sum, i), term_path, &terms[i]));
        OW_TRY(ow_operand_demand(event, term_path, &terms[i], OW_TYPE_INTEGER));
    }
    ret_operand->kind = OW_OPERAND_SUM;
    ret_operand->terms = terms;
    ret_operand->term_count = count;
    return OW_OK;
}

enum ow_type ow_operand_type(const struct ow_event_load *event, const struct ow_operand *operand)
{
    switch (operand->kind) {
    case OW_OPERAND_COLUMN:
        return event->load->machine->entity.columns[operand->index].type;
    case OW_OPERAND_POINTER:
        return event->needs[operand->index].type;
    case OW_OPERAND_CONSTANT:
        return operand->constant.type;
    case OW_OPERAND_SUM:
        return OW_TYPE_INTEGER;
    }
    OW_IMPOSSIBLE("an operand of no kind");
}

enum ow_status ow_operand_demand(struct ow_event_load *event, const char *path,
                                 const struct ow_operand *operand, enum ow_type type)
{
    const struct ow_machine_load *const load = event->load;
    const enum ow_type found = ow_operand_type(event, operand);
    if (found == type) {
        return OW_OK;
    }
    if (operand->kind == OW_OPERAND_POINTER) {
        struct ow_need *const need = &event->needs[operand->index];
        if (found == OW_TYPE_NULL) {
            need->type = type;
            return OW_OK;
        }
        return ow_tree_fail(load->tree, path, load->err,
                            "%s is needed as %s here and as %s elsewhere", need->pointer.text,
                            type_text(type), type_text(found));
    }
    if (operand->kind == OW_OPERAND_CONSTANT && found == OW_TYPE_TEXT) {
        return ow_tree_fail(load->tree, path, load->err,
                            "expects an integer, and '" OW_SLICE_FMT
                            "' is a text (no column has that name)",
                            OW_SLICE_ARG(operand->constant.text));
    }
    return ow_tree_fail(load->tree, path, load->err, "expects %s, and this is %s", type_text(type),
                        type_text(found));
}

static void add_range(struct ow_need *need, const struct ow_column *column)
{
    for (size_t i = 0; i < need->range_count; i++) {
        if (need->ranges[i] == column) {
            return;
        }
    }
    need->ranges[need->range_count++] = column;
}

enum ow_status ow_operand_demand_column(struct ow_event_load *event, const char *path,
                                        const struct ow_operand *operand,
                                        const struct ow_column *column)
{
    OW_TRY(ow_operand_demand(event, path, operand, column->type));
    if (operand->kind == OW_OPERAND_CONSTANT) {
        return ow_table_check_constant(event->load, path, column, &operand->constant);
    }
    if (operand->kind == OW_OPERAND_POINTER) {
        OW_INVARIANT(event->needs[operand->index].range_count <= event->range_max);
        add_range(&event->needs[operand->index], column);
    }
    return OW_OK;
}

enum ow_status ow_operand_demand_same(struct ow_event_load *event, const char *path,
                                      const struct ow_operand *left, const struct ow_operand *right)
{
    const enum ow_type left_type = ow_operand_type(event, left);
    const enum ow_type right_type = ow_operand_type(event, right);
    if (left_type != OW_TYPE_NULL) {
        return ow_operand_demand(event, path, right, left_type);
    }
    if (right_type != OW_TYPE_NULL) {
        return ow_operand_demand(event, path, left, right_type);
    }
    /* Two pointers of which nothing is known yet: another transition of the event may still say it.
     */
    struct ow_pair *const pair = OW_ARENA_NEW(event->load->arena, struct ow_pair);
    *pair = (struct ow_pair){left->index, right->index, event->pairs};
    event->pairs = pair;
    return OW_OK;
}

enum ow_status ow_operand_settle_pairs(struct ow_event_load *event, const char *path)
{
    bool changed = true;
    while (changed) {
        changed = false;
        for (const struct ow_pair *pair = event->pairs; pair != NULL; pair = pair->next) {
            struct ow_need *const left = &event->needs[pair->left];
            struct ow_need *const right = &event->needs[pair->right];
            if (left->type == right->type) {
                continue;
            }
            if (left->type != OW_TYPE_NULL && right->type != OW_TYPE_NULL) {
                return ow_tree_fail(
                    event->load->tree, path, event->load->err,
                    "%s is compared with %s, and one is an integer, the other a text",
                    left->pointer.text, right->pointer.text);
            }
            left->type = right->type = left->type != OW_TYPE_NULL ? left->type : right->type;
            changed = true;
        }
    }
    return OW_OK;
}
