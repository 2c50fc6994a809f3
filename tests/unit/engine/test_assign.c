/* Where a partition goes on, question by question; and which records share a chunk. */
#include "engine/assign.h"
#include "engine_fixture.h"
#include "groups.h"

#include <stdlib.h>

static const char *const ours = "store";

/* The group has an offset of a partition of which the store has nothing. */
static struct ow_assign_question question_of(int64_t committed)
{
    return (struct ow_assign_question){
        .facts = {.topic = "t", .committed = committed, .seen_committed = -1, .store_id = ours},
        .low = 3,
        .high = 9,
    };
}

static void start_latest__of_a_restored_store_that_had_the_partition__reads_all_of_it(void **state)
{
    (void)state;
    struct ow_err err;
    struct ow_assigned assigned;
    const struct ow_consume_options options = {.start = OW_START_LATEST};
    struct ow_assign_question question = question_of(-1);
    assert_int_equal(ow_assign_judge(&options, &question, &assigned, &err), OW_OK);
    assert_int_equal(assigned.offset, 9); /* a first start */
    question = question_of(7);
    question.facts.metadata = (struct ow_metadata){.ours = true, .store_id = "store", .offset = 7};
    question.facts.restored = true;
    assert_int_equal(ow_assign_judge(&options, &question, &assigned, &err), OW_OK);
    assert_int_equal(assigned.resume, OW_RESUME_START);
    assert_int_equal(assigned.offset, 3);
}

static void group__that_is_outside_the_topic__is_refused(void **state)
{
    static const struct {
        int64_t committed;
        enum ow_status status;
    } groups[] = {
        {2,  OW_UNSAFE},
        {3,  OW_OK    },
        {9,  OW_OK    },
        {10, OW_UNSAFE},
    };
    (void)state;
    const struct ow_consume_options options = {.start = OW_START_LATEST};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        struct ow_err err = {.text = ""};
        struct ow_assigned assigned = {.offset = -1};
        const struct ow_assign_question question = question_of(groups[i].committed);
        assert_int_equal(ow_assign_judge(&options, &question, &assigned, &err), groups[i].status);
        if (groups[i].status == OW_OK) {
            assert_int_equal(assigned.offset, groups[i].committed);
        } else {
            assert_non_null(strstr(err.text, "and the topic reaches from 3 to 9"));
        }
    }
}

static void facts__of_a_commit_from_before_the_restored_copy__are_of_a_restored_store(void **state)
{
    static const struct {
        int64_t epoch;
        bool option, is_ours, restored;
    } commits[] = {
        {0, true,  false, true },
        {4, false, false, false},
        {4, false, true,  true },
        {5, false, true,  false},
    };
    (void)state;
    const struct ow_durable durable = {.next_offset = 0};
    for (size_t i = 0; i < sizeof commits / sizeof *commits; i++) {
        const struct ow_consume_options options = {
            .store_id = ours, .epoch = 6, .restored = commits[i].option, .restored_epoch = 5};
        struct ow_partition_offset committed = {.topic = "t", .offset = 7};
        if (commits[i].is_ours) {
            ow_metadata_format(committed.metadata, ours, commits[i].epoch, 7);
        }
        assert_int_equal(ow_assign_facts(&options, &durable, &committed).restored,
                         commits[i].restored);
    }
}

static void chunk__takes__records_that_are_handled_alike(void **state)
{
    static const enum ow_care cares[] = {OW_CARE_NONE, OW_CARE_CAREFUL, OW_CARE_ALONE};
    (void)state;
    struct ow_chunk *const chunk = calloc(1, sizeof(*chunk));
    assert_non_null(chunk);
    ow_chunk_init(chunk, 4);
    const struct ow_record record = {.topic = OW_SLICE("t"), .value = OW_SLICE("{}")};
    for (size_t i = 0; i < 3; i++) {
        for (size_t other = 0; other < 3; other++) {
            ow_chunk_reset(chunk, 1);
            assert_true(ow_chunk_takes(chunk, cares[other])); /* it is empty */
            chunk->care = cares[i];
            ow_chunk_add(chunk, &record);
            assert_int_equal(ow_chunk_takes(chunk, cares[other]),
                             i == other && cares[i] != OW_CARE_ALONE);
        }
    }
    ow_chunk_done(chunk);
    free(chunk);
}

int ow_test_assign(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_latest__of_a_restored_store_that_had_the_partition__reads_all_of_it),
        cmocka_unit_test(group__that_is_outside_the_topic__is_refused),
        cmocka_unit_test(facts__of_a_commit_from_before_the_restored_copy__are_of_a_restored_store),
        cmocka_unit_test(chunk__takes__records_that_are_handled_alike),
    };
    return cmocka_run_group_tests_name("assign", tests, NULL, NULL);
}
