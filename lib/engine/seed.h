/*
 * seed: takes over what another system has done before the worker is switched on: claims without
 * their effects, entities as they are.
 *
 * One call is one transaction through the same steps as a batch of records, so that buckets, seals
 * and numbers are kept by the same code. Threads: one, the owner of the store. Memory: what is
 * given is the caller's and used within the call only. Failure: as ow_apply_batch; nothing of the
 * call is left behind, and it can be made again. What is there already is left as it is, so
 * everything may be given twice.
 */
#ifndef OW_ENGINE_SEED_H
#define OW_ENGINE_SEED_H

#include "engine/apply.h"

/* *ret_claimed: how many were taken over; the others were known. */
enum ow_status ow_seed_claims(struct ow_apply *apply, const struct ow_seed_claim *list,
                              size_t count, size_t *ret_claimed, struct ow_err *err) OW_MUST_USE;

/*
 * ret_seeded: by list, what became of each: SEEDED or KNOWN. What is parked under an entity is
 * judged in the same transaction. RECORD_REFUSED: a row that some entity brings is taken, or the
 * store refuses the entity or what it wakes (a trigger, a constraint): given one by one, the guilty
 * one is told.
 */
enum ow_status ow_seed_entities(struct ow_apply *apply, const struct ow_seed_entity *list,
                                size_t count, enum ow_seeded *ret_seeded, struct ow_err *err)
    OW_MUST_USE;

#endif
