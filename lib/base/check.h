/*
 * check: the lines of `onceward check`: what was looked at, and how it is. Each layer looks at what
 * is its own.
 *
 * Threads: one. Memory: texts are borrowed for the call.
 */
#ifndef OW_BASE_CHECK_H
#define OW_BASE_CHECK_H

#include "base/status.h"

enum ow_check_level { OW_CHECK_GOOD, OW_CHECK_WARNING, OW_CHECK_FAILED };

struct ow_check {
    /* status: OK, or with FAILED what `run` would end with. subject: "store", "topic order-events".
     */
    void (*line)(void *context, enum ow_check_level level, enum ow_status status,
                 const char *subject, const char *text);
    void *context;
};

void ow_check_good(const struct ow_check *check, const char *subject, const char *format, ...)
    OW_PRINTF(3, 4);
void ow_check_warning(const struct ow_check *check, const char *subject, const char *format, ...)
    OW_PRINTF(3, 4);
void ow_check_failed(const struct ow_check *check, enum ow_status status, const char *subject,
                     const char *format, ...) OW_PRINTF(4, 5);

#endif
