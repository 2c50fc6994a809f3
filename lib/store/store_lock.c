#include "base/parse.h"
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/*
 * The lock file holds one line, for people and for the next owner: "pid 4711 boot 5e0f… running".
 * The lock is an open file description's: it goes with the last descriptor, is not inherited
 * through exec, and unlike a process's POSIX lock it does not vanish because some library opened
 * and closed the same file. The file is never removed: whoever waits for it would hold a lock on a
 * file without a name.
 */

enum { LINE_BYTES = 160, PID_BYTES = 24 };

void ow_store_read_boot(char boot[OW_STORE_BOOT_BYTES])
{
    (void)snprintf(boot, OW_STORE_BOOT_BYTES, "unknown");
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    char text[OW_STORE_BOOT_BYTES] = "";
    const ssize_t len = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    if (len > 0) {
        text[strcspn(text, "\n")] = '\0';
        (void)snprintf(boot, OW_STORE_BOOT_BYTES, "%s", text);
    }
}

static void read_line(int fd, char line[LINE_BYTES])
{
    const ssize_t len = pread(fd, line, LINE_BYTES - 1, 0);
    line[len > 0 ? len : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
}

/* "4711" of "pid 4711 boot …"; "unknown" where the owner has not written its line yet. */
static void owner_of(const char *line, char pid[PID_BYTES])
{
    int64_t number = 0;
    const char *const digits = line + strlen("pid ");
    const bool good =
        strncmp(line, "pid ", strlen("pid ")) == 0 &&
        ow_parse_i64((struct ow_slice){(const uint8_t *)digits, strcspn(digits, " ")}, &number);
    (void)snprintf(pid, PID_BYTES, "%s", "unknown");
    if (good) {
        (void)snprintf(pid, PID_BYTES, "%" PRId64, number);
    }
}

/* Talk only: a line that cannot be written costs the next start an integrity check at most. */
static void write_line(int fd, const char *state)
{
    char boot[OW_STORE_BOOT_BYTES];
    ow_store_read_boot(boot);
    char line[LINE_BYTES];
    const int len =
        snprintf(line, sizeof(line), "pid %ld boot %s %s\n", (long)getpid(), boot, state);
    OW_ENSURE(len > 0 && len < LINE_BYTES);
    /* Written over and then cut, so that a full disk or a power cut never leaves an empty file,
     * which would look like a clean end. */
    if (pwrite(fd, line, (size_t)len, 0) == len && ftruncate(fd, len) == 0) {
        (void)fsync(fd);
    }
}

static enum ow_store_end judge_line(const char *line)
{
    char boot[OW_STORE_BOOT_BYTES];
    ow_store_read_boot(boot);
    const char *state = strrchr(line, ' ');
    if (state == NULL || strcmp(state, " closed") == 0) {
        return OW_STORE_END_CLOSED; /* or the first start */
    }
    if (strcmp(state, " running") == 0 && strstr(line, boot) != NULL) {
        return OW_STORE_END_KILLED; /* what it wrote is still in the kernel's hands: SQLite recovers
                                       that */
    }
    return OW_STORE_END_SUSPECT;
}

enum ow_status ow_store_lock(const char *path, struct ow_arena *arena, int *ret_fd,
                             enum ow_store_end *ret_last, struct ow_err *err)
{
    const char *lock_path = ow_arena_printf(arena, "%s.lock", path);
    const int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0) {
        return ow_fail(err, ow_store_path_status(errno), "cannot open lock file '%s': %s",
                       lock_path, strerrordesc_np(errno));
    }
    char line[LINE_BYTES];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        const int code = errno;
        read_line(fd, line);
        (void)close(fd);
        if (code == EAGAIN || code == EACCES) {
            char pid[PID_BYTES];
            owner_of(line, pid);
            return ow_fail(err, OW_TEMPORARY,
                           "the store '%s' is in use by another process (pid %s)", path, pid);
        }
        return ow_fail(err, ow_store_path_status(code), "cannot lock '%s': %s", lock_path,
                       strerrordesc_np(code));
    }
    read_line(fd, line);
    *ret_last = judge_line(line);
    /* A suspicion stays until it is cleared. */
    write_line(fd, *ret_last == OW_STORE_END_SUSPECT ? "suspect" : "running");
    *ret_fd = fd;
    return OW_OK;
}

void ow_store_lock_cleared(int fd)
{
    write_line(fd, "running");
}

void ow_store_unlock(int fd, enum ow_store_end end)
{
    if (fd < 0) {
        return;
    }
    switch (end) {
    case OW_STORE_END_CLOSED:
        write_line(fd, "closed");
        break;
    case OW_STORE_END_SUSPECT:
        write_line(fd, "suspect");
        break;
    case OW_STORE_END_KILLED: /* leave the line as it is */
        break;
    }
    (void)close(fd);
}
