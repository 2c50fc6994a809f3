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

void ow_prove_cell_tell(struct ow_prove *prove, struct ow_arena *arena)
{
    const struct ow_machine *const machine = prove->machine;
    struct ow_proof_cell **end = &prove->proof->cells;
    size_t distance[OW_MACHINE_STATES_MAX + 1];
    bool is_met[OW_MACHINE_STATES_MAX + 1] = {false};
    const uint64_t reachable = search(machine, 0, NULL, distance);
    const size_t count = machine->event_count * machine->state_count;
    for (size_t i = 0; i < count; i++) {
        is_met[i % machine->state_count] |= prove->cells[i].met;
    }
    for (size_t i = 0; i < count; i++) {
        const struct ow_prove_cell *const cell = &prove->cells[i];
        const size_t state = i % machine->state_count;
        const char *why = NULL;
        if (cell->met && (cell->kind != OW_CELL_APPLY || cell->applied)) {
            continue;
        }
        if (cell->met) {
            why = "it was reached, but its requirements held for no value that was tried";
        } else if ((reachable >> state & 1) == 0) {
            why = ow_arena_printf(arena, "no sequence of events leads to '%s'",
                                  machine->states[state]);
        } else if (distance[state] + 1 > prove->length) {
            why = ow_arena_printf(arena, "it needs at least %zu events", distance[state] + 1);
        } else if (is_met[state]) {
            why = "what was tried was settled before: its business key is stored by then";
        } else {
            why = ow_arena_printf(arena,
                                  "'%s' was not reached: the requirements on the way there held "
                                  "for no value that was tried, or it takes more events",
                                  machine->states[state]);
        }
        *end = OW_ARENA_NEW(arena, struct ow_proof_cell);
        **end = (struct ow_proof_cell){.state = machine->states[state],
                                       .event = machine->events[i / machine->state_count].name,
                                       .why = why};
        end = &(*end)->next;
    }
    prove->proof->cell_count = count;
}
