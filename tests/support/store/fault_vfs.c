#include "support/store/fault_vfs.h"

#include "base/contract.h"

#include <sqlite3.h>

#include <stdatomic.h>
#include <string.h>

/* A file of ours; the real one lies behind it. */
struct fault_file {
    sqlite3_file base;
    sqlite3_file *real;
    const char *name; /* SQLite's, until the file is closed; NULL: a temporary one */
};

enum { CACHE_PAGES_MAX = 5 };

static sqlite3_pcache_methods2 real_cache;
static sqlite3_vfs vfs;
static sqlite3_vfs *real_vfs;
static struct ow_fault fault; /* of what is armed; written only while it is not */
static atomic_bool armed;
static atomic_bool fired;
static _Atomic int64_t calls;

static bool is_meant(const char *name)
{
    if (fault.name_ends == NULL) {
        return true;
    }
    if (name == NULL) {
        return false; /* a temporary file */
    }
    const size_t len = strlen(name);
    const size_t end = strlen(fault.name_ends);
    return len >= end && strcmp(name + len - end, fault.name_ends) == 0;
}

/* What a call is to return instead of doing its work; SQLITE_OK: let it work. */
static int strike(enum ow_fault_call call, const char *name)
{
    if (!atomic_load(&armed) || call != fault.call || !is_meant(name)) {
        return SQLITE_OK;
    }
    const int64_t number = atomic_fetch_add(&calls, 1) + 1;
    if (number != fault.at && !(fault.for_ever && number > fault.at)) {
        return SQLITE_OK;
    }
    atomic_store(&fired, true);
    return fault.code;
}

static const char *name_of(const sqlite3_file *file)
{
    return ((const struct fault_file *)(const void *)file)->name;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct fault_file *)(void *)file)->real;
}

static int fault_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int fault_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset)
{
    const int code = strike(OW_FAULT_READ, name_of(file));
    return code != SQLITE_OK ? code
                             : real_of(file)->pMethods->xRead(real_of(file), bytes, count, offset);
}

static int fault_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset)
{
    const int code = strike(OW_FAULT_WRITE, name_of(file));
    return code != SQLITE_OK ? code
                             : real_of(file)->pMethods->xWrite(real_of(file), bytes, count, offset);
}

static int fault_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int fault_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    return strike(OW_FAULT_SYNC, name_of(file));
}

static int fault_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), ret_size);
}

static int fault_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int fault_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int fault_check_lock(sqlite3_file *file, int *ret_locked)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret_locked);
}

static int fault_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int fault_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int fault_traits(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int fault_shm_map(sqlite3_file *file, int region, int bytes, int extend, void volatile **ret)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), region, bytes, extend, ret);
}

static int fault_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    const int code =
        (flags & SQLITE_SHM_LOCK) != 0 ? strike(OW_FAULT_LOCK, name_of(file)) : SQLITE_OK;
    return code != SQLITE_OK
               ? code
               : real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void fault_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int fault_shm_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static int fault_open(sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags,
                      int *ret_flags)
{
    static const sqlite3_io_methods methods = {
        .iVersion = 2, /* without xFetch: a map would go past us */
        .xClose = fault_close,
        .xRead = fault_read,
        .xWrite = fault_write,
        .xTruncate = fault_truncate,
        .xSync = fault_sync,
        .xFileSize = fault_size,
        .xLock = fault_lock,
        .xUnlock = fault_unlock,
        .xCheckReservedLock = fault_check_lock,
        .xFileControl = fault_control,
        .xSectorSize = fault_sector,
        .xDeviceCharacteristics = fault_traits,
        .xShmMap = fault_shm_map,
        .xShmLock = fault_shm_lock,
        .xShmBarrier = fault_shm_barrier,
        .xShmUnmap = fault_shm_unmap,
    };
    (void)self;
    struct fault_file *mine = (struct fault_file *)(void *)file;
    mine->base.pMethods = NULL; /* there is nothing to close where it fails */
    mine->name = name;
    mine->real = (sqlite3_file *)(void *)(mine + 1);
    const int struck = strike(OW_FAULT_OPEN, name);
    const int code = struck != SQLITE_OK
                         ? struck
                         : real_vfs->xOpen(real_vfs, name, mine->real, flags, ret_flags);
    if (code == SQLITE_OK) {
        mine->base.pMethods = &methods;
    }
    return code;
}

static void small_cache(sqlite3_pcache *cache, int pages)
{
    real_cache.xCachesize(cache, pages < CACHE_PAGES_MAX ? pages : CACHE_PAGES_MAX);
}

/* SQLite takes another page cache only while it is shut down. */
static void use_cache(const sqlite3_pcache_methods2 *methods)
{
    int code = sqlite3_shutdown();
    if (code == SQLITE_OK) {
        code = sqlite3_config(SQLITE_CONFIG_PCACHE2, methods);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_initialize();
    }
    OW_REQUIRE(code == SQLITE_OK);
}

void ow_fault_install(void)
{
    OW_REQUIRE(real_vfs == NULL);
    OW_REQUIRE(sqlite3_initialize() == SQLITE_OK);
    OW_REQUIRE(sqlite3_shutdown() == SQLITE_OK);
    OW_REQUIRE(sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &real_cache) == SQLITE_OK);
    sqlite3_pcache_methods2 cache = real_cache;
    cache.xCachesize = small_cache;
    use_cache(&cache);
    real_vfs = sqlite3_vfs_find(NULL);
    OW_REQUIRE(real_vfs != NULL);
    vfs = *real_vfs;
    vfs.zName = "fault";
    vfs.pNext = NULL;
    vfs.szOsFile = (int)sizeof(struct fault_file) + real_vfs->szOsFile;
    vfs.xOpen = fault_open;
    OW_REQUIRE(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
}

void ow_fault_remove(void)
{
    (void)ow_fault_disarm();
    (void)sqlite3_vfs_unregister(&vfs);
    real_vfs = NULL;
    use_cache(&real_cache);
}

void ow_fault_arm(const struct ow_fault *wanted)
{
    (void)ow_fault_disarm();
    fault = *wanted;
    atomic_store(&calls, 0);
    atomic_store(&fired, false);
    atomic_store(&armed, true);
}

bool ow_fault_disarm(void)
{
    atomic_store(&armed, false);
    return atomic_load(&fired);
}
