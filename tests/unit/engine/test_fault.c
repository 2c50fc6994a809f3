/*
 * The store's disk fails at the n-th call, for each n, once and for ever, during one story of
 * everything that apply does (SQLite's own method). Whatever happens, the status is the right one,
 * what is stored keeps every promise, and going on leads to the end that an untroubled run has.
 */
#include "engine/apply.h"
#include "engine_fixture.h"
#include "groups.h"
#include "store/verify.h"
#include "support/store/fault_vfs.h"

#include <sqlite3.h>

#include <stdlib.h>

enum step {
    STEP_ASSIGN, /* from the start, or where the store is */
    STEP_EVERYTHING,
    STEP_REOPEN,
    STEP_ASSIGN_AGAIN,
    STEP_REWIND,
    STEP_REREAD,
    STEP_FORGET,
    STEP_SKIP,
    STEP_REWIND_INTO,
    STEP_REJUDGE,
    STEP_POISON,
    STEP_END,
    STEP_DEADLINES,
    STEP_COUNT
};

/* The apply thread's part over a store of its own. */
struct bench {
    struct ow_fixture fixture;
    struct ow_apply apply;
    bool is_open; /* apply */
    struct ow_chunk chunk;
    struct ow_err err;
};

static struct bench bench;

#define PAID(id) ",\"amount\":5,\"currency\":\"EUR\",\"method\":\"card\",\"payment_id\":\"" id "\""
#define MADE     ",\"amount\":5,\"currency\":\"EUR\""

struct told {
    const char *id, *type, *entity, *data;
};

/* Each outcome, at these offsets. */
static const struct told everything[] = {
    {"c",  "order.created",     "A", MADE      },
    {"d",  "order.dispatched",  "A", ""        }, /* parked */
    {"p",  "payment.succeeded", "A", PAID("p1")}, /* wakes it */
    {"c",  "order.created",     "A", MADE      }, /* duplicate */
    {"c",  "order.cancelled",   "A", ""        }, /* conflict */
    {"",   "order.created",     "A", MADE      }, /* missing key */
    {"c2", "order.created",     "A", MADE      }, /* stale */
    {"r",  "order.received",    "B", ""        }, /* parked until its deadline */
    {"x",  "order.cancelled",   "A", ""        }, /* illegal */
    {"q",  "payment.succeeded", "A", PAID("p1")}, /* its business key is stored */
    {"c3", "order.created",     "C", MADE      },
    {"r2", "order.received",    "A", ""        },
};
enum { EVERYTHING = sizeof everything / sizeof *everything, END = 20, SKIPPED_TO = 30 };

/* Out of what an operator skipped, and then wanted after all. */
static const struct told skipped[] = {
    {"h",  "order.created",     "H", MADE      },
    {"h1", "payment.succeeded", "H", PAID("p2")},
};
enum { SKIPPED = sizeof skipped / sizeof *skipped };

/* What the store's trigger refuses, by itself and woken, and innocent ones between. */
static const struct told poisoned[] = {
    {"e",  "order.created",     "E", MADE       },
    {"e1", "payment.succeeded", "E", PAID("bad")},
    {"f1", "payment.succeeded", "F", PAID("bad")},
    {"f2", "order.cancelled",   "F", ""         },
    {"f",  "order.created",     "F", MADE       },
    {"g",  "order.created",     "G", MADE       },
};
enum { POISONED = sizeof poisoned / sizeof *poisoned };

static struct ow_partition *the_partition(void)
{
    return ow_partitions_find(&bench.apply.partitions, OW_SLICE("order-events"), 0);
}

static void put(const struct told *told, size_t count, int64_t offset)
{
    for (size_t i = 0; i < count; i++) {
        ow_engine_put(
            &bench.fixture, &bench.chunk,
            ow_engine_event(&bench.fixture, told[i].id, told[i].type, told[i].entity, told[i].data),
            offset + (int64_t)i);
    }
}

