/* Processes that are killed at random, and records that kill: no innocent one is ever convicted. */
#include "groups.h"
#include "suspect_fixture.h"

#include <stdlib.h>

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
    const enum ow_treatment how = ow_suspect_treatment_of(offset);
    if (how != OW_TREATMENT_TRY) {
        world->convicted++;
        world->innocent += !dies;
        return true;
    }
    ow_suspect_work(0, OW_STAGE_READ, offset, 1, 0);
    if (!pass_time(world, units_of(world, offset)) || (dies && offset % 2 == 0)) {
        return false;
    }
    ow_suspect_work(0, OW_STAGE_APPLY, offset, 1, 0);
    if (!pass_time(world, units_of(world, offset)) || dies) {
        return false;
    }
    ow_slot_rest(&ow_suspect_notes->slots[0]);
    return true;
}

/* From the position to behind the last record of the next transaction; -1: the process died. */
static int64_t handle_careful(struct world *world)
{
    int64_t at = ow_suspect_position.next_offset;
    if (ow_suspect_care_of(at) == OW_CARE_ALONE) {
        if (ow_suspect_controlled(at)) {
            ow_suspect_work(0, OW_STAGE_CONTROL, at, 1, 0);
            if (!pass_time(world, (int64_t)OW_SUSPECT_CONTROL_MS * 10)) {
                return -1;
            }
            ow_slot_rest(&ow_suspect_notes->slots[0]);
        }
        return handle_alone(world, at) ? at + 1 : -1;
    }
    for (int64_t i = 0; i < CHUNK && ow_suspect_care_of(at) == OW_CARE_CAREFUL; i++, at++) {
        if (!handle_alone(world, at)) {
            return -1;
        }
    }
    return at;
}

static int64_t handle_many(struct world *world)
{
    int64_t at = ow_suspect_position.next_offset;
    int64_t units = 0;
    bool dies = false;
    /* Sometimes little has come, and a record is alone for that. */
    const int64_t most = draw(world, 4) == 0 ? 1 : CHUNK;
    for (int64_t i = 0; i < most && ow_suspect_care_of(at) == OW_CARE_NONE; i++, at++) {
        units += units_of(world, at);
        dies = dies || is_killer(world, at);
    }
    const int64_t first = ow_suspect_position.next_offset;
    if (most > 1) {
        ow_suspect_work(1, OW_STAGE_READ, at, 30, 0); /* the next ones are read meanwhile */
    }
    ow_suspect_work(0, OW_STAGE_APPLY, first, (size_t)(at - first), 0);
    if (!pass_time(world, units) || dies) {
        return -1;
    }
    ow_slot_rest(&ow_suspect_notes->slots[0]);
    ow_slot_rest(&ow_suspect_notes->slots[1]);
    return at;
}

/* One life of the process. */
static void live(struct world *world)
{
    world->deaths++;
    if (ow_suspect_start_anew().stage == OW_STAGE_IDLE) {
        world->deaths--;
    }
    if (!pass_time(world, (int64_t)draw(world, 500))) {
        return; /* before anything */
    }
    for (;;) {
        ow_suspect_hand_out(ow_suspect_position.next_offset + PENDING);
        const int64_t next = ow_suspect_care_of(ow_suspect_position.next_offset) == OW_CARE_NONE
                                 ? handle_many(world)
                                 : handle_careful(world);
        if (next < 0 || !pass_time(world, COMMIT)) {
            return;
        }
        ow_suspect_position.next_offset = next;
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
    while (ow_suspect_position.next_offset < (int64_t)997 * 50) {
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
    while (ow_suspect_position.next_offset < (int64_t)997 * 50) {
        world.left = INT64_C(5000000); /* longer than any of them lasts */
        live(&world);
        assert_true(world.deaths <= (ow_suspect_position.next_offset / 997 + 1) *
                                        (OW_SUSPECT_PATIENCE + OW_SUSPECT_DEATHS));
    }
    assert_int_equal(world.innocent, 0);
}

#define WITH_NOTES(test) cmocka_unit_test_setup_teardown(test, ow_suspect_begin, ow_suspect_end)

int ow_test_suspect_kills(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NOTES(killed_at_random__no_innocent_is_ever_convicted),
        WITH_NOTES(killed_by_the_clock__no_innocent_is_ever_convicted),
        WITH_NOTES(killers_and_kills__the_killers_alone_are_convicted),
        WITH_NOTES(killers_alone__each_takes_five_deaths_at_most),
    };
    return cmocka_run_group_tests_name("model/suspect_kills", tests, NULL, NULL);
}
