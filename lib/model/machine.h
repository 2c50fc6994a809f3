/*
 * machine: the declared state machine of an entity, compiled from its file into tables that
 * decide.c walks.
 *
 * Threads: immutable after load, shared by all. Memory: one arena owned by struct ow_machines.
 * Failure: load errors are BAD_CONFIG and name file, line and key. Limits: base/limits.h. Trust: an
 * operator's file.
 */
#ifndef OW_MODEL_MACHINE_H
#define OW_MODEL_MACHINE_H

#include "base/limits.h"
#include "base/status.h"
#include "model/json.h"
#include "model/outcome.h"
#include "model/tree.h"
#include "model/value.h"

/* A column of an entity or record table, with its declared range. */
struct ow_column {
    const char *name;
    enum ow_type type;
    bool has_default;
    bool index;       /* a secondary index is declared */
    int64_t min, max; /* integers; INT64_MIN/INT64_MAX: not declared (±2^53 always holds) */
    int64_t length_min, length_max; /* texts, in characters; 0/INT64_MAX: not declared */
    struct ow_value default_value;
};

/* An entity table or an append-only record table. */
struct ow_table {
    const char *name;
    const char *key; /* name of the key column, text */
    const struct ow_column *columns;
    size_t column_count;
    size_t index; /* in machine->records; unused for the entity table */
};

enum ow_operand_kind { OW_OPERAND_COLUMN, OW_OPERAND_POINTER, OW_OPERAND_CONSTANT, OW_OPERAND_SUM };

struct ow_operand {
    enum ow_operand_kind kind;
    size_t index; /* COLUMN: of the entity's column; POINTER: of the event type's pointer */
    struct ow_value constant;       /* CONSTANT */
    const struct ow_operand *terms; /* SUM; terms are never sums */
    size_t term_count;
};

enum ow_comparison { OW_COMPARE_EQUALS, OW_COMPARE_AT_MOST, OW_COMPARE_AT_LEAST };

struct ow_requirement {
    struct ow_operand left;
    enum ow_comparison comparison;
    struct ow_operand right;
};

/* `set` and `add`: what becomes of an entity's column. */
struct ow_assignment {
    size_t column;
    struct ow_operand operand;
};

/* `record`: one row of a record table; columns[i] is the operand of table->columns[i]. */
struct ow_recording {
    const struct ow_table *table;
    struct ow_operand key;
    const struct ow_operand *columns;
};

/* States are numbered from 0 = none; machine->states[0] is "none". */
struct ow_transition {
    uint64_t from; /* mask of states */
    bool same;     /* to: same */
    size_t to;     /* state, unless same */
    const struct ow_requirement *requirements;
    size_t requirement_count;
    const struct ow_assignment *sets;
    size_t set_count;
    const struct ow_assignment *adds;
    size_t add_count;
    const struct ow_recording *recordings;
    size_t recording_count;
    uint64_t pointers; /* mask of the event type's pointers that this transition reads: what
                          history.data keeps */
};

enum ow_cell_kind { OW_CELL_APPLY, OW_CELL_STALE, OW_CELL_PARK, OW_CELL_REJECT };

struct ow_cell {
    enum ow_cell_kind kind;
    size_t transition; /* APPLY: its index in the event type */
    bool overridden;
    const char *why; /* one sentence for `machine show` */
};

/* A pointer that an event needs, and all that is asked of its value. */
struct ow_need {
    struct ow_pointer pointer;
    enum ow_type type;               /* NULL: any scalar (compared with another pointer only) */
    const struct ow_column **ranges; /* columns whose declared range holds for it */
    size_t range_count;
};

/* Where an attribute of the message is found, and a part of a claim key or a field of a
 * fingerprint. */
enum ow_part_kind {
    OW_PART_TYPE,
    OW_PART_SOURCE,
    OW_PART_ID,
    OW_PART_TIME,
    OW_PART_SUBJECT,
    OW_PART_ENTITY,
    OW_PART_POINTER,
    OW_PART_HEADER,
    OW_PART_KEY,
    OW_PART_NONE
};
struct ow_part {
    enum ow_part_kind kind;
    struct ow_pointer pointer;
    struct ow_slice header;
};

