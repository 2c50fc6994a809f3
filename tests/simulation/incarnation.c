#include "incarnation.h"

#include "base/contract.h"
#include "clock.h"
#include "counters.h"
#include "lock_file.h"
#include "session.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

void ow_run_note_loss(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    run->loss = (enum ow_vfs_loss)action->c;
    run->loss_seed = (uint64_t)action->d;
}

enum ow_status ow_run_open_store(struct ow_sim_run *run, struct ow_store **ret_store,
                                 struct ow_err *err)
{
    const struct ow_store_options options = {
        .path = run->path,
        .hash_key_file = run->key_path,
        .clock = ow_sim_clock(),
        .bucket_claims = run->plan->bucket_claims,
    };
    return ow_store_open(&options, run->machines, ret_store, err);
}

/* Smaller than what the store asks for, so that a short run meets checkpoints and spilled pages. */
static void tune(const struct ow_sim_run *run, sqlite3 *handle)
{
    char sql[64];
    ow_vfs_set_quiet(true);
    (void)sqlite3_wal_autocheckpoint(handle, run->plan->checkpoint);
    (void)snprintf(sql, sizeof(sql), "PRAGMA cache_size = %d", run->plan->cache);
    (void)sqlite3_exec(handle, sql, NULL, NULL, NULL);
    ow_vfs_set_quiet(false);
}

static void count_losses(const struct ow_vfs_losses *losses)
{
    ow_count_if(losses->dropped, OW_SOMETIMES_WRITE_DROPPED);
    ow_count_if(losses->kept, OW_SOMETIMES_WRITE_KEPT);
    ow_count_if(losses->torn, OW_SOMETIMES_WRITE_TORN);
    ow_count_if(losses->garbled, OW_SOMETIMES_WRITE_GARBLED);
    ow_count_if(losses->torn_in_wal, OW_SOMETIMES_WAL_TORN);
    ow_count_if(losses->resurrected, OW_SOMETIMES_FILE_RESURRECTED);
    ow_count_if(losses->vanished, OW_SOMETIMES_FILE_VANISHED);
}

static void reboot(struct ow_sim_run *run)
{
    const bool rebooted = run->loss != OW_VFS_LOSE_NOTHING;
    const struct ow_vfs_losses losses = ow_vfs_crash(run->loss, run->loss_seed);
    ow_vfs_revive();
    ow_lock_file_write(run->lock_path, rebooted);
    count_losses(&losses);
    ow_count(rebooted ? OW_SOMETIMES_POWER_CUT : OW_SOMETIMES_KILLED);
    ow_count_if(run->observer.batch > run->group_batch, OW_SOMETIMES_CRASH_BEFORE_GROUP);
    run->result->crashes++;
    run->crashed_before = true;
    run->group_crash = -1;
    ow_run_trace(run, "crash %d kept %d dropped %d torn %d", (int)run->loss, losses.kept,
                 losses.dropped, losses.torn);
}

static void count_strike(const struct ow_vfs_strike *strike)
{
    if (strike->fault == OW_VFS_CRASH) {
        ow_count_if(strike->file == OW_VFS_WAL && strike->op == OW_VFS_WRITE,
                    OW_SOMETIMES_CRASH_IN_WAL);
        ow_count_if(strike->file == OW_VFS_WAL && strike->op == OW_VFS_SYNC,
                    OW_SOMETIMES_CRASH_IN_SYNC);
        ow_count_if(strike->file == OW_VFS_DATABASE &&
                        (strike->op == OW_VFS_WRITE || strike->op == OW_VFS_SYNC),
                    OW_SOMETIMES_CRASH_IN_CHECKPOINT);
        return;
    }
    ow_count_if(strike->op == OW_VFS_WRITE, OW_SOMETIMES_ERROR_WRITE);
    ow_count_if(strike->op == OW_VFS_SYNC, OW_SOMETIMES_ERROR_SYNC);
    ow_count_if(strike->op == OW_VFS_READ, OW_SOMETIMES_ERROR_READ);
}

