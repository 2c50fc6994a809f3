#include "engine/positions.h"
#include "engine/source_memory.h"
#include "engine_fixture.h"
#include "groups.h"
#include "store/position_survey.h"
#include "store/verify.h"
#include "support/engine/flaky_source.h"

/* What `onceward positions` asks and does, over the memory broker: order-events has three
 * partitions, of which the first two were begun. The stories are tests/transcripts/. */

enum { PARTITIONS = 3 };

static struct ow_fixture *fixture;
static struct ow_memory_broker *broker;
static struct ow_source *source;
static struct ow_arena arena;
static struct ow_err err;
static bool restored; /* what the next order is told */
static bool told;     /* whether the last one has told the group */

static void commit_in_epoch(int32_t partition, int64_t offset, const char *store_id, int64_t epoch)
{
    struct ow_partition_offset committed = {
        .topic = "order-events", .partition = partition, .offset = offset};
    ow_metadata_format(committed.metadata, store_id, epoch, offset);
    assert_int_equal(source->ops->commit(source, &committed, 1, true, &err), OW_OK);
}

static void commit_as(int32_t partition, int64_t offset, const char *store_id)
{
    commit_in_epoch(partition, offset, store_id, 1);
}

static void append(int32_t partition, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        struct ow_record record = ow_engine_story(fixture, i);
        record.topic = OW_SLICE("order-events");
        record.partition = partition;
        record.offset = 0;
        ow_memory_broker_append(broker, &record);
    }
}

/* A position that has begun at an offset, with nothing in its ledger. */
static void begin_at(int32_t partition, int64_t offset)
{
    struct ow_world world = {0};
    struct ow_position position = {.topic = OW_SLICE("order-events"),
                                   .partition = partition,
                                   .next_offset = offset,
                                   .high_offset = offset,
                                   .seen_committed = -1,
                                   .dirty = true};
    ow_world_reset(&world, &arena, &fixture->machines, 0);
    assert_int_equal(ow_store_begin(fixture->store, &world, &err), OW_OK);
    assert_int_equal(ow_store_write(fixture->store, &world, &position, &err), OW_OK);
    assert_int_equal(ow_store_commit(fixture->store, &world, &err), OW_OK);
}

static int start(void **state)
{
    (void)ow_engine_start(state);
    fixture = *state;
    ow_arena_init(&arena, 65536);
    restored = false;
    broker = ow_memory_broker_open();
    ow_memory_broker_topic(broker, "order-events", PARTITIONS);
    ow_memory_broker_topic(broker, "payment-events", 1);
    ow_memory_broker_members(broker, 0);
    source = ow_memory_source_open(broker);
    append(0, 9);
    append(1, 4);
    append(2, 2);
    begin_at(0, 5);
    begin_at(1, 4);
    return 0;
}

static int stop(void **state)
{
    (void)source->ops->close(source, 0);
    ow_memory_broker_close(broker);
    ow_arena_done(&arena);
    return ow_engine_stop(state);
}

static struct ow_consume_options options_over(struct ow_source *over)
{
    return (struct ow_consume_options){.source = over,
                                       .machines = &fixture->machines,
                                       .clock = ow_clock_manual(&fixture->clock),
                                       .store_id = ow_store_id(fixture->store),
                                       .epoch = ow_store_epoch(fixture->store)};
}

