#!/usr/bin/python3
"""A bad network between the worker and a real Kafka, each in a namespace of its own: packets late, lost, doubled, damaged, in one
direction or both, nothing at all for longer than the session, the cable out; the worker killed in the midst of it now and then. Records
come all the time. Afterwards each is there once by the oracle and the group's offsets are at the ends; at no time were these beyond what
was durable; the worker went on by itself, or ended with 75 and a line, and was started again.

    tests/fault/network.py [--troubles 10] [--seed 1] [--binary …]

Where it may not make namespaces or tun devices it says so and ends with 77.
"""
import contextlib
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import threading
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / folder) for folder in ("oracle", "broker")]
import generate           # noqa: E402
import harness            # noqa: E402
import kafka              # noqa: E402
import network_relay      # noqa: E402
import steady             # noqa: E402
from network_relay import TO_BROKER, TO_WORKER, Weather      # noqa: E402

INSIDE = "ONCEWARD_NETWORK"
PARTITIONS, SESSION_MS = 2, 6000
RECORDS_A_SECOND, CALM_S, BACK_S = 150, (1.0, 4.0), 60
KILL_SHARE = 0.25
LINES_A_MINUTE = 6                              # of one kind; what repeats is said each half minute


def troubles(chance, many, longest_s):
    """(name, weather or None for a cable that is out, seconds), each kind before any comes twice."""
    kinds = [("delay", lambda: Weather(delay_s=chance.uniform(0.05, 0.4), spread_s=chance.uniform(0, 0.05))),
             ("loss", lambda: Weather(loss=chance.uniform(0.05, 0.35))),
             ("disorder", lambda: Weather(spread_s=chance.uniform(0.05, 0.5), double=0.2)),
             ("damage", lambda: Weather(flip=chance.uniform(0.02, 0.2))),
             ("silence to the broker", lambda: Weather(loss=1.0, directions=(TO_BROKER,))),
             ("silence to the worker", lambda: Weather(loss=1.0, directions=(TO_WORKER,))),
             ("silence", lambda: Weather(loss=1.0)),
             ("long silence", lambda: Weather(loss=1.0)),
             ("no cable", lambda: None),
             ("all at once", lambda: Weather(delay_s=0.1, spread_s=0.2, loss=0.1, double=0.1, flip=0.02))]
    while many > 0:
        chance.shuffle(kinds)
        for name, make in kinds[:many]:
            longer = name in ("long silence", "no cable")
            yield name, make(), chance.uniform(SESSION_MS / 1000 + 2, longest_s) if longer else chance.uniform(1.5, 5.0)
        many -= len(kinds)


class World(steady.World):
    @contextlib.contextmanager
    def broker(self):
        try:
            self.network = network_relay.Network(self.chosen.seed)
        except network_relay.NotAllowed as error:
            shutil.rmtree(self.folder)
            print("no network of our own here: %s" % error)
            sys.exit(77)
        with kafka.Kafka(host=network_relay.BROKER) as node:
            self.bootstrap = node.bootstrap
            self.begin(PARTITIONS)
            for name in self.topics().values():
                node.create_topic(name, PARTITIONS, {"retention.ms": "-1"})
            yield
        self.network.close()


class Flow:
    """Records all the time, so that there is always something to be lost."""

    def __init__(self, world, seed):
        self.world, self.seed, self.error = world, seed, None
        self.stopping, self.thread = threading.Event(), threading.Thread(target=self._flow)

    def _flow(self):
        try:
            while not self.stopping.wait(1.0):
                self.world.send(generate.load(RECORDS_A_SECOND, self.seed)[0])
                self.seed += 1
        except (RuntimeError, OSError) as error:
            self.error = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


