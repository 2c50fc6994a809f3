/*
 * machine_show: a machine for people: its table with reasons, its graph, and what looks wrong with
 * it.
 *
 * Threads: pure. Memory: the caller's buffer; jansson values with one reference for the caller.
 */
#ifndef OW_MODEL_MACHINE_SHOW_H
#define OW_MODEL_MACHINE_SHOW_H

#include "base/buffer.h"
#include "model/machine.h"

/* {"machine":…,"version":…,"digest":…,"cells":[{"state","event","do","to","overridden","why"},…]}
 */
json_t *ow_machine_show_json(const struct ow_machine *machine);

/* A Mermaid state diagram, or a Graphviz digraph. */
void ow_machine_graph_mermaid(const struct ow_machine *machine, struct ow_buffer *out);
void ow_machine_graph_dot(const struct ow_machine *machine, struct ow_buffer *out);

enum ow_finding_level {
    OW_FINDING_NOTE,   /* to be known: dead ends, rejected cells, events that do not commute */
    OW_FINDING_WARNING /* a slip, most likely: lint then ends with 3 */
};
struct ow_finding {
    enum ow_finding_level level;
    const char *name; /* "unreachable_state", stable */
    const char *text; /* one sentence */
    struct ow_finding *next;
};
/*
 * What looks wrong, in a list of the arena's, warnings and notes as they come. Guards and values
 * are not looked at: witnesses are sequences of event types.
 */
struct ow_finding *ow_machine_lint(const struct ow_machine *machine, struct ow_arena *arena);

const char *ow_finding_level_text(enum ow_finding_level level);

#endif
