/*
 * member: what kafka/source.c and kafka/offsets.c share: the consumer, what it is assigned, what it
 * has to tell.
 *
 * Threads: the poll thread; interrupted is set by librdkafka's. Private to lib/kafka.
 */
#ifndef OW_KAFKA_MEMBER_H
#define OW_KAFKA_MEMBER_H

#include "base/arena.h"
#include "engine/source.h"
#include "kafka/talk.h"

#include <librdkafka/rdkafka.h>

#include <stdatomic.h>

enum {
    /* A question to a broker (offsets, metadata): longer than a leader election, shorter than a
       stop may take. */
    OW_KAFKA_REQUEST_MS = 10000,
    /* A commit that is waited for: at revoke and at stop, where others wait for us. */
    OW_KAFKA_COMMIT_MS = 5000,
    /* A commit that failed goes out again with the next one, but not sooner than this. */
    OW_KAFKA_COMMIT_RETRY_MS = 1000
};

struct ow_kafka_member {
    struct ow_source source;
    rd_kafka_t *rk;
    struct ow_arena arena; /* process lifetime: names */
    struct ow_slice *topics;
    size_t topic_count;
    const char *group;
    const char *ghost; /* ids of members that begin so are ours, and nobody any more; NULL: none */

    rd_kafka_message_t *held; /* the record that was given out last */
    struct ow_header *headers;
    size_t header_capacity;

    /* A rebalance that the callback wrote down and poll has not given out yet. */
    bool rebalance_waits;
    bool rebalance_assigns;
    bool rebalance_lost;
    struct ow_partition_offset *partitions; /* of the last rebalance */
    size_t partition_count;
    size_t partition_capacity;

    rd_kafka_topic_partition_list_t *assigned; /* as assign() was told; NULL: nothing */
    bool paused;
    atomic_bool interrupted; /* a connection was closed, or a partition was not
                                fetched, since the assignment was taken */

    uint32_t assignment; /* counts (un)assign calls */

    /* See commits.h. */
    rd_kafka_topic_partition_list_t *commits_waiting; /* NULL: none */
    bool commit_in_flight;
    bool any_sent;
    uint32_t commit_assignment; /* when it was sent */
    int64_t commit_not_before_ns;

    struct ow_kafka_talk talk;
    enum ow_status stop; /* not OK: the source is of no use any more, and why */
    struct ow_err stop_err;
};

/* The library's own name of a topic that we subscribe to, which lives as long as the source; NULL:
 * not ours. */
const char *ow_kafka_member_topic(const struct ow_kafka_member *member, const char *topic);

/* A list for the library, offsets and metadata included. Never NULL. */
rd_kafka_topic_partition_list_t *ow_kafka_member_list(const struct ow_partition_offset *list,
                                                      size_t count);

/* Takes NULL; for OW_CLEANUP. */
void ow_kafka_member_list_done(rd_kafka_topic_partition_list_t **list);
#define OW_KAFKA_LIST OW_CLEANUP(ow_kafka_member_list_done) rd_kafka_topic_partition_list_t

/* Writes "text: what the library says" and returns TEMPORARY, or FAILED where asking again cannot
 * help. */
enum ow_status ow_kafka_member_fail(struct ow_err *err, rd_kafka_resp_err_t code,
                                    const char *format, ...) OW_PRINTF(3, 4);

#endif
