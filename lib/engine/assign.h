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

/* What is known of a partition, and what the brokers say of it. */
struct ow_assign_question {
    struct ow_assignment_facts facts;
    bool topic_known;  /* the store has a position of some partition of it */
    int64_t low, high; /* the topic's bounds */
};
/* options: store_id, epoch, restored, skips_honoured. */
struct ow_assignment_facts ow_assign_facts(const struct ow_consume_options *options,
                                           const struct ow_durable *durable,
                                           const struct ow_partition_offset *committed);
/* UNSAFE: the topic is another one than that which was handled. */
enum ow_status ow_assign_check_topic(const struct ow_assign_question *question, struct ow_err *err)
    OW_MUST_USE;
/* Where the partition goes on. options: source, start, start_time_ms. UNSAFE with the way out. */
enum ow_status ow_assign_judge(const struct ow_consume_options *options,
                               const struct ow_assign_question *question,
                               struct ow_assigned *ret_assigned, struct ow_err *err) OW_MUST_USE;
/* "position", "start", "committed", "rewound", "skipped". */
const char *ow_resume_text(enum ow_resume resume);

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
