#include "jobs.h"

#include "base/contract.h"
#include "base/log.h"
#include "entropy.h"
#include "incarnation.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the processes share. */
struct job {
    uint64_t current; /* the seed in work; 0: none */
    struct ow_jobs_total total;
};

struct shared {
    _Atomic uint64_t next;
    _Atomic bool found; /* a failure */
    struct job jobs[OW_JOBS_MAX];
};

static void *share(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    OW_INVARIANT(memory != MAP_FAILED);
    return memory;
}

void ow_jobs_set_up(void)
{
    /* A worker's megabytes are reused from one incarnation to the next, not mapped anew. */
    (void)mallopt(M_MMAP_THRESHOLD, 512 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
    (void)mallopt(M_TOP_PAD, 64 << 20);
    (void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    ow_entropy_register();
    ow_vfs_register();
    ow_handles_watch();
}

static void note_failure(struct ow_jobs_total *total, uint64_t seed, const struct ow_result *result)
{
    if (total->failure_count < OW_JOBS_FAILURES_MAX) {
        total->failures[total->failure_count++] =
            (struct ow_failure){.seed = seed, .result = *result};
    }
}

static void add_result(struct ow_jobs_total *total, const struct ow_result *result)
{
    total->seeds++;
    total->steps += result->steps;
    total->records += result->records;
    total->batches += result->batches;
    total->crashes += result->crashes;
    total->restarts += result->restarts;
}

/* The same seed must be the same run. */
static void run_again(const struct ow_plan *plan, struct ow_result *result)
{
    static struct ow_result again;
    ow_run_seed(plan, false, &again);
    if (again.trace != result->trace) {
        result->failed = true;
        (void)snprintf(result->what, sizeof(result->what), "deterministic");
        (void)snprintf(result->text, sizeof(result->text),
                       "another run of the seed went otherwise");
    }
}

static void work(struct shared *shared, struct job *job, const struct ow_jobs_options *options)
{
    static struct ow_plan plan;
    static struct ow_result result;
    const uint64_t end = options->from + options->seeds;
    for (;;) {
        const uint64_t seed = shared->next++;
        if (seed >= end || (options->first && shared->found)) {
            break;
        }
        if (options->days && !ow_plan_is_of_days(seed)) {
            continue;
        }
        job->current = seed;
        ow_plan_make(&plan, seed, options->actions);
        ow_run_seed(&plan, false, &result);
        add_result(&job->total, &result);
        memcpy(job->total.sometimes, ow_sometimes(), sizeof(job->total.sometimes));
        if (!result.failed && options->twice_every > 0 &&
            seed % (uint64_t)options->twice_every == 0) {
            run_again(&plan, &result);
        }
        if (result.failed) {
            note_failure(&job->total, seed, &result);
            shared->found = true;
        }
        job->current = 0;
    }
}

static pid_t start(struct shared *shared, size_t at, const struct ow_jobs_options *options)
{
    struct job *job = &shared->jobs[at];
    (void)fflush(NULL);
    const pid_t pid = fork();
    OW_INVARIANT(pid >= 0);
    if (pid == 0) {
        memcpy(ow_sometimes(), job->total.sometimes, sizeof(job->total.sometimes));
        work(shared, job, options);
        _exit(0);
    }
    return pid;
}

/* An abort: our own contract, or the worker's. */
static void note_abort(struct job *job, int status)
{
    static struct ow_result result;
    result = (struct ow_result){.failed = true, .action = -1};
    (void)snprintf(result.what, sizeof(result.what), "aborted");
    (void)snprintf(result.text, sizeof(result.text), "the process ended by signal %d",
                   WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    note_failure(&job->total, job->current, &result);
    add_result(&job->total, &result);
    job->current = 0;
}

static void add_up(const struct shared *shared, int jobs, struct ow_jobs_total *total)
{
    memset(total, 0, sizeof(*total)); /* a compound literal of that size needs a frame of its own */
    for (int i = 0; i < jobs; i++) {
        const struct ow_jobs_total *one = &shared->jobs[i].total;
        total->seeds += one->seeds;
        total->steps += one->steps;
        total->records += one->records;
        total->batches += one->batches;
        total->crashes += one->crashes;
        total->restarts += one->restarts;
        for (int which = 0; which < OW_SOMETIMES_COUNT; which++) {
            total->sometimes[which] += one->sometimes[which];
        }
        for (int failure = 0; failure < one->failure_count; failure++) {
            note_failure(total, one->failures[failure].seed, &one->failures[failure].result);
        }
    }
}

static void show_progress(const struct shared *shared, const struct ow_jobs_options *options)
{
    static struct ow_jobs_total total;
    add_up(shared, options->jobs, &total);
    (void)fprintf(stderr, "%s%llu of %llu seeds, %lld crashes, %d failures%s",
                  options->terminal ? "\r" : "", (unsigned long long)total.seeds,
                  (unsigned long long)options->seeds, (long long)total.crashes, total.failure_count,
                  options->terminal ? " " : "\n");
}

void ow_jobs_run(const struct ow_jobs_options *options, struct ow_jobs_total *ret_total)
{
    struct shared *shared = share(sizeof(*shared));
    pid_t pids[OW_JOBS_MAX] = {0};
    int running = 0;
    int ticks = 0; /* of 0.2 s */
    shared->next = options->from;
    for (int i = 0; i < options->jobs; i++, running++) {
        pids[i] = start(shared, (size_t)i, options);
    }
    while (running > 0) {
        int status = 0;
        const pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == 0) {
            (void)usleep(200000);
            if (++ticks % (options->terminal ? 1 : 300) == 0) {
                show_progress(shared, options);
            }
            continue;
        }
        OW_INVARIANT(pid > 0);
        ow_run_clean_up(pid);
        for (int i = 0; i < options->jobs; i++) {
            if (pids[i] != pid) {
                continue;
            }
            if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                running--;
            } else {
                note_abort(&shared->jobs[i], status);
                shared->found = true;
                pids[i] = start(shared, (size_t)i, options);
            }
        }
    }
    if (options->terminal) {
        show_progress(shared, options);
        (void)fputc('\n', stderr);
    }
    add_up(shared, options->jobs, ret_total);
    (void)munmap(shared, sizeof(*shared));
}

void ow_jobs_run_one(const struct ow_plan *plan, bool quiet, struct ow_result *ret_result)
{
    struct ow_result *result = share(sizeof(*result));
    (void)fflush(NULL);
    const pid_t pid = fork();
    OW_INVARIANT(pid >= 0);
    if (pid == 0) {
        const int nowhere = quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
        if (nowhere >= 0) {
            (void)dup2(nowhere, STDERR_FILENO);
        }
        ow_run_seed(plan, !quiet, result);
        _exit(0);
    }
    int status = 0;
    const pid_t ended = waitpid(pid, &status, 0);
    OW_INVARIANT(ended == pid);
    ow_run_clean_up(pid);
    *ret_result = *result;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        ret_result->failed = true;
        (void)snprintf(ret_result->what, sizeof(ret_result->what), "aborted");
        (void)snprintf(ret_result->text, sizeof(ret_result->text), "the process ended by signal %d",
                       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    }
    (void)munmap(result, sizeof(*result));
}
