#include "groups.h"
#include "store/verify.h"
#include "support/store/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CREATED "\"amount\":1299,\"currency\":\"EUR\""

/* A filled store, closed; and a copy of it for each test. */
struct shelf {
    struct ow_fixture filled;
    struct ow_fixture copy; /* only its folder and path are used */
};

static int start_group(void **state)
{
    struct shelf *shelf = calloc(1, sizeof(*shelf));
    assert_non_null(shelf);
    ow_fixture_init(&shelf->filled);
    shelf->filled.bucket_claims = 5;
    ow_fixture_open(&shelf->filled);
    ow_fixture_fill(&shelf->filled);
    ow_fixture_tend(&shelf->filled, INT64_MIN);
    ow_fixture_close(&shelf->filled);
    *state = shelf;
    return 0;
}

static int stop_group(void **state)
{
    struct shelf *shelf = *state;
    ow_fixture_done(&shelf->filled);
    free(shelf);
    return 0;
}

static int start(void **state)
{
    struct shelf *shelf = *state;
    ow_fixture_init(&shelf->copy);
    FILE *from = fopen(shelf->filled.path, "re");
    FILE *to = fopen(shelf->copy.path, "we");
    assert_non_null(from);
    assert_non_null(to);
    static char bytes[65536];
    size_t len = 0;
    while ((len = fread(bytes, 1, sizeof(bytes), from)) > 0) {
        assert_int_equal(fwrite(bytes, 1, len, to), len);
    }
    assert_int_equal(fclose(to), 0);
    assert_int_equal(fclose(from), 0);
    return 0;
}

static int stop(void **state)
{
    struct shelf *shelf = *state;
    ow_fixture_done(&shelf->copy);
    return 0;
}

static struct ow_verification verify(struct ow_fixture *fixture)
{
    struct ow_verification verification;
    if (ow_verify(fixture->path, &fixture->kept, &verification, &fixture->err) != OW_OK) {
        fail_msg("verify: %s", fixture->err.text);
    }
    return verification;
}

static const struct ow_promise *find(const struct ow_verification *verification, const char *name)
{
    for (size_t i = 0; i < verification->promise_count; i++) {
        if (strcmp(verification->promises[i].name, name) == 0) {
            return &verification->promises[i];
        }
    }
    fail_msg("no promise %s", name);
    return NULL;
}

static void print_broken(const struct ow_verification *verification)
{
    for (size_t i = 0; i < verification->promise_count; i++) {
        const struct ow_promise *promise = &verification->promises[i];
        for (size_t k = 0; promise->examples[k] != NULL; k++) {
            print_message("%s: %s\n", promise->name, promise->examples[k]);
        }
    }
}

static void expect_sound(struct ow_fixture *fixture)
{
    const struct ow_verification verification = verify(fixture);
    if (!verification.ok) {
        print_broken(&verification);
    }
    assert_true(verification.ok);
}

static void verify__filled_store__keeps_all_promises(void **state)
{
    struct shelf *shelf = *state;
    const struct ow_verification verification = verify(&shelf->copy);
    print_broken(&verification);
    assert_true(verification.ok);
    assert_int_equal(strlen(verification.state_hash), 64);
    for (size_t i = 0; i < verification.promise_count; i++) {
        if (verification.promises[i].checked == 0) {
            fail_msg("%s has looked at nothing", verification.promises[i].name);
        }
        assert_null(verification.promises[i].examples[0]);
    }
    assert_int_equal(find(&verification, "versions_without_gap")->checked, 7);
}

/* Plants damage and expects the promise to break, with an example that says so. */
static void expect_broken(struct shelf *shelf, const char *damage, const char *promise,
                          const char *example)
{
    start((void **)&shelf);
    ow_fixture_exec(&shelf->copy, damage);
    const struct ow_verification verification = verify(&shelf->copy);
    const struct ow_promise *broken = find(&verification, promise);
    bool said = false;
    for (size_t k = 0; broken->examples[k] != NULL; k++) {
        said = said || strstr(broken->examples[k], example) != NULL;
    }
    if (verification.ok || broken->broken == 0 || !said) {
        print_message("damage: %s\nexpected: %s: %s\n", damage, promise, example);
        print_broken(&verification);
        fail_msg("%s did not break as expected", promise);
    }
    stop((void **)&shelf);
}

struct damage {
    const char *sql, *promise, *example;
};

