/* States and events that cannot be what was meant. */
#include "model/machine_lint.h"

#include <stdarg.h>
#include <stdio.h>

void ow_lint_add(struct ow_lint *lint, enum ow_finding_level level, const char *name,
                 const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct ow_finding *const finding = OW_ARENA_NEW(lint->arena, struct ow_finding);
    *finding = (struct ow_finding){.level = level, .name = name};
    finding->text = ow_arena_text(lint->arena, ow_slice_of(text));
    *lint->end = finding;
    lint->end = &finding->next;
}

size_t ow_lint_target(const struct ow_event_type *event, size_t state)
{
    const struct ow_transition *const transition =
        &event->transitions[event->cells[state].transition];
    return transition->same ? state : transition->to;
}

static uint64_t bit_of(size_t state)
{
    return UINT64_C(1) << state;
}

/* The states that one event leads to from any of these. */
static uint64_t step(const struct ow_machine *machine, const struct ow_event_type *event,
                     uint64_t states)
{
    uint64_t reached = 0;
    for (size_t state = 0; state < machine->state_count; state++) {
        if ((states & bit_of(state)) != 0 && event->cells[state].kind == OW_CELL_APPLY) {
            reached |= bit_of(ow_lint_target(event, state));
        }
    }
    return reached;
}

/* The states that some sequence of events leads to. */
static uint64_t reachable_states(const struct ow_machine *machine)
{
    uint64_t states = 1;
    uint64_t before = 0;
    while (states != before) {
        before = states;
        for (size_t i = 0; i < machine->event_count; i++) {
            states |= step(machine, &machine->events[i], states);
        }
    }
    return states;
}

static bool has_way_out(const struct ow_machine *machine, size_t state)
{
    for (size_t i = 0; i < machine->event_count; i++) {
        if (machine->events[i].cells[state].kind == OW_CELL_APPLY &&
            ow_lint_target(&machine->events[i], state) != state) {
            return true;
        }
    }
    return false;
}

static void look_at_states(struct ow_lint *lint, uint64_t reachable)
{
    for (size_t state = 1; state < lint->machine->state_count; state++) {
        const char *const name = lint->machine->states[state];
        if ((reachable & bit_of(state)) == 0) {
            ow_lint_add(lint, OW_FINDING_WARNING, "unreachable_state",
                        "no sequence of events leads to the state '%s'", name);
        } else if (!has_way_out(lint->machine, state)) {
            ow_lint_add(lint, OW_FINDING_NOTE, "dead_end", "nothing leads out of the state '%s'",
                        name);
        }
    }
}

/* One line for an event: where it is illegal, and whether it ever does anything. */
static void look_at_event(struct ow_lint *lint, const struct ow_event_type *event,
                          uint64_t reachable)
{
    OW_BUFFER rejected = {0};
    bool applies = false;
    for (size_t state = 0; state < lint->machine->state_count; state++) {
        if ((reachable & bit_of(state)) == 0) {
            continue;
        }
        applies = applies || event->cells[state].kind == OW_CELL_APPLY;
        if (event->cells[state].kind == OW_CELL_REJECT) {
            ow_buffer_printf(&rejected, "%s%s", rejected.len == 0 ? "" : ", ",
                             lint->machine->states[state]);
        }
    }
    if (!applies) {
        ow_lint_add(lint, OW_FINDING_WARNING, "unhandled_event",
                    "'%s' can never be applied: no state that it starts from can be reached",
                    event->name);
    } else if (rejected.len > 0) {
        ow_lint_add(lint, OW_FINDING_NOTE, "illegal_cell", "'%s' is rejected (illegal) in: %s",
                    event->name, ow_buffer_cstr(&rejected));
    }
}

static bool writes_column(const struct ow_transition *transition, size_t column)
{
    bool writes = false;
    for (size_t i = 0; i < transition->set_count; i++) {
        writes = writes || transition->sets[i].column == column;
    }
    for (size_t i = 0; i < transition->add_count; i++) {
        writes = writes || transition->adds[i].column == column;
    }
    return writes;
}

static bool writes_table(const struct ow_transition *transition, const struct ow_table *table)
{
    bool writes = false;
    for (size_t i = 0; i < transition->recording_count; i++) {
        writes = writes || transition->recordings[i].table == table;
    }
    return writes;
}

/* Whether some transition writes the table, or, where it is NULL, the column of the entity. */
static bool is_written(const struct ow_machine *machine, const struct ow_table *table,
                       size_t column)
{
    bool written = false;
    for (size_t i = 0; i < machine->event_count; i++) {
        for (size_t j = 0; j < machine->events[i].transition_count; j++) {
            const struct ow_transition *const transition = &machine->events[i].transitions[j];
            written = written || (table == NULL ? writes_column(transition, column)
                                                : writes_table(transition, table));
        }
    }
    return written;
}

static void look_at_tables(struct ow_lint *lint)
{
    const struct ow_machine *const machine = lint->machine;
    for (size_t i = 0; i < machine->entity.column_count; i++) {
        if (!is_written(machine, NULL, i)) {
            ow_lint_add(lint, OW_FINDING_WARNING, "unused_column",
                        "no event sets or adds to the column '%s'",
                        machine->entity.columns[i].name);
        }
    }
    for (size_t i = 0; i < machine->record_count; i++) {
        if (!is_written(machine, &machine->records[i], 0)) {
            ow_lint_add(lint, OW_FINDING_WARNING, "unused_table",
                        "no event records into the table '%s'", machine->records[i].name);
        }
    }
}

struct ow_finding *ow_machine_lint(const struct ow_machine *machine, struct ow_arena *arena)
{
    struct ow_lint lint = {.machine = machine, .arena = arena};
    lint.end = &lint.first;
    const uint64_t reachable = reachable_states(machine);
    look_at_states(&lint, reachable);
    for (size_t i = 0; i < machine->event_count; i++) {
        look_at_event(&lint, &machine->events[i], reachable);
    }
    look_at_tables(&lint);
    ow_lint_constants(&lint);
    ow_lint_order(&lint);
    return lint.first;
}

const char *ow_finding_level_text(enum ow_finding_level level)
{
    return level == OW_FINDING_WARNING ? "warning" : "note";
}
