/*
 * bucket: the rows of ow_bucket. New claims go into the open bucket of their retention class; a
 * full or old one is sealed and never gets a claim again; of a doomed one (its retention is over)
 * the claims count no more and go in slices.
 *
 * Threads: the store's owner. Memory: the store's. Failure: as in store.h. Private to lib/store.
 */
#ifndef OW_STORE_BUCKET_H
#define OW_STORE_BUCKET_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct ow_store;

enum { OW_STORE_CLASSES_MAX = 64 /* retention classes: a bucket stays open for each */ };

struct ow_open_bucket {
    int64_t class_ms, bucket, claims, opened_at_ms;
    int64_t latest_ms; /* by then its claims had come; of one that was loaded, at the latest */
};

struct ow_sealed_bucket {
    int64_t bucket, class_ms, claims, sealed_at_ms;
    bool plain;    /* no filter could be built */
    bool filtered; /* a filter tells of a key whether it may be in there */
    bool doomed;
};

struct ow_machines;
/* After the horizons. */
enum ow_status ow_bucket_load(struct ow_store *store, const struct ow_machines *machines,
                              struct ow_err *err);
/* Whether a claim of that time belongs into another bucket: this one was opened a share of its
 * retention before, or after. */
bool ow_bucket_is_aged(const struct ow_open_bucket *bucket, int64_t at_ms);
/* The open bucket of a class for a claim of that time; a new one where there is none. */
enum ow_status ow_bucket_find(struct ow_store *store, int64_t class_ms, int64_t at_ms,
                              struct ow_open_bucket **ret_bucket, struct ow_err *err);
/* One more in an open bucket; a full one is sealed, and *bucket is no more. */
enum ow_status ow_bucket_count(struct ow_store *store, struct ow_open_bucket *bucket, int64_t at_ms,
                               struct ow_err *err);
enum ow_status ow_bucket_seal(struct ow_store *store, struct ow_open_bucket *bucket,
                              struct ow_err *err);
struct ow_marks;
/* Of the buckets that got claims since then and are open still. */
enum ow_status ow_bucket_write_counts(struct ow_store *store, const struct ow_marks *before,
                                      struct ow_err *err);
/* A sealed bucket whose claims have become fewer; without any it goes too. */
enum ow_status ow_bucket_shrink(struct ow_store *store, const struct ow_sealed_bucket *bucket,
                                int64_t claims, struct ow_err *err);
/* NULL: not sealed, or not there. */
struct ow_sealed_bucket *ow_bucket_sealed(const struct ow_store *store, int64_t bucket);

#endif
