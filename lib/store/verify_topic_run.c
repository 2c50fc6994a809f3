#include "store/verify_topic_internal.h"

#include <inttypes.h>

static void read_run(const struct ow_statement *row, struct ow_topic_run *run)
{
    *run = (struct ow_topic_run){.first_offset = ow_sql_i64(row, 0),
                                 .last_offset = ow_sql_i64(row, 1),
                                 .records = ow_sql_i64(row, 2)};
    const struct ow_slice outcome = ow_sql_slice(row, 3);
    const size_t len = outcome.len < sizeof(run->outcome) ? outcome.len : sizeof(run->outcome) - 1;
    memcpy(run->outcome, outcome.ptr, len);
}

static void bind_partition(struct ow_statement *statement,
                           const struct ow_topic_partition *partition)
{
    ow_sql_bind_cstr(statement, partition->name);
    ow_sql_bind_i64(statement, partition->number);
    ow_sql_bind_i64(statement, partition->incarnation);
}

/* The runs behind an offset, up to the one that was the last when the partition began. */
static enum ow_status read_page(struct ow_verify_topic *topic, int64_t behind, struct ow_err *err)
{
    struct ow_topic_partition *partition = &topic->partition;
    struct ow_statement *read = ow_topic_statement(topic, OW_TOPIC_STATEMENT_RUNS);
    bool row = false;
    partition->run = partition->run_count = 0;
    bind_partition(read, partition);
    ow_sql_bind_i64(read, behind);
    ow_sql_bind_i64(read, OW_TOPIC_PAGE);
    OW_TRY(ow_sql_step(read, &row, err));
    while (row) {
        struct ow_topic_run *run = &partition->runs[partition->run_count++];
        read_run(read, run);
        OW_TRY(ow_sql_step(read, &row, err));
    }
    partition->runs_ended = partition->run_count < OW_TOPIC_PAGE;
    for (size_t i = 0; i < partition->run_count; i++) {
        if (partition->runs[i].first_offset >= partition->last_run.first_offset) {
            partition->runs[i] = partition->last_run;
            partition->run_count = i + 1;
            partition->runs_ended = true;
        }
    }
    return OW_OK;
}

enum ow_status ow_verify_topic_run_begin(struct ow_verify_topic *topic, struct ow_err *err)
{
    struct ow_statement *last = ow_topic_statement(topic, OW_TOPIC_STATEMENT_LAST_RUN);
    bool row = false;
    bind_partition(last, &topic->partition);
    OW_TRY(ow_sql_step(last, &row, err));
    if (!row) {
        topic->partition.runs_ended = true;
        return OW_OK;
    }
    read_run(last, &topic->partition.last_run);
    ow_sql_reset(last);
    OW_TRY(read_page(topic, -1, err));
    topic->partition.first_offset = topic->partition.runs[0].first_offset;
    return OW_OK;
}

/* A run is over: the topic has to hold what it says, as far as it still holds what it did. */
static void close_run(struct ow_verify_topic *topic, const struct ow_topic_run *run)
{
    const struct ow_topic_partition *partition = &topic->partition;
    const int64_t span = run->last_offset - run->first_offset + 1;
    if (strcmp(run->outcome, "skipped") == 0 || strcmp(run->outcome, "lost") == 0) {
        return;
    }
    if (run->found > run->records) {
        ow_verify_topic_checked(topic, OW_TOPIC_PROMISE_RUNS);
        ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_RUNS, run->first_offset,
                               "the run to %" PRId64 " (%s) counts %" PRId64
                               " records, the topic holds %" PRId64,
                               run->last_offset, run->outcome, run->records, run->found);
        return;
    }
    if (run->found < run->records && (run->first_offset < partition->low || run->found < span)) {
        struct ow_verify_topic_remarks *remarks = &topic->remarks;
        enum { EXAMPLES = sizeof(remarks->examples) / sizeof(remarks->examples[0]) - 1 };
        if (remarks->runs_gone < EXAMPLES) {
            remarks->examples[remarks->runs_gone] =
                ow_arena_printf(topic->arena,
                                "%s[%d] %" PRId64 " to %" PRId64 ": %" PRId64 " of %" PRId64
                                " records are there, the topic begins at %" PRId64,
                                partition->name, (int)partition->number, run->first_offset,
                                run->last_offset, run->found, run->records, partition->low);
        }
        remarks->runs_gone++;
        return;
    }
    ow_verify_topic_checked(topic, OW_TOPIC_PROMISE_RUNS);
    if (run->found < run->records) {
        ow_verify_topic_broken(topic, OW_TOPIC_PROMISE_RUNS, run->first_offset,
                               "the run to %" PRId64 " (%s) counts %" PRId64
                               " records, there is room for %" PRId64,
                               run->last_offset, run->outcome, run->records, span);
    }
}

/* Closes the run where we are and goes on to the next one; *ret_more false: there is none. */
static enum ow_status next_run(struct ow_verify_topic *topic, bool *ret_more, struct ow_err *err)
{
    struct ow_topic_partition *partition = &topic->partition;
    *ret_more = partition->run < partition->run_count;
    if (!*ret_more) {
        return OW_OK;
    }
    const struct ow_topic_run *run = &partition->runs[partition->run++];
    const int64_t behind = run->first_offset;
    close_run(topic, run);
    if (partition->run == partition->run_count && !partition->runs_ended) {
        OW_TRY(read_page(topic, behind, err));
    }
    *ret_more = partition->run < partition->run_count;
    return OW_OK;
}

enum ow_status ow_verify_topic_run_of(struct ow_verify_topic *topic, int64_t offset,
                                      struct ow_topic_run **ret_run, struct ow_err *err)
{
    struct ow_topic_partition *partition = &topic->partition;
    bool more = partition->run < partition->run_count;
    while (more && partition->runs[partition->run].last_offset < offset) {
        OW_TRY(next_run(topic, &more, err));
    }
    *ret_run = more && partition->runs[partition->run].first_offset <= offset
                   ? &partition->runs[partition->run]
                   : NULL;
    return OW_OK;
}

enum ow_status ow_verify_topic_run_end(struct ow_verify_topic *topic, struct ow_err *err)
{
    bool more = true;
    while (more) {
        OW_TRY(next_run(topic, &more, err));
    }
    return OW_OK;
}
