/* The poll loop on its way to the end, over topics that come and go, and over a store that does not
 * take an assignment. */
#include "engine/assign.h"
#include "groups.h"
#include "member_fixture.h"
#include "support/store/fault_vfs.h"

/* Time passes when it is looked at. */
static int64_t poll_ns;

static int64_t look_ns(void *context)
{
    (void)context;
    poll_ns += 250000000; /* less than what the poll loop takes for a silence */
    return poll_ns;
}

static bool order_events_is_gone;

static enum ow_status count_without_orders(struct ow_source *source, const char *topic,
                                           int32_t *ret_count, struct ow_err *err)
{
    OW_TRY(ow_member.inner->partition_count(source, topic, ret_count, err));
    if (order_events_is_gone && strcmp(topic, "order-events") == 0) {
        *ret_count = 0;
    }
    return OW_OK;
}

static enum ow_status unassign_and_delete(struct ow_source *source, struct ow_err *err)
{
    order_events_is_gone = true;
    return ow_member.inner->unassign(source, err);
}

static void until_end__without_a_topic_that_was_read_to_its_end__goes_on(void **state)
{
    (void)state;
    ow_memory_broker_topic(ow_member.broker, "payment-events", 1);
    ow_member_append_story(0, 0);
    for (int i = 0; i < 5; i++) {
        const char *const id = ow_arena_printf(&ow_member.fixture->kept, "x%d", i);
        struct ow_record record =
            ow_engine_event(ow_member.fixture, id, "order.cancelled", "E0", "");
        record.topic = OW_SLICE("payment-events");
        ow_memory_broker_append(ow_member.broker, &record);
    }
    order_events_is_gone = false;
    ow_member_join(1, 0);
    ow_member.ops.partition_count = count_without_orders;
    ow_member.ops.unassign = unassign_and_delete;
    ow_member.flaky.rebalance_at = 4;
    const struct ow_consume_options options = ow_member_options();
    ow_member_consume(&options);
    assert_true(order_events_is_gone);
    assert_int_equal(ow_worker_totals(ow_member.worker).records, 6);
    ow_member_leave();
    assert_int_equal(ow_memory_broker_committed(ow_member.broker, "payment-events", 0), 5);
}

/* Nothing comes any more, and the broker refuses to say why. */
static void silent_poll(struct ow_source *source, int timeout_ms, struct ow_source_event *ret_event)
{
    if (ow_member.polls++ == 0) {
        ow_member.inner->poll(source, timeout_ms, ret_event); /* the assignment */
        return;
    }
    assert_true(ow_member.polls < 240); /* bounded */
    ow_member.flaky.op = OW_FLAKY_PARTITION_COUNT;
    *ret_event = (struct ow_source_event){.kind = OW_SOURCE_IDLE};
}

static void until_end__of_a_silent_topic_that_may_not_be_asked_for__is_said(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    ow_member_append_story(0, 9);
    ow_member_join(64, 0);
    ow_member.ops.poll = silent_poll;
    ow_member.flaky.at = 1;
    ow_member.flaky.status = OW_BAD_CONFIG;
    struct ow_consume_options options = ow_member_options();
    options.clock.elapsed_ns = look_ns;
    options.wait_broker_ms = 60000;
    assert_int_equal(ow_consume(&options, &err), OW_BAD_CONFIG);
    assert_string_equal(err.text, "partition_count fails");
    ow_member_leave();
    ow_member_goes_on_to(10);
}

static struct ow_progress told;

static void note_progress(const struct ow_progress *progress, void *context)
{
    (void)context;
    assert_true(progress->done >= told.done);
    assert_true(progress->done <= progress->goal);
    told = *progress;
}

static void progress__while_records_become_durable__rises_to_the_goal(void **state)
{
    (void)state;
    ow_member_append_story(0, 9);
    ow_member_join(1, 0);
    told = (struct ow_progress){0};
    struct ow_consume_options options = ow_member_options();
    options.clock.elapsed_ns = look_ns;
    options.wait_broker_ms = 60000;
    options.progress = note_progress;
    ow_member_consume(&options);
    ow_member_leave();
    assert_int_equal(told.goal, 10);
    assert_int_equal(told.done, 9); /* the last one ends the loop, and nobody asks any more */
}

/* kafka.start is for a topic's first start, however many of its partitions are known. */
static void start_latest__of_a_third_partition__begins_at_its_beginning(void **state)
{
    (void)state;
    ow_memory_broker_close(ow_member.broker);
    for (int32_t partitions = 2; partitions <= 3; partitions++) {
        ow_member.broker = ow_memory_broker_open();
        ow_memory_broker_topic(ow_member.broker, "order-events", partitions);
        struct ow_record record =
            ow_engine_event(ow_member.fixture, "n", "order.dispatched", "N", "");
        record.partition = 2;
        if (partitions == 3) {
            ow_memory_broker_append(ow_member.broker, &record);
        }
        ow_member_join(64, 0);
        struct ow_consume_options options = ow_member_options();
        options.start = OW_START_LATEST;
        ow_member_consume(&options);
        assert_int_equal(ow_worker_totals(ow_member.worker).records, partitions - 2);
        ow_member_leave();
        if (partitions == 2) {
            ow_memory_broker_close(ow_member.broker);
        }
    }
}

/* Between the plan and its application. */
static enum ow_status committed_and_disk_full(struct ow_source *source,
                                              struct ow_partition_offset *list, size_t count,
                                              struct ow_err *err)
{
    ow_fault_arm(
        &(struct ow_fault){.call = OW_FAULT_WRITE, .at = 1, .for_ever = true, .code = SQLITE_FULL});
    return ow_member.inner->committed(source, list, count, err);
}

static void assignment__that_was_not_stored__commits_nothing_and_is_no_start(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    ow_member_append_story(0, 9);
    ow_member_join(64, 0);
    ow_member.ops.committed = committed_and_disk_full;
    ow_member.flaky.op = OW_FLAKY_COMMIT; /* counts, and never fails */
    struct ow_consume_options options = ow_member_options();
    assert_int_equal(ow_consume(&options, &err), OW_STORE_FULL);
    assert_true(ow_fault_disarm());
    assert_int_equal(ow_member.flaky.calls, 0);
    assert_int_equal(ow_memory_broker_committed(ow_member.broker, "order-events", 0), -1);
    /* The worker knows the partition by now, and still the next plan is of its first start. */
    ow_member.ops.committed = ow_member.inner->committed;
    options.start = OW_START_LATEST;
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    struct ow_assignment_plan plan;
    assert_int_equal(ow_assign_plan(&options, NULL, 0, &arena, &plan, &err), OW_OK);
    assert_int_equal(plan.count, 1);
    assert_int_equal(plan.assigned[0].resume, OW_RESUME_START);
    assert_int_equal(plan.assigned[0].offset, 10);
    ow_arena_done(&arena);
    ow_member_leave();
    ow_member_goes_on_to(10);
}

#define WITH_BROKER(test) cmocka_unit_test_setup_teardown(test, ow_member_start, ow_member_stop)

int ow_test_consume_end(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_BROKER(until_end__without_a_topic_that_was_read_to_its_end__goes_on),
        WITH_BROKER(until_end__of_a_silent_topic_that_may_not_be_asked_for__is_said),
        WITH_BROKER(progress__while_records_become_durable__rises_to_the_goal),
        WITH_BROKER(start_latest__of_a_third_partition__begins_at_its_beginning),
        WITH_BROKER(assignment__that_was_not_stored__commits_nothing_and_is_no_start),
    };
    return cmocka_run_group_tests_name("consume_end", tests, NULL, NULL);
}
