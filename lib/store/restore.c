#include "store/restore.h"

#include "base/contract.h"
#include "base/failpoint.h"
#include "store/backup_internal.h"
#include "store/internal.h"
#include "store/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t slice_ns = 200000000; /* between two looks at the progress */
/* What lies beside a database and belongs to it: beside another one it would be taken for that
 * one's. (The third, "-shm", is made anew of the WAL: nobody misses it.) */
static const char *const companions[] = {"-wal", "-journal"};
enum { COMPANIONS = sizeof(companions) / sizeof(companions[0]) };

struct ow_restore {
    struct ow_restore_options options;
    struct ow_restore_facts facts;
    struct ow_arena arena;
    int lock_fd;
    enum ow_store_end last;
    struct ow_backup *copy;
    bool linked, moved[COMPANIONS]; /* what has been set aside */
    bool placed;
};

static void tell(const struct ow_restore *restore, const char *what, int64_t done, int64_t goal)
{
    if (restore->options.progress != NULL) {
        restore->options.progress(restore->options.context, what, done, goal);
    }
}

/* Reading a file that may be anything: its faults are no reason to stop for the one who reads. */
static enum ow_status soften(enum ow_status status)
{
    return status == OW_STORE_UNKNOWN || status == OW_STORE_FULL ? OW_FAILED : status;
}

static const char *beside(struct ow_restore *restore, const char *path, size_t companion)
{
    return ow_arena_printf(&restore->arena, "%s%s", path, companions[companion]);
}

/* A restore that was killed between two steps of _place has left the old file with two names. Only
 * with the store's lock: else one that is at it now would lose what it keeps. */
static void end_interrupted(struct ow_restore *restore)
{
    const char *path = restore->facts.path;
    const char *kept = ow_arena_printf(&restore->arena, "%s" OW_STORE_KEPT, path);
    if (!ow_store_path_same(path, kept)) {
        return;
    }
    for (size_t i = 0; i < COMPANIONS; i++) {
        const char *place = beside(restore, path, i);
        if (access(place, F_OK) != 0) {
            (void)rename(beside(restore, kept, i), place);
        }
    }
    (void)unlink(kept);
}

/* What the file in the place says of itself. An empty one says nothing. */
static enum ow_status read_replaced(struct ow_restore *restore, struct ow_sql *sql,
                                    const char **ret_id, struct ow_err *err)
{
    int64_t application = 0;
    int64_t tables = 0;
    OW_TRY(ow_sql_query_i64(sql, "SELECT count(*) FROM sqlite_schema", &tables, err));
    OW_TRY(ow_sql_query_i64(sql, "PRAGMA application_id", &application, err));
    if (tables == 0 && application == 0) {
        return OW_OK;
    }
    if (application != OW_STORE_APPLICATION_ID) {
        return ow_fail(err, OW_UNSAFE,
                       "'%s' is a database of another program (application id %" PRId64 ")",
                       restore->facts.path, application);
    }
    OW_TRY(ow_meta_get_i64(sql, "epoch", &restore->facts.replaced_epoch, err));
    return ow_meta_get_text(sql, "store_id", &restore->arena, ret_id, err);
}

/* Whether a connection of anybody has the file: with a WAL it holds a lock in SQLite's lock-byte
 * page for as long as it is open. Not for who has the file open in this process:
 * the close would drop its locks. */
static bool is_held(const char *path)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0x40000000, .l_len = 512};
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const bool held = fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    if (fd >= 0) {
        (void)close(fd);
    }
    return held;
}

/*
 * Its WAL is written back, so that the file alone is the old store, and nobody has it open: whoever
 * closes it last takes away what is called its WAL then. *ret_id: NULL where nothing is known, for
 * it is no database or a damaged one; facts.unreadable says so. Any other failure (it is locked,
 * its disk fails) says nothing of what it is: it is not replaced then.
 */
