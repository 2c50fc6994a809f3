#include "vfs.h"

#include "base/contract.h"
#include "clock.h"
#include "disk.h"
#include "vfs_lock.h"

#include <sqlite3.h>

#include <stdio.h>
#include <string.h>

static struct {
    bool dead, full, quiet;
    enum ow_vfs_fault armed;
    bool for_ever;
    unsigned ops;
    int countdown;
    struct ow_vfs_strike struck;
    uint64_t changes;
    int writes[OW_VFS_OTHER + 1];
    int refused;
    struct ow_random random;
} vfs;

static void (*sync_watch)(enum ow_vfs_file file, void *context);
static void *sync_watch_context;

bool ow_vfs_strikes(enum ow_vfs_op op, enum ow_vfs_file file)
{
    if (vfs.dead) {
        return true;
    }
    if (vfs.quiet || vfs.armed == OW_VFS_NO_FAULT || ((unsigned)op & vfs.ops) == 0 ||
        --vfs.countdown > 0) {
        return false;
    }
    vfs.struck = (struct ow_vfs_strike){.fault = vfs.armed, .op = op, .file = file};
    vfs.dead = vfs.armed == OW_VFS_CRASH;
    if (!vfs.for_ever) {
        vfs.armed = OW_VFS_NO_FAULT;
    }
    return true;
}

static int file_close(sqlite3_file *file)
{
    struct ow_disk_handle *handle = ow_disk_handle_of(file);
    struct ow_disk_inode *inode = handle->inode;
    struct ow_disk_handle **link = &inode->handles;
    while (*link != handle) {
        link = &(*link)->next;
    }
    *link = handle->next;
    if (inode->handles == NULL) {
        ow_disk_free_shm(inode);
        if (handle->delete_on_close) {
            ow_disk_delete(inode);
        }
        ow_disk_forget(inode);
    }
    return SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *to, int amount, sqlite3_int64 offset)
{
    const struct ow_disk_handle *handle = ow_disk_handle_of(file);
    if (ow_vfs_strikes(OW_VFS_READ, handle->inode->file)) {
        return SQLITE_IOERR_READ;
    }
    const size_t at = (size_t)offset;
    const size_t wanted = (size_t)amount;
    const size_t size = handle->inode->seen.size;
    const size_t there = at >= size ? 0 : (size - at < wanted ? size - at : wanted);
    if (there > 0) {
        memcpy(to, handle->inode->seen.ptr + at, there);
    }
    if (there < wanted) {
        memset((uint8_t *)to + there, 0, wanted - there);
        return SQLITE_IOERR_SHORT_READ;
    }
    return SQLITE_OK;
}

static int file_write(sqlite3_file *file, const void *from, int amount, sqlite3_int64 offset)
{
    const struct ow_disk_handle *handle = ow_disk_handle_of(file);
    struct ow_disk_inode *inode = handle->inode;
    size_t len = (size_t)amount;
    if (vfs.dead) {
        return SQLITE_IOERR_WRITE;
    }
    if (vfs.full && !vfs.quiet && (size_t)offset + len > inode->seen.size) {
        vfs.refused++;
        return SQLITE_FULL;
    }
    const bool struck = ow_vfs_strikes(OW_VFS_WRITE, inode->file);
    if (struck && vfs.struck.fault == OW_VFS_FULL) {
        vfs.refused++;
        return SQLITE_FULL;
    }
    if (struck) {
        len = len * (size_t)ow_random_below(&vfs.random, 9) / 8; /* how far it came */
    }
    vfs.changes++;
    vfs.writes[inode->file]++;
    ow_disk_write(inode, (size_t)offset, from, len);
    return struck ? SQLITE_IOERR_WRITE : SQLITE_OK;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct ow_disk_inode *inode = ow_disk_handle_of(file)->inode;
    if (ow_vfs_strikes(OW_VFS_TRUNCATE, inode->file)) {
        return SQLITE_IOERR_TRUNCATE;
    }
    vfs.changes++;
    if ((size_t)size < inode->seen.size) {
        ow_disk_truncate(inode, (size_t)size);
    }
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    struct ow_disk_handle *handle = ow_disk_handle_of(file);
    if (sync_watch != NULL && !vfs.quiet && !vfs.dead) {
        sync_watch(handle->inode->file, sync_watch_context);
    }
    if (ow_vfs_strikes(OW_VFS_SYNC, handle->inode->file)) {
        return SQLITE_IOERR_FSYNC;
    }
    ow_disk_sync(handle->inode);
    if (handle->dir_sync) {
        handle->dir_sync = false;
        ow_disk_sync_names();
    }
    return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    if (ow_vfs_strikes(OW_VFS_LOOK, ow_disk_handle_of(file)->inode->file)) {
        return SQLITE_IOERR_FSTAT;
    }
    *ret_size = (sqlite3_int64)ow_disk_handle_of(file)->inode->seen.size;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int op, void *argument)
{
    (void)file;
    (void)op;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *file)
{
    (void)file;
    return 4096; /* as SQLite's own VFS says */
}

