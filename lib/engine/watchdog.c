#include "engine/watchdog.h"

#include "base/contract.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { POLL, APPLY, DECODE };

struct ow_watchdog {
    struct ow_watchdog_options options;
    struct ow_pulses pulses;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool closing;
    pthread_t thread;
    bool runs;
};

void ow_pulses_init(struct ow_pulses *pulses)
{
    static const char *const names[] = {[POLL] = "poll", [APPLY] = "apply", [DECODE] = "decode"};
    for (size_t i = 0; i < OW_WATCHDOG_PULSES; i++) {
        struct ow_pulse *pulse = &pulses->list[i];
        pulse->thread = names[i < DECODE ? i : DECODE];
        atomic_init(&pulse->doing, NULL);
        atomic_init(&pulse->of_record, false);
        atomic_init(&pulse->beats, 0);
        pulse->seen = 0;
        pulse->still = 0;
    }
}

const struct ow_pulse *ow_pulses_look(struct ow_pulses *pulses, int64_t looks_max)
{
    const struct ow_pulse *stuck = NULL;
    for (size_t i = 0; i < OW_WATCHDOG_PULSES; i++) {
        struct ow_pulse *pulse = &pulses->list[i];
        const uint_fast64_t beats = atomic_load(&pulse->beats);
        const bool is_still = atomic_load(&pulse->doing) != NULL && beats == pulse->seen;
        pulse->still = is_still ? pulse->still + 1 : 0;
        pulse->seen = beats;
        if (stuck == NULL && pulse->still >= looks_max) {
            stuck = pulse;
        }
    }
    return stuck;
}

static void beat(struct ow_pulse *pulse, const char *doing, bool of_record)
{
    if (pulse != NULL) {
        atomic_store(&pulse->of_record, of_record);
        atomic_store(&pulse->doing, doing);
        (void)atomic_fetch_add(&pulse->beats, 1);
    }
}

void ow_pulse_beat(struct ow_pulse *pulse, const char *doing)
{
    beat(pulse, doing, false);
}

void ow_pulse_beat_record(struct ow_pulse *pulse, const char *doing)
{
    beat(pulse, doing, true);
}

void ow_pulse_rest(struct ow_pulse *pulse)
{
    ow_pulse_beat(pulse, NULL);
}

/* With the lock. Time that the process did not run makes one look late, and no more. */
static void wait_look(struct ow_watchdog *watchdog)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += OW_WATCHDOG_LOOK_MS / 1000;
    int failed = 0;
    while (!watchdog->closing && failed == 0) {
        failed = pthread_cond_timedwait(&watchdog->changed, &watchdog->lock, &until);
    }
}

static void *run(void *context)
{
    struct ow_watchdog *watchdog = context;
    const int64_t looks_max = watchdog->options.seconds * 1000 / OW_WATCHDOG_LOOK_MS;
    (void)pthread_mutex_lock(&watchdog->lock);
    while (!watchdog->closing) {
        wait_look(watchdog);
        const struct ow_pulse *stuck = ow_pulses_look(&watchdog->pulses, looks_max);
        if (stuck != NULL && !watchdog->closing) {
            watchdog->options.stuck(stuck, stuck->still * OW_WATCHDOG_LOOK_MS / 1000,
                                    watchdog->options.context);
        }
    }
    (void)pthread_mutex_unlock(&watchdog->lock);
    return NULL;
}

enum ow_status ow_watchdog_open(const struct ow_watchdog_options *options,
                                struct ow_watchdog **ret_watchdog, struct ow_err *err)
{
    OW_REQUIRE(options->seconds > 0);
    struct ow_watchdog *watchdog = calloc(1, sizeof(*watchdog));
    OW_INVARIANT(watchdog != NULL); /* out of memory aborts, as in arena.h */
    watchdog->options = *options;
    ow_pulses_init(&watchdog->pulses);
    (void)pthread_mutex_init(&watchdog->lock, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&watchdog->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    const int failed = pthread_create(&watchdog->thread, NULL, run, watchdog);
    watchdog->runs = failed == 0;
    if (failed != 0) {
        ow_watchdog_close(watchdog);
        return ow_fail(err, OW_FAILED, "cannot start the watchdog's thread: error %d", failed);
    }
    *ret_watchdog = watchdog;
    return OW_OK;
}

void ow_watchdog_close(struct ow_watchdog *watchdog)
{
    if (watchdog == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&watchdog->lock);
    watchdog->closing = true;
    (void)pthread_cond_broadcast(&watchdog->changed);
    (void)pthread_mutex_unlock(&watchdog->lock);
    if (watchdog->runs) {
        (void)pthread_join(watchdog->thread, NULL);
    }
    (void)pthread_cond_destroy(&watchdog->changed);
    (void)pthread_mutex_destroy(&watchdog->lock);
    free(watchdog);
}

struct ow_pulse *ow_watchdog_poll(struct ow_watchdog *watchdog)
{
    return watchdog == NULL ? NULL : &watchdog->pulses.list[POLL];
}

struct ow_pulse *ow_watchdog_apply(struct ow_watchdog *watchdog)
{
    return watchdog == NULL ? NULL : &watchdog->pulses.list[APPLY];
}

struct ow_pulse *ow_watchdog_decode(struct ow_watchdog *watchdog, size_t index)
{
    OW_REQUIRE(index < OW_WATCHDOG_DECODE_MAX);
    return watchdog == NULL ? NULL : &watchdog->pulses.list[DECODE + index];
}
