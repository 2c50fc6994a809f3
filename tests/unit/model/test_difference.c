/* In what the second message of a conflict differs from the first. */
#include "base/arena.h"
#include "groups.h"
#include "model/difference.h"
#include "support/model/machine_fixture.h"

#include <stdio.h>
#include <string.h>

static struct ow_machines machines;
static struct ow_arena arena;
static struct ow_hash_key hash_key;
static struct ow_decoder decoder;

static const char things[] =
    "machine: things\nversion: 1\ntopics: [things]\n"
    "message: { format: cloudevents, entity: /data/thing_id }\n"
    "claim: { space: s, key: [source, id], fingerprint: [type, /data, /subject],\n"
    "  ignore: [/data/tries, /data/list/0] }\n"
    "entity: { table: things, key: thing_id, columns: { n: integer } }\n"
    "states: { made: {}, gone: {} }\n"
    "events:\n"
    "  thing.made: [ { from: none, to: made, set: { n: /data/n } } ]\n"
    "  thing.tried: [ { from: made, to: same, set: { n: /data/tries } } ]\n"
    "  thing.gone: [ { from: made, to: gone } ]\n";

/* Where each attribute is in a place of its own. */
static const char parcels[] =
    "machine: parcels\nversion: 1\ntopics: [parcels]\n"
    "message: { format: explicit, type: /what, id: /n, time: 'header:when', entity: key }\n"
    "claim: { space: p, key: [id], fingerprint: [type, time, 'header:by', key, /load] }\n"
    "entity: { table: parcels, key: parcel_id, columns: { n: { type: integer, default: 0 } } }\n"
    "states: { sent: {} }\n"
    "events: { sent: [ { from: none, to: sent } ], seen: [ { from: sent, to: same } ] }\n";

/* Whose id alone is the key, so that sources may differ. */
static const char pairs[] =
    "machine: pairs\nversion: 1\ntopics: [pairs]\n"
    "message: { format: cloudevents, entity: /data/pair_id }\n"
    "claim: { space: q, key: [id], fingerprint: [id, source, entity, /data, /extra],\n"
    "  ignore: [/extra/x] }\n"
    "entity: { table: pairs, key: pair_id, columns: { n: integer } }\n"
    "states: { made: {} }\n"
    "events:\n  pair.made: [ { from: none, to: made, set: { n: /data/n } } ]\n";

