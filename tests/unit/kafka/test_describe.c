/* What is said of the topics' retention where brokers tell it, refuse to, or do not answer. What
 * real brokers say: tests/broker/test_retention.py. */
#include "groups.h"
#include "kafka/describe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DAY_MS INT64_C(86400000)

struct told {
    enum ow_check_level level;
    enum ow_status status;
    char text[512];
    int lines;
};

static void take_line(void *context, enum ow_check_level level, enum ow_status status,
                      const char *subject, const char *text)
{
    struct told *const told = context;
    told->level = level;
    told->status = status;
    told->lines++;
    (void)snprintf(told->text, sizeof told->text, "%s: %s", subject, text);
}

/* One machine that reads topic "t" and keeps claims for 45 days. */
static struct told compare(const struct ow_kafka_answer *answer, bool strict)
{
    static char topic[] = "t";
    static const char *topics[] = {topic};
    static char name[] = "e";
    static char file[] = "m.yaml";
    struct told told = {.lines = 0};
    struct ow_claim_rule claim = {.retention_ms = 45 * DAY_MS};
    struct ow_event_type event = {.name = name, .claim = &claim};
    struct ow_machine machine = {
        .file = file, .topics = topics, .topic_count = 1, .events = &event, .event_count = 1};
    const struct ow_machines machines = {.list = {&machine}, .count = 1};
    const struct ow_retention_rule rule = {.machines = &machines, .strict = strict};
    const struct ow_check check = {.line = take_line, .context = &told};
    ow_kafka_describe_compare(answer, &rule, &check);
    return told;
}

static struct told compare_topic(struct ow_kafka_topic_settings settings, bool strict)
{
    settings.topic = "t";
    const struct ow_kafka_answer answer = {.topics = &settings, .topic_count = 1};
    return compare(&answer, strict);
}

static void compare__retention__by_what_is_told(void **state)
{
    (void)state;
    const struct ow_kafka_topic_settings equal = {.retention_ms = 45 * DAY_MS};
    assert_int_equal(compare_topic(equal, true).level, OW_CHECK_GOOD);
    const struct ow_kafka_topic_settings longer = {.retention_ms = INT64_MAX};
    assert_int_equal(compare_topic(longer, false).level, OW_CHECK_WARNING);
    assert_int_equal(compare_topic(longer, true).status, OW_UNSAFE);
    assert_string_equal(compare_topic(longer, false).text,
                        "t: keeps records for ever, claims only 45d (event e): what comes again "
                        "from before that is quarantined (expired); raise claim.retention in "
                        "m.yaml, or lower the topic's retention.ms");
}

static void compare__missing_topic__has_no_line(void **state)
{
    (void)state;
    const struct ow_kafka_topic_settings missing = {
        .missing = true, .refused = "unknown", .retention_ms = -1};
    assert_int_equal(compare_topic(missing, true).lines, 0);
}

static void compare__refused__is_unsafe(void **state)
{
    (void)state;
    const struct ow_kafka_topic_settings refused = {.refused = "no right", .retention_ms = -1};
    const struct told warned = compare_topic(refused, false);
    assert_int_equal(warned.level, OW_CHECK_WARNING);
    assert_non_null(strstr(warned.text, "no right"));
    assert_int_equal(compare_topic(refused, true).status, OW_UNSAFE);
}

static void take__nobody_answers__is_an_answer_in_time(void **state)
{
    (void)state;
    char text[256];
    rd_kafka_conf_t *const conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", "127.0.0.1:1", text, sizeof text),
                     RD_KAFKA_CONF_OK);
    assert_int_equal(rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text),
                     RD_KAFKA_CONF_OK);
    rd_kafka_t *const rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    assert_non_null(rk);
    struct ow_arena arena;
    ow_arena_init(&arena, 1024);
    static const char *const topics[] = {"t"};
    struct ow_kafka_describe describe;
    struct ow_kafka_answer answer;
    ow_kafka_describe_ask(&describe, rk, topics, 1, 200);
    assert_false(ow_kafka_describe_take(&describe, 0, &arena, &answer));
    assert_true(ow_kafka_describe_take(&describe, 10000, &arena, &answer));
    assert_int_equal(answer.status, OW_TEMPORARY);
    assert_int_equal(compare(&answer, false).level, OW_CHECK_WARNING);
    assert_int_equal(compare(&answer, true).status, OW_TEMPORARY);
    ow_kafka_describe_done(&describe);
    /* A question that nobody waits for any more goes with its client. */
    ow_kafka_describe_ask(&describe, rk, topics, 1, 200);
    ow_kafka_describe_done(&describe);
    rd_kafka_destroy(rk);
    ow_arena_done(&arena);
}

int ow_test_describe(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compare__retention__by_what_is_told),
        cmocka_unit_test(compare__missing_topic__has_no_line),
        cmocka_unit_test(compare__refused__is_unsafe),
        cmocka_unit_test(take__nobody_answers__is_an_answer_in_time),
    };
    return cmocka_run_group_tests_name("describe", tests, NULL, NULL);
}
