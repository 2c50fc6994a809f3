#include "store/erased.h"
#include "store/internal.h"
#include "store/verify_internal.h"

#include <inttypes.h>

/*
 * Each entity is made anew from its history and compared with its row. Entities are walked in the
 * order of their keys; an entity's rows are found from its last one backwards (last_seq, prev_seq,
 * …), and followed forwards. History rows never change, so a chain may be followed through several
 * snapshots. That every history row lies on some chain is verify_chain.c's.
 */

/* What a walk needs, once for all. */
struct walk {
    struct ow_statement row_of; /* of the history */
    struct ow_verify_chain chain;
};

/* An entity as its history makes it. */
struct replay {
    const struct ow_verify_machine *machine;
    struct ow_slice id;
    int64_t version, last_seq; /* 0: nothing yet */
    struct ow_slice state;
    int64_t created_at_ms, updated_at_ms;
    struct ow_value columns[OW_TABLE_COLUMNS_MAX]; /* by the newest version's entity columns */
    bool lost;   /* a step could not be followed: what it leads to is not known */
    bool erased; /* likewise, for its payload was: up to a row that keeps the columns */
};

/* An entity as its row is, copied: the snapshot may change while its history is followed. */
struct entity {
    struct ow_slice state;
    int64_t version, last_seq, created_at_ms, updated_at_ms;
    struct ow_value columns[OW_TABLE_COLUMNS_MAX];
};

enum {
    ENTITY_KEY,
    ENTITY_STATE,
    ENTITY_VERSION,
    ENTITY_LAST_SEQ,
    ENTITY_CREATED,
    ENTITY_UPDATED,
    ENTITY_COLUMNS
};

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
    if (ow_verify_step_find(verify, past, step) && step->machine == replay->machine) {
        return true;
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
static void check_chain(struct ow_verify *verify, struct replay *replay, const struct ow_past *past)
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
        replay->lost = true; /* what it was before is not known */
    }
    if (!replay->lost && !ow_slice_equal(past->from, before)) {
        ow_verify_broken(verify, OW_PROMISE_PATHS,
                         "%s '" OW_SLICE_FMT "', history row %" PRId64 " leaves '" OW_SLICE_FMT
                         "', but the row before led to '" OW_SLICE_FMT "'",
                         machine_of(replay), OW_SLICE_ARG(replay->id), past->seq,
                         OW_SLICE_ARG(past->from), OW_SLICE_ARG(before));
    }
}

/* Whether data is what the transition read: its pointers, and nothing else, in canonical form. */
static bool is_read(const struct ow_past *past, const struct ow_verify_step *step)
{
    size_t count = 0;
    for (size_t i = 0; i < step->event->need_count; i++) {
        if ((step->transition->pointers >> i & 1) == 0) {
            continue;
        }
        count++;
        if (json_object_get(step->data, step->event->needs[i].pointer.text) == NULL) {
            return false;
        }
    }
    OW_BUFFER text = {0};
    ow_json_canonical(&text, step->data, NULL, NULL, 0);
    return count == json_object_size(step->data) &&
           ow_slice_equal(ow_buffer_view(&text), past->data_text);
}

static void check_requirements(struct ow_verify *verify, const struct replay *replay,
                               const struct ow_past *past, const struct ow_verify_step *step)
{
    for (size_t i = 0; i < step->transition->requirement_count; i++) {
        ow_verify_checked(verify, OW_PROMISE_REQUIRED, 1);
        if (!ow_verify_holds(&step->transition->requirements[i], step)) {
            ow_verify_broken(verify, OW_PROMISE_REQUIRED,
                             "%s '" OW_SLICE_FMT "', history row %" PRId64
                             ": requirement %zu of '" OW_SLICE_FMT "' did not hold",
                             machine_of(replay), OW_SLICE_ARG(replay->id), past->seq, i + 1,
                             OW_SLICE_ARG(past->event_type));
        }
    }
}

/* Without the columns of before nothing can be derived. An erasure leaves them in the last row that
 * it met, so there are none only where somebody took them away. */
static bool is_unknown(struct ow_verify *verify, struct replay *replay)
{
    if (replay->erased && !replay->lost) {
        ow_verify_broken(verify, OW_PROMISE_SETS,
                         "%s '" OW_SLICE_FMT "': history row %" PRId64
                         " was erased, and does not keep the columns",
                         machine_of(replay), OW_SLICE_ARG(replay->id), replay->last_seq);
        replay->lost = true;
    }
    return replay->erased;
}

