#!/usr/bin/python3
"""Who owns a store: a second `run` is refused at once, `run --standby` waits for the lock and for nothing else, and who hangs at its start
owns it no longer than the watchdog allows. No broker is needed for that: a worker whose broker is away owns its store all the same.

    tests/cli/test_standby.py
"""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ONCEWARD", str(ROOT / "build/release/onceward"))
O_CLOEXEC = 0o2000000
F_OFD_SETLK = 37                                                # which Python 3.11 has no name for
WATCHDOG_S = 10
failed = 0

# While the file exists that it is told, a write to the disk does not end.
STUCK_C = """
#include <stdlib.h>
#include <unistd.h>
static int stuck(void) { while (access(getenv("STUCK"), F_OK) == 0) { usleep(10000); } return 0; }
int fsync(int fd) { (void)fd; return stuck(); }
int fdatasync(int fd) { (void)fd; return stuck(); }
"""


def must(name, condition, told):
    global failed
    if not condition:
        failed += 1
        print(f"FAILED {name}: {told}")


class Worker:
    """One `run` on the store of a folder."""

    def __init__(self, folder, name, *arguments, config="run.yaml", environment=None):
        self.err = folder / (name + ".err")
        with open(self.err, "wb") as err:
            self.begin = time.monotonic()
            self.process = subprocess.Popen([BINARY, "run", "-c", str(folder / config), *arguments], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=err, cwd=folder, env={**os.environ, **(environment or {})})
        self.pid = self.process.pid

    def said(self):
        return self.err.read_text("utf-8", "replace")

    def says(self, text, seconds=20):
        """When that text was first seen; None where it was not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if text in self.said():
                return time.monotonic()
            if self.process.poll() is not None and text not in self.said():
                return None
            time.sleep(0.005)
        return None

    def ends(self, seconds=20):
        """Its exit code; None where it does not end."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def signal(self, number):
        self.process.send_signal(number)
        return time.monotonic()


def write(folder, name, machine=None, watchdog="5m", **properties):
    (folder / name).write_text(json.dumps({
        "store": {"path": str(folder / "orders.db")},
        "kafka": {"group": "g", "properties": {"bootstrap.servers": "127.0.0.1:1", **properties}},
        "limits": {"watchdog": watchdog}, "machines": [str(machine or ROOT / "schemas/orders.yaml")]}), "utf-8")


def opened(pid):
    """What a process has open: the name, and the flags of open."""
    result = {}
    for each in os.listdir(f"/proc/{pid}/fd"):
        flags = int(re.search(r"^flags:\s+(\d+)", pathlib.Path(f"/proc/{pid}/fdinfo/{each}").read_text(), re.M).group(1), 8)
        result[os.readlink(f"/proc/{pid}/fd/{each}")] = flags
    return result


