#include "memory_store.h"

#include "fuzz.h"

void ow_memory_store_init(struct ow_memory_store *store, struct ow_arena *arena,
                          const struct ow_machines *machines)
{
    *store = (struct ow_memory_store){.arena = arena, .machines = machines, .next_ref = 1};
    store->history_end = &store->history;
    store->sightings_end = &store->sightings;
    store->quarantine_end = &store->quarantine;
}

void ow_memory_store_begin(const struct ow_memory_store *store, struct ow_world *world,
                           int64_t now_ms)
{
    ow_world_reset(world, store->arena, store->machines, now_ms);
    world->next_ref = store->next_ref;
}

static struct ow_claim *find_claim(const struct ow_memory_store *store, const uint8_t *key)
{
    struct ow_claim *claim = store->claims;
    while (claim != NULL && memcmp(claim->key, key, sizeof claim->key) != 0) {
        claim = claim->next;
    }
    return claim;
}

static struct ow_entity *find_entity(const struct ow_memory_store *store, struct ow_slice id)
{
    struct ow_entity *entity = store->entities;
    while (entity != NULL && !ow_slice_equal(entity->id, id)) {
        entity = entity->next;
    }
    return entity;
}

static struct ow_row *find_row(const struct ow_memory_store *store, const struct ow_table *table,
                               struct ow_slice key)
{
    struct ow_row *row = store->rows;
    while (row != NULL && (row->table != table || !ow_slice_equal(row->key, key))) {
        row = row->next;
    }
    return row;
}

static struct ow_value *copy_columns(struct ow_arena *arena, const struct ow_value *columns,
                                     size_t count)
{
    struct ow_value *const copy = OW_ARENA_ARRAY(arena, count, struct ow_value);
    memcpy(copy, columns, count * sizeof *copy);
    return copy;
}

static void copy_parked(const struct ow_memory_store *store, struct ow_world *world,
                        struct ow_entity *to, const struct ow_entity *from)
{
    for (const struct ow_parked *parked = from->parked; parked != NULL; parked = parked->next) {
        if (parked->gone) {
            continue;
        }
        struct ow_parked *const copy = OW_ARENA_NEW(store->arena, struct ow_parked);
        *copy = *parked;
        copy->fresh = false;
        copy->event = OW_ARENA_NEW(store->arena, struct ow_event);
        *copy->event = *parked->event;
        copy->event->record = &copy->record;
        ow_world_add_parked(world, to, copy);
    }
}

/* to takes on what from is, its place in the world and in the list aside. */
static void copy_entity(const struct ow_memory_store *store, struct ow_world *world,
                        struct ow_entity *to, const struct ow_entity *from)
{
    struct ow_entity *const next = to->next;
    *to = *from;
    to->next = next;
    to->loaded = true;
    to->dirty = false;
    to->stored_version = from->version;
    to->columns = copy_columns(store->arena, from->columns, from->machine->entity.column_count);
    to->parked = to->parked_last = NULL;
    to->parked_count = 0;
    copy_parked(store, world, to, from);
}

/* By conflict, or by place: the row that was put there first. */
static const struct ow_quarantine *find_quarantine(const struct ow_memory_store *store,
                                                   const struct ow_quarantine *wanted)
{
    for (const struct ow_quarantine *row = store->quarantine; row != NULL; row = row->next) {
        const bool same_conflict = row->conflict_ref == wanted->conflict_ref &&
                                   memcmp(row->conflict_fingerprint, wanted->conflict_fingerprint,
                                          sizeof row->conflict_fingerprint) == 0;
        if (wanted->conflict_ref != 0 ? same_conflict
                                      : row->record->offset == wanted->record->offset) {
            return row;
        }
    }
    return NULL;
}

static void load_quarantine(const struct ow_memory_store *store, struct ow_quarantine *wanted)
{
    const struct ow_quarantine *const row = find_quarantine(store, wanted);
    wanted->loaded = true;
    if (row != NULL) {
        wanted->id = row->id;
        wanted->reason = row->reason;
        wanted->conflict_ref = row->conflict_ref;
        memcpy(wanted->conflict_fingerprint, row->conflict_fingerprint,
               sizeof row->conflict_fingerprint);
    }
}

