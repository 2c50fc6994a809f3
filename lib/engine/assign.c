#include "engine/assign.h"

#include "base/log.h"

static size_t count_assigned(const struct ow_partition_offset *partitions, size_t count,
                             const char *topic)
{
    size_t assigned = 0;
    for (size_t i = 0; i < count; i++) {
        assigned += strcmp(partitions[i].topic, topic) == 0;
    }
    return assigned;
}

/* Fewer partitions than there are: somebody else is in the group, or the group has not noticed. */
static enum ow_status refuse_shared(const struct ow_consume_options *options, const char *topic,
                                    int32_t exist, size_t assigned, struct ow_err *err)
{
    int32_t members = 0;
    OW_TRY(options->source->ops->member_count(options->source, &members, err));
    if (members <= 1) {
        ow_log(OW_LOG_INFO, "assignment_old", "topic=%s partitions=%d assigned=%zu", topic,
               (int)exist, assigned);
        return OW_OK;
    }
    return ow_fail(err, OW_UNSAFE,
                   "topic %s has %d partitions and the group gave us %zu: somebody else is in the "
                   "group (%d members) with another store, and two stores would split the claims. "
                   "Stop the other one, or give this one a kafka.group of its own",
                   topic, (int)exist, assigned, (int)members);
}

/*
 * A group has one active member, and that one owns every partition of every topic. An assignment
 * that falls short while nobody else is there is an old one, which the broker keeps for a static
 * member: from before partitions were added, or a topic. It is taken as if it were whole (commits
 * are fenced by member and generation, not by partition).
 */
static enum ow_status complete(const struct ow_consume_options *options,
                               const struct ow_partition_offset *partitions, size_t count,
                               struct ow_arena *arena, struct ow_assignment_plan *plan,
                               struct ow_err *err)
{
    size_t topic_count = 0;
    const char *const *topics = ow_machines_topics(options->machines, arena, &topic_count);
    int32_t *exist = OW_ARENA_ARRAY(arena, topic_count, int32_t);
    for (size_t i = 0; i < topic_count; i++) {
        const size_t assigned = count_assigned(partitions, count, topics[i]);
        OW_TRY(options->source->ops->partition_count(options->source, topics[i], &exist[i], err));
        if (assigned < (size_t)exist[i]) {
            OW_TRY(refuse_shared(options, topics[i], exist[i], assigned, err));
        }
        plan->count += (size_t)exist[i];
    }
    plan->fetch = OW_ARENA_ARRAY(arena, plan->count, struct ow_partition_offset);
    size_t filled = 0;
    for (size_t i = 0; i < topic_count; i++) {
        for (int32_t partition = 0; partition < exist[i]; partition++) {
            plan->fetch[filled++] = (struct ow_partition_offset){
                .topic = topics[i], .partition = partition, .offset = -1};
        }
    }
    return OW_OK;
}

struct topic_known {
    const char *topic;
    bool known;
};

static void see_topic(const struct ow_durable *durable, void *context)
{
    struct topic_known *known = context;
    known->known = known->known || (durable->stored && strcmp(durable->topic, known->topic) == 0);
}

/* kafka.start is for a topic's first start; a partition added later begins at its beginning. */
static enum ow_status find_start(const struct ow_consume_options *options,
                                 const struct ow_assign_question *question,
                                 struct ow_assigned *assigned, struct ow_err *err)
{
    assigned->offset = question->low;
    /* Where the group has an offset, the store is restored from before it had this partition: all
     * of it comes again. */
    if (question->topic_known || question->facts.committed >= 0 ||
        options->start == OW_START_EARLIEST) {
        return OW_OK;
    }
    if (options->start == OW_START_LATEST) {
        assigned->offset = question->high;
        return OW_OK;
    }
    return options->source->ops->offset_for_time(options->source, assigned->topic,
                                                 assigned->partition, options->start_time_ms,
                                                 &assigned->offset, err);
}

/*
 * A topic never ends before what was handled of it, wherever the group has been moved to since:
 * below the high mark its records would be taken for known ones.
 */
enum ow_status ow_assign_check_topic(const struct ow_assign_question *question, struct ow_err *err)
{
    const struct ow_assignment_facts *facts = &question->facts;
    if (!facts->stored || question->high >= facts->high_offset) {
        return OW_OK;
    }
    return ow_fail(err, OW_UNSAFE,
                   "%s[%d]: the topic ends at offset %lld, and records up to %lld were handled: it "
                   "was re-created or truncated. What it holds now would be skipped or taken for "
                   "known, so nothing was done. To begin it anew: onceward positions adopt --topic "
                   "%s%s --why TEXT",
                   facts->topic, (int)facts->partition, (long long)question->high,
                   (long long)facts->high_offset, facts->topic,
                   ow_position_restored_option(facts->restored));
}

