#include "base/failpoint.h"
#include "store/internal.h"

#include <inttypes.h>

static enum ow_status read_one(struct ow_store *store, struct ow_world *world,
                               struct ow_entity *entity, struct ow_err *err);
static enum ow_status take_row(const struct ow_statement *read, struct ow_world *world,
                               struct ow_entity *entity, struct ow_err *err);
static enum ow_status write_one(struct ow_store *store, const struct ow_entity *entity,
                                struct ow_err *err);

enum ow_status ow_entity_read(struct ow_store *store, struct ow_world *world, struct ow_err *err)
{
    for (struct ow_entity *entity = world->entities; entity != NULL; entity = entity->next) {
        if (entity->loaded) {
            continue;
        }
        OW_TRY(read_one(store, world, entity, err));
        OW_TRY(ow_parked_read(store, world, entity, err));
        entity->loaded = true;
    }
    return OW_OK;
}

static enum ow_status read_one(struct ow_store *store, struct ow_world *world,
                               struct ow_entity *entity, struct ow_err *err)
{
    const struct ow_table *table = &entity->machine->entity;
    struct ow_statement *read = &store->machine_statements[entity->machine->index].entity_read;
    if (entity->columns == NULL) {
        entity->columns = OW_ARENA_ARRAY(world->arena, table->column_count, struct ow_value);
    }
    bool row = false;
    ow_sql_bind_text(read, entity->id);
    OW_TRY(ow_sql_step(read, &row, err));
    if (row) {
        const enum ow_status status = take_row(read, world, entity, err);
        ow_sql_reset(read);
        return status;
    }
    entity->state = 0;
    entity->version = entity->stored_version = 0;
    entity->last_seq = 0;
    entity->created_at_ms = entity->updated_at_ms = 0;
    for (size_t c = 0; c < table->column_count; c++) {
        const struct ow_column *column = &table->columns[c];
        entity->columns[c] = column->has_default ? column->default_value : OW_VALUE_NULL;
    }
    return OW_OK;
}

static enum ow_status take_row(const struct ow_statement *read, struct ow_world *world,
                               struct ow_entity *entity, struct ow_err *err)
{
    const struct ow_table *table = &entity->machine->entity;
    int column = 0;
    for (size_t c = 0; c < table->column_count; c++) {
        entity->columns[c] = ow_sql_value(read, column++, world->arena);
    }
    const struct ow_slice state_text = ow_sql_slice(read, column++);
    const int state = ow_machine_state(entity->machine, state_text);
    if (state <= 0) {
        return ow_fail(err, OW_FAILED,
                       "table '%s': '" OW_SLICE_FMT "' has the state '" OW_SLICE_FMT
                       "', which machine '%s' version %" PRId64 " does not know",
                       table->name, OW_SLICE_ARG(entity->id), OW_SLICE_ARG(state_text),
                       entity->machine->name, entity->machine->version);
    }
    entity->state = (size_t)state;
    entity->version = entity->stored_version = ow_sql_i64(read, column++);
    entity->last_seq = ow_sql_i64(read, column++);
    entity->created_at_ms = ow_sql_i64(read, column++);
    entity->updated_at_ms = ow_sql_i64(read, column);
    OW_ENSURE(entity->version > 0);
    return OW_OK;
}

enum ow_status ow_entity_write(struct ow_store *store, const struct ow_world *world,
                               struct ow_err *err)
{
    for (const struct ow_entity *entity = world->entities; entity != NULL; entity = entity->next) {
        if (!entity->dirty) {
            continue;
        }
        OW_TRY(write_one(store, entity, err));
        OW_FAILPOINT(ENTITY_WRITTEN);
    }
    return OW_OK;
}

/*
 * The optimistic version check. Versions only grow, so a row that another writer changed and
 * changed back (A, B, A) has another version than the one that was read, and is not overwritten.
 */
static enum ow_status write_one(struct ow_store *store, const struct ow_entity *entity,
                                struct ow_err *err)
{
    const struct ow_machine *machine = entity->machine;
    struct ow_machine_statements *statements = &store->machine_statements[machine->index];
    OW_REQUIRE(entity->state > 0 && entity->state < machine->state_count);
    OW_REQUIRE(entity->version > entity->stored_version);
    const bool fresh = entity->stored_version == 0;
    struct ow_statement *write = fresh ? &statements->entity_insert : &statements->entity_update;
    for (size_t c = 0; c < machine->entity.column_count; c++) {
        ow_sql_bind_value(write, &entity->columns[c]);
    }
    ow_sql_bind_cstr(write, machine->states[entity->state]);
    ow_sql_bind_i64(write, entity->version);
    ow_sql_bind_i64(write, entity->last_seq);
    ow_sql_bind_i64(write, entity->created_at_ms);
    ow_sql_bind_i64(write, entity->updated_at_ms);
    ow_sql_bind_text(write, entity->id);
    if (!fresh) {
        ow_sql_bind_i64(write, entity->stored_version);
    }
    int64_t changes = 0;
    OW_TRY(ow_sql_write(write, &changes, err));
    if (changes != 1) {
        return ow_fail(err, OW_FAILED,
                       "optimistic version check: '" OW_SLICE_FMT
                       "' in table '%s' is not at version %" PRId64
                       " any more: another writer changed it",
                       OW_SLICE_ARG(entity->id), machine->entity.name, entity->stored_version);
    }
    return OW_OK;
}
