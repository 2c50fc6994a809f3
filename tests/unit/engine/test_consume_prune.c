/*
 * The poll loop whose ring is full where it is not expected: between records that are not handled
 * alike, and before ends that are to be confirmed; and the end of a run that nobody prunes. By
 * known steps: the test is the apply thread.
 */
#include "crank_fixture.h"
#include "groups.h"
#include "member_fixture.h"

#include <stdlib.h>

enum event { GO_ON, STOP, TAKE_OVER, FAIL, BE_DUE };

static struct jam {
    bool (*is_now)(void);
    enum event event;
    int64_t poll_ns;
    bool happened;
    int64_t due_at;      /* the end at which a deadline is due; 0: never */
    bool asked;          /* for the ends, since then */
    int64_t turns_until; /* the crank is turned in so many polls */
    bool turns_in_looks; /* and at each look after it happened */
} jam;

static void happen(void)
{
    struct ow_err err;
    jam.happened = true;
    ow_crank.look_ns = jam.turns_in_looks ? 200000000 : ow_crank.look_ns; /* what is said holds */
    switch (jam.event) {
    case GO_ON:
        ow_crank_turn_all();
        break;
    case STOP:
        atomic_store(&ow_member.stop, true);
        break;
    case TAKE_OVER:
        ow_member_hold_store();
        ow_member_take_over();
        ow_crank_turn();
        assert_int_equal(ow_worker_status(ow_member.worker, &err), OW_UNSAFE);
        break;
    case FAIL:
        ow_worker_lock(ow_member.worker);
        ow_member.worker->status = ow_fail(&ow_member.worker->err, OW_UNSAFE, "it has failed");
        ow_worker_unlock(ow_member.worker);
        break;
    case BE_DUE:
        ow_crank.now_ms += OW_PARK_DEADLINE_MS_DEFAULT;
        break;
    }
}

/* No chunk is free, and none is being filled. */
static bool is_ring_full(void)
{
    struct ow_worker *const worker = ow_member.worker;
    ow_worker_lock(worker);
    const enum ow_worker_slot slot = worker->states[worker->submitted % OW_WORKER_RING];
    ow_worker_unlock(worker);
    return slot != OW_SLOT_FREE && slot != OW_SLOT_FILLING;
}

/* The poll thread's clock: less than a silence goes by between two looks. */
static int64_t look_ns(void *context)
{
    (void)context;
    if (!jam.happened && jam.is_now()) {
        happen();
    }
    if (jam.happened && jam.turns_in_looks) {
        ow_crank_turn_all();
        ow_crank_turn();
    }
    jam.poll_ns += 50000000;
    return jam.poll_ns;
}

static void turning_poll(struct ow_source *source, int timeout_ms,
                         struct ow_source_event *ret_event)
{
    assert_true(++ow_member.polls < 5000); /* bounded */
    if (ow_member.polls <= jam.turns_until || (jam.happened && jam.event == GO_ON)) {
        ow_crank_turn_all();
    }
    ow_member.inner->poll(source, timeout_ms, ret_event);
    if (jam.due_at > 0 && ret_event->kind == OW_SOURCE_END &&
        ret_event->record.offset == jam.due_at) {
        ow_crank.now_ms += OW_PARK_DEADLINE_MS_DEFAULT;
        jam.asked = false;
    }
}

static enum ow_status noting_bounds(struct ow_source *source, const char *topic, int32_t partition,
                                    int64_t *ret_low, int64_t *ret_high, struct ow_err *err)
{
    jam.asked = true;
    return ow_member.inner->bounds(source, topic, partition, ret_low, ret_high, err);
}

static struct ow_consume_options join(size_t batch_rows, bool (*is_now)(void), enum event event)
{
    jam = (struct jam){.is_now = is_now, .event = event};
    ow_member.clock = ow_crank_clock();
    ow_member_join(batch_rows, 0);
    ow_crank_take(ow_member.worker);
    ow_crank.look_ns = INT64_C(20000000000); /* nobody turns the crank while it is waited for */
    ow_member.ops.poll = turning_poll;
    ow_member.ops.bounds = noting_bounds;
    struct ow_consume_options options = ow_member_options();
    options.clock.elapsed_ns = look_ns;
    options.wait_broker_ms = 60000;
    return options;
}

static void leave(void)
{
    ow_member_leave();
    ow_member.clock = ow_clock_system();
    if (jam.event == TAKE_OVER) {
        ow_member_give_back();
    }
}

/* Two records a chunk, and the last free one has one when a record comes that is suspected. */
static void full_ring__between_records_of_other_care__is_waited_for(void **state)
{
    enum { FIRST = 2 * (OW_WORKER_RING - 2) + 1, RECORDS = FIRST + 20 };
    static const enum event events[] = {STOP, TAKE_OVER, GO_ON};
    (void)state;
    struct ow_suspects *const notes = calloc(1, sizeof(*notes));
    assert_non_null(notes);
    ow_member_append_story(0, RECORDS - 1);
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        struct ow_err err = {.text = ""};
        memset(notes, 0, sizeof(*notes));
        (void)ow_suspects_adopt(notes, "boot", ow_store_id(ow_member.fixture->store));
        ow_member.suspects = notes;
        const struct ow_consume_options options = join(2, is_ring_full, events[i]);
        struct ow_suspect_partition *const partition =
            ow_suspects_partition(notes, OW_SLICE("order-events"), 0);
        partition->careful_first = FIRST;
        partition->careful_last = RECORDS;
        const enum ow_status status = ow_consume(&options, &err);
        const int64_t records = ow_worker_totals(ow_member.worker).records;
        leave();
        assert_true(jam.happened);
        assert_int_equal(status, events[i] == TAKE_OVER ? OW_UNSAFE : OW_OK);
        assert_int_equal(records, events[i] == GO_ON ? RECORDS : 0);
    }
    ow_member.suspects = NULL;
    free(notes);
    ow_member_goes_on_to(RECORDS);
}

