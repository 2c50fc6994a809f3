/* What takes the place of a store, and what may not. */
#include "groups.h"
#include "store/backup.h"
#include "store/restore.h"
#include "store/verify.h"
#include "support/store/fault_vfs.h"
#include "support/store/store_fixture.h"

#include <sqlite3.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct ow_fixture fixture;
static char from[96];

static void must(enum ow_status status)
{
    if (status != OW_OK) {
        fail_msg("%s: %s", ow_status_text(status), fixture.err.text);
    }
}

static const char *name(const char *ending)
{
    return ow_arena_printf(&fixture.kept, "%s%s", fixture.path, ending);
}

static bool is_there(const char *ending)
{
    struct stat status;
    return lstat(name(ending), &status) == 0;
}

static void back_up(const char *to)
{
    const struct ow_clock clock = ow_clock_manual(&fixture.clock);
    struct ow_backup *backup = NULL;
    bool more = true;
    must(ow_backup_begin(fixture.store, to, &clock, &backup, &fixture.err));
    while (more) {
        must(ow_backup_copy(backup, 0, &more, &fixture.err));
    }
    ow_backup_let_go(backup);
    must(ow_backup_finish(backup, &fixture.err));
    ow_backup_free(backup);
}

/* A backup, and a store that went on after it; nothing is open. */
static void start(void)
{
    ow_fixture_init(&fixture);
    ow_fixture_open(&fixture);
    ow_fixture_fill(&fixture);
    (void)snprintf(from, sizeof from, "%.64s/backup.db", fixture.folder);
    back_up(from);
    assert_int_equal(ow_fixture_event(&fixture, "later", "order.created", "later",
                                      "\"amount\":1,\"currency\":\"EUR\""),
                     OW_OUTCOME_APPLIED);
    ow_fixture_close(&fixture);
    ow_fixture_open(&fixture); /* its epoch goes on, too */
    ow_fixture_close(&fixture);
}

static const char *verify(const char *path)
{
    struct ow_verification found;
    must(ow_verify(path, &fixture.kept, &found, &fixture.err));
    for (size_t i = 0; i < found.promise_count; i++) {
        if (found.promises[i].broken > 0) {
            fail_msg("%s: %s: %s", path, found.promises[i].name, found.promises[i].examples[0]);
        }
    }
    return ow_arena_text(&fixture.kept, ow_slice_of(found.state_hash));
}

static struct ow_restore_options options_of(void)
{
    return (struct ow_restore_options){
        .path = fixture.path, .from = from, .clock = ow_clock_manual(&fixture.clock)};
}

static enum ow_status restore(const struct ow_restore_options *options, int64_t group_epoch)
{
    struct ow_restore *made = NULL;
    enum ow_status status = ow_restore_begin(options, &made, &fixture.err);
    if (status == OW_OK) {
        status = ow_restore_place(made, group_epoch, &fixture.err);
    }
    ow_restore_free(made);
    return status;
}

static int64_t later_orders(void)
{
    return ow_fixture_i64(&fixture, "SELECT count(*) FROM orders WHERE order_id = 'later'");
}

