/*
 * explain: the story of an id: what a store knows of an entity, of a row of a record table, or of
 * a message.
 *
 * Reads through a connection of its own (mode=ro) in snapshots of at most a second, so a worker may
 * go on; what is told of one message is told of one moment. What has no index is read through in
 * slices: quarantine and parked records always (there are few), the history only as a last resort.
 * Threads: the caller's. Memory: the arena's; texts are NUL-terminated. Failure: BAD_CONFIG (no
 * such store), UNSAFE, FAILED; an id that nothing is known of is a result and no failure.
 */
#ifndef OW_STORE_EXPLAIN_H
#define OW_STORE_EXPLAIN_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/status.h"
#include "model/difference.h"

struct ow_explain_options {
    const char *path;
    const char *hash_key_file; /* NULL: the key is in the store, or claims cannot be looked up */
    const char *id;
    const char *source;       /* of the message; NULL: all that are known */
    const uint8_t *claim_key; /* only the message with this claim key; NULL: by id */
    bool messages_only;       /* by id: only messages, found by their claims */
    struct ow_clock clock;
    /* Called now and then while rows without an index are read; may be NULL. */
    void (*progress)(void *context, const char *what, int64_t done, int64_t goal);
    void *context;
};

/* A moment that may be known only to lie between two others. */
struct ow_explain_moment {
    int64_t least_ms, most_ms; /* equal: known; INT64_MIN and INT64_MAX: not known to that side */
};

struct ow_explain_place {
    const char *topic; /* NULL: not known */
    int64_t partition, offset;
};

/* A later sight of a message; or the one that owns its claim, of a stale or seeded one. */
struct ow_explain_sighting {
    const char *cause;
    struct ow_explain_place place;
    int64_t seen_at_ms;
    struct ow_explain_sighting *next; /* by time */
};
bool ow_explain_sighting_owns(const struct ow_explain_sighting *sighting);

struct ow_explain_quarantine {
    int64_t id;
    const char *reason, *detail, *status;
    const char *note; /* NULL: none */
    const char *entity_id;
    struct ow_explain_place place;
    int64_t first_seen_ms, last_seen_ms, seen, attempts;
    int64_t conflict_ref; /* of the message that a conflict met; 0: it is no conflict */
    const struct ow_difference *difference; /* of a conflict from that one, as far as the two are
                                               kept now; NULL: no conflict, or it cannot be read */
    struct ow_explain_quarantine *next;     /* of conflicts: by id */
};

/* The outcome of a message whose claim was taken over from another system. */
#define OW_EXPLAIN_SEEDED "seeded"

enum ow_explain_claimed {
    OW_EXPLAIN_CLAIM_FOUND,
    OW_EXPLAIN_CLAIM_MISSING, /* pruned, or never there */
    OW_EXPLAIN_CLAIM_UNKNOWN, /* its key cannot be computed from what is stored */
    OW_EXPLAIN_CLAIM_NONE     /* such a record claims nothing */
};

struct ow_explain_claim {
    enum ow_explain_claimed claimed;
    int64_t bucket, rule;
    int64_t retention_ms, bucket_opened_at_ms;
    const char *key, *fingerprint; /* hexadecimal digits */
};

/* One message, and what became of it. */
struct ow_explain_event {
    int64_t ref; /* of its claim; where it claims nothing, the number of its quarantine row */
    const char *outcome;       /* now: applied, parked, stale, quarantined, seeded; NULL: no row
                                  says it */
    const char *first_outcome; /* as the ledger has it for ever; NULL: not there */
    const char *machine, *entity_id, *type, *source, *id; /* NULL: not known */
    struct ow_explain_place place;
    struct ow_explain_moment seen; /* first */
    int64_t event_time_ms;         /* INT64_MIN: not known */

    int64_t seq; /* applied: the number of the history row; 0: none. The next ones are its own */
    int64_t version, machine_version, applied_at_ms;
    const char *from, *to, *via, *data; /* data: a JSON object; NULL: it was erased */
    int64_t erased_at_ms;               /* likewise; INT64_MIN: it was not */

    bool was_parked;
    struct ow_explain_moment parked_until; /* woken, or timed out; not known while it is parked */
    int64_t deadline_ms;                   /* while it is parked */
    const char *waits_for;                 /* likewise: why it is too early */

    struct ow_explain_quarantine *quarantine; /* its own row, or NULL */
    struct ow_explain_sighting *sightings;
    struct ow_explain_quarantine *conflicts; /* others under its id, with other content */
    struct ow_explain_claim claim;
    struct ow_explain_event *next; /* by number */
};

enum ow_explain_kind {
    OW_EXPLAIN_ENTITY,
    OW_EXPLAIN_RECORD,
    OW_EXPLAIN_MESSAGE,
    OW_EXPLAIN_MENTION /* quarantined records that cannot be read, with the id in their bytes */
};

/* What an id is: the same one may be several things. */
struct ow_explain_meaning {
    enum ow_explain_kind kind;
    const char *machine; /* messages: NULL where not known; mentions: NULL */
    const char *table;   /* entities and records */
    const char *id;
    bool has_row; /* entities and records: it is in its table */
    /* Entities with a row. */
    const char *state;
    int64_t version, created_at_ms, updated_at_ms;
    /* Entities and records with a row. */
    const char *const *columns;
    const struct ow_value *values;
    size_t column_count;
    struct ow_explain_event *events;
    struct ow_explain_meaning *next;
};

struct ow_explanation {
    const char *store_id;
    struct ow_explain_meaning *meanings; /* NULL: nothing is known of the id */
    size_t sources_tried;
    bool sources_cut;         /* there are more sources than were tried */
    bool history_read;        /* the last resort was taken: all of the history was looked at */
    bool key_missing;         /* no hash key: claims were not looked up */
    const char *uncomputable; /* a machine whose claim keys an id does not give, or NULL */
};

enum ow_status ow_explain(const struct ow_explain_options *options, struct ow_arena *arena,
                          struct ow_explanation *ret_explanation, struct ow_err *err) OW_MUST_USE;

#endif
