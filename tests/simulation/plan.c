#include "plan.h"

#include "base/contract.h"
#include "base/limits.h"
#include "plan_maker.h"
#include "vfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text;
    bool down;
} kinds[] = {
#define OW_DO_ROW(name, is_down, what) [OW_DO_##name] = {(what), (is_down) != 0},
    OW_DO_TABLE(OW_DO_ROW)
#undef OW_DO_ROW
};

bool ow_plan_is_down(enum ow_do kind)
{
    return kinds[kind].down;
}

static int below(struct ow_plan_maker *maker, int limit)
{
    return ow_plan_below(maker, limit);
}

static int between(struct ow_plan_maker *maker, int least, int most)
{
    return ow_plan_between(maker, least, most);
}

struct ow_plan_action *ow_plan_add(struct ow_plan_maker *maker, enum ow_do kind)
{
    struct ow_plan *plan = maker->plan;
    OW_INVARIANT(plan->count < OW_PLAN_ACTIONS_MAX);
    struct ow_plan_action *action = &plan->actions[plan->count++];
    *action = (struct ow_plan_action){.kind = kind, .polls = below(maker, 100) < 50 ? 0 : 1};
    action->polls = below(maker, 100) < 25 ? between(maker, 2, 9) : action->polls;
    action->a = below(maker, 2); /* mostly a topic */
    action->b = below(maker, 4); /* and a partition */
    action->d = (int64_t)(ow_random_next(maker->random) >> 8);
    return action;
}

static void add_message(struct ow_plan_maker *maker, struct ow_message message)
{
    maker->now_ms += below(maker, 2000);
    message.timestamp_ms = maker->now_ms;
    const int kind = below(maker, 10);
    message.time_ms = kind == 0 ? -1 : maker->now_ms - (kind == 1 ? below(maker, 100000) : 0);
    struct ow_plan_action *action = ow_plan_add(maker, OW_DO_PRODUCE);
    action->message = message;
    action->polls = below(maker, 100) < 70 ? 0 : between(maker, 1, 6);
    const bool of_payments = message.type == OW_PAID || message.type == OW_REFUNDED;
    action->a = below(maker, 100) < 92 ? of_payments : !of_payments;
    action->b = below(maker, 100) < 85 ? message.order : below(maker, 4);
    action->c = below(maker, 100) < 6 ? between(maker, 1, 3) : 0;
    if (maker->plan->days) {
        ow_plan_days_date(maker, action);
    }
}

/* Restarts and what they cost. */
static bool may_restart(struct ow_plan_maker *maker)
{
    return maker->restarts++ < maker->restarts_most;
}

static void add_loss(struct ow_plan_maker *maker, struct ow_plan_action *action)
{
    action->c =
        below(maker, 100) < 35 ? OW_VFS_LOSE_NOTHING : between(maker, 1, OW_VFS_LOSS_COUNT - 1);
}

void ow_plan_add_crash(struct ow_plan_maker *maker, enum ow_do kind)
{
    static const unsigned masks[] = {OW_VFS_CHANGES, OW_VFS_CHANGES, OW_VFS_WRITE, OW_VFS_SYNC,
                                     OW_VFS_ALL};
    struct ow_plan_action *action = ow_plan_add(maker, kind);
    action->a = (int)masks[below(maker, 5)];
    const bool is_sync = action->a == OW_VFS_SYNC;
    action->b = between(maker, 1, is_sync ? 4 : (below(maker, 3) == 0 ? 120 : 25));
    if (kind == OW_DO_CRASH_GROUP) {
        action->a = below(maker, 3);
    }
    add_loss(maker, action);
    action->polls = between(maker, 0, 12);
}

static void add_error(struct ow_plan_maker *maker, enum ow_do kind)
{
    static const unsigned masks[] = {OW_VFS_WRITE, OW_VFS_SYNC, OW_VFS_READ, OW_VFS_ALL};
    struct ow_plan_action *action = ow_plan_add(maker, kind);
    action->a = (int)masks[below(maker, 4)];
    action->b = between(maker, 1, action->a == OW_VFS_WRITE ? 30 : 4);
    action->polls = between(maker, 0, 8);
}

