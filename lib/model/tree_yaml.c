/* ow_tree_parse: libyaml's events, one by one, into jansson values. A stack of open collections, no
 * recursion. */
#include "base/buffer.h"
#include "model/tree_scalar.h"

#include <yaml.h>

#include <stdlib.h>

enum { DEPTH_MAX = 32, TEXT_BYTES_MAX = 1 << 20 };

struct frame {
    json_t *container; /* borrowed from its parent */
    size_t path_len;   /* of the container's own path */
    bool has_key;      /* an object whose next value belongs to key */
    struct ow_buffer key;
};

struct builder {
    struct ow_tree tree;
    ow_tree_variable_fn *variable;
    void *context;
    yaml_parser_t parser;
    struct frame frames[DEPTH_MAX];
    size_t depth;
    size_t documents;
    int line; /* of the current event */
    struct ow_buffer path, text;
    struct ow_err *err;
};

static void builder_done(struct builder *builder)
{
    yaml_parser_delete(&builder->parser);
    for (size_t i = 0; i < DEPTH_MAX; i++) {
        ow_buffer_done(&builder->frames[i].key);
    }
    ow_buffer_done(&builder->path);
    ow_buffer_done(&builder->text);
    ow_tree_done(&builder->tree);
}

/* Refuses what stands at the current event. */
static enum ow_status refuse(struct builder *builder, const char *what)
{
    ow_tree_set_line(&builder->tree, ow_buffer_cstr(&builder->path), builder->line);
    return ow_tree_fail(&builder->tree, ow_buffer_cstr(&builder->path), builder->err, "%s", what);
}

static void path_append(struct builder *builder, struct ow_slice name)
{
    ow_buffer_byte(&builder->path, '/');
    for (size_t i = 0; i < name.len; i++) {
        const uint8_t byte = name.ptr[i];
        if (byte == '~' || byte == '/') {
            ow_buffer_text(&builder->path, byte == '~' ? "~0" : "~1");
        } else {
            ow_buffer_byte(&builder->path, byte);
        }
    }
}

/* Puts a value (whose reference it takes) where the innermost open collection wants it. Its path is
 * then builder->path. */
static void attach(struct builder *builder, json_t *value)
{
    OW_REQUIRE(value != NULL);
    if (builder->depth == 0) {
        builder->tree.root = value;
        return;
    }
    struct frame *const frame = &builder->frames[builder->depth - 1];
    if (json_is_object(frame->container)) {
        json_object_set_new(frame->container, ow_buffer_cstr(&frame->key), value);
        frame->has_key = false;
    } else {
        char index[24];
        const int len = snprintf(index, sizeof index, "%zu", json_array_size(frame->container));
        builder->path.len = frame->path_len;
        path_append(builder, (struct ow_slice){(const uint8_t *)index, (size_t)len});
        ow_tree_set_line(&builder->tree, ow_buffer_cstr(&builder->path), builder->line);
        json_array_append_new(frame->container, value);
    }
}

static bool key_is_wanted(const struct builder *builder)
{
    const struct frame *const frame =
        builder->depth == 0 ? NULL : &builder->frames[builder->depth - 1];
    return frame != NULL && json_is_object(frame->container) && !frame->has_key;
}

static enum ow_status take_collection(struct builder *builder, json_t *container)
{
    if (key_is_wanted(builder)) {
        json_decref(container);
        return refuse(builder, "a key must be a text");
    }
    if (builder->depth == DEPTH_MAX) {
        json_decref(container);
        return refuse(builder, "nested deeper than 32 levels");
    }
    attach(builder, container);
    struct frame *const frame = &builder->frames[builder->depth++];
    frame->container = container;
    frame->path_len = builder->path.len;
    frame->has_key = false;
    return OW_OK;
}

static enum ow_status take_key(struct builder *builder, struct ow_slice key)
{
    struct frame *const frame = &builder->frames[builder->depth - 1];
    builder->path.len = frame->path_len;
    path_append(builder, key);
    if (memchr(key.ptr, '\0', key.len) != NULL) {
        return refuse(builder, "a key with a NUL character");
    }
    if (ow_slice_equals_text(key, "<<")) {
        return refuse(builder, "merge keys are not supported");
    }
    ow_buffer_clear(&frame->key);
    ow_buffer_slice(&frame->key, key);
    const bool twice = json_object_get(frame->container, ow_buffer_cstr(&frame->key)) != NULL;
    if (twice) {
        return refuse(builder, "this key comes twice");
    }
    ow_tree_set_line(&builder->tree, ow_buffer_cstr(&builder->path), builder->line);
    frame->has_key = true;
    return OW_OK;
}

