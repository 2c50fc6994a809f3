/*
 * kafka/reader: reads topics from one offset to another, beside the group and not in it: for checks
 * and replays.
 *
 * It takes its partitions itself, never subscribes and never commits: the group's members and
 * offsets are untouched. Settings and isolation are the worker's. Threads: one. Memory: what an
 * event points to is valid until the next poll; topic names live as long as the reader. Failure:
 * TEMPORARY (no answer, or the log was cut while it was read), BAD_CONFIG, FAILED. Trust: records
 * are hostile bytes.
 */
#ifndef OW_KAFKA_READER_H
#define OW_KAFKA_READER_H

#include "kafka/source.h"

struct ow_kafka_reader;

/* A partition, and what of it is there and is read. */
struct ow_kafka_range {
    const char *topic;
    int32_t partition;
    int64_t low, high;   /* the first offset that is there, the one behind the last stable one */
    int64_t from, until; /* what is to be read: [from, until); all of it unless changed */
};

enum ow_kafka_read_kind {
    OW_KAFKA_READ_IDLE,   /* nothing within the time */
    OW_KAFKA_READ_RECORD, /* record; generation and via are not set */
    OW_KAFKA_READ_END,    /* range: it was read to its end */
    OW_KAFKA_READ_TALK    /* err: what the broker's side has to say; it goes on */
};

struct ow_kafka_read {
    enum ow_kafka_read_kind kind;
    struct ow_record record;
    size_t range; /* RECORD, END: its index in what was assigned */
    struct ow_err err;
};

/* Asks for the partitions of the options' topics and their bounds. options->instance_id is not
 * used. */
enum ow_status ow_kafka_reader_open(const struct ow_kafka_options *options,
                                    struct ow_kafka_reader **ret_reader, struct ow_err *err)
    OW_MUST_USE;
/* All partitions, by topic as named in the options, then by number. */
const struct ow_kafka_range *ow_kafka_reader_ranges(const struct ow_kafka_reader *reader,
                                                    size_t *ret_count);
/* The offsets that the group has committed (-1: none), with their metadata, by all ranges; the
 * caller's list of as many. *ret_members: who is in the group now. */
enum ow_status ow_kafka_reader_committed(struct ow_kafka_reader *reader,
                                         struct ow_partition_offset *ret_list, int32_t *ret_members,
                                         struct ow_err *err) OW_MUST_USE;
/*
 * Starts to read these, in place of what was read before. Records of one range come in order,
 * ranges as they like; an empty one ends at once. ranges is borrowed until the next call.
 */
enum ow_status ow_kafka_reader_assign(struct ow_kafka_reader *reader,
                                      const struct ow_kafka_range *ranges, size_t count,
                                      struct ow_err *err) OW_MUST_USE;
enum ow_status ow_kafka_reader_poll(struct ow_kafka_reader *reader, int timeout_ms,
                                    struct ow_kafka_read *ret_read, struct ow_err *err) OW_MUST_USE;
/* Takes NULL. False: it did not come back in time; leave by _exit. Frees. */
bool ow_kafka_reader_close(struct ow_kafka_reader *reader, int deadline_ms);

#endif
