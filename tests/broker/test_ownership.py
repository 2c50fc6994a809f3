#!/usr/bin/python3
"""One process owns a store and its group, on a real broker: a standby takes over from a killed owner, an owner that was frozen until its
membership was gone does nothing that it may not, a second store and a second copy of the file are refused, and a thread that stands still
ends its process. After each of them every order is there once and verify is content.

    tests/broker/test_ownership.py [--rounds 3] [--seed 1] [--binary …]
"""
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import broker_io      # noqa: E402
import generate       # noqa: E402
import harness        # noqa: E402

SESSION_MS = 3000
WATCHDOG_S = 10
PARTITIONS = 2
WAIT_S = 60
STOP_MAX_S = 15                                             # CLOSE_MS in cmd/onceward/run.c is a third of it
TAKEOVER_MAX_S = 10                                         # on a machine that does something else; a second is what is promised

# Once the file exists that it is told, a write to the disk never ends.
STUCK_C = """
#include <stdlib.h>
#include <unistd.h>
static int stuck(void) { while (access(getenv("STUCK"), F_OK) == 0) { usleep(10000); } return 0; }
int fsync(int fd) { (void)fd; return stuck(); }
int fdatasync(int fd) { (void)fd; return stuck(); }
"""


class Orders:
    """Distinct orders, one after another, each with one record; how many there are."""

    def __init__(self, world):
        self.topic = world.topics()[generate.ORDERS]
        self.producer = Producer({"bootstrap.servers": world.bootstrap, "enable.idempotence": True, "linger.ms": 0, "log_level": 2})
        self.lock, self.count, self.partitions = threading.Lock(), 0, PARTITIONS
        self.stopping, self.thread = threading.Event(), None

    def add(self, many):
        with self.lock:
            for _ in range(many):
                order = "o-%06d" % self.count
                value = generate.compact(generate.event("e-%d" % self.count, "order.created", order, {"amount": 1, "currency": "EUR"},
                                                        generate.START_MS + self.count))
                self.producer.produce(self.topic, value=value, key=order.encode(), partition=self.count % self.partitions)
                self.count += 1
            if self.producer.flush(30) != 0:
                raise harness.Failure("the broker does not take records")

    @contextlib.contextmanager
    def flowing(self):
        """One every few milliseconds."""
        def flow():
            while not self.stopping.wait(0.005):
                self.add(1)
        self.stopping.clear()
        self.thread = threading.Thread(target=flow)
        self.thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            self.thread.join()


