#include "kafka/settings.h"

#include <string.h>

/*
 * Written for librdkafka 2.0.2. fixed: the design does not hold without it, so it is set after the
 * user's and refused from them. The others are defaults that `kafka.properties` may change.
 */
struct setting {
    const char *name, *value;
    bool fixed;
    const char *why; /* of the fixed ones: what a user is told */
};

/* 2.10.1: the first version whose cooperative rebalance bears manual commits; from there on the
 * strategy is free. */
enum { VERSION_STRATEGY_FREE = 0x020a01ff };

/*
 * fetch.max.bytes: one fetch response is decompressed before any limit of the queue is looked at,
 * and packed records may be some 250 times as large: measured with lz4 and 8 MiB, 860 MiB of
 * memory; with 1 MiB, 340. A megabyte at a time is still far more than is drained, and a larger
 * record comes all the same.
 */
static const struct setting settings[] = {
    {"enable.auto.commit",            "false",          true,
     "offsets are committed only after the store's own commit"                                                       },
    {"enable.auto.offset.store",      "false",          true,
     "a stored offset would be committed before its record is applied"                                               },
    {"auto.offset.reset",             "error",          true,
     "earliest and latest skip records without a word; kafka.start says where a first start "
     "begins"                                                                                                        },
    {"enable.partition.eof",          "true",           true,
     "the end of a partition moves the stream time and ends --until-end"                                             },
    {"log.queue",                     "true",           true,  "librdkafka's log lines are served by the poll thread"},

 /* Eager: below 2.10.1 a commit during a cooperative rebalance can lose the whole assignment. */
    {"partition.assignment.strategy", "range",          false, NULL                                                  },
 /* Already the default; said aloud because what was aborted must never be seen. */
    {"isolation.level",               "read_committed", false, NULL                                                  },
 /* Off by default: a flipped bit would be a record. */
    {"check.crcs",                    "true",           false, NULL                                                  },
 /* A topic that is misspelt is an error, not a new topic. */
    {"allow.auto.create.topics",      "false",          false, NULL                                                  },
 /*
  * Small prefetch settings stall 2.0.2 for a second each (measured on one partition: 2,000 →
  * 10,000 records/s,   10,000 → 20,000/s, 100,000 → 1.3 million/s). Memory is bounded by the
  * second one, per consumer: 64 MiB is   more than a second of what one apply thread drains.
  */
    {"queued.min.messages",           "100000",         false, NULL                                                  },
    {"queued.max.messages.kbytes",    "65536",          false, NULL                                                  },
    {"fetch.max.bytes",               "1048576",        false, NULL                                                  },
    {"max.partition.fetch.bytes",     "1048576",        false, NULL                                                  },
 /* ≥ fetch.max.bytes + 512, and the cap for decompressed zstd batches: too small and a batch is
  unreadable for ever. */
    {"receive.message.max.bytes",     "100000000",      false, NULL                                                  },
 /* The end of a partition is told with an empty fetch: 0.5 s later by default, and --until-end
  waits for it. */
    {"fetch.wait.max.ms",             "100",            false, NULL                                                  },
 /* A failed fetch is tried again soon: the default of 500 ms is a visible stop after each change
  of leader. */
    {"fetch.error.backoff.ms",        "100",            false, NULL                                                  },
 /* A broker that is back is found within two seconds instead of ten. */
    {"reconnect.backoff.max.ms",      "2000",           false, NULL                                                  },
 /* Firewalls drop silent connections; a commit must not wait for Nagle's timer (the default
  before 2.10.0). */
    {"socket.keepalive.enable",       "true",           false, NULL                                                  },
    {"socket.nagle.disable",          "true",           false, NULL                                                  },
 /* Brokers close idle connections; that is no news. */
    {"log.connection.close",          "false",          false, NULL                                                  },
 /* No statistics: nobody reads them yet. */
    {"statistics.interval.ms",        "0",              false, NULL                                                  },
 /* Since 2.5.0: telemetry to the broker, on by default. Unknown before. */
    {"enable.metrics.push",           "false",          false, NULL                                                  },
    {"client.id",                     "onceward",       false, NULL                                                  },
};
enum { SETTING_COUNT = sizeof(settings) / sizeof(settings[0]) };

