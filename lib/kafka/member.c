#include "kafka/member.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *ow_kafka_member_topic(const struct ow_kafka_member *member, const char *topic)
{
    for (size_t i = 0; i < member->topic_count; i++) {
        if (ow_slice_equals_text(member->topics[i], topic)) {
            return (const char *)member->topics[i].ptr;
        }
    }
    return NULL;
}

rd_kafka_topic_partition_list_t *ow_kafka_member_list(const struct ow_partition_offset *list,
                                                      size_t count)
{
    OW_REQUIRE(count <= INT32_MAX);
    rd_kafka_topic_partition_list_t *made = rd_kafka_topic_partition_list_new((int)count);
    OW_ENSURE(made != NULL);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_topic_partition_t *each =
            rd_kafka_topic_partition_list_add(made, list[i].topic, list[i].partition);
        each->offset = list[i].offset;
        if (list[i].metadata[0] != '\0') {
            each->metadata = strdup(list[i].metadata); /* the list frees it */
            if (each->metadata == NULL) {
                OW_IMPOSSIBLE("out of memory");
            }
            each->metadata_size = strlen(list[i].metadata);
        }
    }
    return made;
}

void ow_kafka_member_list_done(rd_kafka_topic_partition_list_t **list)
{
    if (*list != NULL) {
        rd_kafka_topic_partition_list_destroy(*list);
        *list = NULL;
    }
}

/* Asking again cannot help: somebody has to change something. */
static bool is_for_people(rd_kafka_resp_err_t code)
{
    static const rd_kafka_resp_err_t codes[] = {
        RD_KAFKA_RESP_ERR__AUTHENTICATION,
        RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
        RD_KAFKA_RESP_ERR__SSL,
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR__INVALID_ARG,
        RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE,
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

enum ow_status ow_kafka_member_fail(struct ow_err *err, rd_kafka_resp_err_t code,
                                    const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return ow_fail(err, is_for_people(code) ? OW_FAILED : OW_TEMPORARY, "%s: %s (%s)", text,
                   rd_kafka_err2str(code), rd_kafka_err2name(code));
}
