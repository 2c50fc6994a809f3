/*
 * server: HTTP over a listening socket that is given to it: requests are matched with a table of
 * routes, failures are problems (RFC 9457). One request a connection.
 *
 * Threads: one a connection, at most OW_HTTP_CONNECTIONS_MAX; _start and _stop are the owner's.
 * Memory: a request's is that of its connection. Failure: FAILED where it cannot start. Trust:
 * requests are hostile bytes: the body is bounded, and who takes longer than OW_HTTP_REQUEST_MS to
 * send a request, or to take the answer, is cut off.
 */
#ifndef OW_HTTP_SERVER_H
#define OW_HTTP_SERVER_H

#include "base/buffer.h"
#include "base/status.h"

#include <stdbool.h>

enum { OW_HTTP_CONNECTIONS_MAX = 16, OW_HTTP_BODY_MAX = 65536, OW_HTTP_REQUEST_MS = 10000 };

struct ow_http_server;

struct ow_http_request {
    struct ow_slice body; /* absent: none */
    const char *type;     /* Content-Type, "" without */
    int socket_fd;
};
/* Whether the other side has hung up: then nobody waits for the answer. */
bool ow_http_request_is_gone(const struct ow_http_request *request);

struct ow_http_reply {
    int code;              /* 200 */
    const char *type;      /* "application/json" */
    struct ow_buffer body; /* the server's, to be filled */
};
/* Fills in a problem; detail: a sentence for people. exit_code: what a command would end with. */
void ow_http_reply_problem(struct ow_http_reply *reply, int code, const char *detail,
                           int exit_code);

/* An answer may take its time: its connection's thread waits for it. */
struct ow_http_route {
    const char *method; /* "GET" (HEAD too), "POST"; NULL ends the table */
    const char *path;   /* "/livez", to be met exactly */
    void (*answer)(void *context, const struct ow_http_request *request,
                   struct ow_http_reply *reply);
};

struct ow_http_options {
    int listen_fd; /* the server's from a successful start on */
    const struct ow_http_route *routes;
    void *context;
    int request_ms; /* 0: OW_HTTP_REQUEST_MS */
};

enum ow_status ow_http_server_start(const struct ow_http_options *options,
                                    struct ow_http_server **ret_server, struct ow_err *err)
    OW_MUST_USE;
/*
 * Takes no more requests and waits for the answers in work, at most so long. Takes NULL. False:
 * some are still at it, with their context in hand: leave by _exit.
 */
bool ow_http_server_stop(struct ow_http_server *server, int deadline_ms);

/* "0.9.75": of the library that is linked. */
const char *ow_http_server_library_version(void);

#endif
