#include "base/failpoint.h"
#include "groups.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Passes point `passes` times in a process of its own, armed with text, and says how that ended; a
 * stopped one is killed. */
static int end_of(const char *text, enum ow_failpoint point, int passes)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct ow_err err;
        (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        if (ow_failpoint_arm(text, &err) != OW_OK) {
            _exit(2);
        }
        for (int i = 0; i < passes; i++) {
            ow_failpoint_pass(point);
        }
        _exit(0);
    }
    int status = 0;
    assert_true(waitpid(child, &status, WUNTRACED) == child);
    if (WIFSTOPPED(status)) {
        int ignored = 0;
        (void)kill(child, SIGKILL);
        assert_true(waitpid(child, &ignored, 0) == child);
    }
    return status;
}

static void failpoint__the_nth_pass_kills(void **state)
{
    (void)state;
    int status = end_of("commit.before:3", OW_FAILPOINT_COMMIT_BEFORE, 3);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    status = end_of("commit.before:1:kill", OW_FAILPOINT_COMMIT_BEFORE, 1);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    status = end_of("commit.before:3", OW_FAILPOINT_COMMIT_BEFORE, 2);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    status = end_of("commit.before:1", OW_FAILPOINT_COMMIT_AFTER, 5);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    status = end_of(NULL, OW_FAILPOINT_COMMIT_BEFORE, 5);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void failpoint__stop_freezes(void **state)
{
    (void)state;
    const int status = end_of("positions.told:2:stop", OW_FAILPOINT_POSITIONS_TOLD, 2);
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
}

static void failpoint__what_is_none_is_an_error(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "commit.before",
                                        "commit.before:",
                                        "commit.before:0",
                                        "commit.before:-1",
                                        "commit.before:x",
                                        "commit.befor:1",
                                        "commit.before:1:",
                                        "commit.before:1:wait",
                                        "commit.before:1:kill:",
                                        ":1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct ow_err err;
        assert_true(ow_failpoint_arm(wrong[i], &err) == OW_BAD_CONFIG);
    }
}

static void failpoint__names_are_distinct(void **state)
{
    (void)state;
    for (unsigned i = 0; i < OW_FAILPOINT_COUNT; i++) {
        assert_true(ow_failpoint_text((enum ow_failpoint)i)[0] != '\0');
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(ow_failpoint_name((enum ow_failpoint)i),
                                    ow_failpoint_name((enum ow_failpoint)k));
        }
    }
}

int ow_test_failpoint(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failpoint__the_nth_pass_kills),
        cmocka_unit_test(failpoint__stop_freezes),
        cmocka_unit_test(failpoint__what_is_none_is_an_error),
        cmocka_unit_test(failpoint__names_are_distinct),
    };
    return cmocka_run_group_tests_name("failpoint", tests, NULL, NULL);
}
