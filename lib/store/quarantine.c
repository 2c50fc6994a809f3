#include "base/failpoint.h"
#include "store/internal.h"

#include <inttypes.h>

static enum ow_status insert(struct ow_store *store, const struct ow_world *world,
                             const struct ow_quarantine *quarantine, struct ow_err *err);

static enum ow_status read_one(struct ow_store *store, struct ow_arena *arena,
                               struct ow_quarantine *wanted, struct ow_err *err)
{
    const bool by_conflict = wanted->conflict_ref != 0;
    OW_REQUIRE(by_conflict || wanted->record != NULL);
    struct ow_statement *read = ow_store_statement(
        store, by_conflict ? OW_STATEMENT_QUARANTINE_CONFLICT : OW_STATEMENT_QUARANTINE_AT);
    if (by_conflict) {
        ow_sql_bind_i64(read, wanted->conflict_ref);
        ow_sql_bind_blob(read, (struct ow_slice){wanted->conflict_fingerprint,
                                                 sizeof(wanted->conflict_fingerprint)});
    } else {
        ow_sql_bind_text(read, wanted->record->topic);
        ow_sql_bind_i64(read, wanted->record->partition);
        ow_sql_bind_i64(read, wanted->record->offset);
    }
    bool row = false;
    OW_TRY(ow_sql_step(read, &row, err));
    if (row) {
        wanted->id = ow_sql_i64(read, 0);
        wanted->reason = ow_reason_of(ow_sql_slice(read, 1));
        wanted->unread = ow_sql_is_null(read, 4);
        const struct ow_slice fingerprint = ow_sql_slice(read, 3);
        if (fingerprint.len == sizeof(wanted->conflict_fingerprint)) {
            wanted->conflict_ref = ow_sql_i64(read, 2);
            memcpy(wanted->conflict_fingerprint, fingerprint.ptr, fingerprint.len);
        }
        ow_sql_reset(read);
    }
    wanted->loaded = true;
    return by_conflict && !row
               ? ow_kept_read(store, arena, wanted->conflict_ref, &wanted->first, err)
               : OW_OK;
}

enum ow_status ow_quarantine_read(struct ow_store *store, struct ow_world *world,
                                  struct ow_err *err)
{
    for (struct ow_quarantine *wanted = world->quarantine_wanted; wanted != NULL;
         wanted = wanted->next) {
        if (wanted->loaded) {
            continue;
        }
        OW_TRY(read_one(store, world->arena, wanted, err));
    }
    return OW_OK;
}

static enum ow_status see_again(struct ow_store *store, const struct ow_world *world,
                                const struct ow_quarantine *quarantine, struct ow_err *err)
{
    struct ow_statement *statement = ow_store_statement(store, OW_STATEMENT_QUARANTINE_SEEN);
    struct ow_statement *row = ow_store_statement(store, OW_STATEMENT_QUARANTINE_ROW);
    int64_t changes = 0;
    ow_sql_bind_i64(row, quarantine->id);
    OW_TRY(ow_seal_take(store, OW_SEAL_QUARANTINE, quarantine->id, row, err));
    ow_sql_bind_i64(statement, quarantine->seen);
    ow_sql_bind_i64(statement, world->now_ms);
    ow_sql_bind_i64(statement, quarantine->id);
    OW_TRY(ow_sql_write(statement, &changes, err));
    if (changes != 1) {
        return ow_fail(err, OW_FAILED,
                       "the quarantine row %" PRId64 " is gone, but was there when it was read",
                       quarantine->id);
    }
    ow_sql_bind_i64(row, quarantine->id);
    return ow_seal_put(store, OW_SEAL_QUARANTINE, quarantine->id, row, err);
}

enum ow_status ow_quarantine_write(struct ow_store *store, const struct ow_world *world,
                                   struct ow_err *err)
{
    for (const struct ow_quarantine *row = world->quarantine; row != NULL; row = row->next) {
        OW_REQUIRE(row->fresh);
        OW_TRY(insert(store, world, row, err));
        OW_FAILPOINT(QUARANTINE_WRITTEN);
    }
    for (const struct ow_quarantine *row = world->quarantine_wanted; row != NULL; row = row->next) {
        if (row->id == 0 || row->seen == 0) {
            continue;
        }
        OW_TRY(see_again(store, world, row, err));
    }
    return OW_OK;
}

/* Details may quote what a record holds; as a TEXT they must be UTF-8, or outside readers stumble.
 */
static struct ow_slice readable(struct ow_arena *arena, const char *detail)
{
    const struct ow_slice text = ow_slice_of(detail == NULL ? "" : detail);
    if (ow_slice_is_utf8(text)) {
        return text;
    }
    uint8_t *copy = ow_arena_alloc(arena, text.len);
    for (size_t i = 0; i < text.len; i++) {
        copy[i] = text.ptr[i] < 0x80 ? text.ptr[i] : '?';
    }
    return (struct ow_slice){copy, text.len};
}

static enum ow_status insert(struct ow_store *store, const struct ow_world *world,
                             const struct ow_quarantine *quarantine, struct ow_err *err)
{
    OW_REQUIRE(quarantine->id > 0 && quarantine->seen > 0);
    const struct ow_record *record = quarantine->record;
    OW_BUFFER headers = {0};
    ow_headers_write(&headers, record->headers, record->header_count);
    struct ow_statement *statement = ow_store_statement(store, OW_STATEMENT_QUARANTINE_INSERT);
    ow_sql_bind_i64(statement, quarantine->id);
    ow_sql_bind_cstr(statement, ow_reason_text(quarantine->reason));
    ow_sql_bind_text(statement, readable(world->arena, quarantine->detail));
    ow_sql_bind_cstr(statement, quarantine->machine == NULL ? NULL : quarantine->machine->name);
    ow_sql_bind_text(statement, quarantine->entity_id);
    ow_sql_bind_text(statement, record->topic);
    ow_sql_bind_i64(statement, record->partition);
    ow_sql_bind_i64(statement, record->offset);
    ow_sql_bind_i64(statement, record->timestamp_ms);
    ow_sql_bind_blob(statement, record->key);
    ow_sql_bind_text(statement,
                     record->header_count == 0 ? (struct ow_slice){0} : ow_buffer_view(&headers));
    ow_sql_bind_blob(statement, record->value);
    ow_sql_bind_i64(statement, world->now_ms);
    ow_sql_bind_i64(statement, world->now_ms);
    ow_sql_bind_i64(statement, quarantine->seen);
    ow_sql_bind_i64(statement, 0); /* attempts */
    ow_sql_bind_cstr(statement, "open");
    ow_sql_bind_null(statement); /* note */
    ow_sql_bind_unless(statement, quarantine->conflict_ref, 0);
    const bool conflict = quarantine->conflict_ref != 0;
    ow_sql_bind_blob(statement, conflict ? (struct ow_slice){quarantine->conflict_fingerprint,
                                                             OW_FINGERPRINT_BYTES}
                                         : (struct ow_slice){0});
    return ow_seal_insert(store, OW_SEAL_QUARANTINE, quarantine->id, statement, NULL, err);
}
