/*
 * Where the guessed values are refused: other ones, found by trying. The machine is played by its
 * rules alone, each event from wherever the others lead. Each refusal says which value would
 * have passed: the other side of the comparison, the end of the range. Those values are tried one
 * by one, and the first with which more is applied is kept; then again, until none helps. A machine
 * whose guessed values fit keeps them.
 */
#include "base/contract.h"
#include "model/prove_guess.h"
#include "model/prove_set.h"

enum {
    LEVELS_MAX = OW_PROVE_LENGTH_DEFAULT, /* not the length that is asked for: the values are the
                                             machine's */
    CONFIGURATIONS_MAX = 512,
    PLAYS_MAX = 200,
    IDEAS_MAX = 128,
    REFUSALS_PER_CELL = 4
};

/* A value for a need, and for all that has to be equal to it. */
struct idea {
    struct ow_value *choice; /* where to lay it down: as the usual value, or as the other one */
    struct ow_value value;
};

struct fit {
    const struct ow_prove *prove;
    struct ow_prove_guess *guess;
    size_t plays;
    struct idea *ideas;
    size_t idea_count;
};

/* The machine with some values, while it is played. */
struct play {
    struct fit *fit;
    struct ow_prove prove;
    struct ow_prove_set configurations;
    size_t *levels;   /* by configuration: how many events it is away */
    size_t *refusals; /* by cell */
    struct ow_prove_step *step;
};

/* A fact that was refused, and whether ideas are wanted for what the columns held by then, or for
 * what the fact itself says. */
struct refusal {
    const uint16_t *configuration;
    size_t fact;
    bool by_columns;
};

static void propose(struct play *play, const struct ow_event_type *type, size_t need,
                    struct ow_value value)
{
    struct fit *const fit = play->fit;
    const enum ow_type expected = type->needs[need].type;
    struct ow_value *const choice = ow_prove_guess_choice(fit->guess, type, need);
    bool is_known = value.type == OW_TYPE_NULL || fit->idea_count == IDEAS_MAX ||
                    (expected != OW_TYPE_NULL && expected != value.type);
    for (size_t i = 0; i < fit->idea_count && !is_known; i++) {
        is_known = fit->ideas[i].choice == choice && ow_value_equal(&fit->ideas[i].value, &value);
    }
    if (!is_known) {
        if (value.type == OW_TYPE_TEXT) {
            value.text = ow_arena_copy(fit->prove->arena, value.text);
        }
        fit->ideas[fit->idea_count++] = (struct idea){.choice = choice, .value = value};
    }
}

/* The sum of two integers, or nothing. */
static struct ow_value plus(const struct ow_value *a, int64_t b)
{
    int64_t sum = 0;
    return a->type != OW_TYPE_INTEGER || __builtin_add_overflow(a->integer, b, &sum)
               ? OW_VALUE_NULL
               : ow_value_integer(sum);
}

/* A column should hold wanted: so should what is put into it, or it should grow by more. */
static void feed(struct play *play, const struct ow_assignment *assignment,
                 const struct ow_event_type *type, const struct ow_value *wanted, int64_t more)
{
    const struct ow_operand *const operand = &assignment->operand;
    const bool is_sum = operand->kind == OW_OPERAND_SUM;
    for (size_t i = 0; i < (is_sum ? operand->term_count : 1); i++) {
        const struct ow_operand *const term = is_sum ? &operand->terms[i] : operand;
        if (term->kind == OW_OPERAND_POINTER) {
            const struct ow_value now =
                ow_prove_guess_value(play->fit->guess, type, term->index, false);
            propose(play, type, term->index, *wanted);
            propose(play, type, term->index, plus(&now, more));
            if (wanted->type == OW_TYPE_INTEGER) {
                propose(play, type, term->index, ow_value_integer(more));
            }
        }
    }
}

static void feed_column(struct play *play, size_t column, const struct ow_value *wanted,
                        int64_t more)
{
    const struct ow_machine *const machine = play->prove.machine;
    for (size_t i = 0; i < machine->event_count; i++) {
        const struct ow_event_type *const type = &machine->events[i];
        for (size_t j = 0; j < type->transition_count; j++) {
            const struct ow_transition *const transition = &type->transitions[j];
            for (size_t k = 0; k < transition->set_count + transition->add_count; k++) {
                const struct ow_assignment *const assignment =
                    k < transition->set_count ? &transition->sets[k]
                                              : &transition->adds[k - transition->set_count];
                if (assignment->column == column) {
                    feed(play, assignment, type, wanted, more);
                }
            }
        }
    }
}

