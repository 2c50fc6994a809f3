#include "store/explain_internal.h"
#include "store/internal.h"

/* As long as a snapshot may last before it is given up for a moment, with room to spare. */
static const int64_t slice_ns = 250000000;

static struct ow_explain_hit *add_hit(struct ow_explain *explain, int64_t ref)
{
    struct ow_explain_hit *hit = OW_ARENA_NEW(explain->arena, struct ow_explain_hit);
    hit->ref = ref;
    *explain->hits_end = hit;
    explain->hits_end = &hit->next;
    return hit;
}

static void progress(const struct ow_explain *explain, const char *what, int64_t done, int64_t goal)
{
    if (explain->options->progress != NULL) {
        explain->options->progress(explain->options->context, what, done, goal);
    }
}

/* Whether a record can name the id at all: as it is, or behind an escape of JSON. Spares most of
 * them being decoded. */
static bool may_name(const struct ow_record *record, struct ow_slice id)
{
    const struct ow_slice value = record->value;
    if (value.len > 0 && (memmem(value.ptr, value.len, id.ptr, id.len) != NULL ||
                          memchr(value.ptr, '\\', value.len) != NULL)) {
        return true;
    }
    if (record->key.len > 0 && memmem(record->key.ptr, record->key.len, id.ptr, id.len) != NULL) {
        return true;
    }
    for (size_t i = 0; i < record->header_count; i++) {
        if (ow_slice_equal(record->headers[i].value, id)) {
            return true;
        }
    }
    return false;
}

static bool is_part_of_word(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z') || byte == '_' || byte == '-';
}

/* Whether bytes that nobody can read have the id in them as a word of its own. */
static bool mentions(struct ow_slice value, struct ow_slice id)
{
    const uint8_t *const end = value.ptr + value.len;
    const uint8_t *at = value.ptr;
    while (at != NULL && (at = memmem(at, (size_t)(end - at), id.ptr, id.len)) != NULL) {
        const bool begins = at == value.ptr || !is_part_of_word(at[-1]);
        const bool ends = at + id.len == end || !is_part_of_word(at[id.len]);
        if (begins && ends) {
            return true;
        }
        at++;
    }
    return false;
}

/* The record table of which the event would write the row with the id, or NULL. */
static const struct ow_table *table_of(const struct ow_event *event, struct ow_slice id)
{
    if (event->verdict != OW_OUTCOME_APPLIED) {
        return NULL; /* values are missing */
    }
    for (size_t t = 0; t < event->event->transition_count; t++) {
        const struct ow_transition *transition = &event->event->transitions[t];
        for (size_t r = 0; r < transition->recording_count; r++) {
            const struct ow_operand *key = &transition->recordings[r].key;
            if (key->kind == OW_OPERAND_POINTER &&
                ow_slice_equal(event->values[key->index].text, id)) {
                return transition->recordings[r].table;
            }
        }
    }
    return NULL;
}

/* A row of ow_parked or ow_quarantine: has it to do with the id? */
static void look_at_waiting(struct ow_explain *explain, const struct ow_statement *row)
{
    const struct ow_slice id = explain->id;
    struct ow_slice machine = ow_sql_slice(row, 1);
    struct ow_slice entity_id = ow_sql_slice(row, 2);
    const struct ow_table *record_table = NULL;
    struct ow_record record;
    struct ow_event event = {0};
    bool is_mention = false;
    if (ow_explain_row_record(row, &explain->scratch, &record) && may_name(&record, id) &&
        ow_explain_row_decode(explain, &record, &event)) {
        is_mention = ow_slice_is_absent(event.id) &&
                     (ow_slice_equal(record.key, id) || mentions(record.value, id));
        record_table = table_of(&event, id);
        if (ow_slice_is_absent(entity_id)) {
            entity_id = event.entity_id;
            machine = event.machine == NULL ? machine : ow_slice_of(event.machine->name);
        }
    }
    const bool is_entity = ow_slice_equal(entity_id, id);
    const bool is_message = ow_slice_equal(event.id, id);
    if (is_entity || is_message || is_mention || record_table != NULL) {
        struct ow_explain_hit *hit = add_hit(explain, ow_sql_i64(row, 0));
        hit->conflict_ref = ow_sql_i64(row, 3);
        hit->machine = ow_arena_copy(explain->arena, machine);
        hit->entity_id = ow_arena_copy(explain->arena, entity_id);
        hit->source = ow_arena_copy(explain->arena, event.source);
        hit->is_entity = is_entity;
        hit->is_message = is_message;
        hit->is_mention = is_mention && !is_entity;
        hit->record = record_table;
    }
}

