#include "base/buffer.h"
#include "base/contract.h"
#include "counters.h"
#include "incarnation.h"

#include <stdio.h>

/* What operators do while the worker is stopped. */

static struct ow_log *take_log(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    run->repair_log = ow_run_pick_log(run, action);
    return &run->broker.logs[run->repair_log];
}

static void reset(struct ow_log *log, int64_t offset)
{
    if (log->recreated) {
        return; /* a rewound worker would take what it is given for the records that it knows */
    }
    log->committed = offset < log->low ? log->low : offset;
    log->metadata[0] = '\0';
}

/* d: of all partitions at once. */
static void rewind_group(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    const size_t one = ow_run_pick_log(run, action);
    if (run->repair != OW_REPAIR_NOTHING) {
        return;
    }
    for (size_t i = 0; i < run->broker.log_count; i++) {
        if (action->d != 0 || i == one) {
            reset(&run->broker.logs[i], run->model.partitions[i].next * action->c / 100);
        }
    }
}

static void skip(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    if (run->repair != OW_REPAIR_NOTHING) {
        return; /* one thing to put back at a time */
    }
    struct ow_log *log = take_log(run, action);
    const struct ow_model_partition *partition = &run->model.partitions[run->repair_log];
    if (!partition->stored || partition->next >= log->end) {
        return;
    }
    const int64_t to = partition->next + action->c;
    run->repair = OW_REPAIR_COMMIT;
    reset(log, to < log->end ? to : log->end);
    run->skips_honoured = action->d != 0;
}

static void execute(sqlite3 *handle, const char *sql, bool *done)
{
    *done = sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK && *done;
}

static bool create_trigger(sqlite3 *handle, const struct ow_plan_action *action)
{
    static const struct {
        const char *table, *on, *column, *prefix;
    } targets[OW_POISONS] = {
        [OW_POISON_PAYMENT] = {"payments",       "INSERT", "payment_id", "p"},
        [OW_POISON_ORDER] = {"orders",         "INSERT", "order_id",   "o"},
        [OW_POISON_HISTORY] = {"ow_history_row", "INSERT", "message_id", "m"},
    };
    OW_BUFFER sql = {0};
    bool done = true;
    execute(handle, "DROP TRIGGER IF EXISTS poison; DROP TRIGGER IF EXISTS poison_update", &done);
    ow_buffer_printf(&sql,
                     "CREATE TRIGGER poison BEFORE INSERT ON %s WHEN NEW.%s = '%s%d'"
                     " BEGIN SELECT RAISE(ABORT, 'poisoned'); END",
                     targets[action->a].table, targets[action->a].column, targets[action->a].prefix,
                     action->b);
    execute(handle, ow_buffer_cstr(&sql), &done);
    if (action->a == OW_POISON_ORDER) {
        ow_buffer_clear(&sql);
        ow_buffer_printf(&sql,
                         "CREATE TRIGGER poison_update BEFORE UPDATE ON orders WHEN NEW.order_id"
                         " = 'o%d' BEGIN SELECT RAISE(ABORT, 'poisoned'); END",
                         action->b);
        execute(handle, ow_buffer_cstr(&sql), &done);
    }
    return done;
}

