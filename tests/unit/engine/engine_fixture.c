#include "engine_fixture.h"

#include "groups.h"

#include <stdlib.h>

int ow_engine_start(void **state)
{
    struct ow_fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    ow_fixture_init(fixture);
    ow_fixture_open(fixture);
    *state = fixture;
    return 0;
}

int ow_engine_stop(void **state)
{
    ow_fixture_done(*state);
    free(*state);
    return 0;
}

struct ow_apply_options ow_engine_apply_options(struct ow_fixture *fixture)
{
    return (struct ow_apply_options){.store = fixture->store,
                                     .machines = &fixture->machines,
                                     .clock = ow_clock_manual(&fixture->clock),
                                     .record_bytes_max = (size_t)OW_RECORD_BYTES_DEFAULT,
                                     .claim_skew_ms = OW_CLAIM_SKEW_MS_DEFAULT};
}

struct ow_record ow_engine_event(struct ow_fixture *fixture, const char *id, const char *type,
                                 const char *entity, const char *data)
{
    const char *value =
        ow_arena_printf(&fixture->kept,
                        "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"s\",\"type\":\"%s\","
                        "\"data\":{\"order_id\":\"%s\"%s}}",
                        id, type, entity, data);
    return (struct ow_record){.topic = OW_SLICE("order-events"),
                              .timestamp_ms = fixture->clock.now_ms,
                              .key = OW_SLICE("k"),
                              .value = ow_slice_of(value)};
}

struct ow_record ow_engine_story(struct ow_fixture *fixture, int64_t number)
{
    static const char *const types[] = {"order.created", "payment.succeeded", "order.dispatched",
                                        "order.received"};
    const char *entity = ow_arena_printf(&fixture->kept, "E%lld", (long long)(number / 4));
    const char *id = ow_arena_printf(&fixture->kept, "m%lld", (long long)number);
    const char *data =
        number % 4 == 0 ? ",\"amount\":5,\"currency\":\"EUR\""
        : number % 4 == 1
            ? ow_arena_printf(
                  &fixture->kept,
                  ",\"amount\":5,\"currency\":\"EUR\",\"method\":\"card\",\"payment_id\":\"p%lld\"",
                  (long long)number)
            : "";
    return ow_engine_event(fixture, id, types[number % 4], entity, data);
}

void ow_engine_put(struct ow_fixture *fixture, struct ow_chunk *chunk, struct ow_record record,
                   int64_t offset)
{
    (void)fixture;
    record.offset = offset;
    ow_chunk_add(chunk, &record);
}

void ow_engine_decode(struct ow_fixture *fixture, struct ow_chunk *chunk)
{
    ow_chunk_decode(chunk, &fixture->decoder);
}

void ow_engine_assign(struct ow_chunk *chunk, uint32_t generation, enum ow_resume resume,
                      int64_t offset)
{
    ow_chunk_reset(chunk, generation);
    struct ow_assigned *assigned = OW_ARENA_NEW(&chunk->arena, struct ow_assigned);
    *assigned = (struct ow_assigned){.topic = "order-events",
                                     .resume = resume,
                                     .offset = offset,
                                     .committed = -1,
                                     .check_anchor = resume == OW_RESUME_STORED && offset > 0};
    chunk->assigned = assigned;
    chunk->assigned_count = 1;
}
