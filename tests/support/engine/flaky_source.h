/*
 * flaky_source: the memory source, of which the n-th call of an operation fails, once or for ever,
 * and which is rebalanced at given records.
 *
 * Threads: as source.h. Memory: _open takes the inner source; its close closes that one too.
 */
#ifndef OW_TESTS_ENGINE_FLAKY_SOURCE_H
#define OW_TESTS_ENGINE_FLAKY_SOURCE_H

#include "engine/source.h"

enum ow_flaky_op {
    OW_FLAKY_NONE,
    OW_FLAKY_COMMITTED,
    OW_FLAKY_BOUNDS,
    OW_FLAKY_OFFSET_FOR_TIME,
    OW_FLAKY_PARTITION_COUNT,
    OW_FLAKY_MEMBER_COUNT,
    OW_FLAKY_ASSIGN,
    OW_FLAKY_UNASSIGN,
    OW_FLAKY_COMMIT,
    OW_FLAKY_PAUSE,
    OW_FLAKY_POLL, /* an event OW_SOURCE_TROUBLE */
    OW_FLAKY_OPS
};

struct ow_flaky {
    struct ow_source source;
    struct ow_source_ops ops;
    struct ow_source *inner;
    enum ow_flaky_op op;
    int64_t at; /* from 1 */
    bool for_ever;
    enum ow_status status; /* what the call returns then */
    bool talks;            /* POLL: only talk, of which nothing follows */
    int64_t calls;         /* of op */
    bool fired;
    int64_t records;      /* given out */
    int64_t rebalance_at; /* after so many records; 0: never */
    bool lost;            /* revocations say that the partitions are somebody else's already */
};

/* Wraps inner in caller storage. Set what is to fail afterwards. */
void ow_flaky_open(struct ow_flaky *flaky, struct ow_source *inner);
const char *ow_flaky_text(enum ow_flaky_op op);

#endif
