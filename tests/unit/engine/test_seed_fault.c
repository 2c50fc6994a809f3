/*
 * The store's disk fails at the n-th call, for each n, once and for ever, while what another system
 * did is taken over. Whatever was told, giving the same again leads to the end that an untroubled
 * run has, and every promise is kept on the way.
 */
#include "engine/seed.h"
#include "engine_fixture.h"
#include "groups.h"
#include "store/verify.h"
#include "support/store/fault_vfs.h"

#include <sqlite3.h>

#include <stdlib.h>

enum { CLAIMS = 8, ENTITIES = 2 };

/* Over a store of its own, in which something waits for the second entity. */
struct bench {
    struct ow_fixture fixture;
    struct ow_apply apply;
    struct ow_chunk chunk;
    struct ow_seed_claim claims[CLAIMS];
    struct ow_seed_entity entities[ENTITIES];
    struct ow_err err;
};

static struct bench bench;

static const char *const entities[ENTITIES] = {
    "{\"id\":\"o1\",\"state\":\"created\",\"amount_minor\":5,\"currency\":\"EUR\"}",
    "{\"id\":\"o2\",\"state\":\"created\",\"amount_minor\":5,\"currency\":\"EUR\"}",
};

static void must(enum ow_status status)
{
    if (status != OW_OK) {
        fail_msg("%s: %s", ow_status_text(status), bench.err.text);
    }
}

static void open_all(void)
{
    ow_fixture_open(&bench.fixture);
    const struct ow_apply_options options = ow_engine_apply_options(&bench.fixture);
    must(ow_apply_open(&bench.apply, &options, &bench.err));
}

static void close_all(void)
{
    ow_apply_close(&bench.apply);
    ow_fixture_close(&bench.fixture);
}

static void read_claims(void)
{
    for (int i = 0; i < CLAIMS; i++) {
        OW_JSON *row = json_pack("{s:s, s:o}", "source", "s", "id", json_sprintf("m%d", i));
        assert_null(ow_seed_read_claim(&bench.fixture.machines,
                                       ow_store_hash_key(bench.fixture.store), row,
                                       &bench.fixture.kept, &bench.claims[i]));
        bench.claims[i].record = (struct ow_record){.topic = OW_SLICE(OW_SEED_NAME), .offset = i};
    }
}

static void read_entities(void)
{
    for (size_t i = 0; i < ENTITIES; i++) {
        OW_JSON *row = json_loads(entities[i], 0, NULL);
        assert_non_null(row);
        assert_null(ow_seed_entity_read(bench.fixture.machines.list[0], row, &bench.fixture.kept,
                                        &bench.entities[i]));
        bench.entities[i].record = (struct ow_record){.topic = OW_SLICE(OW_SEED_NAME), .offset = 1};
    }
}

/* A payment that came before its order. */
static void park(void)
{
    struct ow_chunk *const list[] = {&bench.chunk};
    ow_engine_assign(&bench.chunk, 1, OW_RESUME_START, 0);
    must(ow_apply_assignment(&bench.apply, &bench.chunk, &bench.err));
    ow_chunk_reset(&bench.chunk, 1);
    ow_engine_put(&bench.fixture, &bench.chunk,
                  ow_engine_event(&bench.fixture, "p", "payment.succeeded", "o2",
                                  ",\"amount\":5,\"currency\":\"EUR\",\"method\":\"card\","
                                  "\"payment_id\":\"p2\""),
                  0);
    ow_engine_decode(&bench.fixture, &bench.chunk);
    must(ow_apply_batch(&bench.apply, list, 1, &bench.err));
}

static enum ow_status seed_claims(void)
{
    size_t claimed = 0;
    return ow_seed_claims(&bench.apply, bench.claims, CLAIMS, &claimed, &bench.err);
}

static enum ow_status seed_entities(void)
{
    enum ow_seeded seeded[ENTITIES];
    return ow_seed_entities(&bench.apply, bench.entities, ENTITIES, seeded, &bench.err);
}