static enum ow_status refuse_lost(const struct ow_assigned *assigned,
                                  const struct ow_assign_question *question, struct ow_err *err)
{
    const char *restored = ow_position_restored_option(question->facts.restored);
    OW_TRY(ow_assign_check_topic(question, err));
    if (assigned->offset >= question->low && assigned->offset <= question->high) {
        return OW_OK;
    }
    if (assigned->resume == OW_RESUME_STORED) {
        return ow_fail(err, OW_UNSAFE,
                       "%s[%d]: the topic begins at offset %lld, behind our position %lld: the "
                       "records between were deleted before they were handled. To go on without "
                       "them: onceward positions accept-lost --topic %s --partition %d%s --why "
                       "TEXT",
                       assigned->topic, (int)assigned->partition, (long long)question->low,
                       (long long)assigned->offset, assigned->topic, (int)assigned->partition,
                       restored);
    }
    return ow_fail(err, OW_UNSAFE,
                   "%s[%d]: the group is at offset %lld, and the topic reaches from %lld to %lld. "
                   "To say where to go on: onceward positions set --topic %s --partition %d "
                   "--offset N%s --why TEXT, or --to-earliest instead of --offset N",
                   assigned->topic, (int)assigned->partition, (long long)assigned->offset,
                   (long long)question->low, (long long)question->high, assigned->topic,
                   (int)assigned->partition, restored);
}

const char *ow_resume_text(enum ow_resume resume)
{
    static const char *const texts[] = {"position", "start", "committed", "rewound", "skipped"};
    return texts[resume];
}

struct ow_assignment_facts ow_assign_facts(const struct ow_consume_options *options,
                                           const struct ow_durable *durable,
                                           const struct ow_partition_offset *committed)
{
    const struct ow_metadata metadata = ow_metadata_parse(ow_slice_of(committed->metadata));
    return (struct ow_assignment_facts){
        .topic = committed->topic,
        .partition = committed->partition,
        .stored = durable->stored,
        .next_offset = durable->next_offset,
        .high_offset = durable->high_offset,
        .seen_committed = durable->seen_committed,
        .began_epoch = durable->began_epoch,
        .committed = committed->offset,
        .metadata = metadata,
        .store_id = options->store_id,
        .epoch = options->epoch,
        .restored =
            options->restored || (metadata.ours && metadata.epoch < options->restored_epoch),
        .skips_honoured = options->skips_honoured,
    };
}

enum ow_status ow_assign_judge(const struct ow_consume_options *options,
                               const struct ow_assign_question *question,
                               struct ow_assigned *ret_assigned, struct ow_err *err)
{
    struct ow_assigned assigned = {.topic = question->facts.topic,
                                   .partition = question->facts.partition,
                                   .committed = question->facts.committed};
    OW_TRY(ow_position_resume(&question->facts, &assigned.resume, &assigned.offset, err));
    if (assigned.resume == OW_RESUME_START) {
        OW_TRY(find_start(options, question, &assigned, err));
    }
    OW_TRY(refuse_lost(&assigned, question, err));
    assigned.restored = question->facts.restored;
    assigned.check_anchor = assigned.resume == OW_RESUME_STORED && assigned.offset > question->low;
    *ret_assigned = assigned;
    return OW_OK;
}

static enum ow_status plan_partition(const struct ow_consume_options *options,
                                     const struct ow_partition_offset *committed,
                                     struct ow_assigned *assigned,
                                     struct ow_partition_offset *fetch, int64_t *ret_end,
                                     struct ow_err *err)
{
    struct ow_durable durable = {0};
    struct topic_known known = {.topic = committed->topic};
    struct ow_durables *durables = ow_worker_durables(options->worker);
    (void)ow_durables_get(durables, committed->topic, committed->partition, &durable);
    ow_durables_visit(durables, see_topic, &known);
    struct ow_assign_question question = {.facts = ow_assign_facts(options, &durable, committed),
                                          .topic_known = known.known};
    question.facts.epoch_is_unused = !durable.any_sent;
    OW_TRY(options->source->ops->bounds(options->source, committed->topic, committed->partition,
                                        &question.low, &question.high, err));
    OW_TRY(ow_assign_judge(options, &question, assigned, err));
    *fetch = *committed;
    fetch->offset = assigned->check_anchor ? assigned->offset - 1 : assigned->offset;
    *ret_end = question.high;
    return OW_OK;
}

enum ow_status ow_assign_plan(const struct ow_consume_options *options,
                              const struct ow_partition_offset *partitions, size_t count,
                              struct ow_arena *arena, struct ow_assignment_plan *ret_plan,
                              struct ow_err *err)
{
    *ret_plan = (struct ow_assignment_plan){0};
    ow_pulse_beat(ow_watchdog_poll(options->watchdog), "asking for an assignment's offsets");
    OW_TRY(complete(options, partitions, count, arena, ret_plan, err));
    const size_t all = ret_plan->count;
    if (all > 0) {
        OW_TRY(options->source->ops->committed(options->source, ret_plan->fetch, all, err));
    }
    ret_plan->assigned = OW_ARENA_ARRAY(arena, all, struct ow_assigned);
    ret_plan->end = OW_ARENA_ARRAY(arena, all, int64_t);
    for (size_t i = 0; i < all; i++) {
        const struct ow_partition_offset committed = ret_plan->fetch[i];
        ow_pulse_beat(ow_watchdog_poll(options->watchdog), "asking for a partition's bounds");
        OW_TRY(plan_partition(options, &committed, &ret_plan->assigned[i], &ret_plan->fetch[i],
                              &ret_plan->end[i], err));
    }
    return OW_OK;
}
