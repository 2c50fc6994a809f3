/*
 * arena: memory that is given back all at once. A batch's working set, a machine, a configuration
 * live in one.
 *
 * Threads: one owner at a time. Memory: blocks from malloc; ow_arena_reset keeps the first block
 * for reuse. Failure: where memory ends the process aborts (a transaction in flight rolls back), so
 * nothing here returns NULL.
 */
#ifndef OW_BASE_ARENA_H
#define OW_BASE_ARENA_H

#include "base/slice.h"

struct ow_arena_block;

struct ow_arena {
    struct ow_arena_block *blocks; /* the newest first */
    size_t block_bytes;            /* size of an ordinary block */
    size_t used_bytes;             /* handed out since the last reset */
};

/* block_bytes: size of an ordinary block; larger requests get a block of their own. */
void ow_arena_init(struct ow_arena *arena, size_t block_bytes);
void ow_arena_done(struct ow_arena *arena);
/* All that was handed out is invalid afterwards. */
void ow_arena_reset(struct ow_arena *arena);

/* Zeroed bytes, aligned for any type. */
void *ow_arena_alloc(struct ow_arena *arena, size_t bytes);
/* Zeroed array; aborts where count * bytes overflows. */
void *ow_arena_array(struct ow_arena *arena, size_t count, size_t bytes);
/* A copy with a NUL behind it that len does not count; the absent slice stays absent. */
struct ow_slice ow_arena_copy(struct ow_arena *arena, struct ow_slice slice);
/* A NUL-terminated copy of a slice or text. */
const char *ow_arena_text(struct ow_arena *arena, struct ow_slice slice);
const char *ow_arena_printf(struct ow_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define OW_ARENA_NEW(arena, type)          ((type *)ow_arena_alloc((arena), sizeof(type)))
#define OW_ARENA_ARRAY(arena, count, type) ((type *)ow_arena_array((arena), (count), sizeof(type)))

#endif
