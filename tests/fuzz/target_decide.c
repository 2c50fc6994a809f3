/*
 * decide: a byte string is a program of orders (program.h), judged over worlds in memory. After
 * every batch the promises of DESIGN 10 hold (memory_store.h); batches of one record come to the
 * same as those of the program; reading everything once more changes nothing; and where orders
 * share no ids, it makes no difference which order's events come first.
 */
#include "memory_store.h"
#include "program.h"

enum { BATCH_MAX = 64, HOUR_MS = 3600000 };

struct delivery {
    const struct ow_event *event;
    bool reread;
};

/* One way of running a program. */
struct run {
    const struct ow_program *program;
    struct ow_memory_store store;
    size_t batch_max;
    bool check_each; /* batch */
    struct delivery batch[BATCH_MAX];
    size_t batch_count;
    int64_t now_ms, horizon_ms;
    bool poison, poison_wake; /* the next record */
    const struct ow_event *past[OW_PROGRAM_STEPS_MAX];
    int64_t past_count;
};

static const struct ow_machines *machines(void)
{
    static struct ow_machines all;
    if (all.count == 0) {
        ow_machines_init(&all);
        ow_fuzz_add_file(&all, "schemas/orders.yaml");
    }
    return &all;
}

/* The longest waiting of an event's order, 0: none. */
static int64_t first_parked(const struct ow_world *world, const struct ow_event *event)
{
    const struct ow_entity *entity = world->entities;
    while (entity != NULL && !ow_slice_equal(entity->id, event->entity_id)) {
        entity = entity->next;
    }
    return entity == NULL || entity->parked == NULL ? 0 : entity->parked->id;
}

static void want_and_load(const struct run *run, struct ow_world *world)
{
    for (size_t i = 0; i < run->batch_count; i++) {
        ow_world_want(world, run->batch[i].event);
        if (run->batch[i].reread) {
            (void)ow_world_quarantine_at(world, run->batch[i].event->record);
        }
    }
    ow_memory_store_load(&run->store, world);
    for (size_t i = 0; i < run->batch_count; i++) {
        ow_world_want_conflict(world, run->batch[i].event);
    }
    ow_memory_store_load(&run->store, world);
}

static void check_decision(const struct delivery *delivery, const struct ow_decision *decision)
{
    const bool has_reason = decision->reason != OW_REASON_NONE;
    OW_PROMISE(has_reason == (decision->outcome == OW_OUTCOME_QUARANTINED));
    if (delivery->event->verdict != OW_OUTCOME_APPLIED) {
        OW_PROMISE(decision->outcome == OW_OUTCOME_QUARANTINED && decision->ref == 0);
    }
    if (delivery->reread) { /* all that was read has its claim, or its row */
        OW_PROMISE(decision->outcome == OW_OUTCOME_DUPLICATE ||
                   decision->outcome == OW_OUTCOME_QUARANTINED);
        OW_PROMISE(decision->ref == 0);
    }
}

/* Judges what has come in one transaction. */
static void flush(struct run *run)
{
    if (run->batch_count == 0) {
        return;
    }
    struct ow_world world;
    ow_memory_store_begin(&run->store, &world, run->now_ms);
    want_and_load(run, &world);
    for (size_t i = 0; i < run->batch_count; i++) {
        const int64_t parked = first_parked(&world, run->batch[i].event);
        const struct ow_judging judging = {.horizon_ms = run->horizon_ms,
                                           .reread = run->batch[i].reread,
                                           .poison = run->poison,
                                           .poison_parked = &parked,
                                           .poison_parked_count =
                                               run->poison_wake && parked != 0 ? 1 : 0,
                                           .poison_detail = "refused"};
        struct ow_decision decision;
        ow_decide(&world, run->batch[i].event, &judging, &decision);
        check_decision(&run->batch[i], &decision);
    }
    ow_memory_store_commit(&run->store, &world);
    for (const struct ow_sighting *row = world.sightings; row != NULL; row = row->next) {
        if (strcmp(row->cause, "stale") == 0) {
            ow_memory_store_check_stale(&run->store, row->record);
        }
    }
    run->batch_count = 0;
    run->poison = run->poison_wake = false;
    if (run->check_each) {
        ow_memory_store_check(&run->store);
    }
}

static void deliver(struct run *run, const struct ow_event *event, bool reread)
{
    run->batch[run->batch_count++] = (struct delivery){.event = event, .reread = reread};
    /* What the store refuses is judged alone. */
    if (run->batch_count == run->batch_max || run->poison || run->poison_wake) {
        flush(run);
    }
}

