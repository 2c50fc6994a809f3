#include "base/contract.h"
#include "clock.h"
#include "counters.h"
#include "run.h"
#include "session.h"

/*
 * After every step: what has the worker made durable? The records that it was given since and that
 * its positions have passed are given to the model, in the order in which the worker got them, and
 * then the positions and counters must be the model's.
 */

struct row {
    bool stored;
    int64_t next, high, seen;
    int64_t counts[OW_OUTCOME_COUNT];
    int64_t reread;
};

struct look {
    struct row rows[OW_BROKER_LOGS_MAX];
    int64_t batch, next_ref, parked;
};

static sqlite3_stmt *prepare(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    const int code =
        sqlite3_prepare_v3(handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
    OW_INVARIANT(code == SQLITE_OK);
    return statement;
}

void ow_observe_open(struct ow_sim_run *run, sqlite3 *handle)
{
    struct ow_observer *observer = &run->observer;
    ow_vfs_set_quiet(true);
    observer->handle = handle;
    observer->positions =
        prepare(handle, "SELECT topic, partition, next_offset, high_offset,"
                        " coalesce(seen_committed, -1), applied, duplicate, stale, parked,"
                        " quarantined, filtered, reread FROM ow_position");
    observer->meta = prepare(handle, "SELECT (SELECT value FROM ow_meta WHERE key = 'batch'),"
                                     " (SELECT value FROM ow_meta WHERE key = 'next_ref'),"
                                     " (SELECT count(*) FROM ow_parked)");
    observer->parked = prepare(handle, "SELECT id FROM ow_quarantine WHERE reason = 'park_timeout'"
                                       " AND id NOT IN (SELECT id FROM ow_parked) ORDER BY id");
    observer->pruned =
        prepare(handle, "SELECT CAST(substr(b.key, 14) AS INTEGER), coalesce(h.value,"
                        " -9223372036854775808), b.value FROM ow_meta b LEFT JOIN ow_meta h"
                        " ON h.key = 'pruned.' || substr(b.key, 14)"
                        " WHERE b.key GLOB 'pruned_below.*'");
    observer->kept =
        prepare(handle, "SELECT c.ref FROM ow_bucket b JOIN ow_claims c USING (bucket)"
                        " WHERE b.bucket >= coalesce((SELECT value FROM ow_meta WHERE key ="
                        " 'pruned_below.' || b.class), 0)");
    observer->expired =
        prepare(handle, "SELECT 1 FROM ow_quarantine WHERE topic = ? AND partition = ?"
                        " AND offset = ? AND reason = 'expired'");
    observer->changes = 0;
    ow_vfs_set_quiet(false);
}

void ow_observe_close(struct ow_sim_run *run)
{
    struct ow_observer *observer = &run->observer;
    (void)sqlite3_finalize(observer->positions);
    (void)sqlite3_finalize(observer->meta);
    (void)sqlite3_finalize(observer->parked);
    (void)sqlite3_finalize(observer->pruned);
    (void)sqlite3_finalize(observer->kept);
    (void)sqlite3_finalize(observer->expired);
    observer->handle = NULL;
    observer->positions = observer->meta = observer->parked = NULL;
    observer->pruned = observer->kept = observer->expired = NULL;
}

static bool read_positions(struct ow_sim_run *run, struct look *look)
{
    sqlite3_stmt *statement = run->observer.positions;
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        const struct ow_log *log = ow_broker_log(
            &run->broker, ow_slice_of((const char *)sqlite3_column_text(statement, 0)),
            sqlite3_column_int(statement, 1));
        if (log == NULL) {
            ow_run_fail(run, "positions", "there is a position of a partition that is not there");
            break;
        }
        struct row *row = &look->rows[ow_broker_index(&run->broker, log)];
        row->stored = true;
        row->next = sqlite3_column_int64(statement, 2);
        row->high = sqlite3_column_int64(statement, 3);
        row->seen = sqlite3_column_int64(statement, 4);
        for (int i = 0; i < OW_OUTCOME_COUNT; i++) {
            row->counts[i] = sqlite3_column_int64(statement, 5 + i);
        }
        row->reread = sqlite3_column_int64(statement, 5 + OW_OUTCOME_COUNT);
    }
    (void)sqlite3_reset(statement);
    return code == SQLITE_DONE;
}

