/*
 * store: the one SQLite database: claims, business tables, history, parked, quarantine, ledger,
 * positions.
 *
 * The only read-write connection of the process, owned by the apply thread between _open and
 * _close. Threads: one owner at a time; _open and _close may be another thread than the apply
 * thread. Memory: process lifetime; rows that are read live in the world's arena. Failure: UNSAFE
 * (foreign file, newer schema, another process's epoch, a machine changed without a new version),
 *   TEMPORARY (somebody else owns it), STORE_FULL (rolled back, try the batch again), STORE_UNKNOWN
 * (a COMMIT's result is not known: stop), RECORD_REFUSED (a constraint: some record of the batch is
 * guilty), FAILED. After any failure of _write or _commit the transaction is rolled back or its
 * result unknown; call _rollback. Trust: the file is ours; foreign rows in it are found by verify.
 *
 * PRAGMAs and their reasons: store_open.c.
 */
#ifndef OW_STORE_STORE_H
#define OW_STORE_STORE_H

#include "base/clock.h"
#include "base/status.h"
#include "model/position.h"
#include "model/world.h"

struct ow_store;

struct ow_store_options {
    const char *path;
    const char *hash_key_file; /* NULL: the key is in ow_meta */
    struct ow_clock clock;
    bool restored; /* the file may be a backup: it is known to be older than what was made of it */
    int64_t bucket_claims; /* a bucket is sealed when it has that many; 0: OW_BUCKET_CLAIMS */
    int64_t piece_claims;  /* a filter is built of pieces of about so many; 0: OW_PIECE_CLAIMS */
    int64_t wal_bytes;     /* where the write-ahead log ends growing; 0: OW_WAL_BYTES_DEFAULT */
    /*
     * Another process owns the store; why says which. Waits a little and returns true: it is tried
     * again; false: _open fails with TEMPORARY, as it does at once where this is NULL.
     */
    bool (*wait_owner)(const struct ow_err *why, void *context);
    void *wait_context;
    /* Told what begins, for a watchdog; doing is NULL before what takes as long as the store is
     * large, or as its owner lasts. NULL: nobody is told. */
    void (*begins)(const char *doing, void *context);
    void *begins_context;
};

/*
 * Opens or creates the store, takes its lock (an OFD lock on "<path>.lock", close-on-exec), raises
 * the epoch, creates the tables of the machines and numbers their fingerprint rules
 * (machines->…->claim->rule_number is set here). A machine whose version is known with another
 * digest is UNSAFE; columns that a newer version adds are added. A file of an older schema version
 * is brought up to the present one.
 */
enum ow_status ow_store_open(const struct ow_store_options *options, struct ow_machines *machines,
                             struct ow_store **ret_store, struct ow_err *err) OW_MUST_USE;
/* Takes NULL. Checkpoints the WAL where it can. */
void ow_store_close(struct ow_store *store);

const char *ow_store_id(const struct ow_store *store);
/* Where the file is, links resolved. */
const char *ow_store_path(const struct ow_store *store);
int64_t ow_store_epoch(const struct ow_store *store);
/* The epoch that the file was restored in: what was committed to the group before it may be ahead
 * of the file. 0: it never was. */
int64_t ow_store_restored_epoch(const struct ow_store *store);
const struct ow_hash_key *ow_store_hash_key(const struct ow_store *store);
/* Before it claims of an event type may have been pruned; INT64_MIN: none was. skew_ms:
 * claims.skew. */
int64_t ow_store_horizon_ms(const struct ow_store *store, const struct ow_machine *machine,
                            const struct ow_event_type *event, int64_t skew_ms);
/* Look-ups of claims since the store was opened. */
struct ow_claim_probes {
    int64_t keys;     /* looked up */
    int64_t lookups;  /* in the table */
    int64_t needless; /* keys for which a filter said "maybe" where nothing was */
};
void ow_store_claim_probes(const struct ow_store *store, struct ow_claim_probes *ret_probes);
/* Whether there is a sealed bucket in which each key is looked up until it has a filter. */
bool ow_store_lacks_filters(const struct ow_store *store);
/* How many records are parked, as of the last commit. */
int64_t ow_store_parked_count(const struct ow_store *store);
/* The earliest deadline of all parked records, INT64_MAX: none. As of the last commit. */
int64_t ow_store_first_deadline_ms(const struct ow_store *store);
/* The earliest end of a sealed bucket's retention, INT64_MAX: there is none. As of the last commit.
 */
