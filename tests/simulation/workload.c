#include "workload.h"

enum { LIFE_MAX = 24 };

/* The messages of one order, in the order in which they happen. */
struct life {
    struct ow_message messages[LIFE_MAX];
    size_t count, sent;
};

struct maker {
    struct ow_workload *workload;
    struct ow_random *random;
    struct life lives[OW_MESSAGE_ORDERS];
    int orders;
};

static bool percent(struct maker *maker, int chance)
{
    return ow_random_percent(maker->random, chance);
}

static struct ow_message *add(struct maker *maker, struct life *life, enum ow_message_type type)
{
    struct ow_workload *workload = maker->workload;
    struct ow_message *message =
        &life->messages[life->count < LIFE_MAX ? life->count++ : LIFE_MAX - 1];
    *message = life->messages[0];
    message->type = type;
    message->id = workload->ids++ % OW_MESSAGE_IDS;
    message->source = ow_random_below(maker->random, OW_MESSAGE_SOURCES);
    message->retry_count = percent(maker, 80) ? -1 : ow_random_below(maker->random, 3);
    if (type == OW_PAID || type == OW_REFUNDED) {
        message->payment = workload->payments++ % OW_MESSAGE_PAYMENTS;
    }
    return message;
}

/* Some payment that says something else than it should. */
static void pay_oddly(struct maker *maker, struct life *life)
{
    struct ow_message *odd = add(maker, life, OW_PAID);
    switch (ow_random_below(maker->random, 4)) {
    case 0: /* another amount: a guard */
        odd->amount++;
        break;
    case 1: /* a second payment */
        break;
    case 2: /* the same payment under another id */
        odd->payment = life->messages[1].payment;
        break;
    default: /* somebody else's payment id */
        odd->payment = ow_random_below(maker->random, maker->workload->payments);
        break;
    }
}

static void refund(struct maker *maker, struct life *life)
{
    struct ow_message *message = add(maker, life, OW_REFUNDED);
    const int parts = ow_random_between(maker->random, 1, 3);
    message->amount = message->amount / parts > 0 ? message->amount / parts : 1;
    if (percent(maker, 10)) {
        message->amount *= 4; /* more than was paid */
    }
    if (percent(maker, 15) && life->count < LIFE_MAX) {
        const struct ow_message before = *message;
        struct ow_message *again = add(maker, life, OW_REFUNDED); /* under another id */
        again->payment = before.payment;
        again->amount = before.amount + ow_random_below(maker->random, 2);
    }
}

/* More early messages of one order than may be parked. */
static void crowd(struct maker *maker, struct life *life)
{
    const int count = ow_random_between(maker->random, 3, 8);
    for (int i = 0; i < count; i++) {
        struct ow_message *message = add(maker, life, OW_REFUNDED);
        message->amount = 1;
    }
}

static void make_life(struct maker *maker, int order)
{
    struct life *life = &maker->lives[order];
    life->messages[0] = (struct ow_message){
        .order = order,
        .amount = ow_random_between(maker->random, 1, 5000),
        .currency = ow_random_below(maker->random, 3),
        .method = ow_random_below(maker->random, 2),
    };
    if (percent(maker, 12)) {
        crowd(maker, life);
        (void)add(maker, life, OW_CREATED);
    } else {
        (void)add(maker, life, OW_CREATED);
        (void)add(maker, life, OW_PAID);
    }
    if (percent(maker, 15)) {
        (void)add(maker, life, OW_CANCELLED);
    }
    if (percent(maker, 25)) {
        pay_oddly(maker, life);
    }
    if (percent(maker, 80)) {
        (void)add(maker, life, OW_DISPATCHED);
    }
    if (percent(maker, 35)) {
        refund(maker, life);
    }
    if (percent(maker, 75)) {
        (void)add(maker, life, OW_RECEIVED);
    }
    if (percent(maker, 15)) {
        (void)add(maker, life,
                  (enum ow_message_type)ow_random_below(maker->random, OW_MESSAGE_TYPES));
    }
    if (percent(maker, 20)) {
        (void)add(maker, life, OW_CANCELLED);
    }
}

