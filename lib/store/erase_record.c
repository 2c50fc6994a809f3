#include "store/erase_record.h"

#include "model/seed.h"
#include "store/erased.h"
#include "store/internal.h"

static struct ow_slice text_of(const json_t *json)
{
    return (struct ow_slice){(const uint8_t *)json_string_value(json), json_string_length(json)};
}

static struct ow_slice key_of(const struct ow_operand *operand, const struct ow_event_type *event,
                              const json_t *data)
{
    if (operand->kind == OW_OPERAND_CONSTANT) {
        return operand->constant.text;
    }
    OW_INVARIANT(operand->kind == OW_OPERAND_POINTER); /* held by the machine's loader */
    return text_of(json_object_get(data, event->needs[operand->index].pointer.text));
}

static enum ow_status hash_row(struct ow_store *store, const struct ow_table *table,
                               struct ow_slice key, char hash[OW_ERASED_HASH_TEXT],
                               struct ow_err *err)
{
    OW_BUFFER text = {0};
    OW_STATEMENT row = {0};
    bool found = false;
    ow_erased_select(&text, "seq", table);
    OW_TRY(ow_sql_prepare(&store->sql, ow_buffer_cstr(&text), &row, err));
    ow_sql_bind_text(&row, key);
    OW_TRY(ow_sql_step(&row, &found, err));
    hash[0] = '\0';
    if (found) {
        ow_erased_hash(&store->hash_key, table, key, &row, hash);
    }
    return OW_OK;
}

static void append(json_t *kept, struct ow_slice key, const char *hash, const char *table)
{
    OW_JSON *row = json_array();
    (void)json_array_append_new(row, json_stringn((const char *)key.ptr, key.len));
    (void)json_array_append_new(row, json_string(hash));
    if (table != NULL) {
        (void)json_array_append_new(row, json_string(table));
    }
    (void)json_array_append(kept, row);
}

enum ow_status ow_erase_record_keep(struct ow_store *store, const struct ow_event_type *event,
                                    const struct ow_transition *transition, const json_t *data,
                                    json_t *kept, struct ow_err *err)
{
    for (size_t i = 0; i < transition->recording_count; i++) {
        const struct ow_recording *recording = &transition->recordings[i];
        const struct ow_slice key = key_of(&recording->key, event, data);
        char hash[OW_ERASED_HASH_TEXT];
        OW_TRY(hash_row(store, recording->table, key, hash, err));
        append(kept, key, hash, NULL);
    }
    return OW_OK;
}

enum ow_status ow_erase_record_keep_seeded(struct ow_store *store, const struct ow_machine *machine,
                                           const json_t *records, json_t *kept, struct ow_err *err)
{
    for (size_t r = 0; machine != NULL && r < machine->record_count; r++) {
        const struct ow_table *table = &machine->records[r];
        const json_t *list = json_object_get(records, table->name);
        for (size_t i = 0; i < json_array_size(list); i++) {
            OW_CLEANUP(ow_arena_done) struct ow_arena arena;
            ow_arena_init(&arena, 256);
            struct ow_slice key = {0};
            char hash[OW_ERASED_HASH_TEXT];
            /* As it was read when it was taken over. */
            (void)ow_seed_read_text(json_object_get(json_array_get(list, i), table->key), &arena,
                                    &key);
            OW_TRY(hash_row(store, table, key, hash, err));
            append(kept, key, hash, table->name);
        }
    }
    return OW_OK;
}
