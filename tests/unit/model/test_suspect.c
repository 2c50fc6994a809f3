/* Which record is to be blamed when the process dies, and that no innocent one is. */
#include "groups.h"
#include "model/suspect.h"

#include <stdlib.h>
#include <string.h>

enum { TOPIC_PARTITION = 3 };
static const char boot[] = "boot-1";
static const char store_id[] = "0123456789abcdef0123456789abcdef";

static struct ow_suspects *notes;
static struct ow_position position;

static struct ow_record record_at(int64_t offset)
{
    return (struct ow_record){
        .topic = OW_SLICE("t"), .partition = TOPIC_PARTITION, .offset = offset};
}

static int begin(void **state)
{
    (void)state;
    notes = calloc(1, sizeof(*notes));
    assert_non_null(notes);
    assert_int_equal(ow_suspects_adopt(notes, boot, store_id), OW_ADOPTED_NEW);
    position = (struct ow_position){.topic = OW_SLICE("t"), .partition = TOPIC_PARTITION};
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(notes);
    return 0;
}

/* The next process. */
static struct ow_death start(void)
{
    struct ow_death death;
    assert_int_equal(ow_suspects_adopt(notes, boot, store_id), OW_ADOPTED);
    ow_suspects_start(notes, &position, &death);
    return death;
}

static void hand_out(int64_t offset)
{
    ow_suspects_partition(notes, OW_SLICE("t"), TOPIC_PARTITION)->place.offset = offset;
}

static void work(size_t slot, enum ow_stage stage, int64_t offset, size_t records,
                 int64_t parked_id)
{
    const struct ow_record record = record_at(offset);
    ow_slot_work(&notes->slots[slot], stage, &record, records, parked_id);
}

static struct ow_death die_alone(enum ow_stage stage, int64_t offset)
{
    hand_out(offset + 100);
    work(0, stage, offset, 1, 0);
    return start();
}

static struct ow_death die_together(int64_t offset)
{
    hand_out(offset + 99);
    work(1, OW_STAGE_READ, offset, 100, 0);
    work(0, OW_STAGE_APPLY, offset, 1, 0);
    return start();
}

static enum ow_care care(int64_t offset)
{
    return ow_suspects_care(notes, ow_suspects_partition(notes, OW_SLICE("t"), TOPIC_PARTITION),
                            offset);
}

static enum ow_treatment treatment(int64_t offset)
{
    const struct ow_record record = record_at(offset);
    uint32_t deaths = 0;
    return ow_suspects_treatment(notes, &record, &deaths);
}

static bool needs_control(int64_t offset)
{
    const struct ow_record record = record_at(offset);
    return ow_suspects_needs_control(notes, &record);
}

static void idle__nobody_is_to_blame(void **state)
{
    (void)state;
    hand_out(500);
    work(1, OW_STAGE_READ, 3, 7, 0);
    ow_slot_rest(&notes->slots[1]);
    const struct ow_death death = start();
    assert_int_equal(death.stage, OW_STAGE_IDLE);
    assert_int_equal(notes->deaths, 0);
    assert_int_equal(care(0), OW_CARE_NONE);
}

static void together__the_second_death_makes_careful__and_only_what_was_handed_out(void **state)
{
    (void)state;
    assert_int_equal(die_together(10).deaths, 1);
    assert_int_equal(care(10), OW_CARE_NONE);
    position.next_offset = 5;
    assert_int_equal(die_together(10).deaths, 2);
    assert_int_equal(care(4), OW_CARE_NONE); /* an operator's rewind is not slowed down */
    assert_int_equal(care(5), OW_CARE_CAREFUL);
    assert_int_equal(care(109), OW_CARE_CAREFUL);
    assert_int_equal(care(110), OW_CARE_NONE);
    assert_int_equal(treatment(10), OW_TREATMENT_TRY);
    position.next_offset = 110;
    assert_int_equal(start().stage, OW_STAGE_IDLE);
    assert_int_equal(care(110), OW_CARE_NONE);
}

