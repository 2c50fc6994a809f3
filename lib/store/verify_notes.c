#include "store/verify_notes.h"

#include "store/verify_internal.h"

#include <inttypes.h>
#include <stdlib.h>

/* One bit for each of 2^26 refs, 8 MiB; above that two refs share one, which costs a look-up. */
static const uint64_t bits_max = UINT64_C(1) << 26;

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

void ow_verify_sum_add(struct ow_verify_sum *sum, int64_t number, const uint8_t *key)
{
    uint64_t hash = mix((uint64_t)number + UINT64_C(0x9e3779b97f4a7c15));
    if (key != NULL) {
        uint64_t words[2];
        memcpy(words, key, sizeof(words));
        hash = mix(mix(hash ^ words[0]) ^ words[1]);
    }
    sum->sum += hash;
    sum->count++;
}

const char *ow_verify_role_text(enum ow_verify_role role)
{
    static const char *const texts[] = {
        [OW_VERIFY_PARKED] = "parked record", [OW_VERIFY_QUARANTINED] = "quarantine row",
        [OW_VERIFY_STALE] = "stale sighting", [OW_VERIFY_SEEDED] = "seeded sighting",
        [OW_VERIFY_APPLIED] = "history row",  [OW_VERIFY_CONFLICT] = "conflict",
        [OW_VERIFY_SIGHTED] = "sighting"};
    return texts[role];
}

static const char schema[] =
    /* Nothing here outlives the connection. */
    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;"
    "PRAGMA cache_size = -32768;"
    "CREATE TABLE trace (partition INTEGER NOT NULL, offset INTEGER NOT NULL, kind INTEGER NOT "
    "NULL, ref INTEGER NOT NULL, seen INTEGER NOT NULL) STRICT;"
    "CREATE TABLE expected (ref INTEGER NOT NULL, role INTEGER NOT NULL, id INTEGER NOT NULL,"
    " key BLOB, fingerprint BLOB, PRIMARY KEY (ref, role, id)) STRICT, WITHOUT ROWID;"
    "BEGIN";

#define OWNERS "4"
static_assert(OW_VERIFY_APPLIED == 4, "as in OWNERS");

static const char still_quarantined_text[] =
    "SELECT 1 FROM ow_quarantine WHERE id = ? AND status NOT IN ('applied', 'duplicate')";

static enum ow_status prepare(struct ow_verify *verify, struct ow_err *err)
{
    struct ow_verify_notes *notes = &verify->notes;
    OW_TRY(ow_sql_prepare(&notes->sql, "INSERT INTO trace VALUES (?, ?, ?, ?, ?)",
                          &notes->trace_add, err));
    OW_TRY(ow_sql_prepare(&notes->sql,
                          "INSERT INTO expected VALUES (?, ?, ?, ?, ?)"
                          " ON CONFLICT (ref, role, id) DO NOTHING",
                          &notes->expected_add, err));
    OW_TRY(ow_sql_prepare(&notes->sql,
                          "SELECT role, id FROM expected WHERE ref = ? AND role <= " OWNERS,
                          &notes->expected_owner, err));
    OW_TRY(ow_sql_prepare(&notes->sql,
                          "SELECT role, id, key, fingerprint FROM expected WHERE ref = ?",
                          &notes->expected_of, err));
    OW_TRY(ow_sql_prepare(&notes->sql, "DELETE FROM expected WHERE ref = ? AND role <= " OWNERS,
                          &notes->expected_forget, err));
    OW_TRY(ow_sql_prepare(&verify->sql, "SELECT 1 FROM ow_parked WHERE id = ?",
                          &notes->still_parked, err));
    return ow_sql_prepare(&verify->sql, still_quarantined_text, &notes->still_quarantined, err);
}

