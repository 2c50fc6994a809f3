#!/usr/bin/python3
"""A worker under fire on a real broker: killed at each failpoint (lib/base/failpoint.h), and between these at random moments, each time after
progress was seen; then the same for backups, restores, operators' changes, a standby, a migration and pruning. In the end the independent model
(tests/oracle) compares every row, `verify --topic` is content and the group's offsets are the topics' ends. A failpoint that is not reached,
or that no list here knows, fails the test. It takes a build with ONCEWARD_FAILPOINTS, as build/dev is.

    tests/broker/fire.py [--kills 40] [--records 60000] [--seed 1] [--binary …] [--bootstrap …]

--kills: rounds, each with topics and stores of its own, are begun until there were so many; a round has some 85.
"""
import collections
import contextlib
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import time

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import broker_io      # noqa: E402
import generate       # noqa: E402
import harness        # noqa: E402
import machine as mc  # noqa: E402
import store          # noqa: E402
import test_kill      # noqa: E402

PARTITIONS = 4
SESSION_S = 6
RETENTION_S = 4                                             # of the claims that are pruned; a bucket is sealed after a sixteenth of it
FIXTURE = harness.ROOT / "tests/unit/store/fixtures/store_v1.sql"

AHEAD = 1000                                                # records that a process finds, however fast it is and however slow the test
# Reached within so many records, at any of so many passes.
FLOW = {
    "start.locked": 1, "start.epoch": 1, "start.owned": 1,
    "assign.planned": 1, "assign.submitted": 1, "assign.taken": 1,
    "poll.taken": 400, "poll.noted": 400, "queue.submitted": 4, "decode.noted": 3, "decode.done": 3,
    "batch.begun": 3, "batch.judged": 3, "claim.written": 400, "entity.written": 300, "record.written": 60, "history.written": 400,
    "sighting.written": 3, "parked.written": 4, "parked.woken": 2, "quarantine.written": 1, "position.written": 6, "ledger.written": 30,
    "note.cleared": 3, "commit.before": 3, "commit.after": 3, "durable.told": 4,
}
MIXED = {"parked.written", "parked.woken"}                  # what takes orders and payments both: what is left may be all of one topic
FIRST = "assign.stored"                                     # a later assignment finds its positions in the store
RARE = dict.fromkeys(["quarantine.written", "sighting.written", "parked.woken"], 5 * AHEAD)     # what takes more
OFFSETS = ["offsets.before", "offsets.sent", "offsets.answered"]
END = ["stop.drained", "stop.committed", "close.before", "close.checkpointed", "close.store"]
REVOKE = ["revoke.before", "revoke.committed", "revoke.after"]
BACKUP = {"backup.copied": 9, "backup.before": 1, "backup.after": 1}
RESTORE = ["restore.marked", "restore.linked", "restore.placed"]
POSITIONS = ["positions.stored", "positions.told"]
STANDBY, MIGRATION = "start.standby", "start.migrated"
PRUNE = ["bucket.sealed", "filter.written", "prune.doomed", "prune.slice"]
ALL = {*FLOW, FIRST, *OFFSETS, *END, *REVOKE, *BACKUP, *RESTORE, *POSITIONS, STANDBY, MIGRATION, *PRUNE}


def must(condition, what, *said):
    if not condition:
        raise harness.Failure("%s %s" % (what, " ".join(map(str, said))))


def points_of(binary):
    """What the binary has; Failure where it is not one for this test, or has other points than the lists here."""
    done = subprocess.run([binary], env={**os.environ, "ONCEWARD_FAILPOINT": "list"}, capture_output=True, text=True, timeout=60, check=False)
    must(done.returncode == 0, "%s has no failpoints: say --binary, or configure it with -DONCEWARD_FAILPOINTS=ON" % binary)
    found = {line.split()[0] for line in done.stdout.splitlines()}
    must(found == ALL, "not tried by any list of fire.py, or no failpoints any more:", sorted(found ^ ALL))
    wrong = subprocess.run([binary, "version"], env={**os.environ, "ONCEWARD_FAILPOINT": "no.such:1"}, capture_output=True, timeout=60, check=False)
    must(wrong.returncode == 2, "a failpoint that there is not is no error:", wrong.returncode)
    return found


