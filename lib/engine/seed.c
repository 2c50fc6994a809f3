#include "engine/seed.h"

#include "engine/batch.h"

static enum ow_status decide_claims(struct ow_apply *apply, const struct ow_seed_claim *list,
                                    size_t count, size_t *ret_claimed, struct ow_err *err)
{
    struct ow_world *world = &apply->world;
    OW_TRY(ow_batch_begin(apply, err));
    for (size_t i = 0; i < count; i++) {
        (void)ow_world_claim(world, list[i].key, list[i].retention_ms);
    }
    OW_TRY(ow_store_read(apply->options.store, world, err));
    *ret_claimed = 0;
    for (size_t i = 0; i < count; i++) {
        *ret_claimed += ow_decide_seed_claim(world, &list[i]);
    }
    return OW_OK;
}

/* Ends what was decided: changes are committed, without any there is no commit. */
static enum ow_status end(struct ow_apply *apply, enum ow_status status, bool changed,
                          struct ow_err *err)
{
    if (status == OW_OK && changed) {
        status = ow_batch_write(apply, err);
    }
    if (status == OW_OK && changed) {
        status = ow_batch_commit(apply, err);
    }
    if (status != OW_OK || !changed) {
        ow_batch_roll_back(apply);
    }
    return status;
}

/* Full buckets get their filters between two transactions, or each look-up would ask them all.
 * Nothing is pruned: stream time is not known. */
static enum ow_status tend(struct ow_apply *apply, struct ow_err *err)
{
    enum { ROWS = 100000 };
    const struct ow_tending tending = {
        .now_ms = ow_clock_now_ms(&apply->options.clock), .limit_ms = INT64_MIN, .rows = ROWS};
    bool more = true;
    while (more) {
        OW_TRY(ow_store_tend(apply->options.store, &tending, &more, err));
    }
    return OW_OK;
}

enum ow_status ow_seed_claims(struct ow_apply *apply, const struct ow_seed_claim *list,
                              size_t count, size_t *ret_claimed, struct ow_err *err)
{
    size_t claimed = 0;
    enum ow_status status = decide_claims(apply, list, count, &claimed, err);
    OW_TRY(end(apply, status, claimed > 0, err));
    *ret_claimed = claimed;
    return tend(apply, err);
}

static enum ow_status decide_entities(struct ow_apply *apply, const struct ow_seed_entity *list,
                                      size_t count, enum ow_seeded *seeded, struct ow_err *err)
{
    struct ow_world *world = &apply->world;
    OW_TRY(ow_batch_begin(apply, err));
    for (size_t i = 0; i < count; i++) {
        (void)ow_world_entity(world, list[i].machine, list[i].id);
        for (const struct ow_seed_row *row = list[i].rows; row != NULL; row = row->next) {
            (void)ow_world_row(world, list[i].machine, row->table, row->key);
        }
    }
    OW_TRY(ow_store_read(apply->options.store, world, err));
    ow_batch_decode_parked(apply);
    OW_TRY(ow_store_read(apply->options.store, world, err)); /* what these would record */
    for (size_t i = 0; i < count; i++) {
        seeded[i] = ow_decide_seed_entity(world, &list[i]);
    }
    return OW_OK;
}

enum ow_status ow_seed_entities(struct ow_apply *apply, const struct ow_seed_entity *list,
                                size_t count, enum ow_seeded *ret_seeded, struct ow_err *err)
{
    bool changed = false;
    enum ow_status status = decide_entities(apply, list, count, ret_seeded, err);
    for (size_t i = 0; status == OW_OK && i < count; i++) {
        changed = changed || ret_seeded[i] == OW_SEEDED;
        if (ret_seeded[i] == OW_SEEDED_ROW_TAKEN) {
            status = ow_fail(err, OW_RECORD_REFUSED,
                             "a row that it brings is there already, of another entity");
        }
    }
    return end(apply, status, changed, err);
}
