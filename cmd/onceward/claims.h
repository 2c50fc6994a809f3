/*
 * claims: what `onceward claims` does: one function for each of its words.
 *
 * Threads: the main thread. Memory: the arena's. Failure: said on stderr; the exit code is
 * returned.
 */
#ifndef OW_CMD_CLAIMS_H
#define OW_CMD_CLAIMS_H

#include "base/arena.h"
#include "output.h"

/* Where the claims are. */
struct ow_claims_store {
    const char *path;
    const char *hash_key_file; /* NULL: none was named */
    int64_t skew_ms;           /* claims.skew; -1: not known, for a database was named */
};

/* A bucket a line, then totals. */
int ow_claims_stats(const struct ow_claims_store *store, enum ow_output output,
                    struct ow_arena *arena);

/* id: a claim's key, or a message's id; source: of the message, or NULL. 1 where there is no such
 * claim. */
int ow_claims_show(const struct ow_claims_store *store, const char *id, const char *source,
                   enum ow_output output, struct ow_arena *arena);

#endif