class Store:
    """A store, its configuration, and the processes that were started on it."""

    def __init__(self, world, name, group=None, **limits):
        self.world, self.name, self.group = world, name, "%s-%s" % (world.folder.name, group or name)
        self.db, self.config, self.starts, self.all = world.folder / (name + ".db"), world.folder / (name + ".yaml"), 0, []
        self.config.write_text(json.dumps({
            "store": {"path": str(self.db)},
            "kafka": {"group": self.group, "properties": {"bootstrap.servers": world.bootstrap, "session.timeout.ms": SESSION_MS,
                                                          "heartbeat.interval.ms": 500}},
            "limits": limits, "machines": [world.machine_path]}), "utf-8")

    def start(self, *arguments, environment=None):
        self.starts += 1
        process = Process(self, self.world.folder / ("%s-%d.err" % (self.name, self.starts)), arguments, environment)
        self.all.append(process)
        return process

    def ask(self, sql):
        """The first column of the first row; None where the store is not there yet."""
        try:
            with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % self.db, uri=True, timeout=10)) as db:
                return db.execute(sql).fetchone()[0]
        except sqlite3.OperationalError:
            return None

    def orders(self):
        return self.ask("SELECT count(*) FROM orders") or 0

    def until(self, many, what):
        """Until it holds so many orders."""
        wait_for(lambda: self.orders() >= many, "%s: %s has %d of %d orders" % (what, self.name, self.orders(), many), self)

    def must_be_sound(self, orders):
        if self.orders() != orders or self.ask("SELECT count(*) FROM ow_claims") != orders:
            raise harness.Failure("%s: %d orders, %s claims for %d" % (self.name, self.orders(), self.ask("SELECT count(*) FROM ow_claims"), orders))
        done = subprocess.run([self.world.chosen.binary, "verify", str(self.db)], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise harness.Failure("verify %s: %d\n%s%s" % (self.db, done.returncode, done.stdout, done.stderr))

    def kill(self):
        for process in self.all:
            if process.process.poll() is None:
                process.process.kill()
                process.process.wait()


class Process:
    def __init__(self, store, err, arguments, environment):
        self.err = err
        with open(err, "wb") as stderr:
            self.process = subprocess.Popen([store.world.chosen.binary, "run", "-c", str(store.config), *arguments], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=stderr, cwd=store.world.folder,
                                            env={**os.environ, **(environment or {})})

    def said(self):
        return self.err.read_text("utf-8", "replace")

    def says(self, text, times=1):
        wait_for(lambda: self.said().count(text) >= times, "'%s' was not said" % text, self)

    def signal(self, number):
        self.process.send_signal(number)
        return time.monotonic()

    def ends(self, status, *texts):
        try:
            found = self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            found = "nothing"
        said = self.said()
        if found != status or not all(text in said for text in texts):
            raise harness.Failure("ended with %s and not %d, saying %s\n%s" % (found, status, texts, said[-3000:]))


def wait_for(condition, what, teller=None, seconds=WAIT_S):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            tail = "" if teller is None else (teller.said() if isinstance(teller, Process) else teller.all[-1].said())
            raise harness.Failure("%s\n%s" % (what, tail[-3000:]))
        time.sleep(0.002)


class Group:
    """What an operator's tool sees of a group, and does to it while it is empty."""

    def __init__(self, store):
        self.consumer = Consumer({"bootstrap.servers": store.world.bootstrap, "group.id": store.group, "enable.auto.commit": False, "log_level": 3})
        self.places = [TopicPartition(t, p) for t in store.world.topics().values() for p in range(PARTITIONS)]

    def move_when_empty(self, offset):
        """Commits without being a member: refused for as long as the group has one."""
        places = [TopicPartition(p.topic, p.partition, offset) for p in self.places if p.topic.startswith("order")]

        def is_moved():
            try:
                return all(p.error is None for p in self.consumer.commit(offsets=places, asynchronous=False))
            except KafkaException:
                time.sleep(0.1)
                return False
        wait_for(is_moved, "the group is never empty")

    def close(self):
        self.consumer.close()


def taken_over(world, orders):
    """kill -9 of the owner, again and again, with two that wait: from the kill to the first record that another process applied."""
    store = Store(world, "takeover")
    owner, waiting, took = store.start("--standby"), [], []
    try:
        store.until(orders.count, "first start")
        waiting = [store.start("--standby") for _ in range(2)]
        for each in waiting:
            each.says("pid %d" % owner.process.pid)
        with orders.flowing():
            for _ in range(world.chosen.rounds):
                before = store.ask("SELECT max(last_seq) FROM orders")
                store.until(store.orders() + 5, "records flow")
                begin = owner.signal(signal.SIGKILL)
                owner.process.wait()
                before = store.ask("SELECT max(last_seq) FROM orders")
                wait_for(lambda seq=before: (store.ask("SELECT max(last_seq) FROM orders") or 0) > seq, "nobody took over", waiting[0])
                took.append(time.monotonic() - begin)
                winners = [each for each in waiting if "event=takeover" in each.said()]
                if len(winners) != 1:
                    raise harness.Failure("%d of 2 took over" % len(winners))
                owner = winners[0]
                waiting = [each for each in waiting if each is not owner]
                waiting.append(store.start("--standby"))
                for each in waiting:
                    each.says("pid %d" % owner.process.pid)
        store.until(orders.count, "after the last takeover")
        owner.signal(signal.SIGTERM)
        owner.ends(0)
        wait_for(lambda: any("event=takeover" in each.said() for each in waiting), "nobody took over after a clean stop", waiting[0])
        for each in waiting:
            each.signal(signal.SIGTERM)
        for each in waiting:
            each.ends(0)
        store.must_be_sound(orders.count)
    finally:
        store.kill()
    print("takeover, from kill -9 to the next record applied: %s s" % ", ".join("%.3f" % s for s in took), flush=True)
    if statistics.median(took) >= 1 or max(took) >= TAKEOVER_MAX_S:
        raise harness.Failure("takeovers within a second, and none of %d s: %s" % (TAKEOVER_MAX_S, took))


def frozen(world, orders):
    """The owner is stopped until its membership is gone; meanwhile records come and an operator moves the group back."""
    store = Store(world, "frozen")
    group = Group(store)
    owner = store.start()
    try:
        store.until(orders.count, "first start")
        time.sleep(1.5)                                     # what is durable is committed
        orders.add(200)
        owner.signal(signal.SIGSTOP)                        # in the middle of these, mostly
        orders.add(200)
        group.move_when_empty(3)
        owner.signal(signal.SIGCONT)
        store.until(orders.count, "after it was frozen")
        owner.says("by=rewound", times=PARTITIONS)
        reread = store.ask("SELECT sum(reread) FROM ow_position")
        store.must_be_sound(orders.count)
        owner.signal(signal.SIGTERM)
        owner.ends(0)
        store.must_be_sound(orders.count)
    finally:
        group.close()
        store.kill()
    if not reread:
        raise harness.Failure("the operator's move was not honoured")
    print("frozen until its membership was gone, the group moved back meanwhile: %d records read again, none applied twice" % reread, flush=True)


def replaced(world, orders):
    """While the owner is frozen an operator puts a backup in the place of its file: it writes to neither."""
    store = Store(world, "replaced")
    owner = store.start()
    backup = world.folder / "backup.db"
    try:
        store.until(orders.count, "first start")
        time.sleep(1.5)                                     # what is durable is committed
        owner.signal(signal.SIGSTOP)
        with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % store.db, uri=True)) as one, contextlib.closing(sqlite3.connect(backup)) as two:
            one.backup(two)
        for each in ("-wal", "-shm"):
            pathlib.Path(str(store.db) + each).unlink()
        os.replace(backup, store.db)
        before = orders.count
        orders.add(50)
        owner.signal(signal.SIGCONT)
        owner.ends(4, "was moved, deleted or replaced while it was in use")
        store.must_be_sound(before)
        store.start("--until-end").ends(0)
        store.must_be_sound(orders.count)
    finally:
        store.kill()
    print("a file that was replaced under a frozen owner: nothing was written to either, and the next start goes on", flush=True)


