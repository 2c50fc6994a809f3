#include "memory.h"

#include "alloc.h"
#include "disk.h"
#include "lock_file.h"
#include "scene.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_S = 60, SAID_BYTES = 4000 };

static const size_t steps[] = {0, 1, 3, 6, 9, 10};

/* What the process that fails leaves for the one that watches. */
struct left {
    const void *volatile caller; /* NULL: it did not strike */
    volatile int exit_code;
    bool opened; /* the store was open */
    struct ow_group group;
    struct ow_err err;
};

struct fault {
    const struct ow_scene *scene;
    struct left *left;
    int64_t at;
    bool for_ever;
};

/* The scene's file, for the system's own VFS. */
static void put_file(const struct ow_scene *scene)
{
    static const char *const others[] = {"-wal", "-shm", "-journal"};
    const char *path = scene->trial->path;
    ow_vfs_image_put(scene->disk);
    const struct ow_disk_inode *inode = ow_disk_find(path);
    FILE *file = fopen(path, "we");
    OW_INVARIANT(file != NULL);
    if (inode != NULL) {
        const size_t written = fwrite(inode->seen.ptr, 1, inode->seen.size, file);
        OW_INVARIANT(written == inode->seen.size);
    }
    const int closed = fclose(file);
    OW_INVARIANT(closed == 0);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        char name[128];
        (void)snprintf(name, sizeof(name), "%s%s", path, others[i]);
        (void)unlink(name);
    }
    ow_lock_file_write(scene->trial->lock_path, false);
}

/* What the process says before it dies is part of the promise. */
static void redirect_stderr(const struct ow_trial *trial)
{
    char name[128];
    (void)snprintf(name, sizeof(name), "%s.said", trial->path);
    const int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    OW_INVARIANT(fd >= 0);
    (void)dup2(fd, STDERR_FILENO);
}

static void read_said(const struct ow_trial *trial, char said[SAID_BYTES])
{
    char name[128];
    (void)snprintf(name, sizeof(name), "%s.said", trial->path);
    said[0] = '\0';
    FILE *file = fopen(name, "re");
    if (file != NULL) {
        said[fread(said, 1, SAID_BYTES - 1, file)] = '\0';
        (void)fclose(file);
    }
    said[strcspn(said, "\n")] = '\0';
}

/* A life as a process of its own. */
static _Noreturn void live(const struct fault *fault)
{
    const struct ow_scene *scene = fault->scene;
    struct left *left = fault->left;
    struct ow_life life = {.story = &scene->story,
                           .path = scene->trial->path,
                           .group = &left->group,
                           .step = scene->step,
                           .cuts = scene->story.seed};
    redirect_stderr(scene->trial);
    (void)alarm(PATIENCE_S);
    ow_life_start_host(scene->story.seed);
    ow_alloc_arm(fault->at, fault->for_ever, &left->caller);
    const enum ow_status status = ow_life_do(&life);
    left->opened = life.store != NULL;
    ow_life_close(&life);
    ow_alloc_disarm();
    left->err = life.err;
    left->exit_code = ow_status_exit_code(status);
    _exit(0);
}

static void count_caller(struct ow_trial *trial, const void *caller)
{
    Dl_info info = {0};
    const bool known = dladdr(caller, &info) != 0 && info.dli_fname != NULL;
    const char *name = known ? info.dli_fname : "";
    enum ow_figure figure = OW_FIGURE_ALLOCATION_OTHER;
    if (strstr(name, "libsqlite3") != NULL) {
        figure = OW_FIGURE_ALLOCATION_SQLITE;
    } else if (strstr(name, ".so") == NULL) {
        figure = OW_FIGURE_ALLOCATION_OURS;
    }
    ow_trial_count(trial, figure);
}

/* Which invariant is broken by it, where it does not say "out of memory". */
static bool says_why(struct ow_trial *trial, const char *said)
{
    if (strstr(said, "out of memory") != NULL) {
        return true;
    }
    ow_trial_count(trial, OW_FIGURE_ALLOCATION_ABORTED_MUTE);
    return strstr(said, "!= NULL") != NULL || strstr(said, "!= ((void *)0)") != NULL;
}

