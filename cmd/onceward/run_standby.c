#include "run_standby.h"

#include "store/check.h"

#include <string.h>
#include <time.h>

enum { TRY_MS = 50, SAY_MS = 60000 };

/* What is temporary says nothing of the store: while its owner ends, the last checkpoint locks
 * everybody out, for minutes where the disk is slow. */
static void keep_refusal(void *context, enum ow_check_level level, enum ow_status status,
                         const char *subject, const char *text)
{
    struct ow_run_standby *const standby = context;
    if (level != OW_CHECK_FAILED) {
        return;
    }
    if (ow_status_exit_code(status) == ow_status_exit_code(OW_TEMPORARY)) {
        (void)ow_fail(&standby->unanswered, status, "%s: %s", subject, text);
    } else if (standby->status == OW_OK) {
        standby->status = ow_fail(&standby->err, status, "%s: %s", subject, text);
    }
}

/* What would make the start fail is to be known now, and not when it is needed. False: it would. */
static bool look(struct ow_run_standby *standby)
{
    const struct ow_check check = {.line = keep_refusal, .context = standby};
    standby->unanswered.text[0] = '\0';
    ow_store_check(standby->config->store_path, standby->config->hash_key_file,
                   &standby->config->machines, &check);
    if (standby->status == OW_OK) {
        standby->status = ow_kafka_source_check(standby->source, &standby->err);
    }
    standby->is_checked = standby->status == OW_OK && standby->unanswered.text[0] == '\0';
    return standby->status == OW_OK;
}

/* The owner at once, also a new one; then a line a minute. */
static void say(struct ow_run_standby *standby, const struct ow_err *why)
{
    const int64_t now_ns = ow_clock_elapsed_ns(&standby->clock);
    if (standby->waits && strcmp(why->text, standby->owner.text) == 0 &&
        now_ns - standby->said_ns < (int64_t)SAY_MS * 1000000) {
        return;
    }
    standby->said_ns = now_ns;
    standby->owner = *why;
    ow_log(OW_LOG_INFO, "standby", "waited_s=%lld reason=\"%s\"",
           (long long)(ow_run_standby_waited_ms(standby) / 1000), why->text);
    if (!standby->is_checked) {
        ow_log(OW_LOG_WARN, "standby_unchecked", "error=\"%s\" consequence=\"asked again\"",
               standby->unanswered.text);
    }
}

bool ow_run_standby_wait(const struct ow_err *why, void *context)
{
    struct ow_run_standby *const standby = context;
    if (!standby->waits) {
        standby->since_ns = ow_clock_elapsed_ns(&standby->clock);
    }
    if (!standby->is_checked && !look(standby)) {
        return false;
    }
    say(standby, why);
    standby->waits = true;
    if (!atomic_load(standby->stop)) {
        const struct timespec step = {.tv_nsec = (long)TRY_MS * 1000000};
        (void)nanosleep(&step, NULL); /* a signal ends it */
    }
    return !atomic_load(standby->stop);
}

int64_t ow_run_standby_waited_ms(const struct ow_run_standby *standby)
{
    return standby->waits ? (ow_clock_elapsed_ns(&standby->clock) - standby->since_ns) / 1000000
                          : 0;
}
