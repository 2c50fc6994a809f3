#include "kafka/mock.h"

#include "base/log.h"
#include "kafka/within.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <stdlib.h>

enum { BROKER_ID = 1 }; /* the mock numbers them from 1 */

struct ow_kafka_mock {
    rd_kafka_t *host; /* the client whose main thread serves the brokers */
    rd_kafka_mock_cluster_t *cluster;
};

/* Runs on threads of librdkafka. Broken connections are what a killed worker leaves; they are no
 * news here. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    ow_log(OW_LOG_DEBUG, "mock", "facility=%s text=\"%s\"", facility, text);
}

static void destroy_cluster(void *context)
{
    struct ow_kafka_mock *mock = context;
    if (mock->cluster != NULL) {
        rd_kafka_mock_cluster_destroy(mock->cluster);
    }
    if (mock->host != NULL) {
        rd_kafka_destroy(mock->host);
    }
    free(mock);
}

static enum ow_status create_topics(struct ow_kafka_mock *mock,
                                    const struct ow_kafka_mock_topic *topics, size_t topic_count,
                                    struct ow_err *err)
{
    for (size_t i = 0; i < topic_count; i++) {
        const rd_kafka_resp_err_t code =
            rd_kafka_mock_topic_create(mock->cluster, topics[i].name, topics[i].partitions, 1);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return ow_fail(err, OW_FAILED, "cannot create topic %s: %s", topics[i].name,
                           rd_kafka_err2str(code));
        }
    }
    return OW_OK;
}

enum ow_status ow_kafka_mock_start(const struct ow_kafka_mock_topic *topics, size_t topic_count,
                                   struct ow_kafka_mock **ret_mock, struct ow_err *err)
{
    struct ow_kafka_mock *mock = calloc(1, sizeof(*mock));
    if (mock == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, on_log);
    mock->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (mock->host == NULL) {
        rd_kafka_conf_destroy(conf);
        free(mock);
        return ow_fail(err, OW_FAILED, "cannot create the mock's client: %s", text);
    }
    mock->cluster = rd_kafka_mock_cluster_new(mock->host, 1);
    if (mock->cluster == NULL) {
        destroy_cluster(mock);
        return ow_fail(err, OW_FAILED, "cannot create the mock cluster");
    }
    const enum ow_status status = create_topics(mock, topics, topic_count, err);
    if (status != OW_OK) {
        destroy_cluster(mock);
        return status;
    }
    *ret_mock = mock;
    return OW_OK;
}

const char *ow_kafka_mock_bootstraps(const struct ow_kafka_mock *mock)
{
    return rd_kafka_mock_cluster_bootstraps(mock->cluster);
}

void ow_kafka_mock_set_up(struct ow_kafka_mock *mock, bool up)
{
    const rd_kafka_resp_err_t code = up ? rd_kafka_mock_broker_set_up(mock->cluster, BROKER_ID)
                                        : rd_kafka_mock_broker_set_down(mock->cluster, BROKER_ID);
    OW_INVARIANT(code == RD_KAFKA_RESP_ERR_NO_ERROR);
}

void ow_kafka_mock_refuse_fetch(struct ow_kafka_mock *mock)
{
    enum { API_FETCH = 1 };
    rd_kafka_mock_push_request_errors(mock->cluster, API_FETCH, 1,
                                      RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
}

bool ow_kafka_mock_stop(struct ow_kafka_mock *mock, int deadline_ms)
{
    return mock == NULL || ow_kafka_within(deadline_ms, destroy_cluster, mock);
}
