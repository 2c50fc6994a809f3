/*
 * filter: which sealed bucket may hold a key. A filter covers one sealed bucket, or some merged
 * ones of a class: sixteen of a level become one of the next, up to 256 buckets, so that a look-up
 * asks few of them. They are a cache: kept in ow_filter with checksums, loaded at start, built anew
 * in slices where they are missing or wrong; a bucket that none covers is looked up in the table
 * itself.
 *
 * A filter consists of pieces (base/fuse.h), chosen by the first bits of a key; a word holds the
 * number of a group of the filter's buckets, and bits of the key that tell most foreign keys from
 * its own. Whatever filters say, the table has the last word: a wrong "maybe" costs a look-up. A
 * wrong "no" would open a claim again: so a filter is used only if each of its pieces is there with
 * its checksum, and it has as many keys as its buckets; verify looks up every claim in them.
 *
 * Threads: the store's owner. Memory: about 2 bytes a claim from malloc, and some MiB while one is
 * built. Failure: as in store.h. Trust: rows of ow_filter are believed only with their checksums.
 * Private to lib/store.
 */
#ifndef OW_STORE_FILTER_H
#define OW_STORE_FILTER_H

#include "base/buffer.h"
#include "base/fuse.h"
#include "base/limits.h"
#include "store/sql.h"

enum {
    OW_FILTER_MERGE = 16, /* filters of a level that become one of the next */
    OW_FILTER_LEVELS = 3, /* of one bucket, of 16, of 256; each reads a claim again */
    OW_FILTER_NONE = UINT16_MAX
};

struct ow_filter {
    int64_t id, class_ms;
    int64_t claims;
    uint32_t level;
    uint32_t bucket_count;
    int64_t *buckets; /* 0: gone since */
    uint32_t piece_count;
    struct ow_fuse *pieces; /* each with cells of its own */
    /* Asked for hashes whose first 32 bits are from..until - 1: while filters are merged, what the
     * merged one has already is asked there, and the others have thrown it away. */
    uint64_t from, until;
    bool alone; /* could not be merged */
};

/* Keys to be looked up, in their order. */
struct ow_filter_keys {
    const uint64_t *hashes;
    const uint16_t *tags;
    size_t count;
};
/* What the filters keep of a key. */
void ow_filter_key(const uint8_t key[OW_CLAIM_KEY_BYTES], uint64_t *ret_hash, uint16_t *ret_tag);

/* Zeroed: nothing is being built. */
struct ow_filter_job {
    struct ow_filter *filter; /* NULL: none */
    int64_t *buckets;         /* of it, with those that have been pruned since */
    uint32_t piece, bucket;   /* where it is */
    uint8_t last_key[OW_CLAIM_KEY_BYTES];
    size_t last_bytes; /* 0: none yet of this bucket and piece */
    uint64_t *hashes;
    uint16_t *values;
    size_t count, capacity;
};

struct ow_filters {
    struct ow_filter **list; /* the oldest first */
    size_t count, capacity;
    int64_t last_id;
    int64_t *garbage; /* ids whose rows are to be deleted */
    size_t garbage_count, garbage_capacity;
    /* By level, the lowest goes first: a large merge takes as long as many buckets need to fill.
     * Without filters of their own each key would be looked up in those, and without the small
     * merges in all of their filters. */
    struct ow_filter_job jobs[OW_FILTER_LEVELS];
    struct ow_fuse_builder builder;
    struct ow_buffer bits;
};

struct ow_filter *ow_filter_new(uint32_t bucket_count, uint32_t piece_count);
/* Takes NULL. */
void ow_filter_free(struct ow_filter *filter);
void ow_filters_done(struct ow_filters *filters);
/* Takes ownership, and its buckets are filtered from now on. */
struct ow_store;
void ow_filter_publish(struct ow_store *store, struct ow_filter *filter);
/* No look-up goes there any more, neither in what is being merged: a filter without buckets is
 * dropped. */
void ow_filter_forget_bucket(struct ow_store *store, int64_t bucket);
/* Takes the filter at a place out of the list; its rows become garbage. */
void ow_filter_drop(struct ow_store *store, size_t at);
void ow_filter_discard(struct ow_filters *filters, int64_t id);

/* INT64_MAX: all are gone. */
int64_t ow_filter_first_bucket(const struct ow_filter *filter);

/*
 * Groups of buckets of a filter: 2^*ret_shift each, and about as many groups as a group has
 * buckets. What a word says of the group it cannot say of the key: more groups, and more new keys
 * are looked up in vain; fewer, and a key that is there is looked up in more buckets.
 */
uint32_t ow_filter_index_bits(uint32_t bucket_count, uint32_t *ret_shift);
/* ret_groups, by key: where it may be, or OW_FILTER_NONE. The keys are in their order. */
void ow_filter_look(const struct ow_filter *filter, const struct ow_filter_keys *keys,
                    uint16_t *ret_groups);
/* The first hash of a piece, of whose first 32 bits pieces are made. */
uint32_t ow_filter_piece_start(uint32_t piece_count, uint32_t piece);

/* filter_file.c: rows of ow_filter. */
enum ow_status ow_filter_load(struct ow_store *store, struct ow_err *err);
/* Writes the piece in work, which is built; within a transaction. */
enum ow_status ow_filter_write_piece(struct ow_store *store, const struct ow_filter_job *job,
                                     struct ow_err *err);
/* NULL: its rows are not what was written. */
enum ow_status ow_filter_read(struct ow_store *store, int64_t id, struct ow_filter **ret_filter,
                              struct ow_err *err);
/* A row as a piece of *filter, which the first one makes. False: it is not what was written. */
struct ow_filter_row {
    int64_t id, first_bucket, last_bucket, chunk, checksum;
    struct ow_slice bits;
};
bool ow_filter_take_row(struct ow_filter **filter, const struct ow_filter_row *row);

/* filter_build.c: builds and merges, up to so many rows a call. *ret_more: there is more to do. */
enum ow_status ow_filter_build(struct ow_store *store, size_t rows, bool *ret_more,
                               struct ow_err *err);
void ow_filter_jobs_done(struct ow_filters *filters);

#endif