struct ow_claim_rule {
    const char *space;
    const struct ow_part *key_parts;
    size_t key_part_count;
    const struct ow_part *fields; /* fingerprint */
    size_t field_count;
    const struct ow_pointer *ignore;
    size_t ignore_count;
    int64_t retention_ms; /* the class of its buckets */
    const char
        *rule_text; /* canonical JSON of fields and ignore: names the fingerprint rule in ow_meta */
    uint8_t rule_number; /* 1..255, given by the store at open; 0 until then */
};

enum ow_format { OW_FORMAT_CLOUDEVENTS, OW_FORMAT_EXPLICIT };

struct ow_message_rule {
    enum ow_format format;
    struct ow_part type, id, source, time; /* EXPLICIT: where they are; kind NONE: not declared */
    struct ow_part entity;
};

struct ow_event_type {
    const char *name;
    size_t index;
    const struct ow_transition *transitions;
    size_t transition_count;
    const struct ow_need *needs;
    size_t need_count;
    struct ow_cell *cells; /* by state, state_count of them */
    struct ow_claim_rule *claim;
};

enum ow_unknown { OW_UNKNOWN_QUARANTINE, OW_UNKNOWN_FILTER };

struct ow_machine {
    const char *name;
    const char *file;
    int64_t version;
    const char *text; /* canonical JSON of the file */
    uint8_t digest[32];
    const char **topics;
    size_t topic_count;
    struct ow_message_rule message;
    struct ow_table entity; /* name = table, key = key column */
    struct ow_table *records;
    size_t record_count;
    const char **states; /* [0] = "none" */
    size_t state_count;
    struct ow_event_type *events;
    size_t event_count;
    const char **filtered; /* types that are filtered */
    size_t filtered_count;
    int64_t park_deadline_ms;
    size_t park_per_entity;
    enum ow_unknown unknown;
    enum ow_unknown tombstones;
    int64_t index; /* in struct ow_machines */
};

struct ow_machines {
    struct ow_arena arena;
    struct ow_machine *list[OW_MACHINES_MAX];
    size_t count;
};

void ow_machines_init(struct ow_machines *machines);
void ow_machines_done(struct ow_machines *machines);
/*
 * Compiles one file's tree and adds it. Call ow_machines_check after the last one.
 * BAD_CONFIG: unknown key, wrong type, ambiguous cell, unreachable override, a `from` twice …, with
 * file, line, key.
 */
enum ow_status ow_machines_add(struct ow_machines *machines, const struct ow_tree *tree,
                               struct ow_err *err) OW_MUST_USE;
/* What concerns several machines: a (topic, type) in two of them, message rules of a shared topic,
 * a table name twice. */
enum ow_status ow_machines_check(const struct ow_machines *machines, struct ow_err *err)
    OW_MUST_USE;

/* Every topic of the machines, once each. Memory: the list the arena's, the names the machines'. */
const char *const *ow_machines_topics(const struct ow_machines *machines, struct ow_arena *arena,
                                      size_t *ret_count);
/* The first machine of a topic (its message rule, unknown and tombstone policies are the topic's),
 * or NULL. */
const struct ow_machine *ow_machines_of_topic(const struct ow_machines *machines,
                                              struct ow_slice topic);
/* The event type of (topic, type), its machine in ret_machine; NULL where no machine knows it. */
const struct ow_event_type *ow_machines_event(const struct ow_machines *machines,
                                              struct ow_slice topic, struct ow_slice type,
                                              const struct ow_machine **ret_machine);
bool ow_machines_filters(const struct ow_machines *machines, struct ow_slice topic,
                         struct ow_slice type);
const struct ow_machine *ow_machines_named(const struct ow_machines *machines,
                                           struct ow_slice name);
/* The number of a state's name, or -1. */
int ow_machine_state(const struct ow_machine *machine, struct ow_slice name);
const struct ow_event_type *ow_machine_event(const struct ow_machine *machine,
                                             struct ow_slice type);

const char *ow_cell_text(enum ow_cell_kind kind);

#endif
