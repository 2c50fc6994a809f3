#include "claims_box.h"

#include "model/tree.h"

#include <sqlite3.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void claims_box_machines(struct ow_machines *machines)
{
    static char text[65536];
    struct ow_err err = {0};
    struct ow_tree tree;
    FILE *file = fopen(OW_SOURCE_DIR "/schemas/orders.yaml", "re");
    claims_tool_check(file != NULL && fread(text, 1, sizeof(text) - 1, file) > 0,
                      "schemas/orders.yaml cannot be read");
    (void)fclose(file);
    ow_machines_init(machines);
    claims_tool_must(ow_tree_parse("orders.yaml", ow_slice_of(text), NULL, NULL, &tree, &err),
                     &err);
    claims_tool_must(ow_machines_add(machines, &tree, &err), &err);
    ow_tree_done(&tree);
    claims_tool_must(ow_machines_check(machines, &err), &err);
}

static void remove_files(const struct claims_box *box)
{
    static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        char path[600];
        (void)snprintf(path, sizeof(path), "%s%s", box->path, ends[i]);
        (void)unlink(path);
    }
}

void claims_box_init(struct claims_box *box, const char *folder, const char *name)
{
    *box = (struct claims_box){.clock = ow_clock_system(), .random = 1, .among = INT64_MAX};
    box->class_ms = OW_CLAIM_RETENTION_MS_DEFAULT;
    (void)snprintf(box->path, sizeof(box->path), "%s/%s.db", folder, name);
    remove_files(box);
    claims_box_machines(&box->machines);
    ow_arena_init(&box->arena, (size_t)1 << 20);
}

void claims_box_open(struct claims_box *box)
{
    const struct ow_store_options options = {
        .path = box->path, .clock = box->clock, .bucket_claims = box->bucket_claims};
    claims_tool_must(ow_store_open(&options, &box->machines, &box->store, &box->err), &box->err);
    box->more = true;
}

void claims_box_close(struct claims_box *box)
{
    ow_store_close(box->store);
    box->store = NULL;
}

void claims_box_done(struct claims_box *box)
{
    claims_box_close(box);
    ow_machines_done(&box->machines);
    ow_arena_done(&box->arena);
    remove_files(box);
}

void claims_box_key(int64_t number, uint8_t ret_key[OW_CLAIM_KEY_BYTES])
{
    const uint64_t half[2] = {claims_tool_mix((uint64_t)number),
                              claims_tool_mix((uint64_t)number ^ UINT64_C(1) << 63)};
    memcpy(ret_key, half, sizeof(half));
}

static void begin(struct claims_box *box)
{
    ow_arena_reset(&box->arena);
    ow_world_reset(&box->world, &box->arena, &box->machines, ow_clock_now_ms(&box->clock));
    claims_tool_must(ow_store_begin(box->store, &box->world, &box->err), &box->err);
}

static struct ow_claim *want(struct claims_box *box, int64_t number)
{
    uint8_t key[OW_CLAIM_KEY_BYTES];
    claims_box_key(number, key);
    return ow_world_claim(&box->world, key, box->class_ms);
}

/* The numbers of claims that are there, and that will not be pruned soon. */
static int64_t old_number(struct claims_box *box)
{
    box->random = claims_tool_mix(box->random);
    const int64_t kept = box->taken - box->pruned;
    const int64_t among = kept < box->among ? kept : box->among;
    return box->taken - among + (int64_t)(box->random % (uint64_t)among);
}

static void claim_it(struct claims_box *box, struct ow_claim *claim)
{
    claims_tool_check(claim->loaded && !claim->taken, "a new key is taken already");
    claim->taken = claim->fresh = true;
    claim->ref = box->world.next_ref++;
    memcpy(claim->fingerprint, claim->key, sizeof(claim->fingerprint));
}