static enum ow_status look_at_replaced(struct ow_restore *restore, const char **ret_id,
                                       struct ow_err *err)
{
    const char *path = restore->facts.path;
    struct ow_sql sql = {0};
    struct ow_err why;
    enum ow_status status = ow_sql_open(&sql, path, OW_SQL_OWNER, &why);
    if (status == OW_OK) {
        status = read_replaced(restore, &sql, ret_id, &why);
    }
    const bool unreadable = sql.damaged || (sql.handle != NULL && ow_sql_is_foreign(&sql));
    ow_sql_close(&sql); /* the last connection writes the WAL back and removes it */
    if (status != OW_OK && !unreadable) {
        *err = why;
        return ow_fail_within(err, soften(status), "'%s' is not replaced", path);
    }
    if (status != OW_OK) {
        restore->facts.unreadable = ow_arena_text(&restore->arena, ow_slice_of(why.text));
    }
    const bool in_use = status != OW_OK
                            ? is_held(path)
                            : access(ow_arena_printf(&restore->arena, "%s-wal", path), F_OK) == 0;
    return in_use
               ? ow_fail(err, OW_TEMPORARY,
                         "somebody has the store '%s' open (verify, or sqlite3): try again later",
                         path)
               : OW_OK;
}

/* The file, or else what lies beside it and is not empty; NULL: there is nothing. */
static const char *find_any(struct ow_restore *restore, const char *path)
{
    struct stat status;
    const char *found = lstat(path, &status) == 0 ? path : NULL;
    for (size_t i = 0; i < COMPANIONS && found == NULL; i++) {
        const char *name = beside(restore, path, i);
        found = lstat(name, &status) == 0 && status.st_size > 0 ? name : NULL;
    }
    return found;
}

/* What is there is kept, also where it is no more than what a store has left beside it. */
static enum ow_status find_kept(struct ow_restore *restore, struct ow_err *err)
{
    struct ow_restore_facts *facts = &restore->facts;
    if (restore->options.discard || find_any(restore, facts->path) == NULL) {
        return OW_OK;
    }
    facts->replaced_as = ow_arena_printf(&restore->arena, "%s" OW_STORE_KEPT, facts->path);
    const char *taken = find_any(restore, facts->replaced_as);
    return taken == NULL
               ? OW_OK
               : ow_fail(err, OW_FAILED,
                         "'%s' is there already, of an earlier restore: move it away first", taken);
}

/* The place: locked, and what is there now. */
static enum ow_status take_place(struct ow_restore *restore, const char **ret_replaced_id,
                                 struct ow_err *err)
{
    struct ow_restore_facts *facts = &restore->facts;
    OW_TRY(ow_store_path_resolve(restore->options.path, &restore->arena, &facts->path,
                                 &facts->replaces, err));
    OW_TRY(ow_store_lock(facts->path, &restore->arena, &restore->lock_fd, &restore->last, err));
    end_interrupted(restore);
    OW_TRY(ow_store_path_check(facts->path, &restore->arena, &facts->path, &facts->replaces, err));
    OW_TRY(find_kept(restore, err));
    return facts->replaces ? look_at_replaced(restore, ret_replaced_id, err) : OW_OK;
}

static enum ow_status check_source(struct ow_restore *restore, struct ow_err *err)
{
    struct stat from;
    struct stat there;
    const char *path = restore->options.from;
    const char *part = ow_arena_printf(&restore->arena, "%s" OW_BACKUP_PART, restore->facts.path);
    if (stat(path, &from) != 0) {
        return ow_fail(err, OW_BAD_CONFIG, "cannot look at backup '%s': %s", path,
                       strerrordesc_np(errno));
    }
    if (!S_ISREG(from.st_mode)) {
        return ow_fail(err, OW_BAD_CONFIG, "the backup '%s' is no file", path);
    }
    if (stat(restore->facts.path, &there) == 0 && there.st_ino == from.st_ino &&
        there.st_dev == from.st_dev) {
        return ow_fail(err, OW_BAD_CONFIG, "the backup '%s' is the store itself", path);
    }
    if (stat(part, &there) == 0 && there.st_ino == from.st_ino && there.st_dev == from.st_dev) {
        return ow_fail(err, OW_BAD_CONFIG,
                       "the backup '%s' has the name that restore gives to its copy, '%s': rename "
                       "it first",
                       path, part);
    }
    return OW_OK;
}

