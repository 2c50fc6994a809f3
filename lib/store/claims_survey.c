#include "store/claims_survey.h"

#include "store/internal.h"

#include <stdio.h>
#include <sys/statvfs.h>

/*
 * Nothing in SQLite tells how many pages a bucket has: all of them lie in one tree, and dbstat
 * reads the whole of it. But reading claims in their order loads each leaf once, and the connection
 * counts what it loads. So the first claims of a bucket are read, and the pages counted from the
 * first of them to the last; keys are random, so the rest of the bucket is like them.
 */

static const int64_t day_ms = INT64_C(86400000);

struct surveying {
    const struct ow_claims_survey_options *options;
    struct ow_arena *arena;
    struct ow_sql sql;
    struct ow_claims_survey survey;
    int64_t page_bytes, filter_bytes;
    int64_t claimed; /* records that took a claim, ever */
};

static enum ow_status read_sizes(struct surveying *at, const char *resolved, struct ow_err *err)
{
    struct ow_sql *const sql = &at->sql;
    struct ow_claims_survey *const survey = &at->survey;
    int64_t pages = 0;
    int64_t free_pages = 0;
    struct statvfs volume;
    OW_TRY(ow_sql_query_i64(sql, "PRAGMA page_size", &at->page_bytes, err));
    OW_TRY(ow_sql_query_i64(sql, "PRAGMA page_count", &pages, err));
    OW_TRY(ow_sql_query_i64(sql, "PRAGMA freelist_count", &free_pages, err));
    OW_TRY(
        ow_sql_query_i64(sql, "SELECT sum(length(bits)) FROM ow_filter", &at->filter_bytes, err));
    OW_TRY(ow_sql_query_i64(sql,
                            "SELECT sum(applied + stale + parked + quarantined) FROM ow_position",
                            &at->claimed, err));
    survey->file_bytes = pages * at->page_bytes;
    survey->free_bytes = free_pages * at->page_bytes;
    if (statvfs(resolved, &volume) != 0) {
        return ow_fail(err, OW_FAILED, "cannot ask for the free space of '%s'", resolved);
    }
    survey->free_bytes += (int64_t)(volume.f_bavail * volume.f_frsize);
    return OW_OK;
}

static enum ow_status read_buckets(struct surveying *at, struct ow_err *err)
{
    int64_t count = 0;
    OW_STATEMENT read = {0};
    bool row = false;
    OW_TRY(ow_sql_query_i64(&at->sql, "SELECT count(*) FROM ow_bucket", &count, err));
    at->survey.buckets = OW_ARENA_ARRAY(at->arena, (size_t)count, struct ow_claims_bucket);
    OW_TRY(ow_sql_prepare(&at->sql,
                          "SELECT bucket, class, opened_at_ms, coalesce(sealed_at_ms, -1), claims,"
                          " bucket < coalesce((SELECT value FROM ow_meta"
                          " WHERE key = 'pruned_below.' || class), 0) FROM ow_bucket"
                          " ORDER BY bucket",
                          &read, err));
    OW_TRY(ow_sql_step(&read, &row, err));
    while (row) {
        struct ow_claims_bucket *const bucket = &at->survey.buckets[at->survey.bucket_count++];
        *bucket = (struct ow_claims_bucket){.bucket = ow_sql_i64(&read, 0),
                                            .class_ms = ow_sql_i64(&read, 1),
                                            .opened_at_ms = ow_sql_i64(&read, 2),
                                            .sealed_at_ms = ow_sql_i64(&read, 3),
                                            .claims = ow_sql_i64(&read, 4),
                                            .pruning = ow_sql_i64(&read, 5) != 0};
        at->survey.claims += bucket->claims;
        OW_TRY(ow_sql_step(&read, &row, err));
    }
    return OW_OK;
}

