/*
 * Orders, from the bytes of their first events to COMMIT, as the worker does it but in one thread:
 * decoded, judged, written, tended. Every order is a claim, a row keyed by a random text, and a row
 * of history.
 */
#include "claims.h"
#include "engine/apply.h"
#include "engine/chunk.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { CHUNKS = 16 };

struct orders {
    struct claims_box box;
    struct ow_apply apply;
    struct ow_decoder decoder;
    struct ow_chunk *chunks;
    struct ow_chunk *list[CHUNKS];
    int64_t taken;
    double tended;
    bool more;
};

static void begin(struct orders *orders, const struct claims_options *options)
{
    struct claims_box *box = &orders->box;
    claims_box_init(box, options->folder, "orders");
    claims_box_open(box);
    const struct ow_apply_options apply = {.store = box->store,
                                           .machines = &box->machines,
                                           .clock = box->clock,
                                           .record_bytes_max = (size_t)OW_RECORD_BYTES_DEFAULT,
                                           .claim_skew_ms = OW_CLAIM_SKEW_MS_DEFAULT};
    claims_tool_must(ow_apply_open(&orders->apply, &apply, &box->err), &box->err);
    orders->decoder = (struct ow_decoder){.machines = &box->machines,
                                          .hash_key = ow_store_hash_key(box->store),
                                          .record_bytes_max = (size_t)OW_RECORD_BYTES_DEFAULT};
    orders->chunks = calloc(CHUNKS, sizeof(*orders->chunks));
    claims_tool_check(orders->chunks != NULL, "out of memory");
    for (int i = 0; i < CHUNKS; i++) {
        orders->list[i] = &orders->chunks[i];
        ow_chunk_init(orders->list[i], OW_CHUNK_ROWS);
    }
    struct ow_chunk *first = orders->list[0];
    ow_chunk_reset(first, 1);
    const struct ow_assigned assigned = {
        .topic = "order-events", .resume = OW_RESUME_START, .committed = -1};
    first->assigned = &assigned;
    first->assigned_count = 1;
    claims_tool_must(ow_apply_assignment(&orders->apply, first, &box->err), &box->err);
}

static void end(struct orders *orders)
{
    for (int i = 0; i < CHUNKS; i++) {
        ow_chunk_done(orders->list[i]);
    }
    free(orders->chunks);
    ow_buffer_done(&orders->decoder.scratch);
    ow_apply_close(&orders->apply);
    claims_box_done(&orders->box);
}

static void fill(struct orders *orders, struct ow_chunk *chunk)
{
    ow_chunk_reset(chunk, 1);
    while (!ow_chunk_is_full(chunk)) {
        char value[512];
        const uint64_t offset = (uint64_t)orders->taken;
        const unsigned long long a = claims_tool_mix(offset);
        const unsigned long long b = claims_tool_mix(offset ^ UINT64_C(1) << 62);
        const int len = snprintf(value, sizeof(value),
                                 "{\"specversion\":\"1.0\",\"id\":\"%016llx\",\"source\":\"/shop\","
                                 "\"type\":\"order.created\",\"data\":{\"order_id\":\"%08llx-%"
                                 "04llx-4%03llx-a%03llx-%012llx"
                                 "\",\"amount\":%llu,\"currency\":\"EUR\"}}",
                                 b, a >> 32, a >> 16 & 0xffff, a & 0xfff, b >> 52,
                                 b & 0xffffffffffff, 100 + a % 9900);
        const struct ow_record record = {
            .topic = OW_SLICE("order-events"),
            .offset = orders->taken++,
            .generation = 1,
            .timestamp_ms = ow_clock_now_ms(&orders->box.clock),
            .value = {(const uint8_t *)value, (size_t)len},
        };
        ow_chunk_add(chunk, &record);
    }
}

static void take(struct orders *orders)
{
    struct ow_err *err = &orders->box.err;
    for (int i = 0; i < CHUNKS; i++) {
        fill(orders, orders->list[i]);
        ow_chunk_decode(orders->list[i], &orders->decoder);
    }
    claims_tool_must(ow_apply_batch(&orders->apply, orders->list, CHUNKS, err), err);
    const double now = claims_tool_now();
    if (orders->more || now - orders->tended >= 1) {
        const size_t rows = 1024 + (size_t)4 * CHUNKS * OW_CHUNK_ROWS;
        claims_tool_must(ow_apply_tend(&orders->apply, false, rows, &orders->more, err), err);
        orders->tended = now;
    }
}

void claims_orders(const struct claims_options *options, struct claims_ordered *ret_ordered)
{
    struct orders orders = {.more = true};
    struct claims_pace pace;
    begin(&orders, options);
    claims_pace_begin(&pace, options->orders);
    while (orders.taken < options->orders) {
        take(&orders);
        claims_pace_mark(&pace, orders.taken, "orders");
    }
    claims_tool_check(orders.apply.totals.counts[OW_OUTCOME_APPLIED] == orders.taken,
                      "an order was not applied");
    *ret_ordered = (struct claims_ordered){
        .orders = orders.taken,
        .pace = pace,
        .disk = claims_box_bytes(&orders.box) / (double)orders.taken,
    };
    end(&orders);
}
