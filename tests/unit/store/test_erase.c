/* Erasure: no byte of what was blanked is left, and what protects stays, and still can be proved.
 */
#include "erase_life.h"
#include "groups.h"
#include "store/explain.h"
#include "support/store/fault_vfs.h"

#include <sqlite3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* As if the rest of an overflow page had not been empty before: SQLite does not say what is there.
 */
static void soil_tail(const struct ow_fixture *fixture)
{
    const int64_t page = ow_fixture_i64(fixture, "SELECT pageno FROM dbstat WHERE pagetype ="
                                                 " 'overflow' AND unused > 100 LIMIT 1");
    assert_true(page > 0);
    FILE *file = fopen(fixture->path, "r+e");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)page * 4096 - 50, SEEK_SET), 0);
    assert_int_equal(fwrite("[woken of tails]", 1, 16, file), 16);
    assert_int_equal(fclose(file), 0);
}

static void erase__payloads__are_in_no_byte_of_the_file_any_more(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_life_live_all(fixture);
    for (int r = 0; r < OW_LIFE_MORE; r++) {
        char id[32];
        char data[128];
        (void)snprintf(id, sizeof(id), "m%d", r);
        (void)snprintf(data, sizeof(data),
                       "\"refund_id\":\"m%d\",\"amount\":1,\"currency\":\"EUR\",", r);
        const struct ow_life_message refund = {id, "payment.refunded", data, "plain", 10};
        assert_int_equal(ow_life_send(fixture, 7, &refund), OW_OUTCOME_APPLIED);
    }
    /* Woken last: the pages that it had are free. */
    const struct ow_life_message early = {"d", "order.dispatched", "", "woken", 19000};
    const struct ow_life_message created = {"c", "order.created", OW_LIFE_ORDER ",", "plain", 10};
    const struct ow_life_message paid = {
        "p", "payment.succeeded", "\"payment_id\":\"p\"," OW_LIFE_ORDER ",\"method\":\"card\",",
        "plain", 10};
    assert_int_equal(ow_life_send(fixture, OW_LIFE_ENTITIES, &early), OW_OUTCOME_PARKED);
    assert_int_equal(ow_life_send(fixture, OW_LIFE_ENTITIES, &created), OW_OUTCOME_APPLIED);
    assert_int_equal(ow_life_send(fixture, OW_LIFE_ENTITIES, &paid), OW_OUTCOME_APPLIED);
    const struct ow_life_message late = {"l", "order.lost", "", "late",
                                         4500}; /* one is in use again */
    assert_int_equal(ow_life_send(fixture, OW_LIFE_ENTITIES, &late), OW_OUTCOME_QUARANTINED);
    ow_fixture_close(fixture);
    assert_true(ow_fixture_i64(fixture, "PRAGMA freelist_count") > 1);
    assert_true(ow_life_count_everywhere(fixture, "[conflict of 7]") > 0);
    /* Woken long ago: no row has them, but pages do. */
    assert_true(ow_life_count_everywhere(fixture, "[woken of ") > 0);
    soil_tail(fixture);
    const struct ow_verification before = ow_life_verify(fixture);
    const struct ow_erasure erasure = ow_life_erase(fixture, "o7");
    assert_int_equal(erasure.history, 3 + OW_LIFE_REFUNDS + OW_LIFE_MORE);
    assert_int_equal(erasure.quarantine, 1);
    assert_int_equal(erasure.parked, 0);
    assert_int_equal(ow_life_count_everywhere(fixture, "[conflict of 7]"), 0);
    assert_int_equal(ow_life_count_everywhere(fixture, "[woken of "), 0);
    assert_true(ow_life_count_everywhere(fixture, "[conflict of 8]") > 0);
    assert_int_equal(ow_life_must_verify(fixture), 1); /* which says so */
    assert_string_equal(ow_life_verify(fixture).state_hash, before.state_hash);
    assert_int_equal(ow_life_erase(fixture, "o7").history, 0);
    /* All of them: the members of data are nowhere. Machines, whose texts name the same pointers,
     * have no value behind them. */
    assert_true(ow_life_count_everywhere(fixture, "\"/data/amount\":") >= OW_LIFE_ENTITIES - 1);
    for (int i = 0; i <= OW_LIFE_ENTITIES; i++) {
        char entity[16];
        (void)snprintf(entity, sizeof(entity), "o%d", i);
        (void)ow_life_erase(fixture, entity);
    }
    assert_int_equal(ow_life_count_everywhere(fixture, "\"/data/amount\":"), 0);
    assert_int_equal(ow_life_count_everywhere(fixture, "[conflict of "), 0);
    assert_int_equal(ow_life_must_verify(fixture), 1);
    assert_string_equal(ow_life_verify(fixture).state_hash, before.state_hash);
    assert_string_equal(ow_fixture_text(fixture, "PRAGMA integrity_check"), "ok");
}

