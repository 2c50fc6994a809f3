#include "engine/consume.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "engine/consume_internal.h"

enum {
    POLL_MS = 100,
    GATHER_MS = 1,         /* how long a chunk that has records waits for more */
    ROOM_MS = 100,         /* a wait for room, between looks at the stop flag */
    PAUSE_AFTER_MS = 2000, /* how long a full ring is waited for before partitions are paused */
    PROGRESS_MS = 250,
    CONFIRM_MS = 5000, /* between two questions for the ends, while a deadline is due */
    PRUNE_MS = 5000,   /* at the end of a run until the end */
    STOP_DRAIN_MS = 10000
};

int64_t ow_consume_elapsed_ns(const struct ow_consumer *consumer)
{
    return ow_clock_elapsed_ns(&consumer->options->clock);
}

bool ow_consume_must_stop(const struct ow_consumer *consumer)
{
    return consumer->options->stop != NULL && atomic_load(consumer->options->stop);
}

struct ow_tracked *ow_consume_find(struct ow_consumer *consumer, const struct ow_record *record)
{
    const size_t count = consumer->tracked_count;
    for (size_t i = 0; i < count; i++) {
        const size_t at = (consumer->tracked_last + i) % count;
        struct ow_tracked *tracked = &consumer->tracked[at];
        if (tracked->partition == record->partition &&
            ow_slice_equals_text(record->topic, tracked->topic)) {
            consumer->tracked_last = at;
            return tracked;
        }
    }
    return NULL;
}

void ow_consume_beat(struct ow_consumer *consumer, const char *doing)
{
    ow_consume_look(consumer);
    ow_pulse_beat(ow_watchdog_poll(consumer->options->watchdog), doing);
}

/* A chunk to fill; NULL while all are on their way. */
static struct ow_chunk *take_chunk(struct ow_consumer *consumer)
{
    if (consumer->chunk == NULL) {
        consumer->chunk = ow_worker_chunk(consumer->worker);
    }
    return consumer->chunk;
}

void ow_consume_submit_chunk(struct ow_consumer *consumer)
{
    if (consumer->chunk != NULL && (consumer->chunk->count > 0 || consumer->chunk->end_count > 0)) {
        ow_worker_submit(consumer->worker, consumer->chunk);
        OW_FAILPOINT(QUEUE_SUBMITTED);
        consumer->chunk = NULL;
    }
}

void ow_consume_drop_chunk(struct ow_consumer *consumer)
{
    if (consumer->chunk != NULL) {
        ow_worker_give_back(consumer->worker, consumer->chunk);
        consumer->chunk = NULL;
    }
}

/* Waits for an empty chunk: the ring empties fast, for its old generation is dropped. */
enum ow_status ow_consume_wait_chunk(struct ow_consumer *consumer, struct ow_err *err)
{
    while (take_chunk(consumer) == NULL) {
        ow_consume_beat(consumer, "waiting for the apply thread");
        OW_TRY(ow_worker_status(consumer->worker, err));
        if (ow_consume_must_stop(consumer)) {
            return OW_OK;
        }
        (void)ow_worker_wait_room(consumer->worker, ROOM_MS);
    }
    return OW_OK;
}

/* Notes that a record is handed out, where there are notes, and finds it a chunk of such as are
 * handled alike; NULL afterwards where we are to stop. */
static enum ow_status take_note(struct ow_consumer *consumer, struct ow_suspect_partition *notes,
                                int64_t offset, struct ow_err *err)
{
    enum ow_care care = OW_CARE_NONE;
    if (notes != NULL) {
        care = ow_suspects_care(ow_worker_suspects(consumer->worker), notes, offset);
        notes->place.offset = offset;
    }
    if (!ow_chunk_takes(consumer->chunk, care)) {
        ow_consume_submit_chunk(consumer);
        OW_TRY(ow_consume_wait_chunk(consumer, err));
    }
    if (consumer->chunk != NULL) {
        consumer->chunk->care = care;
    }
    return OW_OK;
}

static enum ow_status take_record(struct ow_consumer *consumer, const struct ow_record *record,
                                  struct ow_err *err)
{
    struct ow_tracked *tracked = ow_consume_find(consumer, record);
    if (!consumer->assigned || tracked == NULL) {
        return OW_OK; /* of an assignment that is gone: it will come again */
    }
    OW_FAILPOINT(POLL_TAKEN);
    OW_TRY(take_note(consumer, tracked->notes, record->offset, err));
    if (consumer->chunk == NULL) {
        return OW_OK;
    }
    OW_FAILPOINT(POLL_NOTED);
    tracked->seen = record->offset + 1;
    consumer->heard_ns = consumer->looked_ns;
    struct ow_record copy = *record;
    copy.via = OW_VIA_KAFKA;
    copy.for_anchor = record->offset < tracked->first;
    consumer->moved = consumer->moved || !copy.for_anchor;
    ow_chunk_add(consumer->chunk, &copy);
    return OW_OK;
}

