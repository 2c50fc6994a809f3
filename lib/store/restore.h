/*
 * restore: puts a backup (or any other copy of a store) into the place of a store that is lost,
 * after every check that the file itself allows.
 *
 * _begin copies the backup beside the store as "<store>.part" and checks that copy: every page,
 * every promise. Then whoever knows the topics looks at its facts, and _place puts it where it is
 * to be, in one step: at any moment there is the old store, or the new one. The old file is kept as
 * "<store>.before-restore", and so is what a lost one has left beside it.
 *
 * Threads: the caller's. Memory: malloc, until _free; it holds the store's lock as long. Failure:
 * TEMPORARY (a worker owns the store), UNSAFE (not a store of ours, another store, damaged),
 * DIFFERENT (a promise is broken), BAD_CONFIG, FAILED.
 */
#ifndef OW_STORE_RESTORE_H
#define OW_STORE_RESTORE_H

#include "base/clock.h"
#include "base/slice.h"
#include "base/status.h"

#include <stdbool.h>

struct ow_restore;

struct ow_restore_options {
    const char *path; /* the store's place */
    const char *from;
    const char *hash_key_file; /* NULL: the key is in the store */
    bool discard;              /* the old file is not kept */
    struct ow_clock clock;
    /* Now and then; may be NULL. */
    void (*progress)(void *context, const char *what, int64_t done, int64_t goal);
    void *context;
};

struct ow_restore_position {
    const char *topic;
    int32_t partition;
    int64_t next_offset;
};

struct ow_restore_facts {
    const char *path; /* links resolved */
    const char *store_id;
    int64_t epoch;
    int64_t at_ms; /* the moment that it shows; 0: not known, it was copied by other means */
    int64_t pages, bytes;
    const struct ow_restore_position *positions;
    size_t position_count;
    bool replaces;           /* there is a file in the place */
    const char *unreadable;  /* why nothing is known of that, or NULL */
    int64_t replaced_epoch;  /* of that; 0: not known */
    const char *replaced_as; /* where it, and what lies beside it ("-wal"), will be kept; NULL:
                                nowhere, or there is nothing */
};

enum ow_status ow_restore_begin(const struct ow_restore_options *options,
                                struct ow_restore **ret_restore, struct ow_err *err) OW_MUST_USE;
const struct ow_restore_facts *ow_restore_look(const struct ow_restore *restore);
/*
 * group_epoch: the highest that the group's offsets were committed in: the store goes on above it,
 * and knows that what was committed before may be ahead of it. -1: nobody could be asked; then the
 * first run must be told (--restored).
 */
enum ow_status ow_restore_place(struct ow_restore *restore, int64_t group_epoch, struct ow_err *err)
    OW_MUST_USE;
/* Takes NULL. What is not placed is removed. */
void ow_restore_free(struct ow_restore *restore);

#endif
