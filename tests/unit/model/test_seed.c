#include "groups.h"
#include "model/seed_entity.h"
#include "support/model/machine_fixture.h"

static struct ow_machines orders, edges, both, narrow;
static struct ow_arena arena;
static struct ow_hash_key key;

/* Events that claim unlike each other, by parts of all kinds. */
static const char edges_text[] =
    "machine: edges\nversion: 1\ntopics: [e]\n"
    "message: { format: explicit, type: header:type, id: /id, entity: /e }\n"
    "claim: { key: [/n, entity, key, header:h, type], fingerprint: [/n], retention: 30d }\n"
    "entity: { table: es, key: k, columns: { at: { type: integer } } }\n"
    "states: { s: {} }\n"
    "events:\n"
    "  x: [ { from: none, to: s } ]\n"
    "  y: { claim: { key: [id], retention: 7d }, transitions: [ { from: s, to: same } ] }\n";

/* Columns with all their bounds, and a claim by what is left of an envelope. */
static const char narrow_text[] =
    "machine: narrow\nversion: 1\ntopics: [n]\n"
    "message: { format: cloudevents, entity: subject }\n"
    "claim: { key: [time, subject], fingerprint: [type], retention: 30d }\n"
    "entity: { table: ns, key: k, columns: { few: { type: integer, max: 9 },"
    " long: { type: text, min_length: 2 } } }\n"
    "states: { s: {} }\n"
    "events: { x: [ { from: none, to: s } ] }\n";

static int start(void **state)
{
    (void)state;
    struct ow_err err;
    ow_arena_init(&arena, 65536);
    ow_machines_init(&orders);
    ow_machines_init(&edges);
    ow_machines_init(&both);
    ow_machines_init(&narrow);
    const bool ok = ow_fixture_add_file(&orders, "schemas/orders.yaml", &err) == OW_OK &&
                    ow_fixture_add_text(&edges, edges_text, &err) == OW_OK &&
                    ow_fixture_add_text(&narrow, narrow_text, &err) == OW_OK &&
                    ow_fixture_add_file(&both, "schemas/orders.yaml", &err) == OW_OK &&
                    ow_fixture_add_text(&both, edges_text, &err) == OW_OK;
    return ok ? 0 : 1;
}

static int stop(void **state)
{
    (void)state;
    ow_machines_done(&orders);
    ow_machines_done(&edges);
    ow_machines_done(&both);
    ow_machines_done(&narrow);
    ow_arena_done(&arena);
    return 0;
}

static const char *read_claim(const struct ow_machines *machines, const char *text,
                              struct ow_seed_claim *ret_claim)
{
    OW_JSON *object = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(object);
    return ow_seed_read_claim(machines, &key, object, &arena, ret_claim);
}

/* The same key as the event's own, by whatever is asked for. */
static void claim__of_a_row__is_that_of_its_message(void **state)
{
    (void)state;
    struct ow_decoder decoder = {.machines = &both, .hash_key = &key, .record_bytes_max = 4096};
    const struct ow_record paid = {
        .topic = OW_SLICE("order-events"),
        .value = OW_SLICE("{\"specversion\":\"1.0\",\"id\":\"m-1\",\"source\":\"/shop/eu\","
                          "\"type\":\"order.dispatched\",\"data\":{\"order_id\":\"o\"}}")};
    const struct ow_header headers[] = {
        {OW_SLICE("type"), OW_SLICE("x") },
        {OW_SLICE("h"),    OW_SLICE("hh")}
    };
    const struct ow_record edge = {.topic = OW_SLICE("e"),
                                   .key = OW_SLICE("kk"),
                                   .value = OW_SLICE("{\"id\":\"i\",\"e\":\"ee\",\"n\":-7}"),
                                   .headers = headers,
                                   .header_count = 2};
    const struct {
        const struct ow_record *record;
        const char *row;
    } rows[] = {
        {&paid, "{\"machine\":\"orders\",\"source\":\"/shop/eu\",\"id\":\"m-1\",\"at\":null}"},
        {&edge, "{\"machine\":\"edges\",\"type\":\"x\",\"/n\":-7,\"entity\":\"ee\",\"key\":\"kk\","
                "\"header:h\":\"hh\"}"                                        },
        {&edge, "{\"machine\":\"edges\",\"type\":\"x\",\"/n\":\"-7\",\"entity\":\"ee\","
                "\"key\":\"kk\",\"header:h\":\"hh\",\"at\":5}"                },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ow_event event;
        struct ow_seed_claim claim;
        ow_event_decode(&decoder, rows[i].record, &arena, &event);
        assert_int_equal(event.verdict, OW_OUTCOME_APPLIED);
        assert_null(read_claim(&both, rows[i].row, &claim));
        assert_memory_equal(claim.key, event.key, sizeof(claim.key));
        assert_int_equal(claim.fingerprint[0], 0);
        assert_int_equal(claim.retention_ms, event.event->claim->retention_ms);
    }
    ow_buffer_done(&decoder.scratch);
}

