#include "base/log.h"
#include "engine/consume_internal.h"

/*
 * A topic may be deleted, made anew under its name and filled beyond our position. While we fetch,
 * the broker's answers tell; while we do not, nothing does, and the records of the new one would be
 * taken for those that follow ours. So whenever fetching may have stood still for long enough, the
 * anchors are compared as at an assignment, before anything more is taken.
 */
enum {
    SILENCE_MS = 500,  /* five of the poll loop's waits; few make a topic anew in less */
    FUTILE_MAX = 7,    /* then only what is longer than a session is a silence */
    CALM_MS = 10000,   /* without a silence: then it is measured by the first measure again */
    DRAIN_MS = 100,    /* a wait for the apply thread, between looks at the stop flag */
    AGAIN_MS = 1000,   /* between two tries, where the broker does not answer */
    GIVE_UP_MS = 60000 /* the next start plans anew */
};

static const int64_t ns_per_ms = 1000000;

/*
 * By both clocks: elapsed time does not count while a machine sleeps, and the wall clock may be set
 * back. One that is set forward costs a comparison. A host that is so slow that each look comes
 * late would only ever compare, so what was in vain is more patient next time.
 */
void ow_consume_look(struct ow_consumer *consumer)
{
    const int64_t now_ns = ow_consume_elapsed_ns(consumer);
    const int64_t now_ms = ow_clock_now_ms(&consumer->options->clock);
    const int64_t elapsed_ms = (now_ns - consumer->looked_ns) / ns_per_ms;
    const int64_t wall_ms = now_ms - consumer->looked_ms;
    const int64_t silent_ms = elapsed_ms > wall_ms ? elapsed_ms : wall_ms;
    if (silent_ms > SILENCE_MS) {
        consumer->restless_ns = now_ns;
    } else if (now_ns - consumer->restless_ns > CALM_MS * ns_per_ms) {
        consumer->futile = 0;
    }
    if (silent_ms > (int64_t)SILENCE_MS << consumer->futile) {
        consumer->doubtful = true;
    }
    consumer->looked_ns = now_ns;
    consumer->looked_ms = now_ms;
}

/* Not what is fetched for an anchor, for that is what is compared; and an end where we are says
 * nothing that could be wrong. */
bool ow_consume_doubts(struct ow_consumer *consumer, const struct ow_source_event *event)
{
    if (!consumer->assigned || (!consumer->doubtful && !event->interrupted)) {
        return false;
    }
    const struct ow_tracked *tracked = ow_consume_find(consumer, &event->record);
    if (tracked == NULL) {
        return false;
    }
    return event->kind == OW_SOURCE_RECORD ? event->record.offset >= tracked->first
                                           : event->record.offset != tracked->seen;
}

enum ow_status ow_consume_pause(struct ow_consumer *consumer, const char *reason,
                                struct ow_err *err)
{
    if (consumer->paused) {
        return OW_OK;
    }
    consumer->paused = true;
    ow_log(OW_LOG_DEBUG, "paused", "reason=%s", reason);
    return consumer->source->ops->pause(consumer->source, err);
}

/* No answer is normal after a silence: said once, and asked again between polls. */
static enum ow_status try_later(struct ow_consumer *consumer, enum ow_status status,
                                const struct ow_err *err)
{
    const int64_t now_ns = ow_consume_elapsed_ns(consumer);
    if (consumer->failing_ns == 0) {
        consumer->failing_ns = now_ns;
        ow_log(OW_LOG_WARN, "assignment_retry", "error=\"%s\"", err->text);
    }
    consumer->again_ns = now_ns + AGAIN_MS * ns_per_ms;
    return now_ns - consumer->failing_ns < GIVE_UP_MS * ns_per_ms ? OW_OK : status;
}

enum ow_status ow_consume_go_on_if_due(struct ow_consumer *consumer, struct ow_err *err)
{
    if (!consumer->assigned || !consumer->paused ||
        ow_consume_elapsed_ns(consumer) < consumer->again_ns) {
        return OW_OK;
    }
    ow_consume_submit_chunk(consumer); /* it is of the topics that we know */
    if (!ow_worker_drain(consumer->worker, DRAIN_MS)) {
        return OW_OK;
    }
    const bool in_vain = consumer->doubtful && !consumer->moved;
    const enum ow_status status = ow_consume_assign_again(consumer, err);
    if (status == OW_TEMPORARY) {
        return try_later(consumer, status, err);
    }
    if (in_vain && consumer->futile < FUTILE_MAX) {
        consumer->futile++;
    }
    return status;
}
