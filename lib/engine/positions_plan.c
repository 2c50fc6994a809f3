#include "base/contract.h"
#include "engine/positions.h"

#include <inttypes.h>

/* What is known of the partition in work. */
struct planning {
    const struct ow_consume_options *options;
    const struct ow_positions_order *order;
    const struct ow_position *position; /* NULL: none yet */
    struct ow_assign_question question;
    struct ow_positions_change *change;
};

const char *ow_positions_did_text(enum ow_positions_did did)
{
    static const char *const texts[] = {"kept", "rewound", "skipped", "lost", "adopted", "started"};
    return texts[did];
}

static enum ow_status find_target(const struct planning *planning, struct ow_err *err)
{
    const struct ow_positions_order *order = planning->order;
    struct ow_positions_change *change = planning->change;
    struct ow_source *source = planning->options->source;
    change->to = order->target == OW_POSITIONS_TO_LATEST   ? change->end
                 : order->target == OW_POSITIONS_TO_OFFSET ? order->offset
                                                           : change->low;
    if (order->target == OW_POSITIONS_TO_TIME) {
        OW_TRY(source->ops->offset_for_time(source, change->topic, change->partition,
                                            order->time_ms, &change->to, err));
    }
    if (change->to >= change->low && change->to <= change->end) {
        return OW_OK;
    }
    return ow_fail(err, OW_BAD_CONFIG,
                   "%s[%d]: offset %" PRId64 " is not in the topic, which reaches from %" PRId64
                   " to %" PRId64,
                   change->topic, (int)change->partition, change->to, change->low, change->end);
}

static enum ow_status plan_set(const struct planning *planning, struct ow_err *err)
{
    const struct ow_position *position = planning->position;
    struct ow_positions_change *change = planning->change;
    if (position == NULL) {
        change->did = OW_POSITIONS_STARTED;
        return find_target(planning, err);
    }
    OW_TRY(ow_assign_check_topic(&planning->question, err));
    OW_TRY(find_target(planning, err));
    if (change->to <= position->next_offset) {
        change->did = change->to < position->next_offset ? OW_POSITIONS_REWOUND : OW_POSITIONS_KEPT;
        return OW_OK;
    }
    change->did = OW_POSITIONS_SKIPPED;
    change->left_out = change->to > position->high_offset ? change->to - position->high_offset : 0;
    if (change->left_out > 0 && !planning->order->skip) {
        return ow_fail(err, OW_BAD_CONFIG,
                       "%s[%d]: the %" PRId64 " offsets from %" PRId64 " to %" PRId64
                       " would never be handled; --skip says that this is meant",
                       change->topic, (int)change->partition, change->left_out,
                       position->high_offset, change->to - 1);
    }
    return OW_OK;
}

static enum ow_status plan_accept_lost(const struct planning *planning, struct ow_err *err)
{
    const struct ow_position *position = planning->position;
    struct ow_positions_change *change = planning->change;
    OW_REQUIRE(position != NULL);
    OW_TRY(ow_assign_check_topic(&planning->question, err));
    if (change->low > position->next_offset) {
        change->did = OW_POSITIONS_LOST;
        change->to = change->low;
        change->left_out =
            change->to > position->high_offset ? change->to - position->high_offset : 0;
    }
    return OW_OK;
}

static enum ow_status plan_one(const struct planning *planning, struct ow_err *err)
{
    switch (planning->order->verb) {
    case OW_POSITIONS_SET:
        return plan_set(planning, err);
    case OW_POSITIONS_ACCEPT_LOST:
        return plan_accept_lost(planning, err);
    case OW_POSITIONS_ADOPT:
        planning->change->did = OW_POSITIONS_ADOPTED;
        planning->change->incarnation++;
        return find_target(planning, err);
    }
    OW_IMPOSSIBLE("an order of no kind");
}

/* Whoever committed for the group must be ours, or be given up by name. */
static enum ow_status check_committed(const struct planning *planning, bool untold_restored,
                                      struct ow_err *err)
{
    struct ow_assignment_facts untold = planning->question.facts;
    const struct ow_assignment_facts *facts = &planning->question.facts;
    struct ow_err why;
    const bool foreign =
        facts->metadata.ours && strcmp(facts->metadata.store_id, facts->store_id) != 0;
    const bool untouched =
        facts->metadata.ours && !foreign && facts->metadata.offset == facts->committed;
    planning->change->seen_committed = untouched ? -1 : facts->committed;
    untold.restored = untold_restored;
    planning->change->refused = ow_position_check_committed(&untold, &why) != OW_OK;
    return foreign && planning->order->foreign ? OW_OK : ow_position_check_committed(facts, err);
}

