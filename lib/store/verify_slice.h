/*
 * verify_slice: reading in slices: a snapshot is held for a short time, and scans go on in the next
 * one where they were. Private to lib/store.
 *
 * A scan goes by a key that never changes, so it meets each row once that is there from the begin
 * to the end. Whoever loops over rows calls ow_verify_pause once a row: there the snapshot may
 * change, and whatever was read from a statement is gone; what was copied stays. Threads: the
 * caller's. Memory: the last key of each cursor. Failure: as of the store.
 */
#ifndef OW_STORE_VERIFY_SLICE_H
#define OW_STORE_VERIFY_SLICE_H

#include "base/buffer.h"
#include "store/sql.h"
#include "store/verify.h"

#include <time.h>

struct ow_verify;

/*
 * A statement "SELECT key, … WHERE fixed = ? … AND key >= ? ORDER BY key" that survives the end of
 * a snapshot.
 */
struct ow_verify_cursor {
    struct ow_verify *verify;
    struct ow_statement statement;
    struct ow_value fixed[3]; /* bound before the key; texts outlive the cursor */
    size_t fixed_count;
    enum { OW_VERIFY_BY_NUMBER, OW_VERIFY_BY_TEXT, OW_VERIFY_BY_BLOB } by;
    int64_t from;           /* the least number that is next */
    struct ow_buffer bytes; /* the least text or blob that is next */
    bool open;              /* bound within the present snapshot */
    bool ended;             /* no key can follow */
    struct ow_verify_cursor *next;
};

/* The file beside the store as it is at some time. */
struct ow_verify_wal {
    int64_t bytes;
    struct timespec changed;
    uint8_t round[8]; /* changes each time that it is written from its beginning again */
};

/* The present snapshot, and those before. */
struct ow_verify_slices {
    struct ow_verify_options options;
    int64_t started_ns, begun_ns, longest_ns, count;
    int64_t batch, next_ref; /* of the present snapshot */
    int64_t first_batch;     /* of the first one */
    bool open;
    struct ow_verify_wal wal; /* as the snapshot began */
    struct timespec idle;     /* when the WAL was changed that nobody restarts */
    const char *wal_path;
    struct ow_verify_cursor *cursors;
    struct ow_verify_progress progress;
};

/* Begins the first snapshot, and ends the last one. */
enum ow_status ow_verify_slice_begin(struct ow_verify *verify, struct ow_err *err) OW_MUST_USE;
void ow_verify_slice_end(struct ow_verify *verify);
/* Counts a row; a snapshot that is old enough is exchanged for a new one. */
enum ow_status ow_verify_pause(struct ow_verify *verify, struct ow_err *err) OW_MUST_USE;
/* Exchanges it whatever its age is. */
enum ow_status ow_verify_turn(struct ow_verify *verify, struct ow_err *err) OW_MUST_USE;
/* Whether the snapshot is older than a slice may be. */
bool ow_verify_slice_due(const struct ow_verify *verify);
/* Whether somebody has written since the present snapshot began. */
bool ow_verify_slice_outdated(const struct ow_verify *verify);

enum ow_status ow_verify_cursor_open(struct ow_verify_cursor *cursor, struct ow_verify *verify,
                                     const char *text, struct ow_err *err) OW_MUST_USE;
enum ow_status ow_verify_cursor_next(struct ow_verify_cursor *cursor, bool *ret_row,
                                     struct ow_err *err) OW_MUST_USE;
/* Takes a zeroed cursor. */
void ow_verify_cursor_done(struct ow_verify_cursor *cursor);
#define OW_VERIFY_CURSOR OW_CLEANUP(ow_verify_cursor_done) struct ow_verify_cursor

#endif
