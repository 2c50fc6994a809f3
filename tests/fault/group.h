/*
 * group: the other side of the worker: a consumer group and its topics, whose records come in one
 * order whatever was read before, so that a story that goes on after a crash comes to the same
 * numbers.
 *
 * Threads: one source at a time. Memory: the caller's; a value, which is kept and put back.
 */
#ifndef OW_FAULT_GROUP_H
#define OW_FAULT_GROUP_H

#include "engine/source.h"
#include "story.h"

/* What a crash of the worker does not touch. */
struct ow_group {
    struct {
        int64_t offset; /* -1: none */
        char metadata[OW_METADATA_BYTES];
    } committed[OW_STORY_PARTITIONS];
};

struct ow_group_reader {
    struct ow_source source;
    struct ow_group *group;
    const struct ow_story *story;
    size_t record_end;
    uint64_t
        cuts; /* a seed: after which records nothing comes for a moment, so that a batch ends */
    /* Called at each poll; NULL: nobody is. */
    void (*polled)(void *context);
    void *context;

    bool asked, assigned, sent, paused;
    int64_t positions[OW_STORY_PARTITIONS];
    size_t next; /* record */
    size_t ends_told;
    bool rested; /* before the next record */
};

void ow_group_init(struct ow_group *group);
/* Caller storage; set the first members up to `context`. */
struct ow_source *ow_group_open(struct ow_group_reader *reader);

#endif