/* Early and late: neighbours change places. */
static void shuffle(struct maker *maker, struct life *life)
{
    for (size_t i = 0; i + 1 < life->count; i++) {
        if (percent(maker, 18)) {
            const size_t other =
                i + 1 + (size_t)ow_random_below(maker->random, (int)(life->count - i - 1));
            const struct ow_message kept = life->messages[i];
            life->messages[i] = life->messages[other];
            life->messages[other] = kept;
        }
    }
}

static void send(struct maker *maker, const struct ow_message *message)
{
    struct ow_workload *workload = maker->workload;
    if (workload->count < OW_WORKLOAD_MAX) {
        workload->messages[workload->count++] = *message;
    }
}

/* The same id again, with the same facts or with others. */
static void send_again(struct maker *maker, bool changed)
{
    struct ow_workload *workload = maker->workload;
    if (workload->count == 0) {
        return;
    }
    /* Mostly of late, sometimes long ago: then its claim lies in another bucket. */
    const int back = percent(maker, 70) ? 8 : (int)workload->count;
    const int most = back < (int)workload->count ? back : (int)workload->count;
    struct ow_message message =
        workload->messages[workload->count - 1 - (size_t)ow_random_below(maker->random, most)];
    message.retry_count = ow_random_below(maker->random, 5);
    message.flaw = message.flaw == OW_FLAW_NONE || percent(maker, 50) ? OW_FLAW_NONE : message.flaw;
    if (changed) {
        switch (ow_random_below(maker->random, 3)) {
        case 0:
            message.order = (message.order + 1) % maker->orders;
            break;
        case 1:
            message.type = (enum ow_message_type)ow_random_below(maker->random, OW_MESSAGE_TYPES);
            break;
        default:
            message.amount++;
            break;
        }
    }
    send(maker, &message);
}

static void send_flawed(struct maker *maker)
{
    struct life *life = &maker->lives[ow_random_below(maker->random, maker->orders)];
    struct ow_message message = life->messages[0];
    message.id = maker->workload->ids++ % OW_MESSAGE_IDS;
    message.flaw = (enum ow_message_flaw)ow_random_between(maker->random, 1, OW_MESSAGE_FLAWS - 1);
    if (message.flaw == OW_FLAW_WRONG_VALUE || message.flaw == OW_FLAW_NO_VALUE) {
        message.type = percent(maker, 50) ? OW_CREATED : OW_REFUNDED;
    }
    send(maker, &message);
}

static void send_next(struct maker *maker)
{
    const int first = ow_random_below(maker->random, maker->orders);
    for (int i = 0; i < maker->orders; i++) {
        struct life *life = &maker->lives[(first + i) % maker->orders];
        if (life->sent < life->count) {
            send(maker, &life->messages[life->sent++]);
            return;
        }
    }
    send_again(maker, false);
}

void ow_workload_make(struct ow_workload *workload, struct ow_random *random, int wanted)
{
    static struct maker maker;
    memset(&maker, 0, sizeof(maker));
    memset(workload, 0, sizeof(*workload));
    maker.workload = workload;
    maker.random = random;
    maker.orders = ow_random_between(random, 2, wanted / 6 + 2);
    maker.orders = maker.orders < OW_MESSAGE_ORDERS ? maker.orders : OW_MESSAGE_ORDERS;
    for (int i = 0; i < maker.orders; i++) {
        make_life(&maker, i);
        shuffle(&maker, &maker.lives[i]);
    }
    const int again = ow_random_below(random, 30);
    const int changed = ow_random_below(random, 10);
    const int flawed = ow_random_below(random, 12);
    while (workload->count < (size_t)wanted && workload->count < OW_WORKLOAD_MAX) {
        const int drawn = ow_random_below(random, 100);
        if (drawn < again) {
            send_again(&maker, false);
        } else if (drawn < again + changed) {
            send_again(&maker, true);
        } else if (drawn < again + changed + flawed) {
            send_flawed(&maker);
        } else {
            send_next(&maker);
        }
    }
}
