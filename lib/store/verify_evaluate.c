#include "store/verify_internal.h"

/* What an operand was when a step was taken. Written anew, not the worker's: two readings must
 * agree. */

struct ow_value ow_verify_value(const json_t *json)
{
    if (json_is_integer(json)) {
        return ow_value_integer(json_integer_value(json));
    }
    if (json_is_string(json)) {
        return ow_value_text(
            (struct ow_slice){(const uint8_t *)json_string_value(json), json_string_length(json)});
    }
    return OW_VALUE_NULL;
}

static struct ow_value single(const struct ow_operand *operand, const struct ow_verify_step *step)
{
    switch (operand->kind) {
    case OW_OPERAND_COLUMN:
        return step->columns[step->version->columns[operand->index]];
    case OW_OPERAND_POINTER:
        return ow_verify_value(
            json_object_get(step->data, step->event->needs[operand->index].pointer.text));
    case OW_OPERAND_CONSTANT:
        return operand->constant;
    case OW_OPERAND_SUM:
        break;
    }
    OW_IMPOSSIBLE("a sum inside a sum");
}

struct ow_value ow_verify_evaluate(const struct ow_operand *operand,
                                   const struct ow_verify_step *step)
{
    if (operand->kind != OW_OPERAND_SUM) {
        return single(operand, step);
    }
    int64_t sum = 0;
    for (size_t i = 0; i < operand->term_count; i++) {
        const struct ow_value term = single(&operand->terms[i], step);
        if (term.type != OW_TYPE_INTEGER || __builtin_add_overflow(sum, term.integer, &sum)) {
            return OW_VALUE_NULL;
        }
    }
    return ow_value_integer(sum);
}

/* A comparison with nothing, or of two kinds, never holds. */
bool ow_verify_holds(const struct ow_requirement *requirement, const struct ow_verify_step *step)
{
    const struct ow_value left = ow_verify_evaluate(&requirement->left, step);
    const struct ow_value right = ow_verify_evaluate(&requirement->right, step);
    if (left.type == OW_TYPE_NULL || left.type != right.type) {
        return false;
    }
    if (requirement->comparison == OW_COMPARE_EQUALS) {
        return ow_value_equal(&left, &right);
    }
    if (left.type != OW_TYPE_INTEGER) {
        return false;
    }
    return requirement->comparison == OW_COMPARE_AT_MOST ? left.integer <= right.integer
                                                         : left.integer >= right.integer;
}
