/*
 * story: the workload of everything, drawn from a seed: records that come to each outcome, claims
 * that are sealed, pruned and expired, deadlines, an operator's rewinds and skips, what is seeded
 * and what is erased. A list of steps; between two of them the store is what the seed says,
 * however often a step was begun anew.
 *
 * Threads: one. Memory: the story's, until _done. Failure: none, a bad machine file aborts.
 */
#ifndef OW_FAULT_STORY_H
#define OW_FAULT_STORY_H

#include "base/arena.h"
#include "model/machine.h"
#include "model/record.h"

enum { OW_STORY_PARTITIONS = 3, OW_STORY_STEPS = 13, OW_STORY_RECORDS_MAX = 256 };

enum ow_story_kind { OW_STORY_CONSUME, OW_STORY_SEED, OW_STORY_ERASE };

struct ow_story_step {
    const char *name;
    enum ow_story_kind kind;
    int64_t now_ms;
    size_t record_end; /* of the story's records, so many are there */
    /* An operator sets the group's offset of that partition, before the step; -1: nobody does. */
    int64_t reset_offset;
    int32_t reset_partition;
    bool closes; /* the worker ends after it */
};

struct ow_story {
    uint64_t seed;
    struct ow_arena arena;
    struct ow_machines machines;
    struct ow_record records[OW_STORY_RECORDS_MAX]; /* in the order in which they are read */
    size_t record_count;
    struct ow_story_step steps[OW_STORY_STEPS];
};

void ow_story_make(struct ow_story *story, uint64_t seed);
void ow_story_done(struct ow_story *story);

/* Partition 0 … OW_STORY_PARTITIONS - 1 of the story as Kafka names it. */
const char *ow_story_topic(size_t place, int32_t *ret_partition);
/* The place of a record's partition. */
size_t ow_story_place(const struct ow_record *record);
/* Where a partition ends while so many records are there. */
int64_t ow_story_end(const struct ow_story *story, size_t place, size_t record_end);

/* For how long; shorter than what is shipped. */
enum { OW_STORY_SKEW_MS = 60000, OW_STORY_RECORD_BYTES_MAX = 4096 };
/* What the store refuses: payments of such an id. */
#define OW_STORY_TRIGGER                                                                           \
    "CREATE TRIGGER IF NOT EXISTS fault_poison BEFORE INSERT ON payments WHEN new.payment_id "     \
    "LIKE 'bad%' BEGIN SELECT raise(ABORT, 'not this one'); END"

#endif
