#include "store/verify_internal.h"

#include <inttypes.h>

/* A history row by itself: its step, its claim, its trace. */

enum {
    PAST_SEQ,
    PAST_FIRST_REF,
    PAST_MACHINE,
    PAST_MACHINE_VERSION,
    PAST_ENTITY,
    PAST_VERSION,
    PAST_PREV,
    PAST_TYPE,
    PAST_SOURCE,
    PAST_ID,
    PAST_FROM,
    PAST_TO,
    PAST_TIME,
    PAST_TOPIC,
    PAST_PARTITION,
    PAST_OFFSET,
    PAST_VIA,
    PAST_DATA
};

/* 0 for none, which is NULL; a 0 that is stored is no number of ours. */
static int64_t number_or_none(const struct ow_statement *row, int column)
{
    const int64_t number = ow_sql_i64(row, column);
    return number == 0 && !ow_sql_is_null(row, column) ? -1 : number;
}

enum ow_status ow_verify_past_take(struct ow_verify *verify, const struct ow_statement *row,
                                   struct ow_past *ret_past, struct ow_err *err)
{
    *ret_past = (struct ow_past){.seq = ow_sql_i64(row, PAST_SEQ),
                                 .first_ref = number_or_none(row, PAST_FIRST_REF),
                                 .machine_version = ow_sql_i64(row, PAST_MACHINE_VERSION),
                                 .version = ow_sql_i64(row, PAST_VERSION),
                                 .prev_seq = number_or_none(row, PAST_PREV),
                                 .event_time_ms = ow_sql_i64(row, PAST_TIME),
                                 .partition = ow_sql_i64(row, PAST_PARTITION),
                                 .offset = ow_sql_i64(row, PAST_OFFSET),
                                 .entity_id = ow_sql_slice(row, PAST_ENTITY),
                                 .source = ow_sql_slice(row, PAST_SOURCE),
                                 .message_id = ow_sql_slice(row, PAST_ID),
                                 .data_text = ow_sql_slice(row, PAST_DATA)};
    const struct {
        int column;
        struct ow_slice *text;
    } numbered[] = {
        {PAST_MACHINE, &ret_past->machine   },
        {PAST_TYPE,    &ret_past->event_type},
        {PAST_FROM,    &ret_past->from      },
        {PAST_TO,      &ret_past->to        },
        {PAST_TOPIC,   &ret_past->topic     },
        {PAST_VIA,     &ret_past->via       }
    };
    for (size_t i = 0; i < sizeof(numbered) / sizeof(numbered[0]); i++) {
        OW_TRY(
            ow_verify_text_of(verify, ow_sql_i64(row, numbered[i].column), numbered[i].text, err));
    }
    return OW_OK;
}

bool ow_verify_step_find(const struct ow_verify *verify, const struct ow_past *past,
                         struct ow_verify_step *ret_step)
{
    ret_step->transition = NULL;
    ret_step->machine = ow_verify_machine_named(verify, past->machine);
    ret_step->version = ret_step->machine == NULL
                            ? NULL
                            : ow_verify_version_of(ret_step->machine, past->machine_version);
    const struct ow_machine *machine =
        ret_step->version == NULL ? NULL : ret_step->version->machine;
    ret_step->event = machine == NULL ? NULL : ow_machine_event(machine, past->event_type);
    const int from = machine == NULL ? -1 : ow_machine_state(machine, past->from);
    if (ret_step->event == NULL || from < 0 || ret_step->event->cells[from].kind != OW_CELL_APPLY) {
        return false;
    }
    ret_step->transition = &ret_step->event->transitions[ret_step->event->cells[from].transition];
    const size_t to = ret_step->transition->same ? (size_t)from : ret_step->transition->to;
    return ow_slice_equals_text(past->to, machine->states[to]);
}

/* A part of the claim key, as far as the row holds it. digits: room for a number. */
static bool part_of(const struct ow_past *past, const json_t *data, const struct ow_part *part,
                    char digits[24], struct ow_slice *ret_bytes)
{
    const json_t *value = NULL;
    switch (part->kind) {
    case OW_PART_SOURCE:
        *ret_bytes = past->source;
        return true;
    case OW_PART_ID:
        *ret_bytes = past->message_id;
        return true;
    case OW_PART_TYPE:
        *ret_bytes = past->event_type;
        return true;
    case OW_PART_ENTITY:
        *ret_bytes = past->entity_id;
        return true;
    case OW_PART_POINTER:
        value = json_object_get(data, part->pointer.text);
        if (json_is_integer(value)) {
            (void)snprintf(digits, 24, "%lld", (long long)json_integer_value(value));
            *ret_bytes = ow_slice_of(digits);
        } else if (json_is_string(value)) {
            *ret_bytes = (struct ow_slice){(const uint8_t *)json_string_value(value),
                                           json_string_length(value)};
        }
        return value != NULL;
    case OW_PART_TIME:
    case OW_PART_SUBJECT:
    case OW_PART_HEADER:
    case OW_PART_KEY:
    case OW_PART_NONE:
        return false;
    }
    OW_IMPOSSIBLE("a part of no kind");
}

