#include "model/suspect.h"

#include "base/contract.h"

#include <stdio.h>

static const uint8_t magic[16] = "onceward notes\n";
enum { VERSION = 2 };

static bool is_place(const struct ow_place *place)
{
    return place->topic_len <= OW_SUSPECT_TOPIC_BYTES && place->partition >= 0 &&
           place->offset >= -1;
}

/* Numbers that the code below can rely on. What they say may still be wrong: then a record is
 * handled with more care, or less, than it needs. */
static bool is_sound(const struct ow_suspects *suspects)
{
    if (suspects->version != VERSION || suspects->bytes != sizeof(*suspects) ||
        suspects->accused_count > OW_SUSPECT_ACCUSED_MAX ||
        suspects->partition_count > OW_SUSPECT_PARTITIONS_MAX) {
        return false;
    }
    for (size_t i = 0; i < OW_SUSPECT_SLOTS; i++) {
        const struct ow_slot *slot = &suspects->slots[i];
        if (atomic_load(&slot->stage) > OW_STAGE_CONTROL || !is_place(&slot->place)) {
            return false;
        }
    }
    for (size_t i = 0; i < suspects->accused_count; i++) {
        const struct ow_accused *accused = &suspects->accused[i];
        if (accused->stage > OW_STAGE_CONTROL || !is_place(&accused->place)) {
            return false;
        }
    }
    for (size_t i = 0; i < suspects->partition_count; i++) {
        if (!is_place(&suspects->partitions[i].place)) {
            return false;
        }
    }
    return true;
}

static bool is_text(const char *text, size_t bytes, const char *wanted)
{
    return strnlen(text, bytes) < bytes && strcmp(text, wanted) == 0;
}

enum ow_adopted ow_suspects_adopt(struct ow_suspects *suspects, const char *boot,
                                  const char *store_id)
{
    static const uint8_t nothing[sizeof(magic)] = {0};
    OW_REQUIRE(strlen(boot) < sizeof(suspects->boot));
    OW_REQUIRE(strlen(store_id) < sizeof(suspects->store_id));
    enum ow_adopted adopted = OW_ADOPTED;
    if (memcmp(suspects->magic, nothing, sizeof(nothing)) == 0) {
        adopted = OW_ADOPTED_NEW;
    } else if (memcmp(suspects->magic, magic, sizeof(magic)) != 0 || !is_sound(suspects)) {
        adopted = OW_ADOPTED_DAMAGED;
    } else if (!is_text(suspects->boot, sizeof(suspects->boot), boot) ||
               !is_text(suspects->store_id, sizeof(suspects->store_id), store_id)) {
        adopted = OW_ADOPTED_OTHER;
    }
    if (adopted != OW_ADOPTED) {
        memset(suspects, 0, sizeof(*suspects)); /* too large for a compound literal on the stack */
        memcpy(suspects->magic, magic, sizeof(magic));
        suspects->version = VERSION;
        suspects->bytes = sizeof(*suspects);
        (void)snprintf(suspects->boot, sizeof(suspects->boot), "%s", boot);
        (void)snprintf(suspects->store_id, sizeof(suspects->store_id), "%s", store_id);
    }
    return adopted;
}

static bool is_at(const struct ow_place *place, struct ow_slice topic, int32_t partition)
{
    return place->partition == partition &&
           ow_slice_equal((struct ow_slice){place->topic, place->topic_len}, topic);
}

static bool is_same(const struct ow_place *a, const struct ow_place *b)
{
    return a->offset == b->offset &&
           is_at(a, (struct ow_slice){b->topic, b->topic_len}, b->partition);
}

static struct ow_place place_of(struct ow_slice topic, int32_t partition, int64_t offset)
{
    struct ow_place place = {.offset = offset, .partition = partition};
    place.topic_len = (uint32_t)(topic.len < sizeof(place.topic) ? topic.len : sizeof(place.topic));
    if (place.topic_len > 0) {
        memcpy(place.topic, topic.ptr, place.topic_len);
    }
    return place;
}

