/*
 * apply: the heart: a batch of events becomes one SQLite transaction: read what they touch, decide
 * each in order, write what changed, with the positions, COMMIT. No threads and no waiting here:
 * worker.h drives it.
 *
 * Threads: the apply thread's alone, between _open and _close. Memory: a batch arena, reset at each
 * batch. Failure: RETRY statuses leave nothing behind, the same batch can be given again; STOP
 * statuses end the process. A record that the store refuses is quarantined as poison; the rest of
 * its batch is judged again, one by one. A chunk to be handled with care is a batch of its own
 * (careful.h).
 */
#ifndef OW_ENGINE_APPLY_H
#define OW_ENGINE_APPLY_H

#include "engine/partition.h"
#include "engine/watchdog.h"
#include "model/decide.h"
#include "store/store.h"

struct ow_apply_options {
    struct ow_store *store; /* borrowed */
    const struct ow_machines *machines;
    struct ow_clock clock;
    size_t record_bytes_max;
    int64_t claim_skew_ms;
    struct ow_pulse *pulse;       /* of the apply thread; NULL: nobody looks */
    struct ow_suspects *suspects; /* borrowed; NULL: nobody takes notes */
};

/* What was handled since _open. */
struct ow_totals {
    int64_t records; /* handled, re-reads included; not what was dropped */
    int64_t counts[OW_OUTCOME_COUNT];
    int64_t other_channel; /* of the duplicates; the others are another offset with the same id */
    int64_t reread;        /* replays: below the high mark, where an operator moved the group */
    int64_t same_offset;   /* dropped below the position: fetched again. In no store, for they are
                              not handled at all */
    int64_t batches;
};

struct ow_apply {
    struct ow_apply_options options;
    struct ow_decoder decoder; /* for parked records */
    struct ow_partitions partitions;
    struct ow_world world;
    struct ow_arena arena;
    uint32_t generation; /* of the assignment whose records count */
    struct ow_totals totals;
    struct ow_slot *slot;       /* where it is noted what is in work, or NULL */
    struct ow_death last_death; /* of the process before */
};

enum ow_status ow_apply_open(struct ow_apply *apply, const struct ow_apply_options *options,
                             struct ow_err *err) OW_MUST_USE;
void ow_apply_close(struct ow_apply *apply);

/* Takes a new assignment: makes positions for new partitions, moves those that an operator moved.
 */
enum ow_status ow_apply_assignment(struct ow_apply *apply, const struct ow_chunk *chunk,
                                   struct ow_err *err) OW_MUST_USE;

/* Judges and commits the records of count decoded chunks as one transaction. Durable when it
 * returns OK. */
enum ow_status ow_apply_batch(struct ow_apply *apply, struct ow_chunk *const *chunks, size_t count,
                              struct ow_err *err) OW_MUST_USE;

/*
 * Forgets the offsets of operators that our own commits have replaced: moved to the same place once
 * more, the group has been moved again (DESIGN 9). Cheap where there is none.
 */
enum ow_status ow_apply_forget_seen(struct ow_apply *apply, struct ow_err *err) OW_MUST_USE;

/*
 * Quarantines parked records whose deadline has passed by wall clock and stream time; cheap where
 * none has. ends_hold: see ow_partitions_stream_time_ms. One slice a call; *ret_more: there may be
 * more.
 */
enum ow_status ow_apply_deadlines(struct ow_apply *apply, bool ends_hold, bool *ret_more,
                                  struct ow_err *err) OW_MUST_USE;

/*
 * What the store needs done between batches (ow_store_tend): one small step a call; *ret_more:
 * there is more to do. rows: claims to be looked at, at most.
 */
enum ow_status ow_apply_tend(struct ow_apply *apply, bool ends_hold, size_t rows, bool *ret_more,
                             struct ow_err *err) OW_MUST_USE;
/* The earliest time at which one of these two may have something to do that waits for the stream
 * time; INT64_MAX: none has. */
int64_t ow_apply_first_due_ms(const struct ow_apply *apply);

#endif
