/*
 * verify_notes: what verify has to remember of the rows that it has seen, in a private temporary
 * database: the traces that records have left, and what must belong to a claim. Private to
 * lib/store.
 *
 * Also order-independent sums, by which two passes are compared without remembering anything.
 * Threads: the caller's. Memory: SQLite's cache and a bitmap of fixed size. Failure: FAILED.
 */
#ifndef OW_STORE_VERIFY_NOTES_H
#define OW_STORE_VERIFY_NOTES_H

#include "base/map.h"
#include "model/machine.h"
#include "model/outcome.h"
#include "store/sql.h"

struct ow_verify;

struct ow_verify_sum {
    uint64_t sum;
    int64_t count;
};
/* key: 16 bytes, or NULL. */
void ow_verify_sum_add(struct ow_verify_sum *sum, int64_t number, const uint8_t *key);
static inline bool ow_verify_sum_equal(const struct ow_verify_sum *a, const struct ow_verify_sum *b)
{
    return a->sum == b->sum && a->count == b->count;
}

/* What a row says about the claim with a ref. The first five own it. */
enum ow_verify_role {
    OW_VERIFY_PARKED,
    OW_VERIFY_QUARANTINED,
    OW_VERIFY_STALE,
    OW_VERIFY_SEEDED,  /* taken over from another system */
    OW_VERIFY_APPLIED, /* a history row whose key cannot be derived */
    OW_VERIFY_CONFLICT,
    OW_VERIFY_SIGHTED
};
struct ow_verify_expected {
    int64_t ref;
    enum ow_verify_role role;
    int64_t id;                 /* of the row */
    const uint8_t *key;         /* NULL: not known */
    const uint8_t *fingerprint; /* NULL: not known */
};

enum ow_verify_kind {
    OW_VERIFY_TRACE_APPLIED,
    OW_VERIFY_TRACE_WOKEN,
    OW_VERIFY_TRACE_PARKED,
    OW_VERIFY_TRACE_QUARANTINED,
    OW_VERIFY_TRACE_STALE,
    OW_VERIFY_TRACE_DUPLICATE,
    OW_VERIFY_TRACE_KINDS
};
/* What a record has left at its offset. */
struct ow_verify_trace {
    struct ow_slice topic;
    int64_t partition, offset;
    enum ow_verify_kind kind;
    int64_t ref;
    int64_t sighting; /* its rowid; 0: it is none */
    int64_t seen;     /* quarantine */
};

struct ow_verify_notes {
    struct ow_sql sql;
    struct ow_statement trace_add, expected_add, expected_owner, expected_of, expected_forget;
    uint64_t *bits; /* whether anything is expected of a ref, modulo its size */
    uint64_t bit_mask;
    int64_t expected_count;
    struct ow_statement still_parked, still_quarantined; /* of the store */
};

/* The name of a row by its role: "parked record". */
const char *ow_verify_role_text(enum ow_verify_role role);

enum ow_status ow_verify_notes_open(struct ow_verify *verify, struct ow_err *err) OW_MUST_USE;
void ow_verify_notes_done(struct ow_verify_notes *notes);

enum ow_status ow_verify_trace_add(struct ow_verify *verify, const struct ow_verify_trace *trace,
                                   struct ow_err *err) OW_MUST_USE;

/*
 * Notes what a row says of a claim. An owner takes the place of one that has gone since it was
 * seen (what was parked then is applied now); one that is there still is a broken promise.
 */
enum ow_status ow_verify_expect(struct ow_verify *verify, const struct ow_verify_expected *expected,
                                struct ow_err *err) OW_MUST_USE;
/* A history row owns the claim: whoever else was noted as its owner must have gone (else
 * *ret_owned). */
enum ow_status ow_verify_expect_history(struct ow_verify *verify, int64_t ref, int64_t seq,
                                        bool *ret_owned, struct ow_err *err) OW_MUST_USE;
/* Whether anything may be expected of the claim with a ref. */
bool ow_verify_is_expected(const struct ow_verify_notes *notes, int64_t ref);

#endif
