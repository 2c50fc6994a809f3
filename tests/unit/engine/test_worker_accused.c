/* The worker before a record that is accused: it stands still where one more death would convict
 * it, and nowhere else. Run under ThreadSanitizer, too. */
#include "crank_fixture.h"
#include "engine_fixture.h"
#include "groups.h"
#include "support/store/fault_vfs.h"

#include <sqlite3.h>

#include <string.h>
#include <time.h>

static struct ow_suspects notes;
static struct ow_fixture *fixture;
static struct ow_worker *worker;

static int start(void **state)
{
    ow_fault_install();
    (void)ow_engine_start(state);
    fixture = *state;
    worker = NULL;
    memset(&notes, 0, sizeof notes);
    assert_int_equal(ow_suspects_adopt(&notes, "boot", ow_store_id(fixture->store)),
                     OW_ADOPTED_NEW);
    return 0;
}

static int stop(void **state)
{
    ow_worker_stop(worker);
    (void)ow_engine_stop(state);
    ow_fault_remove();
    return 0;
}

/* With an assignment that is on its way. */
static void start_worker(size_t decode_threads, struct ow_clock clock)
{
    struct ow_err err;
    struct ow_worker_options options = {.apply = ow_engine_apply_options(fixture),
                                        .batch_rows = 64,
                                        .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
                                        .batch_ms = OW_BATCH_MS_DEFAULT,
                                        .decode_threads = decode_threads};
    options.apply.clock = clock;
    options.apply.suspects = &notes;
    if (ow_worker_start(&options, &worker, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    const uint32_t generation = ow_worker_next_generation(worker);
    struct ow_chunk *const chunk = ow_worker_chunk(worker);
    assert_non_null(chunk);
    ow_engine_assign(chunk, generation, OW_RESUME_START, 0);
    ow_worker_submit(worker, chunk);
}

/* The first record of the story, of which the process died so often. */
static void submit_accused(uint32_t deaths)
{
    notes.accused_count = 1;
    notes.accused[0] = (struct ow_accused){
        .place = {.topic = "order-events", .topic_len = 12},
        .deaths = deaths,
        .stage = OW_STAGE_APPLY
    };
    struct ow_chunk *const chunk = ow_worker_chunk(worker);
    assert_non_null(chunk);
    chunk->care = OW_CARE_ALONE;
    ow_engine_put(fixture, chunk, ow_engine_story(fixture, 0), 0);
    ow_worker_submit(worker, chunk);
}

static void sleep_ms(int64_t ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

static void wait_for_control(void)
{
    for (int i = 0; atomic_load(&notes.slots[0].stage) != OW_STAGE_CONTROL; i++) {
        assert_true(i < 30000);
        sleep_ms(1);
    }
}

static int64_t elapsed_ms(void)
{
    const struct ow_clock clock = ow_clock_system();
    return ow_clock_elapsed_ns(&clock) / 1000000;
}

static int64_t count_of(enum ow_outcome outcome)
{
    return ow_worker_totals(worker).counts[outcome];
}

static void accused__one_death_before_its_conviction__is_stood_still_before(void **state)
{
    (void)state;
    start_worker(1, ow_clock_system());
    assert_true(ow_worker_drain(worker, 60000));
    const int64_t before_ms = elapsed_ms();
    submit_accused(OW_SUSPECT_DEATHS - 1);
    wait_for_control(); /* whoever is killed now has not died of it */
    assert_int_equal(count_of(OW_OUTCOME_APPLIED), 0);
    assert_true(ow_worker_drain(worker, 60000));
    assert_true(elapsed_ms() - before_ms >= OW_SUSPECT_CONTROL_MS);
    assert_int_equal(count_of(OW_OUTCOME_APPLIED), 1);
    assert_int_equal(atomic_load(&notes.slots[0].stage), OW_STAGE_IDLE);
}

static void accused__told_to_stop_while_it_stands_still__is_left_for_the_next_start(void **state)
{
    (void)state;
    start_worker(1, ow_clock_system());
    assert_true(ow_worker_drain(worker, 60000));
    submit_accused(OW_SUSPECT_DEATHS - 1);
    wait_for_control();
    ow_worker_stop(worker);
    worker = NULL;
    assert_int_equal(atomic_load(&notes.slots[0].stage), OW_STAGE_IDLE);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT next_offset FROM ow_position"), 0);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM orders"), 0);
}

static void accused__told_to_stop_before_it_stands_still__is_not_begun(void **state)
{
    (void)state;
    start_worker(0, ow_crank_clock());
    ow_crank_take(worker);
    submit_accused(OW_SUSPECT_DEATHS - 1);
    ow_crank_turn(); /* each turn of the crank is told to be the last */
    assert_int_equal(ow_crank_left(), 0);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT next_offset FROM ow_position"), 0);
    assert_int_equal(ow_worker_totals(worker).records, 0);
}

static void accused__without_threads__is_tried_at_once(void **state)
{
    (void)state;
    start_worker(0, ow_clock_system());
    submit_accused(OW_SUSPECT_DEATHS - 1); /* applies before it returns */
    assert_int_equal(count_of(OW_OUTCOME_APPLIED), 1);
}

static void accused__for_the_first_time__is_tried_without_standing_still(void **state)
{
    (void)state;
    start_worker(0, ow_crank_clock());
    ow_crank_take(worker);
    submit_accused(1);
    ow_crank_turn();
    ow_crank_turn();
    assert_int_equal(count_of(OW_OUTCOME_APPLIED), 1);
}

static void convicted__is_quarantined_without_standing_still(void **state)
{
    (void)state;
    start_worker(0, ow_crank_clock());
    ow_crank_take(worker);
    submit_accused(OW_SUSPECT_DEATHS);
    ow_crank_turn();
    ow_crank_turn();
    assert_int_equal(count_of(OW_OUTCOME_QUARANTINED), 1);
    assert_string_equal(ow_fixture_text(fixture, "SELECT reason FROM ow_quarantine"), "poison");
}

static enum ow_status take_note(void *context, struct ow_apply *apply, bool *ret_more,
                                struct ow_err *err)
{
    (void)apply;
    (void)err;
    *ret_more = false;
    *(int64_t *)context = ow_worker_retrying_since_ns(worker);
    return OW_OK;
}

static void end_note(void *context)
{
    (void)context;
}

/* A backup to another disk, say, is just what is wanted then. */
static void job__while_the_disk_is_full__is_done_between_the_tries(void **state)
{
    (void)state;
    struct ow_err err;
    start_worker(1, ow_clock_system());
    assert_true(ow_worker_drain(worker, 60000));
    ow_fault_arm(
        &(struct ow_fault){.call = OW_FAULT_WRITE, .at = 1, .for_ever = true, .code = SQLITE_FULL});
    struct ow_chunk *const chunk = ow_worker_chunk(worker);
    assert_non_null(chunk);
    ow_engine_put(fixture, chunk, ow_engine_story(fixture, 0), 0);
    ow_worker_submit(worker, chunk);
    for (int i = 0; ow_worker_retrying_since_ns(worker) == 0; i++) {
        assert_true(i < 30000);
        sleep_ms(1);
    }
    int64_t retrying_ns = 0;
    struct ow_job job = {
        .doing = "noting", .step = take_note, .end = end_note, .context = &retrying_ns};
    assert_int_equal(ow_jobs_submit(ow_worker_jobs(worker), &job, &err), OW_OK);
    assert_true(ow_jobs_wait(ow_worker_jobs(worker), &job, 60000));
    assert_int_not_equal(retrying_ns, 0);
    assert_true(ow_fault_disarm());
    assert_true(ow_worker_drain(worker, 60000));
    assert_int_equal(count_of(OW_OUTCOME_APPLIED), 1);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int ow_test_worker_accused(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_STORE(accused__one_death_before_its_conviction__is_stood_still_before),
        WITH_STORE(accused__told_to_stop_while_it_stands_still__is_left_for_the_next_start),
        WITH_STORE(accused__told_to_stop_before_it_stands_still__is_not_begun),
        WITH_STORE(accused__without_threads__is_tried_at_once),
        WITH_STORE(accused__for_the_first_time__is_tried_without_standing_still),
        WITH_STORE(convicted__is_quarantined_without_standing_still),
        WITH_STORE(job__while_the_disk_is_full__is_done_between_the_tries),
    };
    return cmocka_run_group_tests_name("worker_accused", tests, NULL, NULL);
}
