#include "store/internal.h"

#include <jansson.h>

/*
 * A record's headers as JSON text, without loss: an array of [name, value] in order (names may
 * repeat); a value is a string, null where the header has none, or {"base64":"…"} where it is not
 * UTF-8. A name that is not UTF-8 likewise.
 */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void write_base64(struct ow_buffer *out, struct ow_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        const size_t left = bytes.len - i;
        const uint32_t group = (uint32_t)bytes.ptr[i] << 16 |
                               (left > 1 ? (uint32_t)bytes.ptr[i + 1] << 8 : 0) |
                               (left > 2 ? (uint32_t)bytes.ptr[i + 2] : 0);
        ow_buffer_byte(out, (uint8_t)digits[group >> 18 & 63]);
        ow_buffer_byte(out, (uint8_t)digits[group >> 12 & 63]);
        ow_buffer_byte(out, left > 1 ? (uint8_t)digits[group >> 6 & 63] : '=');
        ow_buffer_byte(out, left > 2 ? (uint8_t)digits[group & 63] : '=');
    }
}

static void write_bytes(struct ow_buffer *out, struct ow_slice bytes)
{
    if (ow_slice_is_absent(bytes)) {
        ow_buffer_text(out, "null");
    } else if (ow_slice_is_utf8(bytes)) {
        ow_json_canonical_text(out, bytes);
    } else {
        ow_buffer_text(out, "{\"base64\":\"");
        write_base64(out, bytes);
        ow_buffer_text(out, "\"}");
    }
}

void ow_headers_write(struct ow_buffer *out, const struct ow_header *headers, size_t count)
{
    if (count == 0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        ow_buffer_text(out, i == 0 ? "[[" : ",[");
        write_bytes(out, ow_slice_is_absent(headers[i].name) ? OW_SLICE("") : headers[i].name);
        ow_buffer_byte(out, ',');
        write_bytes(out, headers[i].value);
        ow_buffer_byte(out, ']');
    }
    ow_buffer_byte(out, ']');
}

/* Strict: whole groups, padding only at the end, no left-over bits. */
static bool read_base64(const char *text, size_t len, struct ow_arena *arena,
                        struct ow_slice *ret_bytes)
{
    if (len % 4 != 0) {
        return false;
    }
    uint8_t *bytes = ow_arena_alloc(arena, len / 4 * 3 + 1);
    size_t count = 0;
    for (size_t i = 0; i < len; i += 4) {
        uint32_t group = 0;
        size_t padding = 0;
        for (size_t k = 0; k < 4; k++) {
            const char c = text[i + k];
            const char *digit = c == '\0' ? NULL : strchr(digits, c);
            if (c == '=' && k >= 2 && i + 4 == len) {
                padding++;
            } else if (digit == NULL || padding > 0) {
                return false;
            }
            group = group << 6 | (digit == NULL ? 0 : (uint32_t)(digit - digits));
        }
        if ((padding == 1 && (group & 0xff) != 0) || (padding == 2 && (group & 0xffff) != 0)) {
            return false;
        }
        const uint8_t triple[3] = {(uint8_t)(group >> 16), (uint8_t)(group >> 8), (uint8_t)group};
        memcpy(bytes + count, triple, 3 - padding);
        count += 3 - padding;
    }
    *ret_bytes = (struct ow_slice){bytes, count};
    return true;
}

static bool read_bytes(const json_t *json, struct ow_arena *arena, struct ow_slice *ret_bytes)
{
    if (json_is_null(json)) {
        *ret_bytes = (struct ow_slice){0};
        return true;
    }
    if (json_is_string(json)) {
        *ret_bytes =
            ow_arena_copy(arena, (struct ow_slice){(const uint8_t *)json_string_value(json),
                                                   json_string_length(json)});
        return true;
    }
    const json_t *text = json_object_get(json, "base64");
    return json_is_string(text) && json_object_size(json) == 1 &&
           read_base64(json_string_value(text), json_string_length(text), arena, ret_bytes);
}

bool ow_headers_read(struct ow_slice text, struct ow_arena *arena,
                     const struct ow_header **ret_headers, size_t *ret_count)
{
    if (ow_slice_is_absent(text)) {
        *ret_headers = NULL;
        *ret_count = 0;
        return true;
    }
    /* Not ow_json_parse: a header's value may hold a NUL. */
    OW_JSON *json =
        json_loadb((const char *)text.ptr, text.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_array(json)) {
        return false;
    }
    const size_t count = json_array_size(json);
    struct ow_header *headers = OW_ARENA_ARRAY(arena, count, struct ow_header);
    for (size_t i = 0; i < count; i++) {
        const json_t *pair = json_array_get(json, i);
        if (!json_is_array(pair) || json_array_size(pair) != 2 ||
            json_is_null(json_array_get(pair, 0)) ||
            !read_bytes(json_array_get(pair, 0), arena, &headers[i].name) ||
            !read_bytes(json_array_get(pair, 1), arena, &headers[i].value)) {
            return false;
        }
    }
    *ret_headers = headers;
    *ret_count = count;
    return true;
}
