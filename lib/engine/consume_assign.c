#include "base/failpoint.h"
#include "base/log.h"
#include "engine/assign.h"
#include "engine/consume_internal.h"

enum {
    PLAN_RETRY_MS = 60000, /* how long the broker may fail to answer at an assignment */
    AGAIN_MS_MIN = 100,    /* between two questions; doubled each time */
    AGAIN_MS_MAX = 5000,
    STEP_MS = 100,       /* of such a wait, between looks at the stop flag */
    PATIENCE_MS = 10000, /* without partitions until that is said; a first join takes 3 s */
    SAY_MS = 30000       /* until the same is said again */
};

/* Where it is noted what of a partition was handed out. */
static struct ow_suspect_partition *notes_of(struct ow_consumer *consumer,
                                             const struct ow_assigned *assigned)
{
    struct ow_suspects *suspects = ow_worker_suspects(consumer->worker);
    return suspects == NULL
               ? NULL
               : ow_suspects_partition(suspects, ow_slice_of(assigned->topic), assigned->partition);
}

/* Goals of partitions that were assigned before are kept: --until-end means the end as it was at
 * the start. */
static void track(struct ow_consumer *consumer, const struct ow_assignment_plan *plan,
                  struct ow_arena *arena)
{
    struct ow_tracked *tracked = OW_ARENA_ARRAY(arena, plan->count, struct ow_tracked);
    for (size_t i = 0; i < plan->count; i++) {
        const struct ow_assigned *assigned = &plan->assigned[i];
        const struct ow_record place = {.topic = ow_slice_of(assigned->topic),
                                        .partition = assigned->partition};
        const struct ow_tracked *before = ow_consume_find(consumer, &place);
        tracked[i] =
            (struct ow_tracked){.topic = assigned->topic,
                                .partition = assigned->partition,
                                .start = before == NULL ? assigned->offset : before->start,
                                .first = assigned->offset,
                                .seen = plan->fetch[i].offset, /* the anchor's is seen too */
                                .goal = before == NULL ? plan->end[i] : before->goal,
                                .committed = -1,
                                .notes = notes_of(consumer, assigned)};
    }
    ow_arena_done(&consumer->arena);
    consumer->arena = *arena;
    consumer->tracked = tracked;
    consumer->tracked_count = plan->count;
    consumer->tracked_last = 0;
    consumer->unanswered = false;
}

/* Some brokers refuse at once, and would be asked thousands of times a second. Not all workers of a
 * cluster wait alike long. */
static enum ow_status wait_again(struct ow_consumer *consumer, int *wait_ms, struct ow_err *err)
{
    const int spread_ms = (int)(ow_consume_elapsed_ns(consumer) / 1000 % *wait_ms);
    for (int left_ms = *wait_ms / 2 + spread_ms; left_ms > 0 && !ow_consume_must_stop(consumer);
         left_ms -= STEP_MS) {
        ow_consume_beat(consumer, "waiting for the brokers");
        OW_TRY(ow_worker_status(consumer->worker, err));
        ow_worker_wait(consumer->worker, left_ms < STEP_MS ? left_ms : STEP_MS);
    }
    *wait_ms = *wait_ms * 2 < AGAIN_MS_MAX ? *wait_ms * 2 : AGAIN_MS_MAX;
    return OW_OK;
}

/* At once, and then not in each turn. */
static void say_again(struct ow_consumer *consumer, const struct ow_err *why, struct ow_err *said,
                      int64_t *said_ns)
{
    const int64_t now_ns = ow_consume_elapsed_ns(consumer);
    if (strcmp(why->text, said->text) == 0 && now_ns - *said_ns < (int64_t)SAY_MS * 1000000) {
        return;
    }
    *said = *why;
    *said_ns = now_ns;
    ow_log(OW_LOG_WARN, "assignment_retry", "error=\"%s\"", why->text);
}

/* Asks until the broker answers, for at most PLAN_RETRY_MS. */
static enum ow_status make_plan(struct ow_consumer *consumer,
                                const struct ow_partition_offset *partitions, size_t count,
                                struct ow_arena *arena, struct ow_assignment_plan *ret_plan,
                                struct ow_err *err)
{
    const int64_t until_ns = ow_consume_elapsed_ns(consumer) + (int64_t)PLAN_RETRY_MS * 1000000;
    struct ow_err said = {.text = ""};
    int64_t said_ns = 0;
    int wait_ms = AGAIN_MS_MIN;
    ow_consume_note_sent(consumer);
    for (;;) {
        const enum ow_status status =
            ow_assign_plan(consumer->options, partitions, count, arena, ret_plan, err);
        if (status != OW_TEMPORARY || ow_consume_must_stop(consumer) ||
            ow_consume_elapsed_ns(consumer) >= until_ns) {
            return status;
        }
        say_again(consumer, err, &said, &said_ns);
        OW_TRY(wait_again(consumer, &wait_ms, err));
        if (ow_consume_must_stop(consumer)) {
            return OW_TEMPORARY;
        }
    }
}

void ow_consume_has_none(struct ow_consumer *consumer)
{
    consumer->assigned = false;
    consumer->without_ns = ow_consume_elapsed_ns(consumer);
    consumer->say_ns = consumer->without_ns + (int64_t)PATIENCE_MS * 1000000;
}

/*
 * librdkafka says nothing of what it tries again by itself: a coordinator that is not ready, or
 * that refuses the assignment. A worker that stands still for that must not look like one that has
 * nothing to do.
 */
