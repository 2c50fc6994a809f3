#include "base/contract.h"
#include "clock.h"
#include "counters.h"
#include "incarnation.h"
#include "session.h"

#include <unistd.h>

/* What happens around the worker while it polls. */

static size_t pick_log(const struct ow_sim_run *run, const struct ow_plan_action *action)
{
    const size_t topic = (size_t)action->a;
    const char *name = ow_broker_topic(topic);
    const int32_t count = ow_broker_partitions(&run->broker, name);
    const int32_t partition = count == 0 ? 0 : action->b % count;
    for (size_t i = 0; i < run->broker.log_count; i++) {
        if (run->broker.logs[i].partition == partition &&
            strcmp(run->broker.logs[i].topic, name) == 0) {
            return i;
        }
    }
    return 0;
}

static void produce(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    struct ow_message message = action->message;
    if (run->plan->days) {
        ow_days_date(run, action, &message);
    }
    struct ow_logged *logged =
        ow_broker_append(&run->broker, pick_log(run, action), &message, action->c);
    if (logged != NULL) {
        logged->appended_ns = ow_sim_clock_elapsed_ns();
    }
}

static void tick(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    (void)action;
    if (run->plan->decode_threads > 0) {
        return; /* its own thread looks at the deadlines */
    }
    ow_observe(run);
    const bool due = ow_worker_is_deadline_due(run->worker);
    const int64_t parked = run->model.parked_count;
    ow_worker_tick(run->worker);
    ow_observe(run);
    ow_count_if(due && parked == run->model.parked_count && !ow_session_is_drained(run->session),
                OW_SOMETIMES_DEADLINE_UNREAD);
}

static void mark(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    run->broker.logs[pick_log(run, action)].end += action->c;
}

static void pass(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    /* A run to the end that has no assignment yet may lose its patience. */
    run->may_be_temporary = run->may_be_temporary || run->until_end;
    ow_sim_clock_pass_ns(action->d * 1000000);
}

static void jump(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    enum { DAY_MS = 86400000 };
    const int64_t by_ms = run->plan->days && action->c != 0 ? -ow_sim_clock_wrong_ms() : action->d;
    ow_sim_clock_jump_ms(by_ms);
    run->clock_set_back = run->clock_set_back || by_ms < 0;
    ow_model_clock_was(&run->model, ow_sim_clock_now_ms());
    ow_count(by_ms < 0 ? OW_SOMETIMES_CLOCK_BACKWARD : OW_SOMETIMES_CLOCK_FORWARD);
    ow_count_if(by_ms <= -DAY_MS, OW_SOMETIMES_CLOCK_BACK_DAYS);
    ow_count_if(by_ms >= DAY_MS, OW_SOMETIMES_CLOCK_AHEAD_DAYS);
}

static void arm_crash(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    ow_run_note_loss(run, action);
    ow_vfs_arm(OW_VFS_CRASH, (unsigned)action->a, action->b);
}

static void crash_now(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    ow_run_note_loss(run, action);
    ow_vfs_die();
}

static void crash_group(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    ow_run_note_loss(run, action);
    run->group_crash = action->a;
}

static void crash_close(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    ow_run_note_loss(run, action);
    run->closing_crash = action->b;
    atomic_store(&run->stop, true);
}

static void fill_disk(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    ow_vfs_set_full(true);
    run->full_left = action->a;
    ow_count(OW_SOMETIMES_DISK_FULL);
}

static void add_partition(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    if (ow_broker_add_partition(&run->broker, (size_t)action->a)) {
        ow_count(OW_SOMETIMES_PARTITION_ADDED);
        ow_session_rebalance(run->session, false);
    }
}

/* Deletes what the worker has handled already. */
static void retain(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    const size_t index = pick_log(run, action);
    struct ow_log *log = &run->broker.logs[index];
    ow_observe(run);
    int64_t low = run->model.partitions[index].next * action->c / 100;
    if (log->committed >= 0 && log->committed < low) {
        low = log->committed; /* an operator has just moved it back */
    }
    if (low > log->low) {
        log->low = low;
        ow_count(OW_SOMETIMES_RETENTION);
    }
}

static void start_second(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    (void)action;
    struct ow_store *second = NULL;
    struct ow_err err = {.text = ""};
    if (run->disowned) {
        return; /* the lock is nobody's any more */
    }
    ow_vfs_set_quiet(true);
    const enum ow_status status = ow_run_open_store(run, &second, &err);
    ow_vfs_set_quiet(false);
    if (status == OW_OK) {
        ow_store_close(second);
    }
    if (status != OW_TEMPORARY) {
        ow_run_fail(run, "lock", "a second worker got the store: status %d", (int)status);
        return;
    }
    ow_count(OW_SOMETIMES_LOCKED);
}

static void away(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    if (action->b == 0) {
        run->away_at_plan_ms = action->d;
        ow_session_rebalance(run->session, false);
    } else {
        run->broker.away_until_ns = ow_sim_clock_elapsed_ns() + action->d * 1000000;
    }
    ow_count(OW_SOMETIMES_BROKER_AWAY);
}

static void rebalance(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    ow_session_rebalance(run->session, action->a != 0);
}

static void make_zombie(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    ow_session_make_zombie(run->session, action->a);
}

static void decide_commits(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    run->broker.fate = (enum ow_commit_fate)action->a;
    run->broker.fated = action->b;
}

static void trouble(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    ow_session_trouble(run->session, action->kind == OW_DO_FATAL);
}

static void fail_a_call(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    (void)run;
    ow_vfs_arm(OW_VFS_ERROR, (unsigned)action->a, action->b);
}

static void take_over(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    (void)action;
    ow_run_take_over(run);
}

static void poll_on(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    (void)run;
    (void)action;
}

void ow_run_act(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    static void (*const acts[OW_DO_KINDS])(struct ow_sim_run * run,
                                           const struct ow_plan_action *action) = {
        [OW_DO_PRODUCE] = produce,
        [OW_DO_MARKERS] = mark,
        [OW_DO_POLLS] = poll_on,
        [OW_DO_PASS] = pass,
        [OW_DO_JUMP] = jump,
        [OW_DO_TICK] = tick,
        [OW_DO_REBALANCE] = rebalance,
        [OW_DO_ZOMBIE] = make_zombie,
        [OW_DO_COMMITS] = decide_commits,
        [OW_DO_AWAY] = away,
        [OW_DO_TALK] = trouble,
        [OW_DO_FATAL] = trouble,
        [OW_DO_CRASH] = arm_crash,
        [OW_DO_CRASH_NOW] = crash_now,
        [OW_DO_CRASH_GROUP] = crash_group,
        [OW_DO_ERROR] = fail_a_call,
        [OW_DO_FULL] = fill_disk,
        [OW_DO_ADD_PARTITION] = add_partition,
        [OW_DO_RETENTION] = retain,
        [OW_DO_SECOND] = start_second,
        [OW_DO_TAKEOVER] = take_over,
        [OW_DO_CRASH_CLOSE] = crash_close,
        [OW_DO_TEND] = ow_days_tend,
        [OW_DO_REDELIVER] = ow_days_redeliver,
    };
    OW_INVARIANT(acts[action->kind] != NULL); /* the others need a stopped worker */
    acts[action->kind](run, action);
}

size_t ow_run_pick_log(const struct ow_sim_run *run, const struct ow_plan_action *action)
{
    return pick_log(run, action);
}