def is_open(path, seconds=20):
    """Whether a worker has come to own the store: with the broker away it says so only when it has given up asking for topics."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
                if db.execute("SELECT value FROM ow_meta WHERE key = 'epoch' AND value > 0").fetchone():
                    return True
        except sqlite3.OperationalError:                        # being made
            pass
        time.sleep(0.02)
    return False


def second_is_refused(folder, owner):
    begin = time.monotonic()
    second = Worker(folder, "second")
    must("a second one", second.ends() == 75 and f"in use by another process (pid {owner.pid})" in second.said(), second.said())
    must("a second one, at once", time.monotonic() - begin < 2, time.monotonic() - begin)
    flags = [flags for name, flags in opened(owner.pid).items() if name.endswith("/orders.db.lock")]
    must("the lock is closed on exec", flags and flags[0] & O_CLOEXEC, opened(owner.pid))


def waits_quietly(folder, owner):
    standby = Worker(folder, "quiet", "--standby")
    must("a standby says whom it waits for", standby.says(f"pid {owner.pid}"), standby.said())
    sockets = [name for name in opened(standby.pid) if name.startswith("socket:")]
    threads = len(os.listdir(f"/proc/{standby.pid}/task"))
    # It has a watchdog, for it may hang in the opening of what it takes over.
    must("a standby asks nobody", not sockets and threads == 2, (sockets, threads))
    begin = standby.signal(signal.SIGTERM)
    must("a standby stops", standby.ends() == 0, standby.said())
    must("a standby stops at once", time.monotonic() - begin < 1, time.monotonic() - begin)


def is_checked_first(folder):
    """What would keep it from starting ends it now."""
    bad = Worker(folder, "property", "--standby", "--set", "kafka.properties.no.such.property=1")
    must("a wrong property", bad.ends() == 2 and "no.such.property" in bad.said(), bad.said())
    text = (ROOT / "schemas/orders.yaml").read_text("utf-8")
    (folder / "changed.yaml").write_text(text.replace("deadline: 72h", "deadline: 71h"), "utf-8")
    must("the machine can be changed", (folder / "changed.yaml").read_text("utf-8") != text, text)
    write(folder, "changed-run.yaml", machine=folder / "changed.yaml")
    bad = Worker(folder, "changed", "--standby", config="changed-run.yaml")
    must("a changed machine", bad.ends() == 4 and "raise it" in bad.said(), bad.said())


@contextlib.contextmanager
def locked(folder):
    """The locks of an owner that ends: its own, and inside it SQLite's while the last checkpoint takes its time."""
    lock = os.open(folder / "orders.db.lock", os.O_RDWR | os.O_CLOEXEC)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            fcntl.fcntl(lock, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
            break
        time.sleep(0.01)
    db = sqlite3.connect(folder / "orders.db", isolation_level=None)
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("BEGIN EXCLUSIVE")
    try:
        yield db
    finally:
        db.close()
        os.close(lock)


def waits_for_a_checkpoint(folder):
    """SQLite's own lock is no reason to give up: what is to be checked is checked once it is free."""
    with locked(folder) as db:
        good = Worker(folder, "patient", "--standby")
        bad = Worker(folder, "patient-changed", "--standby", config="changed-run.yaml")
        for each in (good, bad):
            must("it waits", each.says("event=standby ") and each.says("event=standby_unchecked"), each.said())
            must("a lock within SQLite is waited for", each.process.poll() is None, each.said())
        db.close()
        must("it is checked after all", bad.ends() == 4 and "raise it" in bad.said(), bad.said())
        must("who is fit goes on waiting", good.process.poll() is None and "event=takeover" not in good.said(), good.said())
    must("it takes over", good.says("event=takeover"), good.said())
    good.signal(signal.SIGKILL)
    good.ends()


def one_of_two_wins(folder, owner):
    waiting = [Worker(folder, f"standby{i}", "--standby") for i in range(2)]
    for each in waiting:
        must("waits", each.says(f"pid {owner.pid}"), each.said())
    begin = owner.signal(signal.SIGKILL)
    owner.ends()
    took = None
    while took is None and time.monotonic() < begin + 20:
        took = time.monotonic() - begin if any("event=takeover" in each.said() for each in waiting) else None
    must("the store is taken over within a second", took is not None and took < 1, took)
    winners = [each for each in waiting if "event=takeover" in each.said()]
    must("one takes over", len(winners) == 1, [each.said() for each in waiting])
    loser = waiting[0] if winners[0] is waiting[1] else waiting[1]
    must("the other goes on waiting, and says for whom", loser.says(f"pid {winners[0].pid}") and loser.process.poll() is None, loser.said())
    print(f"the store was taken over {took:.3f} s after the kill")
    winners[0].signal(signal.SIGKILL)
    winners[0].ends()
    must("the other takes over in its turn", loser.says("event=takeover"), loser.said())
    loser.signal(signal.SIGKILL)
    loser.ends()


def stuck_library(folder):
    source, library = folder / "stuck.c", folder / "stuck.so"
    source.write_text(STUCK_C, "ascii")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def stands_still(folder):
    """A disk that does not answer: a start ends in time; a clean end takes the time that the last checkpoint takes, and is clean."""
    library, workers = stuck_library(folder), []
    try:
        for name in ("start", "end"):
            (folder / name).mkdir()
            write(folder / name, "run.yaml", watchdog="%ds" % WATCHDOG_S)
            environment = {"LD_PRELOAD": str(library), "STUCK": str(folder / name / "stuck")}
            if name == "start":
                (folder / name / "stuck").touch()
            workers.append(Worker(folder / name, name, environment=environment))
        starting, ending = workers
        must("it is started", ending.says("event=started"), ending.said())
        (folder / "end/stuck").touch()
        ending.signal(signal.SIGTERM)
        must("a start that hangs is ended", starting.ends(WATCHDOG_S + 10) == 75 and "event=stuck thread=poll" in starting.said(), starting.said())
        time.sleep(5)
        must("an end that takes long goes on", ending.process.poll() is None and "event=stopped" in ending.said(), ending.said())
        (folder / "end/stuck").unlink()
        must("an end that takes long is clean", ending.ends() == 0, ending.said())
        print(re.search(r"level=error event=stuck.*", starting.said()).group(0) if "event=stuck" in starting.said() else starting.said())
    finally:
        for each in workers:
            each.process.kill()
            each.process.wait()


def main():
    with tempfile.TemporaryDirectory(prefix="onceward-test-") as name:
        folder = pathlib.Path(name)
        write(folder, "run.yaml")
        owner = Worker(folder, "owner", "--standby")           # nobody has it: no difference
        try:
            must("the owner opens the store", is_open(folder / "orders.db"), owner.said())
            must("it has not waited", "event=standby" not in owner.said(), owner.said())
            second_is_refused(folder, owner)
            waits_quietly(folder, owner)
            is_checked_first(folder)
            one_of_two_wins(folder, owner)
            waits_for_a_checkpoint(folder)
        finally:
            owner.process.kill()
            owner.process.wait()
        stands_still(folder)
        verified = subprocess.run([BINARY, "verify", str(folder / "orders.db")], capture_output=True, text=True, timeout=60, check=False)
        must("verify", verified.returncode == 0, verified.stdout + verified.stderr)
    print(f"{'FAILED' if failed else 'passed'}: {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
