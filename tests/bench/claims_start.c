/* A start: with its filters, and without them. */
#include "claims.h"

static double open_it(struct claims_box *box)
{
    const double start = claims_tool_now();
    claims_box_open(box);
    return claims_tool_now() - start;
}

static double look(struct claims_box *box, size_t batches, size_t keys)
{
    struct claims_samples samples = {0};
    for (size_t i = 0; i < batches; i++) {
        claims_samples_add(&samples, claims_box_look(box, keys));
    }
    const double ns = 1e6 * claims_samples_ms(&samples, 0.5) / (double)keys;
    claims_samples_done(&samples);
    return ns;
}

void claims_start(struct claims_box *box, struct claims_started *ret_started)
{
    *ret_started = (struct claims_started){0};
    claims_box_tend_all(box);
    claims_box_close(box);
    ret_started->warm = open_it(box);
    const double heap = claims_tool_heap();
    ret_started->look_ns = look(box, 21, 5000);
    claims_box_close(box);
    claims_box_cool(box);
    ret_started->cold = open_it(box);
    claims_box_close(box);
    (void)claims_box_sql(box, "DELETE FROM ow_filter");
    ret_started->bare = open_it(box);
    ret_started->filters = (heap - claims_tool_heap()) / (double)box->taken;
    ret_started->plain_ns = look(box, 3, 1000);
    const double start = claims_tool_now();
    claims_box_tend_all(box);
    ret_started->rebuilt = claims_tool_now() - start;
}
