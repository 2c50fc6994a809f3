/*
 * status: operating failures, their policy and their exit code, declared once.
 *
 * A status says that we could not go on; what became of a record is an outcome (model/outcome.h)
 * and never a status. Failure: detail goes into struct ow_err, the last parameter, written only on
 * failure. Threads: values. Memory: ow_err is caller storage with a bounded text.
 */
#ifndef OW_BASE_STATUS_H
#define OW_BASE_STATUS_H

#include "base/contract.h"

/*
 * X(name, action, exit code, text). The action is the policy of who owns the top loop:
 * RETRY wait and do the same again · QUARANTINE the record is guilty · STOP end the process with
 * the exit code.
 */
#define OW_STATUS_TABLE(X)                                                                         \
    X(OK, NONE, 0, "done")                                                                         \
    X(FAILED, STOP, 1, "failed")                                                                   \
    X(BAD_CONFIG, STOP, 2, "wrong usage or configuration")                                         \
    X(DIFFERENT, STOP, 3, "a check found differences")                                             \
    X(UNSAFE, STOP, 4, "unsafe to go on")                                                          \
    X(TEMPORARY, STOP, 75, "temporary failure, try again")                                         \
    X(STORE_UNKNOWN, STOP, 75, "the result of a commit is unknown, start again")                   \
    X(STORE_FULL, RETRY, 75, "no space left for the store")                                        \
    X(RECORD_REFUSED, QUARANTINE, 1, "the store refuses a record")

enum ow_status {
#define OW_STATUS_ENUM(name, action, code, text) OW_##name,
    OW_STATUS_TABLE(OW_STATUS_ENUM)
#undef OW_STATUS_ENUM
};

enum ow_action { OW_ACTION_NONE, OW_ACTION_RETRY, OW_ACTION_QUARANTINE, OW_ACTION_STOP };

struct ow_err {
    char text[1024]; /* lower case, the fault first, no full stop */
};

const char *ow_status_text(enum ow_status status);
enum ow_action ow_status_action(enum ow_status status);
int ow_status_exit_code(enum ow_status status);

/* Writes the text of a failure and returns the status, so that a caller can return it in one line.
 */
enum ow_status ow_fail(struct ow_err *err, enum ow_status status, const char *format, ...)
    OW_PRINTF(3, 4);

/* Puts "prefix: " before the text that is there and returns the status. */
enum ow_status ow_fail_within(struct ow_err *err, enum ow_status status, const char *format, ...)
    OW_PRINTF(3, 4);

/* The only macro that returns. */
#define OW_TRY(expression)                                                                         \
    do {                                                                                           \
        const enum ow_status ow_try_status_ = (expression);                                        \
        if (ow_try_status_ != OW_OK) {                                                             \
            return ow_try_status_;                                                                 \
        }                                                                                          \
    } while (0)

#endif
