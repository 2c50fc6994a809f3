/*
 * message: what a producer says, as plain facts: the simulation's model judges these facts, while
 * the worker has to read them out of bytes.
 *
 * Threads: values. Memory: _write allocates in the arena.
 */
#ifndef OW_SIMULATION_MESSAGE_H
#define OW_SIMULATION_MESSAGE_H

#include "base/arena.h"
#include "model/record.h"

enum ow_message_type {
    OW_CREATED,
    OW_PAID,
    OW_DISPATCHED,
    OW_RECEIVED,
    OW_CANCELLED,
    OW_REFUNDED,
    OW_MESSAGE_TYPES
};

/* What is wrong with it. */
enum ow_message_flaw {
    OW_FLAW_NONE,
    OW_FLAW_NOT_JSON,
    OW_FLAW_TOMBSTONE,
    OW_FLAW_OVERSIZE,
    OW_FLAW_UNKNOWN_TYPE,
    OW_FLAW_NO_ID,
    OW_FLAW_NO_ENTITY,
    OW_FLAW_WRONG_VALUE, /* the amount is a text: only of types that need one */
    OW_FLAW_NO_VALUE,    /* there is no currency: likewise */
    OW_FLAW_SPECVERSION,
    OW_FLAW_TWICE, /* a member twice */
    OW_MESSAGE_FLAWS
};

enum {
    OW_MESSAGE_SOURCES = 3,
    OW_MESSAGE_IDS = 512,
    OW_MESSAGE_ORDERS = 32,
    OW_MESSAGE_PAYMENTS = 256, /* and as many refunds */
    OW_MESSAGE_OVERSIZE = 4096
};

struct ow_message {
    enum ow_message_type type;
    enum ow_message_flaw flaw;
    int source, id; /* together the claim key */
    int order;
    int64_t amount;
    int currency;
    int payment; /* or the refund */
    int method;
    int retry_count; /* not in the fingerprint; -1: not said */
    int64_t time_ms; /* not in the fingerprint; -1: not said */
    int64_t timestamp_ms;
};

/* The texts, as the database has them. */
const char *ow_message_type_text(enum ow_message_type type);
const char *ow_message_source_text(int source);
const char *ow_message_currency_text(int currency);
const char *ow_message_method_text(int method);

/* Whether two messages with one id say the same. */
bool ow_message_same(const struct ow_message *a, const struct ow_message *b);
/* Whether data has an amount and a currency. */
bool ow_message_has_amount(const struct ow_message *message);

/* Fills in key, value and timestamp_ms. */
void ow_message_write(const struct ow_message *message, struct ow_arena *arena,
                      struct ow_record *ret_record);
/* For people: one line. */
void ow_message_print(const struct ow_message *message, char *text, size_t bytes);

#endif
