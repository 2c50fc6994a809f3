/* Filters of several pieces: claims that nobody owns, for their number matters and no more. */
#include "groups.h"
#include "store/internal.h"
#include "store/verify.h"
#include "support/store/store_fixture.h"

#include <sqlite3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CLAIMS = OW_PIECE_CLAIMS + 1000, PIECES = 2, BATCH = 16384 };

struct bench {
    struct ow_fixture fixture;
    uint8_t (*keys)[OW_CLAIM_KEY_BYTES];
};

static uint64_t random_of(uint64_t *at)
{
    uint64_t x = *at += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static void fill(struct bench *bench)
{
    sqlite3 *handle = NULL;
    sqlite3_stmt *insert = NULL;
    uint64_t at = 1;
    assert_int_equal(sqlite3_open_v2(bench->fixture.path, &handle, SQLITE_OPEN_READWRITE, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle,
                                  "BEGIN; DELETE FROM ow_meta WHERE key GLOB 'seal.*';"
                                  "INSERT INTO ow_bucket SELECT 1, 3888000000, 0, 0, 1000 * 1000",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle,
                                        "INSERT INTO ow_claims VALUES (1, ?, zeroblob(9), ?)", -1,
                                        &insert, NULL),
                     SQLITE_OK);
    for (int i = 0; i < CLAIMS; i++) {
        const uint64_t words[2] = {random_of(&at), random_of(&at)};
        memcpy(bench->keys[i], words, sizeof(words));
        sqlite3_bind_blob(insert, 1, bench->keys[i], sizeof(bench->keys[i]), SQLITE_STATIC);
        sqlite3_bind_int64(insert, 2, i + 1);
        assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    char text[128];
    (void)snprintf(text, sizeof(text), "UPDATE ow_bucket SET claims = %d; COMMIT", CLAIMS);
    assert_int_equal(sqlite3_exec(handle, text, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

static int start(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    bench->keys = calloc(CLAIMS, sizeof(*bench->keys));
    assert_non_null(bench->keys);
    ow_fixture_init(&bench->fixture);
    ow_fixture_open(&bench->fixture);
    ow_fixture_close(&bench->fixture);
    fill(bench);
    ow_fixture_open(&bench->fixture);
    *state = bench;
    return 0;
}

static int stop(void **state)
{
    struct bench *bench = *state;
    ow_fixture_done(&bench->fixture);
    free(bench->keys);
    free(bench);
    return 0;
}

/* Each key is found; and as many that there are not are not. */
static void check_keys(struct bench *bench)
{
    struct ow_fixture *fixture = &bench->fixture;
    uint64_t at = 2;
    for (int from = 0; from < CLAIMS; from += BATCH) {
        const int to = from + BATCH < CLAIMS ? from + BATCH : CLAIMS;
        ow_fixture_begin(fixture);
        for (int i = from; i < to; i++) {
            const uint64_t words[2] = {random_of(&at), random_of(&at)};
            uint8_t foreign[OW_CLAIM_KEY_BYTES];
            memcpy(foreign, words, sizeof(foreign));
            (void)ow_world_claim(&fixture->world, foreign, 1);
            (void)ow_world_claim(&fixture->world, bench->keys[i], 1);
        }
        assert_int_equal(ow_claim_read(fixture->store, &fixture->world, &fixture->err), OW_OK);
        int taken = 0;
        for (const struct ow_claim *claim = fixture->world.claims; claim != NULL;
             claim = claim->next) {
            taken += claim->taken;
        }
        for (int i = from; i < to; i++) {
            assert_int_equal(ow_world_claim(&fixture->world, bench->keys[i], 1)->ref, i + 1);
        }
        assert_int_equal(taken, to - from);
        ow_store_rollback(fixture->store);
    }
}

/* True while there is more to do. */
static bool step(struct bench *bench)
{
    const struct ow_tending tending = {.now_ms = 0, .limit_ms = INT64_MIN, .rows = 50000};
    bool more = false;
    assert_int_equal(ow_store_tend(bench->fixture.store, &tending, &more, &bench->fixture.err),
                     OW_OK);
    return more;
}

static int64_t rows(struct bench *bench)
{
    return ow_fixture_i64(&bench->fixture, "SELECT count(*) FROM ow_filter");
}

static void build__filter_of_pieces__is_used_when_its_last_one_is_written(void **state)
{
    struct bench *bench = *state;
    const struct ow_filters *filters = &bench->fixture.store->filters;
    struct ow_claim_probes before;
    struct ow_claim_probes after;
    int64_t seen = 0;
    while (step(bench)) {
        seen = rows(bench) > seen ? rows(bench) : seen;
        assert_int_equal(filters->count, rows(bench) == PIECES);
        assert_int_equal(bench->fixture.store->sealed[0].filtered, rows(bench) == PIECES);
    }
    assert_int_equal(seen, PIECES);
    assert_int_equal(filters->list[0]->piece_count, PIECES);
    assert_int_equal(filters->list[0]->claims, CLAIMS);
    ow_store_claim_probes(bench->fixture.store, &before);
    check_keys(bench);
    ow_store_claim_probes(bench->fixture.store, &after);
    const int64_t needless = after.needless - before.needless;
    assert_int_equal(after.lookups - before.lookups, CLAIMS + needless);
    assert_true(needless * 1000 < CLAIMS); /* 2^-14 is expected */
}

static void build__killed_after_its_first_piece__begins_again(void **state)
{
    struct bench *bench = *state;
    while (rows(bench) == 0) {
        assert_true(step(bench));
    }
    ow_fixture_close(&bench->fixture);
    ow_fixture_open(&bench->fixture);
    assert_int_equal(bench->fixture.store->filters.count, 0);
    check_keys(bench);
    while (step(bench)) {
    }
    assert_int_equal(rows(bench), PIECES);
    assert_int_equal(ow_fixture_i64(&bench->fixture, "SELECT count(*) FROM ow_meta"
                                                     " WHERE key GLOB 'seal.ow_filter.*'"),
                     1);
    check_keys(bench);
    ow_fixture_close(&bench->fixture);
    ow_fixture_open(&bench->fixture); /* and what is there is loaded */
    assert_int_equal(bench->fixture.store->filters.count, 1);
    check_keys(bench);
}

static int64_t broken_filters(struct ow_fixture *fixture)
{
    struct ow_verification found;
    assert_int_equal(ow_verify(fixture->path, &fixture->kept, &found, &fixture->err), OW_OK);
    for (size_t i = 0; i < found.promise_count; i++) {
        if (strcmp(found.promises[i].name, "filters_complete") == 0) {
            assert_true(found.promises[i].checked > 0);
            return found.promises[i].broken;
        }
    }
    fail();
    return 0;
}

static void verify__any_piece_that_somebody_damaged__is_named_and_not_used(void **state)
{
    struct bench *bench = *state;
    while (step(bench)) {
    }
    ow_fixture_close(&bench->fixture);
    assert_int_equal(broken_filters(&bench->fixture), 0);
    ow_fixture_exec(&bench->fixture, "CREATE TABLE kept AS SELECT * FROM ow_filter");
    for (int chunk = 0; chunk < PIECES; chunk++) {
        char text[256];
        (void)snprintf(text, sizeof(text),
                       "DELETE FROM ow_filter; INSERT INTO ow_filter SELECT * FROM kept;"
                       "UPDATE ow_filter SET checksum = checksum + 1 WHERE chunk = %d",
                       chunk);
        ow_fixture_exec(&bench->fixture, text);
        assert_int_equal(broken_filters(&bench->fixture), 1);
    }
    ow_fixture_open(&bench->fixture);
    assert_int_equal(bench->fixture.store->filters.count, 0);
    check_keys(bench);
}

int ow_test_filter_pieces(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(build__filter_of_pieces__is_used_when_its_last_one_is_written),
        TEST(build__killed_after_its_first_piece__begins_again),
        TEST(verify__any_piece_that_somebody_damaged__is_named_and_not_used),
    };
#undef TEST
    return cmocka_run_group_tests_name("filter_pieces", tests, NULL, NULL);
}
