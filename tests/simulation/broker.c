#include "broker.h"

#include "base/contract.h"
#include "clock.h"

const char *ow_broker_topic(size_t topic)
{
    static const char *const topics[OW_BROKER_TOPICS] = {"order-events", "payment-events"};
    return topics[topic];
}

void ow_broker_init(struct ow_broker *broker)
{
    memset(broker, 0, sizeof(*broker));
    ow_arena_init(&broker->arena, (size_t)64 * 1024);
    broker->members = 1;
}

void ow_broker_done(struct ow_broker *broker)
{
    ow_arena_done(&broker->arena);
}

int32_t ow_broker_partitions(const struct ow_broker *broker, const char *topic)
{
    int32_t count = 0;
    for (size_t i = 0; i < broker->log_count; i++) {
        count += strcmp(broker->logs[i].topic, topic) == 0;
    }
    return count;
}

bool ow_broker_add_partition(struct ow_broker *broker, size_t topic)
{
    if (broker->log_count == OW_BROKER_LOGS_MAX) {
        return false;
    }
    const char *name = ow_broker_topic(topic);
    const int32_t partition = ow_broker_partitions(broker, name);
    struct ow_log *log = &broker->logs[broker->log_count++];
    log->topic = name;
    log->partition = partition;
    log->committed = -1;
    return true;
}

struct ow_log *ow_broker_log(struct ow_broker *broker, struct ow_slice topic, int32_t partition)
{
    for (size_t i = 0; i < broker->log_count; i++) {
        struct ow_log *log = &broker->logs[i];
        if (log->partition == partition && ow_slice_equals_text(topic, log->topic)) {
            return log;
        }
    }
    return NULL;
}

size_t ow_broker_index(const struct ow_broker *broker, const struct ow_log *log)
{
    return (size_t)(log - broker->logs);
}

struct ow_logged *ow_broker_append(struct ow_broker *broker, size_t index,
                                   const struct ow_message *message, int gap)
{
    struct ow_log *log = &broker->logs[index];
    if (log->count == OW_BROKER_RECORDS_MAX) {
        return NULL;
    }
    struct ow_logged *logged = OW_ARENA_NEW(&broker->arena, struct ow_logged);
    logged->message = *message;
    logged->log = index;
    ow_message_write(message, &broker->arena, &logged->record);
    logged->record.topic = ow_slice_of(log->topic);
    logged->record.partition = log->partition;
    logged->record.offset = log->end + gap;
    log->end = logged->record.offset + 1;
    log->records[log->count++] = logged;
    return logged;
}

size_t ow_log_find(const struct ow_log *log, int64_t offset)
{
    size_t at = 0;
    size_t end = log->count;
    while (at < end) {
        const size_t middle = (at + end) / 2;
        if (log->records[middle]->record.offset < offset) {
            at = middle + 1;
        } else {
            end = middle;
        }
    }
    return at;
}

bool ow_broker_is_away(const struct ow_broker *broker)
{
    return ow_sim_clock_elapsed_ns() < broker->away_until_ns;
}
