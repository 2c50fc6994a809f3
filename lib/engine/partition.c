#include "engine/partition.h"

#include "base/contract.h"

void ow_partitions_init(struct ow_partitions *partitions)
{
    *partitions = (struct ow_partitions){0};
    ow_arena_init(&partitions->arena, (size_t)16 * 1024);
    ow_arena_init(&partitions->work, (size_t)64 * 1024);
    ow_map_init(&partitions->map, &partitions->arena);
}

void ow_partitions_done(struct ow_partitions *partitions)
{
    for (struct ow_partition *partition = partitions->list; partition != NULL;
         partition = partition->next) {
        ow_arena_done(&partition->settled_runs);
    }
    ow_arena_done(&partitions->work);
    ow_arena_done(&partitions->arena);
}

enum { KEY_BYTES_MAX = 260 }; /* Kafka's topic names have at most 249 characters */

static struct ow_slice make_key(uint8_t buffer[KEY_BYTES_MAX], struct ow_slice topic,
                                int32_t partition)
{
    OW_REQUIRE(topic.len + sizeof(partition) <= KEY_BYTES_MAX);
    memcpy(buffer, &partition, sizeof(partition));
    memcpy(buffer + sizeof(partition), topic.ptr, topic.len);
    return (struct ow_slice){buffer, topic.len + sizeof(partition)};
}

struct ow_partition *ow_partitions_find(const struct ow_partitions *partitions,
                                        struct ow_slice topic, int32_t partition)
{
    uint8_t buffer[KEY_BYTES_MAX];
    return ow_map_get(&partitions->map, make_key(buffer, topic, partition));
}

static struct ow_partition *add(struct ow_partitions *partitions,
                                const struct ow_position *position)
{
    struct ow_partition *partition = OW_ARENA_NEW(&partitions->arena, struct ow_partition);
    ow_arena_init(&partition->settled_runs, 8 * sizeof(struct ow_run));
    ow_position_copy(&partition->settled, &partition->settled_runs, position);
    partition->settled.topic = ow_arena_copy(&partitions->arena, position->topic);
    partition->last_timestamp_ms = INT64_MIN;
    partition->next = partitions->list;
    partitions->list = partition;
    uint8_t buffer[KEY_BYTES_MAX];
    const struct ow_slice key = make_key(buffer, position->topic, position->partition);
    ow_map_put(&partitions->map, ow_arena_copy(&partitions->arena, key), partition);
    return partition;
}

void ow_partitions_load(struct ow_partitions *partitions, const struct ow_position *list)
{
    for (; list != NULL; list = list->next) {
        (void)add(partitions, list);
    }
}

struct ow_partition *ow_partitions_add(struct ow_partitions *partitions, struct ow_slice topic,
                                       int32_t partition, int64_t first_offset)
{
    const struct ow_position position = {.topic = topic,
                                         .partition = partition,
                                         .next_offset = first_offset,
                                         .high_offset = first_offset,
                                         .seen_committed = -1};
    return add(partitions, &position);
}

struct ow_position *ow_partition_touch(struct ow_partitions *partitions,
                                       struct ow_partition *partition)
{
    if (!partition->touched) {
        partition->touched = true;
        ow_position_copy(&partition->working, &partitions->work, &partition->settled);
        partition->last_handled = NULL;
        partition->next_touched = partitions->touched;
        partitions->touched = partition;
    }
    return &partition->working;
}

struct ow_position *ow_partitions_changes(struct ow_partitions *partitions,
                                          const struct ow_hash_key *hash_key)
{
    struct ow_position *list = NULL;
    for (struct ow_partition *partition = partitions->touched; partition != NULL;
         partition = partition->next_touched) {
        struct ow_position *working = &partition->working;
        const struct ow_record *last = partition->last_handled;
        if (last != NULL) {
            ow_hash_anchor(hash_key, last->offset, last->key, last->value, working->anchor);
            working->has_anchor = true;
        }
        if (partition->has_committed) {
            working->seen_committed = -1;
        }
        working->next = list;
        list = working;
    }
    return list;
}

void ow_partitions_settle(struct ow_partitions *partitions)
{
    for (struct ow_partition *partition = partitions->touched; partition != NULL;
         partition = partition->next_touched) {
        ow_arena_reset(&partition->settled_runs);
        ow_position_copy(&partition->settled, &partition->settled_runs, &partition->working);
        partition->settled.stored = true;
        if (partition->last_handled != NULL && partition->last_handled->timestamp_ms >= 0) {
            partition->last_timestamp_ms = partition->last_handled->timestamp_ms;
        }
        partition->has_committed =
            partition->has_committed && partition->settled.seen_committed >= 0;
        partition->touched = false;
        partition->last_handled = NULL;
    }
    partitions->touched = NULL;
    ow_arena_reset(&partitions->work);
}

void ow_partitions_forget(struct ow_partitions *partitions)
{
    for (struct ow_partition *partition = partitions->touched; partition != NULL;
         partition = partition->next_touched) {
        partition->touched = false;
        partition->last_handled = NULL;
    }
    partitions->touched = NULL;
    ow_arena_reset(&partitions->work);
}

int64_t ow_partitions_stream_time_ms(const struct ow_partitions *partitions, int64_t now_ms,
                                     bool ends_hold)
{
    int64_t stream_ms = INT64_MAX;
    for (const struct ow_partition *partition = partitions->list; partition != NULL;
         partition = partition->next) {
        if (partition->assigned) {
            const int64_t time_ms =
                partition->at_end && ends_hold ? now_ms : partition->last_timestamp_ms;
            stream_ms = time_ms < stream_ms ? time_ms : stream_ms;
        }
    }
    return stream_ms == INT64_MAX ? INT64_MIN : stream_ms;
}
