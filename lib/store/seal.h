/*
 * seal: sums over the rows of our own tables, kept in ow_meta and moved in the transaction that
 * changes the rows. What no other row derives (when a record was seen, the bytes of a parked one, a
 * claim's fingerprint) is held by them: any row that another hand has changed, added or taken away
 * leaves its table's sum wrong, and verify says so.
 *
 * A sum is that of ow_hash_row over the rows, modulo 2^64, so it can be moved row by row. Tables
 * that grow have a sum for each chunk of numbers (claims: for each bucket), small enough that a
 * chunk and its sum can be compared in one short snapshot while a worker writes. In ow_meta:
 * 'seal.<table>.<chunk>', the chunk with 16 digits; 'seal.ow_meta' is the sum over all other rows
 * of ow_meta. Business tables and the ledger have none: they are derived.
 *
 * Threads: the store's owner; ow_seal_scan: any. Memory: an arena of the store's life. Private to
 * lib/store.
 */
#ifndef OW_STORE_SEAL_H
#define OW_STORE_SEAL_H

#include "base/map.h"
#include "store/sql.h"

/* X(NAME, table, the column that numbers its chunks or NULL, how many bits of it are within one) */
#define OW_SEAL_TABLE(X)                                                                           \
    X(CLAIMS, "ow_claims", "bucket", 0)                                                            \
    X(HISTORY, "ow_history_row", "seq", 16)                                                        \
    X(SIGHTING, "ow_sighting", "ref", 16)                                                          \
    X(PARKED, "ow_parked", "id", 10)                                                               \
    X(QUARANTINE, "ow_quarantine", "id", 10)                                                       \
    X(FILTER, "ow_filter", "id", 0)                                                                \
    X(AUDIT, "ow_audit", "id", 10)                                                                 \
    X(BUCKET, "ow_bucket", NULL, 0)                                                                \
    X(POSITION, "ow_position", NULL, 0)                                                            \
    X(TEXT, "ow_text", NULL, 0)                                                                    \
    X(MACHINE, "ow_machine", NULL, 0)                                                              \
    X(META, "ow_meta", NULL, 0)

enum ow_seal_name {
#define OW_SEAL_ENUM(name, table, column, bits) OW_SEAL_##name,
    OW_SEAL_TABLE(OW_SEAL_ENUM)
#undef OW_SEAL_ENUM
        OW_SEAL_COUNT
};

struct ow_seal_form {
    const char *table;
    const char *column; /* NULL: the whole table is one chunk, with the number 0 */
    int bits;
};
extern const struct ow_seal_form ow_seal_forms[OW_SEAL_COUNT];

/* 'seal.ow_claims.0000000000000007'; 'seal.ow_meta' where the table is one chunk. */
enum { OW_SEAL_KEY_BYTES = 64 };
void ow_seal_key(enum ow_seal_name name, int64_t chunk, char text[OW_SEAL_KEY_BYTES]);
int64_t ow_seal_chunk(enum ow_seal_name name, int64_t number);

/* The rows of a chunk as they are, and their sum. */
enum ow_status ow_seal_scan(struct ow_sql *sql, enum ow_seal_name name, int64_t chunk,
                            int64_t *ret_rows, uint64_t *ret_sum, struct ow_err *err) OW_MUST_USE;

/* A chunk that has rows or a sum, and whether they fit. */
struct ow_seal_check {
    enum ow_seal_name name;
    int64_t chunk;
    int64_t rows;
    bool stored; /* ow_meta has a sum */
    bool fits;
};
/*
 * Goes from one chunk to the next; a zeroed cursor is before the first. A chunk and its sum are
 * read in two statements: call it within a transaction where others write. *ret_found: false at the
 * end.
 */
struct ow_seal_cursor {
    int name;
    bool begun; /* within that table */
    int64_t chunk;
};
enum ow_status ow_seal_next(struct ow_sql *sql, struct ow_seal_cursor *cursor,
                            struct ow_seal_check *ret_check, bool *ret_found, struct ow_err *err)
    OW_MUST_USE;

