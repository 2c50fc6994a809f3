#include "run.h"

#include "base/contract.h"
#include "clock.h"
#include "counters.h"
#include "entropy.h"
#include "incarnation.h"
#include "threads.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { POLLS_MAX = 20000, INCARNATIONS_MAX = 600 };
static const int64_t start_ms = INT64_C(1700000000000);

void ow_run_fail(struct ow_sim_run *run, const char *what, const char *format, ...)
{
    struct ow_result *result = run->result;
    if (result->failed) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(result->text, sizeof(result->text), format, arguments);
    va_end(arguments);
    (void)snprintf(result->what, sizeof(result->what), "%s", what);
    result->failed = true;
    result->action = (int)run->next_action - 1;
}

void ow_run_trace(struct ow_sim_run *run, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    const int len = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    for (int i = 0; i < len && i < (int)sizeof(text); i++) {
        run->result->trace = (run->result->trace ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    }
    if (run->verbose) {
        (void)fprintf(stderr, "    %s\n", text);
    }
}

/* The next action that is left in; NULL: all are done. */
static const struct ow_plan_action *peek(struct ow_sim_run *run)
{
    while (run->next_action < run->plan->count && run->plan->left_out[run->next_action]) {
        run->next_action++;
    }
    return run->next_action < run->plan->count ? &run->plan->actions[run->next_action] : NULL;
}

static void tell(const struct ow_sim_run *run, const struct ow_plan_action *action)
{
    if (run->verbose) {
        char text[256];
        ow_plan_text(action, text, sizeof(text));
        (void)fprintf(stderr, "%4zu %s\n", run->next_action, text);
    }
}

static void act(struct ow_sim_run *run)
{
    while (run->polls_left == 0 && !atomic_load(&run->stop) && !ow_run_is_over(run)) {
        const struct ow_plan_action *action = peek(run);
        if (action == NULL || ow_plan_is_down(action->kind)) {
            atomic_store(&run->stop, true);
            return;
        }
        tell(run, action);
        run->next_action++;
        run->polls_left = action->polls;
        ow_run_act(run, action);
    }
    run->polls_left -= run->polls_left > 0;
}

void ow_run_before_poll(struct ow_sim_run *run)
{
    run->result->steps++;
    ow_observe(run);
    if (++run->polls_here > POLLS_MAX) {
        ow_run_fail(run, "liveness", "a worker polled %d times and came to no end", POLLS_MAX);
    }
    if (run->full_left > 0 && --run->full_left == 0) {
        ow_vfs_set_full(false);
    }
    if (run->rest_left > 0) {
        ow_days_rest(run);
    }
    if (!run->calm && !run->nested) {
        act(run);
    }
}

void ow_run_forget_pending(struct ow_sim_run *run)
{
    struct ow_err err;
    if (ow_vfs_struck() != NULL) {
        ow_threads_settle(); /* a batch that has just failed is known to have */
    }
    if (!ow_vfs_is_dead() && ow_worker_status(run->worker, &err) == OW_OK) {
        run->pending_count = 0;
        run->left = NULL;
    } /* else a batch's result may be unknown, and it is seen when the store is opened again */
}

void ow_run_delivered(struct ow_sim_run *run, const struct ow_logged *logged)
{
    struct ow_err err;
    if (ow_run_is_disowned(run) || ow_worker_status(run->worker, &err) != OW_OK) {
        return; /* it will not come to a batch */
    }
    OW_INVARIANT(run->pending_count < OW_RUN_PENDING_MAX);
    run->pending[run->pending_count++] = logged;
    run->left = NULL;
}

static void check_metadata(struct ow_sim_run *run, const struct ow_partition_offset *commit)
{
    char expected[OW_METADATA_BYTES];
    (void)snprintf(expected, sizeof(expected), "onceward/1 s=%s e=%lld o=%lld", run->store_id,
                   (long long)run->epoch, (long long)commit->offset);
    if (strcmp(expected, commit->metadata) != 0) {
        ow_run_fail(run, "metadata", "'%s' is committed, not '%s'", commit->metadata, expected);
    }
}

size_t ow_run_before_commit(struct ow_sim_run *run, const struct ow_partition_offset *list,
                            size_t count)
{
    if (ow_run_is_disowned(run)) {
        return count;
    }
    ow_observe(run);
    for (size_t i = 0; i < count; i++) {
        const struct ow_log *log =
            ow_broker_log(&run->broker, ow_slice_of(list[i].topic), list[i].partition);
        const int64_t next = run->model.partitions[ow_broker_index(&run->broker, log)].next;
        if (list[i].offset > next) {
            ow_run_fail(run, "durable_first",
                        "%s[%d]: offset %lld is committed to the group, the position is %lld",
                        log->topic, (int)log->partition, (long long)list[i].offset,
                        (long long)next);
        }
        check_metadata(run, &list[i]);
        ow_run_trace(run, "commit %s %d %lld", log->topic, (int)log->partition,
                     (long long)list[i].offset);
    }
    if (!ow_vfs_is_synced() && !run->result->failed) {
        ow_check_worst(run, list, count);
    }
    run->group_batch = run->observer.batch;
    if (run->group_crash >= 0) {
        const size_t reached = (size_t)run->group_crash;
        run->group_crash = -1;
        return reached < count ? reached : count - 1;
    }
    return count;
}

/* The folder of a process for what the store keeps outside of SQLite: lock and key. */
static void set_paths(struct ow_sim_run *run, pid_t pid, char folder[64])
{
    (void)snprintf(folder, 64, "/dev/shm/onceward-simulation-%ld", (long)pid);
    (void)snprintf(run->path, sizeof(run->path), "%s/s.db", folder);
    (void)snprintf(run->lock_path, sizeof(run->lock_path), "%s/s.db.lock", folder);
    (void)snprintf(run->key_path, sizeof(run->key_path), "%s/key", folder);
    (void)snprintf(run->worst_path, sizeof(run->worst_path), "%s/worst.db", folder);
}

static void write_key(const struct ow_sim_run *run)
{
    FILE *file = fopen(run->key_path, "we");
    OW_INVARIANT(file != NULL);
    for (int i = 0; i < 64; i++) {
        (void)fputc("0123456789abcdef"[i % 16], file);
    }
    (void)fclose(file);
}

/* Most seeds begin with a store that is there; making one takes as long as all the rest. */
static void load_template(struct ow_sim_run *run)
{
    const int variant = run->plan->variant;
    FILE *file = fopen(run->path, "we"); /* the store looks whether the file is there */
    OW_INVARIANT(file != NULL);
    (void)fclose(file);
    if (ow_vfs_load(run->path, (size_t)variant)) {
        return;
    }
    struct ow_err err = {.text = ""};
    run->machines = ow_sim_machines(variant, 1);
    const enum ow_status status = ow_run_open_store(run, &run->store, &err);
    OW_INVARIANT(status == OW_OK);
    ow_store_close(run->store);
    run->store = NULL;
    ow_vfs_save(run->path, (size_t)variant);
    (void)unlink(run->lock_path);
}

/* A thread of the worker has done something. */
static void watch(void *context)
{
    ow_observe(context);
}

static void set_up(struct ow_sim_run *run)
{
    const struct ow_plan *plan = run->plan;
    char folder[64];
    set_paths(run, getpid(), folder);
    (void)mkdir(folder, 0700); /* it is there after the first seed */
    (void)unlink(run->path);
    (void)unlink(run->lock_path);
    write_key(run);
    ow_sim_clock_reset(start_ms);
    /* So that each transaction is looked at before the next one is begun. */
    ow_sim_clock_watch(plan->days ? watch : NULL, run);
    ow_entropy_reset((uint64_t)plan->variant);
    ow_vfs_reset((uint64_t)plan->variant); /* the template is the same for every seed */
    if (!plan->from_scratch) {
        load_template(run);
    }
    ow_entropy_reset(plan->seed);
    ow_vfs_reseed(plan->seed);
    run->machine_version = 1;
    ow_broker_init(&run->broker);
    ow_model_init(&run->model);
    run->model.per_entity = ow_sim_machine_per_entity(plan->variant);
    run->model.bucket_claims = plan->bucket_claims;
    run->model.skew_ms = plan->skew_ms;
    ow_run_use_machine(run);
    run->random = ow_random_stream(plan->seed, 9);
    ow_threads_reset(plan->seed);
    ow_threads_watch(watch, run);
    run->group_crash = -1;
    run->result->trace = UINT64_C(0xcbf29ce484222325);
    for (size_t topic = 0; topic < OW_BROKER_TOPICS; topic++) {
        for (int i = 0; i < plan->partitions[topic]; i++) {
            (void)ow_broker_add_partition(&run->broker, topic);
        }
    }
}

/* The faults are over. */
static void calm_down(struct ow_sim_run *run)
{
    ow_run_repair(run);
    run->calm = run->until_end = true;
    run->expectation.refused = false;
    run->broker.away_until_ns = run->away_at_plan_ms = 0;
    run->broker.fated = 0;
    run->broker.members = 1;
    run->broker.mute = false;
    run->opening_fault = run->closing_crash = 0;
    run->group_crash = -1;
    run->full_left = 0;
    ow_vfs_set_full(false);
    ow_vfs_disarm();
}

/* Everything is read, and the group knows it. */
static void check_live(struct ow_sim_run *run)
{
    for (size_t i = 0; i < run->broker.log_count && !run->result->failed; i++) {
        const struct ow_log *log = &run->broker.logs[i];
        const struct ow_model_partition *partition = &run->model.partitions[i];
        if (partition->next != log->end || log->committed != log->end) {
            ow_run_fail(run, "liveness", "%s[%d]: position %lld, committed %lld, end %lld",
                        log->topic, (int)log->partition, (long long)partition->next,
                        (long long)log->committed, (long long)log->end);
        }
    }
}

static void live_on(struct ow_sim_run *run)
{
    char state_hash[65] = "";
    calm_down(run);
    ow_run_incarnation(run);
    if (run->expectation.refused && !run->result->failed) {
        /* Only now it is known how far the store is, and an operator's offset lay ahead of it. He
         * has put that back, and nothing else can be refused. */
        ow_run_incarnation(run);
    }
    if (run->result->failed) {
        return;
    }
    check_live(run);
    ow_check_all(run);
    ow_check_promises(run, state_hash);
    ow_run_trace(run, "state %s", state_hash);
    ow_count_if(!run->result->failed, OW_SOMETIMES_LIVE);
}

static void replay(struct ow_sim_run *run)
{
    char before[65] = "";
    char after[65] = "";
    bool skipped = false;
    ow_check_promises(run, before);
    for (size_t i = 0; i < run->broker.log_count; i++) {
        struct ow_log *log = &run->broker.logs[i];
        log->committed = log->low;
        log->metadata[0] = '\0';
        skipped = skipped || memchr(run->model.partitions[i].ledger, OW_LEDGER_SKIPPED,
                                    (size_t)run->model.partitions[i].high) != NULL;
        skipped = skipped || run->model.partitions[i].first > log->low;
    }
    run->until_end = true;
    ow_run_incarnation(run);
    check_live(run);
    ow_check_all(run);
    ow_check_promises(run, after);
    if (!run->result->failed && !skipped && strcmp(before, after) != 0) {
        ow_run_fail(run, "replay", "a replay of everything changed the state hash from %s to %s",
                    before, after);
    }
    ow_count_if(!run->result->failed && !skipped, OW_SOMETIMES_REPLAYED);
}

static void run_plan(struct ow_sim_run *run)
{
    const struct ow_plan_action *action = NULL;
    int incarnations = 0;
    while ((action = peek(run)) != NULL && !run->result->failed) {
        if (ow_plan_is_down(action->kind)) {
            tell(run, action);
            run->next_action++;
            ow_run_down(run, action);
            continue;
        }
        ow_run_incarnation(run);
        if (++incarnations > INCARNATIONS_MAX) {
            ow_run_fail(run, "liveness", "%d incarnations came to no end", INCARNATIONS_MAX);
        }
    }
}

/* After a failure: the first difference between the tables and the model says more. */
static void tell_tables(struct ow_sim_run *run)
{
    const struct ow_result kept = *run->result;
    run->result->failed = false;
    ow_check_all(run);
    if (run->result->failed) {
        (void)fprintf(stderr, "    tables: %s: %s\n", run->result->what, run->result->text);
    }
    *run->result = kept;
}

void ow_run_clean_up(pid_t pid)
{
    static struct ow_sim_run paths;
    char folder[64];
    set_paths(&paths, pid, folder);
    (void)unlink(paths.path);
    (void)unlink(paths.lock_path);
    (void)unlink(paths.key_path);
    (void)rmdir(folder);
}

void ow_run_seed(const struct ow_plan *plan, bool verbose, struct ow_result *ret_result)
{
    static struct ow_sim_run run;
    memset(&run, 0, sizeof(run));
    *ret_result = (struct ow_result){0};
    run.plan = plan;
    run.result = ret_result;
    run.verbose = verbose;
    set_up(&run);
    run_plan(&run);
    if (!ret_result->failed) {
        live_on(&run);
    }
    if (!ret_result->failed && plan->replay) {
        replay(&run);
    }
    if (!ret_result->failed && plan->days) {
        ow_days_end(&run);
    }
    if (verbose && ret_result->failed) {
        tell_tables(&run);
    }
    ow_model_done(&run.model);
    ow_broker_done(&run.broker);
    ow_vfs_revive();
    ow_vfs_reset(0);
}
