/* States, events and their transitions. */
#include "model/machine_load.h"

static enum ow_status find_state(struct ow_machine_load *load, const json_t *json, const char *path,
                                 size_t *ret_state)
{
    const int state = ow_machine_state(load->machine, ow_slice_of(json_string_value(json)));
    if (state < 0) {
        return ow_tree_fail(load->tree, path, load->err, "there is no state '%s'",
                            json_string_value(json));
    }
    *ret_state = (size_t)state;
    return OW_OK;
}

static enum ow_status load_from(struct ow_event_load *event, const json_t *json, const char *path,
                                uint64_t taken, struct ow_transition *transition)
{
    struct ow_machine_load *const load = event->load;
    const char *const from_path = ow_tree_path(load->arena, path, "from");
    const json_t *const from = json_object_get(json, "from");
    const size_t count = json_is_array(from) ? json_array_size(from) : 1;
    for (size_t i = 0; i < count; i++) {
        size_t state = 0;
        OW_TRY(find_state(load, json_is_array(from) ? json_array_get(from, i) : from, from_path,
                          &state));
        const uint64_t bit = UINT64_C(1) << state;
        if (((taken | transition->from) & bit) != 0) {
            return ow_tree_fail(load->tree, from_path, load->err,
                                "the event has a transition from '%s' already",
                                load->machine->states[state]);
        }
        transition->from |= bit;
    }
    return OW_OK;
}

static enum ow_status load_to(struct ow_event_load *event, const json_t *json, const char *path,
                              struct ow_transition *transition)
{
    struct ow_machine_load *const load = event->load;
    const json_t *const to = json_object_get(json, "to");
    const char *const to_path = ow_tree_path(load->arena, path, "to");
    transition->same = strcmp(json_string_value(to), "same") == 0;
    if (!transition->same) {
        OW_TRY(find_state(load, to, to_path, &transition->to));
    }
    if (transition->same ? (transition->from & 1) != 0 : transition->to == 0) {
        return ow_tree_fail(load->tree, to_path, load->err, "an entity cannot %s 'none'",
                            transition->same ? "stay in" : "go back to");
    }
    return OW_OK;
}

static enum ow_status load_requirement(struct ow_event_load *event, const json_t *json,
                                       const char *path, struct ow_requirement *requirement)
{
    static const struct {
        const char *name;
        enum ow_comparison comparison;
    } comparisons[] = {
        {"equals",   OW_COMPARE_EQUALS  },
        {"at_most",  OW_COMPARE_AT_MOST },
        {"at_least", OW_COMPARE_AT_LEAST}
    };
    struct ow_arena *const arena = event->load->arena;
    size_t i = 0;
    while (json_object_get(json, comparisons[i].name) == NULL) {
        i++;
        OW_INVARIANT(i < sizeof comparisons / sizeof *comparisons);
    }
    const char *const left_path = ow_tree_path(arena, path, "left");
    const char *const right_path = ow_tree_path(arena, path, comparisons[i].name);
    requirement->comparison = comparisons[i].comparison;
    OW_TRY(ow_operand_load(event, json_object_get(json, "left"), left_path, &requirement->left));
    OW_TRY(ow_operand_load(event, json_object_get(json, comparisons[i].name), right_path,
                           &requirement->right));
    if (requirement->comparison == OW_COMPARE_EQUALS) {
        return ow_operand_demand_same(event, path, &requirement->left, &requirement->right);
    }
    OW_TRY(ow_operand_demand(event, left_path, &requirement->left, OW_TYPE_INTEGER));
    return ow_operand_demand(event, right_path, &requirement->right, OW_TYPE_INTEGER);
}

static enum ow_status load_requirements(struct ow_event_load *event, const json_t *json,
                                        const char *path, struct ow_transition *transition)
{
    struct ow_arena *const arena = event->load->arena;
    const json_t *const list = json_object_get(json, "require");
    const size_t count = json_array_size(list);
    struct ow_requirement *const requirements = OW_ARENA_ARRAY(arena, count, struct ow_requirement);
    for (size_t i = 0; i < count; i++) {
        OW_TRY(load_requirement(event, json_array_get(list, i),
                                ow_arena_printf(arena, "%s/require/%zu", path, i),
                                &requirements[i]));
    }
    transition->requirements = requirements;
    transition->requirement_count = count;
    return OW_OK;
}

/* `set` or `add`. */
static enum ow_status load_assignments(struct ow_event_load *event, const json_t *json,
                                       const char *path, const struct ow_assignment **ret_list,
                                       size_t *ret_count)
{
    struct ow_machine_load *const load = event->load;
    const struct ow_table *const entity = &load->machine->entity;
    struct ow_assignment *const list =
        OW_ARENA_ARRAY(load->arena, json_object_size(json), struct ow_assignment);
    size_t count = 0;
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)(uintptr_t)json, name, value)
    {
        const char *const column_path = ow_tree_path(load->arena, path, name);
        const int column = ow_table_column(entity, name);
        if (column < 0) {
            return ow_tree_fail(load->tree, column_path, load->err, "the entity has no column '%s'",
                                name);
        }
        list[count].column = (size_t)column;
        OW_TRY(ow_operand_load(event, value, column_path, &list[count].operand));
        count++;
    }
    *ret_list = list;
    *ret_count = count;
    return OW_OK;
}

