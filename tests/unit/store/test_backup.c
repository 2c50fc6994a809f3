/* Backups of a store that is written meanwhile. */
#include "backup_scene.h"
#include "groups.h"
#include "support/store/fault_vfs.h"
#include "support/store/store_fixture.h"

#include <sqlite3.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t ask(const char *path, const char *sql)
{
    struct ow_fixture copy = ow_copy;
    (void)snprintf(copy.path, sizeof copy.path, "%s", path);
    return ow_fixture_i64(&copy, sql);
}

static void backup__of_a_store_at_rest__is_a_file_of_its_own(void **state)
{
    (void)state;
    ow_copy_start();
    struct ow_backup *backup = ow_copy_begin();
    assert_true(ow_copy_has(".part"));
    assert_false(ow_copy_has(""));
    while (ow_copy_slice(backup)) {
        assert_false(ow_copy_has(""));
    }
    const struct ow_backup_figures figures = ow_copy_end(backup);
    struct stat status;
    assert_int_equal(stat(ow_copy_to, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(status.st_size, figures.bytes);
    assert_int_equal(figures.bytes, figures.pages * 4096);
    assert_int_equal(figures.restarts, 0);
    assert_false(ow_copy_has(".part"));
    assert_string_equal(ow_copy_verify(ow_copy_to), ow_copy_verify(ow_copy.path));
    assert_false(ow_copy_has("-wal"));
    assert_int_equal(ask(ow_copy_to, "SELECT value FROM ow_meta WHERE key = 'backup_at_ms'"),
                     ow_copy.clock.now_ms);
    assert_int_equal(
        ow_fixture_i64(&ow_copy, "SELECT count(*) FROM ow_meta WHERE key = 'backup_at_ms'"), 0);
    assert_int_equal(ask(ow_copy_to, "SELECT journal_mode = 'delete' FROM pragma_journal_mode"), 1);
    ow_copy_stop();
}

static void backup__written_between_slices__carries_it_over_without_a_restart(void **state)
{
    (void)state;
    ow_copy_start();
    struct ow_backup *backup = ow_copy_begin();
    int64_t done = 0;
    int slices = 0;
    bool more = true;
    while (more) {
        ow_copy_add_orders(OW_COPY_ORDERS + slices,
                           1); /* new pages, and old ones that were copied already */
        more = ow_copy_slice(backup);
        const struct ow_backup_figures now = ow_backup_look(backup);
        assert_true(now.pages_done > done);
        done = now.pages_done;
        slices++;
    }
    assert_true(slices > 3);
    const char *hash = ow_copy_verify(ow_copy.path);
    ow_copy_add_orders(OW_COPY_ORDERS + slices, 1); /* after the last page: not in it */
    assert_int_equal(ow_copy_end(backup).restarts, 0);
    assert_string_equal(ow_copy_verify(ow_copy_to), hash);
    assert_string_not_equal(ow_copy_verify(ow_copy.path), hash);
    assert_int_equal(ask(ow_copy_to, "SELECT count(*) FROM orders WHERE order_id GLOB 'n*'"),
                     OW_COPY_ORDERS + slices);
    ow_copy_stop();
}

static void roll_back_one(void)
{
    ow_fixture_begin(&ow_copy);
    const struct ow_record record = {
        .topic = ow_copy.position.topic, .offset = ow_copy.position_offset, .value = OW_SLICE("{")};
    assert_int_equal(ow_fixture_judge(&ow_copy, &record), OW_OUTCOME_QUARANTINED);
    assert_int_equal(ow_fixture_write(&ow_copy), OW_OK);
    ow_store_rollback(ow_copy.store);
    ow_copy.position.next_offset = ow_copy.position.high_offset = ow_copy.position_offset;
}

static void backup__a_batch_rolled_back_or_a_foreign_hand__begins_anew(void **state)
{
    (void)state;
    ow_copy_start();
    struct ow_backup *backup = ow_copy_begin();
    assert_true(ow_copy_slice(backup) && ow_copy_slice(backup));
    ow_fixture_exec(&ow_copy, "CREATE TABLE mine (x)");
    while (ow_copy_slice(backup)) {
    }
    const struct ow_backup_figures figures = ow_copy_end(backup);
    assert_int_equal(figures.restarts, 1);
    assert_int_equal(ask(ow_copy_to, "SELECT count(*) FROM mine"), 0);
    (void)ow_copy_verify(ow_copy_to);
    assert_int_equal(unlink(ow_copy_to), 0);

    backup = ow_copy_begin();
    assert_true(ow_copy_slice(backup) && ow_copy_slice(backup));
    struct ow_position kept = ow_copy.position;
    roll_back_one();
    ow_copy.position = kept;
    while (ow_copy_slice(backup)) {
    }
    assert_int_equal(ow_copy_end(backup).restarts, 1);
    assert_string_equal(ow_copy_verify(ow_copy_to), ow_copy_verify(ow_copy.path));
    ow_copy_stop();
}

static void backup__rolled_back_again_and_again__gives_up(void **state)
{
    (void)state;
    ow_copy_start();
    struct ow_backup *backup = ow_copy_begin();
    enum ow_status status = OW_OK;
    bool more = true;
    int rounds = 0;
    for (; status == OW_OK && rounds < 100; rounds++) {
        status = ow_backup_copy(backup, 0, &more, &ow_copy.err);
        if (status == OW_OK) {
            status = ow_backup_copy(backup, 0, &more, &ow_copy.err);
        }
        ow_fixture_exec(&ow_copy,
                        "CREATE TABLE IF NOT EXISTS mine (x); INSERT INTO mine VALUES (1)");
    }
    assert_int_equal(status, OW_TEMPORARY);
    assert_non_null(strstr(ow_copy.err.text, "begin anew"));
    ow_backup_let_go(backup);
    ow_backup_free(backup);
    assert_false(ow_copy_has(".part"));
    ow_copy_stop();
}

static void backup_alone__of_a_store_that_is_open__is_refused(void **state)
{
    (void)state;
    ow_copy_start();
    const struct ow_backup_alone options = {
        .path = ow_copy.path, .to = ow_copy_to, .clock = ow_clock_system()};
    struct ow_backup_figures figures;
    assert_int_equal(ow_backup_alone(&options, &figures, &ow_copy.err), OW_TEMPORARY);
    const int64_t epoch = ow_store_epoch(ow_copy.store);
    ow_fixture_close(&ow_copy);
    assert_int_equal(ow_backup_alone(&options, &figures, &ow_copy.err), OW_OK);
    assert_string_equal(ow_copy_verify(ow_copy_to), ow_copy_verify(ow_copy.path));
    ow_fixture_open(&ow_copy);
    assert_int_equal(ow_store_epoch(ow_copy.store), epoch + 1); /* the backup has not raised it */
    ow_copy_stop();
}

/* One backup with a fault, written between its slices; true where the fault struck. */
static bool run_with(const struct ow_fault *fault, int first)
{
    const struct ow_clock clock = ow_clock_manual(&ow_copy.clock);
    struct ow_backup *backup = NULL;
    bool more = true;
    ow_fault_arm(fault);
    enum ow_status status =
        ow_backup_begin(ow_copy.store, ow_copy_to, &clock, &backup, &ow_copy.err);
    for (int i = 0; status == OW_OK && more; i++) {
        status = ow_backup_copy(backup, 0, &more, &ow_copy.err);
        ow_copy_add_orders(first + i, 1); /* must work, whatever happens ow_copy_to the copy */
    }
    if (backup != NULL) {
        ow_backup_let_go(backup);
    }
    if (status == OW_OK) {
        status = ow_backup_finish(backup, &ow_copy.err);
    }
    const bool fired = ow_fault_disarm();
    ow_backup_free(backup);
    if (fired && status == OW_OK) {
        (void)ow_copy_verify(ow_copy_to); /* a sync that SQLite does not need failed, say */
    } else if (fired) {
        assert_int_equal(status, OW_FAILED);
        assert_string_not_equal(ow_copy.err.text, "");
        assert_false(ow_copy_has(""));
    } else {
        assert_int_equal(status, OW_OK);
        (void)ow_copy_verify(ow_copy_to);
    }
    assert_false(ow_copy_has(".part"));
    (void)unlink(ow_copy_to);
    return fired;
}

static void backup__its_disk_fails_at_each_call__fails_and_the_store_goes_on(void **state)
{
    static const struct {
        enum ow_fault_call call;
        int code;
    } faults[] = {
        {OW_FAULT_WRITE, SQLITE_FULL       },
        {OW_FAULT_WRITE, SQLITE_IOERR_WRITE},
        {OW_FAULT_READ,  SQLITE_IOERR_READ },
        {OW_FAULT_OPEN,  SQLITE_CANTOPEN   },
    };
    (void)state;
    ow_fault_install();
    ow_copy_start();
    int written = OW_COPY_ORDERS;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        int64_t at = 1;
        bool fired = true;
        for (; fired; at += at < 8 ? 1 : 23) {
            const struct ow_fault fault = {
                .call = faults[i].call, .at = at, .code = faults[i].code, .name_ends = ".part"};
            fired = run_with(&fault, written);
            written += 100;
        }
        assert_true(at > 2);
    }
    (void)ow_copy_verify(ow_copy.path);
    ow_copy_stop();
    ow_fault_remove();
}

static void backup__the_store_cannot_be_read__fails_and_stops_nobody(void **state)
{
    (void)state;
    ow_fault_install();
    ow_copy_start();
    struct ow_backup *backup = ow_copy_begin();
    bool more = true;
    const struct ow_fault fault = {
        .call = OW_FAULT_READ, .at = 3, .code = SQLITE_IOERR_READ, .name_ends = "store.db-wal"};
    ow_fault_arm(&fault);
    enum ow_status status = OW_OK;
    while (status == OW_OK && more) {
        status = ow_backup_copy(backup, 0, &more, &ow_copy.err);
    }
    assert_true(ow_fault_disarm());
    assert_int_equal(status, OW_FAILED);
    ow_backup_let_go(backup);
    ow_backup_free(backup);
    ow_copy_add_orders(OW_COPY_ORDERS, 1);
    (void)ow_copy_verify(ow_copy.path);
    ow_copy_stop();
    ow_fault_remove();
}

int ow_test_backup(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(backup__of_a_store_at_rest__is_a_file_of_its_own),
        cmocka_unit_test(backup__written_between_slices__carries_it_over_without_a_restart),
        cmocka_unit_test(backup__a_batch_rolled_back_or_a_foreign_hand__begins_anew),
        cmocka_unit_test(backup__rolled_back_again_and_again__gives_up),
        cmocka_unit_test(backup_alone__of_a_store_that_is_open__is_refused),
        cmocka_unit_test(backup__its_disk_fails_at_each_call__fails_and_the_store_goes_on),
        cmocka_unit_test(backup__the_store_cannot_be_read__fails_and_stops_nobody),
    };
    return cmocka_run_group_tests_name("backup", tests, NULL, NULL);
}
