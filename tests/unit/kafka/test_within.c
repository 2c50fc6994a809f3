#include "groups.h"
#include "kafka/within.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

struct work {
    atomic_int steps;
    atomic_bool may_end;
};

static void pause_ms(int ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    (void)nanosleep(&time, NULL);
}

static void do_work(void *context)
{
    struct work *work = context;
    while (!atomic_load(&work->may_end)) {
        pause_ms(1);
    }
    atomic_fetch_add(&work->steps, 1);
}

static void within__work_that_ends__is_done_when_it_returns(void **state)
{
    (void)state;
    struct work work = {.may_end = true};
    assert_true(ow_kafka_within(5000, do_work, &work));
    assert_int_equal(atomic_load(&work.steps), 1);
}

static void within__work_that_hangs__is_left_behind_and_may_end_later(void **state)
{
    (void)state;
    static struct work work; /* outlives this function */
    assert_false(ow_kafka_within(30, do_work, &work));
    assert_int_equal(atomic_load(&work.steps), 0);
    atomic_store(&work.may_end, true);
    for (int i = 0; i < 5000 && atomic_load(&work.steps) == 0; i++) {
        pause_ms(1);
    }
    assert_int_equal(atomic_load(&work.steps), 1);
}

int ow_test_within(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(within__work_that_ends__is_done_when_it_returns),
        cmocka_unit_test(within__work_that_hangs__is_left_behind_and_may_end_later),
    };
    return cmocka_run_group_tests_name("kafka/within", tests, NULL, NULL);
}
