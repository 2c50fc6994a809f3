/*
 * The poll loop that has not fetched for a while: it compares its anchors before it takes anything
 * more. One thread, and time passes in polls alone.
 */
#include "groups.h"
#include "member_fixture.h"

enum { READ = 10, TWICE = 2 * READ, THRICE = 3 * READ };

static struct doubt {
    struct ow_clock_manual clock;
    int64_t poll_ms;      /* that each poll takes */
    void (*happen)(void); /* in the poll that finds everything read */
    int happens, idles;   /* how often it did; polls that found nothing since */
    bool interrupted;     /* as the source says, until it is assigned anew */
    int assigns, pauses;
    bool stops_when_paused;
    int refusals, asked;            /* questions that nobody answers; and all */
    int missing;                    /* answers that there is no such topic */
    struct ow_source_event strange; /* given next, where it is of a topic */
} doubt;

static void pass(int64_t elapsed_ms, int64_t wall_ms)
{
    doubt.clock.elapsed_ns += elapsed_ms * 1000000;
    doubt.clock.now_ms += wall_ms;
}

static void stand_still(void)
{
    pass(1200, 1200);
}

static void sleep_as_a_machine(void)
{
    pass(0, 1200);
}

static void run_on_while_the_clock_is_set_back(void)
{
    pass(1200, -3600000);
}

static void lose_the_connection(void)
{
    doubt.interrupted = true;
}

static void make_anew(int64_t count)
{
    ow_memory_broker_recreate(ow_member.broker, "order-events", 0);
    ow_member_append_story(1000, 1000 + count - 1);
}

static void doubtful_poll(struct ow_source *source, int timeout_ms,
                          struct ow_source_event *ret_event)
{
    assert_true(++ow_member.polls < 5000); /* bounded */
    pass(doubt.poll_ms, doubt.poll_ms);
    if (doubt.strange.record.topic.len > 0) {
        *ret_event = doubt.strange;
        doubt.strange = (struct ow_source_event){0};
        return;
    }
    ow_member.inner->poll(source, timeout_ms, ret_event);
    ret_event->interrupted = doubt.interrupted;
    if (ret_event->kind != OW_SOURCE_IDLE) {
        doubt.idles = 0;
        return;
    }
    if (++doubt.idles == 3 && doubt.happen != NULL) {
        void (*const happen)(void) = doubt.happen;
        doubt.happen = NULL;
        doubt.happens++;
        happen();
    } else if (doubt.idles > 1000) {
        atomic_store(&ow_member.stop, true);
    }
}

static enum ow_status doubtful_pause(struct ow_source *source, struct ow_err *err)
{
    doubt.pauses++;
    if (doubt.refusals > 0) { /* one that was on its way: it is left too */
        doubt.strange = (struct ow_source_event){
            .kind = OW_SOURCE_RECORD,
            .record = {.topic = OW_SLICE("order-events"), .offset = 1000}
        };
    }
    if (doubt.stops_when_paused) {
        atomic_store(&ow_member.stop, true);
    }
    return ow_member.inner->pause(source, err);
}

static enum ow_status doubtful_assign(struct ow_source *source,
                                      const struct ow_partition_offset *list, size_t count,
                                      struct ow_err *err)
{
    doubt.assigns++;
    doubt.interrupted = false;
    return ow_member.inner->assign(source, list, count, err);
}

static enum ow_status doubtful_count(struct ow_source *source, const char *topic,
                                     int32_t *ret_count, struct ow_err *err)
{
    doubt.asked++;
    if (doubt.refusals > 0) {
        doubt.refusals--;
        return ow_fail(err, OW_TEMPORARY, "nobody answers");
    }
    OW_TRY(ow_member.inner->partition_count(source, topic, ret_count, err));
    if (doubt.missing > 0 && *ret_count > 0) {
        doubt.missing--;
        *ret_count = 0;
    }
    return OW_OK;
}

static void join(int64_t poll_ms, void (*happen)(void))
{
    doubt = (struct doubt){.poll_ms = poll_ms, .happen = happen};
    doubt.clock = (struct ow_clock_manual){.now_ms = INT64_C(1700000000000), .elapsed_ns = 1};
    ow_member.clock = ow_clock_manual(&doubt.clock);
    ow_member_join(4, 0);
    ow_member.ops.poll = doubtful_poll;
    ow_member.ops.pause = doubtful_pause;
    ow_member.ops.assign = doubtful_assign;
    ow_member.ops.partition_count = doubtful_count;
}

/* Until nothing has come for long. */
static enum ow_status run(struct ow_err *err)
{
    *err = (struct ow_err){.text = ""};
    struct ow_consume_options options = ow_member_options();
    options.clock = ow_member.clock;
    options.until_end = false;
    const enum ow_status status = ow_consume(&options, err);
    ow_member_leave();
    ow_member.clock = ow_clock_system();
    return status;
}

static enum ow_status consume(int64_t poll_ms, void (*happen)(void), struct ow_err *err)
{
    join(poll_ms, happen);
    return run(err);
}

