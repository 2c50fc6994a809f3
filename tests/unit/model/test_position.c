#include "groups.h"
#include "model/position.h"

static struct ow_arena arena;

static int start(void **state)
{
    (void)state;
    ow_arena_init(&arena, 4096);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ow_arena_done(&arena);
    return 0;
}

static struct ow_position position_at(int64_t next_offset, int64_t high_offset)
{
    return (struct ow_position){.topic = OW_SLICE("t"),
                                .next_offset = next_offset,
                                .high_offset = high_offset,
                                .seen_committed = -1};
}

static void position_sight__below_next_is_dropped__below_high_is_a_reread(void **state)
{
    (void)state;
    const struct ow_position position = position_at(5, 8);
    assert_int_equal(ow_position_sight(&position, 4), OW_SIGHT_DROP);
    assert_int_equal(ow_position_sight(&position, 5), OW_SIGHT_REREAD);
    assert_int_equal(ow_position_sight(&position, 7), OW_SIGHT_REREAD);
    assert_int_equal(ow_position_sight(&position, 8), OW_SIGHT_NEW);
    assert_int_equal(ow_position_sight(&position, 100), OW_SIGHT_NEW);
}

static void position_sight__below_a_skipped_run__is_new(void **state)
{
    (void)state;
    struct ow_position position = position_at(0, 0);
    ow_position_handled(&position, &arena, 0, OW_OUTCOME_APPLIED);
    ow_position_skip(&position, &arena, 3);
    ow_position_handled(&position, &arena, 3, OW_OUTCOME_APPLIED);
    ow_position_rewind(&position, &arena, 0);
    assert_int_equal(ow_position_sight(&position, 0), OW_SIGHT_REREAD);
    assert_int_equal(ow_position_sight(&position, 1), OW_SIGHT_NEW);
    assert_int_equal(ow_position_sight(&position, 2), OW_SIGHT_NEW);
    assert_int_equal(ow_position_sight(&position, 3), OW_SIGHT_REREAD);
    assert_int_equal(ow_position_sight(&position, 4), OW_SIGHT_NEW);
    ow_position_handled(&position, &arena, 2, OW_OUTCOME_STALE);
    assert_int_equal(position.counts[OW_OUTCOME_STALE], 1);
    assert_int_equal(position.reread, 0);
    assert_int_equal(position.next_offset, 3);
    assert_int_equal(position.high_offset, 4);
    ow_position_rewind(&position, &arena, 1); /* 1 has joined 0, and 2 has an outcome */
    assert_int_equal(ow_position_sight(&position, 1), OW_SIGHT_REREAD);
    assert_int_equal(ow_position_sight(&position, 2), OW_SIGHT_REREAD);
}

static void position_handled__a_record__moves_the_marks_and_counts(void **state)
{
    (void)state;
    struct ow_position position = position_at(3, 3);
    ow_position_handled(&position, &arena, 5, OW_OUTCOME_APPLIED);
    ow_position_handled(&position, &arena, 9, OW_OUTCOME_STALE);
    assert_int_equal(position.ledger.first->first_offset, 3);
    assert_int_equal(position.ledger.last->last_offset, 9);
    assert_int_equal(position.next_offset, 10);
    assert_int_equal(position.high_offset, 10);
    assert_int_equal(position.counts[OW_OUTCOME_APPLIED], 1);
    assert_int_equal(position.counts[OW_OUTCOME_STALE], 1);
    assert_int_equal(position.reread, 0);
    assert_true(position.dirty);
}

static void position_handled__a_reread__is_counted_and_nothing_else(void **state)
{
    (void)state;
    struct ow_position position = position_at(2, 4);
    ow_position_handled(&position, &arena, 2, OW_OUTCOME_DUPLICATE);
    ow_position_handled(&position, &arena, 3, OW_OUTCOME_DUPLICATE);
    assert_null(position.ledger.first);
    assert_int_equal(position.reread, 2);
    assert_int_equal(position.counts[OW_OUTCOME_DUPLICATE], 0);
    ow_position_handled(&position, &arena, 4, OW_OUTCOME_DUPLICATE);
    assert_int_equal(position.counts[OW_OUTCOME_DUPLICATE], 1);
    assert_int_equal(position.high_offset, 5);
    assert_true(position.dirty);
}

