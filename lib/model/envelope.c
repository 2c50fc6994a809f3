#include "model/envelope.h"

#include "base/contract.h"

/* ASCII only, and no locale: header names and media types are tokens (RFC 9110, 5.6.2). */
static uint8_t to_lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

static bool equals_ignoring_case(struct ow_slice slice, const char *lower_text)
{
    size_t i = 0;
    for (; i < slice.len && lower_text[i] != '\0'; i++) {
        if (to_lower(slice.ptr[i]) != (uint8_t)lower_text[i]) {
            return false;
        }
    }
    return i == slice.len && lower_text[i] == '\0';
}

static struct ow_slice trim(struct ow_slice slice)
{
    while (slice.len > 0 && (slice.ptr[0] == ' ' || slice.ptr[0] == '\t')) {
        slice = (struct ow_slice){slice.ptr + 1, slice.len - 1};
    }
    while (slice.len > 0 && (slice.ptr[slice.len - 1] == ' ' || slice.ptr[slice.len - 1] == '\t')) {
        slice.len--;
    }
    return slice;
}

/* "application/json; charset=utf-8" → "application/json" in lower case. */
static struct ow_slice media_type(struct ow_slice content_type, struct ow_arena *arena)
{
    size_t len = 0;
    while (len < content_type.len && content_type.ptr[len] != ';') {
        len++;
    }
    const struct ow_slice type = trim((struct ow_slice){content_type.ptr, len});
    uint8_t *lower = ow_arena_alloc(arena, type.len + 1);
    for (size_t i = 0; i < type.len; i++) {
        lower[i] = to_lower(type.ptr[i]);
    }
    return (struct ow_slice){lower, type.len};
}

static bool starts_with(struct ow_slice slice, const char *prefix)
{
    const size_t len = strlen(prefix);
    return slice.len >= len && memcmp(slice.ptr, prefix, len) == 0;
}

static bool is_json_media_type(struct ow_slice media)
{
    return ow_slice_equals_text(media, "application/json") ||
           ow_slice_equals_text(media, "text/json") ||
           (media.len > 5 && memcmp(media.ptr + media.len - 5, "+json", 5) == 0);
}

/* "ce_id" → "id"; absent where the header is no CloudEvents attribute. */
static struct ow_slice attribute_name(struct ow_slice header_name, struct ow_arena *arena)
{
    if (header_name.len <= 3 ||
        !equals_ignoring_case((struct ow_slice){header_name.ptr, 3}, "ce_")) {
        return (struct ow_slice){0};
    }
    uint8_t *name = ow_arena_alloc(arena, header_name.len);
    for (size_t i = 3; i < header_name.len; i++) {
        name[i - 3] = to_lower(header_name.ptr[i]);
    }
    return (struct ow_slice){name, header_name.len - 3};
}

/* CloudEvents 1.0, "Naming conventions": other names are no attributes. */
static bool is_attribute_name(struct ow_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!(name.ptr[i] >= 'a' && name.ptr[i] <= 'z') &&
            !(name.ptr[i] >= '0' && name.ptr[i] <= '9')) {
            return false;
        }
    }
    return name.len > 0;
}

struct headers {
    struct ow_slice media; /* of content-type; absent without one */
    struct ow_slice content_type;
    json_t *attributes; /* of the ce_ headers; an object */
    const char *malformed;
};

/* Puts one ce_ attribute; a second of the same name is refused, for readers differ in which one
 * they take. */
static void add_attribute(struct headers *headers, const struct ow_header *header,
                          struct ow_arena *arena)
{
    const struct ow_slice name = attribute_name(header->name, arena);
    if (ow_slice_is_absent(name) || !is_attribute_name(name)) {
        return;
    }
    const char *text = (const char *)name.ptr;
    if (json_object_get(headers->attributes, text) != NULL) {
        headers->malformed = ow_arena_printf(arena, "the header ce_%s comes twice", text);
        return;
    }
    if (!ow_slice_is_absent(header->value) && !ow_slice_is_text(header->value)) {
        headers->malformed = ow_arena_printf(arena, "the header ce_%s is not UTF-8 text", text);
        return;
    }
    (void)json_object_set_new(
        headers->attributes, text,
        ow_slice_is_absent(header->value)
            ? json_null()
            : json_stringn((const char *)header->value.ptr, header->value.len));
}

static struct headers read_headers(const struct ow_record *record, struct ow_arena *arena)
{
    struct headers headers = {.attributes = json_object()};
    for (size_t i = 0; i < record->header_count; i++) {
        const struct ow_header *header = &record->headers[i];
        if (!equals_ignoring_case(header->name, "content-type")) {
            add_attribute(&headers, header, arena);
        } else if (!ow_slice_is_absent(headers.media)) {
            headers.malformed = "the header content-type comes twice";
        } else if (!ow_slice_is_absent(header->value) && !ow_slice_is_text(header->value)) {
            headers.malformed = "the header content-type is not UTF-8 text";
        } else if (!ow_slice_is_absent(header->value)) {
            headers.content_type = header->value;
            headers.media = media_type(header->value, arena);
        }
    }
    return headers;
}

