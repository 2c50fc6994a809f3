/*
 * verify_progress: how far `onceward verify` is, on stderr: a bar on a terminal, a line now and
 * then elsewhere.
 *
 * Threads: the main thread.
 */
#ifndef OW_CMD_VERIFY_PROGRESS_H
#define OW_CMD_VERIFY_PROGRESS_H

#include "store/verify.h"

struct ow_verify_bar {
    bool terminal;
    bool shown;
    int64_t log_ns;
};

void ow_verify_bar_init(struct ow_verify_bar *bar);
/* Called between two slices; context is a struct ow_verify_bar. */
void ow_verify_bar_show(const struct ow_verify_progress *progress, void *context);
void ow_verify_bar_done(struct ow_verify_bar *bar);

#endif
