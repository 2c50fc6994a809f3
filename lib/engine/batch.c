#include "engine/batch.h"

#include "base/contract.h"
#include "base/failpoint.h"

void ow_batch_start_world(struct ow_apply *apply)
{
    const int64_t next_ref = apply->world.next_ref;
    ow_arena_reset(&apply->arena);
    ow_world_reset(&apply->world, &apply->arena, apply->options.machines,
                   ow_clock_now_ms(&apply->options.clock));
    apply->world.next_ref =
        next_ref; /* begin reads it; a world that is started again goes on counting */
}

/* What may take as long as the write-ahead log is large is not looked at. */
static void begin_step(struct ow_apply *apply, const char *doing)
{
    if (ow_store_is_behind(apply->options.store)) {
        ow_pulse_rest(apply->options.pulse);
    } else {
        ow_pulse_beat(apply->options.pulse, doing);
    }
}

enum ow_status ow_batch_begin(struct ow_apply *apply, struct ow_err *err)
{
    begin_step(apply, "beginning a transaction");
    ow_batch_start_world(apply);
    OW_TRY(ow_store_begin(apply->options.store, &apply->world, err));
    OW_FAILPOINT(BATCH_BEGUN);
    return OW_OK;
}

enum ow_status ow_batch_commit(struct ow_apply *apply, struct ow_err *err)
{
    begin_step(apply, "committing a transaction");
    /* What happens now is no record's doing. */
    ow_slot_rest(apply->slot);
    OW_FAILPOINT(NOTE_CLEARED);
    OW_TRY(ow_store_commit(apply->options.store, &apply->world, err));
    ow_partitions_settle(&apply->partitions);
    apply->totals.batches++;
    return OW_OK;
}

void ow_batch_roll_back(struct ow_apply *apply)
{
    ow_store_rollback(apply->options.store);
    ow_partitions_forget(&apply->partitions);
}

/* What has been parked comes back as bytes; read as events it can be judged. */
void ow_batch_decode_parked(struct ow_apply *apply)
{
    for (struct ow_entity *entity = apply->world.entities; entity != NULL; entity = entity->next) {
        for (struct ow_parked *parked = entity->parked; parked != NULL; parked = parked->next) {
            OW_INVARIANT(parked->event == NULL); /* it was read just now, in this world */
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
bool ow_batch_is_wanted(const struct ow_apply *apply, const struct ow_record *record)
{
    const struct ow_partition *partition =
        ow_partitions_find(&apply->partitions, record->topic, record->partition);
    OW_INVARIANT(partition != NULL); /* an assignment comes before its records */
    const struct ow_position *position =
        partition->touched ? &partition->working : &partition->settled;
    return record->generation == apply->generation && record->offset >= position->next_offset;
}

/* Reads all that the events touch: first what they name, then what that makes necessary. */
enum ow_status ow_batch_read(struct ow_apply *apply, const struct ow_event *const *events,
                             size_t count, struct ow_err *err)
{
    ow_pulse_beat(apply->options.pulse, "reading the store");
    for (size_t i = 0; i < count; i++) {
        const struct ow_record *record = events[i]->record;
        if (!ow_batch_is_wanted(apply, record)) {
            continue;
        }
        ow_world_want(&apply->world, events[i]);
        const struct ow_partition *partition =
            ow_partitions_find(&apply->partitions, record->topic, record->partition);
        if (ow_position_sight(&partition->settled, record->offset) == OW_SIGHT_REREAD) {
            (void)ow_world_quarantine_at(&apply->world, record);
        }
    }
    OW_TRY(ow_store_read(apply->options.store, &apply->world, err));
    ow_batch_decode_parked(apply);
    for (size_t i = 0; i < count; i++) {
        if (ow_batch_is_wanted(apply, events[i]->record)) {
            ow_world_want_conflict(&apply->world, events[i]);
        }
    }
    OW_TRY(ow_store_read(apply->options.store, &apply->world, err));
    ow_pulse_beat_record(apply->options.pulse, "judging records");
    return OW_OK;
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
        "so nothing was done. To begin it anew: onceward positions adopt --topic " OW_SLICE_FMT
        "%s --why TEXT",
        OW_SLICE_ARG(record->topic), (int)record->partition, (long long)record->offset,
        OW_SLICE_ARG(record->topic), ow_position_restored_option(partition->restored));
}

/*
 * A record that was dropped because its offset is handled already; not the one that an assignment
 * fetches on purpose, to compare it with the anchor, and none of an older assignment.
 */
static bool is_same_offset(const struct ow_apply *apply, const struct ow_partition *partition,
                           const struct ow_record *record)
{
    const bool is_anchor =
        partition->check_anchor && record->offset == partition->settled.next_offset - 1;
    return record->generation == apply->generation && !is_anchor;
}

static void count_totals(struct ow_totals *totals, const struct ow_decision *decision, bool reread)
{
    totals->records++;
    if (reread) {
        totals->reread++;
    } else {
        totals->counts[decision->outcome]++;
        totals->other_channel += decision->other_channel;
    }
}

/* Judges one record with all that those before it in this world have left. */
enum ow_status ow_batch_judge(struct ow_apply *apply, const struct ow_event *event,
                              struct ow_judging judging, struct ow_totals *totals,
                              struct ow_err *err)
{
    const struct ow_record *record = event->record;
    struct ow_partition *partition =
        ow_partitions_find(&apply->partitions, record->topic, record->partition);
    if (!ow_batch_is_wanted(apply, record)) {
        totals->same_offset += is_same_offset(apply, partition, record);
        return check_anchor(apply, partition, record, err);
    }
    OW_INVARIANT(!record->for_anchor);
    partition->check_anchor = false;
    struct ow_position *position = ow_partition_touch(&apply->partitions, partition);
    judging.reread = ow_position_sight(position, record->offset) == OW_SIGHT_REREAD;
    judging.horizon_ms = event->event == NULL
                             ? INT64_MIN
                             : ow_store_horizon_ms(apply->options.store, event->machine,
                                                   event->event, apply->options.claim_skew_ms);
    struct ow_decision decision;
    ow_decide(&apply->world, event, &judging, &decision);
    ow_position_handled(position, &apply->partitions.work, record->offset, decision.outcome);
    partition->last_handled = record;
    partition->at_end = false;
    count_totals(totals, &decision, judging.reread);
    return OW_OK;
}

enum ow_status ow_batch_write(struct ow_apply *apply, struct ow_err *err)
{
    ow_pulse_beat(apply->options.pulse, "writing to the store");
    OW_FAILPOINT(BATCH_JUDGED);
    return ow_store_write(apply->options.store, &apply->world,
                          ow_partitions_changes(&apply->partitions, apply->decoder.hash_key), err);
}
