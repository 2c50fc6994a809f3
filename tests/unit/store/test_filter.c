/*
 * Filters against a plain list of what was claimed: whatever is claimed, rolled back, sealed,
 * built, merged, pruned, interrupted, killed or damaged in between, a look-up says what the list
 * says.
 */
#include "claim_story.h"
#include "groups.h"
#include "store/internal.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ACTIONS = 90, SEEDS = 4, SEEDS_MORE = 60 };

static int seeds(void)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the test is one thread */
    return getenv("ONCEWARD_MORE") == NULL ? SEEDS : SEEDS_MORE;
}

/* Both clocks, or stream time behind, or not known. */
static int64_t some_limit(struct ow_story *story)
{
    const int64_t now_ms = story->fixture.clock.now_ms;
    const uint64_t choice = ow_story_random(story, 4);
    if (choice == 0) {
        return INT64_MIN;
    }
    return choice == 1 ? now_ms - (int64_t)ow_story_random(story, UINT64_C(100) * 3600000) : now_ms;
}

static void damage(struct ow_story *story)
{
    static const char *const ways[] = {
        "UPDATE ow_filter SET bits = CAST(substr(bits, 1, length(bits) - 9) || x'5a' ||"
        " substr(bits, length(bits) - 7) AS BLOB) WHERE id % 2 = 0",
        "UPDATE ow_filter SET bits = CAST(substr(bits, 1, 20) || x'ff' || substr(bits, 22)"
        " AS BLOB)",
        "UPDATE ow_filter SET bits = substr(bits, 1, 40)",
        "UPDATE ow_filter SET bits = x''",
        "UPDATE ow_filter SET checksum = checksum + 1 WHERE id % 3 = 0",
        "UPDATE ow_filter SET first_bucket = first_bucket + 1",
        "UPDATE ow_filter SET last_bucket = last_bucket + 1",
        "UPDATE ow_filter SET chunk = chunk + 1000 WHERE id % 2 = 1",
        "UPDATE ow_filter SET id = id + 1000000 WHERE id % 2 = 1",
        "INSERT OR REPLACE INTO ow_filter SELECT id, first_bucket, last_bucket, chunk + 1,"
        " checksum, bits FROM ow_filter",
        "INSERT OR REPLACE INTO ow_filter SELECT id + 7, first_bucket, last_bucket, chunk,"
        " checksum, bits FROM ow_filter",
        "DELETE FROM ow_filter WHERE id % 2 = 0",
        "DELETE FROM ow_filter",
        "DELETE FROM ow_filter; DELETE FROM ow_meta WHERE key GLOB 'seal.*'",
    };
    ow_fixture_close(&story->fixture);
    ow_fixture_exec(&story->fixture, ways[ow_story_random(story, sizeof(ways) / sizeof(ways[0]))]);
    ow_fixture_open(&story->fixture);
}

static void act(struct ow_story *story)
{
    const uint64_t choice = ow_story_random(story, 100);
    if (choice < 40) {
        ow_story_batch(story);
    } else if (choice < 85) {
        (void)ow_story_tend(story, some_limit(story), 1 + ow_story_random(story, 60));
    } else if (choice < 92) {
        story->fixture.clock.now_ms += (int64_t)ow_story_random(story, UINT64_C(12) * 3600000);
    } else if (choice < 96) {
        ow_story_reopen(story);
    } else {
        ow_story_crash(story);
    }
}

static void play(uint64_t seed, bool damaged)
{
    struct ow_story story;
    ow_story_init(&story, seed, 0);
    story.fixture.bucket_claims = 1 + (int64_t)ow_story_random(&story, 1 + seed % 50);
    story.fixture.piece_claims = seed % 2 == 0 ? 0 : 1 + (int64_t)ow_story_random(&story, 40);
    ow_story_reopen(&story);
    for (int i = 0; i < ACTIONS; i++) {
        act(&story);
        ow_story_check_keys(&story);
        if (i % 9 == 0) {
            ow_story_verify(&story);
        }
        if (damaged && i % 15 == 14) {
            damage(&story);
            ow_story_check_keys(&story);
            ow_story_tend_all(&story, story.fixture.clock.now_ms);
            ow_story_check_tended(&story);
        }
    }
    ow_story_tend_all(&story, story.fixture.clock.now_ms);
    ow_story_check_tended(&story);
    ow_story_check_keys(&story);
    ow_story_verify(&story);
    ow_story_done(&story);
}

static void look_up__whatever_happened__says_what_a_plain_set_says(void **state)
{
    (void)state;
    for (int seed = 1; seed <= seeds(); seed++) {
        play((uint64_t)seed, false);
    }
}

