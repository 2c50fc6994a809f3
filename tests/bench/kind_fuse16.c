/*
 * A binary fuse filter a bucket with fingerprints of 16 bits: what base/fuse.h does, as plain as it
 * goes, with a fingerprint for a value and nothing packed. The segments are chosen as there.
 */
#include "base/fuse.h"
#include "kind.h"

#include <stdlib.h>

enum { WAYS = 4, BLOCK = 32 };

struct fuse16 {
    struct layout layout;
    uint32_t segment_cells;
    uint32_t segment_count;
    size_t cells; /* of a bucket */
    uint64_t *seeds;
    uint16_t *all;
};

/* While it is built. */
struct cell {
    uint64_t hash;
    uint32_t print;
    uint32_t keys;
};

struct places {
    uint32_t at[WAYS];
};

static struct places places_of(const struct fuse16 *fuse, uint64_t hash)
{
    struct places places;
    const unsigned bits = (unsigned)__builtin_ctz(fuse->segment_cells);
    const uint64_t span = (uint64_t)fuse->segment_count * fuse->segment_cells;
    const uint32_t first = (uint32_t)(((hash >> 32) * span) >> 32);
    places.at[0] = first;
    for (uint32_t way = 1; way < WAYS; way++) {
        const uint32_t low = (uint32_t)(hash >> (bits * (way - 1))) & (fuse->segment_cells - 1);
        places.at[way] = (first + way * fuse->segment_cells) ^ low;
    }
    return places;
}

static size_t peel(const struct fuse16 *fuse, struct cell *scratch, uint32_t *queue)
{
    size_t waiting = 0;
    for (uint32_t at = 0; at < fuse->cells; at++) {
        if (scratch[at].keys == 1) {
            queue[waiting++] = at;
        }
    }
    size_t peeled = 0;
    for (size_t next = 0; next < waiting; next++) {
        const uint32_t own = queue[next];
        const struct cell key = scratch[own];
        if (key.keys == 0) {
            continue;
        }
        queue[peeled++] = own;
        const struct places places = places_of(fuse, key.hash);
        for (size_t way = 0; way < WAYS; way++) {
            struct cell *cell = &scratch[places.at[way]];
            cell->keys--;
            if (places.at[way] != own) {
                cell->hash ^= key.hash;
                cell->print ^= key.print;
                if (cell->keys == 1) {
                    queue[waiting++] = places.at[way];
                }
            }
        }
    }
    return peeled;
}

static bool build(const struct fuse16 *fuse, const struct claims *claims, size_t bucket,
                  struct cell *scratch, uint32_t *queue)
{
    for (size_t at = 0; at < fuse->cells; at++) {
        scratch[at] = (struct cell){0};
    }
    for (size_t i = 0; i < claims->count; i++) {
        const uint64_t hash = kind_mix(claims->hashes[i] + fuse->seeds[bucket]);
        const struct places places = places_of(fuse, hash);
        for (size_t way = 0; way < WAYS; way++) {
            struct cell *cell = &scratch[places.at[way]];
            cell->hash ^= hash;
            cell->print ^= claims->prints[i];
            cell->keys++;
        }
    }
    const size_t peeled = peel(fuse, scratch, queue);
    if (peeled < claims->count) {
        return false;
    }
    uint16_t *cells = fuse->all + bucket * fuse->cells;
    for (size_t i = peeled; i-- > 0;) {
        const struct places places = places_of(fuse, scratch[queue[i]].hash);
        uint32_t value = scratch[queue[i]].print;
        for (size_t way = 0; way < WAYS; way++) {
            value ^= cells[places.at[way]]; /* its own is still 0 */
        }
        cells[queue[i]] = (uint16_t)value;
    }
    return true;
}

/* The shape of a table in lib/base with as many keys. */
static void take_shape(struct fuse16 *fuse, const struct claims *claims)
{
    OW_FUSE_BUILDER builder = {0};
    uint16_t *values = kind_alloc(claims->count * sizeof(uint16_t));
    uint8_t *cells = kind_alloc(ow_fuse_bytes(claims->count));
    struct ow_fuse made;
    const struct ow_fuse_set set = {claims->hashes, values, claims->count};
    if (!ow_fuse_build(&builder, &set, 0, cells, &made)) {
        abort();
    }
    fuse->segment_cells = made.segment_cells;
    fuse->segment_count = made.segment_count;
    fuse->cells = ((size_t)made.segment_count + WAYS - 1) * made.segment_cells;
    free(values);
    free(cells);
}

static void *make(const struct layout *layout, double *ret_seconds)
{
    struct fuse16 *fuse = kind_alloc(sizeof(*fuse));
    fuse->layout = *layout;
    struct claims claims = kind_claims(layout->bucket_claims);
    kind_claims_fill(&claims, 0);
    take_shape(fuse, &claims);
    fuse->seeds = kind_alloc(layout->buckets * sizeof(uint64_t));
    fuse->all = kind_alloc(layout->buckets * fuse->cells * sizeof(uint16_t));
    struct cell *scratch = kind_alloc(fuse->cells * sizeof(struct cell));
    uint32_t *queue = kind_alloc(fuse->cells * sizeof(uint32_t));
    for (size_t bucket = 0; bucket < layout->buckets; bucket++) {
        kind_claims_fill(&claims, bucket * layout->bucket_claims);
        const double before = kind_now();
        while (!build(fuse, &claims, bucket, scratch, queue)) {
            fuse->seeds[bucket]++;
        }
        *ret_seconds += kind_now() - before;
    }
    free(scratch);
    free(queue);
    kind_claims_done(&claims);
    return fuse;
}

static void probe(const void *filters, const struct claims *batch, struct hits *hits)
{
    const struct fuse16 *fuse = filters;
    struct places places[BLOCK];
    for (size_t bucket = 0; bucket < fuse->layout.buckets; bucket++) {
        const uint16_t *cells = fuse->all + bucket * fuse->cells;
        for (size_t from = 0; from < batch->count; from += BLOCK) {
            const size_t block = batch->count - from < BLOCK ? batch->count - from : BLOCK;
            for (size_t i = 0; i < block; i++) {
                places[i] =
                    places_of(fuse, kind_mix(batch->hashes[from + i] + fuse->seeds[bucket]));
                for (size_t way = 0; way < WAYS; way++) {
                    __builtin_prefetch(&cells[places[i].at[way]]);
                }
            }
            for (size_t i = 0; i < block; i++) {
                const uint32_t *at = places[i].at;
                if ((cells[at[0]] ^ cells[at[1]] ^ cells[at[2]] ^ cells[at[3]]) ==
                    batch->prints[from + i]) {
                    kind_hit(hits, from + i, bucket);
                }
            }
        }
    }
}

static size_t bytes(const void *filters)
{
    const struct fuse16 *fuse = filters;
    return fuse->layout.buckets * fuse->cells * sizeof(uint16_t);
}

static size_t count(const void *filters)
{
    return ((const struct fuse16 *)filters)->layout.buckets;
}

static void done(void *filters)
{
    struct fuse16 *fuse = filters;
    free(fuse->seeds);
    free(fuse->all);
    free(fuse);
}

const struct kind kind_fuse16 = {"fuse16", make, done, bytes, count, probe, 1.0 / 65536};
