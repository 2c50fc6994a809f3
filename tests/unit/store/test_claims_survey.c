/* What `onceward claims` reads, while a worker owns the file. */
#include "groups.h"
#include "store/claims_survey.h"
#include "store/explain.h"
#include "support/store/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY_MS   INT64_C(86400000)
#define CLASS_MS (45 * DAY_MS)
#define NOW_MS   INT64_C(1800000000000)

static int start(void **state)
{
    struct ow_fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    ow_fixture_init(fixture);
    fixture->bucket_claims = 5;
    ow_fixture_open(fixture);
    *state = fixture;
    return 0;
}

static int stop(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_done(fixture);
    free(fixture);
    return 0;
}

static struct ow_claims_survey survey_at(struct ow_fixture *fixture, int64_t now_ms)
{
    struct ow_clock_manual manual = {.now_ms = now_ms};
    const struct ow_claims_survey_options options = {.path = fixture->path,
                                                     .clock = ow_clock_manual(&manual)};
    struct ow_claims_survey survey;
    if (ow_claims_survey(&options, &fixture->kept, &survey, &fixture->err) != OW_OK) {
        fail_msg("survey: %s", fixture->err.text);
    }
    return survey;
}

/* Six sealed buckets of 2,000 claims, one opened each day, and the open one of today. */
static void put_week(const struct ow_fixture *fixture)
{
    char sql[1024];
    (void)snprintf(
        sql, sizeof sql,
        "WITH RECURSIVE b(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM b WHERE n < 7)"
        " INSERT INTO ow_bucket SELECT n, %lld, %lld + n * %lld, iif(n < 7, %lld + (n + 1) *"
        " %lld, NULL), 2000 FROM b;"
        "WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < 13999)"
        " INSERT INTO ow_claims SELECT 1 + n / 2000, randomblob(16), randomblob(9), n + 1 FROM c",
        (long long)CLASS_MS, (long long)(NOW_MS - 8 * DAY_MS), (long long)DAY_MS,
        (long long)(NOW_MS - 8 * DAY_MS), (long long)DAY_MS);
    ow_fixture_exec(fixture, sql);
}

static void survey__an_empty_store__knows_nothing(void **state)
{
    struct ow_fixture *const fixture = *state;
    const struct ow_claims_survey survey = survey_at(fixture, NOW_MS);
    assert_int_equal(survey.bucket_count, 0);
    assert_int_equal(survey.class_count, 0);
    assert_int_equal(survey.claims, 0);
    assert_true(survey.claims_per_day == -1);
    assert_true(survey.growth_per_day == -1);
    assert_true(survey.free_bytes > 0);
    assert_true(survey.file_bytes > 0);
}

static void survey__bytes__are_those_of_the_pages(void **state)
{
    struct ow_fixture *const fixture = *state;
    put_week(fixture);
    const struct ow_claims_survey survey = survey_at(fixture, NOW_MS);
    /* The leaves, and one page above them: what ow_claims takes but for what it has to spare. */
    const int64_t before = survey.file_bytes;
    ow_fixture_exec(fixture, "DELETE FROM ow_claims");
    const int64_t freed =
        ow_fixture_i64(fixture, "PRAGMA freelist_count") * ow_fixture_i64(fixture, "PRAGMA "
                                                                                   "page_size");
    assert_int_equal(survey.bucket_count, 7);
    assert_in_range((uintmax_t)survey.bytes, (uintmax_t)(freed * 97 / 100),
                    (uintmax_t)(freed * 103 / 100 + INT64_C(7) * 4096));
    assert_true(freed < before);
}

static void survey__days__are_those_of_the_last_week(void **state)
{
    struct ow_fixture *const fixture = *state;
    put_week(fixture);
    const struct ow_claims_survey survey = survey_at(fixture, NOW_MS);
    assert_int_equal(survey.claims, 14000);
    assert_int_equal(survey.claims_per_day, 2000);
    assert_true(survey.growth_per_day > 0);
    assert_true(survey.buckets[6].sealed_at_ms == OW_CLAIMS_OPEN_MS);
    assert_true(survey.buckets[5].sealed_at_ms == NOW_MS - DAY_MS);
    /* Later two buckets lie outside of the week, and half of the third. */
    const struct ow_claims_survey later = survey_at(fixture, NOW_MS + 5 * DAY_MS / 2);
    assert_int_equal(later.claims_per_day, (1000 + 4 * 2000 + 3) / 7);
    /* A clock that was set back has seen nothing yet. */
    assert_true(survey_at(fixture, NOW_MS - 30 * DAY_MS).claims_per_day == -1);
}

