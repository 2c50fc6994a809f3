/* Which record is to be blamed when the process dies. */
#include "groups.h"
#include "suspect_fixture.h"

#include <stdlib.h>
#include <string.h>

static struct ow_death die_alone(enum ow_stage stage, int64_t offset)
{
    ow_suspect_hand_out(offset + 100);
    ow_suspect_work(0, stage, offset, 1, 0);
    return ow_suspect_start_anew();
}

static struct ow_death die_together(int64_t offset)
{
    ow_suspect_hand_out(offset + 99);
    ow_suspect_work(1, OW_STAGE_READ, offset, 100, 0);
    ow_suspect_work(0, OW_STAGE_APPLY, offset, 1, 0);
    return ow_suspect_start_anew();
}

static void idle__nobody_is_to_blame(void **state)
{
    (void)state;
    ow_suspect_hand_out(500);
    ow_suspect_work(1, OW_STAGE_READ, 3, 7, 0);
    ow_slot_rest(&ow_suspect_notes->slots[1]);
    const struct ow_death death = ow_suspect_start_anew();
    assert_int_equal(death.stage, OW_STAGE_IDLE);
    assert_int_equal(ow_suspect_notes->deaths, 0);
    assert_int_equal(ow_suspect_care_of(0), OW_CARE_NONE);
}

static void together__the_second_death_makes_careful__and_only_what_was_handed_out(void **state)
{
    (void)state;
    assert_int_equal(die_together(10).deaths, 1);
    assert_int_equal(ow_suspect_care_of(10), OW_CARE_NONE);
    ow_suspect_position.next_offset = 5;
    assert_int_equal(die_together(10).deaths, 2);
    assert_int_equal(ow_suspect_care_of(4),
                     OW_CARE_NONE); /* an operator's rewind is not slowed down */
    assert_int_equal(ow_suspect_care_of(5), OW_CARE_CAREFUL);
    assert_int_equal(ow_suspect_care_of(109), OW_CARE_CAREFUL);
    assert_int_equal(ow_suspect_care_of(110), OW_CARE_NONE);
    assert_int_equal(ow_suspect_treatment_of(10), OW_TREATMENT_TRY);
    ow_suspect_position.next_offset = 110;
    assert_int_equal(ow_suspect_start_anew().stage, OW_STAGE_IDLE);
    assert_int_equal(ow_suspect_care_of(110), OW_CARE_NONE);
}

static void together__what_was_passed_meanwhile__does_not_count(void **state)
{
    (void)state;
    for (int64_t at = 0; at < 100000; at += 1000) {
        ow_suspect_position.next_offset = at;
        assert_int_equal(die_together(at).deaths, 1);
        assert_int_equal(ow_suspect_care_of(at), OW_CARE_NONE);
    }
}

static void together__in_a_partition_that_the_store_does_not_know_yet(void **state)
{
    (void)state;
    struct ow_death death;
    for (int i = 0; i < 2; i++) {
        ow_suspect_hand_out(50);
        ow_suspect_work(2, OW_STAGE_READ, 0, 51, 0);
        ow_suspects_start(ow_suspect_notes, NULL, ++ow_suspect_epoch, &death);
    }
    assert_int_equal(ow_suspect_care_of(0), OW_CARE_CAREFUL);
    assert_int_equal(ow_suspect_care_of(50), OW_CARE_CAREFUL);
}

static void alone__three_deaths_convict(void **state)
{
    (void)state;
    assert_int_equal(die_alone(OW_STAGE_APPLY, 7).deaths, 1);
    assert_int_equal(ow_suspect_care_of(6), OW_CARE_CAREFUL);
    assert_int_equal(ow_suspect_care_of(7), OW_CARE_ALONE);
    assert_int_equal(ow_suspect_care_of(8), OW_CARE_NONE);
    assert_false(ow_suspect_controlled(7));
    assert_int_equal(die_alone(OW_STAGE_APPLY, 7).deaths, 2);
    assert_true(ow_suspect_controlled(7));
    assert_int_equal(ow_suspect_treatment_of(7), OW_TREATMENT_TRY);
    assert_int_equal(die_alone(OW_STAGE_APPLY, 7).deaths, 3);
    assert_int_equal(ow_suspect_treatment_of(7), OW_TREATMENT_POISON);
    assert_false(ow_suspect_controlled(7));
    assert_int_equal(ow_suspect_treatment_of(6), OW_TREATMENT_TRY);
    assert_int_equal(ow_suspect_treatment_of(8), OW_TREATMENT_TRY);
}

