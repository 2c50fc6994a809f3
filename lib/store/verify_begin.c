#include "store/verify_internal.h"

#include <inttypes.h>

/*
 * What the first snapshot says, and all that follows is compared with: the next number, the
 * positions with the last run of each ledger, the buckets, the texts.
 */

void ow_verify_number(struct ow_verify *verify, int64_t number, const char *what)
{
    ow_verify_checked(verify, OW_PROMISE_REFS, 1);
    if (number < 1 || number >= verify->slices.next_ref) {
        ow_verify_broken(verify, OW_PROMISE_REFS,
                         "there is a %s %" PRId64 ", and the next number is %" PRId64, what, number,
                         verify->slices.next_ref);
    }
}

static enum ow_status count_rows(struct ow_verify *verify, const char *table, size_t *ret_count,
                                 struct ow_err *err)
{
    const char *text = ow_arena_printf(&verify->scratch, "SELECT count(*) FROM %s", table);
    int64_t count = 0;
    OW_TRY(ow_sql_query_i64(&verify->sql, text, &count, err));
    *ret_count = (size_t)count;
    return OW_OK;
}

static struct ow_slice partition_key(struct ow_arena *arena, struct ow_slice topic,
                                     int64_t partition)
{
    uint8_t *key = ow_arena_alloc(arena, sizeof(partition) + topic.len);
    memcpy(key, &partition, sizeof(partition));
    if (topic.len > 0) {
        memcpy(key + sizeof(partition), topic.ptr, topic.len);
    }
    return (struct ow_slice){key, sizeof(partition) + topic.len};
}

static struct ow_verify_partition *find_first(const struct ow_verify *verify, struct ow_slice topic,
                                              int64_t partition)
{
    uint8_t bytes[512];
    if (ow_slice_is_absent(topic) || topic.len > sizeof(bytes) - sizeof(partition)) {
        return NULL;
    }
    memcpy(bytes, &partition, sizeof(partition));
    if (topic.len > 0) {
        memcpy(bytes + sizeof(partition), topic.ptr, topic.len);
    }
    return ow_map_get(&verify->partition_map,
                      (struct ow_slice){bytes, sizeof(partition) + topic.len});
}

/* Offsets begin anew with each incarnation, numbers never do. A sighting has the number of the
 * claim that was met, which may be from before, and so counts by its place in the table. */
static bool is_of(const struct ow_verify_partition *partition, const struct ow_verify_trace *trace)
{
    return trace->sighting > 0 ? trace->sighting > partition->began_sighting
                               : trace->ref >= partition->began_ref;
}

const struct ow_verify_partition *ow_verify_partition_of(const struct ow_verify *verify,
                                                         const struct ow_verify_trace *trace)
{
    const struct ow_verify_partition *const end = verify->partitions + verify->partition_count;
    const struct ow_verify_partition *found = find_first(verify, trace->topic, trace->partition);
    for (const struct ow_verify_partition *next = found;
         next != NULL && next < end && next->partition == trace->partition &&
         ow_slice_equal(next->topic, trace->topic);
         next++) {
        found = is_of(next, trace) ? next : found;
    }
    return found;
}

static void take_partition(struct ow_verify *verify, const struct ow_statement *row,
                           struct ow_verify_partition *partition)
{
    *partition = (struct ow_verify_partition){.topic = ow_sql_copy(row, 0, verify->arena),
                                              .partition = ow_sql_i64(row, 1),
                                              .incarnation = ow_sql_i64(row, 2),
                                              .high_offset = ow_sql_i64(row, 4),
                                              .reread = ow_sql_i64(row, 11),
                                              .began_epoch = ow_sql_i64(row, 12),
                                              .began_ref = ow_sql_i64(row, 13),
                                              .began_sighting = ow_sql_i64(row, 14),
                                              .has_run = !ow_sql_is_null(row, 15),
                                              .last_first = ow_sql_i64(row, 15),
                                              .last_records = ow_sql_i64(row, 16)};
    for (int outcome = 0; outcome < OW_OUTCOME_COUNT; outcome++) {
        partition->counts[outcome] = ow_sql_i64(row, 5 + outcome);
    }
    verify->quarantined += partition->counts[OW_OUTCOME_QUARANTINED];
    const int64_t next_offset = ow_sql_i64(row, 3);
    if (next_offset < 0 || next_offset > partition->high_offset || partition->reread < 0 ||
        partition->incarnation < 0) {
        ow_verify_broken(verify, OW_PROMISE_LEDGER,
                         OW_SLICE_FMT "[%" PRId64 "]: next offset %" PRId64 ", high mark %" PRId64
                                      ", re-reads %" PRId64,
                         OW_SLICE_ARG(partition->topic), partition->partition, next_offset,
                         partition->high_offset, partition->reread);
    }
}

/* Incarnations count from 0, and each began when there was more than before; the first one did with
 * the store. */