static enum ow_status run_chunk(void)
{
    struct ow_chunk *const list[] = {&bench.chunk};
    ow_engine_decode(&bench.fixture, &bench.chunk);
    return ow_apply_batch(&bench.apply, list, 1, &bench.err);
}

static void close_all(void)
{
    if (bench.is_open) {
        ow_apply_close(&bench.apply);
        bench.is_open = false;
    }
    ow_fixture_close(&bench.fixture);
}

static enum ow_status open_all(void)
{
    const enum ow_status status = ow_fixture_try_open(&bench.fixture);
    if (status != OW_OK) {
        bench.err = bench.fixture.err;
        return status;
    }
    bench.fixture.decoder.machines = &bench.fixture.machines;
    bench.fixture.decoder.hash_key = ow_store_hash_key(bench.fixture.store);
    bench.fixture.decoder.record_bytes_max = (size_t)OW_RECORD_BYTES_DEFAULT;
    const struct ow_apply_options options = ow_engine_apply_options(&bench.fixture);
    bench.is_open = true;
    return ow_apply_open(&bench.apply, &options, &bench.err);
}

static enum ow_status reopen(void)
{
    close_all();
    return open_all();
}

static enum ow_status assign(enum ow_resume resume, int64_t offset)
{
    ow_engine_assign(&bench.chunk, bench.apply.generation + 1, resume, offset);
    struct ow_assigned *const assigned = OW_ARENA_NEW(&bench.chunk.arena, struct ow_assigned);
    *assigned = bench.chunk.assigned[0];
    assigned->committed = offset;
    bench.chunk.assigned = assigned;
    return ow_apply_assignment(&bench.apply, &bench.chunk, &bench.err);
}

static enum ow_status assign_where_it_is(void)
{
    const struct ow_partition *partition = the_partition();
    return partition == NULL || !partition->settled.stored
               ? assign(OW_RESUME_START, 0)
               : assign(OW_RESUME_STORED, partition->settled.next_offset);
}

static enum ow_status do_step(enum step step)
{
    const struct ow_record end = {.topic = OW_SLICE("order-events"),
                                  .offset = SKIPPED_TO + POISONED};
    bool more = false;
    ow_chunk_reset(&bench.chunk, bench.apply.generation);
    switch (step) {
    case STEP_ASSIGN:
    case STEP_ASSIGN_AGAIN:
        return assign_where_it_is();
    case STEP_EVERYTHING:
        put(everything, EVERYTHING, 0);
        return run_chunk();
    case STEP_REOPEN:
        return reopen();
    case STEP_REWIND:
        return assign(OW_RESUME_REWOUND, 3);
    case STEP_REREAD:
        put(everything, EVERYTHING, 0);
        assert_true(ow_chunk_add_end(
            &bench.chunk, &(struct ow_record){.topic = OW_SLICE("order-events"), .offset = END}));
        return run_chunk();
    case STEP_FORGET:
        the_partition()->has_committed = true;
        return ow_apply_forget_seen(&bench.apply, &bench.err);
    case STEP_SKIP:
        return assign(OW_RESUME_SKIPPED, SKIPPED_TO);
    case STEP_REWIND_INTO:
        return assign(OW_RESUME_REWOUND, END + 2);
    case STEP_REJUDGE:
        put(skipped, SKIPPED, END + 2);
        return run_chunk();
    case STEP_POISON:
        put(poisoned, POISONED, SKIPPED_TO);
        return run_chunk();
    case STEP_END:
        assert_true(ow_chunk_add_end(&bench.chunk, &end));
        return run_chunk();
    case STEP_DEADLINES:
        bench.fixture.clock.now_ms = INT64_C(1800000000000) + 2 * OW_PARK_DEADLINE_MS_DEFAULT;
        the_partition()->at_end = true;
        return ow_apply_deadlines(&bench.apply, true, &more, &bench.err);
    case STEP_COUNT:
        break;
    }
    OW_IMPOSSIBLE("a step of no kind");
}

