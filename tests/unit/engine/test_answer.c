/*
 * A commit that the source has taken and the broker has not: until the answer comes the group may
 * say what an operator said, and a store that has honoured that must go on knowing it.
 */
#include "engine/consume.h"
#include "engine/source_memory.h"
#include "engine_fixture.h"
#include "groups.h"

enum { RECORDS = 24, REWOUND_TO = 3 };

struct group {
    struct ow_fixture *fixture;
    struct ow_memory_broker *broker;
    struct ow_worker *worker;
    struct ow_source *source;
    struct ow_source_ops ops; /* the source's, but for what is lost */
    const struct ow_source_ops *inner;
    atomic_bool stop;
    int64_t joins;
    bool loses;
    int64_t lost;
};

static struct group group;

static int start(void **state)
{
    (void)ow_engine_start(state);
    group = (struct group){.fixture = *state, .broker = ow_memory_broker_open()};
    ow_memory_broker_topic(group.broker, "order-events", 1);
    ow_memory_broker_topic(group.broker, "payment-events", 1);
    for (int64_t i = 0; i < RECORDS; i++) {
        const struct ow_record record = ow_engine_story(group.fixture, i);
        ow_memory_broker_append(group.broker, &record);
    }
    return 0;
}

static int stop(void **state)
{
    ow_memory_broker_close(group.broker);
    return ow_engine_stop(state);
}

/* As librdkafka does while the coordinator does not answer: it takes the commit. */
static enum ow_status losing_commit(struct ow_source *source,
                                    const struct ow_partition_offset *list, size_t count, bool wait,
                                    struct ow_err *err)
{
    if (!group.loses) {
        return group.inner->commit(source, list, count, wait, err);
    }
    group.lost++;
    return wait ? ow_fail(err, OW_TEMPORARY, "no answer") : OW_OK;
}

static bool losing_commits_taken(struct ow_source *source)
{
    return !group.loses && group.inner->commits_taken(source);
}

/* A process comes, works to the end, and is gone. Returns how many records it read again. */
static int64_t run(bool loses)
{
    struct ow_err err = {.text = ""};
    const struct ow_worker_options options = {.apply = ow_engine_apply_options(group.fixture),
                                              .batch_rows = 4,
                                              .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
                                              .batch_ms = OW_BATCH_MS_DEFAULT};
    group.joins++;
    group.loses = loses;
    assert_int_equal(ow_worker_start(&options, &group.worker, &err), OW_OK);
    group.source = ow_memory_source_open(group.broker);
    group.inner = group.source->ops;
    group.ops = *group.inner;
    group.ops.commit = losing_commit;
    group.ops.commits_taken = losing_commits_taken;
    group.source->ops = &group.ops;
    const struct ow_consume_options how = {.source = group.source,
                                           .worker = group.worker,
                                           .machines = &group.fixture->machines,
                                           .clock = ow_clock_system(),
                                           .store_id = ow_store_id(group.fixture->store),
                                           .epoch =
                                               ow_store_epoch(group.fixture->store) + group.joins,
                                           .until_end = true,
                                           .wait_broker_ms = 10000,
                                           .stop = &group.stop};
    assert_int_equal(ow_consume(&how, &err), OW_OK);
    const int64_t reread = ow_worker_totals(group.worker).reread;
    ow_worker_stop(group.worker);
    assert_true(group.source->ops->close(group.source, 1000));
    return reread;
}

static void commit__taken_and_lost_after_a_rewind__is_no_second_rewind(void **state)
{
    (void)state;
    assert_int_equal(run(false), 0);
    ow_memory_broker_reset(group.broker, "order-events", 0, REWOUND_TO);
    assert_int_equal(run(true), RECORDS - REWOUND_TO);
    assert_true(group.lost > 1); /* one without an answer, and the last one */
    assert_int_equal(ow_memory_broker_committed(group.broker, "order-events", 0), REWOUND_TO);
    assert_int_equal(run(false), 0);
    assert_int_equal(ow_memory_broker_committed(group.broker, "order-events", 0), RECORDS);
}

/* Once the group has had an offset of ours, the same offset from an operator is another rewind. */
static void commit__answered_after_a_rewind__lets_the_same_rewind_count_again(void **state)
{
    (void)state;
    assert_int_equal(run(false), 0);
    for (int i = 0; i < 2; i++) {
        ow_memory_broker_reset(group.broker, "order-events", 0, REWOUND_TO);
        assert_int_equal(run(false), RECORDS - REWOUND_TO);
    }
}

int ow_test_answer(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(commit__taken_and_lost_after_a_rewind__is_no_second_rewind),
        TEST(commit__answered_after_a_rewind__lets_the_same_rewind_count_again),
    };
#undef TEST
    return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