static int start(void **state)
{
    (void)state;
    struct ow_err err;
    ow_machines_init(&machines);
    ow_arena_init(&arena, 65536);
    decoder = (struct ow_decoder){
        .machines = &machines, .hash_key = &hash_key, .record_bytes_max = 1 << 20};
    if (ow_fixture_add_text(&machines, things, &err) != OW_OK ||
        ow_fixture_add_text(&machines, parcels, &err) != OW_OK ||
        ow_fixture_add_text(&machines, pairs, &err) != OW_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ow_buffer_done(&decoder.scratch);
    ow_machines_done(&machines);
    ow_arena_done(&arena);
    return 0;
}

/* data: members besides the entity id. */
static struct ow_record *record_of(const char *type, const char *thing, const char *data)
{
    struct ow_record *record = OW_ARENA_NEW(&arena, struct ow_record);
    OW_BUFFER value = {0};
    ow_buffer_printf(&value,
                     "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"%s\","
                     "\"data\":{\"thing_id\":\"%s\"",
                     type, thing);
    ow_buffer_text(&value, data);
    ow_buffer_text(&value, "}}");
    record->topic = OW_SLICE("things");
    record->value = ow_arena_copy(&arena, ow_buffer_view(&value));
    return record;
}

static const struct ow_event *event_of(const struct ow_record *record)
{
    struct ow_event *event = OW_ARENA_NEW(&arena, struct ow_event);
    ow_event_decode(&decoder, record, &arena, event);
    if (event->verdict != OW_OUTCOME_APPLIED) {
        fail_msg("the second is no event: %s", event->detail);
    }
    return event;
}

static const char *text_of(const struct ow_kept *first, const struct ow_record *second)
{
    struct ow_difference difference;
    OW_BUFFER text = {0};
    ow_difference_find(&machines, first, event_of(second), &arena, &difference);
    ow_difference_text(&text, &difference);
    assert_true(ow_slice_is_text(ow_buffer_view(&text)));
    return ow_arena_text(&arena, ow_buffer_view(&text));
}

static const char *text_of_whole(const struct ow_record *first, const struct ow_record *second)
{
    const struct ow_kept kept = {.kind = OW_KEPT_WHOLE, .record = *first};
    return text_of(&kept, second);
}

#define SAME "what is kept of the first shows no difference"

static void difference__whole_record__tells_each_leaf(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second, *expected;
    } cases[] = {
        {"",                                     "",                                     SAME                                   },
        {",\"a\":1299",                          ",\"a\":1399",                          "/data/a: 1299 → 1399"               },
        {",\"a\":1",                             "",                                     "/data/a: 1 → absent"                },
        {"",                                     ",\"a\":null",                          "/data/a: absent → null"             },
        {",\"a\":null",                          ",\"a\":0",                             "/data/a: null → 0"                  },
        {",\"a\":true",                          ",\"a\":false",                         "/data/a: true → false"              },
 /* Numbers are compared as the fingerprint has them. */
        {",\"a\":100",                           ",\"a\":100.0",                         SAME                                   },
        {",\"a\":1e2",                           ",\"a\":100",                           SAME                                   },
        {",\"a\":100",                           ",\"a\":100.5",                         "/data/a: 100 → 100.5"               },
        {",\"a\":100",                           ",\"a\":\"100\"",                       "/data/a: 100 → \"100\""             },
 /* The order of members says nothing, and what is told is in their order by bytes. */
        {",\"b\":2,\"a\":1",                     ",\"a\":1,\"b\":2",                     SAME                                   },
        {",\"b\":1,\"a\":1",                     ",\"c\":2,\"b\":2",
         "/data/a: 1 → absent; /data/b: 1 → 2; /data/c: absent → 2"                                                       },
        {",\"a\":{\"b\":{\"c\":[1,{\"d\":2}]}}", ",\"a\":{\"b\":{\"c\":[1,{\"d\":3}]}}",
         "/data/a/b/c/1/d: 2 → 3"                                                                                             },
        {",\"a\":[1,2]",                         ",\"a\":[1]",                           "/data/a/1: 2 → absent"              },
        {",\"a\":[]",                            ",\"a\":[{}]",                          "/data/a/0: absent → {}"             },
        {",\"a\":[1]",                           ",\"a\":{\"0\":1}",                     "/data/a: [1] → {\"0\":1}"           },
        {",\"a\":{\"b\":1}",                     ",\"a\":7",                             "/data/a: {\"b\":1} → 7"             },
        {",\"a\":7",                             ",\"a\":[1]",                           "/data/a: 7 → [1]"                   },
        {",\"a\":[1]",                           "",                                     "/data/a: [1] → absent"              },
        {",\"a\":{}",                            "",                                     "/data/a: {} → absent"               },
        {",\"a/b\":{\"~\":1}",                   ",\"a/b\":{\"~\":2}",                   "/data/a~1b/~0: 1 → 2"               },
        {",\"\":1",                              ",\"\":2",                              "/data/: 1 → 2"                      },
        {",\"ä\":\"ö\"",                       ",\"ä\":\"日本\"",                   "/data/ä: \"ö\" → \"日本\""      },
 /* No control character comes through, be it in a value or in a name. */
        {",\"a\":\"x\"",                         ",\"a\":\"\\u001b[31m\\n\"",            "/data/a: \"x\" → \"\\u001b[31m\\n\""},
        {",\"a\":\"\\u007f\"",                   ",\"a\":\"\\u009b\\u00a9\"",            "/data/a: \"?\" → \"?©\""           },
        {",\"\\u001b\\u0085\":1",                "",                                     "/data/??: 1 → absent"               },
        {",\"a\":\"; /data/b: 1 → 2\"",        ",\"a\":\"\\\"\"",
         "/data/a: \"; /data/b: 1 → 2\" → \"\\\"\""                                                                         },
 /* What the fingerprint leaves out. */
        {",\"tries\":1",                         ",\"tries\":{\"x\":2}",                 SAME                                   },
        {",\"list\":[1,2]",                      ",\"list\":[3,2]",                      SAME                                   },
        {",\"list\":[]",                         ",\"list\":[3]",                        SAME                                   },
        {",\"list\":[1,2]",                      ",\"list\":[1,3]",                      "/data/list/1: 2 → 3"                },
        {",\"a\":{\"tries\":1}",                 ",\"a\":{\"tries\":2}",                 "/data/a/tries: 1 → 2"               },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *text = text_of_whole(record_of("thing.gone", "A", cases[i].first),
                                         record_of("thing.gone", "A", cases[i].second));
        if (strcmp(text, cases[i].expected) != 0) {
            fail_msg("%s against %s: %s", cases[i].first, cases[i].second, text);
        }
    }
}

