#include "store/internal.h"

#include <inttypes.h>
#include <stdlib.h>

/*
 * Claims lie in buckets: new ones in the open bucket of their retention class, which is sealed when
 * it is full. Nothing in SQLite keeps a key unique across buckets: that is done here, by asking
 * every bucket before a claim is written, in one transaction and by one writer; verify checks it.
 * Probing in order of the keys touches each page once a batch.
 */

static enum ow_status load_horizons(struct ow_store *store, struct ow_err *err);
static enum ow_status probe_bucket(struct ow_store *store, int64_t bucket,
                                   struct ow_claim *const *claims, size_t count,
                                   struct ow_err *err);
static enum ow_status write_counts(struct ow_store *store, const struct ow_marks *before,
                                   struct ow_err *err);
static enum ow_status open_bucket(struct ow_store *store, int64_t class_ms, int64_t now_ms,
                                  struct ow_open_bucket **ret_bucket, struct ow_err *err);
static enum ow_status seal_bucket(struct ow_store *store, struct ow_open_bucket *bucket,
                                  int64_t now_ms, struct ow_err *err);

static void add_sealed(struct ow_store *store, int64_t bucket)
{
    if (store->live.sealed_count == store->sealed_capacity) {
        store->sealed_capacity = store->sealed_capacity == 0 ? 64 : 2 * store->sealed_capacity;
        store->sealed = reallocarray(store->sealed, store->sealed_capacity, sizeof(*store->sealed));
        if (store->sealed == NULL) {
            OW_IMPOSSIBLE("out of memory");
        }
    }
    store->sealed[store->live.sealed_count++] = bucket;
}

