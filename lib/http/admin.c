#include "http/admin.h"

#include "http/local.h"

#include <jansson.h>

#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

/* Takes the reference. */
static void answer_json(struct ow_http_reply *reply, json_t *value)
{
    char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT);
    OW_INVARIANT(text != NULL);
    ow_buffer_text(&reply->body, text);
    ow_buffer_byte(&reply->body, '\n');
    free(text);
    json_decref(value);
}

static void answer_livez(void *context, const struct ow_http_request *request,
                         struct ow_http_reply *reply)
{
    struct ow_http_admin *admin = context;
    struct ow_err err;
    (void)request;
    const enum ow_status status = ow_worker_status(admin->options.worker, &err);
    if (status != OW_OK) {
        ow_http_reply_problem(reply, 503, err.text, ow_status_exit_code(status));
        return;
    }
    answer_json(reply, json_pack("{s:b}", "live", 1));
}

static void answer_version(void *context, const struct ow_http_request *request,
                           struct ow_http_reply *reply)
{
    const struct ow_http_admin *admin = context;
    (void)request;
    answer_json(reply,
                json_pack("{s:s, s:s, s:s, s:I, s:i}", "version", admin->options.version, "commit",
                          admin->options.commit, "store_id", admin->options.store_id, "epoch",
                          (json_int_t)admin->options.epoch, "pid", (int)getpid()));
}

/* What is in work, for who waits for it. */
static void answer_progress(void *context, const struct ow_http_request *request,
                            struct ow_http_reply *reply)
{
    static const char *const phases[] = {
        [OW_BACKUP_COPYING] = "copying", [OW_BACKUP_CHECKING] = "checking"};
    struct ow_http_admin *admin = context;
    json_t *value = NULL;
    (void)request;
    (void)pthread_mutex_lock(&admin->lock);
    struct ow_backup_job *job = admin->backup;
    if (job == NULL) {
        value = json_pack("{s:b}", "running", 0);
    } else {
        value = json_pack("{s:b, s:s, s:s, s:I, s:I}", "running", 1, "path", job->to, "phase",
                          phases[atomic_load(&job->phase)], "pages_done",
                          (json_int_t)atomic_load(&job->pages_done), "pages",
                          (json_int_t)atomic_load(&job->pages));
    }
    (void)pthread_mutex_unlock(&admin->lock);
    answer_json(reply, value);
}

/* {"to": "/an/absolute/path"} and nothing else; NULL: it is not, and that was answered. */
static json_t *read_order(const struct ow_http_request *request, struct ow_http_reply *reply)
{
    static const char media[] = "application/json";
    const int usage = ow_status_exit_code(OW_BAD_CONFIG);
    if (strncasecmp(request->type, media, sizeof(media) - 1) != 0 ||
        strchr(";", request->type[sizeof(media) - 1]) == NULL) {
        ow_http_reply_problem(reply, 415, "the body must be application/json", usage);
        return NULL;
    }
    json_error_t why;
    json_t *order = json_loadb(request->body.len == 0 ? "" : (const char *)request->body.ptr,
                               request->body.len, JSON_REJECT_DUPLICATES, &why);
    const json_t *to = json_object_get(order, "to");
    const char *problem = order == NULL ? "the body is no JSON"
                          : json_object_size(order) != 1
                              ? "the body must have 'to' and nothing else"
                          : json_string_value(to) == NULL   ? "'to' must be a text"
                          : json_string_value(to)[0] != '/' ? "'to' must be an absolute path"
                                                            : NULL;
    if (problem != NULL) {
        ow_http_reply_problem(reply, 400, problem, usage);
        json_decref(order);
        return NULL;
    }
    return order;
}

static bool is_gone(void *context)
{
    return ow_http_request_is_gone(context);
}

