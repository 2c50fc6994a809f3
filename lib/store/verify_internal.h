/*
 * verify_internal: what the files of verify share. Private to lib/store.
 *
 * Memory: what is found lives in the caller's arena; what a row needs, in `scratch`, reset as the
 * rows go by; what has to be sorted or found again lies in `notes`, a private database that
 * SQLite spills to a temporary file.
 */
#ifndef OW_STORE_VERIFY_INTERNAL_H
#define OW_STORE_VERIFY_INTERNAL_H

#include "model/seed_entity.h"
#include "store/verify_notes.h"
#include "store/verify_slice.h"

/* X(NAME, name, meaning): names are stable. */
#define OW_PROMISE_TABLE(X)                                                                        \
    X(INTEGRITY, "integrity", "The file is a sound SQLite database.")                              \
    X(SCHEMA, "schema_known",                                                                      \
      "Tables, indexes and triggers are those that this program and the machines make.")           \
    X(META, "meta_known", "Each row of ow_meta is known and well-formed.")                         \
    X(MACHINES, "machines_sound", "Each stored machine is what its digest says, and loads.")       \
    X(TEXTS, "texts_used", "Each numbered text is used by the history.")                           \
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
    X(KEYS, "claim_keys_derived",                                                                  \
      "A claim's key, and its fingerprint where the message is stored, are those of its message.") \
    X(REFS, "refs_below_next",                                                                     \
      "Each number below the next one is a claim's, or the own one of one row; none is above.")    \
    X(VERSIONS, "versions_without_gap",                                                            \
      "An entity's history has the versions 1 to n, chained by prev_seq, and its row the last.")   \
    X(PATHS, "paths_of_machine", "An entity's history is a path of its machine.")                  \
    X(REQUIRED, "requirements_held", "Each transition's requirements held when it was taken.")     \
    X(RECORDS, "record_rows_derived",                                                              \
      "Each row of a record table is what its history row derives, and the reverse.")              \
    X(SUMS, "sums_derived", "Each added column is the sum over the history.")                      \
    X(SETS, "sets_derived", "Each set column is what was set last.")                               \
    X(TIMES, "times_derived", "An entity's times are those of its first and last event.")          \
    X(PARKED, "parked_within_limits",                                                              \
      "No entity has more parked records than its machine allows.")                                \
    X(WAITING, "parked_waiting",                                                                   \
      "What is parked reads as what its row says, and waits for something that has not come.")     \
    X(QUARANTINE, "quarantine_judged",                                                             \
      "What is in quarantine reads as what its row says, for a reason that it has.")               \
    X(FILTERS, "filters_complete",                                                                 \
      "Filters are what was written, and find each claim of the buckets that they cover.")         \
    X(SEALS, "tables_sealed",                                                                      \
      "No other hand has changed, added or deleted a row of our own tables.")

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
    struct ow_machine *machine;
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
    struct ow_statement state_of_key;   /* state, last_seq; of a key */
    struct ow_statement *record_of_key; /* by the newest's records: seq, columns; of a key */
    struct ow_verify_sum *record_rows;  /* likewise: those that history rows derive */
    struct ow_verify_machine *next;     /* by name */
};

/* A position as the first snapshot has it. */
struct ow_verify_partition {
    struct ow_slice topic;
    int64_t partition, incarnation, high_offset, reread;
    int64_t counts[OW_OUTCOME_COUNT];
    bool has_run;
    int64_t last_first, last_records; /* its ledger's last run, which goes on growing */
    int64_t began_epoch;
    int64_t began_ref, began_sighting; /* rows with lower numbers are of the incarnations before */
};

/* A bucket likewise. */
struct ow_verify_bucket {
    int64_t bucket, class_ms, claims;
    bool sealed;
    bool doomed; /* its claims are being deleted */
};

/* A class of which buckets have been pruned. */
struct ow_verify_pruned {
    int64_t class_ms, below_ref; /* claims with lower refs are gone */
    struct ow_verify_pruned *next;
};

