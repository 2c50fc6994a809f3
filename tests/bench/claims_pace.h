/*
 * claims_pace: how fast something grows at about 1 million and at its end, and what it tells of
 * that on stderr.
 *
 * Threads: one. Memory: values.
 */
#ifndef OW_BENCH_CLAIMS_PACE_H
#define OW_BENCH_CLAIMS_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* Where it is measured: from, and over how many. */
struct claims_window {
    int64_t from, count;
};
struct claims_window claims_window_1m(int64_t n);
struct claims_window claims_window_n(int64_t n);
bool claims_window_has(const struct claims_window *window, int64_t number);

struct claims_speed {
    int64_t count;
    double seconds, cpu;
};
double claims_speed_rate(const struct claims_speed *speed); /* a second */
double claims_speed_cpu(const struct claims_speed *speed);  /* µs each */

struct claims_pace {
    struct claims_window window_1m, window_n;
    struct claims_speed at_1m, at_n, told; /* told: since the last line */
    int64_t told_every, number;
    double now, cpu;
};
void claims_pace_begin(struct claims_pace *pace, int64_t n);
/* There are so many now. */
void claims_pace_mark(struct claims_pace *pace, int64_t number, const char *what);

#endif