static void take_end(struct ow_consumer *consumer, const struct ow_record *end)
{
    struct ow_tracked *tracked = ow_consume_find(consumer, end);
    if (!consumer->assigned || tracked == NULL) {
        return;
    }
    consumer->heard_ns = consumer->looked_ns;
    if (end->offset > tracked->seen) {
        tracked->seen = end->offset;
    }
    (void)ow_chunk_add_end(consumer->chunk, end);
    ow_consume_submit_chunk(consumer);
}

/*
 * Back-pressure. A full ring is normal while the store is the slower side, and it empties within a
 * batch's time, so it is waited for; pausing throws away what librdkafka has fetched and stalls it
 * for most of a second, so it is for a store that stands still. Heartbeats have a thread of their
 * own meanwhile. What was paused is assigned once more (consume_doubt.c).
 */
static enum ow_status make_room(struct ow_consumer *consumer, struct ow_err *err)
{
    if (consumer->chunk != NULL && ow_chunk_is_full(consumer->chunk)) {
        ow_consume_submit_chunk(consumer);
    }
    const int64_t patience_ms = consumer->paused ? ROOM_MS : PAUSE_AFTER_MS;
    const int64_t until_ns = ow_consume_elapsed_ns(consumer) + patience_ms * 1000000;
    while (take_chunk(consumer) == NULL && ow_consume_elapsed_ns(consumer) < until_ns &&
           !ow_consume_must_stop(consumer)) {
        ow_consume_beat(consumer, "waiting for the apply thread");
        OW_TRY(ow_worker_status(consumer->worker, err));
        (void)ow_worker_wait_room(consumer->worker, ROOM_MS);
    }
    if (consumer->chunk == NULL && !consumer->paused && consumer->assigned) {
        return ow_consume_pause(consumer, "store", err);
    }
    return OW_OK;
}

