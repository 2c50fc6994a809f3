/*
 * machine: a machine file, YAML or JSON. JSON is read by libyaml here, so it is held against
 * jansson: refused, or the same values. A text is refused with its name and a reason, or becomes
 * a machine that can be shown, linted and drawn, whose table is what DESIGN 4 says, and whose
 * canonical text, which the store keeps, loads again as the same machine.
 *
 * An input is one text.
 */
#include "cells.h"
#include "fuzz.h"
#include "model/hash.h"
#include "model/machine_show.h"

#include <stdlib.h>

enum { DEPTH_MAX = 32 };

static void check_failure(const struct ow_err *err)
{
    OW_PROMISE(strncmp(err->text, "fuzz.yaml:", 10) == 0 && strlen(err->text) > 12);
}

struct visit {
    json_t *value;
};

static void push(struct ow_buffer *layer, struct visit visit)
{
    if (json_is_object(visit.value) || json_is_array(visit.value)) {
        ow_buffer_append(layer, &visit, sizeof visit);
    }
}

/* No deeper than the reader promises; layer by layer. */
static void check_depth(json_t *root)
{
    OW_BUFFER layer = {0};
    OW_BUFFER next = {0};
    size_t depth = 0;
    struct visit visit = {root};
    ow_buffer_append(&layer, &visit, sizeof visit);
    while (layer.len > 0) {
        ow_buffer_clear(&next);
        for (size_t at = 0; at < layer.len; at += sizeof visit) {
            memcpy(&visit, layer.ptr + at, sizeof visit);
            const char *name = NULL;
            struct visit member = {NULL};
            json_object_foreach(visit.value, name, member.value)
            {
                OW_PROMISE(ow_slice_is_utf8(ow_slice_of(name)));
                push(&next, member);
            }
            for (size_t i = 0; i < json_array_size(visit.value); i++) {
                member.value = json_array_get(visit.value, i);
                push(&next, member);
            }
        }
        ow_buffer_clear(&layer);
        ow_buffer_slice(&layer, ow_buffer_view(&next));
        depth++;
    }
    OW_PROMISE(depth <= DEPTH_MAX);
}

static void check_table(const struct ow_table *table)
{
    OW_PROMISE(ow_fuzz_is_text(ow_slice_of(table->name)) &&
               ow_fuzz_is_text(ow_slice_of(table->key)));
    OW_PROMISE(table->column_count <= OW_TABLE_COLUMNS_MAX);
    for (size_t i = 0; i < table->column_count; i++) {
        const struct ow_column *const column = &table->columns[i];
        OW_PROMISE(strcmp(column->name, table->key) != 0);
        OW_PROMISE(column->type != OW_TYPE_NULL && column->min <= column->max &&
                   column->length_min <= column->length_max);
        OW_PROMISE(!column->has_default || column->default_value.type == column->type ||
                   column->default_value.type == OW_TYPE_NULL);
    }
}

static void check_event(const struct ow_machine *machine, const struct ow_event_type *event)
{
    OW_PROMISE(ow_machine_event(machine, ow_slice_of(event->name)) == event);
    OW_PROMISE(event->need_count <= OW_EVENT_POINTERS_MAX);
    OW_PROMISE(event->claim != NULL && event->claim->key_part_count > 0);
    OW_PROMISE(event->transition_count > 0 && event->transition_count <= OW_EVENT_TRANSITIONS_MAX);
    uint64_t seen = 0;
    for (size_t i = 0; i < event->transition_count; i++) {
        const struct ow_transition *const transition = &event->transitions[i];
        OW_PROMISE(transition->from != 0 && (transition->from & seen) == 0);
        seen |= transition->from;
        OW_PROMISE(transition->from >> machine->state_count == 0);
        OW_PROMISE(transition->same ||
                   (transition->to > 0 && transition->to < machine->state_count));
        OW_PROMISE(event->need_count == 64 || transition->pointers >> event->need_count == 0);
    }
}

