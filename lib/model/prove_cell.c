/*
 * The table of cells, read from DESIGN 4 once more: by a search from state to state that knows
 * nothing of machine_cell.c. Only what an override says is taken over, for it is a declaration.
 */
#include "base/contract.h"
#include "model/prove_state.h"

/* Every state that can be reached from one; without: an event whose edges are taken away, or NULL.
 * steps (may be NULL): how many events each is away, for those that are reached. */
static uint64_t search(const struct ow_machine *machine, size_t from,
                       const struct ow_event_type *without, size_t *steps)
{
    size_t queue[OW_MACHINE_STATES_MAX + 1] = {from};
    size_t distance[OW_MACHINE_STATES_MAX + 1] = {0};
    size_t tail = 1;
    uint64_t seen = UINT64_C(1) << from;
    for (size_t head = 0; head < tail; head++) {
        for (size_t i = 0; i < machine->event_count; i++) {
            const struct ow_event_type *const event = &machine->events[i];
            for (size_t j = 0; event != without && j < event->transition_count; j++) {
                const struct ow_transition *const edge = &event->transitions[j];
                const bool starts_here = (edge->from >> queue[head] & 1) != 0;
                if (starts_here && !edge->same && (seen >> edge->to & 1) == 0) {
                    seen |= UINT64_C(1) << edge->to;
                    distance[edge->to] = distance[queue[head]] + 1;
                    queue[tail++] = edge->to;
                }
            }
        }
    }
    if (steps != NULL) {
        memcpy(steps, distance, machine->state_count * sizeof *steps);
    }
    return seen;
}

static struct ow_prove_cell read_cell(const struct ow_machine *machine,
                                      const struct ow_event_type *event, size_t state)
{
    uint64_t froms = 0;
    for (size_t i = 0; i < event->transition_count; i++) {
        if ((event->transitions[i].from >> state & 1) != 0) {
            return (struct ow_prove_cell){.kind = OW_CELL_APPLY,
                                          .transition = &event->transitions[i]};
        }
        froms |= event->transitions[i].from;
    }
    const bool has_happened = (search(machine, 0, event, NULL) >> state & 1) == 0;
    const bool is_to_come = (search(machine, state, NULL, NULL) & froms) != 0;
    struct ow_prove_cell cell = {.kind = OW_CELL_REJECT};
    if (has_happened && is_to_come) {
        OW_INVARIANT(event->cells[state].overridden); /* else the file is not loaded */
        cell.kind = event->cells[state].kind;
    } else if (has_happened) {
        cell.kind = OW_CELL_STALE;
    } else if (is_to_come) {
        cell.kind = OW_CELL_PARK;
    }
    return cell;
}

void ow_prove_cell_fill(struct ow_prove *prove)
{
    const struct ow_machine *const machine = prove->machine;
    prove->cells = OW_ARENA_ARRAY(prove->arena, machine->event_count * machine->state_count,
                                  struct ow_prove_cell);
    for (size_t i = 0; i < machine->event_count; i++) {
        for (size_t state = 0; state < machine->state_count; state++) {
            prove->cells[i * machine->state_count + state] =
                read_cell(machine, &machine->events[i], state);
        }
    }
}

const char *ow_proof_cause_name(enum ow_proof_cause cause)
{
    static const char *const names[] = {
#define OW_PROOF_CAUSE_NAME(name, text) [OW_PROOF_CAUSE_##name] = (text),
        OW_PROOF_CAUSE_TABLE(OW_PROOF_CAUSE_NAME)
#undef OW_PROOF_CAUSE_NAME
    };
    return names[cause];
}

static bool is_refused(const struct ow_prove_cell *cell)
{
    return cell->kind == OW_CELL_APPLY && cell->met && !cell->applied;
}

/* A cell that came and refused: which requirement, or what else. */
static void tell_refused(const struct ow_prove *prove, const struct ow_prove_cell *cell,
                         struct ow_proof_cell *told, struct ow_arena *arena)
{
    const struct ow_transition *const transition = cell->transition;
    told->cause = OW_PROOF_CAUSE_NEVER_FULFILLED;
    told->transition = transition;
    for (size_t i = 0; i < transition->requirement_count; i++) {
        if ((cell->held >> i & 1) == 0) {
            told->requirement = &transition->requirements[i];
            told->why = ow_arena_printf(
                arena, "never fulfilled: requirement %zu, %s, was false for all values tried",
                i + 1, ow_prove_text_requirement(prove, told->event, told->requirement, arena));
            return;
        }
    }
    told->why = !cell->fulfilled
                    ? "never fulfilled: each requirement held for some of the values tried, all of "
                      "them together for none"
                    : ow_arena_printf(arena,
                                      "never fulfilled: column '%s' would have got nothing, or "
                                      "what is outside its range, for all values tried",
                                      cell->outside->name);
}