static enum ow_status handle(struct ow_consumer *consumer, const struct ow_source_event *event,
                             struct ow_err *err)
{
    switch (event->kind) {
    case OW_SOURCE_IDLE:
        ow_consume_submit_chunk(consumer);
        return ow_consume_end_check_silence(consumer, err);
    case OW_SOURCE_RECORD:
        return take_record(consumer, &event->record, err);
    case OW_SOURCE_END:
        take_end(consumer, &event->record);
        return OW_OK;
    case OW_SOURCE_ASSIGNED:
        return ow_consume_assign(consumer, event, err);
    case OW_SOURCE_REVOKED:
        return ow_consume_revoke(consumer, event, err);
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

static void show_progress(struct ow_consumer *consumer)
{
    const int64_t now_ns = ow_consume_elapsed_ns(consumer);
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
        const struct ow_tracked *tracked = &consumer->tracked[i];
        struct ow_durable durable = {.next_offset = tracked->start};
        (void)ow_durables_get(ow_worker_durables(consumer->worker), tracked->topic,
                              tracked->partition, &durable);
        progress.goal += tracked->goal > tracked->start ? tracked->goal - tracked->start : 0;
        progress.done +=
            durable.next_offset > tracked->start ? durable.next_offset - tracked->start : 0;
    }
    consumer->options->progress(&progress, consumer->options->progress_context);
}

/* Whether all that the broker has of a partition was handed over. */
static bool is_at_end(struct ow_consumer *consumer, const struct ow_tracked *tracked)
{
    int64_t low = 0;
    int64_t high = 0;
    struct ow_err err;
    ow_consume_beat(consumer, "asking for the ends of partitions");
    return consumer->source->ops->bounds(consumer->source, tracked->topic, tracked->partition, &low,
                                         &high, &err) == OW_OK &&
           tracked->seen >= high;
}

/* As the broker says, behind the records that were handed over. False where there is no room. */
static bool submit_ends(struct ow_consumer *consumer)
{
    for (size_t i = 0; i < consumer->tracked_count; i++) {
        const struct ow_tracked *tracked = &consumer->tracked[i];
        const bool at_end = is_at_end(consumer, tracked);
        const struct ow_record end = {.topic = ow_slice_of(tracked->topic),
                                      .partition = tracked->partition,
                                      .offset = at_end ? tracked->seen : OW_CHUNK_NO_END};
        if (take_chunk(consumer) == NULL) {
            return false;
        }
        (void)ow_chunk_add_end(consumer->chunk, &end);
        if (ow_chunk_is_full(consumer->chunk)) {
            ow_consume_submit_chunk(consumer);
        }
    }
    ow_consume_submit_chunk(consumer);
    return true;
}

/*
 * A parked record's deadline, or the end of a retention, counts once the partitions are read to
 * their ends. What an end was told to be says nothing later on (the broker may have been away
 * since), so the broker is asked when one is due; of a partition that has more the last record
 * counts. True where it was asked.
 */
static bool confirm_ends_if_due(struct ow_consumer *consumer)
{
    const int64_t now_ns = ow_consume_elapsed_ns(consumer);
    /* Before the first catching up the answer is known, and would cost the next question. */
    if (!ow_consume_end_reached(consumer) || consumer->paused ||
        now_ns - consumer->confirm_ns < (int64_t)CONFIRM_MS * 1000000 ||
        !ow_worker_is_deadline_due(consumer->worker)) {
        return false;
    }
    ow_consume_submit_chunk(consumer);
    if (!submit_ends(consumer)) {
        return false;
    }
    consumer->confirm_ns = now_ns;
    ow_worker_confirm_ends(consumer->worker);
    return true;
}

/*
 * Runs that begin and end within seconds may be all that a store ever sees: so what is over goes
 * before the end. What is sealed only now may be due by the wall clock, and then the ends must be
 * confirmed first, and be known to the apply thread.
 */
static void prune_at_end(struct ow_consumer *consumer)
{
    const int64_t until_ns = ow_consume_elapsed_ns(consumer) + (int64_t)PRUNE_MS * 1000000;
    struct ow_err err;
    bool more = true;
    while (more && ow_consume_elapsed_ns(consumer) < until_ns && !ow_consume_must_stop(consumer) &&
           ow_worker_status(consumer->worker, &err) == OW_OK) {
        ow_consume_beat(consumer, "waiting until what is over is pruned");
        more = !ow_worker_drain(consumer->worker, POLL_MS) ||
               !ow_worker_prune(consumer->worker, POLL_MS);
        more = confirm_ends_if_due(consumer) || more;
    }
}

/* Polls until the chunk is full, nothing comes, or something other than a record does. */
static enum ow_status poll_some(struct ow_consumer *consumer, struct ow_err *err)
{
    for (;;) {
        const bool gathering = consumer->chunk != NULL && consumer->chunk->count > 0;
        struct ow_source_event event;
        consumer->source->ops->poll(consumer->source, gathering ? GATHER_MS : POLL_MS, &event);
        ow_consume_look(consumer);
        if (event.kind == OW_SOURCE_RECORD || event.kind == OW_SOURCE_END) {
            if (ow_consume_doubts(consumer, &event)) {
                return ow_consume_pause(consumer, "doubt", err);
            }
            /* Paused partitions give nothing, but what is given has its place. */
            OW_TRY(ow_consume_wait_chunk(consumer, err));
            if (consumer->chunk == NULL) {
                return OW_OK; /* we are to stop */
            }
        }
        OW_TRY(handle(consumer, &event, err));
        if (event.kind != OW_SOURCE_RECORD || consumer->chunk == NULL ||
            ow_chunk_is_full(consumer->chunk)) {
            return OW_OK;
        }
    }
}

static enum ow_status run(struct ow_consumer *consumer, struct ow_err *err)
{
    while (!ow_consume_must_stop(consumer)) {
        ow_consume_beat(consumer, "polling the broker");
        OW_TRY(ow_worker_status(consumer->worker, err));
        OW_TRY(ow_consume_end_check_patience(consumer, err));
        ow_consume_say_waiting(consumer);
        OW_TRY(ow_consume_go_on_if_due(consumer, err));
        OW_TRY(make_room(consumer, err));
        /* Without a chunk there is no place for a record, and nobody gives one. */
        OW_INVARIANT(consumer->chunk != NULL || consumer->paused || !consumer->assigned);
        OW_TRY(poll_some(consumer, err));
        ow_consume_commit_if_due(consumer);
        (void)confirm_ends_if_due(consumer);
        show_progress(consumer);
        if (consumer->options->until_end && ow_consume_end_reached(consumer)) {
            ow_consume_submit_chunk(consumer);
            if (ow_worker_drain(consumer->worker, POLL_MS)) {
                prune_at_end(consumer);
                return OW_OK;
            }
        }
    }
    return OW_OK;
}

enum ow_status ow_consume(const struct ow_consume_options *options, struct ow_err *err)
{
    struct ow_consumer consumer = {
        .options = options, .source = options->source, .worker = options->worker};
    ow_arena_init(&consumer.arena, (size_t)16 * 1024);
    ow_consume_look(&consumer);
    consumer.start_ns = consumer.heard_ns = ow_consume_elapsed_ns(&consumer);
    ow_consume_has_none(&consumer);
    consumer.confirm_ns = consumer.start_ns - (int64_t)CONFIRM_MS * 1000000;
    enum ow_status status = run(&consumer, err);
    ow_consume_drop_chunk(&consumer);
    ow_consume_beat(&consumer, "stopping");
    if (status == OW_OK) {
        /* What is still on its way is dropped (none at an end); the batch in work is waited for,
         * then committed. */
        (void)ow_worker_next_generation(consumer.worker);
        (void)ow_worker_drain(consumer.worker, STOP_DRAIN_MS);
        status = ow_worker_status(consumer.worker, err);
    }
    OW_FAILPOINT(STOP_DRAINED);
    if (consumer.assigned && status == OW_OK) {
        ow_consume_commit(&consumer, true, true);
        OW_FAILPOINT(STOP_COMMITTED);
    }
    ow_pulse_rest(ow_watchdog_poll(options->watchdog));
    ow_arena_done(&consumer.arena);
    return status;
}
