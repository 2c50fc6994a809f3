/*
 * Filters come to be: one for each sealed bucket, and of eight of a level one of the next. Some
 * rows at a time: the apply thread does it between its batches. A piece is written as soon as it is
 * built, and the filter is used when all are there; what a crash leaves is garbage of the next
 * start.
 */
#include "base/contract.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "store/internal.h"

#include <inttypes.h>
#include <stdlib.h>

static void job_done(struct ow_filter_job *job)
{
    ow_filter_free(job->filter);
    free(job->buckets);
    free(job->hashes);
    free(job->values);
}

void ow_filter_jobs_done(struct ow_filters *filters)
{
    for (size_t i = 0; i < OW_FILTER_LEVELS; i++) {
        job_done(&filters->jobs[i]);
    }
    ow_fuse_builder_done(&filters->builder);
}

static void end_job(struct ow_filter_job *job)
{
    job->filter = NULL;
    free(job->buckets);
    job->buckets = NULL;
}

static void abandon(struct ow_filters *filters, struct ow_filter_job *job)
{
    ow_filter_discard(filters, job->filter->id);
    ow_filter_free(job->filter);
    end_job(job);
}

static void begin_job(struct ow_filters *filters, struct ow_filter_job *job,
                      struct ow_filter *filter)
{
    filter->id = ++filters->last_id;
    filter->until = 0;
    job->filter = filter;
    job->buckets = calloc(filter->bucket_count, sizeof(*job->buckets));
    OW_INVARIANT(job->buckets != NULL);
    memcpy(job->buckets, filter->buckets, filter->bucket_count * sizeof(*job->buckets));
    job->piece = job->bucket = 0;
    job->count = 0;
    job->last_bytes = 0;
}

static uint32_t pieces_for(const struct ow_store *store, int64_t claims)
{
    return (uint32_t)(claims / store->piece_claims + 1);
}

/* The oldest sealed bucket that no filter covers. */
static bool begin_bucket(struct ow_store *store)
{
    const struct ow_sealed_bucket *oldest = NULL;
    for (size_t i = 0; i < store->live.sealed_count; i++) {
        const struct ow_sealed_bucket *bucket = &store->sealed[i];
        if (!bucket->filtered && !bucket->doomed && !bucket->plain &&
            (oldest == NULL || bucket->bucket < oldest->bucket)) {
            oldest = bucket;
        }
    }
    if (oldest == NULL) {
        return false;
    }
    struct ow_filter *filter = ow_filter_new(1, pieces_for(store, oldest->claims));
    filter->class_ms = oldest->class_ms;
    filter->buckets[0] = oldest->bucket;
    begin_job(&store->filters, &store->filters.jobs[0], filter);
    return true;
}

static bool is_mergeable(const struct ow_filter *filter, const struct ow_filter *with)
{
    return !filter->alone && filter->class_ms == with->class_ms && filter->level == with->level;
}

/* The oldest ones of the class and level of the filter at `from`: how many there are, up to
 * OW_FILTER_MERGE. */
static size_t find_mergeable(const struct ow_filters *filters, size_t from,
                             const struct ow_filter *ret_list[OW_FILTER_MERGE])
{
    size_t count = 0;
    for (size_t i = from; i < filters->count && count < OW_FILTER_MERGE; i++) {
        if (is_mergeable(filters->list[i], filters->list[from])) {
            ret_list[count++] = filters->list[i];
        }
    }
    return count;
}

/* Makes a filter of a level. */
static bool begin_merge(struct ow_store *store, uint32_t level)
{
    struct ow_filters *filters = &store->filters;
    const struct ow_filter *list[OW_FILTER_MERGE];
    size_t from = 0;
    while (from < filters->count &&
           (filters->list[from]->alone || filters->list[from]->level + 1 != level ||
            find_mergeable(filters, from, list) < OW_FILTER_MERGE)) {
        from++;
    }
    if (from == filters->count) {
        return false;
    }
    uint32_t buckets = 0;
    int64_t claims = 0;
    for (size_t i = 0; i < OW_FILTER_MERGE; i++) {
        claims += list[i]->claims;
        for (uint32_t k = 0; k < list[i]->bucket_count; k++) {
            buckets += list[i]->buckets[k] != 0;
        }
    }
    struct ow_filter *merged = ow_filter_new(buckets, pieces_for(store, claims));
    merged->class_ms = list[0]->class_ms;
    merged->level = level;
    uint32_t at = 0;
    for (size_t i = 0; i < OW_FILTER_MERGE; i++) {
        for (uint32_t k = 0; k < list[i]->bucket_count; k++) {
            if (list[i]->buckets[k] != 0) {
                merged->buckets[at++] = list[i]->buckets[k];
            }
        }
    }
    begin_job(filters, &filters->jobs[level], merged);
    return true;
}

