#include "model/event.h"

#include "base/contract.h"
#include "base/parse.h"
#include "model/envelope.h"

static void refuse(struct ow_event *event, enum ow_reason reason, const char *detail)
{
    event->verdict = OW_OUTCOME_QUARANTINED;
    event->reason = reason;
    event->detail = detail;
}

/* Step 1. Value, key and headers are each held against the limit: any of them costs memory. */
static bool is_oversize(const struct ow_record *record, size_t bytes_max)
{
    size_t header_bytes = 0;
    for (size_t i = 0; i < record->header_count; i++) {
        header_bytes += record->headers[i].name.len + record->headers[i].value.len;
    }
    return record->value.len > bytes_max || record->key.len > bytes_max || header_bytes > bytes_max;
}

/* Step 3: which machine knows the type. False where the event's verdict is settled. */
static bool find_machine(struct ow_event *event, const struct ow_decoder *decoder,
                         const struct ow_machine *of_topic, struct ow_arena *arena)
{
    const struct ow_slice topic = event->record->topic;
    event->event = ow_machines_event(decoder->machines, topic, event->type, &event->machine);
    if (event->event != NULL) {
        return true;
    }
    if (ow_machines_filters(decoder->machines, topic, event->type) ||
        of_topic->unknown == OW_UNKNOWN_FILTER) {
        event->verdict = OW_OUTCOME_FILTERED;
        return false;
    }
    refuse(event, OW_REASON_UNKNOWN_TYPE,
           ow_arena_printf(arena,
                           "no machine of topic " OW_SLICE_FMT " knows the type " OW_SLICE_FMT,
                           OW_SLICE_ARG(topic), OW_SLICE_ARG(event->type)));
    return false;
}

/* One of id, source, entity. False where the event's verdict is settled. */
static bool take_key(struct ow_event *event, const char *what, struct ow_attribute attribute,
                     struct ow_arena *arena, struct ow_slice *ret_text)
{
    switch (attribute.kind) {
    case OW_ATTRIBUTE_TEXT:
        *ret_text = attribute.text;
        return true;
    case OW_ATTRIBUTE_ABSENT:
    case OW_ATTRIBUTE_EMPTY:
        refuse(event, OW_REASON_MISSING_KEY, ow_arena_printf(arena, "no %s", what));
        return false;
    case OW_ATTRIBUTE_WRONG:
        refuse(event, OW_REASON_MALFORMED, ow_arena_printf(arena, "the %s is not a text", what));
        return false;
    }
    OW_IMPOSSIBLE("an attribute of no kind");
}

static bool take_keys(struct ow_event *event, const struct ow_envelope *envelope,
                      struct ow_arena *arena)
{
    const struct ow_message_rule *rule = &event->machine->message;
    const bool has_source =
        rule->format == OW_FORMAT_CLOUDEVENTS || rule->source.kind != OW_PART_NONE;
    const struct ow_attribute entity =
        ow_envelope_attribute(envelope, event->record, &rule->entity, arena);
    /* What was found is kept also where another key is missing: quarantine rows name it. */
    event->entity_id = entity.kind == OW_ATTRIBUTE_TEXT ? entity.text : (struct ow_slice){0};
    return take_key(event, "id", envelope->id, arena, &event->id) &&
           (!has_source || take_key(event, "source", envelope->source, arena, &event->source)) &&
           take_key(event, "entity id", entity, arena, &event->entity_id);
}

static bool take_time(struct ow_event *event, const struct ow_envelope *envelope)
{
    event->time_ms = event->record->timestamp_ms < 0 ? 0 : event->record->timestamp_ms;
    if (envelope->time.kind == OW_ATTRIBUTE_ABSENT) {
        return true;
    }
    if (envelope->time.kind != OW_ATTRIBUTE_TEXT ||
        !ow_parse_time_ms(envelope->time.text, &event->time_ms)) {
        refuse(event, OW_REASON_MALFORMED, "the time is not RFC 3339");
        return false;
    }
    return true;
}

/* Why a value is outside a column's declared range, or NULL. */
static const char *range_problem(const struct ow_value *value, const struct ow_column *column)
{
    if (value->type == OW_TYPE_INTEGER &&
        (value->integer < column->min || value->integer > column->max)) {
        return "is outside the range of";
    }
    if (value->type == OW_TYPE_TEXT) {
        const int64_t characters = (int64_t)ow_slice_characters(value->text);
        if (characters < column->length_min || characters > column->length_max) {
            return "has not the length of";
        }
    }
    return NULL;
}

