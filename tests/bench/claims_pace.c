#include "claims_pace.h"

#include "claims_tool.h"

#include <stdio.h>

enum { MILLION = 1000000, LARGE = 10000000 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

struct claims_window claims_window_1m(int64_t n)
{
    const int64_t count = least(MILLION, n / 4);
    return (struct claims_window){least(MILLION - count / 2, n - count), count};
}

/* With many claims merges of filters are rare and large: a tenth of all has its share of them. */
struct claims_window claims_window_n(int64_t n)
{
    const int64_t count = n / 10 > MILLION ? n / 10 : least(MILLION, n / 4);
    return (struct claims_window){n - count, count};
}

bool claims_window_has(const struct claims_window *window, int64_t number)
{
    return number >= window->from && number < window->from + window->count;
}

double claims_speed_rate(const struct claims_speed *speed)
{
    return speed->seconds > 0 ? (double)speed->count / speed->seconds : 0;
}

double claims_speed_cpu(const struct claims_speed *speed)
{
    return speed->count > 0 ? 1e6 * speed->cpu / (double)speed->count : 0;
}

void claims_pace_begin(struct claims_pace *pace, int64_t n)
{
    *pace = (struct claims_pace){.window_1m = claims_window_1m(n),
                                 .window_n = claims_window_n(n),
                                 .told_every = n < LARGE ? n / 10 : MILLION,
                                 .now = claims_tool_now(),
                                 .cpu = claims_tool_cpu()};
}

static void add(struct claims_speed *speed, const struct claims_speed *more)
{
    speed->count += more->count;
    speed->seconds += more->seconds;
    speed->cpu += more->cpu;
}

void claims_pace_mark(struct claims_pace *pace, int64_t number, const char *what)
{
    const double now = claims_tool_now();
    const double cpu = claims_tool_cpu();
    const struct claims_speed more = {number - pace->number, now - pace->now, cpu - pace->cpu};
    add(&pace->told, &more);
    if (claims_window_has(&pace->window_1m, pace->number)) {
        add(&pace->at_1m, &more);
    }
    if (claims_window_has(&pace->window_n, pace->number)) {
        add(&pace->at_n, &more);
    }
    pace->number = number;
    pace->now = now;
    pace->cpu = cpu;
    if (pace->told.count >= pace->told_every) {
        (void)fprintf(stderr, "%10lld %-20s %8.0f/s %6.2f us cpu\n", (long long)number, what,
                      claims_speed_rate(&pace->told), claims_speed_cpu(&pace->told));
        pace->told = (struct claims_speed){0};
    }
}
