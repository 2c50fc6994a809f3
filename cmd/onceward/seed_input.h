/*
 * seed_input: the rows that `claims seed` and `seed entities` are given: lines of a file, or a
 * query on an SQLite database, one JSON object each.
 *
 * Threads: the main thread. Memory: malloc'ed, until _close. Failure: BAD_CONFIG (nothing, or no
 * such file), FAILED; a row that cannot be read is a problem and no failure. Trust: an export.
 */
#ifndef OW_CMD_SEED_INPUT_H
#define OW_CMD_SEED_INPUT_H

#include "base/arena.h"
#include "base/status.h"
#include "command.h"

#include <jansson.h>

struct ow_seed_input;

/* The options, for a command's table. */
#define OW_ARGUMENT_FROM_JSONL                                                                     \
    {                                                                                              \
        .name = "from-jsonl", .value = "FILE",                                                     \
        .text = "Rows to take over: a JSON object a line; - is stdin."                             \
    }
#define OW_ARGUMENT_FROM_SQLITE                                                                    \
    {                                                                                              \
        .name = "from-sqlite", .value = "DB",                                                      \
        .text = "Rows to take over: those of --sql on this SQLite database, read-only."            \
    }
#define OW_ARGUMENT_SQL                                                                            \
    {                                                                                              \
        .name = "sql", .value = "QUERY",                                                           \
        .text = "A query whose columns have the names of the members."                             \
    }
#define OW_ARGUMENT_SKIP_BAD                                                                       \
    {                                                                                              \
        .name = "skip-bad",                                                                        \
        .text = "Tells and counts bad rows, in place of stopping at the first."                    \
    }

/* What is wrong with the options that say where rows come from, or NULL. extra: another source was
 * named besides. */
const char *ow_seed_input_mistake(const struct ow_invocation *invocation, bool extra);

enum ow_status ow_seed_input_open(const struct ow_invocation *invocation,
                                  struct ow_seed_input **ret_input, struct ow_err *err) OW_MUST_USE;
/*
 * The next row: *ret_row is the caller's. It is NULL at the end; or where *ret_problem says what is
 * wrong with it, in the arena. Blank lines are none.
 */
enum ow_status ow_seed_input_next(struct ow_seed_input *input, struct ow_arena *arena,
                                  json_t **ret_row, const char **ret_problem, struct ow_err *err)
    OW_MUST_USE;
/* Takes NULL. */
void ow_seed_input_close(struct ow_seed_input *input);

/* Where the last row stands: "rows.jsonl", 17. */
const char *ow_seed_input_name(const struct ow_seed_input *input);
int64_t ow_seed_input_number(const struct ow_seed_input *input);
/* How far it is: bytes of *ret_goal, which is 0 where that is not known. */
int64_t ow_seed_input_done(const struct ow_seed_input *input, int64_t *ret_goal);

#endif
