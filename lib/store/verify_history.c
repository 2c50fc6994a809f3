#include "store/verify_internal.h"

#include <inttypes.h>

/*
 * One pass over the whole history, sorted by machine, entity and version, beside the entity tables
 * in the order of their keys: each entity is made anew from its history and compared with its row.
 */

static enum ow_status walk_machine(struct ow_verify *verify, struct ow_verify_machine *machine,
                                   struct ow_statement *history, bool *row, struct ow_err *err);

/* An entity as its history makes it. */
struct replay {
    struct ow_verify_machine *machine;
    struct ow_slice id;
    int64_t version, last_seq; /* 0: nothing yet */
    struct ow_slice state;
    int64_t created_at_ms, updated_at_ms;
    struct ow_value columns[OW_TABLE_COLUMNS_MAX]; /* by the newest version's entity columns */
    bool lost; /* a step could not be followed: what it leads to is not known */
};

enum {
    HISTORY_MACHINE,
    HISTORY_ENTITY,
    HISTORY_VERSION,
    HISTORY_SEQ,
    HISTORY_PREV,
    HISTORY_MACHINE_VERSION,
    HISTORY_TYPE,
    HISTORY_FROM,
    HISTORY_TO,
    HISTORY_TIME,
    HISTORY_DATA
};
static const char history_text[] =
    "SELECT machine, entity_id, version, seq, coalesce(prev_seq, 0), machine_version, event_type, "
    "from_state, to_state,"
    " event_time_ms, data FROM ow_history ORDER BY machine, entity_id, version, seq";
enum {
    ENTITY_KEY,
    ENTITY_STATE,
    ENTITY_VERSION,
    ENTITY_LAST_SEQ,
    ENTITY_CREATED,
    ENTITY_UPDATED,
    ENTITY_COLUMNS
};

static struct ow_past take_past(const struct ow_statement *row)
{
    return (struct ow_past){.machine = ow_sql_slice(row, HISTORY_MACHINE),
                            .entity_id = ow_sql_slice(row, HISTORY_ENTITY),
                            .version = ow_sql_i64(row, HISTORY_VERSION),
                            .seq = ow_sql_i64(row, HISTORY_SEQ),
                            .prev_seq = ow_sql_i64(row, HISTORY_PREV),
                            .machine_version = ow_sql_i64(row, HISTORY_MACHINE_VERSION),
                            .event_type = ow_sql_slice(row, HISTORY_TYPE),
                            .from = ow_sql_slice(row, HISTORY_FROM),
                            .to = ow_sql_slice(row, HISTORY_TO),
                            .event_time_ms = ow_sql_i64(row, HISTORY_TIME),
                            .data_text = ow_sql_slice(row, HISTORY_DATA)};
}

/* History rows of machines that the store does not know, up to a name (NULL: all that are left). */
static enum ow_status skip_unknown(struct ow_verify *verify, struct ow_statement *history,
                                   bool *row, const char *before, struct ow_err *err)
{
    while (*row && (before == NULL || ow_slice_compare(ow_sql_slice(history, HISTORY_MACHINE),
                                                       ow_slice_of(before)) < 0)) {
        ow_verify_broken(verify, OW_PROMISE_PATHS,
                         "history row %" PRId64 " is of no machine that the store knows",
                         ow_sql_i64(history, HISTORY_SEQ));
        OW_TRY(ow_sql_step(history, row, err));
    }
    return OW_OK;
}

enum ow_status ow_verify_history(struct ow_verify *verify, struct ow_err *err)
{
    OW_STATEMENT history = {0};
    OW_TRY(ow_sql_prepare(&verify->sql, history_text, &history, err));
    bool row = false;
    OW_TRY(ow_sql_step(&history, &row, err));
    struct ow_verify_machine *machine = verify->machines;
    for (; machine != NULL; machine = machine->next) {
        OW_TRY(skip_unknown(verify, &history, &row, machine->name, err));
        OW_TRY(walk_machine(verify, machine, &history, &row, err));
    }
    return skip_unknown(verify, &history, &row, NULL, err);
}

/* What a column holds before anything was set: the default of the version that first had it in the
 * entity's life. */
