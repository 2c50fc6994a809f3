/* The poll loop where records come from nowhere, and at the limits of its patience. */
#include "groups.h"
#include "member_fixture.h"

static void no_stop_flag__is_no_stop(void **state)
{
    (void)state;
    ow_member_append_story(0, 9);
    ow_member_join(64, 0);
    struct ow_consume_options options = ow_member_options();
    options.stop = NULL;
    ow_member_consume(&options);
    ow_member_leave();
    ow_member_goes_on_to(10);
}

static void no_partitions_at_all__is_temporary_after_a_while(void **state)
{
    (void)state;
    ow_memory_broker_close(ow_member.broker);
    ow_member.broker = ow_memory_broker_open(); /* the topics are not there yet */
    ow_member_join(64, 0);
    struct ow_consume_options options = ow_member_options();
    options.wait_broker_ms = 5;
    struct ow_err err = {.text = ""};
    assert_int_equal(ow_consume(&options, &err), OW_TEMPORARY);
    assert_non_null(strstr(err.text, "no assignment within"));
    ow_member_leave();
}

static void ten_thousand_records__are_committed_though_no_second_passes(void **state)
{
    (void)state;
    ow_member_append_story(0, 10099);
    ow_member_join(256, 0);
    ow_member.flaky.op = OW_FLAKY_COMMIT; /* counts, and never fails */
    struct ow_clock_manual clock = {.now_ms = 1};
    struct ow_consume_options options = ow_member_options();
    options.clock = ow_clock_manual(&clock);
    ow_member_consume(&options);
    assert_int_equal(ow_member.flaky.calls, 2); /* then, and at the end */
    ow_member_leave();
    ow_member_goes_on_to(10100);
}

/* A record and an end of a partition that nobody has assigned, and records before any is. */
static void strange_poll(struct ow_source *source, int timeout_ms,
                         struct ow_source_event *ret_event)
{
    static const enum ow_source_event_kind kinds[] = {OW_SOURCE_RECORD, OW_SOURCE_END};
    const bool early = ow_member.polls < 2;
    const bool foreign = ow_member.polls >= 3 && ow_member.polls < 5;
    if (early || foreign) {
        *ret_event = (struct ow_source_event){
            .kind = kinds[(ow_member.polls + (foreign ? 1 : 0)) % 2],
            .record = {.topic = early ? OW_SLICE("order-events") : OW_SLICE("payment-events"),
                       .partition = early ? 0 : 7,
                       .offset = 5,
                       .value = OW_SLICE("{}")}
        };
    } else {
        ow_member.inner->poll(source, timeout_ms, ret_event);
    }
    ow_member.polls++;
}

static void records__of_no_assignment__are_left_alone(void **state)
{
    (void)state;
    ow_member_append_story(0, 9);
    ow_member_join(64, 0);
    ow_member.ops.poll = strange_poll;
    const struct ow_consume_options options = ow_member_options();
    ow_member_consume(&options);
    assert_int_equal(ow_worker_totals(ow_member.worker).records, 10);
    ow_member_leave();
    ow_member_goes_on_to(10);
}

static void revoked_poll(struct ow_source *source, int timeout_ms,
                         struct ow_source_event *ret_event)
{
    if (ow_member.polls++ == 0) {
        *ret_event = (struct ow_source_event){.kind = OW_SOURCE_REVOKED};
        return;
    }
    ow_member.inner->poll(source, timeout_ms, ret_event);
}

static void revocation__before_any_assignment__commits_nothing(void **state)
{
    (void)state;
    ow_member_append_story(0, 9);
    ow_member_join(64, 0);
    ow_member.ops.poll = revoked_poll;
    ow_member.flaky.op = OW_FLAKY_COMMIT; /* counts, and never fails */
    struct ow_clock_manual clock = {.now_ms = 1};
    struct ow_consume_options options = ow_member_options();
    options.clock = ow_clock_manual(&clock);
    ow_member_consume(&options);
    assert_int_equal(ow_member.flaky.calls, 1); /* at the end */
    ow_member_leave();
    ow_member_goes_on_to(10);
}

