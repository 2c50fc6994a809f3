/* Whether claims are kept for as long as something can come again. */
#include "groups.h"
#include "model/retention.h"
#include "support/model/machine_fixture.h"

#include <stdio.h>
#include <string.h>

#define DAYS(n) (INT64_C(86400000) * (n))
#define MACHINE(name, topics, retention, event)                                                    \
    "machine: " name "\nversion: 1\ntopics: " topics "\n"                                          \
    "message: { format: cloudevents, entity: /e }\nclaim: { retention: " retention " }\n"          \
    "entity: { table: t_" name ", key: k, columns: { amount: integer } }\n"                        \
    "states: { a: {}, b: {} }\nevents:\n  " name ".one: [ { from: none, to: a } ]\n" event

static const char *const one =
    MACHINE("one", "[shared, own]", "45d", "  one.two: [ { from: a, to: b } ]\n");
static const char *const two =
    MACHINE("two", "[shared]", "30d",
            "  two.late: { claim: { retention: 7d }, transitions: [ { from: a, to: b } ] }\n");

struct told {
    enum ow_check_level level;
    enum ow_status status;
    char text[1024];
    int lines;
};

static void take_line(void *context, enum ow_check_level level, enum ow_status status,
                      const char *subject, const char *text)
{
    struct told *const told = context;
    told->level = level;
    told->status = status;
    told->lines++;
    (void)snprintf(told->text, sizeof told->text, "%s: %s", subject, text);
}

