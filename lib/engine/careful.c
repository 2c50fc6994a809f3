#include "engine/careful.h"

#include "base/contract.h"
#include "engine/batch.h"
#include "engine/poison.h"

#include <assert.h>

/* Of parked records; theirs are counted by OW_SUSPECT_DEATHS alone. */
static const char convicted_parked[] = "the process died 3 times while it was woken alone";
static_assert(OW_SUSPECT_DEATHS == 3, "as the text says");

/* Reads it as an event, but for one that killed the process when it was read. */
static void read_event(struct ow_apply *apply, const struct ow_record *record,
                       struct ow_arena *arena, struct ow_event *ret_event)
{
    struct ow_decoder *decoder = &apply->decoder;
    const size_t record_bytes_max = decoder->record_bytes_max;
    ow_pulse_beat_record(apply->options.pulse, "reading a record as an event");
    ow_slot_work(apply->slot, OW_STAGE_READ, record, 1, 0);
    decoder->record_bytes_max = apply->options.record_bytes_max;
    ow_event_decode(decoder, record, arena, ret_event);
    decoder->record_bytes_max = record_bytes_max;
}

static enum ow_status judge_one(struct ow_apply *apply, const struct ow_record *record,
                                struct ow_arena *arena, struct ow_totals *totals,
                                struct ow_err *err)
{
    const struct ow_suspects *suspects = apply->options.suspects;
    uint32_t deaths = 0;
    const enum ow_treatment treatment = ow_suspects_treatment(suspects, record, &deaths);
    struct ow_event event = {.record = record};
    if (!ow_batch_is_wanted(apply, record)) {
        return ow_batch_judge(apply, &event, (struct ow_judging){0}, totals, err);
    }
    switch (treatment) {
    case OW_TREATMENT_UNREAD:
        event.verdict = OW_OUTCOME_QUARANTINED;
        event.reason = OW_REASON_POISON;
        event.detail = ow_arena_printf(
            arena, "the process died %u times while it was in work alone; it was not read again",
            (unsigned)deaths);
        return ow_poison_judge_one(apply, &event, OW_MANNER_SUSPECT, NULL, totals, err);
    case OW_TREATMENT_POISON:
        read_event(apply, record, arena, &event);
        return ow_poison_judge_one(
            apply, &event, OW_MANNER_QUARANTINED,
            ow_arena_printf(arena, "the process died %u times while it was in work alone",
                            (unsigned)deaths),
            totals, err);
    case OW_TREATMENT_TRY:
        read_event(apply, record, arena, &event);
        return ow_poison_judge_one(apply, &event,
                                   ow_suspects_is_accused(suspects, record) ? OW_MANNER_ACCUSED
                                                                            : OW_MANNER_SUSPECT,
                                   convicted_parked, totals, err);
    }
    OW_IMPOSSIBLE("a treatment that is none");
}

enum ow_status ow_careful_judge(struct ow_apply *apply, struct ow_chunk *chunk,
                                struct ow_totals *totals, struct ow_err *err)
{
    struct ow_arena arena;
    ow_arena_init(&arena, (size_t)64 * 1024);
    OW_REQUIRE(apply->options.suspects != NULL);
    enum ow_status status = ow_batch_begin(apply, err);
    for (size_t i = 0; status == OW_OK && i < chunk->count; i++) {
        ow_arena_reset(&arena);
        status = judge_one(apply, &chunk->records[i], &arena, totals, err);
    }
    if (status == OW_OK && apply->partitions.touched == NULL) {
        ow_store_rollback(apply->options.store);
    } else if (status == OW_OK) {
        status = ow_batch_commit(apply, err);
    }
    ow_arena_done(&arena);
    return status;
}
