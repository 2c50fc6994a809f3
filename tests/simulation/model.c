#include "model.h"

#include "base/contract.h"
#include "counters.h"
#include "model_claims.h"
#include "model_ledger.h"
#include "model_machine.h"

/* What became of a record, with the reason where it is in quarantine. */
struct verdict {
    enum ow_outcome outcome;
    const char *reason;
};

/* What is judged: a record that has just come, or a parked one that is woken. */
struct subject {
    const struct ow_logged *by;
    int64_t ref;
    bool woken;
};

void ow_model_init(struct ow_model *model)
{
    memset(model, 0, sizeof(*model));
    ow_arena_init(&model->arena, (size_t)64 * 1024);
    model->next_ref = 1;
    model->machine_version = 1;
    model->history_end = &model->history;
    model->quarantine_end = &model->quarantine;
    model->sightings_end = &model->sightings;
}

void ow_model_done(struct ow_model *model)
{
    ow_arena_done(&model->arena);
}

const char *ow_model_state_text(enum ow_model_state state)
{
    static const char *const texts[] = {"none",       "created",  "paid",
                                        "dispatched", "received", "cancelled"};
    return texts[state];
}

static struct verdict outcome(enum ow_outcome outcome)
{
    return (struct verdict){.outcome = outcome};
}

static struct verdict add_quarantine(struct ow_model *model, const struct ow_logged *by, int64_t id,
                                     const char *reason, bool owns_claim)
{
    struct ow_model_quarantine *row = OW_ARENA_NEW(&model->arena, struct ow_model_quarantine);
    *row = (struct ow_model_quarantine){
        .id = id, .reason = reason, .by = by, .owns_claim = owns_claim, .seen = 1};
    *model->quarantine_end = row;
    model->quarantine_end = &row->next;
    return (struct verdict){.outcome = OW_OUTCOME_QUARANTINED, .reason = reason};
}

static void add_sighting(struct ow_model *model, int64_t ref, const char *cause,
                         const struct ow_logged *by)
{
    struct ow_model_sighting *sighting = OW_ARENA_NEW(&model->arena, struct ow_model_sighting);
    *sighting = (struct ow_model_sighting){.ref = ref, .cause = cause, .by = by};
    *model->sightings_end = sighting;
    model->sightings_end = &sighting->next;
    model->sighting_count++;
}

/* Whether the store's trigger refuses what an applied message writes. */
static bool is_poison(const struct ow_model *model, const struct ow_message *message)
{
    switch (model->poison) {
    case OW_POISON_PAYMENT:
        return message->type == OW_PAID && message->payment == model->poisoned;
    case OW_POISON_ORDER:
        return message->order == model->poisoned;
    case OW_POISON_HISTORY:
        return message->id == model->poisoned;
    case OW_POISON_NONE:
    case OW_POISONS:
        break;
    }
    return false;
}

static void make_transition(struct ow_model *model, const struct subject *subject)
{
    const struct ow_message *message = &subject->by->message;
    struct ow_model_order *order = &model->orders[message->order];
    struct ow_model_history *history = OW_ARENA_NEW(&model->arena, struct ow_model_history);
    *history = (struct ow_model_history){
        .seq = subject->woken ? model->next_ref++ : subject->ref,
        .first_ref = subject->woken ? subject->ref : 0,
        .prev_seq = order->last_seq,
        .version = order->version + 1,
        .machine_version = model->machine_version,
        .from = order->state,
        .to = ow_model_target(message->type, order->state),
        .by = subject->by,
        .woken = subject->woken,
    };
    *model->history_end = history;
    model->history_end = &history->next;

    if (message->type == OW_CREATED) {
        order->amount = message->amount;
        order->currency = message->currency;
        order->created_at_ms = ow_model_time_of(message);
    }
    order->paid += message->type == OW_PAID ? message->amount : 0;
    order->refunded += message->type == OW_REFUNDED ? message->amount : 0;
    order->updated_at_ms = ow_model_time_of(message);
    order->state = history->to;
    order->version = history->version;
    order->last_seq = history->seq;
    struct ow_model_row *row = ow_model_row_of(model, message);
    if (row != NULL) {
        *row = (struct ow_model_row){.seq = history->seq,
                                     .order = message->order,
                                     .amount = message->amount,
                                     .currency = message->currency,
                                     .method = message->method};
    }
}

