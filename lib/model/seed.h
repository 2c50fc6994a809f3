/*
 * seed: a claim that another system has taken, read from one JSON object.
 *
 * Pure. Memory: the arena's. Failure: none: a bad object has a problem, in words. Trust: exports of
 * other programs.
 */
#ifndef OW_MODEL_SEED_H
#define OW_MODEL_SEED_H

#include "model/event.h"

enum { OW_SEED_NO_TIME = -1 };

/* The pseudo-topic of what came from no topic (partition 0, offset: its number in the input), and
 * the event type of the history row that makes an entity. */
#define OW_SEED_NAME "seed"

struct ow_seed_claim {
    uint8_t key[OW_CLAIM_KEY_BYTES];
    uint8_t fingerprint[OW_FINGERPRINT_BYTES]; /* rule 0 where the content is not known */
    int64_t retention_ms;
    int64_t at_ms;           /* when it was taken; OW_SEED_NO_TIME: not told */
    struct ow_record record; /* where it was met: topic, partition, offset */
};

/*
 * {"machine":"…","type":"…","source":"/desk/7","id":"m-1","at":"…"}: the parts of the claim's key
 * by the names that claim.key has for them, as texts or integers. machine may be left out where
 * there is one; type where all events of the machine claim alike; at is RFC 3339, or milliseconds
 * since 1970. A member that is null is as good as none. Returns the problem, or NULL: *ret_claim
 * then has all but the record.
 */
const char *ow_seed_read_claim(const struct ow_machines *machines,
                               const struct ow_hash_key *hash_key, const json_t *object,
                               struct ow_arena *arena, struct ow_seed_claim *ret_claim);

/* A member that is there and not null. */
const json_t *ow_seed_member(const json_t *object, const char *name);
/* The member "at". Returns the problem, or NULL. */
const char *ow_seed_read_time(const json_t *object, int64_t *ret_ms);
/* A text with anything in it, or an integer in decimal. */
bool ow_seed_read_text(const json_t *value, struct ow_arena *arena, struct ow_slice *ret_text);

#endif
