#include "store/verify_internal.h"

#include <inttypes.h>
#include <stdlib.h>

/*
 * All claims in one pass, in the order of their keys: each bucket has its own cursor, and the least
 * key of all comes next, so that a key in two buckets is met twice in a row, and nothing has to be
 * sorted. Each claim must belong to one row: those that were noted (verify_notes.h) are looked up,
 * and all others must be the history's: by their sum.
 */

/* A bucket with its next claim, copied: the snapshot may change before it is its turn. */
struct bucket {
    struct ow_verify_cursor cursor;
    const struct ow_verify_bucket *said;
    bool claim; /* there is one */
    uint8_t key[OW_CLAIM_KEY_BYTES], fingerprint[OW_FINGERPRINT_BYTES];
    int64_t ref, counted;
};

struct pass {
    struct bucket *buckets;
    struct bucket **heap; /* those with a claim; no bucket has a lesser key than the first */
    size_t count, heap_count;
    const struct bucket *last; /* of the claim before */
    uint8_t last_key[OW_CLAIM_KEY_BYTES];
    struct ow_verify_sum sum; /* of claims that nothing but a history row can own */
    int64_t met;              /* of what was expected */
};

static bool is_before(const struct bucket *a, const struct bucket *b)
{
    const int order = memcmp(a->key, b->key, sizeof(a->key));
    return order != 0 ? order < 0 : a->said->bucket < b->said->bucket;
}

/* Puts the one at a place where it belongs, below that place. */
static void sift(struct pass *pass, size_t at)
{
    struct bucket *moved = pass->heap[at];
    size_t child = 2 * at + 1;
    while (child < pass->heap_count) {
        if (child + 1 < pass->heap_count && is_before(pass->heap[child + 1], pass->heap[child])) {
            child++;
        }
        if (!is_before(pass->heap[child], moved)) {
            break;
        }
        pass->heap[at] = pass->heap[child];
        at = child;
        child = 2 * at + 1;
    }
    pass->heap[at] = moved;
}

static enum ow_status read_claim(struct ow_verify *verify, struct bucket *bucket,
                                 struct ow_err *err)
{
    OW_TRY(ow_verify_cursor_next(&bucket->cursor, &bucket->claim, err));
    if (!bucket->claim) {
        return OW_OK;
    }
    const struct ow_slice key = ow_sql_slice(&bucket->cursor.statement, 0);
    const struct ow_slice fingerprint = ow_sql_slice(&bucket->cursor.statement, 1);
    bucket->ref = ow_sql_i64(&bucket->cursor.statement, 2);
    if (key.len != sizeof(bucket->key) || fingerprint.len != sizeof(bucket->fingerprint)) {
        ow_verify_broken(verify, OW_PROMISE_KEYS,
                         "the claim with ref %" PRId64 " has a key or fingerprint of no length"
                         " that one has",
                         bucket->ref);
        return OW_OK;
    }
    memcpy(bucket->key, key.ptr, key.len);
    memcpy(bucket->fingerprint, fingerprint.ptr, fingerprint.len);
    return OW_OK;
}

static void check_fingerprint(struct ow_verify *verify, const struct bucket *bucket,
                              const uint8_t *fingerprint, enum ow_verify_role role, int64_t id)
{
    /* Under another rule's number the two cannot be compared. */
    if (fingerprint == NULL || fingerprint[0] != bucket->fingerprint[0]) {
        return;
    }
    const bool equal = memcmp(fingerprint, bucket->fingerprint, OW_FINGERPRINT_BYTES) == 0;
    if (equal != (role != OW_VERIFY_CONFLICT)) {
        ow_verify_broken(verify, OW_PROMISE_KEYS,
                         "the claim with ref %" PRId64 " has %s fingerprint as %s %" PRId64,
                         bucket->ref, equal ? "the same" : "another", ow_verify_role_text(role),
                         id);
    }
}

