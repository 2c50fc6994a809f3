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

void ow_position_skip(struct ow_position *position, struct ow_arena *arena, int64_t to_offset)
{
    if (to_offset > position->high_offset) {
        ow_ledger_skip(&position->ledger, arena, position->high_offset, to_offset - 1);
    }
    position->has_anchor = false;
    move_to(position, to_offset);
}

void ow_position_rewind(struct ow_position *position, struct ow_arena *arena, int64_t to_offset)
{
    OW_REQUIRE(to_offset <= position->high_offset);
    const struct ow_run *first = position->ledger.first;
    const int64_t first_offset = first == NULL ? position->high_offset : first->first_offset;
    if (to_offset < first_offset) {
        ow_ledger_skip(&position->ledger, arena, to_offset, first_offset - 1);
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
 * newer file. */
static bool is_ahead(const struct ow_assignment_facts *facts)
{
    return facts->stored && facts->metadata.offset == facts->committed &&
           facts->committed > facts->high_offset;
}

static enum ow_status refuse_foreign(const struct ow_assignment_facts *facts, struct ow_err *err)
{
    if (strcmp(facts->metadata.store_id, facts->store_id) != 0) {
        return ow_fail(err, OW_UNSAFE,
                       "%s[%d]: the group's offset %lld was committed by another onceward store "
                       "(%s, ours is %s): its "
                       "claims are not here, so going on would apply everything again. Use that "
                       "store, or another "
                       "kafka.group",
                       facts->topic, (int)facts->partition, (long long)facts->committed,
                       facts->metadata.store_id, facts->store_id);
    }
    if (facts->metadata.epoch > facts->epoch && !facts->restored) {
        return ow_fail(err, OW_UNSAFE,
                       "%s[%d]: the group's offset was committed in epoch %lld of this store, and "
                       "this file is at epoch "
                       "%lld: it is an older copy. Use the newer file, or, if this is a restored "
                       "backup, run once with "
                       "--restored",
                       facts->topic, (int)facts->partition, (long long)facts->metadata.epoch,
                       (long long)facts->epoch);
    }
    if (is_ahead(facts) && !facts->restored) {
        return ow_fail(err, OW_UNSAFE,
                       "%s[%d]: this store committed offset %lld for the group, and this file has "
                       "handled records up to "
                       "%lld: it is an older copy. Use the newer file, or, if this is a restored "
                       "backup, run once with "
                       "--restored",
                       facts->topic, (int)facts->partition, (long long)facts->committed,
                       (long long)facts->high_offset);
    }
    return OW_OK;
}

/* The store has no position: what the group says is where it starts, if it says anything. */
static enum ow_status resume_without_position(const struct ow_assignment_facts *facts,
                                              enum ow_resume *ret_resume, int64_t *ret_offset,
                                              struct ow_err *err)
{
    if (facts->committed < 0) {
        *ret_resume = OW_RESUME_START;
        return OW_OK;
    }
    const bool of_lost_store = facts->metadata.ours && facts->metadata.offset == facts->committed;
    if (of_lost_store && facts->restored) {
        *ret_resume = OW_RESUME_START;
        return OW_OK;
    }
    if (of_lost_store) {
        return ow_fail(err, OW_UNSAFE,
                       "%s[%d]: this store committed offset %lld for the group but has no position "
                       "of it: the file is an "
                       "older copy. Use the newer file, or, if this is a restored backup, run once "
                       "with --restored",
                       facts->topic, (int)facts->partition, (long long)facts->committed);
    }
    *ret_resume = OW_RESUME_COMMITTED;
    *ret_offset = facts->committed;
    return OW_OK;
}

enum ow_status ow_position_resume(const struct ow_assignment_facts *facts,
                                  enum ow_resume *ret_resume, int64_t *ret_offset,
                                  struct ow_err *err)
{
    if (facts->metadata.ours) {
        OW_TRY(refuse_foreign(facts, err));
    }
    if (!facts->stored) {
        return resume_without_position(facts, ret_resume, ret_offset, err);
    }
    /* Without an operator's hand the group's offset is what we committed, or is gone (expired): the
     * store knows better. */
    const bool ours_untouched = facts->metadata.ours && facts->metadata.offset == facts->committed;
    const bool seen_before = !facts->metadata.ours && facts->committed == facts->seen_committed;
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
                       "between would never be "
                       "handled. Move it back, or set kafka.skips: honour for one start",
                       facts->topic, (int)facts->partition, (long long)facts->next_offset,
                       (long long)facts->committed);
    }
    *ret_resume = OW_RESUME_SKIPPED;
    *ret_offset = facts->committed;
    return OW_OK;
}