static enum ow_status load_sets(struct ow_event_load *event, const json_t *json, const char *path,
                                struct ow_transition *transition)
{
    const struct ow_table *const entity = &event->load->machine->entity;
    const char *const set_path = ow_tree_path(event->load->arena, path, "set");
    OW_TRY(load_assignments(event, json_object_get(json, "set"), set_path, &transition->sets,
                            &transition->set_count));
    for (size_t i = 0; i < transition->set_count; i++) {
        const struct ow_column *const column = &entity->columns[transition->sets[i].column];
        OW_TRY(ow_operand_demand_column(event,
                                        ow_tree_path(event->load->arena, set_path, column->name),
                                        &transition->sets[i].operand, column));
    }
    return OW_OK;
}

static bool is_set(const struct ow_transition *transition, size_t column)
{
    for (size_t i = 0; i < transition->set_count; i++) {
        if (transition->sets[i].column == column) {
            return true;
        }
    }
    return false;
}

static enum ow_status load_adds(struct ow_event_load *event, const json_t *json, const char *path,
                                struct ow_transition *transition)
{
    const struct ow_machine_load *const load = event->load;
    const struct ow_table *const entity = &load->machine->entity;
    const char *const add_path = ow_tree_path(load->arena, path, "add");
    OW_TRY(load_assignments(event, json_object_get(json, "add"), add_path, &transition->adds,
                            &transition->add_count));
    for (size_t i = 0; i < transition->add_count; i++) {
        const struct ow_column *const column = &entity->columns[transition->adds[i].column];
        const char *const column_path = ow_tree_path(load->arena, add_path, column->name);
        if (column->type != OW_TYPE_INTEGER) {
            return ow_tree_fail(load->tree, column_path, load->err,
                                "only integer columns can be added to");
        }
        if (is_set(transition, transition->adds[i].column)) {
            return ow_tree_fail(load->tree, column_path, load->err,
                                "is set and added to by the same transition");
        }
        OW_TRY(
            ow_operand_demand(event, column_path, &transition->adds[i].operand, OW_TYPE_INTEGER));
    }
    return OW_OK;
}

static enum ow_status load_recording_key(struct ow_event_load *event, const json_t *json,
                                         const char *path, struct ow_recording *recording)
{
    const struct ow_machine_load *const load = event->load;
    const json_t *const key = json_object_get(json, recording->table->key);
    const char *const key_path = ow_tree_path(load->arena, path, recording->table->key);
    if (key == NULL) {
        return ow_tree_fail(load->tree, path, load->err, "the key '%s' of the table is not given",
                            recording->table->key);
    }
    OW_TRY(ow_operand_load(event, key, key_path, &recording->key));
    /* The key is looked up before the entity is known: it can come from the message only. */
    if (recording->key.kind != OW_OPERAND_POINTER) {
        return ow_tree_fail(load->tree, key_path, load->err,
                            "the key of a record must be a pointer");
    }
    return ow_operand_demand(event, key_path, &recording->key, OW_TYPE_TEXT);
}

static enum ow_status load_recording(struct ow_event_load *event, const json_t *json,
                                     const char *path, struct ow_recording *recording)
{
    struct ow_machine_load *const load = event->load;
    const struct ow_table *const table = recording->table;
    OW_TRY(load_recording_key(event, json, path, recording));
    struct ow_operand *const columns =
        OW_ARENA_ARRAY(load->arena, table->column_count, struct ow_operand);
    for (size_t i = 0; i < table->column_count; i++) {
        const char *const column_path = ow_tree_path(load->arena, path, table->columns[i].name);
        const json_t *const value = json_object_get(json, table->columns[i].name);
        if (value == NULL) {
            return ow_tree_fail(load->tree, path, load->err,
                                "the column '%s' of the table is not given",
                                table->columns[i].name);
        }
        OW_TRY(ow_operand_load(event, value, column_path, &columns[i]));
        OW_TRY(ow_operand_demand_column(event, column_path, &columns[i], &table->columns[i]));
    }
    recording->columns = columns;
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)(uintptr_t)json, name, value)
    {
        if (strcmp(name, table->key) != 0 && ow_table_column(table, name) < 0) {
            return ow_tree_fail(load->tree, ow_tree_path(load->arena, path, name), load->err,
                                "the table '%s' has no column '%s'", table->name, name);
        }
    }
    return OW_OK;
}

static const struct ow_table *find_record_table(const struct ow_machine *machine, const char *name)
{
    for (size_t i = 0; i < machine->record_count; i++) {
        if (strcmp(machine->records[i].name, name) == 0) {
            return &machine->records[i];
        }
    }
    return NULL;
}

