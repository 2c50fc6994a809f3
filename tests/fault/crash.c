#include "crash.h"

#include "base/buffer.h"
#include "content.h"
#include "life.h"
#include "lock_file.h"

#include <stdlib.h>
#include <string.h>

enum { BOUNDARIES_MAX = 4000, SEEN_MAX = 256, TO_THE_END_EVERY = 16, DEPTH_MAX = 3 };

/* The moment before a sync. */
struct boundary {
    struct ow_vfs_image *image;
    struct ow_group group;
    size_t step;
    enum ow_vfs_file file;
    bool opening; /* the store was not open yet */
    char *before; /* what readers see, EXACT; nothing is in work where they must wait */
};

/* A story as it goes without a crash. */
struct record {
    struct ow_trial *trial;
    const struct ow_crash_options *options;
    struct ow_story story;
    struct ow_life life;
    struct ow_group group;
    struct boundary *list;
    size_t count;
    char *ends[OW_STORY_STEPS]; /* what is there after each step, SETTLED */
    bool bad;
};

/* A point: a boundary, and how the disk comes through it. */
struct point {
    const struct boundary *boundary;
    size_t number;
    enum ow_vfs_loss loss;
    int draw;
};

static char *keep(struct ow_buffer *buffer)
{
    char *text = strdup(ow_buffer_cstr(buffer));
    OW_INVARIANT(text != NULL);
    ow_buffer_clear(buffer);
    return text;
}

/* What readers see now, while the worker is at work; NULL: they must wait. */
static char *read_quietly(struct record *record, enum ow_content_kind kind)
{
    OW_BUFFER text = {0};
    ow_vfs_set_quiet(true);
    const enum ow_content_found found = ow_content_read(record->trial->path, kind, &text);
    ow_vfs_set_quiet(false);
    if (found == OW_CONTENT_BAD) {
        record->bad = true;
        ow_trial_violation(record->trial, "a reader fails: %s", ow_buffer_cstr(&text));
    }
    return found == OW_CONTENT_BUSY ? NULL : keep(&text);
}

static void note_boundary(enum ow_vfs_file file, void *context)
{
    struct record *record = context;
    OW_INVARIANT(record->count < BOUNDARIES_MAX);
    record->list[record->count++] =
        (struct boundary){.image = ow_vfs_image_take(),
                          .group = record->group,
                          .step = record->life.step,
                          .file = file,
                          .opening = record->life.store == NULL,
                          .before = read_quietly(record, OW_CONTENT_EXACT)};
}

static void count_outcomes(struct record *record)
{
    const struct ow_worker *worker = record->life.worker;
    if (worker == NULL) {
        return;
    }
    const struct ow_totals totals = ow_worker_totals(record->life.worker);
    for (size_t i = 0; i < OW_OUTCOME_COUNT; i++) {
        record->trial->shared->outcomes[i] += (uint64_t)totals.counts[i];
    }
}

/* Tells the story once, and notes each boundary. */
static void tell(struct record *record)
{
    struct ow_life *life = &record->life;
    *life = (struct ow_life){.story = &record->story,
                             .path = record->trial->path,
                             .group = &record->group,
                             .cuts = record->story.seed};
    ow_group_init(&record->group);
    ow_vfs_reset(record->story.seed);
    ow_life_start_host(record->story.seed);
    ow_lock_file_write(record->trial->lock_path, false);
    ow_vfs_watch_syncs(note_boundary, record);
    for (; life->step < OW_STORY_STEPS && !record->bad; life->step++) {
        ow_life_prepare(&record->story, life->step, &record->group);
        if (ow_life_do(life) != OW_OK) {
            record->bad = true;
            ow_trial_violation(record->trial, "step '%s' without a fault: %s",
                               record->story.steps[life->step].name, life->err.text);
        }
        count_outcomes(record);
        record->ends[life->step] = read_quietly(record, OW_CONTENT_SETTLED);
    }
    life->step = OW_STORY_STEPS - 1;
    ow_life_close(life);
    ow_vfs_watch_syncs(NULL, NULL);
    OW_BUFFER wrong = {0};
    if (!record->bad && !ow_content_verify(record->trial->path, &wrong)) {
        record->bad = true;
        ow_trial_violation(record->trial, "without a fault: %s", ow_buffer_cstr(&wrong));
    }
}

