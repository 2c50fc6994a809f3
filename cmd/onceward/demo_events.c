#include "demo_events.h"

#include "base/buffer.h"
#include "base/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum kind { CREATED, PAID, DISPATCHED, RECEIVED, CANCELLED, REFUNDED, KIND_COUNT };
enum { STEPS_MAX = 5 };

struct order {
    uint32_t number;
    int64_t amount_minor, refund_minor;
    uint8_t method;           /* of payment; and of carriage */
    uint8_t steps[STEPS_MAX]; /* its life: kinds in order */
    uint8_t step_count, step;
    uint8_t sent; /* mask of kinds */
    int64_t time_ms[KIND_COUNT];
};

struct sent {
    uint32_t order;
    enum kind kind;
};

enum { OPEN_ORDERS = 300, RECENT = 256 };

struct ow_demo_events {
    uint64_t random;
    int64_t records, start_ms, step_us;
    struct order *orders;
    size_t order_count, order_capacity;
    uint32_t open[OPEN_ORDERS]; /* orders whose life goes on */
    struct sent recent[RECENT]; /* what may be redelivered */
    size_t recent_count;
    struct ow_demo_expected expected;
    struct ow_buffer value, key;
};

static const char *const types[KIND_COUNT] = {"order.created",    "payment.succeeded",
                                              "order.dispatched", "order.received",
                                              "order.cancelled",  "payment.refunded"};

/* How orders live, and how many of 10,000 do. */
static const struct life {
    uint16_t share;
    uint8_t count;
    uint8_t steps[STEPS_MAX];
} lives[] = {
    {50,   4, {CREATED, DISPATCHED, PAID, RECEIVED}          }, /* the dispatch is early */
    {7750, 4, {CREATED, PAID, DISPATCHED, RECEIVED}          },
    {600,  5, {CREATED, PAID, DISPATCHED, RECEIVED, REFUNDED}}, /* in part */
    {800,  4, {CREATED, PAID, CANCELLED, REFUNDED}           },
    {300,  4, {CREATED, CANCELLED, PAID, REFUNDED}           }, /* the payment was on its way */
    {500,  2, {CREATED, CANCELLED}                           },
};
enum { LIFE_COUNT = sizeof(lives) / sizeof(lives[0]) };

/* Of 10,000 records. */
enum { SHARE_REDELIVERED = 500, SHARE_CONFLICT = 10, SHARE_BROKEN = 10, SHARE_ALL = 10000 };

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

/* splitmix64: from 0 to below - 1. */
static uint32_t draw(struct ow_demo_events *events, uint32_t below)
{
    events->random += UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(mix(events->random) % below);
}

/* A new order in the slot. */
static void begin_order(struct ow_demo_events *events, size_t slot)
{
    OW_INVARIANT(events->order_count < events->order_capacity);
    struct order *order = &events->orders[events->order_count];
    *order = (struct order){.number = (uint32_t)events->order_count + 1};
    order->amount_minor = 199 + (int64_t)draw(events, 19800);
    order->method = (uint8_t)draw(events, 3);
    uint32_t ticket = draw(events, SHARE_ALL);
    size_t life = 0;
    while (life + 1 < LIFE_COUNT && ticket >= lives[life].share) {
        ticket -= lives[life].share;
        life++;
    }
    memcpy(order->steps, lives[life].steps, sizeof(order->steps));
    order->step_count = lives[life].count;
    const bool in_part = order->step_count == STEPS_MAX;
    order->refund_minor =
        in_part ? 1 + (int64_t)draw(events, (uint32_t)order->amount_minor) : order->amount_minor;
    events->expected.early += life == 0;
    events->open[slot] = (uint32_t)events->order_count++;
}

