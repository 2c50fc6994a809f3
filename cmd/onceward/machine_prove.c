#include "machine_prove.h"

#include "base/clock.h"
#include "base/parse.h"
#include "command.h"
#include "model/prove.h"

#include <unistd.h>

/* DESIGN 7: a progress line for what takes over 2 s, redrawn at most five times a second. */
static const int64_t show_after_ns = 2000000000;
static const int64_t show_every_ns = 200000000;

struct progress {
    struct ow_clock clock;
    const char *machine;
    int64_t start_ns, shown_ns;
};

static void show_progress(void *context, size_t length, size_t done, size_t total)
{
    struct progress *const progress = context;
    const int64_t now_ns = ow_clock_elapsed_ns(&progress->clock);
    if (now_ns - progress->start_ns < show_after_ns ||
        now_ns - progress->shown_ns < show_every_ns) {
        return;
    }
    if (isatty(STDERR_FILENO) != 1 && progress->shown_ns != 0) {
        return; /* a log needs to hear of it once */
    }
    progress->shown_ns = now_ns;
    (void)fprintf(stderr, "%s%s: sequences of %zu events: %zu of %zu configurations%s",
                  isatty(STDERR_FILENO) == 1 ? "\r\033[K" : "", progress->machine, length + 1, done,
                  total, isatty(STDERR_FILENO) == 1 ? "" : " so far\n");
}

static void end_progress(const struct progress *progress)
{
    if (progress->shown_ns != 0 && isatty(STDERR_FILENO) == 1) {
        (void)fputs("\r\033[K", stderr);
    }
}

enum result { KEPT, SHORTER, BROKEN, IMPOSSIBLE };

/* Proves one machine and prints it, or appends it to list. */
static enum result prove_one(const struct ow_machines *machines, size_t number,
                             const struct ow_prove_options *asked, enum ow_output output,
                             json_t *list)
{
    const struct ow_machine *const machine = machines->list[number];
    struct progress progress = {.clock = ow_clock_system(), .machine = machine->name};
    struct ow_prove_options options = *asked;
    struct ow_arena arena;
    struct ow_proof proof;
    struct ow_err err;
    progress.start_ns = ow_clock_elapsed_ns(&progress.clock);
    options.progress = show_progress;
    options.context = &progress;
    ow_arena_init(&arena, 65536);
    enum result result = IMPOSSIBLE;
    const enum ow_status status = ow_prove(machines, machine, &options, &arena, &proof, &err);
    end_progress(&progress);
    if (status != OW_OK) {
        (void)ow_command_fail(status, &err);
    } else {
        if (output == OW_OUTPUT_TABLE) {
            printf("%s", number == 0 ? "" : "\n");
            ow_machine_prove_text(&proof, options.length);
        } else {
            json_array_append_new(list, ow_machine_prove_json(&proof, options.length));
        }
        result = proof.broken != NULL ? BROKEN : proof.length < options.length ? SHORTER : KEPT;
    }
    ow_arena_done(&arena);
    return result;
}

static bool parse_length(const char *text, size_t *ret_length)
{
    int64_t length = OW_PROVE_LENGTH_DEFAULT;
    if (text != NULL && !ow_parse_i64(ow_slice_of(text), &length)) {
        return false;
    }
    *ret_length = (size_t)length;
    return length >= 1 && length <= OW_PROVE_LENGTH_MAX;
}

int ow_machine_prove(const struct ow_machines *machines, enum ow_output output, const char *length)
{
    struct ow_prove_options options = {.configurations_max = OW_PROVE_CONFIGURATIONS_MAX,
                                       .decide = ow_decide};
    OW_JSON *list = json_array();
    enum result worst = KEPT;
    if (!parse_length(length, &options.length)) {
        return ow_command_refuse(&ow_command_machine, "--length: expects a number from 1 to %d",
                                 OW_PROVE_LENGTH_MAX);
    }
    for (size_t i = 0; i < machines->count; i++) {
        const enum result result = prove_one(machines, i, &options, output, list);
        worst = result > worst ? result : worst;
    }
    if (output != OW_OUTPUT_TABLE && json_array_size(list) > 0) {
        ow_output_json(output, machines->count == 1 ? json_array_get(list, 0) : list);
    }
    if (worst == BROKEN) {
        return ow_status_exit_code(OW_DIFFERENT);
    }
    /* Less than was asked for is a failure; less than the default is told, and is none. */
    const bool is_less = worst == SHORTER && length != NULL;
    return ow_status_exit_code(is_less || worst == IMPOSSIBLE ? OW_FAILED : OW_OK);
}
