/* Events, fates and business states as texts, for people who have written one machine file. */
#include "model/prove_state.h"

const char *ow_prove_text_value(const struct ow_value *value, struct ow_arena *arena)
{
    if (value->type == OW_TYPE_INTEGER) {
        return ow_arena_printf(arena, "%lld", (long long)value->integer);
    }
    if (value->type == OW_TYPE_NULL) {
        return "nothing";
    }
    return value->text.len == 0 ? "\"\""
                                : ow_arena_printf(arena, OW_SLICE_FMT, OW_SLICE_ARG(value->text));
}

static void append_operand(const struct ow_prove *prove, const struct ow_event_type *type,
                           const struct ow_operand *operand, struct ow_arena *arena,
                           struct ow_buffer *out)
{
    const bool is_sum = operand->kind == OW_OPERAND_SUM;
    for (size_t i = 0; i < (is_sum ? operand->term_count : 1); i++) {
        const struct ow_operand *const term = is_sum ? &operand->terms[i] : operand;
        ow_buffer_text(out, i == 0 ? "" : " + ");
        ow_buffer_text(
            out, term->kind == OW_OPERAND_COLUMN ? prove->machine->entity.columns[term->index].name
                 : term->kind == OW_OPERAND_POINTER ? type->needs[term->index].pointer.text
                                                    : ow_prove_text_value(&term->constant, arena));
    }
}

const char *ow_prove_text_requirement(const struct ow_prove *prove,
                                      const struct ow_event_type *type,
                                      const struct ow_requirement *requirement,
                                      struct ow_arena *arena)
{
    static const char *const comparisons[] = {
        [OW_COMPARE_EQUALS] = "equals",
        [OW_COMPARE_AT_MOST] = "at most",
        [OW_COMPARE_AT_LEAST] = "at least",
    };
    OW_BUFFER out = {0};
    append_operand(prove, type, &requirement->left, arena, &out);
    ow_buffer_printf(&out, " %s ", comparisons[requirement->comparison]);
    append_operand(prove, type, &requirement->right, arena, &out);
    return ow_arena_text(arena, ow_buffer_view(&out));
}

const char *ow_prove_text_move(const struct ow_prove *prove, const struct ow_prove_move *move,
                               struct ow_arena *arena)
{
    const struct ow_prove_fact *const fact = &prove->facts[move->fact];
    if (move->twin) {
        const struct ow_prove_message *const twin = &fact->twins[move->copy];
        return ow_arena_printf(arena, "%s with the id of '%s'", twin->event->event->name,
                               fact->name);
    }
    return move->copy > 1
               ? ow_arena_printf(arena, "%s under a new id (number %zu)", fact->name, move->copy)
               : ow_arena_text(arena, ow_slice_of(fact->name));
}

const char *ow_prove_text_again(const struct ow_prove *prove, const uint16_t *before,
                                const struct ow_prove_move *move, struct ow_arena *arena)
{
    size_t holder = 0;
    const char *const event = ow_prove_text_move(prove, move, arena);
    if (move->twin || ow_prove_rule_claim(prove, before, move, &holder) != OW_PROVE_SAME) {
        return event;
    }
    return ow_arena_printf(arena, "%s, %s", event,
                           move->reread ? "the same record read again" : "the same message again");
}

static void append_woken(const struct ow_prove *prove, const struct ow_prove_effects *effects,
                         const char *fate, struct ow_buffer *out)
{
    for (size_t i = 0; i < effects->count; i++) {
        const struct ow_prove_effect *const effect = &effects->list[i];
        if (effect->woken) {
            ow_buffer_printf(out, "; wakes '%s': %s", prove->facts[effect->fact].name, fate);
            if (effect->reason != OW_REASON_NONE) {
                ow_buffer_printf(out, " (%s)", ow_reason_text(effect->reason));
            }
        }
    }
}

const char *ow_prove_text_fate(const struct ow_prove *prove, const struct ow_prove_step *step,
                               struct ow_arena *arena)
{
    OW_BUFFER out = {0};
    ow_buffer_text(&out, ow_outcome_text(step->outcome));
    if (step->reason != OW_REASON_NONE) {
        ow_buffer_printf(&out, " (%s)", ow_reason_text(step->reason));
    }
    append_woken(prove, &step->applied, "applied", &out);
    append_woken(prove, &step->stale, "stale", &out);
    append_woken(prove, &step->quarantined, "quarantined", &out);
    return ow_arena_text(arena, ow_buffer_view(&out));
}

static const char *separator(const struct ow_buffer *out)
{
    return out->len == 0 ? "" : ", ";
}