static void add_time(struct ow_plan_maker *maker, enum ow_do kind)
{
    static const int64_t spans_ms[] = {500, 2000, 20000, 660000, 3660000, 73 * INT64_C(3600000)};
    struct ow_plan_action *action = ow_plan_add(maker, kind);
    action->d = spans_ms[below(maker, 6)] + below(maker, 1000);
    if (kind == OW_DO_JUMP && below(maker, 2) == 0) {
        action->d = -action->d;
    }
    if (kind == OW_DO_AWAY) {
        action->d = between(maker, 100, below(maker, 4) == 0 ? 200000 : 8000);
        return;
    }
    maker->now_ms += action->d;
    if (below(maker, 2) == 0) {
        /* Long enough after for the ends to be asked for and the deadlines to be looked at. */
        action->polls = between(maker, 2, 12);
        ow_plan_add(maker, OW_DO_TICK)->polls = 1;
    }
}

static void add_group(struct ow_plan_maker *maker, enum ow_do kind)
{
    struct ow_plan_action *action = ow_plan_add(maker, kind);
    if (kind == OW_DO_COMMITS) {
        action->a = between(maker, 1, 4); /* enum ow_commit_fate, without TAKEN */
        action->b = between(maker, 1, 4);
    } else if (kind == OW_DO_ZOMBIE) {
        action->a = between(maker, 1, 15);
    } else if (kind == OW_DO_RETENTION) {
        action->c = between(maker, 10, 100);
    } else if (kind == OW_DO_REWIND) {
        action->c = below(maker, 3) == 0 ? 0 : below(maker, 100);
        action->d = below(maker, 4) == 0;
    } else if (kind == OW_DO_SKIP) {
        action->c = between(maker, 1, 4);
        action->d = below(maker, 2);
    } else if (kind == OW_DO_OLD_ASSIGNMENT) {
        action->a = 1;
    }
    action->polls = between(maker, 0, 6);
    if (kind == OW_DO_UPGRADE && below(maker, 2) == 0) {
        ow_plan_add_crash(maker, OW_DO_CRASH_OPEN);
    }
}

static void add_poison(struct ow_plan_maker *maker, enum ow_do kind)
{
    struct ow_plan_action *action = ow_plan_add(maker, kind);
    action->a = between(maker, 1, 3); /* enum ow_poison */
    if (action->a == 1) {
        action->b = below(maker, maker->workload.payments);
    } else {
        action->b = below(maker, action->a == 2 ? 4 : maker->workload.ids);
    }
}

static void add_counted(struct ow_plan_maker *maker, enum ow_do kind)
{
    struct ow_plan_action *action = ow_plan_add(maker, kind);
    if (kind == OW_DO_MARKERS) {
        action->c = between(maker, 1, 3);
    } else {
        action->a = below(maker, 4) == 0 ? 200 : between(maker, 1, 20);
    }
}

static void add_polls(struct ow_plan_maker *maker, enum ow_do kind)
{
    ow_plan_add(maker, kind)->polls = between(maker, 1, 25);
}

