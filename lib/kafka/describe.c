#include "kafka/describe.h"

#include "base/parse.h"

#include <stdio.h>
#include <string.h>

void ow_kafka_describe_ask(struct ow_kafka_describe *describe, rd_kafka_t *rk,
                           const char *const *topics, size_t count, int timeout_ms)
{
    OW_CLEANUP(ow_arena_done) struct ow_arena arena;
    ow_arena_init(&arena, 1024);
    rd_kafka_ConfigResource_t **const resources =
        OW_ARENA_ARRAY(&arena, count, rd_kafka_ConfigResource_t *);
    for (size_t i = 0; i < count; i++) {
        resources[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topics[i]);
    }
    *describe = (struct ow_kafka_describe){.queue = rd_kafka_queue_new(rk)};
    rd_kafka_AdminOptions_t *const how =
        rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    char text[256];
    const rd_kafka_resp_err_t code =
        rd_kafka_AdminOptions_set_request_timeout(how, timeout_ms, text, sizeof text);
    OW_INVARIANT(code == RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_DescribeConfigs(rk, resources, count, how, describe->queue);
    rd_kafka_AdminOptions_destroy(how);
    rd_kafka_ConfigResource_destroy_array(resources, count);
}

void ow_kafka_describe_done(struct ow_kafka_describe *describe)
{
    rd_kafka_queue_destroy(describe->queue); /* an answer that comes later goes nowhere */
}

/* NULL where the broker does not say. */
static const char *setting_of(const rd_kafka_ConfigResource_t *resource, const char *name)
{
    size_t count = 0;
    const rd_kafka_ConfigEntry_t **const entries =
        rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0) {
            return rd_kafka_ConfigEntry_value(entries[i]);
        }
    }
    return NULL;
}

static int64_t number_of(const rd_kafka_ConfigResource_t *resource, const char *name, int64_t none)
{
    const char *const text = setting_of(resource, name);
    int64_t number = none;
    return text != NULL && ow_parse_i64(ow_slice_of(text), &number) ? number : none;
}

/* A topic that is only compacted deletes nothing for its age. */
static int64_t retention_of(const rd_kafka_ConfigResource_t *resource)
{
    const char *const policy = setting_of(resource, "cleanup.policy");
    if (policy != NULL && strstr(policy, "delete") == NULL) {
        return INT64_MAX;
    }
    const int64_t told = number_of(resource, "retention.ms", INT64_MIN);
    return told == INT64_MIN ? -1 : told < 0 ? INT64_MAX : told;
}

static void take_topic(const rd_kafka_ConfigResource_t *resource, struct ow_arena *arena,
                       struct ow_kafka_topic_settings *settings)
{
    const rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resource);
    *settings = (struct ow_kafka_topic_settings){
        .topic = ow_arena_text(arena, ow_slice_of(rd_kafka_ConfigResource_name(resource))),
        .missing = code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        .retention_ms = -1,
        .batch_bytes = -1};
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        settings->retention_ms = retention_of(resource);
        settings->batch_bytes = number_of(resource, "max.message.bytes", -1);
    } else {
        settings->refused = ow_arena_text(arena, ow_slice_of(rd_kafka_err2str(code)));
    }
}

/* Whether asking again later may help. */
static enum ow_status status_of(rd_kafka_resp_err_t code)
{
    const bool refused = code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
                         code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
                         code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE;
    return refused ? OW_UNSAFE : OW_TEMPORARY;
}

static void take_answer(rd_kafka_event_t *event, struct ow_arena *arena,
                        struct ow_kafka_answer *answer)
{
    const rd_kafka_DescribeConfigs_result_t *const result =
        rd_kafka_event_DescribeConfigs_result(event);
    const rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (result == NULL || code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        answer->status = ow_fail(&answer->err, status_of(code),
                                 "the brokers do not tell the settings of the topics: %s",
                                 rd_kafka_event_error_string(event));
        return;
    }
    const rd_kafka_ConfigResource_t **const resources =
        rd_kafka_DescribeConfigs_result_resources(result, &answer->topic_count);
    answer->topics = OW_ARENA_ARRAY(arena, answer->topic_count, struct ow_kafka_topic_settings);
    for (size_t i = 0; i < answer->topic_count; i++) {
        take_topic(resources[i], arena, &answer->topics[i]);
    }
}

bool ow_kafka_describe_take(struct ow_kafka_describe *describe, int wait_ms, struct ow_arena *arena,
                            struct ow_kafka_answer *ret_answer)
{
    rd_kafka_event_t *const event = rd_kafka_queue_poll(describe->queue, wait_ms);
    if (event == NULL) {
        return false;
    }
    *ret_answer = (struct ow_kafka_answer){.status = OW_OK};
    take_answer(event, arena, ret_answer);
    rd_kafka_event_destroy(event);
    return true;
}

static void compare_topic(const struct ow_kafka_topic_settings *settings,
                          const struct ow_retention_rule *rule, const struct ow_check *check)
{
    if (settings->missing) {
        return; /* that it is missing is said elsewhere, and there is nothing to read again */
    }
    if (settings->retention_ms < 0) {
        char text[256];
        (void)snprintf(text, sizeof text, "the brokers do not tell how long it keeps records: %s",
                       settings->refused == NULL ? "no retention.ms" : settings->refused);
        ow_retention_unknown(rule, OW_UNSAFE, settings->topic, text, check);
        return;
    }
    const struct ow_reach reach = {.subject = settings->topic,
                                   .says = "keeps records",
                                   .remedy = "the topic's retention.ms",
                                   .topic = settings->topic,
                                   .ms = settings->retention_ms};
    ow_retention_compare(rule, &reach, 1, check);
}

void ow_kafka_describe_compare(const struct ow_kafka_answer *answer,
                               const struct ow_retention_rule *rule, const struct ow_check *check)
{
    if (answer->status != OW_OK) {
        ow_retention_unknown(rule, answer->status, "broker", answer->err.text, check);
    }
    for (size_t i = 0; i < answer->topic_count; i++) {
        compare_topic(&answer->topics[i], rule, check);
    }
}