static enum ow_status copy_from(struct ow_restore *restore, struct ow_sql *source,
                                struct ow_err *err)
{
    enum ow_store_kind kind = OW_STORE_KIND_EMPTY;
    bool more = true;
    OW_TRY(ow_sql_open(source, restore->options.from, OW_SQL_READER, err));
    OW_TRY(ow_store_identify(source, restore->options.from, &kind, err));
    if (kind == OW_STORE_KIND_EMPTY) {
        return ow_fail(err, OW_UNSAFE, "the backup '%s' is empty", restore->options.from);
    }
    OW_TRY(ow_backup_from(source, NULL, restore->facts.path, &restore->options.clock,
                          &restore->copy, err));
    enum ow_status status = OW_OK;
    while (status == OW_OK && more) {
        status = ow_backup_copy(restore->copy, slice_ns, &more, err);
        const struct ow_backup_figures figures = ow_backup_look(restore->copy);
        tell(restore, "copying pages", figures.pages_done, figures.pages);
    }
    ow_backup_let_go(restore->copy);
    return status;
}

/* A copy from before an update of this program: it is checked as what it is going to be. */
static enum ow_status migrate(struct ow_restore *restore, struct ow_err *err)
{
    struct ow_sql *sql = &restore->copy->copy;
    struct ow_seal_before before;
    int64_t from_version = 0;
    OW_TRY(ow_sql_exec(sql, "BEGIN IMMEDIATE", err));
    OW_TRY(ow_seal_marks_begin(sql, &before, err));
    OW_TRY(ow_store_migrate(sql, &from_version, err));
    OW_TRY(ow_seal_marks_end(sql, &before, err));
    return ow_sql_commit(sql, err);
}

static enum ow_status copy(struct ow_restore *restore, struct ow_err *err)
{
    struct ow_sql source = {0};
    OW_TRY(check_source(restore, err));
    const enum ow_status status = copy_from(restore, &source, err);
    ow_sql_close(&source);
    OW_TRY(soften(status));
    return ow_backup_settle(restore->copy, err);
}

static void tell_verify(const struct ow_verify_progress *progress, void *context)
{
    tell(context, progress->phase, progress->step, progress->steps);
}

/* Every promise that can be proved from the rows alone. */
static enum ow_status verify(struct ow_restore *restore, struct ow_err *err)
{
    struct ow_verification found;
    const struct ow_verify_options options = {.path = restore->copy->part,
                                              .hash_key_file = restore->options.hash_key_file,
                                              .clock = restore->options.clock,
                                              .between = tell_verify,
                                              .context = restore};
    OW_TRY(soften(ow_verify_store(&options, &restore->arena, &found, err)));
    for (size_t i = 0; i < found.promise_count; i++) {
        if (found.promises[i].broken > 0) {
            return ow_fail(err, OW_DIFFERENT,
                           "the backup '%s' does not keep promise %s (%" PRId64
                           " broken), first: %s; 'onceward verify' says more",
                           restore->options.from, found.promises[i].name, found.promises[i].broken,
                           found.promises[i].examples[0]);
        }
    }
    return found.ok ? OW_OK
                    : ow_fail(err, OW_UNSAFE, "the backup '%s' could not be read to its end",
                              restore->options.from);
}

/* The last incarnation of each partition. */
static enum ow_status read_positions(struct ow_restore *restore, struct ow_sql *sql,
                                     struct ow_err *err)
{
    static const char text[] =
        "SELECT topic, partition, next_offset FROM ow_position p WHERE incarnation ="
        " (SELECT max(q.incarnation) FROM ow_position q WHERE q.topic = p.topic"
        " AND q.partition = p.partition) ORDER BY topic, partition";
    OW_STATEMENT read = {0};
    int64_t count = 0;
    bool row = false;
    OW_TRY(ow_sql_query_i64(sql, "SELECT count(*) FROM ow_position", &count, err));
    struct ow_restore_position *positions =
        OW_ARENA_ARRAY(&restore->arena, (size_t)count, struct ow_restore_position);
    OW_TRY(ow_sql_prepare(sql, text, &read, err));
    OW_TRY(ow_sql_step(&read, &row, err));
    while (row) {
        positions[restore->facts.position_count++] = (struct ow_restore_position){
            .topic = ow_arena_text(&restore->arena, ow_sql_slice(&read, 0)),
            .partition = (int32_t)ow_sql_i64(&read, 1),
            .next_offset = ow_sql_i64(&read, 2)};
        OW_TRY(ow_sql_step(&read, &row, err));
    }
    restore->facts.positions = positions;
    return OW_OK;
}

