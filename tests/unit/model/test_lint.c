/* What lint finds, and how a machine is drawn. */
#include "groups.h"
#include "model/machine_show.h"
#include "support/model/machine_fixture.h"

#include <string.h>

#define HEAD(topics)                                                                               \
    "machine: m\nversion: 1\ntopics: " topics "\nmessage: { format: cloudevents, entity: /e }\n"   \
    "entity: { table: t, key: k, columns: { amount: integer, name: text } }\n"
#define USED "set: { amount: /a, name: /n }"

static struct ow_machine *load(struct ow_machines *own, const char *text)
{
    struct ow_err err = {{0}};
    ow_machines_init(own);
    if (ow_fixture_add_text(own, text, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    return own->list[0];
}

/* All findings of that name, a line each: "warning: text". */
static void finds(const char *text, const char *name, const char *expected)
{
    struct ow_machines own;
    struct ow_arena arena;
    OW_BUFFER lines = {0};
    ow_arena_init(&arena, 4096);
    for (const struct ow_finding *one = ow_machine_lint(load(&own, text), &arena); one != NULL;
         one = one->next) {
        if (strcmp(one->name, name) == 0) {
            ow_buffer_printf(&lines, "%s: %s\n", ow_finding_level_text(one->level), one->text);
        }
    }
    assert_string_equal(ow_buffer_cstr(&lines), expected);
    ow_arena_done(&arena);
    ow_machines_done(&own);
}

static void lint__state_without_a_way_to_it__is_a_warning(void **state)
{
    (void)state;
    finds(HEAD("[t]") "states: { a: {}, b: {} }\nevents: { x: [ { from: none, to: a, " USED
                      " } ] }\n",
          "unreachable_state", "warning: no sequence of events leads to the state 'b'\n");
}

static void lint__state_without_a_way_out__is_a_note(void **state)
{
    (void)state;
    finds(HEAD("[t]") "states: { a: {}, b: {} }\nevents: { x: [ { from: none, to: a, " USED
                      " } ], y: [ { from: a, to: b } ] }\n",
          "dead_end", "note: nothing leads out of the state 'b'\n");
}

static void lint__event_that_never_applies__is_a_warning(void **state)
{
    (void)state;
    finds(HEAD("[t]") "states: { a: {}, b: {} }\nevents: { x: [ { from: none, to: a, " USED
                      " } ], y: [ { from: b, to: same } ] }\n",
          "unhandled_event",
          "warning: 'y' can never be applied: no state that it starts from can be reached\n");
}

static void lint__illegal_cells__are_a_note(void **state)
{
    (void)state;
    finds(HEAD("[t]") "states: { a: {}, b: {}, c: {} }\nevents:\n  x: [ { from: none, to: a, " USED
                      " } ]\n"
                      "  y: [ { from: a, to: b } ]\n  z: [ { from: a, to: c } ]\n",
          "illegal_cell",
          "note: 'y' is rejected (illegal) in: c\nnote: 'z' is rejected (illegal) in: b\n");
}

static void lint__bare_text__is_a_warning_unless_it_is_said_to_be_one(void **state)
{
    (void)state;
    finds(HEAD("[t]") "states: { a: {} }\nevents:\n  x: [ { from: none, to: a, require: [ { left: "
                      "/c, equals: amuont }, "
                      "{ left: /n, equals: Bob }, { left: /d, equals: { const: EUR } } ], " USED
                      " } ]\n",
          "text_constant",
          "warning: 'amuont' in 'x' is a constant: did you mean the column 'amount'? ({const: "
          "amuont} says that it is meant)\n"
          "warning: 'Bob' in 'x' is no column, and so a constant ({const: Bob} says that it is "
          "meant)\n");
}

static void lint__column_that_nothing_writes__is_a_warning(void **state)
{
    (void)state;
    finds(HEAD("[t]") "states: { a: {} }\nevents: { x: [ { from: none, to: a, set: { amount: /a } "
                      "} ] }\n",
          "unused_column", "warning: no event sets or adds to the column 'name'\n");
}

#define RACE                                                                                       \
    "states: { a: {}, b: {}, c: {} }\nevents:\n  x: [ { from: none, to: a, " USED " } ]\n"         \
    "  y: [ { from: a, to: b } ]\n  z: [ { from: a, to: c } ]\n"

static void lint__events_that_race__have_a_shortest_witness(void **state)
{
    (void)state;
    finds(HEAD("[t, u]") RACE, "order_matters",
          "note: 'y' and 'z' do not commute where they come from different topics: after x one "
          "order ends in 'b' (y applied, z "
          "illegal), the other in 'c' (z applied, y illegal)\n");
}

static void lint__one_topic__has_one_order(void **state)
{
    (void)state;
    finds(HEAD("[t]") RACE, "order_matters", "");
}

static void lint__early_events__commute_through_parking(void **state)
{
    (void)state;
    finds(HEAD("[t, u]") "states: { a: {}, b: {} }\nevents: { x: [ { from: none, to: a, " USED
                         " } ], y: [ { from: a, to: b } ] }\n",
          "order_matters", "");
}

static void lint__shipped_machines__have_no_warning(void **state)
{
    (void)state;
    static const char *const files[] = {"schemas/orders.yaml", "tests/domain/loans.yaml"};
    for (size_t i = 0; i < 2; i++) {
        struct ow_machines own;
        struct ow_arena arena;
        struct ow_err err;
        ow_machines_init(&own);
        ow_arena_init(&arena, 65536);
        assert_int_equal(ow_fixture_add_file(&own, files[i], &err), OW_OK);
        for (const struct ow_finding *one = ow_machine_lint(own.list[0], &arena); one != NULL;
             one = one->next) {
            assert_int_equal(one->level, OW_FINDING_NOTE);
        }
        ow_arena_done(&arena);
        ow_machines_done(&own);
    }
}

static void graph__both_formats__have_each_edge(void **state)
{
    (void)state;
    struct ow_machines own;
    const struct ow_machine *const machine =
        load(&own, HEAD("[t]") "states: { a: {}, end: {}, x-y: {} }\nevents:\n  \"e:1\": [ { from: "
                               "none, to: a } ]\n"
                               "  f: [ { from: a, to: same }, { from: end, to: x-y } ]\n  g: [ { "
                               "from: a, to: end } ]\n");
    OW_BUFFER mermaid = {0};
    ow_machine_graph_mermaid(machine, &mermaid);
    assert_string_equal(
        ow_buffer_cstr(&mermaid),
        "stateDiagram-v2\n    a\n    state \"end\" as s2\n    state \"x-y\" as s3\n"
        "    [*] --> a: e#58;1\n    a --> a: f\n    s2 --> s3: f\n    a --> s2: g\n");
    OW_BUFFER dot = {0};
    ow_machine_graph_dot(machine, &dot);
    assert_non_null(strstr(ow_buffer_cstr(&dot), "    \"end\" -> \"x-y\" [label=\"f\"];\n"));
    ow_machines_done(&own);
}

static void show__json__has_each_cell(void **state)
{
    (void)state;
    struct ow_machines own;
    json_t *const json = ow_machine_show_json(load(&own, HEAD("[t, u]") RACE));
    assert_int_equal(json_array_size(json_object_get(json, "cells")), 12);
    const json_t *const first = json_array_get(json_object_get(json, "cells"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "do")), "apply");
    assert_string_equal(json_string_value(json_object_get(first, "to")), "a");
    assert_int_equal(strlen(json_string_value(json_object_get(json, "digest"))), 64);
    json_decref(json);
    ow_machines_done(&own);
}

static void lint__table_that_nothing_records__is_a_warning(void **state)
{
    (void)state;
    finds(
        "machine: m\nversion: 1\ntopics: [t]\nmessage: { format: cloudevents, entity: /e }\n"
        "entity: { table: t, key: k }\n"
        "records: { used: { key: i }, both: { key: i }, unused: { key: i } }\n"
        "states: { a: {} }\n"
        "events: { x: [ { from: none, to: a, record: { both: { i: /i }, used: { i: /i } } } ] }\n",
        "unused_table", "warning: no event records into the table 'unused'\n");
}

static void lint__race_for_the_first_event__is_told_at_the_start(void **state)
{
    (void)state;
    finds(HEAD("[t, u]") "states: { a: {}, b: {} }\nevents: { x: [ { from: none, to: a, " USED
                         " } ], y: [ { from: none, to: b } ] }\n",
          "order_matters",
          "note: 'x' and 'y' do not commute where they come from different topics: at the start "
          "one order ends in 'a' (x applied, y illegal), the other in 'b' (y applied, x "
          "illegal)\n");
}

static void lint__operands_in_sums__are_looked_at(void **state)
{
    (void)state;
    finds(HEAD("[t]") "states: { a: {} }\nevents: { x: { transitions: [ { from: none, to: a, set: "
                      "{ amount: { sum: [amount, /a, 1] }, name: Bob } } ] } }\n",
          "text_constant",
          "warning: 'Bob' in 'x' is no column, and so a constant ({const: Bob} says that it is "
          "meant)\n");
}

static void graph__signs_that_mean_something__are_escaped(void **state)
{
    (void)state;
    struct ow_machines own;
    const struct ow_machine *const machine =
        load(&own, HEAD("[t]") "states: { a: {} }\nevents:\n"
                               "  'q\"b\\c;d#e': [ { from: none, to: a, " USED " } ]\n"
                               "  \"two\\nlines\": [ { from: a, to: same } ]\n");
    OW_BUFFER mermaid = {0};
    ow_machine_graph_mermaid(machine, &mermaid);
    assert_string_equal(ow_buffer_cstr(&mermaid),
                        "stateDiagram-v2\n    a\n    [*] --> a: q#34;b\\c#59;d#35;e\n"
                        "    a --> a: two#10;lines\n");
    OW_BUFFER dot = {0};
    ow_machine_graph_dot(machine, &dot);
    assert_non_null(strstr(ow_buffer_cstr(&dot), "[label=\"q\\\"b\\\\c;d#e\"];\n"));
    ow_machines_done(&own);
}

static void show__json__says_what_was_overridden(void **state)
{
    (void)state;
    struct ow_machines own;
    json_t *const json = ow_machine_show_json(load(
        &own, HEAD("[t]") "states: { a: {}, b: {} }\nevents:\n  x: [ { from: none, to: a, " USED
                          " } ]\n  y: [ { from: a, to: b } ]\n  z: [ { from: b, to: a } ]\n"
                          "overrides: [ { state: b, event: y, do: park } ]\n"));
    size_t overridden = 0;
    for (size_t i = 0; i < json_array_size(json_object_get(json, "cells")); i++) {
        const json_t *const cell = json_array_get(json_object_get(json, "cells"), i);
        if (json_is_true(json_object_get(cell, "overridden"))) {
            overridden++;
            assert_string_equal(json_string_value(json_object_get(cell, "state")), "b");
            assert_string_equal(json_string_value(json_object_get(cell, "event")), "y");
            assert_string_equal(json_string_value(json_object_get(cell, "do")), "park");
        }
    }
    assert_int_equal(overridden, 1);
    json_decref(json);
    ow_machines_done(&own);
}

int ow_test_lint(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lint__state_without_a_way_to_it__is_a_warning),
        cmocka_unit_test(lint__state_without_a_way_out__is_a_note),
        cmocka_unit_test(lint__event_that_never_applies__is_a_warning),
        cmocka_unit_test(lint__illegal_cells__are_a_note),
        cmocka_unit_test(lint__bare_text__is_a_warning_unless_it_is_said_to_be_one),
        cmocka_unit_test(lint__column_that_nothing_writes__is_a_warning),
        cmocka_unit_test(lint__events_that_race__have_a_shortest_witness),
        cmocka_unit_test(lint__one_topic__has_one_order),
        cmocka_unit_test(lint__early_events__commute_through_parking),
        cmocka_unit_test(lint__shipped_machines__have_no_warning),
        cmocka_unit_test(graph__both_formats__have_each_edge),
        cmocka_unit_test(show__json__has_each_cell),
        cmocka_unit_test(lint__table_that_nothing_records__is_a_warning),
        cmocka_unit_test(lint__race_for_the_first_event__is_told_at_the_start),
        cmocka_unit_test(lint__operands_in_sums__are_looked_at),
        cmocka_unit_test(graph__signs_that_mean_something__are_escaped),
        cmocka_unit_test(show__json__says_what_was_overridden),
    };
    return cmocka_run_group_tests_name("lint", tests, NULL, NULL);
}
