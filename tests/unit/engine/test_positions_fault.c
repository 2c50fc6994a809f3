/* An order about positions, over a store that does not do a part of it: then nothing of it is done,
 * and the same order can be given again. */
#include "engine/positions.h"
#include "engine/source_memory.h"
#include "engine_fixture.h"
#include "groups.h"
#include "support/store/fault_vfs.h"

#include <sqlite3.h>

static struct ow_fixture *fixture;
static struct ow_memory_broker *broker;
static struct ow_source *source;
static struct ow_arena arena;
static struct ow_err err;

/* order-events[0] has nine records, of which five were handled. */
static int start(void **state)
{
    ow_fault_install();
    (void)ow_engine_start(state);
    fixture = *state;
    ow_arena_init(&arena, 65536);
    broker = ow_memory_broker_open();
    ow_memory_broker_topic(broker, "order-events", 1);
    ow_memory_broker_members(broker, 0);
    for (int64_t i = 0; i < 9; i++) {
        const struct ow_record record = ow_engine_story(fixture, i);
        ow_memory_broker_append(broker, &record);
    }
    source = ow_memory_source_open(broker);
    struct ow_world world = {0};
    struct ow_position position = {.topic = OW_SLICE("order-events"),
                                   .next_offset = 5,
                                   .high_offset = 5,
                                   .seen_committed = -1,
                                   .dirty = true};
    ow_world_reset(&world, &arena, &fixture->machines, 0);
    assert_int_equal(ow_store_begin(fixture->store, &world, &err), OW_OK);
    assert_int_equal(ow_store_write(fixture->store, &world, &position, &err), OW_OK);
    assert_int_equal(ow_store_commit(fixture->store, &world, &err), OW_OK);
    return 0;
}

static int stop(void **state)
{
    (void)source->ops->close(source, 0);
    ow_memory_broker_close(broker);
    ow_arena_done(&arena);
    (void)ow_engine_stop(state);
    ow_fault_remove();
    return 0;
}

static struct ow_consume_options options;
static struct ow_positions_order order;

/* To the beginning of the topic. */
static struct ow_positions_work plan(enum ow_positions_verb verb)
{
    options = (struct ow_consume_options){.source = source,
                                          .machines = &fixture->machines,
                                          .clock = ow_clock_manual(&fixture->clock),
                                          .store_id = ow_store_id(fixture->store),
                                          .epoch = ow_store_epoch(fixture->store)};
    order = (struct ow_positions_order){
        .verb = verb, .topic = "order-events", .partition = -1, .who = "who", .why = "why"};
    struct ow_positions_work work = {
        .options = &options, .store = fixture->store, .order = &order, .arena = &arena};
    assert_int_equal(ow_store_positions(fixture->store, &arena, &work.positions, &err), OW_OK);
    assert_int_equal(ow_positions_plan(&work, &err), OW_OK);
    assert_int_equal(work.count, 1);
    return work;
}

static void expect_nothing_done(void)
{
    assert_int_equal(ow_fixture_i64(fixture, "SELECT next_offset FROM ow_position"), 5);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT max(incarnation) FROM ow_position"), 0);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_audit"), 0);
}

static void expect_all_done(const struct ow_positions_work *work)
{
    if (ow_positions_apply(work, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_position"
                                             " WHERE next_offset = 0"),
                     1);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_audit"), 1);
}

static void change__that_the_store_cannot_do_in_full__is_not_done_at_all(void **state)
{
    static const struct {
        enum ow_positions_verb verb;
        const char *breaks, *mends;
    } steps[] = {
        {OW_POSITIONS_SET,   "ALTER TABLE ow_position RENAME TO away",
         "ALTER TABLE away RENAME TO ow_position"                                                                      },
        {OW_POSITIONS_SET,   "ALTER TABLE ow_ledger RENAME TO away",
         "ALTER TABLE away RENAME TO ow_ledger"                                                                        },
        {OW_POSITIONS_SET,
         "INSERT INTO ow_ledger (topic, partition, incarnation, first_offset, last_offset, outcome,"
         " records) VALUES ('order-events', 0, 0, 0, 1, 'nonsense', 2),"
         " ('order-events', 0, 0, 2, 4, 'applied', 3)",                                         "DELETE FROM ow_ledger"},
        {OW_POSITIONS_ADOPT, "ALTER TABLE ow_sighting RENAME TO away",
         "ALTER TABLE away RENAME TO ow_sighting"                                                                      },
        {OW_POSITIONS_SET,
         "CREATE TRIGGER no BEFORE INSERT ON ow_audit BEGIN SELECT RAISE(ABORT, 'no'); END",    "DROP TRIGGER no"      },
        {OW_POSITIONS_SET,
         "CREATE TRIGGER no BEFORE INSERT ON ow_position BEGIN SELECT RAISE(ABORT, 'no'); END", "DROP TRIGGER no"      },
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        (void)start(state);
        const struct ow_positions_work work = plan(steps[i].verb);
        ow_fixture_exec(fixture, steps[i].breaks);
        assert_int_not_equal(ow_positions_apply(&work, &err), OW_OK);
        ow_fixture_exec(fixture, steps[i].mends);
        expect_nothing_done();
        expect_all_done(&work);
        (void)stop(state);
    }
}

static void change__on_a_disk_that_is_full_at_any_write__is_not_done_at_all(void **state)
{
    int64_t at = 0;
    bool fired = true;
    while (fired) {
        at++;
        (void)start(state);
        const struct ow_positions_work work = plan(OW_POSITIONS_SET);
        ow_fault_arm(&(struct ow_fault){
            .call = OW_FAULT_WRITE, .at = at, .for_ever = true, .code = SQLITE_FULL});
        const enum ow_status status = ow_positions_apply(&work, &err);
        fired = ow_fault_disarm();
        assert_int_equal(status, fired ? OW_STORE_FULL : OW_OK);
        if (fired) {
            expect_nothing_done();
            expect_all_done(&work);
        }
        (void)stop(state);
    }
    assert_true(at > 1);
}

int ow_test_positions_fault(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(change__that_the_store_cannot_do_in_full__is_not_done_at_all),
        cmocka_unit_test(change__on_a_disk_that_is_full_at_any_write__is_not_done_at_all),
    };
    return cmocka_run_group_tests_name("positions_fault", tests, NULL, NULL);
}
