/* The queue of jobs, stepped by hand; then with a worker's threads. Run under ThreadSanitizer, too.
 */
#include "engine/backup_job.h"
#include "engine/worker.h"
#include "engine_fixture.h"
#include "groups.h"
#include "store/verify.h"

#include <sys/stat.h>
#include <unistd.h>

/* A job that has so many slices, and then fails or does not. */
struct counted {
    struct ow_job job;
    int slices, done, ends;
    enum ow_status result;
    char *trace; /* a letter for each slice */
    char letter;
};

static enum ow_status count_slice(void *context, struct ow_apply *apply, bool *ret_more,
                                  struct ow_err *err)
{
    struct counted *counted = context;
    (void)apply;
    counted->done++;
    if (counted->trace != NULL) {
        const size_t len = strlen(counted->trace);
        counted->trace[len] = counted->letter;
        counted->trace[len + 1] = '\0';
    }
    *ret_more = counted->done < counted->slices;
    return *ret_more || counted->result == OW_OK ? OW_OK
                                                 : ow_fail(err, counted->result, "it is so");
}

static void count_end(void *context)
{
    struct counted *counted = context;
    counted->ends++;
}

static struct counted counted_of(int slices, enum ow_status result)
{
    return (struct counted){
        .job = {.doing = "counting", .step = count_slice, .end = count_end},
        .slices = slices,
        .result = result
    };
}

static void submit(struct ow_jobs *jobs, struct counted *counted)
{
    struct ow_err err;
    counted->job.context = counted;
    assert_int_equal(ow_jobs_submit(jobs, &counted->job, &err), OW_OK);
}

static void job__several__take_turns(void **state)
{
    (void)state;
    char trace[16] = "";
    struct ow_jobs jobs;
    ow_jobs_init(&jobs, NULL, NULL);
    assert_false(ow_jobs_step(&jobs, NULL));
    struct counted a = counted_of(3, OW_OK);
    struct counted b = counted_of(1, OW_FAILED);
    struct counted c = counted_of(2, OW_OK);
    a.trace = b.trace = c.trace = trace;
    a.letter = 'a';
    b.letter = 'b';
    c.letter = 'c';
    submit(&jobs, &a);
    submit(&jobs, &b);
    submit(&jobs, &c);
    assert_false(ow_jobs_wait(&jobs, &a.job, 1));
    while (ow_jobs_step(&jobs, NULL)) {
    }
    assert_string_equal(trace, "abcaca");
    assert_true(ow_jobs_wait(&jobs, &a.job, 0) && ow_jobs_wait(&jobs, &b.job, 0) &&
                ow_jobs_wait(&jobs, &c.job, 0));
    assert_int_equal(a.job.status, OW_OK);
    assert_int_equal(b.job.status, OW_FAILED);
    assert_string_equal(b.job.err.text, "it is so");
    assert_int_equal(a.ends + b.ends + c.ends, 3);
    submit(&jobs, &b); /* once more */
    assert_false(ow_jobs_step(&jobs, NULL));
    assert_int_equal(b.ends, 2);
    assert_true(ow_jobs_wait(&jobs, &b.job, 0));
    ow_jobs_done(&jobs);
}

/* Where a slice hangs, the watchdog names it. */
static void job__a_slice__is_what_the_owner_is_said_to_do(void **state)
{
    (void)state;
    struct ow_jobs jobs;
    struct ow_pulses pulses;
    ow_jobs_init(&jobs, NULL, NULL);
    ow_pulses_init(&pulses);
    struct ow_apply apply = {.options = {.pulse = &pulses.list[1]}};
    ow_pulse_beat(apply.options.pulse, "waiting for records");
    struct counted a = counted_of(2, OW_OK);
    submit(&jobs, &a);
    assert_true(ow_jobs_step(&jobs, &apply));
    assert_string_equal(atomic_load(&pulses.list[1].doing), "counting");
    assert_int_equal(atomic_load(&pulses.list[1].beats), 2);
    assert_false(ow_jobs_step(&jobs, &apply));
    assert_true(ow_jobs_wait(&jobs, &a.job, 0));
    ow_jobs_done(&jobs);
}

static void job__cancelled__ends_before_its_next_slice(void **state)
{
    (void)state;
    struct ow_jobs jobs;
    ow_jobs_init(&jobs, NULL, NULL);
    struct counted a = counted_of(100, OW_OK);
    submit(&jobs, &a);
    assert_true(ow_jobs_step(&jobs, NULL));
    ow_jobs_cancel(&jobs, &a.job);
    assert_false(ow_jobs_wait(&jobs, &a.job, 1)); /* its memory is the queue's still */
    assert_false(ow_jobs_step(&jobs, NULL));
    assert_true(ow_jobs_wait(&jobs, &a.job, 0));
    assert_int_equal(a.job.status, OW_TEMPORARY);
    assert_int_equal(a.done, 1);
    assert_int_equal(a.ends, 1);
    ow_jobs_done(&jobs);
}

