#include "claim_story.h"
#include "store/internal.h"
#include "store/verify.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void check_claim(struct ow_story *story, const struct ow_told *told)
{
    const struct ow_claim *claim = ow_world_claim(&story->fixture.world, told->key, 1);
    if (told->pruned && claim->ref != told->ref) {
        return; /* free, or claimed anew */
    }
    if (told->pruned || !claim->taken || claim->ref != told->ref ||
        memcmp(claim->fingerprint, told->fingerprint, sizeof(told->fingerprint)) != 0) {
        fail_msg("seed %" PRIu64 ": the claim of record %" PRId64 " in bucket %" PRId64
                 " (ref %" PRId64 ", %s) is %s, ref %" PRId64,
                 story->seed, told->number, told->bucket, told->ref,
                 told->pruned ? "pruned" : "kept", claim->taken ? "found" : "not found",
                 claim->ref);
    }
}

void ow_story_check_keys(struct ow_story *story)
{
    enum { FOREIGN = 64 };
    struct ow_claim *foreign[FOREIGN];
    ow_fixture_begin(&story->fixture);
    for (size_t i = 0; i < story->committed; i++) {
        (void)ow_world_claim(&story->fixture.world, story->told[i].key, 1);
    }
    for (size_t i = 0; i < FOREIGN; i++) {
        uint8_t key[OW_CLAIM_KEY_BYTES];
        for (size_t k = 0; k < sizeof(key); k++) {
            key[k] = (uint8_t)ow_story_random(story, 256);
        }
        foreign[i] = ow_world_claim(&story->fixture.world, key, 1);
    }
    if (ow_claim_read(story->fixture.store, &story->fixture.world, &story->fixture.err) != OW_OK) {
        fail_msg("seed %" PRIu64 ": read: %s", story->seed, story->fixture.err.text);
    }
    for (size_t i = 0; i < story->committed; i++) {
        check_claim(story, &story->told[i]);
    }
    for (size_t i = 0; i < FOREIGN; i++) {
        assert_true(foreign[i]->loaded);
        assert_false(foreign[i]->taken);
    }
    ow_store_rollback(story->fixture.store);
}

void ow_story_verify(struct ow_story *story)
{
    struct ow_arena arena;
    struct ow_verification found;
    ow_arena_init(&arena, 65536);
    if (ow_verify(story->fixture.path, &arena, &found, &story->fixture.err) != OW_OK) {
        fail_msg("seed %" PRIu64 ": verify: %s", story->seed, story->fixture.err.text);
    }
    for (size_t i = 0; i < found.promise_count; i++) {
        if (found.promises[i].broken > 0) {
            fail_msg("seed %" PRIu64 ": %s: %s", story->seed, found.promises[i].name,
                     found.promises[i].examples[0]);
        }
    }
    assert_true(found.ok);
    ow_arena_done(&arena);
}

static void check_filter_count(struct ow_story *story)
{
    const struct ow_filters *filters = &story->fixture.store->filters;
    for (size_t i = 0; i < filters->count; i++) {
        size_t same = 0;
        for (size_t k = 0; k < filters->count; k++) {
            same += filters->list[k]->class_ms == filters->list[i]->class_ms &&
                    filters->list[k]->level == filters->list[i]->level;
        }
        if (same >= OW_FILTER_MERGE && filters->list[i]->level + 1 < OW_FILTER_LEVELS) {
            fail_msg("seed %" PRIu64 ": %zu filters of level %u are not merged", story->seed, same,
                     filters->list[i]->level);
        }
    }
}

void ow_story_check_tended(struct ow_story *story)
{
    struct ow_fixture *fixture = &story->fixture;
    const struct ow_store *store = fixture->store;
    int64_t rows = 0;
    for (size_t i = 0; i < store->live.sealed_count; i++) {
        assert_false(store->sealed[i].doomed);
        if (!store->sealed[i].filtered) {
            fail_msg("seed %" PRIu64 ": no filter covers bucket %" PRId64, story->seed,
                     store->sealed[i].bucket);
        }
    }
    check_filter_count(story);
    for (size_t i = 0; i < store->filters.count; i++) {
        rows += store->filters.list[i]->piece_count;
    }
    assert_int_equal(store->filters.garbage_count, 0);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_filter"), rows);
    assert_int_equal(
        ow_fixture_i64(fixture, "SELECT count(*) FROM ow_meta WHERE key GLOB 'seal.ow_filter.*'"),
        store->filters.count);
    assert_int_equal(
        ow_fixture_i64(fixture, "SELECT count(*) FROM ow_meta WHERE key GLOB 'seal.ow_claims.*'"),
        ow_fixture_i64(fixture, "SELECT count(*) FROM ow_bucket"));
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_bucket"),
                     store->live.sealed_count + store->live.open_count);
}
