#include "store/erase.h"

#include "base/log.h"
#include "store/erase_detail.h"
#include "store/erase_record.h"
#include "store/erased.h"
#include "store/explain_machine.h"
#include "store/internal.h"
#include "store/scrub.h"

#include <inttypes.h>

/* Rows that are blanked in one transaction. */
enum { ROWS_MAX = 256 };

static const char history_text[] =
    "SELECT prev_seq, machine_version, event_type, from_state, data FROM ow_history"
    " WHERE seq = ? AND machine = ? AND entity_id = ?";
static const char parked_text[] =
    "SELECT id, machine, entity_id, event_type, topic, partition, offset, timestamp_ms"
    " FROM ow_parked WHERE machine = ? AND entity_id = ? ORDER BY id LIMIT 1";
static const char quarantine_text[] =
    "SELECT id, note FROM ow_quarantine WHERE id > ? AND entity_id = ? ORDER BY id LIMIT 1";
static const char blank_quarantine_text[] =
    "UPDATE ow_quarantine SET detail = 'payload erased', key = NULL, headers = NULL, value = NULL, "
    "note = ?,"
    " status = CASE WHEN status IN ('open', 'requeued') THEN 'discarded' ELSE status END"
    " WHERE id = ?";

struct erase {
    const struct ow_erase_options *options;
    struct ow_store *store;
    struct ow_slice entity;
    struct ow_arena arena;
    struct ow_explain_machines machines;
    struct ow_world world; /* nothing but the numbers of a transaction */
    int64_t rows;          /* of the present transaction */
    struct ow_erasure done;
    char note[OW_ERASED_NOTE_BYTES];
    struct ow_statement history, history_row, history_blank;
    struct ow_statement parked, quarantine, quarantine_blank;
};

/* A history row on its way, and the entity that it is of. */
struct chain {
    const struct ow_machine *machine; /* the newest */
    json_t *columns;                  /* of the entity, as they are now */
    int64_t seq;                      /* 0: the end is reached */
    bool last;                        /* it is the entity's last one */
};

static enum ow_status prepare(struct erase *erase, struct ow_err *err)
{
    struct ow_sql *sql = &erase->store->sql;
    OW_TRY(ow_sql_prepare(sql, history_text, &erase->history, err));
    OW_TRY(ow_sql_prepare(sql, "SELECT * FROM ow_history_row WHERE seq = ?", &erase->history_row,
                          err));
    OW_TRY(ow_sql_prepare(sql, "UPDATE ow_history_row SET data = ? WHERE seq = ?",
                          &erase->history_blank, err));
    OW_TRY(ow_sql_prepare(sql, parked_text, &erase->parked, err));
    OW_TRY(ow_sql_prepare(sql, quarantine_text, &erase->quarantine, err));
    return ow_sql_prepare(sql, blank_quarantine_text, &erase->quarantine_blank, err);
}

static enum ow_status begin(struct erase *erase, struct ow_err *err)
{
    erase->rows = 0;
    return ow_store_begin(erase->store, &erase->world, err);
}

static enum ow_status commit(struct erase *erase, struct ow_err *err)
{
    return ow_store_commit(erase->store, &erase->world, err);
}

/* One more row; a transaction that has enough is ended, and the next one begun. */
static enum ow_status count_row(struct erase *erase, int64_t *counter, struct ow_err *err)
{
    ++*counter;
    if (++erase->rows < ROWS_MAX) {
        return OW_OK;
    }
    if (erase->options->progress != NULL) {
        erase->options->progress(erase->options->context, "blanking rows", *counter, 0);
    }
    OW_TRY(commit(erase, err));
    return begin(erase, err);
}

/* Prepares a look at a row of one of the machine's tables by its key. */
static enum ow_status open_row(struct erase *erase, const char *number,
                               const struct ow_table *table, struct ow_slice key,
                               struct ow_statement *row, struct ow_err *err)
{
    OW_BUFFER text = {0};
    ow_erased_select(&text, number, table);
    OW_TRY(ow_sql_prepare(&erase->store->sql, ow_buffer_cstr(&text), row, err));
    ow_sql_bind_text(row, key);
    return OW_OK;
}

