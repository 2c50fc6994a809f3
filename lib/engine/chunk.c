#include "engine/chunk.h"

#include "base/contract.h"

void ow_chunk_init(struct ow_chunk *chunk, size_t rows_max)
{
    memset(chunk, 0, sizeof(*chunk)); /* too large for a compound literal on the stack */
    chunk->rows_max = rows_max < OW_CHUNK_ROWS ? rows_max : OW_CHUNK_ROWS;
    /* Records, and about as much again for what decoding takes out of them. */
    ow_arena_init(&chunk->arena, (size_t)3 * OW_CHUNK_BYTES);
}

void ow_chunk_done(struct ow_chunk *chunk)
{
    ow_arena_done(&chunk->arena);
}

void ow_chunk_reset(struct ow_chunk *chunk, uint32_t generation)
{
    ow_arena_reset(&chunk->arena);
    chunk->generation = generation;
    chunk->care = OW_CARE_NONE;
    chunk->count = 0;
    chunk->bytes = 0;
    chunk->end_count = 0;
    chunk->assigned = NULL;
    chunk->assigned_count = 0;
}

bool ow_chunk_is_full(const struct ow_chunk *chunk)
{
    return chunk->count == chunk->rows_max || chunk->bytes >= OW_CHUNK_BYTES ||
           chunk->end_count == OW_CHUNK_ENDS || chunk->assigned != NULL;
}

void ow_chunk_add(struct ow_chunk *chunk, const struct ow_record *record)
{
    OW_REQUIRE(!ow_chunk_is_full(chunk));
    struct ow_record *copy = &chunk->records[chunk->count++];
    *copy = *record;
    copy->generation = chunk->generation;
    copy->key = ow_arena_copy(&chunk->arena, record->key);
    copy->value = ow_arena_copy(&chunk->arena, record->value);
    chunk->bytes += record->key.len + record->value.len;
    struct ow_header *headers =
        OW_ARENA_ARRAY(&chunk->arena, record->header_count, struct ow_header);
    for (size_t i = 0; i < record->header_count; i++) {
        headers[i].name = ow_arena_copy(&chunk->arena, record->headers[i].name);
        headers[i].value = ow_arena_copy(&chunk->arena, record->headers[i].value);
        chunk->bytes += headers[i].name.len + headers[i].value.len;
    }
    copy->headers = headers;
}

bool ow_chunk_add_end(struct ow_chunk *chunk, const struct ow_record *end)
{
    if (ow_chunk_is_full(chunk)) {
        return false;
    }
    chunk->ends[chunk->end_count++] = (struct ow_end_mark){
        .topic = end->topic, .partition = end->partition, .offset = end->offset};
    return true;
}

bool ow_chunk_takes(const struct ow_chunk *chunk, enum ow_care care)
{
    return chunk->count == 0 || (chunk->care == care && care != OW_CARE_ALONE);
}

void ow_chunk_decode(struct ow_chunk *chunk, struct ow_decoder *decoder)
{
    for (size_t i = 0; i < chunk->count; i++) {
        const struct ow_record *record = &chunk->records[i];
        if (record->for_anchor) { /* it may be in quarantine because it kills whoever reads it */
            chunk->events[i] = (struct ow_event){.record = record, .verdict = OW_OUTCOME_FILTERED};
        } else {
            ow_event_decode(decoder, record, &chunk->arena, &chunk->events[i]);
        }
    }
}
