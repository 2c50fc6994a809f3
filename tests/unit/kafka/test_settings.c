#include "groups.h"
#include "kafka/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The status of opening a source with one property; err: the text. Where it opens it is closed
 * again. */
static enum ow_status open_with(const char *name, const char *value, struct ow_err *err)
{
    const char *const topics[] = {"t"};
    const struct ow_kafka_property properties[] = {
        {"bootstrap.servers", "127.0.0.1:1"},
        {name,                value        }
    };
    const struct ow_kafka_options options = {.group = "g",
                                             .instance_id = "onceward-1",
                                             .topics = topics,
                                             .topic_count = 1,
                                             .properties = properties,
                                             .property_count = 2};
    struct ow_source *source = NULL;
    *err = (struct ow_err){0};
    const enum ow_status status = ow_kafka_source_open(&options, &source, err);
    if (status == OW_OK) {
        assert_true(source->ops->close(source, 5000));
    }
    return status;
}

static void settings__reserved_property__is_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const reserved[] = {
        "group.id",
        "group.instance.id",
        "group.protocol",
        "enable.auto.commit",
        "log.queue",
        "enable.auto.offset.store",
        "auto.offset.reset",
        "enable.auto.anything",
        "enable.partition.eof",
    };
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        const char *why = NULL;
        assert_true(ow_kafka_property_is_reserved(reserved[i], &why));
        assert_non_null(why);
        struct ow_err err;
        assert_int_equal(open_with(reserved[i], "earliest", &err), OW_BAD_CONFIG);
        assert_non_null(strstr(err.text, reserved[i]));
        assert_non_null(strstr(err.text, why));
    }
}

static void settings__assignment_strategy__is_reserved_below_2_10_1(void **state)
{
    (void)state;
    const char *why = NULL;
    assert_int_equal(ow_kafka_property_is_reserved("partition.assignment.strategy", &why),
                     rd_kafka_version() < 0x020a01ff);
    struct ow_err err;
    assert_int_equal(open_with("partition.assignment.strategy", "cooperative-sticky", &err),
                     OW_BAD_CONFIG);
}

static void settings__other_property__is_the_users(void **state)
{
    (void)state;
    const char *why = NULL;
    assert_false(ow_kafka_property_is_reserved("session.timeout.ms", &why));
    assert_false(ow_kafka_property_is_reserved("isolation.level", &why));
    struct ow_err err;
    assert_int_equal(open_with("session.timeout.ms", "7000", &err), OW_OK);
}

static void settings__unknown_property__is_named(void **state)
{
    (void)state;
    struct ow_err err;
    assert_int_equal(open_with("sesion.timeout.ms", "7000", &err), OW_BAD_CONFIG);
    assert_non_null(strstr(err.text, "kafka.properties.sesion.timeout.ms"));
    assert_non_null(strstr(err.text, rd_kafka_version_str()));
}

static void settings__value_out_of_range__is_named(void **state)
{
    (void)state;
    struct ow_err err;
    assert_int_equal(open_with("session.timeout.ms", "-7", &err), OW_BAD_CONFIG);
    assert_non_null(strstr(err.text, "session.timeout.ms"));
}

static void settings__values_that_do_not_fit_together__are_refused_at_open(void **state)
{
    (void)state;
    struct ow_err err;
    assert_int_equal(open_with("max.poll.interval.ms", "1000", &err),
                     OW_BAD_CONFIG); /* < session.timeout.ms */
    assert_non_null(strstr(err.text, "max.poll.interval.ms"));
}

static void settings__refused_secret__is_not_shown(void **state)
{
    (void)state;
    struct ow_err err;
    assert_int_equal(open_with("sasl.passwort.password", "hunter2", &err), OW_BAD_CONFIG);
    assert_null(strstr(err.text, "hunter2"));
}

static void settings__ours__are_what_the_client_gets(void **state)
{
    (void)state;
    static const struct ow_kafka_property expected[] = {
        {"enable.auto.commit",            "false"         },
        {"enable.auto.offset.store",      "false"         },
        {"auto.offset.reset",             "error"         },
        {"isolation.level",               "read_committed"},
        {"partition.assignment.strategy", "range"         },
        {"check.crcs",                    "true"          },
        {"enable.partition.eof",          "true"          },
        {"group.id",                      "g"             },
        {"group.instance.id",             "onceward-1"    },
        {"queued.min.messages",           "2000"          }, /* the user's */
    };
    const struct ow_kafka_property user = {"queued.min.messages", "2000"};
    const struct ow_kafka_options options = {
        .group = "g", .instance_id = "onceward-1", .properties = &user, .property_count = 1};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    struct ow_err err;
    assert_int_equal(ow_kafka_settings_apply(conf, &options, &err), OW_OK);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        char value[256] = "";
        size_t size = sizeof(value);
        assert_int_equal(rd_kafka_conf_get(conf, expected[i].name, value, &size), RD_KAFKA_CONF_OK);
        assert_string_equal(value, expected[i].value);
    }
    rd_kafka_conf_destroy(conf);
}

static void open__topic_pattern__is_refused(void **state)
{
    (void)state;
    const char *const topics[] = {"^orders.*"};
    const struct ow_kafka_options options = {.group = "g", .topics = topics, .topic_count = 1};
    struct ow_source *source = NULL;
    struct ow_err err;
    assert_int_equal(ow_kafka_source_open(&options, &source, &err), OW_BAD_CONFIG);
}

int ow_test_settings(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings__reserved_property__is_refused_with_a_reason),
        cmocka_unit_test(settings__assignment_strategy__is_reserved_below_2_10_1),
        cmocka_unit_test(settings__other_property__is_the_users),
        cmocka_unit_test(settings__unknown_property__is_named),
        cmocka_unit_test(settings__value_out_of_range__is_named),
        cmocka_unit_test(settings__values_that_do_not_fit_together__are_refused_at_open),
        cmocka_unit_test(settings__refused_secret__is_not_shown),
        cmocka_unit_test(settings__ours__are_what_the_client_gets),
        cmocka_unit_test(open__topic_pattern__is_refused),
    };
    return cmocka_run_group_tests_name("kafka/settings", tests, NULL, NULL);
}