/* Whether what an erased row keeps is in canonical form, and goes with what it has recorded. */
static bool is_kept(const struct ow_past *past, const struct ow_verify_step *step,
                    const struct ow_erased *erased)
{
    OW_BUFFER text = {0};
    ow_json_canonical(&text, step->data, NULL, NULL, 0);
    return ow_slice_equal(ow_buffer_view(&text), past->data_text) &&
           json_array_size(erased->records) == step->transition->recording_count;
}

/* The columns as they were when the row was erased, where it keeps them. */
static void take_kept(struct ow_verify *verify, struct replay *replay,
                      const struct ow_erased *erased)
{
    const struct ow_table *table = &replay->machine->newest->entity;
    for (size_t c = 0; c < table->column_count; c++) {
        const json_t *value = json_object_get(erased->columns, table->columns[c].name);
        if (value != NULL) {
            replay->columns[c] = keep(verify, ow_verify_value(value));
        }
    }
    replay->erased = erased->columns == NULL;
}

/* What can be said of a step without its payload: the rows that it recorded are as they were when
 * it was erased, and the columns went on from what they were then. */
static enum ow_status follow_erased(struct ow_verify *verify, struct replay *replay,
                                    const struct ow_verify_step *step,
                                    const struct ow_erased *erased, int64_t seq, struct ow_err *err)
{
    verify->erased++;
    if (step->transition != NULL) {
        OW_TRY(ow_verify_record_kept(verify, step, erased->records, seq, err));
    }
    take_kept(verify, replay, erased);
    return OW_OK;
}

/* What a transition has made of the entity. */
static enum ow_status take_step(struct ow_verify *verify, struct replay *replay,
                                const struct ow_past *past, const json_t *data, struct ow_err *err)
{
    struct ow_verify_step step = {.columns = replay->columns, .data = data};
    struct ow_erased erased;
    const bool is_erased = ow_erased_read(data, &erased);
    const bool found = find_step(verify, replay, past, &step);
    if (!json_is_object(data) ||
        (found && !(is_erased ? is_kept(past, &step, &erased) : is_read(past, &step)))) {
        ow_verify_broken(verify, OW_PROMISE_PATHS,
                         "history row %" PRId64
                         ": data is no JSON object of what the transition reads",
                         past->seq);
    }
    OW_TRY(ow_verify_past_check(verify, past, &step, err));
    replay->lost = replay->lost || !found || !json_is_object(data);
    if (is_erased) {
        OW_TRY(follow_erased(verify, replay, &step, &erased, past->seq, err));
    } else if (!replay->lost && !is_unknown(verify, replay)) {
        check_requirements(verify, replay, past, &step);
        OW_TRY(ow_verify_record_derived(verify, &step, past->seq, err));
        change_columns(verify, replay, &step);
    }
    return OW_OK;
}

/* What the entity was when it was taken over. */
static enum ow_status take_seed(struct ow_verify *verify, struct replay *replay,
                                const struct ow_past *past, const json_t *data, struct ow_err *err)
{
    struct ow_seed_entity seed;
    struct ow_erased erased;
    struct ow_verify_step step = {.columns = replay->columns, .data = data};
    const char *problem = ow_verify_seed_read(verify, past, &step, &seed);
    OW_TRY(ow_verify_past_check(verify, past, &step, err));
    if (problem != NULL) {
        ow_verify_broken(verify, OW_PROMISE_PATHS,
                         "%s '" OW_SLICE_FMT "', history row %" PRId64 " came by seed, and %s",
                         machine_of(replay), OW_SLICE_ARG(replay->id), past->seq, problem);
        replay->lost = true;
        return OW_OK;
    }
    if (ow_erased_read(data, &erased)) {
        verify->erased++;
        take_kept(verify, replay, &erased);
        return ow_verify_record_seeded_kept(verify, &step, erased.records, past->seq, err);
    }
    for (size_t c = 0; c < seed.machine->entity.column_count; c++) {
        if (seed.columns[c].type != OW_TYPE_NULL) {
            replay->columns[step.version->columns[c]] = seed.columns[c];
        }
    }
    return ow_verify_record_seeded(verify, &step, seed.rows, past->seq, err);
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
    OW_TRY(ow_verify_is_seed(past) ? take_seed(verify, replay, past, data, err)
                                   : take_step(verify, replay, past, data, err));
    replay->version = past->version;
    replay->last_seq = past->seq;
    replay->state = past->to; /* a numbered text, which stays */
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
                            const struct entity *entity)
{
    const struct ow_table *table = &replay->machine->newest->entity;
    for (size_t c = 0; c < table->column_count; c++) {
        const enum ow_promise_name promise =
            replay->machine->added[c] ? OW_PROMISE_SUMS : OW_PROMISE_SETS;
        ow_verify_checked(verify, promise, 1);
        if (!ow_value_equal(&entity->columns[c], &replay->columns[c])) {
            char is[64];
            char should[64];
            describe(&entity->columns[c], is);
            describe(&replay->columns[c], should);
            ow_verify_broken(
                verify, promise, "%s '" OW_SLICE_FMT "': %s is %s, the history makes it %s",
                table->name, OW_SLICE_ARG(replay->id), table->columns[c].name, is, should);
        }
    }
}

