/*
 * A second reading of DESIGN 3, steps 5 to 9, and of wake. It uses nothing of decide, judge and
 * evaluate: where the two readings differ, one of them is wrong.
 */
#include "base/contract.h"
#include "model/prove_state.h"

/* The number of the value of a column, a pointer or a constant. */
static uint16_t value_of_term(struct ow_prove *prove, const uint16_t *configuration, size_t fact,
                              const struct ow_operand *operand)
{
    switch (operand->kind) {
    case OW_OPERAND_COLUMN:
        return configuration[OW_PROVE_COLUMNS + operand->index];
    case OW_OPERAND_POINTER:
        return prove->facts[fact].values[operand->index];
    case OW_OPERAND_CONSTANT:
        return ow_prove_value_number(prove, &operand->constant);
    case OW_OPERAND_SUM:
        break;
    }
    OW_IMPOSSIBLE("a sum inside a sum");
}

uint16_t ow_prove_rule_value(struct ow_prove *prove, const uint16_t *configuration, size_t fact,
                             const struct ow_operand *operand)
{
    if (operand->kind != OW_OPERAND_SUM) {
        return value_of_term(prove, configuration, fact, operand);
    }
    struct ow_value sum = ow_value_integer(0);
    for (size_t i = 0; i < operand->term_count; i++) {
        const uint16_t number = value_of_term(prove, configuration, fact, &operand->terms[i]);
        const struct ow_value *const value = &prove->values.list[number];
        if (value->type != OW_TYPE_INTEGER ||
            __builtin_add_overflow(sum.integer, value->integer, &sum.integer)) {
            return 0;
        }
    }
    return ow_prove_value_number(prove, &sum);
}

bool ow_prove_rule_holds(struct ow_prove *prove, const uint16_t *configuration, size_t fact,
                         const struct ow_requirement *requirement)
{
    const uint16_t left = ow_prove_rule_value(prove, configuration, fact, &requirement->left);
    const uint16_t right = ow_prove_rule_value(prove, configuration, fact, &requirement->right);
    if (left == 0 || right == 0) {
        return false; /* nothing is known, so nothing is certain */
    }
    if (requirement->comparison == OW_COMPARE_EQUALS) {
        return left == right;
    }
    const struct ow_value *const a = &prove->values.list[left];
    const struct ow_value *const b = &prove->values.list[right];
    return a->type == OW_TYPE_INTEGER && b->type == OW_TYPE_INTEGER &&
           (requirement->comparison == OW_COMPARE_AT_MOST ? a->integer <= b->integer
                                                          : a->integer >= b->integer);
}

static bool fits(const struct ow_value *value, const struct ow_column *column)
{
    if (value->type == OW_TYPE_TEXT) {
        const size_t characters = ow_slice_characters(value->text);
        return (int64_t)characters >= column->length_min &&
               (int64_t)characters <= column->length_max;
    }
    return value->type == OW_TYPE_INTEGER && value->integer >= -OW_INTEGER_MAX &&
           value->integer <= OW_INTEGER_MAX && value->integer >= column->min &&
           value->integer <= column->max;
}

/* Whether a row holds what the recording would write. */
static bool row_equals(struct ow_prove *prove, const uint16_t *configuration, size_t fact,
                       const struct ow_recording *recording, const struct ow_prove_slot *slot)
{
    for (size_t i = 0; i < slot->table->column_count; i++) {
        if (configuration[slot->at + 1 + i] !=
            ow_prove_rule_value(prove, configuration, fact, &recording->columns[i])) {
            return false;
        }
    }
    return true;
}

/* Step 7 for one stored row: whether any transition of the event would write just this. */
static bool any_writes(struct ow_prove *prove, const uint16_t *configuration, size_t fact,
                       size_t slot)
{
    const struct ow_event_type *const type = prove->facts[fact].type;
    const size_t *own = prove->facts[fact].slots;
    for (size_t i = 0; i < type->transition_count; i++) {
        for (size_t j = 0; j < type->transitions[i].recording_count; j++) {
            if (*own++ == slot &&
                row_equals(prove, configuration, fact, &type->transitions[i].recordings[j],
                           &prove->slots[slot])) {
                return true;
            }
        }
    }
    return false;
}

