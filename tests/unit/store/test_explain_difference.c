/* What the worker and explain say of a conflict, by what is kept of the first message. */
#include "groups.h"
#include "store/explain.h"
#include "support/store/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define CREATED(amount)  "\"amount\":" amount ",\"currency\":\"EUR\""
#define PAID(id, amount) CREATED(amount) ",\"method\":\"card\",\"payment_id\":\"" id "\""
#define READ             "; of the first only what its transition read is kept"

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
    struct ow_fixture *fixture = *state;
    ow_fixture_done(fixture);
    free(fixture);
    return 0;
}

static const struct ow_explain_event *explain(struct ow_fixture *fixture, const char *id)
{
    const struct ow_explain_options options = {
        .path = fixture->path, .id = id, .clock = ow_clock_system()};
    struct ow_explanation explanation = {0};
    if (ow_explain(&options, &fixture->kept, &explanation, &fixture->err) != OW_OK) {
        fail_msg("explain: %s", fixture->err.text);
    }
    assert_non_null(explanation.meanings);
    assert_non_null(explanation.meanings->events);
    return explanation.meanings->events;
}

static const char *text_of(struct ow_fixture *fixture, const struct ow_difference *difference)
{
    OW_BUFFER text = {0};
    assert_non_null(difference);
    ow_difference_text(&text, difference);
    return ow_arena_text(&fixture->kept, ow_buffer_view(&text));
}

/* What explain tells of the only conflict under a message's id. */
static const char *explained(struct ow_fixture *fixture, const char *id)
{
    const struct ow_explain_event *event = explain(fixture, id);
    assert_non_null(event->conflicts);
    assert_null(event->conflicts->next);
    assert_int_equal(event->conflicts->conflict_ref, event->ref);
    return text_of(fixture, event->conflicts->difference);
}

static void feed(struct ow_fixture *fixture, const char *id, const char *type, const char *data,
                 enum ow_outcome expected)
{
    assert_int_equal(ow_fixture_event(fixture, id, type, "o1", data), expected);
}

/* The detail of the newest row, without its beginning. */
static const char *detail(struct ow_fixture *fixture)
{
    return ow_fixture_text(fixture, "SELECT substr(detail, instr(detail, 'content: ') + 9)"
                                    " FROM ow_quarantine ORDER BY id DESC LIMIT 1");
}

static void conflict__applied_first__tells_what_its_transition_read(void **state)
{
    feed(*state, "c", "order.created", CREATED("5"), OW_OUTCOME_APPLIED);
    feed(*state, "c", "order.created", CREATED("6") ",\"note\":1", OW_OUTCOME_QUARANTINED);
    assert_string_equal(detail(*state), "/data/amount: 5 → 6" READ);
    assert_string_equal(explained(*state, "c"), "/data/amount: 5 → 6" READ);
}

static void conflict__parked_first__is_compared_whole_until_it_is_woken(void **state)
{
    feed(*state, "p", "payment.succeeded", PAID("p1", "5") ",\"note\":1", OW_OUTCOME_PARKED);
    feed(*state, "p", "payment.succeeded", PAID("p1", "5") ",\"note\":2", OW_OUTCOME_QUARANTINED);
    assert_string_equal(detail(*state), "/data/note: 1 → 2");
    assert_string_equal(explained(*state, "p"), "/data/note: 1 → 2");
    feed(*state, "c", "order.created", CREATED("5"), OW_OUTCOME_APPLIED);
    /* The worker has said it when it could; now only what the transition read is there. */
    assert_string_equal(detail(*state), "/data/note: 1 → 2");
    assert_string_equal(explained(*state, "p"), "what is kept of the first shows no difference");
}

static void conflict__woken_first__is_compared_by_explain(void **state)
{
    feed(*state, "p", "payment.succeeded", PAID("p1", "5"), OW_OUTCOME_PARKED);
    feed(*state, "c", "order.created", CREATED("5"), OW_OUTCOME_APPLIED);
    feed(*state, "p", "payment.succeeded", PAID("p1", "7"), OW_OUTCOME_QUARANTINED);
    assert_string_equal(detail(*state), "onceward explain compares them");
    assert_string_equal(explained(*state, "p"), "/data/amount: 5 → 7" READ);
}

static void conflict__quarantined_first__is_compared_whole(void **state)
{
    feed(*state, "c", "order.created", CREATED("5"), OW_OUTCOME_APPLIED);
    feed(*state, "i", "order.created", CREATED("6"), OW_OUTCOME_QUARANTINED);
    feed(*state, "i", "order.created", CREATED("6") ",\"x\":[]", OW_OUTCOME_QUARANTINED);
    assert_string_equal(detail(*state), "/data/x: absent → []");
    assert_string_equal(explained(*state, "i"), "/data/x: absent → []");
}

