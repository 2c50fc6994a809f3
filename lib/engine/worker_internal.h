/*
 * worker_internal: what worker.c (the ring, the decode threads) and worker_apply.c (what is done
 * with a batch) share. Private to them.
 */
#ifndef OW_ENGINE_WORKER_INTERNAL_H
#define OW_ENGINE_WORKER_INTERNAL_H

#include "engine/worker.h"

#include <assert.h>
#include <stdatomic.h>

enum {
    OW_WORKER_RING = 48,
    OW_WORKER_DECODE_THREADS_MAX = OW_WATCHDOG_DECODE_MAX,
    OW_WORKER_IDLE_MS = 200
};
static_assert(OW_WORKER_DECODE_THREADS_MAX + 1 == (int)OW_SUSPECT_SLOTS, "a slot for each thread");

/* Where a chunk of the ring is. Only the state is shared; the chunk itself belongs to whoever the
 * state names. */
enum ow_worker_slot {
    OW_SLOT_FREE,
    OW_SLOT_FILLING,
    OW_SLOT_SUBMITTED,
    OW_SLOT_DECODING,
    OW_SLOT_DECODED,
    OW_SLOT_APPLYING
};

struct ow_worker {
    struct ow_worker_options options;
    struct ow_apply apply; /* the apply thread's */
    struct ow_durables durables;
    struct ow_jobs jobs; /* with a lock of their own */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct ow_chunk ring[OW_WORKER_RING];
    enum ow_worker_slot states[OW_WORKER_RING];
    uint64_t submitted; /* chunks submitted so far; chunk n lies in slot n % OW_WORKER_RING */
    uint64_t next_to_decode;
    uint64_t applied;
    uint64_t decode_after; /* nothing is decoded before so many are applied */
    bool stopping;
    size_t decoder_number; /* of the next decode thread that begins */
    bool prune_asked;      /* until nothing is left to prune */
    enum ow_status status;
    struct ow_err err;
    struct ow_totals totals;
    int64_t retrying_since_ns;
    int64_t first_due_ms; /* of what waits for the stream time */
    /* By both clocks: elapsed time does not count while a machine sleeps, and the wall clock may be
     * set back. */
    int64_t ends_confirmed_ms, ends_confirmed_ns;
    uint64_t ends_confirmed; /* chunks that were submitted by then */
    int64_t ring_bytes;      /* of the records that are on their way */

    _Atomic uint32_t generation;
    size_t rows_limit; /* the apply thread's: batch_rows, less while batches are slow */
    pthread_t apply_thread;
    pthread_t decode_threads[OW_WORKER_DECODE_THREADS_MAX];
    size_t decode_thread_count;
    _Atomic uint32_t decode_slots; /* of the notes that the decode threads have taken */
    bool apply_thread_runs;
};

void ow_worker_lock(struct ow_worker *worker);
void ow_worker_unlock(struct ow_worker *worker);
/* With the lock: waits for a change, at most timeout_ms. */
void ow_worker_wait_change(struct ow_worker *worker, int timeout_ms);
struct ow_decoder ow_worker_decoder(const struct ow_worker *worker);

/* The apply thread; context is the worker. */
void *ow_worker_apply_thread(void *context);
/* Without threads: decodes and applies all that was submitted. With the lock. */
void ow_worker_apply_inline(struct ow_worker *worker);
/* Without threads: what is due without a record; rows: see ow_apply_tend. */
void ow_worker_tend_inline(struct ow_worker *worker, size_t rows);

#endif
