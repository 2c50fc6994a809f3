/*
 * retention: whether claims are kept for as long as something can come again.
 *
 * A topic keeps its records for a time, a provider tries a callback again for a time, a backup of
 * the store may be restored while it is young enough. Where claims are kept for less, what comes
 * again from before the horizon finds its claim pruned: it is quarantined (expired), never applied
 * twice, and somebody has to look at it. Threads: any. Memory: the caller's.
 */
#ifndef OW_MODEL_RETENTION_H
#define OW_MODEL_RETENTION_H

#include "base/check.h"
#include "model/machine.h"

/* The claim rule that keeps claims for the shortest time, and whose it is. */
struct ow_retention {
    int64_t ms; /* INT64_MAX: there is no such rule */
    const struct ow_machine *machine;
    const struct ow_event_type *event;
};
/* topic: of the machines that read it; NULL: of all. */
struct ow_retention ow_retention_shortest(const struct ow_machines *machines, const char *topic);

/* How far back something reaches. */
struct ow_reach {
    const char *subject; /* "order-events", "claims.backups" */
    const char *says;    /* what reaches so far: "keeps records" */
    const char *remedy;  /* what to change where it is too far: "the topic's retention.ms" */
    const char *topic;   /* whose machines it concerns; NULL: all of them */
    int64_t ms;          /* INT64_MAX: for ever */
};

/* What must not be passed over where strict says so: a failure there (status), else a warning. */
struct ow_retention_rule {
    const struct ow_machines *machines;
    bool strict; /* claims.strict */
};

/* A line for each: good, or a warning, or with strict a failure (UNSAFE). */
void ow_retention_compare(const struct ow_retention_rule *rule, const struct ow_reach *reaches,
                          size_t count, const struct ow_check *check);

/*
 * The horizon lies claims.skew later than a retention ago, so a record may be late by what is left
 * of the retention. NULL, or why nothing is: then all that is new would be expired; in the arena.
 */
const char *ow_retention_skew_problem(const struct ow_machines *machines, int64_t skew_ms,
                                      struct ow_arena *arena);
/* A line: a warning, or with strict a failure, where it is less than half of the retention. Where
 * it is nothing: none, the configuration is refused. */
void ow_retention_compare_skew(const struct ow_retention_rule *rule, int64_t skew_ms,
                               const struct ow_check *check);
/* A line for each machine that parks: what is parked outlives its claim where park.deadline is the
 * longer one, and what comes again meanwhile is expired instead of a duplicate. */
void ow_retention_compare_parking(const struct ow_retention_rule *rule,
                                  const struct ow_check *check);

/* Something could not be compared: a warning, or with strict a failure. */
void ow_retention_unknown(const struct ow_retention_rule *rule, enum ow_status status,
                          const char *subject, const char *text, const struct ow_check *check);

#endif
