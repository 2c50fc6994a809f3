#include "store/inflight.h"

#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes the file ours: an ordinary one with the room that it needs. */
static enum ow_status prepare(int fd, const char *path, struct ow_err *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return ow_fail(err, OW_FAILED, "cannot look at '%s': %s", path, strerrordesc_np(errno));
    }
    if (!S_ISREG(status.st_mode) || status.st_nlink != 1 || status.st_uid != geteuid()) {
        return ow_fail(err, OW_FAILED, "'%s' is not a file of ours alone", path);
    }
    const off_t bytes = (off_t)sizeof(struct ow_suspects);
    if (status.st_size != bytes && ftruncate(fd, 0) != 0) {
        return ow_fail(err, OW_FAILED, "cannot empty '%s': %s", path, strerrordesc_np(errno));
    }
    const int failed = posix_fallocate(fd, 0, bytes);
    if (failed != 0) {
        return ow_fail(err, OW_FAILED, "no room for '%s': %s", path, strerrordesc_np(failed));
    }
    return OW_OK;
}

static enum ow_status map_file(const char *path, void **ret_map, struct ow_err *err)
{
    /* NONBLOCK: a pipe of that name holds nobody up. */
    const int fd =
        open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
    if (fd < 0) {
        return ow_fail(err, OW_FAILED, "cannot open '%s': %s", path, strerrordesc_np(errno));
    }
    enum ow_status status = prepare(fd, path, err);
    if (status == OW_OK) {
        *ret_map =
            mmap(NULL, sizeof(struct ow_suspects), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (*ret_map == MAP_FAILED) {
            status = ow_fail(err, OW_FAILED, "cannot map '%s': %s", path, strerrordesc_np(errno));
        }
    }
    (void)close(fd); /* the map stays; the store's lock is on another file */
    return status;
}

enum ow_status ow_inflight_open(const struct ow_store *store, struct ow_inflight *ret_inflight,
                                struct ow_err *err)
{
    char boot[OW_STORE_BOOT_BYTES];
    struct ow_arena arena;
    ow_arena_init(&arena, 1024);
    void *map = NULL;
    const enum ow_status status =
        map_file(ow_arena_printf(&arena, "%s.inflight", store->path), &map, err);
    ow_arena_done(&arena);
    if (status != OW_OK) {
        map = mmap(NULL, sizeof(struct ow_suspects), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        OW_INVARIANT(map != MAP_FAILED); /* out of memory aborts, as in arena.h */
    }
    ow_store_read_boot(boot);
    ret_inflight->suspects = map;
    ret_inflight->adopted = ow_suspects_adopt(ret_inflight->suspects, boot, store->id);
    return status;
}

void ow_inflight_close(struct ow_inflight *inflight)
{
    if (inflight->suspects != NULL) {
        (void)munmap(inflight->suspects, sizeof(*inflight->suspects));
        inflight->suspects = NULL;
    }
}

enum ow_status ow_inflight_refuse(const struct ow_suspects *suspects, const char *store_path,
                                  struct ow_err *err)
{
    if (suspects == NULL || !ow_suspects_are_too_many(suspects)) {
        return OW_OK;
    }
    return ow_fail(err, OW_UNSAFE,
                   "the process died of one record after another (%u verdicts of poison, with "
                   "fewer than %d records between one and the next): it is not the records, so no "
                   "more of them are quarantined. Look for what kills it with each of them: the "
                   "build, a library, a machine file, a trigger, a limit of memory. Those before "
                   "are in ow_quarantine as poison. To go on: delete '%s.inflight' and start again",
                   (unsigned)suspects->convictions, (int)OW_SUSPECT_REDEEMING, store_path);
}

const struct ow_suspects *ow_inflight_look(const char *store_path, const char *store_id,
                                           struct ow_arena *arena)
{
    char boot[OW_STORE_BOOT_BYTES];
    struct ow_suspects *suspects = OW_ARENA_NEW(arena, struct ow_suspects);
    const int fd = open(ow_arena_printf(arena, "%s.inflight", store_path),
                        O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return NULL;
    }
    const ssize_t len = read(fd, suspects, sizeof(*suspects));
    (void)close(fd);
    ow_store_read_boot(boot);
    return len == (ssize_t)sizeof(*suspects) &&
                   ow_suspects_adopt(suspects, boot, store_id) == OW_ADOPTED
               ? suspects
               : NULL;
}
