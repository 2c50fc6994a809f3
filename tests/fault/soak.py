#!/usr/bin/python3
"""The shipped worker at half its peak for minutes, with one random fault every ten seconds: kill -9, SIGSTOP for shorter and for longer than a
member may keep silent, a frozen and a killed broker, a full disk, somebody who reads an old state, verify on the live store, a backup, a
clean stop, an operator's rewind. Memory, threads, descriptors and the write-ahead log stay flat and within what is declared. At the end
nothing is left to do, verify proves the promises with the topics, and all is compared with the model where it is not too much. --rate: no
more than so many records a second, where half the peak is more than the test can make or the model replay.

    tests/fault/soak.py [--seconds 60] [--every 10] [--rate 5000] [--seed 1] [--binary …]
"""
import collections
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import generate      # noqa: E402
import harness       # noqa: E402
import service       # noqa: E402
import store         # noqa: E402

MIB = 1 << 20
PARTITIONS = 4
PEAK_RECORDS = 60_000
DISK_MIB = 2_000
WAL_BYTES = 128 * MIB
CAPS = {"rss": 768 * 1024, "threads": 32, "fds": 64, "wal": WAL_BYTES + 32 * MIB}  # as declared: bounds.py
MODEL_RECORDS_MAX = 400_000                                 # so many the model replays in a minute


