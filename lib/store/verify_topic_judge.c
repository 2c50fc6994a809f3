#include "store/verify_topic_internal.h"

#include <inttypes.h>

/* A record read again, and the claim of its key. */
struct reading {
    struct ow_event event;
    bool is_claimed;
    uint8_t fingerprint[OW_FINGERPRINT_BYTES];
    int64_t ref;
};

static void take_claim(const struct ow_statement *row, struct reading *reading)
{
    const struct ow_slice fingerprint = ow_sql_slice(row, 0);
    reading->is_claimed = fingerprint.len == sizeof(reading->fingerprint);
    if (reading->is_claimed) {
        memcpy(reading->fingerprint, fingerprint.ptr, fingerprint.len);
        reading->ref = ow_sql_i64(row, 1);
    }
}

static enum ow_status find_claim(struct ow_verify_topic *topic, struct reading *reading,
                                 struct ow_err *err)
{
    const struct ow_slice key = {reading->event.key, sizeof(reading->event.key)};
    struct ow_statement *near = ow_topic_statement(topic, OW_TOPIC_STATEMENT_CLAIM_IN);
    bool row = false;
    ow_sql_bind_i64(near, topic->claim_bucket);
    ow_sql_bind_blob(near, key);
    OW_TRY(ow_sql_step(near, &row, err));
    if (row) {
        take_claim(near, reading);
        ow_sql_reset(near);
        return OW_OK;
    }
    struct ow_statement *any = ow_topic_statement(topic, OW_TOPIC_STATEMENT_CLAIM);
    ow_sql_bind_blob(any, key);
    OW_TRY(ow_sql_step(any, &row, err));
    if (row) {
        take_claim(any, reading);
        topic->claim_bucket = ow_sql_i64(any, 2);
        ow_sql_reset(any);
    }
    return OW_OK;
}

static enum ow_status read_as(struct ow_verify_topic *topic, const struct ow_record *record,
                              const struct ow_machines *machines, struct reading *reading,
                              struct ow_err *err)
{
    *reading = (struct reading){.event.verdict = OW_OUTCOME_QUARANTINED};
    if (ow_machines_of_topic(machines, record->topic) == NULL) {
        return OW_OK;
    }
    topic->decoder.machines = machines;
    ow_event_decode(&topic->decoder, record, &topic->scratch, &reading->event);
    return reading->event.verdict == OW_OUTCOME_APPLIED ? find_claim(topic, reading, err) : OW_OK;
}

/* As the newest machines read it; or, where that does not lead to what was found before, as an
 * older version did. */
static enum ow_status read_again(struct ow_verify_topic *topic, const struct ow_record *record,
                                 bool must_be_claimed, enum ow_outcome verdict,
                                 struct reading *reading, struct ow_err *err)
{
    struct reading old;
    OW_TRY(read_as(topic, record, &topic->machines.newest, reading, err));
    for (struct ow_explain_version *version = topic->machines.versions; version != NULL;
         version = version->next) {
        if (reading->event.verdict == verdict && (reading->is_claimed || !must_be_claimed)) {
            return OW_OK;
        }
        OW_TRY(read_as(topic, record, &version->machines, &old, err));
        if (old.event.verdict == verdict && (old.is_claimed || !must_be_claimed)) {
            *reading = old;
        }
    }
    return OW_OK;
}

/* Whether claims of that class and from that time may have been pruned. */
static enum ow_status is_before(struct ow_verify_topic *topic, int64_t class_ms, int64_t time_ms,
                                bool *ret_is, struct ow_err *err)
{
    struct ow_statement *read = ow_topic_statement(topic, OW_TOPIC_STATEMENT_PRUNED);
    bool row = false;
    ow_sql_bind_i64(read, class_ms);
    OW_TRY(ow_sql_step(read, &row, err));
    *ret_is = false;
    if (row) {
        *ret_is = time_ms <= ow_sql_i64(read, 0);
        ow_sql_reset(read);
    }
    return OW_OK;
}