static int file_characteristics(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* likewise: a write harms no byte beside it */
}

static enum ow_vfs_file kind_of(int flags)
{
    if ((flags & SQLITE_OPEN_MAIN_DB) != 0) {
        return OW_VFS_DATABASE;
    }
    if ((flags & SQLITE_OPEN_WAL) != 0) {
        return OW_VFS_WAL;
    }
    return (flags & SQLITE_OPEN_MAIN_JOURNAL) != 0 ? OW_VFS_JOURNAL : OW_VFS_OTHER;
}

static int vfs_open(sqlite3_vfs *self, sqlite3_filename name, sqlite3_file *file, int flags,
                    int *ret_flags)
{
    static const sqlite3_io_methods methods = {
        .iVersion = 2,
        .xClose = file_close,
        .xRead = file_read,
        .xWrite = file_write,
        .xTruncate = file_truncate,
        .xSync = file_sync,
        .xFileSize = file_size,
        .xLock = ow_vfs_file_lock,
        .xUnlock = ow_vfs_file_unlock,
        .xCheckReservedLock = ow_vfs_file_check_reserved,
        .xFileControl = file_control,
        .xSectorSize = file_sector_size,
        .xDeviceCharacteristics = file_characteristics,
        .xShmMap = ow_vfs_file_shm_map,
        .xShmLock = ow_vfs_file_shm_lock,
        .xShmBarrier = ow_vfs_file_shm_barrier,
        .xShmUnmap = ow_vfs_file_shm_unmap,
    };
    (void)self;
    file->pMethods = NULL;
    if (ow_vfs_strikes(OW_VFS_OPEN, kind_of(flags))) {
        return SQLITE_CANTOPEN;
    }
    struct ow_disk_inode *inode = name == NULL ? NULL : ow_disk_find(name);
    const bool create = inode == NULL;
    if (create && (flags & SQLITE_OPEN_CREATE) == 0) {
        return SQLITE_CANTOPEN;
    }
    if (create) {
        inode = ow_disk_create(name, kind_of(flags));
        vfs.changes++;
    }
    struct ow_disk_handle *handle = ow_disk_handle_of(file);
    *handle = (struct ow_disk_handle){.inode = inode, .next = inode->handles};
    handle->dir_sync = (flags & SQLITE_OPEN_CREATE) != 0 &&
                       (inode->file == OW_VFS_WAL || inode->file == OW_VFS_JOURNAL);
    handle->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    inode->handles = handle;
    file->pMethods = &methods;
    if (ret_flags != NULL) {
        *ret_flags = flags;
    }
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *self, const char *name, int sync_dir)
{
    (void)self;
    struct ow_disk_inode *inode = ow_disk_find(name);
    if (inode == NULL) {
        return vfs.dead ? SQLITE_IOERR_DELETE : SQLITE_IOERR_DELETE_NOENT;
    }
    if (ow_vfs_strikes(OW_VFS_DELETE, inode->file)) {
        return SQLITE_IOERR_DELETE;
    }
    vfs.changes++;
    ow_disk_delete(inode);
    if (sync_dir != 0) {
        ow_disk_sync_names();
    }
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *self, const char *name, int flags, int *ret_there)
{
    (void)self;
    if (ow_vfs_strikes(OW_VFS_LOOK, OW_VFS_OTHER)) {
        return SQLITE_IOERR_ACCESS;
    }
    const struct ow_disk_inode *inode = ow_disk_find(name);
    /* As SQLite's own VFS: an empty file is none. */
    *ret_there = inode != NULL && (flags != SQLITE_ACCESS_EXISTS || inode->seen.size > 0);
    return SQLITE_OK;
}