static void together__what_was_passed_meanwhile__does_not_count(void **state)
{
    (void)state;
    for (int64_t at = 0; at < 100000; at += 1000) {
        position.next_offset = at;
        assert_int_equal(die_together(at).deaths, 1);
        assert_int_equal(care(at), OW_CARE_NONE);
    }
}

static void together__in_a_partition_that_the_store_does_not_know_yet(void **state)
{
    (void)state;
    struct ow_death death;
    for (int i = 0; i < 2; i++) {
        hand_out(50);
        work(2, OW_STAGE_READ, 0, 51, 0);
        ow_suspects_start(notes, NULL, &death);
    }
    assert_int_equal(care(0), OW_CARE_CAREFUL);
    assert_int_equal(care(50), OW_CARE_CAREFUL);
}

static void alone__three_deaths_convict(void **state)
{
    (void)state;
    assert_int_equal(die_alone(OW_STAGE_APPLY, 7).deaths, 1);
    assert_int_equal(care(6), OW_CARE_CAREFUL);
    assert_int_equal(care(7), OW_CARE_ALONE);
    assert_int_equal(care(8), OW_CARE_NONE);
    assert_false(needs_control(7));
    assert_int_equal(die_alone(OW_STAGE_APPLY, 7).deaths, 2);
    assert_true(needs_control(7));
    assert_int_equal(treatment(7), OW_TREATMENT_TRY);
    assert_int_equal(die_alone(OW_STAGE_APPLY, 7).deaths, 3);
    assert_int_equal(treatment(7), OW_TREATMENT_POISON);
    assert_false(needs_control(7));
    assert_int_equal(treatment(6), OW_TREATMENT_TRY);
    assert_int_equal(treatment(8), OW_TREATMENT_TRY);
}

static void alone__that_kills_in_quarantine_too__is_not_read_any_more(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        (void)die_alone(OW_STAGE_APPLY, 7);
    }
    assert_int_equal(treatment(7), OW_TREATMENT_POISON);
    (void)die_alone(OW_STAGE_APPLY, 7);
    assert_int_equal(treatment(7), OW_TREATMENT_UNREAD);
}

static void alone__that_kills_when_it_is_read__is_not_read_any_more(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(treatment(7), OW_TREATMENT_TRY);
        (void)die_alone(OW_STAGE_READ, 7);
    }
    assert_int_equal(treatment(7), OW_TREATMENT_UNREAD);
}

static void alone__passed__is_acquitted(void **state)
{
    (void)state;
    (void)die_alone(OW_STAGE_APPLY, 7);
    (void)die_alone(OW_STAGE_APPLY, 7);
    position.next_offset = 8;
    (void)die_alone(OW_STAGE_APPLY, 9);
    assert_int_equal(notes->accused_count, 1);
    assert_int_equal(care(9), OW_CARE_ALONE);
    assert_int_equal(care(7), OW_CARE_NONE);
}

static void control__a_death_while_nothing_is_in_work__acquits(void **state)
{
    (void)state;
    (void)die_alone(OW_STAGE_APPLY, 7);
    (void)die_alone(OW_STAGE_APPLY, 7);
    assert_true(needs_control(7));
    assert_int_equal(die_alone(OW_STAGE_CONTROL, 7).stage, OW_STAGE_CONTROL);
    assert_int_equal(notes->accused_count, 0);
    assert_int_equal(die_alone(OW_STAGE_APPLY, 7).deaths, 1);
}

static void woken__the_parked_one_is_accused__not_who_wakes_it(void **state)
{
    (void)state;
    const struct ow_record waker = record_at(7);
    for (int i = 0; i < 3; i++) {
        work(0, OW_STAGE_WAKE, 7, 1, 42);
        assert_int_equal(start().parked_id, 42);
        assert_int_equal(needs_control(7), i == 1);
        assert_true(ow_suspects_is_accused(notes, &waker));
    }
    assert_int_equal(treatment(7), OW_TREATMENT_TRY);
    assert_int_equal(ow_suspects_parked_deaths(notes, &waker, 42), 3);
    assert_int_equal(ow_suspects_parked_deaths(notes, &waker, 41), 0);
    assert_int_equal(care(7), OW_CARE_ALONE);
}

