#include "store/filter.h"

#include "base/contract.h"
#include "store/internal.h"

#include <stdlib.h>

static uint32_t bits_for(uint32_t count)
{
    uint32_t bits = 0;
    while ((UINT32_C(1) << bits) < count) {
        bits++;
    }
    return bits;
}

uint32_t ow_filter_index_bits(uint32_t bucket_count, uint32_t *ret_shift)
{
    const uint32_t bits = bits_for(bucket_count);
    *ret_shift = bits / 2;
    return bits - *ret_shift;
}

void ow_filter_key(const uint8_t key[OW_CLAIM_KEY_BYTES], uint64_t *ret_hash, uint16_t *ret_tag)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < 8; i++) {
        hash = hash << 8 | key[i]; /* in the order of the keys, so pieces are ranges of them */
    }
    *ret_hash = hash;
    *ret_tag = (uint16_t)((uint16_t)key[8] << 8 | key[9]);
}

uint32_t ow_filter_piece_start(uint32_t piece_count, uint32_t piece)
{
    return (uint32_t)((((uint64_t)piece << 32) + piece_count - 1) / piece_count);
}

struct ow_filter *ow_filter_new(uint32_t bucket_count, uint32_t piece_count)
{
    struct ow_filter *filter = calloc(1, sizeof(*filter));
    OW_INVARIANT(filter != NULL);
    *filter = (struct ow_filter){
        .bucket_count = bucket_count, .piece_count = piece_count, .until = UINT64_C(1) << 32};
    filter->buckets = calloc(bucket_count, sizeof(*filter->buckets));
    filter->pieces = calloc(piece_count, sizeof(*filter->pieces));
    OW_INVARIANT(filter->buckets != NULL);
    OW_INVARIANT(filter->pieces != NULL);
    return filter;
}

void ow_filter_free(struct ow_filter *filter)
{
    if (filter == NULL) {
        return;
    }
    for (uint32_t i = 0; i < filter->piece_count; i++) {
        free((void *)(uintptr_t)filter->pieces[i].cells); /* a view, but these are ours */
    }
    free(filter->pieces);
    free(filter->buckets);
    free(filter);
}

void ow_filters_done(struct ow_filters *filters)
{
    ow_filter_jobs_done(filters);
    for (size_t i = 0; i < filters->count; i++) {
        ow_filter_free(filters->list[i]);
    }
    free(filters->list);
    free(filters->garbage);
    ow_buffer_done(&filters->bits);
}

void ow_filter_discard(struct ow_filters *filters, int64_t id)
{
    if (filters->garbage_count == filters->garbage_capacity) {
        filters->garbage_capacity =
            filters->garbage_capacity == 0 ? 16 : 2 * filters->garbage_capacity;
        filters->garbage =
            reallocarray(filters->garbage, filters->garbage_capacity, sizeof(*filters->garbage));
        OW_INVARIANT(filters->garbage != NULL);
    }
    filters->garbage[filters->garbage_count++] = id;
}

void ow_filter_drop(struct ow_store *store, size_t at)
{
    struct ow_filters *filters = &store->filters;
    OW_REQUIRE(at < filters->count);
    ow_filter_discard(filters, filters->list[at]->id);
    ow_filter_free(filters->list[at]);
    filters->count--;
    memmove(&filters->list[at], &filters->list[at + 1],
            (filters->count - at) * sizeof(struct ow_filter *));
}

int64_t ow_filter_first_bucket(const struct ow_filter *filter)
{
    for (uint32_t i = 0; i < filter->bucket_count; i++) {
        if (filter->buckets[i] != 0) {
            return filter->buckets[i];
        }
    }
    return INT64_MAX;
}

void ow_filter_publish(struct ow_store *store, struct ow_filter *filter)
{
    struct ow_filters *filters = &store->filters;
    if (filters->count == filters->capacity) {
        filters->capacity = filters->capacity == 0 ? 16 : 2 * filters->capacity;
        filters->list = reallocarray(filters->list, filters->capacity, sizeof(struct ow_filter *));
        OW_INVARIANT(filters->list != NULL);
    }
    size_t at = filters->count++;
    while (at > 0 &&
           ow_filter_first_bucket(filters->list[at - 1]) > ow_filter_first_bucket(filter)) {
        filters->list[at] = filters->list[at - 1];
        at--;
    }
    filters->list[at] = filter;
    for (uint32_t i = 0; i < filter->bucket_count; i++) {
        struct ow_sealed_bucket *const bucket = ow_bucket_sealed(store, filter->buckets[i]);
        if (bucket != NULL) {
            bucket->filtered = true;
        }
    }
}

static void forget(struct ow_filter *filter, int64_t bucket)
{
    for (uint32_t i = 0; i < filter->bucket_count; i++) {
        filter->buckets[i] = filter->buckets[i] == bucket ? 0 : filter->buckets[i];
    }
}

void ow_filter_forget_bucket(struct ow_store *store, int64_t bucket)
{
    struct ow_filters *filters = &store->filters;
    for (size_t i = filters->count; i > 0; i--) {
        forget(filters->list[i - 1], bucket);
        if (ow_filter_first_bucket(filters->list[i - 1]) == INT64_MAX) {
            ow_filter_drop(store, i - 1);
        }
    }
    for (size_t level = 0; level < OW_FILTER_LEVELS; level++) {
        if (filters->jobs[level].filter != NULL) {
            forget(filters->jobs[level].filter, bucket);
        }
    }
}

/* The words of the keys of one piece, as groups. */
static void look_in_piece(const struct ow_filter *filter, const struct ow_fuse *piece,
                          const struct ow_filter_keys *keys, uint16_t *ret_groups)
{
    uint32_t shift = 0;
    const uint32_t index_bits = ow_filter_index_bits(filter->bucket_count, &shift);
    const uint32_t tag_mask = (UINT32_C(1) << (OW_FUSE_BITS - index_bits)) - 1;
    const uint32_t groups = (filter->bucket_count + (UINT32_C(1) << shift) - 1) >> shift;
    ow_fuse_get_many(piece, keys->hashes, keys->count, ret_groups);
    for (size_t i = 0; i < keys->count; i++) {
        const uint32_t word = ret_groups[i];
        const uint32_t group = word & ((UINT32_C(1) << index_bits) - 1);
        const bool maybe = word >> index_bits == (keys->tags[i] & tag_mask) && group < groups;
        ret_groups[i] = (uint16_t)(maybe ? group : OW_FILTER_NONE);
    }
}

void ow_filter_look(const struct ow_filter *filter, const struct ow_filter_keys *keys,
                    uint16_t *ret_groups)
{
    size_t from = 0;
    while (from < keys->count) {
        const uint64_t first = keys->hashes[from] >> 32;
        if (first < filter->from || first >= filter->until) {
            ret_groups[from++] = OW_FILTER_NONE;
            continue;
        }
        const uint64_t piece = first * filter->piece_count >> 32;
        const bool last = piece + 1 == filter->piece_count;
        const uint64_t end =
            last ? 0 : ow_filter_piece_start(filter->piece_count, (uint32_t)piece + 1);
        size_t to = from + 1;
        while (to < keys->count && (last || keys->hashes[to] >> 32 < end)) {
            to++;
        }
        look_in_piece(filter, &filter->pieces[piece],
                      &(struct ow_filter_keys){keys->hashes + from, keys->tags + from, to - from},
                      ret_groups + from);
        from = to;
    }
}
