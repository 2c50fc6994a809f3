#include "store/internal.h"
#include "store/verify_internal.h"

#include <inttypes.h>

/*
 * Parked records: each reads as what its row says, waits for something that has not come, is no
 * longer parked than its machine says, and owns a claim.
 */

static const char parked_text[] =
    "SELECT id, machine, entity_id, event_type, parked_at_ms, deadline_ms, topic, partition,"
    " offset, timestamp_ms, key, headers, value FROM ow_parked WHERE id >= ? ORDER BY id";

struct parked {
    int64_t id, parked_at_ms, deadline_ms;
    struct ow_slice machine, entity_id, event_type;
    struct ow_record record;
};

struct statements {
    struct ow_statement count_of;   /* how many an entity has, and which is the first */
    struct ow_statement version_of; /* by which version a history row was made */
};

static bool take_row(struct ow_verify *verify, const struct ow_statement *row,
                     struct parked *ret_parked)
{
    *ret_parked = (struct parked){
        .id = ow_sql_i64(row, 0),
        .machine = ow_sql_slice(row, 1),
        .entity_id = ow_sql_slice(row, 2),
        .event_type = ow_sql_slice(row, 3),
        .parked_at_ms = ow_sql_i64(row, 4),
        .deadline_ms = ow_sql_i64(row, 5),
        .record = {.topic = ow_sql_slice(row, 6),
                   .partition = (int32_t)ow_sql_i64(row, 7),
                   .offset = ow_sql_i64(row, 8),
                   .timestamp_ms = ow_sql_i64(row, 9),
                   .key = ow_sql_slice(row, 10),
                   .value = ow_sql_slice(row, 12)}
    };
    return ow_headers_read(ow_sql_slice(row, 11), &verify->scratch, &ret_parked->record.headers,
                           &ret_parked->record.header_count);
}

static bool fits(const struct ow_event *event, const void *wanted)
{
    const struct parked *parked = wanted;
    return event->verdict == OW_OUTCOME_APPLIED &&
           ow_slice_equals_text(parked->machine, event->machine->name) &&
           ow_slice_equal(parked->entity_id, event->entity_id) &&
           ow_slice_equal(parked->event_type, event->type);
}

/* The deadline is that of some version of the machine. */
static bool is_due(const struct ow_verify_machine *machine, const struct parked *parked)
{
    for (const struct ow_verify_version *version = machine->versions; version != NULL;
         version = version->next) {
        if (parked->parked_at_ms + version->machine->park_deadline_ms == parked->deadline_ms) {
            return true;
        }
    }
    return false;
}

/* Whether it waits in a state, by some version from `least` on. */
static bool waits_in(const struct ow_verify_machine *machine, const struct parked *parked,
                     struct ow_slice state, int64_t least)
{
    for (const struct ow_verify_version *version = machine->versions; version != NULL;
         version = version->next) {
        const struct ow_event_type *event = ow_machine_event(version->machine, parked->event_type);
        const int at = ow_machine_state(version->machine, state);
        /* Where a version does not know the event any more, nothing wakes it but its deadline. */
        if (version->version >= least &&
            (event == NULL || at < 0 || event->cells[at].kind == OW_CELL_PARK)) {
            return true;
        }
    }
    return false;
}

/*
 * The entity's last transition has woken all that was parked then, by the version of the machine
 * that made it; what is there still was judged by that version or a newer one, and must wait.
 */
static enum ow_status check_waiting(struct ow_verify *verify, struct statements *statements,
                                    struct ow_verify_machine *machine, const struct parked *parked,
                                    struct ow_err *err)
{
    struct ow_statement *state_of = &machine->state_of_key;
    struct ow_slice state = OW_SLICE("none");
    int64_t last_seq = 0;
    int64_t least = INT64_MIN;
    bool row = false;
    ow_sql_bind_text(state_of, parked->entity_id);
    OW_TRY(ow_sql_step(state_of, &row, err));
    if (row) {
        state = ow_sql_copy(state_of, 0, &verify->scratch);
        last_seq = ow_sql_i64(state_of, 1);
        ow_sql_reset(state_of);
    }
    ow_sql_bind_i64(&statements->version_of, last_seq);
    OW_TRY(ow_sql_step(&statements->version_of, &row, err));
    if (row) {
        least = ow_sql_i64(&statements->version_of, 0);
        ow_sql_reset(&statements->version_of);
    }
    if (!waits_in(machine, parked, state, least)) {
        ow_verify_broken(verify, OW_PROMISE_WAITING,
                         "parked record %" PRId64 ": '" OW_SLICE_FMT "' is not waited with in"
                         " state '" OW_SLICE_FMT "' of '" OW_SLICE_FMT
                         "': it should have been woken",
                         parked->id, OW_SLICE_ARG(parked->event_type), OW_SLICE_ARG(state),
                         OW_SLICE_ARG(parked->entity_id));
    }
    return OW_OK;
}

