#include "engine/seed.h"
#include "engine_fixture.h"
#include "groups.h"
#include "store/verify.h"

#include <stdlib.h>
#include <string.h>

#define ORDER       ",\"amount\":5,\"currency\":\"EUR\""
#define PAYMENT(id) ORDER ",\"method\":\"card\",\"payment_id\":\"" id "\""

/* What was taken over, then a worker on it: each test ends with a verify that must be content. */
struct bench {
    struct ow_fixture *fixture;
    struct ow_apply apply;
    struct ow_chunk chunk;
    struct ow_err err;
    int64_t next_offset;
};

static struct bench bench;

static int start(void **state)
{
    (void)ow_engine_start(state);
    memset(&bench, 0, sizeof(bench));
    bench.fixture = *state;
    bench.next_offset = 100;
    ow_chunk_init(&bench.chunk, OW_CHUNK_ROWS);
    const struct ow_apply_options options = ow_engine_apply_options(bench.fixture);
    assert_int_equal(ow_apply_open(&bench.apply, &options, &bench.err), OW_OK);
    return 0;
}

static int stop(void **state)
{
    ow_apply_close(&bench.apply);
    ow_chunk_done(&bench.chunk);
    return ow_engine_stop(state);
}

static void must(enum ow_status status)
{
    if (status != OW_OK) {
        fail_msg("%s", bench.err.text);
    }
}

static void assign(void)
{
    ow_engine_assign(&bench.chunk, 1, OW_RESUME_COMMITTED, bench.next_offset);
    must(ow_apply_assignment(&bench.apply, &bench.chunk, &bench.err));
}

static void apply(const char *id, const char *type, const char *entity, const char *data)
{
    struct ow_chunk *const list[] = {&bench.chunk};
    ow_chunk_reset(&bench.chunk, 1);
    ow_engine_put(bench.fixture, &bench.chunk,
                  ow_engine_event(bench.fixture, id, type, entity, data), bench.next_offset++);
    ow_engine_decode(bench.fixture, &bench.chunk);
    must(ow_apply_batch(&bench.apply, list, 1, &bench.err));
}

static int64_t count(enum ow_outcome outcome)
{
    return bench.apply.totals.counts[outcome];
}

/* The claims of ids from first to last, as rows of another system have them. */
static size_t seed_claims(int first, int last)
{
    static struct ow_seed_claim list[64];
    size_t len = 0;
    size_t claimed = 0;
    for (int i = first; i <= last; i++) {
        OW_JSON *row = json_pack("{s:s, s:o}", "source", "s", "id", json_sprintf("m%d", i));
        assert_null(ow_seed_read_claim(&bench.fixture->machines,
                                       ow_store_hash_key(bench.fixture->store), row,
                                       &bench.fixture->kept, &list[len]));
        list[len++].record = (struct ow_record){.topic = OW_SLICE(OW_SEED_NAME), .offset = i};
    }
    must(ow_seed_claims(&bench.apply, list, len, &claimed, &bench.err));
    return claimed;
}

static enum ow_status try_entity(const char *text, enum ow_seeded *ret_seeded)
{
    struct ow_seed_entity entity;
    OW_JSON *row = json_loads(text, 0, NULL);
    assert_non_null(row);
    assert_null(
        ow_seed_entity_read(bench.fixture->machines.list[0], row, &bench.fixture->kept, &entity));
    entity.record = (struct ow_record){.topic = OW_SLICE(OW_SEED_NAME), .offset = 1};
    return ow_seed_entities(&bench.apply, &entity, 1, ret_seeded, &bench.err);
}

static enum ow_seeded seed_entity(const char *text)
{
    enum ow_seeded seeded = OW_SEEDED_ROW_TAKEN;
    must(try_entity(text, &seeded));
    return seeded;
}

static struct ow_verification verify(void)
{
    struct ow_verification verification;
    must(ow_verify(bench.fixture->path, &bench.fixture->kept, &verification, &bench.err));
    return verification;
}

static void must_be_content(void)
{
    const struct ow_verification verification = verify();
    for (size_t i = 0; i < verification.promise_count; i++) {
        if (verification.promises[i].broken > 0) {
            fail_msg("%s: %s", verification.promises[i].name, verification.promises[i].examples[0]);
        }
    }
    assert_true(verification.ok);
}

