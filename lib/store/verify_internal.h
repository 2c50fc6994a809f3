/*
 * verify_internal: what the files of verify share. Private to lib/store.
 *
 * Memory: what is found lives in the caller's arena; what a row needs, in `scratch`, reset as the
 * rows go by: the working set does not grow with the database (sorting spills to SQLite's temporary
 * files).
 */
#ifndef OW_STORE_VERIFY_INTERNAL_H
#define OW_STORE_VERIFY_INTERNAL_H

#include "model/machine.h"
#include "model/outcome.h"
#include "store/sql.h"
#include "store/verify.h"

/* X(NAME, name, meaning): names are stable. */
#define OW_PROMISE_TABLE(X)                                                                        \
    X(INTEGRITY, "integrity", "The file is a sound SQLite database.")                              \
    X(COUNTERS, "counters_match_ledger",                                                           \
      "The counters of each position are the sums of its ledger.")                                 \
    X(LEDGER, "ledger_contiguous",                                                                 \
      "Every offset below the high mark has one outcome: the ledger's runs have no gap.")          \
    X(OUTCOMES, "outcomes_match_rows",                                                             \
      "What the ledger says of a record can be seen: in the history, parked, in quarantine, or "   \
      "as a sighting.")                                                                            \
    X(UNIQUE, "claims_unique", "No key is claimed twice, in whichever bucket.")                    \
    X(OWNED, "claims_owned",                                                                       \
      "Each claim belongs to exactly one row (history, parked, quarantine, stale), and each such " \
      "row has its claim.")                                                                        \
    X(REFS, "refs_below_next", "All numbers that were drawn are below the next one.")              \
    X(VERSIONS, "versions_without_gap",                                                            \
      "An entity's history has the versions 1 to n, chained by prev_seq, and its row the last.")   \
    X(PATHS, "paths_of_machine", "An entity's history is a path of its machine.")                  \
    X(RECORDS, "record_rows_derived",                                                              \
      "Each row of a record table is what its history row derives, and the reverse.")              \
    X(SUMS, "sums_derived", "Each added column is the sum over the history.")                      \
    X(SETS, "sets_derived", "Each set column is what was set last.")                               \
    X(TIMES, "times_derived", "An entity's times are those of its first and last event.")          \
    X(PARKED, "parked_within_limits", "No entity has more parked records than its machine allows.")

enum ow_promise_name {
#define OW_PROMISE_ENUM(name, text, meaning) OW_PROMISE_##name,
    OW_PROMISE_TABLE(OW_PROMISE_ENUM)
#undef OW_PROMISE_ENUM
        OW_PROMISE_COUNT
};

/* One version of a machine, compiled from the text in the store. */
struct ow_verify_version {
    int64_t version;
    struct ow_machines machines;
    const struct ow_machine *machine;
    size_t
        columns[OW_TABLE_COLUMNS_MAX]; /* from this version's entity columns to the newest one's */
    struct ow_verify_version *next;    /* the next higher version */
};

/* A machine: all its versions, and statements over its tables as the newest has them. */
struct ow_verify_machine {
    const char *name;
    struct ow_verify_version *versions; /* ascending */
    const struct ow_machine *newest;
    bool added[OW_TABLE_COLUMNS_MAX]; /* by the newest's entity columns: some transition adds to it
                                       */
    size_t park_per_entity_max;
    struct ow_statement entities;       /* key, state, version, last_seq, times, columns; by key */
    struct ow_statement *record_of_key; /* by the newest's records: seq, columns; of a key */
    int64_t *record_matched;            /* likewise: rows that a history row derives */
    struct ow_verify_machine *next;     /* by name */
};

struct ow_verify {
    struct ow_sql sql;
    struct ow_arena *arena;  /* the caller's */
    struct ow_arena scratch; /* of one row or one entity */
    struct ow_promise *promises;
    struct ow_verify_machine *machines; /* by name */
    char state_hash[2 * OW_DIGEST_BYTES + 1];
};

void ow_verify_checked(struct ow_verify *verify, enum ow_promise_name promise, int64_t count);
/* Counts a broken row and keeps the first few as examples. */
void ow_verify_broken(struct ow_verify *verify, enum ow_promise_name promise, const char *format,
                      ...) OW_PRINTF(3, 4);

/* verify_machine.c */
enum ow_status ow_verify_machine_load(struct ow_verify *verify, struct ow_err *err);
void ow_verify_machine_done(struct ow_verify *verify);
const struct ow_verify_version *ow_verify_version_of(const struct ow_verify_machine *machine,
                                                     int64_t version);
/* The column's number in the newest version's table, or SIZE_MAX. */
size_t ow_verify_column(const struct ow_table *table, const char *name);

/* A row of the history while it is looked at. */
struct ow_past {
    int64_t seq, machine_version, version, prev_seq, event_time_ms;
    struct ow_slice machine, entity_id, event_type, from,
        to; /* absent where the number has no text */
    struct ow_slice data_text;
};

/* The step that a history row took. */
struct ow_verify_step {
    struct ow_verify_machine *machine;
    const struct ow_verify_version *version;
    const struct ow_event_type *event;
    const struct ow_transition *transition;
    const struct ow_value *columns; /* before it, by the newest version's entity columns */
    const json_t *data;             /* history.data */
};

/* verify_evaluate.c: what an operand was when the step was taken. */
struct ow_value ow_verify_evaluate(const struct ow_operand *operand,
                                   const struct ow_verify_step *step);

/* verify_record.c: are the rows there that the step derives? */
enum ow_status ow_verify_record_derived(struct ow_verify *verify, const struct ow_verify_step *step,
                                        int64_t seq, struct ow_err *err);

/* Each checks what its name says; broken rows are no failure. */
enum ow_status ow_verify_integrity(struct ow_verify *verify, struct ow_err *err);
enum ow_status ow_verify_counters(struct ow_verify *verify, struct ow_err *err);
enum ow_status ow_verify_ledger(struct ow_verify *verify, struct ow_err *err);
enum ow_status ow_verify_outcomes(struct ow_verify *verify, struct ow_err *err);
enum ow_status ow_verify_claims_unique(struct ow_verify *verify, struct ow_err *err);
enum ow_status ow_verify_claims_owned(struct ow_verify *verify, struct ow_err *err);
enum ow_status ow_verify_refs(struct ow_verify *verify, struct ow_err *err);
/* versions, paths, records (forward), sums, sets, times: one pass over the history, sorted by
 * entity. */
enum ow_status ow_verify_history(struct ow_verify *verify, struct ow_err *err);
/* After ow_verify_history: rows of record tables that no history row derives. */
enum ow_status ow_verify_records(struct ow_verify *verify, struct ow_err *err);
enum ow_status ow_verify_parked(struct ow_verify *verify, struct ow_err *err);
enum ow_status ow_verify_state_hash(struct ow_verify *verify, struct ow_err *err);

#endif
