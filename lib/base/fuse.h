/*
 * fuse: a table that never changes, from 64-bit hashes to words of 14 bits, in some 15 to 16 bits a
 * key. It does not know its keys: a hash that is not in it has a word too, a random-looking one.
 * The caller lets a part of the word be a fingerprint and so tells most foreign hashes from its
 * own.
 *
 * It is the 4-wise binary fuse filter of Graf and Lemire, "Binary Fuse Filters: Fast and Smaller
 * Than Xor Filters", ACM JEA 27 (2022), arXiv 2201.01174, with a value in place of the fingerprint.
 * A hash has one cell in each of four neighbouring segments, and its word is the xor of the four.
 *
 * Threads: a view is read by any number; a builder has one owner. Memory: a view borrows its cells;
 * a builder keeps some 22 bytes a key from malloc and aborts where memory ends (see arena.h).
 * Trust: numbers and cells from outside (a file) may be anything once ow_fuse_is_sound has passed:
 * words are then wrong, but nothing outside the cells is read. Limits: little-endian machines.
 */
#ifndef OW_BASE_FUSE_H
#define OW_BASE_FUSE_H

#include "base/contract.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With 1.08 cells a key, 14 is the most that stays below 2 bytes a key. */
#define OW_FUSE_BITS 14
/* Positions within the segments and the segment are drawn from one 64-bit hash. */
#define OW_FUSE_KEYS_MAX (UINT32_C(1) << 23)

struct ow_fuse {
    uint64_t seed;
    uint32_t keys;
    uint32_t segment_cells; /* a power of two */
    uint32_t segment_count; /* a hash's first cell is in one of these; three more follow them */
    const uint8_t *cells;
    size_t bytes; /* of cells, with some padding for whole loads */
};

/* What is to be built: hashes[i] gets values[i], which is below 2^OW_FUSE_BITS. */
struct ow_fuse_set {
    const uint64_t *hashes;
    const uint16_t *values;
    size_t count; /* 0..OW_FUSE_KEYS_MAX */
};

struct ow_fuse_cell;

/* Scratch memory, kept from one build to the next. A zeroed struct is a valid builder. */
struct ow_fuse_builder {
    struct ow_fuse_cell *scratch;
    size_t cell_capacity;
};

void ow_fuse_builder_done(struct ow_fuse_builder *builder);

/* What cells have to have for so many keys; keys is at most OW_FUSE_KEYS_MAX. */
size_t ow_fuse_bytes(size_t keys);

/*
 * Fills cells (ow_fuse_bytes(set->count) bytes) and *ret_fuse, which borrows them. The same set, in
 * whatever order, with the same seed gives the same bytes. False, with cells untouched, where none
 * of a number of seeds that follow from the given one fits: two hashes are equal, as good as
 * surely.
 */
OW_MUST_USE bool ow_fuse_build(struct ow_fuse_builder *builder, const struct ow_fuse_set *set,
                               uint64_t seed, uint8_t *cells, struct ow_fuse *ret_fuse);

/* Whether no look-up, of whatever hash, reads outside of cells. */
bool ow_fuse_is_sound(const struct ow_fuse *fuse);

/* The word of a hash, below 2^OW_FUSE_BITS. */
uint32_t ow_fuse_get(const struct ow_fuse *fuse, uint64_t hash);
/* The words of many: their cache misses overlap. */
void ow_fuse_get_many(const struct ow_fuse *fuse, const uint64_t *hashes, size_t count,
                      uint16_t *ret_values);

#define OW_FUSE_BUILDER OW_CLEANUP(ow_fuse_builder_done) struct ow_fuse_builder

#endif
