#include "groups.h"
#include "store/verify_topic.h"
#include "support/store/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ORDER       "\"amount\":1299,\"currency\":\"EUR\""
#define PAYMENT(id) "\"payment_id\":\"" id "\"," ORDER ",\"method\":\"card\""

enum { RECORDS_MAX = 32 };

/* A store, and the topic that it was made of. */
struct bench {
    struct ow_fixture fixture;
    struct ow_record topic[RECORDS_MAX];
    size_t count;
};

static void send(struct bench *bench, const char *id, const char *type, const char *data)
{
    const char *value =
        data == NULL
            ? "{\"torn\":"
            : ow_arena_printf(&bench->fixture.kept,
                              "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"/shop/eu\","
                              "\"type\":\"%s\",\"time\":\"2026-11-22T10:00:00Z\","
                              "\"data\":{\"order_id\":\"o1\"%s%s}}",
                              id, type, data[0] == '\0' ? "" : ",", data);
    assert_true(bench->count < RECORDS_MAX);
    bench->topic[bench->count++] = (struct ow_record){.topic = OW_SLICE("order-events"),
                                                      .offset = bench->fixture.position_offset,
                                                      .timestamp_ms = bench->fixture.clock.now_ms,
                                                      .key = OW_SLICE("a key"),
                                                      .value = ow_slice_of(value)};
    (void)ow_fixture_feed(&bench->fixture, value);
}

/* The engine does that; the fixture's small stand-in does not. */
static void set_anchor(struct bench *bench)
{
    const struct ow_record *last = &bench->topic[bench->count - 1];
    uint8_t anchor[OW_CLAIM_KEY_BYTES];
    char hex[2 * OW_CLAIM_KEY_BYTES + 1];
    ow_hash_anchor(ow_store_hash_key(bench->fixture.store), last->offset, last->key, last->value,
                   anchor);
    ow_hash_hex(anchor, sizeof(anchor), hex);
    ow_fixture_exec(&bench->fixture, ow_arena_printf(&bench->fixture.kept,
                                                     "UPDATE ow_position SET anchor = x'%s'", hex));
}

static int start(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    ow_fixture_init(&bench->fixture);
    bench->fixture.bucket_claims = 3;
    ow_fixture_open(&bench->fixture);
    send(bench, "e1", "order.created", ORDER);                               /* 0 applied */
    send(bench, "e2", "payment.succeeded", PAYMENT("p1"));                   /* 1 applied */
    send(bench, "e2", "payment.succeeded", PAYMENT("p1"));                   /* 2 duplicate */
    send(bench, "e3", "payment.succeeded", PAYMENT("p1"));                   /* 3 stale */
    send(bench, "e4", "order.received", "");                                 /* 4 parked */
    send(bench, "e1", "order.created", "\"amount\":7,\"currency\":\"EUR\""); /* 5 conflict */
    send(bench, "e1", "order.created", "\"amount\":7,\"currency\":\"EUR\""); /* 6 the same one */
    send(bench, "e5", "order.cancelled", "\"a\":1");                         /* 7 applied */
    send(bench, "e6", "order.dispatched", "");                               /* 8 illegal */
    send(bench, "e7", "order.unheard", "");                                  /* 9 unknown type */
    send(bench, "", "", NULL);                                               /* 10 malformed */
    set_anchor(bench);
    *state = bench;
    return 0;
}

static int stop(void **state)
{
    struct bench *bench = *state;
    ow_fixture_done(&bench->fixture);
    free(bench);
    return 0;
}

static const struct ow_promise *find(const struct ow_verify_topic_result *result, const char *name)
{
    for (size_t i = 0; i < result->promise_count; i++) {
        if (strcmp(result->promises[i].name, name) == 0) {
            return &result->promises[i];
        }
    }
    fail_msg("no promise %s", name);
    return NULL;
}

