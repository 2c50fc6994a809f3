/* The proof of machines: the messages and values that it makes, so that they fit what is asked. */
#include "groups.h"
#include "prove_bench.h"
#include "support/model/machine_fixture.h"

static void prove__requirement_that_nothing_meets__is_told(void **state)
{
    (void)state;
    ow_bench_prove_machine("n: { type: integer, default: 0 }",
                           "states: { a: {}, b: {}, c: {} }\n"
                           "events:\n"
                           "  make: [ { from: none, to: a } ]\n"
                           "  go: [ { from: a, to: b, require: [ { left: 0, equals: n },\n"
                           "                                     { left: n, at_least: 5 } ] } ]\n",
                           4);
    ow_bench_assert_all_hold();
    ow_bench_assert_why(
        "a", "go", OW_PROOF_CAUSE_NEVER_FULFILLED,
        "never fulfilled: requirement 2, n at least 5, was false for all values tried");
    const struct ow_proof_cell *const cell = ow_bench_find_cell("a", "go");
    assert_ptr_equal(cell->requirement, &cell->transition->requirements[1]);
    /* Nothing leads to c in the file; b is shut off by the requirement. */
    ow_bench_assert_why("c", "go", OW_PROOF_CAUSE_NO_PATH,
                        "never reached: no sequence of events leads to 'c'");
    ow_bench_assert_why(
        "b", "make", OW_PROOF_CAUSE_NOT_REACHED,
        "never reached by what was tried: 'go' in state 'a', on a way to 'b', was never "
        "fulfilled");
    assert_int_equal(ow_bench_proof.cell_count, 8);
    assert_int_equal(ow_bench_proof.cells_played, 3); /* both before the start, and make in a */
}

/* Each of the two holds for what was tried, but not for one event. */
static void prove__requirements_that_exclude_each_other__are_told(void **state)
{
    (void)state;
    ow_bench_prove_machine(
        "n: { type: integer, default: 0 }",
        "states: { a: {} }\n"
        "events:\n"
        "  make: [ { from: none, to: a } ]\n"
        "  more: [ { from: a, to: same, require: [\n"
        "    { left: /data/x, at_least: 20 }, { left: 20, at_least: { sum: [/data/x, 1] "
        "} } ] } ]\n",
        4);
    ow_bench_assert_why(
        "a", "more", OW_PROOF_CAUSE_NEVER_FULFILLED,
        "never fulfilled: each requirement held for some of the values tried, all of them "
        "together for none");
}

static void prove__range_that_always_refuses__is_told(void **state)
{
    (void)state;
    ow_bench_prove_machine("n: { type: integer, default: 0, max: 5 }",
                           "states: { a: {} }\n"
                           "events:\n"
                           "  make: [ { from: none, to: a } ]\n"
                           "  more: [ { from: a, to: same, add: { n: 6 } } ]\n",
                           4);
    ow_bench_assert_why(
        "a", "more", OW_PROOF_CAUSE_NEVER_FULFILLED,
        "never fulfilled: column 'n' would have got nothing, or what is outside its range, for "
        "all values tried");
    assert_null(ow_bench_find_cell("a", "more")->requirement);
}

static void prove__values__fit_ranges_and_each_other(void **state)
{
    (void)state;
    ow_bench_prove_machine(
        "word: { type: text, length: 5 }, n: { type: integer, min: 70, max: 70 }",
        "states: { a: {}, b: {} }\n"
        "events:\n"
        "  make: [ { from: none, to: a, set: { word: /data/w, n: /data/n } } ]\n"
        "  go: [ { from: a, to: b, require: [\n"
        "    { left: /data/x, equals: word }, { left: /data/y, at_least: 400 },\n"
        "    { left: /data/z, equals: { const: q } } ] } ]\n",
        3);
    ow_bench_assert_all_hold();
    assert_string_equal(ow_bench_values_of("make"), "/data/w aaaaa, /data/n 70");
    assert_string_equal(ow_bench_values_of("go"), "/data/x aaaaa, /data/y 400, /data/z q");
    assert_int_equal(ow_bench_proof.cells_played, ow_bench_proof.cell_count);
}