void claims_box_take(struct claims_box *box, size_t fresh, size_t again)
{
    begin(box);
    again = box->taken == box->pruned ? 0 : again;
    struct ow_claim **const list = OW_ARENA_ARRAY(&box->arena, fresh, struct ow_claim *);
    struct ow_claim **const olds = OW_ARENA_ARRAY(&box->arena, again, struct ow_claim *);
    int64_t *const numbers = OW_ARENA_ARRAY(&box->arena, again, int64_t);
    for (size_t i = 0; i < fresh; i++) {
        list[i] = want(box, box->taken + (int64_t)i);
    }
    for (size_t i = 0; i < again; i++) {
        numbers[i] = old_number(box);
        olds[i] = want(box, numbers[i]);
    }
    claims_tool_must(ow_store_read(box->store, &box->world, &box->err), &box->err);
    for (size_t i = 0; i < again; i++) {
        claims_tool_check(olds[i]->taken && olds[i]->ref == numbers[i] + 1 &&
                              memcmp(olds[i]->fingerprint, olds[i]->key, OW_FINGERPRINT_BYTES) == 0,
                          "a claim was not found again");
    }
    for (size_t i = 0; i < fresh; i++) {
        claim_it(box, list[i]);
    }
    claims_tool_must(ow_store_write(box->store, &box->world, NULL, &box->err), &box->err);
    claims_tool_must(ow_store_commit(box->store, &box->world, &box->err), &box->err);
    box->taken += (int64_t)fresh;
}

double claims_box_look(struct claims_box *box, size_t keys)
{
    begin(box);
    for (size_t i = 0; i < keys; i++) {
        box->random = claims_tool_mix(box->random);
        const struct ow_claim *claim = want(box, INT64_C(1) << 40 | (int64_t)(box->random >> 24));
        claims_tool_check(!claim->taken, "a key of nobody is taken");
    }
    const double start = claims_tool_now();
    claims_tool_must(ow_store_read(box->store, &box->world, &box->err), &box->err);
    const double seconds = claims_tool_now() - start;
    for (const struct ow_claim *claim = box->world.claims; claim != NULL; claim = claim->next) {
        claims_tool_check(claim->loaded && !claim->taken, "a key of nobody is taken");
    }
    ow_store_rollback(box->store);
    return seconds;
}

void claims_box_step(struct claims_box *box, size_t rows, int64_t limit_ms)
{
    const struct ow_tending tending = {
        .now_ms = ow_clock_now_ms(&box->clock), .limit_ms = limit_ms, .rows = rows};
    claims_tool_must(ow_store_tend(box->store, &tending, &box->more, &box->err), &box->err);
}

bool claims_box_tend(struct claims_box *box, size_t batch, int64_t limit_ms)
{
    const double now = claims_tool_now();
    if (!box->more && now - box->tended < 1) {
        return false;
    }
    claims_box_step(box, 1024 + 4 * batch, limit_ms);
    box->tended = now;
    return true;
}

void claims_box_tend_all(struct claims_box *box)
{
    box->more = true;
    while (box->more) {
        claims_box_step(box, 16384, INT64_MIN);
    }
}

int64_t claims_box_sql(const struct claims_box *box, const char *sql)
{
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    int64_t value = 0;
    bool good = sqlite3_open(box->path, &handle) == SQLITE_OK;
    while (good && *sql != '\0') {
        good = sqlite3_prepare_v2(handle, sql, -1, &statement, &sql) == SQLITE_OK;
        while (good && statement != NULL && sqlite3_step(statement) == SQLITE_ROW) {
            value = sqlite3_column_int64(statement, 0);
        }
        good = sqlite3_finalize(statement) == SQLITE_OK && good;
    }
    claims_tool_check(good, "SQL beside the store failed");
    (void)sqlite3_close(handle);
    return value;
}

double claims_box_bytes(struct claims_box *box)
{
    struct stat status = {0};
    (void)claims_box_sql(box, "PRAGMA wal_checkpoint(TRUNCATE)");
    claims_tool_check(stat(box->path, &status) == 0, "the store's file has no size");
    return (double)status.st_size;
}

void claims_box_cool(const struct claims_box *box)
{
    const int fd = open(box->path, O_RDONLY | O_CLOEXEC);
    claims_tool_check(fd >= 0 && fdatasync(fd) == 0 &&
                          posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0,
                      "the store's file cannot be taken out of memory");
    (void)close(fd);
}
