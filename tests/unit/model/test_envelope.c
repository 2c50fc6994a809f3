#include "groups.h"
#include "model/envelope.h"

/* The vectors were judged by other libraries, too: tests/vectors/cloudevents.json says by which. */
static const json_t *member(const json_t *object, const char *name)
{
    const json_t *found = json_object_get(object, name);
    assert_non_null(found);
    return found;
}

static struct ow_slice bytes_of(const json_t *text)
{
    if (!json_is_string(text)) {
        return (struct ow_slice){0};
    }
    return (struct ow_slice){(const uint8_t *)json_string_value(text), json_string_length(text)};
}

static void assert_attribute(const char *id, const struct ow_attribute *attribute,
                             const json_t *expected)
{
    if (attribute->kind != OW_ATTRIBUTE_TEXT ||
        !ow_slice_equal(attribute->text, bytes_of(expected))) {
        fail_msg("%s: expected %s", id, json_string_value(expected));
    }
}

static void run_vector(const json_t *vector)
{
    static const struct ow_message_rule rule = {.format = OW_FORMAT_CLOUDEVENTS};
    static const char *const modes[] = {"structured", "binary", "explicit"};
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    const char *id = json_string_value(member(vector, "id"));
    const json_t *json = member(member(vector, "request"), "record");
    const json_t *expect = member(vector, "expect");
    const json_t *headers_json = member(json, "headers");
    struct ow_header headers[32];
    assert_true(json_array_size(headers_json) <= 32);
    for (size_t i = 0; i < json_array_size(headers_json); i++) {
        headers[i] =
            (struct ow_header){bytes_of(json_array_get(json_array_get(headers_json, i), 0)),
                               bytes_of(json_array_get(json_array_get(headers_json, i), 1))};
    }
    const struct ow_record record = {.topic = OW_SLICE("t"),
                                     .key = bytes_of(member(json, "key")),
                                     .value = bytes_of(member(json, "value")),
                                     .headers = headers,
                                     .header_count = json_array_size(headers_json)};
    struct ow_envelope envelope;
    ow_envelope_decode(&rule, &record, &arena, &envelope);
    if (strcmp(modes[envelope.mode], json_string_value(member(expect, "mode"))) != 0) {
        fail_msg("%s: the mode is %s", id, modes[envelope.mode]);
    }
    const bool valid = envelope.malformed == NULL && envelope.id.kind == OW_ATTRIBUTE_TEXT &&
                       envelope.source.kind == OW_ATTRIBUTE_TEXT &&
                       envelope.type.kind == OW_ATTRIBUTE_TEXT;
    if (valid != json_is_true(member(expect, "valid"))) {
        fail_msg("%s: %s", id, valid ? "is valid" : "is not valid");
    }
    if (valid) {
        assert_attribute(id, &envelope.id, member(expect, "id"));
        assert_attribute(id, &envelope.source, member(expect, "source"));
    }
    ow_envelope_done(&envelope);
    ow_arena_done(&arena);
}

static void envelope_decode__cloudevents_vectors__are_read_as_they_say(void **state)
{
    (void)state;
    json_error_t error;
    OW_JSON *file = json_load_file(OW_SOURCE_DIR "/tests/vectors/cloudevents.json", 0, &error);
    assert_non_null(file);
    const json_t *vectors = member(file, "vectors");
    assert_int_equal(json_array_size(vectors), json_integer_value(member(file, "count")));
    assert_true(json_array_size(vectors) >= 13);
    for (size_t i = 0; i < json_array_size(vectors); i++) {
        run_vector(json_array_get(vectors, i));
    }
}

static struct ow_envelope decode(struct ow_arena *arena, const char *value,
                                 const struct ow_header *headers, size_t count)
{
    static const struct ow_message_rule rule = {.format = OW_FORMAT_CLOUDEVENTS};
    static struct ow_record record;
    record = (struct ow_record){.topic = OW_SLICE("t"),
                                .value = ow_slice_of(value),
                                .headers = headers,
                                .header_count = count};
    struct ow_envelope envelope;
    ow_envelope_decode(&rule, &record, arena, &envelope);
    return envelope;
}

