/*
 * positions: what people ask about positions, and how they move them: the ways out where a start is
 * refused (DESIGN 9), each one transaction with its row in ow_audit.
 *
 * The store is the truth and is changed first. What the group has committed follows; until it does,
 * the next start goes on at the store's position all the same, for what the group had then is known
 * (seen_committed, the epoch of an incarnation, our own metadata). But not where that is another
 * store's, or a newer copy's: such a commit is refused for as long as it is there.
 *
 * Threads: the caller's. Memory: the caller's arena. Failure: UNSAFE (a foreign store, an older
 * copy, a topic that is another one), TEMPORARY (somebody is in the group, no broker answers),
 * BAD_CONFIG (what was asked for cannot be), or as the store's.
 */
#ifndef OW_ENGINE_POSITIONS_H
#define OW_ENGINE_POSITIONS_H

#include "engine/assign.h"

enum ow_positions_by {
    OW_POSITIONS_BY_NONE, /* nothing is committed */
    OW_POSITIONS_BY_OURS,
    OW_POSITIONS_BY_OTHER_STORE,
    OW_POSITIONS_BY_OPERATOR /* an operator, or another kind of consumer */
};

/* A partition that is there, or of which the store has a position. */
struct ow_positions_row {
    const char *topic;
    int32_t partition;
    const struct ow_position *position; /* NULL: none yet */
    bool asked;                         /* the brokers have answered; else nothing below is known */
    int64_t low, end;
    int64_t committed; /* -1: none */
    enum ow_positions_by by;
    const char *refused;     /* why the next start will not take it; NULL: it will */
    struct ow_assigned next; /* what it will do */
};

/*
 * options: as the next start will have them; the worker is not used. positions: the store's.
 * *ret_silent: why the brokers did not answer, NULL: they did. By topic, then partition.
 */
struct ow_positions_row *ow_positions_list(const struct ow_consume_options *options,
                                           struct ow_position *positions, struct ow_arena *arena,
                                           size_t *ret_count, const char **ret_silent);

enum ow_positions_verb { OW_POSITIONS_SET, OW_POSITIONS_ADOPT, OW_POSITIONS_ACCEPT_LOST };
enum ow_positions_target {
    OW_POSITIONS_TO_EARLIEST,
    OW_POSITIONS_TO_LATEST,
    OW_POSITIONS_TO_OFFSET,
    OW_POSITIONS_TO_TIME
};
struct ow_positions_order {
    enum ow_positions_verb verb;
    const char *topic;
    int32_t partition; /* -1: all */
    enum ow_positions_target target;
    int64_t offset, time_ms;
    bool skip;    /* SET: leaving records out is meant */
    bool foreign; /* what another store has committed is not regarded */
    const char *who, *why;
};

enum ow_positions_did {
    OW_POSITIONS_KEPT,    /* it is there already; the group is told so */
    OW_POSITIONS_REWOUND, /* a replay */
    OW_POSITIONS_SKIPPED,
    OW_POSITIONS_LOST,
    OW_POSITIONS_ADOPTED,
    OW_POSITIONS_STARTED /* no position yet: the group's offset says where the first start begins */
};
const char *ow_positions_did_text(enum ow_positions_did did);

struct ow_positions_change {
    const char *topic;
    int32_t partition;
    enum ow_positions_did did;
    int64_t incarnation; /* that it is of now */
    int64_t from, to;    /* -1: there was none */
    int64_t left_out;    /* offsets that are skipped or lost now */
    int64_t low, end, committed;
    int64_t seen_committed; /* what the store keeps of it: not ours, and not to be honoured */
    bool refused;           /* a start that is told nothing refuses it */
};

/* A change from the order to the group. */
struct ow_positions_work {
    const struct ow_consume_options
        *options;           /* as the next start has them; the worker is not used */
    struct ow_store *store; /* _plan does not need it */
    const struct ow_positions_order *order;
    struct ow_position *positions; /* the store's */
    struct ow_arena *arena;
    struct ow_positions_change *list; /* as planned */
    size_t count;
};

/* What would be done; asks only. */
enum ow_status ow_positions_plan(struct ow_positions_work *work, struct ow_err *err) OW_MUST_USE;
/* Does it in the store. */
enum ow_status ow_positions_apply(const struct ow_positions_work *work, struct ow_err *err)
    OW_MUST_USE;
/*
 * Tells the group, which must be empty. *ret_told: false where it does not take it (err says why),
 * and the next start will tell it. Where a start cannot, for it would refuse what the group has, or
 * begin there: the failure; the order must be given again.
 */
enum ow_status ow_positions_tell(const struct ow_positions_work *work, bool *ret_told,
                                 struct ow_err *err) OW_MUST_USE;

#endif
