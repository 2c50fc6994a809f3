/*
 * source_memory: the in-memory twin of a broker and a group: topics are lists of records, committed
 * offsets a table. Transcripts and the simulation run the whole worker over it, without threads and
 * without time.
 *
 * Threads: one. Memory: _close gives all back. Failure: none of its own; faults are what the caller
 * injects.
 */
#ifndef OW_ENGINE_SOURCE_MEMORY_H
#define OW_ENGINE_SOURCE_MEMORY_H

#include "engine/source.h"

struct ow_memory_broker;

struct ow_memory_broker *ow_memory_broker_open(void);
void ow_memory_broker_close(struct ow_memory_broker *broker);
/* Topics must be there before a source is opened. */
void ow_memory_broker_topic(struct ow_memory_broker *broker, const char *topic,
                            int32_t partition_count);
/* Appends a copy of record at the end of its partition, or at record->offset where that is larger
 * (a gap). */
void ow_memory_broker_append(struct ow_memory_broker *broker, const struct ow_record *record);
/* The partition ends at to_offset from now on: transaction markers, which nobody is given. */
void ow_memory_broker_skip(struct ow_memory_broker *broker, const char *topic, int32_t partition,
                           int64_t to_offset);
/* The partition is empty and begins at 0 again, as another topic of the name does. What the group
 * has committed stays. */
void ow_memory_broker_recreate(struct ow_memory_broker *broker, const char *topic,
                               int32_t partition);
/* Records before an offset are deleted: the partition begins there. */
void ow_memory_broker_delete(struct ow_memory_broker *broker, const char *topic, int32_t partition,
                             int64_t before_offset);
/* How many members the group says it has; 1 unless told otherwise. */
void ow_memory_broker_members(struct ow_memory_broker *broker, int32_t count);
/* The group's committed offset, as an operator's tool would set it (without metadata). */
void ow_memory_broker_reset(struct ow_memory_broker *broker, const char *topic, int32_t partition,
                            int64_t offset);
/* The group's committed offset, -1: none. */
int64_t ow_memory_broker_committed(const struct ow_memory_broker *broker, const char *topic,
                                   int32_t partition);

/* A member of the one group; is assigned everything at its first poll. Borrows the broker. */
struct ow_source *ow_memory_source_open(struct ow_memory_broker *broker);
/* The next poll revokes, the one after assigns again. */
void ow_memory_source_rebalance(struct ow_source *source);
/* Assignments from now on name only the first so many partitions, in the order of the topics. */
void ow_memory_source_assign_only(struct ow_source *source, size_t count);

#endif