/* Puts the disk where the point leaves it. */
static void cut_power(const struct record *record, const struct point *point)
{
    ow_vfs_image_put(point->boundary->image);
    (void)ow_vfs_crash(point->loss, record->story.seed ^ ((uint64_t)point->draw << 32) ^
                                        (uint64_t)point->number);
    ow_vfs_revive();
}

/* All that was durable, and of what was in work all or nothing. */
static bool check_left(struct record *record, const struct point *point)
{
    OW_BUFFER got = {0};
    if (ow_content_check(record->trial->path, &got) != OW_CONTENT_READ) {
        ow_trial_violation(record->trial, "after the crash: %s", ow_buffer_cstr(&got));
        return false;
    }
    const struct boundary *next = point->boundary + 1;
    const char *text = ow_buffer_cstr(&got);
    const bool gone = strcmp(text, point->boundary->before) == 0;
    const bool there = strcmp(text, next->before) == 0;
    if (!gone && (!there || point->loss == OW_VFS_LOSE_ALL)) {
        OW_BUFFER difference = {0};
        ow_content_difference(there ? point->boundary->before : next->before, text, &difference);
        ow_trial_violation(record->trial, "after the crash: what is left was never committed: %s",
                           ow_buffer_cstr(&difference));
        return false;
    }
    if (strcmp(point->boundary->before, next->before) != 0) {
        ow_trial_count(record->trial, gone ? OW_FIGURE_COMMIT_GONE : OW_FIGURE_COMMIT_THERE);
    }
    return true;
}

/* A crash of what follows a crash: before its n-th sync. */
struct again {
    struct record *record;
    int left;
    char *before;
};

static void strike_again(enum ow_vfs_file file, void *context)
{
    (void)file;
    struct again *again = context;
    if (--again->left == 0) {
        again->before = read_quietly(again->record, OW_CONTENT_EXACT);
        ow_vfs_die();
    }
}

/* What a second crash leaves: sound, and nothing durable lost: epoch and batch do not go back. */
static bool check_left_again(struct record *record, const char *before)
{
    OW_BUFFER got = {0};
    if (ow_content_check(record->trial->path, &got) != OW_CONTENT_READ) {
        ow_trial_violation(record->trial, "after another crash: %s", ow_buffer_cstr(&got));
        return false;
    }
    static const char *const counters[] = {"ow_meta 'batch' ", "ow_meta 'epoch' ",
                                           "ow_meta 'next_ref' "};
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        const char *was = before == NULL ? NULL : strstr(before, counters[i]);
        const char *is = strstr(ow_buffer_cstr(&got), counters[i]);
        const size_t len = strlen(counters[i]);
        if (was != NULL &&
            (is == NULL || strtoll(is + len, NULL, 10) < strtoll(was + len, NULL, 10))) {
            ow_trial_violation(record->trial, "after another crash: %s has gone back", counters[i]);
            return false;
        }
    }
    return true;
}

static bool compare(struct record *record, size_t step)
{
    char *got = read_quietly(record, OW_CONTENT_SETTLED);
    const bool same = strcmp(got, record->ends[step]) == 0;
    if (!same) {
        OW_BUFFER difference = {0};
        ow_content_difference(record->ends[step], got, &difference);
        ow_trial_violation(record->trial, "after step '%s' there is another content: %s",
                           record->story.steps[step].name, ow_buffer_cstr(&difference));
    }
    free(got);
    return same;
}

/* Goes on from the step in work to the end of a step; false: the host died, or a violation. */
static bool go_on(struct record *record, struct ow_life *life, size_t until)
{
    for (;; life->step++) {
        const enum ow_status status = ow_life_do(life);
        if (ow_vfs_is_dead()) {
            return false;
        }
        if (status != OW_OK) {
            ow_trial_violation(record->trial, "step '%s' after a crash: %s: %s",
                               record->story.steps[life->step].name, ow_status_text(status),
                               life->err.text);
            record->bad = true;
            return false;
        }
        if (!compare(record, life->step)) {
            record->bad = true;
            return false;
        }
        if (life->step == until) {
            return true;
        }
        ow_life_prepare(&record->story, life->step + 1, life->group);
    }
}

