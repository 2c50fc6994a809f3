#include "shrink.h"

#include "jobs.h"

#include <string.h>

enum { TRIES_MAX = 2000 };

static size_t count_kept(const struct ow_plan *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->count; i++) {
        count += !plan->left_out[i];
    }
    return count;
}

/* Leaves out count of the kept actions from the at-th kept one on. */
static void leave_out(struct ow_plan *plan, size_t at, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->left_out[i]) {
            continue;
        }
        if (kept >= at && kept < at + count) {
            plan->left_out[i] = true;
        }
        kept++;
    }
}

int ow_shrink(struct ow_plan *plan, const char *what)
{
    static struct ow_result result;
    bool before[OW_PLAN_ACTIONS_MAX];
    int tries = 0;
    size_t chunk = (count_kept(plan) + 1) / 2;
    while (chunk > 0 && tries < TRIES_MAX) {
        bool changed = false;
        for (size_t at = 0; at < count_kept(plan) && tries < TRIES_MAX;) {
            memcpy(before, plan->left_out, sizeof(before));
            leave_out(plan, at, chunk);
            ow_jobs_run_one(plan, true, &result);
            tries++;
            if (result.failed && strcmp(result.what, what) == 0) {
                changed = true;
            } else {
                memcpy(plan->left_out, before, sizeof(before));
                at += chunk;
            }
        }
        if (chunk == 1 && !changed) {
            break;
        }
        chunk = chunk > 1 ? chunk / 2 : 1;
    }
    return tries;
}
