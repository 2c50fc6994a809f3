#include "store/internal.h"
#include "store/verify_internal.h"

#include <inttypes.h>

/*
 * Filters are a cache, so none has to be there, and one that is half written (or half deleted) is
 * used by nobody. But a whole one that says "no" of a claim would let it be claimed again: so each
 * claim of the buckets that it covers is looked up.
 */

/* All rows of a filter, in one snapshot. *ret_filter: NULL where it is not whole. */
static enum ow_status load(struct ow_verify *verify, int64_t id, struct ow_filter **ret_filter,
                           struct ow_err *err)
{
    OW_STATEMENT read = {0};
    OW_TRY(ow_sql_prepare(&verify->sql,
                          "SELECT first_bucket, last_bucket, chunk, checksum, bits FROM ow_filter"
                          " WHERE id = ? ORDER BY chunk",
                          &read, err));
    bool found = false;
    bool sound = true;
    int64_t chunks = 0;
    ow_sql_bind_i64(&read, id);
    OW_TRY(ow_sql_step(&read, &found, err));
    while (found) {
        const struct ow_filter_row row = {.id = id,
                                          .first_bucket = ow_sql_i64(&read, 0),
                                          .last_bucket = ow_sql_i64(&read, 1),
                                          .chunk = ow_sql_i64(&read, 2),
                                          .checksum = ow_sql_i64(&read, 3),
                                          .bits = ow_sql_slice(&read, 4)};
        ow_verify_checked(verify, OW_PROMISE_FILTERS, 1);
        if (row.chunk != chunks || !ow_filter_take_row(ret_filter, &row)) {
            sound = false;
            ow_verify_broken(verify, OW_PROMISE_FILTERS,
                             "filter %" PRId64 " chunk %" PRId64
                             " is not what was written, or the one before it is missing",
                             id, row.chunk);
        }
        chunks = row.chunk + 1;
        OW_TRY(ow_sql_step(&read, &found, err));
    }
    if (*ret_filter != NULL && (!sound || chunks != (*ret_filter)->piece_count)) {
        ow_filter_free(*ret_filter);
        *ret_filter = NULL;
    }
    return OW_OK;
}

static bool is_found(const struct ow_filter *filter, uint32_t at, struct ow_slice key)
{
    uint64_t hash = 0;
    uint16_t tag = 0;
    uint16_t group = 0;
    uint32_t shift = 0;
    (void)ow_filter_index_bits(filter->bucket_count, &shift);
    ow_filter_key(key.ptr, &hash, &tag);
    ow_filter_look(filter, &(struct ow_filter_keys){&hash, &tag, 1}, &group);
    return group == at >> shift;
}

static enum ow_status look_up(struct ow_verify *verify, const struct ow_filter *filter, uint32_t at,
                              struct ow_err *err)
{
    OW_VERIFY_CURSOR claims = {.by = OW_VERIFY_BY_BLOB,
                               .fixed = {ow_value_integer(filter->buckets[at])},
                               .fixed_count = 1};
    OW_TRY(ow_verify_cursor_open(
        &claims, verify,
        "SELECT key, ref FROM ow_claims WHERE bucket = ? AND key >= ? ORDER BY key", err));
    bool row = false;
    OW_TRY(ow_verify_cursor_next(&claims, &row, err));
    while (row) {
        const struct ow_slice key = ow_sql_slice(&claims.statement, 0);
        ow_verify_checked(verify, OW_PROMISE_FILTERS, 1);
        if (key.len != OW_CLAIM_KEY_BYTES || !is_found(filter, at, key)) {
            ow_verify_broken(verify, OW_PROMISE_FILTERS,
                             "filter %" PRId64 " does not find the claim with ref %" PRId64
                             " of bucket %" PRId64,
                             filter->id, ow_sql_i64(&claims.statement, 1), filter->buckets[at]);
        }
        OW_TRY(ow_verify_pause(verify, err));
        OW_TRY(ow_verify_cursor_next(&claims, &row, err));
    }
    return OW_OK;
}

/* A bucket that still gets claims, or never was, has no filter. */
static enum ow_status check_bucket(struct ow_verify *verify, const struct ow_filter *filter,
                                   int64_t bucket, struct ow_err *err)
{
    OW_STATEMENT read = {0};
    OW_TRY(ow_sql_prepare(&verify->sql,
                          "SELECT coalesce((SELECT sealed_at_ms IS NOT NULL AND class = ?1 FROM"
                          " ow_bucket WHERE bucket = ?2), ?2 < (SELECT value FROM ow_meta WHERE"
                          " key = 'pruned_below.' || ?1), 0)",
                          &read, err));
    bool row = false;
    ow_sql_bind_i64(&read, filter->class_ms);
    ow_sql_bind_i64(&read, bucket);
    OW_TRY(ow_sql_step(&read, &row, err));
    if (row && ow_sql_i64(&read, 0) == 0) {
        ow_verify_broken(verify, OW_PROMISE_FILTERS,
                         "filter %" PRId64 " covers bucket %" PRId64
                         ", which is no sealed one of its class",
                         filter->id, bucket);
    }
    return OW_OK;
}

static enum ow_status check_filter(struct ow_verify *verify, const struct ow_filter *filter,
                                   struct ow_err *err)
{
    for (uint32_t i = 0; i < filter->bucket_count; i++) {
        OW_TRY(check_bucket(verify, filter, filter->buckets[i], err));
    }
    for (uint32_t i = 0; i < filter->bucket_count; i++) {
        OW_TRY(look_up(verify, filter, i, err));
    }
    return OW_OK;
}

enum ow_status ow_verify_filters(struct ow_verify *verify, struct ow_err *err)
{
    OW_VERIFY_CURSOR ids = {.by = OW_VERIFY_BY_NUMBER};
    OW_TRY(ow_verify_cursor_open(
        &ids, verify, "SELECT DISTINCT id FROM ow_filter WHERE id >= ? ORDER BY id", err));
    bool row = false;
    OW_TRY(ow_verify_cursor_next(&ids, &row, err));
    while (row) {
        struct ow_filter *filter = NULL;
        enum ow_status status = load(verify, ow_sql_i64(&ids.statement, 0), &filter, err);
        if (status == OW_OK && filter != NULL) {
            status = check_filter(verify, filter, err);
        }
        ow_filter_free(filter);
        OW_TRY(status);
        OW_TRY(ow_verify_pause(verify, err));
        OW_TRY(ow_verify_cursor_next(&ids, &row, err));
    }
    return OW_OK;
}