/*
 * Whether the claim of a record may have been pruned: it is from before the horizon, by some
 * version of its machine. Claims have the times of our clock, and records those of theirs.
 */
static enum ow_status may_be_pruned(struct ow_verify_topic *topic, const struct reading *reading,
                                    bool *ret_may, struct ow_err *err)
{
    const int64_t time_ms = reading->event.record->timestamp_ms - OW_CLAIM_SKEW_MS_DEFAULT;
    const struct ow_slice type = ow_slice_of(reading->event.event->name);
    *ret_may = false;
    for (const struct ow_explain_version *version = topic->machines.versions;
         version != NULL && !*ret_may; version = version->next) {
        const struct ow_event_type *event = ow_machine_event(version->machine, type);
        if (event != NULL) {
            OW_TRY(is_before(topic, event->claim->retention_ms, time_ms, ret_may, err));
        }
    }
    return OW_OK;
}

/* Whether there is a row; id: its first column. */
static enum ow_status find(struct ow_statement *statement, int64_t *ret_id, struct ow_err *err)
{
    bool row = false;
    *ret_id = 0;
    OW_TRY(ow_sql_step(statement, &row, err));
    if (row) {
        *ret_id = ow_sql_i64(statement, 0);
        ow_sql_reset(statement);
    }
    return OW_OK;
}

static void bind_place(struct ow_statement *statement, const struct ow_record *record)
{
    ow_sql_bind_text(statement, record->topic);
    ow_sql_bind_i64(statement, record->partition);
    ow_sql_bind_i64(statement, record->offset);
}

/* Whether the key is claimed by another record that came when its claim had been pruned. */
static enum ow_status is_of_expired(struct ow_verify_topic *topic, const struct reading *reading,
                                    bool *ret_is, struct ow_err *err)
{
    struct ow_statement *read = ow_topic_statement(topic, OW_TOPIC_STATEMENT_EXPIRED);
    int64_t found = 0;
    *ret_is = false;
    if (!reading->is_claimed) {
        return OW_OK;
    }
    ow_sql_bind_i64(read, reading->ref);
    bind_place(read, reading->event.record);
    OW_TRY(find(read, &found, err));
    *ret_is = found != 0;
    return OW_OK;
}

/* True: the claim is there and is the record's own, as far as that can be told. */
static enum ow_status check_claim(struct ow_verify_topic *topic, const struct reading *reading,
                                  const char *outcome, bool *ret_good, struct ow_err *err)
{
    const int64_t offset = reading->event.record->offset;
    bool expired = false;
    *ret_good = false;
    OW_TRY(is_of_expired(topic, reading, &expired, err));
    if (!reading->is_claimed || expired) {
        bool may = false;
        OW_TRY(may_be_pruned(topic, reading, &may, err));
        if (may) {
            topic->remarks.pruned++;
            return OW_OK;
        }
    }
    ow_verify_topic_checked(topic, OW_TOPIC_PROMISE_CLAIMS);
    if (!reading->is_claimed) {
        ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_CLAIMS, offset,
                               "is %s, and the key of its message " OW_SLICE_FMT " is not claimed",
                               outcome, OW_SLICE_ARG(reading->event.id));
        return OW_OK;
    }
    *ret_good = true;
    if (reading->fingerprint[0] != reading->event.fingerprint[0]) {
        topic->remarks.other_rule++;
    } else if (memcmp(reading->fingerprint, reading->event.fingerprint, OW_FINGERPRINT_BYTES) !=
               0) {
        *ret_good = false;
        ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_CLAIMS, offset,
                               "is %s, and the claim %" PRId64 " of its message " OW_SLICE_FMT
                               " has another fingerprint",
                               outcome, reading->ref, OW_SLICE_ARG(reading->event.id));
    }
    return OW_OK;
}

