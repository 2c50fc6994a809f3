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
    ow_position_copy(&before, &apply->partitions.work, working);
    const struct ow_totals totals_before = *totals;
    const int64_t next_ref_before = apply->world.next_ref;

    OW_TRY(ow_store_savepoint(apply->options.store, err));
    ow_batch_start_world(apply);
    OW_TRY(ow_batch_read(apply, &event, 1, err));
    const enum ow_status judged = ow_batch_judge(apply, event, attempt->judging, totals, err);
    OW_INVARIANT(judged == OW_OK); /* only a record that is not wanted can fail there */
    const enum ow_status status = ow_batch_write(apply, err);
    if (status == OW_OK && !attempt->dry) {
        OW_TRY(ow_store_release(apply->options.store, err));
        /* What was written is clean for the next record. */
        ow_position_copy(working, &apply->partitions.work, working);
        return OW_OK;
    }
    if (status == OW_OK || status == OW_RECORD_REFUSED) {
        struct ow_err ignored;
        OW_TRY(ow_store_rollback_to(apply->options.store, &ignored));
        *working = before;
        *totals = totals_before;
        apply->world.next_ref = next_ref_before;
    }
    return status;
}

/* Whether a parked record was judged in the try that was made last. */
static bool was_judged(struct ow_apply *apply, const struct ow_event *event, int64_t id)
{
    const struct ow_parked *parked =
        ow_world_entity(&apply->world, event->machine, event->entity_id)->parked;
    OW_INVARIANT(parked != NULL); /* it was read anew for that try, as it was listed */
    while (parked->id != id) {
        parked = parked->next;
        OW_INVARIANT(parked != NULL);
    }
    return parked->gone;
}

/* Whether the process has died of it often enough. */
static bool is_convicted(const struct ow_apply *apply, const struct ow_record *record, int64_t id)
{
    return apply->options.suspects != NULL &&
           ow_suspects_parked_deaths(apply->options.suspects, record, id) >= OW_SUSPECT_DEATHS;
}

/*
 * Takes suspects off the list, one by one: those without whom on it the store takes the rest. With
 * only_judged those alone that were really judged then: one that waits for another suspect is not
 * cleared by being left alone.
 */
static enum ow_status clear_suspects(struct ow_apply *apply, const struct ow_event *event,
                                     int64_t *ids, struct ow_judging *judging, bool only_judged,
                                     struct ow_err *err)
{
    struct ow_totals ignored = {0};
    for (size_t i = 0; i < judging->poison_parked_count;) {
        const int64_t tried = ids[i];
        if (is_convicted(apply, event->record, tried)) {
            i++;
            continue;
        }
        ow_slot_work(apply->slot, OW_STAGE_WAKE, event->record, 1, tried);
        const size_t last = --judging->poison_parked_count;
        memmove(&ids[i], &ids[i + 1], (last - i) * sizeof(*ids));
        const enum ow_status status = try_alone(
            apply, event, &(struct attempt){.judging = *judging, .dry = true}, &ignored, err);
        if (status != OW_OK && status != OW_RECORD_REFUSED) {
            return status;
        }
        if (status == OW_OK && (!only_judged || was_judged(apply, event, tried))) {
            i = only_judged ? 0 : i; /* whoever waited for it can be judged now */
            continue;
        }
        memmove(&ids[i + 1], &ids[i], (last - i) * sizeof(*ids));
        ids[i++] = tried;
        judging->poison_parked_count++;
    }
    return OW_OK;
}

/*
 * Whose fault it is, when not the record's own: the fewest of the parked records that it wakes,
 * such that without them the store takes the rest. All are suspects at first. Who is innocent is
 * cleared, in the order in which they can be judged; then those that nobody gets to judge.
 */
static enum ow_status find_guilty_parked(struct ow_apply *apply, const struct ow_event *event,
                                         int64_t *ids, struct ow_judging *judging,
                                         struct ow_err *err)
{
    struct ow_totals ignored = {0};
    OW_TRY(try_alone(apply, event, &(struct attempt){.judging = *judging, .dry = true}, &ignored,
                     err));
    OW_TRY(clear_suspects(apply, event, ids, judging, true, err));
    OW_TRY(clear_suspects(apply, event, ids, judging, false, err));
    ow_slot_work(apply->slot, OW_STAGE_APPLY, event->record, 1, 0);
    return OW_OK;
}