static void conflict__stale_first__has_nothing_to_be_compared_with(void **state)
{
    feed(*state, "c", "order.created", CREATED("5"), OW_OUTCOME_APPLIED);
    feed(*state, "s", "order.created", CREATED("5"), OW_OUTCOME_STALE);
    feed(*state, "s", "order.created", CREATED("6"), OW_OUTCOME_QUARANTINED);
    assert_string_equal(detail(*state), "first payload not kept");
    assert_string_equal(explained(*state, "s"), "first payload not kept");
}

static void conflict__erased_first__says_so(void **state)
{
    feed(*state, "c", "order.created", CREATED("5"), OW_OUTCOME_APPLIED);
    feed(*state, "r", "order.received", "", OW_OUTCOME_PARKED);
    ow_fixture_exec(*state, "UPDATE ow_history_row SET data = '{}'");
    ow_fixture_exec(*state, "UPDATE ow_parked SET value = NULL");
    feed(*state, "c", "order.created", CREATED("6"), OW_OUTCOME_QUARANTINED);
    assert_string_equal(detail(*state), "first payload erased");
    assert_string_equal(explained(*state, "c"), "first payload erased");
    feed(*state, "r", "order.received", "\"x\":1", OW_OUTCOME_QUARANTINED);
    assert_string_equal(detail(*state), "first payload erased");
    assert_string_equal(explained(*state, "r"), "first payload erased");
}

static void conflict__large_first__is_compared_by_explain(void **state)
{
    struct ow_fixture *fixture = *state;
    const char *value = ow_arena_printf(
        &fixture->kept,
        "{\"specversion\":\"1.0\",\"id\":\"r\",\"source\":\"/shop/eu\",\"type\":\"order.received\","
        "\"data\":{\"order_id\":\"o1\",\"x\":1,\"pad\":\"%0*d\"}}",
        OW_DIFFERENCE_KEPT_BYTES_MAX, 0);
    assert_int_equal(ow_fixture_feed(fixture, value), OW_OUTCOME_PARKED);
    feed(fixture, "r", "order.received", "\"x\":2", OW_OUTCOME_QUARANTINED);
    assert_string_equal(detail(fixture), "onceward explain compares them");
    const struct ow_difference *difference = explain(fixture, "r")->conflicts->difference;
    assert_int_equal(difference->count, 2);
    assert_string_equal(difference->fields[0].name, "/data/pad");
    assert_null(difference->fields[0].second);
    assert_string_equal(difference->fields[1].name, "/data/x");
}

static void conflict__met_again__keeps_what_was_said_first(void **state)
{
    feed(*state, "p", "payment.succeeded", PAID("p1", "5"), OW_OUTCOME_PARKED);
    feed(*state, "p", "payment.succeeded", PAID("p1", "6"), OW_OUTCOME_QUARANTINED);
    feed(*state, "c", "order.created", CREATED("5"), OW_OUTCOME_APPLIED);
    feed(*state, "p", "payment.succeeded", PAID("p1", "6"), OW_OUTCOME_QUARANTINED);
    assert_int_equal(ow_fixture_i64(*state, "SELECT seen FROM ow_quarantine"), 2);
    assert_string_equal(detail(*state), "/data/amount: 5 → 6");
}

static void conflict__under_another_entity__is_compared_there_too(void **state)
{
    feed(*state, "c", "order.created", CREATED("5"), OW_OUTCOME_APPLIED);
    assert_int_equal(ow_fixture_event(*state, "c", "order.created", "o2", CREATED("5")),
                     OW_OUTCOME_QUARANTINED);
    const struct ow_explain_event *event = explain(*state, "o2");
    assert_int_equal(event->quarantine->conflict_ref, 1);
    assert_string_equal(text_of(*state, event->quarantine->difference),
                        "entity id: \"o1\" → \"o2\"" READ);
}

static void conflict__that_cannot_be_read_any_more__has_no_difference(void **state)
{
    feed(*state, "c", "order.created", CREATED("5"), OW_OUTCOME_APPLIED);
    feed(*state, "c", "order.created", CREATED("6"), OW_OUTCOME_QUARANTINED);
    ow_fixture_exec(*state, "UPDATE ow_quarantine SET value = NULL");
    assert_null(explain(*state, "c")->conflicts->difference);
}

int ow_test_explain_difference(void)
{
#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        WITH_STORE(conflict__applied_first__tells_what_its_transition_read),
        WITH_STORE(conflict__parked_first__is_compared_whole_until_it_is_woken),
        WITH_STORE(conflict__woken_first__is_compared_by_explain),
        WITH_STORE(conflict__quarantined_first__is_compared_whole),
        WITH_STORE(conflict__stale_first__has_nothing_to_be_compared_with),
        WITH_STORE(conflict__erased_first__says_so),
        WITH_STORE(conflict__large_first__is_compared_by_explain),
        WITH_STORE(conflict__met_again__keeps_what_was_said_first),
        WITH_STORE(conflict__under_another_entity__is_compared_there_too),
        WITH_STORE(conflict__that_cannot_be_read_any_more__has_no_difference),
    };
    return cmocka_run_group_tests_name("explain_difference", tests, NULL, NULL);
}
