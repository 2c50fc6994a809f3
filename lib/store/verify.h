/*
 * verify: proves the promises of DESIGN 10 on a database, from the rows alone and without the
 * worker's code paths.
 *
 * Reads through a connection of its own (mode=ro), in slices: each is a snapshot of at most
 * `slice_ms`, so that the WAL of a worker that goes on meanwhile stays capped. What was there when
 * it began is proved; what is written later is left out or, where it cannot be told apart, looked
 * at too. Threads: the caller's. Memory: the arena's for what is found; the working set does not
 * grow with the database (a private temporary file does), but for some bytes a partition, a bucket,
 * and a row of the one longest history. Failure: FAILED or UNSAFE where the file cannot be read;
 * broken promises are a result and no failure.
 */
#ifndef OW_STORE_VERIFY_H
#define OW_STORE_VERIFY_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/status.h"
#include "model/hash.h"

struct ow_promise {
    const char *name;    /* "claims_unique", stable: others read it */
    const char *meaning; /* one sentence for people */
    int64_t checked, broken;
    const char *examples[5]; /* the first offending rows; NULL-terminated */
};

enum { OW_VERIFY_NOTES = 4 };

struct ow_verification {
    bool ok;
    bool finished; /* false: the file is too damaged to be read to its end, and what was not looked
                      at has no figure */
    char state_hash[2 * OW_DIGEST_BYTES + 1]; /* "": not known, a note says why */
    const struct ow_promise *promises;
    size_t promise_count;
    const char *notes[OW_VERIFY_NOTES + 1]; /* what could not be looked at, and what to do about it;
                                               NULL-terminated */
    int64_t slices;
    int64_t longest_slice_ns;
};

/* How far it is. */
struct ow_verify_progress {
    const char *phase; /* "history" */
    int step, steps;   /* from 1 */
    int64_t rows;      /* looked at since the begin */
    int64_t elapsed_ns;
};

struct ow_verify_options {
    const char *path;
    const char *hash_key_file; /* NULL: the key is in the store, or not known */
    struct ow_clock clock;
    int64_t slice_ms; /* 0: OW_VERIFY_SLICE_MS */
    /* After each slice, while no snapshot is held; NULL: nobody wants to know. */
    void (*between)(const struct ow_verify_progress *progress, void *context);
    void *context;
};
enum { OW_VERIFY_SLICE_MS = 500 };

enum ow_status ow_verify_store(const struct ow_verify_options *options, struct ow_arena *arena,
                               struct ow_verification *ret_verification, struct ow_err *err)
    OW_MUST_USE;
/* With the system's clock and nothing special. */
enum ow_status ow_verify(const char *path, struct ow_arena *arena,
                         struct ow_verification *ret_verification, struct ow_err *err) OW_MUST_USE;

#endif
