#include "kafka/check.h"

#include "base/arena.h"
#include "base/parse.h"
#include "kafka/settings.h"
#include "kafka/within.h"

#include <stdio.h>
#include <string.h>

/* An interactive command: long enough for a slow broker, short enough to wait for. */
enum { ANSWER_MS = 5000, DESTROY_MS = 5000 };

struct look {
    const struct ow_kafka_options *options;
    const struct ow_kafka_expectations *expectations;
    const struct ow_check *check;
    struct ow_arena arena;
    rd_kafka_t *rk;
    char trouble[512]; /* what librdkafka said last about the brokers; "" nothing */
};

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct look *const look = opaque;
    (void)rk;
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || look->trouble[0] == '\0') {
        (void)snprintf(look->trouble, sizeof look->trouble, "%s", reason);
    }
}

static enum ow_status open_client(struct look *look, struct ow_err *err)
{
    rd_kafka_conf_t *const conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, look);
    rd_kafka_conf_set_error_cb(conf, on_error);
    enum ow_status status = ow_kafka_settings_apply(conf, look->options, err);
    if (status == OW_OK) {
        char text[512];
        look->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
        if (look->rk != NULL) {
            return OW_OK; /* it owns conf */
        }
        status = ow_fail(err, OW_BAD_CONFIG, "kafka.properties: %s", text);
    }
    rd_kafka_conf_destroy(conf);
    return status;
}

static void destroy_client(void *context)
{
    rd_kafka_destroy(context);
}

static void check_topic(const struct look *look, const rd_kafka_metadata_topic_t *topic)
{
    const char *const subject = topic->topic;
    if (topic->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        ow_check_failed(look->check, OW_TEMPORARY, subject, "there is no such topic");
    } else if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        ow_check_failed(look->check, OW_TEMPORARY, subject, "%s", rd_kafka_err2str(topic->err));
    } else {
        ow_check_good(look->check, subject, "%d partition%s", topic->partition_cnt,
                      topic->partition_cnt == 1 ? "" : "s");
    }
}

static enum ow_status look_at_topics(struct look *look, struct ow_err *err)
{
    for (size_t i = 0; i < look->options->topic_count; i++) {
        rd_kafka_topic_t *const topic =
            rd_kafka_topic_new(look->rk, look->options->topics[i], NULL);
        const struct rd_kafka_metadata *metadata = NULL;
        const rd_kafka_resp_err_t code =
            topic == NULL ? rd_kafka_last_error()
                          : rd_kafka_metadata(look->rk, 0, topic, &metadata, ANSWER_MS);
        if (topic != NULL) {
            rd_kafka_topic_destroy(topic);
        }
        (void)rd_kafka_poll(look->rk, 0); /* serves on_error */
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return ow_fail(err, OW_TEMPORARY, "no answer within %d s: %s%s%s", ANSWER_MS / 1000,
                           rd_kafka_err2str(code), look->trouble[0] == '\0' ? "" : ": ",
                           look->trouble);
        }
        OW_INVARIANT(metadata != NULL);
        if (i == 0) {
            ow_check_good(look->check, "broker", "%d broker%s answer%s", metadata->broker_cnt,
                          metadata->broker_cnt == 1 ? "" : "s",
                          metadata->broker_cnt == 1 ? "s" : "");
        }
        if (metadata->topic_cnt == 1) {
            check_topic(look, &metadata->topics[0]);
        }
        rd_kafka_metadata_destroy(metadata);
    }
    return OW_OK;
}

static bool setting_of(const rd_kafka_ConfigResource_t *resource, const char *name,
                       int64_t *ret_value)
{
    size_t count = 0;
    const rd_kafka_ConfigEntry_t **const entries =
        rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++) {
        const char *const value = rd_kafka_ConfigEntry_value(entries[i]);
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0 && value != NULL) {
            return ow_parse_i64(ow_slice_of(value), ret_value);
        }
    }
    return false;
}