static void look_up__filters_that_somebody_damaged__are_built_anew(void **state)
{
    (void)state;
    for (int seed = 1001; seed <= 1000 + seeds(); seed++) {
        play((uint64_t)seed, true);
    }
}

/* A word has no room for the numbers of so many buckets. */
static void look_up__filter_of_more_buckets_than_words_tell_apart__finds_all(void **state)
{
    (void)state;
    struct ow_story story;
    ow_story_init(&story, 5, 1);
    uint32_t most = 0;
    for (int i = 0; i < 8; i++) {
        ow_story_take(&story, 1, 75);
        for (int step = 0; ow_story_tend(&story, INT64_MIN, 100); step++) {
            if (step % 16 == 0) {
                ow_story_check_keys(&story);
            }
        }
        ow_story_check_keys(&story);
        ow_story_verify(&story);
        ow_story_check_tended(&story);
    }
    const struct ow_filters *filters = &story.fixture.store->filters;
    for (size_t i = 0; i < filters->count; i++) {
        most = filters->list[i]->bucket_count > most ? filters->list[i]->bucket_count : most;
    }
    assert_true(most >= OW_FILTER_MERGE * OW_FILTER_MERGE);
    ow_story_done(&story);
}

/* Buckets of five claims, and their filters are being made one. */
static void start_merge(struct ow_story *story)
{
    ow_story_init(story, 6, 5);
    ow_story_take(story, 1, 5);
    story->fixture.clock.now_ms++; /* the first one's time is over before that of the others */
    ow_story_take(story, 1, (size_t)5 * (OW_FILTER_MERGE - 1));
    while (story->fixture.store->filters.jobs[1].last_bytes == 0) {
        assert_true(ow_story_tend(story, INT64_MIN, 5));
    }
}

/* Until it is there each key costs a look-up in the bucket. */
static void build__bucket_that_is_sealed_during_a_merge__does_not_wait_for_it(void **state)
{
    (void)state;
    struct ow_story story;
    start_merge(&story);
    const struct ow_store *store = story.fixture.store;
    const int64_t merge = store->filters.jobs[1].filter->id;
    ow_story_take(&story, 1, 5);
    while (!store->sealed[OW_FILTER_MERGE].filtered) {
        assert_non_null(store->filters.jobs[1].filter);
        assert_true(ow_story_tend(&story, INT64_MIN, 5));
    }
    assert_int_equal(store->filters.jobs[1].filter->id, merge);
    ow_story_tend_all(&story, INT64_MIN);
    assert_int_equal(store->filters.count, 2);
    ow_story_check_keys(&story);
    ow_story_verify(&story);
    ow_story_done(&story);
}

static void build__bucket_that_is_pruned_during_its_merge__is_left_out(void **state)
{
    (void)state;
    struct ow_story story;
    start_merge(&story);
    const struct ow_store *store = story.fixture.store;
    const int64_t merge = store->filters.jobs[1].filter->id;
    const int64_t first = store->sealed[0].bucket;
    const int64_t limit_ms = store->sealed[0].sealed_at_ms + store->sealed[0].class_ms;
    while (ow_bucket_sealed(store, first) != NULL) {
        assert_true(ow_story_tend(&story, limit_ms, 1));
        ow_story_check_keys(&story);
    }
    assert_int_equal(store->filters.jobs[1].filter->id, merge);
    ow_story_tend_all(&story, INT64_MIN);
    assert_int_equal(store->filters.count, 1);
    assert_int_equal(store->filters.list[0]->id, merge);
    assert_int_equal(store->filters.list[0]->buckets[0], 0);
    ow_story_check_keys(&story);
    ow_story_verify(&story);
    ow_story_reopen(&story);
    assert_int_equal(story.fixture.store->filters.count, 1);
    ow_story_check_keys(&story);
    ow_story_done(&story);
}

/* Filters would need twice their memory else while they are merged. */
static void build__merge_of_pieces__each_key_is_asked_in_one_filter(void **state)
{
    (void)state;
    struct ow_story story;
    ow_story_init(&story, 7, 5);
    story.fixture.piece_claims = 3;
    ow_story_reopen(&story);
    ow_story_take(&story, 1, (size_t)5 * OW_FILTER_MERGE);
    const struct ow_filters *filters = &story.fixture.store->filters;
    int cut = 0;
    while (ow_story_tend(&story, INT64_MIN, 7)) {
        const struct ow_filter *merging = filters->jobs[1].filter;
        for (size_t i = 0; merging != NULL && i < filters->count; i++) {
            assert_int_equal(filters->list[i]->from, merging->until);
            cut += merging->until > 0 && filters->list[i]->pieces[0].cells == NULL;
        }
        ow_story_check_keys(&story);
    }
    assert_true(cut > 0);
    assert_int_equal(filters->count, 1);
    ow_story_verify(&story);
    ow_story_done(&story);
}