/* Values that no group of equal places gives away: they are found by trying. */
static void prove__values__fit_what_the_machine_asks(void **state)
{
    static const struct {
        const char *columns, *transition, *values;
    } machines_asking[] = {
  /* a sum with a column, with a constant, with two pointers */
        {"n: { type: integer, default: 0 }",
         "add: { n: /data/x }, require: [ { left: { sum: [n, /data/x] }, at_most: 3 } ]",                       "/data/x 3"             },
        {"n: { type: integer, default: 0 }",
         "require: [ { left: { sum: [/data/x, 100] }, equals: 93 } ]",                                          "/data/x -7"            },
        {"n: { type: integer, default: 0 }",
         "require: [ { left: 90, at_most: { sum: [/data/x, /data/y] } } ]",                                     "/data/x 80, /data/y 10"},
 /* a place with a place */
        {"n: { type: integer, default: 40 }",                   "require: [ { left: /data/x, at_least: n } ]",
         "/data/x 40"                                                                                                                   },
        {"n: { type: integer, default: 4 }",                    "require: [ { left: n, at_least: /data/x } ]",
         "/data/x 4"                                                                                                                    },
        {"n: { type: integer, min: 70 }",
         "set: { n: /data/x }, require: [ { left: /data/y, at_least: /data/x } ]",                              "/data/y 70, /data/x 70"},
 /* a constant on the left */
        {"n: { type: integer, default: 0 }",                    "require: [ { left: 50, at_most: /data/x } ]",
         "/data/x 50"                                                                                                                   },
        {"n: { type: integer, default: 0 }",                    "require: [ { left: -5, at_least: /data/x } ]",
         "/data/x -5"                                                                                                                   },
 /* the range of what is added to, and of what a sum is set into */
        {"n: { type: integer, default: 0, max: 5 }",            "add: { n: /data/x }",                          "/data/x 5"             },
        {"n: { type: integer, default: 90, min: 80, max: 95 }", "add: { n: /data/x }",                          "/data/x 5"             },
        {"n: { type: integer, min: 3, max: 5 }",                "set: { n: { sum: [/data/x, 1] } }",            "/data/x 4"             },
    };
    for (size_t i = 0; i < sizeof machines_asking / sizeof *machines_asking; i++) {
        OW_BUFFER rest = {0};
        ow_buffer_printf(&rest,
                         "states: { a: {}, b: {} }\nevents:\n  make: [ { from: none, to: a } ]\n"
                         "  go: [ { from: a, to: b, %s } ]\n",
                         machines_asking[i].transition);
        ow_bench_prove_machine(machines_asking[i].columns, ow_buffer_cstr(&rest), 3);
        ow_bench_assert_all_hold();
        assert_string_equal(ow_bench_values_of("go"), machines_asking[i].values);
        assert_int_equal(ow_bench_proof.cells_played, ow_bench_proof.cell_count);
        assert_int_equal(ow_bench_stop(state), 0);
        assert_int_equal(ow_bench_start(state), 0);
    }
}

/* What a later requirement asks of a column is asked of the events that fill it. */
static void prove__values__fit_what_is_asked_later(void **state)
{
    (void)state;
    ow_bench_prove_machine(
        "n: { type: integer, default: 0 }, kind: { type: text, default: none }",
        "states: { a: {}, b: {}, c: {}, d: {} }\n"
        "events:\n"
        "  make: [ { from: none, to: a, set: { kind: /data/kind } } ]\n"
        "  lift: [ { from: a, to: same, add: { n: /data/by },\n"
        "            require: [ { left: { sum: [n, /data/by] }, at_most: 30 } ] } ]\n"
        "  done: [ { from: a, to: b, require: [ { left: n, equals: 3 } ] } ]\n"
        "  card: [ { from: b, to: c, require: [ { left: kind, equals: { const: card } } "
        "] } ]\n"
        "  cash: [ { from: b, to: d, require: [ { left: kind, equals: { const: cash } } "
        "] } ]\n",
        4);
    ow_bench_assert_all_hold();
    assert_string_equal(ow_bench_values_of("lift"), "/data/by 3");
    /* One event cannot be of both kinds: the usual one is of one, the other one of the other. */
    assert_string_equal(ow_bench_proof.events[0].name, "make");
    assert_string_equal(ow_bench_proof.events[0].values, "/data/kind cash");
    assert_string_equal(ow_bench_proof.events[1].values, "/data/kind card");
    assert_null(ow_bench_find_cell("b", "card"));
    assert_null(ow_bench_find_cell("b", "cash"));
}

