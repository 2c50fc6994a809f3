#include "model/machine.h"

#include "base/parse.h"
#include "model/hash.h"
#include "model/machine_load.h"
#include "model/machine_option.h"

void ow_machines_init(struct ow_machines *machines)
{
    *machines = (struct ow_machines){0};
    ow_arena_init(&machines->arena, 32768);
}

void ow_machines_done(struct ow_machines *machines)
{
    ow_arena_done(&machines->arena);
    machines->count = 0;
}

const char *ow_machine_load_text(const struct ow_machine_load *load, const json_t *text)
{
    return ow_arena_text(load->arena, ow_slice_of(json_string_value(text)));
}

const char *ow_machine_load_member(const struct ow_machine_load *load, const json_t *object,
                                   const char *name, const char *fallback)
{
    const json_t *const value = json_object_get(object, name);
    return value == NULL ? fallback : ow_machine_load_text(load, value);
}

/* The file without comments and layout: what counts as a change of the machine. */
static void load_identity(struct ow_machine_load *load)
{
    struct ow_machine *const machine = load->machine;
    const json_t *const root = load->tree->root;
    OW_BUFFER text = {0};
    ow_json_canonical(&text, root, NULL, NULL, 0);
    machine->text = ow_arena_text(load->arena, ow_buffer_view(&text));
    ow_hash_digest(ow_buffer_view(&text), machine->digest);
    machine->file = ow_arena_text(load->arena, ow_slice_of(load->tree->file));
    machine->name = ow_machine_load_member(load, root, "machine", NULL);
    machine->version = json_integer_value(json_object_get(root, "version"));
}

/* After the check every duration of the tree is one. */
static void load_park(struct ow_machine_load *load)
{
    const json_t *const park = json_object_get(load->tree->root, "park");
    const json_t *const deadline = json_object_get(park, "deadline");
    const json_t *const per_entity = json_object_get(park, "per_entity");
    load->machine->park_deadline_ms = OW_PARK_DEADLINE_MS_DEFAULT;
    load->machine->park_per_entity = OW_PARK_PER_ENTITY_DEFAULT;
    if (deadline != NULL) {
        const bool good = ow_parse_duration_ms(ow_slice_of(json_string_value(deadline)),
                                               &load->machine->park_deadline_ms);
        OW_INVARIANT(good);
    }
    if (per_entity != NULL) {
        load->machine->park_per_entity = (size_t)json_integer_value(per_entity);
    }
}

static enum ow_status load_machine(struct ow_machine_load *load)
{
    load_identity(load);
    load_park(load);
    OW_TRY(ow_machine_load_message(load));
    OW_TRY(ow_machine_load_tables(load));
    OW_TRY(ow_machine_load_events(load));
    return ow_machine_load_cells(load);
}

enum ow_status ow_machines_add(struct ow_machines *machines, const struct ow_tree *tree,
                               struct ow_err *err)
{
    OW_TRY(ow_option_check(ow_machine_options(), tree, err));
    if (machines->count == OW_MACHINES_MAX) {
        return ow_fail(err, OW_BAD_CONFIG, "%s: more than %d machines", tree->file,
                       OW_MACHINES_MAX);
    }
    struct ow_machine_load load = {.tree = tree, .arena = &machines->arena, .err = err};
    load.machine = OW_ARENA_NEW(&machines->arena, struct ow_machine);
    OW_TRY(load_machine(&load));
    if (ow_machines_named(machines, ow_slice_of(load.machine->name)) != NULL) {
        return ow_tree_fail(tree, "/machine", err, "there is another machine '%s'",
                            load.machine->name);
    }
    load.machine->index = (int64_t)machines->count;
    machines->list[machines->count++] = load.machine;
    return OW_OK;
}

static bool has_topic(const struct ow_machine *machine, struct ow_slice topic)
{
    for (size_t i = 0; i < machine->topic_count; i++) {
        if (ow_slice_equals_text(topic, machine->topics[i])) {
            return true;
        }
    }
    return false;
}

const char *const *ow_machines_topics(const struct ow_machines *machines, struct ow_arena *arena,
                                      size_t *ret_count)
{
    size_t most = 0;
    for (size_t i = 0; i < machines->count; i++) {
        most += machines->list[i]->topic_count;
    }
    const char **const topics = OW_ARENA_ARRAY(arena, most, const char *);
    size_t count = 0;
    for (size_t i = 0; i < machines->count; i++) {
        const struct ow_machine *const machine = machines->list[i];
        for (size_t j = 0; j < machine->topic_count; j++) {
            /* Only the first machine of a topic names it. */
            if (ow_machines_of_topic(machines, ow_slice_of(machine->topics[j])) == machine) {
                topics[count++] = machine->topics[j];
            }
        }
    }
    *ret_count = count;
    return topics;
}

const struct ow_machine *ow_machines_of_topic(const struct ow_machines *machines,
                                              struct ow_slice topic)
{
    for (size_t i = 0; i < machines->count; i++) {
        if (has_topic(machines->list[i], topic)) {
            return machines->list[i];
        }
    }
    return NULL;
}

const struct ow_event_type *ow_machines_event(const struct ow_machines *machines,
                                              struct ow_slice topic, struct ow_slice type,
                                              const struct ow_machine **ret_machine)
{
    for (size_t i = 0; i < machines->count; i++) {
        const struct ow_event_type *const event =
            has_topic(machines->list[i], topic) ? ow_machine_event(machines->list[i], type) : NULL;
        if (event != NULL) {
            *ret_machine = machines->list[i];
            return event;
        }
    }
    return NULL;
}

bool ow_machines_filters(const struct ow_machines *machines, struct ow_slice topic,
                         struct ow_slice type)
{
    const struct ow_machine *const machine = ow_machines_of_topic(machines, topic);
    if (machine == NULL) {
        return false;
    }
    for (size_t i = 0; i < machine->filtered_count; i++) {
        if (ow_slice_equals_text(type, machine->filtered[i])) {
            return true;
        }
    }
    return false;
}

const struct ow_machine *ow_machines_named(const struct ow_machines *machines, struct ow_slice name)
{
    for (size_t i = 0; i < machines->count; i++) {
        if (ow_slice_equals_text(name, machines->list[i]->name)) {
            return machines->list[i];
        }
    }
    return NULL;
}

int ow_machine_state(const struct ow_machine *machine, struct ow_slice name)
{
    for (size_t i = 0; i < machine->state_count; i++) {
        if (ow_slice_equals_text(name, machine->states[i])) {
            return (int)i;
        }
    }
    return -1;
}

const struct ow_event_type *ow_machine_event(const struct ow_machine *machine, struct ow_slice type)
{
    for (size_t i = 0; i < machine->event_count; i++) {
        if (ow_slice_equals_text(type, machine->events[i].name)) {
            return &machine->events[i];
        }
    }
    return NULL;
}

const char *ow_cell_text(enum ow_cell_kind kind)
{
    switch (kind) {
    case OW_CELL_APPLY:
        return "apply";
    case OW_CELL_STALE:
        return "stale";
    case OW_CELL_PARK:
        return "park";
    case OW_CELL_REJECT:
        return "reject";
    }
    OW_IMPOSSIBLE("a cell of no kind");
}
