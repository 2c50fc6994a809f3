#include "engine/apply.h"

#include "base/contract.h"

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
    return OW_OK;
}

void ow_apply_close(struct ow_apply *apply)
{
    ow_partitions_done(&apply->partitions);
    ow_arena_done(&apply->arena);
    ow_buffer_done(&apply->decoder.scratch);
}

static void start_world(struct ow_apply *apply)
{
    const int64_t next_ref = apply->world.next_ref;
    ow_world_reset(&apply->world, &apply->arena, apply->options.machines,
                   ow_clock_now_ms(&apply->options.clock));
    apply->world.next_ref =
        next_ref; /* begin reads it; a world that is started again goes on counting */
}

static enum ow_status begin(struct ow_apply *apply, struct ow_err *err)
{
    ow_arena_reset(&apply->arena);
    start_world(apply);
    return ow_store_begin(apply->options.store, &apply->world, err);
}

static enum ow_status commit(struct ow_apply *apply, struct ow_err *err)
{
    OW_TRY(ow_store_commit(apply->options.store, &apply->world, err));
    ow_partitions_settle(&apply->partitions);
    apply->totals.batches++;
    return OW_OK;
}

static void roll_back(struct ow_apply *apply)
{
    ow_store_rollback(apply->options.store);
    ow_partitions_forget(&apply->partitions);
}

/* What has been parked comes back as bytes; read as events it can be judged. */
static void decode_parked(struct ow_apply *apply)
{
    for (struct ow_entity *entity = apply->world.entities; entity != NULL; entity = entity->next) {
        for (struct ow_parked *parked = entity->parked; parked != NULL; parked = parked->next) {
            if (parked->event != NULL) {
                continue;
            }
            parked->event = OW_ARENA_NEW(&apply->arena, struct ow_event);
            if (ow_machines_of_topic(apply->options.machines, parked->record.topic) == NULL) {
                /* A newer machine file has left its topic out: it waits for its deadline, where
                 * people see it. */
                *parked->event =
                    (struct ow_event){.record = &parked->record, .verdict = OW_OUTCOME_QUARANTINED};
                continue;
            }
            ow_event_decode(&apply->decoder, &parked->record, &apply->arena, parked->event);
            if (parked->event->verdict == OW_OUTCOME_APPLIED) {
                ow_world_want_rows(&apply->world, parked->event);
            }
        }
    }
}

/* Whether a record still counts: of this assignment and not below the position. */
static bool is_wanted(const struct ow_apply *apply, const struct ow_record *record)
{
    const struct ow_partition *partition =
        ow_partitions_find(&apply->partitions, record->topic, record->partition);
    OW_INVARIANT(partition != NULL); /* an assignment comes before its records */
    const struct ow_position *position =
        partition->touched ? &partition->working : &partition->settled;
    return record->generation == apply->generation && record->offset >= position->next_offset;
}

/* Reads all that the events touch: first what they name, then what that makes necessary. */
static enum ow_status read_world(struct ow_apply *apply, const struct ow_event *const *events,
                                 size_t count, struct ow_err *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct ow_record *record = events[i]->record;
        if (!is_wanted(apply, record)) {
            continue;
        }
        ow_world_want(&apply->world, events[i]);
        const struct ow_partition *partition =
            ow_partitions_find(&apply->partitions, record->topic, record->partition);
        if (record->offset < partition->settled.high_offset) {
            (void)ow_world_quarantine_at(&apply->world, record);
        }
    }
    OW_TRY(ow_store_read(apply->options.store, &apply->world, err));
    decode_parked(apply);
    for (size_t i = 0; i < count; i++) {
        if (is_wanted(apply, events[i]->record)) {
            ow_world_want_conflict(&apply->world, events[i]);
        }
    }
    return ow_store_read(apply->options.store, &apply->world, err);
}

/*
 * The record before the position, fetched to see whether the topic is still the one that we know
 * (DESIGN 9). Without it (compacted, or a marker at that offset) there is nothing to compare.
 */
