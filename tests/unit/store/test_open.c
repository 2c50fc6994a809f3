#include "groups.h"
#include "support/store/store_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int start(void **state)
{
    struct ow_fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    ow_fixture_init(fixture);
    *state = fixture;
    return 0;
}

static int stop(void **state)
{
    ow_fixture_done(*state);
    free(*state);
    return 0;
}

static void expect_failure(struct ow_fixture *fixture, enum ow_status status, const char *text)
{
    const enum ow_status got = ow_fixture_try_open(fixture);
    assert_int_equal(got, status);
    if (strstr(fixture->err.text, text) == NULL) {
        fail_msg("'%s' does not say '%s'", fixture->err.text, text);
    }
    assert_null(fixture->store);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void store_open__new_file__has_id_epoch_and_tables(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_open(fixture);
    assert_int_equal(strlen(ow_store_id(fixture->store)), 32);
    assert_int_equal(ow_store_epoch(fixture->store), 1);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT value FROM ow_meta WHERE key = 'next_ref'"),
                     1);
    assert_int_equal(
        ow_fixture_i64(fixture, "SELECT value FROM ow_meta WHERE key = 'schema_version'"), 2);
    assert_int_equal(
        ow_fixture_i64(fixture, "SELECT value FROM ow_meta WHERE key = 'created_at_ms'"),
        1800000000000);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM orders, payments, refunds"), 0);
    assert_int_equal(
        ow_fixture_i64(fixture,
                       "SELECT count(*) FROM sqlite_schema WHERE name = 'payments_order_id'"),
        1);
    assert_int_equal(
        ow_fixture_i64(fixture, "SELECT count(*) FROM ow_machine WHERE name = 'orders'"), 1);
    assert_string_equal(ow_fixture_text(fixture, "PRAGMA journal_mode"), "wal");
    struct stat status;
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 07, 0); /* not for others */
}

static void store_open__again__keeps_id_and_key_and_raises_the_epoch(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_open(fixture);
    const char *id = ow_arena_text(&fixture->kept, ow_slice_of(ow_store_id(fixture->store)));
    const struct ow_hash_key key = *ow_store_hash_key(fixture->store);
    ow_fixture_close(fixture);
    ow_fixture_open(fixture);
    assert_string_equal(ow_store_id(fixture->store), id);
    assert_memory_equal(ow_store_hash_key(fixture->store), &key, sizeof(key));
    assert_int_equal(ow_store_epoch(fixture->store), 2);
}

static void store_open__while_open__is_temporary_and_names_the_owner(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_open(fixture);
    struct ow_store *owner = fixture->store;
    fixture->store = NULL;
    expect_failure(fixture, OW_TEMPORARY, "in use by another process (pid ");
    fixture->store = owner;
    assert_int_equal(ow_store_epoch(owner), 1);
}

