/*
 * The poll loop whose ring is full, by known steps: the test is the apply thread, and time passes
 * when the poll thread looks at it. The same with all threads is in test_consume_jam.c.
 */
#include "crank_fixture.h"
#include "groups.h"
#include "member_fixture.h"

#include <stdlib.h>
#include <time.h>

enum event { GO_ON, STOP, TAKE_OVER, MAKE_ANEW, EVENTS };

/* Where the poll thread is when it happens. */
enum moment {
    IN_THE_WAIT,   /* for room, before anything is paused */
    WHILE_PAUSED,  /* after some polls */
    AT_ASSIGNMENT, /* which has no place in the ring */
    AT_RECORD      /* that comes though everything is paused, and has no place either */
};

enum { LARGE = 4 << 20 };

static struct jam {
    enum event event;
    enum moment moment;
    bool large; /* the ring is full by its bytes: it stays full when the worker fails */
    char *bytes;
    int64_t poll_ns;
    int looks, paused_polls, pauses, assigns;
    bool happened;
    struct ow_record last;
    bool soon_runs;
    pthread_t soon;
} jam;

static void sleep_ms(long ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&time, NULL);
}

static void await_soon(void)
{
    if (jam.soon_runs) {
        (void)pthread_join(jam.soon, NULL);
        jam.soon_runs = false;
    }
}

static void run_soon(void *(*what)(void *context))
{
    assert_int_equal(pthread_create(&jam.soon, NULL, what, NULL), 0);
    jam.soon_runs = true;
}

/* By then the poll thread waits for a chunk; where it does not yet, other tests see what it does.
 */
static void *turn_all_later(void *context)
{
    (void)context;
    sleep_ms(300);
    ow_crank_turn_all();
    return NULL;
}

static void *turn_once(void *context)
{
    (void)context;
    ow_crank_turn();
    return NULL;
}

/* A batch is in work and waits for the store, while the poll thread goes on. */
static void begin_a_batch(void)
{
    ow_crank_turn(); /* the assignment */
    ow_member_hold_store();
    const int64_t looks = atomic_load(&ow_crank.looks);
    run_soon(turn_once);
    while (atomic_load(&ow_crank.looks) < looks + 2) { /* the second one is behind all questions */
        sleep_ms(1);
    }
}

static void take_over(void)
{
    struct ow_err err;
    if (jam.soon_runs) {
        ow_member_take_over();
        await_soon();
    } else {
        ow_member_hold_store();
        ow_member_take_over();
        ow_crank_turn();
    }
    assert_int_equal(ow_worker_status(ow_member.worker, &err), OW_UNSAFE);
}

