#include "restore_topics.h"

#include "kafka/reader.h"

#include <inttypes.h>
#include <stdio.h>

enum { CLOSE_MS = 5000 };

struct look {
    const struct ow_restore_facts *facts;
    struct ow_restore_topics *topics;
    size_t gone; /* partitions that do not hold any more what is needed */
    int64_t lost;
};

static const struct ow_restore_position *position_of(const struct ow_restore_facts *facts,
                                                     const struct ow_kafka_range *range)
{
    for (size_t i = 0; i < facts->position_count; i++) {
        if (facts->positions[i].partition == range->partition &&
            strcmp(facts->positions[i].topic, range->topic) == 0) {
            return &facts->positions[i];
        }
    }
    return NULL;
}

static void say_lost(struct look *look, const struct ow_kafka_range *range, int64_t from,
                     const char *who)
{
    look->gone++;
    look->lost += range->low - from;
    (void)fprintf(stderr,
                  "onceward: %s[%d]: %s offset %" PRId64 ", and the topic begins at %" PRId64
                  ": %" PRId64 " offsets between are gone\n",
                  range->topic, (int)range->partition, who, from, range->low, range->low - from);
}

/* What the worker will ask of the partition at its first run. */
static void look_at_partition(struct look *look, const struct ow_kafka_range *range,
                              const struct ow_partition_offset *committed)
{
    const struct ow_restore_position *position = position_of(look->facts, range);
    const struct ow_metadata metadata = ow_metadata_parse(ow_slice_of(committed->metadata));
    if (position == NULL && metadata.ours && range->low > 0) {
        say_lost(look, range, 0, "the backup does not know it, it would be read from");
    } else if (position != NULL && position->next_offset < range->low) {
        say_lost(look, range, position->next_offset, "the backup goes on at");
    } else if (position != NULL && position->next_offset > range->high) {
        look->gone++;
        (void)fprintf(stderr,
                      "onceward: %s[%d]: the backup goes on at offset %" PRId64
                      ", and the topic ends at %" PRId64 ": it was re-created or truncated\n",
                      range->topic, (int)range->partition, position->next_offset, range->high);
    }
    const int64_t from = position == NULL ? range->low : position->next_offset;
    if (metadata.ours && committed->offset > from) {
        look->topics->behind += committed->offset - from;
    }
}

static enum ow_status take_epoch(struct look *look, const struct ow_partition_offset *committed,
                                 struct ow_err *err)
{
    const struct ow_metadata metadata = ow_metadata_parse(ow_slice_of(committed->metadata));
    if (!metadata.ours) {
        return OW_OK;
    }
    if (strcmp(metadata.store_id, look->facts->store_id) != 0) {
        return ow_fail(err, OW_UNSAFE,
                       "%s[%d]: the group's offset %" PRId64
                       " was committed by another store (%s), "
                       "and the backup is of %s: it is not a backup of what this group worked with",
                       committed->topic, (int)committed->partition, committed->offset,
                       metadata.store_id, look->facts->store_id);
    }
    if (metadata.epoch > look->topics->group_epoch) {
        look->topics->group_epoch = metadata.epoch;
    }
    return OW_OK;
}

/* Positions that no partition answers to. */
static void look_at_rest(struct look *look, const struct ow_kafka_range *ranges, size_t count)
{
    for (size_t i = 0; i < look->facts->position_count; i++) {
        const struct ow_restore_position *position = &look->facts->positions[i];
        bool topic_read = false;
        bool found = false;
        for (size_t j = 0; j < count; j++) {
            const bool same = strcmp(ranges[j].topic, position->topic) == 0;
            topic_read = topic_read || same;
            found = found || (same && ranges[j].partition == position->partition);
        }
        if (topic_read && !found) {
            look->gone++;
            (void)fprintf(stderr,
                          "onceward: %s[%d]: the backup has a position in it, and the topic has no "
                          "such partition: it was re-created\n",
                          position->topic, (int)position->partition);
        } else if (!topic_read) {
            (void)fprintf(stderr,
                          "onceward: %s[%d]: no machine reads the topic any more: not checked\n",
                          position->topic, (int)position->partition);
        }
    }
}

static enum ow_status look_at_all(struct look *look, struct ow_kafka_reader *reader,
                                  struct ow_arena *arena, struct ow_err *err)
{
    size_t count = 0;
    const struct ow_kafka_range *ranges = ow_kafka_reader_ranges(reader, &count);
    struct ow_partition_offset *committed =
        OW_ARENA_ARRAY(arena, count, struct ow_partition_offset);
    OW_TRY(ow_kafka_reader_committed(reader, committed, &look->topics->members, err));
    for (size_t i = 0; i < count; i++) {
        OW_TRY(take_epoch(look, &committed[i], err));
        look_at_partition(look, &ranges[i], &committed[i]);
    }
    look_at_rest(look, ranges, count);
    return look->gone == 0
               ? OW_OK
               : ow_fail(err, OW_UNSAFE,
                         "the topics do not hold any more what comes after this backup (%zu "
                         "partition%s, %" PRId64 " offsets): these records would have no effect. "
                         "Use a newer backup, or the old file. Knowing what is lost, restore with "
                         "--no-broker: run then refuses each such partition until 'onceward "
                         "positions' has said how to go on",
                         look->gone, look->gone == 1 ? "" : "s", look->lost);
}

enum ow_status ow_restore_topics_check(struct ow_config *config,
                                       const struct ow_restore_facts *facts,
                                       struct ow_restore_topics *ret_topics, struct ow_err *err)
{
    struct look look = {.facts = facts, .topics = ret_topics};
    struct ow_kafka_reader *reader = NULL;
    struct ow_kafka_options options = {.group = config->group,
                                       .properties = config->properties,
                                       .property_count = config->property_count};
    *ret_topics = (struct ow_restore_topics){0};
    options.topics = ow_machines_topics(&config->machines, &config->arena, &options.topic_count);
    OW_TRY(ow_kafka_reader_open(&options, &reader, err));
    const enum ow_status status = look_at_all(&look, reader, &config->arena, err);
    if (!ow_kafka_reader_close(reader, CLOSE_MS)) {
        /* librdkafka's threads are still at it: harmless, for nothing of ours is in their hands. */
        (void)fputs("onceward: the broker's side did not close in time\n", stderr);
    }
    return status;
}