static void append_parked(void)
{
    struct ow_record early = ow_engine_event(ow_member.fixture, "d", "order.dispatched", "A", "");
    early.timestamp_ms = ow_crank.now_ms;
    ow_memory_broker_append(ow_member.broker, &early);
}

static bool is_being_pruned(void)
{
    struct ow_worker *const worker = ow_member.worker;
    ow_worker_lock(worker);
    const bool asked = worker->prune_asked;
    ow_worker_unlock(worker);
    return asked;
}

static void run__whose_end_nobody_prunes__ends_all_the_same(void **state)
{
    static const enum event events[] = {STOP, FAIL};
    (void)state;
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        struct ow_err err = {.text = ""};
        const struct ow_consume_options options = join(4, is_being_pruned, events[i]);
        jam.turns_until = INT64_MAX;
        if (i == 0) {
            append_parked();
        }
        const enum ow_status status = ow_consume(&options, &err);
        leave();
        assert_true(jam.happened);
        assert_int_equal(status, events[i] == FAIL ? OW_UNSAFE : OW_OK);
        assert_int_equal(ow_fixture_i64(ow_member.fixture, "SELECT parked FROM ow_position"), 1);
    }
}

/* The deadline is due by then, and what the ends are is on its way: nobody takes it. */
static void run__whose_end_is_pruned_too_slowly__is_over_after_seconds(void **state)
{
    (void)state;
    const struct ow_consume_options options = join(4, is_being_pruned, BE_DUE);
    jam.turns_until = INT64_MAX;
    append_parked();
    ow_member_consume(&options);
    assert_true(jam.happened);
    assert_true(ow_crank_left() > 0);
    assert_true(jam.poll_ns < INT64_C(20000000000));
    leave();
    assert_int_equal(ow_fixture_i64(ow_member.fixture, "SELECT count(*) FROM ow_parked"), 1);
}

static void expect_timeout(void)
{
    assert_int_equal(ow_fixture_i64(ow_member.fixture, "SELECT count(*) FROM ow_parked"), 0);
    assert_int_equal(ow_fixture_i64(ow_member.fixture, "SELECT count(*) FROM ow_quarantine"
                                                       " WHERE reason = 'park_timeout'"),
                     1);
}

/* Their ends are more than a chunk has room for. */
static void deadline__of_a_topic_of_many_partitions__passes_with_the_ends_of_all(void **state)
{
    (void)state;
    struct ow_memory_broker *const before = ow_member.broker;
    ow_member.broker = ow_memory_broker_open();
    ow_memory_broker_topic(ow_member.broker, "order-events", OW_CHUNK_ENDS + 1);
    const struct ow_consume_options options = join(4, is_being_pruned, BE_DUE);
    jam.turns_until = INT64_MAX;
    jam.turns_in_looks = true;
    append_parked();
    ow_member_consume(&options);
    leave();
    expect_timeout();
    ow_memory_broker_close(before);
}

static bool is_asked_in_vain(void)
{
    return jam.due_at > 0 && jam.asked && is_ring_full();
}

/* The ends are asked for, and there is no room to tell them: later they are. */
static void deadline__while_the_ring_is_full__passes_when_there_is_room(void **state)
{
    enum { END = 2 + 2 * (OW_WORKER_RING - 1) + 1 };
    (void)state;
    const struct ow_consume_options options = join(2, is_asked_in_vain, GO_ON);
    jam.turns_until = 4; /* the assignment and the first two records */
    jam.turns_in_looks = true;
    jam.due_at = END;
    append_parked();
    ow_member_append_story(4, END + 2);
    ow_member_consume(&options);
    assert_true(jam.happened);
    leave();
    assert_int_equal(ow_fixture_i64(ow_member.fixture, "SELECT next_offset FROM ow_position"), END);
    expect_timeout();
}

#define WITH_BROKER(test) cmocka_unit_test_setup_teardown(test, ow_member_start, ow_member_stop)

int ow_test_consume_prune(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_BROKER(full_ring__between_records_of_other_care__is_waited_for),
        WITH_BROKER(run__whose_end_nobody_prunes__ends_all_the_same),
        WITH_BROKER(run__whose_end_is_pruned_too_slowly__is_over_after_seconds),
        WITH_BROKER(deadline__of_a_topic_of_many_partitions__passes_with_the_ends_of_all),
        WITH_BROKER(deadline__while_the_ring_is_full__passes_when_there_is_room),
    };
    return cmocka_run_group_tests_name("consume_prune", tests, NULL, NULL);
}