/* Once an entity, at its first one. */
static enum ow_status check_count(struct ow_verify *verify, struct statements *statements,
                                  const struct ow_verify_machine *machine,
                                  const struct parked *parked, struct ow_err *err)
{
    bool row = false;
    ow_sql_bind_text(&statements->count_of, parked->machine);
    ow_sql_bind_text(&statements->count_of, parked->entity_id);
    OW_TRY(ow_sql_step(&statements->count_of, &row, err));
    const int64_t count = ow_sql_i64(&statements->count_of, 0);
    const bool first = ow_sql_i64(&statements->count_of, 1) == parked->id;
    ow_sql_reset(&statements->count_of);
    if (!first) {
        return OW_OK;
    }
    ow_verify_checked(verify, OW_PROMISE_PARKED, 1);
    if (count > (int64_t)machine->park_per_entity_max) {
        ow_verify_broken(verify, OW_PROMISE_PARKED,
                         "%s '" OW_SLICE_FMT "' has %" PRId64 " parked records", machine->name,
                         OW_SLICE_ARG(parked->entity_id), count);
    }
    return OW_OK;
}

static enum ow_status check_machine(struct ow_verify *verify, struct statements *statements,
                                    const struct parked *parked, struct ow_err *err)
{
    struct ow_verify_machine *machine = ow_verify_machine_named(verify, parked->machine);
    if (machine == NULL) {
        ow_verify_broken(verify, OW_PROMISE_WAITING,
                         "parked record %" PRId64 " is of machine '" OW_SLICE_FMT
                         "', which the store does not know",
                         parked->id, OW_SLICE_ARG(parked->machine));
        return OW_OK;
    }
    if (!is_due(machine, parked)) {
        ow_verify_broken(verify, OW_PROMISE_WAITING,
                         "parked record %" PRId64 ": its deadline is %" PRId64
                         " ms after the parking, as no version of the machine has it",
                         parked->id, parked->deadline_ms - parked->parked_at_ms);
    }
    OW_TRY(check_count(verify, statements, machine, parked, err));
    return check_waiting(verify, statements, machine, parked, err);
}

static enum ow_status check_row(struct ow_verify *verify, struct statements *statements,
                                const struct ow_statement *row, struct ow_err *err)
{
    struct parked parked;
    const bool readable = take_row(verify, row, &parked);
    ow_verify_checked(verify, OW_PROMISE_WAITING, 1);
    struct ow_verify_reading reading = {.found = false};
    if (readable) {
        ow_verify_decode(verify, &parked.record, fits, &parked, &reading);
    }
    if (!reading.found && !reading.unsure) {
        ow_verify_broken(verify, OW_PROMISE_WAITING,
                         "parked record %" PRId64 " does not read as '" OW_SLICE_FMT
                         "' of %.*s '" OW_SLICE_FMT "'",
                         parked.id, OW_SLICE_ARG(parked.event_type), OW_SLICE_ARG(parked.machine),
                         OW_SLICE_ARG(parked.entity_id));
    }
    OW_TRY(check_machine(verify, statements, &parked, err));
    const struct ow_verify_expected expected = {
        .ref = parked.id,
        .role = OW_VERIFY_PARKED,
        .id = parked.id,
        .key = reading.has_key ? reading.event.key : NULL,
        .fingerprint = reading.has_fingerprint ? reading.event.fingerprint : NULL};
    OW_TRY(ow_verify_expect(verify, &expected, err));
    const struct ow_verify_trace trace = {.topic = parked.record.topic,
                                          .partition = ow_sql_i64(row, 7),
                                          .offset = parked.record.offset,
                                          .kind = OW_VERIFY_TRACE_PARKED,
                                          .ref = parked.id};
    return ow_verify_trace_add(verify, &trace, err);
}

static enum ow_status check_rows(struct ow_verify *verify, struct statements *statements,
                                 struct ow_err *err)
{
    OW_TRY(ow_sql_prepare(
        &verify->sql, "SELECT count(*), min(id) FROM ow_parked WHERE machine = ? AND entity_id = ?",
        &statements->count_of, err));
    OW_TRY(ow_sql_prepare(&verify->sql, "SELECT machine_version FROM ow_history_row WHERE seq = ?",
                          &statements->version_of, err));
    OW_VERIFY_CURSOR rows = {.by = OW_VERIFY_BY_NUMBER};
    OW_TRY(ow_verify_cursor_open(&rows, verify, parked_text, err));
    bool row = false;
    OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    while (row) {
        const int64_t id = ow_sql_i64(&rows.statement, 0);
        ow_arena_reset(&verify->scratch);
        ow_verify_number(verify, id, "parked record");
        if (id < verify->next_ref) {
            OW_TRY(check_row(verify, statements, &rows.statement, err));
        }
        OW_TRY(ow_verify_pause(verify, err));
        OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    }
    return OW_OK;
}

enum ow_status ow_verify_parked(struct ow_verify *verify, struct ow_err *err)
{
    struct statements statements = {0};
    verify->decoder.record_bytes_max = SIZE_MAX;
    const enum ow_status status = check_rows(verify, &statements, err);
    ow_sql_finalize(&statements.count_of);
    ow_sql_finalize(&statements.version_of);
    return status;
}
