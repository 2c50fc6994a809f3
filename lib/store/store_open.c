#include "base/failpoint.h"
#include "base/log.h"
#include "store/internal.h"

#include <stdlib.h>

static enum ow_status open_file(struct ow_store *store, const struct ow_store_options *options,
                                struct ow_err *err);
static enum ow_status settle(struct ow_store *store, enum ow_store_kind kind, struct ow_err *err);
static enum ow_status create(struct ow_store *store, const char *hash_key_file, struct ow_err *err);
static enum ow_status take_over(struct ow_store *store, const struct ow_store_options *options,
                                struct ow_machines *machines, struct ow_err *err);
static enum ow_status prepare(struct ow_store *store, const struct ow_machines *machines,
                              struct ow_err *err);
static enum ow_status load(struct ow_store *store, const struct ow_machines *machines,
                           struct ow_err *err);

static void begin(const struct ow_store_options *options, const char *doing)
{
    if (options->begins != NULL) {
        options->begins(doing, options->begins_context);
    }
}

/*
 * Before anything else in a connection. Each with its reason; measured and sourced in
 * reference/kafka-and-sqlite.md 2.
 */
static const char pragmas[] =
    /* Commits append to one file, and readers (verify, explain, backups) never stop the writer. */
    "PRAGMA journal_mode = WAL;"
    /* An offset is committed to Kafka, and an HTTP caller answered, after COMMIT: it must survive a
       power cut. */
    "PRAGMA synchronous = FULL;"
    /* The WAL is cut back to 64 MiB after a checkpoint, so that one long reader does not cost disk
       for ever. */
    "PRAGMA journal_size_limit = 67108864;"
    /* 64 MiB of pages: the open buckets, the hot entities and the inner pages of all trees stay in
       memory. */
    "PRAGMA cache_size = -65536;"
    /* Through a map an I/O error would be SIGBUS instead of a code. */
    "PRAGMA mmap_size = 0;"
    /* Sorting never depends on room in /tmp. */
    "PRAGMA temp_store = MEMORY;"
    /* Off by default in SQLite; an operator's own tables may reference ours. */
    "PRAGMA foreign_keys = ON;"
    /* A schema from elsewhere cannot run functions with side effects. */
    "PRAGMA trusted_schema = OFF;"
    /* A damaged page is found when it is read, and not when it has done more damage. */
    "PRAGMA cell_size_check = ON;"
    /* Debian builds with ON: every deleted claim would be overwritten with zeros. */
    "PRAGMA secure_delete = OFF;"
    /* 64 MiB between checkpoints: a page that changes in many commits is written back once (a third
       more records a second than with 16 MiB); recovery after a kill reads no more than that. */
    "PRAGMA wal_autocheckpoint = 16384;";

/* Before the first table: 4 KiB is the disk's own unit, and a random write costs no more than that.
 */
static const char pragmas_new[] = "PRAGMA page_size = 4096; PRAGMA auto_vacuum = NONE;";

enum ow_status ow_store_open(const struct ow_store_options *options, struct ow_machines *machines,
                             struct ow_store **ret_store, struct ow_err *err)
{
    OW_REQUIRE(options->path != NULL);
    OW_REQUIRE(options->bucket_claims >= 0);
    OW_REQUIRE(options->piece_claims >= 0);
    OW_REQUIRE(options->wal_bytes >= 0);
    struct ow_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    ow_arena_init(&store->arena, 16384);
    ow_arena_init(&store->text_arena, 4096);
    ow_seals_init(&store->seals);
    store->lock_fd = -1;
    store->clock = options->clock;
    store->bucket_claims = options->bucket_claims == 0 ? OW_BUCKET_CLAIMS : options->bucket_claims;
    store->piece_claims = options->piece_claims == 0 ? OW_PIECE_CLAIMS : options->piece_claims;
    store->wal_bytes = options->wal_bytes == 0 ? OW_WAL_BYTES_DEFAULT : options->wal_bytes;
    enum ow_status status = open_file(store, options, err);
    if (status == OW_OK) {
        status = take_over(store, options, machines, err);
    }
    if (status == OW_OK) {
        begin(options, "reading the store's filters");
        status = prepare(store, machines, err);
    }
    if (status == OW_OK) {
        status = load(store, machines, err);
    }
    if (status != OW_OK) {
        ow_store_close(store);
        return status;
    }
    *ret_store = store;
    return OW_OK;
}

/*
 * Takes the lock. While somebody else has it, everything is looked at anew each time: the owner may
 * have created the file meanwhile, and an operator may have put another folder or lock file there.
 */
static enum ow_status own_file(struct ow_store *store, const struct ow_store_options *options,
                               bool *ret_exists, enum ow_store_end *ret_last, struct ow_err *err)
{
    for (;;) {
        ow_arena_reset(&store->arena);
        begin(options, "taking the store's lock");
        OW_TRY(ow_store_path_check(options->path, &store->arena, &store->path, ret_exists, err));
        const enum ow_status status =
            ow_store_lock(store->path, &store->arena, &store->lock_fd, ret_last, err);
        if (status != OW_TEMPORARY || options->wait_owner == NULL) {
            return status;
        }
        begin(options, NULL);
        if (!options->wait_owner(err, options->wait_context)) {
            return status;
        }
    }
}

