#!/usr/bin/python3
"""A disk that fills up and one that turns read-only, under the shipped worker on a real broker. While there is no room it says so, stays a
member of its group, applies nothing and commits nothing; it goes on by itself when there is room again. Killed, stopped and started with a
full disk it ends with 75. At the end every row is compared with the independent model: nothing is lost, nothing is there twice.

    tests/fault/disk_full.py [--rate 2000] [--rounds 6] [--seed 1] [--binary …]
"""
import datetime
import pathlib
import random
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import harness       # noqa: E402
import service       # noqa: E402

DISK_MIB = 400
FULL = "no space left for the store"
STARTS_FULL = 3


class Counts:
    def __init__(self):
        self.fills = self.held_s = self.kills = self.starts = self.stops = self.read_only = 0


def filled(worker, disk, leave):
    """Fills the disk under the worker until it says so."""
    said = worker.said().count(FULL)
    disk.fill(leave)
    worker.says(FULL, said + 1)


def must_wait(worker, admin, disk, seconds):
    """While the disk is full: alive, a member all the time, and not a record further, but for what finds the room that a batch gave back."""
    places, assigned = [worker.position()], worker.said().count("event=assigned")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if worker.members(admin) != 1:
            worker.fail("its group has %d members while the disk is full" % worker.members(admin))
        if worker.position() != places[-1]:
            places.append(worker.position())
            disk.fill(0)
        time.sleep(0.1)
    if not worker.alive() or len(places) > 3 or worker.said().count("event=assigned") != assigned:
        worker.fail("at %s, or assigned again, with a full disk" % places)


def must_have_waited(worker):
    """Between two attempts at a full disk lies what was said of it."""
    tries = re.findall(r"^time=(\S+)Z level=error event=store_retry retry_ms=(\d+)", worker.said(), re.MULTILINE)
    times = [datetime.datetime.fromisoformat(time) for time, _ in tries]
    for before, after, (_, wait_ms), (_, next_ms) in zip(times, times[1:], tries, tries[1:]):
        if int(next_ms) > int(wait_ms) and (after - before).total_seconds() * 1000 < int(wait_ms) - 2:
            worker.fail("tried again at %s, and not %s ms after %s" % (after, wait_ms, before))
    if not tries:
        worker.fail("it never waited")


def fills_up(worker, disk, admin, chance, counts, rounds):
    """Again and again, with more or less room left, for a while; once for longer than a member may keep silent."""
    for number in range(rounds):
        worker.goes_on("before the disk is full")
        filled(worker, disk, chance.choice((0, 0, chance.randrange(1 << 22))))
        hold_s = 1.5 * service.POLL_MS / 1000 if number == 0 else chance.uniform(0.1, 1.5)
        must_wait(worker, admin, disk, hold_s)
        if number == 0:
            worker.says("event=paused reason=store")        # it polls on, and takes no more
        disk.free()
        counts.fills += 1
        counts.held_s += hold_s
    worker.says("event=resumed topic=")
    worker.goes_on("after the disk was full")
    must_have_waited(worker)


def ends_full(worker, disk, chance, counts):
    """A kill, and a clean stop, while it waits for room; starts that find none."""
    filled(worker, disk, 0)
    time.sleep(chance.uniform(0, 1))
    worker.kill()
    counts.kills += 1
    for _ in range(STARTS_FULL):
        disk.fill(0)                                        # what the last start has freed
        starts_full(worker, counts)
    disk.free()
    worker.serve()
    worker.goes_on("after starts without room")
    filled(worker, disk, 0)
    worker.stop((0, 75))
    counts.stops += 1
    disk.free()


def starts_full(worker, counts):
    """A start that finds no room ends with 75, and not with 2 or 4, for its supervisor shall try again; or it finds enough to wait in."""
    worker.serve()
    try:
        worker.process.wait(3)
        worker.ends((75,))
    except subprocess.TimeoutExpired:
        worker.says(FULL)
        worker.kill()
    counts.starts += 1


def new_on_full(world, counts):
    """A store that is to be made where there is no room."""
    for leave in (0, 4096, 40960, 200000):
        disk = service.Disk(world, "new-%d" % leave, 4)
        worker = service.Service(world, "new-%d" % leave, disk.folder)
        disk.fill(leave)
        starts_full(worker, counts)
        disk.free()
        disk.unmount()


def read_only(world, counts):
    """An ext4 that has given up (as after an error of its disk): no write works any more. Then it is mounted anew."""
    disk = service.Disk(world, "ext4", 300, image=True)
    worker = service.Service(world, "ext4", disk.folder)
    try:
        worker.serve()
        worker.goes_on("on ext4")
        disk.remount("abort")
        worker.ends((75,), "the store failed")
        worker.serve()
        worker.ends((75,), "ead-only file system")
        disk.unmount()
        disk.mount()
        worker.serve()
        worker.goes_on("mounted anew")
        worker.stop()
        worker.verify()
        counts.read_only += 1
    finally:
        worker.kill()
        disk.unmount()


def disk_full(world):
    chance, counts = random.Random(world.chosen.seed), Counts()
    disk = service.Disk(world, "tmpfs", DISK_MIB)
    worker = service.Service(world, "tmpfs", disk.folder, batch_rows=256)
    try:
        with service.Flow(world, world.chosen.rate, world.chosen.seed) as flow:
            worker.serve()
            fills_up(worker, disk, world.node.admin(), chance, counts, world.chosen.rounds)
            ends_full(worker, disk, chance, counts)
            new_on_full(world, counts)
            read_only(world, counts)
        if worker.run()["run"]["records"] == 0:
            worker.fail("it was at the end too soon: the last start had nothing to do")
        worker.check(*world.dump())
    finally:
        worker.kill()
        disk.unmount()
    print("disk full: %d times under the worker (%.0f s), %d kills, %d stops and %d starts without room, %d times read-only, %d records" % (
        counts.fills, counts.held_s, counts.kills, counts.stops, counts.starts, counts.read_only, flow.sent))


if __name__ == "__main__":
    found = harness.options(__doc__, rate=2_000, rounds=6)
    if not service.own_mounts():
        print("cannot mount a file system of our own here (it takes root)")
        sys.exit(77)
    sys.exit(harness.main(disk_full, found, ("rate", "rounds")))
