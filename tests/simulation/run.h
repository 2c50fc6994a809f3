/*
 * run: one seed: the whole worker over the simulated broker, disk and clock, incarnation after
 * incarnation, held against the model after every step.
 *
 * Threads: one. Memory: static and the run's own, given back at its end. Failure: the first broken
 * promise is noted and ends the run; our own contracts abort, which jobs.c catches.
 */
#ifndef OW_SIMULATION_RUN_H
#define OW_SIMULATION_RUN_H

#include "engine/consume.h"
#include "model.h"
#include "plan.h"
#include "vfs.h"

#include <sqlite3.h>

#include <stdatomic.h>
#include <sys/types.h>

struct ow_session;

/* What a run came to. */
struct ow_result {
    bool failed;
    int action;    /* that was done last */
    char what[48]; /* which promise */
    char text[1024];
    uint64_t trace; /* a hash of all that happened */
    int64_t steps;  /* polls */
    int64_t batches, records;
    int crashes, restarts;
};

/* What the assignment that is being planned must come to. */
enum ow_expected { OW_EXPECT_STORED, OW_EXPECT_START, OW_EXPECT_REWIND, OW_EXPECT_SKIP };
struct ow_expectation {
    bool open; /* not seen in the store yet */
    bool refused;
    struct {
        enum ow_expected kind;
        int64_t at, committed;
    } partitions[OW_BROKER_LOGS_MAX];
    size_t count;
};

/* What an operator puts back once the worker has refused. */
enum ow_repair {
    OW_REPAIR_NOTHING,
    OW_REPAIR_COMMIT,
    OW_REPAIR_MEMBERS,
    OW_REPAIR_METADATA,
    OW_REPAIR_LOW,
    OW_REPAIR_RECREATED
};

struct ow_observer {
    sqlite3 *handle; /* the worker's own connection; NULL: none */
    sqlite3_stmt *positions, *meta, *parked, *pruned, *kept, *expired;
    uint64_t changes; /* of the disk, at the last look */
    int64_t batch, next_ref;
};

enum { OW_RUN_PENDING_MAX = 4096 };

struct ow_sim_run {
    const struct ow_plan *plan;
    struct ow_result *result;
    size_t next_action;
    struct ow_random random;
    char path[96], key_path[96], lock_path[96], worst_path[96];

    struct ow_broker broker;
    struct ow_model model;
    struct ow_observer observer;
    struct ow_expectation expectation;
    /* What the worker was given and that has not been seen in the store. */
    const struct ow_logged *pending[OW_RUN_PENDING_MAX];
    size_t pending_count;
    const struct ow_logged *left; /* given last before a pause: the worker may have left it */

    struct ow_machines *machines;
    struct ow_store *store;
    struct ow_worker *worker;
    struct ow_session *session;
    char store_id[OW_STORE_ID_BYTES];
    int64_t epoch;
    int64_t group_batch; /* the last batch when the group was committed to */

    /* What is to happen. */
    int64_t away_at_plan_ms; /* the broker goes away once the next assignment is given out */
    size_t old_assignment;   /* the next assignment leaves so many partitions out */
    uint64_t loss_seed;      /* of the next crash */
    enum ow_vfs_loss loss;
    enum ow_vfs_fault opening_fault_kind;
    unsigned opening_ops;
    int opening_fault; /* armed when the next worker opens; 0: not */
    int closing_crash; /* armed when the worker closes; 0: not */
    int group_crash;   /* the host dies in the next commit, after so many partitions; -1: not */
    int full_left;     /* polls or openings until there is room on the disk again */
    int polls_left;    /* until the next action */
    int polls_here;    /* of this incarnation */
    int rest_left;     /* polls in which there is nothing to do but to tend the store */
    int machine_version;

    /* What an operator puts back once the worker has refused. */
    enum ow_repair repair;
    size_t repair_log;
    int64_t repair_offset;
    char repair_metadata[OW_METADATA_BYTES];

    bool verbose;
    bool clock_set_back; /* at least once */
    atomic_bool stop;
    bool calm;      /* the faults are over */
    bool until_end; /* this incarnation */
    bool skips_honoured;
    bool may_be_temporary; /* the worker was given a reason to end with it */
    bool may_be_unsafe;    /* likewise */
    bool resolving;        /* the first look of an incarnation */
    bool crashed_before;   /* the last incarnation ended in a crash */
    bool disowned; /* another worker has the store: what this one is given counts for nothing */
    bool nested;   /* that other worker, which has no plan */
};

