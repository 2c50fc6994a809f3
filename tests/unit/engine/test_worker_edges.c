/* The worker while the store is full, stands still or cannot be opened, and at the limits of its
 * ring. Run under ThreadSanitizer, too. */
#include "engine/worker.h"
#include "engine_fixture.h"
#include "groups.h"
#include "support/store/fault_vfs.h"

#include <sqlite3.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

static struct ow_fixture *fixture;
static struct ow_worker *worker;
static sqlite3 *other; /* holds the store's write lock; NULL: nobody does */

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

static void start_worker(const struct ow_worker_options *options)
{
    struct ow_err err;
    if (ow_worker_start(options, &worker, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
}

static void assign(enum ow_resume resume, int64_t offset)
{
    const uint32_t generation = ow_worker_next_generation(worker);
    struct ow_chunk *chunk = ow_worker_chunk(worker);
    assert_non_null(chunk);
    ow_engine_assign(chunk, generation, resume, offset);
    ow_worker_submit(worker, chunk);
}

static void submit_record(struct ow_record record, int64_t offset)
{
    struct ow_chunk *chunk = ow_worker_chunk(worker);
    assert_non_null(chunk);
    ow_engine_put(fixture, chunk, record, offset);
    ow_worker_submit(worker, chunk);
}

/* Records of the story, a chunk each. */
static void submit_story(int64_t first, int64_t last)
{
    for (int64_t i = first; i <= last; i++) {
        submit_record(ow_engine_story(fixture, i), i);
    }
}

static void sleep_ms(int64_t ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

static void wait_for_retry(void)
{
    for (int i = 0; ow_worker_retrying_since_ns(worker) == 0; i++) {
        assert_true(i < 3000);
        sleep_ms(10);
    }
}

/* As somebody's tool would: the apply thread waits for its transaction. */
static void hold_store(void)
{
    assert_int_equal(sqlite3_open(fixture->path, &other), SQLITE_OK);
    (void)sqlite3_busy_timeout(other, 5000);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
}

static void let_go(void)
{
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    other = NULL;
}

static const struct ow_fault disk_full = {
    .call = OW_FAULT_WRITE, .at = 1, .for_ever = true, .code = SQLITE_FULL};

static void disk_full__for_a_while__is_waited_out(void **state)
{
    (void)state;
    const struct ow_worker_options options = options_of(2);
    start_worker(&options);
    assign(OW_RESUME_START, 0);
    assert_true(ow_worker_drain(worker, 60000));
    ow_fault_arm(&disk_full);
    submit_story(0, 7);
    wait_for_retry();
    sleep_ms(450); /* more than one attempt */
    struct ow_err err;
    assert_int_equal(ow_worker_status(worker, &err), OW_OK);
    assert_int_equal(ow_worker_totals(worker).records, 0);
    assert_true(ow_fault_disarm());
    assert_true(ow_worker_drain(worker, 60000));
    assert_true(ow_worker_retrying_since_ns(worker) == 0);
    assert_int_equal(ow_worker_totals(worker).counts[OW_OUTCOME_APPLIED], 8);
}

/* Each chunk that is submitted or decoded wakes the apply thread up. */
static void disk_full__while_chunks_arrive__is_not_tried_sooner(void **state)
{
    (void)state;
    const struct ow_worker_options options = options_of(2);
    start_worker(&options);
    assign(OW_RESUME_START, 0);
    assert_true(ow_worker_drain(worker, 60000));
    struct ow_fault once = disk_full;
    once.for_ever = false;
    ow_fault_arm(&once);
    submit_story(0, 0);
    wait_for_retry();
    const int64_t since_ns = ow_worker_retrying_since_ns(worker);
    for (int64_t i = 1; i <= 7; i++) {
        submit_story(i, i);
        sleep_ms(2);
    }
    while (ow_worker_totals(worker).records == 0) {
        sleep_ms(1);
    }
    const int64_t now_ns = ow_clock_elapsed_ns(&options.apply.clock);
    assert_in_range((now_ns - since_ns) / 1000000, 99, INT64_MAX);
    assert_true(ow_fault_disarm());
    assert_true(ow_worker_drain(worker, 60000));
}

static void disk_full__told_to_stop__leaves_the_batch_to_the_next_start(void **state)
{
    (void)state;
    struct ow_worker_options options = options_of(1);
    start_worker(&options);
    assign(OW_RESUME_START, 0);
    submit_story(0, 3);
    assert_true(ow_worker_drain(worker, 60000));
    ow_fault_arm(&disk_full);
    submit_story(4, 7);
    wait_for_retry();
    ow_worker_stop(worker);
    worker = NULL;
    assert_true(ow_fault_disarm());
    ow_fixture_close(fixture);
    ow_fixture_open(fixture);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT next_offset FROM ow_position"), 4);
    options = options_of(1); /* over the store as it is open now */
    start_worker(&options);
    assign(OW_RESUME_STORED, 4);
    submit_story(4, 7);
    assert_true(ow_worker_drain(worker, 60000));
    assert_int_equal(ow_fixture_i64(fixture, "SELECT applied FROM ow_position"), 8);
}

static void disk_full__without_threads__is_said(void **state)
{
    (void)state;
    const struct ow_worker_options options = options_of(0);
    start_worker(&options);
    assign(OW_RESUME_START, 0);
    ow_fault_arm(&disk_full);
    submit_story(0, 0);
    assert_true(ow_fault_disarm());
    struct ow_err err = {.text = ""};
    assert_int_equal(ow_worker_status(worker, &err), OW_STORE_FULL);
    assert_string_not_equal(err.text, "");
    assert_false(ow_worker_drain(worker, 0));
    struct ow_chunk *chunk = ow_worker_chunk(worker);
    assert_false(ow_worker_wait_room(worker, 60000)); /* there will be none: it says so at once */
    ow_worker_give_back(worker, chunk);
}

static struct ow_clock_manual days;

/* A worker without threads, and one parked record whose deadline has passed. */
static void start_overdue(void)
{
    days = (struct ow_clock_manual){.now_ms = 1800000000000};
    struct ow_worker_options options = options_of(0);
    options.apply.clock = ow_clock_manual(&days);
    start_worker(&options);
    assign(OW_RESUME_START, 0);
    struct ow_chunk *chunk = ow_worker_chunk(worker);
    const struct ow_record end = {.topic = OW_SLICE("order-events"), .offset = 1};
    ow_engine_put(fixture, chunk, ow_engine_event(fixture, "d", "order.dispatched", "A", ""), 0);
    assert_true(ow_chunk_add_end(chunk, &end));
    ow_worker_submit(worker, chunk);
    assert_false(ow_worker_is_deadline_due(worker));
    days.now_ms += OW_PARK_DEADLINE_MS_DEFAULT;
    assert_true(ow_worker_is_deadline_due(worker));
    ow_worker_confirm_ends(worker);
}

static void deadline__while_the_disk_is_full__waits(void **state)
{
    (void)state;
    start_overdue();
    ow_fault_arm(&disk_full);
    ow_worker_tick(worker);
    assert_true(ow_fault_disarm());
    struct ow_err err;
    assert_int_equal(ow_worker_status(worker, &err), OW_OK); /* records have nothing to wait for */
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_parked"), 1);
    ow_worker_tick(worker);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_parked"), 0);
    assert_string_equal(ow_fixture_text(fixture, "SELECT reason FROM ow_quarantine"),
                        "park_timeout");
    assert_false(ow_worker_is_deadline_due(worker));
}

static void deadline__confirmed_too_long_ago_or_in_the_future__waits(void **state)
{
    (void)state;
    start_overdue();
    days.now_ms += 15001; /* what was confirmed does not hold any more */
    ow_worker_tick(worker);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_parked"), 1);
    ow_worker_confirm_ends(worker);
    days.now_ms -= 1; /* somebody set the clock back: nothing is known */
    ow_worker_tick(worker);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_parked"), 1);
    days.now_ms += 15001;
    ow_worker_tick(worker);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_parked"), 0);
}

/* 20 s later the wall clock says what it said then. */
static void deadline__confirmed_before_the_clock_was_set_back__waits(void **state)
{
    (void)state;
    start_overdue();
    days.elapsed_ns += INT64_C(20000000000);
    ow_worker_tick(worker);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_parked"), 1);
    ow_worker_confirm_ends(worker);
    days.elapsed_ns += INT64_C(15000000000);
    ow_worker_tick(worker);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_parked"), 0);
}

static void deadline__the_store_fails__ends_the_worker(void **state)
{
    (void)state;
    start_overdue();
    ow_fault_arm(&(struct ow_fault){
        .call = OW_FAULT_WRITE, .at = 1, .for_ever = true, .code = SQLITE_IOERR_WRITE});
    ow_worker_tick(worker);
    assert_true(ow_fault_disarm());
    struct ow_err err;
    assert_int_equal(ow_worker_status(worker, &err), OW_STORE_UNKNOWN);
    ow_worker_tick(worker); /* the first failure is the one that is told */
    assert_int_equal(ow_worker_status(worker, &err), OW_STORE_UNKNOWN);
    assert_null(strstr(err.text, "failed before"));
}

static _Atomic int64_t wall_ms;

static int64_t wall_clock(void *context)
{
    (void)context;
    return atomic_load(&wall_ms);
}

static void deadlines__of_more_than_a_slice__pass_without_a_record(void **state)
{
    (void)state;
    atomic_store(&wall_ms, 1800000000000);
    struct ow_worker_options options = options_of(1);
    options.apply.clock.now_ms = wall_clock;
    start_worker(&options);
    assign(OW_RESUME_START, 0);
    int64_t offset = 0;
    for (int chunks = 0; chunks < 10; chunks++) {
        struct ow_chunk *chunk = ow_worker_chunk(worker);
        for (int i = 0; i < 60; i++, offset++) {
            const char *name = ow_arena_printf(&fixture->kept, "W%lld", (long long)offset);
            ow_engine_put(fixture, chunk,
                          ow_engine_event(fixture, name, "order.dispatched", name, ""), offset);
        }
        const struct ow_record end = {.topic = OW_SLICE("order-events"), .offset = offset};
        assert_true(ow_chunk_add_end(chunk, &end));
        ow_worker_submit(worker, chunk);
    }
    assert_true(ow_worker_drain(worker, 60000));
    atomic_fetch_add(&wall_ms, OW_PARK_DEADLINE_MS_DEFAULT);
    ow_worker_confirm_ends(worker);
    for (int i = 0; ow_fixture_i64(fixture, "SELECT count(*) FROM ow_parked") > 0; i++) {
        assert_true(i < 3000);
        sleep_ms(10);
    }
    ow_worker_stop(worker);
    worker = NULL;
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_quarantine"), 600);
}

static void tending__while_the_disk_is_full__waits(void **state)
{
    (void)state;
    ow_fixture_close(fixture);
    fixture->bucket_claims = 3; /* full buckets wait for their filters */
    ow_fixture_open(fixture);
    const struct ow_worker_options options = options_of(0);
    start_worker(&options);
    assign(OW_RESUME_START, 0);
    submit_story(0, 15);
    ow_fault_arm(&disk_full);
    ow_worker_tick(worker);
    assert_true(ow_fault_disarm());
    struct ow_err err;
    assert_int_equal(ow_worker_status(worker, &err), OW_OK); /* records have nothing to wait for */
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_filter"), 0);
    submit_story(16, 16);
    ow_worker_tick(worker);
    assert_true(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_filter") > 0);
    assert_int_equal(ow_worker_totals(worker).counts[OW_OUTCOME_APPLIED], 17);
}

/* An operator's rewind that the group has answered: what was seen is forgotten, or asked for twice.
 */
static void stop__while_the_disk_is_full__forgets_nothing(void **state)
{
    (void)state;
    const struct ow_worker_options options = options_of(0);
    start_worker(&options);
    assign(OW_RESUME_START, 0);
    submit_story(0, 3);
    const uint32_t generation = ow_worker_next_generation(worker);
    struct ow_chunk *chunk = ow_worker_chunk(worker);
    ow_engine_assign(chunk, generation, OW_RESUME_REWOUND, 1);
    struct ow_assigned *const assigned = OW_ARENA_NEW(&chunk->arena, struct ow_assigned);
    *assigned = chunk->assigned[0];
    assigned->committed = 1;
    chunk->assigned = assigned;
    ow_worker_submit(worker, chunk);
    ow_durables_committed(ow_worker_durables(worker), "order-events", 0);
    ow_worker_tick(worker); /* hears of it */
    ow_fault_arm(&disk_full);
    ow_worker_tick(worker); /* what is due without a record can wait, too */
    struct ow_err err;
    assert_int_equal(ow_worker_status(worker, &err), OW_OK);
    ow_worker_stop(worker);
    worker = NULL;
    assert_true(ow_fault_disarm());
    assert_int_equal(ow_fixture_i64(fixture, "SELECT seen_committed FROM ow_position"), 1);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT next_offset FROM ow_position"), 1);
}

static void ring__is_full_by_bytes__however_few_records(void **state)
{
    (void)state;
    const size_t bytes = (size_t)4 << 20;
    char *const large = malloc(bytes);
    assert_non_null(large);
    memset(large, 'x', bytes);
    const struct ow_record record = {
        .topic = OW_SLICE("order-events"), .value = {(const uint8_t *)large, bytes}
    };
    const struct ow_worker_options options = options_of(1);
    start_worker(&options);
    assign(OW_RESUME_START, 0);
    assert_true(ow_worker_drain(worker, 60000));
    hold_store();
    int64_t count = 0;
    while (ow_worker_wait_room(worker, 0)) {
        submit_record(record, count++);
    }
    size_t ring_count = 0;
    assert_int_equal(count, OW_RING_BYTES_MAX / (int64_t)bytes);
    assert_null(ow_worker_chunk(worker));
    assert_true(ow_worker_free_count(worker, &ring_count) > 0);
    let_go();
    assert_true(ow_worker_drain(worker, 60000));
    assert_true(ow_worker_wait_room(worker, 0));
    assert_int_equal(ow_worker_totals(worker).counts[OW_OUTCOME_QUARANTINED], count); /* oversize */
    free(large);
}

/* How many batches a burst of chunks makes that arrive while the store stands still. */
static int64_t batches_of_burst(const struct ow_worker_options *options)
{
    start_worker(options);
    assign(OW_RESUME_START, 0);
    assert_true(ow_worker_drain(worker, 60000));
    const int64_t before = ow_worker_totals(worker).batches;
    hold_store();
    submit_story(0, 31);
    sleep_ms(200); /* all are decoded by then, or there are more batches than there must be */
    let_go();
    assert_true(ow_worker_drain(worker, 60000));
    assert_int_equal(ow_worker_totals(worker).records, 32);
    return ow_worker_totals(worker).batches - before;
}

static void batch__takes_what_has_arrived__up_to_its_bytes(void **state)
{
    (void)state;
    struct ow_worker_options options = options_of(1);
    options.batch_bytes = 1;
    assert_int_equal(batches_of_burst(&options), 32);
}

static void batch__takes_what_has_arrived__up_to_its_rows(void **state)
{
    (void)state;
    struct ow_worker_options options = options_of(1);
    options.batch_rows = 8;
    assert_in_range(batches_of_burst(&options), 4, 32);
}

/* Every look at the clock takes a second. */
static _Atomic int64_t slow_ns;

static int64_t slow_clock(void *context)
{
    (void)context;
    return atomic_fetch_add(&slow_ns, 1000000000);
}

static void batch__that_takes_too_long__is_followed_by_smaller_ones(void **state)
{
    (void)state;
    struct ow_worker_options options = options_of(0);
    options.apply.clock.elapsed_ns = slow_clock;
    options.batch_rows = 2;
    start_worker(&options);
    assign(OW_RESUME_START, 0);
    submit_story(0, 7); /* down to one row, and no further */
    struct ow_err err;
    assert_int_equal(ow_worker_status(worker, &err), OW_OK);
    assert_int_equal(ow_worker_totals(worker).records, 8);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int ow_test_worker_edges(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_STORE(disk_full__for_a_while__is_waited_out),
        WITH_STORE(disk_full__while_chunks_arrive__is_not_tried_sooner),
        WITH_STORE(disk_full__told_to_stop__leaves_the_batch_to_the_next_start),
        WITH_STORE(disk_full__without_threads__is_said),
        WITH_STORE(deadline__while_the_disk_is_full__waits),
        WITH_STORE(deadline__confirmed_too_long_ago_or_in_the_future__waits),
        WITH_STORE(deadline__confirmed_before_the_clock_was_set_back__waits),
        WITH_STORE(deadline__the_store_fails__ends_the_worker),
        WITH_STORE(deadlines__of_more_than_a_slice__pass_without_a_record),
        WITH_STORE(tending__while_the_disk_is_full__waits),
        WITH_STORE(stop__while_the_disk_is_full__forgets_nothing),
        WITH_STORE(ring__is_full_by_bytes__however_few_records),
        WITH_STORE(batch__takes_what_has_arrived__up_to_its_bytes),
        WITH_STORE(batch__takes_what_has_arrived__up_to_its_rows),
        WITH_STORE(batch__that_takes_too_long__is_followed_by_smaller_ones),
    };
    return cmocka_run_group_tests_name("worker_edges", tests, NULL, NULL);
}
