#include "kafka/check.h"

#include "base/arena.h"
#include "kafka/describe.h"
#include "kafka/settings.h"
#include "kafka/within.h"

#include <stdio.h>

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

static void check_batches(const struct look *look, const struct ow_kafka_topic_settings *settings)
{
    const int64_t most = look->expectations->record_bytes_max;
    if (settings->batch_bytes > most + 65536) {
        ow_check_warning(look->check, settings->topic,
                         "takes batches of %lld bytes, limits.record_bytes is %lld: larger records "
                         "are quarantined (oversize)",
                         (long long)settings->batch_bytes, (long long)most);
    }
}

static void look_at_settings(struct look *look)
{
    enum { SPARE_MS = 1000 }; /* that nobody answered is an answer too, and comes at the end */
    struct ow_kafka_describe describe;
    struct ow_kafka_answer answer;
    ow_kafka_describe_ask(&describe, look->rk, look->options->topics, look->options->topic_count,
                          ANSWER_MS);
    if (!ow_kafka_describe_take(&describe, ANSWER_MS + SPARE_MS, &look->arena, &answer)) {
        answer = (struct ow_kafka_answer){.topic_count = 0};
        answer.status = ow_fail(&answer.err, OW_TEMPORARY, "no answer within %d s",
                                (ANSWER_MS + SPARE_MS) / 1000);
    }
    ow_kafka_describe_done(&describe);
    for (size_t i = 0; i < answer.topic_count; i++) {
        check_batches(look, &answer.topics[i]);
    }
    ow_kafka_describe_compare(&answer, &look->expectations->retention, look->check);
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
