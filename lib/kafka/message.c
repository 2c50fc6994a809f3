#include "kafka/message.h"

#include <stdlib.h>

static struct ow_slice bytes_of(const void *ptr, size_t len)
{
    return (struct ow_slice){ptr, ptr == NULL ? 0 : len};
}

static void fill_headers(struct ow_kafka_member *member, const rd_kafka_headers_t *headers,
                         struct ow_record *record)
{
    const size_t count = rd_kafka_header_cnt(headers);
    if (count > member->header_capacity) {
        free(member->headers);
        member->headers = calloc(count, sizeof(*member->headers));
        if (member->headers == NULL) {
            OW_IMPOSSIBLE("out of memory");
        }
        member->header_capacity = count;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = NULL;
        const void *value = NULL;
        size_t len = 0;
        (void)rd_kafka_header_get_all(headers, i, &name, &value, &len); /* i is below the count */
        member->headers[i] =
            (struct ow_header){.name = ow_slice_of(name), .value = bytes_of(value, len)};
    }
    record->headers = member->headers;
    record->header_count = count;
}

void ow_kafka_message_place(const struct ow_kafka_member *member, struct ow_record *record)
{
    const rd_kafka_message_t *message = member->held;
    const char *topic = ow_kafka_member_topic(member, rd_kafka_topic_name(message->rkt));
    OW_INVARIANT(topic != NULL); /* only what was assigned is fetched, and that is of our topics */
    record->topic = ow_slice_of(topic);
    record->partition = message->partition;
    record->offset = message->offset;
}

enum ow_status ow_kafka_message_record(struct ow_kafka_member *member, struct ow_record *ret_record,
                                       struct ow_err *err)
{
    const rd_kafka_message_t *message = member->held;
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    const int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    *ret_record = (struct ow_record){
        .timestamp_ms = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp_ms,
        .key = bytes_of(message->key, message->key_len),
        .value = bytes_of(message->payload, message->len),
    };
    ow_kafka_message_place(member, ret_record);
    rd_kafka_headers_t *headers = NULL;
    const rd_kafka_resp_err_t code = rd_kafka_message_headers(message, &headers);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        fill_headers(member, headers, ret_record);
    } else if (code != RD_KAFKA_RESP_ERR__NOENT) { /* their bytes are not as Kafka writes them */
        return ow_fail(err, OW_TEMPORARY,
                       "cannot read the headers of topic " OW_SLICE_FMT " partition %d offset %lld",
                       OW_SLICE_ARG(ret_record->topic), (int)ret_record->partition,
                       (long long)ret_record->offset);
    }
    return OW_OK;
}

void ow_kafka_message_release(struct ow_kafka_member *member)
{
    if (member->held != NULL) {
        rd_kafka_message_destroy(member->held);
        member->held = NULL;
    }
}
