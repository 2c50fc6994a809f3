/*
 * Horizons: a class has one from when its first bucket is doomed, and each event type has those of
 * the classes that its claims may be in. That is the one of its retention, and where an older
 * version of a machine gave it another one, that class too: what was claimed until that version was
 * replaced goes when that class is pruned, and must count as expired from then on.
 */
#include "base/contract.h"
#include "base/log.h"
#include "store/internal.h"

#include <inttypes.h>

struct ow_horizon *ow_store_horizon_of(struct ow_store *store, int64_t class_ms)
{
    for (size_t i = 0; i < store->horizon_count; i++) {
        if (store->horizons[i].class_ms == class_ms) {
            return &store->horizons[i];
        }
    }
    return NULL;
}

struct ow_horizon *ow_store_horizon_add(struct ow_store *store, int64_t class_ms)
{
    if (store->horizon_count == OW_STORE_CLASSES_MAX) {
        return NULL;
    }
    struct ow_horizon *horizon = &store->horizons[store->horizon_count++];
    *horizon = (struct ow_horizon){.class_ms = class_ms, .horizon_ms = INT64_MIN};
    return horizon;
}

/* No claim that is there came later, nor one of a version that was in use until now. */
enum ow_status ow_store_horizon_replace(struct ow_sql *sql, const struct ow_machines *machines,
                                        int64_t now_ms, struct ow_err *err)
{
    OW_STATEMENT note = {0};
    OW_STATEMENT forget = {0};
    OW_TRY(ow_sql_prepare(
        sql,
        "INSERT INTO ow_meta (key, value) SELECT 'replaced_at_ms.' || name || '.' || version,"
        " (SELECT max(?1, coalesce(max(coalesce(sealed_at_ms, opened_at_ms)), ?1)) FROM ow_bucket)"
        " FROM ow_machine WHERE true ON CONFLICT (key) DO NOTHING",
        &note, err));
    ow_sql_bind_i64(&note, now_ms);
    OW_TRY(ow_sql_run(&note, NULL, err));
    OW_TRY(ow_sql_prepare(sql, "DELETE FROM ow_meta WHERE key = 'replaced_at_ms.' || ? || '.' || ?",
                          &forget, err));
    for (size_t i = 0; i < machines->count; i++) {
        ow_sql_bind_cstr(&forget, machines->list[i]->name);
        ow_sql_bind_i64(&forget, machines->list[i]->version);
        OW_TRY(ow_sql_run(&forget, NULL, err));
    }
    return OW_OK;
}

