/*
 * check: a look at the brokers, for `onceward check`: do they answer, are the topics there, do
 * their settings fit ours.
 *
 * Joins no group and reads no record. Threads: the caller's. Takes a few seconds where nobody
 * answers.
 */
#ifndef OW_KAFKA_CHECK_H
#define OW_KAFKA_CHECK_H

#include "base/check.h"
#include "kafka/source.h"
#include "model/retention.h"

struct ow_kafka_expectations {
    int64_t record_bytes_max; /* limits.record_bytes */
    struct ow_retention_rule retention;
};

void ow_kafka_check(const struct ow_kafka_options *options,
                    const struct ow_kafka_expectations *expectations, const struct ow_check *check);

#endif
