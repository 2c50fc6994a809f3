#include "groups.h"
#include "store/explain.h"
#include "support/store/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define FIRST_MS                                                                                   \
    INT64_C(1800000000000) /* when the fixture's first record is judged; then one a second */

/* The fixture's filled store stays open: everything here is told while a worker owns the file. */
static int start_group(void **state)
{
    struct ow_fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    ow_fixture_init(fixture);
    fixture->bucket_claims = 5;
    ow_fixture_open(fixture);
    ow_fixture_fill(fixture);
    *state = fixture;
    return 0;
}

static int stop_group(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_done(fixture);
    free(fixture);
    return 0;
}

static struct ow_explanation explain_from(struct ow_fixture *fixture, const char *id,
                                          const char *source)
{
    const struct ow_explain_options options = {.path = fixture->path,
                                               .id = id,
                                               .source = source,
                                               .hash_key_file = fixture->hash_key_file,
                                               .clock = ow_clock_system()};
    struct ow_explanation explanation = {0};
    if (ow_explain(&options, &fixture->kept, &explanation, &fixture->err) != OW_OK) {
        fail_msg("explain: %s", fixture->err.text);
    }
    return explanation;
}

static struct ow_explanation explain(struct ow_fixture *fixture, const char *id)
{
    return explain_from(fixture, id, NULL);
}

/* The only meaning, of that kind. */
static const struct ow_explain_meaning *only(const struct ow_explanation *explanation,
                                             enum ow_explain_kind kind)
{
    assert_non_null(explanation->meanings);
    assert_null(explanation->meanings->next);
    assert_int_equal(explanation->meanings->kind, kind);
    /* The last resort is for ids that nothing else finds. */
    assert_true(!explanation->history_read || kind == OW_EXPLAIN_MENTION);
    return explanation->meanings;
}

static const struct ow_explain_event *only_event(const struct ow_explanation *explanation,
                                                 enum ow_explain_kind kind)
{
    const struct ow_explain_event *event = only(explanation, kind)->events;
    assert_non_null(event);
    assert_null(event->next);
    return event;
}

static size_t count_events(const struct ow_explain_meaning *meaning)
{
    size_t count = 0;
    for (const struct ow_explain_event *each = meaning->events; each != NULL; each = each->next) {
        assert_true(each->next == NULL || each->ref < each->next->ref);
        count++;
    }
    return count;
}

static const struct ow_explain_event *find_event(const struct ow_explain_meaning *meaning,
                                                 const char *id)
{
    for (const struct ow_explain_event *each = meaning->events; each != NULL; each = each->next) {
        if (each->id != NULL && strcmp(each->id, id) == 0) {
            return each;
        }
    }
    fail_msg("no event %s", id);
    return NULL;
}

static void expect_moment(struct ow_explain_moment moment, int64_t ms)
{
    assert_int_equal(moment.least_ms, ms);
    assert_int_equal(moment.most_ms, ms);
}

static void explain__entity__tells_row_and_all_its_events(void **state)
{
    const struct ow_explanation told = explain(*state, "o1");
    const struct ow_explain_meaning *entity = only(&told, OW_EXPLAIN_ENTITY);
    assert_string_equal(entity->machine, "orders");
    assert_string_equal(entity->table, "orders");
    assert_true(entity->has_row);
    assert_string_equal(entity->state, "received");
    assert_int_equal(entity->version, 5);
    assert_string_equal(entity->columns[0], "amount_minor");
    assert_int_equal(entity->values[0].integer, 1299);
    /* Applied: e1, e2, e5, e4 (woken), e10; in quarantine: e9. The conflict is told with e1. */
    assert_int_equal(count_events(entity), 6);
    const struct ow_explain_event *created = find_event(entity, "e1");
    assert_string_equal(created->outcome, "applied");
    assert_string_equal(created->first_outcome, "applied");
    assert_string_equal(created->from, "none");
    assert_string_equal(created->to, "created");
    assert_string_equal(created->via, "kafka");
    assert_int_equal(created->version, 1);
    assert_int_equal(created->seq, created->ref);
    assert_string_equal(created->place.topic, "order-events");
    assert_int_equal(created->place.offset, 0);
    assert_false(created->was_parked);
    expect_moment(created->seen, FIRST_MS);
    assert_non_null(created->conflicts);
    assert_null(created->conflicts->next);
    assert_string_equal(created->conflicts->reason, "conflict");
    assert_int_equal(created->conflicts->place.offset, 4);
}

