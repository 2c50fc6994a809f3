#include "base/log.h"

#include "base/clock.h"
#include "base/parse.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Atomic int level_least = OW_LOG_INFO;

/* The one line at the bottom of a terminal that progress lives in. */
static pthread_mutex_t status_line_lock = PTHREAD_MUTEX_INITIALIZER;
static char status_line[512];

void ow_log_set_level(enum ow_log_level least)
{
    atomic_store(&level_least, (int)least);
}

enum ow_log_level ow_log_get_level(void)
{
    return (enum ow_log_level)atomic_load(&level_least);
}

static void put(const char *text, size_t len)
{
    /* A log that cannot be written has nowhere to say so. */
    const ssize_t ignored = write(STDERR_FILENO, text, len);
    (void)ignored;
}

void ow_log(enum ow_log_level level, const char *event, const char *format, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if (level < ow_log_get_level()) {
        return;
    }
    char time_text[OW_TIME_TEXT_BYTES];
    const struct ow_clock clock = ow_clock_system();
    ow_format_time_ms(ow_clock_now_ms(&clock), time_text);

    char line[2048];
    const int head =
        snprintf(line, sizeof(line), "time=%s level=%s event=%s ", time_text, names[level], event);
    va_list arguments;
    va_start(arguments, format);
    const int body = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format, arguments);
    va_end(arguments);
    size_t len = (size_t)head + (body < 0 ? 0 : (size_t)body);
    if (len > sizeof(line) - 2) {
        len = sizeof(line) - 2;
    }
    while (len > 0 && line[len - 1] == ' ') {
        len--;
    }
    line[len] = '\n';

    (void)pthread_mutex_lock(&status_line_lock);
    if (status_line[0] != '\0') {
        put("\r\033[K", 4);
    }
    put(line, len + 1);
    put(status_line, strlen(status_line));
    (void)pthread_mutex_unlock(&status_line_lock);
}

void ow_log_set_status_line(const char *line)
{
    (void)pthread_mutex_lock(&status_line_lock);
    if (status_line[0] != '\0' || line != NULL) {
        put("\r\033[K", 4);
    }
    (void)snprintf(status_line, sizeof(status_line), "%s", line == NULL ? "" : line);
    put(status_line, strlen(status_line));
    (void)pthread_mutex_unlock(&status_line_lock);
}
