/*
 * clock: the port through which time comes in. lib/model never sees it.
 *
 * Wall time is int64_t milliseconds since 1970 (Kafka's unit) and may jump; elapsed time is
 * nanoseconds and does not. Threads: now functions may be called from any thread.
 */
#ifndef OW_BASE_CLOCK_H
#define OW_BASE_CLOCK_H

#include <stdint.h>

struct ow_clock {
    int64_t (*now_ms)(void *context);
    int64_t (*elapsed_ns)(void *context);
    void *context;
};

/* The operating system's clock. */
struct ow_clock ow_clock_system(void);

/* The in-memory twin: time stands still until it is moved. */
struct ow_clock_manual {
    int64_t now_ms;
    int64_t elapsed_ns;
};
struct ow_clock ow_clock_manual(struct ow_clock_manual *manual);

static inline int64_t ow_clock_now_ms(const struct ow_clock *clock)
{
    return clock->now_ms(clock->context);
}

static inline int64_t ow_clock_elapsed_ns(const struct ow_clock *clock)
{
    return clock->elapsed_ns(clock->context);
}

#endif
