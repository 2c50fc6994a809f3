/* The apply thread step by step: which chunks make a batch, how large the next one may be, and what
 * is looked at in between. */
#include "crank_fixture.h"
#include "engine_fixture.h"
#include "groups.h"
#include "support/store/fault_vfs.h"

#include <sqlite3.h>

static struct ow_fixture *fixture;

enum { BATCH_ROWS = 64, BATCH_MS = 100 };

static void start_worker(void)
{
    struct ow_err err;
    struct ow_worker *worker = NULL;
    struct ow_worker_options options = {.apply = ow_engine_apply_options(fixture),
                                        .batch_rows = BATCH_ROWS,
                                        .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
                                        .batch_ms = BATCH_MS};
    options.apply.clock = ow_crank_clock();
    assert_int_equal(ow_worker_start(&options, &worker, &err), OW_OK);
    ow_crank_take(worker);
}

static int start(void **state)
{
    ow_fault_install();
    (void)ow_engine_start(state);
    fixture = *state;
    start_worker();
    return 0;
}

static int stop(void **state)
{
    ow_worker_stop(ow_crank.worker);
    (void)ow_engine_stop(state);
    ow_fault_remove();
    return 0;
}

static struct ow_chunk *next_chunk(void)
{
    struct ow_chunk *const chunk = ow_worker_chunk(ow_crank.worker);
    assert_non_null(chunk);
    return chunk;
}

/* An assignment on its way; its generation is the one that holds. */
static void assign(enum ow_resume resume, int64_t offset)
{
    const uint32_t generation = ow_worker_next_generation(ow_crank.worker);
    struct ow_chunk *const chunk = next_chunk();
    ow_engine_assign(chunk, generation, resume, offset);
    ow_worker_submit(ow_crank.worker, chunk);
}

static void submit(struct ow_record record, int64_t offset)
{
    struct ow_chunk *const chunk = next_chunk();
    ow_engine_put(fixture, chunk, record, offset);
    ow_worker_submit(ow_crank.worker, chunk);
}

/* Records of the story, a chunk each. */
static void submit_story(int64_t first, int64_t last)
{
    for (int64_t i = first; i <= last; i++) {
        submit(ow_engine_story(fixture, i), i);
    }
}

static int64_t positions(void)
{
    return ow_fixture_i64(fixture, "SELECT count(*) FROM ow_position");
}

static void batch__by_the_time_it_takes__shrinks_or_stays_or_grows(void **state)
{
    static const struct {
        int64_t ms;
        size_t rows[8]; /* after each batch, until 0 */
    } times[] = {
        {BATCH_MS + 1,     {32, 16, 8, 4, 2, 1, 1}  }, /* too long; one is the least */
        {BATCH_MS,         {1, 1}                   },
        {BATCH_MS / 2,     {1, 1}                   },
        {BATCH_MS / 2 - 1, {2, 4, 8, 16, 32, 64, 64}},
        {BATCH_MS,         {64}                     },
    };
    (void)state;
    int64_t offset = 0;
    assign(OW_RESUME_START, 0);
    ow_crank_turn();
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        ow_crank.look_ns = times[i].ms * 1000000;
        for (const size_t *rows = times[i].rows; rows < times[i].rows + 8 && *rows > 0; rows++) {
            submit_story(offset, offset);
            ow_crank_turn();
            assert_int_equal(ow_crank.worker->rows_limit, *rows);
            offset++;
        }
    }
    assert_int_equal(ow_fixture_i64(fixture, "SELECT applied FROM ow_position"), offset);
}

static void batch__that_must_be_small__leaves_the_rest_to_the_next(void **state)
{
    (void)state;
    assign(OW_RESUME_START, 0);
    ow_crank_turn();
    ow_crank.worker->rows_limit = 4;
    submit_story(0, 9);
    for (int64_t left = 10; left > 0; left = left > 4 ? left - 4 : 0) {
        assert_int_equal(ow_crank_left(), left);
        ow_crank_turn();
        ow_crank.worker->rows_limit = 4;
    }
    assert_int_equal(ow_worker_totals(ow_crank.worker).counts[OW_OUTCOME_APPLIED], 10);
}

static void batch__never_reaches_across_an_assignment(void **state)
{
    static const int64_t left[] = {5, 3, 2, 0}; /* after each batch */
    (void)state;
    assign(OW_RESUME_START, 0);
    submit_story(0, 1);
    assign(OW_RESUME_START, 0); /* rebalanced before anything was applied */
    submit_story(0, 1);
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        ow_crank_turn();
        assert_int_equal(ow_crank_left(), left[i]);
        assert_int_equal(positions(), i < 2 ? 0 : 1); /* what was revoked is dropped */
    }
    const struct ow_totals totals = ow_worker_totals(ow_crank.worker);
    assert_int_equal(totals.records, 2);
    assert_int_equal(totals.same_offset, 0);
}

/* The first assignment begins where the topic ends, and its COMMIT takes long; the second one is
 * planned meanwhile, and the topic has grown: what came in between would be taken for a gap. */
static void assignment__planned_while_the_first_start_was_on_its_way__is_planned_anew(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    assign(OW_RESUME_START, 10);
    ow_crank_turn();
    assign(OW_RESUME_START, 20);
    submit_story(20, 20);
    ow_crank_turn_all();
    assert_int_equal(ow_worker_status(ow_crank.worker, &err), OW_TEMPORARY);
    assert_non_null(strstr(err.text, "order-events[0]: to be read from offset 20 on"));
    assert_int_equal(ow_fixture_i64(fixture, "SELECT next_offset FROM ow_position"), 10);
    assert_int_equal(ow_worker_totals(ow_crank.worker).records, 0);
}

