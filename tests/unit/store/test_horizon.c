/*
 * Horizons of event types whose retention was changed: what was claimed under the old one and
 * pruned is covered, and nothing else is.
 */
#include "groups.h"
#include "store/internal.h"
#include "store/verify.h"
#include "support/store/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HOUR_MS INT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)
#define MACHINE(name, version, made, moved, gone)                                                  \
    "machine: " name "\nversion: " version "\ntopics: [order-events]\n"                            \
    "message: { format: cloudevents, entity: /data/order_id }\n"                                   \
    "entity: { table: things, key: thing_id, columns: { size: { type: integer } } }\n"             \
    "states: { new: {}, old: {}, out: {} }\n"                                                      \
    "events:\n"                                                                                    \
    "  made: { claim: { retention: " made " }, transitions: [ { from: none, to: new } ] }\n"       \
    "  moved: { claim: { retention: " moved " }, transitions: [ { from: new, to: old } ] }\n"      \
    "  gone: { claim: { retention: " gone " }, transitions: [ { from: old, to: out } ] }\n"

static int start(void **state)
{
    static struct ow_fixture fixture;
    ow_fixture_init_with(&fixture, MACHINE("things", "1", "1d", "1d", "30d"));
    ow_fixture_open(&fixture);
    *state = &fixture;
    return 0;
}

static int stop(void **state)
{
    ow_fixture_done(*state);
    return 0;
}

/* Another process, with another machine file. */
static void restart(struct ow_fixture *fixture, const char *machine)
{
    ow_fixture_close(fixture);
    if (machine != NULL) {
        ow_machines_done(&fixture->machines);
        ow_fixture_load_machine(&fixture->machines, machine);
    }
    ow_fixture_open(fixture);
}

static int64_t take(struct ow_fixture *fixture, const char *id, const char *type)
{
    const int64_t now_ms = fixture->clock.now_ms;
    (void)ow_fixture_event(fixture, id, type, id, "");
    return now_ms;
}

static int64_t horizon(const struct ow_fixture *fixture, const char *type)
{
    const struct ow_machine *machine = fixture->machines.list[0];
    return ow_store_horizon_ms(fixture->store, machine,
                               ow_machine_event(machine, ow_slice_of(type)), 0);
}

static void pass(struct ow_fixture *fixture, int64_t ms)
{
    fixture->clock.now_ms += ms;
    ow_fixture_tend(fixture, fixture->clock.now_ms);
}

static void must_verify(struct ow_fixture *fixture)
{
    struct ow_arena arena;
    struct ow_verification found;
    ow_arena_init(&arena, 65536);
    assert_int_equal(ow_verify(fixture->path, &arena, &found, &fixture->err), OW_OK);
    for (size_t i = 0; i < found.promise_count; i++) {
        if (found.promises[i].broken > 0) {
            fail_msg("%s: %s", found.promises[i].name, found.promises[i].examples[0]);
        }
    }
    ow_arena_done(&arena);
}

static void horizon__without_pruning__is_none(void **state)
{
    struct ow_fixture *fixture = *state;
    take(fixture, "a", "made");
    restart(fixture, MACHINE("things", "2", "30d", "1d", "30d"));
    assert_int_equal(horizon(fixture, "made"), INT64_MIN);
    assert_int_equal(horizon(fixture, "moved"), INT64_MIN);
}

static void retention_raised__what_was_pruned_under_the_old_one__is_covered(void **state)
{
    struct ow_fixture *fixture = *state;
    const int64_t first_ms = take(fixture, "a", "made");
    restart(fixture, MACHINE("things", "2", "30d", "1d", "30d"));
    take(fixture, "b", "made");
    take(fixture, "c", "moved");
    pass(fixture, DAY_MS + 2 * HOUR_MS);
    must_verify(fixture);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_claims"), 1);
    assert_true(horizon(fixture, "made") >= first_ms);
    assert_int_equal(horizon(fixture, "gone"), INT64_MIN);
    restart(fixture, NULL);
    assert_true(horizon(fixture, "made") >= first_ms);
    must_verify(fixture);
}

