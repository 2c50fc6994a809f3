"""A worker as a supervisor runs it, without --until-end, and what is seen of it from outside: its lines, its positions, its membership, the
memory, threads and descriptors of its process, its write-ahead log. And file systems of our own for its store, that fill up or break."""
import contextlib
import ctypes
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import threading
import time

from confluent_kafka import Producer

import broker_io
import generate
import harness
import store

WAIT_S = 60
SESSION_MS, POLL_MS = 3000, 4000                            # a member that does not poll is out within that
GROUP = {"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 500, "max.poll.interval.ms": POLL_MS}


class Service(harness.Worker):
    """One store and its group. folder: where the store lies, else beside its configuration."""

    def __init__(self, world, name, folder=None, properties=None, **limits):
        super().__init__(world, name)
        self.db = (folder or world.folder) / (name + ".db")
        self.group = "%s-%s" % (world.folder.name, name)
        self.config.write_text(json.dumps({
            "store": {"path": str(self.db)}, "machines": [world.machine_path], "limits": limits, "log": {"level": "debug"},
            "kafka": {"group": self.group, "start": "earliest",
                      "properties": {"bootstrap.servers": world.bootstrap, **GROUP, **(properties or {})}}}, indent=1), "utf-8")

    def serve(self, *arguments, before=(), environment=None):
        """Starts `run`; before: a command that is put in front of it."""
        self.runs += 1
        self.out = self.world.folder / ("%s-%d.out" % (self.name, self.runs))
        self.err = self.world.folder / ("%s-%d.err" % (self.name, self.runs))
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(
                [*before, self.world.chosen.binary, "run", "-c", str(self.config), *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                cwd=self.world.folder, env={**os.environ, **(environment or {})})

    def said(self):
        return self.err.read_text("utf-8", "replace")

    def fail(self, what):
        raise harness.Failure("%s: %s\n%s" % (self.name, what, self.said()[-3000:]))

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def wait(self, condition, what, seconds=WAIT_S):
        """Until condition() holds; Failure where it does not, or the process ends first."""
        deadline = time.monotonic() + seconds
        while not condition():
            if not self.alive():
                self.fail("ended with %s while we waited: %s" % (self.process.returncode, what))
            if time.monotonic() > deadline:
                self.fail(what)
            time.sleep(0.005)

    def says(self, text, times=1):
        self.wait(lambda: self.said().count(text) >= times, "'%s' was not said" % text)

    def ends(self, codes, *texts, seconds=WAIT_S):
        """Waits for the end by itself; its exit code, which is one of codes."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.fail("did not end within %d s" % seconds)
        if code not in codes or not all(text in self.said() for text in texts):
            self.fail("ended with %s and not %s, saying %s" % (code, codes, texts))
        return code

    def stop(self, codes=(0,)):
        self.process.send_signal(signal.SIGTERM)
        return self.ends(codes)

    def kill(self):
        if self.alive():
            super().kill()

    def ask(self, sql):
        """The first column of the first row; None where the store cannot be read just now."""
        try:
            with contextlib.closing(store.open_read_only(self.db)) as db:
                return db.execute(sql).fetchone()[0]
        except sqlite3.OperationalError:
            return None

    def position(self):
        """Of all partitions together."""
        return self.ask("SELECT coalesce(sum(next_offset), 0) FROM ow_position") or 0

    def goes_on(self, what, by=1):
        """Until its position is `by` beyond where it is now."""
        before = self.position()
        self.wait(lambda: self.position() >= before + by, "no progress from %d %s" % (before, what))

    def members(self, admin):
        """Of its group, as the broker sees them."""
        return sum(len(group.members) for group in admin.list_groups(self.group, timeout=WAIT_S))


class Flow:
    """What a shop sends (generate.Load), at a steady rate, from a thread of its own, for as long as it is wanted."""
    STEP_S = 0.05

    def __init__(self, world, per_second, seed, partitions=4):
        self.names, self.partitions, self.per_second, self.sent = world.topics(), partitions, per_second, 0
        self.made, self.time_ms, self.ready, self.stopping = generate.Load(seed), generate.START_MS, [], threading.Event()
        broker_io.create_topics(world.bootstrap, self.names.values(), partitions)
        self.producer = Producer({"bootstrap.servers": world.bootstrap, "enable.idempotence": True, "linger.ms": 20, "log_level": 3,
                                  "queue.buffering.max.messages": 1_000_000})
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """The last record is sent and acknowledged."""
        self.stopping.set()
        self.thread.join()
        if self.producer.flush(WAIT_S) != 0:
            raise harness.Failure("the broker does not take records")

    def _run(self):
        due = time.monotonic()
        while not self.stopping.wait(max(0, due - time.monotonic())):
            due = max(due + self.STEP_S, time.monotonic() - 1)  # a broker that was frozen is not flooded afterwards
            self.add(int(self.per_second * self.STEP_S))

    def add(self, many):
        while len(self.ready) < many:
            self.made.out.clear()
            for _ in range(100):                            # orders that overlap in time
                self.made.order(self.time_ms)
                self.time_ms += self.made.random.randint(0, 40)
            self.ready += [record for _, _, record in sorted(self.made.out)]
        for topic, key, headers, value, timestamp_ms in self.ready[:many]:
            self.producer.produce(self.names[topic], value=value, key=key, partition=broker_io.partition_of(0, key, self.partitions),
                                  headers=headers or None, timestamp=timestamp_ms)
        del self.ready[:many]
        self.sent += many
        self.producer.poll(0)


class Outside:
    """What a process takes, as the kernel tells it."""

    def __init__(self, pid, db):
        self.proc, self.wal = pathlib.Path("/proc/%d" % pid), pathlib.Path("%s-wal" % db)

    def look(self):
        """{what: number}: memory in KiB (rss: anonymous, now; peak: all, ever), threads, descriptors, the log's bytes."""
        fields = dict(line.split(":", 1) for line in (self.proc / "status").read_text("ascii").splitlines())
        return {"rss": int(fields["RssAnon"].split()[0]), "peak": int(fields["VmHWM"].split()[0]), "threads": int(fields["Threads"]),
                "fds": len(os.listdir(self.proc / "fd")), "wal": self.wal.stat().st_size if self.wal.exists() else 0}


class Most:
    """The most of everything that was seen of a process, and how often it was looked at."""

    def __init__(self):
        self.looks, self.most = 0, {}

    def add(self, seen):
        self.looks += 1
        for what, number in seen.items():
            self.most[what] = max(self.most.get(what, 0), number)

    def __str__(self):
        most = {"rss": 0, "peak": 0, "threads": 0, "fds": 0, "wal": 0, **self.most}
        return "memory %.0f MiB (peak of all %.0f), %d threads, %d descriptors, write-ahead log %.0f MiB, %d looks" % (
            most["rss"] / 1024, most["peak"] / 1024, most["threads"], most["fds"], most["wal"] / 2**20, self.looks)


# --- file systems of our own ------------------------------------------------------------------------------------------

def own_mounts():
    """A mount namespace of this process, so that what it mounts goes with it and nobody else sees it. False: not allowed."""
    clone_newns, ms_rec, ms_private = 0x20000, 0x4000, 0x40000
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.unshare(clone_newns) == 0 and libc.mount(b"none", b"/", None, ms_rec | ms_private, None) == 0


class Disk:
    """A tmpfs of so many MiB, or with image=True an ext4 in a file; in a folder of the world."""

    def __init__(self, world, name, mebibytes, image=False):
        self.folder, self.ballast = world.folder / name, None
        self.image = world.folder / (name + ".img") if image else None
        self.folder.mkdir()
        if image:
            with open(self.image, "wb") as file:
                file.truncate(mebibytes << 20)
            call("mkfs.ext4", "-q", "-F", self.image)
            self.mount()
        else:
            call("mount", "-t", "tmpfs", "-o", "size=%dm,mode=0700" % mebibytes, "none", self.folder)

    def mount(self, *how):
        call("mount", "-o", ",".join(("loop", *how)), self.image, self.folder)

    def unmount(self):
        call("umount", self.folder)

    def remount(self, how):
        call("mount", "-o", "remount," + how, self.folder)

    def fill(self, leave):
        """Takes all but so many bytes."""
        if self.ballast is None:
            self.ballast = self.folder / "ballast"
        with open(self.ballast, "ab") as file:
            while (free := os.statvfs(self.folder).f_bavail * 4096 - leave) > 0:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, min(free, 1 << 20))
                except OSError:                             # somebody else took the rest meanwhile
                    break

    def free(self):
        self.ballast.unlink()


def call(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise harness.Failure("%s: %s" % (" ".join(map(str, command)), done.stderr.strip()))