static void begin_columns(struct replay *replay, int64_t first_version)
{
    bool known[OW_TABLE_COLUMNS_MAX] = {false};
    for (const struct ow_verify_version *version = replay->machine->versions; version != NULL;
         version = version->next) {
        const struct ow_table *table = &version->machine->entity;
        for (size_t c = 0; version->version >= first_version && c < table->column_count; c++) {
            const size_t at = version->columns[c];
            if (!known[at]) {
                known[at] = true;
                replay->columns[at] =
                    table->columns[c].has_default ? table->columns[c].default_value : OW_VALUE_NULL;
            }
        }
    }
}

static const char *machine_of(const struct replay *replay)
{
    return replay->machine->name;
}

/* False where the machine's version has no such step: then the promise of paths is broken. */
static bool find_step(struct ow_verify *verify, const struct replay *replay,
                      const struct ow_past *past, struct ow_verify_step *step)
{
    step->version = ow_verify_version_of(replay->machine, past->machine_version);
    const struct ow_machine *machine = step->version == NULL ? NULL : step->version->machine;
    step->event = machine == NULL ? NULL : ow_machine_event(machine, past->event_type);
    const int from = machine == NULL ? -1 : ow_machine_state(machine, past->from);
    if (step->event != NULL && from >= 0 && step->event->cells[from].kind == OW_CELL_APPLY) {
        step->transition = &step->event->transitions[step->event->cells[from].transition];
        const size_t to = step->transition->same ? (size_t)from : step->transition->to;
        if (ow_slice_equals_text(past->to, machine->states[to])) {
            return true;
        }
    }
    ow_verify_broken(verify, OW_PROMISE_PATHS,
                     "%s '" OW_SLICE_FMT "', history row %" PRId64 ": version %" PRId64
                     " of the machine does not lead from '" OW_SLICE_FMT "' by '" OW_SLICE_FMT
                     "' to '" OW_SLICE_FMT "'",
                     machine_of(replay), OW_SLICE_ARG(replay->id), past->seq, past->machine_version,
                     OW_SLICE_ARG(past->from), OW_SLICE_ARG(past->event_type),
                     OW_SLICE_ARG(past->to));
    return false;
}

/* Values outlive the row that they were read from: into the scratch arena, which lasts for one
 * entity. */
static struct ow_value keep(struct ow_verify *verify, struct ow_value value)
{
    if (value.type == OW_TYPE_TEXT) {
        value.text = ow_arena_copy(&verify->scratch, value.text);
    }
    return value;
}

static void change_columns(struct ow_verify *verify, struct replay *replay,
                           const struct ow_verify_step *step)
{
    const struct ow_transition *transition = step->transition;
    const size_t *columns = step->version->columns;
    struct ow_value after[OW_TABLE_COLUMNS_MAX];
    memcpy(after, replay->columns, sizeof(after));
    for (size_t i = 0; i < transition->set_count; i++) {
        const struct ow_assignment *set = &transition->sets[i];
        after[columns[set->column]] = keep(verify, ow_verify_evaluate(&set->operand, step));
    }
    for (size_t i = 0; i < transition->add_count; i++) {
        const struct ow_assignment *add = &transition->adds[i];
        const struct ow_value more = ow_verify_evaluate(&add->operand, step);
        struct ow_value *column = &after[columns[add->column]];
        const int64_t before = column->type == OW_TYPE_INTEGER ? column->integer : 0;
        int64_t sum = 0;
        const bool ok =
            more.type == OW_TYPE_INTEGER && !__builtin_add_overflow(before, more.integer, &sum);
        *column = ok ? ow_value_integer(sum) : OW_VALUE_NULL;
    }
    memcpy(replay->columns, after, sizeof(after));
}

/* Whether a row is the one that follows: its version, the row that it points to, where it starts.
 */
