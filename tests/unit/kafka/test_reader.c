/* The reader on a mock cluster. What it leaves of a real group is looked at in tests/broker. */
#include "groups.h"
#include "kafka/mock.h"
#include "kafka/producer.h"
#include "kafka/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PATIENCE_MS = 15000, NUMBERS = 400, PARTITIONS = 3 };

struct bench {
    struct ow_kafka_mock *mock;
    struct ow_kafka_reader *reader;
    struct ow_kafka_read read;
};

/* Partition 0 and 1 have the numbers from 0 on as values, partition 2 is empty. */
static void send_numbers(struct ow_kafka_producer *producer)
{
    struct ow_err err;
    for (int i = 0; i < NUMBERS; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%d", i);
        const struct ow_header header = {OW_SLICE("number"), ow_slice_of(text)};
        struct ow_record record = {.topic = OW_SLICE("numbers"),
                                   .key = OW_SLICE("k"),
                                   .value = ow_slice_of(text),
                                   .headers = &header,
                                   .header_count = 1,
                                   .timestamp_ms = 1000 + i};
        for (record.partition = 0; record.partition < 2; record.partition++) {
            assert_int_equal(ow_kafka_producer_send(producer, &record, &err), OW_OK);
        }
    }
    assert_int_equal(ow_kafka_producer_flush(producer, PATIENCE_MS, &err), OW_OK);
}

static enum ow_status open_reader(struct bench *bench, const char *topic, struct ow_err *err)
{
    const struct ow_kafka_property property = {"bootstrap.servers",
                                               ow_kafka_mock_bootstraps(bench->mock)};
    const struct ow_kafka_options options = {.group = "g",
                                             .instance_id = "onceward-test",
                                             .topics = &topic,
                                             .topic_count = 1,
                                             .properties = &property,
                                             .property_count = 1};
    return ow_kafka_reader_open(&options, &bench->reader, err);
}

static int begin(void **state)
{
    static struct bench bench;
    static const struct ow_kafka_mock_topic topic = {"numbers", PARTITIONS};
    struct ow_err err;
    struct ow_kafka_producer *producer = NULL;
    assert_int_equal(ow_kafka_mock_start(&topic, 1, &bench.mock, &err), OW_OK);
    const struct ow_kafka_property property = {"bootstrap.servers",
                                               ow_kafka_mock_bootstraps(bench.mock)};
    assert_int_equal(ow_kafka_producer_open(&property, 1, &producer, &err), OW_OK);
    send_numbers(producer);
    assert_true(ow_kafka_producer_close(producer, PATIENCE_MS));
    assert_int_equal(open_reader(&bench, "numbers", &err), OW_OK);
    *state = &bench;
    return 0;
}

static int end(void **state)
{
    struct bench *bench = *state;
    const bool closed = ow_kafka_reader_close(bench->reader, PATIENCE_MS);
    (void)ow_kafka_mock_stop(bench->mock, PATIENCE_MS);
    return closed ? 0 : -1;
}

/* The next record or end; talk and idle polls are passed over. */
static enum ow_kafka_read_kind next(struct bench *bench)
{
    struct ow_err err;
    for (int waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms += 50) {
        assert_int_equal(ow_kafka_reader_poll(bench->reader, 50, &bench->read, &err), OW_OK);
        if (bench->read.kind == OW_KAFKA_READ_RECORD || bench->read.kind == OW_KAFKA_READ_END) {
            return bench->read.kind;
        }
    }
    fail_msg("nothing came");
    return OW_KAFKA_READ_IDLE;
}

static void assign(struct bench *bench, const struct ow_kafka_range *ranges, size_t count)
{
    struct ow_err err;
    assert_int_equal(ow_kafka_reader_assign(bench->reader, ranges, count, &err), OW_OK);
}

