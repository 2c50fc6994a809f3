#include "disk.h"

#include "base/contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR_BYTES = 512 };

static struct ow_disk_inode *inodes;

static void reserve(struct ow_disk_bytes *bytes, size_t capacity)
{
    if (capacity > bytes->capacity) {
        const size_t doubled = 2 * bytes->capacity;
        bytes->capacity = doubled > capacity ? doubled : capacity;
        bytes->ptr = realloc(bytes->ptr, bytes->capacity);
        OW_INVARIANT(bytes->ptr != NULL);
    }
}

void ow_disk_bytes_resize(struct ow_disk_bytes *bytes, size_t size)
{
    if (size > bytes->size) {
        reserve(bytes, size);
        memset(bytes->ptr + bytes->size, 0, size - bytes->size);
    }
    bytes->size = size;
}

void ow_disk_bytes_put(struct ow_disk_bytes *bytes, size_t offset, const void *from, size_t len)
{
    if (offset + len > bytes->size) {
        ow_disk_bytes_resize(bytes, offset + len);
    }
    if (len > 0) {
        memcpy(bytes->ptr + offset, from, len);
    }
}

static void bytes_done(struct ow_disk_bytes *bytes)
{
    free(bytes->ptr);
    *bytes = (struct ow_disk_bytes){0};
}

struct ow_disk_inode *ow_disk_first(void)
{
    return inodes;
}

struct ow_disk_inode *ow_disk_find(const char *name)
{
    struct ow_disk_inode *inode = inodes;
    while (inode != NULL && (!inode->named || strcmp(inode->name, name) != 0)) {
        inode = inode->next;
    }
    return inode;
}

struct ow_disk_inode *ow_disk_create(const char *name, enum ow_vfs_file file)
{
    struct ow_disk_inode *inode = calloc(1, sizeof(*inode));
    OW_INVARIANT(inode != NULL);
    inode->file = file;
    inode->named = name != NULL;
    (void)snprintf(inode->name, sizeof(inode->name), "%s", name == NULL ? "" : name);
    inode->next = inodes;
    inodes = inode;
    return inode;
}

static struct ow_disk_write *add_pending(struct ow_disk_inode *inode)
{
    if (inode->pending_count == inode->pending_capacity) {
        inode->pending_capacity = inode->pending_capacity == 0 ? 64 : 2 * inode->pending_capacity;
        inode->pending =
            reallocarray(inode->pending, inode->pending_capacity, sizeof(*inode->pending));
        OW_INVARIANT(inode->pending != NULL);
    }
    return &inode->pending[inode->pending_count++];
}

void ow_disk_write(struct ow_disk_inode *inode, size_t offset, const void *bytes, size_t len)
{
    ow_disk_bytes_put(&inode->seen, offset, bytes, len);
    const size_t at = inode->pending_bytes.size;
    reserve(&inode->pending_bytes, at + len);
    ow_disk_bytes_put(&inode->pending_bytes, at, bytes, len);
    *add_pending(inode) = (struct ow_disk_write){.offset = offset, .len = len, .at = at};
}

void ow_disk_truncate(struct ow_disk_inode *inode, size_t size)
{
    ow_disk_bytes_resize(&inode->seen, size);
    *add_pending(inode) = (struct ow_disk_write){.len = size, .truncate = true};
}

static void forget_pending(struct ow_disk_inode *inode)
{
    inode->pending_count = 0;
    inode->pending_bytes.size = 0;
}

static void settle_write(struct ow_disk_inode *inode, const struct ow_disk_write *write)
{
    if (write->truncate) {
        ow_disk_bytes_resize(&inode->synced, write->len);
    } else {
        ow_disk_bytes_put(&inode->synced, write->offset, inode->pending_bytes.ptr + write->at,
                          write->len);
    }
}

void ow_disk_sync(struct ow_disk_inode *inode)
{
    for (size_t i = 0; i < inode->pending_count; i++) {
        settle_write(inode, &inode->pending[i]);
    }
    forget_pending(inode);
}

