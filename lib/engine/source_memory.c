#include "engine/source_memory.h"

#include "base/arena.h"

#include <stdlib.h>

struct log_record {
    struct ow_record record;
    struct log_record *next;
};

struct log {
    const char *topic;
    int32_t partition;
    struct log_record *first, **end;
    int64_t low_offset, end_offset;
    int64_t made;      /* how many times anew */
    int64_t committed; /* -1: none */
    char metadata[OW_METADATA_BYTES];
    struct log *next;
};

struct ow_memory_broker {
    struct ow_arena arena;
    struct log *logs, **logs_end;
    size_t log_count;
    int32_t member_count;
};

struct fetcher {
    struct log *log;
    int64_t made;                  /* of the log that last is of */
    const struct log_record *last; /* given out; NULL: none since the assignment */
    int64_t position;
    int64_t end_told; /* the end offset that was told last; -1: none */
};

struct memory_source {
    struct ow_source source;
    struct ow_memory_broker *broker;
    struct ow_partition_offset *all; /* every partition there is; an assignment is its beginning */
    size_t assigned_count;
    struct fetcher *fetchers;
    size_t fetcher_count; /* 0: nothing is assigned */
    size_t turn;
    bool paused;
    bool asked; /* ASSIGNED was given out, and stands until unassign */
    bool revoke_next;
    bool any_sent;
};

struct ow_memory_broker *ow_memory_broker_open(void)
{
    struct ow_memory_broker *broker = calloc(1, sizeof(*broker));
    OW_INVARIANT(broker != NULL);
    ow_arena_init(&broker->arena, (size_t)64 * 1024);
    broker->logs_end = &broker->logs;
    broker->member_count = 1;
    return broker;
}

void ow_memory_broker_close(struct ow_memory_broker *broker)
{
    if (broker != NULL) {
        ow_arena_done(&broker->arena);
        free(broker);
    }
}

void ow_memory_broker_topic(struct ow_memory_broker *broker, const char *topic,
                            int32_t partition_count)
{
    const char *name = ow_arena_text(&broker->arena, ow_slice_of(topic));
    for (int32_t partition = 0; partition < partition_count; partition++) {
        struct log *log = OW_ARENA_NEW(&broker->arena, struct log);
        *log = (struct log){.topic = name, .partition = partition, .committed = -1};
        log->end = &log->first;
        *broker->logs_end = log;
        broker->logs_end = &log->next;
        broker->log_count++;
    }
}

static struct log *find_log(const struct ow_memory_broker *broker, struct ow_slice topic,
                            int32_t partition)
{
    struct log *log = broker->logs;
    for (;; log = log->next) {
        OW_REQUIRE(log != NULL); /* topics are made before they are used */
        if (log->partition == partition && ow_slice_equals_text(topic, log->topic)) {
            return log;
        }
    }
}

void ow_memory_broker_append(struct ow_memory_broker *broker, const struct ow_record *record)
{
    struct log *log = find_log(broker, record->topic, record->partition);
    struct log_record *entry = OW_ARENA_NEW(&broker->arena, struct log_record);
    struct ow_header *headers =
        OW_ARENA_ARRAY(&broker->arena, record->header_count, struct ow_header);
    for (size_t i = 0; i < record->header_count; i++) {
        headers[i].name = ow_arena_copy(&broker->arena, record->headers[i].name);
        headers[i].value = ow_arena_copy(&broker->arena, record->headers[i].value);
    }
    entry->record = *record;
    entry->record.topic = ow_slice_of(log->topic);
    entry->record.key = ow_arena_copy(&broker->arena, record->key);
    entry->record.value = ow_arena_copy(&broker->arena, record->value);
    entry->record.headers = headers;
    entry->record.offset = record->offset > log->end_offset ? record->offset : log->end_offset;
    log->end_offset = entry->record.offset + 1;
    *log->end = entry;
    log->end = &entry->next;
}

void ow_memory_broker_skip(struct ow_memory_broker *broker, const char *topic, int32_t partition,
                           int64_t to_offset)
{
    struct log *log = find_log(broker, ow_slice_of(topic), partition);
    log->end_offset = to_offset > log->end_offset ? to_offset : log->end_offset;
}

void ow_memory_broker_recreate(struct ow_memory_broker *broker, const char *topic,
                               int32_t partition)
{
    struct log *log = find_log(broker, ow_slice_of(topic), partition);
    log->first = NULL;
    log->end = &log->first;
    log->low_offset = log->end_offset = 0;
    log->made++;
}