static struct ow_positions_row *list_over(struct ow_source *over, size_t *ret_count,
                                          const char **ret_silent)
{
    struct ow_position_survey survey;
    if (ow_position_survey(fixture->path, &arena, &survey, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(survey.store_id, ow_store_id(fixture->store));
    const struct ow_consume_options options = options_over(over);
    return ow_positions_list(&options, survey.positions, &arena, ret_count, ret_silent);
}

static void list__what_the_group_has__is_told_with_whose_it_is_and_what_follows(void **state)
{
    (void)state;
    size_t count = 0;
    const char *silent = NULL;
    commit_as(0, 5, ow_store_id(fixture->store));
    commit_as(1, 4, "another");
    ow_memory_broker_reset(broker, "order-events", 2, 1);
    const struct ow_positions_row *rows = list_over(source, &count, &silent);
    assert_null(silent);
    assert_int_equal(count, PARTITIONS + 1);
    assert_int_equal(rows[0].by, OW_POSITIONS_BY_OURS);
    assert_int_equal(rows[0].next.resume, OW_RESUME_STORED);
    assert_int_equal(rows[0].next.offset, 5);
    assert_int_equal(rows[0].low, 0);
    assert_int_equal(rows[0].end, 9);
    assert_int_equal(rows[1].by, OW_POSITIONS_BY_OTHER_STORE);
    assert_non_null(strstr(rows[1].refused, "another onceward store"));
    assert_null(rows[2].position);
    assert_int_equal(rows[2].by, OW_POSITIONS_BY_OPERATOR);
    assert_int_equal(rows[2].next.resume, OW_RESUME_COMMITTED);
    assert_int_equal(rows[2].next.offset, 1);
    assert_string_equal(rows[3].topic, "payment-events");
    assert_int_equal(rows[3].by, OW_POSITIONS_BY_NONE);
    assert_int_equal(rows[3].next.resume, OW_RESUME_START);
}

static void list__positions_of_what_is_no_more__are_told(void **state)
{
    (void)state;
    size_t count = 0;
    const char *silent = NULL;
    begin_at(PARTITIONS + 1, 7);
    ow_fixture_exec(fixture, "UPDATE ow_position SET topic = 'of-nobody' WHERE partition = 1");
    const struct ow_positions_row *rows = list_over(source, &count, &silent);
    assert_int_equal(count, PARTITIONS + 3);
    assert_int_equal(rows[PARTITIONS].partition, PARTITIONS + 1);
    assert_false(rows[PARTITIONS].asked);
    assert_non_null(strstr(rows[PARTITIONS].refused, "no such partition any more"));
    assert_string_equal(rows[PARTITIONS + 2].topic, "of-nobody");
    assert_non_null(strstr(rows[PARTITIONS + 2].refused, "no machine reads"));
}

static void list__what_the_group_has_of_ours__moved_by_somebody__is_an_operators(void **state)
{
    (void)state;
    size_t count = 0;
    const char *silent = NULL;
    struct ow_partition_offset moved = {.topic = "order-events", .offset = 3};
    ow_metadata_format(moved.metadata, ow_store_id(fixture->store), 1, 5);
    assert_int_equal(source->ops->commit(source, &moved, 1, true, &err), OW_OK);
    const struct ow_positions_row *rows = list_over(source, &count, &silent);
    assert_int_equal(rows[0].by, OW_POSITIONS_BY_OPERATOR);
    assert_int_equal(rows[0].committed, 3);
    assert_int_equal(rows[0].next.resume, OW_RESUME_REWOUND);
}

/* Other brokers: order-events has many partitions, all empty, and payment-events is not there. */
static struct ow_source *open_elsewhere(struct ow_memory_broker **ret_elsewhere, int32_t partitions)
{
    *ret_elsewhere = ow_memory_broker_open();
    ow_memory_broker_topic(*ret_elsewhere, "order-events", partitions);
    ow_memory_broker_members(*ret_elsewhere, 0);
    return ow_memory_source_open(*ret_elsewhere);
}

static void list__many_partitions_and_a_topic_that_is_gone__tells_each(void **state)
{
    enum { MANY = 200 };
    (void)state;
    size_t count = 0;
    const char *silent = NULL;
    struct ow_memory_broker *elsewhere = NULL;
    struct ow_source *const over = open_elsewhere(&elsewhere, MANY);
    ow_fixture_exec(fixture, "UPDATE ow_position SET topic = 'payment-events', partition = 0"
                             " WHERE partition = 1");
    const struct ow_positions_row *rows = list_over(over, &count, &silent);
    assert_null(silent);
    assert_int_equal(count, MANY + 1);
    assert_int_equal(rows[0].position->next_offset, 5);
    assert_non_null(strstr(rows[0].refused, "the topic ends at offset 0"));
    for (int32_t i = 1; i < MANY; i++) {
        assert_string_equal(rows[i].topic, "order-events");
        assert_int_equal(rows[i].partition, i);
        assert_true(rows[i].asked && rows[i].position == NULL && rows[i].refused == NULL);
    }
    assert_string_equal(rows[MANY].topic, "payment-events");
    assert_int_equal(rows[MANY].position->next_offset, 4);
    assert_false(rows[MANY].asked);
    assert_string_equal(rows[MANY].refused, "there is no such topic");
    (void)over->ops->close(over, 0);
    ow_memory_broker_close(elsewhere);
}

/* Each question fails, each time it is asked. How often any did. */
static int64_t sweep(bool (*try)(struct ow_source *over))
{
    static const enum ow_flaky_op ops[] = {OW_FLAKY_PARTITION_COUNT, OW_FLAKY_MEMBER_COUNT,
                                           OW_FLAKY_COMMITTED, OW_FLAKY_BOUNDS,
                                           OW_FLAKY_OFFSET_FOR_TIME};
    int64_t fired = 0;
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        struct ow_flaky flaky = {.fired = true};
        for (int64_t at = 1; flaky.fired; at++) {
            ow_flaky_open(&flaky, source);
            flaky.op = ops[i];
            flaky.at = at;
            flaky.status = OW_TEMPORARY;
            const bool whole = try(&flaky.source);
            assert_int_equal(whole, !flaky.fired);
            fired += flaky.fired;
        }
    }
    return fired;
}

static bool try_list(struct ow_source *over)
{
    size_t count = 0;
    const char *silent = NULL;
    const struct ow_positions_row *rows = list_over(over, &count, &silent);
    assert_true(count >= 2);
    assert_int_equal(rows[0].position->next_offset, 5);
    assert_int_equal(rows[1].position->next_offset, 4);
    return silent == NULL;
}

static void list__no_answer_to_any_question__tells_what_the_store_knows(void **state)
{
    (void)state;
    assert_int_equal(sweep(try_list), 2 + 1 + PARTITIONS + 1);
}

static struct ow_positions_order order_of(enum ow_positions_verb verb, int32_t partition)
{
    return (struct ow_positions_order){.verb = verb,
                                       .topic = "order-events",
                                       .partition = partition,
                                       .who = "who",
                                       .why = "a \"why\""};
}

static enum ow_status change_over(struct ow_source *over, const struct ow_positions_order *order,
                                  struct ow_positions_work *work)
{
    static struct ow_consume_options options;
    options = options_over(over);
    options.restored = restored;
    *work = (struct ow_positions_work){
        .options = &options, .store = fixture->store, .order = order, .arena = &arena};
    OW_TRY(ow_store_positions(fixture->store, &arena, &work->positions, &err));
    OW_TRY(ow_positions_plan(work, &err));
    OW_TRY(ow_positions_apply(work, &err));
    return ow_positions_tell(work, &told, &err);
}

static bool try_set(struct ow_source *over)
{
    struct ow_positions_work work;
    struct ow_positions_order order = order_of(OW_POSITIONS_SET, 0);
    order.target = OW_POSITIONS_TO_TIME;
    const enum ow_status status = change_over(over, &order, &work);
    const int64_t audits = ow_fixture_i64(fixture, "SELECT count(*) FROM ow_audit");
    if (status == OW_OK) {
        ow_fixture_exec(fixture, "DELETE FROM ow_audit");
        assert_int_equal(audits, 1);
        return true;
    }
    assert_int_equal(status, OW_TEMPORARY);
    assert_int_equal(audits, 0);
    return false;
}

static void set__no_answer_to_any_question__changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(sweep(try_set), 5);
}

