#include "base/contract.h"
#include "base/failpoint.h"
#include "store/backup_internal.h"
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    STEP_PAGES = 32, /* between two looks at the clock: some 0.2 ms where the disk is fast */
    STEPS_BETWEEN_LOOKS = 20000, /* of SQLite's machine: a millisecond or so */
    RESTARTS_MAX = 32
};

static enum ow_status resolve(struct ow_backup *backup, const char *to, struct ow_err *err)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(to, '/');
    const char *name = slash == NULL ? to : slash + 1;
    const char *above =
        slash == NULL ? "."
        : slash == to ? "/"
                      : ow_arena_text(&backup->arena,
                                      (struct ow_slice){(const uint8_t *)to, (size_t)(slash - to)});
    if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return ow_fail(err, OW_BAD_CONFIG, "'%s' is no name of a file", to);
    }
    if (realpath(above, folder) == NULL) {
        return ow_fail(err, OW_FAILED, "the directory '%s' cannot be used: %s", above,
                       strerrordesc_np(errno));
    }
    backup->folder = ow_arena_text(&backup->arena, ow_slice_of(folder));
    backup->to = ow_arena_printf(&backup->arena, "%s/%s",
                                 strcmp(folder, "/") == 0 ? "" : backup->folder, name);
    backup->part = ow_arena_printf(&backup->arena, "%s%s", backup->to, OW_BACKUP_PART);
    return OW_OK;
}

/* What SQLite would take for a part of the backup: of another database, which lay there. */
static enum ow_status check_companions(struct ow_backup *backup, struct ow_err *err)
{
    static const char *const companions[] = {"-wal", "-shm", "-journal"};
    struct stat status;
    for (size_t i = 0; i < sizeof(companions) / sizeof(companions[0]); i++) {
        const char *name = ow_arena_printf(&backup->arena, "%s%s", backup->to, companions[i]);
        if (lstat(name, &status) == 0) {
            return ow_fail(err, OW_FAILED,
                           "'%s' is there, and SQLite would take it for a part of the backup: move "
                           "it away first",
                           name);
        }
    }
    return OW_OK;
}

/* Nothing may be there, a link that leads nowhere included. */
static enum ow_status check_place(struct ow_backup *backup, const char *store_path,
                                  struct ow_err *err)
{
    static const char *const taken[] = {"",      "-wal",  "-shm",      "-journal",
                                        ".lock", ".sock", ".inflight", OW_BACKUP_PART};
    const size_t len = strlen(store_path);
    struct stat status;
    if (lstat(backup->to, &status) == 0) {
        return ow_fail(err, OW_FAILED, "'%s' is there already: a backup overwrites nothing",
                       backup->to);
    }
    OW_TRY(check_companions(backup, err));
    /* Before it is opened: to close it would drop the locks that we have of the store. */
    if (ow_store_path_same(backup->part, store_path)) {
        return ow_fail(err, OW_BAD_CONFIG,
                       "'%s' is the store itself, and would be the backup's until it is whole",
                       backup->part);
    }
    if (strncmp(backup->to, store_path, len) != 0) {
        return OW_OK;
    }
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        if (strcmp(backup->to + len, taken[i]) == 0) {
            return ow_fail(err, OW_BAD_CONFIG, "'%s' is a name that the store itself uses",
                           backup->to);
        }
    }
    return OW_OK;
}

