#include "store/backup_internal.h"
#include "store/internal.h"

/*
 * A store that no worker has open. It is opened for no more than to be read: its epoch, its
 * machines and its form stay as they are, so that a backup can be made before any of them changes.
 */

static const int64_t slice_ns = 200000000; /* between two looks at the progress */

static void tell(const struct ow_backup_alone *options, const char *what, int64_t done,
                 int64_t goal)
{
    if (options->progress != NULL) {
        options->progress(options->context, what, done, goal);
    }
}

static enum ow_status copy_all(const struct ow_backup_alone *options, struct ow_backup *backup,
                               struct ow_err *err)
{
    bool more = true;
    while (more) {
        OW_TRY(ow_backup_copy(backup, slice_ns, &more, err));
        const struct ow_backup_figures figures = ow_backup_look(backup);
        tell(options, "copying pages", figures.pages_done, figures.pages);
    }
    return OW_OK;
}

static enum ow_status copy_store(const struct ow_backup_alone *options, struct ow_sql *sql,
                                 const char *path, struct ow_backup_figures *ret_figures,
                                 struct ow_err *err)
{
    struct ow_backup *backup = NULL;
    enum ow_store_kind kind = OW_STORE_KIND_EMPTY;
    OW_TRY(ow_sql_open(sql, path, OW_SQL_OWNER, err));
    OW_TRY(ow_store_identify(sql, path, &kind, err));
    if (kind == OW_STORE_KIND_EMPTY) {
        return ow_fail(err, OW_FAILED, "the store '%s' is empty", path);
    }
    OW_TRY(ow_backup_from(sql, path, options->to, &options->clock, &backup, err));
    enum ow_status status = copy_all(options, backup, err);
    ow_backup_let_go(backup);
    if (status == OW_OK) {
        tell(options, "checking the copy", 0, 0);
        status = ow_backup_finish(backup, err);
    }
    *ret_figures = ow_backup_look(backup);
    ow_backup_free(backup);
    return status;
}

static enum ow_status lock_and_copy(const struct ow_backup_alone *options, struct ow_arena *arena,
                                    struct ow_backup_figures *ret_figures, struct ow_err *err)
{
    const char *path = NULL;
    bool exists = false;
    int lock_fd = -1;
    enum ow_store_end last = OW_STORE_END_CLOSED;
    struct ow_sql sql = {0};
    OW_TRY(ow_store_path_check(options->path, arena, &path, &exists, err));
    if (!exists) {
        return ow_fail(err, OW_FAILED, "there is no store '%s'", path);
    }
    OW_TRY(ow_store_lock(path, arena, &lock_fd, &last, err));
    const enum ow_status status = copy_store(options, &sql, path, ret_figures, err);
    /* A suspicion is the next worker's to look into. */
    const bool suspect = last == OW_STORE_END_SUSPECT || sql.unknown;
    ow_sql_close(&sql);
    ow_store_unlock(lock_fd, suspect ? OW_STORE_END_SUSPECT : OW_STORE_END_CLOSED);
    return status;
}

enum ow_status ow_backup_alone(const struct ow_backup_alone *options,
                               struct ow_backup_figures *ret_figures, struct ow_err *err)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    const enum ow_status status = lock_and_copy(options, &arena, ret_figures, err);
    ow_arena_done(&arena);
    return status;
}
