/*
 * claims_box: a store with claims whose keys follow from their numbers, 0, 1, 2, …, so that it is
 * known which are there and with which ref: number + 1, for nothing else takes refs.
 *
 * Claims alone, without the rows that own them: `onceward verify` would call them orphans.
 *
 * Threads: one. Failure: ends the process.
 */
#ifndef OW_BENCH_CLAIMS_BOX_H
#define OW_BENCH_CLAIMS_BOX_H

#include "claims_tool.h"
#include "model/machine.h"
#include "store/store.h"

struct claims_box {
    char path[512];
    struct ow_machines machines;
    struct ow_clock clock;
    struct ow_clock_manual manual; /* where clock is of it */
    struct ow_store *store;
    struct ow_arena arena;
    struct ow_world world;
    struct ow_err err;
    int64_t bucket_claims; /* 0: as the store likes it */
    int64_t class_ms;
    int64_t taken;   /* claims, the first numbers */
    int64_t among;   /* what is redelivered is of so many of the newest */
    int64_t pruned;  /* so many of the first may be gone */
    bool more;       /* there is more to tend */
    double tended;   /* when it was last looked at */
    uint64_t random; /* state */
};

/* A new store of that name in the folder; what was there is removed. */
void claims_box_init(struct claims_box *box, const char *folder, const char *name);
void claims_box_open(struct claims_box *box);
void claims_box_close(struct claims_box *box);
/* Closes and removes. */
void claims_box_done(struct claims_box *box);

void claims_box_key(int64_t number, uint8_t ret_key[OW_CLAIM_KEY_BYTES]);

/* One transaction: so many new claims, and as many that are there already; every answer is checked.
 */
void claims_box_take(struct claims_box *box, size_t fresh, size_t again);
/* The seconds that the store needs to say that so many keys are free. */
double claims_box_look(struct claims_box *box, size_t keys);

/* Between two batches, as lib/engine/worker_apply.c does it: a step where there is more to do, else
 * once a second. Returns whether there was one. */
bool claims_box_tend(struct claims_box *box, size_t batch, int64_t limit_ms);
/* A step of so many rows. */
void claims_box_step(struct claims_box *box, size_t rows, int64_t limit_ms);
/* All that is to be done. */
void claims_box_tend_all(struct claims_box *box);

/* Of the database file, with what is in the WAL written back. */
double claims_box_bytes(struct claims_box *box);
/* Runs SQL on the closed store and returns the first number of the last statement. */
int64_t claims_box_sql(const struct claims_box *box, const char *sql);
/* Asks the kernel to forget what it has of the file in memory. */
void claims_box_cool(const struct claims_box *box);

/* The machine of the orders. */
void claims_box_machines(struct ow_machines *machines);

#endif
