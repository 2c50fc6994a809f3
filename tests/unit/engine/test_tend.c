/*
 * What a worker does besides records, and when: filters are built behind each batch that makes one
 * necessary, and a run until the end prunes before it ends.
 */
#include "engine/consume.h"
#include "engine/source_memory.h"
#include "engine_fixture.h"
#include "groups.h"

enum { BUCKET = 64 };

static struct ow_fixture *fixture;
static struct ow_memory_broker *broker;
static struct ow_worker *worker;
static struct ow_source *source;
static _Atomic int64_t wall_ms, elapsed_ns;

static int64_t now_of(void *context)
{
    (void)context;
    return atomic_load(&wall_ms);
}

/* A microsecond passes with each look, so that nothing that is done each second is done. */
static int64_t elapsed_of(void *context)
{
    (void)context;
    return atomic_fetch_add(&elapsed_ns, 1000);
}

static const struct ow_clock slow_clock = {.now_ms = now_of, .elapsed_ns = elapsed_of};

static int start(void **state)
{
    (void)ow_engine_start(state);
    fixture = *state;
    ow_fixture_close(fixture);
    fixture->bucket_claims = BUCKET;
    ow_fixture_open(fixture);
    broker = ow_memory_broker_open();
    ow_memory_broker_topic(broker, "order-events", 1);
    ow_memory_broker_topic(broker, "payment-events", 2);
    atomic_store(&wall_ms, 1800000000000);
    atomic_store(&elapsed_ns, INT64_C(1000000000000));
    return 0;
}

static int stop(void **state)
{
    ow_memory_broker_close(broker);
    return ow_engine_stop(state);
}