/* Like a full or a read-only disk: a supervisor is to try again, as it does not with BAD_CONFIG. */
static void store_open__without_a_descriptor_left__is_temporary(void **state)
{
    struct ow_fixture *fixture = *state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const int next_fd = dup(STDIN_FILENO);
    assert_true(next_fd >= 0 && close(next_fd) == 0);
    const struct rlimit none = {.rlim_cur = (rlim_t)next_fd, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    const enum ow_status got = ow_fixture_try_open(fixture);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(got, OW_TEMPORARY);
    assert_non_null(strstr(fixture->err.text, "cannot open lock file '"));
    ow_fixture_open(fixture);
}

static void store_open__through_a_link__meets_the_same_lock(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_open(fixture);
    struct ow_store *owner = fixture->store;
    fixture->store = NULL;
    char real[sizeof(fixture->path)];
    memcpy(real, fixture->path, sizeof(real));
    (void)snprintf(fixture->path, sizeof(fixture->path), "%s/link.db", fixture->folder);
    assert_int_equal(symlink(real, fixture->path), 0);
    expect_failure(fixture, OW_TEMPORARY, "in use");
    fixture->store = owner;
}

static void store_open__hard_link__is_unsafe(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_open(fixture);
    ow_fixture_close(fixture);
    char other[128];
    (void)snprintf(other, sizeof(other), "%s/other.db", fixture->folder);
    assert_int_equal(link(fixture->path, other), 0);
    expect_failure(fixture, OW_UNSAFE, "hard links");
}

static void store_open__missing_folder__says_so(void **state)
{
    struct ow_fixture *fixture = *state;
    char path[sizeof(fixture->path)];
    memcpy(path, fixture->path, sizeof(path));
    (void)snprintf(fixture->path, sizeof(fixture->path), "%s/no/store.db", fixture->folder);
    expect_failure(fixture, OW_BAD_CONFIG, "/no' of store");
    memcpy(fixture->path, fixture->folder, sizeof(fixture->folder));
    expect_failure(fixture, OW_BAD_CONFIG, "must be a file");
    memcpy(fixture->path, path, sizeof(path));
}

static void store_open__foreign_file__is_unsafe_and_left_alone(void **state)
{
    struct ow_fixture *fixture = *state;
    write_file(fixture->path, "this is a letter, and long enough that nobody takes it for the "
                              "header of a database .....");
    expect_failure(fixture, OW_UNSAFE, "no store of onceward");
    struct stat status;
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_size, 89);
    assert_int_equal(unlink(fixture->path), 0);

    write_file(fixture->path, "");
    ow_fixture_exec(fixture, "CREATE TABLE t (x); PRAGMA journal_mode = DELETE");
    expect_failure(fixture, OW_UNSAFE, "another program");
    assert_string_equal(ow_fixture_text(fixture, "PRAGMA journal_mode"), "delete");
}

static void store_open__newer_schema__is_unsafe(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_open(fixture);
    ow_fixture_close(fixture);
    ow_fixture_exec(fixture, "PRAGMA user_version = 3");
    expect_failure(fixture, OW_UNSAFE, "use a newer onceward");
}

static const char *changed_machine(struct ow_fixture *fixture, const char *from, const char *to)
{
    const char *text = ow_fixture_read_file(&fixture->kept, OW_SOURCE_DIR "/schemas/orders.yaml");
    const char *at = strstr(text, from);
    assert_non_null(at);
    return ow_arena_printf(&fixture->kept, "%.*s%s%s", (int)(at - text), text, to,
                           at + strlen(from));
}

static void use_machine(struct ow_fixture *fixture, const char *text)
{
    ow_machines_done(&fixture->machines);
    ow_fixture_load_machine(&fixture->machines, text);
}

static void store_open__machine_changed_under_its_version__is_unsafe(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_open(fixture);
    ow_fixture_close(fixture);
    use_machine(fixture, changed_machine(fixture, "per_entity: 32", "per_entity: 31"));
    expect_failure(fixture, OW_UNSAFE, "raise its version");
    use_machine(fixture, changed_machine(fixture, "# `onceward machine show", "# other words,"));
    ow_fixture_open(fixture); /* a comment is no change */
}

static void store_open__older_machine__is_unsafe(void **state)
{
    struct ow_fixture *fixture = *state;
    use_machine(fixture, changed_machine(fixture, "version: 1", "version: 3"));
    ow_fixture_open(fixture);
    ow_fixture_close(fixture);
    use_machine(fixture, changed_machine(fixture, "version: 1", "version: 2"));
    expect_failure(fixture, OW_UNSAFE, "was used with version 3");
}

static void store_open__newer_machine_with_a_column__adds_it(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_open(fixture);
    assert_int_equal(
        ow_fixture_event(fixture, "e1", "order.created", "o1", "\"amount\":5,\"currency\":\"EUR\""),
        OW_OUTCOME_APPLIED);
    ow_fixture_close(fixture);
    const char *text = changed_machine(fixture, "version: 1", "version: 2");
    const char *at = strstr(text, "    paid_minor:");
    assert_non_null(at);
    use_machine(
        fixture,
        ow_arena_printf(
            &fixture->kept,
            "%.*s    tips_minor: { type: integer, default: 3 }\n"
            "    waiter: { type: text, default: \"o'\\\"x\", index: true }\n    note: text\n%s",
            (int)(at - text), text, at));
    ow_fixture_open(fixture);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT tips_minor FROM orders"), 3);
    assert_string_equal(ow_fixture_text(fixture, "SELECT waiter FROM orders"), "o'\"x");
    assert_int_equal(ow_fixture_i64(fixture, "SELECT note IS NULL FROM orders"), 1);
    assert_int_equal(ow_fixture_event(fixture, "e2", "order.cancelled", "o1", ""),
                     OW_OUTCOME_APPLIED);
    assert_int_equal(
        ow_fixture_i64(fixture, "SELECT machine_version FROM ow_history WHERE version = 2"), 2);
}