def other_store(world, orders):
    """While the owner is frozen another store joins the group: it is refused, and the owner goes on afterwards."""
    store = Store(world, "first")
    other = Store(world, "second", group="first")
    owner = store.start()
    try:
        store.until(orders.count, "first start")
        owner.says("event=assigned", times=2 * PARTITIONS)
        time.sleep(1.5)
        owner.signal(signal.SIGSTOP)
        orders.add(50)
        intruder = other.start()
        intruder.ends(4, "was committed by another onceward store", "Use that store, or another kafka.group")
        owner.signal(signal.SIGCONT)
        store.until(orders.count, "after the other one")
        store.must_be_sound(orders.count)
        if other.orders() != 0 or other.ask("SELECT count(*) FROM ow_claims") != 0:
            raise harness.Failure("the other store was written to")
    finally:
        store.kill()
        other.kill()
    print("another store in the group of a frozen owner: refused, and the owner went on", flush=True)


def two_copies(world, orders):
    """cp of the file, and both run. The copy has the same store id, so it fences the owner when it joins; then it finds the owner's commits,
    of the very epoch that it counted on to, and goes no further. The owner goes on at its next start."""
    one, two = Store(world, "one"), Store(world, "two", group="one")
    one.start("--until-end").ends(0)
    shutil.copyfile(one.db, two.db)
    try:
        first = one.start()
        first.says("event=assigned", times=2 * PARTITIONS)
        time.sleep(1.5)                                     # what is durable is committed
        two.start().ends(4, "another copy of the file works for the group. Stop that one")
        first.ends(75, "the group fenced us")
        first = one.start()                                 # as its supervisor does
        orders.add(50)
        one.until(orders.count, "the owner goes on")
        time.sleep(1.5)
        two.start().ends(4, "is an older copy")
        first.ends(75, "the group fenced us")
        one.start("--until-end").ends(0)
        one.must_be_sound(orders.count)
        two.must_be_sound(orders.count - 50)
    finally:
        one.kill()
        two.kill()
    print("two copies of one file: the second ends with 4, also in the owner's epoch, and the owner goes on", flush=True)


