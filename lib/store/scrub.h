/*
 * scrub: overwrites with zeros every byte of the file that no row uses: free pages, the gaps and
 * free blocks of tree pages, the tails of overflow pages. There lie copies of rows that were
 * changed, deleted or moved by SQLite, and secure_delete does not reach those of the past. (VACUUM
 * does, but writes the whole file twice.) Private to lib/store.
 *
 * Which pages are what is asked of SQLite (dbstat); nothing that it reads as content is written, so
 * being killed in between does no harm. Fragments of 1 to 3 bytes stay. The connection must be
 * closed afterwards without writing: its cache has the pages as they were. Threads: the store's
 * owner. Memory: a page. Failure: TEMPORARY where readers keep the WAL from being emptied; FAILED
 * where a page is not of the form that SQLite says, and is then left alone.
 */
#ifndef OW_STORE_SCRUB_H
#define OW_STORE_SCRUB_H

#include "store/sql.h"

struct ow_scrubbed {
    int64_t pages; /* looked at */
    int64_t bytes; /* overwritten: those that were not zero */
};

typedef void ow_scrub_progress(void *context, const char *what, int64_t done, int64_t goal);

/* path: of the open file. progress may be NULL. */
enum ow_status ow_scrub(struct ow_sql *sql, const char *path, ow_scrub_progress *progress,
                        void *context, struct ow_scrubbed *ret_scrubbed, struct ow_err *err)
    OW_MUST_USE;

#endif
