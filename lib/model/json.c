#include "model/json.h"

#include "base/contract.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * jansson tells its caller that memory has ended as it tells that a text is no JSON, or that a
 * member is not there: a good record would be quarantined, a conflict told wrongly. So it aborts
 * there, as we do; in every program, before its first value is made.
 */
static void *allocate(size_t bytes)
{
    void *memory = malloc(bytes);
    if (memory == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    return memory;
}

__attribute__((constructor)) static void abort_without_memory(void)
{
    json_set_alloc_funcs(allocate, free);
}

json_t *ow_json_parse(struct ow_slice bytes, struct ow_arena *arena, const char **ret_detail)
{
    /* jansson 2.14 loses a NUL behind a number or a word, and would take what no other reader does.
     */
    const uint8_t *nul = bytes.len == 0 ? NULL : memchr(bytes.ptr, 0, bytes.len);
    if (nul != NULL) {
        *ret_detail = ow_arena_printf(arena, "not JSON: a NUL at byte %zu", nul - bytes.ptr + 1);
        return NULL;
    }
    json_error_t error;
    json_t *value = json_loadb((const char *)bytes.ptr, bytes.len,
                               JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value == NULL) {
        /* It quotes what it stopped at, and may cut a character in two. */
        char *quote = strstr(error.text, " near '");
        if (quote != NULL && !ow_slice_is_utf8(ow_slice_of(error.text))) {
            *quote = '\0';
        }
        *ret_detail = ow_arena_printf(arena, "not JSON: %s at byte %d", error.text, error.position);
    }
    return value;
}

void ow_json_release(json_t **value)
{
    json_decref(*value);
    *value = NULL;
}

/* Unescapes one step in place of a copy: "~1" is '/', "~0" is '~'. False for any other '~'. */
static bool parse_step(struct ow_arena *arena, struct ow_slice raw, struct ow_slice *ret_step)
{
    uint8_t *out = ow_arena_alloc(arena, raw.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        uint8_t byte = raw.ptr[i];
        if (byte == '~') {
            i++;
            if (i == raw.len || (raw.ptr[i] != '0' && raw.ptr[i] != '1')) {
                return false;
            }
            byte = raw.ptr[i] == '0' ? '~' : '/';
        }
        out[len++] = byte;
    }
    *ret_step = (struct ow_slice){out, len};
    return true;
}

bool ow_pointer_parse(struct ow_arena *arena, const char *text, struct ow_pointer *ret_pointer)
{
    if (text[0] != '\0' && text[0] != '/') {
        return false;
    }
    size_t count = 0;
    for (const char *c = text; *c != '\0'; c++) {
        count += *c == '/';
    }
    struct ow_slice *steps = OW_ARENA_ARRAY(arena, count, struct ow_slice);
    const char *at = text;
    for (size_t i = 0; i < count; i++) {
        at++;
        const size_t len = strcspn(at, "/");
        if (!parse_step(arena, (struct ow_slice){(const uint8_t *)at, len}, &steps[i])) {
            return false;
        }
        at += len;
    }
    *ret_pointer = (struct ow_pointer){
        .text = ow_arena_text(arena, ow_slice_of(text)), .steps = steps, .step_count = count};
    return true;
}

/* "0" or digits without a leading zero: an index of an array (RFC 6901, section 4). */
static bool parse_index(struct ow_slice step, size_t *ret_index)
{
    if (step.len == 0 || step.len > 9 || (step.len > 1 && step.ptr[0] == '0')) {
        return false;
    }
    size_t index = 0;
    for (size_t i = 0; i < step.len; i++) {
        if (step.ptr[i] < '0' || step.ptr[i] > '9') {
            return false;
        }
        index = index * 10 + (size_t)(step.ptr[i] - '0');
    }
    *ret_index = index;
    return true;
}

const json_t *ow_pointer_get(const struct ow_pointer *pointer, const json_t *root)
{
    const json_t *at = root;
    for (size_t i = 0; i < pointer->step_count && at != NULL; i++) {
        const struct ow_slice step = pointer->steps[i];
        size_t index = 0;
        if (json_is_object(at)) {
            /* Steps end with a NUL; one that has a NUL inside names no member, for jansson refuses
             * such names. */
            at = json_object_get(at, (const char *)step.ptr);
        } else if (json_is_array(at) && parse_index(step, &index)) {
            at = json_array_get(at, index);
        } else {
            at = NULL;
        }
    }
    return at;
}

void ow_json_canonical_text(struct ow_buffer *out, struct ow_slice text)
{
    ow_buffer_byte(out, '"');
    size_t start = 0;
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t byte = text.ptr[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\') {
            continue;
        }
        ow_buffer_append(out, text.ptr + start, i - start);
        start = i + 1;
        static const char short_escapes[] = "\b\f\n\r\t\"\\";
        static const char short_names[] = "bfnrt\"\\";
        const char *found = byte == 0 ? NULL : strchr(short_escapes, byte);
        if (found != NULL) {
            ow_buffer_printf(out, "\\%c", short_names[found - short_escapes]);
        } else {
            ow_buffer_printf(out, "\\u%04x", byte);
        }
    }
    ow_buffer_append(out, text.ptr + start, text.len - start);
    ow_buffer_byte(out, '"');
}

