#include "base/duration.h"
#include "base/parse.h"
#include "claims.h"
#include "command.h"
#include "model/json.h"
#include "read_progress.h"
#include "store/claims_survey.h"

#include <inttypes.h>

static const char *state_of(const struct ow_claims_bucket *bucket)
{
    if (bucket->pruning) {
        return "pruning";
    }
    return bucket->sealed_at_ms == OW_CLAIMS_OPEN_MS ? "open" : "sealed";
}

static const char *time_text(struct ow_arena *arena, int64_t time_ms)
{
    char text[OW_TIME_TEXT_BYTES];
    ow_format_time_ms(time_ms, text);
    return ow_arena_text(arena, ow_slice_of(text));
}

static const char *class_text(struct ow_arena *arena, int64_t class_ms)
{
    char text[OW_DURATION_TEXT_MAX];
    return ow_arena_text(arena, ow_slice_of(ow_duration_text(class_ms, text)));
}

static const char *number_text(struct ow_arena *arena, int64_t number)
{
    return ow_arena_printf(arena, "%" PRId64, number);
}

/* Negative: not known. */
static double bytes_per_claim(const struct ow_claims_survey *survey)
{
    return survey->claims == 0 ? -1 : (double)survey->bytes / (double)survey->claims;
}

static double days_until_full(const struct ow_claims_survey *survey)
{
    return survey->growth_per_day <= 0
               ? -1
               : (double)survey->free_bytes / (double)survey->growth_per_day;
}

/* Negative: not known. */
static void print_total(const char *name, double value, int decimals, const char *behind)
{
    if (value < 0) {
        printf("%-18s -\n", name);
    } else {
        printf("%-18s %.*f%s\n", name, decimals, value, behind);
    }
}

static void print_horizon(const struct ow_claims_class *class, int64_t skew_ms,
                          struct ow_arena *arena)
{
    printf("%-18s ", ow_arena_printf(arena, "horizon of %s", class_text(arena, class->class_ms)));
    if (!class->pruned) {
        printf("none: nothing was pruned\n");
    } else if (skew_ms < 0) {
        printf("%s + claims.skew\n", time_text(arena, class->kept_since_ms));
    } else {
        printf("%s\n", time_text(arena, class->kept_since_ms + skew_ms));
    }
}

static void print_table(const struct ow_claims_survey *survey, int64_t skew_ms,
                        struct ow_arena *arena)
{
    OW_GRID grid = {.column_count = 7};
    ow_grid_row(&grid, (const char *const[]){"BUCKET", "CLASS", "OPENED", "SEALED", "CLAIMS",
                                             "~BYTES", "STATE"});
    for (size_t i = 0; i < survey->bucket_count; i++) {
        const struct ow_claims_bucket *const bucket = &survey->buckets[i];
        ow_grid_row(&grid,
                    (const char *const[]){number_text(arena, bucket->bucket),
                                          class_text(arena, bucket->class_ms),
                                          time_text(arena, bucket->opened_at_ms),
                                          bucket->sealed_at_ms == OW_CLAIMS_OPEN_MS
                                              ? "open"
                                              : time_text(arena, bucket->sealed_at_ms),
                                          number_text(arena, bucket->claims),
                                          number_text(arena, bucket->bytes), state_of(bucket)});
    }
    ow_grid_print(&grid, stdout);
    printf("\n");
    print_total("claims", (double)survey->claims, 0, "");
    print_total("bytes a claim", bytes_per_claim(survey), 1, " (estimate)");
    print_total("claims a day", (double)survey->claims_per_day, 0, "");
    print_total("days until full", days_until_full(survey), 1, " (estimate)");
    for (size_t i = 0; i < survey->class_count; i++) {
        print_horizon(&survey->classes[i], skew_ms, arena);
    }
}

static json_t *whole(int64_t value, bool known)
{
    return known ? json_integer((json_int_t)value) : json_null();
}

