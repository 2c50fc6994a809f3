#include "base/contract.h"
#include "clock.h"
#include "counters.h"
#include "engine/worker_internal.h"
#include "incarnation.h"
#include "run.h"

/* What only happens in seeds of days: messages are dated when they are produced, old ones come
 * again, and the store is tended in steps. */

static int64_t true_ms(void)
{
    return ow_sim_clock_now_ms() - ow_sim_clock_wrong_ms();
}

void ow_days_date(const struct ow_sim_run *run, const struct ow_plan_action *action,
                  struct ow_message *message)
{
    message->timestamp_ms = true_ms() - action->stamp_lag_ms;
    message->time_ms = message->timestamp_ms;
    if (action->time == OW_TIME_NOT_SAID) {
        message->time_ms = -1;
        return;
    }
    const int64_t horizon_ms = ow_model_horizon_ms(&run->model, message->type);
    if (action->time == OW_TIME_OF_HORIZON && horizon_ms != INT64_MIN) {
        message->time_ms = horizon_ms;
    }
    message->time_ms -= action->time_lag_ms;
}

static bool is_drained(const struct ow_sim_run *run)
{
    for (size_t i = 0; i < run->broker.log_count; i++) {
        const struct ow_model_partition *partition = &run->model.partitions[i];
        if (!partition->stored || partition->next < run->broker.logs[i].end) {
            return false;
        }
    }
    return run->pending_count == 0;
}

/* a: so many steps at most; b: rows; c: an end that was reached counts, where it still is the end.
 * What fails ends the worker, as when it had done this itself. */
void ow_days_tend(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    struct ow_worker *worker = run->worker;
    if (run->plan->decode_threads > 0) {
        return; /* its own thread tends the store */
    }
    bool more = true;
    for (int i = 0; i < action->a && more && worker->status == OW_OK && !ow_run_is_over(run); i++) {
        struct ow_err err = {.text = ""};
        ow_observe(run);
        const bool ends_hold = action->c != 0 && is_drained(run);
        const enum ow_status status =
            ow_apply_tend(&worker->apply, ends_hold, (size_t)action->b, &more, &err);
        if (status != OW_OK && ow_status_action(status) != OW_ACTION_RETRY) {
            worker->status = status;
            worker->err = err;
            ow_count_if(ow_vfs_is_dead(), OW_SOMETIMES_CRASH_IN_TENDING);
        }
        more = more && status == OW_OK;
    }
    ow_observe(run);
}

static const struct ow_model_claim *claim_of(const struct ow_sim_run *run,
                                             const struct ow_logged *logged)
{
    return &run->model.claims[logged->message.source][logged->message.id];
}

/* Whether it may be what is looked for: any, or the owner of a claim that is kept or was pruned. */
static bool is_such(const struct ow_sim_run *run, const struct ow_logged *logged,
                    enum ow_plan_old old)
{
    const struct ow_model_claim *claim = claim_of(run, logged);
    return old == OW_OLD_ANY || (claim->by == logged && (claim->ref != 0) == (old == OW_OLD_KEPT));
}

/* The oldest claimed one that is kept; of the others one that is drawn. NULL: none. */
static const struct ow_logged *choose(const struct ow_sim_run *run, enum ow_plan_old old,
                                      uint64_t drawn)
{
    const struct ow_logged *chosen = NULL;
    uint64_t count = 0;
    for (size_t i = 0; i < run->broker.log_count; i++) {
        const struct ow_log *log = &run->broker.logs[i];
        for (size_t at = 0; at < log->count; at++) {
            const struct ow_logged *logged = log->records[at];
            if (!is_such(run, logged, old)) {
                continue;
            }
            count++;
            if (chosen == NULL ||
                (old == OW_OLD_KEPT ? claim_of(run, logged)->ref < claim_of(run, chosen)->ref
                                    : drawn % count == 0)) {
                chosen = logged;
            }
        }
    }
    return chosen;
}

void ow_days_redeliver(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    const uint64_t drawn = (uint64_t)action->d;
    const struct ow_logged *old = choose(run, (enum ow_plan_old)action->a, drawn);
    if (old == NULL) {
        return;
    }
    struct ow_message message = old->message;
    if (action->c != OW_AGAIN_COPIED) {
        message.timestamp_ms = true_ms();
    }
    if (action->c == OW_AGAIN_DATED && message.time_ms >= 0) {
        message.time_ms = message.timestamp_ms;
    }
    message.amount += action->c == OW_AGAIN_CHANGED;
    message.retry_count = (int)(drawn % 5);
    const size_t log = action->b == 0 ? old->log : (size_t)(drawn >> 8) % run->broker.log_count;
    struct ow_logged *logged = ow_broker_append(&run->broker, log, &message, 0);
    if (logged != NULL) {
        logged->appended_ns = ow_sim_clock_elapsed_ns();
    }
}

/* In one poll of many: as the worker's own thread does each second. */
void ow_days_rest(struct ow_sim_run *run)
{
    enum { TICK_POLLS = 10 };
    if (run->plan->decode_threads == 0 && run->rest_left % TICK_POLLS == 0) {
        ow_worker_tick(run->worker);
    }
    if (--run->rest_left == 0) {
        atomic_store(&run->stop, true);
    }
}

/* Until the retention of all that is claimed is over. */
static int64_t left_ms(const struct ow_model *model)
{
    int64_t left_ms = 0;
    for (int source = 0; source < OW_MESSAGE_SOURCES; source++) {
        for (int id = 0; id < OW_MESSAGE_IDS; id++) {
            const struct ow_model_claim *claim = &model->claims[source][id];
            const int64_t ms = claim->at.high_ms + claim->retention_ms - ow_sim_clock_now_ms();
            if (claim->ref != 0 && ms > left_ms) {
                left_ms = ms;
            }
        }
    }
    return left_ms;
}

void ow_days_end(struct ow_sim_run *run)
{
    enum { REST_POLLS = 200, DAY_MS = 86400000, LONGEST_DAYS = 7 };
    /* The first time open buckets are sealed, and then they are kept for as long again. */
    for (int i = 0; i < 2 && !run->result->failed; i++) {
        ow_sim_clock_pass_ns((left_ms(&run->model) + (int64_t)DAY_MS * LONGEST_DAYS) * 1000000);
        run->until_end = false;
        run->rest_left = REST_POLLS;
        ow_run_incarnation(run);
    }
    if (!run->result->failed && run->model.pruned_count < run->model.claim_count) {
        ow_run_fail(run, "flat", "%lld of %lld claims are there for good",
                    (long long)(run->model.claim_count - run->model.pruned_count),
                    (long long)run->model.claim_count);
    }
    ow_check_all(run);
    ow_count_if(!run->result->failed, OW_SOMETIMES_FLAT);
}
