/*
 * The promises of DESIGN 10, held against one step of decide: each by itself, from what decide did,
 * and at the end against what the declared rules make of the same event.
 */
#include "model/prove_state.h"

/* A message that has something to expect from this step: what is parked, and what comes. */
struct expected {
    uint16_t fact, copy;
    size_t applied, fates;
};
struct check {
    struct ow_prove *prove;
    const uint16_t *before;
    const struct ow_prove_move *move;
    const struct ow_prove_step *rule, *real;
    struct expected list[OW_PROVE_EFFECTS_MAX];
    size_t count;
};

static bool hold(struct check *check, enum ow_promise promise, bool is_kept)
{
    struct ow_proof_promise *const counts = &check->prove->proof->promises[promise];
    counts->checked++;
    counts->broken = counts->broken || !is_kept;
    return is_kept;
}

static void expect_all(struct check *check, bool is_fresh)
{
    const uint16_t *const parked = check->before + check->prove->parked_at;
    for (size_t i = 0; i < parked[0]; i++) {
        uint16_t copy = 1;
        for (size_t j = 0; j < i; j++) {
            copy = (uint16_t)(copy + (parked[1 + j] == parked[1 + i] ? 1 : 0));
        }
        check->list[check->count++] = (struct expected){.fact = parked[1 + i], .copy = copy};
    }
    if (is_fresh) {
        check->list[check->count++] = (struct expected){.fact = (uint16_t)check->move->fact,
                                                        .copy = (uint16_t)check->move->copy};
    }
}

/* Counts the fates; false where a message has one that had nothing to expect. */
static bool count_fates(struct check *check, const struct ow_prove_effects *effects, bool applied)
{
    bool all_known = true;
    for (size_t i = 0; i < effects->count; i++) {
        bool is_known = false;
        for (size_t j = 0; j < check->count; j++) {
            struct expected *const one = &check->list[j];
            if (one->fact == effects->list[i].fact && one->copy == effects->list[i].copy) {
                one->fates++;
                one->applied += applied ? 1 : 0;
                is_known = true;
            }
        }
        all_known = all_known && is_known;
    }
    return all_known;
}

static bool check_fates(struct check *check)
{
    const struct ow_prove_step *const real = check->real;
    bool once = count_fates(check, &real->applied, true);
    bool accounted = count_fates(check, &real->stale, false);
    accounted = count_fates(check, &real->quarantined, false) && accounted;
    accounted = count_fates(check, &real->parked, false) && accounted;
    for (size_t i = 0; i < check->count; i++) {
        once = once && check->list[i].applied <= 1;
        accounted = accounted && check->list[i].fates == 1;
    }
    once = hold(check, OW_PROMISE_ONCE, once);
    return hold(check, OW_PROMISE_ACCOUNTED, accounted) && once;
}

/* Walks the history rows of this step along the declared transitions. */
static bool check_path(struct check *check, uint16_t *derived)
{
    struct ow_prove *const prove = check->prove;
    const struct ow_prove_effects *const applied = &check->real->applied;
    memcpy(derived, check->before, prove->width * sizeof *derived);
    bool is_path = true;
    for (size_t i = 0; i < applied->count && is_path; i++) {
        const struct ow_prove_effect *const row = &applied->list[i];
        const size_t state = derived[OW_PROVE_STATE];
        const struct ow_prove_cell *const cell =
            &prove
                 ->cells[prove->facts[row->fact].type->index * prove->machine->state_count + state];
        is_path = cell->kind == OW_CELL_APPLY && row->from == state &&
                  row->version == derived[OW_PROVE_VERSION] + 1 &&
                  ow_prove_rule_apply(prove, derived, row->fact, cell->transition) == NULL &&
                  row->to == derived[OW_PROVE_STATE];
    }
    is_path = is_path && check->real->after[OW_PROVE_STATE] == derived[OW_PROVE_STATE] &&
              check->real->after[OW_PROVE_VERSION] == derived[OW_PROVE_VERSION];
    return hold(check, OW_PROMISE_PATH, is_path);
}

/* A message whose claim is taken: nothing at all may happen but the one outcome. */
static bool check_repeat(struct check *check, enum ow_prove_claim claim)
{
    const struct ow_prove_step *const real = check->real;
    const bool is_same = claim == OW_PROVE_SAME;
    const bool is_kept =
        real->outcome == (is_same ? OW_OUTCOME_DUPLICATE : OW_OUTCOME_QUARANTINED) &&
        real->reason == (is_same ? OW_REASON_NONE : OW_REASON_CONFLICT) &&
        real->applied.count + real->stale.count + real->quarantined.count == 0 &&
        memcmp(check->before, real->after, check->prove->width * sizeof *real->after) == 0;
    return hold(check, is_same ? OW_PROMISE_REPLAY : OW_PROMISE_CONFLICT, is_kept);
}

/* Each that is parked, judged once more by itself, has to be parked again. */
static bool check_wake(struct check *check)
{
    const uint16_t *const parked = check->real->after + check->prove->parked_at;
    bool all_wait = true;
    for (size_t i = 0; i < parked[0] && all_wait; i++) {
        all_wait = ow_prove_rule_verdict(check->prove, check->real->after, parked[1 + i]) ==
                   OW_OUTCOME_PARKED;
    }
    return hold(check, OW_PROMISE_WAKE, all_wait);
}

static bool same_effects(const struct ow_prove_effects *a, const struct ow_prove_effects *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        const struct ow_prove_effect *const x = &a->list[i];
        const struct ow_prove_effect *const y = &b->list[i];
        same = x->fact == y->fact && x->from == y->from && x->to == y->to &&
               x->version == y->version && x->reason == y->reason && x->woken == y->woken;
    }
    return same;
}

static bool check_agrees(struct check *check)
{
    const struct ow_prove_step *const rule = check->rule;
    const struct ow_prove_step *const real = check->real;
    return hold(check, OW_PROMISE_AGREES,
                rule->outcome == real->outcome && rule->reason == real->reason &&
                    same_effects(&rule->applied, &real->applied) &&
                    same_effects(&rule->stale, &real->stale) &&
                    same_effects(&rule->quarantined, &real->quarantined) &&
                    memcmp(rule->after, real->after, check->prove->width * sizeof *rule->after) ==
                        0);
}

bool ow_prove_check(struct ow_prove *prove, const uint16_t *before,
                    const struct ow_prove_move *move, const struct ow_prove_step *rule,
                    const struct ow_prove_step *real)
{
    struct check check = {
        .prove = prove, .before = before, .move = move, .rule = rule, .real = real};
    size_t holder = 0;
    const enum ow_prove_claim claim = ow_prove_rule_claim(prove, before, move, &holder);
    bool is_good = true;
    if (claim != OW_PROVE_FREE) {
        is_good = check_repeat(&check, claim);
        if (is_good) {
            return check_agrees(&check); /* where nothing has changed, all else holds as before */
        }
    }
    expect_all(&check, claim == OW_PROVE_FREE);
    is_good = check_fates(&check) && is_good;
    if (check_path(&check, prove->derived)) {
        is_good = hold(&check, OW_PROMISE_DERIVED,
                       memcmp(prove->derived, real->after,
                              prove->claims_at * sizeof *real->after) == 0) &&
                  is_good;
    } else {
        is_good = false;
    }
    is_good = check_wake(&check) && is_good;
    return check_agrees(&check) && is_good;
}
