#include "store/position_survey.h"

#include "store/internal.h"

static enum ow_status read_all(struct ow_sql *sql, struct ow_arena *arena,
                               struct ow_position_survey *survey, struct ow_err *err)
{
    OW_STATEMENT read = {0};
    struct ow_position **end = &survey->positions;
    bool row = false;
    OW_TRY(ow_sql_exec(sql, "BEGIN", err));
    OW_TRY(ow_meta_get_text(sql, "store_id", arena, &survey->store_id, err));
    OW_TRY(ow_meta_get_i64(sql, "epoch", &survey->epoch, err));
    OW_TRY(ow_sql_query_i64(sql, "SELECT value FROM ow_meta WHERE key = 'restored_epoch'",
                            &survey->restored_epoch, err));
    if (survey->store_id == NULL) {
        return ow_fail(err, OW_UNSAFE, "the store has no store_id");
    }
    OW_TRY(ow_sql_prepare(sql, OW_POSITION_ALL_TEXT, &read, err));
    OW_TRY(ow_sql_step(&read, &row, err));
    while (row) {
        *end = ow_position_take_row(&read, arena);
        end = &(*end)->next;
        OW_TRY(ow_sql_step(&read, &row, err));
    }
    return OW_OK;
}

enum ow_status ow_position_survey(const char *path, struct ow_arena *arena,
                                  struct ow_position_survey *ret_survey, struct ow_err *err)
{
    const char *resolved = NULL;
    struct ow_sql sql = {0};
    *ret_survey = (struct ow_position_survey){0};
    enum ow_status status = ow_store_open_reader(&sql, path, arena, &resolved, err);
    if (status == OW_OK) {
        status = read_all(&sql, arena, ret_survey, err);
    }
    ow_sql_rollback(&sql);
    ow_sql_close(&sql);
    return status == OW_STORE_UNKNOWN ? OW_FAILED : status; /* nothing was being committed */
}