/* A cell that refused, and would have led on to the state; or the number of cells. */
static size_t find_refused_before(const struct ow_prove *prove, size_t state)
{
    const struct ow_machine *const machine = prove->machine;
    const size_t count = machine->event_count * machine->state_count;
    size_t i = 0;
    while (i < count &&
           !(is_refused(&prove->cells[i]) && !prove->cells[i].transition->same &&
             (search(machine, prove->cells[i].transition->to, NULL, NULL) >> state & 1) != 0)) {
        i++;
    }
    return i;
}

/* A state that could be reached, but was not. */
static void tell_not_reached(const struct ow_prove *prove, size_t state, struct ow_proof_cell *told,
                             struct ow_arena *arena)
{
    const struct ow_machine *const machine = prove->machine;
    const size_t before = find_refused_before(prove, state);
    told->cause = OW_PROOF_CAUSE_NOT_REACHED;
    told->why =
        before == machine->event_count * machine->state_count
            ? ow_arena_printf(arena, "never reached: no sequence that was tried leads to '%s'",
                              machine->states[state])
            : ow_arena_printf(arena,
                              "never reached by what was tried: '%s' in state '%s', on a way to "
                              "'%s', was never fulfilled",
                              machine->events[before / machine->state_count].name,
                              machine->states[before % machine->state_count],
                              machine->states[state]);
}

/* The states that sequences were in. */
static uint64_t find_reached(const struct ow_prove *prove)
{
    const struct ow_machine *const machine = prove->machine;
    uint64_t reached = 1;
    for (size_t i = 0; i < machine->event_count * machine->state_count; i++) {
        const struct ow_prove_cell *const cell = &prove->cells[i];
        if (cell->applied && !cell->transition->same) {
            reached |= UINT64_C(1) << cell->transition->to;
        }
    }
    return reached;
}

void ow_prove_cell_tell(struct ow_prove *prove, struct ow_arena *arena)
{
    const struct ow_machine *const machine = prove->machine;
    struct ow_proof *const proof = prove->proof;
    struct ow_proof_cell **end = &proof->cells;
    size_t distance[OW_MACHINE_STATES_MAX + 1];
    const uint64_t reachable = search(machine, 0, NULL, distance);
    const uint64_t was_reached = find_reached(prove);
    proof->cell_count = machine->event_count * machine->state_count;
    for (size_t i = 0; i < proof->cell_count; i++) {
        const struct ow_prove_cell *const cell = &prove->cells[i];
        const size_t state = i % machine->state_count;
        if (cell->met && !is_refused(cell)) {
            proof->cells_played++;
            continue;
        }
        struct ow_proof_cell *const told = OW_ARENA_NEW(arena, struct ow_proof_cell);
        *told = (struct ow_proof_cell){.state = machine->states[state],
                                       .event = &machine->events[i / machine->state_count]};
        if (cell->met) {
            tell_refused(prove, cell, told, arena);
        } else if ((reachable >> state & 1) == 0) {
            told->cause = OW_PROOF_CAUSE_NO_PATH;
            told->why = ow_arena_printf(arena, "never reached: no sequence of events leads to '%s'",
                                        told->state);
        } else if (distance[state] + 1 > prove->length) {
            told->cause = OW_PROOF_CAUSE_TOO_FAR;
            told->why = ow_arena_printf(arena, "never reached: it needs at least %zu events",
                                        distance[state] + 1);
        } else if ((was_reached >> state & 1) != 0) {
            told->cause = OW_PROOF_CAUSE_SETTLED;
            told->why = ow_arena_printf(
                arena,
                "never judged: '%s' was reached, but the id or the business key of what was tried "
                "was taken by then, or the sequence at its end",
                told->state);
        } else {
            tell_not_reached(prove, state, told, arena);
        }
        *end = told;
        end = &told->next;
    }
}
