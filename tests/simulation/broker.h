/*
 * broker: topics, partitions and one group's committed offsets, with an operator's hand in them.
 * Everything that is on the brokers' side and outlives a worker.
 *
 * Threads: one. Memory: an arena, given back by _done.
 */
#ifndef OW_SIMULATION_BROKER_H
#define OW_SIMULATION_BROKER_H

#include "engine/source.h"
#include "message.h"

enum { OW_BROKER_TOPICS = 2, OW_BROKER_LOGS_MAX = 8, OW_BROKER_RECORDS_MAX = 512 };

/* A record that is in a log. */
struct ow_logged {
    struct ow_record record;
    struct ow_message message;
    size_t log;          /* its index */
    int64_t appended_ns; /* elapsed */
};

struct ow_log {
    const char *topic;
    int32_t partition;
    struct ow_logged *records[OW_BROKER_RECORDS_MAX];
    size_t count;
    int64_t low, end;
    int64_t committed; /* -1: none */
    char metadata[OW_METADATA_BYTES];
    bool recreated; /* other records are given than those that are here */
};

/* What becomes of commits. */
enum ow_commit_fate {
    OW_COMMIT_TAKEN,
    OW_COMMIT_REFUSED,       /* an error, and nothing is committed */
    OW_COMMIT_LOST,          /* no error, and nothing is committed */
    OW_COMMIT_LATE,          /* no error, and committed some polls later, if at all */
    OW_COMMIT_TAKEN_REFUSED, /* committed, and the answer is an error */
    OW_COMMIT_FATES
};

struct ow_broker {
    struct ow_arena arena;
    struct ow_log logs[OW_BROKER_LOGS_MAX];
    size_t log_count;
    int32_t members;       /* of the group */
    int64_t away_until_ns; /* elapsed; nobody answers before */
    enum ow_commit_fate fate;
    int fated; /* commits that meet this fate */
    bool mute; /* assigns nothing */
};

const char *ow_broker_topic(size_t topic);
void ow_broker_init(struct ow_broker *broker);
void ow_broker_done(struct ow_broker *broker);
/* Another partition of a topic; false where there is no room. */
bool ow_broker_add_partition(struct ow_broker *broker, size_t topic);
int32_t ow_broker_partitions(const struct ow_broker *broker, const char *topic);
/* NULL where there is none. */
struct ow_log *ow_broker_log(struct ow_broker *broker, struct ow_slice topic, int32_t partition);
size_t ow_broker_index(const struct ow_broker *broker, const struct ow_log *log);
/* Appends to a log after a gap of so many offsets. NULL where it is full. */
struct ow_logged *ow_broker_append(struct ow_broker *broker, size_t index,
                                   const struct ow_message *message, int gap);
/* The index of the first record at or behind an offset. */
size_t ow_log_find(const struct ow_log *log, int64_t offset);
bool ow_broker_is_away(const struct ow_broker *broker);

#endif