/* The ids of what is parked under the event's entity. */
static int64_t *list_parked(struct ow_apply *apply, const struct ow_event *event,
                            struct ow_arena *arena, size_t *ret_count)
{
    const struct ow_parked *first =
        event->verdict == OW_OUTCOME_APPLIED
            ? ow_world_entity(&apply->world, event->machine, event->entity_id)->parked
            : NULL;
    size_t count = 0;
    for (const struct ow_parked *parked = first; parked != NULL; parked = parked->next) {
        count++;
    }
    int64_t *ids = OW_ARENA_ARRAY(arena, count, int64_t);
    count = 0;
    for (const struct ow_parked *parked = first; parked != NULL; parked = parked->next) {
        ids[count++] = parked->id;
    }
    *ret_count = count;
    return ids;
}

/*
 * Finds the guilty one. The record itself may be innocent: it may have woken a parked one that the
 * store refuses. Each try empties the batch's arena (what is parked is read anew), so what they are
 * told is in notes.
 */
static enum ow_status judge_guilty(struct ow_apply *apply, const struct ow_event *event,
                                   struct ow_arena *notes, struct ow_totals *totals,
                                   struct ow_err *err)
{
    struct attempt attempt = {.dry = false};
    struct ow_judging *judging = &attempt.judging;
    judging->poison_detail = ow_arena_text(notes, ow_slice_of(err->text));
    int64_t *ids = list_parked(apply, event, notes, &judging->poison_parked_count);
    judging->poison_parked = ids;
    enum ow_status status = OW_RECORD_REFUSED;
    if (judging->poison_parked_count > 0) {
        status = find_guilty_parked(apply, event, ids, judging, err);
    }
    if (status != OW_OK && status != OW_RECORD_REFUSED) {
        return status;
    }
    judging->poison = status == OW_RECORD_REFUSED;
    return try_alone(apply, event, &attempt, totals, err);
}

/*
 * The process died of it, or of what it wakes: then the parked records are suspects before the
 * store has refused anything, and each is noted while it is tried.
 */
static enum ow_status judge_accused(struct ow_apply *apply, const struct ow_event *event,
                                    const char *why, struct ow_arena *notes,
                                    struct ow_totals *totals, struct ow_err *err)
{
    struct attempt attempt = {.dry = false};
    struct ow_judging *judging = &attempt.judging;
    ow_batch_start_world(apply);
    OW_TRY(ow_batch_read(apply, &event, 1, err));
    int64_t *ids = list_parked(apply, event, notes, &judging->poison_parked_count);
    judging->poison_parked = ids;
    judging->poison_detail = why;
    if (judging->poison_parked_count > 0) {
        const enum ow_status status = find_guilty_parked(apply, event, ids, judging, err);
        if (status != OW_OK) {
            return status;
        }
    }
    return try_alone(apply, event, &attempt, totals, err);
}

enum ow_status ow_poison_judge_one(struct ow_apply *apply, const struct ow_event *event,
                                   enum ow_manner manner, const char *why, struct ow_totals *totals,
                                   struct ow_err *err)
{
    struct ow_arena notes;
    ow_arena_init(&notes, 4096);
    const struct attempt attempt = {
        .judging = {.poison = manner == OW_MANNER_QUARANTINED, .poison_detail = why}
    };
    ow_slot_work(apply->slot, OW_STAGE_APPLY, event->record, 1, 0);
    enum ow_status status = manner == OW_MANNER_ACCUSED
                                ? judge_accused(apply, event, why, &notes, totals, err)
                                : try_alone(apply, event, &attempt, totals, err);
    if (status == OW_RECORD_REFUSED && manner != OW_MANNER_QUARANTINED) {
        status = judge_guilty(apply, event, &notes, totals, err);
    }
    ow_slot_rest(apply->slot);
    ow_arena_done(&notes);
    if (status == OW_RECORD_REFUSED) {
        return ow_fail_within(err, OW_FAILED,
                              OW_SLICE_FMT "[%d] offset %lld: cannot even be quarantined",
                              OW_SLICE_ARG(event->record->topic), (int)event->record->partition,
                              (long long)event->record->offset);
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
            continue;
        }
        OW_TRY(ow_poison_judge_one(apply, events[i], OW_MANNER_SUSPECT, NULL, totals, err));
    }
    return ow_batch_commit(apply, err);
}