bool ow_kafka_property_is_reserved(const char *name, const char **ret_why)
{
    OW_REQUIRE(name != NULL && ret_why != NULL);
    if (strcmp(name, "group.id") == 0) {
        *ret_why = "it is kafka.group";
        return true;
    }
    if (strcmp(name, "group.instance.id") == 0) {
        *ret_why = "membership is static under the store's id";
        return true;
    }
    if (strcmp(name, "group.protocol") == 0) {
        *ret_why = "assignments are taken whole, which the consumer protocol forbids";
        return true;
    }
    if (strcmp(name, "partition.assignment.strategy") == 0 &&
        rd_kafka_version() < VERSION_STRATEGY_FREE) {
        *ret_why = "below librdkafka 2.10.1 only eager range is safe with explicit commits";
        return true;
    }
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (settings[i].fixed && strcmp(name, settings[i].name) == 0) {
            *ret_why = settings[i].why;
            return true;
        }
    }
    if (strncmp(name, "enable.auto.", strlen("enable.auto.")) == 0) {
        *ret_why = "offsets are committed by the worker alone";
        return true;
    }
    return false;
}

/* Whether a value may not appear in a message. */
static bool is_secret(const char *name)
{
    static const char *const words[] = {"password", "secret", ".pem", "oauthbearer", "jaas"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strstr(name, words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static enum ow_status set_user_property(rd_kafka_conf_t *conf,
                                        const struct ow_kafka_property *property,
                                        struct ow_err *err)
{
    const char *why = NULL;
    if (ow_kafka_property_is_reserved(property->name, &why)) {
        return ow_fail(err, OW_BAD_CONFIG, "kafka.properties.%s: cannot be set: %s", property->name,
                       why);
    }
    if (strcmp(property->name, "partition.assignment.strategy") == 0 &&
        strstr(property->value, "cooperative") != NULL) {
        return ow_fail(err, OW_BAD_CONFIG,
                       "kafka.properties.%s: cannot be cooperative: assignments are taken whole",
                       property->name);
    }
    char text[512];
    const rd_kafka_conf_res_t result =
        rd_kafka_conf_set(conf, property->name, property->value, text, sizeof(text));
    if (result == RD_KAFKA_CONF_OK) {
        return OW_OK;
    }
    if (is_secret(property->name)) {
        return ow_fail(err, OW_BAD_CONFIG, "kafka.properties.%s: refused by librdkafka %s",
                       property->name, rd_kafka_version_str());
    }
    return ow_fail(err, OW_BAD_CONFIG, "kafka.properties.%s: refused by librdkafka %s: %s",
                   property->name, rd_kafka_version_str(), text);
}

static void set_our_own(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[512];
    const rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, value, text, sizeof(text));
    /* Unknown: a setting that came with a later version. */
    OW_INVARIANT(result == RD_KAFKA_CONF_OK || result == RD_KAFKA_CONF_UNKNOWN);
}

enum ow_status ow_kafka_settings_apply(rd_kafka_conf_t *conf,
                                       const struct ow_kafka_options *options, struct ow_err *err)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (!settings[i].fixed) {
            set_our_own(conf, settings[i].name, settings[i].value);
        }
    }
    for (size_t i = 0; i < options->property_count; i++) {
        OW_TRY(set_user_property(conf, &options->properties[i], err));
    }
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (settings[i].fixed) {
            set_our_own(conf, settings[i].name, settings[i].value);
        }
    }
    set_our_own(conf, "group.id", options->group);
    if (options->instance_id != NULL) {
        /* Static membership: a restart within session.timeout.ms gets its partitions back without a
         * rebalance. */
        set_our_own(conf, "group.instance.id", options->instance_id);
    }
    return OW_OK;
}
