#include "base/parse.h"
#include "transcript.h"

#include <stdlib.h>

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c == '\0' ? NULL : strchr(digits, c);
    return found == NULL ? -1 : (int)(found - digits);
}

static bool append_hex(struct ow_play *play, const char *text, struct ow_buffer *out)
{
    for (; text[0] != '\0'; text += 2) {
        const int high = hex_digit(text[0]);
        const int low = hex_digit(text[1]);
        if (high < 0 || low < 0) {
            return ow_play_fail(play, "hex: pairs of the digits 0-9 and a-f");
        }
        ow_buffer_byte(out, (uint8_t)(high << 4 | low));
    }
    return true;
}

/* "text", {hex: "00ff"}, {repeat: "text", times: n}. */
static bool append_bytes(struct ow_play *play, const json_t *json, struct ow_buffer *out)
{
    static const char *const known[] = {"hex", "repeat", "times", NULL};
    if (json_is_string(json)) {
        ow_buffer_append(out, json_string_value(json), json_string_length(json));
        return true;
    }
    if (!json_is_object(json) || !ow_play_known(play, json, known)) {
        return ow_play_fail(play,
                            "bytes are a text, {hex}, {repeat, times}, null, or a list of them");
    }
    const char *hex = json_string_value(json_object_get(json, "hex"));
    if (hex != NULL) {
        return append_hex(play, hex, out);
    }
    const char *text = json_string_value(json_object_get(json, "repeat"));
    const json_int_t times = json_integer_value(json_object_get(json, "times"));
    for (json_int_t i = 0; text != NULL && i < times; i++) {
        ow_buffer_text(out, text);
    }
    return true;
}

static bool read_bytes(struct ow_play *play, const json_t *json, struct ow_slice *ret_bytes)
{
    *ret_bytes = (struct ow_slice){0};
    if (json == NULL || json_is_null(json)) {
        return true;
    }
    OW_BUFFER out = {0};
    if (!json_is_array(json) && !append_bytes(play, json, &out)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(json); i++) {
        if (!append_bytes(play, json_array_get(json, i), &out)) {
            return false;
        }
    }
    const struct ow_slice view = ow_buffer_view(&out);
    uint8_t *copy = ow_arena_alloc(&play->arena, view.len + 1);
    if (view.len > 0) {
        memcpy(copy, view.ptr, view.len);
    }
    *ret_bytes = (struct ow_slice){copy, view.len};
    return true;
}

static bool read_headers(struct ow_play *play, const json_t *json, struct ow_record *record)
{
    struct ow_header *headers =
        OW_ARENA_ARRAY(&play->arena, json_array_size(json), struct ow_header);
    for (size_t i = 0; i < json_array_size(json); i++) {
        const json_t *pair = json_array_get(json, i);
        if (json_array_size(pair) != 2 ||
            !read_bytes(play, json_array_get(pair, 0), &headers[i].name) ||
            !read_bytes(play, json_array_get(pair, 1), &headers[i].value)) {
            return ow_play_fail(play, "headers are a list of [name, value]");
        }
    }
    record->headers = headers;
    record->header_count = json_array_size(json);
    return true;
}

/* Fills text up to bytes with the member /data/pad. */
static struct ow_slice pad(struct ow_play *play, struct ow_slice text, size_t bytes)
{
    static const char before[] = ",\"pad\":\"";
    static const char after[] = "\"}}";
    const size_t fixed = text.len - 2 + sizeof(before) - 1 + sizeof(after) - 1;
    OW_BUFFER out = {0};
    ow_buffer_append(&out, text.ptr, text.len - 2); /* data is the last member: "…}}" */
    ow_buffer_text(&out, before);
    for (size_t i = fixed; i < bytes; i++) {
        ow_buffer_byte(&out, 'p');
    }
    ow_buffer_text(&out, after);
    return ow_arena_copy(&play->arena, ow_buffer_view(&out));
}

/* A CloudEvent, structured: what is not said is as usual. Members follow each other as in the file,
 * data last. */
static bool write_event(struct ow_play *play, const json_t *json, struct ow_record *record)
{
    const json_t *event = json_object_get(json, "event");
    char time_text[OW_TIME_TEXT_BYTES];
    ow_format_time_ms(record->timestamp_ms < 0 ? play->clock.now_ms : record->timestamp_ms,
                      time_text);
    const char *id = ow_arena_printf(&play->arena, "m%lld", (long long)play->sent_count);
    OW_JSON *whole =
        json_pack("{s:s, s:s, s:s, s:s, s:s}", "specversion", "1.0", "id", id, "source", "/shop/eu",
                  "time", time_text, "datacontenttype", "application/json");
    (void)json_object_update(whole, (json_t *)(uintptr_t)event);
    const json_t *without = json_object_get(json, "without");
    for (size_t i = 0; i < json_array_size(without); i++) {
        (void)json_object_del(whole, json_string_value(json_array_get(without, i)));
    }
    json_t *data = json_incref(json_object_get(whole, "data"));
    if (data != NULL) {
        (void)json_object_del(whole, "data");
        (void)json_object_set_new(whole, "data", data);
    }
    char *text = json_dumps(whole, JSON_COMPACT);
    record->value = ow_arena_copy(&play->arena, ow_slice_of(text));
    free(text);
    const json_t *pad_bytes = json_object_get(json, "pad");
    if (pad_bytes != NULL) {
        record->value = pad(play, record->value, (size_t)json_integer_value(pad_bytes));
    }
    return true;
}

