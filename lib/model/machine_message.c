/* How a record is read: topics, message, filter; and what makes two messages the same: claim. */
#include "base/parse.h"
#include "model/machine_load.h"

/* After the check a part has one of the forms of machine_form.c. */
static struct ow_part load_part(const struct ow_machine_load *load, const json_t *json)
{
    static const struct {
        const char *word;
        enum ow_part_kind kind;
    } words[] = {
        {"type",    OW_PART_TYPE   },
        {"source",  OW_PART_SOURCE },
        {"id",      OW_PART_ID     },
        {"time",    OW_PART_TIME   },
        {"subject", OW_PART_SUBJECT},
        {"entity",  OW_PART_ENTITY },
        {"key",     OW_PART_KEY    }
    };
    struct ow_part part = {.kind = OW_PART_NONE};
    const char *const text = json == NULL ? NULL : ow_machine_load_text(load, json);
    if (text == NULL) {
        return part;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i].word) == 0) {
            part.kind = words[i].kind;
            return part;
        }
    }
    if (text[0] == '/') {
        const bool good = ow_pointer_parse(load->arena, text, &part.pointer);
        OW_INVARIANT(good);
        part.kind = OW_PART_POINTER;
        return part;
    }
    OW_INVARIANT(strncmp(text, "header:", 7) == 0);
    part.kind = OW_PART_HEADER;
    part.header = ow_slice_of(text + 7);
    return part;
}

static const char **load_texts(const struct ow_machine_load *load, const json_t *list,
                               size_t *ret_count)
{
    *ret_count = json_array_size(list);
    const char **const texts = OW_ARENA_ARRAY(load->arena, *ret_count, const char *);
    for (size_t i = 0; i < *ret_count; i++) {
        texts[i] = ow_machine_load_text(load, json_array_get(list, i));
    }
    return texts;
}

/* Two equal texts in a list are a slip of the pen. */
static enum ow_status refuse_twice(const struct ow_machine_load *load, const char *key,
                                   const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(texts[i], texts[j]) == 0) {
                return ow_tree_fail(load->tree, ow_arena_printf(load->arena, "/%s/%zu", key, i),
                                    load->err, "'%s' comes twice", texts[i]);
            }
        }
    }
    return OW_OK;
}

static enum ow_unknown load_policy(const struct ow_machine_load *load, const char *key)
{
    const char *const word = ow_machine_load_member(load, load->tree->root, key, "quarantine");
    return strcmp(word, "filter") == 0 ? OW_UNKNOWN_FILTER : OW_UNKNOWN_QUARANTINE;
}

enum ow_status ow_machine_load_message(struct ow_machine_load *load)
{
    struct ow_machine *const machine = load->machine;
    const json_t *const root = load->tree->root;
    const json_t *const message = json_object_get(root, "message");
    machine->topics = load_texts(load, json_object_get(root, "topics"), &machine->topic_count);
    OW_TRY(refuse_twice(load, "topics", machine->topics, machine->topic_count));
    machine->filtered = load_texts(load, json_object_get(root, "filter"), &machine->filtered_count);
    OW_TRY(refuse_twice(load, "filter", machine->filtered, machine->filtered_count));
    machine->unknown = load_policy(load, "unknown");
    machine->tombstones = load_policy(load, "tombstones");
    const bool is_explicit =
        strcmp(ow_machine_load_member(load, message, "format", ""), "explicit") == 0;
    machine->message = (struct ow_message_rule){
        .format = is_explicit ? OW_FORMAT_EXPLICIT : OW_FORMAT_CLOUDEVENTS,
        .type = load_part(load, json_object_get(message, "type")),
        .id = load_part(load, json_object_get(message, "id")),
        .source = load_part(load, json_object_get(message, "source")),
        .time = load_part(load, json_object_get(message, "time")),
        .entity = load_part(load, json_object_get(message, "entity")),
    };
    return OW_OK;
}

/* A part that names an attribute which this message format does not have would never be there. */
static enum ow_status check_part(const struct ow_machine_load *load, const char *path,
                                 const struct ow_part *part)
{
    const struct ow_message_rule *const message = &load->machine->message;
    if (message->format == OW_FORMAT_CLOUDEVENTS) {
        return OW_OK;
    }
    const char *missing = NULL;
    if (part->kind == OW_PART_SOURCE && message->source.kind == OW_PART_NONE) {
        missing = "source";
    } else if (part->kind == OW_PART_TIME && message->time.kind == OW_PART_NONE) {
        missing = "time";
    } else if (part->kind == OW_PART_SUBJECT) {
        missing = "subject";
    }
    return missing == NULL
               ? OW_OK
               : ow_tree_fail(load->tree, path, load->err,
                              "names '%s', which message does not say where to find", missing);
}