static int vfs_full_pathname(sqlite3_vfs *self, const char *name, int bytes, char *to)
{
    (void)self;
    (void)snprintf(to, (size_t)bytes, "%s", name);
    return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *self, int bytes, char *to)
{
    (void)self;
    for (int i = 0; i < bytes; i++) {
        to[i] = (char)ow_random_next(&vfs.random);
    }
    return bytes;
}

static int vfs_sleep(sqlite3_vfs *self, int microseconds)
{
    (void)self;
    ow_sim_clock_pass_ns((int64_t)microseconds * 1000);
    return microseconds;
}

static int vfs_current_time(sqlite3_vfs *self, sqlite3_int64 *ret_ms)
{
    (void)self;
    *ret_ms = INT64_C(210866760000000) + ow_sim_clock_now_ms(); /* Julian day, in milliseconds */
    return SQLITE_OK;
}

void ow_vfs_register(void)
{
    static sqlite3_vfs table = {
        .iVersion = 2,
        .szOsFile = (int)sizeof(struct ow_disk_handle),
        .mxPathname = OW_DISK_NAME_BYTES,
        .zName = "simulation",
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_pathname,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTimeInt64 = vfs_current_time,
    };
    const int code = sqlite3_vfs_register(&table, 1);
    OW_INVARIANT(code == SQLITE_OK);
}

void ow_vfs_reset(uint64_t salt)
{
    memset(&vfs, 0, sizeof(vfs));
    ow_disk_reset();
    ow_vfs_reseed(salt);
}

void ow_vfs_reseed(uint64_t salt)
{
    vfs.random = ow_random_stream(salt, 55);
    sqlite3_randomness(0, NULL); /* SQLite's own generator begins anew, from vfs_randomness */
}

void ow_vfs_arm(enum ow_vfs_fault fault, unsigned ops, int countdown)
{
    vfs.armed = fault;
    vfs.for_ever = false;
    vfs.ops = ops;
    vfs.countdown = countdown;
}

void ow_vfs_arm_for_ever(enum ow_vfs_fault fault, unsigned ops, int countdown)
{
    ow_vfs_arm(fault, ops, countdown);
    vfs.for_ever = true;
}

void ow_vfs_disarm(void)
{
    vfs.armed = OW_VFS_NO_FAULT;
    vfs.struck = (struct ow_vfs_strike){0};
}

const struct ow_vfs_strike *ow_vfs_struck(void)
{
    return vfs.struck.fault == OW_VFS_NO_FAULT ? NULL : &vfs.struck;
}

void ow_vfs_die(void)
{
    vfs.dead = true;
}

bool ow_vfs_is_dead(void)
{
    return vfs.dead;
}

void ow_vfs_revive(void)
{
    vfs.dead = false;
    vfs.armed = OW_VFS_NO_FAULT;
}

void ow_vfs_watch_syncs(void (*watch)(enum ow_vfs_file file, void *context), void *context)
{
    sync_watch = watch;
    sync_watch_context = context;
}

void ow_vfs_set_full(bool full)
{
    vfs.full = full;
}

int ow_vfs_refused(void)
{
    return vfs.refused;
}

void ow_vfs_set_quiet(bool quiet)
{
    vfs.quiet = quiet;
}

uint64_t ow_vfs_changes(void)
{
    return vfs.changes;
}

int ow_vfs_writes(enum ow_vfs_file file)
{
    return vfs.writes[file];
}

bool ow_vfs_is_quiet(void)
{
    return vfs.quiet;
}

bool ow_vfs_is_synced(void)
{
    return ow_disk_is_synced();
}
