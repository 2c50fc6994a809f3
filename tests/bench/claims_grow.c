/* The claims themselves: how fast they are taken in a store with few and in one with many. */
#include "claims.h"

#include <stdio.h>
#include <stdlib.h>

enum { LARGE = 20000000 };

double claims_rate_lookups(const struct claims_rate *rate)
{
    return rate->probes.keys > 0 ? (double)rate->probes.lookups / (double)rate->probes.keys : 0;
}

double claims_rate_false(const struct claims_rate *rate)
{
    return rate->probes.keys > 0 ? 100 * (double)rate->probes.needless / (double)rate->probes.keys
                                 : 0;
}

void claims_rate_done(struct claims_rate *rate)
{
    claims_samples_done(&rate->batches);
    claims_samples_done(&rate->steps);
}

static struct ow_claim_probes probes_since(const struct ow_store *store,
                                           const struct ow_claim_probes *before)
{
    struct ow_claim_probes now;
    ow_store_claim_probes(store, &now);
    return (struct ow_claim_probes){.keys = now.keys - before->keys,
                                    .lookups = now.lookups - before->lookups,
                                    .needless = now.needless - before->needless};
}

struct claims_cost claims_cost_batch(struct claims_box *box, const struct claims_options *options,
                                     int64_t limit_ms)
{
    struct ow_claim_probes before;
    const size_t batch = (size_t)options->batch;
    ow_store_claim_probes(box->store, &before);
    const double cpu = claims_tool_cpu();
    const double start = claims_tool_now();
    claims_box_take(box, batch, batch * (size_t)options->again / 100);
    const double taken = claims_tool_now();
    const bool stepped = claims_box_tend(box, batch, limit_ms);
    const double end = claims_tool_now();
    return (struct claims_cost){.claims = options->batch,
                                .batch = taken - start,
                                .step = stepped ? end - taken : 0,
                                .cpu = claims_tool_cpu() - cpu,
                                .probes = probes_since(box->store, &before)};
}

void claims_rate_add(struct claims_rate *rate, const struct claims_cost *cost)
{
    rate->speed.count += cost->claims;
    rate->speed.seconds += cost->batch + cost->step;
    rate->speed.cpu += cost->cpu;
    rate->probes.keys += cost->probes.keys;
    rate->probes.lookups += cost->probes.lookups;
    rate->probes.needless += cost->probes.needless;
    claims_samples_add(&rate->batches, cost->batch);
    if (cost->step > 0) {
        claims_samples_add(&rate->steps, cost->step);
    }
}

static void tell(const struct claims_box *box, struct claims_rate *stretch)
{
    (void)fprintf(
        stderr,
        "%10lld claims %8.0f/s %6.2f us cpu %5.2f %% false %5.2f look-ups/key  batch p50"
        " %6.1f ms p99.9 %6.1f ms  tend p50 %5.1f ms p99.9 %6.1f ms\n",
        (long long)box->taken, claims_speed_rate(&stretch->speed),
        claims_speed_cpu(&stretch->speed), claims_rate_false(stretch), claims_rate_lookups(stretch),
        claims_samples_ms(&stretch->batches, 0.5), claims_samples_ms(&stretch->batches, 0.999),
        claims_samples_ms(&stretch->steps, 0.5), claims_samples_ms(&stretch->steps, 0.999));
    claims_rate_done(stretch);
    *stretch = (struct claims_rate){0};
}

void claims_grow(const struct claims_options *options, struct claims_box *box,
                 struct claims_grown *ret_grown)
{
    const struct claims_window at_1m = claims_window_1m(options->claims);
    const struct claims_window at_n = claims_window_n(options->claims);
    const int64_t told = options->claims < LARGE ? options->claims / 10 : LARGE / 10;
    struct claims_rate stretch = {0};
    *ret_grown = (struct claims_grown){0};
    claims_box_open(box);
    const double heap = claims_tool_heap();
    while (box->taken < options->claims) {
        const int64_t number = box->taken;
        const struct claims_cost cost = claims_cost_batch(box, options, INT64_MIN);
        claims_rate_add(&stretch, &cost);
        if (claims_window_has(&at_1m, number)) {
            claims_rate_add(&ret_grown->at_1m, &cost);
        }
        if (claims_window_has(&at_n, number)) {
            claims_rate_add(&ret_grown->at_n, &cost);
        }
        if (stretch.speed.count >= told) {
            tell(box, &stretch);
        }
    }
    claims_rate_done(&stretch);
    ret_grown->memory = (claims_tool_heap() - heap) / (double)box->taken;
    ret_grown->disk = claims_box_bytes(box) / (double)box->taken;
}

/* The disk's moods, and whatever else the machine does, meet both alike. */
void claims_grow_beside(const struct claims_options *options, struct claims_box *box,
                        struct claims_grown *grown)
{
    const int64_t at_1m = claims_window_1m(options->claims).from;
    struct claims_box small;
    claims_box_init(&small, options->folder, "small");
    small.among = options->among;
    claims_box_open(&small);
    while (small.taken < at_1m) {
        (void)claims_cost_batch(&small, options, INT64_MIN);
    }
    while (small.taken < at_1m + options->turns) {
        const struct claims_cost cost_1m = claims_cost_batch(&small, options, INT64_MIN);
        const struct claims_cost cost_n = claims_cost_batch(box, options, INT64_MIN);
        claims_rate_add(&grown->beside_1m, &cost_1m);
        claims_rate_add(&grown->beside_n, &cost_n);
    }
    claims_box_done(&small);
}
