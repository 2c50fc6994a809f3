/* What lies in the place of a store when a backup takes it. */
#include "groups.h"
#include "restore_scene.h"

#include <sqlite3.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static bool says(const char *ending, const char *text)
{
    char found[32] = "";
    FILE *file = fopen(ow_scene_name(ending), "re");
    assert_non_null(file);
    assert_non_null(fgets(found, sizeof found, file));
    assert_int_equal(fclose(file), 0);
    return strcmp(found, text) == 0;
}

static void restore__where_the_store_is_lost__keeps_what_is_left_beside(void **state)
{
    (void)state;
    ow_scene_start();
    struct ow_restore_options options = ow_scene_options();
    const char *hash = ow_scene_verify(ow_scene_from);
    assert_int_equal(unlink(ow_scene.path), 0);
    ow_scene_write_file(ow_scene_name("-wal"), "of the lost one");
    ow_scene_write_file(ow_scene_name("-journal"), "of the lost one, too");

    struct ow_restore *made = NULL;
    ow_scene_must(ow_restore_begin(&options, &made, &ow_scene.err));
    const struct ow_restore_facts *facts = ow_restore_look(made);
    assert_true(!facts->replaces && facts->replaced_as != NULL);
    assert_string_equal(facts->replaced_as, ow_scene_name(".before-restore"));
    ow_scene_must(ow_restore_place(made, 0, &ow_scene.err));
    ow_restore_free(made);
    assert_false(ow_scene_has("-wal") || ow_scene_has("-journal") ||
                 ow_scene_has(".before-restore"));
    assert_true(says(".before-restore-wal", "of the lost one"));
    assert_true(says(".before-restore-journal", "of the lost one, too"));
    assert_string_equal(ow_scene_verify(ow_scene.path), hash);
    struct stat status;
    assert_int_equal(stat(ow_scene.path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    ow_fixture_open(&ow_scene);
    assert_int_equal(ow_store_restored_epoch(ow_scene.store), ow_store_epoch(ow_scene.store) - 1);
    ow_fixture_close(&ow_scene);

    /* What is kept is not overwritten by the next. */
    assert_int_equal(unlink(ow_scene.path), 0);
    ow_scene_write_file(ow_scene_name("-wal"), "of the next one");
    ow_scene_refused(&options, OW_FAILED, ".before-restore-wal' is there already");
    options.discard = true;
    ow_scene_must(ow_scene_restore(&options, 0));
    assert_false(ow_scene_has("-wal"));
    assert_true(says(".before-restore-wal", "of the lost one"));
    assert_string_equal(ow_scene_verify(ow_scene.path), hash);
    ow_fixture_done(&ow_scene);
}

/* A file that cannot be read, so that its log cannot be written back either. */
static void damage(void)
{
    ow_scene_write_file(ow_scene.path,
                        "this was a store, and its first page is gone; long enough to be one?"
                        "  SQLite looks at the first hundred bytes before it says no.");
    ow_scene_write_file(ow_scene_name("-wal"), "its log");
}

static void restore__over_a_file_that_cannot_be_read__keeps_all_of_it(void **state)
{
    (void)state;
    ow_scene_start();
    const struct ow_restore_options options = ow_scene_options();
    damage();
    assert_int_equal(chmod(ow_scene.path, 0600), 0);
    ow_scene_must(ow_scene_restore(&options, 3));
    assert_true(ow_scene_has(".before-restore") && ow_scene_has(".before-restore-wal"));
    assert_false(ow_scene_has("-wal"));
    (void)ow_scene_verify(ow_scene.path);
    struct stat status;
    assert_int_equal(stat(ow_scene.path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    ow_fixture_done(&ow_scene);
}

static void restore__killed_between_its_last_two_steps__can_be_done_again(void **state)
{
    (void)state;
    ow_scene_start();
    struct ow_restore_options options = ow_scene_options();
    assert_int_equal(link(ow_scene.path, ow_scene_name(".before-restore")), 0);
    /* Until then nothing runs, and it says why. */
    assert_int_equal(ow_fixture_try_open(&ow_scene), OW_UNSAFE);
    assert_non_null(strstr(ow_scene.err.text, "a restore was interrupted"));
    assert_non_null(strstr(ow_scene.err.text, ".before-restore'"));
    options.path = ow_scene_name(".link");
    assert_int_equal(symlink("store.db", options.path), 0);
    ow_scene_must(ow_scene_restore(&options, 0));
    assert_int_equal(ow_scene_later_orders(), 0);
    (void)ow_scene_verify(ow_scene.path);
    (void)ow_scene_verify(ow_scene_name(".before-restore"));
    ow_fixture_done(&ow_scene);
}

static void restore__while_another_one_is_at_its_last_two_steps__takes_nothing_away(void **state)
{
    (void)state;
    ow_scene_start();
    const struct ow_restore_options options = ow_scene_options();
    struct ow_restore *other = NULL;
    ow_scene_must(ow_restore_begin(&options, &other, &ow_scene.err));
    assert_int_equal(link(ow_scene.path, ow_scene_name(".before-restore")), 0);
    struct ow_restore *made = NULL;
    assert_int_equal(ow_restore_begin(&options, &made, &ow_scene.err), OW_TEMPORARY);
    assert_true(ow_scene_has(".before-restore"));
    ow_restore_free(other);
    ow_fixture_done(&ow_scene);
}

static void restore__its_last_steps_fail__leaves_all_as_it_was(void **state)
{
    (void)state;
    ow_scene_start();
    damage();
    for (int round = 0; round < 3; round++) {
        struct ow_restore_options options = ow_scene_options();
        struct ow_restore *made = NULL;
        options.discard = round == 2;
        ow_scene_must(ow_restore_begin(&options, &made, &ow_scene.err));
        /* The old file cannot be kept, or the new one cannot be put in its place. */
        if (round == 0) {
            ow_scene_write_file(ow_scene_name(".before-restore"), "mine");
        } else {
            assert_int_equal(unlink(ow_scene_name(".part")), 0);
        }
        assert_int_equal(ow_restore_place(made, 0, &ow_scene.err), OW_FAILED);
        ow_restore_free(made);
        assert_true(says("-wal", "its log"));
        assert_true(says("", "this was a store, and its first"));
        assert_false(ow_scene_has(".before-restore-wal") || ow_scene_has(".discarded-wal"));
        assert_int_equal(ow_scene_has(".before-restore"), round == 0);
        (void)unlink(ow_scene_name(".before-restore"));
    }
    ow_fixture_done(&ow_scene);
}

static void restore__after_one_that_was_killed_with_the_log_aside__has_all_of_it(void **state)
{
    (void)state;
    ow_scene_start();
    const struct ow_restore_options options = ow_scene_options();
    damage();
    assert_int_equal(link(ow_scene.path, ow_scene_name(".before-restore")), 0);
    assert_int_equal(rename(ow_scene_name("-wal"), ow_scene_name(".before-restore-wal")), 0);
    ow_scene_must(ow_scene_restore(&options, 0));
    assert_true(says(".before-restore-wal", "its log"));
    (void)ow_scene_verify(ow_scene.path);
    ow_fixture_done(&ow_scene);
}

static void restore__discarding_a_damaged_file__leaves_nothing_of_it(void **state)
{
    (void)state;
    ow_scene_start();
    struct ow_restore_options options = ow_scene_options();
    options.discard = true;
    damage();
    ow_scene_write_file(ow_scene_name(".discarded-wal"), "of one that was killed");
    ow_scene_must(ow_scene_restore(&options, 0));
    assert_false(ow_scene_has("-wal") || ow_scene_has(".discarded-wal") ||
                 ow_scene_has(".before-restore"));
    (void)ow_scene_verify(ow_scene.path);
    ow_fixture_done(&ow_scene);
}

static void restore__over_another_store_or_one_in_use__is_refused(void **state)
{
    (void)state;
    ow_scene_start();
    const struct ow_restore_options options = ow_scene_options();
    ow_fixture_open(&ow_scene);
    ow_scene_refused(&options, OW_TEMPORARY, "in use by another process");
    ow_fixture_close(&ow_scene);

    sqlite3 *operator_shell = NULL;
    assert_int_equal(sqlite3_open(ow_scene.path, &operator_shell), SQLITE_OK);
    assert_int_equal(sqlite3_exec(operator_shell, "SELECT count(*) FROM ow_meta", NULL, NULL, NULL),
                     SQLITE_OK);
    ow_scene_refused(&options, OW_TEMPORARY, "has the store");
    assert_int_equal(sqlite3_close(operator_shell), SQLITE_OK);

    assert_int_equal(rename(ow_scene.path, ow_scene_name(".away")), 0);
    ow_fixture_open(&ow_scene); /* a new one */
    ow_fixture_close(&ow_scene);
    ow_scene_refused(&options, OW_UNSAFE, "the place of another one");
    assert_int_equal(unlink(ow_scene.path), 0);
    ow_scene_write_file(ow_scene.path, "");
    ow_fixture_exec(&ow_scene, "PRAGMA application_id = 77; CREATE TABLE t (x)");
    ow_scene_refused(&options, OW_UNSAFE, "another program");
    assert_int_equal(unlink(ow_scene.path), 0);
    ow_scene_write_file(ow_scene.path, ""); /* nothing yet */
    ow_scene_must(ow_scene_restore(&options, 0));
    (void)ow_scene_verify(ow_scene.path);
    ow_fixture_done(&ow_scene);
}

static void restore__over_a_damaged_file_that_somebody_has_open__is_refused(void **state)
{
    (void)state;
    ow_scene_start();
    const struct ow_restore_options options = ow_scene_options();
    const int fd = open(ow_scene.path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    sqlite3 *operator_shell = NULL;
    assert_int_equal(sqlite3_open(ow_scene.path, &operator_shell), SQLITE_OK);
    assert_int_equal(sqlite3_exec(operator_shell, "SELECT count(*) FROM ow_meta", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(pwrite(fd, "no database", 11, 0), 11);
    ow_scene_refused(&options, OW_TEMPORARY, "has the store");
    assert_int_equal(sqlite3_close(operator_shell), SQLITE_OK);
    assert_int_equal(close(fd), 0);
    ow_scene_must(ow_scene_restore(&options, 0));
    ow_fixture_done(&ow_scene);
}

/* Another process is at work in another store that lies there, and has commits in its WAL only. */
static void restore__over_another_store_that_is_locked__leaves_all_of_it(void **state)
{
    (void)state;
    ow_scene_start();
    struct ow_restore_options options = ow_scene_options();
    options.discard = true;
    assert_int_equal(rename(ow_scene.path, ow_scene_name(".away")), 0);
    ow_fixture_open(&ow_scene);
    ow_fixture_close(&ow_scene);
    sqlite3 *holder = NULL;
    assert_int_equal(sqlite3_open(ow_scene.path, &holder), SQLITE_OK);
    assert_int_equal(sqlite3_exec(holder,
                                  "PRAGMA locking_mode = exclusive; PRAGMA wal_autocheckpoint = 0;"
                                  " CREATE TABLE mine (x); INSERT INTO mine VALUES (7)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    ow_scene_refused(&options, OW_TEMPORARY, "locked");
    assert_true(ow_scene_has("-wal"));
    assert_int_equal(sqlite3_close(holder), SQLITE_OK);
    assert_int_equal(ow_fixture_i64(&ow_scene, "SELECT x FROM mine"), 7);
    ow_scene_refused(&options, OW_UNSAFE, "the place of another one");
    ow_fixture_done(&ow_scene);
}

int ow_test_restore_replaced(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(restore__where_the_store_is_lost__keeps_what_is_left_beside),
        cmocka_unit_test(restore__over_a_file_that_cannot_be_read__keeps_all_of_it),
        cmocka_unit_test(restore__killed_between_its_last_two_steps__can_be_done_again),
        cmocka_unit_test(restore__its_last_steps_fail__leaves_all_as_it_was),
        cmocka_unit_test(restore__after_one_that_was_killed_with_the_log_aside__has_all_of_it),
        cmocka_unit_test(restore__discarding_a_damaged_file__leaves_nothing_of_it),
        cmocka_unit_test(restore__while_another_one_is_at_its_last_two_steps__takes_nothing_away),
        cmocka_unit_test(restore__over_another_store_or_one_in_use__is_refused),
        cmocka_unit_test(restore__over_a_damaged_file_that_somebody_has_open__is_refused),
        cmocka_unit_test(restore__over_another_store_that_is_locked__leaves_all_of_it),
    };
    return cmocka_run_group_tests_name("restore_replaced", tests, NULL, NULL);
}
