/* The sums over our own tables: they follow every change that the store makes, and no other. */
#include "store/seal.h"
#include "support/store/store_fixture.h"
#include "unit/store/groups.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* How many chunks there are, and the first table whose rows do not fit its sum; -1: none. */
static int look(const struct ow_fixture *fixture, int *ret_name)
{
    struct ow_sql sql;
    struct ow_err err;
    struct ow_seal_cursor cursor = {0};
    struct ow_seal_check check;
    bool found = false;
    int count = 0;
    *ret_name = -1;
    assert_int_equal(ow_sql_open(&sql, fixture->path, OW_SQL_READER, &err), OW_OK);
    assert_int_equal(ow_seal_next(&sql, &cursor, &check, &found, &err), OW_OK);
    while (found) {
        count++;
        if (!check.fits && *ret_name < 0) {
            *ret_name = (int)check.name;
        }
        assert_int_equal(ow_seal_next(&sql, &cursor, &check, &found, &err), OW_OK);
    }
    ow_sql_close(&sql);
    return count;
}

static int misfit(const struct ow_fixture *fixture)
{
    int name = -1;
    (void)look(fixture, &name);
    return name;
}

static void seal__whatever_the_store_does__the_sums_follow(void **state)
{
    (void)state;
    struct ow_fixture fixture;
    ow_fixture_init(&fixture);
    fixture.bucket_claims = 3; /* claims in many buckets, sealed and open */
    ow_fixture_open(&fixture);
    assert_int_equal(misfit(&fixture), -1);
    ow_fixture_fill(&fixture);
    int name = -1;
    assert_true(look(&fixture, &name) >= OW_SEAL_COUNT);
    assert_int_equal(name, -1);
    assert_true(ow_fixture_i64(&fixture, "SELECT count(*) FROM ow_bucket") > 2);
    ow_fixture_close(&fixture);
    ow_fixture_open(&fixture); /* the epoch */
    assert_int_equal(misfit(&fixture), -1);
    for (int i = 0; i < 5; i++) { /* sightings, and a quarantine row that is seen once more */
        (void)ow_fixture_event(&fixture, "e1", "order.created", "e1", i == 0 ? "" : "\"amount\":1");
    }
    assert_int_equal(misfit(&fixture), -1);
    ow_fixture_done(&fixture);
}

static void seal__a_batch_that_is_rolled_back__leaves_the_sums_alone(void **state)
{
    (void)state;
    struct ow_fixture fixture;
    ow_fixture_init(&fixture);
    ow_fixture_open(&fixture);
    ow_fixture_fill(&fixture);
    /* A sum in the arena of the process must not remember what was never committed. */
    const char *refuse =
        "CREATE TRIGGER refuse BEFORE INSERT ON ow_position BEGIN SELECT RAISE(ABORT, 'no'); END";
    ow_fixture_exec(&fixture, refuse);
    ow_fixture_begin(&fixture);
    const struct ow_record record = {.topic = ow_slice_of(fixture.topic),
                                     .offset = fixture.position_offset,
                                     .value = OW_SLICE("{}")};
    (void)ow_fixture_judge(&fixture, &record);
    assert_int_not_equal(ow_fixture_write(&fixture), OW_OK);
    ow_store_rollback(fixture.store);
    ow_fixture_exec(&fixture, "DROP TRIGGER refuse");
    /* The next batch writes what the process remembers. */
    fixture.position_offset++;
    (void)ow_fixture_event(&fixture, "later", "order.created", "later",
                           "\"amount\":5,\"currency\":\"EUR\"");
    assert_int_equal(misfit(&fixture), -1);
    ow_fixture_done(&fixture);
}

static void seal__a_record_that_is_rolled_back_alone__leaves_the_sums_alone(void **state)
{
    (void)state;
    struct ow_fixture fixture;
    ow_fixture_init(&fixture);
    ow_fixture_open(&fixture);
    ow_fixture_fill(&fixture);
    ow_fixture_begin(&fixture);
    assert_int_equal(ow_store_savepoint(fixture.store, &fixture.err), OW_OK);
    const struct ow_record record = {.topic = ow_slice_of(fixture.topic),
                                     .offset = fixture.position_offset,
                                     .value = OW_SLICE("{}")};
    assert_int_equal(ow_fixture_judge(&fixture, &record), OW_OUTCOME_QUARANTINED);
    assert_int_equal(ow_fixture_write(&fixture), OW_OK);
    assert_int_equal(ow_store_rollback_to(fixture.store, &fixture.err), OW_OK);
    ow_fixture_commit(&fixture); /* writes what the process remembers */
    assert_int_equal(misfit(&fixture), -1);
    ow_fixture_done(&fixture);
}

struct edit {
    enum ow_seal_name name;
    const char *sql;
};

