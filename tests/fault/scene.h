/*
 * scene: a story told without a fault up to a step, closed there: what a fault is then tried on,
 * and what must be there in the end.
 *
 * Threads: one. Memory: until _done. Failure: violations.
 */
#ifndef OW_FAULT_SCENE_H
#define OW_FAULT_SCENE_H

#include "life.h"
#include "trial.h"

struct ow_scene {
    struct ow_trial *trial;
    struct ow_story story;
    size_t step;
    struct ow_group group;     /* when the step begins */
    struct ow_vfs_image *disk; /* likewise, all synced */
    char *end;                 /* what is there after it, SETTLED */
};

/* False: a violation was told. */
bool ow_scene_make(struct ow_scene *scene, struct ow_trial *trial, uint64_t seed, size_t step);
void ow_scene_done(struct ow_scene *scene);

/* After a fault: the file is sound, the next start does the step, and what is there then is what is
 * there without a fault. what: of whom it is told. */
void ow_scene_check_next_start(const struct ow_scene *scene, struct ow_group *group,
                               const char *what);

#endif
