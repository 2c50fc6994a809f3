#!/usr/bin/python3
"""Answers of the broker that are errors: each code for each kind of request, by the error stacks of librdkafka's mock cluster, with the
real worker on it. It either recovers by itself, or ends with the exit code and the line of ENDS and goes on when it is started again. Then
every record is there once by the oracle, and the group's offsets are at the ends. At no time are these beyond what is durable. Trouble that
lasts is told, not in each turn, and does not make the worker run in circles.

    tests/fault/stacks.py [--rounds 1] [--seed 1] [--lanes 32] [--only 'Fetch NOT_LEADER'] [--binary …]

A round has each pair of request and code once, the answers as many in a row, and as late, as the seed says, and the lasting ones. Each
failure prints the command that repeats it.
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import random
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

from confluent_kafka import KafkaException

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import generate       # noqa: E402
import harness        # noqa: E402
import stacks_mock    # noqa: E402
import steady         # noqa: E402

GONE = stacks_mock.TRANSPORT
CODES = (-1, 1, 2, 3, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 35, 41, 44, 56, 58, 70, 74, 75, 78, 79,
         81, 82, 88, GONE)
LASTING = [(api, code) for api, codes in {
    "Fetch": (6, 7, 29, GONE), "OffsetCommit": (7, 15, 30, GONE), "OffsetFetch": (-1, 14, 88), "JoinGroup": (14, 30, GONE),
    "SyncGroup": (-1, 15, 30), "Heartbeat": (-1, 15, 27), "FindCoordinator": (15, 30)}.items() for code in codes]
LASTING_S, LASTING_LEFT = 20, 3                 # how long the broker gives no other answer, and how many wait to be given
# librdkafka tries these again for ever and says nothing, and the worker cannot tell them from a topic without news: a known limit.
SILENT = {("Fetch", 6), ("Fetch", GONE)}

# What may end the worker: its exit code and what its last line says. Everything else it must live through.
FENCED = (75, "the group fenced us: another process joined under this store's id")
REFUSED = (1, "cannot read the group's committed offsets")
ENDS = {("Fetch", 1): (4, "is not in the log (any more)"), ("Fetch", 10): (2, "raise kafka.properties.receive.message.max.bytes"),
        **{(api, 82): FENCED for api in ("OffsetCommit", "JoinGroup", "SyncGroup", "Heartbeat")},
        **{("OffsetFetch", code): REFUSED for code in (29, 30, 31, 58)}}

# What makes a member that has its partitions send such a request.
TRIGGERS = {"JoinGroup": 27, "SyncGroup": 27, "OffsetFetch": 27, "FindCoordinator": 16}
ALWAYS_LATE = ("Fetch", "OffsetCommit", "Heartbeat")

RECORDS, PARTITIONS = 60, 2
STEP_S, PATIENCE_S, QUIET_S = 0.1, 90, 12
LINES_MAX = 4                                   # of one kind, in a run; what repeats is said each half minute
CPU_MAX = 0.25                                  # of one core, while the broker refuses


class Case:
    def __init__(self, number, api, code, count, late, lasting, seed):
        self.number, self.api, self.code, self.count, self.late, self.lasting, self.seed = number, api, code, count, late, lasting, seed

    def __str__(self):
        much = "for %d s" % LASTING_S if self.lasting else "x%d" % self.count
        return "%s %s %s %s" % (self.api, stacks_mock.name_of(self.code), much, "in the midst" if self.late else "from the start")


class World(steady.World):
    """A case's: a folder, topics and a group of its own, on the cluster of its lane."""

    def __init__(self, chosen, folder, cluster):        # pylint: disable=super-init-not-called
        self.chosen, self.folder, self.cluster, self.bootstrap = chosen, folder, cluster, cluster.bootstrap
        self.machine_path = chosen.machine
        folder.mkdir()
        self._own_topic_names()
        self.begin(PARTITIONS)
        for name in self.topics().values():
            cluster.create_topic(name, PARTITIONS)


