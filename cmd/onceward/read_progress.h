/*
 * read_progress: how far a command that only reads is, on stderr: a line that is redrawn on a
 * terminal, a log line now and then elsewhere.
 *
 * Threads: the main thread.
 */
#ifndef OW_CMD_READ_PROGRESS_H
#define OW_CMD_READ_PROGRESS_H

#include "base/clock.h"

#include <stdbool.h>

struct ow_read_progress {
    struct ow_clock clock;
    bool terminal;
    bool shown;
    int64_t began_ns, said_ns;
};

void ow_read_progress_init(struct ow_read_progress *progress);
/* what: "reading the history"; done of goal (0: not known). context is a struct ow_read_progress.
 */
void ow_read_progress_show(void *context, const char *what, int64_t done, int64_t goal);
void ow_read_progress_done(struct ow_read_progress *progress);

#endif