/* A numbered text. */
struct ow_verify_text {
    int64_t id;
    struct ow_slice text;
    bool used;
    struct ow_verify_text *next;
};

struct ow_verify {
    struct ow_sql sql;
    struct ow_verify_slices slices;
    struct ow_verify_notes notes;
    struct ow_arena *arena;  /* the caller's */
    struct ow_arena scratch; /* of one row or one entity */
    struct ow_promise *promises;
    const char *remarks[OW_VERIFY_NOTES + 1];
    struct ow_verify_machine *machines; /* by name */
    char state_hash[2 * OW_DIGEST_BYTES + 1];

    /* As of the first snapshot. */
    int64_t next_ref;                       /* what is numbered below it was there */
    int64_t sighting_rowid;                 /* likewise, up to it */
    struct ow_verify_partition *partitions; /* by topic, partition, incarnation */
    size_t partition_count;
    struct ow_map partition_map;      /* topic and number → the first incarnation's struct, the
                                         others follow it */
    struct ow_verify_bucket *buckets; /* by number */
    size_t bucket_count;
    struct ow_verify_text *texts;             /* and those that came since */
    bool rules[OW_FINGERPRINT_RULES_MAX + 1]; /* fingerprint rules with a text */
    struct ow_verify_pruned *pruned;          /* NULL: none was */
    int64_t prune_mark;                       /* changes when more is pruned */
    bool has_key;
    bool unfinished;           /* the file could not be read to its end */
    struct ow_decoder decoder; /* its hash_key, scratch: for all that is read again */
    struct ow_hash_key hash_key;
    struct ow_verify_sum numbers; /* that were drawn: each a claim's, or the own one of a row */
    int64_t quarantined;          /* quarantined records of all ledgers */
    int64_t seen;                 /* how often the quarantine has seen them */
    int64_t erased;               /* rows without payload: less can be derived */
    struct ow_verify_sum chained; /* history rows on some entity's chain */
    struct ow_verify_sum owning;  /* history rows, with the keys that they must have claimed */
};

void ow_verify_checked(struct ow_verify *verify, enum ow_promise_name promise, int64_t count);
/* Counts a broken row and keeps the first few as examples. */
void ow_verify_broken(struct ow_verify *verify, enum ow_promise_name promise, const char *format,
                      ...) OW_PRINTF(3, 4);
/* Something could not be looked at: a line for people. */
void ow_verify_remark(struct ow_verify *verify, const char *text);

/* verify_machine.c */
struct ow_verify_machine *ow_verify_machine_named(const struct ow_verify *verify,
                                                  struct ow_slice name);
void ow_verify_machine_done(struct ow_verify *verify);
const struct ow_verify_version *ow_verify_version_of(const struct ow_verify_machine *machine,
                                                     int64_t version);
/* The column's number in the newest version's table, or SIZE_MAX. */
size_t ow_verify_column(const struct ow_table *table, const char *name);
/* ", column, … FROM table", and " WHERE key >= ? ORDER BY key". */
void ow_verify_append_columns(struct ow_buffer *text, const struct ow_table *table);
void ow_verify_append_order(struct ow_buffer *text, const struct ow_table *table);
/* Whether some claim of it is kept for so long. */
bool ow_verify_retains(const struct ow_verify_machine *machine, int64_t retention_ms);
/* Numbers the fingerprint rules with that text; false where it has none. */
bool ow_verify_number_rule(struct ow_verify_machine *machine, struct ow_slice text, uint8_t number);
/* An event whose fingerprint rule got no number, or NULL. */
const char *ow_verify_unnumbered(const struct ow_verify_machine *machine);

/* verify_begin.c: what the first snapshot says. */
/* The incarnation in which a record was handled; NULL: there is no such position. */
const struct ow_verify_partition *ow_verify_partition_of(const struct ow_verify *verify,
                                                         const struct ow_verify_trace *trace);
