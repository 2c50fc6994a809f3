/*
 * fault_vfs: SQLite's default file system, of which the n-th call of a kind fails, once or for ever
 * (SQLite's own way of testing). Nothing is written through to the disk: no process dies here. And
 * caches are small, so that pages are read and written in the middle of a transaction, too.
 *
 * Threads: armed and disarmed by one, while others may be at work. Failure: none of its own.
 */
#ifndef OW_TESTS_STORE_FAULT_VFS_H
#define OW_TESTS_STORE_FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

enum ow_fault_call {
    OW_FAULT_OPEN,
    OW_FAULT_READ,
    OW_FAULT_WRITE,
    OW_FAULT_SYNC,
    OW_FAULT_LOCK, /* of the WAL's index */
    OW_FAULT_CALLS
};

struct ow_fault {
    enum ow_fault_call call;
    int64_t at; /* from 1; the calls before it work */
    bool for_ever;
    int code;              /* what the call returns: SQLITE_FULL, SQLITE_IOERR_WRITE, … */
    const char *name_ends; /* only of files whose name ends so; NULL: of all */
};

/* Connections that are opened from now on go through it; none may be open at _install and _remove.
 */
void ow_fault_install(void);
void ow_fault_remove(void);

void ow_fault_arm(const struct ow_fault *wanted);
/* No call fails any more. True where one has. */
bool ow_fault_disarm(void);

#endif