/* Columns, pointers, constants and sums, on both sides; nothing in a column; ranges that are left
 * at apply; constants that fit no range. Both readings have to agree on all of it. */
static void prove__every_kind_of_operand__is_read_alike(void **state)
{
    (void)state;
    ow_bench_prove_machine(
        "n: { type: integer, default: 0, max: 25 }, m: { type: integer, max: 40 }, "
        "empty: integer, word: { type: text, length: 5 }, note: { type: text, default: aaa }",
        "records: { rows: { key: k, columns: { n: integer, w: text } } }\n"
        "states: { a: {}, b: {} }\n"
        "events:\n"
        "  make: [ { from: none, to: a, set: { word: { const: hello }, m: 30 } } ]\n"
        "  more: [ { from: a, to: same, add: { n: /data/n, m: 2 },\n"
        "            require: [ { left: 3, at_most: /data/n }, { left: m, at_least: 30 } ] } ]\n"
        "  fill: [ { from: a, to: same, set: { m: empty } },\n"
        "          { from: b, to: same, add: { empty: { sum: [n, 1, /data/x] } } } ]\n"
        "  null: [ { from: a, to: same, add: { n: { sum: [empty, 1] } } } ]\n"
        "  less: [ { from: [a, b], to: same, require: [ { left: empty, at_most: 5 } ] } ]\n"
        "  sums: [ { from: [a, b], to: same, set: { m: { sum: [n, m] } },\n"
        "            require: [ { left: { sum: [n, /data/n] }, at_most: 20 } ] } ]\n"
        "  text: [ { from: a, to: b, set: { note: /data/t },\n"
        "            require: [ { left: /data/w, equals: word }, { left: { const: x }, equals: "
        "/data/c }, { left: word, equals: { const: hello } }, { left: 7, equals: /data/i } ],\n"
        "            record: { rows: { k: /data/k, n: { sum: [m, 1] }, w: note } } } ]\n"
        "  long: [ { from: a, to: b, set: { word: /data/w },\n"
        "            require: [ { left: /data/w, equals: { const: hi } } ] } ]\n"
        "  same: [ { from: b, to: same, require: [ { left: /data/p, equals: /data/q } ],\n"
        "            record: { rows: { k: /data/only, n: 1, w: { const: x } } } } ]\n",
        5);
    ow_bench_assert_all_hold();
    size_t refused = 0;
    for (const struct ow_proof_cell *cell = ow_bench_proof.cells; cell != NULL; cell = cell->next) {
        refused += strcmp(cell->state, "a") == 0 ? 1 : 0;
    }
    assert_int_equal(refused, 4); /* fill, null and less need what is never there; long cannot be */
}

#define TAIL                                                                                       \
    "entity: { table: t, key: k, columns: { n: { type: integer, default: 0 } } }\n"                \
    "states: { a: {}, b: {} }\nevents:\n  make: [ { from: none, to: a } ]\n"                       \
    "  go: [ { from: a, to: b, add: { n: /n } } ]\n"

/* Whatever a machine file says of where things are, events of that form are made, and come again
 * under new ids. */
