#include "store/verify_internal.h"

#include <inttypes.h>

static enum ow_status check_buckets(struct ow_verify *verify, int64_t *ret_counted,
                                    struct ow_err *err);

enum ow_status ow_verify_claims_unique(struct ow_verify *verify, struct ow_err *err)
{
    int64_t counted = 0;
    int64_t all = 0;
    OW_TRY(check_buckets(verify, &counted, err));
    OW_TRY(ow_sql_query_i64(&verify->sql, "SELECT count(*) FROM ow_claims", &all, err));
    if (all != counted) {
        ow_verify_broken(verify, OW_PROMISE_UNIQUE,
                         "%" PRId64 " claims lie in buckets that there are not", all - counted);
    }
    ow_verify_checked(verify, OW_PROMISE_UNIQUE, all);
    OW_STATEMENT twice = {0};
    OW_TRY(ow_sql_prepare(
        &verify->sql,
        "SELECT lower(hex(key)), min(bucket), max(bucket) FROM ow_claims GROUP BY key"
        " HAVING count(*) > 1",
        &twice, err));
    bool row = false;
    OW_TRY(ow_sql_step(&twice, &row, err));
    while (row) {
        ow_verify_broken(verify, OW_PROMISE_UNIQUE,
                         "the key " OW_SLICE_FMT " is in bucket %" PRId64 " and in bucket %" PRId64,
                         OW_SLICE_ARG(ow_sql_slice(&twice, 0)), ow_sql_i64(&twice, 1),
                         ow_sql_i64(&twice, 2));
        OW_TRY(ow_sql_step(&twice, &row, err));
    }
    return OW_OK;
}

static enum ow_status check_buckets(struct ow_verify *verify, int64_t *ret_counted,
                                    struct ow_err *err)
{
    OW_STATEMENT buckets = {0};
    OW_TRY(ow_sql_prepare(
        &verify->sql,
        "SELECT b.bucket, b.claims, (SELECT count(*) FROM ow_claims c WHERE c.bucket = b.bucket)"
        " FROM ow_bucket b ORDER BY b.bucket",
        &buckets, err));
    bool row = false;
    OW_TRY(ow_sql_step(&buckets, &row, err));
    while (row) {
        const int64_t said = ow_sql_i64(&buckets, 1);
        const int64_t has = ow_sql_i64(&buckets, 2);
        if (said != has) {
            ow_verify_broken(verify, OW_PROMISE_UNIQUE,
                             "bucket %" PRId64 " has %" PRId64 " claims and says %" PRId64,
                             ow_sql_i64(&buckets, 0), has, said);
        }
        *ret_counted += has;
        OW_TRY(ow_sql_step(&buckets, &row, err));
    }
    return OW_OK;
}

/* The reasons whose rows own the claim of their message, as a list for IN (…). */
#define OWNING_0(text)                  ""
#define OWNING_1(text)                  ",'" text "'"
#define OWNING_REASON(name, text, owns) OWNING_##owns(text)

/*
 * Two sorted streams of refs: the claims' and their owners'. A quarantine row whose record was
 * applied or recognised later is no owner any more: its history row or the other claim is.
 */
static const char owners_text[] =
    "SELECT coalesce(first_ref, seq) AS ref, 'history row ' || seq FROM ow_history_row UNION ALL "
    "SELECT id, 'parked record ' || id FROM ow_parked UNION ALL "
    "SELECT id, 'quarantine row ' || id FROM ow_quarantine WHERE reason IN (''" OW_REASON_TABLE(
        OWNING_REASON) ") AND status NOT IN ('applied', 'duplicate') UNION ALL "
                       "SELECT ref, 'stale sighting ' || ref FROM ow_sighting WHERE cause = "
                       "'stale' ORDER BY 1";

/* Both streams where they are: the refs, INT64_MAX at the end, and the refs before. */
struct pairing {
    struct ow_statement claims, owners;
    bool claim, owner;
    int64_t last_claim, last_owner;
};

