#include "engine/apply.h"
#include "engine_fixture.h"
#include "groups.h"

#include <stdlib.h>

/* The apply thread's part, and one chunk. */
struct bench {
    struct ow_fixture *fixture;
    struct ow_apply apply;
    struct ow_chunk chunk;
    struct ow_err err;
};

static struct bench bench;

static void open_apply(struct ow_fixture *fixture)
{
    const struct ow_apply_options options = ow_engine_apply_options(fixture);
    assert_int_equal(ow_apply_open(&bench.apply, &options, &bench.err), OW_OK);
}

static int start(void **state)
{
    (void)ow_engine_start(state);
    bench.fixture = *state;
    ow_chunk_init(&bench.chunk, OW_CHUNK_ROWS);
    open_apply(bench.fixture);
    return 0;
}

static int stop(void **state)
{
    ow_apply_close(&bench.apply);
    ow_chunk_done(&bench.chunk);
    return ow_engine_stop(state);
}

static void must(enum ow_status status)
{
    if (status != OW_OK) {
        fail_msg("%s", bench.err.text);
    }
}

static void assign(uint32_t generation, enum ow_resume resume, int64_t offset)
{
    ow_engine_assign(&bench.chunk, generation, resume, offset);
    must(ow_apply_assignment(&bench.apply, &bench.chunk, &bench.err));
}

static enum ow_status run_chunk(void)
{
    struct ow_chunk *const list[] = {&bench.chunk};
    ow_engine_decode(bench.fixture, &bench.chunk);
    return ow_apply_batch(&bench.apply, list, 1, &bench.err);
}

/* In slices, as the worker does it. */
static void time_out_all(bool ends_hold)
{
    bool more = true;
    while (more) {
        must(ow_apply_deadlines(&bench.apply, ends_hold, &more, &bench.err));
    }
}

/* Records first to last of the story, at these offsets. */
static enum ow_status run_story(uint32_t generation, int64_t first, int64_t last)
{
    ow_chunk_reset(&bench.chunk, generation);
    for (int64_t i = first; i <= last; i++) {
        ow_engine_put(bench.fixture, &bench.chunk, ow_engine_story(bench.fixture, i), i);
    }
    return run_chunk();
}

static void batch__a_story__is_applied_and_counted(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    must(run_story(1, 0, 7));
    assert_int_equal(bench.apply.totals.records, 8);
    assert_int_equal(bench.apply.totals.counts[OW_OUTCOME_APPLIED], 8);
    assert_int_equal(bench.apply.totals.batches, 2); /* the assignment is one */
    assert_int_equal(
        ow_fixture_i64(bench.fixture, "SELECT count(*) FROM orders WHERE state = 'received'"), 2);
}

static void batch__below_the_position_or_of_an_older_generation__is_dropped(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    must(run_story(1, 0, 3));
    must(run_story(1, 2, 5));
    assert_int_equal(bench.apply.totals.records, 6);
    assert_int_equal(bench.apply.totals.same_offset, 2);
    assign(2, OW_RESUME_STORED, 6);
    must(run_story(1, 6, 7));
    assert_int_equal(bench.apply.totals.records, 6);
    assert_int_equal(bench.apply.totals.same_offset, 2); /* never handled: not again */
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT next_offset FROM ow_position"), 6);
    const int64_t batches = bench.apply.totals.batches;
    must(run_story(2, 0, 5)); /* nothing new: no transaction */
    assert_int_equal(bench.apply.totals.batches, batches);
    assert_int_equal(bench.apply.totals.same_offset, 7); /* but for the anchor */
    must(run_story(2, 5, 5));
    assert_int_equal(bench.apply.totals.same_offset, 8);
}

static void assignment__planned_before_the_position_was_durable__does_not_move_it(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    must(run_story(1, 0, 3));
    assign(2, OW_RESUME_START, 0);
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT next_offset FROM ow_position"), 4);
    assign(3, OW_RESUME_COMMITTED, 3);
    must(run_story(3, 4, 4));
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT applied FROM ow_position"), 5);
}

static void anchor__another_record_at_its_offset__is_unsafe(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    must(run_story(1, 0, 3));
    assign(2, OW_RESUME_STORED, 4);
    must(run_story(2, 3, 5)); /* offset 3 is what it was */
    assign(3, OW_RESUME_STORED, 6);
    ow_chunk_reset(&bench.chunk, 3);
    ow_engine_put(bench.fixture, &bench.chunk, ow_engine_story(bench.fixture, 99), 5);
    ow_engine_put(bench.fixture, &bench.chunk, ow_engine_story(bench.fixture, 6), 6);
    assert_int_equal(run_chunk(), OW_UNSAFE);
    assert_non_null(strstr(bench.err.text, "re-created, truncated or swapped"));
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT next_offset FROM ow_position"), 6);
}

