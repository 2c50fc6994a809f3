/*
 * Records with given values, as a producer of this machine would send them, read by the decoder
 * that reads everybody's. The claim key and the fingerprint are also kept as plain texts, so that
 * two messages can be told the same without believing the hashes.
 */
#include "base/contract.h"
#include "model/prove_state.h"

#include <stdio.h>
#include <stdlib.h>

enum { HEADERS_MAX = 64 };

/* A record that is being written. */
struct draft {
    const struct ow_machine *machine;
    struct ow_arena *arena;
    json_t *body;
    struct ow_header headers[HEADERS_MAX];
    size_t header_count;
    struct ow_slice key;
    const char *id, *entity, *type;
};

/* CloudEvents' names. */
static const char *const members[] = {[OW_PART_TYPE] = "type",
                                      [OW_PART_SOURCE] = "source",
                                      [OW_PART_ID] = "id",
                                      [OW_PART_TIME] = "time",
                                      [OW_PART_SUBJECT] = "subject"};
static const char source[] = "/prove";
static const char event_time[] =
    "2026-01-01T00:00:00Z"; /* all at once: time decides nothing here */

/* Puts a value where the pointer leads; what stands in the way stays. */
static void put(json_t *root, const struct ow_pointer *pointer, json_t *value)
{
    json_t *at = root;
    for (size_t i = 0; i < pointer->step_count && json_is_object(at); i++) {
        char name[256];
        (void)snprintf(name, sizeof name, OW_SLICE_FMT, OW_SLICE_ARG(pointer->steps[i]));
        json_t *next = json_object_get(at, name);
        if (next == NULL) {
            next = i + 1 == pointer->step_count ? json_incref(value) : json_object();
            (void)json_object_set_new(at, name, next);
        }
        at = next;
    }
    json_decref(value);
}

static struct ow_slice header_of(const struct draft *draft, struct ow_slice name)
{
    for (size_t i = 0; i < draft->header_count; i++) {
        if (ow_slice_equal(draft->headers[i].name, name)) {
            return draft->headers[i].value;
        }
    }
    return (struct ow_slice){0};
}

/* Says text at a part of the message, unless something is said there already. */
static void say(struct draft *draft, const struct ow_part *part, const char *text)
{
    if (part->kind == OW_PART_POINTER) {
        put(draft->body, &part->pointer, json_string(text));
    } else if (part->kind == OW_PART_HEADER) {
        if (ow_slice_is_absent(header_of(draft, part->header)) &&
            draft->header_count < HEADERS_MAX) {
            draft->headers[draft->header_count++] =
                (struct ow_header){part->header, ow_slice_of(text)};
        }
    } else if (part->kind == OW_PART_KEY) {
        draft->key = ow_slice_is_absent(draft->key) ? ow_slice_of(text) : draft->key;
    } else if (part->kind <= OW_PART_SUBJECT &&
               draft->machine->message.format == OW_FORMAT_CLOUDEVENTS &&
               json_object_get(draft->body, members[part->kind]) == NULL) {
        (void)json_object_set_new(draft->body, members[part->kind], json_string(text));
    }
}

static void say_attributes(struct draft *draft)
{
    const struct ow_message_rule *const rule = &draft->machine->message;
    if (rule->format == OW_FORMAT_CLOUDEVENTS) {
        (void)json_object_set_new(draft->body, "specversion", json_string("1.0"));
        (void)json_object_set_new(draft->body, "data", json_object());
        say(draft, &rule->entity, draft->entity);
        say(draft, &(struct ow_part){.kind = OW_PART_TYPE}, draft->type);
        say(draft, &(struct ow_part){.kind = OW_PART_SOURCE}, source);
        say(draft, &(struct ow_part){.kind = OW_PART_ID}, draft->id);
        say(draft, &(struct ow_part){.kind = OW_PART_TIME}, event_time);
        return;
    }
    say(draft, &rule->entity, draft->entity);
    say(draft, &rule->type, draft->type);
    say(draft, &rule->source, source);
    say(draft, &rule->id, draft->id);
    say(draft, &rule->time, event_time);
}

/* Parts of the claim key that nothing else says are part of the id. */
static void say_key_parts(struct draft *draft, const struct ow_claim_rule *rule)
{
    for (size_t i = 0; i < rule->key_part_count; i++) {
        const enum ow_part_kind kind = rule->key_parts[i].kind;
        if (kind == OW_PART_POINTER || kind == OW_PART_HEADER) {
            say(draft, &rule->key_parts[i], draft->id);
        } else if (kind == OW_PART_KEY) {
            say(draft, &rule->key_parts[i], draft->entity);
        }
    }
}

static json_t *json_of(const struct ow_value *value)
{
    return value->type == OW_TYPE_INTEGER
               ? json_integer(value->integer)
               : json_stringn((const char *)value->text.ptr, value->text.len);
}

