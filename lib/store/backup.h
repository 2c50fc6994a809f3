/*
 * backup: a copy of a store that is in use, made by its owner between batches, some pages at a
 * time. What the owner writes meanwhile is carried over by SQLite; the copy is the store as of the
 * last page.
 *
 * A backup is a file of its own, without a WAL. ow_meta has backup_at_ms in it, by which a worker
 * knows it and does not go on with it as if it were the store (restore.h). Until it is whole it
 * lies beside its place as "<to>.part", 0600; what a killed process left there is replaced, and
 * nothing else that lies there.
 *
 * Threads: _begin, _copy, _let_go are the store's owner's; after _let_go the backup touches the
 * store no more, and _finish, which takes long, is any one thread's. Memory: malloc, until _free.
 * Failure: FAILED (its disk is full or fails, its place is taken), UNSAFE (the copy is damaged:
 * then the store is, too), TEMPORARY. Whatever happens to a backup, the store is as it was.
 */
#ifndef OW_STORE_BACKUP_H
#define OW_STORE_BACKUP_H

#include "base/clock.h"
#include "base/status.h"

#include <stdbool.h>

struct ow_store;
struct ow_backup;

struct ow_backup_figures {
    int64_t pages_done, pages; /* copied, of how many as of the last slice */
    int64_t bytes;             /* of the file; 0 until it is whole */
    int64_t at_ms;             /* the moment that it shows, wall clock */
    int64_t restarts;          /* how often it had to begin anew: a batch was rolled back */
    int64_t longest_ns;        /* that a slice has taken */
};

/* to: where the backup is to be; nothing may be there. It is relative to the process's directory.
 */
enum ow_status ow_backup_begin(struct ow_store *store, const char *to, const struct ow_clock *clock,
                               struct ow_backup **ret_backup, struct ow_err *err) OW_MUST_USE;
/* Copies for some time, or a few pages more; *ret_more: there are more. Not within a transaction.
 */
enum ow_status ow_backup_copy(struct ow_backup *backup, int64_t budget_ns, bool *ret_more,
                              struct ow_err *err) OW_MUST_USE;
/* The store is needed no more: all is copied, or it is given up. May be called again. */
void ow_backup_let_go(struct ow_backup *backup);
/* Asked now and then by _finish, some 1000 times a second; true: nobody wants it any more. */
void ow_backup_until(struct ow_backup *backup, bool (*given_up)(void *context), void *context);
/* Marks the copy, checks it, brings it to the disk and to its place. TEMPORARY: given up. */
enum ow_status ow_backup_finish(struct ow_backup *backup, struct ow_err *err) OW_MUST_USE;
struct ow_backup_figures ow_backup_look(const struct ow_backup *backup);
/* After _let_go. Takes NULL. What is not finished is removed. */
void ow_backup_free(struct ow_backup *backup);

/* The backup of a store that nobody has open: takes its lock (TEMPORARY where somebody has). */
struct ow_backup_alone {
    const char *path, *to;
    struct ow_clock clock;
    /* Now and then; may be NULL. */
    void (*progress)(void *context, const char *what, int64_t done, int64_t goal);
    void *context;
};
enum ow_status ow_backup_alone(const struct ow_backup_alone *options,
                               struct ow_backup_figures *ret_figures, struct ow_err *err)
    OW_MUST_USE;

#endif