static size_t times_parked(const struct ow_prove *prove, const uint16_t *configuration, size_t fact)
{
    const uint16_t *const parked = configuration + prove->parked_at;
    size_t times = 0;
    for (size_t i = 0; i < parked[0]; i++) {
        times += parked[1 + i] == fact ? 1 : 0;
    }
    return times;
}

static void append_rows(const struct ow_prove *prove, const uint16_t *configuration,
                        const uint16_t *other, struct ow_arena *arena, struct ow_buffer *out)
{
    for (size_t i = 0; i < prove->slot_count; i++) {
        const struct ow_prove_slot *const slot = &prove->slots[i];
        const uint16_t *const row = configuration + slot->at;
        const size_t bytes = (1 + slot->table->column_count) * sizeof *row;
        if (other == NULL ? row[0] == 0 : memcmp(row, other + slot->at, bytes) == 0) {
            continue;
        }
        ow_buffer_printf(out, "%s%s%s " OW_SLICE_FMT, separator(out), row[0] == 0 ? "no " : "",
                         slot->table->name, OW_SLICE_ARG(slot->key));
        for (size_t j = 0; other != NULL && j < slot->table->column_count; j++) {
            if (row[0] != 0 && other[slot->at] != 0 && row[1 + j] != other[slot->at + 1 + j]) {
                ow_buffer_printf(out, " with %s %s", slot->table->columns[j].name,
                                 ow_prove_text_value(&prove->values.list[row[1 + j]], arena));
            }
        }
    }
}

const char *ow_prove_text_state(const struct ow_prove *prove, const uint16_t *configuration,
                                const uint16_t *other, struct ow_arena *arena)
{
    const struct ow_table *const table = &prove->machine->entity;
    OW_BUFFER out = {0};
    if (other == NULL || configuration[OW_PROVE_STATE] != other[OW_PROVE_STATE]) {
        ow_buffer_printf(&out, "state %s", prove->machine->states[configuration[OW_PROVE_STATE]]);
    }
    if (other == NULL || configuration[OW_PROVE_VERSION] != other[OW_PROVE_VERSION]) {
        ow_buffer_printf(&out, "%sversion %d", separator(&out), configuration[OW_PROVE_VERSION]);
    }
    for (size_t i = 0; i < table->column_count; i++) {
        const uint16_t number = configuration[OW_PROVE_COLUMNS + i];
        if (other == NULL ? number != 0 : number != other[OW_PROVE_COLUMNS + i]) {
            ow_buffer_printf(&out, "%s%s %s", separator(&out), table->columns[i].name,
                             ow_prove_text_value(&prove->values.list[number], arena));
        }
    }
    append_rows(prove, configuration, other, arena, &out);
    for (size_t i = 0; i < prove->fact_count; i++) {
        const size_t times = times_parked(prove, configuration, i);
        if (other == NULL ? times > 0 : times != times_parked(prove, other, i)) {
            ow_buffer_printf(&out, "%s'%s' %s", separator(&out), prove->facts[i].name,
                             times == 0 ? "not parked" : "parked");
            if (times > 1) {
                ow_buffer_printf(&out, " %zu times", times);
            }
        }
    }
    return ow_arena_text(arena, ow_buffer_view(&out));
}

const char *ow_prove_text_step(const struct ow_prove *prove, const struct ow_prove_step *step,
                               struct ow_arena *arena)
{
    OW_BUFFER out = {0};
    int claims = 0;
    ow_buffer_text(&out, ow_prove_text_fate(prove, step, arena));
    for (size_t i = 0; i < step->applied.count; i++) {
        const struct ow_prove_effect *const row = &step->applied.list[i];
        ow_buffer_printf(&out, "%s%s %s to %s (version %lld%s)", i == 0 ? "; history: " : ", ",
                         prove->facts[row->fact].name, prove->machine->states[row->from],
                         prove->machine->states[row->to], (long long)row->version,
                         row->woken ? ", woken" : "");
    }
    for (size_t i = 0; i < step->quarantined.count; i++) {
        const struct ow_prove_effect *const row = &step->quarantined.list[i];
        ow_buffer_printf(&out, "%s%s (%s)", i == 0 ? "; quarantine: " : ", ",
                         prove->facts[row->fact].name, ow_reason_text(row->reason));
    }
    for (size_t i = 0; i < prove->fact_count; i++) {
        claims += step->after[prove->claims_at + i];
    }
    ow_buffer_printf(&out, "; claims: %d; then %s", claims,
                     ow_prove_text_state(prove, step->after, NULL, arena));
    return ow_arena_text(arena, ow_buffer_view(&out));
}