class Siege:
    def __init__(self, world):
        self.world, self.network, self.chance = world, world.network, random.Random(world.chosen.seed)
        self.worker = steady.Worker(world, SESSION_MS, before=world.network.enter)
        self.kills, self.ends, self.back_s, self.started = 0, 0, 0.0, 0.0

    def start(self):
        self.started = time.monotonic()
        self.worker.start()

    def look(self):
        """Whether all is through; a worker that has ended as it may is started again."""
        status = self.worker.process.poll()
        if status is not None:
            last = self.worker.tail().splitlines()[-1:]
            if status != 75 or not last or not last[0].startswith("onceward: "):
                raise harness.Failure("it ended with %d: %s" % (status, self.worker.tail()))
            print("ended with 75: " + last[0], flush=True)
            self.ends += 1
            self.start()
        return self.worker.is_through()

    def must_not_repeat(self):
        steady.must_not_repeat(self.worker.warnings(), LINES_A_MINUTE * (1 + (time.monotonic() - self.started) / 60))

    def wait(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.look()
            time.sleep(0.1)

    def until_back(self, what):
        """Until it handles records again."""
        begin, before = time.monotonic(), sum(self.worker.positions().values())
        while sum(self.worker.positions().values()) <= before:
            if time.monotonic() > begin + BACK_S:
                raise harness.Failure("%s: no record in %d s\n%s" % (what, BACK_S, self.worker.tail()))
            self.look()
            time.sleep(0.1)
        self.back_s = max(self.back_s, time.monotonic() - begin)
        return time.monotonic() - begin

    def one(self, name, weather, seconds):
        if weather is None:
            self.network.link(False)
        else:
            self.network.set(weather)
        kill = self.chance.random() < KILL_SHARE
        if kill:
            self.wait(self.chance.uniform(0, seconds))
            self.must_not_repeat()
            self.worker.kill()
            self.kills += 1
            self.start()
        self.wait(seconds)
        if weather is None:
            self.network.link(True)
        self.network.set(Weather())
        back_s = self.until_back(name)
        print("%-22s %4.1f s%s, handles records %4.1f s later" % (name, seconds, ", killed" if kill else "", back_s), flush=True)
        self.wait(self.chance.uniform(*CALM_S))


def siege(world):
    attack = Siege(world)
    longest_s = 40 if world.chosen.troubles > 20 else 12
    try:
        with Flow(world, world.chosen.seed) as flow:
            attack.start()
            attack.until_back("the start")
            for trouble in troubles(attack.chance, world.chosen.troubles, longest_s):
                attack.one(*trouble)
        if flow.error:
            raise flow.error
        deadline = time.monotonic() + BACK_S
        while not attack.look():
            if time.monotonic() > deadline:
                raise harness.Failure("not at the ends %d s after the last trouble\n%s" % (BACK_S, attack.worker.tail()))
            time.sleep(0.1)
        attack.must_not_repeat()
        attack.worker.stop()
    finally:
        if attack.worker.process is not None and attack.worker.process.poll() is None:
            attack.worker.kill()
    attack.worker.check(*world.dump())
    network = world.network
    print("%d troubles, %d kills, %d ends with 75, longest until it went on %.1f s; %d records; of %d packets %d lost, %d doubled, %d damaged"
          % (world.chosen.troubles, attack.kills, attack.ends, attack.back_s, sum(world.ends.values()), network.carried, network.lost,
             network.doubled, network.flipped))


def outside():
    """Begins again in a namespace of its own."""
    for tool in ("unshare", "nsenter", "ip"):
        if shutil.which(tool) is None:
            print("no network of our own here: no '%s' (packages util-linux and iproute2)" % tool)
            return 77
    how = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--user", "--map-root-user"]
    tried = subprocess.run([*how, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        print("no network of our own here: %s" % re.sub(r"\s+", " ", tried.stderr))
        return 77
    kafka.jars()                                            # while there is a network that has them
    return subprocess.run([*how, sys.executable, "-B", *sys.argv], env={**os.environ, INSIDE: "1"}, check=False,
                          preexec_fn=kafka.die_with_parent).returncode


def inside():
    found = harness.options(__doc__, troubles=10)
    harness.World = World                                   # what main makes
    return harness.main(siege, found, ("troubles",))


if __name__ == "__main__":
    sys.exit(inside() if INSIDE in os.environ else outside())
