#include "engine/worker.h"

#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
    RING_COUNT = 48,
    DECODE_THREADS_MAX = 16,
    IDLE_MS = 200,
    RETRY_MS_MIN = 100,
    RETRY_MS_MAX = 5000,
    ENDS_HOLD_MS = 15000 /* three times what consume.c takes between two confirmations */
};

/* Where a chunk of the ring is. Only the state is shared; the chunk itself belongs to whoever the
 * state names. */
enum slot_state {
    SLOT_FREE,
    SLOT_FILLING,
    SLOT_SUBMITTED,
    SLOT_DECODING,
    SLOT_DECODED,
    SLOT_APPLYING
};

struct ow_worker {
    struct ow_worker_options options;
    struct ow_apply apply; /* the apply thread's */
    struct ow_durables durables;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct ow_chunk ring[RING_COUNT];
    enum slot_state states[RING_COUNT];
    uint64_t submitted; /* chunks submitted so far; chunk n lies in slot n % RING_COUNT */
    uint64_t next_to_decode;
    uint64_t applied;
    bool stopping;
    enum ow_status status;
    struct ow_err err;
    struct ow_totals totals;
    int64_t retrying_since_ns;
    int64_t first_deadline_ms; /* of what is parked */
    int64_t ends_confirmed_ms; /* wall clock, for a machine that slept must ask again */
    int64_t ring_bytes;        /* of the records that are on their way */

    _Atomic uint32_t generation;
    size_t rows_limit; /* the apply thread's: batch_rows, less while batches are slow */
    pthread_t apply_thread;
    pthread_t decode_threads[DECODE_THREADS_MAX];
    size_t decode_thread_count;
    bool apply_thread_runs;
};

static void lock(struct ow_worker *worker)
{
    (void)pthread_mutex_lock(&worker->lock);
}

static void unlock(struct ow_worker *worker)
{
    (void)pthread_mutex_unlock(&worker->lock);
}

/* With the lock: waits for a change, at most timeout_ms. */
static void wait_change(struct ow_worker *worker, int timeout_ms)
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

static struct ow_decoder decoder_of(const struct ow_worker *worker)
{
    return (struct ow_decoder){.machines = worker->options.apply.machines,
                               .hash_key = ow_store_hash_key(worker->options.apply.store),
                               .record_bytes_max = worker->options.apply.record_bytes_max};
}

static void *run_decode_thread(void *context)
{
    struct ow_worker *worker = context;
    struct ow_decoder decoder = decoder_of(worker);
    lock(worker);
    while (!worker->stopping) {
        if (worker->next_to_decode == worker->submitted) {
            wait_change(worker, IDLE_MS);
            continue;
        }
        const size_t slot = worker->next_to_decode++ % RING_COUNT;
        worker->states[slot] = SLOT_DECODING;
        unlock(worker);
        ow_chunk_decode(&worker->ring[slot], &decoder);
        lock(worker);
        worker->states[slot] = SLOT_DECODED;
        (void)pthread_cond_broadcast(&worker->changed);
    }
    unlock(worker);
    ow_buffer_done(&decoder.scratch);
    return NULL;
}

/* Batches that hold up a stop or a revoke for too long become smaller; fast ones grow back. */
static void adapt(struct ow_worker *worker, int64_t took_ms)
{
    const size_t most = worker->options.batch_rows;
    if (took_ms > worker->options.batch_ms) {
        worker->rows_limit =
            worker->rows_limit > 1 ? worker->rows_limit / 2 : 1; /* one chunk at least is taken */
    } else if (took_ms < worker->options.batch_ms / 2) {
        worker->rows_limit = worker->rows_limit * 2 < most ? worker->rows_limit * 2 : most;
    }
}

/* What the apply thread does with a batch of chunks, all of one kind. */
static enum ow_status apply_chunks(struct ow_worker *worker, struct ow_chunk *const *chunks,
                                   size_t count, struct ow_err *err)
{
    struct ow_apply *apply = &worker->apply;
    const uint32_t generation = atomic_load(&worker->generation);
    if (chunks[0]->assigned != NULL) {
        return chunks[0]->generation == generation ? ow_apply_assignment(apply, chunks[0], err)
                                                   : OW_OK;
    }
    if (apply->generation != generation) {
        return OW_OK; /* revoked since they were fetched */
    }
    const int64_t start_ns = ow_clock_elapsed_ns(&apply->options.clock);
    const enum ow_status status = ow_apply_batch(apply, chunks, count, err);
    adapt(worker, (ow_clock_elapsed_ns(&apply->options.clock) - start_ns) / 1000000);
    return status;
}