static struct ow_value value_of(struct play *play, const struct refusal *refusal,
                                const struct ow_operand *operand)
{
    return play->prove.values
        .list[ow_prove_rule_value(&play->prove, refusal->configuration, refusal->fact, operand)];
}

/* An operand should have been goal; each of its terms could make it so. */
static void aim(struct play *play, const struct refusal *refusal, const struct ow_operand *operand,
                const struct ow_value *goal)
{
    const bool is_sum = operand->kind == OW_OPERAND_SUM;
    const struct ow_value whole = value_of(play, refusal, operand);
    const bool is_number = whole.type == OW_TYPE_INTEGER && goal->type == OW_TYPE_INTEGER;
    int64_t more = 0;
    if ((is_sum && !is_number) ||
        (is_number && __builtin_sub_overflow(goal->integer, whole.integer, &more))) {
        return;
    }
    for (size_t i = 0; i < (is_sum ? operand->term_count : 1); i++) {
        const struct ow_operand *const term = is_sum ? &operand->terms[i] : operand;
        const struct ow_value now = value_of(play, refusal, term);
        const struct ow_value wanted = is_number ? plus(&now, more) : *goal;
        if (term->kind == OW_OPERAND_POINTER && !refusal->by_columns) {
            propose(play, play->prove.facts[refusal->fact].type, term->index, wanted);
        } else if (term->kind == OW_OPERAND_COLUMN && refusal->by_columns) {
            feed_column(play, term->index, &wanted, more);
        }
    }
}

/* Where `set` or `add` would have left the range of its column, aims at the end of it. */
static void aim_at_range(struct play *play, const struct refusal *refusal,
                         const struct ow_assignment *assignment, bool is_add)
{
    const struct ow_column *const column = &play->prove.machine->entity.columns[assignment->column];
    const struct ow_operand before = {.kind = OW_OPERAND_COLUMN, .index = assignment->column};
    const struct ow_value held = is_add ? value_of(play, refusal, &before) : OW_VALUE_NULL;
    const struct ow_value more = value_of(play, refusal, &assignment->operand);
    const int64_t start = held.type == OW_TYPE_INTEGER ? held.integer : 0;
    const struct ow_value after = plus(&more, start);
    if (after.type == OW_TYPE_INTEGER &&
        (after.integer < column->min || after.integer > column->max)) {
        const struct ow_value edge =
            ow_value_integer(after.integer < column->min ? column->min : column->max);
        const struct ow_value goal = plus(&edge, -start);
        aim(play, refusal, &assignment->operand, &goal);
    }
}

/* What would have let the fact through here. */
static void learn(struct play *play, const struct refusal *refusal,
                  const struct ow_transition *transition)
{
    for (size_t i = 0; i < transition->requirement_count; i++) {
        const struct ow_requirement *const requirement = &transition->requirements[i];
        if (!ow_prove_rule_holds(&play->prove, refusal->configuration, refusal->fact,
                                 requirement)) {
            const struct ow_value left = value_of(play, refusal, &requirement->left);
            const struct ow_value right = value_of(play, refusal, &requirement->right);
            aim(play, refusal, &requirement->left, &right);
            aim(play, refusal, &requirement->right, &left);
        }
    }
    for (size_t i = 0; i < transition->set_count; i++) {
        aim_at_range(play, refusal, &transition->sets[i], false);
    }
    for (size_t i = 0; i < transition->add_count; i++) {
        aim_at_range(play, refusal, &transition->adds[i], true);
    }
}

/* Gives a configuration every fact. Claims and versions are left out: they only say how often. */
static void expand(struct play *play, size_t index)
{
    struct ow_prove *const prove = &play->prove;
    const uint16_t *const before = ow_prove_set_at(&play->configurations, index);
    for (size_t i = 0; i < prove->fact_count; i++) {
        const struct ow_prove_move move = {.fact = i, .copy = 1};
        ow_prove_rule_step(prove, before, &move, play->step);
        uint16_t *const after = play->step->after;
        const size_t count = play->configurations.count;
        if (play->step->outcome == OW_OUTCOME_APPLIED && count < CONFIGURATIONS_MAX) {
            after[OW_PROVE_VERSION] = 0;
            memset(after + prove->claims_at, 0, prove->fact_count * sizeof *after);
            if (ow_prove_set_add(&play->configurations, after) == count) {
                play->levels[count] = play->levels[index] + 1;
            }
        }
    }
}

static const struct ow_prove_cell *cell_of(const struct ow_prove *prove,
                                           const uint16_t *configuration, size_t fact)
{
    return &prove->cells[prove->facts[fact].type->index * prove->machine->state_count +
                         configuration[OW_PROVE_STATE]];
}

