/*
 * source: the port through which records come in and offsets go out. lib/kafka implements it over
 * librdkafka; engine/source_memory.c is its in-memory twin for transcripts and the simulation.
 *
 * Threads: one thread (the poll thread) calls everything. Memory: what an event points to is valid
 * until the next poll; topic names live as long as the source. Failure: TEMPORARY (broker away),
 * UNSAFE, BAD_CONFIG, FAILED, with a text for people.
 */
#ifndef OW_ENGINE_SOURCE_H
#define OW_ENGINE_SOURCE_H

#include "base/status.h"
#include "model/position.h"
#include "model/record.h"

struct ow_partition_offset {
    const char *topic;
    int32_t partition;
    int64_t offset;                   /* -1: none */
    char metadata[OW_METADATA_BYTES]; /* of a commit, "" without */
};

enum ow_source_event_kind {
    OW_SOURCE_IDLE,     /* nothing within the time */
    OW_SOURCE_RECORD,   /* record; bytes are borrowed until the next poll */
    OW_SOURCE_END,      /* topic, partition, offset: read to its end; offset is the next one */
    OW_SOURCE_ASSIGNED, /* partitions: the whole assignment; answer with assign() */
    OW_SOURCE_REVOKED,  /* answer with unassign() */
    OW_SOURCE_TROUBLE /* status OK: talk (text in err); else the source is of no use any more: stop
                       */
};

struct ow_source_event {
    enum ow_source_event_kind kind;
    struct ow_record record; /* RECORD; END uses topic, partition, offset of it. generation and via
                                are not set */
    const struct ow_partition_offset *partitions; /* ASSIGNED, REVOKED */
    size_t partition_count;
    bool interrupted; /* RECORD, END: fetching may have stood still since the last assign */
    bool lost;        /* REVOKED: the group has given them to somebody already; do not commit */
    enum ow_status status;
    struct ow_err err;
};

struct ow_source {
    const struct ow_source_ops *ops;
};

struct ow_source_ops {
    /* Waits up to timeout_ms for one event. Must be called often (max.poll.interval.ms), also while
     * paused. */
    void (*poll)(struct ow_source *source, int timeout_ms, struct ow_source_event *ret_event);
    /* Fills offset and metadata with the group's committed ones. */
    enum ow_status (*committed)(struct ow_source *source, struct ow_partition_offset *list,
                                size_t count, struct ow_err *err);
    /* The first offset that is there and the one behind the last (with isolation, the last stable
     * offset). */
    enum ow_status (*bounds)(struct ow_source *source, const char *topic, int32_t partition,
                             int64_t *ret_low, int64_t *ret_high, struct ow_err *err);
    /* The first offset whose timestamp is at least time_ms; the end where there is none. */
    enum ow_status (*offset_for_time)(struct ow_source *source, const char *topic,
                                      int32_t partition, int64_t time_ms, int64_t *ret_offset,
                                      struct ow_err *err);
    /* How many partitions a topic has; 0 where there is no such topic (yet). TEMPORARY: nobody
     * answers. */
    enum ow_status (*partition_count)(struct ow_source *source, const char *topic,
                                      int32_t *ret_count, struct ow_err *err);
    /* How many members the group has, this one included; 0: cannot be known. */
    enum ow_status (*member_count)(struct ow_source *source, int32_t *ret_count,
                                   struct ow_err *err);
    /* Starts fetching at the offsets given; answers ASSIGNED. */
    enum ow_status (*assign)(struct ow_source *source, const struct ow_partition_offset *list,
                             size_t count, struct ow_err *err);
    /* Stops fetching; answers REVOKED. */
    enum ow_status (*unassign)(struct ow_source *source, struct ow_err *err);
    /* Commits an explicit list; wait: up to a few seconds for the broker's answer. TEMPORARY: the
     * next one supersedes it. */
    enum ow_status (*commit)(struct ow_source *source, const struct ow_partition_offset *list,
                             size_t count, bool wait, struct ow_err *err);
    /* Whether the broker has taken all that was given to commit since the last assign. */
    bool (*commits_taken)(struct ow_source *source);
    /* Whether a commit may have reached the broker since the source was opened; one whose answer
     * was lost may have. */
    bool (*any_sent)(struct ow_source *source);
    /* Stops delivery of all assigned partitions until they are assigned once more. */
    enum ow_status (*pause)(struct ow_source *source, struct ow_err *err);
    /* Leaves the group, at most for deadline_ms; false: it did not come back in time (then leave by
     * _exit). Frees. */
    bool (*close)(struct ow_source *source, int deadline_ms);
};

#endif
