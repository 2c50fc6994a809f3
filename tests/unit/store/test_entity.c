#include "groups.h"
#include "support/store/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define CREATED "\"amount\":1299,\"currency\":\"EUR\""
#define PAYMENT "\"payment_id\":\"p1\"," CREATED ",\"method\":\"card\""

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

static struct ow_entity *want(struct ow_fixture *fixture, const char *id)
{
    return ow_world_entity(&fixture->world, fixture->machines.list[0], ow_slice_of(id));
}

static void entity_read__no_row__has_state_none_and_defaults(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_begin(fixture);
    const struct ow_entity *entity = want(fixture, "o1");
    assert_int_equal(ow_fixture_read(fixture), OW_OK);
    assert_true(entity->loaded);
    assert_int_equal(entity->state, 0);
    assert_int_equal(entity->version, 0);
    assert_int_equal(entity->columns[0].type, OW_TYPE_NULL);
    assert_int_equal(entity->columns[2].type, OW_TYPE_INTEGER);
    ow_store_rollback(fixture->store);
}

static void entity_read__row__has_what_was_written(void **state)
{
    struct ow_fixture *fixture = *state;
    assert_int_equal(ow_fixture_event(fixture, "e1", "order.created", "o1", CREATED),
                     OW_OUTCOME_APPLIED);
    assert_int_equal(ow_fixture_event(fixture, "e2", "payment.succeeded", "o1", PAYMENT),
                     OW_OUTCOME_APPLIED);
    ow_fixture_begin(fixture);
    const struct ow_entity *entity = want(fixture, "o1");
    const struct ow_machine *machine = fixture->machines.list[0];
    const struct ow_row *row =
        ow_world_row(&fixture->world, machine, &machine->records[0], OW_SLICE("p1"));
    const struct ow_row *none =
        ow_world_row(&fixture->world, machine, &machine->records[0], OW_SLICE("p2"));
    assert_int_equal(ow_fixture_read(fixture), OW_OK);
    assert_string_equal(machine->states[entity->state], "paid");
    assert_int_equal(entity->version, 2);
    assert_int_equal(entity->stored_version, 2);
    assert_int_equal(entity->last_seq, 2);
    assert_int_equal(entity->columns[0].integer, 1299);
    assert_true(ow_slice_equals_text(entity->columns[1].text, "EUR"));
    assert_int_equal(entity->updated_at_ms - entity->created_at_ms, 1000);
    assert_true(row->exists && !none->exists && none->loaded);
    assert_int_equal(row->seq, 2);
    assert_true(ow_slice_equals_text(row->columns[0].text, "o1"));
    ow_store_rollback(fixture->store);
}

static void entity_read__state_that_the_machine_has_not__fails_clearly(void **state)
{
    struct ow_fixture *fixture = *state;
    assert_int_equal(ow_fixture_event(fixture, "e1", "order.created", "o1", CREATED),
                     OW_OUTCOME_APPLIED);
    ow_fixture_exec(fixture, "UPDATE orders SET state = 'lost'");
    ow_fixture_begin(fixture);
    (void)want(fixture, "o1");
    const enum ow_status status = ow_fixture_read(fixture);
    assert_int_equal(status, OW_FAILED);
    assert_non_null(strstr(fixture->err.text, "'o1' has the state 'lost'"));
    ow_store_rollback(fixture->store);
}

/* Changes an entity as a transition would. */
static void change(struct ow_entity *entity, const char *state)
{
    entity->state = (size_t)ow_machine_state(entity->machine, ow_slice_of(state));
    entity->version++;
    entity->dirty = true;
}

/*
 * The ABA case: the row is read; another writer moves it from created to paid and back to created;
 * every column is as it was when it was read, only the version is not. Whoever compares states
 * would overwrite what happened in between.
 */
