#include "store/internal.h"
#include "store/verify_internal.h"

#include <inttypes.h>

/*
 * Rows of record tables. Forward: each row that a history row derives is looked up by its key and
 * compared, and counted. Reverse: where a table has more rows than were derived, each row is asked
 * whether its history row knows it.
 */

static struct ow_slice key_of(const struct ow_recording *recording,
                              const struct ow_verify_step *step)
{
    /* A key comes from the event, never from a column of the entity (held by the machine's loader).
     */
    OW_INVARIANT(recording->key.kind == OW_OPERAND_POINTER ||
                 recording->key.kind == OW_OPERAND_CONSTANT);
    const struct ow_value key = ow_verify_evaluate(&recording->key, step);
    return key.type == OW_TYPE_TEXT ? key.text : (struct ow_slice){0};
}

/* What a column of the newest table should hold: one that the step's version did not have, its
 * default. */
static struct ow_value expected(const struct ow_column *column,
                                const struct ow_recording *recording,
                                const struct ow_verify_step *step)
{
    const size_t at = ow_verify_column(recording->table, column->name);
    if (at == SIZE_MAX) {
        return column->has_default ? column->default_value : OW_VALUE_NULL;
    }
    return ow_verify_evaluate(&recording->columns[at], step);
}

/* The number of a record table in the newest version, or its record_count. */
static size_t newest_record(const struct ow_machine *newest, const char *name)
{
    size_t r = 0;
    while (r < newest->record_count && strcmp(newest->records[r].name, name) != 0) {
        r++;
    }
    return r;
}

static bool is_derived(const struct ow_statement *row, const struct ow_table *table,
                       const struct ow_recording *recording, const struct ow_verify_step *step)
{
    for (size_t c = 0; c < table->column_count; c++) {
        const struct ow_value stored = ow_sql_value(row, 1 + (int)c, NULL);
        const struct ow_value should = expected(&table->columns[c], recording, step);
        if (!ow_value_equal(&stored, &should)) {
            return false;
        }
    }
    return true;
}

static enum ow_status check_row(struct ow_verify *verify, const struct ow_recording *recording,
                                const struct ow_verify_step *step, int64_t seq, struct ow_err *err)
{
    const struct ow_machine *newest = step->machine->newest;
    const size_t r = newest_record(newest, recording->table->name);
    if (r == newest->record_count) {
        return OW_OK; /* a table that the newest version has no more */
    }
    struct ow_statement *find = &step->machine->record_of_key[r];
    const struct ow_slice key = key_of(recording, step);
    bool row = false;
    ow_sql_bind_text(find, key);
    OW_TRY(ow_sql_step(find, &row, err));
    ow_verify_checked(verify, OW_PROMISE_RECORDS, 1);
    if (!row) {
        ow_verify_broken(verify, OW_PROMISE_RECORDS,
                         "%s '" OW_SLICE_FMT "' is missing, though history row %" PRId64
                         " records it",
                         newest->records[r].name, OW_SLICE_ARG(key), seq);
        return OW_OK;
    }
    if (ow_sql_i64(find, 0) == seq && is_derived(find, &newest->records[r], recording, step)) {
        step->machine->record_matched[r]++;
    } else {
        ow_verify_broken(verify, OW_PROMISE_RECORDS,
                         "%s '" OW_SLICE_FMT "' is not what history row %" PRId64 " records",
                         newest->records[r].name, OW_SLICE_ARG(key), seq);
    }
    ow_sql_reset(find);
    return OW_OK;
}

enum ow_status ow_verify_record_derived(struct ow_verify *verify, const struct ow_verify_step *step,
                                        int64_t seq, struct ow_err *err)
{
    for (size_t i = 0; i < step->transition->recording_count; i++) {
        OW_TRY(check_row(verify, &step->transition->recordings[i], step, seq, err));
    }
    return OW_OK;
}

