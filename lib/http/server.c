#include "http/server.h"

#include "base/clock.h"
#include "base/parse.h"
#include "http/problem.h"

#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SWEEP_MS = 500, STACK_BYTES = 1 << 20, MEMORY_BYTES = 32768 };

/* A connection, from its acceptance to its end. */
struct peer {
    bool used;
    int fd;
    int64_t until_ns; /* cut off then; INT64_MAX: its answer is in work */
};

struct ow_http_server {
    struct ow_http_options options;
    struct ow_clock clock;
    struct MHD_Daemon *daemon;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct peer peers[OW_HTTP_CONNECTIONS_MAX];
    int answering;
    bool stopping;
    pthread_t sweeper;
};

/* A request on its way, and its answer. */
struct exchange {
    const struct ow_http_route *route; /* NULL: none fits */
    bool path_known;
    bool answered; /* counted among the answers in work until it is sent */
    struct ow_buffer body;
};

bool ow_http_request_is_gone(const struct ow_http_request *request)
{
    struct pollfd look = {.fd = request->socket_fd, .events = 0};
    return poll(&look, 1, 0) == 1 && (look.revents & (POLLHUP | POLLERR)) != 0;
}

static int64_t deadline(const struct ow_http_server *server)
{
    return ow_clock_elapsed_ns(&server->clock) + (int64_t)server->options.request_ms * 1000000;
}

/* The library has a limit of its own at as many; a connection that finds no place is cut off. */
static void add_peer(struct ow_http_server *server, int fd, void **socket_context)
{
    (void)pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < OW_HTTP_CONNECTIONS_MAX && *socket_context == NULL; i++) {
        if (!server->peers[i].used) {
            server->peers[i] = (struct peer){.used = true, .fd = fd, .until_ns = deadline(server)};
            *socket_context = &server->peers[i];
        }
    }
    if (*socket_context == NULL) {
        (void)shutdown(fd, SHUT_RDWR);
    }
    (void)pthread_mutex_unlock(&server->lock);
}

static const union MHD_ConnectionInfo *fd_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct ow_http_server *server = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        add_peer(server, fd_of(connection)->connect_fd, socket_context);
        return;
    }
    struct peer *peer = *socket_context;
    if (peer != NULL) {
        (void)pthread_mutex_lock(&server->lock);
        *peer = (struct peer){.used = false};
        (void)pthread_mutex_unlock(&server->lock);
    }
}

/* Who dawdles is cut off. (The library's time-out begins anew with each byte.) */
static void *sweep(void *context)
{
    struct ow_http_server *server = context;
    (void)pthread_mutex_lock(&server->lock);
    while (!server->stopping || server->answering > 0) {
        const int64_t now_ns = ow_clock_elapsed_ns(&server->clock);
        for (size_t i = 0; i < OW_HTTP_CONNECTIONS_MAX; i++) {
            if (server->peers[i].used && server->peers[i].until_ns <= now_ns) {
                (void)shutdown(server->peers[i].fd, SHUT_RDWR);
            }
        }
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += (long)SWEEP_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&server->changed, &server->lock, &until);
    }
    (void)pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* An answer begins: false where the server stops. */
static bool begin_answer(struct ow_http_server *server, struct peer *peer)
{
    (void)pthread_mutex_lock(&server->lock);
    const bool goes_on = !server->stopping;
    if (goes_on) {
        server->answering++;
        if (peer != NULL) {
            peer->until_ns = INT64_MAX;
        }
    }
    (void)pthread_mutex_unlock(&server->lock);
    return goes_on;
}

/* It is made, and is to be taken within the time. */
static void hand_over(struct ow_http_server *server, struct peer *peer)
{
    (void)pthread_mutex_lock(&server->lock);
    if (peer != NULL) {
        peer->until_ns = deadline(server);
    }
    (void)pthread_mutex_unlock(&server->lock);
}

/* It is sent, or its connection is lost. */
static void end_answer(struct ow_http_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    server->answering--;
    (void)pthread_cond_broadcast(&server->changed);
    (void)pthread_mutex_unlock(&server->lock);
}