static void compare(struct ow_verify *verify, const struct pairing *pairing, int64_t claim,
                    int64_t owner)
{
    ow_verify_checked(verify, OW_PROMISE_OWNED, 1);
    if (claim < owner) {
        ow_verify_broken(verify, OW_PROMISE_OWNED, "the claim with ref %" PRId64 " %s", claim,
                         claim == pairing->last_claim ? "is there twice" : "belongs to nothing");
    } else if (owner < claim) {
        ow_verify_broken(verify, OW_PROMISE_OWNED, OW_SLICE_FMT " %s",
                         OW_SLICE_ARG(ow_sql_slice(&pairing->owners, 1)),
                         owner == pairing->last_owner ? "is not the only one with its claim"
                                                      : "has no claim");
    }
}

static enum ow_status walk(struct ow_verify *verify, struct pairing *pairing, struct ow_err *err)
{
    OW_TRY(ow_sql_step(&pairing->claims, &pairing->claim, err));
    OW_TRY(ow_sql_step(&pairing->owners, &pairing->owner, err));
    while (pairing->claim || pairing->owner) {
        const int64_t claim = pairing->claim ? ow_sql_i64(&pairing->claims, 0) : INT64_MAX;
        const int64_t owner = pairing->owner ? ow_sql_i64(&pairing->owners, 0) : INT64_MAX;
        compare(verify, pairing, claim, owner);
        pairing->last_claim = claim <= owner ? claim : pairing->last_claim;
        pairing->last_owner = owner <= claim ? owner : pairing->last_owner;
        OW_TRY(claim > owner ? OW_OK : ow_sql_step(&pairing->claims, &pairing->claim, err));
        OW_TRY(owner > claim ? OW_OK : ow_sql_step(&pairing->owners, &pairing->owner, err));
    }
    return OW_OK;
}

static enum ow_status prepare_and_walk(struct ow_verify *verify, struct pairing *pairing,
                                       struct ow_err *err)
{
    OW_TRY(ow_sql_prepare(&verify->sql, "SELECT ref FROM ow_claims ORDER BY ref", &pairing->claims,
                          err));
    OW_TRY(ow_sql_prepare(&verify->sql, owners_text, &pairing->owners, err));
    return walk(verify, pairing, err);
}

enum ow_status ow_verify_claims_owned(struct ow_verify *verify, struct ow_err *err)
{
    struct pairing pairing = {0};
    const enum ow_status status = prepare_and_walk(verify, &pairing, err);
    ow_sql_finalize(&pairing.claims);
    ow_sql_finalize(&pairing.owners);
    return status;
}

enum ow_status ow_verify_refs(struct ow_verify *verify, struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(
        &verify->sql,
        "SELECT n.name, n.least, n.most, (SELECT value FROM ow_meta WHERE key = 'next_ref') FROM ("
        "SELECT 'ow_claims' AS name, min(ref) AS least, max(ref) AS most FROM ow_claims UNION ALL "
        "SELECT 'ow_history', min(seq), max(seq) FROM ow_history_row UNION ALL "
        "SELECT 'ow_history.first_ref', min(first_ref), max(first_ref) FROM ow_history_row UNION "
        "ALL "
        "SELECT 'ow_parked', min(id), max(id) FROM ow_parked UNION ALL "
        "SELECT 'ow_quarantine', min(id), max(id) FROM ow_quarantine UNION ALL "
        "SELECT 'ow_sighting', min(ref), max(ref) FROM ow_sighting) n",
        &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        const int64_t next_ref = ow_sql_i64(&statement, 3);
        ow_verify_checked(verify, OW_PROMISE_REFS, 1);
        if (!ow_sql_is_null(&statement, 1) &&
            (ow_sql_i64(&statement, 1) < 1 || ow_sql_i64(&statement, 2) >= next_ref)) {
            ow_verify_broken(verify, OW_PROMISE_REFS,
                             OW_SLICE_FMT " has the numbers %" PRId64 " to %" PRId64
                                          ", the next one is %" PRId64,
                             OW_SLICE_ARG(ow_sql_slice(&statement, 0)), ow_sql_i64(&statement, 1),
                             ow_sql_i64(&statement, 2), next_ref);
        }
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}
