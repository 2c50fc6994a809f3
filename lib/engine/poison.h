/*
 * poison: judging a batch again that the store refused because of one record, so that only the
 * guilty one is quarantined. Private to lib/engine.
 */
#ifndef OW_ENGINE_POISON_H
#define OW_ENGINE_POISON_H

#include "engine/apply.h"

/* Each record under a savepoint of its own, re-decided and not re-written; then COMMIT. */
enum ow_status ow_poison_judge_one_by_one(struct ow_apply *apply,
                                          const struct ow_event *const *events, size_t count,
                                          struct ow_totals *totals, struct ow_err *err) OW_MUST_USE;

#endif
