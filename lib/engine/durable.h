/*
 * durable: the fixed table through which the apply thread tells the poll thread what is durable,
 * and the poll thread tells the apply thread what it has committed. Neither ever waits for the
 * other: the lock is held for copies only.
 *
 * Threads: any. Memory: process lifetime; topics live as long as the table.
 */
#ifndef OW_ENGINE_DURABLE_H
#define OW_ENGINE_DURABLE_H

#include "engine/partition.h"

#include <pthread.h>

/* What is durable of a partition. The poll thread commits these offsets. */
struct ow_durable {
    uint32_t generation; /* of the last assignment that was applied; the same for all */
    const char *topic;
    int32_t partition;
    bool assigned;
    bool stored; /* the store has a position */
    int64_t next_offset, high_offset;
    int64_t seen_committed;
    bool any_sent; /* a commit of ours may have arrived since _init; the same for all */
    int64_t began_epoch;
};

/* Of a position of the store; NULL: there is none. */
struct ow_durable ow_durable_of(const struct ow_position *position);

struct ow_durable_entry {
    struct ow_durable durable;
    bool committed; /* by us, since the last exchange */
    struct ow_durable_entry *next;
};

struct ow_durables {
    pthread_mutex_t lock;
    struct ow_arena arena;
    uint32_t generation;
    bool any_sent;
    struct ow_durable_entry *list;
};

void ow_durables_init(struct ow_durables *durables);
void ow_durables_done(struct ow_durables *durables);

/* Copies the settled positions out, and what has been committed in. By the apply thread. */
void ow_durables_exchange(struct ow_durables *durables, struct ow_partitions *partitions,
                          uint32_t generation);

/* Calls visit for every partition that is known, under the lock: keep it short. */
void ow_durables_visit(struct ow_durables *durables,
                       void (*visit)(const struct ow_durable *durable, void *context),
                       void *context);
/* What a partition's durable state is; false where it is not known. */
bool ow_durables_get(struct ow_durables *durables, const char *topic, int32_t partition,
                     struct ow_durable *ret_durable);
/* A commit was sent: from now on the group may have one of this process. */
void ow_durables_sent(struct ow_durables *durables);
/* The group's committed offset is ours now, with our metadata: what was seen before may go. */
void ow_durables_committed(struct ow_durables *durables, const char *topic, int32_t partition);
/* A new assignment: what was said before it, and not heard yet, is of the old one. */
void ow_durables_forget_committed(struct ow_durables *durables);

#endif
