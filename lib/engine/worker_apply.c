#include "base/failpoint.h"
#include "base/log.h"
#include "engine/worker_internal.h"

enum {
    RETRY_MS_MIN = 100,
    RETRY_MS_MAX = 5000,
    ENDS_HOLD_MS = 15000, /* three times what consume.c takes between two confirmations */
    TEND_ROWS = 16384,    /* some 10 ms, while no record waits */
    TEND_ROWS_LEAST = 1024
};

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

/*
 * Before a record that is accused. Where one more death would convict it, we first stand still for
 * a while: a process that dies then dies of something else. False when we are to stop.
 */
static bool wait_control(struct ow_worker *worker, const struct ow_chunk *chunk)
{
    const struct ow_suspects *suspects = worker->options.apply.suspects;
    const struct ow_record *record = &chunk->records[0];
    uint32_t deaths = 0;
    if (ow_suspects_treatment(suspects, record, &deaths) != OW_TREATMENT_TRY) {
        ow_log(OW_LOG_ERROR, "poison", "topic=" OW_SLICE_FMT " partition=%d offset=%lld deaths=%u",
               OW_SLICE_ARG(record->topic), (int)record->partition, (long long)record->offset,
               (unsigned)deaths);
    }
    if (!ow_suspects_needs_control(suspects, record) || worker->options.decode_threads == 0) {
        return true;
    }
    ow_log(OW_LOG_WARN, "control", "topic=" OW_SLICE_FMT " partition=%d offset=%lld ms=%d",
           OW_SLICE_ARG(record->topic), (int)record->partition, (long long)record->offset,
           OW_SUSPECT_CONTROL_MS);
    ow_slot_work(worker->apply.slot, OW_STAGE_CONTROL, record, 1, 0);
    const int64_t until_ns = ow_clock_elapsed_ns(&worker->apply.options.clock) +
                             (int64_t)OW_SUSPECT_CONTROL_MS * 1000000;
    ow_worker_lock(worker);
    while (!worker->stopping && ow_clock_elapsed_ns(&worker->apply.options.clock) < until_ns) {
        ow_worker_wait_change(worker, OW_WORKER_IDLE_MS);
    }
    const bool go_on = !worker->stopping;
    ow_worker_unlock(worker);
    ow_slot_rest(worker->apply.slot);
    return go_on;
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
    if (chunks[0]->care == OW_CARE_ALONE && !wait_control(worker, chunks[0])) {
        return OW_OK; /* it will come again */
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
    const struct ow_clock *clock = &worker->apply.options.clock;
    int64_t now_ns = ow_clock_elapsed_ns(clock);
    /* By the clock: each chunk that is submitted or decoded meanwhile ends a wait for a change. */
    const int64_t until_ns = now_ns + (int64_t)*retry_ms * 1000000;
    if (worker->retrying_since_ns == 0) {
        worker->retrying_since_ns = now_ns;
    }
    ow_log(OW_LOG_ERROR, "store_retry", "retry_ms=%d error=\"%s\"", *retry_ms, err->text);
    while (now_ns < until_ns && !worker->stopping) {
        ow_pulse_beat(worker->apply.options.pulse, "waiting for room on the disk");
        if (ow_jobs_any(&worker->jobs)) {
            /* A backup to another disk, say, is just what is wanted now. */
            ow_worker_unlock(worker);
            (void)ow_jobs_step(&worker->jobs, &worker->apply);
            ow_worker_lock(worker);
        } else {
            const int64_t left_ms = (until_ns - now_ns + 999999) / 1000000;
            ow_worker_wait_change(worker,
                                  left_ms < OW_WORKER_IDLE_MS ? (int)left_ms : OW_WORKER_IDLE_MS);
        }
        now_ns = ow_clock_elapsed_ns(clock);
    }
    *retry_ms = *retry_ms * 2 < RETRY_MS_MAX ? *retry_ms * 2 : RETRY_MS_MAX;
    return !worker->stopping;
}

/* A filter's rows are read some times until it is merged, so more of them than come. */
static size_t tend_rows(struct ow_chunk *const *chunks, size_t count)
{
    size_t records = 0;
    for (size_t i = 0; i < count; i++) {
        records += chunks[i]->count;
    }
    return count == 0 ? TEND_ROWS : TEND_ROWS_LEAST + 4 * records;
}

/*
 * What is due without a record. Where the store is full it is left for later: the records have
 * nothing to wait for. rows: see ow_apply_tend.
 */
static enum ow_status apply_nothing(struct ow_worker *worker, bool ends_hold, size_t rows,
                                    bool *ret_more, struct ow_err *err)
{
    bool more_overdue = false;
    bool more_to_tend = false;
    enum ow_status status = ow_apply_forget_seen(&worker->apply, err);
    if (status == OW_OK) {
        status = ow_apply_deadlines(&worker->apply, ends_hold, &more_overdue, err);
    }
    if (status == OW_OK) {
        ow_pulse_beat(worker->apply.options.pulse, "tending the store");
        status = ow_apply_tend(&worker->apply, ends_hold, rows, &more_to_tend, err);
    }
    *ret_more = status == OW_OK && (more_overdue || more_to_tend);
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
        ow_worker_lock(worker);
        const bool again = wait_retry(worker, &retry_ms, err);
        ow_worker_unlock(worker);
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
        const size_t slot = n % OW_WORKER_RING;
        struct ow_chunk *chunk = &worker->ring[slot];
        if (worker->states[slot] != OW_SLOT_DECODED) {
            break;
        }
        const bool goes_alone = chunk->assigned != NULL || chunk->care != OW_CARE_NONE;
        if (count > 0 && (goes_alone || rows + chunk->count > worker->rows_limit ||
                          bytes + chunk->bytes > worker->options.batch_bytes)) {
            break;
        }
        worker->states[slot] = OW_SLOT_APPLYING;
        chunks[count++] = chunk;
        rows += chunk->count;
        bytes += chunk->bytes;
        if (goes_alone) {
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
        const size_t slot = (worker->applied + i) % OW_WORKER_RING;
        worker->ring_bytes -= (int64_t)worker->ring[slot].bytes;
        worker->states[slot] = OW_SLOT_FREE;
    }
    worker->applied += count;
    worker->totals = worker->apply.totals;
    worker->first_due_ms = ow_apply_first_due_ms(&worker->apply);
    worker->retrying_since_ns = 0;
    if (status != OW_OK && worker->status == OW_OK) {
        worker->status = status;
        worker->err = *err;
    }
    (void)pthread_cond_broadcast(&worker->changed);
}

/* With the lock: whether the ends were confirmed lately, and what was handed over before is in
 * work.
 */
static bool do_ends_hold(const struct ow_worker *worker, size_t in_work)
{
    const struct ow_clock *clock = &worker->apply.options.clock;
    const int64_t age_ms = ow_clock_now_ms(clock) - worker->ends_confirmed_ms;
    const int64_t age_ns = ow_clock_elapsed_ns(clock) - worker->ends_confirmed_ns;
    return worker->applied + in_work >= worker->ends_confirmed && age_ms >= 0 &&
           age_ms <= ENDS_HOLD_MS && age_ns <= (int64_t)ENDS_HOLD_MS * 1000000;
}

/* After a batch of so many chunks. */
static enum ow_status tend(struct ow_worker *worker, size_t count, size_t rows, bool *ret_more,
                           struct ow_err *err)
{
    /* Asked after the batch, for that may have waited for hours until the disk had room. */
    ow_worker_lock(worker);
    const bool ends_hold = do_ends_hold(worker, count);
    ow_worker_unlock(worker);
    return apply_nothing(worker, ends_hold, rows, ret_more, err);
}

void *ow_worker_apply_thread(void *context)
{
    struct ow_worker *worker = context;
    const struct ow_apply_options *options = &worker->apply.options;
    int64_t tended_ns = 0;
    ow_worker_lock(worker);
    while (!worker->stopping && worker->status == OW_OK) {
        ow_pulse_beat(worker->apply.options.pulse, "waiting for records");
        struct ow_chunk *chunks[OW_WORKER_RING];
        const size_t count = take_batch(worker, chunks);
        const int64_t now_ns = ow_clock_elapsed_ns(&options->clock);
        const bool timely = now_ns - tended_ns >= 1000000000;
        const bool prune = worker->prune_asked;
        if (count == 0 && !timely && !prune && !ow_jobs_any(&worker->jobs)) {
            ow_worker_wait_change(worker, OW_WORKER_IDLE_MS);
            continue;
        }
        ow_worker_unlock(worker);
        struct ow_err err = {.text = ""};
        enum ow_status status = OW_OK;
        bool more = false;
        if (count > 0) {
            status = apply_with_retries(worker, chunks, count, &err);
        }
        if (status == OW_OK && (timely || prune || ow_store_lacks_filters(options->store))) {
            status = tend(worker, count, prune ? 0 : tend_rows(chunks, count), &more, &err);
            tended_ns = more ? 0 : now_ns;
        }
        if (status == OW_OK) {
            (void)ow_jobs_step(&worker->jobs, &worker->apply);
        }
        ow_durables_exchange(&worker->durables, &worker->apply.partitions,
                             worker->apply.generation);
        OW_FAILPOINT(DURABLE_TOLD);
        ow_worker_lock(worker);
        worker->prune_asked = worker->prune_asked && (more || !prune);
        finish_batch(worker, count, status, &err);
    }
    ow_worker_unlock(worker);
    ow_jobs_end(&worker->jobs, &worker->apply);
    ow_pulse_rest(worker->apply.options.pulse);
    return NULL;
}

void ow_worker_apply_inline(struct ow_worker *worker)
{
    struct ow_decoder decoder = ow_worker_decoder(worker);
    for (uint64_t n = worker->applied; n < worker->submitted; n++) {
        struct ow_chunk *chunk = &worker->ring[n % OW_WORKER_RING];
        if (chunk->care == OW_CARE_NONE && chunk->count > 0) {
            ow_slot_work(worker->apply.slot, OW_STAGE_READ, &chunk->records[0], chunk->count, 0);
            ow_chunk_decode(chunk, &decoder);
            ow_slot_rest(worker->apply.slot);
        }
        worker->states[n % OW_WORKER_RING] = OW_SLOT_DECODED;
    }
    ow_buffer_done(&decoder.scratch);
    struct ow_chunk *chunks[OW_WORKER_RING];
    size_t count = 0;
    while (worker->status == OW_OK && (count = take_batch(worker, chunks)) > 0) {
        struct ow_err err = {.text = ""};
        const enum ow_status status = apply_with_retries(worker, chunks, count, &err);
        ow_durables_exchange(&worker->durables, &worker->apply.partitions,
                             worker->apply.generation);
        finish_batch(worker, count, status, &err);
    }
}

void ow_worker_tick(struct ow_worker *worker)
{
    OW_REQUIRE(worker->options.decode_threads == 0);
    ow_worker_tend_inline(worker, TEND_ROWS);
}

void ow_worker_tend_inline(struct ow_worker *worker, size_t rows)
{
    struct ow_err err = {.text = ""};
    enum ow_status status = OW_OK;
    bool more = true;
    while (status == OW_OK && more) {
        status = apply_nothing(worker, do_ends_hold(worker, 0), rows, &more, &err);
    }
    if (status == OW_OK) {
        (void)ow_jobs_step(&worker->jobs, &worker->apply);
    }
    ow_durables_exchange(&worker->durables, &worker->apply.partitions, worker->apply.generation);
    finish_batch(worker, 0, status, &err);
}
