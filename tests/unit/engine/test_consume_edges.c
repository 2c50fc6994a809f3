/* The poll loop where the ring is full at the wrong moment, where records come from nowhere, and at
 * the limits of its patience. */
#include "engine/consume.h"
#include "engine/source_memory.h"
#include "engine_fixture.h"
#include "groups.h"
#include "support/engine/flaky_source.h"
#include "support/store/fault_vfs.h"

#include <sqlite3.h>

#include <time.h>

/* A member of the group; while `other` holds the store's write lock the worker stands still. */
struct member {
    int64_t joins; /* each is another process, and has an epoch of its own */
    struct ow_fixture *fixture;
    struct ow_memory_broker *broker;
    struct ow_worker *worker;
    struct ow_flaky flaky;
    const struct ow_source_ops *inner; /* flaky's own, where a test looks at a call */
    struct ow_source_ops ops;
    atomic_bool stop;
    sqlite3 *other;
    int64_t polls;
};

static struct member member;

static void append_story(int64_t first, int64_t last)
{
    for (int64_t i = first; i <= last; i++) {
        const struct ow_record record = ow_engine_story(member.fixture, i);
        ow_memory_broker_append(member.broker, &record);
    }
}

static int start(void **state)
{
    ow_fault_install(); /* for its speed: nothing is synced */
    (void)ow_engine_start(state);
    member = (struct member){.fixture = *state, .broker = ow_memory_broker_open()};
    ow_memory_broker_topic(member.broker, "order-events", 1);
    return 0;
}

static void let_go(void)
{
    if (member.other != NULL) {
        (void)sqlite3_exec(member.other, "ROLLBACK", NULL, NULL, NULL);
        (void)sqlite3_close(member.other);
        member.other = NULL;
    }
}

static int stop(void **state)
{
    let_go();
    ow_memory_broker_close(member.broker);
    (void)ow_engine_stop(state);
    ow_fault_remove();
    return 0;
}

