#include "engine/consume.h"

#include "base/log.h"
#include "engine/assign.h"

enum {
    POLL_MS = 100,
    GATHER_MS = 1,         /* how long a chunk that has records waits for more */
    ROOM_MS = 100,         /* a wait for room, between looks at the stop flag */
    PAUSE_AFTER_MS = 2000, /* how long a full ring is waited for before partitions are paused */
    COMMIT_MS = 1000,
    COMMIT_RECORDS = 10000,
    PROGRESS_MS = 250,
    CONFIRM_MS = 5000,     /* between two questions for the ends, while a deadline is due */
    PLAN_RETRY_MS = 60000, /* how long the broker may fail to answer at an assignment */
    STOP_DRAIN_MS = 10000
};

/* A partition of the assignment, as the poll thread sees it. */
struct tracked {
    const char *topic;
    int32_t partition;
    int64_t start;     /* where this run began */
    int64_t seen;      /* behind the last record or end that was handed over */
    int64_t goal;      /* the end at the first assignment; with --until-end we are done there */
    int64_t committed; /* what we have committed; -1: nothing yet */
};

struct consumer {
    const struct ow_consume_options *options;
    struct ow_source *source;
    struct ow_worker *worker;
    struct ow_arena arena; /* the assignment's */
    struct tracked *tracked;
    size_t tracked_count;
    size_t tracked_last; /* records come in runs of one partition */
    bool assigned;
    uint32_t generation;    /* of the assignment that was submitted last */
    struct ow_chunk *chunk; /* being filled; NULL while the ring is full */
    bool paused;
    int64_t start_ns, commit_ns, progress_ns, confirm_ns;
    int64_t commit_records; /* handled at the last commit */
};

static int64_t elapsed_ns(const struct consumer *consumer)
{
    return ow_clock_elapsed_ns(&consumer->options->clock);
}

static bool must_stop(const struct consumer *consumer)
{
    return consumer->options->stop != NULL && atomic_load(consumer->options->stop);
}

static struct tracked *find_tracked(struct consumer *consumer, const struct ow_record *record)
{
    const size_t count = consumer->tracked_count;
    for (size_t i = 0; i < count; i++) {
        const size_t at = (consumer->tracked_last + i) % count;
        struct tracked *tracked = &consumer->tracked[at];
        if (tracked->partition == record->partition &&
            ow_slice_equals_text(record->topic, tracked->topic)) {
            consumer->tracked_last = at;
            return tracked;
        }
    }
    return NULL;
}

/*
 * What is durable and not committed yet. Nothing before the assignment is applied: until then the
 * table holds the position from before it, and that would undo what an operator did to the group.
 */
