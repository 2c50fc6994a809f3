#include "base/failpoint.h"
#include "store/internal.h"

#include <inttypes.h>

static enum ow_status write_one(struct ow_store *store, const struct ow_position *position,
                                struct ow_err *err);

struct ow_position *ow_position_take_row(const struct ow_statement *read, struct ow_arena *arena)
{
    struct ow_position *position = OW_ARENA_NEW(arena, struct ow_position);
    position->topic = ow_sql_copy(read, 0, arena);
    position->partition = (int32_t)ow_sql_i64(read, 1);
    position->incarnation = ow_sql_i64(read, 2);
    position->next_offset = ow_sql_i64(read, 3);
    position->high_offset = ow_sql_i64(read, 4);
    position->seen_committed = ow_sql_is_null(read, 5) ? -1 : ow_sql_i64(read, 5);
    const struct ow_slice anchor = ow_sql_slice(read, 6);
    if (anchor.len == sizeof(position->anchor)) {
        position->has_anchor = true;
        memcpy(position->anchor, anchor.ptr, anchor.len);
    }
    for (int outcome = 0; outcome < OW_OUTCOME_COUNT; outcome++) {
        position->counts[outcome] =
            ow_sql_i64(read, 7 + outcome); /* the columns are in the order of enum ow_outcome */
    }
    position->reread = ow_sql_i64(read, 7 + OW_OUTCOME_COUNT);
    position->began_epoch = ow_sql_i64(read, 8 + OW_OUTCOME_COUNT);
    position->began_ref = ow_sql_i64(read, 9 + OW_OUTCOME_COUNT);
    position->began_sighting = ow_sql_i64(read, 10 + OW_OUTCOME_COUNT);
    position->stored = true;
    return position;
}

enum ow_status ow_store_positions(struct ow_store *store, struct ow_arena *arena,
                                  struct ow_position **ret_list, struct ow_err *err)
{
    struct ow_statement *read = ow_store_statement(store, OW_STATEMENT_POSITION_ALL);
    struct ow_position *list = NULL;
    struct ow_position **end = &list;
    bool row = false;
    OW_TRY(ow_sql_step(read, &row, err));
    while (row) {
        struct ow_position *position = ow_position_take_row(read, arena);
        *end = position;
        end = &position->next;
        OW_TRY(ow_sql_step(read, &row, err));
    }
    for (struct ow_position *position = list; position != NULL; position = position->next) {
        OW_TRY(ow_store_ledger(store, arena, position, position->next_offset, err));
    }
    *ret_list = list;
    return OW_OK;
}

enum ow_status ow_store_last_sighting(struct ow_store *store, int64_t *ret_sighting,
                                      struct ow_err *err)
{
    struct ow_statement *read = ow_store_statement(store, OW_STATEMENT_SIGHTING_LAST);
    bool row = false;
    OW_TRY(ow_sql_step(read, &row, err));
    OW_ENSURE(row);
    *ret_sighting = ow_sql_i64(read, 0);
    ow_sql_reset(read);
    return OW_OK;
}

static void bind_partition(struct ow_statement *statement, const struct ow_position *position)
{
    ow_sql_bind_text(statement, position->topic);
    ow_sql_bind_i64(statement, position->partition);
    ow_sql_bind_i64(statement, position->incarnation);
}

enum ow_status ow_store_ledger(struct ow_store *store, struct ow_arena *arena,
                               struct ow_position *position, int64_t from_offset,
                               struct ow_err *err)
{
    struct ow_statement *read = ow_store_statement(store, OW_STATEMENT_LEDGER_FROM);
    position->ledger = (struct ow_ledger){0};
    bind_partition(read, position);
    ow_sql_bind_i64(read, from_offset);
    bool row = false;
    OW_TRY(ow_sql_step(read, &row, err));
    while (row) {
        const struct ow_run run = {.first_offset = ow_sql_i64(read, 0),
                                   .last_offset = ow_sql_i64(read, 1),
                                   .records = ow_sql_i64(read, 2),
                                   .outcome = ow_ledger_outcome(ow_sql_slice(read, 3))};
        if (run.outcome == NULL) {
            const enum ow_status status =
                ow_fail(err, OW_UNSAFE,
                        OW_SLICE_FMT "[%d]: the ledger says '" OW_SLICE_FMT "' of offset %" PRId64
                                     ", which is no outcome",
                        OW_SLICE_ARG(position->topic), (int)position->partition,
                        OW_SLICE_ARG(ow_sql_slice(read, 3)), run.first_offset);
            ow_sql_reset(read);
            return status;
        }
        ow_ledger_load(&position->ledger, arena, &run);
        OW_TRY(ow_sql_step(read, &row, err));
    }
    return OW_OK;
}

