#include "store/verify_internal.h"

#include <inttypes.h>

/*
 * The ledger against the rows. Each row that a record left has the record's offset, so two streams
 * in the order of offsets are walked side by side: the ledger's runs, and all traces. A run of n
 * applied records must meet n history rows, and so on. What was parked first may lie elsewhere by
 * now: in the history, in quarantine, or sighted as stale. A conflict that was met again only
 * counts up the row that is there, so quarantined runs may meet fewer rows than records.
 *
 * A record that was read again (below the high mark) leaves nothing: it only counts up the
 * quarantine row in which it lies.
 */

static const char *const trace_names[OW_VERIFY_TRACE_KINDS] = {
    "a history row",    "a woken history row", "a parked record",
    "a quarantine row", "a stale sighting",    "a sighting"};

static bool fits(int outcome, enum ow_verify_kind kind)
{
    switch (kind) {
    case OW_VERIFY_TRACE_APPLIED:
        return outcome == OW_OUTCOME_APPLIED;
    case OW_VERIFY_TRACE_WOKEN:
    case OW_VERIFY_TRACE_PARKED:
        return outcome == OW_OUTCOME_PARKED;
    case OW_VERIFY_TRACE_QUARANTINED:
        return outcome == OW_OUTCOME_QUARANTINED || outcome == OW_OUTCOME_PARKED;
    case OW_VERIFY_TRACE_STALE:
        return outcome == OW_OUTCOME_STALE || outcome == OW_OUTCOME_PARKED;
    case OW_VERIFY_TRACE_DUPLICATE:
        return outcome == OW_OUTCOME_DUPLICATE;
    case OW_VERIFY_TRACE_KINDS:
        break;
    }
    OW_IMPOSSIBLE("a trace of no kind");
}

/* A trace as the notes have it. */
struct trace {
    int64_t number, offset, ref, seen;
    enum ow_verify_kind kind;
};

static struct trace take(const struct ow_verify_traces *traces)
{
    const struct ow_statement *row = &traces->statement;
    return (struct trace){.number = ow_sql_i64(row, 0),
                          .offset = ow_sql_i64(row, 1),
                          .kind = (enum ow_verify_kind)ow_sql_i64(row, 2),
                          .ref = ow_sql_i64(row, 3),
                          .seen = ow_sql_i64(row, 4)};
}

enum ow_status ow_verify_traces_begin(struct ow_verify *verify, struct ow_verify_traces *traces,
                                      struct ow_err *err)
{
    /* What was parked comes before what it has become since. */
    OW_TRY(ow_sql_prepare(&verify->notes.sql,
                          "SELECT partition, offset, kind, ref, seen FROM trace ORDER BY partition,"
                          " offset, ref, kind = 2 DESC, kind",
                          &traces->statement, err));
    static_assert(OW_VERIFY_TRACE_PARKED == 2, "as in the statement");
    return ow_sql_step(&traces->statement, &traces->row, err);
}

/* A trace that no run's record has left. */
static void lost(struct ow_verify *verify, const struct trace *trace)
{
    const struct ow_verify_partition *partition = &verify->partitions[trace->number];
    ow_verify_broken(verify, OW_PROMISE_OUTCOMES,
                     OW_SLICE_FMT "[%" PRId64 "]: %s at offset %" PRId64
                                  " is in no run of the ledger",
                     OW_SLICE_ARG(partition->topic), partition->partition, trace_names[trace->kind],
                     trace->offset);
}

/* A trace that is not of the record's first outcome. */
static void meet_more(struct ow_verify *verify, const struct ow_verify_run *run,
                      const struct trace *trace, bool fitting)
{
    const char *says =
        run->outcome < 0 ? "skipped or lost" : ow_outcome_text((enum ow_outcome)run->outcome);
    ow_verify_broken(verify, OW_PROMISE_OUTCOMES,
                     OW_SLICE_FMT "[%" PRId64 "]: offset %" PRId64
                                  " has %s%s, but the ledger says %s",
                     OW_SLICE_ARG(run->partition->topic), run->partition->partition, trace->offset,
                     trace_names[trace->kind], fitting ? " more" : "", says);
}

