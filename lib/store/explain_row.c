#include "model/envelope.h"
#include "store/erased.h"
#include "store/explain_internal.h"
#include "store/internal.h"

const char *ow_explain_row_text(struct ow_explain *explain, const struct ow_statement *row,
                                int column)
{
    return ow_sql_is_null(row, column) ? NULL
                                       : ow_arena_text(explain->arena, ow_sql_slice(row, column));
}

static const char *keep(struct ow_explain *explain, struct ow_slice text)
{
    return ow_slice_is_absent(text) ? NULL : ow_arena_text(explain->arena, text);
}

struct ow_explain_place ow_explain_row_place(struct ow_explain *explain,
                                             const struct ow_statement *row, int column)
{
    return (struct ow_explain_place){.topic = ow_explain_row_text(explain, row, column),
                                     .partition = ow_sql_i64(row, column + 1),
                                     .offset = ow_sql_i64(row, column + 2)};
}

bool ow_explain_row_record(const struct ow_statement *row, struct ow_arena *arena,
                           struct ow_record *ret_record)
{
    enum { AT = OW_EXPLAIN_RECORD_COLUMN };
    *ret_record = (struct ow_record){
        .topic = ow_sql_copy(row, AT, arena),
        .partition = (int32_t)ow_sql_i64(row, AT + 1),
        .offset = ow_sql_i64(row, AT + 2),
        .timestamp_ms = ow_sql_i64(row, AT + 3),
        .key = ow_sql_copy(row, AT + 4, arena),
        .value = ow_sql_copy(row, AT + 6, arena),
    };
    return ow_headers_read(ow_sql_slice(row, AT + 5), arena, &ret_record->headers,
                           &ret_record->header_count);
}

/* What was read of the message, or when it was erased. */
static void read_data(struct ow_explain *explain, const struct ow_statement *row, int column,
                      struct ow_explain_event *event)
{
    const struct ow_slice text = ow_sql_slice(row, column);
    OW_JSON *data = json_loadb((const char *)text.ptr, text.len, JSON_ALLOW_NUL, NULL);
    struct ow_erased erased;
    if (ow_erased_read(data, &erased)) {
        event->erased_at_ms = erased.at_ms;
    } else {
        event->data = ow_explain_row_text(explain, row, column);
    }
}

static void read_history(struct ow_explain *explain, const struct ow_statement *row,
                         struct ow_explain_event *event, int64_t *ret_prev_seq)
{
    event->seq = ow_sql_i64(row, 0);
    event->ref = ow_sql_is_null(row, 1) ? event->seq : ow_sql_i64(row, 1);
    event->machine = ow_explain_row_text(explain, row, 2);
    event->machine_version = ow_sql_i64(row, 3);
    event->entity_id = ow_explain_row_text(explain, row, 4);
    event->version = ow_sql_i64(row, 5);
    *ret_prev_seq = ow_sql_i64(row, 6);
    event->type = ow_explain_row_text(explain, row, 7);
    event->source = ow_explain_row_text(explain, row, 8);
    event->id = ow_explain_row_text(explain, row, 9);
    event->from = ow_explain_row_text(explain, row, 10);
    event->to = ow_explain_row_text(explain, row, 11);
    event->event_time_ms = ow_sql_i64(row, 12);
    event->applied_at_ms = ow_sql_i64(row, 13);
    event->place = ow_explain_row_place(explain, row, 14);
    event->via = ow_explain_row_text(explain, row, 17);
    read_data(explain, row, 18, event);
    event->outcome = ow_outcome_text(OW_OUTCOME_APPLIED);
}

/* Sets *event where there is such a row. */
enum ow_status ow_explain_row_history(struct ow_explain *explain, int64_t seq,
                                      struct ow_explain_event *event, int64_t *ret_prev_seq,
                                      struct ow_err *err)
{
    struct ow_statement *read = ow_explain_statement(explain, OW_EXPLAIN_HISTORY);
    bool row = false;
    ow_sql_bind_i64(read, seq);
    OW_TRY(ow_sql_step(read, &row, err));
    if (!row) {
        return OW_OK;
    }
    read_history(explain, read, event, ret_prev_seq);
    ow_sql_reset(read);
    return ow_explain_claim_of_history(explain, event, err);
}

