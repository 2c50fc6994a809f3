#include "store/internal.h"

static enum ow_status read_last_run(struct ow_store *store, struct ow_arena *arena,
                                    struct ow_position *position, struct ow_err *err);
static enum ow_status write_one(struct ow_store *store, const struct ow_position *position,
                                struct ow_err *err);

static struct ow_position *take_row(const struct ow_statement *read, struct ow_arena *arena)
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
        struct ow_position *position = take_row(read, arena);
        *end = position;
        end = &position->next;
        OW_TRY(ow_sql_step(read, &row, err));
    }
    for (struct ow_position *position = list; position != NULL; position = position->next) {
        OW_TRY(read_last_run(store, arena, position, err));
    }
    *ret_list = list;
    return OW_OK;
}

static void bind_partition(struct ow_statement *statement, const struct ow_position *position)
{
    ow_sql_bind_text(statement, position->topic);
    ow_sql_bind_i64(statement, position->partition);
    ow_sql_bind_i64(statement, position->incarnation);
}

static enum ow_status read_last_run(struct ow_store *store, struct ow_arena *arena,
                                    struct ow_position *position, struct ow_err *err)
{
    struct ow_statement *read = ow_store_statement(store, OW_STATEMENT_LEDGER_LAST);
    bool row = false;
    bind_partition(read, position);
    OW_TRY(ow_sql_step(read, &row, err));
    if (row) {
        struct ow_run *run = OW_ARENA_NEW(arena, struct ow_run);
        run->first_offset = ow_sql_i64(read, 0);
        run->last_offset = ow_sql_i64(read, 1);
        run->records = ow_sql_i64(read, 2);
        run->outcome = ow_arena_text(arena, ow_sql_slice(read, 3));
        position->last_run = run;
        ow_sql_reset(read);
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

static enum ow_status write_runs(struct ow_store *store, const struct ow_position *position,
                                 struct ow_err *err)
{
    for (const struct ow_run *run = position->new_runs; run != NULL; run = run->next) {
        if (!run->dirty) {
            continue;
        }
        OW_TRY(write_run(store, position, run, err));
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
        OW_TRY(write_runs(store, position, err));
    }
    return OW_OK;
}

static enum ow_status write_one(struct ow_store *store, const struct ow_position *position,
                                struct ow_err *err)
{
    OW_REQUIRE(position->next_offset <= position->high_offset);
    const struct ow_run *last = position->last_run;
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
    OW_TRY(ow_sql_run(statement, NULL, err));
    bind_partition(row, position);
    return ow_seal_put(store, OW_SEAL_POSITION, 0, row, err);
}
