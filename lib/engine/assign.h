/*
 * assign: what an assignment means: where each partition goes on (model/position.h decides), asked
 * of the group and of the topics before anything is applied.
 *
 * Threads: the poll thread. Memory: the caller's arena.
 */
#ifndef OW_ENGINE_ASSIGN_H
#define OW_ENGINE_ASSIGN_H

#include "engine/consume.h"

struct ow_assignment_plan {
    struct ow_assigned *assigned;      /* for the apply thread */
    struct ow_partition_offset *fetch; /* for the source: where to start fetching */
    int64_t *end;                      /* the end of each partition as of now */
    size_t count;
};

/*
 * UNSAFE: a foreign store, an old copy, a skip, a topic that ends before our position or begins
 * behind it, or a partial assignment (somebody else is in the group with a store of its own).
 * TEMPORARY: the broker did not answer.
 */
enum ow_status ow_assign_plan(const struct ow_consume_options *options,
                              const struct ow_partition_offset *partitions, size_t count,
                              struct ow_arena *arena, struct ow_assignment_plan *ret_plan,
                              struct ow_err *err) OW_MUST_USE;

#endif
