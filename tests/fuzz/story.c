#include "story.h"

#include "base/parse.h"
#include "fuzz.h"

enum {
    TOPICS_MAX = 4,
    STEPS_MAX = 24,
    SENDS_MAX = 48,
    TIMES_MAX = 8,
    OFFSET_MAX = 500,
    MARKERS_STRIDE = 2000, /* above every offset that records reach, and further each time */
    REPEAT_MAX = 2000
};

static const int64_t clock_ms_max = INT64_C(100) * 86400000;

struct story {
    json_t *topics;
    size_t sends;
    size_t markers;
};

static bool is_any(const char *text, const char *const *known)
{
    size_t i = 0;
    while (known[i] != NULL && (text == NULL || strcmp(known[i], text) != 0)) {
        i++;
    }
    return known[i] != NULL;
}

static json_int_t within(const json_t *value, json_int_t least, json_int_t most)
{
    const json_int_t number = json_integer_value(value);
    return number < least ? least : number > most ? most : number;
}

static json_t *take_machines(const json_t *wild)
{
    static const char *const known[] = {"schemas/orders.yaml", "tests/domain/loans.yaml",
                                        "tests/transcripts/machines/doors.yaml",
                                        "tests/transcripts/machines/reviews.yaml", NULL};
    json_t *const machines = json_array();
    for (size_t i = 0; i < json_array_size(wild); i++) {
        json_t *const machine = json_array_get(wild, i);
        const json_t *const with = json_object_get(machine, "with");
        if (is_any(json_string_value(machine), known)) {
            (void)json_array_append(machines, machine);
        } else if (is_any(json_string_value(json_object_get(machine, "file")), known) &&
                   json_is_object(with)) {
            (void)json_array_append_new(machines, json_deep_copy(machine));
        }
    }
    return machines;
}

static json_t *take_topics(const json_t *wild)
{
    json_t *const topics = json_object();
    const char *name = NULL;
    json_t *count = NULL;
    json_object_foreach((json_t *)(uintptr_t)wild, name, count)
    {
        if (json_object_size(topics) < TOPICS_MAX) {
            (void)json_object_set_new(topics, name, json_integer(within(count, 1, 3)));
        }
    }
    return topics;
}

/* A part of BYTES: a text, {hex}, {repeat, times}. */
static json_t *take_piece(json_t *wild)
{
    const json_t *const repeat = json_object_get(wild, "repeat");
    if (json_is_string(repeat)) {
        return json_pack("{s:s, s:I}", "repeat", json_string_value(repeat), "times",
                         within(json_object_get(wild, "times"), 0, REPEAT_MAX));
    }
    const json_t *const hex = json_object_get(wild, "hex");
    if (json_is_string(hex)) {
        return json_pack("{s:s}", "hex", json_string_value(hex));
    }
    return json_is_string(wild) ? json_incref(wild) : json_string("");
}

static json_t *take_bytes(json_t *wild)
{
    if (json_is_null(wild)) {
        return json_null();
    }
    if (!json_is_array(wild)) {
        return take_piece(wild);
    }
    json_t *const pieces = json_array();
    for (size_t i = 0; i < json_array_size(wild) && i < TIMES_MAX; i++) {
        (void)json_array_append_new(pieces, take_piece(json_array_get(wild, i)));
    }
    return pieces;
}

static json_t *take_headers(const json_t *wild)
{
    json_t *const headers = json_array();
    for (size_t i = 0; i < json_array_size(wild); i++) {
        const json_t *const pair = json_array_get(wild, i);
        if (json_array_size(pair) == 2) {
            (void)json_array_append_new(headers,
                                        json_pack("[o, o]", take_bytes(json_array_get(pair, 0)),
                                                  take_bytes(json_array_get(pair, 1))));
        }
    }
    return headers;
}

/* What the record is: an event, a value, or one that was sent. */
static bool take_content(const json_t *wild, json_t *record)
{
    json_t *const event = json_object_get(wild, "event");
    json_t *const value = json_object_get(wild, "value");
    json_t *const again = json_object_get(wild, "again");
    if (json_is_string(again)) {
        return json_object_set(record, "again", again) == 0;
    }
    if (json_is_object(event)) {
        return json_object_set(record, "event", event) == 0;
    }
    return value != NULL && json_object_set_new(record, "value", take_bytes(value)) == 0;
}

/* The outcome must be said, and is not looked at (target_transcripts.c). */
static json_t *take_record(const struct story *story, const json_t *wild)
{
    json_t *const record = json_pack("{s:s}", "outcome", "applied");
    json_t *const name = json_object_get(wild, "as");
    json_t *const topic = json_object_get(wild, "to");
    json_t *const timestamp = json_object_get(wild, "timestamp");
    json_t *const without = json_object_get(wild, "without");
    if (!take_content(wild, record)) {
        json_decref(record);
        return NULL;
    }
    if (json_is_string(name)) {
        (void)json_object_set(record, "as", name);
    }
    if (json_is_string(topic) && json_object_get(story->topics, json_string_value(topic)) != NULL) {
        (void)json_object_set(record, "to", topic);
    }
    if (json_is_string(timestamp) || json_is_null(timestamp)) {
        (void)json_object_set(record, "timestamp", timestamp);
    }
    if (json_object_get(wild, "key") != NULL) {
        (void)json_object_set_new(record, "key", take_bytes(json_object_get(wild, "key")));
    }
    json_t *const left_out = json_array();
    for (size_t i = 0; i < json_array_size(without); i++) {
        if (json_is_string(json_array_get(without, i))) {
            (void)json_array_append(left_out, json_array_get(without, i));
        }
    }
    (void)json_object_set_new(record, "without", left_out);
    (void)json_object_set_new(record, "headers", take_headers(json_object_get(wild, "headers")));
    (void)json_object_set_new(record, "offset",
                              json_integer(within(json_object_get(wild, "offset"), 0, OFFSET_MAX)));
    (void)json_object_set_new(record, "times",
                              json_integer(within(json_object_get(wild, "times"), 1, TIMES_MAX)));
    return record;
}

