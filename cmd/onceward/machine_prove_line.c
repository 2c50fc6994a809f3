/* The lines of a machine file: the compiled machine does not keep them, so the file is read again.
 */
#include "file.h"
#include "machine_prove.h"
#include "model/prove.h"

enum { FILE_BYTES_MAX = 1 << 20 };

struct ow_tree ow_machine_prove_tree(const struct ow_machine *machine)
{
    OW_BUFFER text = {0};
    struct ow_tree tree = {0};
    struct ow_err err;
    if (ow_file_read(machine->file, FILE_BYTES_MAX, &text, &err) != OW_OK ||
        ow_tree_parse(machine->file, ow_buffer_view(&text), NULL, NULL, &tree, &err) != OW_OK) {
        return (struct ow_tree){0};
    }
    return tree;
}

int ow_machine_prove_line(const struct ow_tree *tree, const struct ow_proof_cell *cell)
{
    if (tree->root == NULL || cell->transition == NULL) {
        return 0;
    }
    OW_CLEANUP(ow_arena_done) struct ow_arena arena;
    ow_arena_init(&arena, 1024);
    const json_t *const event =
        json_object_get(json_object_get(tree->root, "events"), cell->event->name);
    const char *path = ow_arena_printf(
        &arena, "%s%s/%td", ow_tree_path(&arena, "/events", cell->event->name),
        json_is_object(event) ? "/transitions" : "", cell->transition - cell->event->transitions);
    if (cell->requirement != NULL) {
        path = ow_arena_printf(&arena, "%s/require/%td", path,
                               cell->requirement - cell->transition->requirements);
    }
    return ow_tree_line(tree, path);
}
