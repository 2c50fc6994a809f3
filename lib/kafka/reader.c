#include "kafka/reader.h"

#include "kafka/member.h"
#include "kafka/message.h"
#include "kafka/offsets.h"
#include "kafka/outside.h"
#include "kafka/trouble.h"

#include <stdlib.h>

struct ow_kafka_reader {
    struct ow_kafka_member member; /* the client and its talk; of a group it uses nothing */
    struct ow_kafka_range *all;
    size_t all_count;
    const struct ow_kafka_range *ranges; /* what is being read */
    bool *ended;                         /* by ranges */
    size_t range_count, range_capacity;
    size_t ends_told; /* ranges before it were looked at for being empty */
    size_t at_end;    /* the range whose last record was given out; SIZE_MAX: none */
};

static struct ow_kafka_reader *create(void)
{
    struct ow_kafka_reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    return reader;
}

static enum ow_status find_partitions(struct ow_kafka_reader *reader, const char *topic,
                                      struct ow_err *err)
{
    struct ow_source *source = &reader->member.source;
    int32_t count = 0;
    OW_TRY(ow_kafka_offsets_partition_count(source, topic, &count, err));
    if (count == 0) {
        return ow_fail(err, OW_TEMPORARY, "there is no topic %s", topic);
    }
    reader->all =
        reallocarray(reader->all, reader->all_count + (size_t)count, sizeof(*reader->all));
    if (reader->all == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    for (int32_t partition = 0; partition < count; partition++) {
        struct ow_kafka_range *range = &reader->all[reader->all_count];
        *range = (struct ow_kafka_range){.topic = topic, .partition = partition};
        OW_TRY(ow_kafka_offsets_bounds(source, topic, partition, &range->low, &range->high, err));
        range->from = range->low;
        range->until = range->high;
        reader->all_count++;
    }
    return OW_OK;
}

static enum ow_status open_all(struct ow_kafka_reader *reader,
                               const struct ow_kafka_options *options, struct ow_err *err)
{
    OW_TRY(ow_kafka_outside_connect(&reader->member, options, err));
    for (size_t i = 0; i < reader->member.topic_count; i++) {
        OW_TRY(find_partitions(reader, (const char *)reader->member.topics[i].ptr, err));
    }
    return OW_OK;
}

enum ow_status ow_kafka_reader_open(const struct ow_kafka_options *options,
                                    struct ow_kafka_reader **ret_reader, struct ow_err *err)
{
    OW_REQUIRE(options->group != NULL && options->topic_count > 0);
    enum { CLOSE_MS = 5000 };
    struct ow_kafka_reader *reader = create();
    const enum ow_status status = open_all(reader, options, err);
    if (status != OW_OK) {
        (void)ow_kafka_reader_close(reader, CLOSE_MS); /* left behind where it hangs */
        return status;
    }
    *ret_reader = reader;
    return OW_OK;
}

const struct ow_kafka_range *ow_kafka_reader_ranges(const struct ow_kafka_reader *reader,
                                                    size_t *ret_count)
{
    *ret_count = reader->all_count;
    return reader->all;
}

enum ow_status ow_kafka_reader_committed(struct ow_kafka_reader *reader,
                                         struct ow_partition_offset *ret_list, int32_t *ret_members,
                                         struct ow_err *err)
{
    struct ow_source *source = &reader->member.source;
    for (size_t i = 0; i < reader->all_count; i++) {
        ret_list[i] = (struct ow_partition_offset){
            .topic = reader->all[i].topic, .partition = reader->all[i].partition, .offset = -1};
    }
    OW_TRY(ow_kafka_offsets_committed(source, ret_list, reader->all_count, err));
    return ow_kafka_offsets_member_count(source, ret_members, err);
}

enum ow_status ow_kafka_reader_assign(struct ow_kafka_reader *reader,
                                      const struct ow_kafka_range *ranges, size_t count,
                                      struct ow_err *err)
{
    OW_REQUIRE(count <= INT32_MAX);
    OW_KAFKA_LIST *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        OW_REQUIRE(ranges[i].from >= 0); /* a logical offset would bring auto.offset.reset in */
        if (ranges[i].from < ranges[i].until) {
            rd_kafka_topic_partition_list_add(list, ranges[i].topic, ranges[i].partition)->offset =
                ranges[i].from;
        }
    }
    if (count > reader->range_capacity) {
        free(reader->ended);
        reader->ended = calloc(count, sizeof(*reader->ended));
        if (reader->ended == NULL) {
            OW_IMPOSSIBLE("out of memory");
        }
        reader->range_capacity = count;
    }
    for (size_t i = 0; i < count; i++) {
        reader->ended[i] = false;
    }
    reader->ranges = ranges;
    reader->range_count = count;
    reader->ends_told = 0;
    reader->at_end = SIZE_MAX;
    const rd_kafka_resp_err_t code = rd_kafka_assign(reader->member.rk, list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? OW_OK
               : ow_kafka_member_fail(err, code, "cannot read the partitions");
}

/* The range that a message belongs to. SIZE_MAX: of an assignment before, or read already. */
static size_t range_of(const struct ow_kafka_reader *reader, const rd_kafka_message_t *message)
{
    for (size_t i = 0; message->rkt != NULL && i < reader->range_count; i++) {
        if (reader->ranges[i].partition == message->partition &&
            strcmp(reader->ranges[i].topic, rd_kafka_topic_name(message->rkt)) == 0) {
            return reader->ended[i] ? SIZE_MAX : i;
        }
    }
    return SIZE_MAX;
}

static void end_range(struct ow_kafka_reader *reader, struct ow_kafka_read *read)
{
    read->kind = OW_KAFKA_READ_END;
    reader->ended[read->range] = true;
}

static enum ow_status take_message(struct ow_kafka_reader *reader, struct ow_kafka_read *read,
                                   struct ow_err *err)
{
    const rd_kafka_message_t *message = reader->member.held;
    read->range = range_of(reader, message);
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
        return ow_fail(err, OW_TEMPORARY,
                       "topic %s partition %d was cut while it was read: try again",
                       rd_kafka_topic_name(message->rkt), (int)message->partition);
    }
    const bool is_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    if (!is_end && message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        ow_kafka_trouble_message(&reader->member, message);
        return OW_OK;
    }
    if (read->range == SIZE_MAX) {
        return OW_OK;
    }
    /* Behind the last record there may be markers only: then the end is told by the broker. */
    if (message->offset >= reader->ranges[read->range].until) {
        end_range(reader, read);
        return OW_OK;
    }
    if (is_end) {
        return OW_OK;
    }
    /* Then nobody needs to be asked: the broker tells the end an empty fetch later. */
    if (message->offset + 1 == reader->ranges[read->range].until) {
        reader->at_end = read->range;
    }
    read->kind = OW_KAFKA_READ_RECORD;
    return ow_kafka_message_record(&reader->member, &read->record, err);
}