static void expect_all(struct shelf *shelf, const struct damage *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        expect_broken(shelf, list[i].sql, list[i].promise, list[i].example);
    }
}
#define EXPECT_ALL(shelf, list) expect_all((shelf), (list), sizeof(list) / sizeof((list)[0]))

static void verify__damaged_counts__are_found(void **state)
{
    static const struct damage list[] = {
        {"UPDATE ow_position SET applied = applied + 1",                              "counters_match_ledger",
         "applied is 7, the ledger has 6"                                                                                                    },
        {"UPDATE ow_ledger SET records = records + 1 WHERE outcome = 'stale'",
         "counters_match_ledger",                                                                              "stale"                       },
        {"UPDATE ow_position SET high_offset = high_offset + 1",                      "ledger_contiguous",
         "the high mark is 17"                                                                                                               },
        {"DELETE FROM ow_ledger WHERE first_offset = 3",                              "ledger_contiguous",     "follows offset 2"            },
        {"UPDATE ow_ledger SET last_offset = last_offset + 1 WHERE first_offset = 3",
         "ledger_contiguous",                                                                                  "from 4 to"                   },
        {"DELETE FROM ow_position",                                                   "ledger_contiguous",     "has a ledger but no position"},
        {"UPDATE ow_position SET next_offset = 99",                                   "ledger_contiguous",     "next offset 99"              },
        {"UPDATE ow_ledger SET outcome = 'duplicate' WHERE first_offset = 3",         "outcomes_match_rows",
         "offset 3 has a stale sighting, but the ledger says duplicate"                                                                      },
        {"DELETE FROM ow_sighting WHERE cause = 'same_id'",                           "outcomes_match_rows",
         "1 duplicate records"                                                                                                               },
        {"DELETE FROM ow_parked",                                                     "outcomes_match_rows",
         "1 parked records at offsets 12 to 12, but 0"                                                                                       },
        {"DELETE FROM ow_quarantine WHERE reason = 'malformed'",                      "outcomes_match_rows",
         "5 quarantined records, but the quarantine has seen 3"                                                                              },
        {"UPDATE ow_history_row SET offset = 77 WHERE seq = 1",                       "outcomes_match_rows",   "in no run"                   },
        {"DELETE FROM ow_history_row WHERE first_ref IS NOT NULL",                    "outcomes_match_rows",
         "1 parked records"                                                                                                                  },
    };
    EXPECT_ALL(*state, list);
}

static void verify__damaged_claims__are_found(void **state)
{
    static const struct damage list[] = {
        {"INSERT INTO ow_claims SELECT 2, key, fingerprint, ref FROM ow_claims WHERE bucket = 1 "
         "LIMIT 1",                                                                      "claims_unique",   "is in bucket 1 and in bucket 2"},
        {"UPDATE ow_bucket SET claims = claims - 1 WHERE bucket = 1",                             "claims_unique",
         "has 5 claims and says 4"                                                                                                                   },
        {"UPDATE ow_claims SET bucket = 9 WHERE bucket = 1",                                      "claims_unique",
         "there are claims in bucket 9, and no such bucket"                                                                                          },
        {"DELETE FROM ow_claims WHERE ref = 1",                                                   "claims_owned",    "history row 1 has no claim"    },
        {"DELETE FROM ow_claims WHERE ref = (SELECT id FROM ow_parked)",                          "claims_owned",
         "parked record"                                                                                                                             },
        {"DELETE FROM ow_claims WHERE ref = (SELECT id FROM ow_quarantine WHERE reason = "
         "'illegal')",                                                                   "claims_owned",    "quarantine row"                },
        {"DELETE FROM ow_claims WHERE ref = (SELECT ref FROM ow_sighting WHERE cause = 'stale')",
         "claims_owned",                                                                                             "stale sighting"                },
        {"DELETE FROM ow_parked",                                                                 "claims_owned",    "belongs to nothing"            },
        {"UPDATE ow_claims SET ref = 2 WHERE ref = 1",                                            "claims_owned",    "with ref 2 is there twice"     },
        {"INSERT INTO ow_sighting VALUES (1, 'stale', 'order-events', 0, 0, 0)",                  "claims_owned",
         "is not the only one with its claim"                                                                                                        },
        {"UPDATE ow_meta SET value = 3 WHERE key = 'next_ref'",                                   "refs_below_next",
         "a quarantine row 4, and the next number is 3"                                                                                              },
        {"UPDATE ow_history_row SET first_ref = 1000 WHERE first_ref IS NOT NULL",
         "refs_below_next",                                                                                          "first_ref"                     },
    };
    EXPECT_ALL(*state, list);
}