/* An integer literal within ±2^53, or a string; anything else is no business value. */
static struct ow_value value_of(const json_t *json, struct ow_arena *arena)
{
    if (json_is_integer(json) && json_integer_value(json) >= -OW_INTEGER_MAX &&
        json_integer_value(json) <= OW_INTEGER_MAX) {
        return ow_value_integer(json_integer_value(json));
    }
    if (json_is_string(json)) {
        const struct ow_slice text = {(const uint8_t *)json_string_value(json),
                                      json_string_length(json)};
        return ow_value_text(ow_arena_copy(arena, text));
    }
    return OW_VALUE_NULL;
}

static bool take_value(struct ow_event *event, const struct ow_need *need,
                       const struct ow_envelope *envelope, struct ow_arena *arena,
                       struct ow_value *ret_value)
{
    const json_t *json = ow_pointer_get(&need->pointer, envelope->body);
    const struct ow_value value = value_of(json, arena);
    if (json == NULL || json_is_null(json)) {
        refuse(event, OW_REASON_MALFORMED,
               ow_arena_printf(arena, "no value at %s", need->pointer.text));
        return false;
    }
    if (value.type == OW_TYPE_NULL || (need->type != OW_TYPE_NULL && value.type != need->type)) {
        refuse(event, OW_REASON_MALFORMED,
               ow_arena_printf(arena, "%s is not %s", need->pointer.text,
                               need->type == OW_TYPE_TEXT ? "a text" : "an integer within 2^53"));
        return false;
    }
    for (size_t i = 0; i < need->range_count; i++) {
        const char *problem = range_problem(&value, need->ranges[i]);
        if (problem != NULL) {
            refuse(event, OW_REASON_MALFORMED,
                   ow_arena_printf(arena, "%s %s %s", need->pointer.text, problem,
                                   need->ranges[i]->name));
            return false;
        }
    }
    *ret_value = value;
    return true;
}

static bool take_values(struct ow_event *event, const struct ow_envelope *envelope,
                        struct ow_arena *arena)
{
    event->values = OW_ARENA_ARRAY(arena, event->event->need_count, struct ow_value);
    for (size_t i = 0; i < event->event->need_count; i++) {
        if (!take_value(event, &event->event->needs[i], envelope, arena, &event->values[i])) {
            return false;
        }
    }
    return true;
}

/* A part of the claim key as bytes: a text, or an integer in decimal (DESIGN 5). */
static bool key_part(struct ow_event *event, const struct ow_envelope *envelope,
                     const struct ow_part *part, struct ow_arena *arena, struct ow_slice *ret_bytes)
{
    if (part->kind == OW_PART_ENTITY) {
        *ret_bytes = event->entity_id;
        return true;
    }
    if (part->kind == OW_PART_POINTER) {
        const json_t *json = ow_pointer_get(&part->pointer, envelope->body);
        if (json_is_integer(json)) {
            *ret_bytes =
                ow_slice_of(ow_arena_printf(arena, "%lld", (long long)json_integer_value(json)));
            return true;
        }
    }
    return take_key(event, "part of the claim key",
                    ow_envelope_attribute(envelope, event->record, part, arena), arena, ret_bytes);
}

static bool take_claim_key(struct ow_event *event, const struct ow_envelope *envelope,
                           const struct ow_decoder *decoder, struct ow_arena *arena)
{
    const struct ow_claim_rule *rule = event->event->claim;
    struct ow_hash hash;
    ow_hash_begin(&hash, decoder->hash_key, sizeof(event->key));
    ow_hash_part(&hash, ow_slice_of(rule->space));
    for (size_t i = 0; i < rule->key_part_count; i++) {
        struct ow_slice bytes = {0};
        if (!key_part(event, envelope, &rule->key_parts[i], arena, &bytes)) {
            return false;
        }
        ow_hash_part(&hash, bytes);
    }
    ow_hash_end(&hash, event->key, sizeof(event->key));
    return true;
}

