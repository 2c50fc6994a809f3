#include "http/local.h"

#include "base/clock.h"
#include "base/parse.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 16, ANSWER_BYTES_MAX = 16 << 20, PIECE_BYTES = 4096 };

static enum ow_status make_address(const char *path, struct sockaddr_un *ret_address,
                                   struct ow_err *err)
{
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    const size_t len = strlen(path);
    if (len >= sizeof(ret_address->sun_path)) {
        return ow_fail(err, OW_FAILED,
                       "the path '%s' has %zu bytes, and that of a socket may have %zu: put the "
                       "store where its path is shorter",
                       path, len, sizeof(ret_address->sun_path) - 1);
    }
    memcpy(ret_address->sun_path, path, len);
    return OW_OK;
}

/* The mode of the socket is that of its descriptor when it is bound, less the umask. */
static bool bind_at(int fd, const struct sockaddr_un *address)
{
    return fchmod(fd, 0600) == 0 &&
           bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
}

static enum ow_status listen_at(int fd, const struct sockaddr_un *address, struct ow_err *err)
{
    struct stat status;
    bool bound = bind_at(fd, address);
    if (!bound && errno == EADDRINUSE) {
        if (lstat(address->sun_path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
            return ow_fail(err, OW_FAILED, "'%s' is there and is no socket", address->sun_path);
        }
        (void)unlink(address->sun_path);
        bound = bind_at(fd, address);
    }
    return bound && listen(fd, BACKLOG) == 0 ? OW_OK
                                             : ow_fail(err, OW_FAILED, "cannot listen at '%s': %s",
                                                       address->sun_path, strerrordesc_np(errno));
}

enum ow_status ow_http_local_listen(const char *path, int *ret_fd, struct ow_err *err)
{
    struct sockaddr_un address;
    OW_TRY(make_address(path, &address, err));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return ow_fail(err, OW_FAILED, "cannot make a socket: %s", strerrordesc_np(errno));
    }
    const enum ow_status status = listen_at(fd, &address, err);
    if (status != OW_OK) {
        (void)close(fd);
        return status;
    }
    *ret_fd = fd;
    return OW_OK;
}

void ow_http_local_remove(const char *path)
{
    (void)unlink(path);
}

static enum ow_status connect_to(const char *path, int *ret_fd, struct ow_err *err)
{
    struct sockaddr_un address;
    OW_TRY(make_address(path, &address, err));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return ow_fail(err, OW_FAILED, "cannot make a socket: %s", strerrordesc_np(errno));
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        const int code = errno;
        (void)close(fd);
        return ow_fail(err, OW_FAILED, "nobody answers at '%s': %s", path, strerrordesc_np(code));
    }
    *ret_fd = fd;
    return OW_OK;
}

static enum ow_status send_request(const struct ow_http_call *call, int fd, struct ow_err *err)
{
    OW_BUFFER text = {0};
    ow_buffer_printf(&text, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
                     call->method, call->path);
    if (call->json != NULL) {
        ow_buffer_printf(&text, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                         strlen(call->json));
    }
    ow_buffer_printf(&text, "\r\n%s", call->json == NULL ? "" : call->json);
    for (size_t sent = 0; sent < text.len;) {
        const ssize_t len = send(fd, text.ptr + sent, text.len - sent, MSG_NOSIGNAL);
        if (len < 0 && errno != EINTR) {
            return ow_fail(err, OW_TEMPORARY, "the worker hung up: %s", strerrordesc_np(errno));
        }
        sent += len < 0 ? 0 : (size_t)len;
    }
    return OW_OK;
}

/* Until the other side closes. */
static enum ow_status receive(const struct ow_http_call *call, int fd, struct ow_buffer *answer,
                              struct ow_err *err)
{
    const struct ow_clock clock = ow_clock_system();
    const int64_t start_ns = ow_clock_elapsed_ns(&clock);
    uint8_t piece[PIECE_BYTES];
    for (;;) {
        struct pollfd look = {.fd = fd, .events = POLLIN};
        const int ready = poll(&look, 1, call->wait_ms == 0 ? 1000 : call->wait_ms);
        if (ready == 0 && call->waiting != NULL) {
            call->waiting(call->context);
        }
        if (call->deadline_ms > 0 &&
            ow_clock_elapsed_ns(&clock) - start_ns > (int64_t)call->deadline_ms * 1000000) {
            return ow_fail(err, OW_FAILED, "the worker did not answer within %d s",
                           call->deadline_ms / 1000);
        }
        const ssize_t len = ready > 0 ? recv(fd, piece, sizeof(piece), 0) : 0;
        if (ready > 0 && len == 0) {
            return OW_OK;
        }
        if ((ready < 0 || len < 0) && errno != EINTR) {
            return ow_fail(err, OW_TEMPORARY, "the worker hung up: %s", strerrordesc_np(errno));
        }
        ow_buffer_append(answer, piece, len > 0 ? (size_t)len : 0);
        if (answer->len > ANSWER_BYTES_MAX) {
            return ow_fail(err, OW_FAILED, "the worker's answer does not end");
        }
    }
}

static enum ow_status take_answer(struct ow_http_call *call, const struct ow_buffer *answer,
                                  struct ow_err *err)
{
    static const char begin[] = "HTTP/1.1 ";
    const uint8_t *body = answer->len == 0 ? NULL : memmem(answer->ptr, answer->len, "\r\n\r\n", 4);
    int64_t code = 0;
    if (body == NULL || answer->len < sizeof(begin) + 2 ||
        memcmp(answer->ptr, begin, sizeof(begin) - 1) != 0 ||
        !ow_parse_i64((struct ow_slice){answer->ptr + sizeof(begin) - 1, 3}, &code)) {
        return ow_fail(err, OW_TEMPORARY, "the worker ended before it had answered");
    }
    call->code = (int)code;
    body += 4;
    ow_buffer_clear(&call->body);
    ow_buffer_append(&call->body, body, answer->len - (size_t)(body - answer->ptr));
    return OW_OK;
}

enum ow_status ow_http_local_call(struct ow_http_call *call, struct ow_err *err)
{
    int fd = -1;
    OW_BUFFER answer = {0};
    call->reached = false;
    OW_TRY(connect_to(call->socket_path, &fd, err));
    call->reached = true;
    enum ow_status status = send_request(call, fd, err);
    if (status == OW_OK) {
        status = receive(call, fd, &answer, err);
    }
    (void)close(fd);
    return status == OW_OK ? take_answer(call, &answer, err) : status;
}