static enum ow_status take_value(struct builder *builder, struct ow_slice text, bool plain)
{
    const bool was_empty = text.len == 0;
    const char *why = "a text that is not UTF-8";
    if (builder->variable != NULL) {
        ow_buffer_clear(&builder->text);
        if (!ow_tree_scalar_resolve(text, builder->variable, builder->context, &builder->text,
                                    &why)) {
            return refuse(builder, why);
        }
        text = ow_buffer_view(&builder->text);
    }
    if (text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL) {
        return refuse(builder, "a text with a NUL character");
    }
    /* ${VAR} with an empty value is an empty text and no null. */
    const bool typed = plain && (text.len > 0 || was_empty);
    json_t *const value =
        typed ? ow_tree_scalar_plain(text, &why) : json_stringn((const char *)text.ptr, text.len);
    if (value == NULL) {
        return refuse(builder, why);
    }
    attach(builder, value);
    return OW_OK;
}

static enum ow_status take_scalar(struct builder *builder, const yaml_event_t *event)
{
    const struct ow_slice text = {event->data.scalar.value, event->data.scalar.length};
    if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL) {
        return refuse(builder, "anchors and tags are not supported");
    }
    if (key_is_wanted(builder)) {
        return take_key(builder, text);
    }
    return take_value(builder, text, event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE);
}

static enum ow_status take_event(struct builder *builder, const yaml_event_t *event)
{
    builder->line = (int)event->start_mark.line + 1;
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return ++builder->documents == 1 ? OW_OK
                                         : refuse(builder, "a second document: one file holds one");
    case YAML_ALIAS_EVENT:
        return refuse(builder, "aliases are not supported");
    case YAML_SCALAR_EVENT:
        return take_scalar(builder, event);
    case YAML_SEQUENCE_START_EVENT:
        if (event->data.sequence_start.anchor != NULL || event->data.sequence_start.tag != NULL) {
            return refuse(builder, "anchors and tags are not supported");
        }
        return take_collection(builder, json_array());
    case YAML_MAPPING_START_EVENT:
        if (event->data.mapping_start.anchor != NULL || event->data.mapping_start.tag != NULL) {
            return refuse(builder, "anchors and tags are not supported");
        }
        return take_collection(builder, json_object());
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        OW_INVARIANT(builder->depth > 0);
        builder->path.len = builder->frames[--builder->depth].path_len;
        return OW_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return OW_OK;
    }
    OW_IMPOSSIBLE("an event that libyaml does not have");
}

static enum ow_status refuse_syntax(struct builder *builder)
{
    const yaml_parser_t *const parser = &builder->parser;
    builder->path.len = 0;
    builder->line = (int)parser->problem_mark.line + 1;
    if (parser->error == YAML_READER_ERROR) {
        builder->line = 0;
    }
    return refuse(builder, parser->problem == NULL ? "cannot be read as YAML" : parser->problem);
}

static enum ow_status parse_events(struct builder *builder)
{
    bool more = true;
    while (more) {
        yaml_event_t event;
        if (!yaml_parser_parse(&builder->parser, &event)) {
            return refuse_syntax(builder);
        }
        const enum ow_status status = take_event(builder, &event);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        OW_TRY(status);
    }
    if (builder->tree.root == NULL || json_is_null(builder->tree.root)) {
        builder->tree.root = json_object(); /* an empty file */
    }
    if (!json_is_object(builder->tree.root)) {
        builder->line = 1;
        return refuse(builder, "expects keys with values, not a list or a single value");
    }
    return OW_OK;
}

enum ow_status ow_tree_parse(const char *file, struct ow_slice text, ow_tree_variable_fn *variable,
                             void *context, struct ow_tree *ret_tree, struct ow_err *err)
{
    if (text.len > TEXT_BYTES_MAX) {
        return ow_fail(err, OW_BAD_CONFIG, "%s: larger than 1 MiB", file);
    }
    OW_CLEANUP(builder_done)
    struct builder builder = {.variable = variable, .context = context, .err = err};
    builder.tree.file = strdup(file);
    builder.tree.lines = json_object();
    const int made = yaml_parser_initialize(&builder.parser);
    OW_INVARIANT(made && builder.tree.file != NULL && builder.tree.lines != NULL);
    yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&builder.parser,
                                 text.len == 0 ? (const yaml_char_t *)"" : text.ptr, text.len);
    OW_TRY(parse_events(&builder));
    *ret_tree = builder.tree;
    builder.tree = (struct ow_tree){0};
    return OW_OK;
}

const char *ow_tree_library_version(void)
{
    return yaml_get_version_string();
}