static enum ow_status check_anchor(struct ow_apply *apply, struct ow_partition *partition,
                                   const struct ow_record *record, struct ow_err *err)
{
    const struct ow_position *position = &partition->settled;
    if (!partition->check_anchor || !position->has_anchor ||
        record->offset != position->next_offset - 1 || record->generation != apply->generation) {
        return OW_OK;
    }
    partition->check_anchor = false;
    uint8_t anchor[OW_CLAIM_KEY_BYTES];
    ow_hash_anchor(apply->decoder.hash_key, record->offset, record->key, record->value, anchor);
    if (memcmp(anchor, position->anchor, sizeof(anchor)) == 0) {
        return OW_OK;
    }
    return ow_fail(
        err, OW_UNSAFE,
        OW_SLICE_FMT
        "[%d]: the record at offset %lld is not the one that was handled there: the topic was "
        "re-created, truncated or swapped. Its records would be taken for known ones or skipped, "
        "so nothing was done",
        OW_SLICE_ARG(record->topic), (int)record->partition, (long long)record->offset);
}

static void count_totals(struct ow_totals *totals, const struct ow_decision *decision, bool reread)
{
    totals->records++;
    if (reread) {
        totals->reread++;
    } else {
        totals->counts[decision->outcome]++;
    }
}

/* Judges one record with all that those before it in this world have left. */
static enum ow_status judge(struct ow_apply *apply, const struct ow_event *event,
                            struct ow_judging judging, struct ow_totals *totals, struct ow_err *err)
{
    const struct ow_record *record = event->record;
    struct ow_partition *partition =
        ow_partitions_find(&apply->partitions, record->topic, record->partition);
    if (!is_wanted(apply, record)) {
        totals->dropped++;
        return check_anchor(apply, partition, record, err);
    }
    partition->check_anchor = false;
    struct ow_position *position = ow_partition_touch(&apply->partitions, partition);
    judging.reread = ow_position_sight(position, record->offset) == OW_SIGHT_REREAD;
    judging.horizon_ms =
        event->event == NULL
            ? INT64_MIN
            : ow_store_horizon_ms(apply->options.store, event->event->claim->retention_ms,
                                  apply->options.claim_skew_ms);
    struct ow_decision decision;
    ow_decide(&apply->world, event, &judging, &decision);
    ow_position_handled(position, &apply->arena, record->offset, decision.outcome);
    partition->last_handled = record;
    partition->at_end = false;
    if (record->timestamp_ms >= 0) {
        partition->last_timestamp_ms = record->timestamp_ms;
    }
    count_totals(totals, &decision, judging.reread);
    return OW_OK;
}

static enum ow_status write_world(struct ow_apply *apply, struct ow_err *err)
{
    return ow_store_write(apply->options.store, &apply->world,
                          ow_partitions_changes(&apply->partitions, apply->decoder.hash_key), err);
}

static enum ow_status judge_together(struct ow_apply *apply, const struct ow_event *const *events,
                                     size_t count, struct ow_totals *totals, struct ow_err *err)
{
    OW_TRY(begin(apply, err));
    OW_TRY(read_world(apply, events, count, err));
    for (size_t i = 0; i < count; i++) {
        OW_TRY(judge(apply, events[i], (struct ow_judging){0}, totals, err));
    }
    /* Nothing new: no transaction to pay for (re-fetched records, or of an older assignment). */
    if (apply->partitions.touched == NULL) {
        ow_store_rollback(apply->options.store);
        return OW_OK;
    }
    OW_TRY(write_world(apply, err));
    return commit(apply, err);
}

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
    start_world(apply);
    OW_TRY(read_world(apply, &event, 1, err));
    OW_TRY(judge(apply, event, attempt->judging, totals, err));
    const enum ow_status status = write_world(apply, err);
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

