#include "store/explain.h"

#include "store/explain_internal.h"
#include "store/internal.h"

/*
 * A story is put together from keys: an entity points to its last history row, and each row to the
 * one before; a row of a record table points to its history row; a message id gives its claim, and
 * the claim's ref is the number of whatever row tells what became of it.
 */

static enum ow_status open_store(struct ow_explain *explain, struct ow_err *err)
{
    const char *resolved = NULL;
    const char *path = explain->options->path;
    OW_TRY(ow_store_open_reader(&explain->sql, path, explain->arena, &resolved, err));
    static const char *const texts[] = {
#define OW_EXPLAIN_STATEMENT_TEXT(name, text) (text),
        OW_EXPLAIN_STATEMENT_TABLE(OW_EXPLAIN_STATEMENT_TEXT)
#undef OW_EXPLAIN_STATEMENT_TEXT
    };
    for (size_t i = 0; i < OW_EXPLAIN_STATEMENT_COUNT; i++) {
        OW_TRY(ow_sql_prepare(&explain->sql, texts[i], &explain->statements[i], err));
    }
    return OW_OK;
}

/* A key that is kept in a file is not needed to read rows, only to look claims up. */
static enum ow_status load_key(struct ow_explain *explain, struct ow_err *err)
{
    const char *stored = NULL;
    OW_TRY(
        ow_meta_get_text(&explain->sql, "store_id", explain->arena, &explain->told.store_id, err));
    OW_TRY(ow_meta_get_text(&explain->sql, "hash_key", &explain->scratch, &stored, err));
    explain->told.key_missing = stored == NULL && explain->options->hash_key_file == NULL;
    return explain->told.key_missing
               ? OW_OK
               : ow_store_key_load(&explain->sql, explain->options->hash_key_file, false,
                                   &explain->hash_key, err);
}

static enum ow_status begin(struct ow_explain *explain, struct ow_err *err)
{
    explain->began_ns = ow_clock_elapsed_ns(&explain->options->clock);
    return ow_sql_exec(&explain->sql, "BEGIN", err);
}

enum ow_status ow_explain_breathe(struct ow_explain *explain, struct ow_err *err)
{
    enum { SNAPSHOT_NS = 250000000 };
    if (ow_clock_elapsed_ns(&explain->options->clock) - explain->began_ns < SNAPSHOT_NS) {
        return OW_OK;
    }
    OW_TRY(ow_sql_commit(&explain->sql, err));
    return begin(explain, err);
}

static struct ow_explain_meaning *add_meaning(struct ow_explain *explain, enum ow_explain_kind kind,
                                              const char *machine, const char *table)
{
    struct ow_explain_meaning *meaning = OW_ARENA_NEW(explain->arena, struct ow_explain_meaning);
    meaning->kind = kind;
    /* The machines go when the store is closed. */
    meaning->machine = machine == NULL ? NULL : ow_arena_text(explain->arena, ow_slice_of(machine));
    meaning->table = table == NULL ? NULL : ow_arena_text(explain->arena, ow_slice_of(table));
    meaning->id = explain->options->id;
    return meaning;
}

static void link_meaning(struct ow_explain *explain, struct ow_explain_meaning *meaning)
{
    *explain->meanings_end = meaning;
    explain->meanings_end = &meaning->next;
}

/* In order of the numbers. False where the story has it already, as an event or as a conflict. */
static bool add_event(struct ow_explain_meaning *meaning, struct ow_explain_event *event)
{
    for (const struct ow_explain_event *each = meaning->events; each != NULL; each = each->next) {
        if (each->ref == event->ref) {
            return false;
        }
        for (const struct ow_explain_quarantine *conflict = each->conflicts; conflict != NULL;
             conflict = conflict->next) {
            if (conflict->id == event->ref) {
                return false;
            }
        }
    }
    struct ow_explain_event **at = &meaning->events;
    while (*at != NULL && (*at)->ref < event->ref) {
        at = &(*at)->next;
    }
    event->next = *at;
    *at = event;
    return true;
}

