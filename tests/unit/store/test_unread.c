/*
 * A page that cannot be read is no damage: whichever read fails while the whole file is looked at,
 * nobody is told to restore a backup.
 */
#include "groups.h"
#include "store/verify.h"
#include "support/store/fault_vfs.h"
#include "support/store/store_fixture.h"

#include <sqlite3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A store with pages of each kind: trees, overflow chains (a record of several pages), a free list.
 */
static int start(void **state)
{
    struct ow_fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    ow_fault_install();
    ow_fixture_init(fixture);
    ow_fixture_open(fixture);
    ow_fixture_fill(fixture);
    static char large[5 * 4096];
    memset(large, 'x', sizeof(large) - 1);
    assert_int_equal(ow_fixture_feed(fixture, large), OW_OUTCOME_QUARANTINED);
    ow_fixture_close(fixture);
    ow_fixture_exec(fixture, "CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT"
                             " i + 1 FROM n WHERE i < 9) SELECT zeroblob(9000) AS b FROM n;"
                             "DROP TABLE t");
    assert_true(ow_fixture_i64(fixture, "PRAGMA freelist_count") > 9);
    *state = fixture;
    return 0;
}

static int stop(void **state)
{
    ow_fixture_done(*state);
    ow_fault_remove();
    free(*state);
    return 0;
}

static void arm_read(int64_t at)
{
    ow_fault_arm(&(struct ow_fault){.call = OW_FAULT_READ, .at = at, .code = SQLITE_IOERR_READ});
}

static void suspect(const struct ow_fixture *fixture)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s.lock", fixture->path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs("pid 1 boot unknown suspect\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void store_open__an_unread_page_after_a_doubtful_end__is_no_damage(void **state)
{
    struct ow_fixture *fixture = *state;
    int unchecked = 0;
    bool fired = true;
    for (int64_t at = 1; fired; at++) {
        suspect(fixture);
        arm_read(at);
        const enum ow_status status = ow_fixture_try_open(fixture);
        fired = ow_fault_disarm();
        if (status != OW_OK && status != OW_STORE_UNKNOWN && status != OW_TEMPORARY) {
            fail_msg("read %lld: %s: %s", (long long)at, ow_status_text(status), fixture->err.text);
        }
        unchecked += status == OW_STORE_UNKNOWN &&
                     strstr(fixture->err.text, "the store could not be checked") != NULL;
        ow_fixture_close(fixture);
        ow_fixture_open(fixture); /* the next start reads it */
        ow_fixture_close(fixture);
    }
    assert_true(unchecked > 0);
}

static void expect_kept(const struct ow_verification *verification, int64_t at)
{
    for (size_t i = 0; i < verification->promise_count; i++) {
        const struct ow_promise *promise = &verification->promises[i];
        if (promise->broken > 0) {
            fail_msg("read %lld: %s: %s", (long long)at, promise->name, promise->examples[0]);
        }
    }
}

static void verify__an_unread_page__is_no_broken_promise(void **state)
{
    struct ow_fixture *fixture = *state;
    int unchecked = 0;
    bool fired = true;
    for (int64_t at = 1; fired; at++) {
        struct ow_verification verification;
        arm_read(at);
        const enum ow_status status =
            ow_verify(fixture->path, &fixture->kept, &verification, &fixture->err);
        fired = ow_fault_disarm();
        if (status == OW_OK) {
            expect_kept(&verification, at);
        }
        unchecked += status == OW_FAILED &&
                     strstr(fixture->err.text, "the store could not be checked") != NULL;
    }
    assert_true(unchecked > 0);
}

int ow_test_unread(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(store_open__an_unread_page_after_a_doubtful_end__is_no_damage),
        TEST(verify__an_unread_page__is_no_broken_promise),
    };
#undef TEST
    return cmocka_run_group_tests_name("unread", tests, NULL, NULL);
}