void ow_json_canonical_value(struct ow_buffer *out, const struct ow_value *value)
{
    switch (value->type) {
    case OW_TYPE_NULL:
        ow_buffer_text(out, "null");
        break;
    case OW_TYPE_INTEGER:
        ow_buffer_printf(out, "%lld", (long long)value->integer);
        break;
    case OW_TYPE_TEXT:
        ow_json_canonical_text(out, value->text);
        break;
    }
}

/* Where the writer stands: the steps from the document's root, for `ignore`. */
struct path {
    const struct path *parent;
    struct ow_slice step;
    size_t index; /* of an array; SIZE_MAX: step is a member's name */
    size_t depth;
};

struct canonical {
    struct ow_buffer *out;
    const struct ow_pointer *base;
    const struct ow_pointer *ignore;
    size_t ignore_count;
};

static bool step_matches(const struct path *path, struct ow_slice step)
{
    size_t index = 0;
    if (path->index != SIZE_MAX) {
        return parse_index(step, &index) && index == path->index;
    }
    return ow_slice_equal(path->step, step);
}

static bool pointer_is_here(const struct ow_pointer *pointer, const struct ow_pointer *base,
                            const struct path *path)
{
    const size_t base_count = base == NULL ? 0 : base->step_count;
    if (pointer->step_count != base_count + path->depth) {
        return false;
    }
    for (size_t i = pointer->step_count; i > base_count; i--) {
        OW_INVARIANT(path != NULL); /* depth counts the parents */
        if (!step_matches(path, pointer->steps[i - 1])) {
            return false;
        }
        path = path->parent;
    }
    for (size_t i = 0; i < base_count; i++) {
        if (!ow_slice_equal(pointer->steps[i], base->steps[i])) {
            return false;
        }
    }
    return true;
}

static bool is_ignored(const struct canonical *writer, const struct path *path)
{
    for (size_t i = 0; i < writer->ignore_count; i++) {
        if (pointer_is_here(&writer->ignore[i], writer->base, path)) {
            return true;
        }
    }
    return false;
}

static int compare_names(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;
    /* strcmp compares as unsigned bytes (C17 7.24.4), and names have no NUL. */
    return strcmp(*left, *right);
}

/* NOLINTBEGIN(misc-no-recursion): as deep as the document, which jansson bounds at 2048 levels. */
static void write_value(const struct canonical *writer, const json_t *value,
                        const struct path *path);

static void write_object(const struct canonical *writer, json_t *object, const struct path *path)
{
    const size_t count = json_object_size(object);
    const char **names = calloc(count + 1, sizeof(*names));
    OW_INVARIANT(names != NULL);
    size_t filled = 0;
    const char *name = NULL;
    json_t *member = NULL;
    json_object_foreach(object, name, member)
    {
        names[filled++] = name;
    }
    qsort(names, filled, sizeof(*names), compare_names);

    ow_buffer_byte(writer->out, '{');
    bool first = true;
    for (size_t i = 0; i < filled; i++) {
        const struct path here = {.parent = path,
                                  .step = ow_slice_of(names[i]),
                                  .index = SIZE_MAX,
                                  .depth = path->depth + 1};
        if (is_ignored(writer, &here)) {
            continue;
        }
        if (!first) {
            ow_buffer_byte(writer->out, ',');
        }
        first = false;
        ow_json_canonical_text(writer->out, here.step);
        ow_buffer_byte(writer->out, ':');
        write_value(writer, json_object_get(object, names[i]), &here);
    }
    ow_buffer_byte(writer->out, '}');
    free(names);
}

static void write_array(const struct canonical *writer, const json_t *array,
                        const struct path *path)
{
    ow_buffer_byte(writer->out, '[');
    bool first = true;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const struct path here = {.parent = path, .index = i, .depth = path->depth + 1};
        if (is_ignored(writer, &here)) {
            continue;
        }
        if (!first) {
            ow_buffer_byte(writer->out, ',');
        }
        first = false;
        write_value(writer, json_array_get(array, i), &here);
    }
    ow_buffer_byte(writer->out, ']');
}

static void write_value(const struct canonical *writer, const json_t *value,
                        const struct path *path)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        write_object(writer, (json_t *)(uintptr_t)value, path);
        break;
    case JSON_ARRAY:
        write_array(writer, value, path);
        break;
    case JSON_STRING:
        ow_json_canonical_text(writer->out,
                               (struct ow_slice){(const uint8_t *)json_string_value(value),
                                                 json_string_length(value)});
        break;
    case JSON_INTEGER:
        ow_buffer_printf(writer->out, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        ow_buffer_printf(writer->out, "%.17g", json_real_value(value));
        break;
    case JSON_TRUE:
        ow_buffer_text(writer->out, "true");
        break;
    case JSON_FALSE:
        ow_buffer_text(writer->out, "false");
        break;
    case JSON_NULL:
        ow_buffer_text(writer->out, "null");
        break;
    }
}

/* NOLINTEND(misc-no-recursion) */

void ow_json_canonical(struct ow_buffer *out, const json_t *value, const struct ow_pointer *base,
                       const struct ow_pointer *ignore, size_t ignore_count)
{
    const struct canonical writer = {
        .out = out, .base = base, .ignore = ignore, .ignore_count = ignore_count};
    const struct path root = {.index = SIZE_MAX, .depth = 0};
    write_value(&writer, value, &root);
}
