/*
 * clock: the time of the simulated host. Elapsed time only grows; the wall clock also jumps.
 *
 * Threads: one. Memory: static.
 */
#ifndef OW_SIMULATION_CLOCK_H
#define OW_SIMULATION_CLOCK_H

#include "base/clock.h"

/* The port that the worker gets. */
struct ow_clock ow_sim_clock(void);
void ow_sim_clock_reset(int64_t now_ms);
/* Time passes, for both. */
void ow_sim_clock_pass_ns(int64_t ns);
/* Somebody sets the wall clock. */
void ow_sim_clock_jump_ms(int64_t by_ms);
/* How far the wall clock is ahead of the true time, by which producers date their messages. */
int64_t ow_sim_clock_wrong_ms(void);
int64_t ow_sim_clock_now_ms(void);
int64_t ow_sim_clock_elapsed_ns(void);

/* Called whenever the worker asks what the wall clock says; NULL: nobody is. */
void ow_sim_clock_watch(void (*watch)(void *context), void *context);

/* What the wall clock said since _begin_window. */
struct ow_sim_window {
    int64_t low_ms, high_ms;
};
void ow_sim_clock_begin_window(void);
struct ow_sim_window ow_sim_clock_window(void);

#endif