/* What an unread message names all the same: people know it by that. */
static void read_names(struct ow_explain *explain, const struct ow_machine *of_topic,
                       struct ow_event *event)
{
    struct ow_envelope envelope;
    ow_envelope_decode(&of_topic->message, event->record, &explain->scratch, &envelope);
    if (envelope.malformed == NULL) {
        const struct ow_attribute entity = ow_envelope_attribute(
            &envelope, event->record, &of_topic->message.entity, &explain->scratch);
        event->type = envelope.type.kind == OW_ATTRIBUTE_TEXT ? envelope.type.text : event->type;
        event->id = envelope.id.kind == OW_ATTRIBUTE_TEXT ? envelope.id.text : event->id;
        event->source =
            envelope.source.kind == OW_ATTRIBUTE_TEXT ? envelope.source.text : event->source;
        event->entity_id = entity.kind == OW_ATTRIBUTE_TEXT ? entity.text : event->entity_id;
    }
    ow_envelope_done(&envelope);
}

bool ow_explain_row_decode(struct ow_explain *explain, const struct ow_record *record,
                           struct ow_event *ret_event)
{
    const struct ow_machine *of_topic =
        ow_machines_of_topic(&explain->machines.newest, record->topic);
    if (of_topic == NULL) {
        return false;
    }
    ow_event_decode(&explain->decoder, record, &explain->scratch, ret_event);
    if (ow_slice_is_absent(ret_event->id)) {
        ret_event->machine = of_topic;
        read_names(explain, of_topic, ret_event);
    }
    return true;
}

/* What the record itself says. */
static void decode(struct ow_explain *explain, const struct ow_statement *row,
                   struct ow_explain_event *event, uint8_t key[OW_CLAIM_KEY_BYTES],
                   bool *ret_has_key)
{
    struct ow_record record;
    struct ow_event decoded;
    *ret_has_key = false;
    if (!ow_explain_row_record(row, &explain->scratch, &record) ||
        !ow_explain_row_decode(explain, &record, &decoded)) {
        return;
    }
    event->type = keep(explain, decoded.type);
    event->source = keep(explain, decoded.source);
    event->id = keep(explain, decoded.id);
    if (decoded.verdict == OW_OUTCOME_APPLIED) {
        event->event_time_ms = decoded.time_ms;
        memcpy(key, decoded.key, OW_CLAIM_KEY_BYTES);
        *ret_has_key = !explain->told.key_missing;
    }
}

/* "in state 'none', waits for 'created' or 'cancelled' (too early: …)". */
static const char *waits_for(struct ow_explain *explain, const struct ow_machine *machine,
                             const struct ow_event_type *type, size_t state)
{
    OW_BUFFER text = {0};
    uint64_t from = 0;
    for (size_t t = 0; t < type->transition_count; t++) {
        from |= type->transitions[t].from;
    }
    ow_buffer_printf(&text, "in state '%s'", machine->states[state]);
    const char *before = ", waits for";
    for (size_t s = 0; type->cells[state].kind == OW_CELL_PARK && s < machine->state_count; s++) {
        if ((from >> s & 1) != 0) {
            ow_buffer_printf(&text, "%s '%s'", before, machine->states[s]);
            before = " or";
        }
    }
    ow_buffer_printf(&text, " (%s)", type->cells[state].why);
    return ow_arena_text(explain->arena, ow_buffer_view(&text));
}

