#include "groups.h"
#include "model/event.h"
#include "support/model/machine_fixture.h"

static struct ow_machines machines;
static struct ow_arena arena;
static struct ow_hash_key key;
static struct ow_decoder decoder;

/* A machine whose claim and values are at the edges of what a machine may say. */
static const char edges[] =
    "machine: edges\nversion: 1\ntopics: [e]\n"
    "message: { format: explicit, type: header:type, id: /id, entity: /e, time: /at }\n"
    "claim: { key: [/n, entity, key], fingerprint: [entity, header:h, /n, type] }\n"
    "entity: { table: es, key: k, columns: { n: { type: integer, min: -5, max: 5 }, "
    "t: { type: text, min_length: 2, max_length: 3 } } }\n"
    "states: { s: {} }\n"
    "events: { x: [ { from: none, to: s, set: { n: /n, t: /t }, "
    "require: [ { left: /p, equals: /q } ] } ] }\n";

static struct ow_machines edge_machines;
static struct ow_decoder edge_decoder;

static int start(void **state)
{
    (void)state;
    struct ow_err err;
    ow_machines_init(&machines);
    ow_arena_init(&arena, 65536);
    if (ow_fixture_add_file(&machines, "schemas/orders.yaml", &err) != OW_OK) {
        return 1;
    }
    for (size_t i = 0; i < machines.list[0]->event_count; i++) {
        machines.list[0]->events[i].claim->rule_number = 1;
    }
    for (size_t i = 0; i < sizeof(key.bytes); i++) {
        key.bytes[i] = (uint8_t)i;
    }
    decoder =
        (struct ow_decoder){.machines = &machines, .hash_key = &key, .record_bytes_max = 4096};
    ow_machines_init(&edge_machines);
    edge_decoder = decoder;
    edge_decoder.machines = &edge_machines;
    return ow_fixture_add_text(&edge_machines, edges, &err) == OW_OK ? 0 : 1;
}

static int stop(void **state)
{
    (void)state;
    ow_buffer_done(&edge_decoder.scratch);
    ow_machines_done(&edge_machines);
    ow_buffer_done(&decoder.scratch);
    ow_arena_done(&arena);
    ow_machines_done(&machines);
    return 0;
}

static struct ow_event decode(const char *value)
{
    struct ow_record *record = OW_ARENA_NEW(&arena, struct ow_record);
    *record = (struct ow_record){
        .topic = OW_SLICE("order-events"), .timestamp_ms = 1234, .value = ow_slice_of(value)};
    struct ow_event event;
    ow_event_decode(&decoder, record, &arena, &event);
    return event;
}

static void assert_refused(const char *value, enum ow_reason reason, const char *detail)
{
    const struct ow_event event = decode(value);
    if (event.verdict != OW_OUTCOME_QUARANTINED || event.reason != reason ||
        strstr(event.detail, detail) == NULL) {
        fail_msg("%s: %s %s: %s", value, ow_outcome_text(event.verdict),
                 ow_reason_text(event.reason), event.detail);
    }
}

#define CREATED(id, data)                                                                          \
    "{\"specversion\":\"1.0\",\"id\":" id                                                          \
    ",\"source\":\"/shop/eu\",\"type\":\"order.created\",\"data\":" data "}"

static void event_decode__a_good_one__has_everything(void **state)
{
    (void)state;
    const struct ow_event event =
        decode("{\"specversion\":\"1.0\",\"id\":\"c1\",\"source\":\"/shop/"
               "eu\",\"type\":\"order.created\",\"time\":\"2026-11-22T10:00:00Z\","
               "\"data\":{\"weight\":2.5,\"order_id\":\"A\",\"note\":\"f\\u00fcr\",\"retry_count\":"
               "3,\"currency\":\"EUR\","
               "\"list\":[1,{\"b\":null,\"a\":true}],\"amount\":100}}");
    assert_int_equal(event.verdict, OW_OUTCOME_APPLIED);
    assert_int_equal(event.reason, OW_REASON_NONE);
    assert_string_equal(event.event->name, "order.created");
    assert_true(ow_slice_equals_text(event.type, "order.created"));
    assert_true(ow_slice_equals_text(event.source, "/shop/eu"));
    assert_true(ow_slice_equals_text(event.id, "c1"));
    assert_true(ow_slice_equals_text(event.entity_id, "A"));
    assert_true(event.time_ms == INT64_C(1795341600000));
    assert_int_equal(event.event->need_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const bool amount = strcmp(event.event->needs[i].pointer.text, "/data/amount") == 0;
        const struct ow_value expected =
            amount ? ow_value_integer(100) : ow_value_text(OW_SLICE("EUR"));
        assert_true(ow_value_equal(&event.values[i], &expected));
    }
}

