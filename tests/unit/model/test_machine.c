/* Loading a machine: what it is compiled into, and every load error once: one change to a machine
 * that is right. */
#include "groups.h"
#include "support/model/machine_fixture.h"

#include <stdlib.h>
#include <string.h>

static const char base[] =
    "machine: doors\n"                                       /* 1 */
    "version: 1\n"                                           /* 2 */
    "topics: [t]\n"                                          /* 3 */
    "message: { format: cloudevents, entity: /data/door }\n" /* 4 */
    "claim: { space: s, ignore: [/data/retry] }\n"           /* 5 */
    "entity: { table: doors, key: door, columns: { n: {type: integer, default: 0, max: 5}, who: "
    "text } }\n" /* 6 */
    "records: { visits: { key: visit, columns: { who: {type: text, max_length: 3}, at: integer } } "
    "}\n"                                                                         /* 7 */
    "states: { open: {}, shut: {} }\n"                                            /* 8 */
    "events:\n"                                                                   /* 9 */
    "  made: [ { from: none, to: open, set: { who: /data/who } } ]\n"             /* 10 */
    "  closed:\n"                                                                 /* 11 */
    "    - from: open\n"                                                          /* 12 */
    "      to: shut\n"                                                            /* 13 */
    "      require: [ { left: /data/n, at_most: n } ]\n"                          /* 14 */
    "      add: { n: 1 }\n"                                                       /* 15 */
    "      record: { visits: { visit: /data/v, who: /data/by, at: /data/at } }\n" /* 16 */
    "filter: [noise]\n";                                                          /* 17 */

/* base with the first `find` replaced. The caller frees. */
static char *changed(const char *find, const char *replace)
{
    const char *const at = strstr(base, find);
    assert_non_null(at);
    OW_BUFFER text = {0};
    ow_buffer_append(&text, base, (size_t)(at - base));
    ow_buffer_text(&text, replace);
    ow_buffer_text(&text, at + strlen(find));
    return strdup(ow_buffer_cstr(&text));
}

static void refuses(const char *find, const char *replace, const char *message)
{
    char *const text = changed(find, replace);
    struct ow_machines machines;
    struct ow_err err = {{0}};
    ow_machines_init(&machines);
    assert_int_equal(ow_fixture_add_text(&machines, text, &err), OW_BAD_CONFIG);
    assert_string_equal(err.text, message);
    assert_int_equal(machines.count, 0);
    ow_machines_done(&machines);
    free(text);
}

