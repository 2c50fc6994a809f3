#include "plan_maker.h"
#include "run.h"

/*
 * Seeds of days. Messages are dated when they are produced, by what the clock says then: what was
 * drawn are differences, so that a plan that was shrunk still meets the same cases.
 */

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

/* A share of the machine's usual retention, or a time that has nothing to do with it. */
static int64_t draw_span_ms(struct ow_plan_maker *maker)
{
    static const int64_t spans_ms[] = {MINUTE_MS,  20 * MINUTE_MS, HOUR_MS,    6 * HOUR_MS,
                                       1 * DAY_MS, 3 * DAY_MS,     10 * DAY_MS};
    static const int64_t percents[] = {5, 25, 50, 95, 100, 110, 300};
    const int64_t retention_ms =
        ow_sim_machine_retention_ms(maker->plan->variant, 1, OW_DISPATCHED);
    const int drawn = ow_plan_below(maker, 7);
    const int64_t span_ms =
        ow_plan_below(maker, 2) == 0 ? spans_ms[drawn] : retention_ms / 100 * percents[drawn];
    return span_ms + ow_plan_below(maker, 1000);
}

void ow_plan_days_choose(struct ow_plan_maker *maker)
{
    struct ow_plan *plan = maker->plan;
    plan->variant = ow_plan_between(maker, OW_MACHINE_OF_DAYS, OW_MACHINE_VARIANTS - 1);
    plan->bucket_claims = ow_plan_between(maker, 1, ow_plan_below(maker, 3) == 0 ? 12 : 3);
    plan->decode_threads = ow_plan_below(maker, 4) == 0 ? ow_plan_between(maker, 1, 2) : 0;
    static const int percents[] = {0, 2, 25, 25, 100, 400};
    plan->skew_ms = ow_sim_machine_retention_ms(plan->variant, 1, OW_DISPATCHED) / 100 *
                    percents[ow_plan_below(maker, 6)];
}

void ow_plan_days_date(struct ow_plan_maker *maker, struct ow_plan_action *action)
{
    const int drawn = ow_plan_below(maker, 100);
    action->stamp_lag_ms = ow_plan_below(maker, 2000);
    if (drawn < 8) {
        action->stamp_lag_ms = draw_span_ms(maker);
    } else if (drawn < 12) {
        action->stamp_lag_ms = -draw_span_ms(maker);
    }
    const int kind = ow_plan_below(maker, 100);
    action->time = kind < 10 ? OW_TIME_NOT_SAID : OW_TIME_OF_TIMESTAMP;
    if (kind >= 80 && kind < 90) {
        action->time_lag_ms = draw_span_ms(maker);
    } else if (kind >= 90 && kind < 94) {
        action->time_lag_ms = -draw_span_ms(maker);
    } else if (kind >= 94) {
        static const int64_t lags_ms[] = {0, 1, -1, MINUTE_MS, -MINUTE_MS};
        action->time = OW_TIME_OF_HORIZON;
        action->time_lag_ms = lags_ms[ow_plan_below(maker, 5)];
    }
}

/* Small steps, so that records come between any two of them; and often a crash on the way. */
static void add_tending(struct ow_plan_maker *maker)
{
    if (ow_plan_below(maker, 5) == 0 && maker->restarts++ < maker->restarts_most) {
        ow_plan_add_crash(maker, OW_DO_CRASH);
        struct ow_plan_action *crash = &maker->plan->actions[maker->plan->count - 1];
        crash->b = ow_plan_between(maker, 1, 16);
        crash->polls = 0;
    }
    struct ow_plan_action *action = ow_plan_add(maker, OW_DO_TEND);
    action->a = ow_plan_below(maker, 3) == 0 ? 100 : ow_plan_between(maker, 1, 4);
    action->b = ow_plan_below(maker, 3) == 0 ? 1000 : ow_plan_between(maker, 1, 3);
    action->c = ow_plan_below(maker, 4) > 0;
}

static void add_old_message(struct ow_plan_maker *maker)
{
    struct ow_plan_action *action = ow_plan_add(maker, OW_DO_REDELIVER);
    action->a = ow_plan_below(maker, OW_OLDS);
    action->b = ow_plan_below(maker, 3); /* 0: to the same partition */
    const int drawn = ow_plan_below(maker, 100);
    action->c = drawn < 45   ? OW_AGAIN_COPIED
                : drawn < 85 ? OW_AGAIN_SENT
                : drawn < 92 ? OW_AGAIN_DATED
                             : OW_AGAIN_CHANGED;
}

/* Time passes for all, or this host's wall clock is set: wrong, or right again. */
static void add_time(struct ow_plan_maker *maker)
{
    const int drawn = ow_plan_below(maker, 10);
    struct ow_plan_action *action = ow_plan_add(maker, drawn < 6 ? OW_DO_PASS : OW_DO_JUMP);
    action->d = draw_span_ms(maker);
    action->c = drawn == 9; /* right */
    if (action->kind == OW_DO_JUMP && ow_plan_below(maker, 2) == 0) {
        action->d = -action->d;
    }
    action->polls = ow_plan_below(maker, 2) == 0 ? 0 : ow_plan_between(maker, 1, 8);
    if (ow_plan_below(maker, 2) == 0) {
        add_tending(maker);
    }
}

bool ow_plan_days_add(struct ow_plan_maker *maker)
{
    const int drawn = ow_plan_below(maker, 100);
    if (drawn < 22) {
        add_time(maker);
    } else if (drawn < 42) {
        add_tending(maker);
    } else if (drawn < 66) {
        add_old_message(maker);
    } else if (drawn < 70) {
        ow_plan_add(maker, OW_DO_TICK)->polls = 1;
    } else if (drawn < 72 && maker->restarts++ < maker->restarts_most) {
        (void)ow_plan_add(maker, OW_DO_UPGRADE);
    } else {
        return false;
    }
    return true;
}