/* Made with Python: see test_hash.c. */
static void event_decode__claim_key_and_fingerprint__are_as_design_5_says(void **state)
{
    (void)state;
    const struct ow_event event =
        decode("{\"specversion\":\"1.0\",\"id\":\"c1\",\"source\":\"/shop/"
               "eu\",\"type\":\"order.created\",\"data\":{\"order_id\":\"A\","
               "\"weight\":2.50,\"note\":\"f\xc3\xbcr\",\"retry_count\":3,\"list\":[1,{\"b\":null,"
               "\"a\":true}],\"amount\":100,\"currency\":\"EUR\"}}");
    char text[2 * OW_CLAIM_KEY_BYTES + 1];
    assert_int_equal(event.verdict, OW_OUTCOME_APPLIED);
    ow_hash_hex(event.key, sizeof(event.key), text);
    assert_string_equal(text, "2b4f7339838715982ecccf85de7dff51");
    ow_hash_hex(event.fingerprint, sizeof(event.fingerprint), text);
    assert_string_equal(text, "01853c19f14ab614ae");
}

static void event_decode__time__is_the_events_else_kafkas_else_0(void **state)
{
    (void)state;
    assert_int_equal(
        decode(CREATED("\"1\"", "{\"order_id\":\"A\",\"amount\":1,\"currency\":\"EUR\"}")).time_ms,
        1234);
    struct ow_record record = {
        .topic = OW_SLICE("order-events"),
        .timestamp_ms = -1,
        .value =
            OW_SLICE(CREATED("\"1\"", "{\"order_id\":\"A\",\"amount\":1,\"currency\":\"EUR\"}"))};
    struct ow_event event;
    ow_event_decode(&decoder, &record, &arena, &event);
    assert_int_equal(event.verdict, OW_OUTCOME_APPLIED);
    assert_int_equal(event.time_ms, 0);
}

static void event_decode__step_1__counts_value_key_and_headers_each_alone(void **state)
{
    (void)state;
    static uint8_t bytes[4097];
    const struct ow_header headers[] = {
        {{bytes, 4000}, {bytes, 96}}
    };
    const struct ow_header more[] = {
        {{bytes, 4000}, {bytes, 97}}
    };
    const struct ow_slice limit = {bytes, 4096};
    const struct ow_slice beyond = {bytes, 4097};
    struct ow_record record = {.topic = OW_SLICE("order-events"),
                               .key = limit,
                               .value = limit,
                               .headers = headers,
                               .header_count = 1};
    struct ow_event event;
    ow_event_decode(&decoder, &record, &arena, &event);
    assert_int_equal(event.reason, OW_REASON_MALFORMED);
    record.headers = more;
    ow_event_decode(&decoder, &record, &arena, &event);
    assert_int_equal(event.reason, OW_REASON_OVERSIZE);
    record.headers = headers;
    record.key = beyond;
    ow_event_decode(&decoder, &record, &arena, &event);
    assert_int_equal(event.reason, OW_REASON_OVERSIZE);
    record.key = limit;
    record.value = beyond;
    ow_event_decode(&decoder, &record, &arena, &event);
    assert_int_equal(event.reason, OW_REASON_OVERSIZE);
    assert_string_equal(event.detail, "larger than 4096 bytes");
}

static void event_decode__steps_2_and_3__say_what_is_wrong(void **state)
{
    (void)state;
    assert_refused(NULL, OW_REASON_MALFORMED, "tombstone");
    assert_refused("{\"specversion\":\"1.0\"", OW_REASON_MALFORMED, "not JSON");
    assert_refused("{\"specversion\":\"0.3\",\"type\":\"order.created\"}", OW_REASON_MALFORMED,
                   "specversion 1.0");
    assert_refused("{\"specversion\":\"1.0\"}", OW_REASON_MALFORMED, "no type");
    assert_refused("{\"specversion\":\"1.0\",\"type\":\"x\"}", OW_REASON_UNKNOWN_TYPE,
                   "no machine of topic order-events knows the type x");
}