static json_t *text_json(struct ow_slice text)
{
    return json_stringn((const char *)text.ptr, text.len);
}

/* The version of the machine that the row names, or NULL. */
static const struct ow_machine *machine_then(const struct erase *erase,
                                             const struct ow_machine *newest)
{
    return ow_explain_machine_of(&erase->machines, ow_slice_of(newest->name),
                                 ow_sql_i64(&erase->history, 1));
}

/* The transition that the row took, by its own version of the machine; NULL where there is none,
 * which verify tells. */
static const struct ow_transition *transition_of(const struct erase *erase,
                                                 const struct ow_machine *newest,
                                                 const struct ow_event_type **ret_event)
{
    const struct ow_statement *row = &erase->history;
    const struct ow_machine *machine = machine_then(erase, newest);
    *ret_event = machine == NULL ? NULL : ow_machine_event(machine, ow_sql_slice(row, 2));
    const int from = machine == NULL ? -1 : ow_machine_state(machine, ow_sql_slice(row, 3));
    if (*ret_event == NULL || from < 0 || (*ret_event)->cells[from].kind != OW_CELL_APPLY) {
        return NULL;
    }
    return &(*ret_event)->transitions[(*ret_event)->cells[from].transition];
}

/* What is written in the place of data. A row that was erased before keeps its time and records;
 * only the last row has the columns. */
static enum ow_status make_data(struct erase *erase, const struct chain *chain,
                                struct ow_buffer *out, struct ow_err *err)
{
    const struct ow_slice text = ow_sql_slice(&erase->history, 4);
    OW_JSON *data = json_loadb((const char *)text.ptr, text.len, JSON_ALLOW_NUL, NULL);
    OW_JSON *made = json_object();
    const struct ow_event_type *event = NULL;
    const struct ow_transition *transition = transition_of(erase, chain->machine, &event);
    struct ow_erased before;
    if (ow_erased_read(data, &before)) {
        (void)json_object_set_new(made, "erased", json_integer(before.at_ms));
        if (before.records != NULL) {
            (void)json_object_set_new(made, "records", json_deep_copy(before.records));
        }
    } else {
        (void)json_object_set_new(made, "erased", json_integer(erase->done.at_ms));
        if (transition != NULL && transition->recording_count > 0) {
            OW_JSON *records = json_array();
            OW_TRY(ow_erase_record_keep(erase->store, event, transition, data, records, err));
            (void)json_object_set(made, "records", records);
        } else if (json_object_get(data, "records") != NULL) {
            OW_JSON *records = json_array();
            OW_TRY(ow_erase_record_keep_seeded(erase->store, machine_then(erase, chain->machine),
                                               json_object_get(data, "records"), records, err));
            (void)json_object_set(made, "records", records);
        }
    }
    if (chain->last) {
        (void)json_object_set(made, "columns", chain->columns);
    }
    ow_json_canonical(out, made, NULL, NULL, 0);
    return OW_OK;
}

/* One history row; the chain moves to the one before. */
static enum ow_status blank_history(struct erase *erase, struct chain *chain, struct ow_err *err)
{
    struct ow_statement *row = &erase->history;
    const int64_t seq = chain->seq;
    OW_BUFFER data = {0};
    bool found = false;
    ow_sql_bind_i64(row, seq);
    ow_sql_bind_cstr(row, chain->machine->name);
    ow_sql_bind_text(row, erase->entity);
    OW_TRY(ow_sql_step(row, &found, err));
    if (!found) {
        return ow_fail(err, OW_FAILED,
                       "history row %" PRId64 " is not '%s' of '%s', whose chain leads there: see"
                       " 'onceward verify'",
                       seq, chain->machine->name, erase->options->entity);
    }
    const int64_t prev = ow_sql_i64(row, 0);
    enum ow_status status = make_data(erase, chain, &data, err);
    const bool same = ow_slice_equal(ow_buffer_view(&data), ow_sql_slice(row, 4));
    ow_sql_reset(row);
    OW_TRY(status);
    chain->seq = prev < seq ? prev : 0; /* numbers only go down, so it ends */
    chain->last = false;
    if (same) {
        return OW_OK;
    }
    ow_sql_bind_i64(&erase->history_row, seq);
    OW_TRY(ow_seal_take(erase->store, OW_SEAL_HISTORY, seq, &erase->history_row, err));
    ow_sql_bind_text(&erase->history_blank, ow_buffer_view(&data));
    ow_sql_bind_i64(&erase->history_blank, seq);
    OW_TRY(ow_sql_run(&erase->history_blank, NULL, err));
    ow_sql_bind_i64(&erase->history_row, seq);
    OW_TRY(ow_seal_put(erase->store, OW_SEAL_HISTORY, seq, &erase->history_row, err));
    return count_row(erase, &erase->done.history, err);
}