void ow_disk_sync_names(void)
{
    for (struct ow_disk_inode *inode = inodes, *next = NULL; inode != NULL; inode = next) {
        next = inode->next;
        inode->name_durable = inode->named;
        ow_disk_forget(inode);
    }
}

void ow_disk_delete(struct ow_disk_inode *inode)
{
    inode->named = false;
    ow_disk_forget(inode);
}

void ow_disk_free_shm(struct ow_disk_inode *inode)
{
    for (size_t i = 0; i < OW_DISK_SHM_REGIONS; i++) {
        free(inode->shm[i]);
        inode->shm[i] = NULL;
    }
}

void ow_disk_forget(struct ow_disk_inode *inode)
{
    if (inode->named || inode->name_durable || inode->handles != NULL) {
        return;
    }
    struct ow_disk_inode **link = &inodes;
    while (*link != inode) {
        link = &(*link)->next;
    }
    *link = inode->next;
    ow_disk_free_shm(inode);
    bytes_done(&inode->seen);
    bytes_done(&inode->synced);
    bytes_done(&inode->pending_bytes);
    free(inode->pending);
    free(inode);
}

bool ow_disk_is_synced(void)
{
    for (const struct ow_disk_inode *inode = inodes; inode != NULL; inode = inode->next) {
        if (inode->named && inode->pending_count > 0) {
            return false;
        }
    }
    return true;
}

void ow_disk_reset(void)
{
    while (inodes != NULL) {
        OW_INVARIANT(inodes->handles == NULL);
        inodes->named = inodes->name_durable = false;
        ow_disk_forget(inodes);
    }
}

/* How one write comes through a power cut. */
static void lose_sectors(struct ow_disk_inode *inode, const struct ow_disk_write *write,
                         bool garbled, struct ow_random *random, struct ow_vfs_losses *losses)
{
    int kept = 0;
    int dropped = 0;
    const size_t end = write->offset + write->len;
    for (size_t at = write->offset; at < end;) {
        const size_t boundary = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
        const size_t until = boundary < end ? boundary : end;
        const uint8_t *from = inode->pending_bytes.ptr + write->at + (at - write->offset);
        if (ow_random_percent(random, 50)) {
            ow_disk_bytes_put(&inode->synced, at, from, until - at);
            kept++;
        } else if (garbled && ow_random_percent(random, 50)) {
            for (size_t i = at; i < until; i++) {
                const uint8_t byte = (uint8_t)ow_random_next(random);
                ow_disk_bytes_put(&inode->synced, i, &byte, 1);
            }
            losses->garbled++;
            dropped++;
        } else {
            dropped++;
        }
        at = until;
    }
    losses->kept += dropped == 0;
    losses->dropped += kept == 0;
    losses->torn += kept > 0 && dropped > 0;
    losses->torn_in_wal += kept > 0 && dropped > 0 && inode->file == OW_VFS_WAL;
}

/* Of all writes up to one, in their order, that one up to some byte. */
static void lose_tail(struct ow_disk_inode *inode, struct ow_random *random,
                      struct ow_vfs_losses *losses)
{
    const size_t count = inode->pending_count;
    const size_t cut = (size_t)ow_random_below(random, (int)count + 1);
    for (size_t i = 0; i < cut; i++) {
        settle_write(inode, &inode->pending[i]);
    }
    losses->kept += (int)cut;
    losses->dropped += (int)(count - cut);
    if (cut < count && !inode->pending[cut].truncate) {
        struct ow_disk_write torn = inode->pending[cut];
        torn.len = (size_t)ow_random_below(random, (int)torn.len);
        if (torn.len > 0) {
            settle_write(inode, &torn);
            losses->torn++;
            losses->torn_in_wal += inode->file == OW_VFS_WAL;
        }
    }
}

