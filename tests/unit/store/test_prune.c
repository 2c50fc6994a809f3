/*
 * Pruning, step by step: when a bucket's time is over, what counts from then on, and what is there
 * after each step.
 */
#include "claim_story.h"
#include "groups.h"
#include "store/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOUR_MS INT64_C(3600000)
enum { KIND = 2, RETENTION_HOURS = 16 };

static int start(void **state)
{
    struct ow_story *story = calloc(1, sizeof(*story));
    assert_non_null(story);
    ow_story_init(story, 7, 3);
    *state = story;
    return 0;
}

static int stop(void **state)
{
    ow_story_done(*state);
    free(*state);
    return 0;
}

static int64_t now(const struct ow_story *story)
{
    return story->fixture.clock.now_ms;
}

static void pass(struct ow_story *story, int64_t ms)
{
    story->fixture.clock.now_ms += ms;
}

static int64_t ask(struct ow_story *story, const char *sql)
{
    return ow_fixture_i64(&story->fixture, sql);
}

static int64_t horizon(const struct ow_story *story)
{
    return ow_story_horizon_ms(story, KIND);
}

static size_t pruned(const struct ow_story *story)
{
    size_t count = 0;
    for (size_t i = 0; i < story->committed; i++) {
        count += story->told[i].pruned;
    }
    return count;
}

/* A step, after which all is as it should be. */
static bool step(struct ow_story *story, int64_t limit_ms)
{
    const bool more = ow_story_tend(story, limit_ms, 1000);
    ow_story_check_keys(story);
    ow_story_verify(story);
    return more;
}

static void prune__until_both_clocks_are_past_the_retention__nothing_goes(void **state)
{
    struct ow_story *story = *state;
    const int64_t sealed_ms = now(story);
    ow_story_take(story, KIND, 3);
    ow_story_take(story, 0, 3); /* of a longer retention */
    pass(story, 100 * HOUR_MS);
    ow_story_tend_all(story, INT64_MIN);
    ow_story_tend_all(story, INT64_MIN + 1); /* a stream time as wrong as it can be */
    ow_story_tend_all(story, -1);
    ow_story_tend_all(story, sealed_ms + ow_story_class_ms[KIND] - 1);
    assert_int_equal(pruned(story), 0);
    assert_int_equal(horizon(story), INT64_MIN);
    ow_story_tend_all(story, sealed_ms + ow_story_class_ms[KIND]);
    assert_int_equal(pruned(story), 3);
    assert_int_equal(horizon(story), sealed_ms);
    assert_int_equal(ow_story_horizon_ms(story, 0), INT64_MIN);
    assert_string_equal(
        ow_fixture_text(&story->fixture, "SELECT group_concat(bucket) FROM ow_bucket"), "2");
    ow_story_check_keys(story);
    ow_story_verify(story);
}

static void prune__horizon__is_moved_before_the_rows_go(void **state)
{
    struct ow_story *story = *state;
    const int64_t taken_ms = now(story);
    ow_story_take(story, KIND, 3);
    pass(story, HOUR_MS);
    ow_story_take(story, KIND, 3);
    ow_story_tend_all(story, INT64_MIN);
    pass(story, RETENTION_HOURS * HOUR_MS - 1); /* the second one is not due yet */
    assert_true(step(story, now(story)));
    assert_int_equal(ask(story, "SELECT count(*) FROM ow_claims"), 6);
    assert_int_equal(pruned(story), 3);
    assert_int_equal(horizon(story), taken_ms);
    ow_story_crash(story);
    assert_int_equal(horizon(story), taken_ms);
    assert_int_equal(ask(story, "SELECT count(*) FROM ow_claims"), 6);
    ow_story_check_keys(story);
    ow_story_verify(story);
    assert_true(step(story, now(story)));
    assert_int_equal(ask(story, "SELECT count(*) FROM ow_claims"), 3);
    assert_int_equal(ask(story, "SELECT count(*) FROM ow_bucket"), 1);
    ow_story_tend_all(story, now(story));
    ow_story_check_tended(story);
}

/* A quiet topic, a run until the end: nobody says how far the stream is, and nothing else is due.
 */
static void prune__doomed_when_killed__goes_though_the_stream_time_is_not_known(void **state)
{
    struct ow_story *story = *state;
    ow_story_take(story, KIND, 3);
    ow_story_tend_all(story, INT64_MIN);
    pass(story, RETENTION_HOURS * HOUR_MS);
    assert_true(step(story, now(story)));
    ow_story_crash(story);
    assert_int_equal(ask(story, "SELECT count(*) FROM ow_claims"), 3);
    ow_story_tend_all(story, INT64_MIN);
    assert_int_equal(ask(story, "SELECT count(*) FROM ow_claims"), 0);
    ow_story_check_keys(story);
    ow_story_verify(story);
}

