#include "command.h"

#include "base/nearest.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static size_t count_arguments(const struct ow_command *command)
{
    size_t count = 0;
    while (command->arguments != NULL && command->arguments[count].name != NULL) {
        count++;
    }
    OW_INVARIANT(count < OW_ARGUMENTS_MAX);
    return count;
}

static void print_help(const struct ow_command *command)
{
    printf("usage: onceward %s %s\n\n%s\n", command->name, command->usage, command->summary);
    if (command->text != NULL) {
        printf("\n%s\n", command->text);
    }
    printf("\noptions:\n");
    const size_t count = count_arguments(command);
    for (size_t i = 0; i < count; i++) {
        const struct ow_argument *const argument = &command->arguments[i];
        char name[64];
        (void)snprintf(name, sizeof name, "--%s%s%s", argument->name,
                       argument->value == NULL ? "" : " ",
                       argument->value == NULL ? "" : argument->value);
        if (argument->letter != 0) {
            printf("  -%c, %-22s %s\n", argument->letter, name, argument->text);
        } else {
            printf("      %-22s %s\n", name, argument->text);
        }
    }
    printf("  -h, %-22s %s\n", "--help", "This text.");
}

/* getopt's two descriptions of the same table. letters: a leading ':' makes a missing value tell
 * itself apart. */
struct getopt_tables {
    struct option options[OW_ARGUMENTS_MAX + 1];
    char letters[2 * OW_ARGUMENTS_MAX + 4];
};

enum { HELP = 'h', FIRST_LONG = 256 };

static void make_tables(const struct ow_command *command, struct getopt_tables *tables)
{
    const size_t count = count_arguments(command);
    size_t len = 0;
    tables->letters[len++] = ':';
    tables->letters[len++] = HELP;
    for (size_t i = 0; i < count; i++) {
        const struct ow_argument *const argument = &command->arguments[i];
        tables->options[i] =
            (struct option){.name = argument->name,
                            .has_arg = argument->value != NULL ? required_argument : no_argument,
                            .val = FIRST_LONG + (int)i};
        if (argument->letter != 0) {
            tables->letters[len++] = argument->letter;
            if (argument->value != NULL) {
                tables->letters[len++] = ':';
            }
        }
    }
    tables->letters[len] = '\0';
    tables->options[count] = (struct option){.name = "help", .val = HELP};
    tables->options[count + 1] = (struct option){0};
}

static int index_of(const struct ow_command *command, int found)
{
    if (found >= FIRST_LONG) {
        return found - FIRST_LONG;
    }
    const size_t count = count_arguments(command);
    for (size_t i = 0; i < count; i++) {
        if (command->arguments[i].letter == found) {
            return (int)i;
        }
    }
    return -1;
}

static int refuse_unknown(const struct ow_command *command, const char *given)
{
    struct ow_nearest nearest = {.word = given[0] == '-' && given[1] == '-' ? given + 2 : given};
    const size_t count = count_arguments(command);
    for (size_t i = 0; i < count; i++) {
        ow_nearest_offer(&nearest, command->arguments[i].name);
    }
    return nearest.best == NULL
               ? ow_command_refuse(command, "unknown option '%s'", given)
               : ow_command_refuse(command, "unknown option '%s' (did you mean '--%s'?)", given,
                                   nearest.best);
}

/* Notes one option. False where it cannot be taken. */
static bool take(struct ow_invocation *invocation, int index, int *ret_exit)
{
    const struct ow_argument *const argument = &invocation->command->arguments[index];
    const char *const value = argument->value == NULL ? "" : optarg;
    if (strcmp(argument->name, "set") == 0) {
        if (invocation->set_count == OW_SETS_MAX || strchr(value, '=') == NULL) {
            *ret_exit = ow_command_refuse(invocation->command,
                                          "--set '%s': expects KEY=VALUE, at most %d times", value,
                                          OW_SETS_MAX);
            return false;
        }
        invocation->sets[invocation->set_count++] = value;
    }
    invocation->values[index] = value;
    return true;
}

bool ow_command_parse(const struct ow_command *command, int argc, char **argv,
                      struct ow_invocation *ret_invocation, int *ret_exit)
{
    struct getopt_tables tables;
    make_tables(command, &tables);
    *ret_invocation = (struct ow_invocation){.command = command};
    optind = 1;
    opterr = 0;
    int found = 0;
    /* The main thread is alone, getopt's state is its own. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    while ((found = getopt_long(argc, argv, tables.letters, tables.options, NULL)) != -1) {
        if (found == HELP) {
            print_help(command);
            *ret_exit = 0;
            return false;
        }
        if (found == '?' || found == ':') {
            *ret_exit = found == ':'
                            ? ow_command_refuse(command, "'%s' expects a value", argv[optind - 1])
                            : refuse_unknown(command, argv[optind - 1]);
            return false;
        }
        const int index = index_of(command, found);
        OW_INVARIANT(index >= 0);
        if (!take(ret_invocation, index, ret_exit)) {
            return false;
        }
    }
    ret_invocation->operands = argv + optind;
    ret_invocation->operand_count = (size_t)(argc - optind);
    return true;
}

const char *ow_invocation_value(const struct ow_invocation *invocation, const char *name)
{
    const size_t count = count_arguments(invocation->command);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(invocation->command->arguments[i].name, name) == 0) {
            return invocation->values[i];
        }
    }
    OW_IMPOSSIBLE("an option that the command does not declare");
}

int ow_command_refuse(const struct ow_command *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "onceward %s: ", command->name);
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, "\nusage: onceward %s %s\n", command->name, command->usage);
    va_end(arguments);
    return ow_status_exit_code(OW_BAD_CONFIG);
}

int ow_command_fail(enum ow_status status, const struct ow_err *err)
{
    (void)fprintf(stderr, "onceward: %s\n", err->text);
    return ow_status_exit_code(status);
}
