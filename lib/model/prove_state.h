/*
 * prove_state: what the files prove_*.c share: the events that are tried, configurations as arrays
 * of numbers, and one step of the rules and of decide. Nobody else includes it.
 *
 * Memory: the search's arena. Values are numbered, so that equal values have equal numbers.
 */
#ifndef OW_MODEL_PROVE_STATE_H
#define OW_MODEL_PROVE_STATE_H

#include "model/prove.h"

/* A message: one record with an id of its own, decoded. */
struct ow_prove_message {
    const struct ow_event *event;
    struct ow_slice key_text, fingerprint_text; /* the declared parts and fields, unhashed */
};

/* What an event says. Messages of one fact differ in their ids only. */
struct ow_prove_fact {
    const struct ow_event_type *type;
    const char *name;
    bool renewable; /* a new id makes a new claim: it can come any number of times */
    size_t claim;   /* facts that are not renewable: those with equal numbers share a claim */
    struct ow_prove_message *copies; /* from [1]; renewable: length of them, else one */
    struct ow_prove_message *twins;  /* likewise: the same id with other content */
    bool has_twins;
    const uint16_t *values; /* by type->needs */
    const size_t *slots;    /* of the rows that its transitions would record, one after the other */
};

/* A business key that some fact would record. */
struct ow_prove_slot {
    const struct ow_table *table;
    struct ow_slice key;
    size_t at; /* in a configuration: 1 where the row is there, then its columns */
};

/* A cell by our own reading. */
struct ow_prove_cell {
    enum ow_cell_kind kind;
    const struct ow_transition *transition;
    uint64_t held;                   /* by requirement: it held for a sequence that came by */
    const struct ow_column *outside; /* they all held, and this one would have left its range */
    bool met, fulfilled, applied;    /* a sequence came by; all held at once; and it was applied */
};

/* The numbers of values; 0 is NULL. */
struct ow_prove_values {
    struct ow_value *list;
    size_t count;
    uint16_t *slots;
};

/* Where things are in a configuration; columns begin at OW_PROVE_COLUMNS, rows behind them. */
enum { OW_PROVE_STATE, OW_PROVE_VERSION, OW_PROVE_COLUMNS };

struct ow_prove {
    const struct ow_machines *machines;
    const struct ow_machine *machine;
    const struct ow_prove_options *options;
    struct ow_arena *arena;
    size_t length;
    struct ow_prove_fact *facts;
    size_t fact_count;
    struct ow_prove_slot *slots;
    size_t slot_count;
    struct ow_prove_values values;
    struct ow_prove_cell *cells; /* event * state_count + state */
    size_t claims_at;            /* by fact: how many of its messages own a claim */
    size_t parked_at;            /* how many are parked, then their facts in order */
    size_t width;                /* numbers in a configuration */
    uint16_t *derived;           /* a configuration for prove_check.c to work on */
    struct ow_proof *proof;
    bool full; /* more configurations or values than there is room for */
};

/* What is delivered. */
struct ow_prove_move {
    size_t fact;
    size_t copy;
    bool twin;   /* its id on other content */
    bool reread; /* the very record again, as after a rewind */
};

enum { OW_PROVE_EFFECTS_MAX = 16 };
static_assert(OW_PROVE_LENGTH_MAX + 1 <= OW_PROVE_EFFECTS_MAX, "each message has one effect");

/* What became of a message that was delivered or woken. copy: of the real ones only. */
struct ow_prove_effect {
    uint16_t fact, copy;
    uint16_t from, to; /* applied: the states */
    int64_t version;   /* applied */
    enum ow_reason reason;
    bool woken;
};
struct ow_prove_effects {
    struct ow_prove_effect list[OW_PROVE_EFFECTS_MAX];
    size_t count;
};

/* One event judged: by the rules, or by decide. */
struct ow_prove_step {
    enum ow_outcome outcome;
    enum ow_reason reason;
    struct ow_prove_effects applied, stale, quarantined; /* each in its order */
    struct ow_prove_effects parked;                      /* decide's: what is parked afterwards */
    uint16_t *after;
};

/* prove_value.c */
void ow_prove_value_init(struct ow_prove *prove);
/* The number of a value; a text is kept as it is. */
uint16_t ow_prove_value_number(struct ow_prove *prove, const struct ow_value *value);

