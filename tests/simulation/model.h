/*
 * model: what should become of each record: a small reading of DESIGN 3, 4 and 6 for the shipped
 * machine of orders, on facts (message.h) instead of bytes and by hand instead of from the
 * machine's file. It shares no code with lib/model.
 *
 * It is given the records in the order in which the store took them. Threads: one. Memory: an
 * arena, given back by _done.
 */
#ifndef OW_SIMULATION_MODEL_H
#define OW_SIMULATION_MODEL_H

#include "broker.h"
#include "clock.h"

enum ow_model_state {
    OW_STATE_NONE,
    OW_STATE_CREATED,
    OW_STATE_PAID,
    OW_STATE_DISPATCHED,
    OW_STATE_RECEIVED,
    OW_STATE_CANCELLED,
    OW_MODEL_STATES
};

struct ow_model_claim {
    int64_t ref; /* 0: free */
    const struct ow_logged *by;
    int64_t number; /* how many claims there were before */
    int64_t retention_ms;
    struct ow_sim_window at; /* what the wall clock said then */
    int64_t least_ms;        /* the least that it has said since */
    bool pruned;             /* all of this is of a claim that is gone */
};

/* A retention of which claims were pruned. */
struct ow_model_class {
    int64_t retention_ms;
    int64_t horizon_ms; /* without claims.skew */
    int64_t below;      /* buckets of a lower number count no more */
};
enum { OW_MODEL_CLASSES_MAX = 16 };

struct ow_model_parked {
    int64_t id;
    const struct ow_logged *by;
    int64_t parked_at_ms; /* where it is known, else -1 */
    bool gone;
    struct ow_model_parked *next; /* of the order, by id */
};

struct ow_model_order {
    enum ow_model_state state;
    int64_t version, last_seq;
    int64_t amount, paid, refunded;
    int currency;
    int64_t created_at_ms, updated_at_ms;
    struct ow_model_parked *parked, *parked_last;
    int parked_count;
};

/* A row of payments or refunds. */
struct ow_model_row {
    int64_t seq; /* 0: none */
    int order;
    int64_t amount;
    int currency, method;
};

struct ow_model_history {
    int64_t seq, first_ref, prev_seq, version;
    int64_t machine_version;
    enum ow_model_state from, to;
    const struct ow_logged *by;
    bool woken;
    struct ow_model_history *next;
};

struct ow_model_quarantine {
    int64_t id;
    const char *reason;
    const struct ow_logged *by;
    bool owns_claim;
    int64_t seen;
    int64_t conflict_ref;
    struct ow_model_quarantine *next;
};

struct ow_model_sighting {
    int64_t ref;
    const char *cause;
    const struct ow_logged *by;
    struct ow_model_sighting *next;
};

/* What an offset of the ledger is: an outcome (enum ow_outcome), or skipped. */
enum {
    OW_LEDGER_SKIPPED = OW_OUTCOME_COUNT, /* by an operator: what is found there is new */
    OW_LEDGER_NOTHING,                    /* not in the ledger */
    OW_LEDGER_GAP = 64,                   /* a flag: there is no record, it has joined a run */
    OW_MODEL_OFFSETS = 2048
};

struct ow_model_partition {
    bool stored;
    int64_t next, high;
    int64_t anchor; /* the offset of the last record that was handled; -1: none */
    int64_t counts[OW_OUTCOME_COUNT];
    int64_t reread;
    int64_t first; /* offset of the ledger; -1: it is empty */
    uint8_t ledger[OW_MODEL_OFFSETS];
};

/* What the store refuses, by a trigger. */
enum ow_poison {
    OW_POISON_NONE,
    OW_POISON_PAYMENT,
    OW_POISON_ORDER,
    OW_POISON_HISTORY,
    OW_POISONS
};

struct ow_model {
    struct ow_arena arena;
    int per_entity;
    int64_t bucket_claims;
    int64_t machine_version;
    int64_t retention_ms[OW_MESSAGE_TYPES];       /* of the machine's version */
    int64_t first_retention_ms[OW_MESSAGE_TYPES]; /* of its first one */
    bool said_expired; /* the store says so of the record that is taken: it counts where both can be
                          right */
    int64_t skew_ms;
    struct ow_model_class classes[OW_MODEL_CLASSES_MAX];
    size_t class_count;
    const struct ow_logged *twice; /* what was let in again and must not; NULL: nothing */
    enum ow_poison poison;
    int poisoned; /* the payment, the order, or the message id */

    int64_t next_ref;
    int64_t claim_count, pruned_count, parked_count, sighting_count;
    struct ow_model_claim claims[OW_MESSAGE_SOURCES][OW_MESSAGE_IDS];
    struct ow_model_order orders[OW_MESSAGE_ORDERS];
    struct ow_model_row payments[OW_MESSAGE_PAYMENTS], refunds[OW_MESSAGE_PAYMENTS];
    struct ow_model_history *history, **history_end;
    struct ow_model_quarantine *quarantine, **quarantine_end;
    struct ow_model_sighting *sightings, **sightings_end;
    struct ow_model_partition partitions[OW_BROKER_LOGS_MAX];
};

void ow_model_init(struct ow_model *model);
void ow_model_done(struct ow_model *model);

/* The store took this record. now_ms: the wall clock of its batch, -1: not known. */
void ow_model_take(struct ow_model *model, const struct ow_logged *logged, int64_t now_ms);
/* What was parked under this id has timed out; NULL where nothing is parked under it. */
const struct ow_model_parked *ow_model_time_out(struct ow_model *model, int64_t id);
/* Markers: a partition ends at to, behind its last record. */
void ow_model_end(struct ow_model *model, size_t log, int64_t to);
/* The position is set up, or moved by an operator. */
void ow_model_start(struct ow_model *model, size_t log, int64_t at);
void ow_model_rewind(struct ow_model *model, size_t log, int64_t to);
void ow_model_skip(struct ow_model *model, size_t log, int64_t to);

/* A claim is gone, which counted from then on. */
void ow_model_prune(struct ow_model *model, struct ow_model_claim *claim, int64_t claimed_ms);
/* The wall clock may have been set back. */
void ow_model_clock_was(struct ow_model *model, int64_t now_ms);
/* Before it a message of a type is expired where its key is free; INT64_MIN: there is none. */
int64_t ow_model_horizon_ms(const struct ow_model *model, enum ow_message_type type);

const char *ow_model_state_text(enum ow_model_state state);

#endif
