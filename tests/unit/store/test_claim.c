#include "groups.h"
#include "support/store/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int start(void **state)
{
    struct ow_fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    ow_fixture_init(fixture);
    fixture->bucket_claims = 3;
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

static const uint8_t *key_of(struct ow_fixture *fixture, uint8_t number)
{
    uint8_t *key = ow_arena_alloc(&fixture->arena, OW_CLAIM_KEY_BYTES);
    key[0] = (uint8_t)(number * 37); /* not in order */
    key[15] = number;
    return key;
}

/* Takes claims number `first` to `last` of a class in one batch. */
static void take(struct ow_fixture *fixture, uint8_t first, uint8_t last, int64_t class_ms)
{
    ow_fixture_begin(fixture);
    for (uint8_t number = first; number <= last; number++) {
        struct ow_claim *claim = ow_world_claim(&fixture->world, key_of(fixture, number), class_ms);
        assert_int_equal(ow_fixture_read(fixture), OW_OK);
        assert_false(claim->taken);
        claim->taken = claim->fresh = true;
        claim->ref = fixture->world.next_ref++;
        claim->fingerprint[0] = number;
    }
    assert_int_equal(ow_fixture_write(fixture), OW_OK);
    ow_fixture_commit(fixture);
}

static void claim_write__full_bucket__is_sealed_and_the_next_one_opened(void **state)
{
    struct ow_fixture *fixture = *state;
    take(fixture, 1, 2, 1000);
    take(fixture, 3, 8, 1000);
    assert_string_equal(ow_fixture_text(fixture,
                                        "SELECT group_concat(bucket || ':' || claims || ':' ||"
                                        " (sealed_at_ms IS NOT NULL)) FROM ow_bucket"),
                        "1:3:1,2:3:1,3:2:0");
    assert_int_equal(
        ow_fixture_i64(fixture,
                       "SELECT max(n) FROM (SELECT count(*) AS n FROM ow_claims GROUP BY bucket)"),
        3);
}

static void claim_read__same_key_in_sealed_bucket__is_found(void **state)
{
    struct ow_fixture *fixture = *state;
    take(fixture, 1, 7, 1000);
    for (int round = 0; round < 2; round++) {
        ow_fixture_begin(fixture);
        for (uint8_t number = 1; number <= 8; number++) {
            (void)ow_world_claim(&fixture->world, key_of(fixture, number), 1000);
        }
        assert_int_equal(ow_fixture_read(fixture), OW_OK);
        for (uint8_t number = 1; number <= 8; number++) {
            const struct ow_claim *claim =
                ow_world_claim(&fixture->world, key_of(fixture, number), 1000);
            assert_true(claim->loaded);
            assert_int_equal(claim->taken, number < 8);
            assert_int_equal(claim->ref, number < 8 ? number : 0);
            assert_int_equal(claim->fingerprint[0], number < 8 ? number : 0);
            assert_false(claim->fresh);
        }
        ow_store_rollback(fixture->store);
        ow_fixture_close(fixture); /* and after a start */
        ow_fixture_open(fixture);
    }
}

static void claim_read__key_of_another_class__is_found(void **state)
{
    struct ow_fixture *fixture = *state;
    take(fixture, 1, 4, 1000);
    take(fixture, 5, 9, 2000);
    assert_int_equal(
        ow_fixture_i64(fixture, "SELECT count(*) FROM ow_bucket WHERE sealed_at_ms IS NULL"), 2);
    ow_fixture_begin(fixture);
    const struct ow_claim *old = ow_world_claim(&fixture->world, key_of(fixture, 4), 2000);
    const struct ow_claim *other = ow_world_claim(&fixture->world, key_of(fixture, 9), 1000);
    assert_int_equal(ow_fixture_read(fixture), OW_OK);
    assert_true(old->taken && other->taken);
    ow_store_rollback(fixture->store);
}

static void claim_write__key_that_somebody_took_meanwhile__fails_loudly(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_begin(fixture);
    struct ow_claim *claim = ow_world_claim(&fixture->world, key_of(fixture, 1), 1000);
    assert_int_equal(ow_fixture_read(fixture), OW_OK);
    claim->taken = claim->fresh = true;
    claim->ref = fixture->world.next_ref++;
    assert_int_equal(ow_fixture_write(fixture), OW_OK);
    const enum ow_status status = ow_fixture_write(fixture); /* stands in for a second writer */
    assert_int_equal(status, OW_FAILED);
    assert_non_null(strstr(fixture->err.text, "was free when it was read"));
    ow_store_rollback(fixture->store);
}

static void claim_write__sealed_in_a_batch_that_is_rolled_back__is_open_again(void **state)
{
    struct ow_fixture *fixture = *state;
    take(fixture, 1, 2, 1000);
    ow_fixture_begin(fixture);
    for (uint8_t number = 3; number <= 9; number++) {
        struct ow_claim *claim = ow_world_claim(&fixture->world, key_of(fixture, number), 1000);
        claim->loaded = claim->taken = claim->fresh = true;
        claim->ref = fixture->world.next_ref++;
    }
    assert_int_equal(ow_fixture_write(fixture), OW_OK);
    ow_store_rollback(fixture->store);
    take(fixture, 3, 3, 1000);
    assert_string_equal(
        ow_fixture_text(fixture, "SELECT group_concat(bucket || ':' || claims) FROM ow_bucket"),
        "1:3");
    take(fixture, 4, 4, 1000);
    assert_string_equal(
        ow_fixture_text(fixture, "SELECT group_concat(bucket || ':' || claims) FROM ow_bucket"),
        "1:3,2:1");
}

/* Its checksums are right, and yet it is not of these claims. */
static void filter__of_another_number_of_claims__is_built_anew(void **state)
{
    struct ow_fixture *fixture = *state;
    take(fixture, 1, 4, 1000);
    ow_fixture_tend(fixture, INT64_MIN);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT max(id) FROM ow_filter"), 1);
    ow_fixture_close(fixture);
    ow_fixture_open(fixture);
    ow_fixture_tend(fixture, INT64_MIN);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT max(id) FROM ow_filter"), 1);
    ow_fixture_close(fixture);
    ow_fixture_exec(fixture, "UPDATE ow_bucket SET claims = 4 WHERE bucket = 1");
    ow_fixture_open(fixture);
    ow_fixture_tend(fixture, INT64_MIN);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT max(id) FROM ow_filter"), 2);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_filter"), 1);
}

int ow_test_claim(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(claim_write__full_bucket__is_sealed_and_the_next_one_opened),
        TEST(claim_read__same_key_in_sealed_bucket__is_found),
        TEST(claim_read__key_of_another_class__is_found),
        TEST(claim_write__key_that_somebody_took_meanwhile__fails_loudly),
        TEST(claim_write__sealed_in_a_batch_that_is_rolled_back__is_open_again),
        TEST(filter__of_another_number_of_claims__is_built_anew),
    };
#undef TEST
    return cmocka_run_group_tests_name("claim", tests, NULL, NULL);
}
