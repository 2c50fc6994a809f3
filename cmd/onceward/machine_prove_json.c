/* A proof for programs. */
#include "machine_prove.h"
#include "model/prove.h"

static json_t *lines_json(const struct ow_proof_line *lines, size_t count)
{
    json_t *const list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "event", lines[i].event, "fate", lines[i].fate));
    }
    return list;
}

static json_t *events_json(const struct ow_proof *proof)
{
    json_t *const list = json_array();
    for (size_t i = 0; i < proof->event_count; i++) {
        const struct ow_proof_event *const event = &proof->events[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "event", event->name, "values",
                                              event->values, "new_ids", event->renewable));
    }
    return list;
}

static json_t *promises_json(const struct ow_proof *proof)
{
    json_t *const list = json_array();
    for (size_t i = 0; i < OW_PROMISE_COUNT; i++) {
        const enum ow_promise promise = (enum ow_promise)i;
        json_array_append_new(list,
                              json_pack("{s:s, s:b, s:I, s:s}", "name", ow_promise_name(promise),
                                        "ok", !proof->promises[i].broken, "checked",
                                        (json_int_t)proof->promises[i].checked, "text",
                                        ow_promise_text(promise)));
    }
    return list;
}

static json_t *pairs_json(const struct ow_proof *proof)
{
    json_t *const list = json_array();
    for (const struct ow_proof_pair *pair = proof->pairs; pair != NULL; pair = pair->next) {
        json_array_append_new(
            list,
            json_pack("{s:[s,s], s:o, s:[{s:o, s:s}, {s:o, s:s}]}", "events", pair->types[0]->name,
                      pair->types[1]->name, "after", lines_json(pair->prefix, pair->prefix_count),
                      "orders", "events", lines_json(pair->plays[0], 2), "ends_with", pair->ends[0],
                      "events", lines_json(pair->plays[1], 2), "ends_with", pair->ends[1]));
    }
    return list;
}

static json_t *cells_json(const struct ow_proof *proof)
{
    OW_CLEANUP(ow_tree_done) struct ow_tree tree = ow_machine_prove_tree(proof->machine);
    json_t *const list = json_array();
    for (const struct ow_proof_cell *cell = proof->cells; cell != NULL; cell = cell->next) {
        json_t *const json =
            json_pack("{s:s, s:s, s:s, s:s}", "state", cell->state, "event", cell->event->name,
                      "why", cell->why, "cause", ow_proof_cause_name(cell->cause));
        const int line = ow_machine_prove_line(&tree, cell);
        if (line > 0) {
            json_object_set_new(json, "line", json_integer(line));
        }
        json_array_append_new(list, json);
    }
    return list;
}

static json_t *broken_json(const struct ow_proof_witness *broken)
{
    return broken == NULL ? json_null()
                          : json_pack("{s:o, s:s, s:s}", "events",
                                      lines_json(broken->lines, broken->line_count), "expected",
                                      broken->expected, "found", broken->found);
}

/* JSON's integers end at 2^63 - 1 here; a count that is larger stays there. */
static json_int_t count_json(uint64_t count)
{
    return count > INT64_MAX ? INT64_MAX : (json_int_t)count;
}

json_t *ow_machine_prove_json(const struct ow_proof *proof, size_t length_asked)
{
    json_t *const json = json_pack(
        "{s:s, s:I, s:b, s:I, s:I, s:o, s:I, s:I, s:I, s:o, s:o}", "machine", proof->machine->name,
        "version", (json_int_t)proof->machine->version, "ok", proof->broken == NULL, "length",
        (json_int_t)proof->length, "length_asked", (json_int_t)length_asked, "events",
        events_json(proof), "sequences", count_json(proof->sequences), "configurations",
        count_json(proof->configurations), "steps", count_json(proof->steps), "promises",
        promises_json(proof), "counterexample", broken_json(proof->broken));
    OW_ENSURE(json != NULL);
    if (proof->broken == NULL) {
        json_object_set_new(json, "order_matters", pairs_json(proof));
        json_object_set_new(json, "cells", json_integer((json_int_t)proof->cell_count));
        json_object_set_new(json, "cells_played", json_integer((json_int_t)proof->cells_played));
        json_object_set_new(json, "never_reached", cells_json(proof));
    }
    return json;
}