static int load(void **state)
{
    static struct ow_machines machines;
    struct ow_err err = {{0}};
    ow_machines_init(&machines);
    if (ow_fixture_add_text(&machines, one, &err) != OW_OK ||
        ow_fixture_add_text(&machines, two, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    *state = &machines;
    return 0;
}

static int unload(void **state)
{
    ow_machines_done(*state);
    return 0;
}

static struct told compare(const struct ow_machines *machines, const char *topic, int64_t ms,
                           bool strict)
{
    struct told told = {.lines = 0};
    const struct ow_check check = {.line = take_line, .context = &told};
    const struct ow_retention_rule rule = {.machines = machines, .strict = strict};
    const struct ow_reach reach = {
        .subject = "it", .says = "reaches back", .remedy = "its reach", .topic = topic, .ms = ms};
    ow_retention_compare(&rule, &reach, 1, &check);
    assert_int_equal(told.lines, 1);
    return told;
}

static void shortest__of_the_machines_that_read_the_topic(void **state)
{
    const struct ow_machines *const machines = *state;
    const struct ow_retention own = ow_retention_shortest(machines, "own");
    assert_true(own.ms == DAYS(45));
    assert_string_equal(own.event->name, "one.one");
    const struct ow_retention shared = ow_retention_shortest(machines, "shared");
    assert_true(shared.ms == DAYS(7));
    assert_string_equal(shared.event->name, "two.late");
    assert_string_equal(shared.machine->name, "two");
    assert_true(ow_retention_shortest(machines, NULL).ms == DAYS(7));
    assert_true(ow_retention_shortest(machines, "nobody's").ms == INT64_MAX);
}

static void compare__as_long_is_enough(void **state)
{
    const struct told told = compare(*state, "own", DAYS(45), true);
    assert_int_equal(told.level, OW_CHECK_GOOD);
    assert_string_equal(told.text, "it: reaches back 45d, claims are kept 45d");
}

static void compare__a_millisecond_less_is_warned_of(void **state)
{
    const struct told told = compare(*state, "own", DAYS(45) + 1, false);
    assert_int_equal(told.level, OW_CHECK_WARNING);
    assert_int_equal(told.status, OW_OK);
    assert_non_null(strstr(told.text, "claims only 45d (event one.one)"));
    assert_non_null(strstr(told.text, "or lower its reach"));
}

static void compare__strict_refuses(void **state)
{
    const struct told told = compare(*state, "shared", INT64_MAX, true);
    assert_int_equal(told.level, OW_CHECK_FAILED);
    assert_int_equal(told.status, OW_UNSAFE);
    assert_non_null(strstr(told.text, "reaches back for ever, claims only 7d (event two.late)"));
}

static struct told compare_skew(const struct ow_machines *machines, int64_t skew_ms, bool strict)
{
    struct told told = {.lines = 0};
    const struct ow_check check = {.line = take_line, .context = &told};
    const struct ow_retention_rule rule = {.machines = machines, .strict = strict};
    ow_retention_compare_skew(&rule, skew_ms, &check);
    assert_int_equal(told.lines, skew_ms < DAYS(7));
    return told;
}

static void skew__leaves_half_of_the_shortest_retention(void **state)
{
    assert_int_equal(compare_skew(*state, DAYS(7) / 2, true).level, OW_CHECK_GOOD);
    const struct told told = compare_skew(*state, DAYS(6), false);
    assert_int_equal(told.level, OW_CHECK_WARNING);
    assert_non_null(strstr(told.text, "kept 7d (event two.late): what comes more than 1d late"));
    assert_int_equal(compare_skew(*state, DAYS(7) / 2 + 1, true).status, OW_UNSAFE);
    assert_int_equal(compare_skew(*state, DAYS(7), true).status, OW_OK);
}

static void skew__as_long_as_the_shortest_retention__is_a_problem(void **state)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    assert_null(ow_retention_skew_problem(*state, DAYS(7) - 1, &arena));
    const char *const problem = ow_retention_skew_problem(*state, DAYS(7), &arena);
    assert_non_null(problem);
    assert_non_null(
        strstr(problem, "7d is no less than the 7d that claims are kept (event two.late"));
    const struct ow_machines none = {.count = 0};
    assert_null(ow_retention_skew_problem(&none, DAYS(100000), &arena));
    ow_arena_done(&arena);
}

/* Of machine one nothing is parked but one.two, and of two nothing but two.late. */
static void parking__longer_than_the_claims_are_kept__is_told(void **state)
{
    struct ow_machines *const machines = *state;
    struct told told = {.lines = 0};
    const struct ow_check check = {.line = take_line, .context = &told};
    struct ow_retention_rule rule = {.machines = machines, .strict = true};
    ow_retention_compare_parking(&rule, &check);
    assert_int_equal(told.lines, 2);
    assert_int_equal(told.level, OW_CHECK_GOOD);
    machines->list[1]->park_deadline_ms = DAYS(7);
    ow_retention_compare_parking(&rule, &check);
    assert_int_equal(told.level, OW_CHECK_GOOD);
    machines->list[1]->park_deadline_ms = DAYS(7) + 1;
    ow_retention_compare_parking(&rule, &check);
    assert_int_equal(told.status, OW_UNSAFE);
    rule.strict = false;
    ow_retention_compare_parking(&rule, &check);
    assert_int_equal(told.level, OW_CHECK_WARNING);
    assert_non_null(strstr(told.text, "claims are only kept 7d (event two.late)"));
    assert_int_equal(told.lines, 8);
}

static void unknown__is_warned_of_and_refused_with_its_own_status(void **state)
{
    struct told told = {.lines = 0};
    const struct ow_check check = {.line = take_line, .context = &told};
    struct ow_retention_rule rule = {.machines = *state};
    ow_retention_unknown(&rule, OW_TEMPORARY, "broker", "nobody answers", &check);
    assert_int_equal(told.level, OW_CHECK_WARNING);
    assert_int_equal(told.status, OW_OK);
    rule.strict = true;
    ow_retention_unknown(&rule, OW_TEMPORARY, "broker", "nobody answers", &check);
    assert_int_equal(told.level, OW_CHECK_FAILED);
    assert_int_equal(told.status, OW_TEMPORARY);
    assert_int_equal(told.lines, 2);
}

int ow_test_retention(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shortest__of_the_machines_that_read_the_topic),
        cmocka_unit_test(compare__as_long_is_enough),
        cmocka_unit_test(compare__a_millisecond_less_is_warned_of),
        cmocka_unit_test(compare__strict_refuses),
        cmocka_unit_test(skew__leaves_half_of_the_shortest_retention),
        cmocka_unit_test(skew__as_long_as_the_shortest_retention__is_a_problem),
        cmocka_unit_test(parking__longer_than_the_claims_are_kept__is_told),
        cmocka_unit_test(unknown__is_warned_of_and_refused_with_its_own_status),
    };
    return cmocka_run_group_tests_name("retention", tests, load, unload);
}
