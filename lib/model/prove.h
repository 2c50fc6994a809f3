/*
 * prove: every sequence of events up to a length, played through decide and through a second
 * reading of DESIGN 3 and 4 that shares no rule with it (prove_rule.c), and compared after each
 * event.
 *
 * The events are made out of the machine itself (prove_fact.c). Sequences that lead to the same
 * configuration (state, version, columns, rows, what is parked in its order, and which events were
 * seen; the names of messages that are alike do not count) are continued once, so all of them are
 * covered without walking each. One entity; one clock; no horizon, deadline or poison.
 *
 * Threads: pure. Memory: the proof is the caller's arena's; the search has its own, bounded by
 * configurations_max, and gives it back. Failure: FAILED where no well-formed event can be made of
 * the machine.
 */
#ifndef OW_MODEL_PROVE_H
#define OW_MODEL_PROVE_H

#include "model/decide.h"

/* X(name, text, description): the promises, in the order in which they are told. */
#define OW_PROMISE_TABLE(X)                                                                        \
    X(ONCE, "applied_once", "no message is applied twice")                                         \
    X(ACCOUNTED, "accounted", "each valid event is applied, stale, parked or quarantined")         \
    X(PATH, "path", "the history is a path of the machine, versions 1..n without a gap")           \
    X(DERIVED, "derived", "columns, sums and rows are what the history derives")                   \
    X(REPLAY, "replay", "a message that comes again is a duplicate and changes nothing")           \
    X(CONFLICT, "conflict", "the same id with other content is a conflict and changes nothing")    \
    X(WAKE, "wake", "nothing stays parked that could be judged otherwise")                         \
    X(AGREES, "agrees", "outcome, reason and effects are those of the declared rules")

enum ow_promise {
#define OW_PROMISE_ENUM(name, text, description) OW_PROMISE_##name,
    OW_PROMISE_TABLE(OW_PROMISE_ENUM)
#undef OW_PROMISE_ENUM
};
enum { OW_PROMISE_COUNT = 8 };

enum { OW_PROVE_LENGTH_DEFAULT = 7, OW_PROVE_LENGTH_MAX = 12 };
/* Some 300 bytes each: below a gigabyte. */
#define OW_PROVE_CONFIGURATIONS_MAX 2000000

typedef void ow_decide_fn(struct ow_world *world, const struct ow_event *event,
                          const struct ow_judging *judging, struct ow_decision *ret_decision);
/* Called now and then: how many of the configurations that are reached by length events are done.
 */
typedef void ow_prove_progress_fn(void *context, size_t length, size_t done, size_t total);

struct ow_prove_options {
    size_t length;                  /* 1 to OW_PROVE_LENGTH_MAX */
    size_t configurations_max;      /* at most OW_PROVE_CONFIGURATIONS_MAX */
    ow_decide_fn *decide;           /* ow_decide; tests pass others */
    ow_prove_progress_fn *progress; /* or NULL */
    void *context;
};

/* An event that was tried. */
struct ow_proof_event {
    const char *name;   /* the type, and what is other than in the plain one */
    const char *values; /* "/data/amount 10, /data/name aaa" */
    bool renewable;     /* it was also tried again under new ids */
};

struct ow_proof_promise {
    bool broken;
    uint64_t checked; /* steps at which it was looked at */
};

/* One event of a sequence, and what became of it. */
struct ow_proof_line {
    const char *event;
    const char *fate;
};
struct ow_proof_witness {
    const struct ow_proof_line *lines; /* the last one breaks the promise */
    size_t line_count;
    const char *expected; /* by the declared rules */
    const char *found;    /* by decide */
};

/* Two events whose order makes a difference, with a shortest witness. */
struct ow_proof_pair {
    const struct ow_event_type *types[2];
    const struct ow_proof_line *prefix;
    size_t prefix_count;
    struct ow_proof_line plays[2][2]; /* the two, either first */
    const char *ends[2];              /* the business states, as far as they differ */
    struct ow_proof_pair *next;
};

/*
 * X(name, text): why a cell was not played. No sequence leads to its state; one does, but takes
 * more events; one does, but none of those tried got there; what came there was settled before; it
 * refused all values that were tried.
 */
#define OW_PROOF_CAUSE_TABLE(X)                                                                    \
    X(NO_PATH, "no_path")                                                                          \
    X(TOO_FAR, "too_far")                                                                          \
    X(NOT_REACHED, "not_reached")                                                                  \
    X(SETTLED, "settled")                                                                          \
    X(NEVER_FULFILLED, "never_fulfilled")

enum ow_proof_cause {
#define OW_PROOF_CAUSE_ENUM(name, text) OW_PROOF_CAUSE_##name,
    OW_PROOF_CAUSE_TABLE(OW_PROOF_CAUSE_ENUM)
#undef OW_PROOF_CAUSE_ENUM
};

/* A cell that was not played: no sequence reached it, or it always refused. */
struct ow_proof_cell {
    const char *state;
    const struct ow_event_type *event;
    enum ow_proof_cause cause;
    const char *why; /* a sentence */
    /* NEVER_FULFILLED: what refused; requirement NULL: all of them together, or a range. */
    const struct ow_transition *transition;
    const struct ow_requirement *requirement;
    struct ow_proof_cell *next;
};

struct ow_proof {
    const struct ow_machine *machine;
    size_t length; /* all sequences up to here: less than was asked for where there were too many */
    const struct ow_proof_event *events;
    size_t event_count;
    uint64_t sequences;      /* of 1 to length events; UINT64_MAX: at least that many */
    uint64_t configurations; /* after up to length - 1 events */
    uint64_t steps;          /* played: each event once in each configuration */
    struct ow_proof_promise promises[OW_PROMISE_COUNT];
    const struct ow_proof_witness *broken; /* a shortest one, or NULL; then there are no pairs and
                                              cells */
    struct ow_proof_pair *pairs;
    struct ow_proof_cell *cells; /* that were not played */
    size_t cell_count;           /* of the machine */
    size_t cells_played;
};

enum ow_status ow_prove(const struct ow_machines *machines, const struct ow_machine *machine,
                        const struct ow_prove_options *options, struct ow_arena *arena,
                        struct ow_proof *ret_proof, struct ow_err *err) OW_MUST_USE;

/* The name of a promise, and a sentence. */
const char *ow_promise_name(enum ow_promise promise);
const char *ow_promise_text(enum ow_promise promise);
const char *ow_proof_cause_name(enum ow_proof_cause cause);

#endif
