#include "store/check.h"

#include "store/inflight.h"
#include "store/internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reading all pages of a larger file takes longer than a first look may; `verify` does it. */
enum { QUICK_CHECK_BYTES_MAX = 256 << 20 };

struct look {
    const struct ow_check *check;
    const struct ow_machines *machines;
    const char *hash_key_file;
    struct ow_arena arena;
    struct ow_sql sql;
};

static void look_at_missing(struct look *look, const char *path)
{
    const char *const slash = strrchr(path, '/');
    const char *const folder =
        slash == NULL || slash == path
            ? (slash == NULL ? "." : "/")
            : ow_arena_text(&look->arena,
                            (struct ow_slice){(const uint8_t *)path, (size_t)(slash - path)});
    if (access(folder, W_OK | X_OK) != 0) {
        ow_check_failed(look->check, OW_BAD_CONFIG, "store",
                        "'%s' is not there, and its directory '%s' is not writable", path, folder);
        return;
    }
    ow_check_good(look->check, "store", "'%s' is not there yet: run will create it", path);
}

/* Another process that holds the lock is a worker at work: worth a word, and no fault. */
static void look_at_lock(struct look *look, const char *path)
{
    const int fd = open(ow_arena_printf(&look->arena, "%s.lock", path), O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fd < 0) {
        return;
    }
    if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) {
        ow_check_good(look->check, "store",
                      "in use by another process: a second run would end with %d",
                      ow_status_exit_code(OW_TEMPORARY));
    }
    (void)close(fd);
}

static enum ow_status look_at_machine(struct look *look, const struct ow_machine *machine,
                                      struct ow_err *err)
{
    OW_STATEMENT find = {0};
    OW_TRY(ow_sql_prepare(
        &look->sql,
        "SELECT version, digest FROM ow_machine WHERE name = ? ORDER BY version DESC LIMIT 1",
        &find, err));
    ow_sql_bind_cstr(&find, machine->name);
    bool row = false;
    OW_TRY(ow_sql_step(&find, &row, err));
    const struct ow_slice digest = {machine->digest, sizeof machine->digest};
    const int64_t version = row ? ow_sql_i64(&find, 0) : 0;
    if (version > machine->version) {
        ow_check_failed(look->check, OW_UNSAFE, "store",
                        "it was used with version %" PRId64
                        " of machine '%s', the file has %" PRId64,
                        version, machine->name, machine->version);
    } else if (version == machine->version && !ow_slice_equal(ow_sql_slice(&find, 1), digest)) {
        ow_check_failed(look->check, OW_UNSAFE, "store",
                        "machine '%s' was changed, but its version is still %" PRId64 ": raise it",
                        machine->name, version);
    } else if (version == machine->version) {
        ow_check_good(look->check, "store", "knows version %" PRId64 " of machine '%s'", version,
                      machine->name);
    } else {
        ow_check_good(look->check, "store", "version %" PRId64 " of machine '%s' is new to it",
                      machine->version, machine->name);
    }
    return OW_OK;
}

static enum ow_status look_at_pages(struct look *look, const char *path, struct ow_err *err)
{
    struct stat status;
    if (stat(path, &status) == 0 && status.st_size > QUICK_CHECK_BYTES_MAX) {
        ow_check_good(look->check, "store",
                      "%lld MiB: too large for a quick look at its pages, verify reads them all",
                      (long long)(status.st_size >> 20));
        return OW_OK;
    }
    OW_STATEMENT quick = {0};
    OW_TRY(ow_sql_prepare(&look->sql, "PRAGMA quick_check(1)", &quick, err));
    bool row = false;
    OW_TRY(ow_sql_step(&quick, &row, err));
    if (!row || !ow_slice_equals_text(ow_sql_slice(&quick, 0), "ok")) {
        const struct ow_slice text = row ? ow_sql_slice(&quick, 0) : OW_SLICE("no answer");
        return ow_fail(err, OW_UNSAFE, "it is damaged, restore a backup: " OW_SLICE_FMT,
                       OW_SLICE_ARG(text));
    }
    ow_check_good(look->check, "store", "its pages are sound");
    return OW_OK;
}

