/* The promises that a memory_store can be held to, and its content as text. */
#include "fuzz.h"
#include "memory_store.h"

/* columns[i] of orders, payments and refunds, as schemas/orders.yaml declares them. */
enum { ORDER_AMOUNT, ORDER_CURRENCY, ORDER_PAID, ORDER_REFUNDED };
enum { ROW_ORDER, ROW_AMOUNT, ROW_CURRENCY };

/* What may be applied, by hand: the machine file says nothing else. */
static bool is_edge(const char *type, const char *from, const char *to)
{
    static const struct {
        const char *type, *from, *to;
    } edges[] = {
        {"order.created",     "none",       "created"   },
        {"payment.succeeded", "created",    "paid"      },
        {"payment.succeeded", "cancelled",  "cancelled" },
        {"order.dispatched",  "paid",       "dispatched"},
        {"order.received",    "dispatched", "received"  },
        {"order.cancelled",   "created",    "cancelled" },
        {"order.cancelled",   "paid",       "cancelled" },
        {"payment.refunded",  "paid",       "paid"      },
        {"payment.refunded",  "dispatched", "dispatched"},
        {"payment.refunded",  "received",   "received"  },
        {"payment.refunded",  "cancelled",  "cancelled" }
    };
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        if (strcmp(edges[i].type, type) == 0 && strcmp(edges[i].from, from) == 0 &&
            strcmp(edges[i].to, to) == 0) {
            return true;
        }
    }
    return false;
}

/* Each claim is taken once, under a ref of its own, and its message is in just one place. */
static void check_claims(const struct ow_memory_store *store)
{
    for (const struct ow_claim *claim = store->claims; claim != NULL; claim = claim->next) {
        OW_PROMISE(claim->ref > 0 && claim->ref < store->next_ref);
        for (const struct ow_claim *other = claim->next; other != NULL; other = other->next) {
            OW_PROMISE(other->ref != claim->ref);
            OW_PROMISE(memcmp(other->key, claim->key, sizeof claim->key) != 0);
        }
        size_t places = 0;
        for (const struct ow_history *row = store->history; row != NULL; row = row->next) {
            places += (row->first_ref == 0 ? row->seq : row->first_ref) == claim->ref;
        }
        for (const struct ow_quarantine *row = store->quarantine; row != NULL; row = row->next) {
            places += row->id == claim->ref;
        }
        for (const struct ow_sighting *row = store->sightings; row != NULL; row = row->next) {
            places += row->ref == claim->ref && strcmp(row->cause, "stale") == 0;
        }
        for (const struct ow_entity *entity = store->entities; entity != NULL;
             entity = entity->next) {
            for (const struct ow_parked *parked = entity->parked; parked != NULL;
                 parked = parked->next) {
                places += parked->id == claim->ref;
            }
        }
        OW_PROMISE(places == 1);
    }
}

/* An entity's history is a path, versions 1..n; no key is applied twice; numbers only grow. */
static void check_history(const struct ow_memory_store *store)
{
    for (const struct ow_history *row = store->history; row != NULL; row = row->next) {
        const char *const *const states = row->machine->states;
        OW_PROMISE(is_edge(row->event->event->name, states[row->from], states[row->to]));
        OW_PROMISE(row->next == NULL || row->next->seq > row->seq);
        for (const struct ow_history *later = row->next; later != NULL; later = later->next) {
            OW_PROMISE(memcmp(later->event->key, row->event->key, sizeof row->event->key) != 0);
        }
    }
    for (const struct ow_entity *entity = store->entities; entity != NULL; entity = entity->next) {
        int64_t version = 0;
        int64_t seq = 0;
        size_t state = 0;
        for (const struct ow_history *row = store->history; row != NULL; row = row->next) {
            if (ow_slice_equal(row->entity_id, entity->id)) {
                OW_PROMISE(row->version == version + 1 && row->prev_seq == seq &&
                           row->from == state);
                version = row->version;
                seq = row->seq;
                state = row->to;
            }
        }
        OW_PROMISE(entity->version == version && entity->last_seq == seq && entity->state == state);
    }
}