static enum ow_status write_run(struct ow_store *store, const struct ow_position *position,
                                const struct ow_run *run, struct ow_err *err)
{
    OW_REQUIRE(run->first_offset <= run->last_offset);
    OW_REQUIRE(run->records <= run->last_offset - run->first_offset + 1);
    struct ow_statement *statement = ow_store_statement(store, OW_STATEMENT_LEDGER_WRITE);
    bind_partition(statement, position);
    ow_sql_bind_i64(statement, run->first_offset);
    ow_sql_bind_i64(statement, run->last_offset);
    ow_sql_bind_cstr(statement, run->outcome);
    ow_sql_bind_i64(statement, run->records);
    return ow_sql_run(statement, NULL, err);
}

static enum ow_status delete_run(struct ow_store *store, const struct ow_position *position,
                                 const struct ow_run *run, struct ow_err *err)
{
    struct ow_statement *statement = ow_store_statement(store, OW_STATEMENT_LEDGER_DELETE);
    bind_partition(statement, position);
    ow_sql_bind_i64(statement, run->stored_first);
    return ow_sql_run(statement, NULL, err);
}

/* Old rows first: a run may begin where another one did. */
static enum ow_status write_runs(struct ow_store *store, const struct ow_position *position,
                                 struct ow_err *err)
{
    const struct ow_ledger *ledger = &position->ledger;
    for (const struct ow_run *run = ledger->gone; run != NULL; run = run->next) {
        OW_TRY(delete_run(store, position, run, err));
    }
    for (const struct ow_run *run = ledger->first; run != NULL; run = run->next) {
        if (run->stored_first >= 0 && run->stored_first != run->first_offset) {
            OW_TRY(delete_run(store, position, run, err));
        }
    }
    for (const struct ow_run *run = ledger->first; run != NULL; run = run->next) {
        if (run->dirty) {
            OW_TRY(write_run(store, position, run, err));
            OW_FAILPOINT(LEDGER_WRITTEN);
        }
    }
    return OW_OK;
}

enum ow_status ow_position_write(struct ow_store *store, const struct ow_position *positions,
                                 struct ow_err *err)
{
    for (const struct ow_position *position = positions; position != NULL;
         position = position->next) {
        if (!position->dirty) {
            continue;
        }
        OW_TRY(write_one(store, position, err));
        OW_FAILPOINT(POSITION_WRITTEN);
        OW_TRY(write_runs(store, position, err));
    }
    return OW_OK;
}

static enum ow_status write_one(struct ow_store *store, const struct ow_position *position,
                                struct ow_err *err)
{
    OW_REQUIRE(position->next_offset <= position->high_offset);
    const struct ow_run *last = position->ledger.last;
    OW_REQUIRE(last == NULL || last->last_offset == position->high_offset - 1);
    struct ow_statement *row = ow_store_statement(store, OW_STATEMENT_POSITION_ROW);
    struct ow_statement *statement = ow_store_statement(store, OW_STATEMENT_POSITION_WRITE);
    bind_partition(row, position);
    OW_TRY(ow_seal_take(store, OW_SEAL_POSITION, 0, row, err));
    bind_partition(statement, position);
    ow_sql_bind_i64(statement, position->next_offset);
    ow_sql_bind_i64(statement, position->high_offset);
    ow_sql_bind_unless(statement, position->seen_committed, -1);
    ow_sql_bind_blob(statement, position->has_anchor
                                    ? (struct ow_slice){position->anchor, sizeof(position->anchor)}
                                    : (struct ow_slice){0});
    for (int outcome = 0; outcome < OW_OUTCOME_COUNT; outcome++) {
        ow_sql_bind_i64(statement, position->counts[outcome]);
    }
    ow_sql_bind_i64(statement, position->reread);
    ow_sql_bind_i64(statement, position->began_epoch);
    ow_sql_bind_i64(statement, position->began_ref);
    ow_sql_bind_i64(statement, position->began_sighting);
    OW_TRY(ow_sql_run(statement, NULL, err));
    bind_partition(row, position);
    return ow_seal_put(store, OW_SEAL_POSITION, 0, row, err);
}
