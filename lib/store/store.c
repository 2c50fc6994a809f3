#include "store/store.h"

#include "base/failpoint.h"
#include "store/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

/* What is written to a file without a name is lost with us; one that was put in its place has
 * another past. One stat(2) a batch, which SQLite takes for a move where it fails. */
static enum ow_status check_place(struct ow_store *store, struct ow_err *err)
{
    if (!ow_sql_has_moved(&store->sql)) {
        return OW_OK;
    }
    struct stat status;
    if (stat(store->path, &status) != 0 && ow_store_path_status(errno) == OW_TEMPORARY) {
        return ow_fail(err, OW_TEMPORARY, "cannot look at store '%s': %s", store->path,
                       strerrordesc_np(errno));
    }
    if (!ow_sql_has_moved(&store->sql)) {
        return OW_OK; /* the disk's trouble is over */
    }
    return ow_fail(err, OW_UNSAFE,
                   "the file of store '%s' was moved, deleted or replaced while it was in use; "
                   "nothing was written since. Put it back, or start with the file that is to be "
                   "used from now on (a restored backup: once with --restored)",
                   store->path);
}

/*
 * The write-ahead log begins anew only when nobody reads an old state; readers that overlap, each
 * of them short, make it grow as well as one that stays. So where it is too large all of them are
 * waited for: new ones meanwhile read what was written back. One who does not end is waited for
 * like room on the disk.
 */
static enum ow_status bound_wal(struct ow_store *store, struct ow_err *err)
{
    const int64_t bytes = ow_sql_wal_bytes(&store->sql);
    if (bytes <= store->wal_bytes) {
        return OW_OK;
    }
    bool done = false;
    OW_TRY(ow_sql_wal_empty(&store->sql, &done, err));
    if (done) {
        return OW_OK;
    }
    return ow_fail(err, OW_STORE_FULL,
                   "the write-ahead log '%s-wal' has grown to %" PRId64
                   " MiB (limits.wal_bytes), and cannot be written back while somebody reads an "
                   "old state of the store: end what has it open (a query, a shell in a "
                   "transaction)",
                   store->path, bytes >> 20);
}

bool ow_store_is_behind(const struct ow_store *store)
{
    return ow_sql_wal_bytes(&store->sql) > OW_WAL_BYTES_USUAL;
}

enum ow_status ow_store_begin(struct ow_store *store, struct ow_world *world, struct ow_err *err)
{
    OW_REQUIRE(!ow_sql_in_transaction(&store->sql));
    OW_REQUIRE(!store->in_savepoint);
    if (store->sql.unknown) {
        return ow_fail(err, OW_STORE_UNKNOWN,
                       "the store failed before, and what it holds is not known");
    }
    OW_TRY(bound_wal(store, err));
    /* IMMEDIATE: a read that is upgraded to a write later can find that somebody else wrote in
     * between. */
    OW_TRY(ow_sql_exec(&store->sql, "BEGIN IMMEDIATE", err));
    struct ow_statement *read = ow_store_statement(store, OW_STATEMENT_BATCH_READ);
    bool row = false;
    OW_TRY(ow_sql_step(read, &row, err));
    OW_ENSURE(row);
    const int64_t epoch = ow_sql_i64(read, 0);
    const int64_t batch = ow_sql_i64(read, 1);
    world->next_ref = ow_sql_i64(read, 2);
    ow_sql_reset(read);
    if (epoch != store->epoch || batch != store->batch) {
        return ow_fail(err, OW_UNSAFE,
                       "another process owns the store now: its epoch is %" PRId64
                       " and its batch %" PRId64 ", ours are %" PRId64 " and %" PRId64
                       ". Nothing was written; see that nobody deletes '%s.lock', and start again "
                       "when the other one is gone",
                       epoch, batch, store->epoch, store->batch, store->path);
    }
    OW_ENSURE(world->next_ref > 0);
    return check_place(store, err);
}

enum ow_status ow_store_read(struct ow_store *store, struct ow_world *world, struct ow_err *err)
{
    OW_REQUIRE(ow_sql_in_transaction(&store->sql));
    OW_TRY(ow_claim_read(store, world, err));
    OW_TRY(ow_entity_read(store, world, err));
    OW_TRY(ow_row_read(store, world, err));
    return ow_quarantine_read(store, world, err);
}

enum ow_status ow_store_write(struct ow_store *store, struct ow_world *world,
                              struct ow_position *positions, struct ow_err *err)
{
    if (!ow_sql_in_transaction(&store->sql)) {
        return ow_fail(err, OW_FAILED, "the store has no open transaction");
    }
    OW_TRY(ow_claim_write(store, world, err));
    OW_TRY(ow_entity_write(store, world, err));
    OW_TRY(ow_row_write(store, world, err));
    OW_TRY(ow_history_write(store, world, err));
    OW_TRY(ow_sighting_write(store, world, err));
    OW_TRY(ow_parked_write(store, world, err));
    OW_TRY(ow_quarantine_write(store, world, err));
    return ow_position_write(store, positions, err);
}