/* What was noted of a claim. *ret_owned: some row owns it. */
static enum ow_status check_expected(struct ow_verify *verify, struct pass *pass,
                                     const struct bucket *bucket, bool *ret_owned,
                                     struct ow_err *err)
{
    struct ow_statement *find = &verify->notes.expected_of;
    bool row = false;
    ow_sql_bind_i64(find, bucket->ref);
    OW_TRY(ow_sql_step(find, &row, err));
    while (row) {
        const enum ow_verify_role role = (enum ow_verify_role)ow_sql_i64(find, 0);
        const struct ow_slice key = ow_sql_slice(find, 2);
        pass->met++;
        *ret_owned = *ret_owned || role <= OW_VERIFY_APPLIED;
        if (!ow_slice_is_absent(key) && memcmp(key.ptr, bucket->key, sizeof(bucket->key)) != 0) {
            ow_verify_broken(verify, OW_PROMISE_KEYS,
                             "the claim with ref %" PRId64 " has another key than %s %" PRId64,
                             bucket->ref, ow_verify_role_text(role), ow_sql_i64(find, 1));
        }
        check_fingerprint(verify, bucket, ow_sql_slice(find, 3).ptr, role, ow_sql_i64(find, 1));
        OW_TRY(ow_sql_step(find, &row, err));
    }
    return OW_OK;
}

static enum ow_status check_claim(struct ow_verify *verify, struct pass *pass,
                                  struct bucket *bucket, struct ow_err *err)
{
    ow_verify_checked(verify, OW_PROMISE_UNIQUE, 1);
    ow_verify_number(verify, bucket->ref, "claim with ref");
    if (pass->last != NULL && memcmp(pass->last_key, bucket->key, sizeof(bucket->key)) == 0) {
        char hex[2 * OW_CLAIM_KEY_BYTES + 1];
        ow_hash_hex(bucket->key, sizeof(bucket->key), hex);
        ow_verify_broken(verify, OW_PROMISE_UNIQUE,
                         "the key %s is in bucket %" PRId64 " and in bucket %" PRId64, hex,
                         pass->last->said->bucket, bucket->said->bucket);
    }
    pass->last = bucket;
    memcpy(pass->last_key, bucket->key, sizeof(pass->last_key));
    if (bucket->fingerprint[0] != 0 && !verify->rules[bucket->fingerprint[0]]) {
        ow_verify_broken(verify, OW_PROMISE_KEYS,
                         "the claim with ref %" PRId64 " has a fingerprint by rule %d, which there"
                         " is not",
                         bucket->ref, bucket->fingerprint[0]);
    }
    if (bucket->ref >= verify->next_ref) {
        bucket->counted += bucket->said->sealed;
        return OW_OK; /* claimed since the begin */
    }
    bucket->counted++;
    ow_verify_sum_add(&verify->numbers, bucket->ref, NULL);
    ow_verify_checked(verify, OW_PROMISE_OWNED, 1);
    ow_verify_checked(verify, OW_PROMISE_KEYS, 1);
    bool owned = false;
    if (ow_verify_is_expected(&verify->notes, bucket->ref)) {
        OW_TRY(check_expected(verify, pass, bucket, &owned, err));
    }
    if (!owned) {
        ow_verify_sum_add(&pass->sum, bucket->ref, bucket->key);
    }
    return OW_OK;
}

static enum ow_status open_buckets(struct ow_verify *verify, struct pass *pass, struct ow_err *err)
{
    for (size_t i = 0; i < pass->count; i++) {
        struct bucket *bucket = &pass->buckets[i];
        bucket->said = &verify->buckets[i];
        if (bucket->said->doomed) {
            continue; /* they count no more */
        }
        bucket->cursor.by = OW_VERIFY_BY_BLOB;
        bucket->cursor.fixed[0] = ow_value_integer(bucket->said->bucket);
        bucket->cursor.fixed_count = 1;
        OW_TRY(ow_verify_cursor_open(&bucket->cursor, verify,
                                     "SELECT key, fingerprint, ref FROM ow_claims"
                                     " WHERE bucket = ? AND key >= ? ORDER BY key",
                                     err));
        OW_TRY(read_claim(verify, bucket, err));
        if (bucket->claim) {
            pass->heap[pass->heap_count++] = bucket;
        }
    }
    for (size_t i = pass->heap_count / 2; i > 0; i--) {
        sift(pass, i - 1);
    }
    return OW_OK;
}

static enum ow_status merge(struct ow_verify *verify, struct pass *pass, struct ow_err *err)
{
    OW_TRY(open_buckets(verify, pass, err));
    while (pass->heap_count > 0) {
        struct bucket *bucket = pass->heap[0];
        OW_TRY(check_claim(verify, pass, bucket, err));
        OW_TRY(ow_verify_pause(verify, err));
        OW_TRY(read_claim(verify, bucket, err));
        if (!bucket->claim) {
            pass->heap[0] = pass->heap[--pass->heap_count];
        }
        if (pass->heap_count > 0) {
            sift(pass, 0);
        }
    }
    return OW_OK;
}

