/* A ledger is written as text: "0-4 applied 5, 5-9 skipped 0"; a run in brackets is to be written
 * (dirty). What the store makes of it all is tested in unit/store/test_position.c. */
#include "base/buffer.h"
#include "groups.h"
#include "model/ledger.h"

static struct ow_arena arena;

static int start(void **state)
{
    (void)state;
    ow_arena_init(&arena, 4096);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ow_arena_done(&arena);
    return 0;
}

static struct ow_run run_of(int64_t first, int64_t last, const char *outcome, int64_t records)
{
    return (struct ow_run){.first_offset = first,
                           .last_offset = last,
                           .records = records,
                           .outcome = ow_ledger_outcome(ow_slice_of(outcome))};
}

/* 0-9 applied, 10-19 skipped, 20-29 stale: as the store has it. */
static struct ow_ledger stored_ledger(void)
{
    const struct ow_run runs[] = {run_of(0, 9, "applied", 10), run_of(10, 19, "skipped", 0),
                                  run_of(20, 29, "stale", 10)};
    struct ow_ledger ledger = {0};
    for (size_t i = 0; i < 3; i++) {
        ow_ledger_load(&ledger, &arena, &runs[i]);
    }
    return ledger;
}

static const char *text_of(const struct ow_ledger *ledger)
{
    OW_BUFFER text = {0};
    const struct ow_run *previous = NULL;
    for (const struct ow_run *run = ledger->first; run != NULL; run = run->next) {
        assert_ptr_equal(run->previous, previous);
        previous = run;
        ow_buffer_printf(&text, "%s%s%lld-%lld %s %lld%s", run == ledger->first ? "" : ", ",
                         run->dirty ? "[" : "", (long long)run->first_offset,
                         (long long)run->last_offset, run->outcome, (long long)run->records,
                         run->dirty ? "]" : "");
    }
    assert_ptr_equal(ledger->last, previous);
    for (const struct ow_run *run = ledger->gone; run != NULL; run = run->next) {
        ow_buffer_printf(&text, " -%lld", (long long)run->stored_first);
    }
    return ow_arena_text(&arena, ow_buffer_view(&text));
}

static void assert_ledger(const struct ow_ledger *ledger, const char *text)
{
    assert_string_equal(text_of(ledger), text);
}

static void
ledger_add__behind_all__runs_follow_each_other_and_gaps_join_the_one_before(void **state)
{
    (void)state;
    struct ow_ledger ledger = {0};
    ow_ledger_add(&ledger, &arena, 3, 5, "applied"); /* the first run begins with the position */
    assert_ledger(&ledger, "[3-5 applied 1]");
    ow_ledger_add(&ledger, &arena, 6, 6, "applied");
    ow_ledger_add(&ledger, &arena, 7, 9, "applied");
    ow_ledger_add(&ledger, &arena, 10, 12, "stale");
    ow_ledger_add(&ledger, &arena, 13, 13, "applied");
    assert_ledger(&ledger, "[3-11 applied 3], [12-12 stale 1], [13-13 applied 1]");
    ow_ledger_pass(&ledger, 14, 20);
    assert_ledger(&ledger, "[3-11 applied 3], [12-12 stale 1], [13-19 applied 1]");
}

static void ledger_add__into_an_open_run__splits_it(void **state)
{
    (void)state;
    static const struct {
        const char *about, *outcome, *becomes;
        int64_t offset;
    } cases[] = {
        {"in the middle",                "parked",
         "0-9 applied 10, [10-14 skipped 0], [15-15 parked 1], [16-19 skipped 0], 20-29 stale 10", 15},
        {"the first",                    "parked",
         "0-9 applied 10, [10-10 parked 1], [11-19 skipped 0], 20-29 stale 10",                    10},
        {"the last",                     "parked",
         "0-9 applied 10, [10-18 skipped 0], [19-19 parked 1], 20-29 stale 10",                    19},
        {"the first, as the run before", "applied",
         "[0-10 applied 11], [11-19 skipped 0], 20-29 stale 10",                                   10},
        {"the first, as the run behind", "stale",
         "0-9 applied 10, [10-10 stale 1], [11-19 skipped 0], 20-29 stale 10",                     10},
        {"the last, as the run behind",  "stale",
         "0-9 applied 10, [10-18 skipped 0], [19-29 stale 11] -20",                                19},
        {"the last, as the run before",  "applied",
         "0-9 applied 10, [10-18 skipped 0], [19-19 applied 1], 20-29 stale 10",                   19},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ow_ledger ledger = stored_ledger();
        assert_true(ow_ledger_is_open(&ledger, cases[i].offset));
        ow_ledger_add(&ledger, &arena, cases[i].offset, cases[i].offset, cases[i].outcome);
        if (strcmp(text_of(&ledger), cases[i].becomes) != 0) {
            fail_msg("%s: %s", cases[i].about, text_of(&ledger));
        }
        assert_false(ow_ledger_is_open(&ledger, cases[i].offset));
    }
}

