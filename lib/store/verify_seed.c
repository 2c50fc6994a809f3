#include "store/erased.h"
#include "store/verify_internal.h"

/*
 * The history row of an entity that was taken over: it is the first one, no event made it, and its
 * data holds what was given.
 */

static const char *read_data(struct ow_verify *verify, const struct ow_past *past,
                             const json_t *data, struct ow_seed_entity *seed)
{
    if (!json_is_object(data)) {
        return "its data is no JSON object";
    }
    OW_BUFFER text = {0};
    ow_json_canonical(&text, data, NULL, NULL, 0);
    if (!ow_slice_equal(ow_buffer_view(&text), past->data_text)) {
        return "its data is not in canonical form";
    }
    struct ow_erased erased;
    const size_t count = seed->machine->entity.column_count;
    seed->columns = OW_ARENA_ARRAY(&verify->scratch, count, struct ow_value);
    for (size_t c = 0; c < count; c++) {
        seed->columns[c] = OW_VALUE_NULL;
    }
    return ow_erased_read(data, &erased)
               ? NULL
               : ow_seed_entity_read_data(seed->machine, data, &verify->scratch, seed->columns,
                                          &seed->rows);
}

const char *ow_verify_seed_read(struct ow_verify *verify, const struct ow_past *past,
                                struct ow_verify_step *step, struct ow_seed_entity *ret_seed)
{
    step->machine = ow_verify_machine_named(verify, past->machine);
    step->version =
        step->machine == NULL ? NULL : ow_verify_version_of(step->machine, past->machine_version);
    if (step->version == NULL) {
        return "the store does not know its machine's version";
    }
    *ret_seed = (struct ow_seed_entity){.machine = step->version->machine};
    if (past->version != 1 || !ow_slice_equals_text(past->from, "none")) {
        return "only the first row of an entity can be";
    }
    if (!ow_slice_equals_text(past->event_type, OW_SEED_NAME) || past->source.len != 0 ||
        past->message_id.len != 0) {
        return "it names a message";
    }
    if (ow_machine_state(ret_seed->machine, past->to) <= 0) {
        return "the machine has no such state";
    }
    return read_data(verify, past, step->data, ret_seed);
}
