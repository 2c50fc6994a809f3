/*
 * log: talk for people and machines on stderr, one logfmt line an event. Data goes to stdout and
 * never through here.
 *
 * Only cmd/ and the top loops of engine/ log; everything below returns a status.
 * Threads: any; a line is written by one write(2).
 */
#ifndef OW_BASE_LOG_H
#define OW_BASE_LOG_H

#include "base/contract.h"

enum ow_log_level { OW_LOG_DEBUG, OW_LOG_INFO, OW_LOG_WARN, OW_LOG_ERROR };

void ow_log_set_level(enum ow_log_level least);
enum ow_log_level ow_log_get_level(void);

/* event: a stable name such as "assigned"; format: further fields, "topic=%s partition=%d". Quoting
 * is the caller's. */
void ow_log(enum ow_log_level level, const char *event, const char *format, ...) OW_PRINTF(3, 4);

/* A progress line that the next log line must not run into (a terminal's status line); NULL takes
 * it away. */
void ow_log_set_status_line(const char *line);

#endif
