#include "base/slice.h"

int ow_slice_compare(struct ow_slice a, struct ow_slice b)
{
    if (a.ptr == NULL || b.ptr == NULL) {
        return (a.ptr != NULL) - (b.ptr != NULL);
    }
    const size_t shorter = a.len < b.len ? a.len : b.len;
    const int order = memcmp(a.ptr, b.ptr, shorter);
    if (order != 0) {
        return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

/* Length of the well-formed sequence at ptr, 0 where there is none (RFC 3629, table of section 4).
 */
static size_t sequence_length(const uint8_t *ptr, size_t left)
{
    const uint8_t lead = ptr[0];
    if (lead < 0x80) {
        return 1;
    }
    size_t length = 0;
    uint8_t second_min = 0x80;
    uint8_t second_max = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
        length = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        length = 3;
        second_min = lead == 0xe0 ? 0xa0 : 0x80;
        second_max = lead == 0xed ? 0x9f : 0xbf;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        length = 4;
        second_min = lead == 0xf0 ? 0x90 : 0x80;
        second_max = lead == 0xf4 ? 0x8f : 0xbf;
    }
    if (length == 0 || length > left || ptr[1] < second_min || ptr[1] > second_max) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if (ptr[i] < 0x80 || ptr[i] > 0xbf) {
            return 0;
        }
    }
    return length;
}

bool ow_slice_is_utf8(struct ow_slice slice)
{
    size_t i = 0;
    while (i < slice.len) {
        const size_t length = sequence_length(slice.ptr + i, slice.len - i);
        if (length == 0) {
            return false;
        }
        i += length;
    }
    return true;
}

size_t ow_slice_characters(struct ow_slice slice)
{
    size_t characters = 0;
    for (size_t i = 0; i < slice.len; i++) {
        characters += (slice.ptr[i] & 0xc0) != 0x80;
    }
    return characters;
}

bool ow_slice_is_text(struct ow_slice slice)
{
    return ow_slice_is_utf8(slice) && (slice.len == 0 || memchr(slice.ptr, 0, slice.len) == NULL);
}
