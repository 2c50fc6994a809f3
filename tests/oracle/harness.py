"""What the broker tests share: a broker, a topic full of a log, a worker on it, and the comparison afterwards.

The worker is $ONCEWARD, or --binary, or build/release/onceward. ONCEWARD_MORE in the environment means another seed and more
rounds (`./dev test --more`). On failure the working folder stays and its name is printed.
"""
import argparse
import contextlib
import json
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
import time

import broker_io
import check
import compare
import generate
import machine as mc
import store

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "broker"))
MORE = "ONCEWARD_MORE" in os.environ


class Failure(Exception):
    """The test failed; the text says how."""


def options(description, **defaults):
    """The options all broker tests have, and one for each default (a number)."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.environ.get("ONCEWARD", str(ROOT / "build/release/onceward")))
    parser.add_argument("--bootstrap", help="a running broker, instead of one of our own; topics then have names of their own")
    parser.add_argument("--machine", default=str(ROOT / "schemas/orders.yaml"))
    parser.add_argument("--seed", type=int, default=random.randrange(1, 1_000_000) if MORE else 1)
    parser.add_argument("--timeout", type=int, default=600, help="seconds that one run of the worker may take")
    parser.add_argument("--keep", action="store_true", help="keep the working folder")
    for name, value in defaults.items():
        parser.add_argument("--" + name, type=int, default=value)
    found = parser.parse_args()
    if not os.access(found.binary, os.X_OK):
        parser.error("no worker at %s: build it first, or say --binary" % found.binary)
    return found


def main(test, chosen, repeat_names):
    """Runs test(world) and says how it went. The exit status of the process."""
    world, begin = World(chosen), time.monotonic()
    repeat = [sys.executable, sys.argv[0], "--binary", chosen.binary]
    for name in ("seed", *repeat_names):
        repeat += ["--" + name, str(getattr(chosen, name))]
    try:
        with world.broker():
            test(world)
        result = "0 violations"
    except (Failure, RuntimeError, sqlite3.Error, OSError) as error:
        result = "FAILED: %s" % error
    failed = result != "0 violations"
    print("seed %d, %.0f s: %s" % (chosen.seed, time.monotonic() - begin, result))
    print("again: " + shlex.join(repeat))
    if failed or chosen.keep:
        print("left in " + str(world.folder))
    else:
        shutil.rmtree(world.folder)
    return 1 if failed else 0


class World:
    def __init__(self, chosen):
        self.chosen, self.bootstrap, self.node = chosen, None, None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="onceward-test-"))
        self.machine_path = chosen.machine

    @contextlib.contextmanager
    def broker(self):
        if self.chosen.bootstrap:
            self.bootstrap = self.chosen.bootstrap
            self._own_topic_names()
            yield
            return
        from kafka import Kafka
        with Kafka() as node:
            self.bootstrap, self.node = node.bootstrap, node
            yield

    def _own_topic_names(self):
        spec = mc.load_yaml(self.machine_path)
        spec["topics"] = ["%s-%s" % (t, self.folder.name[-8:]) for t in spec["topics"]]
        self.machine_path = str(self.folder / "machine.yaml")
        pathlib.Path(self.machine_path).write_text(json.dumps(spec, indent=1), "utf-8")

    def machine(self):
        return mc.load(self.machine_path)

    def topics(self):
        """The machine's topics, by the names that the generators use."""
        return dict(zip((generate.ORDERS, generate.PAYMENTS), self.machine().topics))

    def produce(self, log, partitions=4):
        names = self.topics()
        broker_io.create_topics(self.bootstrap, names.values(), partitions)
        begin = time.monotonic()
        broker_io.produce(self.bootstrap, [(names[topic], *rest) for topic, *rest in log], partitions)
        size = sum(len(value or b"") for _, _, _, value, _ in log)
        print("produced %d records, mean %.0f bytes, in %.1f s" % (len(log), size / len(log), time.monotonic() - begin), flush=True)

    def dump(self):
        return broker_io.dump(self.bootstrap, sorted(self.topics().values()))


class Worker:
    """One store and its group, and the processes that work on it, one after another."""

    def __init__(self, world, name):
        self.world, self.name, self.runs, self.process = world, name, 0, None
        self.db = world.folder / (name + ".db")
        self.config = world.folder / (name + ".yaml")
        self.config.write_text(json.dumps({
            "store": {"path": str(self.db)},
            "kafka": {"group": "%s-%s" % (world.folder.name, name), "start": "earliest",
                      "properties": {"bootstrap.servers": world.bootstrap}},
            "machines": [world.machine_path]}, indent=1), "utf-8")

    def start(self):
        self.runs += 1
        self.out = self.world.folder / ("%s-%d.out" % (self.name, self.runs))
        self.err = self.world.folder / ("%s-%d.err" % (self.name, self.runs))
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(
                [self.world.chosen.binary, "run", "-c", str(self.config), "--until-end", "-o", "json"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.world.folder)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def finish(self):
        """Waits for the end; the summary. Failure where it does not end, or not with 0."""
        try:
            status = self.process.wait(self.world.chosen.timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure("%s: not at the end after %d s\n%s" % (self.name, self.world.chosen.timeout, self.tail())) from None
        if status != 0:
            raise Failure("%s: run %d ended with %d\n%s" % (self.name, self.runs, status, self.tail()))
        if re.search(r"Sanitizer|runtime error:", self.tail()):
            raise Failure("%s: a sanitizer spoke\n%s" % (self.name, self.tail()))
        text = self.out.read_text("utf-8")
        try:
            return json.loads(text)
        except ValueError:
            raise Failure("%s: the summary is not JSON: %r" % (self.name, text[-500:])) from None

    def run(self):
        self.start()
        return self.finish()

    def tail(self):
        return self.err.read_text("utf-8", "replace")[-6000:]

    def verify(self):
        """What `onceward verify` says, as JSON; Failure unless it is content."""
        done = subprocess.run([self.world.chosen.binary, "verify", str(self.db), "-o", "json"], capture_output=True,
                              timeout=self.world.chosen.timeout, check=False)
        try:
            said = json.loads(done.stdout)
        except ValueError:
            said = {}
        if done.returncode != 0 or said.get("ok") is not True:
            raise Failure("verify %s ended with %d: %s %s" % (self.db, done.returncode, done.stdout[-2000:].decode("utf-8", "replace"),
                                                              done.stderr[-2000:].decode("utf-8", "replace")))
        return said

    def check(self, logs, firsts):
        """The whole comparison with the model; the model."""
        db = store.open_read_only(self.db)
        try:
            begin = time.monotonic()
            report, model = compare.check(db, [self.world.machine()], logs, firsts)
        finally:
            db.close()
        print("--- %s, compared with the model" % self.name)
        check.print_result(report, model, time.monotonic() - begin)
        sys.stdout.flush()
        if report.total:
            raise Failure("%s: %d differences from the model" % (self.name, report.total))
        said = self.verify()["state_hash"]
        if said != model.state_hash():
            raise Failure("%s: verify says state_hash %s, the model %s" % (self.name, said, model.state_hash()))
        return model


def summary_must_fit(summary, model):
    """The `-o json` summary of one run over the whole log."""
    totals = {outcome: summary["total"].get(outcome) for outcome in model.totals()}
    if totals != model.totals() or summary["run"]["records"] != sum(totals.values()):
        raise Failure("the summary says %s, the model %s" % (summary, model.totals()))
