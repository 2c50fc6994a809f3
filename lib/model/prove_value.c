/* The numbers of values: equal values have equal numbers, so configurations compare as bytes. */
#include "model/prove_state.h"

enum { VALUES_MAX = UINT16_MAX, SLOTS = 1 << 17 };

void ow_prove_value_init(struct ow_prove *prove)
{
    prove->values.list = OW_ARENA_ARRAY(prove->arena, VALUES_MAX, struct ow_value);
    prove->values.slots = OW_ARENA_ARRAY(prove->arena, SLOTS, uint16_t);
    prove->values.count = 1; /* 0: NULL */
}

static size_t hash_of(const struct ow_value *value)
{
    uint64_t hash = (uint64_t)value->integer * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; value->type == OW_TYPE_TEXT && i < value->text.len; i++) {
        hash = (hash ^ value->text.ptr[i]) * UINT64_C(0x100000001b3);
    }
    return (size_t)(hash >> 40 ^ hash) & (SLOTS - 1);
}

uint16_t ow_prove_value_number(struct ow_prove *prove, const struct ow_value *value)
{
    if (value->type == OW_TYPE_NULL) {
        return 0;
    }
    struct ow_prove_values *const values = &prove->values;
    size_t i = hash_of(value);
    while (values->slots[i] != 0) {
        if (ow_value_equal(&values->list[values->slots[i]], value)) {
            return values->slots[i];
        }
        i = (i + 1) & (SLOTS - 1);
    }
    if (values->count == VALUES_MAX) {
        prove->full = true;
        return 0;
    }
    values->list[values->count] = *value;
    if (value->type == OW_TYPE_TEXT) {
        values->list[values->count].text = ow_arena_copy(prove->arena, value->text);
    }
    values->slots[i] = (uint16_t)values->count;
    return (uint16_t)values->count++;
}
