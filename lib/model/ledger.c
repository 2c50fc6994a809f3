#include "model/ledger.h"

#include "base/contract.h"
#include "model/outcome.h"

const char ow_ledger_skipped[] = "skipped";
const char ow_ledger_lost[] = "lost";

const char *ow_ledger_outcome(struct ow_slice text)
{
    for (int outcome = 0; outcome < OW_OUTCOME_COUNT; outcome++) {
        if (ow_slice_equals_text(text, ow_outcome_text((enum ow_outcome)outcome))) {
            return ow_outcome_text((enum ow_outcome)outcome);
        }
    }
    return ow_slice_equals_text(text, ow_ledger_skipped) ? ow_ledger_skipped
           : ow_slice_equals_text(text, ow_ledger_lost)  ? ow_ledger_lost
                                                         : NULL;
}

static bool is_open(const struct ow_run *run)
{
    return strcmp(run->outcome, ow_ledger_skipped) == 0 ||
           strcmp(run->outcome, ow_ledger_lost) == 0;
}

/* The run that ends where this one begins; NULL: the ledger begins with this one, for the
 * neighbours of an open run are known. */
static struct ow_run *run_before(const struct ow_run *run)
{
    struct ow_run *before = run->previous;
    return before != NULL && before->last_offset + 1 == run->first_offset ? before : NULL;
}

/* A copy of what is given, behind previous; NULL: in front of all. */
static struct ow_run *insert(struct ow_ledger *ledger, struct ow_arena *arena,
                             struct ow_run *previous, const struct ow_run *given)
{
    struct ow_run *run = OW_ARENA_NEW(arena, struct ow_run);
    *run = *given;
    run->previous = previous;
    run->next = previous == NULL ? ledger->first : previous->next;
    *(previous == NULL ? &ledger->first : &previous->next) = run;
    *(run->next == NULL ? &ledger->last : &run->next->previous) = run;
    return run;
}

static struct ow_run new_run(int64_t first_offset, int64_t last_offset, const char *outcome,
                             int64_t records)
{
    return (struct ow_run){.first_offset = first_offset,
                           .last_offset = last_offset,
                           .records = records,
                           .outcome = outcome,
                           .stored_first = -1,
                           .dirty = true};
}

static void take_out(struct ow_ledger *ledger, struct ow_run *run)
{
    *(run->previous == NULL ? &ledger->first : &run->previous->next) = run->next;
    *(run->next == NULL ? &ledger->last : &run->next->previous) = run->previous;
    if (ledger->at == run) {
        ledger->at = run->previous;
    }
    if (run->stored_first >= 0) {
        run->next = ledger->gone;
        ledger->gone = run;
    }
}

/* Makes it begin at first_offset; nothing may be left of it. */
static void cut_front(struct ow_ledger *ledger, struct ow_run *run, int64_t first_offset)
{
    if (first_offset > run->last_offset) {
        take_out(ledger, run);
    } else {
        run->first_offset = first_offset;
        run->dirty = true;
    }
}

/* Two runs of one outcome that have come to touch are one, as in straight reading. */
static void merge_with_next(struct ow_ledger *ledger, struct ow_run *run)
{
    struct ow_run *next = run->next;
    if (next != NULL && run_before(next) == run && strcmp(run->outcome, next->outcome) == 0) {
        run->last_offset = next->last_offset;
        run->records += next->records;
        run->dirty = true;
        take_out(ledger, next);
    }
}

void ow_ledger_load(struct ow_ledger *ledger, struct ow_arena *arena, const struct ow_run *run)
{
    struct ow_run *loaded = insert(ledger, arena, ledger->last, run);
    loaded->stored_first = run->first_offset;
    loaded->dirty = false;
}

void ow_ledger_copy(struct ow_ledger *to, struct ow_arena *arena, const struct ow_ledger *from,
                    int64_t next_offset)
{
    struct ow_ledger copy = {0};
    for (const struct ow_run *run = from->first; run != NULL; run = run->next) {
        /* The run before the position is a neighbour, too. */
        if (run->last_offset >= next_offset - 1 || run == from->last) {
            ow_ledger_load(&copy, arena, run);
        }
    }
    *to = copy;
}

/* The first known run that does not end before offset. */
static struct ow_run *find(const struct ow_ledger *ledger, int64_t offset)
{
    const struct ow_run *at = ledger->at;
    struct ow_run *run = at != NULL && at->first_offset <= offset ? ledger->at : ledger->first;
    while (run != NULL && run->last_offset < offset) {
        run = run->next;
    }
    return run;
}

bool ow_ledger_is_open(const struct ow_ledger *ledger, int64_t offset)
{
    const struct ow_run *run = find(ledger, offset);
    return run != NULL && run->first_offset <= offset && is_open(run);
}