static void explain__duplicate__is_a_later_sight_of_its_message(void **state)
{
    const struct ow_explanation told = explain(*state, "e2");
    const struct ow_explain_event *event = only_event(&told, OW_EXPLAIN_MESSAGE);
    assert_string_equal(event->source, "/shop/eu");
    assert_string_equal(event->entity_id, "o1");
    assert_int_equal(event->place.offset, 1);
    assert_non_null(event->sightings);
    assert_null(event->sightings->next);
    assert_string_equal(event->sightings->cause, "same_id");
    assert_int_equal(event->sightings->place.offset, 2);
    assert_int_equal(event->sightings->seen_at_ms, FIRST_MS + 2000);
}

static void explain__record_key__tells_row_and_its_message(void **state)
{
    const struct ow_explanation told = explain(*state, "p1");
    const struct ow_explain_meaning *payment = only(&told, OW_EXPLAIN_RECORD);
    assert_string_equal(payment->table, "payments");
    assert_true(payment->has_row);
    assert_int_equal(count_events(payment), 1);
    assert_string_equal(payment->events->id, "e2");
    const struct ow_explanation refund = explain(*state, "r1");
    assert_string_equal(only(&refund, OW_EXPLAIN_RECORD)->table, "refunds");
}

static void explain__stale_message__is_found_by_its_claim(void **state)
{
    const struct ow_explanation told = explain(*state, "e3");
    const struct ow_explain_event *event = only_event(&told, OW_EXPLAIN_MESSAGE);
    assert_string_equal(event->outcome, "stale");
    assert_string_equal(event->first_outcome, "stale");
    assert_int_equal(event->place.offset, 3);
    assert_int_equal(event->seq, 0);
    assert_string_equal(event->id, "e3");
    assert_string_equal(event->source, "/shop/eu");
    expect_moment(event->seen, FIRST_MS + 3000);
}

static void explain__woken_message__tells_when_it_was_parked_and_until_when(void **state)
{
    const struct ow_explanation told = explain(*state, "e4");
    const struct ow_explain_event *event = only_event(&told, OW_EXPLAIN_MESSAGE);
    assert_string_equal(event->outcome, "applied");
    assert_string_equal(event->first_outcome, "parked");
    assert_string_equal(event->via, "wake");
    assert_true(event->seq > event->ref);
    assert_true(event->was_parked);
    assert_null(event->waits_for);
    /* e4 came at second 5; what came before it drew its number at second 1, what came behind it at
     * second 6: the row that knew it exactly is gone. */
    assert_int_equal(event->seen.least_ms, FIRST_MS + 1000);
    assert_int_equal(event->seen.most_ms, FIRST_MS + 6000);
    expect_moment(event->parked_until, FIRST_MS + 6000);
}

static void explain__parked_message__says_what_it_waits_for(void **state)
{
    const struct ow_explanation message = explain(*state, "e11");
    const struct ow_explain_event *event = only_event(&message, OW_EXPLAIN_MESSAGE);
    assert_string_equal(event->outcome, "parked");
    assert_true(event->was_parked);
    expect_moment(event->seen, FIRST_MS + 12000);
    assert_true(event->deadline_ms > FIRST_MS);
    assert_string_equal(
        event->waits_for,
        "in state 'none', waits for 'paid' (too early: 'paid' can still be reached)");
    assert_int_equal(event->claim.claimed, OW_EXPLAIN_CLAIM_FOUND);
    /* Parked events alone make no entity row, and yet the id means something. */
    const struct ow_explanation entity = explain(*state, "o3");
    assert_false(only(&entity, OW_EXPLAIN_ENTITY)->has_row);
    assert_int_equal(count_events(entity.meanings), 2);
    assert_string_equal(find_event(entity.meanings, "e11")->outcome, "parked");
    assert_string_equal(find_event(entity.meanings, "e12")->outcome, "quarantined");
}