/* Records that the worker died of, as far as it knows. */
static void look_at_accused(struct look *look, const char *path, const char *id)
{
    const struct ow_suspects *suspects = ow_inflight_look(path, id, &look->arena);
    struct ow_err refusal;
    if (ow_inflight_refuse(suspects, path, &refusal) != OW_OK) {
        ow_check_failed(look->check, OW_UNSAFE, "store", "%s", refusal.text);
    }
    for (size_t i = 0; suspects != NULL && i < suspects->accused_count; i++) {
        const struct ow_accused *accused = &suspects->accused[i];
        const struct ow_slice topic = {accused->place.topic, accused->place.topic_len};
        ow_check_warning(look->check, "store",
                         "the worker died %u time(s) while " OW_SLICE_FMT "[%d] offset %" PRId64
                         "%s was in work alone: after %d it is quarantined as poison",
                         (unsigned)accused->deaths, OW_SLICE_ARG(topic),
                         (int)accused->place.partition, accused->place.offset,
                         accused->parked_id == 0 ? "" : ", or rather a parked one that it wakes,",
                         OW_SUSPECT_DEATHS);
    }
}

static enum ow_status look_inside(struct look *look, const char *path, struct ow_err *err)
{
    enum ow_store_kind kind = OW_STORE_KIND_EMPTY;
    OW_TRY(ow_store_identify(&look->sql, path, &kind, err));
    if (kind == OW_STORE_KIND_EMPTY) {
        ow_check_good(look->check, "store", "'%s' is empty: run will fill it", path);
        return OW_OK;
    }
    int64_t backup_at_ms = 0;
    OW_TRY(ow_sql_query_i64(&look->sql, "SELECT value FROM ow_meta WHERE key = 'backup_at_ms'",
                            &backup_at_ms, err));
    if (backup_at_ms != 0) {
        return ow_fail(err, OW_UNSAFE, "'%s' is a backup: put it in place with 'onceward restore'",
                       path);
    }
    const char *id = NULL;
    OW_TRY(ow_meta_get_text(&look->sql, "store_id", &look->arena, &id, err));
    ow_check_good(look->check, "store", "'%s' is a store with schema version %s%d, id %s", path,
                  kind == OW_STORE_KIND_OLDER ? "below the present, run will bring it up to " : "",
                  OW_STORE_SCHEMA_VERSION, id == NULL ? "unknown" : id);
    if (id != NULL && strlen(id) == OW_STORE_ID_BYTES - 1) {
        look_at_accused(look, path, id);
    }
    struct ow_hash_key key;
    OW_TRY(ow_store_key_load(&look->sql, look->hash_key_file, false, &key, err));
    for (size_t i = 0; i < look->machines->count; i++) {
        OW_TRY(look_at_machine(look, look->machines->list[i], err));
    }
    return look_at_pages(look, path, err);
}

static enum ow_status look_at_store(struct look *look, const char *path, struct ow_err *err)
{
    const char *whole = NULL;
    bool exists = false;
    OW_TRY(ow_store_path_check(path, &look->arena, &whole, &exists, err));
    if (!exists) {
        look_at_missing(look, whole);
        return OW_OK;
    }
    if (access(whole, W_OK) != 0) {
        return ow_fail(err, OW_BAD_CONFIG, "'%s' is not writable", whole);
    }
    look_at_lock(look, whole);
    OW_TRY(ow_sql_open(&look->sql, whole, OW_SQL_READER, err));
    const enum ow_status status = look_inside(look, whole, err);
    ow_sql_close(&look->sql);
    return status;
}

void ow_store_check(const char *path, const char *hash_key_file, const struct ow_machines *machines,
                    const struct ow_check *check)
{
    struct look look = {.check = check, .machines = machines, .hash_key_file = hash_key_file};
    struct ow_err err;
    ow_arena_init(&look.arena, 4096);
    const enum ow_status status = look_at_store(&look, path, &err);
    if (status != OW_OK) {
        ow_check_failed(check, status, "store", "%s", err.text);
    }
    ow_arena_done(&look.arena);
}

const char *ow_store_library_version(void)
{
    return sqlite3_libversion();
}

const char *ow_store_library_source_id(void)
{
    return sqlite3_sourceid();
}
