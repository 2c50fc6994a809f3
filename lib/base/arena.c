#include "base/arena.h"

#include "base/contract.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ALIGNMENT = 16 };

struct ow_arena_block {
    struct ow_arena_block *older;
    size_t capacity;
    size_t used;
    _Alignas(ALIGNMENT) uint8_t bytes[];
};

void ow_arena_init(struct ow_arena *arena, size_t block_bytes)
{
    *arena = (struct ow_arena){.block_bytes = block_bytes};
}

void ow_arena_done(struct ow_arena *arena)
{
    struct ow_arena_block *block = arena->blocks;
    while (block != NULL) {
        struct ow_arena_block *older = block->older;
        free(block);
        block = older;
    }
    arena->blocks = NULL;
    arena->used_bytes = 0;
}

void ow_arena_reset(struct ow_arena *arena)
{
    struct ow_arena_block *block = arena->blocks;
    while (block != NULL && block->older != NULL) {
        struct ow_arena_block *older = block->older;
        free(block);
        block = older;
    }
    /* The first block is kept unless one request made it unusually large. */
    if (block != NULL && block->capacity > arena->block_bytes) {
        free(block);
        block = NULL;
    }
    if (block != NULL) {
        block->used = 0;
    }
    arena->blocks = block;
    arena->used_bytes = 0;
}

static struct ow_arena_block *add_block(struct ow_arena *arena, size_t bytes)
{
    const size_t capacity = bytes > arena->block_bytes ? bytes : arena->block_bytes;
    struct ow_arena_block *block = malloc(sizeof(*block) + capacity);
    if (block == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    *block = (struct ow_arena_block){.older = arena->blocks, .capacity = capacity};
    arena->blocks = block;
    return block;
}

void *ow_arena_alloc(struct ow_arena *arena, size_t bytes)
{
    OW_REQUIRE(bytes <= SIZE_MAX / 2);
    const size_t rounded = bytes == 0 ? ALIGNMENT : (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct ow_arena_block *block = arena->blocks;
    if (block == NULL || block->capacity - block->used < rounded) {
        block = add_block(arena, rounded);
    }
    void *ptr = block->bytes + block->used;
    block->used += rounded;
    arena->used_bytes += rounded;
    return memset(ptr, 0, rounded);
}

void *ow_arena_array(struct ow_arena *arena, size_t count, size_t bytes)
{
    OW_REQUIRE(bytes == 0 || count <= SIZE_MAX / 2 / bytes);
    return ow_arena_alloc(arena, count * bytes);
}

struct ow_slice ow_arena_copy(struct ow_arena *arena, struct ow_slice slice)
{
    if (ow_slice_is_absent(slice)) {
        return slice;
    }
    uint8_t *ptr = ow_arena_alloc(arena, slice.len + 1);
    memcpy(ptr, slice.ptr, slice.len);
    return (struct ow_slice){ptr, slice.len};
}

const char *ow_arena_text(struct ow_arena *arena, struct ow_slice slice)
{
    return (const char *)ow_arena_copy(arena, slice).ptr;
}

const char *ow_arena_printf(struct ow_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    OW_INVARIANT(length >= 0);
    char *text = ow_arena_alloc(arena, (size_t)length + 1);
    (void)vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}
