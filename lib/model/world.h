/*
 * world: the working set of one batch: the rows that its events touch, as the store has them and as
 * the decisions before have changed them. The engine says what is wanted, the store fills it in,
 * decide changes it, the store writes what changed.
 *
 * Threads: the apply thread's. Memory: the batch arena; everything is gone after ow_world_reset.
 */
#ifndef OW_MODEL_WORLD_H
#define OW_MODEL_WORLD_H

#include "base/map.h"
#include "model/difference.h"
#include "model/ledger.h"

struct ow_claim {
    uint8_t key[OW_CLAIM_KEY_BYTES];
    int64_t retention_ms; /* class of the bucket that it goes to */
    bool loaded;          /* the store was asked */
    bool taken;
    bool fresh; /* taken in this batch: to be written */
    uint8_t fingerprint[OW_FINGERPRINT_BYTES];
    int64_t ref;
    int64_t timestamp_ms;    /* of its record, where fresh */
    enum ow_channel channel; /* of its record; not known of stored ones, for only Kafka feeds us */
    struct ow_claim *next;
};

struct ow_parked {
    int64_t id; /* its ref */
    struct ow_entity *entity;
    struct ow_record record; /* raw, for the store */
    struct ow_event *event;  /* decoded; after a load the engine decodes it */
    int64_t parked_at_ms, deadline_ms;
    bool fresh;             /* parked in this batch */
    bool gone;              /* judged otherwise since: delete, unless fresh */
    struct ow_parked *next; /* of the same entity, by id */
};

struct ow_entity {
    const struct ow_machine *machine;
    struct ow_slice id;
    bool loaded;
    bool dirty;
    int64_t stored_version;   /* as in the store, 0: no row; what WHERE version = ? asks for */
    int64_t version;          /* 0: no row yet */
    size_t state;             /* 0 = none */
    int64_t last_seq;         /* 0: none */
    struct ow_value *columns; /* by machine->entity.columns */
    int64_t created_at_ms, updated_at_ms;
    struct ow_parked *parked; /* by id; also those that are gone */
    struct ow_parked *parked_last;
    size_t parked_count; /* not gone */
    struct ow_entity *next;
};

/* A row of a record table. */
struct ow_row {
    const struct ow_machine *machine;
    const struct ow_table *table;
    struct ow_slice key;
    bool loaded;
    bool exists;
    bool fresh; /* to be written */
    struct ow_value *columns;
    int64_t seq;
    struct ow_row *next;
};

struct ow_history {
    int64_t seq, first_ref /* 0: none */, prev_seq /* 0: none */;
    const struct ow_machine *machine;
    struct ow_slice entity_id;
    int64_t version;
    const struct ow_event *event; /* type, source, id, time, record */
    size_t from, to;
    enum ow_via via;
    struct ow_slice data;
    struct ow_history *next;
};

struct ow_sighting {
    int64_t ref;
    const char *cause; /* same_id, other_channel, stale */
    const struct ow_record *record;
    struct ow_sighting *next;
};

/* A quarantine row: a new one (fresh), or one that is there and is seen again. */
struct ow_quarantine {
    int64_t id; /* 0: not there, where wanted */
    bool loaded;
    bool fresh;
    int64_t seen; /* fresh: 1 and up; else how many more */
    enum ow_reason reason;
    bool unread; /* it names no machine */
    const char *detail;
    const struct ow_machine *machine; /* NULL: not known */
    struct ow_slice entity_id;        /* absent: not known */
    const struct ow_record *record;   /* fresh: the raw record */
    int64_t conflict_ref;             /* conflicts: the ref of the claim they met; else 0 */
    uint8_t conflict_fingerprint[OW_FINGERPRINT_BYTES];
    const struct ow_kept *first; /* conflicts that are wanted and not there: what the store has of
                                    the first; NULL: not looked for */
    struct ow_quarantine *next;
};

/*
 * A partition's position with its counters and what is known of its ledger. The engine keeps the
 * settled one (as committed) and works on a copy during a batch, so that a rollback forgets
 * everything; see position.h.
 */
struct ow_position {
    struct ow_slice topic;
    int32_t partition;
    int64_t incarnation;
    int64_t next_offset, high_offset;
    int64_t seen_committed; /* -1: none */
    bool has_anchor;
    uint8_t anchor[OW_CLAIM_KEY_BYTES];
    int64_t counts[OW_OUTCOME_COUNT];
    int64_t reread;
    /* When an operator adopted another topic under the name: the store's epoch, the next number and
     * the last sighting then; 0 for the first incarnation. */
    int64_t began_epoch, began_ref, began_sighting;
    bool stored; /* has a row */
    bool dirty;
    struct ow_ledger ledger;
    struct ow_position *next;
};

struct ow_world {
    struct ow_arena *arena;
    const struct ow_machines *machines;
    int64_t now_ms;   /* wall clock of the batch */
    int64_t next_ref; /* loaded by the store at begin, written at commit */

    /* By key; each list holds all that the map does, newest first. */
    struct ow_map claim_map, entity_map, row_map, quarantine_map;
    struct ow_claim *claims;
    struct ow_entity *entities;
    struct ow_row *rows;
    struct ow_quarantine *quarantine_wanted; /* looked up: by offset, or by conflict */

    /* Effects, in the order in which they were decided. */
    struct ow_history *history, **history_end;
    struct ow_sighting *sightings, **sightings_end;
    struct ow_quarantine *quarantine, **quarantine_end; /* fresh ones */
};

/* Starts an empty working set in an arena that the caller has reset. */
void ow_world_reset(struct ow_world *world, struct ow_arena *arena,
                    const struct ow_machines *machines, int64_t now_ms);

/* Finds or adds what is wanted; what was not there has loaded = false, for the store to fill in. */
struct ow_claim *ow_world_claim(struct ow_world *world, const uint8_t key[OW_CLAIM_KEY_BYTES],
                                int64_t retention_ms);
struct ow_entity *ow_world_entity(struct ow_world *world, const struct ow_machine *machine,
                                  struct ow_slice id);
struct ow_row *ow_world_row(struct ow_world *world, const struct ow_machine *machine,
                            const struct ow_table *table, struct ow_slice key);
struct ow_quarantine *ow_world_quarantine_at(struct ow_world *world,
                                             const struct ow_record *record);
struct ow_quarantine *ow_world_conflict(struct ow_world *world, int64_t ref,
                                        const uint8_t fingerprint[OW_FINGERPRINT_BYTES]);

/* Says what event touches: its claim, entity and business keys (not for verdicts other than
 * APPLIED). */
void ow_world_want(struct ow_world *world, const struct ow_event *event);
/* Of a taken claim. Another rule number means that the machine's file was edited: no conflict. */
bool ow_world_is_conflict(const struct ow_claim *claim, const struct ow_event *event);
/* After the first read: the quarantine rows of conflicts with stored claims. */
void ow_world_want_conflict(struct ow_world *world, const struct ow_event *event);
/* The business keys alone: what a parked event touches when it is judged again. */
void ow_world_want_rows(struct ow_world *world, const struct ow_event *event);

/* The business key that a recording would write for this event. */
struct ow_slice ow_recording_key(const struct ow_recording *recording,
                                 const struct ow_event *event);
/* Later conflicts of the same claim and fingerprint in this batch meet this fresh row. */
void ow_world_replace_conflict(struct ow_world *world, struct ow_quarantine *fresh);

/* Hangs a parked record under its entity; called in order of id. */
void ow_world_add_parked(struct ow_world *world, struct ow_entity *entity,
                         struct ow_parked *parked);

#endif
