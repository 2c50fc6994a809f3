#include "model/judge.h"

#include "base/contract.h"
#include "model/evaluate.h"

struct ow_quarantine *ow_judge_add_quarantine(struct ow_world *world, int64_t id,
                                              enum ow_reason reason, const char *detail,
                                              const struct ow_event *event,
                                              const struct ow_record *record)
{
    struct ow_quarantine *row = OW_ARENA_NEW(world->arena, struct ow_quarantine);
    row->id = id;
    row->loaded = row->fresh = true;
    row->seen = 1;
    row->reason = reason;
    row->detail = detail;
    row->machine = event->machine;
    row->unread = event->machine == NULL;
    row->entity_id = event->entity_id;
    row->record = record;
    *world->quarantine_end = row;
    world->quarantine_end = &row->next;
    return row;
}

void ow_judge_add_sighting(struct ow_world *world, int64_t ref, const char *cause,
                           const struct ow_record *record)
{
    struct ow_sighting *sighting = OW_ARENA_NEW(world->arena, struct ow_sighting);
    *sighting = (struct ow_sighting){.ref = ref, .cause = cause, .record = record};
    *world->sightings_end = sighting;
    world->sightings_end = &sighting->next;
}

/* Step 7 for one stored row: whether some transition of the event would write just that. */
static bool some_transition_writes(const struct ow_subject *subject, const struct ow_row *row)
{
    const struct ow_event_type *type = subject->event->event;
    for (size_t i = 0; i < type->transition_count; i++) {
        for (size_t j = 0; j < type->transitions[i].recording_count; j++) {
            if (ow_evaluate_row_equal(&type->transitions[i].recordings[j], row, subject->event,
                                      subject->entity)) {
                return true;
            }
        }
    }
    return false;
}

enum stored_keys { KEYS_FREE, KEYS_EQUAL, KEYS_OTHER };

/* Step 7: the business keys that any transition of the event would record. */
static enum stored_keys look_at_business_keys(struct ow_world *world,
                                              const struct ow_subject *subject,
                                              const struct ow_row **ret_other)
{
    const struct ow_event_type *type = subject->event->event;
    enum stored_keys result = KEYS_FREE;
    for (size_t i = 0; i < type->transition_count; i++) {
        for (size_t j = 0; j < type->transitions[i].recording_count; j++) {
            const struct ow_recording *recording = &type->transitions[i].recordings[j];
            const struct ow_row *row =
                ow_world_row(world, subject->event->machine, recording->table,
                             ow_recording_key(recording, subject->event));
            OW_INVARIANT(row->loaded);
            if (!row->exists) {
                continue;
            }
            if (!some_transition_writes(subject, row)) {
                *ret_other = row;
                return KEYS_OTHER;
            }
            result = KEYS_EQUAL;
        }
    }
    return result;
}

/*
 * In a stale cell: whether the transition would leave everything as it is, so that the event says
 * nothing new. What it would record is new: its business key was free, or step 7 had ended it.
 */
static bool says_nothing_new(const struct ow_subject *subject,
                             const struct ow_transition *transition)
{
    for (size_t i = 0; i < transition->set_count; i++) {
        const struct ow_value value =
            ow_evaluate(&transition->sets[i].operand, subject->event, subject->entity);
        if (!ow_value_equal(&value, &subject->entity->columns[transition->sets[i].column])) {
            return false;
        }
    }
    return transition->recording_count == 0;
}

static bool any_transition_says_nothing_new(const struct ow_subject *subject)
{
    const struct ow_event_type *type = subject->event->event;
    for (size_t i = 0; i < type->transition_count; i++) {
        if (says_nothing_new(subject, &type->transitions[i])) {
            return true;
        }
    }
    return false;
}

/* history.data: what the transition read, as {"/pointer":value,…} in the order of the pointers'
 * bytes. */
