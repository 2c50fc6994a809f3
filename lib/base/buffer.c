#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void ow_buffer_done(struct ow_buffer *buffer)
{
    free(buffer->ptr);
    *buffer = (struct ow_buffer){0};
}

void ow_buffer_clear(struct ow_buffer *buffer)
{
    buffer->len = 0;
}

static void reserve(struct ow_buffer *buffer, size_t more)
{
    OW_REQUIRE(more < SIZE_MAX / 4 && buffer->len < SIZE_MAX / 4);
    if (buffer->capacity - buffer->len >= more) {
        return;
    }
    size_t capacity = buffer->capacity == 0 ? 256 : buffer->capacity;
    while (capacity - buffer->len < more) {
        capacity *= 2;
    }
    uint8_t *ptr = realloc(buffer->ptr, capacity);
    if (ptr == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    buffer->ptr = ptr;
    buffer->capacity = capacity;
}

void ow_buffer_append(struct ow_buffer *buffer, const void *bytes, size_t len)
{
    if (len == 0) {
        return;
    }
    reserve(buffer, len);
    memcpy(buffer->ptr + buffer->len, bytes, len);
    buffer->len += len;
}

void ow_buffer_slice(struct ow_buffer *buffer, struct ow_slice slice)
{
    ow_buffer_append(buffer, slice.ptr, slice.len);
}

void ow_buffer_text(struct ow_buffer *buffer, const char *text)
{
    ow_buffer_append(buffer, text, strlen(text));
}

void ow_buffer_byte(struct ow_buffer *buffer, uint8_t byte)
{
    ow_buffer_append(buffer, &byte, 1);
}

void ow_buffer_printf(struct ow_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    OW_INVARIANT(length >= 0);
    reserve(buffer, (size_t)length + 1);
    (void)vsnprintf((char *)buffer->ptr + buffer->len, (size_t)length + 1, format, again);
    va_end(again);
    buffer->len += (size_t)length;
}

struct ow_slice ow_buffer_view(const struct ow_buffer *buffer)
{
    static const uint8_t nothing[1] = {0};
    return (struct ow_slice){buffer->ptr == NULL ? nothing : buffer->ptr, buffer->len};
}

const char *ow_buffer_cstr(struct ow_buffer *buffer)
{
    ow_buffer_byte(buffer, 0);
    buffer->len--;
    return (const char *)buffer->ptr;
}
