/*
 * restore_topics: whether the topics still hold what comes after a backup, and what the group was
 * committed with.
 *
 * Threads: the main thread. Memory: the caller's arena. Failure: UNSAFE where records are gone or
 * the group belongs to another store, TEMPORARY where no broker answers.
 */
#ifndef OW_CMD_RESTORE_TOPICS_H
#define OW_CMD_RESTORE_TOPICS_H

#include "config.h"
#include "store/restore.h"

struct ow_restore_topics {
    int64_t group_epoch; /* the highest of the group's commits; 0: none of ours */
    int64_t behind;      /* records that were committed and come again */
    int32_t members;     /* who is in the group now */
};

/* Says on stderr what is gone, a line a partition. */
enum ow_status ow_restore_topics_check(struct ow_config *config,
                                       const struct ow_restore_facts *facts,
                                       struct ow_restore_topics *ret_topics, struct ow_err *err)
    OW_MUST_USE;

#endif