void ow_slot_work(struct ow_slot *slot, enum ow_stage stage, const struct ow_record *first,
                  size_t records, int64_t parked_id)
{
    if (slot == NULL) {
        return;
    }
    OW_REQUIRE(first->topic.len <= sizeof(slot->place.topic));
    /* Idle while it is being changed: a note is whole or none, wherever the process dies. */
    ow_slot_rest(slot);
    slot->records = (uint32_t)records;
    slot->parked_id = parked_id;
    slot->place.offset = first->offset;
    slot->place.partition = first->partition;
    slot->place.topic_len = (uint32_t)first->topic.len;
    memcpy(slot->place.topic, first->topic.ptr, first->topic.len);
    atomic_store_explicit(&slot->stage, stage, memory_order_release);
}

struct ow_suspect_partition *ow_suspects_partition(struct ow_suspects *suspects,
                                                   struct ow_slice topic, int32_t partition)
{
    for (size_t i = 0; i < suspects->partition_count; i++) {
        if (is_at(&suspects->partitions[i].place, topic, partition)) {
            return &suspects->partitions[i];
        }
    }
    if (suspects->partition_count == OW_SUSPECT_PARTITIONS_MAX) {
        return NULL;
    }
    struct ow_suspect_partition *added = &suspects->partitions[suspects->partition_count];
    *added = (struct ow_suspect_partition){
        .place = place_of(topic, partition, -1), .suspect_last = -1, .careful_last = -1};
    suspects->partition_count++;
    return added;
}

/* NULL where the store knows nothing of the partition. */
static const struct ow_position *find_position(const struct ow_position *positions,
                                               const struct ow_place *place)
{
    while (positions != NULL && !is_at(place, positions->topic, positions->partition)) {
        positions = positions->next;
    }
    return positions;
}

static int64_t position_at(const struct ow_position *positions, const struct ow_place *place)
{
    const struct ow_position *position = find_position(positions, place);
    return position == NULL ? 0 : position->next_offset;
}

/* Whether what is there now is another topic than that which the notes are of. */
static bool is_replaced(const struct ow_suspects *suspects, const struct ow_position *positions,
                        const struct ow_place *place)
{
    const struct ow_position *position = find_position(positions, place);
    return position != NULL && position->began_epoch > suspects->epoch;
}

/* What the store has passed was not to blame, or is quarantined; and whoever was killed while
 * nothing was in work has not died of what it waited for. */
static void acquit(struct ow_suspects *suspects, const struct ow_position *positions,
                   const struct ow_place *controlled)
{
    size_t kept = 0;
    for (size_t i = 0; i < suspects->accused_count; i++) {
        const struct ow_accused *accused = &suspects->accused[i];
        if (!is_replaced(suspects, positions, &accused->place) &&
            accused->place.offset >= position_at(positions, &accused->place) &&
            (controlled == NULL || !is_same(&accused->place, controlled))) {
            suspects->accused[kept++] = *accused;
        }
    }
    suspects->accused_count = (uint32_t)kept;
}

/* One record was in work alone. Where there is no room, whoever has died least often gives way. */
static uint32_t accuse(struct ow_suspects *suspects, const struct ow_slot *slot, uint32_t stage)
{
    size_t at = 0;
    while (at < suspects->accused_count && (suspects->accused[at].parked_id != slot->parked_id ||
                                            !is_same(&suspects->accused[at].place, &slot->place))) {
        at++;
    }
    if (at == suspects->accused_count) {
        if (at < OW_SUSPECT_ACCUSED_MAX) {
            suspects->accused_count++;
        } else {
            at = 0;
            for (size_t i = 1; i < OW_SUSPECT_ACCUSED_MAX; i++) {
                at = suspects->accused[i].deaths < suspects->accused[at].deaths ? i : at;
            }
        }
        suspects->accused[at] =
            (struct ow_accused){.place = slot->place, .parked_id = slot->parked_id};
    }
    suspects->accused[at].stage = stage;
    return ++suspects->accused[at].deaths;
}

/* Each time that a record is to be handled otherwise than before: one that cannot be quarantined
 * either, however it is tried, is no better. */