static void claim__of_a_bad_row__is_a_problem(void **state)
{
    (void)state;
    const struct {
        const struct ow_machines *machines;
        const char *row, *problem;
    } rows[] = {
        {&orders, "[]",                                                              "it is no JSON object"                             },
        {&orders, "{\"source\":\"s\"}",                                              "'id' is missing, and is a part of the claim's key"},
        {&orders, "{\"source\":\"s\",\"id\":null}",
         "'id' is missing, and is a part of the claim's key"                                                                            },
        {&orders, "{\"source\":\"s\",\"id\":\"\"}",
         "'id' is neither a text with anything in it nor an integer"                                                                    },
        {&orders, "{\"source\":\"s\",\"id\":\"a\\u0000b\"}",
         "'id' is neither a text with anything in it nor an integer"                                                                    },
        {&orders, "{\"source\":\"s\",\"id\":1.5}",
         "'id' is neither a text with anything in it nor an integer"                                                                    },
        {&orders, "{\"source\":\"s\",\"id\":\"1\",\"Id\":\"1\"}",
         "'Id' is no part of the claim's key"                                                                                           },
        {&orders, "{\"source\":\"s\",\"id\":\"1\",\"at\":\"yesterday\"}",
         "'at' is neither RFC 3339 nor milliseconds since 1970"                                                                         },
        {&orders, "{\"source\":\"s\",\"id\":\"1\",\"at\":true}",
         "'at' is neither RFC 3339 nor milliseconds since 1970"                                                                         },
        {&orders, "{\"source\":\"s\",\"id\":\"1\",\"at\":\"1969-12-31T23:59:59Z\"}",
         "'at' is neither RFC 3339 nor milliseconds since 1970"                                                                         },
        {&orders, "{\"source\":\"s\",\"id\":\"1\",\"at\":-1}",
         "'at' is neither RFC 3339 nor milliseconds since 1970"                                                                         },
        {&orders, "{\"source\":\"s\",\"id\":\"1\",\"type\":\"order.lost\"}",
         "'type' is no event of the machine"                                                                                            },
        {&orders, "{\"source\":\"s\",\"id\":\"1\",\"machine\":\"loans\"}",
         "'machine' is none of the machines"                                                                                            },
        {&both,   "{\"source\":\"s\",\"id\":\"1\"}",
         "'machine' is missing, and there are several machines"                                                                         },
        {&narrow, "{\"time\":\"2026-11-22T00:00:00Z\"}",
         "'subject' is missing, and is a part of the claim's key"                                                                       },
        {&edges,  "{\"id\":\"1\"}",
         "'type' is missing, and the machine's events do not all claim alike"                                                           },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ow_seed_claim claim;
        const char *problem = read_claim(rows[i].machines, rows[i].row, &claim);
        assert_non_null(problem);
        assert_string_equal(problem, rows[i].problem);
    }
}

