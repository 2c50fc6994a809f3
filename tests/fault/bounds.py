#!/usr/bin/python3
"""The declared bounds of a worker (ARCHITECTURE, "What it takes at most"), seen from outside through /proc: memory, threads, descriptors and the
write-ahead log, with more in the topics than it can handle and a disk on which each sync takes its time. Small records, records of a
megabyte, records that are a hundred times as large unpacked, 200 partitions, and somebody who reads an old state of the store.

    tests/fault/bounds.py [--seed 1] [--binary …]
"""
import contextlib
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import broker_io     # noqa: E402
import generate      # noqa: E402
import harness       # noqa: E402
import service       # noqa: E402
import store         # noqa: E402

MIB = 1 << 20
# What is declared, with the default limits and one broker. rss: anonymous memory in KiB, but for 2 bytes a claim.
CAPS = {"rss": 768 * 1024, "threads": 32, "fds": 64, "wal": 128 * MIB}
WAL_BYTES = 128 * MIB                                       # limits.wal_bytes of the one who has a reader
A_BATCH = 32 * MIB                                          # what one transaction may add to the log
SYNC_MS = 100
CALLERS = 16                                                # connections to the socket (http/server.h)
SLOW_C = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
int fdatasync(int fd)
{
    usleep((unsigned)atoi(getenv("SYNC_MS")) * 1000);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
"""


def order(number, note):
    return generate.compact(generate.event("e-%d" % number, "order.created", "o-%d" % number,
                                           {"amount": 1, "currency": "EUR", "note": note}, generate.START_MS + number))


def noise(chance, length):
    """Characters that are JSON as they stand and do not pack."""
    return "".join(chance.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", k=length))


def small(_chance, seed):
    return generate.load(100_000, seed)[0]


def orders(values):
    return [(generate.ORDERS, b"o-%d" % i, [], value, generate.START_MS + i) for i, value in enumerate(values)]


def large(chance, _seed):
    """Of a megabyte, in every shape: one long text, a tree that takes some fifty times its bytes while it is read, too large."""
    text = noise(chance, 1_000_000)
    trees = [generate.compact(generate.event("t-%d" % i, "order.created", "t-%d" % i, {"tree": [{}] * 340_000}, generate.START_MS))
             for i in range(2)]
    large_ones = [b'"%s"' % text.encode() * 4, b"{" + text.encode() * 15]
    return orders([order(i, text[i:] + text[:i]) if i % 4 < 2 else trees[i % 2] if i % 4 == 2 else large_ones[i % 8 // 4] for i in range(200)])


def packed(_chance, _seed):
    """A fetch of some megabytes is some gigabytes unpacked."""
    return orders([order(i, "a" * 1_000_000) for i in range(1000)])


def partitions(chance, _seed):
    text = noise(chance, 10_000)
    return orders([order(i, text[i % 7000:]) for i in range(20_000)])


SCENES = {                                                  # name: (log, partitions of each of two topics, milliseconds of a sync)
    "small": (small, 4, SYNC_MS), "large": (large, 4, SYNC_MS), "packed": (packed, 4, SYNC_MS), "partitions": (partitions, 100, SYNC_MS)}


class Bench:
    """What the scenes share: the slow disk, and the comparison with what is declared."""

    def __init__(self, world):
        self.world, source, self.library, self.told = world, world.folder / "slow.c", world.folder / "slow.so", []
        source.write_text(SLOW_C, "ascii")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.library, source], check=True)

    def environment(self, sync_ms):
        return {"LD_PRELOAD": str(self.library), "SYNC_MS": str(sync_ms)}

    def look(self, worker, most, seconds=0.02):
        with contextlib.suppress(OSError, KeyError, ValueError):  # it has ended meanwhile
            most.add(service.Outside(worker.process.pid, worker.db).look())
        time.sleep(seconds)

    def must_hold(self, name, most, **other):
        caps = {**CAPS, **other}
        over = ["%s %d, not more than %d" % (what, most.most[what], cap) for what, cap in caps.items() if most.most[what] > cap]
        print("%-10s %s" % (name, most), flush=True)
        self.told.append(name)
        if over or most.looks < 50:
            raise harness.Failure("%s: more than is declared, after %d looks: %s" % (name, most.looks, "; ".join(over)))


def world_of(world, name, partitions_of_each, log):
    """Topics of its own for each scene."""
    world.machine_path = world.chosen.machine
    scene = type(world).__new__(type(world))
    scene.__dict__.update(world.__dict__)
    scene.folder = world.folder / name
    scene.folder.mkdir()
    scene._own_topic_names()
    scene.produce(log, partitions_of_each)
    return scene


def call(worker):
    """As many as the socket takes, each of them silent; [] while it is not there yet."""
    path, callers = str(worker.db) + ".sock", []
    with contextlib.suppress(OSError):
        for _ in range(CALLERS):
            callers.append(socket.socket(socket.AF_UNIX))
            callers[-1].connect(path)
        return callers
    for caller in callers:
        caller.close()
    return []


def overfed(bench, name):
    make, partitions_of_each, sync_ms = SCENES[name]
    log = make(random.Random(bench.world.chosen.seed), bench.world.chosen.seed)
    world = world_of(bench.world, name, partitions_of_each, log)
    worker, most = service.Service(world, name), service.Most()
    worker.serve("--until-end", environment=bench.environment(sync_ms))
    begin, callers = time.monotonic(), []
    while worker.alive():
        bench.look(worker, most)
        if not callers:
            callers = call(worker)
        if time.monotonic() - begin > world.chosen.timeout:
            worker.fail("not at the end")
    worker.ends((0,))
    for caller in callers:
        caller.close()
    if len(callers) != CALLERS:
        worker.fail("the socket takes nobody")
    # A broker of half a gigabyte that is sent records of megabytes on a busy machine has acknowledged one that it does not have.
    held = broker_io.held(world.bootstrap, world.topics().values())
    print("%-10s %d records of %d in %.0f s" % (name, held, len(log), time.monotonic() - begin))
    must_be_whole(worker, held)
    bench.must_hold(name, most)
    shutil.rmtree(world.folder)


def must_be_whole(worker, records):
    worker.verify()
    if worker.position() != records:
        worker.fail("handled %d of %d records" % (worker.position(), records))


def read_by(bench, name="reader"):
    """Somebody's transaction holds an old state: the log grows to its limit, then nothing is applied, until that has ended."""
    chance = random.Random(bench.world.chosen.seed)
    text = noise(chance, 900_000).encode()
    log = orders([b"{" + text] * 300)                       # malformed ones go into the store byte for byte
    world = world_of(bench.world, name, 4, orders([order(i, "") for i in range(10)]))
    worker, most = service.Service(world, name, wal_bytes=WAL_BYTES), service.Most()
    worker.serve()
    worker.wait(lambda: worker.position() == 10, "10 orders")
    names = world.topics()
    reader = store.open_read_only(worker.db)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM orders").fetchone()
    broker_io.produce(world.bootstrap, [(names[topic], *rest) for topic, *rest in log], 4)
    deadline = time.monotonic() + service.WAIT_S
    while "while somebody reads an old state" not in worker.said():
        bench.look(worker, most)
        if time.monotonic() > deadline or not worker.alive():
            worker.fail("it does not wait for the reader")
    at = worker.position()
    for _ in range(100):
        bench.look(worker, most, 0.05)
    if worker.position() != at or at >= 310:
        worker.fail("at %d, then %d while it waits for the reader" % (at, worker.position()))
    reader.close()
    worker.wait(lambda: worker.position() == 310 or bench.look(worker, most), "no progress after the reader has ended")
    worker.stop()
    must_be_whole(worker, 310)
    bench.must_hold(name, most, wal=WAL_BYTES + A_BATCH)
    shutil.rmtree(world.folder)


def bounds(world):
    bench = Bench(world)
    for name in SCENES:
        overfed(bench, name)
    read_by(bench)
    print("bounds: %d scenes (%s), all within what is declared" % (len(bench.told), ", ".join(bench.told)))


if __name__ == "__main__":
    sys.exit(harness.main(bounds, harness.options(__doc__), ()))
