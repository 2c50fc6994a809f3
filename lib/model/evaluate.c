#include "model/evaluate.h"

#include "base/contract.h"

/* Terms of a sum are never sums, so this is not recursive. */
static struct ow_value term(const struct ow_operand *operand, const struct ow_event *event,
                            const struct ow_entity *entity)
{
    switch (operand->kind) {
    case OW_OPERAND_COLUMN:
        return entity->columns[operand->index];
    case OW_OPERAND_POINTER:
        return event->values[operand->index];
    case OW_OPERAND_CONSTANT:
        return operand->constant;
    case OW_OPERAND_SUM:
        break;
    }
    OW_IMPOSSIBLE("a sum inside a sum");
}

struct ow_value ow_evaluate(const struct ow_operand *operand, const struct ow_event *event,
                            const struct ow_entity *entity)
{
    if (operand->kind != OW_OPERAND_SUM) {
        return term(operand, event, entity);
    }
    int64_t sum = 0;
    for (size_t i = 0; i < operand->term_count; i++) {
        const struct ow_value value = term(&operand->terms[i], event, entity);
        if (value.type != OW_TYPE_INTEGER || __builtin_add_overflow(sum, value.integer, &sum)) {
            return OW_VALUE_NULL;
        }
    }
    return ow_value_integer(sum);
}

static bool holds(const struct ow_requirement *requirement, const struct ow_event *event,
                  const struct ow_entity *entity)
{
    const struct ow_value left = ow_evaluate(&requirement->left, event, entity);
    const struct ow_value right = ow_evaluate(&requirement->right, event, entity);
    if (left.type == OW_TYPE_NULL || right.type == OW_TYPE_NULL || left.type != right.type) {
        return false;
    }
    switch (requirement->comparison) {
    case OW_COMPARE_EQUALS:
        return ow_value_equal(&left, &right);
    case OW_COMPARE_AT_MOST:
        return left.type == OW_TYPE_INTEGER && left.integer <= right.integer;
    case OW_COMPARE_AT_LEAST:
        return left.type == OW_TYPE_INTEGER && left.integer >= right.integer;
    }
    OW_IMPOSSIBLE("a comparison of no kind");
}

const struct ow_requirement *ow_evaluate_requirements(const struct ow_transition *transition,
                                                      const struct ow_event *event,
                                                      const struct ow_entity *entity)
{
    for (size_t i = 0; i < transition->requirement_count; i++) {
        if (!holds(&transition->requirements[i], event, entity)) {
            return &transition->requirements[i];
        }
    }
    return NULL;
}

static bool in_range(const struct ow_value *value, const struct ow_column *column)
{
    if (value->type == OW_TYPE_INTEGER) {
        return value->integer >= -OW_INTEGER_MAX && value->integer <= OW_INTEGER_MAX &&
               value->integer >= column->min && value->integer <= column->max;
    }
    if (value->type == OW_TYPE_TEXT) {
        const int64_t characters = (int64_t)ow_slice_characters(value->text);
        return characters >= column->length_min && characters <= column->length_max;
    }
    return false; /* set or added from a column that holds nothing */
}

const struct ow_column *ow_evaluate_columns(const struct ow_transition *transition,
                                            const struct ow_event *event,
                                            const struct ow_entity *entity,
                                            struct ow_value *columns)
{
    const struct ow_table *table = &entity->machine->entity;
    for (size_t i = 0; i < table->column_count; i++) {
        columns[i] = entity->columns[i];
    }
    for (size_t i = 0; i < transition->set_count; i++) {
        const struct ow_assignment *set = &transition->sets[i];
        columns[set->column] = ow_evaluate(&set->operand, event, entity);
        if (!in_range(&columns[set->column], &table->columns[set->column])) {
            return &table->columns[set->column];
        }
    }
    for (size_t i = 0; i < transition->add_count; i++) {
        const struct ow_assignment *add = &transition->adds[i];
        struct ow_value *column = &columns[add->column];
        const struct ow_value more = ow_evaluate(&add->operand, event, entity);
        const int64_t before =
            column->type == OW_TYPE_INTEGER ? column->integer : 0; /* nothing yet counts as 0 */
        int64_t sum = 0;
        if (more.type != OW_TYPE_INTEGER || __builtin_add_overflow(before, more.integer, &sum)) {
            return &table->columns[add->column];
        }
        *column = ow_value_integer(sum);
        if (!in_range(column, &table->columns[add->column])) {
            return &table->columns[add->column];
        }
    }
    return NULL;
}

bool ow_evaluate_row_equal(const struct ow_recording *recording, const struct ow_row *row,
                           const struct ow_event *event, const struct ow_entity *entity)
{
    if (recording->table != row->table ||
        !ow_slice_equal(ow_recording_key(recording, event), row->key)) {
        return false;
    }
    for (size_t i = 0; i < row->table->column_count; i++) {
        const struct ow_value value = ow_evaluate(&recording->columns[i], event, entity);
        if (!ow_value_equal(&value, &row->columns[i])) {
            return false;
        }
    }
    return true;
}