static struct verdict quarantine_subject(struct ow_model *model, const struct subject *subject,
                                         const char *reason)
{
    ow_count_if(subject->woken, OW_SOMETIMES_WOKEN_QUARANTINED);
    return add_quarantine(model, subject->by, subject->ref, reason, true);
}

static struct verdict stale(struct ow_model *model, const struct subject *subject)
{
    ow_count(OW_SOMETIMES_STALE);
    add_sighting(model, subject->ref, "stale", subject->by);
    return outcome(OW_OUTCOME_STALE);
}

static struct verdict apply(struct ow_model *model, const struct subject *subject)
{
    const struct ow_message *message = &subject->by->message;
    if (!ow_model_may_apply(&model->orders[message->order], message)) {
        ow_count(OW_SOMETIMES_GUARD);
        return quarantine_subject(model, subject, "guard");
    }
    if (is_poison(model, message)) {
        ow_count(OW_SOMETIMES_POISON);
        ow_count_if(subject->woken, OW_SOMETIMES_POISON_WOKEN);
        return quarantine_subject(model, subject, "poison");
    }
    make_transition(model, subject);
    return outcome(OW_OUTCOME_APPLIED);
}

/* In a stale cell: only what says just what is stored has happened. */
static struct verdict judge_happened(struct ow_model *model, const struct subject *subject)
{
    const struct ow_message *message = &subject->by->message;
    const struct ow_model_order *order = &model->orders[message->order];
    bool nothing_new = message->type != OW_PAID;
    if (message->type == OW_CREATED) {
        nothing_new = message->amount == order->amount && message->currency == order->currency;
    }
    if (nothing_new) {
        return stale(model, subject);
    }
    ow_count(OW_SOMETIMES_ILLEGAL);
    ow_count_if(message->type == OW_PAID, OW_SOMETIMES_SECOND_PAYMENT);
    return quarantine_subject(model, subject, "illegal");
}

static struct verdict park(struct ow_model *model, const struct subject *subject, int64_t now_ms)
{
    if (subject->woken) {
        return outcome(OW_OUTCOME_PARKED); /* it stays */
    }
    struct ow_model_order *order = &model->orders[subject->by->message.order];
    if (order->parked_count >= model->per_entity) {
        ow_count(OW_SOMETIMES_OVERFLOW);
        return quarantine_subject(model, subject, "overflow");
    }
    struct ow_model_parked *parked = OW_ARENA_NEW(&model->arena, struct ow_model_parked);
    *parked =
        (struct ow_model_parked){.id = subject->ref, .by = subject->by, .parked_at_ms = now_ms};
    if (order->parked_last == NULL) {
        order->parked = parked;
    } else {
        order->parked_last->next = parked;
    }
    order->parked_last = parked;
    order->parked_count++;
    model->parked_count++;
    ow_count(OW_SOMETIMES_PARKED);
    return outcome(OW_OUTCOME_PARKED);
}

/* Steps 7 to 9. */
static struct verdict judge(struct ow_model *model, const struct subject *subject, int64_t now_ms)
{
    const struct ow_message *message = &subject->by->message;
    const struct ow_model_row *row = ow_model_row_of(model, message);
    if (row != NULL && row->seq != 0) {
        if (ow_model_row_says(row, message)) {
            ow_count(OW_SOMETIMES_STALE_KEY);
            return stale(model, subject);
        }
        ow_count(OW_SOMETIMES_BUSINESS_KEY);
        return quarantine_subject(model, subject, "business_key");
    }
    switch (ow_model_cell(message->type, model->orders[message->order].state)) {
    case OW_MODEL_APPLY:
        return apply(model, subject);
    case OW_MODEL_STALE:
        return judge_happened(model, subject);
    case OW_MODEL_PARK:
        return park(model, subject, now_ms);
    case OW_MODEL_REJECT:
        break;
    }
    ow_count(OW_SOMETIMES_ILLEGAL);
    return quarantine_subject(model, subject, "illegal");
}