static enum ow_status check_history(struct ow_verify_topic *topic, const struct reading *reading,
                                    struct ow_err *err)
{
    const struct ow_event *event = &reading->event;
    const struct ow_record *record = event->record;
    const struct ow_slice source = ow_slice_is_absent(event->source) ? OW_SLICE("") : event->source;
    struct ow_statement *read = ow_topic_statement(topic, OW_TOPIC_STATEMENT_HISTORY);
    bool row = false;
    ow_verify_topic_checked(topic, OW_TOPIC_PROMISE_HISTORY);
    ow_sql_bind_i64(read, reading->ref);
    OW_TRY(ow_sql_step(read, &row, err));
    if (!row) {
        ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_HISTORY, record->offset,
                               "is applied, and there is no history row %" PRId64, reading->ref);
        return OW_OK;
    }
    const bool is_message = ow_slice_equal(ow_sql_slice(read, 0), source) &&
                            ow_slice_equal(ow_sql_slice(read, 1), event->id) &&
                            ow_slice_equal(ow_sql_slice(read, 2), event->entity_id) &&
                            ow_slice_equal(ow_sql_slice(read, 3), event->type);
    const bool is_place = ow_slice_equal(ow_sql_slice(read, 4), record->topic) &&
                          ow_sql_i64(read, 5) == record->partition &&
                          ow_sql_i64(read, 6) == record->offset;
    ow_sql_reset(read);
    if (!is_message || !is_place) {
        ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_HISTORY, record->offset,
                               "is applied, and history row %" PRId64 " is of another %s",
                               reading->ref, is_message ? "place" : "message");
    }
    return OW_OK;
}

static enum ow_status check_sighting(struct ow_verify_topic *topic, const struct reading *reading,
                                     const char *outcome, struct ow_err *err)
{
    const struct ow_record *record = reading->event.record;
    struct ow_statement *read = ow_topic_statement(topic, OW_TOPIC_STATEMENT_SIGHTING);
    int64_t found = 0;
    ow_sql_bind_i64(read, reading->ref);
    bind_place(read, record);
    ow_sql_bind_i64(read, strcmp(outcome, "stale") == 0);
    OW_TRY(find(read, &found, err));
    if (found == 0) {
        ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_OUTCOMES, record->offset,
                               "is %s, and message %" PRId64 " has no sighting of it", outcome,
                               reading->ref);
    }
    return OW_OK;
}

/* Applied, duplicate, stale and parked records: their message can be read and is claimed. */
static enum ow_status judge_claimed(struct ow_verify_topic *topic, const struct ow_record *record,
                                    const char *outcome, struct ow_err *err)
{
    struct reading reading;
    bool good = false;
    OW_TRY(read_again(topic, record, true, OW_OUTCOME_APPLIED, &reading, err));
    if (reading.event.verdict != OW_OUTCOME_APPLIED) {
        ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_OUTCOMES, record->offset,
                               "is %s, and no version of a machine can read it so (%s)", outcome,
                               reading.event.detail == NULL ? "filtered" : reading.event.detail);
        return OW_OK;
    }
    OW_TRY(check_claim(topic, &reading, outcome, &good, err));
    if (!good) {
        return OW_OK;
    }
    if (strcmp(outcome, "applied") == 0) {
        return check_history(topic, &reading, err);
    }
    /* What became of a parked one lies behind its claim: that each claim has its row is proved
     * without the topic. */
    return strcmp(outcome, "parked") == 0 ? OW_OK : check_sighting(topic, &reading, outcome, err);
}

