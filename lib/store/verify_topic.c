#include "store/verify_topic.h"

#include "store/internal.h"
#include "store/verify_topic_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The last one stays NULL. */
enum { EXAMPLES = sizeof(((struct ow_promise *)0)->examples) / sizeof(const char *) - 1 };

void ow_verify_topic_checked(struct ow_verify_topic *topic, enum ow_topic_promise promise)
{
    topic->promises[promise].checked++;
}

void ow_verify_topic_broken(struct ow_verify_topic *topic, enum ow_topic_promise promise,
                            int64_t offset, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    struct ow_promise *broken = &topic->promises[promise];
    if (broken->broken < EXAMPLES) {
        broken->examples[broken->broken] =
            ow_arena_printf(topic->arena, "%s[%d] offset %" PRId64 " %s", topic->partition.name,
                            (int)topic->partition.number, offset, text);
    }
    broken->broken++;
}

static enum ow_status begin_snapshot(struct ow_verify_topic *topic, struct ow_err *err)
{
    topic->began_ns = ow_clock_elapsed_ns(&topic->options.clock);
    return ow_sql_exec(&topic->sql, "BEGIN", err);
}

/* Snapshots stay short, so that a worker's WAL can be reset. */
static enum ow_status breathe(struct ow_verify_topic *topic, struct ow_err *err)
{
    enum { SNAPSHOT_NS = 250000000 };
    if (ow_clock_elapsed_ns(&topic->options.clock) - topic->began_ns < SNAPSHOT_NS) {
        return OW_OK;
    }
    OW_TRY(ow_sql_commit(&topic->sql, err));
    return begin_snapshot(topic, err);
}