/* Why an event is too early for the state in which its entity is. */
static enum ow_status look_at_cell(struct ow_explain *explain, struct ow_explain_event *event,
                                   struct ow_err *err)
{
    const struct ow_machine *machine =
        ow_machines_named(&explain->machines.newest, ow_slice_of(event->machine));
    const struct ow_event_type *type =
        machine == NULL ? NULL : ow_machine_event(machine, ow_slice_of(event->type));
    if (type == NULL) {
        event->waits_for = "the machine does not know such an event any more";
        return OW_OK;
    }
    OW_BUFFER text = {0};
    ow_buffer_text(&text, "SELECT state FROM ");
    ow_store_identifier(&text, machine->entity.name);
    ow_buffer_text(&text, " WHERE ");
    ow_store_identifier(&text, machine->entity.key);
    ow_buffer_text(&text, " = ?");
    OW_STATEMENT read = {0};
    bool row = false;
    OW_TRY(ow_sql_prepare(&explain->sql, ow_buffer_cstr(&text), &read, err));
    ow_sql_bind_cstr(&read, event->entity_id);
    OW_TRY(ow_sql_step(&read, &row, err));
    const int state = row ? ow_machine_state(machine, ow_sql_slice(&read, 0)) : 0;
    event->waits_for = state < 0 ? "the machine does not know the entity's state any more"
                                 : waits_for(explain, machine, type, (size_t)state);
    return OW_OK;
}

enum ow_status ow_explain_row_parked(struct ow_explain *explain, struct ow_explain_event *event,
                                     struct ow_err *err)
{
    struct ow_statement *read = ow_explain_statement(explain, OW_EXPLAIN_PARKED);
    int64_t ref = event->ref;
    bool row = false;
    ow_sql_bind_i64(read, ref);
    OW_TRY(ow_sql_step(read, &row, err));
    if (!row) {
        return OW_OK;
    }
    uint8_t key[OW_CLAIM_KEY_BYTES];
    bool has_key = false;
    decode(explain, read, event, key, &has_key);
    event->outcome = ow_outcome_text(OW_OUTCOME_PARKED);
    event->machine = ow_explain_row_text(explain, read, 0);
    event->entity_id = ow_explain_row_text(explain, read, 1);
    event->type = ow_explain_row_text(explain, read, 2);
    event->was_parked = true;
    event->seen.least_ms = event->seen.most_ms = ow_sql_i64(read, 3);
    event->deadline_ms = ow_sql_i64(read, 4);
    event->place = ow_explain_row_place(explain, read, OW_EXPLAIN_RECORD_COLUMN);
    ow_sql_reset(read);
    event->claim.claimed = OW_EXPLAIN_CLAIM_UNKNOWN;
    if (has_key) {
        OW_TRY(ow_explain_claim_find(explain, key, &event->claim, &ref, err));
    }
    return look_at_cell(explain, event, err);
}

struct ow_explain_quarantine *ow_explain_row_take_quarantine(struct ow_explain *explain, int64_t id,
                                                             const struct ow_statement *row)
{
    struct ow_explain_quarantine *read = OW_ARENA_NEW(explain->arena, struct ow_explain_quarantine);
    *read = (struct ow_explain_quarantine){
        .id = id,
        .reason = ow_arena_text(explain->arena, ow_sql_slice(row, 0)),
        .entity_id = ow_explain_row_text(explain, row, 2),
        .place = ow_explain_row_place(explain, row, OW_EXPLAIN_RECORD_COLUMN),
        .detail = ow_arena_text(explain->arena, ow_sql_slice(row, 12)),
        .status = ow_arena_text(explain->arena, ow_sql_slice(row, 13)),
        .note = ow_explain_row_text(explain, row, 14),
        .first_seen_ms = ow_sql_i64(row, 15),
        .last_seen_ms = ow_sql_i64(row, 16),
        .seen = ow_sql_i64(row, 17),
        .attempts = ow_sql_i64(row, 18),
        .conflict_ref = ow_sql_i64(row, 3),
    };
    return read;
}

/* A row whose record was applied or recognised later is told with what became of it then. */
static bool is_settled(const struct ow_explain_quarantine *row)
{
    return strcmp(row->status, "applied") == 0 || strcmp(row->status, "duplicate") == 0;
}