static void explain__quarantined_message__says_why(void **state)
{
    const struct ow_explanation told = explain(*state, "e9");
    const struct ow_explain_event *event = only_event(&told, OW_EXPLAIN_MESSAGE);
    assert_string_equal(event->outcome, "quarantined");
    assert_non_null(event->quarantine);
    assert_string_equal(event->quarantine->reason, "illegal");
    assert_string_equal(event->quarantine->status, "open");
    assert_int_equal(event->claim.claimed, OW_EXPLAIN_CLAIM_FOUND);
    expect_moment(event->seen, FIRST_MS + 10000);
}

static void explain__message_of_unknown_type__is_found_by_what_it_says(void **state)
{
    /* Its row claims nothing and names neither machine nor entity: its bytes are all there is. */
    const struct ow_explanation told = explain(*state, "e12");
    const struct ow_explain_event *event = only_event(&told, OW_EXPLAIN_MESSAGE);
    assert_string_equal(event->quarantine->reason, "unknown_type");
    assert_string_equal(event->type, "order.lost");
    assert_int_equal(event->claim.claimed, OW_EXPLAIN_CLAIM_NONE);
    assert_null(event->entity_id);
}

static void explain__unreadable_record__is_mentioned_where_the_id_is_a_word_of_it(void **state)
{
    struct ow_fixture *fixture = *state;
    assert_int_equal(ow_fixture_feed(fixture, "{\"id\":\"torn-1\",\"id\":\"torn-1\"}"),
                     OW_OUTCOME_QUARANTINED);
    const struct ow_explanation told = explain(fixture, "torn-1");
    const struct ow_explain_event *event = only_event(&told, OW_EXPLAIN_MENTION);
    assert_string_equal(event->quarantine->reason, "malformed");
    assert_null(event->id);
    assert_int_equal(event->claim.claimed, OW_EXPLAIN_CLAIM_NONE);
    assert_null(explain(fixture, "torn").meanings);
    assert_null(explain(fixture, "orn-1").meanings);
}

static void explain__each_message__has_its_claim_with_bucket_and_rule(void **state)
{
    struct ow_fixture *fixture = *state;
    static const char *const ids[] = {"e1", "e2", "e3", "e4",  "e5", "e6",
                                      "e7", "e8", "e9", "e10", "e11"};
    int64_t sealed = 0;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        const struct ow_explanation told = explain(fixture, ids[i]);
        const struct ow_explain_event *event = only_event(&told, OW_EXPLAIN_MESSAGE);
        assert_int_equal(event->claim.claimed, OW_EXPLAIN_CLAIM_FOUND);
        assert_int_equal(event->claim.rule, 1);
        const char *sql = ow_arena_printf(&fixture->kept,
                                          "SELECT bucket FROM ow_claims WHERE ref = %lld"
                                          " AND lower(hex(key)) = '%s'",
                                          (long long)event->ref, event->claim.key);
        assert_int_equal(ow_fixture_i64(fixture, sql), event->claim.bucket);
        sealed += event->claim.bucket == 1;
    }
    assert_true(sealed > 0 && sealed < 10); /* claims lie in several buckets */
}

static void explain__id_of_order_and_message__tells_both(void **state)
{
    struct ow_fixture *fixture = *state;
    assert_int_equal(ow_fixture_event(fixture, "twin", "order.created", "twin",
                                      "\"amount\":1,\"currency\":\"EUR\""),
                     OW_OUTCOME_APPLIED);
    const struct ow_explanation told = explain(fixture, "twin");
    assert_int_equal(told.meanings->kind, OW_EXPLAIN_ENTITY);
    assert_non_null(told.meanings->next);
    assert_int_equal(told.meanings->next->kind, OW_EXPLAIN_MESSAGE);
    assert_null(told.meanings->next->next);
}

