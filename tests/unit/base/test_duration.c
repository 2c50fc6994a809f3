#include "base/duration.h"
#include "base/parse.h"
#include "groups.h"

static void duration_text__the_largest_unit_that_divides(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0,                      "0ms"            },
        {250,                    "250ms"          },
        {1500,                   "1500ms"         },
        {30000,                  "30s"            },
        {300000,                 "5m"             },
        {5400000,                "90m"            },
        {259200000,              "3d"             },
        {INT64_C(3888000000),    "45d"            },
        {-86400000,              "-1d"            },
        {INT64_MAX,              "for ever"       },
        {INT64_C(8639999999999), "8639999999999ms"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[OW_DURATION_TEXT_MAX];
        int64_t ms = -1;
        assert_string_equal(ow_duration_text(cases[i].ms, text), cases[i].text);
        if (cases[i].ms >= 0 && cases[i].ms != INT64_MAX) {
            assert_true(ow_parse_duration_ms(ow_slice_of(text), &ms));
            assert_true(ms == cases[i].ms);
        }
    }
}

int ow_test_duration(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(duration_text__the_largest_unit_that_divides),
    };
    return cmocka_run_group_tests_name("duration", tests, NULL, NULL);
}