/* Ideas for the cells that refused all that came, from the first configurations that met them. */
static void learn_all(struct play *play)
{
    struct ow_prove *const prove = &play->prove;
    play->fit->idea_count = 0;
    for (size_t i = 0; i < play->configurations.count; i++) {
        const uint16_t *const configuration = ow_prove_set_at(&play->configurations, i);
        for (size_t fact = 0; fact < prove->fact_count; fact++) {
            const struct ow_prove_cell *const cell = cell_of(prove, configuration, fact);
            size_t *const refusals = &play->refusals[cell - prove->cells];
            if (cell->kind == OW_CELL_APPLY && cell->met && !cell->applied &&
                *refusals < REFUSALS_PER_CELL) {
                ++*refusals;
                struct refusal refusal = {.configuration = configuration, .fact = fact};
                learn(play, &refusal, cell->transition);
                refusal.by_columns = true;
                learn(play, &refusal, cell->transition);
            }
        }
    }
}

/* Cells that were applied count first, then how far the others came. */
static uint64_t score_of(const struct ow_prove *prove)
{
    uint64_t score = 0;
    for (size_t i = 0; i < prove->machine->event_count * prove->machine->state_count; i++) {
        const struct ow_prove_cell *const cell = &prove->cells[i];
        score += cell->applied ? UINT64_C(1) << 32 : 0;
        score += (cell->met ? 1U : 0U) + (cell->fulfilled ? 1U : 0U);
        for (uint64_t held = cell->held; held != 0; held &= held - 1) {
            score++;
        }
    }
    return score;
}

/* From the start, breadth first. */
static void walk(struct play *play)
{
    struct ow_prove *const prove = &play->prove;
    const size_t cells = prove->machine->event_count * prove->machine->state_count;
    prove->cells = OW_ARENA_ARRAY(prove->arena, cells, struct ow_prove_cell);
    memcpy(prove->cells, play->fit->prove->cells, cells * sizeof *prove->cells);
    ow_prove_set_init(&play->configurations, prove->arena, prove->width);
    play->levels = OW_ARENA_ARRAY(prove->arena, CONFIGURATIONS_MAX, size_t);
    play->refusals = OW_ARENA_ARRAY(prove->arena, cells, size_t);
    play->step = OW_ARENA_NEW(prove->arena, struct ow_prove_step);
    play->step->after = OW_ARENA_ARRAY(prove->arena, play->configurations.width, uint16_t);
    ow_prove_rule_start(prove, play->step->after);
    (void)ow_prove_set_add(&play->configurations, play->step->after);
    for (size_t i = 0; i < play->configurations.count && play->levels[i] < LEVELS_MAX; i++) {
        expand(play, i);
    }
}

/* Plays the machine with the values as they are. 0: of some type there is no well-formed event. */
static uint64_t play_once(struct fit *fit, bool is_to_learn)
{
    struct ow_arena arena;
    struct play play = {
        .fit = fit,
        .prove = {.machines = fit->prove->machines,
                  .machine = fit->prove->machine,
                  .options = fit->prove->options,
                  .arena = &arena,
                  .length = 1}
    };
    struct ow_err err;
    uint64_t score = 0;
    ow_arena_init(&arena, 1 << 20);
    ow_prove_value_init(&play.prove);
    fit->plays++;
    if (ow_prove_fact_make_all(&play.prove, fit->guess, &err) == OW_OK) {
        walk(&play);
        score = score_of(&play.prove);
        if (is_to_learn) {
            learn_all(&play);
        }
    }
    ow_arena_done(&arena);
    return score;
}

/* Lays down the first idea with which the machine plays better than best; false where none does. */
static bool improve(struct fit *fit, uint64_t best)
{
    for (size_t other = 0; other < 2; other++) {
        for (size_t i = 0; i < fit->idea_count && fit->plays < PLAYS_MAX; i++) {
            struct ow_value *const choice = &fit->ideas[i].choice[other];
            const struct ow_value before = *choice;
            *choice = fit->ideas[i].value;
            if (play_once(fit, false) > best) {
                return true;
            }
            *choice = before;
        }
    }
    return false;
}

void ow_prove_fit(struct ow_prove *prove, struct ow_prove_guess *guess)
{
    struct fit fit = {.prove = prove, .guess = guess};
    fit.ideas = OW_ARENA_ARRAY(prove->arena, IDEAS_MAX, struct idea);
    uint64_t best = play_once(&fit, true);
    while (fit.plays < PLAYS_MAX && improve(&fit, best)) {
        best = play_once(&fit, true);
    }
}
