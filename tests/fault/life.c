#include "life.h"

#include "clock.h"
#include "engine/consume.h"
#include "engine/seed.h"
#include "entropy.h"
#include "handles.h"
#include "random.h"
#include "store/erase.h"
#include "threads.h"
#include "vfs.h"

#include <jansson.h>

enum { SEEDED_CLAIMS = 6 };

/* The wall clock stands still during a step, so that what is written does not depend on when. */
static int64_t wall_ms;

static int64_t tell_now_ms(void *context)
{
    (void)context;
    return wall_ms;
}

static int64_t tell_elapsed_ns(void *context)
{
    (void)context;
    return ow_sim_clock_elapsed_ns();
}

static struct ow_clock the_clock(void)
{
    return (struct ow_clock){.now_ms = tell_now_ms, .elapsed_ns = tell_elapsed_ns};
}

void ow_life_prepare(const struct ow_story *story, size_t step, struct ow_group *group)
{
    const struct ow_story_step *now = &story->steps[step];
    if (now->reset_offset >= 0) {
        group->committed[now->reset_partition].offset = now->reset_offset;
        group->committed[now->reset_partition].metadata[0] = '\0';
    }
}

void ow_life_start_host(uint64_t seed)
{
    static const int64_t boot_ms = INT64_C(1690000000000);
    ow_vfs_reseed(seed);
    ow_entropy_reset(seed);
    ow_threads_reset(seed);
    ow_sim_clock_reset(boot_ms);
}

/* Caches and checkpoints so small that a short story meets spilled pages and many checkpoints. */
static void tune(const struct ow_life *life)
{
    static const char *const caches[] = {"PRAGMA cache_size = 8", "PRAGMA cache_size = 30",
                                         "PRAGMA cache_size = 2000"};
    static const int checkpoints[] = {4, 12, 40, 1000};
    struct ow_random random = ow_random_stream(life->story->seed, 2);
    (void)sqlite3_exec(ow_handles_last(), caches[ow_random_below(&random, 3)], NULL, NULL, NULL);
    (void)sqlite3_wal_autocheckpoint(ow_handles_last(), checkpoints[ow_random_below(&random, 4)]);
}

static enum ow_status open_store(struct ow_life *life)
{
    struct ow_machines *machines = (struct ow_machines *)(uintptr_t)&life->story->machines;
    const struct ow_store_options options = {
        .path = life->path, .clock = the_clock(), .bucket_claims = 9, .piece_claims = 64};
    ow_entropy_reset(life->story->seed); /* a store that is made a second time is the same store */
    OW_TRY(ow_store_open(&options, machines, &life->store, &life->err));
    tune(life);
    if (sqlite3_exec(ow_handles_last(), OW_STORY_TRIGGER, NULL, NULL, NULL) != SQLITE_OK) {
        const bool full = (sqlite3_errcode(ow_handles_last()) & 0xff) == SQLITE_FULL;
        return ow_fail(&life->err, full ? OW_STORE_FULL : OW_STORE_UNKNOWN,
                       "the trigger cannot be made: %s", sqlite3_errmsg(ow_handles_last()));
    }
    return OW_OK;
}

static struct ow_apply_options apply_options(const struct ow_life *life)
{
    return (struct ow_apply_options){.store = life->store,
                                     .machines = &life->story->machines,
                                     .clock = the_clock(),
                                     .record_bytes_max = OW_STORY_RECORD_BYTES_MAX,
                                     .claim_skew_ms = OW_STORY_SKEW_MS};
}

static enum ow_status start(struct ow_life *life)
{
    if (life->store == NULL) {
        OW_TRY(open_store(life));
    }
    if (life->worker != NULL) {
        return OW_OK;
    }
    const struct ow_worker_options options = {
        .apply = apply_options(life),
        .batch_rows = 64,
        .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
        .batch_ms = OW_BATCH_MS_DEFAULT,
        .decode_threads = life->decode_threads,
    };
    return ow_worker_start(&options, &life->worker, &life->err);
}

static void polled(void *context)
{
    struct ow_life *life = context;
    if (life->polled != NULL) {
        life->polled(life);
    }
}

