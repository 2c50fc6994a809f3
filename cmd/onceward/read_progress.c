#include "read_progress.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* DESIGN 7: for what takes over 2 s. Without a terminal a line every 10 s is enough for a log. */
static const int64_t show_after_ns = 2000000000;
static const int64_t redraw_ns = 200000000;
static const int64_t log_every_ns = 10000000000;

void ow_read_progress_init(struct ow_read_progress *progress)
{
    const struct ow_clock clock = ow_clock_system();
    const int64_t now_ns = ow_clock_elapsed_ns(&clock);
    *progress = (struct ow_read_progress){.clock = clock,
                                          .terminal = isatty(STDERR_FILENO) == 1,
                                          .began_ns = now_ns,
                                          .said_ns = now_ns};
}

void ow_read_progress_show(void *context, const char *what, int64_t done, int64_t goal)
{
    struct ow_read_progress *const progress = context;
    const int64_t now_ns = ow_clock_elapsed_ns(&progress->clock);
    const int64_t percent = goal <= 0 || done >= goal ? 100 : 100 * done / goal;
    if (progress->terminal && now_ns - progress->began_ns >= show_after_ns &&
        now_ns - progress->said_ns >= redraw_ns) {
        char line[160];
        if (goal > 0) {
            (void)snprintf(line, sizeof(line), "%s: %3" PRId64 "%%", what, percent);
        } else {
            (void)snprintf(line, sizeof(line), "%s: %" PRId64, what, done);
        }
        ow_log_set_status_line(line);
        progress->shown = true;
        progress->said_ns = now_ns;
    } else if (!progress->terminal && now_ns - progress->said_ns >= log_every_ns) {
        ow_log(OW_LOG_INFO, "progress",
               "what=\"%s\" percent=%" PRId64 " done=%" PRId64 " goal=%" PRId64, what,
               goal > 0 ? percent : 0, done, goal);
        progress->said_ns = now_ns;
    }
}

void ow_read_progress_done(struct ow_read_progress *progress)
{
    if (progress->shown) {
        ow_log_set_status_line(NULL);
    }
}
