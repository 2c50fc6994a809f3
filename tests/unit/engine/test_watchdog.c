/* A thread that stands still is found; one that works, rests, or was frozen with all others is not.
 */
#include "engine/watchdog.h"
#include "groups.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { LIMIT = 5 };

/* So many looks, of which none may find anything. */
static void look_in_vain(struct ow_pulses *pulses, int64_t looks)
{
    for (int64_t i = 0; i < looks; i++) {
        assert_null(ow_pulses_look(pulses, LIMIT));
    }
}

static void pulses_look__nobody_has_begun__nobody_is_waited_for(void **state)
{
    (void)state;
    struct ow_pulses pulses;
    ow_pulses_init(&pulses);
    look_in_vain(&pulses, 100);
}

static void pulses_look__one_beats_and_one_stands_still__that_one_is_found(void **state)
{
    (void)state;
    struct ow_pulses pulses;
    ow_pulses_init(&pulses);
    struct ow_pulse *poll = &pulses.list[0];
    struct ow_pulse *apply = &pulses.list[1];
    ow_pulse_beat(apply, "committing");
    for (int64_t i = 0; i < LIMIT; i++) {
        ow_pulse_beat(poll, "polling");
        assert_null(ow_pulses_look(&pulses, LIMIT)); /* the first look sees the beat */
    }
    ow_pulse_beat(poll, "polling");
    const struct ow_pulse *stuck = ow_pulses_look(&pulses, LIMIT);
    assert_ptr_equal(stuck, apply);
    assert_string_equal(stuck->thread, "apply");
    assert_string_equal(atomic_load(&stuck->doing), "committing");
    assert_int_equal(stuck->still, LIMIT);
}

static void pulses_look__a_beat_just_in_time__counts_anew(void **state)
{
    (void)state;
    struct ow_pulses pulses;
    ow_pulses_init(&pulses);
    for (int i = 0; i < 3; i++) {
        ow_pulse_beat(&pulses.list[1], "waiting for room on the disk");
        look_in_vain(&pulses, LIMIT);
    }
    assert_non_null(ow_pulses_look(&pulses, LIMIT));
}

static void pulses_look__a_thread_that_rests__may_rest_for_ever(void **state)
{
    (void)state;
    struct ow_pulses pulses;
    ow_pulses_init(&pulses);
    ow_pulse_beat(&pulses.list[2], "reading records as events");
    look_in_vain(&pulses, LIMIT);
    ow_pulse_rest(&pulses.list[2]);
    look_in_vain(&pulses, 100);
    ow_pulse_beat(&pulses.list[2], "reading records as events");
    look_in_vain(&pulses, LIMIT);
    assert_string_equal(ow_pulses_look(&pulses, LIMIT)->thread, "decode");
}

static void pulse_beat__over_records__is_theirs_until_the_next_beat(void **state)
{
    (void)state;
    struct ow_pulses pulses;
    ow_pulses_init(&pulses);
    struct ow_pulse *apply = &pulses.list[1];
    ow_pulse_beat_record(apply, "judging records");
    look_in_vain(&pulses, LIMIT);
    assert_true(atomic_load(&ow_pulses_look(&pulses, LIMIT)->of_record));
    ow_pulse_beat(apply, "writing to the store");
    look_in_vain(&pulses, LIMIT);
    assert_false(atomic_load(&ow_pulses_look(&pulses, LIMIT)->of_record));
}

static void pulse_beat__without_a_watchdog__does_nothing(void **state)
{
    (void)state;
    assert_null(ow_watchdog_poll(NULL));
    assert_null(ow_watchdog_apply(NULL));
    assert_null(ow_watchdog_decode(NULL, 0));
    ow_pulse_beat(NULL, "anything");
    ow_pulse_beat_record(NULL, "anything");
    ow_pulse_rest(NULL);
    ow_watchdog_close(NULL);
}

static void count(const struct ow_pulse *pulse, int64_t seconds, void *context)
{
    atomic_int *calls = context;
    if (strcmp(pulse->thread, "poll") == 0 && seconds >= 1) {
        (void)atomic_fetch_add(calls, 1);
    }
}

static void watchdog_open__a_pulse_stands_still__calls(void **state)
{
    (void)state;
    atomic_int calls = 0;
    struct ow_err err = {.text = ""};
    struct ow_watchdog *watchdog = NULL;
    const struct ow_watchdog_options options = {.seconds = 1, .stuck = count, .context = &calls};
    assert_int_equal(ow_watchdog_open(&options, &watchdog, &err), OW_OK);
    for (size_t i = 1; i < OW_WATCHDOG_DECODE_MAX; i++) { /* each has one of its own */
        assert_ptr_equal(ow_watchdog_decode(watchdog, i), ow_watchdog_decode(watchdog, 0) + i);
    }
    ow_pulse_beat(ow_watchdog_poll(watchdog), "polling the broker");
    for (int i = 0; i < 1000 && atomic_load(&calls) == 0; i++) {
        const struct timespec step = {.tv_nsec = 10000000};
        ow_pulse_beat(ow_watchdog_apply(watchdog), "waiting for records");
        (void)nanosleep(&step, NULL);
    }
    assert_int_not_equal(atomic_load(&calls), 0);
    ow_watchdog_close(watchdog);
}

/* A stack that no address space has room for. */
static void watchdog_open__no_thread_can_be_had__says_so(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    struct ow_watchdog *watchdog = NULL;
    const struct ow_watchdog_options options = {.seconds = 1, .stuck = count};
    pthread_attr_t usual;
    pthread_attr_t huge;
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    assert_int_equal(pthread_getattr_default_np(&huge), 0);
    assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 60), 0);
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    const enum ow_status status = ow_watchdog_open(&options, &watchdog, &err);
    assert_int_equal(pthread_setattr_default_np(&usual), 0);
    assert_int_equal(pthread_attr_destroy(&huge), 0);
    assert_int_equal(pthread_attr_destroy(&usual), 0);
    assert_int_equal(status, OW_FAILED);
    assert_null(watchdog);
    assert_non_null(strstr(err.text, "cannot start the watchdog's thread: error "));
}

int ow_test_watchdog(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pulses_look__nobody_has_begun__nobody_is_waited_for),
        cmocka_unit_test(pulses_look__one_beats_and_one_stands_still__that_one_is_found),
        cmocka_unit_test(pulses_look__a_beat_just_in_time__counts_anew),
        cmocka_unit_test(pulses_look__a_thread_that_rests__may_rest_for_ever),
        cmocka_unit_test(pulse_beat__over_records__is_theirs_until_the_next_beat),
        cmocka_unit_test(pulse_beat__without_a_watchdog__does_nothing),
        cmocka_unit_test(watchdog_open__a_pulse_stands_still__calls),
        cmocka_unit_test(watchdog_open__no_thread_can_be_had__says_so),
    };
    return cmocka_run_group_tests_name("watchdog", tests, NULL, NULL);
}