/* With the lock: waits out a full store. The batch is rolled back and waits with us. False when we
 * are to stop. */
static bool wait_retry(struct ow_worker *worker, int *retry_ms, const struct ow_err *err)
{
    if (worker->retrying_since_ns == 0) {
        worker->retrying_since_ns = ow_clock_elapsed_ns(&worker->apply.options.clock);
    }
    ow_log(OW_LOG_ERROR, "store_retry", "retry_ms=%d error=\"%s\"", *retry_ms, err->text);
    int left_ms = *retry_ms;
    while (left_ms > 0 && !worker->stopping) {
        const int step_ms = left_ms < IDLE_MS ? left_ms : IDLE_MS;
        wait_change(worker, step_ms);
        left_ms -= step_ms;
    }
    *retry_ms = *retry_ms * 2 < RETRY_MS_MAX ? *retry_ms * 2 : RETRY_MS_MAX;
    return !worker->stopping;
}

/*
 * What is due without a record. Where the store is full it is left for later: the records have
 * nothing to wait for.
 */
static enum ow_status apply_nothing(struct ow_worker *worker, bool ends_hold, bool *ret_more,
                                    struct ow_err *err)
{
    *ret_more = false;
    enum ow_status status = ow_apply_forget_seen(&worker->apply, err);
    if (status == OW_OK) {
        status = ow_apply_deadlines(&worker->apply, ends_hold, ret_more, err);
    }
    if (status != OW_OK && ow_status_action(status) == OW_ACTION_RETRY) {
        ow_log(OW_LOG_ERROR, "store_retry", "error=\"%s\"", err->text);
        return OW_OK;
    }
    return status;
}

/* Applies until it works, or until it must stop. */
static enum ow_status apply_with_retries(struct ow_worker *worker, struct ow_chunk *const *chunks,
                                         size_t count, struct ow_err *err)
{
    int retry_ms = RETRY_MS_MIN;
    for (;;) {
        const enum ow_status status = apply_chunks(worker, chunks, count, err);
        if (status == OW_OK || ow_status_action(status) != OW_ACTION_RETRY ||
            worker->options.decode_threads == 0) {
            return status;
        }
        lock(worker);
        const bool again = wait_retry(worker, &retry_ms, err);
        unlock(worker);
        if (!again) {
            return status;
        }
    }
}

/* With the lock: the chunks of the next batch, in order; 0 where none has arrived. */
static size_t take_batch(struct ow_worker *worker, struct ow_chunk **chunks)
{
    size_t count = 0;
    size_t rows = 0;
    size_t bytes = 0;
    for (uint64_t n = worker->applied; n < worker->submitted; n++) {
        const size_t slot = n % RING_COUNT;
        struct ow_chunk *chunk = &worker->ring[slot];
        if (worker->states[slot] != SLOT_DECODED) {
            break;
        }
        const bool is_assignment = chunk->assigned != NULL;
        if (count > 0 && (is_assignment || rows + chunk->count > worker->rows_limit ||
                          bytes + chunk->bytes > worker->options.batch_bytes)) {
            break;
        }
        worker->states[slot] = SLOT_APPLYING;
        chunks[count++] = chunk;
        rows += chunk->count;
        bytes += chunk->bytes;
        if (is_assignment) {
            break;
        }
    }
    return count;
}

/* With the lock: publishes what a batch left behind. */
static void finish_batch(struct ow_worker *worker, size_t count, enum ow_status status,
                         const struct ow_err *err)
{
    for (size_t i = 0; i < count; i++) {
        const size_t slot = (worker->applied + i) % RING_COUNT;
        worker->ring_bytes -= (int64_t)worker->ring[slot].bytes;
        worker->states[slot] = SLOT_FREE;
    }
    worker->applied += count;
    worker->totals = worker->apply.totals;
    worker->first_deadline_ms = ow_store_first_deadline_ms(worker->apply.options.store);
    worker->retrying_since_ns = 0;
    if (status != OW_OK && worker->status == OW_OK) {
        worker->status = status;
        worker->err = *err;
    }
    (void)pthread_cond_broadcast(&worker->changed);
}

/* With the lock: whether all that was handed over is in work, and the ends were confirmed lately.
 */
static bool do_ends_hold(const struct ow_worker *worker, size_t in_work)
{
    const int64_t age_ms =
        ow_clock_now_ms(&worker->apply.options.clock) - worker->ends_confirmed_ms;
    return worker->applied + in_work == worker->submitted && age_ms >= 0 && age_ms <= ENDS_HOLD_MS;
}