/* The worker starts on what is left, and dies again, and starts. */
static void recover(struct record *record, const struct point *point, struct ow_random *random)
{
    struct ow_group group = point->boundary->group;
    struct ow_life life = {.story = &record->story,
                           .path = record->trial->path,
                           .group = &group,
                           .step = point->boundary->step,
                           .cuts = ow_random_next(random)};
    const bool to_the_end = ow_random_below(random, TO_THE_END_EVERY) == 0;
    const size_t until = to_the_end ? OW_STORY_STEPS - 1 : life.step;
    enum ow_vfs_loss loss = point->loss;
    bool done = false;
    record->bad = false;
    for (int depth = 1; !done && !record->bad; depth++) {
        struct again again = {.record = record};
        const bool dies = depth < DEPTH_MAX && ow_random_percent(random, 50);
        again.left = dies ? 1 + ow_random_below(random, 12) : 0;
        ow_life_start_host(ow_random_next(random));
        ow_lock_file_write(record->trial->lock_path, loss != OW_VFS_LOSE_NOTHING);
        ow_vfs_watch_syncs(dies ? strike_again : NULL, &again);
        done = go_on(record, &life, until);
        ow_life_close(&life);
        ow_vfs_watch_syncs(NULL, NULL);
        if (!record->bad && ow_vfs_is_dead()) {
            loss = (enum ow_vfs_loss)ow_random_below(random, OW_VFS_LOSE_TAIL + 1);
            (void)ow_vfs_crash(loss, ow_random_next(random));
            ow_vfs_revive();
            ow_trial_count(record->trial, OW_FIGURE_POINTS);
            ow_trial_count(record->trial, OW_FIGURE_IN_RECOVERY);
            record->bad = !check_left_again(record, again.before);
        }
        free(again.before);
    }
    OW_BUFFER wrong = {0};
    if (!record->bad && !ow_content_verify(record->trial->path, &wrong)) {
        ow_trial_violation(record->trial, "%s", ow_buffer_cstr(&wrong));
    }
    if (to_the_end && !record->bad) {
        ow_trial_count(record->trial, OW_FIGURE_TO_THE_END);
    }
    record->bad = false;
}

static void count_point(struct record *record, const struct point *point)
{
    static const enum ow_figure losses[] = {
        [OW_VFS_LOSE_NOTHING] = OW_FIGURE_KILLED,       [OW_VFS_LOSE_ALL] = OW_FIGURE_LOST_ALL,
        [OW_VFS_LOSE_SOME] = OW_FIGURE_LOST_SOME,       [OW_VFS_LOSE_TORN] = OW_FIGURE_LOST_TORN,
        [OW_VFS_LOSE_GARBLED] = OW_FIGURE_LOST_GARBLED, [OW_VFS_LOSE_TAIL] = OW_FIGURE_LOST_TAIL};
    static const enum ow_figure files[] = {[OW_VFS_DATABASE] = OW_FIGURE_IN_DATABASE,
                                           [OW_VFS_WAL] = OW_FIGURE_IN_WAL,
                                           [OW_VFS_JOURNAL] = OW_FIGURE_IN_JOURNAL};
    const struct boundary *boundary = point->boundary;
    const struct ow_story_step *step = &record->story.steps[boundary->step];
    ow_trial_count(record->trial, OW_FIGURE_POINTS);
    ow_trial_count(record->trial, losses[point->loss]);
    OW_INVARIANT(boundary->file < OW_VFS_OTHER);
    ow_trial_count(record->trial, files[boundary->file]);
    if (step->kind == OW_STORY_ERASE) {
        ow_trial_count(record->trial, OW_FIGURE_IN_ERASURE);
    } else if (boundary->opening) {
        ow_trial_count(record->trial, OW_FIGURE_IN_OPENING);
    }
    if (step->kind == OW_STORY_SEED) {
        ow_trial_count(record->trial, OW_FIGURE_IN_SEEDING);
    }
    if (strncmp(step->name, "pruned", 6) == 0) {
        ow_trial_count(record->trial, OW_FIGURE_IN_PRUNING);
    }
}

