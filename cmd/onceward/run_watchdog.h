/*
 * run_watchdog: what `run` does about a thread that stands still: it says so and ends the process
 * with 75, for its supervisor to start it anew.
 *
 * Threads: opened by the main thread; the end comes from the watchdog's own. Failure: as
 * engine/watchdog.h.
 */
#ifndef OW_CMD_RUN_WATCHDOG_H
#define OW_CMD_RUN_WATCHDOG_H

#include "engine/watchdog.h"
#include "store/inflight.h"

/* limit_ms: limits.watchdog. *ret_watchdog stays NULL where that is 0. inflight: the notes that are
 * there when the end comes; borrowed, and changed by the main thread before one of its beats. */
enum ow_status ow_run_watchdog_open(int64_t limit_ms, struct ow_inflight *inflight,
                                    struct ow_watchdog **ret_watchdog, struct ow_err *err)
    OW_MUST_USE;

#endif