static void *run_apply_thread(void *context)
{
    struct ow_worker *worker = context;
    int64_t deadlines_ns = 0;
    lock(worker);
    while (!worker->stopping && worker->status == OW_OK) {
        struct ow_chunk *chunks[RING_COUNT];
        const size_t count = take_batch(worker, chunks);
        const int64_t now_ns = ow_clock_elapsed_ns(&worker->apply.options.clock);
        const bool look_at_deadlines = now_ns - deadlines_ns >= 1000000000;
        const bool ends_hold = do_ends_hold(worker, count);
        if (count == 0 && !look_at_deadlines) {
            wait_change(worker, IDLE_MS);
            continue;
        }
        unlock(worker);
        struct ow_err err = {.text = ""};
        enum ow_status status = OW_OK;
        if (count > 0) {
            status = apply_with_retries(worker, chunks, count, &err);
        }
        if (status == OW_OK && look_at_deadlines) {
            bool more = false;
            status = apply_nothing(worker, ends_hold, &more, &err);
            deadlines_ns = more ? 0 : now_ns;
        }
        ow_durables_exchange(&worker->durables, &worker->apply.partitions,
                             worker->apply.generation);
        lock(worker);
        finish_batch(worker, count, status, &err);
    }
    unlock(worker);
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
    int failed = pthread_create(&worker->apply_thread, &attributes, run_apply_thread, worker);
    worker->apply_thread_runs = failed == 0;
    while (failed == 0 && worker->decode_thread_count < wanted &&
           worker->decode_thread_count < DECODE_THREADS_MAX) {
        failed = pthread_create(&worker->decode_threads[worker->decode_thread_count], &attributes,
                                run_decode_thread, worker);
        worker->decode_thread_count += failed == 0;
    }
    (void)pthread_attr_destroy(&attributes);
    return failed == 0 ? OW_OK : ow_fail(err, OW_FAILED, "cannot start a thread: error %d", failed);
}

