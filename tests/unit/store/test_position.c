/* The ledger's rows, after whatever an operator has done to a position, against a model that keeps
 * one outcome an offset. */
#include "groups.h"
#include "store/internal.h"
#include "support/store/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { OFFSETS = 64, SEEDS = 300, STEPS = 40 };

static int start(void **state)
{
    static struct ow_fixture fixture;
    ow_fixture_init(&fixture);
    ow_fixture_open(&fixture);
    *state = &fixture;
    return 0;
}

static int stop(void **state)
{
    ow_fixture_done(*state);
    return 0;
}

static uint64_t random_state;

/* From 0 to below. */
static int64_t roll(int64_t below)
{
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (int64_t)((random_state >> 33) % (uint64_t)below);
}

/* first == high: no offset has an outcome yet. */
struct plain {
    int64_t first, next, high;
    int outcomes[OFFSETS]; /* -1: skipped */
    bool counted[OFFSETS];
    int64_t reread;
};

static bool is_open(const struct plain *plain, int64_t offset)
{
    return offset >= plain->first && offset < plain->high && plain->outcomes[offset] < 0;
}

/* Where the run at the very beginning ends. */
static int64_t front_end(const struct plain *plain)
{
    int64_t end = plain->first;
    while (is_open(plain, end)) {
        end++;
    }
    return end;
}

/* No record from next to below to. True: they begin the ledger, and a record of it follows. */
static bool plain_gap(struct plain *plain, int64_t to)
{
    int64_t offset = plain->next;
    if (offset == plain->first && is_open(plain, offset) && offset < to) {
        const int64_t end = front_end(plain);
        if (to < end) {
            return true;
        }
        offset = plain->first = end;
    }
    for (; offset < to; offset++) {
        if (plain->first == plain->high && offset >= plain->high) {
            plain->first = plain->high = offset + 1;
        } else if (offset >= plain->high || is_open(plain, offset)) {
            plain->outcomes[offset] = plain->outcomes[offset - 1];
            plain->high = offset >= plain->high ? offset + 1 : plain->high;
        }
    }
    return false;
}

static void plain_end(struct plain *plain, int64_t offset)
{
    (void)plain_gap(plain, offset);
    plain->next = offset;
}

static void plain_record(struct plain *plain, int64_t offset, int outcome)
{
    const int64_t from = plain->next;
    bool front = plain_gap(plain, offset);
    if (plain->first == plain->high) {
        front = true;
        plain->first = from;
    }
    if (offset >= plain->high || is_open(plain, offset)) {
        plain->outcomes[offset] = outcome;
        plain->counted[offset] = true;
        plain->high = offset >= plain->high ? offset + 1 : plain->high;
        for (int64_t i = from; front && i < offset; i++) {
            plain->outcomes[i] = outcome;
        }
    } else {
        plain->reread++;
    }
    plain->next = offset + 1;
}

static void plain_skip(struct plain *plain, int64_t to)
{
    for (; plain->high < to; plain->high++) {
        plain->outcomes[plain->high] = -1;
    }
    plain->next = to;
}

static void plain_rewind(struct plain *plain, int64_t to)
{
    while (plain->first > to) {
        plain->outcomes[--plain->first] = -1;
    }
    plain->next = to;
}

static const char *plain_text(struct ow_fixture *fixture, const struct plain *plain)
{
    OW_BUFFER text = {0};
    for (int64_t first = plain->first; first < plain->high;) {
        int64_t end = first;
        int64_t records = 0;
        for (; end < plain->high && plain->outcomes[end] == plain->outcomes[first]; end++) {
            records += plain->counted[end];
        }
        ow_buffer_printf(&text, "%lld-%lld %s %lld, ", (long long)first, (long long)(end - 1),
                         plain->outcomes[first] < 0
                             ? "skipped"
                             : ow_outcome_text((enum ow_outcome)plain->outcomes[first]),
                         (long long)records);
        first = end;
    }
    return ow_arena_text(&fixture->kept, ow_buffer_view(&text));
}

static const char *stored_text(struct ow_fixture *fixture)
{
    OW_BUFFER text = {0};
    OW_STATEMENT read = {0};
    bool row = false;
    assert_int_equal(ow_sql_prepare(&fixture->store->sql,
                                    "SELECT first_offset, last_offset, outcome, records"
                                    " FROM ow_ledger ORDER BY 1",
                                    &read, &fixture->err),
                     OW_OK);
    assert_int_equal(ow_sql_step(&read, &row, &fixture->err), OW_OK);
    while (row) {
        ow_buffer_printf(&text, "%lld-%lld " OW_SLICE_FMT " %lld, ",
                         (long long)ow_sql_i64(&read, 0), (long long)ow_sql_i64(&read, 1),
                         OW_SLICE_ARG(ow_sql_slice(&read, 2)), (long long)ow_sql_i64(&read, 3));
        assert_int_equal(ow_sql_step(&read, &row, &fixture->err), OW_OK);
    }
    return ow_arena_text(&fixture->kept, ow_buffer_view(&text));
}

/* A topic: which offsets have a record. */
static bool records[OFFSETS];

