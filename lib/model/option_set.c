/* Values from the command line into a tree, and a checked tree into a struct. */
#include "base/nearest.h"
#include "base/parse.h"
#include "model/option.h"

/* The tree's text for a value from the command line; what does not fit stays a text, and the check
 * will say so. */
static json_t *value_of(const struct ow_option *option, const char *text)
{
    int64_t integer = 0;
    if (option->kind == OW_OPTION_INTEGER && ow_parse_i64(ow_slice_of(text), &integer)) {
        return json_integer(integer);
    }
    if (option->kind == OW_OPTION_BOOL &&
        (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)) {
        return json_boolean(strcmp(text, "true") == 0);
    }
    if (option->kind != OW_OPTION_LIST) {
        return json_string(text);
    }
    json_t *const list = json_array();
    const char *at = text;
    while (*at != '\0') {
        const size_t len = strcspn(at, ",");
        json_array_append_new(list, json_stringn(at, len));
        at += len + (at[len] == ',' ? 1 : 0);
    }
    return list;
}

/* The member whose name is the part of path before its first dot. */
static const struct ow_option *member_of(const struct ow_option *object, struct ow_slice name)
{
    const struct ow_option *member = object->members;
    while (member->name != NULL && !ow_slice_equals_text(name, member->name)) {
        member++;
    }
    return member->name == NULL ? NULL : member;
}

static enum ow_status unknown_name(const struct ow_option *object, const char *path,
                                   const char *name, struct ow_err *err)
{
    struct ow_nearest nearest = {.word = name};
    for (const struct ow_option *member = object->members; member->name != NULL; member++) {
        ow_nearest_offer(&nearest, member->name);
    }
    return nearest.best == NULL
               ? ow_fail(err, OW_BAD_CONFIG, "--set %s: unknown key '%s'", path, name)
               : ow_fail(err, OW_BAD_CONFIG, "--set %s: unknown key '%s' (did you mean '%s'?)",
                         path, name, nearest.best);
}

/* The object under name, made where it is not there. */
static json_t *enter(json_t *parent, const char *name)
{
    json_t *child = json_object_get(parent, name);
    if (!json_is_object(child)) {
        child = json_object();
        json_object_set_new(parent, name, child);
    }
    return child;
}

static enum ow_status set_at(const struct ow_option *root, struct ow_tree *tree,
                             struct ow_arena *arena, const char *const texts[2], struct ow_err *err)
{
    const char *const path = texts[0];
    const struct ow_option *object = root;
    json_t *parent = tree->root;
    const char *pointer = "";
    const char *rest = path;
    while (true) {
        const bool is_map = object->kind == OW_OPTION_MAP;
        const size_t len = is_map ? strlen(rest) : strcspn(rest, ".");
        const struct ow_slice name = {(const uint8_t *)rest, len};
        const char *const name_text = ow_arena_text(arena, name);
        const struct ow_option *const member = is_map ? object->item : member_of(object, name);
        if (member == NULL) {
            return unknown_name(object, path, name_text, err);
        }
        pointer = ow_tree_path(arena, pointer, name_text);
        const bool opens = member->kind == OW_OPTION_OBJECT || member->kind == OW_OPTION_MAP;
        if (opens == (rest[len] == '\0') || (member->kind == OW_OPTION_CHOICE)) {
            return ow_fail(err, OW_BAD_CONFIG, "--set %s: '%s' is %s", path, name_text,
                           opens ? "a group of keys, name one of them"
                                 : "no group of keys, or only for the file");
        }
        if (!opens) {
            json_object_set_new(parent, name_text, value_of(member, texts[1]));
            ow_tree_set_line(tree, pointer, OW_TREE_LINE_SET);
            return OW_OK;
        }
        parent = enter(parent, name_text);
        object = member;
        rest += len + 1;
    }
}

enum ow_status ow_option_set(const struct ow_option *root, struct ow_tree *tree, const char *path,
                             const char *value, struct ow_err *err)
{
    OW_REQUIRE(path != NULL && value != NULL);
    if (!ow_slice_is_utf8(ow_slice_of(path)) || !ow_slice_is_utf8(ow_slice_of(value))) {
        return ow_fail(err, OW_BAD_CONFIG, "--set: what is given is not UTF-8");
    }
    struct ow_arena arena;
    ow_arena_init(&arena, 1024);
    const char *const texts[2] = {path, value};
    const enum ow_status status = set_at(root, tree, &arena, texts, err);
    ow_arena_done(&arena);
    return status;
}

static void bind_text(const char *text, struct ow_arena *arena, void *field)
{
    const char *const copy = text == NULL ? NULL : ow_arena_text(arena, ow_slice_of(text));
    memcpy(field, &copy, sizeof copy);
}

/* A table's own default that does not parse is our bug. */
static void bind_integer(const struct ow_option *option, const json_t *value, void *field)
{
    int64_t integer = 0;
    const char *const text = json_is_string(value) ? json_string_value(value) : option->fallback;
    if (json_is_integer(value)) {
        integer = json_integer_value(value);
    } else if (text != NULL) {
        const bool good = option->kind == OW_OPTION_DURATION
                              ? ow_parse_duration_ms(ow_slice_of(text), &integer)
                              : ow_parse_i64(ow_slice_of(text), &integer);
        OW_INVARIANT(good);
    }
    memcpy(field, &integer, sizeof integer);
}

static void bind_one(const struct ow_option *option, const json_t *value, struct ow_arena *arena,
                     void *field)
{
    switch (option->kind) {
    case OW_OPTION_TEXT:
    case OW_OPTION_WORD:
        bind_text(json_is_string(value) ? json_string_value(value) : option->fallback, arena,
                  field);
        return;
    case OW_OPTION_INTEGER:
    case OW_OPTION_DURATION:
        bind_integer(option, value, field);
        return;
    case OW_OPTION_BOOL:
        *(bool *)field = value == NULL
                             ? option->fallback != NULL && strcmp(option->fallback, "true") == 0
                             : json_is_true(value);
        return;
    case OW_OPTION_SCALAR:
    case OW_OPTION_OBJECT:
    case OW_OPTION_LIST:
    case OW_OPTION_MAP:
    case OW_OPTION_CHOICE:
        OW_IMPOSSIBLE("only single values are bound");
    }
}

void ow_option_bind(const struct ow_option *root, const struct ow_tree *tree,
                    struct ow_arena *arena, void *target)
{
    struct visit {
        const struct ow_option *members;
        const json_t *value; /* NULL: the object is absent, its members take their defaults */
    };
    OW_BUFFER queue = {0};
    const struct visit first = {root->members, tree->root};
    ow_buffer_append(&queue, &first, sizeof first);
    for (size_t done = 0; done < queue.len; done += sizeof(struct visit)) {
        struct visit visit;
        memcpy(&visit, queue.ptr + done, sizeof visit);
        for (const struct ow_option *member = visit.members; member->name != NULL; member++) {
            const json_t *const value = json_object_get(visit.value, member->name);
            if (member->bind != 0) {
                bind_one(member, value, arena, (char *)target + (member->bind - 1));
            } else if (member->kind == OW_OPTION_OBJECT) {
                const struct visit next = {member->members, value};
                ow_buffer_append(&queue, &next, sizeof next);
            }
        }
    }
}
