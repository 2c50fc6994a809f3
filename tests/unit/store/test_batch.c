#include "groups.h"
#include "store/internal.h"
#include "support/store/store_fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

#define CREATED "\"amount\":1299,\"currency\":\"EUR\""

static int start(void **state)
{
    struct ow_fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    ow_fixture_init(fixture);
    ow_fixture_open(fixture);
    *state = fixture;
    return 0;
}

static int stop(void **state)
{
    ow_fixture_done(*state);
    free(*state);
    return 0;
}

/* A record of the shipped machine at the next offset, in the batch's arena. */
static struct ow_record *make_record(struct ow_fixture *fixture, const char *id, const char *type,
                                     const char *entity, const char *data)
{
    struct ow_record *record = OW_ARENA_NEW(&fixture->arena, struct ow_record);
    *record = (struct ow_record){
        .topic = fixture->position.topic,
        .offset = fixture->position_offset++,
        .timestamp_ms = fixture->clock.now_ms,
        .value = ow_slice_of(
            ow_arena_printf(&fixture->arena,
                            "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"/shop/eu\","
                            "\"type\":\"%s\",\"data\":{\"order_id\":\"%s\"%s%s}}",
                            id, type, entity, data[0] == '\0' ? "" : ",", data)),
    };
    return record;
}

/* Everything that the store holds, as one number. */
static int64_t content(struct ow_fixture *fixture)
{
    return ow_fixture_i64(
        fixture,
        "SELECT (SELECT count(*) FROM ow_claims) + 10 * (SELECT count(*) FROM ow_bucket)"
        " + 100 * (SELECT count(*) FROM orders) + 1000 * (SELECT count(*) FROM ow_history)"
        " + 10000 * (SELECT count(*) FROM ow_text) + 100000 * (SELECT count(*) FROM ow_parked)"
        " + 1000000 * (SELECT count(*) FROM ow_ledger)"
        " + 10000000 * (SELECT value FROM ow_meta WHERE key = 'batch')"
        " + 100000000 * (SELECT value FROM ow_meta WHERE key = 'next_ref')");
}

static void store_begin__other_epoch__is_unsafe(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_exec(fixture, "UPDATE ow_meta SET value = value + 1 WHERE key = 'epoch'");
    ow_world_reset(&fixture->world, &fixture->arena, &fixture->machines, 0);
    const enum ow_status status = ow_store_begin(fixture->store, &fixture->world, &fixture->err);
    assert_int_equal(status, OW_UNSAFE);
    assert_non_null(strstr(fixture->err.text, "another process owns the store now"));
    ow_store_rollback(fixture->store);
}

static void store_commit__counts_batches_and_refs(void **state)
{
    struct ow_fixture *fixture = *state;
    assert_int_equal(ow_fixture_event(fixture, "e1", "order.created", "o1", CREATED),
                     OW_OUTCOME_APPLIED);
    assert_int_equal(ow_fixture_event(fixture, "e1", "order.created", "o1", CREATED),
                     OW_OUTCOME_DUPLICATE);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT value FROM ow_meta WHERE key = 'batch'"), 2);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT value FROM ow_meta WHERE key = 'next_ref'"),
                     2);
    assert_string_equal(
        ow_fixture_text(fixture, "SELECT group_concat(outcome || first_offset) FROM ow_ledger"),
        "applied0,duplicate1");
    assert_int_equal(
        ow_fixture_i64(fixture, "SELECT high_offset + applied + duplicate FROM ow_position"), 4);
}

