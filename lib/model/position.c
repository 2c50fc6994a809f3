#include "model/position.h"

#include "base/contract.h"
#include "base/parse.h"

#include <stdio.h>

enum ow_sight ow_position_sight(const struct ow_position *position, int64_t offset)
{
    if (offset < position->next_offset) {
        return OW_SIGHT_DROP;
    }
    return offset >= position->high_offset || ow_ledger_is_open(&position->ledger, offset)
               ? OW_SIGHT_NEW
               : OW_SIGHT_REREAD;
}

struct ow_position *ow_position_find(struct ow_position *list, struct ow_slice topic,
                                     int32_t partition)
{
    while (list != NULL && (list->partition != partition || !ow_slice_equal(list->topic, topic))) {
        list = list->next;
    }
    return list;
}

void ow_position_copy(struct ow_position *to, struct ow_arena *arena,
                      const struct ow_position *from)
{
    *to = *from;
    to->next = NULL;
    to->dirty = false;
    ow_ledger_copy(&to->ledger, arena, &from->ledger, from->next_offset);
}

static void move_to(struct ow_position *position, int64_t offset)
{
    position->next_offset = offset;
    position->high_offset = offset > position->high_offset ? offset : position->high_offset;
    position->dirty = true;
}

void ow_position_handled(struct ow_position *position, struct ow_arena *arena, int64_t offset,
                         enum ow_outcome outcome)
{
    const enum ow_sight sight = ow_position_sight(position, offset);
    OW_REQUIRE(sight != OW_SIGHT_DROP);
    if (sight == OW_SIGHT_NEW) {
        ow_ledger_add(&position->ledger, arena, position->next_offset, offset,
                      ow_outcome_text(outcome));
        position->counts[outcome]++;
    } else {
        ow_ledger_pass(&position->ledger, position->next_offset, offset);
        position->reread++;
    }
    move_to(position, offset + 1);
}

/* The record before to_offset was not handled, so nothing is known of it. */
static void leave_out(struct ow_position *position, struct ow_arena *arena, int64_t to_offset,
                      const char *outcome)
{
    if (to_offset > position->high_offset) {
        ow_ledger_leave_out(&position->ledger, arena, position->high_offset, to_offset - 1,
                            outcome);
    }
    position->has_anchor = false;
    move_to(position, to_offset);
}

void ow_position_skip(struct ow_position *position, struct ow_arena *arena, int64_t to_offset)
{
    leave_out(position, arena, to_offset, ow_ledger_skipped);
}

void ow_position_lose(struct ow_position *position, struct ow_arena *arena, int64_t to_offset)
{
    leave_out(position, arena, to_offset, ow_ledger_lost);
}

struct ow_position ow_position_next_incarnation(const struct ow_position *position, int64_t offset)
{
    return (struct ow_position){.topic = position->topic,
                                .partition = position->partition,
                                .incarnation = position->incarnation + 1,
                                .next_offset = offset,
                                .high_offset = offset,
                                .seen_committed = -1,
                                .dirty = true};
}

void ow_position_rewind(struct ow_position *position, struct ow_arena *arena, int64_t to_offset)
{
    OW_REQUIRE(to_offset <= position->high_offset);
    const struct ow_run *first = position->ledger.first;
    const int64_t first_offset = first == NULL ? position->high_offset : first->first_offset;
    if (to_offset < first_offset) {
        ow_ledger_leave_out(&position->ledger, arena, to_offset, first_offset - 1,
                            ow_ledger_skipped);
    }
    position->has_anchor = position->has_anchor && position->next_offset == to_offset;
    move_to(position, to_offset);
}

void ow_position_end(struct ow_position *position, int64_t offset)
{
    OW_REQUIRE(offset > position->next_offset);
    ow_ledger_pass(&position->ledger, position->next_offset, offset);
    move_to(position, offset);
}

void ow_metadata_format(char text[OW_METADATA_BYTES], const char *store_id, int64_t epoch,
                        int64_t offset)
{
    (void)snprintf(text, OW_METADATA_BYTES, "onceward/1 s=%s e=%lld o=%lld", store_id,
                   (long long)epoch, (long long)offset);
}

/* Takes "<name>=<word>" and the space behind it off the front of *text. */
static bool take_field(struct ow_slice *text, const char *name, struct ow_slice *ret_word)
{
    const size_t name_len = strlen(name);
    if (text->len < name_len || memcmp(text->ptr, name, name_len) != 0) {
        return false;
    }
    size_t end = name_len;
    while (end < text->len && text->ptr[end] != ' ') {
        end++;
    }
    *ret_word = (struct ow_slice){text->ptr + name_len, end - name_len};
    const size_t used = end < text->len ? end + 1 : end;
    *text = (struct ow_slice){text->ptr + used, text->len - used};
    return true;
}

struct ow_metadata ow_metadata_parse(struct ow_slice text)
{
    struct ow_metadata metadata = {0};
    struct ow_slice version = {0};
    struct ow_slice store_id = {0};
    struct ow_slice epoch = {0};
    struct ow_slice offset = {0};
    if (take_field(&text, "onceward/", &version) && ow_slice_equals_text(version, "1") &&
        take_field(&text, "s=", &store_id) && take_field(&text, "e=", &epoch) &&
        take_field(&text, "o=", &offset) && store_id.len < sizeof(metadata.store_id) &&
        ow_slice_is_text(store_id) && ow_parse_i64(epoch, &metadata.epoch) &&
        ow_parse_i64(offset, &metadata.offset)) {
        memcpy(metadata.store_id, store_id.ptr, store_id.len);
        metadata.ours = true;
    }
    return metadata;
}

