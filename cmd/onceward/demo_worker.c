#include "demo_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Between fork and exec, with threads of librdkafka in the parent: async-signal-safe calls only. */
_Noreturn static void become_worker(char *const *argv, int log_fd, pid_t parent)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0); /* ^C is for the demo, which tells the worker */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1); /* the demo died before that */
    }
    (void)dup2(log_fd, STDOUT_FILENO);
    (void)dup2(log_fd, STDERR_FILENO);
    (void)execv("/proc/self/exe", argv);
    _exit(127);
}

enum ow_status ow_demo_worker_start(struct ow_demo_worker *worker, struct ow_err *err)
{
    OW_REQUIRE(worker->pid == 0);
    const int fd = open(worker->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        return ow_fail(err, OW_FAILED, "cannot open '%s': %s", worker->log, strerrordesc_np(errno));
    }
    char name[] = "onceward";
    char command[] = "run";
    char option[] = "-c";
    char config[4096];
    (void)strncpy(config, worker->config, sizeof(config) - 1);
    config[sizeof(config) - 1] = '\0';
    char *argv[] = {name, command, option, config, NULL};
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
        become_worker(argv, fd, parent);
    }
    const int error = errno;
    (void)close(fd);
    if (pid < 0) {
        return ow_fail(err, OW_FAILED, "cannot start the worker: %s", strerrordesc_np(error));
    }
    worker->pid = pid;
    return OW_OK;
}

static int code_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void ow_demo_worker_kill(struct ow_demo_worker *worker)
{
    if (worker->pid != 0) {
        (void)kill(worker->pid, SIGKILL);
        (void)waitpid(worker->pid, NULL, 0);
        worker->pid = 0;
    }
}

bool ow_demo_worker_ended(struct ow_demo_worker *worker, int *ret_code)
{
    int status = 0;
    if (worker->pid == 0 || waitpid(worker->pid, &status, WNOHANG) != worker->pid) {
        return false;
    }
    worker->pid = 0;
    *ret_code = code_of(status);
    return true;
}

int ow_demo_worker_stop(struct ow_demo_worker *worker, int deadline_ms)
{
    OW_REQUIRE(worker->pid != 0);
    enum { STEP_MS = 10 };
    (void)kill(worker->pid, SIGTERM);
    sigset_t child;
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    for (int waited_ms = 0; waited_ms < deadline_ms; waited_ms += STEP_MS) {
        int code = 0;
        if (ow_demo_worker_ended(worker, &code)) {
            return code;
        }
        const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
        (void)sigtimedwait(&child, NULL, &step); /* blocked by the demo; else it is a mere wait */
    }
    ow_demo_worker_kill(worker);
    return 128 + SIGKILL;
}