static enum ow_status read_facts(struct ow_restore *restore, const char *replaced_id,
                                 struct ow_err *err)
{
    struct ow_restore_facts *facts = &restore->facts;
    struct ow_sql *sql = &restore->copy->copy;
    OW_TRY(ow_meta_get_text(sql, "store_id", &restore->arena, &facts->store_id, err));
    OW_TRY(ow_meta_get_i64(sql, "epoch", &facts->epoch, err));
    OW_TRY(ow_sql_query_i64(sql, "SELECT value FROM ow_meta WHERE key = 'backup_at_ms'",
                            &facts->at_ms, err));
    facts->pages = ow_backup_look(restore->copy).pages;
    if (replaced_id != NULL && strcmp(replaced_id, facts->store_id) != 0) {
        return ow_fail(err, OW_UNSAFE,
                       "the backup '%s' is of store %s, and '%s' is store %s: it would take the "
                       "place of another one. Move that away first, if that is meant",
                       restore->options.from, facts->store_id, facts->path, replaced_id);
    }
    return read_positions(restore, sql, err);
}

static enum ow_status begin(struct ow_restore *restore, struct ow_err *err)
{
    const char *replaced_id = NULL;
    OW_TRY(take_place(restore, &replaced_id, err));
    OW_TRY(copy(restore, err));
    tell(restore, "checking every page", 0, 0);
    OW_TRY(ow_backup_check(restore->copy, "integrity_check", err));
    OW_TRY(soften(migrate(restore, err)));
    OW_TRY(soften(read_facts(restore, replaced_id, err)));
    return verify(restore, err);
}