static void alone__that_kills_in_quarantine_too__is_not_read_any_more(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        (void)die_alone(OW_STAGE_APPLY, 7);
    }
    assert_int_equal(ow_suspect_treatment_of(7), OW_TREATMENT_POISON);
    (void)die_alone(OW_STAGE_APPLY, 7);
    assert_int_equal(ow_suspect_treatment_of(7), OW_TREATMENT_UNREAD);
}

static void alone__that_kills_when_it_is_read__is_not_read_any_more(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ow_suspect_treatment_of(7), OW_TREATMENT_TRY);
        (void)die_alone(OW_STAGE_READ, 7);
    }
    assert_int_equal(ow_suspect_treatment_of(7), OW_TREATMENT_UNREAD);
}

static void alone__passed__is_acquitted(void **state)
{
    (void)state;
    (void)die_alone(OW_STAGE_APPLY, 7);
    (void)die_alone(OW_STAGE_APPLY, 7);
    ow_suspect_position.next_offset = 8;
    (void)die_alone(OW_STAGE_APPLY, 9);
    assert_int_equal(ow_suspect_notes->accused_count, 1);
    assert_int_equal(ow_suspect_care_of(9), OW_CARE_ALONE);
    assert_int_equal(ow_suspect_care_of(7), OW_CARE_NONE);
}

static void control__a_death_while_nothing_is_in_work__acquits(void **state)
{
    (void)state;
    (void)die_alone(OW_STAGE_APPLY, 7);
    (void)die_alone(OW_STAGE_APPLY, 7);
    assert_true(ow_suspect_controlled(7));
    assert_int_equal(die_alone(OW_STAGE_CONTROL, 7).stage, OW_STAGE_CONTROL);
    assert_int_equal(ow_suspect_notes->accused_count, 0);
    assert_int_equal(die_alone(OW_STAGE_APPLY, 7).deaths, 1);
}

static void woken__the_parked_one_is_accused__not_who_wakes_it(void **state)
{
    (void)state;
    const struct ow_record waker = ow_suspect_record(7);
    for (int i = 0; i < 3; i++) {
        ow_suspect_work(0, OW_STAGE_WAKE, 7, 1, 42);
        assert_int_equal(ow_suspect_start_anew().parked_id, 42);
        assert_int_equal(ow_suspect_controlled(7), i == 1);
        assert_true(ow_suspects_is_accused(ow_suspect_notes, &waker));
    }
    assert_int_equal(ow_suspect_treatment_of(7), OW_TREATMENT_TRY);
    assert_int_equal(ow_suspects_parked_deaths(ow_suspect_notes, &waker, 42), 3);
    assert_int_equal(ow_suspects_parked_deaths(ow_suspect_notes, &waker, 41), 0);
    assert_int_equal(ow_suspect_care_of(7), OW_CARE_ALONE);
}

static void accused__more_than_there_is_room_for__who_died_most_often_stays(void **state)
{
    (void)state;
    (void)die_alone(OW_STAGE_APPLY, 0);
    (void)die_alone(OW_STAGE_APPLY, 0);
    for (int64_t i = 1; i <= (int64_t)2 * OW_SUSPECT_ACCUSED_MAX; i++) {
        (void)die_alone(OW_STAGE_APPLY, i);
    }
    assert_int_equal(ow_suspect_notes->accused_count, OW_SUSPECT_ACCUSED_MAX);
    assert_int_equal(die_alone(OW_STAGE_APPLY, 0).deaths, 3);
}

static void partitions__more_than_there_is_room_for__are_not_watched(void **state)
{
    (void)state;
    for (int32_t i = 0; i < OW_SUSPECT_PARTITIONS_MAX; i++) {
        assert_non_null(ow_suspects_partition(ow_suspect_notes, OW_SLICE("t"), i));
    }
    assert_null(ow_suspects_partition(ow_suspect_notes, OW_SLICE("t"), OW_SUSPECT_PARTITIONS_MAX));
    assert_ptr_equal(ow_suspects_partition(ow_suspect_notes, OW_SLICE("t"), 5),
                     &ow_suspect_notes->partitions[5]);
    /* Whoever is accused there is not watched either, and nothing breaks. */
    struct ow_record far = ow_suspect_record(1);
    far.partition = OW_SUSPECT_PARTITIONS_MAX;
    for (int32_t i = 0; i < OW_SUSPECT_PARTITIONS_MAX; i++) {
        ow_suspect_notes->partitions[i].suspect_last = 10;
    }
    ow_slot_work(&ow_suspect_notes->slots[0], OW_STAGE_APPLY, &far, 1, 0);
    assert_int_equal(ow_suspect_start_anew().deaths, 1);
    assert_int_equal(ow_suspect_notes->partition_count, OW_SUSPECT_PARTITIONS_MAX);
}

