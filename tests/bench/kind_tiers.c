/*
 * Tiers of base/fuse.h: a sealed bucket has a filter of its own; eight of them become one, eight
 * of those one over 64 (or as --merge and --largest say). A filter is made of pieces, chosen by the
 * top bits of the hash; a word is a fingerprint and, below it, the index of the bucket within the
 * filter.
 */
#include "base/fuse.h"
#include "kind.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE_BITS_MAX = 10, PIECES_MAX = 1 << PIECE_BITS_MAX };

struct filter {
    size_t first; /* bucket */
    unsigned index_bits;
    unsigned piece_bits;
    struct ow_fuse *pieces;
};

struct tiers {
    struct filter *filters; /* the oldest and largest first */
    size_t count;
};

/* Claims sorted by the top bits of their hashes. */
struct sorted {
    struct claims claims;
    uint32_t *from;                  /* number before sorting */
    uint32_t starts[PIECES_MAX + 1]; /* of each value of the top PIECE_BITS_MAX bits */
};

static struct sorted *sorted_new(size_t count)
{
    struct sorted *sorted = kind_alloc(sizeof(*sorted));
    sorted->claims = kind_claims(count);
    sorted->from = kind_alloc(count * sizeof(uint32_t));
    return sorted;
}

static void sorted_free(struct sorted *sorted)
{
    kind_claims_done(&sorted->claims);
    free(sorted->from);
    free(sorted);
}

static void sort(struct sorted *sorted, const struct claims *claims)
{
    uint32_t next[PIECES_MAX + 1] = {0};
    for (size_t i = 0; i < claims->count; i++) {
        next[(claims->hashes[i] >> (64 - PIECE_BITS_MAX)) + 1]++;
    }
    for (size_t top = 0; top < PIECES_MAX; top++) {
        next[top + 1] += next[top];
    }
    memcpy(sorted->starts, next, sizeof(next));
    for (size_t i = 0; i < claims->count; i++) {
        const size_t to = next[claims->hashes[i] >> (64 - PIECE_BITS_MAX)]++;
        sorted->claims.hashes[to] = claims->hashes[i];
        sorted->claims.prints[to] = claims->prints[i];
        sorted->from[to] = (uint32_t)i;
    }
}

static size_t start_of(const struct sorted *sorted, unsigned piece_bits, size_t piece)
{
    return sorted->starts[piece << (PIECE_BITS_MAX - piece_bits)];
}

/* The 14 - index_bits top bits of a print. */
static unsigned fingerprint(uint16_t print, unsigned index_bits)
{
    return (unsigned)print >> (16 - OW_FUSE_BITS + index_bits);
}

static struct filter filter_make(const struct layout *layout, size_t first, unsigned index_bits,
                                 double *ret_seconds)
{
    struct filter filter = {.first = first, .index_bits = index_bits};
    const size_t count = layout->bucket_claims << index_bits;
    while (filter.piece_bits < PIECE_BITS_MAX &&
           2 * (count >> filter.piece_bits) > 3 * layout->piece_claims) {
        filter.piece_bits++;
    }
    filter.pieces = kind_alloc(sizeof(struct ow_fuse) << filter.piece_bits);
    struct claims claims = kind_claims(count);
    kind_claims_fill(&claims, first * layout->bucket_claims);
    struct sorted *sorted = sorted_new(count);
    OW_FUSE_BUILDER builder = {0};
    const double before = kind_now();
    sort(sorted, &claims);
    uint16_t *words = sorted->claims.prints;
    for (size_t i = 0; i < count; i++) {
        const size_t index = sorted->from[i] / layout->bucket_claims;
        words[i] = (uint16_t)(fingerprint(words[i], index_bits) << index_bits | index);
    }
    for (size_t piece = 0; piece >> filter.piece_bits == 0; piece++) {
        const size_t start = start_of(sorted, filter.piece_bits, piece);
        const size_t end = start_of(sorted, filter.piece_bits, piece + 1);
        const struct ow_fuse_set set = {sorted->claims.hashes + start, words + start, end - start};
        uint8_t *cells = kind_alloc(ow_fuse_bytes(set.count));
        if (!ow_fuse_build(&builder, &set, first, cells, &filter.pieces[piece])) {
            abort();
        }
    }
    *ret_seconds += kind_now() - before;
    sorted_free(sorted);
    kind_claims_done(&claims);
    return filter;
}

