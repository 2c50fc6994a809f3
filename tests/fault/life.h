/*
 * life: a worker that does the steps of a story over the group, as `onceward run` does: the store
 * is opened, the group is consumed to its ends, what is offered to it comes back as a status.
 *
 * Threads: one; with decode_threads the engine's are coroutines (simulation/threads.h). Memory: the
 * caller's; _close gives back what was opened. Failure: the worker's own statuses.
 */
#ifndef OW_FAULT_LIFE_H
#define OW_FAULT_LIFE_H

#include "engine/worker.h"
#include "group.h"

struct ow_life {
    const struct ow_story *story;
    const char *path;
    struct ow_group *group;
    size_t step; /* in work, or the next one */
    uint64_t cuts;
    size_t decode_threads;
    /* Called at each poll of the group; NULL: nobody is. */
    void (*polled)(struct ow_life *life);
    void *context;

    struct ow_store *store;
    struct ow_worker *worker;
    struct ow_err err; /* of what has failed */
};

/* What happens to the group before a step begins, and the clock; once, however often the step is
 * begun. */
void ow_life_prepare(const struct ow_story *story, size_t step, struct ow_group *group);
/* Does the step, or what is left of it; opens what is not open. */
enum ow_status ow_life_do(struct ow_life *life) OW_MUST_USE;
/* A host that has just started: its clock, its chance, and no threads. */
void ow_life_start_host(uint64_t seed);
/* As a process ends: the worker, then the store. */
void ow_life_close(struct ow_life *life);

#endif