static void store_open__table_of_somebody_else__is_refused(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_open(fixture);
    ow_fixture_close(fixture);
    ow_fixture_exec(
        fixture,
        "DROP TABLE refunds; CREATE TABLE refunds (refund_id TEXT PRIMARY KEY, order_id INTEGER)");
    expect_failure(fixture, OW_BAD_CONFIG, "table 'refunds'");
    ow_fixture_exec(fixture, "DROP TABLE refunds; CREATE VIEW refunds AS SELECT 1 AS seq");
    expect_failure(fixture, OW_BAD_CONFIG, "'refunds'");
}

static void store_open__rules__are_numbered_once(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_open(fixture);
    assert_int_equal(fixture->machines.list[0]->events[0].claim->rule_number, 1);
    ow_fixture_close(fixture);
    use_machine(fixture, changed_machine(fixture, "version: 1", "version: 2"));
    ow_fixture_open(fixture);
    assert_int_equal(fixture->machines.list[0]->events[0].claim->rule_number, 1);
    ow_fixture_close(fixture);
    const char *text = changed_machine(fixture, "version: 1", "version: 3");
    const char *at = strstr(text, "ignore: [/data/retry_count]");
    assert_non_null(at);
    use_machine(fixture, ow_arena_printf(&fixture->kept, "%.*signore: []%s", (int)(at - text), text,
                                         at + 27));
    ow_fixture_open(fixture);
    assert_int_equal(fixture->machines.list[0]->events[0].claim->rule_number, 2);
    assert_int_equal(
        ow_fixture_i64(fixture, "SELECT count(*) FROM ow_meta WHERE key GLOB 'fingerprint_rule.*'"),
        2);
}