static json_t *real(double value)
{
    return value < 0 ? json_null() : json_real(value);
}

static json_t *buckets_of(const struct ow_claims_survey *survey, struct ow_arena *arena)
{
    json_t *const list = json_array();
    for (size_t i = 0; i < survey->bucket_count; i++) {
        const struct ow_claims_bucket *const one = &survey->buckets[i];
        json_array_append_new(
            list, json_pack("{s:I, s:s, s:I, s:I, s:o, s:I, s:I, s:s}", "bucket",
                            (json_int_t)one->bucket, "class", class_text(arena, one->class_ms),
                            "class_ms", (json_int_t)one->class_ms, "opened_at_ms",
                            (json_int_t)one->opened_at_ms, "sealed_at_ms",
                            whole(one->sealed_at_ms, one->sealed_at_ms != OW_CLAIMS_OPEN_MS),
                            "claims", (json_int_t)one->claims, "bytes", (json_int_t)one->bytes,
                            "state", state_of(one)));
    }
    return list;
}

static json_t *horizons_of(const struct ow_claims_survey *survey, int64_t skew_ms,
                           struct ow_arena *arena)
{
    json_t *const list = json_array();
    for (size_t i = 0; i < survey->class_count; i++) {
        const struct ow_claims_class *const one = &survey->classes[i];
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:o}", "class",
                            class_text(arena, one->class_ms), "class_ms", (json_int_t)one->class_ms,
                            "buckets", (json_int_t)one->buckets, "claims", (json_int_t)one->claims,
                            "claims_per_day", whole(one->claims_per_day, one->claims_per_day >= 0),
                            "kept_since_ms", whole(one->kept_since_ms, one->pruned), "horizon_ms",
                            whole(one->kept_since_ms + skew_ms, one->pruned && skew_ms >= 0)));
    }
    return list;
}

static void print_json(const struct ow_claims_survey *survey, int64_t skew_ms,
                       enum ow_output output, struct ow_arena *arena)
{
    OW_JSON *totals = json_pack(
        "{s:I, s:I, s:o, s:o, s:I, s:I, s:o, s:o, s:o}", "claims", (json_int_t)survey->claims,
        "bytes", (json_int_t)survey->bytes, "bytes_per_claim", real(bytes_per_claim(survey)),
        "claims_per_day", whole(survey->claims_per_day, survey->claims_per_day >= 0), "file_bytes",
        (json_int_t)survey->file_bytes, "free_bytes", (json_int_t)survey->free_bytes,
        "growth_bytes_per_day", whole(survey->growth_per_day, survey->growth_per_day >= 0),
        "days_until_full", real(days_until_full(survey)), "horizons",
        horizons_of(survey, skew_ms, arena));
    OW_JSON *buckets = buckets_of(survey, arena);
    if (output == OW_OUTPUT_JSONL) {
        (void)json_array_append(buckets, totals);
        ow_output_json(output, buckets);
    } else {
        OW_JSON *all = json_pack("{s:O}", "buckets", buckets);
        (void)json_object_update(all, totals);
        ow_output_json(output, all);
    }
}

int ow_claims_stats(const struct ow_claims_store *store, enum ow_output output,
                    struct ow_arena *arena)
{
    struct ow_err err;
    struct ow_claims_survey survey;
    struct ow_read_progress progress;
    ow_read_progress_init(&progress);
    const struct ow_claims_survey_options options = {.path = store->path,
                                                     .clock = ow_clock_system(),
                                                     .progress = ow_read_progress_show,
                                                     .context = &progress};
    const enum ow_status status = ow_claims_survey(&options, arena, &survey, &err);
    ow_read_progress_done(&progress);
    if (status != OW_OK) {
        return ow_command_fail(status, &err);
    }
    if (output == OW_OUTPUT_TABLE) {
        print_table(&survey, store->skew_ms, arena);
    } else {
        print_json(&survey, store->skew_ms, output, arena);
    }
    return 0;
}
