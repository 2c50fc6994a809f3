#include "base/slice.h"
#include "groups.h"

static void slice_equal__absent_and_empty__differ(void **state)
{
    (void)state;
    const struct ow_slice absent = {0};
    assert_true(ow_slice_is_absent(absent));
    assert_false(ow_slice_is_absent(OW_SLICE("")));
    assert_true(ow_slice_equal(absent, absent));
    assert_true(ow_slice_equal(OW_SLICE(""), OW_SLICE("")));
    assert_false(ow_slice_equal(absent, OW_SLICE("")));
    assert_false(ow_slice_equal(OW_SLICE(""), absent));
    assert_true(ow_slice_is_absent(ow_slice_of(NULL)));
}

static void slice_equal__is_by_bytes(void **state)
{
    (void)state;
    assert_true(ow_slice_equal(OW_SLICE("a\0b"), OW_SLICE("a\0b")));
    assert_false(ow_slice_equal(OW_SLICE("a\0b"), OW_SLICE("a\0c")));
    assert_false(ow_slice_equal(OW_SLICE("ab"), OW_SLICE("abc")));
    assert_true(ow_slice_equals_text(OW_SLICE("abc"), "abc"));
    assert_false(ow_slice_equals_text(OW_SLICE("abc"), "ab"));
}

static void slice_compare__orders_by_bytes__a_prefix_first__the_absent_before_all(void **state)
{
    (void)state;
    const struct ow_slice absent = {0};
    assert_int_equal(ow_slice_compare(absent, absent), 0);
    assert_true(ow_slice_compare(absent, OW_SLICE("")) < 0);
    assert_true(ow_slice_compare(OW_SLICE(""), absent) > 0);
    assert_true(ow_slice_compare(OW_SLICE("a"), OW_SLICE("ab")) < 0);
    assert_true(ow_slice_compare(OW_SLICE("b"), OW_SLICE("ab")) > 0);
    assert_true(ow_slice_compare(OW_SLICE("\x7f"), OW_SLICE("\x80")) < 0);
    assert_int_equal(ow_slice_compare(OW_SLICE("ab"), OW_SLICE("ab")), 0);
}

static void slice_is_utf8__all_lengths_at_their_ends__are_well_formed(void **state)
{
    (void)state;
    assert_true(ow_slice_is_utf8(OW_SLICE("")));
    assert_true(ow_slice_is_utf8(OW_SLICE("\0\x7f")));
    assert_true(ow_slice_is_utf8(OW_SLICE("\xc2\x80\xdf\xbf")));
    assert_true(ow_slice_is_utf8(OW_SLICE("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf")));
    assert_true(ow_slice_is_utf8(OW_SLICE("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")));
}

static void slice_is_utf8__overlong_surrogate_beyond_or_cut__is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc2",
        "\xc2\x41",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xe1\x80",
        "\xe1\x80\x41",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xf1\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "\xff",
        "a\xfe",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (ow_slice_is_utf8(ow_slice_of(bad[i]))) {
            fail_msg("number %zu passes", i);
        }
    }
}

static void slice_characters__counts_code_points(void **state)
{
    (void)state;
    assert_int_equal(ow_slice_characters(OW_SLICE("")), 0);
    assert_int_equal(ow_slice_characters(OW_SLICE("EUR")), 3);
    assert_int_equal(ow_slice_characters(OW_SLICE("\xe2\x82\xac\xe2\x82\xac")), 2);
    assert_int_equal(ow_slice_characters(OW_SLICE("\xf0\x9f\x92\xb6x")), 2);
    assert_int_equal(ow_slice_characters(OW_SLICE("e\xcc\x81")),
                     2); /* not what is seen, but what is there */
}

int ow_test_slice(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(slice_equal__absent_and_empty__differ),
        cmocka_unit_test(slice_equal__is_by_bytes),
        cmocka_unit_test(slice_compare__orders_by_bytes__a_prefix_first__the_absent_before_all),
        cmocka_unit_test(slice_is_utf8__all_lengths_at_their_ends__are_well_formed),
        cmocka_unit_test(slice_is_utf8__overlong_surrogate_beyond_or_cut__is_refused),
        cmocka_unit_test(slice_characters__counts_code_points),
    };
    return cmocka_run_group_tests_name("slice", tests, NULL, NULL);
}
