#include "file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void close_file(FILE **file)
{
    if (*file != NULL) {
        (void)fclose(*file);
    }
}

enum ow_status ow_file_read(const char *path, size_t bytes_max, struct ow_buffer *out,
                            struct ow_err *err)
{
    OW_CLEANUP(close_file) FILE *file = fopen(path, "re");
    if (file == NULL) {
        return ow_fail(err, OW_BAD_CONFIG, "cannot open '%s': %s", path, strerrordesc_np(errno));
    }
    char bytes[4096];
    size_t got = 0;
    while ((got = fread(bytes, 1, sizeof bytes, file)) > 0) {
        if (out->len + got > bytes_max) {
            return ow_fail(err, OW_BAD_CONFIG, "'%s' is larger than %zu bytes", path, bytes_max);
        }
        ow_buffer_append(out, bytes, got);
    }
    if (ferror(file)) {
        return ow_fail(err, OW_BAD_CONFIG, "cannot read '%s': %s", path, strerrordesc_np(errno));
    }
    return OW_OK;
}

bool ow_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}