enum ow_status ow_claim_load(struct ow_store *store, struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(
        &store->sql, "SELECT bucket, class, sealed_at_ms, claims FROM ow_bucket ORDER BY bucket",
        &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        const int64_t bucket = ow_sql_i64(&statement, 0);
        if (!ow_sql_is_null(&statement, 2)) {
            add_sealed(store, bucket);
        } else if (store->live.open_count == OW_STORE_CLASSES_MAX) {
            return ow_fail(err, OW_BAD_CONFIG, "the store has seen more than %d claim retentions",
                           OW_STORE_CLASSES_MAX);
        } else {
            store->live.open[store->live.open_count++] =
                (struct ow_open_bucket){.class_ms = ow_sql_i64(&statement, 1),
                                        .bucket = bucket,
                                        .claims = ow_sql_i64(&statement, 3)};
        }
        store->live.last_bucket = bucket;
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return load_horizons(store, err);
}

/* 'pruned.<class>' is written by who prunes; where all buckets of a class are gone, its value is
 * the horizon. */
static enum ow_status load_horizons(struct ow_store *store, struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&store->sql,
                          "SELECT CAST(substr(key, 8) AS INTEGER) AS class,"
                          " coalesce((SELECT min(b.opened_at_ms) FROM ow_bucket b"
                          " WHERE b.class = CAST(substr(key, 8) AS INTEGER)), value)"
                          " FROM ow_meta WHERE key GLOB 'pruned.*'",
                          &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row && store->horizon_count < OW_STORE_CLASSES_MAX) {
        store->horizons[store->horizon_count++] =
            (struct ow_horizon){.class_ms = ow_sql_i64(&statement, 0),
                                .oldest_opened_at_ms = ow_sql_i64(&statement, 1)};
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

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

/* The claims that are chosen, in the order of their keys. */
static struct ow_claim **sorted(const struct ow_world *world,
                                bool (*chosen)(const struct ow_claim *claim), size_t *ret_count)
{
    size_t count = 0;
    for (const struct ow_claim *claim = world->claims; claim != NULL; claim = claim->next) {
        count += chosen(claim);
    }
    *ret_count = count;
    if (count == 0) {
        return NULL;
    }
    struct ow_claim **list = OW_ARENA_ARRAY(world->arena, count, struct ow_claim *);
    count = 0;
    for (struct ow_claim *claim = world->claims; claim != NULL; claim = claim->next) {
        if (chosen(claim)) {
            list[count++] = claim;
        }
    }
    qsort(list, count, sizeof(struct ow_claim *), compare_keys);
    return list;
}

enum ow_status ow_claim_read(struct ow_store *store, struct ow_world *world, struct ow_err *err)
{
    size_t count = 0;
    struct ow_claim **claims = sorted(world, is_wanted, &count);
    for (size_t i = 0; i < store->live.open_count; i++) {
        OW_TRY(probe_bucket(store, store->live.open[i].bucket, claims, count, err));
    }
    for (size_t i = store->live.sealed_count; i > 0;
         i--) { /* the newest first: redeliveries mostly follow soon */
        OW_TRY(probe_bucket(store, store->sealed[i - 1], claims, count, err));
    }
    for (size_t i = 0; i < count; i++) {
        claims[i]->loaded = true;
    }
    return OW_OK;
}

static enum ow_status probe_bucket(struct ow_store *store, int64_t bucket,
                                   struct ow_claim *const *claims, size_t count, struct ow_err *err)
{
    struct ow_statement *read = ow_store_statement(store, OW_STATEMENT_CLAIM_READ);
    for (size_t i = 0; i < count; i++) {
        struct ow_claim *claim = claims[i];
        if (claim->taken) {
            continue;
        }
        bool row = false;
        ow_sql_bind_i64(read, bucket);
        ow_sql_bind_blob(read, (struct ow_slice){claim->key, sizeof(claim->key)});
        OW_TRY(ow_sql_step(read, &row, err));
        if (!row) {
            continue;
        }
        const struct ow_slice fingerprint = ow_sql_slice(read, 0);
        OW_ENSURE(fingerprint.len == sizeof(claim->fingerprint)); /* CHECKed by the table */
        memcpy(claim->fingerprint, fingerprint.ptr, sizeof(claim->fingerprint));
        claim->ref = ow_sql_i64(read, 1);
        claim->taken = true;
        ow_sql_reset(read);
    }
    return OW_OK;
}

/* The open bucket of a class; a new one where there is none. */
static enum ow_status find_bucket(struct ow_store *store, int64_t class_ms, int64_t now_ms,
                                  struct ow_open_bucket **ret_bucket, struct ow_err *err)
{
    for (size_t i = 0; i < store->live.open_count; i++) {
        if (store->live.open[i].class_ms == class_ms) {
            *ret_bucket = &store->live.open[i];
            return OW_OK;
        }
    }
    return open_bucket(store, class_ms, now_ms, ret_bucket, err);
}

static enum ow_status insert(struct ow_store *store, const struct ow_claim *claim, int64_t bucket,
                             struct ow_err *err)
{
    OW_REQUIRE(claim->taken);
    OW_REQUIRE(claim->ref > 0);
    struct ow_statement *statement = ow_store_statement(store, OW_STATEMENT_CLAIM_INSERT);
    int64_t changes = 0;
    ow_sql_bind_i64(statement, bucket);
    ow_sql_bind_blob(statement, (struct ow_slice){claim->key, sizeof(claim->key)});
    ow_sql_bind_blob(statement, (struct ow_slice){claim->fingerprint, sizeof(claim->fingerprint)});
    ow_sql_bind_i64(statement, claim->ref);
    OW_TRY(ow_seal_insert(store, OW_SEAL_CLAIMS, bucket, statement, &changes, err));
    if (changes != 1) {
        return ow_fail(err, OW_FAILED,
                       "the claim with ref %" PRId64 " is taken, but was free when it was read",
                       claim->ref);
    }
    return OW_OK;
}

/* One more in a bucket; a full one is sealed. */
static enum ow_status count_claim(struct ow_store *store, struct ow_open_bucket *bucket,
                                  int64_t now_ms, struct ow_err *err)
{
    OW_REQUIRE(bucket->claims < store->bucket_claims);
    bucket->claims++;
    return bucket->claims < store->bucket_claims ? OW_OK : seal_bucket(store, bucket, now_ms, err);
}

enum ow_status ow_claim_write(struct ow_store *store, const struct ow_world *world,
                              struct ow_err *err)
{
    size_t count = 0;
    struct ow_claim **claims = sorted(world, is_fresh, &count);
    const struct ow_marks before = store->live;
    for (size_t i = 0; i < count; i++) {
        struct ow_open_bucket *bucket = NULL;
        OW_TRY(find_bucket(store, claims[i]->retention_ms, world->now_ms, &bucket, err));
        OW_INVARIANT(bucket != NULL);
        OW_TRY(insert(store, claims[i], bucket->bucket, err));
        OW_TRY(count_claim(store, bucket, world->now_ms, err));
    }
    return write_counts(store, &before, err);
}

static enum ow_status open_bucket(struct ow_store *store, int64_t class_ms, int64_t now_ms,
                                  struct ow_open_bucket **ret_bucket, struct ow_err *err)
{
    if (store->live.open_count == OW_STORE_CLASSES_MAX) {
        return ow_fail(err, OW_BAD_CONFIG, "the store has seen more than %d claim retentions",
                       OW_STORE_CLASSES_MAX);
    }
    struct ow_statement *statement = ow_store_statement(store, OW_STATEMENT_BUCKET_OPEN);
    ow_sql_bind_i64(statement, store->live.last_bucket + 1);
    ow_sql_bind_i64(statement, class_ms);
    ow_sql_bind_i64(statement, now_ms);
    ow_sql_bind_null(statement);
    ow_sql_bind_i64(statement, 0);
    OW_TRY(ow_seal_insert(store, OW_SEAL_BUCKET, 0, statement, NULL, err));
    store->live.last_bucket++;
    struct ow_open_bucket *bucket = &store->live.open[store->live.open_count++];
    *bucket = (struct ow_open_bucket){.class_ms = class_ms, .bucket = store->live.last_bucket};
    *ret_bucket = bucket;
    return OW_OK;
}

static enum ow_status write_count(struct ow_store *store, const struct ow_open_bucket *bucket,
                                  struct ow_err *err)
{
    struct ow_statement *row = ow_store_statement(store, OW_STATEMENT_BUCKET_ROW);
    struct ow_statement *statement = ow_store_statement(store, OW_STATEMENT_BUCKET_COUNT);
    int64_t changes = 0;
    ow_sql_bind_i64(row, bucket->bucket);
    OW_TRY(ow_seal_take(store, OW_SEAL_BUCKET, 0, row, err));
    ow_sql_bind_i64(statement, bucket->claims);
    ow_sql_bind_i64(statement, bucket->bucket);
    OW_TRY(ow_sql_run(statement, &changes, err));
    OW_ENSURE(changes == 1);
    ow_sql_bind_i64(row, bucket->bucket);
    return ow_seal_put(store, OW_SEAL_BUCKET, 0, row, err);
}

static enum ow_status seal_bucket(struct ow_store *store, struct ow_open_bucket *bucket,
                                  int64_t now_ms, struct ow_err *err)
{
    struct ow_statement *statement = ow_store_statement(store, OW_STATEMENT_BUCKET_SEAL);
    struct ow_statement *row = ow_store_statement(store, OW_STATEMENT_BUCKET_ROW);
    int64_t changes = 0;
    OW_TRY(write_count(store, bucket, err));
    ow_sql_bind_i64(row, bucket->bucket);
    OW_TRY(ow_seal_take(store, OW_SEAL_BUCKET, 0, row, err));
    ow_sql_bind_i64(statement, now_ms);
    ow_sql_bind_i64(statement, bucket->bucket);
    OW_TRY(ow_sql_run(statement, &changes, err));
    OW_ENSURE(changes == 1);
    ow_sql_bind_i64(row, bucket->bucket);
    OW_TRY(ow_seal_put(store, OW_SEAL_BUCKET, 0, row, err));
    add_sealed(store, bucket->bucket);
    *bucket = store->live
                  .open[--store->live.open_count]; /* the next claim of the class opens a new one */
    return OW_OK;
}

/* Whether a bucket had as many claims before. */
static bool was_open(const struct ow_marks *before, const struct ow_open_bucket *bucket)
{
    for (size_t i = 0; i < before->open_count; i++) {
        if (before->open[i].bucket == bucket->bucket) {
            return before->open[i].claims == bucket->claims;
        }
    }
    return false;
}

/* Of the buckets that got claims and are open still. */
static enum ow_status write_counts(struct ow_store *store, const struct ow_marks *before,
                                   struct ow_err *err)
{
    for (size_t i = 0; i < store->live.open_count; i++) {
        const struct ow_open_bucket *bucket = &store->live.open[i];
        if (was_open(before, bucket)) {
            continue;
        }
        OW_TRY(write_count(store, bucket, err));
    }
    return OW_OK;
}