static void check_settings(const struct look *look, const rd_kafka_ConfigResource_t *resource)
{
    const char *const topic = rd_kafka_ConfigResource_name(resource);
    const struct ow_kafka_expectations *const expected = look->expectations;
    const int64_t day_ms = INT64_C(86400000);
    int64_t bytes = 0;
    int64_t retention_ms = 0;
    if (rd_kafka_ConfigResource_error(resource) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    if (setting_of(resource, "max.message.bytes", &bytes) &&
        bytes > expected->record_bytes_max + 65536) {
        ow_check_warning(look->check, topic,
                         "takes batches of %lld bytes, limits.record_bytes is %lld: larger records "
                         "are quarantined (oversize)",
                         (long long)bytes, (long long)expected->record_bytes_max);
    }
    if (setting_of(resource, "retention.ms", &retention_ms) &&
        (retention_ms < 0 || retention_ms > expected->retention_ms)) {
        const char *const kept =
            retention_ms < 0 ? "for ever"
                             : ow_arena_printf((struct ow_arena *)(uintptr_t)&look->arena,
                                               "%lld days", (long long)(retention_ms / day_ms));
        ow_check_warning(look->check, topic,
                         "keeps records %s, claims are kept %lld days: older ones that are read "
                         "again are quarantined (expired)",
                         kept, (long long)(expected->retention_ms / day_ms));
    }
}

static void take_settings(const struct look *look, rd_kafka_event_t *event)
{
    const rd_kafka_DescribeConfigs_result_t *const result =
        event == NULL ? NULL : rd_kafka_event_DescribeConfigs_result(event);
    if (result == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        ow_check_warning(look->check, "broker", "does not tell the settings of its topics%s%s",
                         event == NULL ? "" : ": ",
                         event == NULL ? "" : rd_kafka_event_error_string(event));
        return;
    }
    size_t count = 0;
    const rd_kafka_ConfigResource_t **const resources =
        rd_kafka_DescribeConfigs_result_resources(result, &count);
    for (size_t i = 0; i < count; i++) {
        check_settings(look, resources[i]);
    }
}

static void look_at_settings(struct look *look)
{
    const size_t count = look->options->topic_count;
    rd_kafka_ConfigResource_t **const resources =
        OW_ARENA_ARRAY(&look->arena, count, rd_kafka_ConfigResource_t *);
    for (size_t i = 0; i < count; i++) {
        resources[i] =
            rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, look->options->topics[i]);
    }
    rd_kafka_queue_t *const queue = rd_kafka_queue_new(look->rk);
    rd_kafka_AdminOptions_t *const how =
        rd_kafka_AdminOptions_new(look->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    char text[256];
    (void)rd_kafka_AdminOptions_set_request_timeout(how, ANSWER_MS, text, sizeof text);
    rd_kafka_DescribeConfigs(look->rk, resources, count, how, queue);
    rd_kafka_event_t *const event = rd_kafka_queue_poll(queue, ANSWER_MS);
    take_settings(look, event);
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(how);
    rd_kafka_queue_destroy(queue);
    rd_kafka_ConfigResource_destroy_array(resources, count);
}

void ow_kafka_check(const struct ow_kafka_options *options,
                    const struct ow_kafka_expectations *expectations, const struct ow_check *check)
{
    struct look look = {.options = options, .expectations = expectations, .check = check};
    struct ow_err err;
    ow_arena_init(&look.arena, 4096);
    enum ow_status status = open_client(&look, &err);
    if (status == OW_OK) {
        status = look_at_topics(&look, &err);
        if (status == OW_OK) {
            look_at_settings(&look);
        }
        (void)ow_kafka_within(DESTROY_MS, destroy_client, look.rk); /* left behind where it hangs */
    }
    if (status != OW_OK) {
        ow_check_failed(check, status, "broker", "%s", err.text);
    }
    ow_arena_done(&look.arena);
}
