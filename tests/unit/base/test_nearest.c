#include "base/nearest.h"
#include "groups.h"

static void nearest_distance__counts_changes_and_swaps(void **state)
{
    (void)state;
    assert_int_equal(ow_nearest_distance("group", "group"), 0);
    assert_int_equal(ow_nearest_distance("gruop", "group"), 1);
    assert_int_equal(ow_nearest_distance("grop", "group"), 1);
    assert_int_equal(ow_nearest_distance("grooup", "group"), 1);
    assert_int_equal(ow_nearest_distance("grxup", "group"), 1);
    assert_int_equal(ow_nearest_distance("", "abc"), 3);
}

static void nearest_offer__the_best_is_kept__and_far_ones_are_none(void **state)
{
    (void)state;
    struct ow_nearest nearest = {.word = "gruop"};
    ow_nearest_offer(&nearest, "start");
    assert_null(nearest.best);
    ow_nearest_offer(&nearest, "group");
    ow_nearest_offer(&nearest, "grep");
    assert_string_equal(nearest.best, "group");
}

int ow_test_nearest(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_distance__counts_changes_and_swaps),
        cmocka_unit_test(nearest_offer__the_best_is_kept__and_far_ones_are_none),
    };
    return cmocka_run_group_tests_name("nearest", tests, NULL, NULL);
}
