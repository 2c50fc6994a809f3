/*
 * claims_seed: `onceward claims seed`: claims that another system has taken, without their effects.
 *
 * Threads: the main thread. Failure: said on stderr; the exit code is returned.
 */
#ifndef OW_CMD_CLAIMS_SEED_H
#define OW_CMD_CLAIMS_SEED_H

#include "seed_session.h"

struct ow_claims_seed {
    struct ow_seed_session session;
    struct ow_seed_claim *list; /* the next transaction */
    size_t count;
    int64_t read, claimed, known, expired, filtered;
    int64_t written; /* rows that are done with */
};

enum { OW_CLAIMS_SEED_BATCH = 10000 };

int ow_claims_seed(const struct ow_invocation *invocation, enum ow_output output);

/* Adds a claim, which is written with others when there are enough. */
enum ow_status ow_claims_seed_add(struct ow_claims_seed *seed, const struct ow_seed_claim *claim,
                                  struct ow_err *err) OW_MUST_USE;
/* Writes what there is. */
enum ow_status ow_claims_seed_flush(struct ow_claims_seed *seed, struct ow_err *err) OW_MUST_USE;

/* claims_seed_topic.c: the records below the place where the worker will begin. */
enum ow_status ow_claims_seed_topic(struct ow_claims_seed *seed, struct ow_err *err) OW_MUST_USE;

#endif