static void convict(struct ow_suspects *suspects, uint32_t deaths)
{
    if (deaths % OW_SUSPECT_DEATHS == 0) {
        suspects->convictions++;
        suspects->passed = 0;
    }
}

bool ow_suspects_are_too_many(const struct ow_suspects *suspects)
{
    return suspects->convictions >= OW_SUSPECT_CONVICTIONS;
}

void ow_suspects_pass(struct ow_suspects *suspects, int64_t records)
{
    if (suspects == NULL || suspects->convictions == 0) {
        return;
    }
    suspects->passed += records;
    if (suspects->passed >= OW_SUSPECT_REDEEMING) {
        suspects->convictions = 0;
    }
}

/* Forgets the partitions in which nothing is suspected, and what was handed out. True where one
 * that was suspected before is still, and has died again where one has: a partition that nobody
 * reads any more stays suspected, and adds nothing to the deaths of others. */
static bool sift(struct ow_suspects *suspects, const struct ow_position *positions, bool died)
{
    bool are_old = false;
    size_t kept = 0;
    for (size_t i = 0; i < suspects->partition_count; i++) {
        struct ow_suspect_partition partition = suspects->partitions[i];
        if (is_replaced(suspects, positions, &partition.place)) {
            continue;
        }
        const int64_t next_offset = position_at(positions, &partition.place);
        const bool dies = died && partition.place.offset >= next_offset;
        if (partition.suspect_last < next_offset) {
            partition.suspect_last = -1;
        } else if (dies || !died) {
            are_old = true;
        }
        if (dies && partition.place.offset > partition.suspect_last) {
            partition.suspect_last = partition.place.offset;
        }
        if (partition.suspect_last >= 0) {
            partition.place.offset = -1;
            partition.careful_first = next_offset;
            partition.careful_last = -1;
            suspects->partitions[kept++] = partition;
        }
    }
    suspects->partition_count = (uint32_t)kept;
    return are_old;
}

static void set_care(struct ow_suspects *suspects, const struct ow_position *positions)
{
    for (size_t i = 0; i < suspects->partition_count; i++) {
        struct ow_suspect_partition *partition = &suspects->partitions[i];
        partition->careful_last =
            suspects->deaths >= OW_SUSPECT_PATIENCE ? partition->suspect_last : -1;
    }
    for (size_t i = 0; i < suspects->accused_count; i++) {
        const struct ow_place *place = &suspects->accused[i].place;
        struct ow_suspect_partition *partition = ow_suspects_partition(
            suspects, (struct ow_slice){place->topic, place->topic_len}, place->partition);
        if (partition != NULL && partition->careful_last < place->offset) {
            partition->careful_first = position_at(positions, place);
            partition->careful_last = place->offset;
        }
    }
}

/* The slots in work; *ret_last: one of them. */
static size_t count_working(struct ow_suspects *suspects, struct ow_slot **ret_last)
{
    size_t count = 0;
    for (size_t i = 0; i < OW_SUSPECT_SLOTS; i++) {
        if (atomic_load(&suspects->slots[i].stage) != OW_STAGE_IDLE) {
            *ret_last = &suspects->slots[i];
            count++;
        }
    }
    return count;
}

/* Whoever owns a store next has a higher epoch; else the file is another copy, whose epochs cannot
 * be compared with those of the notes. */
static void forget_other_copy(struct ow_suspects *suspects, int64_t epoch)
{
    if (suspects->epoch >= epoch) {
        ow_suspects_clear(suspects);
    }
}

void ow_suspects_start(struct ow_suspects *suspects, const struct ow_position *positions,
                       int64_t epoch, struct ow_death *ret_death)
{
    forget_other_copy(suspects, epoch);
    struct ow_slot *slot = NULL;
    const size_t working = count_working(suspects, &slot);
    const uint32_t stage = working == 0 ? OW_STAGE_IDLE : atomic_load(&slot->stage);
    const bool controlled = stage == OW_STAGE_CONTROL;
    const bool alone = working == 1 && slot->records == 1;
    const bool together = working > 0 && !alone;
    *ret_death = (struct ow_death){.stage = (enum ow_stage)stage, .alone = alone};
    if (working > 0) {
        ret_death->place = slot->place;
        ret_death->parked_id = slot->parked_id;
    }
    acquit(suspects, positions, controlled ? &slot->place : NULL);
    if (alone && !controlled && !is_replaced(suspects, positions, &slot->place)) {
        ret_death->deaths = accuse(suspects, slot, stage);
        convict(suspects, ret_death->deaths);
    }
    const bool are_old = sift(suspects, positions, together);
    suspects->deaths = are_old ? suspects->deaths + together : together;
    if (together) {
        ret_death->deaths = suspects->deaths;
    }
    set_care(suspects, positions);
    suspects->epoch = epoch;
    ow_suspects_rest(suspects);
}