static void must(enum ow_status status)
{
    if (status != OW_OK) {
        fail_msg("%s: %s", ow_status_text(status), bench.err.text);
    }
}

/* Proves every promise; the hash of the business state. */
static void verify(char hash[2 * OW_DIGEST_BYTES + 1])
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
    memcpy(hash, found.state_hash, sizeof found.state_hash);
    ow_arena_done(&arena);
}

/* Everything that is to be the same after any run, in one text; the fixture's. */
static const char *end_state(void)
{
    char hash[2 * OW_DIGEST_BYTES + 1];
    verify(hash);
    const char *const rows = ow_fixture_text(
        &bench.fixture,
        "SELECT (SELECT count(*) FROM ow_claims) || ' claims, ' || "
        "(SELECT count(*) || ' history to ' || max(seq) FROM ow_history) || ', ' || "
        "(SELECT count(*) FROM ow_parked) || ' parked, ' || "
        "(SELECT count(*) FROM ow_sighting) || ' sightings, quarantine ' || "
        "(SELECT group_concat(id || reason || seen) FROM ow_quarantine) || ', ledger ' || "
        "(SELECT group_concat(first_offset || '-' || last_offset || outcome || records) FROM "
        "ow_ledger) || ', position ' || "
        "(SELECT next_offset || ' ' || high_offset || ' ' || seen_committed || ' ' || applied || "
        "' ' || duplicate || ' ' || stale || ' ' || parked || ' ' || quarantined || ' ' || reread "
        "FROM ow_position)");
    return ow_arena_printf(&bench.fixture.kept, "%s %s", hash, rows);
}

/* What a failed call must come back as. */
static bool is_right_status(const struct ow_fault *fault, enum step step, enum ow_status status)
{
    if (fault->code == SQLITE_FULL) {
        return status == OW_STORE_FULL;
    }
    if (status == OW_STORE_UNKNOWN || step != STEP_REOPEN) {
        return status == OW_STORE_UNKNOWN;
    }
    /* Nothing is in flight while a store is opened: what cannot be read may be there the next time,
     * what cannot be opened is somebody's mistake. */
    return status == (fault->code == SQLITE_CANTOPEN ? OW_FAILED : OW_TEMPORARY);
}

/* The step failed: looks at what is left, and gets the bench to where the step can be done again.
 */
static void recover(const struct ow_fault *fault, enum step step, enum ow_status status)
{
    char hash[2 * OW_DIGEST_BYTES + 1];
    if (!is_right_status(fault, step, status)) {
        fail_msg("call %d number %lld in step %d: %s: %s", (int)fault->call, (long long)fault->at,
                 (int)step, ow_status_text(status), bench.err.text);
    }
    assert_string_not_equal(bench.err.text, "");
    if (fault->for_ever && fault->code == SQLITE_FULL && step != STEP_REOPEN) {
        assert_int_equal(do_step(step), OW_STORE_FULL); /* again and again, until there is room */
    }
    assert_true(ow_fault_disarm());
    if (fault->code == SQLITE_FULL && step != STEP_REOPEN) {
        return; /* rolled back: the same can be given again */
    }
    if (step == STEP_REOPEN) {
        close_all();
        return;
    }
    must(reopen());
    verify(hash);
    must(assign_where_it_is());
}

/* The whole story with one fault, from `first` on; true where it struck. */
static bool run_story(const struct ow_fault *fault, const char *expected)
{
    ow_fixture_init(&bench.fixture);
    must(open_all());
    ow_fixture_exec(&bench.fixture, "CREATE TRIGGER t BEFORE INSERT ON payments WHEN "
                                    "new.payment_id = 'bad' BEGIN SELECT raise(ABORT, 'no'); END");
    bool fired = false;
    if (fault != NULL) {
        ow_fault_arm(fault);
    }
    for (int step = 0; step < STEP_COUNT; step++) {
        enum ow_status status = do_step((enum step)step);
        if (fault != NULL && status != OW_OK) {
            recover(fault, (enum step)step, status);
            fired = true;
            status = do_step((enum step)step);
        }
        must(status);
    }
    fired = ow_fault_disarm() || fired;
    close_all();
    if (expected != NULL) {
        assert_string_equal(end_state(), expected);
    }
    return fired;
}

