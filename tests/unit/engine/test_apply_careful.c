/* A chunk of suspects under notes of earlier deaths, in one process: what is tried, what is
 * quarantined, and that a store that fails meanwhile loses nothing. */
#include "engine/apply.h"
#include "engine_fixture.h"
#include "groups.h"

#include <string.h>
#include <unistd.h>

#define CREATED   ",\"amount\":5,\"currency\":\"EUR\""
#define PAID(how) ",\"amount\":5,\"currency\":\"EUR\",\"method\":\"" how "\",\"payment_id\":\"p\""

static struct ow_suspects notes;

static struct {
    struct ow_fixture *fixture;
    struct ow_apply apply;
    struct ow_chunk chunk;
    struct ow_err err;
    struct ow_pulses pulses;
} bench;

static void must(enum ow_status status)
{
    if (status != OW_OK) {
        fail_msg("%s", bench.err.text);
    }
}

static int start(void **state)
{
    (void)ow_engine_start(state);
    bench.fixture = *state;
    ow_chunk_init(&bench.chunk, OW_CHUNK_ROWS);
    ow_pulses_init(&bench.pulses);
    memset(&notes, 0, sizeof notes);
    assert_int_equal(ow_suspects_adopt(&notes, "boot", ow_store_id(bench.fixture->store)),
                     OW_ADOPTED_NEW);
    struct ow_apply_options options = ow_engine_apply_options(bench.fixture);
    options.suspects = &notes;
    options.pulse = &bench.pulses.list[0];
    must(ow_apply_open(&bench.apply, &options, &bench.err));
    ow_engine_assign(&bench.chunk, 1, OW_RESUME_START, 0);
    must(ow_apply_assignment(&bench.apply, &bench.chunk, &bench.err));
    return 0;
}

static int stop(void **state)
{
    ow_apply_close(&bench.apply);
    ow_chunk_done(&bench.chunk);
    return ow_engine_stop(state);
}

/* parked_id: of what the record wakes; 0: the record itself. */
static void accuse(int64_t offset, int64_t parked_id, uint32_t deaths, enum ow_stage stage)
{
    notes.accused[notes.accused_count++] = (struct ow_accused){
        .place = {.topic = "order-events", .topic_len = 12, .offset = offset},
        .parked_id = parked_id,
        .deaths = deaths,
        .stage = stage
    };
}

static enum ow_status run(struct ow_record record, int64_t offset, enum ow_care care)
{
    struct ow_chunk *const list[] = {&bench.chunk};
    ow_chunk_reset(&bench.chunk, 1);
    bench.chunk.care = care;
    ow_engine_put(bench.fixture, &bench.chunk, record, offset);
    if (care == OW_CARE_NONE) {
        ow_engine_decode(bench.fixture, &bench.chunk);
    }
    return ow_apply_batch(&bench.apply, list, 1, &bench.err);
}

/* An event of entity A; its id is its type's. */
static enum ow_status run_event(int64_t offset, const char *type, const char *data,
                                enum ow_care care)
{
    return run(ow_engine_event(bench.fixture, type, type, "A", data), offset, care);
}

static int64_t count(const char *sql)
{
    return ow_fixture_i64(bench.fixture, sql);
}

static void expect_poison(const char *detail)
{
    assert_int_equal(count("SELECT count(*) FROM ow_quarantine WHERE reason = 'poison'"), 1);
    assert_string_equal(ow_fixture_text(bench.fixture, "SELECT detail FROM ow_quarantine"), detail);
    assert_int_equal(bench.apply.totals.counts[OW_OUTCOME_QUARANTINED],
                     count("SELECT quarantined FROM ow_position"));
}

static void expect_next_offset(int64_t offset)
{
    assert_int_equal(count("SELECT next_offset FROM ow_position"), offset);
    assert_int_equal(atomic_load(&notes.slots[0].stage), OW_STAGE_IDLE);
}