static void job__too_many_or_closed__is_not_taken(void **state)
{
    (void)state;
    struct ow_jobs jobs;
    struct ow_err err;
    static struct counted list[OW_JOB_QUEUE_MAX + 1];
    ow_jobs_init(&jobs, NULL, NULL);
    for (size_t i = 0; i < OW_JOB_QUEUE_MAX; i++) {
        list[i] = counted_of(9, OW_OK);
        submit(&jobs, &list[i]);
    }
    struct counted *const last = &list[OW_JOB_QUEUE_MAX];
    *last = counted_of(1, OW_OK);
    assert_int_equal(ow_jobs_submit(&jobs, &last->job, &err), OW_TEMPORARY);
    assert_non_null(strstr(err.text, "enough to do"));
    ow_jobs_end(&jobs, NULL);
    for (size_t i = 0; i < OW_JOB_QUEUE_MAX; i++) {
        assert_true(ow_jobs_wait(&jobs, &list[i].job, 0));
        assert_int_equal(list[i].job.status, OW_TEMPORARY);
        assert_int_equal(list[i].ends, 1);
        assert_int_equal(list[i].done, 0);
    }
    assert_int_equal(ow_jobs_submit(&jobs, &last->job, &err), OW_TEMPORARY);
    assert_non_null(strstr(err.text, "stops"));
    ow_jobs_done(&jobs);
}

/* Nothing but the job in work is there: what asks for more is told that there is no more. */
static enum ow_status look_for_more(void *context, struct ow_apply *apply, bool *ret_more,
                                    struct ow_err *err)
{
    struct ow_jobs *const jobs = context;
    (void)err;
    *ret_more = ow_jobs_step(jobs, apply);
    return OW_OK;
}

static void end_nothing(void *context)
{
    (void)context;
}

static void job__while_it_is_in_work__is_not_stepped_again(void **state)
{
    (void)state;
    struct ow_jobs jobs;
    struct ow_err err;
    ow_jobs_init(&jobs, NULL, NULL);
    struct ow_job job = {
        .doing = "looking", .step = look_for_more, .end = end_nothing, .context = &jobs};
    assert_int_equal(ow_jobs_submit(&jobs, &job, &err), OW_OK);
    assert_false(ow_jobs_step(&jobs, NULL));
    assert_true(ow_jobs_wait(&jobs, &job, 0));
    assert_int_equal(job.status, OW_OK);
    ow_jobs_done(&jobs);
}

/* The queue's own end, on a thread that must wait. */
struct ending {
    struct ow_jobs jobs;
    atomic_bool done;
};

static void *end_queue(void *context)
{
    struct ending *const ending = context;
    ow_jobs_done(&ending->jobs);
    atomic_store(&ending->done, true);
    return NULL;
}

static void queue__whose_answer_nobody_has_taken_yet__does_not_end(void **state)
{
    (void)state;
    struct ending ending = {.done = false};
    pthread_t thread;
    ow_jobs_init(&ending.jobs, NULL, NULL);
    struct counted a = counted_of(1, OW_OK);
    submit(&ending.jobs, &a);
    assert_false(ow_jobs_step(&ending.jobs, NULL));
    assert_int_equal(pthread_create(&thread, NULL, end_queue, &ending), 0);
    (void)usleep(50000);
    assert_false(atomic_load(&ending.done));
    assert_true(ow_jobs_wait(&ending.jobs, &a.job, 0));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(atomic_load(&ending.done));
}

static struct ow_worker *worker;