static void seal__a_row_changed_added_or_deleted_by_hand__does_not_fit(void **state)
{
    (void)state;
    static const struct edit edits[] = {
        {OW_SEAL_CLAIMS,     "UPDATE ow_claims SET fingerprint = zeroblob(9) WHERE ref = 1"     },
        {OW_SEAL_CLAIMS,     "DELETE FROM ow_claims WHERE ref = 2"                              },
        {OW_SEAL_CLAIMS,     "INSERT INTO ow_claims VALUES (99, zeroblob(16), zeroblob(9), 1)"  },
        {OW_SEAL_HISTORY,
         "UPDATE ow_history_row SET applied_at_ms = applied_at_ms + 1 WHERE seq = 1"            },
        {OW_SEAL_HISTORY,
         "DELETE FROM ow_history_row WHERE seq = (SELECT max(seq) FROM ow_history_row)"         },
        {OW_SEAL_SIGHTING,   "UPDATE ow_sighting SET seen_at_ms = 7 WHERE rowid = 1"            },
        {OW_SEAL_SIGHTING,   "INSERT INTO ow_sighting SELECT * FROM ow_sighting LIMIT 1"        },
        {OW_SEAL_PARKED,     "UPDATE ow_parked SET value = x'7b7d'"                             },
        {OW_SEAL_PARKED,     "DELETE FROM ow_parked"                                            },
        {OW_SEAL_QUARANTINE, "UPDATE ow_quarantine SET note = 'looked at it'"                   },
        {OW_SEAL_QUARANTINE, "UPDATE ow_quarantine SET seen = seen + 1"                         },
        {OW_SEAL_BUCKET,     "UPDATE ow_bucket SET opened_at_ms = 0"                            },
        {OW_SEAL_POSITION,   "UPDATE ow_position SET next_offset = next_offset - 1"             },
        {OW_SEAL_POSITION,   "UPDATE ow_position SET seen_committed = 4"                        },
        {OW_SEAL_TEXT,       "INSERT INTO ow_text VALUES (999, 'x')"                            },
        {OW_SEAL_MACHINE,    "UPDATE ow_machine SET version = 7"                                },
        {OW_SEAL_META,       "UPDATE ow_meta SET value = value + 1 WHERE key = 'epoch'"         },
        {OW_SEAL_META,       "UPDATE ow_meta SET value = value + 1 WHERE key = 'seal.ow_meta'"  },
        {OW_SEAL_META,       "DELETE FROM ow_meta WHERE key = 'created_at_ms'"                  },
        {OW_SEAL_META,       "DELETE FROM ow_meta WHERE key = 'seal.ow_meta'"                   },
        {OW_SEAL_TEXT,       "UPDATE ow_meta SET value = 7 WHERE key = 'seal.ow_text'"          },
        {OW_SEAL_CLAIMS,     "INSERT INTO ow_meta VALUES ('seal.ow_claims.0000000000000055', 8)"},
    };
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        struct ow_fixture fixture;
        ow_fixture_init(&fixture);
        ow_fixture_open(&fixture);
        ow_fixture_fill(&fixture);
        ow_fixture_close(&fixture);
        ow_fixture_exec(&fixture, edits[i].sql);
        const int name = misfit(&fixture);
        if (name != (int)edits[i].name) {
            fail_msg("%s: seal %d does not fit", edits[i].sql, name);
        }
        if (edits[i].name != OW_SEAL_MACHINE && edits[i].sql[0] != 'D') {
            /* Opening and going on do not make it good again. */
            ow_fixture_open(&fixture);
            (void)ow_fixture_event(&fixture, "later", "order.created", "later",
                                   "\"amount\":5,\"currency\":\"EUR\"");
            assert_int_equal(misfit(&fixture), (int)edits[i].name);
        }
        ow_fixture_done(&fixture);
    }
}

static void seal__a_store_whose_sums_were_deleted__is_sealed_as_it_is(void **state)
{
    (void)state;
    struct ow_fixture fixture;
    ow_fixture_init(&fixture);
    ow_fixture_open(&fixture);
    ow_fixture_fill(&fixture);
    ow_fixture_close(&fixture);
    ow_fixture_exec(&fixture, "UPDATE ow_quarantine SET note = 'looked at it';"
                              "DELETE FROM ow_meta WHERE key GLOB 'seal.*'");
    assert_int_not_equal(misfit(&fixture), -1); /* no sum is no proof */
    ow_fixture_open(&fixture);
    assert_int_equal(misfit(&fixture), -1);
    ow_fixture_done(&fixture);
}

int ow_test_seal(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seal__whatever_the_store_does__the_sums_follow),
        cmocka_unit_test(seal__a_batch_that_is_rolled_back__leaves_the_sums_alone),
        cmocka_unit_test(seal__a_record_that_is_rolled_back_alone__leaves_the_sums_alone),
        cmocka_unit_test(seal__a_row_changed_added_or_deleted_by_hand__does_not_fit),
        cmocka_unit_test(seal__a_store_whose_sums_were_deleted__is_sealed_as_it_is),
    };
    return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
