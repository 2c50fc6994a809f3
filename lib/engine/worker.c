#include "engine/worker.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "engine/worker_internal.h"
#include "store/inflight.h"

#include <stdlib.h>
#include <time.h>

static const int64_t never_ms = INT64_MIN / 2; /* each moment is far behind it */

void ow_worker_lock(struct ow_worker *worker)
{
    (void)pthread_mutex_lock(&worker->lock);
}

void ow_worker_unlock(struct ow_worker *worker)
{
    (void)pthread_mutex_unlock(&worker->lock);
}

void ow_worker_wait_change(struct ow_worker *worker, int timeout_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(&worker->changed, &worker->lock, &until);
}

struct ow_decoder ow_worker_decoder(const struct ow_worker *worker)
{
    return (struct ow_decoder){.machines = worker->options.apply.machines,
                               .hash_key = ow_store_hash_key(worker->options.apply.store),
                               .record_bytes_max = worker->options.apply.record_bytes_max};
}

/* Where a decode thread notes what it has in work, or NULL. */
static struct ow_slot *take_notes(struct ow_worker *worker)
{
    struct ow_suspects *suspects = worker->options.apply.suspects;
    const uint32_t number = atomic_fetch_add(&worker->decode_slots, 1) + 1;
    return suspects == NULL ? NULL : &suspects->slots[number];
}

static void *run_decode_thread(void *context)
{
    struct ow_worker *worker = context;
    struct ow_decoder decoder = ow_worker_decoder(worker);
    struct ow_slot *note = take_notes(worker);
    ow_worker_lock(worker);
    struct ow_pulse *pulse = ow_watchdog_decode(worker->options.watchdog, worker->decoder_number++);
    while (!worker->stopping) {
        ow_pulse_beat(pulse, "waiting for records");
        if (worker->next_to_decode == worker->submitted || worker->applied < worker->decode_after) {
            ow_worker_wait_change(worker, OW_WORKER_IDLE_MS);
            continue;
        }
        const size_t slot = worker->next_to_decode++ % OW_WORKER_RING;
        struct ow_chunk *chunk = &worker->ring[slot];
        if (chunk->care == OW_CARE_NONE && chunk->count > 0) {
            worker->states[slot] = OW_SLOT_DECODING;
            ow_worker_unlock(worker);
            ow_pulse_beat_record(pulse, "reading records as events");
            ow_slot_work(note, OW_STAGE_READ, &chunk->records[0], chunk->count, 0);
            OW_FAILPOINT(DECODE_NOTED);
            ow_chunk_decode(chunk, &decoder);
            OW_FAILPOINT(DECODE_DONE);
            ow_slot_rest(note);
            ow_worker_lock(worker);
        } else if (chunk->care != OW_CARE_NONE || chunk->assigned != NULL) {
            /* Suspects are read by the apply thread while nobody else works. And before an
             * operator's rewind is in the store, whoever dies of what lies there would seem to have
             * died of what was passed long ago. */
            worker->decode_after = worker->next_to_decode;
        }
        worker->states[slot] = OW_SLOT_DECODED;
        (void)pthread_cond_broadcast(&worker->changed);
    }
    ow_worker_unlock(worker);
    ow_pulse_rest(pulse);
    ow_buffer_done(&decoder.scratch);
    return NULL;
}

static enum ow_status start_threads(struct ow_worker *worker, struct ow_err *err)
{
    const size_t wanted = worker->options.decode_threads;
    if (wanted == 0) {
        return OW_OK;
    }
    /* jansson recurses to 2,048 levels of nesting, and our writer with it. */
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, (size_t)4 << 20);
    int failed = pthread_create(&worker->apply_thread, &attributes, ow_worker_apply_thread, worker);
    worker->apply_thread_runs = failed == 0;
    while (failed == 0 && worker->decode_thread_count < wanted &&
           worker->decode_thread_count < OW_WORKER_DECODE_THREADS_MAX) {
        failed = pthread_create(&worker->decode_threads[worker->decode_thread_count], &attributes,
                                run_decode_thread, worker);
        worker->decode_thread_count += failed == 0;
    }
    (void)pthread_attr_destroy(&attributes);
    return failed == 0 ? OW_OK : ow_fail(err, OW_FAILED, "cannot start a thread: error %d", failed);
}

static void wake(void *context)
{
    struct ow_worker *worker = context;
    ow_worker_lock(worker);
    (void)pthread_cond_broadcast(&worker->changed);
    ow_worker_unlock(worker);
}

