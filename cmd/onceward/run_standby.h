/*
 * run_standby: `run --standby` while another process owns the store: what can be checked is checked
 * at once (or as soon as the store can be read), then the lock is tried some 20 times a second, and
 * nobody else is asked for anything.
 *
 * Threads: the main thread, before there are others. Failure: what `run` would end with.
 */
#ifndef OW_CMD_RUN_STANDBY_H
#define OW_CMD_RUN_STANDBY_H

#include "config.h"

#include <stdatomic.h>

struct ow_run_standby {
    const struct ow_config *config;
    const struct ow_kafka_options *source; /* what will be opened; without an instance_id */
    struct ow_clock clock;
    const atomic_bool *stop; /* set by a signal handler, whose signal ends a sleep */
    bool waits;              /* it has waited */
    bool is_checked;         /* all that can be, and it is fit */
    int64_t since_ns, said_ns;
    struct ow_err owner;      /* as it was said last */
    struct ow_err unanswered; /* why something could not be checked at the last look; "": it was */
    /* Why it waits no longer, where the store is not ours: a refusal, or OK where it was told to
     * stop. */
    enum ow_status status;
    struct ow_err err;
};

/* struct ow_store_options.wait_owner; context is a struct ow_run_standby. */
bool ow_run_standby_wait(const struct ow_err *why, void *context);
/* How long it has waited. */
int64_t ow_run_standby_waited_ms(const struct ow_run_standby *standby);

#endif
