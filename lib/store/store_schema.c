#include "store/internal.h"
#include "store/store_sql.h"

#include <inttypes.h>

/*
 * The file's form. application_id says that it is ours, user_version which schema it has; both are
 * in the file's header and change only in the transaction that creates or migrates. To change the
 * schema: store.sql, a new user_version, a migration step (store_migrate.c), and a fixture of the
 * old version in the tests.
 */

enum ow_status ow_store_identify(struct ow_sql *sql, const char *path, enum ow_store_kind *ret_kind,
                                 struct ow_err *err)
{
    int64_t application = 0;
    int64_t version = 0;
    int64_t tables = 0;
    const enum ow_status status = ow_sql_query_i64(sql, "PRAGMA application_id", &application, err);
    if (status != OW_OK && ow_sql_is_foreign(sql)) {
        sql->unknown = false; /* nothing of ours is at stake */
        return ow_fail(err, OW_UNSAFE, "'%s' is no store of onceward: it is no database", path);
    }
    OW_TRY(status);
    OW_TRY(ow_sql_query_i64(sql, "PRAGMA user_version", &version, err));
    OW_TRY(ow_sql_query_i64(sql, "SELECT count(*) FROM sqlite_schema", &tables, err));
    if (application == 0 && version == 0 && tables == 0) {
        *ret_kind = OW_STORE_KIND_EMPTY;
        return OW_OK;
    }
    if (application != OW_STORE_APPLICATION_ID) {
        return ow_fail(err, OW_UNSAFE,
                       "'%s' is a database of another program (application id %" PRId64 ")", path,
                       application);
    }
    if (version > OW_STORE_SCHEMA_VERSION) {
        return ow_fail(err, OW_UNSAFE,
                       "the store '%s' has schema version %" PRId64
                       ", this program knows up to %d: use a newer onceward",
                       path, version, OW_STORE_SCHEMA_VERSION);
    }
    if (version < 1) {
        return ow_fail(err, OW_UNSAFE,
                       "the store '%s' has schema version %" PRId64 ", which is none", path,
                       version);
    }
    *ret_kind = version < OW_STORE_SCHEMA_VERSION ? OW_STORE_KIND_OLDER : OW_STORE_KIND_OURS;
    return OW_OK;
}

enum ow_status ow_store_open_reader(struct ow_sql *sql, const char *path, struct ow_arena *arena,
                                    const char **ret_resolved, struct ow_err *err)
{
    enum ow_store_kind kind = OW_STORE_KIND_EMPTY;
    bool exists = false;
    OW_TRY(ow_store_path_check(path, arena, ret_resolved, &exists, err));
    if (!exists) {
        return ow_fail(err, OW_BAD_CONFIG, "there is no store '%s'", path);
    }
    OW_TRY(ow_sql_open(sql, *ret_resolved, OW_SQL_READER, err));
    OW_TRY(ow_store_identify(sql, path, &kind, err));
    if (kind == OW_STORE_KIND_EMPTY) {
        return ow_fail(err, OW_UNSAFE, "'%s' is empty: no store of onceward", path);
    }
    if (kind == OW_STORE_KIND_OLDER) {
        return ow_fail(err, OW_UNSAFE,
                       "the store '%s' has an older schema than version %d: the next start of "
                       "'onceward run' brings it up to that; until then, read it with the onceward "
                       "that wrote it",
                       path, OW_STORE_SCHEMA_VERSION);
    }
    return OW_OK;
}

/* Within a transaction, so that a file is empty or whole. */
enum ow_status ow_store_create_schema(struct ow_sql *sql, int64_t now_ms, struct ow_err *err)
{
    OW_REQUIRE(ow_sql_in_transaction(sql));
    uint8_t bytes[16];
    char id[2 * sizeof(bytes) + 1];
    ow_hash_random(bytes, sizeof(bytes));
    ow_hash_hex(bytes, sizeof(bytes), id);
    OW_TRY(ow_sql_exec(sql, ow_store_sql, err));
    OW_TRY(ow_meta_put_text(sql, "store_id", id, err));
    OW_TRY(ow_meta_put_i64(sql, "schema_version", OW_STORE_SCHEMA_VERSION, err));
    OW_TRY(ow_meta_put_i64(sql, "epoch", 0, err));
    OW_TRY(ow_meta_put_i64(sql, "batch", 0, err));
    OW_TRY(ow_meta_put_i64(sql, "next_ref", 1, err));
    return ow_meta_put_i64(sql, "created_at_ms", now_ms, err);
}

bool ow_store_check_unread(struct ow_slice text)
{
    static const char *const unread[] = {
        "unable to get the page", /* of a tree; with the error's code */
        "failed to get page",     /* of an overflow chain or the free list; without it */
    };
    for (size_t i = 0; i < sizeof(unread) / sizeof(unread[0]); i++) {
        if (memmem(text.ptr, text.len, unread[i], strlen(unread[i])) != NULL) {
            return true;
        }
    }
    return false;
}

enum ow_status ow_store_integrity(struct ow_sql *sql, struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(sql, "PRAGMA integrity_check(1)", &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    const struct ow_slice text = row ? ow_sql_slice(&statement, 0) : OW_SLICE("no answer");
    if (ow_store_check_unread(text)) {
        sql->unknown = true;
        return ow_fail(err, OW_STORE_UNKNOWN, "the store could not be checked: " OW_SLICE_FMT,
                       OW_SLICE_ARG(text));
    }
    if (!ow_slice_equals_text(text, "ok")) {
        return ow_fail(err, OW_UNSAFE, "the store is damaged, restore a backup: " OW_SLICE_FMT,
                       OW_SLICE_ARG(text));
    }
    return OW_OK;
}