static void filter_done(struct filter *filter)
{
    for (size_t piece = 0; piece >> filter->piece_bits == 0; piece++) {
        free((void *)(uintptr_t)filter->pieces[piece].cells);
    }
    free(filter->pieces);
}

/* As a worker does it: a filter at each sealing; then the last of a tier become one where they are
 * enough. */
static void *make(const struct layout *layout, double *ret_seconds)
{
    struct tiers *tiers = kind_alloc(sizeof(*tiers));
    tiers->filters = kind_alloc((layout->buckets + 1) * sizeof(struct filter));
    for (size_t bucket = 0; bucket < layout->buckets; bucket++) {
        tiers->filters[tiers->count++] = filter_make(layout, bucket, 0, ret_seconds);
        unsigned bits = layout->merge_bits;
        while (bits <= layout->index_bits && (bucket + 1) % ((size_t)1 << bits) == 0) {
            const size_t first = bucket + 1 - ((size_t)1 << bits);
            const struct filter filter = filter_make(layout, first, bits, ret_seconds);
            for (size_t i = 0; i >> layout->merge_bits == 0; i++) {
                filter_done(&tiers->filters[--tiers->count]);
            }
            tiers->filters[tiers->count++] = filter;
            bits += layout->merge_bits;
        }
    }
    return tiers;
}

static void probe(const void *filters, const struct claims *batch, struct hits *hits)
{
    const struct tiers *tiers = filters;
    struct sorted *sorted = sorted_new(batch->count);
    uint16_t *words = kind_alloc(batch->count * sizeof(uint16_t));
    sort(sorted, batch);
    for (size_t i = 0; i < tiers->count; i++) {
        const struct filter *filter = &tiers->filters[i];
        for (size_t piece = 0; piece >> filter->piece_bits == 0; piece++) {
            const size_t start = start_of(sorted, filter->piece_bits, piece);
            const size_t end = start_of(sorted, filter->piece_bits, piece + 1);
            ow_fuse_get_many(&filter->pieces[piece], sorted->claims.hashes + start, end - start,
                             words + start);
        }
        const unsigned bits = filter->index_bits;
        for (size_t key = 0; key < batch->count; key++) {
            if ((unsigned)words[key] >> bits == fingerprint(sorted->claims.prints[key], bits)) {
                const unsigned index = words[key] & ((1U << bits) - 1);
                kind_hit(hits, sorted->from[key], filter->first + index);
            }
        }
    }
    free(words);
    sorted_free(sorted);
}

static size_t bytes(const void *filters)
{
    const struct tiers *tiers = filters;
    size_t sum = 0;
    for (size_t i = 0; i < tiers->count; i++) {
        const struct filter *filter = &tiers->filters[i];
        for (size_t piece = 0; piece >> filter->piece_bits == 0; piece++) {
            sum += filter->pieces[piece].bytes + sizeof(struct ow_fuse);
        }
    }
    return sum;
}

static size_t count(const void *filters)
{
    return ((const struct tiers *)filters)->count;
}

static void done(void *filters)
{
    struct tiers *tiers = filters;
    for (size_t i = 0; i < tiers->count; i++) {
        filter_done(&tiers->filters[i]);
    }
    free(tiers->filters);
    free(tiers);
}

const struct kind kind_tiers = {
    "tiers", make, done, bytes, count, probe, 1.0 / (1 << OW_FUSE_BITS)};