/* The records of the topic from `first` on, those in `gone` (a mask) left out. */
static struct ow_verify_topic_result verify(struct bench *bench, size_t first, uint32_t gone)
{
    struct ow_err *err = &bench->fixture.err;
    const struct ow_verify_topic_options options = {
        .path = bench->fixture.path,
        .record_bytes_max = (size_t)OW_RECORD_BYTES_DEFAULT,
        .clock = ow_clock_system(),
    };
    struct ow_verify_topic *topic = NULL;
    struct ow_verify_topic_result result = {0};
    assert_int_equal(ow_verify_topic_open(&options, &bench->fixture.kept, &topic, err), OW_OK);
    size_t names = 0;
    assert_string_equal(ow_verify_topic_names(topic, &names)[0], "order-events");
    assert_int_equal(names, 2);
    assert_int_equal(
        ow_verify_topic_begin(topic, "order-events", 0, (int64_t)first, (int64_t)bench->count, err),
        OW_OK);
    for (size_t i = first; i < bench->count; i++) {
        if ((gone >> i & 1) == 0) {
            assert_int_equal(ow_verify_topic_record(topic, &bench->topic[i], err), OW_OK);
        }
    }
    assert_int_equal(ow_verify_topic_end(topic, err), OW_OK);
    assert_int_equal(ow_verify_topic_finish(topic, &result, err), OW_OK);
    struct ow_promise *kept =
        OW_ARENA_ARRAY(&bench->fixture.kept, result.promise_count, struct ow_promise);
    memcpy(kept, result.promises, result.promise_count * sizeof(*kept));
    result.promises = kept;
    ow_verify_topic_close(topic);
    return result;
}

static void expect_content(const struct ow_verify_topic_result *result)
{
    for (size_t i = 0; i < result->promise_count; i++) {
        if (result->promises[i].broken > 0) {
            fail_msg("%s: %s", result->promises[i].name, result->promises[i].examples[0]);
        }
    }
}

static void expect_broken(struct bench *bench, const char *damage, const char *promise,
                          const char *example)
{
    ow_fixture_exec(&bench->fixture, damage);
    const struct ow_verify_topic_result result = verify(bench, 0, 0);
    const struct ow_promise *broken = find(&result, promise);
    if (broken->broken == 0 || strstr(broken->examples[0], example) == NULL) {
        fail_msg("%s does not break %s: %s", damage, promise,
                 broken->broken == 0 ? "nothing" : broken->examples[0]);
    }
}

static void verify_topic__what_the_store_was_made_of__is_content(void **state)
{
    struct bench *bench = *state;
    const struct ow_verify_topic_result result = verify(bench, 0, 0);
    expect_content(&result);
    assert_int_equal(result.remarks.records, bench->count);
    assert_int_equal(result.remarks.not_handled, 0);
    assert_int_equal(result.remarks.runs_gone, 0);
    assert_int_equal(find(&result, "topic_records_have_outcome")->checked, bench->count);
    assert_int_equal(find(&result, "topic_history_matches")->checked, 3);
    /* All but the unknown and the malformed one. */
    assert_int_equal(find(&result, "topic_claims_match")->checked, bench->count - 2);
    assert_int_equal(find(&result, "topic_anchors_match")->checked, 1);
}

