/*
 * sql: a thin wrapper over sqlite3, private to lib/store: connections, prepared statements, and
 * what a result code means. SQLite's codes go no further than sql.c.
 *
 * Threads: one owner at a time (opened without SQLite's mutexes). Memory: SQLite's; column slices
 * are borrowed until the statement is stepped or reset. Failure: full disk → STORE_FULL with the
 * transaction rolled back; I/O error, corruption, out of memory → STORE_UNKNOWN; somebody else's
 * lock → TEMPORARY; a refused row → RECORD_REFUSED (ow_sql_write) or FAILED.
 */
#ifndef OW_STORE_SQL_H
#define OW_STORE_SQL_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/status.h"
#include "model/value.h"

#include <sqlite3.h>

struct ow_sql {
    sqlite3 *handle;
    bool unknown; /* a result was STORE_UNKNOWN: the connection is of no more use */
    bool damaged; /* likewise, because a page is not what it should be */
};

/* A prepared statement. Parameters are bound in their order, starting anew after each run or reset.
 */
struct ow_statement {
    struct ow_sql *sql;
    sqlite3_stmt *handle;
    int bound;             /* parameters bound so far */
    int bind_code;         /* the first bind that failed */
    struct ow_buffer *row; /* what is bound is written there too (seal_row.h); NULL: it is not */
};

enum ow_sql_mode { OW_SQL_OWNER, OW_SQL_READER };

/* OWNER creates the file where it is missing; READER is mode=ro with query_only. */
enum ow_status ow_sql_open(struct ow_sql *sql, const char *path, enum ow_sql_mode mode,
                           struct ow_err *err) OW_MUST_USE;
/* Every statement must be finalized before. */
void ow_sql_close(struct ow_sql *sql);

/* Runs statements without parameters; rows are thrown away. */
enum ow_status ow_sql_exec(struct ow_sql *sql, const char *text, struct ow_err *err) OW_MUST_USE;
/* The first column of the first row; 0 where there is none. */
enum ow_status ow_sql_query_i64(struct ow_sql *sql, const char *text, int64_t *ret_value,
                                struct ow_err *err) OW_MUST_USE;
/* Whether the last call failed because the file is no SQLite database. */
bool ow_sql_is_foreign(const struct ow_sql *sql);
/* Whether the file is no longer under the name that it was opened by. */
bool ow_sql_has_moved(const struct ow_sql *sql);
/* How large the file of the write-ahead log is. */
int64_t ow_sql_wal_bytes(const struct ow_sql *sql);
/* Writes the whole log back and empties its file; *ret_done is false where somebody reads an old
 * state for longer than we wait (5 s). Not within a transaction. */
enum ow_status ow_sql_wal_empty(struct ow_sql *sql, bool *ret_done, struct ow_err *err) OW_MUST_USE;
/* Whether a transaction is open. */
bool ow_sql_in_transaction(const struct ow_sql *sql);
/* COMMIT: durable where OK. STORE_FULL: rolled back; anything else: STORE_UNKNOWN. */
enum ow_status ow_sql_commit(struct ow_sql *sql, struct ow_err *err) OW_MUST_USE;
/* How many pages were read from the file since the last call: what is in the cache is not read. */
int64_t ow_sql_pages_read(struct ow_sql *sql);
/* ROLLBACK where a transaction is open. */
void ow_sql_rollback(struct ow_sql *sql);

enum ow_status ow_sql_prepare(struct ow_sql *sql, const char *text,
                              struct ow_statement *ret_statement, struct ow_err *err) OW_MUST_USE;
/* Takes a zeroed statement. For OW_CLEANUP too. */
void ow_sql_finalize(struct ow_statement *statement);

void ow_sql_bind_i64(struct ow_statement *statement, int64_t value);
void ow_sql_bind_null(struct ow_statement *statement);
/* NULL where value is none. */
void ow_sql_bind_unless(struct ow_statement *statement, int64_t value, int64_t none);
/* Bytes are borrowed until the statement is run; the absent slice is NULL. */
void ow_sql_bind_text(struct ow_statement *statement, struct ow_slice text);
void ow_sql_bind_cstr(struct ow_statement *statement, const char *text);
void ow_sql_bind_blob(struct ow_statement *statement, struct ow_slice blob);
void ow_sql_bind_value(struct ow_statement *statement, const struct ow_value *value);

/* To the next row. At the end, and on failure, the statement is reset. */
enum ow_status ow_sql_step(struct ow_statement *statement, bool *ret_row, struct ow_err *err)
    OW_MUST_USE;
/* To the end. A refused row is our own bug: FAILED. ret_changes: rows changed, may be NULL. */
enum ow_status ow_sql_run(struct ow_statement *statement, int64_t *ret_changes, struct ow_err *err)
    OW_MUST_USE;
/* Likewise, but a refused row (constraint, trigger, too big, wrong type) is some record's:
 * RECORD_REFUSED. */
enum ow_status ow_sql_write(struct ow_statement *statement, int64_t *ret_changes,
                            struct ow_err *err) OW_MUST_USE;
void ow_sql_reset(struct ow_statement *statement);

bool ow_sql_is_null(const struct ow_statement *statement, int column);
int64_t ow_sql_i64(const struct ow_statement *statement, int column);
/* Text or blob; absent where NULL. */
struct ow_slice ow_sql_slice(const struct ow_statement *statement, int column);
struct ow_slice ow_sql_copy(const struct ow_statement *statement, int column,
                            struct ow_arena *arena);
/* NULL, integer or text, by what is stored. Texts are copied into arena, or borrowed where it is
 * NULL. */
struct ow_value ow_sql_value(const struct ow_statement *statement, int column,
                             struct ow_arena *arena);

#define OW_STATEMENT OW_CLEANUP(ow_sql_finalize) struct ow_statement

#endif