/* 75, for the next start finds out; 1 where there is no store yet; or it dies, and says of what. */
static void judge(const struct fault *fault, int status)
{
    struct ow_trial *trial = fault->scene->trial;
    const struct left *left = fault->left;
    if (WIFSIGNALED(status)) {
        char said[SAID_BYTES];
        read_said(trial, said);
        ow_trial_count(trial, OW_FIGURE_ALLOCATION_ABORTED);
        if (WTERMSIG(status) != SIGABRT || !says_why(trial, said)) {
            ow_trial_violation(trial, "it dies of signal %d, saying '%s'", WTERMSIG(status), said);
        }
        return;
    }
    OW_INVARIANT(WEXITSTATUS(status) == 0);
    if (left->exit_code == 0) {
        ow_trial_count(trial, OW_FIGURE_ALLOCATION_ABSORBED);
    } else if (left->exit_code == 75) {
        ow_trial_count(trial, OW_FIGURE_ALLOCATION_UNKNOWN);
    } else {
        ow_trial_count(trial, OW_FIGURE_ALLOCATION_FAILED);
        const bool erasing = fault->scene->story.steps[fault->scene->step].kind == OW_STORY_ERASE;
        if (left->exit_code != 1 || (left->opened && !erasing)) {
            ow_trial_violation(trial, "it ends with %d: %s", left->exit_code, left->err.text);
        }
    }
}

/* True where the fault struck. */
static bool try_fault(const struct fault *fault)
{
    struct ow_trial *trial = fault->scene->trial;
    struct left *left = fault->left;
    ow_trial_doing(trial, "--memory --seed %llu --step %zu --at %lld%s",
                   (unsigned long long)fault->scene->story.seed, fault->scene->step,
                   (long long)fault->at, fault->for_ever ? " --for-ever" : "");
    *left = (struct left){.group = fault->scene->group};
    put_file(fault->scene);
    (void)fflush(NULL);
    const pid_t pid = fork();
    OW_INVARIANT(pid >= 0);
    if (pid == 0) {
        live(fault);
    }
    int status = 0;
    const pid_t ended = waitpid(pid, &status, 0);
    OW_INVARIANT(ended == pid);
    if (left->caller == NULL) {
        if (!WIFEXITED(status) || left->exit_code != 0) {
            ow_trial_violation(trial, "without a fault it ends with %d: %s", left->exit_code,
                               left->err.text);
        }
        return false;
    }
    ow_trial_count(trial, OW_FIGURE_ALLOCATIONS);
    count_caller(trial, left->caller);
    judge(fault, status);
    ow_scene_check_next_start(fault->scene, &left->group, "out of memory");
    return true;
}

static void try_step(const struct ow_scene *scene, const struct ow_memory_options *options,
                     struct left *left, size_t jobs)
{
    for (int ever = 0; ever < 2; ever++) {
        struct fault fault = {.scene = scene, .left = left, .for_ever = ever == 1};
        if (options->at > 0) {
            fault.at = options->at;
            if (fault.for_ever == options->for_ever) {
                (void)try_fault(&fault);
            }
            continue;
        }
        bool struck = true;
        /* Other seeds try other numbers. */
        fault.at = 1 + (int64_t)(options->seed % (uint64_t)options->stride) +
                   (int64_t)scene->trial->job * options->stride;
        for (; struck && !scene->trial->shared->over; fault.at += (int64_t)jobs * options->stride) {
            struck = try_fault(&fault);
        }
    }
}

static void use_vfs(const char *name)
{
    const int code = sqlite3_vfs_register(sqlite3_vfs_find(name), 1);
    OW_INVARIANT(code == SQLITE_OK);
}

void ow_memory_work(struct ow_trial *trial, const struct ow_memory_options *options, size_t jobs)
{
    static struct ow_scene scene;
    struct left *left =
        mmap(NULL, sizeof(*left), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    OW_INVARIANT(left != MAP_FAILED);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !trial->shared->over; i++) {
        if (options->step >= 0 && (size_t)options->step != steps[i]) {
            continue;
        }
        ow_trial_doing(trial, "--memory --seed %llu --step %zu", (unsigned long long)options->seed,
                       steps[i]);
        use_vfs("simulation");
        const bool made = ow_scene_make(&scene, trial, options->seed, steps[i]);
        use_vfs("unix");
        if (made) {
            try_step(&scene, options, left, jobs);
        }
        ow_scene_done(&scene);
    }
    (void)munmap(left, sizeof(*left));
}