static void init_ring(struct ow_worker *worker)
{
    (void)pthread_mutex_init(&worker->lock, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&worker->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    for (size_t i = 0; i < OW_WORKER_RING; i++) {
        ow_chunk_init(&worker->ring[i], worker->options.batch_rows);
    }
}

/* What is said of the end of the process before. */
static void tell_death(const struct ow_death *death)
{
    static const char *const stages[] = {
        [OW_STAGE_IDLE] = "idle", [OW_STAGE_READ] = "read",       [OW_STAGE_APPLY] = "apply",
        [OW_STAGE_WAKE] = "wake", [OW_STAGE_CONTROL] = "control",
    };
    if (death->stage != OW_STAGE_IDLE) {
        ow_log(OW_LOG_WARN, "died_in_work",
               "stage=%s alone=%d deaths=%u topic=%.*s partition=%d offset=%lld",
               stages[death->stage], (int)death->alone, (unsigned)death->deaths,
               (int)death->place.topic_len, (const char *)death->place.topic,
               (int)death->place.partition, (long long)death->place.offset);
    }
}

enum ow_status ow_worker_start(const struct ow_worker_options *options,
                               struct ow_worker **ret_worker, struct ow_err *err)
{
    struct ow_worker *worker = calloc(1, sizeof(*worker));
    OW_INVARIANT(worker != NULL); /* out of memory aborts, as in arena.h */
    worker->options = *options;
    worker->options.apply.pulse = ow_watchdog_apply(options->watchdog);
    worker->rows_limit = options->batch_rows;
    worker->first_due_ms = INT64_MAX;
    worker->ends_confirmed_ms = never_ms;
    init_ring(worker);
    ow_durables_init(&worker->durables);
    ow_jobs_init(&worker->jobs, wake, worker);
    enum ow_status status = ow_apply_open(&worker->apply, &worker->options.apply, err);
    if (status == OW_OK) {
        ow_durables_exchange(&worker->durables, &worker->apply.partitions,
                             worker->apply.generation);
        worker->first_due_ms = ow_apply_first_due_ms(&worker->apply);
        tell_death(&worker->apply.last_death);
        status =
            ow_inflight_refuse(options->apply.suspects, ow_store_path(options->apply.store), err);
    }
    if (status == OW_OK) {
        status = start_threads(worker, err);
    }
    if (status != OW_OK) {
        ow_worker_stop(worker);
        return status;
    }
    *ret_worker = worker;
    return OW_OK;
}

/* With the lock. Large records fill the ring by their bytes, however few they are. */
static bool has_room(const struct ow_worker *worker)
{
    return worker->states[worker->submitted % OW_WORKER_RING] == OW_SLOT_FREE &&
           worker->ring_bytes < OW_RING_BYTES_MAX;
}

struct ow_chunk *ow_worker_chunk(struct ow_worker *worker)
{
    struct ow_chunk *chunk = NULL;
    ow_worker_lock(worker);
    const size_t slot = worker->submitted % OW_WORKER_RING;
    if (has_room(worker)) {
        worker->states[slot] = OW_SLOT_FILLING;
        chunk = &worker->ring[slot];
    }
    ow_worker_unlock(worker);
    if (chunk != NULL) {
        ow_chunk_reset(chunk, atomic_load(&worker->generation));
    }
    return chunk;
}

void ow_worker_give_back(struct ow_worker *worker, struct ow_chunk *chunk)
{
    ow_worker_lock(worker);
    OW_REQUIRE(chunk == &worker->ring[worker->submitted % OW_WORKER_RING]);
    worker->states[worker->submitted % OW_WORKER_RING] = OW_SLOT_FREE;
    ow_worker_unlock(worker);
}

void ow_worker_submit(struct ow_worker *worker, struct ow_chunk *chunk)
{
    ow_worker_lock(worker);
    const size_t slot = worker->submitted % OW_WORKER_RING;
    OW_REQUIRE(chunk == &worker->ring[slot]);
    worker->states[slot] = OW_SLOT_SUBMITTED;
    worker->ring_bytes += (int64_t)chunk->bytes;
    worker->submitted++;
    if (worker->options.decode_threads == 0) {
        ow_worker_apply_inline(worker);
    }
    (void)pthread_cond_broadcast(&worker->changed);
    ow_worker_unlock(worker);
}

bool ow_worker_wait_room(struct ow_worker *worker, int timeout_ms)
{
    ow_worker_lock(worker);
    if (!has_room(worker) && worker->status == OW_OK) {
        ow_worker_wait_change(worker, timeout_ms);
    }
    const bool is_free = has_room(worker);
    ow_worker_unlock(worker);
    return is_free;
}

void ow_worker_wait(struct ow_worker *worker, int timeout_ms)
{
    ow_worker_lock(worker);
    ow_worker_wait_change(worker, timeout_ms);
    ow_worker_unlock(worker);
}

size_t ow_worker_free_count(struct ow_worker *worker, size_t *ret_ring_count)
{
    ow_worker_lock(worker);
    size_t count = 0;
    for (size_t i = 0; i < OW_WORKER_RING; i++) {
        count += worker->states[i] == OW_SLOT_FREE;
    }
    ow_worker_unlock(worker);
    *ret_ring_count = OW_WORKER_RING;
    return count;
}

bool ow_worker_drain(struct ow_worker *worker, int timeout_ms)
{
    const struct ow_clock *clock = &worker->apply.options.clock;
    const int64_t until_ns = ow_clock_elapsed_ns(clock) + (int64_t)timeout_ms * 1000000;
    ow_worker_lock(worker);
    while (worker->applied < worker->submitted && worker->status == OW_OK &&
           ow_clock_elapsed_ns(clock) < until_ns) {
        ow_worker_wait_change(worker, 50);
    }
    const bool drained = worker->applied == worker->submitted && worker->status == OW_OK;
    ow_worker_unlock(worker);
    return drained;
}

uint32_t ow_worker_next_generation(struct ow_worker *worker)
{
    /* What was said of the ends goes with the chunks that say it, and goes first: or it would seem
     * to hold once they are dropped. */
    ow_worker_lock(worker);
    if (worker->applied < worker->ends_confirmed) {
        worker->ends_confirmed_ms = never_ms;
    }
    ow_worker_unlock(worker);
    return atomic_fetch_add(&worker->generation, 1) + 1;
}

enum ow_status ow_worker_status(struct ow_worker *worker, struct ow_err *err)
{
    ow_worker_lock(worker);
    const enum ow_status status = worker->status;
    if (status != OW_OK) {
        *err = worker->err;
    }
    ow_worker_unlock(worker);
    return status;
}

int64_t ow_worker_retrying_since_ns(struct ow_worker *worker)
{
    ow_worker_lock(worker);
    const int64_t since_ns = worker->retrying_since_ns;
    ow_worker_unlock(worker);
    return since_ns;
}

struct ow_totals ow_worker_totals(struct ow_worker *worker)
{
    ow_worker_lock(worker);
    const struct ow_totals totals = worker->totals;
    ow_worker_unlock(worker);
    return totals;
}

struct ow_suspects *ow_worker_suspects(struct ow_worker *worker)
{
    return worker->options.apply.suspects;
}

struct ow_durables *ow_worker_durables(struct ow_worker *worker)
{
    return &worker->durables;
}

struct ow_jobs *ow_worker_jobs(struct ow_worker *worker)
{
    return &worker->jobs;
}

bool ow_worker_is_deadline_due(struct ow_worker *worker)
{
    ow_worker_lock(worker);
    const bool due = worker->first_due_ms <= ow_clock_now_ms(&worker->apply.options.clock);
    ow_worker_unlock(worker);
    return due;
}

void ow_worker_confirm_ends(struct ow_worker *worker)
{
    ow_worker_lock(worker);
    worker->ends_confirmed_ms = ow_clock_now_ms(&worker->apply.options.clock);
    worker->ends_confirmed_ns = ow_clock_elapsed_ns(&worker->apply.options.clock);
    worker->ends_confirmed = worker->submitted;
    ow_worker_unlock(worker);
}

bool ow_worker_prune(struct ow_worker *worker, int timeout_ms)
{
    const struct ow_clock *clock = &worker->apply.options.clock;
    if (worker->options.decode_threads == 0) {
        ow_worker_tend_inline(worker, 0);
        return true;
    }
    const int64_t until_ns = ow_clock_elapsed_ns(clock) + (int64_t)timeout_ms * 1000000;
    ow_worker_lock(worker);
    worker->prune_asked = true;
    (void)pthread_cond_broadcast(&worker->changed);
    while (worker->prune_asked && worker->status == OW_OK &&
           ow_clock_elapsed_ns(clock) < until_ns) {
        ow_worker_wait_change(worker, 50);
    }
    const bool done = !worker->prune_asked;
    ow_worker_unlock(worker);
    return done;
}

void ow_worker_stop(struct ow_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    ow_worker_lock(worker);
    worker->stopping = true;
    (void)pthread_cond_broadcast(&worker->changed);
    ow_worker_unlock(worker);
    if (worker->apply_thread_runs) {
        (void)pthread_join(worker->apply_thread, NULL);
    }
    for (size_t i = 0; i < worker->decode_thread_count; i++) {
        (void)pthread_join(worker->decode_threads[i], NULL);
    }
    ow_jobs_end(&worker->jobs, &worker->apply); /* where there was no apply thread */
    if (worker->status == OW_OK) {
        struct ow_err err = {.text = ""};
        ow_durables_exchange(&worker->durables, &worker->apply.partitions,
                             worker->apply.generation);
        if (ow_apply_forget_seen(&worker->apply, &err) != OW_OK) {
            ow_log(OW_LOG_WARN, "forget_failed", "error=\"%s\"",
                   err.text); /* at worst a rewind is asked for twice */
        }
    }
    ow_apply_close(&worker->apply);
    ow_jobs_done(&worker->jobs);
    ow_durables_done(&worker->durables);
    for (size_t i = 0; i < OW_WORKER_RING; i++) {
        ow_chunk_done(&worker->ring[i]);
    }
    (void)pthread_cond_destroy(&worker->changed);
    (void)pthread_mutex_destroy(&worker->lock);
    free(worker);
}