static void verify__damaged_history__is_found(void **state)
{
    static const struct damage list[] = {
        {"DELETE FROM ow_history_row WHERE seq = 2",                                "versions_without_gap",
         "version 3 after row 2 follows version 0"                                                                                                                            },
        {"UPDATE ow_history_row SET prev_seq = 5 WHERE seq = 2",                    "versions_without_gap",
         "version 2 after row 5"                                                                                                                                              },
        {"UPDATE orders SET version = version + 1 WHERE order_id = 'o1'",           "versions_without_gap",
         "'o1' has version 6"                                                                                                                                                 },
        {"UPDATE orders SET last_seq = 1 WHERE order_id = 'o1'",                    "versions_without_gap",
         "last_seq 1"                                                                                                                                                         },
        {"DELETE FROM orders WHERE order_id = 'o1'",                                "versions_without_gap",
         "'o1', history row 1 is on no entity's chain"                                                                                                                        },
        {"INSERT INTO orders VALUES ('o9', 'created', 1, 1, 1, 'EUR', 0, 0, 0, 0)",
         "versions_without_gap",                                                                            "'o9' has version 1 and last_seq 1, the history ends at version 0"},
        {"UPDATE orders SET state = 'created' WHERE order_id = 'o1'",               "paths_of_machine",
         "has the state 'created'"                                                                                                                                            },
        {"UPDATE ow_history_row SET to_state = from_state WHERE seq = 2",           "paths_of_machine",
         "does not lead from 'created' by 'payment.succeeded' to 'created'"                                                                                                   },
        {"UPDATE ow_history_row SET event_type = (SELECT id FROM ow_text WHERE text = "
         "'order.created') WHERE seq = 2",                                 "paths_of_machine",     "does not lead"                                                   },
        {"UPDATE ow_history_row SET machine_version = 7 WHERE seq = 1",             "paths_of_machine",
         "version 7"                                                                                                                                                          },
        {"UPDATE ow_history_row SET machine = 999 WHERE seq = 1",                   "paths_of_machine",
         "no machine that the store knows"                                                                                                                                    },
        {"UPDATE ow_history_row SET data = '[]' WHERE seq = 1",                     "paths_of_machine",
         "no JSON object"                                                                                                                                                     },
        {"UPDATE ow_history_row SET (from_state, to_state) = (SELECT id, id FROM ow_text"
         " WHERE text = 'dispatched') WHERE event_type ="
         " (SELECT id FROM ow_text WHERE text = 'payment.refunded')",      "paths_of_machine",     "but the row before led to 'received'"                            },
    };
    EXPECT_ALL(*state, list);
}

static void verify__damaged_business_rows__are_found(void **state)
{
    static const struct damage list[] = {
        {"UPDATE payments SET amount_minor = amount_minor + 1",                       "record_rows_derived",
         "payments 'p1' is not"                                                                                                           },
        {"UPDATE payments SET seq = seq + 1",                                         "record_rows_derived",  "payments 'p1' is not"      },
        {"DELETE FROM refunds",                                                       "record_rows_derived",  "refunds 'r1' is missing"   },
        {"INSERT INTO payments VALUES ('p9', 'o1', 5, 'EUR', 'card', 2)",             "record_rows_derived",
         "payments 'p9' names history row 2, which does not record it"                                                                    },
        {"INSERT INTO payments VALUES ('p9', 'o1', 5, 'EUR', 'card', 12345)",         "record_rows_derived",
         "payments 'p9' names history row 12345"                                                                                          },
        {"UPDATE orders SET paid_minor = 0 WHERE order_id = 'o1'",                    "sums_derived",
         "paid_minor is 0, the history makes it 1299"                                                                                     },
        {"UPDATE orders SET refunded_minor = 5 WHERE order_id = 'o2'",                "sums_derived",
         "is 5, the history makes it 0"                                                                                                   },
        {"UPDATE orders SET amount_minor = 1300 WHERE order_id = 'o1'",               "sets_derived",
         "amount_minor is 1300, the history makes it 1299"                                                                                },
        {"UPDATE orders SET currency = 'USD' WHERE order_id = 'o1'",                  "sets_derived",         "'EUR'"                     },
        {"UPDATE orders SET created_at_ms = 1 WHERE order_id = 'o1'",                 "times_derived",
         "the times 1 and"                                                                                                                },
        {"UPDATE orders SET updated_at_ms = updated_at_ms + 1 WHERE order_id = 'o2'",
         "times_derived",                                                                                     "'o2'"                      },
        {"WITH RECURSIVE n (i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1032) "
         "INSERT INTO ow_parked"
         " SELECT i, 'orders', 'o3', 'order.dispatched', 0, 0, 'order-events', 0, 12, 0, NULL, "
         "NULL, NULL FROM n",                                                "parked_within_limits", "'o3' has 34 parked records"},
    };
    EXPECT_ALL(*state, list);
}

