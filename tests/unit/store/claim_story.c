#include "claim_story.h"

#include "store/internal.h"

#include <sqlite3.h>

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define HOUR_MS INT64_C(3600000)

static const char machine[] =
    "machine: things\nversion: 1\ntopics: [order-events]\n"
    "message: { format: cloudevents, entity: /data/order_id }\n"
    "claim: { space: s, key: [source, id], fingerprint: [type, /data], retention: 8d }\n"
    "entity: { table: things, key: thing_id, columns: { size: { type: integer } } }\n"
    "states: { made: {}, moved: {}, gone: {} }\n"
    "events:\n"
    "  made: [ { from: none, to: made, set: { size: /data/size } } ]\n"
    "  moved: { claim: { retention: 2d }, transitions: [ { from: made, to: moved } ] }\n"
    "  gone: { claim: { retention: 16h }, transitions: [ { from: moved, to: gone } ] }\n";

const int64_t ow_story_class_ms[OW_STORY_KINDS] = {192 * HOUR_MS, 48 * HOUR_MS, 16 * HOUR_MS};
static const char *const kinds[OW_STORY_KINDS] = {"made", "moved", "gone"};

uint64_t ow_story_random(struct ow_story *story, uint64_t below)
{
    uint64_t x = story->random += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (x ^ (x >> 31)) % below;
}

void ow_story_init(struct ow_story *story, uint64_t seed, int64_t bucket_claims)
{
    *story = (struct ow_story){.seed = seed, .random = seed};
    ow_fixture_init_with(&story->fixture, machine);
    story->fixture.bucket_claims = bucket_claims;
    for (int kind = 0; kind < OW_STORY_KINDS; kind++) {
        story->horizon_ms[kind] = INT64_MIN;
    }
    ow_fixture_open(&story->fixture);
}

void ow_story_done(struct ow_story *story)
{
    free(story->told);
    ow_fixture_done(&story->fixture);
}

static struct ow_told *add(struct ow_story *story)
{
    if (story->count == story->capacity) {
        story->capacity = story->capacity == 0 ? 256 : 2 * story->capacity;
        story->told = reallocarray(story->told, story->capacity, sizeof(*story->told));
        assert_non_null(story->told);
    }
    struct ow_told *told = &story->told[story->count++];
    const int64_t now_ms = story->fixture.clock.now_ms;
    *told = (struct ow_told){.claimed_at_ms = now_ms, .happened_ms = now_ms - story->wrong_ms};
    return told;
}

static enum ow_outcome judge(struct ow_story *story, int64_t number, int kind)
{
    struct ow_fixture *fixture = &story->fixture;
    char value[512];
    const int len = snprintf(
        value, sizeof(value),
        "{\"specversion\":\"1.0\",\"id\":\"e%" PRId64 "\",\"source\":\"/s\",\"type\":\"%s\","
        "\"time\":\"2026-11-22T10:00:00Z\",\"data\":{\"order_id\":\"o%" PRId64 "\",\"size\":%d}}",
        number, kinds[kind], number, kind);
    assert_true(len > 0 && (size_t)len < sizeof(value));
    struct ow_record *record = OW_ARENA_NEW(&fixture->arena, struct ow_record);
    *record = (struct ow_record){
        .topic = ow_slice_of(fixture->topic),
        .offset = fixture->position_offset++,
        .timestamp_ms = fixture->clock.now_ms - story->wrong_ms,
        .value = ow_arena_copy(&fixture->arena, ow_slice_of(value)),
    };
    return ow_fixture_judge(fixture, record);
}

/* What the claim that was just taken is. */
static void note(struct ow_story *story, struct ow_told *told, const struct ow_claim *claim)
{
    assert_true(claim->fresh);
    if (claim->ref <= 0) {
        fail_msg("seed %" PRIu64 ": a claim without a ref", story->seed);
    }
    memcpy(told->key, claim->key, sizeof(told->key));
    memcpy(told->fingerprint, claim->fingerprint, sizeof(told->fingerprint));
    told->ref = claim->ref;
}

static void tell_new(struct ow_story *story, int kind)
{
    const int64_t number = ++story->last_number;
    const enum ow_outcome outcome = judge(story, number, kind);
    if (outcome != (kind == 0 ? OW_OUTCOME_APPLIED : OW_OUTCOME_PARKED)) {
        fail_msg("seed %" PRIu64 ": new record %" PRId64 " is %s", story->seed, number,
                 ow_outcome_text(outcome));
    }
    struct ow_told *told = add(story);
    told->number = number;
    told->kind = kind;
    note(story, told, story->fixture.world.claims); /* the newest first */
}

