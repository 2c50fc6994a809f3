/*
 * position: where a partition goes on, what the ledger says of each offset, and what the group's
 * committed offset means (DESIGN 6 and 9).
 *
 * Pure. Threads: the apply thread changes positions; the assignment rules are called by the poll
 * thread.
 */
#ifndef OW_MODEL_POSITION_H
#define OW_MODEL_POSITION_H

#include "base/status.h"
#include "model/world.h"

enum ow_sight { OW_SIGHT_DROP, OW_SIGHT_NEW, OW_SIGHT_REREAD };
/* Below next_offset: drop. Below high_offset: a re-read, unless the ledger is open there. Else new.
 */
enum ow_sight ow_position_sight(const struct ow_position *position, int64_t offset);

/* Of a list; NULL: there is none. */
struct ow_position *ow_position_find(struct ow_position *list, struct ow_slice topic,
                                     int32_t partition);
/* *to = from, clean, with runs of its own in arena: before a batch, and back after it was written.
 */
void ow_position_copy(struct ow_position *to, struct ow_arena *arena,
                      const struct ow_position *from);
/* An operator moved the group forward, and that is allowed: the ledger says "skipped" for what lies
 * between. */
void ow_position_skip(struct ow_position *position, struct ow_arena *arena, int64_t to_offset);
/*
 * An operator moved the group back. The ledger must be known from to_offset on. Before the first
 * position everything is skipped until it is read.
 */
void ow_position_rewind(struct ow_position *position, struct ow_arena *arena, int64_t to_offset);
/* The topic begins at to_offset, behind the position: the ledger says "lost" for what nobody has
 * looked at. */
void ow_position_lose(struct ow_position *position, struct ow_arena *arena, int64_t to_offset);
/* What there is now under the name of the topic is another one, from offset on: the next
 * incarnation, without a ledger. The caller fills in when it began. */
struct ow_position ow_position_next_incarnation(const struct ow_position *position, int64_t offset);

/* Counts a handled record: moves next_offset and high_offset, and the ledger where it is new. Not
 * for dropped ones. */
void ow_position_handled(struct ow_position *position, struct ow_arena *arena, int64_t offset,
                         enum ow_outcome outcome);

/* The partition ends at offset, beyond the last record: the gap (markers) joins the run before it.
 */
void ow_position_end(struct ow_position *position, int64_t offset);

/* Commit metadata: "onceward/1 s=<store id> e=<epoch> o=<offset>". */
enum { OW_METADATA_BYTES = 128, OW_STORE_ID_BYTES = 33 };
void ow_metadata_format(char text[OW_METADATA_BYTES], const char *store_id, int64_t epoch,
                        int64_t offset);
struct ow_metadata {
    bool ours; /* of onceward's form */
    char store_id[OW_STORE_ID_BYTES];
    int64_t epoch, offset;
};
struct ow_metadata ow_metadata_parse(struct ow_slice text);

/* What is known when a partition is assigned. */
struct ow_assignment_facts {
    const char *topic;
    int32_t partition;
    bool stored;                                      /* the store has a position */
    int64_t next_offset, high_offset, seen_committed; /* of that position */
    int64_t began_epoch;                              /* likewise: of its incarnation */
    int64_t committed;                                /* the group's offset; -1: none */
    struct ow_metadata metadata;                      /* of that commit */
    const char *store_id;                             /* ours */
    int64_t epoch;                                    /* ours */
    bool epoch_is_unused; /* this process has sent no commit yet: what carries our epoch is another
                             copy's */
    bool restored;        /* this file is known to be older than that commit may be */
    bool skips_honoured;  /* kafka.skips: honour */
};

/* What a command line needs where the start that says it was told so: " --restored", or nothing. */
const char *ow_position_restored_option(bool restored);

/* UNSAFE where the group's offset was committed by another store, or by a newer copy of this one
 * (unless restored): whoever goes on, or moves a position, must not do so over it. */
enum ow_status ow_position_check_committed(const struct ow_assignment_facts *facts,
                                           struct ow_err *err) OW_MUST_USE;

enum ow_resume {
    OW_RESUME_STORED, /* go on at the store's next_offset */
    OW_RESUME_START,  /* no position yet: kafka.start decides; where the group has an offset, that
                         was of a store that is lost, and all must come again */
    OW_RESUME_COMMITTED, /* no position yet, the group has one: start there */
    OW_RESUME_REWOUND,   /* an operator moved the group back: honoured */
    OW_RESUME_SKIPPED    /* an operator moved it forward, and that is allowed */
};
/* UNSAFE with a text that says what to do, as a command line: a foreign store, an old copy, a skip
 * that is not allowed. */
enum ow_status ow_position_resume(const struct ow_assignment_facts *facts,
                                  enum ow_resume *ret_resume, int64_t *ret_offset,
                                  struct ow_err *err) OW_MUST_USE;

#endif
