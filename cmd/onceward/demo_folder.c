#include "demo_folder.h"

#include "base/buffer.h"
#include "file.h"
#include "orders_yaml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum ow_status name_files(struct ow_demo_folder *folder, struct ow_err *err)
{
    const struct {
        char *path;
        const char *name;
    } files[] = {
        {folder->store,   "orders.db"    },
        {folder->config,  "onceward.yaml"},
        {folder->machine, "orders.yaml"  },
        {folder->log,     "worker.log"   },
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (snprintf(files[i].path, OW_DEMO_PATH_BYTES, "%s/%s", folder->path, files[i].name) >=
            OW_DEMO_PATH_BYTES) {
            return ow_fail(err, OW_BAD_CONFIG, "the folder's name is too long: '%s'", folder->path);
        }
    }
    return OW_OK;
}

static enum ow_status make_folder(const char *wanted, char *path, struct ow_err *err)
{
    if (mkdir(wanted, 0700) != 0 && errno != EEXIST) {
        return ow_fail(err, OW_BAD_CONFIG, "cannot make folder '%s': %s", wanted,
                       strerrordesc_np(errno));
    }
    char *whole = realpath(wanted, NULL);
    if (whole == NULL) {
        return ow_fail(err, OW_BAD_CONFIG, "cannot use folder '%s': %s", wanted,
                       strerrordesc_np(errno));
    }
    const int len = snprintf(path, OW_DEMO_PATH_BYTES, "%s", whole);
    free(whole);
    return len < OW_DEMO_PATH_BYTES
               ? OW_OK
               : ow_fail(err, OW_BAD_CONFIG, "the folder's name is too long: '%s'", wanted);
}

static enum ow_status make_temporary(char *path, struct ow_err *err)
{
    /* Before any thread of ours is started. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    const char *below = getenv("TMPDIR");
    if (below == NULL || below[0] != '/') {
        below = "/tmp";
    }
    if (snprintf(path, OW_DEMO_PATH_BYTES, "%s/onceward-demo-XXXXXX", below) >=
            OW_DEMO_PATH_BYTES ||
        mkdtemp(path) == NULL) {
        return ow_fail(err, OW_FAILED, "cannot make a folder in '%s': %s", below,
                       strerrordesc_np(errno));
    }
    return OW_OK;
}

enum ow_status ow_demo_folder_open(struct ow_demo_folder *folder, const char *wanted,
                                   struct ow_err *err)
{
    OW_TRY(wanted == NULL ? make_temporary(folder->path, err)
                          : make_folder(wanted, folder->path, err));
    OW_TRY(name_files(folder, err));
    if (ow_file_exists(folder->store)) {
        return ow_fail(err, OW_BAD_CONFIG,
                       "'%s' is there already: the demo begins with an empty store", folder->store);
    }
    return OW_OK;
}

static enum ow_status write_file(const char *path, struct ow_slice text, struct ow_err *err)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return ow_fail(err, OW_FAILED, "cannot write '%s': %s", path, strerrordesc_np(errno));
    }
    const bool written = fwrite(text.ptr, 1, text.len, file) == text.len;
    if (fclose(file) != 0 || !written) {
        return ow_fail(err, OW_FAILED, "cannot write '%s': %s", path, strerrordesc_np(errno));
    }
    return OW_OK;
}

/* A YAML text in double quotes. */
static void put_quoted(struct ow_buffer *out, const char *text)
{
    ow_buffer_byte(out, '"');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            ow_buffer_byte(out, '\\');
        }
        ow_buffer_byte(out, (uint8_t)*c);
    }
    ow_buffer_byte(out, '"');
}

enum ow_status ow_demo_folder_write(const struct ow_demo_folder *folder, const char *bootstraps,
                                    struct ow_err *err)
{
    OW_TRY(write_file(folder->machine, ow_slice_of(ow_orders_yaml), err));
    OW_BUFFER text = {0};
    ow_buffer_text(
        &text, "# Made by `onceward demo`. Its brokers are gone when it ends.\nstore: { path: ");
    put_quoted(&text, folder->store);
    ow_buffer_text(&text, " }\nkafka:\n  group: order-worker\n  start: earliest\n  properties:\n   "
                          " bootstrap.servers: ");
    put_quoted(&text, bootstraps);
    /*
     * The mock knows no static membership: after a kill the group waits for the dead member, for
     * the session timeout less a second. So the session is short, but longer than the 3 s that the
     * first join takes: within these the mock would throw the waiting member out again, for ever.
     */
    ow_buffer_text(&text,
                   "\n    session.timeout.ms: 3200\n    heartbeat.interval.ms: 500\nmachines: [ ");
    put_quoted(&text, folder->machine);
    ow_buffer_text(&text, " ]\n");
    return write_file(folder->config, ow_buffer_view(&text), err);
}