/* One action that is no message. */
static void add_trouble(struct ow_plan_maker *maker)
{
    static const struct {
        enum ow_do kind;
        int weight;
        bool restarts; /* the worker: that costs some milliseconds */
        void (*add)(struct ow_plan_maker *maker, enum ow_do kind);
    } troubles[] = {
        {OW_DO_MARKERS,        8,  false, add_counted      },
        {OW_DO_POLLS,          12, false, add_polls        },
        {OW_DO_PASS,           9,  false, add_time         },
        {OW_DO_JUMP,           4,  false, add_time         },
        {OW_DO_TICK,           6,  false, add_group        },
        {OW_DO_REBALANCE,      8,  false, add_group        },
        {OW_DO_ZOMBIE,         3,  false, add_group        },
        {OW_DO_COMMITS,        8,  false, add_group        },
        {OW_DO_AWAY,           4,  false, add_time         },
        {OW_DO_TALK,           1,  false, add_group        },
        {OW_DO_FATAL,          1,  true,  add_group        },
        {OW_DO_CRASH,          16, true,  ow_plan_add_crash},
        {OW_DO_CRASH_NOW,      6,  true,  ow_plan_add_crash},
        {OW_DO_CRASH_GROUP,    4,  true,  ow_plan_add_crash},
        {OW_DO_ERROR,          5,  true,  add_error        },
        {OW_DO_FULL,           3,  true,  add_counted      },
        {OW_DO_ADD_PARTITION,  1,  false, add_group        },
        {OW_DO_RETENTION,      3,  false, add_group        },
        {OW_DO_SECOND,         1,  false, add_group        },
        {OW_DO_TAKEOVER,       2,  true,  add_group        },
        {OW_DO_STOP,           5,  true,  add_group        },
        {OW_DO_CRASH_CLOSE,    3,  true,  ow_plan_add_crash},
        {OW_DO_CRASH_OPEN,     7,  true,  ow_plan_add_crash},
        {OW_DO_ERROR_OPEN,     2,  true,  add_error        },
        {OW_DO_REWIND,         7,  true,  add_group        },
        {OW_DO_SKIP,           3,  true,  add_group        },
        {OW_DO_POISON,         4,  true,  add_poison       },
        {OW_DO_UPGRADE,        2,  true,  add_group        },
        {OW_DO_SHARED,         1,  true,  add_group        },
        {OW_DO_OLD_ASSIGNMENT, 1,  true,  add_group        },
        {OW_DO_FOREIGN,        1,  true,  add_group        },
        {OW_DO_LOST_RECORDS,   1,  true,  add_group        },
        {OW_DO_RECREATE,       2,  true,  add_group        },
        {OW_DO_UNTIL_END,      1,  true,  add_group        },
        {OW_DO_NO_ASSIGNMENT,  1,  true,  add_polls        },
    };
    int total = 0;
    for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
        total += troubles[i].weight;
    }
    int drawn = below(maker, total);
    size_t at = 0;
    while (drawn >= troubles[at].weight) {
        drawn -= troubles[at++].weight;
    }
    if (maker->left_out[troubles[at].kind] || (troubles[at].restarts && !may_restart(maker))) {
        add_polls(maker, OW_DO_POLLS);
        return;
    }
    troubles[at].add(maker, troubles[at].kind);
}

static void choose_options(struct ow_plan_maker *maker)
{
    struct ow_plan *plan = maker->plan;
    plan->partitions[0] = between(maker, 1, 3);
    plan->partitions[1] = between(maker, 1, 2);
    plan->bucket_claims = between(maker, 1, 20);
    static const int rows[] = {1, 2, 5, 16, 256};
    plan->batch_rows = rows[below(maker, 5)];
    static const int idle[] = {3, 10, 30, 60};
    plan->idle_percent = idle[below(maker, 4)];
    static const int checkpoints[] = {8, 30, 100, 16384};
    plan->checkpoint = checkpoints[below(maker, 4)];
    static const int caches[] = {10, 30, 2000, 2000};
    plan->cache = caches[below(maker, 4)];
    plan->variant = below(maker, 4);
    plan->decode_threads = below(maker, 5) < 3 ? 0 : between(maker, 1, 2);
    plan->from_scratch = below(maker, 8) == 0;
    plan->replay = below(maker, 4) == 0;
    plan->skew_ms = OW_CLAIM_SKEW_MS_DEFAULT;
    maker->restarts_most = between(maker, 1, 8);
    for (int kind = 0; kind < OW_DO_TEND; kind++) { /* those of days are not left out */
        maker->left_out[kind] = below(maker, 100) < 35;
    }
}

