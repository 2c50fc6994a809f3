#include "base/failpoint.h"
#include "store/internal.h"

#include <inttypes.h>
#include <stdlib.h>

/*
 * Nothing in SQLite keeps a key unique across buckets: that is done here, by asking every bucket
 * before a claim is written, in one transaction and by one writer; verify checks it. Sealed buckets
 * are asked through their filters. Probing in order of the keys touches each page once a batch.
 */

static int compare_keys(const void *a, const void *b)
{
    const struct ow_claim *const *left = a;
    const struct ow_claim *const *right = b;
    return memcmp((*left)->key, (*right)->key, OW_CLAIM_KEY_BYTES);
}

static bool is_wanted(const struct ow_claim *claim)
{
    return !claim->loaded;
}

static bool is_fresh(const struct ow_claim *claim)
{
    return claim->fresh;
}

static struct ow_claim **chosen(const struct ow_world *world,
                                bool (*is_chosen)(const struct ow_claim *claim), size_t *ret_count)
{
    size_t count = 0;
    for (const struct ow_claim *claim = world->claims; claim != NULL; claim = claim->next) {
        count += is_chosen(claim);
    }
    *ret_count = count;
    if (count == 0) {
        return NULL;
    }
    struct ow_claim **list = OW_ARENA_ARRAY(world->arena, count, struct ow_claim *);
    count = 0;
    for (struct ow_claim *claim = world->claims; claim != NULL; claim = claim->next) {
        if (is_chosen(claim)) {
            list[count++] = claim;
        }
    }
    return list;
}

static enum ow_status probe(struct ow_store *store, int64_t bucket, struct ow_claim *claim,
                            struct ow_err *err)
{
    struct ow_statement *read = ow_store_statement(store, OW_STATEMENT_CLAIM_READ);
    bool row = false;
    store->probes.lookups++;
    ow_sql_bind_i64(read, bucket);
    ow_sql_bind_blob(read, (struct ow_slice){claim->key, sizeof(claim->key)});
    OW_TRY(ow_sql_step(read, &row, err));
    if (!row) {
        return OW_OK;
    }
    const struct ow_slice fingerprint = ow_sql_slice(read, 0);
    OW_ENSURE(fingerprint.len == sizeof(claim->fingerprint)); /* CHECKed by the table */
    memcpy(claim->fingerprint, fingerprint.ptr, sizeof(claim->fingerprint));
    claim->ref = ow_sql_i64(read, 1);
    claim->taken = true;
    ow_sql_reset(read);
    return OW_OK;
}

static enum ow_status probe_bucket(struct ow_store *store, int64_t bucket,
                                   struct ow_claim *const *claims, size_t count, struct ow_err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!claims[i]->taken) {
            OW_TRY(probe(store, bucket, claims[i], err));
        }
    }
    return OW_OK;
}

/* The buckets of a filter in which a key may be. */
static enum ow_status probe_group(struct ow_store *store, const struct ow_filter *filter,
                                  uint32_t group, struct ow_claim *claim, struct ow_err *err)
{
    uint32_t shift = 0;
    (void)ow_filter_index_bits(filter->bucket_count, &shift);
    const uint32_t from = group << shift;
    uint32_t until = from + (UINT32_C(1) << shift);
    until = until < filter->bucket_count ? until : filter->bucket_count;
    for (uint32_t i = from; i < until && !claim->taken; i++) {
        if (filter->buckets[i] != 0) {
            OW_TRY(probe(store, filter->buckets[i], claim, err));
        }
    }
    store->probes.needless += !claim->taken;
    return OW_OK;
}

static enum ow_status probe_groups(struct ow_store *store, const struct ow_filter *filter,
                                   const uint16_t *groups, struct ow_claim *const *claims,
                                   size_t count, struct ow_err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (groups[i] != OW_FILTER_NONE && !claims[i]->taken) {
            OW_TRY(probe_group(store, filter, groups[i], claims[i], err));
        }
    }
    return OW_OK;
}

/* All keys go through one filter, then the next, the newest first: a filter is in the processor's
 * cache then, and redeliveries mostly follow soon. */
static enum ow_status probe_filters(struct ow_store *store, struct ow_world *world,
                                    struct ow_claim *const *claims, size_t count,
                                    struct ow_err *err)
{
    const struct ow_filters *filters = &store->filters;
    if (filters->count == 0) {
        return OW_OK;
    }
    uint64_t *const hashes = OW_ARENA_ARRAY(world->arena, count, uint64_t);
    uint16_t *const tags = OW_ARENA_ARRAY(world->arena, count, uint16_t);
    uint16_t *const groups = OW_ARENA_ARRAY(world->arena, count, uint16_t);
    for (size_t i = 0; i < count; i++) {
        ow_filter_key(claims[i]->key, &hashes[i], &tags[i]);
    }
    const struct ow_filter_keys keys = {.hashes = hashes, .tags = tags, .count = count};
    for (size_t f = filters->count; f > 0; f--) {
        const struct ow_filter *filter = filters->list[f - 1];
        ow_filter_look(filter, &keys, groups);
        OW_TRY(probe_groups(store, filter, groups, claims, count, err));
    }
    for (size_t level = 1; level < OW_FILTER_LEVELS; level++) {
        const struct ow_filter *merging = filters->jobs[level].filter;
        if (merging != NULL && merging->until > 0) {
            ow_filter_look(merging, &keys, groups);
            OW_TRY(probe_groups(store, merging, groups, claims, count, err));
        }
    }
    return OW_OK;
}

