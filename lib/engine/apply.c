#include "engine/apply.h"

#include "base/contract.h"
#include "base/failpoint.h"
#include "engine/batch.h"
#include "engine/careful.h"
#include "engine/poison.h"

enum { OVERDUE_SLICE = 256 };

enum ow_status ow_apply_open(struct ow_apply *apply, const struct ow_apply_options *options,
                             struct ow_err *err)
{
    *apply = (struct ow_apply){.options = *options};
    apply->decoder = (struct ow_decoder){.machines = options->machines,
                                         .hash_key = ow_store_hash_key(options->store),
                                         .record_bytes_max =
                                             SIZE_MAX}; /* what is parked was small enough once */
    ow_arena_init(&apply->arena, (size_t)1 << 20);
    ow_partitions_init(&apply->partitions);
    struct ow_position *positions = NULL;
    OW_TRY(ow_store_positions(options->store, &apply->partitions.arena, &positions, err));
    ow_partitions_load(&apply->partitions, positions);
    if (options->suspects != NULL) {
        apply->slot = &options->suspects->slots[0];
        ow_suspects_start(options->suspects, positions, ow_store_epoch(options->store),
                          &apply->last_death);
    }
    return OW_OK;
}

void ow_apply_close(struct ow_apply *apply)
{
    ow_partitions_done(&apply->partitions);
    ow_arena_done(&apply->arena);
    ow_buffer_done(&apply->decoder.scratch);
}

static enum ow_status judge_together(struct ow_apply *apply, const struct ow_event *const *events,
                                     size_t count, struct ow_totals *totals, struct ow_err *err)
{
    ow_slot_work(apply->slot, OW_STAGE_APPLY, events[0]->record, count, 0);
    OW_TRY(ow_batch_begin(apply, err));
    OW_TRY(ow_batch_read(apply, events, count, err));
    for (size_t i = 0; i < count; i++) {
        OW_TRY(ow_batch_judge(apply, events[i], (struct ow_judging){0}, totals, err));
    }
    /* Nothing new: no transaction to pay for (re-fetched records, or of an older assignment). */
    if (apply->partitions.touched == NULL) {
        ow_store_rollback(apply->options.store);
        return OW_OK;
    }
    OW_TRY(ow_batch_write(apply, err));
    return ow_batch_commit(apply, err);
}

static const struct ow_event **list_events(struct ow_chunk *const *chunks, size_t chunk_count,
                                           size_t *ret_count, struct ow_arena *arena)
{
    size_t count = 0;
    for (size_t i = 0; i < chunk_count; i++) {
        count += chunks[i]->count;
    }
    const struct ow_event **events = OW_ARENA_ARRAY(arena, count, const struct ow_event *);
    size_t filled = 0;
    for (size_t i = 0; i < chunk_count; i++) {
        for (size_t j = 0; j < chunks[i]->count; j++) {
            events[filled++] = &chunks[i]->events[j];
        }
    }
    *ret_count = filled;
    return events;
}

static struct ow_partition *partition_at_end(const struct ow_apply *apply,
                                             const struct ow_chunk *chunk, size_t index)
{
    const struct ow_end_mark *end = &chunk->ends[index];
    return chunk->generation == apply->generation
               ? ow_partitions_find(&apply->partitions, end->topic, end->partition)
               : NULL;
}

/* A transaction for positions that have changed without a record. */
static enum ow_status write_positions(struct ow_apply *apply, struct ow_err *err)
{
    enum ow_status status = ow_batch_begin(apply, err);
    if (status == OW_OK) {
        status = ow_batch_write(apply, err);
    }
    if (status == OW_OK) {
        status = ow_batch_commit(apply, err);
    }
    if (status != OW_OK) {
        ow_batch_roll_back(apply);
    }
    return status;
}

/*
 * What the ends say, after the records before them. An end beyond the last record means that
 * markers or aborted records lie between: the position moves behind them, or retention would seem
 * to have taken something away.
 */
static enum ow_status take_ends(struct ow_apply *apply, struct ow_chunk *const *chunks,
                                size_t count, struct ow_err *err)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < chunks[i]->end_count; j++) {
            struct ow_partition *partition = partition_at_end(apply, chunks[i], j);
            const int64_t offset = chunks[i]->ends[j].offset;
            if (partition != NULL && offset == OW_CHUNK_NO_END) {
                partition->at_end = false;
            }
            if (partition == NULL || offset < partition->settled.next_offset) {
                continue;
            }
            partition->at_end = true;
            const struct ow_position *position =
                partition->touched ? &partition->working : &partition->settled;
            if (offset > position->next_offset) {
                ow_position_end(ow_partition_touch(&apply->partitions, partition), offset);
            }
        }
    }
    return apply->partitions.touched == NULL ? OW_OK : write_positions(apply, err);
}

