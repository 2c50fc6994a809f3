/*
 * The source fails at the n-th call of an operation, for each n, once and for ever. What the poll
 * loop says of it is right, and a next run over a source that works comes to the same end.
 */
#include "engine/consume.h"
#include "engine/source_memory.h"
#include "engine_fixture.h"
#include "groups.h"
#include "store/verify.h"
#include "support/engine/flaky_source.h"
#include "support/store/fault_vfs.h"

#include <time.h>

enum { RECORDS = 24, REBALANCE_AT = 9 };

struct group {
    int64_t joins; /* each is another process, and has an epoch of its own */
    struct ow_fixture *fixture;
    struct ow_memory_broker *broker;
    struct ow_worker *worker;
    struct ow_flaky flaky;
    atomic_bool stop;
};

static struct group group;

static int start(void **state)
{
    (void)ow_engine_start(state);
    group = (struct group){.fixture = *state, .broker = ow_memory_broker_open()};
    ow_memory_broker_topic(group.broker, "order-events", 1);
    ow_memory_broker_topic(group.broker, "payment-events", 2);
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

/* A second member's share is missing, so that members are counted; rebalanced once. */
static void join(void)
{
    group.joins++;
    struct ow_err err;
    struct ow_worker_options options = {.apply = ow_engine_apply_options(group.fixture),
                                        .batch_rows = 4,
                                        .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
                                        .batch_ms = OW_BATCH_MS_DEFAULT};
    assert_int_equal(ow_worker_start(&options, &group.worker, &err), OW_OK);
    struct ow_source *source = ow_memory_source_open(group.broker);
    ow_memory_source_assign_only(source, 1);
    ow_flaky_open(&group.flaky, source);
    group.flaky.rebalance_at = REBALANCE_AT;
    atomic_store(&group.stop, false);
}

static void leave(void)
{
    ow_worker_stop(group.worker);
    assert_true(group.flaky.source.ops->close(&group.flaky.source, 1000));
}

/* A minute goes by in a hundredth of a second: nobody waits for a broker that does not answer. */
static int64_t hurried_ns(void *context)
{
    (void)context;
    const struct ow_clock clock = ow_clock_system();
    return 6000 * ow_clock_elapsed_ns(&clock);
}

static struct ow_consume_options consume_options(void)
{
    struct ow_consume_options options = {.source = &group.flaky.source,
                                         .worker = group.worker,
                                         .machines = &group.fixture->machines,
                                         .clock = ow_clock_system(),
                                         .store_id = ow_store_id(group.fixture->store),
                                         .epoch =
                                             ow_store_epoch(group.fixture->store) + group.joins,
                                         .start = OW_START_TIME,
                                         .until_end = true,
                                         .wait_broker_ms = INT64_C(3600) * 1000,
                                         .stop = &group.stop};
    options.clock.elapsed_ns = hurried_ns;
    return options;
}

static enum ow_status consume(struct ow_err *err)
{
    const struct ow_consume_options options = consume_options();
    *err = (struct ow_err){.text = ""};
    return ow_consume(&options, err);
}

/* Over a source that works: everything is there once, committed, and every promise holds. */
static void assert_goes_on_to_the_end(void)
{
    struct ow_err err;
    join();
    if (consume(&err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    leave();
    assert_int_equal(ow_memory_broker_committed(group.broker, "order-events", 0), RECORDS);
    assert_int_equal(ow_fixture_i64(group.fixture, "SELECT sum(applied) FROM ow_position"),
                     RECORDS);
    assert_int_equal(ow_fixture_i64(group.fixture, "SELECT sum(reread) FROM ow_position"), 0);
    assert_int_equal(ow_fixture_i64(group.fixture, "SELECT count(*) FROM ow_ledger"), 1);
    struct ow_arena arena;
    struct ow_verification found;
    ow_arena_init(&arena, 65536);
    assert_int_equal(ow_verify(group.fixture->path, &arena, &found, &err), OW_OK);
    assert_true(found.ok);
    ow_arena_done(&arena);
}

struct trouble {
    enum ow_flaky_op op;
    enum ow_status status;
    bool for_ever, talks;
    enum ow_status expected; /* what the poll loop says where it struck */
};

/* One run in which the at-th call fails; true where it did. */
static bool run_once(const struct trouble *trouble, int64_t at)
{
    void *state = NULL;
    struct ow_err err;
    (void)start(&state);
    join();
    group.flaky.op = trouble->op;
    group.flaky.status = trouble->status;
    group.flaky.for_ever = trouble->for_ever;
    group.flaky.talks = trouble->talks;
    group.flaky.at = at;
    const enum ow_status status = consume(&err);
    const bool fired = group.flaky.fired;
    if (group.flaky.calls > at + 100 && trouble->status == OW_TEMPORARY && trouble->for_ever &&
        trouble->op < OW_FLAKY_COMMIT) { /* once a second is often enough */
        fail_msg("%s, call %lld: asked %lld times without a pause", ow_flaky_text(trouble->op),
                 (long long)at, (long long)(group.flaky.calls - at));
    }
    leave();
    const enum ow_status expected = fired ? trouble->expected : OW_OK;
    if (status != expected || (status != OW_OK && strstr(err.text, "fails") == NULL)) {
        fail_msg("%s, call %lld: %s: %s", ow_flaky_text(trouble->op), (long long)at,
                 ow_status_text(status), err.text);
    }
    assert_goes_on_to_the_end();
    (void)stop(&state);
    return fired;
}

static void sweep(const struct trouble *trouble)
{
    int64_t at = 1;
    while (run_once(trouble, at)) {
        at++;
    }
    if (at == 1) {
        fail_msg("%s was never called", ow_flaky_text(trouble->op));
    }
}

static void source__refuses_at_each_call__is_said_as_it_is(void **state)
{
    (void)state;
    for (enum ow_flaky_op op = OW_FLAKY_COMMITTED; op <= OW_FLAKY_UNASSIGN; op++) {
        sweep(&(struct trouble){.op = op, .status = OW_UNSAFE, .expected = OW_UNSAFE});
    }
    sweep(&(struct trouble){.op = OW_FLAKY_POLL, .status = OW_FAILED, .expected = OW_FAILED});
}

static void source__does_not_answer_once__is_asked_again(void **state)
{
    (void)state;
    for (enum ow_flaky_op op = OW_FLAKY_COMMITTED; op <= OW_FLAKY_MEMBER_COUNT; op++) {
        sweep(&(struct trouble){.op = op, .status = OW_TEMPORARY, .expected = OW_OK});
    }
}

static void source__only_talks__is_listened_to(void **state)
{
    (void)state;
    sweep(&(struct trouble){
        .op = OW_FLAKY_POLL, .status = OW_FAILED, .talks = true, .expected = OW_OK});
}

static void source__answers_no_more__is_temporary_after_a_minute(void **state)
{
    (void)state;
    for (enum ow_flaky_op op = OW_FLAKY_COMMITTED; op <= OW_FLAKY_UNASSIGN; op++) {
        sweep(&(struct trouble){
            .op = op, .status = OW_TEMPORARY, .for_ever = true, .expected = OW_TEMPORARY});
    }
}

static void commit__fails__is_superseded_by_the_next(void **state)
{
    (void)state;
    static const enum ow_status statuses[] = {OW_TEMPORARY, OW_FAILED};
    for (size_t i = 0; i < 2; i++) {
        sweep(&(struct trouble){.op = OW_FLAKY_COMMIT, .status = statuses[i], .expected = OW_OK});
        sweep(&(struct trouble){
            .op = OW_FLAKY_COMMIT, .status = statuses[i], .for_ever = true, .expected = OW_OK});
    }
}

/* The group stays where the operator put it: the next run must not take that for another rewind. */
static void commit__fails_after_a_rewind__is_no_second_rewind(void **state)
{
    (void)state;
    void *own = NULL;
    struct ow_err err;
    (void)start(&own);
    assert_goes_on_to_the_end();
    ow_memory_broker_reset(group.broker, "order-events", 0, 3);
    join();
    group.flaky.op = OW_FLAKY_COMMIT;
    group.flaky.status = OW_TEMPORARY;
    group.flaky.for_ever = true;
    group.flaky.at = 1;
    assert_int_equal(consume(&err), OW_OK);
    assert_int_equal(ow_worker_totals(group.worker).reread, RECORDS - 3);
    leave();
    assert_int_equal(ow_memory_broker_committed(group.broker, "order-events", 0), 3);
    join();
    assert_int_equal(consume(&err), OW_OK);
    assert_int_equal(ow_worker_totals(group.worker).records, 0);
    leave();
    assert_int_equal(ow_memory_broker_committed(group.broker, "order-events", 0), RECORDS);
    (void)stop(&own);
}

static void revoked__and_lost__commits_nothing_then(void **state)
{
    (void)state;
    struct ow_err err;
    int64_t commits[2];
    for (size_t lost = 0; lost < 2; lost++) {
        void *own = NULL;
        (void)start(&own);
        join();
        group.flaky.lost = lost == 1;
        group.flaky.op = OW_FLAKY_COMMIT; /* counts, and never fails */
        struct ow_consume_options options = consume_options();
        struct ow_clock_manual clock = {.now_ms = 1}; /* no second passes: no commit by time */
        options.clock = ow_clock_manual(&clock);
        assert_int_equal(ow_consume(&options, &err), OW_OK);
        commits[lost] = group.flaky.calls;
        leave();
        assert_goes_on_to_the_end();
        (void)stop(&own);
    }
    assert_int_equal(commits[0], 2); /* at the revocation, at the end */
    assert_int_equal(commits[1], 1);
}

static int start_group(void **state)
{
    (void)state;
    ow_fault_install(); /* for its speed: nothing is synced */
    return 0;
}

static int stop_group(void **state)
{
    (void)state;
    ow_fault_remove();
    return 0;
}

int ow_test_flaky(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(source__refuses_at_each_call__is_said_as_it_is),
        cmocka_unit_test(source__does_not_answer_once__is_asked_again),
        cmocka_unit_test(source__only_talks__is_listened_to),
        cmocka_unit_test(source__answers_no_more__is_temporary_after_a_minute),
        cmocka_unit_test(commit__fails__is_superseded_by_the_next),
        cmocka_unit_test(commit__fails_after_a_rewind__is_no_second_rewind),
        cmocka_unit_test(revoked__and_lost__commits_nothing_then),
    };
    return cmocka_run_group_tests_name("flaky", tests, start_group, stop_group);
}