void ow_memory_broker_delete(struct ow_memory_broker *broker, const char *topic, int32_t partition,
                             int64_t before_offset)
{
    struct log *log = find_log(broker, ow_slice_of(topic), partition);
    OW_REQUIRE(before_offset <= log->end_offset);
    while (log->first != NULL && log->first->record.offset < before_offset) {
        log->first = log->first->next;
    }
    log->end = log->first == NULL ? &log->first : log->end;
    log->low_offset = before_offset > log->low_offset ? before_offset : log->low_offset;
}

void ow_memory_broker_members(struct ow_memory_broker *broker, int32_t count)
{
    broker->member_count = count;
}

void ow_memory_broker_reset(struct ow_memory_broker *broker, const char *topic, int32_t partition,
                            int64_t offset)
{
    struct log *log = find_log(broker, ow_slice_of(topic), partition);
    log->committed = offset;
    log->metadata[0] = '\0';
}

int64_t ow_memory_broker_committed(const struct ow_memory_broker *broker, const char *topic,
                                   int32_t partition)
{
    return find_log(broker, ow_slice_of(topic), partition)->committed;
}

static struct memory_source *memory_of(struct ow_source *source)
{
    return (struct memory_source *)(void *)source;
}

/* The next record of a fetcher, or each end once; false where it has nothing to tell. */
static bool fetch(struct fetcher *fetcher, struct ow_source_event *ret_event)
{
    const bool goes_on = fetcher->last != NULL && fetcher->made == fetcher->log->made;
    const struct log_record *entry = goes_on ? fetcher->last->next : fetcher->log->first;
    while (entry != NULL && entry->record.offset < fetcher->position) {
        entry = entry->next;
    }
    if (entry != NULL) {
        fetcher->last = entry;
        fetcher->made = fetcher->log->made;
        fetcher->position = entry->record.offset + 1;
        *ret_event = (struct ow_source_event){.kind = OW_SOURCE_RECORD, .record = entry->record};
        return true;
    }
    if (fetcher->end_told == fetcher->log->end_offset) {
        return false;
    }
    fetcher->end_told = fetcher->log->end_offset;
    *ret_event = (struct ow_source_event){
        .kind = OW_SOURCE_END,
        .record = {.topic = ow_slice_of(fetcher->log->topic),
                   .partition = fetcher->log->partition,
                   .offset = fetcher->log->end_offset}
    };
    return true;
}

static void memory_poll(struct ow_source *source, int timeout_ms, struct ow_source_event *ret_event)
{
    (void)timeout_ms;
    struct memory_source *memory = memory_of(source);
    *ret_event = (struct ow_source_event){.kind = OW_SOURCE_IDLE};
    if (!memory->asked) {
        memory->asked = true;
        *ret_event = (struct ow_source_event){.kind = OW_SOURCE_ASSIGNED,
                                              .partitions = memory->all,
                                              .partition_count = memory->assigned_count};
        return;
    }
    if (memory->revoke_next) {
        memory->revoke_next = false;
        *ret_event = (struct ow_source_event){.kind = OW_SOURCE_REVOKED,
                                              .partitions = memory->all,
                                              .partition_count = memory->assigned_count};
        return;
    }
    for (size_t i = 0; i < memory->fetcher_count && !memory->paused; i++) {
        /* One partition after the other, a record each: the interleaving that is easiest to read in
         * a transcript. */
        memory->turn = (memory->turn + 1) % memory->fetcher_count;
        if (fetch(&memory->fetchers[memory->turn], ret_event)) {
            return;
        }
    }
}

static enum ow_status memory_committed(struct ow_source *source, struct ow_partition_offset *list,
                                       size_t count, struct ow_err *err)
{
    (void)err;
    for (size_t i = 0; i < count; i++) {
        const struct log *log =
            find_log(memory_of(source)->broker, ow_slice_of(list[i].topic), list[i].partition);
        list[i].offset = log->committed;
        memcpy(list[i].metadata, log->metadata, sizeof(log->metadata));
    }
    return OW_OK;
}

static enum ow_status memory_bounds(struct ow_source *source, const char *topic, int32_t partition,
                                    int64_t *ret_low, int64_t *ret_high, struct ow_err *err)
{
    (void)err;
    const struct log *log = find_log(memory_of(source)->broker, ow_slice_of(topic), partition);
    *ret_low = log->low_offset;
    *ret_high = log->end_offset;
    return OW_OK;
}

static enum ow_status memory_offset_for_time(struct ow_source *source, const char *topic,
                                             int32_t partition, int64_t time_ms,
                                             int64_t *ret_offset, struct ow_err *err)
{
    (void)err;
    const struct log *log = find_log(memory_of(source)->broker, ow_slice_of(topic), partition);
    const struct log_record *entry = log->first;
    while (entry != NULL && entry->record.timestamp_ms < time_ms) {
        entry = entry->next;
    }
    *ret_offset = entry == NULL ? log->end_offset : entry->record.offset;
    return OW_OK;
}

