/*
 * json: what is taken for JSON and what is not, against a reader of our own (strict.h); pointers
 * against a walk over the whole document; the canonical form against jansson's writer and against
 * itself: read again it is the same, and the order of members makes no difference.
 *
 * An input is one JSON text, or none.
 */
#include "fuzz.h"
#include "strict.h"

#include <math.h>
#include <stdlib.h>

enum { NODES_MAX = 256, POINTERS_MAX = 24 };

struct node {
    json_t *value;
    json_t *parent;
    const char *name; /* in an object */
    size_t index;     /* in an array */
    const char *path;
};

/* The values of a document, outer ones first. */
struct nodes {
    struct node list[NODES_MAX];
    size_t count;
    bool all; /* there are no more than these */
};

static void add_node(struct nodes *nodes, struct node node)
{
    if (nodes->count < NODES_MAX) {
        nodes->list[nodes->count++] = node;
    } else {
        nodes->all = false;
    }
}

static struct nodes *walk(struct ow_arena *arena, json_t *root)
{
    struct nodes *const nodes = OW_ARENA_NEW(arena, struct nodes);
    nodes->all = true;
    add_node(nodes, (struct node){.value = root, .path = ""});
    for (size_t done = 0; done < nodes->count; done++) {
        const struct node at = nodes->list[done];
        const char *name = NULL;
        json_t *value = NULL;
        json_object_foreach(at.value, name, value)
        {
            add_node(nodes, (struct node){.value = value,
                                          .parent = at.value,
                                          .name = name,
                                          .path = ow_tree_path(arena, at.path, name)});
        }
        for (size_t i = 0; i < json_array_size(at.value); i++) {
            add_node(nodes, (struct node){.value = json_array_get(at.value, i),
                                          .parent = at.value,
                                          .index = i,
                                          .path = ow_arena_printf(arena, "%s/%zu", at.path, i)});
        }
    }
    return nodes;
}

/* Where our form and jansson's are the same: no reals, no control characters without a short name.
 */
static bool is_plain(const struct nodes *nodes, struct ow_slice canonical)
{
    for (size_t i = 0; i < nodes->count; i++) {
        if (json_is_real(nodes->list[i].value)) {
            return false;
        }
    }
    for (size_t i = 0; i + 1 < canonical.len; i++) {
        if (canonical.ptr[i] == '\\' && canonical.ptr[++i] == 'u') {
            return false;
        }
    }
    return nodes->all;
}

static void check_against_jansson(const struct nodes *nodes, const json_t *root,
                                  struct ow_slice canonical)
{
    if (!is_plain(nodes, canonical)) {
        return;
    }
    char *const dumped = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    OW_PROMISE(dumped != NULL && ow_slice_equals_text(canonical, dumped));
    free(dumped);
}

/* DESIGN 5 writes reals as %.17g does: a real -0 is "-0", which JSON reads back as the integer 0.
 */
static bool has_minus_zero(const struct nodes *nodes)
{
    for (size_t i = 0; i < nodes->count; i++) {
        const json_t *value = nodes->list[i].value;
        if (json_is_real(value) && fpclassify(json_real_value(value)) == FP_ZERO &&
            signbit(json_real_value(value))) {
            return true;
        }
    }
    return !nodes->all; /* or may have */
}

/* The canonical form is JSON, and its own canonical form. */
static void check_idempotent(struct ow_arena *arena, const struct nodes *nodes,
                             struct ow_slice canonical)
{
    const char *why = NULL;
    OW_JSON *again = ow_json_parse(canonical, arena, &why);
    OW_PROMISE(again != NULL);
    OW_PROMISE(has_minus_zero(nodes) || ow_slice_equal(ow_fuzz_canonical(arena, again), canonical));
}

/* Every value is found under its path, and left out where it is ignored. */
static void check_pointers(struct ow_arena *arena, struct nodes *nodes, const json_t *root)
{
    for (size_t i = 0; i < nodes->count && i < POINTERS_MAX; i++) {
        const struct node *const node = &nodes->list[i];
        struct ow_pointer pointer;
        OW_PROMISE(ow_pointer_parse(arena, node->path, &pointer));
        OW_PROMISE(ow_pointer_get(&pointer, root) == node->value);
        if (node->parent == NULL) {
            continue;
        }
        OW_BUFFER without = {0};
        ow_json_canonical(&without, root, NULL, &pointer, 1);
        (void)json_incref(node->value);
        const char *const name =
            node->name == NULL ? NULL : ow_arena_text(arena, ow_slice_of(node->name));
        OW_REQUIRE((name != NULL ? json_object_del(node->parent, name)
                                 : json_array_remove(node->parent, node->index)) == 0);
        const struct ow_slice removed = ow_fuzz_canonical(arena, root);
        OW_PROMISE(ow_slice_equal(ow_buffer_view(&without), removed));
        OW_REQUIRE((name != NULL
                        ? json_object_set_new(node->parent, name, node->value)
                        : json_array_insert_new(node->parent, node->index, node->value)) == 0);
        nodes->list[i].name = name; /* jansson's went with the member */
    }
}

/* Turns the members of every object around, in place. */
static void reverse_members(const struct nodes *nodes)
{
    for (size_t i = 0; i < nodes->count; i++) {
        json_t *const object = nodes->list[i].value;
        if (!json_is_object(object)) {
            continue;
        }
        OW_JSON *members = json_array();
        const char *name = NULL;
        json_t *value = NULL;
        json_object_foreach(object, name, value)
        {
            OW_REQUIRE(json_array_append_new(members, json_string(name)) == 0 &&
                       json_array_append(members, value) == 0);
        }
        (void)json_object_clear(object);
        for (size_t at = json_array_size(members); at > 0; at -= 2) {
            OW_REQUIRE(json_object_set(object, json_string_value(json_array_get(members, at - 2)),
                                       json_array_get(members, at - 1)) == 0);
        }
    }
}

static void check_document(struct ow_arena *arena, json_t *root)
{
    struct nodes *const nodes = walk(arena, root);
    const struct ow_slice canonical = ow_fuzz_canonical(arena, root);
    OW_PROMISE(ow_fuzz_is_text(canonical));
    check_against_jansson(nodes, root, canonical);
    check_idempotent(arena, nodes, canonical);
    check_pointers(arena, nodes, root);
    reverse_members(nodes);
    OW_PROMISE(ow_slice_equal(ow_fuzz_canonical(arena, root), canonical));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 65536);
    const struct ow_slice text = {bytes, len};
    const char *why = NULL;
    json_t *const root = ow_json_parse(text, &arena, &why);
    OW_PROMISE(ow_strict_json(text, &arena) == (root != NULL));
    if (root == NULL) {
        OW_PROMISE(why != NULL && why[0] != '\0');
    } else {
        check_document(&arena, root);
        json_decref(root);
    }
    ow_arena_done(&arena);
    return 0;
}