static void must_find(const char *promise, const char *edit)
{
    ow_fixture_exec(bench.fixture, edit);
    ow_fixture_exec(bench.fixture, "DELETE FROM ow_meta WHERE key GLOB 'seal.*'");
    const struct ow_verification verification = verify();
    for (size_t i = 0; i < verification.promise_count; i++) {
        if (strcmp(verification.promises[i].name, promise) == 0 &&
            verification.promises[i].broken > 0) {
            return;
        }
    }
    fail_msg("%s is content with: %s", promise, edit);
}

static const char paid[] =
    "{\"id\":\"o1\",\"state\":\"paid\",\"amount_minor\":5,\"currency\":\"EUR\",\"paid_minor\":5,"
    "\"records\":{\"payments\":[{\"payment_id\":\"p1\",\"order_id\":\"o1\",\"amount_minor\":5,"
    "\"currency\":\"EUR\",\"method\":\"card\"}]}}";

static void claims__seeded_twice__are_taken_once_and_make_duplicates(void **state)
{
    (void)state;
    assert_int_equal(seed_claims(1, 40), 40);
    assert_int_equal(seed_claims(31, 50), 10);
    assign();
    apply("m7", "order.created", "o1", ORDER);
    apply("m51", "order.created", "o1", ORDER);
    assert_int_equal(count(OW_OUTCOME_DUPLICATE), 1);
    assert_int_equal(count(OW_OUTCOME_APPLIED), 1);
    assert_int_equal(seed_claims(50, 52), 1); /* 51 is the worker's by now */
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT count(*) FROM ow_claims"), 52);
    assert_int_equal(
        ow_fixture_i64(bench.fixture, "SELECT count(*) FROM ow_sighting WHERE cause = 'seed'"), 51);
    must_be_content();
}

static void claims__given_twice_in_one_transaction__are_one(void **state)
{
    (void)state;
    struct ow_seed_claim list[2] = {{.retention_ms = 1000}, {.retention_ms = 1000}};
    list[0].record = list[1].record = (struct ow_record){.topic = OW_SLICE(OW_SEED_NAME)};
    size_t claimed = 0;
    must(ow_seed_claims(&bench.apply, list, 2, &claimed, &bench.err));
    assert_int_equal(claimed, 1);
}

static void claims__pruned_with_their_class__leave_a_store_that_is_whole(void **state)
{
    (void)state;
    assert_int_equal(seed_claims(1, 40), 40);
    bench.fixture->clock.now_ms += INT64_C(50) * 86400000;
    ow_fixture_tend(bench.fixture, INT64_MIN); /* seals */
    assert_int_equal(seed_claims(39, 42), 2);
    bench.fixture->clock.now_ms += INT64_C(40) * 86400000; /* these are kept for 45 days */
    ow_fixture_tend(bench.fixture, bench.fixture->clock.now_ms);
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT count(*) FROM ow_claims"), 2);
    must_be_content();
}

static void entity__seeded__goes_on(void **state)
{
    (void)state;
    assert_int_equal(seed_entity(paid), OW_SEEDED);
    assert_int_equal(seed_entity(paid), OW_SEEDED_KNOWN);
    assign();
    apply("m1", "order.dispatched", "o1", "");
    apply("m2", "payment.refunded", "o1", ORDER ",\"refund_id\":\"r1\"");
    assert_int_equal(count(OW_OUTCOME_APPLIED), 2);
    apply("m3", "payment.succeeded", "o1", PAYMENT("p1")); /* by its own id */
    assert_int_equal(count(OW_OUTCOME_STALE), 1);
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT version FROM orders"), 3);
    assert_string_equal(ow_fixture_text(bench.fixture, "SELECT state FROM orders"), "dispatched");
    must_be_content();
}

static void entity__with_parked_records__wakes_them(void **state)
{
    (void)state;
    assign();
    apply("m1", "order.dispatched", "o1", "");
    apply("m2", "order.received", "o1", "");
    assert_int_equal(count(OW_OUTCOME_PARKED), 2);
    assert_int_equal(seed_entity(paid), OW_SEEDED);
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT count(*) FROM ow_parked"), 0);
    assert_string_equal(ow_fixture_text(bench.fixture, "SELECT state FROM orders"), "received");
    must_be_content();
}