static struct ow_attribute attribute_of(const json_t *value, struct ow_arena *arena)
{
    if (value == NULL || json_is_null(value)) {
        return (struct ow_attribute){.kind = OW_ATTRIBUTE_ABSENT};
    }
    if (!json_is_string(value)) {
        return (struct ow_attribute){.kind = OW_ATTRIBUTE_WRONG};
    }
    const struct ow_slice text = {(const uint8_t *)json_string_value(value),
                                  json_string_length(value)};
    if (text.len == 0) {
        return (struct ow_attribute){.kind = OW_ATTRIBUTE_EMPTY, .text = OW_SLICE("")};
    }
    return (struct ow_attribute){.kind = OW_ATTRIBUTE_TEXT, .text = ow_arena_copy(arena, text)};
}

/* Reads the context attributes out of envelope->body, an object. */
static void read_attributes(struct ow_envelope *envelope, struct ow_arena *arena)
{
    const struct ow_attribute specversion =
        attribute_of(json_object_get(envelope->body, "specversion"), arena);
    if (specversion.kind != OW_ATTRIBUTE_TEXT || !ow_slice_equals_text(specversion.text, "1.0")) {
        envelope->malformed = "not a CloudEvent of specversion 1.0";
        return;
    }
    envelope->type = attribute_of(json_object_get(envelope->body, "type"), arena);
    envelope->id = attribute_of(json_object_get(envelope->body, "id"), arena);
    envelope->source = attribute_of(json_object_get(envelope->body, "source"), arena);
    envelope->time = attribute_of(json_object_get(envelope->body, "time"), arena);
    envelope->subject = attribute_of(json_object_get(envelope->body, "subject"), arena);
}

static void read_structured(struct ow_envelope *envelope, const struct ow_record *record,
                            struct ow_arena *arena)
{
    envelope->mode = OW_MODE_STRUCTURED;
    if (ow_slice_is_absent(record->value)) {
        envelope->malformed = "a structured event without a value";
        return;
    }
    if (envelope->body == NULL) {
        envelope->body = ow_json_parse(record->value, arena, &envelope->malformed);
    }
    if (envelope->body == NULL) {
        return;
    }
    if (!json_is_object(envelope->body)) {
        envelope->malformed = "not a JSON object";
        return;
    }
    read_attributes(envelope, arena);
}

/* The value of a binary-mode event as the member "data"; texts of other media types as a string
 * where they are text. */
static json_t *binary_data(const struct ow_record *record, struct ow_slice media,
                           struct ow_arena *arena, const char **ret_malformed)
{
    if (ow_slice_is_absent(media) || is_json_media_type(media)) {
        return ow_json_parse(record->value, arena, ret_malformed);
    }
    return ow_slice_is_text(record->value)
               ? json_stringn((const char *)record->value.ptr, record->value.len)
               : NULL;
}

static void read_binary(struct ow_envelope *envelope, const struct ow_record *record,
                        const struct headers *headers, struct ow_arena *arena)
{
    envelope->mode = OW_MODE_BINARY;
    json_decref(envelope->body);
    envelope->body = json_incref(headers->attributes);
    read_attributes(envelope, arena);
    if (envelope->malformed != NULL) {
        return;
    }
    if (!ow_slice_is_absent(headers->content_type)) {
        (void)json_object_set_new(
            envelope->body, "datacontenttype",
            json_stringn((const char *)headers->content_type.ptr, headers->content_type.len));
    }
    /* "data" is no legal attribute name in a header, so a ce_data header must not stand in for the
     * value. */
    (void)json_object_del(envelope->body, "data");
    if (ow_slice_is_absent(record->value)) {
        return;
    }
    json_t *data = binary_data(record, headers->media, arena, &envelope->malformed);
    if (data != NULL) {
        (void)json_object_set_new(envelope->body, "data", data);
    }
}

/* Without a content type a JSON object with a specversion is a structured event; it is parsed once
 * and kept. */
static bool looks_structured(struct ow_envelope *envelope, const struct ow_record *record,
                             const struct headers *headers, struct ow_arena *arena)
{
    if (ow_slice_is_absent(record->value)) {
        return false;
    }
    const char *why = NULL;
    envelope->body = ow_json_parse(record->value, arena, &why);
    if (json_object_get(envelope->body, "specversion") != NULL) {
        return true;
    }
    if (json_object_size(headers->attributes) == 0 && envelope->malformed == NULL) {
        envelope->malformed =
            why != NULL ? why : "not a CloudEvent: no specversion and no ce_ headers";
    }
    return false;
}