static void retention_raised__horizon_of_the_old_one__counts_until_the_change(void **state)
{
    struct ow_fixture *fixture = *state;
    take(fixture, "a", "made");
    fixture->clock.now_ms += HOUR_MS;
    const int64_t changed_ms = fixture->clock.now_ms;
    restart(fixture, MACHINE("things", "2", "30d", "1d", "30d"));
    for (int day = 0; day < 10; day++) { /* that class goes on */
        take(fixture, (const char[2]){(char)('b' + day), 0}, "moved");
        pass(fixture, DAY_MS);
        fixture->clock.now_ms += HOUR_MS;
    }
    assert_int_equal(horizon(fixture, "made"), changed_ms);
    assert_true(horizon(fixture, "moved") > changed_ms + 8 * DAY_MS);
    assert_int_equal(horizon(fixture, "gone"), INT64_MIN);
    restart(fixture, MACHINE("things", "3", "30d", "30d", "30d"));
    assert_int_equal(horizon(fixture, "made"), changed_ms);
    assert_int_equal(horizon(fixture, "gone"), INT64_MIN);
    must_verify(fixture);
}

static void retention_there_and_back__counts_until_it_was_left_last(void **state)
{
    struct ow_fixture *fixture = *state;
    restart(fixture, MACHINE("things", "2", "30d", "1d", "30d"));
    fixture->clock.now_ms += HOUR_MS;
    restart(fixture, MACHINE("things", "3", "1d", "1d", "30d"));
    const int64_t last_ms = take(fixture, "a", "made");
    restart(fixture, MACHINE("things", "4", "30d", "1d", "30d"));
    pass(fixture, DAY_MS + 2 * HOUR_MS);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_claims"), 0);
    assert_true(horizon(fixture, "made") >= last_ms);
}

static void machine_renamed__classes_of_the_old_one__count(void **state)
{
    struct ow_fixture *fixture = *state;
    const int64_t taken_ms = take(fixture, "a", "made");
    ow_fixture_exec(fixture, "ALTER TABLE things RENAME TO were"); /* a table has one machine */
    restart(fixture, MACHINE("others", "1", "30d", "1d", "30d"));
    pass(fixture, DAY_MS + 2 * HOUR_MS);
    assert_true(horizon(fixture, "made") >= taken_ms);
    assert_int_equal(horizon(fixture, "gone"), INT64_MIN);
    ow_fixture_exec(fixture, "DROP TABLE things");
    ow_fixture_exec(fixture, "ALTER TABLE were RENAME TO things");
    restart(fixture, MACHINE("things", "1", "1d", "1d", "30d"));
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_meta WHERE key ="
                                             " 'replaced_at_ms.things.1'"),
                     0);
}

/* The clock was set back before the change: claims have later times than now. */
static void replaced_under_a_clock_that_is_behind__counts_until_its_last_claim(void **state)
{
    struct ow_fixture *fixture = *state;
    const int64_t taken_ms = take(fixture, "a", "made");
    fixture->clock.now_ms -= 100 * DAY_MS;
    restart(fixture, MACHINE("things", "2", "30d", "1d", "30d"));
    fixture->clock.now_ms += 100 * DAY_MS;
    pass(fixture, DAY_MS + 2 * HOUR_MS);
    assert_true(horizon(fixture, "made") >= taken_ms);
}

static void version_that_cannot_be_read__counts_with_all_classes(void **state)
{
    struct ow_fixture *fixture = *state;
    take(fixture, "a", "made");
    const int64_t changed_ms = fixture->clock.now_ms;
    restart(fixture, MACHINE("things", "2", "1d", "1d", "30d"));
    ow_fixture_close(fixture);
    ow_fixture_exec(fixture, "UPDATE ow_machine SET text = '{' WHERE version = 1");
    ow_fixture_open(fixture);
    take(fixture, "b", "made");
    pass(fixture, DAY_MS + 2 * HOUR_MS);
    assert_int_equal(horizon(fixture, "gone"), changed_ms);
    assert_true(horizon(fixture, "made") > changed_ms);
}

int ow_test_horizon(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(horizon__without_pruning__is_none),
        TEST(retention_raised__what_was_pruned_under_the_old_one__is_covered),
        TEST(retention_raised__horizon_of_the_old_one__counts_until_the_change),
        TEST(retention_there_and_back__counts_until_it_was_left_last),
        TEST(machine_renamed__classes_of_the_old_one__count),
        TEST(replaced_under_a_clock_that_is_behind__counts_until_its_last_claim),
        TEST(version_that_cannot_be_read__counts_with_all_classes),
    };
#undef TEST
    return cmocka_run_group_tests_name("horizon", tests, NULL, NULL);
}