static enum ow_status consume(struct ow_life *life)
{
    OW_TRY(start(life));
    struct ow_group_reader reader = {.group = life->group,
                                     .story = life->story,
                                     .record_end = life->story->steps[life->step].record_end,
                                     .cuts = life->cuts,
                                     .polled = polled,
                                     .context = life};
    const struct ow_consume_options options = {
        .source = ow_group_open(&reader),
        .worker = life->worker,
        .machines = &life->story->machines,
        .clock = the_clock(),
        .store_id = ow_store_id(life->store),
        .epoch = ow_store_epoch(life->store),
        .skips_honoured = true,
        .until_end = true,
        .wait_broker_ms = 60000,
    };
    OW_TRY(ow_consume(&options, &life->err));
    if (life->decode_threads == 0) {
        ow_worker_tick(life->worker);
    }
    return ow_worker_status(life->worker, &life->err);
}

static enum ow_status seed_claims(struct ow_life *life, struct ow_apply *apply,
                                  struct ow_arena *arena)
{
    struct ow_seed_claim list[SEEDED_CLAIMS];
    for (int i = 0; i < SEEDED_CLAIMS; i++) {
        OW_JSON *row = json_pack("{s:s, s:o}", "source", "/s", "id", json_sprintf("x%d", i));
        const char *problem = ow_seed_read_claim(
            &life->story->machines, ow_store_hash_key(life->store), row, arena, &list[i]);
        OW_INVARIANT(problem == NULL);
        list[i].record = (struct ow_record){.topic = OW_SLICE(OW_SEED_NAME), .offset = i};
    }
    size_t claimed = 0;
    return ow_seed_claims(apply, list, SEEDED_CLAIMS, &claimed, &life->err);
}

static enum ow_status seed_entity(struct ow_life *life, struct ow_apply *apply,
                                  struct ow_arena *arena)
{
    struct ow_seed_entity entity;
    enum ow_seeded seeded = OW_SEEDED_ROW_TAKEN;
    OW_JSON *row = json_pack("{s:s, s:s, s:i, s:s}", "id", "seeded", "state", "created",
                             "amount_minor", 9, "currency", "EUR");
    const char *problem = ow_seed_entity_read(life->story->machines.list[0], row, arena, &entity);
    OW_INVARIANT(problem == NULL);
    entity.record = (struct ow_record){.topic = OW_SLICE(OW_SEED_NAME), .offset = 1};
    return ow_seed_entities(apply, &entity, 1, &seeded, &life->err);
}

/* What another system has done before: no worker runs meanwhile. */
static enum ow_status seed(struct ow_life *life)
{
    ow_worker_stop(life->worker);
    life->worker = NULL;
    if (life->store == NULL) {
        OW_TRY(open_store(life));
    }
    struct ow_apply apply;
    struct ow_arena arena;
    const struct ow_apply_options options = apply_options(life);
    ow_arena_init(&arena, (size_t)16 * 1024);
    enum ow_status status = ow_apply_open(&apply, &options, &life->err);
    if (status == OW_OK) {
        status = seed_claims(life, &apply, &arena);
    }
    if (status == OW_OK) {
        status = seed_entity(life, &apply, &arena);
    }
    ow_apply_close(&apply);
    ow_arena_done(&arena);
    return status;
}

static enum ow_status erase(struct ow_life *life)
{
    ow_life_close(life);
    const struct ow_erase_options options = {
        .path = life->path,
        .machines = (struct ow_machines *)(uintptr_t)&life->story->machines,
        .clock = the_clock(),
        .entity = "e2",
        .discard_parked = true};
    struct ow_erasure erasure;
    return ow_erase(&options, &erasure, &life->err);
}

enum ow_status ow_life_do(struct ow_life *life)
{
    const struct ow_story_step *step = &life->story->steps[life->step];
    wall_ms = step->now_ms;
    enum ow_status status = OW_FAILED;
    switch (step->kind) {
    case OW_STORY_CONSUME:
        status = consume(life);
        break;
    case OW_STORY_SEED:
        status = seed(life);
        break;
    case OW_STORY_ERASE:
        status = erase(life);
        break;
    }
    if (status == OW_OK && step->closes) {
        ow_life_close(life);
    }
    return status;
}

void ow_life_close(struct ow_life *life)
{
    ow_worker_stop(life->worker);
    ow_store_close(life->store);
    life->worker = NULL;
    life->store = NULL;
}
