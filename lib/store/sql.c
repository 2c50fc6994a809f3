#include "store/sql.h"

#include "store/internal.h"
#include "store/seal_row.h"

#include <inttypes.h>

static enum ow_status sql_fail(struct ow_sql *sql, int code, bool record, struct ow_err *err);
static enum ow_status configure(struct ow_sql *sql, struct ow_err *err);
static enum ow_status run(struct ow_statement *statement, bool record, int64_t *ret_changes,
                          struct ow_err *err);

enum ow_status ow_sql_open(struct ow_sql *sql, const char *path, enum ow_sql_mode mode,
                           struct ow_err *err)
{
    *sql = (struct ow_sql){0};
    /* No mutexes: the owner is one thread at a time. EXRESCODE: extended codes from the first call
     * on. */
    const int flags =
        SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
        (mode == OW_SQL_OWNER ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
    const int code = sqlite3_open_v2(path, &sql->handle, flags, NULL);
    enum ow_status status = OW_OK;
    if (code != SQLITE_OK) {
        const int system = sql->handle == NULL ? 0 : sqlite3_system_errno(sql->handle);
        const bool passing =
            (code & 0xff) == SQLITE_IOERR || ow_store_path_status(system) == OW_TEMPORARY;
        status = ow_fail(err, passing ? OW_TEMPORARY : OW_FAILED, "cannot open store '%s': %s%s%s",
                         path, sqlite3_errstr(code), system == 0 ? "" : ": ",
                         system == 0 ? "" : strerrordesc_np(system));
    } else {
        status = configure(sql, err);
    }
    if (status == OW_OK && mode == OW_SQL_READER) {
        status = ow_sql_exec(sql, "PRAGMA query_only = ON", err);
    }
    if (status != OW_OK) {
        ow_sql_close(sql);
    }
    return status;
}

static enum ow_status configure(struct ow_sql *sql, struct ow_err *err)
{
    /* Nobody may write the schema by hand, and "x" is a name and never a string. */
    int code = sqlite3_db_config(sql->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_db_config(sql->handle, SQLITE_DBCONFIG_DQS_DML, 0, (int *)NULL);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_db_config(sql->handle, SQLITE_DBCONFIG_DQS_DDL, 0, (int *)NULL);
    }
    if (code == SQLITE_OK) {
        /* A schema from elsewhere cannot run functions with side effects. */
        code = sqlite3_db_config(sql->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
    }
    if (code == SQLITE_OK) {
        /* With one writer nobody should ever wait; an operator's tool that holds a lock for a
         * moment is forgiven. */
        code = sqlite3_busy_timeout(sql->handle, 5000);
    }
    return code == SQLITE_OK ? OW_OK : sql_fail(sql, code, false, err);
}

void ow_sql_close(struct ow_sql *sql)
{
    if (sql->handle == NULL) {
        return;
    }
    if (sql->unknown) {
        /* As if the process had been killed: the next start reads what the disk really has. */
        (void)sqlite3_db_config(sql->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    }
    const int code = sqlite3_close(sql->handle);
    OW_ENSURE(code == SQLITE_OK); /* SQLITE_BUSY: a statement was not finalized */
    sql->handle = NULL;
}

/* What a result code means. The connection's message is used while it is still that of the failed
 * call. */
static enum ow_status sql_fail(struct ow_sql *sql, int code, bool record, struct ow_err *err)
{
    OW_REQUIRE(code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE);
    const char *text = sqlite3_extended_errcode(sql->handle) == code ? sqlite3_errmsg(sql->handle)
                                                                     : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_FULL:
        (void)ow_fail(err, OW_STORE_FULL, "no space left for the store: %s", text);
        ow_sql_rollback(sql); /* mostly SQLite has done so itself; make it sure */
        return OW_STORE_FULL;
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:
        sql->unknown = true;
        sql->damaged = (code & 0xff) == SQLITE_CORRUPT;
        return ow_fail(err, OW_STORE_UNKNOWN, "the store failed: %s (SQLite code %d)", text, code);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        sql->unknown = true;
        return ow_fail(err, OW_STORE_UNKNOWN,
                       "the store failed: %s: its directory must be writable, for the -wal and -shm"
                       " beside it",
                       text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ow_fail(err, OW_TEMPORARY, "the store is locked by somebody else: %s", text);
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
        if (record) {
            return ow_fail(err, OW_RECORD_REFUSED, "the store refuses the record: %s", text);
        }
        return ow_fail(err, OW_FAILED, "the store refuses a row: %s", text);
    default:
        return ow_fail(err, OW_FAILED, "the store failed: %s (SQLite code %d)", text, code);
    }
}

enum ow_status ow_sql_exec(struct ow_sql *sql, const char *text, struct ow_err *err)
{
    const int code = sqlite3_exec(sql->handle, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? OW_OK : sql_fail(sql, code, false, err);
}

enum ow_status ow_sql_query_i64(struct ow_sql *sql, const char *text, int64_t *ret_value,
                                struct ow_err *err)
{
    OW_STATEMENT statement = {.sql = sql};
    OW_TRY(ow_sql_prepare(sql, text, &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    *ret_value = row ? ow_sql_i64(&statement, 0) : 0;
    return OW_OK;
}

bool ow_sql_is_foreign(const struct ow_sql *sql)
{
    return (sqlite3_errcode(sql->handle) & 0xff) == SQLITE_NOTADB;
}

bool ow_sql_has_moved(const struct ow_sql *sql)
{
    int moved = 0; /* stays so where the file system below does not know */
    (void)sqlite3_file_control(sql->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return moved != 0;
}

int64_t ow_sql_wal_bytes(const struct ow_sql *sql)
{
    sqlite3_file *wal = NULL;
    sqlite3_int64 bytes = 0;
    const int code = sqlite3_file_control(sql->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    if (code != SQLITE_OK || wal == NULL || wal->pMethods == NULL ||
        wal->pMethods->xFileSize(wal, &bytes) != SQLITE_OK) {
        return 0; /* whatever is wrong with it the next transaction finds out */
    }
    return bytes;
}

enum ow_status ow_sql_wal_empty(struct ow_sql *sql, bool *ret_done, struct ow_err *err)
{
    int64_t busy = 0;
    OW_TRY(ow_sql_query_i64(sql, "PRAGMA wal_checkpoint(TRUNCATE)", &busy, err));
    *ret_done = busy == 0;
    return OW_OK;
}

bool ow_sql_in_transaction(const struct ow_sql *sql)
{
    return sqlite3_get_autocommit(sql->handle) == 0;
}

int64_t ow_sql_pages_read(struct ow_sql *sql)
{
    int now = 0;
    int most = 0;
    (void)sqlite3_db_status(sql->handle, SQLITE_DBSTATUS_CACHE_MISS, &now, &most, 1);
    return now;
}

enum ow_status ow_sql_commit(struct ow_sql *sql, struct ow_err *err)
{
    const int code = sqlite3_exec(sql->handle, "COMMIT", NULL, NULL, NULL);
    if (code == SQLITE_OK) {
        OW_ENSURE(!ow_sql_in_transaction(sql));
        return OW_OK;
    }
    const enum ow_status status = sql_fail(sql, code, false, err);
    if (status == OW_STORE_FULL) {
        return status;
    }
    if ((code & 0xff) == SQLITE_CONSTRAINT) {
        /* A deferred constraint of somebody's own: known not to have been committed. */
        ow_sql_rollback(sql);
        return OW_RECORD_REFUSED;
    }
    /* Seen on 3.40.1: a COMMIT that failed with EIO was there after the next start. So never say
     * that it was not. */
    sql->unknown = true;
    return ow_fail_within(err, OW_STORE_UNKNOWN, "cannot commit");
}

void ow_sql_rollback(struct ow_sql *sql)
{
    if (sql->handle != NULL && ow_sql_in_transaction(sql)) {
        (void)sqlite3_exec(sql->handle, "ROLLBACK", NULL, NULL, NULL);
        if (ow_sql_in_transaction(sql)) {
            sql->unknown = true;
        }
    }
}

enum ow_status ow_sql_prepare(struct ow_sql *sql, const char *text,
                              struct ow_statement *ret_statement, struct ow_err *err)
{
    sqlite3_stmt *handle = NULL;
    const int code =
        sqlite3_prepare_v3(sql->handle, text, -1, SQLITE_PREPARE_PERSISTENT, &handle, NULL);
    if (code != SQLITE_OK) {
        return sql_fail(sql, code, false, err);
    }
    OW_ENSURE(handle != NULL);
    *ret_statement = (struct ow_statement){.sql = sql, .handle = handle};
    return OW_OK;
}

void ow_sql_finalize(struct ow_statement *statement)
{
    (void)sqlite3_finalize(statement->handle); /* says again what the last step said */
    *statement = (struct ow_statement){0};
}

static void bound(struct ow_statement *statement, int code)
{
    if (statement->bind_code == SQLITE_OK) {
        statement->bind_code = code;
    }
}

/* Where the row that is bound is written too, emptied before the first parameter. */
static struct ow_buffer *row_of(const struct ow_statement *statement)
{
    if (statement->row != NULL && statement->bound == 1) {
        ow_buffer_clear(statement->row);
    }
    return statement->row;
}

void ow_sql_bind_i64(struct ow_statement *statement, int64_t value)
{
    bound(statement, sqlite3_bind_int64(statement->handle, ++statement->bound, value));
    struct ow_buffer *row = row_of(statement);
    if (row != NULL) {
        ow_seal_row_i64(row, value);
    }
}

void ow_sql_bind_null(struct ow_statement *statement)
{
    bound(statement, sqlite3_bind_null(statement->handle, ++statement->bound));
    struct ow_buffer *row = row_of(statement);
    if (row != NULL) {
        ow_seal_row_null(row);
    }
}

void ow_sql_bind_unless(struct ow_statement *statement, int64_t value, int64_t none)
{
    if (value == none) {
        ow_sql_bind_null(statement);
    } else {
        ow_sql_bind_i64(statement, value);
    }
}

void ow_sql_bind_text(struct ow_statement *statement, struct ow_slice text)
{
    bound(statement,
          sqlite3_bind_text64(statement->handle, ++statement->bound, (const char *)text.ptr,
                              text.len, SQLITE_STATIC, SQLITE_UTF8));
    struct ow_buffer *row = row_of(statement);
    if (row != NULL) {
        ow_seal_row_bytes(row, OW_SEAL_TYPE_TEXT, text);
    }
}

void ow_sql_bind_cstr(struct ow_statement *statement, const char *text)
{
    ow_sql_bind_text(statement, ow_slice_of(text));
}

void ow_sql_bind_blob(struct ow_statement *statement, struct ow_slice blob)
{
    bound(statement, sqlite3_bind_blob64(statement->handle, ++statement->bound, blob.ptr, blob.len,
                                         SQLITE_STATIC));
    struct ow_buffer *row = row_of(statement);
    if (row != NULL) {
        ow_seal_row_bytes(row, OW_SEAL_TYPE_BLOB, blob);
    }
}

void ow_sql_bind_value(struct ow_statement *statement, const struct ow_value *value)
{
    switch (value->type) {
    case OW_TYPE_NULL:
        ow_sql_bind_null(statement);
        return;
    case OW_TYPE_INTEGER:
        ow_sql_bind_i64(statement, value->integer);
        return;
    case OW_TYPE_TEXT:
        ow_sql_bind_text(statement, value->text);
        return;
    }
    OW_IMPOSSIBLE("a value has a type");
}

void ow_sql_reset(struct ow_statement *statement)
{
    (void)sqlite3_reset(statement->handle);          /* says again what the last step said */
    (void)sqlite3_clear_bindings(statement->handle); /* what was bound is borrowed */
    statement->bound = 0;
    statement->bind_code = SQLITE_OK;
}

enum ow_status ow_sql_step(struct ow_statement *statement, bool *ret_row, struct ow_err *err)
{
    OW_REQUIRE(sqlite3_stmt_busy(statement->handle) != 0 ||
               statement->bound == sqlite3_bind_parameter_count(statement->handle));
    int code = statement->bind_code;
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement->handle);
    }
    if (code == SQLITE_ROW) {
        *ret_row = true;
        return OW_OK;
    }
    const enum ow_status status =
        code == SQLITE_DONE ? OW_OK : sql_fail(statement->sql, code, false, err);
    ow_sql_reset(statement);
    *ret_row = false;
    return status;
}

enum ow_status ow_sql_run(struct ow_statement *statement, int64_t *ret_changes, struct ow_err *err)
{
    return run(statement, false, ret_changes, err);
}

enum ow_status ow_sql_write(struct ow_statement *statement, int64_t *ret_changes,
                            struct ow_err *err)
{
    return run(statement, true, ret_changes, err);
}

static enum ow_status run(struct ow_statement *statement, bool record, int64_t *ret_changes,
                          struct ow_err *err)
{
    OW_REQUIRE(statement->bound == sqlite3_bind_parameter_count(statement->handle));
    int code = statement->bind_code;
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement->handle);
    }
    /* The result code first: a failed statement leaves 0 or an old number, which would look like a
     * duplicate. */
    enum ow_status status = OW_OK;
    if (code != SQLITE_DONE) {
        OW_INVARIANT(code != SQLITE_ROW);
        status = sql_fail(statement->sql, code, record, err);
    } else if (ret_changes != NULL) {
        *ret_changes = sqlite3_changes64(statement->sql->handle);
    }
    ow_sql_reset(statement);
    return status;
}

bool ow_sql_is_null(const struct ow_statement *statement, int column)
{
    return sqlite3_column_type(statement->handle, column) == SQLITE_NULL;
}

int64_t ow_sql_i64(const struct ow_statement *statement, int column)
{
    return sqlite3_column_int64(statement->handle, column);
}

struct ow_slice ow_sql_slice(const struct ow_statement *statement, int column)
{
    if (ow_sql_is_null(statement, column)) {
        return (struct ow_slice){0};
    }
    /* _blob before _bytes, and no conversion: a text is UTF-8 already. NULL for an empty one. */
    const uint8_t *bytes = sqlite3_column_blob(statement->handle, column);
    const size_t len = (size_t)sqlite3_column_bytes(statement->handle, column);
    return bytes == NULL ? OW_SLICE("") : (struct ow_slice){bytes, len};
}

struct ow_slice ow_sql_copy(const struct ow_statement *statement, int column,
                            struct ow_arena *arena)
{
    return ow_arena_copy(arena, ow_sql_slice(statement, column));
}

struct ow_value ow_sql_value(const struct ow_statement *statement, int column,
                             struct ow_arena *arena)
{
    switch (sqlite3_column_type(statement->handle, column)) {
    case SQLITE_NULL:
        return OW_VALUE_NULL;
    case SQLITE_INTEGER:
        return ow_value_integer(ow_sql_i64(statement, column));
    default:
        return ow_value_text(arena == NULL ? ow_sql_slice(statement, column)
                                           : ow_sql_copy(statement, column, arena));
    }
}