def stopped_while_starting(world, orders):
    """SIGTERM at any moment of a start: librdkafka may never come back from leaving a group that it is just joining."""
    store, chance, slow = Store(world, "hasty"), random.Random(world.chosen.seed), 0
    try:
        store.start("--until-end").ends(0)
        for _ in range(world.chosen.rounds * 20):
            process = store.start()
            time.sleep(chance.uniform(0.005, 0.09))
            begin = process.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.process.wait(STOP_MAX_S)
            if process.process.returncode not in (0, -signal.SIGTERM):      # the latter: before it could know
                raise harness.Failure("ended with %s within %d s\n%s" % (process.process.returncode, STOP_MAX_S, process.said()[-3000:]))
            slow += time.monotonic() - begin > 1
        store.must_be_sound(orders.count)
    finally:
        store.kill()
    print("stopped while starting: %d times, %d of them slowly, because the client did not leave" % (store.starts - 1, slow), flush=True)


class StandStill:
    """The disk stops answering under an owner: the watchdog ends it, and a standby goes on. Takes its time beside the others."""

    def __init__(self, world, orders):
        self.world = world
        source, library = world.folder / "stuck.c", world.folder / "stuck.so"
        source.write_text(STUCK_C, "ascii")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
        self.flag = world.folder / "stuck"
        self.store = Store(world, "stuck", watchdog="%ds" % WATCHDOG_S)
        self.owner = self.store.start(environment={"LD_PRELOAD": str(library), "STUCK": str(self.flag)})
        self.store.until(orders.count, "first start")
        self.standby = self.store.start("--standby")
        self.standby.says("pid %d" % self.owner.process.pid)
        self.flag.touch()
        orders.add(10)
        self.begin = time.monotonic()

    def finish(self, orders):
        try:
            self.owner.ends(75, 'event=stuck thread=apply doing="committing a transaction" seconds=%d' % WATCHDOG_S)
            self.store.until(orders.count, "after the watchdog")
            self.standby.signal(signal.SIGTERM)
            self.standby.ends(0)
            self.store.must_be_sound(orders.count)
            said = re.search(r"time=\S+ level=error event=stuck.*", self.owner.said()).group(0)
            print("a disk that does not answer: %s" % said, flush=True)
        finally:
            self.store.kill()


class EndlessTrigger:
    """A row that SQLite never comes to the end of, noted as in work alone: the watchdog ends the process, and nobody holds that against the
    record, for a store that hangs is no record's doing."""

    TRIGGER = """CREATE TRIGGER endless BEFORE INSERT ON orders WHEN NEW.order_id = '%s' BEGIN
        SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n); END"""

    def __init__(self, world, orders):
        self.store = Store(world, "endless", watchdog="%ds" % WATCHDOG_S)
        self.store.start("--until-end").ends(0)
        self.change(self.TRIGGER % ("o-%06d" % orders.count))
        orders.add(1)
        self.process = self.store.start()

    def change(self, sql):
        with contextlib.closing(sqlite3.connect(self.store.db)) as db:
            db.execute(sql)

    def finish(self, orders):
        try:
            self.process.ends(75, 'event=stuck thread=apply doing="writing to the store" seconds=%d' % WATCHDOG_S)
            self.change("DROP TRIGGER endless")
            following = self.store.start("--until-end")
            following.ends(0)
            if "event=died_in_work" in following.said():
                raise harness.Failure("a store that hung is held against the record\n" + following.said()[-3000:])
            self.store.must_be_sound(orders.count)
            print("a store that hangs over a record: the record is not suspected", flush=True)
        finally:
            self.store.kill()


def ownership(world):
    broker_io.create_topics(world.bootstrap, world.topics().values(), PARTITIONS)
    orders = Orders(world)
    orders.add(500)
    endless = EndlessTrigger(world, orders)
    still = StandStill(world, orders)
    try:
        taken_over(world, orders)
        frozen(world, orders)
        replaced(world, orders)
        other_store(world, orders)
        two_copies(world, orders)
        stopped_while_starting(world, orders)
        endless.finish(orders)
        still.finish(orders)
    finally:
        still.store.kill()
        endless.store.kill()


if __name__ == "__main__":
    sys.exit(harness.main(ownership, harness.options(__doc__, rounds=20 if harness.MORE else 3), ("rounds",)))
