#include "model/prove_set.h"

#include "base/contract.h"

enum {
    CHUNK = 1024,
    CHUNKS_FIRST = 64,
    SLOTS_FIRST = 4096,
    WORD = sizeof(uint64_t) / sizeof(uint16_t)
};

void ow_prove_set_init(struct ow_prove_set *set, struct ow_arena *arena, size_t width)
{
    *set = (struct ow_prove_set){.arena = arena,
                                 .width = (width + WORD - 1) / WORD * WORD,
                                 .chunk_max = CHUNKS_FIRST,
                                 .slot_count = SLOTS_FIRST};
    set->chunks = OW_ARENA_ARRAY(arena, set->chunk_max, uint16_t *);
    set->slots = OW_ARENA_ARRAY(arena, set->slot_count, uint32_t);
}

const uint16_t *ow_prove_set_at(const struct ow_prove_set *set, size_t index)
{
    OW_REQUIRE(index < set->count);
    return set->chunks[index / CHUNK] + index % CHUNK * set->width;
}

static size_t hash_of(const struct ow_prove_set *set, const uint16_t *numbers)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < set->width; i += WORD) {
        uint64_t word = 0;
        memcpy(&word, numbers + i, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return (size_t)(hash ^ hash >> 32);
}

static void grow_slots(struct ow_prove_set *set)
{
    set->slot_count *= 2;
    set->slots = OW_ARENA_ARRAY(set->arena, set->slot_count, uint32_t);
    for (size_t i = 0; i < set->count; i++) {
        size_t slot = hash_of(set, ow_prove_set_at(set, i)) & (set->slot_count - 1);
        while (set->slots[slot] != 0) {
            slot = (slot + 1) & (set->slot_count - 1);
        }
        set->slots[slot] = (uint32_t)i + 1;
    }
}

static void append(struct ow_prove_set *set, const uint16_t *numbers)
{
    const size_t chunk = set->count / CHUNK;
    if (chunk == set->chunk_max) {
        uint16_t **const more = OW_ARENA_ARRAY(set->arena, 2 * set->chunk_max, uint16_t *);
        memcpy(more, set->chunks, set->chunk_max * sizeof *more);
        set->chunks = more;
        set->chunk_max *= 2;
    }
    if (set->count % CHUNK == 0) {
        set->chunks[chunk] = OW_ARENA_ARRAY(set->arena, CHUNK * set->width, uint16_t);
    }
    memcpy(set->chunks[chunk] + set->count % CHUNK * set->width, numbers,
           set->width * sizeof *numbers);
    set->count++;
}

size_t ow_prove_set_add(struct ow_prove_set *set, const uint16_t *numbers)
{
    if (2 * (set->count + 1) > set->slot_count) {
        grow_slots(set);
    }
    size_t slot = hash_of(set, numbers) & (set->slot_count - 1);
    while (set->slots[slot] != 0) {
        const size_t index = set->slots[slot] - 1;
        if (memcmp(ow_prove_set_at(set, index), numbers, set->width * sizeof *numbers) == 0) {
            return index;
        }
        slot = (slot + 1) & (set->slot_count - 1);
    }
    set->slots[slot] = (uint32_t)set->count + 1;
    append(set, numbers);
    return set->count - 1;
}
