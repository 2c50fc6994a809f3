#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* File systems on which WAL's shared memory and locks do not hold between hosts; from linux/magic.h
 * and statfs(2). */
static const struct {
    const char *name;
    uint32_t magic;
} network_file_systems[] = {
    {"NFS",  0x6969    },
    {"SMB",  0x517b    },
    {"CIFS", 0xff534d42},
    {"SMB2", 0xfe534d42},
    {"9p",   0x01021997},
};

enum ow_status ow_store_path_status(int code)
{
    static const int passing[] = {ENOSPC, EDQUOT, EROFS, EIO,    EMFILE,   ENFILE,
                                  ENOMEM, EAGAIN, EINTR, ENOLCK, ETIMEDOUT};
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
        if (code == passing[i]) {
            return OW_TEMPORARY;
        }
    }
    return OW_BAD_CONFIG;
}

static enum ow_status split(const char *path, struct ow_arena *arena, const char **ret_folder,
                            const char **ret_name, struct ow_err *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    if (*name == '\0') {
        return ow_fail(err, OW_BAD_CONFIG, "the store '%s' must be a file", path);
    }
    const char *folder = ".";
    if (slash == path) {
        folder = "/";
    } else if (slash != NULL) {
        folder =
            ow_arena_text(arena, (struct ow_slice){(const uint8_t *)path, (size_t)(slash - path)});
    }
    *ret_folder = folder;
    *ret_name = name;
    return OW_OK;
}

static enum ow_status check_file_system(const char *folder, struct ow_err *err)
{
    struct statfs stats;
    if (statfs(folder, &stats) != 0) {
        return ow_fail(err, OW_FAILED, "cannot look at directory '%s': %s", folder,
                       strerrordesc_np(errno));
    }
    for (size_t i = 0; i < sizeof(network_file_systems) / sizeof(network_file_systems[0]); i++) {
        if ((uint32_t)stats.f_type == network_file_systems[i].magic) {
            return ow_fail(err, OW_UNSAFE,
                           "the store's directory '%s' is on a network file system (%s), where "
                           "locks and shared memory"
                           " do not hold: put the store on a local disk",
                           folder, network_file_systems[i].name);
        }
    }
    return OW_OK;
}

enum ow_status ow_store_path_resolve(const char *path, struct ow_arena *arena,
                                     const char **ret_path, bool *ret_exists, struct ow_err *err)
{
    char resolved[PATH_MAX];
    struct stat status;
    const bool exists = stat(path, &status) == 0;
    if (!exists && errno != ENOENT) {
        return ow_fail(err, ow_store_path_status(errno), "cannot look at store '%s': %s", path,
                       strerrordesc_np(errno));
    }
    if (exists && !S_ISREG(status.st_mode)) {
        return ow_fail(err, OW_BAD_CONFIG, "the store '%s' must be a file", path);
    }
    if (exists && realpath(path, resolved) == NULL) {
        return ow_fail(err, ow_store_path_status(errno), "cannot resolve store '%s': %s", path,
                       strerrordesc_np(errno));
    }
    const char *whole = exists ? ow_arena_text(arena, ow_slice_of(resolved)) : path;
    const char *folder = ".";
    const char *name = "";
    OW_TRY(split(whole, arena, &folder, &name, err));
    if (!exists) {
        if (realpath(folder, resolved) == NULL) {
            return ow_fail(err, ow_store_path_status(errno),
                           "the directory '%s' of store '%s' cannot be used: %s", folder, path,
                           strerrordesc_np(errno));
        }
        whole = ow_arena_printf(arena, "%s/%s", resolved, name);
    }
    OW_TRY(check_file_system(folder, err));
    *ret_path = whole;
    *ret_exists = exists;
    return OW_OK;
}

enum ow_status ow_store_path_check(const char *path, struct ow_arena *arena, const char **ret_path,
                                   bool *ret_exists, struct ow_err *err)
{
    struct stat status;
    OW_TRY(ow_store_path_resolve(path, arena, ret_path, ret_exists, err));
    if (!*ret_exists || stat(*ret_path, &status) != 0 || status.st_nlink < 2) {
        return OW_OK;
    }
    const char *kept = ow_arena_printf(arena, "%s" OW_STORE_KEPT, *ret_path);
    if (ow_store_path_same(*ret_path, kept)) {
        return ow_fail(err, OW_UNSAFE,
                       "a restore was interrupted at its last step: run 'onceward restore' again, "
                       "or delete '%s' to go on with the store '%s' as it was",
                       kept, path);
    }
    return ow_fail(err, OW_UNSAFE,
                   "the store '%s' has %lu names (hard links), and each would have a lock of its "
                   "own",
                   path, (unsigned long)status.st_nlink);
}

bool ow_store_path_same(const char *one, const char *other)
{
    struct stat first;
    struct stat second;
    return lstat(one, &first) == 0 && lstat(other, &second) == 0 && first.st_ino == second.st_ino &&
           first.st_dev == second.st_dev;
}

enum ow_status ow_store_path_create(const char *path, struct ow_err *err)
{
    /*
     * 0640 less the umask: the owner writes; a group of operators may read (verify, explain,
     * sqlite3 -readonly); others have no business with payloads. SQLite gives -wal and -shm the
     * mode of the file.
     */
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0) {
        return ow_fail(err, ow_store_path_status(errno), "cannot create store '%s': %s", path,
                       strerrordesc_np(errno));
    }
    (void)close(
        fd); /* nothing was written; no SQLite connection is open yet whose locks this would drop */
    return OW_OK;
}
