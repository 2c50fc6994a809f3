/* Filters as rows of ow_filter: a row a piece, which says all that must be known to use it. */
#include "base/contract.h"
#include "base/log.h"
#include "store/internal.h"

#include <inttypes.h>
#include <stdlib.h>

enum { VERSION = 2 /* of the words' meaning */, BUCKETS_MAX = 1 << 15, PIECES_MAX = 1 << 20 };

#define ID_MAX (INT64_C(1) << 62)

/* The front of `bits`; then the numbers of the buckets, then the cells. */
struct head {
    uint32_t version, level, piece_count, bucket_count;
    int64_t id, class_ms;
    uint32_t chunk, keys, segment_cells, segment_count;
    uint64_t seed;
};
static_assert(sizeof(struct head) == 56, "without padding, as it is in the file");

enum ow_status ow_filter_write_piece(struct ow_store *store, const struct ow_filter_job *job,
                                     struct ow_err *err)
{
    const struct ow_filter *const filter = job->filter;
    const struct ow_fuse *const fuse = &filter->pieces[job->piece];
    const struct head head = {.version = VERSION,
                              .level = filter->level,
                              .piece_count = filter->piece_count,
                              .bucket_count = filter->bucket_count,
                              .id = filter->id,
                              .class_ms = filter->class_ms,
                              .chunk = job->piece,
                              .keys = fuse->keys,
                              .segment_cells = fuse->segment_cells,
                              .segment_count = fuse->segment_count,
                              .seed = fuse->seed};
    struct ow_buffer *const bits = &store->filters.bits;
    ow_buffer_clear(bits);
    ow_buffer_append(bits, &head, sizeof(head));
    ow_buffer_append(bits, job->buckets, filter->bucket_count * sizeof(*job->buckets));
    ow_buffer_append(bits, fuse->cells, fuse->bytes);
    struct ow_statement *insert = ow_store_statement(store, OW_STATEMENT_FILTER_INSERT);
    ow_sql_bind_i64(insert, filter->id);
    ow_sql_bind_i64(insert, job->buckets[0]);
    ow_sql_bind_i64(insert, job->buckets[filter->bucket_count - 1]);
    ow_sql_bind_i64(insert, job->piece);
    ow_sql_bind_i64(insert, (int64_t)ow_hash_row(ow_buffer_view(bits)));
    ow_sql_bind_blob(insert, ow_buffer_view(bits));
    return ow_seal_insert(store, OW_SEAL_FILTER, filter->id, insert, NULL, err);
}

/* Ids are counted up from 1, so others are another hand's: none is counted on from. */
static bool is_id(int64_t id)
{
    return id > 0 && id <= ID_MAX;
}

static void note_id(struct ow_store *store, int64_t id)
{
    if (is_id(id) && id > store->filters.last_id) {
        store->filters.last_id = id;
    }
}

/* Whether the columns and the front say the same, and what can be. */
static bool is_sound(const struct head *head, const struct ow_filter_row *row)
{
    const size_t front = sizeof(*head) + head->bucket_count * sizeof(int64_t);
    if (!is_id(row->id) || head->version != VERSION || head->bucket_count == 0 ||
        head->bucket_count > BUCKETS_MAX || head->piece_count == 0 ||
        head->piece_count > PIECES_MAX || row->bits.len < front || head->id != row->id ||
        head->chunk != row->chunk || head->chunk >= head->piece_count) {
        return false;
    }
    int64_t first = 0;
    int64_t last = 0;
    memcpy(&first, row->bits.ptr + sizeof(*head), sizeof(first));
    memcpy(&last, row->bits.ptr + front - sizeof(last), sizeof(last));
    const struct ow_fuse fuse = {.seed = head->seed,
                                 .keys = head->keys,
                                 .segment_cells = head->segment_cells,
                                 .segment_count = head->segment_count,
                                 .cells = row->bits.ptr + front,
                                 .bytes = row->bits.len - front};
    return first == row->first_bucket && last == row->last_bucket && ow_fuse_is_sound(&fuse);
}

/* A filter of which this is the first piece. */
static struct ow_filter *begin(const struct head *head, const uint8_t *buckets)
{
    struct ow_filter *filter = ow_filter_new(head->bucket_count, head->piece_count);
    filter->id = head->id;
    filter->class_ms = head->class_ms;
    filter->level = head->level;
    memcpy(filter->buckets, buckets, head->bucket_count * sizeof(*filter->buckets));
    return filter;
}