static void try_point(struct record *record, const struct point *point)
{
    ow_trial_doing(record->trial, "--crash --seed %llu --boundary %zu --loss %d --draw %d",
                   (unsigned long long)record->story.seed, point->number, (int)point->loss,
                   point->draw);
    count_point(record, point);
    if (check_left(record, point)) {
        cut_power(record, point); /* the look may have mended something */
        struct ow_random random =
            ow_random_stream(record->story.seed ^ (uint64_t)point->number << 20,
                             (uint64_t)point->loss * 1000 + (uint64_t)point->draw);
        recover(record, point, &random);
    }
}

/* Whether the disk is as another point of this boundary has left it. */
static bool is_known(uint64_t seen[SEEN_MAX], size_t *count)
{
    const uint64_t hash = ow_vfs_hash();
    for (size_t i = 0; i < *count; i++) {
        if (seen[i] == hash) {
            return true;
        }
    }
    OW_INVARIANT(*count < SEEN_MAX);
    seen[(*count)++] = hash;
    return false;
}

static bool is_wanted(int64_t wanted, int64_t value)
{
    return wanted < 0 || wanted == value;
}

static void try_boundary(struct record *record, size_t number)
{
    const struct ow_crash_options *options = record->options;
    struct point point = {.boundary = &record->list[number], .number = number};
    uint64_t seen[SEEN_MAX];
    size_t seen_count = 0;
    for (int loss = 0; loss <= OW_VFS_LOSE_TAIL; loss++) {
        const bool drawn = loss != OW_VFS_LOSE_NOTHING && loss != OW_VFS_LOSE_ALL;
        for (point.draw = 0; point.draw < (drawn ? options->draws : 1); point.draw++) {
            point.loss = (enum ow_vfs_loss)loss;
            if (!is_wanted(options->loss, loss) || !is_wanted(options->draw, point.draw)) {
                continue;
            }
            cut_power(record, &point);
            /* Killed and cut off are two things, even where nothing was lost. */
            if (loss != OW_VFS_LOSE_NOTHING && is_known(seen, &seen_count)) {
                ow_trial_count(record->trial, OW_FIGURE_SAME);
            } else {
                try_point(record, &point);
            }
        }
    }
}

static void try_story(struct ow_trial *trial, const struct ow_crash_options *options, uint64_t seed)
{
    static struct record record;
    memset(&record, 0, sizeof(record));
    record.trial = trial;
    record.options = options;
    record.list = calloc(BOUNDARIES_MAX + 1, sizeof(*record.list));
    OW_INVARIANT(record.list != NULL);
    ow_trial_doing(trial, "--crash --seed %llu", (unsigned long long)seed);
    ow_story_make(&record.story, seed);
    tell(&record);
    ow_trial_count(trial, OW_FIGURE_STORIES);
    record.list[record.count].before = read_quietly(&record, OW_CONTENT_EXACT); /* at last */
    for (size_t i = record.count; i > 0; i--) {
        if (record.list[i - 1].before == NULL && record.list[i].before != NULL) {
            record.list[i - 1].before = strdup(record.list[i].before);
        }
    }
    for (size_t i = 0; i < record.count && !record.bad && !trial->shared->over; i++) {
        if (is_wanted(options->boundary, (int64_t)i)) {
            ow_trial_count(trial, OW_FIGURE_BOUNDARIES);
            try_boundary(&record, i);
        }
    }
    for (size_t i = 0; i <= record.count; i++) {
        ow_vfs_image_free(record.list[i].image);
        free(record.list[i].before);
    }
    for (size_t i = 0; i < OW_STORY_STEPS; i++) {
        free(record.ends[i]);
    }
    free(record.list);
    ow_story_done(&record.story);
}

void ow_crash_work(struct ow_trial *trial, const struct ow_crash_options *options)
{
    const bool one = options->boundary >= 0;
    while (!trial->shared->over) {
        try_story(trial, options, one ? options->seed : trial->shared->next++);
        if (one || trial->shared->figures[OW_FIGURE_POINTS] >= options->points) {
            trial->shared->over = true;
        }
    }
}