static void prune__bucket_of_12000__goes_in_slices_that_interruption_does_not_undo(void **state)
{
    struct ow_story *story = *state;
    int64_t left = 12000;
    int64_t steps = 0;
    story->fixture.bucket_claims = left;
    ow_story_reopen(story);
    ow_story_take(story, KIND, (size_t)left);
    ow_story_tend_all(story, INT64_MIN);
    ow_story_check_tended(story);
    pass(story, RETENTION_HOURS * HOUR_MS);
    while (left > 0) {
        const int64_t before = left;
        assert_true(ow_story_tend(story, now(story), 1000));
        ow_story_check_keys(story);
        if (steps == 2) {
            ow_story_verify(story);
        }
        left = ask(story, "SELECT count(*) FROM ow_claims");
        assert_int_equal(before - left, steps == 0 ? 0 : before < 5000 ? before : 5000);
        assert_int_equal(ask(story, "SELECT coalesce(sum(claims), 0) FROM ow_bucket"), left);
        assert_int_equal(ask(story, "SELECT count(*) FROM ow_bucket"), left > 0);
        assert_int_equal(pruned(story), 12000);
        if (steps++ % 2 == 0) {
            ow_story_reopen(story);
        } else {
            ow_story_crash(story);
        }
    }
    assert_int_equal(steps, 1 + 3);
    ow_story_tend_all(story, now(story));
    ow_story_check_tended(story);
}

/* Else much of what comes for the first time would be expired, though nothing of it was claimed. */
static void prune__after_a_quiet_time__horizon_is_where_the_last_claim_was_that_went(void **state)
{
    struct ow_story *story = *state;
    ow_story_take(story, KIND, 3);
    pass(story, RETENTION_HOURS * HOUR_MS - 1);
    ow_story_take(story, KIND, 1);
    pass(story, 1);
    ow_story_tend_all(story, now(story));
    assert_int_equal(pruned(story), 3);
    assert_int_equal(horizon(story), now(story) - RETENTION_HOURS * HOUR_MS);
    ow_story_take(story, KIND, 2);
    const int64_t taken_ms = now(story);
    pass(story, 100 * HOUR_MS);
    ow_story_take(story, KIND, 1);
    pass(story, RETENTION_HOURS * HOUR_MS - 1);
    ow_story_tend_all(story, now(story));
    assert_int_equal(pruned(story), 6);
    assert_int_equal(horizon(story), taken_ms);
}

static void prune__file__does_not_grow_with_new_claims(void **state)
{
    struct ow_story *story = *state;
    int64_t pages = 0;
    story->fixture.bucket_claims = 1500;
    ow_story_reopen(story);
    for (int round = 0; round < 6; round++) {
        uint8_t key[OW_CLAIM_KEY_BYTES];
        ow_fixture_begin(&story->fixture);
        for (int i = 0; i < 3000; i++) { /* claims alone: what owns them does grow */
            for (size_t k = 0; k < sizeof(key); k++) {
                key[k] = (uint8_t)ow_story_random(story, 256);
            }
            struct ow_claim *claim =
                ow_world_claim(&story->fixture.world, key, ow_story_class_ms[KIND]);
            claim->loaded = claim->taken = claim->fresh = true;
            claim->ref = story->fixture.world.next_ref++;
        }
        assert_int_equal(ow_fixture_write(&story->fixture), OW_OK);
        ow_fixture_commit(&story->fixture);
        ow_story_tend_all(story, now(story));
        pass(story, RETENTION_HOURS * HOUR_MS);
        ow_story_tend_all(story, now(story));
        assert_int_equal(ask(story, "SELECT count(*) FROM ow_claims"), 0);
        if (round == 1) {
            pages = ask(story, "PRAGMA page_count");
        }
    }
    assert_true(pages > 0);
    assert_true(ask(story, "PRAGMA page_count") <= pages + 2);
}

static void prune__numbers_of_buckets__are_never_given_again(void **state)
{
    struct ow_story *story = *state;
    ow_story_take(story, KIND, 3);
    pass(story, RETENTION_HOURS * HOUR_MS);
    ow_story_tend_all(story, now(story));
    assert_int_equal(ask(story, "SELECT count(*) FROM ow_bucket"), 0);
    ow_story_take(story, 0, 1); /* of any class */
    assert_int_equal(ask(story, "SELECT max(bucket) FROM ow_bucket"), 2);
    ow_story_reopen(story);
    ow_story_take(story, KIND, 3);
    pass(story, RETENTION_HOURS * HOUR_MS);
    ow_story_tend_all(story, now(story));
    ow_story_crash(story);
    ow_story_take(story, 1, 1);
    assert_int_equal(ask(story, "SELECT max(bucket) FROM ow_bucket"), 4);
    ow_story_check_keys(story);
    ow_story_verify(story);
}

