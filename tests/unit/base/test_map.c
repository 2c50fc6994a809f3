#include "base/map.h"
#include "groups.h"

static void map__thousands_of_keys__are_found_and_others_not(void **state)
{
    (void)state;
    struct ow_arena arena;
    ow_arena_init(&arena, 65536);
    struct ow_map map;
    ow_map_init(&map, &arena);
    assert_null(ow_map_get(&map, OW_SLICE("0")));
    static int values[5000];
    for (int i = 0; i < 5000; i++) {
        values[i] = i;
        ow_map_put(&map, ow_slice_of(ow_arena_printf(&arena, "%d", i)), &values[i]);
    }
    for (int i = 0; i < 5000; i++) {
        const int *value = ow_map_get(&map, ow_slice_of(ow_arena_printf(&arena, "%d", i)));
        assert_non_null(value);
        assert_int_equal(*value, i);
    }
    assert_null(ow_map_get(&map, OW_SLICE("5000")));
    assert_null(ow_map_get(&map, OW_SLICE("")));
    ow_arena_done(&arena);
}

static void map_put__same_key__replaces(void **state)
{
    (void)state;
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    struct ow_map map;
    ow_map_init(&map, &arena);
    int first = 1;
    int second = 2;
    ow_map_put(&map, OW_SLICE("a\0b"), &first);
    ow_map_put(&map, OW_SLICE("a\0b"), &second);
    assert_ptr_equal(ow_map_get(&map, OW_SLICE("a\0b")), &second);
    assert_null(ow_map_get(&map, OW_SLICE("a\0c")));
    assert_int_equal(map.used, 1);
    ow_arena_done(&arena);
}

int ow_test_map(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(map__thousands_of_keys__are_found_and_others_not),
        cmocka_unit_test(map_put__same_key__replaces),
    };
    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
