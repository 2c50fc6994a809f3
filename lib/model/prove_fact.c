/*
 * The events that are tried, for each type of the machine: a plain one; one that says another
 * value; one with other business keys. Each comes under as many ids as a sequence is long, and each
 * message has a twin: its id on other content.
 */
#include "base/contract.h"
#include "model/prove_guess.h"

enum { FACTS_PER_TYPE = 3 };

/* A fact that is being made. */
struct plan {
    struct ow_prove *prove;
    const struct ow_prove_guess *guess;
    const char *entity;
    struct ow_map claims; /* key text → 1 + the number of the claim */
    size_t claim_count;
    uint32_t *claim_users; /* by claim: how many messages */
};

/* The entity's id may be recorded or set too, and then has a range. */
static const char *entity_id(struct ow_prove *prove, const struct ow_prove_guess *guess, bool other)
{
    const struct ow_part *const part = &prove->machine->message.entity;
    for (size_t i = 0; part->kind == OW_PART_POINTER && i < prove->machine->event_count; i++) {
        const struct ow_event_type *const type = &prove->machine->events[i];
        for (size_t j = 0; j < type->need_count; j++) {
            if (strcmp(type->needs[j].pointer.text, part->pointer.text) == 0) {
                const struct ow_value value = ow_prove_guess_value(guess, type, j, other);
                return ow_arena_text(prove->arena, value.text);
            }
        }
    }
    return other ? "other" : "entity";
}

/* How an event uses a pointer: what is compared is worth more than what is only written down. */
enum use { USE_NONE, USE_WRITTEN, USE_KEPT, USE_COMPARED, USE_KEY };

static bool reads(const struct ow_operand *operand, size_t need)
{
    bool found = operand->kind == OW_OPERAND_POINTER && operand->index == need;
    for (size_t i = 0; operand->kind == OW_OPERAND_SUM && i < operand->term_count; i++) {
        found = found ||
                (operand->terms[i].kind == OW_OPERAND_POINTER && operand->terms[i].index == need);
    }
    return found;
}

static enum use use_in(const struct ow_transition *transition, size_t need)
{
    enum use use = USE_NONE;
    for (size_t i = 0; i < transition->recording_count; i++) {
        const struct ow_recording *const recording = &transition->recordings[i];
        for (size_t j = 0; j < recording->table->column_count; j++) {
            use = use == USE_NONE && reads(&recording->columns[j], need) ? USE_WRITTEN : use;
        }
    }
    for (size_t i = 0; i < transition->set_count; i++) {
        use = use < USE_KEPT && reads(&transition->sets[i].operand, need) ? USE_KEPT : use;
    }
    for (size_t i = 0; i < transition->add_count; i++) {
        use = use < USE_KEPT && reads(&transition->adds[i].operand, need) ? USE_KEPT : use;
    }
    for (size_t i = 0; i < transition->requirement_count; i++) {
        const struct ow_requirement *const requirement = &transition->requirements[i];
        if (reads(&requirement->left, need) || reads(&requirement->right, need)) {
            use = USE_COMPARED;
        }
    }
    for (size_t i = 0; i < transition->recording_count; i++) {
        use = reads(&transition->recordings[i].key, need) ? USE_KEY : use;
    }
    return use;
}

static enum use use_of(const struct ow_event_type *type, size_t need)
{
    enum use most = USE_NONE;
    for (size_t i = 0; i < type->transition_count; i++) {
        const enum use use = use_in(&type->transitions[i], need);
        most = use > most ? use : most;
    }
    return most;
}

/* The message of a fact with an id of its own, such as "3-1". */
static bool make_message(struct plan *plan, const struct ow_event_type *type,
                         const struct ow_value *values, const char *id,
                         struct ow_prove_message *ret_message)
{
    const struct ow_prove_letter letter = {
        .type = type, .values = values, .id = id, .entity = plan->entity};
    const char *detail = NULL;
    return ow_prove_message_make(plan->prove, &letter, ret_message, &detail);
}

/* Whether the decoder reads other values than those of the plain fact. */
static bool differs(const struct ow_event *a, const struct ow_event *b)
{
    for (size_t i = 0; i < a->event->need_count; i++) {
        if (!ow_value_equal(&a->values[i], &b->values[i])) {
            return true;
        }
    }
    return false;
}

/* Adds the fact where its message is valid, and says something else than the plain one (if there is
 * one). */
static bool add_fact(struct plan *plan, const struct ow_event_type *type,
                     const struct ow_value *values, const char *name,
                     const struct ow_prove_fact *plain)
{
    struct ow_prove *const prove = plan->prove;
    const size_t number = prove->fact_count;
    struct ow_prove_fact *const fact = &prove->facts[number];
    *fact = (struct ow_prove_fact){.type = type, .name = name};
    fact->copies = OW_ARENA_ARRAY(prove->arena, prove->length + 1, struct ow_prove_message);
    for (size_t copy = 1; copy <= prove->length; copy++) {
        const char *const id = ow_arena_printf(prove->arena, "%zu-%zu", number + 1, copy);
        if (!make_message(plan, type, values, id, &fact->copies[copy])) {
            return false;
        }
    }
    if (plain != NULL && !differs(fact->copies[1].event, plain->copies[1].event)) {
        return false;
    }
    prove->fact_count++;
    return true;
}

