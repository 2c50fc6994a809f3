/*
 * A blocked Bloom filter a bucket: 16 bits a key in blocks of 512 bits, a cache line each (Putze,
 * Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007), 8 of them set a key.
 */
#include "kind.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS = 8, PROBES = 8, BLOCK = 32 };

struct bloom {
    size_t buckets;
    size_t bucket_words;
    uint64_t *words;
};

static uint64_t *line_of(uint64_t *words, size_t bucket_words, uint64_t hash)
{
    return words + (((hash >> 32) * (bucket_words / WORDS)) >> 32) * WORDS;
}

/* Seven places of nine bits from one word, the eighth from another. */
static uint64_t place_of(uint64_t places, unsigned probe)
{
    return (probe < 7 ? places >> (9 * probe) : kind_mix(places)) % 512;
}

static void *make(const struct layout *layout, double *ret_seconds)
{
    struct bloom *bloom = kind_alloc(sizeof(*bloom));
    bloom->buckets = layout->buckets;
    bloom->bucket_words = (layout->bucket_claims * 16 + 511) / 512 * WORDS;
    const size_t bytes = bloom->buckets * bloom->bucket_words * sizeof(uint64_t);
    bloom->words = aligned_alloc(64, bytes);
    if (bloom->words == NULL) {
        abort();
    }
    memset(bloom->words, 0, bytes);
    struct claims claims = kind_claims(layout->bucket_claims);
    for (size_t bucket = 0; bucket < bloom->buckets; bucket++) {
        kind_claims_fill(&claims, bucket * layout->bucket_claims);
        const double before = kind_now();
        uint64_t *words = bloom->words + bucket * bloom->bucket_words;
        for (size_t i = 0; i < claims.count; i++) {
            uint64_t *line = line_of(words, bloom->bucket_words, claims.hashes[i]);
            const uint64_t places = kind_mix(claims.hashes[i]);
            for (unsigned probe = 0; probe < PROBES; probe++) {
                const uint64_t place = place_of(places, probe);
                line[place / 64] |= UINT64_C(1) << (place % 64);
            }
        }
        *ret_seconds += kind_now() - before;
    }
    kind_claims_done(&claims);
    return bloom;
}

static bool may_hold(const uint64_t *line, uint64_t hash)
{
    const uint64_t places = kind_mix(hash);
    for (unsigned probe = 0; probe < PROBES; probe++) {
        const uint64_t place = place_of(places, probe);
        if ((line[place / 64] >> (place % 64) & 1) == 0) {
            return false;
        }
    }
    return true;
}

static void probe(const void *filters, const struct claims *batch, struct hits *hits)
{
    const struct bloom *bloom = filters;
    const uint64_t *lines[BLOCK];
    for (size_t bucket = 0; bucket < bloom->buckets; bucket++) {
        uint64_t *words = bloom->words + bucket * bloom->bucket_words;
        for (size_t from = 0; from < batch->count; from += BLOCK) {
            const size_t block = batch->count - from < BLOCK ? batch->count - from : BLOCK;
            for (size_t i = 0; i < block; i++) {
                lines[i] = line_of(words, bloom->bucket_words, batch->hashes[from + i]);
                __builtin_prefetch(lines[i]);
            }
            for (size_t i = 0; i < block; i++) {
                if (may_hold(lines[i], batch->hashes[from + i])) {
                    kind_hit(hits, from + i, bucket);
                }
            }
        }
    }
}

static size_t bytes(const void *filters)
{
    const struct bloom *bloom = filters;
    return bloom->buckets * bloom->bucket_words * sizeof(uint64_t);
}

static size_t count(const void *filters)
{
    return ((const struct bloom *)filters)->buckets;
}

static void done(void *filters)
{
    free(((struct bloom *)filters)->words);
    free(filters);
}

const struct kind kind_bloom = {"bloom", make, done, bytes, count, probe, 0};