static void prove__messages_of_every_form__are_made(void **state)
{
    static const char *const forms[] = {
        "message: { format: cloudevents, entity: subject }\n"
        "claim: { key: [id], fingerprint: [subject, time, source, id, entity, /data] }\n",
        "message: { format: cloudevents, entity: key }\nclaim: { key: [source, id, type, key] }\n",
        "message: { format: cloudevents, entity: 'header:who' }\n"
        "claim: { key: ['header:batch', /part/of], fingerprint: ['header:nowhere', type] }\n",
        "message: { format: explicit, type: 'header:what', source: 'header:from', id: key, time: "
        "/at, "
        "entity: /deep/er/id }\n"
        "claim: { key: [source, id, entity, time], fingerprint: [/n, key, type, id, source, time] "
        "}\n",
        "message: { format: explicit, type: /type, id: /a~1b, entity: /id }\n"
        "claim: { key: [type, id, /id/below], fingerprint: [/n], ignore: [/n/x] }\n",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        OW_BUFFER text = {0};
        ow_buffer_printf(&text, "machine: m\nversion: 1\ntopics: [t]\n%s" TAIL, forms[i]);
        const bool is_valid = i != 4; /* the last one has a key part inside of a text */
        struct ow_err err = {{0}};
        assert_int_equal(ow_fixture_add_text(&ow_bench_machines, ow_buffer_cstr(&text), &err),
                         OW_OK);
        const struct ow_prove_options options = {
            .length = 4, .configurations_max = 10000, .decide = ow_decide};
        const enum ow_status status = ow_prove(&ow_bench_machines, ow_bench_machines.list[0],
                                               &options, &ow_bench_arena, &ow_bench_proof, &err);
        assert_int_equal(status, is_valid ? OW_OK : OW_FAILED);
        if (is_valid) {
            /* In the second all that could differ is part of the key, or not looked at. */
            ow_bench_assert_all_hold_but_conflicts();
            assert_int_equal(ow_bench_proof.promises[OW_PROMISE_CONFLICT].checked == 0, i == 1);
            assert_int_equal(ow_bench_proof.event_count, 3); /* make, go, go with another /n */
            assert_true(ow_bench_proof.events[0].renewable && ow_bench_proof.events[2].renewable);
        } else {
            assert_string_equal(err.text,
                                "test.yaml: no valid 'make' can be made: no part of the claim key");
        }
        assert_int_equal(ow_bench_stop(state), 0);
        assert_int_equal(ow_bench_start(state), 0);
    }
}

static void prove__range_that_no_value_fits__fails_with_the_event(void **state)
{
    (void)state;
    struct ow_err err = {{0}};
    /* What is set into both columns has to be 1 and 2 at once. */
    ow_bench_add_machine(
        "n: { type: integer, max: 1 }, m: { type: integer, min: 2 }",
        "states: { a: {} }\n"
        "events: { make: [ { from: none, to: a, set: { n: /data/n, m: /data/n } } ] }\n");
    const struct ow_prove_options options = {
        .length = 2, .configurations_max = 100, .decide = ow_decide};
    assert_int_equal(ow_prove(&ow_bench_machines, ow_bench_machines.list[0], &options,
                              &ow_bench_arena, &ow_bench_proof, &err),
                     OW_FAILED);
    assert_string_equal(
        err.text, "test.yaml: no valid 'make' can be made: /data/n is outside the range of m");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ow_bench_start, ow_bench_stop)

int ow_test_prove_values(void)
{
    const struct CMUnitTest tests[] = {
        TEST(prove__requirement_that_nothing_meets__is_told),
        TEST(prove__requirements_that_exclude_each_other__are_told),
        TEST(prove__range_that_always_refuses__is_told),
        TEST(prove__values__fit_ranges_and_each_other),
        TEST(prove__values__fit_what_the_machine_asks),
        TEST(prove__values__fit_what_is_asked_later),
        TEST(prove__every_kind_of_operand__is_read_alike),
        TEST(prove__messages_of_every_form__are_made),
        TEST(prove__range_that_no_value_fits__fails_with_the_event),
    };
    return cmocka_run_group_tests_name("prove_values", tests, NULL, NULL);
}