/* How much the change of a pointer tells; 0: nothing, or it is a business key. */
static int worth_of(const struct ow_event_type *type, size_t need)
{
    const enum use use = use_of(type, need);
    if (use == USE_NONE || use == USE_KEY) {
        return 0;
    }
    return 2 * (int)use + (type->needs[need].type == OW_TYPE_INTEGER ? 1 : 0);
}

static const char *name_of(struct plan *plan, const struct ow_event_type *type, size_t need,
                           const struct ow_value *value)
{
    return ow_arena_printf(plan->prove->arena, "%s (%s %s)", type->name,
                           type->needs[need].pointer.text,
                           ow_prove_text_value(value, plan->prove->arena));
}

/* The fact with one other value: the one that tells the most and can be another at all. */
static void add_other_value(struct plan *plan, const struct ow_event_type *type,
                            struct ow_value *values, const struct ow_prove_fact *plain)
{
    for (int worth = 2 * USE_COMPARED + 1; worth > 0; worth--) {
        for (size_t i = 0; i < type->need_count; i++) {
            const struct ow_value usual = values[i];
            const struct ow_value other = ow_prove_guess_value(plan->guess, type, i, true);
            if (worth_of(type, i) != worth || other.type == OW_TYPE_NULL) {
                continue;
            }
            values[i] = other;
            const bool is_added =
                add_fact(plan, type, values, name_of(plan, type, i, &other), plain);
            values[i] = usual;
            if (is_added) {
                return;
            }
        }
    }
}

/* The fact with other business keys, where it has any. */
static void add_other_keys(struct plan *plan, const struct ow_event_type *type,
                           struct ow_value *values, const struct ow_prove_fact *plain)
{
    size_t key = type->need_count;
    for (size_t i = 0; i < type->need_count; i++) {
        if (use_of(type, i) == USE_KEY) {
            values[i] = ow_prove_guess_value(plan->guess, type, i, true);
            key = key == type->need_count ? i : key;
        }
    }
    if (key < type->need_count) {
        (void)add_fact(plan, type, values, name_of(plan, type, key, &values[key]), plain);
    }
}

/* The facts of one type. False where not even the plain one can be made. */
static bool add_type(struct plan *plan, const struct ow_event_type *type)
{
    struct ow_prove *const prove = plan->prove;
    struct ow_value values[OW_EVENT_POINTERS_MAX];
    for (size_t i = 0; i < type->need_count; i++) {
        values[i] = ow_prove_guess_value(plan->guess, type, i, false);
    }
    const struct ow_prove_fact *const plain = &prove->facts[prove->fact_count];
    if (!add_fact(plan, type, values, type->name, NULL)) {
        return false;
    }
    add_other_value(plan, type, values, plain);
    add_other_keys(plan, type, values, plain);
    return true;
}

/* The number of the claim of a message; counts who uses it. */
static size_t claim_of(struct plan *plan, const struct ow_prove_message *message)
{
    const size_t *known = ow_map_get(&plan->claims, message->key_text);
    if (known == NULL) {
        size_t *const number = OW_ARENA_NEW(plan->prove->arena, size_t);
        *number = plan->claim_count++;
        ow_map_put(&plan->claims, message->key_text, number);
        known = number;
    }
    plan->claim_users[*known]++;
    return *known;
}

/* A fact is renewable where each of its messages has a claim of its own, and all say the same. */
static void sort_claims(struct plan *plan)
{
    struct ow_prove *const prove = plan->prove;
    const size_t length = prove->length;
    size_t *const numbers = OW_ARENA_ARRAY(prove->arena, prove->fact_count * (length + 1), size_t);
    plan->claim_users = OW_ARENA_ARRAY(prove->arena, prove->fact_count * (length + 1), uint32_t);
    ow_map_init(&plan->claims, prove->arena);
    for (size_t i = 0; i < prove->fact_count; i++) {
        for (size_t copy = 1; copy <= length; copy++) {
            numbers[i * (length + 1) + copy] = claim_of(plan, &prove->facts[i].copies[copy]);
        }
    }
    for (size_t i = 0; i < prove->fact_count; i++) {
        struct ow_prove_fact *const fact = &prove->facts[i];
        fact->claim = numbers[i * (length + 1) + 1];
        fact->renewable = true;
        for (size_t copy = 1; copy <= length; copy++) {
            fact->renewable = fact->renewable &&
                              plan->claim_users[numbers[i * (length + 1) + copy]] == 1 &&
                              !differs(fact->copies[copy].event, fact->copies[1].event);
        }
    }
}

static bool is_twin(const struct ow_prove_message *a, const struct ow_prove_message *b)
{
    return ow_slice_equal(a->key_text, b->key_text) &&
           !ow_slice_equal(a->fingerprint_text, b->fingerprint_text);
}

/* The id of a message on other content: another fact of its type, any other fact, another entity.
 */
