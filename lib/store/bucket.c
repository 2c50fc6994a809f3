#include "store/bucket.h"

#include "base/failpoint.h"
#include "store/internal.h"

#include <inttypes.h>
#include <stdlib.h>

/* A bucket's claims go together, so one that fills slowly is closed before it holds much more than
 * its retention. */
enum { AGE_SHARE = 16 };

static int64_t share_of(int64_t class_ms)
{
    return class_ms < AGE_SHARE ? 1 : class_ms / AGE_SHARE;
}

bool ow_bucket_is_aged(const struct ow_open_bucket *bucket, int64_t at_ms)
{
    const int64_t share_ms = share_of(bucket->class_ms);
    int64_t age_ms = 0;
    return __builtin_sub_overflow(at_ms, bucket->opened_at_ms, &age_ms) || age_ms >= share_ms ||
           age_ms <= -share_ms;
}

/* No claim that an open bucket has came later, whatever the wall clock did: it would have gone to
 * another one. */
static int64_t latest_of(int64_t opened_at_ms, int64_t class_ms)
{
    int64_t latest_ms = 0;
    return __builtin_add_overflow(opened_at_ms, share_of(class_ms), &latest_ms) ? INT64_MAX
                                                                                : latest_ms;
}

static void note_time(struct ow_store *store, int64_t at_ms)
{
    store->live.latest_ms = at_ms > store->live.latest_ms ? at_ms : store->live.latest_ms;
}

static void add_sealed(struct ow_store *store, const struct ow_sealed_bucket *bucket)
{
    if (store->live.sealed_count == store->sealed_capacity) {
        store->sealed_capacity = store->sealed_capacity == 0 ? 64 : 2 * store->sealed_capacity;
        store->sealed = reallocarray(store->sealed, store->sealed_capacity, sizeof(*store->sealed));
        OW_INVARIANT(store->sealed != NULL);
    }
    store->sealed[store->live.sealed_count++] = *bucket;
}

/* A bucket stays open for each retention that event types have. */
static enum ow_status check_classes(const struct ow_machines *machines, struct ow_err *err)
{
    int64_t used_ms[OW_STORE_CLASSES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < machines->count; i++) {
        const struct ow_machine *machine = machines->list[i];
        for (size_t e = 0; e < machine->event_count; e++) {
            const int64_t class_ms = machine->events[e].claim->retention_ms;
            size_t at = 0;
            while (at < count && used_ms[at] != class_ms) {
                at++;
            }
            if (at == OW_STORE_CLASSES_MAX) {
                return ow_fail(err, OW_BAD_CONFIG, "there are more than %d claim retentions",
                               OW_STORE_CLASSES_MAX);
            }
            used_ms[at] = class_ms;
            count = at == count ? count + 1 : count;
        }
    }
    return OW_OK;
}

static bool is_doomed(struct ow_store *store, int64_t bucket, int64_t class_ms)
{
    const struct ow_horizon *horizon = ow_store_horizon_of(store, class_ms);
    return horizon != NULL && bucket < horizon->below_bucket;
}

static enum ow_status load_one(struct ow_store *store, const struct ow_statement *row,
                               struct ow_err *err)
{
    const int64_t bucket = ow_sql_i64(row, 0);
    const int64_t class_ms = ow_sql_i64(row, 1);
    const int64_t claims = ow_sql_i64(row, 4);
    note_time(store, ow_sql_i64(row, 2));
    if (!ow_sql_is_null(row, 3)) {
        note_time(store, ow_sql_i64(row, 3));
        add_sealed(store, &(struct ow_sealed_bucket){.bucket = bucket,
                                                     .class_ms = class_ms,
                                                     .sealed_at_ms = ow_sql_i64(row, 3),
                                                     .claims = claims,
                                                     .doomed = is_doomed(store, bucket, class_ms)});
    } else if (store->live.open_count == OW_STORE_CLASSES_MAX) {
        return ow_fail(err, OW_BAD_CONFIG, "the store has seen more than %d claim retentions",
                       OW_STORE_CLASSES_MAX);
    } else {
        store->live.open[store->live.open_count++] =
            (struct ow_open_bucket){.class_ms = class_ms,
                                    .bucket = bucket,
                                    .claims = claims,
                                    .opened_at_ms = ow_sql_i64(row, 2),
                                    .latest_ms = latest_of(ow_sql_i64(row, 2), class_ms)};
    }
    store->live.claims += claims;
    store->live.last_bucket = bucket;
    return OW_OK;
}

