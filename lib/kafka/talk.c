#include "kafka/talk.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A cause of our own, beside librdkafka's error codes (which are between -200 and some hundreds).
 */
enum { CAUSE_BACK = 100000 };

void ow_kafka_talk_init(struct ow_kafka_talk *talk, struct ow_clock clock)
{
    memset(talk, 0, sizeof(*talk)); /* too large for the stack */
    talk->clock = clock;
}

/* The slot of cause, or one that is free, or the one heard least recently, emptied. */
static struct ow_kafka_cause *slot_of(struct ow_kafka_talk *talk, int cause)
{
    struct ow_kafka_cause *oldest = &talk->causes[0];
    for (int i = 0; i < OW_KAFKA_TALK_CAUSES; i++) {
        struct ow_kafka_cause *slot = &talk->causes[i];
        if (slot->used && slot->cause == cause) {
            return slot;
        }
        if (oldest->used && (!slot->used || slot->heard_ns < oldest->heard_ns)) {
            oldest = slot;
        }
    }
    *oldest = (struct ow_kafka_cause){.cause = cause};
    return oldest;
}

bool ow_kafka_talk_allows(struct ow_kafka_talk *talk, int cause, int64_t *ret_left_out)
{
    const int64_t now_ns = ow_clock_elapsed_ns(&talk->clock);
    struct ow_kafka_cause *slot = slot_of(talk, cause);
    slot->heard_ns = now_ns;
    if (slot->used && now_ns - slot->said_ns < (int64_t)OW_KAFKA_TALK_INTERVAL_MS * 1000000) {
        slot->left_out++;
        return false;
    }
    *ret_left_out = slot->left_out;
    slot->used = true;
    slot->said_ns = now_ns;
    slot->left_out = 0;
    return true;
}

static struct ow_err *enqueue(struct ow_kafka_talk *talk)
{
    if (talk->count == OW_KAFKA_TALK_QUEUE) {
        return NULL;
    }
    struct ow_err *text = &talk->queue[(talk->first + talk->count) % OW_KAFKA_TALK_QUEUE];
    talk->count++;
    return text;
}

void ow_kafka_talk_say(struct ow_kafka_talk *talk, int cause, const char *format, ...)
{
    int64_t left_out = 0;
    if (!ow_kafka_talk_allows(talk, cause, &left_out)) {
        return;
    }
    struct ow_err *text = enqueue(talk);
    if (text == NULL) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text->text, sizeof(text->text), format, arguments);
    va_end(arguments);
    if (left_out > 0) {
        const size_t len = strlen(text->text);
        (void)snprintf(text->text + len, sizeof(text->text) - len, " (and %lld more times)",
                       (long long)left_out);
    }
}

void ow_kafka_talk_down(struct ow_kafka_talk *talk)
{
    if (!talk->down) {
        talk->down = true;
        talk->down_ns = ow_clock_elapsed_ns(&talk->clock);
    }
}

void ow_kafka_talk_up(struct ow_kafka_talk *talk)
{
    if (!talk->down) {
        return;
    }
    talk->down = false;
    const int64_t ns = ow_clock_elapsed_ns(&talk->clock) - talk->down_ns;
    ow_kafka_talk_say(talk, CAUSE_BACK, "a broker answers again after %lld.%lld s",
                      (long long)(ns / 1000000000), (long long)(ns / 100000000 % 10));
}

bool ow_kafka_talk_take(struct ow_kafka_talk *talk, struct ow_err *ret_text)
{
    if (talk->count == 0) {
        return false;
    }
    *ret_text = talk->queue[talk->first];
    talk->first = (talk->first + 1) % OW_KAFKA_TALK_QUEUE;
    talk->count--;
    return true;
}