static void set__the_group_does_not_take_it__is_set_all_the_same(void **state)
{
    (void)state;
    struct ow_flaky flaky;
    struct ow_positions_work work;
    const struct ow_positions_order order = order_of(OW_POSITIONS_SET, 0);
    ow_flaky_open(&flaky, source);
    flaky.op = OW_FLAKY_COMMIT;
    flaky.at = 1;
    flaky.status = OW_TEMPORARY;
    ow_memory_broker_reset(broker, "order-events", 0, 3);
    assert_int_equal(change_over(&flaky.source, &order, &work), OW_OK);
    assert_false(told);
    assert_string_equal(ow_positions_did_text(work.list[0].did), "rewound");
    assert_int_equal(
        ow_fixture_i64(fixture, "SELECT next_offset FROM ow_position WHERE partition = 0"), 0);
    assert_int_equal(
        ow_fixture_i64(fixture, "SELECT seen_committed FROM ow_position WHERE partition = 0"), 3);
    assert_string_equal(ow_fixture_text(fixture, "SELECT why FROM ow_audit"), "a \"why\"");
}

/* The group has what a start refuses, and cannot be told: then it must be given again. */
static void change_twice(const struct ow_positions_order *order)
{
    struct ow_flaky flaky;
    struct ow_positions_work work;
    ow_flaky_open(&flaky, source);
    flaky.op = OW_FLAKY_COMMIT;
    flaky.at = 1;
    flaky.status = OW_TEMPORARY;
    assert_int_equal(change_over(&flaky.source, order, &work), OW_TEMPORARY);
    assert_non_null(strstr(err.text, "give the command again"));
    assert_false(told);
    assert_int_equal(change_over(source, order, &work), OW_OK);
    assert_true(told);
    assert_int_equal(work.count, 1);
    struct ow_partition_offset committed = {.topic = "order-events"};
    assert_int_equal(source->ops->committed(source, &committed, 1, &err), OW_OK);
    const struct ow_metadata metadata = ow_metadata_parse(ow_slice_of(committed.metadata));
    assert_string_equal(metadata.store_id, ow_store_id(fixture->store));
    assert_int_equal(metadata.epoch, ow_store_epoch(fixture->store));
}