static void envelope_decode__binary_mode__has_the_same_event_as_body(void **state)
{
    (void)state;
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    const struct ow_header headers[] = {
        {OW_SLICE("CE_specversion"), OW_SLICE("1.0")                 },
        {OW_SLICE("ce_ID"),          OW_SLICE("7")                   },
        {OW_SLICE("ce_type"),        OW_SLICE("t")                   },
        {OW_SLICE("ce_source"),      OW_SLICE("s")                   },
        {OW_SLICE("ce_data"),        OW_SLICE("no")                  },
        {OW_SLICE("ce_my-ext"),      OW_SLICE("ignored")             },
        {OW_SLICE("ce_"),            OW_SLICE("ignored")             },
        {OW_SLICE("content-type"),   OW_SLICE(" Application/JSON ;x")},
    };
    struct ow_envelope envelope = decode(&arena, "{\"a\":1}", headers, 8);
    assert_null(envelope.malformed);
    OW_BUFFER out = {0};
    ow_json_canonical(&out, envelope.body, NULL, NULL, 0);
    assert_string_equal(
        ow_buffer_cstr(&out),
        "{\"data\":{\"a\":1},\"datacontenttype\":\" Application/JSON ;x\",\"id\":\"7\","
        "\"source\":\"s\",\"specversion\":\"1.0\",\"type\":\"t\"}");
    ow_envelope_done(&envelope);
    ow_arena_done(&arena);
}

static void envelope_decode__attribute_kinds__absent_empty_text_wrong(void **state)
{
    (void)state;
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    struct ow_envelope envelope = decode(
        &arena, "{\"specversion\":\"1.0\",\"type\":\"t\",\"id\":7,\"source\":\"\",\"time\":null}",
        NULL, 0);
    assert_null(envelope.malformed);
    assert_int_equal(envelope.mode, OW_MODE_STRUCTURED);
    assert_int_equal(envelope.type.kind, OW_ATTRIBUTE_TEXT);
    assert_int_equal(envelope.id.kind, OW_ATTRIBUTE_WRONG);
    assert_int_equal(envelope.source.kind, OW_ATTRIBUTE_EMPTY);
    assert_int_equal(envelope.time.kind, OW_ATTRIBUTE_ABSENT);
    assert_int_equal(envelope.subject.kind, OW_ATTRIBUTE_ABSENT);
    ow_envelope_done(&envelope);
    ow_arena_done(&arena);
}

static void envelope_decode__malformed__has_no_body(void **state)
{
    (void)state;
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    static const char *const bad[] = {
        "", "nonsense", "[]", "{}", "{\"specversion\":\"0.3\"}", "{\"specversion\":1}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ow_envelope envelope = decode(&arena, bad[i], NULL, 0);
        assert_non_null(envelope.malformed);
        assert_null(envelope.body);
        ow_envelope_done(&envelope);
    }
    ow_arena_done(&arena);
}

static void envelope_attribute__headers_and_key__must_be_text_and_come_once(void **state)
{
    (void)state;
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    const struct ow_header headers[] = {
        {OW_SLICE("a"),     OW_SLICE("x")   },
        {OW_SLICE("twice"), OW_SLICE("x")   },
        {OW_SLICE("twice"), OW_SLICE("x")   },
        {OW_SLICE("null"),  {0}             },
        {OW_SLICE("bad"),   OW_SLICE("\xff")},
        {OW_SLICE("nul"),   OW_SLICE("a\0b")}
    };
    const struct ow_record record = {.key = OW_SLICE(""), .headers = headers, .header_count = 6};
    static const struct {
        const char *name;
        enum ow_attribute_kind kind;
    } cases[] = {
        {"a",     OW_ATTRIBUTE_TEXT  },
        {"A",     OW_ATTRIBUTE_ABSENT},
        {"twice", OW_ATTRIBUTE_WRONG },
        {"null",  OW_ATTRIBUTE_ABSENT},
        {"bad",   OW_ATTRIBUTE_WRONG },
        {"nul",   OW_ATTRIBUTE_WRONG }
    };
    const struct ow_envelope envelope = {.mode = OW_MODE_EXPLICIT};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct ow_part part = {.kind = OW_PART_HEADER, .header = ow_slice_of(cases[i].name)};
        assert_int_equal(ow_envelope_attribute(&envelope, &record, &part, &arena).kind,
                         cases[i].kind);
    }
    const struct ow_part key = {.kind = OW_PART_KEY};
    assert_int_equal(ow_envelope_attribute(&envelope, &record, &key, &arena).kind,
                     OW_ATTRIBUTE_EMPTY);
    ow_arena_done(&arena);
}

