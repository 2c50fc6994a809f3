#include "base/failpoint.h"
#include "engine/positions.h"
#include "store/audit.h"

#include <inttypes.h>

/* The transaction in work. */
struct applying {
    const struct ow_positions_work *work;
    struct ow_world world;
    struct ow_position *positions; /* the store's */
    struct ow_position *changed;
};

static enum ow_status adopt(struct applying *applying, const struct ow_positions_change *change,
                            struct ow_position *position, struct ow_err *err)
{
    *position = ow_position_next_incarnation(position, change->to);
    position->began_epoch = applying->work->options->epoch;
    position->began_ref = applying->world.next_ref;
    return ow_store_last_sighting(applying->work->store, &position->began_sighting, err);
}

static enum ow_status move(struct applying *applying, const struct ow_positions_change *change,
                           struct ow_err *err)
{
    const struct ow_position *const found =
        ow_position_find(applying->positions, ow_slice_of(change->topic), change->partition);
    OW_INVARIANT(found != NULL); /* as when it was planned: the store is ours */
    struct ow_position *const position = OW_ARENA_NEW(applying->work->arena, struct ow_position);
    *position = *found; /* the list goes on from the one that is there */
    switch (change->did) {
    case OW_POSITIONS_REWOUND:
        OW_TRY(ow_store_ledger(applying->work->store, applying->work->arena, position, change->to,
                               err));
        ow_position_rewind(position, applying->work->arena, change->to);
        break;
    case OW_POSITIONS_SKIPPED:
        ow_position_skip(position, applying->work->arena, change->to);
        break;
    case OW_POSITIONS_LOST:
        ow_position_lose(position, applying->work->arena, change->to);
        break;
    case OW_POSITIONS_ADOPTED:
        OW_TRY(adopt(applying, change, position, err));
        break;
    case OW_POSITIONS_KEPT:
    case OW_POSITIONS_STARTED:
        break;
    }
    position->seen_committed = change->seen_committed;
    position->dirty = true;
    position->next = applying->changed;
    applying->changed = position;
    return OW_OK;
}

static const char *verb_text(enum ow_positions_verb verb)
{
    static const char *const texts[] = {"positions set", "positions adopt",
                                        "positions accept-lost"};
    return texts[verb];
}

static enum ow_status write_audit(struct applying *applying,
                                  const struct ow_positions_change *change, struct ow_err *err)
{
    const struct ow_audit audit = {
        .who = applying->work->order->who,
        .command = verb_text(applying->work->order->verb),
        .subject =
            ow_arena_printf(applying->work->arena, "%s[%d]", change->topic, (int)change->partition),
        .detail = ow_arena_printf(applying->work->arena,
                                  "{\"did\":\"%s\",\"incarnation\":%" PRId64 ",\"from\":%" PRId64
                                  ",\"to\":%" PRId64 ",\"left_out\":%" PRId64 ",\"low\":%" PRId64
                                  ",\"end\":%" PRId64 ",\"committed\":%" PRId64 "}",
                                  ow_positions_did_text(change->did), change->incarnation,
                                  change->from, change->to, change->left_out, change->low,
                                  change->end, change->committed),
        .why = applying->work->order->why};
    return ow_audit_write(applying->work->store, applying->world.now_ms, &audit, err);
}

static enum ow_status apply_all(struct applying *applying, struct ow_err *err)
{
    const struct ow_positions_work *work = applying->work;
    OW_TRY(ow_store_positions(work->store, work->arena, &applying->positions, err));
    OW_TRY(ow_store_begin(work->store, &applying->world, err));
    for (size_t i = 0; i < work->count; i++) {
        if (work->list[i].did != OW_POSITIONS_STARTED) {
            OW_TRY(move(applying, &work->list[i], err));
        }
        OW_TRY(write_audit(applying, &work->list[i], err));
    }
    OW_TRY(ow_store_write(work->store, &applying->world, applying->changed, err));
    OW_TRY(ow_store_commit(work->store, &applying->world, err));
    OW_FAILPOINT(POSITIONS_STORED);
    return OW_OK;
}

enum ow_status ow_positions_apply(const struct ow_positions_work *work, struct ow_err *err)
{
    if (work->count == 0) {
        return OW_OK;
    }
    struct applying applying = {.work = work};
    ow_world_reset(&applying.world, work->arena, work->options->machines,
                   ow_clock_now_ms(&work->options->clock));
    const enum ow_status status = apply_all(&applying, err);
    if (status != OW_OK) {
        ow_store_rollback(work->store);
    }
    return status;
}

static enum ow_status commit(const struct ow_positions_work *work, struct ow_err *err)
{
    const struct ow_consume_options *options = work->options;
    struct ow_partition_offset *offsets =
        OW_ARENA_ARRAY(work->arena, work->count, struct ow_partition_offset);
    for (size_t i = 0; i < work->count; i++) {
        const struct ow_positions_change *change = &work->list[i];
        offsets[i] = (struct ow_partition_offset){
            .topic = change->topic, .partition = change->partition, .offset = change->to};
        /* Where the store has no position, ours would tell of an older copy. */
        if (change->did != OW_POSITIONS_STARTED) {
            ow_metadata_format(offsets[i].metadata, options->store_id, options->epoch, change->to);
        }
    }
    return work->count == 0
               ? OW_OK
               : options->source->ops->commit(options->source, offsets, work->count, true, err);
}

enum ow_status ow_positions_tell(const struct ow_positions_work *work, bool *ret_told,
                                 struct ow_err *err)
{
    const enum ow_status status = commit(work, err);
    *ret_told = status == OW_OK;
    OW_FAILPOINT(POSITIONS_TOLD);
    for (size_t i = 0; i < work->count && status != OW_OK; i++) {
        if (work->list[i].did == OW_POSITIONS_STARTED) {
            return status; /* all that there is to be done */
        }
        if (work->list[i].refused) {
            return ow_fail_within(err, status,
                                  "the position is changed, and the group could not be told; the "
                                  "next start would refuse what it has: give the command again "
                                  "when it can be told");
        }
    }
    return OW_OK;
}