static enum ow_status plan_partition(struct planning *planning,
                                     const struct ow_partition_offset *committed,
                                     struct ow_err *err)
{
    struct ow_source *source = planning->options->source;
    const struct ow_position *position = planning->position;
    struct ow_positions_change *change = planning->change;
    *change = (struct ow_positions_change){
        .topic = committed->topic,
        .partition = committed->partition,
        .incarnation = position == NULL ? 0 : position->incarnation,
        .from = position == NULL ? -1 : position->next_offset,
        .to = position == NULL ? -1 : position->next_offset,
        .committed = committed->offset,
    };
    const struct ow_durable durable = ow_durable_of(position);
    struct ow_consume_options untold = *planning->options;
    untold.restored = false;
    planning->question = (struct ow_assign_question){
        .facts = ow_assign_facts(planning->options, &durable, committed)};
    OW_TRY(check_committed(planning, ow_assign_facts(&untold, &durable, committed).restored, err));
    OW_TRY(source->ops->bounds(source, committed->topic, committed->partition, &change->low,
                               &change->end, err));
    planning->question.low = change->low;
    planning->question.high = change->end;
    return plan_one(planning, err);
}

/* A worker of another store in the group would go on with its own offsets, and commit over ours. */
static enum ow_status check_group(const struct ow_consume_options *options, struct ow_err *err)
{
    int32_t members = 0;
    OW_TRY(options->source->ops->member_count(options->source, &members, err));
    return members == 0 ? OW_OK
                        : ow_fail(err, OW_TEMPORARY,
                                  "somebody is in the group (%d): stop it first, and wait until "
                                  "its session is over",
                                  (int)members);
}

static enum ow_status check_topic(const struct ow_consume_options *options,
                                  const struct ow_positions_order *order, int32_t *ret_exist,
                                  struct ow_err *err)
{
    if (ow_machines_of_topic(options->machines, ow_slice_of(order->topic)) == NULL) {
        return ow_fail(err, OW_BAD_CONFIG, "no machine reads a topic '%s'", order->topic);
    }
    OW_TRY(options->source->ops->partition_count(options->source, order->topic, ret_exist, err));
    if (*ret_exist == 0) {
        return ow_fail(err, OW_TEMPORARY, "there is no topic '%s' on the brokers", order->topic);
    }
    return order->partition < *ret_exist
               ? OW_OK
               : ow_fail(err, OW_BAD_CONFIG, "topic '%s' has the partitions 0 to %d", order->topic,
                         (int)*ret_exist - 1);
}

enum ow_status ow_positions_plan(struct ow_positions_work *work, struct ow_err *err)
{
    const struct ow_positions_order *order = work->order;
    struct ow_source *source = work->options->source;
    int32_t exist = 0;
    OW_TRY(check_topic(work->options, order, &exist, err));
    OW_TRY(check_group(work->options, err));
    const int32_t first = order->partition < 0 ? 0 : order->partition;
    const size_t count = order->partition < 0 ? (size_t)exist : 1;
    struct ow_partition_offset *committed =
        OW_ARENA_ARRAY(work->arena, count, struct ow_partition_offset);
    for (size_t i = 0; i < count; i++) {
        committed[i] =
            (struct ow_partition_offset){.topic = order->topic, .partition = first + (int32_t)i};
    }
    OW_TRY(source->ops->committed(source, committed, count, err));
    work->list = OW_ARENA_ARRAY(work->arena, count, struct ow_positions_change);
    work->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct planning planning = {.options = work->options,
                                    .order = order,
                                    .position =
                                        ow_position_find(work->positions, ow_slice_of(order->topic),
                                                         committed[i].partition),
                                    .change = &work->list[work->count]};
        /* Only `set` can say something of a partition that was never begun. */
        if (planning.position == NULL && order->verb != OW_POSITIONS_SET) {
            continue;
        }
        OW_TRY(plan_partition(&planning, &committed[i], err));
        work->count += planning.change->did != OW_POSITIONS_KEPT || planning.change->refused ||
                       order->verb == OW_POSITIONS_SET;
    }
    return OW_OK;
}
