#include "groups.h"
#include "store/internal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect_same(const struct ow_header *headers, size_t count)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    OW_BUFFER text = {0};
    ow_headers_write(&text, headers, count);
    const struct ow_header *read = NULL;
    size_t read_count = 0;
    assert_true(ow_headers_read(ow_buffer_view(&text), &arena, &read, &read_count));
    assert_int_equal(read_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(ow_slice_equal(read[i].name, headers[i].name));
        assert_true(ow_slice_equal(read[i].value, headers[i].value));
    }
    ow_arena_done(&arena);
}

static void headers__text__is_readable_json(void **state)
{
    (void)state;
    const struct ow_header headers[] = {
        {OW_SLICE("a"), OW_SLICE("x \"y\"")     },
        {OW_SLICE("a"), {0}                     },
        {OW_SLICE("b"), OW_SLICE("\xff\x00\x01")}
    };
    OW_BUFFER text = {0};
    ow_headers_write(&text, headers, 3);
    assert_string_equal(ow_buffer_cstr(&text),
                        "[[\"a\",\"x \\\"y\\\"\"],[\"a\",null],[\"b\",{\"base64\":\"/wAB\"}]]");
}

static void headers__any_bytes__come_back_as_they_were(void **state)
{
    (void)state;
    const struct ow_header headers[] = {
        {OW_SLICE("empty"),    OW_SLICE("")                       },
        {OW_SLICE("null"),     {0}                                },
        {OW_SLICE(""),         OW_SLICE("no name")                },
        {OW_SLICE("nul"),      OW_SLICE("a\0b")                   },
        {OW_SLICE("line"),     OW_SLICE("\r\n\t")                 },
        {OW_SLICE("\xc3\x28"), OW_SLICE("a name that is no UTF-8")},
        {OW_SLICE("one"),      OW_SLICE("\xfe")                   },
        {OW_SLICE("two"),      OW_SLICE("\xfe\xff")               },
        {OW_SLICE("looks"),    OW_SLICE("{\"base64\":\"/wAB\"}")  }
    };
    expect_same(headers, sizeof(headers) / sizeof(headers[0]));

    uint8_t bytes[256];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(255 - i);
    }
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        const struct ow_header header = {
            OW_SLICE("bytes"), {bytes, len}
        };
        expect_same(&header, 1);
    }
}

static void headers__damaged_text__is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{}",
        "[",
        "[1]",
        "[[]]",
        "[[\"a\"]]",
        "[[\"a\",1]]",
        "[[null,\"a\"]]",
        "[[\"a\",\"b\",\"c\"]]",
        "[[\"a\",{\"base64\":\"/wA\"}]]",
        "[[\"a\",{\"base64\":\"====\"}]]",
        "[[\"a\",{\"base64\":\"/w==/w==\"}]]",
        "[[\"a\",{\"base64\":\"/x==\"}]]",
        "[[\"a\",{\"base64\":\"/w*=\"}]]",
        "[[\"a\",{\"base64\":\"\",\"more\":1}]]",
    };
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const struct ow_header *headers = NULL;
        size_t count = 0;
        if (ow_headers_read(ow_slice_of(texts[i]), &arena, &headers, &count)) {
            fail_msg("%s was read", texts[i]);
        }
    }
    ow_arena_done(&arena);
}

int ow_test_headers(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers__text__is_readable_json),
        cmocka_unit_test(headers__any_bytes__come_back_as_they_were),
        cmocka_unit_test(headers__damaged_text__is_refused),
    };
    return cmocka_run_group_tests_name("headers", tests, NULL, NULL);
}
