/*
 * disk: the files of vfs.h: what programs see of each, what is on the disk, and the writes between.
 * Private to vfs*.c.
 */
#ifndef OW_SIMULATION_DISK_H
#define OW_SIMULATION_DISK_H

#include "vfs.h"

#include <sqlite3.h>

enum { OW_DISK_SHM_REGIONS = 8, OW_DISK_NAME_BYTES = 160 };

struct ow_disk_handle {
    sqlite3_file file; /* SQLite's part, first */
    struct ow_disk_inode *inode;
    int lock;
    uint16_t shm_shared, shm_exclusive; /* masks of SQLite's eight locks */
    bool has_shm;
    bool dir_sync; /* its first sync makes its name durable, as SQLite's own VFS does */
    bool delete_on_close;
    struct ow_disk_handle *next; /* of the same inode */
};

static inline struct ow_disk_handle *ow_disk_handle_of(sqlite3_file *file)
{
    return (struct ow_disk_handle *)(void *)file; /* its first member */
}

struct ow_disk_bytes {
    uint8_t *ptr;
    size_t size, capacity;
};

/* A write or a truncation that is not synced yet. */
struct ow_disk_write {
    size_t offset, len;
    size_t at; /* of its bytes, in pending_bytes */
    bool truncate;
};

struct ow_disk_inode {
    char name[OW_DISK_NAME_BYTES];
    enum ow_vfs_file file;
    bool named;        /* in the directory */
    bool name_durable; /* in the directory on the disk */
    struct ow_disk_bytes seen, synced;
    struct ow_disk_write *pending;
    size_t pending_count, pending_capacity;
    struct ow_disk_bytes pending_bytes;
    struct ow_disk_handle *handles;
    void *shm[OW_DISK_SHM_REGIONS];
    struct ow_disk_inode *next;
};

/* vfs.c: counts a call; true: it is to fail. */
bool ow_vfs_strikes(enum ow_vfs_op op, enum ow_vfs_file file);

/* All of them, by next. */
struct ow_disk_inode *ow_disk_first(void);
struct ow_disk_inode *ow_disk_find(const char *name);
/* NULL: a file without a name. */
struct ow_disk_inode *ow_disk_create(const char *name, enum ow_vfs_file file);
void ow_disk_write(struct ow_disk_inode *inode, size_t offset, const void *bytes, size_t len);
void ow_disk_truncate(struct ow_disk_inode *inode, size_t size);
void ow_disk_sync(struct ow_disk_inode *inode);
/* All names as they are now are on the disk. */
void ow_disk_sync_names(void);
void ow_disk_delete(struct ow_disk_inode *inode);
/* Frees what has no name on the disk, none in the directory, and no handle. */
void ow_disk_forget(struct ow_disk_inode *inode);
void ow_disk_free_shm(struct ow_disk_inode *inode);
bool ow_disk_is_synced(void);
/* Empties the disk. */
void ow_disk_reset(void);

void ow_disk_bytes_put(struct ow_disk_bytes *bytes, size_t offset, const void *from, size_t len);
void ow_disk_bytes_resize(struct ow_disk_bytes *bytes, size_t size);

#endif
