/*
 * machine_load: what the files machine_*.c share while they compile one machine. Nobody else
 * includes it.
 *
 * The tree was checked against ow_machine_options() before, so types and required keys are taken
 * for granted. Memory: everything that is kept is the machines' arena's.
 */
#ifndef OW_MODEL_MACHINE_LOAD_H
#define OW_MODEL_MACHINE_LOAD_H

#include "model/machine.h"

struct ow_machine_load {
    const struct ow_tree *tree;
    struct ow_arena *arena;
    struct ow_machine *machine;
    struct ow_err *err;
};

/* The event type that is being compiled. */
struct ow_event_load {
    struct ow_machine_load *load;
    struct ow_event_type *event;
    struct ow_need *needs; /* OW_EVENT_POINTERS_MAX of them */
    size_t range_max;      /* of ranges in each need */
    uint64_t pointers;     /* of the transition that is being compiled */
    struct ow_pair *pairs; /* pointers that are compared with pointers: they have one type */
};
struct ow_pair {
    size_t left, right;
    struct ow_pair *next;
};

/* A copy of a text that lives as long as the machine. */
const char *ow_machine_load_text(const struct ow_machine_load *load, const json_t *text);
/* The member's text, or fallback. */
const char *ow_machine_load_member(const struct ow_machine_load *load, const json_t *object,
                                   const char *name, const char *fallback);

/* machine_message.c: message, topics, filter, claim. */
enum ow_status ow_machine_load_message(struct ow_machine_load *load) OW_MUST_USE;
/* json: a claim object or NULL; base: what it leaves out comes from there (NULL: the defaults). */
enum ow_status ow_machine_load_claim(struct ow_machine_load *load, const json_t *json,
                                     const char *path, const struct ow_claim_rule *base,
                                     struct ow_claim_rule **ret_rule) OW_MUST_USE;

/* machine_table.c: entity and records. */
enum ow_status ow_machine_load_tables(struct ow_machine_load *load) OW_MUST_USE;
/* The number of a table's column, or -1. */
int ow_table_column(const struct ow_table *table, const char *name);
/* BAD_CONFIG where a constant is outside the column's declared range. */
enum ow_status ow_table_check_constant(struct ow_machine_load *load, const char *path,
                                       const struct ow_column *column, const struct ow_value *value)
    OW_MUST_USE;

/* machine_operand.c. */
enum ow_status ow_operand_load(struct ow_event_load *event, const json_t *json, const char *path,
                               struct ow_operand *ret_operand) OW_MUST_USE;
/* TEXT, INTEGER, or NULL where only a pointer says it and nothing has yet. */
enum ow_type ow_operand_type(const struct ow_event_load *event, const struct ow_operand *operand);
/* The operand must have the type; a pointer takes it on. */
enum ow_status ow_operand_demand(struct ow_event_load *event, const char *path,
                                 const struct ow_operand *operand, enum ow_type type) OW_MUST_USE;
/* The operand goes into the column as it is: type and declared range hold for it. */
enum ow_status ow_operand_demand_column(struct ow_event_load *event, const char *path,
                                        const struct ow_operand *operand,
                                        const struct ow_column *column) OW_MUST_USE;
/* Both sides of a comparison have one type. */
enum ow_status ow_operand_demand_same(struct ow_event_load *event, const char *path,
                                      const struct ow_operand *left, const struct ow_operand *right)
    OW_MUST_USE;
/* Gives both pointers of each pair one type. At the end of an event. */
enum ow_status ow_operand_settle_pairs(struct ow_event_load *event, const char *path) OW_MUST_USE;

/* machine_event.c: states, events. */
enum ow_status ow_machine_load_events(struct ow_machine_load *load) OW_MUST_USE;

/* machine_cell.c: the (state, event) table and the overrides. */
enum ow_status ow_machine_load_cells(struct ow_machine_load *load) OW_MUST_USE;

#endif