/* A sum that this process has touched. */
struct ow_seal {
    enum ow_seal_name name;
    int64_t chunk;
    uint64_t live, committed, saved; /* as of the transaction, the last commit, the savepoint */
    bool stored;                     /* has a row in ow_meta, as of the last commit */
    bool dirty;
    bool dropped; /* the chunk is gone, and its row in ow_meta goes with it */
    struct ow_seal *next_dirty;
    int64_t id[2];
};

/* What ow_meta says; 0 where it says nothing. */
enum ow_status ow_seal_load(struct ow_sql *sql, struct ow_seal *seal, struct ow_err *err)
    OW_MUST_USE;
/* The sum over the rows that a statement selects. */
enum ow_status ow_seal_sum(struct ow_buffer *buffer, struct ow_statement *read, int64_t *ret_rows,
                           uint64_t *ret_sum, struct ow_err *err) OW_MUST_USE;

struct ow_seals {
    struct ow_arena arena;
    struct ow_map map;
    struct ow_seal *dirty;
    struct ow_buffer row; /* of the INSERT or the row in work */
};

void ow_seals_init(struct ow_seals *seals);
void ow_seals_done(struct ow_seals *seals);
void ow_seals_savepoint(struct ow_seals *seals);
void ow_seals_rollback_to(struct ow_seals *seals);
void ow_seals_rollback(struct ow_seals *seals);
/* After COMMIT. */
void ow_seals_settle(struct ow_seals *seals);

struct ow_store;

/*
 * Around the changes of opening, within their transaction: what ow_meta, ow_machine and (where the
 * schema is migrated) ow_position were before, and that their sums move by what has changed. A
 * store without sums (a new one, or one whose operator has deleted them to accept what was changed)
 * is sealed as it is.
 */
struct ow_seal_before {
    uint64_t meta, machine, position;
    bool sealed;
};
enum ow_status ow_seal_open_begin(struct ow_store *store, struct ow_seal_before *ret_before,
                                  struct ow_err *err) OW_MUST_USE;
enum ow_status ow_seal_open_end(struct ow_store *store, const struct ow_seal_before *before,
                                struct ow_err *err) OW_MUST_USE;

/* Likewise around a change of ow_meta by whoever has the file to himself. What has no sums gets
 * none: the next opening seals it. */
enum ow_status ow_seal_marks_begin(struct ow_sql *sql, struct ow_seal_before *ret_before,
                                   struct ow_err *err) OW_MUST_USE;
enum ow_status ow_seal_marks_end(struct ow_sql *sql, const struct ow_seal_before *before,
                                 struct ow_err *err) OW_MUST_USE;

/* Runs an INSERT that binds every column of its table in order, and adds the row. Its statement was
 * made ready by ow_seal_prepare. ret_changes may be NULL: the row is then known to be new. */
void ow_seal_prepare(struct ow_store *store, struct ow_statement *insert);
enum ow_status ow_seal_insert(struct ow_store *store, enum ow_seal_name name, int64_t number,
                              struct ow_statement *insert, int64_t *ret_changes, struct ow_err *err)
    OW_MUST_USE;
/* Before a row changes, and after: `read` selects it, whole; no row is no row. */
enum ow_status ow_seal_take(struct ow_store *store, enum ow_seal_name name, int64_t number,
                            struct ow_statement *read, struct ow_err *err) OW_MUST_USE;
enum ow_status ow_seal_put(struct ow_store *store, enum ow_seal_name name, int64_t number,
                           struct ow_statement *read, struct ow_err *err) OW_MUST_USE;

/* The rows of a chunk are all gone, and none will come any more: its sum goes too, whatever it is.
 */
enum ow_status ow_seal_drop(struct ow_store *store, enum ow_seal_name name, int64_t number,
                            struct ow_err *err) OW_MUST_USE;
/* Writes an integer to ow_meta. */
enum ow_status ow_seal_meta(struct ow_store *store, const char *key, int64_t value,
                            struct ow_err *err) OW_MUST_USE;

/* Before COMMIT: the sums that have moved. next_ref as it will be; the batch is the store's next.
 */
enum ow_status ow_seal_write(struct ow_store *store, int64_t next_ref, struct ow_err *err)
    OW_MUST_USE;

#endif