/* The greatest key of the first bucket lies in the second one too: the last piece of their merge
 * cannot be built, and what the others have thrown away meanwhile is there again. */
static void build__merge_that_fails_at_its_end__leaves_what_it_was_made_of(void **state)
{
    (void)state;
    struct ow_story story;
    ow_story_init(&story, 8, 5);
    story.fixture.piece_claims = 3;
    ow_story_take(&story, 1, (size_t)5 * OW_FILTER_MERGE);
    ow_fixture_close(&story.fixture);
    ow_fixture_exec(&story.fixture,
                    "INSERT INTO ow_claims SELECT (SELECT min(bucket) + 1 FROM ow_claims), key,"
                    " fingerprint, ref FROM ow_claims ORDER BY bucket, key LIMIT 1 OFFSET 4;"
                    "UPDATE ow_bucket SET claims = 6 WHERE bucket ="
                    " (SELECT min(bucket) + 1 FROM ow_claims);"
                    "DELETE FROM ow_meta WHERE key GLOB 'seal.*'");
    ow_fixture_open(&story.fixture);
    const struct ow_filters *filters = &story.fixture.store->filters;
    uint64_t until = 0;
    while (ow_story_tend(&story, INT64_MIN, 7)) {
        const struct ow_filter *merging = filters->jobs[1].filter;
        until = merging != NULL && merging->until > until ? merging->until : until;
        ow_story_check_keys(&story);
    }
    assert_true(until > 0);
    assert_int_equal(filters->count, OW_FILTER_MERGE);
    for (size_t i = 0; i < filters->count; i++) {
        assert_true(filters->list[i]->alone);
        assert_int_equal(filters->list[i]->from, 0);
    }
    ow_story_check_keys(&story);
    ow_story_done(&story);
}

/* A filter that is whole, with the greatest number there is, or one that no filter has. */
static void load__filter_with_a_number_that_cannot_be__is_garbage(void **state)
{
    (void)state;
    static const int64_t ids[] = {INT64_MAX, (INT64_C(1) << 62) + 1, 0, -5, INT64_MIN};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct ow_story story;
        ow_story_init(&story, 9, 5);
        ow_story_take(&story, 1, 5);
        assert_true(ow_story_tend(&story, INT64_MIN, 2));
        story.fixture.store->filters.jobs[0].filter->id = ids[i];
        ow_story_tend_all(&story, INT64_MIN);
        assert_int_equal(ow_fixture_i64(&story.fixture, "SELECT id FROM ow_filter"), ids[i]);
        ow_story_reopen(&story);
        assert_int_equal(story.fixture.store->filters.count, 0);
        ow_story_take(&story, 1, 40);
        ow_story_tend_all(&story, INT64_MIN);
        ow_story_check_tended(&story);
        ow_story_check_keys(&story);
        ow_story_verify(&story);
        assert_true(ow_fixture_i64(&story.fixture, "SELECT min(id) FROM ow_filter") > 0);
        assert_true(ow_fixture_i64(&story.fixture, "SELECT max(id) FROM ow_filter") < 20);
        ow_story_done(&story);
    }
}

static void tend__that_may_look_at_no_claims__builds_nothing_and_ends(void **state)
{
    (void)state;
    struct ow_story story;
    ow_story_init(&story, 10, 5);
    ow_story_take(&story, 1, 5);
    assert_false(ow_story_tend(&story, INT64_MIN, 0));
    assert_true(ow_story_tend(&story, INT64_MIN, 2));
    assert_false(ow_story_tend(&story, INT64_MIN, 0)); /* in the middle of it */
    ow_story_tend_all(&story, INT64_MIN);
    ow_story_check_tended(&story);
    ow_story_done(&story);
}

int ow_test_filter(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(look_up__whatever_happened__says_what_a_plain_set_says),
        cmocka_unit_test(look_up__filters_that_somebody_damaged__are_built_anew),
        cmocka_unit_test(look_up__filter_of_more_buckets_than_words_tell_apart__finds_all),
        cmocka_unit_test(build__bucket_that_is_sealed_during_a_merge__does_not_wait_for_it),
        cmocka_unit_test(build__bucket_that_is_pruned_during_its_merge__is_left_out),
        cmocka_unit_test(build__merge_of_pieces__each_key_is_asked_in_one_filter),
        cmocka_unit_test(build__merge_that_fails_at_its_end__leaves_what_it_was_made_of),
        cmocka_unit_test(load__filter_with_a_number_that_cannot_be__is_garbage),
        cmocka_unit_test(tend__that_may_look_at_no_claims__builds_nothing_and_ends),
    };
    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