int64_t ow_store_first_prune_ms(const struct ow_store *store);

/* All positions, with what must be known of their ledgers to go on there, into the arena. */
enum ow_status ow_store_positions(struct ow_store *store, struct ow_arena *arena,
                                  struct ow_position **ret_list, struct ow_err *err) OW_MUST_USE;
/* Likewise the ledger of one position, from an earlier offset on: an operator has moved it. */
enum ow_status ow_store_ledger(struct ow_store *store, struct ow_arena *arena,
                               struct ow_position *position, int64_t from_offset,
                               struct ow_err *err) OW_MUST_USE;

/* The number of the last sighting, 0: none. An incarnation that begins now has those above it. */
enum ow_status ow_store_last_sighting(struct ow_store *store, int64_t *ret_sighting,
                                      struct ow_err *err) OW_MUST_USE;

/* Whether far more than usual waits in the write-ahead log, since somebody read an old state: the
 * next BEGIN or COMMIT may write it all back, which takes minutes on a slow disk. */
bool ow_store_is_behind(const struct ow_store *store);

/* BEGIN IMMEDIATE; asserts the epoch, and that the file is still where it was (UNSAFE); counts the
 * batch, loads world->next_ref. */
enum ow_status ow_store_begin(struct ow_store *store, struct ow_world *world, struct ow_err *err)
    OW_MUST_USE;
/*
 * Fills in what the world wants and has not loaded: claims, entities (with what is parked under
 * them, still raw: event = NULL), rows, quarantine rows. May be called again after more was wanted.
 */
enum ow_status ow_store_read(struct ow_store *store, struct ow_world *world, struct ow_err *err)
    OW_MUST_USE;
/* Up to limit parked records whose deadline is at most deadline_ms, by id, hung under their
 * (wanted) entities. */
enum ow_status ow_store_read_overdue(struct ow_store *store, struct ow_world *world,
                                     int64_t deadline_ms, size_t limit,
                                     struct ow_parked ***ret_list, size_t *ret_count,
                                     struct ow_err *err) OW_MUST_USE;
/*
 * Writes every change of the world and of the positions. An entity whose stored version is not the
 * one that was read is FAILED ("optimistic version check"): nothing that another writer did is ever
 * overwritten.
 */
enum ow_status ow_store_write(struct ow_store *store, struct ow_world *world,
                              struct ow_position *positions, struct ow_err *err) OW_MUST_USE;
/*
 * For judging a failed batch again, record by record: one savepoint at a time. Both _release and
 * _rollback_to end it.
 */
enum ow_status ow_store_savepoint(struct ow_store *store, struct ow_err *err) OW_MUST_USE;
enum ow_status ow_store_release(struct ow_store *store, struct ow_err *err) OW_MUST_USE;
enum ow_status ow_store_rollback_to(struct ow_store *store, struct ow_err *err) OW_MUST_USE;
/* Writes next_ref and the batch number, then COMMIT: durable when it returns OK. */
enum ow_status ow_store_commit(struct ow_store *store, struct ow_world *world, struct ow_err *err)
    OW_MUST_USE;
/*
 * What is to be done between batches: old buckets are sealed, claims pruned whose retention is over
 * by both clocks, filters built. A small piece a call, so that no record waits for long; *ret_more:
 * there is more to do. After a failure it may be tried again later.
 */
struct ow_tending {
    int64_t now_ms;   /* wall clock */
    int64_t limit_ms; /* the lesser of wall clock and stream time; INT64_MIN: not known */
    size_t rows;      /* claims to be looked at for filters, at most; 0: none is built */
};
enum ow_status ow_store_tend(struct ow_store *store, const struct ow_tending *tending,
                             bool *ret_more, struct ow_err *err) OW_MUST_USE;
/* Ends whatever transaction is open; safe without one. */
void ow_store_rollback(struct ow_store *store);

#endif