static void change__untold_of_what_a_start_refuses__must_be_given_again(void **state)
{
    static const enum ow_positions_verb verbs[] = {OW_POSITIONS_ACCEPT_LOST, OW_POSITIONS_SET,
                                                   OW_POSITIONS_ADOPT};
    (void)state;
    ow_memory_broker_delete(broker, "order-events", 0, 8);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        struct ow_positions_order order = order_of(verbs[i], 0);
        order.foreign = true;
        commit_as(0, 9, "another");
        change_twice(&order);
        order.foreign = false;
        restored = true;
        commit_in_epoch(0, 9, ow_store_id(fixture->store), 99);
        change_twice(&order);
        restored = false;
    }
}

static void expect_refused(const struct ow_positions_order *order, enum ow_status status,
                           const char *says)
{
    struct ow_positions_work work;
    assert_int_equal(change_over(source, order, &work), status);
    if (strstr(err.text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", err.text, says);
    }
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_audit"), 0);
}

static void change__what_cannot_be__is_refused(void **state)
{
    (void)state;
    struct ow_positions_order order = order_of(OW_POSITIONS_SET, PARTITIONS);
    expect_refused(&order, OW_BAD_CONFIG, "has the partitions 0 to 2");
    order.topic = "of-nobody";
    expect_refused(&order, OW_BAD_CONFIG, "no machine reads");
    order = order_of(OW_POSITIONS_SET, 0);
    order.target = OW_POSITIONS_TO_LATEST;
    expect_refused(&order, OW_BAD_CONFIG, "the 4 offsets from 5 to 8 would never be handled");
    ow_memory_broker_members(broker, 2);
    expect_refused(&order, OW_TEMPORARY, "somebody is in the group (2)");
}

static void set__to_an_offset_outside_the_topic__is_refused(void **state)
{
    (void)state;
    struct ow_positions_order order = order_of(OW_POSITIONS_SET, 0);
    order.target = OW_POSITIONS_TO_OFFSET;
    order.skip = true;
    order.offset = 10;
    expect_refused(&order, OW_BAD_CONFIG, "offset 10 is not in the topic, which reaches from 0 to");
    ow_memory_broker_delete(broker, "order-events", 0, 3);
    order.offset = 2;
    expect_refused(&order, OW_BAD_CONFIG, "offset 2 is not in the topic, which reaches from 3 to");
}

static void set__of_a_topic_that_is_not_there__asks_for_it_later(void **state)
{
    (void)state;
    struct ow_positions_work work;
    struct ow_memory_broker *elsewhere = NULL;
    struct ow_source *const over = open_elsewhere(&elsewhere, 1);
    struct ow_positions_order order = order_of(OW_POSITIONS_SET, 0);
    order.topic = "payment-events";
    assert_int_equal(change_over(over, &order, &work), OW_TEMPORARY);
    assert_string_equal(err.text, "there is no topic 'payment-events' on the brokers");
    (void)over->ops->close(over, 0);
    ow_memory_broker_close(elsewhere);
}

/* What we have committed was moved by hand: it is kept in mind, and is not honoured after this. */
static void set__over_our_commit_that_was_moved__keeps_what_was_seen(void **state)
{
    (void)state;
    struct ow_positions_work work;
    const struct ow_positions_order order = order_of(OW_POSITIONS_SET, 0);
    struct ow_partition_offset moved = {.topic = "order-events", .offset = 3};
    ow_metadata_format(moved.metadata, ow_store_id(fixture->store), 1, 5);
    assert_int_equal(source->ops->commit(source, &moved, 1, true, &err), OW_OK);
    assert_int_equal(change_over(source, &order, &work), OW_OK);
    assert_int_equal(work.list[0].seen_committed, 3);
    assert_int_equal(
        ow_fixture_i64(fixture, "SELECT seen_committed FROM ow_position WHERE partition = 0"), 3);
    commit_as(0, 0, ow_store_id(fixture->store));
    assert_int_equal(change_over(source, &order, &work), OW_OK);
    assert_int_equal(work.list[0].seen_committed, -1);
}

/* There is nothing in the store that a start could tell it from. */
static void set__of_what_was_never_begun__untold__fails(void **state)
{
    (void)state;
    struct ow_flaky flaky;
    struct ow_positions_work work;
    const struct ow_positions_order order = order_of(OW_POSITIONS_SET, 2);
    ow_flaky_open(&flaky, source);
    flaky.op = OW_FLAKY_COMMIT;
    flaky.at = 1;
    flaky.status = OW_TEMPORARY;
    assert_int_equal(change_over(&flaky.source, &order, &work), OW_TEMPORARY);
    assert_string_equal(err.text, "commit fails");
    assert_false(told);
    assert_int_equal(work.list[0].did, OW_POSITIONS_STARTED);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_position"), 2);
}

static void change__store_of_another_owner__leaves_all_as_it_was(void **state)
{
    (void)state;
    const struct ow_positions_order order = order_of(OW_POSITIONS_ADOPT, -1);
    ow_fixture_exec(fixture, "UPDATE ow_meta SET value = value + 1 WHERE key = 'epoch'");
    expect_refused(&order, OW_UNSAFE, "another process owns the store");
    assert_int_equal(ow_fixture_i64(fixture, "SELECT max(incarnation) FROM ow_position"), 0);
}

/* And of a partition that was never begun nothing is adopted, nor lost. */
static void change__all_partitions__leaves_a_store_that_is_whole(void **state)
{
    (void)state;
    struct ow_positions_work work;
    struct ow_positions_order order = order_of(OW_POSITIONS_ACCEPT_LOST, -1);
    assert_int_equal(change_over(source, &order, &work), OW_OK);
    assert_int_equal(work.count, 0);
    ow_memory_broker_delete(broker, "order-events", 0, 8);
    assert_int_equal(change_over(source, &order, &work), OW_OK);
    assert_int_equal(work.count, 1);
    assert_int_equal(work.list[0].left_out, 3);
    order = order_of(OW_POSITIONS_ADOPT, -1);
    assert_int_equal(change_over(source, &order, &work), OW_OK);
    assert_int_equal(work.count, 2);
    assert_int_equal(ow_memory_broker_committed(broker, "order-events", 0), 8);
    assert_int_equal(ow_memory_broker_committed(broker, "order-events", 2), -1);
    struct ow_verification verification = {.ok = false};
    assert_int_equal(ow_verify(fixture->path, &arena, &verification, &err), OW_OK);
    for (size_t i = 0; i < verification.promise_count; i++) {
        if (verification.promises[i].broken > 0) {
            fail_msg("%s: %s", verification.promises[i].name, verification.promises[i].examples[0]);
        }
    }
}

int ow_test_positions(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(list__what_the_group_has__is_told_with_whose_it_is_and_what_follows),
        TEST(list__positions_of_what_is_no_more__are_told),
        TEST(list__what_the_group_has_of_ours__moved_by_somebody__is_an_operators),
        TEST(list__many_partitions_and_a_topic_that_is_gone__tells_each),
        TEST(list__no_answer_to_any_question__tells_what_the_store_knows),
        TEST(set__no_answer_to_any_question__changes_nothing),
        TEST(set__the_group_does_not_take_it__is_set_all_the_same),
        TEST(change__untold_of_what_a_start_refuses__must_be_given_again),
        TEST(change__what_cannot_be__is_refused),
        TEST(set__to_an_offset_outside_the_topic__is_refused),
        TEST(set__of_a_topic_that_is_not_there__asks_for_it_later),
        TEST(set__over_our_commit_that_was_moved__keeps_what_was_seen),
        TEST(set__of_what_was_never_begun__untold__fails),
        TEST(change__store_of_another_owner__leaves_all_as_it_was),
        TEST(change__all_partitions__leaves_a_store_that_is_whole),
    };
#undef TEST
    return cmocka_run_group_tests_name("positions", tests, NULL, NULL);
}
