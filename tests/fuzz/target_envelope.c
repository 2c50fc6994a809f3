/*
 * envelope: the whole way of a record into an event: headers, both modes of CloudEvents, explicit
 * rules, keys, values, claim key, fingerprint.
 *
 * An input is lines, an empty line, and the value. The first line is the topic (o, p, d, l, x),
 * the others are headers (name=value, or name alone: no value) or one of
 * @key=…, @no-value, @no-time.
 */
#include "base/parse.h"
#include "fuzz.h"
#include "model/event.h"
#include "rewrite.h"

#include <strings.h>

enum { HEADERS_MAX = 32, RECORD_BYTES_MAX = 8192 };

static const struct ow_hash_key hash_key = {
    .bytes = {1, 2, 3}
};

static const struct ow_machines *machines(void)
{
    static struct ow_machines all;
    if (all.count == 0) {
        ow_machines_init(&all);
        ow_fuzz_add_file(&all, "schemas/orders.yaml");
        ow_fuzz_add_file(&all, "tests/transcripts/machines/doors.yaml");
        ow_fuzz_add_file(&all, "tests/domain/loans.yaml");
        ow_fuzz_add_file(&all, "tests/fuzz/odd.yaml");
    }
    return &all;
}

static struct ow_slice topic_of(struct ow_slice line)
{
    switch (line.len == 0 ? 0 : line.ptr[0]) {
    case 'p':
        return OW_SLICE("payment-events");
    case 'd':
        return OW_SLICE("doors");
    case 'l':
        return OW_SLICE("library-desk");
    case 'x':
        return OW_SLICE("odd");
    default:
        return OW_SLICE("order-events");
    }
}

static struct ow_header read_header(struct ow_slice line)
{
    struct ow_header header = {.name = line};
    const uint8_t *const equals = memchr(line.ptr, '=', line.len);
    if (equals != NULL) {
        header.name.len = (size_t)(equals - line.ptr);
        header.value = (struct ow_slice){equals + 1, line.len - header.name.len - 1};
    }
    return header;
}

static struct ow_record read_record(struct ow_fuzz_input *input, struct ow_header *headers)
{
    struct ow_record record = {.topic = topic_of(ow_fuzz_line(input)),
                               .offset = 7,
                               .timestamp_ms = 1700000000000,
                               .headers = headers};
    bool has_value = true;
    while (input->rest.len > 0) {
        const struct ow_slice line = ow_fuzz_line(input);
        if (line.len == 0) {
            break;
        }
        const struct ow_header header = read_header(line);
        if (ow_slice_equals_text(header.name, "@key")) {
            record.key = header.value;
        } else if (ow_slice_equals_text(header.name, "@no-value")) {
            has_value = false;
        } else if (ow_slice_equals_text(header.name, "@no-time")) {
            record.timestamp_ms = -1;
        } else if (record.header_count < HEADERS_MAX) {
            headers[record.header_count++] = header;
        }
    }
    if (has_value) {
        record.value = input->rest;
    }
    return record;
}

static struct ow_event decode(const struct ow_record *record, struct ow_arena *arena)
{
    struct ow_decoder decoder = {
        .machines = machines(), .hash_key = &hash_key, .record_bytes_max = RECORD_BYTES_MAX};
    struct ow_event event;
    ow_event_decode(&decoder, record, arena, &event);
    ow_buffer_done(&decoder.scratch);
    return event;
}

/* What is remembered as a message's identity must be the same. */
static void check_same(const struct ow_event *a, const struct ow_event *b)
{
    OW_PROMISE(b->verdict == a->verdict && b->reason == a->reason && b->event == a->event);
    OW_PROMISE(ow_slice_equal(a->id, b->id) && ow_slice_equal(a->source, b->source) &&
               ow_slice_equal(a->entity_id, b->entity_id) && a->time_ms == b->time_ms);
    if (a->verdict != OW_OUTCOME_APPLIED) {
        return;
    }
    OW_PROMISE(memcmp(a->key, b->key, sizeof a->key) == 0);
    OW_PROMISE(memcmp(a->fingerprint, b->fingerprint, sizeof a->fingerprint) == 0);
    for (size_t i = 0; i < a->event->need_count; i++) {
        OW_PROMISE(ow_value_equal(&a->values[i], &b->values[i]));
    }
}

static void check_value(const struct ow_need *need, const struct ow_value *value)
{
    OW_PROMISE(value->type != OW_TYPE_NULL);
    OW_PROMISE(need->type == OW_TYPE_NULL || need->type == value->type);
    if (value->type == OW_TYPE_INTEGER) {
        OW_PROMISE(value->integer >= -OW_INTEGER_MAX && value->integer <= OW_INTEGER_MAX);
    } else {
        OW_PROMISE(value->text.len == 0 || ow_fuzz_is_text(value->text));
    }
    for (size_t i = 0; i < need->range_count; i++) {
        const struct ow_column *const column = need->ranges[i];
        const int64_t number = value->type == OW_TYPE_INTEGER
                                   ? value->integer
                                   : (int64_t)ow_slice_characters(value->text);
        const bool is_integer = value->type == OW_TYPE_INTEGER;
        OW_PROMISE(number >= (is_integer ? column->min : column->length_min) &&
                   number <= (is_integer ? column->max : column->length_max));
    }
}