static void check_incarnation(struct ow_verify *verify, const struct ow_verify_partition *before,
                              const struct ow_verify_partition *partition)
{
    const bool good = before == NULL
                          ? partition->incarnation == 0 && partition->began_epoch == 0 &&
                                partition->began_ref == 0 && partition->began_sighting == 0
                          : partition->incarnation == before->incarnation + 1 &&
                                partition->began_epoch > before->began_epoch &&
                                partition->began_ref >= before->began_ref &&
                                partition->began_ref <= verify->next_ref &&
                                partition->began_sighting >= before->began_sighting &&
                                partition->began_sighting <= verify->sighting_rowid;
    if (!good) {
        ow_verify_broken(verify, OW_PROMISE_LEDGER,
                         OW_SLICE_FMT "[%" PRId64 "]: incarnation %" PRId64
                                      " does not follow from the one before it",
                         OW_SLICE_ARG(partition->topic), partition->partition,
                         partition->incarnation);
    }
}

static const char positions_text[] =
    "SELECT topic, partition, incarnation, next_offset, high_offset, applied, duplicate, stale,"
    " parked, quarantined, filtered, reread, began_epoch, began_ref, began_sighting,"
    " (SELECT max(l.first_offset) FROM ow_ledger l WHERE l.topic = p.topic AND l.partition ="
    " p.partition AND l.incarnation = p.incarnation) AS last,"
    " (SELECT r.records FROM ow_ledger r WHERE r.topic = p.topic AND r.partition = p.partition"
    " AND r.incarnation = p.incarnation ORDER BY r.first_offset DESC LIMIT 1)"
    " FROM ow_position p ORDER BY topic, partition, incarnation";
static_assert(OW_OUTCOME_APPLIED == 0 && OW_OUTCOME_DUPLICATE == 1 && OW_OUTCOME_STALE == 2 &&
                  OW_OUTCOME_PARKED == 3 && OW_OUTCOME_QUARANTINED == 4 && OW_OUTCOME_FILTERED == 5,
              "as in positions_text");

static enum ow_status load_positions(struct ow_verify *verify, struct ow_err *err)
{
    size_t count = 0;
    OW_TRY(count_rows(verify, "ow_position", &count, err));
    verify->partitions = OW_ARENA_ARRAY(verify->arena, count, struct ow_verify_partition);
    ow_map_init(&verify->partition_map, verify->arena);
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&verify->sql, positions_text, &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        struct ow_verify_partition *partition = &verify->partitions[verify->partition_count++];
        take_partition(verify, &statement, partition);
        const bool first = find_first(verify, partition->topic, partition->partition) == NULL;
        check_incarnation(verify, first ? NULL : partition - 1, partition);
        if (first) {
            ow_map_put(&verify->partition_map,
                       partition_key(verify->arena, partition->topic, partition->partition),
                       partition);
        }
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

static void add_text(struct ow_verify *verify, int64_t id, struct ow_slice text)
{
    struct ow_verify_text *entry = OW_ARENA_NEW(verify->arena, struct ow_verify_text);
    *entry = (struct ow_verify_text){
        .id = id, .text = ow_arena_copy(verify->arena, text), .next = verify->texts};
    verify->texts = entry;
}

static enum ow_status load_texts(struct ow_verify *verify, struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&verify->sql, "SELECT id, text FROM ow_text ORDER BY id DESC", &statement,
                          err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        add_text(verify, ow_sql_i64(&statement, 0), ow_sql_slice(&statement, 1));
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

enum ow_status ow_verify_text_of(struct ow_verify *verify, int64_t id, struct ow_slice *ret_text,
                                 struct ow_err *err)
{
    for (struct ow_verify_text *entry = verify->texts; entry != NULL; entry = entry->next) {
        if (entry->id == id) {
            entry->used = true;
            *ret_text = entry->text;
            return OW_OK;
        }
    }
    /* A worker may have numbered one since. */
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&verify->sql, "SELECT text FROM ow_text WHERE id = ?", &statement, err));
    ow_sql_bind_i64(&statement, id);
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    *ret_text = (struct ow_slice){0};
    if (row) {
        add_text(verify, id, ow_sql_slice(&statement, 0));
        verify->texts->used = true;
        *ret_text = verify->texts->text;
    }
    return OW_OK;
}

enum ow_status ow_verify_begin(struct ow_verify *verify, struct ow_err *err)
{
    OW_TRY(ow_verify_turn(verify, err));
    verify->next_ref = verify->slices.next_ref;
    OW_TRY(ow_sql_query_i64(&verify->sql, "SELECT coalesce(max(rowid), 0) FROM ow_sighting",
                            &verify->sighting_rowid, err));
    OW_TRY(load_positions(verify, err));
    OW_TRY(ow_verify_buckets_load(verify, err));
    OW_TRY(load_texts(verify, err));
    return ow_verify_notes_open(verify, err);
}