static void position_copy__the_next_batch__goes_on_in_the_same_run(void **state)
{
    (void)state;
    struct ow_position before = position_at(0, 0);
    ow_position_handled(&before, &arena, 0, OW_OUTCOME_APPLIED);
    struct ow_position position;
    ow_position_copy(&position, &arena, &before);
    assert_false(position.dirty);
    assert_false(position.ledger.last->dirty);
    ow_position_handled(&position, &arena, 1, OW_OUTCOME_APPLIED);
    assert_int_equal(position.ledger.last->last_offset, 1);
    assert_true(position.ledger.last->dirty);
    /* The one before knows nothing of it: a rollback forgets everything. */
    assert_int_equal(before.ledger.last->last_offset, 0);
}

static void position_skip__forward__is_written_down_as_skipped(void **state)
{
    (void)state;
    struct ow_position position = position_at(0, 0);
    ow_position_handled(&position, &arena, 0, OW_OUTCOME_APPLIED);
    position.has_anchor = true;
    ow_position_skip(&position, &arena, 5);
    assert_string_equal(position.ledger.last->outcome, "skipped");
    assert_int_equal(position.ledger.last->last_offset, 4);
    assert_int_equal(position.next_offset, 5);
    assert_int_equal(position.high_offset, 5);
    assert_false(position.has_anchor);
    ow_position_handled(&position, &arena, 5, OW_OUTCOME_APPLIED);
    const struct ow_run *last = position.ledger.last;
    position.next_offset = 2;
    ow_position_skip(&position, &arena, 4); /* within what is known already: no run */
    assert_int_equal(position.next_offset, 4);
    assert_int_equal(position.high_offset, 6);
    assert_ptr_equal(position.ledger.last, last);
}

static void position_lose__what_nobody_has_looked_at__is_lost_and_new_where_it_comes(void **state)
{
    (void)state;
    struct ow_position position = position_at(0, 0);
    ow_position_handled(&position, &arena, 0, OW_OUTCOME_APPLIED);
    position.has_anchor = true;
    ow_position_lose(&position, &arena, 4);
    assert_string_equal(position.ledger.last->outcome, "lost");
    assert_int_equal(position.ledger.last->first_offset, 1);
    assert_int_equal(position.ledger.last->records, 0);
    assert_int_equal(position.next_offset, 4);
    assert_int_equal(position.high_offset, 4);
    assert_false(position.has_anchor);
    position.next_offset = 0; /* in the middle of a replay: what was handled is not lost */
    const struct ow_run *last = position.ledger.last;
    ow_position_lose(&position, &arena, 1);
    assert_int_equal(position.next_offset, 1);
    assert_int_equal(position.high_offset, 4);
    assert_ptr_equal(position.ledger.last, last);
    assert_int_equal(ow_position_sight(&position, 2), OW_SIGHT_NEW);
    ow_position_skip(&position, &arena, 6); /* skipped and lost are told apart */
    assert_string_equal(position.ledger.last->outcome, "skipped");
    assert_int_equal(position.ledger.last->first_offset, 4);
}

static void position_next_incarnation__begins_empty_under_the_same_name(void **state)
{
    (void)state;
    struct ow_position position = position_at(90, 90);
    position.partition = 3;
    position.incarnation = 1;
    ow_position_handled(&position, &arena, 90, OW_OUTCOME_APPLIED);
    position.seen_committed = 7;
    position.has_anchor = true;
    const struct ow_position next = ow_position_next_incarnation(&position, 5);
    assert_true(ow_slice_equals_text(next.topic, "t"));
    assert_int_equal(next.partition, 3);
    assert_int_equal(next.incarnation, 2);
    assert_int_equal(next.next_offset, 5);
    assert_int_equal(next.high_offset, 5);
    assert_int_equal(next.seen_committed, -1);
    assert_false(next.has_anchor);
    assert_false(next.stored);
    assert_true(next.dirty);
    assert_null(next.ledger.first);
    assert_int_equal(next.counts[OW_OUTCOME_APPLIED], 0);
}

