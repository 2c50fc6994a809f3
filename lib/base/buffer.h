/*
 * buffer: bytes that grow. For texts and encodings that are built piece by piece and reused.
 *
 * Threads: one owner. Memory: malloc, given back by ow_buffer_done; out of memory aborts (see
 * arena.h).
 */
#ifndef OW_BASE_BUFFER_H
#define OW_BASE_BUFFER_H

#include "base/contract.h"
#include "base/slice.h"

struct ow_buffer {
    uint8_t *ptr;
    size_t len;
    size_t capacity;
};

/* A zeroed struct is a valid empty buffer. */
void ow_buffer_done(struct ow_buffer *buffer);
void ow_buffer_clear(struct ow_buffer *buffer);
void ow_buffer_append(struct ow_buffer *buffer, const void *bytes, size_t len);
void ow_buffer_slice(struct ow_buffer *buffer, struct ow_slice slice);
void ow_buffer_text(struct ow_buffer *buffer, const char *text);
void ow_buffer_byte(struct ow_buffer *buffer, uint8_t byte);
void ow_buffer_printf(struct ow_buffer *buffer, const char *format, ...) OW_PRINTF(2, 3);
/* A view of what is there, valid until the next call. */
struct ow_slice ow_buffer_view(const struct ow_buffer *buffer);
/* The content as a NUL-terminated text, valid until the next call. */
const char *ow_buffer_cstr(struct ow_buffer *buffer);

#define OW_BUFFER OW_CLEANUP(ow_buffer_done) struct ow_buffer

#endif