static enum ow_status memory_partition_count(struct ow_source *source, const char *topic,
                                             int32_t *ret_count, struct ow_err *err)
{
    (void)err;
    int32_t count = 0;
    for (const struct log *log = memory_of(source)->broker->logs; log != NULL; log = log->next) {
        count += strcmp(log->topic, topic) == 0;
    }
    *ret_count = count;
    return OW_OK;
}

static enum ow_status memory_member_count(struct ow_source *source, int32_t *ret_count,
                                          struct ow_err *err)
{
    (void)err;
    *ret_count = memory_of(source)->broker->member_count;
    return OW_OK;
}

static enum ow_status memory_assign(struct ow_source *source,
                                    const struct ow_partition_offset *list, size_t count,
                                    struct ow_err *err)
{
    (void)err;
    struct memory_source *memory = memory_of(source);
    memory->paused = false;
    memory->fetcher_count = count;
    for (size_t i = 0; i < count; i++) {
        memory->fetchers[i] = (struct fetcher){
            .log = find_log(memory->broker, ow_slice_of(list[i].topic), list[i].partition),
            .position = list[i].offset,
            .end_told = -1};
    }
    memory->turn = count - 1; /* the first partition comes first */
    return OW_OK;
}

static enum ow_status memory_unassign(struct ow_source *source, struct ow_err *err)
{
    (void)err;
    memory_of(source)->fetcher_count = 0;
    memory_of(source)->asked = false;
    return OW_OK;
}

static enum ow_status memory_commit(struct ow_source *source,
                                    const struct ow_partition_offset *list, size_t count, bool wait,
                                    struct ow_err *err)
{
    (void)wait;
    (void)err;
    memory_of(source)->any_sent = true;
    for (size_t i = 0; i < count; i++) {
        struct log *log =
            find_log(memory_of(source)->broker, ow_slice_of(list[i].topic), list[i].partition);
        log->committed = list[i].offset;
        memcpy(log->metadata, list[i].metadata, sizeof(log->metadata));
    }
    return OW_OK;
}

static bool memory_commits_taken(struct ow_source *source)
{
    (void)source;
    return true;
}

static bool memory_any_sent(struct ow_source *source)
{
    return memory_of(source)->any_sent;
}

static enum ow_status memory_pause(struct ow_source *source, struct ow_err *err)
{
    (void)err;
    OW_REQUIRE(!memory_of(source)->paused);
    memory_of(source)->paused = true;
    return OW_OK;
}

static bool memory_close(struct ow_source *source, int deadline_ms)
{
    (void)deadline_ms;
    struct memory_source *memory = memory_of(source);
    free(memory->all);
    free(memory->fetchers);
    free(memory);
    return true;
}

struct ow_source *ow_memory_source_open(struct ow_memory_broker *broker)
{
    static const struct ow_source_ops ops = {
        .poll = memory_poll,
        .committed = memory_committed,
        .bounds = memory_bounds,
        .offset_for_time = memory_offset_for_time,
        .partition_count = memory_partition_count,
        .member_count = memory_member_count,
        .assign = memory_assign,
        .unassign = memory_unassign,
        .commit = memory_commit,
        .commits_taken = memory_commits_taken,
        .any_sent = memory_any_sent,
        .pause = memory_pause,
        .close = memory_close,
    };
    struct memory_source *memory = calloc(1, sizeof(*memory));
    OW_INVARIANT(memory != NULL);
    memory->source.ops = &ops;
    memory->broker = broker;
    memory->all = calloc(broker->log_count + 1, sizeof(*memory->all));
    memory->fetchers = calloc(broker->log_count + 1, sizeof(*memory->fetchers));
    OW_INVARIANT(memory->all != NULL && memory->fetchers != NULL);
    size_t count = 0;
    for (const struct log *log = broker->logs; log != NULL; log = log->next) {
        memory->all[count++] = (struct ow_partition_offset){
            .topic = log->topic, .partition = log->partition, .offset = -1};
    }
    memory->assigned_count = count;
    return (struct ow_source *)(void *)memory; /* its first member */
}

void ow_memory_source_rebalance(struct ow_source *source)
{
    memory_of(source)->revoke_next = true;
}

void ow_memory_source_assign_only(struct ow_source *source, size_t count)
{
    OW_REQUIRE(count <= memory_of(source)->broker->log_count);
    memory_of(source)->assigned_count = count;
}