class Target(harness.Worker):
    """A store and its group; each process may be armed with a failpoint."""

    def __init__(self, fire, name, **settings):
        super().__init__(fire.world, name)
        self.fire, self.point, self.group = fire, None, "%s-%s" % (fire.world.folder.name, name)
        found = json.loads(self.config.read_text("utf-8"))
        found["kafka"]["properties"] |= {"session.timeout.ms": SESSION_S * 1000, "heartbeat.interval.ms": 500, "topic.metadata.refresh.interval.ms": 300}
        found |= {"limits": {"batch_rows": 256}, **settings}
        self.config.write_text(json.dumps(found, indent=1), "utf-8")

    def start(self, *arguments, point=None, nth=1, command="run"):
        self.runs += 1
        self.out = self.world.folder / ("%s-%d.out" % (self.name, self.runs))
        self.err = self.world.folder / ("%s-%d.err" % (self.name, self.runs))
        environment = {**os.environ} if point is None else {**os.environ, "ONCEWARD_FAILPOINT": "%s:%d" % (point, nth)}
        self.point = point
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen([self.world.chosen.binary, *command.split(), "-c", str(self.config), *map(str, arguments)], env=environment,
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.world.folder)

    def run(self):
        self.start("--until-end", "-o", "json")
        return self.finish()

    def dies(self):
        """Of its failpoint, and soon."""
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            status = "nothing"
        said = self.tail()
        must(status == -signal.SIGKILL and "failpoint: %s\n" % self.point in said, "%s: %s was not reached, it ended with %s\n%s" % (
            self.name, self.point, status, said[-3000:]))
        self.fire.count(self.point)

    def die_at(self, point, nth=1, *arguments, **more):
        self.start(*arguments, point=point, nth=nth, **more)
        self.dies()

    def says(self, text):
        until(lambda: text in self.tail(), "%s did not say %s" % (self.name, text), self)

    def handled(self):
        """The sum of the positions, asked while no process works."""
        if not self.db.exists():
            return 0
        with contextlib.closing(store.open_read_only(self.db)) as db:
            try:
                return db.execute("SELECT coalesce(sum(next_offset), 0) FROM ow_position").fetchone()[0]
            except sqlite3.OperationalError:                # it died before the schema was there
                return 0

    def ask(self, sql):
        with contextlib.closing(store.open_read_only(self.db)) as db:
            return [tuple(row) for row in db.execute(sql).fetchall()]

    def verify_topic(self):
        done = subprocess.run([self.world.chosen.binary, "verify", "--topic", "-c", str(self.config)], capture_output=True, text=True,
                              timeout=self.world.chosen.timeout, check=False)
        must(done.returncode == 0, "verify --topic ended with", done.returncode, done.stdout[-2000:], done.stderr[-2000:])

    def offsets_must_be_ends(self):
        """As any tool of Kafka sees them, without asking onceward."""
        consumer = Consumer({"bootstrap.servers": self.world.bootstrap, "group.id": self.group, "enable.auto.commit": False, "log_level": 3})
        try:
            known = consumer.list_topics(timeout=30).topics
            places = [TopicPartition(topic, partition) for topic in self.world.topics().values() for partition in known[topic].partitions]
            for found in consumer.committed(places, timeout=30):
                end = consumer.get_watermark_offsets(TopicPartition(found.topic, found.partition), timeout=30)[1]
                must(found.offset == end or (found.offset < 0 and end == 0), "the group's offset is not the end:", found, end)
        finally:
            consumer.close()


