#include "model/seed.h"

#include "base/contract.h"
#include "base/parse.h"

static const char *problem_at(struct ow_arena *arena, const char *member, const char *what)
{
    return ow_arena_printf(arena, "'%s' %s", member, what);
}

const json_t *ow_seed_member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

/* A text, or an integer as decimal text: tables often have numbers where messages have texts, and
 * claim keys are over the same bytes. */
bool ow_seed_read_text(const json_t *value, struct ow_arena *arena, struct ow_slice *ret_text)
{
    if (json_is_integer(value)) {
        *ret_text =
            ow_slice_of(ow_arena_printf(arena, "%lld", (long long)json_integer_value(value)));
        return true;
    }
    const struct ow_slice text = {(const uint8_t *)json_string_value(value),
                                  json_string_length(value)};
    *ret_text = text;
    return json_is_string(value) && text.len > 0 && ow_slice_is_text(text);
}

const char *ow_seed_read_time(const json_t *object, int64_t *ret_ms)
{
    const json_t *value = ow_seed_member(object, "at");
    *ret_ms = OW_SEED_NO_TIME;
    if (value == NULL) {
        return NULL;
    }
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *ret_ms = json_integer_value(value);
        return NULL;
    }
    const struct ow_slice text = {(const uint8_t *)json_string_value(value),
                                  json_string_length(value)};
    return json_is_string(value) && ow_parse_time_ms(text, ret_ms) && *ret_ms >= 0
               ? NULL
               : "'at' is neither RFC 3339 nor milliseconds since 1970";
}

static const char *find_machine(const struct ow_machines *machines, const json_t *object,
                                struct ow_arena *arena, const struct ow_machine **ret_machine)
{
    const json_t *name = ow_seed_member(object, "machine");
    if (name == NULL) {
        *ret_machine = machines->list[0];
        return machines->count == 1 ? NULL : "'machine' is missing, and there are several machines";
    }
    *ret_machine = ow_machines_named(machines, ow_slice_of(json_string_value(name)));
    return *ret_machine != NULL ? NULL : problem_at(arena, "machine", "is none of the machines");
}

/* The name of a key's part, as claim.key has it. */
static const char *part_name(const struct ow_part *part, struct ow_arena *arena)
{
    switch (part->kind) {
    case OW_PART_TYPE:
        return "type";
    case OW_PART_SOURCE:
        return "source";
    case OW_PART_ID:
        return "id";
    case OW_PART_TIME:
        return "time";
    case OW_PART_SUBJECT:
        return "subject";
    case OW_PART_ENTITY:
        return "entity";
    case OW_PART_POINTER:
        return part->pointer.text;
    case OW_PART_HEADER:
        return ow_arena_printf(arena, "header:" OW_SLICE_FMT, OW_SLICE_ARG(part->header));
    case OW_PART_KEY:
        return "key";
    case OW_PART_NONE:
        break;
    }
    OW_IMPOSSIBLE("a part of no kind");
}

static bool claim_alike(const struct ow_claim_rule *a, const struct ow_claim_rule *b,
                        struct ow_arena *arena)
{
    bool alike = strcmp(a->space, b->space) == 0 && a->retention_ms == b->retention_ms &&
                 a->key_part_count == b->key_part_count;
    for (size_t i = 0; alike && i < a->key_part_count; i++) {
        alike = strcmp(part_name(&a->key_parts[i], arena), part_name(&b->key_parts[i], arena)) == 0;
    }
    return alike;
}

/* The rule by which the claim was or would have been taken. */
static const char *find_rule(const struct ow_machine *machine, const json_t *object,
                             struct ow_arena *arena, const struct ow_claim_rule **ret_rule)
{
    const json_t *type = ow_seed_member(object, "type");
    OW_REQUIRE(machine->event_count > 0);
    *ret_rule = machine->events[0].claim;
    if (type != NULL) {
        const struct ow_event_type *event =
            ow_machine_event(machine, ow_slice_of(json_string_value(type)));
        *ret_rule = event == NULL ? NULL : event->claim;
        return event != NULL ? NULL : problem_at(arena, "type", "is no event of the machine");
    }
    for (size_t e = 1; e < machine->event_count; e++) {
        if (machine->events[e].claim != *ret_rule &&
            !claim_alike(machine->events[e].claim, *ret_rule, arena)) {
            return "'type' is missing, and the machine's events do not all claim alike";
        }
    }
    return NULL;
}

static bool is_key_part(const struct ow_claim_rule *rule, const char *name, struct ow_arena *arena)
{
    for (size_t i = 0; i < rule->key_part_count; i++) {
        if (strcmp(part_name(&rule->key_parts[i], arena), name) == 0) {
            return true;
        }
    }
    return false;
}

/* A member with a misspelt name would be one that is missing, silently. */
static const char *find_unknown_part(const struct ow_claim_rule *rule, const json_t *object,
                                     struct ow_arena *arena)
{
    static const char *const others[] = {"machine", "type", "at"};
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        bool known = is_key_part(rule, name, arena);
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
            known = known || strcmp(name, others[i]) == 0;
        }
        if (!known) {
            return problem_at(arena, name, "is no part of the claim's key");
        }
    }
    return NULL;
}

static const char *hash_key_parts(const struct ow_claim_rule *rule,
                                  const struct ow_hash_key *hash_key, const json_t *object,
                                  struct ow_arena *arena, uint8_t key[OW_CLAIM_KEY_BYTES])
{
    struct ow_hash hash;
    ow_hash_begin(&hash, hash_key, OW_CLAIM_KEY_BYTES);
    ow_hash_part(&hash, ow_slice_of(rule->space));
    for (size_t i = 0; i < rule->key_part_count; i++) {
        const char *name = part_name(&rule->key_parts[i], arena);
        const json_t *value = ow_seed_member(object, name);
        struct ow_slice bytes = {0};
        if (value == NULL) {
            return problem_at(arena, name, "is missing, and is a part of the claim's key");
        }
        if (!ow_seed_read_text(value, arena, &bytes)) {
            return problem_at(arena, name, "is neither a text with anything in it nor an integer");
        }
        ow_hash_part(&hash, bytes);
    }
    ow_hash_end(&hash, key, OW_CLAIM_KEY_BYTES);
    return NULL;
}

const char *ow_seed_read_claim(const struct ow_machines *machines,
                               const struct ow_hash_key *hash_key, const json_t *object,
                               struct ow_arena *arena, struct ow_seed_claim *ret_claim)
{
    const struct ow_machine *machine = NULL;
    const struct ow_claim_rule *rule = NULL;
    struct ow_seed_claim claim = {.at_ms = OW_SEED_NO_TIME};
    const char *problem = json_is_object(object) ? NULL : "it is no JSON object";
    if (problem == NULL) {
        problem = find_machine(machines, object, arena, &machine);
    }
    if (problem == NULL) {
        problem = find_rule(machine, object, arena, &rule);
    }
    if (problem != NULL) {
        return problem;
    }
    OW_INVARIANT(rule != NULL);
    problem = hash_key_parts(rule, hash_key, object, arena, claim.key);
    if (problem == NULL) {
        problem = find_unknown_part(rule, object, arena);
    }
    if (problem == NULL) {
        problem = ow_seed_read_time(object, &claim.at_ms);
    }
    if (problem == NULL) {
        claim.retention_ms = rule->retention_ms;
        *ret_claim = claim;
    }
    return problem;
}
