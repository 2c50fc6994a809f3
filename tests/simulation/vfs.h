/*
 * vfs: a disk for SQLite that can lose power. Files live in memory; of each the disk's state (what
 * was synced) and the writes since are kept, so that at a power cut every write that was not synced
 * is kept, dropped, torn or garbled as a seed says. It also fails single calls, and is full for a
 * while. It is SQLite's default VFS after _register, with WAL's shared memory and locks for several
 * connections of one process.
 *
 * Threads: one disk, one thread. Memory: static; _reset gives all back. Limits: a handful of files
 * of some megabytes.
 */
#ifndef OW_SIMULATION_VFS_H
#define OW_SIMULATION_VFS_H

#include "random.h"

enum ow_vfs_op {
    OW_VFS_READ = 1,
    OW_VFS_WRITE = 2,
    OW_VFS_SYNC = 4,
    OW_VFS_TRUNCATE = 8,
    OW_VFS_DELETE = 16,
    OW_VFS_OPEN = 32,
    OW_VFS_LOCK = 64,
    OW_VFS_SHM = 128,  /* a map of the WAL's index, or a lock in it */
    OW_VFS_LOOK = 256, /* a size, or whether a file is there */
    OW_VFS_CHANGES = OW_VFS_WRITE | OW_VFS_SYNC | OW_VFS_TRUNCATE | OW_VFS_DELETE,
    OW_VFS_ALL = OW_VFS_CHANGES | OW_VFS_READ
};
enum ow_vfs_file { OW_VFS_DATABASE, OW_VFS_WAL, OW_VFS_JOURNAL, OW_VFS_OTHER };

/* What an armed fault does: the disk and the whole host are gone, or this one call fails, or this
 * write because the disk is full. */
enum ow_vfs_fault { OW_VFS_NO_FAULT, OW_VFS_CRASH, OW_VFS_ERROR, OW_VFS_FULL };

/* Where a fault struck. */
struct ow_vfs_strike {
    enum ow_vfs_fault fault;
    enum ow_vfs_op op;
    enum ow_vfs_file file;
};

/* How a host goes down: a killed process leaves all its writes to the kernel, a power cut does not.
 */
enum ow_vfs_loss {
    OW_VFS_LOSE_NOTHING, /* kill -9 */
    OW_VFS_LOSE_ALL,     /* all that was not synced */
    OW_VFS_LOSE_SOME,    /* each write kept or dropped */
    OW_VFS_LOSE_TORN,    /* each sector of each write kept or dropped */
    OW_VFS_LOSE_GARBLED, /* likewise, and some sectors hold something else */
    OW_VFS_LOSS_COUNT,
    /* Not drawn by plans: of each file all writes up to one, which is torn at some byte. */
    OW_VFS_LOSE_TAIL = OW_VFS_LOSS_COUNT
};

struct ow_vfs_losses {
    int kept, dropped, torn, garbled;
    int torn_in_wal;
    int resurrected; /* files whose deletion did not reach the disk */
    int vanished;    /* files whose creation did not */
};

void ow_vfs_register(void);
/* An empty disk. salt seeds what SQLite draws from the VFS. */
void ow_vfs_reset(uint64_t salt);
void ow_vfs_reseed(uint64_t salt);

/* The countdown-th call of one of ops (a mask) from now on is struck; replaces what was armed. */
void ow_vfs_arm(enum ow_vfs_fault fault, unsigned ops, int countdown);
/* Likewise, and each such call after it, until _disarm. */
void ow_vfs_arm_for_ever(enum ow_vfs_fault fault, unsigned ops, int countdown);
void ow_vfs_disarm(void);
/* The last fault that struck since _disarm; NULL: none did. */
const struct ow_vfs_strike *ow_vfs_struck(void);
/* The host is gone: every call fails until _revive. */
void ow_vfs_die(void);
bool ow_vfs_is_dead(void);
/* It is up again, with nothing armed. */
void ow_vfs_revive(void);
/* A full disk takes no write that makes a file longer. */
void ow_vfs_set_full(bool full);
/* How many writes it refused because it was full. */
int ow_vfs_refused(void);
/* While quiet, calls are those of the simulation itself: faults do not count or strike them. */
void ow_vfs_set_quiet(bool quiet);
bool ow_vfs_is_quiet(void);

/* Called before each sync that is not quiet; NULL: nobody is. */
void ow_vfs_watch_syncs(void (*watch)(enum ow_vfs_file file, void *context), void *context);

/* What the host finds when it comes back. No file may be open. */
struct ow_vfs_losses ow_vfs_crash(enum ow_vfs_loss loss, uint64_t seed);

/* Counts all changes: equal numbers mean that nothing was written meanwhile. */
uint64_t ow_vfs_changes(void);
/* Writes and syncs of one kind of file so far. */
int ow_vfs_writes(enum ow_vfs_file file);
/* Whether all that was written is synced. */
bool ow_vfs_is_synced(void);
/* Makes a second pair of files, "<path>.worst" and its WAL, of what a power cut could leave at the
 * least. */
void ow_vfs_make_worst(const char *path, const char *worst_path);
/* Removes a file and its WAL. */
void ow_vfs_remove(const char *path);

/* Keeps a copy of a database file (all synced, no WAL) under a number, and puts it back on an empty
 * disk; false: there is no such copy. */
enum { OW_VFS_COPIES = 8 };
void ow_vfs_save(const char *path, size_t copy);
bool ow_vfs_load(const char *path, size_t copy);

/* The whole disk at a moment, with what is not synced; files may be open then. Until _free. */
struct ow_vfs_image;
struct ow_vfs_image *ow_vfs_image_take(void);
/* The disk is what it was, and nothing is open. No file may be. */
void ow_vfs_image_put(const struct ow_vfs_image *image);
void ow_vfs_image_free(struct ow_vfs_image *image);
/* Of the names and of what programs see: equal disks have equal ones. */
uint64_t ow_vfs_hash(void);

#endif