/* One that was committed once: a duplicate, unless its claim was pruned. */
static void tell_again(struct ow_story *story, size_t at)
{
    const struct ow_told old = story->told[at];
    for (size_t i = at + 1; i < story->count; i++) {
        if (story->told[i].number == old.number) {
            return; /* claimed anew since */
        }
    }
    const enum ow_outcome outcome = judge(story, old.number, old.kind);
    if ((outcome == OW_OUTCOME_DUPLICATE) == old.pruned) {
        fail_msg("seed %" PRIu64 ": record %" PRId64 ", whose claim is %s, is %s", story->seed,
                 old.number, old.pruned ? "pruned" : "kept", ow_outcome_text(outcome));
    }
    if (old.pruned) {
        struct ow_told *told = add(story);
        told->number = old.number;
        told->kind = old.kind;
        note(story, told, ow_world_claim(&story->fixture.world, old.key, 0));
    }
}

static void tell_some(struct ow_story *story)
{
    const uint64_t count = ow_story_random(story, 12);
    for (uint64_t i = 0; i < count; i++) {
        if (story->committed == 0 || ow_story_random(story, 4) > 0) {
            tell_new(story, (int)ow_story_random(story, OW_STORY_KINDS));
        } else {
            tell_again(story, ow_story_random(story, story->committed));
        }
    }
}

static void must_write(struct ow_story *story)
{
    if (ow_fixture_write(&story->fixture) != OW_OK) {
        fail_msg("seed %" PRIu64 ": write: %s", story->seed, story->fixture.err.text);
    }
}

/* Where the new ones went. */
static void find_buckets(struct ow_story *story)
{
    if (story->committed == story->count) {
        return;
    }
    sqlite3 *handle = NULL;
    sqlite3_stmt *read = NULL;
    size_t found = 0;
    assert_int_equal(sqlite3_open_v2(story->fixture.path, &handle, SQLITE_OPEN_READONLY, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle,
                                        "SELECT ref, bucket FROM ow_claims WHERE ref >= ?"
                                        " ORDER BY ref",
                                        -1, &read, NULL),
                     SQLITE_OK);
    sqlite3_bind_int64(read, 1, story->told[story->committed].ref);
    while (sqlite3_step(read) == SQLITE_ROW) {
        struct ow_told *told = &story->told[story->committed + found++];
        assert_int_equal(told->ref, sqlite3_column_int64(read, 0));
        told->bucket = sqlite3_column_int64(read, 1);
    }
    assert_int_equal(found, story->count - story->committed);
    sqlite3_finalize(read);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    story->committed = story->count;
}

static void commit(struct ow_story *story)
{
    ow_fixture_commit(&story->fixture);
    find_buckets(story);
}

void ow_story_take(struct ow_story *story, int kind, size_t count)
{
    ow_fixture_begin(&story->fixture);
    for (size_t i = 0; i < count; i++) {
        tell_new(story, kind);
    }
    must_write(story);
    commit(story);
}

struct mark {
    size_t count;
    int64_t next_ref, offset;
    struct ow_position position;
};

static struct mark mark(struct ow_story *story)
{
    struct mark made = {.count = story->count,
                        .next_ref = story->fixture.world.next_ref,
                        .offset = story->fixture.position_offset};
    ow_position_copy(&made.position, &story->fixture.kept, &story->fixture.position);
    return made;
}

static void go_back(struct ow_story *story, const struct mark *to)
{
    story->count = to->count;
    story->fixture.world.next_ref = to->next_ref;
    story->fixture.position_offset = to->offset;
    story->fixture.position = to->position;
}

/* As when a batch is judged again record by record. */
static void tell_under_savepoint(struct ow_story *story)
{
    struct ow_fixture *fixture = &story->fixture;
    const struct mark before = mark(story);
    assert_int_equal(ow_store_savepoint(fixture->store, &fixture->err), OW_OK);
    ow_world_reset(&fixture->world, &fixture->arena, &fixture->machines, fixture->clock.now_ms);
    fixture->world.next_ref = before.next_ref;
    tell_some(story);
    must_write(story);
    if (ow_story_random(story, 3) == 0) {
        assert_int_equal(ow_store_rollback_to(fixture->store, &fixture->err), OW_OK);
        go_back(story, &before);
        return;
    }
    assert_int_equal(ow_store_release(fixture->store, &fixture->err), OW_OK);
    ow_position_copy(&fixture->position, &fixture->kept, &fixture->position);
    /* What was written must not be written again. */
    const int64_t next_ref = fixture->world.next_ref;
    ow_world_reset(&fixture->world, &fixture->arena, &fixture->machines, fixture->clock.now_ms);
    fixture->world.next_ref = next_ref;
}

void ow_story_batch(struct ow_story *story)
{
    const struct mark before = mark(story);
    ow_fixture_begin(&story->fixture);
    const uint64_t savepoints = ow_story_random(story, 2) == 0 ? 0 : ow_story_random(story, 5);
    if (savepoints == 0) {
        tell_some(story);
        must_write(story);
    }
    for (uint64_t i = 0; i < savepoints; i++) {
        tell_under_savepoint(story);
    }
    if (ow_story_random(story, 5) == 0) {
        ow_store_rollback(story->fixture.store);
        go_back(story, &before);
        return;
    }
    commit(story);
}

