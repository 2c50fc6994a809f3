#include "store/verify_internal.h"

#include <inttypes.h>

/*
 * The ledger against the rows. Each row that a record left has the record's offset, so two streams
 * in the order of offsets are walked side by side: the ledger's runs, and all traces. A run of n
 * applied records must meet n history rows, and so on. What was parked first may lie elsewhere by
 * now: in the history, in quarantine, or sighted as stale.
 *
 * A record that was read again (below the high mark) may leave a trace of another kind than its
 * first outcome, and no ledger row: where a position counts re-reads, more traces than records are
 * no fault. A conflict that was met again only counts up the row that is there, so quarantined runs
 * may meet fewer rows than records.
 */

enum trace {
    TRACE_APPLIED,
    TRACE_WOKEN,
    TRACE_PARKED,
    TRACE_QUARANTINED,
    TRACE_STALE,
    TRACE_DUPLICATE,
    TRACE_COUNT
};

static const char *const trace_names[TRACE_COUNT] = {"a history row",    "a woken history row",
                                                     "a parked record",  "a quarantine row",
                                                     "a stale sighting", "a sighting"};

/* A run of the ledger with the traces it met. */
struct run {
    struct ow_slice topic;
    int64_t partition, first, last, records;
    int64_t outcome; /* enum ow_outcome, or -1: skipped, lost */
    bool reread;
    int64_t met[TRACE_COUNT];
};

struct streams {
    struct ow_statement runs, traces;
    bool run_row, trace_row;
    int64_t quarantined_records;
};

static bool fits(int64_t outcome, enum trace trace)
{
    switch (trace) {
    case TRACE_APPLIED:
        return outcome == OW_OUTCOME_APPLIED;
    case TRACE_WOKEN:
    case TRACE_PARKED:
        return outcome == OW_OUTCOME_PARKED;
    case TRACE_QUARANTINED:
        return outcome == OW_OUTCOME_QUARANTINED || outcome == OW_OUTCOME_PARKED;
    case TRACE_STALE:
        return outcome == OW_OUTCOME_STALE || outcome == OW_OUTCOME_PARKED;
    case TRACE_DUPLICATE:
        return outcome == OW_OUTCOME_DUPLICATE;
    case TRACE_COUNT:
        break;
    }
    OW_IMPOSSIBLE("a trace of no kind");
}

static void end_run(struct ow_verify *verify, const struct run *run)
{
    int64_t met = 0;
    for (int trace = 0; trace < TRACE_COUNT; trace++) {
        met += fits(run->outcome, (enum trace)trace) ? run->met[trace] : 0;
    }
    bool ok = true;
    if (run->outcome == OW_OUTCOME_QUARANTINED) {
        ok = run->reread || met <= run->records;
    } else if (run->outcome >= 0 && run->outcome != OW_OUTCOME_FILTERED) {
        ok = met == run->records || (run->reread && met > run->records);
    }
    ow_verify_checked(verify, OW_PROMISE_OUTCOMES, 1);
    if (!ok) {
        ow_verify_broken(
            verify, OW_PROMISE_OUTCOMES,
            OW_SLICE_FMT "[%" PRId64 "]: the ledger has %" PRId64 " %s records at offsets %" PRId64
                         " to %" PRId64 ", but %" PRId64 " can be seen",
            OW_SLICE_ARG(run->topic), run->partition, run->records,
            ow_outcome_text((enum ow_outcome)run->outcome), run->first, run->last, met);
    }
}

static struct run take_run(const struct ow_statement *row)
{
    return (struct run){.topic = ow_sql_slice(row, 0),
                        .partition = ow_sql_i64(row, 1),
                        .first = ow_sql_i64(row, 2),
                        .last = ow_sql_i64(row, 3),
                        .records = ow_sql_i64(row, 4),
                        .outcome = ow_sql_i64(row, 5),
                        .reread = ow_sql_i64(row, 6) > 0};
}

/* Where the trace lies: before (-1), within (0) or behind (1) the run. */
static int place(const struct ow_statement *trace, const struct run *run)
{
    const int topic = ow_slice_compare(ow_sql_slice(trace, 0), run->topic);
    if (topic != 0) {
        return topic;
    }
    const int64_t partition = ow_sql_i64(trace, 1);
    const int64_t offset = ow_sql_i64(trace, 2);
    if (partition != run->partition) {
        return partition < run->partition ? -1 : 1;
    }
    return offset < run->first ? -1 : offset > run->last;
}

/* A trace that lies in no run. The position's own count says whether its offset was read again. */
static void lost_trace(struct ow_verify *verify, const struct ow_statement *trace)
{
    if (ow_sql_i64(trace, 4) == 0) {
        ow_verify_broken(verify, OW_PROMISE_OUTCOMES,
                         OW_SLICE_FMT "[%" PRId64 "]: %s at offset %" PRId64
                                      " is in no run of the ledger",
                         OW_SLICE_ARG(ow_sql_slice(trace, 0)), ow_sql_i64(trace, 1),
                         trace_names[ow_sql_i64(trace, 3)], ow_sql_i64(trace, 2));
    }
}

static void meet(struct ow_verify *verify, const struct ow_statement *trace, struct run *run)
{
    const enum trace kind = (enum trace)ow_sql_i64(trace, 3);
    run->met[kind]++;
    if (!fits(run->outcome, kind) && !run->reread) {
        ow_verify_broken(
            verify, OW_PROMISE_OUTCOMES,
            OW_SLICE_FMT "[%" PRId64 "]: offset %" PRId64 " has %s, but the ledger says %s",
            OW_SLICE_ARG(run->topic), run->partition, ow_sql_i64(trace, 2), trace_names[kind],
            run->outcome < 0 ? "skipped or lost" : ow_outcome_text((enum ow_outcome)run->outcome));
    }
}

