#include "model_ledger.h"

#include "base/contract.h"
#include "counters.h"

static void set_offsets(struct ow_model_partition *partition, int64_t from, int64_t to, int what)
{
    OW_INVARIANT(to <= OW_MODEL_OFFSETS);
    for (int64_t i = from; i < to; i++) {
        partition->ledger[i] = (uint8_t)what;
    }
}

static bool is_skipped(const struct ow_model_partition *partition, int64_t offset)
{
    return offset < OW_MODEL_OFFSETS &&
           (partition->ledger[offset] & ~OW_LEDGER_GAP) == OW_LEDGER_SKIPPED;
}

/*
 * Skipped offsets in front of the whole ledger that turn out to hold no record: there is no run
 * before them that they could join. Those of a record that follows among them are its own.
 */
static void pass_front(struct ow_model_partition *partition, int64_t from, int64_t to)
{
    if (partition->first < from || !is_skipped(partition, partition->first)) {
        return;
    }
    int64_t end = partition->first;
    while (is_skipped(partition, end)) {
        end++;
    }
    if (to >= end) {
        set_offsets(partition, partition->first, end, OW_LEDGER_NOTHING);
        partition->first = end < partition->high ? end : -1;
    }
}

void ow_model_ledger_pass(struct ow_model_partition *partition, int64_t to)
{
    const int64_t from = partition->next;
    if (from >= to || partition->first < 0) {
        return;
    }
    pass_front(partition, from, to);
    for (int64_t i = from; i < to && partition->first >= 0; i++) {
        if (i > partition->first && (i >= partition->high || is_skipped(partition, i))) {
            set_offsets(partition, i, i + 1, partition->ledger[i - 1] | OW_LEDGER_GAP);
        }
    }
}

void ow_model_ledger_move(struct ow_model_partition *partition, int64_t offset)
{
    partition->next = offset;
    partition->high = offset > partition->high ? offset : partition->high;
}

void ow_model_ledger_enter(struct ow_model_partition *partition, int64_t offset,
                           enum ow_outcome outcome)
{
    ow_count_if(offset > partition->high, OW_SOMETIMES_GAP);
    ow_count_if(offset < partition->high, OW_SOMETIMES_SKIPPED_READ);
    if (partition->first < 0) {
        partition->first = partition->next;
    }
    /* In front of the whole ledger a gap belongs to the record behind it. */
    if (partition->first >= partition->next && partition->first < offset) {
        set_offsets(partition, partition->first, offset, (int)outcome | OW_LEDGER_GAP);
    }
    set_offsets(partition, offset, offset + 1, (int)outcome);
}

bool ow_model_ledger_is_new(const struct ow_model_partition *partition, int64_t offset)
{
    return offset >= partition->high || is_skipped(partition, offset);
}

void ow_model_end(struct ow_model *model, size_t log, int64_t to)
{
    struct ow_model_partition *partition = &model->partitions[log];
    ow_count(OW_SOMETIMES_GAP_AT_END);
    ow_model_ledger_pass(partition, to);
    ow_model_ledger_move(partition, to);
}

void ow_model_start(struct ow_model *model, size_t log, int64_t at)
{
    struct ow_model_partition *partition = &model->partitions[log];
    memset(partition, 0, sizeof(*partition));
    memset(partition->ledger, OW_LEDGER_NOTHING, sizeof(partition->ledger));
    partition->stored = true;
    partition->next = partition->high = at;
    partition->anchor = partition->first = -1;
}

void ow_model_rewind(struct ow_model *model, size_t log, int64_t to)
{
    struct ow_model_partition *partition = &model->partitions[log];
    const int64_t first = partition->first < 0 ? partition->high : partition->first;
    if (to < first) { /* to before it had begun */
        set_offsets(partition, to, first, OW_LEDGER_SKIPPED);
        partition->first = to;
    }
    partition->anchor = partition->next == to ? partition->anchor : -1;
    ow_model_ledger_move(partition, to);
}

void ow_model_skip(struct ow_model *model, size_t log, int64_t to)
{
    struct ow_model_partition *partition = &model->partitions[log];
    if (to > partition->high) {
        set_offsets(partition, partition->high, to, OW_LEDGER_SKIPPED);
        partition->first = partition->first < 0 ? partition->high : partition->first;
    }
    partition->anchor = -1;
    ow_model_ledger_move(partition, to);
}