static void store_rollback__leaves_no_trace(void **state)
{
    struct ow_fixture *fixture = *state;
    const int64_t before = content(fixture);
    const struct ow_position position = fixture->position;
    for (int round = 0; round < 2;
         round++) { /* the second one must not build on what the first one remembered */
        ow_fixture_begin(fixture);
        assert_int_equal(
            ow_fixture_judge(fixture, make_record(fixture, "e1", "order.created", "o1", CREATED)),
            OW_OUTCOME_APPLIED);
        assert_int_equal(
            ow_fixture_judge(fixture, make_record(fixture, "e2", "order.received", "o1", "")),
            OW_OUTCOME_PARKED);
        assert_int_equal(ow_fixture_write(fixture), OW_OK);
        ow_store_rollback(fixture->store);
        assert_int_equal(content(fixture), before);
        assert_int_equal(ow_store_parked_count(fixture->store), 0);
        assert_int_equal(ow_store_first_deadline_ms(fixture->store), INT64_MAX);
        fixture->position = position;
        fixture->position_offset = 0;
    }
    ow_fixture_fill(fixture);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT sum(claims) FROM ow_bucket"),
                     ow_fixture_i64(fixture, "SELECT count(*) FROM ow_claims"));
    assert_int_equal(
        ow_fixture_i64(fixture,
                       "SELECT count(*) FROM ow_history WHERE machine IS NULL OR via IS NULL"),
        0);
}

static void store_write__row_that_a_trigger_refuses__is_the_records_fault(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_exec(fixture, "CREATE TRIGGER no BEFORE INSERT ON orders WHEN new.order_id = 'bad'"
                             " BEGIN SELECT RAISE(ABORT, 'not this one'); END");
    ow_fixture_begin(fixture);
    assert_int_equal(
        ow_fixture_judge(fixture, make_record(fixture, "e1", "order.created", "bad", CREATED)),
        OW_OUTCOME_APPLIED);
    const enum ow_status status = ow_fixture_write(fixture);
    assert_int_equal(status, OW_RECORD_REFUSED);
    assert_non_null(strstr(fixture->err.text, "not this one"));
    ow_store_rollback(fixture->store);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_claims"), 0);
}

static void store_savepoint__keeps_the_records_around_the_guilty_one(void **state)
{
    struct ow_fixture *fixture = *state;
    static const char *const entities[] = {"o1", "bad", "o2"};
    ow_fixture_exec(fixture,
                    "CREATE TRIGGER no BEFORE INSERT ON ow_history_row WHEN new.entity_id = 'bad'"
                    " BEGIN SELECT RAISE(ABORT, 'not this one'); END");
    ow_fixture_begin(fixture);
    for (size_t i = 0; i < 3; i++) {
        struct ow_position before;
        ow_position_copy(&before, &fixture->kept, &fixture->position);
        const int64_t next_ref = fixture->world.next_ref;
        assert_int_equal(ow_store_savepoint(fixture->store, &fixture->err), OW_OK);
        ow_world_reset(&fixture->world, &fixture->arena, &fixture->machines, fixture->clock.now_ms);
        fixture->world.next_ref = next_ref;
        assert_int_equal(
            ow_fixture_judge(
                fixture, make_record(fixture, entities[i], "order.created", entities[i], CREATED)),
            OW_OUTCOME_APPLIED);
        const enum ow_status status = ow_fixture_write(fixture);
        if (status == OW_OK) {
            assert_int_equal(ow_store_release(fixture->store, &fixture->err), OW_OK);
            continue;
        }
        assert_int_equal(i, 1);
        assert_int_equal(status, OW_RECORD_REFUSED);
        assert_int_equal(ow_store_rollback_to(fixture->store, &fixture->err), OW_OK);
        fixture->position = before;
        fixture->world.next_ref = next_ref;
    }
    ow_fixture_commit(fixture);
    assert_string_equal(ow_fixture_text(fixture, "SELECT group_concat(order_id) FROM orders"),
                        "o1,o2");
    assert_int_equal(ow_fixture_i64(fixture, "SELECT claims FROM ow_bucket"), 2);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT max(ref) FROM ow_claims"), 2);
}