/*
 * The first offsets of an open run, up to (excluding) to_offset, have no record. Without a run
 * before it they are no offsets of the ledger, or those of the record's run that follows. Returns
 * where to go on.
 */
static struct ow_run *give_to_run_before(struct ow_ledger *ledger, struct ow_run *run,
                                         int64_t to_offset)
{
    struct ow_run *before = run_before(run);
    struct ow_run *next = run->next;
    if (before == NULL) {
        if (to_offset > run->last_offset) {
            take_out(ledger, run);
        }
        return next;
    }
    before->last_offset = to_offset > run->last_offset ? run->last_offset : to_offset - 1;
    before->dirty = true;
    cut_front(ledger, run, to_offset);
    merge_with_next(ledger, before);
    return before->next;
}

void ow_ledger_pass(struct ow_ledger *ledger, int64_t next_offset, int64_t to_offset)
{
    if (next_offset >= to_offset) {
        return;
    }
    for (struct ow_run *run = find(ledger, next_offset);
         run != NULL && run->first_offset < to_offset;) {
        /* Where the gap begins within an open run, that is the run before it. */
        run = is_open(run) && run->first_offset >= next_offset
                  ? give_to_run_before(ledger, run, to_offset)
                  : run->next;
    }
    struct ow_run *last = ledger->last;
    if (last != NULL && last->last_offset < to_offset - 1) {
        last->last_offset = to_offset - 1;
        last->dirty = true;
    }
}

/* Behind all runs: the ledger covers every offset from the first position to the high mark. */
static struct ow_run *append(struct ow_ledger *ledger, struct ow_arena *arena, int64_t next_offset,
                             int64_t offset, const char *outcome)
{
    struct ow_run *last = ledger->last;
    if (last != NULL && strcmp(last->outcome, outcome) == 0) {
        last->last_offset = offset;
        last->records++;
        last->dirty = true;
        return last;
    }
    const struct ow_run run = new_run(last == NULL ? next_offset : offset, offset, outcome, 1);
    return insert(ledger, arena, last, &run);
}

/* Within an open run: it shrinks, or falls in two. */
static struct ow_run *split(struct ow_ledger *ledger, struct ow_arena *arena, struct ow_run *run,
                            int64_t offset, const char *outcome)
{
    const struct ow_run mine = new_run(offset, offset, outcome, 1);
    const struct ow_run rest = new_run(offset + 1, run->last_offset, run->outcome, 0);
    struct ow_run *inserted = insert(ledger, arena, run, &mine);
    if (rest.first_offset <= rest.last_offset) {
        (void)insert(ledger, arena, inserted, &rest);
    }
    run->last_offset = offset - 1;
    run->dirty = true;
    return inserted;
}

/* At the front of an open run, which loses its offsets up to this one. */
static struct ow_run *take_front(struct ow_ledger *ledger, struct ow_arena *arena,
                                 struct ow_run *run, int64_t offset, const char *outcome)
{
    struct ow_run *mine = run_before(run);
    if (mine != NULL && strcmp(mine->outcome, outcome) == 0) {
        mine->last_offset = offset;
        mine->records++;
        mine->dirty = true;
    } else {
        const struct ow_run given = new_run(run->first_offset, offset, outcome, 1);
        mine = insert(ledger, arena, run->previous, &given);
    }
    cut_front(ledger, run, offset + 1);
    return mine;
}

void ow_ledger_add(struct ow_ledger *ledger, struct ow_arena *arena, int64_t next_offset,
                   int64_t offset, const char *outcome)
{
    OW_REQUIRE(next_offset <= offset);
    ow_ledger_pass(ledger, next_offset, offset);
    if (ledger->last == NULL || ledger->last->last_offset < offset) {
        ledger->at = append(ledger, arena, next_offset, offset, outcome);
        return;
    }
    struct ow_run *run = find(ledger, offset);
    OW_REQUIRE(run->first_offset <= offset && is_open(run));
    /* In front of the whole ledger the gap before the record is its own. */
    const bool is_front = run->first_offset == offset ||
                          (run->first_offset >= next_offset && run_before(run) == NULL);
    ledger->at = is_front ? take_front(ledger, arena, run, offset, outcome)
                          : split(ledger, arena, run, offset, outcome);
    merge_with_next(ledger, ledger->at);
}

void ow_ledger_leave_out(struct ow_ledger *ledger, struct ow_arena *arena, int64_t first_offset,
                         int64_t last_offset, const char *outcome)
{
    struct ow_run *last = ledger->last;
    const bool behind = last != NULL && last->last_offset < first_offset;
    OW_REQUIRE(behind || ledger->first == NULL || last_offset < ledger->first->first_offset);
    const struct ow_run given = new_run(first_offset, last_offset, outcome, 0);
    struct ow_run *run = insert(ledger, arena, behind ? last : NULL, &given);
    merge_with_next(ledger, run);
    if (behind) {
        merge_with_next(ledger, last);
    }
}