static void explain__source__chooses_among_messages_of_one_id(void **state)
{
    struct ow_fixture *fixture = *state;
    static const char value[] =
        "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"/shop/us\",\"type\":\"order.created\","
        "\"time\":\"2026-11-22T10:00:00Z\",\"data\":{\"order_id\":\"us1\",\"amount\":1,"
        "\"currency\":\"USD\"}}";
    assert_int_equal(ow_fixture_feed(fixture, value), OW_OUTCOME_APPLIED);
    const struct ow_explanation all = explain(fixture, "e1");
    assert_non_null(all.meanings->next);
    assert_null(all.meanings->next->next);
    const struct ow_explanation us = explain_from(fixture, "e1", "/shop/us");
    assert_string_equal(only_event(&us, OW_EXPLAIN_MESSAGE)->entity_id, "us1");
    const struct ow_explanation none = explain_from(fixture, "e1", "/shop/jp");
    assert_null(none.meanings);
}

static void explain__key_of_a_parked_record__is_found_before_its_row_is_there(void **state)
{
    struct ow_fixture *fixture = *state;
    assert_int_equal(
        ow_fixture_event(fixture, "early-1", "payment.succeeded", "o-early",
                         "\"payment_id\":\"p-early\",\"amount\":5,\"currency\":\"EUR\","
                         "\"method\":\"card\""),
        OW_OUTCOME_PARKED);
    const struct ow_explanation told = explain(fixture, "p-early");
    const struct ow_explain_meaning *payment = only(&told, OW_EXPLAIN_RECORD);
    assert_false(payment->has_row);
    assert_string_equal(only_event(&told, OW_EXPLAIN_RECORD)->outcome, "parked");
}

static void explain__pruned_claim__is_missing_and_history_is_the_last_resort(void **state)
{
    struct ow_fixture *fixture = *state;
    assert_int_equal(ow_fixture_event(fixture, "old-1", "order.created", "o-old",
                                      "\"amount\":1,\"currency\":\"EUR\""),
                     OW_OUTCOME_APPLIED);
    ow_fixture_exec(fixture, "DELETE FROM ow_claims WHERE ref = (SELECT last_seq FROM orders"
                             " WHERE order_id = 'o-old')");
    const struct ow_explanation told = explain(fixture, "old-1");
    assert_true(told.history_read);
    assert_non_null(told.meanings);
    assert_string_equal(told.meanings->events->entity_id, "o-old");
    assert_int_equal(told.meanings->events->claim.claimed, OW_EXPLAIN_CLAIM_MISSING);
}

static void explain__unknown_id__has_no_meaning(void **state)
{
    const struct ow_explanation told = explain(*state, "nobody");
    assert_null(told.meanings);
    assert_true(told.history_read);
    assert_true(told.sources_tried > 0);
}

static void explain__text_with_escapes__is_found_all_the_same(void **state)
{
    struct ow_fixture *fixture = *state;
    assert_int_equal(ow_fixture_event(fixture, "esc\\u0061ped", "order.received", "o-escaped", ""),
                     OW_OUTCOME_PARKED);
    const struct ow_explanation told = explain(fixture, "escaped");
    assert_string_equal(only_event(&told, OW_EXPLAIN_MESSAGE)->outcome, "parked");
}

static void explain__timed_out_message__was_parked_and_is_in_quarantine(void **state)
{
    struct ow_fixture *fixture = *state;
    assert_int_equal(ow_fixture_event(fixture, "late-1", "order.received", "o-late", ""),
                     OW_OUTCOME_PARKED);
    const int64_t parked_ms = fixture->clock.now_ms - 1000;
    fixture->clock.now_ms += INT64_C(90) * 3600 * 1000;
    ow_fixture_begin(fixture);
    struct ow_parked **list = NULL;
    size_t count = 0;
    assert_int_equal(ow_store_read_overdue(fixture->store, &fixture->world, fixture->clock.now_ms,
                                           100, &list, &count, &fixture->err),
                     OW_OK);
    for (size_t i = 0; i < count; i++) {
        list[i]->event = OW_ARENA_NEW(&fixture->arena, struct ow_event);
        ow_event_decode(&fixture->decoder, &list[i]->record, &fixture->arena, list[i]->event);
        ow_decide_park_timeout(&fixture->world, list[i]);
    }
    assert_int_equal(ow_fixture_write(fixture), OW_OK);
    ow_fixture_commit(fixture);
    const struct ow_explanation told = explain(fixture, "late-1");
    const struct ow_explain_event *event = only_event(&told, OW_EXPLAIN_MESSAGE);
    assert_string_equal(event->outcome, "quarantined");
    assert_string_equal(event->quarantine->reason, "park_timeout");
    assert_true(event->was_parked);
    assert_true(event->seen.least_ms <= parked_ms && parked_ms <= event->seen.most_ms);
    expect_moment(event->parked_until, fixture->clock.now_ms);
}

