/*
 * The (state, event) table of DESIGN 4: what becomes of each event in each state, and why.
 *
 * The state is a `from` → apply. It cannot be reached from none without this event → it has
 * happened: stale. A `from` can still be reached from here → park. Neither → reject. Both stale and
 * park → an override must decide.
 */
#include "model/machine_load.h"

static uint64_t bit_of(size_t state)
{
    return UINT64_C(1) << state;
}

/* Where a transition leads from one of its states. */
static size_t target_of(const struct ow_transition *transition, size_t state)
{
    return transition->same ? state : transition->to;
}

/* One step from every state in the mask, by all events but one. */
static uint64_t step(const struct ow_machine *machine, uint64_t states,
                     const struct ow_event_type *without)
{
    uint64_t reached = states;
    for (size_t i = 0; i < machine->event_count; i++) {
        const struct ow_event_type *const event = &machine->events[i];
        for (size_t j = 0; event != without && j < event->transition_count; j++) {
            const struct ow_transition *const transition = &event->transitions[j];
            if ((transition->from & states) != 0 && !transition->same) {
                reached |= bit_of(transition->to);
            }
        }
    }
    return reached;
}

/* All states that can be reached from one, itself included, without the edges of an event (NULL:
 * with all edges). */
static uint64_t reachable(const struct ow_machine *machine, size_t from,
                          const struct ow_event_type *without)
{
    uint64_t states = bit_of(from);
    uint64_t before = 0;
    while (states != before) {
        before = states;
        states = step(machine, states, without);
    }
    return states;
}

static uint64_t all_froms(const struct ow_event_type *event)
{
    uint64_t froms = 0;
    for (size_t i = 0; i < event->transition_count; i++) {
        froms |= event->transitions[i].from;
    }
    return froms;
}

static size_t lowest(uint64_t states)
{
    return (size_t)__builtin_ctzll(states);
}

static void fill_apply(const struct ow_machine_load *load, const struct ow_event_type *event,
                       size_t state, struct ow_cell *cell)
{
    size_t i = 0;
    while ((event->transitions[i].from & bit_of(state)) == 0) {
        i++;
    }
    const size_t to = target_of(&event->transitions[i], state);
    cell->kind = OW_CELL_APPLY;
    cell->transition = i;
    cell->why = to == state
                    ? ow_arena_printf(load->arena, "'%s' is a from: the entity stays there",
                                      load->machine->states[state])
                    : ow_arena_printf(load->arena, "'%s' is a from: goes to '%s'",
                                      load->machine->states[state], load->machine->states[to]);
}

/* Fills a cell by the rule; *ret_ambiguous where it fits both stale and park. */
static void fill_cell(const struct ow_machine_load *load, const struct ow_event_type *event,
                      size_t state, uint64_t without_event, bool *ret_ambiguous)
{
    const struct ow_machine *const machine = load->machine;
    const char *const name = machine->states[state];
    struct ow_cell *const cell = &event->cells[state];
    const uint64_t froms = all_froms(event);
    if ((froms & bit_of(state)) != 0) {
        fill_apply(load, event, state, cell);
        return;
    }
    const bool has_happened = (without_event & bit_of(state)) == 0;
    const uint64_t to_come = reachable(machine, state, NULL) & froms;
    *ret_ambiguous = has_happened && to_come != 0;
    if (has_happened) {
        cell->kind = OW_CELL_STALE;
        cell->why =
            *ret_ambiguous
                ? ow_arena_printf(load->arena,
                                  "it has happened, for '%s' cannot be reached without it, and it "
                                  "can happen again, for '%s' can still be reached",
                                  name, machine->states[lowest(to_come)])
                : ow_arena_printf(load->arena, "it has happened: '%s' cannot be reached without it",
                                  name);
    } else if (to_come != 0) {
        cell->kind = OW_CELL_PARK;
        cell->why = ow_arena_printf(load->arena, "too early: '%s' can still be reached",
                                    machine->states[lowest(to_come)]);
    } else {
        cell->kind = OW_CELL_REJECT;
        cell->why = ow_arena_printf(
            load->arena, "no state that allows it can be reached from '%s' any more", name);
    }
}

