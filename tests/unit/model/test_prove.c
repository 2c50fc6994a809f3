/* The proof of machines: what it finds of itself. Whether it bites is in test_prove_planted.c. */
#include "groups.h"
#include "model/prove.h"
#include "support/model/machine_fixture.h"

static struct ow_machines machines;
static struct ow_arena arena;
static struct ow_proof proof;

static int start(void **state)
{
    (void)state;
    ow_machines_init(&machines);
    ow_arena_init(&arena, 65536);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ow_arena_done(&arena);
    ow_machines_done(&machines);
    return 0;
}

static void prove_within(size_t length, size_t configurations_max)
{
    const struct ow_prove_options options = {
        .length = length, .configurations_max = configurations_max, .decide = ow_decide};
    struct ow_err err = {{0}};
    if (ow_prove(&machines, machines.list[0], &options, &arena, &proof, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
}

static void prove_file(const char *path, size_t length)
{
    struct ow_err err;
    assert_int_equal(ow_fixture_add_file(&machines, path, &err), OW_OK);
    prove_within(length, OW_PROVE_CONFIGURATIONS_MAX);
}

static void add_text(const char *text)
{
    struct ow_err err = {{0}};
    if (ow_fixture_add_text(&machines, text, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
}

static void add_machine(const char *columns, const char *rest)
{
    OW_BUFFER text = {0};
    ow_buffer_printf(&text,
                     "machine: m\nversion: 1\ntopics: [t]\n"
                     "message: { format: cloudevents, entity: /data/e }\n"
                     "entity: { table: t, key: k, columns: { %s } }\n%s",
                     columns, rest);
    add_text(ow_buffer_cstr(&text));
}

static void prove_machine(const char *columns, const char *rest, size_t length)
{
    add_machine(columns, rest);
    prove_within(length, OW_PROVE_CONFIGURATIONS_MAX);
}

static const struct ow_proof_cell *find_cell(const char *state, const char *event)
{
    const struct ow_proof_cell *cell = proof.cells;
    while (cell != NULL &&
           (strcmp(cell->state, state) != 0 || strcmp(cell->event->name, event) != 0)) {
        cell = cell->next;
    }
    return cell;
}

static void assert_why(const char *state, const char *event, enum ow_proof_cause cause,
                       const char *why)
{
    const struct ow_proof_cell *const cell = find_cell(state, event);
    assert_non_null(cell);
    assert_string_equal(cell->why, why);
    assert_int_equal(cell->cause, cause);
}

/* What the first event of a name says. */
static const char *values_of(const char *event)
{
    for (size_t i = 0; i < proof.event_count; i++) {
        if (strcmp(proof.events[i].name, event) == 0) {
            return proof.events[i].values;
        }
    }
    return "";
}

static void assert_all_hold_but_conflicts(void)
{
    assert_null(proof.broken);
    for (size_t i = 0; i < OW_PROMISE_COUNT; i++) {
        assert_false(proof.promises[i].broken);
        assert_true(proof.promises[i].checked > 0 || i == OW_PROMISE_CONFLICT);
    }
}

static void assert_all_hold(void)
{
    assert_all_hold_but_conflicts();
    assert_true(proof.promises[OW_PROMISE_CONFLICT].checked > 0);
}

static void prove__machines_of_the_tree__keep_all_promises(void **state)
{
    static const char *const files[] = {"schemas/orders.yaml", "tests/domain/loans.yaml",
                                        "tests/transcripts/machines/doors.yaml",
                                        "tests/transcripts/machines/reviews.yaml"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        prove_file(files[i], 5);
        assert_all_hold();
        assert_int_equal(proof.length, 5);
        assert_int_equal(stop(state), 0);
        assert_int_equal(start(state), 0);
    }
}

/* One message of each of three types; after one, each again anew (3), and the one before once more,
 * read again, and its id on other content. */
static void prove__sequences__are_counted_exactly(void **state)
{
    (void)state;
    prove_file("tests/transcripts/machines/doors.yaml", 2);
    assert_int_equal(proof.event_count, 3);
    assert_int_equal(proof.sequences, 3 + 3 * (3 + 3));
    assert_int_equal(proof.configurations, 1 + 3);
    assert_int_equal(proof.steps, 3 + 3 * (3 + 3));
}

static void prove__order_of_parking__is_another_configuration(void **state)
{
    (void)state;
    prove_file("tests/transcripts/machines/doors.yaml", 3);
    /* Before `install` the others wait: open,close and close,open are two. The rest of the nine
     * ways lead to 6 more: install,open = open,install and so on. */
    assert_int_equal(proof.configurations, 1 + 3 + 8 - 1);
}

static const struct ow_proof_pair *find_pair(const char *a, const char *b)
{
    for (const struct ow_proof_pair *pair = proof.pairs; pair != NULL; pair = pair->next) {
        if (strcmp(pair->types[0]->name, a) == 0 && strcmp(pair->types[1]->name, b) == 0) {
            return pair;
        }
    }
    return NULL;
}

static void prove__pair_that_does_not_commute__has_a_shortest_witness(void **state)
{
    (void)state;
    prove_file("schemas/orders.yaml", 4);
    const struct ow_proof_pair *const pair = find_pair("order.dispatched", "order.cancelled");
    assert_non_null(pair);
    assert_int_equal(pair->prefix_count, 2);
    assert_string_equal(pair->prefix[0].event, "order.created");
    assert_string_equal(pair->prefix[1].event, "payment.succeeded");
    assert_string_equal(pair->prefix[1].fate, "applied");
    assert_string_equal(pair->plays[0][0].event, "order.dispatched");
    assert_string_equal(pair->plays[0][1].fate, "quarantined (illegal)");
    assert_string_equal(pair->ends[0], "state dispatched");
    assert_string_equal(pair->ends[1], "state cancelled");
    /* Parked until its turn, it ends the same in both orders. */
    assert_null(find_pair("order.created", "order.dispatched"));
}

static void prove__cell_too_far_away__is_told_with_the_reason(void **state)
{
    (void)state;
    prove_file("schemas/orders.yaml", 4);
    assert_int_equal(proof.cell_count, 36);
    assert_non_null(proof.cells);
    assert_int_equal(proof.cells_played, 30); /* not those of 'received' */
    assert_why("received", "order.created", OW_PROOF_CAUSE_TOO_FAR,
               "never reached: it needs at least 5 events");
}

static void prove__requirement_that_nothing_meets__is_told(void **state)
{
    (void)state;
    prove_machine("n: { type: integer, default: 0 }",
                  "states: { a: {}, b: {}, c: {} }\n"
                  "events:\n"
                  "  make: [ { from: none, to: a } ]\n"
                  "  go: [ { from: a, to: b, require: [ { left: 0, equals: n },\n"
                  "                                     { left: n, at_least: 5 } ] } ]\n",
                  4);
    assert_all_hold();
    assert_why("a", "go", OW_PROOF_CAUSE_NEVER_FULFILLED,
               "never fulfilled: requirement 2, n at least 5, was false for all values tried");
    const struct ow_proof_cell *const cell = find_cell("a", "go");
    assert_ptr_equal(cell->requirement, &cell->transition->requirements[1]);
    /* Nothing leads to c in the file; b is shut off by the requirement. */
    assert_why("c", "go", OW_PROOF_CAUSE_NO_PATH,
               "never reached: no sequence of events leads to 'c'");
    assert_why("b", "make", OW_PROOF_CAUSE_NOT_REACHED,
               "never reached by what was tried: 'go' in state 'a', on a way to 'b', was never "
               "fulfilled");
    assert_int_equal(proof.cell_count, 8);
    assert_int_equal(proof.cells_played, 3); /* both before the start, and make in a */
}

/* Each of the two holds for what was tried, but not for one event. */
static void prove__requirements_that_exclude_each_other__are_told(void **state)
{
    (void)state;
    prove_machine("n: { type: integer, default: 0 }",
                  "states: { a: {} }\n"
                  "events:\n"
                  "  make: [ { from: none, to: a } ]\n"
                  "  more: [ { from: a, to: same, require: [\n"
                  "    { left: /data/x, at_least: 20 }, { left: 20, at_least: { sum: [/data/x, 1] "
                  "} } ] } ]\n",
                  4);
    assert_why("a", "more", OW_PROOF_CAUSE_NEVER_FULFILLED,
               "never fulfilled: each requirement held for some of the values tried, all of them "
               "together for none");
}

static void prove__range_that_always_refuses__is_told(void **state)
{
    (void)state;
    prove_machine("n: { type: integer, default: 0, max: 5 }",
                  "states: { a: {} }\n"
                  "events:\n"
                  "  make: [ { from: none, to: a } ]\n"
                  "  more: [ { from: a, to: same, add: { n: 6 } } ]\n",
                  4);
    assert_why(
        "a", "more", OW_PROOF_CAUSE_NEVER_FULFILLED,
        "never fulfilled: column 'n' would have got nothing, or what is outside its range, for "
        "all values tried");
    assert_null(find_cell("a", "more")->requirement);
}

/* One message of an entity is all that such a claim lets through: b is reached, and nothing is
 * judged in it. */
static void prove__cell_that_nothing_gets_to__is_told(void **state)
{
    (void)state;
    add_text("machine: m\nversion: 1\ntopics: [t]\n"
             "message: { format: cloudevents, entity: /data/e }\n"
             "claim: { key: [entity] }\n"
             "entity: { table: t, key: k, columns: { n: { type: integer, default: 0 } } }\n"
             "states: { b: {} }\nevents: { make: [ { from: none, to: b } ] }\n");
    prove_within(4, OW_PROVE_CONFIGURATIONS_MAX);
    assert_why("b", "make", OW_PROOF_CAUSE_SETTLED,
               "never judged: 'b' was reached, but the id or the business key of what was tried "
               "was taken by then, or the sequence at its end");
}

static void prove__values__fit_ranges_and_each_other(void **state)
{
    (void)state;
    prove_machine("word: { type: text, length: 5 }, n: { type: integer, min: 70, max: 70 }",
                  "states: { a: {}, b: {} }\n"
                  "events:\n"
                  "  make: [ { from: none, to: a, set: { word: /data/w, n: /data/n } } ]\n"
                  "  go: [ { from: a, to: b, require: [\n"
                  "    { left: /data/x, equals: word }, { left: /data/y, at_least: 400 },\n"
                  "    { left: /data/z, equals: { const: q } } ] } ]\n",
                  3);
    assert_all_hold();
    assert_string_equal(values_of("make"), "/data/w aaaaa, /data/n 70");
    assert_string_equal(values_of("go"), "/data/x aaaaa, /data/y 400, /data/z q");
    assert_int_equal(proof.cells_played, proof.cell_count);
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
        prove_machine(machines_asking[i].columns, ow_buffer_cstr(&rest), 3);
        assert_all_hold();
        assert_string_equal(values_of("go"), machines_asking[i].values);
        assert_int_equal(proof.cells_played, proof.cell_count);
        assert_int_equal(stop(state), 0);
        assert_int_equal(start(state), 0);
    }
}

/* What a later requirement asks of a column is asked of the events that fill it. */
static void prove__values__fit_what_is_asked_later(void **state)
{
    (void)state;
    prove_machine("n: { type: integer, default: 0 }, kind: { type: text, default: none }",
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
    assert_all_hold();
    assert_string_equal(values_of("lift"), "/data/by 3");
    /* One event cannot be of both kinds: the usual one is of one, the other one of the other. */
    assert_string_equal(proof.events[0].name, "make");
    assert_string_equal(proof.events[0].values, "/data/kind cash");
    assert_string_equal(proof.events[1].values, "/data/kind card");
    assert_null(find_cell("b", "card"));
    assert_null(find_cell("b", "cash"));
}

/* Columns, pointers, constants and sums, on both sides; nothing in a column; ranges that are left
 * at apply; constants that fit no range. Both readings have to agree on all of it. */
static void prove__every_kind_of_operand__is_read_alike(void **state)
{
    (void)state;
    prove_machine(
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
    assert_all_hold();
    size_t refused = 0;
    for (const struct ow_proof_cell *cell = proof.cells; cell != NULL; cell = cell->next) {
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
        assert_int_equal(ow_fixture_add_text(&machines, ow_buffer_cstr(&text), &err), OW_OK);
        const struct ow_prove_options options = {
            .length = 4, .configurations_max = 10000, .decide = ow_decide};
        const enum ow_status status =
            ow_prove(&machines, machines.list[0], &options, &arena, &proof, &err);
        assert_int_equal(status, is_valid ? OW_OK : OW_FAILED);
        if (is_valid) {
            /* In the second all that could differ is part of the key, or not looked at. */
            assert_all_hold_but_conflicts();
            assert_int_equal(proof.promises[OW_PROMISE_CONFLICT].checked == 0, i == 1);
            assert_int_equal(proof.event_count, 3); /* make, go, go with another /n */
            assert_true(proof.events[0].renewable && proof.events[2].renewable);
        } else {
            assert_string_equal(err.text,
                                "test.yaml: no valid 'make' can be made: no part of the claim key");
        }
        assert_int_equal(stop(state), 0);
        assert_int_equal(start(state), 0);
    }
}

/* The cash desk numbers across desks: the claim is the business key, so a new id is no new message.
 */
static void prove__claim_over_a_business_key__makes_no_new_ids(void **state)
{
    (void)state;
    prove_file("tests/domain/loans.yaml", 3);
    for (size_t i = 0; i < proof.event_count; i++) {
        const bool is_fine = strncmp(proof.events[i].name, "fine.charged", 12) == 0;
        assert_int_equal(proof.events[i].renewable, !is_fine);
    }
}

static void prove__parking_place_for_one__overflows(void **state)
{
    (void)state;
    prove_machine("n: { type: integer, default: 0 }",
                  "states: { a: {}, b: {} }\n"
                  "park: { per_entity: 1 }\n"
                  "events:\n"
                  "  make: [ { from: none, to: a } ]\n"
                  "  go: [ { from: a, to: b, add: { n: 1 } } ]\n",
                  5);
    assert_all_hold();
}

static void prove__more_than_there_is_room_for__proves_less_and_says_so(void **state)
{
    struct ow_err err;
    (void)state;
    assert_int_equal(ow_fixture_add_file(&machines, "schemas/orders.yaml", &err), OW_OK);
    prove_within(7, 500);
    assert_int_equal(proof.length, 3); /* 997 configurations after three events, 107 after two */
    assert_true(proof.configurations < 500);
    assert_all_hold();
    const uint64_t shorter = proof.sequences;
    prove_within(3, OW_PROVE_CONFIGURATIONS_MAX);
    assert_int_equal(proof.sequences, shorter);
}

static void note_progress(void *context, size_t length, size_t done, size_t total)
{
    size_t *const calls = context;
    assert_true(length <= 5 && done <= total);
    ++*calls;
}

static void prove__progress__is_told_while_it_walks(void **state)
{
    (void)state;
    size_t calls = 0;
    struct ow_err err;
    const struct ow_prove_options options = {.length = 6,
                                             .configurations_max = OW_PROVE_CONFIGURATIONS_MAX,
                                             .decide = ow_decide,
                                             .progress = note_progress,
                                             .context = &calls};
    assert_int_equal(ow_fixture_add_file(&machines, "schemas/orders.yaml", &err), OW_OK);
    assert_int_equal(ow_prove(&machines, machines.list[0], &options, &arena, &proof, &err), OW_OK);
    assert_true(calls > 1);
}

static void prove__range_that_no_value_fits__fails_with_the_event(void **state)
{
    (void)state;
    struct ow_err err = {{0}};
    /* What is set into both columns has to be 1 and 2 at once. */
    add_machine("n: { type: integer, max: 1 }, m: { type: integer, min: 2 }",
                "states: { a: {} }\n"
                "events: { make: [ { from: none, to: a, set: { n: /data/n, m: /data/n } } ] }\n");
    const struct ow_prove_options options = {
        .length = 2, .configurations_max = 100, .decide = ow_decide};
    assert_int_equal(ow_prove(&machines, machines.list[0], &options, &arena, &proof, &err),
                     OW_FAILED);
    assert_string_equal(
        err.text, "test.yaml: no valid 'make' can be made: /data/n is outside the range of m");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int ow_test_prove(void)
{
    const struct CMUnitTest tests[] = {
        TEST(prove__machines_of_the_tree__keep_all_promises),
        TEST(prove__sequences__are_counted_exactly),
        TEST(prove__order_of_parking__is_another_configuration),
        TEST(prove__pair_that_does_not_commute__has_a_shortest_witness),
        TEST(prove__cell_too_far_away__is_told_with_the_reason),
        TEST(prove__requirement_that_nothing_meets__is_told),
        TEST(prove__requirements_that_exclude_each_other__are_told),
        TEST(prove__range_that_always_refuses__is_told),
        TEST(prove__cell_that_nothing_gets_to__is_told),
        TEST(prove__values__fit_ranges_and_each_other),
        TEST(prove__values__fit_what_the_machine_asks),
        TEST(prove__values__fit_what_is_asked_later),
        TEST(prove__every_kind_of_operand__is_read_alike),
        TEST(prove__messages_of_every_form__are_made),
        TEST(prove__claim_over_a_business_key__makes_no_new_ids),
        TEST(prove__parking_place_for_one__overflows),
        TEST(prove__more_than_there_is_room_for__proves_less_and_says_so),
        TEST(prove__progress__is_told_while_it_walks),
        TEST(prove__range_that_no_value_fits__fails_with_the_event),
    };
    return cmocka_run_group_tests_name("prove", tests, NULL, NULL);
}