static enum ow_status pass(struct ow_explain *explain, enum ow_explain_statement_name name,
                           const char *what, struct ow_err *err)
{
    struct ow_statement *read = ow_explain_statement(explain, name);
    const struct ow_clock *clock = &explain->options->clock;
    int64_t last = 0;
    int64_t goal = 0;
    OW_TRY(ow_meta_get_i64(&explain->sql, "next_ref", &goal, err));
    for (;;) {
        const int64_t until_ns = ow_clock_elapsed_ns(clock) + slice_ns;
        bool row = false;
        ow_sql_bind_i64(read, last);
        OW_TRY(ow_sql_step(read, &row, err));
        while (row && ow_clock_elapsed_ns(clock) < until_ns) {
            ow_arena_reset(&explain->scratch);
            look_at_waiting(explain, read);
            last = ow_sql_i64(read, 0);
            OW_TRY(ow_sql_step(read, &row, err));
        }
        if (!row) {
            return ow_explain_breathe(explain, err);
        }
        ow_sql_reset(read);
        progress(explain, what, last, goal);
        OW_TRY(ow_explain_breathe(explain, err));
    }
}

enum ow_status ow_explain_find_waiting(struct ow_explain *explain, struct ow_err *err)
{
    OW_TRY(pass(explain, OW_EXPLAIN_PASS_PARKED, "reading what is parked", err));
    return pass(explain, OW_EXPLAIN_PASS_QUARANTINE, "reading the quarantine", err);
}

static void add_source(struct ow_explain *explain, struct ow_slice source)
{
    if (ow_map_get(&explain->source_map, source) != NULL) {
        return;
    }
    if (explain->source_count == OW_EXPLAIN_SOURCES_MAX) {
        explain->told.sources_cut = true;
        return;
    }
    struct ow_slice *kept = &explain->sources[explain->source_count++];
    *kept = ow_arena_copy(explain->arena, source);
    ow_map_put(&explain->source_map, *kept, kept);
}

static enum ow_status bounds(struct ow_explain *explain, int64_t *ret_first, int64_t *ret_last,
                             struct ow_err *err)
{
    struct ow_statement *read = ow_explain_statement(explain, OW_EXPLAIN_BOUNDS);
    bool row = false;
    OW_TRY(ow_sql_step(read, &row, err));
    *ret_first = row ? ow_sql_i64(read, 0) : 0;
    *ret_last = row ? ow_sql_i64(read, 1) : 0;
    ow_sql_reset(read);
    return OW_OK;
}

static enum ow_status sample(struct ow_explain *explain, int64_t from, int64_t rows,
                             struct ow_err *err)
{
    struct ow_statement *read = ow_explain_statement(explain, OW_EXPLAIN_SAMPLE);
    bool row = false;
    ow_sql_bind_i64(read, from);
    ow_sql_bind_i64(read, rows);
    OW_TRY(ow_sql_step(read, &row, err));
    while (row) {
        add_source(explain, ow_sql_slice(read, 0));
        OW_TRY(ow_sql_step(read, &row, err));
    }
    return OW_OK;
}

/* Sources are few and each sends many messages, so a sample of the history knows them: some rows at
 * each of many places, and the newest ones. */
static enum ow_status sample_sources(struct ow_explain *explain, struct ow_err *err)
{
    enum { PLACES = 1024, ROWS = 16, NEWEST = 4096 };
    int64_t first = 0;
    int64_t last = 0;
    OW_TRY(bounds(explain, &first, &last, err));
    const int64_t step = (last - first) / PLACES + ROWS;
    for (int64_t at = first; at <= last; at += step) {
        OW_TRY(sample(explain, at, ROWS, err));
    }
    return sample(explain, last - NEWEST, NEWEST, err);
}

static bool has_part(const struct ow_claim_rule *rule, enum ow_part_kind kind)
{
    for (size_t i = 0; i < rule->key_part_count; i++) {
        if (rule->key_parts[i].kind == kind) {
            return true;
        }
    }
    return false;
}

/* The claim that a message of the id, of that type and source, would have. */
static enum ow_status try_claim(struct ow_explain *explain, const struct ow_machine *machine,
                                const struct ow_event_type *type, struct ow_slice source,
                                struct ow_err *err)
{
    const bool has_id = has_part(type->claim, OW_PART_ID);
    const struct ow_explain_parts parts = {.type = ow_slice_of(type->name),
                                           .source = source,
                                           .id = explain->id,
                                           .other = has_id ? (struct ow_slice){0} : explain->id};
    uint8_t key[OW_CLAIM_KEY_BYTES];
    struct ow_explain_claim claim;
    int64_t ref = 0;
    if (!ow_explain_claim_key(explain, type->claim, &parts, key)) {
        explain->told.uncomputable = ow_arena_text(explain->arena, ow_slice_of(machine->name));
        return OW_OK;
    }
    OW_TRY(ow_explain_claim_find(explain, key, &claim, &ref, err));
    if (ref != 0) {
        struct ow_explain_hit *hit = add_hit(explain, ref);
        hit->is_message = true;
        hit->source = has_part(type->claim, OW_PART_SOURCE) ? source : (struct ow_slice){0};
        hit->machine = ow_slice_of(machine->name);
        hit->claim = claim;
    }
    return OW_OK;
}