/* The traces up to the end of a run (NULL: all that are left). */
static enum ow_status take_traces(struct ow_verify *verify, struct streams *streams,
                                  struct run *run, struct ow_err *err)
{
    while (streams->trace_row) {
        const int at = run == NULL ? -1 : place(&streams->traces, run);
        if (at > 0) {
            return OW_OK;
        }
        if (at == 0) {
            meet(verify, &streams->traces, run);
        } else {
            lost_trace(verify, &streams->traces);
        }
        OW_TRY(ow_sql_step(&streams->traces, &streams->trace_row, err));
    }
    return OW_OK;
}

static enum ow_status walk(struct ow_verify *verify, struct streams *streams, struct ow_err *err)
{
    OW_TRY(ow_sql_step(&streams->runs, &streams->run_row, err));
    OW_TRY(ow_sql_step(&streams->traces, &streams->trace_row, err));
    while (streams->run_row) {
        struct run run = take_run(&streams->runs);
        if (run.outcome == OW_OUTCOME_QUARANTINED) {
            streams->quarantined_records += run.records;
        }
        OW_TRY(take_traces(verify, streams, &run, err));
        end_run(verify, &run);
        OW_TRY(ow_sql_step(&streams->runs, &streams->run_row, err));
    }
    return take_traces(verify, streams, NULL, err);
}

/*
 * Where a topic was re-created its offsets mean two things, and history rows do not say which: such
 * a partition is left out here. Effects of other ways in (seeds, requeued records) have no offset
 * in a ledger.
 */
static const char runs_text[] =
    "SELECT l.topic, l.partition, l.first_offset, l.last_offset, l.records, CASE l.outcome WHEN "
    "'applied' THEN 0"
    " WHEN 'duplicate' THEN 1 WHEN 'stale' THEN 2 WHEN 'parked' THEN 3 WHEN 'quarantined' THEN 4"
    " WHEN 'filtered' THEN 5 ELSE -1 END, coalesce((SELECT p.reread FROM ow_position p WHERE "
    "p.topic = l.topic"
    " AND p.partition = l.partition AND p.incarnation = 0), 0) FROM ow_ledger l WHERE "
    "l.incarnation = 0"
    " AND NOT EXISTS (SELECT 1 FROM ow_position p WHERE p.topic = l.topic AND p.partition = "
    "l.partition"
    " AND p.incarnation > 0) ORDER BY l.topic, l.partition, l.first_offset";
static_assert(OW_OUTCOME_APPLIED == 0 && OW_OUTCOME_DUPLICATE == 1 && OW_OUTCOME_STALE == 2 &&
                  OW_OUTCOME_PARKED == 3 && OW_OUTCOME_QUARANTINED == 4 && OW_OUTCOME_FILTERED == 5,
              "as in runs_text");

static const char traces_text[] =
    "SELECT t.topic, t.partition, t.offset, t.kind, coalesce((SELECT p.reread FROM ow_position p"
    " WHERE p.topic = t.topic AND p.partition = t.partition AND p.incarnation = 0), 0) FROM ("
    "SELECT topic, partition, offset, CASE via WHEN 'wake' THEN 1 ELSE 0 END AS kind FROM "
    "ow_history"
    " WHERE via IN ('kafka', 'http', 'wake') UNION ALL "
    "SELECT topic, partition, offset, 2 FROM ow_parked UNION ALL "
    "SELECT topic, partition, offset, 3 FROM ow_quarantine UNION ALL "
    "SELECT topic, partition, offset, CASE cause WHEN 'stale' THEN 4 ELSE 5 END FROM ow_sighting) t"
    " WHERE NOT EXISTS (SELECT 1 FROM ow_position p WHERE p.topic = t.topic AND p.partition = "
    "t.partition"
    " AND p.incarnation > 0) ORDER BY t.topic, t.partition, t.offset";
static_assert(TRACE_APPLIED == 0 && TRACE_WOKEN == 1 && TRACE_PARKED == 2 &&
                  TRACE_QUARANTINED == 3 && TRACE_STALE == 4 && TRACE_DUPLICATE == 5,
              "as in traces_text");

static enum ow_status prepare_and_walk(struct ow_verify *verify, struct streams *streams,
                                       struct ow_err *err)
{
    OW_TRY(ow_sql_prepare(&verify->sql, runs_text, &streams->runs, err));
    OW_TRY(ow_sql_prepare(&verify->sql, traces_text, &streams->traces, err));
    return walk(verify, streams, err);
}

enum ow_status ow_verify_outcomes(struct ow_verify *verify, struct ow_err *err)
{
    struct streams streams = {0};
    const enum ow_status status = prepare_and_walk(verify, &streams, err);
    ow_sql_finalize(&streams.runs);
    ow_sql_finalize(&streams.traces);
    OW_TRY(status);
    int64_t seen = 0;
    OW_TRY(ow_sql_query_i64(&verify->sql, "SELECT coalesce(sum(seen), 0) FROM ow_quarantine", &seen,
                            err));
    if (streams.quarantined_records > seen) {
        ow_verify_broken(verify, OW_PROMISE_OUTCOMES,
                         "the ledgers have %" PRId64
                         " quarantined records, but the quarantine has seen %" PRId64,
                         streams.quarantined_records, seen);
    }
    return OW_OK;
}