static void erase__same_messages_again__are_duplicates_and_bring_nothing_back(void **state)
{
    struct ow_fixture *fixture = *state;
    const struct ow_life_message created = {"c", "order.created", OW_LIFE_ORDER ",", "plain", 10};
    const struct ow_life_message other = {"c", "order.cancelled", "", "conflict", 50};
    const struct ow_life_message illegal = {"x", "order.created", OW_LIFE_ORDER ",", "illegal", 50};
    assert_int_equal(ow_life_send(fixture, 1, &created), OW_OUTCOME_APPLIED);
    assert_int_equal(ow_life_send(fixture, 1, &other), OW_OUTCOME_QUARANTINED);
    assert_int_equal(ow_life_send(fixture, 1, &illegal), OW_OUTCOME_STALE);
    const char *const row = ow_fixture_text(fixture, "SELECT state || version FROM orders");
    ow_fixture_close(fixture);
    (void)ow_life_erase(fixture, "o1");
    ow_fixture_open(fixture);
    assert_int_equal(ow_life_send(fixture, 1, &created), OW_OUTCOME_DUPLICATE);
    assert_int_equal(ow_life_send(fixture, 1, &other),
                     OW_OUTCOME_QUARANTINED); /* the same row once more */
    assert_int_equal(ow_life_send(fixture, 1, &illegal), OW_OUTCOME_DUPLICATE);
    fixture->position.next_offset = 0; /* an operator's rewind */
    fixture->position_offset = 0;
    assert_int_equal(ow_life_send(fixture, 1, &created), OW_OUTCOME_DUPLICATE);
    assert_int_equal(ow_life_send(fixture, 1, &other), OW_OUTCOME_QUARANTINED);
    assert_string_equal(ow_fixture_text(fixture, "SELECT state || version FROM orders"), row);
    assert_string_equal(ow_fixture_text(fixture, "SELECT count(*) || status || seen || coalesce("
                                                 "key, headers, value, '-') FROM ow_quarantine"),
                        "1discarded3-");
    ow_fixture_close(fixture);
    assert_int_equal(ow_life_count_everywhere(fixture, "[conflict of 1]"), 0);
    assert_int_equal(ow_life_must_verify(fixture), 1);
}

/* The row of a conflict says what both messages said; its own payload is the other entity's. */
static void erase__conflict_of_another_entity__tells_nothing_of_the_first(void **state)
{
    struct ow_fixture *fixture = *state;
    (void)ow_fixture_event(fixture, "m", "order.created", "o1",
                           "\"amount\":86420,\"currency\":\"EUR\"");
    assert_int_equal(
        ow_fixture_event(fixture, "m", "order.created", "o2", "\"amount\":7,\"currency\":\"EUR\""),
        OW_OUTCOME_QUARANTINED);
    const char *const value = ow_fixture_text(fixture, "SELECT hex(value) FROM ow_quarantine");
    ow_fixture_close(fixture);
    assert_true(ow_life_count_everywhere(fixture, "/data/amount: 86420") > 0);
    assert_int_equal(ow_life_erase(fixture, "o1").quarantine, 1);
    assert_int_equal(ow_life_erase(fixture, "o1").quarantine, 0);
    assert_int_equal(ow_life_count_everywhere(fixture, "/data/amount: 86420"), 0);
    ow_fixture_open(fixture);
    assert_string_equal(ow_fixture_text(fixture, "SELECT hex(value) FROM ow_quarantine"), value);
    assert_int_equal(
        ow_fixture_event(fixture, "m", "order.created", "o3", "\"amount\":8,\"currency\":\"EUR\""),
        OW_OUTCOME_QUARANTINED);
    assert_non_null(strstr(ow_fixture_text(fixture, "SELECT detail FROM ow_quarantine"
                                                    " WHERE entity_id = 'o3'"),
                           "first payload erased"));
    ow_fixture_close(fixture);
    assert_int_equal(ow_life_must_verify(fixture), 1);
}