static json_t *value_json(const struct ow_value *value)
{
    switch (value->type) {
    case OW_TYPE_NULL:
        return json_null();
    case OW_TYPE_INTEGER:
        return json_integer(value->integer);
    case OW_TYPE_TEXT:
        return text_json(value->text);
    }
    OW_IMPOSSIBLE("a value has a type");
}

/* The entity's last row, and its columns. */
static enum ow_status find_chain(struct erase *erase, struct chain *chain, struct ow_err *err)
{
    const struct ow_table *table = &chain->machine->entity;
    OW_STATEMENT row = {0};
    bool found = false;
    OW_TRY(open_row(erase, "last_seq", table, erase->entity, &row, err));
    OW_TRY(ow_sql_step(&row, &found, err));
    chain->seq = found ? ow_sql_i64(&row, 0) : 0;
    chain->last = true;
    for (size_t c = 0; found && c < table->column_count; c++) {
        const struct ow_value value = ow_sql_value(&row, 1 + (int)c, NULL);
        (void)json_object_set_new(chain->columns, table->columns[c].name, value_json(&value));
    }
    return OW_OK;
}

static enum ow_status blank_entity(struct erase *erase, const struct ow_machine *machine,
                                   bool *ret_known, struct ow_err *err)
{
    OW_JSON *columns = json_object();
    struct chain chain = {.machine = machine, .columns = columns};
    OW_TRY(find_chain(erase, &chain, err));
    *ret_known = *ret_known || chain.seq != 0;
    while (chain.seq != 0) {
        OW_TRY(blank_history(erase, &chain, err));
    }
    return OW_OK;
}

/* A quarantine row in the place of a parked one: it keeps number, claim and place. */
static enum ow_status discard(struct erase *erase, const struct ow_statement *parked,
                              struct ow_err *err)
{
    struct ow_statement *insert = ow_store_statement(erase->store, OW_STATEMENT_QUARANTINE_INSERT);
    const int64_t id = ow_sql_i64(parked, 0);
    OW_BUFFER detail = {0};
    ow_buffer_text(&detail, "discarded while it was parked: ");
    ow_buffer_slice(&detail, ow_sql_slice(parked, 3));
    ow_sql_bind_i64(insert, id);
    ow_sql_bind_cstr(insert, ow_reason_text(OW_REASON_PARK_TIMEOUT));
    ow_sql_bind_text(insert, ow_buffer_view(&detail));
    ow_sql_bind_text(insert, ow_sql_slice(parked, 1));
    ow_sql_bind_text(insert, ow_sql_slice(parked, 2));
    ow_sql_bind_text(insert, ow_sql_slice(parked, 4));
    for (int column = 5; column <= 7; column++) {
        ow_sql_bind_i64(insert, ow_sql_i64(parked, column));
    }
    ow_sql_bind_null(insert); /* key */
    ow_sql_bind_null(insert); /* headers */
    ow_sql_bind_null(insert); /* value */
    ow_sql_bind_i64(insert, erase->done.at_ms);
    ow_sql_bind_i64(insert, erase->done.at_ms);
    ow_sql_bind_i64(insert, 1); /* seen */
    ow_sql_bind_i64(insert, 0); /* attempts */
    ow_sql_bind_cstr(insert, "discarded");
    ow_sql_bind_cstr(insert, erase->note);
    ow_sql_bind_null(insert); /* conflict_ref */
    ow_sql_bind_null(insert); /* conflict_fingerprint */
    return ow_seal_insert(erase->store, OW_SEAL_QUARANTINE, id, insert, NULL, err);
}