/* Runs a plan. */
void ow_run_seed(const struct ow_plan *plan, bool verbose, struct ow_result *ret_result);

/* Removes what a process has left in /dev/shm. */
void ow_run_clean_up(pid_t pid);

/* The rest is for the files of the run. */

/* Notes a broken promise; the first one counts. */
void ow_run_fail(struct ow_sim_run *run, const char *what, const char *format, ...) OW_PRINTF(3, 4);
void ow_run_trace(struct ow_sim_run *run, const char *format, ...) OW_PRINTF(2, 3);
static inline bool ow_run_is_over(const struct ow_sim_run *run)
{
    return run->result->failed || ow_vfs_is_dead();
}

/* Whether the worker that asks has lost its store to another one. */
static inline bool ow_run_is_disowned(const struct ow_sim_run *run)
{
    return run->disowned && !run->nested;
}

/* What the source calls. */
void ow_run_before_poll(struct ow_sim_run *run);
void ow_run_forget_pending(struct ow_sim_run *run);
void ow_run_delivered(struct ow_sim_run *run, const struct ow_logged *logged);
/* How many partitions of the list are committed before the host dies; count: it does not. */
size_t ow_run_before_commit(struct ow_sim_run *run, const struct ow_partition_offset *list,
                            size_t count);

/* act.c, down.c: does an action. */
void ow_run_act(struct ow_sim_run *run, const struct ow_plan_action *action);
void ow_run_down(struct ow_sim_run *run, const struct ow_plan_action *action);
/* Puts back what an operator can. */
void ow_run_repair(struct ow_sim_run *run);

/* expect.c */
void ow_expect_plan(struct ow_sim_run *run);
void ow_expect_fetch(struct ow_sim_run *run, const struct ow_partition_offset *list, size_t count);

/* observe.c: looks at what the worker has made durable, and moves the model there. */
void ow_observe_open(struct ow_sim_run *run, sqlite3 *handle);
void ow_observe_close(struct ow_sim_run *run);
void ow_observe(struct ow_sim_run *run);

/* Whether all partitions are past a moment: each is read to its end, as of some seconds ago at the
 * most, or its last record is of a later time. */
bool ow_observe_stream_passed(const struct ow_sim_run *run, int64_t time_ms);
/* observe_claims.c: which claims were pruned since the last look; it must have been their time. */
void ow_observe_claims(struct ow_sim_run *run);
/* Whether the store says that a record is expired. */
bool ow_observe_is_expired(struct ow_sim_run *run, const struct ow_logged *logged);
/* Whether a bucket counts no more whose rows are there yet. */
bool ow_observe_is_doomed_left(struct ow_sim_run *run);

/* days.c: what only happens in seeds of days. */
void ow_days_date(const struct ow_sim_run *run, const struct ow_plan_action *action,
                  struct ow_message *message);
void ow_days_tend(struct ow_sim_run *run, const struct ow_plan_action *action);
/* A while after all retentions are over nothing is claimed any more. */
void ow_days_end(struct ow_sim_run *run);
void ow_days_rest(struct ow_sim_run *run);
void ow_days_redeliver(struct ow_sim_run *run, const struct ow_plan_action *action);

/* check.c: holds the whole database against the model. */
void ow_check_all(struct ow_sim_run *run);
/* promises.c: what `onceward verify` says. */
void ow_check_promises(struct ow_sim_run *run, char ret_state_hash[65]);
/* check.c: what a power cut at this moment would leave of the positions. */
void ow_check_worst(struct ow_sim_run *run, const struct ow_partition_offset *list, size_t count);

/* machine.c: the shipped machine in some variants; version 2 and up have another column. */
enum {
    OW_MACHINE_OF_DAYS = 4, /* from here on retentions are short */
    OW_MACHINE_VARIANTS = 8,
    OW_MACHINE_VERSIONS = 3
};
struct ow_machines *ow_sim_machines(int variant, int version);
int ow_sim_machine_per_entity(int variant);
int64_t ow_sim_machine_deadline_ms(int variant);
/* Of the claims of a type. */
int64_t ow_sim_machine_retention_ms(int variant, int version, enum ow_message_type type);

#endif
