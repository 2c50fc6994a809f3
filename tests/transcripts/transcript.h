/*
 * transcript: the runner of tests/transcripts/ (YAML): records in, outcomes and rows out, over the
 * whole worker without threads and without time: memory broker, manual clock, a database in a
 * folder of its own. README.md has the format.
 *
 * Memory: what a play needs is in its arena; ow_play_run gives all back. Failure: the first one
 * ends the play; its text names file, line, step, what was expected and what was got.
 */
#ifndef OW_TESTS_TRANSCRIPT_H
#define OW_TESTS_TRANSCRIPT_H

#include "base/buffer.h"
#include "engine/source_memory.h"
#include "engine/worker.h"
#include "model/tree.h"

#include <sqlite3.h>

#include <stdatomic.h>

/* How a transcript is played. What comes of it must be the same. */
struct ow_variant {
    const char *name;
    size_t batch_rows;
    bool rebalances; /* in the middle of things: after 1 record, 2 more, 3 more, … */
};

/* A record that was sent and waits for the run that shows its outcome. */
struct ow_sent {
    const char *name; /* `as`, or NULL */
    const char *path; /* in the file: "/steps/3/send/0" */
    const char *outcome, *reason;
    struct ow_record record;
    int64_t incarnation; /* how often its partition was made anew before */
    bool checked;
    struct ow_sent *next;
};

struct ow_log_end {
    const char *topic;
    int32_t partition;
    int64_t low_offset, end_offset;
    int64_t incarnation;
    struct ow_log_end *next;
};

struct ow_play {
    const struct ow_variant *variant;
    struct ow_arena arena;
    struct ow_tree tree;
    struct ow_clock_manual clock;
    struct ow_memory_broker *broker;
    struct ow_log_end *logs;
    const char *first_topic;
    char folder[64];
    const char *store_path, *key_path;
    struct ow_machines machines;
    struct ow_store *store;
    struct ow_worker *worker;
    sqlite3 *reader; /* a connection of our own to the same file */
    struct ow_sent *sent, **sent_end;
    int64_t sent_count;
    const char *path; /* where we are in the file */
    const char *remembered;
    bool failed;
    struct ow_buffer failure;
};

/* Plays a file; false: play->failure says why. On success *ret_dump is all that it left behind.
 * Release with _done. */
bool ow_play_run(struct ow_play *play, const char *file, const struct ow_variant *variant,
                 struct ow_buffer *ret_dump);
void ow_play_done(struct ow_play *play);

/* Notes the failure at play->path and returns false, so that a caller can return it. */
bool ow_play_fail(struct ow_play *play, const char *format, ...) OW_PRINTF(2, 3);
/* Whether object has no members but those known (NULL at the end). */
bool ow_play_known(struct ow_play *play, const json_t *object, const char *const *known);

/* Whether a status is the one that json asks for (ok without a word), and its text says what it
 * must. */
bool ow_play_check_status(struct ow_play *play, const json_t *json, enum ow_status status,
                          const struct ow_err *err);

/* positions.c: steps of operators. */
bool ow_play_step_recreate(struct ow_play *play, const json_t *json, const json_t *step);
bool ow_play_step_delete(struct ow_play *play, const json_t *json, const json_t *step);
bool ow_play_step_positions(struct ow_play *play, const json_t *json, const json_t *step);

/* open.c: machines, store, worker. */
bool ow_play_open(struct ow_play *play, const json_t *machines, enum ow_status *ret_status,
                  struct ow_err *err);
void ow_play_close(struct ow_play *play);

/* send.c: one record of a `send`. */
bool ow_play_send(struct ow_play *play, const json_t *json);

/* expect.c: what came of it. */
/* must_be_there: after a run to the end. */
bool ow_play_check_sent(struct ow_play *play, bool must_be_there);
bool ow_play_check_rows(struct ow_play *play, const char *sql, const json_t *rows);
bool ow_play_execute(struct ow_play *play, const char *sql);
/* All that the store holds, as text. settled: without what a re-read may change. */
bool ow_play_dump(struct ow_play *play, bool settled, struct ow_buffer *out);
/* The first line in which two dumps differ, as "expected …, got …". */
const char *ow_dump_difference(struct ow_arena *arena, const char *expected, const char *got);

/* door.c: the memory source, which rebalances where it is told to, and stops when all is read. */
struct ow_door {
    struct ow_source *source;
    struct ow_clock_manual *clock;
    atomic_bool stop;
    int64_t records_left;    /* then it stops, too; -1: never */
    int64_t until_rebalance; /* records; -1: never */
    int64_t rebalance_every;
};
void ow_door_open(struct ow_door *door, struct ow_memory_broker *broker,
                  struct ow_clock_manual *clock);

#endif