static void event_decode__step_4__says_which_value_and_why(void **state)
{
    (void)state;
    assert_refused(CREATED("7", "{\"order_id\":\"A\"}"), OW_REASON_MALFORMED,
                   "the id is not a text");
    assert_refused(CREATED("null", "{\"order_id\":\"A\"}"), OW_REASON_MISSING_KEY, "no id");
    assert_refused(CREATED("\"1\"", "{}"), OW_REASON_MISSING_KEY, "no entity id");
    assert_refused(CREATED("\"1\"", "{\"order_id\":\"A\",\"currency\":\"EUR\"}"),
                   OW_REASON_MALFORMED, "no value at /data/amount");
    assert_refused(CREATED("\"1\"", "{\"order_id\":\"A\",\"currency\":\"EUR\",\"amount\":1.5}"),
                   OW_REASON_MALFORMED, "/data/amount is not an integer within 2^53");
    assert_refused(CREATED("\"1\"", "{\"order_id\":\"A\",\"currency\":\"EUR\",\"amount\":0}"),
                   OW_REASON_MALFORMED, "/data/amount is outside the range of amount_minor");
    assert_refused(CREATED("\"1\"", "{\"order_id\":\"A\",\"currency\":\"EU\",\"amount\":1}"),
                   OW_REASON_MALFORMED, "/data/currency has not the length of currency");
    assert_refused(CREATED("\"1\"", "{\"order_id\":\"A\",\"currency\":5,\"amount\":1}"),
                   OW_REASON_MALFORMED, "/data/currency is not a text");
}

static void event_decode__a_missing_key__keeps_what_was_found(void **state)
{
    (void)state;
    const struct ow_event event = decode(CREATED("null", "{\"order_id\":\"A\"}"));
    assert_ptr_equal(event.machine, machines.list[0]);
    assert_true(ow_slice_equals_text(event.entity_id, "A"));
}

/* h: the value of the header "h", NULL: there is none. */
static struct ow_event decode_edge(const char *value, const char *h)
{
    struct ow_header *const headers = OW_ARENA_ARRAY(&arena, 2, struct ow_header);
    headers[0] = (struct ow_header){OW_SLICE("type"), OW_SLICE("x")};
    headers[1] = (struct ow_header){OW_SLICE("h"), ow_slice_of(h)};
    struct ow_record *const record = OW_ARENA_NEW(&arena, struct ow_record);
    *record = (struct ow_record){.topic = OW_SLICE("e"),
                                 .key = OW_SLICE("the key"),
                                 .value = ow_slice_of(value),
                                 .headers = headers,
                                 .header_count = h == NULL ? 1 : 2};
    struct ow_event event;
    ow_event_decode(&edge_decoder, record, &arena, &event);
    return event;
}

static void edge_refused(const char *value, enum ow_reason reason, const char *detail)
{
    const struct ow_event event = decode_edge(value, "1");
    assert_int_equal(event.verdict, OW_OUTCOME_QUARANTINED);
    assert_int_equal(event.reason, reason);
    assert_string_equal(event.detail, detail);
}

#define EDGE(n, t, p, q)                                                                           \
    "{\"id\":\"1\",\"e\":\"E\",\"n\":" n ",\"t\":\"" t "\",\"p\":" p ",\"q\":" q "}"

static void event_decode__values__are_held_to_both_ends_of_their_range(void **state)
{
    (void)state;
    static const char *const right[] = {
        EDGE("-5", "ab", "1", "1"), EDGE("5", "abc", "\"x\"", "1"),
        EDGE("0", "\xc3\xa4\xc3\xb6\xc3\xbc", "9007199254740992", "-9007199254740992")};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(decode_edge(right[i], "1").verdict, OW_OUTCOME_APPLIED);
    }
    edge_refused(EDGE("-6", "ab", "1", "1"), OW_REASON_MALFORMED, "/n is outside the range of n");
    edge_refused(EDGE("6", "ab", "1", "1"), OW_REASON_MALFORMED, "/n is outside the range of n");
    edge_refused(EDGE("1", "a", "1", "1"), OW_REASON_MALFORMED, "/t has not the length of t");
    edge_refused(EDGE("1", "abcd", "1", "1"), OW_REASON_MALFORMED, "/t has not the length of t");
    /* What is compared with another pointer has no declared type, but is a business value. */
    edge_refused(EDGE("1", "ab", "true", "1"), OW_REASON_MALFORMED,
                 "/p is not an integer within 2^53");
    edge_refused(EDGE("1", "ab", "9007199254740993", "1"), OW_REASON_MALFORMED,
                 "/p is not an integer within 2^53");
    edge_refused(EDGE("1", "ab", "1", "-9007199254740993"), OW_REASON_MALFORMED,
                 "/q is not an integer within 2^53");
    edge_refused(EDGE("1", "ab", "null", "1"), OW_REASON_MALFORMED, "no value at /p");
}

