/*
 * headers: what the store keeps of a record's headers reads back as it was, byte for byte, and
 * hostile text in that column is refused or read without harm.
 *
 * An input is one of two: 'w' and lines that become headers (name=value; without '=' a header
 * without a value), or text as the store might hold it.
 */
#include "fuzz.h"
#include "store/internal.h"

enum { HEADERS_MAX = 64 };

static bool same_headers(const struct ow_header *a, const struct ow_header *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!ow_slice_equal(a[i].name, b[i].name) || !ow_slice_equal(a[i].value, b[i].value)) {
            return false;
        }
    }
    return true;
}

/* Writes the headers, reads them, and finds the same ones. */
static void check_round_trip(struct ow_arena *arena, const struct ow_header *headers, size_t count)
{
    OW_BUFFER text = {0};
    ow_headers_write(&text, headers, count);
    const struct ow_header *again = NULL;
    size_t again_count = 0;
    if (count == 0) {
        OW_PROMISE(text.len == 0); /* NULL in the database */
        return;
    }
    OW_PROMISE(ow_fuzz_is_text(ow_buffer_view(&text)));
    OW_PROMISE(ow_headers_read(ow_buffer_view(&text), arena, &again, &again_count));
    OW_PROMISE(again_count == count && same_headers(headers, again, count));
}

static void check_written(struct ow_arena *arena, struct ow_fuzz_input input)
{
    struct ow_header headers[HEADERS_MAX] = {0};
    size_t count = 0;
    while (input.rest.len > 0 && count < HEADERS_MAX) {
        const struct ow_slice line = ow_fuzz_line(&input);
        const uint8_t *const equals = line.len == 0 ? NULL : memchr(line.ptr, '=', line.len);
        const size_t name_len = equals == NULL ? line.len : (size_t)(equals - line.ptr);
        headers[count].name = (struct ow_slice){line.ptr, name_len};
        if (equals != NULL) {
            headers[count].value = (struct ow_slice){equals + 1, line.len - name_len - 1};
        }
        count++;
    }
    check_round_trip(arena, headers, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    struct ow_fuzz_input input = {
        .rest = {bytes, len}
    };
    if (len > 0 && bytes[0] == 'w') {
        (void)ow_fuzz_byte(&input);
        check_written(&arena, input);
    } else {
        const struct ow_header *headers = NULL;
        size_t count = 0;
        const struct ow_slice text = {bytes, len};
        if (ow_headers_read(text, &arena, &headers, &count)) {
            check_round_trip(&arena, headers, count);
        }
    }
    ow_arena_done(&arena);
    return 0;
}
