/*
 * Pruning. A bucket whose retention is over is doomed first, in one small transaction: the horizon
 * of its class moves, so that what it protected counts as expired from then on, and its claims are
 * looked up no more. Then its rows go, some at a time; and where that is interrupted, the next
 * start goes on.
 */
#include "base/contract.h"
#include "base/log.h"
#include "store/internal.h"

#include <inttypes.h>

enum { PRUNE_ROWS = 5000 /* some 10 ms */ };

static enum ow_status put(struct ow_store *store, const char *name, int64_t class_ms, int64_t value,
                          struct ow_err *err)
{
    char key[64];
    (void)snprintf(key, sizeof(key), "%s.%" PRId64, name, class_ms);
    return ow_seal_meta(store, key, value, err);
}

/*
 * When the last claim of the bucket came, for what came later is still there; but no later than a
 * retention ago: a bucket may have a time of the future, from a wall clock that was wrong, and new
 * records must not be refused for that. It never goes back, for what was pruned before stays
 * protected.
 */
static int64_t horizon_of_doomed(const struct ow_horizon *horizon,
                                 const struct ow_sealed_bucket *bucket, int64_t limit_ms)
{
    const int64_t past_ms = limit_ms - bucket->class_ms; /* a bucket is due, so there is room */
    const int64_t until_ms = bucket->sealed_at_ms < past_ms ? bucket->sealed_at_ms : past_ms;
    return until_ms > horizon->horizon_ms ? until_ms : horizon->horizon_ms;
}

static enum ow_status write_doom(struct ow_store *store, const struct ow_sealed_bucket *bucket,
                                 int64_t horizon_ms, struct ow_err *err)
{
    OW_TRY(put(store, "pruned", bucket->class_ms, horizon_ms, err));
    return put(store, "pruned_below", bucket->class_ms, bucket->bucket + 1, err);
}

static enum ow_status doom(struct ow_store *store, struct ow_sealed_bucket *bucket,
                           int64_t limit_ms, struct ow_err *err)
{
    struct ow_world world = {.next_ref = 0};
    struct ow_horizon *horizon = ow_store_horizon_of(store, bucket->class_ms);
    if (horizon == NULL) {
        horizon = ow_store_horizon_add(store, bucket->class_ms);
    }
    if (horizon == NULL) {
        return ow_fail(err, OW_BAD_CONFIG, "the store has seen more than %d claim retentions",
                       OW_STORE_CLASSES_MAX);
    }
    const int64_t horizon_ms = horizon_of_doomed(horizon, bucket, limit_ms);
    enum ow_status status = ow_store_begin(store, &world, err);
    if (status == OW_OK) {
        status = write_doom(store, bucket, horizon_ms, err);
    }
    OW_TRY(ow_store_end(store, &world, status, err));
    horizon->horizon_ms = horizon_ms;
    horizon->below_bucket = bucket->bucket + 1;
    bucket->doomed = true;
    ow_filter_forget_bucket(store, bucket->bucket);
    ow_log(OW_LOG_INFO, "prune", "bucket=%" PRId64 " claims=%" PRId64, bucket->bucket,
           bucket->claims);
    return OW_OK;
}

/* The rows up to a key, whose sums are taken away with them. */
static enum ow_status delete_until(struct ow_store *store, int64_t bucket, struct ow_slice key,
                                   int64_t *ret_changes, struct ow_err *err)
{
    struct ow_statement *read = ow_store_statement(store, OW_STATEMENT_CLAIM_UNTIL);
    struct ow_statement *delete = ow_store_statement(store, OW_STATEMENT_CLAIM_DELETE);
    ow_sql_bind_i64(read, bucket);
    ow_sql_bind_blob(read, key);
    OW_TRY(ow_seal_take(store, OW_SEAL_CLAIMS, bucket, read, err));
    ow_sql_bind_i64(delete, bucket);
    ow_sql_bind_blob(delete, key);
    return ow_sql_run(delete, ret_changes, err);
}

