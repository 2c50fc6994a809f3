#include "fuzz.h"

#include <stdio.h>

uint8_t ow_fuzz_byte(struct ow_fuzz_input *input)
{
    if (input->rest.len == 0) {
        return 0;
    }
    const uint8_t byte = input->rest.ptr[0];
    input->rest = (struct ow_slice){input->rest.ptr + 1, input->rest.len - 1};
    return byte;
}

struct ow_slice ow_fuzz_line(struct ow_fuzz_input *input)
{
    if (input->rest.len == 0) {
        return OW_SLICE("");
    }
    const uint8_t *const end = memchr(input->rest.ptr, '\n', input->rest.len);
    const size_t len = end == NULL ? input->rest.len : (size_t)(end - input->rest.ptr);
    const size_t used = end == NULL ? len : len + 1;
    const struct ow_slice line = {input->rest.ptr, len};
    input->rest = (struct ow_slice){input->rest.ptr + used, input->rest.len - used};
    return line;
}

static void add_machine(struct ow_machines *machines, const char *name, struct ow_slice text)
{
    struct ow_err err = {.text = ""};
    struct ow_tree tree;
    enum ow_status status = ow_tree_parse(name, text, NULL, NULL, &tree, &err);
    if (status == OW_OK) {
        status = ow_machines_add(machines, &tree, &err);
        ow_tree_done(&tree);
    }
    if (status != OW_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    OW_REQUIRE(status == OW_OK);
}

void ow_fuzz_add_text(struct ow_machines *machines, struct ow_slice text)
{
    add_machine(machines, "fuzz.yaml", text);
}

void ow_fuzz_add_file(struct ow_machines *machines, const char *path)
{
    char whole[1024];
    (void)snprintf(whole, sizeof whole, "%s/%s", OW_SOURCE_DIR, path);
    FILE *const file = fopen(whole, "re");
    OW_REQUIRE(file != NULL);
    OW_BUFFER text = {0};
    char bytes[4096];
    size_t got = 0;
    while ((got = fread(bytes, 1, sizeof bytes, file)) > 0) {
        ow_buffer_append(&text, bytes, got);
    }
    (void)fclose(file);
    add_machine(machines, path, ow_buffer_view(&text));
}

bool ow_fuzz_is_text(struct ow_slice text)
{
    return text.ptr != NULL && text.len > 0 && memchr(text.ptr, 0, text.len) == NULL &&
           ow_slice_is_utf8(text);
}

struct ow_slice ow_fuzz_canonical(struct ow_arena *arena, const json_t *json)
{
    OW_BUFFER out = {0};
    ow_json_canonical(&out, json, NULL, NULL, 0);
    return ow_arena_copy(arena, ow_buffer_view(&out));
}