static void restore__over_a_store_that_went_on__is_the_backup_in_a_higher_epoch(void **state)
{
    (void)state;
    start();
    const struct ow_restore_options options = options_of();
    assert_int_equal(later_orders(), 1);
    const char *hash = verify(from);
    const int64_t epoch = ow_fixture_i64(&fixture, "SELECT value FROM ow_meta WHERE key = 'epoch'");

    struct ow_restore *made = NULL;
    must(ow_restore_begin(&options, &made, &fixture.err));
    const struct ow_restore_facts *facts = ow_restore_look(made);
    assert_int_equal(facts->at_ms, ow_fixture_i64(&fixture, "SELECT 1800000000000") + 16000);
    assert_int_equal(facts->replaced_epoch, epoch);
    assert_true(facts->epoch < epoch && facts->replaces && facts->unreadable == NULL);
    assert_int_equal(facts->position_count, 1);
    assert_string_equal(facts->positions[0].topic, "order-events");
    assert_int_equal(facts->positions[0].next_offset, 16);
    assert_int_equal(later_orders(), 1); /* nothing has happened yet */
    assert_int_equal(ow_fixture_try_open(&fixture), OW_TEMPORARY);
    must(ow_restore_place(made, 7, &fixture.err));
    ow_restore_free(made);

    assert_int_equal(later_orders(), 0);
    assert_string_equal(verify(fixture.path), hash);
    assert_true(is_there(".before-restore"));
    assert_false(is_there(".part") || is_there("-wal") || is_there("-journal"));
    ow_fixture_open(&fixture);
    assert_int_equal(ow_store_epoch(fixture.store), 9);
    assert_int_equal(ow_store_restored_epoch(fixture.store), 8);
    ow_fixture_close(&fixture);
    assert_string_equal(verify(fixture.path), hash);
    (void)verify(name(".before-restore"));

    /* The kept one is not overwritten by the next. */
    assert_int_equal(restore(&options, 0), OW_FAILED);
    assert_non_null(strstr(fixture.err.text, "move it away"));
    struct ow_restore_options discarding = options;
    discarding.discard = true;
    must(restore(&discarding, -1));
    ow_fixture_open(&fixture);
    assert_int_equal(ow_store_epoch(fixture.store), 11);         /* above what was there */
    assert_int_equal(ow_store_restored_epoch(fixture.store), 0); /* nobody could be asked */
    ow_fixture_done(&fixture);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void restore__where_the_store_is_lost__is_not_mixed_with_what_is_left(void **state)
{
    (void)state;
    start();
    const struct ow_restore_options options = options_of();
    const char *hash = verify(from);
    assert_int_equal(unlink(fixture.path), 0);
    write_file(name("-wal"), "of the lost one");
    write_file(name("-journal"), "of the lost one");
    must(restore(&options, 0));
    assert_false(is_there("-wal") || is_there("-journal") || is_there(".before-restore"));
    assert_string_equal(verify(fixture.path), hash);
    struct stat status;
    assert_int_equal(stat(fixture.path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    ow_fixture_open(&fixture);
    assert_int_equal(ow_store_restored_epoch(fixture.store), ow_store_epoch(fixture.store) - 1);
    ow_fixture_done(&fixture);
}

static void restore__over_a_file_that_cannot_be_read__keeps_all_of_it(void **state)
{
    (void)state;
    start();
    const struct ow_restore_options options = options_of();
    write_file(fixture.path, "this was a store, and its first page is gone; long enough to be one?"
                             "  SQLite looks at the first hundred bytes before it says no.");
    write_file(name("-wal"), "its log");
    assert_int_equal(chmod(fixture.path, 0600), 0);
    must(restore(&options, 3));
    assert_true(is_there(".before-restore") && is_there(".before-restore-wal"));
    assert_false(is_there("-wal"));
    (void)verify(fixture.path);
    struct stat status;
    assert_int_equal(stat(fixture.path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    ow_fixture_done(&fixture);
}

static void restore__killed_between_its_last_two_steps__can_be_done_again(void **state)
{
    (void)state;
    start();
    const struct ow_restore_options options = options_of();
    assert_int_equal(link(fixture.path, name(".before-restore")), 0);
    write_file(name(".part"), "half a file");
    assert_int_equal(ow_fixture_try_open(&fixture), OW_UNSAFE); /* and until then nothing runs */
    must(restore(&options, 0));
    assert_int_equal(later_orders(), 0);
    (void)verify(fixture.path);
    ow_fixture_done(&fixture);
}

static void refused(const struct ow_restore_options *options, enum ow_status expected,
                    const char *says)
{
    struct ow_restore *made = NULL;
    const enum ow_status status = ow_restore_begin(options, &made, &fixture.err);
    if (status != expected || strstr(fixture.err.text, says) == NULL) {
        fail_msg("%s: %s", ow_status_text(status), fixture.err.text);
    }
    assert_null(made);
    assert_false(is_there(".part"));
}

/* Changes the backup by hand. */
static void edit(const char *sql)
{
    struct ow_fixture copy = fixture;
    (void)snprintf(copy.path, sizeof copy.path, "%s", from);
    ow_fixture_exec(&copy, sql);
}

static void restore__what_is_no_backup_of_this_store__is_refused(void **state)
{
    (void)state;
    start();
    struct ow_restore_options options = options_of();
    options.from = "/nowhere/at/all";
    refused(&options, OW_BAD_CONFIG, "cannot look at backup");
    options.from = fixture.folder;
    refused(&options, OW_BAD_CONFIG, "is no file");
    options.from = fixture.path;
    refused(&options, OW_BAD_CONFIG, "the store itself");
    options.from = name("-other");
    write_file(options.from, "");
    refused(&options, OW_UNSAFE, "is empty");
    write_file(options.from, "a letter, not a database; a letter that is longer than a header is,"
                             " so that SQLite reads all of it before it knows");
    refused(&options, OW_UNSAFE, "no database");
    options = options_of();
    edit("PRAGMA user_version = 99");
    refused(&options, OW_UNSAFE, "schema version 99");
    edit("PRAGMA user_version = 2");
    edit("UPDATE orders SET amount_minor = 7 WHERE order_id = 'o1'");
    refused(&options, OW_DIFFERENT, "does not keep promise");
    edit("UPDATE orders SET amount_minor = 1299 WHERE order_id = 'o1'");
    edit("PRAGMA application_id = 5");
    refused(&options, OW_UNSAFE, "another program");
    edit("PRAGMA application_id = 0x4f4e4345");
    must(restore(&options, 0)); /* all was put back */
    ow_fixture_done(&fixture);
}

static void restore__damaged_pages__are_refused(void **state)
{
    (void)state;
    start();
    const struct ow_restore_options options = options_of();
    const int fd = open(from, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    int damaged = 0;
    for (off_t page = 1; page < status.st_size / 4096; page++) {
        uint8_t before[8];
        static const uint8_t noise[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
        assert_int_equal(pread(fd, before, sizeof before, page * 4096), sizeof before);
        assert_int_equal(pwrite(fd, noise, sizeof noise, page * 4096), sizeof noise);
        const enum ow_status found = restore(&options, 0);
        assert_true(found == OW_UNSAFE || found == OW_FAILED);
        damaged++;
        assert_int_equal(pwrite(fd, before, sizeof before, page * 4096), sizeof before);
    }
    assert_true(damaged > 20);
    assert_int_equal(close(fd), 0);
    assert_int_equal(later_orders(), 1);
    must(restore(&options, 0));
    ow_fixture_done(&fixture);
}

static void restore__over_another_store_or_one_in_use__is_refused(void **state)
{
    (void)state;
    start();
    const struct ow_restore_options options = options_of();
    ow_fixture_open(&fixture);
    refused(&options, OW_TEMPORARY, "in use by another process");
    ow_fixture_close(&fixture);

    sqlite3 *operator_shell = NULL;
    assert_int_equal(sqlite3_open(fixture.path, &operator_shell), SQLITE_OK);
    assert_int_equal(sqlite3_exec(operator_shell, "SELECT count(*) FROM ow_meta", NULL, NULL, NULL),
                     SQLITE_OK);
    refused(&options, OW_TEMPORARY, "has the store");
    assert_int_equal(sqlite3_close(operator_shell), SQLITE_OK);

    assert_int_equal(rename(fixture.path, name(".away")), 0);
    ow_fixture_open(&fixture); /* a new one */
    ow_fixture_close(&fixture);
    refused(&options, OW_UNSAFE, "the place of another one");
    assert_int_equal(unlink(fixture.path), 0);
    write_file(fixture.path, "");
    ow_fixture_exec(&fixture, "PRAGMA application_id = 77; CREATE TABLE t (x)");
    refused(&options, OW_UNSAFE, "another program");
    assert_int_equal(unlink(fixture.path), 0);
    write_file(fixture.path, ""); /* nothing yet */
    must(restore(&options, 0));
    (void)verify(fixture.path);
    ow_fixture_done(&fixture);
}

static void restore__over_a_damaged_file_that_somebody_has_open__is_refused(void **state)
{
    (void)state;
    start();
    const struct ow_restore_options options = options_of();
    const int fd = open(fixture.path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    sqlite3 *operator_shell = NULL;
    assert_int_equal(sqlite3_open(fixture.path, &operator_shell), SQLITE_OK);
    assert_int_equal(sqlite3_exec(operator_shell, "SELECT count(*) FROM ow_meta", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(pwrite(fd, "no database", 11, 0), 11);
    refused(&options, OW_TEMPORARY, "has the store");
    assert_int_equal(sqlite3_close(operator_shell), SQLITE_OK);
    assert_int_equal(close(fd), 0);
    must(restore(&options, 0));
    ow_fixture_done(&fixture);
}

/* Another process is at work in another store that lies there, and has commits in its WAL only. */
static void restore__over_another_store_that_is_locked__leaves_all_of_it(void **state)
{
    (void)state;
    start();
    struct ow_restore_options options = options_of();
    options.discard = true;
    assert_int_equal(rename(fixture.path, name(".away")), 0);
    ow_fixture_open(&fixture);
    ow_fixture_close(&fixture);
    sqlite3 *holder = NULL;
    assert_int_equal(sqlite3_open(fixture.path, &holder), SQLITE_OK);
    assert_int_equal(sqlite3_exec(holder,
                                  "PRAGMA locking_mode = exclusive; PRAGMA wal_autocheckpoint = 0;"
                                  " CREATE TABLE mine (x); INSERT INTO mine VALUES (7)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    refused(&options, OW_TEMPORARY, "locked");
    assert_true(is_there("-wal"));
    assert_int_equal(sqlite3_close(holder), SQLITE_OK);
    assert_int_equal(ow_fixture_i64(&fixture, "SELECT x FROM mine"), 7);
    refused(&options, OW_UNSAFE, "the place of another one");
    ow_fixture_done(&fixture);
}

static void restore__its_disk_fails_at_each_call__leaves_the_old_store(void **state)
{
    static const struct {
        enum ow_fault_call call;
        int code;
        const char *file;
    } faults[] = {
        {OW_FAULT_WRITE, SQLITE_FULL,        ".part"    },
        {OW_FAULT_WRITE, SQLITE_IOERR_WRITE, ".part"    },
        {OW_FAULT_READ,  SQLITE_IOERR_READ,  ".part"    },
        {OW_FAULT_OPEN,  SQLITE_CANTOPEN,    ".part"    },
        {OW_FAULT_READ,  SQLITE_IOERR_READ,  "backup.db"},
        {OW_FAULT_READ,  SQLITE_IOERR_READ,  "store.db" },
    };
    (void)state;
    ow_fault_install();
    start();
    const struct ow_restore_options options = options_of();
    const char *hash = verify(fixture.path);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        enum ow_status status = OW_FAILED;
        int64_t at = 1;
        for (; status != OW_OK; at += at < 6 ? 1 : 37) {
            const struct ow_fault fault = {.call = faults[i].call,
                                           .at = at,
                                           .code = faults[i].code,
                                           .name_ends = faults[i].file};
            ow_fault_arm(&fault);
            status = restore(&options, 0);
            const bool fired = ow_fault_disarm();
            assert_true(fired || status == OW_OK);
            assert_false(is_there(".part"));
            if (status != OW_OK) {
                assert_true(status == OW_FAILED || status == OW_UNSAFE || status == OW_TEMPORARY);
                assert_false(is_there(".before-restore"));
                assert_string_equal(verify(fixture.path), hash);
            }
        }
        assert_true(at > 2);
        assert_int_equal(rename(name(".before-restore"), fixture.path), 0);
    }
    ow_fixture_done(&fixture);
    ow_fault_remove();
}

static void store_open__a_backup__is_no_store_to_go_on_with(void **state)
{
    (void)state;
    start();
    struct stat before;
    struct stat after;
    assert_int_equal(rename(from, fixture.path), 0);
    assert_int_equal(stat(fixture.path, &before), 0);
    assert_int_equal(ow_fixture_try_open(&fixture), OW_UNSAFE);
    assert_non_null(strstr(fixture.err.text, "onceward restore"));
    assert_int_equal(stat(fixture.path, &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);

    const struct ow_store_options options = {
        .path = fixture.path, .clock = ow_clock_manual(&fixture.clock), .restored = true};
    must(ow_store_open(&options, &fixture.machines, &fixture.store, &fixture.err));
    ow_fixture_close(&fixture);
    (void)verify(fixture.path);
    ow_fixture_open(&fixture);
    ow_fixture_done(&fixture);
}

int ow_test_restore(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(restore__over_a_store_that_went_on__is_the_backup_in_a_higher_epoch),
        cmocka_unit_test(restore__where_the_store_is_lost__is_not_mixed_with_what_is_left),
        cmocka_unit_test(restore__over_a_file_that_cannot_be_read__keeps_all_of_it),
        cmocka_unit_test(restore__killed_between_its_last_two_steps__can_be_done_again),
        cmocka_unit_test(restore__what_is_no_backup_of_this_store__is_refused),
        cmocka_unit_test(restore__damaged_pages__are_refused),
        cmocka_unit_test(restore__over_another_store_or_one_in_use__is_refused),
        cmocka_unit_test(restore__over_a_damaged_file_that_somebody_has_open__is_refused),
        cmocka_unit_test(restore__over_another_store_that_is_locked__leaves_all_of_it),
        cmocka_unit_test(restore__its_disk_fails_at_each_call__leaves_the_old_store),
        cmocka_unit_test(store_open__a_backup__is_no_store_to_go_on_with),
    };
    return cmocka_run_group_tests_name("restore", tests, NULL, NULL);
}
