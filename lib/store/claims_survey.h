/*
 * claims_survey: how many claims a store holds, bucket by bucket, what they cost on disk, and how
 * fast both grow.
 *
 * Reads through a connection of its own (mode=ro), with a snapshot for each bucket and never one of
 * more than a second, so a worker may go on. What no row says is estimated, and named so below.
 * Threads: the caller's. Memory: the arena's. Failure: BAD_CONFIG (no such store), UNSAFE, FAILED.
 */
#ifndef OW_STORE_CLAIMS_SURVEY_H
#define OW_STORE_CLAIMS_SURVEY_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/status.h"

#include <stdbool.h>

enum { OW_CLAIMS_OPEN_MS = -1 }; /* sealed_at_ms of an open bucket */

struct ow_claims_bucket {
    int64_t bucket;
    int64_t class_ms; /* retention */
    int64_t opened_at_ms, sealed_at_ms;
    int64_t claims;
    /* Estimate: the pages that its first claims take (10,000 at most, or what a quarter of a second
     * allows), in proportion. */
    int64_t bytes;
    bool pruning; /* is being pruned, or will be gone with the next look */
};

struct ow_claims_class {
    int64_t class_ms;
    int64_t buckets, claims;
    int64_t claims_per_day; /* over the days of the survey; -1: not known */
    bool pruned;            /* buckets of it are gone: there is a horizon */
    int64_t kept_since_ms;  /* where pruned: the horizon without claims.skew */
};

struct ow_claims_survey {
    struct ow_claims_bucket *buckets; /* by number */
    size_t bucket_count;
    struct ow_claims_class *classes; /* by retention */
    size_t class_count;
    int64_t claims;
    int64_t bytes;          /* of all buckets (estimate) and of their filters */
    int64_t claims_per_day; /* over seven days, or since the oldest bucket was opened; -1: known for
                               less than an hour */
    int64_t file_bytes;     /* the store's file; -wal is no part of it */
    int64_t free_bytes;     /* of the file system, and of the file's own free pages */
    /*
     * Estimate, -1: not known. A claim brings as much of all else in the file (history, entities,
     * and so on) as each has brought until now; and its own bytes, in classes of which nothing was
     * pruned yet (in the others pages are used again).
     */
    int64_t growth_per_day;
};

struct ow_claims_survey_options {
    const char *path;
    struct ow_clock clock;
    /* Called after each bucket; may be NULL. */
    void (*progress)(void *context, const char *what, int64_t done, int64_t goal);
    void *context;
};

enum ow_status ow_claims_survey(const struct ow_claims_survey_options *options,
                                struct ow_arena *arena, struct ow_claims_survey *ret_survey,
                                struct ow_err *err) OW_MUST_USE;

/* The text of a fingerprint rule; NULL: the store has none with this number. */
enum ow_status ow_claims_survey_rule(const char *path, int64_t number, struct ow_arena *arena,
                                     const char **ret_text, struct ow_err *err) OW_MUST_USE;

#endif