static void accused__more_than_there_is_room_for__who_died_most_often_stays(void **state)
{
    (void)state;
    (void)die_alone(OW_STAGE_APPLY, 0);
    (void)die_alone(OW_STAGE_APPLY, 0);
    for (int64_t i = 1; i <= 2 * OW_SUSPECT_ACCUSED_MAX; i++) {
        (void)die_alone(OW_STAGE_APPLY, i);
    }
    assert_int_equal(notes->accused_count, OW_SUSPECT_ACCUSED_MAX);
    assert_int_equal(die_alone(OW_STAGE_APPLY, 0).deaths, 3);
}

static void partitions__more_than_there_is_room_for__are_not_watched(void **state)
{
    (void)state;
    for (int32_t i = 0; i < OW_SUSPECT_PARTITIONS_MAX; i++) {
        assert_non_null(ow_suspects_partition(notes, OW_SLICE("t"), i));
    }
    assert_null(ow_suspects_partition(notes, OW_SLICE("t"), OW_SUSPECT_PARTITIONS_MAX));
    assert_ptr_equal(ow_suspects_partition(notes, OW_SLICE("t"), 5), &notes->partitions[5]);
    /* Whoever is accused there is not watched either, and nothing breaks. */
    struct ow_record far = record_at(1);
    far.partition = OW_SUSPECT_PARTITIONS_MAX;
    for (int32_t i = 0; i < OW_SUSPECT_PARTITIONS_MAX; i++) {
        notes->partitions[i].suspect_last = 10;
    }
    ow_slot_work(&notes->slots[0], OW_STAGE_APPLY, &far, 1, 0);
    assert_int_equal(start().deaths, 1);
    assert_int_equal(notes->partition_count, OW_SUSPECT_PARTITIONS_MAX);
}

static void cleared__nobody_is_suspected(void **state)
{
    (void)state;
    (void)die_together(1);
    (void)die_alone(OW_STAGE_APPLY, 7);
    ow_suspects_clear(notes);
    assert_int_equal(start().stage, OW_STAGE_IDLE);
    assert_int_equal(care(7), OW_CARE_NONE);
    assert_int_equal(die_together(1).deaths, 1);
}

static void adopted__of_others__is_begun_anew(void **state)
{
    (void)state;
    (void)die_alone(OW_STAGE_APPLY, 7);
    assert_int_equal(ow_suspects_adopt(notes, "boot-2", store_id), OW_ADOPTED_OTHER);
    assert_int_equal(notes->accused_count, 0);
    assert_int_equal(ow_suspects_adopt(notes, "boot-2", "other"), OW_ADOPTED_OTHER);
    assert_int_equal(ow_suspects_adopt(notes, "boot-2", "other"), OW_ADOPTED);
}

static void adopted__damaged_at_any_place__is_begun_anew_or_harmless(void **state)
{
    (void)state;
    struct ow_suspects *damaged = calloc(1, sizeof(*damaged));
    assert_non_null(damaged);
    (void)die_alone(OW_STAGE_APPLY, 7);
    (void)die_together(1);
    work(3, OW_STAGE_READ, 9, 5, 0);
    const size_t used =
        offsetof(struct ow_suspects, partitions) + 2 * sizeof(struct ow_suspect_partition);
    for (size_t at = 0; at < used; at += at < 400 ? 1 : 7) {
        for (int what = 0; what < 3; what++) {
            uint8_t *const bytes = (uint8_t *)damaged;
            memcpy(damaged, notes, used); /* behind it there is nothing but zeros */
            bytes[at] = what == 0 ? 0 : what == 1 ? 0xff : (uint8_t)(bytes[at] ^ 0x80);
            struct ow_death death;
            (void)ow_suspects_adopt(damaged, boot, store_id);
            ow_suspects_start(damaged, &position, &death);
            assert_true(damaged->accused_count <= OW_SUSPECT_ACCUSED_MAX);
            assert_true(damaged->partition_count <= OW_SUSPECT_PARTITIONS_MAX);
            assert_int_equal(ow_suspects_adopt(damaged, boot, store_id), OW_ADOPTED);
        }
    }
    memset(damaged, 0xa5, sizeof(*damaged));
    assert_int_equal(ow_suspects_adopt(damaged, boot, store_id), OW_ADOPTED_DAMAGED);
    free(damaged);
}