static void check_counts(struct ow_verify *verify, const struct pass *pass)
{
    for (size_t i = 0; i < pass->count; i++) {
        const struct bucket *bucket = &pass->buckets[i];
        if (!bucket->said->doomed && bucket->counted != bucket->said->claims) {
            ow_verify_broken(verify, OW_PROMISE_UNIQUE,
                             "bucket %" PRId64 " has %" PRId64 " claims and says %" PRId64,
                             bucket->said->bucket, bucket->counted, bucket->said->claims);
        }
    }
}

/* Claims lie in buckets that there are: from bucket to bucket, without reading what is in them. */
static enum ow_status find_strays(struct ow_verify *verify, struct ow_err *err)
{
    OW_STATEMENT next = {0};
    OW_TRY(
        ow_sql_prepare(&verify->sql,
                       "SELECT c.bucket, EXISTS (SELECT 1 FROM ow_bucket b WHERE b.bucket ="
                       " c.bucket) FROM ow_claims c WHERE c.bucket > ? ORDER BY c.bucket LIMIT 1",
                       &next, err));
    int64_t at = INT64_MIN;
    bool row = true;
    while (row) {
        ow_sql_bind_i64(&next, at);
        OW_TRY(ow_sql_step(&next, &row, err));
        if (row) {
            at = ow_sql_i64(&next, 0);
            if (ow_sql_i64(&next, 1) == 0) {
                ow_verify_broken(verify, OW_PROMISE_UNIQUE,
                                 "there are claims in bucket %" PRId64 ", and no such bucket", at);
            }
            ow_sql_reset(&next);
        }
    }
    return OW_OK;
}

/* Numbers are drawn in the transaction that uses them, so none is left out; pruned claims are. */
static void check_numbers(struct ow_verify *verify)
{
    struct ow_verify_sum drawn = {0};
    if (verify->pruned != NULL) {
        return;
    }
    for (int64_t number = 1; number < verify->next_ref; number++) {
        ow_verify_sum_add(&drawn, number, NULL);
    }
    if (!ow_verify_sum_equal(&drawn, &verify->numbers)) {
        ow_verify_broken(verify, OW_PROMISE_REFS,
                         "the next number is %" PRId64 ", and the rows have %" PRId64
                         " of those before it, or not just these",
                         verify->next_ref, verify->numbers.count);
    }
}

static enum ow_status compare(struct ow_verify *verify, struct pass *pass, struct ow_err *err)
{
    OW_TRY(merge(verify, pass, err));
    check_counts(verify, pass);
    OW_TRY(find_strays(verify, err));
    check_numbers(verify);
    const bool equal = ow_verify_sum_equal(&pass->sum, &verify->owning) &&
                       pass->met == verify->notes.expected_count;
    return equal ? OW_OK : ow_verify_claims_name(verify, err);
}

/* What is found of claims that were being pruned meanwhile says nothing. */
static enum ow_status run(struct ow_verify *verify, struct pass *pass, struct ow_err *err)
{
    static const enum ow_promise_name names[] = {OW_PROMISE_UNIQUE, OW_PROMISE_OWNED,
                                                 OW_PROMISE_KEYS};
    struct ow_promise before[sizeof(names) / sizeof(names[0])];
    int64_t mark = 0;
    bool doubtful = false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        before[i] = verify->promises[names[i]];
    }
    OW_TRY(compare(verify, pass, err));
    OW_TRY(ow_verify_prune_mark(verify, &mark, err));
    for (size_t i = 0; mark != verify->prune_mark && i < sizeof(names) / sizeof(names[0]); i++) {
        doubtful = doubtful || verify->promises[names[i]].broken > before[i].broken;
        before[i].checked = verify->promises[names[i]].checked;
        verify->promises[names[i]] = before[i];
    }
    if (doubtful) {
        ow_verify_remark(verify, "claims were pruned meanwhile, so not all could be compared with "
                                 "the rows that own them: verify once more");
    }
    return OW_OK;
}

enum ow_status ow_verify_claims(struct ow_verify *verify, struct ow_err *err)
{
    struct pass pass = {.count = verify->bucket_count};
    pass.buckets = calloc(pass.count + 1, sizeof(*pass.buckets));
    pass.heap = calloc(pass.count + 1, sizeof(struct bucket *));
    if (pass.buckets == NULL || pass.heap == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    const enum ow_status status = run(verify, &pass, err);
    for (size_t i = 0; i < pass.count; i++) {
        ow_verify_cursor_done(&pass.buckets[i].cursor);
    }
    free(pass.heap);
    free(pass.buckets);
    return status;
}
