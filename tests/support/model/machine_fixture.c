#include "machine_fixture.h"

#include <stdio.h>
#include <stdlib.h>

static enum ow_status add(struct ow_machines *machines, const char *name, struct ow_slice text,
                          struct ow_err *err)
{
    struct ow_tree tree;
    OW_TRY(ow_tree_parse(name, text, NULL, NULL, &tree, err));
    const enum ow_status status = ow_machines_add(machines, &tree, err);
    ow_tree_done(&tree);
    return status;
}

enum ow_status ow_fixture_add_text(struct ow_machines *machines, const char *text,
                                   struct ow_err *err)
{
    return add(machines, "test.yaml", ow_slice_of(text), err);
}

enum ow_status ow_fixture_add_file(struct ow_machines *machines, const char *path,
                                   struct ow_err *err)
{
    char whole[1024];
    (void)snprintf(whole, sizeof whole, "%s/%s", OW_SOURCE_DIR, path);
    FILE *const file = fopen(whole, "re");
    if (file == NULL) {
        return ow_fail(err, OW_FAILED, "cannot open '%s'", whole);
    }
    OW_BUFFER text = {0};
    char bytes[4096];
    size_t got = 0;
    while ((got = fread(bytes, 1, sizeof bytes, file)) > 0) {
        ow_buffer_append(&text, bytes, got);
    }
    (void)fclose(file);
    return add(machines, path, ow_buffer_view(&text), err);
}

const char *ow_fixture_cell(const struct ow_machine *machine, const char *state, const char *event)
{
    const int number = ow_machine_state(machine, ow_slice_of(state));
    const struct ow_event_type *const type = ow_machine_event(machine, ow_slice_of(event));
    OW_REQUIRE(number >= 0 && type != NULL);
    return ow_cell_text(type->cells[number].kind);
}