static void ledger_add__the_whole_of_an_open_run__is_as_if_it_had_been_read_straight(void **state)
{
    (void)state;
    static const struct {
        const char *outcome, *becomes;
    } cases[] = {
        {"parked",  "0-9 applied 10, [10-19 parked 10], 20-29 stale 10"},
        {"applied", "[0-19 applied 20], 20-29 stale 10 -10"            },
        {"stale",   "0-9 applied 10, [10-29 stale 20] -20"             },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ow_ledger ledger = stored_ledger();
        for (int64_t offset = 10; offset < 20; offset++) {
            ow_ledger_add(&ledger, &arena, offset, offset, cases[i].outcome);
        }
        /* A run that keeps its key keeps its row: parked and stale are written over the skipped
         * one. */
        const char *text = text_of(&ledger);
        if (strncmp(text, cases[i].becomes, strlen(cases[i].becomes)) != 0) {
            fail_msg("%s: %s", cases[i].outcome, text);
        }
    }
}

static void ledger_add__an_open_run_of_one_record__is_replaced_or_joins_both_sides(void **state)
{
    (void)state;
    const struct ow_run runs[] = {run_of(0, 4, "applied", 5), run_of(5, 5, "lost", 0),
                                  run_of(6, 9, "applied", 4)};
    struct ow_ledger ledger = {0};
    for (size_t i = 0; i < 3; i++) {
        ow_ledger_load(&ledger, &arena, &runs[i]);
    }
    struct ow_ledger other;
    ow_ledger_copy(&other, &arena, &ledger, 5);
    ow_ledger_add(&ledger, &arena, 5, 5, "applied");
    assert_ledger(&ledger, "[0-9 applied 10] -6 -5");
    ow_ledger_add(&other, &arena, 5, 5, "stale");
    assert_ledger(&other, "0-4 applied 5, [5-5 stale 1], 6-9 applied 4 -5");
}

static void ledger_add__a_gap_within_an_open_run__joins_what_lies_before_it(void **state)
{
    (void)state;
    struct ow_ledger ledger = stored_ledger();
    ow_ledger_add(&ledger, &arena, 10, 12, "parked"); /* read from its beginning */
    assert_ledger(&ledger,
                  "[0-11 applied 10], [12-12 parked 1], [13-19 skipped 0], 20-29 stale 10");
    ow_ledger_add(&ledger, &arena, 13, 17, "parked");
    assert_ledger(&ledger,
                  "[0-11 applied 10], [12-17 parked 2], [18-19 skipped 0], 20-29 stale 10");
    ow_ledger_pass(&ledger, 18, 25); /* the next record is a re-read */
    assert_ledger(&ledger, "[0-11 applied 10], [12-19 parked 2], 20-29 stale 10 -10");

    ledger = stored_ledger();
    ow_ledger_add(&ledger, &arena, 12, 14, "parked"); /* read from its middle */
    assert_ledger(
        &ledger,
        "0-9 applied 10, [10-13 skipped 0], [14-14 parked 1], [15-19 skipped 0], 20-29 stale 10");

    ledger = stored_ledger();
    ow_ledger_add(&ledger, &arena, 5, 40, "parked"); /* over all of it, and the end */
    assert_ledger(&ledger, "[0-19 applied 10], [20-39 stale 10], [40-40 parked 1] -10");
}

static void ledger_pass__between_two_runs_of_one_outcome__makes_them_one(void **state)
{
    (void)state;
    const struct ow_run runs[] = {run_of(0, 4, "applied", 5), run_of(5, 6, "skipped", 0),
                                  run_of(7, 9, "applied", 3), run_of(10, 11, "skipped", 0),
                                  run_of(12, 12, "applied", 1)};
    struct ow_ledger ledger = {0};
    for (size_t i = 0; i < 5; i++) {
        ow_ledger_load(&ledger, &arena, &runs[i]);
    }
    ow_ledger_pass(&ledger, 5, 12);
    assert_ledger(&ledger, "[0-12 applied 9] -12 -10 -7 -5");
}

