/* The JSON Schema (2020-12) of a table. Children are filled after their parent, from a queue: no
 * recursion. */
#include "base/limits.h"
#include "base/parse.h"
#include "model/option.h"

struct visit {
    const struct ow_option *option;
    json_t *node; /* borrowed: it hangs in the schema already, empty */
};

struct schema {
    json_t *definitions;
    struct ow_buffer queue;
};

static void push(struct schema *schema, const struct ow_option *option, json_t *node)
{
    const struct visit visit = {option, node};
    ow_buffer_append(&schema->queue, &visit, sizeof visit);
}

static json_t *text(const char *content)
{
    json_t *const value = json_string(content);
    OW_ENSURE(value != NULL);
    return value;
}

static void put(json_t *node, const char *key, json_t *value)
{
    json_object_set_new(node, key, value);
}

/* An empty node under key, to be filled later. */
static json_t *put_node(json_t *node, const char *key)
{
    json_t *const child = json_object();
    put(node, key, child);
    return child;
}

static void put_count(json_t *node, const struct ow_option *option, const char *least,
                      const char *most)
{
    if (option->min != 0) {
        put(node, least, json_integer(option->min));
    }
    if (option->max != 0) {
        put(node, most, json_integer(option->max));
    }
}

static void fill_text(const struct ow_option *option, json_t *node)
{
    put(node, "type", text("string"));
    put_count(node, option, "minLength", "maxLength");
    if (option->form != NULL) {
        put(node, "pattern", text(option->form->pattern));
    }
}

static void fill_integer(const struct ow_option *option, json_t *node)
{
    const bool open = option->min == 0 && option->max == 0;
    put(node, "type", text("integer"));
    put(node, "minimum", json_integer(open ? -OW_INTEGER_MAX : option->min));
    put(node, "maximum", json_integer(option->max == 0 ? OW_INTEGER_MAX : option->max));
}

static void fill_word(const struct ow_option *option, json_t *node)
{
    json_t *const words = json_array();
    for (size_t i = 0; option->words[i] != NULL; i++) {
        json_array_append_new(words, text(option->words[i]));
    }
    put(node, "enum", words);
}

static void fill_object(struct schema *schema, const struct ow_option *option, json_t *node)
{
    json_t *const required = json_array();
    put(node, "type", text("object"));
    json_t *const properties = put_node(node, "properties");
    for (const struct ow_option *member = option->members; member->name != NULL; member++) {
        push(schema, member, put_node(properties, member->name));
        if (member->required) {
            json_array_append_new(required, text(member->name));
        }
    }
    put(node, "additionalProperties", json_false());
    if (json_array_size(required) > 0) {
        put(node, "required", required);
    } else {
        json_decref(required);
    }
    if (option->exactly_one != NULL) {
        json_t *const one_of = json_array();
        for (size_t i = 0; option->exactly_one[i] != NULL; i++) {
            json_array_append_new(one_of, json_pack("{s:[s]}", "required", option->exactly_one[i]));
        }
        put(node, "oneOf", one_of);
    }
}

static void fill_map(struct schema *schema, const struct ow_option *option, json_t *node)
{
    put(node, "type", text("object"));
    put_count(node, option, "minProperties", "maxProperties");
    if (option->form != NULL) {
        put(node, "propertyNames", json_pack("{s:s}", "pattern", option->form->pattern));
    }
    push(schema, option->item, put_node(node, "additionalProperties"));
}

static void fill_list(struct schema *schema, const struct ow_option *option, json_t *node)
{
    put(node, "type", text("array"));
    put_count(node, option, "minItems", "maxItems");
    push(schema, option->item, put_node(node, "items"));
}

static void fill_choice(struct schema *schema, const struct ow_option *option, json_t *node)
{
    json_t *const any_of = json_array();
    put(node, "anyOf", any_of);
    for (size_t i = 0; option->choices[i] != NULL; i++) {
        json_t *const child = json_object();
        json_array_append_new(any_of, child);
        push(schema, option->choices[i], child);
    }
}

