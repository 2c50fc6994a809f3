#include "crank_fixture.h"

struct ow_crank ow_crank;

/* Of the thread that turns: others look at the clock meanwhile, and end nothing. */
static _Thread_local bool turns;

static int64_t now_ms(void *context)
{
    (void)context;
    return ow_crank.now_ms;
}

/* The loop looks at its clock each time around: there it is told that this is the last. */
static int64_t elapsed_ns(void *context)
{
    (void)context;
    if (turns) {
        ow_crank.worker->stopping = true;
    }
    atomic_fetch_add(&ow_crank.looks, 1);
    return atomic_fetch_add(&ow_crank.elapsed_ns, ow_crank.look_ns) + ow_crank.look_ns;
}

struct ow_clock ow_crank_clock(void)
{
    enum { A_DAY_S = 86400 };
    ow_crank = (struct ow_crank){.now_ms = INT64_C(1800000000000),
                                 .elapsed_ns = A_DAY_S * INT64_C(1000000000)};
    return (struct ow_clock){.now_ms = now_ms, .elapsed_ns = elapsed_ns};
}

void ow_crank_take(struct ow_worker *worker)
{
    OW_REQUIRE(worker->options.decode_threads == 0);
    worker->options.decode_threads = 1; /* from now on submitting does not apply */
    ow_crank.worker = worker;
}

static void decode_all(struct ow_worker *worker)
{
    struct ow_decoder decoder = ow_worker_decoder(worker);
    ow_worker_lock(worker);
    for (uint64_t n = worker->applied; n < worker->submitted; n++) {
        const size_t slot = n % OW_WORKER_RING;
        if (worker->states[slot] == OW_SLOT_SUBMITTED) {
            ow_chunk_decode(&worker->ring[slot], &decoder);
            worker->states[slot] = OW_SLOT_DECODED;
        }
    }
    ow_worker_unlock(worker);
    ow_buffer_done(&decoder.scratch);
}

void ow_crank_turn(void)
{
    struct ow_worker *const worker = ow_crank.worker;
    decode_all(worker);
    turns = true;
    (void)ow_worker_apply_thread(worker);
    turns = false;
    worker->stopping = false;
}

uint64_t ow_crank_left(void)
{
    struct ow_worker *const worker = ow_crank.worker;
    ow_worker_lock(worker);
    const uint64_t left = worker->submitted - worker->applied;
    ow_worker_unlock(worker);
    return left;
}

void ow_crank_turn_all(void)
{
    struct ow_err err;
    while (ow_crank_left() > 0 && ow_worker_status(ow_crank.worker, &err) == OW_OK) {
        ow_crank_turn();
    }
}
