#include "run_watchdog.h"

#include "base/log.h"

#include <signal.h>
#include <unistd.h>

enum { SAY_S = 5 };

/*
 * Nothing can be undone or finished here: the thread may be in the middle of a COMMIT. The next
 * start finds out what became of it, as after a kill.
 */
static void end_stuck(const struct ow_pulse *pulse, int64_t seconds, void *context)
{
    struct ow_inflight *const inflight = context;
    if (!atomic_load(&pulse->of_record)) {
        /* A disk, a broker, a reader of stderr that hangs: operating failures never skip a record.
         * All others wait for that thread, so nothing new is noted any more. */
        ow_suspects_rest(inflight->suspects);
    }
    (void)signal(SIGALRM, SIG_DFL);
    (void)alarm(SAY_S); /* who reads stderr may be what stands still: then SIGALRM is the end */
    const char *doing = atomic_load(&pulse->doing);
    ow_log(OW_LOG_ERROR, "stuck",
           "thread=%s doing=\"%s\" seconds=%lld consequence=\"the process ends, and the next start "
           "goes on where the store is\"",
           pulse->thread, doing == NULL ? "nothing" : doing, (long long)seconds);
    _exit(ow_status_exit_code(OW_TEMPORARY));
}

enum ow_status ow_run_watchdog_open(int64_t limit_ms, struct ow_inflight *inflight,
                                    struct ow_watchdog **ret_watchdog, struct ow_err *err)
{
    const struct ow_watchdog_options options = {
        .seconds = limit_ms / 1000, .stuck = end_stuck, .context = inflight};
    return options.seconds == 0 ? OW_OK : ow_watchdog_open(&options, ret_watchdog, err);
}