static void check_machine(const struct ow_machine *machine)
{
    OW_PROMISE(machine->state_count >= 1 && machine->state_count <= OW_MACHINE_STATES_MAX + 1);
    OW_PROMISE(machine->topic_count > 0 && machine->event_count > 0);
    check_table(&machine->entity);
    for (size_t i = 0; i < machine->record_count; i++) {
        check_table(&machine->records[i]);
    }
    for (size_t i = 0; i < machine->event_count; i++) {
        check_event(machine, &machine->events[i]);
    }
    ow_cells_check(machine);
}

/* Everything that shows a machine to somebody. */
static void check_shown(const struct ow_machine *machine, struct ow_arena *arena)
{
    OW_JSON *shown = ow_machine_show_json(machine);
    OW_PROMISE(shown != NULL && json_array_size(json_object_get(shown, "cells")) ==
                                    machine->event_count * machine->state_count);
    char *const dumped = json_dumps(shown, 0);
    OW_PROMISE(dumped != NULL);
    free(dumped);
    OW_BUFFER graph = {0};
    ow_machine_graph_mermaid(machine, &graph);
    OW_PROMISE(ow_fuzz_is_text(ow_buffer_view(&graph)));
    ow_buffer_clear(&graph);
    ow_machine_graph_dot(machine, &graph);
    OW_PROMISE(ow_fuzz_is_text(ow_buffer_view(&graph)));
    for (const struct ow_finding *finding = ow_machine_lint(machine, arena); finding != NULL;
         finding = finding->next) {
        OW_PROMISE(ow_fuzz_is_text(ow_slice_of(finding->text)) && finding->name[0] != '\0');
    }
}

/* The store keeps the canonical text, and verify makes the machine of it again. */
static void check_loads_again(const struct ow_machine *machine)
{
    struct ow_err err = {.text = ""};
    struct ow_tree tree;
    struct ow_machines again;
    ow_machines_init(&again);
    OW_PROMISE(ow_tree_parse_json("again", ow_slice_of(machine->text), &tree, &err) == OW_OK);
    OW_PROMISE(ow_machines_add(&again, &tree, &err) == OW_OK);
    OW_PROMISE(memcmp(again.list[0]->digest, machine->digest, OW_DIGEST_BYTES) == 0);
    OW_PROMISE(strcmp(again.list[0]->text, machine->text) == 0);
    ow_tree_done(&tree);
    ow_machines_done(&again);
}

/* What jansson takes for an object is the same object here, or refused; no key may come twice. */
static void check_against_jansson(struct ow_slice text, const struct ow_tree *tree)
{
    OW_JSON *lenient = json_loadb((const char *)text.ptr, text.len, 0, NULL);
    OW_JSON *strict = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(lenient) && memchr(text.ptr, 0, text.len) == NULL) {
        OW_PROMISE(strict != NULL && json_equal(strict, tree->root));
    }
}

static void check_tree(const struct ow_tree *tree, struct ow_arena *arena)
{
    struct ow_err err = {.text = ""};
    struct ow_machines machines;
    ow_machines_init(&machines);
    check_depth(tree->root);
    const enum ow_status status = ow_machines_add(&machines, tree, &err);
    if (status == OW_OK) {
        const struct ow_machine *const machine = machines.list[0];
        check_machine(machine);
        check_shown(machine, arena);
        check_loads_again(machine);
        OW_PROMISE(ow_machines_check(&machines, &err) == OW_OK);
    } else {
        OW_PROMISE(status == OW_BAD_CONFIG && machines.count == 0);
        check_failure(&err);
    }
    ow_machines_done(&machines);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    struct ow_err err = {.text = ""};
    struct ow_tree tree;
    const enum ow_status status =
        ow_tree_parse("fuzz.yaml", (struct ow_slice){bytes, len}, NULL, NULL, &tree, &err);
    if (status == OW_OK) {
        check_against_jansson((struct ow_slice){bytes, len}, &tree);
        check_tree(&tree, &arena);
        ow_tree_done(&tree);
    } else {
        OW_PROMISE(status == OW_BAD_CONFIG);
        check_failure(&err);
    }
    ow_arena_done(&arena);
    return 0;
}
