#include "engine/consume_internal.h"

enum { SILENT_MS = 5000 /* between two looks whether the topics are still there */ };

bool ow_consume_end_reached(const struct ow_consumer *consumer)
{
    for (size_t i = 0; i < consumer->tracked_count; i++) {
        if (consumer->tracked[i].seen < consumer->tracked[i].goal) {
            return false;
        }
    }
    return consumer->assigned && consumer->tracked_count > 0;
}

static enum ow_status fail_deleted(const struct ow_tracked *tracked, struct ow_err *err)
{
    return ow_fail(
        err, OW_UNSAFE,
        "topic %s was deleted while it was read: offsets %lld to %lld of partition %d were "
        "not read",
        tracked->topic, (long long)tracked->seen, (long long)tracked->goal - 1,
        (int)tracked->partition);
}

enum ow_status ow_consume_end_check_plan(const struct ow_consumer *consumer,
                                         const struct ow_assigned *plan, size_t count,
                                         struct ow_err *err)
{
    for (size_t i = 0; consumer->options->until_end && i < consumer->tracked_count; i++) {
        const struct ow_tracked *tracked = &consumer->tracked[i];
        size_t at = 0;
        while (at < count && (plan[at].partition != tracked->partition ||
                              strcmp(plan[at].topic, tracked->topic) != 0)) {
            at++;
        }
        if (at == count && tracked->seen < tracked->goal) {
            return fail_deleted(tracked, err);
        }
    }
    return OW_OK;
}

/* A partition that we wait for and that is not there, or NULL; a broker that does not answer says
 * nothing. */
static enum ow_status find_deleted(const struct ow_consumer *consumer,
                                   const struct ow_tracked **ret_deleted, struct ow_err *err)
{
    *ret_deleted = NULL;
    for (size_t i = 0; i < consumer->tracked_count && *ret_deleted == NULL; i++) {
        const struct ow_tracked *tracked = &consumer->tracked[i];
        if (tracked->seen >= tracked->goal) {
            continue;
        }
        int32_t count = 0;
        const enum ow_status status =
            consumer->source->ops->partition_count(consumer->source, tracked->topic, &count, err);
        if (status != OW_OK) {
            return status == OW_TEMPORARY ? OW_OK : status;
        }
        *ret_deleted = count <= tracked->partition ? tracked : NULL;
    }
    return OW_OK;
}

enum ow_status ow_consume_end_check_patience(const struct ow_consumer *consumer, struct ow_err *err)
{
    const int64_t waited_ms = (ow_consume_elapsed_ns(consumer) - consumer->start_ns) / 1000000;
    if (consumer->options->until_end && consumer->tracked_count == 0 &&
        waited_ms > consumer->options->wait_broker_ms) {
        return ow_fail(err, OW_TEMPORARY,
                       "no assignment within %lld s: is the broker there, and the group free",
                       (long long)(consumer->options->wait_broker_ms / 1000));
    }
    return OW_OK;
}

enum ow_status ow_consume_end_check_silence(struct ow_consumer *consumer, struct ow_err *err)
{
    const int64_t now_ns = ow_consume_elapsed_ns(consumer);
    if (!consumer->options->until_end ||
        now_ns - consumer->heard_ns < (int64_t)SILENT_MS * 1000000) {
        return OW_OK;
    }
    consumer->heard_ns = now_ns;
    /* A broker that has just started may not know a topic yet, so it is asked for twice. */
    const struct ow_tracked *deleted = NULL;
    OW_TRY(find_deleted(consumer, &deleted, err));
    if (deleted != NULL && consumer->deleted_before) {
        return fail_deleted(deleted, err);
    }
    consumer->deleted_before = deleted != NULL;
    return OW_OK;
}