int64_t ow_story_horizon_ms(const struct ow_story *story, int kind)
{
    const struct ow_machine *things = story->fixture.machines.list[0];
    return ow_store_horizon_ms(story->fixture.store, things,
                               ow_machine_event(things, ow_slice_of(kinds[kind])), 0);
}

/* By the time that it was given; where that of its bucket may lie in the future (one is of an
 * eighth of a retention), by when it really came. */
static bool is_over(const struct ow_story *story, const struct ow_told *told)
{
    const int64_t class_ms = ow_story_class_ms[told->kind];
    const int64_t since_ms = told->claimed_at_ms > story->fixture.clock.now_ms - class_ms / 8
                                 ? told->happened_ms
                                 : told->claimed_at_ms;
    return since_ms <= story->limit_ms - class_ms;
}

/* What has been doomed since: it was its time, and the horizon covers it. */
static void take_doom(struct ow_story *story)
{
    const struct ow_store *store = story->fixture.store;
    for (int kind = 0; kind < OW_STORY_KINDS; kind++) {
        const int64_t class_ms = ow_story_class_ms[kind];
        int64_t below = 0;
        int64_t horizon_ms = INT64_MIN;
        for (size_t i = 0; i < store->horizon_count; i++) {
            if (store->horizons[i].class_ms == class_ms) {
                below = store->horizons[i].below_bucket;
                horizon_ms = ow_story_horizon_ms(story, kind);
            }
        }
        if (horizon_ms < story->horizon_ms[kind]) {
            fail_msg("seed %" PRIu64 ": the horizon of class %" PRId64 " went back", story->seed,
                     class_ms);
        }
        if (horizon_ms > story->horizon_ms[kind] && horizon_ms > story->limit_ms - class_ms) {
            fail_msg("seed %" PRIu64 ": the horizon of class %" PRId64
                     " is less than a retention ago",
                     story->seed, class_ms);
        }
        story->horizon_ms[kind] = horizon_ms;
        for (size_t i = 0; i < story->committed; i++) {
            struct ow_told *told = &story->told[i];
            if (told->kind != kind || told->pruned || told->bucket >= below) {
                continue;
            }
            told->pruned = true;
            if (told->happened_ms > horizon_ms || !is_over(story, told)) {
                fail_msg("seed %" PRIu64 ": claimed at %" PRId64 ", really %" PRId64
                         ", and pruned at %" PRId64 " with the horizon %" PRId64,
                         story->seed, told->claimed_at_ms, told->happened_ms, story->limit_ms,
                         horizon_ms);
            }
        }
    }
}

enum ow_status ow_story_try_tend(struct ow_story *story, int64_t limit_ms, size_t rows,
                                 bool *ret_more)
{
    const struct ow_tending tending = {
        .now_ms = story->fixture.clock.now_ms, .limit_ms = limit_ms, .rows = rows};
    story->limit_ms = limit_ms;
    const enum ow_status status =
        ow_store_tend(story->fixture.store, &tending, ret_more, &story->fixture.err);
    take_doom(story);
    return status;
}

bool ow_story_tend(struct ow_story *story, int64_t limit_ms, size_t rows)
{
    bool more = false;
    if (ow_story_try_tend(story, limit_ms, rows, &more) != OW_OK) {
        fail_msg("seed %" PRIu64 ": tend: %s", story->seed, story->fixture.err.text);
    }
    return more;
}

void ow_story_tend_all(struct ow_story *story, int64_t limit_ms)
{
    int64_t steps = 0;
    while (ow_story_tend(story, limit_ms, 1000)) {
        if (++steps > 100000) {
            fail_msg("seed %" PRIu64 ": there is no end to it", story->seed);
        }
    }
}

void ow_story_reopen(struct ow_story *story)
{
    ow_fixture_close(&story->fixture);
    ow_fixture_open(&story->fixture);
    take_doom(story); /* a commit that was said to have failed may be there */
}

static void copy(const char *from, const char *to)
{
    static char bytes[65536];
    FILE *in = fopen(from, "re");
    (void)unlink(to);
    if (in == NULL) {
        return;
    }
    FILE *out = fopen(to, "we");
    assert_non_null(out);
    size_t len = 0;
    while ((len = fread(bytes, 1, sizeof(bytes), in)) > 0) {
        assert_int_equal(fwrite(bytes, 1, len, out), len);
    }
    assert_int_equal(fclose(out), 0);
    assert_int_equal(fclose(in), 0);
}

void ow_story_crash(struct ow_story *story)
{
    char names[4][128];
    const char *const path = story->fixture.path;
    (void)snprintf(names[0], sizeof(names[0]), "%s-wal", path);
    (void)snprintf(names[1], sizeof(names[1]), "%s-shm", path);
    (void)snprintf(names[2], sizeof(names[2]), "%s.kept", path);
    (void)snprintf(names[3], sizeof(names[3]), "%s.kept-wal", path);
    copy(path, names[2]);
    copy(names[0], names[3]);
    ow_fixture_close(&story->fixture);
    (void)unlink(names[1]);
    copy(names[2], path);
    copy(names[3], names[0]);
    ow_fixture_open(&story->fixture);
}