static enum ow_status delete_parked(struct erase *erase, int64_t id, struct ow_err *err)
{
    struct ow_statement *row = ow_store_statement(erase->store, OW_STATEMENT_PARKED_ROW);
    struct ow_statement *delete = ow_store_statement(erase->store, OW_STATEMENT_PARKED_DELETE);
    ow_sql_bind_i64(row, id);
    OW_TRY(ow_seal_take(erase->store, OW_SEAL_PARKED, id, row, err));
    ow_sql_bind_i64(delete, id);
    return ow_sql_run(delete, NULL, err);
}

static enum ow_status discard_parked(struct erase *erase, const struct ow_machine *machine,
                                     struct ow_err *err)
{
    bool row = true;
    while (row) {
        ow_sql_bind_cstr(&erase->parked, machine->name);
        ow_sql_bind_text(&erase->parked, erase->entity);
        OW_TRY(ow_sql_step(&erase->parked, &row, err));
        if (row) {
            const int64_t id = ow_sql_i64(&erase->parked, 0);
            const enum ow_status status = discard(erase, &erase->parked, err);
            ow_sql_reset(&erase->parked);
            OW_TRY(status);
            OW_TRY(delete_parked(erase, id, err));
            OW_TRY(count_row(erase, &erase->done.parked, err));
        }
    }
    return OW_OK;
}

static enum ow_status blank_quarantine_row(struct erase *erase, int64_t id, struct ow_err *err)
{
    struct ow_statement *row = ow_store_statement(erase->store, OW_STATEMENT_QUARANTINE_ROW);
    ow_sql_bind_i64(row, id);
    OW_TRY(ow_seal_take(erase->store, OW_SEAL_QUARANTINE, id, row, err));
    ow_sql_bind_cstr(&erase->quarantine_blank, erase->note);
    ow_sql_bind_i64(&erase->quarantine_blank, id);
    OW_TRY(ow_sql_run(&erase->quarantine_blank, NULL, err));
    ow_sql_bind_i64(row, id);
    OW_TRY(ow_seal_put(erase->store, OW_SEAL_QUARANTINE, id, row, err));
    return count_row(erase, &erase->done.quarantine, err);
}

/* The next row of the entity behind one; *ret_id 0 where there is none. There is no index by
 * entity: all rows are read, and there are few. */
static enum ow_status next_quarantine(struct erase *erase, int64_t *ret_id, bool *ret_blank,
                                      struct ow_err *err)
{
    bool row = false;
    ow_sql_bind_i64(&erase->quarantine, *ret_id);
    ow_sql_bind_text(&erase->quarantine, erase->entity);
    OW_TRY(ow_sql_step(&erase->quarantine, &row, err));
    *ret_id = row ? ow_sql_i64(&erase->quarantine, 0) : 0;
    *ret_blank = row && ow_erased_is_note(ow_sql_slice(&erase->quarantine, 1));
    ow_sql_reset(&erase->quarantine);
    return OW_OK;
}

static enum ow_status blank_quarantine(struct erase *erase, bool *ret_known, struct ow_err *err)
{
    int64_t id = 0;
    bool blank = false;
    OW_TRY(next_quarantine(erase, &id, &blank, err));
    while (id != 0) {
        *ret_known = true;
        if (!blank) {
            OW_TRY(blank_quarantine_row(erase, id, err));
        }
        OW_TRY(next_quarantine(erase, &id, &blank, err));
    }
    return ow_sql_query_i64(&erase->store->sql,
                            "SELECT count(*) FROM ow_quarantine WHERE entity_id IS NULL",
                            &erase->done.nameless, err);
}