/* False where one is in work already. */
static bool set_backup(struct ow_http_admin *admin, struct ow_backup_job *job)
{
    (void)pthread_mutex_lock(&admin->lock);
    const bool is_free = admin->backup == NULL;
    if (is_free) {
        admin->backup = job;
    }
    (void)pthread_mutex_unlock(&admin->lock);
    return is_free;
}

static void clear_backup(struct ow_http_admin *admin)
{
    (void)pthread_mutex_lock(&admin->lock);
    admin->backup = NULL;
    (void)pthread_mutex_unlock(&admin->lock);
}

static void refuse(struct ow_http_reply *reply, enum ow_status status, const struct ow_err *err)
{
    const int code = status == OW_TEMPORARY ? 503 : status == OW_BAD_CONFIG ? 400 : 500;
    ow_http_reply_problem(reply, code, err->text, ow_status_exit_code(status));
}

static void answer_backup(void *context, const struct ow_http_request *request,
                          struct ow_http_reply *reply)
{
    struct ow_http_admin *admin = context;
    struct ow_http_request asked = *request;
    json_t *order = read_order(request, reply);
    if (order == NULL) {
        return;
    }
    struct ow_backup_job job = {.to = json_string_value(json_object_get(order, "to")),
                                .clock = admin->options.clock,
                                .given_up = is_gone,
                                .context = &asked};
    if (!set_backup(admin, &job)) {
        ow_http_reply_problem(reply, 409, "another backup is in work",
                              ow_status_exit_code(OW_TEMPORARY));
        json_decref(order);
        return;
    }
    struct ow_err err = {.text = ""};
    const int64_t start_ns = ow_clock_elapsed_ns(&job.clock);
    const enum ow_status status =
        ow_backup_job_run(&job, ow_worker_jobs(admin->options.worker), &err);
    const double seconds = (double)(ow_clock_elapsed_ns(&job.clock) - start_ns) / 1e9;
    clear_backup(admin);
    if (status == OW_OK) {
        answer_json(reply,
                    json_pack("{s:s, s:I, s:I, s:f, s:I, s:f}", "path", job.to, "bytes",
                              (json_int_t)job.figures.bytes, "pages", (json_int_t)job.figures.pages,
                              "seconds", seconds, "at_ms", (json_int_t)job.figures.at_ms,
                              "longest_slice_ms", (double)job.figures.longest_ns / 1e6));
    } else {
        refuse(reply, status, &err);
    }
    json_decref(order);
}

static const struct ow_http_route routes[] = {
    {.method = "GET",           .path = "/livez", .answer = answer_livez},
    {.method = "GET",   .path = "/version", .answer = answer_version},
    {.method = "GET",           .path = "/backup", .answer = answer_progress},
    {.method = "POST", .path = "/backup", .answer = answer_backup},
    {.method = NULL          },
};

enum ow_status ow_http_admin_start(struct ow_http_admin *admin,
                                   const struct ow_http_admin_options *options, struct ow_err *err)
{
    *admin = (struct ow_http_admin){.options = *options};
    struct ow_http_options server = {.listen_fd = -1, .routes = routes, .context = admin};
    OW_TRY(ow_http_local_listen(options->socket_path, &server.listen_fd, err));
    (void)pthread_mutex_init(&admin->lock, NULL);
    const enum ow_status status = ow_http_server_start(&server, &admin->server, err);
    if (status != OW_OK) {
        (void)close(server.listen_fd);
        ow_http_local_remove(options->socket_path);
        (void)pthread_mutex_destroy(&admin->lock);
    }
    return status;
}

bool ow_http_admin_stop(struct ow_http_admin *admin, int deadline_ms)
{
    if (admin->server == NULL) {
        return true;
    }
    ow_jobs_close(ow_worker_jobs(admin->options.worker));
    ow_http_local_remove(admin->options.socket_path);
    if (!ow_http_server_stop(admin->server, deadline_ms)) {
        return false;
    }
    admin->server = NULL;
    (void)pthread_mutex_destroy(&admin->lock);
    return true;
}
