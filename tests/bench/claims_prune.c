/* Buckets are pruned while new claims come in, one step after each batch. */
#include "claims.h"

#include <inttypes.h>
#include <stdio.h>

static int64_t ask(const struct claims_box *box, const char *what, int64_t buckets)
{
    char sql[256];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT %s FROM (SELECT * FROM ow_bucket WHERE sealed_at_ms IS NOT NULL"
                   " ORDER BY bucket LIMIT %" PRId64 ")",
                   what, buckets);
    return claims_box_sql(box, sql);
}

static bool are_gone(const struct claims_box *box, int64_t last_bucket)
{
    char sql[256];
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM ow_bucket WHERE bucket <= %" PRId64,
                   last_bucket);
    return claims_box_sql(box, sql) == 0;
}

void claims_prune(const struct claims_options *options, struct claims_box *box,
                  struct claims_pruned *ret_pruned)
{
    enum { BATCHES = 10 }; /* between two looks at what is there still */
    *ret_pruned = (struct claims_pruned){0};
    claims_box_tend_all(box); /* no filter is in work: each step is one of pruning */
    ret_pruned->buckets = ask(box, "count(*)", options->prune);
    if (ret_pruned->buckets == 0) {
        return;
    }
    const int64_t last_bucket = ask(box, "max(bucket)", options->prune);
    const int64_t limit_ms = ask(box, "max(sealed_at_ms)", options->prune) + box->class_ms;
    ret_pruned->claims = ask(box, "sum(claims)", options->prune);
    box->pruned += ret_pruned->claims;
    box->more = true;
    const double bytes = claims_box_bytes(box);
    while (!are_gone(box, last_bucket)) {
        for (int i = 0; i < BATCHES; i++) {
            const struct claims_cost cost = claims_cost_batch(box, options, limit_ms);
            claims_rate_add(&ret_pruned->rate, &cost);
        }
    }
    ret_pruned->grown_bytes = claims_box_bytes(box) - bytes;
}