static void convicted__again_and_again__it_is_not_the_records(void **state)
{
    (void)state;
    for (int64_t i = 0; i < OW_SUSPECT_CONVICTIONS; i++) {
        assert_false(ow_suspects_are_too_many(ow_suspect_notes));
        ow_suspects_pass(ow_suspect_notes, OW_SUSPECT_REDEEMING - 1);
        ow_suspect_position.next_offset = i * 1000;
        for (int deaths = 0; deaths < OW_SUSPECT_DEATHS; deaths++) {
            (void)die_alone(OW_STAGE_APPLY, i * 1000);
        }
    }
    assert_true(ow_suspects_are_too_many(ow_suspect_notes));
    (void)ow_suspect_start_anew();
    assert_true(ow_suspects_are_too_many(ow_suspect_notes));
}

static void convicted__far_from_each_other__each_is_a_case_of_its_own(void **state)
{
    (void)state;
    for (int64_t i = 0; i < (int64_t)3 * OW_SUSPECT_CONVICTIONS; i++) {
        ow_suspect_position.next_offset = i * 1000;
        for (int deaths = 0; deaths < OW_SUSPECT_DEATHS; deaths++) {
            (void)die_alone(OW_STAGE_APPLY, i * 1000);
        }
        ow_suspects_pass(ow_suspect_notes, 1);
        ow_suspects_pass(ow_suspect_notes, OW_SUSPECT_REDEEMING - 1);
    }
    assert_false(ow_suspects_are_too_many(ow_suspect_notes));
}

/* An operator adopted a topic that was made anew: its records have the offsets of others. */
static void another_topic_under_the_name__its_records_are_innocent(void **state)
{
    (void)state;
    (void)die_together(3);
    (void)die_together(3);
    (void)die_alone(OW_STAGE_APPLY, 7);
    (void)die_alone(OW_STAGE_APPLY, 7);
    ow_suspect_hand_out(20);
    ow_suspect_work(0, OW_STAGE_APPLY, 7, 1, 0);
    ow_suspect_position.began_epoch = ow_suspect_epoch + 1; /* `positions` owned the store */
    ow_suspect_epoch++;
    const struct ow_death death = ow_suspect_start_anew();
    assert_true(death.alone);
    assert_int_equal(death.deaths, 0);
    assert_int_equal(ow_suspect_notes->accused_count, 0);
    assert_int_equal(ow_suspect_care_of(7), OW_CARE_NONE);
    assert_int_equal(ow_suspect_treatment_of(7), OW_TREATMENT_TRY);
    /* From here on it is the topic that the notes are of. */
    for (uint32_t deaths = 1; deaths <= 3; deaths++) {
        assert_int_equal(die_alone(OW_STAGE_APPLY, 7).deaths, deaths);
    }
    assert_int_equal(ow_suspect_treatment_of(7), OW_TREATMENT_POISON);
}

/* A copy of the file was put back that counts its owners anew: what it knows of its topics may be
 * younger than the notes and seem older. */
static void another_copy_of_the_store__nobody_is_suspected(void **state)
{
    (void)state;
    (void)die_alone(OW_STAGE_APPLY, 7);
    (void)die_alone(OW_STAGE_APPLY, 7);
    ow_suspect_epoch -= 2;
    (void)ow_suspect_start_anew();
    assert_int_equal(ow_suspect_notes->accused_count, 0);
    assert_int_equal(die_alone(OW_STAGE_APPLY, 7).deaths, 1);
}

/* A topic that the machines have left out since: what is suspected of it is never passed. */
static void together__in_a_partition_that_is_read_no_more__does_not_count(void **state)
{
    (void)state;
    struct ow_suspect_partition *other =
        ow_suspects_partition(ow_suspect_notes, OW_SLICE("gone"), 0);
    other->place.offset = 50;
    assert_int_equal(die_together(10).deaths, 1);
    assert_int_equal(ow_suspect_notes->partition_count, 2);
    for (int64_t at = 1000; at < 10000; at += 1000) {
        ow_suspect_position.next_offset = at;
        assert_int_equal(die_together(at).deaths, 1);
        assert_int_equal(ow_suspect_care_of(at), OW_CARE_NONE);
    }
    /* Deaths of the same are counted as ever, and one alone between them forgets nothing. */
    assert_int_equal(die_together(9000).deaths, 2);
    assert_int_equal(die_alone(OW_STAGE_APPLY, 9001).deaths, 1);
    assert_int_equal(ow_suspect_care_of(9050), OW_CARE_CAREFUL);
}

static void cleared__nobody_is_suspected(void **state)
{
    (void)state;
    (void)die_together(1);
    (void)die_alone(OW_STAGE_APPLY, 7);
    ow_suspects_clear(ow_suspect_notes);
    assert_int_equal(ow_suspect_start_anew().stage, OW_STAGE_IDLE);
    assert_int_equal(ow_suspect_care_of(7), OW_CARE_NONE);
    assert_int_equal(die_together(1).deaths, 1);
}