static void ledger_skip__in_front__is_filled_from_its_first_record_on(void **state)
{
    (void)state;
    struct ow_ledger ledger = {0};
    const struct ow_run first = run_of(20, 29, "stale", 10);
    ow_ledger_load(&ledger, &arena, &first);
    ow_ledger_leave_out(&ledger, &arena, 10, 19, ow_ledger_skipped);
    assert_ledger(&ledger, "[10-19 skipped 0], 20-29 stale 10");
    ow_ledger_add(&ledger, &arena, 10, 12, "applied"); /* the gap has no run before it */
    assert_ledger(&ledger, "[10-12 applied 1], [13-19 skipped 0], 20-29 stale 10");
    ow_ledger_leave_out(&ledger, &arena, 5, 9, ow_ledger_skipped);
    ow_ledger_leave_out(&ledger, &arena, 2, 4, ow_ledger_skipped);
    assert_ledger(&ledger, "[2-9 skipped 0], [10-12 applied 1], [13-19 skipped 0], 20-29 stale 10");
    ow_ledger_pass(&ledger, 2, 8); /* an end within it: what follows may still come */
    assert_ledger(&ledger, "[2-9 skipped 0], [10-12 applied 1], [13-19 skipped 0], 20-29 stale 10");
    ow_ledger_pass(&ledger, 2, 11); /* there is nothing at all: it is no part of the ledger */
    assert_ledger(&ledger, "[10-12 applied 1], [13-19 skipped 0], 20-29 stale 10");
    ow_ledger_leave_out(&ledger, &arena, 3, 9, ow_ledger_skipped);
    ow_ledger_add(&ledger, &arena, 4, 6, "applied"); /* read from its middle */
    assert_ledger(&ledger, "[3-5 skipped 0], [6-6 applied 1], [7-9 skipped 0], [10-12 applied 1], "
                           "[13-19 skipped 0], 20-29 stale 10");
}

static void ledger_skip__behind_a_skipped_run__makes_it_longer(void **state)
{
    (void)state;
    struct ow_ledger ledger = {0};
    ow_ledger_leave_out(&ledger, &arena, 0, 4, ow_ledger_skipped);
    ow_ledger_leave_out(&ledger, &arena, 5, 9, ow_ledger_skipped);
    assert_ledger(&ledger, "[0-9 skipped 0]");
    ow_ledger_pass(&ledger, 10, 12); /* the end, which nothing but skipped ones precede */
    assert_ledger(&ledger, "[0-11 skipped 0]");
    ow_ledger_pass(&ledger, 0, 12);
    assert_ledger(&ledger, "");
}

static void ledger_copy__only_what_the_next_record_may_change__is_kept(void **state)
{
    (void)state;
    struct ow_ledger ledger = stored_ledger();
    ow_ledger_add(&ledger, &arena, 12, 12, "parked");
    struct ow_ledger copy;
    ow_ledger_copy(&copy, &arena, &ledger, 13);
    assert_ledger(&copy, "12-12 parked 1, 13-19 skipped 0, 20-29 stale 10");
    ow_ledger_copy(&copy, &arena, &ledger, 15);
    assert_ledger(&copy, "13-19 skipped 0, 20-29 stale 10");
    ow_ledger_copy(&copy, &arena, &ledger, 30);
    assert_ledger(&copy, "20-29 stale 10");
    ow_ledger_add(&copy, &arena, 30, 30, "stale"); /* the copied one knows nothing of it */
    assert_int_equal(ledger.last->last_offset, 29);
}

static void ledger_is_open__skipped_and_lost__and_nothing_else(void **state)
{
    (void)state;
    struct ow_ledger ledger = stored_ledger();
    const struct ow_run lost = run_of(30, 30, "lost", 0);
    ow_ledger_load(&ledger, &arena, &lost);
    for (int64_t offset = 0; offset < 32; offset++) {
        assert_int_equal(ow_ledger_is_open(&ledger, offset),
                         (offset >= 10 && offset < 20) || offset == 30);
    }
    assert_false(ow_ledger_is_open(&(struct ow_ledger){0}, 0));
}

static void ledger_outcome__its_text__is_one_of_eight(void **state)
{
    (void)state;
    static const char *const texts[] = {"applied",     "duplicate", "stale",   "parked",
                                        "quarantined", "filtered",  "skipped", "lost"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_string_equal(ow_ledger_outcome(ow_slice_of(texts[i])), texts[i]);
    }
    assert_null(ow_ledger_outcome(OW_SLICE("Applied")));
    assert_null(ow_ledger_outcome((struct ow_slice){0}));
}

int ow_test_ledger(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            ledger_add__behind_all__runs_follow_each_other_and_gaps_join_the_one_before),
        cmocka_unit_test(ledger_add__into_an_open_run__splits_it),
        cmocka_unit_test(ledger_add__the_whole_of_an_open_run__is_as_if_it_had_been_read_straight),
        cmocka_unit_test(ledger_add__an_open_run_of_one_record__is_replaced_or_joins_both_sides),
        cmocka_unit_test(ledger_add__a_gap_within_an_open_run__joins_what_lies_before_it),
        cmocka_unit_test(ledger_pass__between_two_runs_of_one_outcome__makes_them_one),
        cmocka_unit_test(ledger_skip__in_front__is_filled_from_its_first_record_on),
        cmocka_unit_test(ledger_skip__behind_a_skipped_run__makes_it_longer),
        cmocka_unit_test(ledger_copy__only_what_the_next_record_may_change__is_kept),
        cmocka_unit_test(ledger_is_open__skipped_and_lost__and_nothing_else),
        cmocka_unit_test(ledger_outcome__its_text__is_one_of_eight),
    };
    return cmocka_run_group_tests_name("ledger", tests, start, stop);
}