/* All records of some chunks; what they have come to is added to *totals. */
static enum ow_status judge(struct ow_apply *apply, struct ow_chunk *const *chunks, size_t count,
                            struct ow_totals *totals, struct ow_err *err)
{
    struct ow_arena list_arena;
    ow_arena_init(&list_arena, (size_t)64 * 1024);
    size_t event_count = 0;
    const struct ow_event **events = list_events(chunks, count, &event_count, &list_arena);

    enum ow_status status = OW_OK;
    if (event_count > 0) {
        status = judge_together(apply, events, event_count, totals, err);
    }
    if (status == OW_RECORD_REFUSED) {
        const int64_t same_offset = totals->same_offset; /* the second pass leaves them out */
        ow_batch_roll_back(apply);
        *totals = apply->totals;
        totals->same_offset = same_offset;
        status = ow_poison_judge_one_by_one(apply, events, event_count, totals, err);
    }
    ow_arena_done(&list_arena);
    return status;
}

enum ow_status ow_apply_batch(struct ow_apply *apply, struct ow_chunk *const *chunks, size_t count,
                              struct ow_err *err)
{
    struct ow_totals totals = apply->totals;
    OW_REQUIRE(chunks[0]->care == OW_CARE_NONE || count == 1);
    const enum ow_status status = chunks[0]->care == OW_CARE_NONE
                                      ? judge(apply, chunks, count, &totals, err)
                                      : ow_careful_judge(apply, chunks[0], &totals, err);
    ow_slot_rest(apply->slot);
    if (status != OW_OK) {
        ow_batch_roll_back(apply);
        return status;
    }
    ow_suspects_pass(apply->options.suspects, totals.records - apply->totals.records);
    totals.batches = apply->totals.batches;
    apply->totals = totals;
    return take_ends(apply, chunks, count, err);
}

/* An operator has moved the group, and that is honoured. */
static enum ow_status move_position(struct ow_apply *apply, struct ow_position *position,
                                    const struct ow_assigned *assigned, struct ow_err *err)
{
    struct ow_arena *arena = &apply->partitions.work;
    if (assigned->resume == OW_RESUME_SKIPPED) {
        ow_position_skip(position, arena, assigned->offset);
        return OW_OK;
    }
    OW_TRY(ow_store_ledger(apply->options.store, arena, position, assigned->offset, err));
    ow_position_rewind(position, arena, assigned->offset);
    return OW_OK;
}

/*
 * START and COMMITTED are planned by the group alone, and so may have been while the position of an
 * assignment before was on its way to the store. What lies between would never be fetched, and
 * would be taken for a gap that the log has.
 */
static enum ow_status refuse_gap(const struct ow_position *position,
                                 const struct ow_assigned *assigned, struct ow_err *err)
{
    return assigned->offset <= position->next_offset
               ? OW_OK
               : ow_fail(err, OW_TEMPORARY,
                         "%s[%d]: to be read from offset %lld on, as it was planned before the "
                         "store knew that it had begun at %lld: the next start reads it from there",
                         assigned->topic, (int)assigned->partition, (long long)assigned->offset,
                         (long long)position->next_offset);
}

/* What an assignment does to one partition's position. */
static enum ow_status take_assigned(struct ow_apply *apply, const struct ow_assigned *assigned,
                                    struct ow_err *err)
{
    const struct ow_slice topic = ow_slice_of(assigned->topic);
    struct ow_partition *partition =
        ow_partitions_find(&apply->partitions, topic, assigned->partition);
    if (partition == NULL) {
        partition =
            ow_partitions_add(&apply->partitions, topic, assigned->partition, assigned->offset);
    }
    partition->assigned = true;
    partition->check_anchor = assigned->check_anchor;
    partition->restored = assigned->restored;
    partition->at_end = false;
    partition->last_timestamp_ms = INT64_MIN;
    const bool moved =
        assigned->resume == OW_RESUME_REWOUND || assigned->resume == OW_RESUME_SKIPPED;
    if (partition->settled.stored && !moved) {
        /* The position became durable since: it knows better. */
        return refuse_gap(&partition->settled, assigned, err);
    }
    if (!partition->settled.stored) {
        /* A first start that failed before its commit may have guessed another offset. */
        partition->settled.next_offset = partition->settled.high_offset = assigned->offset;
    }
    partition->has_committed = false;
    struct ow_position *position = ow_partition_touch(&apply->partitions, partition);
    position->dirty = true;
    position->seen_committed = assigned->committed;
    return moved ? move_position(apply, position, assigned, err) : OW_OK;
}

