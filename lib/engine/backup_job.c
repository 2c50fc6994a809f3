#include "engine/backup_job.h"

enum { LOOK_MS = 250 };

static enum ow_status step(void *context, struct ow_apply *apply, bool *ret_more,
                           struct ow_err *err)
{
    struct ow_backup_job *job = context;
    if (job->backup == NULL) {
        *ret_more = true;
        return ow_backup_begin(apply->options.store, job->to, &job->clock, &job->backup, err);
    }
    OW_TRY(ow_backup_copy(job->backup, (int64_t)OW_JOB_SLICE_MS * 1000000, ret_more, err));
    const struct ow_backup_figures figures = ow_backup_look(job->backup);
    atomic_store(&job->pages, figures.pages);
    atomic_store(&job->pages_done, figures.pages_done);
    return OW_OK;
}

static void end(void *context)
{
    struct ow_backup_job *job = context;
    if (job->backup != NULL) {
        ow_backup_let_go(job->backup);
    }
}

/* Nobody wants it any more, or the worker waits for its end. */
static bool is_over(void *context)
{
    struct ow_backup_job *job = context;
    return (job->given_up != NULL && job->given_up(job->context)) || ow_jobs_closed(job->jobs);
}

static enum ow_status copy(struct ow_backup_job *job, struct ow_err *err)
{
    OW_TRY(ow_jobs_submit(job->jobs, &job->job, err));
    while (!ow_jobs_wait(job->jobs, &job->job, LOOK_MS)) {
        if (is_over(job)) {
            ow_jobs_cancel(job->jobs, &job->job);
        }
    }
    if (job->job.status != OW_OK) {
        *err = job->job.err;
    }
    return job->job.status;
}

enum ow_status ow_backup_job_run(struct ow_backup_job *job, struct ow_jobs *jobs,
                                 struct ow_err *err)
{
    job->jobs = jobs;
    job->job = (struct ow_job){
        .doing = "copying pages for a backup", .step = step, .end = end, .context = job};
    enum ow_status status = copy(job, err);
    if (status == OW_OK) {
        atomic_store(&job->phase, OW_BACKUP_CHECKING);
        ow_backup_until(job->backup, is_over, job);
        status = ow_backup_finish(job->backup, err);
    }
    if (status == OW_OK) {
        job->figures = ow_backup_look(job->backup);
    }
    ow_backup_free(job->backup);
    job->backup = NULL;
    return status;
}
