/*
 * foreign: the rows of a query on somebody else's SQLite database, as JSON objects.
 *
 * Opened read-only, with query_only; nothing is ever written there. One snapshot is held until
 * _close. Threads: the caller's. Memory:
 * malloc'ed, until _close. Failure: BAD_CONFIG (no such file, no query, a query that is none),
 * FAILED, TEMPORARY (it is locked). Trust: a file and a query that an operator names; the schema
 * cannot run functions with side effects.
 */
#ifndef OW_STORE_FOREIGN_H
#define OW_STORE_FOREIGN_H

#include "base/status.h"

#include <jansson.h>

struct ow_foreign;

enum ow_status ow_foreign_open(const char *path, const char *query, struct ow_foreign **ret_foreign,
                               struct ow_err *err) OW_MUST_USE;
/*
 * The next row: members by the columns' names (integers, texts, reals, null). *ret_row: NULL at the
 * end; else the caller's. A blob, or a text that is no UTF-8, is told in *ret_problem instead.
 */
enum ow_status ow_foreign_next(struct ow_foreign *foreign, json_t **ret_row,
                               const char **ret_problem, struct ow_err *err) OW_MUST_USE;
/* Takes NULL. */
void ow_foreign_close(struct ow_foreign *foreign);

#endif
