#include "base/failpoint.h"
#include "base/log.h"
#include "engine/consume_internal.h"

enum { COMMIT_MS = 1000, COMMIT_RECORDS = 10000 };

/*
 * What is durable and not committed yet. Nothing before the assignment is applied: until then the
 * table holds the position from before it, and that would undo what an operator did to the group.
 */
static size_t list_commits(struct ow_consumer *consumer, struct ow_partition_offset *list, bool all)
{
    size_t count = 0;
    for (size_t i = 0; i < consumer->tracked_count; i++) {
        const struct ow_tracked *tracked = &consumer->tracked[i];
        struct ow_durable durable;
        if (!ow_durables_get(ow_worker_durables(consumer->worker), tracked->topic,
                             tracked->partition, &durable) ||
            !durable.stored || durable.generation != consumer->generation ||
            (!all && durable.next_offset == tracked->committed)) {
            continue;
        }
        struct ow_partition_offset *commit = &list[count++];
        *commit = (struct ow_partition_offset){.topic = tracked->topic,
                                               .partition = tracked->partition,
                                               .offset = durable.next_offset};
        ow_metadata_format(commit->metadata, consumer->options->store_id, consumer->options->epoch,
                           commit->offset);
    }
    return count;
}

/* The group's offset is ours now, and what an operator had set there is gone. */
static void note_answered(struct ow_consumer *consumer, struct ow_tracked *tracked)
{
    tracked->unanswered = false;
    ow_durables_committed(ow_worker_durables(consumer->worker), tracked->topic, tracked->partition);
}

/*
 * Not when the source has taken a commit, for it may be lost with us: the group would still say
 * what an operator said, and the store would honour it once more.
 */
static void note_answers(struct ow_consumer *consumer)
{
    if (!consumer->unanswered || !consumer->assigned ||
        !consumer->source->ops->commits_taken(consumer->source)) {
        return;
    }
    consumer->unanswered = false;
    for (size_t i = 0; i < consumer->tracked_count; i++) {
        if (consumer->tracked[i].unanswered) {
            note_answered(consumer, &consumer->tracked[i]);
        }
    }
}

/* Taken by the source, which sends it again where the broker does not take it; answered: the broker
 * has taken it. */
static void note_committed(struct ow_consumer *consumer,
                           const struct ow_partition_offset *committed, bool answered)
{
    const struct ow_record place = {.topic = ow_slice_of(committed->topic),
                                    .partition = committed->partition};
    struct ow_tracked *tracked = ow_consume_find(consumer, &place);
    OW_INVARIANT(tracked != NULL); /* the list was made of them */
    tracked->committed = committed->offset;
    tracked->unanswered = true;
    consumer->unanswered = true;
    if (answered) {
        note_answered(consumer, tracked);
    }
}

void ow_consume_note_sent(struct ow_consumer *consumer)
{
    if (consumer->source->ops->any_sent(consumer->source)) {
        ow_durables_sent(ow_worker_durables(consumer->worker));
    }
}

void ow_consume_commit(struct ow_consumer *consumer, bool wait, bool all)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    struct ow_partition_offset *list =
        OW_ARENA_ARRAY(&arena, consumer->tracked_count, struct ow_partition_offset);
    const size_t count = list_commits(consumer, list, all);
    struct ow_err err;
    if (count > 0) {
        ow_consume_beat(consumer, "committing offsets");
        OW_FAILPOINT(OFFSETS_BEFORE);
        const enum ow_status status =
            consumer->source->ops->commit(consumer->source, list, count, wait, &err);
        ow_consume_note_sent(consumer);
        if (status != OW_OK) {
            ow_log(OW_LOG_WARN, "commit_failed", "error=\"%s\"", err.text);
        }
        for (size_t i = 0; status == OW_OK && i < count; i++) {
            note_committed(consumer, &list[i], wait);
        }
    }
    ow_arena_done(&arena);
    consumer->commit_ns = ow_consume_elapsed_ns(consumer);
    consumer->commit_records = ow_worker_totals(consumer->worker).records;
}

void ow_consume_commit_if_due(struct ow_consumer *consumer)
{
    note_answers(consumer);
    const int64_t since_ms = (ow_consume_elapsed_ns(consumer) - consumer->commit_ns) / 1000000;
    if (consumer->assigned &&
        (since_ms >= COMMIT_MS ||
         ow_worker_totals(consumer->worker).records - consumer->commit_records >= COMMIT_RECORDS)) {
        ow_consume_commit(consumer, false, false);
    }
}