/* kafka.start is for a topic's first start. */
static void start_latest__holds_for_new_topics_and_not_for_new_partitions(void **state)
{
    (void)state;
    ow_member_append_story(0, 9);
    ow_member_join(64, 0);
    struct ow_consume_options options = ow_member_options();
    ow_member_consume(&options);
    ow_member_leave();
    struct ow_memory_broker *const before = ow_member.broker;
    ow_member.broker = ow_memory_broker_open();
    ow_memory_broker_topic(ow_member.broker, "order-events", 2);
    ow_memory_broker_topic(ow_member.broker, "payment-events", 1);
    ow_member_append_story(0, 9);
    struct ow_record record = ow_engine_event(ow_member.fixture, "n1", "order.dispatched", "N", "");
    record.partition = 1;
    ow_memory_broker_append(ow_member.broker, &record);
    record = ow_engine_event(ow_member.fixture, "n2", "order.dispatched", "N", "");
    record.topic = OW_SLICE("payment-events");
    ow_memory_broker_append(ow_member.broker, &record);
    ow_member_join(64, 0);
    options = ow_member_options();
    options.start = OW_START_LATEST;
    ow_member_consume(&options);
    ow_member_leave();
    assert_string_equal(
        ow_fixture_text(
            ow_member.fixture,
            "SELECT group_concat(topic || ' ' || offset) FROM (SELECT topic, partition, "
            "applied + parked AS offset FROM ow_position ORDER BY 1, 2)"),
        "order-events 10,order-events 1,payment-events 0");
    ow_memory_broker_close(before);
}

/* Whatever the revocation left in librdkafka's hands comes after it. */
static void late_poll(struct ow_source *source, int timeout_ms, struct ow_source_event *ret_event)
{
    static struct ow_record last;
    if (ow_member.polls < 0) {
        *ret_event = (struct ow_source_event){.kind = OW_SOURCE_RECORD, .record = last};
        ow_member.polls = 100;
        return;
    }
    ow_member.inner->poll(source, timeout_ms, ret_event);
    if (ret_event->kind == OW_SOURCE_RECORD) {
        last = ret_event->record;
    } else if (ret_event->kind == OW_SOURCE_REVOKED) {
        ow_member.polls = -1;
    }
}

static void record__after_the_revocation__comes_again(void **state)
{
    (void)state;
    ow_member_append_story(0, 9);
    ow_member_join(64, 0);
    ow_member.ops.poll = late_poll;
    ow_member.flaky.rebalance_at = 5;
    const struct ow_consume_options options = ow_member_options();
    ow_member_consume(&options);
    assert_int_equal(ow_worker_totals(ow_member.worker).records, 10);
    ow_member_leave();
    ow_member_goes_on_to(10);
}

/* A deadline is due, and the broker does not say where the ends are: it is left for later. */
static struct ow_clock_manual days;

static void patient_poll(struct ow_source *source, int timeout_ms,
                         struct ow_source_event *ret_event)
{
    days.now_ms += 1000;
    days.elapsed_ns += 1000000000;
    ow_worker_tick(ow_member.worker);
    ow_member.inner->poll(source, timeout_ms, ret_event);
    if (ret_event->kind != OW_SOURCE_IDLE) {
        return;
    }
    if (ow_member.polls++ == 0) {
        days.now_ms += OW_PARK_DEADLINE_MS_DEFAULT;
        ow_member.flaky.op = OW_FLAKY_BOUNDS; /* from now on nobody answers */
        ow_member.flaky.at = 1;
        ow_member.flaky.for_ever = true;
        ow_member.flaky.status = OW_TEMPORARY;
    } else if (ow_member.polls == 20) {
        atomic_store(&ow_member.stop, true);
    }
}

static void deadline__while_nobody_says_where_the_ends_are__waits(void **state)
{
    (void)state;
    days = (struct ow_clock_manual){.now_ms = 1};
    struct ow_record early = ow_engine_event(ow_member.fixture, "d", "order.dispatched", "A", "");
    early.timestamp_ms = 1;
    ow_memory_broker_append(ow_member.broker, &early);
    ow_member.clock = ow_clock_manual(&days);
    ow_member_join(4, 0);
    ow_member.ops.poll = patient_poll;
    struct ow_consume_options options = ow_member_options();
    options.until_end = false;
    options.clock = ow_clock_manual(&days);
    ow_member_consume(&options);
    assert_true(ow_member.flaky.calls >= 2); /* it was asked, and asked again */
    ow_member_leave();
    assert_int_equal(ow_fixture_i64(ow_member.fixture, "SELECT count(*) FROM ow_parked"), 1);
}

