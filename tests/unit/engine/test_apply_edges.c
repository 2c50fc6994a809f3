/* What apply does with ends, anchors and parked records that are not what they were, and with a
 * store that refuses more than one record. */
#include "engine/apply.h"
#include "engine_fixture.h"
#include "groups.h"

#include <stdlib.h>

struct bench {
    struct ow_fixture *fixture;
    struct ow_apply apply;
    struct ow_chunk chunk;
    struct ow_err err;
};

static struct bench bench;

static int start(void **state)
{
    (void)ow_engine_start(state);
    bench.fixture = *state;
    ow_chunk_init(&bench.chunk, OW_CHUNK_ROWS);
    const struct ow_apply_options options = ow_engine_apply_options(bench.fixture);
    assert_int_equal(ow_apply_open(&bench.apply, &options, &bench.err), OW_OK);
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

/* Records first to last of the story, at these offsets. */
static enum ow_status run_story(uint32_t generation, int64_t first, int64_t last)
{
    ow_chunk_reset(&bench.chunk, generation);
    for (int64_t i = first; i <= last; i++) {
        ow_engine_put(bench.fixture, &bench.chunk, ow_engine_story(bench.fixture, i), i);
    }
    return run_chunk();
}

/* One event at an offset. */
static enum ow_status run_event(int64_t offset, const char *id, const char *type,
                                const char *entity, const char *data)
{
    ow_chunk_reset(&bench.chunk, bench.apply.generation);
    ow_engine_put(bench.fixture, &bench.chunk,
                  ow_engine_event(bench.fixture, id, type, entity, data), offset);
    return run_chunk();
}

static enum ow_status run_end(uint32_t generation, const char *topic, int64_t offset)
{
    const struct ow_record end = {.topic = ow_slice_of(topic), .offset = offset};
    ow_chunk_reset(&bench.chunk, generation);
    assert_true(ow_chunk_add_end(&bench.chunk, &end));
    return run_chunk();
}

static int64_t next_offset(void)
{
    return ow_fixture_i64(bench.fixture, "SELECT max(next_offset) FROM ow_position");
}

static void end__of_an_older_assignment_or_below_the_position__says_nothing(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    must(run_story(1, 0, 3));
    assign(2, OW_RESUME_STORED, 4);
    must(run_end(1, "order-events", 9)); /* told to the assignment before this one */
    assert_int_equal(next_offset(), 4);
    assert_false(bench.apply.partitions.list->at_end);
    must(run_end(2, "payment-events", 9)); /* a partition that is not known */
    must(run_end(2, "order-events", 3));   /* fetched before the position moved on */
    assert_int_equal(next_offset(), 4);
    assert_false(bench.apply.partitions.list->at_end);
    must(run_end(2, "order-events", 4));
    assert_true(bench.apply.partitions.list->at_end);
    assert_int_equal(next_offset(), 4);
    must(run_end(2, "order-events", 6)); /* two markers behind the last record */
    assert_int_equal(next_offset(), 6);
}

static void ends__of_a_partition_twice_in_a_batch__move_it_to_the_last(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    ow_chunk_reset(&bench.chunk, 1);
    for (int64_t offset = 5; offset <= 7; offset += 2) {
        const struct ow_record end = {.topic = OW_SLICE("order-events"), .offset = offset};
        assert_true(ow_chunk_add_end(&bench.chunk, &end));
    }
    must(run_chunk());
    assert_int_equal(next_offset(), 7);
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT count(*) FROM ow_ledger"), 0);
}

static void rewind__to_where_it_is__keeps_the_anchor(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    must(run_story(1, 0, 3));
    assign(2, OW_RESUME_REWOUND, 4);
    assert_int_equal(
        ow_fixture_i64(bench.fixture, "SELECT count(*) FROM ow_position WHERE anchor NOTNULL"), 1);
    assign(3, OW_RESUME_REWOUND, 2);
    assert_int_equal(
        ow_fixture_i64(bench.fixture, "SELECT count(*) FROM ow_position WHERE anchor NOTNULL"), 0);
    assign(4, OW_RESUME_REWOUND, 1); /* there is none to keep */
    must(run_story(4, 1, 3));
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT reread FROM ow_position"), 3);
}

static void rewind__into_a_ledger_that_cannot_be_read__changes_nothing(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    must(run_story(1, 0, 3));
    ow_fixture_exec(bench.fixture, "UPDATE ow_ledger SET outcome = 'nobody''s'");
    ow_engine_assign(&bench.chunk, 2, OW_RESUME_REWOUND, 1);
    assert_int_equal(ow_apply_assignment(&bench.apply, &bench.chunk, &bench.err), OW_UNSAFE);
    assert_non_null(strstr(bench.err.text, "which is no outcome"));
    assert_int_equal(next_offset(), 4);
    assert_int_equal(bench.apply.generation, 1);
    ow_fixture_exec(bench.fixture, "UPDATE ow_ledger SET outcome = 'applied'");
    assign(2, OW_RESUME_REWOUND, 1);
    must(run_story(2, 1, 3));
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT reread FROM ow_position"), 3);
}

static void anchor__of_an_older_assignment__is_not_compared(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    must(run_story(1, 0, 3));
    assign(2, OW_RESUME_STORED, 4);
    ow_chunk_reset(&bench.chunk, 1);
    ow_engine_put(bench.fixture, &bench.chunk, ow_engine_story(bench.fixture, 99), 3);
    must(run_chunk()); /* another record at the anchor's offset, fetched by the one before */
    ow_chunk_reset(&bench.chunk, 2);
    ow_engine_put(bench.fixture, &bench.chunk, ow_engine_story(bench.fixture, 99), 3);
    assert_int_equal(run_chunk(), OW_UNSAFE); /* it was still to be looked at */
}

static void parked__that_a_newer_machine_cannot_read__waits_for_its_deadline(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    must(run_event(0, "d", "order.dispatched", "A", ""));
    must(run_event(1, "e", "order.received", "A", ""));
    ow_fixture_exec(bench.fixture, "UPDATE ow_parked SET value = x'00' WHERE id = 1");
    must(run_event(2, "c", "order.created", "A", ",\"amount\":1,\"currency\":\"EUR\""));
    must(run_event(3, "p", "payment.succeeded", "A",
                   ",\"amount\":1,\"currency\":\"EUR\",\"method\":\"card\",\"payment_id\":\"p\""));
    assert_string_equal(ow_fixture_text(bench.fixture, "SELECT state FROM orders"), "paid");
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT count(*) FROM ow_parked"), 2);
    bench.fixture->clock.now_ms += OW_PARK_DEADLINE_MS_DEFAULT;
    bench.apply.partitions.list->at_end = true;
    bool more = true;
    must(ow_apply_deadlines(&bench.apply, true, &more, &bench.err));
    assert_false(more);
    assert_int_equal(ow_fixture_i64(bench.fixture,
                                    "SELECT count(*) FROM ow_quarantine WHERE reason = "
                                    "'park_timeout' AND entity_id = 'A'"),
                     2);
}

/* The store's rows as before, whatever the batch tried. */
static void assert_untouched(int64_t offset)
{
    assert_int_equal(next_offset(), offset);
    assert_int_equal(ow_fixture_i64(bench.fixture, "SELECT count(*) FROM ow_claims"), offset);
    assert_int_equal(bench.apply.totals.records, offset);
}

static void poison__that_cannot_be_quarantined_either__stops_and_names_the_record(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    must(run_story(1, 0, 0));
    ow_fixture_exec(bench.fixture, "CREATE TRIGGER q BEFORE INSERT ON ow_quarantine BEGIN"
                                   " SELECT raise(ABORT, 'no more'); END");
    ow_chunk_reset(&bench.chunk, 1);
    struct ow_record bad = ow_engine_story(bench.fixture, 1);
    bad.value = OW_SLICE("nonsense"); /* malformed: it owns no claim and names no entity */
    ow_engine_put(bench.fixture, &bench.chunk, bad, 1);
    assert_int_equal(run_chunk(), OW_FAILED);
    assert_string_equal(bench.err.text, "order-events[0] offset 1: cannot even be quarantined: "
                                        "the store refuses the record: no more");
    assert_untouched(1);
}

static void poison__by_a_trigger_that_rolls_everything_back__stops_and_loses_nothing(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    must(run_story(1, 0, 0));
    ow_fixture_exec(bench.fixture, "CREATE TRIGGER t BEFORE INSERT ON payments BEGIN"
                                   " SELECT raise(ROLLBACK, 'all of it'); END");
    assert_int_equal(run_story(1, 1, 3), OW_FAILED);
    assert_untouched(1);
    ow_fixture_exec(bench.fixture, "DROP TRIGGER t");
    must(run_story(1, 1, 3)); /* the same batch, once the trigger is gone */
    assert_string_equal(ow_fixture_text(bench.fixture, "SELECT state FROM orders"), "received");
}

/* Between the first record and the second somebody else takes the store. */
static void batch__after_another_process_took_over__is_unsafe(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    ow_fixture_exec(bench.fixture, "UPDATE ow_meta SET value = value + 1 WHERE key = 'epoch'");
    assert_int_equal(run_story(1, 0, 3), OW_UNSAFE);
    assert_int_equal(run_end(1, "order-events", 9), OW_UNSAFE);
    ow_engine_assign(&bench.chunk, 2, OW_RESUME_REWOUND, 0);
    assert_int_equal(ow_apply_assignment(&bench.apply, &bench.chunk, &bench.err), OW_UNSAFE);
    ow_fixture_exec(bench.fixture, "UPDATE ow_meta SET value = value - 1 WHERE key = 'epoch'");
    assert_int_equal(bench.apply.generation, 1); /* commits are of the old assignment still */
    must(run_story(1, 0, 3));
    assert_int_equal(next_offset(), 4);
}

static int64_t stream_ms(void)
{
    return ow_partitions_stream_time_ms(&bench.apply.partitions, 5000, false);
}

static enum ow_status run_at(int64_t offset, const char *value, int64_t timestamp_ms)
{
    struct ow_record record = ow_engine_story(bench.fixture, offset);
    record.value = ow_slice_of(value);
    record.timestamp_ms = timestamp_ms;
    ow_chunk_reset(&bench.chunk, 1);
    ow_engine_put(bench.fixture, &bench.chunk, record, offset);
    return run_chunk();
}

/* It may be dropped instead of tried again, and then nothing was read up to there. */
static void batch__that_was_rolled_back__does_not_move_the_stream_time(void **state)
{
    (void)state;
    assign(1, OW_RESUME_START, 0);
    must(run_at(0, "malformed", 1000));
    assert_int_equal(stream_ms(), 1000);
    ow_fixture_exec(bench.fixture, "CREATE TRIGGER q BEFORE INSERT ON ow_quarantine BEGIN"
                                   " SELECT raise(ABORT, 'no more'); END");
    assert_int_equal(run_at(1, "malformed", 2000), OW_FAILED);
    assert_int_equal(stream_ms(), 1000);
    ow_fixture_exec(bench.fixture, "DROP TRIGGER q");
    must(run_at(1, "malformed", 2000));
    assert_int_equal(stream_ms(), 2000);
    must(run_at(2, "malformed", -1)); /* of a time that is not known */
    assert_int_equal(stream_ms(), 2000);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int ow_test_apply_edges(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_STORE(end__of_an_older_assignment_or_below_the_position__says_nothing),
        WITH_STORE(ends__of_a_partition_twice_in_a_batch__move_it_to_the_last),
        WITH_STORE(rewind__to_where_it_is__keeps_the_anchor),
        WITH_STORE(rewind__into_a_ledger_that_cannot_be_read__changes_nothing),
        WITH_STORE(anchor__of_an_older_assignment__is_not_compared),
        WITH_STORE(parked__that_a_newer_machine_cannot_read__waits_for_its_deadline),
        WITH_STORE(poison__that_cannot_be_quarantined_either__stops_and_names_the_record),
        WITH_STORE(poison__by_a_trigger_that_rolls_everything_back__stops_and_loses_nothing),
        WITH_STORE(batch__after_another_process_took_over__is_unsafe),
        WITH_STORE(batch__that_was_rolled_back__does_not_move_the_stream_time),
    };
    return cmocka_run_group_tests_name("apply_edges", tests, NULL, NULL);
}
