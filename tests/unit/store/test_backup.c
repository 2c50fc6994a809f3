/* Backups of a store that is written meanwhile. */
#include "groups.h"
#include "store/backup.h"
#include "store/verify.h"
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

enum { ORDERS = 50 };

static struct ow_fixture fixture;
static char to[128];

static void add_orders(int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "n%d", i);
        assert_int_equal(ow_fixture_event(&fixture, id, "order.created", id,
                                          "\"amount\":1,\"currency\":\"EUR\""),
                         OW_OUTCOME_APPLIED);
    }
}

static void start(void)
{
    ow_fixture_init(&fixture);
    ow_fixture_open(&fixture);
    ow_fixture_fill(&fixture);
    /* An operator's table, so that there are some 300 pages and ten slices. */
    ow_fixture_exec(&fixture, "CREATE TABLE large (x); INSERT INTO large VALUES"
                              " (zeroblob(500000)), (zeroblob(500000))");
    add_orders(0, ORDERS);
    (void)snprintf(to, sizeof to, "%s/copy.db", fixture.folder);
}

static void finish(void)
{
    ow_fixture_done(&fixture);
}

static bool is_there(const char *ending)
{
    char path[160];
    struct stat status;
    (void)snprintf(path, sizeof path, "%s%s", to, ending);
    return lstat(path, &status) == 0;
}

static struct ow_backup *begin(void)
{
    const struct ow_clock clock = ow_clock_manual(&fixture.clock);
    struct ow_backup *backup = NULL;
    if (ow_backup_begin(fixture.store, to, &clock, &backup, &fixture.err) != OW_OK) {
        fail_msg("%s", fixture.err.text);
    }
    return backup;
}

/* A slice of a few pages: the clock stands still, and the budget is nothing. */
static bool slice(struct ow_backup *backup)
{
    bool more = false;
    if (ow_backup_copy(backup, 0, &more, &fixture.err) != OW_OK) {
        fail_msg("%s", fixture.err.text);
    }
    return more;
}

static struct ow_backup_figures end(struct ow_backup *backup)
{
    ow_backup_let_go(backup);
    if (ow_backup_finish(backup, &fixture.err) != OW_OK) {
        fail_msg("%s", fixture.err.text);
    }
    const struct ow_backup_figures figures = ow_backup_look(backup);
    ow_backup_free(backup);
    return figures;
}

/* Every promise holds there; the hash of the business state, of the kept arena. */
static const char *verify(const char *path)
{
    struct ow_verification found;
    if (ow_verify(path, &fixture.kept, &found, &fixture.err) != OW_OK) {
        fail_msg("%s", fixture.err.text);
    }
    for (size_t i = 0; i < found.promise_count; i++) {
        if (found.promises[i].broken > 0) {
            fail_msg("%s: %s: %s", path, found.promises[i].name, found.promises[i].examples[0]);
        }
    }
    return ow_arena_text(&fixture.kept, ow_slice_of(found.state_hash));
}

static int64_t ask(const char *path, const char *sql)
{
    struct ow_fixture copy = fixture;
    (void)snprintf(copy.path, sizeof copy.path, "%s", path);
    return ow_fixture_i64(&copy, sql);
}

