#include "store/erase_detail.h"

#include "store/internal.h"

/* Only of a first message that lies under its own number a detail says what it said (kept.c). */
static const char find_text[] =
    "SELECT q.id FROM ow_quarantine q WHERE q.id > ?1 AND q.conflict_ref IS NOT NULL"
    " AND q.detail <> 'payload erased' AND q.entity_id IS NOT ?2 AND"
    " (EXISTS (SELECT 1 FROM ow_history_row h WHERE h.seq = q.conflict_ref AND h.entity_id = ?2)"
    " OR EXISTS (SELECT 1 FROM ow_quarantine o WHERE o.id = q.conflict_ref AND o.entity_id = ?2))"
    " ORDER BY q.id LIMIT 1";
static const char blank_text[] = "UPDATE ow_quarantine SET detail = 'payload erased' WHERE id = ?";

struct work {
    struct ow_store *store;
    struct ow_slice entity;
    struct ow_statement find, blank;
};

static enum ow_status next(struct work *work, int64_t *ret_id, struct ow_err *err)
{
    bool row = false;
    ow_sql_bind_i64(&work->find, *ret_id);
    ow_sql_bind_text(&work->find, work->entity);
    OW_TRY(ow_sql_step(&work->find, &row, err));
    *ret_id = row ? ow_sql_i64(&work->find, 0) : 0;
    ow_sql_reset(&work->find);
    return OW_OK;
}

static enum ow_status write_blank(struct work *work, int64_t id, struct ow_err *err)
{
    struct ow_store *store = work->store;
    struct ow_statement *row = ow_store_statement(store, OW_STATEMENT_QUARANTINE_ROW);
    ow_sql_bind_i64(row, id);
    OW_TRY(ow_seal_take(store, OW_SEAL_QUARANTINE, id, row, err));
    ow_sql_bind_i64(&work->blank, id);
    OW_TRY(ow_sql_run(&work->blank, NULL, err));
    ow_sql_bind_i64(row, id);
    return ow_seal_put(store, OW_SEAL_QUARANTINE, id, row, err);
}

static enum ow_status blank_row(struct work *work, int64_t id, struct ow_err *err)
{
    struct ow_world world = {.next_ref = 0};
    enum ow_status status = ow_store_begin(work->store, &world, err);
    if (status == OW_OK) {
        status = write_blank(work, id, err);
    }
    return ow_store_end(work->store, &world, status, err);
}

static enum ow_status run(struct work *work, int64_t *ret_rows, struct ow_err *err)
{
    int64_t id = 0;
    OW_TRY(ow_sql_prepare(&work->store->sql, find_text, &work->find, err));
    OW_TRY(ow_sql_prepare(&work->store->sql, blank_text, &work->blank, err));
    OW_TRY(next(work, &id, err));
    while (id != 0) {
        OW_TRY(blank_row(work, id, err));
        ++*ret_rows;
        OW_TRY(next(work, &id, err));
    }
    return OW_OK;
}

enum ow_status ow_erase_detail(struct ow_store *store, struct ow_slice entity, int64_t *ret_rows,
                               struct ow_err *err)
{
    struct work work = {.store = store, .entity = entity};
    *ret_rows = 0;
    const enum ow_status status = run(&work, ret_rows, err);
    ow_sql_finalize(&work.find);
    ow_sql_finalize(&work.blank);
    return status;
}