/* A bucket whose claims came before the wall clock was set back. */
static void prune__wall_clock_set_back__pruned_in_order_and_the_horizon_covers_it(void **state)
{
    struct ow_story *story = *state;
    ow_story_take(story, KIND, 2);
    pass(story, -5 * HOUR_MS);
    ow_story_take(story, KIND, 1); /* sealed before it was opened */
    pass(story, -5 * HOUR_MS);
    ow_story_take(story, KIND, 3); /* would be due 5 hours before it */
    ow_story_tend_all(story, INT64_MIN);
    for (int hour = 0; hour < 30; hour++) {
        while (step(story, now(story))) { /* checks that it covers each claim that goes */
        }
        pass(story, HOUR_MS);
        ow_story_reopen(story);
        ow_story_check_keys(story);
    }
    assert_int_equal(pruned(story), 6);
    ow_story_check_tended(story);
}

static void prune__pruned_key__may_be_claimed_again_in_a_bucket_of_its_own(void **state)
{
    struct ow_story *story = *state;
    for (int i = 0; i < 25; i++) {
        ow_story_batch(story);
        pass(story, 2 * HOUR_MS);
        while (step(story, now(story))) {
        }
    }
    assert_true(pruned(story) > 10);
}

static void tend__bucket_older_than_a_share_of_its_retention__is_sealed(void **state)
{
    struct ow_story *story = *state;
    const int64_t taken_ms = now(story);
    ow_story_take(story, KIND, 1);
    ow_story_take(story, 0, 1);
    pass(story, ow_story_class_ms[KIND] / 16 - 1);
    assert_false(step(story, INT64_MIN));
    assert_int_equal(ask(story, "SELECT count(*) FROM ow_bucket WHERE sealed_at_ms IS NULL"), 2);
    pass(story, 1);
    assert_true(step(story, INT64_MIN));
    assert_int_equal(ask(story, "SELECT count(*) FROM ow_bucket WHERE sealed_at_ms IS NULL"), 1);
    assert_int_equal(ask(story, "SELECT sealed_at_ms FROM ow_bucket WHERE bucket = 1"), taken_ms);
    ow_story_tend_all(story, INT64_MIN);
    ow_story_check_tended(story);
    /* An empty one is not: only another hand makes one. */
    ow_fixture_close(&story->fixture);
    ow_fixture_exec(&story->fixture, "INSERT INTO ow_bucket VALUES (9, 57600000, 0, NULL, 0);"
                                     "DELETE FROM ow_meta WHERE key GLOB 'seal.*'");
    ow_fixture_open(&story->fixture);
    ow_story_tend_all(story, INT64_MIN);
    assert_int_equal(ask(story, "SELECT sealed_at_ms IS NULL FROM ow_bucket WHERE bucket = 9"), 1);
}

/* Figures that another hand has changed: the rows go all the same, and nothing aborts. */
static void prune__bucket_that_says_less_than_it_has__goes_whole(void **state)
{
    struct ow_story *story = *state;
    story->fixture.bucket_claims = 5200;
    ow_story_reopen(story);
    ow_story_take(story, KIND, 5200);
    ow_fixture_close(&story->fixture);
    ow_fixture_exec(&story->fixture, "UPDATE ow_bucket SET claims = 7");
    ow_fixture_open(&story->fixture);
    pass(story, RETENTION_HOURS * HOUR_MS);
    ow_story_tend_all(story, now(story));
    assert_int_equal(ask(story, "SELECT count(*) FROM ow_claims"), 0);
    assert_int_equal(ask(story, "SELECT count(*) FROM ow_bucket"), 0);
}

int ow_test_prune(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(prune__until_both_clocks_are_past_the_retention__nothing_goes),
        TEST(prune__horizon__is_moved_before_the_rows_go),
        TEST(prune__doomed_when_killed__goes_though_the_stream_time_is_not_known),
        TEST(prune__bucket_of_12000__goes_in_slices_that_interruption_does_not_undo),
        TEST(prune__after_a_quiet_time__horizon_is_where_the_last_claim_was_that_went),
        TEST(prune__file__does_not_grow_with_new_claims),
        TEST(prune__numbers_of_buckets__are_never_given_again),
        TEST(prune__wall_clock_set_back__pruned_in_order_and_the_horizon_covers_it),
        TEST(prune__pruned_key__may_be_claimed_again_in_a_bucket_of_its_own),
        TEST(prune__bucket_that_says_less_than_it_has__goes_whole),
        TEST(tend__bucket_older_than_a_share_of_its_retention__is_sealed),
    };
#undef TEST
    return cmocka_run_group_tests_name("prune", tests, NULL, NULL);
}
