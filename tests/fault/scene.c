#include "scene.h"

#include "content.h"
#include "lock_file.h"

#include <stdlib.h>
#include <string.h>

static char *read_settled(struct ow_trial *trial)
{
    OW_BUFFER text = {0};
    const enum ow_content_found found = ow_content_read(trial->path, OW_CONTENT_SETTLED, &text);
    if (found != OW_CONTENT_READ) {
        ow_trial_violation(trial, "it cannot be read: %s", ow_buffer_cstr(&text));
        return NULL;
    }
    char *copy = strdup(ow_buffer_cstr(&text));
    OW_INVARIANT(copy != NULL);
    return copy;
}

static bool tell(struct ow_scene *scene, struct ow_life *life)
{
    ow_life_prepare(&scene->story, life->step, life->group);
    if (life->step == scene->step) {
        ow_life_close(life);
        scene->group = *life->group;
        scene->disk = ow_vfs_image_take();
    }
    const enum ow_status status = ow_life_do(life);
    if (status != OW_OK) {
        ow_trial_violation(scene->trial, "step '%s' without a fault: %s",
                           scene->story.steps[life->step].name, life->err.text);
    }
    return status == OW_OK;
}

bool ow_scene_make(struct ow_scene *scene, struct ow_trial *trial, uint64_t seed, size_t step)
{
    struct ow_group group;
    memset(scene, 0, sizeof(*scene));
    scene->trial = trial;
    scene->step = step;
    ow_story_make(&scene->story, seed);
    struct ow_life life = {
        .story = &scene->story, .path = trial->path, .group = &group, .cuts = seed};
    ow_group_init(&group);
    ow_vfs_reset(seed);
    ow_life_start_host(seed);
    ow_lock_file_write(trial->lock_path, false);
    bool good = true;
    for (; good && life.step <= step; life.step++) {
        good = tell(scene, &life);
    }
    ow_life_close(&life);
    scene->end = good ? read_settled(trial) : NULL;
    return scene->end != NULL;
}

void ow_scene_done(struct ow_scene *scene)
{
    free(scene->end);
    ow_vfs_image_free(scene->disk);
    ow_story_done(&scene->story);
}

void ow_scene_check_next_start(const struct ow_scene *scene, struct ow_group *group,
                               const char *what)
{
    struct ow_trial *trial = scene->trial;
    OW_BUFFER wrong = {0};
    if (ow_content_check(trial->path, &wrong) != OW_CONTENT_READ) {
        ow_trial_violation(trial, "%s: %s", what, ow_buffer_cstr(&wrong));
        return;
    }
    struct ow_life life = {.story = &scene->story,
                           .path = trial->path,
                           .group = group,
                           .step = scene->step,
                           .cuts = scene->story.seed + 1};
    ow_life_start_host(scene->story.seed + 1);
    const enum ow_status status = ow_life_do(&life);
    ow_life_close(&life);
    if (status != OW_OK) {
        ow_trial_violation(trial, "%s: the next start ends with: %s: %s", what,
                           ow_status_text(status), life.err.text);
        return;
    }
    ow_buffer_clear(&wrong);
    char *got = read_settled(trial);
    if (got != NULL && strcmp(got, scene->end) != 0) {
        ow_content_difference(scene->end, got, &wrong);
        ow_trial_violation(trial, "%s: the next start comes to another end: %s", what,
                           ow_buffer_cstr(&wrong));
    } else if (got != NULL && !ow_content_verify(trial->path, &wrong)) {
        ow_trial_violation(trial, "%s: after the next start %s", what, ow_buffer_cstr(&wrong));
    }
    free(got);
}