static void lose_writes(struct ow_disk_inode *inode, enum ow_vfs_loss loss,
                        struct ow_random *random, struct ow_vfs_losses *losses)
{
    if (loss == OW_VFS_LOSE_TAIL) {
        lose_tail(inode, random, losses);
        inode->pending_count = 0;
    }
    for (size_t i = 0; i < inode->pending_count; i++) {
        const struct ow_disk_write *write = &inode->pending[i];
        const bool whole = write->truncate || loss == OW_VFS_LOSE_ALL || loss == OW_VFS_LOSE_SOME;
        if (!whole) {
            lose_sectors(inode, write, loss == OW_VFS_LOSE_GARBLED, random, losses);
        } else if (loss != OW_VFS_LOSE_ALL && ow_random_percent(random, 50)) {
            settle_write(inode, write);
            losses->kept++;
        } else {
            losses->dropped++;
        }
    }
    forget_pending(inode);
    inode->seen.size = 0;
    ow_disk_bytes_put(&inode->seen, 0, inode->synced.ptr, inode->synced.size);
}

/* Whether a file's name is found again after a power cut. */
static bool name_survives(const struct ow_disk_inode *inode, struct ow_random *random,
                          struct ow_vfs_losses *losses)
{
    if (inode->named && !inode->name_durable && ow_random_percent(random, 50)) {
        losses->vanished++;
        return false;
    }
    if (!inode->named && inode->name_durable && ow_disk_find(inode->name) == NULL &&
        ow_random_percent(random, 50)) {
        losses->resurrected++;
        return true;
    }
    return inode->named;
}

struct ow_vfs_losses ow_vfs_crash(enum ow_vfs_loss loss, uint64_t seed)
{
    struct ow_vfs_losses losses = {0};
    struct ow_random random = ow_random_stream(seed, 77);
    for (struct ow_disk_inode *inode = inodes, *next = NULL; inode != NULL; inode = next) {
        next = inode->next;
        OW_INVARIANT(inode->handles == NULL);
        ow_disk_free_shm(inode);
        if (loss == OW_VFS_LOSE_NOTHING) {
            continue;
        }
        inode->named = name_survives(inode, &random, &losses);
        lose_writes(inode, loss, &random, &losses);
        inode->name_durable = inode->named;
        ow_disk_forget(inode);
    }
    return losses;
}

void ow_vfs_remove(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-journal"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char name[OW_DISK_NAME_BYTES];
        (void)snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        struct ow_disk_inode *inode = ow_disk_find(name);
        if (inode != NULL) {
            inode->name_durable = false;
            ow_disk_delete(inode);
        }
    }
}

void ow_vfs_make_worst(const char *path, const char *worst_path)
{
    static const char *const suffixes[] = {"", "-wal"};
    ow_vfs_remove(worst_path);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char name[OW_DISK_NAME_BYTES];
        (void)snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        const struct ow_disk_inode *inode = ow_disk_find(name);
        if (inode == NULL || !inode->name_durable) {
            continue;
        }
        (void)snprintf(name, sizeof(name), "%s%s", worst_path, suffixes[i]);
        struct ow_disk_inode *worst = ow_disk_create(name, inode->file);
        ow_disk_bytes_put(&worst->seen, 0, inode->synced.ptr, inode->synced.size);
    }
}

static struct ow_disk_bytes copies[OW_VFS_COPIES];

void ow_vfs_save(const char *path, size_t copy)
{
    const struct ow_disk_inode *inode = ow_disk_find(path);
    OW_INVARIANT(inode != NULL && inode->pending_count == 0);
    ow_disk_bytes_put(&copies[copy], 0, inode->seen.ptr, inode->seen.size);
}

bool ow_vfs_load(const char *path, size_t copy)
{
    if (copies[copy].size == 0) {
        return false;
    }
    struct ow_disk_inode *inode = ow_disk_create(path, OW_VFS_DATABASE);
    ow_disk_bytes_put(&inode->seen, 0, copies[copy].ptr, copies[copy].size);
    ow_disk_bytes_put(&inode->synced, 0, copies[copy].ptr, copies[copy].size);
    inode->name_durable = true;
    return true;
}
