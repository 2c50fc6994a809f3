/*
 * slice: a view of bytes owned by somebody else. No NUL at the end is promised.
 *
 * Threads: a value, free of state. Memory: borrows. A slice whose ptr is NULL is absent (Kafka's
 * null key or value); an empty one has a ptr and len 0.
 */
#ifndef OW_BASE_SLICE_H
#define OW_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ow_slice {
    const uint8_t *ptr;
    size_t len;
};

/* The slice of a string literal. */
#define OW_SLICE(literal) ((struct ow_slice){(const uint8_t *)("" literal), sizeof(literal) - 1})

/* The slice of a NUL-terminated text; NULL gives the absent slice. */
static inline struct ow_slice ow_slice_of(const char *text)
{
    return (struct ow_slice){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

static inline bool ow_slice_is_absent(struct ow_slice slice)
{
    return slice.ptr == NULL;
}

/* Byte equality; an absent slice equals only an absent one. */
static inline bool ow_slice_equal(struct ow_slice a, struct ow_slice b)
{
    if (a.ptr == NULL || b.ptr == NULL) {
        return a.ptr == b.ptr;
    }
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

static inline bool ow_slice_equals_text(struct ow_slice slice, const char *text)
{
    return ow_slice_equal(slice, ow_slice_of(text));
}

/* Order by bytes, a shorter prefix first, the absent slice before all. */
int ow_slice_compare(struct ow_slice a, struct ow_slice b);

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool ow_slice_is_utf8(struct ow_slice slice);
/* UTF-8 without a NUL character: what every reader takes for the same text. */
bool ow_slice_is_text(struct ow_slice slice);

/* How many characters (code points) well-formed UTF-8 has. */
size_t ow_slice_characters(struct ow_slice slice);

/* For printf's "%.*s". */
#define OW_SLICE_FMT        "%.*s"
#define OW_SLICE_ARG(slice) (int)(slice).len, (const char *)(slice).ptr

#endif