static void must_go_on(int64_t poll_ms, void (*happen)(void))
{
    struct ow_err err;
    if (consume(poll_ms, happen, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
}

static int64_t position(void)
{
    return ow_fixture_i64(ow_member.fixture, "SELECT next_offset FROM ow_position");
}

static void (*silence)(void); /* which one, in what happens */

static void silence_in_which_it_is_made_anew(void)
{
    silence();
    make_anew(THRICE);
}

static void silence_and_more_records(void)
{
    const int64_t end = position();
    silence();
    ow_member_append_story(end, end + READ - 1);
}

static void (*const silences[])(void) = {stand_still, sleep_as_a_machine,
                                         run_on_while_the_clock_is_set_back, lose_the_connection};
enum { SILENCES = sizeof(silences) / sizeof(silences[0]) };

static void silence__in_which_the_topic_is_made_anew__is_unsafe(void **state)
{
    for (size_t i = 0; i < SILENCES; i++) {
        struct ow_err err;
        silence = silences[i];
        (void)ow_member_start(state);
        ow_member_append_story(0, READ - 1);
        assert_int_equal(consume(10, silence_in_which_it_is_made_anew, &err), OW_UNSAFE);
        assert_non_null(strstr(err.text, "re-created, truncated or swapped"));
        assert_int_equal(doubt.pauses, 1);
        assert_int_equal(position(), READ);
        (void)ow_member_stop(state);
    }
}

static void silence__and_the_same_topic__goes_on_where_it_was(void **state)
{
    for (size_t i = 0; i < SILENCES; i++) {
        silence = silences[i];
        (void)ow_member_start(state);
        ow_member_append_story(0, READ - 1);
        must_go_on(10, silence_and_more_records);
        assert_int_equal(doubt.pauses, 1);
        assert_int_equal(doubt.assigns, 2);
        assert_int_equal(position(), TWICE);
        ow_member_goes_on_to(TWICE);
        (void)ow_member_stop(state);
    }
}

static void make_anew_shorter(void)
{
    stand_still();
    make_anew(READ - 5);
}

static void silence__and_a_shorter_topic__is_unsafe_by_its_end(void **state)
{
    (void)state;
    struct ow_err err;
    ow_member_append_story(0, READ - 1);
    assert_int_equal(consume(10, make_anew_shorter, &err), OW_UNSAFE);
    assert_non_null(strstr(err.text, "the topic ends at offset 5"));
    assert_int_equal(position(), READ);
}

/* Nor is a record of a partition that is not ours a reason to compare. */
static void end_where_we_are(void)
{
    stand_still();
    doubt.strange = (struct ow_source_event){
        .kind = OW_SOURCE_END, .record = {.topic = OW_SLICE("order-events"), .offset = READ}
    };
}

static void record_of_others(void)
{
    stand_still();
    doubt.strange = (struct ow_source_event){
        .kind = OW_SOURCE_RECORD,
        .record = {.topic = OW_SLICE("order-events"), .partition = 7, .offset = READ}
    };
}

static void silence__without_a_record_of_ours__costs_nothing(void **state)
{
    (void)state;
    ow_member_append_story(0, READ - 1);
    must_go_on(10, stand_still);
    assert_int_equal(doubt.assigns, 1);
    must_go_on(10, end_where_we_are);
    assert_int_equal(doubt.assigns, 1);
    must_go_on(10, record_of_others);
    assert_int_equal(doubt.assigns, 1);
    assert_int_equal(doubt.pauses, 0);
    ow_member_goes_on_to(READ);
}

static void polls__that_come_in_time__never_compare(void **state)
{
    (void)state;
    ow_member_append_story(0, 999);
    must_go_on(500, NULL);
    assert_int_equal(doubt.assigns, 1);
    assert_int_equal(doubt.pauses, 0);
    ow_member_goes_on_to(1000);
}

static void host__on_which_each_poll_is_a_silence__gets_on(void **state)
{
    (void)state;
    static const int64_t polls_ms[] = {700, 3000, 40000};
    static const int assigns_max[] = {3, 5, 9};
    for (size_t i = 0; i < 3; i++) {
        const int64_t first = (int64_t)i * 100;
        ow_member_append_story(first, first + 99);
        must_go_on(polls_ms[i], NULL);
        assert_in_range(doubt.assigns, 2, assigns_max[i]);
        assert_int_equal(position(), first + 100);
    }
    ow_member_goes_on_to(300);
}

static void calm_down(void)
{
    doubt.poll_ms = 10;
    doubt.idles = -1100; /* polls: eleven seconds */
    doubt.happen = silence_in_which_it_is_made_anew;
}

static void host__that_was_slow_and_is_not__notices_what_is_short_again(void **state)
{
    (void)state;
    struct ow_err err;
    silence = stand_still;
    ow_member_append_story(0, READ - 1);
    assert_int_equal(consume(3000, calm_down, &err), OW_UNSAFE);
    assert_int_equal(doubt.happens, 2);
    assert_int_equal(position(), READ);
}

static void no_answer(void)
{
    silence_and_more_records();
    doubt.asked = 0;
    doubt.refusals = 30;
}

static void no_answer_at_all(void)
{
    no_answer();
    doubt.refusals = 1000;
}

static void comparison__that_nobody_answers__is_asked_for_again_for_a_minute(void **state)
{
    (void)state;
    struct ow_err err;
    silence = stand_still;
    ow_member_append_story(0, READ - 1);
    must_go_on(100, no_answer);
    assert_int_equal(doubt.refusals, 0);
    assert_int_equal(doubt.assigns, 2);
    assert_int_equal(position(), TWICE);
    assert_int_equal(consume(100, no_answer_at_all, &err), OW_TEMPORARY);
    assert_string_equal(err.text, "nobody answers");
    assert_in_range(doubt.asked, 55, 65); /* once a second */
    ow_member_goes_on_to(THRICE);
}

/* The group has not noticed, and a topic that is not there would not be fetched again. */
static void miss_the_topic(void)
{
    silence_and_more_records();
    doubt.missing = 3;
}

static void comparison__with_a_topic_that_is_not_there__waits_for_it(void **state)
{
    (void)state;
    silence = stand_still;
    ow_member_append_story(0, READ - 1);
    must_go_on(10, miss_the_topic);
    assert_int_equal(doubt.missing, 0);
    assert_int_equal(doubt.assigns, 2);
    assert_int_equal(position(), TWICE);
    ow_member_goes_on_to(TWICE);
}

static void rebalance_while_nobody_answers(void)
{
    no_answer();
    doubt.refusals = 1;
    ow_memory_source_rebalance(ow_member.flaky.inner);
}

static void doubt__and_a_rebalance__compares_once(void **state)
{
    (void)state;
    silence = stand_still;
    ow_member_append_story(0, READ - 1);
    must_go_on(10, rebalance_while_nobody_answers);
    assert_int_equal(doubt.assigns, 2);
    assert_int_equal(position(), TWICE);
    ow_member_goes_on_to(TWICE);
}

static void stop_when_paused(void)
{
    silence_and_more_records();
    doubt.stops_when_paused = true;
}

static enum ow_status stop_and_no_answer(struct ow_source *source, struct ow_partition_offset *list,
                                         size_t count, struct ow_err *err)
{
    if (doubt.happens == 0) {
        return ow_member.inner->committed(source, list, count, err);
    }
    atomic_store(&ow_member.stop, true);
    return ow_fail(err, OW_TEMPORARY, "nobody answers");
}

static void doubt__told_to_stop__stops_and_leaves_nothing_out(void **state)
{
    (void)state;
    struct ow_err err;
    silence = stand_still;
    ow_member_append_story(0, READ - 1);
    must_go_on(10, stop_when_paused);
    assert_int_equal(doubt.pauses, 1);
    assert_int_equal(position(), READ);
    assert_int_equal(ow_memory_broker_committed(ow_member.broker, "order-events", 0), READ);
    join(10, silence_and_more_records); /* what lies there is not doubted: it is the first */
    ow_member.ops.committed = stop_and_no_answer;
    assert_int_equal(run(&err), OW_OK);
    assert_int_equal(doubt.assigns, 1);
    assert_int_equal(position(), TWICE);
    ow_member_goes_on_to(THRICE);
}

static enum ow_status no_pause(struct ow_source *source, struct ow_err *err)
{
    (void)source;
    return ow_fail(err, OW_FAILED, "refused");
}

static void doubt__where_the_source_cannot_pause__is_said(void **state)
{
    (void)state;
    struct ow_err err;
    silence = stand_still;
    ow_member_append_story(0, READ - 1);
    join(10, silence_and_more_records);
    ow_member.ops.pause = no_pause;
    assert_int_equal(run(&err), OW_FAILED);
    assert_string_equal(err.text, "refused");
    ow_member_goes_on_to(TWICE);
}

#define WITH_BROKER(test) cmocka_unit_test_setup_teardown(test, ow_member_start, ow_member_stop)

int ow_test_consume_doubt(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence__in_which_the_topic_is_made_anew__is_unsafe),
        cmocka_unit_test(silence__and_the_same_topic__goes_on_where_it_was),
        WITH_BROKER(silence__and_a_shorter_topic__is_unsafe_by_its_end),
        WITH_BROKER(silence__without_a_record_of_ours__costs_nothing),
        WITH_BROKER(polls__that_come_in_time__never_compare),
        WITH_BROKER(host__on_which_each_poll_is_a_silence__gets_on),
        WITH_BROKER(host__that_was_slow_and_is_not__notices_what_is_short_again),
        WITH_BROKER(comparison__that_nobody_answers__is_asked_for_again_for_a_minute),
        WITH_BROKER(comparison__with_a_topic_that_is_not_there__waits_for_it),
        WITH_BROKER(doubt__and_a_rebalance__compares_once),
        WITH_BROKER(doubt__told_to_stop__stops_and_leaves_nothing_out),
        WITH_BROKER(doubt__where_the_source_cannot_pause__is_said),
    };
    return cmocka_run_group_tests_name("consume_doubt", tests, NULL, NULL);
}
