/*
 * Pruning under a wall clock that is set ahead or back, for a while or for good: what came is kept
 * for its retention, what is pruned is covered by the horizon, and what is new is not.
 */
#include "claim_story.h"
#include "groups.h"
#include "store/internal.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOUR_MS INT64_C(3600000)
#define YEAR_MS (8766 * HOUR_MS)
enum { KIND = 2, RETENTION_HOURS = 16 };

static int start(void **state)
{
    struct ow_story *story = calloc(1, sizeof(*story));
    assert_non_null(story);
    ow_story_init(story, 7, 100);
    *state = story;
    return 0;
}

static int stop(void **state)
{
    ow_story_done(*state);
    free(*state);
    return 0;
}

static int64_t wall(const struct ow_story *story)
{
    return story->fixture.clock.now_ms;
}

static int64_t right(const struct ow_story *story)
{
    return wall(story) - story->wrong_ms;
}

static void pass(struct ow_story *story, int64_t ms)
{
    story->fixture.clock.now_ms += ms;
}

/* Sets the wall clock so that it is ahead by so much. */
static void set_clock(struct ow_story *story, int64_t wrong_ms)
{
    pass(story, wrong_ms - story->wrong_ms);
    story->wrong_ms = wrong_ms;
}

static void tend(struct ow_story *story)
{
    ow_story_tend_all(story, wall(story));
    ow_story_check_keys(story);
    ow_story_verify(story);
}

static size_t pruned(const struct ow_story *story)
{
    size_t count = 0;
    for (size_t i = 0; i < story->committed; i++) {
        count += story->told[i].pruned;
    }
    return count;
}

static void clock_jumps_ahead__open_bucket__is_sealed_as_of_its_last_claim(void **state)
{
    struct ow_story *story = *state;
    ow_story_take(story, KIND, 2);
    const int64_t taken_ms = right(story);
    set_clock(story, RETENTION_HOURS * HOUR_MS - 1);
    tend(story); /* it is old by that clock, and is sealed */
    set_clock(story, 0);
    pass(story, HOUR_MS);
    ow_story_take(story, KIND, 1);
    assert_int_equal(ow_fixture_i64(&story->fixture, "SELECT sealed_at_ms FROM ow_bucket"),
                     taken_ms);
    assert_int_equal(pruned(story), 0);
    pass(story, (RETENTION_HOURS - 1) * HOUR_MS);
    tend(story);
    assert_int_equal(pruned(story), 2);
    assert_int_equal(ow_story_horizon_ms(story, KIND), taken_ms);
}

/* As above, but the next claim comes before anybody has looked at the age of the bucket. */
static void clock_jumps_ahead__next_claim__goes_into_another_bucket(void **state)
{
    struct ow_story *story = *state;
    ow_story_take(story, KIND, 2);
    const int64_t taken_ms = right(story);
    set_clock(story, RETENTION_HOURS * HOUR_MS - 1);
    ow_story_take(story, KIND, 1);
    set_clock(story, 0);
    assert_string_equal(ow_fixture_text(&story->fixture,
                                        "SELECT group_concat(claims || ':' ||"
                                        " coalesce(sealed_at_ms, '')) FROM ow_bucket"),
                        ow_arena_printf(&story->fixture.kept, "2:%" PRId64 ",1:", taken_ms));
    pass(story, RETENTION_HOURS * HOUR_MS);
    tend(story);
    assert_int_equal(pruned(story), 2);
}

/* What came while the clock was ahead waits for that time, but not for longer than what came
 * behind it; and nothing that comes now is taken for old. */
static void clock_was_ahead__what_came_then__goes_with_what_came_behind_it(void **state)
{
    struct ow_story *story = *state;
    ow_story_take(story, KIND, 1);
    pass(story, HOUR_MS);
    set_clock(story, 10 * YEAR_MS);
    ow_story_take(story, KIND, 2);
    tend(story); /* by that clock the first one is long over */
    assert_int_equal(pruned(story), 1);
    pass(story, HOUR_MS);
    set_clock(story, 0);
    assert_true(ow_story_horizon_ms(story, KIND) < right(story) - HOUR_MS);
    ow_story_take(story, KIND, 3);
    assert_int_equal(ow_fixture_i64(&story->fixture, "SELECT count(*) FROM ow_bucket"), 2);
    const int64_t taken_ms = right(story);
    pass(story, RETENTION_HOURS * HOUR_MS - 1);
    tend(story);
    assert_int_equal(pruned(story), 1);
    pass(story, 1);
    tend(story);
    assert_int_equal(pruned(story), 6);
    assert_int_equal(ow_story_horizon_ms(story, KIND), taken_ms);
}

