#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t system_now_ms(void *context)
{
    (void)context;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_elapsed_ns(void *context)
{
    (void)context;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

struct ow_clock ow_clock_system(void)
{
    return (struct ow_clock){
        .now_ms = system_now_ms, .elapsed_ns = system_elapsed_ns, .context = NULL};
}

static int64_t manual_now_ms(void *context)
{
    const struct ow_clock_manual *manual = context;
    return manual->now_ms;
}

static int64_t manual_elapsed_ns(void *context)
{
    const struct ow_clock_manual *manual = context;
    return manual->elapsed_ns;
}

struct ow_clock ow_clock_manual(struct ow_clock_manual *manual)
{
    return (struct ow_clock){
        .now_ms = manual_now_ms, .elapsed_ns = manual_elapsed_ns, .context = manual};
}
