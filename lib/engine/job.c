#include "engine/job.h"

#include "base/contract.h"

#include <time.h>

static void lock(struct ow_jobs *jobs)
{
    (void)pthread_mutex_lock(&jobs->lock);
}

static void unlock(struct ow_jobs *jobs)
{
    (void)pthread_mutex_unlock(&jobs->lock);
}

void ow_jobs_init(struct ow_jobs *jobs, void (*wake)(void *context), void *wake_context)
{
    *jobs = (struct ow_jobs){.wake = wake, .wake_context = wake_context};
    jobs->last = &jobs->first;
    (void)pthread_mutex_init(&jobs->lock, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&jobs->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

void ow_jobs_done(struct ow_jobs *jobs)
{
    lock(jobs);
    OW_REQUIRE(jobs->first == NULL);
    while (jobs->owed > 0) {
        (void)pthread_cond_wait(&jobs->changed, &jobs->lock);
    }
    unlock(jobs);
    (void)pthread_cond_destroy(&jobs->changed);
    (void)pthread_mutex_destroy(&jobs->lock);
}

/* With the lock. */
static void append(struct ow_jobs *jobs, struct ow_job *job)
{
    job->state = OW_JOB_WAITING;
    job->next = NULL;
    *jobs->last = job;
    jobs->last = &job->next;
    jobs->count++;
    atomic_store(&jobs->waiting, true);
}

/* With the lock: the next one, taken out. */
static struct ow_job *take(struct ow_jobs *jobs)
{
    struct ow_job *job = jobs->first;
    if (job != NULL) {
        jobs->first = job->next;
        jobs->last = jobs->first == NULL ? &jobs->first : jobs->last;
        jobs->count--;
        job->state = OW_JOB_IN_WORK;
    }
    return job;
}

enum ow_status ow_jobs_submit(struct ow_jobs *jobs, struct ow_job *job, struct ow_err *err)
{
    OW_REQUIRE(job->state == OW_JOB_IDLE);
    enum ow_status status = OW_OK;
    lock(jobs);
    if (jobs->closed) {
        status = ow_fail(err, OW_TEMPORARY, "the worker stops");
    } else if (jobs->count >= OW_JOB_QUEUE_MAX) {
        status = ow_fail(err, OW_TEMPORARY, "the worker has enough to do: try again later");
    } else {
        job->cancelled = false;
        append(jobs, job);
        jobs->owed++;
    }
    unlock(jobs);
    if (status == OW_OK && jobs->wake != NULL) {
        jobs->wake(jobs->wake_context);
    }
    return status;
}

static struct timespec time_in(int timeout_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    const int64_t ns = until.tv_nsec + (int64_t)timeout_ms * 1000000;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    return until;
}

bool ow_jobs_wait(struct ow_jobs *jobs, struct ow_job *job, int timeout_ms)
{
    const struct timespec until = time_in(timeout_ms);
    int failed = 0;
    lock(jobs);
    while (job->state != OW_JOB_ENDED && failed == 0) {
        failed = pthread_cond_timedwait(&jobs->changed, &jobs->lock, &until);
    }
    const bool ended = job->state == OW_JOB_ENDED;
    if (ended) {
        job->state = OW_JOB_IDLE;
        jobs->owed--;
        (void)pthread_cond_broadcast(&jobs->changed);
    }
    unlock(jobs);
    return ended;
}

void ow_jobs_cancel(struct ow_jobs *jobs, struct ow_job *job)
{
    lock(jobs);
    job->cancelled = true;
    unlock(jobs);
}

void ow_jobs_close(struct ow_jobs *jobs)
{
    lock(jobs);
    jobs->closed = true;
    unlock(jobs);
}

bool ow_jobs_closed(struct ow_jobs *jobs)
{
    lock(jobs);
    const bool closed = jobs->closed;
    unlock(jobs);
    return closed;
}

/* After its last slice. From here on its memory is the asking side's again. */
static void end_job(struct ow_jobs *jobs, struct ow_job *job, enum ow_status status,
                    const struct ow_err *err)
{
    job->end(job->context);
    lock(jobs);
    job->status = status;
    if (status != OW_OK) {
        job->err = *err;
    }
    job->state = OW_JOB_ENDED;
    atomic_store(&jobs->waiting, jobs->first != NULL);
    (void)pthread_cond_broadcast(&jobs->changed);
    unlock(jobs);
}

bool ow_jobs_step(struct ow_jobs *jobs, struct ow_apply *apply)
{
    if (!ow_jobs_any(jobs)) {
        return false;
    }
    lock(jobs);
    struct ow_job *job = take(jobs);
    const bool given_up = job != NULL && (job->cancelled || jobs->closed);
    unlock(jobs);
    if (job == NULL) {
        return false;
    }
    struct ow_err err = {.text = ""};
    bool more = false;
    ow_pulse_beat(apply == NULL ? NULL : apply->options.pulse, job->doing);
    const enum ow_status status = given_up ? ow_fail(&err, OW_TEMPORARY, "given up before its end")
                                           : job->step(job->context, apply, &more, &err);
    if (status == OW_OK && more) {
        lock(jobs);
        append(jobs, job);
        unlock(jobs);
        return true;
    }
    end_job(jobs, job, status, &err);
    return ow_jobs_any(jobs);
}

void ow_jobs_end(struct ow_jobs *jobs, struct ow_apply *apply)
{
    ow_jobs_close(jobs);
    while (ow_jobs_step(jobs, apply)) {
    }
}