static void anchor__its_record_is_gone__is_nothing_to_compare(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    must(run_story(1, 0, 3));
    assign(2, OW_RESUME_STORED, 4);
    must(run_story(2, 4, 5));
    must(run_story(2, 3, 3)); /* below the position, and no anchor any more */
}

static void anchor__after_a_restart__is_compared_too(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    must(run_story(1, 0, 3));
    ow_apply_close(&bench.apply);
    ow_fixture_close(bench.fixture);
    ow_fixture_open(bench.fixture);
    open_apply(bench.fixture);
    assign(1, OW_RESUME_STORED, 4);
    ow_chunk_reset(&bench.chunk, 1);
    ow_engine_put(bench.fixture, &bench.chunk, ow_engine_story(bench.fixture, 4), 3);
    assert_int_equal(run_chunk(), OW_UNSAFE);
}

static void deadlines__more_than_a_slice__all_time_out(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    for (int64_t i = 0; i < 600;) {
        ow_chunk_reset(&bench.chunk, 1);
        for (; i < 600 && !ow_chunk_is_full(&bench.chunk); i++) {
            const char *name = ow_arena_printf(&bench.fixture->kept, "W%lld", (long long)i);
            ow_engine_put(bench.fixture, &bench.chunk,
                          ow_engine_event(bench.fixture, name, "order.dispatched", name, ""), i);
        }
        must(run_chunk());
    }
    time_out_all(true);
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT count(*) FROM ow_parked"), 600);
    bench.fixture->clock.now_ms += OW_PARK_DEADLINE_MS_DEFAULT;
    time_out_all(true); /* the wall clock alone is not enough */
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT count(*) FROM ow_parked"), 600);
    ow_chunk_reset(&bench.chunk, 1);
    const struct ow_record end = {.topic = OW_SLICE("order-events"), .offset = 600};
    assert_true(ow_chunk_add_end(&bench.chunk, &end));
    must(run_chunk());
    time_out_all(false); /* an end that was told long ago is not enough */
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT count(*) FROM ow_parked"), 600);
    time_out_all(true);
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT count(*) FROM ow_parked"), 0);
    assert_int_equal(
        ow_fixture_i64(bench.fixture,
                       "SELECT count(*) FROM ow_quarantine WHERE reason = 'park_timeout'"),
        600);
}

static void parked__whose_topic_a_newer_machine_left_out__waits_for_its_deadline(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    ow_chunk_reset(&bench.chunk, 1);
    ow_engine_put(bench.fixture, &bench.chunk,
                  ow_engine_event(bench.fixture, "d", "order.dispatched", "A", ""), 0);
    must(run_chunk());
    ow_fixture_exec(bench.fixture, "UPDATE ow_parked SET topic = 'gone-events'");
    ow_chunk_reset(&bench.chunk, 1);
    ow_engine_put(bench.fixture, &bench.chunk,
                  ow_engine_event(bench.fixture, "c", "order.created", "A",
                                  ",\"amount\":1,\"currency\":\"EUR\""),
                  1);
    must(run_chunk());
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT count(*) FROM ow_parked"), 1);
    bench.fixture->clock.now_ms += OW_PARK_DEADLINE_MS_DEFAULT;
    bench.apply.partitions.list->at_end = true;
    time_out_all(true);
    assert_string_equal(
        ow_fixture_text(bench.fixture,
                        "SELECT reason || ' ' || machine || ' ' || entity_id FROM ow_quarantine"),
        "park_timeout orders A");
}

/* A story's message twice, at another offset. */
static void put_again(uint32_t generation, int64_t number, int64_t offset)
{
    ow_chunk_reset(&bench.chunk, generation);
    ow_engine_put(bench.fixture, &bench.chunk, ow_engine_story(bench.fixture, number), offset);
    must(run_chunk());
}

static void duplicates__by_cause__are_counted_apart(void **state)
{
    (void)state;
    const struct ow_totals *const totals = &bench.apply.totals;
    assign(1, OW_RESUME_START, 0);
    must(run_story(1, 0, 3));
    must(run_story(1, 3, 3)); /* the same offset */
    put_again(1, 0, 4);       /* another offset with the same id */
    put_again(1, 0, 5);
    assign(2, OW_RESUME_REWOUND, 1); /* a replay */
    must(run_story(2, 1, 3));
    assert_int_equal(totals->same_offset, 1);
    assert_int_equal(totals->counts[OW_OUTCOME_DUPLICATE], 2);
    assert_int_equal(totals->other_channel, 0);
    assert_int_equal(totals->reread, 3);
    assert_int_equal(totals->records, 9);
}

