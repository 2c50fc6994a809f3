/* How a worker starts, and what it says where it cannot. */
#include "engine/worker.h"
#include "engine_fixture.h"
#include "groups.h"
#include "support/store/fault_vfs.h"

#include <sqlite3.h>

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static struct ow_fixture *fixture;
static struct ow_worker *worker;

static int start(void **state)
{
    ow_fault_install();
    (void)ow_engine_start(state);
    fixture = *state;
    worker = NULL;
    return 0;
}

static int stop(void **state)
{
    ow_worker_stop(worker);
    (void)ow_engine_stop(state);
    ow_fault_remove();
    return 0;
}

static struct ow_worker_options options_of(size_t decode_threads)
{
    struct ow_worker_options options = {.apply = ow_engine_apply_options(fixture),
                                        .batch_rows = 64,
                                        .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
                                        .batch_ms = OW_BATCH_MS_DEFAULT,
                                        .decode_threads = decode_threads};
    options.apply.clock = ow_clock_system();
    return options;
}

static void start_worker(size_t decode_threads)
{
    struct ow_err err;
    const struct ow_worker_options options = options_of(decode_threads);
    if (ow_worker_start(&options, &worker, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
}

static void assign(void)
{
    const uint32_t generation = ow_worker_next_generation(worker);
    struct ow_chunk *const chunk = ow_worker_chunk(worker);
    assert_non_null(chunk);
    ow_engine_assign(chunk, generation, OW_RESUME_START, 0);
    ow_worker_submit(worker, chunk);
}

static void start__over_a_store_that_cannot_be_read__says_so(void **state)
{
    (void)state;
    start_worker(1);
    assign();
    assert_true(ow_worker_drain(worker, 60000));
    ow_worker_stop(worker);
    worker = NULL;
    ow_fixture_close(fixture);
    ow_fixture_open(fixture);
    const struct ow_worker_options again = options_of(1);
    ow_fault_arm(&(struct ow_fault){
        .call = OW_FAULT_LOCK, .at = 1, .for_ever = true, .code = SQLITE_IOERR_SHMLOCK});
    struct ow_err err = {.text = ""};
    assert_int_equal(ow_worker_start(&again, &worker, &err), OW_STORE_UNKNOWN);
    assert_true(ow_fault_disarm());
    assert_string_not_equal(err.text, "");
    assert_null(worker);
}

static void threads__more_than_there_may_be__are_the_most_there_may_be(void **state)
{
    (void)state;
    start_worker(99);
    assign();
    for (int64_t i = 0; i < 32; i++) {
        struct ow_chunk *const chunk = ow_worker_chunk(worker);
        assert_non_null(chunk);
        ow_engine_put(fixture, chunk, ow_engine_story(fixture, i), i);
        ow_worker_submit(worker, chunk);
    }
    assert_true(ow_worker_drain(worker, 60000));
    assert_int_equal(ow_worker_totals(worker).counts[OW_OUTCOME_APPLIED], 32);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED /* by something that wants address space of its own */
#endif
#endif

#ifndef SANITIZED
static rlim_t address_space(void)
{
    char line[128];
    FILE *const file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    (void)fclose(file);
    const unsigned long pages = strtoul(line, NULL, 10);
    assert_true(pages > 0);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}
#endif

/* As where a container allows too few of them, or too little memory for their stacks. */
static void threads__that_cannot_be_started__are_said(void **state)
{
    (void)state;
#ifdef SANITIZED
    skip();
#else
    start_worker(0);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    /* Room for such a worker, and not for its stacks, of which only some are left by other tests.
     */
    const struct rlimit less = {.rlim_cur = address_space() + ((rlim_t)3 << 20),
                                .rlim_max = before.rlim_max};
    ow_worker_stop(worker);
    worker = NULL;
    ow_fixture_close(fixture);
    ow_fixture_open(fixture);
    const struct ow_worker_options options = options_of(99);
    struct ow_err err = {.text = ""};
    assert_int_equal(setrlimit(RLIMIT_AS, &less), 0);
    const enum ow_status status = ow_worker_start(&options, &worker, &err);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(status, OW_FAILED);
    assert_non_null(strstr(err.text, "cannot start a thread"));
    assert_null(worker);
#endif
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int ow_test_worker_start(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_STORE(start__over_a_store_that_cannot_be_read__says_so),
        WITH_STORE(threads__more_than_there_may_be__are_the_most_there_may_be),
        WITH_STORE(threads__that_cannot_be_started__are_said),
    };
    return cmocka_run_group_tests_name("worker_start", tests, NULL, NULL);
}