/* Those of which all buckets are gone have their horizon all the same. */
static enum ow_status read_classes(struct surveying *at, struct ow_err *err)
{
    static const char classes[] = "(SELECT class FROM ow_bucket UNION"
                                  " SELECT CAST(substr(key, 8) AS INTEGER) FROM ow_meta"
                                  " WHERE key GLOB 'pruned.*')";
    int64_t count = 0;
    OW_STATEMENT read = {0};
    OW_BUFFER text = {0};
    bool row = false;
    ow_buffer_printf(&text, "SELECT count(*) FROM %s", classes);
    OW_TRY(ow_sql_query_i64(&at->sql, ow_buffer_cstr(&text), &count, err));
    at->survey.classes = OW_ARENA_ARRAY(at->arena, (size_t)count, struct ow_claims_class);
    ow_buffer_clear(&text);
    ow_buffer_printf(
        &text,
        "SELECT c.class, count(b.bucket), coalesce(sum(b.claims), 0), p.value IS NOT"
        " NULL, coalesce(p.value, 0) FROM %s c LEFT JOIN ow_bucket b ON b.class = c.class"
        " LEFT JOIN ow_meta p ON p.key = 'pruned.' || c.class"
        " GROUP BY c.class ORDER BY c.class",
        classes);
    OW_TRY(ow_sql_prepare(&at->sql, ow_buffer_cstr(&text), &read, err));
    OW_TRY(ow_sql_step(&read, &row, err));
    while (row) {
        at->survey.classes[at->survey.class_count++] =
            (struct ow_claims_class){.class_ms = ow_sql_i64(&read, 0),
                                     .buckets = ow_sql_i64(&read, 1),
                                     .claims = ow_sql_i64(&read, 2),
                                     .pruned = ow_sql_i64(&read, 3) != 0,
                                     .kept_since_ms = ow_sql_i64(&read, 4)};
        OW_TRY(ow_sql_step(&read, &row, err));
    }
    return OW_OK;
}

/* Reads the first claims of a bucket. *ret_pages: those that were begun behind the first claim. */
static enum ow_status sample(struct surveying *at, struct ow_statement *read, int64_t bucket,
                             int64_t *ret_claims, int64_t *ret_pages, struct ow_err *err)
{
    enum { CLAIMS_MAX = 10000, LOOK_EACH = 256 };
    static const int64_t slice_ns = 250000000;
    const int64_t begin_ns = ow_clock_elapsed_ns(&at->options->clock);
    bool row = false;
    *ret_claims = 0;
    ow_sql_bind_i64(read, bucket);
    OW_TRY(ow_sql_step(read, &row, err));
    (void)ow_sql_pages_read(&at->sql);
    while (row) {
        (*ret_claims)++;
        if (*ret_claims == CLAIMS_MAX ||
            (*ret_claims % LOOK_EACH == 0 &&
             ow_clock_elapsed_ns(&at->options->clock) - begin_ns > slice_ns)) {
            break;
        }
        OW_TRY(ow_sql_step(read, &row, err));
    }
    *ret_pages = ow_sql_pages_read(&at->sql);
    ow_sql_reset(read);
    return OW_OK;
}

static enum ow_status measure_buckets(struct surveying *at, struct ow_err *err)
{
    OW_STATEMENT read = {0};
    OW_TRY(ow_sql_prepare(&at->sql, "SELECT 1 FROM ow_claims WHERE bucket = ? ORDER BY key", &read,
                          err));
    for (size_t i = 0; i < at->survey.bucket_count; i++) {
        struct ow_claims_bucket *const bucket = &at->survey.buckets[i];
        int64_t claims = 0;
        int64_t pages = 0;
        OW_TRY(sample(at, &read, bucket->bucket, &claims, &pages, err));
        if (claims > 0) {
            const double share = (double)bucket->claims / (double)claims;
            bucket->bytes = at->page_bytes + (int64_t)(share * (double)(pages * at->page_bytes));
        }
        at->survey.bytes += bucket->bytes;
        if (at->options->progress != NULL) {
            at->options->progress(at->options->context, "measuring buckets", (int64_t)i + 1,
                                  (int64_t)at->survey.bucket_count);
        }
    }
    return OW_OK;
}

/* How many of a bucket's claims came behind a moment, as if they had come evenly. */
static double claims_since(const struct ow_claims_bucket *bucket, int64_t since_ms, int64_t now_ms)
{
    const bool open = bucket->sealed_at_ms == OW_CLAIMS_OPEN_MS;
    const int64_t end_ms = open ? now_ms : bucket->sealed_at_ms;
    const int64_t begin_ms = bucket->opened_at_ms < end_ms ? bucket->opened_at_ms : end_ms;
    if (end_ms < since_ms) {
        return 0;
    }
    return begin_ms >= since_ms
               ? (double)bucket->claims
               : (double)bucket->claims * (double)(end_ms - since_ms) / (double)(end_ms - begin_ms);
}

