#include "base/failpoint.h"
#include "store/internal.h"

#include <inttypes.h>
#include <stdlib.h>

static enum ow_status take_row(const struct ow_statement *read, struct ow_world *world,
                               struct ow_parked *parked, struct ow_err *err);
static enum ow_status insert(struct ow_store *store, const struct ow_parked *parked,
                             struct ow_err *err);

static enum ow_status read_first_deadline(struct ow_store *store, struct ow_err *err)
{
    struct ow_statement *read = ow_store_statement(store, OW_STATEMENT_PARKED_FIRST);
    bool row = false;
    OW_TRY(ow_sql_step(read, &row, err));
    OW_ENSURE(row);
    store->live.first_deadline_ms = ow_sql_is_null(read, 0) ? INT64_MAX : ow_sql_i64(read, 0);
    ow_sql_reset(read);
    return OW_OK;
}

enum ow_status ow_parked_load(struct ow_store *store, const struct ow_machines *machines,
                              struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&store->sql, "SELECT machine, count(*) FROM ow_parked GROUP BY machine",
                          &statement, err));
    bool row = false;
    store->live.parked_count = 0;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        const struct ow_slice machine = ow_sql_slice(&statement, 0);
        if (ow_machines_named(machines, machine) == NULL) {
            return ow_fail(err, OW_BAD_CONFIG,
                           "the store has %" PRId64 " parked records of machine '" OW_SLICE_FMT
                           "', which is not configured: nothing would ever wake them",
                           ow_sql_i64(&statement, 1), OW_SLICE_ARG(machine));
        }
        store->live.parked_count += ow_sql_i64(&statement, 1);
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return read_first_deadline(store, err);
}

enum ow_status ow_parked_read(struct ow_store *store, struct ow_world *world,
                              struct ow_entity *entity, struct ow_err *err)
{
    if (store->live.parked_count == 0) {
        return OW_OK;
    }
    struct ow_statement *read = ow_store_statement(store, OW_STATEMENT_PARKED_READ);
    bool row = false;
    ow_sql_bind_cstr(read, entity->machine->name);
    ow_sql_bind_text(read, entity->id);
    OW_TRY(ow_sql_step(read, &row, err));
    while (row) {
        struct ow_parked *parked = OW_ARENA_NEW(world->arena, struct ow_parked);
        const enum ow_status status = take_row(read, world, parked, err);
        if (status != OW_OK) {
            ow_sql_reset(read);
            return status;
        }
        ow_world_add_parked(world, entity, parked);
        OW_TRY(ow_sql_step(read, &row, err));
    }
    return OW_OK;
}

static enum ow_status take_row(const struct ow_statement *read, struct ow_world *world,
                               struct ow_parked *parked, struct ow_err *err)
{
    const struct ow_slice topic = ow_sql_copy(read, 3, world->arena);
    parked->id = ow_sql_i64(read, 0);
    parked->parked_at_ms = ow_sql_i64(read, 1);
    parked->deadline_ms = ow_sql_i64(read, 2);
    parked->record = (struct ow_record){
        .topic = topic,
        .partition = (int32_t)ow_sql_i64(read, 4),
        .offset = ow_sql_i64(read, 5),
        .timestamp_ms = ow_sql_i64(read, 6),
        .key = ow_sql_copy(read, 7, world->arena),
        .value = ow_sql_copy(read, 9, world->arena),
        .via = ow_record_channel(topic) == OW_CHANNEL_HTTP ? OW_VIA_HTTP : OW_VIA_KAFKA,
    };
    if (!ow_headers_read(ow_sql_slice(read, 8), world->arena, &parked->record.headers,
                         &parked->record.header_count)) {
        return ow_fail(err, OW_FAILED,
                       "the parked record %" PRId64 " has headers that cannot be read", parked->id);
    }
    return OW_OK;
}

struct overdue {
    struct ow_parked *list;
    size_t count, limit;
};

static int compare_ids(const void *a, const void *b)
{
    const struct ow_parked *const *left = a;
    const struct ow_parked *const *right = b;
    return ((*left)->id > (*right)->id) - ((*left)->id < (*right)->id);
}

/* Which parked records are past their deadline, in the order of deadlines: id and entity are filled
 * in. */
static enum ow_status list_overdue(struct ow_store *store, struct ow_world *world,
                                   int64_t deadline_ms, struct overdue *overdue, struct ow_err *err)
{
    struct ow_statement *read = ow_store_statement(store, OW_STATEMENT_PARKED_OVERDUE);
    bool row = false;
    ow_sql_bind_i64(read, deadline_ms);
    OW_TRY(ow_sql_step(read, &row, err));
    while (row && overdue->count < overdue->limit) {
        const struct ow_machine *machine =
            ow_machines_named(world->machines, ow_sql_slice(read, 1));
        OW_INVARIANT(machine != NULL); /* ow_parked_load */
        struct ow_parked *one = &overdue->list[overdue->count++];
        one->id = ow_sql_i64(read, 0);
        one->entity = ow_world_entity(world, machine, ow_sql_slice(read, 2));
        OW_TRY(ow_sql_step(read, &row, err));
    }
    ow_sql_reset(read);
    return OW_OK;
}