/* Appends a field of the fingerprint in canonical form; false where it is absent. */
static bool append_field(struct ow_buffer *out, const struct ow_event *event,
                         const struct ow_envelope *envelope, const struct ow_part *field,
                         struct ow_arena *arena)
{
    if (field->kind == OW_PART_POINTER) {
        const json_t *json = ow_pointer_get(&field->pointer, envelope->body);
        if (json != NULL) {
            const struct ow_claim_rule *rule = event->event->claim;
            ow_json_canonical(out, json, &field->pointer, rule->ignore, rule->ignore_count);
        }
        return json != NULL;
    }
    if (field->kind == OW_PART_ENTITY) {
        ow_json_canonical_text(out, event->entity_id);
        return true;
    }
    const struct ow_attribute attribute =
        ow_envelope_attribute(envelope, event->record, field, arena);
    if (attribute.kind == OW_ATTRIBUTE_ABSENT) {
        return false;
    }
    ow_json_canonical_text(out, attribute.text);
    return true;
}

static void take_fingerprint(struct ow_event *event, const struct ow_envelope *envelope,
                             struct ow_decoder *decoder, struct ow_arena *arena)
{
    const struct ow_claim_rule *rule = event->event->claim;
    struct ow_buffer *scratch = &decoder->scratch;
    const size_t digest_bytes = sizeof(event->fingerprint) - 1;
    struct ow_hash hash;
    ow_hash_begin(&hash, decoder->hash_key, digest_bytes);
    for (size_t i = 0; i < rule->field_count; i++) {
        ow_buffer_clear(scratch);
        const bool is_there = append_field(scratch, event, envelope, &rule->fields[i], arena);
        ow_hash_part(&hash, is_there ? ow_buffer_view(scratch) : (struct ow_slice){0});
    }
    ow_buffer_clear(scratch);
    ow_json_canonical_text(scratch, event->entity_id);
    ow_hash_part(&hash, ow_buffer_view(scratch));
    event->fingerprint[0] = rule->rule_number;
    ow_hash_end(&hash, event->fingerprint + 1, digest_bytes);
}

/* Steps 2 to 4 on a record that has a value. */
static void read_envelope(struct ow_event *event, const struct ow_envelope *envelope,
                          struct ow_decoder *decoder, const struct ow_machine *of_topic,
                          struct ow_arena *arena)
{
    if (envelope->malformed != NULL) {
        refuse(event, OW_REASON_MALFORMED, envelope->malformed);
        return;
    }
    if (envelope->type.kind != OW_ATTRIBUTE_TEXT) {
        refuse(event, OW_REASON_MALFORMED, "no type, or a type that is not a text");
        return;
    }
    event->type = envelope->type.text;
    if (!find_machine(event, decoder, of_topic, arena) || !take_keys(event, envelope, arena) ||
        !take_time(event, envelope) || !take_values(event, envelope, arena) ||
        !take_claim_key(event, envelope, decoder, arena)) {
        return;
    }
    take_fingerprint(event, envelope, decoder, arena);
    event->verdict = OW_OUTCOME_APPLIED;
}

void ow_event_decode(struct ow_decoder *decoder, const struct ow_record *record,
                     struct ow_arena *arena, struct ow_event *ret_event)
{
    const struct ow_machine *of_topic = ow_machines_of_topic(decoder->machines, record->topic);
    OW_REQUIRE(of_topic != NULL); /* we subscribe to the machines' topics only */

    *ret_event = (struct ow_event){.record = record, .verdict = OW_OUTCOME_QUARANTINED};
    if (is_oversize(record, decoder->record_bytes_max)) {
        refuse(ret_event, OW_REASON_OVERSIZE,
               ow_arena_printf(arena, "larger than %zu bytes", decoder->record_bytes_max));
        return;
    }
    if (ow_slice_is_absent(record->value)) {
        if (of_topic->tombstones == OW_UNKNOWN_FILTER) {
            ret_event->verdict = OW_OUTCOME_FILTERED;
        } else {
            refuse(ret_event, OW_REASON_MALFORMED, "a tombstone: a record without a value");
        }
        return;
    }
    struct ow_envelope envelope;
    ow_envelope_decode(&of_topic->message, record, arena, &envelope);
    read_envelope(ret_event, &envelope, decoder, of_topic, arena);
    ow_envelope_done(&envelope);
}