static void verify__damaged_index__breaks_the_integrity(void **state)
{
    expect_broken(*state,
                  "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX "
                  "payments_order_id ON payments"
                  " (method)' WHERE name = 'payments_order_id'",
                  "integrity", "payments_order_id");
}

static void verify__damaged_page__is_told_and_no_crash(void **state)
{
    struct shelf *shelf = *state;
    FILE *file = fopen(shelf->copy.path, "r+e");
    assert_non_null(file);
    for (long page = 2; page < 40;
         page++) { /* every page but the first, in the middle and at the front */
        assert_int_equal(fseek(file, page * 4096, SEEK_SET), 0);
        assert_true(fputs("\x0d\xff\xff\xff\xff damaged \xff", file) >= 0);
    }
    assert_int_equal(fclose(file), 0);
    struct ow_verification verification;
    assert_int_equal(
        ow_verify(shelf->copy.path, &shelf->copy.kept, &verification, &shelf->copy.err), OW_OK);
    assert_false(verification.ok);
}

/* As a copy that ended too early leaves it. */
static void verify__a_file_cut_short__is_told_and_no_crash(void **state)
{
    struct shelf *shelf = *state;
    ow_fixture_exec(&shelf->copy, "PRAGMA wal_checkpoint(TRUNCATE)");
    struct stat whole;
    assert_int_equal(stat(shelf->copy.path, &whole), 0);
    int unfinished = 0;
    for (off_t size = whole.st_size - 4096; size >= 4096; size -= 4096) {
        assert_int_equal(truncate(shelf->copy.path, size), 0);
        struct ow_verification verification;
        if (ow_verify(shelf->copy.path, &shelf->copy.kept, &verification, &shelf->copy.err) !=
            OW_OK) {
            fail_msg("cut to %lld bytes: %s", (long long)size, shelf->copy.err.text);
        }
        assert_false(verification.ok);
        unfinished += verification.finished ? 0 : 1;
    }
    assert_true(unfinished > 0);
}

static void verify__state_hash__is_of_the_business_state_alone(void **state)
{
    struct shelf *shelf = *state;
    const struct ow_verification before = verify(&shelf->copy);
    ow_fixture_exec(&shelf->copy, "UPDATE payments SET seq = 77; UPDATE orders SET last_seq = 78");
    const struct ow_verification seq = verify(&shelf->copy);
    assert_string_equal(seq.state_hash, before.state_hash);
    ow_fixture_exec(&shelf->copy, "UPDATE refunds SET currency = 'USD'");
    const struct ow_verification changed = verify(&shelf->copy);
    assert_string_not_equal(changed.state_hash, before.state_hash);
}

static void verify__other_files__are_refused(void **state)
{
    struct shelf *shelf = *state;
    struct ow_verification verification;
    ow_fixture_exec(&shelf->copy, "PRAGMA application_id = 7");
    assert_int_equal(
        ow_verify(shelf->copy.path, &shelf->copy.kept, &verification, &shelf->copy.err), OW_UNSAFE);
    assert_int_equal(
        ow_verify(shelf->copy.folder, &shelf->copy.kept, &verification, &shelf->copy.err),
        OW_BAD_CONFIG);
    assert_int_equal(ow_verify("/nowhere/x.db", &shelf->copy.kept, &verification, &shelf->copy.err),
                     OW_BAD_CONFIG);
}

static void verify__while_the_owner_writes__sees_one_snapshot(void **state)
{
    struct shelf *shelf = *state;
    struct ow_fixture *live = &shelf->copy;
    ow_fixture_open(live);
    expect_sound(live);
    assert_int_equal(ow_fixture_event(live, "e50", "order.created", "o50", CREATED),
                     OW_OUTCOME_APPLIED);
    ow_fixture_begin(live); /* an open batch is not seen */
    struct ow_claim *claim =
        ow_world_claim(&live->world, (const uint8_t *)"0123456789abcdef", 1000);
    claim->loaded = claim->taken = claim->fresh = true;
    claim->ref = live->world.next_ref++;
    assert_int_equal(ow_fixture_write(live), OW_OK);
    expect_sound(live);
    ow_store_rollback(live->store);
}