static void entity__with_a_row_that_is_taken__is_refused_alone(void **state)
{
    (void)state;
    enum ow_seeded seeded = OW_SEEDED;
    assign();
    apply("m1", "order.created", "o2", ORDER);
    apply("m2", "payment.succeeded", "o2", PAYMENT("p1"));
    assert_int_equal(try_entity(paid, &seeded), OW_RECORD_REFUSED);
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT count(*) FROM orders"), 1);
    must_be_content();
}

static void entity__that_a_trigger_refuses__leaves_nothing(void **state)
{
    (void)state;
    enum ow_seeded seeded = OW_SEEDED;
    ow_fixture_exec(bench.fixture, "CREATE TRIGGER no BEFORE INSERT ON payments"
                                   " BEGIN SELECT raise(ABORT, 'not here'); END");
    assert_int_equal(try_entity(paid, &seeded), OW_RECORD_REFUSED);
    ow_fixture_exec(bench.fixture, "DROP TRIGGER no");
    must_be_content();
    assert_int_equal(seed_entity(paid), OW_SEEDED);
    must_be_content();
}

static const struct {
    const char *promise, *edit;
} edits[] = {
    {"claims_owned",         "DELETE FROM ow_sighting WHERE ref = 3"                        },
    {"claims_owned",         "UPDATE ow_sighting SET cause = 'same_id' WHERE ref = 3"       },
    {"claims_owned",         "DELETE FROM ow_claims WHERE ref = 3"                          },
    {"refs_below_next",      "DELETE FROM ow_history_row"                                   },
    {"sums_derived",         "UPDATE orders SET paid_minor = 6"                             },
    {"sets_derived",         "UPDATE orders SET amount_minor = 6"                           },
    {"paths_of_machine",     "UPDATE orders SET state = 'created'"                          },
    {"record_rows_derived",  "UPDATE payments SET amount_minor = 6"                         },
    {"record_rows_derived",  "DELETE FROM payments"                                         },
    {"record_rows_derived",  "UPDATE payments SET payment_id = 'p2'"                        },
    {"record_rows_derived",  "INSERT INTO payments SELECT 'p2', order_id, amount_minor, currency,"
                            " method, seq FROM payments"         },
    {"times_derived",        "UPDATE orders SET created_at_ms = 1"                          },
    {"versions_without_gap", "UPDATE ow_history_row SET version = 2"                        },
    {"paths_of_machine",     "UPDATE ow_history_row SET version = 2"                        },
    {"paths_of_machine",     "UPDATE ow_history_row SET from_state = to_state"              },
    {"paths_of_machine",     "UPDATE ow_history_row SET event_type = machine"               },
    {"paths_of_machine",     "UPDATE ow_history_row SET message_id = 'm'"                   },
    {"paths_of_machine",     "UPDATE ow_history_row SET to_state = machine"                 },
    {"paths_of_machine",     "UPDATE ow_history_row SET machine_version = 9"                },
    {"paths_of_machine",     "UPDATE ow_history_row SET data = '{}'"                        },
    {"paths_of_machine",     "UPDATE ow_history_row SET data = '[]'"                        },
    {"paths_of_machine",     "UPDATE ow_history_row SET data = data || ' '"                 },
    {"paths_of_machine",     "UPDATE ow_history_row SET data = replace(data, 'EUR', 'EURO')"},
    {"paths_of_machine",     "UPDATE ow_history_row SET data = replace(data, ':5', ':0')"   },
    {"refs_below_next",      "UPDATE ow_history_row SET first_ref = 1"                      },
};

static void seeds__changed_by_hand__are_found(void **state)
{
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        if (i > 0) {
            assert_int_equal(stop(state), 0);
            assert_int_equal(start(state), 0);
        }
        assert_int_equal(seed_claims(1, 5), 5);
        assert_int_equal(seed_entity(paid), OW_SEEDED);
        must_be_content();
        must_find(edits[i].promise, edits[i].edit);
    }
}

int ow_test_seed(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
        T(claims__seeded_twice__are_taken_once_and_make_duplicates),
        T(claims__given_twice_in_one_transaction__are_one),
        T(claims__pruned_with_their_class__leave_a_store_that_is_whole),
        T(entity__seeded__goes_on),
        T(entity__with_parked_records__wakes_them),
        T(entity__with_a_row_that_is_taken__is_refused_alone),
        T(entity__that_a_trigger_refuses__leaves_nothing),
        T(seeds__changed_by_hand__are_found),
    };
    return cmocka_run_group_tests_name("engine/seed", tests, NULL, NULL);
}