static void survey__pruned_class__has_a_horizon_and_takes_no_new_pages(void **state)
{
    struct ow_fixture *const fixture = *state;
    char sql[256];
    put_week(fixture);
    const struct ow_claims_survey before = survey_at(fixture, NOW_MS);
    assert_false(before.classes[0].pruned);
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO ow_meta VALUES ('pruned.%lld', 17), ('pruned_below.%lld', 3),"
                   " ('pruned.1000', 4711)",
                   (long long)CLASS_MS, (long long)CLASS_MS);
    ow_fixture_exec(fixture, sql);
    const struct ow_claims_survey after = survey_at(fixture, NOW_MS);
    assert_true(after.buckets[0].pruning && after.buckets[1].pruning);
    assert_false(after.buckets[2].pruning);
    assert_int_equal(after.class_count, 2);
    /* All of its buckets are gone. */
    assert_true(after.classes[0].class_ms == 1000 && after.classes[0].kept_since_ms == 4711);
    assert_int_equal(after.classes[0].buckets, 0);
    /* What records are compared with, not what the buckets say that are kept. */
    assert_true(after.classes[1].pruned && after.classes[1].kept_since_ms == 17);
    assert_true(after.growth_per_day < before.growth_per_day);
}

static void survey__no_store__is_refused(void **state)
{
    struct ow_fixture *const fixture = *state;
    const struct ow_claims_survey_options options = {.path = "/tmp/there-is-no-such-store.db",
                                                     .clock = ow_clock_system()};
    struct ow_claims_survey survey;
    const char *text = NULL;
    assert_int_equal(ow_claims_survey(&options, &fixture->kept, &survey, &fixture->err),
                     OW_BAD_CONFIG);
    assert_int_equal(ow_claims_survey_rule(options.path, 1, &fixture->kept, &text, &fixture->err),
                     OW_BAD_CONFIG);
}

static void rule__is_told_by_its_number(void **state)
{
    struct ow_fixture *const fixture = *state;
    const char *text = NULL;
    assert_int_equal(ow_claims_survey_rule(fixture->path, 1, &fixture->kept, &text, &fixture->err),
                     OW_OK);
    assert_string_equal(
        text,
        ow_fixture_text(fixture, "SELECT value FROM ow_meta WHERE key = 'fingerprint_rule.1'"));
    assert_int_equal(ow_claims_survey_rule(fixture->path, 99, &fixture->kept, &text, &fixture->err),
                     OW_OK);
    assert_null(text);
}

static void read_hex(const char *text, uint8_t key[16])
{
    assert_int_equal(strlen(text), 32);
    for (size_t i = 0; i < 16; i++) {
        const char digits[] = {text[2 * i], text[2 * i + 1], '\0'};
        key[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
}

/* Every claim of a store with some of everything is told with the owner that its ref says. */
static void explain__by_claim_key__tells_each_owner(void **state)
{
    struct ow_fixture *const fixture = *state;
    ow_fixture_fill(fixture);
    const int64_t count = ow_fixture_i64(fixture, "SELECT count(*) FROM ow_claims");
    assert_true(count > 10);
    size_t outcomes[5] = {0};
    for (int64_t i = 0; i < count; i++) {
        uint8_t key[16];
        char sql[160];
        (void)snprintf(sql, sizeof sql,
                       "SELECT hex(key) FROM ow_claims ORDER BY ref LIMIT 1 OFFSET %lld",
                       (long long)i);
        read_hex(ow_fixture_text(fixture, sql), key);
        (void)snprintf(sql, sizeof sql,
                       "SELECT ref FROM ow_claims ORDER BY ref LIMIT 1 OFFSET %lld", (long long)i);
        const struct ow_explain_options options = {
            .path = fixture->path, .id = "a key", .claim_key = key, .clock = ow_clock_system()};
        struct ow_explanation told;
        assert_int_equal(ow_explain(&options, &fixture->kept, &told, &fixture->err), OW_OK);
        assert_non_null(told.meanings);
        assert_null(told.meanings->next);
        const struct ow_explain_event *const event = told.meanings->events;
        assert_int_equal(event->claim.claimed, OW_EXPLAIN_CLAIM_FOUND);
        assert_true(event->ref == ow_fixture_i64(fixture, sql));
        assert_non_null(event->outcome);
        for (size_t o = 0; o < 5; o++) {
            outcomes[o] += strcmp(event->outcome, ow_outcome_text((enum ow_outcome)o)) == 0;
        }
    }
    assert_true(outcomes[OW_OUTCOME_APPLIED] > 0);
    assert_true(outcomes[OW_OUTCOME_STALE] > 0);
    assert_true(outcomes[OW_OUTCOME_PARKED] > 0);
    assert_true(outcomes[OW_OUTCOME_QUARANTINED] > 0);
}

int ow_test_claims_survey(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(survey__an_empty_store__knows_nothing, start, stop),
        cmocka_unit_test_setup_teardown(survey__bytes__are_those_of_the_pages, start, stop),
        cmocka_unit_test_setup_teardown(survey__days__are_those_of_the_last_week, start, stop),
        cmocka_unit_test_setup_teardown(survey__pruned_class__has_a_horizon_and_takes_no_new_pages,
                                        start, stop),
        cmocka_unit_test_setup_teardown(survey__no_store__is_refused, start, stop),
        cmocka_unit_test_setup_teardown(rule__is_told_by_its_number, start, stop),
        cmocka_unit_test_setup_teardown(explain__by_claim_key__tells_each_owner, start, stop),
    };
    return cmocka_run_group_tests_name("claims_survey", tests, NULL, NULL);
}