static const struct ow_sent *find_sent(const struct ow_play *play, const char *name)
{
    const struct ow_sent *found = NULL;
    for (const struct ow_sent *sent = play->sent; sent != NULL; sent = sent->next) {
        if (sent->name != NULL && strcmp(sent->name, name) == 0) {
            found = sent;
        }
    }
    return found;
}

static bool read_content(struct ow_play *play, const json_t *json, struct ow_record *record)
{
    const char *again = json_string_value(json_object_get(json, "again"));
    if (again != NULL) {
        const struct ow_sent *before = find_sent(play, again);
        if (before == NULL) {
            return ow_play_fail(play, "nothing was sent as '%s'", again);
        }
        record->key = before->record.key;
        record->value = before->record.value;
        record->headers = before->record.headers;
        record->header_count = before->record.header_count;
        return true;
    }
    if (json_object_get(json, "event") != NULL) {
        if (!write_event(play, json, record)) {
            return false;
        }
    } else if (json_object_get(json, "value") == NULL ||
               !read_bytes(play, json_object_get(json, "value"), &record->value)) {
        return ow_play_fail(play, "a record has an event, a value, or is sent again");
    }
    const json_t *key = json_object_get(json, "key");
    if (key == NULL) {
        record->key = OW_SLICE("k");
    } else if (!read_bytes(play, key, &record->key)) {
        return false;
    }
    return read_headers(play, json_object_get(json, "headers"), record);
}

/* An RFC 3339 time, or null: none. Without a word the manual clock says it, and moves on by a
 * second. */
static bool read_timestamp(struct ow_play *play, const json_t *json, struct ow_record *record)
{
    play->clock.now_ms += 1000;
    record->timestamp_ms = play->clock.now_ms;
    const json_t *timestamp = json_object_get(json, "timestamp");
    if (json_is_null(timestamp)) {
        record->timestamp_ms = -1;
    } else if (timestamp != NULL && !ow_parse_time_ms(ow_slice_of(json_string_value(timestamp)),
                                                      &record->timestamp_ms)) {
        return ow_play_fail(play, "timestamp: an RFC 3339 time, or null");
    }
    return true;
}

/* Where the record goes, and which offset the broker will give it. */
static bool read_place(struct ow_play *play, const json_t *json, struct ow_sent *sent)
{
    struct ow_record *record = &sent->record;
    const json_t *to = json_object_get(json, "to");
    const char *topic = to == NULL ? play->first_topic : json_string_value(to);
    record->partition = (int32_t)json_integer_value(json_object_get(json, "partition"));
    for (struct ow_log_end *log = play->logs; log != NULL; log = log->next) {
        if (strcmp(log->topic, topic) == 0 && log->partition == record->partition) {
            const int64_t wanted = json_integer_value(json_object_get(json, "offset"));
            record->topic = ow_slice_of(log->topic);
            record->offset = wanted > log->end_offset ? wanted : log->end_offset;
            log->end_offset = record->offset + 1;
            sent->incarnation = log->incarnation;
            return true;
        }
    }
    return ow_play_fail(play, "there is no topic %s with a partition %d", topic,
                        (int)record->partition);
}

bool ow_play_send(struct ow_play *play, const json_t *json)
{
    static const char *const known[] = {
        "as",        "again",  "event",   "without", "pad",       "value", "key",   "headers", "to",
        "partition", "offset", "outcome", "reason",  "timestamp", "about", "times", NULL};
    if (!json_is_object(json) || !ow_play_known(play, json, known)) {
        return ow_play_fail(play, "a record is {event | value | again, outcome, …}");
    }
    const char *outcome = json_string_value(json_object_get(json, "outcome"));
    if (outcome == NULL) {
        return ow_play_fail(play, "each record says its outcome (none: it is never handled)");
    }
    const json_t *times = json_object_get(json, "times");
    for (json_int_t i = times == NULL ? 1 : json_integer_value(times); i > 0; i--) {
        struct ow_sent *sent = OW_ARENA_NEW(&play->arena, struct ow_sent);
        sent->name = json_string_value(json_object_get(json, "as"));
        sent->path = play->path;
        sent->outcome = outcome;
        sent->reason = json_string_value(json_object_get(json, "reason"));
        play->sent_count++;
        if (!read_timestamp(play, json, &sent->record) || !read_place(play, json, sent) ||
            !read_content(play, json, &sent->record)) {
            return false;
        }
        *play->sent_end = sent;
        play->sent_end = &sent->next;
        ow_memory_broker_append(play->broker, &sent->record);
    }
    return true;
}
