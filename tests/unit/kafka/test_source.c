/* The source on a mock cluster. One member for all tests (the first join takes the mock 3 s),
 * assigned anew by each. */
#include "groups.h"
#include "kafka/member.h"
#include "kafka/mock.h"
#include "kafka/producer.h"
#include "kafka/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PATIENCE_MS = 15000, NUMBERS = 500 };

static struct ow_kafka_mock *mock;
static struct ow_kafka_producer *producer;
static struct ow_source *source;
static struct ow_source_event event;
static struct ow_clock system_clock;

static const struct ow_header headers[] = {
    {{(const uint8_t *)"content-type", 12}, {(const uint8_t *)"application/json", 16}},
    {{(const uint8_t *)"twice", 5},         {(const uint8_t *)"1", 1}                },
    {{(const uint8_t *)"twice", 5},         {(const uint8_t *)"\0\xff\n", 3}         },
    {{(const uint8_t *)"null", 4},          {NULL, 0}                                },
    {{(const uint8_t *)"empty", 5},         {(const uint8_t *)"", 0}                 },
};
enum { HEADER_COUNT = sizeof(headers) / sizeof(headers[0]) };

static const struct ow_record kinds[] = {
    {.key = {(const uint8_t *)"k", 1},
     .value = {(const uint8_t *)"{}", 2},
     .headers = headers,
     .header_count = HEADER_COUNT,
     .timestamp_ms = 1234567890123},
    {.key = {NULL, 0},    .value = {(const uint8_t *)"no key", 6},     .timestamp_ms = 1                },
    {.key = {(const uint8_t *)"", 0},               .value = {(const uint8_t *)"", 0},            .timestamp_ms = 2},
    {.key = {(const uint8_t *)"t", 1},               .value = {NULL, 0},     .timestamp_ms = 3        },
    {.key = {(const uint8_t *)"\0\0", 2},
     .value = {(const uint8_t *)"\0\xfe", 2},
     .timestamp_ms = INT64_C(1) << 42},
    {.key = {NULL, 0}, .value = {NULL, 0},  .timestamp_ms = 5                 },
};
enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]) };

static void send_record(struct ow_record record, const char *topic)
{
    struct ow_err err;
    record.topic = ow_slice_of(topic);
    assert_int_equal(ow_kafka_producer_send(producer, &record, &err), OW_OK);
}

static void send_all(void)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        send_record(kinds[i], "kinds");
    }
    for (int i = 0; i < NUMBERS; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%d", i);
        send_record((struct ow_record){.value = ow_slice_of(text), .timestamp_ms = -1}, "numbers");
    }
    struct ow_err err;
    assert_int_equal(ow_kafka_producer_flush(producer, PATIENCE_MS, &err), OW_OK);
    assert_int_equal(ow_kafka_producer_delivered(producer), NUMBERS + (int)KIND_COUNT);
}

static struct ow_source *open_source(const char *group)
{
    static const char *const topics[] = {"kinds", "numbers"};
    const struct ow_kafka_property properties[] = {
        {"bootstrap.servers", ow_kafka_mock_bootstraps(mock)}
    };
    const struct ow_kafka_options options = {.group = group,
                                             .instance_id = "onceward-test",
                                             .topics = topics,
                                             .topic_count = 2,
                                             .properties = properties,
                                             .property_count = 1};
    struct ow_source *opened = NULL;
    struct ow_err err;
    assert_int_equal(ow_kafka_source_open(&options, &opened, &err), OW_OK);
    return opened;
}

/* Polls until an event of that kind; talk and others are passed over. False: not within the time.
 */
static bool wait_for(enum ow_source_event_kind kind, int patience_ms)
{
    const int64_t until_ns = ow_clock_elapsed_ns(&system_clock) + (int64_t)patience_ms * 1000000;
    while (ow_clock_elapsed_ns(&system_clock) < until_ns) {
        source->ops->poll(source, 20, &event);
        if (event.kind == kind) {
            return true;
        }
    }
    return false;
}