/* Event types mostly share their machine's rule: the same key need not be looked up again. */
static bool is_new_rule(const struct ow_machine *machine, size_t event)
{
    const struct ow_claim_rule *rule = machine->events[event].claim;
    if (has_part(rule, OW_PART_TYPE)) {
        return true;
    }
    for (size_t e = 0; e < event; e++) {
        if (machine->events[e].claim == rule) {
            return false;
        }
    }
    return true;
}

static enum ow_status try_rules(struct ow_explain *explain, const struct ow_machine *machine,
                                struct ow_slice source, struct ow_err *err)
{
    for (size_t e = 0; e < machine->event_count; e++) {
        if (is_new_rule(machine, e)) {
            OW_TRY(try_claim(explain, machine, &machine->events[e], source, err));
        }
    }
    return OW_OK;
}

static enum ow_status try_source(struct ow_explain *explain, struct ow_slice source,
                                 struct ow_err *err)
{
    for (const struct ow_explain_version *version = explain->machines.versions; version != NULL;
         version = version->next) {
        OW_TRY(try_rules(explain, version->machine, source, err));
    }
    return ow_explain_breathe(explain, err);
}

static enum ow_status try_sources(struct ow_explain *explain, struct ow_err *err)
{
    while (explain->told.sources_tried < explain->source_count) {
        OW_TRY(try_source(explain, explain->sources[explain->told.sources_tried++], err));
    }
    return OW_OK;
}

enum ow_status ow_explain_find_claims(struct ow_explain *explain, struct ow_err *err)
{
    if (explain->options->source != NULL) {
        add_source(explain, ow_slice_of(explain->options->source));
    } else {
        OW_TRY(sample_sources(explain, err));
    }
    if (explain->source_count == 0) {
        add_source(explain, OW_SLICE("")); /* nothing was applied yet; some rules have no source */
    }
    return explain->told.key_missing ? OW_OK : try_sources(explain, err);
}

static enum ow_status scan_sources(struct ow_explain *explain, int64_t from, int64_t to,
                                   struct ow_err *err)
{
    struct ow_statement *read = ow_explain_statement(explain, OW_EXPLAIN_SCAN_SOURCE);
    bool row = false;
    ow_sql_bind_i64(read, from);
    ow_sql_bind_i64(read, to);
    OW_TRY(ow_sql_step(read, &row, err));
    while (row) {
        add_source(explain, ow_sql_slice(read, 0));
        OW_TRY(ow_sql_step(read, &row, err));
    }
    return OW_OK;
}

static enum ow_status scan_ids(struct ow_explain *explain, int64_t from, int64_t to,
                               struct ow_err *err)
{
    struct ow_statement *read = ow_explain_statement(explain, OW_EXPLAIN_SCAN_ID);
    bool row = false;
    ow_sql_bind_i64(read, from);
    ow_sql_bind_i64(read, to);
    ow_sql_bind_text(read, explain->id);
    OW_TRY(ow_sql_step(read, &row, err));
    while (row) {
        struct ow_explain_hit *hit = add_hit(explain, ow_sql_i64(read, 0));
        hit->seq = hit->ref;
        hit->is_message = true;
        OW_TRY(ow_sql_step(read, &row, err));
    }
    return OW_OK;
}

enum ow_status ow_explain_find_history(struct ow_explain *explain, struct ow_err *err)
{
    enum { SLICE = 50000 };
    int64_t first = 0;
    int64_t last = 0;
    OW_TRY(bounds(explain, &first, &last, err));
    explain->told.history_read = true;
    for (int64_t at = first - 1; at < last; at += SLICE) {
        progress(explain, "reading the whole history", at - first, last - first);
        OW_TRY(scan_ids(explain, at, at + SLICE, err));
        if (explain->options->source == NULL) {
            OW_TRY(scan_sources(explain, at, at + SLICE, err));
        }
        OW_TRY(ow_explain_breathe(explain, err));
    }
    return explain->told.key_missing ? OW_OK : try_sources(explain, err);
}