static int64_t oldest_ms(const struct ow_claims_survey *survey, int64_t now_ms)
{
    int64_t oldest = now_ms;
    for (size_t i = 0; i < survey->bucket_count; i++) {
        const int64_t opened_ms = survey->buckets[i].opened_at_ms;
        oldest = opened_ms < oldest ? opened_ms : oldest;
    }
    return oldest;
}

static void count_days(struct ow_claims_survey *survey, int64_t now_ms)
{
    const int64_t week_ms = 7 * day_ms;
    const int64_t hour_ms = day_ms / 24;
    const int64_t oldest = oldest_ms(survey, now_ms);
    const int64_t since_ms = oldest < now_ms - week_ms ? now_ms - week_ms : oldest;
    const bool known = now_ms - since_ms >= hour_ms;
    const double days = (double)(now_ms - since_ms) / (double)day_ms;
    survey->claims_per_day = known ? 0 : -1;
    for (size_t c = 0; c < survey->class_count; c++) {
        double claims = 0;
        for (size_t i = 0; i < survey->bucket_count; i++) {
            if (survey->buckets[i].class_ms == survey->classes[c].class_ms) {
                claims += claims_since(&survey->buckets[i], since_ms, now_ms);
            }
        }
        survey->classes[c].claims_per_day = known ? (int64_t)(claims / days + 0.5) : -1;
        survey->claims_per_day += known ? survey->classes[c].claims_per_day : 0;
    }
}

static void estimate_growth(struct surveying *at)
{
    struct ow_claims_survey *const survey = &at->survey;
    survey->growth_per_day = -1;
    if (survey->claims_per_day < 0 || survey->claims == 0) {
        return;
    }
    /* Seeded claims had no record; some quarantined records take no claim, and they are few. */
    const int64_t claimed = at->claimed > survey->claims ? at->claimed : survey->claims;
    const double per_claim = (double)survey->bytes / (double)survey->claims;
    const double others = (double)(survey->file_bytes - survey->bytes) / (double)claimed;
    double growth = (others > 0 ? others : 0) * (double)survey->claims_per_day;
    for (size_t c = 0; c < survey->class_count; c++) {
        growth +=
            survey->classes[c].pruned ? 0 : per_claim * (double)survey->classes[c].claims_per_day;
    }
    survey->growth_per_day = (int64_t)(growth + 0.5);
}

static enum ow_status run(struct surveying *at, struct ow_err *err)
{
    const char *resolved = NULL;
    OW_TRY(ow_store_open_reader(&at->sql, at->options->path, at->arena, &resolved, err));
    OW_TRY(
        ow_sql_exec(&at->sql, "BEGIN", err)); /* the rows of one moment; then claims as they are */
    OW_TRY(read_sizes(at, resolved, err));
    OW_TRY(read_buckets(at, err));
    OW_TRY(read_classes(at, err));
    OW_TRY(ow_sql_commit(&at->sql, err));
    OW_TRY(measure_buckets(at, err));
    at->survey.bytes += at->filter_bytes;
    count_days(&at->survey, ow_clock_now_ms(&at->options->clock));
    estimate_growth(at);
    return OW_OK;
}

static enum ow_status close_reader(struct ow_sql *sql, enum ow_status status)
{
    ow_sql_rollback(sql);
    ow_sql_close(sql);
    return status == OW_STORE_UNKNOWN ? OW_FAILED : status; /* nothing was being committed */
}

enum ow_status ow_claims_survey(const struct ow_claims_survey_options *options,
                                struct ow_arena *arena, struct ow_claims_survey *ret_survey,
                                struct ow_err *err)
{
    struct surveying at = {.options = options, .arena = arena};
    const enum ow_status status = close_reader(&at.sql, run(&at, err));
    *ret_survey = at.survey;
    return status;
}

static enum ow_status read_rule(struct ow_sql *sql, const char *path, int64_t number,
                                struct ow_arena *arena, const char **ret_text, struct ow_err *err)
{
    const char *resolved = NULL;
    char key[48];
    (void)snprintf(key, sizeof key, "fingerprint_rule.%lld", (long long)number);
    OW_TRY(ow_store_open_reader(sql, path, arena, &resolved, err));
    return ow_meta_get_text(sql, key, arena, ret_text, err);
}

enum ow_status ow_claims_survey_rule(const char *path, int64_t number, struct ow_arena *arena,
                                     const char **ret_text, struct ow_err *err)
{
    struct ow_sql sql = {0};
    return close_reader(&sql, read_rule(&sql, path, number, arena, ret_text, err));
}
