/*
 * outcome: what became of a record, and why it is in quarantine. DESIGN 1's words; the store keeps
 * the texts.
 */
#ifndef OW_MODEL_OUTCOME_H
#define OW_MODEL_OUTCOME_H

#include "base/slice.h"

#define OW_OUTCOME_TABLE(X)                                                                        \
    X(APPLIED, "applied")                                                                          \
    X(DUPLICATE, "duplicate")                                                                      \
    X(STALE, "stale")                                                                              \
    X(PARKED, "parked")                                                                            \
    X(QUARANTINED, "quarantined")                                                                  \
    X(FILTERED, "filtered")

enum ow_outcome {
#define OW_OUTCOME_ENUM(name, text) OW_OUTCOME_##name,
    OW_OUTCOME_TABLE(OW_OUTCOME_ENUM)
#undef OW_OUTCOME_ENUM
};
enum { OW_OUTCOME_COUNT = 6 };

/* X(name, text, owns): owns = whether such a quarantine row owns the claim of its message (DESIGN
 * 3). */
#define OW_REASON_TABLE(X)                                                                         \
    X(NONE, "", 0)                                                                                 \
    X(OVERSIZE, "oversize", 0)                                                                     \
    X(MALFORMED, "malformed", 0)                                                                   \
    X(UNKNOWN_TYPE, "unknown_type", 0)                                                             \
    X(MISSING_KEY, "missing_key", 0)                                                               \
    X(CONFLICT, "conflict", 0)                                                                     \
    X(EXPIRED, "expired", 1)                                                                       \
    X(ILLEGAL, "illegal", 1)                                                                       \
    X(GUARD, "guard", 1)                                                                           \
    X(BUSINESS_KEY, "business_key", 1)                                                             \
    X(POISON, "poison", 1)                                                                         \
    X(OVERFLOW, "overflow", 1)                                                                     \
    X(PARK_TIMEOUT, "park_timeout", 1)

enum ow_reason {
#define OW_REASON_ENUM(name, text, owns) OW_REASON_##name,
    OW_REASON_TABLE(OW_REASON_ENUM)
#undef OW_REASON_ENUM
};

const char *ow_outcome_text(enum ow_outcome outcome);
const char *ow_reason_text(enum ow_reason reason);
/* The reason with that text; NONE for one that a newer program wrote. */
enum ow_reason ow_reason_of(struct ow_slice text);
/*
 * Whether such a quarantine row owns the claim of its message. unread: it names no machine; poison
 * is then a record that killed the process when it was read, so that nobody knows its key.
 */
bool ow_reason_owns(enum ow_reason reason, bool unread);

/* Through which door an effect came: ow_history.via. */
#define OW_VIA_TABLE(X)                                                                            \
    X(KAFKA, "kafka")                                                                              \
    X(HTTP, "http")                                                                                \
    X(REQUEUE, "requeue")                                                                          \
    X(WAKE, "wake")                                                                                \
    X(SEED, "seed")

enum ow_via {
#define OW_VIA_ENUM(name, text) OW_VIA_##name,
    OW_VIA_TABLE(OW_VIA_ENUM)
#undef OW_VIA_ENUM
};
const char *ow_via_text(enum ow_via via);

#endif
