/*
 * program: bytes as a story of orders: records of the machine of schemas/orders.yaml, and what
 * happens between them.
 *
 * The first byte: bit 0 gives each order ids and business keys of its own. Then two bytes a step
 * (see program.c): an event, a broken record, or something that happens.
 *
 * Threads: one. Memory: the arena's. Every sequence of bytes is a program.
 */
#ifndef OW_TESTS_FUZZ_PROGRAM_H
#define OW_TESTS_FUZZ_PROGRAM_H

#include "fuzz.h"
#include "model/event.h"

enum ow_step_kind {
    OW_STEP_RECORD,
    OW_STEP_COMMIT,      /* the batch ends here */
    OW_STEP_REREAD,      /* an operator goes count records back */
    OW_STEP_POISON,      /* the store refuses the next record */
    OW_STEP_POISON_WAKE, /* the store refuses what waits longest of the next record's order */
    OW_STEP_HORIZON,     /* what is older than count records before is beyond the horizon */
    OW_STEP_CLOCK        /* count hours pass, and deadlines with them */
};

struct ow_step {
    enum ow_step_kind kind;
    const struct ow_event *event; /* RECORD */
    int order;                    /* of it, 0 to 3; -1: none */
    int64_t count;
};

enum { OW_PROGRAM_STEPS_MAX = 96, OW_PROGRAM_START_MS = 1800000000 };

struct ow_program {
    bool is_private; /* no two orders share an id or a business key */
    bool has_records_only;
    struct ow_step steps[OW_PROGRAM_STEPS_MAX];
    size_t step_count;
    int64_t record_count; /* their offsets are 0, 1, 2, … */
};

void ow_program_read(struct ow_program *program, struct ow_slice bytes,
                     const struct ow_machines *machines, struct ow_arena *arena);

#endif
