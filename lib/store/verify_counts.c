#include "store/verify_internal.h"

#include <inttypes.h>

/* Positions against their ledger, and the ledger's runs against each other. */

static enum ow_status check_runs(struct ow_verify *verify, struct ow_statement *runs,
                                 struct ow_err *err);

enum ow_status ow_verify_counters(struct ow_verify *verify, struct ow_err *err)
{
    /* One pass: the ledger is in the order of its key, and so are the groups. */
    static const char text[] =
        "SELECT p.topic, p.partition, p.applied, p.duplicate, p.stale, p.parked, p.quarantined, "
        "p.filtered,"
        " coalesce(l.applied, 0), coalesce(l.duplicate, 0), coalesce(l.stale, 0), "
        "coalesce(l.parked, 0),"
        " coalesce(l.quarantined, 0), coalesce(l.filtered, 0)"
        " FROM ow_position p LEFT JOIN (SELECT topic, partition, incarnation,"
        " sum(CASE outcome WHEN 'applied' THEN records ELSE 0 END) AS applied,"
        " sum(CASE outcome WHEN 'duplicate' THEN records ELSE 0 END) AS duplicate,"
        " sum(CASE outcome WHEN 'stale' THEN records ELSE 0 END) AS stale,"
        " sum(CASE outcome WHEN 'parked' THEN records ELSE 0 END) AS parked,"
        " sum(CASE outcome WHEN 'quarantined' THEN records ELSE 0 END) AS quarantined,"
        " sum(CASE outcome WHEN 'filtered' THEN records ELSE 0 END) AS filtered"
        " FROM ow_ledger GROUP BY topic, partition, incarnation) l"
        " ON l.topic = p.topic AND l.partition = p.partition AND l.incarnation = p.incarnation"
        " ORDER BY p.topic, p.partition, p.incarnation";
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&verify->sql, text, &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        for (int outcome = 0; outcome < OW_OUTCOME_COUNT; outcome++) {
            const int64_t counted = ow_sql_i64(&statement, 2 + outcome);
            const int64_t summed = ow_sql_i64(&statement, 2 + OW_OUTCOME_COUNT + outcome);
            ow_verify_checked(verify, OW_PROMISE_COUNTERS, 1);
            if (counted != summed) {
                ow_verify_broken(verify, OW_PROMISE_COUNTERS,
                                 OW_SLICE_FMT "[%" PRId64 "]: the counter %s is %" PRId64
                                              ", the ledger has %" PRId64,
                                 OW_SLICE_ARG(ow_sql_slice(&statement, 0)),
                                 ow_sql_i64(&statement, 1),
                                 ow_outcome_text((enum ow_outcome)outcome), counted, summed);
            }
        }
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

/* A partition as the runs go by. */
struct partition {
    struct ow_slice topic;
    int64_t partition, incarnation;
    int64_t next_first; /* where the next run must begin */
    int64_t high_offset;
    bool known; /* has a position */
};

static void end_partition(struct ow_verify *verify, const struct partition *partition)
{
    if (ow_slice_is_absent(partition->topic)) {
        return;
    }
    if (!partition->known) {
        ow_verify_broken(verify, OW_PROMISE_LEDGER,
                         OW_SLICE_FMT "[%" PRId64 "] has a ledger but no position",
                         OW_SLICE_ARG(partition->topic), partition->partition);
    } else if (partition->next_first != partition->high_offset) {
        ow_verify_broken(verify, OW_PROMISE_LEDGER,
                         OW_SLICE_FMT "[%" PRId64 "]: the ledger ends before offset %" PRId64
                                      ", the high mark is %" PRId64,
                         OW_SLICE_ARG(partition->topic), partition->partition,
                         partition->next_first, partition->high_offset);
    }
}

enum ow_status ow_verify_ledger(struct ow_verify *verify, struct ow_err *err)
{
    OW_STATEMENT runs = {0};
    OW_TRY(ow_sql_prepare(
        &verify->sql,
        "SELECT l.topic, l.partition, l.incarnation, l.first_offset, l.last_offset, l.records,"
        " p.high_offset FROM ow_ledger l LEFT JOIN ow_position p ON p.topic = l.topic"
        " AND p.partition = l.partition AND p.incarnation = l.incarnation"
        " ORDER BY l.topic, l.partition, l.incarnation, l.first_offset",
        &runs, err));
    OW_TRY(check_runs(verify, &runs, err));

