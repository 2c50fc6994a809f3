#include "base/contract.h"
#include "clock.h"
#include "counters.h"
#include "run.h"

/*
 * What was pruned since the last look. The store says which buckets count no more; whether it was
 * their claims' time, and whether the horizon covers them and nothing that it must not, is judged
 * by the simulation's own knowledge of the clocks and of what was claimed when.
 */

enum { REFS_MAX = 4096 };

/* The retention classes of which something was pruned, in no order. */
static size_t read_classes(struct ow_sim_run *run, struct ow_model_class *list)
{
    sqlite3_stmt *statement = run->observer.pruned;
    size_t count = 0;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        OW_INVARIANT(count < OW_MODEL_CLASSES_MAX);
        list[count++] = (struct ow_model_class){.retention_ms = sqlite3_column_int64(statement, 0),
                                                .horizon_ms = sqlite3_column_int64(statement, 1),
                                                .below = sqlite3_column_int64(statement, 2)};
    }
    (void)sqlite3_reset(statement);
    return count;
}

static const struct ow_model_class *find(const struct ow_model_class *list, size_t count,
                                         int64_t retention_ms)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].retention_ms == retention_ms) {
            return &list[i];
        }
    }
    return NULL;
}

/* All that the worker looks up still. */
static void mark_kept(struct ow_sim_run *run, bool *kept)
{
    sqlite3_stmt *statement = run->observer.kept;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const int64_t ref = sqlite3_column_int64(statement, 0);
        OW_INVARIANT(ref > 0);
        OW_INVARIANT(ref < REFS_MAX);
        kept[ref] = true;
    }
    (void)sqlite3_reset(statement);
}

static bool is_past(const struct ow_sim_run *run, int64_t time_ms)
{
    return ow_sim_clock_window().high_ms >= time_ms && ow_observe_stream_passed(run, time_ms);
}

/* Whether the retention of one is over that was claimed behind it. */
static bool is_one_behind_over(const struct ow_sim_run *run, const struct ow_model_claim *claim)
{
    for (int source = 0; source < OW_MESSAGE_SOURCES; source++) {
        for (int id = 0; id < OW_MESSAGE_IDS; id++) {
            const struct ow_model_claim *other = &run->model.claims[source][id];
            if ((other->ref != 0 || other->pruned) && other->number > claim->number &&
                other->retention_ms == claim->retention_ms &&
                is_past(run, other->at.low_ms + other->retention_ms)) {
                return true;
            }
        }
    }
    return false;
}

/*
 * From when on its retention counts: when it was claimed. But a claim of a wall clock that was set
 * back since goes with those behind it, for else that of a wrong year would keep them until then.
 */
static int64_t claimed_ms_of(const struct ow_sim_run *run, const struct ow_model_claim *claim)
{
    const bool was_ahead = claim->least_ms < claim->at.low_ms &&
                           !is_past(run, claim->at.low_ms + claim->retention_ms) &&
                           is_one_behind_over(run, claim);
    ow_count_if(was_ahead, OW_SOMETIMES_PRUNED_AHEAD);
    return was_ahead ? claim->least_ms : claim->at.low_ms;
}

/* Both clocks must have passed the end of its retention, and the horizon must be behind it. */
static void check_gone(struct ow_sim_run *run, const struct ow_model_claim *claim,
                       int64_t claimed_ms, const struct ow_model_class *class)
{
    const long long ref = (long long)claim->ref;
    const int64_t end_ms = claimed_ms + claim->retention_ms;
    if (class == NULL) {
        ow_run_fail(run, "pruned", "claim %lld is gone, and its class has no horizon", ref);
    } else if (ow_sim_clock_window().high_ms < end_ms) {
        ow_run_fail(run, "pruned", "claim %lld is gone %lld ms before its time", ref,
                    (long long)(end_ms - ow_sim_clock_window().high_ms));
    } else if (!ow_observe_stream_passed(run, end_ms)) {
        ow_run_fail(run, "pruned", "claim %lld is gone before its time by the records", ref);
    } else if (class->horizon_ms < claimed_ms) {
        ow_run_fail(run, "horizon", "claim %lld of %lld is gone, and the horizon is %lld", ref,
                    (long long)claimed_ms, (long long)class->horizon_ms);
    }
}

/* How many are gone now. */
static int take_gone(struct ow_sim_run *run, const bool *kept, const struct ow_model_class *list,
                     size_t count)
{
    int gone = 0;
    for (int source = 0; source < OW_MESSAGE_SOURCES; source++) {
        for (int id = 0; id < OW_MESSAGE_IDS; id++) {
            struct ow_model_claim *claim = &run->model.claims[source][id];
            if (claim->ref == 0 || kept[claim->ref]) {
                continue;
            }
            const int64_t claimed_ms = claimed_ms_of(run, claim);
            check_gone(run, claim, claimed_ms, find(list, count, claim->retention_ms));
            ow_model_prune(&run->model, claim, claimed_ms);
            gone++;
        }
    }
    return gone;
}