static bool make_twin(struct plan *plan, size_t number, size_t copy, struct ow_prove_message *twin)
{
    struct ow_prove *const prove = plan->prove;
    const struct ow_prove_fact *const fact = &prove->facts[number];
    const char *const id = ow_arena_printf(prove->arena, "%zu-%zu", number + 1, copy);
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < prove->fact_count; i++) {
            const struct ow_prove_fact *const other = &prove->facts[i];
            if ((other->type == fact->type) == (pass == 0) &&
                make_message(plan, other->type, other->copies[1].event->values, id, twin) &&
                is_twin(&fact->copies[copy], twin)) {
                return true;
            }
        }
    }
    struct plan elsewhere = *plan;
    elsewhere.entity = entity_id(prove, plan->guess, true);
    return make_message(&elsewhere, fact->type, fact->copies[1].event->values, id, twin) &&
           is_twin(&fact->copies[copy], twin);
}

static void make_twins(struct plan *plan)
{
    struct ow_prove *const prove = plan->prove;
    for (size_t i = 0; i < prove->fact_count; i++) {
        struct ow_prove_fact *const fact = &prove->facts[i];
        const size_t copies = fact->renewable ? prove->length : 1;
        fact->twins = OW_ARENA_ARRAY(prove->arena, prove->length + 1, struct ow_prove_message);
        fact->has_twins = true;
        for (size_t copy = 1; copy <= copies && fact->has_twins; copy++) {
            fact->has_twins = make_twin(plan, i, copy, &fact->twins[copy]);
        }
    }
}

/* The row that a recording would write for this fact. */
static size_t slot_of(struct ow_prove *prove, const struct ow_table *table, struct ow_slice key)
{
    for (size_t i = 0; i < prove->slot_count; i++) {
        if (prove->slots[i].table == table && ow_slice_equal(prove->slots[i].key, key)) {
            return i;
        }
    }
    prove->slots[prove->slot_count] = (struct ow_prove_slot){.table = table, .key = key};
    return prove->slot_count++;
}

static size_t count_recordings(const struct ow_event_type *type)
{
    size_t count = 0;
    for (size_t i = 0; i < type->transition_count; i++) {
        count += type->transitions[i].recording_count;
    }
    return count;
}

static void take_slots(struct ow_prove *prove, struct ow_prove_fact *fact)
{
    const struct ow_event *const event = fact->copies[1].event;
    size_t *const slots = OW_ARENA_ARRAY(prove->arena, count_recordings(fact->type), size_t);
    uint16_t *const values = OW_ARENA_ARRAY(prove->arena, fact->type->need_count, uint16_t);
    size_t count = 0;
    for (size_t i = 0; i < fact->type->transition_count; i++) {
        const struct ow_transition *const transition = &fact->type->transitions[i];
        for (size_t j = 0; j < transition->recording_count; j++) {
            const struct ow_recording *const recording = &transition->recordings[j];
            slots[count++] = slot_of(prove, recording->table, ow_recording_key(recording, event));
        }
    }
    for (size_t i = 0; i < fact->type->need_count; i++) {
        values[i] = ow_prove_value_number(prove, &event->values[i]);
    }
    fact->slots = slots;
    fact->values = values;
}

/* Where everything is in a configuration. */
static void lay_out(struct ow_prove *prove)
{
    size_t slots_max = 0;
    for (size_t i = 0; i < prove->fact_count; i++) {
        slots_max += count_recordings(prove->facts[i].type);
    }
    prove->slots = OW_ARENA_ARRAY(prove->arena, slots_max, struct ow_prove_slot);
    for (size_t i = 0; i < prove->fact_count; i++) {
        take_slots(prove, &prove->facts[i]);
    }
    size_t at = OW_PROVE_COLUMNS + prove->machine->entity.column_count;
    for (size_t i = 0; i < prove->slot_count; i++) {
        prove->slots[i].at = at;
        at += 1 + prove->slots[i].table->column_count;
    }
    prove->claims_at = at;
    prove->parked_at = at + prove->fact_count;
    prove->width = prove->parked_at + 1 + prove->length;
}

enum ow_status ow_prove_fact_make_all(struct ow_prove *prove, const struct ow_prove_guess *guess,
                                      struct ow_err *err)
{
    const struct ow_machine *const machine = prove->machine;
    struct plan plan = {.prove = prove, .guess = guess};
    plan.entity = entity_id(prove, plan.guess, false);
    prove->facts =
        OW_ARENA_ARRAY(prove->arena, FACTS_PER_TYPE * machine->event_count, struct ow_prove_fact);
    for (size_t i = 0; i < machine->event_count; i++) {
        if (!add_type(&plan, &machine->events[i])) {
            const struct ow_prove_message *const message =
                &prove->facts[prove->fact_count].copies[1];
            return ow_fail(err, OW_FAILED, "%s: no valid '%s' can be made: %s", machine->file,
                           machine->events[i].name,
                           message->event->detail == NULL ? "its type is read otherwise"
                                                          : message->event->detail);
        }
    }
    sort_claims(&plan);
    make_twins(&plan);
    lay_out(prove);
    return OW_OK;
}