/* A backup is older than the store that it was made of, and would go on as if nothing had come
 * since. */
static enum ow_status refuse_backup(struct ow_store *store, struct ow_err *err)
{
    int64_t at_ms = 0;
    OW_TRY(ow_sql_query_i64(&store->sql, "SELECT value FROM ow_meta WHERE key = 'backup_at_ms'",
                            &at_ms, err));
    return at_ms == 0
               ? OW_OK
               : ow_fail(err, OW_UNSAFE,
                         "the file '%s' is a backup and no store to go on with: put it in place "
                         "with 'onceward restore'",
                         store->path);
}

static enum ow_status enter(struct ow_store *store, const struct ow_store_options *options,
                            struct ow_err *err)
{
    enum ow_store_kind kind = OW_STORE_KIND_EMPTY;
    /* Before the pragmas write to the file. */
    OW_TRY(ow_store_identify(&store->sql, store->path, &kind, err));
    if (kind != OW_STORE_KIND_EMPTY && !options->restored) {
        OW_TRY(refuse_backup(store, err));
    }
    OW_TRY(settle(store, kind, err));
    return kind == OW_STORE_KIND_EMPTY ? create(store, options->hash_key_file, err)
                                       : ow_store_key_load(&store->sql, options->hash_key_file,
                                                           false, &store->hash_key, err);
}

/*
 * What the kernel has in memory need not be what is on the disk: write it again, then look. Also
 * where entering already met what is damaged, so that it is said what to do about it.
 */
static enum ow_status examine(struct ow_store *store, const struct ow_store_options *options,
                              struct ow_err *err)
{
    begin(options, NULL); /* the log may be as large as limits.wal_bytes, the store has no limit */
    const bool damaged = store->sql.damaged;
    if (!damaged) {
        OW_TRY(ow_sql_exec(&store->sql, "PRAGMA wal_checkpoint(TRUNCATE)", err));
    }
    const enum ow_status status = ow_store_integrity(&store->sql, err);
    if (status == OW_STORE_UNKNOWN && store->sql.damaged) {
        return ow_fail(err, OW_UNSAFE,
                       "the store is damaged, restore a backup: what its pages "
                       "hold is no table of tables");
    }
    OW_TRY(status);
    if (!damaged) {
        ow_store_lock_cleared(store->lock_fd);
        store->suspect = false;
    }
    return OW_OK;
}

static enum ow_status open_file(struct ow_store *store, const struct ow_store_options *options,
                                struct ow_err *err)
{
    bool exists = false;
    enum ow_store_end last = OW_STORE_END_CLOSED;
    OW_TRY(own_file(store, options, &exists, &last, err));
    store->suspect = last == OW_STORE_END_SUSPECT;
    OW_FAILPOINT(START_LOCKED);
    begin(options, "opening the store");
    if (!exists) {
        OW_TRY(ow_store_path_create(store->path, err));
    }
    OW_TRY(ow_sql_open(&store->sql, store->path, OW_SQL_OWNER, err));
    const enum ow_status status = enter(store, options, err);
    if (store->suspect && (status == OW_OK || store->sql.damaged)) {
        OW_TRY(examine(store, options, err));
    }
    return status;
}

static enum ow_status settle(struct ow_store *store, enum ow_store_kind kind, struct ow_err *err)
{
    if (kind == OW_STORE_KIND_EMPTY) {
        OW_TRY(ow_sql_exec(&store->sql, pragmas_new, err));
    }
    return ow_sql_exec(&store->sql, pragmas, err);
}

static enum ow_status create(struct ow_store *store, const char *hash_key_file, struct ow_err *err)
{
    OW_TRY(ow_sql_exec(&store->sql, "BEGIN IMMEDIATE", err));
    OW_TRY(ow_store_create_schema(&store->sql, ow_clock_now_ms(&store->clock), err));
    OW_TRY(ow_store_key_load(&store->sql, hash_key_file, true, &store->hash_key, err));
    return ow_sql_commit(&store->sql, err);
}

/* From here on whoever still has the file open as an owner finds another epoch than its own, and
 * stops. */
