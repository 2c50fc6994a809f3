#!/usr/bin/python3
"""A switch-over on a real broker: another consumer has handled what lies below its committed offsets. `claims seed --from-topic` and
`seed entities` take that over; then the worker goes on at these offsets, old messages are duplicates, orders under way go on, and a group
that is moved back to the beginning changes nothing.

    tests/broker/test_seed.py [--binary …] [--bootstrap …]
"""
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
from confluent_kafka import Consumer, KafkaException, TopicPartition  # noqa: E402

import broker_io         # noqa: E402
import generate          # noqa: E402
import harness           # noqa: E402

ORDERS, PARTITIONS = 300, 3


def must(name, condition, *said):
    if not condition:
        raise harness.Failure("%s: %s" % (name, said))


def do(world, worker, *arguments, given=None):
    done = subprocess.run([world.chosen.binary, *arguments, "-c", str(worker.config), "-o", "json"], input=given, capture_output=True, text=True,
                          timeout=world.chosen.timeout, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def seed(world, worker, name, expected, *texts):
    status, told, said = do(world, worker, "claims", "seed", "--from-topic")
    must(name, status == 0 and told == dict(expired=0, filtered=0, bad=0) | expected and all(text in said for text in texts), status, told, said)


def record(topic, event_id, kind, order, data, time_ms):
    key, value = ("o-%d" % order).encode(), generate.event(event_id, kind, "o-%d" % order, data, time_ms)
    return topic, key, None, value if isinstance(value, bytes) else json.dumps(value).encode(), time_ms


def story(order, begun, now_ms):
    """What the other consumer has handled, or what comes afterwards."""
    amount = {"amount": 1000 + order, "currency": "EUR"}
    if begun:
        return [record(generate.ORDERS, "c-%d" % order, "order.created", order, amount, now_ms - 9000),
                record(generate.PAYMENTS, "p-%d" % order, "payment.succeeded", order, amount | {"payment_id": "pay-%d" % order, "method": "card"}, now_ms - 8000)]
    return [record(generate.ORDERS, "d-%d" % order, "order.dispatched", order, {}, now_ms - 7000),
            record(generate.ORDERS, "r-%d" % order, "order.received", order, {}, now_ms - 6000)]


def produce(world, log):
    names = world.topics()
    broker_io.produce(world.bootstrap, [(names[topic], *rest) for topic, *rest in log], PARTITIONS)


def ends(consumer, topics):
    return [TopicPartition(t, p, consumer.get_watermark_offsets(TopicPartition(t, p), timeout=30)[1]) for t in topics for p in range(PARTITIONS)]


def move_back(consumer, committed):
    """As soon as the broker has forgotten the worker, which is a static member."""
    for attempts_left in reversed(range(50)):
        try:
            consumer.commit(offsets=[TopicPartition(c.topic, c.partition, 0) for c in committed], asynchronous=False)
            return
        except KafkaException:
            if attempts_left == 0:
                raise
            time.sleep(0.2)


def entity(order):
    amount = {"amount_minor": 1000 + order, "currency": "EUR"}
    return json.dumps({"id": "o-%d" % order, "state": "paid", **amount, "paid_minor": 1000 + order, "records": {
        "payments": [{"payment_id": "pay-%d" % order, "order_id": "o-%d" % order, "method": "card", **amount}]}}) + "\n"


def test(world):
    worker, now_ms = harness.Worker(world, "taken"), int(time.time() * 1000)
    settings = json.loads(worker.config.read_text("utf-8"))
    settings["kafka"]["properties"] |= {"session.timeout.ms": 2000, "heartbeat.interval.ms": 500}
    worker.config.write_text(json.dumps(settings), "utf-8")
    topics, group = sorted(world.topics().values()), "%s-taken" % world.folder.name
    broker_io.create_topics(world.bootstrap, topics, PARTITIONS)
    begun = [r for order in range(ORDERS) for r in story(order, True, now_ms)] + [(generate.ORDERS, b"x", None, b"no event", now_ms)]
    produce(world, begun)
    status, _, said = do(world, worker, "claims", "seed", "--from-topic")
    must("a group that has committed nothing", status == 1 and "has committed no offset" in said, status, said)

    old = Consumer({"bootstrap.servers": world.bootstrap, "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    old.subscribe(topics)
    while not old.assignment():
        old.poll(0.1)
    committed = ends(old, topics)
    old.commit(offsets=committed, asynchronous=False)
    produce(world, [r for order in range(ORDERS) for r in story(order, False, now_ms)])
    seed(world, worker, "while it runs", dict(read=2 * ORDERS + 1, claimed=2 * ORDERS, known=0, bad=1), "somebody is in group")
    old.close()
    seed(world, worker, "once more", dict(read=2 * ORDERS + 1, claimed=0, known=2 * ORDERS, bad=1))
    status, told, said = do(world, worker, "seed", "entities", "--from-jsonl", "-", given="".join(map(entity, range(ORDERS))))
    must("entities", status == 0 and told == dict(read=ORDERS, seeded=ORDERS, known=0, bad=0), status, told, said)
    worker.verify()

    # The same again, a payment under another message id, and another content under an old id.
    changed = story(8, True, now_ms)[0]
    produce(world, story(7, True, now_ms) + [
        (*story(7, True, now_ms)[1][:3], story(7, True, now_ms)[1][3].replace(b"p-7", b"q-7"), now_ms), (*changed[:3], changed[3].replace(b"1008", b"1"), now_ms)])
    total = worker.run()["total"]
    must("the worker", total == dict(applied=2 * ORDERS, duplicate=2, stale=1, parked=0, quarantined=1, filtered=0, reread=0), total)
    db = harness.store.open_read_only(worker.db)
    must("orders", db.execute("SELECT state, version, count(*) FROM orders GROUP BY 1, 2").fetchall()[0][:] == ("received", 3, ORDERS), "")
    begins = {(t, p): o for t, p, o in db.execute("SELECT topic, partition, min(first_offset) FROM ow_ledger GROUP BY 1, 2")}
    must("ledger", begins and all(begins.get((c.topic, c.partition), c.offset) == c.offset for c in committed), begins, committed)
    must("conflict", db.execute("SELECT reason FROM ow_quarantine").fetchall()[0][:] == ("conflict",), "")
    db.close()
    before = worker.verify()["state_hash"]
    status, _, said = do(world, worker, "verify", "--topic")
    must("verify --topic", status == 0 and "%d of them are before the place" % (2 * ORDERS + 1) in said, status, said)

    # An operator moves the group back to the beginning.
    old = Consumer({"bootstrap.servers": world.bootstrap, "group.id": group, "enable.auto.commit": False})
    move_back(old, committed)
    old.close()
    total = worker.run()["total"]
    must("from the beginning", total["applied"] == 2 * ORDERS and total["duplicate"] == 2 + 2 * ORDERS, total)
    must("from the beginning: nothing has changed", worker.verify()["state_hash"] == before, "")
    status, _, said = do(world, worker, "verify", "--topic")
    must("verify --topic, from the beginning", status == 0, status, said)


if __name__ == "__main__":
    sys.exit(harness.main(test, harness.options(__doc__), ()))