static void check_chain(struct ow_verify *verify, const struct replay *replay,
                        const struct ow_past *past)
{
    const struct ow_slice before = replay->version == 0 ? OW_SLICE("none") : replay->state;
    ow_verify_checked(verify, OW_PROMISE_VERSIONS, 1);
    ow_verify_checked(verify, OW_PROMISE_PATHS, 1);
    if (past->version != replay->version + 1 || past->prev_seq != replay->last_seq) {
        ow_verify_broken(verify, OW_PROMISE_VERSIONS,
                         "%s '" OW_SLICE_FMT "', history row %" PRId64 ": version %" PRId64
                         " after row %" PRId64 " follows version %" PRId64 " of row %" PRId64,
                         machine_of(replay), OW_SLICE_ARG(replay->id), past->seq, past->version,
                         past->prev_seq, replay->version, replay->last_seq);
    }
    if (!replay->lost && !ow_slice_equal(past->from, before)) {
        ow_verify_broken(verify, OW_PROMISE_PATHS,
                         "%s '" OW_SLICE_FMT "', history row %" PRId64 " leaves '" OW_SLICE_FMT
                         "', but the row before led to '" OW_SLICE_FMT "'",
                         machine_of(replay), OW_SLICE_ARG(replay->id), past->seq,
                         OW_SLICE_ARG(past->from), OW_SLICE_ARG(before));
    }
}

/* One row of the history: is it the next step, and what does it make of the entity? */
static enum ow_status follow(struct ow_verify *verify, struct replay *replay,
                             const struct ow_past *past, struct ow_err *err)
{
    check_chain(verify, replay, past);
    if (replay->version == 0) {
        begin_columns(replay, past->machine_version);
        replay->created_at_ms = past->event_time_ms;
    }
    OW_JSON *data =
        json_loadb((const char *)past->data_text.ptr, past->data_text.len, JSON_ALLOW_NUL, NULL);
    struct ow_verify_step step = {
        .machine = replay->machine, .columns = replay->columns, .data = data};
    const bool found = find_step(verify, replay, past, &step);
    if (!json_is_object(data)) {
        ow_verify_broken(verify, OW_PROMISE_PATHS,
                         "history row %" PRId64 ": data is no JSON object", past->seq);
    }
    replay->lost = replay->lost || !found || !json_is_object(data);
    if (!replay->lost) {
        OW_TRY(ow_verify_record_derived(verify, &step, past->seq, err));
        change_columns(verify, replay, &step);
    }
    replay->version = past->version;
    replay->last_seq = past->seq;
    replay->state = ow_arena_copy(&verify->scratch, past->to);
    replay->updated_at_ms = past->event_time_ms;
    return OW_OK;
}

static void describe(const struct ow_value *value, char text[64])
{
    if (value->type == OW_TYPE_INTEGER) {
        (void)snprintf(text, 64, "%" PRId64, value->integer);
    } else if (value->type == OW_TYPE_TEXT) {
        (void)snprintf(text, 64, "'%.*s'", (int)(value->text.len < 60 ? value->text.len : 60),
                       (const char *)value->text.ptr);
    } else {
        (void)snprintf(text, 64, "NULL");
    }
}

static void compare_columns(struct ow_verify *verify, const struct replay *replay,
                            const struct ow_statement *entity)
{
    const struct ow_table *table = &replay->machine->newest->entity;
    for (size_t c = 0; c < table->column_count; c++) {
        const enum ow_promise_name promise =
            replay->machine->added[c] ? OW_PROMISE_SUMS : OW_PROMISE_SETS;
        const struct ow_value stored = ow_sql_value(entity, ENTITY_COLUMNS + (int)c, NULL);
        ow_verify_checked(verify, promise, 1);
        if (!ow_value_equal(&stored, &replay->columns[c])) {
            char is[64];
            char should[64];
            describe(&stored, is);
            describe(&replay->columns[c], should);
            ow_verify_broken(
                verify, promise, "%s '" OW_SLICE_FMT "': %s is %s, the history makes it %s",
                table->name, OW_SLICE_ARG(replay->id), table->columns[c].name, is, should);
        }
    }
}