static bool is_of(const struct ow_filter *filter, const struct head *head, const uint8_t *buckets)
{
    return filter->id == head->id && filter->class_ms == head->class_ms &&
           filter->level == head->level && filter->piece_count == head->piece_count &&
           filter->bucket_count == head->bucket_count &&
           memcmp(filter->buckets, buckets, head->bucket_count * sizeof(*filter->buckets)) == 0 &&
           filter->pieces[head->chunk].cells == NULL;
}

bool ow_filter_take_row(struct ow_filter **filter, const struct ow_filter_row *row)
{
    struct head head;
    if (row->bits.len < sizeof(head) || (int64_t)ow_hash_row(row->bits) != row->checksum) {
        return false;
    }
    memcpy(&head, row->bits.ptr, sizeof(head));
    if (!is_sound(&head, row)) {
        return false;
    }
    const uint8_t *const buckets = row->bits.ptr + sizeof(head);
    if (*filter == NULL) {
        *filter = begin(&head, buckets);
    }
    if (!is_of(*filter, &head, buckets)) {
        return false;
    }
    const size_t front = sizeof(head) + head.bucket_count * sizeof(int64_t);
    const size_t bytes = row->bits.len - front;
    uint8_t *const cells = malloc(bytes);
    OW_INVARIANT(cells != NULL);
    memcpy(cells, row->bits.ptr + front, bytes);
    (*filter)->pieces[head.chunk] = (struct ow_fuse){.seed = head.seed,
                                                     .keys = head.keys,
                                                     .segment_cells = head.segment_cells,
                                                     .segment_count = head.segment_count,
                                                     .cells = cells,
                                                     .bytes = bytes};
    (*filter)->claims += head.keys;
    return true;
}

static bool is_whole(const struct ow_filter *filter)
{
    for (uint32_t i = 0; i < filter->piece_count; i++) {
        if (filter->pieces[i].cells == NULL) {
            return false;
        }
    }
    return true;
}

/* Whether it is of sealed buckets that no other filter covers yet, with all of their claims. What
 * has been pruned since it was built is left out, and then nobody knows how many they were. */
static bool is_useful(struct ow_store *store, struct ow_filter *filter)
{
    bool any = false;
    bool pruned = false;
    int64_t claims = 0;
    for (uint32_t i = 0; i < filter->bucket_count; i++) {
        const struct ow_sealed_bucket *bucket = ow_bucket_sealed(store, filter->buckets[i]);
        if (bucket == NULL || bucket->doomed) {
            bool open = false;
            for (size_t k = 0; k < store->live.open_count; k++) {
                open = open || store->live.open[k].bucket == filter->buckets[i];
            }
            if (open || filter->buckets[i] > store->live.last_bucket) {
                return false; /* it is of another store's file */
            }
            filter->buckets[i] = 0;
            pruned = true;
            continue;
        }
        claims += bucket->claims;
        if (bucket->filtered || bucket->class_ms != filter->class_ms) {
            return false;
        }
        any = true;
    }
    return any && (pruned || claims == filter->claims);
}

static int compare_levels(const void *a, const void *b)
{
    const struct ow_filter *const left = *(struct ow_filter *const *)a;
    const struct ow_filter *const right = *(struct ow_filter *const *)b;
    if (left->level != right->level) {
        return left->level > right->level ? -1 : 1;
    }
    return (left->id > right->id) - (left->id < right->id);
}

struct loading {
    struct ow_filter **list;
    size_t count, capacity;
    struct ow_filter *filter; /* in work */
    int64_t id;
    bool wrong;
};

/* The last filter's rows have all been read. */
static void finish(struct ow_store *store, struct loading *loading)
{
    struct ow_filter *const filter = loading->filter;
    loading->filter = NULL;
    if (loading->wrong || (filter != NULL && !is_whole(filter))) {
        if (loading->wrong) {
            ow_log(OW_LOG_WARN, "filter_wrong", "id=%" PRId64 " reason=\"built anew\"",
                   loading->id);
        }
        ow_filter_discard(&store->filters, loading->id);
        ow_filter_free(filter);
        return;
    }
    if (filter == NULL) {
        return;
    }
    if (loading->count == loading->capacity) {
        loading->capacity = loading->capacity == 0 ? 16 : 2 * loading->capacity;
        loading->list = reallocarray(loading->list, loading->capacity, sizeof(struct ow_filter *));
        OW_INVARIANT(loading->list != NULL);
    }
    loading->list[loading->count++] = filter;
}