static int64_t sum_rows(const struct ow_memory_store *store, const char *table, struct ow_slice id)
{
    int64_t sum = 0;
    for (const struct ow_row *row = store->rows; row != NULL; row = row->next) {
        if (strcmp(row->table->name, table) == 0 &&
            ow_slice_equal(row->columns[ROW_ORDER].text, id)) {
            sum += row->columns[ROW_AMOUNT].integer;
        }
    }
    return sum;
}

/* Money: what an order says is what its rows say, and no more goes back than came. */
static void check_sums(const struct ow_memory_store *store)
{
    for (const struct ow_entity *entity = store->entities; entity != NULL; entity = entity->next) {
        const int64_t paid = sum_rows(store, "payments", entity->id);
        const int64_t refunded = sum_rows(store, "refunds", entity->id);
        if (entity->version == 0) {
            OW_PROMISE(paid == 0 && refunded == 0);
            continue;
        }
        OW_PROMISE(entity->columns[ORDER_PAID].integer == paid);
        OW_PROMISE(entity->columns[ORDER_REFUNDED].integer == refunded && refunded <= paid);
        OW_PROMISE(paid % entity->columns[ORDER_AMOUNT].integer == 0);
        OW_PROMISE(entity->columns[ORDER_CURRENCY].type == OW_TYPE_TEXT);
    }
    for (const struct ow_row *row = store->rows; row != NULL; row = row->next) {
        size_t applied = 0;
        for (const struct ow_history *past = store->history; past != NULL; past = past->next) {
            applied += past->seq == row->seq;
        }
        OW_PROMISE(applied == 1);
    }
}

/* What is parked waits for a state that can still come, and is not more than may wait. */
static void check_parked(const struct ow_memory_store *store)
{
    for (const struct ow_entity *entity = store->entities; entity != NULL; entity = entity->next) {
        size_t count = 0;
        for (const struct ow_parked *parked = entity->parked; parked != NULL;
             parked = parked->next) {
            OW_PROMISE(parked->event->event->cells[entity->state].kind == OW_CELL_PARK);
            OW_PROMISE(parked->next == NULL || parked->next->id > parked->id);
            count++;
        }
        OW_PROMISE(count == entity->parked_count && count <= entity->machine->park_per_entity);
    }
}

void ow_memory_store_check(const struct ow_memory_store *store)
{
    check_claims(store);
    check_history(store);
    check_sums(store);
    check_parked(store);
}

static bool is_text(const json_t *json, const struct ow_value *value)
{
    return value->type == OW_TYPE_TEXT &&
           ow_slice_equals_text(value->text, json_string_value(json));
}

/* A payment or a refund is a row with just these values, or it was not seen. */
static bool has_row(const struct ow_memory_store *store, const char *table, const char *key,
                    const json_t *data)
{
    for (const struct ow_row *row = store->rows; row != NULL; row = row->next) {
        if (strcmp(row->table->name, table) == 0 && ow_slice_equals_text(row->key, key)) {
            return is_text(json_object_get(data, "order_id"), &row->columns[ROW_ORDER]) &&
                   is_text(json_object_get(data, "currency"), &row->columns[ROW_CURRENCY]) &&
                   row->columns[ROW_AMOUNT].integer ==
                       json_integer_value(json_object_get(data, "amount"));
        }
    }
    return false;
}

static bool has_order(const struct ow_memory_store *store, const json_t *data)
{
    const char *const id = json_string_value(json_object_get(data, "order_id"));
    for (const struct ow_entity *entity = store->entities; entity != NULL; entity = entity->next) {
        if (entity->version > 0 && ow_slice_equals_text(entity->id, id)) {
            return is_text(json_object_get(data, "currency"), &entity->columns[ORDER_CURRENCY]) &&
                   entity->columns[ORDER_AMOUNT].integer ==
                       json_integer_value(json_object_get(data, "amount"));
        }
    }
    return false;
}

void ow_memory_store_check_stale(const struct ow_memory_store *store,
                                 const struct ow_record *record)
{
    OW_JSON *event = json_loadb((const char *)record->value.ptr, record->value.len, 0, NULL);
    const json_t *const data = json_object_get(event, "data");
    const char *const type = json_string_value(json_object_get(event, "type"));
    if (strcmp(type, "payment.succeeded") == 0) {
        const char *const key = json_string_value(json_object_get(data, "payment_id"));
        OW_PROMISE(has_row(store, "payments", key, data));
    } else if (strcmp(type, "payment.refunded") == 0) {
        const char *const key = json_string_value(json_object_get(data, "refund_id"));
        OW_PROMISE(has_row(store, "refunds", key, data));
    } else if (strcmp(type, "order.created") == 0) {
        OW_PROMISE(has_order(store, data));
    }
}

