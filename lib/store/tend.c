#include "base/contract.h"
#include "store/internal.h"

/*
 * What the store needs done between batches, a small piece a call: old buckets are sealed, those
 * whose retention is over pruned, filters built.
 */

static struct ow_open_bucket *find_aged(struct ow_store *store, int64_t now_ms)
{
    for (size_t i = 0; i < store->live.open_count; i++) {
        struct ow_open_bucket *bucket = &store->live.open[i];
        if (bucket->claims > 0 && bucket->opened_at_ms < now_ms &&
            ow_bucket_is_aged(bucket, now_ms)) {
            return bucket;
        }
    }
    return NULL;
}

static enum ow_status seal_aged(struct ow_store *store, struct ow_open_bucket *bucket,
                                struct ow_err *err)
{
    struct ow_world world = {.next_ref = 0};
    enum ow_status status = ow_store_begin(store, &world, err);
    if (status == OW_OK) {
        status = ow_bucket_seal(store, bucket, err);
    }
    return ow_store_end(store, &world, status, err);
}

enum ow_status ow_store_tend(struct ow_store *store, const struct ow_tending *tending,
                             bool *ret_more, struct ow_err *err)
{
    OW_REQUIRE(!ow_sql_in_transaction(&store->sql));
    struct ow_open_bucket *aged = find_aged(store, tending->now_ms);
    *ret_more = true;
    if (aged != NULL) {
        return seal_aged(store, aged, err);
    }
    /* Both, for where claims come and go all the time neither may wait for the other. */
    bool more_to_build = false;
    OW_TRY(ow_prune(store, tending, ret_more, err));
    if (tending->rows > 0) {
        OW_TRY(ow_filter_build(store, tending->rows, &more_to_build, err));
    }
    *ret_more = *ret_more || more_to_build;
    return OW_OK;
}
