#include "store/internal.h"

/*
 * What the store has of the first message of a conflict, under the number of its claim. Read for
 * new conflicts only, and left where it is large: explain takes its time, the apply thread has
 * none. A woken message has its history row under another number, by which nothing finds it but its
 * entity's chain.
 */

struct kept {
    struct ow_store *store;
    struct ow_arena *arena;
    int64_t ref;
    struct ow_kept *told;
};

/* Of some columns, each by itself: what all of them together may be is for ow_difference_is_small.
 */
static bool are_small(const struct ow_statement *row, int count, size_t max)
{
    for (int i = 0; i < count; i++) {
        if (ow_sql_slice(row, i).len > max) {
            return false;
        }
    }
    return true;
}

static enum ow_status read_history(const struct kept *kept, bool *ret_found, struct ow_err *err)
{
    struct ow_statement *read = ow_store_statement(kept->store, OW_STATEMENT_KEPT_HISTORY);
    ow_sql_bind_i64(read, kept->ref);
    OW_TRY(ow_sql_step(read, ret_found, err));
    if (!*ret_found) {
        return OW_OK;
    }
    if (are_small(read, 7, OW_DIFFERENCE_KEPT_BYTES_MAX)) {
        *kept->told = (struct ow_kept){
            .kind = OW_KEPT_DATA,
            .machine = ow_sql_copy(read, 0, kept->arena),
            .type = ow_sql_copy(read, 1, kept->arena),
            .source = ow_sql_copy(read, 2, kept->arena),
            .id = ow_sql_copy(read, 3, kept->arena),
            .entity_id = ow_sql_copy(read, 4, kept->arena),
            .from_state = ow_sql_copy(read, 5, kept->arena),
            .data = ow_sql_copy(read, 6, kept->arena),
        };
    }
    ow_sql_reset(read);
    return OW_OK;
}

static enum ow_status read_record(const struct kept *kept, enum ow_statement_name name,
                                  bool *ret_found, struct ow_err *err)
{
    /* What a header takes in memory is at least a sixth of its text. */
    enum { HEADERS_TEXT_MAX = 6 * OW_DIFFERENCE_KEPT_BYTES_MAX };
    struct ow_statement *read = ow_store_statement(kept->store, name);
    struct ow_record *record = &kept->told->record;
    ow_sql_bind_i64(read, kept->ref);
    OW_TRY(ow_sql_step(read, ret_found, err));
    if (!*ret_found) {
        return OW_OK;
    }
    kept->told->parked = name == OW_STATEMENT_KEPT_PARKED;
    if (are_small(read, 3, OW_DIFFERENCE_KEPT_BYTES_MAX) &&
        ow_sql_slice(read, 3).len <= HEADERS_TEXT_MAX &&
        ow_headers_read(ow_sql_slice(read, 3), kept->arena, &record->headers,
                        &record->header_count)) {
        kept->told->kind = OW_KEPT_WHOLE;
        record->topic = ow_sql_copy(read, 0, kept->arena);
        record->key = ow_sql_copy(read, 1, kept->arena);
        record->value = ow_sql_copy(read, 2, kept->arena);
        record->timestamp_ms = -1;
    }
    ow_sql_reset(read);
    return OW_OK;
}

enum ow_status ow_kept_read(struct ow_store *store, struct ow_arena *arena, int64_t ref,
                            const struct ow_kept **ret_kept, struct ow_err *err)
{
    struct ow_statement *stale = ow_store_statement(store, OW_STATEMENT_KEPT_STALE);
    struct kept kept = {.store = store, .arena = arena, .ref = ref};
    bool found = false;
    *ret_kept = kept.told = OW_ARENA_NEW(arena, struct ow_kept);
    OW_TRY(read_history(&kept, &found, err));
    if (!found) {
        OW_TRY(read_record(&kept, OW_STATEMENT_KEPT_PARKED, &found, err));
    }
    if (!found) {
        OW_TRY(read_record(&kept, OW_STATEMENT_KEPT_QUARANTINE, &found, err));
    }
    if (found) {
        return OW_OK;
    }
    ow_sql_bind_i64(stale, ref);
    OW_TRY(ow_sql_step(stale, &found, err));
    if (found) {
        kept.told->kind = OW_KEPT_NOTHING;
        ow_sql_reset(stale);
    }
    return OW_OK;
}
