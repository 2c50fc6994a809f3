#include "store/explain_internal.h"

/*
 * In what a conflict differs from the first message, by what is kept of both now. The worker says
 * so when it meets the conflict; here there is time for what it has left out: first messages that
 * were woken, and large ones.
 */

/* The whole record, from PARKED or QUARANTINE. Without a topic: there is none. */
static enum ow_status read_record(struct ow_explain *explain, enum ow_explain_statement_name name,
                                  int64_t id, struct ow_arena *arena, struct ow_record *ret_record,
                                  struct ow_err *err)
{
    struct ow_statement *read = ow_explain_statement(explain, name);
    bool row = false;
    *ret_record = (struct ow_record){.timestamp_ms = -1};
    ow_sql_bind_i64(read, id);
    OW_TRY(ow_sql_step(read, &row, err));
    if (row) {
        if (!ow_explain_row_record(read, arena, ret_record)) {
            ret_record->topic = (struct ow_slice){0};
        }
        ow_sql_reset(read);
    }
    return OW_OK;
}

static enum ow_status read_first(struct ow_explain *explain, const struct ow_explain_event *first,
                                 struct ow_arena *arena, struct ow_kept *ret_kept,
                                 struct ow_err *err)
{
    *ret_kept = (struct ow_kept){.kind = OW_KEPT_NOTHING};
    if (first->quarantine != NULL || first->waits_for != NULL) {
        OW_TRY(read_record(explain,
                           first->quarantine != NULL ? OW_EXPLAIN_QUARANTINE : OW_EXPLAIN_PARKED,
                           first->ref, arena, &ret_kept->record, err));
        if (!ow_slice_is_absent(ret_kept->record.topic)) {
            ret_kept->kind = OW_KEPT_WHOLE;
        }
    } else if (first->seq != 0) {
        *ret_kept = (struct ow_kept){
            .kind = OW_KEPT_DATA,
            .machine = ow_slice_of(first->machine),
            .type = ow_slice_of(first->type),
            .source = ow_slice_of(first->source),
            .id = ow_slice_of(first->id),
            .entity_id = ow_slice_of(first->entity_id),
            .from_state = ow_slice_of(first->from),
            .data = ow_slice_of(first->data),
        };
    }
    return OW_OK;
}

static enum ow_status compare(struct ow_explain *explain, const struct ow_explain_event *first,
                              struct ow_explain_quarantine *conflict, struct ow_arena *arena,
                              struct ow_err *err)
{
    struct ow_kept kept;
    struct ow_record record;
    struct ow_event second;
    OW_TRY(read_first(explain, first, arena, &kept, err));
    OW_TRY(read_record(explain, OW_EXPLAIN_QUARANTINE, conflict->id, arena, &record, err));
    if (ow_slice_is_absent(record.topic) || !ow_explain_row_decode(explain, &record, &second) ||
        second.verdict != OW_OUTCOME_APPLIED) {
        return OW_OK;
    }
    struct ow_difference *const difference = OW_ARENA_NEW(explain->arena, struct ow_difference);
    ow_difference_find(&explain->machines.newest, &kept, &second, explain->arena, difference);
    conflict->difference = difference;
    return OW_OK;
}

enum ow_status ow_explain_difference(struct ow_explain *explain,
                                     const struct ow_explain_event *first,
                                     struct ow_explain_quarantine *conflict, struct ow_err *err)
{
    OW_CLEANUP(ow_arena_done) struct ow_arena arena;
    ow_arena_init(&arena, 8192);
    return compare(explain, first, conflict, &arena, err);
}