enum ow_status ow_restore_begin(const struct ow_restore_options *options,
                                struct ow_restore **ret_restore, struct ow_err *err)
{
    struct ow_restore *restore = calloc(1, sizeof(*restore));
    if (restore == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    restore->options = *options;
    restore->lock_fd = -1;
    ow_arena_init(&restore->arena, 16384);
    const enum ow_status status = begin(restore, err);
    if (status != OW_OK) {
        ow_restore_free(restore);
        return status;
    }
    *ret_restore = restore;
    return OW_OK;
}

const struct ow_restore_facts *ow_restore_look(const struct ow_restore *restore)
{
    return &restore->facts;
}

static enum ow_status mark(struct ow_restore *restore, int64_t group_epoch, struct ow_err *err)
{
    const struct ow_restore_facts *facts = &restore->facts;
    struct ow_sql *sql = &restore->copy->copy;
    struct ow_seal_before before;
    int64_t epoch = facts->epoch > facts->replaced_epoch ? facts->epoch : facts->replaced_epoch;
    epoch = (epoch > group_epoch ? epoch : group_epoch) + 1;
    OW_TRY(ow_sql_exec(sql, "BEGIN IMMEDIATE", err));
    OW_TRY(ow_seal_marks_begin(sql, &before, err));
    OW_TRY(ow_sql_exec(sql, "DELETE FROM ow_meta WHERE key = 'backup_at_ms'", err));
    OW_TRY(ow_meta_put_i64(sql, "epoch", epoch, err));
    OW_TRY(ow_meta_put_i64(sql, "restored_at_ms", ow_clock_now_ms(&restore->options.clock), err));
    if (group_epoch >= 0) {
        OW_TRY(ow_meta_put_i64(sql, "restored_epoch", epoch, err));
    }
    OW_TRY(ow_seal_marks_end(sql, &before, err));
    return ow_sql_commit(sql, err);
}

/* Its owner and mode are those of the file that it replaces; of a new one, as store_path.c says. */
static enum ow_status give_to_owner(const struct ow_restore *restore, struct ow_err *err)
{
    struct stat there;
    const int fd = restore->copy->part_fd;
    mode_t mode = 0640;
    if (restore->facts.replaces && stat(restore->facts.path, &there) == 0) {
        mode = there.st_mode & 0777;
        if ((there.st_uid != geteuid() || there.st_gid != getegid()) &&
            fchown(fd, there.st_uid, there.st_gid) != 0) {
            return ow_fail(err, OW_FAILED, "cannot give '%s' to the owner of the old file: %s",
                           restore->copy->part, strerrordesc_np(errno));
        }
    }
    return fchmod(fd, mode) == 0 ? OW_OK
                                 : ow_fail(err, OW_FAILED, "cannot set the mode of '%s': %s",
                                           restore->copy->part, strerrordesc_np(errno));
}

/* Where the old store is until the new one is in its place, and from then on, if it is kept. */
static const char *aside_of(struct ow_restore *restore)
{
    const struct ow_restore_facts *facts = &restore->facts;
    return facts->replaced_as != NULL
               ? facts->replaced_as
               : ow_arena_printf(&restore->arena, "%s.discarded", facts->path);
}

/*
 * There is a store at the path at each moment: first the old file gets a second name, then the new
 * one takes its first. What lies beside the old one goes with it. After a clean end of the old
 * store there is nothing; where it could not be read, or was moved away, its WAL was not written
 * back.
 */
static enum ow_status set_aside(struct ow_restore *restore, struct ow_err *err)
{
    const struct ow_restore_facts *facts = &restore->facts;
    const char *aside = aside_of(restore);
    if (facts->replaces && facts->replaced_as != NULL) {
        restore->linked = link(facts->path, aside) == 0;
        if (!restore->linked) {
            return ow_fail(err, OW_FAILED, "cannot keep the old file as '%s': %s", aside,
                           strerrordesc_np(errno));
        }
        OW_FAILPOINT(RESTORE_LINKED);
    }
    (void)unlink(ow_arena_printf(&restore->arena, "%s-shm", facts->path));
    for (size_t i = 0; i < COMPANIONS; i++) {
        const char *from = beside(restore, facts->path, i);
        restore->moved[i] = rename(from, beside(restore, aside, i)) == 0;
        if (!restore->moved[i] && errno != ENOENT) {
            return ow_fail(err, OW_FAILED, "cannot take '%s' away: %s", from,
                           strerrordesc_np(errno));
        }
    }
    return OW_OK;
}

/* The old store is whole again. */
static void put_back(struct ow_restore *restore)
{
    const char *aside = aside_of(restore);
    for (size_t i = 0; i < COMPANIONS; i++) {
        if (restore->moved[i]) {
            (void)rename(beside(restore, aside, i), beside(restore, restore->facts.path, i));
        }
    }
    if (restore->linked) {
        (void)unlink(aside);
    }
}

static enum ow_status swap(struct ow_restore *restore, struct ow_err *err)
{
    const struct ow_restore_facts *facts = &restore->facts;
    OW_TRY(set_aside(restore, err));
    if (rename(restore->copy->part, facts->path) != 0) {
        return ow_fail(err, OW_FAILED, "cannot rename '%s' to '%s': %s", restore->copy->part,
                       facts->path, strerrordesc_np(errno));
    }
    restore->copy->part_made = false;
    restore->placed = true;
    OW_FAILPOINT(RESTORE_PLACED);
    return OW_OK;
}

enum ow_status ow_restore_place(struct ow_restore *restore, int64_t group_epoch, struct ow_err *err)
{
    OW_REQUIRE(!restore->placed);
    OW_TRY(soften(mark(restore, group_epoch, err)));
    OW_TRY(give_to_owner(restore, err));
    OW_TRY(ow_backup_sync(restore->copy, err));
    OW_FAILPOINT(RESTORE_MARKED);
    restore->facts.bytes = ow_backup_look(restore->copy).bytes;
    const enum ow_status status = swap(restore, err);
    if (status != OW_OK) {
        put_back(restore);
        return status;
    }
    OW_TRY(ow_backup_sync_folder(restore->copy, err));
    for (size_t i = 0; i < COMPANIONS && restore->facts.replaced_as == NULL; i++) {
        (void)unlink(beside(restore, aside_of(restore), i));
    }
    return OW_OK;
}

void ow_restore_free(struct ow_restore *restore)
{
    if (restore == NULL) {
        return;
    }
    ow_backup_free(restore->copy);
    /* A suspicion is of the old file: it is over with it. */
    ow_store_unlock(restore->lock_fd, restore->last == OW_STORE_END_SUSPECT && !restore->placed
                                          ? OW_STORE_END_SUSPECT
                                          : OW_STORE_END_CLOSED);
    ow_arena_done(&restore->arena);
    free(restore);
}
