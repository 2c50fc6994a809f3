/* The worker with its threads. Run under ThreadSanitizer, too. */
#include "engine/worker.h"
#include "engine_fixture.h"
#include "groups.h"

static struct ow_worker *worker;

static void start_worker(struct ow_fixture *fixture, size_t batch_rows)
{
    struct ow_err err;
    struct ow_worker_options options = {.apply = ow_engine_apply_options(fixture),
                                        .batch_rows = batch_rows,
                                        .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
                                        .batch_ms = OW_BATCH_MS_DEFAULT,
                                        .decode_threads = 3};
    options.apply.clock = ow_clock_system();
    if (ow_worker_start(&options, &worker, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
}

static struct ow_chunk *next_chunk(void)
{
    struct ow_chunk *chunk = NULL;
    while ((chunk = ow_worker_chunk(worker)) == NULL) {
        (void)ow_worker_wait_room(worker, 1000);
    }
    return chunk;
}

static void assign(enum ow_resume resume, int64_t offset)
{
    const uint32_t generation = ow_worker_next_generation(worker);
    struct ow_chunk *chunk = next_chunk();
    ow_engine_assign(chunk, generation, resume, offset);
    ow_worker_submit(worker, chunk);
}

/* Submits records first to last of the story in chunks of a few. */
static void submit_story(struct ow_fixture *fixture, int64_t first, int64_t last)
{
    for (int64_t i = first; i <= last;) {
        struct ow_chunk *chunk = next_chunk();
        for (size_t rows = 1 + (size_t)i % 7; rows > 0 && i <= last && !ow_chunk_is_full(chunk);
             rows--, i++) {
            ow_engine_put(fixture, chunk, ow_engine_story(fixture, i), i);
        }
        ow_worker_submit(worker, chunk);
    }
}

static void worker__many_decode_threads__keep_the_order(void **state)
{
    struct ow_fixture *fixture = *state;
    start_worker(fixture, 64);
    assign(OW_RESUME_START, 0);
    submit_story(fixture, 0, 3999);
    assert_true(ow_worker_drain(worker, 60000));
    const struct ow_totals totals = ow_worker_totals(worker);
    assert_int_equal(totals.counts[OW_OUTCOME_APPLIED],
                     4000); /* out of order some would be parked */
    struct ow_durable durable;
    assert_true(ow_durables_get(ow_worker_durables(worker), "order-events", 0, &durable));
    assert_int_equal(durable.next_offset, 4000);
    ow_worker_stop(worker);
    assert_int_equal(
        ow_fixture_i64(fixture, "SELECT count(*) FROM orders WHERE state = 'received'"), 1000);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT sum(seq <> offset + 1) FROM ow_history"), 0);
}

static void worker__a_new_generation__drops_what_is_on_its_way(void **state)
{
    struct ow_fixture *fixture = *state;
    start_worker(fixture, 1);
    int64_t offset = 0;
    assign(OW_RESUME_START, 0);
    for (int round = 0; round < 20; round++) {
        submit_story(fixture, offset, offset + 99);
        /* A revocation does not wait: what is durable when the new assignment is made is where it
         * goes on. */
        (void)ow_worker_next_generation(worker);
        assert_true(ow_worker_drain(worker, 60000));
        struct ow_durable durable;
        assert_true(ow_durables_get(ow_worker_durables(worker), "order-events", 0, &durable));
        assert_true(durable.next_offset <= offset + 100);
        offset = durable.next_offset;
        assign(OW_RESUME_STORED, offset);
    }
    submit_story(fixture, offset, 2099);
    assert_true(ow_worker_drain(worker, 60000));
    ow_worker_stop(worker);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT applied FROM ow_position"), 2100);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_ledger"), 1);
}

static void worker__stopped_under_load__leaves_a_whole_prefix(void **state)
{
    struct ow_fixture *fixture = *state;
    int64_t offset = 0;
    for (int round = 0; round < 5; round++) {
        start_worker(fixture, 8);
        assign(round == 0 ? OW_RESUME_START : OW_RESUME_STORED, offset);
        submit_story(fixture, offset, offset + 299);
        ow_worker_stop(worker);
        offset = ow_fixture_i64(fixture, "SELECT coalesce(max(next_offset), 0) FROM ow_position");
        assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_history"), offset);
        ow_fixture_close(fixture);
        ow_fixture_open(fixture);
    }
}

static void worker__the_store_fails__tells_its_status_and_stops(void **state)
{
    struct ow_fixture *fixture = *state;
    start_worker(fixture, 64);
    assign(OW_RESUME_START, 0);
    assert_true(ow_worker_drain(worker, 60000));
    ow_fixture_exec(
        fixture,
        "UPDATE ow_meta SET value = value + 1 WHERE key = 'epoch'"); /* somebody took it over */
    submit_story(fixture, 0, 3);
    assert_false(ow_worker_drain(worker, 60000));
    struct ow_err err = {.text = ""};
    assert_int_equal(ow_worker_status(worker, &err), OW_UNSAFE);
    assert_non_null(strstr(err.text, "another process owns the store"));
    ow_worker_stop(worker);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM orders"), 0);
}

static void worker__chunks_given_back__can_be_taken_again(void **state)
{
    struct ow_fixture *fixture = *state;
    start_worker(fixture, 64);
    size_t ring_count = 0;
    const size_t before = ow_worker_free_count(worker, &ring_count);
    assert_int_equal(before, ring_count);
    struct ow_chunk *chunk = ow_worker_chunk(worker);
    assert_non_null(chunk);
    assert_null(ow_worker_chunk(worker)); /* one is filled at a time */
    assert_int_equal(ow_worker_free_count(worker, &ring_count), ring_count - 1);
    ow_worker_give_back(worker, chunk);
    assert_ptr_equal(ow_worker_chunk(worker), chunk);
    ow_worker_give_back(worker, chunk);
    ow_worker_stop(worker);
    ow_worker_stop(NULL);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, ow_engine_start, ow_engine_stop)

int ow_test_worker(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_STORE(worker__many_decode_threads__keep_the_order),
        WITH_STORE(worker__a_new_generation__drops_what_is_on_its_way),
        WITH_STORE(worker__stopped_under_load__leaves_a_whole_prefix),
        WITH_STORE(worker__the_store_fails__tells_its_status_and_stops),
        WITH_STORE(worker__chunks_given_back__can_be_taken_again),
    };
    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