enum ow_status ow_explain_row_quarantine(struct ow_explain *explain, struct ow_explain_event *event,
                                         struct ow_err *err)
{
    struct ow_statement *read = ow_explain_statement(explain, OW_EXPLAIN_QUARANTINE);
    int64_t ref = event->ref;
    bool row = false;
    ow_sql_bind_i64(read, ref);
    OW_TRY(ow_sql_step(read, &row, err));
    if (!row) {
        return OW_OK;
    }
    event->quarantine = ow_explain_row_take_quarantine(explain, ref, read);
    if (event->outcome != NULL) { /* it was applied, requeued, since */
        ow_sql_reset(read);
        return OW_OK;
    }
    uint8_t key[OW_CLAIM_KEY_BYTES];
    bool has_key = false;
    event->machine = ow_explain_row_text(explain, read, 1);
    const enum ow_reason reason = ow_reason_of(ow_slice_of(event->quarantine->reason));
    if (event->machine != NULL || reason != OW_REASON_POISON) { /* else it kills who reads it */
        decode(explain, read, event, key, &has_key);
    }
    event->entity_id = event->quarantine->entity_id;
    event->place = event->quarantine->place;
    ow_sql_reset(read);
    event->outcome = is_settled(event->quarantine) ? NULL : ow_outcome_text(OW_OUTCOME_QUARANTINED);
    event->claim.claimed = OW_EXPLAIN_CLAIM_NONE;
    if (ow_reason_owns(reason, event->machine == NULL)) {
        event->claim.claimed = OW_EXPLAIN_CLAIM_UNKNOWN;
        return has_key ? ow_explain_claim_find(explain, key, &event->claim, &ref, err) : OW_OK;
    }
    return OW_OK;
}

/* The row of a message that was applied later than seen: the entity's rows from the last one back.
 */
enum ow_status ow_explain_row_chain(struct ow_explain *explain, const struct ow_machine *machine,
                                    struct ow_slice entity_id, struct ow_explain_event *event,
                                    int64_t *ret_prev_seq, struct ow_err *err)
{
    OW_BUFFER text = {0};
    ow_buffer_text(&text, "WITH RECURSIVE chain (seq) AS (SELECT last_seq FROM ");
    ow_store_identifier(&text, machine->entity.name);
    ow_buffer_text(&text, " WHERE ");
    ow_store_identifier(&text, machine->entity.key);
    ow_buffer_text(&text, " = ? UNION ALL SELECT h.prev_seq FROM chain c"
                          " JOIN ow_history_row h ON h.seq = c.seq WHERE h.prev_seq IS NOT NULL)"
                          " SELECT c.seq FROM chain c JOIN ow_history_row h ON h.seq = c.seq"
                          " WHERE h.first_ref = ? LIMIT 1");
    OW_STATEMENT find = {0};
    bool row = false;
    OW_TRY(ow_sql_prepare(&explain->sql, ow_buffer_cstr(&text), &find, err));
    ow_sql_bind_text(&find, entity_id);
    ow_sql_bind_i64(&find, event->ref);
    OW_TRY(ow_sql_step(&find, &row, err));
    return row ? ow_explain_row_history(explain, ow_sql_i64(&find, 0), event, ret_prev_seq, err)
               : OW_OK;
}

/* When nothing else is known of a message: its row lies behind its ref. Mostly not far. */
enum ow_status ow_explain_row_behind(struct ow_explain *explain, struct ow_explain_event *event,
                                     int64_t *ret_prev_seq, struct ow_err *err)
{
    struct ow_statement *bounds = ow_explain_statement(explain, OW_EXPLAIN_BOUNDS);
    struct ow_statement *scan = ow_explain_statement(explain, OW_EXPLAIN_WOKEN);
    enum { SLICE = 100000 };
    const int64_t ref = event->ref;
    bool row = false;
    OW_TRY(ow_sql_step(bounds, &row, err));
    const int64_t last = row ? ow_sql_i64(bounds, 1) : 0;
    ow_sql_reset(bounds);
    for (int64_t at = ref; at < last; at += SLICE) {
        ow_sql_bind_i64(scan, at);
        ow_sql_bind_i64(scan, at + SLICE);
        ow_sql_bind_i64(scan, ref);
        OW_TRY(ow_sql_step(scan, &row, err));
        if (row) {
            const int64_t seq = ow_sql_i64(scan, 0);
            ow_sql_reset(scan);
            return ow_explain_row_history(explain, seq, event, ret_prev_seq, err);
        }
        if (explain->options->progress != NULL) {
            explain->options->progress(explain->options->context,
                                       "looking for what became of a parked message", at - ref,
                                       last - ref);
        }
        OW_TRY(ow_explain_breathe(explain, err));
    }
    return OW_OK;
}
