/*
 * Why the anti-repeat table is no SELECT and INSERT: with two writers both find the key free. And
 * what keeps a second writer away from ours: the lock; and, were that gone, the epoch and the
 * number of the batch.
 */
#include "groups.h"
#include "store/internal.h"
#include "support/store/store_fixture.h"

#include <sqlite3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static sqlite3 *connect_to(const char *path)
{
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(handle, 1000), SQLITE_OK);
    return handle;
}

static void run(sqlite3 *handle, const char *sql)
{
    char *text = NULL;
    if (sqlite3_exec(handle, sql, NULL, NULL, &text) != SQLITE_OK) {
        fail_msg("%s: %s", sql, text);
    }
}

static int64_t ask(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const int64_t value = sqlite3_column_int64(statement, 0);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    return value;
}

/* Buckets, as ours: a key is unique within one, and nothing in SQLite keeps it so across them. */
static void select_then_insert__two_writers__both_own_the_key(void **state)
{
    struct ow_fixture *fixture = *state;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/naive.db", fixture->folder);
    sqlite3 *one = connect_to(path);
    sqlite3 *two = connect_to(path);
    static const char is_taken[] = "SELECT count(*) FROM claims WHERE key = 'k'";
    run(one, "PRAGMA journal_mode = WAL; CREATE TABLE paid (amount INTEGER);"
             "CREATE TABLE claims (bucket INTEGER, key TEXT, PRIMARY KEY (bucket, key))");
    assert_int_equal(ask(one, is_taken), 0);
    assert_int_equal(ask(two, is_taken), 0);
    run(one, "BEGIN; INSERT INTO claims VALUES (1, 'k'); INSERT INTO paid VALUES (5); COMMIT");
    run(two, "BEGIN; INSERT INTO claims VALUES (2, 'k'); INSERT INTO paid VALUES (5); COMMIT");
    assert_int_equal(ask(one, is_taken), 2);
    assert_int_equal(ask(one, "SELECT sum(amount) FROM paid"), 10); /* paid twice */
    assert_int_equal(sqlite3_close(one), SQLITE_OK);
    assert_int_equal(sqlite3_close(two), SQLITE_OK);
}

static void store_open__second_writer__is_refused_by_the_lock(void **state)
{
    struct ow_fixture *fixture = *state;
    struct ow_fixture second = *fixture;
    assert_int_equal(ow_fixture_try_open(&second), OW_TEMPORARY);
    assert_int_equal(
        ow_fixture_event(fixture, "e1", "order.created", "o1", "\"amount\":1,\"currency\":\"EUR\""),
        OW_OUTCOME_APPLIED);
}

/* A new second fixture over the first one's file, as if there were no lock. */
static void open_without_lock(struct ow_fixture *second, const struct ow_fixture *first)
{
    char lock[128];
    ow_fixture_init(second);
    (void)snprintf(lock, sizeof(lock), "%s.lock", first->path);
    assert_int_equal(unlink(lock), 0); /* as an operator who means well does */
    memcpy(second->path, first->path, sizeof(second->path));
    second->bucket_claims = 1; /* its claim goes to another bucket than the first one's */
    ow_fixture_open(second);
}

static void store_begin__lock_bypassed_by_a_second_writer__first_is_stopped(void **state)
{
    struct ow_fixture *fixture = *state;
    struct ow_fixture second;
    static const char data[] = "\"amount\":1,\"currency\":\"EUR\"";
    open_without_lock(&second, fixture);
    assert_int_equal(ow_fixture_event(&second, "e1", "order.created", "o1", data),
                     OW_OUTCOME_APPLIED);
    struct ow_world world = {.next_ref = 0};
    assert_int_equal(ow_store_begin(fixture->store, &world, &fixture->err), OW_UNSAFE);
    ow_store_rollback(fixture->store);
    assert_int_equal(ow_fixture_i64(&second, "SELECT count(*) FROM ow_claims"), 1);
    assert_int_equal(ow_fixture_event(&second, "e1", "order.created", "o1", data),
                     OW_OUTCOME_DUPLICATE);
    ow_fixture_done(&second);
}

/* A copy of the process that even has our epoch: the batches do not fit. */
static void store_begin__second_writer_with_our_epoch__is_stopped_by_the_batch(void **state)
{
    struct ow_fixture *fixture = *state;
    struct ow_fixture second;
    static const char data[] = "\"amount\":1,\"currency\":\"EUR\"";
    open_without_lock(&second, fixture);
    fixture->store->epoch = second.store->epoch;
    fixture->store->batch = second.store->batch;
    assert_int_equal(ow_fixture_event(&second, "e1", "order.created", "o1", data),
                     OW_OUTCOME_APPLIED);
    struct ow_world world = {.next_ref = 0};
    assert_int_equal(ow_store_begin(fixture->store, &world, &fixture->err), OW_UNSAFE);
    assert_non_null(strstr(fixture->err.text, "its batch"));
    ow_store_rollback(fixture->store);
    /* And while one is within its batch, the other cannot begin. */
    fixture->store->batch = second.store->batch;
    ow_fixture_begin(&second);
    run(fixture->store->sql.handle, "PRAGMA busy_timeout = 10");
    assert_int_equal(ow_store_begin(fixture->store, &world, &fixture->err), OW_TEMPORARY);
    ow_store_rollback(second.store);
    ow_fixture_done(&second);
}

static int start(void **state)
{
    static struct ow_fixture fixture;
    ow_fixture_init(&fixture);
    ow_fixture_open(&fixture);
    *state = &fixture;
    return 0;
}

static int stop(void **state)
{
    ow_fixture_done(*state);
    return 0;
}

int ow_test_two_writers(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(select_then_insert__two_writers__both_own_the_key),
        TEST(store_open__second_writer__is_refused_by_the_lock),
        TEST(store_begin__lock_bypassed_by_a_second_writer__first_is_stopped),
        TEST(store_begin__second_writer_with_our_epoch__is_stopped_by_the_batch),
    };
#undef TEST
    return cmocka_run_group_tests_name("two_writers", tests, NULL, NULL);
}
