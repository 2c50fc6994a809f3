/*
 * poison: judging a batch again that the store refused because of one record, so that only the
 * guilty one is quarantined. Private to lib/engine.
 */
#ifndef OW_ENGINE_POISON_H
#define OW_ENGINE_POISON_H

#include "engine/apply.h"

/* How a record is judged. */
enum ow_manner {
    OW_MANNER_SUSPECT,    /* as it is; where the store refuses it, whose fault it is is found */
    OW_MANNER_ACCUSED,    /* likewise, and what it wakes is tried one by one before */
    OW_MANNER_QUARANTINED /* it is poison */
};
/*
 * One record under a savepoint of its own, within the transaction. why: QUARANTINED: the detail;
 * ACCUSED: that of the parked records that are convicted.
 */
enum ow_status ow_poison_judge_one(struct ow_apply *apply, const struct ow_event *event,
                                   enum ow_manner manner, const char *why, struct ow_totals *totals,
                                   struct ow_err *err) OW_MUST_USE;

/* Each record under a savepoint of its own, re-decided and not re-written; then COMMIT. */
enum ow_status ow_poison_judge_one_by_one(struct ow_apply *apply,
                                          const struct ow_event *const *events, size_t count,
                                          struct ow_totals *totals, struct ow_err *err) OW_MUST_USE;

#endif