static enum ow_status write_slice(struct ow_store *store, const struct ow_sealed_bucket *bucket,
                                  int64_t *ret_left, struct ow_err *err)
{
    uint8_t key[OW_CLAIM_KEY_BYTES];
    memset(key, 0xff, sizeof(key));
    struct ow_statement *read = ow_store_statement(store, OW_STATEMENT_CLAIM_KEY_AT);
    bool row = false;
    int64_t changes = 0;
    ow_sql_bind_i64(read, bucket->bucket);
    ow_sql_bind_i64(read, PRUNE_ROWS - 1);
    OW_TRY(ow_sql_step(read, &row, err));
    if (row) {
        memcpy(key, ow_sql_slice(read, 0).ptr, sizeof(key));
        ow_sql_reset(read);
    }
    OW_TRY(delete_until(store, bucket->bucket, (struct ow_slice){key, sizeof(key)}, &changes, err));
    /* What the bucket says is the file's: it is gone when no claim is left. */
    *ret_left = 0;
    if (row) {
        *ret_left = bucket->claims > changes ? bucket->claims - changes : 1;
    }
    return ow_bucket_shrink(store, bucket, *ret_left, err);
}

static enum ow_status delete_slice(struct ow_store *store, size_t at, struct ow_err *err)
{
    struct ow_sealed_bucket *bucket = &store->sealed[at];
    struct ow_world world = {.next_ref = 0};
    int64_t left = 0;
    enum ow_status status = ow_store_begin(store, &world, err);
    if (status == OW_OK) {
        status = write_slice(store, bucket, &left, err);
    }
    OW_TRY(ow_store_end(store, &world, status, err));
    store->live.claims -= bucket->claims - left;
    bucket->claims = left;
    if (left == 0) {
        store->live.sealed_count--;
        memmove(bucket, bucket + 1, (store->live.sealed_count - at) * sizeof(*bucket));
    }
    store->committed.claims = store->live.claims;
    store->committed.sealed_count = store->live.sealed_count;
    return OW_OK;
}

/* In their order, whatever the wall clock said when they were sealed: 'pruned_below' is one number.
 */
static bool is_oldest(const struct ow_store *store, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (store->sealed[i].class_ms == store->sealed[at].class_ms) {
            return false;
        }
    }
    return true;
}

static bool is_due(const struct ow_sealed_bucket *bucket, int64_t limit_ms)
{
    int64_t end_ms = 0;
    return !__builtin_add_overflow(bucket->sealed_at_ms, bucket->class_ms, &end_ms) &&
           end_ms <= limit_ms;
}

/*
 * It is due; or it has a time of the future, from a wall clock that has been set back since, and
 * one that was opened behind it is due. Without that, what came in a minute of a wrong year would
 * keep all that came later until that year.
 */
static bool is_over(const struct ow_store *store, size_t at, const struct ow_tending *tending)
{
    const struct ow_sealed_bucket *bucket = &store->sealed[at];
    bool over = is_due(bucket, tending->limit_ms);
    for (size_t i = at + 1;
         !over && bucket->sealed_at_ms > tending->now_ms && i < store->live.sealed_count; i++) {
        over = store->sealed[i].class_ms == bucket->class_ms &&
               is_due(&store->sealed[i], tending->limit_ms);
    }
    return over;
}

/* The oldest bucket that is doomed, or else is over. SIZE_MAX: none. */
static size_t find(const struct ow_store *store, const struct ow_tending *tending)
{
    size_t over = SIZE_MAX;
    for (size_t i = 0; i < store->live.sealed_count; i++) {
        const struct ow_sealed_bucket *bucket = &store->sealed[i];
        if (bucket->doomed) {
            return i;
        }
        if (is_over(store, i, tending) && is_oldest(store, i) &&
            (over == SIZE_MAX || bucket->bucket < store->sealed[over].bucket)) {
            over = i;
        }
    }
    return over;
}

enum ow_status ow_prune(struct ow_store *store, const struct ow_tending *tending, bool *ret_more,
                        struct ow_err *err)
{
    /* Nothing is over while the stream time is not known (INT64_MIN); what is doomed goes all the
     * same. */
    const size_t at = find(store, tending);
    *ret_more = at != SIZE_MAX;
    if (at == SIZE_MAX) {
        return OW_OK;
    }
    return store->sealed[at].doomed ? delete_slice(store, at, err)
                                    : doom(store, &store->sealed[at], tending->limit_ms, err);
}
