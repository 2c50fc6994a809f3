#include "groups.h"
#include "store/claims_survey.h"
#include "store/explain.h"
#include "store/restore.h"
#include "store/verify.h"
#include "support/store/fault_vfs.h"
#include "support/store/store_fixture.h"

#include <sqlite3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* A store of each version before this one (fixtures/) becomes one of this version when it is
 * opened, whole or not at all. */

/* Of fixtures/store_v1.sql, as the program said that made it. */
static const char state_hash_v1[] =
    "4cbda3530acd28a0afa474ab1f3859362d4ea02095ea8eef904f5a30cbc4bc04";

static void load_file(struct ow_fixture *fixture, const char *path)
{
    sqlite3 *handle = NULL;
    char *error = NULL;
    (void)unlink(fixture->path);
    assert_int_equal(sqlite3_open(fixture->path, &handle), SQLITE_OK);
    if (sqlite3_exec(handle, ow_fixture_read_file(&fixture->kept, path), NULL, NULL, &error) !=
        SQLITE_OK) {
        fail_msg("%s: %s", path, error);
    }
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

/* With the machine of that time, which the file has. */
static void make_v1(struct ow_fixture *fixture)
{
    ow_fixture_init(fixture);
    load_file(fixture, OW_SOURCE_DIR "/tests/unit/store/fixtures/store_v1.sql");
    ow_machines_done(&fixture->machines);
    ow_fixture_load_machine(&fixture->machines,
                            ow_fixture_text(fixture, "SELECT text FROM ow_machine"));
}

static const struct ow_promise *promise(const struct ow_verification *verification,
                                        const char *name)
{
    size_t i = 0;
    while (strcmp(verification->promises[i].name, name) != 0) {
        i++;
    }
    return &verification->promises[i];
}

static struct ow_verification verify(struct ow_fixture *fixture)
{
    struct ow_verification verification = {.ok = false};
    if (ow_verify(fixture->path, &fixture->kept, &verification, &fixture->err) != OW_OK) {
        fail_msg("verify: %s", fixture->err.text);
    }
    return verification;
}

static void must_be_whole(struct ow_fixture *fixture)
{
    const struct ow_verification verification = verify(fixture);
    for (size_t i = 0; i < verification.promise_count; i++) {
        if (verification.promises[i].broken > 0) {
            fail_msg("%s: %s", verification.promises[i].name, verification.promises[i].examples[0]);
        }
    }
    assert_true(verification.ok);
    assert_string_equal(verification.state_hash, state_hash_v1);
}

static void store_open__version_1__is_migrated_and_keeps_all(void **state)
{
    (void)state;
    static const char *const kept[] = {
        ("SELECT group_concat(topic || partition || next_offset || high_offset || hex(anchor) ||"
         " applied || quarantined) FROM ow_position"),
        "SELECT group_concat(first_offset || outcome || records) FROM ow_ledger",
        "SELECT count(*) || ' ' || sum(ref) FROM ow_claims",
        "SELECT count(*) || ' ' || sum(length(data)) FROM ow_history",
        "SELECT count(*) || ' ' || sum(length(value)) FROM ow_quarantine",
    };
    enum { KEPT = sizeof(kept) / sizeof(kept[0]) };
    const char *before[KEPT];
    struct ow_fixture fixture;
    make_v1(&fixture);
    for (size_t i = 0; i < KEPT; i++) {
        before[i] = ow_fixture_text(&fixture, kept[i]);
    }
    const int64_t epoch = ow_fixture_i64(&fixture, "SELECT value FROM ow_meta WHERE key = 'epoch'");
    ow_fixture_open(&fixture);
    assert_int_equal(ow_fixture_i64(&fixture, "PRAGMA user_version"), 2);
    assert_int_equal(ow_store_epoch(fixture.store), epoch + 1);
    for (size_t i = 0; i < KEPT; i++) {
        assert_string_equal(ow_fixture_text(&fixture, kept[i]), before[i]);
    }
    must_be_whole(&fixture);
    /* And it goes on. */
    assert_int_equal(ow_fixture_event(&fixture, "new", "order.created", "o77",
                                      "\"amount\":5,\"currency\":\"EUR\""),
                     OW_OUTCOME_APPLIED);
    ow_fixture_close(&fixture);
    assert_true(verify(&fixture).ok);
    ow_fixture_open(&fixture);
    ow_fixture_done(&fixture);
}

static void store_open__version_1_edited_by_hand__tells_it_afterwards_too(void **state)
{
    (void)state;
    struct ow_fixture fixture;
    make_v1(&fixture);
    ow_fixture_exec(&fixture, "UPDATE ow_position SET reread = reread + 1");
    ow_fixture_open(&fixture);
    ow_fixture_close(&fixture);
    const struct ow_verification verification = verify(&fixture);
    assert_int_equal(promise(&verification, "tables_sealed")->broken, 1);
    ow_fixture_done(&fixture);
}

static void store_open__version_1_without_sums__is_sealed(void **state)
{
    (void)state;
    struct ow_fixture fixture;
    make_v1(&fixture);
    ow_fixture_exec(&fixture, "DELETE FROM ow_meta WHERE key GLOB 'seal.*'");
    ow_fixture_open(&fixture);
    ow_fixture_close(&fixture);
    must_be_whole(&fixture);
    ow_fixture_done(&fixture);
}

static void store_readers__version_1__say_what_to_do(void **state)
{
    (void)state;
    static const char says[] = "the next start of 'onceward run' brings it up to that";
    struct ow_fixture fixture;
    make_v1(&fixture);
    struct ow_verification verification;
    assert_int_equal(ow_verify(fixture.path, &fixture.kept, &verification, &fixture.err),
                     OW_UNSAFE);
    assert_non_null(strstr(fixture.err.text, says));
    struct ow_explanation explanation;
    const struct ow_explain_options explain = {
        .path = fixture.path, .id = "e1", .clock = ow_clock_manual(&fixture.clock)};
    assert_int_equal(ow_explain(&explain, &fixture.kept, &explanation, &fixture.err), OW_UNSAFE);
    assert_non_null(strstr(fixture.err.text, says));
    assert_int_equal(ow_fixture_i64(&fixture, "PRAGMA user_version"), 1);
    ow_fixture_done(&fixture);
}

static void restore__copy_of_version_1__is_migrated_before_it_is_checked(void **state)
{
    (void)state;
    struct ow_restore *made = NULL;
    struct ow_fixture fixture;
    make_v1(&fixture);
    const char *copy = ow_arena_printf(&fixture.kept, "%s.copy", fixture.path);
    assert_int_equal(rename(fixture.path, copy), 0);
    const struct ow_restore_options options = {
        .path = fixture.path, .from = copy, .clock = ow_clock_manual(&fixture.clock)};
    if (ow_restore_begin(&options, &made, &fixture.err) != OW_OK ||
        ow_restore_place(made, 0, &fixture.err) != OW_OK) {
        fail_msg("%s", fixture.err.text);
    }
    ow_restore_free(made);
    assert_int_equal(ow_fixture_i64(&fixture, "PRAGMA user_version"), 2);
    must_be_whole(&fixture);
    assert_int_equal(unlink(copy), 0);
    ow_fixture_open(&fixture);
    ow_fixture_done(&fixture);
}

/* A backup of before an update is a backup after it. */
static void store_open__backup_of_version_1__is_refused(void **state)
{
    (void)state;
    struct ow_fixture fixture;
    make_v1(&fixture);
    ow_fixture_exec(&fixture, "INSERT INTO ow_meta VALUES ('backup_at_ms', 5)");
    assert_int_equal(ow_fixture_try_open(&fixture), OW_UNSAFE);
    assert_non_null(strstr(fixture.err.text, "is a backup"));
    assert_int_equal(ow_fixture_i64(&fixture, "PRAGMA user_version"), 1);
    ow_fixture_done(&fixture);
}

/* True where the fault struck: then the file is of one version or the other, and whole, and the
 * next start goes on. */
static bool migrate_with(const struct ow_fault *fault)
{
    struct ow_fixture fixture;
    make_v1(&fixture);
    ow_fault_arm(fault);
    const enum ow_status status = ow_fixture_try_open(&fixture);
    const bool fired = ow_fault_disarm();
    assert_true(fired || status == OW_OK);
    ow_fixture_close(&fixture);
    const int64_t version = ow_fixture_i64(&fixture, "PRAGMA user_version");
    const int64_t said =
        ow_fixture_i64(&fixture, "SELECT value FROM ow_meta WHERE key = 'schema_version'");
    const int64_t columns =
        ow_fixture_i64(&fixture, "SELECT count(*) FROM pragma_table_info('ow_position')");
    const int64_t audit =
        ow_fixture_i64(&fixture, "SELECT count(*) FROM sqlite_schema WHERE name = 'ow_audit'");
    assert_true(version == 1 || version == 2);
    assert_int_equal(said, version);
    assert_int_equal(columns, version == 1 ? 14 : 17);
    assert_int_equal(audit, version - 1);
    assert_true(status != OW_OK || version == 2);
    ow_fixture_open(&fixture);
    ow_fixture_close(&fixture);
    must_be_whole(&fixture);
    ow_fixture_done(&fixture);
    return fired;
}

static void sweep(enum ow_fault_call call, int code)
{
    int64_t count = 0;
    ow_fault_install();
    while (migrate_with(&(struct ow_fault){.call = call, .at = count + 1, .code = code})) {
        count++;
    }
    ow_fault_remove();
    print_message("%lld places\n", (long long)count);
    assert_true(count > 0);
}

static void store_open__disk_full_at_each_write_of_a_migration__is_old_or_new(void **state)
{
    (void)state;
    sweep(OW_FAULT_WRITE, SQLITE_FULL);
}

static void store_open__io_error_at_each_write_of_a_migration__is_old_or_new(void **state)
{
    (void)state;
    sweep(OW_FAULT_WRITE, SQLITE_IOERR_WRITE);
}

static void store_open__io_error_at_each_sync_of_a_migration__is_old_or_new(void **state)
{
    (void)state;
    sweep(OW_FAULT_SYNC, SQLITE_IOERR_FSYNC);
}

int ow_test_migrate(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_open__version_1__is_migrated_and_keeps_all),
        cmocka_unit_test(store_open__version_1_edited_by_hand__tells_it_afterwards_too),
        cmocka_unit_test(store_open__version_1_without_sums__is_sealed),
        cmocka_unit_test(store_readers__version_1__say_what_to_do),
        cmocka_unit_test(restore__copy_of_version_1__is_migrated_before_it_is_checked),
        cmocka_unit_test(store_open__backup_of_version_1__is_refused),
        cmocka_unit_test(store_open__disk_full_at_each_write_of_a_migration__is_old_or_new),
        cmocka_unit_test(store_open__io_error_at_each_write_of_a_migration__is_old_or_new),
        cmocka_unit_test(store_open__io_error_at_each_sync_of_a_migration__is_old_or_new),
    };
    return cmocka_run_group_tests_name("migrate", tests, NULL, NULL);
}
