#include "base/map.h"

#include "base/contract.h"

/* FNV-1a, finished by a multiply-xor so that the low bits depend on all bytes. */
static uint64_t hash_bytes(struct ow_slice key)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < key.len; i++) {
        hash = (hash ^ key.ptr[i]) * UINT64_C(0x100000001b3);
    }
    hash ^= hash >> 32;
    hash *= UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 29);
}

void ow_map_init(struct ow_map *map, struct ow_arena *arena)
{
    *map = (struct ow_map){.arena = arena};
}

static struct ow_map_slot *find(const struct ow_map *map, struct ow_slice key, uint64_t hash)
{
    size_t i = (size_t)hash & (map->slot_count - 1);
    while (map->slots[i].value != NULL &&
           (map->slots[i].hash != hash || !ow_slice_equal(map->slots[i].key, key))) {
        i = (i + 1) & (map->slot_count - 1);
    }
    return &map->slots[i];
}

void *ow_map_get(const struct ow_map *map, struct ow_slice key)
{
    return map->slot_count == 0 ? NULL : find(map, key, hash_bytes(key))->value;
}

static void grow(struct ow_map *map)
{
    const struct ow_map old = *map;
    map->slot_count = old.slot_count == 0 ? 64 : 2 * old.slot_count;
    map->slots = OW_ARENA_ARRAY(map->arena, map->slot_count, struct ow_map_slot);
    for (size_t i = 0; i < old.slot_count; i++) {
        if (old.slots[i].value != NULL) {
            *find(map, old.slots[i].key, old.slots[i].hash) = old.slots[i];
        }
    }
}

void ow_map_put(struct ow_map *map, struct ow_slice key, void *value)
{
    OW_REQUIRE(value != NULL);
    if (2 * (map->used + 1) > map->slot_count) {
        grow(map);
    }
    const uint64_t hash = hash_bytes(key);
    struct ow_map_slot *slot = find(map, key, hash);
    map->used += slot->value == NULL;
    *slot = (struct ow_map_slot){.key = key, .hash = hash, .value = value};
}
