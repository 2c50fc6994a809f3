/*
 * claims_tool: clocks, samples, and what memory there is, for the parts of `./dev bench claims`.
 *
 * Threads: one. Memory: from malloc; the process ends where there is none.
 */
#ifndef OW_BENCH_CLAIMS_TOOL_H
#define OW_BENCH_CLAIMS_TOOL_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ends the process where a call failed: a benchmark has nothing to save. */
void claims_tool_must(enum ow_status status, const struct ow_err *err);
/* Likewise where what was measured is not what should have been. */
void claims_tool_check(bool holds, const char *what);

double claims_tool_now(void); /* seconds */
double claims_tool_cpu(void); /* seconds of this process */

/* A number as its 64 random-looking bits; different ones for different numbers. */
uint64_t claims_tool_mix(uint64_t number);

/* Durations in seconds. Zeroed: none. */
struct claims_samples {
    double *list;
    size_t count, capacity;
};
void claims_samples_add(struct claims_samples *samples, double seconds);
/* In ms, of a share from 0 to 1; 0 without any. Sorts. */
double claims_samples_ms(struct claims_samples *samples, double share);
void claims_samples_done(struct claims_samples *samples);

/* What malloc has given out and nobody given back, without what SQLite has. */
double claims_tool_heap(void);

#endif
