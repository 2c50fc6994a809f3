#include "clock.h"
#include "counters.h"
#include "run.h"

#include <stdio.h>

/*
 * What an assignment must come to, by DESIGN 9, from what the group says and what the model knows:
 * where each partition goes on, or that the worker has to refuse.
 */

/* What a commit's metadata says, read by hand. */
struct metadata {
    bool ours;
    char store_id[OW_STORE_ID_BYTES];
    long long epoch, offset;
};

static struct metadata read_metadata(const char *text)
{
    struct metadata metadata = {0};
    /* NOLINTNEXTLINE(cert-err34-c): what this program wrote itself, or another one of its tests */
    metadata.ours = sscanf(text, "onceward/1 s=%32s e=%lld o=%lld", metadata.store_id,
                           &metadata.epoch, &metadata.offset) == 3;
    return metadata;
}

static void refuse(struct ow_sim_run *run)
{
    run->expectation.refused = true;
}

/* The offset that an operator gave and that was honoured before; -1: none. */
static int64_t seen_committed(struct ow_sim_run *run, const struct ow_log *log)
{
    sqlite3_stmt *statement = NULL;
    int64_t seen = -1;
    ow_vfs_set_quiet(true);
    if (run->observer.handle != NULL &&
        sqlite3_prepare_v2(run->observer.handle,
                           "SELECT coalesce(seen_committed, -1) FROM ow_position WHERE topic = ?"
                           " AND partition = ?",
                           -1, &statement, NULL) == SQLITE_OK) {
        (void)sqlite3_bind_text(statement, 1, log->topic, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int(statement, 2, log->partition);
        seen = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    }
    (void)sqlite3_finalize(statement);
    ow_vfs_set_quiet(false);
    return seen;
}

static void expect_without_position(struct ow_sim_run *run, const struct ow_log *log, size_t index,
                                    const struct metadata *metadata)
{
    run->expectation.partitions[index].kind = OW_EXPECT_START;
    if (log->committed < 0) {
        run->expectation.partitions[index].at = log->low;
        return;
    }
    run->expectation.partitions[index].at = log->committed;
    if (metadata->ours && metadata->offset == log->committed) {
        refuse(run); /* this store committed it, and the file does not know of it */
    }
}

static void expect_partition(struct ow_sim_run *run, const struct ow_log *log, size_t index)
{
    const struct ow_model_partition *partition = &run->model.partitions[index];
    const struct metadata metadata = read_metadata(log->metadata);
    const bool untouched = metadata.ours && metadata.offset == log->committed;
    run->expectation.partitions[index].committed = log->committed;
    run->expectation.partitions[index].kind = OW_EXPECT_STORED;
    run->expectation.partitions[index].at = partition->next;
    if (metadata.ours &&
        (strcmp(metadata.store_id, run->store_id) != 0 || metadata.epoch > run->epoch)) {
        refuse(run);
        return;
    }
    if (!partition->stored) {
        expect_without_position(run, log, index, &metadata);
    } else if (untouched && log->committed > partition->high) {
        refuse(run);
    } else if (log->committed >= 0 && !untouched && log->committed != partition->next &&
               (metadata.ours || log->committed != seen_committed(run, log))) {
        const bool back = log->committed < partition->next;
        run->expectation.partitions[index].kind = back ? OW_EXPECT_REWIND : OW_EXPECT_SKIP;
        run->expectation.partitions[index].at = log->committed;
        if (!back && !run->skips_honoured) {
            refuse(run);
        }
    }
    const int64_t at = run->expectation.partitions[index].at;
    if (at < log->low || at > log->end) {
        refuse(run);
    }
}

/* The committed offsets were asked for: the assignment is being planned. */
void ow_expect_plan(struct ow_sim_run *run)
{
    if (ow_run_is_disowned(run)) {
        return;
    }
    ow_observe(run);
    run->expectation = (struct ow_expectation){.open = true, .count = run->broker.log_count};
    for (size_t i = 0; i < run->broker.log_count; i++) {
        expect_partition(run, &run->broker.logs[i], i);
    }
    run->may_be_unsafe = run->may_be_unsafe || run->expectation.refused;
}

/* Whether an assignment changes anything in the store. */
static bool moves(const struct ow_expectation *expectation)
{
    for (size_t i = 0; i < expectation->count; i++) {
        if (expectation->partitions[i].kind != OW_EXPECT_STORED) {
            return true;
        }
    }
    return false;
}

void ow_expect_fetch(struct ow_sim_run *run, const struct ow_partition_offset *list, size_t count)
{
    if (ow_run_is_disowned(run)) {
        return;
    }
    if (ow_run_is_over(run)) {
        ow_count_if(run->expectation.open && ow_vfs_struck() != NULL,
                    OW_SOMETIMES_CRASH_IN_ASSIGNMENT);
        return;
    }
    if (run->expectation.refused || run->broker.members > 1) {
        ow_run_fail(run, "assignment", "the worker went on where it had to refuse");
        return;
    }
    if (count != run->expectation.count) {
        ow_run_fail(run, "assignment", "%zu partitions are fetched, and there are %zu", count,
                    run->expectation.count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct ow_log *log =
            ow_broker_log(&run->broker, ow_slice_of(list[i].topic), list[i].partition);
        const size_t index = ow_broker_index(&run->broker, log);
        const int64_t at = run->expectation.partitions[index].at;
        /* What is in work may have moved the position since it was looked at: it knows better. */
        const bool older = run->plan->decode_threads > 0 &&
                           run->expectation.partitions[index].kind == OW_EXPECT_STORED &&
                           list[i].offset < at;
        if (list[i].offset != at && list[i].offset != at - 1 && !older) {
            ow_run_fail(run, "assignment", "%s[%d] is fetched from %lld, not from %lld", log->topic,
                        (int)log->partition, (long long)list[i].offset, (long long)at);
            return;
        }
    }
    ow_run_forget_pending(run); /* of the assignment before: dropped, and delivered again */
    ow_observe(run);
    ow_count_if(run->expectation.open && moves(&run->expectation), OW_SOMETIMES_ASSIGNMENT_WAITS);
}
