/* Where a backup may be written, and what it leaves alone there. */
#include "backup_scene.h"
#include "groups.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void backup__where_something_is__overwrites_nothing(void **state)
{
    (void)state;
    ow_copy_start();
    char name[160];
    assert_int_equal(symlink("/nowhere/at/all", ow_copy_to), 0);
    ow_copy_refused(ow_copy_to, OW_FAILED, "is there already");
    assert_int_equal(unlink(ow_copy_to), 0);
    ow_copy_refused(ow_copy.path, OW_FAILED, "is there already");
    (void)snprintf(name, sizeof name, "%s-journal", ow_copy.path);
    ow_copy_refused(name, OW_BAD_CONFIG, "the store itself uses");
    (void)snprintf(name, sizeof name, "%s/nowhere/copy.db", ow_copy.folder);
    ow_copy_refused(name, OW_FAILED, "cannot be used");
    (void)snprintf(name, sizeof name, "%s/", ow_copy.folder);
    ow_copy_refused(name, OW_BAD_CONFIG, "no name of a file");

    /* Taken while it was being copied. */
    struct ow_backup *backup = ow_copy_all();
    ow_backup_let_go(backup);
    assert_int_equal(close(open(ow_copy_to, O_CREAT | O_WRONLY, 0600)), 0);
    assert_int_equal(ow_backup_finish(backup, &ow_copy.err), OW_FAILED);
    assert_non_null(strstr(ow_copy.err.text, "File exists"));
    ow_backup_free(backup);
    assert_true(ow_copy_has(""));
    assert_false(ow_copy_has(".part"));
    ow_copy_stop();
}

/* A part as a backup leaves it that was killed after so many slices; -1: it had copied all. */
static void leave_part(int slices)
{
    struct ow_backup *backup = ow_copy_begin();
    bool more = true;
    while (more && slices != 0) {
        more = ow_copy_slice(backup);
        slices--;
    }
    assert_int_equal(rename(ow_copy_name(".part"), ow_copy_name(".left")), 0);
    ow_backup_let_go(backup);
    ow_backup_free(backup);
    assert_int_equal(rename(ow_copy_name(".left"), ow_copy_name(".part")), 0);
}

static void backup__a_part_of_a_killed_one__is_replaced(void **state)
{
    (void)state;
    ow_copy_start();
    struct ow_backup *first = ow_copy_begin();
    ow_copy_refused(ow_copy_to, OW_TEMPORARY, "another backup is being written");
    assert_true(ow_copy_slice(first));
    ow_backup_let_go(first);
    ow_backup_free(first);
    assert_false(ow_copy_has(".part"));

    for (int slices = -1; slices < 3; slices++) {
        leave_part(slices);
        (void)ow_copy_end(ow_copy_all());
        assert_string_equal(ow_copy_verify(ow_copy_to), ow_copy_verify(ow_copy.path));
        assert_int_equal(unlink(ow_copy_to), 0);
    }
    write_file(ow_copy_name(".part"), ""); /* killed before its first byte */
    (void)ow_copy_end(ow_copy_all());
    ow_copy_stop();
}

static void backup__where_a_part_is_that_is_none_of_ours__takes_nothing_away(void **state)
{
    (void)state;
    ow_copy_start();
    write_file(ow_copy_name(".part"),
               "the first chapter; it is longer than the header of a database, and is"
               " somebody's only copy of it");
    ow_copy_refused(ow_copy_to, OW_FAILED, ".part' is there, and is no part of a backup");
    assert_true(ow_copy_has(".part"));
    assert_int_equal(unlink(ow_copy_name(".part")), 0);
    write_file(ow_copy_name(".part"), "short");
    ow_copy_refused(ow_copy_to, OW_FAILED, ".part' is there, and is no part of a backup");

    /* A store of that name, one that is open and one that is not: it has its lock file beside it.
     */
    ow_fixture_close(&ow_copy);
    assert_int_equal(rename(ow_copy.path, ow_copy_name(".part")), 0);
    (void)snprintf(ow_copy.path, sizeof ow_copy.path, "%s", ow_copy_name(".part"));
    ow_fixture_open(&ow_copy);
    ow_copy_refused(ow_copy_to, OW_BAD_CONFIG, "is the store itself");
    ow_copy_add_orders(OW_COPY_ORDERS, 1);
    ow_fixture_close(&ow_copy);
    (void)snprintf(ow_copy.path, sizeof ow_copy.path, "%s/store.db", ow_copy.folder);
    ow_fixture_open(&ow_copy);
    ow_copy_refused(ow_copy_to, OW_FAILED, ".part' is there, and is no part of a backup");
    ow_copy_stop();
}

static void backup__a_part_that_somebody_has_replaced__is_left_to_them(void **state)
{
    (void)state;
    ow_copy_start();
    struct ow_backup *backup = ow_copy_all();
    ow_backup_let_go(backup);
    assert_int_equal(unlink(ow_copy_name(".part")), 0);
    write_file(ow_copy_name(".part"), "somebody's");
    assert_int_equal(ow_backup_finish(backup, &ow_copy.err), OW_FAILED);
    ow_backup_free(backup);
    assert_true(ow_copy_has(".part"));
    assert_false(ow_copy_has(""));
    ow_copy_stop();
}

/* SQLite would take what is called so for a part of the backup. */
static void backup__beside_the_log_of_another_database__is_refused(void **state)
{
    static const char *const endings[] = {"-wal", "-journal", "-shm"};
    (void)state;
    ow_copy_start();
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        write_file(ow_copy_name(endings[i]), "of another one");
        ow_copy_refused(ow_copy_to, OW_FAILED, endings[i]);
        assert_int_equal(unlink(ow_copy_name(endings[i])), 0);

        struct ow_backup *backup = ow_copy_all();
        write_file(ow_copy_name(endings[i]), "of another one, which came meanwhile");
        ow_backup_let_go(backup);
        assert_int_equal(ow_backup_finish(backup, &ow_copy.err), OW_FAILED);
        assert_non_null(strstr(ow_copy.err.text, endings[i]));
        ow_backup_free(backup);
        assert_false(ow_copy_has("") || ow_copy_has(".part"));
        assert_int_equal(unlink(ow_copy_name(endings[i])), 0);
    }
    ow_copy_stop();
}

int ow_test_backup_place(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(backup__where_something_is__overwrites_nothing),
        cmocka_unit_test(backup__a_part_of_a_killed_one__is_replaced),
        cmocka_unit_test(backup__where_a_part_is_that_is_none_of_ours__takes_nothing_away),
        cmocka_unit_test(backup__a_part_that_somebody_has_replaced__is_left_to_them),
        cmocka_unit_test(backup__beside_the_log_of_another_database__is_refused),
    };
    return cmocka_run_group_tests_name("backup_place", tests, NULL, NULL);
}
