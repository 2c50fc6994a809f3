#include "rewrite.h"

#include "fuzz.h"

#include <stdlib.h>
#include <strings.h>

static struct ow_slice dump(struct ow_arena *arena, const json_t *json)
{
    char *const text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    OW_REQUIRE(text != NULL);
    const struct ow_slice copy = ow_arena_copy(arena, ow_slice_of(text));
    free(text);
    return copy;
}

/* "CE_ID": names are read without regard to case. */
static struct ow_slice header_name(struct ow_arena *arena, const char *attribute)
{
    const struct ow_slice name = ow_slice_of(ow_arena_printf(arena, "ce_%s", attribute));
    uint8_t *const capitals = ow_arena_alloc(arena, name.len);
    for (size_t i = 0; i < name.len; i++) {
        const bool is_letter = name.ptr[i] >= 'a' && name.ptr[i] <= 'z';
        capitals[i] = (uint8_t)(is_letter ? name.ptr[i] - 'a' + 'A' : name.ptr[i]);
    }
    return (struct ow_slice){capitals, name.len};
}

/* Headers that say nothing about the event go along in both modes. */
static bool says_nothing(const struct ow_header *header)
{
    const char *const name = (const char *)header->name.ptr;
    const bool attribute = header->name.len >= 3 && strncasecmp(name, "ce_", 3) == 0;
    const bool content_type = header->name.len == strlen("content-type") &&
                              strncasecmp(name, "content-type", header->name.len) == 0;
    return !attribute && !content_type;
}

/* The record without a value, with the headers that say nothing and room for more. */
static struct ow_header *begin(const struct ow_record *record, size_t more, struct ow_arena *arena,
                               struct ow_record *ret_record)
{
    struct ow_header *const headers =
        OW_ARENA_ARRAY(arena, record->header_count + more, struct ow_header);
    *ret_record = *record;
    ret_record->headers = headers;
    ret_record->header_count = 0;
    for (size_t i = 0; i < record->header_count; i++) {
        if (says_nothing(&record->headers[i])) {
            headers[ret_record->header_count++] = record->headers[i];
        }
    }
    return headers;
}

static bool is_attribute_name(const char *name)
{
    return name[0] != '\0' && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789")] == '\0';
}

bool ow_rewrite_as_binary(const struct ow_envelope *envelope, const struct ow_record *record,
                          struct ow_arena *arena, struct ow_record *ret_record)
{
    const json_t *const data = json_object_get(envelope->body, "data");
    if (data == NULL) {
        return false;
    }
    struct ow_header *const headers =
        begin(record, json_object_size(envelope->body) + 1, arena, ret_record);
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(envelope->body, name, value)
    {
        if (strcmp(name, "data") == 0 || strcmp(name, "datacontenttype") == 0 ||
            !is_attribute_name(name) || json_is_null(value)) {
            continue;
        }
        if (!json_is_string(value)) {
            return false; /* headers are texts */
        }
        headers[ret_record->header_count++] = (struct ow_header){
            .name = header_name(arena, name),
            .value = ow_arena_copy(arena, ow_slice_of(json_string_value(value)))};
    }
    headers[ret_record->header_count++] =
        (struct ow_header){.name = OW_SLICE("content-type"), .value = OW_SLICE("application/json")};
    ret_record->value = dump(arena, data);
    return true;
}

void ow_rewrite_as_structured(const struct ow_envelope *envelope, const struct ow_record *record,
                              struct ow_arena *arena, struct ow_record *ret_record)
{
    struct ow_header *const headers = begin(record, 1, arena, ret_record);
    headers[ret_record->header_count++] =
        (struct ow_header){.name = OW_SLICE("Content-Type"),
                           .value = OW_SLICE("application/cloudevents+json; charset=utf-8")};
    ret_record->value = dump(arena, envelope->body);
}
