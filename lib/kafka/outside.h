/*
 * kafka/outside: a client beside the group, and not in it: it asks what the group has committed and
 * what the topics hold, and can move the offsets of a group that nobody is in.
 *
 * As the port of engine/source.h it can committed, bounds, offset_for_time, partition_count,
 * member_count, commit and close; it has no records and no assignment. Settings and isolation are
 * the worker's. Threads: one. Memory: process lifetime. Failure: BAD_CONFIG for properties that
 * librdkafka or we refuse; TEMPORARY where no broker answers, or somebody is in the group.
 */
#ifndef OW_KAFKA_OUTSIDE_H
#define OW_KAFKA_OUTSIDE_H

#include "kafka/member.h"
#include "kafka/source.h"

/* options->instance_id: the static member that is us, and that the group remembers for a session
 * after we left: it does not count as a member; NULL: all do. Nothing waits for a broker here. */
enum ow_status ow_kafka_outside_open(const struct ow_kafka_options *options,
                                     struct ow_source **ret_source, struct ow_err *err) OW_MUST_USE;

/* For reader.c: fills a zeroed member in. Disconnect in any case; false: it did not come back in
 * time, and is left behind. */
enum ow_status ow_kafka_outside_connect(struct ow_kafka_member *member,
                                        const struct ow_kafka_options *options, struct ow_err *err)
    OW_MUST_USE;
bool ow_kafka_outside_disconnect(struct ow_kafka_member *member, int deadline_ms);

#endif