/* An hour of the last century: their records have the right time, and the store has seen it. */
static void clock_was_behind__what_came_then__is_kept_for_its_retention(void **state)
{
    struct ow_story *story = *state;
    ow_story_take(story, KIND, 1);
    set_clock(story, -30 * YEAR_MS);
    for (int i = 0; i < 6; i++) {
        ow_story_take(story, KIND, 1);
        tend(story);
        ow_story_reopen(story);
    }
    set_clock(story, 0);
    assert_int_equal(ow_fixture_i64(&story->fixture, "SELECT count(*) FROM ow_bucket"), 1);
    pass(story, RETENTION_HOURS * HOUR_MS - 1);
    tend(story);
    assert_int_equal(pruned(story), 0);
    pass(story, HOUR_MS + 1); /* a bucket that was loaded may be a sixteenth older */
    tend(story);
    assert_int_equal(pruned(story), 7);
}

/* Without a word from their records the wall clock is all there is; nor is a producer believed
 * whose clock is ahead. */
static void clock_is_behind__records_of_another_time__do_not_change_it(void **state)
{
    struct ow_story *story = *state;
    ow_story_take(story, KIND, 1);
    const int64_t taken_ms = right(story);
    pass(story, HOUR_MS / 2);
    story->wrong_ms = -YEAR_MS; /* the records are a year ahead */
    ow_story_take(story, KIND, 1);
    story->wrong_ms = 0;
    pass(story, -YEAR_MS); /* and all is a year earlier */
    ow_story_take(story, KIND, 1);
    assert_string_equal(
        ow_fixture_text(&story->fixture, "SELECT group_concat(opened_at_ms) FROM ow_bucket"),
        ow_arena_printf(&story->fixture.kept, "%" PRId64 ",%" PRId64, taken_ms, wall(story)));
}

static void open_bucket__that_was_loaded__has_got_no_claim_later_than_its_share(void **state)
{
    struct ow_story *story = *state;
    ow_story_take(story, KIND, 1);
    const int64_t taken_ms = right(story);
    pass(story, HOUR_MS - 1);
    ow_story_take(story, KIND, 1);
    pass(story, -HOUR_MS / 2); /* set back, less than the records' skew */
    ow_story_reopen(story);
    ow_story_take(story, KIND, 98); /* it is full */
    assert_int_equal(ow_fixture_i64(&story->fixture, "SELECT sealed_at_ms FROM ow_bucket"),
                     taken_ms + HOUR_MS);
    ow_fixture_close(&story->fixture);
    ow_fixture_exec(&story->fixture,
                    "INSERT INTO ow_bucket VALUES (9, 57600000, 9223372036854775807, NULL, 1),"
                    " (10, 172800000, -9223372036854775808, NULL, 1);"
                    "DELETE FROM ow_meta WHERE key GLOB 'seal.*'");
    ow_fixture_open(&story->fixture); /* times of another hand: nothing aborts */
    ow_fixture_tend(&story->fixture, wall(story));
    assert_int_equal(ow_fixture_i64(&story->fixture, "SELECT count(*) FROM ow_bucket"), 2);
}

enum { GLITCHES = 10, STEPS = 12, SEEDS = 3, SEEDS_MORE = 80 };

static int seeds(void)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the test is one thread */
    return getenv("ONCEWARD_MORE") == NULL ? SEEDS : SEEDS_MORE;
}

