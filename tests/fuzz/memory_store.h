/*
 * memory_store: what a store keeps between batches, in memory, for the target decide: worlds are
 * loaded from it and committed to it. check says the promises of DESIGN 10 that can be seen in it.
 *
 * Written for the machine of schemas/orders.yaml alone. Threads: one. Memory: everything is the
 * arena's and lives as long as the program that is run.
 */
#ifndef OW_TESTS_FUZZ_MEMORY_STORE_H
#define OW_TESTS_FUZZ_MEMORY_STORE_H

#include "model/decide.h"

struct ow_memory_store {
    struct ow_arena *arena;
    const struct ow_machines *machines;
    int64_t next_ref;
    struct ow_claim *claims;
    struct ow_entity *entities; /* with what is parked under them */
    struct ow_row *rows;
    struct ow_history *history, **history_end;
    struct ow_sighting *sightings, **sightings_end;
    struct ow_quarantine *quarantine, **quarantine_end;
};

void ow_memory_store_init(struct ow_memory_store *store, struct ow_arena *arena,
                          const struct ow_machines *machines);
/* A world with nothing in it, at a time. */
void ow_memory_store_begin(const struct ow_memory_store *store, struct ow_world *world,
                           int64_t now_ms);
/* Fills in what is wanted and not loaded. */
void ow_memory_store_load(const struct ow_memory_store *store, struct ow_world *world);
void ow_memory_store_commit(struct ow_memory_store *store, const struct ow_world *world);

/* Breaks a promise where what is kept does not hold together. */
void ow_memory_store_check(const struct ow_memory_store *store);

/* Breaks a promise where a record that was called stale says something that is not stored. */
void ow_memory_store_check_stale(const struct ow_memory_store *store,
                                 const struct ow_record *record);

/* Appends what is kept as text, in an order of its own. business: tables and history without the
 * numbers that depend on the order in which entities came. */
void ow_memory_store_dump(const struct ow_memory_store *store, bool business,
                          struct ow_buffer *out);

#endif