/*
 * A worker in miniature, that is killed at random: one unit is 0.1 ms. What takes long, takes long;
 * what is in work is noted as the engine does.
 */
struct world {
    uint64_t seed;
    int64_t left;  /* until it is killed */
    int64_t slow;  /* every so many-th record takes 10 ms */
    int64_t every; /* every so many-th record kills the process itself; 0: none */
    int64_t convicted, innocent, deaths;
};

static uint64_t draw(struct world *world, uint64_t below)
{
    world->seed ^= world->seed << 13;
    world->seed ^= world->seed >> 7;
    world->seed ^= world->seed << 17;
    return (world->seed >> 11) % below;
}

static bool is_killer(const struct world *world, int64_t offset)
{
    return world->every > 0 && offset % world->every == world->every - 1;
}

/* Time goes by; false: it is killed meanwhile. */
static bool pass_time(struct world *world, int64_t units)
{
    world->left -= units;
    return world->left > 0;
}

static int64_t units_of(const struct world *world, int64_t offset)
{
    return world->slow > 0 && offset % world->slow == 0 ? 100 : 1;
}

enum { COMMIT = 20, PENDING = 400, CHUNK = 64 };

/* Reads and applies one record with a note; false: the process died. */
static bool handle_alone(struct world *world, int64_t offset)
{
    const bool dies = is_killer(world, offset);
    const enum ow_treatment how = treatment(offset);
    if (how != OW_TREATMENT_TRY) {
        world->convicted++;
        world->innocent += !dies;
        return true;
    }
    work(0, OW_STAGE_READ, offset, 1, 0);
    if (!pass_time(world, units_of(world, offset)) || (dies && offset % 2 == 0)) {
        return false;
    }
    work(0, OW_STAGE_APPLY, offset, 1, 0);
    if (!pass_time(world, units_of(world, offset)) || dies) {
        return false;
    }
    ow_slot_rest(&notes->slots[0]);
    return true;
}

/* From the position to behind the last record of the next transaction; -1: the process died. */
static int64_t handle_careful(struct world *world)
{
    int64_t at = position.next_offset;
    if (care(at) == OW_CARE_ALONE) {
        if (needs_control(at)) {
            work(0, OW_STAGE_CONTROL, at, 1, 0);
            if (!pass_time(world, OW_SUSPECT_CONTROL_MS * 10)) {
                return -1;
            }
            ow_slot_rest(&notes->slots[0]);
        }
        return handle_alone(world, at) ? at + 1 : -1;
    }
    for (int64_t i = 0; i < CHUNK && care(at) == OW_CARE_CAREFUL; i++, at++) {
        if (!handle_alone(world, at)) {
            return -1;
        }
    }
    return at;
}

static int64_t handle_many(struct world *world)
{
    int64_t at = position.next_offset;
    int64_t units = 0;
    bool dies = false;
    /* Sometimes little has come, and a record is alone for that. */
    const int64_t most = draw(world, 4) == 0 ? 1 : CHUNK;
    for (int64_t i = 0; i < most && care(at) == OW_CARE_NONE; i++, at++) {
        units += units_of(world, at);
        dies = dies || is_killer(world, at);
    }
    const int64_t first = position.next_offset;
    if (most > 1) {
        work(1, OW_STAGE_READ, at, 30, 0); /* the next ones are read meanwhile */
    }
    work(0, OW_STAGE_APPLY, first, (size_t)(at - first), 0);
    if (!pass_time(world, units) || dies) {
        return -1;
    }
    ow_slot_rest(&notes->slots[0]);
    ow_slot_rest(&notes->slots[1]);
    return at;
}