static enum ow_status find_override(struct ow_machine_load *load, const json_t *json,
                                    const char *path, const struct ow_event_type **ret_event,
                                    size_t *ret_state)
{
    const char *const state_name = json_string_value(json_object_get(json, "state"));
    const char *const event_name = json_string_value(json_object_get(json, "event"));
    const int state = ow_machine_state(load->machine, ow_slice_of(state_name));
    const struct ow_event_type *const event =
        ow_machine_event(load->machine, ow_slice_of(event_name));
    if (state < 0) {
        return ow_tree_fail(load->tree, ow_tree_path(load->arena, path, "state"), load->err,
                            "there is no state '%s'", state_name);
    }
    if (event == NULL) {
        return ow_tree_fail(load->tree, ow_tree_path(load->arena, path, "event"), load->err,
                            "there is no event '%s'", event_name);
    }
    *ret_event = event;
    *ret_state = (size_t)state;
    return OW_OK;
}

static enum ow_cell_kind decision_of(const char *word)
{
    if (strcmp(word, "park") == 0) {
        return OW_CELL_PARK;
    }
    return strcmp(word, "stale") == 0 ? OW_CELL_STALE : OW_CELL_REJECT;
}

/* ambiguous[event * state_count + state]: still to be decided. */
static enum ow_status apply_overrides(struct ow_machine_load *load, bool *ambiguous)
{
    const struct ow_machine *const machine = load->machine;
    const json_t *const overrides = json_object_get(load->tree->root, "overrides");
    for (size_t i = 0; i < json_array_size(overrides); i++) {
        const json_t *const json = json_array_get(overrides, i);
        const char *const path = ow_arena_printf(load->arena, "/overrides/%zu", i);
        const char *const word = json_string_value(json_object_get(json, "do"));
        const struct ow_event_type *event = NULL;
        size_t state = 0;
        OW_TRY(find_override(load, json, path, &event, &state));
        OW_INVARIANT(event != NULL);
        struct ow_cell *const cell = &event->cells[state];
        if (cell->overridden) {
            return ow_tree_fail(load->tree, path, load->err, "the cell is overridden already");
        }
        bool *const open = &ambiguous[event->index * machine->state_count + state];
        if (!*open) {
            return ow_tree_fail(
                load->tree, path, load->err,
                "the cell is %s (%s): only cells that fit both stale and park can be overridden",
                ow_cell_text(cell->kind), cell->why);
        }
        *open = false;
        cell->overridden = true;
        cell->kind = decision_of(word);
        cell->why = ow_arena_printf(load->arena, "an override says %s: %s", word, cell->why);
    }
    return OW_OK;
}

static enum ow_status refuse_ambiguous(const struct ow_machine_load *load, const bool *ambiguous)
{
    const struct ow_machine *const machine = load->machine;
    for (size_t i = 0; i < machine->event_count; i++) {
        for (size_t state = 0; state < machine->state_count; state++) {
            if (ambiguous[i * machine->state_count + state]) {
                return ow_tree_fail(
                    load->tree, ow_tree_path(load->arena, "/events", machine->events[i].name),
                    load->err,
                    "in state '%s' it fits both stale and park (%s): overrides must decide { "
                    "state: %s, event: %s, do: stale | park | reject }",
                    machine->states[state], machine->events[i].cells[state].why,
                    machine->states[state], machine->events[i].name);
            }
        }
    }
    return OW_OK;
}

enum ow_status ow_machine_load_cells(struct ow_machine_load *load)
{
    const struct ow_machine *const machine = load->machine;
    bool *const ambiguous =
        OW_ARENA_ARRAY(load->arena, machine->event_count * machine->state_count, bool);
    for (size_t i = 0; i < machine->event_count; i++) {
        struct ow_event_type *const event = &machine->events[i];
        const uint64_t without_event = reachable(machine, 0, event);
        event->cells = OW_ARENA_ARRAY(load->arena, machine->state_count, struct ow_cell);
        for (size_t state = 0; state < machine->state_count; state++) {
            fill_cell(load, event, state, without_event,
                      &ambiguous[i * machine->state_count + state]);
        }
    }
    OW_TRY(apply_overrides(load, ambiguous));
    return refuse_ambiguous(load, ambiguous);
}