static size_t list_commits(struct consumer *consumer, struct ow_partition_offset *list, bool all)
{
    size_t count = 0;
    for (size_t i = 0; i < consumer->tracked_count; i++) {
        const struct tracked *tracked = &consumer->tracked[i];
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

/* Taken by the source, which sends it again where the broker does not take it. */
static void note_committed(struct consumer *consumer, const struct ow_partition_offset *committed)
{
    const struct ow_record place = {.topic = ow_slice_of(committed->topic),
                                    .partition = committed->partition};
    struct tracked *tracked = find_tracked(consumer, &place);
    if (tracked != NULL) {
        tracked->committed = committed->offset;
    }
}

/*
 * A commit that fails is superseded by the next one; the store's position is the truth. all: also
 * what has been committed before, for its answer may not have come.
 */
static void commit(struct consumer *consumer, bool wait, bool all)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    struct ow_partition_offset *list =
        OW_ARENA_ARRAY(&arena, consumer->tracked_count, struct ow_partition_offset);
    const size_t count = list_commits(consumer, list, all);
    struct ow_err err;
    if (count > 0) {
        const enum ow_status status =
            consumer->source->ops->commit(consumer->source, list, count, wait, &err);
        if (status != OW_OK) {
            ow_log(OW_LOG_WARN, "commit_failed", "error=\"%s\"", err.text);
        }
        for (size_t i = 0; status == OW_OK && i < count; i++) {
            note_committed(consumer, &list[i]);
            ow_durables_committed(ow_worker_durables(consumer->worker), list[i].topic,
                                  list[i].partition);
        }
    }
    ow_arena_done(&arena);
    consumer->commit_ns = elapsed_ns(consumer);
    consumer->commit_records = ow_worker_totals(consumer->worker).records;
}

static void commit_if_due(struct consumer *consumer)
{
    const int64_t since_ms = (elapsed_ns(consumer) - consumer->commit_ns) / 1000000;
    if (consumer->assigned &&
        (since_ms >= COMMIT_MS ||
         ow_worker_totals(consumer->worker).records - consumer->commit_records >= COMMIT_RECORDS)) {
        commit(consumer, false, false);
    }
}

/* A chunk to fill; NULL while all are on their way. */
static struct ow_chunk *take_chunk(struct consumer *consumer)
{
    if (consumer->chunk == NULL) {
        consumer->chunk = ow_worker_chunk(consumer->worker);
    }
    return consumer->chunk;
}

static void submit_chunk(struct consumer *consumer)
{
    if (consumer->chunk != NULL && (consumer->chunk->count > 0 || consumer->chunk->end_count > 0)) {
        ow_worker_submit(consumer->worker, consumer->chunk);
        consumer->chunk = NULL;
    }
}

static void drop_chunk(struct consumer *consumer)
{
    if (consumer->chunk != NULL) {
        ow_worker_give_back(consumer->worker, consumer->chunk);
        consumer->chunk = NULL;
    }
}

/* Goals of partitions that were assigned before are kept: --until-end means the end as it was at
 * the start. */
static void track(struct consumer *consumer, const struct ow_assignment_plan *plan,
                  struct ow_arena *arena)
{
    struct tracked *tracked = OW_ARENA_ARRAY(arena, plan->count, struct tracked);
    for (size_t i = 0; i < plan->count; i++) {
        const struct ow_assigned *assigned = &plan->assigned[i];
        const struct ow_record place = {.topic = ow_slice_of(assigned->topic),
                                        .partition = assigned->partition};
        const struct tracked *before = find_tracked(consumer, &place);
        tracked[i] = (struct tracked){.topic = assigned->topic,
                                      .partition = assigned->partition,
                                      .start = before == NULL ? assigned->offset : before->start,
                                      .seen = plan->fetch[i].offset, /* the anchor's is seen too */
                                      .goal = before == NULL ? plan->end[i] : before->goal,
                                      .committed = -1};
    }
    ow_arena_done(&consumer->arena);
    consumer->arena = *arena;
    consumer->tracked = tracked;
    consumer->tracked_count = plan->count;
    consumer->tracked_last = 0;
}

/* Asks until the broker answers, for at most PLAN_RETRY_MS. */
static enum ow_status make_plan(struct consumer *consumer, const struct ow_source_event *event,
                                struct ow_arena *arena, struct ow_assignment_plan *ret_plan,
                                struct ow_err *err)
{
    const int64_t until_ns = elapsed_ns(consumer) + (int64_t)PLAN_RETRY_MS * 1000000;
    for (;;) {
        const enum ow_status status = ow_assign_plan(consumer->options, event->partitions,
                                                     event->partition_count, arena, ret_plan, err);
        if (status != OW_TEMPORARY || must_stop(consumer) || elapsed_ns(consumer) >= until_ns) {
            return status;
        }
        ow_log(OW_LOG_WARN, "assignment_retry", "error=\"%s\"", err->text);
    }
}

/* Waits for an empty chunk: the ring empties fast, for its old generation is dropped. */
static enum ow_status wait_chunk(struct consumer *consumer, struct ow_err *err)
{
    while (take_chunk(consumer) == NULL) {
        OW_TRY(ow_worker_status(consumer->worker, err));
        if (must_stop(consumer)) {
            return OW_OK;
        }
        (void)ow_worker_wait_room(consumer->worker, ROOM_MS);
    }
    return OW_OK;
}

static enum ow_status take_assignment(struct consumer *consumer,
                                      const struct ow_source_event *event, struct ow_err *err)
{
    drop_chunk(consumer);
    struct ow_arena arena;
    ow_arena_init(&arena, (size_t)16 * 1024);
    struct ow_assignment_plan plan = {0};
    const enum ow_status status = make_plan(consumer, event, &arena, &plan, err);
    if (status != OW_OK) {
        ow_arena_done(&arena);
        /* Asked to stop while the broker did not answer; a refusal is said all the same. */
        return status == OW_TEMPORARY && must_stop(consumer) ? OW_OK : status;
    }
    track(consumer, &plan, &arena);
    consumer->generation = ow_worker_next_generation(consumer->worker);
    OW_TRY(wait_chunk(consumer, err));
    if (consumer->chunk == NULL) {
        return OW_OK; /* we are to stop */
    }
    struct ow_assigned *assigned =
        OW_ARENA_ARRAY(&consumer->chunk->arena, plan.count, struct ow_assigned);
    if (plan.count > 0) {
        memcpy(assigned, plan.assigned, plan.count * sizeof(*assigned));
    }
    consumer->chunk->assigned = assigned;
    consumer->chunk->assigned_count = plan.count;
    ow_worker_submit(consumer->worker, consumer->chunk);
    consumer->chunk = NULL;
    consumer->assigned = true;
    consumer->paused = false;
    consumer->commit_ns = 0; /* at once, as soon as it is durable: autoscalers read it */
    return consumer->source->ops->assign(consumer->source, plan.fetch, plan.count, err);
}

/* Nothing is drained: what is durable is committed, and what is on its way is dropped by its
 * generation. */
static enum ow_status take_revocation(struct consumer *consumer,
                                      const struct ow_source_event *event, struct ow_err *err)
{
    drop_chunk(consumer);
    (void)ow_worker_next_generation(consumer->worker);
    ow_log(OW_LOG_INFO, "revoked", "partitions=%zu lost=%d", event->partition_count,
           (int)event->lost);
    if (!event->lost && consumer->assigned) {
        commit(consumer, true, false);
    }
    consumer->assigned = false;
    consumer->paused = false;
    return consumer->source->ops->unassign(consumer->source, err);
}

static void take_record(struct consumer *consumer, const struct ow_record *record)
{
    struct tracked *tracked = find_tracked(consumer, record);
    if (!consumer->assigned || tracked == NULL) {
        return; /* of an assignment that is gone: it will come again */
    }
    tracked->seen = record->offset + 1;
    struct ow_record copy = *record;
    copy.via = OW_VIA_KAFKA;
    ow_chunk_add(consumer->chunk, &copy);
}

static void take_end(struct consumer *consumer, const struct ow_record *end)
{
    struct tracked *tracked = find_tracked(consumer, end);
    if (!consumer->assigned || tracked == NULL) {
        return;
    }
    if (end->offset > tracked->seen) {
        tracked->seen = end->offset;
    }
    (void)ow_chunk_add_end(consumer->chunk, end);
    submit_chunk(consumer);
}

/*
 * Back-pressure. A full ring is normal while the store is the slower side, and it empties within a
 * batch's time, so it is waited for; pausing throws away what librdkafka has fetched and stalls it
 * for most of a second, so it is for a store that stands still. Heartbeats have a thread of their
 * own meanwhile.
 */
static enum ow_status make_room(struct consumer *consumer, struct ow_err *err)
{
    if (consumer->chunk != NULL && ow_chunk_is_full(consumer->chunk)) {
        submit_chunk(consumer);
    }
    const int64_t patience_ms = consumer->paused ? ROOM_MS : PAUSE_AFTER_MS;
    const int64_t until_ns = elapsed_ns(consumer) + patience_ms * 1000000;
    while (take_chunk(consumer) == NULL && elapsed_ns(consumer) < until_ns &&
           !must_stop(consumer)) {
        OW_TRY(ow_worker_status(consumer->worker, err));
        (void)ow_worker_wait_room(consumer->worker, ROOM_MS);
    }
    if (consumer->chunk == NULL && !consumer->paused && consumer->assigned) {
        consumer->paused = true;
        ow_log(OW_LOG_DEBUG, "paused", "reason=store");
        return consumer->source->ops->pause(consumer->source, err);
    }
    size_t ring_count = 0;
    if (consumer->paused && consumer->chunk != NULL &&
        2 * ow_worker_free_count(consumer->worker, &ring_count) >= ring_count) {
        consumer->paused = false;
        ow_log(OW_LOG_DEBUG, "resumed", "reason=store");
        return consumer->source->ops->resume(consumer->source, err);
    }
    return OW_OK;
}

static enum ow_status handle(struct consumer *consumer, const struct ow_source_event *event,
                             struct ow_err *err)
{
    switch (event->kind) {
    case OW_SOURCE_IDLE:
        submit_chunk(consumer);
        return OW_OK;
    case OW_SOURCE_RECORD:
        take_record(consumer, &event->record);
        return OW_OK;
    case OW_SOURCE_END:
        take_end(consumer, &event->record);
        return OW_OK;
    case OW_SOURCE_ASSIGNED:
        return take_assignment(consumer, event, err);
    case OW_SOURCE_REVOKED:
        return take_revocation(consumer, event, err);
    case OW_SOURCE_TROUBLE:
        if (event->status == OW_OK) {
            ow_log(OW_LOG_WARN, "broker", "error=\"%s\"", event->err.text);
            return OW_OK;
        }
        *err = event->err;
        return event->status;
    }
    OW_IMPOSSIBLE("a source event of no kind");
}

static bool reached_end(const struct consumer *consumer)
{
    for (size_t i = 0; i < consumer->tracked_count; i++) {
        if (consumer->tracked[i].seen < consumer->tracked[i].goal) {
            return false;
        }
    }
    return consumer->assigned && consumer->tracked_count > 0;
}

static void show_progress(struct consumer *consumer)
{
    const int64_t now_ns = elapsed_ns(consumer);
    if (consumer->options->progress == NULL ||
        now_ns - consumer->progress_ns < (int64_t)PROGRESS_MS * 1000000) {
        return;
    }
    consumer->progress_ns = now_ns;
    struct ow_progress progress = {
        .totals = ow_worker_totals(consumer->worker),
        .assigned = consumer->assigned,
        .elapsed_ns = now_ns - consumer->start_ns,
        .paused = consumer->paused,
        .retrying = ow_worker_retrying_since_ns(consumer->worker) != 0,
    };
    for (size_t i = 0; i < consumer->tracked_count; i++) {
        const struct tracked *tracked = &consumer->tracked[i];
        struct ow_durable durable = {.next_offset = tracked->start};
        (void)ow_durables_get(ow_worker_durables(consumer->worker), tracked->topic,
                              tracked->partition, &durable);
        progress.goal += tracked->goal > tracked->start ? tracked->goal - tracked->start : 0;
        progress.done +=
            durable.next_offset > tracked->start ? durable.next_offset - tracked->start : 0;
    }
    consumer->options->progress(&progress, consumer->options->progress_context);
}

/*
 * A parked record's deadline counts once its partitions are read to their ends. What an end was
 * told to be says nothing later on (the broker may have been away since), so the broker is asked
 * when a deadline is due.
 */
static void confirm_ends_if_due(struct consumer *consumer)
{
    const int64_t now_ns = elapsed_ns(consumer);
    /* Before the first catching up the answer is known, and would cost the next question. */
    if (!reached_end(consumer) || consumer->paused ||
        now_ns - consumer->confirm_ns < (int64_t)CONFIRM_MS * 1000000 ||
        !ow_worker_is_deadline_due(consumer->worker)) {
        return;
    }
    consumer->confirm_ns = now_ns;
    submit_chunk(consumer);
    for (size_t i = 0; i < consumer->tracked_count; i++) {
        const struct tracked *tracked = &consumer->tracked[i];
        int64_t low = 0;
        int64_t high = 0;
        struct ow_err err;
        if (consumer->source->ops->bounds(consumer->source, tracked->topic, tracked->partition,
                                          &low, &high, &err) != OW_OK ||
            tracked->seen < high) {
            return;
        }
    }
    ow_worker_confirm_ends(consumer->worker);
}

/* --until-end must not wait for ever for a group that nobody answers for. */
static enum ow_status check_patience(const struct consumer *consumer, struct ow_err *err)
{
    const int64_t waited_ms = (elapsed_ns(consumer) - consumer->start_ns) / 1000000;
    if (consumer->options->until_end && consumer->tracked_count == 0 &&
        waited_ms > consumer->options->wait_broker_ms) {
        return ow_fail(err, OW_TEMPORARY,
                       "no assignment within %lld s: is the broker there, and the group free",
                       (long long)(consumer->options->wait_broker_ms / 1000));
    }
    return OW_OK;
}

/* Polls until the chunk is full, nothing comes, or something other than a record does. */
static enum ow_status poll_some(struct consumer *consumer, struct ow_err *err)
{
    for (;;) {
        const bool gathering = consumer->chunk != NULL && consumer->chunk->count > 0;
        struct ow_source_event event;
        consumer->source->ops->poll(consumer->source, gathering ? GATHER_MS : POLL_MS, &event);
        if (event.kind == OW_SOURCE_RECORD || event.kind == OW_SOURCE_END) {
            /* Paused partitions give nothing, but what is given has its place. */
            OW_TRY(wait_chunk(consumer, err));
            if (consumer->chunk == NULL) {
                return OW_OK; /* we are to stop */
            }
        }
        OW_TRY(handle(consumer, &event, err));
        if (event.kind != OW_SOURCE_RECORD || ow_chunk_is_full(consumer->chunk)) {
            return OW_OK;
        }
    }
}

static enum ow_status run(struct consumer *consumer, struct ow_err *err)
{
    while (!must_stop(consumer)) {
        OW_TRY(ow_worker_status(consumer->worker, err));
        OW_TRY(check_patience(consumer, err));
        OW_TRY(make_room(consumer, err));
        /* Without a chunk there is no place for a record; paused partitions give none. */
        if (consumer->chunk != NULL || consumer->paused || !consumer->assigned) {
            OW_TRY(poll_some(consumer, err));
        }
        commit_if_due(consumer);
        confirm_ends_if_due(consumer);
        show_progress(consumer);
        if (consumer->options->until_end && reached_end(consumer)) {
            submit_chunk(consumer);
            if (ow_worker_drain(consumer->worker, POLL_MS)) {
                return OW_OK;
            }
        }
    }
    return OW_OK;
}

enum ow_status ow_consume(const struct ow_consume_options *options, struct ow_err *err)
{
    struct consumer consumer = {
        .options = options, .source = options->source, .worker = options->worker};
    ow_arena_init(&consumer.arena, (size_t)16 * 1024);
    consumer.start_ns = elapsed_ns(&consumer);
    consumer.confirm_ns = consumer.start_ns - (int64_t)CONFIRM_MS * 1000000;
    enum ow_status status = run(&consumer, err);
    drop_chunk(&consumer);
    if (status == OW_OK) {
        /* What is still on its way is dropped (none at an end); the batch in work is waited for,
         * then committed. */
        (void)ow_worker_next_generation(consumer.worker);
        (void)ow_worker_drain(consumer.worker, STOP_DRAIN_MS);
        status = ow_worker_status(consumer.worker, err);
    }
    if (consumer.assigned && status == OW_OK) {
        commit(&consumer, true, true);
    }
    ow_arena_done(&consumer.arena);
    return status;
}
