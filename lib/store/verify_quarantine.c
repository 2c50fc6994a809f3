#include "base/parse.h"
#include "store/erased.h"
#include "store/internal.h"
#include "store/verify_internal.h"

#include <inttypes.h>

/*
 * The quarantine: each row reads as what it says. One that owns no claim is refused again by steps
 * 1 to 4 for the same reason; one that owns a claim, or met another's, is an event of its machine
 * and entity. Sightings, which say of which claim a record was a repetition.
 */

static const char quarantine_text[] =
    "SELECT id, reason, detail, machine, entity_id, topic, partition, offset, timestamp_ms, key,"
    " headers, value, first_seen_ms, last_seen_ms, seen, attempts, status, conflict_ref,"
    " conflict_fingerprint, note FROM ow_quarantine WHERE id >= ? ORDER BY id";

struct quarantined {
    int64_t id, seen, conflict_ref;
    struct ow_slice reason, detail, machine, entity_id, status, conflict_fingerprint;
    struct ow_record record;
    enum ow_reason kind; /* NONE: its reason is none */
    bool owns;           /* by its reason */
    bool unread;         /* it killed the process that read it */
    bool conflict;
    bool erased; /* its payload was */
};

static bool is_one_of(struct ow_slice text, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ow_slice_equals_text(text, list[i])) {
            return true;
        }
    }
    return false;
}

static bool take_row(struct ow_verify *verify, const struct ow_statement *row,
                     struct quarantined *ret_row)
{
    *ret_row = (struct quarantined){
        .id = ow_sql_i64(row, 0),
        .seen = ow_sql_i64(row, 14),
        .conflict_ref = ow_sql_i64(row, 17),
        .reason = ow_sql_slice(row, 1),
        .detail = ow_sql_slice(row, 2),
        .machine = ow_sql_slice(row, 3),
        .entity_id = ow_sql_slice(row, 4),
        .status = ow_sql_slice(row, 16),
        .conflict_fingerprint = ow_sql_slice(row, 18),
        .record = {.topic = ow_sql_slice(row, 5),
                   .partition = (int32_t)ow_sql_i64(row, 6),
                   .offset = ow_sql_i64(row, 7),
                   .timestamp_ms = ow_sql_i64(row, 8),
                   .key = ow_sql_slice(row, 9),
                   .value = ow_sql_slice(row, 11)}
    };
    ret_row->kind = ow_reason_of(ret_row->reason);
    ret_row->conflict = ret_row->kind == OW_REASON_CONFLICT;
    ret_row->unread = ret_row->kind == OW_REASON_POISON && ow_sql_is_null(row, 3);
    ret_row->owns = ow_reason_owns(ret_row->kind, ret_row->unread);
    ret_row->erased = ow_erased_is_note(ow_sql_slice(row, 19));
    return ow_headers_read(ow_sql_slice(row, 10), &verify->scratch, &ret_row->record.headers,
                           &ret_row->record.header_count);
}

static bool is_of(const struct quarantined *row, const struct ow_event *event)
{
    const struct ow_slice machine =
        event->machine == NULL ? (struct ow_slice){0} : ow_slice_of(event->machine->name);
    return ow_slice_equal(row->machine, machine) &&
           ow_slice_equal(row->entity_id, event->entity_id);
}

static bool fits(const struct ow_event *event, const void *wanted)
{
    const struct quarantined *row = wanted;
    if (row->owns || row->conflict) {
        return event->verdict == OW_OUTCOME_APPLIED && is_of(row, event);
    }
    return event->verdict == OW_OUTCOME_QUARANTINED && is_of(row, event) &&
           ow_slice_equals_text(row->reason, ow_reason_text(event->reason));
}

/* The limit that an oversize record was held against is told in its detail; else there is none. */
static size_t record_bytes_max(const struct quarantined *row)
{
    static const char before[] = "larger than ";
    static const char after[] = " bytes";
    const size_t around = sizeof(before) - 1 + sizeof(after) - 1;
    int64_t bytes = 0;
    if (ow_slice_equals_text(row->reason, "oversize") && row->detail.len > around &&
        memcmp(row->detail.ptr, before, sizeof(before) - 1) == 0 &&
        ow_parse_i64(
            (struct ow_slice){row->detail.ptr + sizeof(before) - 1, row->detail.len - around},
            &bytes) &&
        bytes > 0) {
        return (size_t)bytes;
    }
    return SIZE_MAX;
}