static enum ow_status load_recordings(struct ow_event_load *event, const json_t *json,
                                      const char *path, struct ow_transition *transition)
{
    struct ow_machine_load *const load = event->load;
    const char *const record_path = ow_tree_path(load->arena, path, "record");
    json_t *const record = json_object_get(json, "record");
    struct ow_recording *const list =
        OW_ARENA_ARRAY(load->arena, json_object_size(record), struct ow_recording);
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(record, name, value)
    {
        const char *const table_path = ow_tree_path(load->arena, record_path, name);
        struct ow_recording *const recording = &list[transition->recording_count];
        recording->table = find_record_table(load->machine, name);
        if (recording->table == NULL) {
            return ow_tree_fail(load->tree, table_path, load->err, "there is no record table '%s'",
                                name);
        }
        OW_TRY(load_recording(event, value, table_path, recording));
        transition->recording_count++;
    }
    transition->recordings = list;
    return OW_OK;
}

static enum ow_status load_transition(struct ow_event_load *event, const json_t *json,
                                      const char *path, uint64_t taken,
                                      struct ow_transition *transition)
{
    event->pointers = 0;
    OW_TRY(load_from(event, json, path, taken, transition));
    OW_TRY(load_to(event, json, path, transition));
    OW_TRY(load_requirements(event, json, path, transition));
    OW_TRY(load_sets(event, json, path, transition));
    OW_TRY(load_adds(event, json, path, transition));
    OW_TRY(load_recordings(event, json, path, transition));
    transition->pointers = event->pointers;
    return OW_OK;
}

static size_t count_columns(const struct ow_machine *machine)
{
    size_t count = machine->entity.column_count;
    for (size_t i = 0; i < machine->record_count; i++) {
        count += machine->records[i].column_count;
    }
    return count;
}

static enum ow_status load_event(struct ow_machine_load *load, const json_t *json, const char *path,
                                 struct ow_event_type *type)
{
    struct ow_event_load event = {
        .load = load, .event = type, .range_max = count_columns(load->machine)};
    const bool is_object = json_is_object(json);
    const json_t *const list = is_object ? json_object_get(json, "transitions") : json;
    const char *const list_path = is_object ? ow_tree_path(load->arena, path, "transitions") : path;
    event.needs = OW_ARENA_ARRAY(load->arena, OW_EVENT_POINTERS_MAX, struct ow_need);
    type->needs = event.needs;
    const size_t count = json_array_size(list);
    struct ow_transition *const transitions =
        OW_ARENA_ARRAY(load->arena, count, struct ow_transition);
    uint64_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        OW_TRY(load_transition(&event, json_array_get(list, i),
                               ow_arena_printf(load->arena, "%s/%zu", list_path, i), taken,
                               &transitions[i]));
        taken |= transitions[i].from;
    }
    type->transitions = transitions;
    type->transition_count = count;
    return ow_operand_settle_pairs(&event, path);
}

static bool is_filtered(const struct ow_machine *machine, const char *type)
{
    for (size_t i = 0; i < machine->filtered_count; i++) {
        if (strcmp(machine->filtered[i], type) == 0) {
            return true;
        }
    }
    return false;
}

static void load_states(struct ow_machine_load *load)
{
    struct ow_machine *const machine = load->machine;
    json_t *const states = json_object_get(load->tree->root, "states");
    machine->states = OW_ARENA_ARRAY(load->arena, json_object_size(states) + 1, const char *);
    machine->states[machine->state_count++] = "none";
    const char *name = NULL;
    json_t *unused = NULL;
    json_object_foreach(states, name, unused)
    {
        machine->states[machine->state_count++] = ow_arena_text(load->arena, ow_slice_of(name));
    }
}

/* One of the events, with the claim of the machine or its own. */
static enum ow_status add_event(struct ow_machine_load *load, const char *name, const json_t *json,
                                struct ow_claim_rule *claim)
{
    struct ow_machine *const machine = load->machine;
    struct ow_event_type *const type = &machine->events[machine->event_count];
    const char *const path = ow_tree_path(load->arena, "/events", name);
    if (is_filtered(machine, name)) {
        return ow_tree_fail(load->tree, path, load->err, "the type is listed under filter too");
    }
    type->name = ow_arena_text(load->arena, ow_slice_of(name));
    type->index = machine->event_count++;
    type->claim = claim;
    const json_t *const own = json_object_get(json, "claim");
    if (own != NULL) {
        const char *const own_path = ow_tree_path(load->arena, path, "claim");
        OW_TRY(ow_machine_load_claim(load, own, own_path, claim, &type->claim));
    }
    return load_event(load, json, path, type);
}

enum ow_status ow_machine_load_events(struct ow_machine_load *load)
{
    struct ow_machine *const machine = load->machine;
    const json_t *const root = load->tree->root;
    load_states(load);
    struct ow_claim_rule *claim = NULL;
    OW_TRY(ow_machine_load_claim(load, json_object_get(root, "claim"), "/claim", NULL, &claim));
    json_t *const events = json_object_get(root, "events");
    machine->events = OW_ARENA_ARRAY(load->arena, json_object_size(events), struct ow_event_type);
    const char *name = NULL;
    json_t *json = NULL;
    json_object_foreach(events, name, json)
    {
        OW_TRY(add_event(load, name, json, claim));
    }
    return OW_OK;
}