/* Where an attribute is found: the machine's rule says so, or else the envelope's member does. */
static struct ow_part place_of(const struct draft *draft, const struct ow_part *part)
{
    const struct ow_message_rule *const rule = &draft->machine->message;
    const struct ow_part place = part->kind == OW_PART_ENTITY ? rule->entity : *part;
    if (rule->format == OW_FORMAT_CLOUDEVENTS) {
        return place;
    }
    const struct ow_part *const declared[] = {[OW_PART_TYPE] = &rule->type,
                                              [OW_PART_SOURCE] = &rule->source,
                                              [OW_PART_ID] = &rule->id,
                                              [OW_PART_TIME] = &rule->time};
    return place.kind <= OW_PART_TIME ? *declared[place.kind] : place;
}

/* Appends what a part says, with its length before it; '-' where it says nothing. */
static void hear(const struct draft *draft, const struct ow_claim_rule *rule,
                 const struct ow_part *part, struct ow_buffer *out)
{
    const struct ow_part place = place_of(draft, part);
    OW_BUFFER text = {0};
    const json_t *json = NULL;
    struct ow_slice bytes = {0};
    if (place.kind == OW_PART_POINTER) {
        json = ow_pointer_get(&place.pointer, draft->body);
    } else if (place.kind == OW_PART_HEADER) {
        bytes = header_of(draft, place.header);
    } else if (place.kind == OW_PART_KEY) {
        bytes = draft->key;
    } else if (place.kind <= OW_PART_SUBJECT) {
        json = json_object_get(draft->body, members[place.kind]);
    }
    if (json != NULL) {
        ow_json_canonical(&text, json, &place.pointer, rule->ignore, rule->ignore_count);
        bytes = ow_buffer_view(&text);
    } else if (!ow_slice_is_absent(bytes)) {
        ow_json_canonical_text(&text, bytes);
        bytes = ow_buffer_view(&text);
    }
    if (ow_slice_is_absent(bytes)) {
        ow_buffer_byte(out, '-');
    } else {
        ow_buffer_printf(out, "%zu:", bytes.len);
        ow_buffer_slice(out, bytes);
    }
}

/* The declared key and fingerprint as texts: DESIGN 5 without the hashes. */
static void take_texts(const struct draft *draft, const struct ow_claim_rule *rule,
                       struct ow_prove_message *message)
{
    const struct ow_part entity = {.kind = OW_PART_ENTITY};
    OW_BUFFER key = {0};
    OW_BUFFER fields = {0};
    ow_buffer_printf(&key, "%s/", rule->space);
    for (size_t i = 0; i < rule->key_part_count; i++) {
        hear(draft, rule, &rule->key_parts[i], &key);
    }
    for (size_t i = 0; i < rule->field_count; i++) {
        hear(draft, rule, &rule->fields[i], &fields);
    }
    hear(draft, rule, &entity, &fields);
    message->key_text = ow_arena_copy(draft->arena, ow_buffer_view(&key));
    message->fingerprint_text = ow_arena_copy(draft->arena, ow_buffer_view(&fields));
}

static const struct ow_event *decode(struct ow_prove *prove, const struct draft *draft)
{
    static const struct ow_hash_key
        hash_key; /* all zero: any key does, and it is always the same */
    struct ow_record *const record = OW_ARENA_NEW(prove->arena, struct ow_record);
    char *const text = json_dumps(draft->body, JSON_COMPACT);
    OW_INVARIANT(text != NULL);
    struct ow_header *const headers =
        OW_ARENA_ARRAY(prove->arena, draft->header_count, struct ow_header);
    memcpy(headers, draft->headers, draft->header_count * sizeof *headers);
    *record = (struct ow_record){.topic = ow_slice_of(prove->machine->topics[0]),
                                 .timestamp_ms = -1,
                                 .key = draft->key,
                                 .value = ow_arena_copy(prove->arena, ow_slice_of(text)),
                                 .headers = headers,
                                 .header_count = draft->header_count};
    free(text);
    struct ow_decoder decoder = {.machines = prove->machines,
                                 .hash_key = &hash_key,
                                 .record_bytes_max = OW_RECORD_BYTES_DEFAULT};
    struct ow_event *const event = OW_ARENA_NEW(prove->arena, struct ow_event);
    ow_event_decode(&decoder, record, prove->arena, event);
    ow_buffer_done(&decoder.scratch);
    return event;
}

bool ow_prove_message_make(struct ow_prove *prove, const struct ow_prove_letter *letter,
                           struct ow_prove_message *ret_message, const char **ret_detail)
{
    struct draft draft = {.machine = prove->machine,
                          .arena = prove->arena,
                          .body = json_object(),
                          .id = letter->id,
                          .entity = letter->entity,
                          .type = letter->type->name};
    say_attributes(&draft);
    for (size_t i = 0; i < letter->type->need_count; i++) {
        put(draft.body, &letter->type->needs[i].pointer, json_of(&letter->values[i]));
    }
    say_key_parts(&draft, letter->type->claim);
    ret_message->event = decode(prove, &draft);
    take_texts(&draft, letter->type->claim, ret_message);
    json_decref(draft.body);
    *ret_detail = ret_message->event->detail;
    return ret_message->event->verdict == OW_OUTCOME_APPLIED &&
           ret_message->event->event == letter->type;
}
