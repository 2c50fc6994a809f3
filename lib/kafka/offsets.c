#include "kafka/offsets.h"

#include "kafka/trouble.h"

#include <stdio.h>
#include <string.h>

static struct ow_kafka_member *member_of(struct ow_source *source)
{
    return (struct ow_kafka_member *)source; /* the first member of it */
}

/* What the group has committed; -1 and no metadata where it has not. */
static void copy_committed(struct ow_partition_offset *to, const rd_kafka_topic_partition_t *from)
{
    to->offset = from->offset < 0 ? -1 : from->offset;
    to->metadata[0] = '\0';
    if (to->offset < 0 || from->metadata == NULL) {
        return;
    }
    /* Longer than ours can be: somebody else's, and the beginning says so. */
    size_t len = from->metadata_size;
    if (len > sizeof(to->metadata) - 1) {
        len = sizeof(to->metadata) - 1;
    }
    memcpy(to->metadata, from->metadata, len);
    to->metadata[len] = '\0';
}

enum ow_status ow_kafka_offsets_committed(struct ow_source *source,
                                          struct ow_partition_offset *list, size_t count,
                                          struct ow_err *err)
{
    struct ow_kafka_member *member = member_of(source);
    OW_KAFKA_LIST *asked = ow_kafka_member_list(list, count);
    const rd_kafka_resp_err_t code = rd_kafka_committed(member->rk, asked, OW_KAFKA_REQUEST_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return ow_kafka_member_fail(err, code, "cannot read the group's committed offsets");
    }
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *each =
            rd_kafka_topic_partition_list_find(asked, list[i].topic, list[i].partition);
        OW_INVARIANT(each != NULL);
        if (each->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return ow_kafka_member_fail(err, each->err,
                                        "cannot read the committed offset of topic %s partition %d",
                                        list[i].topic, (int)list[i].partition);
        }
    }
    for (size_t i = 0; i < count; i++) {
        copy_committed(&list[i],
                       rd_kafka_topic_partition_list_find(asked, list[i].topic, list[i].partition));
    }
    return OW_OK;
}

enum ow_status ow_kafka_offsets_bounds(struct ow_source *source, const char *topic,
                                       int32_t partition, int64_t *ret_low, int64_t *ret_high,
                                       struct ow_err *err)
{
    struct ow_kafka_member *member = member_of(source);
    int64_t low = 0;
    int64_t high = 0;
    /* ListOffsets v2 carries our isolation level, so high is the last stable offset: measured, see
     * ARCHITECTURE. */
    const rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        member->rk, topic, partition, &low, &high, OW_KAFKA_REQUEST_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return ow_kafka_member_fail(err, code, "cannot read the bounds of topic %s partition %d",
                                    topic, (int)partition);
    }
    if (low < 0 || high < low) {
        return ow_fail(err, OW_TEMPORARY,
                       "the broker says that topic %s partition %d reaches from %lld to %lld",
                       topic, (int)partition, (long long)low, (long long)high);
    }
    *ret_low = low;
    *ret_high = high;
    return OW_OK;
}

enum ow_status ow_kafka_offsets_for_time(struct ow_source *source, const char *topic,
                                         int32_t partition, int64_t time_ms, int64_t *ret_offset,
                                         struct ow_err *err)
{
    struct ow_kafka_member *member = member_of(source);
    const struct ow_partition_offset wanted = {
        .topic = topic, .partition = partition, .offset = time_ms};
    OW_KAFKA_LIST *asked = ow_kafka_member_list(&wanted, 1);
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(member->rk, asked, OW_KAFKA_REQUEST_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = asked->elems[0].err;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return ow_kafka_member_fail(err, code, "cannot look up a time in topic %s partition %d",
                                    topic, (int)partition);
    }
    if (asked->elems[0].offset >= 0) {
        *ret_offset = asked->elems[0].offset;
        return OW_OK;
    }
    int64_t low = 0; /* no record is that late: the end */
    return ow_kafka_offsets_bounds(source, topic, partition, &low, ret_offset, err);
}

static void topic_done(rd_kafka_topic_t **topic)
{
    if (*topic != NULL) {
        rd_kafka_topic_destroy(*topic);
    }
}

static void metadata_done(const struct rd_kafka_metadata **metadata)
{
    if (*metadata != NULL) {
        rd_kafka_metadata_destroy(*metadata);
    }
}

/*
 * The first question is asked before the first poll, so nobody has heard yet why no broker answers
 * it: a wrong password would be "timed out". That waits in librdkafka's queue; nothing that is
 * dropped here can be there before something is assigned, and a rebalance is written down.
 */
static void add_why(struct ow_kafka_member *member, struct ow_err *err)
{
    enum { EVENTS_MAX = 20 }; /* a callback yields, so one a call */
    for (int i = 0; i < EVENTS_MAX && member->assignment == 0; i++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(member->rk, 0);
        if (message != NULL) {
            ow_kafka_trouble_message(member, message);
            rd_kafka_message_destroy(message);
        }
    }
    if (member->talk.count > 0) {
        const size_t len = strlen(err->text);
        (void)snprintf(err->text + len, sizeof(err->text) - len, "; %s",
                       member->talk.queue[member->talk.first].text);
    }
}

enum ow_status ow_kafka_offsets_partition_count(struct ow_source *source, const char *topic,
                                                int32_t *ret_count, struct ow_err *err)
{
    struct ow_kafka_member *member = member_of(source);
    OW_CLEANUP(topic_done) rd_kafka_topic_t *handle = rd_kafka_topic_new(member->rk, topic, NULL);
    if (handle == NULL) {
        return ow_kafka_member_fail(err, rd_kafka_last_error(), "cannot ask for topic %s", topic);
    }
    OW_CLEANUP(metadata_done) const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(member->rk, 0, handle, &metadata, OW_KAFKA_REQUEST_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt != 1) {
        code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = metadata->topics[0].err;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        const enum ow_status status =
            ow_kafka_member_fail(err, code, "cannot find topic %s", topic);
        add_why(member, err);
        return status;
    }
    *ret_count = code == RD_KAFKA_RESP_ERR_NO_ERROR ? metadata->topics[0].partition_cnt : 0;
    return OW_OK;
}

static void group_list_done(const struct rd_kafka_group_list **list)
{
    if (*list != NULL) {
        rd_kafka_group_list_destroy(*list);
    }
}

/* Brokers make a static member's id of its instance id, a '-' and random text. */
static bool is_ghost(const struct ow_kafka_member *member, const char *id)
{
    return member->ghost != NULL && strncmp(id, member->ghost, strlen(member->ghost)) == 0;
}

/* The mock cluster cannot describe groups; a group that is not found has no other member. */
enum ow_status ow_kafka_offsets_member_count(struct ow_source *source, int32_t *ret_count,
                                             struct ow_err *err)
{
    struct ow_kafka_member *member = member_of(source);
    OW_CLEANUP(group_list_done) const struct rd_kafka_group_list *list = NULL;
    const rd_kafka_resp_err_t code =
        rd_kafka_list_groups(member->rk, member->group, &list, OW_KAFKA_REQUEST_MS);
    *ret_count = 0;
    if (code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) {
        return OW_OK;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return ow_kafka_member_fail(err, code, "cannot ask who is in the group");
    }
    for (int i = 0; i < list->group_cnt; i++) {
        for (int j = 0; j < list->groups[i].member_cnt; j++) {
            *ret_count += !is_ghost(member, list->groups[i].members[j].member_id);
        }
    }
    return OW_OK;
}
