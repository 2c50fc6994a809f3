/*
 * talk: what the broker's side has to say to people: at once the first time, then not more often
 * than every half minute for the same cause, with a count of what was left out.
 *
 * Threads: the poll thread. Memory: the owner's storage. Private to lib/kafka.
 */
#ifndef OW_KAFKA_TALK_H
#define OW_KAFKA_TALK_H

#include "base/clock.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    OW_KAFKA_TALK_QUEUE = 8,   /* texts that wait for a poll; more are counted as left out */
    OW_KAFKA_TALK_CAUSES = 32, /* causes remembered; the one heard least recently makes room */
    OW_KAFKA_TALK_INTERVAL_MS = 30000
};

struct ow_kafka_cause {
    bool used;
    int cause;
    int64_t said_ns;  /* when it was last said */
    int64_t heard_ns; /* when it last came up */
    int64_t left_out; /* since it was said */
};

struct ow_kafka_talk {
    struct ow_clock clock;
    struct ow_kafka_cause causes[OW_KAFKA_TALK_CAUSES];
    struct ow_err queue[OW_KAFKA_TALK_QUEUE];
    int first, count;
    bool down;       /* every broker is out of reach, and that was said */
    int64_t down_ns; /* since when */
};

void ow_kafka_talk_init(struct ow_kafka_talk *talk, struct ow_clock clock);

/* Whether cause may be said now; *ret_left_out: how many times it was not, since the last time. */
bool ow_kafka_talk_allows(struct ow_kafka_talk *talk, int cause, int64_t *ret_left_out);

/* Queues a text, unless cause was said within the interval. cause: librdkafka's error code, or a
 * number of our own. */
void ow_kafka_talk_say(struct ow_kafka_talk *talk, int cause, const char *format, ...)
    OW_PRINTF(3, 4);

/* Every broker is out of reach, or one was heard again: says when that ends how long it took. */
void ow_kafka_talk_down(struct ow_kafka_talk *talk);
void ow_kafka_talk_up(struct ow_kafka_talk *talk);

/* The oldest text that waits; false: none. */
bool ow_kafka_talk_take(struct ow_kafka_talk *talk, struct ow_err *ret_text);

#endif
