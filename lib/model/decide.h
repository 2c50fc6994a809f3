/*
 * decide: steps 5 to 9 of DESIGN 3, and wake: what becomes of an event, given the world that those
 * before it left.
 *
 * Pure: no I/O, no clock, no allocation but the world's arena. Threads: the apply thread's.
 * Everything that the event touches must have been wanted and loaded (world.h): anything else is a
 * broken contract.
 */
#ifndef OW_MODEL_DECIDE_H
#define OW_MODEL_DECIDE_H

#include "model/seed_entity.h"
#include "model/world.h"

struct ow_judging {
    int64_t horizon_ms; /* of the event's retention class; INT64_MIN: none */
    bool reread;        /* below the partition's high mark: it has had its outcome */
    bool poison;        /* the store refused its effects: quarantine it, whatever its cell says */
    const int64_t
        *poison_parked; /* likewise, of the parked records that it wakes those with these ids */
    size_t poison_parked_count;
    const char *poison_detail;
};

struct ow_decision {
    enum ow_outcome outcome;
    enum ow_reason reason;
    int64_t ref;        /* 0: it drew none */
    bool other_channel; /* duplicate: the first came through Kafka and this over HTTP, or the
                           reverse */
};

/* Judges one event and changes the world accordingly, wakes included. */
void ow_decide(struct ow_world *world, const struct ow_event *event,
               const struct ow_judging *judging, struct ow_decision *ret_decision);

/* A parked record whose deadline has passed: moves it to quarantine as park_timeout. */
void ow_decide_park_timeout(struct ow_world *world, struct ow_parked *parked);

/* Takes a claim over, as one that nothing is to be done for any more. False: it is taken. */
bool ow_decide_seed_claim(struct ow_world *world, const struct ow_seed_claim *seed);

enum ow_seeded { OW_SEEDED, OW_SEEDED_KNOWN, OW_SEEDED_ROW_TAKEN };
/*
 * Takes an entity over: version 1 with a history row of its own, and wakes what is parked under it.
 * KNOWN: there is one; ROW_TAKEN: there is a row with the key of one of its own. Then nothing has
 * changed.
 */
enum ow_seeded ow_decide_seed_entity(struct ow_world *world, const struct ow_seed_entity *seed);

#endif