/* More records than the worker's ring has room for, and a disk that takes nothing. */
static void make_backlog(struct ow_plan_maker *maker)
{
    maker->plan->decode_threads = between(maker, 1, 2);
    maker->plan->batch_rows = 1;
    for (size_t i = 0; i < maker->workload.count; i++) {
        add_message(maker, maker->workload.messages[i]);
        maker->plan->actions[maker->plan->count - 1].polls = 0;
    }
    struct ow_plan_action *full = ow_plan_add(maker, OW_DO_FULL);
    full->a = 300;
    full->polls = between(maker, 100, 250);
}

static void make_mixed(struct ow_plan_maker *maker)
{
    struct ow_plan *plan = maker->plan;
    const int trouble = between(maker, 20, 55);
    if (plan->from_scratch && below(maker, 2) == 0) {
        ow_plan_add_crash(maker, OW_DO_CRASH_OPEN); /* while the store is created */
    }
    for (size_t i = 0; i < maker->workload.count;) {
        if (below(maker, 100) < trouble && plan->count + 4 < (size_t)OW_PLAN_ACTIONS_MAX) {
            if (!plan->days || !ow_plan_days_add(maker)) {
                add_trouble(maker);
            }
        } else {
            add_message(maker, maker->workload.messages[i++]);
        }
    }
}

bool ow_plan_is_of_days(uint64_t seed)
{
    return seed % 4 == 3;
}

void ow_plan_make(struct ow_plan *plan, uint64_t seed, int actions_most)
{
    static struct ow_plan_maker maker;
    struct ow_random random = ow_random_stream(seed, 1);
    memset(plan, 0, sizeof(*plan));
    memset(&maker, 0, sizeof(maker));
    plan->seed = seed;
    maker.plan = plan;
    maker.random = &random;
    maker.now_ms = INT64_C(1700000000000);
    choose_options(&maker);
    plan->days = ow_plan_is_of_days(seed);
    if (plan->days) {
        ow_plan_days_choose(&maker);
    }
    const int most = actions_most > 0 ? actions_most : between(&maker, 40, 140);
    const bool backlog = below(&maker, 50) == 0 && !plan->days;
    ow_workload_make(&maker.workload, &random, backlog ? 2 * most : most / 2);
    if (backlog) {
        make_backlog(&maker);
    } else {
        make_mixed(&maker);
    }
}

void ow_plan_text(const struct ow_plan_action *action, char *text, size_t bytes)
{
    char message[160] = "";
    if (action->kind == OW_DO_PRODUCE) {
        ow_message_print(&action->message, message, sizeof(message));
    }
    (void)snprintf(text, bytes, "%s a=%d b=%d c=%d d=%lld polls=%d %s lags %lld %lld",
                   kinds[action->kind].text, action->a, action->b, action->c, (long long)action->d,
                   action->polls, message, (long long)action->stamp_lag_ms,
                   (long long)action->time_lag_ms);
}

void ow_plan_kept(const struct ow_plan *plan, char *text, size_t bytes)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < plan->count && used + 32 < bytes; i++) {
        if (plan->left_out[i]) {
            continue;
        }
        const size_t first = i;
        while (i + 1 < plan->count && !plan->left_out[i + 1]) {
            i++;
        }
        const char *comma = used == 0 ? "" : ",";
        const int len = first == i
                            ? snprintf(text + used, bytes - used, "%s%zu", comma, first)
                            : snprintf(text + used, bytes - used, "%s%zu-%zu", comma, first, i);
        used += (size_t)len;
    }
}

bool ow_plan_keep(struct ow_plan *plan, const char *list)
{
    for (size_t i = 0; i < plan->count; i++) {
        plan->left_out[i] = true;
    }
    while (*list != '\0') {
        char *end = NULL;
        const unsigned long first = strtoul(list, &end, 10);
        unsigned long last = first;
        if (end == list) {
            return false;
        }
        if (*end == '-') {
            last = strtoul(end + 1, &end, 10);
        }
        for (unsigned long i = first; i <= last && i < plan->count; i++) {
            plan->left_out[i] = false;
        }
        if (*end != ',' && *end != '\0') {
            return false;
        }
        list = *end == ',' ? end + 1 : end;
    }
    return true;
}
