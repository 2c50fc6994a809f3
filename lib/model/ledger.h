/*
 * ledger: run-length rows that give every offset of a partition its outcome (DESIGN 6), and the few
 * of them that the next record may change.
 *
 * Neighbours differ in outcome, and each begins where the one before ends. Known are the last run
 * and, at or behind the position, all open ones (an operator has skipped them, or their records are
 * lost: what is found there is new), with the neighbours of each. The others need not be looked at.
 *
 * Pure. Threads: the apply thread's. Memory: the arena that is given at each call; runs of one
 * ledger may come from several.
 */
#ifndef OW_MODEL_LEDGER_H
#define OW_MODEL_LEDGER_H

#include "base/arena.h"

struct ow_run {
    int64_t first_offset, last_offset, records;
    const char *outcome;  /* static: an outcome's text, or skipped, lost */
    int64_t stored_first; /* the key of its row; -1: it has none */
    bool dirty;
    struct ow_run *previous, *next; /* known ones */
};

struct ow_ledger {
    struct ow_run *first, *last; /* known runs by offset; NULL: no offset has an outcome yet */
    struct ow_run *at;           /* where the last record went; NULL: nowhere */
    struct ow_run *gone;         /* they had rows and have become part of others */
};

/* The static text of an outcome, skipped or lost; NULL where it is none of them. */
const char *ow_ledger_outcome(struct ow_slice text);

/* Appends a run that the store has, behind those that are known. */
void ow_ledger_load(struct ow_ledger *ledger, struct ow_arena *arena, const struct ow_run *run);
/* *to = what must be known of a clean (or just written) ledger to go on at next_offset. */
void ow_ledger_copy(struct ow_ledger *to, struct ow_arena *arena, const struct ow_ledger *from,
                    int64_t next_offset);

/* Whether a record at this offset is new although it lies below the high mark. */
bool ow_ledger_is_open(const struct ow_ledger *ledger, int64_t offset);
/*
 * A record at offset, the first one at or behind next_offset. What lies between joins the run
 * before it; in front of the whole ledger it belongs to the record's run.
 */
void ow_ledger_add(struct ow_ledger *ledger, struct ow_arena *arena, int64_t next_offset,
                   int64_t offset, const char *outcome);
/* There is no record from next_offset up to (excluding) to_offset: open offsets join the run before
 * them, too. */
void ow_ledger_pass(struct ow_ledger *ledger, int64_t next_offset, int64_t to_offset);
/* Offsets in front of all runs, or behind, that nobody has looked at: ow_ledger_skipped or _lost.
 */
extern const char ow_ledger_skipped[], ow_ledger_lost[];
void ow_ledger_leave_out(struct ow_ledger *ledger, struct ow_arena *arena, int64_t first_offset,
                         int64_t last_offset, const char *outcome);

#endif