void ow_memory_store_load(const struct ow_memory_store *store, struct ow_world *world)
{
    for (struct ow_claim *claim = world->claims; claim != NULL; claim = claim->next) {
        const struct ow_claim *const kept = claim->loaded ? NULL : find_claim(store, claim->key);
        claim->loaded = true;
        if (kept != NULL) {
            claim->taken = true;
            claim->ref = kept->ref;
            memcpy(claim->fingerprint, kept->fingerprint, sizeof claim->fingerprint);
        }
    }
    for (struct ow_entity *entity = world->entities; entity != NULL; entity = entity->next) {
        const struct ow_entity *const kept = entity->loaded ? NULL : find_entity(store, entity->id);
        entity->loaded = true;
        if (kept != NULL) {
            copy_entity(store, world, entity, kept);
        }
        for (struct ow_parked *parked = entity->parked; parked != NULL; parked = parked->next) {
            ow_world_want_rows(world, parked->event);
        }
    }
    for (struct ow_row *row = world->rows; row != NULL; row = row->next) {
        const struct ow_row *const kept =
            row->loaded ? NULL : find_row(store, row->table, row->key);
        row->loaded = true;
        if (kept != NULL) {
            row->exists = true;
            row->seq = kept->seq;
            row->columns = copy_columns(store->arena, kept->columns, row->table->column_count);
        }
    }
    for (struct ow_quarantine *wanted = world->quarantine_wanted; wanted != NULL;
         wanted = wanted->next) {
        if (!wanted->loaded) {
            load_quarantine(store, wanted);
        }
    }
}

static void commit_entity(struct ow_memory_store *store, const struct ow_entity *entity)
{
    struct ow_entity *kept = find_entity(store, entity->id);
    OW_PROMISE(kept == NULL ? entity->stored_version == 0
                            : entity->stored_version == kept->version); /* WHERE version = ? */
    if (kept == NULL) {
        kept = OW_ARENA_NEW(store->arena, struct ow_entity);
        kept->next = store->entities;
        store->entities = kept;
    }
    struct ow_world unused = {0};
    copy_entity(store, &unused, kept, entity);
}

static void commit_claims_and_rows(struct ow_memory_store *store, const struct ow_world *world)
{
    for (const struct ow_claim *claim = world->claims; claim != NULL; claim = claim->next) {
        if (claim->fresh) {
            OW_PROMISE(find_claim(store, claim->key) == NULL);
            struct ow_claim *const kept = OW_ARENA_NEW(store->arena, struct ow_claim);
            *kept = *claim;
            kept->next = store->claims;
            store->claims = kept;
        }
    }
    for (const struct ow_row *row = world->rows; row != NULL; row = row->next) {
        if (row->fresh) {
            OW_PROMISE(find_row(store, row->table, row->key) == NULL);
            struct ow_row *const kept = OW_ARENA_NEW(store->arena, struct ow_row);
            *kept = *row;
            kept->next = store->rows;
            store->rows = kept;
        }
    }
}

/* Rows that were there and were seen again. */
static void commit_seen(struct ow_memory_store *store, const struct ow_world *world)
{
    for (const struct ow_quarantine *wanted = world->quarantine_wanted; wanted != NULL;
         wanted = wanted->next) {
        for (struct ow_quarantine *row = store->quarantine; row != NULL; row = row->next) {
            row->seen += row->id == wanted->id ? wanted->seen : 0;
        }
    }
}

/* The world's lists of effects are hung on whole: nobody else uses them any more. */
void ow_memory_store_commit(struct ow_memory_store *store, const struct ow_world *world)
{
    commit_claims_and_rows(store, world);
    commit_seen(store, world);
    for (const struct ow_entity *entity = world->entities; entity != NULL; entity = entity->next) {
        commit_entity(store, entity);
    }
    if (world->history != NULL) {
        *store->history_end = world->history;
        store->history_end = world->history_end;
    }
    if (world->sightings != NULL) {
        *store->sightings_end = world->sightings;
        store->sightings_end = world->sightings_end;
    }
    if (world->quarantine != NULL) {
        *store->quarantine_end = world->quarantine;
        store->quarantine_end = world->quarantine_end;
    }
    store->next_ref = world->next_ref;
}