static void accused__before_it_is_convicted__is_applied(void **state)
{
    (void)state;
    accuse(0, 0, OW_SUSPECT_DEATHS - 1, OW_STAGE_APPLY);
    must(run_event(0, "order.created", CREATED, OW_CARE_ALONE));
    assert_int_equal(bench.apply.totals.counts[OW_OUTCOME_APPLIED], 1);
    assert_int_equal(count("SELECT count(*) FROM ow_quarantine"), 0);
    expect_next_offset(1);
}

static void convicted__of_its_writing__is_quarantined_with_its_claim(void **state)
{
    (void)state;
    accuse(0, 0, OW_SUSPECT_DEATHS, OW_STAGE_APPLY);
    must(run_event(0, "order.created", CREATED, OW_CARE_ALONE));
    expect_poison("the process died 3 times while it was in work alone");
    assert_int_equal(count("SELECT count(*) FROM ow_claims"), 1);
    assert_int_equal(count("SELECT count(*) FROM orders"), 0);
    expect_next_offset(1);
}

static void convicted__of_its_reading__is_quarantined_as_bytes(void **state)
{
    (void)state;
    accuse(0, 0, OW_SUSPECT_DEATHS, OW_STAGE_READ);
    must(run_event(0, "order.created", CREATED, OW_CARE_ALONE));
    expect_poison("the process died 3 times while it was in work alone; it was not read again");
    assert_int_equal(count("SELECT count(*) FROM ow_quarantine WHERE machine IS NULL"), 1);
    assert_int_equal(count("SELECT count(*) FROM ow_claims"), 0);
    expect_next_offset(1);
}

static void careful__that_the_store_refuses__is_quarantined_with_what_it_says(void **state)
{
    (void)state;
    ow_fixture_exec(bench.fixture, "CREATE TRIGGER t BEFORE INSERT ON orders BEGIN"
                                   " SELECT raise(ABORT, 'no more'); END");
    must(run_event(0, "order.created", CREATED, OW_CARE_CAREFUL));
    expect_poison("the store refuses the record: no more");
    expect_next_offset(1);
}

static void accused__that_the_store_refuses_itself__is_the_guilty_one(void **state)
{
    (void)state;
    must(run_event(0, "payment.succeeded", PAID("card"), OW_CARE_NONE));
    ow_fixture_exec(bench.fixture, "CREATE TRIGGER t BEFORE INSERT ON orders BEGIN"
                                   " SELECT raise(ABORT, 'no more'); END");
    accuse(1, 0, 1, OW_STAGE_APPLY);
    must(run_event(1, "order.created", CREATED, OW_CARE_ALONE));
    expect_poison("the store refuses the record: no more");
    assert_int_equal(count("SELECT count(*) FROM ow_parked"), 1); /* it was not woken */
    expect_next_offset(2);
}

static void accused__without_an_entity__wakes_nobody(void **state)
{
    (void)state;
    accuse(0, 0, 1, OW_STAGE_APPLY);
    struct ow_record bad = ow_engine_story(bench.fixture, 0);
    bad.value = OW_SLICE("nonsense");
    must(run(bad, 0, OW_CARE_ALONE));
    assert_string_equal(ow_fixture_text(bench.fixture, "SELECT reason FROM ow_quarantine"),
                        "malformed");
    expect_next_offset(1);
}

static void woken__convicted_one__is_quarantined_and_the_other_is_woken(void **state)
{
    (void)state;
    must(run_event(0, "payment.succeeded", PAID("deadly"), OW_CARE_NONE));
    must(run_event(1, "order.cancelled", "", OW_CARE_NONE));
    assert_int_equal(count("SELECT count(*) FROM ow_parked"), 2);
    accuse(2, count("SELECT min(id) FROM ow_parked"), OW_SUSPECT_DEATHS, OW_STAGE_WAKE);
    must(run_event(2, "order.created", CREATED, OW_CARE_ALONE));
    expect_poison("the process died 3 times while it was woken alone");
    assert_string_equal(ow_fixture_text(bench.fixture, "SELECT state FROM orders"), "cancelled");
    assert_int_equal(count("SELECT count(*) FROM ow_parked"), 0);
    assert_int_equal(count("SELECT count(*) FROM payments"), 0);
    expect_next_offset(3);
}

