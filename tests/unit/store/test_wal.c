/* The write-ahead log while somebody reads an old state of the store: it grows to its limit. */
#include "groups.h"
#include "store/internal.h"
#include "support/store/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAL_BYTES = 1 << 20, BATCH_BYTES = 1 << 18 };

static int64_t wal_bytes(const struct ow_fixture *fixture)
{
    char path[192];
    struct stat status;
    (void)snprintf(path, sizeof(path), "%s-wal", fixture->path);
    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

static void read_old_state(const struct ow_fixture *fixture, sqlite3 **ret_reader)
{
    assert_int_equal(sqlite3_open(fixture->path, ret_reader), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(*ret_reader, "BEGIN; SELECT count(*) FROM orders", NULL, NULL, NULL),
        SQLITE_OK);
}

/* Batches until one is not begun, or there were `most`; how many there were. */
static int fill(struct ow_fixture *fixture, int most)
{
    struct ow_world world = {.next_ref = 0};
    for (int i = 0; i < most; i++) {
        const enum ow_status status = ow_store_begin(fixture->store, &world, &fixture->err);
        ow_store_rollback(fixture->store);
        if (status != OW_OK) {
            assert_int_equal(status, OW_STORE_FULL);
            return i;
        }
        char id[24];
        (void)snprintf(id, sizeof(id), "e%lld", (long long)fixture->position_offset);
        (void)ow_fixture_event(fixture, id, "order.created", id,
                               "\"amount\":1,\"currency\":\"EUR\"");
    }
    return most;
}

static void store_begin__log_at_its_limit__waits_for_who_reads(void **state)
{
    struct ow_fixture *fixture = *state;
    sqlite3 *reader = NULL;
    read_old_state(fixture, &reader);
    assert_in_range(fill(fixture, 1000), 1, 999);
    assert_non_null(strstr(fixture->err.text, "while somebody reads an old state"));
    assert_in_range(wal_bytes(fixture), WAL_BYTES, WAL_BYTES + BATCH_BYTES);
    const int64_t records = fixture->position_offset;
    assert_int_equal(fill(fixture, 1), 0);
    assert_int_equal(sqlite3_exec(reader, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(fill(fixture, 10), 10);
    assert_in_range(wal_bytes(fixture), 1, BATCH_BYTES * 10);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM orders"), records + 10);
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
}

static void store_begin__log_at_its_limit_and_nobody_reads__begins_it_anew(void **state)
{
    struct ow_fixture *fixture = *state;
    assert_int_equal(fill(fixture, 300), 300);
    assert_in_range(wal_bytes(fixture), 1, WAL_BYTES + BATCH_BYTES);
}

/* What the watchdog is told by: bytes of no transaction count as well, for they are in the file. */
static void store_is_behind__log_far_beyond_a_checkpoint__is_told(void **state)
{
    struct ow_fixture *fixture = *state;
    assert_int_equal(fill(fixture, 1), 1);
    assert_false(ow_store_is_behind(fixture->store));
    char path[192];
    (void)snprintf(path, sizeof(path), "%s-wal", fixture->path);
    assert_int_equal(truncate(path, OW_WAL_BYTES_USUAL + 1), 0); /* a hole */
    assert_true(ow_store_is_behind(fixture->store));
    assert_int_equal(fill(fixture, 1), 1); /* which is beyond its limit, and written back */
    assert_false(ow_store_is_behind(fixture->store));
}

static int start(void **state)
{
    static struct ow_fixture fixture;
    ow_fixture_init(&fixture);
    fixture.wal_bytes = WAL_BYTES;
    ow_fixture_open(&fixture);
    *state = &fixture;
    return 0;
}

static int stop(void **state)
{
    ow_fixture_done(*state);
    return 0;
}

int ow_test_wal(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(store_begin__log_at_its_limit__waits_for_who_reads),
        TEST(store_begin__log_at_its_limit_and_nobody_reads__begins_it_anew),
        TEST(store_is_behind__log_far_beyond_a_checkpoint__is_told),
    };
#undef TEST
    return cmocka_run_group_tests_name("wal", tests, NULL, NULL);
}
