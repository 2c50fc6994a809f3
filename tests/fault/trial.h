/*
 * trial: what the parts of this program share: the folder of a process, the figures that its
 * processes add up, and how a violation is told.
 *
 * Threads: one a process. Memory: figures are shared between processes. Failure: violations are
 * counted and printed with the command that repeats them.
 */
#ifndef OW_FAULT_TRIAL_H
#define OW_FAULT_TRIAL_H

#include "base/contract.h"
#include "model/outcome.h"
#include "vfs.h"

#include <stdatomic.h>

/* What is done, as an option of this program. */
enum ow_deed { OW_DEED_NONE, OW_DEED_CRASH, OW_DEED_CALLS, OW_DEED_MEMORY };

/* X(name, deed, text): what must have happened in a whole run of the deed (NONE: it need not), or
 * that has tested less than it says. */
#define OW_FIGURE_TABLE(X)                                                                         \
    X(STORIES, CRASH, "stories")                                                                   \
    X(BOUNDARIES, CRASH, "sync boundaries")                                                        \
    X(POINTS, CRASH, "crash points")                                                               \
    X(KILLED, CRASH, "points where nothing was lost (kill -9)")                                    \
    X(LOST_ALL, CRASH, "points where all was lost")                                                \
    X(LOST_SOME, CRASH, "points where some writes were lost")                                      \
    X(LOST_TORN, CRASH, "points where sectors were lost")                                          \
    X(LOST_GARBLED, CRASH, "points where sectors were garbled")                                    \
    X(LOST_TAIL, CRASH, "points where the tail was torn")                                          \
    X(SAME, CRASH, "drawn points left out, for the disk was the same as at another")               \
    X(IN_WAL, CRASH, "points before a sync of the WAL")                                            \
    X(IN_DATABASE, CRASH, "points before a sync of the database")                                  \
    X(IN_JOURNAL, CRASH, "points before a sync of a journal")                                      \
    X(IN_OPENING, CRASH, "points while a store was made or taken over")                            \
    X(IN_ERASURE, CRASH, "points in an erasure")                                                   \
    X(IN_SEEDING, CRASH, "points in a seeding")                                                    \
    X(IN_PRUNING, CRASH, "points in a step that prunes")                                           \
    X(IN_RECOVERY, CRASH, "points in what follows another crash")                                  \
    X(COMMIT_THERE, CRASH, "points where the transaction in work was there afterwards")            \
    X(COMMIT_GONE, CRASH, "points where it was not")                                               \
    X(TO_THE_END, CRASH, "points after which the story was told to its end")                       \
    X(CALLS, CALLS, "runs with a failing call of the file system")                                 \
    X(CALL_OPEN, CALLS, "of these: open")                                                          \
    X(CALL_READ, CALLS, "read")                                                                    \
    X(CALL_WRITE, CALLS, "write")                                                                  \
    X(CALL_WRITE_FULL, CALLS, "write, no space")                                                   \
    X(CALL_SYNC, CALLS, "sync")                                                                    \
    X(CALL_TRUNCATE, CALLS, "truncate")                                                            \
    X(CALL_DELETE, CALLS, "delete")                                                                \
    X(CALL_LOCK, CALLS, "lock")                                                                    \
    X(CALL_SHM, CALLS, "shared memory")                                                            \
    X(CALL_LOOK, CALLS, "size and access")                                                         \
    X(CALL_ABSORBED, CALLS, "runs that went on all the same")                                      \
    X(CALL_RESUMED, CALLS, "runs that waited for room and went on")                                \
    X(CALL_UNKNOWN, CALLS, "runs that ended because a result was unknown (75)")                    \
    X(CALL_TEMPORARY, CALLS, "runs that ended with temporary (75)")                                \
    X(CALL_FULL, CALLS, "runs that ended for want of room where nobody waits (75)")                \
    X(CALL_FAILED, CALLS, "runs that ended with failed (1)")                                       \
    X(ALLOCATIONS, MEMORY, "runs with a failing allocation")                                       \
    X(ALLOCATION_OURS, MEMORY, "of these: the program's own, and jansson's through it")            \
    X(ALLOCATION_SQLITE, MEMORY, "SQLite's")                                                       \
    X(ALLOCATION_OTHER, NONE, "of the C library and others")                                       \
    X(ALLOCATION_ABSORBED, NONE, "runs that went on all the same")                                 \
    X(ALLOCATION_ABORTED, MEMORY, "runs that died of it (out of memory)")                          \
    X(ALLOCATION_ABORTED_MUTE, NONE, "of these without the words 'out of memory'")                 \
    X(ALLOCATION_UNKNOWN, MEMORY, "runs that ended because a result was unknown (75)")             \
    X(ALLOCATION_FAILED, NONE, "runs that ended with failed (1)")                                  \
    X(VIOLATIONS, NONE, "violations")

enum ow_figure {
#define OW_FIGURE_ENUM(name, deed, text) OW_FIGURE_##name,
    OW_FIGURE_TABLE(OW_FIGURE_ENUM)
#undef OW_FIGURE_ENUM
        OW_FIGURE_COUNT
};
const char *ow_figure_text(enum ow_figure figure);
/* In which deed it must not be 0. */
enum ow_deed ow_figure_deed(enum ow_figure figure);

enum { OW_TRIAL_JOBS_MAX = 16, OW_TRIAL_REPEAT_BYTES = 200 };

/* Shared between processes. */
struct ow_trial_shared {
    _Atomic uint64_t figures[OW_FIGURE_COUNT];
    _Atomic uint64_t outcomes[OW_OUTCOME_COUNT]; /* of the stories */
    _Atomic uint64_t next;                       /* seed, or number of a call */
    _Atomic bool over;                           /* no more is begun */
    /* What each process does, as the command that repeats it; for the one that dies. */
    char doing[OW_TRIAL_JOBS_MAX][OW_TRIAL_REPEAT_BYTES];
};

/* What a process works with. */
struct ow_trial {
    struct ow_trial_shared *shared;
    size_t job;
    char folder[64], path[96], lock_path[96];
    char doing[OW_TRIAL_REPEAT_BYTES];
};

void ow_trial_count(struct ow_trial *trial, enum ow_figure figure);
/* Notes what is done from now on, as options of this program. */
void ow_trial_doing(struct ow_trial *trial, const char *format, ...) OW_PRINTF(2, 3);
/* A promise is broken: told on stdout with the command that repeats it. */
void ow_trial_violation(struct ow_trial *trial, const char *format, ...) OW_PRINTF(2, 3);

/* The store's file and its lock are real, what is in it is not: it must be there, and empty. */
void ow_trial_make_folder(struct ow_trial *trial);
void ow_trial_remove_folder(const struct ow_trial *trial);

/* Runs work in so many processes; one that dies counts as a violation and is replaced. */
void ow_trial_jobs(struct ow_trial_shared *shared, size_t jobs,
                   void (*work)(struct ow_trial *trial));
struct ow_trial_shared *ow_trial_share(void);

#endif