static void verify(void)
{
    struct ow_arena arena;
    struct ow_verification found;
    ow_arena_init(&arena, 65536);
    must(ow_verify(bench.fixture.path, &arena, &found, &bench.err));
    for (size_t i = 0; i < found.promise_count; i++) {
        if (found.promises[i].broken > 0) {
            fail_msg("%s: %s", found.promises[i].name, found.promises[i].examples[0]);
        }
    }
    ow_arena_done(&arena);
}

static void assert_all_is_taken_over(void)
{
    verify();
    assert_string_equal(
        ow_fixture_text(&bench.fixture,
                        "SELECT (SELECT count(*) FROM ow_claims) || ' claims, ' || "
                        "(SELECT group_concat(order_id || ' ' || state) FROM (SELECT * FROM orders"
                        " ORDER BY order_id)) || ', ' || (SELECT count(*) FROM payments) || "
                        "' payments, ' || (SELECT count(*) FROM ow_parked) || ' parked'"),
        "9 claims, o1 created,o2 paid, 1 payments, 0 parked");
}

/* What a failed call must come back as; it is rolled back, or the store is to be opened again. */
static void recover(const struct ow_fault *fault, enum ow_status status)
{
    assert_true(ow_fault_disarm());
    assert_int_equal(status, fault->code == SQLITE_FULL ? OW_STORE_FULL : OW_STORE_UNKNOWN);
    assert_string_not_equal(bench.err.text, "");
    if (status == OW_STORE_UNKNOWN) {
        close_all();
        open_all();
    }
    verify();
}

/* True where the fault struck. */
static bool seed_with(const struct ow_fault *fault)
{
    static enum ow_status (*const steps[])(void) = {seed_claims, seed_entities};
    bool failed = false;
    ow_fixture_init(&bench.fixture);
    bench.fixture.bucket_claims = 3; /* full buckets get filters on the way */
    open_all();
    park();
    close_all(); /* nothing is in memory any more */
    open_all();
    read_claims();
    read_entities();
    ow_fault_arm(fault);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const enum ow_status status = steps[i]();
        if (status != OW_OK) {
            recover(fault, status);
            failed = true;
            must(steps[i]());
        }
    }
    const bool fired = ow_fault_disarm() || failed;
    assert_all_is_taken_over();
    close_all();
    ow_fixture_done(&bench.fixture);
    return fired;
}

/* Each n until a run in which nothing failed; without ONCEWARD_MORE every seventh. */
static void sweep(enum ow_fault_call call, int code)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the test is one thread */
    const int64_t stride = getenv("ONCEWARD_MORE") == NULL ? 7 : 1;
    for (int for_ever = 0; for_ever < 2; for_ever++) {
        struct ow_fault fault = {.call = call, .at = 1, .for_ever = for_ever == 1, .code = code};
        while (seed_with(&fault)) {
            fault.at += stride;
        }
        assert_true(fault.at > 1);
    }
}

static void seeding__where_the_disk_is_full__can_be_given_again(void **state)
{
    (void)state;
    sweep(OW_FAULT_WRITE, SQLITE_FULL);
}

static void seeding__where_a_write_fails__can_be_given_again(void **state)
{
    (void)state;
    sweep(OW_FAULT_WRITE, SQLITE_IOERR_WRITE);
}

static void seeding__where_a_read_fails__can_be_given_again(void **state)
{
    (void)state;
    sweep(OW_FAULT_READ, SQLITE_IOERR_READ);
}

static void seeding__where_a_lock_fails__can_be_given_again(void **state)
{
    (void)state;
    sweep(OW_FAULT_LOCK, SQLITE_IOERR_SHMLOCK);
}

static int start(void **state)
{
    (void)state;
    ow_fault_install();
    ow_chunk_init(&bench.chunk, OW_CHUNK_ROWS);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ow_chunk_done(&bench.chunk);
    ow_fault_remove();
    return 0;
}

int ow_test_seed_fault(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeding__where_the_disk_is_full__can_be_given_again),
        cmocka_unit_test(seeding__where_a_write_fails__can_be_given_again),
        cmocka_unit_test(seeding__where_a_read_fails__can_be_given_again),
        cmocka_unit_test(seeding__where_a_lock_fails__can_be_given_again),
    };
    return cmocka_run_group_tests_name("seed_fault", tests, start, stop);
}