/* Where there is no room for notes of a partition, its records are handled as always: not in the
 * transaction of one that is accused, which would be rolled back with them for ever. */
static void record__of_a_partition_without_notes__does_not_join_the_accused(void **state)
{
    (void)state;
    struct ow_suspects *const notes = calloc(1, sizeof(*notes));
    assert_non_null(notes);
    (void)ow_suspects_adopt(notes, "boot", ow_store_id(ow_member.fixture->store));
    notes->accused_count = 1;
    notes->accused[0] = (struct ow_accused){
        .place = {.topic = "order-events", .topic_len = 12},
          .deaths = 1
    };
    for (int32_t i = 0; i < OW_SUSPECT_PARTITIONS_MAX; i++) {
        const struct ow_slice topic = i == 0 ? OW_SLICE("order-events") : OW_SLICE("elsewhere");
        ow_suspects_partition(notes, topic, i)->suspect_last = 1;
    }
    struct ow_record other = ow_engine_event(ow_member.fixture, "p", "order.dispatched", "P", "");
    other.topic = OW_SLICE("payment-events");
    ow_memory_broker_topic(ow_member.broker, "payment-events", 1);
    ow_member_append_story(0, 0);
    ow_memory_broker_append(ow_member.broker, &other);
    ow_member.suspects = notes;
    ow_member_join(64, 0);
    const struct ow_consume_options options = ow_member_options();
    ow_member_consume(&options);
    const struct ow_totals totals = ow_worker_totals(ow_member.worker);
    assert_int_equal(totals.records, 2);
    assert_int_equal(totals.batches, 3); /* the assignment, and one each */
    ow_member_leave();
    ow_member.suspects = NULL;
    free(notes);
}

/* The group is taken over by a copy of the store that has counted on to the same epoch. */
static void copying_poll(struct ow_source *source, int timeout_ms,
                         struct ow_source_event *ret_event)
{
    ow_member.inner->poll(source, timeout_ms, ret_event);
    if (ret_event->kind == OW_SOURCE_REVOKED) {
        struct ow_source *const copy = ow_memory_source_open(ow_member.broker);
        struct ow_partition_offset commit = {.topic = "order-events", .offset = 1};
        struct ow_err err;
        ow_metadata_format(commit.metadata, ow_store_id(ow_member.fixture->store),
                           ow_member_options().epoch, commit.offset);
        assert_int_equal(copy->ops->commit(copy, &commit, 1, true, &err), OW_OK);
        assert_true(copy->ops->close(copy, 1000));
    }
}

static void commit__that_the_source_did_not_send__leaves_the_epoch_unused(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    ow_member_append_story(0, 9);
    ow_member_join(4, 0);
    ow_member.ops.poll = copying_poll;
    ow_member.flaky.op = OW_FLAKY_COMMIT;
    ow_member.flaky.at = 1;
    ow_member.flaky.for_ever = true;
    ow_member.flaky.status = OW_TEMPORARY;
    ow_member.flaky.rebalance_at = 6;
    ow_member.flaky.lost = true;
    const struct ow_consume_options options = ow_member_options();
    assert_int_equal(ow_consume(&options, &err), OW_UNSAFE);
    assert_non_null(strstr(err.text, "another copy of the file works for the group"));
    assert_true(ow_member.flaky.calls > 0);
    ow_member_leave();
}

#define WITH_BROKER(test) cmocka_unit_test_setup_teardown(test, ow_member_start, ow_member_stop)

int ow_test_consume_edges(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_BROKER(no_stop_flag__is_no_stop),
        WITH_BROKER(no_partitions_at_all__is_temporary_after_a_while),
        WITH_BROKER(ten_thousand_records__are_committed_though_no_second_passes),
        WITH_BROKER(records__of_no_assignment__are_left_alone),
        WITH_BROKER(revocation__before_any_assignment__commits_nothing),
        WITH_BROKER(start_latest__holds_for_new_topics_and_not_for_new_partitions),
        WITH_BROKER(record__after_the_revocation__comes_again),
        WITH_BROKER(record__of_a_partition_without_notes__does_not_join_the_accused),
        WITH_BROKER(commit__that_the_source_did_not_send__leaves_the_epoch_unused),
        WITH_BROKER(deadline__while_nobody_says_where_the_ends_are__waits),
    };
    return cmocka_run_group_tests_name("consume_edges", tests, NULL, NULL);
}
