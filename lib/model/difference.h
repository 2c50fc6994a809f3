/*
 * difference: in what the second message of a conflict differs from the first, as far as the first
 * is kept: the fields of the fingerprint, one by one, and the entity id.
 *
 * Pure. Threads: the caller's. Memory: what is told lives in the caller's arena. Failure: none:
 * what cannot be compared is a kind of its own. Limits: OW_DIFFERENCE_FIELDS_MAX fields, names and
 * values cut, so that a text is at most some 3,000 bytes. Trust: both messages are hostile; control
 * characters become '?' or JSON's escapes.
 */
#ifndef OW_MODEL_DIFFERENCE_H
#define OW_MODEL_DIFFERENCE_H

#include "model/event.h"

enum ow_kept_kind {
    OW_KEPT_ELSEWHERE,  /* not under its number, or too large to be read for every conflict */
    OW_KEPT_NOTHING,    /* such as of a stale message, which leaves its claim and a sighting */
    OW_KEPT_ERASED,     /* its payload was blanked */
    OW_KEPT_UNREADABLE, /* it is no message any more */
    OW_KEPT_DATA,       /* applied: what its transition read */
    OW_KEPT_WHOLE       /* parked or quarantined: the record */
};

/* What is kept of the first message. */
struct ow_kept {
    enum ow_kept_kind kind; /* one of ELSEWHERE, NOTHING, DATA, WHOLE */
    bool parked;            /* WHOLE: it may be woken yet */
    struct ow_slice machine, type, source, id, entity_id, from_state, data; /* DATA */
    struct ow_record record;                                                /* WHOLE */
};

enum {
    OW_DIFFERENCE_FIELDS_MAX = 8,
    /* A batch may hold thousands of conflicts, each with a first message of its own. */
    OW_DIFFERENCE_KEPT_BYTES_MAX = 32768
};

struct ow_difference_field {
    const char *name;           /* "/data/amount", "type", "entity id" */
    const char *first, *second; /* canonical JSON, cut; NULL: absent */
};

struct ow_difference {
    enum ow_kept_kind kept;
    struct ow_difference_field fields[OW_DIFFERENCE_FIELDS_MAX];
    size_t count;
    size_t more; /* how many differ besides */
};

/* Whether it may be read for every conflict. */
bool ow_difference_is_small(const struct ow_kept *first);

/* second: judged as an event (its verdict is APPLIED). */
void ow_difference_find(const struct ow_machines *machines, const struct ow_kept *first,
                        const struct ow_event *second, struct ow_arena *arena,
                        struct ow_difference *ret_difference);

/* What is to be said besides the fields: why there are none, or not all; NULL: nothing. */
const char *ow_difference_remark(const struct ow_difference *difference);
/* Appends one line: "/data/amount: 1299 → 1399; /data/note: absent → \"x\"; and 3 more", or why
 * there is nothing to compare. */
void ow_difference_text(struct ow_buffer *out, const struct ow_difference *difference);

#endif