static bool read_store(struct ow_sim_run *run, struct look *look)
{
    sqlite3_stmt *meta = run->observer.meta;
    if (!read_positions(run, look)) {
        return false;
    }
    const bool there = sqlite3_step(meta) == SQLITE_ROW;
    look->batch = sqlite3_column_int64(meta, 0);
    look->next_ref = sqlite3_column_int64(meta, 1);
    look->parked = sqlite3_column_int64(meta, 2);
    (void)sqlite3_reset(meta);
    return there;
}

/* Whether the assignment that was planned has been applied: then all of it has. */
static bool is_assignment_applied(const struct ow_sim_run *run, const struct look *look)
{
    for (size_t i = 0; i < run->expectation.count; i++) {
        const struct row *row = &look->rows[i];
        switch (run->expectation.partitions[i].kind) {
        case OW_EXPECT_STORED:
            break;
        case OW_EXPECT_START:
            if (row->stored) {
                return true;
            }
            break;
        case OW_EXPECT_REWIND:
        case OW_EXPECT_SKIP:
            if (row->seen == run->expectation.partitions[i].committed) {
                return true;
            }
            break;
        }
    }
    return false;
}

static void apply_assignment(struct ow_sim_run *run)
{
    for (size_t i = 0; i < run->expectation.count; i++) {
        const int64_t at = run->expectation.partitions[i].at;
        switch (run->expectation.partitions[i].kind) {
        case OW_EXPECT_STORED:
            break;
        case OW_EXPECT_START:
            ow_model_start(&run->model, i, at);
            break;
        case OW_EXPECT_REWIND:
            ow_model_rewind(&run->model, i, at);
            ow_count(OW_SOMETIMES_REWOUND);
            break;
        case OW_EXPECT_SKIP:
            ow_model_skip(&run->model, i, at);
            ow_count(OW_SOMETIMES_SKIP_HONOURED);
            break;
        }
    }
    run->expectation.open = false;
}

/* The offset of the first record of a log at or behind another one; the log's end without. */
static int64_t next_record(const struct ow_log *log, int64_t offset)
{
    const size_t at = ow_log_find(log, offset);
    return at < log->count ? log->records[at]->record.offset : log->end;
}

/* One record that the positions have passed. */
static void take(struct ow_sim_run *run, const struct ow_logged *logged, size_t in_batch)
{
    const struct ow_model_partition *partition = &run->model.partitions[logged->log];
    const struct ow_log *log = &run->broker.logs[logged->log];
    const int64_t due = next_record(log, partition->next);
    if (logged->record.offset != due) {
        ow_run_fail(run, "order", "%s[%d]: offset %lld was handled before offset %lld", log->topic,
                    (int)log->partition, (long long)logged->record.offset, (long long)due);
        return;
    }
    const uint64_t poison = ow_sometimes()[OW_SOMETIMES_POISON];
    run->model.said_expired = run->plan->days && ow_observe_is_expired(run, logged);
    ow_model_take(&run->model, logged, run->resolving ? -1 : ow_sim_clock_now_ms());
    if (run->model.twice != NULL) {
        ow_run_fail(run, "twice", "%s[%d]: offset %lld is let in again after its claim was pruned",
                    log->topic, (int)log->partition, (long long)logged->record.offset);
    }
    ow_run_trace(run, "take %s[%d] %lld", log->topic, (int)log->partition,
                 (long long)logged->record.offset);
    run->result->records++;
    if (ow_sometimes()[OW_SOMETIMES_POISON] != poison) {
        ow_count(in_batch == 1 ? OW_SOMETIMES_POISON_ALONE : OW_SOMETIMES_POISON_AMONG);
    }
}

