/* The poll loop over the in-memory broker, with the worker's threads and without. */
#include "engine/consume.h"
#include "engine/source_memory.h"
#include "engine_fixture.h"
#include "groups.h"
#include "store/internal.h"

#include <sqlite3.h>

/* A group's member: the memory source with eyes on it (its table of operations is its first
 * member). */
struct member {
    int64_t joins; /* each is another process, and has an epoch of its own */
    struct ow_fixture *fixture;
    struct ow_memory_broker *broker;
    struct ow_source *source;
    struct ow_source_ops ops;
    const struct ow_source_ops *inner;
    struct ow_worker *worker;
    atomic_bool stop;
    int64_t polled;          /* records */
    int64_t rebalance_every; /* 0: never */
    int64_t stop_after;      /* 0: never */
    int pauses, assigns;
    struct ow_clock clock; /* the worker's */
    pthread_t poll_thread;
    sqlite3 *other; /* holds the store's write lock; NULL: nobody does */
};

static struct member member;

static void watched_poll(struct ow_source *source, int timeout_ms,
                         struct ow_source_event *ret_event)
{
    member.inner->poll(source, timeout_ms, ret_event);
    if (ret_event->kind != OW_SOURCE_RECORD) {
        return;
    }
    member.polled++;
    if (member.rebalance_every > 0 && member.polled % member.rebalance_every == 0) {
        member.rebalance_every *= 2; /* what is on its way is dropped, so there must be progress */
        ow_memory_source_rebalance(source);
    }
    if (member.polled == member.stop_after) {
        atomic_store(&member.stop, true);
    }
}

static enum ow_status watched_pause(struct ow_source *source, struct ow_err *err)
{
    member.pauses++;
    return member.inner->pause(source, err);
}

static enum ow_status watched_assign(struct ow_source *source,
                                     const struct ow_partition_offset *list, size_t count,
                                     struct ow_err *err)
{
    member.assigns++;
    return member.inner->assign(source, list, count, err);
}