static void explain__hash_key_in_a_file__is_asked_for_and_rows_are_told(void **state)
{
    (void)state;
    struct ow_fixture fixture;
    ow_fixture_init(&fixture);
    const char *file = ow_arena_printf(&fixture.kept, "%s/key", fixture.folder);
    fixture.hash_key_file = file;
    ow_fixture_open(&fixture);
    ow_fixture_fill(&fixture);
    const struct ow_explanation with = explain(&fixture, "e3");
    assert_false(with.key_missing);
    assert_string_equal(only_event(&with, OW_EXPLAIN_MESSAGE)->outcome, "stale");
    fixture.hash_key_file = NULL;
    const struct ow_explanation without = explain(&fixture, "o1");
    assert_true(without.key_missing);
    assert_int_equal(without.meanings->events->claim.claimed, OW_EXPLAIN_CLAIM_UNKNOWN);
    ow_fixture_done(&fixture);
}

static void explain__no_store__is_bad_config(void **state)
{
    struct ow_fixture *fixture = *state;
    struct ow_explain_options options = {.path = "/nowhere/x.db", .id = "a"};
    options.clock = ow_clock_system();
    struct ow_explanation told;
    assert_int_equal(ow_explain(&options, &fixture->kept, &told, &fixture->err), OW_BAD_CONFIG);
    const char *foreign = ow_arena_printf(&fixture->kept, "%s/foreign.db", fixture->folder);
    FILE *file = fopen(foreign, "we");
    assert_non_null(file);
    assert_true(fputs("no database, but long enough to be looked at as one", file) >= 0);
    assert_int_equal(fclose(file), 0);
    options.path = foreign;
    assert_int_equal(ow_explain(&options, &fixture->kept, &told, &fixture->err), OW_UNSAFE);
}

int ow_test_explain(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(explain__entity__tells_row_and_all_its_events),
        cmocka_unit_test(explain__duplicate__is_a_later_sight_of_its_message),
        cmocka_unit_test(explain__record_key__tells_row_and_its_message),
        cmocka_unit_test(explain__stale_message__is_found_by_its_claim),
        cmocka_unit_test(explain__woken_message__tells_when_it_was_parked_and_until_when),
        cmocka_unit_test(explain__parked_message__says_what_it_waits_for),
        cmocka_unit_test(explain__quarantined_message__says_why),
        cmocka_unit_test(explain__each_message__has_its_claim_with_bucket_and_rule),
        cmocka_unit_test(explain__message_of_unknown_type__is_found_by_what_it_says),
        cmocka_unit_test(explain__unreadable_record__is_mentioned_where_the_id_is_a_word_of_it),
        cmocka_unit_test(explain__id_of_order_and_message__tells_both),
        cmocka_unit_test(explain__source__chooses_among_messages_of_one_id),
        cmocka_unit_test(explain__key_of_a_parked_record__is_found_before_its_row_is_there),
        cmocka_unit_test(explain__pruned_claim__is_missing_and_history_is_the_last_resort),
        cmocka_unit_test(explain__unknown_id__has_no_meaning),
        cmocka_unit_test(explain__text_with_escapes__is_found_all_the_same),
        cmocka_unit_test(explain__timed_out_message__was_parked_and_is_in_quarantine),
        cmocka_unit_test(explain__hash_key_in_a_file__is_asked_for_and_rows_are_told),
        cmocka_unit_test(explain__no_store__is_bad_config),
    };
    return cmocka_run_group_tests_name("explain", tests, start_group, stop_group);
}
