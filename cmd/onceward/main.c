#include "base/failpoint.h"
#include "base/nearest.h"
#include "command.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct ow_command *const ow_commands[] = {
    &ow_command_run,    &ow_command_demo,      &ow_command_check,
    &ow_command_verify, &ow_command_explain,   &ow_command_claims,
    &ow_command_backup, &ow_command_restore,   &ow_command_erase,
    &ow_command_seed,   &ow_command_positions, &ow_command_machine,
    &ow_command_schema, &ow_command_version,   NULL,
};

static void print_help(FILE *out)
{
    (void)fputs("usage: onceward COMMAND [OPTION]...\n\n"
                "Consumes events from Kafka and makes each of them have its business effect "
                "once.\n\ncommands:\n",
                out);
    for (size_t i = 0; ow_commands[i] != NULL; i++) {
        (void)fprintf(out, "  %-10s %s\n", ow_commands[i]->name, ow_commands[i]->summary);
    }
    (void)fputs("\n'onceward COMMAND --help' says more.\n", out);
}

static int refuse_command(const char *name)
{
    struct ow_nearest nearest = {.word = name};
    for (size_t i = 0; ow_commands[i] != NULL; i++) {
        ow_nearest_offer(&nearest, ow_commands[i]->name);
    }
    (void)fprintf(stderr, "onceward: unknown command '%s'", name);
    if (nearest.best != NULL) {
        (void)fprintf(stderr, " (did you mean '%s'?)", nearest.best);
    }
    (void)fputs("\n'onceward --help' lists the commands\n", stderr);
    return ow_status_exit_code(OW_BAD_CONFIG);
}

#ifdef ONCEWARD_FAILPOINTS
/* False: the process is to end with *ret_code. */
static bool arm_failpoint(int *ret_code)
{
    const char *const text = getenv("ONCEWARD_FAILPOINT"); /* NOLINT(concurrency-mt-unsafe) */
    struct ow_err err;
    if (text != NULL && strcmp(text, "list") == 0) {
        for (unsigned point = 0; point < OW_FAILPOINT_COUNT; point++) {
            (void)printf("%-20s %s\n", ow_failpoint_name((enum ow_failpoint)point),
                         ow_failpoint_text((enum ow_failpoint)point));
        }
        *ret_code = 0;
        return false;
    }
    const enum ow_status status = ow_failpoint_arm(text, &err);
    *ret_code = status == OW_OK ? 0 : ow_command_fail(status, &err);
    return status == OW_OK;
}
#endif

int main(int argc, char **argv)
{
#ifdef ONCEWARD_FAILPOINTS
    int failpoint_code = 0;
    if (!arm_failpoint(&failpoint_code)) {
        return failpoint_code;
    }
#endif
    /* `onceward … | head` is an error of write, not a death in the middle of a batch. */
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    if (argc < 2) {
        print_help(stderr);
        return ow_status_exit_code(OW_BAD_CONFIG);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return 0;
    }
    const char *const name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    for (size_t i = 0; ow_commands[i] != NULL; i++) {
        if (strcmp(ow_commands[i]->name, name) == 0) {
            return ow_commands[i]->run(argc - 1, argv + 1);
        }
    }
    return refuse_command(name);
}
