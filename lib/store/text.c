#include "store/internal.h"

#include <inttypes.h>

/* A string with its number in ow_text. */
struct text {
    struct ow_slice text;
    int64_t id;
};

static void remember(struct ow_store *store, struct ow_slice text, int64_t id)
{
    struct text *entry = OW_ARENA_NEW(&store->text_arena, struct text);
    *entry = (struct text){.text = ow_arena_copy(&store->text_arena, text), .id = id};
    ow_map_put(&store->texts, entry->text, entry);
    store->live.last_text = id > store->live.last_text ? id : store->live.last_text;
}

enum ow_status ow_text_load(struct ow_store *store, struct ow_err *err)
{
    ow_arena_reset(&store->text_arena);
    ow_map_init(&store->texts, &store->text_arena);
    store->live.last_text = 0;
    OW_STATEMENT statement = {0};
    OW_TRY(
        ow_sql_prepare(&store->sql, "SELECT id, text FROM ow_text ORDER BY id", &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        remember(store, ow_sql_slice(&statement, 1), ow_sql_i64(&statement, 0));
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    store->texts_stale = false;
    return OW_OK;
}

enum ow_status ow_text_id(struct ow_store *store, struct ow_slice text, int64_t *ret_id,
                          struct ow_err *err)
{
    OW_REQUIRE(!ow_slice_is_absent(text));
    if (store->texts_stale) {
        OW_TRY(ow_text_load(store, err));
    }
    const struct text *known = ow_map_get(&store->texts, text);
    if (known != NULL) {
        *ret_id = known->id;
        return OW_OK;
    }
    struct ow_statement *insert = ow_store_statement(store, OW_STATEMENT_TEXT_INSERT);
    const int64_t id = store->live.last_text + 1;
    ow_sql_bind_i64(insert, id);
    ow_sql_bind_text(insert, text);
    OW_TRY(ow_seal_insert(store, OW_SEAL_TEXT, 0, insert, NULL, err));
    remember(store, text, id);
    *ret_id = id;
    return OW_OK;
}
