#include "model/tree.h"

#include "base/buffer.h"
#include "model/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void ow_tree_done(struct ow_tree *tree)
{
    free(tree->file);
    json_decref(tree->root);
    json_decref(tree->lines);
    *tree = (struct ow_tree){0};
}

enum ow_status ow_tree_parse_json(const char *file, struct ow_slice text, struct ow_tree *ret_tree,
                                  struct ow_err *err)
{
    OW_CLEANUP(ow_arena_done) struct ow_arena arena;
    ow_arena_init(&arena, 512);
    const char *why = "not an object";
    json_t *root = ow_json_parse(text, &arena, &why);
    if (!json_is_object(root)) {
        json_decref(root);
        return ow_fail(err, OW_BAD_CONFIG, "%s: %s", file, why);
    }
    *ret_tree = (struct ow_tree){.file = strdup(file), .root = root, .lines = json_object()};
    OW_INVARIANT(ret_tree->file != NULL && ret_tree->lines != NULL);
    return OW_OK;
}

const char *ow_tree_path(struct ow_arena *arena, const char *parent, const char *name)
{
    OW_BUFFER path = {0};
    ow_buffer_text(&path, parent);
    ow_buffer_byte(&path, '/');
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '~' || *at == '/') {
            ow_buffer_text(&path, *at == '~' ? "~0" : "~1");
        } else {
            ow_buffer_byte(&path, (uint8_t)*at);
        }
    }
    return ow_arena_text(arena, ow_buffer_view(&path));
}

void ow_tree_set_line(struct ow_tree *tree, const char *path, int line)
{
    json_object_set_new(tree->lines, path, json_integer(line));
}

int ow_tree_line(const struct ow_tree *tree, const char *path)
{
    OW_BUFFER parent = {0};
    ow_buffer_text(&parent, path);
    while (true) {
        const json_t *const line = json_object_get(tree->lines, ow_buffer_cstr(&parent));
        if (line != NULL) {
            return (int)json_integer_value(line);
        }
        if (parent.len == 0) {
            return 0;
        }
        do {
            parent.len--;
        } while (parent.ptr[parent.len] != '/');
    }
}

/* "/kafka/properties/a~1b" as "kafka.properties.a/b". */
static void append_dotted(struct ow_buffer *out, const char *path)
{
    const char *at = path[0] == '/' ? path + 1 : path;
    for (; *at != '\0'; at++) {
        if (at[0] == '~' && (at[1] == '0' || at[1] == '1')) {
            ow_buffer_byte(out, at[1] == '0' ? '~' : '/');
            at++;
        } else {
            ow_buffer_byte(out, *at == '/' ? '.' : (uint8_t)*at);
        }
    }
}

enum ow_status ow_tree_fail(const struct ow_tree *tree, const char *path, struct ow_err *err,
                            const char *format, ...)
{
    OW_BUFFER text = {0};
    const int line = ow_tree_line(tree, path);
    if (line == OW_TREE_LINE_SET) {
        ow_buffer_text(&text, "--set: ");
    } else if (line > 0) {
        ow_buffer_printf(&text, "%s:%d: ", tree->file, line);
    } else {
        ow_buffer_printf(&text, "%s: ", tree->file);
    }
    if (path[0] != '\0') {
        append_dotted(&text, path);
        ow_buffer_text(&text, ": ");
    }
    char what[sizeof err->text];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return ow_fail(err, OW_BAD_CONFIG, "%s%s", ow_buffer_cstr(&text), what);
}