enum ow_status ow_bucket_load(struct ow_store *store, const struct ow_machines *machines,
                              struct ow_err *err)
{
    store->live.latest_ms = INT64_MIN;
    OW_TRY(check_classes(machines, err));
    for (size_t i = 0; i < store->horizon_count; i++) {
        /* The number of a bucket that is gone is not given again: its filter may still be there. */
        const int64_t last = store->horizons[i].below_bucket - 1;
        store->live.last_bucket = last > store->live.last_bucket ? last : store->live.last_bucket;
    }
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&store->sql,
                          "SELECT bucket, class, opened_at_ms, sealed_at_ms, claims FROM ow_bucket"
                          " ORDER BY bucket",
                          &statement, err));
    const int64_t pruned_last = store->live.last_bucket;
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        OW_TRY(load_one(store, &statement, err));
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    store->live.last_bucket =
        pruned_last > store->live.last_bucket ? pruned_last : store->live.last_bucket;
    return OW_OK;
}

static enum ow_status open_bucket(struct ow_store *store, int64_t class_ms, int64_t at_ms,
                                  struct ow_open_bucket **ret_bucket, struct ow_err *err)
{
    if (store->live.open_count == OW_STORE_CLASSES_MAX) {
        return ow_fail(err, OW_BAD_CONFIG, "the store has seen more than %d claim retentions",
                       OW_STORE_CLASSES_MAX);
    }
    struct ow_statement *statement = ow_store_statement(store, OW_STATEMENT_BUCKET_OPEN);
    ow_sql_bind_i64(statement, store->live.last_bucket + 1);
    ow_sql_bind_i64(statement, class_ms);
    ow_sql_bind_i64(statement, at_ms);
    ow_sql_bind_null(statement);
    ow_sql_bind_i64(statement, 0);
    OW_TRY(ow_seal_insert(store, OW_SEAL_BUCKET, 0, statement, NULL, err));
    store->live.last_bucket++;
    struct ow_open_bucket *bucket = &store->live.open[store->live.open_count++];
    *bucket = (struct ow_open_bucket){.class_ms = class_ms,
                                      .bucket = store->live.last_bucket,
                                      .opened_at_ms = at_ms,
                                      .latest_ms = at_ms};
    *ret_bucket = bucket;
    return OW_OK;
}

enum ow_status ow_bucket_find(struct ow_store *store, int64_t class_ms, int64_t at_ms,
                              struct ow_open_bucket **ret_bucket, struct ow_err *err)
{
    size_t i = 0;
    while (i < store->live.open_count && store->live.open[i].class_ms != class_ms) {
        i++;
    }
    if (i < store->live.open_count) {
        struct ow_open_bucket *bucket = &store->live.open[i];
        if (bucket->claims == 0 || !ow_bucket_is_aged(bucket, at_ms)) {
            *ret_bucket = bucket;
            return OW_OK;
        }
        OW_TRY(ow_bucket_seal(store, bucket, err));
    }
    return open_bucket(store, class_ms, at_ms, ret_bucket, err);
}

/* Runs one change of one row of ow_bucket, whose parameters are bound. */
static enum ow_status change(struct ow_store *store, struct ow_statement *statement, int64_t bucket,
                             struct ow_err *err)
{
    struct ow_statement *row = ow_store_statement(store, OW_STATEMENT_BUCKET_ROW);
    int64_t changes = 0;
    ow_sql_bind_i64(row, bucket);
    const enum ow_status taken = ow_seal_take(store, OW_SEAL_BUCKET, 0, row, err);
    if (taken != OW_OK) {
        ow_sql_reset(statement); /* else the next try would bind behind what is bound */
        return taken;
    }
    OW_TRY(ow_sql_run(statement, &changes, err));
    OW_ENSURE(changes == 1);
    ow_sql_bind_i64(row, bucket);
    return ow_seal_put(store, OW_SEAL_BUCKET, 0, row, err);
}