void ow_consume_say_waiting(struct ow_consumer *consumer)
{
    const int64_t now_ns = ow_consume_elapsed_ns(consumer);
    if (consumer->assigned || now_ns < consumer->say_ns) {
        return;
    }
    consumer->say_ns = now_ns + (int64_t)SAY_MS * 1000000;
    ow_log(OW_LOG_WARN, "waiting",
           "for=partitions waited_s=%lld reason=\"the group gives us none: its coordinator is not "
           "ready or refuses us, or another member holds the rebalance up; still trying\"",
           (long long)((now_ns - consumer->without_ns) / 1000000000));
}

static void say_plan(const struct ow_assignment_plan *plan, enum ow_log_level level)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct ow_assigned *assigned = &plan->assigned[i];
        ow_log(level, level == OW_LOG_INFO ? "assigned" : "resumed",
               "topic=%s partition=%d offset=%lld by=%s committed=%lld end=%lld", assigned->topic,
               (int)assigned->partition, (long long)assigned->offset,
               ow_resume_text(assigned->resume), (long long)assigned->committed,
               (long long)plan->end[i]);
    }
}

/* Gives the plan to the apply thread, and then to the source. */
static enum ow_status take_plan(struct ow_consumer *consumer, const struct ow_assignment_plan *plan,
                                struct ow_arena *arena, struct ow_err *err)
{
    OW_FAILPOINT(ASSIGN_PLANNED);
    track(consumer, plan, arena);
    ow_durables_forget_committed(ow_worker_durables(consumer->worker));
    consumer->generation = ow_worker_next_generation(consumer->worker);
    OW_TRY(ow_consume_wait_chunk(consumer, err));
    if (consumer->chunk == NULL) {
        return OW_OK; /* we are to stop */
    }
    struct ow_assigned *assigned =
        OW_ARENA_ARRAY(&consumer->chunk->arena, plan->count, struct ow_assigned);
    if (plan->count > 0) {
        memcpy(assigned, plan->assigned, plan->count * sizeof(*assigned));
    }
    consumer->chunk->assigned = assigned;
    consumer->chunk->assigned_count = plan->count;
    ow_worker_submit(consumer->worker, consumer->chunk);
    OW_FAILPOINT(ASSIGN_SUBMITTED);
    consumer->chunk = NULL;
    consumer->assigned = true;
    consumer->commit_ns = 0; /* at once, as soon as it is durable: autoscalers read it */
    OW_TRY(consumer->source->ops->assign(consumer->source, plan->fetch, plan->count, err));
    OW_FAILPOINT(ASSIGN_TAKEN);
    ow_consume_look(consumer);
    consumer->heard_ns = consumer->looked_ns;
    /* What is fetched from here on begins with what the anchors are of. */
    consumer->paused = consumer->doubtful = consumer->moved = false;
    consumer->again_ns = consumer->failing_ns = 0;
    return OW_OK;
}

enum ow_status ow_consume_assign(struct ow_consumer *consumer, const struct ow_source_event *event,
                                 struct ow_err *err)
{
    ow_consume_drop_chunk(consumer);
    struct ow_arena arena;
    ow_arena_init(&arena, (size_t)16 * 1024);
    struct ow_assignment_plan plan = {0};
    enum ow_status status =
        make_plan(consumer, event->partitions, event->partition_count, &arena, &plan, err);
    if (status == OW_OK) {
        status = ow_consume_end_check_plan(consumer, plan.assigned, plan.count, err);
    }
    if (status != OW_OK) {
        ow_arena_done(&arena);
        /* Asked to stop while the broker did not answer; a refusal is said all the same. */
        return status == OW_TEMPORARY && ow_consume_must_stop(consumer) ? OW_OK : status;
    }
    say_plan(&plan, OW_LOG_INFO);
    return take_plan(consumer, &plan, &arena, err);
}

enum ow_status ow_consume_assign_again(struct ow_consumer *consumer, struct ow_err *err)
{
    ow_consume_drop_chunk(consumer);
    struct ow_arena arena;
    ow_arena_init(&arena, (size_t)16 * 1024);
    const size_t count = consumer->tracked_count;
    struct ow_partition_offset *partitions =
        OW_ARENA_ARRAY(&arena, count, struct ow_partition_offset);
    for (size_t i = 0; i < count; i++) {
        partitions[i] = (struct ow_partition_offset){.topic = consumer->tracked[i].topic,
                                                     .partition = consumer->tracked[i].partition,
                                                     .offset = -1};
    }
    struct ow_assignment_plan plan = {0};
    ow_consume_note_sent(consumer);
    enum ow_status status =
        ow_assign_plan(consumer->options, partitions, count, &arena, &plan, err);
    if (status == OW_OK && plan.count < count) {
        /* The group will say so where it stays away; until then nobody would fetch it again. */
        status = ow_fail(err, OW_TEMPORARY, "a topic is not there");
    }
    if (status != OW_OK) {
        ow_arena_done(&arena);
        return status;
    }
    say_plan(&plan, OW_LOG_DEBUG);
    return take_plan(consumer, &plan, &arena, err);
}

/* Nothing is drained: what is durable is committed, and what is on its way is dropped by its
 * generation. */
enum ow_status ow_consume_revoke(struct ow_consumer *consumer, const struct ow_source_event *event,
                                 struct ow_err *err)
{
    OW_FAILPOINT(REVOKE_BEFORE);
    ow_consume_drop_chunk(consumer);
    (void)ow_worker_next_generation(consumer->worker);
    ow_log(OW_LOG_INFO, "revoked", "partitions=%zu lost=%d", event->partition_count,
           (int)event->lost);
    if (!event->lost && consumer->assigned) {
        ow_consume_commit(consumer, true, false);
        OW_FAILPOINT(REVOKE_COMMITTED);
    }
    ow_consume_has_none(consumer);
    consumer->paused = false;
    OW_TRY(consumer->source->ops->unassign(consumer->source, err));
    OW_FAILPOINT(REVOKE_AFTER);
    return OW_OK;
}
