#include "clock.h"

static struct ow_clock_manual host;
static int64_t rest_ns; /* of a millisecond, which the wall clock has not counted yet */

struct ow_clock ow_sim_clock(void)
{
    return ow_clock_manual(&host);
}

void ow_sim_clock_reset(int64_t now_ms)
{
    host = (struct ow_clock_manual){.now_ms = now_ms, .elapsed_ns = 1000000000};
    rest_ns = 0;
}

void ow_sim_clock_pass_ns(int64_t ns)
{
    host.elapsed_ns += ns;
    rest_ns += ns;
    host.now_ms += rest_ns / 1000000;
    rest_ns %= 1000000;
}

void ow_sim_clock_jump_ms(int64_t by_ms)
{
    host.now_ms += by_ms;
}

int64_t ow_sim_clock_now_ms(void)
{
    return host.now_ms;
}

int64_t ow_sim_clock_elapsed_ns(void)
{
    return host.elapsed_ns;
}
