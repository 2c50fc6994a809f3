/*
 * Bare texts as operands: "amuont_minor" is a constant as far as the loader knows. {const: X} says
 * that it is meant. Compiled operands do not tell the two apart, so this reads the machine's own
 * text.
 */
#include "base/nearest.h"
#include "model/machine_lint.h"

static bool is_column(const struct ow_machine *machine, const char *name)
{
    for (size_t i = 0; i < machine->entity.column_count; i++) {
        if (strcmp(machine->entity.columns[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void look_at_text(struct ow_lint *lint, const char *event, const char *text)
{
    if (text[0] == '/' || is_column(lint->machine, text)) {
        return;
    }
    struct ow_nearest nearest = {.word = text};
    for (size_t i = 0; i < lint->machine->entity.column_count; i++) {
        ow_nearest_offer(&nearest, lint->machine->entity.columns[i].name);
    }
    if (nearest.best != NULL) {
        ow_lint_add(lint, OW_FINDING_WARNING, "text_constant",
                    "'%s' in '%s' is a constant: did you mean the column '%s'? ({const: %s} says "
                    "that it is meant)",
                    text, event, nearest.best, text);
    } else {
        ow_lint_add(
            lint, OW_FINDING_WARNING, "text_constant",
            "'%s' in '%s' is no column, and so a constant ({const: %s} says that it is meant)",
            text, event, text);
    }
}

static void look_at_operand(struct ow_lint *lint, const char *event, const json_t *operand)
{
    if (json_is_string(operand)) {
        look_at_text(lint, event, json_string_value(operand));
    }
    const json_t *const sum = json_object_get(operand, "sum");
    for (size_t i = 0; i < json_array_size(sum); i++) {
        if (json_is_string(json_array_get(sum, i))) {
            look_at_text(lint, event, json_string_value(json_array_get(sum, i)));
        }
    }
}

static void look_at_members(struct ow_lint *lint, const char *event, json_t *object)
{
    const char *name = NULL;
    json_t *operand = NULL;
    json_object_foreach(object, name, operand)
    {
        look_at_operand(lint, event, operand);
    }
}

static void look_at_transition(struct ow_lint *lint, const char *event, const json_t *transition)
{
    const json_t *const require = json_object_get(transition, "require");
    for (size_t i = 0; i < json_array_size(require); i++) {
        look_at_members(lint, event, json_array_get(require, i));
    }
    look_at_members(lint, event, json_object_get(transition, "set"));
    look_at_members(lint, event, json_object_get(transition, "add"));
    const char *table = NULL;
    json_t *row = NULL;
    json_object_foreach(json_object_get(transition, "record"), table, row)
    {
        look_at_members(lint, event, row);
    }
}

void ow_lint_constants(struct ow_lint *lint)
{
    OW_JSON *root = json_loads(lint->machine->text, 0, NULL);
    OW_INVARIANT(root != NULL);
    const char *event = NULL;
    json_t *json = NULL;
    json_object_foreach(json_object_get(root, "events"), event, json)
    {
        const json_t *const list =
            json_is_array(json) ? json : json_object_get(json, "transitions");
        for (size_t i = 0; i < json_array_size(list); i++) {
            look_at_transition(lint, event, json_array_get(list, i));
        }
    }
}