/* 'pruned.<class>' and 'pruned_below.<class>' are written by prune.c. */
static enum ow_status load_pruned(struct ow_store *store, struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&store->sql,
                          "SELECT CAST(substr(h.key, 8) AS INTEGER), h.value,"
                          " coalesce((SELECT b.value FROM ow_meta b"
                          " WHERE b.key = 'pruned_below.' || substr(h.key, 8)), 0)"
                          " FROM ow_meta h WHERE h.key GLOB 'pruned.*'",
                          &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        struct ow_horizon *horizon = ow_store_horizon_add(store, ow_sql_i64(&statement, 0));
        if (horizon == NULL) {
            return ow_fail(err, OW_BAD_CONFIG, "the store has seen more than %d claim retentions",
                           OW_STORE_CLASSES_MAX);
        }
        horizon->horizon_ms = ow_sql_i64(&statement, 1);
        horizon->below_bucket = ow_sql_i64(&statement, 2);
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

/* The event type had that class until then. */
static void add_past(struct ow_store *store, struct ow_past_class **list,
                     const struct ow_past_class *past)
{
    struct ow_past_class *same = *list;
    while (same != NULL && same->class_ms != past->class_ms) {
        same = same->next;
    }
    if (same != NULL) {
        same->until_ms = past->until_ms > same->until_ms ? past->until_ms : same->until_ms;
        return;
    }
    struct ow_past_class *added = OW_ARENA_NEW(&store->arena, struct ow_past_class);
    *added = *past;
    added->next = *list;
    *list = added;
}

/* The class that a replaced version gave to an event type; OW_CLASS_ANY where the version cannot be
 * read, 0: it did not know the type. By the name alone, for a machine may be given another one. */
static int64_t past_class(const struct ow_machine *replaced, const struct ow_event_type *event)
{
    if (replaced == NULL) {
        return OW_CLASS_ANY;
    }
    const struct ow_event_type *old = ow_machine_event(replaced, ow_slice_of(event->name));
    return old == NULL || old->claim->retention_ms == event->claim->retention_ms
               ? 0
               : old->claim->retention_ms;
}

static void take_replaced(struct ow_store *store, const struct ow_machines *machines,
                          const struct ow_machine *replaced, int64_t until_ms)
{
    for (size_t i = 0; i < machines->count; i++) {
        const struct ow_machine *machine = machines->list[i];
        for (size_t e = 0; e < machine->event_count; e++) {
            const struct ow_past_class past = {
                .class_ms = past_class(replaced, &machine->events[e]), .until_ms = until_ms};
            if (past.class_ms != 0) {
                add_past(store, &store->pasts[i][e], &past);
            }
        }
    }
}

/* NULL where the text is none that this program reads. */
static const struct ow_machine *compile(struct ow_slice text, struct ow_machines *machines,
                                        struct ow_err *why)
{
    struct ow_tree tree;
    if (ow_tree_parse_json("ow_machine", text, &tree, why) != OW_OK) {
        return NULL;
    }
    const enum ow_status status = ow_machines_add(machines, &tree, why);
    ow_tree_done(&tree);
    return status == OW_OK ? machines->list[0] : NULL;
}

static enum ow_status load_pasts(struct ow_store *store, const struct ow_machines *machines,
                                 struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    store->pasts = OW_ARENA_ARRAY(&store->arena, machines->count, struct ow_past_class **);
    for (size_t i = 0; i < machines->count; i++) {
        store->pasts[i] =
            OW_ARENA_ARRAY(&store->arena, machines->list[i]->event_count, struct ow_past_class *);
    }
    OW_TRY(ow_sql_prepare(&store->sql,
                          "SELECT name, version, text, value FROM ow_machine JOIN ow_meta"
                          " ON key = 'replaced_at_ms.' || name || '.' || version",
                          &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        struct ow_err why;
        struct ow_machines replaced;
        ow_machines_init(&replaced);
        const struct ow_machine *machine = compile(ow_sql_slice(&statement, 2), &replaced, &why);
        if (machine == NULL) {
            ow_log(OW_LOG_WARN, "machine_unread",
                   "machine=" OW_SLICE_FMT " version=%" PRId64 " error=\"%s\"",
                   OW_SLICE_ARG(ow_sql_slice(&statement, 0)), ow_sql_i64(&statement, 1), why.text);
        }
        take_replaced(store, machines, machine, ow_sql_i64(&statement, 3));
        ow_machines_done(&replaced);
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

enum ow_status ow_store_horizon_load(struct ow_store *store, const struct ow_machines *machines,
                                     struct ow_err *err)
{
    OW_TRY(load_pruned(store, err));
    return load_pasts(store, machines, err);
}

/* Of a class, as far as it was somebody's until then. */
static int64_t horizon_until(const struct ow_store *store, int64_t class_ms, int64_t until_ms)
{
    int64_t horizon_ms = INT64_MIN;
    for (size_t i = 0; i < store->horizon_count; i++) {
        const struct ow_horizon *horizon = &store->horizons[i];
        if ((horizon->class_ms == class_ms || class_ms == OW_CLASS_ANY) &&
            horizon->horizon_ms > horizon_ms) {
            horizon_ms = horizon->horizon_ms;
        }
    }
    return horizon_ms < until_ms ? horizon_ms : until_ms;
}

int64_t ow_store_horizon_ms(const struct ow_store *store, const struct ow_machine *machine,
                            const struct ow_event_type *event, int64_t skew_ms)
{
    int64_t horizon_ms = horizon_until(store, event->claim->retention_ms, INT64_MAX);
    for (const struct ow_past_class *past = store->pasts[machine->index][event->index];
         past != NULL; past = past->next) {
        const int64_t past_ms = horizon_until(store, past->class_ms, past->until_ms);
        horizon_ms = past_ms > horizon_ms ? past_ms : horizon_ms;
    }
    return horizon_ms == INT64_MIN ? INT64_MIN : horizon_ms + skew_ms;
}