static void end_story(void)
{
    ow_fixture_done(&bench.fixture);
}

static char untroubled[2048];

static int start(void **state)
{
    (void)state;
    ow_fault_install();
    ow_chunk_init(&bench.chunk, OW_CHUNK_ROWS);
    (void)run_story(NULL, NULL);
    (void)snprintf(untroubled, sizeof untroubled, "%s", end_state());
    end_story();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ow_chunk_done(&bench.chunk);
    ow_fault_remove();
    return 0;
}

/* Each n until a run in which nothing failed; without ONCEWARD_MORE every seventh. */
static void sweep(enum ow_fault_call call, int code, bool for_ever)
{
    static const char *const names[OW_FAULT_CALLS] = {"open", "read", "write", "sync", "lock"};
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the test is one thread */
    const int64_t stride = getenv("ONCEWARD_MORE") == NULL ? 7 : 1;
    int64_t count = 0;
    bool fired = true;
    for (int64_t at = 1; fired; at += stride) {
        const struct ow_fault fault = {.call = call, .at = at, .for_ever = for_ever, .code = code};
        fired = run_story(&fault, untroubled);
        end_story();
        count += fired ? 1 : 0;
    }
    print_message("%s fails with %d %s: %lld places\n", names[call], code,
                  for_ever ? "for ever" : "once", (long long)count);
    assert_true(count > 0);
}

static void disk_full__at_each_write__waits_and_goes_on(void **state)
{
    (void)state;
    sweep(OW_FAULT_WRITE, SQLITE_FULL, false);
    sweep(OW_FAULT_WRITE, SQLITE_FULL, true);
}

static void io_error__at_each_write__starts_again(void **state)
{
    (void)state;
    sweep(OW_FAULT_WRITE, SQLITE_IOERR_WRITE, false);
    sweep(OW_FAULT_WRITE, SQLITE_IOERR_WRITE, true);
}

static void io_error__at_each_sync__starts_again(void **state)
{
    (void)state;
    sweep(OW_FAULT_SYNC, SQLITE_IOERR_FSYNC, false);
    sweep(OW_FAULT_SYNC, SQLITE_IOERR_FSYNC, true);
}

static void io_error__at_each_read__starts_again(void **state)
{
    (void)state;
    sweep(OW_FAULT_READ, SQLITE_IOERR_READ, false);
    sweep(OW_FAULT_READ, SQLITE_IOERR_READ, true);
}

static void no_file__at_each_open__starts_again(void **state)
{
    (void)state;
    sweep(OW_FAULT_OPEN, SQLITE_CANTOPEN, false);
    sweep(OW_FAULT_OPEN, SQLITE_CANTOPEN, true);
}

static void io_error__at_each_lock__starts_again(void **state)
{
    (void)state;
    sweep(OW_FAULT_LOCK, SQLITE_IOERR_SHMLOCK, false);
    sweep(OW_FAULT_LOCK, SQLITE_IOERR_SHMLOCK, true);
}

int ow_test_fault(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(disk_full__at_each_write__waits_and_goes_on),
        cmocka_unit_test(io_error__at_each_write__starts_again),
        cmocka_unit_test(io_error__at_each_sync__starts_again),
        cmocka_unit_test(io_error__at_each_read__starts_again),
        cmocka_unit_test(io_error__at_each_lock__starts_again),
        cmocka_unit_test(no_file__at_each_open__starts_again),
    };
    return cmocka_run_group_tests_name("fault", tests, start, stop);
}
