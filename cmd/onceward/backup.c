/* `onceward backup`: a copy of the store, by the worker where one runs, else by the command. */
#include "store/backup.h"

#include "config.h"
#include "http/local.h"
#include "output.h"
#include "read_progress.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ow_argument arguments[] = {
    OW_ARGUMENT_CONFIG,
    OW_ARGUMENT_SET,
    {.name = "to",
      .value = "PATH",
      .text = "Where the backup is to be: a file that is not there yet. Must be given."},
    OW_ARGUMENT_OUTPUT,
    {.name = NULL},
};

enum { ASK_MS = 1000 };

struct backup {
    const char *to, *socket_path;
    struct ow_config config;
    struct ow_clock clock;
    struct ow_read_progress progress;
    struct ow_backup_figures figures;
    double seconds;
};

/* By this process, under the store's lock. */
static enum ow_status make_alone(struct backup *backup, struct ow_err *err)
{
    const struct ow_backup_alone options = {.path = backup->config.store_path,
                                            .to = backup->to,
                                            .clock = backup->clock,
                                            .progress = ow_read_progress_show,
                                            .context = &backup->progress};
    return ow_backup_alone(&options, &backup->figures, err);
}

/* How far the worker is. */
static void ask_progress(void *context)
{
    struct backup *backup = context;
    struct ow_http_call call = {.socket_path = backup->socket_path,
                                .method = "GET",
                                .path = "/backup",
                                .deadline_ms = ASK_MS};
    struct ow_err err;
    if (ow_http_local_call(&call, &err) == OW_OK && call.code == 200) {
        OW_JSON *answer = json_loadb((const char *)call.body.ptr, call.body.len, 0, NULL);
        const char *phase = json_string_value(json_object_get(answer, "phase"));
        const bool copies = phase != NULL && strcmp(phase, "copying") == 0;
        ow_read_progress_show(&backup->progress, copies ? "copying pages" : "checking the copy",
                              json_integer_value(json_object_get(answer, "pages_done")),
                              copies ? json_integer_value(json_object_get(answer, "pages")) : 0);
    }
    ow_buffer_done(&call.body);
}

static enum ow_status status_of(int exit_code)
{
    switch (exit_code) {
    case 2:
        return OW_BAD_CONFIG;
    case 4:
        return OW_UNSAFE;
    case 75:
        return OW_TEMPORARY;
    default:
        return OW_FAILED;
    }
}

static enum ow_status take_answer(struct backup *backup, const struct ow_http_call *call,
                                  struct ow_err *err)
{
    OW_JSON *answer = json_loadb((const char *)call->body.ptr, call->body.len, 0, NULL);
    const char *detail = json_string_value(json_object_get(answer, "detail"));
    if (call->code != 200) {
        return ow_fail(err,
                       status_of((int)json_integer_value(json_object_get(answer, "exit_code"))),
                       "the worker says: %s", detail == NULL ? "no" : detail);
    }
    backup->figures =
        (struct ow_backup_figures){.bytes = json_integer_value(json_object_get(answer, "bytes")),
                                   .pages = json_integer_value(json_object_get(answer, "pages")),
                                   .at_ms = json_integer_value(json_object_get(answer, "at_ms"))};
    return OW_OK;
}

/* By the worker. *ret_reached: there is one; else err says why it was not reached. */
static enum ow_status make_by_worker(struct backup *backup, bool *ret_reached, struct ow_err *err)
{
    OW_JSON *order = json_pack("{s:s}", "to", backup->to);
    char *text = order == NULL ? NULL : json_dumps(order, JSON_COMPACT);
    if (text == NULL) {
        *ret_reached = true;
        return ow_fail(err, OW_BAD_CONFIG, "the name '%s' is no UTF-8", backup->to);
    }
    struct ow_http_call call = {.socket_path = backup->socket_path,
                                .method = "POST",
                                .path = "/backup",
                                .json = text,
                                .waiting = ask_progress,
                                .context = backup,
                                .wait_ms = ASK_MS};
    enum ow_status status = ow_http_local_call(&call, err);
    *ret_reached = call.reached;
    if (status == OW_OK) {
        status = take_answer(backup, &call, err);
    }
    ow_buffer_done(&call.body);
    free(text);
    return status;
}

/* The worker has another directory: paths become absolute. */
static enum ow_status find_places(struct backup *backup, struct ow_err *err)
{
    char path[PATH_MAX];
    struct ow_arena *arena = &backup->config.arena;
    if (backup->to[0] != '/') {
        if (getcwd(path, sizeof(path)) == NULL) {
            return ow_fail(err, OW_FAILED, "cannot tell the current directory: %s",
                           strerrordesc_np(errno));
        }
        backup->to = ow_arena_printf(arena, "%s/%s", path, backup->to);
    }
    const char *store = realpath(backup->config.store_path, path);
    backup->socket_path =
        ow_arena_printf(arena, "%s.sock", store == NULL ? backup->config.store_path : store);
    return OW_OK;
}