/* One life of the process. */
static void live(struct world *world)
{
    world->deaths++;
    if (start().stage == OW_STAGE_IDLE) {
        world->deaths--;
    }
    if (!pass_time(world, (int64_t)draw(world, 500))) {
        return; /* before anything */
    }
    for (;;) {
        hand_out(position.next_offset + PENDING);
        const int64_t next =
            care(position.next_offset) == OW_CARE_NONE ? handle_many(world) : handle_careful(world);
        if (next < 0 || !pass_time(world, COMMIT)) {
            return;
        }
        position.next_offset = next;
    }
}

static void killed_at_random__no_innocent_is_ever_convicted(void **state)
{
    (void)state;
    /* Kills after 1 to so many units: from faster than a start to several seconds. */
    static const int64_t lives[] = {200, 1000, 3000, 10000, 40000};
    const int64_t more = getenv("ONCEWARD_MORE") == NULL ? 1 : 20;
    for (size_t i = 0; i < sizeof(lives) / sizeof(*lives); i++) {
        for (int64_t slow = 0; slow < 2; slow++) {
            struct world world = {.seed = 88172645463325252U + i, .slow = slow * 40};
            for (int64_t kills = 0; kills < (4000000 / lives[i] + 1500) * more; kills++) {
                world.left = 1 + (int64_t)draw(&world, (uint64_t)lives[i]);
                live(&world);
            }
            assert_true(world.deaths > 1000);
            assert_int_equal(world.convicted, 0);
        }
    }
}

/* A kill at the same moment of every life hits the same record again and again, until it is tried
 * a second later than before. */
static void killed_by_the_clock__no_innocent_is_ever_convicted(void **state)
{
    (void)state;
    for (int64_t after = 1; after < 21000; after += 17) {
        struct world world = {.seed = 1, .slow = 3};
        for (int kills = 0; kills < 20; kills++) {
            world.seed = 4711; /* each start takes as long as the one before */
            world.left = after;
            live(&world);
        }
        assert_int_equal(world.convicted, 0);
    }
}

static void killers_and_kills__the_killers_alone_are_convicted(void **state)
{
    (void)state;
    struct world world = {.seed = 5, .slow = 40, .every = 997};
    while (position.next_offset < 997 * 50) {
        world.left = 1 + (int64_t)draw(&world, 200000);
        live(&world);
    }
    assert_true(world.convicted >= 49);
    assert_int_equal(world.innocent, 0);
}

static void killers_alone__each_takes_five_deaths_at_most(void **state)
{
    (void)state;
    struct world world = {.seed = 5, .every = 997};
    while (position.next_offset < 997 * 50) {
        world.left = INT64_C(5000000); /* longer than any of them lasts */
        live(&world);
        assert_true(world.deaths <=
                    (position.next_offset / 997 + 1) * (OW_SUSPECT_PATIENCE + OW_SUSPECT_DEATHS));
    }
    assert_int_equal(world.innocent, 0);
}

#define WITH_NOTES(test) cmocka_unit_test_setup_teardown(test, begin, end)

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
        WITH_NOTES(cleared__nobody_is_suspected),
        WITH_NOTES(adopted__of_others__is_begun_anew),
        WITH_NOTES(adopted__damaged_at_any_place__is_begun_anew_or_harmless),
        WITH_NOTES(killed_at_random__no_innocent_is_ever_convicted),
        WITH_NOTES(killed_by_the_clock__no_innocent_is_ever_convicted),
        WITH_NOTES(killers_and_kills__the_killers_alone_are_convicted),
        WITH_NOTES(killers_alone__each_takes_five_deaths_at_most),
    };
    return cmocka_run_group_tests_name("model/suspect", tests, NULL, NULL);
}
