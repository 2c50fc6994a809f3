#include "kafka/within.h"

#include "base/contract.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

struct job {
    void (*work)(void *context);
    void *context;
};

static void *run(void *argument)
{
    struct job *job = argument;
    job->work(job->context);
    free(job);
    return NULL;
}

/* Signals are for the caller's threads: a handler must not run here. */
static int start(pthread_t *ret_thread, struct job *job)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(ret_thread, NULL, run, job);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

bool ow_kafka_within(int deadline_ms, void (*work)(void *context), void *context)
{
    OW_REQUIRE(work != NULL);
    struct job *job = malloc(sizeof(*job));
    if (job == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    *job = (struct job){.work = work, .context = context};
    pthread_t thread;
    if (start(&thread, job) != 0) {
        free(job);
        return false;
    }
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    const int64_t ns = until.tv_nsec + (int64_t)(deadline_ms < 0 ? 0 : deadline_ms) * 1000000;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    if (pthread_timedjoin_np(thread, NULL, &until) == 0) {
        return true;
    }
    (void)pthread_detach(thread);
    return false;
}