/* Reads up to count records, and tells the end where there are no more. */
static void read_some(struct ow_fixture *fixture, struct plain *plain, int64_t count, int64_t end)
{
    struct ow_position *position = &fixture->position;
    for (int64_t offset = position->next_offset; offset < end && count > 0; offset++) {
        if (records[offset]) {
            const int outcome = (int)roll(3);
            count--;
            ow_position_handled(position, &fixture->kept, offset, (enum ow_outcome)outcome);
            plain_record(plain, offset, outcome);
        }
    }
    if (count > 0 && position->next_offset < end) {
        ow_position_end(position, end);
        plain_end(plain, end);
    }
}

/* One thing that happens between two batches; end: how long the topic is by now. */
static void step(struct ow_fixture *fixture, struct plain *plain, int64_t end)
{
    struct ow_position *position = &fixture->position;
    const int64_t kind = roll(8);
    if (kind == 0 && position->next_offset > 0) {
        const int64_t to = roll(position->next_offset);
        assert_int_equal(
            ow_store_ledger(fixture->store, &fixture->kept, position, to, &fixture->err), OW_OK);
        ow_position_rewind(position, &fixture->kept, to);
        plain_rewind(plain, to);
    } else if (kind == 1 && position->next_offset < end) {
        const int64_t to = position->next_offset + 1 + roll(end - position->next_offset);
        ow_position_skip(position, &fixture->kept, to);
        plain_skip(plain, to);
    } else {
        read_some(fixture, plain, roll(kind < 5 ? 4 : 20), end);
    }
}

/* Another process: what it knows it has from the store. */
static void restart(struct ow_fixture *fixture)
{
    struct ow_position *list = NULL;
    assert_int_equal(ow_store_positions(fixture->store, &fixture->kept, &list, &fixture->err),
                     OW_OK);
    if (list != NULL) {
        fixture->position = *list;
    }
}

static void compare(struct ow_fixture *fixture, const struct plain *plain, uint64_t seed)
{
    const struct ow_position *position = &fixture->position;
    const char *expected = plain_text(fixture, plain);
    const char *got = stored_text(fixture);
    if (strcmp(expected, got) != 0) {
        fail_msg("seed %llu: expected %s\ngot %s", (unsigned long long)seed, expected, got);
    }
    int64_t counts[OW_OUTCOME_COUNT] = {0};
    for (int64_t offset = 0; offset < OFFSETS; offset++) {
        counts[plain->counted[offset] ? plain->outcomes[offset] : OW_OUTCOME_FILTERED] +=
            plain->counted[offset];
    }
    assert_memory_equal(position->counts, counts, sizeof(counts));
    assert_int_equal(position->reread, plain->reread);
    assert_int_equal(position->next_offset, plain->next);
    assert_int_equal(position->high_offset, plain->high);
}

static void play(struct ow_fixture *fixture, uint64_t seed)
{
    random_state = seed;
    const int64_t first = roll(20);
    struct plain plain = {.first = first, .next = first, .high = first};
    fixture->position.next_offset = fixture->position.high_offset = first;
    for (int64_t offset = 0; offset < OFFSETS; offset++) {
        records[offset] = roll(3) > 0;
    }
    for (int i = 0; i < STEPS; i++) {
        step(fixture, &plain, first + (OFFSETS - first) * (i + 1) / STEPS);
        fixture->position.dirty = true;
        assert_int_equal(ow_fixture_write(fixture), OW_OK);
        ow_position_copy(&fixture->position, &fixture->kept, &fixture->position);
        if (roll(4) == 0) {
            restart(fixture);
        }
        compare(fixture, &plain, seed);
    }
}

static void
ledger__rewound_skipped_and_restarted_at_random__says_each_offset_s_outcome(void **state)
{
    struct ow_fixture *fixture = *state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        ow_fixture_begin(fixture);
        fixture->position =
            (struct ow_position){.topic = ow_slice_of(fixture->topic), .seen_committed = -1};
        play(fixture, seed);
        ow_store_rollback(fixture->store);
    }
}

static void store_positions__an_outcome_that_is_none__is_unsafe(void **state)
{
    struct ow_fixture *fixture = *state;
    ow_fixture_fill(fixture);
    ow_fixture_exec(fixture, "UPDATE ow_ledger SET outcome = 'Applied'");
    struct ow_position *list = NULL;
    assert_int_equal(ow_store_positions(fixture->store, &fixture->kept, &list, &fixture->err),
                     OW_UNSAFE);
    assert_non_null(strstr(fixture->err.text, "'Applied' of offset"));
    assert_int_equal(ow_store_positions(fixture->store, &fixture->kept, &list, &fixture->err),
                     OW_UNSAFE); /* the statement is ready for another look */
}

int ow_test_position(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            ledger__rewound_skipped_and_restarted_at_random__says_each_offset_s_outcome, start,
            stop),
        cmocka_unit_test_setup_teardown(store_positions__an_outcome_that_is_none__is_unsafe, start,
                                        stop),
    };
    return cmocka_run_group_tests_name("position", tests, NULL, NULL);
}
