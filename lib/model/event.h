/*
 * event: a record read as an event of a machine: the envelope, the claim key, the fingerprint, the
 * values it needs. This is steps 1 to 4 of DESIGN 3; model/decide.h is the rest.
 *
 * Threads: pure; decode threads call it at once, each with its own scratch. Memory: everything that
 * an event points to is the record's or the arena's. Failure: none: a bad record becomes an event
 * with a reason. Trust: hostile input.
 */
#ifndef OW_MODEL_EVENT_H
#define OW_MODEL_EVENT_H

#include "model/hash.h"
#include "model/machine.h"
#include "model/record.h"

struct ow_event {
    const struct ow_record *record;
    enum ow_outcome verdict; /* APPLIED: go on with step 5; QUARANTINED with reason; FILTERED */
    enum ow_reason reason;
    const char *detail; /* one sentence for quarantine.detail, or NULL */

    const struct ow_machine *machine;            /* NULL where the type is not known */
    const struct ow_event_type *event;           /* likewise */
    struct ow_slice type, source, id, entity_id; /* absent where not found */
    int64_t time_ms;                             /* event time, else Kafka's timestamp, else 0 */
    struct ow_value *values;                     /* by event->needs */
    uint8_t key[OW_CLAIM_KEY_BYTES];             /* where verdict is APPLIED */
    uint8_t fingerprint[OW_FINGERPRINT_BYTES];
};

/* What decoding needs besides the record. */
struct ow_decoder {
    const struct ow_machines *machines;
    const struct ow_hash_key *hash_key;
    size_t record_bytes_max;
    struct ow_buffer scratch; /* a decode thread's own */
};

/* Reads record into *ret_event. Never fails. */
void ow_event_decode(struct ow_decoder *decoder, const struct ow_record *record,
                     struct ow_arena *arena, struct ow_event *ret_event);

#endif