static void assign(const char *topic, int32_t partition, int64_t offset)
{
    const struct ow_partition_offset place = {
        .topic = topic, .partition = partition, .offset = offset};
    struct ow_err err;
    assert_int_equal(source->ops->assign(source, &place, 1, &err), OW_OK);
}

static int begin(void **state)
{
    (void)state;
    static const struct ow_kafka_mock_topic topics[] = {
        {"kinds",   1},
        {"numbers", 1}
    };
    struct ow_err err;
    system_clock = ow_clock_system();
    if (ow_kafka_mock_start(topics, 2, &mock, &err) != OW_OK) {
        return -1;
    }
    const struct ow_kafka_property properties[] = {
        {"bootstrap.servers", ow_kafka_mock_bootstraps(mock)}
    };
    if (ow_kafka_producer_open(properties, 1, &producer, &err) != OW_OK) {
        return -1;
    }
    send_all();
    source = open_source("g");
    return 0;
}

static int end(void **state)
{
    (void)state;
    const bool closed = source->ops->close(source, 5000);
    const bool produced = ow_kafka_producer_close(producer, 5000);
    (void)ow_kafka_mock_stop(mock, 3000); /* may hang, see mock.h */
    return closed && produced ? 0 : -1;
}

static void poll__first_join__gives_the_whole_assignment_and_waits_for_the_answer(void **state)
{
    (void)state;
    assert_true(wait_for(OW_SOURCE_ASSIGNED, PATIENCE_MS));
    assert_int_equal(event.partition_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(event.partitions[i].partition, 0);
        assert_int_equal(event.partitions[i].offset, -1);
    }
    assert_false(wait_for(OW_SOURCE_RECORD, 200)); /* not answered yet */
}

static void commit__nothing_assigned__is_temporary(void **state)
{
    (void)state;
    const struct ow_partition_offset place = {.topic = "kinds", .partition = 0, .offset = 3};
    struct ow_err err;
    assert_int_equal(source->ops->commit(source, &place, 1, false, &err), OW_TEMPORARY);
}

static void committed__nothing_yet__is_minus_one(void **state)
{
    (void)state;
    struct ow_partition_offset places[] = {
        {.topic = "numbers", .partition = 0, .offset = 7},
        {.topic = "kinds",   .partition = 0, .offset = 7}
    };
    struct ow_err err;
    assert_int_equal(source->ops->committed(source, places, 2, &err), OW_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(places[i].offset, -1);
        assert_string_equal(places[i].metadata, "");
    }
}

static void expect_same(struct ow_slice found, struct ow_slice expected)
{
    assert_true(ow_slice_equal(found, expected));
}

static void poll__records_of_all_kinds__come_out_as_they_went_in(void **state)
{
    (void)state;
    assign("kinds", 0, 0);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        assert_true(wait_for(OW_SOURCE_RECORD, PATIENCE_MS));
        const struct ow_record *record = &event.record;
        assert_true(ow_slice_equals_text(record->topic, "kinds"));
        assert_int_equal(record->partition, 0);
        assert_int_equal(record->offset, i);
        assert_int_equal(record->timestamp_ms, kinds[i].timestamp_ms);
        expect_same(record->key, kinds[i].key);
        expect_same(record->value, kinds[i].value);
        assert_int_equal(record->header_count, kinds[i].header_count);
        for (size_t j = 0; j < record->header_count; j++) {
            expect_same(record->headers[j].name, headers[j].name);
            expect_same(record->headers[j].value, headers[j].value);
        }
    }
    assert_true(wait_for(OW_SOURCE_END, PATIENCE_MS));
    assert_true(ow_slice_equals_text(event.record.topic, "kinds"));
    assert_int_equal(event.record.offset, KIND_COUNT);
}

static void assign__at_an_offset__begins_there(void **state)
{
    (void)state;
    assign("numbers", 0, 321);
    assert_true(wait_for(OW_SOURCE_RECORD, PATIENCE_MS));
    assert_int_equal(event.record.offset, 321);
    assert_true(ow_slice_equals_text(event.record.value, "321"));
}

