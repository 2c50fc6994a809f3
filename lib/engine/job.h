/*
 * job: work that any thread asks for and the apply thread does between batches, a slice at a time:
 * whoever needs the store goes through here, for it has one owner.
 *
 * A job's memory is the asking side's, and is the queue's from _submit until _wait has returned
 * true. Several jobs take turns. Threads: _submit, _wait, _cancel, _close and _closed are anyone's;
 * _step and _end are the owner's, who is the apply thread, or whoever stands in for it in tests.
 * Failure: a job's status is its own and stops nobody else.
 */
#ifndef OW_ENGINE_JOB_H
#define OW_ENGINE_JOB_H

#include "engine/apply.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    OW_JOB_QUEUE_MAX = 8,
    /* What a slice aims at: a batch that has arrived meanwhile waits that long. */
    OW_JOB_SLICE_MS = 20
};

enum ow_job_state { OW_JOB_IDLE, OW_JOB_WAITING, OW_JOB_IN_WORK, OW_JOB_ENDED };

struct ow_job {
    const char *doing; /* for the watchdog, should a slice hang: a text that stays */
    /* A slice on the owner's thread, not within a transaction; *ret_more: there are more. */
    enum ow_status (*step)(void *context, struct ow_apply *apply, bool *ret_more,
                           struct ow_err *err);
    /* Once, on the owner's thread, after the last slice, whatever became of it. */
    void (*end)(void *context);
    void *context;

    /* The queue's, under its lock; status and err are for whoever waited. */
    enum ow_job_state state;
    bool cancelled;
    enum ow_status status;
    struct ow_err err;
    struct ow_job *next;
};

struct ow_jobs {
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct ow_job *first, **last;
    size_t count; /* waiting */
    size_t owed;  /* submitted, and not known to have ended to whoever waits */
    bool closed;
    atomic_bool waiting; /* whether there is one, without the lock */
    void (*wake)(void *context);
    void *wake_context;
};

/* wake: tells the owner that there is one now; NULL: it looks by itself. */
void ow_jobs_init(struct ow_jobs *jobs, void (*wake)(void *context), void *wake_context);
/* Waits until every job that was submitted is waited for: they have ended already. */
void ow_jobs_done(struct ow_jobs *jobs);

/* TEMPORARY: closed, or there are OW_JOB_QUEUE_MAX already. */
enum ow_status ow_jobs_submit(struct ow_jobs *jobs, struct ow_job *job, struct ow_err *err)
    OW_MUST_USE;
/* Waits at most so long. True: it has ended, job->status says how. */
bool ow_jobs_wait(struct ow_jobs *jobs, struct ow_job *job, int timeout_ms);
/* Asks for its end, before the next slice: TEMPORARY. It must still be waited for. */
void ow_jobs_cancel(struct ow_jobs *jobs, struct ow_job *job);
/* No job is taken any more, and those that are there are cancelled. */
void ow_jobs_close(struct ow_jobs *jobs);
bool ow_jobs_closed(struct ow_jobs *jobs);

static inline bool ow_jobs_any(struct ow_jobs *jobs)
{
    return atomic_load(&jobs->waiting);
}
/* One slice of the next job. True: there are more. */
bool ow_jobs_step(struct ow_jobs *jobs, struct ow_apply *apply);
/* The owner goes: closes, and ends all. */
void ow_jobs_end(struct ow_jobs *jobs, struct ow_apply *apply);

#endif