    OW_STATEMENT positions = {0};
    OW_TRY(ow_sql_prepare(&verify->sql,
                          "SELECT topic, partition, next_offset, high_offset FROM ow_position"
                          " WHERE next_offset > high_offset OR high_offset < 0 OR reread < 0",
                          &positions, err));
    bool row = false;
    OW_TRY(ow_sql_step(&positions, &row, err));
    while (row) {
        ow_verify_broken(verify, OW_PROMISE_LEDGER,
                         OW_SLICE_FMT "[%" PRId64 "]: next offset %" PRId64 ", high mark %" PRId64,
                         OW_SLICE_ARG(ow_sql_slice(&positions, 0)), ow_sql_i64(&positions, 1),
                         ow_sql_i64(&positions, 2), ow_sql_i64(&positions, 3));
        OW_TRY(ow_sql_step(&positions, &row, err));
    }
    return OW_OK;
}

static enum ow_status check_runs(struct ow_verify *verify, struct ow_statement *runs,
                                 struct ow_err *err)
{
    struct partition at = {0};
    bool row = false;
    OW_TRY(ow_sql_step(runs, &row, err));
    while (row) {
        const struct ow_slice topic = ow_sql_slice(runs, 0);
        const int64_t first = ow_sql_i64(runs, 3);
        const int64_t last = ow_sql_i64(runs, 4);
        const int64_t records = ow_sql_i64(runs, 5);
        if (!ow_slice_equal(topic, at.topic) || ow_sql_i64(runs, 1) != at.partition ||
            ow_sql_i64(runs, 2) != at.incarnation) {
            end_partition(verify, &at);
            ow_arena_reset(&verify->scratch);
            at = (struct partition){.topic = ow_arena_copy(&verify->scratch, topic),
                                    .partition = ow_sql_i64(runs, 1),
                                    .incarnation = ow_sql_i64(runs, 2),
                                    .next_first = first,
                                    .high_offset = ow_sql_i64(runs, 6),
                                    .known = !ow_sql_is_null(runs, 6)};
        }
        ow_verify_checked(verify, OW_PROMISE_LEDGER, 1);
        if (first != at.next_first || last < first || records < 0 || records > last - first + 1) {
            ow_verify_broken(verify, OW_PROMISE_LEDGER,
                             OW_SLICE_FMT "[%" PRId64 "]: the run from %" PRId64 " to %" PRId64
                                          " with %" PRId64 " records follows offset %" PRId64,
                             OW_SLICE_ARG(topic), at.partition, first, last, records,
                             at.next_first - 1);
        }
        at.next_first = last + 1;
        OW_TRY(ow_sql_step(runs, &row, err));
    }
    end_partition(verify, &at);
    return OW_OK;
}

enum ow_status ow_verify_parked(struct ow_verify *verify, struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(
        &verify->sql,
        "SELECT machine, entity_id, count(*) FROM ow_parked GROUP BY machine, entity_id",
        &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        const struct ow_slice name = ow_sql_slice(&statement, 0);
        const struct ow_verify_machine *machine = verify->machines;
        while (machine != NULL && !ow_slice_equals_text(name, machine->name)) {
            machine = machine->next;
        }
        ow_verify_checked(verify, OW_PROMISE_PARKED, 1);
        const int64_t count = ow_sql_i64(&statement, 2);
        if (machine == NULL || count > (int64_t)machine->park_per_entity_max) {
            ow_verify_broken(verify, OW_PROMISE_PARKED,
                             OW_SLICE_FMT " '" OW_SLICE_FMT "' has %" PRId64 " parked records",
                             OW_SLICE_ARG(name), OW_SLICE_ARG(ow_sql_slice(&statement, 1)), count);
        }
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}
