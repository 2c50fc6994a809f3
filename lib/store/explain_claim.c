#include "store/explain_internal.h"

static bool part_of_data(const struct ow_part *part, const json_t *data, struct ow_arena *arena,
                         struct ow_slice *ret_bytes)
{
    const json_t *value = json_object_get(data, part->pointer.text);
    if (json_is_integer(value)) {
        *ret_bytes =
            ow_slice_of(ow_arena_printf(arena, "%lld", (long long)json_integer_value(value)));
        return true;
    }
    *ret_bytes =
        (struct ow_slice){(const uint8_t *)json_string_value(value), json_string_length(value)};
    return json_is_string(value);
}

static bool part_of(const struct ow_part *part, const struct ow_explain_parts *parts,
                    struct ow_arena *arena, struct ow_slice *ret_bytes)
{
    *ret_bytes = parts->other;
    switch (part->kind) {
    case OW_PART_TYPE:
        *ret_bytes = parts->type;
        break;
    case OW_PART_SOURCE:
        *ret_bytes = parts->source;
        break;
    case OW_PART_ID:
        *ret_bytes = parts->id;
        break;
    case OW_PART_ENTITY:
        *ret_bytes = ow_slice_is_absent(parts->entity_id) ? parts->other : parts->entity_id;
        break;
    case OW_PART_POINTER:
        if (parts->data != NULL && part_of_data(part, parts->data, arena, ret_bytes)) {
            return true;
        }
        *ret_bytes = parts->other;
        break;
    case OW_PART_TIME:
    case OW_PART_SUBJECT:
    case OW_PART_HEADER:
    case OW_PART_KEY:
    case OW_PART_NONE:
        break;
    }
    return !ow_slice_is_absent(*ret_bytes);
}

bool ow_explain_claim_key(const struct ow_explain *explain, const struct ow_claim_rule *rule,
                          const struct ow_explain_parts *parts, uint8_t key[OW_CLAIM_KEY_BYTES])
{
    OW_CLEANUP(ow_arena_done) struct ow_arena arena;
    ow_arena_init(&arena, 256);
    struct ow_hash hash;
    ow_hash_begin(&hash, &explain->hash_key, OW_CLAIM_KEY_BYTES);
    ow_hash_part(&hash, ow_slice_of(rule->space));
    for (size_t i = 0; i < rule->key_part_count; i++) {
        struct ow_slice bytes;
        if (!part_of(&rule->key_parts[i], parts, &arena, &bytes)) {
            return false;
        }
        ow_hash_part(&hash, bytes);
    }
    ow_hash_end(&hash, key, OW_CLAIM_KEY_BYTES);
    return true;
}

static const char *hex(struct ow_explain *explain, struct ow_slice bytes)
{
    char *text = ow_arena_alloc(explain->arena, 2 * bytes.len + 1);
    ow_hash_hex(bytes.ptr, bytes.len, text);
    return text;
}

enum ow_status ow_explain_claim_find(struct ow_explain *explain,
                                     const uint8_t key[OW_CLAIM_KEY_BYTES],
                                     struct ow_explain_claim *ret_claim, int64_t *ret_ref,
                                     struct ow_err *err)
{
    struct ow_statement *find = ow_explain_statement(explain, OW_EXPLAIN_CLAIM);
    const struct ow_slice bytes = {key, OW_CLAIM_KEY_BYTES};
    bool row = false;
    *ret_ref = 0;
    *ret_claim = (struct ow_explain_claim){.claimed = OW_EXPLAIN_CLAIM_MISSING};
    ow_sql_bind_blob(find, bytes);
    OW_TRY(ow_sql_step(find, &row, err));
    if (!row) {
        return OW_OK;
    }
    const struct ow_slice fingerprint = ow_sql_slice(find, 3);
    *ret_claim = (struct ow_explain_claim){.claimed = OW_EXPLAIN_CLAIM_FOUND,
                                           .bucket = ow_sql_i64(find, 0),
                                           .retention_ms = ow_sql_i64(find, 1),
                                           .bucket_opened_at_ms = ow_sql_i64(find, 2),
                                           .rule = fingerprint.len == 0 ? 0 : fingerprint.ptr[0],
                                           .key = hex(explain, bytes),
                                           .fingerprint = hex(explain, fingerprint)};
    *ret_ref = ow_sql_i64(find, 4);
    ow_sql_reset(find);
    return OW_OK;
}

enum ow_status ow_explain_claim_of_history(struct ow_explain *explain,
                                           struct ow_explain_event *event, struct ow_err *err)
{
    event->claim.claimed = OW_EXPLAIN_CLAIM_UNKNOWN;
    if (strcmp(event->via, ow_via_text(OW_VIA_SEED)) == 0) {
        event->claim.claimed = OW_EXPLAIN_CLAIM_NONE;
        return OW_OK;
    }
    const struct ow_slice type = ow_slice_of(event->type);
    const struct ow_machine *machine = ow_explain_machine_of(
        &explain->machines, ow_slice_of(event->machine), event->machine_version);
    const struct ow_event_type *known = machine == NULL ? NULL : ow_machine_event(machine, type);
    if (known == NULL || explain->told.key_missing) {
        return OW_OK;
    }
    OW_JSON *data = event->data == NULL ? NULL : json_loads(event->data, 0, NULL);
    const struct ow_explain_parts parts = {
        .type = type,
        .source = ow_slice_of(event->source),
        .id = ow_slice_of(event->id),
        .entity_id = ow_slice_of(event->entity_id),
        .data = data,
    };
    uint8_t key[OW_CLAIM_KEY_BYTES];
    int64_t ref = 0;
    if (ow_explain_claim_key(explain, known->claim, &parts, key)) {
        OW_TRY(ow_explain_claim_find(explain, key, &event->claim, &ref, err));
    }
    return OW_OK;
}