/* "ce_" in small letters, and letters and digits. */
static bool is_attribute(struct ow_slice name)
{
    for (size_t i = 3; i < name.len; i++) {
        const bool is_digit = name.ptr[i] >= '0' && name.ptr[i] <= '9';
        if (!is_digit && !(name.ptr[i] >= 'a' && name.ptr[i] <= 'z')) {
            return false;
        }
    }
    return name.len > 3 && memcmp(name.ptr, "ce_", 3) == 0;
}

/* Whether an attribute is said twice: readers differ in which one they take. */
static bool says_twice(const struct ow_record *record)
{
    for (size_t i = 0; i < record->header_count; i++) {
        const struct ow_slice name = record->headers[i].name;
        for (size_t j = 0; is_attribute(name) && j < record->header_count; j++) {
            const struct ow_slice other = record->headers[j].name;
            if (i != j && other.len == name.len &&
                strncasecmp((const char *)other.ptr, (const char *)name.ptr, name.len) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void check_event(const struct ow_event *event)
{
    OW_PROMISE(event->verdict != OW_OUTCOME_APPLIED ||
               event->machine->message.format != OW_FORMAT_CLOUDEVENTS ||
               !says_twice(event->record));
    if (event->verdict == OW_OUTCOME_QUARANTINED) {
        OW_PROMISE(event->reason >= OW_REASON_OVERSIZE && event->reason <= OW_REASON_MISSING_KEY);
        OW_PROMISE(event->detail != NULL && ow_fuzz_is_text(ow_slice_of(event->detail)));
        return;
    }
    OW_PROMISE(event->reason == OW_REASON_NONE);
    if (event->verdict == OW_OUTCOME_FILTERED) {
        OW_PROMISE(event->event == NULL);
        return;
    }
    OW_PROMISE(event->verdict == OW_OUTCOME_APPLIED && event->event != NULL);
    OW_PROMISE(ow_slice_equals_text(event->type, event->event->name));
    OW_PROMISE(ow_fuzz_is_text(event->id) && ow_fuzz_is_text(event->entity_id));
    const struct ow_message_rule *const rule = &event->machine->message;
    OW_PROMISE((rule->format == OW_FORMAT_EXPLICIT && rule->source.kind == OW_PART_NONE) ||
               ow_fuzz_is_text(event->source));
    for (size_t i = 0; i < event->event->need_count; i++) {
        check_value(&event->event->needs[i], &event->values[i]);
    }
}

/* Members in another order, other escapes, other white space: the same event. */
static void check_other_layout(const struct ow_event *event, const struct ow_envelope *envelope,
                               struct ow_arena *arena)
{
    struct ow_record other = *event->record;
    if (envelope->mode == OW_MODE_BINARY) {
        return; /* its value may be a text that only looks like JSON */
    }
    other.value = ow_fuzz_canonical(arena, envelope->body);
    if (other.value.len <= RECORD_BYTES_MAX) {
        const struct ow_event again = decode(&other, arena);
        check_same(event, &again);
    }
}

/* A good event, said in the other mode, is the same event. */
static void check_other_ways(const struct ow_event *event, struct ow_arena *arena)
{
    struct ow_envelope envelope;
    ow_envelope_decode(&event->machine->message, event->record, arena, &envelope);
    OW_PROMISE(envelope.malformed == NULL && envelope.body != NULL);
    OW_PROMISE(envelope.type.kind == OW_ATTRIBUTE_TEXT &&
               ow_slice_equal(envelope.type.text, event->type));
    check_other_layout(event, &envelope, arena);
    struct ow_record other = *event->record;
    bool rewritten = false;
    if (envelope.mode == OW_MODE_BINARY) {
        ow_rewrite_as_structured(&envelope, event->record, arena, &other);
        rewritten = true;
    } else if (envelope.mode == OW_MODE_STRUCTURED) {
        rewritten = ow_rewrite_as_binary(&envelope, event->record, arena, &other);
    }
    /* Written otherwise it may have grown beyond the limit. */
    if (rewritten && other.value.len <= RECORD_BYTES_MAX / 2) {
        const struct ow_event again = decode(&other, arena);
        check_same(event, &again);
    }
    ow_envelope_done(&envelope);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 16384);
    struct ow_fuzz_input input = {
        .rest = {bytes, len}
    };
    struct ow_header headers[HEADERS_MAX];
    const struct ow_record record = read_record(&input, headers);
    const struct ow_event event = decode(&record, &arena);
    check_event(&event);
    const struct ow_event again = decode(&record, &arena);
    check_same(&event, &again);
    if (event.verdict == OW_OUTCOME_APPLIED) {
        check_other_ways(&event, &arena);
    }
    ow_arena_done(&arena);
    return 0;
}