static void position_rewind__before_the_first_position__is_skipped_until_it_is_read(void **state)
{
    (void)state;
    struct ow_position position = position_at(100, 100);
    position.has_anchor = true;
    ow_position_rewind(&position, &arena, 90); /* nothing was handled yet */
    assert_int_equal(position.ledger.first->first_offset, 90);
    assert_int_equal(position.ledger.first->last_offset, 99);
    assert_string_equal(position.ledger.first->outcome, "skipped");
    assert_int_equal(position.next_offset, 90);
    assert_int_equal(position.high_offset, 100);
    assert_false(position.has_anchor);
    for (int64_t offset = 90; offset < 102; offset++) {
        ow_position_handled(&position, &arena, offset, OW_OUTCOME_APPLIED);
    }
    assert_int_equal(position.counts[OW_OUTCOME_APPLIED], 12);
    assert_int_equal(position.reread, 0);
    assert_int_equal(position.high_offset, 102);
    assert_ptr_equal(position.ledger.first, position.ledger.last);
    assert_int_equal(position.ledger.first->records, 12);
    ow_position_rewind(&position, &arena, 95); /* the ledger begins before it: nothing to add */
    assert_ptr_equal(position.ledger.first, position.ledger.last);
    assert_int_equal(position.next_offset, 95);
    assert_int_equal(position.high_offset, 102);
}

static void position_end__markers__move_the_marks_and_join_the_last_run(void **state)
{
    (void)state;
    struct ow_position position = position_at(0, 0);
    ow_position_end(&position, 2); /* no run, which it could join */
    assert_null(position.ledger.first);
    assert_int_equal(position.next_offset, 2);
    ow_position_handled(&position, &arena, 2, OW_OUTCOME_APPLIED);
    ow_position_end(&position, 5);
    assert_int_equal(position.ledger.last->first_offset, 2);
    assert_int_equal(position.ledger.last->last_offset, 4);
    assert_int_equal(position.next_offset, 5);
    assert_int_equal(position.high_offset, 5);
    ow_position_rewind(&position, &arena, 3);
    ow_position_end(&position, 5);
    assert_int_equal(position.next_offset, 5);
    assert_int_equal(position.ledger.last->last_offset, 4);
}

static void metadata__written__is_read_back(void **state)
{
    (void)state;
    char text[OW_METADATA_BYTES];
    ow_metadata_format(text, "0123456789abcdef0123456789abcdef", 7, 123456789012);
    assert_string_equal(text, "onceward/1 s=0123456789abcdef0123456789abcdef e=7 o=123456789012");
    const struct ow_metadata metadata = ow_metadata_parse(ow_slice_of(text));
    assert_true(metadata.ours);
    assert_string_equal(metadata.store_id, "0123456789abcdef0123456789abcdef");
    assert_int_equal(metadata.epoch, 7);
    assert_int_equal(metadata.offset, 123456789012);
}

static void metadata__of_others__is_not_ours(void **state)
{
    (void)state;
    static const char *const others[] = {"",
                                         "hello",
                                         "onceward/2 s=a e=1 o=1",
                                         "onceward/1 s=a e=1",
                                         "onceward/1 s=a e=x o=1",
                                         "onceward/1 s=a o=1 e=1",
                                         "onceward/1 s=0123456789abcdef0123456789abcdefX e=1 o=1",
                                         "onceward/1"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(ow_metadata_parse(ow_slice_of(others[i])).ours);
    }
    assert_false(ow_metadata_parse((struct ow_slice){0}).ours);
    /* As a C string the id would end at the NUL, and could be ours. */
    assert_false(ow_metadata_parse(OW_SLICE("onceward/1 s=abc\0def e=3 o=7")).ours);
}

/* What is known of a partition whose store is at 100 of 120, epoch 5; metadata: of the committed
 * offset. */
static struct ow_assignment_facts facts_of(int64_t committed, const char *metadata)
{
    return (struct ow_assignment_facts){.topic = "t",
                                        .stored = true,
                                        .next_offset = 100,
                                        .high_offset = 120,
                                        .seen_committed = 77,
                                        .committed = committed,
                                        .metadata = ow_metadata_parse(ow_slice_of(metadata)),
                                        .store_id = "ours",
                                        .epoch = 5};
}