static void poll__topic_name__is_the_same_bytes_for_the_life_of_the_source(void **state)
{
    (void)state;
    assign("numbers", 0, 0);
    assert_true(wait_for(OW_SOURCE_RECORD, PATIENCE_MS));
    const uint8_t *name = event.record.topic.ptr;
    assign("numbers", 0, 10);
    assert_true(wait_for(OW_SOURCE_RECORD, PATIENCE_MS));
    assert_ptr_equal(event.record.topic.ptr, name);
}

static void pause__stops_and_assign_goes_on_without_gap_or_repetition(void **state)
{
    (void)state;
    struct ow_err err;
    assign("numbers", 0, 0);
    int64_t next = 0;
    while (next < 100) {
        assert_true(wait_for(OW_SOURCE_RECORD, PATIENCE_MS));
        assert_int_equal(event.record.offset, next++);
    }
    assert_int_equal(source->ops->pause(source, &err), OW_OK);
    assert_int_equal(source->ops->pause(source, &err), OW_OK); /* once is enough */
    assert_false(wait_for(OW_SOURCE_RECORD, 200));
    assign("numbers", 0, next);
    while (next < NUMBERS) {
        assert_true(wait_for(OW_SOURCE_RECORD, PATIENCE_MS));
        assert_int_equal(event.record.offset, next++);
    }
}

static void assign__while_paused__runs(void **state)
{
    (void)state;
    struct ow_err err;
    assign("numbers", 0, 0);
    assert_int_equal(source->ops->pause(source, &err), OW_OK);
    assign("numbers", 0, 5);
    assert_true(wait_for(OW_SOURCE_RECORD, PATIENCE_MS));
    assert_int_equal(event.record.offset, 5);
    assert_int_equal(source->ops->pause(source, &err), OW_OK);
}

static void poll__after_a_connection_was_closed__says_so_until_assigned_anew(void **state)
{
    (void)state;
    struct ow_kafka_member *member = (struct ow_kafka_member *)source;
    assign("numbers", 0, 0);
    assert_true(wait_for(OW_SOURCE_RECORD, PATIENCE_MS));
    assert_false(event.interrupted);
    const int64_t until_ns = ow_clock_elapsed_ns(&system_clock) + (int64_t)PATIENCE_MS * 1000000;
    ow_kafka_mock_set_up(mock, false);
    while (!atomic_load(&member->interrupted) && ow_clock_elapsed_ns(&system_clock) < until_ns) {
    }
    ow_kafka_mock_set_up(mock, true);
    assert_true(wait_for(OW_SOURCE_RECORD, PATIENCE_MS));
    assert_true(event.interrupted);
    int64_t low = 0;
    int64_t high = -1;
    struct ow_err err;
    while (source->ops->bounds(source, "numbers", 0, &low, &high, &err) != OW_OK) {
        assert_true(ow_clock_elapsed_ns(&system_clock) < until_ns); /* until it is connected */
    }
    assign("numbers", 0, 0);
    assert_true(wait_for(OW_SOURCE_RECORD, PATIENCE_MS));
    assert_false(event.interrupted);
}

static void poll__after_a_fetch_that_was_refused__says_so_until_assigned_anew(void **state)
{
    (void)state;
    assign("numbers", 0, NUMBERS - 1);
    assert_true(wait_for(OW_SOURCE_END, PATIENCE_MS));
    assert_false(event.interrupted);
    ow_kafka_mock_refuse_fetch(mock);
    const struct ow_kafka_member *member = (const struct ow_kafka_member *)source;
    const int64_t until_ns = ow_clock_elapsed_ns(&system_clock) + (int64_t)PATIENCE_MS * 1000000;
    while (!atomic_load(&member->interrupted) && ow_clock_elapsed_ns(&system_clock) < until_ns) {
        (void)wait_for(OW_SOURCE_RECORD, 50);
    }
    assert_true(atomic_load(&member->interrupted));
    assign("numbers", 0, 0);
    assert_true(wait_for(OW_SOURCE_RECORD, PATIENCE_MS));
    assert_false(event.interrupted);
}

static void bounds__are_the_first_offset_and_the_one_behind_the_last(void **state)
{
    (void)state;
    int64_t low = -1;
    int64_t high = -1;
    struct ow_err err;
    assert_int_equal(source->ops->bounds(source, "numbers", 0, &low, &high, &err), OW_OK);
    assert_int_equal(low, 0);
    assert_int_equal(high, NUMBERS);
}