static void start_worker(size_t batch_rows, size_t decode_threads, struct ow_clock clock)
{
    struct ow_err err;
    struct ow_worker_options options = {.apply = ow_engine_apply_options(fixture),
                                        .batch_rows = batch_rows,
                                        .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
                                        .batch_ms = OW_BATCH_MS_DEFAULT,
                                        .decode_threads = decode_threads};
    options.apply.clock = clock;
    if (ow_worker_start(&options, &worker, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
}

static struct ow_source_ops busy;
static const struct ow_source_ops *inner;
static bool is_read;

static void busy_poll(struct ow_source *from, int timeout_ms, struct ow_source_event *ret_event)
{
    inner->poll(from, timeout_ms, ret_event);
    is_read = is_read || ret_event->kind == OW_SOURCE_RECORD;
}

/* Once it is read there is more of it. */
static enum ow_status busy_bounds(struct ow_source *from, const char *topic, int32_t partition,
                                  int64_t *ret_low, int64_t *ret_high, struct ow_err *err)
{
    OW_TRY(inner->bounds(from, topic, partition, ret_low, ret_high, err));
    *ret_high += is_read && strcmp(topic, "order-events") == 0;
    return OW_OK;
}

/* A run until the end, of a worker and a group member of its own. */
static void run_with(size_t decode_threads, bool is_busy)
{
    struct ow_err err = {.text = ""};
    start_worker(BUCKET, decode_threads,
                 (struct ow_clock){.now_ms = now_of, .elapsed_ns = ow_clock_system().elapsed_ns});
    source = ow_memory_source_open(broker);
    inner = source->ops;
    if (is_busy) {
        busy = *inner;
        busy.poll = busy_poll;
        busy.bounds = busy_bounds;
        source->ops = &busy;
    }
    is_read = false;
    const struct ow_consume_options options = {.source = source,
                                               .worker = worker,
                                               .machines = &fixture->machines,
                                               .clock = ow_clock_system(),
                                               .store_id = ow_store_id(fixture->store),
                                               .epoch = ow_store_epoch(fixture->store),
                                               .until_end = true,
                                               .wait_broker_ms = 10000};
    if (ow_consume(&options, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    ow_worker_stop(worker);
    assert_true(source->ops->close(source, 1000));
    ow_fixture_close(fixture); /* each run is a process */
    ow_fixture_open(fixture);
}

static void run(size_t decode_threads)
{
    run_with(decode_threads, false);
}

static void append_story(int64_t first, int64_t last)
{
    for (int64_t i = first; i <= last; i++) {
        const struct ow_record record = ow_engine_story(fixture, i);
        ow_memory_broker_append(broker, &record);
    }
}

static int64_t claims(void)
{
    return ow_fixture_i64(fixture, "SELECT count(*) FROM ow_claims");
}

static struct ow_chunk *next_chunk(void)
{
    struct ow_chunk *chunk = NULL;
    while ((chunk = ow_worker_chunk(worker)) == NULL) {
        (void)ow_worker_wait_room(worker, 1000);
    }
    return chunk;
}

static void submit_story(int64_t first, int64_t last)
{
    for (int64_t i = first; i <= last;) {
        struct ow_chunk *chunk = next_chunk();
        while (i <= last && !ow_chunk_is_full(chunk)) {
            ow_engine_put(fixture, chunk, ow_engine_story(fixture, i), i);
            i++;
        }
        ow_worker_submit(worker, chunk);
    }
}

/* Without that each key would be looked up in all buckets that a second has filled. */
static void batch_that_seals_a_bucket__its_filter_is_built_behind_it(void **state)
{
    (void)state;
    start_worker(BUCKET, 2, slow_clock);
    const uint32_t generation = ow_worker_next_generation(worker);
    struct ow_chunk *chunk = next_chunk();
    ow_engine_assign(chunk, generation, OW_RESUME_START, 0);
    ow_worker_submit(worker, chunk);
    submit_story(0, 40 * BUCKET - 1);
    assert_true(ow_worker_drain(worker, 60000));
    ow_worker_stop(worker);
    assert_int_equal(claims(), 40 * BUCKET);
    struct ow_claim_probes probes;
    ow_store_claim_probes(fixture->store, &probes);
    assert_int_equal(probes.keys, 40 * BUCKET);
    assert_true(probes.lookups < 2 * probes.keys); /* the open one, and at times a sealed one */
}

static void run_until_the_end__prunes_what_is_over(size_t decode_threads)
{
    append_story(0, 2 * BUCKET + 4);
    run(decode_threads);
    assert_int_equal(claims(), 2 * BUCKET + 5);
    atomic_fetch_add(&wall_ms, OW_CLAIM_RETENTION_MS_DEFAULT / 2);
    run(decode_threads); /* seals what is old; nothing is over */
    assert_int_equal(claims(), 2 * BUCKET + 5);
    atomic_fetch_add(&wall_ms, OW_CLAIM_RETENTION_MS_DEFAULT / 2 + 1);
    run(decode_threads);
    assert_int_equal(claims(), 5); /* known to be no older than a sixteenth of the retention */
    atomic_fetch_add(&wall_ms, OW_CLAIM_RETENTION_MS_DEFAULT / 16);
    run(decode_threads);
    assert_int_equal(claims(), 0);
}

static void run_until_the_end__with_threads__prunes_what_is_over(void **state)
{
    (void)state;
    run_until_the_end__prunes_what_is_over(2);
}

static void run_until_the_end__without_threads__prunes_what_is_over(void **state)
{
    (void)state;
    run_until_the_end__prunes_what_is_over(0);
}

/*
 * Sealed by that very run, and due at once: the ends are confirmed for it. Several times, for the
 * ends may overtake the question for pruning or not.
 */
static void run_until_the_end__bucket_that_was_open__goes_too(void **state)
{
    (void)state;
    for (int64_t round = 0; round < 20; round++) {
        append_story(5 * round, 5 * round + 4);
        run(2);
        assert_int_equal(claims(), 5);
        atomic_fetch_add(&wall_ms, 2 * OW_CLAIM_RETENTION_MS_DEFAULT);
        run(2);
        assert_int_equal(claims(), 0);
    }
}

/* A topic that nobody writes to does not keep the claims of one that never rests. */
static void
run_until_the_end__of_a_topic_that_goes_on__prunes_what_its_records_are_past(void **state)
{
    (void)state;
    append_story(0, 4);
    run(2);
    for (int past = 0; past < 2; past++) {
        atomic_fetch_add(&wall_ms, OW_CLAIM_RETENTION_MS_DEFAULT);
        struct ow_record record = ow_engine_story(fixture, 5 + past);
        record.timestamp_ms = past == 0 ? 1800000000000 : atomic_load(&wall_ms);
        ow_memory_broker_append(broker, &record);
        run_with(2, true);
        assert_int_equal(claims(), past == 0 ? 6 : 2);
    }
}

static void prune__worker_that_has_failed__says_no(void **state)
{
    (void)state;
    start_worker(BUCKET, 1, ow_clock_system());
    assert_true(ow_worker_prune(worker, 10000));
    const uint32_t generation = ow_worker_next_generation(worker);
    struct ow_chunk *chunk = next_chunk();
    ow_engine_assign(chunk, generation, OW_RESUME_START, 0);
    ow_fixture_exec(fixture, "UPDATE ow_meta SET value = value + 1 WHERE key = 'epoch'");
    ow_worker_submit(worker, chunk);
    assert_false(ow_worker_drain(worker, 10000));
    assert_false(ow_worker_prune(worker, 10000));
    ow_worker_stop(worker);
}

int ow_test_tend(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(batch_that_seals_a_bucket__its_filter_is_built_behind_it),
        TEST(run_until_the_end__with_threads__prunes_what_is_over),
        TEST(run_until_the_end__without_threads__prunes_what_is_over),
        TEST(run_until_the_end__bucket_that_was_open__goes_too),
        TEST(run_until_the_end__of_a_topic_that_goes_on__prunes_what_its_records_are_past),
        TEST(prune__worker_that_has_failed__says_no),
    };
#undef TEST
    return cmocka_run_group_tests_name("tend", tests, NULL, NULL);
}
