#include "store/explain_internal.h"

bool ow_explain_sighting_owns(const struct ow_explain_sighting *sighting)
{
    return strcmp(sighting->cause, "stale") == 0 || strcmp(sighting->cause, OW_SEED_NAME) == 0;
}

static enum ow_status read_sightings(struct ow_explain *explain, struct ow_explain_event *event,
                                     struct ow_err *err)
{
    struct ow_statement *read = ow_explain_statement(explain, OW_EXPLAIN_SIGHTINGS);
    struct ow_explain_sighting **end = &event->sightings;
    bool row = false;
    ow_sql_bind_i64(read, event->ref);
    OW_TRY(ow_sql_step(read, &row, err));
    while (row) {
        struct ow_explain_sighting *one = OW_ARENA_NEW(explain->arena, struct ow_explain_sighting);
        one->cause = ow_explain_row_text(explain, read, 0);
        one->place = ow_explain_row_place(explain, read, 1);
        one->seen_at_ms = ow_sql_i64(read, 4);
        *end = one;
        end = &one->next;
        if (event->outcome == NULL && ow_explain_sighting_owns(one)) {
            event->outcome = strcmp(one->cause, OW_SEED_NAME) == 0
                                 ? OW_EXPLAIN_SEEDED
                                 : ow_outcome_text(OW_OUTCOME_STALE);
            event->place = one->place;
        }
        OW_TRY(ow_sql_step(read, &row, err));
    }
    return OW_OK;
}

static enum ow_status read_conflicts(struct ow_explain *explain, struct ow_explain_event *event,
                                     struct ow_err *err)
{
    struct ow_statement *find = ow_explain_statement(explain, OW_EXPLAIN_CONFLICT);
    struct ow_statement *read = ow_explain_statement(explain, OW_EXPLAIN_QUARANTINE);
    struct ow_explain_quarantine **end = &event->conflicts;
    int64_t id = 0;
    for (;;) {
        bool row = false;
        ow_sql_bind_i64(find, event->ref);
        ow_sql_bind_i64(find, id);
        OW_TRY(ow_sql_step(find, &row, err));
        if (!row) {
            return OW_OK;
        }
        id = ow_sql_i64(find, 0);
        ow_sql_reset(find);
        ow_sql_bind_i64(read, id);
        OW_TRY(ow_sql_step(read, &row, err));
        if (row) {
            struct ow_explain_quarantine *one = ow_explain_row_take_quarantine(explain, id, read);
            ow_sql_reset(read);
            OW_TRY(ow_explain_difference(explain, event, one, err));
            ow_arena_reset(&explain->scratch); /* there may be thousands */
            *end = one;
            end = &one->next;
        }
    }
}

static enum ow_status read_first_outcome(struct ow_explain *explain, struct ow_explain_event *event,
                                         struct ow_err *err)
{
    if (event->place.topic == NULL) {
        return OW_OK;
    }
    struct ow_statement *read = ow_explain_statement(explain, OW_EXPLAIN_LEDGER);
    bool row = false;
    ow_sql_bind_cstr(read, event->place.topic);
    ow_sql_bind_i64(read, event->place.partition);
    ow_sql_bind_i64(read, event->place.offset);
    ow_sql_bind_i64(read, event->ref); /* numbers tell which topic of that name it was */
    OW_TRY(ow_sql_step(read, &row, err));
    if (row) {
        if (ow_sql_i64(read, 1) >= event->place.offset) {
            event->first_outcome = ow_explain_row_text(explain, read, 0);
        }
        ow_sql_reset(read);
    }
    return OW_OK;
}

static enum ow_status neighbour(struct ow_explain *explain, enum ow_explain_statement_name name,
                                int64_t ref, int64_t *ret_ms, struct ow_err *err)
{
    struct ow_statement *read = ow_explain_statement(explain, name);
    bool row = false;
    ow_sql_bind_i64(read, ref);
    OW_TRY(ow_sql_step(read, &row, err));
    if (row) {
        *ret_ms = ow_sql_i64(read, 0);
        ow_sql_reset(read);
    }
    return OW_OK;
}

/*
 * When a message was seen first. A parked row has the time, and takes it away when it goes: then
 * the history rows with the next lower and the next higher number tell between which two moments it
 * was, for numbers are drawn in order.
 */
