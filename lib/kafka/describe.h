/*
 * describe: the settings of topics, as the brokers tell them (DescribeConfigs).
 *
 * Threads: the caller's; librdkafka answers on its own. Memory: texts of an answer are the arena's.
 * Private to lib/kafka.
 */
#ifndef OW_KAFKA_DESCRIBE_H
#define OW_KAFKA_DESCRIBE_H

#include "base/arena.h"
#include "model/retention.h"

#include <librdkafka/rdkafka.h>

/* A question on its way. */
struct ow_kafka_describe {
    rd_kafka_queue_t *queue;
};

struct ow_kafka_topic_settings {
    const char *topic;
    bool missing;         /* there is no such topic */
    const char *refused;  /* why nothing is told of it, or NULL */
    int64_t retention_ms; /* INT64_MAX: for ever; -1: not told */
    int64_t batch_bytes;  /* max.message.bytes; -1: not told */
};

struct ow_kafka_answer {
    enum ow_status status; /* TEMPORARY: nobody answered; UNSAFE: the brokers refuse to tell */
    struct ow_err err;
    struct ow_kafka_topic_settings *topics; /* where OK */
    size_t topic_count;
};

/* There will be an answer within timeout_ms, if only that nobody answered. */
void ow_kafka_describe_ask(struct ow_kafka_describe *describe, rd_kafka_t *rk,
                           const char *const *topics, size_t count, int timeout_ms);
/* Waits for at most so long. False: no answer yet. */
bool ow_kafka_describe_take(struct ow_kafka_describe *describe, int wait_ms, struct ow_arena *arena,
                            struct ow_kafka_answer *ret_answer);
void ow_kafka_describe_done(struct ow_kafka_describe *describe);

/* The lines about how long the topics keep records. */
void ow_kafka_describe_compare(const struct ow_kafka_answer *answer,
                               const struct ow_retention_rule *rule, const struct ow_check *check);

#endif
