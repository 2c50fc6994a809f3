#include "clock.h"

#include <stddef.h>

static struct ow_clock_manual host;
static int64_t rest_ns;  /* of a millisecond, which the wall clock has not counted yet */
static int64_t wrong_ms; /* how far the wall clock was set away from the true time */
static struct ow_sim_window window;
static void (*watch)(void *context);
static void *watch_context;

static int64_t tell_now_ms(void *context)
{
    (void)context;
    if (watch != NULL) {
        watch(watch_context);
    }
    return host.now_ms;
}

static int64_t tell_elapsed_ns(void *context)
{
    (void)context;
    return host.elapsed_ns;
}

struct ow_clock ow_sim_clock(void)
{
    return (struct ow_clock){.now_ms = tell_now_ms, .elapsed_ns = tell_elapsed_ns};
}

void ow_sim_clock_watch(void (*new_watch)(void *context), void *context)
{
    watch = new_watch;
    watch_context = context;
}

static void widen(void)
{
    window.low_ms = host.now_ms < window.low_ms ? host.now_ms : window.low_ms;
    window.high_ms = host.now_ms > window.high_ms ? host.now_ms : window.high_ms;
}

void ow_sim_clock_begin_window(void)
{
    window = (struct ow_sim_window){.low_ms = host.now_ms, .high_ms = host.now_ms};
}

struct ow_sim_window ow_sim_clock_window(void)
{
    return window;
}

void ow_sim_clock_reset(int64_t now_ms)
{
    host = (struct ow_clock_manual){.now_ms = now_ms, .elapsed_ns = 1000000000};
    rest_ns = 0;
    wrong_ms = 0;
    ow_sim_clock_begin_window();
}

void ow_sim_clock_pass_ns(int64_t ns)
{
    host.elapsed_ns += ns;
    rest_ns += ns;
    host.now_ms += rest_ns / 1000000;
    rest_ns %= 1000000;
    widen();
}

void ow_sim_clock_jump_ms(int64_t by_ms)
{
    host.now_ms += by_ms;
    wrong_ms += by_ms;
    widen();
}

int64_t ow_sim_clock_wrong_ms(void)
{
    return wrong_ms;
}

int64_t ow_sim_clock_now_ms(void)
{
    return host.now_ms;
}

int64_t ow_sim_clock_elapsed_ns(void)
{
    return host.elapsed_ns;
}
