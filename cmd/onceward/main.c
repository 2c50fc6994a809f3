#include "base/nearest.h"
#include "command.h"

#include <signal.h>
#include <stdio.h>
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

int main(int argc, char **argv)
{
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
