/*
 * model_claims: what the model knows of claims: their retentions, and the horizon before which a
 * free key may be one that was pruned. How far the horizon went is the store's choice, within the
 * limits that observe_claims.c holds it to; what follows from it is decided here.
 *
 * Threads: one. Memory: the model's. Private to the model.
 */
#ifndef OW_SIMULATION_MODEL_CLAIMS_H
#define OW_SIMULATION_MODEL_CLAIMS_H

#include "model.h"

/* The message takes its key. True: it is judged on; false: it is older than the horizon. */
bool ow_model_claim_take(struct ow_model *model, struct ow_model_claim *claim,
                         const struct ow_logged *logged);
/* A duplicate: how old is its claim? */
void ow_model_claim_met(const struct ow_model_claim *claim);
/* A message's own time, else Kafka's. */
int64_t ow_model_time_of(const struct ow_message *message);

#endif