/* What comes without a message: a reason to stop, an empty range, talk. */
static enum ow_status give_waiting(struct ow_kafka_reader *reader, struct ow_kafka_read *read,
                                   struct ow_err *err)
{
    if (reader->member.stop != OW_OK) {
        *err = reader->member.stop_err;
        return reader->member.stop;
    }
    if (reader->at_end != SIZE_MAX) {
        read->range = reader->at_end;
        reader->at_end = SIZE_MAX;
        end_range(reader, read);
        return OW_OK;
    }
    while (reader->ends_told < reader->range_count) {
        read->range = reader->ends_told++;
        if (reader->ranges[read->range].from >= reader->ranges[read->range].until) {
            end_range(reader, read);
            return OW_OK;
        }
    }
    if (ow_kafka_talk_take(&reader->member.talk, &read->err)) {
        read->kind = OW_KAFKA_READ_TALK;
    }
    return OW_OK;
}

enum ow_status ow_kafka_reader_poll(struct ow_kafka_reader *reader, int timeout_ms,
                                    struct ow_kafka_read *ret_read, struct ow_err *err)
{
    ow_kafka_message_release(&reader->member);
    ret_read->kind = OW_KAFKA_READ_IDLE;
    OW_TRY(give_waiting(reader, ret_read, err));
    if (ret_read->kind != OW_KAFKA_READ_IDLE) {
        return OW_OK;
    }
    reader->member.held = rd_kafka_consumer_poll(reader->member.rk, timeout_ms);
    if (reader->member.held != NULL) {
        OW_TRY(take_message(reader, ret_read, err));
    }
    return ret_read->kind == OW_KAFKA_READ_IDLE ? give_waiting(reader, ret_read, err) : OW_OK;
}

bool ow_kafka_reader_close(struct ow_kafka_reader *reader, int deadline_ms)
{
    if (reader == NULL) {
        return true;
    }
    if (!ow_kafka_outside_disconnect(&reader->member, deadline_ms)) {
        return false;
    }
    free(reader->all);
    free(reader->ended);
    free(reader);
    return true;
}
