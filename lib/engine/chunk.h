/*
 * chunk: what travels from the poll thread to the apply thread: some records with their bytes, or
 * an assignment.
 *
 * A chunk is filled by the poll thread, decoded by a decode thread, judged by the apply thread and
 * then filled again; whoever has it owns it. Memory: its arena carries the records' bytes and the
 * decoded events; reset on reuse. Limits: ROWS and BYTES bound an ordinary chunk; a single larger
 * record makes a larger one.
 */
#ifndef OW_ENGINE_CHUNK_H
#define OW_ENGINE_CHUNK_H

#include "engine/source.h"
#include "model/event.h"
#include "model/suspect.h"

/* Small enough that decode threads share the work of a burst, large enough that a hand-over costs
 * nothing a record. */
enum { OW_CHUNK_ROWS = 256, OW_CHUNK_BYTES = 256 * 1024, OW_CHUNK_ENDS = 64 };

/* A partition that has been assigned: where it goes on and why (model/position.h). */
struct ow_assigned {
    const char *topic;
    int32_t partition;
    enum ow_resume resume;
    int64_t offset;    /* the first record to be handled */
    int64_t committed; /* what the group's offset is; -1: none */
    bool check_anchor; /* the record before it is fetched too, to be compared with the anchor */
    bool restored;     /* as in ow_assignment_facts, for what is said then */
};

/* A partition was read to its end; or there is more. */
enum { OW_CHUNK_NO_END = -1 };
struct ow_end_mark {
    struct ow_slice topic;
    int32_t partition;
    int64_t offset; /* OW_CHUNK_NO_END: there is more */
};

struct ow_chunk {
    struct ow_arena arena;
    uint32_t generation;
    enum ow_care care; /* of all its records; but for NONE they are read only as they are judged */
    struct ow_record records[OW_CHUNK_ROWS];
    struct ow_event events[OW_CHUNK_ROWS];
    size_t rows_max; /* at most OW_CHUNK_ROWS */
    size_t count;
    size_t bytes;
    struct ow_end_mark ends[OW_CHUNK_ENDS]; /* they hold after the records */
    size_t end_count;
    const struct ow_assigned
        *assigned; /* NULL: records; else the whole new assignment, and no records */
    size_t assigned_count;
};

/* rows_max: how many records make it full, at most OW_CHUNK_ROWS. */
void ow_chunk_init(struct ow_chunk *chunk, size_t rows_max);
void ow_chunk_done(struct ow_chunk *chunk);
/* Makes it empty, for records of a generation. */
void ow_chunk_reset(struct ow_chunk *chunk, uint32_t generation);
bool ow_chunk_is_full(const struct ow_chunk *chunk);
/* Copies a record in. Not into a full chunk. */
void ow_chunk_add(struct ow_chunk *chunk, const struct ow_record *record);
/* Notes an end, or that there is more; false where there is no room. */
bool ow_chunk_add_end(struct ow_chunk *chunk, const struct ow_record *end);
/* Whether a record that is to be handled so may join those that are in it. */
bool ow_chunk_takes(const struct ow_chunk *chunk, enum ow_care care);
/* Reads all records as events, but for those that are there for the anchor. */
void ow_chunk_decode(struct ow_chunk *chunk, struct ow_decoder *decoder);

#endif