static void difference__type_and_entity__are_fields(void **state)
{
    (void)state;
    assert_string_equal(text_of_whole(record_of("thing.gone", "A", ""),
                                      record_of("thing.tried", "B", ",\"tries\":3")),
                        "entity id: \"A\" → \"B\"; type: \"thing.gone\" → \"thing.tried\"");
}

static void difference__many_fields__are_counted(void **state)
{
    (void)state;
    OW_BUFFER first = {0};
    for (int i = 0; i < 11; i++) {
        ow_buffer_printf(&first, ",\"f%02d\":%d", i, i);
    }
    assert_string_equal(text_of_whole(record_of("thing.gone", "A", ow_buffer_cstr(&first)),
                                      record_of("thing.gone", "A", "")),
                        "/data/f00: 0 → absent; /data/f01: 1 → absent; /data/f02: 2 → absent; "
                        "/data/f03: 3 → absent; /data/f04: 4 → absent; /data/f05: 5 → absent; "
                        "/data/f06: 6 → absent; /data/f07: 7 → absent; and 3 more");
}

static void difference__long_values__are_cut_where_they_begin_to_differ(void **state)
{
    (void)state;
    char first[400];
    char second[400];
    (void)snprintf(first, sizeof(first), ",\"a\":\"%0100d%s%0100d\"", 0, "éx", 1);
    (void)snprintf(second, sizeof(second), ",\"a\":\"%0100d%s%0100d\"", 0, "éy", 1);
    assert_string_equal(
        text_of_whole(record_of("thing.gone", "A", first), record_of("thing.gone", "A", second)),
        ow_arena_printf(&arena, "/data/a: …%018déx%059d… → …%018déy%059d…", 0, 0, 0, 0));
    /* From their beginning where they differ there, and where one of them is short. */
    (void)snprintf(first, sizeof(first), ",\"a\":\"x%0100d\"", 0);
    assert_string_equal(text_of_whole(record_of("thing.gone", "A", first),
                                      record_of("thing.gone", "A", ",\"a\":\"y\"")),
                        ow_arena_printf(&arena, "/data/a: \"x%078d… → \"y\"", 0));
    assert_string_equal(text_of_whole(record_of("thing.gone", "A", ",\"a\":\"y\""),
                                      record_of("thing.gone", "A", first)),
                        ow_arena_printf(&arena, "/data/a: \"y\" → \"x%078d…", 0));
    /* A character is not cut in two. */
    (void)snprintf(second, sizeof(second), ",\"a\":\"%078déé\"", 0);
    assert_string_equal(
        text_of_whole(record_of("thing.gone", "A", ""), record_of("thing.gone", "A", second)),
        ow_arena_printf(&arena, "/data/a: absent → \"%078d…", 0));
    (void)snprintf(first, sizeof(first), ",\"%0119d\":1", 0);
    const char *text =
        text_of_whole(record_of("thing.gone", "A", first), record_of("thing.gone", "A", ""));
    assert_int_equal(strlen(text), 120 + strlen("…: 1 → absent"));
}