/* Those whose time is over. */
static void time_out(struct run *run)
{
    struct ow_world world;
    ow_memory_store_begin(&run->store, &world, run->now_ms);
    for (const struct ow_entity *entity = run->store.entities; entity != NULL;
         entity = entity->next) {
        (void)ow_world_entity(&world, entity->machine, entity->id);
    }
    ow_memory_store_load(&run->store, &world);
    for (struct ow_entity *entity = world.entities; entity != NULL; entity = entity->next) {
        for (struct ow_parked *parked = entity->parked; parked != NULL; parked = parked->next) {
            if (parked->deadline_ms <= run->now_ms) {
                ow_decide_park_timeout(&world, parked);
            }
        }
    }
    ow_memory_store_commit(&run->store, &world);
}

static void play(struct run *run, const struct ow_step *step)
{
    if (step->kind == OW_STEP_RECORD) {
        run->past[run->past_count++] = step->event;
        deliver(run, step->event, false);
        return;
    }
    flush(run);
    switch (step->kind) {
    case OW_STEP_REREAD:
        for (int64_t at = step->count < run->past_count ? run->past_count - step->count : 0;
             at < run->past_count; at++) {
            deliver(run, run->past[at], true);
        }
        flush(run);
        break;
    case OW_STEP_POISON:
        run->poison = true;
        break;
    case OW_STEP_POISON_WAKE:
        run->poison_wake = true;
        break;
    case OW_STEP_HORIZON:
        run->horizon_ms = OW_PROGRAM_START_MS + (run->past_count - step->count) * 1000;
        break;
    case OW_STEP_CLOCK:
        run->now_ms += step->count * HOUR_MS;
        time_out(run);
        break;
    case OW_STEP_COMMIT:
    case OW_STEP_RECORD:
        break;
    }
}

static struct run *begin(struct ow_arena *arena, const struct ow_program *program, size_t batch_max)
{
    struct run *const run = OW_ARENA_NEW(arena, struct run);
    run->program = program;
    run->batch_max = batch_max;
    run->now_ms = OW_PROGRAM_START_MS;
    run->horizon_ms = INT64_MIN;
    ow_memory_store_init(&run->store, arena, machines());
    return run;
}

/* order: only that order's steps (-1: those of none); ALL: everything. */
enum { ALL = -2 };
static void play_all(struct run *run, int order)
{
    for (size_t i = 0; i < run->program->step_count; i++) {
        const struct ow_step *const step = &run->program->steps[i];
        if (order == ALL || (step->kind == OW_STEP_RECORD && step->order == order)) {
            play(run, step);
        }
    }
    flush(run);
    ow_memory_store_check(&run->store);
}

static struct ow_slice dump(const struct run *run, bool business)
{
    OW_BUFFER out = {0};
    ow_memory_store_dump(&run->store, business, &out);
    return ow_arena_copy(run->store.arena, ow_buffer_view(&out));
}

/* All records once more, at other offsets, as a producer would send them again. */
static void check_replay(struct run *run)
{
    const struct ow_slice before = dump(run, true);
    struct ow_arena *const arena = run->store.arena;
    run->horizon_ms = INT64_MIN;
    run->poison = run->poison_wake = false;
    for (int64_t i = 0; i < run->past_count; i++) {
        struct ow_record *const record = OW_ARENA_NEW(arena, struct ow_record);
        struct ow_event *const event = OW_ARENA_NEW(arena, struct ow_event);
        *record = *run->past[i]->record;
        record->offset += OW_PROGRAM_STEPS_MAX;
        *event = *run->past[i];
        event->record = record;
        deliver(run, event, false);
    }
    flush(run);
    ow_memory_store_check(&run->store);
    OW_PROMISE(ow_slice_equal(dump(run, true), before));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct ow_arena arena;
    ow_arena_init(&arena, (size_t)1 << 18);
    struct ow_program *const program = OW_ARENA_NEW(&arena, struct ow_program);
    ow_program_read(program, (struct ow_slice){bytes, len}, machines(), &arena);

    struct run *const batches = begin(&arena, program, BATCH_MAX);
    batches->check_each = true;
    play_all(batches, ALL);
    const struct ow_slice expected = dump(batches, true);

    struct run *const singles = begin(&arena, program, 1);
    play_all(singles, ALL);
    OW_PROMISE(ow_slice_equal(dump(singles, false), dump(batches, false)));

    if (program->is_private && program->has_records_only) {
        struct run *const sorted = begin(&arena, program, BATCH_MAX);
        for (int order = 3; order >= -1; order--) {
            play_all(sorted, order);
        }
        OW_PROMISE(ow_slice_equal(dump(sorted, true), expected));
    }
    check_replay(batches);
    ow_arena_done(&arena);
    return 0;
}
