/*
 * backup_internal: what backup.c (the copying) has for restore.c, which copies the other way round
 * and finishes by itself. Private to lib/store.
 */
#ifndef OW_STORE_BACKUP_INTERNAL_H
#define OW_STORE_BACKUP_INTERNAL_H

#include "store/backup.h"
#include "store/sql.h"

/* Ends the name of a file that is not whole yet. */
#define OW_BACKUP_PART ".part"

struct ow_backup {
    struct ow_clock clock;
    struct ow_arena arena;
    const char *to, *part, *folder;
    int part_fd;            /* locked, so that nobody else writes there; -1: there is none */
    bool part_made;         /* the file is ours, to be removed or put into its place */
    struct ow_sql copy;     /* over the part */
    sqlite3_backup *handle; /* NULL: not begun, or let go */
    bool copied;            /* to the last page */
    bool (*given_up)(void *context);
    void *context;
    bool over; /* it has said so */
    struct ow_backup_figures figures;
};

/* From any connection. store_path: that of the source, whose names are not for backups; NULL: to
 * need not be free. */
enum ow_status ow_backup_from(struct ow_sql *source, const char *store_path, const char *to,
                              const struct ow_clock *clock, struct ow_backup **ret_backup,
                              struct ow_err *err) OW_MUST_USE;
/* Makes a database of its own of what was copied: no WAL. backup->copy is a connection to it then.
 */
enum ow_status ow_backup_settle(struct ow_backup *backup, struct ow_err *err) OW_MUST_USE;
/* UNSAFE where the copy is damaged. pragma: quick_check or integrity_check. */
enum ow_status ow_backup_check(struct ow_backup *backup, const char *pragma, struct ow_err *err)
    OW_MUST_USE;
/* Closes the connection; the file is on the disk. */
enum ow_status ow_backup_sync(struct ow_backup *backup, struct ow_err *err) OW_MUST_USE;
/* The names in its folder are on the disk. */
enum ow_status ow_backup_sync_folder(const struct ow_backup *backup, struct ow_err *err)
    OW_MUST_USE;

#endif
