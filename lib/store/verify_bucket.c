#include "store/verify_internal.h"

#include <inttypes.h>

/*
 * The buckets, and what has been pruned. The claims of a class come into its buckets in the order
 * of their refs, and go bucket by bucket: so what is missing of a class is all that lies before the
 * least ref that is kept.
 */

static enum ow_status load_buckets(struct ow_verify *verify, struct ow_err *err)
{
    int64_t count = 0;
    OW_TRY(ow_sql_query_i64(&verify->sql, "SELECT count(*) FROM ow_bucket", &count, err));
    verify->buckets = OW_ARENA_ARRAY(verify->arena, (size_t)count, struct ow_verify_bucket);
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&verify->sql,
                          "SELECT bucket, class, claims, sealed_at_ms, coalesce(bucket <"
                          " (SELECT value FROM ow_meta WHERE key = 'pruned_below.' || class), 0)"
                          " FROM ow_bucket ORDER BY 1",
                          &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        verify->buckets[verify->bucket_count++] =
            (struct ow_verify_bucket){.bucket = ow_sql_i64(&statement, 0),
                                      .class_ms = ow_sql_i64(&statement, 1),
                                      .claims = ow_sql_i64(&statement, 2),
                                      .doomed = ow_sql_i64(&statement, 4) != 0,
                                      .sealed = !ow_sql_is_null(&statement, 3)};
        bool known = false;
        for (const struct ow_verify_machine *machine = verify->machines; machine != NULL;
             machine = machine->next) {
            known = known || ow_verify_retains(machine, ow_sql_i64(&statement, 1));
        }
        if (!known) {
            ow_verify_broken(verify, OW_PROMISE_UNIQUE,
                             "bucket %" PRId64 " is of class %" PRId64
                             ", and no machine retains claims for so long",
                             ow_sql_i64(&statement, 0), ow_sql_i64(&statement, 1));
        }
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

/* A bucket is opened for its first claim, and the next one of its class when it was sealed. */
static enum ow_status check_buckets(struct ow_verify *verify, struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&verify->sql,
                          "SELECT bucket FROM ow_bucket b WHERE claims = 0 OR (sealed_at_ms IS NULL"
                          " AND EXISTS (SELECT 1 FROM ow_bucket c WHERE c.class = b.class AND"
                          " c.bucket > b.bucket)) ORDER BY bucket",
                          &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        ow_verify_broken(verify, OW_PROMISE_UNIQUE,
                         "bucket %" PRId64 " is empty, or open before the last one of its class",
                         ow_sql_i64(&statement, 0));
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

/* The least ref among the claims of a bucket. */
static enum ow_status least_ref(struct ow_verify *verify, int64_t bucket, int64_t *ret_ref,
                                struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&verify->sql,
                          "SELECT coalesce(min(ref), ?) FROM ow_claims WHERE bucket = ?",
                          &statement, err));
    bool row = false;
    ow_sql_bind_i64(&statement, verify->next_ref);
    ow_sql_bind_i64(&statement, bucket);
    OW_TRY(ow_sql_step(&statement, &row, err));
    OW_ENSURE(row);
    *ret_ref = ow_sql_i64(&statement, 0);
    return OW_OK;
}

static enum ow_status add_pruned(struct ow_verify *verify, int64_t class_ms, struct ow_err *err)
{
    struct ow_verify_pruned *pruned = OW_ARENA_NEW(verify->arena, struct ow_verify_pruned);
    *pruned = (struct ow_verify_pruned){
        .class_ms = class_ms, .below_ref = verify->next_ref, .next = verify->pruned};
    verify->pruned = pruned;
    for (size_t i = 0; i < verify->bucket_count; i++) {
        const struct ow_verify_bucket *bucket = &verify->buckets[i];
        if (bucket->class_ms == class_ms && !bucket->doomed) {
            return least_ref(verify, bucket->bucket, &pruned->below_ref, err);
        }
    }
    return OW_OK;
}

static enum ow_status load_pruned(struct ow_verify *verify, struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&verify->sql,
                          "SELECT CAST(substr(key, 8) AS INTEGER) FROM ow_meta"
                          " WHERE key GLOB 'pruned.*'",
                          &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        OW_TRY(add_pruned(verify, ow_sql_i64(&statement, 0), err));
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

enum ow_status ow_verify_buckets_load(struct ow_verify *verify, struct ow_err *err)
{
    OW_TRY(ow_verify_prune_mark(verify, &verify->prune_mark, err));
    OW_TRY(load_buckets(verify, err));
    OW_TRY(check_buckets(verify, err));
    return load_pruned(verify, err);
}

bool ow_verify_is_pruned(const struct ow_verify *verify, int64_t class_ms, int64_t ref)
{
    for (const struct ow_verify_pruned *pruned = verify->pruned; pruned != NULL;
         pruned = pruned->next) {
        if (pruned->class_ms == class_ms) {
            return ref < pruned->below_ref;
        }
    }
    return false;
}

int64_t ow_verify_pruned_below(const struct ow_verify *verify)
{
    int64_t below = 0;
    for (const struct ow_verify_pruned *pruned = verify->pruned; pruned != NULL;
         pruned = pruned->next) {
        below = pruned->below_ref > below ? pruned->below_ref : below;
    }
    return below;
}

enum ow_status ow_verify_prune_mark(struct ow_verify *verify, int64_t *ret_mark, struct ow_err *err)
{
    return ow_sql_query_i64(&verify->sql,
                            "SELECT coalesce(sum(value), 0) FROM ow_meta"
                            " WHERE key GLOB 'pruned_below.*'",
                            ret_mark, err);
}
