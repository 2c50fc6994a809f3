#include "calls.h"

#include "lock_file.h"
#include "scene.h"

/* Looks at a worker that waits for room, until it gets some. */
enum { RETRIES_SEEN = 5 };

static const struct kind {
    const char *name;
    enum ow_vfs_fault fault;
    unsigned ops;
    enum ow_figure figure;
} kinds[] = {
    {"open",            OW_VFS_ERROR, OW_VFS_OPEN,     OW_FIGURE_CALL_OPEN      },
    {"read",            OW_VFS_ERROR, OW_VFS_READ,     OW_FIGURE_CALL_READ      },
    {"write",           OW_VFS_ERROR, OW_VFS_WRITE,    OW_FIGURE_CALL_WRITE     },
    {"write, no space", OW_VFS_FULL,  OW_VFS_WRITE,    OW_FIGURE_CALL_WRITE_FULL},
    {"sync",            OW_VFS_ERROR, OW_VFS_SYNC,     OW_FIGURE_CALL_SYNC      },
    {"truncate",        OW_VFS_ERROR, OW_VFS_TRUNCATE, OW_FIGURE_CALL_TRUNCATE  },
    {"delete",          OW_VFS_ERROR, OW_VFS_DELETE,   OW_FIGURE_CALL_DELETE    },
    {"lock",            OW_VFS_ERROR, OW_VFS_LOCK,     OW_FIGURE_CALL_LOCK      },
    {"shared memory",   OW_VFS_ERROR, OW_VFS_SHM,      OW_FIGURE_CALL_SHM       },
    {"size and access", OW_VFS_ERROR, OW_VFS_LOOK,     OW_FIGURE_CALL_LOOK      },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* Steps that are worth it: the store is made; claims are sealed and looked up in filters; skipped
 * and rewound; pruned and seeded; erased. */
static const size_t steps[] = {0, 1, 3, 6, 9, 10};
enum { FIRST_PRUNING_STEP = 6 };

/* One fault. */
struct fault {
    const struct ow_scene *scene;
    const struct kind *kind;
    int at;
    bool for_ever;
    bool opened; /* the store was open, or is erased, when it struck */
    bool waited; /* the worker said that it waits for room */
    int looks;
};

/* Somebody makes room once the worker has waited for a while. */
static void look(struct ow_life *life)
{
    struct fault *fault = life->context;
    if (ow_worker_retrying_since_ns(life->worker) != 0) {
        fault->waited = true;
        if (++fault->looks == RETRIES_SEEN && fault->for_ever) {
            ow_vfs_arm(OW_VFS_NO_FAULT, 0, 0);
        }
    }
}

/* DESIGN 9: what could not be done ends with 75, for the next start finds out; what is full waits.
 */
static bool is_right(const struct fault *fault, enum ow_status status)
{
    const bool erasing = fault->scene->story.steps[fault->scene->step].kind == OW_STORY_ERASE;
    switch (status) {
    case OW_OK:
        return true;
    case OW_STORE_UNKNOWN:
        return fault->kind->fault == OW_VFS_ERROR;
    case OW_STORE_FULL:
        return fault->kind->fault == OW_VFS_FULL && !fault->waited;
    case OW_TEMPORARY:
        return fault->kind->fault == OW_VFS_ERROR && !fault->opened;
    case OW_FAILED: /* a file that cannot be opened; an erasure, which is done again by hand */
        return erasing || (!fault->opened && fault->kind->ops == OW_VFS_OPEN);
    case OW_BAD_CONFIG:
    case OW_DIFFERENT:
    case OW_UNSAFE:
    case OW_RECORD_REFUSED:
        break;
    }
    return false;
}

static void count_end(const struct fault *fault, enum ow_status status)
{
    struct ow_trial *trial = fault->scene->trial;
    ow_trial_count(trial, OW_FIGURE_CALLS);
    ow_trial_count(trial, fault->kind->figure);
    if (status == OW_OK) {
        ow_trial_count(trial, fault->waited ? OW_FIGURE_CALL_RESUMED : OW_FIGURE_CALL_ABSORBED);
    } else if (ow_status_exit_code(status) == 75) {
        ow_trial_count(trial, status == OW_STORE_UNKNOWN ? OW_FIGURE_CALL_UNKNOWN
                              : status == OW_STORE_FULL  ? OW_FIGURE_CALL_FULL
                                                         : OW_FIGURE_CALL_TEMPORARY);
    } else {
        ow_trial_count(trial, OW_FIGURE_CALL_FAILED);
    }
}

/* True where the fault struck. */
static bool try_fault(struct fault *fault)
{
    const struct ow_scene *scene = fault->scene;
    struct ow_trial *trial = scene->trial;
    struct ow_group group = scene->group;
    ow_trial_doing(trial, "--calls --seed %llu --step %zu --kind %d --at %d%s",
                   (unsigned long long)scene->story.seed, scene->step, (int)(fault->kind - kinds),
                   fault->at, fault->for_ever ? " --for-ever" : "");
    struct ow_life life = {.story = &scene->story,
                           .path = trial->path,
                           .group = &group,
                           .step = scene->step,
                           .cuts = scene->story.seed,
                           .polled = look,
                           .context = fault};
    if (fault->kind->fault == OW_VFS_FULL && scene->step < FIRST_PRUNING_STEP) {
        life.decode_threads = 1; /* without threads nobody waits */
    }
    ow_vfs_image_put(scene->disk);
    ow_life_start_host(scene->story.seed);
    ow_lock_file_write(trial->lock_path, false);
    if (fault->for_ever) {
        ow_vfs_arm_for_ever(fault->kind->fault, fault->kind->ops, fault->at);
    } else {
        ow_vfs_arm(fault->kind->fault, fault->kind->ops, fault->at);
    }
    const enum ow_status status = ow_life_do(&life);
    fault->opened = life.store != NULL;
    ow_life_close(&life);
    const bool struck = ow_vfs_struck() != NULL;
    ow_vfs_disarm();
    if (struck ? !is_right(fault, status) : status != OW_OK) {
        ow_trial_violation(trial, "%s fails, and the worker ends with: %s: %s", fault->kind->name,
                           ow_status_text(status), life.err.text);
    }
    if (struck) {
        count_end(fault, status);
        ow_scene_check_next_start(scene, &group, fault->kind->name);
    }
    return struck;
}

static bool is_wanted(int wanted, size_t value)
{
    return wanted < 0 || (size_t)wanted == value;
}

static void try_kind(const struct ow_scene *scene, const struct ow_calls_options *options,
                     const struct kind *kind, size_t jobs)
{
    for (int ever = 0; ever < 2; ever++) {
        struct fault fault = {.scene = scene, .kind = kind, .for_ever = ever == 1};
        if (options->at > 0) {
            fault.at = options->at;
            if (fault.for_ever == options->for_ever) {
                (void)try_fault(&fault);
            }
            continue;
        }
        bool struck = true;
        int at = 1 + (int)(options->seed % (uint64_t)options->stride) +
                 (int)scene->trial->job * options->stride; /* other seeds try other numbers */
        for (; struck && !scene->trial->shared->over; at += (int)jobs * options->stride) {
            fault = (struct fault){.scene = scene, .kind = kind, .for_ever = ever == 1, .at = at};
            struck = try_fault(&fault);
        }
    }
}

void ow_calls_work(struct ow_trial *trial, const struct ow_calls_options *options, size_t jobs)
{
    static struct ow_scene scene;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !trial->shared->over; i++) {
        if (!is_wanted(options->step, steps[i])) {
            continue;
        }
        ow_trial_doing(trial, "--calls --seed %llu --step %zu", (unsigned long long)options->seed,
                       steps[i]);
        const bool made = ow_scene_make(&scene, trial, options->seed, steps[i]);
        for (size_t kind = 0; made && kind < KINDS; kind++) {
            if (is_wanted(options->kind, kind)) {
                try_kind(&scene, options, &kinds[kind], jobs);
            }
        }
        ow_scene_done(&scene);
    }
}
