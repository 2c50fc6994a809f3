/*
 * run_progress: how far `run` is, on stderr: a line that is redrawn on a terminal, a log line now
 * and then elsewhere.
 *
 * Threads: the poll thread.
 */
#ifndef OW_CMD_RUN_PROGRESS_H
#define OW_CMD_RUN_PROGRESS_H

#include "engine/consume.h"

struct ow_run_progress {
    bool terminal;
    bool shown;
    int64_t log_ns;         /* when the last log line was */
    int64_t records_before; /* at the last log line */
    double rate;            /* records a second, smoothed */
    int64_t rate_ns, rate_records;
};

void ow_run_progress_init(struct ow_run_progress *progress);
/* struct ow_consume_options.progress; context is a struct ow_run_progress. */
void ow_run_progress_show(const struct ow_progress *state, void *context);
void ow_run_progress_done(struct ow_run_progress *progress);

#endif