enum ow_status ow_verify_notes_open(struct ow_verify *verify, struct ow_err *err)
{
    struct ow_verify_notes *notes = &verify->notes;
    uint64_t bits = 4096;
    while (bits < bits_max && (int64_t)bits < verify->next_ref) {
        bits *= 2;
    }
    notes->bits = calloc(bits / 64, sizeof(*notes->bits));
    if (notes->bits == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    notes->bit_mask = bits - 1;
    /* The empty name is SQLite's for a private file that goes with the connection. */
    OW_TRY(ow_sql_open(&notes->sql, "", OW_SQL_OWNER, err));
    OW_TRY(ow_sql_exec(&notes->sql, schema, err));
    return prepare(verify, err);
}

void ow_verify_notes_done(struct ow_verify_notes *notes)
{
    ow_sql_finalize(&notes->trace_add);
    ow_sql_finalize(&notes->expected_add);
    ow_sql_finalize(&notes->expected_owner);
    ow_sql_finalize(&notes->expected_of);
    ow_sql_finalize(&notes->expected_forget);
    ow_sql_finalize(&notes->still_parked);
    ow_sql_finalize(&notes->still_quarantined);
    ow_sql_close(&notes->sql);
    free(notes->bits);
    *notes = (struct ow_verify_notes){0};
}

enum ow_status ow_verify_trace_add(struct ow_verify *verify, const struct ow_verify_trace *trace,
                                   struct ow_err *err)
{
    const struct ow_verify_partition *partition = ow_verify_partition_of(verify, trace);
    if (partition == NULL) {
        ow_verify_broken(verify, OW_PROMISE_OUTCOMES,
                         OW_SLICE_FMT "[%" PRId64 "]: a record of offset %" PRId64
                                      " left a trace, and there is no position",
                         OW_SLICE_ARG(trace->topic), trace->partition, trace->offset);
        return OW_OK;
    }
    struct ow_statement *add = &verify->notes.trace_add;
    ow_sql_bind_i64(add, partition - verify->partitions);
    ow_sql_bind_i64(add, trace->offset);
    ow_sql_bind_i64(add, trace->kind);
    ow_sql_bind_i64(add, trace->ref);
    ow_sql_bind_i64(add, trace->seen);
    return ow_sql_run(add, NULL, err);
}

static uint64_t *word_of(const struct ow_verify_notes *notes, int64_t ref, uint64_t *ret_bit)
{
    const uint64_t at = (uint64_t)ref & notes->bit_mask;
    *ret_bit = UINT64_C(1) << (at & 63);
    return &notes->bits[at / 64];
}

bool ow_verify_is_expected(const struct ow_verify_notes *notes, int64_t ref)
{
    uint64_t bit = 0;
    const uint64_t *word = word_of(notes, ref, &bit);
    return (*word & bit) != 0;
}

/* Whether a row that was noted as an owner is one still, in the present snapshot. */
static enum ow_status still_owns(struct ow_verify *verify, enum ow_verify_role role, int64_t id,
                                 bool *ret_owns, struct ow_err *err)
{
    *ret_owns = true;
    if (role != OW_VERIFY_PARKED && role != OW_VERIFY_QUARANTINED) {
        return OW_OK; /* these never change */
    }
    struct ow_statement *find =
        role == OW_VERIFY_PARKED ? &verify->notes.still_parked : &verify->notes.still_quarantined;
    ow_sql_bind_i64(find, id);
    OW_TRY(ow_sql_step(find, ret_owns, err));
    ow_sql_reset(find);
    return OW_OK;
}

/* Forgets the owners of a ref that are gone. *ret_owned: one is there still, and that is told. */
static enum ow_status take_place(struct ow_verify *verify, int64_t ref, const char *what,
                                 int64_t id, bool *ret_owned, struct ow_err *err)
{
    struct ow_verify_notes *notes = &verify->notes;
    *ret_owned = false;
    if (!ow_verify_is_expected(notes, ref)) {
        return OW_OK;
    }
    bool row = false;
    ow_sql_bind_i64(&notes->expected_owner, ref);
    OW_TRY(ow_sql_step(&notes->expected_owner, &row, err));
    if (!row) {
        return OW_OK;
    }
    const enum ow_verify_role role = (enum ow_verify_role)ow_sql_i64(&notes->expected_owner, 0);
    const int64_t other = ow_sql_i64(&notes->expected_owner, 1);
    ow_sql_reset(&notes->expected_owner);
    OW_TRY(still_owns(verify, role, other, ret_owned, err));
    if (*ret_owned) {
        ow_verify_broken(verify, OW_PROMISE_OWNED,
                         "%s %" PRId64 " is not the only one with its claim: so has %s %" PRId64,
                         what, id, ow_verify_role_text(role), other);
        return OW_OK;
    }
    notes->expected_count--;
    ow_sql_bind_i64(&notes->expected_forget, ref);
    return ow_sql_run(&notes->expected_forget, NULL, err);
}

enum ow_status ow_verify_expect_history(struct ow_verify *verify, int64_t ref, int64_t seq,
                                        bool *ret_owned, struct ow_err *err)
{
    return take_place(verify, ref, ow_verify_role_text(OW_VERIFY_APPLIED), seq, ret_owned, err);
}

static void bind_bytes(struct ow_statement *statement, const uint8_t *bytes, size_t len)
{
    ow_sql_bind_blob(statement, (struct ow_slice){bytes, bytes == NULL ? 0 : len});
}

enum ow_status ow_verify_expect(struct ow_verify *verify, const struct ow_verify_expected *expected,
                                struct ow_err *err)
{
    struct ow_verify_notes *notes = &verify->notes;
    if (expected->role <= OW_VERIFY_APPLIED) {
        bool owned = false;
        OW_TRY(take_place(verify, expected->ref, ow_verify_role_text(expected->role), expected->id,
                          &owned, err));
        if (owned) {
            return OW_OK;
        }
    }
    uint64_t bit = 0;
    uint64_t *word = word_of(notes, expected->ref, &bit);
    *word |= bit;
    struct ow_statement *add = &notes->expected_add;
    int64_t changes = 0;
    ow_sql_bind_i64(add, expected->ref);
    ow_sql_bind_i64(add, expected->role);
    ow_sql_bind_i64(add, expected->id);
    bind_bytes(add, expected->key, OW_CLAIM_KEY_BYTES);
    bind_bytes(add, expected->fingerprint, OW_FINGERPRINT_BYTES);
    OW_TRY(ow_sql_run(add, &changes, err));
    notes->expected_count += changes;
    return OW_OK;
}
