#include "groups.h"
#include "model/json.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

static json_t *parse(const char *text)
{
    const char *why = NULL;
    json_t *json = ow_json_parse(ow_slice_of(text), &arena, &why);
    if (json == NULL) {
        fail_msg("%s: %s", text, why);
    }
    return json;
}

static void assert_canonical(const char *text, const char *expected)
{
    OW_JSON *json = parse(text);
    OW_BUFFER out = {0};
    ow_json_canonical(&out, json, NULL, NULL, 0);
    assert_string_equal(ow_buffer_cstr(&out), expected);
}

static void json_canonical__members__are_sorted_by_bytes_without_white_space(void **state)
{
    (void)state;
    assert_canonical(" { \"b\" : 1 , \"a\" : [ 1 , { } , [ ] ] , \"B\" : null , \"\" : true, "
                     "\"\xc3\xa4\": false } ",
                     "{\"\":true,\"B\":null,\"a\":[1,{},[]],\"b\":1,\"\xc3\xa4\":false}");
    assert_canonical("{\"aa\":1,\"a\":2,\"a!\":3}", "{\"a\":2,\"a!\":3,\"aa\":1}");
}

static void json_canonical__numbers__are_exact_or_17_digits(void **state)
{
    (void)state;
    assert_canonical("[9007199254740993,-9223372036854775808,0,-0]",
                     "[9007199254740993,-9223372036854775808,0,0]");
    assert_canonical(
        "[100.0,1e2,1E+2,0.1,-1.5e-7,1e300]",
        "[100,100,100,0.10000000000000001,-1.4999999999999999e-07,1.0000000000000001e+300]");
}

static void json_canonical__strings__escape_only_quotes_backslashes_and_controls(void **state)
{
    (void)state;
    assert_canonical("\"\\u0041\\/\\u00fc\\u2028\\ud83d\\ude00\\u007f\"",
                     "\"A/\xc3\xbc\xe2\x80\xa8\xf0\x9f\x98\x80\x7f\"");
    assert_canonical("\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\"",
                     "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\"");
}

static void json_canonical__ignored_pointers__are_left_out_at_any_depth(void **state)
{
    (void)state;
    OW_JSON *json =
        parse("{\"a\":1,\"b\":{\"a\":2,\"c\":[{\"x\":1,\"y\":2},{\"x\":3}]},\"c/d\":4}");
    struct ow_pointer ignore[4];
    assert_true(ow_pointer_parse(&arena, "/data/a", &ignore[0]));
    assert_true(ow_pointer_parse(&arena, "/data/b/c/0/x", &ignore[1]));
    assert_true(ow_pointer_parse(&arena, "/data/c~1d", &ignore[2]));
    assert_true(ow_pointer_parse(&arena, "/other/b", &ignore[3]));
    struct ow_pointer base;
    assert_true(ow_pointer_parse(&arena, "/data", &base));
    OW_BUFFER out = {0};
    ow_json_canonical(&out, json, &base, ignore, 4);
    assert_string_equal(ow_buffer_cstr(&out), "{\"b\":{\"a\":2,\"c\":[{\"y\":2},{\"x\":3}]}}");
    ow_buffer_clear(&out);
    assert_true(ow_pointer_parse(&arena, "/b/c/1", &ignore[0]));
    ow_json_canonical(&out, json, NULL, ignore, 1);
    assert_string_equal(ow_buffer_cstr(&out),
                        "{\"a\":1,\"b\":{\"a\":2,\"c\":[{\"x\":1,\"y\":2}]},\"c/d\":4}");
}

static void json_canonical_value__each_type(void **state)
{
    (void)state;
    OW_BUFFER out = {0};
    const struct ow_value values[] = {OW_VALUE_NULL, ow_value_integer(-7),
                                      ow_value_text(OW_SLICE("a\"b"))};
    for (size_t i = 0; i < 3; i++) {
        ow_json_canonical_value(&out, &values[i]);
    }
    assert_string_equal(ow_buffer_cstr(&out), "null-7\"a\\\"b\"");
}

static void json_parse__what_is_not_strict_json__is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "{}{}",
        "[1,]",
        "{\"a\":1,}",
        "'a'",
        "01",
        "+1",
        ".5",
        "1.",
        "NaN",
        "Infinity",
        "/**/1",
        "nul",
        "\"\n\"",
        "\"\\x\"",
        "\"\xff\"",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "\xef\xbb\xbf{}",
        "{\"a\":1,\"a\":1}",
        "[[{\"a\":{\"b\":1,\"b\":2}}]]",
        "99999999999999999999",
        "1e999",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *why = NULL;
        OW_JSON *json = ow_json_parse(ow_slice_of(bad[i]), &arena, &why);
        if (json != NULL) {
            fail_msg("'%s' passes", bad[i]);
        }
        assert_non_null(why);
    }
}

static void json_parse__deep_nesting__is_bounded(void **state)
{
    (void)state;
    static char deep[4097];
    memset(deep, '[', 2048);
    memset(deep + 2048, ']', 2048);
    const char *why = NULL;
    OW_JSON *json =
        ow_json_parse((struct ow_slice){(const uint8_t *)deep + 24, 4096 - 48}, &arena, &why);
    assert_non_null(json);
    OW_BUFFER out = {0};
    ow_json_canonical(&out, json, NULL, NULL, 0);
    assert_int_equal(out.len, 4096 - 48);
    static char deeper[200000];
    memset(deeper, '[', sizeof(deeper));
    assert_null(
        ow_json_parse((struct ow_slice){(const uint8_t *)deeper, sizeof(deeper)}, &arena, &why));
}

