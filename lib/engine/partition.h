/*
 * partition: what the apply thread knows of each partition: its position, settled and in work, and
 * its stream time.
 *
 * Threads: the apply thread's. Memory: an arena of process life, for partitions are never
 * forgotten; one of the batch, emptied by _settle and _forget.
 */
#ifndef OW_ENGINE_PARTITION_H
#define OW_ENGINE_PARTITION_H

#include "engine/chunk.h"

struct ow_durable_entry;

struct ow_partition {
    struct ow_position settled;   /* as committed */
    struct ow_arena settled_runs; /* of its ledger */
    struct ow_position working;   /* as this batch has it; its runs are in ow_partitions.work */
    bool touched;                 /* working holds in this batch */
    bool assigned;
    bool check_anchor; /* the next record below next_offset is compared with the anchor */
    bool restored;     /* the assignment's */
    bool at_end;
    int64_t last_timestamp_ms;            /* of the last settled record; INT64_MIN: none */
    const struct ow_record *last_handled; /* in this batch */
    bool has_committed; /* our own commit has replaced the committed offset that was seen */
    struct ow_durable_entry *durable_entry; /* durable.h's */
    struct ow_partition *next;
    struct ow_partition *next_touched;
};

struct ow_partitions {
    struct ow_arena arena;
    struct ow_arena work; /* this batch's ledger runs */
    struct ow_map map;
    struct ow_partition *list;
    struct ow_partition *touched; /* in this batch */
};

void ow_partitions_init(struct ow_partitions *partitions);
void ow_partitions_done(struct ow_partitions *partitions);
/* Takes the positions that the store has. */
void ow_partitions_load(struct ow_partitions *partitions, const struct ow_position *list);
/* The partition, or NULL where it is not known. */
struct ow_partition *ow_partitions_find(const struct ow_partitions *partitions,
                                        struct ow_slice topic, int32_t partition);
/* A new one whose first offset is given, without a row in the store. */
struct ow_partition *ow_partitions_add(struct ow_partitions *partitions, struct ow_slice topic,
                                       int32_t partition, int64_t first_offset);

/* The position to change in this batch. */
struct ow_position *ow_partition_touch(struct ow_partitions *partitions,
                                       struct ow_partition *partition);
/* The positions of all touched partitions as a list for the store, with anchors made. */
struct ow_position *ow_partitions_changes(struct ow_partitions *partitions,
                                          const struct ow_hash_key *hash_key);
/* After COMMIT: working becomes settled. */
void ow_partitions_settle(struct ow_partitions *partitions);
/* After a rollback: the batch's changes are forgotten. */
void ow_partitions_forget(struct ow_partitions *partitions);

/*
 * DESIGN 1: the smallest, over assigned partitions, of the last handled record's timestamp; a
 * partition read to its end counts as now. INT64_MIN where some partition has shown nothing yet, or
 * none is assigned.
 * ends_hold: an end that was told is the end still; otherwise it may lie far behind by now.
 */
int64_t ow_partitions_stream_time_ms(const struct ow_partitions *partitions, int64_t now_ms,
                                     bool ends_hold);

#endif