static void poisoned__beside_the_same_offset_again__it_is_counted_once(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    must(run_story(1, 0, 2));
    ow_fixture_exec(
        bench.fixture,
        "CREATE TRIGGER t BEFORE INSERT ON payments BEGIN SELECT raise(ABORT, 'no'); END");
    assign(2, OW_RESUME_STORED, 3);
    must(run_story(2, 1, 6));
    assert_int_equal(bench.apply.totals.same_offset, 1); /* offset 2 is the anchor */
    assert_true(bench.apply.totals.counts[OW_OUTCOME_QUARANTINED] > 0);
}

static void poisoned__only_the_guilty_are_quarantined(void **state)
{
    (void)state;
    ow_fixture_exec(
        bench.fixture,
        "CREATE TRIGGER t BEFORE INSERT ON payments BEGIN SELECT raise(ABORT, 'no'); END");
    assign(1, OW_RESUME_START, 0);
    must(run_story(1, 0, 6));
    assert_int_equal(bench.apply.totals.records, 7);
    assert_int_equal(bench.apply.totals.counts[OW_OUTCOME_APPLIED], 2);
    assert_int_equal(bench.apply.totals.counts[OW_OUTCOME_QUARANTINED], 2);
    assert_int_equal(bench.apply.totals.counts[OW_OUTCOME_PARKED], 3);
}

/* Each of many tries to find the guilty ones reads all that is parked: one after the other. */
static void poisoned__many_large_parked__takes_the_memory_of_one_try(void **state)
{
    (void)state;
    enum { PARKED = 32, LARGE = 7000 };
    ow_fixture_exec(
        bench.fixture,
        "CREATE TRIGGER t BEFORE INSERT ON payments BEGIN SELECT raise(ABORT, 'no'); END");
    assign(1, OW_RESUME_START, 0);
    ow_chunk_reset(&bench.chunk, 1);
    for (int i = 0; i < PARKED; i++) {
        const char *id = ow_arena_printf(&bench.fixture->kept, "p%d", i);
        const char *data = ow_arena_printf(&bench.fixture->kept,
                                           ",\"amount\":1,\"currency\":\"EUR\",\"method\":\"card\","
                                           "\"payment_id\":\"%s\",\"note\":\"%0*d\"",
                                           id, LARGE, 0);
        ow_engine_put(bench.fixture, &bench.chunk,
                      ow_engine_event(bench.fixture, id, "payment.succeeded", "A", data), i);
    }
    must(run_chunk());
    ow_chunk_reset(&bench.chunk, 1);
    ow_engine_put(bench.fixture, &bench.chunk,
                  ow_engine_event(bench.fixture, "c", "order.created", "A",
                                  ",\"amount\":1,\"currency\":\"EUR\""),
                  PARKED);
    must(run_chunk());
    assert_int_equal(
        ow_fixture_i64(bench.fixture, "SELECT count(*) FROM ow_quarantine WHERE reason = 'poison'"),
        PARKED);
    assert_true(bench.apply.arena.used_bytes < (size_t)10 * PARKED * LARGE);
}

static void version__changed_by_another_writer_and_back__stops_the_batch(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    must(run_story(1, 0, 0));
    /* A, B, A while the batch is at work: its trigger plays the other writer. */
    ow_fixture_exec(bench.fixture, "CREATE TRIGGER t AFTER INSERT ON ow_claims BEGIN"
                                   " UPDATE orders SET version = version + 2; END");
    assert_int_equal(run_story(1, 1, 1), OW_FAILED);
    assert_non_null(strstr(bench.err.text, "optimistic version check"));
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT version FROM orders"), 1);
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT next_offset FROM ow_position"), 1);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int ow_test_apply(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_STORE(batch__a_story__is_applied_and_counted),
        WITH_STORE(batch__below_the_position_or_of_an_older_generation__is_dropped),
        WITH_STORE(assignment__planned_before_the_position_was_durable__does_not_move_it),
        WITH_STORE(anchor__another_record_at_its_offset__is_unsafe),
        WITH_STORE(anchor__its_record_is_gone__is_nothing_to_compare),
        WITH_STORE(anchor__after_a_restart__is_compared_too),
        WITH_STORE(deadlines__more_than_a_slice__all_time_out),
        WITH_STORE(parked__whose_topic_a_newer_machine_left_out__waits_for_its_deadline),
        WITH_STORE(duplicates__by_cause__are_counted_apart),
        WITH_STORE(poisoned__beside_the_same_offset_again__it_is_counted_once),
        WITH_STORE(poisoned__only_the_guilty_are_quarantined),
        WITH_STORE(poisoned__many_large_parked__takes_the_memory_of_one_try),
        WITH_STORE(version__changed_by_another_writer_and_back__stops_the_batch),
    };
    return cmocka_run_group_tests_name("apply", tests, NULL, NULL);
}
