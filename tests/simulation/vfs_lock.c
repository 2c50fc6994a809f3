#include "vfs_lock.h"

#include "base/contract.h"

#include <stdlib.h>

/* The highest lock that another handle of the same file has. */
static int lock_of_others(const struct ow_disk_handle *handle)
{
    int lock = SQLITE_LOCK_NONE;
    for (const struct ow_disk_handle *other = handle->inode->handles; other != NULL;
         other = other->next) {
        if (other != handle && other->lock > lock) {
            lock = other->lock;
        }
    }
    return lock;
}

int ow_vfs_file_lock(sqlite3_file *file, int level)
{
    struct ow_disk_handle *handle = ow_disk_handle_of(file);
    if (ow_vfs_strikes(OW_VFS_LOCK, handle->inode->file)) {
        return SQLITE_IOERR_LOCK;
    }
    if (handle->lock >= level) {
        return SQLITE_OK;
    }
    const int others = lock_of_others(handle);
    if (level == SQLITE_LOCK_SHARED && others >= SQLITE_LOCK_PENDING) {
        return SQLITE_BUSY;
    }
    if (level == SQLITE_LOCK_RESERVED && others >= SQLITE_LOCK_RESERVED) {
        return SQLITE_BUSY;
    }
    if (level == SQLITE_LOCK_EXCLUSIVE && others > SQLITE_LOCK_NONE) {
        if (others < SQLITE_LOCK_PENDING) {
            handle->lock = SQLITE_LOCK_PENDING;
        }
        return SQLITE_BUSY;
    }
    handle->lock = level;
    return SQLITE_OK;
}

int ow_vfs_file_unlock(sqlite3_file *file, int level)
{
    ow_disk_handle_of(file)->lock = level;
    return SQLITE_OK;
}

int ow_vfs_file_check_reserved(sqlite3_file *file, int *ret_reserved)
{
    const struct ow_disk_handle *handle = ow_disk_handle_of(file);
    *ret_reserved =
        handle->lock >= SQLITE_LOCK_RESERVED || lock_of_others(handle) >= SQLITE_LOCK_RESERVED;
    return SQLITE_OK;
}

int ow_vfs_file_shm_map(sqlite3_file *file, int region, int bytes, int extend,
                        void volatile **ret_memory)
{
    struct ow_disk_handle *handle = ow_disk_handle_of(file);
    *ret_memory = NULL;
    if (ow_vfs_strikes(OW_VFS_SHM, handle->inode->file)) {
        return SQLITE_IOERR_SHMMAP;
    }
    OW_INVARIANT(region < OW_DISK_SHM_REGIONS);
    handle->has_shm = true;
    void **memory = &handle->inode->shm[region];
    if (*memory == NULL && extend) {
        *memory = calloc(1, (size_t)bytes);
        OW_INVARIANT(*memory != NULL);
    }
    *ret_memory = *memory;
    return SQLITE_OK;
}

int ow_vfs_file_shm_lock(sqlite3_file *file, int first, int count, int flags)
{
    struct ow_disk_handle *handle = ow_disk_handle_of(file);
    const uint16_t mask = (uint16_t)(((1U << (unsigned)count) - 1U) << (unsigned)first);
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        handle->shm_shared &= (uint16_t)~mask;
        handle->shm_exclusive &= (uint16_t)~mask;
        return SQLITE_OK;
    }
    if (ow_vfs_strikes(OW_VFS_SHM, handle->inode->file)) {
        return SQLITE_IOERR_SHMLOCK;
    }
    const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    for (const struct ow_disk_handle *other = handle->inode->handles; other != NULL;
         other = other->next) {
        const uint16_t held =
            (uint16_t)(other->shm_exclusive | (exclusive ? other->shm_shared : 0));
        if (other != handle && (held & mask) != 0) {
            return SQLITE_BUSY;
        }
    }
    if (exclusive) {
        handle->shm_exclusive |= mask;
    } else {
        handle->shm_shared |= mask;
    }
    return SQLITE_OK;
}

void ow_vfs_file_shm_barrier(sqlite3_file *file)
{
    (void)file;
}

int ow_vfs_file_shm_unmap(sqlite3_file *file, int delete_it)
{
    (void)delete_it;
    struct ow_disk_handle *handle = ow_disk_handle_of(file);
    handle->has_shm = false;
    handle->shm_shared = handle->shm_exclusive = 0;
    for (const struct ow_disk_handle *other = handle->inode->handles; other != NULL;
         other = other->next) {
        if (other->has_shm) {
            return SQLITE_OK;
        }
    }
    ow_disk_free_shm(handle->inode); /* the next first connection clears it, here at once */
    return SQLITE_OK;
}
