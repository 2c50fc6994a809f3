/* `onceward machine show|lint|graph|prove FILE...` */
#include "config.h"
#include "machine_prove.h"
#include "model/machine_show.h"
#include "output.h"

#include <string.h>

static const struct ow_argument arguments[] = {
    OW_ARGUMENT_CONFIG,
    OW_ARGUMENT_SET,
    OW_ARGUMENT_OUTPUT,
    {.name = "format",
      .value = "FORMAT",
      .text = "graph: mermaid (the default) or dot (Graphviz)."},
    {.name = "length",
      .value = "N",
      .text = "prove: sequences of up to N events, 1 to 12 (default: 7)."},
    {.name = NULL                                         },
};

/* What a cell does, in a word: "-> paid" where it leads to another state. */
static const char *cell_text(const struct ow_machine *machine, const struct ow_event_type *event,
                             size_t state, struct ow_arena *arena)
{
    const struct ow_cell *const cell = &event->cells[state];
    const struct ow_transition *const transition = &event->transitions[cell->transition];
    if (cell->kind != OW_CELL_APPLY) {
        return ow_arena_printf(arena, "%s%s", ow_cell_text(cell->kind),
                               cell->overridden ? "!" : "");
    }
    return transition->same || transition->to == state
               ? "apply"
               : ow_arena_printf(arena, "-> %s", machine->states[transition->to]);
}

/* A row for each event, a column for each state. */
static void show_matrix(const struct ow_machine *machine, struct ow_arena *arena)
{
    OW_GRID grid = {.column_count = machine->state_count + 1};
    const char **const row = OW_ARENA_ARRAY(arena, grid.column_count, const char *);
    row[0] = "";
    for (size_t state = 0; state < machine->state_count; state++) {
        row[state + 1] = machine->states[state];
    }
    ow_grid_row(&grid, row);
    for (size_t i = 0; i < machine->event_count; i++) {
        row[0] = machine->events[i].name;
        for (size_t state = 0; state < machine->state_count; state++) {
            row[state + 1] = cell_text(machine, &machine->events[i], state, arena);
        }
        ow_grid_row(&grid, row);
    }
    ow_grid_print(&grid, stdout);
}

static void show_reasons(const struct ow_machine *machine)
{
    OW_GRID grid = {.column_count = 4};
    ow_grid_row(&grid, (const char *const[]){"STATE", "EVENT", "DO", "WHY"});
    for (size_t state = 0; state < machine->state_count; state++) {
        for (size_t i = 0; i < machine->event_count; i++) {
            const struct ow_cell *const cell = &machine->events[i].cells[state];
            ow_grid_row(&grid,
                        (const char *const[]){machine->states[state], machine->events[i].name,
                                              ow_cell_text(cell->kind), cell->why});
        }
    }
    ow_grid_print(&grid, stdout);
}

static void show_table(const struct ow_machine *machine)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    printf("%s, version %lld (%s)\n\n", machine->name, (long long)machine->version, machine->file);
    show_matrix(machine, &arena);
    printf("\n");
    show_reasons(machine);
    ow_arena_done(&arena);
}

static int show(const struct ow_machines *machines, enum ow_output output)
{
    OW_JSON *list = json_array();
    for (size_t i = 0; i < machines->count; i++) {
        if (output == OW_OUTPUT_TABLE) {
            printf("%s", i == 0 ? "" : "\n");
            show_table(machines->list[i]);
        } else {
            json_array_append_new(list, ow_machine_show_json(machines->list[i]));
        }
    }
    if (output != OW_OUTPUT_TABLE) {
        ow_output_json(output, machines->count == 1 ? json_array_get(list, 0) : list);
    }
    return 0;
}

static void lint_one(const struct ow_machine *machine, struct ow_arena *arena,
                     enum ow_output output, json_t *list, size_t *warnings)
{
    for (const struct ow_finding *one = ow_machine_lint(machine, arena); one != NULL;
         one = one->next) {
        const char *const level = ow_finding_level_text(one->level);
        const bool is_warning = one->level == OW_FINDING_WARNING;
        *warnings += is_warning ? 1 : 0;
        if (output == OW_OUTPUT_TABLE) {
            printf("%s: %s%s%s: %s [%s]\n", machine->file,
                   ow_output_colour(stdout, is_warning ? OW_COLOUR_YELLOW : OW_COLOUR_DIM), level,
                   ow_output_colour(stdout, OW_COLOUR_NONE), one->text, one->name);
        } else {
            json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:s, s:s}", "machine", machine->name,
                                            "level", level, "name", one->name, "text", one->text));
        }
    }
}

