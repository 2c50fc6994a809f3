/*
 * consume_internal: what the parts of the poll loop share: consume.c (the loop), consume_assign.c
 * (what the group gives and takes), consume_doubt.c (whether it is still the same topics),
 * consume_commit.c (what goes back to it), consume_end.c (what --until-end waits for). Private to
 * them.
 *
 * Threads: the poll thread. Memory: struct ow_consumer is the call's.
 */
#ifndef OW_ENGINE_CONSUME_INTERNAL_H
#define OW_ENGINE_CONSUME_INTERNAL_H

#include "engine/consume.h"

/* A partition of the assignment, as the poll thread sees it. */
struct ow_tracked {
    const char *topic;
    int32_t partition;
    int64_t start;     /* where this run began */
    int64_t first;     /* what lies below was fetched for the anchor */
    int64_t seen;      /* behind the last record or end that was handed over */
    int64_t goal;      /* the end at the first assignment; with --until-end we are done there */
    int64_t committed; /* what we have committed; -1: nothing yet */
    bool unanswered;   /* and the broker has not said that it took it */
    struct ow_suspect_partition *notes; /* of what was handed out; NULL: there are none */
};

struct ow_consumer {
    const struct ow_consume_options *options;
    struct ow_source *source;
    struct ow_worker *worker;
    struct ow_arena arena; /* the assignment's */
    struct ow_tracked *tracked;
    size_t tracked_count;
    size_t tracked_last; /* records come in runs of one partition */
    bool assigned;
    bool unanswered;        /* some of tracked are */
    uint32_t generation;    /* of the assignment that was submitted last */
    struct ow_chunk *chunk; /* being filled; NULL while the ring is full */
    bool paused;
    bool doubtful; /* what comes next may be of other topics than what came last */
    bool moved;    /* a record was taken since the last assignment */
    int futile;    /* doubts without any such record, lately: each doubles what is a silence */
    int64_t looked_ns, looked_ms; /* when this thread was last seen to run */
    int64_t restless_ns;          /* when it last was not, for a while */
    int64_t again_ns, failing_ns; /* going on: not before; since when in vain, 0: it is not */
    int64_t start_ns, commit_ns, progress_ns, confirm_ns;
    int64_t heard_ns;       /* when the last record or end came, or the topics were asked for */
    bool deleted_before;    /* one was not there then */
    int64_t commit_records; /* handled at the last commit */
    int64_t without_ns;     /* since when no partitions are ours */
    int64_t say_ns;         /* when that is to be said */
};

int64_t ow_consume_elapsed_ns(const struct ow_consumer *consumer);
/* Tells the watchdog what begins, and looks. */
void ow_consume_beat(struct ow_consumer *consumer, const char *doing);
bool ow_consume_must_stop(const struct ow_consumer *consumer);
/* The partition that a record is of; NULL: of none that is assigned. */
struct ow_tracked *ow_consume_find(struct ow_consumer *consumer, const struct ow_record *record);

/* Waits for an empty chunk; consumer->chunk is NULL afterwards only where we are to stop. */
enum ow_status ow_consume_wait_chunk(struct ow_consumer *consumer, struct ow_err *err) OW_MUST_USE;
/* Gives the chunk to the apply thread, where it holds something. */
void ow_consume_submit_chunk(struct ow_consumer *consumer);
/* Forgets what the chunk holds: it will come again. */
void ow_consume_drop_chunk(struct ow_consumer *consumer);

/* Whether all that was there at the first assignment was handed over. */
bool ow_consume_end_reached(const struct ow_consumer *consumer);
/* --until-end must not wait for ever for a group that nobody answers for: TEMPORARY. */
enum ow_status ow_consume_end_check_patience(const struct ow_consumer *consumer, struct ow_err *err)
    OW_MUST_USE;
/* Nothing has come: UNSAFE where a topic is gone before its end. A deleted one is silent, for
 * librdkafka only talks of it. */
enum ow_status ow_consume_end_check_silence(struct ow_consumer *consumer, struct ow_err *err)
    OW_MUST_USE;
/* A new assignment must have what is still to be read, or UNSAFE. */
enum ow_status ow_consume_end_check_plan(const struct ow_consumer *consumer,
                                         const struct ow_assigned *plan, size_t count,
                                         struct ow_err *err) OW_MUST_USE;

/*
 * Notes that this thread runs, and where it did not for a while, that the topics may have been made
 * anew meanwhile. Called behind each poll, and wherever this thread waits.
 */
void ow_consume_look(struct ow_consumer *consumer);
/* After ow_consume_look: whether the record or end that was just given may be of another topic. It
 * is left then, and everything paused: it will come again. */
bool ow_consume_doubts(struct ow_consumer *consumer, const struct ow_source_event *event);
enum ow_status ow_consume_pause(struct ow_consumer *consumer, const char *reason,
                                struct ow_err *err) OW_MUST_USE;
/* Takes up what is paused, once all that was submitted is applied: by the same assignment once
 * more, which compares the anchors. UNSAFE as at an assignment; TEMPORARY: no answer for a minute.
 */
enum ow_status ow_consume_go_on_if_due(struct ow_consumer *consumer, struct ow_err *err)
    OW_MUST_USE;

/* Answers of consume_assign.c to the group. */
enum ow_status ow_consume_assign(struct ow_consumer *consumer, const struct ow_source_event *event,
                                 struct ow_err *err) OW_MUST_USE;
/* The same assignment once more, from the positions that are stored: each partition is fetched from
 * the record of its anchor on. TEMPORARY: no answer, or a topic is not there just now. */
enum ow_status ow_consume_assign_again(struct ow_consumer *consumer, struct ow_err *err)
    OW_MUST_USE;
enum ow_status ow_consume_revoke(struct ow_consumer *consumer, const struct ow_source_event *event,
                                 struct ow_err *err) OW_MUST_USE;
/* No partitions are ours from now on; where that lasts it is said, now and then. */
void ow_consume_has_none(struct ow_consumer *consumer);
void ow_consume_say_waiting(struct ow_consumer *consumer);

/*
 * Commits what is durable. wait: for the broker's answer; all: also what has been committed before,
 * for its answer may not have come. One that fails is superseded by the next: the store's position
 * is the truth.
 */
void ow_consume_commit(struct ow_consumer *consumer, bool wait, bool all);
/* Asks the source, which may have sent by itself what had to wait, whether the group may have a
 * commit of this process. */
void ow_consume_note_sent(struct ow_consumer *consumer);
void ow_consume_commit_if_due(struct ow_consumer *consumer);

#endif