struct ow_demo_events *ow_demo_events_open(int64_t records, uint64_t seed, int64_t start_ms,
                                           int64_t step_us)
{
    struct ow_demo_events *events = calloc(1, sizeof(*events));
    if (events == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    events->random = seed;
    events->records = records;
    events->start_ms = start_ms;
    events->step_us = step_us;
    events->order_capacity =
        (size_t)records / 2 + OPEN_ORDERS + 1; /* each has two events at least */
    events->orders = calloc(events->order_capacity, sizeof(*events->orders));
    if (events->orders == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    for (size_t i = 0; i < OPEN_ORDERS; i++) {
        begin_order(events, i);
    }
    return events;
}

void ow_demo_events_close(struct ow_demo_events *events)
{
    if (events == NULL) {
        return;
    }
    ow_buffer_done(&events->value);
    ow_buffer_done(&events->key);
    free(events->orders);
    free(events);
}

static void write_data(struct ow_buffer *out, const struct order *order, enum kind kind,
                       int64_t more_minor)
{
    static const char *const methods[] = {"card", "transfer", "wallet"};
    static const char *const carriers[] = {"northpost", "swift-parcel", "bike"};
    static const char currency[] = "EUR"; /* one, so that sums mean something */
    const unsigned number = order->number;
    switch (kind) {
    case CREATED:
        ow_buffer_printf(
            out, "\"amount\":%" PRId64 ",\"currency\":\"%s\",\"customer\":\"c-%05u\",\"items\":%u",
            order->amount_minor + more_minor, currency, number * 7 % 90001, 1 + number % 5);
        return;
    case PAID:
        ow_buffer_printf(out,
                         "\"payment_id\":\"p-%07u\",\"amount\":%" PRId64
                         ",\"currency\":\"%s\",\"method\":\"%s\"",
                         number, order->amount_minor + more_minor, currency,
                         methods[order->method]);
        return;
    case DISPATCHED:
        ow_buffer_printf(out, "\"carrier\":\"%s\",\"tracking\":\"T%09u\"", carriers[order->method],
                         number * 31 + 7);
        return;
    case RECEIVED:
        ow_buffer_printf(out, "\"tracking\":\"T%09u\",\"signed\":%s", number * 31 + 7,
                         number % 3 ? "true" : "false");
        return;
    case CANCELLED:
        ow_buffer_printf(out, "\"reason\":\"%s\"", number % 2 ? "changed mind" : "out of stock");
        return;
    case REFUNDED:
        ow_buffer_printf(out,
                         "\"refund_id\":\"r-%07u\",\"payment_id\":\"p-%07u\",\"amount\":%" PRId64
                         ","
                         "\"currency\":\"%s\"",
                         number, number, order->refund_minor + more_minor, currency);
        return;
    case KIND_COUNT:
        break;
    }
    OW_IMPOSSIBLE("a kind that there is not");
}

/* Kafka's part of a record: topic by what it is about, key = order. */
static void fill_record(struct ow_demo_events *events, const struct order *order, enum kind kind,
                        struct ow_record *ret_record)
{
    ow_buffer_clear(&events->key);
    ow_buffer_printf(&events->key, "ord-%07u", (unsigned)order->number);
    const bool payment = kind == PAID || kind == REFUNDED;
    *ret_record = (struct ow_record){
        .topic = payment ? OW_SLICE("payment-events") : OW_SLICE("order-events"),
        .partition = -1,
        .timestamp_ms = -1,
        .key = ow_buffer_view(&events->key),
        .value = ow_buffer_view(&events->value),
    };
}

/* more_minor: what a conflicting copy adds to the amount. */
static void write_event(struct ow_demo_events *events, const struct order *order, enum kind kind,
                        bool again, int64_t more_minor, struct ow_record *ret_record)
{
    char time[OW_TIME_TEXT_BYTES];
    ow_format_time_ms(order->time_ms[kind], time);
    const uint64_t a = mix(((uint64_t)order->number << 8) + (uint64_t)kind + 1);
    const uint64_t b = mix(a + 1);
    struct ow_buffer *out = &events->value;
    ow_buffer_clear(out);
    ow_buffer_printf(
        out,
        "{\"specversion\":\"1.0\",\"id\":\"%08x-%04x-4%03x-9%03x-%012" PRIx64
        "\",\"source\":\"/shop/eu\","
        "\"type\":\"%s\",\"subject\":\"ord-%07u\",\"time\":\"%s\","
        "\"datacontenttype\":\"application/json\",\"data\":{\"order_id\":\"ord-%07u\",",
        (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff),
        (unsigned)(b >> 52), b & UINT64_C(0xffffffffffff), types[kind], (unsigned)order->number,
        time, (unsigned)order->number);
    write_data(out, order, kind, more_minor);
    ow_buffer_text(out, again ? ",\"retry_count\":1}}" : "}}");
    fill_record(events, order, kind, ret_record);
}

/* The next step of an order's life. */
static void send_step(struct ow_demo_events *events, struct ow_record *ret_record)
{
    const size_t slot = draw(events, OPEN_ORDERS);
    const uint32_t index = events->open[slot];
    struct order *order = &events->orders[index];
    const enum kind kind = (enum kind)order->steps[order->step++];
    order->time_ms[kind] = events->start_ms + events->expected.records * events->step_us / 1000;
    order->sent |= (uint8_t)(1U << kind);
    events->expected.valid++;
    if (kind == PAID) {
        events->expected.payments++;
        events->expected.paid_minor += order->amount_minor;
    } else if (kind == REFUNDED) {
        events->expected.refunds++;
        events->expected.refunded_minor += order->refund_minor;
    }
    write_event(events, order, kind, false, 0, ret_record);
    events->recent[events->recent_count++ % RECENT] = (struct sent){.order = index, .kind = kind};
    if (order->step == order->step_count) {
        begin_order(events, slot);
    }
}

static const struct sent *pick_recent(struct ow_demo_events *events)
{
    const size_t count = events->recent_count < RECENT ? events->recent_count : RECENT;
    return count == 0 ? NULL : &events->recent[draw(events, (uint32_t)count)];
}

static bool send_again(struct ow_demo_events *events, struct ow_record *ret_record)
{
    const struct sent *sent = pick_recent(events);
    if (sent == NULL) {
        return false;
    }
    events->expected.redelivered++;
    write_event(events, &events->orders[sent->order], sent->kind, true, 0, ret_record);
    return true;
}

/* The same id, another amount. */
static bool send_conflict(struct ow_demo_events *events, struct ow_record *ret_record)
{
    enum { TRIES = 32 };
    const struct sent *sent = NULL;
    for (int i = 0; i < TRIES && (sent == NULL || sent->kind != PAID); i++) {
        sent = pick_recent(events);
    }
    if (sent == NULL || sent->kind != PAID) {
        return false;
    }
    events->expected.conflicts++;
    write_event(events, &events->orders[sent->order], PAID, false, 1000, ret_record);
    return true;
}

enum { BROKEN_COUNT = 6 };

/* What a broken producer writes, each in turn: cut off, a fraction, a negative amount, no id, an
 * unknown type, nothing. */
static void send_broken(struct ow_demo_events *events, struct ow_record *ret_record)
{
    const struct order *order = &events->orders[events->open[draw(events, OPEN_ORDERS)]];
    const unsigned which = (unsigned)(events->expected.broken++ % BROKEN_COUNT);
    const unsigned id = (unsigned)events->expected.broken;
    struct ow_buffer *out = &events->value;
    ow_buffer_clear(out);
    ow_buffer_text(out, "{\"specversion\":\"1.0\",\"source\":\"/shop/eu\",");
    if (which == 0) {
        ow_buffer_printf(
            out,
            "\"id\":\"broken-%u\",\"type\":\"payment.succeeded\",\"data\":{\"order_id\":\"ord-",
            id);
    } else if (which == 1 || which == 2) {
        ow_buffer_printf(
            out,
            "\"id\":\"broken-%u\",\"type\":\"payment.succeeded\",\"data\":{\"order_id\":\"ord-%"
            "07u\","
            "\"payment_id\":\"x-%u\",\"amount\":%s,\"currency\":\"EUR\",\"method\":\"card\"}}",
            id, (unsigned)order->number, id, which == 1 ? "12.5" : "-500");
    } else {
        ow_buffer_printf(
            out, "\"%s\":\"broken-%u\",\"type\":\"%s\",\"data\":{\"order_id\":\"ord-%07u\"}}",
            which == 3 ? "identity" : "id", id, which == 3 ? "order.received" : "order.teleported",
            (unsigned)order->number);
    }
    fill_record(events, order, which < 3 ? PAID : RECEIVED, ret_record);
    if (which == BROKEN_COUNT - 1) {
        ret_record->value = (struct ow_slice){0}; /* a tombstone */
    }
}

bool ow_demo_events_next(struct ow_demo_events *events, struct ow_record *ret_record)
{
    if (events->expected.records == events->records) {
        return false;
    }
    const uint32_t ticket = draw(events, SHARE_ALL);
    bool sent = false;
    if (ticket < SHARE_REDELIVERED) {
        sent = send_again(events, ret_record);
    } else if (ticket < SHARE_REDELIVERED + SHARE_CONFLICT) {
        sent = send_conflict(events, ret_record);
    } else if (ticket < SHARE_REDELIVERED + SHARE_CONFLICT + SHARE_BROKEN) {
        send_broken(events, ret_record);
        sent = true;
    }
    if (!sent) {
        send_step(events, ret_record);
    }
    events->expected.records++;
    return true;
}

/* Where an order stands after all that was sent of it, in whatever order it arrived. */
static enum ow_demo_state state_of(const struct order *order)
{
    const unsigned sent = order->sent;
    if (sent & 1U << CANCELLED) {
        return OW_DEMO_CANCELLED;
    }
    if (!(sent & 1U << PAID)) {
        return OW_DEMO_CREATED; /* an early dispatch waits */
    }
    if (!(sent & 1U << DISPATCHED)) {
        return OW_DEMO_PAID;
    }
    return sent & 1U << RECEIVED ? OW_DEMO_RECEIVED : OW_DEMO_DISPATCHED;
}

void ow_demo_events_expected(const struct ow_demo_events *events,
                             struct ow_demo_expected *ret_expected)
{
    *ret_expected = events->expected;
    for (size_t i = 0; i < events->order_count; i++) {
        if (events->orders[i].sent != 0) {
            ret_expected->orders[state_of(&events->orders[i])]++;
        }
    }
}

const char *ow_demo_state_text(enum ow_demo_state state)
{
    static const char *const texts[OW_DEMO_STATE_COUNT] = {"created", "paid", "dispatched",
                                                           "received", "cancelled"};
    return texts[state];
}