static struct ow_machine *load(struct ow_machines *machines, const char *text)
{
    struct ow_err err = {{0}};
    ow_machines_init(machines);
    if (ow_fixture_add_text(machines, text, &err) != OW_OK ||
        ow_machines_check(machines, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    return machines->list[0];
}

static void load__right_machine__is_compiled(void **state)
{
    (void)state;
    struct ow_machines machines;
    const struct ow_machine *const machine = load(&machines, base);
    assert_string_equal(machine->name, "doors");
    assert_int_equal(machine->state_count, 3);
    assert_string_equal(machine->states[0], "none");
    assert_int_equal(machine->park_per_entity, 32);
    assert_int_equal(machine->park_deadline_ms, 72 * 3600000);
    const struct ow_event_type *const closed = ow_machine_event(machine, OW_SLICE("closed"));
    assert_int_equal(closed->claim->key_part_count, 2);
    assert_int_equal(closed->claim->retention_ms, INT64_C(45) * 86400000);
    assert_string_equal(closed->claim->rule_text,
                        "{\"fields\":[\"type\",\"/data\"],\"ignore\":[\"/data/retry\"]}");
    assert_int_equal(closed->transition_count, 1);
    assert_int_equal(closed->transitions[0].recordings[0].table->column_count, 2);
    assert_int_equal(closed->transitions[0].pointers, 0xF);
    ow_machines_done(&machines);
}

static const struct ow_need *need(const struct ow_machine *machine, const char *event,
                                  const char *pointer)
{
    const struct ow_event_type *const type = ow_machine_event(machine, ow_slice_of(event));
    for (size_t i = 0; i < type->need_count; i++) {
        if (strcmp(type->needs[i].pointer.text, pointer) == 0) {
            return &type->needs[i];
        }
    }
    fail_msg("no need %s", pointer);
    return NULL;
}

static void need__takes_type_and_range_from_where_the_value_goes(void **state)
{
    (void)state;
    struct ow_machines machines;
    const struct ow_machine *const machine = load(&machines, base);
    assert_int_equal(need(machine, "closed", "/data/by")->type, OW_TYPE_TEXT);
    assert_int_equal(need(machine, "closed", "/data/by")->range_count, 1);
    assert_int_equal(need(machine, "closed", "/data/by")->ranges[0]->length_max, 3);
    assert_int_equal(need(machine, "closed", "/data/v")->type, OW_TYPE_TEXT);
    assert_int_equal(need(machine, "closed", "/data/v")->range_count, 0);
    /* Compared with a column: its type, but not its range. */
    assert_int_equal(need(machine, "closed", "/data/n")->type, OW_TYPE_INTEGER);
    assert_int_equal(need(machine, "closed", "/data/n")->range_count, 0);
    ow_machines_done(&machines);
}

static void need__of_added_value__has_no_range(void **state)
{
    (void)state;
    struct ow_machines machines;
    char *const text = changed("add: { n: 1 }", "add: { n: /data/more }");
    const struct ow_machine *const machine = load(&machines, text);
    assert_int_equal(need(machine, "closed", "/data/more")->type, OW_TYPE_INTEGER);
    assert_int_equal(need(machine, "closed", "/data/more")->range_count, 0);
    ow_machines_done(&machines);
    free(text);
}

static void need__of_pointers_compared_with_each_other__share_a_type(void **state)
{
    (void)state;
    struct ow_machines machines;
    char *text = changed("at_most: n }", "equals: /data/m }, { left: /data/m, equals: /data/k }");
    const struct ow_machine *machine = load(&machines, text);
    assert_int_equal(need(machine, "closed", "/data/n")->type, OW_TYPE_NULL);
    ow_machines_done(&machines);
    free(text);
    text = changed("at_most: n }", "equals: /data/m }, { left: /data/m, equals: /data/at }");
    machine = load(&machines, text);
    assert_int_equal(need(machine, "closed", "/data/n")->type, OW_TYPE_INTEGER);
    ow_machines_done(&machines);
    free(text);
}

static void operand__each_form__is_told_apart(void **state)
{
    (void)state;
    struct ow_machines machines;
    char *const text = changed("{ left: /data/n, at_most: n }",
                               "{ left: who, equals: Bob }, { left: { const: who }, equals: who }, "
                               "{ left: { sum: [n, /data/n, 2] }, at_least: 1 }");
    const struct ow_machine *const machine = load(&machines, text);
    const struct ow_requirement *const all =
        ow_machine_event(machine, OW_SLICE("closed"))->transitions[0].requirements;
    assert_int_equal(all[0].left.kind, OW_OPERAND_COLUMN);
    assert_int_equal(all[0].left.index, 1);
    assert_int_equal(all[0].right.kind, OW_OPERAND_CONSTANT);
    assert_true(ow_slice_equals_text(all[0].right.constant.text, "Bob"));
    assert_int_equal(all[1].left.kind, OW_OPERAND_CONSTANT);
    assert_int_equal(all[1].right.kind, OW_OPERAND_COLUMN);
    assert_int_equal(all[2].left.kind, OW_OPERAND_SUM);
    assert_int_equal(all[2].left.term_count, 3);
    assert_int_equal(all[2].left.terms[1].kind, OW_OPERAND_POINTER);
    assert_int_equal(all[2].comparison, OW_COMPARE_AT_LEAST);
    ow_machines_done(&machines);
    free(text);
}

static void text__without_comments_and_layout__has_the_same_digest(void **state)
{
    (void)state;
    struct ow_machines one;
    struct ow_machines other;
    const struct ow_machine *const machine = load(&one, base);
    char *text = changed("machine: doors\n", "# a comment\nmachine:   'doors'\n\n");
    assert_memory_equal(machine->digest, load(&other, text)->digest, sizeof machine->digest);
    ow_machines_done(&other);
    free(text);
    text = changed("max: 5", "max: 6");
    assert_memory_not_equal(machine->digest, load(&other, text)->digest, sizeof machine->digest);
    ow_machines_done(&other);
    ow_machines_done(&one);
    free(text);
}

static void claim__of_an_event__inherits_what_it_does_not_say(void **state)
{
    (void)state;
    struct ow_machines machines;
    char *const text = changed("made: [ { from: none, to: open, set: { who: /data/who } } ]",
                               "made: { claim: { key: [entity], retention: 1d }, transitions: [ { "
                               "from: none, to: open } ] }");
    const struct ow_machine *const machine = load(&machines, text);
    const struct ow_claim_rule *const made = ow_machine_event(machine, OW_SLICE("made"))->claim;
    const struct ow_claim_rule *const closed = ow_machine_event(machine, OW_SLICE("closed"))->claim;
    assert_ptr_not_equal(made, closed);
    assert_string_equal(made->space, "s");
    assert_int_equal(made->key_part_count, 1);
    assert_int_equal(made->key_parts[0].kind, OW_PART_ENTITY);
    assert_int_equal(made->retention_ms, 86400000);
    assert_string_equal(made->rule_text, closed->rule_text);
    assert_int_equal(closed->key_part_count, 2);
    ow_machines_done(&machines);
    free(text);
}

static void names__wrong__are_refused(void **state)
{
    (void)state;
    refuses("table: doors", "table: ow_doors",
            "test.yaml:6: entity.table: 'ow_doors' is not a name of a-z, 0-9 and '_' that does not "
            "begin with 'ow_' or 'sqlite_'");
    refuses("visits: { key", "Visits: { key",
            "test.yaml:7: records.Visits: 'Visits' is not a name of a-z, 0-9 and '_' that does not "
            "begin with 'ow_' or 'sqlite_'");
    refuses("columns: { n:", "columns: { version:",
            "test.yaml:6: entity.columns.version: 'version' is not a name of a-z, 0-9 and '_' that "
            "is not reserved (ow_…, "
            "sqlite_…, state, version, last_seq, seq, created_at_ms, updated_at_ms)");
    refuses("columns: { n:", "columns: { door: text, n:",
            "test.yaml:6: entity.columns.door: the key is a column of its own already");
    refuses("records: { visits:", "records: { doors:",
            "test.yaml:7: records.doors: this is the table of the entity");
    refuses("shut: {}", "none: {}",
            "test.yaml:8: states.none: 'none' is not a state's name of letters, digits, '_', '-' "
            "and '.' (none and same are taken)");
    refuses("topics: [t]", "topics: [t, t]", "test.yaml:3: topics.1: 't' comes twice");
    refuses(
        "entity: /data/door", "entity: door",
        "test.yaml:4: message.entity: 'door' is not a JSON pointer, header:NAME, key or subject");
}

static void key__unknown_or_missing__is_refused(void **state)
{
    (void)state;
    refuses("version: 1", "verzion: 1",
            "test.yaml:2: verzion: unknown key (did you mean 'version'?)");
    refuses("      to: shut\n", "", "test.yaml:12: events.closed.0: the key 'to' is missing");
    refuses("message: { format: cloudevents,", "message: { format: cloudevents, id: /id,",
            "test.yaml:4: message.id: unknown key (known here: format, entity)");
    refuses("{ format: cloudevents, ", "{ ",
            "test.yaml:4: message: the key 'format' is missing (one of: cloudevents, explicit)");
    refuses("who: text }", "who: { type: blob } }",
            "test.yaml:6: entity.columns.who.type: 'blob' is none of: integer, text");
    refuses("format: cloudevents", "format: avro",
            "test.yaml:4: message.format: 'avro' is none of: cloudevents, explicit");
}

static void column__range__must_make_sense(void **state)
{
    (void)state;
    refuses("max: 5", "max: 5, min: 6", "test.yaml:6: entity.columns.n: min is above max");
    refuses(
        "default: 0", "default: 9",
        "test.yaml:6: entity.columns.n.default: 9 is outside the declared range of the column 'n'");
    refuses("max_length: 3", "max_length: 3, min_length: 4",
            "test.yaml:7: records.visits.columns.who: min_length is above max_length");
    refuses("max_length: 3", "max_length: 3, length: 3",
            "test.yaml:7: records.visits.columns.who: length says it all: no min_length or "
            "max_length beside it");
    refuses("at: integer", "at: { type: integer, default: 1 }",
            "test.yaml:7: records.visits: the column 'at' has a default, but whatever records a "
            "row gives every column");
    refuses("who: text }", "who: { type: text, min: 1 } }",
            "test.yaml:6: entity.columns.who.min: unknown key (known here: type, length, "
            "min_length, max_length, default, index)");
}

static void transition__states__must_be_there_and_once(void **state)
{
    (void)state;
    refuses("from: open", "from: ajar",
            "test.yaml:12: events.closed.0.from: there is no state 'ajar'");
    refuses("to: shut", "to: ajar", "test.yaml:13: events.closed.0.to: there is no state 'ajar'");
    refuses("from: open", "from: [open, open]",
            "test.yaml:12: events.closed.0.from: the event has a transition from 'open' already");
    refuses("to: open, set: { who: /data/who } }", "to: open }, { from: none, to: shut }",
            "test.yaml:10: events.made.1.from: the event has a transition from 'none' already");
    refuses("to: open, set", "to: same, set",
            "test.yaml:10: events.made.0.to: an entity cannot stay in 'none'");
    refuses("to: shut", "to: none",
            "test.yaml:13: events.closed.0.to: an entity cannot go back to 'none'");
    refuses("filter: [noise]", "filter: [closed]",
            "test.yaml:11: events.closed: the type is listed under filter too");
}

static void operand__wrong_type__is_refused(void **state)
{
    (void)state;
    refuses("set: { who: /data/who }", "set: { who: 1 }",
            "test.yaml:10: events.made.0.set.who: expects a text, and this is an integer");
    refuses("set: { who: /data/who }", "set: { n: many }",
            "test.yaml:10: events.made.0.set.n: expects an integer, and 'many' is a text (no "
            "column has that name)");
    refuses("set: { who: /data/who }", "set: { n: 6 }",
            "test.yaml:10: events.made.0.set.n: 6 is outside the declared range of the column 'n'");
    refuses("who: /data/by", "who: Barbara",
            "test.yaml:16: events.closed.0.record.visits.who: 'Barbara' has not the declared "
            "length of the column 'who'");
    refuses("add: { n: 1 }", "add: { who: 1 }",
            "test.yaml:15: events.closed.0.add.who: only integer columns can be added to");
    refuses("add: { n: 1 }", "add: { n: 1 }\n      set: { n: 1 }",
            "test.yaml:15: events.closed.0.add.n: is set and added to by the same transition");
    refuses("add: { n: 1 }", "add: { n: who }",
            "test.yaml:15: events.closed.0.add.n: expects an integer, and this is a text");
    refuses(
        "at_most: n", "at_most: who",
        "test.yaml:14: events.closed.0.require.0.at_most: expects an integer, and this is a text");
    refuses("at_most: n", "equals: { sum: [n, who] }",
            "test.yaml:14: events.closed.0.require.0.equals.sum.1: expects an integer, and this is "
            "a text");
    refuses("at: /data/at", "at: /data/by",
            "test.yaml:16: events.closed.0.record.visits.at: /data/by is needed as an integer here "
            "and as a text elsewhere");
    refuses("at_most: n }",
            "equals: /data/m }, { left: /data/n, equals: who }, { left: /data/m, equals: n }",
            "test.yaml:11: events.closed: /data/n is compared with /data/m, and one is an integer, "
            "the other a text");
    refuses("at_most: n", "equals: door",
            "test.yaml:14: events.closed.0.require.0.equals: 'door' is the entity's key, which is "
            "no operand: name its pointer "
            "({const: door} for the text)");
}

static void record__must_be_whole(void **state)
{
    (void)state;
    refuses(
        "visit: /data/v, ", "",
        "test.yaml:16: events.closed.0.record.visits: the key 'visit' of the table is not given");
    refuses(
        ", at: /data/at }", " }",
        "test.yaml:16: events.closed.0.record.visits: the column 'at' of the table is not given");
    refuses("at: /data/at }", "at: /data/at, when: 1 }",
            "test.yaml:16: events.closed.0.record.visits.when: the table 'visits' has no column "
            "'when'");
    refuses("record: { visits:", "record: { calls:",
            "test.yaml:16: events.closed.0.record.calls: there is no record table 'calls'");
    refuses(
        "visit: /data/v", "visit: who",
        "test.yaml:16: events.closed.0.record.visits.visit: the key of a record must be a pointer");
    refuses("add: { n: 1 }", "add: { m: 1 }",
            "test.yaml:15: events.closed.0.add.m: the entity has no column 'm'");
}

static void explicit_message__must_say_what_is_used(void **state)
{
    (void)state;
    refuses("{ format: cloudevents, entity: /data/door }",
            "{ format: explicit, type: header:type, id: /id, entity: key }",
            "test.yaml:5: claim.key.0: names 'source', which message does not say where to find");
    refuses("{ format: cloudevents, entity: /data/door }\nclaim: { space: s, ",
            "{ format: explicit, type: key, id: /id, entity: /e }\nclaim: { key: [id], ",
            "test.yaml:5: claim: with format explicit there is no /data: claim.fingerprint must "
            "say what a redelivery must not change");
    refuses("{ format: cloudevents, entity: /data/door }",
            "{ format: explicit, type: key, id: /id, source: \"header:\", entity: /e }",
            "test.yaml:4: message.source: 'header:' is not a JSON pointer, header:NAME or key");
}

static void add_both(const char *find, const char *replace, const char *message)
{
    char *const text = changed(find, replace);
    struct ow_machines machines;
    struct ow_err err = {{0}};
    ow_machines_init(&machines);
    assert_int_equal(ow_fixture_add_text(&machines, base, &err), OW_OK);
    enum ow_status status = ow_fixture_add_text(&machines, text, &err);
    if (status == OW_OK) {
        status = ow_machines_check(&machines, &err);
    }
    if (message == NULL) {
        assert_int_equal(status, OW_OK);
    } else {
        assert_int_equal(status, OW_BAD_CONFIG);
        assert_string_equal(err.text, message);
    }
    ow_machines_done(&machines);
    free(text);
}

#define OTHER                                                                                      \
    "machine: other\nversion: 1\ntopics: [t]\nmessage: { format: cloudevents, entity: /x "         \
    "}\nentity: { table: others, key: k }\n"                                                       \
    "states: { s: {} }\nevents: { happened: [ { from: none, to: s } ] }\nfilter: [noise]\n"

static void machines__several__must_agree(void **state)
{
    (void)state;
    add_both(base, OTHER, NULL);
    add_both("machine: doors", "machine: doors",
             "test.yaml:1: machine: there is another machine 'doors'");
    add_both("machine: doors", "machine: other",
             "test.yaml: the table 'doors' belongs to the machine 'doors' in test.yaml already");
    add_both(base, OTHER "unknown: filter\n",
             "test.yaml: machines that share a topic must agree on unknown, and 'doors' in "
             "test.yaml differs (topic 't')");
    add_both(base, OTHER "tombstones: filter\n",
             "test.yaml: machines that share a topic must agree on tombstones, and 'doors' in "
             "test.yaml differs (topic 't')");
    add_both(base,
             "machine: other\nversion: 1\ntopics: [t]\nmessage: { format: cloudevents, entity: /x "
             "}\nentity: { table: others, key: k }\n"
             "states: { s: {} }\nevents: { made: [ { from: none, to: s } ] }\nfilter: [noise]\n",
             "test.yaml: the event 'made' of topic 't' belongs to the machine 'doors' in test.yaml "
             "already");
    add_both(base,
             "machine: other\nversion: 1\ntopics: [t]\nmessage: { format: cloudevents, entity: /x "
             "}\nentity: { table: others, key: k }\n"
             "states: { s: {} }\nevents: { happened: [ { from: none, to: s } ] }\n",
             "test.yaml: machines that share a topic must agree on filter, and 'doors' in "
             "test.yaml differs (topic 't')");
}

static void lookup__by_topic_and_type__finds_the_machine(void **state)
{
    (void)state;
    struct ow_machines machines;
    struct ow_err err;
    ow_machines_init(&machines);
    assert_int_equal(ow_fixture_add_text(&machines, base, &err), OW_OK);
    assert_int_equal(ow_fixture_add_text(&machines, OTHER, &err), OW_OK);
    const struct ow_machine *machine = NULL;
    assert_non_null(ow_machines_event(&machines, OW_SLICE("t"), OW_SLICE("happened"), &machine));
    assert_string_equal(machine->name, "other");
    assert_null(ow_machines_event(&machines, OW_SLICE("u"), OW_SLICE("happened"), &machine));
    assert_true(ow_machines_filters(&machines, OW_SLICE("t"), OW_SLICE("noise")));
    assert_false(ow_machines_filters(&machines, OW_SLICE("t"), OW_SLICE("made")));
    struct ow_arena arena;
    size_t count = 0;
    ow_arena_init(&arena, 256);
    const char *const *const topics = ow_machines_topics(&machines, &arena, &count);
    assert_int_equal(count, 1);
    assert_string_equal(topics[0], "t");
    ow_arena_done(&arena);
    ow_machines_done(&machines);
}

int ow_test_machine(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load__right_machine__is_compiled),
        cmocka_unit_test(need__takes_type_and_range_from_where_the_value_goes),
        cmocka_unit_test(need__of_added_value__has_no_range),
        cmocka_unit_test(need__of_pointers_compared_with_each_other__share_a_type),
        cmocka_unit_test(operand__each_form__is_told_apart),
        cmocka_unit_test(text__without_comments_and_layout__has_the_same_digest),
        cmocka_unit_test(claim__of_an_event__inherits_what_it_does_not_say),
        cmocka_unit_test(names__wrong__are_refused),
        cmocka_unit_test(key__unknown_or_missing__is_refused),
        cmocka_unit_test(column__range__must_make_sense),
        cmocka_unit_test(transition__states__must_be_there_and_once),
        cmocka_unit_test(operand__wrong_type__is_refused),
        cmocka_unit_test(record__must_be_whole),
        cmocka_unit_test(explicit_message__must_say_what_is_used),
        cmocka_unit_test(machines__several__must_agree),
        cmocka_unit_test(lookup__by_topic_and_type__finds_the_machine),
    };
    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
