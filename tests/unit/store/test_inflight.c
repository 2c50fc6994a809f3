/* The file behind the notes: whatever lies there, a store starts. */
#include "groups.h"
#include "store/check.h"
#include "store/inflight.h"
#include "support/store/store_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char path[128];
static char other[128];

static int start(void **state)
{
    struct ow_fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    ow_fixture_init(fixture);
    ow_fixture_open(fixture);
    (void)snprintf(path, sizeof(path), "%s.inflight", fixture->path);
    (void)snprintf(other, sizeof(other), "%s.other", fixture->path);
    *state = fixture;
    return 0;
}

static int stop(void **state)
{
    (void)unlink(path);
    (void)rmdir(path);
    (void)unlink(other);
    ow_fixture_done(*state);
    free(*state);
    return 0;
}

static struct ow_inflight open_notes(struct ow_fixture *fixture)
{
    struct ow_inflight inflight;
    assert_int_equal(ow_inflight_open(fixture->store, &inflight, &fixture->err), OW_OK);
    return inflight;
}

/* In memory, and the file is left as it is. */
static void expect_plain_memory(struct ow_fixture *fixture, const char *why)
{
    struct ow_inflight inflight;
    assert_int_equal(ow_inflight_open(fixture->store, &inflight, &fixture->err), OW_FAILED);
    assert_non_null(strstr(fixture->err.text, why));
    assert_int_equal(inflight.adopted, OW_ADOPTED_NEW);
    inflight.suspects->deaths = 1; /* it can be written to */
    ow_inflight_close(&inflight);
    assert_null(inflight.suspects);
}

static void write_file(const char *name, const char *bytes, size_t len)
{
    const int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    assert_int_equal(close(fd), 0);
}

static void new__a_file_for_its_owner_alone_with_all_its_room(void **state)
{
    struct ow_inflight inflight = open_notes(*state);
    struct stat status;
    assert_int_equal(inflight.adopted, OW_ADOPTED_NEW);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(status.st_size, sizeof(struct ow_suspects));
    assert_true(status.st_blocks * 512 >= status.st_size); /* a full disk is no SIGBUS */
    ow_inflight_close(&inflight);
    ow_inflight_close(&inflight); /* once is enough */
}

static void killed__the_next_process_has_its_notes(void **state)
{
    struct ow_fixture *fixture = *state;
    const pid_t child = fork();
    if (child == 0) {
        const struct ow_record record = {.topic = OW_SLICE("t"), .partition = 2, .offset = 7};
        struct ow_inflight inflight;
        if (ow_inflight_open(fixture->store, &inflight, &fixture->err) == OW_OK) {
            ow_slot_work(&inflight.suspects->slots[1], OW_STAGE_READ, &record, 1, 0);
        }
        (void)kill(getpid(), SIGKILL);
    }
    int end = 0;
    assert_int_equal(waitpid(child, &end, 0), child);
    assert_true(WIFSIGNALED(end));
    struct ow_inflight inflight = open_notes(fixture);
    struct ow_death death;
    assert_int_equal(inflight.adopted, OW_ADOPTED);
    ow_suspects_start(inflight.suspects, NULL, 1, &death);
    assert_true(death.alone);
    assert_int_equal(death.place.offset, 7);
    ow_inflight_close(&inflight);
}

static void short_long_or_foreign__is_begun_anew(void **state)
{
    struct ow_fixture *fixture = *state;
    static char text[sizeof(struct ow_suspects) + 4096];
    static const size_t sizes[] = {
        0, 1, 100, sizeof(struct ow_suspects) - 1, sizeof(struct ow_suspects), sizeof(text)};
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        write_file(path, text, sizes[i]);
        struct ow_inflight inflight = open_notes(fixture);
        const bool is_whole = sizes[i] == sizeof(struct ow_suspects);
        assert_int_equal(inflight.adopted, is_whole ? OW_ADOPTED_DAMAGED : OW_ADOPTED_NEW);
        ow_inflight_close(&inflight);
        inflight = open_notes(fixture);
        assert_int_equal(inflight.adopted, OW_ADOPTED);
        ow_inflight_close(&inflight);
    }
}