static void take_key(struct ow_filter_job *job, struct ow_slice key)
{
    uint32_t shift = 0;
    const uint32_t index_bits = ow_filter_index_bits(job->filter->bucket_count, &shift);
    if (job->count == job->capacity) {
        job->capacity = job->capacity == 0 ? 4096 : job->capacity * 2;
        job->hashes = reallocarray(job->hashes, job->capacity, sizeof(*job->hashes));
        job->values = reallocarray(job->values, job->capacity, sizeof(*job->values));
        OW_INVARIANT(job->hashes != NULL);
        OW_INVARIANT(job->values != NULL);
    }
    uint16_t tag = 0;
    ow_filter_key(key.ptr, &job->hashes[job->count], &tag);
    const uint32_t word = (uint32_t)tag << index_bits | job->bucket >> shift;
    job->values[job->count++] = (uint16_t)(word & ((UINT32_C(1) << OW_FUSE_BITS) - 1));
}

/* Reads keys of the piece in work, at most so many: *rows are left then. */
static enum ow_status read_keys(struct ow_store *store, struct ow_filter_job *job, size_t *rows,
                                struct ow_err *err)
{
    uint8_t beyond[OW_CLAIM_KEY_BYTES + 1]; /* longer than any key, and greater */
    memset(beyond, 0xff, sizeof(beyond));
    struct ow_statement *read = ow_store_statement(store, OW_STATEMENT_CLAIM_KEYS);
    const uint32_t pieces = job->filter->piece_count;
    const uint32_t from = __builtin_bswap32(ow_filter_piece_start(pieces, job->piece));
    const bool last = job->piece + 1 == pieces;
    const uint32_t until =
        last ? 0 : __builtin_bswap32(ow_filter_piece_start(pieces, job->piece + 1));
    const uint32_t buckets = job->filter->bucket_count;
    while (*rows > 0 && job->bucket != buckets) {
        ow_sql_bind_i64(read, job->buckets[job->bucket]);
        /* The first four bytes are less than any key that begins with them. */
        ow_sql_bind_blob(read, job->last_bytes > 0
                                   ? (struct ow_slice){job->last_key, job->last_bytes}
                                   : (struct ow_slice){(const uint8_t *)&from, sizeof(from)});
        ow_sql_bind_blob(read, last ? (struct ow_slice){beyond, sizeof(beyond)}
                                    : (struct ow_slice){(const uint8_t *)&until, sizeof(until)});
        ow_sql_bind_i64(read, (int64_t)*rows);
        bool row = false;
        OW_TRY(ow_sql_step(read, &row, err));
        while (row) {
            const struct ow_slice key = ow_sql_slice(read, 0);
            OW_ENSURE(key.len == OW_CLAIM_KEY_BYTES); /* CHECKed by the table */
            take_key(job, key);
            memcpy(job->last_key, key.ptr, key.len);
            job->last_bytes = key.len;
            (*rows)--;
            OW_TRY(ow_sql_step(read, &row, err));
        }
        if (*rows > 0) {
            job->bucket++;
            job->last_bytes = 0;
        }
    }
    return OW_OK;
}

/* Whether it is merged into that one. */
static bool is_source(const struct ow_filter *filter, const struct ow_filter *merged)
{
    const int64_t first = ow_filter_first_bucket(filter);
    for (uint32_t i = 0; i < merged->bucket_count; i++) {
        if (merged->buckets[i] == first) {
            return true;
        }
    }
    return false;
}

/* What the merged one has is asked there from now on: else filters would take twice their memory
 * while they are merged. Their rows stay until all is merged. */
