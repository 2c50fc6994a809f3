#!/usr/bin/python3
"""Each COMMIT of the shipped worker waits for the disk: it syncs the WAL at least once for each batch that the store counts.

A power cut cannot be tried here, but what SQLite asks of the kernel can be seen: a library in front of libc counts.
Without these syncs (synchronous=NORMAL) a kill -9 loses nothing, so no other test would see that a power cut does.
"""

import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int count(int fd, const char *name)
{
    char link[64], path[4096];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    const ssize_t len = readlink(link, path, sizeof(path) - 1);
    if (len > 4 && memcmp(path + len - 4, "-wal", 4) == 0) {
        const int to = open(getenv("WAL_SYNCS"), O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (to < 0 || write(to, "s", 1) != 1) {
            abort();
        }
        close(to);
    }
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fsync(int fd) { return count(fd, "fsync"); }
int fdatasync(int fd) { return count(fd, "fdatasync"); }
"""


def main():
    with tempfile.TemporaryDirectory(prefix="onceward-synced-") as name:
        folder = pathlib.Path(name)
        (folder / "shim.c").write_text(SHIM)
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", "shim.so", "shim.c", "-ldl"], cwd=folder, check=True)
        environment = dict(os.environ, LD_PRELOAD=str(folder / "shim.so"), WAL_SYNCS=str(folder / "syncs"))
        command = [os.environ["ONCEWARD"], "demo", "--records", "4000", "--seconds", "5", "--kills", "0", "--keep", name]
        subprocess.run(command, env=environment, cwd=folder, check=True, stdin=subprocess.DEVNULL)
        with sqlite3.connect(f"file:{folder / 'orders.db'}?mode=ro", uri=True) as database:
            batches = int(database.execute("SELECT value FROM ow_meta WHERE key = 'batch'").fetchone()[0])
        syncs = (folder / "syncs").stat().st_size if (folder / "syncs").exists() else 0
    held = batches >= 10 and syncs >= batches
    print(f"{'ok    ' if held else 'FAILED'} {syncs} syncs of the WAL for {batches} batches (at least 10 make a test)")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