class Run:
    """A case in work."""

    def __init__(self, case, world):
        self.case, self.world, self.cluster, self.worker = case, world, world.cluster, steady.Worker(world, session_ms=5000)
        self.log, _ = generate.load(RECORDS, case.seed)
        self.begin, self.pushed, self.exits, self.lasted_s = 0, 0, [], 0.0

    def used_up(self):
        return self.cluster.left(self.case.api) == 0

    def trouble(self):
        """From now on the broker gives such answers."""
        self.begin, self.pushed = time.monotonic(), self.case.count
        self.cluster.push(self.case.api, [self.case.code] * self.case.count)
        if self.case.late and self.case.api in TRIGGERS:
            self.cluster.push("Heartbeat", [TRIGGERS[self.case.api]])

    def last(self):
        """Goes on giving them for a while; how often it was asked."""
        cpu_s, until = self.worker.cpu_s(), self.begin + LASTING_S
        while time.monotonic() < until and not self.ended():
            wanted = LASTING_LEFT - self.cluster.left(self.case.api)
            self.cluster.push(self.case.api, [self.case.code] * wanted)
            self.pushed += wanted
            time.sleep(STEP_S / 10)
        if self.worker.process.poll() is None and self.worker.cpu_s() - cpu_s > CPU_MAX * LASTING_S:
            raise harness.Failure("%.1f s of CPU in %d s" % (self.worker.cpu_s() - cpu_s, LASTING_S))

    def until(self, condition, what):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise harness.Failure("%s: not within %d s\n%s" % (what, PATIENCE_S, self.worker.tail()))
            time.sleep(STEP_S)

    def ended(self):
        """Starts the worker again where it has ended as it may; Failure where it may not."""
        status = self.worker.process.poll()
        if status is None:
            return False
        want, line = ENDS.get((self.case.api, self.case.code), (None, None))
        said = self.worker.tail().splitlines()[-1:]
        if status != want or line not in said[0]:
            raise harness.Failure("ended with %d, not %s: %s" % (status, want, said))
        self.exits.append(status)
        if len(self.exits) > self.case.count + 1:
            raise harness.Failure("%d exits for %d errors" % (len(self.exits), self.case.count))
        self.worker.start()
        return True

    def through(self):
        """All was handled and committed, after the last of the errors."""
        self.ended()
        if not self.used_up():
            return False
        try:
            return self.worker.is_through()
        except KafkaException:                          # the answer of a refused group is ours as well
            return False

    def play(self):
        third = len(self.log) // 3
        self.world.send(self.log[:third])
        if not self.case.late:
            self.trouble()
        self.worker.start()
        if self.case.late:
            self.until(self.worker.is_through, "the first third")
            self.trouble()
        self.world.send(self.log[third:2 * third])
        if self.case.lasting:
            self.last()
        self.until(lambda: self.ended() or self.used_up(), "the errors used up")
        self.lasted_s = time.monotonic() - self.begin
        self.world.send(self.log[2 * third:])
        self.until(self.through, "everything handled and committed")
        self.worker.stop()
        self.check()

    def check(self):
        said = self.worker.warnings()
        steady.must_not_repeat(said, LINES_MAX)
        told = said or (self.case.api, self.case.code) in SILENT or (self.case.api == "Heartbeat" and "event=revoked" in self.worker.tail())
        if self.lasted_s > QUIET_S and not told:
            raise harness.Failure("nothing is said of what lasted %.1f s" % self.lasted_s)
        want = ENDS.get((self.case.api, self.case.code))
        if want and not self.exits:
            raise harness.Failure("it should have ended with %d: %s" % want)
        self.worker.check(*self.world.dump())


def plan(chosen):
    """The cases of all rounds, those that take longest first."""
    cases = []
    for number in range(chosen.rounds):
        chance = random.Random(chosen.seed + number)
        pairs = [(api, code, False) for api in stacks_mock.API for code in CODES] + [(api, code, True) for api, code in LASTING]
        for api, code, lasting in pairs:
            count = LASTING_LEFT if lasting else 1 if chance.random() < 0.5 else chance.randint(2, 4)
            late = api in ALWAYS_LATE or chance.random() < 0.5
            cases.append(Case(len(cases), api, code, count, late, lasting, chance.randrange(1 << 30)))
    chosen_ones = [case for case in cases if not chosen.only or re.search(chosen.only, str(case))]
    return sorted(chosen_ones, key=lambda case: (not case.lasting, -case.count))


class Lanes:
    """Cases side by side, for most of the time is spent waiting; a lane's next case has the same cluster."""

    def __init__(self, chosen, folder):
        self.chosen, self.folder, self.lane = chosen, folder, threading.local()

    def cluster(self):
        cluster = getattr(self.lane, "cluster", None)
        if cluster is None or any(cluster.left(api) for api in stacks_mock.API):
            cluster = self.lane.cluster = stacks_mock.Cluster()
        return cluster

    def play(self, case):
        """(the run, None) or (the run, why it failed)."""
        world = World(self.chosen, self.folder / ("case%04d" % case.number), self.cluster())
        run = Run(case, world)
        try:
            run.play()
            return run, None
        except (harness.Failure, KafkaException, OSError, RuntimeError, sqlite3.Error, subprocess.SubprocessError) as error:
            self.lane.cluster = None
            return run, error
        finally:
            if run.worker.process is not None and run.worker.process.poll() is None:
                run.worker.kill()
            run.worker.group.close()


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.environ.get("ONCEWARD", str(harness.ROOT / "build/release/onceward")))
    parser.add_argument("--machine", default=str(harness.ROOT / "schemas/orders.yaml"))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=32)
    parser.add_argument("--only", help="the cases whose name has this regular expression")
    parser.add_argument("--timeout", type=int, default=60)
    return parser.parse_args()


def main():
    chosen, begin = options(), time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="onceward-test-"))
    cases, lanes, found, failed = plan(chosen), Lanes(chosen, folder), collections.Counter(), 0
    with concurrent.futures.ThreadPoolExecutor(chosen.lanes) as pool:
        for run, error in pool.map(lanes.play, cases):
            found["errors"] += run.pushed
            if error is None:
                found[str(run.exits[0]) if run.exits else "recovered"] += 1
            else:
                failed += 1
                print("FAILED: %s: %s\n%s" % (run.case, error, run.worker.tail() if run.worker.runs else ""))
                print("again: " + shlex.join([sys.executable, sys.argv[0], "--binary", chosen.binary, "--seed", str(chosen.seed), "--rounds",
                                              str(chosen.rounds), "--only", "^%s$" % re.escape(str(run.case))]), flush=True)
    kinds = {(case.api, case.code) for case in cases}
    print("seed %d, librdkafka %s, %.0f s: %d cases, %d pairs of %d requests and %d codes, %d lasting; %d error answers, %d recovered, %s; %d violations"
          % (chosen.seed, stacks_mock.library_version(), time.monotonic() - begin, len(cases), len(kinds), len({api for api, _ in kinds}),
             len({code for _, code in kinds}), sum(case.lasting for case in cases), found["errors"], found["recovered"],
             ", ".join("%d ended with %s first" % (found[code], code) for code in ("1", "2", "4", "75")), failed))
    if failed:
        print("left in " + str(folder))
    else:
        shutil.rmtree(folder)
    sys.stdout.flush()
    os._exit(1 if failed or not cases else 0)       # the clusters are left behind, see stacks_mock


if __name__ == "__main__":
    main()
