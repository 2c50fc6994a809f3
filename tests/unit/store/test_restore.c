/* What takes the place of a store, and what may not. */
#include "groups.h"
#include "restore_scene.h"
#include "store/position_survey.h"
#include "support/store/fault_vfs.h"

#include <sqlite3.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void restore__over_a_store_that_went_on__is_the_backup_in_a_higher_epoch(void **state)
{
    (void)state;
    ow_scene_start();
    const struct ow_restore_options options = ow_scene_options();
    assert_int_equal(ow_scene_later_orders(), 1);
    const char *hash = ow_scene_verify(ow_scene_from);
    const int64_t epoch =
        ow_fixture_i64(&ow_scene, "SELECT value FROM ow_meta WHERE key = 'epoch'");

    struct ow_restore *made = NULL;
    ow_scene_must(ow_restore_begin(&options, &made, &ow_scene.err));
    const struct ow_restore_facts *facts = ow_restore_look(made);
    assert_int_equal(facts->at_ms, ow_fixture_i64(&ow_scene, "SELECT 1800000000000") + 16000);
    assert_int_equal(facts->replaced_epoch, epoch);
    assert_true(facts->epoch < epoch && facts->replaces && facts->unreadable == NULL);
    assert_int_equal(facts->position_count, 1);
    assert_string_equal(facts->positions[0].topic, "order-events");
    assert_int_equal(facts->positions[0].next_offset, 16);
    assert_int_equal(ow_scene_later_orders(), 1); /* nothing has happened yet */
    assert_int_equal(ow_fixture_try_open(&ow_scene), OW_TEMPORARY);
    ow_scene_must(ow_restore_place(made, 7, &ow_scene.err));
    ow_restore_free(made);

    assert_int_equal(ow_scene_later_orders(), 0);
    assert_string_equal(ow_scene_verify(ow_scene.path), hash);
    assert_true(ow_scene_has(".before-restore"));
    assert_false(ow_scene_has(".part") || ow_scene_has("-wal") || ow_scene_has("-journal"));
    ow_fixture_open(&ow_scene);
    assert_int_equal(ow_store_epoch(ow_scene.store), 9);
    assert_int_equal(ow_store_restored_epoch(ow_scene.store), 8);
    ow_fixture_close(&ow_scene);
    assert_string_equal(ow_scene_verify(ow_scene.path), hash);
    (void)ow_scene_verify(ow_scene_name(".before-restore"));
    struct ow_position_survey survey; /* who asks from outside is told so, too */
    ow_scene_must(ow_position_survey(ow_scene.path, &ow_scene.kept, &survey, &ow_scene.err));
    assert_true(survey.epoch == 9 && survey.restored_epoch == 8);

    /* The kept one is not overwritten by the next. */
    assert_int_equal(ow_scene_restore(&options, 0), OW_FAILED);
    assert_non_null(strstr(ow_scene.err.text, "move it away"));
    struct ow_restore_options discarding = options;
    discarding.discard = true;
    ow_scene_must(ow_scene_restore(&discarding, -1));
    ow_fixture_open(&ow_scene);
    assert_int_equal(ow_store_epoch(ow_scene.store), 11);         /* above what was there */
    assert_int_equal(ow_store_restored_epoch(ow_scene.store), 0); /* nobody could be asked */
    ow_fixture_done(&ow_scene);
}

/* Changes the backup by hand. */
static void edit(const char *sql)
{
    struct ow_fixture copy = ow_scene;
    (void)snprintf(copy.path, sizeof copy.path, "%s", ow_scene_from);
    ow_fixture_exec(&copy, sql);
}

static void restore__what_is_no_backup_of_this_store__is_refused(void **state)
{
    (void)state;
    ow_scene_start();
    struct ow_restore_options options = ow_scene_options();
    options.from = "/nowhere/at/all";
    ow_scene_refused(&options, OW_BAD_CONFIG, "cannot look at backup");
    options.from = ow_scene.folder;
    ow_scene_refused(&options, OW_BAD_CONFIG, "is no file");
    options.from = ow_scene.path;
    ow_scene_refused(&options, OW_BAD_CONFIG, "the store itself");
    /* What restore itself would write over, by its name or by another. */
    assert_int_equal(rename(ow_scene_from, ow_scene_name(".part")), 0);
    assert_int_equal(symlink(ow_scene_name(".part"), ow_scene_from), 0);
    options.from = ow_scene_from;
    assert_int_equal(ow_scene_restore(&options, 0), OW_BAD_CONFIG);
    assert_non_null(strstr(ow_scene.err.text, "rename it first"));
    assert_int_equal(unlink(ow_scene_from), 0);
    assert_int_equal(rename(ow_scene_name(".part"), ow_scene_from), 0);
    options.from = ow_scene_name("-other");
    ow_scene_write_file(options.from, "");
    ow_scene_refused(&options, OW_UNSAFE, "is empty");
    ow_scene_write_file(options.from,
                        "a letter, not a database; a letter that is longer than a header is,"
                        " so that SQLite reads all of it before it knows");
    ow_scene_refused(&options, OW_UNSAFE, "no database");
    options = ow_scene_options();
    edit("PRAGMA user_version = 99");
    ow_scene_refused(&options, OW_UNSAFE, "schema version 99");
    edit("PRAGMA user_version = 2");
    edit("UPDATE orders SET amount_minor = 7 WHERE order_id = 'o1'");
    ow_scene_refused(&options, OW_DIFFERENT, "does not keep promise");
    edit("UPDATE orders SET amount_minor = 1299 WHERE order_id = 'o1'");
    edit("PRAGMA application_id = 5");
    ow_scene_refused(&options, OW_UNSAFE, "another program");
    edit("PRAGMA application_id = 0x4f4e4345");
    ow_scene_must(ow_scene_restore(&options, 0)); /* all was put back */
    ow_fixture_done(&ow_scene);
}