/* The row of a conflict: that of the same conflict met before, where there is none of the place. */
static enum ow_status judge_conflict(struct ow_verify_topic *topic, const struct ow_record *record,
                                     struct ow_err *err)
{
    struct reading reading;
    int64_t found = 0;
    OW_TRY(read_again(topic, record, true, OW_OUTCOME_APPLIED, &reading, err));
    if (!reading.is_claimed) {
        ow_verify_topic_checked(topic, OW_TOPIC_PROMISE_CLAIMS);
        ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_CLAIMS, record->offset,
                               "is in quarantine as a conflict, and its key is not claimed");
        return OW_OK;
    }
    struct ow_statement *read = ow_topic_statement(topic, OW_TOPIC_STATEMENT_CONFLICT);
    ow_sql_bind_i64(read, reading.ref);
    ow_sql_bind_blob(read, (struct ow_slice){reading.event.fingerprint, OW_FINGERPRINT_BYTES});
    OW_TRY(find(read, &found, err));
    if (found == 0) {
        ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_OUTCOMES, record->offset,
                               "is quarantined, and nothing in quarantine is of it or of the same "
                               "conflict");
        return OW_OK;
    }
    ow_verify_topic_checked(topic, OW_TOPIC_PROMISE_CLAIMS);
    if (memcmp(reading.fingerprint, reading.event.fingerprint, OW_FINGERPRINT_BYTES) == 0) {
        ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_CLAIMS, record->offset,
                               "is in quarantine as a conflict, and claim %" PRId64
                               " has the very same fingerprint",
                               reading.ref);
    }
    return OW_OK;
}

static enum ow_status judge_quarantined(struct ow_verify_topic *topic,
                                        const struct ow_record *record, struct ow_err *err)
{
    struct ow_statement *read = ow_topic_statement(topic, OW_TOPIC_STATEMENT_QUARANTINE);
    bool row = false;
    bind_place(read, record);
    ow_sql_bind_i64(read, topic->partition.began_ref);
    OW_TRY(ow_sql_step(read, &row, err));
    if (!row) {
        return judge_conflict(topic, record, err);
    }
    const int64_t id = ow_sql_i64(read, 0);
    const char *reason = ow_arena_text(&topic->scratch, ow_sql_slice(read, 1));
    const bool unread = ow_sql_is_null(read, 2);
    const bool owns = ow_reason_owns(ow_reason_of(ow_slice_of(reason)), unread);
    ow_sql_reset(read);
    if (strcmp(reason, "conflict") == 0) {
        return judge_conflict(topic, record, err);
    }
    if (unread && strcmp(reason, "poison") == 0) {
        return OW_OK; /* it killed whoever read it */
    }
    struct reading reading;
    OW_TRY(read_again(topic, record, owns, owns ? OW_OUTCOME_APPLIED : OW_OUTCOME_QUARANTINED,
                      &reading, err));
    const bool is_readable = reading.event.verdict == OW_OUTCOME_APPLIED;
    if (owns != is_readable ||
        (!owns && strcmp(ow_reason_text(reading.event.reason), reason) != 0)) {
        ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_OUTCOMES, record->offset,
                               "is in quarantine (%" PRId64 ", %s), and is read as %s%s", id,
                               reason, is_readable ? "an event" : "",
                               is_readable ? "" : ow_reason_text(reading.event.reason));
        return OW_OK;
    }
    bool good = false;
    if (owns) {
        OW_TRY(check_claim(topic, &reading,
                           ow_arena_printf(&topic->scratch, "quarantined (%s)", reason), &good,
                           err));
    }
    if (good && reading.ref != id) {
        ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_CLAIMS, record->offset,
                               "is quarantine row %" PRId64 ", and its key is claimed by %" PRId64,
                               id, reading.ref);
    }
    return OW_OK;
}

enum ow_status ow_verify_topic_judge(struct ow_verify_topic *topic, const struct ow_record *record,
                                     const char *outcome, struct ow_err *err)
{
    if (strcmp(outcome, "skipped") == 0 || strcmp(outcome, "lost") == 0) {
        topic->remarks.skipped++;
        return OW_OK;
    }
    ow_verify_topic_checked(topic, OW_TOPIC_PROMISE_OUTCOMES);
    if (strcmp(outcome, "quarantined") == 0) {
        return judge_quarantined(topic, record, err);
    }
    if (strcmp(outcome, "filtered") != 0) {
        return judge_claimed(topic, record, outcome, err);
    }
    struct reading reading;
    OW_TRY(read_again(topic, record, false, OW_OUTCOME_FILTERED, &reading, err));
    if (reading.event.verdict != OW_OUTCOME_FILTERED) {
        ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_OUTCOMES, record->offset,
                               "is filtered, and no version of a machine filters it");
    }
    return OW_OK;
}
