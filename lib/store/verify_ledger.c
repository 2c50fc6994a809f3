#include "store/verify_internal.h"

#include <inttypes.h>

/*
 * The ledger of each position, as far as it went at the begin: without a gap from the first run to
 * the high mark, its sums the position's counters, and its runs what the rows say
 * (verify_outcomes.c). Only a ledger's last run grows; it is taken as it was then.
 */

/* A partition as its runs go by. */
struct walk {
    const struct ow_verify_partition *partition;
    bool any;
    int64_t next_first; /* where the next run must begin */
    int64_t counts[OW_OUTCOME_COUNT];
    struct ow_verify_traces *traces;
};

/* enum ow_outcome; -1: skipped or lost, -2: no word of ours. */
static int outcome_of(struct ow_slice text)
{
    for (int outcome = 0; outcome < OW_OUTCOME_COUNT; outcome++) {
        if (ow_slice_equals_text(text, ow_outcome_text((enum ow_outcome)outcome))) {
            return outcome;
        }
    }
    return ow_slice_equals_text(text, "skipped") || ow_slice_equals_text(text, "lost") ? -1 : -2;
}

static void check_run(struct ow_verify *verify, struct walk *walk, const struct ow_verify_run *run,
                      struct ow_slice outcome)
{
    const struct ow_verify_partition *partition = walk->partition;
    ow_verify_checked(verify, OW_PROMISE_LEDGER, 1);
    if ((walk->any && run->first != walk->next_first) || run->first < 0 || run->last < run->first ||
        run->records < 0 || run->records > run->last - run->first + 1) {
        ow_verify_broken(verify, OW_PROMISE_LEDGER,
                         OW_SLICE_FMT "[%" PRId64 "]: the run from %" PRId64 " to %" PRId64
                                      " with %" PRId64 " records follows offset %" PRId64,
                         OW_SLICE_ARG(partition->topic), partition->partition, run->first,
                         run->last, run->records, walk->next_first - 1);
    }
    if (run->outcome == -2 || (run->outcome == -1 && run->records != 0)) {
        ow_verify_broken(verify, OW_PROMISE_LEDGER,
                         OW_SLICE_FMT "[%" PRId64 "]: the run from %" PRId64
                                      " has the outcome '" OW_SLICE_FMT "' with %" PRId64
                                      " records",
                         OW_SLICE_ARG(partition->topic), partition->partition, run->first,
                         OW_SLICE_ARG(outcome), run->records);
    }
    walk->any = true;
    walk->next_first = run->last + 1;
    if (run->outcome >= 0) {
        walk->counts[run->outcome] += run->records;
    }
}

static enum ow_status take_run(struct ow_verify *verify, struct walk *walk,
                               const struct ow_statement *row, struct ow_err *err)
{
    const struct ow_verify_partition *partition = walk->partition;
    const struct ow_slice outcome = ow_sql_slice(row, 2);
    struct ow_verify_run run = {.partition = partition,
                                .number = partition - verify->partitions,
                                .first = ow_sql_i64(row, 0),
                                .last = ow_sql_i64(row, 1),
                                .records = ow_sql_i64(row, 3),
                                .outcome = outcome_of(outcome)};
    if (run.first == partition->last_first && verify->slices.batch != verify->slices.first_batch) {
        run.records = partition->last_records;
        run.last = partition->high_offset - 1;
    }
    check_run(verify, walk, &run, outcome);
    return ow_verify_traces_of(verify, walk->traces, &run, err);
}

static void end_partition(struct ow_verify *verify, const struct walk *walk)
{
    const struct ow_verify_partition *partition = walk->partition;
    if (walk->any && walk->next_first != partition->high_offset) {
        ow_verify_broken(verify, OW_PROMISE_LEDGER,
                         OW_SLICE_FMT "[%" PRId64 "]: the ledger ends before offset %" PRId64
                                      ", the high mark is %" PRId64,
                         OW_SLICE_ARG(partition->topic), partition->partition, walk->next_first,
                         partition->high_offset);
    }
    for (int outcome = 0; outcome < OW_OUTCOME_COUNT; outcome++) {
        ow_verify_checked(verify, OW_PROMISE_COUNTERS, 1);
        if (partition->counts[outcome] != walk->counts[outcome]) {
            ow_verify_broken(verify, OW_PROMISE_COUNTERS,
                             OW_SLICE_FMT "[%" PRId64 "]: the counter %s is %" PRId64
                                          ", the ledger has %" PRId64,
                             OW_SLICE_ARG(partition->topic), partition->partition,
                             ow_outcome_text((enum ow_outcome)outcome), partition->counts[outcome],
                             walk->counts[outcome]);
        }
    }
}

