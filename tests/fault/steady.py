"""What the tests of brokers and networks in trouble share: topics that grow, a worker without an end, and what the group and the store say
of it while it runs."""
import collections
import json
import os
import re
import sqlite3
import subprocess

from confluent_kafka import Consumer, TopicPartition

import broker_io
import compare
import harness
import store

WARNING = re.compile(r"level=(?:warn|error) |^onceward: ")
NOT_TROUBLE = re.compile(r"facility=AUTOCREATE|event=claim_retention|event=inflight")      # said without trouble, too


def must_not_repeat(said, most):
    """Trouble that lasts is said now and then."""
    kinds = collections.Counter(said).most_common(1)
    if kinds and kinds[0][1] > most:
        raise harness.Failure("said in each turn: %s" % kinds)


class World(harness.World):
    """Its topics grow by send; call begin once they have their names."""

    def begin(self, partitions):
        self.partitions, self.ends = partitions, collections.Counter()
        self.places = [(name, p) for name in self.topics().values() for p in range(partitions)]

    def send(self, log):
        names = self.topics()
        named = [(names[topic], *rest) for topic, *rest in log]
        broker_io.produce(self.bootstrap, named, self.partitions)
        for i, (topic, key, *_) in enumerate(named):
            self.ends[topic, broker_io.partition_of(i, key, self.partitions)] += 1


class Worker(harness.Worker):
    def __init__(self, world, session_ms, name="worker", before=(), **properties):
        """before: what its command begins with; properties: its own way to the broker, with _ for the dots."""
        super().__init__(world, name)
        self.before = list(before)
        config = json.loads(self.config.read_text("utf-8"))
        config["kafka"]["properties"].update({"session.timeout.ms": session_ms, "heartbeat.interval.ms": 500,
                                              **{key.replace("_", "."): value for key, value in properties.items()}})
        self.config.write_text(json.dumps(config, indent=1), "utf-8")
        self.asked = [TopicPartition(*place) for place in world.places]
        self.group = Consumer({"bootstrap.servers": world.bootstrap, "group.id": config["kafka"]["group"], "log_level": 0})
        self.committed()                        # finds the coordinator before that is made hard

    def start(self, *options):
        self.runs += 1
        self.err = self.world.folder / ("%s-%d.err" % (self.name, self.runs))
        with open(self.err, "wb") as err:
            self.process = subprocess.Popen([*self.before, self.world.chosen.binary, "run", "-c", str(self.config), *options],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, cwd=self.world.folder)

    def stop(self):
        """A clean stop; Failure where it is none."""
        self.process.terminate()
        try:
            status = self.process.wait(self.world.chosen.timeout)
        except subprocess.TimeoutExpired:
            raise harness.Failure("it does not stop") from None
        if status != 0:
            raise harness.Failure("a clean stop ended with %d" % status)

    def committed(self):
        found = self.group.committed(self.asked, timeout=20)
        return {(place.topic, place.partition): place.offset for place in found if place.offset >= 0}

    def positions(self):
        """(topic, partition) -> the next offset; {} where the store cannot be read yet."""
        if not os.path.exists("%s-wal" % self.db):
            return {}
        db = None
        try:
            db = store.open_read_only(self.db)
            return {(t, p): n for t, p, n in db.execute("SELECT topic, partition, next_offset FROM ow_position")}
        except sqlite3.OperationalError:
            return {}
        finally:
            if db is not None:
                db.close()

    def is_through(self):
        """Whether all is handled and committed; Failure where more is committed than is durable."""
        committed, positions = self.committed(), self.positions()       # in this order: positions only grow
        for place, offset in committed.items():
            if positions and offset > positions.get(place, 0):
                raise harness.Failure("%s is committed to %d, and durable to %d" % (place, offset, positions.get(place, 0)))
        return all(committed.get(place, 0) == positions.get(place, 0) == self.world.ends[place] for place in self.world.places)

    def warnings(self):
        """The lines of this process that tell of trouble, less what changes from one to the next."""
        lines = [line for line in self.err.read_text("utf-8", "replace").splitlines()
                 if WARNING.search(line) and not NOT_TROUBLE.search(line)]
        return [re.sub(r"\d+", "#", re.sub(r"^time=\S+ ", "", line)) for line in lines]

    def check(self, logs, firsts):
        """The whole comparison with the model, without its tables: cases run side by side."""
        db = store.open_read_only(self.db)
        try:
            report, model = compare.check(db, [self.world.machine()], logs, firsts)
        finally:
            db.close()
        if report.total:
            raise harness.Failure("\n".join(report.lines()))
        if self.verify()["state_hash"] != model.state_hash():
            raise harness.Failure("verify's state_hash is not the model's")
        return model

    def cpu_s(self):
        with open("/proc/%d/stat" % self.process.pid, encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