static void start_worker(struct ow_fixture *fixture, size_t decode_threads)
{
    struct ow_err err;
    struct ow_worker_options options = {.apply = ow_engine_apply_options(fixture),
                                        .batch_rows = 16,
                                        .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
                                        .batch_ms = OW_BATCH_MS_DEFAULT,
                                        .decode_threads = decode_threads};
    options.apply.clock = decode_threads == 0 ? options.apply.clock : ow_clock_system();
    if (ow_worker_start(&options, &worker, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    const uint32_t generation = ow_worker_next_generation(worker);
    struct ow_chunk *chunk = ow_worker_chunk(worker);
    ow_engine_assign(chunk, generation, OW_RESUME_START, 0);
    ow_worker_submit(worker, chunk);
}

static void submit_story(struct ow_fixture *fixture, int64_t first, int64_t last)
{
    for (int64_t i = first; i <= last;) {
        struct ow_chunk *chunk = NULL;
        while ((chunk = ow_worker_chunk(worker)) == NULL) {
            (void)ow_worker_wait_room(worker, 1000);
        }
        for (size_t rows = 4; rows > 0 && i <= last; rows--, i++) {
            ow_engine_put(fixture, chunk, ow_engine_story(fixture, i), i);
        }
        ow_worker_submit(worker, chunk);
    }
}

static void job__in_a_worker_without_threads__is_stepped_by_its_tick(void **state)
{
    struct ow_fixture *fixture = *state;
    start_worker(fixture, 0);
    struct counted a = counted_of(3, OW_OK);
    submit(ow_worker_jobs(worker), &a);
    for (int i = 1; i <= 3; i++) {
        assert_false(ow_jobs_wait(ow_worker_jobs(worker), &a.job, 0));
        ow_worker_tick(worker);
        assert_int_equal(a.done, i);
    }
    assert_true(ow_jobs_wait(ow_worker_jobs(worker), &a.job, 0));
    ow_worker_stop(worker);
}

static void verify(struct ow_fixture *fixture, const char *path)
{
    struct ow_verification found;
    struct ow_err err;
    if (ow_verify(path, &fixture->kept, &found, &err) != OW_OK || !found.ok) {
        fail_msg("%s does not verify", path);
    }
}

/* What asks for a backup, on a thread of its own. */
struct asking {
    struct ow_backup_job job;
    enum ow_status status;
    struct ow_err err;
    pthread_t thread;
};

static void *ask(void *context)
{
    struct asking *asking = context;
    asking->status = ow_backup_job_run(&asking->job, ow_worker_jobs(worker), &asking->err);
    return NULL;
}

static void start_asking(struct asking *asking, const char *to)
{
    *asking = (struct asking){
        .job = {.to = to, .clock = ow_clock_system()}
    };
    assert_int_equal(pthread_create(&asking->thread, NULL, ask, asking), 0);
}

static void backup_job__under_load__is_a_moment_between_two_batches(void **state)
{
    struct ow_fixture *fixture = *state;
    const char *to = ow_arena_printf(&fixture->kept, "%s/copy.db", fixture->folder);
    ow_fixture_exec(fixture, "CREATE TABLE large (x); INSERT INTO large VALUES"
                             " (zeroblob(100000000))");
    start_worker(fixture, 2);
    struct asking asking;
    submit_story(fixture, 0, 99);
    start_asking(&asking, to);
    submit_story(fixture, 100, 1999);
    assert_int_equal(pthread_join(asking.thread, NULL), 0);
    if (asking.status != OW_OK) {
        fail_msg("%s", asking.err.text);
    }
    assert_int_equal(asking.job.figures.restarts, 0);
    assert_int_equal(asking.job.figures.bytes, asking.job.figures.pages * 4096);
    assert_true(ow_worker_drain(worker, 60000));
    ow_worker_stop(worker);
    verify(fixture, to);
    verify(fixture, fixture->path);
}

static bool give_up(void *context)
{
    atomic_int *const looks = context;
    (void)atomic_fetch_add(looks, 1);
    return true;
}

static void expect_nothing(struct ow_fixture *fixture, const char *to)
{
    struct stat status;
    assert_int_equal(stat(to, &status), -1);
    assert_int_equal(stat(ow_arena_printf(&fixture->kept, "%s.part", to), &status), -1);
}

static void backup_job__not_wanted_any_more__leaves_nothing(void **state)
{
    struct ow_fixture *fixture = *state;
    const char *to = ow_arena_printf(&fixture->kept, "%s/copy.db", fixture->folder);
    atomic_int looks = 0;
    start_worker(fixture, 0);
    struct asking asking = {
        .job = {.to = to, .clock = ow_clock_system(), .given_up = give_up, .context = &looks}
    };
    assert_int_equal(pthread_create(&asking.thread, NULL, ask, &asking), 0);
    while (!ow_jobs_any(ow_worker_jobs(worker))) {
        (void)usleep(1000);
    }
    ow_worker_tick(worker); /* begun */
    while (atomic_load(&looks) == 0) {
        (void)usleep(1000);
    }
    while (ow_jobs_any(ow_worker_jobs(worker))) {
        ow_worker_tick(worker);
    }
    assert_int_equal(pthread_join(asking.thread, NULL), 0);
    assert_int_equal(asking.status, OW_TEMPORARY);
    expect_nothing(fixture, to);
    ow_worker_stop(worker);
}

static bool look_on(void *context)
{
    (void)atomic_fetch_add((atomic_int *)context, 1);
    return false;
}

static void backup_job__of_a_worker_that_is_busy__is_waited_for(void **state)
{
    struct ow_fixture *fixture = *state;
    const char *to = ow_arena_printf(&fixture->kept, "%s/copy.db", fixture->folder);
    atomic_int looks = 0;
    start_worker(fixture, 0);
    struct asking asking = {
        .job = {.to = to, .clock = ow_clock_system(), .given_up = look_on, .context = &looks}
    };
    assert_int_equal(pthread_create(&asking.thread, NULL, ask, &asking), 0);
    while (atomic_load(&looks) == 0) { /* until it has asked in vain whether it is done */
        (void)usleep(1000);
    }
    while (ow_jobs_any(ow_worker_jobs(worker))) {
        ow_worker_tick(worker);
    }
    assert_int_equal(pthread_join(asking.thread, NULL), 0);
    assert_int_equal(asking.status, OW_OK);
    ow_worker_stop(worker);
    verify(fixture, to);
}

/* While it is checked: given up at the third look, which is in the middle, or the worker stops. */
struct checking {
    struct asking asking;
    int looks;
    bool stops;
};

static bool give_up_checking(void *context)
{
    struct checking *checking = context;
    checking->looks += atomic_load(&checking->asking.job.phase) == OW_BACKUP_CHECKING;
    if (checking->looks == 3 && checking->stops) {
        ow_jobs_close(ow_worker_jobs(worker));
    }
    return checking->looks >= 3 && !checking->stops;
}

static void backup_job__not_wanted_while_it_is_checked__leaves_nothing(void **state)
{
    struct ow_fixture *fixture = *state;
    const char *to = ow_arena_printf(&fixture->kept, "%s/copy.db", fixture->folder);
    ow_fixture_exec(fixture, "CREATE TABLE large (x); WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
                             " FROM n WHERE i < 50000) INSERT INTO large SELECT i FROM n");
    for (int round = 0; round < 2; round++) {
        start_worker(fixture, 2);
        struct checking checking = {
            .asking = {.job = {.to = to,
                               .clock = ow_clock_system(),
                               .given_up = give_up_checking,
                               .context = &checking}},
            .stops = round == 1,
        };
        (void)ask(&checking.asking);
        assert_int_equal(checking.asking.status, OW_TEMPORARY);
        assert_int_equal(checking.looks, 3);
        expect_nothing(fixture, to);
        ow_worker_stop(worker);
    }
}

/* The worker's owner goes while a backup is copied: who asked for it is told. */
static void backup_job__the_worker_stops__leaves_nothing(void **state)
{
    struct ow_fixture *fixture = *state;
    const char *to = ow_arena_printf(&fixture->kept, "%s/copy.db", fixture->folder);
    struct ow_err err = {.text = ""};
    start_worker(fixture, 2);
    struct ow_backup_job job = {.to = "/nowhere/at/all.db", .clock = ow_clock_system()};
    assert_int_equal(ow_backup_job_run(&job, ow_worker_jobs(worker), &err), OW_FAILED);
    job.to = to;
    ow_jobs_close(ow_worker_jobs(worker));
    assert_int_equal(ow_backup_job_run(&job, ow_worker_jobs(worker), &err), OW_TEMPORARY);
    ow_worker_stop(worker);
    expect_nothing(fixture, to);

    /* Without threads nobody steps it before the end does. */
    start_worker(fixture, 0);
    struct asking asking;
    start_asking(&asking, to);
    while (!ow_jobs_any(ow_worker_jobs(worker))) {
        (void)usleep(1000);
    }
    ow_worker_tick(worker); /* begun */
    ow_jobs_end(ow_worker_jobs(worker), NULL);
    assert_int_equal(pthread_join(asking.thread, NULL), 0);
    assert_int_equal(asking.status, OW_TEMPORARY);
    expect_nothing(fixture, to);
    ow_worker_stop(worker);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, ow_engine_start, ow_engine_stop)

int ow_test_job(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(job__several__take_turns),
        cmocka_unit_test(job__a_slice__is_what_the_owner_is_said_to_do),
        cmocka_unit_test(job__cancelled__ends_before_its_next_slice),
        cmocka_unit_test(job__too_many_or_closed__is_not_taken),
        cmocka_unit_test(job__while_it_is_in_work__is_not_stepped_again),
        cmocka_unit_test(queue__whose_answer_nobody_has_taken_yet__does_not_end),
        WITH_STORE(job__in_a_worker_without_threads__is_stepped_by_its_tick),
        WITH_STORE(backup_job__under_load__is_a_moment_between_two_batches),
        WITH_STORE(backup_job__not_wanted_any_more__leaves_nothing),
        WITH_STORE(backup_job__of_a_worker_that_is_busy__is_waited_for),
        WITH_STORE(backup_job__not_wanted_while_it_is_checked__leaves_nothing),
        WITH_STORE(backup_job__the_worker_stops__leaves_nothing),
    };
    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
