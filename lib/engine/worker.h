/*
 * worker: the way from the poll thread to the store: a ring of chunks, decode threads, the one
 * apply thread.
 *
 * The poll thread fills a chunk and submits it; decode threads read chunks as events, in any order;
 * the apply thread takes them in the order of submission, as many as have arrived up to the batch's
 * limits, and commits them.
 *
 * Threads: _start, _chunk, _submit, _revoke, _wait_room, _wait, _stop are the poll thread's; the
 * rest may be called by any. With decode_threads = 0 there are no threads at all: _submit decodes
 * and applies before it returns (transcripts and simulation), and _tick does what the apply thread
 * does when time passes. Memory: the ring is allocated at start. Failure: the first failure ends
 * the apply thread; _status tells it.
 */
#ifndef OW_ENGINE_WORKER_H
#define OW_ENGINE_WORKER_H

#include "engine/apply.h"
#include "engine/durable.h"
#include "engine/job.h"

struct ow_worker;

struct ow_worker_options {
    struct ow_apply_options apply;
    size_t batch_rows, batch_bytes; /* a batch is what has arrived, up to these */
    int64_t batch_ms;               /* batches shrink while they take longer */
    size_t decode_threads;
    struct ow_watchdog *watchdog; /* told what apply and decode threads do; NULL: nobody is */
};

enum ow_status ow_worker_start(const struct ow_worker_options *options,
                               struct ow_worker **ret_worker, struct ow_err *err) OW_MUST_USE;

/* An empty chunk to fill, or NULL while all are on their way. It must be submitted or given back.
 */
struct ow_chunk *ow_worker_chunk(struct ow_worker *worker);
void ow_worker_give_back(struct ow_worker *worker, struct ow_chunk *chunk);
void ow_worker_submit(struct ow_worker *worker, struct ow_chunk *chunk);
/* Waits until a chunk is free, at most timeout_ms; true where one is. */
bool ow_worker_wait_room(struct ow_worker *worker, int timeout_ms);
/* Waits until something changes in the ring, at most timeout_ms. */
void ow_worker_wait(struct ow_worker *worker, int timeout_ms);
/* How many chunks of the ring are free, and how many there are. */
size_t ow_worker_free_count(struct ow_worker *worker, size_t *ret_ring_count);
/* Waits until everything submitted is applied, at most timeout_ms; true where it is. */
bool ow_worker_drain(struct ow_worker *worker, int timeout_ms);

/* Starts the next generation: chunks of an older one are dropped before apply. Returns its number.
 */
uint32_t ow_worker_next_generation(struct ow_worker *worker);

/* OK while it works; else what ended it. */
enum ow_status ow_worker_status(struct ow_worker *worker, struct ow_err *err);
/* While the store is full: since when it retries, elapsed ns; 0: it does not. */
int64_t ow_worker_retrying_since_ns(struct ow_worker *worker);
struct ow_totals ow_worker_totals(struct ow_worker *worker);

/* The notes of what is in work, of which the partitions are the poll thread's; NULL: there are
 * none.
 */
struct ow_suspects *ow_worker_suspects(struct ow_worker *worker);

/* What is durable of each partition; lives as long as the worker. */
struct ow_durables *ow_worker_durables(struct ow_worker *worker);

/* What the apply thread does between batches for others; lives as long as the worker. Its jobs end
 * with the worker: whoever waits for one must be done before _stop. */
struct ow_jobs *ow_worker_jobs(struct ow_worker *worker);

/* Whether a deadline or a retention is over by the wall clock: then somebody must confirm the ends.
 */
bool ow_worker_is_deadline_due(struct ow_worker *worker);
/* The ends that were submitted before are those of now: each counts for some seconds, as long as
 * nothing more of its partition is handled. */
void ow_worker_confirm_ends(struct ow_worker *worker);

/*
 * Prunes what is over, for at most timeout_ms where there are threads; true where nothing of it is
 * left. Filters wait for the next start: nothing is looked up any more.
 */
bool ow_worker_prune(struct ow_worker *worker, int timeout_ms);

/* Without threads: what is due without a record, and a slice of a job. */
void ow_worker_tick(struct ow_worker *worker);

/* Finishes the batch in work, drops the rest, joins the threads and frees. Takes NULL. */
void ow_worker_stop(struct ow_worker *worker);

#endif