static void make_promises(struct ow_verify_topic *topic)
{
    static const struct ow_promise table[OW_TOPIC_PROMISE_COUNT] = {
#define OW_TOPIC_PROMISE_ROW(id, text, sentence)                                                   \
    [OW_TOPIC_PROMISE_##id] = {.name = (text), .meaning = (sentence)},
        OW_TOPIC_PROMISE_TABLE(OW_TOPIC_PROMISE_ROW)
#undef OW_TOPIC_PROMISE_ROW
    };
    memcpy(topic->promises, table, sizeof(table));
}

static enum ow_status open_store(struct ow_verify_topic *topic, struct ow_err *err)
{
    static const char *const texts[] = {
#define OW_TOPIC_STATEMENT_TEXT(name, text) (text),
        OW_TOPIC_STATEMENT_TABLE(OW_TOPIC_STATEMENT_TEXT)
#undef OW_TOPIC_STATEMENT_TEXT
    };
    const char *path = topic->options.path;
    const char *resolved = NULL;
    OW_TRY(ow_store_open_reader(&topic->sql, path, topic->arena, &resolved, err));
    for (size_t i = 0; i < OW_TOPIC_STATEMENT_COUNT; i++) {
        OW_TRY(ow_sql_prepare(&topic->sql, texts[i], &topic->statements[i], err));
    }
    OW_TRY(
        ow_store_key_load(&topic->sql, topic->options.hash_key_file, false, &topic->hash_key, err));
    OW_TRY(ow_explain_machine_load(&topic->machines, &topic->sql, topic->arena, err));
    return begin_snapshot(topic, err);
}

enum ow_status ow_verify_topic_open(const struct ow_verify_topic_options *options,
                                    struct ow_arena *arena, struct ow_verify_topic **ret_topic,
                                    struct ow_err *err)
{
    struct ow_verify_topic *topic = OW_ARENA_NEW(arena, struct ow_verify_topic);
    topic->options = *options;
    topic->arena = arena;
    topic->page = OW_ARENA_ARRAY(arena, OW_TOPIC_PAGE, struct ow_topic_run);
    ow_arena_init(&topic->scratch, 65536);
    ow_map_init(&topic->begun, arena);
    topic->decoder = (struct ow_decoder){.hash_key = &topic->hash_key,
                                         .record_bytes_max = options->record_bytes_max};
    make_promises(topic);
    const enum ow_status status = open_store(topic, err);
    if (status != OW_OK) {
        ow_verify_topic_close(topic);
        return status == OW_STORE_UNKNOWN ? OW_FAILED : status; /* nothing was being committed */
    }
    *ret_topic = topic;
    return OW_OK;
}

const char *const *ow_verify_topic_names(struct ow_verify_topic *topic, size_t *ret_count)
{
    const char *const *names = ow_machines_topics(&topic->machines.newest, topic->arena, ret_count);
    const char **kept = OW_ARENA_ARRAY(topic->arena, *ret_count, const char *);
    for (size_t i = 0; i < *ret_count; i++) {
        kept[i] = ow_arena_text(topic->arena, ow_slice_of(names[i]));
    }
    return kept;
}

static enum ow_status read_position(struct ow_verify_topic *topic, struct ow_err *err)
{
    struct ow_topic_partition *partition = &topic->partition;
    struct ow_statement *read = ow_topic_statement(topic, OW_TOPIC_STATEMENT_POSITION);
    ow_sql_bind_cstr(read, partition->name);
    ow_sql_bind_i64(read, partition->number);
    OW_TRY(ow_sql_step(read, &partition->has_position, err));
    if (!partition->has_position) {
        return OW_OK;
    }
    partition->incarnation = ow_sql_i64(read, 0);
    partition->next_offset = ow_sql_i64(read, 1);
    partition->high_offset = ow_sql_i64(read, 2);
    partition->began_ref = ow_sql_i64(read, 4);
    const struct ow_slice anchor = ow_sql_slice(read, 3);
    partition->has_anchor = anchor.len == sizeof(partition->anchor);
    if (partition->has_anchor) {
        memcpy(partition->anchor, anchor.ptr, anchor.len);
    }
    ow_sql_reset(read);
    return ow_verify_topic_run_begin(topic, err);
}

enum ow_status ow_verify_topic_begin(struct ow_verify_topic *topic, const char *name,
                                     int32_t partition, int64_t low, int64_t high,
                                     struct ow_err *err)
{
    const struct ow_slice place =
        ow_slice_of(ow_arena_printf(topic->arena, "%s/%d", name, (int)partition));
    topic->partition = (struct ow_topic_partition){.name = name,
                                                   .number = partition,
                                                   .low = low,
                                                   .high = high,
                                                   .first_offset = INT64_MAX,
                                                   .runs = topic->page,
                                                   .handled_offset = -1};
    ow_map_put(&topic->begun, place, topic);
    OW_TRY(breathe(topic, err));
    OW_TRY(read_position(topic, err)); /* all of one snapshot */
    if (topic->partition.has_position && high < topic->partition.high_offset) {
        ow_verify_topic_checked(topic, OW_TOPIC_PROMISE_ANCHORS);
        ow_verify_topic_broken(
            topic, OW_TOPIC_PROMISE_ANCHORS, topic->partition.high_offset,
            "is the high mark, and the topic ends at %" PRId64 ": it was made anew, or cut", high);
        topic->partition.has_anchor = false;
    }
    return OW_OK;
}

enum ow_status ow_verify_topic_record(struct ow_verify_topic *topic, const struct ow_record *record,
                                      struct ow_err *err)
{
    struct ow_topic_partition *partition = &topic->partition;
    struct ow_topic_run *run = NULL;
    topic->remarks.records++;
    if (!partition->has_position || record->offset >= partition->high_offset) {
        topic->remarks.not_handled++;
        return OW_OK;
    }
    if (record->offset < partition->next_offset) {
        ow_hash_anchor(&topic->hash_key, record->offset, record->key, record->value,
                       partition->handled_anchor);
        partition->handled_offset = record->offset;
    }
    if (record->offset < partition->first_offset) {
        topic->remarks.before_start++;
        return OW_OK;
    }
    OW_TRY(ow_verify_topic_run_of(topic, record->offset, &run, err));
    if (run == NULL) {
        ow_verify_topic_checked(topic, OW_TOPIC_PROMISE_OUTCOMES);
        ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_OUTCOMES, record->offset,
                               "has no outcome: no run of the ledger has it");
        return OW_OK;
    }
    run->found++;
    OW_TRY(ow_verify_topic_judge(topic, record, run->outcome, err));
    ow_arena_reset(&topic->scratch);
    return breathe(topic, err);
}

