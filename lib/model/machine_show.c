/* The table of a machine as data, and its graph. */
#include "model/machine_show.h"

#include "model/hash.h"

static size_t target_of(const struct ow_event_type *event, size_t state)
{
    const struct ow_transition *const transition =
        &event->transitions[event->cells[state].transition];
    return transition->same ? state : transition->to;
}

static json_t *show_cell(const struct ow_machine *machine, const struct ow_event_type *event,
                         size_t state)
{
    const struct ow_cell *const cell = &event->cells[state];
    json_t *const json = json_pack("{s:s, s:s, s:s, s:s}", "state", machine->states[state], "event",
                                   event->name, "do", ow_cell_text(cell->kind), "why", cell->why);
    OW_ENSURE(json != NULL);
    if (cell->kind == OW_CELL_APPLY) {
        json_object_set_new(json, "to", json_string(machine->states[target_of(event, state)]));
    }
    json_object_set_new(json, "overridden", json_boolean(cell->overridden));
    return json;
}

json_t *ow_machine_show_json(const struct ow_machine *machine)
{
    char digest[2 * sizeof machine->digest + 1];
    ow_hash_hex(machine->digest, sizeof machine->digest, digest);
    json_t *const cells = json_array();
    for (size_t i = 0; i < machine->event_count; i++) {
        for (size_t state = 0; state < machine->state_count; state++) {
            json_array_append_new(cells, show_cell(machine, &machine->events[i], state));
        }
    }
    json_t *const json = json_pack("{s:s, s:I, s:s, s:o}", "machine", machine->name, "version",
                                   (json_int_t)machine->version, "digest", digest, "cells", cells);
    OW_ENSURE(json != NULL);
    return json;
}

/* Quotes for a Graphviz string: only '"' and '\' have a meaning there. */
static void append_quoted(struct ow_buffer *out, const char *text)
{
    ow_buffer_byte(out, '"');
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\') {
            ow_buffer_byte(out, '\\');
        }
        ow_buffer_byte(out, (uint8_t)*at);
    }
    ow_buffer_byte(out, '"');
}

/* Mermaid takes a label to the end of the line; ':' and ';' end it. */
static void append_label(struct ow_buffer *out, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        const bool special = *at == ':' || *at == ';' || *at == '#' || *at == '\n' || *at == '"';
        if (special) {
            ow_buffer_printf(out, "#%d;", *at);
        } else {
            ow_buffer_byte(out, (uint8_t)*at);
        }
    }
}

/* Calls are in the order of the file: events, their transitions, the states of each. */
typedef void edge_fn(const struct ow_machine *machine, const struct ow_event_type *event,
                     size_t from, struct ow_buffer *out);

static void each_edge(const struct ow_machine *machine, edge_fn *edge, struct ow_buffer *out)
{
    for (size_t i = 0; i < machine->event_count; i++) {
        for (size_t state = 0; state < machine->state_count; state++) {
            if (machine->events[i].cells[state].kind == OW_CELL_APPLY) {
                edge(machine, &machine->events[i], state, out);
            }
        }
    }
}

/* A state's name where Mermaid takes it for one, else a number: the diagram then declares what it
 * stands for. */
static bool is_mermaid_name(const char *name)
{
    static const char *const words[] = {"as",  "class", "classDef", "default", "direction",
                                        "end", "note",  "scale",    "state",   "style"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(name, words[i]) == 0) {
            return false;
        }
    }
    return strpbrk(name, "-.") == NULL;
}

static void append_state(const struct ow_machine *machine, size_t state, struct ow_buffer *out)
{
    if (state == 0) {
        ow_buffer_text(out, "[*]");
    } else if (is_mermaid_name(machine->states[state])) {
        ow_buffer_text(out, machine->states[state]);
    } else {
        ow_buffer_printf(out, "s%zu", state);
    }
}

static void mermaid_edge(const struct ow_machine *machine, const struct ow_event_type *event,
                         size_t from, struct ow_buffer *out)
{
    ow_buffer_text(out, "    ");
    append_state(machine, from, out);
    ow_buffer_text(out, " --> ");
    append_state(machine, target_of(event, from), out);
    ow_buffer_text(out, ": ");
    append_label(out, event->name);
    ow_buffer_byte(out, '\n');
}

void ow_machine_graph_mermaid(const struct ow_machine *machine, struct ow_buffer *out)
{
    ow_buffer_text(out, "stateDiagram-v2\n");
    for (size_t state = 1; state < machine->state_count; state++) {
        if (is_mermaid_name(machine->states[state])) {
            ow_buffer_printf(out, "    %s\n", machine->states[state]);
        } else {
            ow_buffer_printf(out, "    state \"%s\" as s%zu\n", machine->states[state], state);
        }
    }
    each_edge(machine, mermaid_edge, out);
}

static void dot_edge(const struct ow_machine *machine, const struct ow_event_type *event,
                     size_t from, struct ow_buffer *out)
{
    ow_buffer_text(out, "    ");
    append_quoted(out, machine->states[from]);
    ow_buffer_text(out, " -> ");
    append_quoted(out, machine->states[target_of(event, from)]);
    ow_buffer_text(out, " [label=");
    append_quoted(out, event->name);
    ow_buffer_text(out, "];\n");
}

void ow_machine_graph_dot(const struct ow_machine *machine, struct ow_buffer *out)
{
    ow_buffer_text(out, "digraph ");
    append_quoted(out, machine->name);
    ow_buffer_text(
        out,
        " {\n    rankdir=LR;\n    node [shape=box, style=rounded];\n    \"none\" [shape=point];\n");
    for (size_t state = 1; state < machine->state_count; state++) {
        ow_buffer_text(out, "    ");
        append_quoted(out, machine->states[state]);
        ow_buffer_text(out, ";\n");
    }
    each_edge(machine, dot_edge, out);
    ow_buffer_text(out, "}\n");
}
