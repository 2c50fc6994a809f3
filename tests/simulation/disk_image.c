#include "base/contract.h"
#include "disk.h"

#include <sodium.h>

#include <stdlib.h>
#include <string.h>

/* Inodes as in the disk's list, whose names and bytes are the image's own. */
struct ow_vfs_image {
    struct ow_disk_inode *list;
    size_t count;
};

static struct ow_disk_bytes copy_bytes(const struct ow_disk_bytes *bytes)
{
    struct ow_disk_bytes copy = {0};
    if (bytes->size > 0) {
        ow_disk_bytes_put(&copy, 0, bytes->ptr, bytes->size);
    }
    return copy;
}

/* What is on the disk and what is on its way: what programs see follows from these. */
static void copy_state(struct ow_disk_inode *to, const struct ow_disk_inode *from)
{
    to->named = from->named;
    to->name_durable = from->name_durable;
    to->synced = copy_bytes(&from->synced);
    to->pending_bytes = copy_bytes(&from->pending_bytes);
    to->pending_count = to->pending_capacity = from->pending_count;
    to->pending = reallocarray(NULL, from->pending_count + 1, sizeof(*to->pending));
    OW_INVARIANT(to->pending != NULL);
    if (from->pending_count > 0) {
        memcpy(to->pending, from->pending, from->pending_count * sizeof(*to->pending));
    }
}

static bool outlives_its_handles(const struct ow_disk_inode *inode)
{
    return inode->named || inode->name_durable;
}

struct ow_vfs_image *ow_vfs_image_take(void)
{
    struct ow_vfs_image *image = calloc(1, sizeof(*image));
    OW_INVARIANT(image != NULL);
    for (const struct ow_disk_inode *inode = ow_disk_first(); inode != NULL; inode = inode->next) {
        image->count += outlives_its_handles(inode);
    }
    image->list = calloc(image->count + 1, sizeof(*image->list));
    OW_INVARIANT(image->list != NULL);
    struct ow_disk_inode *at = image->list;
    for (const struct ow_disk_inode *inode = ow_disk_first(); inode != NULL; inode = inode->next) {
        if (outlives_its_handles(inode)) {
            memcpy(at->name, inode->name, sizeof(at->name));
            at->file = inode->file;
            copy_state(at++, inode);
        }
    }
    return image;
}

void ow_vfs_image_put(const struct ow_vfs_image *image)
{
    ow_disk_reset();
    for (size_t i = image->count; i > 0; i--) { /* each new one becomes the first */
        const struct ow_disk_inode *from = &image->list[i - 1];
        struct ow_disk_inode *inode = ow_disk_create(from->name, from->file);
        copy_state(inode, from);
        inode->seen = copy_bytes(&from->synced);
        for (size_t j = 0; j < from->pending_count; j++) {
            const struct ow_disk_write *write = &from->pending[j];
            if (write->truncate) {
                ow_disk_bytes_resize(&inode->seen, write->len);
            } else {
                ow_disk_bytes_put(&inode->seen, write->offset, from->pending_bytes.ptr + write->at,
                                  write->len);
            }
        }
    }
}

void ow_vfs_image_free(struct ow_vfs_image *image)
{
    for (size_t i = 0; image != NULL && i < image->count; i++) {
        free(image->list[i].synced.ptr);
        free(image->list[i].pending_bytes.ptr);
        free(image->list[i].pending);
    }
    if (image != NULL) {
        free(image->list);
    }
    free(image);
}

uint64_t ow_vfs_hash(void)
{
    crypto_generichash_state state;
    uint64_t hash = 0;
    (void)crypto_generichash_init(&state, NULL, 0, sizeof(hash) * 2);
    for (const struct ow_disk_inode *inode = ow_disk_first(); inode != NULL; inode = inode->next) {
        if (inode->named) {
            (void)crypto_generichash_update(&state, (const uint8_t *)inode->name,
                                            sizeof(inode->name));
            (void)crypto_generichash_update(&state, inode->seen.ptr, inode->seen.size);
        }
    }
    uint8_t digest[sizeof(hash) * 2];
    (void)crypto_generichash_final(&state, digest, sizeof(digest));
    memcpy(&hash, digest, sizeof(hash));
    return hash;
}