static void of_another_store__is_begun_anew(void **state)
{
    struct ow_fixture *fixture = *state;
    struct ow_inflight inflight = open_notes(fixture);
    inflight.suspects->store_id[0] = inflight.suspects->store_id[0] == 'a' ? 'b' : 'a';
    ow_inflight_close(&inflight);
    inflight = open_notes(fixture);
    assert_int_equal(inflight.adopted, OW_ADOPTED_OTHER);
    ow_inflight_close(&inflight);
}

static void a_link__is_not_followed(void **state)
{
    write_file(other, "precious", 8);
    assert_int_equal(symlink(other, path), 0);
    expect_plain_memory(*state, "cannot open");
    struct stat status;
    assert_int_equal(stat(other, &status), 0);
    assert_int_equal(status.st_size, 8);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(link(other, path), 0);
    expect_plain_memory(*state, "not a file of ours alone");
    assert_int_equal(stat(other, &status), 0);
    assert_int_equal(status.st_size, 8);
}

static void a_folder_or_a_pipe__is_left_alone(void **state)
{
    assert_int_equal(mkdir(path, 0700), 0);
    expect_plain_memory(*state, "cannot open");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_plain_memory(*state, "not a file of ours alone");
}

static void take_line(void *context, enum ow_check_level level, enum ow_status status,
                      const char *subject, const char *text)
{
    struct ow_fixture *fixture = context;
    (void)subject;
    if (level == OW_CHECK_WARNING || status == OW_UNSAFE) {
        (void)snprintf(fixture->err.text, sizeof(fixture->err.text), "%s", text);
    }
}

static void check__tells_of_who_is_accused__and_changes_nothing(void **state)
{
    struct ow_fixture *fixture = *state;
    const struct ow_check check = {.line = take_line, .context = fixture};
    const char *const id = ow_store_id(fixture->store);
    assert_null(ow_inflight_look(fixture->path, id, &fixture->kept));
    struct ow_inflight inflight = open_notes(fixture);
    const struct ow_record record = {.topic = OW_SLICE("t"), .partition = 2, .offset = 7};
    struct ow_death death;
    ow_slot_work(&inflight.suspects->slots[0], OW_STAGE_APPLY, &record, 1, 0);
    ow_suspects_start(inflight.suspects, NULL, 1, &death);
    fixture->err.text[0] = '\0';
    ow_store_check(fixture->path, NULL, &fixture->machines, &check);
    assert_non_null(strstr(fixture->err.text, "the worker died 1 time(s) while t[2] offset 7 was"));
    assert_null(ow_inflight_look(fixture->path, "other", &fixture->kept));
    assert_int_equal(inflight.suspects->accused_count, 1);
    ow_inflight_close(&inflight);
}

static void check__tells_that_it_is_not_the_records(void **state)
{
    struct ow_fixture *fixture = *state;
    const struct ow_check check = {.line = take_line, .context = fixture};
    struct ow_inflight inflight = open_notes(fixture);
    inflight.suspects->convictions = OW_SUSPECT_CONVICTIONS - 1;
    ow_store_check(fixture->path, NULL, &fixture->machines, &check);
    assert_string_equal(fixture->err.text, "");
    inflight.suspects->convictions = OW_SUSPECT_CONVICTIONS;
    ow_store_check(fixture->path, NULL, &fixture->machines, &check);
    assert_non_null(strstr(fixture->err.text, "it is not the records"));
    assert_non_null(strstr(fixture->err.text, "store.db.inflight' and start again"));
    ow_inflight_close(&inflight);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int ow_test_inflight(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(new__a_file_for_its_owner_alone_with_all_its_room),
        WITH_STORE(killed__the_next_process_has_its_notes),
        WITH_STORE(short_long_or_foreign__is_begun_anew),
        WITH_STORE(of_another_store__is_begun_anew),
        WITH_STORE(a_link__is_not_followed),
        WITH_STORE(a_folder_or_a_pipe__is_left_alone),
        WITH_STORE(check__tells_of_who_is_accused__and_changes_nothing),
        WITH_STORE(check__tells_that_it_is_not_the_records),
    };
    return cmocka_run_group_tests_name("store/inflight", tests, NULL, NULL);
}
