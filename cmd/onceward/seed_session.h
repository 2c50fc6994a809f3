/*
 * seed_session: what `claims seed` and `seed entities` share: the store, as its owner, and what is
 * said of bad rows and at the end.
 *
 * Threads: the main thread. Failure: TEMPORARY while a worker owns the store; else as the store's.
 */
#ifndef OW_CMD_SEED_SESSION_H
#define OW_CMD_SEED_SESSION_H

#include "config.h"
#include "engine/seed.h"
#include "output.h"
#include "read_progress.h"

struct ow_seed_session {
    const struct ow_invocation *invocation;
    struct ow_config config;
    struct ow_store *store;
    struct ow_apply apply;
    struct ow_arena arena; /* of one batch */
    struct ow_read_progress progress;
    int64_t bad;
};

/* Call _close also after a failure. */
enum ow_status ow_seed_session_open(struct ow_seed_session *session,
                                    const struct ow_invocation *invocation, struct ow_err *err)
    OW_MUST_USE;
void ow_seed_session_close(struct ow_seed_session *session);

/*
 * A bad row. OK under --skip-bad: told and counted. Else FAILED with what is wrong; written: how
 * many rows before it are done with.
 */
enum ow_status ow_seed_session_bad(struct ow_seed_session *session, const char *name,
                                   int64_t number, const char *problem, int64_t written,
                                   struct ow_err *err) OW_MUST_USE;

/* A count of the summary; the list ends with a name that is NULL. */
struct ow_seed_count {
    const char *name;
    int64_t count;
};
void ow_seed_session_print(enum ow_output output, const struct ow_seed_count *counts);

#endif