/* Where the last handled record is there, its anchor is the position's. Where there is none at its
 * offset, and another one before it has not that anchor, compaction may have taken it. */
static void check_anchor(struct ow_verify_topic *topic)
{
    const struct ow_topic_partition *partition = &topic->partition;
    if (!partition->has_anchor || partition->handled_offset < 0) {
        return;
    }
    const bool is_same =
        memcmp(partition->anchor, partition->handled_anchor, OW_CLAIM_KEY_BYTES) == 0;
    if (is_same || partition->handled_offset == partition->next_offset - 1) {
        ow_verify_topic_checked(topic, OW_TOPIC_PROMISE_ANCHORS);
    }
    if (!is_same && partition->handled_offset == partition->next_offset - 1) {
        ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_ANCHORS, partition->handled_offset,
                               "is the last handled record, and the position's anchor is of "
                               "another one: the topic was made anew, or the position changed");
    }
}

enum ow_status ow_verify_topic_end(struct ow_verify_topic *topic, struct ow_err *err)
{
    OW_TRY(ow_verify_topic_run_end(topic, err));
    check_anchor(topic);
    return breathe(topic, err);
}

/* Positions of partitions that the topics do not have. */
static enum ow_status check_positions(struct ow_verify_topic *topic, struct ow_err *err)
{
    struct ow_statement *read = ow_topic_statement(topic, OW_TOPIC_STATEMENT_POSITIONS);
    bool row = false;
    OW_TRY(ow_sql_step(read, &row, err));
    while (row) {
        const char *name = ow_arena_text(topic->arena, ow_sql_slice(read, 0));
        const int partition = (int)ow_sql_i64(read, 1);
        const char *place = ow_arena_printf(topic->arena, "%s/%d", name, partition);
        if (ow_machines_of_topic(&topic->machines.newest, ow_slice_of(name)) != NULL &&
            ow_map_get(&topic->begun, ow_slice_of(place)) == NULL) {
            topic->partition = (struct ow_topic_partition){.name = name, .number = partition};
            ow_verify_topic_checked(topic, OW_TOPIC_PROMISE_ANCHORS);
            ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_ANCHORS, 0,
                                   "has a position, and the topic has no such partition");
        }
        OW_TRY(ow_sql_step(read, &row, err));
    }
    return OW_OK;
}

enum ow_status ow_verify_topic_finish(struct ow_verify_topic *topic,
                                      struct ow_verify_topic_result *ret_result, struct ow_err *err)
{
    OW_TRY(check_positions(topic, err));
    *ret_result = (struct ow_verify_topic_result){.promises = topic->promises,
                                                  .promise_count = OW_TOPIC_PROMISE_COUNT,
                                                  .remarks = topic->remarks};
    return OW_OK;
}

void ow_verify_topic_close(struct ow_verify_topic *topic)
{
    if (topic == NULL) {
        return;
    }
    for (size_t i = 0; i < OW_TOPIC_STATEMENT_COUNT; i++) {
        ow_sql_finalize(&topic->statements[i]);
    }
    ow_sql_rollback(&topic->sql);
    ow_sql_close(&topic->sql);
    ow_explain_machine_done(&topic->machines);
    ow_buffer_done(&topic->decoder.scratch);
    ow_arena_done(&topic->scratch);
}
