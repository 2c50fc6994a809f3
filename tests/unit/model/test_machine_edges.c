/* Load errors that come from deep inside a machine file, its limits at their edges, and what
 * several machines must agree on. */
#include "groups.h"
#include "support/model/machine_fixture.h"

#include <string.h>

static const char base[] =
    "machine: doors\n"                                                                  /* 1 */
    "version: 1\n"                                                                      /* 2 */
    "topics: [t]\n"                                                                     /* 3 */
    "message: { format: cloudevents, entity: /data/door }\n"                            /* 4 */
    "claim: { space: s }\n"                                                             /* 5 */
    "entity: { table: doors, key: door, columns: { n: integer, who: text } }\n"         /* 6 */
    "records: { visits: { key: visit, columns: { by: text } } }\n"                      /* 7 */
    "states: { open: {}, shut: {} }\n"                                                  /* 8 */
    "events:\n"                                                                         /* 9 */
    "  made: [ { from: none, to: open } ]\n"                                            /* 10 */
    "  closed: [ { from: open, to: shut, require: [ { left: /data/n, at_most: n } ],\n" /* 11 */
    "              set: { who: /data/who }, add: { n: 1 },\n"                           /* 12 */
    "              record: { visits: { visit: /data/v, by: /data/by } } } ]\n"          /* 13 */
    "filter: [noise]\n";                                                                /* 14 */

/* base with the first `find` replaced; the arena's. */
static const char *changed(struct ow_arena *arena, const char *find, const char *replace)
{
    const char *const at = strstr(base, find);
    assert_non_null(at);
    return ow_arena_printf(arena, "%.*s%s%s", (int)(at - base), base, replace, at + strlen(find));
}

static void assert_refused(const char *text, const char *message)
{
    struct ow_machines machines;
    struct ow_err err = {{0}};
    ow_machines_init(&machines);
    assert_int_equal(ow_fixture_add_text(&machines, text, &err), OW_BAD_CONFIG);
    assert_string_equal(err.text, message);
    ow_machines_done(&machines);
}

static void refuses(const char *find, const char *replace, const char *message)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    assert_refused(changed(&arena, find, replace), message);
    ow_arena_done(&arena);
}

