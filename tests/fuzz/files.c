#include "files.h"

#include "file.h"
#include "fuzz.h"

#include <stdio.h>

static struct ow_slice configuration;

void ow_files_set_configuration(struct ow_slice text)
{
    configuration = text;
}

/* A file of the source tree, read once and kept. */
static struct ow_slice source_file(const char *path, struct ow_buffer *kept)
{
    if (kept->len == 0) {
        char whole[1024];
        (void)snprintf(whole, sizeof whole, "%s/%s", OW_SOURCE_DIR, path);
        FILE *const file = fopen(whole, "re");
        OW_REQUIRE(file != NULL);
        char bytes[4096];
        size_t got = 0;
        while ((got = fread(bytes, 1, sizeof bytes, file)) > 0) {
            ow_buffer_append(kept, bytes, got);
        }
        (void)fclose(file);
    }
    return ow_buffer_view(kept);
}

/* Absent where there is no such file. */
static struct ow_slice find_file(const char *path)
{
    static struct ow_buffer orders;
    static struct ow_buffer loans;
    if (strcmp(path, "onceward.yaml") == 0) {
        return configuration;
    }
    if (strcmp(path, "orders.yaml") == 0) {
        return source_file("schemas/orders.yaml", &orders);
    }
    if (strcmp(path, "loans.yaml") == 0) {
        return source_file("tests/domain/loans.yaml", &loans);
    }
    if (strcmp(path, "broken.yaml") == 0) {
        return OW_SLICE("machine: broken\nversion: 0\nstates: {a: {}}\n");
    }
    if (strcmp(path, "secret") == 0) {
        return OW_SLICE(OW_FILES_SECRET "\n");
    }
    return strcmp(path, "empty") == 0 ? OW_SLICE("") : (struct ow_slice){0};
}

enum ow_status ow_file_read(const char *path, size_t bytes_max, struct ow_buffer *out,
                            struct ow_err *err)
{
    const struct ow_slice file = find_file(path);
    if (ow_slice_is_absent(file)) {
        return ow_fail(err, OW_BAD_CONFIG, "cannot open '%s': No such file or directory", path);
    }
    if (file.len > bytes_max) {
        return ow_fail(err, OW_BAD_CONFIG, "'%s' is larger than %zu bytes", path, bytes_max);
    }
    ow_buffer_slice(out, file);
    return OW_OK;
}

bool ow_file_exists(const char *path)
{
    return !ow_slice_is_absent(find_file(path));
}