/* Whether the position may yet go back: the assignment waits, while the store has been tended. */
static bool may_be_rewound(const struct ow_sim_run *run, size_t log)
{
    return run->expectation.open && run->expectation.partitions[log].kind != OW_EXPECT_STORED;
}

/* How many of the pending records the positions have passed. */
static size_t count_passed(const struct ow_sim_run *run, const struct look *look)
{
    size_t passed = 0;
    for (size_t i = 0; i < run->pending_count; i++) {
        const struct ow_logged *logged = run->pending[i];
        passed += logged->record.offset < look->rows[logged->log].next &&
                  logged->record.offset >= run->model.partitions[logged->log].next;
    }
    return passed;
}

static void take_pending(struct ow_sim_run *run, const struct look *look)
{
    const size_t passed = count_passed(run, look);
    size_t left = 0;
    size_t wanted = 0;
    for (size_t i = 0; i < run->pending_count && !run->result->failed; i++) {
        const struct ow_logged *logged = run->pending[i];
        const int64_t offset = logged->record.offset;
        if (offset < run->model.partitions[logged->log].next) {
            if (may_be_rewound(run, logged->log)) {
                run->pending[left++] = run->pending[i];
            }
            continue; /* below the position: dropped */
        }
        wanted++;
        if (offset < look->rows[logged->log].next) {
            take(run, logged, passed);
        } else {
            wanted -= logged == run->left;
            run->pending[left++] = run->pending[i];
        }
    }
    run->pending_count = left;
    /* Without threads what is pending is one batch, and a batch is there or it is not. */
    if (run->plan->decode_threads == 0 && passed > 0 && passed < wanted) {
        ow_run_fail(run, "atomic", "%zu records of a batch of %zu are there", passed, wanted);
    }
}

/* Positions beyond the last record: only where the log has no record between. */
static void take_ends(struct ow_sim_run *run, const struct look *look)
{
    for (size_t i = 0; i < run->broker.log_count; i++) {
        const int64_t from = run->model.partitions[i].next;
        const int64_t to = look->rows[i].next;
        if (!look->rows[i].stored || !run->model.partitions[i].stored || to <= from) {
            continue;
        }
        const struct ow_log *log = &run->broker.logs[i];
        if (to > log->end || next_record(log, from) < to) {
            ow_run_fail(run, "no_loss", "%s[%d]: the position went from %lld to %lld over a record",
                        log->topic, (int)log->partition, (long long)from, (long long)to);
            return;
        }
        ow_model_end(&run->model, i, to);
    }
}

/*
 * Whether a partition's part of the stream time has passed a deadline: it is read to its end, as of
 * some seconds ago at the most, or its last record is of a later time.
 */
static bool has_passed(const struct ow_log *log, const struct ow_model_partition *partition,
                       int64_t deadline_ms)
{
    enum { ENDS_HOLD_MS = 15000, MARGIN_MS = 1000 };
    const int64_t before_ns =
        ow_sim_clock_elapsed_ns() - (int64_t)(ENDS_HOLD_MS + MARGIN_MS) * 1000000;
    const size_t at = ow_log_find(log, partition->next);
    const bool is_unread = at < log->count && log->records[at]->appended_ns < before_ns;
    return !is_unread || (at > 0 && log->records[at - 1]->record.timestamp_ms >= deadline_ms);
}

bool ow_observe_stream_passed(const struct ow_sim_run *run, int64_t time_ms)
{
    for (size_t i = 0; i < run->broker.log_count; i++) {
        const struct ow_model_partition *partition = &run->model.partitions[i];
        if (partition->stored && !has_passed(&run->broker.logs[i], partition, time_ms)) {
            return false;
        }
    }
    return true;
}

/* DESIGN 9: both the wall clock and the stream time must be past the limit. */
static bool is_overdue(const struct ow_sim_run *run, const struct ow_model_parked *parked)
{
    if (parked->parked_at_ms < 0) {
        return true; /* it was parked in a batch whose time is not known */
    }
    const int64_t deadline_ms =
        parked->parked_at_ms + ow_sim_machine_deadline_ms(run->plan->variant);
    if (deadline_ms > ow_sim_clock_now_ms()) {
        return false;
    }
    return ow_observe_stream_passed(run, deadline_ms);
}

