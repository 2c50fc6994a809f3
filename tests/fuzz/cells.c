#include "cells.h"

#include "fuzz.h"

/* reach[a][b]: b can be reached from a. Warshall's closure. */
struct closure {
    bool reach[OW_MACHINE_STATES_MAX + 1][OW_MACHINE_STATES_MAX + 1];
};

static bool is_from(const struct ow_event_type *event, size_t state)
{
    for (size_t i = 0; i < event->transition_count; i++) {
        if ((event->transitions[i].from >> state & 1) != 0) {
            return true;
        }
    }
    return false;
}

static void add_edges(const struct ow_machine *machine, const struct ow_event_type *event,
                      struct closure *closure)
{
    for (size_t i = 0; i < event->transition_count; i++) {
        const struct ow_transition *const transition = &event->transitions[i];
        for (size_t state = 0; state < machine->state_count; state++) {
            if ((transition->from >> state & 1) != 0) {
                closure->reach[state][transition->same ? state : transition->to] = true;
            }
        }
    }
}

static void close_over(const struct ow_machine *machine, const struct ow_event_type *without,
                       struct closure *closure)
{
    *closure = (struct closure){0};
    for (size_t i = 0; i < machine->state_count; i++) {
        closure->reach[i][i] = true;
    }
    for (size_t i = 0; i < machine->event_count; i++) {
        if (&machine->events[i] != without) {
            add_edges(machine, &machine->events[i], closure);
        }
    }
    for (size_t by = 0; by < machine->state_count; by++) {
        for (size_t from = 0; from < machine->state_count; from++) {
            for (size_t to = 0; closure->reach[from][by] && to < machine->state_count; to++) {
                closure->reach[from][to] |= closure->reach[by][to];
            }
        }
    }
}

/* What DESIGN 4 says of a cell; *ret_ambiguous: both stale and park, so an override decided. */
static enum ow_cell_kind expect(const struct ow_machine *machine, const struct ow_event_type *event,
                                size_t state, const struct closure closures[2], bool *ret_ambiguous)
{
    bool to_come = false;
    for (size_t other = 0; other < machine->state_count; other++) {
        to_come = to_come || (closures[0].reach[state][other] && is_from(event, other));
    }
    const bool has_happened = !closures[1].reach[0][state];
    *ret_ambiguous = has_happened && to_come && !is_from(event, state);
    if (is_from(event, state)) {
        return OW_CELL_APPLY;
    }
    if (has_happened) {
        return OW_CELL_STALE;
    }
    return to_come ? OW_CELL_PARK : OW_CELL_REJECT;
}

static void check_cell(const struct ow_event_type *event, size_t state, enum ow_cell_kind expected,
                       bool ambiguous)
{
    const struct ow_cell *const cell = &event->cells[state];
    OW_PROMISE(cell->overridden == ambiguous);
    OW_PROMISE(ambiguous ? cell->kind != OW_CELL_APPLY : cell->kind == expected);
    OW_PROMISE(ow_fuzz_is_text(ow_slice_of(cell->why)));
    if (cell->kind == OW_CELL_APPLY) {
        OW_PROMISE(cell->transition < event->transition_count &&
                   (event->transitions[cell->transition].from >> state & 1) != 0);
    }
}

void ow_cells_check(const struct ow_machine *machine)
{
    static struct closure closures[2]; /* with all events, without one; large for a stack */
    close_over(machine, NULL, &closures[0]);
    for (size_t i = 0; i < machine->event_count; i++) {
        const struct ow_event_type *const event = &machine->events[i];
        close_over(machine, event, &closures[1]);
        for (size_t state = 0; state < machine->state_count; state++) {
            bool ambiguous = false;
            const enum ow_cell_kind expected = expect(machine, event, state, closures, &ambiguous);
            check_cell(event, state, expected, ambiguous);
        }
    }
}
