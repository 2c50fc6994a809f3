/*
 * demo_worker: the worker child of the demo: this very program with `run`, started, killed and
 * started again.
 *
 * Threads: the main thread. The child dies with the demo, however that ends.
 */
#ifndef OW_CMD_DEMO_WORKER_H
#define OW_CMD_DEMO_WORKER_H

#include "base/status.h"

#include <stdbool.h>
#include <sys/types.h>

struct ow_demo_worker {
    const char *config; /* file for -c */
    const char *log;    /* its stdout and stderr are appended there */
    pid_t pid;          /* 0: none runs */
};

enum ow_status ow_demo_worker_start(struct ow_demo_worker *worker, struct ow_err *err) OW_MUST_USE;

/* SIGKILL, and waits for the end. */
void ow_demo_worker_kill(struct ow_demo_worker *worker);

/* SIGTERM; SIGKILL after the deadline. Returns the exit code, or 128 + the signal. */
int ow_demo_worker_stop(struct ow_demo_worker *worker, int deadline_ms);

/* True: it has ended by itself; *ret_code as above. */
bool ow_demo_worker_ended(struct ow_demo_worker *worker, int *ret_code);

#endif