/* We commit what is durable, so an offset of ours beyond what the store has handled tells of a
 * newer file. Not one from before another topic was adopted: that was of the one before. */
static bool is_ahead(const struct ow_assignment_facts *facts)
{
    return facts->stored && facts->metadata.offset == facts->committed &&
           facts->metadata.epoch >= facts->began_epoch && facts->committed > facts->high_offset;
}

/* Nothing is known of an offset that we committed: this file is from before that. */
static bool is_unknown(const struct ow_assignment_facts *facts)
{
    return !facts->stored && facts->metadata.offset == facts->committed;
}

static enum ow_status refuse_other_store(const struct ow_assignment_facts *facts,
                                         struct ow_err *err)
{
    return ow_fail(err, OW_UNSAFE,
                   "%s[%d]: the group's offset %lld was committed by another onceward store (%s, "
                   "ours is %s): its claims are not here, so going on would apply everything "
                   "again. Use that store, or another kafka.group; where that store is gone for "
                   "good: onceward positions set --topic %s --partition %d --offset N --foreign "
                   "--why TEXT",
                   facts->topic, (int)facts->partition, (long long)facts->committed,
                   facts->metadata.store_id, facts->store_id, facts->topic, (int)facts->partition);
}

static enum ow_status refuse_older_copy(const struct ow_assignment_facts *facts, const char *known,
                                        struct ow_err *err)
{
    return ow_fail(err, OW_UNSAFE,
                   "%s[%d]: this store committed offset %lld for the group in its epoch %lld, and "
                   "this file %s: it is an older copy. Use the newer file, or, if this is a "
                   "restored backup, run once with --restored",
                   facts->topic, (int)facts->partition, (long long)facts->committed,
                   (long long)facts->metadata.epoch, known);
}

const char *ow_position_restored_option(bool restored)
{
    return restored ? " --restored" : "";
}

enum ow_status ow_position_check_committed(const struct ow_assignment_facts *facts,
                                           struct ow_err *err)
{
    char known[64];
    if (!facts->metadata.ours) {
        return OW_OK;
    }
    if (strcmp(facts->metadata.store_id, facts->store_id) != 0) {
        return refuse_other_store(facts, err);
    }
    if (facts->restored) {
        return OW_OK;
    }
    if (facts->metadata.epoch > facts->epoch) {
        (void)snprintf(known, sizeof(known), "is at epoch %lld", (long long)facts->epoch);
        return refuse_older_copy(facts, known, err);
    }
    if (is_ahead(facts)) {
        (void)snprintf(known, sizeof(known), "has handled records up to %lld",
                       (long long)facts->high_offset);
        return refuse_older_copy(facts, known, err);
    }
    /* Both copies count on from the same epoch, so they can meet in one. */
    if (facts->metadata.epoch == facts->epoch && facts->epoch_is_unused) {
        return ow_fail(
            err, OW_UNSAFE,
            "%s[%d]: the group's offset was committed in epoch %lld of this store, which "
            "this process has only begun: another copy of the file works for the group. "
            "Stop that one and go on with the newer of the two; if that is this one, run "
            "once with --restored",
            facts->topic, (int)facts->partition, (long long)facts->epoch);
    }
    return is_unknown(facts) ? refuse_older_copy(facts, "has no position of it", err) : OW_OK;
}

/* The store has no position: what the group says is where it starts, if it says anything. */
static void resume_without_position(const struct ow_assignment_facts *facts,
                                    enum ow_resume *ret_resume, int64_t *ret_offset)
{
    /* An offset of ours that this file knows nothing of is of a store that is lost: it was restored
     * from a backup, or that would have been refused. */
    if (facts->committed < 0 || (facts->metadata.ours && is_unknown(facts))) {
        *ret_resume = OW_RESUME_START;
        return;
    }
    *ret_resume = OW_RESUME_COMMITTED;
    *ret_offset = facts->committed;
}

enum ow_status ow_position_resume(const struct ow_assignment_facts *facts,
                                  enum ow_resume *ret_resume, int64_t *ret_offset,
                                  struct ow_err *err)
{
    OW_TRY(ow_position_check_committed(facts, err));
    if (!facts->stored) {
        resume_without_position(facts, ret_resume, ret_offset);
        return OW_OK;
    }
    /* Without an operator's hand the group's offset is what we committed, or is gone (expired): the
     * store knows better. */
    const bool ours_untouched = facts->metadata.ours && facts->metadata.offset == facts->committed;
    const bool seen_before = facts->committed == facts->seen_committed;
    *ret_resume = OW_RESUME_STORED;
    *ret_offset = facts->next_offset;
    if (facts->committed < 0 || ours_untouched || seen_before ||
        facts->committed == facts->next_offset) {
        return OW_OK;
    }
    if (facts->committed < facts->next_offset) {
        *ret_resume = OW_RESUME_REWOUND;
        *ret_offset = facts->committed;
        return OW_OK;
    }
    if (!facts->skips_honoured) {
        return ow_fail(err, OW_UNSAFE,
                       "%s[%d]: somebody moved the group forward from %lld to %lld: the records "
                       "between would never be handled. To handle them: onceward positions set "
                       "--topic %s --partition %d --offset %lld%s --why TEXT. To leave them out: "
                       "the same with --offset %lld --skip, or kafka.skips: honour for one start",
                       facts->topic, (int)facts->partition, (long long)facts->next_offset,
                       (long long)facts->committed, facts->topic, (int)facts->partition,
                       (long long)facts->next_offset, ow_position_restored_option(facts->restored),
                       (long long)facts->committed);
    }
    *ret_resume = OW_RESUME_SKIPPED;
    *ret_offset = facts->committed;
    return OW_OK;
}
