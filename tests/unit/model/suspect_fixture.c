#include "suspect_fixture.h"

#include "groups.h"

#include <stdlib.h>
#include <string.h>

struct ow_suspects *ow_suspect_notes;
struct ow_position ow_suspect_position;
int64_t ow_suspect_epoch;

struct ow_record ow_suspect_record(int64_t offset)
{
    return (struct ow_record){
        .topic = OW_SLICE("t"), .partition = OW_SUSPECT_TEST_PARTITION, .offset = offset};
}

int ow_suspect_begin(void **state)
{
    (void)state;
    ow_suspect_notes = calloc(1, sizeof(*ow_suspect_notes));
    assert_non_null(ow_suspect_notes);
    assert_int_equal(
        ow_suspects_adopt(ow_suspect_notes, OW_SUSPECT_TEST_BOOT, OW_SUSPECT_TEST_STORE),
        OW_ADOPTED_NEW);
    ow_suspect_epoch = 0;
    ow_suspect_position =
        (struct ow_position){.topic = OW_SLICE("t"), .partition = OW_SUSPECT_TEST_PARTITION};
    return 0;
}

int ow_suspect_end(void **state)
{
    (void)state;
    free(ow_suspect_notes);
    return 0;
}

/* The next process. */
struct ow_death ow_suspect_start_anew(void)
{
    struct ow_death death;
    assert_int_equal(
        ow_suspects_adopt(ow_suspect_notes, OW_SUSPECT_TEST_BOOT, OW_SUSPECT_TEST_STORE),
        OW_ADOPTED);
    ow_suspects_start(ow_suspect_notes, &ow_suspect_position, ++ow_suspect_epoch, &death);
    return death;
}

void ow_suspect_hand_out(int64_t offset)
{
    ow_suspects_partition(ow_suspect_notes, OW_SLICE("t"), OW_SUSPECT_TEST_PARTITION)
        ->place.offset = offset;
}

void ow_suspect_work(size_t slot, enum ow_stage stage, int64_t offset, size_t records,
                     int64_t parked_id)
{
    const struct ow_record record = ow_suspect_record(offset);
    ow_slot_work(&ow_suspect_notes->slots[slot], stage, &record, records, parked_id);
}

enum ow_care ow_suspect_care_of(int64_t offset)
{
    return ow_suspects_care(
        ow_suspect_notes,
        ow_suspects_partition(ow_suspect_notes, OW_SLICE("t"), OW_SUSPECT_TEST_PARTITION), offset);
}

enum ow_treatment ow_suspect_treatment_of(int64_t offset)
{
    const struct ow_record record = ow_suspect_record(offset);
    uint32_t deaths = 0;
    return ow_suspects_treatment(ow_suspect_notes, &record, &deaths);
}

bool ow_suspect_controlled(int64_t offset)
{
    const struct ow_record record = ow_suspect_record(offset);
    return ow_suspects_needs_control(ow_suspect_notes, &record);
}
