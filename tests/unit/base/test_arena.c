#include "base/arena.h"
#include "groups.h"

static int start(void **state)
{
    static struct ow_arena arena;
    ow_arena_init(&arena, 256);
    *state = &arena;
    return 0;
}

static int stop(void **state)
{
    ow_arena_done(*state);
    return 0;
}

static void arena_alloc__any_size__is_zeroed_aligned_and_apart(void **state)
{
    struct ow_arena *arena = *state;
    uint8_t *before = NULL;
    for (size_t bytes = 1; bytes < 600; bytes += 37) {
        uint8_t *memory = ow_arena_alloc(arena, bytes);
        assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < bytes; i++) {
            assert_int_equal(memory[i], 0);
        }
        memset(memory, 0xa5, bytes);
        assert_true(before == NULL || before[0] == 0xa5);
        before = memory;
    }
}

static void arena_reset__then_alloc__is_zeroed_again(void **state)
{
    struct ow_arena *arena = *state;
    memset(ow_arena_alloc(arena, 200), 0xa5, 200);
    memset(ow_arena_alloc(arena, 2000), 0xa5, 2000);
    ow_arena_reset(arena);
    const uint8_t *memory = ow_arena_alloc(arena, 200);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(memory[i], 0);
    }
}

static void arena_copy__absent_stays_absent__else_a_nul_is_behind_it(void **state)
{
    struct ow_arena *arena = *state;
    assert_true(ow_slice_is_absent(ow_arena_copy(arena, (struct ow_slice){0})));
    const struct ow_slice empty = ow_arena_copy(arena, OW_SLICE(""));
    assert_false(ow_slice_is_absent(empty));
    assert_int_equal(empty.len, 0);
    assert_int_equal(empty.ptr[0], 0);
    const struct ow_slice copy = ow_arena_copy(arena, OW_SLICE("a\0b"));
    assert_int_equal(copy.len, 3);
    assert_memory_equal(copy.ptr, "a\0b", 4);
}

static void arena_printf__longer_than_a_block__is_whole(void **state)
{
    struct ow_arena *arena = *state;
    const char *text = ow_arena_printf(arena, "%0500d", 7);
    assert_int_equal(strlen(text), 500);
    assert_int_equal(text[499], '7');
    assert_string_equal(ow_arena_text(arena, OW_SLICE("abc")), "abc");
}

int ow_test_arena(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(arena_alloc__any_size__is_zeroed_aligned_and_apart, start,
                                        stop),
        cmocka_unit_test_setup_teardown(arena_reset__then_alloc__is_zeroed_again, start, stop),
        cmocka_unit_test_setup_teardown(arena_copy__absent_stays_absent__else_a_nul_is_behind_it,
                                        start, stop),
        cmocka_unit_test_setup_teardown(arena_printf__longer_than_a_block__is_whole, start, stop),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