static json_t *take_sends(struct story *story, const json_t *wild)
{
    json_t *const sends = json_array();
    for (size_t i = 0; i < json_array_size(wild) && story->sends < SENDS_MAX; i++) {
        json_t *const record = take_record(story, json_array_get(wild, i));
        if (record != NULL) {
            (void)json_array_append_new(sends, record);
            story->sends++;
        }
    }
    return sends;
}

/* {topic, partition, <number>} of a partition that is there, or NULL. */
static json_t *take_place(const struct story *story, const json_t *wild, const char *number,
                          json_int_t value)
{
    const json_t *const topic = json_object_get(wild, "topic");
    const char *const name = json_is_string(topic)
                                 ? json_string_value(topic)
                                 : json_object_iter_key(json_object_iter(story->topics));
    const json_t *const partitions = json_object_get(story->topics, name);
    if (partitions == NULL) {
        return NULL;
    }
    return json_pack(
        "{s:s, s:I, s:I}", "topic", name, "partition",
        within(json_object_get(wild, "partition"), 0, json_integer_value(partitions) - 1), number,
        value);
}

/* skips and start are left out: what lies before
 * the first position, or was skipped, may be judged later (reading 33), so a replay need not be
 * without effect. */
static json_t *take_run(const json_t *wild)
{
    json_t *const run = json_object();
    json_t *const status = json_object_get(wild, "status");
    if (json_object_get(wild, "records") != NULL) {
        (void)json_object_set_new(run, "records",
                                  json_integer(within(json_object_get(wild, "records"), 0, 99)));
    }
    if (json_is_true(json_object_get(wild, "restored"))) {
        (void)json_object_set_new(run, "restored", json_true());
    }
    if (json_is_string(status)) {
        (void)json_object_set(run, "status", status);
    }
    return run;
}

/* NULL: nothing to do. */
static json_t *take_step(struct story *story, const json_t *wild)
{
    int64_t clock_ms = 0;
    const json_t *const clock = json_object_get(wild, "clock");
    const json_t *const reset = json_object_get(wild, "reset");
    const json_t *const markers = json_object_get(wild, "markers");
    if (json_object_get(wild, "send") != NULL) {
        json_t *const sends = take_sends(story, json_object_get(wild, "send"));
        return json_pack("{s:o}", json_array_size(sends) > 0 ? "send" : "about", sends);
    }
    if (json_object_get(wild, "run") != NULL) {
        return json_pack("{s:o}", "run", take_run(json_object_get(wild, "run")));
    }
    if (json_is_string(clock) &&
        ow_parse_duration_ms(ow_slice_of(json_string_value(clock)), &clock_ms) &&
        clock_ms <= clock_ms_max) {
        return json_pack("{s:s, s:n}", "clock", json_string_value(clock), "tick");
    }
    if (reset != NULL) {
        json_t *const place =
            take_place(story, reset, "offset",
                       within(json_object_get(reset, "offset"), 0, (json_int_t)story->sends));
        return place == NULL ? NULL : json_pack("{s:o}", "reset", place);
    }
    if (markers != NULL) {
        story->markers++;
        json_t *const place =
            take_place(story, markers, "to", (json_int_t)story->markers * MARKERS_STRIDE);
        return place == NULL ? NULL : json_pack("{s:o}", "markers", place);
    }
    return json_object_get(wild, "restart") != NULL ? json_pack("{s:{}}", "restart") : NULL;
}

json_t *ow_story_make(const json_t *wild)
{
    struct story story = {.topics = take_topics(json_object_get(wild, "topics"))};
    json_t *const machines = take_machines(json_object_get(wild, "machines"));
    json_t *const steps = json_array();
    const json_t *const wild_steps = json_object_get(wild, "steps");
    for (size_t i = 0; i < json_array_size(wild_steps) && i < STEPS_MAX; i++) {
        json_t *const step = take_step(&story, json_array_get(wild_steps, i));
        if (step != NULL) {
            (void)json_array_append_new(steps, step);
        }
    }
    /* What is due is over before everything is read again: deadlines are no part of the promise. */
    for (int i = 0; i < 2; i++) {
        (void)json_array_append_new(steps, json_pack("{s:{}, s:n}", "run", "tick"));
    }
    const bool playable =
        json_array_size(machines) > 0 && json_object_size(story.topics) > 0 && story.sends > 0;
    json_t *const made =
        json_pack("{s:o, s:o, s:o, s:I}", "machines", machines, "topics", story.topics, "steps",
                  steps, "bucket_claims", within(json_object_get(wild, "bucket_claims"), 0, 1000));
    if (!playable) {
        json_decref(made);
        return NULL;
    }
    return made;
}