bool ow_verify_past_key(const struct ow_verify *verify, const struct ow_past *past,
                        const struct ow_verify_step *step, uint8_t key[OW_CLAIM_KEY_BYTES])
{
    if (!verify->has_key || step->event == NULL || ow_slice_is_absent(past->event_type)) {
        return false;
    }
    const struct ow_claim_rule *rule = step->event->claim;
    struct ow_hash hash;
    ow_hash_begin(&hash, &verify->hash_key, OW_CLAIM_KEY_BYTES);
    ow_hash_part(&hash, ow_slice_of(rule->space));
    for (size_t i = 0; i < rule->key_part_count; i++) {
        char digits[24];
        struct ow_slice bytes = {0};
        if (!part_of(past, step->data, &rule->key_parts[i], digits, &bytes)) {
            return false;
        }
        ow_hash_part(&hash, bytes);
    }
    ow_hash_end(&hash, key, OW_CLAIM_KEY_BYTES);
    return true;
}

/* Its ref's claim is noted as its own: in the sum where the key is known. */
static enum ow_status own(struct ow_verify *verify, const struct ow_past *past,
                          const struct ow_verify_step *step, int64_t ref, struct ow_err *err)
{
    bool owned = false;
    OW_TRY(ow_verify_expect_history(verify, ref, past->seq, &owned, err));
    if (owned) {
        return OW_OK;
    }
    uint8_t key[OW_CLAIM_KEY_BYTES];
    if (ow_verify_past_key(verify, past, step, key)) {
        ow_verify_sum_add(&verify->owning, ref, key);
        return OW_OK;
    }
    const struct ow_verify_expected expected = {
        .ref = ref, .role = OW_VERIFY_APPLIED, .id = past->seq};
    return ow_verify_expect(verify, &expected, err);
}

enum ow_status ow_verify_past_check(struct ow_verify *verify, const struct ow_past *past,
                                    const struct ow_verify_step *step, struct ow_err *err)
{
    const bool wake = ow_slice_equals_text(past->via, "wake");
    const bool later = wake || ow_slice_equals_text(past->via, "requeue");
    const bool consumed =
        ow_slice_equals_text(past->via, "kafka") || ow_slice_equals_text(past->via, "http");
    if (!later && !consumed && !ow_verify_is_seed(past)) {
        ow_verify_broken(verify, OW_PROMISE_PATHS,
                         "history row %" PRId64 " came by '" OW_SLICE_FMT "', which is no way in",
                         past->seq, OW_SLICE_ARG(past->via));
    }
    if (later != (past->first_ref != 0) || past->first_ref >= past->seq) {
        ow_verify_broken(verify, OW_PROMISE_REFS,
                         "history row %" PRId64 " came by '" OW_SLICE_FMT
                         "' and has the first_ref %" PRId64,
                         past->seq, OW_SLICE_ARG(past->via), past->first_ref);
    }
    const int64_t ref = past->first_ref != 0 ? past->first_ref : past->seq;
    const bool seed = ow_verify_is_seed(past);
    if ((seed || ref != past->seq) && past->seq < verify->next_ref) {
        ow_verify_sum_add(&verify->numbers, past->seq, NULL);
    }
    if (seed || ref >= verify->next_ref) {
        return OW_OK; /* no message made it, so it has no claim; or it was claimed since the begin
                       */
    }
    if (step->event == NULL ||
        !ow_verify_is_pruned(verify, step->event->claim->retention_ms, ref)) {
        OW_TRY(own(verify, past, step, ref, err));
    }
    if (!wake && !consumed) {
        return OW_OK; /* requeued records have no offset in a ledger */
    }
    const struct ow_verify_trace trace = {.topic = past->topic,
                                          .partition = past->partition,
                                          .offset = past->offset,
                                          .kind = wake ? OW_VERIFY_TRACE_WOKEN
                                                       : OW_VERIFY_TRACE_APPLIED,
                                          .ref = ref};
    return ow_verify_trace_add(verify, &trace, err);
}