static struct ow_slice data_of(struct ow_world *world, const struct ow_event *event,
                               const struct ow_transition *transition)
{
    OW_BUFFER out = {0};
    size_t order[OW_EVENT_POINTERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < event->event->need_count; i++) {
        if ((transition->pointers >> i & 1) == 0) {
            continue;
        }
        size_t at = count++;
        for (; at > 0 && strcmp(event->event->needs[order[at - 1]].pointer.text,
                                event->event->needs[i].pointer.text) > 0;
             at--) {
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    ow_buffer_byte(&out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            ow_buffer_byte(&out, ',');
        }
        ow_json_canonical_text(&out, ow_slice_of(event->event->needs[order[i]].pointer.text));
        ow_buffer_byte(&out, ':');
        ow_json_canonical_value(&out, &event->values[order[i]]);
    }
    ow_buffer_byte(&out, '}');
    return ow_arena_copy(world->arena, ow_buffer_view(&out));
}

static void write_rows(struct ow_world *world, const struct ow_subject *subject,
                       const struct ow_transition *transition, int64_t seq)
{
    for (size_t i = 0; i < transition->recording_count; i++) {
        const struct ow_recording *recording = &transition->recordings[i];
        struct ow_row *row = ow_world_row(world, subject->event->machine, recording->table,
                                          ow_recording_key(recording, subject->event));
        OW_INVARIANT(!row->exists); /* step 7 */
        for (size_t j = 0; j < row->table->column_count; j++) {
            row->columns[j] = ow_evaluate(&recording->columns[j], subject->event, subject->entity);
        }
        row->exists = row->fresh = true;
        row->seq = seq;
    }
}

/* The effects of a transition: rows, history, entity. columns: what ow_evaluate_columns found. */
static void make_transition(struct ow_world *world, const struct ow_subject *subject,
                            const struct ow_transition *transition, struct ow_value *columns)
{
    struct ow_entity *entity = subject->entity;
    const int64_t seq = subject->woken ? world->next_ref++ : subject->ref;
    write_rows(world, subject, transition, seq);

    struct ow_history *row = OW_ARENA_NEW(world->arena, struct ow_history);
    *row = (struct ow_history){
        .seq = seq,
        .first_ref = subject->woken ? subject->ref : 0,
        .prev_seq = entity->last_seq,
        .machine = entity->machine,
        .entity_id = entity->id,
        .version = entity->version + 1,
        .event = subject->event,
        .from = entity->state,
        .to = transition->same ? entity->state : transition->to,
        .via = subject->woken ? OW_VIA_WAKE : subject->record->via,
        .data = data_of(world, subject->event, transition),
    };
    *world->history_end = row;
    world->history_end = &row->next;

    if (entity->version == 0) {
        entity->created_at_ms = subject->event->time_ms;
    }
    entity->updated_at_ms = subject->event->time_ms;
    entity->version = row->version;
    entity->state = row->to;
    entity->last_seq = seq;
    entity->columns = columns;
    entity->dirty = true;
}

void ow_judge_seed(struct ow_world *world, struct ow_entity *entity,
                   const struct ow_seed_entity *seed)
{
    const int64_t seq = world->next_ref++;
    for (const struct ow_seed_row *given = seed->rows; given != NULL; given = given->next) {
        struct ow_row *row = ow_world_row(world, seed->machine, given->table, given->key);
        row->columns = given->columns;
        row->exists = row->fresh = true;
        row->seq = seq;
    }
    struct ow_event *event = OW_ARENA_NEW(world->arena, struct ow_event);
    *event = (struct ow_event){
        .record = &seed->record,
        .type = OW_SLICE(OW_SEED_NAME),
        .id = OW_SLICE(""),
        .time_ms = seed->at_ms == OW_SEED_NO_TIME ? world->now_ms : seed->at_ms,
    };
    struct ow_history *history = OW_ARENA_NEW(world->arena, struct ow_history);
    *history = (struct ow_history){
        .seq = seq,
        .machine = entity->machine,
        .entity_id = entity->id,
        .version = 1,
        .event = event,
        .to = seed->state,
        .via = OW_VIA_SEED,
        .data = seed->data,
    };
    *world->history_end = history;
    world->history_end = &history->next;

    entity->created_at_ms = entity->updated_at_ms = event->time_ms;
    entity->version = 1;
    entity->state = seed->state;
    entity->last_seq = seq;
    entity->columns = seed->columns;
    entity->dirty = true;
}

enum ow_outcome ow_judge_quarantine(struct ow_world *world, const struct ow_subject *subject,
                                    enum ow_reason reason, const char *detail,
                                    struct ow_decision *decision)
{
    struct ow_quarantine *row = ow_judge_add_quarantine(world, subject->ref, reason, detail,
                                                        subject->event, subject->record);
    /* Also where a newer machine file reads otherwise what was parked. */
    row->machine = subject->entity->machine;
    row->unread = false;
    row->entity_id = subject->entity->id;
    decision->reason = reason;
    return OW_OUTCOME_QUARANTINED;
}

/* Step 9 and the effects. */
static enum ow_outcome apply(struct ow_world *world, const struct ow_subject *subject,
                             const struct ow_transition *transition, struct ow_decision *decision)
{
    const struct ow_entity *entity = subject->entity;
    static const char *const comparisons[] = {"equals", "at_most", "at_least"};
    const struct ow_requirement *broken =
        ow_evaluate_requirements(transition, subject->event, entity);
    if (broken != NULL) {
        return ow_judge_quarantine(world, subject, OW_REASON_GUARD,
                                   ow_arena_printf(world->arena,
                                                   "requirement %d (%s) does not hold in state %s",
                                                   (int)(broken - transition->requirements) + 1,
                                                   comparisons[broken->comparison],
                                                   entity->machine->states[entity->state]),
                                   decision);
    }
    struct ow_value *columns =
        OW_ARENA_ARRAY(world->arena, entity->machine->entity.column_count, struct ow_value);
    const struct ow_column *outside =
        ow_evaluate_columns(transition, subject->event, entity, columns);
    if (outside != NULL) {
        return ow_judge_quarantine(
            world, subject, OW_REASON_GUARD,
            ow_arena_printf(world->arena, "%s would leave its range", outside->name), decision);
    }
    make_transition(world, subject, transition, columns);
    return OW_OUTCOME_APPLIED;
}

static enum ow_outcome stale(struct ow_world *world, const struct ow_subject *subject)
{
    ow_judge_add_sighting(world, subject->ref, "stale", subject->record);
    return OW_OUTCOME_STALE;
}

static enum ow_outcome park(struct ow_world *world, const struct ow_subject *subject,
                            struct ow_decision *decision)
{
    if (subject->woken) {
        return OW_OUTCOME_PARKED; /* it stays where it is */
    }
    const struct ow_machine *machine = subject->entity->machine;
    if (subject->entity->parked_count >= machine->park_per_entity) {
        return ow_judge_quarantine(world, subject, OW_REASON_OVERFLOW,
                                   ow_arena_printf(world->arena,
                                                   "%zu events of this entity are parked already",
                                                   subject->entity->parked_count),
                                   decision);
    }
    struct ow_parked *parked = OW_ARENA_NEW(world->arena, struct ow_parked);
    parked->id = subject->ref;
    parked->record = *subject->record;
    parked->event = OW_ARENA_NEW(world->arena, struct ow_event);
    *parked->event = *subject->event;
    parked->event->record = &parked->record;
    parked->parked_at_ms = world->now_ms;
    parked->deadline_ms = world->now_ms + machine->park_deadline_ms;
    parked->fresh = true;
    ow_world_add_parked(world, subject->entity, parked);
    return OW_OUTCOME_PARKED;
}

static enum ow_outcome illegal(struct ow_world *world, const struct ow_subject *subject,
                               const char *why, struct ow_decision *decision)
{
    return ow_judge_quarantine(
        world, subject, OW_REASON_ILLEGAL,
        ow_arena_printf(world->arena, OW_SLICE_FMT " in state %s: %s",
                        OW_SLICE_ARG(subject->event->type),
                        subject->entity->machine->states[subject->entity->state], why),
        decision);
}

/* Steps 7 to 9. */
enum ow_outcome ow_judge(struct ow_world *world, const struct ow_subject *subject,
                         struct ow_decision *decision)
{
    const struct ow_row *other = NULL;
    switch (look_at_business_keys(world, subject, &other)) {
    case KEYS_OTHER:
        OW_INVARIANT(other != NULL);
        return ow_judge_quarantine(
            world, subject, OW_REASON_BUSINESS_KEY,
            ow_arena_printf(world->arena, "%s " OW_SLICE_FMT " is stored with other values",
                            other->table->key, OW_SLICE_ARG(other->key)),
            decision);
    case KEYS_EQUAL:
        return stale(world, subject);
    case KEYS_FREE:
        break;
    }
    const struct ow_cell *cell = &subject->event->event->cells[subject->entity->state];
    switch (cell->kind) {
    case OW_CELL_APPLY:
        return apply(world, subject, &subject->event->event->transitions[cell->transition],
                     decision);
    case OW_CELL_STALE:
        return any_transition_says_nothing_new(subject)
                   ? stale(world, subject)
                   : illegal(world, subject,
                             "it has happened already, and this says something else", decision);
    case OW_CELL_PARK:
        return park(world, subject, decision);
    case OW_CELL_REJECT:
        return illegal(world, subject, "the machine has no way for it", decision);
    }
    OW_IMPOSSIBLE("a cell of no kind");
}