static void convicted__that_cannot_be_quarantined__stops_and_names_it(void **state)
{
    (void)state;
    ow_fixture_exec(bench.fixture, "CREATE TRIGGER q BEFORE INSERT ON ow_quarantine BEGIN"
                                   " SELECT raise(ABORT, 'no more'); END");
    accuse(0, 0, OW_SUSPECT_DEATHS, OW_STAGE_APPLY);
    assert_int_equal(run_event(0, "order.created", CREATED, OW_CARE_ALONE), OW_FAILED);
    assert_string_equal(bench.err.text, "order-events[0] offset 0: cannot even be quarantined: "
                                        "the store refuses the record: no more");
    expect_next_offset(0);
    assert_int_equal(bench.apply.totals.records, 0);
}

static void careful__below_the_position__is_dropped_without_a_transaction(void **state)
{
    (void)state;
    must(run_event(0, "order.created", CREATED, OW_CARE_NONE));
    const struct ow_totals before = bench.apply.totals;
    accuse(0, 0, OW_SUSPECT_DEATHS, OW_STAGE_APPLY); /* and it is not quarantined any more */
    must(run_event(0, "order.created", CREATED, OW_CARE_ALONE));
    assert_int_equal(bench.apply.totals.same_offset, before.same_offset + 1);
    assert_int_equal(bench.apply.totals.records, before.records);
    assert_int_equal(bench.apply.totals.batches, before.batches);
    assert_int_equal(count("SELECT count(*) FROM ow_quarantine"), 0);
    expect_next_offset(1);
}

static void careful__another_record_at_the_anchor__is_unsafe(void **state)
{
    (void)state;
    must(run_event(0, "order.created", CREATED, OW_CARE_NONE));
    ow_engine_assign(&bench.chunk, 1, OW_RESUME_STORED, 1);
    must(ow_apply_assignment(&bench.apply, &bench.chunk, &bench.err));
    assert_int_equal(run_event(0, "order.cancelled", "", OW_CARE_CAREFUL), OW_UNSAFE);
    assert_non_null(strstr(bench.err.text, "is not the one that was handled there"));
    expect_next_offset(1);
}

static void careful__after_another_process_took_over__is_unsafe(void **state)
{
    (void)state;
    ow_fixture_exec(bench.fixture, "UPDATE ow_meta SET value = value + 1 WHERE key = 'epoch'");
    assert_int_equal(run_event(0, "order.created", CREATED, OW_CARE_CAREFUL), OW_UNSAFE);
    expect_next_offset(0);
    ow_fixture_exec(bench.fixture, "UPDATE ow_meta SET value = value - 1 WHERE key = 'epoch'");
    must(run_event(0, "order.created", CREATED, OW_CARE_CAREFUL));
    expect_next_offset(1);
}

/* Tried as an accused one, it does without what cannot be read as little as any other. */
static void store__that_cannot_be_read__stops_and_loses_nothing(void **state)
{
    (void)state;
    must(run_event(0, "payment.succeeded", PAID("card"), OW_CARE_NONE));
    ow_fixture_exec(bench.fixture, "ALTER TABLE ow_parked RENAME TO ow_gone");
    assert_int_not_equal(run_event(1, "order.created", CREATED, OW_CARE_CAREFUL), OW_OK);
    expect_next_offset(1);
    accuse(1, 0, 1, OW_STAGE_APPLY);
    assert_int_not_equal(run_event(1, "order.created", CREATED, OW_CARE_ALONE), OW_OK);
    expect_next_offset(1);
    ow_fixture_exec(bench.fixture, "ALTER TABLE ow_gone RENAME TO ow_parked");
    must(run_event(1, "order.created", CREATED, OW_CARE_ALONE));
    assert_string_equal(ow_fixture_text(bench.fixture, "SELECT state FROM orders"), "paid");
    expect_next_offset(2);
}

static void roll_back_on(const char *method)
{
    ow_fixture_exec(bench.fixture,
                    ow_arena_printf(&bench.fixture->kept,
                                    "CREATE TRIGGER t BEFORE INSERT ON payments WHEN NEW.method ="
                                    " '%s' BEGIN SELECT raise(ROLLBACK, 'all of it'); END",
                                    method));
}