static void assert_pointer(const char *document, const char *text, const char *expected)
{
    OW_JSON *json = parse(document);
    struct ow_pointer pointer;
    assert_true(ow_pointer_parse(&arena, text, &pointer));
    const json_t *found = ow_pointer_get(&pointer, json);
    if (expected == NULL) {
        assert_null(found);
        return;
    }
    OW_BUFFER out = {0};
    assert_non_null(found);
    ow_json_canonical(&out, found, NULL, NULL, 0);
    assert_string_equal(ow_buffer_cstr(&out), expected);
}

static void pointer_get__the_examples_of_rfc_6901(void **state)
{
    (void)state;
    static const char document[] =
        "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/"
        "b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8}";
    assert_pointer(document, "/foo", "[\"bar\",\"baz\"]");
    assert_pointer(document, "/foo/0", "\"bar\"");
    assert_pointer(document, "/", "0");
    assert_pointer(document, "/a~1b", "1");
    assert_pointer(document, "/c%d", "2");
    assert_pointer(document, "/e^f", "3");
    assert_pointer(document, "/g|h", "4");
    assert_pointer(document, "/i\\j", "5");
    assert_pointer(document, "/k\"l", "6");
    assert_pointer(document, "/ ", "7");
    assert_pointer(document, "/m~0n", "8");
    assert_pointer("[1]", "", "[1]");
}

static void pointer_get__nothing_there__is_null(void **state)
{
    (void)state;
    assert_pointer("{\"a\":[1,{\"b\":2}]}", "/a/1/b", "2");
    static const char *const nowhere[] = {"/b",    "/a/2",     "/a/-",
                                          "/a/01", "/a/1/b/c", "/a/x",
                                          "/a/",   "/a/1/b/0", "/a/18446744073709551616"};
    for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
        assert_pointer("{\"a\":[1,{\"b\":2}]}", nowhere[i], NULL);
    }
}

static void pointer_parse__what_is_no_pointer__is_refused(void **state)
{
    (void)state;
    struct ow_pointer pointer;
    assert_false(ow_pointer_parse(&arena, "a", &pointer));
    assert_false(ow_pointer_parse(&arena, "#/a", &pointer));
    assert_false(ow_pointer_parse(&arena, "/a~", &pointer));
    assert_false(ow_pointer_parse(&arena, "/a~2", &pointer));
    assert_true(ow_pointer_parse(&arena, "/~01", &pointer));
    assert_true(ow_slice_equals_text(pointer.steps[0], "~1"));
}

static void json_canonical__ignored_index__leaves_its_neighbours(void **state)
{
    (void)state;
    OW_JSON *json = parse("{\"a\":[1,2,3],\"b\":[4]}");
    struct ow_pointer ignore[3];
    assert_true(ow_pointer_parse(&arena, "/a/1", &ignore[0]));
    assert_true(ow_pointer_parse(&arena, "/b/x", &ignore[1])); /* no index: nothing is there */
    assert_true(ow_pointer_parse(&arena, "/b/00", &ignore[2]));
    OW_BUFFER out = {0};
    ow_json_canonical(&out, json, NULL, ignore, 3);
    assert_string_equal(ow_buffer_cstr(&out), "{\"a\":[1,3],\"b\":[4]}");
}

/* As jansson asks for memory; how the process that asks for too much ends. */
static void json_memory__ends__the_process_dies(void **state)
{
    enum { CAME_BACK = 100 };
    (void)state;
    json_malloc_t allocate = NULL;
    json_free_t release = NULL;
    json_get_alloc_funcs(&allocate, &release);
    void *memory = allocate(1);
    assert_non_null(memory);
    release(memory);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)close(STDERR_FILENO);
        memory = allocate(SIZE_MAX / 4);
        _exit(memory == NULL ? CAME_BACK : CAME_BACK + 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) &&
                 WEXITSTATUS(status) >= CAME_BACK); /* sanitizers exit with 1 */
}

int ow_test_json(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_canonical__members__are_sorted_by_bytes_without_white_space),
        cmocka_unit_test(json_canonical__numbers__are_exact_or_17_digits),
        cmocka_unit_test(json_canonical__strings__escape_only_quotes_backslashes_and_controls),
        cmocka_unit_test(json_canonical__ignored_pointers__are_left_out_at_any_depth),
        cmocka_unit_test(json_canonical_value__each_type),
        cmocka_unit_test(json_memory__ends__the_process_dies),
        cmocka_unit_test(json_parse__what_is_not_strict_json__is_refused),
        cmocka_unit_test(json_parse__deep_nesting__is_bounded),
        cmocka_unit_test(pointer_get__the_examples_of_rfc_6901),
        cmocka_unit_test(pointer_get__nothing_there__is_null),
        cmocka_unit_test(pointer_parse__what_is_no_pointer__is_refused),
        cmocka_unit_test(json_canonical__ignored_index__leaves_its_neighbours),
    };
    return cmocka_run_group_tests_name("json", tests, start, stop);
}