static void partition_count__topic_that_is_there__is_its_number(void **state)
{
    (void)state;
    int32_t count = 0;
    struct ow_err err;
    assert_int_equal(source->ops->partition_count(source, "kinds", &count, &err), OW_OK);
    assert_int_equal(count, 1);
}

static void expect_committed(const char *topic, int64_t offset, const char *metadata)
{
    struct ow_partition_offset place = {.topic = topic, .partition = 0};
    struct ow_err err;
    assert_int_equal(source->ops->committed(source, &place, 1, &err), OW_OK);
    assert_int_equal(place.offset, offset);
    assert_string_equal(place.metadata, metadata);
}

static void commit__with_metadata__comes_back(void **state)
{
    (void)state;
    struct ow_err err;
    assign("numbers", 0, 0);
    struct ow_partition_offset places[] = {
        {.topic = "numbers", .partition = 0, .offset = 77,    .metadata = "onceward/1 s=abc e=3 o=77"},
        {.topic = "kinds",                  .partition = 0,                 .offset = 4}
    };
    assert_int_equal(source->ops->commit(source, places, 2, true, &err), OW_OK);
    expect_committed("numbers", 77, "onceward/1 s=abc e=3 o=77");
    expect_committed("kinds", 4, "");
    places[0].offset = 5; /* backwards, as after a rewind */
    assert_int_equal(source->ops->commit(source, places, 1, true, &err), OW_OK);
    expect_committed("numbers", 5, "onceward/1 s=abc e=3 o=77");
    assert_int_equal(source->ops->commit(source, places, 0, true, &err), OW_OK); /* nothing */
}

/* Many at once: one is on its way, the others are merged into the next. */
static void commit__without_waiting__ends_at_the_newest(void **state)
{
    (void)state;
    const struct ow_kafka_member *member = (const struct ow_kafka_member *)source;
    struct ow_err err;
    assign("numbers", 0, NUMBERS);
    for (int i = 0; i <= 100; i++) {
        struct ow_partition_offset place = {
            .topic = i % 2 ? "kinds" : "numbers", .partition = 0, .offset = i};
        (void)snprintf(place.metadata, sizeof(place.metadata), "n=%d", i);
        assert_int_equal(source->ops->commit(source, &place, 1, false, &err), OW_OK);
    }
    assert_true(member->commit_in_flight);
    assert_non_null(member->commits_waiting);
    /* cppcheck-suppress nullPointerRedundantCheck; it does not know that the assertion returns
     * never */
    assert_int_equal(member->commits_waiting->cnt, 2);
    for (int i = 0; i < 200 && (member->commit_in_flight || member->commits_waiting != NULL); i++) {
        source->ops->poll(source, 20, &event);
    }
    expect_committed("numbers", 100, "n=100");
    expect_committed("kinds", 99, "n=99");
}

static void poll__broker_away__talks_once_and_tells_the_end_of_it(void **state)
{
    (void)state;
    struct ow_err err;
    assign("numbers", 0, NUMBERS);
    assert_true(wait_for(OW_SOURCE_END, PATIENCE_MS));
    ow_kafka_mock_set_up(mock, false);
    int talks = 0;
    const int64_t until_ns = ow_clock_elapsed_ns(&system_clock) + INT64_C(2500000000);
    while (ow_clock_elapsed_ns(&system_clock) < until_ns) {
        source->ops->poll(source, 50, &event);
        assert_true(event.kind == OW_SOURCE_IDLE ||
                    (event.kind == OW_SOURCE_TROUBLE && event.status == OW_OK));
        talks += event.kind == OW_SOURCE_TROUBLE;
    }
    assert_in_range(talks, 1, 3);
    const struct ow_partition_offset place = {.topic = "numbers", .partition = 0, .offset = 1};
    assert_int_equal(source->ops->commit(source, &place, 1, true, &err),
                     OW_TEMPORARY); /* at once */
    ow_kafka_mock_set_up(mock, true);
    send_record((struct ow_record){.value = OW_SLICE("again"), .timestamp_ms = -1}, "numbers");
    assert_true(wait_for(OW_SOURCE_RECORD, PATIENCE_MS));
    assert_int_equal(event.record.offset, NUMBERS);
    assert_true(wait_for(OW_SOURCE_TROUBLE, 1000));
    assert_non_null(strstr(event.err.text, "a broker answers again"));
}

