/*
 * prove_set: arrays of numbers, each kept once and known by its index, in the order in which they
 * came.
 *
 * Memory: an arena's. Threads: one owner.
 */
#ifndef OW_MODEL_PROVE_SET_H
#define OW_MODEL_PROVE_SET_H

#include "base/arena.h"

struct ow_prove_set {
    struct ow_arena *arena;
    size_t width; /* numbers in each; rounded up to whole words */
    uint16_t **chunks;
    size_t chunk_max;
    size_t count;
    uint32_t *slots; /* 1 + index */
    size_t slot_count;
};

void ow_prove_set_init(struct ow_prove_set *set, struct ow_arena *arena, size_t width);
/* The index of an equal one, or of a copy that is added: then it is the count before. */
size_t ow_prove_set_add(struct ow_prove_set *set, const uint16_t *numbers);
const uint16_t *ow_prove_set_at(const struct ow_prove_set *set, size_t index);

#endif
