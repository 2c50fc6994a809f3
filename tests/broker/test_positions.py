#!/usr/bin/python3
"""Operators and a real broker: groups that are moved back and forth, offsets that are deleted, partitions that are added, records that are
deleted before they were handled, a topic that is deleted and made anew with fewer partitions. Each start that is refused says a command line;
that very line is given, the next start goes on, and in the end each order has its effect once, verify and verify --topic are content.

    tests/broker/test_positions.py [--binary …] [--bootstrap …]
"""
import json
import pathlib
import re
import shlex
import socket
import struct
import subprocess
import sys
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import broker_io      # noqa: E402
import generate       # noqa: E402
import harness        # noqa: E402

SESSION_MS = 2000
DELETE_RECORDS, OFFSET_DELETE = 21, 47


def must(name, condition, *said):
    if not condition:
        raise harness.Failure("%s: %s" % (name, said))


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def request(bootstrap, api, body):
    """One request of Kafka's protocol, for what confluent_kafka 1.7 cannot ask; the answer behind its correlation id."""
    host, port = bootstrap.split(":")
    message = struct.pack(">hhi", api, 0, 1) + text("test") + body
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(struct.pack(">i", len(message)) + message)
        stream = connection.makefile("rb")
        return stream.read(struct.unpack(">i", stream.read(4))[0])[4:]


def delete_records(bootstrap, topic, partition, before):
    answer = request(bootstrap, DELETE_RECORDS, struct.pack(">i", 1) + text(topic) + struct.pack(">iiqi", 1, partition, before, 10000))
    must("DeleteRecords", struct.unpack(">qh", answer[-10:]) == (before, 0), answer)


def delete_offsets(bootstrap, group, topic, partitions):
    answer = request(bootstrap, OFFSET_DELETE, text(group) + struct.pack(">i", 1) + text(topic) + struct.pack(
        ">i%di" % len(partitions), len(partitions), *partitions))
    must("OffsetDelete", struct.unpack(">h", answer[:2]) == (0,) and struct.unpack(">h", answer[-2:]) == (0,), answer)