static enum ow_status take_over(struct ow_store *store, const struct ow_store_options *options,
                                struct ow_machines *machines, struct ow_err *err)
{
    struct ow_sql *sql = &store->sql;
    struct ow_seal_before before;
    int64_t from = 0;
    begin(options, "taking the store over");
    OW_TRY(ow_sql_exec(sql, "BEGIN IMMEDIATE", err));
    begin(options, NULL); /* a migration, a new index, sums of all rows */
    OW_TRY(ow_seal_open_begin(store, &before, err));
    OW_TRY(ow_store_migrate(sql, &from, err));
    if (from < OW_STORE_SCHEMA_VERSION) {
        OW_FAILPOINT(START_MIGRATED);
    }
    OW_TRY(ow_sql_exec(sql, "DELETE FROM ow_meta WHERE key = 'backup_at_ms'", err));
    OW_TRY(ow_sql_query_i64(sql, "SELECT value FROM ow_meta WHERE key = 'restored_epoch'",
                            &store->restored_epoch, err));
    OW_TRY(ow_meta_get_i64(sql, "epoch", &store->epoch, err));
    store->epoch++;
    OW_TRY(ow_meta_put_i64(sql, "epoch", store->epoch, err));
    OW_FAILPOINT(START_EPOCH);
    OW_TRY(ow_meta_get_i64(sql, "batch", &store->batch, err));
    OW_TRY(ow_meta_get_i64(sql, "next_ref", &store->next_ref, err));
    const char *id = NULL;
    OW_TRY(ow_meta_get_text(sql, "store_id", &store->arena, &id, err));
    if (id == NULL || strlen(id) != sizeof(store->id) - 1) {
        return ow_fail(err, OW_UNSAFE, "the store '%s' has no valid store_id", store->path);
    }
    memcpy(store->id, id, sizeof(store->id));
    OW_TRY(ow_store_machines(sql, machines, err));
    OW_TRY(ow_store_horizon_replace(sql, machines, ow_clock_now_ms(&store->clock), err));
    OW_TRY(ow_seal_open_end(store, &before, err));
    begin(options, ow_store_is_behind(store) ? NULL : "committing that the store is taken over");
    OW_TRY(ow_sql_commit(sql, err));
    OW_FAILPOINT(START_OWNED);
    if (from < OW_STORE_SCHEMA_VERSION) {
        ow_log(OW_LOG_INFO, "store_migrated", "store=%s from=%d to=%d", store->path, (int)from,
               OW_STORE_SCHEMA_VERSION);
    }
    return OW_OK;
}

static enum ow_status prepare(struct ow_store *store, const struct ow_machines *machines,
                              struct ow_err *err)
{
    static const char *const texts[OW_STATEMENT_COUNT] = {
#define OW_STATEMENT_TEXT(name, text) [OW_STATEMENT_##name] = (text),
        OW_STATEMENT_TABLE(OW_STATEMENT_TEXT)
#undef OW_STATEMENT_TEXT
    };
    static const enum ow_statement_name sealed[] = {
        OW_STATEMENT_CLAIM_INSERT,  OW_STATEMENT_HISTORY_INSERT,    OW_STATEMENT_SIGHTING_INSERT,
        OW_STATEMENT_PARKED_INSERT, OW_STATEMENT_QUARANTINE_INSERT, OW_STATEMENT_BUCKET_OPEN,
        OW_STATEMENT_TEXT_INSERT,   OW_STATEMENT_FILTER_INSERT,     OW_STATEMENT_AUDIT_INSERT};
    for (size_t i = 0; i < OW_STATEMENT_COUNT; i++) {
        OW_TRY(ow_sql_prepare(&store->sql, texts[i], &store->statements[i], err));
    }
    for (size_t i = 0; i < sizeof(sealed) / sizeof(sealed[0]); i++) {
        ow_seal_prepare(store, ow_store_statement(store, sealed[i]));
    }
    return ow_machine_statements_prepare(store, machines, err);
}

static enum ow_status load(struct ow_store *store, const struct ow_machines *machines,
                           struct ow_err *err)
{
    OW_TRY(ow_store_horizon_load(store, machines, err));
    OW_TRY(ow_bucket_load(store, machines, err));
    OW_TRY(ow_filter_load(store, err));
    OW_TRY(ow_text_load(store, err));
    OW_TRY(ow_parked_load(store, machines, err));
    store->committed = store->live;
    return OW_OK;
}

void ow_store_close(struct ow_store *store)
{
    if (store == NULL) {
        return;
    }
    for (size_t i = 0; i < OW_STATEMENT_COUNT; i++) {
        ow_sql_finalize(&store->statements[i]);
    }
    ow_machine_statements_done(store);
    const bool suspect = store->sql.unknown || store->suspect;
    const enum ow_store_end end = suspect ? OW_STORE_END_SUSPECT : OW_STORE_END_CLOSED;
    ow_sql_rollback(&store->sql);
    OW_FAILPOINT(CLOSE_BEFORE);
    ow_sql_close(&store->sql); /* the last connection writes the WAL back and removes it */
    OW_FAILPOINT(CLOSE_CHECKPOINTED);
    ow_store_unlock(store->lock_fd, end);
    free(store->sealed);
    ow_filters_done(&store->filters);
    ow_seals_done(&store->seals);
    ow_arena_done(&store->text_arena);
    ow_arena_done(&store->arena);
    free(store);
}

const char *ow_store_id(const struct ow_store *store)
{
    return store->id;
}

const char *ow_store_path(const struct ow_store *store)
{
    return store->path;
}

int64_t ow_store_epoch(const struct ow_store *store)
{
    return store->epoch;
}

int64_t ow_store_restored_epoch(const struct ow_store *store)
{
    return store->restored_epoch;
}

const struct ow_hash_key *ow_store_hash_key(const struct ow_store *store)
{
    return &store->hash_key;
}