static void decode_cloudevents(struct ow_envelope *envelope, const struct ow_record *record,
                               struct ow_arena *arena)
{
    struct headers headers = read_headers(record, arena);
    envelope->malformed = headers.malformed;
    bool structured = false;
    if (ow_slice_is_absent(headers.media)) {
        structured = looks_structured(envelope, record, &headers, arena);
    } else if (starts_with(headers.media, "application/cloudevents")) {
        structured = true;
        if (!ow_slice_equals_text(headers.media, "application/cloudevents+json") &&
            !ow_slice_equals_text(headers.media, "application/cloudevents")) {
            envelope->malformed = "a CloudEvents format other than JSON, or a batch";
        }
    }
    envelope->mode = structured ? OW_MODE_STRUCTURED : OW_MODE_BINARY;
    if (envelope->malformed == NULL && structured) {
        read_structured(envelope, record, arena);
    } else if (envelope->malformed == NULL) {
        read_binary(envelope, record, &headers, arena);
    }
    json_decref(headers.attributes);
}

static void decode_explicit(const struct ow_message_rule *rule, struct ow_envelope *envelope,
                            const struct ow_record *record, struct ow_arena *arena)
{
    envelope->mode = OW_MODE_EXPLICIT;
    if (ow_slice_is_absent(record->value)) {
        envelope->malformed = "no value";
        return;
    }
    envelope->body = ow_json_parse(record->value, arena, &envelope->malformed);
    if (envelope->body == NULL) {
        return;
    }
    envelope->type = ow_envelope_attribute(envelope, record, &rule->type, arena);
    envelope->id = ow_envelope_attribute(envelope, record, &rule->id, arena);
    envelope->source = ow_envelope_attribute(envelope, record, &rule->source, arena);
    envelope->time = ow_envelope_attribute(envelope, record, &rule->time, arena);
}

void ow_envelope_decode(const struct ow_message_rule *rule, const struct ow_record *record,
                        struct ow_arena *arena, struct ow_envelope *ret_envelope)
{
    *ret_envelope = (struct ow_envelope){0};
    switch (rule->format) {
    case OW_FORMAT_CLOUDEVENTS:
        decode_cloudevents(ret_envelope, record, arena);
        break;
    case OW_FORMAT_EXPLICIT:
        decode_explicit(rule, ret_envelope, record, arena);
        break;
    }
    if (ret_envelope->malformed != NULL) {
        ow_envelope_done(ret_envelope);
    }
}

void ow_envelope_done(struct ow_envelope *envelope)
{
    json_decref(envelope->body);
    envelope->body = NULL;
}

static struct ow_attribute bytes_attribute(struct ow_slice bytes)
{
    if (ow_slice_is_absent(bytes)) {
        return (struct ow_attribute){.kind = OW_ATTRIBUTE_ABSENT};
    }
    if (bytes.len == 0) {
        return (struct ow_attribute){.kind = OW_ATTRIBUTE_EMPTY, .text = bytes};
    }
    return (struct ow_attribute){
        .kind = ow_slice_is_text(bytes) ? OW_ATTRIBUTE_TEXT : OW_ATTRIBUTE_WRONG, .text = bytes};
}

static struct ow_attribute header_attribute(const struct ow_record *record, struct ow_slice name)
{
    const struct ow_header *found = NULL;
    for (size_t i = 0; i < record->header_count; i++) {
        if (ow_slice_equal(record->headers[i].name, name)) {
            if (found != NULL) {
                return (struct ow_attribute){.kind = OW_ATTRIBUTE_WRONG};
            }
            found = &record->headers[i];
        }
    }
    return bytes_attribute(found == NULL ? (struct ow_slice){0} : found->value);
}

struct ow_attribute ow_envelope_attribute(const struct ow_envelope *envelope,
                                          const struct ow_record *record,
                                          const struct ow_part *part, struct ow_arena *arena)
{
    switch (part->kind) {
    case OW_PART_TYPE:
        return envelope->type;
    case OW_PART_SOURCE:
        return envelope->source;
    case OW_PART_ID:
        return envelope->id;
    case OW_PART_TIME:
        return envelope->time;
    case OW_PART_SUBJECT:
        return envelope->subject;
    case OW_PART_POINTER:
        return attribute_of(ow_pointer_get(&part->pointer, envelope->body), arena);
    case OW_PART_HEADER:
        return header_attribute(record, part->header);
    case OW_PART_KEY:
        return bytes_attribute(record->key);
    case OW_PART_ENTITY: /* the caller knows it; it is no attribute of the message */
    case OW_PART_NONE:
        return (struct ow_attribute){.kind = OW_ATTRIBUTE_ABSENT};
    }
    OW_IMPOSSIBLE("a part of no kind");
}
