#include "trial.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VIOLATIONS_MAX = 10 };

static const struct {
    enum ow_deed deed;
    const char *text;
} figures[] = {
#define OW_FIGURE_ROW(name, deed, text) [OW_FIGURE_##name] = {OW_DEED_##deed, text},
    OW_FIGURE_TABLE(OW_FIGURE_ROW)
#undef OW_FIGURE_ROW
};

const char *ow_figure_text(enum ow_figure figure)
{
    return figures[figure].text;
}

enum ow_deed ow_figure_deed(enum ow_figure figure)
{
    return figures[figure].deed;
}

void ow_trial_count(struct ow_trial *trial, enum ow_figure figure)
{
    trial->shared->figures[figure]++;
}

void ow_trial_doing(struct ow_trial *trial, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(trial->doing, sizeof(trial->doing), format, arguments);
    va_end(arguments);
    memcpy(trial->shared->doing[trial->job], trial->doing, sizeof(trial->doing));
}

void ow_trial_violation(struct ow_trial *trial, const char *format, ...)
{
    char text[1200];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    (void)printf("VIOLATION: %s\n  again: fault %s\n", text, trial->doing);
    (void)fflush(stdout);
    ow_trial_count(trial, OW_FIGURE_VIOLATIONS);
    if (trial->shared->figures[OW_FIGURE_VIOLATIONS] >= VIOLATIONS_MAX) {
        trial->shared->over = true;
    }
}

static void set_paths(struct ow_trial *trial, pid_t pid)
{
    (void)snprintf(trial->folder, sizeof(trial->folder), "/dev/shm/onceward-fault-%ld", (long)pid);
    (void)snprintf(trial->path, sizeof(trial->path), "%s/s.db", trial->folder);
    (void)snprintf(trial->lock_path, sizeof(trial->lock_path), "%s/s.db.lock", trial->folder);
}

void ow_trial_make_folder(struct ow_trial *trial)
{
    set_paths(trial, getpid());
    const int made = mkdir(trial->folder, 0700);
    OW_INVARIANT(made == 0);
    FILE *file = fopen(trial->path, "we");
    OW_INVARIANT(file != NULL);
    (void)fclose(file);
}

void ow_trial_remove_folder(const struct ow_trial *trial)
{
    DIR *folder = opendir(trial->folder);
    if (folder == NULL) {
        return;
    }
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        (void)unlinkat(dirfd(folder), entry->d_name, 0); /* not "." and ".." */
    }
    (void)closedir(folder);
    (void)rmdir(trial->folder);
}

struct ow_trial_shared *ow_trial_share(void)
{
    struct ow_trial_shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    OW_INVARIANT(shared != MAP_FAILED);
    return shared;
}

static pid_t begin(struct ow_trial_shared *shared, size_t job, void (*work)(struct ow_trial *trial))
{
    (void)fflush(NULL);
    const pid_t pid = fork();
    OW_INVARIANT(pid >= 0);
    if (pid == 0) {
        struct ow_trial trial = {.shared = shared, .job = job};
        ow_trial_make_folder(&trial);
        work(&trial);
        ow_trial_remove_folder(&trial);
        (void)fflush(NULL);
        _exit(0);
    }
    return pid;
}

static void note_death(struct ow_trial_shared *shared, size_t job, int status)
{
    struct ow_trial trial = {.shared = shared, .job = job};
    memcpy(trial.doing, shared->doing[job], sizeof(trial.doing));
    ow_trial_violation(&trial, "the process ended by signal %d, exit code %d",
                       WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                       WIFEXITED(status) ? WEXITSTATUS(status) : 0);
}

void ow_trial_jobs(struct ow_trial_shared *shared, size_t jobs,
                   void (*work)(struct ow_trial *trial))
{
    pid_t pids[OW_TRIAL_JOBS_MAX];
    for (size_t i = 0; i < jobs; i++) {
        pids[i] = begin(shared, i, work);
    }
    for (size_t left = jobs; left > 0;) {
        int status = 0;
        const pid_t pid = wait(&status);
        OW_INVARIANT(pid > 0);
        struct ow_trial trial = {.shared = shared};
        set_paths(&trial, pid);
        ow_trial_remove_folder(&trial);
        for (size_t i = 0; i < jobs; i++) {
            if (pids[i] != pid) {
                continue;
            }
            if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                left--;
            } else {
                note_death(shared, i, status);
                pids[i] = begin(shared, i, work);
            }
        }
    }
}