/* The id's row of an entity or record table. number: "last_seq" or "seq". */
static enum ow_status read_row(struct ow_explain *explain, const struct ow_table *table,
                               const char *fixed, struct ow_explain_meaning *meaning,
                               int64_t *ret_seq, struct ow_err *err)
{
    OW_BUFFER text = {0};
    ow_buffer_printf(&text, "SELECT %s", fixed);
    for (size_t c = 0; c < table->column_count; c++) {
        ow_buffer_text(&text, ", ");
        ow_store_identifier(&text, table->columns[c].name);
    }
    ow_buffer_text(&text, " FROM ");
    ow_store_identifier(&text, table->name);
    ow_buffer_text(&text, " WHERE ");
    ow_store_identifier(&text, table->key);
    ow_buffer_text(&text, " = ?");
    OW_STATEMENT read = {0};
    OW_TRY(ow_sql_prepare(&explain->sql, ow_buffer_cstr(&text), &read, err));
    ow_sql_bind_text(&read, explain->id);
    OW_TRY(ow_sql_step(&read, &meaning->has_row, err));
    if (!meaning->has_row) {
        return OW_OK;
    }
    *ret_seq = ow_sql_i64(&read, 0);
    const int first = meaning->kind == OW_EXPLAIN_ENTITY ? 5 : 1;
    if (meaning->kind == OW_EXPLAIN_ENTITY) {
        meaning->state = ow_arena_text(explain->arena, ow_sql_slice(&read, 1));
        meaning->version = ow_sql_i64(&read, 2);
        meaning->created_at_ms = ow_sql_i64(&read, 3);
        meaning->updated_at_ms = ow_sql_i64(&read, 4);
    }
    const char **names = OW_ARENA_ARRAY(explain->arena, table->column_count, const char *);
    struct ow_value *values = OW_ARENA_ARRAY(explain->arena, table->column_count, struct ow_value);
    for (size_t c = 0; c < table->column_count; c++) {
        names[c] = ow_arena_text(explain->arena, ow_slice_of(table->columns[c].name));
        values[c] = ow_sql_value(&read, first + (int)c, explain->arena);
    }
    meaning->columns = names;
    meaning->values = values;
    meaning->column_count = table->column_count;
    return OW_OK;
}

static enum ow_status tell_chain(struct ow_explain *explain, struct ow_explain_meaning *meaning,
                                 int64_t last_seq, struct ow_err *err)
{
    int64_t seq = last_seq;
    while (seq != 0) {
        const struct ow_explain_hit hit = {.ref = seq, .seq = seq};
        struct ow_explain_event *event = NULL;
        int64_t prev_seq = 0;
        OW_TRY(ow_explain_event_tell(explain, &hit, &event, &prev_seq, err));
        if (event->seq != seq || prev_seq >= seq || !add_event(meaning, event)) {
            return OW_OK; /* a damaged chain: verify says more */
        }
        seq = prev_seq;
    }
    return OW_OK;
}

static enum ow_status tell_hit(struct ow_explain *explain, struct ow_explain_meaning *meaning,
                               const struct ow_explain_hit *hit, struct ow_err *err)
{
    struct ow_explain_event *event = NULL;
    int64_t prev_seq = 0;
    OW_TRY(ow_explain_event_tell(explain, hit, &event, &prev_seq, err));
    (void)add_event(meaning, event);
    return OW_OK;
}

static enum ow_status tell_entity(struct ow_explain *explain, const struct ow_machine *machine,
                                  struct ow_err *err)
{
    struct ow_explain_meaning *meaning =
        add_meaning(explain, OW_EXPLAIN_ENTITY, machine->name, machine->entity.name);
    int64_t last_seq = 0;
    OW_TRY(read_row(explain, &machine->entity,
                    "last_seq, state, version, created_at_ms, updated_at_ms", meaning, &last_seq,
                    err));
    OW_TRY(tell_chain(explain, meaning, last_seq, err));
    for (const struct ow_explain_hit *hit = explain->hits; hit != NULL; hit = hit->next) {
        if (hit->is_entity && ow_slice_equals_text(hit->machine, machine->name)) {
            OW_TRY(tell_hit(explain, meaning, hit, err));
        }
    }
    if (meaning->has_row || meaning->events != NULL) {
        link_meaning(explain, meaning);
    }
    return OW_OK;
}