/* Whether this end of a worker has a reason. */
static bool has_reason(const struct ow_sim_run *run, enum ow_status status)
{
    const bool disk = ow_vfs_is_dead() || ow_vfs_struck() != NULL;
    switch (status) {
    case OW_OK:
        return true;
    case OW_STORE_UNKNOWN:
        return disk;
    case OW_STORE_FULL:
        return ow_vfs_refused() > 0;
    case OW_TEMPORARY:
        return run->may_be_temporary || ow_vfs_is_dead() || ow_broker_is_away(&run->broker) ||
               (disk && run->worker == NULL); /* SQLite cannot even open its file */
    case OW_UNSAFE:
        return run->may_be_unsafe;
    case OW_FAILED:
    case OW_BAD_CONFIG:
    case OW_DIFFERENT:
    case OW_RECORD_REFUSED:
        break;
    }
    return false;
}

static void judge_end(struct ow_sim_run *run, const char *where, enum ow_status status,
                      const struct ow_err *err)
{
    ow_run_trace(run, "%s: status %d", where, (int)status);
    if (run->verbose && status != OW_OK) {
        (void)fprintf(stderr, "    %s: %s: %s\n", where, ow_status_text(status), err->text);
    }
    if (!has_reason(run, status)) {
        ow_run_fail(run, "status", "%s ended with '%s' without a reason: %s", where,
                    ow_status_text(status), err->text);
    }
    if (ow_vfs_struck() != NULL) {
        count_strike(ow_vfs_struck());
    }
    ow_count_if(status == OW_STORE_FULL, OW_SOMETIMES_DISK_FULL_STOP);
    ow_count_if(status == OW_TEMPORARY && ow_broker_is_away(&run->broker),
                OW_SOMETIMES_BROKER_AWAY_LONG);
}

static void count_opening(const struct ow_sim_run *run, bool had_store)
{
    const struct ow_vfs_strike *strike = ow_vfs_struck();
    if (strike == NULL) {
        return;
    }
    if (strike->fault == OW_VFS_ERROR) {
        ow_count(OW_SOMETIMES_ERROR_OPEN);
        return;
    }
    ow_count(OW_SOMETIMES_CRASH_IN_OPEN);
    ow_count_if(run->crashed_before, OW_SOMETIMES_CRASH_IN_RECOVERY);
    ow_count_if(!had_store, OW_SOMETIMES_CRASH_IN_CREATE);
    ow_count_if(run->machine_version != run->model.machine_version, OW_SOMETIMES_CRASH_IN_UPGRADE);
}

