#include "base/contract.h"
#include "model/difference_internal.h"

enum {
    VALUE_BYTES_MAX = 80,
    /* Of a long beginning that both values share so much is left, where it is longer than this. */
    SHARED_BYTES = 20,
    SHARED_BYTES_MAX = 40
};

/* As on a terminal (cmd/onceward/output.h): U+0080 to U+009F are controls too, of two bytes. */
static void append_harmless(struct ow_buffer *out, struct ow_slice text)
{
    const bool is_utf8 = ow_slice_is_utf8(text); /* a Kafka key need not be */
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t byte = text.ptr[i];
        const bool is_c1 = byte == 0xc2 && i + 1 < text.len && text.ptr[i + 1] < 0xa0;
        const bool is_foreign = !is_utf8 && byte >= 0x80;
        ow_buffer_byte(out, byte < 0x20 || byte == 0x7f || is_c1 || is_foreign ? '?' : byte);
        i += is_c1 && is_utf8;
    }
}

/* Where the character at an index begins. */
static size_t character_at(struct ow_slice text, size_t index)
{
    while (index > 0 && index < text.len && (text.ptr[index] & 0xc0) == 0x80) {
        index--;
    }
    return index;
}

static const char *cut(struct ow_differing *differing, struct ow_slice text, size_t from,
                       size_t max)
{
    OW_BUFFER out = {0};
    const size_t to = text.len - from > max ? character_at(text, from + max) : text.len;
    ow_buffer_text(&out, from > 0 ? "…" : "");
    append_harmless(&out, (struct ow_slice){text.ptr + from, to - from});
    ow_buffer_text(&out, to < text.len ? "…" : "");
    return ow_arena_text(differing->arena, ow_buffer_view(&out));
}

/* Where long values begin to be shown: shortly before they differ. */
static size_t beginning(struct ow_slice first, struct ow_slice second)
{
    size_t same = 0;
    if (first.len <= VALUE_BYTES_MAX && second.len <= VALUE_BYTES_MAX) {
        return 0;
    }
    while (same < first.len && same < second.len && first.ptr[same] == second.ptr[same]) {
        same++;
    }
    return same > SHARED_BYTES_MAX ? character_at(first, same - SHARED_BYTES) : 0;
}

void ow_difference_text_add(struct ow_differing *differing, struct ow_slice name,
                            struct ow_slice first, struct ow_slice second)
{
    struct ow_difference *const told = differing->told;
    if (told->count == OW_DIFFERENCE_FIELDS_MAX) {
        told->more++;
        return;
    }
    const bool both = !ow_slice_is_absent(first) && !ow_slice_is_absent(second);
    const size_t from = both ? beginning(first, second) : 0;
    struct ow_difference_field *const field = &told->fields[told->count++];
    field->name = cut(differing, name, 0, OW_DIFFERENCE_NAME_BYTES_MAX);
    field->first = ow_slice_is_absent(first) ? NULL : cut(differing, first, from, VALUE_BYTES_MAX);
    field->second =
        ow_slice_is_absent(second) ? NULL : cut(differing, second, from, VALUE_BYTES_MAX);
}

static void append_fields(struct ow_buffer *out, const struct ow_difference *difference)
{
    for (size_t i = 0; i < difference->count; i++) {
        const struct ow_difference_field *const field = &difference->fields[i];
        ow_buffer_text(out, i == 0 ? "" : "; ");
        ow_buffer_text(out, field->name);
        ow_buffer_text(out, ": ");
        ow_buffer_text(out, field->first == NULL ? "absent" : field->first);
        ow_buffer_text(out, " → ");
        ow_buffer_text(out, field->second == NULL ? "absent" : field->second);
    }
    if (difference->more > 0) {
        ow_buffer_printf(out, "; and %zu more", difference->more);
    }
}

const char *ow_difference_remark(const struct ow_difference *difference)
{
    static const char same[] = "what is kept of the first shows no difference";
    switch (difference->kept) {
    case OW_KEPT_ELSEWHERE:
        return "onceward explain compares them";
    case OW_KEPT_NOTHING:
        return "first payload not kept";
    case OW_KEPT_ERASED:
        return "first payload erased";
    case OW_KEPT_UNREADABLE:
        return "first payload cannot be read";
    case OW_KEPT_DATA:
        return difference->count > 0 ? "of the first only what its transition read is kept" : same;
    case OW_KEPT_WHOLE:
        return difference->count > 0 ? NULL : same;
    }
    OW_IMPOSSIBLE("a first message kept in no way");
}

void ow_difference_text(struct ow_buffer *out, const struct ow_difference *difference)
{
    const char *const remark = ow_difference_remark(difference);
    append_fields(out, difference);
    if (remark != NULL) {
        ow_buffer_printf(out, "%s%s", difference->count > 0 ? "; " : "", remark);
    }
}