/* A parked record is an effect that has not come yet: only who says so loses it. */
static enum ow_status refuse_parked(struct erase *erase, struct ow_err *err)
{
    OW_STATEMENT count = {0};
    bool row = false;
    OW_TRY(ow_sql_prepare(&erase->store->sql, "SELECT count(*) FROM ow_parked WHERE entity_id = ?",
                          &count, err));
    ow_sql_bind_text(&count, erase->entity);
    OW_TRY(ow_sql_step(&count, &row, err));
    const int64_t parked = ow_sql_i64(&count, 0);
    if (parked == 0 || erase->options->discard_parked) {
        return OW_OK;
    }
    return ow_fail(err, OW_FAILED,
                   "'%s' has %" PRId64 " parked record%s, and nothing was erased: without payload"
                   " such a record can never be applied. Wait until it is applied or timed out, or"
                   " give it up with --discard-parked",
                   erase->options->entity, parked, parked == 1 ? "" : "s");
}

static enum ow_status blank_all(struct erase *erase, struct ow_err *err)
{
    bool known = false;
    OW_TRY(begin(erase, err));
    OW_TRY(refuse_parked(erase, err));
    const struct ow_machines *machines = &erase->machines.newest;
    for (size_t i = 0; i < machines->count; i++) {
        OW_TRY(discard_parked(erase, machines->list[i], err));
        OW_TRY(blank_entity(erase, machines->list[i], &known, err));
    }
    OW_TRY(blank_quarantine(erase, &known, err)); /* those just discarded are blank already */
    OW_TRY(commit(erase, err));
    return known ? OW_OK
                 : ow_fail(err, OW_FAILED,
                           "nothing is known of entity '%s' in '%s': no row, nothing parked, and no"
                           " quarantine row names it",
                           erase->options->entity, erase->options->path);
}

static enum ow_status open_store(struct erase *erase, struct ow_err *err)
{
    const struct ow_erase_options *options = erase->options;
    const char *resolved = NULL;
    bool exists = false;
    OW_TRY(ow_store_path_check(options->path, &erase->arena, &resolved, &exists, err));
    if (!exists) {
        return ow_fail(err, OW_BAD_CONFIG, "there is no store '%s'", options->path);
    }
    const struct ow_store_options store = {
        .path = options->path, .hash_key_file = options->hash_key_file, .clock = options->clock};
    OW_TRY(ow_store_open(&store, options->machines, &erase->store, err));
    OW_TRY(ow_explain_machine_load(&erase->machines, &erase->store->sql, &erase->arena, err));
    return prepare(erase, err);
}

static enum ow_status run(struct erase *erase, struct ow_err *err)
{
    struct ow_scrubbed scrubbed;
    OW_TRY(open_store(erase, err));
    int64_t details = 0;
    OW_TRY(blank_all(erase, err));
    OW_TRY(ow_erase_detail(erase->store, erase->entity, &details, err));
    erase->done.quarantine += details;
    const enum ow_status status =
        ow_scrub(&erase->store->sql, erase->store->path, erase->options->progress,
                 erase->options->context, &scrubbed, err);
    erase->done.pages = scrubbed.pages;
    erase->done.bytes = scrubbed.bytes;
    return status == OW_OK
               ? OW_OK
               : ow_fail_within(err, status,
                                "the rows are blank, but copies may be left in the file");
}

static void close_all(struct erase *erase)
{
    struct ow_statement *const own[] = {&erase->history,       &erase->history_row,
                                        &erase->history_blank, &erase->parked,
                                        &erase->quarantine,    &erase->quarantine_blank};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        ow_sql_finalize(own[i]);
    }
    ow_store_close(erase->store);
    ow_explain_machine_done(&erase->machines);
    ow_arena_done(&erase->arena);
}

enum ow_status ow_erase(const struct ow_erase_options *options, struct ow_erasure *ret_erasure,
                        struct ow_err *err)
{
    OW_REQUIRE(options->path != NULL && options->entity != NULL);
    struct erase erase = {.options = options, .entity = ow_slice_of(options->entity)};
    erase.done.at_ms = ow_clock_now_ms(&options->clock);
    ow_erased_note(erase.done.at_ms, erase.note);
    ow_arena_init(&erase.arena, 16384);
    const enum ow_status status = run(&erase, err);
    close_all(&erase);
    *ret_erasure = erase.done;
    return status;
}
