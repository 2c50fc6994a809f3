/*
 * verify: proves the promises of DESIGN 10 on a database, from the rows alone and without the
 * worker's code paths.
 *
 * Reads through a connection of its own (mode=ro), so a worker may go on. Threads: the caller's.
 * Memory: the arena's. Failure: FAILED or UNSAFE where the file cannot be read; broken promises are
 * a result and no failure.
 */
#ifndef OW_STORE_VERIFY_H
#define OW_STORE_VERIFY_H

#include "base/arena.h"
#include "base/status.h"
#include "model/hash.h"

struct ow_promise {
    const char *name;    /* "claims_unique", stable: others read it */
    const char *meaning; /* one sentence for people */
    int64_t checked, broken;
    const char *examples[5]; /* the first offending rows; NULL-terminated */
};

struct ow_verification {
    bool ok;
    char state_hash[2 * OW_DIGEST_BYTES + 1];
    const struct ow_promise *promises;
    size_t promise_count;
};

enum ow_status ow_verify(const char *path, struct ow_arena *arena,
                         struct ow_verification *ret_verification, struct ow_err *err) OW_MUST_USE;

#endif