enum ow_status ow_apply_assignment(struct ow_apply *apply, const struct ow_chunk *chunk,
                                   struct ow_err *err)
{
    for (struct ow_partition *partition = apply->partitions.list; partition != NULL;
         partition = partition->next) {
        partition->assigned = false;
    }
    enum ow_status status = ow_batch_begin(apply, err);
    if (status == OW_OK) {
        for (size_t i = 0; status == OW_OK && i < chunk->assigned_count; i++) {
            status = take_assigned(apply, &chunk->assigned[i], err);
        }
    }
    if (status == OW_OK && apply->partitions.touched == NULL) {
        ow_store_rollback(apply->options.store);
        apply->generation = chunk->generation;
        return OW_OK;
    }
    if (status == OW_OK) {
        status = ow_batch_write(apply, err);
    }
    if (status == OW_OK) {
        status = ow_batch_commit(apply, err);
    }
    if (status != OW_OK) {
        ow_batch_roll_back(apply);
        return status;
    }
    OW_FAILPOINT(ASSIGN_STORED);
    /* Only now: offsets are committed for the generation that the positions are of. */
    apply->generation = chunk->generation;
    return OW_OK;
}

enum ow_status ow_apply_forget_seen(struct ow_apply *apply, struct ow_err *err)
{
    for (struct ow_partition *partition = apply->partitions.list; partition != NULL;
         partition = partition->next) {
        if (partition->has_committed && partition->settled.seen_committed >= 0) {
            ow_partition_touch(&apply->partitions, partition)->dirty = true;
        }
    }
    if (apply->partitions.touched == NULL) {
        return OW_OK;
    }
    return write_positions(apply, err);
}

static enum ow_status time_out(struct ow_apply *apply, int64_t limit_ms, size_t *ret_count,
                               struct ow_err *err)
{
    struct ow_parked **overdue = NULL;
    OW_TRY(ow_batch_begin(apply, err));
    OW_TRY(ow_store_read_overdue(apply->options.store, &apply->world, limit_ms, OVERDUE_SLICE,
                                 &overdue, ret_count, err));
    ow_batch_decode_parked(apply);
    for (size_t i = 0; i < *ret_count; i++) {
        ow_decide_park_timeout(&apply->world, overdue[i]);
    }
    OW_TRY(ow_batch_write(apply, err));
    return ow_batch_commit(apply, err);
}

/* What is over by wall clock and stream time both is over. */
static int64_t limit_of(const struct ow_apply *apply, int64_t now_ms, bool ends_hold)
{
    const int64_t stream_ms = ow_partitions_stream_time_ms(&apply->partitions, now_ms, ends_hold);
    return stream_ms < now_ms ? stream_ms : now_ms;
}

enum ow_status ow_apply_tend(struct ow_apply *apply, bool ends_hold, size_t rows, bool *ret_more,
                             struct ow_err *err)
{
    const int64_t now_ms = ow_clock_now_ms(&apply->options.clock);
    const struct ow_tending tending = {
        .now_ms = now_ms, .limit_ms = limit_of(apply, now_ms, ends_hold), .rows = rows};
    return ow_store_tend(apply->options.store, &tending, ret_more, err);
}

enum ow_status ow_apply_deadlines(struct ow_apply *apply, bool ends_hold, bool *ret_more,
                                  struct ow_err *err)
{
    const int64_t limit_ms = limit_of(apply, ow_clock_now_ms(&apply->options.clock), ends_hold);
    *ret_more = false;
    if (ow_store_parked_count(apply->options.store) == 0 ||
        ow_store_first_deadline_ms(apply->options.store) > limit_ms) {
        return OW_OK;
    }
    size_t count = 0;
    const enum ow_status status = time_out(apply, limit_ms, &count, err);
    if (status != OW_OK) {
        ow_batch_roll_back(apply);
        return status;
    }
    *ret_more = count == OVERDUE_SLICE;
    return OW_OK;
}

int64_t ow_apply_first_due_ms(const struct ow_apply *apply)
{
    const int64_t deadline_ms = ow_store_first_deadline_ms(apply->options.store);
    const int64_t prune_ms = ow_store_first_prune_ms(apply->options.store);
    return deadline_ms < prune_ms ? deadline_ms : prune_ms;
}
