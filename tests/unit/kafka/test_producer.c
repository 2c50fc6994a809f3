#include "groups.h"
#include "kafka/producer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct ow_record record = {
    .topic = {(const uint8_t *)"t", 1},
      .partition = 0, .timestamp_ms = -1
};

static void producer__unknown_property__is_refused(void **state)
{
    (void)state;
    const struct ow_kafka_property property = {"no.such.thing", "1"};
    struct ow_kafka_producer *producer = NULL;
    struct ow_err err;
    assert_int_equal(ow_kafka_producer_open(&property, 1, &producer, &err), OW_BAD_CONFIG);
    assert_non_null(strstr(err.text, "no.such.thing"));
}

static void producer__no_broker__flush_is_temporary_and_records_count_as_failed(void **state)
{
    (void)state;
    /* The port is taken by nobody; the record is given up after 200 ms. */
    const struct ow_kafka_property properties[] = {
        {"bootstrap.servers",  "127.0.0.1:1"},
        {"message.timeout.ms", "200"        }
    };
    struct ow_kafka_producer *producer = NULL;
    struct ow_err err;
    assert_int_equal(ow_kafka_producer_open(properties, 2, &producer, &err), OW_OK);
    assert_int_equal(ow_kafka_producer_send(producer, &record, &err), OW_OK);
    assert_int_equal(ow_kafka_producer_flush(producer, 10, &err), OW_TEMPORARY);
    assert_int_equal(ow_kafka_producer_flush(producer, 5000, &err), OW_TEMPORARY);
    assert_int_equal(ow_kafka_producer_failed(producer), 1);
    assert_int_equal(ow_kafka_producer_delivered(producer), 0);
    assert_true(ow_kafka_producer_close(producer, 5000));
}

static void producer__null__may_be_closed(void **state)
{
    (void)state;
    assert_true(ow_kafka_producer_close(NULL, 0));
}

int ow_test_producer(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(producer__unknown_property__is_refused),
        cmocka_unit_test(producer__no_broker__flush_is_temporary_and_records_count_as_failed),
        cmocka_unit_test(producer__null__may_be_closed),
    };
    return cmocka_run_group_tests_name("kafka/producer", tests, NULL, NULL);
}