/* Step 7. APPLIED: no business key is in the way. */
static enum ow_outcome look_at_keys(struct ow_prove *prove, const uint16_t *configuration,
                                    size_t fact)
{
    const struct ow_event_type *const type = prove->facts[fact].type;
    const size_t *own = prove->facts[fact].slots;
    enum ow_outcome outcome = OW_OUTCOME_APPLIED;
    for (size_t i = 0; i < type->transition_count; i++) {
        for (size_t j = 0; j < type->transitions[i].recording_count; j++, own++) {
            if (configuration[prove->slots[*own].at] == 0) {
                continue;
            }
            if (!any_writes(prove, configuration, fact, *own)) {
                return OW_OUTCOME_QUARANTINED;
            }
            outcome = OW_OUTCOME_STALE;
        }
    }
    return outcome;
}

/* Whether a transition would set and record only what is there already. */
static bool says_nothing_new(struct ow_prove *prove, const uint16_t *configuration, size_t fact)
{
    const struct ow_event_type *const type = prove->facts[fact].type;
    const size_t *own = prove->facts[fact].slots;
    for (size_t i = 0; i < type->transition_count; i++) {
        const struct ow_transition *const transition = &type->transitions[i];
        bool nothing_new = true;
        for (size_t j = 0; j < transition->set_count; j++) {
            const struct ow_assignment *const set = &transition->sets[j];
            nothing_new =
                nothing_new && configuration[OW_PROVE_COLUMNS + set->column] ==
                                   ow_prove_rule_value(prove, configuration, fact, &set->operand);
        }
        for (size_t j = 0; j < transition->recording_count; j++, own++) {
            const struct ow_prove_slot *const slot = &prove->slots[*own];
            nothing_new = nothing_new && configuration[slot->at] != 0 &&
                          row_equals(prove, configuration, fact, &transition->recordings[j], slot);
        }
        if (nothing_new) {
            return true;
        }
    }
    return false;
}

/* What the columns are afterwards; every operand of `set` and `add` sees them as they were. Returns
 * one that would leave its range, or NULL. */
static const struct ow_column *compute_columns(struct ow_prove *prove,
                                               const uint16_t *configuration, size_t fact,
                                               const struct ow_transition *transition,
                                               uint16_t *columns)
{
    const struct ow_table *const table = &prove->machine->entity;
    const struct ow_column *outside = NULL;
    memcpy(columns, configuration + OW_PROVE_COLUMNS, table->column_count * sizeof *columns);
    for (size_t i = 0; i < transition->set_count; i++) {
        const size_t column = transition->sets[i].column;
        columns[column] =
            ow_prove_rule_value(prove, configuration, fact, &transition->sets[i].operand);
        if (!fits(&prove->values.list[columns[column]], &table->columns[column])) {
            outside = &table->columns[column];
        }
    }
    for (size_t i = 0; i < transition->add_count; i++) {
        const size_t column = transition->adds[i].column;
        const uint16_t term =
            ow_prove_rule_value(prove, configuration, fact, &transition->adds[i].operand);
        const struct ow_value before = prove->values.list[columns[column]];
        const struct ow_value more = prove->values.list[term];
        struct ow_value sum = ow_value_integer(before.type == OW_TYPE_NULL ? 0 : before.integer);
        if (more.type != OW_TYPE_INTEGER ||
            __builtin_add_overflow(sum.integer, more.integer, &sum.integer)) {
            return &table->columns[column];
        }
        columns[column] = ow_prove_value_number(prove, &sum);
        if (!fits(&sum, &table->columns[column])) {
            outside = &table->columns[column];
        }
    }
    return outside;
}

const struct ow_column *ow_prove_rule_apply(struct ow_prove *prove, uint16_t *configuration,
                                            size_t fact, const struct ow_transition *transition)
{
    const struct ow_table *const table = &prove->machine->entity;
    const struct ow_transition *const first = prove->facts[fact].type->transitions;
    uint16_t columns[OW_TABLE_COLUMNS_MAX];
    const struct ow_column *const outside =
        compute_columns(prove, configuration, fact, transition, columns);
    if (outside != NULL) {
        return outside;
    }
    const size_t *own = prove->facts[fact].slots;
    for (size_t i = 0; &first[i] != transition; i++) {
        own += first[i].recording_count;
    }
    for (size_t i = 0; i < transition->recording_count; i++) {
        const struct ow_prove_slot *const slot = &prove->slots[own[i]];
        for (size_t j = 0; j < slot->table->column_count; j++) {
            configuration[slot->at + 1 + j] = ow_prove_rule_value(
                prove, configuration, fact, &transition->recordings[i].columns[j]);
        }
        configuration[slot->at] = 1;
    }
    memcpy(configuration + OW_PROVE_COLUMNS, columns, table->column_count * sizeof *columns);
    configuration[OW_PROVE_STATE] =
        transition->same ? configuration[OW_PROVE_STATE] : (uint16_t)transition->to;
    configuration[OW_PROVE_VERSION]++;
    return NULL;
}