static enum ow_status walk_partition(struct ow_verify *verify, struct walk *walk,
                                     struct ow_err *err)
{
    const struct ow_verify_partition *partition = walk->partition;
    OW_VERIFY_CURSOR runs = {
        .by = OW_VERIFY_BY_NUMBER,
        .fixed = {ow_value_text(partition->topic), ow_value_integer(partition->partition),
                  ow_value_integer(partition->incarnation)},
        .fixed_count = 3
    };
    OW_TRY(ow_verify_cursor_open(&runs, verify,
                                 "SELECT first_offset, last_offset, outcome, records FROM ow_ledger"
                                 " WHERE topic = ? AND partition = ? AND incarnation = ?"
                                 " AND first_offset >= ? ORDER BY first_offset",
                                 err));
    bool row = false;
    OW_TRY(ow_verify_cursor_next(&runs, &row, err));
    while (row &&
           (!partition->has_run || ow_sql_i64(&runs.statement, 0) <= partition->last_first)) {
        OW_TRY(take_run(verify, walk, &runs.statement, err));
        OW_TRY(ow_verify_pause(verify, err));
        OW_TRY(ow_verify_cursor_next(&runs, &row, err));
    }
    end_partition(verify, walk);
    return OW_OK;
}

/* Ledgers of no position: from one to the next, without reading their runs. */
static enum ow_status find_strays(struct ow_verify *verify, struct ow_err *err)
{
    OW_STATEMENT next = {0};
    OW_TRY(ow_sql_prepare(
        &verify->sql,
        "SELECT topic, partition, incarnation, EXISTS (SELECT 1 FROM ow_position p WHERE"
        " p.topic = l.topic AND p.partition = l.partition AND p.incarnation = l.incarnation)"
        " FROM ow_ledger l WHERE (topic, partition, incarnation) > (?, ?, ?)"
        " ORDER BY topic, partition, incarnation LIMIT 1",
        &next, err));
    struct ow_slice topic = OW_SLICE("");
    int64_t partition = INT64_MIN;
    int64_t incarnation = INT64_MIN;
    bool row = true;
    while (row) {
        ow_sql_bind_text(&next, topic);
        ow_sql_bind_i64(&next, partition);
        ow_sql_bind_i64(&next, incarnation);
        OW_TRY(ow_sql_step(&next, &row, err));
        if (!row) {
            continue;
        }
        topic = ow_sql_copy(&next, 0, &verify->scratch);
        partition = ow_sql_i64(&next, 1);
        incarnation = ow_sql_i64(&next, 2);
        if (ow_sql_i64(&next, 3) == 0) {
            ow_verify_broken(verify, OW_PROMISE_LEDGER,
                             OW_SLICE_FMT "[%" PRId64 "] has a ledger but no position",
                             OW_SLICE_ARG(topic), partition);
        }
        ow_sql_reset(&next);
        OW_TRY(ow_verify_pause(verify, err));
    }
    return OW_OK;
}

/* The quarantine has seen each quarantined record; re-reads, and what comes meanwhile, only more.
 */
static void check_seen(struct ow_verify *verify)
{
    int64_t most = verify->quarantined;
    for (size_t i = 0; i < verify->partition_count; i++) {
        most += verify->partitions[i].reread;
    }
    const bool written = verify->slices.batch != verify->slices.first_batch;
    if (verify->seen < verify->quarantined || (verify->seen > most && !written)) {
        ow_verify_broken(verify, OW_PROMISE_OUTCOMES,
                         "the ledgers have %" PRId64
                         " quarantined records, but the quarantine has seen %" PRId64,
                         verify->quarantined, verify->seen);
    }
}

static enum ow_status walk_all(struct ow_verify *verify, struct ow_verify_traces *traces,
                               struct ow_err *err)
{
    OW_TRY(ow_verify_traces_begin(verify, traces, err));
    for (size_t i = 0; i < verify->partition_count; i++) {
        struct walk walk = {.partition = &verify->partitions[i], .traces = traces};
        OW_TRY(walk_partition(verify, &walk, err));
    }
    return ow_verify_traces_of(verify, traces, NULL, err);
}

enum ow_status ow_verify_ledger(struct ow_verify *verify, struct ow_err *err)
{
    struct ow_verify_traces traces = {0};
    const enum ow_status status = walk_all(verify, &traces, err);
    ow_sql_finalize(&traces.statement);
    OW_TRY(status);
    check_seen(verify);
    return find_strays(verify, err);
}