static void erase__entity_goes_on__sums_go_on_from_what_they_were(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_fill(fixture);
    ow_fixture_close(fixture);
    (void)ow_life_erase(fixture, "o1");
    ow_fixture_open(fixture);
    assert_int_equal(ow_fixture_event(fixture, "g1", "payment.refunded", "o1",
                                      "\"refund_id\":\"r8\",\"amount\":1001,\"currency\":\"EUR\""),
                     OW_OUTCOME_QUARANTINED); /* one more than is left of 1299 */
    assert_int_equal(ow_fixture_event(fixture, "g2", "payment.refunded", "o1",
                                      "\"refund_id\":\"r9\",\"amount\":1000,\"currency\":\"EUR\""),
                     OW_OUTCOME_APPLIED);
    ow_fixture_close(fixture);
    assert_int_equal(ow_life_must_verify(fixture), 1);
    ow_fixture_exec(fixture, "UPDATE orders SET refunded_minor = 1298 WHERE order_id = 'o1'");
    assert_true(ow_life_is_broken(fixture, "sums_derived"));
    ow_fixture_exec(fixture, "UPDATE orders SET refunded_minor = 1299 WHERE order_id = 'o1'");
    assert_int_equal(ow_life_erase(fixture, "o1").history,
                     2); /* the new one, and the last one before it */
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_history"
                                             " WHERE data GLOB '{\"columns\":*'"),
                     1);
    assert_int_equal(ow_life_must_verify(fixture), 1);
}

static void erase__what_remains__is_proved_still(void **state)
{
    struct ow_fixture *fixture = *state;
    /* Whoever edits takes the sums over the tables away too: something else must tell. */
    static const struct {
        const char *edit, *undo, *promise;
    } edits[] = {
        {"UPDATE payments SET amount_minor = 7",                                                   "UPDATE payments SET amount_minor = 1299",
         "record_rows_derived"                                                                                                                                          },
        {"UPDATE payments SET method = 'cash'",                                                    "UPDATE payments SET method = 'card'",
         "record_rows_derived"                                                                                                                                          },
        {"UPDATE payments SET seq = seq + 1",                                                      "UPDATE payments SET seq = seq - 1",
         "record_rows_derived"                                                                                                                                          },
        {"UPDATE payments SET payment_id = 'p'",                                                   "UPDATE payments SET payment_id = 'p1'",
         "record_rows_derived"                                                                                                                                          },
        {"INSERT INTO payments SELECT 'q', order_id, amount_minor, currency, method, seq FROM "
         "payments",                                                                      "DELETE FROM payments WHERE payment_id = 'q'", "record_rows_derived" },
        {"UPDATE orders SET paid_minor = 1 WHERE order_id = 'o1'",
         "UPDATE orders SET paid_minor = 1299 WHERE order_id = 'o1'",                                                                             "sums_derived"        },
        {"UPDATE orders SET currency = 'USD' WHERE order_id = 'o1'",
         "UPDATE orders SET currency = 'EUR' WHERE order_id = 'o1'",                                                                              "sets_derived"        },
        {"UPDATE orders SET state = 'paid' WHERE order_id = 'o1'",
         "UPDATE orders SET state = 'received' WHERE order_id = 'o1'",                                                                            "paths_of_machine"    },
        {"UPDATE ow_history_row SET version = 9 WHERE version = 4",
         "UPDATE ow_history_row SET version = 4 WHERE version = 9",                                                                               "versions_without_gap"},
        {"UPDATE ow_history_row SET data = replace(data, ',\"erased\"', ', \"erased\"')",
         "UPDATE ow_history_row SET data = replace(data, ', \"erased\"', ',\"erased\"')",                                                         "paths_of_machine"    },
        {"UPDATE ow_quarantine SET status = 'open' WHERE entity_id = 'o1' AND reason = 'illegal'",
         "UPDATE ow_quarantine SET status = 'discarded' WHERE entity_id = 'o1'",                                                                  "quarantine_judged"   },
        {"UPDATE ow_quarantine SET value = x'00' WHERE entity_id = 'o1'",
         "UPDATE ow_quarantine SET value = NULL WHERE entity_id = 'o1'",                                                                          "quarantine_judged"   },
        {"UPDATE ow_claims SET ref = ref + 10000 WHERE ref = (SELECT min(seq) FROM ow_history)",
         "UPDATE ow_claims SET ref = ref - 10000 WHERE ref > 10000",                                                                              "claims_owned"        },
 /* The last one, for it cannot be undone: nothing to hold the columns to. */
        {"UPDATE ow_history_row SET data = '{\"erased\":1}' WHERE data GLOB '{\"columns\":*'"
         " AND data NOT GLOB '*records*'",                                                NULL,                                          "sets_derived"        },
    };
    ow_fixture_fill(fixture);
    assert_int_equal(
        ow_fixture_event(fixture, "h1", "order.created", "o1", OW_LIFE_ORDER ",\"x\":1"),
        OW_OUTCOME_STALE);
    ow_fixture_close(fixture);
    (void)ow_life_erase(fixture, "o1");
    (void)ow_life_erase(fixture, "o2");
    ow_fixture_exec(fixture, "DELETE FROM ow_meta WHERE key GLOB 'seal.*'");
    assert_int_equal(ow_life_must_verify(fixture), 2);
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        ow_fixture_exec(fixture, edits[i].edit);
        if (!ow_life_is_broken(fixture, edits[i].promise)) {
            fail_msg("%s is not told of: %s", edits[i].promise, edits[i].edit);
        }
        if (edits[i].undo != NULL) {
            ow_fixture_exec(fixture, edits[i].undo);
            assert_int_equal(ow_life_must_verify(fixture), 2);
        }
    }
}