/* The text of a number, absent where there is none; used: by a row of the history. */
enum ow_status ow_verify_text_of(struct ow_verify *verify, int64_t id, struct ow_slice *ret_text,
                                 struct ow_err *err) OW_MUST_USE;

/* verify_bucket.c */
enum ow_status ow_verify_buckets_load(struct ow_verify *verify, struct ow_err *err) OW_MUST_USE;
/* Whether a claim of that class is no more, since its bucket was pruned. */
bool ow_verify_is_pruned(const struct ow_verify *verify, int64_t class_ms, int64_t ref);
/* From this ref on no claim of any class was pruned. */
int64_t ow_verify_pruned_below(const struct ow_verify *verify);
enum ow_status ow_verify_prune_mark(struct ow_verify *verify, int64_t *ret_mark, struct ow_err *err)
    OW_MUST_USE;

/* A number that a row has: drawn, and below the next one. */
void ow_verify_number(struct ow_verify *verify, int64_t number, const char *what);

/* A row of the history while it is looked at; slices are borrowed or the scratch arena's. */
struct ow_past {
    int64_t seq, first_ref /* 0: none */, machine_version, version, prev_seq /* 0: none */;
    int64_t event_time_ms, partition, offset;
    struct ow_slice machine, entity_id, event_type, from, to, topic,
        via; /* absent where the number has no text */
    struct ow_slice source, message_id, data_text;
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

/* verify_past.c: reading a history row. */
#define OW_VERIFY_PAST_COLUMNS                                                                     \
    "seq, first_ref, machine, machine_version, entity_id, version, prev_seq, event_type, source, " \
    "message_id, from_state, to_state, event_time_ms, topic, partition, offset, via, data"
enum ow_status ow_verify_past_take(struct ow_verify *verify, const struct ow_statement *row,
                                   struct ow_past *ret_past, struct ow_err *err) OW_MUST_USE;
/* The step by the machine's version; false where it has no such step. */
bool ow_verify_step_find(const struct ow_verify *verify, const struct ow_past *past,
                         struct ow_verify_step *ret_step);
/* The key that the message must have claimed; false where the row does not hold what is needed. */
bool ow_verify_past_key(const struct ow_verify *verify, const struct ow_past *past,
                        const struct ow_verify_step *step, uint8_t key[OW_CLAIM_KEY_BYTES]);
/* Its claim, its trace and its way in, whatever its entity is. */
enum ow_status ow_verify_past_check(struct ow_verify *verify, const struct ow_past *past,
                                    const struct ow_verify_step *step, struct ow_err *err)
    OW_MUST_USE;

/* verify_seed.c: history rows of entities that were taken over from another system. */
static inline bool ow_verify_is_seed(const struct ow_past *past)
{
    return ow_slice_equals_text(past->via, ow_via_text(OW_VIA_SEED));
}
/* What was given (nothing, where it was erased); or what is wrong with the row. Sets the step's
 * machine and version; step->data must be there. */
const char *ow_verify_seed_read(struct ow_verify *verify, const struct ow_past *past,
                                struct ow_verify_step *step, struct ow_seed_entity *ret_seed);

/* verify_chain.c: the history rows of one entity: their numbers, the last first. */
struct ow_verify_chain {
    struct ow_statement prev_of; /* of a history row */
    int64_t *seqs;
    size_t count, capacity;
};
enum ow_status ow_verify_chain_open(struct ow_verify *verify, struct ow_verify_chain *chain,
                                    struct ow_err *err) OW_MUST_USE;
/* From the last row back, as far as it leads. Numbers only go down, so it ends. */
enum ow_status ow_verify_chain_find(struct ow_verify *verify, struct ow_verify_chain *chain,
                                    int64_t last_seq, struct ow_err *err) OW_MUST_USE;
void ow_verify_chain_done(struct ow_verify_chain *chain);

/* verify_evaluate.c: what an operand was when the step was taken, and whether its requirements
 * held. */
struct ow_value ow_verify_value(const json_t *json); /* borrowed */
struct ow_value ow_verify_evaluate(const struct ow_operand *operand,
                                   const struct ow_verify_step *step);
bool ow_verify_holds(const struct ow_requirement *requirement, const struct ow_verify_step *step);

/* verify_record.c: are the rows there that the step derives? */
enum ow_status ow_verify_record_derived(struct ow_verify *verify, const struct ow_verify_step *step,
                                        int64_t seq, struct ow_err *err) OW_MUST_USE;
/* Likewise of a step whose payload was erased: are they as they were then? records: as its row
 * keeps them (erased.h). */
enum ow_status ow_verify_record_kept(struct ow_verify *verify, const struct ow_verify_step *step,
                                     const json_t *records, int64_t seq, struct ow_err *err)
    OW_MUST_USE;
/* Likewise, of an entity that was taken over; and of one whose payload was erased since. */
enum ow_status ow_verify_record_seeded(struct ow_verify *verify, const struct ow_verify_step *step,
                                       const struct ow_seed_row *rows, int64_t seq,
                                       struct ow_err *err) OW_MUST_USE;
enum ow_status ow_verify_record_seeded_kept(struct ow_verify *verify,
                                            const struct ow_verify_step *step,
                                            const json_t *records, int64_t seq, struct ow_err *err)
    OW_MUST_USE;

/* verify_decode.c: a stored message read again, by each machine version that the store has known.
 */
struct ow_verify_reading {
    struct ow_event event; /* by the first version that fits */
    bool found;
    bool unsure;          /* so many versions that not all were tried */
    bool has_key;         /* all that fit have the same claim key … */
    bool has_fingerprint; /* … and the same fingerprint */
};
typedef bool ow_verify_fits(const struct ow_event *event, const void *wanted);
void ow_verify_decode(struct ow_verify *verify, const struct ow_record *record,
                      ow_verify_fits *fits, const void *wanted,
                      struct ow_verify_reading *ret_reading);

/* verify_outcomes.c: the traces of one partition beside the runs of its ledger. */
struct ow_verify_traces {
    struct ow_statement statement;
    bool row;
};
struct ow_verify_run {
    const struct ow_verify_partition *partition;
    int64_t number; /* of the partition */
    int64_t first, last, records;
    int outcome; /* enum ow_outcome, or -1: skipped, lost */
};
enum ow_status ow_verify_traces_begin(struct ow_verify *verify, struct ow_verify_traces *traces,
                                      struct ow_err *err) OW_MUST_USE;
/* Runs come in the order of partitions and offsets; NULL: there are no more. */
enum ow_status ow_verify_traces_of(struct ow_verify *verify, struct ow_verify_traces *traces,
                                   const struct ow_verify_run *run, struct ow_err *err) OW_MUST_USE;

/* Each checks what its name says; broken rows are no failure. In this order (verify.c). */
typedef enum ow_status ow_verify_check(struct ow_verify *verify, struct ow_err *err);
ow_verify_check ow_verify_integrity;
ow_verify_check ow_verify_machine_load;
ow_verify_check ow_verify_schema;
ow_verify_check ow_verify_meta;
ow_verify_check ow_verify_seals;
ow_verify_check ow_verify_begin;
ow_verify_check ow_verify_parked;
ow_verify_check ow_verify_quarantine;
ow_verify_check ow_verify_sightings;
ow_verify_check ow_verify_history;
ow_verify_check ow_verify_chains;
ow_verify_check ow_verify_records;
ow_verify_check ow_verify_claims;
ow_verify_check ow_verify_filters;
ow_verify_check ow_verify_ledger;
ow_verify_check ow_verify_state_hash;
/* verify_claims_name.c: which claims and owners do not belong together, where sums say that some do
 * not. */
ow_verify_check ow_verify_claims_name;

#endif
