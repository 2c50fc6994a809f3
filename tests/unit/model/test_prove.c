/* The proof of machines: what it finds of itself. The values that it makes are in
 * test_prove_values.c, whether it bites in test_prove_planted.c. */
#include "groups.h"
#include "prove_bench.h"
#include "support/model/machine_fixture.h"

static void prove__machines_of_the_tree__keep_all_promises(void **state)
{
    static const char *const files[] = {"schemas/orders.yaml", "tests/domain/loans.yaml",
                                        "tests/transcripts/machines/doors.yaml",
                                        "tests/transcripts/machines/reviews.yaml"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        ow_bench_prove_file(files[i], 5);
        ow_bench_assert_all_hold();
        assert_int_equal(ow_bench_proof.length, 5);
        assert_int_equal(ow_bench_stop(state), 0);
        assert_int_equal(ow_bench_start(state), 0);
    }
}

/* One message of each of three types; after one, each again anew (3), and the one before once more,
 * read again, and its id on other content. */
static void prove__sequences__are_counted_exactly(void **state)
{
    (void)state;
    ow_bench_prove_file("tests/transcripts/machines/doors.yaml", 2);
    assert_int_equal(ow_bench_proof.event_count, 3);
    assert_int_equal(ow_bench_proof.sequences, 3 + 3 * (3 + 3));
    assert_int_equal(ow_bench_proof.configurations, 1 + 3);
    assert_int_equal(ow_bench_proof.steps, 3 + 3 * (3 + 3));
}

static void prove__order_of_parking__is_another_configuration(void **state)
{
    (void)state;
    ow_bench_prove_file("tests/transcripts/machines/doors.yaml", 3);
    /* Before `install` the others wait: open,close and close,open are two. The rest of the nine
     * ways lead to 6 more: install,open = open,install and so on. */
    assert_int_equal(ow_bench_proof.configurations, 1 + 3 + 8 - 1);
}

static const struct ow_proof_pair *find_pair(const char *a, const char *b)
{
    for (const struct ow_proof_pair *pair = ow_bench_proof.pairs; pair != NULL; pair = pair->next) {
        if (strcmp(pair->types[0]->name, a) == 0 && strcmp(pair->types[1]->name, b) == 0) {
            return pair;
        }
    }
    return NULL;
}

static void prove__pair_that_does_not_commute__has_a_shortest_witness(void **state)
{
    (void)state;
    ow_bench_prove_file("schemas/orders.yaml", 4);
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
    ow_bench_prove_file("schemas/orders.yaml", 4);
    assert_int_equal(ow_bench_proof.cell_count, 36);
    assert_non_null(ow_bench_proof.cells);
    assert_int_equal(ow_bench_proof.cells_played, 30); /* not those of 'received' */
    ow_bench_assert_why("received", "order.created", OW_PROOF_CAUSE_TOO_FAR,
                        "never reached: it needs at least 5 events");
}

/* One message of an entity is all that such a claim lets through: b is reached, and nothing is
 * judged in it. */
static void prove__cell_that_nothing_gets_to__is_told(void **state)
{
    (void)state;
    ow_bench_add_text(
        "machine: m\nversion: 1\ntopics: [t]\n"
        "message: { format: cloudevents, entity: /data/e }\n"
        "claim: { key: [entity] }\n"
        "entity: { table: t, key: k, columns: { n: { type: integer, default: 0 } } }\n"
        "states: { b: {} }\nevents: { make: [ { from: none, to: b } ] }\n");
    ow_bench_prove_within(4, OW_PROVE_CONFIGURATIONS_MAX);
    ow_bench_assert_why(
        "b", "make", OW_PROOF_CAUSE_SETTLED,
        "never judged: 'b' was reached, but the id or the business key of what was tried "
        "was taken by then, or the sequence at its end");
}

/* The cash desk numbers across desks: the claim is the business key, so a new id is no new message.
 */
static void prove__claim_over_a_business_key__makes_no_new_ids(void **state)
{
    (void)state;
    ow_bench_prove_file("tests/domain/loans.yaml", 3);
    for (size_t i = 0; i < ow_bench_proof.event_count; i++) {
        const bool is_fine = strncmp(ow_bench_proof.events[i].name, "fine.charged", 12) == 0;
        assert_int_equal(ow_bench_proof.events[i].renewable, !is_fine);
    }
}

static void prove__parking_place_for_one__overflows(void **state)
{
    (void)state;
    ow_bench_prove_machine("n: { type: integer, default: 0 }",
                           "states: { a: {}, b: {} }\n"
                           "park: { per_entity: 1 }\n"
                           "events:\n"
                           "  make: [ { from: none, to: a } ]\n"
                           "  go: [ { from: a, to: b, add: { n: 1 } } ]\n",
                           5);
    ow_bench_assert_all_hold();
}

static void prove__more_than_there_is_room_for__proves_less_and_says_so(void **state)
{
    struct ow_err err;
    (void)state;
    assert_int_equal(ow_fixture_add_file(&ow_bench_machines, "schemas/orders.yaml", &err), OW_OK);
    ow_bench_prove_within(7, 500);
    assert_int_equal(ow_bench_proof.length,
                     3); /* 997 configurations after three events, 107 after two */
    assert_true(ow_bench_proof.configurations < 500);
    ow_bench_assert_all_hold();
    const uint64_t shorter = ow_bench_proof.sequences;
    ow_bench_prove_within(3, OW_PROVE_CONFIGURATIONS_MAX);
    assert_int_equal(ow_bench_proof.sequences, shorter);
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
    assert_int_equal(ow_fixture_add_file(&ow_bench_machines, "schemas/orders.yaml", &err), OW_OK);
    assert_int_equal(ow_prove(&ow_bench_machines, ow_bench_machines.list[0], &options,
                              &ow_bench_arena, &ow_bench_proof, &err),
                     OW_OK);
    assert_true(calls > 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ow_bench_start, ow_bench_stop)

int ow_test_prove(void)
{
    const struct CMUnitTest tests[] = {
        TEST(prove__machines_of_the_tree__keep_all_promises),
        TEST(prove__sequences__are_counted_exactly),
        TEST(prove__order_of_parking__is_another_configuration),
        TEST(prove__pair_that_does_not_commute__has_a_shortest_witness),
        TEST(prove__cell_too_far_away__is_told_with_the_reason),
        TEST(prove__cell_that_nothing_gets_to__is_told),
        TEST(prove__claim_over_a_business_key__makes_no_new_ids),
        TEST(prove__parking_place_for_one__overflows),
        TEST(prove__more_than_there_is_room_for__proves_less_and_says_so),
        TEST(prove__progress__is_told_while_it_walks),
    };
    return cmocka_run_group_tests_name("prove", tests, NULL, NULL);
}