enum ow_status ow_store_savepoint(struct ow_store *store, struct ow_err *err)
{
    OW_REQUIRE(ow_sql_in_transaction(&store->sql));
    OW_REQUIRE(!store->in_savepoint);
    OW_TRY(ow_sql_exec(&store->sql, "SAVEPOINT one_record", err));
    store->saved = store->live;
    ow_seals_savepoint(&store->seals);
    store->in_savepoint = true;
    return OW_OK;
}

enum ow_status ow_store_release(struct ow_store *store, struct ow_err *err)
{
    OW_REQUIRE(store->in_savepoint);
    store->in_savepoint = false;
    return ow_sql_exec(&store->sql, "RELEASE one_record", err);
}

/* Puts back what is known without asking the file. */
static void restore(struct ow_store *store, const struct ow_marks *marks)
{
    if (store->live.last_text != marks->last_text) {
        store->texts_stale = true;
    }
    store->live = *marks;
}

enum ow_status ow_store_rollback_to(struct ow_store *store, struct ow_err *err)
{
    OW_REQUIRE(store->in_savepoint);
    store->in_savepoint = false;
    restore(store, &store->saved);
    ow_seals_rollback_to(&store->seals);
    if (!ow_sql_in_transaction(&store->sql)) {
        return ow_fail(err, OW_FAILED, "the store rolled the whole transaction back");
    }
    return ow_sql_exec(&store->sql, "ROLLBACK TO one_record; RELEASE one_record", err);
}

enum ow_status ow_store_commit(struct ow_store *store, struct ow_world *world, struct ow_err *err)
{
    OW_REQUIRE(ow_sql_in_transaction(&store->sql));
    OW_REQUIRE(!store->in_savepoint);
    struct ow_statement *write = ow_store_statement(store, OW_STATEMENT_BATCH_WRITE);
    int64_t changes = 0;
    OW_TRY(ow_seal_write(store, world->next_ref, err));
    ow_sql_bind_i64(write, store->batch + 1);
    ow_sql_bind_i64(write, world->next_ref);
    OW_TRY(ow_sql_run(write, &changes, err));
    OW_ENSURE(changes == 2);
    OW_FAILPOINT(COMMIT_BEFORE);
    OW_TRY(ow_sql_commit(&store->sql, err));
    OW_FAILPOINT(COMMIT_AFTER);
    store->batch++;
    store->next_ref = world->next_ref;
    store->committed = store->live;
    ow_seals_settle(&store->seals);
    return OW_OK;
}

void ow_store_rollback(struct ow_store *store)
{
    ow_sql_rollback(&store->sql);
    store->in_savepoint = false;
    restore(store, &store->committed);
    ow_seals_rollback(&store->seals);
}

int64_t ow_store_first_prune_ms(const struct ow_store *store)
{
    int64_t first_ms = INT64_MAX;
    for (size_t i = 0; i < store->committed.sealed_count; i++) {
        const struct ow_sealed_bucket *bucket = &store->sealed[i];
        int64_t end_ms = 0;
        if (!bucket->doomed &&
            !__builtin_add_overflow(bucket->sealed_at_ms, bucket->class_ms, &end_ms) &&
            end_ms < first_ms) {
            first_ms = end_ms;
        }
    }
    return first_ms;
}

enum ow_status ow_store_end(struct ow_store *store, struct ow_world *world, enum ow_status status,
                            struct ow_err *err)
{
    if (status == OW_OK) {
        status = ow_store_commit(store, world, err);
    }
    if (status != OW_OK) {
        ow_store_rollback(store);
    }
    return status;
}

bool ow_store_lacks_filters(const struct ow_store *store)
{
    bool lacks = false;
    for (size_t i = store->committed.sealed_count; i > 0 && !lacks; i--) {
        const struct ow_sealed_bucket *bucket = &store->sealed[i - 1];
        lacks = !bucket->filtered && !bucket->plain && !bucket->doomed;
    }
    return lacks;
}

int64_t ow_store_parked_count(const struct ow_store *store)
{
    return store->committed.parked_count;
}

int64_t ow_store_first_deadline_ms(const struct ow_store *store)
{
    return store->committed.first_deadline_ms;
}

void ow_store_claim_probes(const struct ow_store *store, struct ow_claim_probes *ret_probes)
{
    *ret_probes = store->probes;
}