static void dump_values(const struct ow_value *columns, size_t count, struct ow_buffer *out)
{
    for (size_t i = 0; i < count; i++) {
        ow_buffer_byte(out, ' ');
        ow_json_canonical_value(out, &columns[i]);
    }
}

/* Of one entity: its row, its history, its rows in other tables; with all: what waits, too. */
static void dump_entity(const struct ow_memory_store *store, const struct ow_entity *entity,
                        bool business, struct ow_buffer *out)
{
    ow_buffer_printf(out, "\n" OW_SLICE_FMT " %s %lld", OW_SLICE_ARG(entity->id),
                     entity->machine->states[entity->state], (long long)entity->version);
    if (entity->version > 0) {
        dump_values(entity->columns, entity->machine->entity.column_count, out);
    }
    for (const struct ow_history *row = store->history; row != NULL; row = row->next) {
        if (ow_slice_equal(row->entity_id, entity->id)) {
            ow_buffer_printf(out, "\n  %s v%lld " OW_SLICE_FMT " " OW_SLICE_FMT,
                             row->event->event->name, (long long)row->version,
                             OW_SLICE_ARG(row->event->id), OW_SLICE_ARG(row->data));
            if (!business) {
                ow_buffer_printf(out, " %lld %lld %s", (long long)row->seq,
                                 (long long)row->first_ref, ow_via_text(row->via));
            }
        }
    }
    for (const struct ow_parked *parked = entity->parked; parked != NULL; parked = parked->next) {
        ow_buffer_printf(out, "\n  waits: " OW_SLICE_FMT, OW_SLICE_ARG(parked->event->id));
        if (!business) {
            ow_buffer_printf(out, " %lld %lld", (long long)parked->id,
                             (long long)parked->deadline_ms);
        }
    }
}

static const struct ow_row *row_of_seq(const struct ow_memory_store *store, int64_t seq)
{
    const struct ow_row *row = store->rows;
    while (row != NULL && row->seq != seq) {
        row = row->next;
    }
    return row;
}

static void dump_quarantine(const struct ow_memory_store *store, int64_t id, struct ow_buffer *out)
{
    for (const struct ow_quarantine *row = store->quarantine; row != NULL; row = row->next) {
        if (row->id == id) {
            ow_buffer_printf(out, " %s offset %lld seen %lld, met %lld",
                             ow_reason_text(row->reason), (long long)row->record->offset,
                             (long long)row->seen, (long long)row->conflict_ref);
        }
    }
}

/* All that has a number, in the order of these; deadlines have no order of their own. */
static void dump_rest(const struct ow_memory_store *store, struct ow_buffer *out)
{
    for (int64_t ref = 1; ref < store->next_ref; ref++) {
        const struct ow_claim *claim = store->claims;
        while (claim != NULL && claim->ref != ref) {
            claim = claim->next;
        }
        const struct ow_row *const row = row_of_seq(store, ref);
        ow_buffer_printf(out, "\n%lld %s", (long long)ref, claim == NULL ? "no claim" : "claim");
        if (row != NULL) {
            ow_buffer_printf(out, " %s " OW_SLICE_FMT, row->table->name, OW_SLICE_ARG(row->key));
            dump_values(row->columns, row->table->column_count, out);
        }
        dump_quarantine(store, ref, out);
    }
    for (const struct ow_sighting *row = store->sightings; row != NULL; row = row->next) {
        ow_buffer_printf(out, "\nsighting %lld %s offset %lld", (long long)row->ref, row->cause,
                         (long long)row->record->offset);
    }
}

void ow_memory_store_dump(const struct ow_memory_store *store, bool business, struct ow_buffer *out)
{
    static const char *const ids[] = {"A", "B", "C", "D"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        for (const struct ow_entity *entity = store->entities; entity != NULL;
             entity = entity->next) {
            if (ow_slice_equals_text(entity->id, ids[i])) {
                dump_entity(store, entity, business, out);
            }
        }
    }
    if (!business) {
        dump_rest(store, out);
    }
}