/* The parked record of that number in the list of its entity; NULL where it was judged otherwise
 * since. */
static struct ow_parked *find(const struct ow_entity *entity, int64_t id)
{
    struct ow_parked *parked = entity->parked;
    while (parked != NULL && parked->id != id) {
        parked = parked->next;
    }
    return parked == NULL || parked->gone ? NULL : parked;
}

/* NOLINTNEXTLINE(readability-function-size): two results and a limit make seven parameters */
enum ow_status ow_store_read_overdue(struct ow_store *store, struct ow_world *world,
                                     int64_t deadline_ms, size_t limit,
                                     struct ow_parked ***ret_list, size_t *ret_count,
                                     struct ow_err *err)
{
    OW_REQUIRE(ow_sql_in_transaction(&store->sql));
    struct overdue overdue = {.limit = limit};
    overdue.list = OW_ARENA_ARRAY(world->arena, limit, struct ow_parked);
    OW_TRY(list_overdue(store, world, deadline_ms, &overdue, err));
    OW_TRY(ow_store_read(store, world, err)); /* their entities, with all that lies under them */
    struct ow_parked **list = OW_ARENA_ARRAY(world->arena, overdue.count, struct ow_parked *);
    size_t count = 0;
    for (size_t i = 0; i < overdue.count; i++) {
        list[count] = find(overdue.list[i].entity, overdue.list[i].id);
        count += list[count] != NULL;
    }
    if (count > 0) {
        qsort(list, count, sizeof(struct ow_parked *), compare_ids);
    }
    *ret_list = list;
    *ret_count = count;
    return OW_OK;
}

static enum ow_status erase(struct ow_store *store, const struct ow_parked *parked,
                            struct ow_err *err)
{
    struct ow_statement *statement = ow_store_statement(store, OW_STATEMENT_PARKED_DELETE);
    struct ow_statement *row = ow_store_statement(store, OW_STATEMENT_PARKED_ROW);
    int64_t changes = 0;
    ow_sql_bind_i64(row, parked->id);
    OW_TRY(ow_seal_take(store, OW_SEAL_PARKED, parked->id, row, err));
    ow_sql_bind_i64(statement, parked->id);
    OW_TRY(ow_sql_write(statement, &changes, err));
    if (changes != 1) {
        return ow_fail(err, OW_FAILED,
                       "the parked record %" PRId64 " is gone, but was there when it was read",
                       parked->id);
    }
    return OW_OK;
}

/* What changed under one entity. */
static enum ow_status write_of(struct ow_store *store, const struct ow_entity *entity,
                               bool *ret_changed, struct ow_err *err)
{
    for (const struct ow_parked *parked = entity->parked; parked != NULL; parked = parked->next) {
        if (parked->fresh == parked->gone) { /* as it was; or came and went within the batch */
            continue;
        }
        if (parked->fresh) {
            OW_TRY(insert(store, parked, err));
            OW_FAILPOINT(PARKED_WRITTEN);
        } else {
            OW_TRY(erase(store, parked, err));
            OW_FAILPOINT(PARKED_WOKEN);
        }
        store->live.parked_count += parked->fresh ? 1 : -1;
        *ret_changed = true;
    }
    return OW_OK;
}

enum ow_status ow_parked_write(struct ow_store *store, const struct ow_world *world,
                               struct ow_err *err)
{
    bool changed = false;
    for (const struct ow_entity *entity = world->entities; entity != NULL; entity = entity->next) {
        OW_TRY(write_of(store, entity, &changed, err));
    }
    return changed ? read_first_deadline(store, err) : OW_OK;
}

static enum ow_status insert(struct ow_store *store, const struct ow_parked *parked,
                             struct ow_err *err)
{
    OW_REQUIRE(parked->id > 0);
    OW_REQUIRE(parked->event != NULL);
    const struct ow_record *record = &parked->record;
    OW_BUFFER headers = {0};
    ow_headers_write(&headers, record->headers, record->header_count);
    struct ow_statement *statement = ow_store_statement(store, OW_STATEMENT_PARKED_INSERT);
    ow_sql_bind_i64(statement, parked->id);
    ow_sql_bind_cstr(statement, parked->entity->machine->name);
    ow_sql_bind_text(statement, parked->entity->id);
    ow_sql_bind_text(statement, parked->event->type);
    ow_sql_bind_i64(statement, parked->parked_at_ms);
    ow_sql_bind_i64(statement, parked->deadline_ms);
    ow_sql_bind_text(statement, record->topic);
    ow_sql_bind_i64(statement, record->partition);
    ow_sql_bind_i64(statement, record->offset);
    ow_sql_bind_i64(statement, record->timestamp_ms);
    ow_sql_bind_blob(statement, record->key);
    ow_sql_bind_text(statement,
                     record->header_count == 0 ? (struct ow_slice){0} : ow_buffer_view(&headers));
    ow_sql_bind_blob(statement, record->value);
    return ow_seal_insert(store, OW_SEAL_PARKED, parked->id, statement, NULL, err);
}