/* All parked of an order, in whole passes, until one changes nothing. */
static void wake(struct ow_model *model, int order_number)
{
    struct ow_model_order *order = &model->orders[order_number];
    bool changed = true;
    for (int pass = 0; changed && order->parked_count > 0; pass++) {
        changed = false;
        for (struct ow_model_parked *parked = order->parked; parked != NULL;
             parked = parked->next) {
            if (parked->gone) {
                continue;
            }
            const struct subject subject = {.by = parked->by, .ref = parked->id, .woken = true};
            if (judge(model, &subject, -1).outcome != OW_OUTCOME_PARKED) {
                parked->gone = true;
                order->parked_count--;
                model->parked_count--;
                changed = true;
                ow_count(OW_SOMETIMES_WOKEN);
                ow_count_if(pass > 0, OW_SOMETIMES_WOKEN_LATER_PASS);
            }
        }
    }
}

/* Steps 1 to 4: NULL where there is nothing wrong. */
static const char *flaw_of(const struct ow_message *message)
{
    switch (message->flaw) {
    case OW_FLAW_NONE:
    case OW_MESSAGE_FLAWS:
        return NULL;
    case OW_FLAW_OVERSIZE:
        ow_count(OW_SOMETIMES_OVERSIZE);
        return "oversize";
    case OW_FLAW_UNKNOWN_TYPE:
        ow_count(OW_SOMETIMES_UNKNOWN_TYPE);
        return "unknown_type";
    case OW_FLAW_NO_ID:
    case OW_FLAW_NO_ENTITY:
        ow_count(OW_SOMETIMES_MISSING_KEY);
        return "missing_key";
    case OW_FLAW_WRONG_VALUE:
    case OW_FLAW_NO_VALUE:
        if (!ow_message_has_amount(message)) {
            return NULL; /* it needs none */
        }
        break;
    case OW_FLAW_NOT_JSON:
    case OW_FLAW_TOMBSTONE:
    case OW_FLAW_SPECVERSION:
    case OW_FLAW_TWICE:
        break;
    }
    ow_count(OW_SOMETIMES_MALFORMED);
    return "malformed";
}

static struct ow_model_quarantine *find_quarantine(struct ow_model *model,
                                                   const struct ow_logged *at)
{
    struct ow_model_quarantine *row = model->quarantine;
    while (row != NULL && row->by != at) {
        row = row->next;
    }
    return row;
}

/* The row of the same conflict; NULL: there is none yet. */
static struct ow_model_quarantine *find_conflict(struct ow_model *model,
                                                 const struct ow_logged *logged, int64_t ref)
{
    struct ow_model_quarantine *row = model->quarantine;
    while (row != NULL &&
           (row->conflict_ref != ref || !ow_message_same(&row->by->message, &logged->message))) {
        row = row->next;
    }
    return row;
}

static struct verdict conflict(struct ow_model *model, const struct ow_logged *logged,
                               const struct ow_model_claim *claim)
{
    ow_count(OW_SOMETIMES_CONFLICT);
    ow_count_if(model->claim_count - claim->number > 3 * model->bucket_claims,
                OW_SOMETIMES_CONFLICT_BUCKET);
    struct ow_model_quarantine *row = find_conflict(model, logged, claim->ref);
    if (row != NULL) {
        row->seen++;
        ow_count(OW_SOMETIMES_CONFLICT_AGAIN);
        return outcome(OW_OUTCOME_QUARANTINED);
    }
    struct ow_model_quarantine **fresh = model->quarantine_end;
    const struct verdict verdict =
        add_quarantine(model, logged, model->next_ref++, "conflict", false);
    (*fresh)->conflict_ref = claim->ref;
    return verdict;
}

