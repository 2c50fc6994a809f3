/*
 * demo_events: the events of a small shop for the demo, as a real shop's topics would carry them:
 * redelivered, in conflict, early and broken ones among them. It knows by itself what the right
 * result is.
 *
 * Threads: one owner. Memory: process lifetime; a record's bytes are valid until the next one.
 * Deterministic by seed.
 */
#ifndef OW_CMD_DEMO_EVENTS_H
#define OW_CMD_DEMO_EVENTS_H

#include "model/record.h"

enum ow_demo_state {
    OW_DEMO_CREATED,
    OW_DEMO_PAID,
    OW_DEMO_DISPATCHED,
    OW_DEMO_RECEIVED,
    OW_DEMO_CANCELLED,
    OW_DEMO_STATE_COUNT
};

/* What a worker must have made of the records so far. */
struct ow_demo_expected {
    int64_t records;
    int64_t valid;             /* distinct ones: applied, or parked and applied later */
    int64_t redelivered;       /* duplicates */
    int64_t conflicts, broken; /* quarantined */
    int64_t early;             /* orders whose dispatch comes before the payment */
    int64_t orders[OW_DEMO_STATE_COUNT];
    int64_t payments, paid_minor;
    int64_t refunds, refunded_minor;
};

struct ow_demo_events;

/* start_ms, step_us: wall time of the first event, and from one to the next. */
struct ow_demo_events *ow_demo_events_open(int64_t records, uint64_t seed, int64_t start_ms,
                                           int64_t step_us);
/* Takes NULL. */
void ow_demo_events_close(struct ow_demo_events *events);

/* False: that were all. */
bool ow_demo_events_next(struct ow_demo_events *events, struct ow_record *ret_record);

void ow_demo_events_expected(const struct ow_demo_events *events,
                             struct ow_demo_expected *ret_expected);

/* "created", … */
const char *ow_demo_state_text(enum ow_demo_state state);

#endif