/* The words and numbers of a row. */
static const char *problem_of(const struct quarantined *quarantined, const struct ow_statement *row)
{
    static const char *const statuses[] = {"open", "requeued", "applied", "duplicate", "discarded"};
    static const char *const tried[] = {"requeued", "applied", "duplicate"};
    const int64_t attempts = ow_sql_i64(row, 15);
    if (quarantined->kind == OW_REASON_NONE) {
        return "its reason is none";
    }
    if (quarantined->unread && !ow_sql_is_null(row, 4)) {
        return "it was never read, and names an entity";
    }
    if (!is_one_of(quarantined->status, statuses, 5)) {
        return "its status is none";
    }
    if (attempts < 0 || (attempts == 0 && is_one_of(quarantined->status, tried, 3))) {
        return "its attempts do not go with its status";
    }
    if (quarantined->erased &&
        (is_one_of(quarantined->status, statuses, 2) || !ow_sql_is_null(row, 9) ||
         !ow_sql_is_null(row, 10) || !ow_sql_is_null(row, 11))) {
        return "its payload was erased, but it is still there or expected to be";
    }
    if (quarantined->seen == 1 && ow_sql_i64(row, 12) != ow_sql_i64(row, 13)) {
        return "it was seen once, at two times";
    }
    if (quarantined->conflict != !ow_sql_is_null(row, 17) ||
        quarantined->conflict_fingerprint.len !=
            (quarantined->conflict ? OW_FINGERPRINT_BYTES : 0)) {
        return "conflicts, and no others, have the claim's ref and their own fingerprint";
    }
    return NULL;
}

/* What it says of a claim: its own, or the one that it met. */
static enum ow_status expect(struct ow_verify *verify, const struct quarantined *row,
                             const struct ow_verify_reading *reading, struct ow_err *err)
{
    struct ow_verify_expected expected = {
        .ref = row->id,
        .role = OW_VERIFY_QUARANTINED,
        .id = row->id,
        .key = reading->has_key ? reading->event.key : NULL,
        .fingerprint = reading->has_fingerprint ? reading->event.fingerprint : NULL};
    /* Whose record was applied or recognised later is no owner any more: its history row or the
     * other claim is. */
    const bool gone = ow_slice_equals_text(row->status, "applied") ||
                      ow_slice_equals_text(row->status, "duplicate");
    if (!row->owns && !gone) {
        ow_verify_sum_add(&verify->numbers, row->id, NULL);
    }
    if (row->conflict) {
        expected.ref = row->conflict_ref;
        expected.role = OW_VERIFY_CONFLICT;
        expected.fingerprint = row->conflict_fingerprint.ptr;
        return row->conflict_fingerprint.len == OW_FINGERPRINT_BYTES
                   ? ow_verify_expect(verify, &expected, err)
                   : OW_OK;
    }
    return row->owns && !gone ? ow_verify_expect(verify, &expected, err) : OW_OK;
}

static void read_again(struct ow_verify *verify, const struct quarantined *row,
                       struct ow_verify_reading *ret_reading)
{
    if (row->erased) {
        verify->erased++;
        ret_reading->unsure = true; /* there is nothing to be read */
        return;
    }
    if (row->unread) {
        ret_reading->unsure = true; /* it killed the process that read it, and is not read here */
        return;
    }
    verify->decoder.record_bytes_max = record_bytes_max(row);
    if (ow_slice_equals_text(row->reason, "oversize") &&
        verify->decoder.record_bytes_max == SIZE_MAX) {
        ret_reading->unsure = true;
        return;
    }
    ow_verify_decode(verify, &row->record, fits, row, ret_reading);
    if (ret_reading->found && row->conflict && ret_reading->has_fingerprint &&
        row->conflict_fingerprint.len == OW_FINGERPRINT_BYTES &&
        memcmp(ret_reading->event.fingerprint, row->conflict_fingerprint.ptr,
               OW_FINGERPRINT_BYTES) != 0) {
        ret_reading->found = false;
    }
}