/* The entity's row against what its history made. */
static void compare(struct ow_verify *verify, struct replay *replay, const struct entity *entity)
{
    const char *table = replay->machine->newest->entity.name;
    if (entity->version != replay->version || entity->last_seq != replay->last_seq) {
        ow_verify_broken(verify, OW_PROMISE_VERSIONS,
                         "%s '" OW_SLICE_FMT "' has version %" PRId64 " and last_seq %" PRId64
                         ", the history ends at version %" PRId64 " with row %" PRId64,
                         table, OW_SLICE_ARG(replay->id), entity->version, entity->last_seq,
                         replay->version, replay->last_seq);
    }
    if (replay->version == 0) {
        return; /* without any history there is no more to say */
    }
    if (!ow_slice_equal(entity->state, replay->state)) {
        ow_verify_broken(verify, OW_PROMISE_PATHS,
                         "%s '" OW_SLICE_FMT "' has the state '" OW_SLICE_FMT
                         "', its history leads to '" OW_SLICE_FMT "'",
                         table, OW_SLICE_ARG(replay->id), OW_SLICE_ARG(entity->state),
                         OW_SLICE_ARG(replay->state));
    }
    ow_verify_checked(verify, OW_PROMISE_TIMES, 1);
    if (entity->created_at_ms != replay->created_at_ms ||
        entity->updated_at_ms != replay->updated_at_ms) {
        ow_verify_broken(verify, OW_PROMISE_TIMES,
                         "%s '" OW_SLICE_FMT "' has the times %" PRId64 " and %" PRId64
                         ", its events %" PRId64 " and %" PRId64,
                         table, OW_SLICE_ARG(replay->id), entity->created_at_ms,
                         entity->updated_at_ms, replay->created_at_ms, replay->updated_at_ms);
    }
    if (!is_unknown(verify, replay) && !replay->lost) {
        compare_columns(verify, replay, entity);
    }
}

static void stray(struct ow_verify *verify, const struct replay *replay, const struct ow_past *past)
{
    if (ow_verify_machine_named(verify, past->machine) == NULL) {
        ow_verify_broken(verify, OW_PROMISE_PATHS,
                         "history row %" PRId64 " is of no machine that the store knows",
                         past->seq);
    } else {
        ow_verify_broken(verify, OW_PROMISE_VERSIONS,
                         "history row %" PRId64 " of " OW_SLICE_FMT " '" OW_SLICE_FMT
                         "' is on the chain of '" OW_SLICE_FMT "'",
                         past->seq, OW_SLICE_ARG(past->machine), OW_SLICE_ARG(past->entity_id),
                         OW_SLICE_ARG(replay->id));
    }
}

/* One row of a chain. A row of another entity is no part of it. */
static enum ow_status take_past(struct ow_verify *verify, const struct ow_statement *row,
                                struct replay *replay, struct ow_err *err)
{
    struct ow_past past;
    OW_TRY(ow_verify_past_take(verify, row, &past, err));
    if (!ow_slice_equal(past.entity_id, replay->id) ||
        !ow_slice_equals_text(past.machine, replay->machine->name)) {
        stray(verify, replay, &past);
        return OW_OK;
    }
    if (past.seq < verify->next_ref) {
        ow_verify_sum_add(&verify->chained, past.seq, NULL);
    }
    return follow(verify, replay, &past, err);
}

