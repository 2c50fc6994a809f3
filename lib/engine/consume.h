/*
 * consume: the poll loop: records from the source into the worker, durable offsets back to the
 * group, assignments, revocations, back-pressure, the end.
 *
 * Threads: the caller's, which is the poll thread. Memory: the call's.
 * Failure: the statuses of the source and of the worker; UNSAFE where a position or the group is
 * not what it should be.
 */
#ifndef OW_ENGINE_CONSUME_H
#define OW_ENGINE_CONSUME_H

#include "engine/worker.h"

#include <stdatomic.h>

/* kafka.start: where a topic's first start is. */
enum ow_start { OW_START_EARLIEST, OW_START_LATEST, OW_START_TIME };

struct ow_progress {
    struct ow_totals totals;
    int64_t done, goal; /* --until-end: records' offsets passed, of how many; goal 0 otherwise or
                           not known yet */
    bool assigned;      /* partitions are ours */
    int64_t elapsed_ns;
    bool paused, retrying;
};

struct ow_consume_options {
    struct ow_source *source;
    struct ow_worker *worker;
    const struct ow_machines *machines;
    struct ow_clock clock;
    const char *store_id;
    int64_t epoch;
    enum ow_start start;
    int64_t start_time_ms;
    bool skips_honoured;
    bool restored;          /* --restored: the file is known to be an older copy */
    int64_t restored_epoch; /* of the file, see ow_store_restored_epoch */
    bool until_end;
    int64_t
        wait_broker_ms; /* --until-end: how long the first assignment may take; then TEMPORARY */
    const atomic_bool *stop;      /* set by a signal handler */
    struct ow_watchdog *watchdog; /* told what the poll thread does; NULL: nobody is */
    void (*progress)(const struct ow_progress *progress,
                     void *context); /* about four times a second; NULL: nobody asks */
    void *progress_context;
};

/* Runs until stop, until the end, or until something fails. The durable offsets are committed when
 * it returns OK. */
enum ow_status ow_consume(const struct ow_consume_options *options, struct ow_err *err) OW_MUST_USE;

#endif
