/*
 * producer: a small idempotent producer, for the demo, the tests and tools. The worker itself
 * produces nothing yet.
 *
 * Threads: one at a time. Memory: records are copied. Failure: BAD_CONFIG for refused properties,
 * TEMPORARY where the broker does not take a record in time, FAILED.
 */
#ifndef OW_KAFKA_PRODUCER_H
#define OW_KAFKA_PRODUCER_H

#include "kafka/source.h"

struct ow_kafka_producer;

/* properties: librdkafka's names, bootstrap.servers among them. */
enum ow_status ow_kafka_producer_open(const struct ow_kafka_property *properties,
                                      size_t property_count,
                                      struct ow_kafka_producer **ret_producer, struct ow_err *err)
    OW_MUST_USE;

/*
 * Hands one record over: its topic (NUL-terminated), partition (-1: by the key's hash, as Java
 * does), key, value, headers and timestamp (-1: now). Waits where the queue is full.
 */
enum ow_status ow_kafka_producer_send(struct ow_kafka_producer *producer,
                                      const struct ow_record *record, struct ow_err *err)
    OW_MUST_USE;

/* Waits until every record is answered for. TEMPORARY: not within the time, or some were refused.
 */
enum ow_status ow_kafka_producer_flush(struct ow_kafka_producer *producer, int deadline_ms,
                                       struct ow_err *err) OW_MUST_USE;

int64_t ow_kafka_producer_delivered(const struct ow_kafka_producer *producer);
int64_t ow_kafka_producer_failed(const struct ow_kafka_producer *producer);

/* Takes NULL. False: it did not end within the time and is left behind. */
bool ow_kafka_producer_close(struct ow_kafka_producer *producer, int deadline_ms);

#endif