static enum ow_status follow_row(struct ow_verify *verify, struct walk *walk, int64_t seq,
                                 struct replay *replay, struct ow_err *err)
{
    bool row = false;
    ow_sql_bind_i64(&walk->row_of, seq);
    OW_TRY(ow_sql_step(&walk->row_of, &row, err));
    if (!row) {
        return OW_OK; /* told by the gap that it leaves */
    }
    const enum ow_status status = take_past(verify, &walk->row_of, replay, err);
    ow_sql_reset(&walk->row_of);
    return status;
}

static enum ow_status replay_entity(struct ow_verify *verify, struct walk *walk,
                                    const struct entity *entity, struct replay *replay,
                                    struct ow_err *err)
{
    OW_TRY(ow_verify_chain_find(verify, &walk->chain, entity->last_seq, err));
    for (size_t i = walk->chain.count; i > 0; i--) {
        OW_TRY(follow_row(verify, walk, walk->chain.seqs[i - 1], replay, err));
        OW_TRY(ow_verify_pause(verify, err));
    }
    compare(verify, replay, entity);
    return OW_OK;
}

static void take_entity(struct ow_verify *verify, const struct ow_statement *row,
                        const struct ow_table *table, struct entity *ret_entity)
{
    *ret_entity = (struct entity){.state = ow_sql_copy(row, ENTITY_STATE, &verify->scratch),
                                  .version = ow_sql_i64(row, ENTITY_VERSION),
                                  .last_seq = ow_sql_i64(row, ENTITY_LAST_SEQ),
                                  .created_at_ms = ow_sql_i64(row, ENTITY_CREATED),
                                  .updated_at_ms = ow_sql_i64(row, ENTITY_UPDATED)};
    for (size_t c = 0; c < table->column_count; c++) {
        ret_entity->columns[c] = ow_sql_value(row, ENTITY_COLUMNS + (int)c, &verify->scratch);
    }
}

static enum ow_status walk_machine(struct ow_verify *verify, struct walk *walk,
                                   const struct ow_verify_machine *machine, struct ow_err *err)
{
    const struct ow_table *table = &machine->newest->entity;
    OW_BUFFER text = {0};
    ow_buffer_text(&text, "SELECT ");
    ow_store_identifier(&text, table->key);
    ow_buffer_text(&text, ", state, version, last_seq, created_at_ms, updated_at_ms");
    ow_verify_append_columns(&text, table);
    ow_verify_append_order(&text, table);
    OW_VERIFY_CURSOR entities = {.by = OW_VERIFY_BY_TEXT};
    OW_TRY(ow_verify_cursor_open(&entities, verify, ow_buffer_cstr(&text), err));
    bool row = false;
    OW_TRY(ow_verify_cursor_next(&entities, &row, err));
    while (row) {
        ow_arena_reset(&verify->scratch);
        struct entity entity;
        take_entity(verify, &entities.statement, table, &entity);
        struct replay replay = {.machine = machine,
                                .id =
                                    ow_sql_copy(&entities.statement, ENTITY_KEY, &verify->scratch)};
        OW_TRY(replay_entity(verify, walk, &entity, &replay, err));
        OW_TRY(ow_verify_cursor_next(&entities, &row, err));
    }
    return OW_OK;
}

static enum ow_status walk_all(struct ow_verify *verify, struct walk *walk, struct ow_err *err)
{
    OW_TRY(ow_verify_chain_open(verify, &walk->chain, err));
    OW_TRY(ow_sql_prepare(&verify->sql,
                          "SELECT " OW_VERIFY_PAST_COLUMNS " FROM ow_history_row WHERE seq = ?",
                          &walk->row_of, err));
    for (const struct ow_verify_machine *machine = verify->machines; machine != NULL;
         machine = machine->next) {
        OW_TRY(walk_machine(verify, walk, machine, err));
    }
    return OW_OK;
}

enum ow_status ow_verify_history(struct ow_verify *verify, struct ow_err *err)
{
    struct walk walk = {0};
    const enum ow_status status = walk_all(verify, &walk, err);
    ow_sql_finalize(&walk.row_of);
    ow_verify_chain_done(&walk.chain);
    return status;
}