static void verify_topic__changed_rows__are_found_with_their_offset(void **state)
{
    static const struct {
        const char *damage, *promise, *example;
    } list[] = {
        {"UPDATE ow_claims SET key = randomblob(16) WHERE ref = 1",                               "topic_claims_match",
         "[0] offset 0 is applied, and the key of its message e1 is not claimed"                                                                                            },
        {"DELETE FROM ow_claims WHERE ref = (SELECT ref FROM ow_sighting WHERE cause = 'stale')",
         "topic_claims_match",                                                                                                  "offset 3 is stale"                         },
        {"UPDATE ow_claims SET fingerprint = CAST(substr(fingerprint, 1, 1) || x'0011223344556677' "
         "AS BLOB)"
         " WHERE ref = (SELECT id FROM ow_quarantine WHERE offset = 8)",                 "topic_claims_match",         "offset 8 is quarantined (illegal), and the"},
        {"DELETE FROM ow_sighting WHERE cause = 'same_id'",                                       "topic_records_have_outcome",
         "offset 2 is duplicate, and message 2 has no sighting of it"                                                                                                       },
        {"DELETE FROM ow_quarantine WHERE reason = 'conflict'",                                   "topic_records_have_outcome",
         "offset 5 is quarantined, and nothing in quarantine"                                                                                                               },
        {"UPDATE ow_history_row SET offset = 9 WHERE seq = 2",                                    "topic_history_matches",
         "offset 1 is applied, and history row 2 is of another place"                                                                                                       },
        {"UPDATE ow_history_row SET source = '/x' WHERE seq = 1",                                 "topic_history_matches",
         "offset 0 is applied, and history row 1 is of another message"                                                                                                     },
        {"DELETE FROM ow_history_row WHERE seq = 1",                                              "topic_history_matches",
         "there is no history row 1"                                                                                                                                        },
        {"UPDATE ow_quarantine SET reason = 'malformed' WHERE reason = 'unknown_type'",
         "topic_records_have_outcome",                                                                                          "is read as unknown_type"                   },
        {"UPDATE ow_ledger SET outcome = 'filtered' WHERE first_offset = 7",
         "topic_records_have_outcome",                                                                                          "offset 7 is filtered, and no version of a" },
        {"UPDATE ow_ledger SET outcome = 'applied' WHERE first_offset = 8",
         "topic_records_have_outcome",                                                                                          "offset 9 is applied, and no version"       },
        {"UPDATE ow_ledger SET records = records - 1 WHERE first_offset = 0",                     "topic_runs_match",
         "the run to 1 (applied) counts 1 records, the topic holds 2"                                                                                                       },
        {"UPDATE ow_ledger SET records = 5 WHERE first_offset = 0",                               "topic_runs_match",
         "counts 5 records, there is room for 2"                                                                                                                            },
        {"DELETE FROM ow_ledger WHERE first_offset = 3",                                          "topic_records_have_outcome",
         "offset 3 has no outcome"                                                                                                                                          },
        {"UPDATE ow_position SET anchor = randomblob(16)",                                        "topic_anchors_match",
         "offset 10 is the last handled record"                                                                                                                             },
        {"UPDATE ow_position SET high_offset = 20",                                               "topic_anchors_match",
         "offset 20 is the high mark, and the topic ends at 11"                                                                                                             },
        {"UPDATE ow_position SET partition = 4",                                                  "topic_anchors_match",
         "order-events[4] offset 0 has a position, and the topic has no such partition"                                                                                     },
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        void *own = NULL;
        (void)start(&own);
        expect_broken(own, list[i].damage, list[i].promise, list[i].example);
        (void)stop(&own);
    }
    (void)state;
}

static void verify_topic__records_above_the_high_mark__are_no_fault(void **state)
{
    struct bench *bench = *state;
    bench->topic[bench->count] = bench->topic[0];
    bench->topic[bench->count].offset = (int64_t)bench->count;
    bench->count++;
    const struct ow_verify_topic_result result = verify(bench, 0, 0);
    expect_content(&result);
    assert_int_equal(result.remarks.not_handled, 1);
}

static void verify_topic__retention__is_said_and_no_fault(void **state)
{
    struct bench *bench = *state;
    /* 0 and 1 are one run: half of it is there. */
    const struct ow_verify_topic_result result = verify(bench, 1, 0);
    expect_content(&result);
    assert_int_equal(result.remarks.runs_gone, 1);
    assert_string_equal(result.remarks.examples[0],
                        "order-events[0] 0 to 1: 1 of 2 records are there, the topic begins at 1");
}

static void verify_topic__compaction__is_said_and_no_fault(void **state)
{
    struct bench *bench = *state;
    /* Also the last handled record is gone: what is before it has another anchor. */
    const struct ow_verify_topic_result result =
        verify(bench, 0, 1U << 5 | 1U << (unsigned)(bench->count - 1));
    expect_content(&result);
    assert_int_equal(result.remarks.runs_gone, 2);
    assert_int_equal(find(&result, "topic_anchors_match")->checked, 0);
}

static void verify_topic__another_fingerprint_rule__is_not_compared(void **state)
{
    struct bench *bench = *state;
    ow_fixture_exec(&bench->fixture, "UPDATE ow_claims SET fingerprint = CAST(x'09' ||"
                                     " substr(fingerprint, 2) AS BLOB) WHERE ref = 2");
    const struct ow_verify_topic_result result = verify(bench, 0, 0);
    expect_content(&result);
    assert_int_equal(result.remarks.other_rule, 2); /* the message and its duplicate */
}