static void cut_sources(struct ow_filters *filters, const struct ow_filter *merged)
{
    for (size_t i = 0; i < filters->count; i++) {
        struct ow_filter *source = filters->list[i];
        if (!is_source(source, merged)) {
            continue;
        }
        source->from = merged->until;
        for (uint32_t k = 0; k < source->piece_count; k++) {
            const bool last = k + 1 == source->piece_count;
            if (!last && ow_filter_piece_start(source->piece_count, k + 1) <= source->from) {
                free((void *)(uintptr_t)source->pieces[k].cells);
                source->pieces[k].cells = NULL;
            }
        }
    }
}

/* A source gets back what was thrown away; where that cannot be read any more, its buckets get
 * filters anew. */
static enum ow_status restore_source(struct ow_store *store, size_t at, struct ow_err *err)
{
    struct ow_filter *source = store->filters.list[at];
    struct ow_filter *again = NULL;
    OW_TRY(ow_filter_read(store, source->id, &again, err));
    if (again == NULL || again->bucket_count != source->bucket_count) {
        for (uint32_t i = 0; i < source->bucket_count; i++) {
            struct ow_sealed_bucket *bucket = ow_bucket_sealed(store, source->buckets[i]);
            if (bucket != NULL) {
                bucket->filtered = false;
            }
        }
        ow_filter_free(again);
        ow_filter_drop(store, at);
        return OW_OK;
    }
    memcpy(again->buckets, source->buckets, again->bucket_count * sizeof(*again->buckets));
    store->filters.list[at] = again;
    ow_filter_free(source);
    return OW_OK;
}

static enum ow_status restore_sources(struct ow_store *store, const struct ow_filter *merged,
                                      struct ow_err *err)
{
    struct ow_filters *filters = &store->filters;
    for (size_t i = filters->count; i > 0; i--) {
        if (!is_source(filters->list[i - 1], merged)) {
            continue;
        }
        const int64_t id = filters->list[i - 1]->id;
        if (filters->list[i - 1]->from > 0) {
            OW_TRY(restore_source(store, i - 1, err));
        }
        if (i <= filters->count && filters->list[i - 1]->id == id) {
            filters->list[i - 1]->alone = true;
        }
    }
    return OW_OK;
}

/* No seed fits: two claims have one hash. A key that is claimed twice is for verify to find; here
 * it costs no more than a plain look-up. */
static enum ow_status give_up(struct ow_store *store, struct ow_filter_job *job, struct ow_err *err)
{
    const struct ow_filter *filter = job->filter;
    ow_log(OW_LOG_WARN, "filter_refused", "first_bucket=%" PRId64 " buckets=%u", job->buckets[0],
           filter->bucket_count);
    if (filter->level > 0) {
        OW_TRY(restore_sources(store, filter, err));
    } else {
        struct ow_sealed_bucket *bucket = ow_bucket_sealed(store, filter->buckets[0]);
        if (bucket != NULL) { /* it may have been pruned meanwhile */
            bucket->plain = true;
        }
    }
    abandon(&store->filters, job);
    return OW_OK;
}

/* The keys of a piece are all there. False: it cannot be built. */
static bool build_piece(struct ow_filter_job *job, struct ow_fuse_builder *builder)
{
    const struct ow_fuse_set set = {
        .hashes = job->hashes, .values = job->values, .count = job->count};
    struct ow_fuse *piece = &job->filter->pieces[job->piece];
    if (job->count > OW_FUSE_KEYS_MAX) {
        return false;
    }
    uint8_t *cells = malloc(ow_fuse_bytes(job->count));
    OW_INVARIANT(cells != NULL);
    if (!ow_fuse_build(builder, &set, (uint64_t)job->filter->id, cells, piece)) {
        free(cells);
        return false;
    }
    return true;
}

static enum ow_status write_piece(struct ow_store *store, const struct ow_filter_job *job,
                                  struct ow_err *err)
{
    struct ow_world world = {.next_ref = 0};
    enum ow_status status = ow_store_begin(store, &world, err);
    if (status == OW_OK) {
        status = ow_filter_write_piece(store, job, err);
        OW_FAILPOINT(FILTER_WRITTEN);
    }
    return ow_store_end(store, &world, status, err);
}

