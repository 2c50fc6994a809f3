#include "kafka/producer.h"

#include "base/log.h"
#include "kafka/within.h"

#include <librdkafka/rdkafka.h>

#include <stdlib.h>

struct ow_kafka_producer {
    rd_kafka_t *rk;
    int64_t delivered, failed;
    rd_kafka_resp_err_t last_code; /* of the last record that was refused */
};

static const struct ow_kafka_property defaults[] = {
  /* A retry after a lost answer must not write a record twice. */
    {"enable.idempotence", "true"             },
 /* As Java's clients do, so that one key is in one partition whoever writes it. */
    {"partitioner",        "murmur2_random"   },
 /* Bounded: two minutes is the usual delivery.timeout.ms. */
    {"message.timeout.ms", "120000"           },
    {"linger.ms",          "5"                },
    {"compression.codec",  "none"             },
    {"client.id",          "onceward-producer"},
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    struct ow_kafka_producer *producer = opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        producer->delivered++;
    } else {
        producer->failed++;
        producer->last_code = message->err;
    }
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    ow_log(OW_LOG_DEBUG, "kafka_producer", "facility=%s text=\"%s\"", facility, text);
}

static enum ow_status set_all(rd_kafka_conf_t *conf, const struct ow_kafka_property *properties,
                              size_t count, struct ow_err *err)
{
    char text[512];
    for (size_t i = 0; i < count; i++) {
        if (rd_kafka_conf_set(conf, properties[i].name, properties[i].value, text, sizeof(text)) !=
            RD_KAFKA_CONF_OK) {
            return ow_fail(err, OW_BAD_CONFIG, "%s: refused by librdkafka: %s", properties[i].name,
                           text);
        }
    }
    return OW_OK;
}

static enum ow_status configure(rd_kafka_conf_t *conf, const struct ow_kafka_property *properties,
                                size_t count, struct ow_err *err)
{
    OW_TRY(set_all(conf, defaults, sizeof(defaults) / sizeof(defaults[0]), err));
    return set_all(conf, properties, count, err);
}

enum ow_status ow_kafka_producer_open(const struct ow_kafka_property *properties,
                                      size_t property_count,
                                      struct ow_kafka_producer **ret_producer, struct ow_err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const enum ow_status status = configure(conf, properties, property_count, err);
    if (status != OW_OK) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    struct ow_kafka_producer *producer = calloc(1, sizeof(*producer));
    if (producer == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_log_cb(conf, on_log);
    char text[512];
    producer->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (producer->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        free(producer);
        return ow_fail(err, OW_BAD_CONFIG, "cannot create a producer: %s", text);
    }
    *ret_producer = producer;
    return OW_OK;
}

/* Owned by the message once it was taken. */
static rd_kafka_headers_t *headers_of(const struct ow_record *record)
{
    if (record->header_count == 0) {
        return NULL;
    }
    rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        const struct ow_header *header = &record->headers[i];
        const rd_kafka_resp_err_t code =
            rd_kafka_header_add(headers, (const char *)header->name.ptr, (ssize_t)header->name.len,
                                header->value.ptr, (ssize_t)header->value.len);
        OW_INVARIANT(code == RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    return headers;
}

static rd_kafka_resp_err_t produce(struct ow_kafka_producer *producer,
                                   const struct ow_record *record)
{
    rd_kafka_headers_t *headers = headers_of(record);
    /* 0 is "now" to librdkafka. */
    const int64_t timestamp_ms = record->timestamp_ms < 0 ? 0 : record->timestamp_ms;
    /* What the RD_KAFKA_V_… macros expand to, without the statement expressions that -Wpedantic
     * refuses. */
    const rd_kafka_resp_err_t code = rd_kafka_producev(
        producer->rk, RD_KAFKA_VTYPE_TOPIC, (const char *)record->topic.ptr,
        RD_KAFKA_VTYPE_PARTITION, (int32_t)record->partition, RD_KAFKA_VTYPE_KEY,
        (const void *)record->key.ptr, (size_t)record->key.len, RD_KAFKA_VTYPE_VALUE,
        (const void *)record->value.ptr, (size_t)record->value.len, RD_KAFKA_VTYPE_TIMESTAMP,
        (int64_t)timestamp_ms, RD_KAFKA_VTYPE_HEADERS, headers, RD_KAFKA_VTYPE_MSGFLAGS,
        (int)RD_KAFKA_MSG_F_COPY, RD_KAFKA_VTYPE_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && headers != NULL) {
        rd_kafka_headers_destroy(headers);
    }
    return code;
}

enum ow_status ow_kafka_producer_send(struct ow_kafka_producer *producer,
                                      const struct ow_record *record, struct ow_err *err)
{
    enum { STEP_MS = 10, STEPS = 3000 }; /* 30 s for room in the queue */
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; i < STEPS; i++) {
        code = produce(producer, record);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            break;
        }
        (void)rd_kafka_poll(producer->rk, STEP_MS);
    }
    (void)rd_kafka_poll(producer->rk, 0);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return ow_fail(err, code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? OW_TEMPORARY : OW_FAILED,
                       "cannot produce to topic %s: %s", (const char *)record->topic.ptr,
                       rd_kafka_err2str(code));
    }
    return OW_OK;
}

enum ow_status ow_kafka_producer_flush(struct ow_kafka_producer *producer, int deadline_ms,
                                       struct ow_err *err)
{
    if (rd_kafka_flush(producer->rk, deadline_ms) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return ow_fail(err, OW_TEMPORARY, "%d records are not answered for within %d ms",
                       rd_kafka_outq_len(producer->rk), deadline_ms);
    }
    if (producer->failed > 0) {
        return ow_fail(err, OW_TEMPORARY, "%lld records were refused, the last one: %s",
                       (long long)producer->failed, rd_kafka_err2str(producer->last_code));
    }
    return OW_OK;
}

int64_t ow_kafka_producer_delivered(const struct ow_kafka_producer *producer)
{
    return producer->delivered;
}

int64_t ow_kafka_producer_failed(const struct ow_kafka_producer *producer)
{
    return producer->failed;
}

static void destroy(void *context)
{
    struct ow_kafka_producer *producer = context;
    rd_kafka_destroy(producer->rk);
    free(producer);
}

bool ow_kafka_producer_close(struct ow_kafka_producer *producer, int deadline_ms)
{
    return producer == NULL || ow_kafka_within(deadline_ms, destroy, producer);
}