/* An operator's own trigger refuses some rows: what the store refuses is poison. */
static void poison(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    sqlite3 *handle = NULL;
    ow_vfs_set_quiet(true);
    if (sqlite3_open_v2(run->path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
            SQLITE_OK &&
        sqlite3_exec(handle, "SELECT count(*) FROM payments", NULL, NULL, NULL) == SQLITE_OK) {
        /* What a crash left open is decided before the trigger is there. */
        ow_observe_open(run, handle);
        run->resolving = true;
        ow_observe(run);
        run->resolving = false;
        ow_observe_close(run);
        ow_vfs_set_quiet(true);
        run->pending_count = 0;
        if (!run->result->failed && create_trigger(handle, action)) {
            run->model.poison = (enum ow_poison)action->a;
            run->model.poisoned = action->b;
        }
    }
    (void)sqlite3_close(handle);
    ow_vfs_set_quiet(false);
}

static void share(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    (void)action;
    if (run->repair != OW_REPAIR_NOTHING) {
        return;
    }
    run->broker.members = 2;
    run->old_assignment = 1;
    run->may_be_unsafe = true;
    run->repair = OW_REPAIR_MEMBERS;
}

static void make_foreign(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    if (run->repair != OW_REPAIR_NOTHING) {
        return; /* one thing to put back at a time */
    }
    struct ow_log *log = take_log(run, action);
    if (log->metadata[0] == '\0') {
        return;
    }
    run->repair = OW_REPAIR_METADATA;
    memcpy(run->repair_metadata, log->metadata, sizeof(log->metadata));
    ow_metadata_format(log->metadata, "0123456789abcdef0123456789abcdef", 1, log->committed);
}

/* Unread records are gone. */
static void lose_records(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    if (run->repair != OW_REPAIR_NOTHING) {
        return; /* one thing to put back at a time */
    }
    struct ow_log *log = take_log(run, action);
    const int64_t next = run->model.partitions[run->repair_log].next;
    if (next >= log->end || !run->model.partitions[run->repair_log].stored) {
        return;
    }
    run->repair = OW_REPAIR_LOW;
    run->repair_offset = log->low;
    log->low = next + 1;
}

static void recreate(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    if (run->repair != OW_REPAIR_NOTHING) {
        return; /* one thing to put back at a time */
    }
    struct ow_log *log = take_log(run, action);
    const struct ow_model_partition *partition = &run->model.partitions[run->repair_log];
    /* Only where the worker can notice: the record before its position has an anchor. */
    if (!partition->stored || partition->anchor != partition->next - 1 ||
        partition->anchor < log->low || log->metadata[0] == '\0') {
        return;
    }
    log->recreated = true;
    run->may_be_unsafe = true;
    run->repair = OW_REPAIR_RECREATED;
}

static void upgrade(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    (void)action;
    if (run->machine_version < OW_MACHINE_VERSIONS) {
        run->machine_version++;
        ow_count(OW_SOMETIMES_UPGRADED);
    }
}

/*
 * Offsets that lie ahead of the store's positions and were not honoured, as the worker's refusal
 * asks: what was skipped, and what was meant as a rewind while nobody knew that the store had gone
 * further back (a rewind before, with an unknown COMMIT).
 */
static void put_back_offsets(struct ow_sim_run *run)
{
    for (size_t i = 0; i < run->broker.log_count; i++) {
        struct ow_log *log = &run->broker.logs[i];
        if (log->metadata[0] == '\0' && log->committed > run->model.partitions[i].next) {
            reset(log, run->model.partitions[i].next);
        }
    }
}

void ow_run_repair(struct ow_sim_run *run)
{
    struct ow_log *log = &run->broker.logs[run->repair_log];
    switch (run->repair) {
    case OW_REPAIR_MEMBERS:
        run->broker.members = 1;
        break;
    case OW_REPAIR_METADATA:
        memcpy(log->metadata, run->repair_metadata, sizeof(log->metadata));
        break;
    case OW_REPAIR_LOW:
        log->low = run->repair_offset;
        break;
    case OW_REPAIR_RECREATED:
        log->recreated = false;
        break;
    case OW_REPAIR_COMMIT:
    case OW_REPAIR_NOTHING:
        break;
    }
    put_back_offsets(run);
    run->repair = OW_REPAIR_NOTHING;
    run->old_assignment = 0;
}

static void stop(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    (void)run;
    (void)action;
    ow_count(OW_SOMETIMES_STOP);
}

static void arm_opening(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    ow_run_note_loss(run, action);
    run->opening_fault = action->b;
    run->opening_ops = (unsigned)action->a;
    run->opening_fault_kind = action->kind == OW_DO_CRASH_OPEN ? OW_VFS_CRASH : OW_VFS_ERROR;
}

static void assign_as_before(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    run->old_assignment = (size_t)action->a;
}

static void run_to_end(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    run->until_end = true;
    run->broker.mute = action->kind == OW_DO_NO_ASSIGNMENT;
}

void ow_run_down(struct ow_sim_run *run, const struct ow_plan_action *action)
{
    static void (*const acts[OW_DO_KINDS])(struct ow_sim_run * run,
                                           const struct ow_plan_action *action) = {
        [OW_DO_STOP] = stop,
        [OW_DO_CRASH_OPEN] = arm_opening,
        [OW_DO_ERROR_OPEN] = arm_opening,
        [OW_DO_REWIND] = rewind_group,
        [OW_DO_SKIP] = skip,
        [OW_DO_POISON] = poison,
        [OW_DO_UPGRADE] = upgrade,
        [OW_DO_SHARED] = share,
        [OW_DO_OLD_ASSIGNMENT] = assign_as_before,
        [OW_DO_FOREIGN] = make_foreign,
        [OW_DO_LOST_RECORDS] = lose_records,
        [OW_DO_RECREATE] = recreate,
        [OW_DO_UNTIL_END] = run_to_end,
        [OW_DO_NO_ASSIGNMENT] = run_to_end,
    };
    OW_INVARIANT(acts[action->kind] != NULL);
    acts[action->kind](run, action);
}
