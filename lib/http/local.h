/*
 * local: the unix socket beside the store, by which commands on the same host find the worker.
 *
 * Mode 0600: who may write the store may talk to its worker. Threads: the caller's. Failure: FAILED
 * (a path too long for a socket, something else there). Trust: who connects is the store's user.
 */
#ifndef OW_HTTP_LOCAL_H
#define OW_HTTP_LOCAL_H

#include "base/buffer.h"
#include "base/status.h"

#include <stdbool.h>

/* Call it only while the store's lock is held: a socket that is there is then of a dead worker, and
 * is replaced. */
enum ow_status ow_http_local_listen(const char *path, int *ret_fd, struct ow_err *err) OW_MUST_USE;
/* Likewise; before the lock is given back. */
void ow_http_local_remove(const char *path);

/* One request, and its answer. */
struct ow_http_call {
    const char *socket_path;
    const char *method, *path;
    const char *json; /* the body, or NULL */
    bool reached;     /* somebody listens there */
    int code;         /* the answer: 200 */
    struct ow_buffer body;
    /* While the answer is waited for, after each wait_ms; NULL: nobody wants to know. */
    void (*waiting)(void *context);
    void *context;
    int wait_ms;
    int deadline_ms; /* 0: none */
};
/* FAILED: nobody was reached, or nothing came within the deadline. TEMPORARY: the worker has ended
 * before it answered. */
enum ow_status ow_http_local_call(struct ow_http_call *call, struct ow_err *err) OW_MUST_USE;

#endif
