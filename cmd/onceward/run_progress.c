#include "run_progress.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* DESIGN 7: a bar for what takes over 2 s. Without a terminal a line every 10 s is enough for a
 * log. */
static const int64_t show_after_ns = 2000000000;
static const int64_t log_every_ns = 10000000000;

void ow_run_progress_init(struct ow_run_progress *progress)
{
    *progress = (struct ow_run_progress){.terminal = isatty(STDERR_FILENO) == 1};
}

static void smooth_rate(struct ow_run_progress *progress, const struct ow_progress *state)
{
    const int64_t span_ns = state->elapsed_ns - progress->rate_ns;
    if (span_ns <= 0) {
        return;
    }
    const double rate =
        (double)(state->totals.records - progress->rate_records) * 1e9 / (double)span_ns;
    progress->rate = progress->rate_ns == 0 ? rate : 0.8 * progress->rate + 0.2 * rate;
    progress->rate_ns = state->elapsed_ns;
    progress->rate_records = state->totals.records;
}

static const char *mood(const struct ow_progress *state)
{
    if (state->retrying) {
        return "  store is full, retrying";
    }
    if (!state->assigned) {
        return "  waiting for partitions";
    }
    return state->paused ? "  paused" : "";
}

static void draw_bar(char *out, size_t size, const struct ow_progress *state)
{
    enum { WIDTH = 24 };
    char bar[WIDTH + 1];
    const int64_t filled = state->done >= state->goal ? WIDTH : state->done * WIDTH / state->goal;
    for (int i = 0; i < WIDTH; i++) {
        bar[i] = i < filled ? '#' : '.';
    }
    bar[WIDTH] = '\0';
    (void)snprintf(out, size, "[%s] %3d%% ", bar,
                   (int)(state->done >= state->goal ? 100 : 100 * state->done / state->goal));
}

void ow_run_progress_show(const struct ow_progress *state, void *context)
{
    struct ow_run_progress *progress = context;
    smooth_rate(progress, state);
    const int64_t *counts = state->totals.counts;
    if (progress->terminal && state->elapsed_ns >= show_after_ns) {
        char bar[64] = "";
        char line[256];
        if (state->goal > 0) {
            draw_bar(bar, sizeof(bar), state);
        }
        (void)snprintf(line, sizeof(line),
                       "%s%" PRId64 " records, %.0f/s  applied %" PRId64 "  duplicate %" PRId64
                       "  parked %" PRId64 "  quarantined %" PRId64 "%s",
                       bar, state->totals.records, progress->rate, counts[OW_OUTCOME_APPLIED],
                       counts[OW_OUTCOME_DUPLICATE], counts[OW_OUTCOME_PARKED],
                       counts[OW_OUTCOME_QUARANTINED], mood(state));
        ow_log_set_status_line(line);
        progress->shown = true;
    } else if (!progress->terminal && state->elapsed_ns - progress->log_ns >= log_every_ns &&
               state->totals.records != progress->records_before) {
        progress->log_ns = state->elapsed_ns;
        progress->records_before = state->totals.records;
        ow_log(OW_LOG_INFO, "progress",
               "records=%" PRId64 " records_per_second=%.0f done=%" PRId64 " goal=%" PRId64
               " applied=%" PRId64 " duplicate=%" PRId64 " parked=%" PRId64 " quarantined=%" PRId64
               " same_offset=%" PRId64 " same_id=%" PRId64 " other_channel=%" PRId64
               " replay=%" PRId64,
               state->totals.records, progress->rate, state->done, state->goal,
               counts[OW_OUTCOME_APPLIED], counts[OW_OUTCOME_DUPLICATE], counts[OW_OUTCOME_PARKED],
               counts[OW_OUTCOME_QUARANTINED], state->totals.same_offset,
               counts[OW_OUTCOME_DUPLICATE] - state->totals.other_channel,
               state->totals.other_channel, state->totals.reread);
    }
}

void ow_run_progress_done(struct ow_run_progress *progress)
{
    if (progress->shown) {
        ow_log_set_status_line(NULL);
    }
}
