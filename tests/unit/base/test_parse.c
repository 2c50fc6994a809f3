#include "base/parse.h"
#include "groups.h"

static void parse_i64__decimal_within_64_bits__is_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0",                    0        },
        {"-0",                   0        },
        {"007",                  7        },
        {"-12",                  -12      },
        {"9223372036854775807",  INT64_MAX},
        {"-9223372036854775808", INT64_MIN}
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t value = 42;
        assert_true(ow_parse_i64(ow_slice_of(good[i].text), &value));
        assert_true(value == good[i].value);
    }
}

static void parse_i64__anything_else__is_refused_and_writes_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x1",
                                      "1e3",
                                      "--1",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t value = 42;
        assert_false(ow_parse_i64(ow_slice_of(bad[i]), &value));
        assert_true(value == 42);
    }
}

static void parse_duration__a_number_and_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"0ms",     0                     },
        {"250ms",   250                   },
        {"30s",     30000                 },
        {"5m",      300000                },
        {"72h",     259200000             },
        {"45d",     INT64_C(3888000000)   },
        {"100000d", INT64_C(8640000000000)}
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t ms = -1;
        assert_true(ow_parse_duration_ms(ow_slice_of(good[i].text), &ms));
        assert_true(ms == good[i].ms);
    }
    static const char *const bad[] = {"",
                                      "5",
                                      "s",
                                      "-5s",
                                      "5 s",
                                      "1.5h",
                                      "5S",
                                      "5w",
                                      "100001d",
                                      "1d12h",
                                      "9223372036854775808ms"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t ms = -1;
        assert_false(ow_parse_duration_ms(ow_slice_of(bad[i]), &ms));
        assert_true(ms == -1);
    }
}

static void parse_time__rfc_3339__is_truncated_to_milliseconds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"1970-01-01T00:00:00Z",                        0                       },
        {"1970-01-01T00:00:00.001Z",                    1                       },
        {"1969-12-31T23:59:59.999Z",                    -1                      },
        {"2026-11-22T10:00:00.123Z",                    INT64_C(1795341600123)  },
        {"2026-11-22t10:00:00z",                        INT64_C(1795341600000)  },
        {"2026-11-22T10:00:00.1Z",                      INT64_C(1795341600100)  },
        {"2026-11-22T10:00:00.9999999999999999999999Z", INT64_C(1795341600999)  },
        {"2026-11-22T11:30:00+01:30",                   INT64_C(1795341600000)  },
        {"2026-11-21T23:00:00-11:00",                   INT64_C(1795341600000)  },
        {"2024-02-29T00:00:00-00:00",                   INT64_C(1709164800000)  },
        {"2000-02-29T12:00:00Z",                        INT64_C(951825600000)   },
        {"2016-12-31T23:59:60Z",
         INT64_C(1483228799999)                                                 }, /* a leap second is the last of its minute */
        {"0001-01-01T00:00:00Z",                        INT64_C(-62135596800000)},
        {"9999-12-31T23:59:59.999Z",                    INT64_C(253402300799999)},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t ms = 42;
        if (!ow_parse_time_ms(ow_slice_of(good[i].text), &ms) || ms != good[i].ms) {
            fail_msg("%s: %lld", good[i].text, (long long)ms);
        }
    }
}

static void parse_time__anything_else__is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "yesterday",
        "2026-11-22",
        "2026-11-22T10:00:00",
        "2026-11-22T10:00Z",
        "2026-11-22T10:00:00.Z",
        "2026-11-22T10:00:00+0100",
        "2026-11-22T10:00:00+01",
        "2026-11-22T10:00:00+24:00",
        "2026-11-22T10:00:00+01:60",
        "2026-02-29T10:00:00Z",
        "1900-02-29T10:00:00Z",
        "2026-04-31T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-00-01T10:00:00Z",
        "2026-11-00T10:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T10:60:00Z",
        "2026-11-22T10:00:61Z",
        " 2026-11-22T10:00:00Z",
        "2026-11-22T10:00:00Z ",
        "26-11-22T10:00:00Z",
        "+2026-11-22T10:00:00Z",
        "2026/11/22T10:00:00Z",
        "2026-11-22T10:00:00,5Z",
        "1795341600000",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t ms = 42;
        if (ow_parse_time_ms(ow_slice_of(bad[i]), &ms) || ms != 42) {
            fail_msg("'%s' passes", bad[i]);
        }
    }
    int64_t ms = 42;
    assert_false(ow_parse_time_ms(OW_SLICE("2026-11-22T10:00:00\0Z"), &ms));
}

static void format_time__is_what_parse_time_reads(void **state)
{
    (void)state;
    static const int64_t times[] = {0,
                                    -1,
                                    1,
                                    INT64_C(1795341600123),
                                    INT64_C(951825600000),
                                    INT64_C(-62135596800000),
                                    INT64_C(253402300799999),
                                    INT64_C(1709164800000)};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        char text[OW_TIME_TEXT_BYTES];
        int64_t back = 42;
        ow_format_time_ms(times[i], text);
        assert_true(ow_parse_time_ms(ow_slice_of(text), &back));
        assert_true(back == times[i]);
    }
    char text[OW_TIME_TEXT_BYTES];
    ow_format_time_ms(INT64_C(1795341600123), text);
    assert_string_equal(text, "2026-11-22T10:00:00.123Z");
}

int ow_test_parse(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_i64__decimal_within_64_bits__is_read),
        cmocka_unit_test(parse_i64__anything_else__is_refused_and_writes_nothing),
        cmocka_unit_test(parse_duration__a_number_and_a_unit),
        cmocka_unit_test(parse_time__rfc_3339__is_truncated_to_milliseconds),
        cmocka_unit_test(parse_time__anything_else__is_refused),
        cmocka_unit_test(format_time__is_what_parse_time_reads),
    };
    return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