/* Hostile: as deep as JSON may be, and with many members on each level. */
static void difference__deep_documents__are_compared(void **state)
{
    (void)state;
    enum { DEPTH = 1500 };
    const struct ow_record *records[2];
    for (int i = 0; i < 2; i++) {
        OW_BUFFER data = {0};
        ow_buffer_text(&data, ",\"a\":");
        for (int k = 0; k < DEPTH; k++) {
            ow_buffer_printf(&data, "{\"k\":%d,\"n\":", k % 200 == 199 ? i : 0);
        }
        ow_buffer_printf(&data, "%d", i);
        for (int k = 0; k < DEPTH; k++) {
            ow_buffer_text(&data, "}");
        }
        records[i] = record_of("thing.gone", "A", ow_buffer_cstr(&data));
    }
    struct ow_difference difference;
    const struct ow_kept kept = {.kind = OW_KEPT_WHOLE, .record = *records[0]};
    ow_difference_find(&machines, &kept, event_of(records[1]), &arena, &difference);
    assert_int_equal(difference.count + difference.more, DEPTH / 200 + 1);
    for (size_t i = 0; i < difference.count; i++) {
        assert_string_equal(difference.fields[i].first, "0");
        assert_string_equal(difference.fields[i].second, "1");
        assert_true(strlen(difference.fields[i].name) <= 120 + strlen("…"));
    }
}

static struct ow_record parcel(const char *value, const char *key, const char *by, const char *when)
{
    struct ow_header *headers = OW_ARENA_ARRAY(&arena, 2, struct ow_header);
    headers[0] = (struct ow_header){OW_SLICE("by"), ow_slice_of(by)};
    headers[1] = (struct ow_header){OW_SLICE("when"), ow_slice_of(when)};
    return (struct ow_record){.topic = OW_SLICE("parcels"),
                              .key = ow_slice_of(key),
                              .value = ow_slice_of(value),
                              .headers = headers,
                              .header_count = 2};
}

static void difference__attributes__are_told_by_their_names(void **state)
{
    (void)state;
    const struct ow_record first =
        parcel("{\"what\":\"sent\",\"n\":\"1\",\"load\":1}", "A", NULL, "2026-01-01T00:00:00Z");
    const struct ow_record second =
        parcel("{\"what\":\"seen\",\"n\":\"1\"}", "B", "\xff\x1b", "2026-01-02T00:00:00Z");
    assert_string_equal(text_of_whole(&first, &second),
                        "entity id: \"A\" → \"B\"; type: \"sent\" → \"seen\"; "
                        "time: \"2026-01-01T00:00:00Z\" → \"2026-01-02T00:00:00Z\"; "
                        "header by: absent → \"?\\u001b\"; key: \"A\" → \"B\"; /load: 1 → absent");
}

static void difference__attributes_of_one_side__are_told_as_absent(void **state)
{
    (void)state;
    static const char when[] = "2026-01-01T00:00:00Z";
    const struct ow_record first =
        parcel("{\"what\":\"seen\",\"n\":\"1\",\"load\":{\"a\":1}}", "A", "x", when);
    const struct ow_record odd =
        parcel("{\"what\":7,\"n\":\"1\",\"load\":{\"a\":1}}", "A", "x", when);
    const struct ow_record second =
        parcel("{\"what\":\"seen\",\"n\":\"1\",\"load\":{\"a\":2}}", "A", NULL, when);
    assert_string_equal(text_of_whole(&first, &second),
                        "header by: \"x\" → absent; /load/a: 1 → 2");
    assert_string_equal(text_of_whole(&odd, &second),
                        "type: \"\" → \"seen\"; header by: \"x\" → absent; /load/a: 1 → 2");
}

