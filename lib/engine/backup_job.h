/*
 * backup_job: a backup of a running worker's store (store/backup.h): the pages are copied by a job
 * of the apply thread, the rest is done by the thread that asks, which needs no store for it.
 *
 * Threads: the asking one; _look is anyone's. Memory: the caller's, for the whole call. Failure: as
 * store/backup.h; TEMPORARY where the worker stops.
 */
#ifndef OW_ENGINE_BACKUP_JOB_H
#define OW_ENGINE_BACKUP_JOB_H

#include "engine/job.h"
#include "store/backup.h"

enum ow_backup_phase { OW_BACKUP_COPYING, OW_BACKUP_CHECKING };

struct ow_backup_job {
    const char *to; /* an absolute path */
    struct ow_clock clock;
    /* Asked several times a second, and more often while the copy is checked; true: nobody wants it
     * any more. NULL: it is wanted. */
    bool (*given_up)(void *context);
    void *context;

    struct ow_backup_figures figures; /* the result */
    struct ow_backup *backup;         /* the apply thread's while it copies */
    struct ow_job job;
    struct ow_jobs *jobs;
    _Atomic int64_t pages_done, pages;
    _Atomic int phase; /* enum ow_backup_phase */
};

/* Waits until the backup is made. */
enum ow_status ow_backup_job_run(struct ow_backup_job *job, struct ow_jobs *jobs,
                                 struct ow_err *err) OW_MUST_USE;

#endif