/* Several machine versions in one history, with columns that only the newer one has. */
static void verify__history_of_two_machine_versions__is_judged_by_each(void **state)
{
    struct shelf *shelf = *state;
    struct ow_fixture *fixture = &shelf->copy;
    const char *text = ow_fixture_read_file(&fixture->kept, OW_SOURCE_DIR "/schemas/orders.yaml");
    const char *version = strstr(text, "version: 1");
    const char *column = strstr(text, "    paid_minor:");
    assert_non_null(version);
    assert_non_null(column);
    ow_machines_done(&fixture->machines);
    ow_fixture_load_machine(
        &fixture->machines,
        ow_arena_printf(
            &fixture->kept,
            "%.*sversion: 2%.*s    tips: { type: integer, default: 3 }\n    note: text\n%s",
            (int)(version - text), text, (int)(column - version - 10), version + 10, column));
    ow_fixture_open(fixture);
    assert_int_equal(ow_fixture_event(fixture, "e60", "order.created", "o3", CREATED),
                     OW_OUTCOME_APPLIED);
    assert_int_equal(ow_fixture_event(fixture, "e61", "payment.succeeded", "o3",
                                      "\"payment_id\":\"p3\"," CREATED ",\"method\":\"card\""),
                     OW_OUTCOME_APPLIED);
    assert_int_equal(ow_fixture_event(fixture, "e62", "payment.refunded", "o1",
                                      "\"refund_id\":\"r2\",\"amount\":1000,\"currency\":\"EUR\""),
                     OW_OUTCOME_APPLIED);
    ow_fixture_close(fixture);
    expect_sound(fixture);
}

static void verify__after_a_replay__all_is_as_it_was(void **state)
{
    struct shelf *shelf = *state;
    struct ow_fixture *fixture = &shelf->copy;
    const struct ow_verification before = verify(fixture);
    ow_fixture_open(fixture);
    fixture->position.next_offset = 0;
    fixture->position_offset = 0;
    ow_fixture_exec(fixture, "CREATE TEMP TABLE t (x)"); /* a second connection does no harm */
    static const char *const types[] = {"order.created", "payment.succeeded"};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ow_fixture_event(fixture, i == 0 ? "e1" : "e2", types[i], "o1",
                                          i == 0 ? CREATED
                                                 : "\"payment_id\":\"p1\"," CREATED
                                                   ",\"method\":\"card\""),
                         OW_OUTCOME_DUPLICATE);
    }
    ow_fixture_close(fixture);
    const struct ow_verification after = verify(fixture);
    print_broken(&after);
    assert_true(after.ok);
    assert_string_equal(after.state_hash, before.state_hash);
}

static void verify__store_without_any_sum__is_told_and_no_alarm(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_close(fixture);
    ow_fixture_exec(fixture, "DELETE FROM ow_meta WHERE key GLOB 'seal.*'");
    const struct ow_verification verification = verify(fixture);
    print_broken(&verification);
    assert_true(verification.ok);
    assert_non_null(strstr(verification.notes[0], "no sums over its rows"));
}

int ow_test_verify(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(verify__filled_store__keeps_all_promises),
        cmocka_unit_test(verify__damaged_counts__are_found),
        cmocka_unit_test(verify__damaged_claims__are_found),
        cmocka_unit_test(verify__damaged_history__is_found),
        cmocka_unit_test(verify__damaged_business_rows__are_found),
        cmocka_unit_test(verify__damaged_index__breaks_the_integrity),
        TEST(verify__damaged_page__is_told_and_no_crash),
        TEST(verify__a_file_cut_short__is_told_and_no_crash),
        TEST(verify__state_hash__is_of_the_business_state_alone),
        TEST(verify__other_files__are_refused),
        TEST(verify__while_the_owner_writes__sees_one_snapshot),
        TEST(verify__history_of_two_machine_versions__is_judged_by_each),
        TEST(verify__after_a_replay__all_is_as_it_was),
        TEST(verify__store_without_any_sum__is_told_and_no_alarm),
    };
#undef TEST
    return cmocka_run_group_tests_name("verify", tests, start_group, stop_group);
}