/* The step of a history row that a record table's row names; false where there is none. */
static bool find_step(const struct ow_verify *verify, const struct ow_statement *row,
                      struct ow_verify_step *step)
{
    const struct ow_slice name = ow_sql_slice(row, 2);
    struct ow_verify_machine *machine = verify->machines;
    while (machine != NULL && !ow_slice_equals_text(name, machine->name)) {
        machine = machine->next;
    }
    const struct ow_verify_version *version =
        machine == NULL ? NULL : ow_verify_version_of(machine, ow_sql_i64(row, 3));
    if (version == NULL) {
        return false;
    }
    const struct ow_event_type *event = ow_machine_event(version->machine, ow_sql_slice(row, 4));
    const int from = ow_machine_state(version->machine, ow_sql_slice(row, 5));
    if (event == NULL || from < 0 || event->cells[from].kind != OW_CELL_APPLY) {
        return false;
    }
    *step =
        (struct ow_verify_step){.machine = machine,
                                .version = version,
                                .event = event,
                                .transition = &event->transitions[event->cells[from].transition]};
    return true;
}

/* Whether the history row that a row names records a row with that key in that table. */
static bool is_recorded(const struct ow_verify *verify, const struct ow_statement *row,
                        const struct ow_table *table)
{
    struct ow_verify_step step;
    if (!find_step(verify, row, &step)) {
        return false;
    }
    const struct ow_slice text = ow_sql_slice(row, 6);
    OW_JSON *data = json_loadb((const char *)text.ptr, text.len, JSON_ALLOW_NUL, NULL);
    step.data = data;
    for (size_t i = 0; i < step.transition->recording_count; i++) {
        const struct ow_recording *recording = &step.transition->recordings[i];
        if (strcmp(recording->table->name, table->name) == 0 &&
            ow_slice_equal(key_of(recording, &step), ow_sql_slice(row, 0))) {
            return true;
        }
    }
    return false;
}

/* Names the rows that nothing derives. */
static enum ow_status find_strays(struct ow_verify *verify, const struct ow_table *table,
                                  struct ow_err *err)
{
    OW_BUFFER text = {0};
    ow_buffer_text(&text, "SELECT r.");
    ow_store_identifier(&text, table->key);
    ow_buffer_text(
        &text, ", r.seq, h.machine, h.machine_version, h.event_type, h.from_state, h.data FROM ");
    ow_store_identifier(&text, table->name);
    ow_buffer_text(&text, " r LEFT JOIN ow_history h ON h.seq = r.seq ORDER BY 1");
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&verify->sql, ow_buffer_cstr(&text), &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        if (!is_recorded(verify, &statement, table)) {
            ow_verify_broken(
                verify, OW_PROMISE_RECORDS,
                "%s '" OW_SLICE_FMT "' names history row %" PRId64 ", which does not record it",
                table->name, OW_SLICE_ARG(ow_sql_slice(&statement, 0)), ow_sql_i64(&statement, 1));
        }
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

static enum ow_status check_count(struct ow_verify *verify, const struct ow_table *table,
                                  int64_t matched, struct ow_err *err)
{
    OW_BUFFER text = {0};
    ow_buffer_text(&text, "SELECT count(*) FROM ");
    ow_store_identifier(&text, table->name);
    int64_t count = 0;
    OW_TRY(ow_sql_query_i64(&verify->sql, ow_buffer_cstr(&text), &count, err));
    return count == matched ? OW_OK : find_strays(verify, table, err);
}

static enum ow_status check_counts(struct ow_verify *verify,
                                   const struct ow_verify_machine *machine, struct ow_err *err)
{
    for (size_t r = 0; r < machine->newest->record_count; r++) {
        OW_TRY(check_count(verify, &machine->newest->records[r], machine->record_matched[r], err));
    }
    return OW_OK;
}

enum ow_status ow_verify_records(struct ow_verify *verify, struct ow_err *err)
{
    const struct ow_verify_machine *machine = verify->machines;
    for (; machine != NULL; machine = machine->next) {
        OW_TRY(check_counts(verify, machine, err));
    }
    return OW_OK;
}
