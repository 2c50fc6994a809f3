#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINE_BYTES = 1200 };

static void say(const struct ow_check *check, enum ow_check_level level, enum ow_status status,
                const char *subject, const char *format, va_list arguments)
    __attribute__((format(printf, 5, 0)));

static void say(const struct ow_check *check, enum ow_check_level level, enum ow_status status,
                const char *subject, const char *format, va_list arguments)
{
    char text[LINE_BYTES];
    (void)vsnprintf(text, sizeof text, format, arguments);
    check->line(check->context, level, status, subject, text);
}

void ow_check_good(const struct ow_check *check, const char *subject, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(check, OW_CHECK_GOOD, OW_OK, subject, format, arguments);
    va_end(arguments);
}

void ow_check_warning(const struct ow_check *check, const char *subject, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(check, OW_CHECK_WARNING, OW_OK, subject, format, arguments);
    va_end(arguments);
}

void ow_check_failed(const struct ow_check *check, enum ow_status status, const char *subject,
                     const char *format, ...)
{
    OW_REQUIRE(status != OW_OK);
    va_list arguments;
    va_start(arguments, format);
    say(check, OW_CHECK_FAILED, status, subject, format, arguments);
    va_end(arguments);
}
