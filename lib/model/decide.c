#include "model/decide.h"

#include "base/contract.h"
#include "model/conflict.h"
#include "model/judge.h"

static bool is_poison(const struct ow_judging *judging, int64_t id)
{
    for (size_t i = 0; i < judging->poison_parked_count; i++) {
        if (judging->poison_parked[i] == id) {
            return true;
        }
    }
    return false;
}

/* Judges one parked record again; true where it is parked no longer. */
static bool wake_one(struct ow_world *world, struct ow_parked *parked,
                     const struct ow_judging *judging)
{
    const struct ow_subject subject = {.event = parked->event,
                                       .record = &parked->record,
                                       .entity = parked->entity,
                                       .ref = parked->id,
                                       .woken = true};
    struct ow_decision decision = {0};
    if (is_poison(judging, parked->id)) {
        (void)ow_judge_quarantine(world, &subject, OW_REASON_POISON, judging->poison_detail,
                                  &decision);
    } else if (parked->event->verdict != OW_OUTCOME_APPLIED ||
               parked->event->machine != parked->entity->machine ||
               !ow_slice_equal(parked->event->entity_id, parked->entity->id)) {
        return false; /* a newer machine file reads it otherwise: it waits for its deadline, where
                         people see it */
    } else if (ow_judge(world, &subject, &decision) == OW_OUTCOME_PARKED) {
        return false;
    }
    parked->gone = true;
    parked->entity->parked_count--;
    return true;
}

/* After a transition: all parked of the entity, in whole passes in order of id, until a pass
 * changes nothing. */
static void wake(struct ow_world *world, struct ow_entity *entity, const struct ow_judging *judging)
{
    bool changed = true;
    while (changed && entity->parked_count > 0) {
        changed = false;
        for (struct ow_parked *parked = entity->parked; parked != NULL; parked = parked->next) {
            if (!parked->gone && wake_one(world, parked, judging)) {
                changed = true;
            }
        }
    }
}

/* Same key, other fingerprint. The same conflict met again is the same row, seen once more. */
static void conflict(struct ow_world *world, const struct ow_event *event,
                     const struct ow_claim *claim)
{
    struct ow_quarantine *row = ow_world_conflict(world, claim->ref, event->fingerprint);
    OW_INVARIANT(row->loaded || claim->fresh);
    if (row->id != 0) {
        row->seen++;
        return;
    }
    struct ow_quarantine *fresh = ow_judge_add_quarantine(
        world, world->next_ref++, OW_REASON_CONFLICT,
        ow_conflict_detail(world, event, claim, row->first), event, event->record);
    fresh->conflict_ref = claim->ref;
    memcpy(fresh->conflict_fingerprint, event->fingerprint, OW_FINGERPRINT_BYTES);
    ow_world_replace_conflict(world, fresh);
}

/* Step 5 where the key is taken. */
static void meet_claim(struct ow_world *world, const struct ow_event *event,
                       const struct ow_claim *claim, struct ow_decision *decision)
{
    if (ow_world_is_conflict(claim, event)) {
        decision->outcome = OW_OUTCOME_QUARANTINED;
        decision->reason = OW_REASON_CONFLICT;
        conflict(world, event, claim);
        return;
    }
    decision->outcome = OW_OUTCOME_DUPLICATE;
    decision->other_channel = claim->channel != OW_CHANNEL_UNKNOWN &&
                              claim->channel != ow_record_channel(event->record->topic);
    ow_judge_add_sighting(world, claim->ref, decision->other_channel ? "other_channel" : "same_id",
                          event->record);
}

static void take_claim(struct ow_world *world, const struct ow_event *event, struct ow_claim *claim)
{
    claim->taken = claim->fresh = true;
    claim->ref = world->next_ref++;
    claim->retention_ms = event->event->claim->retention_ms; /* another type may have wanted it */
    claim->timestamp_ms = event->record->timestamp_ms;
    claim->channel = ow_record_channel(event->record->topic);
    memcpy(claim->fingerprint, event->fingerprint, OW_FINGERPRINT_BYTES);
}

/* Steps 5 to 9. */
static void judge_claimable(struct ow_world *world, const struct ow_event *event,
                            const struct ow_judging *judging, struct ow_decision *decision)
{
    struct ow_claim *claim = ow_world_claim(world, event->key, event->event->claim->retention_ms);
    OW_INVARIANT(claim->loaded);
    if (claim->taken) {
        meet_claim(world, event, claim, decision);
        return;
    }
    take_claim(world, event, claim);
    decision->ref = claim->ref;
    const struct ow_subject subject = {.event = event,
                                       .record = event->record,
                                       .entity =
                                           ow_world_entity(world, event->machine, event->entity_id),
                                       .ref = claim->ref};
    OW_INVARIANT(subject.entity->loaded);
    if (judging->poison) {
        decision->outcome = ow_judge_quarantine(world, &subject, OW_REASON_POISON,
                                                judging->poison_detail, decision);
        return;
    }
    if (event->time_ms < judging->horizon_ms) {
        decision->outcome =
            ow_judge_quarantine(world, &subject, OW_REASON_EXPIRED,
                                "older than the horizon: its claim may have been pruned", decision);
        return;
    }
    decision->outcome = ow_judge(world, &subject, decision);
    if (decision->outcome == OW_OUTCOME_APPLIED) {
        wake(world, subject.entity, judging);
    }
}

/* The row in which the owner of a claim lies, where it came from that very offset: as it was read,
 * or as this batch has made it. */