#define ROWS "SELECT id, first_bucket, last_bucket, chunk, checksum, bits FROM ow_filter"

static struct ow_filter_row row_of(const struct ow_statement *read)
{
    return (struct ow_filter_row){.id = ow_sql_i64(read, 0),
                                  .first_bucket = ow_sql_i64(read, 1),
                                  .last_bucket = ow_sql_i64(read, 2),
                                  .chunk = ow_sql_i64(read, 3),
                                  .checksum = ow_sql_i64(read, 4),
                                  .bits = ow_sql_slice(read, 5)};
}

enum ow_status ow_filter_read(struct ow_store *store, int64_t id, struct ow_filter **ret_filter,
                              struct ow_err *err)
{
    OW_STATEMENT read = {0};
    struct ow_filter *filter = NULL;
    *ret_filter = NULL;
    OW_TRY(ow_sql_prepare(&store->sql, ROWS " WHERE id = ? ORDER BY chunk", &read, err));
    ow_sql_bind_i64(&read, id);
    bool found = false;
    enum ow_status status = ow_sql_step(&read, &found, err);
    bool right = true;
    while (status == OW_OK && found && right) {
        const struct ow_filter_row row = row_of(&read);
        right = ow_filter_take_row(&filter, &row);
        status = ow_sql_step(&read, &found, err);
    }
    if (status == OW_OK && right && filter != NULL && is_whole(filter)) {
        *ret_filter = filter;
    } else {
        ow_filter_free(filter);
    }
    return status;
}

static enum ow_status read_rows(struct ow_store *store, struct loading *loading, struct ow_err *err)
{
    OW_STATEMENT read = {0};
    OW_TRY(ow_sql_prepare(&store->sql, ROWS " ORDER BY id, chunk", &read, err));
    bool found = false;
    OW_TRY(ow_sql_step(&read, &found, err));
    while (found) {
        const struct ow_filter_row row = row_of(&read);
        if (row.id != loading->id) {
            finish(store, loading);
            note_id(store, row.id);
            loading->id = row.id;
            loading->wrong = false;
        }
        loading->wrong = loading->wrong || !ow_filter_take_row(&loading->filter, &row);
        OW_TRY(ow_sql_step(&read, &found, err));
    }
    finish(store, loading);
    return OW_OK;
}

/* Sums of filters whose rows somebody has thrown away. */
static enum ow_status discard_missing(struct ow_store *store, struct ow_err *err)
{
    OW_STATEMENT read = {0};
    OW_TRY(ow_sql_prepare(&store->sql,
                          "SELECT CAST(substr(key, 16) AS INTEGER) AS id FROM ow_meta"
                          " WHERE key GLOB 'seal.ow_filter.*'"
                          " AND NOT EXISTS (SELECT 1 FROM ow_filter f"
                          " WHERE f.id = CAST(substr(key, 16) AS INTEGER))",
                          &read, err));
    bool row = false;
    OW_TRY(ow_sql_step(&read, &row, err));
    while (row) {
        const int64_t id = ow_sql_i64(&read, 0);
        ow_filter_discard(&store->filters, id);
        note_id(store, id);
        OW_TRY(ow_sql_step(&read, &row, err));
    }
    return OW_OK;
}

enum ow_status ow_filter_load(struct ow_store *store, struct ow_err *err)
{
    struct loading loading = {.id = INT64_MIN};
    enum ow_status status = read_rows(store, &loading, err);
    if (status == OW_OK) {
        status = discard_missing(store, err);
    }
    ow_filter_free(loading.filter);
    if (loading.count > 0) {
        qsort(loading.list, loading.count, sizeof(struct ow_filter *), compare_levels);
    }
    for (size_t i = 0; i < loading.count; i++) {
        if (status == OW_OK && is_useful(store, loading.list[i])) {
            ow_filter_publish(store, loading.list[i]);
        } else {
            ow_filter_discard(&store->filters, loading.list[i]->id);
            ow_filter_free(loading.list[i]);
        }
    }
    free(loading.list);
    return status;
}
