/* A worker with its threads, whose process before died with records in work. */
#include "engine/worker_internal.h"
#include "engine_fixture.h"
#include "groups.h"

#include <stdlib.h>

static struct ow_fixture *fixture;
static struct ow_worker *worker;
static struct ow_suspects *notes;

static int start(void **state)
{
    (void)ow_engine_start(state);
    fixture = *state;
    worker = NULL;
    notes = calloc(1, sizeof(*notes));
    assert_non_null(notes);
    (void)ow_suspects_adopt(notes, "boot", ow_store_id(fixture->store));
    return 0;
}

static int stop(void **state)
{
    ow_worker_stop(worker);
    free(notes);
    return ow_engine_stop(state);
}

static enum ow_status start_worker(struct ow_err *err)
{
    struct ow_worker_options options = {.apply = ow_engine_apply_options(fixture),
                                        .batch_rows = 64,
                                        .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
                                        .batch_ms = OW_BATCH_MS_DEFAULT,
                                        .decode_threads = 2};
    options.apply.clock = ow_clock_system();
    options.apply.suspects = notes;
    return ow_worker_start(&options, &worker, err);
}

static struct ow_chunk *next_chunk(void)
{
    struct ow_chunk *const chunk = ow_worker_chunk(worker);
    assert_non_null(chunk);
    return chunk;
}

static void start__after_a_death_in_work__handles_what_is_accused_by_itself(void **state)
{
    enum { ACCUSED = 5, RECORDS = 12 };
    (void)state;
    struct ow_err err = {.text = ""};
    const struct ow_record record = {.topic = OW_SLICE("order-events"), .offset = ACCUSED};
    ow_suspects_partition(notes, record.topic, 0)->place.offset = ACCUSED;
    ow_slot_work(&notes->slots[1], OW_STAGE_READ, &record, 1, 0);
    assert_int_equal(start_worker(&err), OW_OK);
    assert_int_equal(worker->apply.last_death.stage, OW_STAGE_READ);
    assert_true(worker->apply.last_death.alone);
    assert_int_equal(notes->accused_count, 1);
    const uint32_t generation = ow_worker_next_generation(worker);
    struct ow_chunk *chunk = next_chunk();
    ow_engine_assign(chunk, generation, OW_RESUME_START, 0);
    ow_worker_submit(worker, chunk);
    const struct ow_suspect_partition *const partition =
        ow_suspects_partition(notes, record.topic, 0);
    for (int64_t i = 0; i < RECORDS; i++) {
        chunk = next_chunk();
        chunk->care = ow_suspects_care(notes, partition, i);
        assert_int_equal(chunk->care == OW_CARE_ALONE, i == ACCUSED);
        ow_engine_put(fixture, chunk, ow_engine_story(fixture, i), i);
        ow_worker_submit(worker, chunk);
    }
    assert_true(ow_worker_drain(worker, 60000));
    assert_int_equal(ow_worker_totals(worker).counts[OW_OUTCOME_APPLIED], RECORDS);
    for (size_t i = 0; i < OW_SUSPECT_SLOTS; i++) {
        assert_int_equal(atomic_load(&notes->slots[i].stage), OW_STAGE_IDLE);
    }
}

static void start__after_deaths_of_record_after_record__is_refused(void **state)
{
    (void)state;
    struct ow_err err = {.text = ""};
    notes->convictions = OW_SUSPECT_CONVICTIONS;
    assert_int_equal(start_worker(&err), OW_UNSAFE);
    assert_non_null(strstr(err.text, "it is not the records"));
    assert_null(worker);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int ow_test_worker_death(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_STORE(start__after_a_death_in_work__handles_what_is_accused_by_itself),
        WITH_STORE(start__after_deaths_of_record_after_record__is_refused),
    };
    return cmocka_run_group_tests_name("worker_death", tests, NULL, NULL);
}