static enum ow_status tell_record(struct ow_explain *explain, const struct ow_machine *machine,
                                  const struct ow_table *table, struct ow_err *err)
{
    struct ow_explain_meaning *meaning =
        add_meaning(explain, OW_EXPLAIN_RECORD, machine->name, table->name);
    int64_t seq = 0;
    OW_TRY(read_row(explain, table, "seq", meaning, &seq, err));
    if (meaning->has_row) {
        const struct ow_explain_hit hit = {.ref = seq, .seq = seq};
        OW_TRY(tell_hit(explain, meaning, &hit, err));
    }
    for (const struct ow_explain_hit *hit = explain->hits; hit != NULL; hit = hit->next) {
        if (hit->record == table) {
            OW_TRY(tell_hit(explain, meaning, hit, err));
        }
    }
    if (meaning->has_row || meaning->events != NULL) {
        link_meaning(explain, meaning);
    }
    return OW_OK;
}

static bool is_told(const struct ow_explain *explain, int64_t ref)
{
    for (const struct ow_explain_meaning *each = explain->told.meanings; each != NULL;
         each = each->next) {
        if (each->kind == OW_EXPLAIN_MESSAGE && each->events->ref == ref) {
            return true;
        }
    }
    return false;
}

/* A conflict is told with the message whose id it has. */
static enum ow_status tell_message(struct ow_explain *explain, const struct ow_explain_hit *hit,
                                   struct ow_err *err)
{
    struct ow_explain_hit wanted = *hit;
    struct ow_explain_event *event = NULL;
    int64_t prev_seq = 0;
    if (hit->conflict_ref != 0) {
        wanted = (struct ow_explain_hit){.ref = hit->conflict_ref};
    }
    if (is_told(explain, wanted.ref)) {
        return OW_OK;
    }
    OW_TRY(ow_explain_event_tell(explain, &wanted, &event, &prev_seq, err));
    const char *source = explain->options->source;
    if (event->id == NULL) { /* a stale one leaves no more than its claim */
        event->id = explain->options->id;
    }
    if (event->claim.claimed == OW_EXPLAIN_CLAIM_UNKNOWN &&
        hit->claim.claimed == OW_EXPLAIN_CLAIM_FOUND && hit->claim.key != NULL) {
        event->claim = hit->claim;
    }
    if (event->source == NULL && !ow_slice_is_absent(hit->source)) {
        event->source = ow_arena_text(explain->arena, hit->source);
    }
    if (is_told(explain, event->ref) ||
        (source != NULL && event->source != NULL && strcmp(source, event->source) != 0)) {
        return OW_OK;
    }
    struct ow_explain_meaning *meaning =
        add_meaning(explain, OW_EXPLAIN_MESSAGE, event->machine, NULL);
    meaning->events = event;
    link_meaning(explain, meaning);
    return OW_OK;
}

static enum ow_status tell_messages(struct ow_explain *explain, struct ow_err *err)
{
    for (struct ow_explain_hit *hit = explain->hits; hit != NULL; hit = hit->next) {
        if (hit->is_message && !hit->told) {
            hit->told = true;
            OW_TRY(tell_message(explain, hit, err));
        }
    }
    return OW_OK;
}

static enum ow_status tell_mentions(struct ow_explain *explain, struct ow_err *err)
{
    struct ow_explain_meaning *meaning = add_meaning(explain, OW_EXPLAIN_MENTION, NULL, NULL);
    for (const struct ow_explain_hit *hit = explain->hits; hit != NULL; hit = hit->next) {
        if (hit->is_mention) {
            OW_TRY(tell_hit(explain, meaning, hit, err));
        }
    }
    if (meaning->events != NULL) {
        link_meaning(explain, meaning);
    }
    return OW_OK;
}

