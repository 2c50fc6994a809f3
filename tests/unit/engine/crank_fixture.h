/*
 * crank_fixture: a worker whose decode and apply threads are the test's own: what was submitted
 * lies there until the test turns the crank. So each step is known that a race of threads decides
 * otherwise.
 *
 * Threads: one at a time. Memory: static; one worker at a time.
 */
#ifndef OW_TESTS_UNIT_CRANK_FIXTURE_H
#define OW_TESTS_UNIT_CRANK_FIXTURE_H

#include "engine/worker_internal.h"

struct ow_crank {
    struct ow_worker *worker;
    int64_t now_ms;
    _Atomic int64_t elapsed_ns;
    int64_t look_ns; /* how long each look at the worker's clock takes */
    _Atomic int64_t looks;
};

extern struct ow_crank ow_crank;

/* What a worker must be started with, without threads, before it is taken. */
struct ow_clock ow_crank_clock(void);
void ow_crank_take(struct ow_worker *worker);

/* Once around the apply thread's loop: one batch of what is there, and what is due without it. */
void ow_crank_turn(void);
/* Until nothing is left, or the worker has failed. */
void ow_crank_turn_all(void);
/* How many chunks are on their way. */
uint64_t ow_crank_left(void);

#endif
