/*
 * command: the subcommands, and how each reads its arguments. One table says what a command takes;
 * it makes the parser,
 * `--help` and the manual page.
 *
 * Threads: the main thread, at start. Failure: exit code 2 with a line on stderr.
 */
#ifndef OW_CMD_COMMAND_H
#define OW_CMD_COMMAND_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* An option of a command: "-c FILE, --config FILE". */
struct ow_argument {
    const char *name;  /* "config"; NULL ends a table */
    char letter;       /* 'c', or 0 */
    const char *value; /* "FILE"; NULL: a switch without a value */
    const char *text;  /* one line */
};

struct ow_command {
    const char *name;
    const char *summary; /* one line, lower case */
    const char *usage;   /* what follows the name: "[-c FILE] [--until-end]" */
    const struct ow_argument *arguments;
    const char *text; /* more for --help and the manual, or NULL */
    /* argv[0] is the command's name. Returns the exit code. */
    int (*run)(int argc, char **argv);
};

extern const struct ow_command ow_command_run;
extern const struct ow_command ow_command_demo;
extern const struct ow_command ow_command_check;
extern const struct ow_command ow_command_verify;
extern const struct ow_command ow_command_explain;
extern const struct ow_command ow_command_claims;
extern const struct ow_command ow_command_backup;
extern const struct ow_command ow_command_restore;
extern const struct ow_command ow_command_erase;
extern const struct ow_command ow_command_seed;
extern const struct ow_command ow_command_positions;
extern const struct ow_command ow_command_machine;
extern const struct ow_command ow_command_schema;
extern const struct ow_command ow_command_version;

/* All of them, in the order of the help; NULL-terminated (main.c). */
extern const struct ow_command *const ow_commands[];

/* What several commands take. */
#define OW_ARGUMENT_CONFIG                                                                         \
    {                                                                                              \
        .name = "config", .letter = 'c', .value = "FILE",                                          \
        .text = "The configuration (default: onceward.yaml)."                                      \
    }
#define OW_ARGUMENT_SET                                                                            \
    {                                                                                              \
        .name = "set", .value = "KEY=VALUE",                                                       \
        .text = "Sets a key of the configuration, as in --set kafka.group=other. May come again."  \
    }
#define OW_ARGUMENT_OUTPUT                                                                         \
    {                                                                                              \
        .name = "output", .letter = 'o', .value = "FORMAT",                                        \
        .text = "What to print on stdout: table (the default), json or jsonl."                     \
    }

enum { OW_ARGUMENTS_MAX = 16, OW_SETS_MAX = 64 };

/* What was given. Texts are argv's. */
struct ow_invocation {
    const struct ow_command *command;
    const char *values[OW_ARGUMENTS_MAX]; /* by command->arguments: the value, "" for a switch,
                                             NULL: not given */
    const char *sets[OW_SETS_MAX];        /* the values of --set */
    size_t set_count;
    char **operands; /* what is no option */
    size_t operand_count;
};

/*
 * Reads argv. False: there is nothing more to do, *ret_exit is the exit code (0 after --help, 2
 * after a mistake, which was said on stderr).
 */
bool ow_command_parse(const struct ow_command *command, int argc, char **argv,
                      struct ow_invocation *ret_invocation, int *ret_exit);
/* The value of an option, "" for a switch, NULL where it was not given. */
const char *ow_invocation_value(const struct ow_invocation *invocation, const char *name);
static inline bool ow_invocation_has(const struct ow_invocation *invocation, const char *name)
{
    return ow_invocation_value(invocation, name) != NULL;
}

/* Says a mistake in the arguments on stderr and returns 2. */
int ow_command_refuse(const struct ow_command *command, const char *format, ...) OW_PRINTF(2, 3);
/* Says a failure on stderr and returns its exit code. */
int ow_command_fail(enum ow_status status, const struct ow_err *err);

#endif
