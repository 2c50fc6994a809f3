#include "verify_progress.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* DESIGN 7: a bar for what takes over 2 s. Without a terminal a line every 10 s is enough for a
 * log. */
static const int64_t show_after_ns = 2000000000;
static const int64_t log_every_ns = 10000000000;

void ow_verify_bar_init(struct ow_verify_bar *bar)
{
    *bar = (struct ow_verify_bar){.terminal = isatty(STDERR_FILENO) == 1};
}

static void draw(char *out, size_t size, const struct ow_verify_progress *progress)
{
    enum { WIDTH = 24 };
    char bar[WIDTH + 1];
    for (int i = 0; i < WIDTH; i++) {
        bar[i] = i < progress->step * WIDTH / progress->steps ? '#' : '.';
    }
    bar[WIDTH] = '\0';
    (void)snprintf(out, size, "[%s] %d of %d: %s, %" PRId64 " rows, %.0f/s", bar, progress->step,
                   progress->steps, progress->phase, progress->rows,
                   (double)progress->rows * 1e9 / (double)progress->elapsed_ns);
}

void ow_verify_bar_show(const struct ow_verify_progress *progress, void *context)
{
    struct ow_verify_bar *bar = context;
    if (bar->terminal && progress->elapsed_ns >= show_after_ns) {
        char line[160];
        draw(line, sizeof(line), progress);
        ow_log_set_status_line(line);
        bar->shown = true;
    } else if (!bar->terminal && progress->elapsed_ns - bar->log_ns >= log_every_ns) {
        bar->log_ns = progress->elapsed_ns;
        ow_log(OW_LOG_INFO, "progress", "step=%d steps=%d phase=\"%s\" rows=%" PRId64,
               progress->step, progress->steps, progress->phase, progress->rows);
    }
}

void ow_verify_bar_done(struct ow_verify_bar *bar)
{
    if (bar->shown) {
        ow_log_set_status_line(NULL);
    }
}