/* Those that it was merged from are asked no more. */
static void finish_job(struct ow_store *store, struct ow_filter_job *job)
{
    struct ow_filters *filters = &store->filters;
    struct ow_filter *filter = job->filter;
    for (size_t i = filters->count; i > 0; i--) {
        if (is_source(filters->list[i - 1], filter)) {
            ow_filter_drop(store, i - 1);
        }
    }
    if (ow_filter_first_bucket(filter) == INT64_MAX) {
        abandon(filters, job); /* all has been pruned meanwhile */
    } else {
        end_job(job);
        ow_filter_publish(store, filter);
    }
}

static enum ow_status end_piece(struct ow_store *store, struct ow_filter_job *job,
                                struct ow_err *err)
{
    struct ow_fuse *piece = &job->filter->pieces[job->piece];
    if (piece->cells == NULL &&
        !build_piece(job, &store->filters.builder)) { /* built already: it could not be written */
        return give_up(store, job, err);
    }
    OW_TRY(write_piece(store, job, err));
    struct ow_filter *filter = job->filter;
    filter->claims += (int64_t)job->count;
    job->count = 0;
    job->bucket = 0;
    job->piece++;
    if (job->piece == filter->piece_count) {
        filter->until = UINT64_C(1) << 32;
        finish_job(store, job);
        return OW_OK;
    }
    if (filter->level > 0) { /* a bucket's first filter is asked when it is whole */
        filter->until = ow_filter_piece_start(filter->piece_count, job->piece);
        cut_sources(&store->filters, filter);
    }
    return OW_OK;
}

enum { SWEEP_ROWS = 4 /* they are large */ };

static enum ow_status delete_rows(struct ow_store *store, int64_t id, int64_t *ret_changes,
                                  struct ow_err *err)
{
    struct ow_statement *read = ow_store_statement(store, OW_STATEMENT_FILTER_ROWS);
    struct ow_statement *delete = ow_store_statement(store, OW_STATEMENT_FILTER_DELETE);
    ow_sql_bind_i64(read, id);
    ow_sql_bind_i64(read, SWEEP_ROWS);
    OW_TRY(ow_seal_take(store, OW_SEAL_FILTER, id, read, err));
    ow_sql_bind_i64(delete, id);
    ow_sql_bind_i64(delete, SWEEP_ROWS);
    OW_TRY(ow_sql_run(delete, ret_changes, err));
    return *ret_changes < SWEEP_ROWS ? ow_seal_drop(store, OW_SEAL_FILTER, id, err) : OW_OK;
}

/* Some rows of a filter that is used no more. */
static enum ow_status sweep(struct ow_store *store, struct ow_err *err)
{
    struct ow_filters *filters = &store->filters;
    struct ow_world world = {.next_ref = 0};
    int64_t changes = 0;
    enum ow_status status = ow_store_begin(store, &world, err);
    if (status == OW_OK) {
        status = delete_rows(store, filters->garbage[filters->garbage_count - 1], &changes, err);
    }
    OW_TRY(ow_store_end(store, &world, status, err));
    filters->garbage_count -= changes < SWEEP_ROWS;
    return OW_OK;
}

/* The merge that is in work or can be begun, the smallest; NULL: none. */
static struct ow_filter_job *find_merge(struct ow_store *store)
{
    struct ow_filter_job *const jobs = store->filters.jobs;
    for (uint32_t level = 1; level < OW_FILTER_LEVELS; level++) {
        if (jobs[level].filter != NULL || begin_merge(store, level)) {
            return &jobs[level];
        }
    }
    return NULL;
}

enum ow_status ow_filter_build(struct ow_store *store, size_t rows, bool *ret_more,
                               struct ow_err *err)
{
    struct ow_filter_job *job = &store->filters.jobs[0];
    *ret_more = true;
    if (job->filter == NULL && !begin_bucket(store)) {
        if (store->filters.garbage_count > 0) {
            return sweep(store, err); /* before merges, or their rows would pile up */
        }
        job = find_merge(store);
    }
    if (job == NULL) {
        *ret_more = false;
        return OW_OK;
    }
    OW_TRY(read_keys(store, job, &rows, err));
    return job->bucket == job->filter->bucket_count ? end_piece(store, job, err) : OW_OK;
}
