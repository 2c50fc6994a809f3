/*
 * watchdog: notices a thread that has come to a stop, so that the process can be ended and started
 * anew instead of owning the store and doing nothing.
 *
 * Each thread beats its pulse at every turn of its loop and before every step that may take long,
 * and says what it begins. The watchdog looks once a second and counts the looks in which a pulse
 * has not beaten. It counts looks and not time: while the whole process was frozen (SIGSTOP, a
 * debugger, a suspended machine) nobody looked, and on a machine that is too busy to let the
 * watchdog run it is as patient as that takes.
 *
 * Threads: beats from the thread that the pulse is of; _open and _close from one thread; stuck is
 * called by the watchdog's own. Memory: fixed. Failure: FAILED, no thread could be started.
 */
#ifndef OW_ENGINE_WATCHDOG_H
#define OW_ENGINE_WATCHDOG_H

#include "base/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    OW_WATCHDOG_LOOK_MS = 1000,
    OW_WATCHDOG_DECODE_MAX = 16,
    OW_WATCHDOG_PULSES = 2 + OW_WATCHDOG_DECODE_MAX
};

struct ow_pulse {
    const char *thread;          /* its name */
    _Atomic(const char *) doing; /* NULL: it rests, and nobody waits for it */
    atomic_bool of_record;       /* what it does is for a record to answer for */
    atomic_uint_fast64_t beats;
    /* the watchdog's */
    uint_fast64_t seen;
    int64_t still; /* looks in a row without a beat */
};

struct ow_pulses {
    struct ow_pulse list[OW_WATCHDOG_PULSES];
};

/* The pure part. */
void ow_pulses_init(struct ow_pulses *pulses);
/* One look: the first pulse that was still in so many looks in a row; NULL: none. */
const struct ow_pulse *ow_pulses_look(struct ow_pulses *pulses, int64_t looks_max);

/* doing: what begins now, a text that stays. Takes a NULL pulse. */
void ow_pulse_beat(struct ow_pulse *pulse, const char *doing);
/* Likewise, where nothing but the record that is handled can be why it takes long. */
void ow_pulse_beat_record(struct ow_pulse *pulse, const char *doing);
/* The thread ends, or waits for something that is not its own. Takes NULL. */
void ow_pulse_rest(struct ow_pulse *pulse);

struct ow_watchdog;

struct ow_watchdog_options {
    int64_t seconds; /* of standing still */
    /* Ends the process: the thread cannot be helped. Called again a second later where it does not.
     */
    void (*stuck)(const struct ow_pulse *pulse, int64_t seconds, void *context);
    void *context;
};

enum ow_status ow_watchdog_open(const struct ow_watchdog_options *options,
                                struct ow_watchdog **ret_watchdog, struct ow_err *err) OW_MUST_USE;
/* Takes NULL. */
void ow_watchdog_close(struct ow_watchdog *watchdog);

/* The pulses of a watchdog; NULL where there is none. */
struct ow_pulse *ow_watchdog_poll(struct ow_watchdog *watchdog);
struct ow_pulse *ow_watchdog_apply(struct ow_watchdog *watchdog);
struct ow_pulse *ow_watchdog_decode(struct ow_watchdog *watchdog, size_t index);

#endif