static struct ow_record pair(const char *source, int x)
{
    return (struct ow_record){
        .topic = OW_SLICE("pairs"),
        .value = ow_slice_of(ow_arena_printf(
            &arena,
            "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"%s\",\"type\":\"pair.made\","
            "\"extra\":{\"x\":%d},\"data\":{\"pair_id\":\"A\",\"n\":1,\"x\":%d}}",
            source, x, x))};
}

static void difference__sources__are_fields_where_they_are_no_key(void **state)
{
    (void)state;
    const struct ow_record first = pair("s", 1);
    const struct ow_record second = pair("t", 2); /* /extra/x is left out, /data/x is not */
    assert_string_equal(text_of_whole(&first, &second), "source: \"s\" → \"t\"; /data/x: 1 → 2");
    const struct ow_kept kept = {.kind = OW_KEPT_DATA,
                                 .machine = OW_SLICE("pairs"),
                                 .type = OW_SLICE("pair.made"),
                                 .source = OW_SLICE("s"),
                                 .id = OW_SLICE("1"),
                                 .entity_id = OW_SLICE("A"),
                                 .from_state = OW_SLICE("none"),
                                 .data = OW_SLICE("{\"/data/n\":1}")};
    assert_string_equal(
        text_of(&kept, &second),
        "source: \"s\" → \"t\"; of the first only what its transition read is kept");
}

/* Of an applied first. */
static struct ow_kept applied(const char *type, const char *from, const char *data)
{
    return (struct ow_kept){
        .kind = OW_KEPT_DATA,
        .machine = OW_SLICE("things"),
        .type = ow_slice_of(type),
        .source = OW_SLICE("s"),
        .id = OW_SLICE("1"),
        .entity_id = OW_SLICE("A"),
        .from_state = ow_slice_of(from),
        .data = ow_slice_of(data),
    };
}

