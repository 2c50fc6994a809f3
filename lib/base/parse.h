/*
 * parse: numbers, durations and times from text, strictly. No locale, no errno, no surprises.
 *
 * Failure: false, and the output is untouched.
 */
#ifndef OW_BASE_PARSE_H
#define OW_BASE_PARSE_H

#include "base/slice.h"

/* Decimal digits with an optional '-', the whole slice, within int64_t. */
bool ow_parse_i64(struct ow_slice text, int64_t *ret_value);

/* "250ms", "30s", "5m", "72h", "45d": a non-negative integer and one unit. Limit: 100,000 days. */
bool ow_parse_duration_ms(struct ow_slice text, int64_t *ret_ms);

/* RFC 3339 (2026-11-22T10:00:00.123Z, any offset, 't' and 'z' too, second 60 counted as 59.999);
 * truncated to milliseconds. */
bool ow_parse_time_ms(struct ow_slice text, int64_t *ret_ms);

enum { OW_TIME_TEXT_BYTES = 32 };
/* Writes "2026-11-22T10:00:00.123Z" with a NUL. */
void ow_format_time_ms(int64_t time_ms, char text[OW_TIME_TEXT_BYTES]);

#endif