static void happen(void)
{
    jam.happened = true;
    switch (jam.event) {
    case GO_ON:
        if (jam.moment == IN_THE_WAIT || jam.moment == WHILE_PAUSED) {
            ow_crank_turn_all();
        } else {
            run_soon(turn_all_later);
        }
        break;
    case STOP:
        atomic_store(&ow_member.stop, true);
        break;
    case TAKE_OVER:
        take_over();
        break;
    case MAKE_ANEW: /* the topic, longer than it was read */
        ow_memory_broker_recreate(ow_member.broker, "order-events", 0);
        ow_member_append_story(1000, 1199);
        ow_crank_turn_all();
        break;
    case EVENTS:
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

/* The poll thread's clock. Its first look at a full ring tells it how long to wait, its second is
 * in the wait. */
static int64_t look_ns(void *context)
{
    (void)context;
    if (jam.moment == IN_THE_WAIT && !jam.happened && is_ring_full() && ++jam.looks == 2) {
        happen();
    }
    jam.poll_ns += 50000000; /* between two polls less than what is a silence */
    return jam.poll_ns;
}

static void full_poll(struct ow_source *source, int timeout_ms, struct ow_source_event *ret_event)
{
    if (jam.happened && (jam.event == GO_ON || jam.event == MAKE_ANEW)) {
        await_soon();
        ow_crank_turn_all();
    }
    if (jam.pauses > 0 && !jam.happened && jam.moment == AT_RECORD) {
        happen();
        *ret_event = (struct ow_source_event){.kind = OW_SOURCE_RECORD, .record = jam.last};
        return;
    }
    if (jam.pauses > 0 && !jam.happened && jam.moment == WHILE_PAUSED) {
        jam.paused_polls++;
        if (jam.paused_polls == 3) {
            ow_crank_turn(); /* one chunk is free: too few to go on */
        } else if (jam.paused_polls == 5) {
            assert_int_equal(jam.assigns, 1);
            happen();
        }
    }
    ow_member.inner->poll(source, timeout_ms, ret_event);
    if (ret_event->kind == OW_SOURCE_RECORD) {
        if (jam.large && ret_event->record.offset > 0) {
            ret_event->record.value = (struct ow_slice){(const uint8_t *)jam.bytes, LARGE};
        }
        jam.last = ret_event->record;
    }
}

static enum ow_status full_pause(struct ow_source *source, struct ow_err *err)
{
    jam.pauses++;
    if (jam.moment == AT_ASSIGNMENT && jam.event == TAKE_OVER) {
        begin_a_batch();
    }
    if (jam.moment == AT_ASSIGNMENT) {
        ow_memory_source_rebalance(ow_member.flaky.inner);
    }
    return ow_member.inner->pause(source, err);
}

static enum ow_status full_assign(struct ow_source *source, const struct ow_partition_offset *list,
                                  size_t count, struct ow_err *err)
{
    jam.assigns++;
    return ow_member.inner->assign(source, list, count, err);
}

/* The last that is asked before an assignment needs a chunk. */
static enum ow_status full_bounds(struct ow_source *source, const char *topic, int32_t partition,
                                  int64_t *ret_low, int64_t *ret_high, struct ow_err *err)
{
    if (jam.pauses > 0 && !jam.happened && jam.moment == AT_ASSIGNMENT) {
        happen();
    }
    return ow_member.inner->bounds(source, topic, partition, ret_low, ret_high, err);
}

/* Reads to the end, which is `end`: a chunk a record, and nothing is applied before it happens. */
static void consume(enum moment moment, enum event event, bool large, int64_t end)
{
    static const enum ow_status wanted[EVENTS] = {OW_OK, OW_OK, OW_UNSAFE, OW_UNSAFE};
    struct ow_err err = {.text = ""};
    jam = (struct jam){.moment = moment, .event = event, .large = large};
    jam.bytes = large ? calloc(1, LARGE) : NULL;
    ow_member.clock = ow_crank_clock();
    ow_member_join(1, 0);
    ow_crank_take(ow_member.worker);
    ow_crank.look_ns = INT64_C(20000000000); /* nobody turns the crank while it is waited for */
    ow_member.ops.poll = full_poll;
    ow_member.ops.pause = full_pause;
    ow_member.ops.assign = full_assign;
    ow_member.ops.bounds = full_bounds;
    struct ow_consume_options options = ow_member_options();
    options.clock.elapsed_ns = look_ns;
    options.wait_broker_ms = 60000;
    const enum ow_status status = ow_consume(&options, &err);
    await_soon();
    ow_member_leave();
    free(jam.bytes);
    ow_member.clock = ow_clock_system();
    assert_true(jam.happened);
    assert_int_equal(status, wanted[event]);
    if (event == TAKE_OVER) {
        assert_non_null(strstr(err.text, "another process owns the store"));
        ow_member_give_back();
    }
    if (event == MAKE_ANEW) {
        assert_non_null(strstr(err.text, "re-created, truncated or swapped"));
        assert_int_equal(ow_fixture_i64(ow_member.fixture, "SELECT applied FROM ow_position"), end);
    }
    if (event == GO_ON) {
        assert_int_equal(ow_fixture_i64(ow_member.fixture, "SELECT applied FROM ow_position"), end);
    }
}

static void full_ring__that_empties_in_time__is_never_paused(void **state)
{
    (void)state;
    ow_member_append_story(0, 99);
    consume(IN_THE_WAIT, GO_ON, false, 100);
    assert_int_equal(jam.pauses, 0);
    ow_member_goes_on_to(100);
}

static void full_ring__that_does_not_empty__is_paused_until_it_is_empty(void **state)
{
    (void)state;
    ow_member_append_story(0, 99);
    consume(WHILE_PAUSED, GO_ON, false, 100);
    assert_int_equal(jam.pauses, 1);
    assert_int_equal(jam.assigns, 2);
    ow_member_goes_on_to(100);
}

static void full_ring__with_the_last_record__is_waited_out(void **state)
{
    enum { END = OW_WORKER_RING - 1 }; /* and the assignment */
    (void)state;
    ow_member_append_story(0, END - 1);
    consume(WHILE_PAUSED, GO_ON, false, END);
    ow_member_goes_on_to(END);
}

static void full_ring__at_an_assignment_or_a_record__is_waited_for(void **state)
{
    (void)state;
    ow_member_append_story(0, 99);
    consume(AT_ASSIGNMENT, GO_ON, false, 100);
    ow_member_append_story(100, 199);
    consume(AT_RECORD, GO_ON, false, 200);
    ow_member_goes_on_to(200);
}

static void full_ring__told_to_stop__stops_wherever_it_is(void **state)
{
    (void)state;
    ow_member_append_story(0, 99);
    consume(IN_THE_WAIT, STOP, false, 0);
    consume(WHILE_PAUSED, STOP, false, 0);
    consume(AT_ASSIGNMENT, STOP, false, 0);
    consume(AT_RECORD, STOP, false, 0);
    ow_member_goes_on_to(100);
}

static void full_ring__and_somebody_takes_the_store__is_unsafe_wherever_it_is(void **state)
{
    (void)state;
    ow_member_append_story(0, 99);
    consume(IN_THE_WAIT, TAKE_OVER, false, 0);
    consume(WHILE_PAUSED, TAKE_OVER, false, 0);
    consume(AT_ASSIGNMENT, TAKE_OVER, true, 0);
    consume(AT_RECORD, TAKE_OVER, true, 0);
    ow_member_goes_on_to(100);
}

static void full_ring__while_the_topic_is_made_anew__is_unsafe(void **state)
{
    (void)state;
    ow_member_append_story(0, 99);
    consume(WHILE_PAUSED, MAKE_ANEW, false, OW_WORKER_RING - 1); /* and the assignment */
    assert_int_equal(jam.assigns, 2);
}

#define WITH_BROKER(test) cmocka_unit_test_setup_teardown(test, ow_member_start, ow_member_stop)

int ow_test_consume_full(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_BROKER(full_ring__that_empties_in_time__is_never_paused),
        WITH_BROKER(full_ring__that_does_not_empty__is_paused_until_it_is_empty),
        WITH_BROKER(full_ring__with_the_last_record__is_waited_out),
        WITH_BROKER(full_ring__at_an_assignment_or_a_record__is_waited_for),
        WITH_BROKER(full_ring__while_the_topic_is_made_anew__is_unsafe),
        WITH_BROKER(full_ring__told_to_stop__stops_wherever_it_is),
        WITH_BROKER(full_ring__and_somebody_takes_the_store__is_unsafe_wherever_it_is),
    };
    return cmocka_run_group_tests_name("consume_full", tests, NULL, NULL);
}
