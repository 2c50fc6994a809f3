/*
 * plan: what a seed does, made up front as a list of actions, so that a failing one can be shrunk
 * by leaving actions out. Each action stands for itself: none counts on another one.
 *
 * Threads: one. Memory: the plan's own; a value of some 100 KiB.
 */
#ifndef OW_SIMULATION_PLAN_H
#define OW_SIMULATION_PLAN_H

#include "message.h"
#include "random.h"

/* X(name, down, text): down = the worker is stopped first. Parameters: see plan_text(). */
#define OW_DO_TABLE(X)                                                                             \
    X(PRODUCE, 0, "produce")                                                                       \
    X(MARKERS, 0, "markers")                                                                       \
    X(POLLS, 0, "polls")                                                                           \
    X(PASS, 0, "time passes")                                                                      \
    X(JUMP, 0, "clock jumps")                                                                      \
    X(TICK, 0, "tick")                                                                             \
    X(REBALANCE, 0, "rebalance")                                                                   \
    X(ZOMBIE, 0, "zombie")                                                                         \
    X(COMMITS, 0, "commits")                                                                       \
    X(AWAY, 0, "broker away")                                                                      \
    X(TALK, 0, "trouble that passes")                                                              \
    X(FATAL, 0, "trouble that ends the source")                                                    \
    X(CRASH, 0, "crash")                                                                           \
    X(CRASH_NOW, 0, "crash at once")                                                               \
    X(CRASH_GROUP, 0, "crash in the group's commit")                                               \
    X(ERROR, 0, "I/O error")                                                                       \
    X(FULL, 0, "disk full")                                                                        \
    X(ADD_PARTITION, 0, "add a partition")                                                         \
    X(RETENTION, 0, "retention")                                                                   \
    X(SECOND, 0, "second worker")                                                                  \
    X(TAKEOVER, 0, "takeover")                                                                     \
    X(STOP, 1, "stop")                                                                             \
    X(CRASH_CLOSE, 0, "crash while closing")                                                       \
    X(CRASH_OPEN, 1, "crash while opening")                                                        \
    X(ERROR_OPEN, 1, "I/O error while opening")                                                    \
    X(REWIND, 1, "operator rewinds")                                                               \
    X(SKIP, 1, "operator skips")                                                                   \
    X(POISON, 1, "poison")                                                                         \
    X(UPGRADE, 1, "machine upgrade")                                                               \
    X(SHARED, 1, "group is shared")                                                                \
    X(OLD_ASSIGNMENT, 1, "old assignment")                                                         \
    X(FOREIGN, 1, "foreign store")                                                                 \
    X(LOST_RECORDS, 1, "retention beyond the position")                                            \
    X(RECREATE, 1, "topic re-created")                                                             \
    X(UNTIL_END, 1, "run to the end")                                                              \
    X(NO_ASSIGNMENT, 1, "run to the end without an assignment")                                    \
    X(TEND, 0, "the store is tended")                                                              \
    X(REDELIVER, 0, "an old message again")

enum ow_do {
#define OW_DO_ENUM(name, down, text) OW_DO_##name,
    OW_DO_TABLE(OW_DO_ENUM)
#undef OW_DO_ENUM
        OW_DO_KINDS
};

/* In a seed of days: what a message's own time is counted from. */
enum ow_plan_time {
    OW_TIME_NOT_SAID,
    OW_TIME_OF_TIMESTAMP, /* Kafka's timestamp of it */
    OW_TIME_OF_HORIZON    /* the horizon of its type */
};

/* Which message comes again. */
enum ow_plan_old {
    OW_OLD_ANY,
    OW_OLD_KEPT,   /* the oldest that is claimed */
    OW_OLD_PRUNED, /* one whose claim was pruned */
    OW_OLDS
};

/* And what is said of when. */
enum ow_plan_again {
    OW_AGAIN_COPIED, /* all as it was */
    OW_AGAIN_SENT,   /* Kafka's timestamp is now */
    OW_AGAIN_DATED,  /* its own time too: the producer gives each attempt a new one */
    OW_AGAIN_CHANGED,
    OW_AGAINS
};

struct ow_plan_action {
    enum ow_do kind;
    int polls;   /* that the worker makes before the next action */
    int a, b, c; /* by kind */
    int64_t d;
    struct ow_message message; /* PRODUCE */
    /* PRODUCE in a seed of days: how far behind the true time Kafka's timestamp is, and its own
     * time behind what it is counted from. */
    enum ow_plan_time time;
    int64_t stamp_lag_ms, time_lag_ms;
};

enum { OW_PLAN_ACTIONS_MAX = 400 };

struct ow_plan {
    uint64_t seed;
    int partitions[2]; /* of each topic */
    int bucket_claims;
    int batch_rows;
    int idle_percent;   /* how often a poll finds nothing though there is something */
    int checkpoint;     /* pages of the WAL */
    int cache;          /* pages of SQLite's cache */
    int variant;        /* of the machine */
    int decode_threads; /* 0: all inline */
    bool from_scratch;  /* the store is created, not loaded from a template */
    bool replay;        /* of everything at the end */
    /* A seed of days: short retentions, clocks that jump by days, messages that come again before
     * and after their claims are pruned. */
    bool days;
    int64_t skew_ms; /* claims.skew */
    size_t count;
    struct ow_plan_action actions[OW_PLAN_ACTIONS_MAX];
    bool left_out[OW_PLAN_ACTIONS_MAX];
};

/* actions_most: about how many; 0: the seed says. */
void ow_plan_make(struct ow_plan *plan, uint64_t seed, int actions_most);
/* Each fourth one; the others replay as they did before there were any. */
bool ow_plan_is_of_days(uint64_t seed);
/* Whether the worker must be stopped for it. */
bool ow_plan_is_down(enum ow_do kind);
/* One line for people. */
void ow_plan_text(const struct ow_plan_action *action, char *text, size_t bytes);
/* What is left in, as "0-3,7,9". */
void ow_plan_kept(const struct ow_plan *plan, char *text, size_t bytes);
/* Leaves out what is not in such a list; false: it cannot be read. */
bool ow_plan_keep(struct ow_plan *plan, const char *list);

#endif