static void join(size_t batch_rows, size_t decode_threads)
{
    member.joins++;
    struct ow_err err;
    struct ow_worker_options options = {.apply = ow_engine_apply_options(member.fixture),
                                        .batch_rows = batch_rows,
                                        .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
                                        .batch_ms = OW_BATCH_MS_DEFAULT,
                                        .decode_threads = decode_threads};
    options.apply.clock = member.clock;
    if (ow_worker_start(&options, &member.worker, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    member.source = ow_memory_source_open(member.broker);
    member.inner = member.source->ops;
    member.ops = *member.inner;
    member.ops.poll = watched_poll;
    member.ops.pause = watched_pause;
    member.ops.assign = watched_assign;
    member.source->ops = &member.ops;
    atomic_store(&member.stop, false);
}

static void leave(void)
{
    ow_worker_stop(member.worker);
    assert_true(member.source->ops->close(member.source, 1000));
}

static struct ow_consume_options consume_options(void)
{
    return (struct ow_consume_options){.source = member.source,
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

static void consume(const struct ow_consume_options *options)
{
    struct ow_err err = {.text = ""};
    if (ow_consume(options, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
}

static void append_story(int64_t first, int64_t last)
{
    for (int64_t i = first; i <= last; i++) {
        const struct ow_record record = ow_engine_story(member.fixture, i);
        ow_memory_broker_append(member.broker, &record);
    }
}

static int start(void **state)
{
    (void)ow_engine_start(state);
    member = (struct member){.fixture = *state, .broker = ow_memory_broker_open()};
    member.clock = ow_clock_system();
    ow_memory_broker_topic(member.broker, "order-events", 1);
    ow_memory_broker_topic(member.broker, "payment-events", 2);
    return 0;
}

static int stop(void **state)
{
    ow_memory_broker_close(member.broker);
    return ow_engine_stop(state);
}

static void consume__until_end__ends_there_and_commits_with_metadata(void **state)
{
    (void)state;
    append_story(0, 999);
    join(64, 2);
    const struct ow_consume_options options = consume_options();
    consume(&options);
    assert_int_equal(ow_worker_totals(member.worker).counts[OW_OUTCOME_APPLIED], 1000);
    struct ow_partition_offset committed[] = {
        {.topic = "order-events"},
        { .topic = "payment-events",         .partition = 1}
    };
    struct ow_err err;
    assert_int_equal(member.ops.committed(member.source, committed, 2, &err), OW_OK);
    assert_int_equal(committed[0].offset, 1000);
    assert_int_equal(committed[1].offset, 0);
    const struct ow_metadata metadata = ow_metadata_parse(ow_slice_of(committed[0].metadata));
    assert_true(metadata.ours);
    assert_string_equal(metadata.store_id, options.store_id);
    assert_int_equal(metadata.epoch, options.epoch);
    assert_int_equal(metadata.offset, 1000);
    leave();
}

static void consume__what_comes_after_the_start__is_for_the_next_time(void **state)
{
    (void)state;
    append_story(0, 9);
    join(64, 0);
    struct ow_consume_options options = consume_options();
    consume(&options);
    assert_int_equal(ow_worker_totals(member.worker).records, 10);
    leave();
    append_story(10, 19);
    join(64, 0);
    options = consume_options();
    consume(&options);
    assert_int_equal(ow_worker_totals(member.worker).records, 10);
    assert_int_equal(member.polled, 10 + 11); /* the record before the position, too */
    leave();
    assert_int_equal(ow_memory_broker_committed(member.broker, "order-events", 0), 20);
}

static void consume__an_empty_topic__is_at_its_end(void **state)
{
    (void)state;
    join(64, 2);
    const struct ow_consume_options options = consume_options();
    consume(&options);
    leave();
    assert_int_equal(ow_fixture_i64(member.fixture, "SELECT count(*) FROM ow_position"), 3);
}

static void consume__told_to_stop__commits_what_is_durable(void **state)
{
    (void)state;
    append_story(0, 1999);
    member.stop_after = 700;
    join(16, 2);
    const struct ow_consume_options options = consume_options();
    consume(&options);
    leave();
    const int64_t next = ow_fixture_i64(
        member.fixture,
        "SELECT coalesce(max(next_offset), -1) FROM ow_position WHERE topic = 'order-events'");
    assert_true(next <= 700);
    assert_int_equal(ow_memory_broker_committed(member.broker, "order-events", 0), next);
    assert_int_equal(ow_fixture_i64(member.fixture, "SELECT count(*) FROM ow_history"),
                     next < 0 ? 0 : next);
}

static void consume__rebalanced_again_and_again__handles_each_record_once(void **state)
{
    (void)state;
    append_story(0, 1999);
    member.rebalance_every = 5;
    join(16, 2);
    const struct ow_consume_options options = consume_options();
    consume(&options);
    const struct ow_totals totals = ow_worker_totals(member.worker);
    leave();
    assert_true(member.polled > 2000);
    assert_int_equal(totals.records, 2000);
    assert_int_equal(totals.reread, 0);
    assert_int_equal(totals.counts[OW_OUTCOME_APPLIED], 2000);
    assert_int_equal(ow_fixture_i64(member.fixture, "SELECT count(*) FROM ow_ledger"), 1);
}

/* The poll thread's seconds go by in a hundredth of the time. */
static int64_t hurried_ns(void *context)
{
    (void)context;
    const struct ow_clock clock = ow_clock_system();
    return 100 * ow_clock_elapsed_ns(&clock);
}

static void consume__a_store_that_stands_still__pauses_and_goes_on(void **state)
{
    (void)state;
    /* The first payment keeps the store busy for a while; the ring of chunks of one record fills up
     * behind it. */
    ow_fixture_exec(member.fixture,
                    "CREATE TRIGGER slow AFTER INSERT ON payments WHEN new.payment_id = 'p1' BEGIN"
                    " UPDATE orders SET currency = currency WHERE (WITH RECURSIVE n(i) AS"
                    " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000000)"
                    " SELECT count(*) FROM n) < 0; END");
    append_story(0, 199);
    join(1, 1);
    struct ow_consume_options options = consume_options();
    options.clock.elapsed_ns = hurried_ns;
    consume(&options);
    assert_int_equal(ow_worker_totals(member.worker).counts[OW_OUTCOME_APPLIED], 200);
    leave();
    assert_true(member.pauses > 0);
    assert_int_equal(member.assigns, 1 + member.pauses);
}

static int progress_calls;

static void count_progress(const struct ow_progress *progress, void *context)
{
    assert_ptr_equal(context, &member);
    assert_true(progress->done <= progress->goal);
    progress_calls++;
}

static void consume__progress__is_told(void **state)
{
    (void)state;
    progress_calls = 0;
    append_story(0, 99);
    join(1, 0);
    struct ow_clock_manual clock = {.now_ms = 1};
    struct ow_consume_options options = consume_options();
    options.clock = ow_clock_manual(&clock);
    clock.elapsed_ns = 1000000000;
    options.progress = count_progress;
    options.progress_context = &member;
    consume(&options);
    leave();
    assert_int_equal(progress_calls, 1); /* then time stands still */
}

static void consume__some_partitions_are_another_member_s__is_unsafe(void **state)
{
    (void)state;
    append_story(0, 9);
    ow_memory_broker_members(member.broker, 2);
    /* None, all of the one topic and none of the other, one of the other's two. */
    for (size_t given = 0; given < 3; given++) {
        join(64, 0);
        ow_memory_source_assign_only(member.source, given);
        const struct ow_consume_options options = consume_options();
        struct ow_err err = {.text = ""};
        assert_int_equal(ow_consume(&options, &err), OW_UNSAFE);
        assert_string_not_equal(err.text, "");
        leave();
        assert_int_equal(ow_fixture_i64(member.fixture, "SELECT count(*) FROM ow_position"), 0);
        assert_int_equal(ow_memory_broker_committed(member.broker, "order-events", 0), -1);
    }
}

static void consume__alone_and_given_only_some__takes_all_partitions(void **state)
{
    (void)state;
    int64_t events = 0;
    for (int32_t members = 0; members < 2; members++) { /* 0: nobody knows */
        ow_memory_broker_members(member.broker, members);
        for (size_t given = 0; given < 3; given++) {
            append_story(events, events + 9);
            struct ow_record payment =
                ow_engine_event(member.fixture, "", "order.unknown", "A", "");
            payment.topic = OW_SLICE("payment-events");
            payment.partition = 1;
            ow_memory_broker_append(member.broker, &payment);
            events += 10;
            join(64, 0);
            ow_memory_source_assign_only(member.source, given);
            const struct ow_consume_options options = consume_options();
            consume(&options);
            assert_int_equal(ow_worker_totals(member.worker).records, 11);
            leave();
            assert_int_equal(ow_memory_broker_committed(member.broker, "order-events", 0), events);
            assert_int_equal(ow_memory_broker_committed(member.broker, "payment-events", 1),
                             events / 10);
        }
    }
}

static void consume__all_partitions__whoever_else_is_in_the_group(void **state)
{
    (void)state;
    append_story(0, 9);
    ow_memory_broker_members(member.broker, 2); /* a second one that waits for its turn */
    join(64, 0);
    const struct ow_consume_options options = consume_options();
    consume(&options);
    leave();
    assert_int_equal(ow_memory_broker_committed(member.broker, "order-events", 0), 10);
}

static void never_assigned(struct ow_source *source, int timeout_ms,
                           struct ow_source_event *ret_event)
{
    (void)source;
    (void)timeout_ms;
    *ret_event = (struct ow_source_event){.kind = OW_SOURCE_IDLE};
}

static void consume__nobody_assigns__is_temporary_after_a_while(void **state)
{
    (void)state;
    join(64, 0);
    member.ops.poll = never_assigned;
    struct ow_consume_options options = consume_options();
    options.wait_broker_ms = 5;
    struct ow_err err = {.text = ""};
    assert_int_equal(ow_consume(&options, &err), OW_TEMPORARY);
    leave();
}

/* A truncated topic: it ends before our position. */
static enum ow_status shorter(struct ow_source *source, const char *topic, int32_t partition,
                              int64_t *ret_low, int64_t *ret_high, struct ow_err *err)
{
    const enum ow_status status =
        member.inner->bounds(source, topic, partition, ret_low, ret_high, err);
    *ret_high /= 2;
    return status;
}

/* One whose beginning was deleted. */
static enum ow_status later(struct ow_source *source, const char *topic, int32_t partition,
                            int64_t *ret_low, int64_t *ret_high, struct ow_err *err)
{
    const enum ow_status status =
        member.inner->bounds(source, topic, partition, ret_low, ret_high, err);
    *ret_low = *ret_high;
    return status;
}

static void consume__a_topic_that_lost_records__is_unsafe(void **state)
{
    (void)state;
    append_story(0, 9);
    join(64, 0);
    struct ow_consume_options options = consume_options();
    consume(&options);
    leave();
    append_story(10, 11);
    join(64, 0);
    member.ops.bounds = shorter;
    options = consume_options();
    struct ow_err err = {.text = ""};
    assert_int_equal(ow_consume(&options, &err), OW_UNSAFE);
    assert_non_null(strstr(err.text, "re-created or truncated"));
    leave();
    join(64, 0);
    member.ops.bounds = later;
    options = consume_options();
    assert_int_equal(ow_consume(&options, &err), OW_UNSAFE);
    assert_non_null(strstr(err.text, "deleted before they were handled"));
    leave();
}

static void consume__only_markers_are_left_and_retention_takes_all_else__goes_on(void **state)
{
    (void)state;
    append_story(0, 9);
    ow_memory_broker_skip(member.broker, "order-events", 0, 11);
    join(64, 0);
    struct ow_consume_options options = consume_options();
    consume(&options);
    leave();
    assert_int_equal(ow_memory_broker_committed(member.broker, "order-events", 0), 11);
    join(64, 0);
    member.ops.bounds = later;
    options = consume_options();
    consume(&options);
    leave();
}

/* Another topic of the same name and length: the record at offset 9 is another one. */
static void poll_other_topic(struct ow_source *source, int timeout_ms,
                             struct ow_source_event *ret_event)
{
    member.inner->poll(source, timeout_ms, ret_event);
    if (ret_event->kind == OW_SOURCE_RECORD && ret_event->record.offset == 9) {
        ret_event->record.value = OW_SLICE("{}");
    }
}

static void consume__nothing_new_in_a_swapped_topic__is_unsafe_before_the_end(void **state)
{
    (void)state;
    append_story(0, 9);
    join(64, 0);
    struct ow_consume_options options = consume_options();
    consume(&options);
    leave();
    join(64, 0);
    member.ops.poll = poll_other_topic;
    options = consume_options();
    struct ow_err err = {.text = ""};
    assert_int_equal(ow_consume(&options, &err), OW_UNSAFE);
    assert_non_null(strstr(err.text, "re-created, truncated or swapped"));
    leave();
}

static void assert_the_rewind_is_still_there(void)
{
    assert_int_equal(ow_memory_broker_committed(member.broker, "order-events", 0), 3);
    const int64_t high = ow_fixture_i64(
        member.fixture, "SELECT high_offset FROM ow_position WHERE topic = 'order-events'");
    join(64, 0);
    const struct ow_consume_options options = consume_options();
    consume(&options);
    assert_int_equal(ow_worker_totals(member.worker).reread, high - 3);
    leave();
    assert_int_equal(
        ow_memory_broker_committed(member.broker, "order-events", 0),
        ow_fixture_i64(member.fixture,
                       "SELECT next_offset FROM ow_position WHERE topic = 'order-events'"));
}

/*
 * At the first end that is told the store stands still, for somebody else writes to it, and the
 * group is rebalanced. When everything is revoked an operator rewinds, and right after the next
 * assignment was handed over we are told to stop.
 */
static void standing_poll(struct ow_source *source, int timeout_ms,
                          struct ow_source_event *ret_event)
{
    member.inner->poll(source, timeout_ms, ret_event);
    if (ret_event->kind == OW_SOURCE_END && member.other == NULL) {
        assert_int_equal(sqlite3_open(member.fixture->path, &member.other), SQLITE_OK);
        (void)sqlite3_busy_timeout(member.other, 5000);
        assert_int_equal(sqlite3_exec(member.other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
                         SQLITE_OK);
        ow_memory_source_rebalance(source);
    }
}

static enum ow_status unassign_and_rewind(struct ow_source *source, struct ow_err *err)
{
    ow_memory_broker_reset(member.broker, "order-events", 0, 3);
    return member.inner->unassign(source, err);
}

static enum ow_status assign_and_stop(struct ow_source *source,
                                      const struct ow_partition_offset *list, size_t count,
                                      struct ow_err *err)
{
    atomic_store(&member.stop, member.other != NULL);
    return member.inner->assign(source, list, count, err);
}

/* The wait for the worker comes when the poll loop has been left: the store works again. */
static int64_t lock_free_ns(void *context)
{
    (void)context;
    if (atomic_load(&member.stop) && pthread_equal(pthread_self(), member.poll_thread) != 0) {
        (void)sqlite3_exec(member.other, "ROLLBACK", NULL, NULL, NULL);
    }
    const struct ow_clock clock = ow_clock_system();
    return ow_clock_elapsed_ns(&clock);
}

static void consume__stopped_before_a_rewind_was_applied__leaves_it_to_the_next_run(void **state)
{
    (void)state;
    append_story(0, 9);
    join(64, 0);
    struct ow_consume_options options = consume_options();
    consume(&options);
    leave();
    append_story(10, 10);
    member.poll_thread = pthread_self();
    member.clock.elapsed_ns = lock_free_ns;
    join(64, 1);
    member.ops.poll = standing_poll;
    member.ops.unassign = unassign_and_rewind;
    member.ops.assign = assign_and_stop;
    options = consume_options();
    options.until_end = false;
    consume(&options);
    leave();
    assert_int_equal(sqlite3_close(member.other), SQLITE_OK);
    member.clock = ow_clock_system();
    assert_the_rewind_is_still_there();
}

/* Between the plan and its application somebody takes the store over. */
static enum ow_status committed_and_taken_over(struct ow_source *source,
                                               struct ow_partition_offset *list, size_t count,
                                               struct ow_err *err)
{
    ow_fixture_exec(member.fixture, "UPDATE ow_meta SET value = value + 1 WHERE key = 'epoch'");
    return member.inner->committed(source, list, count, err);
}

static void consume__failed_before_a_rewind_was_applied__leaves_it_to_the_next_run(void **state)
{
    (void)state;
    append_story(0, 9);
    join(64, 0);
    struct ow_consume_options options = consume_options();
    consume(&options);
    leave();
    ow_memory_broker_reset(member.broker, "order-events", 0, 3);
    join(64, 0);
    member.ops.committed = committed_and_taken_over;
    options = consume_options();
    struct ow_err err = {.text = ""};
    assert_int_equal(ow_consume(&options, &err), OW_UNSAFE);
    leave();
    ow_fixture_exec(member.fixture, "UPDATE ow_meta SET value = value - 1 WHERE key = 'epoch'");
    assert_the_rewind_is_still_there();
}

static enum ow_status stop_and_no_answer(struct ow_source *source, struct ow_partition_offset *list,
                                         size_t count, struct ow_err *err)
{
    (void)source;
    (void)list;
    (void)count;
    atomic_store(&member.stop, true);
    return ow_fail(err, OW_TEMPORARY, "nobody answers");
}

static void consume__told_to_stop_while_the_broker_does_not_answer__ends_well(void **state)
{
    (void)state;
    append_story(0, 9);
    join(64, 1);
    member.ops.committed = stop_and_no_answer;
    struct ow_consume_options options = consume_options();
    options.until_end = false;
    consume(&options);
    leave();
    assert_int_equal(ow_memory_broker_committed(member.broker, "order-events", 0), -1);
}

/*
 * A story of a deadline: once everything is read, three days pass, in which nothing is fetched for
 * some seconds; then it is. The worker has no threads and looks at its deadlines at each poll.
 */
static struct ow_clock_manual days;
static int silent_polls;
static struct ow_record unread; /* lies there unfetched meanwhile; without a value: nothing does */

static void silent_poll(struct ow_source *source, int timeout_ms, struct ow_source_event *ret_event)
{
    days.now_ms += 250; /* less than what the poll loop takes for a silence */
    days.elapsed_ns += 250000000;
    ow_worker_tick(member.worker);
    if (silent_polls > 0) {
        silent_polls--;
        *ret_event = (struct ow_source_event){.kind = OW_SOURCE_IDLE};
        return;
    }
    member.inner->poll(source, timeout_ms, ret_event);
    if (ret_event->kind != OW_SOURCE_IDLE) {
        return;
    }
    if (days.now_ms >= INT64_C(73) * 3600 * 1000) {
        atomic_store(&member.stop, true);
        return;
    }
    if (unread.value.len > 0) {
        ow_memory_broker_append(member.broker, &unread);
    }
    days.now_ms += INT64_C(73) * 3600 * 1000;
    days.elapsed_ns += INT64_C(73) * 3600 * 1000000000;
    silent_polls = 40;
}

static void wait_three_days(struct ow_record lies_there)
{
    days = (struct ow_clock_manual){.now_ms = 1};
    silent_polls = 0;
    unread = lies_there;
    struct ow_record early =
        ow_engine_event(member.fixture, "p", "payment.succeeded", "A",
                        ",\"amount\":5,\"currency\":\"EUR\",\"method\":\"card\","
                        "\"payment_id\":\"p\"");
    early.timestamp_ms = 1;
    ow_memory_broker_append(member.broker, &early);
    member.clock = ow_clock_manual(&days);
    join(64, 0);
    member.ops.poll = silent_poll;
    struct ow_consume_options options = consume_options();
    options.until_end = false;
    options.clock = member.clock;
    consume(&options);
    leave();
    assert_int_equal(ow_fixture_i64(member.fixture, "SELECT count(*) FROM ow_parked"), 0);
}

static void consume__a_deadline_passes_and_nothing_is_unread__it_times_out(void **state)
{
    (void)state;
    wait_three_days((struct ow_record){0});
    assert_int_equal(ow_fixture_i64(member.fixture, "SELECT count(*) FROM ow_quarantine"
                                                    " WHERE reason = 'park_timeout'"),
                     1);
}

static void consume__a_deadline_passes_and_what_it_waits_for_is_unread__it_is_woken(void **state)
{
    (void)state;
    wait_three_days(ow_engine_event(member.fixture, "c", "order.created", "A",
                                    ",\"amount\":5,\"currency\":\"EUR\""));
    assert_int_equal(ow_fixture_i64(member.fixture, "SELECT count(*) FROM ow_quarantine"), 0);
    assert_int_equal(
        ow_fixture_i64(member.fixture, "SELECT count(*) FROM orders WHERE state = 'paid'"), 1);
}

static void limit_pages(const char *pragma)
{
    struct ow_err err = {.text = ""};
    assert_int_equal(ow_sql_exec(&member.fixture->store->sql, pragma, &err), OW_OK);
}

static void consume__without_threads_and_a_full_store__says_so_and_loses_nothing(void **state)
{
    (void)state;
    append_story(0, 9);
    join(4, 0);
    struct ow_consume_options options = consume_options();
    consume(&options);
    leave();
    for (int64_t i = 10; i < 20; i++) {
        struct ow_record record = ow_engine_story(member.fixture, i);
        record.topic = OW_SLICE("order-events");
        record.value = (struct ow_slice){ow_arena_alloc(&member.fixture->kept, 100000), 100000};
        ow_memory_broker_append(member.broker, &record);
    }
    limit_pages("PRAGMA max_page_count = 1"); /* no page more than there are */
    join(4, 0);
    options = consume_options();
    struct ow_err err = {.text = ""};
    assert_int_equal(ow_consume(&options, &err), OW_STORE_FULL);
    ow_worker_tick(member.worker); /* changes nothing of that */
    assert_int_equal(ow_worker_status(member.worker, &err), OW_STORE_FULL);
    leave();
    assert_int_equal(ow_memory_broker_committed(member.broker, "order-events", 0), 10);
    limit_pages("PRAGMA max_page_count = 100000");
    join(4, 0);
    options = consume_options();
    consume(&options);
    leave();
    assert_int_equal(ow_memory_broker_committed(member.broker, "order-events", 0), 20);
    assert_int_equal(ow_fixture_i64(member.fixture, "SELECT count(*) FROM ow_quarantine"), 10);
}

/*
 * A topic that falls silent in the middle: after five records nothing comes for some seconds. Then
 * it is deleted, or goes on.
 */
static int quiet_polls;
static enum { TOPIC_STAYS, TOPIC_GOES, TOPIC_IS_REBALANCED_AWAY, BROKER_IS_AWAY } what_happens;

static bool topic_is_gone(const char *topic)
{
    return (what_happens == TOPIC_GOES || what_happens == TOPIC_IS_REBALANCED_AWAY) &&
           quiet_polls > 0 && strcmp(topic, "order-events") == 0;
}

static void quiet_poll(struct ow_source *source, int timeout_ms, struct ow_source_event *ret_event)
{
    days.elapsed_ns += 250000000;
    *ret_event = (struct ow_source_event){.kind = OW_SOURCE_IDLE};
    if (member.polled < 5 || (what_happens != TOPIC_GOES && quiet_polls >= 80)) {
        watched_poll(source, timeout_ms, ret_event);
        return;
    }
    assert_true(++quiet_polls < 240); /* bounded */
    if (what_happens == TOPIC_IS_REBALANCED_AWAY && quiet_polls == 1) {
        ow_memory_source_rebalance(source);
        quiet_polls = 80;
    }
}

static enum ow_status quiet_partition_count(struct ow_source *source, const char *topic,
                                            int32_t *ret_count, struct ow_err *err)
{
    if (what_happens == BROKER_IS_AWAY && quiet_polls > 0 && quiet_polls < 80) {
        return ow_fail(err, OW_TEMPORARY, "nobody answers");
    }
    OW_TRY(member.inner->partition_count(source, topic, ret_count, err));
    *ret_count = topic_is_gone(topic) ? 0 : *ret_count;
    return OW_OK;
}

static enum ow_status consume_quietly(struct ow_err *err)
{
    days = (struct ow_clock_manual){.now_ms = 1};
    quiet_polls = 0;
    member.polled = 0;
    member.clock = ow_clock_manual(&days);
    join(2, 0);
    member.ops.poll = quiet_poll;
    member.ops.partition_count = quiet_partition_count;
    struct ow_consume_options options = consume_options();
    options.clock = member.clock;
    const enum ow_status status = ow_consume(&options, err);
    leave();
    return status;
}

static void consume__until_end_of_a_topic_that_is_deleted__is_unsafe_before_long(void **state)
{
    (void)state;
    append_story(0, 9);
    struct ow_err err = {.text = ""};
    what_happens = TOPIC_GOES;
    assert_int_equal(consume_quietly(&err), OW_UNSAFE);
    assert_string_equal(err.text,
                        "topic order-events was deleted while it was read: offsets 5 to 9 of "
                        "partition 0 were not read");
    assert_int_equal(ow_fixture_i64(member.fixture, "SELECT max(next_offset) FROM ow_position"), 5);
}

static void consume__until_end_without_a_topic_that_was_assigned__is_unsafe(void **state)
{
    (void)state;
    append_story(0, 9);
    struct ow_err err = {.text = ""};
    what_happens = TOPIC_IS_REBALANCED_AWAY;
    assert_int_equal(consume_quietly(&err), OW_UNSAFE);
    assert_non_null(strstr(err.text, "topic order-events was deleted while it was read"));
}

static void consume__until_end_of_a_topic_that_is_silent_for_a_while__waits(void **state)
{
    (void)state;
    append_story(0, 9);
    struct ow_err err = {.text = ""};
    what_happens = TOPIC_STAYS;
    assert_int_equal(consume_quietly(&err), OW_OK);
    append_story(10, 19);
    what_happens = BROKER_IS_AWAY;
    assert_int_equal(consume_quietly(&err), OW_OK);
    assert_int_equal(ow_fixture_i64(member.fixture, "SELECT max(next_offset) FROM ow_position"),
                     20);
}

#define WITH_BROKER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int ow_test_consume(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_BROKER(consume__until_end__ends_there_and_commits_with_metadata),
        WITH_BROKER(consume__what_comes_after_the_start__is_for_the_next_time),
        WITH_BROKER(consume__an_empty_topic__is_at_its_end),
        WITH_BROKER(consume__told_to_stop__commits_what_is_durable),
        WITH_BROKER(consume__rebalanced_again_and_again__handles_each_record_once),
        WITH_BROKER(consume__a_store_that_stands_still__pauses_and_goes_on),
        WITH_BROKER(consume__progress__is_told),
        WITH_BROKER(consume__some_partitions_are_another_member_s__is_unsafe),
        WITH_BROKER(consume__alone_and_given_only_some__takes_all_partitions),
        WITH_BROKER(consume__all_partitions__whoever_else_is_in_the_group),
        WITH_BROKER(consume__nobody_assigns__is_temporary_after_a_while),
        WITH_BROKER(consume__a_topic_that_lost_records__is_unsafe),
        WITH_BROKER(consume__only_markers_are_left_and_retention_takes_all_else__goes_on),
        WITH_BROKER(consume__nothing_new_in_a_swapped_topic__is_unsafe_before_the_end),
        WITH_BROKER(consume__stopped_before_a_rewind_was_applied__leaves_it_to_the_next_run),
        WITH_BROKER(consume__failed_before_a_rewind_was_applied__leaves_it_to_the_next_run),
        WITH_BROKER(consume__told_to_stop_while_the_broker_does_not_answer__ends_well),
        WITH_BROKER(consume__a_deadline_passes_and_nothing_is_unread__it_times_out),
        WITH_BROKER(consume__a_deadline_passes_and_what_it_waits_for_is_unread__it_is_woken),
        WITH_BROKER(consume__without_threads_and_a_full_store__says_so_and_loses_nothing),
        WITH_BROKER(consume__until_end_of_a_topic_that_is_deleted__is_unsafe_before_long),
        WITH_BROKER(consume__until_end_without_a_topic_that_was_assigned__is_unsafe),
        WITH_BROKER(consume__until_end_of_a_topic_that_is_silent_for_a_while__waits),
    };
    return cmocka_run_group_tests_name("consume", tests, NULL, NULL);
}