/* decode() for an explicit message. */
static struct ow_envelope decode_explicit(struct ow_arena *arena, struct ow_slice value)
{
    static const struct ow_message_rule rule = {.format = OW_FORMAT_EXPLICIT,
                                                .type = {.kind = OW_PART_KEY},
                                                .id = {.kind = OW_PART_NONE},
                                                .source = {.kind = OW_PART_NONE},
                                                .time = {.kind = OW_PART_NONE}};
    static struct ow_record record;
    record = (struct ow_record){.topic = OW_SLICE("t"), .key = OW_SLICE("made"), .value = value};
    struct ow_envelope envelope;
    ow_envelope_decode(&rule, &record, arena, &envelope);
    return envelope;
}

static void envelope_decode__explicit__wants_json_of_any_kind(void **state)
{
    (void)state;
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    struct ow_envelope envelope = decode_explicit(&arena, OW_SLICE("[1]"));
    assert_null(envelope.malformed);
    assert_int_equal(envelope.mode, OW_MODE_EXPLICIT);
    assert_true(ow_slice_equals_text(envelope.type.text, "made"));
    assert_int_equal(envelope.id.kind, OW_ATTRIBUTE_ABSENT); /* the rule has no place for it */
    ow_envelope_done(&envelope);
    envelope = decode_explicit(&arena, OW_SLICE("[1"));
    assert_non_null(strstr(envelope.malformed, "not JSON"));
    envelope = decode_explicit(&arena, (struct ow_slice){0});
    assert_string_equal(envelope.malformed, "no value");
    ow_arena_done(&arena);
}

/* The event in the headers of a binary-mode record, and a content type. */
#define BINARY(content_type)                                                                       \
    {                                                                                              \
        {OW_SLICE("ce_specversion"), OW_SLICE("1.0")}, {OW_SLICE("ce_type"), OW_SLICE("t")},       \
            {OW_SLICE("content-type"), content_type},                                              \
    }

static void assert_data(struct ow_slice content_type, const char *value, const char *expected)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    const struct ow_header headers[] = BINARY(content_type);
    struct ow_envelope envelope = decode(&arena, value, headers, 3);
    assert_null(envelope.malformed);
    assert_int_equal(envelope.mode, OW_MODE_BINARY);
    OW_BUFFER out = {0};
    const json_t *const data = json_object_get(envelope.body, "data");
    if (data != NULL) {
        ow_json_canonical(&out, data, NULL, NULL, 0);
    }
    assert_string_equal(ow_buffer_cstr(&out), expected);
    ow_envelope_done(&envelope);
    ow_arena_done(&arena);
}

static void envelope_decode__binary_data__is_json_or_a_text_by_its_media_type(void **state)
{
    (void)state;
    assert_data(OW_SLICE("application/json"), "[1]", "[1]");
    assert_data(OW_SLICE("text/json\t"), "[1]", "[1]");
    assert_data(OW_SLICE("\t application/vnd.x+JSON"), "[1]", "[1]");
    assert_data(OW_SLICE("+json"), "[1]", "\"[1]\""); /* no media type at all */
    assert_data(OW_SLICE("text/plain"), "[1]", "\"[1]\"");
    assert_data(OW_SLICE("text/plain"), "\xff", ""); /* bytes that JSON cannot hold: no data */
    assert_data(OW_SLICE(" \t "), "[1]", "\"[1]\"");
    assert_data((struct ow_slice){0}, "[1]", "[1]"); /* a header without a value is none */
    assert_data(OW_SLICE("application/json"), NULL, "");
    assert_data((struct ow_slice){0}, NULL, "");
}

static void assert_malformed(const struct ow_header *headers, size_t count, const char *value,
                             const char *expected)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    struct ow_envelope envelope = decode(&arena, value, headers, count);
    assert_non_null(envelope.malformed);
    assert_string_equal(envelope.malformed, expected);
    assert_null(envelope.body);
    ow_arena_done(&arena);
}

