#include "engine/poison.h"

#include "base/contract.h"
#include "engine/batch.h"

/* One way to judge a record of a failed batch. dry: only to see whether the store takes it; nothing
 * is kept. */
struct attempt {
    struct ow_judging judging;
    bool dry;
};

/* Under a savepoint, in a world of its own. */
static enum ow_status try_alone(struct ow_apply *apply, const struct ow_event *event,
                                const struct attempt *attempt, struct ow_totals *totals,
                                struct ow_err *err)
{
    struct ow_partition *partition =
        ow_partitions_find(&apply->partitions, event->record->topic, event->record->partition);
    struct ow_position *working = ow_partition_touch(&apply->partitions, partition);
    struct ow_position before;
    ow_position_copy(&before, working);
    const struct ow_totals totals_before = *totals;
    const int64_t next_ref_before = apply->world.next_ref;

    OW_TRY(ow_store_savepoint(apply->options.store, err));
    ow_batch_start_world(apply);
    OW_TRY(ow_batch_read(apply, &event, 1, err));
    OW_TRY(ow_batch_judge(apply, event, attempt->judging, totals, err));
    const enum ow_status status = ow_batch_write(apply, err);
    if (status == OW_OK && !attempt->dry) {
        OW_TRY(ow_store_release(apply->options.store, err));
        ow_position_copy(&before, working); /* what was written is clean for the next record */
        ow_position_copy(working, &before);
        return OW_OK;
    }
    if (status == OW_OK || status == OW_RECORD_REFUSED) {
        struct ow_err ignored;
        OW_TRY(ow_store_rollback_to(apply->options.store, &ignored));
        ow_position_copy(working, &before);
        *totals = totals_before;
        apply->world.next_ref = next_ref_before;
    }
    return status;
}

/*
 * Whose fault it is, when not the record's own: the fewest of the parked records that it wakes,
 * such that without them the store takes the rest. Starts with all of them, and takes the innocent
 * out one by one.
 */
static enum ow_status find_guilty_parked(struct ow_apply *apply, const struct ow_event *event,
                                         int64_t *ids, struct ow_judging *judging,
                                         struct ow_totals *totals, struct ow_err *err)
{
    OW_TRY(
        try_alone(apply, event, &(struct attempt){.judging = *judging, .dry = true}, totals, err));
    for (size_t i = 0; i < judging->poison_parked_count;) {
        const int64_t tried = ids[i];
        const size_t last = --judging->poison_parked_count;
        memmove(&ids[i], &ids[i + 1], (last - i) * sizeof(*ids));
        const enum ow_status status = try_alone(
            apply, event, &(struct attempt){.judging = *judging, .dry = true}, totals, err);
        if (status == OW_RECORD_REFUSED) {
            memmove(&ids[i + 1], &ids[i], (last - i) * sizeof(*ids));
            ids[i++] = tried;
            judging->poison_parked_count++;
        } else if (status != OW_OK) {
            return status;
        }
    }
    return OW_OK;
}

/* The ids of what is parked under the event's entity. */
static int64_t *list_parked(struct ow_apply *apply, const struct ow_event *event, size_t *ret_count)
{
    const struct ow_parked *first =
        event->verdict == OW_OUTCOME_APPLIED
            ? ow_world_entity(&apply->world, event->machine, event->entity_id)->parked
            : NULL;
    size_t count = 0;
    for (const struct ow_parked *parked = first; parked != NULL; parked = parked->next) {
        count++;
    }
    int64_t *ids = OW_ARENA_ARRAY(&apply->arena, count, int64_t);
    count = 0;
    for (const struct ow_parked *parked = first; parked != NULL; parked = parked->next) {
        ids[count++] = parked->id;
    }
    *ret_count = count;
    return ids;
}

/* Finds the guilty one. The record itself may be innocent: it may have woken a parked one that the
 * store refuses. */
static enum ow_status judge_suspect(struct ow_apply *apply, const struct ow_event *event,
                                    struct ow_totals *totals, struct ow_err *err)
{
    enum ow_status status = try_alone(apply, event, &(struct attempt){.dry = false}, totals, err);
    if (status != OW_RECORD_REFUSED) {
        return status;
    }
    struct attempt attempt = {.dry = false};
    struct ow_judging *judging = &attempt.judging;
    judging->poison_detail = ow_arena_text(&apply->arena, ow_slice_of(err->text));
    int64_t *ids = list_parked(apply, event, &judging->poison_parked_count);
    judging->poison_parked = ids;
    if (judging->poison_parked_count > 0) {
        status = find_guilty_parked(apply, event, ids, judging, totals, err);
    }
    if (status != OW_OK && status != OW_RECORD_REFUSED) {
        return status;
    }
    judging->poison = status == OW_RECORD_REFUSED;
    status = try_alone(apply, event, &attempt, totals, err);
    if (status == OW_OK) {
        totals->poisoned += judging->poison ? 1 : (int64_t)judging->poison_parked_count;
    }
    return status;
}

enum ow_status ow_poison_judge_one_by_one(struct ow_apply *apply,
                                          const struct ow_event *const *events, size_t count,
                                          struct ow_totals *totals, struct ow_err *err)
{
    OW_TRY(ow_batch_begin(apply, err));
    for (size_t i = 0; i < count; i++) {
        if (!ow_batch_is_wanted(apply, events[i]->record)) {
            totals->dropped++;
            continue;
        }
        const enum ow_status status = judge_suspect(apply, events[i], totals, err);
        if (status == OW_RECORD_REFUSED) {
            return ow_fail_within(
                err, OW_FAILED, OW_SLICE_FMT "[%d] offset %lld: cannot even be quarantined",
                OW_SLICE_ARG(events[i]->record->topic), (int)events[i]->record->partition,
                (long long)events[i]->record->offset);
        }
        OW_TRY(status);
    }
    return ow_batch_commit(apply, err);
}