/* What was parked first is seen in quarantine once, unless it is read again. */
static void check_seen(struct ow_verify *verify, const struct ow_verify_run *run,
                       const struct trace *trace)
{
    verify->seen += run->outcome == OW_OUTCOME_QUARANTINED ? trace->seen : 0;
    if (run->outcome == OW_OUTCOME_PARKED && trace->kind == OW_VERIFY_TRACE_QUARANTINED &&
        run->partition->reread == 0 && trace->seen != 1 &&
        verify->slices.batch == verify->slices.first_batch) {
        ow_verify_broken(verify, OW_PROMISE_OUTCOMES,
                         OW_SLICE_FMT "[%" PRId64 "]: offset %" PRId64
                                      " was parked, and the quarantine has seen it %" PRId64
                                      " times",
                         OW_SLICE_ARG(run->partition->topic), run->partition->partition,
                         trace->offset, trace->seen);
    }
}

/* All traces at the present offset of the run. *met: one is of the record's outcome. */
static enum ow_status take_offset(struct ow_verify *verify, struct ow_verify_traces *traces,
                                  const struct ow_verify_run *run, int64_t *met, struct ow_err *err)
{
    const int64_t offset = ow_sql_i64(&traces->statement, 1);
    bool fitting = false;
    while (traces->row && ow_sql_i64(&traces->statement, 0) == run->number &&
           ow_sql_i64(&traces->statement, 1) == offset) {
        const struct trace trace = take(traces);
        OW_TRY(ow_sql_step(&traces->statement, &traces->row, err));
        /* What was parked when it was seen, and has moved on before the rest was. */
        const bool moved = traces->row && trace.kind == OW_VERIFY_TRACE_PARKED &&
                           ow_sql_i64(&traces->statement, 0) == run->number &&
                           ow_sql_i64(&traces->statement, 1) == offset &&
                           ow_sql_i64(&traces->statement, 3) == trace.ref;
        if (moved) {
            continue;
        }
        check_seen(verify, run, &trace);
        if (fitting || !fits(run->outcome, trace.kind)) {
            meet_more(verify, run, &trace, fitting);
        } else {
            fitting = true;
        }
    }
    *met += fitting;
    return OW_OK;
}

static void end_run(struct ow_verify *verify, const struct ow_verify_run *run, int64_t met)
{
    ow_verify_checked(verify, OW_PROMISE_OUTCOMES, 1);
    if (run->outcome < 0 || run->outcome == OW_OUTCOME_FILTERED || met == run->records ||
        (run->outcome == OW_OUTCOME_QUARANTINED && met < run->records)) {
        return;
    }
    ow_verify_broken(verify, OW_PROMISE_OUTCOMES,
                     OW_SLICE_FMT "[%" PRId64 "]: the ledger has %" PRId64
                                  " %s records at offsets %" PRId64 " to %" PRId64 ", but %" PRId64
                                  " can be seen",
                     OW_SLICE_ARG(run->partition->topic), run->partition->partition, run->records,
                     ow_outcome_text((enum ow_outcome)run->outcome), run->first, run->last, met);
}

/* Where the present trace lies: before (-1), within (0) or behind (1) the run. */
static int place(const struct ow_verify_traces *traces, const struct ow_verify_run *run)
{
    const int64_t number = ow_sql_i64(&traces->statement, 0);
    const int64_t offset = ow_sql_i64(&traces->statement, 1);
    if (number != run->number) {
        return number < run->number ? -1 : 1;
    }
    return offset < run->first ? -1 : offset > run->last;
}

enum ow_status ow_verify_traces_of(struct ow_verify *verify, struct ow_verify_traces *traces,
                                   const struct ow_verify_run *run, struct ow_err *err)
{
    int64_t met = 0;
    while (traces->row) {
        const int at = run == NULL ? -1 : place(traces, run);
        if (at > 0) {
            break;
        }
        if (at == 0) {
            OW_TRY(take_offset(verify, traces, run, &met, err));
        } else {
            const struct trace trace = take(traces);
            lost(verify, &trace);
            OW_TRY(ow_sql_step(&traces->statement, &traces->row, err));
        }
        OW_TRY(ow_verify_pause(verify, err));
    }
    if (run != NULL) {
        end_run(verify, run, met);
    }
    return OW_OK;
}