static enum ow_status load_parts(const struct ow_machine_load *load, const json_t *list,
                                 const char *path, const struct ow_part **ret_parts,
                                 size_t *ret_count)
{
    const size_t count = json_array_size(list);
    struct ow_part *const parts = OW_ARENA_ARRAY(load->arena, count, struct ow_part);
    for (size_t i = 0; i < count; i++) {
        parts[i] = load_part(load, json_array_get(list, i));
        OW_TRY(check_part(load, ow_arena_printf(load->arena, "%s/%zu", path, i), &parts[i]));
    }
    *ret_parts = parts;
    *ret_count = count;
    return OW_OK;
}

/* The canonical JSON of fields and ignore: a fingerprint rule's name in ow_meta. */
static const char *rule_text(const struct ow_machine_load *load, const json_t *fields,
                             const json_t *ignore)
{
    OW_JSON *rule = json_pack("{s:O, s:O}", "fields", fields, "ignore", ignore);
    OW_INVARIANT(rule != NULL);
    OW_BUFFER text = {0};
    ow_json_canonical(&text, rule, NULL, NULL, 0);
    return ow_arena_text(load->arena, ow_buffer_view(&text));
}

static enum ow_status load_fingerprint(struct ow_machine_load *load, const json_t *json,
                                       const char *path, const struct ow_claim_rule *base,
                                       struct ow_claim_rule *rule)
{
    const json_t *const given_fields = json_object_get(json, "fingerprint");
    const json_t *const given_ignore = json_object_get(json, "ignore");
    if (base != NULL && given_fields == NULL && given_ignore == NULL) {
        return OW_OK; /* the base's, whole */
    }
    if (given_fields == NULL && load->machine->message.format == OW_FORMAT_EXPLICIT &&
        base == NULL) {
        return ow_tree_fail(load->tree, path, load->err,
                            "with format explicit there is no /data: claim.fingerprint must say "
                            "what a redelivery must not change");
    }
    OW_JSON *base_rule = base == NULL
                             ? json_pack("{s:[s,s],s:[]}", "fields", "type", "/data", "ignore")
                             : json_loads(base->rule_text, 0, NULL);
    const json_t *const fields =
        given_fields != NULL ? given_fields : json_object_get(base_rule, "fields");
    const json_t *const ignore =
        given_ignore != NULL ? given_ignore : json_object_get(base_rule, "ignore");
    OW_TRY(load_parts(load, fields, ow_tree_path(load->arena, path, "fingerprint"), &rule->fields,
                      &rule->field_count));
    rule->ignore_count = json_array_size(ignore);
    struct ow_pointer *const pointers =
        OW_ARENA_ARRAY(load->arena, rule->ignore_count, struct ow_pointer);
    for (size_t i = 0; i < rule->ignore_count; i++) {
        const bool good = ow_pointer_parse(
            load->arena, json_string_value(json_array_get(ignore, i)), &pointers[i]);
        OW_INVARIANT(good);
    }
    rule->ignore = pointers;
    rule->rule_text = rule_text(load, fields, ignore);
    return OW_OK;
}

static enum ow_status load_claim_key(struct ow_machine_load *load, const json_t *json,
                                     const char *path, const struct ow_claim_rule *base,
                                     struct ow_claim_rule *rule)
{
    const json_t *const given = json_object_get(json, "key");
    if (given == NULL && base != NULL) {
        return OW_OK;
    }
    OW_JSON *fallback = json_pack("[s,s]", "source", "id");
    return load_parts(load, given != NULL ? given : fallback,
                      ow_tree_path(load->arena, path, "key"), &rule->key_parts,
                      &rule->key_part_count);
}

enum ow_status ow_machine_load_claim(struct ow_machine_load *load, const json_t *json,
                                     const char *path, const struct ow_claim_rule *base,
                                     struct ow_claim_rule **ret_rule)
{
    struct ow_claim_rule *const rule = OW_ARENA_NEW(load->arena, struct ow_claim_rule);
    if (base != NULL) {
        *rule = *base;
    } else {
        rule->space = load->machine->name;
        rule->retention_ms = OW_CLAIM_RETENTION_MS_DEFAULT;
    }
    rule->space = ow_machine_load_member(load, json, "space", rule->space);
    const json_t *const retention = json_object_get(json, "retention");
    if (retention != NULL) {
        const bool good =
            ow_parse_duration_ms(ow_slice_of(json_string_value(retention)), &rule->retention_ms);
        OW_INVARIANT(good);
    }
    OW_TRY(load_claim_key(load, json, path, base, rule));
    OW_TRY(load_fingerprint(load, json, path, base, rule));
    *ret_rule = rule;
    return OW_OK;
}