static int create_part(const struct ow_backup *backup)
{
    return open(backup->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* The descriptor stays open for as long as SQLite has the file: closing it would drop SQLite's own
 * locks, which are the process's. */
static bool lock_part(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* Whether fd's file is still the one under the part's name. */
static bool is_named(const struct ow_backup *backup, int fd)
{
    struct stat named;
    struct stat opened;
    return fstat(fd, &opened) == 0 && lstat(backup->part, &named) == 0 &&
           named.st_ino == opened.st_ino && named.st_dev == opened.st_dev;
}

/* What a backup that was killed has left: nothing yet, or a database of ours (see start) that no
 * worker ever had open. */
static bool is_left_over(struct ow_backup *backup, int fd)
{
    static const uint8_t ours[] = {0x4f, 0x4e, 0x43, 0x45}; /* OW_STORE_APPLICATION_ID */
    struct stat status;
    uint8_t application[sizeof(ours)];
    const char *lock = ow_arena_printf(&backup->arena, "%s.lock", backup->part);
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid() ||
        access(lock, F_OK) == 0) {
        return false;
    }
    return status.st_size == 0 ||
           (pread(fd, application, sizeof(application), 68) == (ssize_t)sizeof(application) &&
            memcmp(application, ours, sizeof(ours)) == 0);
}

/* Something is there: removed where it is a part and its maker is gone. */
static enum ow_status remove_stale(struct ow_backup *backup, struct ow_err *err)
{
    const int fd = open(backup->part, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT ? OW_OK
                               : ow_fail(err, OW_FAILED, "cannot open '%s': %s", backup->part,
                                         strerrordesc_np(errno));
    }
    const bool idle = lock_part(fd);
    const bool stale = is_left_over(backup, fd) && is_named(backup, fd);
    const bool removed = idle && stale && unlink(backup->part) == 0;
    (void)close(fd);
    if (!idle) {
        return ow_fail(err, OW_TEMPORARY, "another backup is being written to '%s'", backup->part);
    }
    return removed ? OW_OK
                   : ow_fail(err, OW_FAILED,
                             "'%s' is there, and is no part of a backup that we know: move it away "
                             "first",
                             backup->part);
}

static enum ow_status make_part(struct ow_backup *backup, struct ow_err *err)
{
    backup->part_fd = create_part(backup);
    if (backup->part_fd < 0 && errno == EEXIST) {
        OW_TRY(remove_stale(backup, err));
        backup->part_fd = create_part(backup);
    }
    if (backup->part_fd < 0) {
        return ow_fail(err, OW_FAILED, "cannot create '%s': %s", backup->part,
                       strerrordesc_np(errno));
    }
    /* Until it is locked another backup takes it for a dead one's. */
    backup->part_made = lock_part(backup->part_fd) && is_named(backup, backup->part_fd);
    return backup->part_made ? OW_OK
                             : ow_fail(err, OW_TEMPORARY, "another backup is being written to '%s'",
                                       backup->part);
}

/* The copy's own words for a failure: its disk is not the store's, and the worker goes on. */
static enum ow_status fail_copy(const struct ow_backup *backup, int code, struct ow_err *err)
{
    if ((code & 0xff) == SQLITE_FULL) {
        return ow_fail(err, OW_FAILED, "no space left for the backup '%s'", backup->to);
    }
    return ow_fail(err, OW_FAILED, "the backup '%s' failed: %s (SQLite code %d)", backup->to,
                   sqlite3_errstr(code), code);
}

/* What an own connection to the copy says. Its status would stop a worker: it must not. */
static enum ow_status soften(const struct ow_backup *backup, enum ow_status status,
                             struct ow_err *err)
{
    if (status == OW_OK || status == OW_UNSAFE) {
        return status;
    }
    return ow_fail_within(err, OW_FAILED, "the backup '%s' failed", backup->to);
}

/* No journal and no sync while it grows: it is nothing before it is whole, and is synced then. */
static enum ow_status open_copy(struct ow_backup *backup, struct ow_err *err)
{
    OW_TRY(ow_sql_open(&backup->copy, backup->part, OW_SQL_OWNER, err));
    return ow_sql_exec(&backup->copy,
                       "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;"
                       " PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;",
                       err);
}

/* It is marked as ours from its first byte on: page 1 is copied, but comes to the file last. */
static enum ow_status open_new_copy(struct ow_backup *backup, struct ow_err *err)
{
    OW_TRY(open_copy(backup, err));
    return ow_sql_exec(&backup->copy, "PRAGMA application_id = 0x4f4e4345", err);
}

static enum ow_status start(struct ow_backup *backup, struct ow_sql *source, struct ow_err *err)
{
    OW_TRY(make_part(backup, err));
    OW_TRY(soften(backup, open_new_copy(backup, err), err));
    backup->handle = sqlite3_backup_init(backup->copy.handle, "main", source->handle, "main");
    return backup->handle != NULL
               ? OW_OK
               : fail_copy(backup, sqlite3_extended_errcode(backup->copy.handle), err);
}

static struct ow_backup *create(const struct ow_clock *clock)
{
    struct ow_backup *backup = calloc(1, sizeof(*backup));
    if (backup == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    backup->clock = *clock;
    backup->part_fd = -1;
    ow_arena_init(&backup->arena, 4096);
    return backup;
}

static enum ow_status begin(struct ow_sql *source, const char *to, const char *store_path,
                            struct ow_backup *backup, struct ow_err *err)
{
    OW_TRY(resolve(backup, to, err));
    if (store_path != NULL) {
        OW_TRY(check_place(backup, store_path, err));
    }
    return start(backup, source, err);
}

enum ow_status ow_backup_from(struct ow_sql *source, const char *store_path, const char *to,
                              const struct ow_clock *clock, struct ow_backup **ret_backup,
                              struct ow_err *err)
{
    struct ow_backup *backup = create(clock);
    const enum ow_status status = begin(source, to, store_path, backup, err);
    if (status != OW_OK) {
        ow_backup_let_go(backup);
        ow_backup_free(backup);
        return status;
    }
    *ret_backup = backup;
    return OW_OK;
}

enum ow_status ow_backup_begin(struct ow_store *store, const char *to, const struct ow_clock *clock,
                               struct ow_backup **ret_backup, struct ow_err *err)
{
    return ow_backup_from(&store->sql, store->path, to, clock, ret_backup, err);
}

/*
 * SQLite begins anew where it cannot know any more what it has copied: a transaction that had
 * written was rolled back, or somebody else wrote.
 */
static bool has_restarted(struct ow_backup *backup)
{
    const int64_t before = backup->figures.pages_done;
    backup->figures.pages = sqlite3_backup_pagecount(backup->handle);
    backup->figures.pages_done = backup->figures.pages - sqlite3_backup_remaining(backup->handle);
    const bool restarted = backup->figures.pages_done < before;
    backup->figures.restarts += restarted;
    return restarted && backup->figures.restarts > RESTARTS_MAX;
}

enum ow_status ow_backup_copy(struct ow_backup *backup, int64_t budget_ns, bool *ret_more,
                              struct ow_err *err)
{
    OW_REQUIRE(backup->handle != NULL && !backup->copied);
    const int64_t start_ns = ow_clock_elapsed_ns(&backup->clock);
    int64_t took_ns = 0;
    do {
        const int code = sqlite3_backup_step(backup->handle, STEP_PAGES);
        if (code == SQLITE_DONE) {
            backup->copied = true;
            backup->figures.pages = sqlite3_backup_pagecount(backup->handle);
            backup->figures.pages_done = backup->figures.pages;
            backup->figures.at_ms = ow_clock_now_ms(&backup->clock);
        } else if ((code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED) {
            return ow_fail(err, OW_TEMPORARY, "somebody else has locked the store");
        } else if (code != SQLITE_OK) {
            return fail_copy(backup, code, err);
        } else if (has_restarted(backup)) {
            return ow_fail(err, OW_TEMPORARY,
                           "the backup had to begin anew %d times, for batches were rolled back or"
                           " somebody else wrote: try again later",
                           RESTARTS_MAX);
        }
        OW_FAILPOINT(BACKUP_COPIED);
        took_ns = ow_clock_elapsed_ns(&backup->clock) - start_ns;
    } while (!backup->copied && took_ns < budget_ns);
    if (took_ns > backup->figures.longest_ns) {
        backup->figures.longest_ns = took_ns;
    }
    *ret_more = !backup->copied;
    return OW_OK;
}

void ow_backup_let_go(struct ow_backup *backup)
{
    if (backup->handle != NULL) {
        (void)sqlite3_backup_finish(backup->handle); /* says again what the last step said */
        backup->handle = NULL;
    }
}

/*
 * Bytes 18 and 19 of a database say whether it has a WAL (file format, 1.3). What was copied says
 * yes and has none; the copy's connection is closed, so they can be written.
 */
static enum ow_status leave_wal(const struct ow_backup *backup, struct ow_err *err)
{
    static const uint8_t without[] = {1, 1};
    return pwrite(backup->part_fd, without, sizeof(without), 18) == (ssize_t)sizeof(without)
               ? OW_OK
               : ow_fail(err, OW_FAILED, "cannot write '%s': %s", backup->part,
                         strerrordesc_np(errno));
}

enum ow_status ow_backup_settle(struct ow_backup *backup, struct ow_err *err)
{
    OW_REQUIRE(backup->copied && backup->handle == NULL);
    ow_sql_close(&backup->copy);
    OW_TRY(leave_wal(backup, err));
    return soften(backup, open_copy(backup, err), err);
}

static enum ow_status mark(struct ow_backup *backup, struct ow_err *err)
{
    struct ow_sql *sql = &backup->copy;
    struct ow_seal_before before;
    OW_TRY(ow_sql_exec(sql, "BEGIN IMMEDIATE", err));
    OW_TRY(ow_seal_marks_begin(sql, &before, err));
    OW_TRY(ow_meta_put_i64(sql, "backup_at_ms", backup->figures.at_ms, err));
    OW_TRY(ow_seal_marks_end(sql, &before, err));
    return ow_sql_commit(sql, err);
}

void ow_backup_until(struct ow_backup *backup, bool (*given_up)(void *context), void *context)
{
    backup->given_up = given_up;
    backup->context = context;
}

static int is_over(void *context)
{
    struct ow_backup *backup = context;
    backup->over = backup->over || (backup->given_up != NULL && backup->given_up(backup->context));
    return backup->over;
}

static enum ow_status check(struct ow_sql *sql, const char *pragma, struct ow_err *err)
{
    char sql_text[64];
    OW_STATEMENT look = {0};
    bool row = false;
    (void)snprintf(sql_text, sizeof(sql_text), "PRAGMA %s(1)", pragma);
    OW_TRY(ow_sql_prepare(sql, sql_text, &look, err));
    OW_TRY(ow_sql_step(&look, &row, err));
    const struct ow_slice text = row ? ow_sql_slice(&look, 0) : OW_SLICE("no answer");
    if (ow_slice_equals_text(text, "ok")) {
        return OW_OK;
    }
    return ow_fail(err, ow_store_check_unread(text) ? OW_FAILED : OW_UNSAFE,
                   "the copy is damaged: " OW_SLICE_FMT, OW_SLICE_ARG(text));
}

enum ow_status ow_backup_check(struct ow_backup *backup, const char *pragma, struct ow_err *err)
{
    sqlite3_progress_handler(backup->copy.handle, STEPS_BETWEEN_LOOKS, is_over, backup);
    const enum ow_status status = check(&backup->copy, pragma, err);
    sqlite3_progress_handler(backup->copy.handle, 0, NULL, NULL);
    return soften(backup, status, err);
}

enum ow_status ow_backup_sync(struct ow_backup *backup, struct ow_err *err)
{
    struct stat status;
    ow_sql_close(&backup->copy);
    if (fsync(backup->part_fd) != 0 || fstat(backup->part_fd, &status) != 0) {
        return ow_fail(err, OW_FAILED, "cannot bring '%s' to the disk: %s", backup->part,
                       strerrordesc_np(errno));
    }
    if (!is_named(backup, backup->part_fd)) {
        backup->part_made = false;
        return ow_fail(err, OW_FAILED, "somebody has taken '%s' away", backup->part);
    }
    backup->figures.bytes = status.st_size;
    return OW_OK;
}

enum ow_status ow_backup_sync_folder(const struct ow_backup *backup, struct ow_err *err)
{
    const int fd = open(backup->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = fd >= 0 && fsync(fd) == 0;
    const int code = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    return synced ? OW_OK
                  : ow_fail(err, OW_FAILED, "cannot bring the directory '%s' to the disk: %s",
                            backup->folder, strerrordesc_np(code));
}

/* Into its place, over nothing. File systems that cannot promise that are looked at before. */
static enum ow_status publish(struct ow_backup *backup, struct ow_err *err)
{
    struct stat status;
    OW_TRY(check_companions(backup, err));
    OW_FAILPOINT(BACKUP_BEFORE);
    int failed = renameat2(AT_FDCWD, backup->part, AT_FDCWD, backup->to, RENAME_NOREPLACE);
    if (failed != 0 && errno == EINVAL) {
        errno = EEXIST;
        failed = lstat(backup->to, &status) == 0 ? -1 : rename(backup->part, backup->to);
    }
    if (failed != 0) {
        return ow_fail(err, OW_FAILED, "cannot rename '%s' to '%s': %s", backup->part, backup->to,
                       strerrordesc_np(errno));
    }
    backup->part_made = false;
    OW_FAILPOINT(BACKUP_AFTER);
    return ow_backup_sync_folder(backup, err);
}

static enum ow_status finish(struct ow_backup *backup, struct ow_err *err)
{
    OW_TRY(ow_backup_settle(backup, err));
    OW_TRY(soften(backup, mark(backup, err), err));
    OW_TRY(ow_backup_check(backup, "quick_check", err));
    OW_TRY(ow_backup_sync(backup, err));
    return is_over(backup) ? OW_TEMPORARY : publish(backup, err);
}

enum ow_status ow_backup_finish(struct ow_backup *backup, struct ow_err *err)
{
    const enum ow_status status = is_over(backup) ? OW_TEMPORARY : finish(backup, err);
    return status != OW_OK && backup->over ? ow_fail(err, OW_TEMPORARY, "given up before its end")
                                           : status;
}

struct ow_backup_figures ow_backup_look(const struct ow_backup *backup)
{
    return backup->figures;
}

void ow_backup_free(struct ow_backup *backup)
{
    if (backup == NULL) {
        return;
    }
    OW_REQUIRE(backup->handle == NULL);
    ow_sql_rollback(&backup->copy);
    ow_sql_close(&backup->copy);
    if (backup->part_made && is_named(backup, backup->part_fd)) {
        (void)unlink(backup->part);
    }
    if (backup->part_fd >= 0) {
        (void)close(backup->part_fd);
    }
    ow_arena_done(&backup->arena);
    free(backup);
}
