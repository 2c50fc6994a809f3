/*
 * offsets: the ops of engine/source.h that ask the brokers about offsets and topics.
 *
 * Threads: the poll thread. Private to lib/kafka.
 */
#ifndef OW_KAFKA_OFFSETS_H
#define OW_KAFKA_OFFSETS_H

#include "kafka/member.h"

/* See struct ow_source_ops. */
enum ow_status ow_kafka_offsets_committed(struct ow_source *source,
                                          struct ow_partition_offset *list, size_t count,
                                          struct ow_err *err);
enum ow_status ow_kafka_offsets_bounds(struct ow_source *source, const char *topic,
                                       int32_t partition, int64_t *ret_low, int64_t *ret_high,
                                       struct ow_err *err);
enum ow_status ow_kafka_offsets_for_time(struct ow_source *source, const char *topic,
                                         int32_t partition, int64_t time_ms, int64_t *ret_offset,
                                         struct ow_err *err);
enum ow_status ow_kafka_offsets_partition_count(struct ow_source *source, const char *topic,
                                                int32_t *ret_count, struct ow_err *err);

enum ow_status ow_kafka_offsets_member_count(struct ow_source *source, int32_t *ret_count,
                                             struct ow_err *err);

#endif
