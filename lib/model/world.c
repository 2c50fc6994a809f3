#include "model/world.h"

#include "base/contract.h"

void ow_world_reset(struct ow_world *world, struct ow_arena *arena,
                    const struct ow_machines *machines, int64_t now_ms)
{
    *world = (struct ow_world){.arena = arena, .machines = machines, .now_ms = now_ms};
    ow_map_init(&world->claim_map, arena);
    ow_map_init(&world->entity_map, arena);
    ow_map_init(&world->row_map, arena);
    ow_map_init(&world->quarantine_map, arena);
    world->history_end = &world->history;
    world->sightings_end = &world->sightings;
    world->quarantine_end = &world->quarantine;
}

/* A map key made of a number and bytes. */
static struct ow_slice numbered_key(struct ow_arena *arena, uint64_t number, struct ow_slice bytes)
{
    uint8_t *key = ow_arena_alloc(arena, sizeof(number) + bytes.len);
    memcpy(key, &number, sizeof(number));
    memcpy(key + sizeof(number), bytes.ptr, bytes.len);
    return (struct ow_slice){key, sizeof(number) + bytes.len};
}

struct ow_claim *ow_world_claim(struct ow_world *world, const uint8_t key[OW_CLAIM_KEY_BYTES],
                                int64_t retention_ms)
{
    struct ow_claim *claim =
        ow_map_get(&world->claim_map, (struct ow_slice){key, OW_CLAIM_KEY_BYTES});
    if (claim == NULL) {
        claim = OW_ARENA_NEW(world->arena, struct ow_claim);
        memcpy(claim->key, key, sizeof(claim->key));
        claim->retention_ms = retention_ms;
        claim->next = world->claims;
        world->claims = claim;
        ow_map_put(&world->claim_map, (struct ow_slice){claim->key, sizeof(claim->key)}, claim);
    }
    return claim;
}

struct ow_entity *ow_world_entity(struct ow_world *world, const struct ow_machine *machine,
                                  struct ow_slice id)
{
    const struct ow_slice key = numbered_key(world->arena, (uint64_t)machine->index, id);
    struct ow_entity *entity = ow_map_get(&world->entity_map, key);
    if (entity == NULL) {
        entity = OW_ARENA_NEW(world->arena, struct ow_entity);
        entity->machine = machine;
        entity->id = ow_arena_copy(world->arena, id);
        entity->columns =
            OW_ARENA_ARRAY(world->arena, machine->entity.column_count, struct ow_value);
        entity->next = world->entities;
        world->entities = entity;
        ow_map_put(&world->entity_map, key, entity);
    }
    return entity;
}

struct ow_row *ow_world_row(struct ow_world *world, const struct ow_machine *machine,
                            const struct ow_table *table, struct ow_slice key)
{
    const uint64_t number = (uint64_t)machine->index << 32 | table->index;
    const struct ow_slice map_key = numbered_key(world->arena, number, key);
    struct ow_row *row = ow_map_get(&world->row_map, map_key);
    if (row == NULL) {
        row = OW_ARENA_NEW(world->arena, struct ow_row);
        row->machine = machine;
        row->table = table;
        row->key = ow_arena_copy(world->arena, key);
        row->columns = OW_ARENA_ARRAY(world->arena, table->column_count, struct ow_value);
        row->next = world->rows;
        world->rows = row;
        ow_map_put(&world->row_map, map_key, row);
    }
    return row;
}

static struct ow_quarantine *wanted_quarantine(struct ow_world *world, struct ow_slice map_key)
{
    struct ow_quarantine *wanted = ow_map_get(&world->quarantine_map, map_key);
    if (wanted == NULL) {
        wanted = OW_ARENA_NEW(world->arena, struct ow_quarantine);
        wanted->next = world->quarantine_wanted;
        world->quarantine_wanted = wanted;
        ow_map_put(&world->quarantine_map, map_key, wanted);
    }
    return wanted;
}