static struct ow_machine *load(struct ow_machines *machines, const char *text)
{
    struct ow_err err = {{0}};
    ow_machines_init(machines);
    if (ow_fixture_add_text(machines, text, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    return machines->list[0];
}

#define ENTITYS_KEY                                                                                \
    "'door' is the entity's key, which is no operand: name its pointer ({const: door} for the "    \
    "text)"

static void operand__wrong__is_named_wherever_it_stands(void **state)
{
    (void)state;
    refuses("left: /data/n", "left: door",
            "test.yaml:11: events.closed.0.require.0.left: " ENTITYS_KEY);
    refuses("left: /data/n", "left: who",
            "test.yaml:11: events.closed.0.require.0.left: expects an integer, and this is a text");
    refuses("who: /data/who", "who: door", "test.yaml:12: events.closed.0.set.who: " ENTITYS_KEY);
    refuses("who: /data/who", "whose: 1",
            "test.yaml:12: events.closed.0.set.whose: the entity has no column 'whose'");
    refuses("n: 1 }", "n: { sum: [1, door] } }",
            "test.yaml:12: events.closed.0.add.n.sum.1: " ENTITYS_KEY);
    refuses("n: 1 }", "n: { sum: [1, { const: x }] } }",
            "test.yaml:12: events.closed.0.add.n.sum.1: expects an integer, and 'x' is a text (no "
            "column has that name)");
    refuses("visit: /data/v", "visit: door",
            "test.yaml:13: events.closed.0.record.visits.visit: " ENTITYS_KEY);
    refuses("by: /data/by", "by: door",
            "test.yaml:13: events.closed.0.record.visits.by: " ENTITYS_KEY);
    refuses("by: /data/by", "by: /data/~2",
            "test.yaml:13: events.closed.0.record.visits.by: '/data/~2' is not a JSON pointer");
    refuses("who: /data/who", "who: /data/n",
            "test.yaml:12: events.closed.0.set.who: /data/n is needed as a text here and as an "
            "integer elsewhere");
    refuses("from: open, to: shut", "from: open, to: ajar",
            "test.yaml:11: events.closed.0.to: there is no state 'ajar'");
}

static void pointers_compared_with_each_other__meet_in_either_order(void **state)
{
    (void)state;
    /* The type comes from the right side of the first pair, or from the left side. */
    static const char *const both[] = {
        "require: [ { left: /data/x, equals: /data/y }, { left: /data/y, equals: n } ]",
        "require: [ { left: /data/y, equals: /data/x }, { left: /data/y, equals: n } ]"};
    for (size_t i = 0; i < 2; i++) {
        struct ow_arena arena;
        struct ow_machines machines;
        ow_arena_init(&arena, 4096);
        const struct ow_machine *const machine =
            load(&machines, changed(&arena, "require: [ { left: /data/n, at_most: n } ]", both[i]));
        const struct ow_event_type *const closed = ow_machine_event(machine, OW_SLICE("closed"));
        assert_int_equal(closed->needs[0].type, OW_TYPE_INTEGER);
        assert_int_equal(closed->needs[1].type, OW_TYPE_INTEGER);
        ow_machines_done(&machines);
        ow_arena_done(&arena);
    }
}

static void pointers__64_of_an_event__are_the_limit(void **state)
{
    (void)state;
    for (int count = 60; count <= 61; count++) { /* and four that the event names already */
        struct ow_arena arena;
        struct ow_machines machines;
        struct ow_err err = {{0}};
        OW_BUFFER require = {0};
        ow_arena_init(&arena, 65536);
        for (int i = 0; i < count; i++) {
            ow_buffer_printf(&require, "%s{ left: /x/%d, at_least: 0 }", i == 0 ? "" : ", ", i);
        }
        const char *const text = changed(
            &arena, "{ left: /data/n, at_most: n }",
            ow_arena_printf(&arena, "{ left: /data/n, at_most: n }, %s", ow_buffer_cstr(&require)));
        ow_machines_init(&machines);
        const enum ow_status status = ow_fixture_add_text(&machines, text, &err);
        if (count == 60) {
            assert_int_equal(status, OW_OK);
            assert_int_equal(ow_machine_event(machines.list[0], OW_SLICE("closed"))->need_count,
                             OW_EVENT_POINTERS_MAX);
        } else {
            assert_int_equal(status, OW_BAD_CONFIG);
            assert_string_equal(err.text,
                                "test.yaml:13: events.closed.0.record.visits.by: an event "
                                "names at most 64 pointers");
        }
        ow_machines_done(&machines);
        ow_arena_done(&arena);
    }
}

static void column__constant__is_held_to_both_ends_of_its_range(void **state)
{
    (void)state;
    refuses("n: integer", "n: { type: integer, min: 1, max: 2, default: 0 }",
            "test.yaml:6: entity.columns.n.default: 0 is outside the declared range of the column "
            "'n'");
    refuses("who: text", "who: { type: text, min_length: 2, default: x }",
            "test.yaml:6: entity.columns.who.default: 'x' has not the declared length of the "
            "column 'who'");
    refuses("who: text", "who: { type: text, length: 2, min_length: 1 }",
            "test.yaml:6: entity.columns.who: length says it all: no min_length or max_length "
            "beside it");
    struct ow_arena arena;
    struct ow_machines machines;
    ow_arena_init(&arena, 4096);
    const struct ow_machine *const machine =
        load(&machines, changed(&arena, "n: integer, who: text",
                                "n: { type: integer, index: true, default: -1 }, "
                                "who: { type: text, length: 2, index: false, default: ab }"));
    assert_true(machine->entity.columns[0].index);
    assert_int_equal(machine->entity.columns[0].default_value.integer, -1);
    assert_false(machine->entity.columns[1].index);
    assert_true(ow_slice_equals_text(machine->entity.columns[1].default_value.text, "ab"));
    ow_machines_done(&machines);
    ow_arena_done(&arena);
}

#define EXPLICIT "{ format: explicit, type: header:type, id: /id, entity: key }\n"
#define SAME_MESSAGE                                                                               \
    "{ format: cloudevents, entity: /data/door }\nclaim: { space: s }\n" /* of the base */

static void claim__of_an_explicit_message__names_only_what_there_is(void **state)
{
    (void)state;
    refuses(SAME_MESSAGE, EXPLICIT "claim: { key: [id], fingerprint: [/a, time] }\n",
            "test.yaml:5: claim.fingerprint.1: names 'time', which message does not say where to "
            "find");
    refuses(SAME_MESSAGE, EXPLICIT "claim: { key: [subject], fingerprint: [/a] }\n",
            "test.yaml:5: claim.key.0: names 'subject', which message does not say where to find");
    struct ow_arena arena;
    struct ow_machines machines;
    ow_arena_init(&arena, 4096);
    const struct ow_machine *const machine = load(
        &machines, changed(&arena, SAME_MESSAGE,
                           "{ format: explicit, type: header:type, id: /id, source: header:from, "
                           "time: /at, entity: key }\n"
                           "claim: { key: [source, time, id], fingerprint: [time, source] }\n"));
    assert_int_equal(machine->message.time.kind, OW_PART_POINTER);
    assert_int_equal(machine->events[0].claim->key_parts[1].kind, OW_PART_TIME);
    ow_machines_done(&machines);
    ow_arena_done(&arena);
}

/* The claim of `made`, which says itself what stands between the braces. */
static void made_has_rule(const char *message, const char *own, const char *rule)
{
    struct ow_arena arena;
    struct ow_machines machines;
    ow_arena_init(&arena, 4096);
    const char *const with_event = ow_arena_printf(
        &arena, "%smade: { claim: { %s }, transitions: [ { from: none, to: open } ] }\n", "", own);
    const char *const text = changed(&arena, "made: [ { from: none, to: open } ]\n", with_event);
    const char *const at = strstr(text, SAME_MESSAGE);
    const char *const whole = ow_arena_printf(&arena, "%.*s%s%s", (int)(at - text), text, message,
                                              at + strlen(SAME_MESSAGE));
    const struct ow_machine *const machine = load(&machines, whole);
    assert_string_equal(ow_machine_event(machine, OW_SLICE("made"))->claim->rule_text, rule);
    ow_machines_done(&machines);
    ow_arena_done(&arena);
}

static void claim__of_an_event__replaces_fields_or_ignore_alone(void **state)
{
    (void)state;
    made_has_rule(SAME_MESSAGE, "ignore: [/data/retry]",
                  "{\"fields\":[\"type\",\"/data\"],\"ignore\":[\"/data/retry\"]}");
    made_has_rule(SAME_MESSAGE, "fingerprint: [/data/a]",
                  "{\"fields\":[\"/data/a\"],\"ignore\":[]}");
    made_has_rule(EXPLICIT "claim: { key: [id], fingerprint: [/a] }\n", "ignore: [/a/b]",
                  "{\"fields\":[\"/a\"],\"ignore\":[\"/a/b\"]}");
    refuses("made: [ { from: none, to: open } ]",
            "made: { claim: { fingerprint: [\"x\"] }, transitions: [ { from: none, to: open } ] }",
            "test.yaml:10: events.made.claim.fingerprint.0: 'x' is not type, source, id, time, "
            "subject, entity, key, header:NAME or a JSON pointer");
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    const char *const text =
        ow_arena_printf(&arena, "%s",
                        changed(&arena, "made: [ { from: none, to: open } ]",
                                "made: { claim: { key: [time] }, transitions: [ { from: none, to: "
                                "open } ] }"));
    const char *const at = strstr(text, SAME_MESSAGE);
    assert_refused(ow_arena_printf(&arena, "%.*s%s%s", (int)(at - text), text,
                                   EXPLICIT "claim: { key: [id], fingerprint: [/a] }\n",
                                   at + strlen(SAME_MESSAGE)),
                   "test.yaml:10: events.made.claim.key.0: names 'time', which message does not "
                   "say where to find");
    ow_arena_done(&arena);
}

static void names__twice_or_unknown__are_refused(void **state)
{
    (void)state;
    refuses("filter: [noise]", "filter: [noise, hum, noise]",
            "test.yaml:14: filter.2: 'noise' comes twice");
    refuses("shut: {}", "shut: { x: 1 }",
            "test.yaml:8: states.shut.x: unknown key (known here: none)");
    refuses("format: cloudevents", "format: 1",
            "test.yaml:4: message.format: expects one of: cloudevents, explicit; not an integer");
}

/* A small machine of the shared topic, with an explicit message. */
static const char *explicit_machine(struct ow_arena *arena, const char *name, const char *places)
{
    return ow_arena_printf(arena,
                           "machine: %s\nversion: 1\ntopics: [t]\n"
                           "message: { format: explicit, entity: /e, %s }\n"
                           "claim: { key: [id], fingerprint: [/a] }\n"
                           "entity: { table: %s, key: k }\nstates: { s: {} }\n"
                           "events: { %s.made: [ { from: none, to: s } ] }\n"
                           "filter: [a, b]\n",
                           name, places, name, name);
}

/* Both machines together; message: NULL where they go together. */
static void together(const char *one, const char *other, const char *message)
{
    struct ow_machines machines;
    struct ow_err err = {{0}};
    ow_machines_init(&machines);
    assert_int_equal(ow_fixture_add_text(&machines, one, &err), OW_OK);
    assert_int_equal(ow_fixture_add_text(&machines, other, &err), OW_OK);
    const enum ow_status status = ow_machines_check(&machines, &err);
    assert_int_equal(status, message == NULL ? OW_OK : OW_BAD_CONFIG);
    if (message != NULL) {
        assert_string_equal(err.text, message);
    }
    ow_machines_done(&machines);
}

static void machines_of_a_topic__read_records_alike(void **state)
{
    (void)state;
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    static const char places[] = "type: header:type, id: /id, source: key, time: /at";
    static const char *const others[] = {
        "type: header:kind, id: /id, source: key, time: /at", /* another header */
        "type: key, id: /id, source: key, time: /at",         /* another kind of place */
        "type: header:type, id: /no, source: key, time: /at", /* another pointer */
        "type: header:type, id: /id, source: /s, time: /at",
        "type: header:type, id: /id, time: /at", /* one of them has no source */
        "type: header:type, id: /id, source: key, time: /when",
        "type: header:type, id: /id, source: key",
    };
    const char *const one = explicit_machine(&arena, "one", places);
    together(one, explicit_machine(&arena, "two", places), NULL);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        together(one, explicit_machine(&arena, "two", others[i]),
                 "test.yaml: machines that share a topic must agree on message (except entity), "
                 "and 'one' in test.yaml differs (topic 't')");
    }
    together(base, one,
             "test.yaml: machines that share a topic must agree on message (except entity), and "
             "'doors' in test.yaml differs (topic 't')");
    ow_arena_done(&arena);
}

static void machines_of_a_topic__filter_the_same_types_in_any_order(void **state)
{
    (void)state;
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    const char *const one = explicit_machine(&arena, "one", "type: key, id: /id");
    const char *const two = explicit_machine(&arena, "two", "type: key, id: /id");
    const size_t head = (size_t)(strstr(two, "filter:") - two);
    together(one, ow_arena_printf(&arena, "%.*sfilter: [b, a]\n", (int)head, two), NULL);
    together(one, ow_arena_printf(&arena, "%.*sfilter: [b, c]\n", (int)head, two),
             "test.yaml: machines that share a topic must agree on filter, and 'one' in test.yaml "
             "differs (topic 't')");
    ow_arena_done(&arena);
}

static void machines__32__are_the_limit(void **state)
{
    (void)state;
    struct ow_arena arena;
    struct ow_machines machines;
    struct ow_err err = {{0}};
    ow_arena_init(&arena, 65536);
    ow_machines_init(&machines);
    for (int i = 0; i < OW_MACHINES_MAX; i++) {
        const char *const name = ow_arena_printf(&arena, "m%d", i);
        assert_int_equal(ow_fixture_add_text(
                             &machines, explicit_machine(&arena, name, "type: key, id: /id"), &err),
                         OW_OK);
    }
    assert_int_equal(ow_fixture_add_text(
                         &machines, explicit_machine(&arena, "more", "type: key, id: /id"), &err),
                     OW_BAD_CONFIG);
    assert_string_equal(err.text, "test.yaml: more than 32 machines");
    assert_false(ow_machines_filters(&machines, OW_SLICE("another topic"), OW_SLICE("a")));
    ow_machines_done(&machines);
    ow_arena_done(&arena);
}

int ow_test_machine_edges(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(operand__wrong__is_named_wherever_it_stands),
        cmocka_unit_test(pointers_compared_with_each_other__meet_in_either_order),
        cmocka_unit_test(pointers__64_of_an_event__are_the_limit),
        cmocka_unit_test(column__constant__is_held_to_both_ends_of_its_range),
        cmocka_unit_test(claim__of_an_explicit_message__names_only_what_there_is),
        cmocka_unit_test(claim__of_an_event__replaces_fields_or_ignore_alone),
        cmocka_unit_test(names__twice_or_unknown__are_refused),
        cmocka_unit_test(machines_of_a_topic__read_records_alike),
        cmocka_unit_test(machines_of_a_topic__filter_the_same_types_in_any_order),
        cmocka_unit_test(machines__32__are_the_limit),
    };
    return cmocka_run_group_tests_name("machine_edges", tests, NULL, NULL);
}
