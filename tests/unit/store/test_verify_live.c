#include "groups.h"
#include "store/verify.h"
#include "support/store/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/*
 * verify beside a worker that writes: whatever happens between two snapshots, there is no false
 * alarm, and no snapshot lives longer than it may.
 */

/* A worker that goes on between the slices, and a clock that moves on with each look at it. */
struct live {
    struct ow_fixture fixture;
    struct ow_clock_manual clock;
    int64_t step_ns;
    uint64_t seed;
    int per_slice; /* records between two slices */
    int records;
    const char *undone; /* what another hand takes back when the first pass is over */
};

static int64_t ticking_ns(void *context)
{
    struct live *live = context;
    return live->clock.elapsed_ns += live->step_ns;
}

static int64_t standing_ms(void *context)
{
    const struct live *live = context;
    return live->clock.now_ms;
}

static unsigned draw(struct live *live, unsigned below)
{
    live->seed = live->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(live->seed >> 33) % below;
}

/* Any event of any of some orders: early and late ones, repetitions, conflicts, nonsense. */
static const char *make_value(struct live *live)
{
    static const char *const types[] = {"order.created",    "payment.succeeded", "order.dispatched",
                                        "order.received",   "order.cancelled",   "payment.refunded",
                                        "order.of.no.kind", "order.dispatched"};
    struct ow_arena *arena = &live->fixture.arena; /* of the batch */
    const unsigned type = draw(live, 8);
    const unsigned order = draw(live, 30);
    const char *data = "";
    if (draw(live, 20) == 0) {
        return "no event";
    }
    if (type == 0) {
        data =
            ow_arena_printf(arena, ",\"amount\":%u,\"currency\":\"EUR\"", 5 + draw(live, 20) / 19);
    } else if (type == 1) {
        data = ow_arena_printf(arena,
                               ",\"payment_id\":\"p-%u-%u\",\"amount\":5,\"currency\":\"EUR\","
                               "\"method\":\"card\"",
                               order, draw(live, 2));
    } else if (type == 5) {
        data =
            ow_arena_printf(arena, ",\"refund_id\":\"r-%u-%u\",\"amount\":2,\"currency\":\"EUR\"",
                            order, draw(live, 4));
    }
    return ow_arena_printf(arena,
                           "{\"specversion\":\"1.0\",\"id\":\"o%u-%u-%u\",\"source\":\"/shop/eu\","
                           "\"type\":\"%s\",\"data\":{\"order_id\":\"o%u\"%s}}",
                           order, type, draw(live, 3), types[type], order, data);
}

/* A batch of the worker. */
static void feed(struct live *live, int records)
{
    struct ow_fixture *fixture = &live->fixture;
    ow_fixture_begin(fixture);
    for (int i = 0; i < records; i++) {
        struct ow_record *record = OW_ARENA_NEW(&fixture->arena, struct ow_record);
        *record = (struct ow_record){.topic = fixture->position.topic,
                                     .offset = fixture->position_offset++,
                                     .timestamp_ms = fixture->clock.now_ms,
                                     .key = OW_SLICE("a key"),
                                     .value = ow_slice_of(make_value(live))};
        (void)ow_fixture_judge(fixture, record);
    }
    assert_int_equal(ow_fixture_write(fixture), OW_OK);
    ow_fixture_commit(fixture);
    fixture->clock.now_ms += 1000;
    live->records += records;
}

static void go_on(const struct ow_verify_progress *progress, void *context)
{
    struct live *live = context;
    if (live->per_slice > 0) {
        feed(live, live->per_slice);
    }
    if (live->undone != NULL && strcmp(progress->phase, "state hash") == 0) {
        ow_fixture_exec(&live->fixture, live->undone);
        live->undone = NULL;
    }
}

static void begin(struct live *live, uint64_t seed, int records)
{
    *live = (struct live){.seed = seed, .clock = {.now_ms = 1800000000000}};
    ow_fixture_init(&live->fixture);
    live->fixture.bucket_claims = 7; /* buckets are sealed all the time */
    ow_fixture_open(&live->fixture);
    while (live->records < records) {
        feed(live, 25);
    }
}

static struct ow_verification verify(struct live *live, int64_t slice_ms)
{
    const struct ow_verify_options options = {
        .path = live->fixture.path,
        .clock = {.now_ms = standing_ms, .elapsed_ns = ticking_ns, .context = live},
        .slice_ms = slice_ms,
        .between = go_on,
        .context = live
    };
    struct ow_verification verification;
    if (ow_verify_store(&options, &live->fixture.kept, &verification, &live->fixture.err) !=
        OW_OK) {
        fail_msg("verify: %s", live->fixture.err.text);
    }
    return verification;
}