struct verdict {
    enum ow_outcome outcome;
    enum ow_reason reason;
    struct ow_prove_cell *cell; /* that was looked at, or NULL */
    uint64_t held;              /* of its requirements */
};

/* Steps 7 to 9, but for the ranges of columns, which only an attempt shows. */
static struct verdict judge(struct ow_prove *prove, const uint16_t *configuration, size_t fact)
{
    struct verdict verdict = {.outcome = look_at_keys(prove, configuration, fact)};
    if (verdict.outcome != OW_OUTCOME_APPLIED) {
        verdict.reason =
            verdict.outcome == OW_OUTCOME_STALE ? OW_REASON_NONE : OW_REASON_BUSINESS_KEY;
        return verdict;
    }
    verdict.cell = &prove->cells[prove->facts[fact].type->index * prove->machine->state_count +
                                 configuration[OW_PROVE_STATE]];
    if (verdict.cell->kind == OW_CELL_PARK) {
        verdict.outcome = OW_OUTCOME_PARKED;
    } else if (verdict.cell->kind == OW_CELL_STALE &&
               says_nothing_new(prove, configuration, fact)) {
        verdict.outcome = OW_OUTCOME_STALE;
    } else if (verdict.cell->kind != OW_CELL_APPLY) {
        verdict.outcome = OW_OUTCOME_QUARANTINED;
        verdict.reason = OW_REASON_ILLEGAL;
    } else {
        const struct ow_transition *const transition = verdict.cell->transition;
        for (size_t i = 0; i < transition->requirement_count; i++) {
            if (ow_prove_rule_holds(prove, configuration, fact, &transition->requirements[i])) {
                verdict.held |= UINT64_C(1) << i;
            } else {
                verdict.outcome = OW_OUTCOME_QUARANTINED;
                verdict.reason = OW_REASON_GUARD;
            }
        }
    }
    return verdict;
}

enum ow_outcome ow_prove_rule_verdict(struct ow_prove *prove, const uint16_t *configuration,
                                      size_t fact)
{
    return judge(prove, configuration, fact).outcome;
}

static void note(struct ow_prove_effects *effects, const struct ow_prove_effect *effect)
{
    OW_REQUIRE(effects->count < OW_PROVE_EFFECTS_MAX);
    effects->list[effects->count++] = *effect;
}

/* Judges a fact and makes its effects, but for parking. */
static enum ow_outcome act(struct ow_prove *prove, struct ow_prove_step *step, size_t fact,
                           bool woken, enum ow_reason *ret_reason)
{
    struct verdict verdict = judge(prove, step->after, fact);
    struct ow_prove_effect effect = {
        .fact = (uint16_t)fact, .woken = woken, .from = step->after[OW_PROVE_STATE]};
    if (verdict.cell != NULL) {
        verdict.cell->met = true;
        verdict.cell->held |= verdict.held;
    }
    if (verdict.outcome == OW_OUTCOME_APPLIED) {
        OW_INVARIANT(verdict.cell != NULL);
        const struct ow_column *const outside =
            ow_prove_rule_apply(prove, step->after, fact, verdict.cell->transition);
        verdict.cell->fulfilled = true;
        if (outside == NULL) {
            verdict.cell->applied = true;
            effect.to = step->after[OW_PROVE_STATE];
            effect.version = step->after[OW_PROVE_VERSION];
            note(&step->applied, &effect);
        } else {
            verdict.cell->outside = outside;
            verdict.outcome = OW_OUTCOME_QUARANTINED;
            verdict.reason = OW_REASON_GUARD;
        }
    }
    effect.from = 0;
    if (verdict.outcome == OW_OUTCOME_STALE) {
        note(&step->stale, &effect);
    } else if (verdict.outcome == OW_OUTCOME_QUARANTINED) {
        effect.reason = verdict.reason;
        note(&step->quarantined, &effect);
    }
    *ret_reason = verdict.reason;
    return verdict.outcome;
}