struct ow_quarantine *ow_world_quarantine_at(struct ow_world *world, const struct ow_record *record)
{
    uint8_t place[16];
    memcpy(place, &record->offset, sizeof(record->offset));
    memcpy(place + 8, &record->topic.ptr, 8); /* topic names are interned by the source */
    const struct ow_slice key = numbered_key(world->arena, (uint32_t)record->partition,
                                             (struct ow_slice){place, sizeof(place)});
    struct ow_quarantine *wanted = wanted_quarantine(world, key);
    wanted->record = record;
    return wanted;
}

static struct ow_slice conflict_key(struct ow_world *world, int64_t ref, const uint8_t *fingerprint)
{
    return numbered_key(world->arena, (uint64_t)ref,
                        (struct ow_slice){fingerprint, OW_FINGERPRINT_BYTES});
}

struct ow_quarantine *ow_world_conflict(struct ow_world *world, int64_t ref,
                                        const uint8_t fingerprint[OW_FINGERPRINT_BYTES])
{
    struct ow_quarantine *wanted = wanted_quarantine(world, conflict_key(world, ref, fingerprint));
    if (wanted->conflict_ref == 0) {
        wanted->conflict_ref = ref;
        memcpy(wanted->conflict_fingerprint, fingerprint, OW_FINGERPRINT_BYTES);
    }
    return wanted;
}

void ow_world_replace_conflict(struct ow_world *world, struct ow_quarantine *fresh)
{
    OW_REQUIRE(fresh->conflict_ref != 0);
    ow_map_put(&world->quarantine_map,
               conflict_key(world, fresh->conflict_ref, fresh->conflict_fingerprint), fresh);
}

void ow_world_want_rows(struct ow_world *world, const struct ow_event *event)
{
    for (size_t i = 0; i < event->event->transition_count; i++) {
        const struct ow_transition *transition = &event->event->transitions[i];
        for (size_t j = 0; j < transition->recording_count; j++) {
            const struct ow_recording *recording = &transition->recordings[j];
            (void)ow_world_row(world, event->machine, recording->table,
                               ow_recording_key(recording, event));
        }
    }
}

struct ow_slice ow_recording_key(const struct ow_recording *recording, const struct ow_event *event)
{
    /* A key is known before the entity is read, so it comes from the event (held by the machine's
     * loader). */
    OW_REQUIRE(recording->key.kind == OW_OPERAND_POINTER);
    return event->values[recording->key.index].text;
}

void ow_world_want(struct ow_world *world, const struct ow_event *event)
{
    if (event->verdict != OW_OUTCOME_APPLIED) {
        return;
    }
    (void)ow_world_claim(world, event->key, event->event->claim->retention_ms);
    (void)ow_world_entity(world, event->machine, event->entity_id);
    ow_world_want_rows(world, event);
}

bool ow_world_is_conflict(const struct ow_claim *claim, const struct ow_event *event)
{
    return claim->fingerprint[0] == event->fingerprint[0] &&
           memcmp(claim->fingerprint, event->fingerprint, OW_FINGERPRINT_BYTES) != 0;
}

void ow_world_want_conflict(struct ow_world *world, const struct ow_event *event)
{
    if (event->verdict != OW_OUTCOME_APPLIED) {
        return;
    }
    const struct ow_claim *claim =
        ow_world_claim(world, event->key, event->event->claim->retention_ms);
    if (claim->taken && ow_world_is_conflict(claim, event)) {
        (void)ow_world_conflict(world, claim->ref, event->fingerprint);
    }
}

void ow_world_add_parked(struct ow_world *world, struct ow_entity *entity, struct ow_parked *parked)
{
    (void)world;
    OW_REQUIRE(entity->parked_last == NULL || entity->parked_last->id < parked->id);
    parked->entity = entity;
    parked->next = NULL;
    if (entity->parked_last == NULL) {
        entity->parked = parked;
    } else {
        entity->parked_last->next = parked;
    }
    entity->parked_last = parked;
    entity->parked_count++;
}