/* The entity's row against what its history made. */
static void compare(struct ow_verify *verify, const struct replay *replay,
                    const struct ow_statement *entity)
{
    const char *table = replay->machine->newest->entity.name;
    const struct ow_slice state = ow_sql_slice(entity, ENTITY_STATE);
    const int64_t version = ow_sql_i64(entity, ENTITY_VERSION);
    const int64_t last_seq = ow_sql_i64(entity, ENTITY_LAST_SEQ);
    if (version != replay->version || last_seq != replay->last_seq) {
        ow_verify_broken(verify, OW_PROMISE_VERSIONS,
                         "%s '" OW_SLICE_FMT "' has version %" PRId64 " and last_seq %" PRId64
                         ", the history ends at version %" PRId64 " with row %" PRId64,
                         table, OW_SLICE_ARG(replay->id), version, last_seq, replay->version,
                         replay->last_seq);
    }
    if (replay->version == 0) {
        return; /* without any history there is no more to say */
    }
    if (!ow_slice_equal(state, replay->state)) {
        ow_verify_broken(verify, OW_PROMISE_PATHS,
                         "%s '" OW_SLICE_FMT "' has the state '" OW_SLICE_FMT
                         "', its history leads to '" OW_SLICE_FMT "'",
                         table, OW_SLICE_ARG(replay->id), OW_SLICE_ARG(state),
                         OW_SLICE_ARG(replay->state));
    }
    const int64_t created_at_ms = ow_sql_i64(entity, ENTITY_CREATED);
    const int64_t updated_at_ms = ow_sql_i64(entity, ENTITY_UPDATED);
    ow_verify_checked(verify, OW_PROMISE_TIMES, 1);
    if (created_at_ms != replay->created_at_ms || updated_at_ms != replay->updated_at_ms) {
        ow_verify_broken(verify, OW_PROMISE_TIMES,
                         "%s '" OW_SLICE_FMT "' has the times %" PRId64 " and %" PRId64
                         ", its events %" PRId64 " and %" PRId64,
                         table, OW_SLICE_ARG(replay->id), created_at_ms, updated_at_ms,
                         replay->created_at_ms, replay->updated_at_ms);
    }
    if (!replay->lost) {
        compare_columns(verify, replay, entity);
    }
}

static bool is_of(const struct ow_statement *history, bool row,
                  const struct ow_verify_machine *machine)
{
    return row && ow_slice_equals_text(ow_sql_slice(history, HISTORY_MACHINE), machine->name);
}

/* Follows all history rows of one entity. */
static enum ow_status replay_entity(struct ow_verify *verify, struct replay *replay,
                                    struct ow_statement *history, bool *row, struct ow_err *err)
{
    while (is_of(history, *row, replay->machine) &&
           ow_slice_equal(ow_sql_slice(history, HISTORY_ENTITY), replay->id)) {
        const struct ow_past past = take_past(history);
        OW_TRY(follow(verify, replay, &past, err));
        OW_TRY(ow_sql_step(history, row, err));
    }
    return OW_OK;
}

/* Where the history is beside the entities: further back (an entity without a row), at the same, or
 * ahead. */
static int order_of(const struct ow_statement *history, bool past,
                    const struct ow_statement *entities, bool entity)
{
    if (!past || !entity) {
        return past ? -1 : 1;
    }
    return ow_slice_compare(ow_sql_slice(history, HISTORY_ENTITY),
                            ow_sql_slice(entities, ENTITY_KEY));
}

static enum ow_status walk_machine(struct ow_verify *verify, struct ow_verify_machine *machine,
                                   struct ow_statement *history, bool *row, struct ow_err *err)
{
    struct ow_statement *entities = &machine->entities;
    bool entity = false;
    OW_TRY(ow_sql_step(entities, &entity, err));
    bool past = is_of(history, *row, machine);
    while (past || entity) {
        const int order = order_of(history, past, entities, entity);
        ow_arena_reset(&verify->scratch);
        struct replay replay = {.machine = machine};
        replay.id = order <= 0 ? ow_sql_copy(history, HISTORY_ENTITY, &verify->scratch)
                               : ow_sql_copy(entities, ENTITY_KEY, &verify->scratch);
        OW_TRY(replay_entity(verify, &replay, history, row, err)); /* none where it is ahead */
        if (order < 0) {
            ow_verify_broken(verify, OW_PROMISE_VERSIONS,
                             "%s '" OW_SLICE_FMT "' has a history but no row",
                             machine->newest->entity.name, OW_SLICE_ARG(replay.id));
        } else {
            compare(verify, &replay, entities);
        }
        OW_TRY(order < 0 ? OW_OK : ow_sql_step(entities, &entity, err));
        past = is_of(history, *row, machine);
    }
    return OW_OK;
}