/* The last one: the source is of no use afterwards. */
static void poll__offset_that_is_not_in_the_log__is_unsafe_for_good(void **state)
{
    (void)state;
    assign("kinds", 0, 4711);
    assert_true(wait_for(OW_SOURCE_TROUBLE, PATIENCE_MS));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(event.status, OW_UNSAFE);
        assert_non_null(strstr(event.err.text, "topic kinds partition 0 offset 4711"));
        source->ops->poll(source, 0, &event);
        assert_int_equal(event.kind, OW_SOURCE_TROUBLE);
    }
}

/* The client of a source of its own dies of code; the source stays dead, and is closed. */
static void expect_dead(const char *group, rd_kafka_resp_err_t code, enum ow_status status,
                        const char *text)
{
    struct ow_source *dead = open_source(group);
    const struct ow_kafka_member *member = (const struct ow_kafka_member *)dead;
    assert_int_equal(rd_kafka_test_fatal_error(member->rk, code, "test"),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    event = (struct ow_source_event){.kind = OW_SOURCE_IDLE};
    for (int i = 0; i < 200 && (event.kind != OW_SOURCE_TROUBLE || event.status == OW_OK); i++) {
        dead->ops->poll(dead, 20, &event);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(event.kind, OW_SOURCE_TROUBLE);
        assert_int_equal(event.status, status);
        assert_non_null(strstr(event.err.text, text));
        dead->ops->poll(dead, 0, &event);
    }
    assert_true(dead->ops->close(dead, 5000));
}

static void poll__fenced__is_temporary_and_close_comes_back(void **state)
{
    (void)state;
    expect_dead("other", RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, OW_TEMPORARY, "the group fenced us");
}

static void poll__other_fatal_errors__are_failures_that_name_the_error(void **state)
{
    (void)state;
    expect_dead("fatal", RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, OW_FAILED,
                "librdkafka gave up: test_fatal_error: test (UNSUPPORTED_VERSION)");
    expect_dead("fatal", RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, OW_FAILED,
                "(GROUP_AUTHORIZATION_FAILED)");
}

int ow_test_source(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(poll__first_join__gives_the_whole_assignment_and_waits_for_the_answer),
        cmocka_unit_test(commit__nothing_assigned__is_temporary),
        cmocka_unit_test(committed__nothing_yet__is_minus_one),
        cmocka_unit_test(poll__records_of_all_kinds__come_out_as_they_went_in),
        cmocka_unit_test(assign__at_an_offset__begins_there),
        cmocka_unit_test(poll__topic_name__is_the_same_bytes_for_the_life_of_the_source),
        cmocka_unit_test(pause__stops_and_assign_goes_on_without_gap_or_repetition),
        cmocka_unit_test(assign__while_paused__runs),
        cmocka_unit_test(bounds__are_the_first_offset_and_the_one_behind_the_last),
        cmocka_unit_test(partition_count__topic_that_is_there__is_its_number),
        cmocka_unit_test(commit__with_metadata__comes_back),
        cmocka_unit_test(commit__without_waiting__ends_at_the_newest),
        cmocka_unit_test(poll__broker_away__talks_once_and_tells_the_end_of_it),
        cmocka_unit_test(poll__after_a_fetch_that_was_refused__says_so_until_assigned_anew),
        cmocka_unit_test(poll__after_a_connection_was_closed__says_so_until_assigned_anew),
        cmocka_unit_test(poll__fenced__is_temporary_and_close_comes_back),
        cmocka_unit_test(poll__other_fatal_errors__are_failures_that_name_the_error),
        cmocka_unit_test(poll__offset_that_is_not_in_the_log__is_unsafe_for_good),
    };
    return cmocka_run_group_tests_name("kafka/source", tests, begin, end);
}