static struct ow_quarantine *row_of_owner(struct ow_world *world, const struct ow_event *event,
                                          int64_t ref, struct ow_quarantine *at_offset)
{
    if (at_offset->id == ref) {
        return at_offset;
    }
    struct ow_quarantine *row = world->quarantine;
    while (row != NULL && row->id != ref) {
        row = row->next;
    }
    return row != NULL && row->record->partition == event->record->partition &&
                   row->record->offset == event->record->offset &&
                   ow_slice_equal(row->record->topic, event->record->topic)
               ? row
               : NULL;
}

/* Where the key of a re-read record is taken, as it should be. */
static void meet_claim_again(struct ow_world *world, const struct ow_event *event,
                             const struct ow_claim *claim, struct ow_quarantine *at_offset,
                             struct ow_decision *decision)
{
    struct ow_quarantine *row = row_of_owner(world, event, claim->ref, at_offset);
    if (ow_world_is_conflict(claim, event)) {
        row = ow_world_conflict(world, claim->ref, event->fingerprint);
        OW_INVARIANT(row->loaded || claim->fresh);
        *decision =
            (struct ow_decision){.outcome = OW_OUTCOME_QUARANTINED, .reason = OW_REASON_CONFLICT};
    }
    if (row != NULL && row->id != 0) {
        row->seen++;
    }
}

/*
 * A record below the high mark has had its outcome, whatever a newer machine file or a pruned claim
 * would make of it now: a replay changes nothing but how often it was seen in quarantine.
 */
static void see_again(struct ow_world *world, const struct ow_event *event,
                      struct ow_decision *decision)
{
    struct ow_quarantine *at_offset = ow_world_quarantine_at(world, event->record);
    OW_INVARIANT(at_offset->loaded);
    *decision = (struct ow_decision){.outcome = OW_OUTCOME_DUPLICATE};
    /* A row that owns no claim is found again by its offset, for the offset is all that it has. */
    if (at_offset->id != 0 && !ow_reason_owns(at_offset->reason, at_offset->unread)) {
        at_offset->seen++;
        *decision =
            (struct ow_decision){.outcome = OW_OUTCOME_QUARANTINED, .reason = at_offset->reason};
        return;
    }
    if (event->verdict != OW_OUTCOME_APPLIED) {
        return;
    }
    const struct ow_claim *claim =
        ow_world_claim(world, event->key, event->event->claim->retention_ms);
    OW_INVARIANT(claim->loaded);
    if (claim->taken) {
        meet_claim_again(world, event, claim, at_offset, decision);
    }
}

void ow_decide(struct ow_world *world, const struct ow_event *event,
               const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    *ret_decision = (struct ow_decision){.outcome = event->verdict, .reason = event->reason};
    if (judging->reread) {
        see_again(world, event, ret_decision);
    } else if (event->verdict == OW_OUTCOME_APPLIED) {
        judge_claimable(world, event, judging, ret_decision);
    } else if (event->verdict == OW_OUTCOME_QUARANTINED) {
        (void)ow_judge_add_quarantine(world, world->next_ref++, event->reason, event->detail, event,
                                      event->record);
    }
}

void ow_decide_park_timeout(struct ow_world *world, struct ow_parked *parked)
{
    OW_REQUIRE(!parked->gone);
    const struct ow_subject subject = {.event = parked->event,
                                       .record = &parked->record,
                                       .entity = parked->entity,
                                       .ref = parked->id,
                                       .woken = true};
    struct ow_decision decision = {0};
    (void)ow_judge_quarantine(world, &subject, OW_REASON_PARK_TIMEOUT,
                              "what it waited for did not come in time", &decision);
    parked->gone = true;
    parked->entity->parked_count--;
}

bool ow_decide_seed_claim(struct ow_world *world, const struct ow_seed_claim *seed)
{
    struct ow_claim *claim = ow_world_claim(world, seed->key, seed->retention_ms);
    OW_INVARIANT(claim->loaded);
    if (claim->taken) {
        return false;
    }
    claim->taken = claim->fresh = true;
    claim->ref = world->next_ref++;
    claim->retention_ms = seed->retention_ms;
    memcpy(claim->fingerprint, seed->fingerprint, OW_FINGERPRINT_BYTES);
    /* The row that owns the claim, as a stale one's does. */
    ow_judge_add_sighting(world, claim->ref, OW_SEED_NAME, &seed->record);
    return true;
}

/* The rows that it brings. False where one is there already. */
static bool rows_are_free(struct ow_world *world, const struct ow_seed_entity *seed)
{
    for (const struct ow_seed_row *row = seed->rows; row != NULL; row = row->next) {
        const struct ow_row *stored = ow_world_row(world, seed->machine, row->table, row->key);
        OW_INVARIANT(stored->loaded);
        if (stored->exists) {
            return false;
        }
    }
    return true;
}

enum ow_seeded ow_decide_seed_entity(struct ow_world *world, const struct ow_seed_entity *seed)
{
    struct ow_entity *entity = ow_world_entity(world, seed->machine, seed->id);
    OW_INVARIANT(entity->loaded);
    if (entity->version > 0) {
        return OW_SEEDED_KNOWN;
    }
    if (!rows_are_free(world, seed)) {
        return OW_SEEDED_ROW_TAKEN;
    }
    ow_judge_seed(world, entity, seed);
    wake(world, entity, &(struct ow_judging){.horizon_ms = INT64_MIN});
    return OW_SEEDED;
}