static void assert_resumes(const struct ow_assignment_facts *facts, enum ow_resume resume,
                           int64_t offset)
{
    enum ow_resume got = OW_RESUME_START;
    int64_t got_offset = -1;
    struct ow_err err = {.text = ""};
    if (ow_position_resume(facts, &got, &got_offset, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(got, resume);
    assert_int_equal(got_offset, offset);
}

static void assert_refused(const struct ow_assignment_facts *facts, const char *says)
{
    enum ow_resume got = OW_RESUME_START;
    int64_t got_offset = -1;
    struct ow_err err = {.text = ""};
    assert_int_equal(ow_position_resume(facts, &got, &got_offset, &err), OW_UNSAFE);
    if (strstr(err.text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", err.text, says);
    }
}

static void position_resume__what_we_committed_or_nothing__goes_on_where_the_store_is(void **state)
{
    (void)state;
    static const struct {
        int64_t committed;
        const char *metadata;
    } cases[] = {
        {-1,  ""                           }, /* expired */
        {90,  "onceward/1 s=ours e=5 o=90" }, /* a crash between COMMIT and the next commit */
        {120,
         "onceward/1 s=ours e=4 o=120"     }, /* committed, then rewound by an operator, then crashed */
        {100, "onceward/1 s=ours e=5 o=100"},
        {100, ""                           }, /* to where we are anyway */
        {77,  ""                           }, /* honoured before, and not committed since */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct ow_assignment_facts facts = facts_of(cases[i].committed, cases[i].metadata);
        assert_resumes(&facts, OW_RESUME_STORED, 100);
    }
}

static void position_resume__moved_back__is_a_replay(void **state)
{
    (void)state;
    struct ow_assignment_facts facts = facts_of(50, "");
    assert_resumes(&facts, OW_RESUME_REWOUND, 50);
    facts = facts_of(0, "");
    assert_resumes(&facts, OW_RESUME_REWOUND, 0);
    facts = facts_of(50, "onceward/1 s=ours e=5 o=90"); /* a tool that keeps the metadata */
    assert_resumes(&facts, OW_RESUME_REWOUND, 50);
    facts = facts_of(50, "some other tool");
    assert_resumes(&facts, OW_RESUME_REWOUND, 50);
}

static void position_resume__moved_forward__is_refused_or_skipped(void **state)
{
    (void)state;
    struct ow_assignment_facts facts = facts_of(130, "");
    assert_refused(&facts, "moved the group forward from 100 to 130");
    facts.skips_honoured = true;
    assert_resumes(&facts, OW_RESUME_SKIPPED, 130);
    facts = facts_of(110, "onceward/1 s=ours e=5 o=90");
    assert_refused(&facts, "forward");
}

static void position_resume__another_store__is_refused(void **state)
{
    (void)state;
    struct ow_assignment_facts facts = facts_of(100, "onceward/1 s=theirs e=1 o=100");
    assert_refused(&facts, "theirs");
    facts.stored = false;
    assert_refused(&facts, "theirs");
    facts.restored = true;
    assert_refused(&facts, "theirs");
}

static void position_resume__an_older_copy__is_refused_unless_it_is_known_to_be_one(void **state)
{
    (void)state;
    struct ow_assignment_facts facts = facts_of(100, "onceward/1 s=ours e=6 o=100");
    assert_refused(&facts, "older copy");
    facts.restored = true;
    assert_resumes(&facts, OW_RESUME_STORED, 100);
    facts =
        facts_of(121, "onceward/1 s=ours e=5 o=121"); /* the same epoch, but it has handled more */
    assert_refused(&facts, "older copy");
    facts.restored = true;
    assert_resumes(&facts, OW_RESUME_STORED, 100);
    facts.stored = false;
    assert_resumes(&facts, OW_RESUME_START, -1); /* what lies below 121 was lost with that file */
    facts.restored = false;
    assert_refused(&facts, "older copy");
}

static void position_resume__our_epoch_before_our_first_commit__is_another_copys(void **state)
{
    (void)state;
    struct ow_assignment_facts facts = facts_of(100, "onceward/1 s=ours e=5 o=100");
    assert_resumes(&facts, OW_RESUME_STORED, 100);
    facts.epoch_is_unused = true;
    assert_refused(&facts, "another copy of the file works for the group. Stop that one");
    facts.restored = true;
    assert_resumes(&facts, OW_RESUME_STORED, 100);
    facts = facts_of(100, "onceward/1 s=ours e=4 o=100"); /* of the process before us */
    facts.epoch_is_unused = true;
    assert_resumes(&facts, OW_RESUME_STORED, 100);
}

/* Offsets of the topic before say nothing of this one: told by the epoch in which it was adopted.
 */
static void position_resume__committed_before_an_adoption__is_no_newer_copy(void **state)
{
    (void)state;
    struct ow_assignment_facts facts = facts_of(500, "onceward/1 s=ours e=4 o=500");
    assert_refused(&facts, "older copy");
    facts.began_epoch = 5;
    assert_resumes(&facts, OW_RESUME_STORED, 100);
    facts.metadata = ow_metadata_parse(OW_SLICE("onceward/1 s=ours e=5 o=500"));
    assert_refused(&facts, "older copy");
    /* An operator who moves the group afterwards is heard, also with the metadata of before. */
    facts = facts_of(50, "onceward/1 s=ours e=4 o=500");
    facts.began_epoch = 5;
    assert_resumes(&facts, OW_RESUME_REWOUND, 50);
}

/* Also where a tool has kept the metadata: a rewind is honoured once. */
static void position_resume__seen_before__is_not_honoured_again(void **state)
{
    (void)state;
    struct ow_assignment_facts facts = facts_of(50, "onceward/1 s=ours e=5 o=90");
    facts.seen_committed = 50;
    assert_resumes(&facts, OW_RESUME_STORED, 100);
    facts = facts_of(130, "onceward/1 s=ours e=5 o=90");
    facts.seen_committed = 130;
    assert_resumes(&facts, OW_RESUME_STORED, 100);
}

/* Each refusal names the command that is the way out. */
static void position_resume__refused__names_the_way_out(void **state)
{
    (void)state;
    struct ow_assignment_facts facts = facts_of(130, "");
    assert_refused(&facts, "onceward positions set --topic t --partition 0 --offset 100 --why");
    assert_refused(&facts, "--offset 130 --skip");
    facts = facts_of(100, "onceward/1 s=theirs e=1 o=100");
    assert_refused(&facts, "onceward positions set --topic t --partition 0 --offset N --foreign");
    facts = facts_of(100, "onceward/1 s=ours e=6 o=100");
    assert_refused(&facts, "--restored");
}

static void position_resume__no_position__starts_where_the_group_is_or_as_configured(void **state)
{
    (void)state;
    struct ow_assignment_facts facts = facts_of(-1, "");
    facts.stored = false;
    assert_resumes(&facts, OW_RESUME_START, -1);
    facts.committed = 33;
    assert_resumes(&facts, OW_RESUME_COMMITTED, 33);
}

int ow_test_position(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(position_sight__below_next_is_dropped__below_high_is_a_reread),
        cmocka_unit_test(position_sight__below_a_skipped_run__is_new),
        cmocka_unit_test(position_handled__a_record__moves_the_marks_and_counts),
        cmocka_unit_test(position_handled__a_reread__is_counted_and_nothing_else),
        cmocka_unit_test(position_copy__the_next_batch__goes_on_in_the_same_run),
        cmocka_unit_test(position_skip__forward__is_written_down_as_skipped),
        cmocka_unit_test(position_lose__what_nobody_has_looked_at__is_lost_and_new_where_it_comes),
        cmocka_unit_test(position_next_incarnation__begins_empty_under_the_same_name),
        cmocka_unit_test(position_rewind__before_the_first_position__is_skipped_until_it_is_read),
        cmocka_unit_test(position_end__markers__move_the_marks_and_join_the_last_run),
        cmocka_unit_test(metadata__written__is_read_back),
        cmocka_unit_test(metadata__of_others__is_not_ours),
        cmocka_unit_test(position_resume__what_we_committed_or_nothing__goes_on_where_the_store_is),
        cmocka_unit_test(position_resume__moved_back__is_a_replay),
        cmocka_unit_test(position_resume__moved_forward__is_refused_or_skipped),
        cmocka_unit_test(position_resume__another_store__is_refused),
        cmocka_unit_test(position_resume__an_older_copy__is_refused_unless_it_is_known_to_be_one),
        cmocka_unit_test(position_resume__our_epoch_before_our_first_commit__is_another_copys),
        cmocka_unit_test(position_resume__committed_before_an_adoption__is_no_newer_copy),
        cmocka_unit_test(position_resume__seen_before__is_not_honoured_again),
        cmocka_unit_test(position_resume__refused__names_the_way_out),
        cmocka_unit_test(position_resume__no_position__starts_where_the_group_is_or_as_configured),
    };
    return cmocka_run_group_tests_name("position", tests, start, stop);
}
