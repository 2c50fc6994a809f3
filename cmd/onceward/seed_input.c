#include "seed_input.h"

#include "model/json.h"
#include "store/foreign.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LINE_BYTES_MAX = 16 << 20 };

struct ow_seed_input {
    const char *name;
    FILE *file; /* NULL: a query */
    struct ow_foreign *foreign;
    char *line;
    size_t line_room;
    int64_t number, done, goal;
};

const char *ow_seed_input_mistake(const struct ow_invocation *invocation, bool extra)
{
    const bool file = ow_invocation_has(invocation, "from-jsonl");
    const bool database = ow_invocation_has(invocation, "from-sqlite");
    if (file + database + extra != 1) {
        return "say once where the rows come from";
    }
    return database == ow_invocation_has(invocation, "sql") ? NULL
                                                            : "--from-sqlite and --sql go together";
}

static enum ow_status open_file(struct ow_seed_input *input, struct ow_err *err)
{
    if (strcmp(input->name, "-") == 0) {
        input->name = "stdin";
        input->file = stdin;
        return OW_OK;
    }
    struct stat facts;
    input->file = fopen(input->name, "re");
    if (input->file == NULL || fstat(fileno(input->file), &facts) != 0) {
        return ow_fail(err, OW_BAD_CONFIG, "cannot read '%s': %s", input->name,
                       strerrordesc_np(errno));
    }
    input->goal = S_ISREG(facts.st_mode) ? facts.st_size : 0;
    return OW_OK;
}

enum ow_status ow_seed_input_open(const struct ow_invocation *invocation,
                                  struct ow_seed_input **ret_input, struct ow_err *err)
{
    struct ow_seed_input *input = calloc(1, sizeof(*input));
    if (input == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    input->name = ow_invocation_value(invocation, "from-jsonl");
    enum ow_status status = OW_OK;
    if (input->name != NULL) {
        status = open_file(input, err);
    } else {
        input->name = ow_invocation_value(invocation, "from-sqlite");
        status = ow_foreign_open(input->name, ow_invocation_value(invocation, "sql"),
                                 &input->foreign, err);
    }
    if (status != OW_OK) {
        ow_seed_input_close(input);
        return status;
    }
    *ret_input = input;
    return OW_OK;
}

static enum ow_status next_line(struct ow_seed_input *input, struct ow_arena *arena,
                                json_t **ret_row, const char **ret_problem, struct ow_err *err)
{
    for (;;) {
        const ssize_t len = getline(&input->line, &input->line_room, input->file);
        if (len < 0) {
            return ferror(input->file) == 0
                       ? OW_OK
                       : ow_fail(err, OW_FAILED, "cannot read '%s' beyond line %lld", input->name,
                                 (long long)input->number);
        }
        input->number++;
        input->done += len;
        const struct ow_slice line = {(const uint8_t *)input->line, (size_t)len};
        if (line.len > LINE_BYTES_MAX) {
            *ret_problem = "it is longer than 16 MiB";
            return OW_OK;
        }
        if (strspn(input->line, " \t\r\n") < line.len) {
            *ret_row = ow_json_parse(line, arena, ret_problem);
            return OW_OK;
        }
    }
}

enum ow_status ow_seed_input_next(struct ow_seed_input *input, struct ow_arena *arena,
                                  json_t **ret_row, const char **ret_problem, struct ow_err *err)
{
    *ret_row = NULL;
    *ret_problem = NULL;
    if (input->file != NULL) {
        return next_line(input, arena, ret_row, ret_problem, err);
    }
    OW_JSON *row = NULL;
    OW_TRY(ow_foreign_next(input->foreign, &row, ret_problem, err));
    input->number += row != NULL;
    input->done = input->number;
    if (*ret_problem == NULL) {
        *ret_row = json_incref(row);
    }
    return OW_OK;
}

void ow_seed_input_close(struct ow_seed_input *input)
{
    if (input == NULL) {
        return;
    }
    if (input->file != NULL) {
        (void)fclose(input->file); /* standard input too: nobody else reads it */
    }
    ow_foreign_close(input->foreign);
    free(input->line);
    free(input);
}

const char *ow_seed_input_name(const struct ow_seed_input *input)
{
    return input->name;
}

int64_t ow_seed_input_number(const struct ow_seed_input *input)
{
    return input->number;
}

int64_t ow_seed_input_done(const struct ow_seed_input *input, int64_t *ret_goal)
{
    *ret_goal = input->goal;
    return input->done;
}