/* Notes are to be known; only warnings make it end with 3. */
static int lint(const struct ow_machines *machines, enum ow_output output)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 65536);
    OW_JSON *list = json_array();
    size_t warnings = 0;
    for (size_t i = 0; i < machines->count; i++) {
        lint_one(machines->list[i], &arena, output, list, &warnings);
    }
    ow_arena_done(&arena);
    if (output != OW_OUTPUT_TABLE) {
        ow_output_json(output, list);
    }
    return ow_status_exit_code(warnings == 0 ? OW_OK : OW_DIFFERENT);
}

static int graph(const struct ow_machines *machines, const char *format)
{
    OW_BUFFER out = {0};
    for (size_t i = 0; i < machines->count; i++) {
        if (format != NULL && strcmp(format, "dot") == 0) {
            ow_machine_graph_dot(machines->list[i], &out);
        } else {
            ow_machine_graph_mermaid(machines->list[i], &out);
        }
    }
    (void)fputs(ow_buffer_cstr(&out), stdout);
    return 0;
}

/* The files that are named, or else those of the configuration. */
static enum ow_status load(const struct ow_invocation *invocation, struct ow_config *config,
                           struct ow_machines *machines, struct ow_err *err)
{
    if (invocation->operand_count == 1) {
        const struct ow_config_source source = ow_config_source_of(invocation);
        OW_TRY(ow_config_load(&source, config, err));
        ow_machines_done(machines);
        *machines = config->machines;
        config->machines = (struct ow_machines){0};
        return OW_OK;
    }
    for (size_t i = 1; i < invocation->operand_count; i++) {
        OW_TRY(ow_config_add_machine(machines, invocation->operands[i], err));
    }
    return ow_machines_check(machines, err);
}

static const char *const verbs[] = {"show", "lint", "graph", "prove"};
enum verb { SHOW, LINT, GRAPH, PROVE, VERB_COUNT };

static enum verb verb_of(const struct ow_invocation *invocation)
{
    size_t verb = 0;
    while (verb < VERB_COUNT &&
           (invocation->operand_count == 0 || strcmp(invocation->operands[0], verbs[verb]) != 0)) {
        verb++;
    }
    return (enum verb)verb;
}

static int do_verb(enum verb verb, const struct ow_machines *machines, enum ow_output output,
                   const struct ow_invocation *invocation)
{
    switch (verb) {
    case SHOW:
        return show(machines, output);
    case LINT:
        return lint(machines, output);
    case GRAPH:
        return graph(machines, ow_invocation_value(invocation, "format"));
    case PROVE:
        return ow_machine_prove(machines, output, ow_invocation_value(invocation, "length"));
    case VERB_COUNT:
        break;
    }
    OW_IMPOSSIBLE("a verb that is not in the table");
}

static int run(int argc, char **argv)
{
    struct ow_invocation invocation;
    enum ow_output output = OW_OUTPUT_TABLE;
    int code = 0;
    if (!ow_command_parse(&ow_command_machine, argc, argv, &invocation, &code)) {
        return code;
    }
    const char *const format = ow_invocation_value(&invocation, "format");
    const enum verb verb = verb_of(&invocation);
    if (verb == VERB_COUNT) {
        return ow_command_refuse(&ow_command_machine, "'%s': expects show, lint, graph or prove",
                                 invocation.operand_count == 0 ? "" : invocation.operands[0]);
    }
    if (!ow_output_parse(ow_invocation_value(&invocation, "output"), &output) ||
        (format != NULL && strcmp(format, "dot") != 0 && strcmp(format, "mermaid") != 0)) {
        return ow_command_refuse(&ow_command_machine,
                                 "expects --output table, json or jsonl, --format mermaid or dot");
    }
    struct ow_config config = {0};
    struct ow_machines machines;
    struct ow_err err;
    ow_machines_init(&machines);
    const enum ow_status status = load(&invocation, &config, &machines, &err);
    code = status == OW_OK ? do_verb(verb, &machines, output, &invocation)
                           : ow_command_fail(status, &err);
    ow_machines_done(&machines);
    ow_config_done(&config);
    return code;
}

const struct ow_command ow_command_machine = {
    .name = "machine",
    .summary = "shows, checks, draws and proves state machines",
    .usage = "show|lint|graph|prove [-o FORMAT] [--format FORMAT] [--length N] [-c FILE | "
             "MACHINE-FILE...]",
    .arguments = arguments,
    .text = "show   what becomes of each event in each state, and why\n"
            "lint   what looks wrong; exit code 3 where there is a warning, notes do not count\n"
            "graph  a Mermaid state diagram, or a Graphviz graph\n"
            "prove  plays every sequence of events through the worker's rules and through a second "
            "reading\n"
            "       of them: which promises hold, which events' order makes a difference, what "
            "nothing\n"
            "       came to; exit code 3 where a promise is broken, 1 where --length is too far",
    .run = run,
};
