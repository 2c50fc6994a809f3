#include "lock_file.h"

#include "base/contract.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void ow_lock_file_write(const char *path, bool rebooted)
{
    char boot[64] = "unknown";
    char line[128];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        const ssize_t got = read(fd, boot, sizeof(boot) - 1);
        boot[got > 0 ? got : 0] = '\0';
        boot[strcspn(boot, "\n")] = '\0';
        (void)close(fd);
    }
    const int len = snprintf(line, sizeof(line), "pid 1 boot %s running\n",
                             rebooted ? "00000000-of-another-start" : boot);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) {
        const ssize_t written = write(fd, line, (size_t)len);
        OW_INVARIANT(written == len);
        (void)close(fd);
    }
}