/* A machine of two events, of which one may claim in its own way. */
static const char *read_alike(const char *claim)
{
    struct ow_err err;
    struct ow_seed_claim ret_claim;
    struct ow_machines machines;
    ow_machines_init(&machines);
    const char *const text =
        ow_arena_printf(&arena,
                        "machine: alike\nversion: 1\ntopics: [a]\n"
                        "message: { format: explicit, type: header:type, id: /id, entity: /e }\n"
                        "claim: { space: one, key: [id, /n], fingerprint: [/n], retention: 30d }\n"
                        "entity: { table: es, key: k, columns: { c: { type: integer } } }\n"
                        "states: { s: {} }\n"
                        "events:\n"
                        "  x: [ { from: none, to: s } ]\n"
                        "  y: { claim: { %s }, transitions: [ { from: s, to: same } ] }\n",
                        claim);
    if (ow_fixture_add_text(&machines, text, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    const char *const problem = read_claim(&machines, "{\"id\":\"1\",\"/n\":2}", &ret_claim);
    ow_machines_done(&machines);
    return problem;
}

static void claim__without_a_type__is_read_where_all_events_claim_alike(void **state)
{
    static const char *const others[] = {"space: two", "retention: 31d", "key: [id]",
                                         "key: [id, /m]", "key: [/n, id]"};
    (void)state;
    assert_null(read_alike("fingerprint: [/n]"));
    assert_null(read_alike("space: one, key: [id, /n], retention: 30d"));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        const char *const problem = read_alike(others[i]);
        assert_non_null(problem);
        assert_string_equal(problem,
                            "'type' is missing, and the machine's events do not all claim alike");
    }
}

static void nothing_at_all__is_a_problem(void **state)
{
    (void)state;
    struct ow_seed_claim claim;
    struct ow_seed_entity entity;
    struct ow_slice text;
    assert_string_equal(ow_seed_read_claim(&orders, &key, NULL, &arena, &claim),
                        "it is no JSON object");
    assert_string_equal(ow_seed_entity_read(orders.list[0], NULL, &arena, &entity),
                        "it is no JSON object");
    assert_false(ow_seed_read_text(NULL, &arena, &text));
}

static const char *read_entity(const char *text, struct ow_seed_entity *ret_entity)
{
    OW_JSON *object = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(object);
    return ow_seed_entity_read(orders.list[0], object, &arena, ret_entity);
}

#define PAYMENT                                                                                    \
    "{\"payment_id\":\"p\",\"order_id\":\"o\",\"amount_minor\":5,\"currency\":\"EUR\","            \
    "\"method\":\"card\"}"
#define TEXT_OF_PAYMENT                                                                            \
    "{\\\"payments\\\":[{\\\"payment_id\\\":\\\"p\\\",\\\"order_id\\\":\\\"o\\\","                 \
    "\\\"amount_minor\\\":5,\\\"currency\\\":\\\"EUR\\\",\\\"method\\\":\\\"card\\\"}]}"

static void entity__with_records__is_read_from_objects_and_texts(void **state)
{
    (void)state;
    struct ow_seed_entity entity;
    struct ow_seed_entity same;
    assert_null(read_entity("{\"id\":7,\"state\":\"paid\",\"amount_minor\":5,\"currency\":null,"
                            "\"at\":9,\"records\":{\"payments\":[" PAYMENT "]}}",
                            &entity));
    assert_true(ow_slice_equals_text(entity.id, "7"));
    assert_string_equal(orders.list[0]->states[entity.state], "paid");
    assert_int_equal(entity.at_ms, 9);
    assert_int_equal(entity.columns[0].integer, 5);
    assert_int_equal(entity.columns[1].type, OW_TYPE_NULL);
    assert_int_equal(entity.columns[2].integer, 0); /* its default */
    assert_true(ow_slice_equals_text(entity.data, "{\"columns\":{\"amount_minor\":5},\"records\":{"
                                                  "\"payments\":[{\"amount_minor\":5,\"currency\":"
                                                  "\"EUR\",\"method\":\"card\",\"order_id\":\"o\","
                                                  "\"payment_id\":\"p\"}]}}"));
    assert_non_null(entity.rows);
    assert_null(entity.rows->next);
    assert_null(read_entity("{\"id\":\"7\",\"machine\":\"orders\",\"state\":\"paid\","
                            "\"amount_minor\":5,\"records\":\"" TEXT_OF_PAYMENT "\"}",
                            &same));
    assert_true(ow_slice_equal(same.data, entity.data));
    assert_int_equal(same.at_ms, OW_SEED_NO_TIME);
}

static void entity__of_a_bad_row__is_a_problem(void **state)
{
    (void)state;
#define O(rest) "{\"id\":\"o\",\"state\":\"paid\"," rest "}"
    const struct {
        const char *row, *problem;
    } rows[] = {
        {"1",                                                                 "it is no JSON object"                                },
        {"{\"state\":\"paid\"}",                                              "'id' is no text with anything in it"                 },
        {"{\"id\":true,\"state\":\"paid\"}",                                  "'id' is no text with anything in it"                 },
        {"{\"id\":\"o\"}",                                                    "'state' is no state of the machine"                  },
        {"{\"id\":\"o\",\"state\":\"none\"}",                                 "'state' is no state of the machine"                  },
        {O("\"machine\":\"loans\""),                                          "'machine' is another one"                            },
        {O("\"at\":true"),                                                    "'at' is neither RFC 3339 nor milliseconds since 1970"},
        {O("\"amount\":1"),                                                   "table 'orders' has no column 'amount'"               },
        {O("\"amount_minor\":\"1\""),                                         "'amount_minor' is not an integer within 2^53"        },
        {O("\"amount_minor\":9007199254740993"),                              "'amount_minor' is not an integer within 2^53"        },
        {O("\"amount_minor\":-9007199254740993"),                             "'amount_minor' is not an integer within 2^53"        },
        {O("\"amount_minor\":0"),                                             "'amount_minor' is outside its range"                 },
        {O("\"currency\":7"),                                                 "'currency' is not a text"                            },
        {O("\"currency\":\"E\\u0000R\""),                                     "'currency' is not a text"                            },
        {O("\"currency\":\"EURO\""),                                          "'currency' has not the length of its column"         },
        {O("\"records\":[]"),                                                 "'records' is no object"                              },
        {O("\"records\":\"x\""),                                              "'records' is a text, and no JSON"                    },
        {O("\"records\":{\"bills\":[]}"),                                     "the machine records nothing in 'bills'"              },
        {O("\"records\":{\"payments\":{}}"),                                  "the rows of 'payments' are no array"                 },
        {O("\"records\":{\"payments\":[1]}"),                                 "a row of 'payments' is no object"                    },
        {O("\"records\":{\"payments\":[{\"payment_id\":true}]}"),
         "a row of 'payments' has no 'payment_id'"                                                                                  },
        {O("\"records\":{\"payments\":[{\"payment_id\":\"p\",\"x\":null}]}"),
         "table 'payments' has no column 'x'"                                                                                       },
        {O("\"records\":{\"payments\":[{}]}"),                                "a row of 'payments' has no 'payment_id'"             },
        {O("\"records\":{\"payments\":[{\"payment_id\":\"p\"}]}"),
         "a row of 'payments' has no 'order_id'"                                                                                    },
        {O("\"records\":{\"payments\":[{\"payment_id\":\"p\",\"x\":1}]}"),
         "table 'payments' has no column 'x'"                                                                                       },
        {O("\"records\":{\"payments\":[" PAYMENT "," PAYMENT "]}"),           "'payments' has a row twice"                          },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ow_seed_entity entity;
        const char *problem = read_entity(rows[i].row, &entity);
        assert_non_null(problem);
        assert_string_equal(problem, rows[i].problem);
    }
    struct ow_seed_entity entity;
    OW_JSON *object = json_pack("{s:s, s:s}", "id", "e", "state", "s");
    assert_string_equal(ow_seed_entity_read(edges.list[0], object, &arena, &entity),
                        "column 'at' of table 'es' cannot be told from the member of that name");
}

static void entity__with_rows_of_several_tables__has_them_all(void **state)
{
    (void)state;
    struct ow_seed_entity entity;
    assert_null(read_entity(
        O("\"records\":{\"refunds\":[{\"refund_id\":\"p\",\"order_id\":\"o\",\"amount_minor\":1,"
          "\"currency\":\"EUR\"}],\"payments\":[" PAYMENT
          ",{\"payment_id\":\"q\",\"order_id\":\"o\","
          "\"amount_minor\":5,\"currency\":\"EUR\",\"method\":\"card\"}]}"),
        &entity));
    size_t count = 0;
    for (const struct ow_seed_row *row = entity.rows; row != NULL; row = row->next) {
        count++;
    }
    assert_int_equal(count, 3);
}

static void entity__beyond_its_columns_bounds__is_a_problem(void **state)
{
    static const struct {
        const char *member, *problem;
    } rows[] = {
        {"\"few\":9",       NULL                                     },
        {"\"few\":10",      "'few' is outside its range"             },
        {"\"long\":\"ab\"", NULL                                     },
        {"\"long\":\"a\"",  "'long' has not the length of its column"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ow_seed_entity entity;
        OW_JSON *object = json_loads(
            ow_arena_printf(&arena, "{\"id\":\"o\",\"state\":\"s\",%s}", rows[i].member), 0, NULL);
        assert_non_null(object);
        const char *const problem = ow_seed_entity_read(narrow.list[0], object, &arena, &entity);
        assert_int_equal(problem == NULL, rows[i].problem == NULL);
        if (problem != NULL) {
            assert_string_equal(problem, rows[i].problem);
        }
    }
}

/* As verify reads them back from a history row that somebody may have changed. */
static void data_of_a_seed__of_another_form__is_a_problem(void **state)
{
    static const char *const texts[] = {"{}", "[]", "{\"columns\":5}",
                                        "{\"columns\":{},\"more\":1}",
                                        "{\"columns\":{},\"records\":{},\"more\":1}"};
    (void)state;
    struct ow_value columns[8];
    struct ow_seed_row *rows = NULL;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        OW_JSON *data = json_loads(texts[i], 0, NULL);
        assert_non_null(data);
        assert_string_equal(ow_seed_entity_read_data(orders.list[0], data, &arena, columns, &rows),
                            "what was given is not its columns and records");
    }
}

int ow_test_seed(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claim__of_a_row__is_that_of_its_message),
        cmocka_unit_test(claim__of_a_bad_row__is_a_problem),
        cmocka_unit_test(entity__with_records__is_read_from_objects_and_texts),
        cmocka_unit_test(claim__without_a_type__is_read_where_all_events_claim_alike),
        cmocka_unit_test(nothing_at_all__is_a_problem),
        cmocka_unit_test(entity__of_a_bad_row__is_a_problem),
        cmocka_unit_test(entity__with_rows_of_several_tables__has_them_all),
        cmocka_unit_test(entity__beyond_its_columns_bounds__is_a_problem),
        cmocka_unit_test(data_of_a_seed__of_another_form__is_a_problem),
    };
    return cmocka_run_group_tests_name("model/seed", tests, start, stop);
}