static void restore__damaged_pages__are_refused(void **state)
{
    (void)state;
    ow_scene_start();
    const struct ow_restore_options options = ow_scene_options();
    const int fd = open(ow_scene_from, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    int damaged = 0;
    for (off_t page = 1; page < status.st_size / 4096; page++) {
        uint8_t before[8];
        static const uint8_t noise[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
        assert_int_equal(pread(fd, before, sizeof before, page * 4096), sizeof before);
        assert_int_equal(pwrite(fd, noise, sizeof noise, page * 4096), sizeof noise);
        const enum ow_status found = ow_scene_restore(&options, 0);
        assert_true(found == OW_UNSAFE || found == OW_FAILED);
        damaged++;
        assert_int_equal(pwrite(fd, before, sizeof before, page * 4096), sizeof before);
    }
    assert_true(damaged > 20);
    assert_int_equal(close(fd), 0);
    assert_int_equal(ow_scene_later_orders(), 1);
    ow_scene_must(ow_scene_restore(&options, 0));
    ow_fixture_done(&ow_scene);
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
    ow_scene_start();
    const struct ow_restore_options options = ow_scene_options();
    const char *hash = ow_scene_verify(ow_scene.path);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        enum ow_status status = OW_FAILED;
        int64_t at = 1;
        for (; status != OW_OK; at += at < 6 ? 1 : 37) {
            const struct ow_fault fault = {.call = faults[i].call,
                                           .at = at,
                                           .code = faults[i].code,
                                           .name_ends = faults[i].file};
            ow_fault_arm(&fault);
            status = ow_scene_restore(&options, 0);
            const bool fired = ow_fault_disarm();
            assert_true(fired || status == OW_OK);
            assert_false(ow_scene_has(".part"));
            if (status != OW_OK) {
                assert_true(status == OW_FAILED || status == OW_UNSAFE || status == OW_TEMPORARY);
                assert_false(ow_scene_has(".before-restore"));
                assert_string_equal(ow_scene_verify(ow_scene.path), hash);
            }
        }
        assert_true(at > 2);
        assert_int_equal(rename(ow_scene_name(".before-restore"), ow_scene.path), 0);
    }
    ow_fixture_done(&ow_scene);
    ow_fault_remove();
}

static void store_open__a_backup__is_no_store_to_go_on_with(void **state)
{
    (void)state;
    ow_scene_start();
    struct stat before;
    struct stat after;
    assert_int_equal(rename(ow_scene_from, ow_scene.path), 0);
    assert_int_equal(stat(ow_scene.path, &before), 0);
    assert_int_equal(ow_fixture_try_open(&ow_scene), OW_UNSAFE);
    assert_non_null(strstr(ow_scene.err.text, "onceward restore"));
    assert_int_equal(stat(ow_scene.path, &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);

    const struct ow_store_options options = {
        .path = ow_scene.path, .clock = ow_clock_manual(&ow_scene.clock), .restored = true};
    ow_scene_must(ow_store_open(&options, &ow_scene.machines, &ow_scene.store, &ow_scene.err));
    ow_fixture_close(&ow_scene);
    (void)ow_scene_verify(ow_scene.path);
    ow_fixture_open(&ow_scene);
    ow_fixture_done(&ow_scene);
}

int ow_test_restore(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(restore__over_a_store_that_went_on__is_the_backup_in_a_higher_epoch),
        cmocka_unit_test(restore__what_is_no_backup_of_this_store__is_refused),
        cmocka_unit_test(restore__damaged_pages__are_refused),
        cmocka_unit_test(restore__its_disk_fails_at_each_call__leaves_the_old_store),
        cmocka_unit_test(store_open__a_backup__is_no_store_to_go_on_with),
    };
    return cmocka_run_group_tests_name("restore", tests, NULL, NULL);
}