static void store_write__disk_full__is_rolled_back_and_goes_on_later(void **state)
{
    struct ow_fixture *fixture = *state;
    assert_int_equal(ow_sql_exec(&fixture->store->sql, "PRAGMA max_page_count = 1", &fixture->err),
                     OW_OK);
    const int64_t before = content(fixture);
    enum ow_status status = OW_OK;
    for (int i = 0; i < 2; i++) {
        ow_fixture_begin(fixture);
        struct ow_record *record = make_record(fixture, "e1", "order.received", "o1", "");
        uint8_t *key = ow_arena_alloc(&fixture->arena, 100000);
        record->key = (struct ow_slice){key, 100000};
        assert_int_equal(ow_fixture_judge(fixture, record), OW_OUTCOME_PARKED);
        status = ow_fixture_write(fixture);
        assert_int_equal(status, OW_STORE_FULL);
        assert_false(ow_sql_in_transaction(&fixture->store->sql));
        ow_store_rollback(fixture->store);
        fixture->position =
            (struct ow_position){.topic = ow_slice_of(fixture->topic), .seen_committed = -1};
        fixture->position_offset = 0;
        assert_int_equal(content(fixture), before);
    }
    assert_int_equal(
        ow_sql_exec(&fixture->store->sql, "PRAGMA max_page_count = 100000", &fixture->err), OW_OK);
    ow_fixture_fill(fixture);
}