/* Not a refusal of the record: nobody knows what else the trigger has undone. */
static void woken__by_an_accused__rolls_all_back__stops_and_loses_nothing(void **state)
{
    (void)state;
    must(run_event(0, "payment.succeeded", PAID("bad"), OW_CARE_NONE));
    roll_back_on("bad");
    accuse(1, 0, 1, OW_STAGE_APPLY);
    assert_int_equal(run_event(1, "order.created", CREATED, OW_CARE_ALONE), OW_FAILED);
    assert_int_equal(count("SELECT count(*) FROM ow_quarantine"), 0);
    expect_next_offset(1);
    ow_fixture_exec(bench.fixture, "DROP TRIGGER t");
    must(run_event(1, "order.created", CREATED, OW_CARE_ALONE));
    assert_string_equal(ow_fixture_text(bench.fixture, "SELECT state FROM orders"), "paid");
}

/* The first that is woken is refused; while the guilty one is looked for the second rolls back. */
static void woken__beside_a_refused_one__rolls_all_back__stops_and_loses_nothing(void **state)
{
    (void)state;
    must(run_event(0, "order.cancelled", "", OW_CARE_NONE));
    must(run_event(1, "payment.succeeded", PAID("bad"), OW_CARE_NONE));
    roll_back_on("bad");
    ow_fixture_exec(bench.fixture, "CREATE TRIGGER u BEFORE INSERT ON orders WHEN NEW.state ="
                                   " 'cancelled' BEGIN SELECT raise(ABORT, 'no more'); END");
    assert_int_equal(run_event(2, "order.created", CREATED, OW_CARE_CAREFUL), OW_FAILED);
    assert_int_equal(count("SELECT count(*) FROM ow_quarantine"), 0);
    expect_next_offset(2);
    ow_fixture_exec(bench.fixture, "DROP TRIGGER t");
    must(run_event(2, "order.created", CREATED, OW_CARE_CAREFUL));
    expect_next_offset(3);
}

/* The next transaction may have to empty it: that takes as long as it is large. */
static void pulse__while_the_log_is_large__is_not_looked_at(void **state)
{
    (void)state;
    struct ow_pulse *const pulse = &bench.pulses.list[0];
    must(run_event(0, "order.created", CREATED, OW_CARE_NONE));
    assert_string_equal(atomic_load(&pulse->doing), "committing a transaction");
    const char *wal = ow_arena_printf(&bench.fixture->kept, "%s-wal", bench.fixture->path);
    assert_int_equal(truncate(wal, (off_t)100 << 20), 0);
    must(run_event(1, "order.cancelled", "", OW_CARE_NONE));
    assert_null(atomic_load(&pulse->doing));
    expect_next_offset(2);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int ow_test_apply_careful(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_STORE(accused__before_it_is_convicted__is_applied),
        WITH_STORE(convicted__of_its_writing__is_quarantined_with_its_claim),
        WITH_STORE(convicted__of_its_reading__is_quarantined_as_bytes),
        WITH_STORE(careful__that_the_store_refuses__is_quarantined_with_what_it_says),
        WITH_STORE(accused__that_the_store_refuses_itself__is_the_guilty_one),
        WITH_STORE(accused__without_an_entity__wakes_nobody),
        WITH_STORE(woken__convicted_one__is_quarantined_and_the_other_is_woken),
        WITH_STORE(convicted__that_cannot_be_quarantined__stops_and_names_it),
        WITH_STORE(careful__below_the_position__is_dropped_without_a_transaction),
        WITH_STORE(careful__another_record_at_the_anchor__is_unsafe),
        WITH_STORE(careful__after_another_process_took_over__is_unsafe),
        WITH_STORE(store__that_cannot_be_read__stops_and_loses_nothing),
        WITH_STORE(woken__by_an_accused__rolls_all_back__stops_and_loses_nothing),
        WITH_STORE(woken__beside_a_refused_one__rolls_all_back__stops_and_loses_nothing),
        WITH_STORE(pulse__while_the_log_is_large__is_not_looked_at),
    };
    return cmocka_run_group_tests_name("apply_careful", tests, NULL, NULL);
}