static void store_open__key_file__is_made_once_and_held_to(void **state)
{
    struct ow_fixture *fixture = *state;
    char file[128];
    (void)snprintf(file, sizeof(file), "%s/key", fixture->folder);
    fixture->hash_key_file = file;
    ow_fixture_open(fixture);
    const struct ow_hash_key key = *ow_store_hash_key(fixture->store);
    struct stat status;
    assert_int_equal(stat(file, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_meta WHERE key = 'hash_key'"),
                     0);
    ow_fixture_close(fixture);
    ow_fixture_open(fixture);
    assert_memory_equal(ow_store_hash_key(fixture->store), &key, sizeof(key));
    ow_fixture_close(fixture);

    fixture->hash_key_file = NULL;
    expect_failure(fixture, OW_BAD_CONFIG, "file of its own");
    fixture->hash_key_file = file;
    write_file(file, "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF");
    expect_failure(fixture, OW_UNSAFE, "not the one with which the store was made");
    write_file(file, "too short");
    expect_failure(fixture, OW_BAD_CONFIG, "64 hexadecimal digits");
    assert_int_equal(unlink(file), 0);
    expect_failure(fixture, OW_BAD_CONFIG, "cannot open hash key file");
}

static void store_open__parked_records_of_a_machine_that_is_gone__are_not_forgotten(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_open(fixture);
    assert_int_equal(ow_fixture_event(fixture, "e1", "order.dispatched", "o1", ""),
                     OW_OUTCOME_PARKED);
    ow_fixture_close(fixture);
    ow_fixture_exec(fixture, "UPDATE ow_parked SET machine = 'loans'");
    expect_failure(fixture, OW_BAD_CONFIG, "parked records of machine 'loans'");
}

static void store_open__after_a_doubtful_end__looks_at_every_page(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_open(fixture);
    ow_fixture_fill(fixture);
    ow_fixture_close(fixture);
    char lock[128];
    (void)snprintf(lock, sizeof(lock), "%s.lock", fixture->path);
    write_file(lock, "pid 1 boot unknown suspect\n");
    ow_fixture_exec(fixture, "PRAGMA writable_schema = ON;"
                             "UPDATE sqlite_schema SET sql = 'CREATE UNIQUE INDEX ow_sighting_ref "
                             "ON ow_sighting (cause)'"
                             " WHERE name = 'ow_sighting_ref'");
    expect_failure(fixture, OW_UNSAFE, "the store is damaged");
    expect_failure(fixture, OW_UNSAFE, "the store is damaged"); /* and the suspicion stays */
    ow_fixture_exec(
        fixture,
        "PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX ow_sighting_ref ON ow_sighting (ref)'"
        " WHERE name = 'ow_sighting_ref'");
    ow_fixture_open(fixture);
    ow_fixture_close(fixture);
    assert_non_null(strstr(ow_fixture_read_file(&fixture->kept, lock), " closed"));
}

/* The first table that is read, and the one that the list of tables is in. */
static void
store_open__damaged_where_it_is_first_read__says_so_and_is_not_tried_for_ever(void **state)
{
    struct ow_fixture *fixture = *state;
    static const char *const texts[] = {"SELECT rootpage FROM sqlite_schema WHERE name = 'ow_meta'",
                                        "SELECT 1"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ow_fixture_open(fixture);
        ow_fixture_fill(fixture);
        const int64_t page = ow_fixture_i64(fixture, texts[i]);
        const int64_t size = ow_fixture_i64(fixture, "PRAGMA page_size");
        ow_fixture_close(fixture);
        const int file = open(fixture->path, O_RDWR | O_CLOEXEC);
        char noise[256];
        memset(noise, 0x5a, sizeof(noise));
        assert_int_equal(
            pwrite(file, noise, sizeof(noise), (page - 1) * size + (page == 1 ? 100 : 0)),
            sizeof(noise));
        assert_int_equal(close(file), 0);
        assert_int_not_equal(ow_fixture_try_open(fixture), OW_OK); /* 75: the next start looks */
        expect_failure(fixture, OW_UNSAFE, "the store is damaged, restore a backup");
        expect_failure(fixture, OW_UNSAFE, "the store is damaged, restore a backup");
        assert_int_equal(unlink(fixture->path), 0);
        char lock[128];
        (void)snprintf(lock, sizeof(lock), "%s.lock", fixture->path);
        assert_int_equal(unlink(lock), 0);
    }
}

int ow_test_open(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(store_open__new_file__has_id_epoch_and_tables),
        TEST(store_open__again__keeps_id_and_key_and_raises_the_epoch),
        TEST(store_open__while_open__is_temporary_and_names_the_owner),
        TEST(store_open__without_a_descriptor_left__is_temporary),
        TEST(store_open__through_a_link__meets_the_same_lock),
        TEST(store_open__hard_link__is_unsafe),
        TEST(store_open__missing_folder__says_so),
        TEST(store_open__foreign_file__is_unsafe_and_left_alone),
        TEST(store_open__newer_schema__is_unsafe),
        TEST(store_open__machine_changed_under_its_version__is_unsafe),
        TEST(store_open__older_machine__is_unsafe),
        TEST(store_open__newer_machine_with_a_column__adds_it),
        TEST(store_open__table_of_somebody_else__is_refused),
        TEST(store_open__rules__are_numbered_once),
        TEST(store_open__key_file__is_made_once_and_held_to),
        TEST(store_open__parked_records_of_a_machine_that_is_gone__are_not_forgotten),
        TEST(store_open__after_a_doubtful_end__looks_at_every_page),
        TEST(store_open__damaged_where_it_is_first_read__says_so_and_is_not_tried_for_ever),
    };
#undef TEST
    return cmocka_run_group_tests_name("open", tests, NULL, NULL);
}