static void expect_sound(const struct ow_verification *verification, uint64_t seed)
{
    for (size_t i = 0; i < verification->promise_count; i++) {
        const struct ow_promise *promise = &verification->promises[i];
        for (size_t k = 0; promise->examples[k] != NULL; k++) {
            print_message("seed %d: %s: %s\n", (int)seed, promise->name, promise->examples[k]);
        }
    }
    assert_true(verification->ok);
}

static void verify__beside_a_worker__raises_no_false_alarm(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 16; seed++) {
        struct live live;
        begin(&live, seed, 150);
        /* From a slice for nearly each row to one for some hundreds, so that the worker's batches
         * come everywhere. */
        live.step_ns = 1000000 / (int64_t)(1 + seed % 20 * 4);
        live.per_slice = 1 + (int)(seed % 3);
        const int before = live.records;
        const struct ow_verification verification = verify(&live, 1);
        expect_sound(&verification, seed);
        assert_true(live.records > before + 3);
        live.per_slice = 0;
        const struct ow_verification after = verify(&live, 1000);
        expect_sound(&after, seed);
        ow_fixture_done(&live.fixture);
    }
}

static void verify__slices__end_in_time(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 7, 400);
    live.step_ns = 100000;
    live.per_slice = 2;
    const struct ow_verification verification = verify(&live, 1);
    expect_sound(&verification, 7);
    assert_true(verification.slices > 100);
    /* Whoever looks at the clock once a row is late by a few looks at most. */
    assert_true(verification.longest_slice_ns >= 1000000);
    assert_true(verification.longest_slice_ns <= 1500000);
    ow_fixture_done(&live.fixture);
}

static void verify__state_hash__is_of_one_state_or_none(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 11, 200);
    live.step_ns = 100000;
    const struct ow_verification quiet = verify(&live, 1); /* many slices, and nobody writes */
    assert_int_equal(strlen(quiet.state_hash), 64);
    assert_null(quiet.notes[0]);
    const struct ow_verification whole = verify(&live, 100000);
    assert_string_equal(quiet.state_hash, whole.state_hash);
    live.per_slice = 1;
    const struct ow_verification busy = verify(&live, 1);
    expect_sound(&busy, 11);
    assert_string_equal(busy.state_hash, "");
    assert_non_null(busy.notes[0]);
    ow_fixture_done(&live.fixture);
}

/* What was wrong before it began is found, however much is written meanwhile. */
static void verify__damage_beside_a_worker__is_found(void **state)
{
    static const struct {
        const char *sql, *promise;
    } list[] = {
        {"DELETE FROM payments WHERE payment_id = (SELECT min(payment_id) FROM payments)",
         "record_rows_derived"                                                                                    },
        {"DELETE FROM ow_claims WHERE ref = 3",                                            "claims_owned"         },
        {"DELETE FROM ow_history_row WHERE seq = (SELECT min(seq) FROM ow_history_row)",
         "versions_without_gap"                                                                                   },
        {"DELETE FROM ow_sighting WHERE rowid = 2",                                        "outcomes_match_rows"  },
        {"UPDATE ow_position SET applied = applied - 1",                                   "counters_match_ledger"},
        {"UPDATE ow_bucket SET claims = claims + 1 WHERE bucket = 1",                      "claims_unique"        },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        struct live live;
        begin(&live, 100 + i, 200);
        ow_fixture_close(&live.fixture);
        ow_fixture_exec(&live.fixture, list[i].sql);
        ow_fixture_open(&live.fixture);
        live.step_ns = 100000;
        live.per_slice = 2;
        const struct ow_verification verification = verify(&live, 1);
        bool found = false;
        for (size_t k = 0; k < verification.promise_count; k++) {
            found = found || (strcmp(verification.promises[k].name, list[i].promise) == 0 &&
                              verification.promises[k].broken > 0);
        }
        if (!found) {
            fail_msg("%s: not found", list[i].sql);
        }
        ow_fixture_done(&live.fixture);
    }
}

/* Operators change things that nobody can tell apart from damage: the second look decides. */
static void verify__broken_at_the_first_look_only__is_no_alarm(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 5, 200);
    live.step_ns = 100000;
    live.per_slice = 1;
    ow_fixture_exec(&live.fixture, "UPDATE payments SET amount_minor = amount_minor + 1");
    live.undone = "UPDATE payments SET amount_minor = amount_minor - 1 WHERE amount_minor > 5";
    const struct ow_verification verification = verify(&live, 1);
    assert_null(live.undone);
    expect_sound(&verification, 5);
    ow_fixture_done(&live.fixture);
}

int ow_test_verify_live(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verify__beside_a_worker__raises_no_false_alarm),
        cmocka_unit_test(verify__slices__end_in_time),
        cmocka_unit_test(verify__state_hash__is_of_one_state_or_none),
        cmocka_unit_test(verify__damage_beside_a_worker__is_found),
        cmocka_unit_test(verify__broken_at_the_first_look_only__is_no_alarm),
    };
    return cmocka_run_group_tests_name("verify_live", tests, NULL, NULL);
}
