/*
 * jobs: many seeds in several processes, so that a broken contract (an abort) ends one process and
 * not the whole, and both cores work.
 *
 * Threads: the caller's; memory is shared with the processes that are forked.
 */
#ifndef OW_SIMULATION_JOBS_H
#define OW_SIMULATION_JOBS_H

#include "counters.h"
#include "run.h"

enum { OW_JOBS_MAX = 64, OW_JOBS_FAILURES_MAX = 16 };

struct ow_jobs_options {
    uint64_t from, seeds;
    int jobs;
    int actions;     /* in a plan, about; 0: the seed says */
    int twice_every; /* each so-manieth seed is run twice: both must be the same; 0: none */
    bool days;       /* only seeds of days */
    bool first;      /* stops at the first failure */
    bool terminal;   /* stderr is one: its line of progress changes five times a second, not a new
                        one a minute */
};

struct ow_failure {
    uint64_t seed;
    struct ow_result result;
};

struct ow_jobs_total {
    uint64_t seeds;
    int64_t steps, records, batches, crashes, restarts;
    uint64_t sometimes[OW_SOMETIMES_COUNT];
    struct ow_failure failures[OW_JOBS_FAILURES_MAX];
    int failure_count;
};

void ow_jobs_run(const struct ow_jobs_options *options, struct ow_jobs_total *ret_total);
/* One plan in a process of its own; an abort is a failure like the others. quiet: what the process
 * says is thrown away. */
void ow_jobs_run_one(const struct ow_plan *plan, bool quiet, struct ow_result *ret_result);
/* Once per process. */
void ow_jobs_set_up(void);

#endif