static void erase__mark_by_another_hand__is_told(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_fill(fixture);
    ow_fixture_close(fixture);
    ow_fixture_exec(fixture, "UPDATE ow_history_row SET data = '{\"erased\":1}' WHERE seq ="
                             " (SELECT last_seq FROM orders WHERE order_id = 'o2')");
    assert_true(ow_life_is_broken(fixture, "tables_sealed"));
    assert_true(ow_life_is_broken(fixture, "sets_derived"));
}

static void erase__parked_records__are_not_lost_without_a_word(void **state)
{
    struct ow_fixture *fixture = *state;
    struct ow_erasure erasure;
    ow_fixture_fill(fixture);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_parked"), 1); /* of o3 */
    const int64_t ref = ow_fixture_i64(fixture, "SELECT id FROM ow_parked");
    ow_fixture_close(fixture);
    assert_int_equal(ow_life_try_erase(fixture, "o3", false, &erasure), OW_FAILED);
    assert_non_null(strstr(fixture->err.text, "1 parked record, and nothing was erased"));
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_parked"), 1);
    assert_int_equal(ow_life_must_verify(fixture), 0);

    assert_int_equal(ow_life_try_erase(fixture, "o3", true, &erasure), OW_OK);
    assert_int_equal(erasure.parked, 1);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_parked"), 0);
    char sql[256];
    (void)snprintf(
        sql, sizeof(sql),
        "SELECT reason || status || seen || (value IS NULL AND key IS NULL AND headers IS"
        " NULL) || detail FROM ow_quarantine WHERE id = %d",
        (int)ref);
    assert_string_equal(ow_fixture_text(fixture, sql),
                        "park_timeoutdiscarded11discarded while it was parked: order.dispatched");
    assert_int_equal(ow_life_must_verify(fixture), 1);
    ow_fixture_open(fixture);
    assert_int_equal(ow_fixture_event(fixture, "i1", "order.created", "o3", OW_LIFE_ORDER),
                     OW_OUTCOME_APPLIED);
    assert_int_equal(ow_fixture_event(fixture, "e11", "order.dispatched", "o3", ""),
                     OW_OUTCOME_DUPLICATE);
    ow_fixture_close(fixture);
    assert_int_equal(ow_life_must_verify(fixture), 1);
}

static void erase__where_it_cannot__says_so_and_changes_nothing(void **state)
{
    struct ow_fixture *fixture = *state;
    struct ow_erasure erasure;
    ow_fixture_fill(fixture);
    assert_int_equal(ow_life_try_erase(fixture, "o1", false, &erasure), OW_TEMPORARY);
    assert_non_null(strstr(fixture->err.text, "in use by another process"));
    ow_fixture_close(fixture);
    assert_int_equal(ow_life_try_erase(fixture, "o77", false, &erasure), OW_FAILED);
    assert_non_null(strstr(fixture->err.text, "nothing is known of entity 'o77'"));
    assert_int_equal(ow_life_must_verify(fixture), 0);
    (void)snprintf(fixture->path, sizeof(fixture->path), "%s/other.db", fixture->folder);
    assert_int_equal(ow_life_try_erase(fixture, "o1", false, &erasure), OW_BAD_CONFIG);
    assert_non_null(strstr(fixture->err.text, "there is no store"));
}

