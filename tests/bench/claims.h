/*
 * claims: the parts of `./dev bench claims`, which claims.c puts together.
 *
 * Each leaves its results and prints a table; what takes long is told on stderr. Threads: one.
 * Failure: ends the process, also where an answer of the store was wrong.
 */
#ifndef OW_BENCH_CLAIMS_H
#define OW_BENCH_CLAIMS_H

#include "claims_box.h"
#include "claims_pace.h"

struct claims_options {
    int64_t claims; /* live ones, N */
    int64_t single; /* in the table that is compared */
    int64_t orders; /* 0: none */
    int64_t look;   /* in each of the two stores whose look-ups are compared */
    int64_t prune;  /* buckets */
    int64_t turns;  /* new claims in each of two stores by turns */
    int64_t batch;  /* new claims a transaction */
    int64_t again;  /* redelivered ones, in % of the new ones */
    int64_t among;  /* so many of the newest claims; however many there are, the work is the same */
    int64_t bucket; /* claims in the buckets of the store that grows; 0: as the store likes it */
    const char *folder;
};

/* What a stretch of claims has cost, with all that was tended. */
struct claims_rate {
    struct claims_speed speed;
    struct ow_claim_probes probes;
    struct claims_samples batches, steps;
};
double claims_rate_lookups(const struct claims_rate *rate); /* in the table, a key */
double claims_rate_false(const struct claims_rate *rate);   /* look-ups in vain, in % of the keys */
void claims_rate_done(struct claims_rate *rate);

/* One batch, and one look at what is to be tended (step: 0 s without one). */
struct claims_cost {
    int64_t claims;
    double batch, step, cpu; /* s */
    struct ow_claim_probes probes;
};
struct claims_cost claims_cost_batch(struct claims_box *box, const struct claims_options *options,
                                     int64_t limit_ms);
void claims_rate_add(struct claims_rate *rate, const struct claims_cost *cost);

/* claims_grow.c: a store grows to N claims. */
struct claims_grown {
    struct claims_rate at_1m, at_n;         /* on the way */
    struct claims_rate beside_1m, beside_n; /* a batch here, a batch there */
    double memory, disk;                    /* bytes a claim */
};
void claims_grow(const struct claims_options *options, struct claims_box *box,
                 struct claims_grown *ret_grown);
/* At the end: another store with about 1 million claims and this one take turns. */
void claims_grow_beside(const struct claims_options *options, struct claims_box *box,
                        struct claims_grown *grown);

/* claims_prune.c: buckets go while new claims come. */
struct claims_pruned {
    int64_t buckets, claims;
    double grown_bytes; /* of the file */
    struct claims_rate rate;
};
void claims_prune(const struct claims_options *options, struct claims_box *box,
                  struct claims_pruned *ret_pruned);

/* claims_start.c: the store is closed and opened again, at last without its filters. */
struct claims_started {
    double warm, cold; /* s */
    double filters;    /* bytes a claim that opening takes less from malloc without them */
    double bare;       /* s to open without filters */
    double plain_ns;   /* a look-up then */
    double look_ns;    /* with filters */
    double rebuilt;    /* s until all are there again */
};
void claims_start(struct claims_box *box, struct claims_started *ret_started);

/* claims_look.c: the same claims in one sealed bucket and in a thousand. */
struct claims_looked {
    double one_ns, thousand_ns;
    int64_t one, thousand; /* buckets */
};
void claims_look(const struct claims_options *options, struct claims_looked *ret_looked);

/* claims_single.c: one table keyed by the key alone. */
struct claims_singled {
    int64_t claims;
    struct claims_pace pace;
    double disk; /* bytes a claim */
};
void claims_single(const struct claims_options *options, struct claims_singled *ret_singled);

/* claims_orders.c: orders, from bytes to COMMIT. */
struct claims_ordered {
    int64_t orders;
    struct claims_pace pace;
    double disk; /* bytes an order */
};
void claims_orders(const struct claims_options *options, struct claims_ordered *ret_ordered);

#endif
