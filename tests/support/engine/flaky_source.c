#include "support/engine/flaky_source.h"

#include "base/contract.h"
#include "engine/source_memory.h"

static struct ow_flaky *flaky_of(struct ow_source *source)
{
    return (struct ow_flaky *)(void *)source; /* its first member */
}

const char *ow_flaky_text(enum ow_flaky_op op)
{
    static const char *const texts[OW_FLAKY_OPS] = {
        "none",         "committed", "bounds",   "offset_for_time", "partition_count",
        "member_count", "assign",    "unassign", "commit",          "pause",
        "poll"};
    return texts[op];
}

static enum ow_status strike(struct ow_flaky *flaky, enum ow_flaky_op op, struct ow_err *err)
{
    if (op != flaky->op) {
        return OW_OK;
    }
    flaky->calls++;
    if (flaky->calls != flaky->at && !(flaky->for_ever && flaky->calls > flaky->at)) {
        return OW_OK;
    }
    flaky->fired = true;
    return ow_fail(err, flaky->status, "%s fails", ow_flaky_text(op));
}

static void flaky_poll(struct ow_source *source, int timeout_ms, struct ow_source_event *ret_event)
{
    struct ow_flaky *flaky = flaky_of(source);
    struct ow_err err = {.text = ""};
    const enum ow_status status = strike(flaky, OW_FLAKY_POLL, &err);
    if (err.text[0] != '\0') {
        *ret_event = (struct ow_source_event){.kind = OW_SOURCE_TROUBLE};
        ret_event->status = flaky->talks ? OW_OK : status;
        ret_event->err = err;
        return;
    }
    flaky->inner->ops->poll(flaky->inner, timeout_ms, ret_event);
    if (ret_event->kind == OW_SOURCE_RECORD && ++flaky->records == flaky->rebalance_at) {
        ow_memory_source_rebalance(flaky->inner);
    }
    ret_event->lost = ret_event->kind == OW_SOURCE_REVOKED && flaky->lost;
}

static enum ow_status flaky_committed(struct ow_source *source, struct ow_partition_offset *list,
                                      size_t count, struct ow_err *err)
{
    OW_TRY(strike(flaky_of(source), OW_FLAKY_COMMITTED, err));
    return flaky_of(source)->inner->ops->committed(flaky_of(source)->inner, list, count, err);
}

static enum ow_status flaky_bounds(struct ow_source *source, const char *topic, int32_t partition,
                                   int64_t *ret_low, int64_t *ret_high, struct ow_err *err)
{
    struct ow_source *inner = flaky_of(source)->inner;
    OW_TRY(strike(flaky_of(source), OW_FLAKY_BOUNDS, err));
    return inner->ops->bounds(inner, topic, partition, ret_low, ret_high, err);
}

static enum ow_status flaky_offset_for_time(struct ow_source *source, const char *topic,
                                            int32_t partition, int64_t time_ms, int64_t *ret_offset,
                                            struct ow_err *err)
{
    struct ow_source *inner = flaky_of(source)->inner;
    OW_TRY(strike(flaky_of(source), OW_FLAKY_OFFSET_FOR_TIME, err));
    return inner->ops->offset_for_time(inner, topic, partition, time_ms, ret_offset, err);
}

static enum ow_status flaky_partition_count(struct ow_source *source, const char *topic,
                                            int32_t *ret_count, struct ow_err *err)
{
    OW_TRY(strike(flaky_of(source), OW_FLAKY_PARTITION_COUNT, err));
    return flaky_of(source)->inner->ops->partition_count(flaky_of(source)->inner, topic, ret_count,
                                                         err);
}

static enum ow_status flaky_member_count(struct ow_source *source, int32_t *ret_count,
                                         struct ow_err *err)
{
    OW_TRY(strike(flaky_of(source), OW_FLAKY_MEMBER_COUNT, err));
    return flaky_of(source)->inner->ops->member_count(flaky_of(source)->inner, ret_count, err);
}

static enum ow_status flaky_assign(struct ow_source *source, const struct ow_partition_offset *list,
                                   size_t count, struct ow_err *err)
{
    OW_TRY(strike(flaky_of(source), OW_FLAKY_ASSIGN, err));
    return flaky_of(source)->inner->ops->assign(flaky_of(source)->inner, list, count, err);
}

static enum ow_status flaky_unassign(struct ow_source *source, struct ow_err *err)
{
    OW_TRY(strike(flaky_of(source), OW_FLAKY_UNASSIGN, err));
    return flaky_of(source)->inner->ops->unassign(flaky_of(source)->inner, err);
}

static enum ow_status flaky_commit(struct ow_source *source, const struct ow_partition_offset *list,
                                   size_t count, bool wait, struct ow_err *err)
{
    OW_TRY(strike(flaky_of(source), OW_FLAKY_COMMIT, err));
    return flaky_of(source)->inner->ops->commit(flaky_of(source)->inner, list, count, wait, err);
}

static bool flaky_commits_taken(struct ow_source *source)
{
    return flaky_of(source)->inner->ops->commits_taken(flaky_of(source)->inner);
}

static bool flaky_any_sent(struct ow_source *source)
{
    return flaky_of(source)->inner->ops->any_sent(flaky_of(source)->inner);
}

static enum ow_status flaky_pause(struct ow_source *source, struct ow_err *err)
{
    OW_TRY(strike(flaky_of(source), OW_FLAKY_PAUSE, err));
    return flaky_of(source)->inner->ops->pause(flaky_of(source)->inner, err);
}

static bool flaky_close(struct ow_source *source, int deadline_ms)
{
    return flaky_of(source)->inner->ops->close(flaky_of(source)->inner, deadline_ms);
}

void ow_flaky_open(struct ow_flaky *flaky, struct ow_source *inner)
{
    *flaky = (struct ow_flaky){.inner = inner};
    flaky->ops = (struct ow_source_ops){
        .poll = flaky_poll,
        .committed = flaky_committed,
        .bounds = flaky_bounds,
        .offset_for_time = flaky_offset_for_time,
        .partition_count = flaky_partition_count,
        .member_count = flaky_member_count,
        .assign = flaky_assign,
        .unassign = flaky_unassign,
        .commit = flaky_commit,
        .commits_taken = flaky_commits_taken,
        .any_sent = flaky_any_sent,
        .pause = flaky_pause,
        .close = flaky_close,
    };
    flaky->source.ops = &flaky->ops;
}