class Soak:
    def __init__(self, world, disk):
        self.world, self.disk, self.chance = world, disk, random.Random(world.chosen.seed)
        self.worker = service.Service(world, "soak", disk.folder, wal_bytes=WAL_BYTES)
        self.faults, self.most, self.samples = collections.Counter(), service.Most(), []
        self.stopping, self.begin, self.starts = threading.Event(), time.monotonic(), 0
        self.watcher = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        """Looks at the process that works just now, ten times a second."""
        while not self.stopping.wait(0.1):
            process, starts = self.worker.process, self.starts
            try:
                seen = service.Outside(process.pid, self.worker.db).look()
            except (OSError, KeyError, ValueError):         # it has just ended
                continue
            self.most.add(seen)
            self.samples.append((time.monotonic() - self.begin, starts, seen))

    def serve(self):
        self.starts += 1
        self.worker.serve()

    def again(self):
        """After the worker has ended, or may have: as its supervisor does."""
        if not self.worker.alive():
            self.serve()

    # --- faults: each ends with a worker that runs ---

    def kill(self):
        self.worker.kill()
        time.sleep(self.chance.uniform(0, 0.5))
        self.serve()

    def clean_stop(self):
        self.worker.stop()
        self.serve()

    def freeze(self, seconds):
        self.worker.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.worker.process.send_signal(signal.SIGCONT)

    def freeze_short(self):
        self.freeze(self.chance.uniform(0.1, 1.5))

    def freeze_long(self):
        self.freeze(self.chance.uniform(1.2, 1.6) * service.POLL_MS / 1000)

    def broker_freeze(self):
        self.world.node.process.send_signal(signal.SIGSTOP)
        time.sleep(self.chance.uniform(1, 6))
        self.world.node.process.send_signal(signal.SIGCONT)

    def broker_restart(self):
        self.world.node.restart()

    def disk_full(self):
        self.disk.fill(self.chance.choice((0, self.chance.randrange(1 << 20))))
        time.sleep(self.chance.uniform(1, 5))
        self.disk.free()

    def old_reader(self):
        with store.open_read_only(self.worker.db) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM orders").fetchone()
            time.sleep(self.chance.uniform(1, 6))
            reader.execute("COMMIT")
        reader.close()

    def verify_live(self):
        self.worker.verify()

    def backup(self):
        target = self.disk.folder / "backup.db"
        done = subprocess.run([self.world.chosen.binary, "backup", "-c", str(self.worker.config), "--to", str(target)], capture_output=True,
                              text=True, timeout=60, check=False)
        if done.returncode not in (0, 75):                  # 75: the worker has only just started
            raise harness.Failure("backup: %d %s" % (done.returncode, done.stderr))
        target.unlink(missing_ok=True)

    def rewind(self):
        """Read again what was handled: an operator moves the group back while the worker is stopped."""
        self.worker.stop()
        consumer = Consumer({"bootstrap.servers": self.world.bootstrap, "group.id": self.worker.group, "enable.auto.commit": False, "log_level": 3})
        places = [TopicPartition(topic, partition) for topic in self.world.topics().values() for partition in range(PARTITIONS)]
        known = [TopicPartition(place.topic, place.partition, max(0, place.offset - self.chance.randrange(2000)))
                 for place in consumer.committed(places, timeout=service.WAIT_S) if place.offset > 0]
        deadline = time.monotonic() + 3 * service.SESSION_MS / 1000
        while known:                                        # our static member is remembered for a session
            try:
                if all(place.error is None for place in consumer.commit(offsets=known, asynchronous=False)):
                    break
            except KafkaException:
                pass
            if time.monotonic() > deadline:
                raise harness.Failure("the group is never empty")
            time.sleep(0.2)
        consumer.close()
        self.serve()

    FAULTS = (kill, kill, clean_stop, freeze_short, freeze_long, broker_freeze, broker_restart, disk_full, old_reader, verify_live, backup, rewind)

    def fault(self, bag):
        """The next of the bag, so that each has its turn, in an order of the seed's."""
        if not bag:
            bag += self.chance.sample(self.FAULTS, len(self.FAULTS))
        chosen = bag.pop()
        print("%4.0f s  at %7d  %s" % (time.monotonic() - self.begin, self.worker.position(), chosen.__name__), flush=True)
        try:
            chosen(self)
        except harness.Failure as failure:
            raise harness.Failure("%s: %s\n%s" % (chosen.__name__, failure, self.worker.said()[-2000:])) from None
        self.faults[chosen.__name__] += 1

    def must_live(self):
        """It runs, and goes on within some seconds. 75 is an end that its supervisor answers with a start."""
        if not self.worker.alive():
            self.worker.ends((75,))
            self.faults["(ended with 75)"] += 1
            self.serve()
        self.worker.goes_on("after a fault")

    def must_be_flat(self):
        """From the second third to the last the medians grow by no more than a quarter and some. That is for what leaks with each fault or each
        record, grossly: the caches of a new process fill for minutes, and there it is the cap that holds."""
        middle = [seen for at, _, seen in self.samples if 1 / 3 <= at / self.samples[-1][0] < 2 / 3]
        last = [seen for at, _, seen in self.samples if at / self.samples[-1][0] >= 2 / 3]
        told = []
        for what in ("rss", "threads", "fds", "wal"):
            before, after = (sorted(seen[what] for seen in part)[len(part) // 2] for part in (middle, last))
            told.append("%s %d -> %d" % (what, before, after))
            slack = {"rss": 64 * 1024, "threads": 4, "fds": 8, "wal": 64 * MIB}[what]
            if after > before * 1.25 + slack:
                raise harness.Failure("%s is not flat: %d, then %d" % (what, before, after))
        print("medians of the second and the last third: %s" % ", ".join(told))


def peak(world):
    """Records a second of a straight run over a backlog."""
    log, _ = generate.load(PEAK_RECORDS, world.chosen.seed + 1)
    name, world.machine_path = world.machine_path, world.chosen.machine
    world._own_topic_names()
    world.produce(log, PARTITIONS)
    rate = harness.Worker(world, "peak").run()["run"]["records_per_second"]
    world.machine_path = name
    return rate


def soak(world):
    rate = peak(world)
    half = int(min(rate / 2, world.chosen.rate))
    print("peak %.0f records/s, so %d a second for %d s" % (rate, half, world.chosen.seconds), flush=True)
    disk = service.Disk(world, "disk", DISK_MIB)
    it = Soak(world, disk)
    try:
        with service.Flow(world, half, world.chosen.seed, PARTITIONS) as flow:
            it.serve()
            it.watcher.start()
            it.worker.goes_on("at the start")
            bag, due = [], time.monotonic()
            while time.monotonic() - it.begin < world.chosen.seconds:
                it.fault(bag)
                it.must_live()
                due = max(due + world.chosen.every, time.monotonic())
                time.sleep(max(0, due - time.monotonic()))
        caught_up = time.monotonic()
        it.worker.wait(lambda: it.worker.position() >= flow.sent, "it does not catch up with %d records" % flow.sent, 120)
        caught_up = time.monotonic() - caught_up
        it.stopping.set()
        it.watcher.join()
        it.worker.stop()
        finish(world, it, flow, caught_up)
    finally:
        it.stopping.set()
        it.worker.kill()
        disk.unmount()


def finish(world, it, flow, caught_up):
    if flow.sent <= MODEL_RECORDS_MAX:
        it.worker.check(*world.dump())
    done = subprocess.run([world.chosen.binary, "verify", "-c", str(it.worker.config), "--topic"], capture_output=True, text=True, timeout=600,
                          check=False)
    if done.returncode != 0:
        raise harness.Failure("verify --topic: %d\n%s%s" % (done.returncode, done.stdout[-3000:], done.stderr[-1000:]))
    it.must_be_flat()
    over = ["%s %d, not more than %d" % (what, it.most.most[what], cap) for what, cap in CAPS.items() if it.most.most[what] > cap]
    if over:
        raise harness.Failure("more than is declared: " + "; ".join(over))
    print("soak: %d s at %d records/s, %d records, %d faults (%s), %d starts, caught up in %.1f s; %s" % (
        world.chosen.seconds, flow.per_second, flow.sent, sum(it.faults.values()),
        ", ".join("%s %d" % each for each in sorted(it.faults.items())), it.starts, caught_up, it.most))


if __name__ == "__main__":
    found = harness.options(__doc__, seconds=60, every=10, rate=5_000)
    if not service.own_mounts():
        print("cannot mount a file system of our own here (it takes root)")
        sys.exit(77)
    sys.exit(harness.main(soak, found, ("seconds", "every", "rate")))