void ow_suspects_rest(struct ow_suspects *suspects)
{
    for (size_t i = 0; suspects != NULL && i < OW_SUSPECT_SLOTS; i++) {
        ow_slot_rest(&suspects->slots[i]);
    }
}

void ow_suspects_clear(struct ow_suspects *suspects)
{
    suspects->deaths = suspects->accused_count = suspects->partition_count = 0;
    suspects->convictions = 0;
    ow_suspects_rest(suspects);
}

/* The next entry of a record and what it wakes, from *at on; NULL: no more. */
static const struct ow_accused *next_of(const struct ow_suspects *suspects,
                                        const struct ow_record *record, size_t *at)
{
    while (*at < suspects->accused_count) {
        const struct ow_accused *accused = &suspects->accused[(*at)++];
        if (accused->place.offset == record->offset &&
            is_at(&accused->place, record->topic, record->partition)) {
            return accused;
        }
    }
    return NULL;
}

enum ow_care ow_suspects_care(const struct ow_suspects *suspects,
                              const struct ow_suspect_partition *partition, int64_t offset)
{
    if (offset > partition->careful_last || offset < partition->careful_first) {
        return OW_CARE_NONE;
    }
    const struct ow_record record = {
        .topic = {partition->place.topic, partition->place.topic_len},
        .partition = partition->place.partition,
        .offset = offset
    };
    return ow_suspects_is_accused(suspects, &record) ? OW_CARE_ALONE : OW_CARE_CAREFUL;
}

static const struct ow_accused *find(const struct ow_suspects *suspects,
                                     const struct ow_record *record, int64_t parked_id)
{
    size_t at = 0;
    const struct ow_accused *accused = next_of(suspects, record, &at);
    while (accused != NULL && accused->parked_id != parked_id) {
        accused = next_of(suspects, record, &at);
    }
    return accused;
}

enum ow_treatment ow_suspects_treatment(const struct ow_suspects *suspects,
                                        const struct ow_record *record, uint32_t *ret_deaths)
{
    const struct ow_accused *accused = find(suspects, record, 0);
    *ret_deaths = accused == NULL ? 0 : accused->deaths;
    if (*ret_deaths < OW_SUSPECT_DEATHS) {
        return OW_TREATMENT_TRY;
    }
    /* Quarantining it with its claim killed the process as often again: only its bytes are left. */
    const bool is_hopeless = *ret_deaths >= 2 * OW_SUSPECT_DEATHS;
    return accused->stage == OW_STAGE_READ || is_hopeless ? OW_TREATMENT_UNREAD
                                                          : OW_TREATMENT_POISON;
}

bool ow_suspects_is_accused(const struct ow_suspects *suspects, const struct ow_record *record)
{
    size_t at = 0;
    return next_of(suspects, record, &at) != NULL;
}

bool ow_suspects_needs_control(const struct ow_suspects *suspects, const struct ow_record *record)
{
    size_t at = 0;
    const struct ow_accused *accused = next_of(suspects, record, &at);
    while (accused != NULL && accused->deaths % OW_SUSPECT_DEATHS != OW_SUSPECT_DEATHS - 1) {
        accused = next_of(suspects, record, &at);
    }
    return accused != NULL;
}

uint32_t ow_suspects_parked_deaths(const struct ow_suspects *suspects,
                                   const struct ow_record *record, int64_t parked_id)
{
    const struct ow_accused *accused = find(suspects, record, parked_id);
    return accused == NULL ? 0 : accused->deaths;
}