static void store_commit__input_output_error__is_unknown_and_ends_the_store(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_begin(fixture);
    assert_int_equal(
        ow_fixture_judge(fixture, make_record(fixture, "e1", "order.created", "o1", CREATED)),
        OW_OUTCOME_APPLIED);
    assert_int_equal(ow_fixture_write(fixture), OW_OK);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    const struct rlimit none = {.rlim_cur = 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    enum ow_status status = ow_store_commit(fixture->store, &fixture->world, &fixture->err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(status, OW_STORE_UNKNOWN);
    ow_store_rollback(fixture->store);
    status = ow_store_begin(fixture->store, &fixture->world, &fixture->err);
    assert_int_equal(status, OW_STORE_UNKNOWN);

    ow_fixture_close(fixture); /* the next start looks at every page, and goes on */
    fixture->position_offset = 0;
    ow_fixture_open(fixture);
    ow_fixture_fill(fixture);
}

static void store_open__again__goes_on_where_it_was(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_fill(fixture);
    const struct ow_position before = fixture->position;
    ow_fixture_close(fixture);
    ow_fixture_open(fixture);
    assert_int_equal(fixture->position.next_offset, before.next_offset);
    assert_int_equal(fixture->position.high_offset, before.high_offset);
    assert_memory_equal(fixture->position.counts, before.counts, sizeof(before.counts));
    assert_int_equal(fixture->position.ledger.last->first_offset, before.ledger.last->first_offset);
    assert_string_equal(fixture->position.ledger.last->outcome, before.ledger.last->outcome);
    assert_int_equal(ow_store_parked_count(fixture->store), 1);
    assert_int_equal(ow_fixture_event(fixture, "e1", "order.created", "o1", CREATED),
                     OW_OUTCOME_DUPLICATE);
    assert_int_equal(ow_fixture_event(fixture, "e20", "order.created", "o3", CREATED),
                     OW_OUTCOME_APPLIED);
    assert_int_equal(ow_fixture_event(fixture, "e21", "payment.succeeded", "o3",
                                      "\"payment_id\":\"p3\"," CREATED ",\"method\":\"card\""),
                     OW_OUTCOME_APPLIED);
    assert_string_equal(ow_fixture_text(fixture, "SELECT state FROM orders WHERE order_id = 'o3'"),
                        "dispatched");
    assert_int_equal(
        ow_fixture_i64(fixture,
                       "SELECT count(*) FROM ow_history WHERE via = 'wake' AND first_ref > 0"),
        2);
    assert_int_equal(ow_store_parked_count(fixture->store), 0);
    assert_int_equal(ow_store_first_deadline_ms(fixture->store), INT64_MAX);
}

static void store_read__parked_record__is_the_one_that_was_parked(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_begin(fixture);
    const struct ow_header headers[] = {
        {OW_SLICE("a"), OW_SLICE("\xff")},
        {OW_SLICE("b"), {0}             }
    };
    struct ow_record *record = make_record(fixture, "e1", "order.received", "o1", "");
    record->key = OW_SLICE("\x00\x80");
    record->headers = headers;
    record->header_count = 2;
    record->timestamp_ms = -1;
    assert_int_equal(ow_fixture_judge(fixture, record), OW_OUTCOME_PARKED);
    assert_int_equal(ow_fixture_write(fixture), OW_OK);
    ow_fixture_commit(fixture);
    const struct ow_slice value = ow_arena_copy(&fixture->kept, record->value);

    ow_fixture_begin(fixture);
    struct ow_entity *entity =
        ow_world_entity(&fixture->world, fixture->machines.list[0], OW_SLICE("o1"));
    assert_int_equal(ow_fixture_read(fixture), OW_OK);
    assert_int_equal(entity->version, 0);
    assert_int_equal(entity->parked_count, 1);
    const struct ow_parked *parked = entity->parked;
    assert_int_equal(parked->deadline_ms, fixture->clock.now_ms + OW_PARK_DEADLINE_MS_DEFAULT);
    assert_true(ow_slice_equal(parked->record.value, value));
    assert_true(ow_slice_equal(parked->record.key, OW_SLICE("\x00\x80")));
    assert_int_equal(parked->record.timestamp_ms, -1);
    assert_int_equal(parked->record.header_count, 2);
    assert_true(ow_slice_equal(parked->record.headers[0].value, OW_SLICE("\xff")));
    assert_true(ow_slice_is_absent(parked->record.headers[1].value));
    ow_store_rollback(fixture->store);
}

static void store_read_overdue__gives_what_is_past_its_deadline_in_order(void **state)
{
    struct ow_fixture *fixture = *state;
    static const char *const entities[] = {"a", "b", "a", "c"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ow_fixture_event(fixture, ow_arena_printf(&fixture->kept, "e%zu", i),
                                          "order.received", entities[i], ""),
                         OW_OUTCOME_PARKED);
    }
    const int64_t first = ow_store_first_deadline_ms(fixture->store);
    assert_int_equal(first, 1800000000000 + OW_PARK_DEADLINE_MS_DEFAULT);
    ow_fixture_begin(fixture);
    struct ow_parked **list = NULL;
    size_t count = 0;
    assert_int_equal(ow_store_read_overdue(fixture->store, &fixture->world, first + 2000, 10, &list,
                                           &count, &fixture->err),
                     OW_OK);
    assert_int_equal(count, 3);
    assert_int_equal(list[0]->id, 1);
    assert_int_equal(list[2]->id, 3);
    assert_ptr_equal(list[0]->entity, list[2]->entity);
    assert_int_equal(ow_store_read_overdue(fixture->store, &fixture->world, first + 2000, 2, &list,
                                           &count, &fixture->err),
                     OW_OK);
    assert_int_equal(count, 2);
    ow_store_rollback(fixture->store);
}

int ow_test_batch(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(store_begin__other_epoch__is_unsafe),
        TEST(store_commit__counts_batches_and_refs),
        TEST(store_rollback__leaves_no_trace),
        TEST(store_write__row_that_a_trigger_refuses__is_the_records_fault),
        TEST(store_savepoint__keeps_the_records_around_the_guilty_one),
        TEST(store_write__disk_full__is_rolled_back_and_goes_on_later),
        TEST(store_commit__input_output_error__is_unknown_and_ends_the_store),
        TEST(store_open__again__goes_on_where_it_was),
        TEST(store_read__parked_record__is_the_one_that_was_parked),
        TEST(store_read_overdue__gives_what_is_past_its_deadline_in_order),
    };
#undef TEST
    return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