static bool lock_is_suspect(const struct ow_sim_run *run)
{
    char line[160] = "";
    const int fd = open(run->lock_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    const ssize_t got = read(fd, line, sizeof(line) - 1);
    (void)close(fd);
    return got > 0 && (strstr(line, "suspect") != NULL || strstr(line, "of-another-start") != NULL);
}

/* Space comes back after a while. */
static void wait_for_space(struct ow_sim_run *run)
{
    run->full_left -= run->full_left > 20 ? 20 : (run->full_left > 0);
    if (run->full_left == 0) {
        ow_vfs_set_full(false);
    }
}

static bool open_worker(struct ow_sim_run *run)
{
    struct ow_err err = {.text = ""};
    const bool had_store = !run->plan->from_scratch || run->store_id[0] != '\0';
    const bool was_suspect = lock_is_suspect(run);
    wait_for_space(run);
    run->machines = ow_sim_machines(run->plan->variant, run->machine_version);
    if (run->opening_fault > 0) {
        ow_vfs_arm(run->opening_fault_kind, run->opening_ops, run->opening_fault);
        run->opening_fault = 0;
    }
    enum ow_status status = ow_run_open_store(run, &run->store, &err);
    if (status == OW_OK) {
        ow_count_if(was_suspect, OW_SOMETIMES_SUSPECT);
        tune(run, ow_handles_last());
        const struct ow_worker_options options = {
            .apply = {.store = run->store,
                      .machines = run->machines,
                      .clock = ow_sim_clock(),
                      .record_bytes_max = OW_MESSAGE_OVERSIZE,
                      .claim_skew_ms = run->plan->skew_ms},
            .batch_rows = (size_t)run->plan->batch_rows,
            .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
            .batch_ms = OW_BATCH_MS_DEFAULT,
            .decode_threads = (size_t)run->plan->decode_threads,
        };
        status = ow_worker_start(&options, &run->worker, &err);
    }
    count_opening(run, had_store);
    if (status != OW_OK) {
        judge_end(run, "open", status, &err);
    }
    return status == OW_OK;
}

void ow_run_use_machine(struct ow_sim_run *run)
{
    run->model.machine_version = run->machine_version;
    for (int type = 0; type < OW_MESSAGE_TYPES; type++) {
        run->model.retention_ms[type] = ow_sim_machine_retention_ms(
            run->plan->variant, run->machine_version, (enum ow_message_type)type);
        run->model.first_retention_ms[type] =
            ow_sim_machine_retention_ms(run->plan->variant, 1, (enum ow_message_type)type);
    }
}

/* What a crash left open is seen now: the batch in work is there as a whole, or it is not. */
static void resolve(struct ow_sim_run *run)
{
    const int64_t epoch = ow_store_epoch(run->store);
    if (epoch <= run->epoch) {
        ow_run_fail(run, "epoch", "it is %lld after %lld", (long long)epoch, (long long)run->epoch);
    }
    if (run->store_id[0] != '\0' && run->model.next_ref > 1 &&
        strcmp(run->store_id, ow_store_id(run->store)) != 0) {
        ow_run_fail(run, "store", "another store was made");
    }
    run->epoch = epoch;
    (void)snprintf(run->store_id, sizeof(run->store_id), "%s", ow_store_id(run->store));
    const int64_t before = run->result->records;
    const size_t pending = run->pending_count;
    ow_observe_open(run, ow_handles_last());
    run->resolving = true;
    ow_observe(run);
    run->resolving = false;
    ow_count_if(run->crashed_before && ow_observe_is_doomed_left(run), OW_SOMETIMES_CRASH_DOOMED);
    if (run->crashed_before && pending > 0) {
        ow_count(run->result->records > before ? OW_SOMETIMES_UNKNOWN_THERE
                                               : OW_SOMETIMES_UNKNOWN_GONE);
    }
    run->pending_count = 0;
    run->expectation.open = false;
    run->crashed_before = false;
    ow_run_use_machine(run);
    if (run->plan->replay || ow_random_percent(&run->random, 30)) {
        ow_check_all(run);
    }
    char state_hash[65];
    if (ow_random_percent(&run->random, 5)) {
        ow_check_promises(run, state_hash);
    }
}

static enum ow_status consume(struct ow_sim_run *run, atomic_bool *stop, struct ow_err *err)
{
    struct ow_source *source = ow_session_open(run, stop);
    const struct ow_consume_options options = {
        .source = source,
        .worker = run->worker,
        .machines = run->machines,
        .clock = ow_sim_clock(),
        .store_id = run->store_id,
        .epoch = run->epoch,
        .skips_honoured = run->skips_honoured,
        .until_end = run->until_end,
        .wait_broker_ms = 60000,
        .stop = stop,
    };
    const enum ow_status status = ow_consume(&options, err);
    (void)source->ops->close(source, 0);
    run->session = NULL;
    return status;
}

static void count_refusal(const struct ow_sim_run *run)
{
    static const enum ow_sometimes counters[] = {
        [OW_REPAIR_COMMIT] = OW_SOMETIMES_SKIP_REFUSED,
        [OW_REPAIR_MEMBERS] = OW_SOMETIMES_ASSIGNMENT_SHARED,
        [OW_REPAIR_METADATA] = OW_SOMETIMES_FOREIGN,
        [OW_REPAIR_LOW] = OW_SOMETIMES_RETENTION_LOST,
        [OW_REPAIR_RECREATED] = OW_SOMETIMES_RECREATED,
    };
    if (run->repair != OW_REPAIR_NOTHING) {
        ow_count(counters[run->repair]);
    }
    ow_count_if(run->disowned, OW_SOMETIMES_EPOCH);
}

static void close_worker(struct ow_sim_run *run)
{
    if (run->closing_crash > 0 && !ow_vfs_is_dead()) {
        ow_vfs_arm(OW_VFS_CRASH, OW_VFS_CHANGES, run->closing_crash);
    }
    ow_observe_close(run);
    ow_worker_stop(run->worker);
    ow_store_close(run->store);
    ow_count_if(run->closing_crash > 0 && ow_vfs_is_dead(), OW_SOMETIMES_CRASH_IN_CLOSE);
    run->worker = NULL;
    run->store = NULL;
    run->closing_crash = 0;
}

static void live(struct ow_sim_run *run)
{
    struct ow_err err = {.text = ""};
    const int wal_writes = ow_vfs_writes(OW_VFS_WAL);
    const int database_writes = ow_vfs_writes(OW_VFS_DATABASE);
    resolve(run);
    atomic_store(&run->stop, ow_run_is_over(run));
    run->polls_here = 0;
    ow_count_if(run->plan->decode_threads > 0, OW_SOMETIMES_THREADS);
    const int refused = ow_vfs_refused();
    const enum ow_status status = consume(run, &run->stop, &err);
    judge_end(run, "run", status, &err);
    if (status == OW_UNSAFE) {
        count_refusal(run);
    }
    ow_count_if(run->until_end && status == OW_OK && !atomic_load(&run->stop),
                OW_SOMETIMES_UNTIL_END);
    ow_count_if(run->broker.mute && status == OW_TEMPORARY, OW_SOMETIMES_UNTIL_END_PATIENCE);
    ow_count_if(ow_vfs_writes(OW_VFS_DATABASE) > database_writes, OW_SOMETIMES_CHECKPOINT);
    ow_count_if(ow_vfs_writes(OW_VFS_WAL) > wal_writes + 400, OW_SOMETIMES_SPILLED);
    if (status == OW_OK) {
        ow_count_if(ow_vfs_refused() > refused, OW_SOMETIMES_FULL_RETRIED);
        ow_observe(run);
    }
}

void ow_run_incarnation(struct ow_sim_run *run)
{
    run->result->restarts++;
    run->may_be_temporary = run->may_be_temporary || run->broker.mute;
    if (open_worker(run)) {
        live(run);
        close_worker(run);
        ow_run_repair(run);
        run->until_end = run->calm;
        run->broker.mute = false;
        run->skips_honoured = false;
        run->may_be_unsafe = run->may_be_temporary = run->disowned = false;
    } else {
        ow_store_close(run->store);
        run->store = NULL;
    }
    if (ow_vfs_is_dead() && !run->result->failed) {
        reboot(run);
    }
    ow_vfs_disarm();
}

/* What belongs to a worker, and is another one's meanwhile. */
struct worker_of_run {
    struct ow_machines *machines;
    struct ow_store *store;
    struct ow_worker *worker;
    struct ow_session *session;
    int64_t epoch;
    bool until_end;
};

static struct worker_of_run put_aside(struct ow_sim_run *run)
{
    const struct worker_of_run aside = {.machines = run->machines,
                                        .store = run->store,
                                        .worker = run->worker,
                                        .session = run->session,
                                        .epoch = run->epoch,
                                        .until_end = run->until_end};
    run->store = NULL;
    run->worker = NULL;
    return aside;
}

/*
 * The lock is gone (somebody removed its file) and a standby takes the store over, reads all that
 * there is and leaves. The first worker, which knows nothing of it, must then be stopped by the
 * epoch before it writes anything.
 */
void ow_run_take_over(struct ow_sim_run *run)
{
    struct ow_err err = {.text = ""};
    ow_observe(run);
    const struct worker_of_run first = put_aside(run);
    ow_observe_close(run);
    (void)unlink(run->lock_path);
    run->pending_count = 0;
    run->disowned = run->nested = run->until_end = true;
    ow_run_trace(run, "takeover");
    if (open_worker(run)) {
        atomic_bool stop = false;
        resolve(run);
        const enum ow_status status = consume(run, &stop, &err);
        judge_end(run, "takeover", status, &err);
        if (status == OW_OK) {
            ow_observe(run);
        } else {
            ow_vfs_die(); /* what it has done last is seen after the reboot */
        }
        close_worker(run);
    } else {
        ow_vfs_die(); /* who owns the store now is not known: let the host go down */
        ow_store_close(run->store);
    }
    run->nested = false;
    if (!ow_vfs_is_dead()) {
        run->pending_count = 0;
    }
    run->machines = first.machines;
    run->store = first.store;
    run->worker = first.worker;
    run->session = first.session;
    run->until_end = first.until_end;
    run->may_be_unsafe = true;
    ow_session_make_zombie(run->session, 12);
}