static void verify_topic__pruned_claims__are_not_missed(void **state)
{
    struct bench *bench = *state;
    ow_fixture_exec(
        &bench->fixture,
        "DELETE FROM ow_claims WHERE bucket = 1; DELETE FROM ow_bucket WHERE bucket = 1;"
        "INSERT INTO ow_meta SELECT 'pruned.' || class, min(opened_at_ms) FROM ow_bucket;"
        "INSERT INTO ow_meta SELECT 'pruned_below.' || class, 2 FROM ow_bucket LIMIT 1");
    const struct ow_verify_topic_result result = verify(bench, 0, 0);
    assert_int_equal(find(&result, "topic_claims_match")->broken, 2); /* the conflicts with e1 */
    assert_true(result.remarks.pruned >= 3);
}

/* What came again after its claim was pruned is expired, and owns the key from then on. */
static void verify_topic__a_key_claimed_anew_by_an_expired_record__is_no_difference(void **state)
{
    struct bench *bench = *state;
    ow_fixture_exec(
        &bench->fixture,
        "DELETE FROM ow_claims WHERE bucket = 1 AND ref > 2;"
        "UPDATE ow_claims SET bucket = 2, ref = ref + 100 WHERE bucket = 1;"
        "DELETE FROM ow_bucket WHERE bucket = 1;"
        "INSERT INTO ow_meta SELECT 'pruned.' || class, min(opened_at_ms) FROM ow_bucket;"
        "INSERT INTO ow_meta SELECT 'pruned_below.' || class, 2 FROM ow_bucket LIMIT 1;"
        "INSERT INTO ow_quarantine (id, reason, detail, machine, entity_id, topic, partition,"
        " offset, timestamp_ms, value, first_seen_ms, last_seen_ms, seen, attempts, status)"
        " SELECT c.ref, 'expired', '', 'orders', 'o1', 'order-events', 0, 99, 0, x'', 0, 0, 1, 0,"
        " 'open' FROM ow_claims c WHERE c.ref > 100");
    struct ow_verify_topic_result result = verify(bench, 0, 0);
    assert_int_equal(find(&result, "topic_history_matches")->broken, 0);
    assert_int_equal(find(&result, "topic_records_have_outcome")->broken, 2); /* conflicts */
    assert_true(result.remarks.pruned >= 3);
    /* By another row of theirs it would be one. */
    ow_fixture_exec(&bench->fixture, "UPDATE ow_quarantine SET reason = 'guard' WHERE id > 100");
    result = verify(bench, 0, 0);
    assert_int_equal(find(&result, "topic_history_matches")->broken, 2);
}

static void verify_topic__skipped_records__need_no_claim(void **state)
{
    struct bench *bench = *state;
    ow_fixture_exec(&bench->fixture,
                    "UPDATE ow_ledger SET outcome = 'skipped', records = 0 WHERE first_offset = 3;"
                    "DELETE FROM ow_claims WHERE ref = 3");
    const struct ow_verify_topic_result result = verify(bench, 0, 0);
    expect_content(&result);
    assert_int_equal(result.remarks.skipped, 1);
}

int ow_test_verify_topic(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(verify_topic__what_the_store_was_made_of__is_content, start,
                                        stop),
        cmocka_unit_test(verify_topic__changed_rows__are_found_with_their_offset),
        cmocka_unit_test_setup_teardown(verify_topic__records_above_the_high_mark__are_no_fault,
                                        start, stop),
        cmocka_unit_test_setup_teardown(verify_topic__retention__is_said_and_no_fault, start, stop),
        cmocka_unit_test_setup_teardown(verify_topic__compaction__is_said_and_no_fault, start,
                                        stop),
        cmocka_unit_test_setup_teardown(verify_topic__another_fingerprint_rule__is_not_compared,
                                        start, stop),
        cmocka_unit_test_setup_teardown(verify_topic__pruned_claims__are_not_missed, start, stop),
        cmocka_unit_test_setup_teardown(
            verify_topic__a_key_claimed_anew_by_an_expired_record__is_no_difference, start, stop),
        cmocka_unit_test_setup_teardown(verify_topic__skipped_records__need_no_claim, start, stop),
    };
    return cmocka_run_group_tests_name("verify_topic", tests, NULL, NULL);
}