static struct verdict meet_claim(struct ow_model *model, const struct ow_logged *logged,
                                 const struct ow_model_claim *claim)
{
    if (!ow_message_same(&claim->by->message, &logged->message)) {
        return conflict(model, logged, claim);
    }
    ow_count(OW_SOMETIMES_DUPLICATE);
    ow_model_claim_met(claim);
    ow_count_if(model->claim_count - claim->number > 3 * model->bucket_claims,
                OW_SOMETIMES_DUPLICATE_BUCKET);
    ow_count_if(claim->by->log != logged->log, OW_SOMETIMES_DUPLICATE_PARTITION);
    ow_count_if(!ow_slice_equal(claim->by->record.topic, logged->record.topic),
                OW_SOMETIMES_DUPLICATE_TOPIC);
    add_sighting(model, claim->ref, "same_id", logged);
    return outcome(OW_OUTCOME_DUPLICATE);
}

static struct verdict judge_record(struct ow_model *model, const struct ow_logged *logged,
                                   int64_t now_ms)
{
    const char *flaw = flaw_of(&logged->message);
    if (flaw != NULL) {
        return add_quarantine(model, logged, model->next_ref++, flaw, false);
    }
    struct ow_model_claim *claim = &model->claims[logged->message.source][logged->message.id];
    if (claim->ref != 0) {
        return meet_claim(model, logged, claim);
    }
    const bool is_late = !ow_model_claim_take(model, claim, logged);
    const struct subject subject = {.by = logged, .ref = claim->ref};
    if (is_late) {
        return quarantine_subject(model, &subject, "expired");
    }
    const struct verdict verdict = judge(model, &subject, now_ms);
    if (verdict.outcome == OW_OUTCOME_APPLIED) {
        ow_count(OW_SOMETIMES_APPLIED);
        wake(model, logged->message.order);
    }
    return verdict;
}

/* A record that had its outcome: only how often it was seen in quarantine may change. */
static void see_again(struct ow_model *model, const struct ow_logged *logged)
{
    struct ow_model_quarantine *row = find_quarantine(model, logged);
    const struct ow_model_claim *claim = &model->claims[logged->message.source][logged->message.id];
    const bool is_event = row == NULL || row->owns_claim;
    if (is_event && flaw_of(&logged->message) == NULL && claim->ref == 0) {
        row = NULL; /* what kept it out is pruned, and it has had its outcome all the same */
        ow_count(OW_SOMETIMES_REREAD_PRUNED);
    } else if (is_event && flaw_of(&logged->message) == NULL) {
        const bool differs = !ow_message_same(&claim->by->message, &logged->message);
        row = differs ? find_conflict(model, logged, claim->ref) : row;
        row = differs || row == NULL || row->id == claim->ref ? row : NULL;
    }
    if (row != NULL) {
        row->seen++;
        ow_count(OW_SOMETIMES_REREAD_QUARANTINE);
    }
}

void ow_model_take(struct ow_model *model, const struct ow_logged *logged, int64_t now_ms)
{
    struct ow_model_partition *partition = &model->partitions[logged->log];
    const int64_t offset = logged->record.offset;
    OW_INVARIANT(partition->stored && offset >= partition->next);
    const bool reread = !ow_model_ledger_is_new(partition, offset);
    ow_model_ledger_pass(partition, offset);
    if (reread) {
        see_again(model, logged);
        partition->reread++;
        ow_count(OW_SOMETIMES_REREAD);
    } else {
        const enum ow_outcome outcome = judge_record(model, logged, now_ms).outcome;
        ow_model_ledger_enter(partition, offset, outcome);
        partition->counts[outcome]++;
    }
    partition->anchor = offset;
    ow_model_ledger_move(partition, offset + 1);
}

const struct ow_model_parked *ow_model_time_out(struct ow_model *model, int64_t id)
{
    for (int i = 0; i < OW_MESSAGE_ORDERS; i++) {
        struct ow_model_order *order = &model->orders[i];
        for (struct ow_model_parked *parked = order->parked; parked != NULL;
             parked = parked->next) {
            if (parked->id == id && !parked->gone) {
                parked->gone = true;
                order->parked_count--;
                model->parked_count--;
                (void)add_quarantine(model, parked->by, id, "park_timeout", true);
                ow_count(OW_SOMETIMES_PARK_TIMEOUT);
                return parked;
            }
        }
    }
    return NULL;
}
