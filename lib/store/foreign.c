#include "store/foreign.h"

#include "base/contract.h"
#include "store/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ow_foreign {
    struct ow_sql sql;
    struct ow_statement query;
    char problem[256];
};

/* One statement, and one that gives rows. */
static enum ow_status prepare(struct ow_foreign *foreign, const char *query, struct ow_err *err)
{
    sqlite3_stmt *handle = NULL;
    const char *rest = "";
    const int code = sqlite3_prepare_v2(foreign->sql.handle, query, -1, &handle, &rest);
    foreign->query = (struct ow_statement){.sql = &foreign->sql, .handle = handle};
    if (code != SQLITE_OK) {
        return ow_fail(err, (code & 0xff) == SQLITE_BUSY ? OW_TEMPORARY : OW_BAD_CONFIG,
                       "the query: %s", sqlite3_errmsg(foreign->sql.handle));
    }
    if (handle == NULL || sqlite3_column_count(handle) == 0 || sqlite3_stmt_readonly(handle) == 0) {
        return ow_fail(err, OW_BAD_CONFIG, "the query gives no rows");
    }
    return rest[strspn(rest, " \t\r\n;")] == '\0'
               ? OW_OK
               : ow_fail(err, OW_BAD_CONFIG, "the query is more than one statement");
}

enum ow_status ow_foreign_open(const char *path, const char *query, struct ow_foreign **ret_foreign,
                               struct ow_err *err)
{
    if (access(path, R_OK) != 0) {
        return ow_fail(err, OW_BAD_CONFIG, "cannot read database '%s'", path);
    }
    struct ow_foreign *foreign = calloc(1, sizeof(*foreign));
    if (foreign == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    enum ow_status status = ow_sql_open(&foreign->sql, path, OW_SQL_READER, err);
    if (status == OW_OK) {
        status = prepare(foreign, query, err);
    }
    if (status != OW_OK) {
        ow_foreign_close(foreign);
        return ow_fail_within(err, status, "%s", path);
    }
    *ret_foreign = foreign;
    return OW_OK;
}

/* NULL where JSON has nothing for it. */
static json_t *value_of(sqlite3_stmt *row, int column)
{
    switch (sqlite3_column_type(row, column)) {
    case SQLITE_NULL:
        return json_null();
    case SQLITE_INTEGER:
        return json_integer(sqlite3_column_int64(row, column));
    case SQLITE_FLOAT:
        return json_real(sqlite3_column_double(row, column));
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_column_text(row, column);
        return json_stringn(text, (size_t)sqlite3_column_bytes(row, column));
    }
    default:
        return NULL;
    }
}

enum ow_status ow_foreign_next(struct ow_foreign *foreign, json_t **ret_row,
                               const char **ret_problem, struct ow_err *err)
{
    bool is_row = false;
    sqlite3_stmt *handle = foreign->query.handle;
    *ret_row = NULL;
    *ret_problem = NULL;
    const enum ow_status status = ow_sql_step(&foreign->query, &is_row, err);
    if (status != OW_OK) {
        /* Nothing was being committed. */
        return ow_fail_within(err, status == OW_STORE_UNKNOWN ? OW_FAILED : status, "the query");
    }
    if (!is_row) {
        return OW_OK;
    }
    *ret_row = json_object();
    for (int c = 0; c < sqlite3_column_count(handle); c++) {
        const char *name = sqlite3_column_name(handle, c);
        if (json_object_set_new(*ret_row, name, value_of(handle, c)) != 0) {
            (void)snprintf(foreign->problem, sizeof(foreign->problem),
                           "'%s' is a blob, or no UTF-8 (as text: hex() or CAST)", name);
            *ret_problem = foreign->problem;
        }
    }
    return OW_OK;
}

void ow_foreign_close(struct ow_foreign *foreign)
{
    if (foreign == NULL) {
        return;
    }
    ow_sql_finalize(&foreign->query);
    ow_sql_close(&foreign->sql);
    free(foreign);
}