static void fill_kind(struct schema *schema, const struct ow_option *option, json_t *node)
{
    switch (option->kind) {
    case OW_OPTION_TEXT:
        fill_text(option, node);
        return;
    case OW_OPTION_INTEGER:
        fill_integer(option, node);
        return;
    case OW_OPTION_BOOL:
        put(node, "type", text("boolean"));
        return;
    case OW_OPTION_DURATION:
        put(node, "type", text("string"));
        put(node, "pattern",
            text(option->min > 0 ? "^0*[1-9][0-9]*(ms|s|m|h|d)$" : "^[0-9]+(ms|s|m|h|d)$"));
        return;
    case OW_OPTION_WORD:
        fill_word(option, node);
        return;
    case OW_OPTION_SCALAR:
        put(node, "type", json_pack("[s,s]", "string", "number"));
        return;
    case OW_OPTION_OBJECT:
        fill_object(schema, option, node);
        return;
    case OW_OPTION_LIST:
        fill_list(schema, option, node);
        return;
    case OW_OPTION_MAP:
        fill_map(schema, option, node);
        return;
    case OW_OPTION_CHOICE:
        fill_choice(schema, option, node);
        return;
    }
}

/* A default as the file would hold it; lists are left to the description. */
static void put_default(const struct ow_option *option, json_t *node)
{
    int64_t integer = 0;
    if (option->kind == OW_OPTION_INTEGER &&
        ow_parse_i64(ow_slice_of(option->fallback), &integer)) {
        put(node, "default", json_integer(integer));
    } else if (option->kind == OW_OPTION_BOOL) {
        put(node, "default", json_boolean(strcmp(option->fallback, "true") == 0));
    } else if (option->kind == OW_OPTION_LIST) {
        json_t *const list = json_array();
        const char *at = option->fallback + strspn(option->fallback, "[ ");
        while (*at != '\0' && *at != ']') {
            const size_t len = strcspn(at, ",] ");
            json_array_append_new(list, json_stringn(at, len));
            at += len + strspn(at + len, ", ");
        }
        put(node, "default", list);
    } else {
        put(node, "default", text(option->fallback));
    }
}

static void fill_about(const struct ow_option *option, json_t *node)
{
    if (option->text != NULL) {
        OW_BUFFER about = {0};
        ow_buffer_text(&about, option->text);
        if (option->unit != NULL) {
            ow_buffer_printf(&about, " Unit: %s.", option->unit);
        }
        if (option->inert) {
            ow_buffer_text(&about, " Has no effect yet.");
        }
        put(node, "description", text(ow_buffer_cstr(&about)));
    }
    if (option->fallback != NULL) {
        put_default(option, node);
    }
}

static void fill(struct schema *schema, const struct ow_option *option, json_t *node)
{
    fill_about(option, node);
    if (option->shared == NULL) {
        fill_kind(schema, option, node);
        return;
    }
    OW_BUFFER reference = {0};
    ow_buffer_printf(&reference, "#/$defs/%s", option->shared);
    put(node, "$ref", text(ow_buffer_cstr(&reference)));
    if (json_object_get(schema->definitions, option->shared) == NULL) {
        fill_kind(schema, option, put_node(schema->definitions, option->shared));
    }
}

json_t *ow_option_schema(const struct ow_option *root, const char *title)
{
    struct schema schema = {.definitions = json_object()};
    json_t *const document = json_object();
    put(document, "$schema", text("https://json-schema.org/draft/2020-12/schema"));
    put(document, "title", text(title));
    push(&schema, root, document);
    for (size_t done = 0; done < schema.queue.len; done += sizeof(struct visit)) {
        struct visit visit;
        memcpy(&visit, schema.queue.ptr + done, sizeof visit);
        fill(&schema, visit.option, visit.node);
    }
    ow_buffer_done(&schema.queue);
    if (json_object_size(schema.definitions) > 0) {
        put(document, "$defs", schema.definitions);
    } else {
        json_decref(schema.definitions);
    }
    return document;
}
