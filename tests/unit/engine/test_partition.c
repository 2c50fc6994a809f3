#include "engine/partition.h"
#include "groups.h"

static struct ow_partitions partitions;

static int start(void **state)
{
    (void)state;
    ow_partitions_init(&partitions);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ow_partitions_done(&partitions);
    return 0;
}

static void partitions_find__by_topic_and_number(void **state)
{
    (void)state;
    struct ow_partition *a0 = ow_partitions_add(&partitions, OW_SLICE("a"), 0, 5);
    struct ow_partition *a1 = ow_partitions_add(&partitions, OW_SLICE("a"), 1, 0);
    struct ow_partition *b0 = ow_partitions_add(&partitions, OW_SLICE("b"), 0, 0);
    assert_ptr_equal(ow_partitions_find(&partitions, OW_SLICE("a"), 0), a0);
    assert_ptr_equal(ow_partitions_find(&partitions, OW_SLICE("a"), 1), a1);
    assert_ptr_equal(ow_partitions_find(&partitions, OW_SLICE("b"), 0), b0);
    assert_null(ow_partitions_find(&partitions, OW_SLICE("b"), 1));
    assert_int_equal(a0->settled.next_offset, 5);
    assert_int_equal(a0->settled.high_offset, 5);
    assert_false(a0->settled.stored);
}

static void partition_touch__then_forget__leaves_what_was_settled(void **state)
{
    (void)state;
    struct ow_arena arena;
    ow_arena_init(&arena, 1024);
    struct ow_partition *partition = ow_partitions_add(&partitions, OW_SLICE("t"), 0, 0);
    struct ow_position *working = ow_partition_touch(&partitions, partition);
    assert_ptr_equal(ow_partition_touch(&partitions, partition), working);
    ow_position_handled(working, &arena, 0, OW_OUTCOME_APPLIED);
    ow_partitions_forget(&partitions);
    assert_int_equal(partition->settled.next_offset, 0);
    assert_null(partitions.touched);
    working = ow_partition_touch(&partitions, partition);
    assert_int_equal(working->next_offset, 0);
    ow_position_handled(working, &arena, 0, OW_OUTCOME_STALE);
    ow_partitions_settle(&partitions);
    assert_int_equal(partition->settled.next_offset, 1);
    assert_true(partition->settled.stored);
    ow_arena_done(&arena); /* it does not live in the batch's memory */
    assert_string_equal(partition->settled.ledger.last->outcome, "stale");
}

static void our_commit__noted_and_not_written_yet__is_kept_until_it_is(void **state)
{
    (void)state;
    const struct ow_hash_key key = {{0}};
    struct ow_partition *partition = ow_partitions_add(&partitions, OW_SLICE("t"), 0, 0);
    partition->settled.seen_committed = 3; /* what an operator set */
    partition->has_committed = true;
    (void)ow_partition_touch(&partitions, partition);
    ow_partitions_settle(&partitions); /* of a batch that began before */
    assert_int_equal(partition->settled.seen_committed, 3);
    assert_true(partition->has_committed);
    (void)ow_partition_touch(&partitions, partition);
    const struct ow_position *const changes = ow_partitions_changes(&partitions, &key);
    assert_int_equal(changes->seen_committed, -1);
    ow_partitions_settle(&partitions);
    assert_int_equal(partition->settled.seen_committed, -1);
    assert_false(partition->has_committed);
}

static void stream_time__is_the_smallest_of_the_assigned__and_an_end_that_holds_is_now(void **state)
{
    (void)state;
    assert_true(ow_partitions_stream_time_ms(&partitions, 100, true) == INT64_MIN);
    struct ow_partition *a = ow_partitions_add(&partitions, OW_SLICE("t"), 0, 0);
    struct ow_partition *b = ow_partitions_add(&partitions, OW_SLICE("t"), 1, 0);
    struct ow_partition *c = ow_partitions_add(&partitions, OW_SLICE("t"), 2, 0);
    c->last_timestamp_ms = 1; /* not ours */
    a->assigned = b->assigned = true;
    a->last_timestamp_ms = 50;
    assert_true(ow_partitions_stream_time_ms(&partitions, 100, true) ==
                INT64_MIN); /* b has shown nothing yet */
    b->last_timestamp_ms = 40;
    assert_int_equal(ow_partitions_stream_time_ms(&partitions, 100, true), 40);
    b->at_end = true;
    assert_int_equal(ow_partitions_stream_time_ms(&partitions, 100, true), 50);
    a->at_end = true;
    assert_int_equal(ow_partitions_stream_time_ms(&partitions, 100, true), 100);
    assert_int_equal(ow_partitions_stream_time_ms(&partitions, 100, false), 40);
}

int ow_test_partition(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(partitions_find__by_topic_and_number, start, stop),
        cmocka_unit_test_setup_teardown(partition_touch__then_forget__leaves_what_was_settled,
                                        start, stop),
        cmocka_unit_test_setup_teardown(our_commit__noted_and_not_written_yet__is_kept_until_it_is,
                                        start, stop),
        cmocka_unit_test_setup_teardown(
            stream_time__is_the_smallest_of_the_assigned__and_an_end_that_holds_is_now, start,
            stop),
    };
    return cmocka_run_group_tests_name("partition", tests, NULL, NULL);
}