static enum ow_status write_count(struct ow_store *store, enum ow_statement_name name,
                                  int64_t bucket, int64_t claims, struct ow_err *err)
{
    struct ow_statement *statement = ow_store_statement(store, name);
    ow_sql_bind_i64(statement, claims);
    ow_sql_bind_i64(statement, bucket);
    return change(store, statement, bucket, err);
}

/* As of when its last claim came: whatever the wall clock has done since. */
enum ow_status ow_bucket_seal(struct ow_store *store, struct ow_open_bucket *bucket,
                              struct ow_err *err)
{
    struct ow_statement *statement = ow_store_statement(store, OW_STATEMENT_BUCKET_SEAL);
    OW_TRY(write_count(store, OW_STATEMENT_BUCKET_COUNT, bucket->bucket, bucket->claims, err));
    ow_sql_bind_i64(statement, bucket->latest_ms);
    ow_sql_bind_i64(statement, bucket->bucket);
    OW_TRY(change(store, statement, bucket->bucket, err));
    add_sealed(store, &(struct ow_sealed_bucket){.bucket = bucket->bucket,
                                                 .class_ms = bucket->class_ms,
                                                 .sealed_at_ms = bucket->latest_ms,
                                                 .claims = bucket->claims});
    OW_FAILPOINT(BUCKET_SEALED);
    /* the next claim of the class opens a new one */
    *bucket = store->live.open[--store->live.open_count];
    return OW_OK;
}

/*
 * Small buckets are written fast, for their part of the tree stays in memory, and few buckets are
 * looked up with little: so a bucket grows with the store, to a share of all claims.
 */
static int64_t full_at(const struct ow_store *store)
{
    const int64_t share = store->live.claims / OW_BUCKETS_AIM;
    return share > store->bucket_claims ? share : store->bucket_claims;
}

enum ow_status ow_bucket_count(struct ow_store *store, struct ow_open_bucket *bucket, int64_t at_ms,
                               struct ow_err *err)
{
    bucket->claims++;
    bucket->latest_ms = at_ms > bucket->latest_ms ? at_ms : bucket->latest_ms;
    store->live.claims++;
    note_time(store, at_ms);
    return bucket->claims < full_at(store) ? OW_OK : ow_bucket_seal(store, bucket, err);
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

enum ow_status ow_bucket_write_counts(struct ow_store *store, const struct ow_marks *before,
                                      struct ow_err *err)
{
    for (size_t i = 0; i < store->live.open_count; i++) {
        const struct ow_open_bucket *bucket = &store->live.open[i];
        if (!was_open(before, bucket)) {
            OW_TRY(
                write_count(store, OW_STATEMENT_BUCKET_COUNT, bucket->bucket, bucket->claims, err));
        }
    }
    return OW_OK;
}

enum ow_status ow_bucket_shrink(struct ow_store *store, const struct ow_sealed_bucket *bucket,
                                int64_t claims, struct ow_err *err)
{
    if (claims > 0) {
        return write_count(store, OW_STATEMENT_BUCKET_SHRINK, bucket->bucket, claims, err);
    }
    struct ow_statement *statement = ow_store_statement(store, OW_STATEMENT_BUCKET_DELETE);
    ow_sql_bind_i64(statement, bucket->bucket);
    OW_TRY(change(store, statement, bucket->bucket, err));
    return ow_seal_drop(store, OW_SEAL_CLAIMS, bucket->bucket, err);
}

struct ow_sealed_bucket *ow_bucket_sealed(const struct ow_store *store, int64_t bucket)
{
    for (size_t i = 0; i < store->live.sealed_count; i++) {
        if (store->sealed[i].bucket == bucket) {
            return &store->sealed[i];
        }
    }
    return NULL;
}
