#include "base/buffer.h"
#include "groups.h"

static void buffer__built_piece_by_piece__is_the_whole(void **state)
{
    (void)state;
    OW_BUFFER buffer = {0};
    assert_int_equal(ow_buffer_view(&buffer).len, 0);
    assert_string_equal(ow_buffer_cstr(&buffer), "");
    ow_buffer_text(&buffer, "a");
    ow_buffer_byte(&buffer, 'b');
    ow_buffer_slice(&buffer, OW_SLICE("cd"));
    ow_buffer_append(&buffer, "", 0);
    ow_buffer_printf(&buffer, "%d", 42);
    assert_string_equal(ow_buffer_cstr(&buffer), "abcd42");
    assert_int_equal(ow_buffer_view(&buffer).len, 6);
    ow_buffer_clear(&buffer);
    assert_string_equal(ow_buffer_cstr(&buffer), "");
}

static void buffer__an_empty_one__is_not_absent(void **state)
{
    (void)state;
    OW_BUFFER buffer = {0};
    ow_buffer_text(&buffer, "x");
    ow_buffer_clear(&buffer);
    assert_false(ow_slice_is_absent(ow_buffer_view(&buffer)));
}

static void buffer__grows_over_many_sizes__and_loses_nothing(void **state)
{
    (void)state;
    OW_BUFFER buffer = {0};
    for (int i = 0; i < 100000; i++) {
        ow_buffer_byte(&buffer, (uint8_t)i);
    }
    ow_buffer_printf(&buffer, "%0300d", 1);
    assert_int_equal(buffer.len, 100300);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(buffer.ptr[i], (uint8_t)i);
    }
    assert_int_equal(buffer.ptr[100299], '1');
}

int ow_test_buffer(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer__built_piece_by_piece__is_the_whole),
        cmocka_unit_test(buffer__an_empty_one__is_not_absent),
        cmocka_unit_test(buffer__grows_over_many_sizes__and_loses_nothing),
    };
    return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
