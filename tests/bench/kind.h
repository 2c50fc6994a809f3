/*
 * kind: what is compared: a way to find, in memory, the sealed buckets that may hold a key.
 *
 * Claims are numbered from 0; bucket b holds bucket_claims of them from b * bucket_claims on. Claim
 * n has a hash and, independent of it, a print to be compared: two parts of a random claim key.
 */
#ifndef TESTS_BENCH_KIND_H
#define TESTS_BENCH_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct layout {
    size_t buckets;
    size_t bucket_claims;
    size_t piece_claims; /* tiers: about as many claims in a piece */
    unsigned merge_bits; /* tiers: 2^merge_bits filters become one */
    unsigned index_bits; /* tiers: the largest filter is over 2^index_bits buckets at most */
};

struct claims {
    uint64_t *hashes;
    uint16_t *prints;
    size_t count;
};

/* What a batch's look-ups met. */
struct hits {
    uint64_t buckets;    /* to be looked into */
    uint8_t *any;        /* by key of the batch */
    const uint32_t *own; /* the bucket of each key; NULL: the keys are fresh */
    uint64_t own_met;
};

struct kind {
    const char *name;
    /* ret_seconds: spent on building, without the making of hashes. */
    void *(*make)(const struct layout *layout, double *ret_seconds);
    void (*free)(void *filters);
    size_t (*bytes)(const void *filters);
    size_t (*filters)(const void *filters);
    void (*probe)(const void *filters, const struct claims *batch, struct hits *hits);
    double needless; /* expected look-ups of a fresh key, a bucket; 0: no simple theory */
};

extern const struct kind kind_bloom;
extern const struct kind kind_fuse16;
extern const struct kind kind_tiers;

uint64_t kind_mix(uint64_t x);
void *kind_alloc(size_t bytes); /* zeroed; ends the program where memory ends */
double kind_now(void);          /* seconds */

/* Room for count claims; fill makes those from number first on. */
struct claims kind_claims(size_t count);
void kind_claims_fill(struct claims *claims, uint64_t first);
void kind_claims_done(struct claims *claims);

static inline void kind_hit(struct hits *hits, size_t key, size_t bucket)
{
    hits->buckets++;
    hits->any[key] = 1;
    hits->own_met += hits->own != NULL && hits->own[key] == bucket;
}

#endif
