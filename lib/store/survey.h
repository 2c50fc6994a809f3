/*
 * survey: a few numbers of a database for whoever watches a worker from outside: how much was
 * handled, what the tables hold.
 *
 * Each call opens a read-only connection and closes it again, so it never stands in the worker's
 * way for long, and the worker may die at any moment. Threads: any. Memory: the caller's. Failure:
 * TEMPORARY where the database is not there yet; FAILED.
 */
#ifndef OW_STORE_SURVEY_H
#define OW_STORE_SURVEY_H

#include "base/status.h"
#include "model/outcome.h"

#include <stddef.h>
#include <stdint.h>

/* Sums over all positions. */
struct ow_survey_counters {
    int64_t counts[OW_OUTCOME_COUNT];
    int64_t records; /* of all outcomes */
    int64_t reread;
    int64_t epoch; /* how often the store was opened */
};

enum ow_status ow_survey_counters(const char *path, struct ow_survey_counters *ret_counters,
                                  struct ow_err *err) OW_MUST_USE;

/* The rows of a table that have one text in a column. */
struct ow_survey_group {
    char name[48]; /* cut where longer */
    int64_t rows;
    int64_t sum; /* of another column */
};

/* Names are ours or a machine's, never foreign text. */
struct ow_survey_query {
    const char *path;
    const char *table;
    const char *by;  /* a column; NULL: one group of all rows, named "" */
    const char *sum; /* a column; NULL: sums are 0 */
};

/* Groups a table by a column, in order of its texts, and sums another. At most capacity groups. */
enum ow_status ow_survey_groups(const struct ow_survey_query *query, struct ow_survey_group *groups,
                                size_t capacity, size_t *ret_count, struct ow_err *err) OW_MUST_USE;

#endif
