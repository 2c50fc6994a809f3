#include "manual.h"

#include "config.h"
#include "model/machine_option.h"

static void begin(struct ow_buffer *out, const char *title, const char *section, const char *name,
                  const char *about)
{
    /* A fixed date: the page is compared with what is committed. */
    ow_buffer_printf(out,
                     ".Dd November 22, 2026\n.Dt %s %s\n.Os onceward\n.Sh NAME\n.Nm %s\n.Nd %s\n",
                     title, section, name, about);
}

/* A backslash begins an escape, a dot at the start of a line a request. */
static void append_text(struct ow_buffer *out, const char *text)
{
    bool line_start = true;
    for (const char *at = text; *at != '\0'; at++) {
        if (line_start && (*at == '.' || *at == '\'')) {
            ow_buffer_text(out, "\\&");
        }
        if (*at == '\\') {
            ow_buffer_text(out, "\\e");
        } else {
            ow_buffer_byte(out, (uint8_t)*at);
        }
        line_start = *at == '\n';
    }
    ow_buffer_byte(out, '\n');
}

static void append_command(struct ow_buffer *out, const struct ow_command *command)
{
    ow_buffer_printf(out, ".Ss %s\n.Sy onceward %s\n%s\n.Pp\n", command->name, command->name,
                     command->usage);
    append_text(out, command->summary);
    if (command->text != NULL) {
        ow_buffer_text(out, ".Bd -literal\n");
        append_text(out, command->text);
        ow_buffer_text(out, ".Ed\n");
    }
    if (command->arguments == NULL || command->arguments[0].name == NULL) {
        return;
    }
    ow_buffer_text(out, ".Bl -tag -width indent\n");
    for (const struct ow_argument *argument = command->arguments; argument->name != NULL;
         argument++) {
        ow_buffer_text(out, ".It ");
        if (argument->letter != 0) {
            ow_buffer_printf(out, "Fl %c , ", argument->letter);
        }
        ow_buffer_printf(out, "Fl -%s", argument->name);
        if (argument->value != NULL) {
            ow_buffer_printf(out, " Ar %s", argument->value);
        }
        ow_buffer_byte(out, '\n');
        append_text(out, argument->text);
    }
    ow_buffer_text(out, ".El\n");
}

static void append_exit_status(struct ow_buffer *out)
{
    static const struct {
        int code;
        const char *text;
    } codes[] = {
        {0,  "Done; also a clean stop on SIGTERM."                                          },
        {1,  "Failed."                                                                      },
        {2,  "Wrong usage or configuration."                                                },
        {3,  "A check found differences."                                                   },
        {4,  "Unsafe to go on: a foreign store, a topic that was made anew, a newer schema."},
        {75, "A temporary failure: try again."                                              }
    };
    ow_buffer_text(out, ".Sh EXIT STATUS\n.Bl -tag -width indent\n");
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        ow_buffer_printf(out, ".It %d\n%s\n", codes[i].code, codes[i].text);
    }
    ow_buffer_text(out, ".El\n");
}

void ow_manual_commands(struct ow_buffer *out)
{
    begin(out, "ONCEWARD", "1", "onceward", "makes each Kafka event have its business effect once");
    ow_buffer_text(out, ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar options\n"
                        ".Sh DESCRIPTION\nConsumes events from Kafka and makes each of them have "
                        "its business effect once:\n"
                        "the claim on the message, the business write, the state transition and "
                        "the position are one\n"
                        "SQLite transaction.\n.Sh COMMANDS\n");
    for (size_t i = 0; ow_commands[i] != NULL; i++) {
        append_command(out, ow_commands[i]);
    }
    append_exit_status(out);
    ow_buffer_text(out, ".Sh ENVIRONMENT\n.Bl -tag -width indent\n.It Ev NO_COLOR\nNo colours, "
                        "also on a terminal.\n.El\n"
                        ".Sh SEE ALSO\n.Xr onceward.yaml 5 ,\n.Xr onceward-machine 5\n");
}

void ow_manual_config(struct ow_buffer *out)
{
    begin(out, "ONCEWARD.YAML", "5", "onceward.yaml", "configuration of onceward");
    ow_buffer_text(
        out,
        ".Sh DESCRIPTION\nYAML (core schema; no anchors, aliases, tags or duplicate keys) or "
        "JSON.\n"
        "In values ${VAR} and ${VAR:default} stand for variables of the environment, $${ for ${.\n"
        "Unknown keys, wrong types and values out of range are errors.\n.Sh KEYS\n");
    ow_option_manual(ow_config_options(), out);
    ow_buffer_text(out, ".Sh SEE ALSO\n.Xr onceward 1 ,\n.Xr onceward-machine 5\n");
}

void ow_manual_machine(struct ow_buffer *out)
{
    begin(out, "ONCEWARD-MACHINE", "5", "onceward-machine", "state machine files of onceward");
    ow_buffer_text(
        out, ".Sh DESCRIPTION\nYAML or JSON, as in\n.Xr onceward.yaml 5 ,\nbut without variables.\n"
             "At load every (state, event) cell is computed: a state that the event starts from "
             "applies it;\n"
             "a state that cannot be reached without the event is stale; one from which a start "
             "can still be\n"
             "reached parks it; else it is rejected.\nA cell that fits both stale and park must be "
             "decided by overrides.\n"
             ".Sh KEYS\n");
    ow_option_manual(ow_machine_options(), out);
    ow_buffer_text(out, ".Sh SEE ALSO\n.Xr onceward 1 ,\n.Xr onceward.yaml 5\n");
}
