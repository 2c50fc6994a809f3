#include "base/clock.h"
#include "groups.h"

static void clock_system__goes_on(void **state)
{
    (void)state;
    const struct ow_clock clock = ow_clock_system();
    const int64_t before_ns = ow_clock_elapsed_ns(&clock);
    assert_true(ow_clock_now_ms(&clock) > INT64_C(1700000000000));
    assert_true(ow_clock_elapsed_ns(&clock) >= before_ns);
}

static void clock_manual__moves_only_by_hand(void **state)
{
    (void)state;
    struct ow_clock_manual manual = {.now_ms = 5, .elapsed_ns = 7};
    const struct ow_clock clock = ow_clock_manual(&manual);
    assert_int_equal(ow_clock_now_ms(&clock), 5);
    manual.now_ms = 4;
    manual.elapsed_ns = 8;
    assert_int_equal(ow_clock_now_ms(&clock), 4);
    assert_int_equal(ow_clock_elapsed_ns(&clock), 8);
}

int ow_test_clock(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_system__goes_on),
        cmocka_unit_test(clock_manual__moves_only_by_hand),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