/* The one message that has claimed a key. */
static enum ow_status tell_claim(struct ow_explain *explain, struct ow_err *err)
{
    struct ow_explain_hit hit = {.is_message = true};
    struct ow_explain_event *event = NULL;
    int64_t prev_seq = 0;
    OW_TRY(ow_explain_claim_find(explain, explain->options->claim_key, &hit.claim, &hit.ref, err));
    if (hit.ref == 0) {
        return OW_OK;
    }
    OW_TRY(ow_explain_event_tell(explain, &hit, &event, &prev_seq, err));
    event->claim = hit.claim; /* this very row, also where its owner would give another key */
    struct ow_explain_meaning *meaning =
        add_meaning(explain, OW_EXPLAIN_MESSAGE, event->machine, NULL);
    meaning->events = event;
    link_meaning(explain, meaning);
    return OW_OK;
}

static enum ow_status tell(struct ow_explain *explain, struct ow_err *err)
{
    if (explain->options->claim_key != NULL) {
        return tell_claim(explain, err);
    }
    OW_TRY(ow_explain_find_waiting(explain, err));
    if (explain->options->messages_only) {
        OW_TRY(ow_explain_find_claims(explain, err));
        return tell_messages(explain, err);
    }
    for (size_t m = 0; m < explain->machines.newest.count; m++) {
        const struct ow_machine *machine = explain->machines.newest.list[m];
        OW_TRY(tell_entity(explain, machine, err));
        for (size_t r = 0; r < machine->record_count; r++) {
            OW_TRY(tell_record(explain, machine, &machine->records[r], err));
        }
    }
    OW_TRY(ow_explain_find_claims(explain, err));
    OW_TRY(tell_messages(explain, err));
    if (explain->told.meanings == NULL) {
        OW_TRY(ow_explain_find_history(explain, err));
        OW_TRY(tell_messages(explain, err));
    }
    return tell_mentions(explain, err);
}

static enum ow_status run(struct ow_explain *explain, struct ow_err *err)
{
    OW_TRY(open_store(explain, err));
    OW_TRY(load_key(explain, err));
    OW_TRY(begin(explain, err));
    OW_TRY(ow_explain_machine_load(&explain->machines, &explain->sql, explain->arena, err));
    return tell(explain, err);
}

static void close_store(struct ow_explain *explain)
{
    for (size_t i = 0; i < OW_EXPLAIN_STATEMENT_COUNT; i++) {
        ow_sql_finalize(&explain->statements[i]);
    }
    ow_sql_rollback(&explain->sql);
    ow_sql_close(&explain->sql);
    ow_explain_machine_done(&explain->machines);
    ow_buffer_done(&explain->decoder.scratch);
    ow_arena_done(&explain->scratch);
}

enum ow_status ow_explain(const struct ow_explain_options *options, struct ow_arena *arena,
                          struct ow_explanation *ret_explanation, struct ow_err *err)
{
    OW_REQUIRE(options->id != NULL && options->id[0] != '\0');
    struct ow_explain explain = {
        .options = options, .arena = arena, .id = ow_slice_of(options->id)};
    explain.hits_end = &explain.hits;
    explain.meanings_end = &explain.told.meanings;
    explain.sources = OW_ARENA_ARRAY(arena, OW_EXPLAIN_SOURCES_MAX, struct ow_slice);
    ow_arena_init(&explain.scratch, 65536);
    ow_map_init(&explain.source_map, arena);
    explain.decoder = (struct ow_decoder){.machines = &explain.machines.newest,
                                          .hash_key = &explain.hash_key,
                                          .record_bytes_max = SIZE_MAX};
    const enum ow_status status = run(&explain, err);
    close_store(&explain);
    if (status != OW_OK) {
        return status == OW_STORE_UNKNOWN ? OW_FAILED : status; /* nothing was being committed */
    }
    *ret_explanation = explain.told;
    return OW_OK;
}