static enum ow_status check_row(struct ow_verify *verify, const struct ow_statement *row,
                                struct ow_err *err)
{
    struct quarantined quarantined;
    const bool readable = take_row(verify, row, &quarantined);
    struct ow_verify_reading reading = {.found = false};
    const char *problem = problem_of(&quarantined, row);
    ow_verify_checked(verify, OW_PROMISE_QUARANTINE, 1);
    if (readable) {
        read_again(verify, &quarantined, &reading);
    }
    if (problem == NULL && !reading.found && !reading.unsure) {
        problem = "its message does not read as what the row says, by any machine stored";
    }
    if (problem != NULL) {
        ow_verify_broken(verify, OW_PROMISE_QUARANTINE,
                         "quarantine row %" PRId64 " (" OW_SLICE_FMT "): %s", quarantined.id,
                         OW_SLICE_ARG(quarantined.reason), problem);
    }
    OW_TRY(expect(verify, &quarantined, &reading, err));
    const struct ow_verify_trace trace = {.topic = quarantined.record.topic,
                                          .partition = ow_sql_i64(row, 6),
                                          .offset = quarantined.record.offset,
                                          .kind = OW_VERIFY_TRACE_QUARANTINED,
                                          .ref = quarantined.id,
                                          .seen = quarantined.seen};
    return ow_verify_trace_add(verify, &trace, err);
}

enum ow_status ow_verify_quarantine(struct ow_verify *verify, struct ow_err *err)
{
    OW_VERIFY_CURSOR rows = {.by = OW_VERIFY_BY_NUMBER};
    OW_TRY(ow_verify_cursor_open(&rows, verify, quarantine_text, err));
    bool row = false;
    OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    while (row) {
        const int64_t id = ow_sql_i64(&rows.statement, 0);
        ow_arena_reset(&verify->scratch);
        ow_verify_number(verify, id, "quarantine row");
        if (id < verify->next_ref) {
            OW_TRY(check_row(verify, &rows.statement, err));
        }
        OW_TRY(ow_verify_pause(verify, err));
        OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    }
    return OW_OK;
}

static enum ow_status check_sighting(struct ow_verify *verify, const struct ow_statement *row,
                                     struct ow_err *err)
{
    static const char *const causes[] = {"stale", "same_id", "other_channel", OW_SEED_NAME};
    const int64_t rowid = ow_sql_i64(row, 0);
    const int64_t ref = ow_sql_i64(row, 1);
    const struct ow_slice cause = ow_sql_slice(row, 2);
    const bool stale = ow_slice_equals_text(cause, "stale");
    const bool seeded = ow_slice_equals_text(cause, OW_SEED_NAME);
    ow_verify_number(verify, ref, "sighting with ref");
    if (!is_one_of(cause, causes, 4)) {
        ow_verify_broken(verify, OW_PROMISE_OUTCOMES,
                         "the sighting of ref %" PRId64 " has the cause '" OW_SLICE_FMT
                         "', which is none",
                         ref, OW_SLICE_ARG(cause));
    }
    /* An owner counts by its own number, another by its place in the table. */
    if (ref >= verify->next_ref || (!stale && !seeded && rowid > verify->sighting_rowid)) {
        return OW_OK;
    }
    const enum ow_verify_role role = stale    ? OW_VERIFY_STALE
                                     : seeded ? OW_VERIFY_SEEDED
                                              : OW_VERIFY_SIGHTED;
    const struct ow_verify_expected expected = {.ref = ref, .role = role, .id = rowid};
    OW_TRY(ow_verify_expect(verify, &expected, err));
    if (seeded) {
        return OW_OK; /* what was taken over is in no ledger */
    }
    const struct ow_verify_trace trace = {.topic = ow_sql_slice(row, 3),
                                          .partition = ow_sql_i64(row, 4),
                                          .offset = ow_sql_i64(row, 5),
                                          .kind = stale ? OW_VERIFY_TRACE_STALE
                                                        : OW_VERIFY_TRACE_DUPLICATE,
                                          .ref = ref,
                                          .sighting = rowid};
    return ow_verify_trace_add(verify, &trace, err);
}

enum ow_status ow_verify_sightings(struct ow_verify *verify, struct ow_err *err)
{
    OW_VERIFY_CURSOR rows = {.by = OW_VERIFY_BY_NUMBER};
    OW_TRY(ow_verify_cursor_open(&rows, verify,
                                 "SELECT rowid, ref, cause, topic, partition, offset"
                                 " FROM ow_sighting WHERE rowid >= ? ORDER BY rowid",
                                 err));
    bool row = false;
    OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    while (row) {
        OW_TRY(check_sighting(verify, &rows.statement, err));
        OW_TRY(ow_verify_pause(verify, err));
        OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    }
    return OW_OK;
}