static void hold_store(void)
{
    assert_int_equal(sqlite3_open(member.fixture->path, &member.other), SQLITE_OK);
    (void)sqlite3_busy_timeout(member.other, 5000);
    assert_int_equal(sqlite3_exec(member.other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
}

/* Chunks of so many records. */
static void join(size_t batch_rows, size_t decode_threads)
{
    member.joins++;
    struct ow_err err;
    struct ow_worker_options options = {.apply = ow_engine_apply_options(member.fixture),
                                        .batch_rows = batch_rows,
                                        .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
                                        .batch_ms = OW_BATCH_MS_DEFAULT,
                                        .decode_threads = decode_threads};
    options.apply.clock = ow_clock_system();
    assert_int_equal(ow_worker_start(&options, &member.worker, &err), OW_OK);
    ow_flaky_open(&member.flaky, ow_memory_source_open(member.broker));
    member.inner = member.flaky.source.ops;
    member.ops = *member.inner;
    member.flaky.source.ops = &member.ops;
    atomic_store(&member.stop, false);
    member.polls = 0;
}

static void leave(void)
{
    ow_worker_stop(member.worker);
    assert_true(member.flaky.source.ops->close(&member.flaky.source, 1000));
}

static struct ow_consume_options consume_options(void)
{
    return (struct ow_consume_options){.source = &member.flaky.source,
                                       .worker = member.worker,
                                       .machines = &member.fixture->machines,
                                       .clock = ow_clock_system(),
                                       .store_id = ow_store_id(member.fixture->store),
                                       .epoch =
                                           ow_store_epoch(member.fixture->store) + member.joins,
                                       .until_end = true,
                                       .wait_broker_ms = 10000,
                                       .stop = &member.stop};
}

static void must_consume(const struct ow_consume_options *options)
{
    struct ow_err err = {.text = ""};
    if (ow_consume(options, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
}

/* A next run without trouble: everything is there once. */
static void assert_goes_on_to(int64_t end)
{
    join(64, 1);
    const struct ow_consume_options options = consume_options();
    must_consume(&options);
    leave();
    assert_int_equal(ow_memory_broker_committed(member.broker, "order-events", 0), end);
    assert_int_equal(ow_fixture_i64(member.fixture, "SELECT applied FROM ow_position"), end);
    assert_int_equal(ow_fixture_i64(member.fixture, "SELECT reread FROM ow_position"), 0);
    assert_int_equal(ow_fixture_i64(member.fixture, "SELECT count(*) FROM ow_ledger"), 1);
}

static void no_stop_flag__is_no_stop(void **state)
{
    (void)state;
    append_story(0, 9);
    join(64, 0);
    struct ow_consume_options options = consume_options();
    options.stop = NULL;
    must_consume(&options);
    leave();
    assert_goes_on_to(10);
}

static void no_partitions_at_all__is_temporary_after_a_while(void **state)
{
    (void)state;
    ow_memory_broker_close(member.broker);
    member.broker = ow_memory_broker_open(); /* the topics are not there yet */
    join(64, 0);
    struct ow_consume_options options = consume_options();
    options.wait_broker_ms = 5;
    struct ow_err err = {.text = ""};
    assert_int_equal(ow_consume(&options, &err), OW_TEMPORARY);
    assert_non_null(strstr(err.text, "no assignment within"));
    leave();
}

static void ten_thousand_records__are_committed_though_no_second_passes(void **state)
{
    (void)state;
    append_story(0, 10099);
    join(256, 0);
    member.flaky.op = OW_FLAKY_COMMIT; /* counts, and never fails */
    struct ow_clock_manual clock = {.now_ms = 1};
    struct ow_consume_options options = consume_options();
    options.clock = ow_clock_manual(&clock);
    must_consume(&options);
    assert_int_equal(member.flaky.calls, 2); /* then, and at the end */
    leave();
    assert_goes_on_to(10100);
}

/* A record and an end of a partition that nobody has assigned, and records before any is. */
static void strange_poll(struct ow_source *source, int timeout_ms,
                         struct ow_source_event *ret_event)
{
    static const enum ow_source_event_kind kinds[] = {OW_SOURCE_RECORD, OW_SOURCE_END};
    const bool early = member.polls < 2;
    const bool foreign = member.polls >= 3 && member.polls < 5;
    if (early || foreign) {
        *ret_event = (struct ow_source_event){
            .kind = kinds[(member.polls + (foreign ? 1 : 0)) % 2],
            .record = {.topic = early ? OW_SLICE("order-events") : OW_SLICE("payment-events"),
                       .partition = early ? 0 : 7,
                       .offset = 5,
                       .value = OW_SLICE("{}")}
        };
    } else {
        member.inner->poll(source, timeout_ms, ret_event);
    }
    member.polls++;
}

static void records__of_no_assignment__are_left_alone(void **state)
{
    (void)state;
    append_story(0, 9);
    join(64, 0);
    member.ops.poll = strange_poll;
    const struct ow_consume_options options = consume_options();
    must_consume(&options);
    assert_int_equal(ow_worker_totals(member.worker).records, 10);
    leave();
    assert_goes_on_to(10);
}

static void revoked_poll(struct ow_source *source, int timeout_ms,
                         struct ow_source_event *ret_event)
{
    if (member.polls++ == 0) {
        *ret_event = (struct ow_source_event){.kind = OW_SOURCE_REVOKED};
        return;
    }
    member.inner->poll(source, timeout_ms, ret_event);
}

static void revocation__before_any_assignment__commits_nothing(void **state)
{
    (void)state;
    append_story(0, 9);
    join(64, 0);
    member.ops.poll = revoked_poll;
    member.flaky.op = OW_FLAKY_COMMIT; /* counts, and never fails */
    struct ow_clock_manual clock = {.now_ms = 1};
    struct ow_consume_options options = consume_options();
    options.clock = ow_clock_manual(&clock);
    must_consume(&options);
    assert_int_equal(member.flaky.calls, 1); /* at the end */
    leave();
    assert_goes_on_to(10);
}

/* kafka.start is for a topic's first start. */
static void start_latest__holds_for_new_topics_and_not_for_new_partitions(void **state)
{
    (void)state;
    append_story(0, 9);
    join(64, 0);
    struct ow_consume_options options = consume_options();
    must_consume(&options);
    leave();
    struct ow_memory_broker *const before = member.broker;
    member.broker = ow_memory_broker_open();
    ow_memory_broker_topic(member.broker, "order-events", 2);
    ow_memory_broker_topic(member.broker, "payment-events", 1);
    append_story(0, 9);
    struct ow_record record = ow_engine_event(member.fixture, "n1", "order.dispatched", "N", "");
    record.partition = 1;
    ow_memory_broker_append(member.broker, &record);
    record = ow_engine_event(member.fixture, "n2", "order.dispatched", "N", "");
    record.topic = OW_SLICE("payment-events");
    ow_memory_broker_append(member.broker, &record);
    join(64, 0);
    options = consume_options();
    options.start = OW_START_LATEST;
    must_consume(&options);
    leave();
    assert_string_equal(
        ow_fixture_text(
            member.fixture,
            "SELECT group_concat(topic || ' ' || offset) FROM (SELECT topic, partition, "
            "applied + parked AS offset FROM ow_position ORDER BY 1, 2)"),
        "order-events 10,order-events 1,payment-events 0");
    ow_memory_broker_close(before);
}

/* Whatever the revocation left in librdkafka's hands comes after it. */
static void late_poll(struct ow_source *source, int timeout_ms, struct ow_source_event *ret_event)
{
    static struct ow_record last;
    if (member.polls < 0) {
        *ret_event = (struct ow_source_event){.kind = OW_SOURCE_RECORD, .record = last};
        member.polls = 100;
        return;
    }
    member.inner->poll(source, timeout_ms, ret_event);
    if (ret_event->kind == OW_SOURCE_RECORD) {
        last = ret_event->record;
    } else if (ret_event->kind == OW_SOURCE_REVOKED) {
        member.polls = -1;
    }
}

static void record__after_the_revocation__comes_again(void **state)
{
    (void)state;
    append_story(0, 9);
    join(64, 0);
    member.ops.poll = late_poll;
    member.flaky.rebalance_at = 5;
    const struct ow_consume_options options = consume_options();
    must_consume(&options);
    assert_int_equal(ow_worker_totals(member.worker).records, 10);
    leave();
    assert_goes_on_to(10);
}

/* The poll thread's seconds go by in a hundredth of the time. */
static int64_t hurried_ns(void *context)
{
    (void)context;
    const struct ow_clock clock = ow_clock_system();
    return 100 * ow_clock_elapsed_ns(&clock);
}

/* What happens to a poll loop whose ring is full, for the store stands still. */
enum event { LET_GO, STOP, TAKE_OVER };
static enum event event_when_paused;
static bool rebalance_when_paused;

static void sleep_ms(long ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&time, NULL);
}

static void happen(enum event event)
{
    if (event == STOP) {
        atomic_store(&member.stop, true);
        sleep_ms(100);
    }
    if (event == TAKE_OVER) { /* by a process that has the next epoch */
        assert_int_equal(sqlite3_exec(member.other,
                                      "UPDATE ow_meta SET value = value + 1 WHERE key = 'epoch';"
                                      "COMMIT; BEGIN IMMEDIATE",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
    }
    let_go();
}

static void *happen_soon(void *context)
{
    (void)context;
    sleep_ms(100);
    happen(event_when_paused);
    return NULL;
}

static pthread_t soon;
static bool soon_runs;

static enum ow_status pause_and_then(struct ow_source *source, struct ow_err *err)
{
    if (!soon_runs) {
        soon_runs = true;
        assert_int_equal(pthread_create(&soon, NULL, happen_soon, NULL), 0);
        if (rebalance_when_paused) {
            ow_memory_source_rebalance(member.flaky.inner);
        }
    }
    return member.inner->pause(source, err);
}

/* 100 records, a chunk each; the store stands still from the first on. */
static enum ow_status consume_in_a_jam(enum event event, bool rebalance, struct ow_err *err)
{
    append_story(0, 99);
    event_when_paused = event;
    rebalance_when_paused = rebalance;
    soon_runs = false;
    join(1, 1);
    member.ops.pause = pause_and_then;
    struct ow_consume_options options = consume_options();
    options.clock.elapsed_ns = hurried_ns;
    hold_store();
    const enum ow_status status = ow_consume(&options, err);
    assert_true(soon_runs);
    (void)pthread_join(soon, NULL);
    let_go();
    leave();
    return status;
}

/* As its own last act the other process gives the store back, so that the test can go on. */
static void give_back(void)
{
    ow_fixture_exec(member.fixture, "UPDATE ow_meta SET value = value - 1 WHERE key = 'epoch'");
}

static void jam__that_ends__resumes(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    assert_int_equal(consume_in_a_jam(LET_GO, false, &err), OW_OK);
    assert_goes_on_to(100);
}

static void jam__and_a_rebalance__waits_for_a_chunk(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    assert_int_equal(consume_in_a_jam(LET_GO, true, &err), OW_OK);
    assert_goes_on_to(100);
}

static void jam__told_to_stop__stops(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    for (int rebalance = 0; rebalance < 2; rebalance++) {
        assert_int_equal(consume_in_a_jam(STOP, rebalance == 1, &err), OW_OK);
    }
}

static void jam__and_somebody_takes_the_store__is_unsafe(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    for (int rebalance = 0; rebalance < 2; rebalance++) {
        assert_int_equal(consume_in_a_jam(TAKE_OVER, rebalance == 1, &err), OW_UNSAFE);
        assert_non_null(strstr(err.text, "another process owns the store"));
        give_back();
    }
}

static enum ow_status refuse(struct ow_source *source, struct ow_err *err)
{
    (void)source;
    return ow_fail(err, OW_FAILED, "refused");
}

static void jam__where_the_source_cannot_pause_or_resume__is_said(void **state)
{
    (void)state;
    for (int resume = 0; resume < 2; resume++) {
        const int64_t first = resume == 0 ? 0 : 100;
        append_story(first, first + 99);
        event_when_paused = LET_GO;
        rebalance_when_paused = soon_runs = false;
        join(1, 1);
        member.ops.pause = resume == 1 ? pause_and_then : refuse;
        member.ops.resume = refuse;
        struct ow_consume_options options = consume_options();
        options.clock.elapsed_ns = hurried_ns;
        hold_store();
        struct ow_err err = {.text = ""};
        assert_int_equal(ow_consume(&options, &err), OW_FAILED);
        assert_string_equal(err.text, "refused");
        if (soon_runs) {
            (void)pthread_join(soon, NULL);
        }
        let_go();
        leave();
    }
    assert_goes_on_to(200);
}

/* A deadline is due, and the broker does not say where the ends are: it is left for later. */
static struct ow_clock_manual days;

static void patient_poll(struct ow_source *source, int timeout_ms,
                         struct ow_source_event *ret_event)
{
    days.now_ms += 1000;
    days.elapsed_ns += 1000000000;
    ow_worker_tick(member.worker);
    member.inner->poll(source, timeout_ms, ret_event);
    if (ret_event->kind != OW_SOURCE_IDLE) {
        return;
    }
    if (member.polls++ == 0) {
        days.now_ms += OW_PARK_DEADLINE_MS_DEFAULT;
        member.flaky.op = OW_FLAKY_BOUNDS; /* from now on nobody answers */
        member.flaky.at = 1;
        member.flaky.for_ever = true;
        member.flaky.status = OW_TEMPORARY;
    } else if (member.polls == 20) {
        atomic_store(&member.stop, true);
    }
}

static void deadline__while_nobody_says_where_the_ends_are__waits(void **state)
{
    (void)state;
    days = (struct ow_clock_manual){.now_ms = 1};
    struct ow_record early = ow_engine_event(member.fixture, "d", "order.dispatched", "A", "");
    early.timestamp_ms = 1;
    ow_memory_broker_append(member.broker, &early);
    struct ow_err err;
    struct ow_worker_options worker_options = {.apply = ow_engine_apply_options(member.fixture),
                                               .batch_rows = 4,
                                               .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
                                               .batch_ms = OW_BATCH_MS_DEFAULT};
    join(64, 0);
    ow_worker_stop(member.worker); /* another one, of days that we count */
    worker_options.apply.clock = ow_clock_manual(&days);
    assert_int_equal(ow_worker_start(&worker_options, &member.worker, &err), OW_OK);
    member.ops.poll = patient_poll;
    struct ow_consume_options options = consume_options();
    options.until_end = false;
    options.clock = ow_clock_manual(&days);
    must_consume(&options);
    assert_true(member.flaky.calls >= 2); /* it was asked, and asked again */
    leave();
    assert_int_equal(ow_fixture_i64(member.fixture, "SELECT count(*) FROM ow_parked"), 1);
}

#define WITH_BROKER(test) cmocka_unit_test_setup_teardown(test, start, stop)

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
        WITH_BROKER(jam__that_ends__resumes),
        WITH_BROKER(jam__and_a_rebalance__waits_for_a_chunk),
        WITH_BROKER(jam__told_to_stop__stops),
        WITH_BROKER(jam__and_somebody_takes_the_store__is_unsafe),
        WITH_BROKER(jam__where_the_source_cannot_pause_or_resume__is_said),
        WITH_BROKER(deadline__while_nobody_says_where_the_ends_are__waits),
    };
    return cmocka_run_group_tests_name("consume_edges", tests, NULL, NULL);
}