def until(condition, what, target=None, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        ended = target is not None and target.process.poll() is not None and not condition()
        if ended or time.monotonic() > deadline:
            raise harness.Failure("%s\n%s" % (what, "" if target is None else target.tail()[-3000:]))
        time.sleep(0.01)


class Fire:
    """All rounds; what was done in them."""

    def __init__(self, world):
        self.world, self.kills, self.log, self.produced = world, collections.Counter(), [], 0
        self.machine = mc.load_yaml(world.chosen.machine)

    def count(self, point):
        self.kills[point] += 1

    def own_topics(self, name, retention=None):
        """A machine file whose topics nobody has used yet."""
        made = json.loads(json.dumps(self.machine))
        made["topics"] = ["%s-%s-%s" % (topic, name, self.world.folder.name[-6:]) for topic in self.machine["topics"]]
        if retention is not None:
            made["claim"]["retention"] = retention
            made["park"] = {"deadline": retention, "per_entity": 32}
        path = self.world.folder / (name + ".machine.json")
        path.write_text(json.dumps(made, indent=1), "utf-8")
        self.world.machine_path = str(path)

    def feed(self, records):
        """The next part of the log goes to the topics."""
        topics = self.world.topics()
        part, self.log = self.log[:records], self.log[records:]
        must(len(part) == records, "the log is at its end: give it more --records")
        broker_io.produce(self.world.bootstrap, [(topics[topic], *rest) for topic, *rest in part], PARTITIONS)
        self.produced += records

    def round(self, number, seed):
        chance = random.Random(seed)
        print("--- round %d, seed %d" % (number, seed), flush=True)
        self.own_topics("r%d" % number)
        self.log, _ = generate.load(self.world.chosen.records, seed)
        self.produced = 0
        broker_io.create_topics(self.world.bootstrap, self.world.topics().values(), PARTITIONS)
        target = Target(self, "fire-%d" % number)
        kill_in_flow(target, chance)
        kill_at_end(target)
        kill_at_revoke(target)
        target.run()
        model = target.check(*self.world.dump())
        target.offsets_must_be_ends()
        target.verify_topic()
        kill_standby(target)
        kill_backups(target)
        kill_restores(target)
        kill_positions(target)
        must(target.verify()["state_hash"] == model.state_hash(), "another state than before backup, restore and rewinds")
        target.verify_topic()
        target.offsets_must_be_ends()
        kill_migration(self, number)
        kill_pruning(self, number)


def kill_in_flow(target, chance):
    """Each failpoint, and between them a kill at any moment after progress: so each process passes what the one before it died of, and no
    record is taken for the one to blame."""
    fire = target.fire
    fire.feed(AHEAD)
    target.die_at(FIRST)
    points = sorted(FLOW)
    chance.shuffle(points)
    for point in points:
        fire.feed(max(0, target.handled() + AHEAD - fire.produced))
        at = test_kill.killed_once(target, target.handled(), chance.randint(1, AHEAD), chance)
        must(at is not None, "it ended by itself", target.tail())
        fire.count("random")
        wanted = RARE.get(point, AHEAD)
        fire.feed(wanted if point in MIXED else max(0, target.handled() + wanted - fire.produced))
        nth = chance.randint(1, FLOW[point])
        target.die_at(point, nth)
        print("%6d of %6d records: killed at random, then at %s:%d" % (at, fire.produced, point, nth), flush=True)


def kill_at_end(target):
    """Where the log ends for now: offsets are committed by a process that goes on, or ends. Before each of them a bit of the rest comes."""
    for point in OFFSETS + END:
        target.fire.feed(100)
        target.die_at(point, 1, *(["--until-end"] if point in END else []))


def kill_at_revoke(target):
    """Partitions are added while it runs: what it has is revoked, and assigned anew with the new one."""
    admin, topics = AdminClient({"bootstrap.servers": target.world.bootstrap}), target.world.topics()
    topic = topics[generate.ORDERS]
    for count, point in enumerate(REVOKE, PARTITIONS + 1):
        target.start(point=point)
        target.says("event=assigned")
        time.sleep(0.5)
        admin.create_partitions([NewPartitions(topic, count)], operation_timeout=30)[topic].result(30)
        target.dies()


def kill_standby(target):
    """It dies when it has just taken over from an owner that was killed."""
    target.start("--standby")
    target.says("event=started")
    owner = target.process
    target.start("--standby", point=STANDBY)
    target.says("pid %d" % owner.pid)
    owner.kill()
    owner.wait()
    target.fire.count("random")
    target.dies()
    target.run()


def kill_backups(target):
    """By the running worker: it dies, and so does the command; the next one replaces what was left half-done."""
    copy, part = target.world.folder / (target.name + ".copy.db"), target.world.folder / (target.name + ".copy.db.part")
    for point, nth in BACKUP.items():
        target.start(point=point, nth=nth)
        target.says("event=started")
        asked = subprocess.run([target.world.chosen.binary, "backup", "-c", str(target.config), "--to", str(copy)], capture_output=True, text=True,
                               timeout=60, check=False)
        target.dies()
        must(asked.returncode != 0, "the backup of a worker that died:", asked)
        must(copy.exists() == (point == "backup.after") and part.exists() != copy.exists(), "left by a backup:", os.listdir(copy.parent))
        copy.unlink(missing_ok=True)
    target.run()
    done = subprocess.run([target.world.chosen.binary, "backup", "-c", str(target.config), "--to", str(copy)], capture_output=True, text=True,
                          timeout=60, check=False)
    must(done.returncode == 0 and not part.exists(), "a backup after one that died:", done)


def kill_restores(target):
    """After each of them, another restore or the next start goes on."""
    copy, kept = target.world.folder / (target.name + ".copy.db"), pathlib.Path("%s.before-restore" % target.db)
    for point in RESTORE:
        target.die_at(point, 1, "--from", copy, command="restore")
        if point == "restore.linked":
            target.start()
            must(target.process.wait(60) == 4, "a start on a file with two names:", target.tail())
        if point != "restore.placed":
            done = subprocess.run([target.world.chosen.binary, "restore", "-c", str(target.config), "--from", str(copy)], capture_output=True, text=True,
                                  timeout=60, check=False)
            must(done.returncode == 0, "restore after one that died at %s:" % point, done)
        target.run()
        target.verify()
        must(kept.exists(), "the old store is not kept")
        kept.unlink()


def kill_positions(target):
    """An operator's rewind is done once, whether or not the group was told before the command died."""
    topic = target.world.topics()[generate.ORDERS]
    rewinds = 0
    for point in POSITIONS:
        time.sleep(SESSION_S + 0.5)                         # a group with a member in it is not told
        before = target.ask("SELECT next_offset, (SELECT sum(reread) FROM ow_position) FROM ow_position WHERE topic = '%s' AND partition = 0" % topic)[0]
        back = before[0] - 100
        target.die_at(point, 1, "--topic", topic, "--partition", "0", "--offset", back, "--why", "under fire", command="positions set")
        rewinds += 1
        must(target.ask("SELECT count(*) FROM ow_audit") == [(rewinds,)], "not audited once:", target.ask("SELECT * FROM ow_audit"))
        for _ in range(2):                                  # the second one has nothing left to do
            target.run()
            found = target.ask("SELECT sum(reread) FROM ow_position")[0][0] - before[1]
            must(found == before[0] - back, "%d records were read again, not %d, after %s" % (found, before[0] - back, point))
        target.verify()


def kill_migration(fire, number):
    """A store of the schema before is whole, and of that schema, until the next start brings it up."""
    fire.own_topics("m%d" % number)
    target = Target(fire, "migrated-%d" % number)
    with contextlib.closing(sqlite3.connect(target.db)) as db:
        db.executescript(FIXTURE.read_text("utf-8"))
        text = db.execute("SELECT text FROM ow_machine").fetchone()[0]
        before = sorted(db.iterdump())
    settings = json.loads(target.config.read_text("utf-8"))
    path = fire.world.folder / ("migrated-%d.machine.json" % number)
    path.write_text(text, "utf-8")
    settings["machines"] = [str(path)]
    target.config.write_text(json.dumps(settings), "utf-8")
    target.die_at(MIGRATION)
    with contextlib.closing(sqlite3.connect(target.db)) as db:
        must(db.execute("PRAGMA user_version").fetchone() == (1,) and sorted(db.iterdump()) == before, "not as before the migration that died")
    target.start()
    target.process.wait(60)                                 # its topics are not there: 75 or 4, behind the migration
    must(target.ask("PRAGMA user_version") == [(2,)], "not migrated:", target.tail())
    target.verify()


def kill_pruning(fire, number):
    """Claims of a few seconds: they are sealed, filtered and pruned; what comes again then is not applied."""
    fire.own_topics("p%d" % number, "%ds" % RETENTION_S)
    target = Target(fire, "pruned-%d" % number, claims={"skew": "1s"})
    now_ms, topic = int(time.time() * 1000), target.world.topics()[generate.ORDERS]
    log = [(topic, b"o-%d" % i, None, generate.compact(generate.event("p-%d" % i, "order.created", "o-%d" % i, {"amount": 1, "currency": "EUR"}, now_ms)),
            now_ms) for i in range(400)]
    broker_io.create_topics(fire.world.bootstrap, target.world.topics().values(), PARTITIONS)
    broker_io.produce(fire.world.bootstrap, log, PARTITIONS)
    target.run()
    time.sleep(RETENTION_S / 16)
    for point in PRUNE:
        if point == "prune.doomed":
            time.sleep(max(0, now_ms / 1000 + RETENTION_S + 2 - time.time()))
        target.die_at(point)
    target.run()
    must(target.ask("SELECT count(*) FROM ow_claims") == [(0,)], "not pruned:", target.ask("SELECT * FROM ow_bucket"))
    broker_io.produce(fire.world.bootstrap, log[:100], PARTITIONS)
    target.run()
    must(target.ask("SELECT count(*), min(version), max(version) FROM orders") == [(400, 1, 1)], "applied twice, or not at all")
    must(target.ask("SELECT reason, count(*) FROM ow_quarantine GROUP BY 1") == [("expired", 100)], target.ask("SELECT reason, count(*) FROM ow_quarantine GROUP BY 1"))
    target.verify()
    target.verify_topic()


def test(world):
    points = points_of(world.chosen.binary)
    fire = Fire(world)
    rounds = 0
    while rounds == 0 or fire.kills.total() < world.chosen.kills:
        fire.round(rounds, world.chosen.seed + rounds)
        rounds += 1
    missed = points - set(fire.kills)
    must(not missed, "never reached:", sorted(missed))
    print("fire: %d kills in %d rounds (%d at random moments, %d at %d failpoints), 0 violations" % (
        fire.kills.total(), rounds, fire.kills["random"], fire.kills.total() - fire.kills["random"], len(points)))


if __name__ == "__main__":
    os.environ.setdefault("ONCEWARD", str(harness.ROOT / "build/dev/onceward"))
    sys.exit(harness.main(test, harness.options(__doc__, records=60_000, kills=40), ("records", "kills")))