/* When the first of its claims that are kept was claimed. */
static int64_t first_kept_ms(const struct ow_model *model, int64_t retention_ms)
{
    int64_t first_ms = INT64_MAX;
    for (int source = 0; source < OW_MESSAGE_SOURCES; source++) {
        for (int id = 0; id < OW_MESSAGE_IDS; id++) {
            const struct ow_model_claim *claim = &model->claims[source][id];
            if (claim->ref != 0 && claim->retention_ms == retention_ms &&
                claim->at.high_ms < first_ms) {
                first_ms = claim->at.high_ms;
            }
        }
    }
    return first_ms;
}

/* It never goes back, and forward no further than to a retention ago; nor behind what is kept, but
 * that only the first worker knows exactly. */
static void check_horizon(struct ow_sim_run *run, const struct ow_model_class *class)
{
    const struct ow_model_class *before =
        find(run->model.classes, run->model.class_count, class->retention_ms);
    const int64_t before_ms = before == NULL ? INT64_MIN : before->horizon_ms;
    const int64_t horizon_ms = class->horizon_ms;
    const long long minutes = (long long)(class->retention_ms / 60000);
    if (before != NULL && class->below <= before->below) {
        if (class->below != before->below || horizon_ms != before_ms) {
            ow_run_fail(run, "horizon", "that of %lld minutes moved, and nothing was pruned",
                        minutes);
        }
        return;
    }
    ow_count(OW_SOMETIMES_BUCKET_PRUNED);
    if (horizon_ms < before_ms) {
        ow_run_fail(run, "horizon", "that of %lld minutes went back from %lld to %lld", minutes,
                    (long long)before_ms, (long long)horizon_ms);
    } else if (horizon_ms > before_ms &&
               (ow_sim_clock_window().high_ms < horizon_ms + class->retention_ms ||
                !ow_observe_stream_passed(run, horizon_ms + class->retention_ms))) {
        ow_run_fail(run, "horizon",
                    "that of %lld minutes is %lld, %lld ms less than a retention ago", minutes,
                    (long long)horizon_ms,
                    (long long)(horizon_ms + class->retention_ms - ow_sim_clock_window().high_ms));
    } else if (horizon_ms > before_ms && run->result->restarts == 1 && !run->clock_set_back &&
               first_kept_ms(&run->model, class->retention_ms) < horizon_ms) {
        ow_run_fail(run, "horizon", "that of %lld minutes is %lld, behind what is kept", minutes,
                    (long long)horizon_ms);
    }
}

void ow_observe_claims(struct ow_sim_run *run)
{
    struct ow_model *model = &run->model;
    struct ow_model_class list[OW_MODEL_CLASSES_MAX];
    const size_t count = read_classes(run, list);
    bool changed = count != model->class_count;
    for (size_t i = 0; i < count; i++) {
        const struct ow_model_class *before =
            find(model->classes, model->class_count, list[i].retention_ms);
        changed = changed || before == NULL || memcmp(before, &list[i], sizeof(list[i])) != 0;
    }
    if (!changed || run->result->failed) {
        return;
    }
    static bool kept[REFS_MAX];
    memset(kept, 0, sizeof(kept));
    mark_kept(run, kept);
    const int gone = take_gone(run, kept, list, count);
    if (gone == 0 || count < model->class_count) {
        ow_run_fail(run, "horizon", "it was moved, and nothing was pruned");
    }
    ow_count_if(gone > 1, OW_SOMETIMES_PRUNED_TOGETHER);
    for (size_t i = 0; i < count; i++) {
        check_horizon(run, &list[i]);
    }
    memcpy(model->classes, list, sizeof(list));
    model->class_count = count;
    ow_run_trace(run, "pruned %d", gone);
}

bool ow_observe_is_doomed_left(struct ow_sim_run *run)
{
    sqlite3_stmt *statement = NULL;
    bool left = false;
    ow_vfs_set_quiet(true);
    if (run->observer.handle != NULL &&
        sqlite3_prepare_v2(run->observer.handle,
                           "SELECT 1 FROM ow_bucket b JOIN ow_meta m"
                           " ON m.key = 'pruned_below.' || b.class WHERE b.bucket < m.value",
                           -1, &statement, NULL) == SQLITE_OK) {
        left = sqlite3_step(statement) == SQLITE_ROW;
    }
    (void)sqlite3_finalize(statement);
    ow_vfs_set_quiet(false);
    return left;
}

bool ow_observe_is_expired(struct ow_sim_run *run, const struct ow_logged *logged)
{
    sqlite3_stmt *statement = run->observer.expired;
    const struct ow_log *log = &run->broker.logs[logged->log];
    (void)sqlite3_bind_text(statement, 1, log->topic, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(statement, 2, log->partition);
    (void)sqlite3_bind_int64(statement, 3, logged->record.offset);
    const bool expired = sqlite3_step(statement) == SQLITE_ROW;
    (void)sqlite3_reset(statement);
    return expired;
}