static void take_timeouts(struct ow_sim_run *run, const struct look *look)
{
    if (look->parked == run->model.parked_count) {
        return;
    }
    sqlite3_stmt *statement = run->observer.parked;
    while (sqlite3_step(statement) == SQLITE_ROW && !run->result->failed) {
        const struct ow_model_parked *parked =
            ow_model_time_out(&run->model, sqlite3_column_int64(statement, 0));
        if (parked != NULL && !is_overdue(run, parked)) {
            ow_run_fail(run, "deadline", "the parked record %lld timed out too early",
                        (long long)parked->id);
        }
    }
    (void)sqlite3_reset(statement);
    if (!run->result->failed && look->parked != run->model.parked_count) {
        ow_run_fail(run, "parked", "%lld records are parked, and %lld should be",
                    (long long)look->parked, (long long)run->model.parked_count);
    }
}

static void compare(struct ow_sim_run *run, const struct look *look)
{
    for (size_t i = 0; i < run->broker.log_count && !run->result->failed; i++) {
        const struct ow_model_partition *model = &run->model.partitions[i];
        const struct row *row = &look->rows[i];
        const struct ow_log *log = &run->broker.logs[i];
        if (row->next < model->next) {
            ow_run_fail(run, "durable", "%s[%d]: the position went back from %lld to %lld",
                        log->topic, (int)log->partition, (long long)model->next,
                        (long long)row->next);
        } else if (row->stored != model->stored || row->next != model->next ||
                   row->high != model->high || row->reread != model->reread ||
                   memcmp(row->counts, model->counts, sizeof(row->counts)) != 0) {
            ow_run_fail(run, "counters",
                        "%s[%d]: next %lld high %lld reread %lld, expected %lld %lld %lld; or the "
                        "outcomes differ",
                        log->topic, (int)log->partition, (long long)row->next, (long long)row->high,
                        (long long)row->reread, (long long)model->next, (long long)model->high,
                        (long long)model->reread);
        }
    }
    if (!run->result->failed && look->next_ref != run->model.next_ref) {
        ow_run_fail(run, "numbers", "next_ref is %lld, and should be %lld",
                    (long long)look->next_ref, (long long)run->model.next_ref);
    }
}

/*
 * What is written next is of no earlier time. But what a fault has struck may be there already, and
 * show only when the file is opened again: a COMMIT that failed is unknown.
 */
static void begin_window(void)
{
    if (ow_vfs_struck() == NULL) {
        ow_sim_clock_begin_window();
    }
}

void ow_observe(struct ow_sim_run *run)
{
    struct ow_observer *observer = &run->observer;
    if (observer->handle == NULL || ow_run_is_over(run) ||
        sqlite3_get_autocommit(observer->handle) == 0) {
        return;
    }
    if (observer->changes == ow_vfs_changes() + 1) {
        begin_window();
        return;
    }
    struct look look = {0};
    ow_vfs_set_quiet(true);
    const bool read = read_store(run, &look);
    if (!read) {
        ow_vfs_set_quiet(false);
        return; /* the connection is of no use any more: the worker will notice */
    }
    if (look.batch < observer->batch) {
        ow_run_fail(run, "durable", "the batch number went back from %lld to %lld",
                    (long long)observer->batch, (long long)look.batch);
    }
    if (run->expectation.open && is_assignment_applied(run, &look)) {
        apply_assignment(run);
    }
    take_pending(run, &look);
    take_ends(run, &look);
    take_timeouts(run, &look);
    ow_observe_claims(run);
    compare(run, &look);
    ow_vfs_set_quiet(false);
    run->result->batches += look.batch - observer->batch;
    observer->batch = look.batch;
    observer->changes = ow_vfs_changes() + 1;
    begin_window();
    ow_run_trace(run, "batch %lld ref %lld", (long long)look.batch, (long long)look.next_ref);
}
