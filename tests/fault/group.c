#include "group.h"

#include "base/contract.h"
#include "clock.h"
#include "random.h"

#include <string.h>

enum { POLL_NS = 20000000 };

void ow_group_init(struct ow_group *group)
{
    memset(group, 0, sizeof(*group));
    for (size_t place = 0; place < OW_STORY_PARTITIONS; place++) {
        group->committed[place].offset = -1;
    }
}

static struct ow_group_reader *reader_of(struct ow_source *source)
{
    return (struct ow_group_reader *)(void *)source; /* its first member */
}

static size_t place_of(const char *topic, int32_t partition)
{
    const struct ow_record record = {.topic = ow_slice_of(topic), .partition = partition};
    return ow_story_place(&record);
}

static const struct ow_partition_offset *all(void)
{
    static struct ow_partition_offset list[OW_STORY_PARTITIONS];
    for (size_t place = 0; place < OW_STORY_PARTITIONS; place++) {
        list[place].topic = ow_story_topic(place, &list[place].partition);
        list[place].offset = -1;
    }
    return list;
}

/* Whether nothing comes for a moment before a record. */
static bool rests(struct ow_group_reader *reader)
{
    struct ow_random random = ow_random_stream(reader->cuts, 1000 + reader->next);
    const bool rest = !reader->rested && ow_random_percent(&random, 20);
    reader->rested = rest;
    return rest;
}

static void poll(struct ow_source *source, int timeout_ms, struct ow_source_event *ret_event)
{
    (void)timeout_ms;
    struct ow_group_reader *reader = reader_of(source);
    *ret_event = (struct ow_source_event){.kind = OW_SOURCE_IDLE};
    ow_sim_clock_pass_ns(POLL_NS);
    if (reader->polled != NULL) {
        reader->polled(reader->context);
    }
    if (!reader->asked) {
        reader->asked = true;
        *ret_event = (struct ow_source_event){.kind = OW_SOURCE_ASSIGNED,
                                              .partitions = all(),
                                              .partition_count = OW_STORY_PARTITIONS};
        return;
    }
    while (reader->assigned && !reader->paused && reader->next < reader->record_end) {
        const struct ow_record *record = &reader->story->records[reader->next];
        if (record->offset >= reader->positions[ow_story_place(record)]) {
            if (rests(reader)) {
                return;
            }
            reader->next++;
            *ret_event = (struct ow_source_event){.kind = OW_SOURCE_RECORD, .record = *record};
            return;
        }
        reader->next++;
    }
    if (reader->assigned && !reader->paused && reader->ends_told < OW_STORY_PARTITIONS) {
        const size_t place = reader->ends_told++;
        struct ow_record end = {.offset = ow_story_end(reader->story, place, reader->record_end)};
        end.topic = ow_slice_of(ow_story_topic(place, &end.partition));
        *ret_event = (struct ow_source_event){.kind = OW_SOURCE_END, .record = end};
    }
}

static enum ow_status committed(struct ow_source *source, struct ow_partition_offset *list,
                                size_t count, struct ow_err *err)
{
    (void)err;
    for (size_t i = 0; i < count; i++) {
        const size_t place = place_of(list[i].topic, list[i].partition);
        list[i].offset = reader_of(source)->group->committed[place].offset;
        memcpy(list[i].metadata, reader_of(source)->group->committed[place].metadata,
               OW_METADATA_BYTES);
    }
    return OW_OK;
}

static enum ow_status bounds(struct ow_source *source, const char *topic, int32_t partition,
                             int64_t *ret_low, int64_t *ret_high, struct ow_err *err)
{
    (void)err;
    const struct ow_group_reader *reader = reader_of(source);
    *ret_low = 0;
    *ret_high = ow_story_end(reader->story, place_of(topic, partition), reader->record_end);
    return OW_OK;
}

static enum ow_status offset_for_time(struct ow_source *source, const char *topic,
                                      int32_t partition, int64_t time_ms, int64_t *ret_offset,
                                      struct ow_err *err)
{
    (void)source, (void)topic, (void)partition, (void)time_ms, (void)err;
    *ret_offset = -1;
    OW_IMPOSSIBLE("a story that starts at a time");
}

static enum ow_status partition_count(struct ow_source *source, const char *topic,
                                      int32_t *ret_count, struct ow_err *err)
{
    (void)source, (void)err;
    *ret_count = strcmp(topic, "order-events") == 0 ? 2 : 1;
    return OW_OK;
}

static enum ow_status member_count(struct ow_source *source, int32_t *ret_count, struct ow_err *err)
{
    (void)source, (void)err;
    *ret_count = 1;
    return OW_OK;
}

static enum ow_status assign(struct ow_source *source, const struct ow_partition_offset *list,
                             size_t count, struct ow_err *err)
{
    (void)err;
    struct ow_group_reader *reader = reader_of(source);
    OW_REQUIRE(count == OW_STORY_PARTITIONS);
    for (size_t i = 0; i < count; i++) {
        reader->positions[place_of(list[i].topic, list[i].partition)] = list[i].offset;
    }
    reader->assigned = true;
    reader->paused = false;
    reader->next = reader->ends_told = 0;
    return OW_OK;
}

static enum ow_status unassign(struct ow_source *source, struct ow_err *err)
{
    (void)err;
    reader_of(source)->assigned = reader_of(source)->asked = false;
    return OW_OK;
}

static enum ow_status commit(struct ow_source *source, const struct ow_partition_offset *list,
                             size_t count, bool wait, struct ow_err *err)
{
    (void)wait, (void)err;
    reader_of(source)->sent = true;
    for (size_t i = 0; i < count; i++) {
        const size_t place = place_of(list[i].topic, list[i].partition);
        reader_of(source)->group->committed[place].offset = list[i].offset;
        memcpy(reader_of(source)->group->committed[place].metadata, list[i].metadata,
               OW_METADATA_BYTES);
    }
    return OW_OK;
}

static bool commits_taken(struct ow_source *source)
{
    (void)source;
    return true;
}

static bool any_sent(struct ow_source *source)
{
    return reader_of(source)->sent;
}

static enum ow_status pause(struct ow_source *source, struct ow_err *err)
{
    (void)err;
    reader_of(source)->paused = true;
    return OW_OK;
}

static bool close(struct ow_source *source, int deadline_ms)
{
    (void)source, (void)deadline_ms;
    return true;
}

struct ow_source *ow_group_open(struct ow_group_reader *reader)
{
    static const struct ow_source_ops ops = {
        .poll = poll,
        .committed = committed,
        .bounds = bounds,
        .offset_for_time = offset_for_time,
        .partition_count = partition_count,
        .member_count = member_count,
        .assign = assign,
        .unassign = unassign,
        .commit = commit,
        .commits_taken = commits_taken,
        .any_sent = any_sent,
        .pause = pause,
        .close = close,
    };
    reader->source.ops = &ops;
    return &reader->source;
}