/* Reads what is assigned to its end: from[i] up to until[i] of each, in order and each once. */
static void expect_all(struct bench *bench, const struct ow_kafka_range *ranges, size_t count)
{
    int64_t at[PARTITIONS];
    size_t ends = 0;
    assert_true(count <= PARTITIONS);
    for (size_t i = 0; i < count; i++) {
        at[i] = ranges[i].from;
    }
    while (ends < count) {
        const enum ow_kafka_read_kind kind = next(bench);
        const size_t i = bench->read.range;
        assert_true(i < count);
        if (kind == OW_KAFKA_READ_END) {
            assert_int_equal(at[i], ranges[i].until);
            ends++;
            continue;
        }
        char text[16];
        const struct ow_record *record = &bench->read.record;
        (void)snprintf(text, sizeof(text), "%d", (int)at[i]);
        assert_int_equal(record->offset, at[i]);
        assert_int_equal(record->partition, ranges[i].partition);
        assert_true(ow_slice_equals_text(record->topic, "numbers"));
        assert_true(ow_slice_equals_text(record->key, "k"));
        assert_true(ow_slice_equals_text(record->value, text));
        assert_int_equal(record->header_count, 1);
        assert_true(ow_slice_equals_text(record->headers[0].value, text));
        assert_int_equal(record->timestamp_ms, 1000 + at[i]);
        at[i]++;
    }
}

static void reader_open__topic__has_all_partitions_and_their_bounds(void **state)
{
    struct bench *bench = *state;
    size_t count = 0;
    const struct ow_kafka_range *ranges = ow_kafka_reader_ranges(bench->reader, &count);
    assert_int_equal(count, PARTITIONS);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(ranges[i].topic, "numbers");
        assert_int_equal(ranges[i].partition, i);
        assert_int_equal(ranges[i].low, 0);
        assert_int_equal(ranges[i].high, i == 2 ? 0 : NUMBERS);
        assert_int_equal(ranges[i].from, ranges[i].low);
        assert_int_equal(ranges[i].until, ranges[i].high);
    }
}

static void reader_poll__all_partitions__gives_each_record_once_and_each_end(void **state)
{
    struct bench *bench = *state;
    size_t count = 0;
    const struct ow_kafka_range *ranges = ow_kafka_reader_ranges(bench->reader, &count);
    assign(bench, ranges, count);
    expect_all(bench, ranges, count);
}

static void reader_poll__part_of_a_partition__ends_before_what_is_behind_it(void **state)
{
    struct bench *bench = *state;
    const struct ow_kafka_range part = {
        .topic = "numbers", .partition = 1, .from = 17, .until = 23};
    assign(bench, &part, 1);
    expect_all(bench, &part, 1);
}

static void reader_assign__in_the_middle__reads_anew_and_nothing_of_before(void **state)
{
    struct bench *bench = *state;
    const struct ow_kafka_range first = {
        .topic = "numbers", .partition = 0, .from = 0, .until = NUMBERS};
    const struct ow_kafka_range again = {.topic = "numbers", .partition = 0, .from = 3, .until = 9};
    assign(bench, &first, 1);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(next(bench), OW_KAFKA_READ_RECORD);
    }
    assign(bench, &again, 1);
    expect_all(bench, &again, 1);
}

static void reader_open__refused_property__is_bad_config(void **state)
{
    (void)state;
    static const char *const topics[] = {"numbers"};
    const struct ow_kafka_property property = {"no.such.property", "1"};
    const struct ow_kafka_options options = {.group = "g",
                                             .topics = topics,
                                             .topic_count = 1,
                                             .properties = &property,
                                             .property_count = 1};
    struct ow_kafka_reader *reader = NULL;
    struct ow_err err;
    assert_int_equal(ow_kafka_reader_open(&options, &reader, &err), OW_BAD_CONFIG);
    assert_null(reader);
}

int ow_test_reader(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_open__topic__has_all_partitions_and_their_bounds),
        cmocka_unit_test(reader_poll__all_partitions__gives_each_record_once_and_each_end),
        cmocka_unit_test(reader_poll__part_of_a_partition__ends_before_what_is_behind_it),
        cmocka_unit_test(reader_assign__in_the_middle__reads_anew_and_nothing_of_before),
        cmocka_unit_test(reader_open__refused_property__is_bad_config),
    };
    return cmocka_run_group_tests_name("reader", tests, begin, end);
}