static void init_ring(struct ow_worker *worker)
{
    (void)pthread_mutex_init(&worker->lock, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&worker->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    for (size_t i = 0; i < RING_COUNT; i++) {
        ow_chunk_init(&worker->ring[i], worker->options.batch_rows);
    }
}

enum ow_status ow_worker_start(const struct ow_worker_options *options,
                               struct ow_worker **ret_worker, struct ow_err *err)
{
    struct ow_worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    worker->options = *options;
    worker->rows_limit = options->batch_rows;
    worker->first_deadline_ms = INT64_MAX;
    worker->ends_confirmed_ms = INT64_MIN / 2; /* never */
    init_ring(worker);
    ow_durables_init(&worker->durables);
    enum ow_status status = ow_apply_open(&worker->apply, &options->apply, err);
    if (status == OW_OK) {
        ow_durables_exchange(&worker->durables, &worker->apply.partitions,
                             worker->apply.generation);
        worker->first_deadline_ms = ow_store_first_deadline_ms(options->apply.store);
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
    return worker->states[worker->submitted % RING_COUNT] == SLOT_FREE &&
           worker->ring_bytes < OW_RING_BYTES_MAX;
}

struct ow_chunk *ow_worker_chunk(struct ow_worker *worker)
{
    struct ow_chunk *chunk = NULL;
    lock(worker);
    const size_t slot = worker->submitted % RING_COUNT;
    if (has_room(worker)) {
        worker->states[slot] = SLOT_FILLING;
        chunk = &worker->ring[slot];
    }
    unlock(worker);
    if (chunk != NULL) {
        ow_chunk_reset(chunk, atomic_load(&worker->generation));
    }
    return chunk;
}

void ow_worker_give_back(struct ow_worker *worker, struct ow_chunk *chunk)
{
    lock(worker);
    OW_REQUIRE(chunk == &worker->ring[worker->submitted % RING_COUNT]);
    worker->states[worker->submitted % RING_COUNT] = SLOT_FREE;
    unlock(worker);
}

/* Without threads: the whole way at once. */
static void apply_inline(struct ow_worker *worker)
{
    struct ow_decoder decoder = decoder_of(worker);
    for (uint64_t n = worker->applied; n < worker->submitted; n++) {
        ow_chunk_decode(&worker->ring[n % RING_COUNT], &decoder);
        worker->states[n % RING_COUNT] = SLOT_DECODED;
    }
    ow_buffer_done(&decoder.scratch);
    struct ow_chunk *chunks[RING_COUNT];
    size_t count = 0;
    while (worker->status == OW_OK && (count = take_batch(worker, chunks)) > 0) {
        struct ow_err err = {.text = ""};
        const enum ow_status status = apply_with_retries(worker, chunks, count, &err);
        ow_durables_exchange(&worker->durables, &worker->apply.partitions,
                             worker->apply.generation);
        finish_batch(worker, count, status, &err);
    }
}

void ow_worker_submit(struct ow_worker *worker, struct ow_chunk *chunk)
{
    lock(worker);
    const size_t slot = worker->submitted % RING_COUNT;
    OW_REQUIRE(chunk == &worker->ring[slot]);
    worker->states[slot] = SLOT_SUBMITTED;
    worker->ring_bytes += (int64_t)chunk->bytes;
    worker->submitted++;
    if (worker->options.decode_threads == 0) {
        apply_inline(worker);
    }
    (void)pthread_cond_broadcast(&worker->changed);
    unlock(worker);
}

bool ow_worker_wait_room(struct ow_worker *worker, int timeout_ms)
{
    lock(worker);
    if (!has_room(worker) && worker->status == OW_OK) {
        wait_change(worker, timeout_ms);
    }
    const bool is_free = has_room(worker);
    unlock(worker);
    return is_free;
}

size_t ow_worker_free_count(struct ow_worker *worker, size_t *ret_ring_count)
{
    lock(worker);
    size_t count = 0;
    for (size_t i = 0; i < RING_COUNT; i++) {
        count += worker->states[i] == SLOT_FREE;
    }
    unlock(worker);
    *ret_ring_count = RING_COUNT;
    return count;
}

bool ow_worker_drain(struct ow_worker *worker, int timeout_ms)
{
    const struct ow_clock *clock = &worker->apply.options.clock;
    const int64_t until_ns = ow_clock_elapsed_ns(clock) + (int64_t)timeout_ms * 1000000;
    lock(worker);
    while (worker->applied < worker->submitted && worker->status == OW_OK &&
           ow_clock_elapsed_ns(clock) < until_ns) {
        wait_change(worker, 50);
    }
    const bool drained = worker->applied == worker->submitted && worker->status == OW_OK;
    unlock(worker);
    return drained;
}

uint32_t ow_worker_next_generation(struct ow_worker *worker)
{
    return atomic_fetch_add(&worker->generation, 1) + 1;
}

enum ow_status ow_worker_status(struct ow_worker *worker, struct ow_err *err)
{
    lock(worker);
    const enum ow_status status = worker->status;
    if (status != OW_OK) {
        *err = worker->err;
    }
    unlock(worker);
    return status;
}

int64_t ow_worker_retrying_since_ns(struct ow_worker *worker)
{
    lock(worker);
    const int64_t since_ns = worker->retrying_since_ns;
    unlock(worker);
    return since_ns;
}

struct ow_totals ow_worker_totals(struct ow_worker *worker)
{
    lock(worker);
    const struct ow_totals totals = worker->totals;
    unlock(worker);
    return totals;
}

struct ow_durables *ow_worker_durables(struct ow_worker *worker)
{
    return &worker->durables;
}

bool ow_worker_is_deadline_due(struct ow_worker *worker)
{
    lock(worker);
    const bool due = worker->first_deadline_ms <= ow_clock_now_ms(&worker->apply.options.clock);
    unlock(worker);
    return due;
}

void ow_worker_confirm_ends(struct ow_worker *worker)
{
    lock(worker);
    worker->ends_confirmed_ms = ow_clock_now_ms(&worker->apply.options.clock);
    unlock(worker);
}

void ow_worker_tick(struct ow_worker *worker)
{
    OW_REQUIRE(worker->options.decode_threads == 0);
    struct ow_err err = {.text = ""};
    enum ow_status status = OW_OK;
    bool more = true;
    while (status == OW_OK && more) {
        status = apply_nothing(worker, do_ends_hold(worker, 0), &more, &err);
    }
    ow_durables_exchange(&worker->durables, &worker->apply.partitions, worker->apply.generation);
    finish_batch(worker, 0, status, &err);
}

void ow_worker_stop(struct ow_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    lock(worker);
    worker->stopping = true;
    (void)pthread_cond_broadcast(&worker->changed);
    unlock(worker);
    if (worker->apply_thread_runs) {
        (void)pthread_join(worker->apply_thread, NULL);
    }
    for (size_t i = 0; i < worker->decode_thread_count; i++) {
        (void)pthread_join(worker->decode_threads[i], NULL);
    }
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
    ow_durables_done(&worker->durables);
    for (size_t i = 0; i < RING_COUNT; i++) {
        ow_chunk_done(&worker->ring[i]);
    }
    (void)pthread_cond_destroy(&worker->changed);
    (void)pthread_mutex_destroy(&worker->lock);
    free(worker);
}