static enum ow_status judge_one_by_one(struct ow_apply *apply, const struct ow_event *const *events,
                                       size_t count, struct ow_totals *totals, struct ow_err *err)
{
    OW_TRY(begin(apply, err));
    for (size_t i = 0; i < count; i++) {
        if (!is_wanted(apply, events[i]->record)) {
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
    return commit(apply, err);
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

static void note_ends(struct ow_apply *apply, struct ow_chunk *const *chunks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < chunks[i]->end_count; j++) {
            const struct ow_end_mark *end = &chunks[i]->ends[j];
            struct ow_partition *partition =
                ow_partitions_find(&apply->partitions, end->topic, end->partition);
            if (partition != NULL && chunks[i]->generation == apply->generation) {
                partition->at_end = end->offset >= partition->settled.next_offset;
            }
        }
    }
}

enum ow_status ow_apply_batch(struct ow_apply *apply, struct ow_chunk *const *chunks, size_t count,
                              struct ow_err *err)
{
    struct ow_arena list_arena;
    ow_arena_init(&list_arena, (size_t)64 * 1024);
    size_t event_count = 0;
    const struct ow_event **events = list_events(chunks, count, &event_count, &list_arena);

    enum ow_status status = OW_OK;
    struct ow_totals totals = apply->totals;
    if (event_count > 0) {
        status = judge_together(apply, events, event_count, &totals, err);
    }
    if (status == OW_RECORD_REFUSED) {
        roll_back(apply);
        totals = apply->totals;
        status = judge_one_by_one(apply, events, event_count, &totals, err);
    }
    ow_arena_done(&list_arena);
    if (status != OW_OK) {
        roll_back(apply);
        return status;
    }
    totals.batches = apply->totals.batches;
    apply->totals = totals;
    note_ends(apply, chunks, count);
    return OW_OK;
}

/* What an assignment does to one partition's position. */
static void take_assigned(struct ow_apply *apply, const struct ow_assigned *assigned)
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
    partition->at_end = false;
    partition->last_timestamp_ms = INT64_MIN;
    if (!partition->settled.stored) {
        /* A first start that failed before its commit may have guessed another offset. */
        partition->settled.next_offset = partition->settled.high_offset = assigned->offset;
    } else if (assigned->resume != OW_RESUME_REWOUND && assigned->resume != OW_RESUME_SKIPPED) {
        return; /* START and COMMITTED were planned before the position became durable: it knows
                   better */
    }
    partition->has_committed = false;
    struct ow_position *position = ow_partition_touch(&apply->partitions, partition);
    position->dirty = true;
    if (assigned->resume == OW_RESUME_SKIPPED) {
        ow_position_skip(position, &apply->arena, assigned->offset);
    } else {
        position->has_anchor = position->has_anchor && position->next_offset == assigned->offset;
        position->next_offset = assigned->offset;
    }
    position->seen_committed = assigned->committed;
}

enum ow_status ow_apply_assignment(struct ow_apply *apply, const struct ow_chunk *chunk,
                                   struct ow_err *err)
{
    apply->generation = chunk->generation;
    for (struct ow_partition *partition = apply->partitions.list; partition != NULL;
         partition = partition->next) {
        partition->assigned = false;
    }
    enum ow_status status = begin(apply, err);
    if (status == OW_OK) {
        for (size_t i = 0; i < chunk->assigned_count; i++) {
            take_assigned(apply, &chunk->assigned[i]);
        }
        if (apply->partitions.touched == NULL) {
            ow_store_rollback(apply->options.store);
            return OW_OK;
        }
        status = write_world(apply, err);
    }
    if (status == OW_OK) {
        status = commit(apply, err);
    }
    if (status != OW_OK) {
        roll_back(apply);
    }
    return status;
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
    enum ow_status status = begin(apply, err);
    if (status == OW_OK) {
        status = write_world(apply, err);
    }
    if (status == OW_OK) {
        status = commit(apply, err);
    }
    if (status != OW_OK) {
        roll_back(apply);
    }
    return status;
}

static enum ow_status time_out(struct ow_apply *apply, int64_t limit_ms, size_t *ret_count,
                               struct ow_err *err)
{
    struct ow_parked **overdue = NULL;
    OW_TRY(begin(apply, err));
    OW_TRY(ow_store_read_overdue(apply->options.store, &apply->world, limit_ms, OVERDUE_SLICE,
                                 &overdue, ret_count, err));
    decode_parked(apply);
    for (size_t i = 0; i < *ret_count; i++) {
        ow_decide_park_timeout(&apply->world, overdue[i]);
    }
    OW_TRY(write_world(apply, err));
    return commit(apply, err);
}

enum ow_status ow_apply_deadlines(struct ow_apply *apply, struct ow_err *err)
{
    for (;;) {
        const int64_t now_ms = ow_clock_now_ms(&apply->options.clock);
        const int64_t stream_ms = ow_partitions_stream_time_ms(&apply->partitions, now_ms);
        const int64_t limit_ms = stream_ms < now_ms ? stream_ms : now_ms;
        if (ow_store_parked_count(apply->options.store) == 0 ||
            ow_store_first_deadline_ms(apply->options.store) > limit_ms) {
            return OW_OK;
        }
        size_t count = 0;
        const enum ow_status status = time_out(apply, limit_ms, &count, err);
        if (status != OW_OK) {
            roll_back(apply);
            return status;
        }
        apply->totals.timed_out += (int64_t)count;
        if (count < OVERDUE_SLICE) {
            return OW_OK;
        }
    }
}
