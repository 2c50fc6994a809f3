/* The poll loop that must ask again: brokers that do not answer at an assignment, a group that
 * gives nothing, a host on which no comparison is ever in time. */
#include "base/log.h"
#include "engine/worker_internal.h"
#include "groups.h"
#include "member_fixture.h"

#include <stdio.h>
#include <unistd.h>

static struct again {
    struct ow_clock_manual clock;
    int refusals, asked;   /* questions for the group's offsets that nobody answers; and all */
    int64_t refusal_ms;    /* how long each takes */
    int looks;             /* at the clock since the last refusal; -1: there was none yet */
    void (*happen)(void);  /* in the third: the wait begins */
    int64_t poll_ms, slow; /* how long a poll takes, and how many take so long */
    int assigns;
} again;

static int64_t look_ns(void *context)
{
    (void)context;
    if (again.looks >= 0 && ++again.looks == 3 && again.happen != NULL) {
        again.happen();
    }
    again.clock.elapsed_ns += 1000000;
    return again.clock.elapsed_ns;
}

static enum ow_status refusing_committed(struct ow_source *source, struct ow_partition_offset *list,
                                         size_t count, struct ow_err *err)
{
    again.asked++;
    if (again.refusals > 0) {
        again.refusals--;
        again.looks = 0;
        again.clock.elapsed_ns += again.refusal_ms * 1000000;
        return ow_fail(err, OW_TEMPORARY, "nobody answers");
    }
    return ow_member.inner->committed(source, list, count, err);
}

static struct ow_consume_options join(void)
{
    again = (struct again){.clock = {.elapsed_ns = 1}, .looks = -1};
    ow_member_join(64, 0);
    ow_member.ops.committed = refusing_committed;
    struct ow_consume_options options = ow_member_options();
    options.clock.elapsed_ns = look_ns;
    options.wait_broker_ms = 120000;
    return options;
}

/* Runs, and counts the lines of the log that say it. */
static enum ow_status consume_and_count(const struct ow_consume_options *options, const char *says,
                                        int *ret_count, struct ow_err *err)
{
    char line[1024];
    FILE *const log = tmpfile();
    assert_non_null(log);
    const int before = dup(STDERR_FILENO);
    const enum ow_log_level level = ow_log_get_level();
    assert_true(before >= 0);
    assert_int_equal(dup2(fileno(log), STDERR_FILENO), STDERR_FILENO);
    ow_log_set_level(OW_LOG_WARN);
    const enum ow_status status = ow_consume(options, err);
    ow_log_set_level(level);
    assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
    (void)close(before);
    rewind(log);
    *ret_count = 0;
    while (fgets(line, sizeof line, log) != NULL) {
        *ret_count += strstr(line, says) != NULL;
    }
    (void)fclose(log);
    return status;
}

static void
assignment__without_an_answer_for_a_while__is_asked_for_and_said_now_and_then(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    int said = 0;
    ow_member_append_story(0, 9);
    const struct ow_consume_options options = join();
    again.refusals = 4;
    again.refusal_ms = 11000; /* the fourth is more than half a minute behind the first */
    assert_int_equal(consume_and_count(&options, "assignment_retry", &said, &err), OW_OK);
    assert_int_equal(said, 2);
    assert_int_equal(again.asked, 5);
    ow_member_leave();
    ow_member_goes_on_to(10);
}

static void set_stop(void)
{
    atomic_store(&ow_member.stop, true);
}

static void assignment__told_to_stop_while_it_waits__stops(void **state)
{
    (void)state;
    ow_member_append_story(0, 9);
    const struct ow_consume_options options = join();
    again.refusals = 100;
    again.happen = set_stop;
    ow_member_consume(&options);
    assert_int_equal(again.asked, 1);
    ow_member_leave();
    assert_int_equal(ow_memory_broker_committed(ow_member.broker, "order-events", 0), -1);
    ow_member_goes_on_to(10);
}

static void fail_worker(void)
{
    ow_worker_lock(ow_member.worker);
    ow_member.worker->status = ow_fail(&ow_member.worker->err, OW_STORE_UNKNOWN, "it has failed");
    ow_worker_unlock(ow_member.worker);
}

static void assignment__over_a_worker_that_fails_while_it_waits__says_so(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    ow_member_append_story(0, 9);
    const struct ow_consume_options options = join();
    again.refusals = 100;
    again.happen = fail_worker;
    assert_int_equal(ow_consume(&options, &err), OW_STORE_UNKNOWN);
    assert_string_equal(err.text, "it has failed");
    assert_int_equal(again.asked, 1);
    ow_member_leave();
    ow_member_goes_on_to(10);
}

static void idle_poll(struct ow_source *source, int timeout_ms, struct ow_source_event *ret_event)
{
    (void)source;
    (void)timeout_ms;
    again.clock.elapsed_ns += INT64_C(1000000000);
    *ret_event = (struct ow_source_event){.kind = OW_SOURCE_IDLE};
    if (++ow_member.polls == 60) {
        set_stop();
    }
}

static void group__that_gives_no_partitions__is_said_now_and_then(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    int said = 0;
    struct ow_consume_options options = join();
    ow_member.ops.poll = idle_poll;
    options.until_end = false;
    assert_int_equal(consume_and_count(&options, "for=partitions", &said, &err), OW_OK);
    assert_int_equal(said, 2); /* after ten seconds, and half a minute later */
    ow_member_leave();
}

static void slow_poll(struct ow_source *source, int timeout_ms, struct ow_source_event *ret_event)
{
    assert_true(++ow_member.polls < 1000); /* bounded */
    if (ow_member.polls <= again.slow) {
        again.clock.elapsed_ns += again.poll_ms * 1000000;
    }
    ow_member.inner->poll(source, timeout_ms, ret_event);
}

static enum ow_status counting_assign(struct ow_source *source,
                                      const struct ow_partition_offset *list, size_t count,
                                      struct ow_err *err)
{
    again.assigns++;
    return ow_member.inner->assign(source, list, count, err);
}

/* Longer than a session is always a silence, however often the comparison was in vain. */
static void host__that_stands_still_for_longer_than_any_patience__takes_nothing_unseen(void **state)
{
    enum { SLOW = 20 };
    (void)state;
    ow_member_append_story(0, 9);
    const struct ow_consume_options options = join();
    ow_member.ops.poll = slow_poll;
    ow_member.ops.assign = counting_assign;
    again.poll_ms = 100000;
    again.slow = SLOW;
    ow_member_consume(&options);
    assert_in_range(again.assigns, SLOW - 1, SLOW + 1);
    ow_member_leave();
    ow_member_goes_on_to(10);
}

#define WITH_BROKER(test) cmocka_unit_test_setup_teardown(test, ow_member_start, ow_member_stop)

int ow_test_consume_again(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_BROKER(assignment__without_an_answer_for_a_while__is_asked_for_and_said_now_and_then),
        WITH_BROKER(assignment__told_to_stop_while_it_waits__stops),
        WITH_BROKER(assignment__over_a_worker_that_fails_while_it_waits__says_so),
        WITH_BROKER(group__that_gives_no_partitions__is_said_now_and_then),
        WITH_BROKER(host__that_stands_still_for_longer_than_any_patience__takes_nothing_unseen),
    };
    return cmocka_run_group_tests_name("consume_again", tests, NULL, NULL);
}
