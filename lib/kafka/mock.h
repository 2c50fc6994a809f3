/*
 * mock: librdkafka's mock cluster, for the demo and the tests: brokers in this process that others
 * can connect to.
 *
 * Experimental in librdkafka, without a stable ABI, so it is used in mock.c and nowhere else. What
 * it does not have: static membership, transactions that abort, offsets by time, a disk. It keeps
 * OW_KAFKA_MOCK_PARTITION_BYTES of each partition and drops the oldest beyond that without a word;
 * the first join of a group takes 3 s. Threads: any, one at a time. Memory: process lifetime.
 * Failure: FAILED.
 */
#ifndef OW_KAFKA_MOCK_H
#define OW_KAFKA_MOCK_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ow_kafka_mock;

enum { OW_KAFKA_MOCK_PARTITION_BYTES = 5 * 1024 * 1024 };

struct ow_kafka_mock_topic {
    const char *name;
    int partitions;
};

/* One broker on 127.0.0.1, at a port of its own choosing. */
enum ow_status ow_kafka_mock_start(const struct ow_kafka_mock_topic *topics, size_t topic_count,
                                   struct ow_kafka_mock **ret_mock, struct ow_err *err) OW_MUST_USE;

/* For bootstrap.servers; lives as long as the mock. */
const char *ow_kafka_mock_bootstraps(const struct ow_kafka_mock *mock);

/* The broker closes its connections and takes none, or takes them again. */
void ow_kafka_mock_set_up(struct ow_kafka_mock *mock, bool up);

/* The next fetch is told that its topics are not there. */
void ow_kafka_mock_refuse_fetch(struct ow_kafka_mock *mock);

/* Ends it; takes NULL. False: it did not come back within the time (2.0.2 hangs now and then) and
 * is left behind. */
bool ow_kafka_mock_stop(struct ow_kafka_mock *mock, int deadline_ms);

#endif
