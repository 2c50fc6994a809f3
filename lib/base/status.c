#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *text;
    enum ow_action action;
    int exit_code;
} statuses[] = {
#define OW_STATUS_ROW(name, status_action, code, status_text)                                      \
    [OW_##name] = {.text = (status_text), .action = OW_ACTION_##status_action, .exit_code = (code)},
    OW_STATUS_TABLE(OW_STATUS_ROW)
#undef OW_STATUS_ROW
};

const char *ow_status_text(enum ow_status status)
{
    return statuses[status].text;
}

enum ow_action ow_status_action(enum ow_status status)
{
    return statuses[status].action;
}

int ow_status_exit_code(enum ow_status status)
{
    return statuses[status].exit_code;
}

enum ow_status ow_fail(struct ow_err *err, enum ow_status status, const char *format, ...)
{
    OW_REQUIRE(status != OW_OK);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(err->text, sizeof(err->text), format, arguments);
    va_end(arguments);
    return status;
}

enum ow_status ow_fail_within(struct ow_err *err, enum ow_status status, const char *format, ...)
{
    OW_REQUIRE(status != OW_OK);
    char inner[sizeof(err->text)];
    memcpy(inner, err->text, sizeof(inner));
    va_list arguments;
    va_start(arguments, format);
    const int written = vsnprintf(err->text, sizeof(err->text), format, arguments);
    va_end(arguments);
    const size_t used = written < 0 ? 0 : (size_t)written;
    if (used < sizeof(err->text)) {
        const size_t left = sizeof(err->text) - used;
        (void)snprintf(err->text + used, left, ": %.*s", (int)left, inner);
    }
    return status;
}