enum ow_status ow_claim_read(struct ow_store *store, struct ow_world *world, struct ow_err *err)
{
    size_t count = 0;
    struct ow_claim **claims = chosen(world, is_wanted, &count);
    if (count == 0) {
        return OW_OK;
    }
    qsort(claims, count, sizeof(struct ow_claim *), compare_keys);
    for (size_t i = 0; i < store->live.open_count; i++) {
        OW_TRY(probe_bucket(store, store->live.open[i].bucket, claims, count, err));
    }
    for (size_t i = store->live.sealed_count; i > 0; i--) {
        const struct ow_sealed_bucket *bucket = &store->sealed[i - 1];
        if (!bucket->filtered && !bucket->doomed) {
            OW_TRY(probe_bucket(store, bucket->bucket, claims, count, err));
        }
    }
    OW_TRY(probe_filters(store, world, claims, count, err));
    store->probes.keys += (int64_t)count;
    for (size_t i = 0; i < count; i++) {
        claims[i]->loaded = true;
    }
    return OW_OK;
}

/* A new claim, with the bucket that it goes to. */
struct placed {
    const struct ow_claim *claim;
    int64_t bucket;
};

static int compare_refs(const void *a, const void *b)
{
    const struct ow_claim *const *left = a;
    const struct ow_claim *const *right = b;
    return ((*left)->ref > (*right)->ref) - ((*left)->ref < (*right)->ref);
}

static int compare_places(const void *a, const void *b)
{
    const struct placed *const left = a;
    const struct placed *const right = b;
    if (left->bucket != right->bucket) {
        return left->bucket < right->bucket ? -1 : 1;
    }
    return memcmp(left->claim->key, right->claim->key, OW_CLAIM_KEY_BYTES);
}

static enum ow_status insert(struct ow_store *store, const struct placed *placed,
                             struct ow_err *err)
{
    const struct ow_claim *claim = placed->claim;
    OW_REQUIRE(claim->taken);
    OW_REQUIRE(claim->ref > 0);
    struct ow_statement *statement = ow_store_statement(store, OW_STATEMENT_CLAIM_INSERT);
    int64_t changes = 0;
    ow_sql_bind_i64(statement, placed->bucket);
    ow_sql_bind_blob(statement, (struct ow_slice){claim->key, sizeof(claim->key)});
    ow_sql_bind_blob(statement, (struct ow_slice){claim->fingerprint, sizeof(claim->fingerprint)});
    ow_sql_bind_i64(statement, claim->ref);
    OW_TRY(ow_seal_insert(store, OW_SEAL_CLAIMS, placed->bucket, statement, &changes, err));
    if (changes != 1) {
        return ow_fail(err, OW_FAILED,
                       "the claim with ref %" PRId64 " is taken, but was free when it was read",
                       claim->ref);
    }
    return OW_OK;
}

/*
 * When the claims came: by the wall clock; but where that lies behind what the store has seen, and
 * their records' timestamps do not, it was set back, and they would be pruned too early as soon as
 * it is put right. The least of the timestamps, for a producer's clock may be ahead.
 */
static int64_t time_of(const struct ow_store *store, int64_t now_ms, struct ow_claim *const *claims,
                       size_t count)
{
    int64_t seen_ms = store->live.latest_ms;
    for (size_t i = 0; i < count; i++) {
        seen_ms = claims[i]->timestamp_ms < seen_ms ? claims[i]->timestamp_ms : seen_ms;
    }
    return seen_ms > now_ms ? seen_ms : now_ms;
}

/*
 * In the order of their refs they get their buckets, so that the buckets of a class follow one
 * another in refs too: verify tells by them what has been pruned. In the order of their keys they
 * are written.
 */
enum ow_status ow_claim_write(struct ow_store *store, const struct ow_world *world,
                              struct ow_err *err)
{
    size_t count = 0;
    struct ow_claim **claims = chosen(world, is_fresh, &count);
    if (count == 0) {
        return OW_OK;
    }
    const struct ow_marks before = store->live;
    const int64_t at_ms = time_of(store, world->now_ms, claims, count);
    struct placed *const list = OW_ARENA_ARRAY(world->arena, count, struct placed);
    qsort(claims, count, sizeof(struct ow_claim *), compare_refs);
    for (size_t i = 0; i < count; i++) {
        struct ow_open_bucket *bucket = NULL;
        OW_TRY(ow_bucket_find(store, claims[i]->retention_ms, at_ms, &bucket, err));
        OW_INVARIANT(bucket != NULL);
        list[i] = (struct placed){.claim = claims[i], .bucket = bucket->bucket};
        OW_TRY(ow_bucket_count(store, bucket, at_ms, err));
    }
    qsort(list, count, sizeof(*list), compare_places);
    for (size_t i = 0; i < count; i++) {
        OW_TRY(insert(store, &list[i], err));
        OW_FAILPOINT(CLAIM_WRITTEN);
    }
    return ow_bucket_write_counts(store, &before, err);
}