static void backup__of_a_store_at_rest__is_a_file_of_its_own(void **state)
{
    (void)state;
    start();
    struct ow_backup *backup = begin();
    assert_true(is_there(".part"));
    assert_false(is_there(""));
    while (slice(backup)) {
        assert_false(is_there(""));
    }
    const struct ow_backup_figures figures = end(backup);
    struct stat status;
    assert_int_equal(stat(to, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(status.st_size, figures.bytes);
    assert_int_equal(figures.bytes, figures.pages * 4096);
    assert_int_equal(figures.restarts, 0);
    assert_false(is_there(".part"));
    assert_string_equal(verify(to), verify(fixture.path));
    assert_false(is_there("-wal"));
    assert_int_equal(ask(to, "SELECT value FROM ow_meta WHERE key = 'backup_at_ms'"),
                     fixture.clock.now_ms);
    assert_int_equal(
        ow_fixture_i64(&fixture, "SELECT count(*) FROM ow_meta WHERE key = 'backup_at_ms'"), 0);
    assert_int_equal(ask(to, "SELECT journal_mode = 'delete' FROM pragma_journal_mode"), 1);
    finish();
}

static void backup__written_between_slices__carries_it_over_without_a_restart(void **state)
{
    (void)state;
    start();
    struct ow_backup *backup = begin();
    int64_t done = 0;
    int slices = 0;
    bool more = true;
    while (more) {
        add_orders(ORDERS + slices, 1); /* new pages, and old ones that were copied already */
        more = slice(backup);
        const struct ow_backup_figures now = ow_backup_look(backup);
        assert_true(now.pages_done > done);
        done = now.pages_done;
        slices++;
    }
    assert_true(slices > 3);
    const char *hash = verify(fixture.path);
    add_orders(ORDERS + slices, 1); /* after the last page: not in it */
    assert_int_equal(end(backup).restarts, 0);
    assert_string_equal(verify(to), hash);
    assert_string_not_equal(verify(fixture.path), hash);
    assert_int_equal(ask(to, "SELECT count(*) FROM orders WHERE order_id GLOB 'n*'"),
                     ORDERS + slices);
    finish();
}

static void roll_back_one(void)
{
    ow_fixture_begin(&fixture);
    const struct ow_record record = {
        .topic = fixture.position.topic, .offset = fixture.position_offset, .value = OW_SLICE("{")};
    assert_int_equal(ow_fixture_judge(&fixture, &record), OW_OUTCOME_QUARANTINED);
    assert_int_equal(ow_fixture_write(&fixture), OW_OK);
    ow_store_rollback(fixture.store);
    fixture.position.next_offset = fixture.position.high_offset = fixture.position_offset;
}

static void backup__a_batch_rolled_back_or_a_foreign_hand__begins_anew(void **state)
{
    (void)state;
    start();
    struct ow_backup *backup = begin();
    assert_true(slice(backup) && slice(backup));
    ow_fixture_exec(&fixture, "CREATE TABLE mine (x)");
    while (slice(backup)) {
    }
    const struct ow_backup_figures figures = end(backup);
    assert_int_equal(figures.restarts, 1);
    assert_int_equal(ask(to, "SELECT count(*) FROM mine"), 0);
    (void)verify(to);
    assert_int_equal(unlink(to), 0);

    backup = begin();
    assert_true(slice(backup) && slice(backup));
    struct ow_position kept = fixture.position;
    roll_back_one();
    fixture.position = kept;
    while (slice(backup)) {
    }
    assert_int_equal(end(backup).restarts, 1);
    assert_string_equal(verify(to), verify(fixture.path));
    finish();
}

static void backup__rolled_back_again_and_again__gives_up(void **state)
{
    (void)state;
    start();
    struct ow_backup *backup = begin();
    enum ow_status status = OW_OK;
    bool more = true;
    int rounds = 0;
    for (; status == OW_OK && rounds < 100; rounds++) {
        status = ow_backup_copy(backup, 0, &more, &fixture.err);
        if (status == OW_OK) {
            status = ow_backup_copy(backup, 0, &more, &fixture.err);
        }
        ow_fixture_exec(&fixture,
                        "CREATE TABLE IF NOT EXISTS mine (x); INSERT INTO mine VALUES (1)");
    }
    assert_int_equal(status, OW_TEMPORARY);
    assert_non_null(strstr(fixture.err.text, "begin anew"));
    ow_backup_let_go(backup);
    ow_backup_free(backup);
    assert_false(is_there(".part"));
    finish();
}

static void refused(const char *place, enum ow_status expected, const char *says)
{
    const struct ow_clock clock = ow_clock_manual(&fixture.clock);
    struct ow_backup *backup = NULL;
    assert_int_equal(ow_backup_begin(fixture.store, place, &clock, &backup, &fixture.err),
                     expected);
    assert_null(backup);
    if (strstr(fixture.err.text, says) == NULL) {
        fail_msg("%s", fixture.err.text);
    }
}

static void backup__where_something_is__overwrites_nothing(void **state)
{
    (void)state;
    start();
    char name[160];
    assert_int_equal(symlink("/nowhere/at/all", to), 0);
    refused(to, OW_FAILED, "is there already");
    assert_int_equal(unlink(to), 0);
    refused(fixture.path, OW_FAILED, "is there already");
    (void)snprintf(name, sizeof name, "%s-journal", fixture.path);
    refused(name, OW_BAD_CONFIG, "the store itself uses");
    (void)snprintf(name, sizeof name, "%s/nowhere/copy.db", fixture.folder);
    refused(name, OW_FAILED, "cannot be used");
    (void)snprintf(name, sizeof name, "%s/", fixture.folder);
    refused(name, OW_BAD_CONFIG, "no name of a file");

    /* Taken while it was being copied. */
    struct ow_backup *backup = begin();
    while (slice(backup)) {
    }
    ow_backup_let_go(backup);
    assert_int_equal(close(open(to, O_CREAT | O_WRONLY, 0600)), 0);
    assert_int_equal(ow_backup_finish(backup, &fixture.err), OW_FAILED);
    assert_non_null(strstr(fixture.err.text, "File exists"));
    ow_backup_free(backup);
    assert_true(is_there(""));
    assert_false(is_there(".part"));
    finish();
}

static void backup__a_part_of_a_killed_one__is_replaced(void **state)
{
    (void)state;
    start();
    struct ow_backup *first = begin();
    refused(to, OW_TEMPORARY, "another backup is being written");
    assert_true(slice(first));
    ow_backup_let_go(first);
    ow_backup_free(first);
    assert_false(is_there(".part"));

    char part[160];
    (void)snprintf(part, sizeof part, "%s.part", to);
    FILE *file = fopen(part, "we");
    assert_non_null(file);
    assert_true(fputs("half a file", file) >= 0);
    assert_int_equal(fclose(file), 0);
    struct ow_backup *backup = begin();
    while (slice(backup)) {
    }
    (void)end(backup);
    assert_string_equal(verify(to), verify(fixture.path));
    finish();
}

static void backup_alone__of_a_store_that_is_open__is_refused(void **state)
{
    (void)state;
    start();
    const struct ow_backup_alone options = {
        .path = fixture.path, .to = to, .clock = ow_clock_system()};
    struct ow_backup_figures figures;
    assert_int_equal(ow_backup_alone(&options, &figures, &fixture.err), OW_TEMPORARY);
    const int64_t epoch = ow_store_epoch(fixture.store);
    ow_fixture_close(&fixture);
    assert_int_equal(ow_backup_alone(&options, &figures, &fixture.err), OW_OK);
    assert_string_equal(verify(to), verify(fixture.path));
    ow_fixture_open(&fixture);
    assert_int_equal(ow_store_epoch(fixture.store), epoch + 1); /* the backup has not raised it */
    finish();
}

/* One backup with a fault, written between its slices; true where the fault struck. */
static bool run_with(const struct ow_fault *fault, int first)
{
    const struct ow_clock clock = ow_clock_manual(&fixture.clock);
    struct ow_backup *backup = NULL;
    bool more = true;
    ow_fault_arm(fault);
    enum ow_status status = ow_backup_begin(fixture.store, to, &clock, &backup, &fixture.err);
    for (int i = 0; status == OW_OK && more; i++) {
        status = ow_backup_copy(backup, 0, &more, &fixture.err);
        add_orders(first + i, 1); /* must work, whatever happens to the copy */
    }
    if (backup != NULL) {
        ow_backup_let_go(backup);
    }
    if (status == OW_OK) {
        status = ow_backup_finish(backup, &fixture.err);
    }
    const bool fired = ow_fault_disarm();
    ow_backup_free(backup);
    if (fired && status == OW_OK) {
        (void)verify(to); /* a sync that SQLite does not need failed, say */
    } else if (fired) {
        assert_int_equal(status, OW_FAILED);
        assert_string_not_equal(fixture.err.text, "");
        assert_false(is_there(""));
    } else {
        assert_int_equal(status, OW_OK);
        (void)verify(to);
    }
    assert_false(is_there(".part"));
    (void)unlink(to);
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
    start();
    int written = ORDERS;
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
    (void)verify(fixture.path);
    finish();
    ow_fault_remove();
}

static void backup__the_store_cannot_be_read__fails_and_stops_nobody(void **state)
{
    (void)state;
    ow_fault_install();
    start();
    struct ow_backup *backup = begin();
    bool more = true;
    const struct ow_fault fault = {
        .call = OW_FAULT_READ, .at = 3, .code = SQLITE_IOERR_READ, .name_ends = "store.db-wal"};
    ow_fault_arm(&fault);
    enum ow_status status = OW_OK;
    while (status == OW_OK && more) {
        status = ow_backup_copy(backup, 0, &more, &fixture.err);
    }
    assert_true(ow_fault_disarm());
    assert_int_equal(status, OW_FAILED);
    ow_backup_let_go(backup);
    ow_backup_free(backup);
    add_orders(ORDERS, 1);
    (void)verify(fixture.path);
    finish();
    ow_fault_remove();
}

int ow_test_backup(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(backup__of_a_store_at_rest__is_a_file_of_its_own),
        cmocka_unit_test(backup__written_between_slices__carries_it_over_without_a_restart),
        cmocka_unit_test(backup__a_batch_rolled_back_or_a_foreign_hand__begins_anew),
        cmocka_unit_test(backup__rolled_back_again_and_again__gives_up),
        cmocka_unit_test(backup__where_something_is__overwrites_nothing),
        cmocka_unit_test(backup__a_part_of_a_killed_one__is_replaced),
        cmocka_unit_test(backup_alone__of_a_store_that_is_open__is_refused),
        cmocka_unit_test(backup__its_disk_fails_at_each_call__fails_and_the_store_goes_on),
        cmocka_unit_test(backup__the_store_cannot_be_read__fails_and_stops_nobody),
    };
    return cmocka_run_group_tests_name("backup", tests, NULL, NULL);
}