static bool is_method(const char *method, const char *wanted)
{
    return strcmp(method, wanted) == 0 ||
           (strcmp(method, MHD_HTTP_METHOD_HEAD) == 0 && strcmp(wanted, MHD_HTTP_METHOD_GET) == 0);
}

static struct exchange *begin_exchange(const struct ow_http_server *server, const char *method,
                                       const char *path)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    OW_INVARIANT(exchange != NULL); /* out of memory aborts, as in arena.h */
    for (const struct ow_http_route *route = server->options.routes; route->method != NULL;
         route++) {
        const bool is_path = strcmp(path, route->path) == 0;
        exchange->path_known = exchange->path_known || is_path;
        if (is_path && is_method(method, route->method)) {
            exchange->route = route;
        }
    }
    return exchange;
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    return value == NULL ? "" : value;
}

static void add_allowed(const struct ow_http_server *server, struct MHD_Response *response,
                        const char *path)
{
    OW_BUFFER allowed = {0};
    for (const struct ow_http_route *route = server->options.routes; route->method != NULL;
         route++) {
        if (strcmp(path, route->path) == 0) {
            ow_buffer_printf(&allowed, "%s%s", allowed.len == 0 ? "" : ", ", route->method);
        }
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, ow_buffer_cstr(&allowed));
}

/* path: whose methods are named, or NULL. */
static enum MHD_Result send_reply(const struct ow_http_server *server,
                                  struct MHD_Connection *connection, struct ow_http_reply *reply,
                                  const char *path)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(reply->body.len, reply->body.ptr, MHD_RESPMEM_MUST_COPY);
    ow_buffer_done(&reply->body);
    if (response == NULL) {
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (path != NULL) {
        add_allowed(server, response, path);
    }
    const enum MHD_Result result =
        MHD_queue_response(connection, (unsigned int)reply->code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_problem(const struct ow_http_server *server,
                                    struct MHD_Connection *connection, int code, const char *detail,
                                    const char *path)
{
    struct ow_http_reply reply = {.code = code};
    const enum ow_status status = code == MHD_HTTP_SERVICE_UNAVAILABLE ? OW_TEMPORARY : OW_FAILED;
    ow_http_reply_problem(&reply, code, detail, ow_status_exit_code(status));
    return send_reply(server, connection, &reply, path);
}

static enum MHD_Result answer(struct ow_http_server *server, struct MHD_Connection *connection,
                              struct exchange *exchange, const char *path)
{
    if (exchange->route == NULL) {
        return exchange->path_known ? send_problem(server, connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                                                   "this method is not for this path", path)
                                    : send_problem(server, connection, MHD_HTTP_NOT_FOUND,
                                                   "there is no such path", NULL);
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct peer *peer = info == NULL ? NULL : info->socket_context;
    if (!begin_answer(server, peer)) {
        return send_problem(server, connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the worker stops",
                            NULL);
    }
    exchange->answered = true;
    const struct ow_http_request request = {.body = ow_buffer_view(&exchange->body),
                                            .type =
                                                header(connection, MHD_HTTP_HEADER_CONTENT_TYPE),
                                            .socket_fd = fd_of(connection)->connect_fd};
    struct ow_http_reply reply = {.code = MHD_HTTP_OK, .type = "application/json"};
    exchange->route->answer(server->options.context, &request, &reply);
    hand_over(server, peer);
    return send_reply(server, connection, &reply, NULL);
}

/* Called when the headers are there, for each piece of the body, and at its end. The library says
 * what it takes. NOLINTNEXTLINE(readability-function-size) */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **request_context)
{
    struct ow_http_server *server = context;
    struct exchange *exchange = *request_context;
    (void)version;
    if (exchange == NULL) {
        *request_context = begin_exchange(server, method, url);
        const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
        int64_t bytes = 0;
        /* The library has seen that it is a number. */
        return *length != '\0' &&
                       (!ow_parse_i64(ow_slice_of(length), &bytes) || bytes > OW_HTTP_BODY_MAX)
                   ? send_problem(server, connection, MHD_HTTP_CONTENT_TOO_LARGE,
                                  "the body is too large", NULL)
                   : MHD_YES;
    }
    if (*upload_len > 0) {
        if (exchange->body.len + *upload_len > OW_HTTP_BODY_MAX) {
            return MHD_NO; /* its length was not told: cut off */
        }
        ow_buffer_append(&exchange->body, upload, *upload_len);
        *upload_len = 0;
        return MHD_YES;
    }
    return answer(server, connection, exchange, url);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_context,
                         enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *request_context;
    (void)connection;
    (void)code;
    if (exchange != NULL) {
        if (exchange->answered) {
            end_answer(context);
        }
        ow_buffer_done(&exchange->body);
        free(exchange);
        *request_context = NULL;
    }
}

/* A NUL in a path would end it, and what comes behind would not be seen: such a text stays as it
 * is, and is no path that anybody knows. */
static size_t unescape(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strstr(text, "%00") == NULL ? MHD_http_unescape(text) : strlen(text);
}

static struct MHD_Daemon *start_daemon(struct ow_http_server *server)
{
    return MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_THREAD_PER_CONNECTION |
            MHD_USE_ITC,
        0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET, server->options.listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned int)OW_HTTP_CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_BYTES, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)STACK_BYTES, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_UNESCAPE_CALLBACK, unescape,
        NULL, MHD_OPTION_END);
}

