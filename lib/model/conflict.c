#include "model/conflict.h"

#include "base/buffer.h"

static const struct ow_parked *find_parked(const struct ow_world *world, int64_t ref)
{
    for (const struct ow_entity *entity = world->entities; entity != NULL; entity = entity->next) {
        for (const struct ow_parked *parked = entity->parked; parked != NULL;
             parked = parked->next) {
            if (parked->id == ref) {
                return parked;
            }
        }
    }
    return NULL;
}

static struct ow_kept of_history(const struct ow_history *row)
{
    return (struct ow_kept){
        .kind = OW_KEPT_DATA,
        .machine = ow_slice_of(row->machine->name),
        .type = row->event->type,
        .source = row->event->source,
        .id = row->event->id,
        .entity_id = row->entity_id,
        .from_state = ow_slice_of(row->machine->states[row->from]),
        .data = row->data,
    };
}

/* Just what the store would tell of the first after this batch: a row under its number, if any. */
static struct ow_kept look_at_batch(const struct ow_world *world, int64_t ref,
                                    struct ow_kept before)
{
    for (const struct ow_history *row = world->history; row != NULL; row = row->next) {
        if (row->seq == ref) {
            return of_history(row);
        }
        if (row->first_ref == ref) {
            return (struct ow_kept){.kind = OW_KEPT_ELSEWHERE};
        }
    }
    for (const struct ow_quarantine *row = world->quarantine; row != NULL; row = row->next) {
        if (row->id == ref) {
            return (struct ow_kept){.kind = OW_KEPT_WHOLE, .record = *row->record};
        }
    }
    for (const struct ow_sighting *row = world->sightings; row != NULL; row = row->next) {
        if (row->ref == ref && strcmp(row->cause, "stale") == 0) {
            return (struct ow_kept){.kind = OW_KEPT_NOTHING};
        }
    }
    return before;
}

static struct ow_kept find_first(const struct ow_world *world, const struct ow_claim *claim,
                                 const struct ow_kept *stored)
{
    struct ow_kept first = {.kind = OW_KEPT_ELSEWHERE};
    if (claim->fresh) {
        const struct ow_parked *const parked = find_parked(world, claim->ref);
        if (parked != NULL) {
            first = (struct ow_kept){.kind = OW_KEPT_WHOLE, .record = parked->record};
        }
        return look_at_batch(world, claim->ref, first);
    }
    if (stored == NULL) {
        return first;
    }
    return stored->parked ? look_at_batch(world, claim->ref, *stored) : *stored;
}

const char *ow_conflict_detail(const struct ow_world *world, const struct ow_event *second,
                               const struct ow_claim *claim, const struct ow_kept *stored)
{
    struct ow_kept first = find_first(world, claim, stored);
    struct ow_difference difference;
    OW_BUFFER text = {0};
    if (!ow_difference_is_small(&first)) {
        first = (struct ow_kept){.kind = OW_KEPT_ELSEWHERE};
    }
    ow_difference_find(world->machines, &first, second, world->arena, &difference);
    ow_buffer_printf(&text,
                     "the id is taken by message %lld with other content: ", (long long)claim->ref);
    ow_difference_text(&text, &difference);
    return ow_arena_text(world->arena, ow_buffer_view(&text));
}
