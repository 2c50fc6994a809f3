/*
 * map: from bytes to a pointer, for the working set of one batch.
 *
 * Threads: one owner. Memory: an arena's; keys are borrowed and must live as long as the map.
 * Limits: meant for at most some ten thousand keys: a hostile set of keys costs at worst a linear
 * probe of these.
 */
#ifndef OW_BASE_MAP_H
#define OW_BASE_MAP_H

#include "base/arena.h"

struct ow_map_slot {
    struct ow_slice key;
    uint64_t hash;
    void *value; /* NULL: the slot is free */
};

struct ow_map {
    struct ow_arena *arena;
    struct ow_map_slot *slots;
    size_t slot_count; /* a power of two, or 0 */
    size_t used;
};

void ow_map_init(struct ow_map *map, struct ow_arena *arena);
/* The value, or NULL. */
void *ow_map_get(const struct ow_map *map, struct ow_slice key);
/* Sets or replaces; value is not NULL. */
void ow_map_put(struct ow_map *map, struct ow_slice key, void *value);

#endif