static void erase__hash_key_in_a_file__is_used_and_verify_goes_without(void **state)
{
    (void)state;
    struct ow_fixture fixture;
    char file[128];
    ow_fixture_init(&fixture);
    (void)snprintf(file, sizeof(file), "%s/key", fixture.folder);
    fixture.hash_key_file = file;
    ow_fixture_open(&fixture);
    ow_fixture_fill(&fixture);
    ow_fixture_close(&fixture);
    (void)ow_life_erase(&fixture, "o1");
    assert_int_equal(ow_life_must_verify(&fixture), 1);
    ow_fixture_exec(&fixture, "UPDATE payments SET method = 'cash'");
    assert_true(ow_life_is_broken(&fixture, "record_rows_derived"));
    fixture.hash_key_file = NULL;
    assert_int_equal(ow_life_must_verify(&fixture), 2); /* claims and hashes are not looked at */
    ow_fixture_done(&fixture);
}

static void erase__explain__tells_when(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_fill(fixture);
    ow_fixture_close(fixture);
    const struct ow_erasure erasure = ow_life_erase(fixture, "o1");
    struct ow_explanation explanation;
    const struct ow_explain_options options = {
        .path = fixture->path, .id = "o1", .clock = ow_clock_system()};
    assert_int_equal(ow_explain(&options, &fixture->kept, &explanation, &fixture->err), OW_OK);
    int told = 0;
    for (const struct ow_explain_event *event = explanation.meanings->events; event != NULL;
         event = event->next) {
        if (event->seq != 0) {
            assert_int_equal(event->erased_at_ms, erasure.at_ms);
            assert_null(event->data);
            told++;
        }
    }
    assert_int_equal(told, erasure.history);
}

/* Whatever call of the file system fails, for ever: what is there is understood, and the next try
 * ends it. */
static void erase__killed_anywhere__goes_on_when_called_again(void **state)
{
    (void)state;
    static const struct {
        enum ow_fault_call call;
        int code;
    } kinds[] = {
        {OW_FAULT_WRITE, SQLITE_IOERR_WRITE},
        {OW_FAULT_SYNC,  SQLITE_IOERR_FSYNC}
    };
    ow_fault_install();
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        bool failed = true;
        for (int64_t at = 1; failed; at++) {
            struct ow_fixture fixture;
            struct ow_erasure erasure;
            ow_fixture_init(&fixture);
            ow_fixture_open(&fixture);
            ow_fixture_fill(&fixture);
            ow_fixture_close(&fixture);
            const struct ow_fault fault = {
                .call = kinds[k].call, .at = at, .for_ever = true, .code = kinds[k].code};
            ow_fault_arm(&fault);
            const enum ow_status status = ow_life_try_erase(&fixture, "o1", false, &erasure);
            failed = ow_fault_disarm();
            assert_true(!failed || status != OW_OK);
            (void)ow_life_must_verify(&fixture);
            (void)ow_life_erase(&fixture, "o1");
            assert_int_equal(ow_life_must_verify(&fixture), 1);
            ow_fixture_done(&fixture);
        }
    }
    ow_fault_remove();
}

int ow_test_erase(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ow_life_start, ow_life_stop)
    const struct CMUnitTest tests[] = {
        TEST(erase__payloads__are_in_no_byte_of_the_file_any_more),
        TEST(erase__same_messages_again__are_duplicates_and_bring_nothing_back),
        TEST(erase__conflict_of_another_entity__tells_nothing_of_the_first),
        TEST(erase__entity_goes_on__sums_go_on_from_what_they_were),
        TEST(erase__what_remains__is_proved_still),
        TEST(erase__mark_by_another_hand__is_told),
        TEST(erase__parked_records__are_not_lost_without_a_word),
        TEST(erase__where_it_cannot__says_so_and_changes_nothing),
        cmocka_unit_test(erase__hash_key_in_a_file__is_used_and_verify_goes_without),
        TEST(erase__explain__tells_when),
        cmocka_unit_test(erase__killed_anywhere__goes_on_when_called_again),
    };
#undef TEST
    return cmocka_run_group_tests_name("erase", tests, NULL, NULL);
}
