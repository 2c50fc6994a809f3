/*
 * duration: a number of milliseconds as people write it in the files: "45d", "90m", "250ms".
 *
 * Threads: any. Memory: the caller's. What ow_parse_duration_ms reads, this writes.
 */
#ifndef OW_BASE_DURATION_H
#define OW_BASE_DURATION_H

#include <stdint.h>

enum { OW_DURATION_TEXT_MAX = 32 };

/* Exact, in the largest unit that divides it; INT64_MAX is "for ever". Returns out. */
const char *ow_duration_text(int64_t ms, char out[OW_DURATION_TEXT_MAX]);

#endif
