/* `onceward backup`: a copy of the store, by the worker where one runs, else by the command. */
#include "store/backup.h"

#include "config.h"
#include "output.h"
#include "read_progress.h"

#include <inttypes.h>
#include <stdio.h>

static const struct ow_argument arguments[] = {
    OW_ARGUMENT_CONFIG,
    OW_ARGUMENT_SET,
    {.name = "to",
      .value = "PATH",
      .text = "Where the backup is to be: a file that is not there yet. Must be given."},
    OW_ARGUMENT_OUTPUT,
    {.name = NULL},
};

struct backup {
    const char *to;
    struct ow_config config;
    struct ow_clock clock;
    struct ow_read_progress progress;
    struct ow_backup_figures figures;
    double seconds;
};

static enum ow_status make(struct backup *backup, struct ow_err *err)
{
    const struct ow_backup_alone options = {.path = backup->config.store_path,
                                            .to = backup->to,
                                            .clock = backup->clock,
                                            .progress = ow_read_progress_show,
                                            .context = &backup->progress};
    const int64_t start_ns = ow_clock_elapsed_ns(&backup->clock);
    ow_read_progress_init(&backup->progress);
    const enum ow_status status = ow_backup_alone(&options, &backup->figures, err);
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
    status = make(&backup, &err);
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
    .text = "",
    .run = run,
};
