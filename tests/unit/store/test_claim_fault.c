/*
 * The disk fails at the n-th call, for each n, while buckets are sealed for their age, filters
 * built, merged and swept, and claims pruned. Whatever happens, the status is the right one, each
 * claim that is not pruned is found, verify is content, and going on leads to the end.
 */
#include "claim_story.h"
#include "groups.h"
#include "store/internal.h"
#include "support/store/fault_vfs.h"

#include <sqlite3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOUR_MS INT64_C(3600000)
enum { ROWS = 7, SHORT = 2, LONG = 0, PHASES = 4, STEPS_MAX = 10000 };

static void recover(struct ow_story *story, const struct ow_fault *fault, enum ow_status status)
{
    const enum ow_status right = fault->code == SQLITE_FULL ? OW_STORE_FULL : OW_STORE_UNKNOWN;
    if (status != right) {
        fail_msg("call %d number %lld: %s: %s", (int)fault->call, (long long)fault->at,
                 ow_status_text(status), story->fixture.err.text);
    }
    assert_true(ow_fault_disarm());
    if (fault->code != SQLITE_FULL) {
        ow_story_reopen(story);
    }
    ow_story_check_keys(story);
    ow_story_verify(story);
}

static void tend(struct ow_story *story, const struct ow_fault *fault, bool *fired)
{
    int steps = 0;
    bool more = true;
    while (more) {
        const enum ow_status status =
            ow_story_try_tend(story, story->fixture.clock.now_ms, ROWS, &more);
        if (status != OW_OK) {
            assert_false(*fired);
            recover(story, fault, status);
            *fired = true;
            more = true;
        }
        assert_true(++steps < STEPS_MAX);
    }
}

/* True where the fault struck. */
static bool play(const struct ow_fault *fault)
{
    struct ow_story story;
    bool fired = false;
    ow_story_init(&story, 3, 2);
    ow_story_take(&story, SHORT, 19); /* nine full ones, of which eight are merged */
    ow_story_take(&story, LONG, 5);
    ow_fault_arm(fault);
    for (int phase = 0; phase < PHASES; phase++) {
        tend(&story, fault, &fired);
        story.fixture.clock.now_ms += 9 * HOUR_MS; /* sealed for its age; pruned */
    }
    fired = ow_fault_disarm() || fired;
    for (size_t i = 0; i < story.committed; i++) {
        assert_int_equal(story.told[i].pruned, story.told[i].kind == SHORT);
    }
    ow_story_check_tended(&story);
    ow_story_check_keys(&story);
    ow_story_verify(&story);
    ow_story_reopen(&story);
    ow_story_check_tended(&story);
    ow_story_done(&story);
    return fired;
}

/* Each n until a run in which nothing failed; without ONCEWARD_MORE every fifth. */
static void sweep(enum ow_fault_call call, int code)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the test is one thread */
    const int64_t stride = getenv("ONCEWARD_MORE") == NULL ? 5 : 1;
    int64_t count = 0;
    bool fired = true;
    ow_fault_install();
    for (int64_t at = 1; fired; at += stride) {
        fired = play(&(struct ow_fault){.call = call, .at = at, .code = code});
        count += fired;
    }
    ow_fault_remove();
    print_message("%lld places\n", (long long)count);
    assert_true(count > 0);
}

static void tend__disk_full_at_each_write__goes_on(void **state)
{
    (void)state;
    sweep(OW_FAULT_WRITE, SQLITE_FULL);
}

static void tend__io_error_at_each_write__starts_again(void **state)
{
    (void)state;
    sweep(OW_FAULT_WRITE, SQLITE_IOERR_WRITE);
}

static void tend__io_error_at_each_sync__starts_again(void **state)
{
    (void)state;
    sweep(OW_FAULT_SYNC, SQLITE_IOERR_FSYNC);
}

static void tend__io_error_at_each_read__starts_again(void **state)
{
    (void)state;
    sweep(OW_FAULT_READ, SQLITE_IOERR_READ);
}

int ow_test_claim_fault(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tend__disk_full_at_each_write__goes_on),
        cmocka_unit_test(tend__io_error_at_each_write__starts_again),
        cmocka_unit_test(tend__io_error_at_each_sync__starts_again),
        cmocka_unit_test(tend__io_error_at_each_read__starts_again),
    };
    return cmocka_run_group_tests_name("claim_fault", tests, NULL, NULL);
}