const char *ow_http_server_library_version(void)
{
    return MHD_get_version();
}

static enum ow_status start_threads(struct ow_http_server *server, struct ow_err *err)
{
    if (pthread_create(&server->sweeper, NULL, sweep, server) != 0) {
        return ow_fail(err, OW_FAILED, "cannot start a thread of the HTTP server");
    }
    server->daemon = start_daemon(server);
    if (server->daemon == NULL) {
        (void)pthread_mutex_lock(&server->lock);
        server->stopping = true;
        (void)pthread_cond_broadcast(&server->changed);
        (void)pthread_mutex_unlock(&server->lock);
        (void)pthread_join(server->sweeper, NULL);
        return ow_fail(err, OW_FAILED, "cannot start the HTTP server");
    }
    return OW_OK;
}

static void free_server(struct ow_http_server *server)
{
    (void)pthread_cond_destroy(&server->changed);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
}

enum ow_status ow_http_server_start(const struct ow_http_options *options,
                                    struct ow_http_server **ret_server, struct ow_err *err)
{
    struct ow_http_server *server = calloc(1, sizeof(*server));
    OW_INVARIANT(server != NULL);
    server->options = *options;
    server->options.request_ms =
        options->request_ms == 0 ? OW_HTTP_REQUEST_MS : options->request_ms;
    server->clock = ow_clock_system();
    (void)pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&server->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    /* Signals are for the caller's threads: a handler must not run in those of the server. */
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const enum ow_status status = start_threads(server, err);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status != OW_OK) {
        free_server(server);
        return status;
    }
    *ret_server = server;
    return OW_OK;
}

/* True: no answer is in work any more, and none will be. */
static bool wait_answers(struct ow_http_server *server, int deadline_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += deadline_ms / 1000;
    int failed = 0;
    (void)pthread_mutex_lock(&server->lock);
    server->stopping = true;
    while (server->answering > 0 && failed == 0) {
        failed = pthread_cond_timedwait(&server->changed, &server->lock, &until);
    }
    const bool done = server->answering == 0;
    (void)pthread_cond_broadcast(&server->changed);
    (void)pthread_mutex_unlock(&server->lock);
    return done;
}

bool ow_http_server_stop(struct ow_http_server *server, int deadline_ms)
{
    if (server == NULL) {
        return true;
    }
    const int listen_fd = MHD_quiesce_daemon(server->daemon);
    if (listen_fd >= 0) {
        (void)close(listen_fd);
    }
    if (!wait_answers(server, deadline_ms)) {
        return false;
    }
    MHD_stop_daemon(server->daemon); /* cuts off who is still there */
    (void)pthread_join(server->sweeper, NULL);
    free_server(server);
    return true;
}
