#include "transcript.h"

#include <stdio.h>

static bool read_file(struct ow_play *play, const char *path, struct ow_slice *ret_text)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return ow_play_fail(play, "cannot open %s", path);
    }
    enum { MOST = 1 << 20 };
    char *text = ow_arena_alloc(&play->arena, MOST + 1);
    const size_t len = fread(text, 1, MOST, file);
    (void)fclose(file);
    *ret_text = (struct ow_slice){(const uint8_t *)text, len};
    return true;
}

/* A machine is a file, or {file, with}: with is laid over what the file says. */
static enum ow_status add_machine(struct ow_play *play, const json_t *json, struct ow_err *err)
{
    static const char *const known[] = {"file", "with", NULL};
    const bool plain = json_is_string(json);
    if (!plain && !ow_play_known(play, json, known)) {
        return ow_fail(err, OW_BAD_CONFIG, "a machine is a file, or {file, with}");
    }
    const char *name = json_string_value(plain ? json : json_object_get(json, "file"));
    struct ow_slice text = {0};
    if (!read_file(play, ow_arena_printf(&play->arena, OW_SOURCE_DIR "/%s", name), &text)) {
        return ow_fail(err, OW_BAD_CONFIG, "no file %s", name);
    }
    struct ow_tree tree;
    OW_TRY(ow_tree_parse(name, text, NULL, NULL, &tree, err));
    json_t *with = plain ? NULL : json_object_get(json, "with");
    if (with != NULL) {
        (void)json_object_update_recursive(tree.root, with);
    }
    const enum ow_status status = ow_machines_add(&play->machines, &tree, err);
    ow_tree_done(&tree);
    return status;
}

static enum ow_status load_machines(struct ow_play *play, const json_t *machines,
                                    struct ow_err *err)
{
    ow_machines_done(&play->machines);
    ow_machines_init(&play->machines);
    for (size_t i = 0; i < json_array_size(machines); i++) {
        OW_TRY(add_machine(play, json_array_get(machines, i), err));
    }
    return ow_machines_check(&play->machines, err);
}

static enum ow_status open_store(struct ow_play *play, struct ow_err *err)
{
    const json_t *bucket_claims = json_object_get(play->tree.root, "bucket_claims");
    const struct ow_store_options options = {
        .path = play->store_path,
        .hash_key_file = play->key_path,
        .clock = ow_clock_manual(&play->clock),
        .bucket_claims = json_integer_value(bucket_claims),
    };
    return ow_store_open(&options, &play->machines, &play->store, err);
}

static enum ow_status start_worker(struct ow_play *play, struct ow_err *err)
{
    const struct ow_worker_options options = {
        .apply = {.store = play->store,
                  .machines = &play->machines,
                  .clock = ow_clock_manual(&play->clock),
                  .record_bytes_max = (size_t)OW_RECORD_BYTES_DEFAULT,
                  .claim_skew_ms = OW_CLAIM_SKEW_MS_DEFAULT},
        .batch_rows = play->variant->batch_rows,
        .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
        .batch_ms = OW_BATCH_MS_DEFAULT,
        .decode_threads = 0,
    };
    return ow_worker_start(&options, &play->worker, err);
}

bool ow_play_open(struct ow_play *play, const json_t *machines, enum ow_status *ret_status,
                  struct ow_err *err)
{
    *ret_status = machines == NULL ? OW_OK : load_machines(play, machines, err);
    if (*ret_status == OW_OK) {
        *ret_status = open_store(play, err);
    }
    if (*ret_status == OW_OK) {
        *ret_status = start_worker(play, err);
    }
    if (*ret_status == OW_OK && sqlite3_open_v2(play->store_path, &play->reader,
                                                SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        return ow_play_fail(play, "cannot open %s a second time", play->store_path);
    }
    return !play->failed;
}

void ow_play_close(struct ow_play *play)
{
    (void)sqlite3_close(play->reader);
    play->reader = NULL;
    ow_worker_stop(play->worker);
    play->worker = NULL;
    ow_store_close(play->store);
    play->store = NULL;
}
