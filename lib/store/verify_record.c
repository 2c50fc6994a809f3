#include "store/erased.h"
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

/* A row that a step has recorded, or that an entity brought when it was taken over. */
struct recorded {
    const struct ow_table *table; /* as it was then; by its columns: */
    const struct ow_operand *operands;
    const struct ow_value *brought; /* NULL: it was recorded */
    struct ow_slice key;
    struct ow_slice hash; /* absent: its columns can be derived, for the step has its payload */
    int64_t seq;
};

/* What a column of the newest table should hold: one that the step's version did not have, its
 * default. */
static struct ow_value expected(const struct ow_column *column, const struct recorded *recorded,
                                const struct ow_verify_step *step)
{
    const size_t at = ow_verify_column(recorded->table, column->name);
    if (at == SIZE_MAX) {
        return column->has_default ? column->default_value : OW_VALUE_NULL;
    }
    return recorded->brought != NULL ? recorded->brought[at]
                                     : ow_verify_evaluate(&recorded->operands[at], step);
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

static struct ow_slice text_of(const json_t *json)
{
    return (struct ow_slice){(const uint8_t *)json_string_value(json), json_string_length(json)};
}

/* Whether a column is what the step says; of an erased one, where the step's version did not have
 * it: else it is in the hash. */
static bool is_derived(const struct ow_statement *row, const struct ow_table *table,
                       const struct recorded *recorded, const struct ow_verify_step *step)
{
    for (size_t c = 0; c < table->column_count; c++) {
        if (!ow_slice_is_absent(recorded->hash) &&
            ow_verify_column(recorded->table, table->columns[c].name) != SIZE_MAX) {
            continue;
        }
        const struct ow_value stored = ow_sql_value(row, 1 + (int)c, NULL);
        const struct ow_value should = expected(&table->columns[c], recorded, step);
        if (!ow_value_equal(&stored, &should)) {
            return false;
        }
    }
    return true;
}

/* Whether the row has the hash that it had when its payload was erased. Without the hash key
 * nobody can say. */
static enum ow_status is_as_it_was(struct ow_verify *verify, const struct recorded *recorded,
                                   bool *ret_is, struct ow_err *err)
{
    OW_BUFFER text = {0};
    OW_STATEMENT row = {0};
    char hash[OW_ERASED_HASH_TEXT];
    bool found = false;
    *ret_is = true;
    if (ow_slice_is_absent(recorded->hash) || !verify->has_key) {
        return OW_OK;
    }
    ow_erased_select(&text, "seq", recorded->table);
    OW_TRY(ow_sql_prepare(&verify->sql, ow_buffer_cstr(&text), &row, err));
    ow_sql_bind_text(&row, recorded->key);
    OW_TRY(ow_sql_step(&row, &found, err));
    ow_erased_hash(&verify->hash_key, recorded->table, recorded->key, &row, hash);
    *ret_is = ow_slice_equals_text(recorded->hash, hash);
    return OW_OK;
}

static enum ow_status check_row(struct ow_verify *verify, const struct recorded *recorded,
                                const struct ow_verify_step *step, struct ow_err *err)
{
    const struct ow_machine *newest = step->machine->newest;
    const size_t r = newest_record(newest, recorded->table->name);
    if (r == newest->record_count) {
        return OW_OK; /* a table that the newest version has no more */
    }
    struct ow_statement *find = &step->machine->record_of_key[r];
    bool row = false;
    ow_sql_bind_text(find, recorded->key);
    OW_TRY(ow_sql_step(find, &row, err));
    ow_verify_checked(verify, OW_PROMISE_RECORDS, 1);
    if (!row) {
        ow_verify_broken(verify, OW_PROMISE_RECORDS,
                         "%s '" OW_SLICE_FMT "' is missing, though history row %" PRId64
                         " records it",
                         newest->records[r].name, OW_SLICE_ARG(recorded->key), recorded->seq);
        return OW_OK;
    }
    bool is_right = ow_sql_i64(find, 0) == recorded->seq &&
                    is_derived(find, &newest->records[r], recorded, step);
    ow_sql_reset(find);
    if (is_right) {
        OW_TRY(is_as_it_was(verify, recorded, &is_right, err));
    }
    if (!is_right) {
        ow_verify_broken(verify, OW_PROMISE_RECORDS,
                         "%s '" OW_SLICE_FMT "' is not what history row %" PRId64 " records",
                         newest->records[r].name, OW_SLICE_ARG(recorded->key), recorded->seq);
    } else if (recorded->seq < verify->next_ref) {
        ow_verify_sum_add(&step->machine->record_rows[r], recorded->seq, NULL);
    }
    return OW_OK;
}

enum ow_status ow_verify_record_derived(struct ow_verify *verify, const struct ow_verify_step *step,
                                        int64_t seq, struct ow_err *err)
{
    for (size_t i = 0; i < step->transition->recording_count; i++) {
        const struct ow_recording *recording = &step->transition->recordings[i];
        const struct recorded recorded = {.table = recording->table,
                                          .operands = recording->columns,
                                          .key = key_of(recording, step),
                                          .seq = seq};
        OW_TRY(check_row(verify, &recorded, step, err));
    }
    return OW_OK;
}

/* kept: what an erased step keeps of it. */
static struct recorded kept_row(const json_t *kept, const struct ow_table *table, int64_t seq)
{
    const json_t *hash = json_array_get(kept, 1);
    return (struct recorded){.table = table,
                             .key = text_of(json_array_get(kept, 0)),
                             /* What is no text is no row's hash. */
                             .hash = json_is_string(hash) ? text_of(hash) : OW_SLICE(""),
                             .seq = seq};
}

enum ow_status ow_verify_record_kept(struct ow_verify *verify, const struct ow_verify_step *step,
                                     const json_t *records, int64_t seq, struct ow_err *err)
{
    for (size_t i = 0; i < step->transition->recording_count; i++) {
        const struct ow_recording *recording = &step->transition->recordings[i];
        struct recorded recorded = kept_row(json_array_get(records, i), recording->table, seq);
        recorded.operands = recording->columns;
        OW_TRY(check_row(verify, &recorded, step, err));
    }
    return OW_OK;
}

enum ow_status ow_verify_record_seeded(struct ow_verify *verify, const struct ow_verify_step *step,
                                       const struct ow_seed_row *rows, int64_t seq,
                                       struct ow_err *err)
{
    for (const struct ow_seed_row *row = rows; row != NULL; row = row->next) {
        const struct recorded recorded = {
            .table = row->table, .brought = row->columns, .key = row->key, .seq = seq};
        OW_TRY(check_row(verify, &recorded, step, err));
    }
    return OW_OK;
}

static const struct ow_table *table_of(const struct ow_verify_step *step, const json_t *kept)
{
    const struct ow_machine *machine = step->version->machine;
    for (size_t r = 0; r < machine->record_count; r++) {
        if (ow_slice_equals_text(text_of(json_array_get(kept, 2)), machine->records[r].name)) {
            return &machine->records[r];
        }
    }
    return NULL;
}

enum ow_status ow_verify_record_seeded_kept(struct ow_verify *verify,
                                            const struct ow_verify_step *step,
                                            const json_t *records, int64_t seq, struct ow_err *err)
{
    for (size_t i = 0; i < json_array_size(records); i++) {
        const struct ow_table *table = table_of(step, json_array_get(records, i));
        if (table == NULL) {
            ow_verify_broken(verify, OW_PROMISE_RECORDS,
                             "history row %" PRId64 " keeps a row of no record table", seq);
            continue;
        }
        const struct recorded recorded = kept_row(json_array_get(records, i), table, seq);
        OW_TRY(check_row(verify, &recorded, step, err));
    }
    return OW_OK;
}

static bool is_brought(struct ow_verify *verify, const struct ow_past *past, const json_t *data,
                       const struct ow_table *table, struct ow_slice key)
{
    struct ow_seed_entity seed;
    struct ow_erased erased;
    struct ow_verify_step step = {.data = data};
    if (ow_verify_seed_read(verify, past, &step, &seed) != NULL) {
        return false;
    }
    bool found = false;
    for (const struct ow_seed_row *row = seed.rows; row != NULL; row = row->next) {
        found =
            found || (strcmp(row->table->name, table->name) == 0 && ow_slice_equal(row->key, key));
    }
    (void)ow_erased_read(data, &erased);
    for (size_t i = 0; seed.rows == NULL && i < json_array_size(erased.records); i++) {
        const json_t *row = json_array_get(erased.records, i);
        const struct ow_table *then = table_of(&step, row);
        found = found || (then != NULL && strcmp(then->name, table->name) == 0 &&
                          ow_slice_equal(text_of(json_array_get(row, 0)), key));
    }
    return found;
}

/* Whether a history row records a row with that key in that table. */
static bool is_recorded(struct ow_verify *verify, const struct ow_past *past,
                        const struct ow_table *table, struct ow_slice key)
{
    struct ow_verify_step step = {0};
    OW_JSON *data =
        json_loadb((const char *)past->data_text.ptr, past->data_text.len, JSON_ALLOW_NUL, NULL);
    if (ow_verify_is_seed(past)) {
        return is_brought(verify, past, data, table, key);
    }
    if (!ow_verify_step_find(verify, past, &step)) {
        return false;
    }
    step.data = data;
    struct ow_erased erased;
    const bool is_erased = ow_erased_read(data, &erased);
    for (size_t i = 0; i < step.transition->recording_count; i++) {
        const struct ow_recording *recording = &step.transition->recordings[i];
        const struct ow_slice kept = text_of(json_array_get(json_array_get(erased.records, i), 0));
        if (strcmp(recording->table->name, table->name) == 0 &&
            ow_slice_equal(is_erased ? kept : key_of(recording, &step), key)) {
            return true;
        }
    }
    return false;
}

/* A scan over a record table: key, seq. */
static enum ow_status open_table(struct ow_verify *verify, const struct ow_table *table,
                                 struct ow_verify_cursor *cursor, struct ow_err *err)
{
    OW_BUFFER text = {0};
    ow_buffer_text(&text, "SELECT ");
    ow_store_identifier(&text, table->key);
    ow_buffer_text(&text, ", seq FROM ");
    ow_store_identifier(&text, table->name);
    ow_verify_append_order(&text, table);
    return ow_verify_cursor_open(cursor, verify, ow_buffer_cstr(&text), err);
}

/* One row of the table: does its history row know it? */
static enum ow_status check_stray(struct ow_verify *verify, struct ow_statement *past_of,
                                  const struct ow_table *table, const struct ow_statement *found,
                                  struct ow_err *err)
{
    const struct ow_slice key = ow_sql_slice(found, 0);
    const int64_t seq = ow_sql_i64(found, 1);
    struct ow_past past;
    bool row = false;
    ow_arena_reset(&verify->scratch);
    ow_sql_bind_i64(past_of, seq);
    OW_TRY(ow_sql_step(past_of, &row, err));
    enum ow_status status = OW_OK;
    bool recorded = false;
    if (row) {
        status = ow_verify_past_take(verify, past_of, &past, err);
        recorded = status == OW_OK && is_recorded(verify, &past, table, key);
        ow_sql_reset(past_of);
    }
    if (status == OW_OK && !recorded) {
        ow_verify_broken(verify, OW_PROMISE_RECORDS,
                         "%s '" OW_SLICE_FMT "' names history row %" PRId64
                         ", which does not record it",
                         table->name, OW_SLICE_ARG(key), seq);
    }
    return status;
}

/* Names the rows that nothing derives. */
static enum ow_status find_strays(struct ow_verify *verify, const struct ow_table *table,
                                  struct ow_err *err)
{
    OW_STATEMENT past_of = {0};
    OW_TRY(ow_sql_prepare(&verify->sql,
                          "SELECT " OW_VERIFY_PAST_COLUMNS " FROM ow_history_row WHERE seq = ?",
                          &past_of, err));
    OW_VERIFY_CURSOR rows = {.by = OW_VERIFY_BY_TEXT};
    OW_TRY(open_table(verify, table, &rows, err));
    bool row = false;
    OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    while (row) {
        OW_TRY(check_stray(verify, &past_of, table, &rows.statement, err));
        OW_TRY(ow_verify_pause(verify, err));
        OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    }
    return OW_OK;
}

/* All rows of the table by their seq, against those that were derived. */
static enum ow_status check_table(struct ow_verify *verify, const struct ow_table *table,
                                  const struct ow_verify_sum *derived, struct ow_err *err)
{
    OW_VERIFY_CURSOR rows = {.by = OW_VERIFY_BY_TEXT};
    OW_TRY(open_table(verify, table, &rows, err));
    struct ow_verify_sum sum = {0};
    bool beyond = false; /* a number that was not drawn */
    bool row = false;
    OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    while (row) {
        const int64_t seq = ow_sql_i64(&rows.statement, 1);
        if (seq < verify->next_ref) {
            ow_verify_sum_add(&sum, seq, NULL);
        }
        beyond = beyond || seq >= verify->slices.next_ref;
        OW_TRY(ow_verify_pause(verify, err));
        OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    }
    return ow_verify_sum_equal(&sum, derived) && !beyond ? OW_OK : find_strays(verify, table, err);
}

static enum ow_status check_tables(struct ow_verify *verify,
                                   const struct ow_verify_machine *machine, struct ow_err *err)
{
    for (size_t r = 0; r < machine->newest->record_count; r++) {
        OW_TRY(check_table(verify, &machine->newest->records[r], &machine->record_rows[r], err));
    }
    return OW_OK;
}

enum ow_status ow_verify_records(struct ow_verify *verify, struct ow_err *err)
{
    const struct ow_verify_machine *machine = verify->machines;
    for (; machine != NULL; machine = machine->next) {
        OW_TRY(check_tables(verify, machine, err));
    }
    return OW_OK;
}