static void event_decode__claim_key__has_integers_in_decimal_and_the_entity(void **state)
{
    (void)state;
    const struct ow_event one = decode_edge(EDGE("1", "ab", "1", "1"), "1");
    const struct ow_event same = decode_edge(EDGE("1", "ac", "2", "2"), "1");
    const struct ow_event other = decode_edge(EDGE("2", "ab", "1", "1"), "1");
    assert_memory_equal(one.key, same.key, sizeof one.key);
    assert_memory_not_equal(one.key, other.key, sizeof one.key);
    /* DESIGN 5: each part with its length, the space first. */
    struct ow_hash hash;
    uint8_t expected[OW_CLAIM_KEY_BYTES];
    ow_hash_begin(&hash, &key, sizeof expected);
    ow_hash_part(&hash, OW_SLICE("edges"));
    ow_hash_part(&hash, OW_SLICE("1"));
    ow_hash_part(&hash, OW_SLICE("E"));
    ow_hash_part(&hash, OW_SLICE("the key"));
    ow_hash_end(&hash, expected, sizeof expected);
    assert_memory_equal(one.key, expected, sizeof expected);
    edge_refused("{\"id\":\"1\",\"e\":\"E\",\"n\":1.5,\"t\":\"ab\",\"p\":1,\"q\":1}",
                 OW_REASON_MALFORMED, "/n is not an integer within 2^53");
}

static void event_decode__fingerprint__tells_an_absent_header_from_an_empty_one(void **state)
{
    (void)state;
    const char *const value = EDGE("1", "ab", "1", "1");
    const struct ow_event with = decode_edge(value, "1");
    const struct ow_event without = decode_edge(value, NULL);
    const struct ow_event with_empty = decode_edge(value, "");
    assert_memory_not_equal(with.fingerprint, without.fingerprint, OW_FINGERPRINT_BYTES);
    assert_memory_not_equal(with_empty.fingerprint, without.fingerprint, OW_FINGERPRINT_BYTES);
    assert_memory_not_equal(with_empty.fingerprint, with.fingerprint, OW_FINGERPRINT_BYTES);
}

static void event_decode__time__that_is_no_time__is_malformed(void **state)
{
    (void)state;
    static const char *const wrong[] = {"7", "\"\"", "\"yesterday\""};
    for (size_t i = 0; i < 3; i++) {
        edge_refused(ow_arena_printf(&arena,
                                     "{\"id\":\"1\",\"e\":\"E\",\"at\":%s,\"n\":1,\"t\":\"ab\","
                                     "\"p\":1,\"q\":1}",
                                     wrong[i]),
                     OW_REASON_MALFORMED, "the time is not RFC 3339");
    }
    const struct ow_event event = decode_edge(
        "{\"id\":\"1\",\"e\":\"E\",\"at\":\"1970-01-01T00:00:01Z\",\"n\":1,\"t\":\"ab\",\"p\":1,"
        "\"q\":1}",
        "1");
    assert_int_equal(event.time_ms, 1000);
    edge_refused("{\"e\":\"E\"}", OW_REASON_MISSING_KEY, "no id");
    edge_refused("{\"id\":\"1\",\"e\":\"\"}", OW_REASON_MISSING_KEY, "no entity id");
}

int ow_test_event(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_decode__a_good_one__has_everything),
        cmocka_unit_test(event_decode__claim_key_and_fingerprint__are_as_design_5_says),
        cmocka_unit_test(event_decode__time__is_the_events_else_kafkas_else_0),
        cmocka_unit_test(event_decode__step_1__counts_value_key_and_headers_each_alone),
        cmocka_unit_test(event_decode__steps_2_and_3__say_what_is_wrong),
        cmocka_unit_test(event_decode__step_4__says_which_value_and_why),
        cmocka_unit_test(event_decode__a_missing_key__keeps_what_was_found),
        cmocka_unit_test(event_decode__values__are_held_to_both_ends_of_their_range),
        cmocka_unit_test(event_decode__claim_key__has_integers_in_decimal_and_the_entity),
        cmocka_unit_test(event_decode__fingerprint__tells_an_absent_header_from_an_empty_one),
        cmocka_unit_test(event_decode__time__that_is_no_time__is_malformed),
    };
    return cmocka_run_group_tests_name("event", tests, start, stop);
}