/* prove_message.c: a record with these values (by type->needs), this id and this entity. */
struct ow_prove_letter {
    const struct ow_event_type *type;
    const struct ow_value *values;
    const char *id;
    const char *entity;
};
/* False where it is not valid; *ret_detail then says why. */
bool ow_prove_message_make(struct ow_prove *prove, const struct ow_prove_letter *letter,
                           struct ow_prove_message *ret_message, const char **ret_detail);

struct ow_prove_guess;
/* prove_fact.c: all facts, their messages and slots, and the shape of configurations. */
enum ow_status ow_prove_fact_make_all(struct ow_prove *prove, const struct ow_prove_guess *guess,
                                      struct ow_err *err) OW_MUST_USE;

/* prove_cell.c: the table of cells by our own reading, and what of it was not played. */
void ow_prove_cell_fill(struct ow_prove *prove);
void ow_prove_cell_tell(struct ow_prove *prove, struct ow_arena *arena);

/* prove_rule.c */
void ow_prove_rule_start(struct ow_prove *prove, uint16_t *configuration);
/* Whether a claim is free, or whose it is. */
enum ow_prove_claim { OW_PROVE_FREE, OW_PROVE_SAME, OW_PROVE_OTHER };
enum ow_prove_claim ow_prove_rule_claim(const struct ow_prove *prove, const uint16_t *configuration,
                                        const struct ow_prove_move *move, size_t *ret_holder);
/* What the declared rules make of it. step->after is the caller's. */
void ow_prove_rule_step(struct ow_prove *prove, const uint16_t *before,
                        const struct ow_prove_move *move, struct ow_prove_step *step);
/* Steps 7 to 9 for a fact, without effects. */
enum ow_outcome ow_prove_rule_verdict(struct ow_prove *prove, const uint16_t *configuration,
                                      size_t fact);
/* Makes a transition of the fact in *configuration, or returns a column that would leave its
 * range. */
const struct ow_column *ow_prove_rule_apply(struct ow_prove *prove, uint16_t *configuration,
                                            size_t fact, const struct ow_transition *transition);
/* The number of the value that an operand has for this fact, in this configuration. */
uint16_t ow_prove_rule_value(struct ow_prove *prove, const uint16_t *configuration, size_t fact,
                             const struct ow_operand *operand);
bool ow_prove_rule_holds(struct ow_prove *prove, const uint16_t *configuration, size_t fact,
                         const struct ow_requirement *requirement);

/* prove_world.c: what decide makes of it. */
struct ow_prove_world;
struct ow_prove_world *ow_prove_world_new(struct ow_prove *prove);
void ow_prove_world_done(struct ow_prove_world *real);
void ow_prove_world_step(struct ow_prove_world *real, const uint16_t *before,
                         const struct ow_prove_move *move, struct ow_prove_step *step);

/* prove_check.c: holds decide's step against the promises, and against the rules' step. False where
 * one is broken; proof->promises says which. */
bool ow_prove_check(struct ow_prove *prove, const uint16_t *before,
                    const struct ow_prove_move *move, const struct ow_prove_step *rule,
                    const struct ow_prove_step *real);

/* prove_text.c */
const char *ow_prove_text_move(const struct ow_prove *prove, const struct ow_prove_move *move,
                               struct ow_arena *arena);
/* Likewise; where the message has come before, that is said. */
const char *ow_prove_text_again(const struct ow_prove *prove, const uint16_t *before,
                                const struct ow_prove_move *move, struct ow_arena *arena);
/* "applied", "quarantined (guard)". */
const char *ow_prove_text_fate(const struct ow_prove *prove, const struct ow_prove_step *step,
                               struct ow_arena *arena);
/* The business state; other: what it shares with that one is left out (NULL: nothing is). */
const char *ow_prove_text_state(const struct ow_prove *prove, const uint16_t *configuration,
                                const uint16_t *other, struct ow_arena *arena);
/* Fate, history rows and business state in one line. */
const char *ow_prove_text_step(const struct ow_prove *prove, const struct ow_prove_step *step,
                               struct ow_arena *arena);
const char *ow_prove_text_value(const struct ow_value *value, struct ow_arena *arena);
/* "n + /data/by at most 3". */
const char *ow_prove_text_requirement(const struct ow_prove *prove,
                                      const struct ow_event_type *type,
                                      const struct ow_requirement *requirement,
                                      struct ow_arena *arena);

#endif