class Shop:
    def __init__(self, world):
        self.world, self.worker, self.total = world, harness.Worker(world, "shop"), {}
        self.topic, self.other = world.topics()[generate.ORDERS], world.topics()[generate.PAYMENTS]
        self.group = "%s-shop" % world.folder.name
        settings = json.loads(self.worker.config.read_text("utf-8"))
        settings["kafka"]["properties"] |= {"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 500}
        self.worker.config.write_text(json.dumps(settings), "utf-8")
        broker_io.create_topics(world.bootstrap, [self.topic, self.other], 2)

    def produce(self, orders, partitions):
        """A new order each, in the partitions in turn: what an order's second effect would be is seen in its version."""
        now_ms = int(time.time() * 1000)
        log = [(self.topic, None, None, json.dumps(generate.event(
            "c-%d" % order, "order.created", "o-%d" % order, {"amount": 100 + order, "currency": "EUR"}, now_ms)).encode(), now_ms) for order in orders]
        broker_io.produce(self.world.bootstrap, log, partitions)

    def run(self, name, **expected):
        """What this run has added to the totals."""
        before, self.total = self.total, self.worker.run()["total"]
        added = {key: count - before.get(key, 0) for key, count in self.total.items() if count != before.get(key, 0)}
        must(name, added == expected, added, self.worker.tail())
        self.worker.verify()

    def positions(self, *arguments, code=0):
        done = subprocess.run([self.world.chosen.binary, "positions", *arguments, "-c", str(self.worker.config), "-o", "json"], capture_output=True,
                              text=True, timeout=self.world.chosen.timeout, check=False)
        must(" ".join(arguments), done.returncode == code, done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout) if done.stdout else None, done.stderr

    def list(self):
        return {row["partition"]: row for row in self.positions("list")[0]["positions"] if row["topic"] == self.topic}

    def refused(self, name, verb, listed=True):
        """The start ends with 4 and a command line; list says the same, unless it would have to read the topic. The line."""
        self.worker.start()
        status, said = self.worker.process.wait(60), self.worker.tail()
        line = re.search(r"onceward (positions %s --topic \S+ .*?--why TEXT)" % verb, said)
        must(name, status == 4 and line, status, said)
        must(name + ": list", not listed or any(row["refused"] and line.group(1) in row["refused"] for row in self.list().values()), self.list())
        return shlex.split(line.group(1).replace("TEXT", "'%s'" % name))[1:]

    def move(self, offsets):
        """As Kafka's tools do, once nobody is in the group any more."""
        tool = Consumer({"bootstrap.servers": self.world.bootstrap, "group.id": self.group, "enable.auto.commit": False})
        for attempts_left in reversed(range(100)):
            try:
                tool.commit(offsets=[TopicPartition(self.topic, partition, offset) for partition, offset in offsets.items()], asynchronous=False)
                break
            except KafkaException:
                if attempts_left == 0:
                    raise
                time.sleep(0.1)
        tool.close()

    def rows(self, query):
        db = harness.store.open_read_only(self.worker.db)
        try:
            return [row[:] for row in db.execute(query).fetchall()]
        finally:
            db.close()


def resets(shop):
    shop.produce(range(20), 2)
    shop.run("at the beginning", applied=20)
    rows = shop.list()
    must("list", all(row["position"] == row["committed"] == row["end"] == 10 and row["committed_by"] == "ours" and row["lag"] == 0 and
                     row["next_start"] == {"by": "position", "offset": 10} for row in rows.values()), rows)
    shop.move({0: 4, 1: 0})
    must("list, moved back", shop.list()[0]["next_start"] == {"by": "rewound", "offset": 4} and shop.list()[0]["committed_by"] == "operator", shop.list())
    shop.run("moved back", reread=16)
    shop.produce(range(20, 24), 2)
    shop.move({0: 12})
    told, _ = shop.positions(*shop.refused("moved forward", "set"))
    must("moved forward", [change["did"] for change in told["positions"]] == ["kept"], told)
    shop.run("moved forward, and back", applied=4)


def sets(shop):
    shop.produce(range(24, 26), 2)
    where = ("--topic", shop.topic, "--partition", "1", "--why", "a test")
    shop.positions("set", *where, "--to-latest", code=2)
    told, said = shop.positions("set", *where, "--to-latest", "--skip")
    must("the worker has only just gone", not told["group_told"] and "will be told by the next start" in said, told, said)
    shop.run("skipped", applied=1)
    must("skipped", ("skipped", 12, 12) in shop.rows("SELECT outcome, first_offset, last_offset FROM ow_ledger"), "")
    time.sleep(SESSION_MS / 1000 + 0.5)
    told, said = shop.positions("set", *where, "--offset", "12")
    must("told", told["group_told"] and shop.list()[1]["committed"] == 12, told, said, shop.list())
    told, _ = shop.positions("set", *where, "--to-earliest", "--dry-run")
    must("not done", told["dry_run"] and shop.list()[1]["position"] == 12, told)
    shop.run("handled after all", applied=1)


def partitions_and_offsets(shop):
    time.sleep(SESSION_MS / 1000 + 0.5)
    delete_offsets(shop.world.bootstrap, shop.group, shop.topic, [0, 1])
    must("no offsets", shop.list()[0]["committed_by"] == "none", shop.list())
    admin = AdminClient({"bootstrap.servers": shop.world.bootstrap})
    admin.create_partitions([NewPartitions(shop.topic, 4)], operation_timeout=30)[shop.topic].result(30)
    shop.produce(range(26, 34), 4)
    shop.run("offsets deleted, partitions added", applied=8)


def lost(shop):
    shop.produce(range(34, 42), 4)
    end = shop.list()[2]["end"]
    delete_records(shop.world.bootstrap, shop.topic, 2, end - 1)
    told, _ = shop.positions(*shop.refused("deleted unread", "accept-lost"))
    must("lost", [(change["did"], change["partition"], change["left_out"]) for change in told["positions"]] == [("lost", 2, 1)], told)
    shop.run("what is left", applied=7)
    must("lost", ("lost", end - 2, end - 2) in shop.rows("SELECT outcome, first_offset, last_offset FROM ow_ledger WHERE partition = 2"), "")


def recreated(shop):
    admin = AdminClient({"bootstrap.servers": shop.world.bootstrap})
    admin.delete_topics([shop.topic], operation_timeout=30)[shop.topic].result(30)
    for attempts_left in reversed(range(50)):
        try:
            broker_io.create_topics(shop.world.bootstrap, [shop.topic], 3)
            break
        except KafkaException:
            if attempts_left == 0:
                raise
            time.sleep(0.2)
    shop.produce(range(60, 63), 3)
    shop.refused("made anew", "adopt")
    shop.produce([*range(42)] * 2, 3)   # until each partition has grown beyond its position, and only the anchor tells
    told, _ = shop.positions(*shop.refused("made anew", "adopt", listed=False))
    must("adopted", [(change["did"], change["incarnation"], change["to"]) for change in told["positions"]] == [("adopted", 1, 0)] * 3, told)
    lost_one = 36                       # in partition 2, deleted unread above
    shop.run("the new one", duplicate=83, applied=4)
    must("what was lost came again", shop.rows("SELECT version FROM orders WHERE order_id = 'o-%d'" % lost_one) == [(1,)], "")
    must("list, fewer partitions", "no such partition" in shop.list()[3]["refused"], shop.list())


def test(world):
    shop = Shop(world)
    resets(shop)
    sets(shop)
    partitions_and_offsets(shop)
    lost(shop)
    recreated(shop)
    must("each order once", shop.rows("SELECT count(*), min(version), max(version) FROM orders") == [(45, 1, 1)], "")
    done = subprocess.run([world.chosen.binary, "verify", "--topic", "-c", str(shop.worker.config)], capture_output=True, text=True, timeout=60, check=False)
    must("verify --topic", done.returncode == 0, done.stdout, done.stderr)
    audit = shop.rows("SELECT command, why, count(*) FROM ow_audit GROUP BY 1, 2 ORDER BY 1, 2")
    must("audit", audit == [("positions accept-lost", "deleted unread", 1), ("positions adopt", "made anew", 3), ("positions set", "a test", 2),
                            ("positions set", "moved forward", 1)], audit)


if __name__ == "__main__":
    sys.exit(harness.main(test, harness.options(__doc__), ()))