static void difference__applied_first__is_compared_by_what_its_transition_read(void **state)
{
    (void)state;
    static const char only[] = "; of the first only what its transition read is kept";
    static const struct {
        const char *type, *from, *data, *second, *expected;
        bool partly;
    } cases[] = {
        {"thing.made",  "none", "{\"/data/n\":1}",                                       ",\"n\":2",         "/data/n: 1 → 2",                        true },
        {"thing.made",  "none", "{\"/data/n\":1}",                                       ",\"n\":1",         SAME,                                      false},
 /* Not read, so not kept, so not told. */
        {"thing.made",  "none", "{\"/data/n\":1}",                                       ",\"n\":1,\"x\":1", SAME,                                      false},
        {"thing.tried", "made", "{\"/data/tries\":1}",                                   ",\"n\":1",
         "type: \"thing.tried\" → \"thing.made\"",                                                                                                    true },
        {"thing.gone",  "made", "{}",                                                    ",\"n\":1",         "type: \"thing.gone\" → \"thing.made\"", true },
        {"thing.made",  "none", "{}",                                                    ",\"n\":1",         "first payload erased",                    false},
        {"thing.made",  "none", "",                                                      ",\"n\":1",         "first payload erased",                    false},
 /* Of a version of the machine that nobody has any more. */
        {"thing.made",  "old",  "{}",                                                    ",\"n\":1",         SAME,                                      false},
        {"thing.gone",  "gone", "{}",                                                    ",\"n\":1",         "type: \"thing.gone\" → \"thing.made\"", true },
        {"thing.made",  "none", "{\"erased\":5}",                                        ",\"n\":1",         "first payload erased",                    false},
        {"thing.made",  "none", "{\"/data/thing_id\":\"A\",\"no pointer\":1,\"/id\":2}", ",\"n\":1",
         SAME,                                                                                                                                          false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct ow_kept first = applied(cases[i].type, cases[i].from, cases[i].data);
        const char *text = text_of(&first, record_of("thing.made", "A", cases[i].second));
        const char *expected =
            ow_arena_printf(&arena, "%s%s", cases[i].expected, cases[i].partly ? only : "");
        if (strcmp(text, expected) != 0) {
            fail_msg("%s against %s: %s", cases[i].data, cases[i].second, text);
        }
    }
}

static void difference__first_of_a_machine_that_is_gone__is_not_called_erased(void **state)
{
    (void)state;
    struct ow_kept first = applied("thing.made", "none", "{}");
    first.machine = OW_SLICE("nobody");
    assert_string_equal(text_of(&first, record_of("thing.made", "A", ",\"n\":1")), SAME);
}

static void difference__erased_first__still_tells_type_and_entity(void **state)
{
    (void)state;
    const struct ow_kept first = applied("thing.made", "none", "{}");
    assert_string_equal(text_of(&first, record_of("thing.gone", "B", "")),
                        "entity id: \"A\" → \"B\"; type: \"thing.made\" → \"thing.gone\"; "
                        "first payload erased");
}

static void difference__what_cannot_be_compared__is_said(void **state)
{
    (void)state;
    const struct ow_record *second = record_of("thing.made", "A", ",\"n\":1");
    static const struct {
        enum ow_kept_kind kind;
        const char *topic, *value, *expected;
    } cases[] = {
        {OW_KEPT_NOTHING,   "things", "x",  "first payload not kept"        },
        {OW_KEPT_ELSEWHERE, "things", "x",  "onceward explain compares them"},
        {OW_KEPT_WHOLE,     "things", NULL, "first payload erased"          },
        {OW_KEPT_WHOLE,     "things", "",   "first payload erased"          },
        {OW_KEPT_WHOLE,     "things", "{}", "first payload cannot be read"  },
        {OW_KEPT_WHOLE,     "things", "no", "first payload cannot be read"  },
        {OW_KEPT_WHOLE,     "gone",   "{}", "first payload cannot be read"  },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct ow_kept first = {
            .kind = cases[i].kind,
            .record = {.topic = ow_slice_of(cases[i].topic), .value = ow_slice_of(cases[i].value)}
        };
        assert_string_equal(text_of(&first, second), cases[i].expected);
    }
}

static void difference__what_is_large__is_not_small(void **state)
{
    (void)state;
    static char bytes[OW_DIFFERENCE_KEPT_BYTES_MAX + 1];
    const struct ow_slice most = {(const uint8_t *)bytes, OW_DIFFERENCE_KEPT_BYTES_MAX};
    const struct ow_slice more = {(const uint8_t *)bytes, OW_DIFFERENCE_KEPT_BYTES_MAX + 1};
    const struct ow_header header = {.name = most};
    assert_true(ow_difference_is_small(&(struct ow_kept){.data = most}));
    assert_false(ow_difference_is_small(&(struct ow_kept){.data = more}));
    assert_true(ow_difference_is_small(&(struct ow_kept){.record.value = most}));
    assert_false(ow_difference_is_small(&(struct ow_kept){.record.value = more}));
    assert_false(ow_difference_is_small(&(struct ow_kept){
        .record = {.headers = &header, .header_count = 1}
    }));
}

int ow_test_difference(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(difference__whole_record__tells_each_leaf),
        cmocka_unit_test(difference__type_and_entity__are_fields),
        cmocka_unit_test(difference__many_fields__are_counted),
        cmocka_unit_test(difference__long_values__are_cut_where_they_begin_to_differ),
        cmocka_unit_test(difference__deep_documents__are_compared),
        cmocka_unit_test(difference__attributes__are_told_by_their_names),
        cmocka_unit_test(difference__applied_first__is_compared_by_what_its_transition_read),
        cmocka_unit_test(difference__attributes_of_one_side__are_told_as_absent),
        cmocka_unit_test(difference__sources__are_fields_where_they_are_no_key),
        cmocka_unit_test(difference__first_of_a_machine_that_is_gone__is_not_called_erased),
        cmocka_unit_test(difference__erased_first__still_tells_type_and_entity),
        cmocka_unit_test(difference__what_cannot_be_compared__is_said),
        cmocka_unit_test(difference__what_is_large__is_not_small),
    };
    return cmocka_run_group_tests_name("difference", tests, start, stop);
}
