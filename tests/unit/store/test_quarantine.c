#include "groups.h"
#include "support/store/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define CREATED "\"amount\":1299,\"currency\":\"EUR\""

static int start(void **state)
{
    struct ow_fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    ow_fixture_init(fixture);
    ow_fixture_open(fixture);
    *state = fixture;
    return 0;
}

static int stop(void **state)
{
    ow_fixture_done(*state);
    free(*state);
    return 0;
}

static void quarantine__raw_record__is_kept_byte_for_byte(void **state)
{
    struct ow_fixture *fixture = *state;
    assert_int_equal(ow_fixture_feed(fixture, "\xff\xfe{"), OW_OUTCOME_QUARANTINED);
    assert_int_equal(ow_fixture_feed(fixture, ""), OW_OUTCOME_QUARANTINED);
    assert_int_equal(ow_fixture_feed(fixture, NULL), OW_OUTCOME_QUARANTINED);
    assert_string_equal(
        ow_fixture_text(fixture,
                        "SELECT group_concat(coalesce(hex(value), 'null') || typeof(value))"
                        " FROM (SELECT value FROM ow_quarantine ORDER BY offset)"),
        "FFFE7Bblob,blob,null");
    assert_string_equal(
        ow_fixture_text(fixture,
                        "SELECT hex(key) || reason || status || seen || attempts || headers"
                        " FROM ow_quarantine WHERE offset = 0"),
        "61206B6579malformedopen10[[\"trace\",{\"base64\":\"AP8=\"}]]");
    assert_int_equal(
        ow_fixture_i64(fixture, "SELECT count(*) FROM ow_quarantine WHERE machine IS NULL"
                                " AND entity_id IS NULL AND note IS NULL AND conflict_ref IS NULL"),
        3);
}

static void quarantine__same_conflict_again__is_the_same_row_seen_once_more(void **state)
{
    struct ow_fixture *fixture = *state;
    assert_int_equal(ow_fixture_event(fixture, "e1", "order.created", "o1", CREATED),
                     OW_OUTCOME_APPLIED);
    fixture->clock.now_ms = 5;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ow_fixture_event(fixture, "e1", "order.cancelled", "o1", ""),
                         OW_OUTCOME_QUARANTINED);
    }
    assert_int_equal(ow_fixture_event(fixture, "e1", "order.received", "o1", ""),
                     OW_OUTCOME_QUARANTINED);
    assert_int_equal(ow_fixture_event(fixture, "e1", "order.created", "o1", CREATED),
                     OW_OUTCOME_DUPLICATE);
    assert_string_equal(
        ow_fixture_text(fixture,
                        "SELECT group_concat(reason || seen || offset || conflict_ref) FROM"
                        " (SELECT * FROM ow_quarantine ORDER BY id)"),
        "conflict311,conflict141");
    assert_string_equal(
        ow_fixture_text(fixture, "SELECT first_seen_ms || ' ' || last_seen_ms FROM ow_quarantine"),
        "5 2005");
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_claims"), 1);
}

static void quarantine__same_offset_read_again__is_seen_once_more_and_nothing_else(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_fill(fixture);
    const int64_t rows = ow_fixture_i64(fixture, "SELECT count(*) FROM ow_quarantine");
    const int64_t claims = ow_fixture_i64(fixture, "SELECT count(*) FROM ow_claims");
    const int64_t high = fixture->position.high_offset;
    fixture->position.next_offset = 0; /* an operator's rewind */
    fixture->position_offset = high - 2;
    assert_int_equal(ow_fixture_feed(fixture, "{\"not\":\"an event\""), OW_OUTCOME_QUARANTINED);
    assert_int_equal(ow_fixture_feed(fixture, NULL), OW_OUTCOME_QUARANTINED);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_quarantine"), rows);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_claims"), claims);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_quarantine WHERE seen = 2"),
                     2);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT reread FROM ow_position"), 2);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT high_offset FROM ow_position"), high);
}

int ow_test_quarantine(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(quarantine__raw_record__is_kept_byte_for_byte),
        TEST(quarantine__same_conflict_again__is_the_same_row_seen_once_more),
        TEST(quarantine__same_offset_read_again__is_seen_once_more_and_nothing_else),
    };
#undef TEST
    return cmocka_run_group_tests_name("quarantine", tests, NULL, NULL);
}
