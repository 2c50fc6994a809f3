#include "transcript.h"

/*
 * The memory source's first member is its table of operations, so ours takes its place: only poll
 * is another. One play at a time runs in this process.
 */
static const struct ow_source_ops *inner;
static struct ow_door *open_door;

static void door_poll(struct ow_source *source, int timeout_ms, struct ow_source_event *ret_event)
{
    struct ow_door *door = open_door;
    door->clock->elapsed_ns += 1000000; /* time that passes for timeouts, and for nobody else */
    if (door->records_left == 0) {
        *ret_event = (struct ow_source_event){.kind = OW_SOURCE_IDLE};
        atomic_store(&door->stop, true);
        return;
    }
    if (door->until_rebalance == 0) {
        /* Ever longer pauses between them: what a revocation drops comes again, so there must be
         * progress. */
        door->until_rebalance = ++door->rebalance_every;
        ow_memory_source_rebalance(source);
    }
    inner->poll(source, timeout_ms, ret_event);
    if (ret_event->kind == OW_SOURCE_IDLE) {
        atomic_store(&door->stop, true); /* all is read, and every end is told */
    }
    if (ret_event->kind == OW_SOURCE_RECORD) {
        door->records_left -= door->records_left > 0;
        door->until_rebalance -= door->until_rebalance > 0;
    }
}

void ow_door_open(struct ow_door *door, struct ow_memory_broker *broker,
                  struct ow_clock_manual *clock)
{
    static struct ow_source_ops ops;
    *door = (struct ow_door){.source = ow_memory_source_open(broker),
                             .clock = clock,
                             .records_left = -1,
                             .until_rebalance = -1};
    inner = door->source->ops;
    ops = *inner;
    ops.poll = door_poll;
    door->source->ops = &ops;
    open_door = door;
}