static enum ow_status tell_first_sight(struct ow_explain *explain, struct ow_explain_event *event,
                                       struct ow_err *err)
{
    const struct ow_explain_sighting *owner = event->sightings;
    while (owner != NULL && !ow_explain_sighting_owns(owner)) {
        owner = owner->next;
    }
    const bool is_parked = event->seen.least_ms == event->seen.most_ms;
    int64_t ended_ms = INT64_MIN; /* what became of it at last */
    if (event->seq != 0) {
        ended_ms = event->applied_at_ms;
    } else if (event->quarantine != NULL) {
        ended_ms = event->quarantine->first_seen_ms;
    } else if (owner != NULL) {
        ended_ms = owner->seen_at_ms;
    }
    if (is_parked || ended_ms == INT64_MIN) {
        return OW_OK;
    }
    event->was_parked = event->first_outcome != NULL &&
                        strcmp(event->first_outcome, ow_outcome_text(OW_OUTCOME_PARKED)) == 0;
    if (!event->was_parked && event->quarantine != NULL) {
        ended_ms = event->quarantine->first_seen_ms; /* requeued since */
    }
    event->seen = (struct ow_explain_moment){ended_ms, ended_ms};
    if (event->was_parked) {
        event->parked_until = event->seen;
        event->seen.least_ms = INT64_MIN;
        OW_TRY(neighbour(explain, OW_EXPLAIN_BEFORE, event->ref, &event->seen.least_ms, err));
        OW_TRY(neighbour(explain, OW_EXPLAIN_AFTER, event->ref, &event->seen.most_ms, err));
        if (event->seen.most_ms > ended_ms) {
            event->seen.most_ms = ended_ms;
        }
    }
    return OW_OK;
}

/* The row of a message that was not applied at once: by its entity where that is known, else behind
 * its ref. */
static enum ow_status look_for_later_row(struct ow_explain *explain,
                                         const struct ow_explain_hit *hit,
                                         struct ow_explain_event *event, int64_t *ret_prev_seq,
                                         struct ow_err *err)
{
    const struct ow_machine *machine =
        ow_machines_named(&explain->machines.newest,
                          event->machine == NULL ? hit->machine : ow_slice_of(event->machine));
    const struct ow_slice entity_id =
        event->entity_id == NULL ? hit->entity_id : ow_slice_of(event->entity_id);
    if (machine != NULL && !ow_slice_is_absent(entity_id)) {
        OW_TRY(ow_explain_row_chain(explain, machine, entity_id, event, ret_prev_seq, err));
    }
    return event->outcome != NULL ? OW_OK
                                  : ow_explain_row_behind(explain, event, ret_prev_seq, err);
}

static void begin(struct ow_explain_event *event, int64_t ref)
{
    *event = (struct ow_explain_event){
        .ref = ref,
        .seen = {INT64_MIN, INT64_MAX},
        .parked_until = {INT64_MIN, INT64_MAX},
        .event_time_ms = INT64_MIN,
        .erased_at_ms = INT64_MIN,
        .claim.claimed = OW_EXPLAIN_CLAIM_UNKNOWN
    };
}

/* Whatever rows tell of a message itself. */
static enum ow_status read_rows(struct ow_explain *explain, const struct ow_explain_hit *hit,
                                struct ow_explain_event *event, int64_t *ret_prev_seq,
                                struct ow_err *err)
{
    begin(event, hit->ref);
    *ret_prev_seq = 0;
    OW_TRY(ow_explain_row_history(explain, hit->seq != 0 ? hit->seq : hit->ref, event, ret_prev_seq,
                                  err));
    if (event->outcome == NULL) {
        OW_TRY(ow_explain_row_parked(explain, event, err));
    }
    OW_TRY(ow_explain_row_quarantine(explain, event, err));
    OW_TRY(read_sightings(explain, event, err));
    if (event->outcome == NULL) {
        OW_TRY(look_for_later_row(explain, hit, event, ret_prev_seq, err));
    }
    return OW_OK;
}

/* A conflict that is told by itself: its first message may have to do with other ids only. */
static enum ow_status look_at_first(struct ow_explain *explain, struct ow_explain_event *event,
                                    struct ow_err *err)
{
    struct ow_explain_quarantine *const conflict = event->quarantine;
    if (conflict == NULL || conflict->conflict_ref == 0) {
        return OW_OK;
    }
    const struct ow_explain_hit hit = {.ref = conflict->conflict_ref,
                                       .machine = ow_slice_of(event->machine),
                                       .entity_id = ow_slice_of(event->entity_id)};
    struct ow_explain_event first;
    int64_t prev_seq = 0;
    OW_TRY(read_rows(explain, &hit, &first, &prev_seq, err));
    return ow_explain_difference(explain, &first, conflict, err);
}

enum ow_status ow_explain_event_tell(struct ow_explain *explain, const struct ow_explain_hit *hit,
                                     struct ow_explain_event **ret_event, int64_t *ret_prev_seq,
                                     struct ow_err *err)
{
    struct ow_explain_event *event = OW_ARENA_NEW(explain->arena, struct ow_explain_event);
    OW_TRY(read_rows(explain, hit, event, ret_prev_seq, err));
    OW_TRY(look_at_first(explain, event, err));
    OW_TRY(read_conflicts(explain, event, err));
    OW_TRY(read_first_outcome(explain, event, err));
    OW_TRY(tell_first_sight(explain, event, err));
    ow_arena_reset(&explain->scratch);
    *ret_event = event;
    return ow_explain_breathe(explain, err);
}
