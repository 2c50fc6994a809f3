/*
 * model_ledger: what the model says of each offset of a partition. An offset has an outcome of its
 * own, which the runs of the store's ledger must come to.
 *
 * Threads: one. Memory: the model's. Private to the model.
 */
#ifndef OW_SIMULATION_MODEL_LEDGER_H
#define OW_SIMULATION_MODEL_LEDGER_H

#include "model.h"

/* Whether a record there has had no outcome yet: behind all others, or skipped. */
bool ow_model_ledger_is_new(const struct ow_model_partition *partition, int64_t offset);
/* No record is from the position up to an offset: what lies between joins what is before it. */
void ow_model_ledger_pass(struct ow_model_partition *partition, int64_t to);
/* A new record, the next one at or behind the position. */
void ow_model_ledger_enter(struct ow_model_partition *partition, int64_t offset,
                           enum ow_outcome outcome);
void ow_model_ledger_move(struct ow_model_partition *partition, int64_t offset);

#endif
