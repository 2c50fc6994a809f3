/*
 * plan_maker: a plan while it is made. Private to plan.c and plan_days.c.
 *
 * Threads: one. Memory: a value.
 */
#ifndef OW_SIMULATION_PLAN_MAKER_H
#define OW_SIMULATION_PLAN_MAKER_H

#include "plan.h"
#include "workload.h"

struct ow_plan_maker {
    struct ow_plan *plan;
    struct ow_random *random;
    struct ow_workload workload;
    int64_t now_ms;             /* about what the clock will say */
    bool left_out[OW_DO_KINDS]; /* this seed does not do that */
    int restarts;               /* so far: each costs some milliseconds */
    int restarts_most;
};

static inline int ow_plan_below(struct ow_plan_maker *maker, int limit)
{
    return ow_random_below(maker->random, limit);
}

static inline int ow_plan_between(struct ow_plan_maker *maker, int least, int most)
{
    return ow_random_between(maker->random, least, most);
}

/* The next action of a plan, with what all kinds draw. */
struct ow_plan_action *ow_plan_add(struct ow_plan_maker *maker, enum ow_do kind);
void ow_plan_add_crash(struct ow_plan_maker *maker, enum ow_do kind);

/* plan_days.c: what only seeds of days draw: their options, */
void ow_plan_days_choose(struct ow_plan_maker *maker);
/* an action about time or old messages; false: another one is wanted, */
bool ow_plan_days_add(struct ow_plan_maker *maker);
/* and of when a produced message says that it is. */
void ow_plan_days_date(struct ow_plan_maker *maker, struct ow_plan_action *action);

#endif