static void envelope_decode__content_type__is_found_by_its_whole_name(void **state)
{
    (void)state;
    static const char not_an_event[] = "not a CloudEvent: no specversion and no ce_ headers";
    const struct ow_header shorter[] = {
        {OW_SLICE("content-typ"), OW_SLICE("application/cloudevents")}
    };
    const struct ow_header longer[] = {
        {OW_SLICE("content-types"), OW_SLICE("application/cloudevents")}
    };
    const struct ow_header other_case[] = {
        {OW_SLICE("Content-TYPE"), OW_SLICE("application/cloudevents")}
    };
    assert_malformed(shorter, 1, "{}", not_an_event);
    assert_malformed(longer, 1, "{}", not_an_event);
    assert_malformed(other_case, 1, "{}", "not a CloudEvent of specversion 1.0");
    assert_malformed(other_case, 1, "[]", "not a JSON object");
    assert_malformed(other_case, 1, NULL, "a structured event without a value");
}

static void envelope_decode__headers_that_contradict__are_malformed(void **state)
{
    (void)state;
    const struct ow_header batch[] = {
        {OW_SLICE("content-type"), OW_SLICE("application/cloudevents-batch+json")}
    };
    assert_malformed(batch, 1, "[]", "a CloudEvents format other than JSON, or a batch");
    const struct ow_header twice[] = {
        {OW_SLICE("content-type"), OW_SLICE("text/plain")},
        {OW_SLICE("content-type"), OW_SLICE("text/plain")}
    };
    assert_malformed(twice, 2, "x", "the header content-type comes twice");
    const struct ow_header attribute_twice[] = {
        {OW_SLICE("ce_id"), OW_SLICE("1")},
        {OW_SLICE("CE_ID"), OW_SLICE("1")}
    };
    assert_malformed(attribute_twice, 2, "x", "the header ce_id comes twice");
    const struct ow_header not_utf8[] = {
        {OW_SLICE("ce_type"), OW_SLICE("t")   },
        {OW_SLICE("ce_id"),   OW_SLICE("\xff")}
    };
    assert_malformed(not_utf8, 2, "x", "the header ce_id is not UTF-8 text");
    const struct ow_header no_version[] = {
        {OW_SLICE("ce_specversion"), {0}}
    };
    assert_malformed(no_version, 1, "{}", "not a CloudEvent of specversion 1.0");
}

static void envelope_attribute__entity_and_nothing__are_no_attributes(void **state)
{
    (void)state;
    struct ow_arena arena;
    ow_arena_init(&arena, 256);
    const struct ow_envelope envelope = {.time = {.kind = OW_ATTRIBUTE_EMPTY}};
    const struct ow_record record = {.key = {0}};
    static const struct {
        enum ow_part_kind part;
        enum ow_attribute_kind kind;
    } cases[] = {
        {OW_PART_ENTITY,  OW_ATTRIBUTE_ABSENT},
        {OW_PART_NONE,    OW_ATTRIBUTE_ABSENT},
        {OW_PART_KEY,     OW_ATTRIBUTE_ABSENT},
        {OW_PART_TIME,    OW_ATTRIBUTE_EMPTY },
        {OW_PART_SUBJECT, OW_ATTRIBUTE_ABSENT}
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct ow_part part = {.kind = cases[i].part};
        assert_int_equal(ow_envelope_attribute(&envelope, &record, &part, &arena).kind,
                         cases[i].kind);
    }
    ow_arena_done(&arena);
}

int ow_test_envelope(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(envelope_decode__cloudevents_vectors__are_read_as_they_say),
        cmocka_unit_test(envelope_decode__binary_mode__has_the_same_event_as_body),
        cmocka_unit_test(envelope_decode__attribute_kinds__absent_empty_text_wrong),
        cmocka_unit_test(envelope_decode__malformed__has_no_body),
        cmocka_unit_test(envelope_attribute__headers_and_key__must_be_text_and_come_once),
        cmocka_unit_test(envelope_decode__explicit__wants_json_of_any_kind),
        cmocka_unit_test(envelope_decode__binary_data__is_json_or_a_text_by_its_media_type),
        cmocka_unit_test(envelope_decode__content_type__is_found_by_its_whole_name),
        cmocka_unit_test(envelope_decode__headers_that_contradict__are_malformed),
        cmocka_unit_test(envelope_attribute__entity_and_nothing__are_no_attributes),
    };
    return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}
