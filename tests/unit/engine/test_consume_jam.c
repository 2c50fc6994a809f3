/* The poll loop whose ring is full, with all threads: somebody else holds the store. The same by
 * known steps is in test_consume_full.c. */
#include "groups.h"
#include "member_fixture.h"

#include <time.h>

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
        atomic_store(&ow_member.stop, true);
        sleep_ms(100);
    }
    if (event == TAKE_OVER) {
        ow_member_take_over();
    }
    ow_member_let_go();
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
            ow_memory_source_rebalance(ow_member.flaky.inner);
        }
    }
    return ow_member.inner->pause(source, err);
}

/* 100 records, a chunk each; the store stands still from the first on. */
static enum ow_status consume_in_a_jam(enum event event, bool rebalance, struct ow_err *err)
{
    ow_member_append_story(0, 99);
    event_when_paused = event;
    rebalance_when_paused = rebalance;
    soon_runs = false;
    ow_member_join(1, 1);
    ow_member.ops.pause = pause_and_then;
    struct ow_consume_options options = ow_member_options();
    options.clock.elapsed_ns = hurried_ns;
    ow_member_hold_store();
    const enum ow_status status = ow_consume(&options, err);
    assert_true(soon_runs);
    (void)pthread_join(soon, NULL);
    ow_member_let_go();
    ow_member_leave();
    return status;
}

static void jam__that_ends__goes_on(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    assert_int_equal(consume_in_a_jam(LET_GO, false, &err), OW_OK);
    ow_member_goes_on_to(100);
}

static void jam__and_a_rebalance__waits_for_a_chunk(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    assert_int_equal(consume_in_a_jam(LET_GO, true, &err), OW_OK);
    ow_member_goes_on_to(100);
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
        ow_member_give_back();
    }
}

static enum ow_status refuse(struct ow_source *source, struct ow_err *err)
{
    (void)source;
    return ow_fail(err, OW_FAILED, "refused");
}

static int assigns;

static enum ow_status refuse_again(struct ow_source *source, const struct ow_partition_offset *list,
                                   size_t count, struct ow_err *err)
{
    return assigns++ == 0 ? ow_member.inner->assign(source, list, count, err) : refuse(source, err);
}

static void jam__where_the_source_cannot_pause_or_go_on__is_said(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        const int64_t first = again == 0 ? 0 : 100;
        assigns = 0;
        ow_member_append_story(first, first + 99);
        event_when_paused = LET_GO;
        rebalance_when_paused = soon_runs = false;
        ow_member_join(1, 1);
        ow_member.ops.pause = again == 1 ? pause_and_then : refuse;
        ow_member.ops.assign = refuse_again;
        struct ow_consume_options options = ow_member_options();
        options.clock.elapsed_ns = hurried_ns;
        ow_member_hold_store();
        struct ow_err err = {.text = ""};
        assert_int_equal(ow_consume(&options, &err), OW_FAILED);
        assert_string_equal(err.text, "refused");
        if (soon_runs) {
            (void)pthread_join(soon, NULL);
        }
        ow_member_let_go();
        ow_member_leave();
    }
    ow_member_goes_on_to(200);
}

#define WITH_BROKER(test) cmocka_unit_test_setup_teardown(test, ow_member_start, ow_member_stop)

int ow_test_consume_jam(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_BROKER(jam__that_ends__goes_on),
        WITH_BROKER(jam__and_a_rebalance__waits_for_a_chunk),
        WITH_BROKER(jam__told_to_stop__stops),
        WITH_BROKER(jam__and_somebody_takes_the_store__is_unsafe),
        WITH_BROKER(jam__where_the_source_cannot_pause_or_go_on__is_said),
    };
    return cmocka_run_group_tests_name("consume_jam", tests, NULL, NULL);
}