/* One whole pass over what is parked, in its order; true where something left. */
static bool wake_pass(struct ow_prove *prove, struct ow_prove_step *step)
{
    uint16_t *const parked = step->after + prove->parked_at;
    uint16_t waiting[OW_PROVE_LENGTH_MAX];
    const size_t count = parked[0];
    size_t left = 0;
    memcpy(waiting, parked + 1, count * sizeof *waiting);
    for (size_t i = 0; i < count; i++) {
        enum ow_reason reason = OW_REASON_NONE;
        if (act(prove, step, waiting[i], true, &reason) == OW_OUTCOME_PARKED) {
            waiting[left++] = waiting[i];
        }
    }
    memset(parked + 1, 0, count * sizeof *parked);
    memcpy(parked + 1, waiting, left * sizeof *waiting);
    parked[0] = (uint16_t)left;
    return left < count;
}

void ow_prove_rule_start(struct ow_prove *prove, uint16_t *configuration)
{
    const struct ow_table *const table = &prove->machine->entity;
    memset(configuration, 0, prove->width * sizeof *configuration);
    for (size_t i = 0; i < table->column_count; i++) {
        configuration[OW_PROVE_COLUMNS + i] =
            ow_prove_value_number(prove, &table->columns[i].default_value);
    }
}

enum ow_prove_claim ow_prove_rule_claim(const struct ow_prove *prove, const uint16_t *configuration,
                                        const struct ow_prove_move *move, size_t *ret_holder)
{
    const struct ow_prove_fact *const fact = &prove->facts[move->fact];
    *ret_holder = move->fact;
    if (fact->renewable) {
        const bool taken = move->copy <= configuration[prove->claims_at + move->fact];
        return !taken ? OW_PROVE_FREE : move->twin ? OW_PROVE_OTHER : OW_PROVE_SAME;
    }
    const struct ow_prove_message *const message =
        move->twin ? &fact->twins[move->copy] : &fact->copies[move->copy];
    for (size_t i = 0; i < prove->fact_count; i++) {
        const struct ow_prove_fact *const holder = &prove->facts[i];
        if (!holder->renewable && holder->claim == fact->claim &&
            configuration[prove->claims_at + i] > 0) {
            *ret_holder = i;
            return ow_slice_equal(holder->copies[1].fingerprint_text, message->fingerprint_text)
                       ? OW_PROVE_SAME
                       : OW_PROVE_OTHER;
        }
    }
    return OW_PROVE_FREE;
}

void ow_prove_rule_step(struct ow_prove *prove, const uint16_t *before,
                        const struct ow_prove_move *move, struct ow_prove_step *step)
{
    size_t holder = 0;
    step->reason = OW_REASON_NONE;
    step->applied.count = step->stale.count = step->quarantined.count = 0;
    memcpy(step->after, before, prove->width * sizeof *before);
    const enum ow_prove_claim claim = ow_prove_rule_claim(prove, before, move, &holder);
    if (claim == OW_PROVE_SAME) {
        step->outcome = OW_OUTCOME_DUPLICATE;
        return;
    }
    if (claim == OW_PROVE_OTHER) {
        step->outcome = OW_OUTCOME_QUARANTINED;
        step->reason = OW_REASON_CONFLICT;
        return;
    }
    step->after[prove->claims_at + move->fact]++;
    step->outcome = act(prove, step, move->fact, false, &step->reason);
    uint16_t *const parked = step->after + prove->parked_at;
    if (step->outcome == OW_OUTCOME_PARKED && parked[0] >= prove->machine->park_per_entity) {
        step->outcome = OW_OUTCOME_QUARANTINED;
        step->reason = OW_REASON_OVERFLOW;
        note(&step->quarantined,
             &(struct ow_prove_effect){.fact = (uint16_t)move->fact, .reason = OW_REASON_OVERFLOW});
    } else if (step->outcome == OW_OUTCOME_PARKED) {
        parked[++parked[0]] = (uint16_t)move->fact;
    }
    while (step->outcome == OW_OUTCOME_APPLIED && parked[0] > 0 && wake_pass(prove, step)) {
    }
}
