#include "groups.h"
#include "kafka/talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SOME_CAUSE = -195, OTHER_CAUSE = -187 };

static const int64_t interval_ns = (int64_t)OW_KAFKA_TALK_INTERVAL_MS * 1000000;

static struct ow_clock_manual manual;
static struct ow_kafka_talk talk;

static int begin(void **state)
{
    (void)state;
    manual = (struct ow_clock_manual){.elapsed_ns = 1};
    ow_kafka_talk_init(&talk, ow_clock_manual(&manual));
    return 0;
}

static void expect_text(const char *expected)
{
    struct ow_err text;
    assert_true(ow_kafka_talk_take(&talk, &text));
    assert_string_equal(text.text, expected);
}

static void expect_nothing(void)
{
    struct ow_err text;
    assert_false(ow_kafka_talk_take(&talk, &text));
}

static void talk__first_time__is_said_at_once(void **state)
{
    (void)state;
    ow_kafka_talk_say(&talk, SOME_CAUSE, "no %s", "luck");
    expect_text("no luck");
    expect_nothing();
}

static void talk__same_cause_within_the_interval__is_counted(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++) {
        ow_kafka_talk_say(&talk, SOME_CAUSE, "down");
        manual.elapsed_ns += 1000000;
    }
    expect_text("down");
    expect_nothing();
    manual.elapsed_ns += interval_ns;
    ow_kafka_talk_say(&talk, SOME_CAUSE, "down");
    expect_text("down (and 499 more times)");
}

static void talk__other_cause__is_said_besides(void **state)
{
    (void)state;
    ow_kafka_talk_say(&talk, SOME_CAUSE, "one");
    ow_kafka_talk_say(&talk, OTHER_CAUSE, "two");
    expect_text("one");
    expect_text("two");
    expect_nothing();
}

static void talk__more_causes_than_remembered__keeps_the_latest(void **state)
{
    (void)state;
    struct ow_err text;
    for (int i = 0; i <= OW_KAFKA_TALK_CAUSES; i++) {
        manual.elapsed_ns++;
        ow_kafka_talk_say(&talk, i, "%d", i);
        assert_true(ow_kafka_talk_take(&talk, &text));
    }
    int64_t left_out = -1;
    assert_false(ow_kafka_talk_allows(&talk, OW_KAFKA_TALK_CAUSES, &left_out)); /* remembered */
    assert_true(ow_kafka_talk_allows(&talk, 0, &left_out)); /* forgotten: said again */
    assert_int_equal(left_out, 0);
}

static void talk__more_than_can_wait__is_dropped(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * OW_KAFKA_TALK_QUEUE; i++) {
        ow_kafka_talk_say(&talk, i, "%d", i);
    }
    for (int i = 0; i < OW_KAFKA_TALK_QUEUE; i++) {
        char expected[16];
        (void)snprintf(expected, sizeof(expected), "%d", i);
        expect_text(expected);
    }
    expect_nothing();
}

static void talk__outage__says_at_its_end_how_long_it_was(void **state)
{
    (void)state;
    ow_kafka_talk_up(&talk); /* was not down: nothing to say */
    expect_nothing();
    ow_kafka_talk_down(&talk);
    manual.elapsed_ns += INT64_C(12300000000);
    ow_kafka_talk_down(&talk);
    assert_true(talk.down);
    ow_kafka_talk_up(&talk);
    assert_false(talk.down);
    expect_text("a broker answers again after 12.3 s");
    expect_nothing();
}

int ow_test_talk(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(talk__first_time__is_said_at_once, begin),
        cmocka_unit_test_setup(talk__same_cause_within_the_interval__is_counted, begin),
        cmocka_unit_test_setup(talk__other_cause__is_said_besides, begin),
        cmocka_unit_test_setup(talk__more_causes_than_remembered__keeps_the_latest, begin),
        cmocka_unit_test_setup(talk__more_than_can_wait__is_dropped, begin),
        cmocka_unit_test_setup(talk__outage__says_at_its_end_how_long_it_was, begin),
    };
    return cmocka_run_group_tests_name("kafka/talk", tests, NULL, NULL);
}