static void deadline__while_records_keep_coming__passes(void **state)
{
    (void)state;
    assign(OW_RESUME_START, 0);
    struct ow_record record = ow_engine_event(fixture, "d", "order.dispatched", "A", "");
    record.timestamp_ms = ow_crank.now_ms;
    submit(record, 0);
    ow_crank_turn_all();
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_parked"), 1);
    ow_crank.now_ms += OW_PARK_DEADLINE_MS_DEFAULT;
    record = ow_engine_event(fixture, "e", "order.dispatched", "B", "");
    record.timestamp_ms = ow_crank.now_ms;
    submit(record, 1);
    ow_crank_turn(); /* with a record in hand, and never without */
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_quarantine"
                                             " WHERE reason = 'park_timeout' AND entity_id = 'A'"),
                     1);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_parked"), 1);
}

static void submit_end(int64_t offset)
{
    struct ow_chunk *const chunk = next_chunk();
    const struct ow_record end = {.topic = OW_SLICE("order-events"), .offset = offset};
    assert_true(ow_chunk_add_end(chunk, &end));
    ow_worker_submit(ow_crank.worker, chunk);
}

/* The partition has more, the broker says; but that is dropped with the assignment. */
static void deadline__of_ends_that_were_dropped__waits(void **state)
{
    (void)state;
    assign(OW_RESUME_START, 0);
    submit(ow_engine_event(fixture, "d", "order.dispatched", "A", ""), 0);
    submit_end(1);
    ow_crank_turn_all();
    ow_crank.now_ms += OW_PARK_DEADLINE_MS_DEFAULT;
    submit_end(OW_CHUNK_NO_END);
    ow_worker_confirm_ends(ow_crank.worker);
    (void)ow_worker_next_generation(ow_crank.worker);
    ow_crank_turn_all();
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_parked"), 1);
}

/* Without a record in hand, too: nobody goes on with a store that is not known. */
static void deadline__the_store_fails__ends_the_apply_thread(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    assign(OW_RESUME_START, 0);
    submit(ow_engine_event(fixture, "d", "order.dispatched", "A", ""), 0);
    submit_end(1);
    ow_crank_turn_all();
    ow_crank.now_ms += OW_PARK_DEADLINE_MS_DEFAULT;
    ow_worker_confirm_ends(ow_crank.worker);
    ow_fault_arm(&(struct ow_fault){
        .call = OW_FAULT_WRITE, .at = 1, .for_ever = true, .code = SQLITE_IOERR_WRITE});
    ow_crank_turn();
    assert_true(ow_fault_disarm());
    assert_int_equal(ow_worker_status(ow_crank.worker, &err), OW_STORE_UNKNOWN);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_parked"), 1);
}

static void disk_full__told_to_stop__is_not_waited_out(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    assign(OW_RESUME_START, 0);
    submit_story(0, 3);
    ow_crank_turn_all();
    submit_story(4, 7);
    ow_fault_arm(
        &(struct ow_fault){.call = OW_FAULT_WRITE, .at = 1, .for_ever = true, .code = SQLITE_FULL});
    ow_crank_turn(); /* each turn of the crank is told to be the last */
    assert_true(ow_fault_disarm());
    assert_int_equal(ow_worker_status(ow_crank.worker, &err), OW_STORE_FULL);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT next_offset FROM ow_position"), 4);
    ow_worker_stop(ow_crank.worker);
    start_worker();
    assign(OW_RESUME_STORED, 4);
    submit_story(4, 7);
    ow_crank_turn_all();
    assert_int_equal(ow_fixture_i64(fixture, "SELECT applied FROM ow_position"), 8);
}

static void drain__with_no_time_left__says_that_something_is_on_its_way(void **state)
{
    (void)state;
    assign(OW_RESUME_START, 0);
    assert_false(ow_worker_drain(ow_crank.worker, 0));
    ow_crank_turn_all();
    assert_true(ow_worker_drain(ow_crank.worker, 0));
}

static void drain__behind_a_worker_that_has_failed__says_so_at_once(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    assign(OW_RESUME_START, 0);
    ow_crank_turn();
    submit_story(0, 0);
    ow_fixture_exec(fixture, "UPDATE ow_meta SET value = value + 1 WHERE key = 'epoch'");
    ow_crank_turn();
    submit_story(1, 1); /* by a poll thread that has not heard of it yet */
    assert_false(ow_worker_drain(ow_crank.worker, 60000));
    assert_int_equal(ow_crank_left(), 1);
    assert_int_equal(ow_worker_status(ow_crank.worker, &err), OW_UNSAFE);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int ow_test_worker_steps(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_STORE(batch__by_the_time_it_takes__shrinks_or_stays_or_grows),
        WITH_STORE(batch__that_must_be_small__leaves_the_rest_to_the_next),
        WITH_STORE(batch__never_reaches_across_an_assignment),
        WITH_STORE(assignment__planned_while_the_first_start_was_on_its_way__is_planned_anew),
        WITH_STORE(deadline__while_records_keep_coming__passes),
        WITH_STORE(deadline__of_ends_that_were_dropped__waits),
        WITH_STORE(deadline__the_store_fails__ends_the_apply_thread),
        WITH_STORE(disk_full__told_to_stop__is_not_waited_out),
        WITH_STORE(drain__with_no_time_left__says_that_something_is_on_its_way),
        WITH_STORE(drain__behind_a_worker_that_has_failed__says_so_at_once),
    };
    return cmocka_run_group_tests_name("worker_steps", tests, NULL, NULL);
}