static void do_something(struct ow_story *story)
{
    const uint64_t choice = ow_story_random(story, 100);
    if (choice < 45) {
        ow_story_batch(story);
    } else if (choice < 80) {
        (void)ow_story_tend(story, wall(story), 1 + ow_story_random(story, 60));
    } else if (choice < 90) {
        pass(story, (int64_t)ow_story_random(story, UINT64_C(3) * HOUR_MS));
    } else if (choice < 95) {
        ow_story_reopen(story);
    } else {
        ow_story_crash(story);
    }
    ow_story_check_keys(story);
}

/* A horizon that is later than now: only where some of the first so many claims, which came under a
 * wrong clock too, have been pruned under this one. */
static void check_horizon(struct ow_story *story, int kind, size_t before)
{
    const int64_t horizon_ms = ow_story_horizon_ms(story, kind);
    bool known = horizon_ms <= right(story);
    for (size_t i = 0; i < before && !known; i++) {
        const struct ow_told *told = &story->told[i];
        known =
            told->kind == kind && told->pruned && told->claimed_at_ms + HOUR_MS * 12 >= horizon_ms;
    }
    if (!known) {
        fail_msg("seed %" PRIu64 ": what is new is older than the horizon", story->seed);
    }
}

/* Some steps under a clock that is ahead by minutes or by years, and as many under the right one.
 */
static void glitch(struct ow_story *story)
{
    static const int64_t jumps_ms[] = {60000,         HOUR_MS,        20 * HOUR_MS, 60 * HOUR_MS,
                                       300 * HOUR_MS, 5000 * HOUR_MS, 50 * YEAR_MS};
    const size_t count = sizeof(jumps_ms) / sizeof(jumps_ms[0]);
    const int64_t jump_ms = jumps_ms[ow_story_random(story, count)];
    const int64_t begin_ms = right(story);
    const size_t before = story->committed;
    set_clock(story, jump_ms + (int64_t)ow_story_random(story, (uint64_t)jump_ms));
    for (int i = 0; i < STEPS && right(story) < begin_ms + RETENTION_HOURS * HOUR_MS / 2; i++) {
        do_something(story);
    }
    set_clock(story, 0);
    for (int kind = 0; kind < OW_STORY_KINDS; kind++) {
        check_horizon(story, kind, before);
    }
    for (int i = 0; i < STEPS; i++) {
        do_something(story);
    }
    ow_story_verify(story);
}

static void clock_ahead_now_and_then__all_is_kept_and_covered_and_goes_in_the_end(void **state)
{
    (void)state;
    for (int seed = 1; seed <= seeds(); seed++) {
        struct ow_story story;
        ow_story_init(&story, (uint64_t)seed, 0);
        story.fixture.bucket_claims = 1 + (int64_t)ow_story_random(&story, 20);
        ow_story_reopen(&story);
        for (int i = 0; i < GLITCHES; i++) {
            glitch(&story);
        }
        /* One more of each kind. When that is over, so is what has a time that is still to come,
         * and each of the others keeps what is behind it for no more than a retention. */
        const size_t before = story.committed;
        pass(&story, 200 * HOUR_MS);
        for (int kind = 0; kind < OW_STORY_KINDS; kind++) {
            ow_story_take(&story, kind, 1);
        }
        for (int i = 0; i <= GLITCHES; i++) {
            pass(&story, ow_story_class_ms[0] * 9 / 8);
            tend(&story);
        }
        if (pruned(&story) != before + OW_STORY_KINDS) {
            fail_msg("seed %d: something stays for ever", seed);
        }
        ow_story_done(&story);
    }
}

int ow_test_prune_clock(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(clock_jumps_ahead__open_bucket__is_sealed_as_of_its_last_claim),
        TEST(clock_jumps_ahead__next_claim__goes_into_another_bucket),
        TEST(clock_was_ahead__what_came_then__goes_with_what_came_behind_it),
        TEST(clock_was_behind__what_came_then__is_kept_for_its_retention),
        TEST(clock_is_behind__records_of_another_time__do_not_change_it),
        TEST(open_bucket__that_was_loaded__has_got_no_claim_later_than_its_share),
        cmocka_unit_test(clock_ahead_now_and_then__all_is_kept_and_covered_and_goes_in_the_end),
    };
#undef TEST
    return cmocka_run_group_tests_name("prune_clock", tests, NULL, NULL);
}