static void adopted__of_others__is_begun_anew(void **state)
{
    (void)state;
    (void)die_alone(OW_STAGE_APPLY, 7);
    assert_int_equal(ow_suspects_adopt(ow_suspect_notes, "boot-2", OW_SUSPECT_TEST_STORE),
                     OW_ADOPTED_OTHER);
    assert_int_equal(ow_suspect_notes->accused_count, 0);
    assert_int_equal(ow_suspects_adopt(ow_suspect_notes, "boot-2", "other"), OW_ADOPTED_OTHER);
    assert_int_equal(ow_suspects_adopt(ow_suspect_notes, "boot-2", "other"), OW_ADOPTED);
}

static void adopted__damaged_at_any_place__is_begun_anew_or_harmless(void **state)
{
    (void)state;
    struct ow_suspects *damaged = calloc(1, sizeof(*damaged));
    assert_non_null(damaged);
    (void)die_alone(OW_STAGE_APPLY, 7);
    (void)die_together(1);
    ow_suspect_work(3, OW_STAGE_READ, 9, 5, 0);
    const size_t used =
        offsetof(struct ow_suspects, partitions) + 2 * sizeof(struct ow_suspect_partition);
    for (size_t at = 0; at < used; at += at < 400 ? 1 : 7) {
        for (int what = 0; what < 3; what++) {
            uint8_t *const bytes = (uint8_t *)damaged;
            memcpy(damaged, ow_suspect_notes, used); /* behind it there is nothing but zeros */
            bytes[at] = what == 0 ? 0 : what == 1 ? 0xff : (uint8_t)(bytes[at] ^ 0x80);
            struct ow_death death;
            (void)ow_suspects_adopt(damaged, OW_SUSPECT_TEST_BOOT, OW_SUSPECT_TEST_STORE);
            ow_suspects_start(damaged, &ow_suspect_position, ow_suspect_epoch, &death);
            assert_true(damaged->accused_count <= OW_SUSPECT_ACCUSED_MAX);
            assert_true(damaged->partition_count <= OW_SUSPECT_PARTITIONS_MAX);
            assert_int_equal(
                ow_suspects_adopt(damaged, OW_SUSPECT_TEST_BOOT, OW_SUSPECT_TEST_STORE),
                OW_ADOPTED);
        }
    }
    memset(damaged, 0xa5, sizeof(*damaged));
    assert_int_equal(ow_suspects_adopt(damaged, OW_SUSPECT_TEST_BOOT, OW_SUSPECT_TEST_STORE),
                     OW_ADOPTED_DAMAGED);
    free(damaged);
}

#define WITH_NOTES(test) cmocka_unit_test_setup_teardown(test, ow_suspect_begin, ow_suspect_end)

int ow_test_suspect(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NOTES(idle__nobody_is_to_blame),
        WITH_NOTES(together__the_second_death_makes_careful__and_only_what_was_handed_out),
        WITH_NOTES(together__what_was_passed_meanwhile__does_not_count),
        WITH_NOTES(together__in_a_partition_that_the_store_does_not_know_yet),
        WITH_NOTES(alone__three_deaths_convict),
        WITH_NOTES(alone__that_kills_in_quarantine_too__is_not_read_any_more),
        WITH_NOTES(alone__that_kills_when_it_is_read__is_not_read_any_more),
        WITH_NOTES(alone__passed__is_acquitted),
        WITH_NOTES(control__a_death_while_nothing_is_in_work__acquits),
        WITH_NOTES(woken__the_parked_one_is_accused__not_who_wakes_it),
        WITH_NOTES(accused__more_than_there_is_room_for__who_died_most_often_stays),
        WITH_NOTES(partitions__more_than_there_is_room_for__are_not_watched),
        WITH_NOTES(convicted__again_and_again__it_is_not_the_records),
        WITH_NOTES(convicted__far_from_each_other__each_is_a_case_of_its_own),
        WITH_NOTES(another_topic_under_the_name__its_records_are_innocent),
        WITH_NOTES(another_copy_of_the_store__nobody_is_suspected),
        WITH_NOTES(together__in_a_partition_that_is_read_no_more__does_not_count),
        WITH_NOTES(cleared__nobody_is_suspected),
        WITH_NOTES(adopted__of_others__is_begun_anew),
        WITH_NOTES(adopted__damaged_at_any_place__is_begun_anew_or_harmless),
    };
    return cmocka_run_group_tests_name("model/suspect", tests, NULL, NULL);
}
