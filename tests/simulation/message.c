#include "message.h"

#include "base/buffer.h"

#include <stdio.h>
#include <time.h>

const char *ow_message_type_text(enum ow_message_type type)
{
    static const char *const texts[] = {"order.created",  "payment.succeeded", "order.dispatched",
                                        "order.received", "order.cancelled",   "payment.refunded"};
    return texts[type];
}

const char *ow_message_source_text(int source)
{
    static const char *const texts[] = {"/shop/eu", "/shop/us", "/psp/callback"};
    return texts[source];
}

const char *ow_message_currency_text(int currency)
{
    static const char *const texts[] = {"EUR", "USD", "CHF"};
    return texts[currency];
}

const char *ow_message_method_text(int method)
{
    static const char *const texts[] = {"card", "invoice"};
    return texts[method];
}

bool ow_message_has_amount(const struct ow_message *message)
{
    return message->type == OW_CREATED || message->type == OW_PAID || message->type == OW_REFUNDED;
}

bool ow_message_same(const struct ow_message *a, const struct ow_message *b)
{
    if (a->type != b->type || a->order != b->order) {
        return false;
    }
    if (ow_message_has_amount(a) && (a->amount != b->amount || a->currency != b->currency)) {
        return false;
    }
    if (a->type == OW_PAID && a->method != b->method) {
        return false;
    }
    return (a->type != OW_PAID && a->type != OW_REFUNDED) || a->payment == b->payment;
}

static void write_time(struct ow_buffer *out, int64_t time_ms)
{
    const time_t seconds = time_ms / 1000;
    struct tm parts;
    (void)gmtime_r(&seconds, &parts);
    ow_buffer_printf(out, ",\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     (int)(time_ms % 1000));
}

static void write_data(struct ow_buffer *out, const struct ow_message *message)
{
    const char *comma = "";
    if (message->flaw != OW_FLAW_NO_ENTITY) {
        ow_buffer_printf(out, "\"order_id\":\"o%d\"", message->order);
        comma = ",";
    }
    if (ow_message_has_amount(message)) {
        const char *quote = message->flaw == OW_FLAW_WRONG_VALUE ? "\"" : "";
        ow_buffer_printf(out, "%s\"amount\":%s%lld%s", comma, quote, (long long)message->amount,
                         quote);
        comma = ",";
        if (message->flaw != OW_FLAW_NO_VALUE) {
            ow_buffer_printf(out, ",\"currency\":\"%s\"",
                             ow_message_currency_text(message->currency));
        }
    }
    if (message->type == OW_PAID) {
        ow_buffer_printf(out, ",\"payment_id\":\"p%d\",\"method\":\"%s\"", message->payment,
                         ow_message_method_text(message->method));
    } else if (message->type == OW_REFUNDED) {
        ow_buffer_printf(out, ",\"refund_id\":\"r%d\"", message->payment);
    }
    if (message->retry_count >= 0) {
        ow_buffer_printf(out, "%s\"retry_count\":%d", comma, message->retry_count);
    }
    if (message->flaw == OW_FLAW_OVERSIZE) {
        ow_buffer_printf(out, "%s\"note\":\"%*s\"", comma, OW_MESSAGE_OVERSIZE, "long");
    }
}

static void write_value(struct ow_buffer *out, const struct ow_message *message)
{
    ow_buffer_printf(out, "{\"specversion\":\"%s\"",
                     message->flaw == OW_FLAW_SPECVERSION ? "0.3" : "1.0");
    if (message->flaw != OW_FLAW_NO_ID) {
        ow_buffer_printf(out, ",\"id\":\"m%d\"", message->id);
    }
    ow_buffer_printf(out, ",\"source\":\"%s\",\"type\":\"%s\"",
                     ow_message_source_text(message->source),
                     message->flaw == OW_FLAW_UNKNOWN_TYPE ? "order.praised"
                                                           : ow_message_type_text(message->type));
    if (message->flaw == OW_FLAW_TWICE) {
        ow_buffer_text(out, ",\"source\":\"/shop/eu\"");
    }
    if (message->time_ms >= 0) {
        write_time(out, message->time_ms);
    }
    ow_buffer_text(out, ",\"data\":{");
    write_data(out, message);
    ow_buffer_text(out, message->flaw == OW_FLAW_NOT_JSON ? "}" : "}}");
}

void ow_message_write(const struct ow_message *message, struct ow_arena *arena,
                      struct ow_record *ret_record)
{
    OW_BUFFER out = {0};
    ret_record->key = ow_slice_of(ow_arena_printf(arena, "o%d", message->order));
    ret_record->timestamp_ms = message->timestamp_ms;
    ret_record->value = (struct ow_slice){0};
    if (message->flaw != OW_FLAW_TOMBSTONE) {
        write_value(&out, message);
        ret_record->value = ow_arena_copy(arena, ow_buffer_view(&out));
    }
}

void ow_message_print(const struct ow_message *message, char *text, size_t bytes)
{
    static const char *const flaws[] = {
        "",          " not JSON",    " tombstone", " oversize",    " unknown type", " no id",
        " no order", " wrong value", " no value",  " specversion", " member twice"};
    (void)snprintf(
        text, bytes, "%s %s m%d o%d amount %lld %s p%d %s retry %d time %lld timestamp %lld%s",
        ow_message_type_text(message->type), ow_message_source_text(message->source), message->id,
        message->order, (long long)message->amount, ow_message_currency_text(message->currency),
        message->payment, ow_message_method_text(message->method), message->retry_count,
        (long long)message->time_ms, (long long)message->timestamp_ms, flaws[message->flaw]);
}
