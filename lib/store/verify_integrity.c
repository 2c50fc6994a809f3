#include "store/internal.h"
#include "store/verify_internal.h"

/*
 * SQLite's own check reads the whole file in one snapshot. While nobody writes that does no harm,
 * however long it takes; where somebody does, it is given up when the snapshot gets too old, and
 * the tables are looked at one by one.
 */

enum { STEPS_BETWEEN_LOOKS = 20000 }; /* of SQLite's machine: a millisecond or so */

static int give_up(void *context)
{
    const struct ow_verify *verify = context;
    return ow_verify_slice_due(verify) && ow_verify_slice_outdated(verify);
}

static enum ow_status read_answer(struct ow_verify *verify, struct ow_statement *statement,
                                  struct ow_err *err)
{
    bool row = false;
    OW_TRY(ow_sql_step(statement, &row, err));
    while (row) {
        const struct ow_slice text = ow_sql_slice(statement, 0);
        if (ow_store_check_unread(text)) {
            return ow_fail(err, OW_STORE_UNKNOWN, "the store could not be checked: " OW_SLICE_FMT,
                           OW_SLICE_ARG(text));
        }
        if (!ow_slice_equals_text(text, "ok")) {
            ow_verify_broken(verify, OW_PROMISE_INTEGRITY, OW_SLICE_FMT, OW_SLICE_ARG(text));
        }
        OW_TRY(ow_sql_step(statement, &row, err));
    }
    ow_verify_checked(verify, OW_PROMISE_INTEGRITY, 1);
    return OW_OK;
}

/* *ret_finished: false where it was given up. */
static enum ow_status check(struct ow_verify *verify, const char *pragma, bool *ret_finished,
                            struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&verify->sql, pragma, &statement, err));
    sqlite3_progress_handler(verify->sql.handle, STEPS_BETWEEN_LOOKS, give_up, verify);
    const enum ow_status status = read_answer(verify, &statement, err);
    sqlite3_progress_handler(verify->sql.handle, 0, NULL, NULL);
    *ret_finished =
        status == OW_OK || (sqlite3_errcode(verify->sql.handle) & 0xff) != SQLITE_INTERRUPT;
    return *ret_finished ? status : OW_OK;
}

static enum ow_status check_tables(struct ow_verify *verify, struct ow_err *err)
{
    OW_VERIFY_CURSOR tables = {.by = OW_VERIFY_BY_TEXT};
    OW_TRY(ow_verify_cursor_open(&tables, verify,
                                 "SELECT name FROM sqlite_schema WHERE type = 'table' AND"
                                 " name >= ? ORDER BY name",
                                 err));
    OW_BUFFER pragma = {0};
    bool row = false;
    bool all = true;
    OW_TRY(ow_verify_cursor_next(&tables, &row, err));
    while (row) {
        const char *name = ow_arena_text(&verify->scratch, ow_sql_slice(&tables.statement, 0));
        ow_buffer_clear(&pragma);
        ow_buffer_text(&pragma, "PRAGMA integrity_check(");
        ow_store_identifier(&pragma, name);
        ow_buffer_text(&pragma, ")");
        OW_TRY(ow_verify_turn(verify, err));
        bool finished = false;
        OW_TRY(check(verify, ow_buffer_cstr(&pragma), &finished, err));
        all = all && finished;
        OW_TRY(ow_verify_cursor_next(&tables, &row, err));
    }
    if (!all) {
        ow_verify_remark(verify, "integrity_check was not finished: the larger tables take longer "
                                 "than a snapshot may live beside a worker that writes. Every row "
                                 "was read; for the indexes run verify on a backup, or while the "
                                 "worker is stopped");
    }
    return OW_OK;
}

enum ow_status ow_verify_integrity(struct ow_verify *verify, struct ow_err *err)
{
    bool finished = false;
    OW_TRY(check(verify, "PRAGMA integrity_check", &finished, err));
    if (!finished) {
        OW_TRY(check_tables(verify, err));
    }
    return ow_verify_turn(verify, err); /* all that follows begins with a young snapshot */
}