static enum ow_status make(struct backup *backup, struct ow_err *err)
{
    bool reached = false;
    struct ow_err why;
    OW_TRY(find_places(backup, err));
    enum ow_status status = make_by_worker(backup, &reached, &why);
    if (reached) {
        *err = why;
        return status;
    }
    status = make_alone(backup, err);
    if (status == OW_TEMPORARY) {
        struct ow_err lock = *err;
        return ow_fail(err, status, "%s, and %s", lock.text, why.text);
    }
    return status;
}

static enum ow_status make_and_time(struct backup *backup, struct ow_err *err)
{
    const int64_t start_ns = ow_clock_elapsed_ns(&backup->clock);
    ow_read_progress_init(&backup->progress);
    const enum ow_status status = make(backup, err);
    ow_read_progress_done(&backup->progress);
    backup->seconds = (double)(ow_clock_elapsed_ns(&backup->clock) - start_ns) / 1e9;
    return status;
}

static void print(const struct backup *backup, enum ow_output output)
{
    const struct ow_backup_figures *figures = &backup->figures;
    if (output != OW_OUTPUT_TABLE) {
        OW_JSON *made = json_pack("{s:s,s:I,s:I,s:f,s:I}", "path", backup->to, "bytes",
                                  (json_int_t)figures->bytes, "pages", (json_int_t)figures->pages,
                                  "seconds", backup->seconds, "at_ms", (json_int_t)figures->at_ms);
        ow_output_json(output, made);
        return;
    }
    (void)printf("backup made: %s, %" PRId64 " pages, %.1f MiB, in %.1f s\n", backup->to,
                 figures->pages, (double)figures->bytes / 1048576, backup->seconds);
}

static int run(int argc, char **argv)
{
    struct ow_invocation invocation;
    int exit_code = 0;
    if (!ow_command_parse(&ow_command_backup, argc, argv, &invocation, &exit_code)) {
        return exit_code;
    }
    enum ow_output output = OW_OUTPUT_TABLE;
    if (!ow_output_parse(ow_invocation_value(&invocation, "output"), &output)) {
        return ow_command_refuse(&ow_command_backup, "-o must be table, json or jsonl");
    }
    struct backup backup = {.to = ow_invocation_value(&invocation, "to"),
                            .clock = ow_clock_system()};
    if (backup.to == NULL || backup.to[0] == '\0' || invocation.operand_count > 0) {
        return ow_command_refuse(&ow_command_backup, "expects --to PATH, and no operand");
    }
    const struct ow_config_source source = ow_config_source_of(&invocation);
    struct ow_err err;
    enum ow_status status = ow_config_load(&source, &backup.config, &err);
    if (status != OW_OK) {
        return ow_command_fail(status, &err);
    }
    status = make_and_time(&backup, &err);
    if (status == OW_OK) {
        print(&backup, output);
    }
    exit_code = status == OW_OK ? 0 : ow_command_fail(status, &err);
    ow_config_done(&backup.config);
    return exit_code;
}

const struct ow_command ow_command_backup = {
    .name = "backup",
    .summary = "copy the store while it is in use, or at rest",
    .usage = "--to PATH [-c FILE] [-o table|json|jsonl]",
    .arguments = arguments,
    .text =
        "Makes one file of the store, as it is at one moment: claims, business tables, history, "
        "positions, all that onceward\n"
        "and others keep in it. Where a worker runs it is asked by the socket beside the store "
        "(STORE.sock) and copies some\n"
        "pages between its batches; the file is written with the worker's rights, from where the "
        "worker is. Where none runs\n"
        "the command copies by itself. Nothing is overwritten (exit code 1).\n"
        "\n"
        "Until it is whole, checked (PRAGMA quick_check) and on the disk, the file is called "
        "PATH.part; mode 0600. A full disk\n"
        "or an I/O error there ends the backup, and not the worker; a disk that does not answer "
        "(a network file system) holds\n"
        "the worker up, until limits.watchdog ends it. A hash key that is kept in a file of its "
        "own (store.hash_key_file) is\n"
        "not in it: keep that file too. The file is no store to run on: 'onceward restore' puts "
        "it in place. verify, explain\n"
        "and sqlite3 read it as it is.\n"
        "\n"
        "-o json: path, bytes, pages, seconds, at_ms (the moment that it shows).",
    .run = run,
};
