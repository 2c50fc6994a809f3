#include "base/failpoint.h"
#include "store/internal.h"

/* The numbers of a row's strings. */
struct numbers {
    int64_t machine, event_type, from, to, topic, via;
};

static enum ow_status number_texts(struct ow_store *store, const struct ow_history *history,
                                   struct numbers *numbers, struct ow_err *err)
{
    const struct ow_machine *machine = history->machine;
    OW_REQUIRE(history->from < machine->state_count && history->to < machine->state_count);
    OW_TRY(ow_text_id(store, ow_slice_of(machine->name), &numbers->machine, err));
    OW_TRY(ow_text_id(store, history->event->type, &numbers->event_type, err));
    OW_TRY(ow_text_id(store, ow_slice_of(machine->states[history->from]), &numbers->from, err));
    OW_TRY(ow_text_id(store, ow_slice_of(machine->states[history->to]), &numbers->to, err));
    OW_TRY(ow_text_id(store, history->event->record->topic, &numbers->topic, err));
    return ow_text_id(store, ow_slice_of(ow_via_text(history->via)), &numbers->via, err);
}

static enum ow_status write_one(struct ow_store *store, const struct ow_world *world,
                                const struct ow_history *history, struct ow_err *err)
{
    OW_REQUIRE(history->seq > 0 && history->seq < world->next_ref);
    OW_REQUIRE(history->version > 0);
    struct numbers numbers;
    OW_TRY(number_texts(store, history, &numbers, err));
    const struct ow_event *event = history->event;
    struct ow_statement *insert = ow_store_statement(store, OW_STATEMENT_HISTORY_INSERT);
    ow_sql_bind_i64(insert, history->seq);
    ow_sql_bind_unless(insert, history->first_ref, 0);
    ow_sql_bind_i64(insert, numbers.machine);
    ow_sql_bind_i64(insert, history->machine->version);
    ow_sql_bind_text(insert, history->entity_id);
    ow_sql_bind_i64(insert, history->version);
    ow_sql_bind_unless(insert, history->prev_seq, 0);
    ow_sql_bind_i64(insert, numbers.event_type);
    /* A message rule need not declare a source. */
    ow_sql_bind_text(insert, ow_slice_is_absent(event->source) ? OW_SLICE("") : event->source);
    ow_sql_bind_text(insert, event->id);
    ow_sql_bind_i64(insert, numbers.from);
    ow_sql_bind_i64(insert, numbers.to);
    ow_sql_bind_i64(insert, event->time_ms);
    ow_sql_bind_i64(insert, world->now_ms);
    ow_sql_bind_i64(insert, numbers.topic);
    ow_sql_bind_i64(insert, event->record->partition);
    ow_sql_bind_i64(insert, event->record->offset);
    ow_sql_bind_i64(insert, numbers.via);
    ow_sql_bind_text(insert, history->data);
    return ow_seal_insert(store, OW_SEAL_HISTORY, history->seq, insert, NULL, err);
}

enum ow_status ow_history_write(struct ow_store *store, const struct ow_world *world,
                                struct ow_err *err)
{
    for (const struct ow_history *history = world->history; history != NULL;
         history = history->next) {
        OW_TRY(write_one(store, world, history, err));
        OW_FAILPOINT(HISTORY_WRITTEN);
    }
    return OW_OK;
}

enum ow_status ow_sighting_write(struct ow_store *store, const struct ow_world *world,
                                 struct ow_err *err)
{
    struct ow_statement *insert = ow_store_statement(store, OW_STATEMENT_SIGHTING_INSERT);
    for (const struct ow_sighting *sighting = world->sightings; sighting != NULL;
         sighting = sighting->next) {
        OW_REQUIRE(sighting->ref > 0);
        ow_sql_bind_i64(insert, sighting->ref);
        ow_sql_bind_cstr(insert, sighting->cause);
        ow_sql_bind_text(insert, sighting->record->topic);
        ow_sql_bind_i64(insert, sighting->record->partition);
        ow_sql_bind_i64(insert, sighting->record->offset);
        ow_sql_bind_i64(insert, world->now_ms);
        OW_TRY(ow_seal_insert(store, OW_SEAL_SIGHTING, sighting->ref, insert, NULL, err));
        OW_FAILPOINT(SIGHTING_WRITTEN);
    }
    return OW_OK;
}
