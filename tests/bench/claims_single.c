/*
 * The layout that everybody begins with: one table keyed by the key alone. With the same batches,
 * redeliveries, order of keys and pragmas; without sums over the rows, which the store has.
 */
#include "claims.h"

#include <sqlite3.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char schema[] =
    "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
    "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -65536; PRAGMA cell_size_check = ON;"
    "PRAGMA secure_delete = OFF; PRAGMA wal_autocheckpoint = 16384;"
    "CREATE TABLE claims (key BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 16),"
    " fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 9), ref INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID";

struct entry {
    uint8_t key[OW_CLAIM_KEY_BYTES];
    int64_t number;
};

struct single {
    char path[512];
    sqlite3 *handle;
    sqlite3_stmt *read, *insert;
    struct entry *entries;
    int64_t taken;
    uint64_t random;
};

static int compare(const void *a, const void *b)
{
    const struct entry *const left = a;
    const struct entry *const right = b;
    return memcmp(left->key, right->key, sizeof(left->key));
}

static void run(const struct single *single, const char *sql)
{
    claims_tool_check(sqlite3_exec(single->handle, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
}

static void remove_files(const struct single *single)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        char path[600];
        (void)snprintf(path, sizeof(path), "%s%s", single->path, ends[i]);
        (void)unlink(path);
    }
}

static void begin(struct single *single, const struct claims_options *options)
{
    *single = (struct single){.random = 1};
    (void)snprintf(single->path, sizeof(single->path), "%s/single.db", options->folder);
    remove_files(single);
    single->entries =
        calloc((size_t)(options->batch * (100 + options->again) / 100), sizeof(*single->entries));
    claims_tool_check(single->entries != NULL &&
                          sqlite3_open(single->path, &single->handle) == SQLITE_OK,
                      "the single table cannot be made");
    run(single, schema);
    claims_tool_check(
        sqlite3_prepare_v3(single->handle, "SELECT fingerprint, ref FROM claims WHERE key = ?", -1,
                           SQLITE_PREPARE_PERSISTENT, &single->read, NULL) == SQLITE_OK &&
            sqlite3_prepare_v3(single->handle,
                               "INSERT INTO claims (key, fingerprint, ref) VALUES (?, ?, ?)"
                               " ON CONFLICT (key) DO NOTHING",
                               -1, SQLITE_PREPARE_PERSISTENT, &single->insert, NULL) == SQLITE_OK,
        "the single table cannot be asked");
}

static void end(struct single *single, struct claims_singled *result)
{
    struct stat status = {0};
    (void)sqlite3_finalize(single->read);
    (void)sqlite3_finalize(single->insert);
    (void)sqlite3_close(single->handle);
    claims_tool_check(stat(single->path, &status) == 0, "the single table has no size");
    result->disk = (double)status.st_size / (double)single->taken;
    free(single->entries);
    remove_files(single);
}

static bool is_there(const struct single *single, const struct entry *entry)
{
    (void)sqlite3_bind_blob(single->read, 1, entry->key, sizeof(entry->key), SQLITE_STATIC);
    const int code = sqlite3_step(single->read);
    claims_tool_check(
        code == SQLITE_DONE ||
            (code == SQLITE_ROW && sqlite3_column_int64(single->read, 1) == entry->number + 1),
        "the single table cannot be read");
    (void)sqlite3_reset(single->read);
    return code == SQLITE_ROW;
}

static void insert(const struct single *single, const struct entry *entry)
{
    (void)sqlite3_bind_blob(single->insert, 1, entry->key, sizeof(entry->key), SQLITE_STATIC);
    (void)sqlite3_bind_blob(single->insert, 2, entry->key, OW_FINGERPRINT_BYTES, SQLITE_STATIC);
    (void)sqlite3_bind_int64(single->insert, 3, entry->number + 1);
    claims_tool_check(sqlite3_step(single->insert) == SQLITE_DONE,
                      "the single table cannot be written");
    (void)sqlite3_reset(single->insert);
}

static void take(struct single *single, const struct claims_options *options)
{
    const int64_t again = single->taken == 0 ? 0 : options->batch * options->again / 100;
    const int64_t count = options->batch + again;
    const int64_t among = single->taken < options->among ? single->taken : options->among;
    for (int64_t i = 0; i < count; i++) {
        single->random = claims_tool_mix(single->random);
        struct entry *entry = &single->entries[i];
        entry->number = i < options->batch
                            ? single->taken + i
                            : single->taken - among + (int64_t)(single->random % (uint64_t)among);
        claims_box_key(entry->number, entry->key);
    }
    qsort(single->entries, (size_t)count, sizeof(*single->entries), compare);
    run(single, "BEGIN IMMEDIATE");
    for (int64_t i = 0; i < count; i++) {
        const struct entry *entry = &single->entries[i];
        const bool old = is_there(single, entry);
        claims_tool_check(old == (entry->number < single->taken), "the single table is wrong");
        if (!old) {
            insert(single, entry);
        }
    }
    run(single, "COMMIT");
    single->taken += options->batch;
}

void claims_single(const struct claims_options *options, struct claims_singled *ret_singled)
{
    struct single single;
    struct claims_pace pace;
    begin(&single, options);
    claims_pace_begin(&pace, options->single);
    while (single.taken < options->single) {
        take(&single, options);
        claims_pace_mark(&pace, single.taken, "claims in one table");
    }
    *ret_singled = (struct claims_singled){.claims = single.taken, .pace = pace};
    end(&single, ret_singled);
}