static void entity_write__changed_and_changed_back_meanwhile__is_refused(void **state)
{
    struct ow_fixture *fixture = *state;
    assert_int_equal(ow_fixture_event(fixture, "e1", "order.created", "o1", CREATED),
                     OW_OUTCOME_APPLIED);
    ow_fixture_begin(fixture);
    struct ow_world before = fixture->world;
    struct ow_entity *entity = want(fixture, "o1");
    before = fixture->world;
    assert_int_equal(ow_fixture_read(fixture), OW_OK);
    assert_int_equal(entity->stored_version, 1);
    ow_store_rollback(fixture->store);

    ow_fixture_exec(fixture, "UPDATE orders SET state = 'paid', version = 2;"
                             "UPDATE orders SET state = 'created', version = 3");

    assert_int_equal(ow_store_begin(fixture->store, &before, &fixture->err), OW_OK);
    change(entity, "cancelled");
    const enum ow_status status =
        ow_store_write(fixture->store, &before, &fixture->position, &fixture->err);
    assert_int_equal(status, OW_FAILED);
    assert_non_null(strstr(fixture->err.text, "optimistic version check"));
    ow_store_rollback(fixture->store);
    assert_int_equal(
        ow_fixture_i64(fixture, "SELECT version = 3 AND state = 'created' FROM orders"), 1);
}

static void entity_write__made_by_somebody_else_meanwhile__is_refused(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_begin(fixture);
    struct ow_entity *entity = want(fixture, "o1");
    assert_int_equal(ow_fixture_read(fixture), OW_OK);
    ow_store_rollback(fixture->store);
    ow_fixture_exec(
        fixture,
        "INSERT INTO orders (order_id, state, version, last_seq, created_at_ms, updated_at_ms)"
        " VALUES ('o1', 'created', 1, 1, 0, 0)");
    assert_int_equal(ow_store_begin(fixture->store, &fixture->world, &fixture->err), OW_OK);
    change(entity, "created");
    assert_int_equal(ow_fixture_write(fixture), OW_FAILED);
    assert_non_null(strstr(fixture->err.text, "optimistic version check"));
    ow_store_rollback(fixture->store);
}

static void row_write__key_that_somebody_took_meanwhile__is_refused(void **state)
{
    struct ow_fixture *fixture = *state;
    const struct ow_machine *machine = fixture->machines.list[0];
    ow_fixture_begin(fixture);
    struct ow_row *row =
        ow_world_row(&fixture->world, machine, &machine->records[1], OW_SLICE("r1"));
    assert_int_equal(ow_fixture_read(fixture), OW_OK);
    ow_store_rollback(fixture->store);
    ow_fixture_exec(fixture, "INSERT INTO refunds VALUES ('r1', 'o1', 1, 'EUR', 1)");
    assert_int_equal(ow_store_begin(fixture->store, &fixture->world, &fixture->err), OW_OK);
    row->fresh = row->exists = true;
    row->seq = 7;
    for (size_t c = 0; c < row->table->column_count; c++) {
        row->columns[c] = row->table->columns[c].type == OW_TYPE_INTEGER
                              ? ow_value_integer(1)
                              : ow_value_text(OW_SLICE("x"));
    }
    assert_int_equal(ow_fixture_write(fixture), OW_FAILED);
    ow_store_rollback(fixture->store);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT seq FROM refunds"), 1);
}

static void entity_write__many_steps_in_one_batch__is_one_row_with_the_last_version(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_fill(fixture);
    assert_string_equal(
        ow_fixture_text(fixture,
                        "SELECT state || version || paid_minor || refunded_minor FROM orders"
                        " WHERE order_id = 'o1'"),
        "received51299299");
    assert_string_equal(
        ow_fixture_text(fixture, "SELECT group_concat(version || to_state, ' ') FROM ow_history"
                                 " WHERE entity_id = 'o1' ORDER BY seq"),
        "1created 2paid 3dispatched 4received 5received");
    assert_string_equal(ow_fixture_text(fixture, "SELECT data FROM ow_history WHERE seq = 1"),
                        "{\"/data/amount\":1299,\"/data/currency\":\"EUR\"}");
    assert_int_equal(
        ow_fixture_i64(fixture, "SELECT count(*) FROM ow_history WHERE prev_seq IS NULL"), 2);
}

int ow_test_entity(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(entity_read__no_row__has_state_none_and_defaults),
        TEST(entity_read__row__has_what_was_written),
        TEST(entity_read__state_that_the_machine_has_not__fails_clearly),
        TEST(entity_write__changed_and_changed_back_meanwhile__is_refused),
        TEST(entity_write__made_by_somebody_else_meanwhile__is_refused),
        TEST(row_write__key_that_somebody_took_meanwhile__is_refused),
        TEST(entity_write__many_steps_in_one_batch__is_one_row_with_the_last_version),
    };
#undef TEST
    return cmocka_run_group_tests_name("entity", tests, NULL, NULL);
}
