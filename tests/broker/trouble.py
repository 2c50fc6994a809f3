#!/usr/bin/python3
"""Broker and topic trouble under a worker that runs, on a real broker: the broker is killed, ended and frozen for longer than the session,
partitions are added, handled and unread records are deleted, the topic is deleted and made anew. What heals by itself is waited for by the same
process; what does not ends with 4 and a command line, which is given, and the next start goes on. After each of them every order that came is
there once, but for those that the ledger tells to be lost, and verify is content; in the end verify --topic too.

    tests/broker/trouble.py [--rounds 1] [--seed 1] [--binary …]

What happens at rest (groups that are moved, offsets that are deleted) is test_positions.py's, and a frozen worker test_ownership.py's.
"""
import collections
import json
import random
import re
import shlex
import signal
import subprocess
import sys
import time

from confluent_kafka.admin import AdminClient, NewPartitions

import test_ownership  # (its folder is ours; it puts tests/oracle on the path)
import test_positions
from test_ownership import PARTITIONS, SESSION_MS, wait_for

import broker_io
import harness


class Shop:
    """A worker, a flow of orders, and what has become of them."""

    def __init__(self, world):
        self.world, self.chance, self.done = world, random.Random(world.chosen.seed), collections.Counter()
        self.orders = test_ownership.Orders(world)
        self.topic, self.lost = self.orders.topic, 0
        self.store = test_ownership.Store(world, "trouble")
        settings = json.loads(self.store.config.read_text("utf-8"))
        settings["kafka"]["properties"]["topic.metadata.refresh.interval.ms"] = 300
        self.store.config.write_text(json.dumps(settings), "utf-8")
        self.worker = None
        self.admin = AdminClient({"bootstrap.servers": world.bootstrap, "log_level": 0})

    def start(self):
        self.worker = self.store.start()

    def caught_up(self, what):
        """By the same process, and nothing twice."""
        many = self.orders.count - self.lost
        self.store.until(many, what)
        if self.worker.process.poll() is not None:
            raise harness.Failure("%s: the worker ended\n%s" % (what, self.worker.said()[-3000:]))
        self.sound(what)

    def sound(self, what):
        if self.store.ask("SELECT count(*) FROM orders WHERE version != 1") != 0:
            raise harness.Failure("%s: an order was applied twice" % what)
        self.store.must_be_sound(self.orders.count - self.lost)
        self.done[what] += 1

    def refused(self, what, verb):
        """The worker ends with 4, and so does the next start, with a command line; it is given, and the next start goes on."""
        self.worker.ends(4, "positions ")                   # which of them it is, the next start tells
        again = self.store.start()
        again.ends(4, "positions %s" % verb)
        line = re.search(r"onceward (positions %s --topic \S+ .*?--why TEXT)" % verb, again.said())
        arguments = shlex.split(line.group(1).replace("TEXT", "'%s'" % what))
        done = subprocess.run([self.world.chosen.binary, *arguments, "-c", str(self.store.config), "-o", "json"], capture_output=True, text=True,
                              timeout=60, check=False)
        if done.returncode != 0:
            raise harness.Failure("%s: %s" % (arguments, done))
        self.start()
        return json.loads(done.stdout)["positions"]

    def next_offsets(self):
        return [self.store.ask("SELECT next_offset FROM ow_position WHERE topic = '%s' AND partition = %d ORDER BY incarnation DESC" % (
            self.topic, partition)) for partition in range(self.orders.partitions)]

    def remake(self, many):
        """The topic is deleted and made anew, with so many new orders in each partition."""
        self.admin.delete_topics([self.topic], operation_timeout=30)[self.topic].result(30)
        wait_for(lambda: self.topic not in self.admin.list_topics(timeout=10).topics, "%s is still there" % self.topic)
        for attempts_left in reversed(range(50)):
            try:
                broker_io.create_topics(self.world.bootstrap, [self.topic], self.orders.partitions)
                break
            except Exception:                               # the broker has not forgotten it yet
                if attempts_left == 0:
                    raise
                time.sleep(0.2)
        self.new_producer()
        self.orders.add(many * self.orders.partitions)

    def new_producer(self):
        """One that knows the topic as it is now."""
        before, self.orders = self.orders, test_ownership.Orders(self.world)
        self.orders.count, self.orders.partitions = before.count, before.partitions


def broker_ends(shop, number):
    """While records flow; the outage is longer than the session."""
    node = shop.world.node
    with shop.orders.flowing():
        time.sleep(shop.chance.uniform(0.3, 1.5))
        node.kill(number)
        time.sleep(SESSION_MS / 1000 + shop.chance.uniform(0, 1))
        node.start()
        time.sleep(1)
    shop.caught_up("broker ended by %s" % signal.Signals(number).name)


def broker_restarts_at_once(shop):
    with shop.orders.flowing():
        time.sleep(shop.chance.uniform(0.3, 1.5))
        shop.world.node.restart()
        time.sleep(0.5)
    shop.caught_up("broker restarted at once")


def starts_without_broker(shop):
    """It waits; so does one that is killed and started meanwhile."""
    shop.orders.add(50)
    shop.world.node.kill(signal.SIGTERM)
    shop.worker.signal(signal.SIGKILL)
    shop.worker.process.wait()
    shop.start()
    shop.worker.says("event=broker_away")
    shop.world.node.start()
    shop.orders.add(50)
    shop.caught_up("started while the broker was away")


def broker_freezes(shop):
    """For longer than the session; it does not know that time has passed."""
    with shop.orders.flowing():
        time.sleep(shop.chance.uniform(0.3, 1.0))
        shop.world.node.process.send_signal(signal.SIGSTOP)
        time.sleep(SESSION_MS / 1000 + 2)
        shop.world.node.process.send_signal(signal.SIGCONT)
        time.sleep(1)
    shop.caught_up("broker frozen")


def partition_is_added(shop):
    """It begins at its beginning, though records came before the worker knew of it."""
    count = shop.orders.partitions + 1
    with shop.orders.flowing():
        time.sleep(0.5)
    shop.admin.create_partitions([NewPartitions(shop.topic, count)], operation_timeout=30)[shop.topic].result(30)
    wait_for(lambda: len(shop.admin.list_topics(timeout=10).topics[shop.topic].partitions) == count, "it has not grown")
    shop.new_producer()
    shop.orders.partitions = count
    shop.orders.add(30)
    with shop.orders.flowing():
        time.sleep(0.5)
    shop.caught_up("partition added")
    first = shop.store.ask("SELECT min(first_offset) FROM ow_ledger WHERE topic = '%s' AND partition = %d" % (shop.topic, count - 1))
    if first != 0:
        raise harness.Failure("the new partition begins at %s" % first)


def handled_records_are_deleted(shop):
    """Retention takes what was handled: nothing happens."""
    for partition, offset in enumerate(shop.next_offsets()):
        test_positions.delete_records(shop.world.bootstrap, shop.topic, partition, offset)
    shop.orders.add(100)
    shop.caught_up("handled records deleted")
    shop.worker.signal(signal.SIGKILL)                      # and the next start has no record to compare with the anchor
    shop.worker.process.wait()
    shop.orders.add(100)
    shop.start()
    shop.caught_up("handled records deleted, next start")


def unread_records_are_deleted(shop):
    """Under a worker that stands still for a moment: it stops, and what is lost is in the ledger once an operator has said so."""
    shop.worker.signal(signal.SIGSTOP)
    shop.orders.add(200 * shop.orders.partitions)
    end = shop.next_offsets()[0] + 200
    test_positions.delete_records(shop.world.bootstrap, shop.topic, 0, end - 5)
    shop.worker.signal(signal.SIGCONT)
    before = shop.store.ask("SELECT coalesce(sum(last_offset - first_offset + 1), 0) FROM ow_ledger WHERE outcome = 'lost'")
    changes = shop.refused("unread records deleted", "accept-lost")
    lost = shop.store.ask("SELECT coalesce(sum(last_offset - first_offset + 1), 0) FROM ow_ledger WHERE outcome = 'lost'") - before
    if not 0 < lost <= 195 or sum(change["left_out"] for change in changes) != lost:
        raise harness.Failure("lost: %d, %s" % (lost, changes))
    shop.lost += lost
    shop.caught_up("unread records deleted")


def topic_is_remade(shop, what, beyond, frozen_s):
    """beyond: how many records more than were handled each partition has. frozen_s: how long the worker stands still meanwhile, 0: not at all."""
    shop.caught_up("before: " + what)
    handled = max(shop.next_offsets())
    if frozen_s > 0:
        shop.worker.signal(signal.SIGSTOP)
    begin = time.monotonic()
    shop.remake(max(1, handled + beyond))
    if frozen_s > 0:
        time.sleep(max(0, frozen_s - (time.monotonic() - begin)))
        shop.worker.signal(signal.SIGCONT)
    changes = shop.refused(what, "adopt")
    if any(change["did"] != "adopted" or change["to"] != 0 for change in changes):
        raise harness.Failure("%s: %s" % (what, changes))
    shop.caught_up(what)


def topic_is_deleted(shop):
    """A worker that runs on waits for it; made anew it is another one."""
    topic_is_remade(shop, "topic re-created, shorter", -10 ** 9, 0)
    shop.orders.add(100)
    topic_is_remade(shop, "topic re-created, longer", 50, 0)
    shop.orders.add(100)
    topic_is_remade(shop, "topic re-created under a frozen worker, shorter", -10 ** 9, SESSION_MS / 1000 + 2)
    shop.orders.add(100)
    topic_is_remade(shop, "topic re-created under a frozen worker, longer", 50, SESSION_MS / 1000 + 2)
    shop.orders.add(100)
    topic_is_remade(shop, "topic re-created under a worker frozen for a moment, longer", 50, 1.2)


def trouble(world):
    if world.node is None:
        raise harness.Failure("it kills its broker: not with --bootstrap")
    broker_io.create_topics(world.bootstrap, world.topics().values(), PARTITIONS)
    shop = Shop(world)
    shop.orders.add(500)
    shop.start()
    try:
        shop.caught_up("start")
        for _ in range(world.chosen.rounds):
            broker_ends(shop, signal.SIGKILL)
            broker_ends(shop, signal.SIGTERM)
            broker_restarts_at_once(shop)
            starts_without_broker(shop)
            broker_freezes(shop)
            partition_is_added(shop)
            handled_records_are_deleted(shop)
            unread_records_are_deleted(shop)
            topic_is_deleted(shop)
        shop.worker.signal(signal.SIGTERM)
        shop.worker.ends(0)
    finally:
        shop.store.kill()
    done = subprocess.run([world.chosen.binary, "verify", "--topic", "-c", str(shop.store.config)], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise harness.Failure("verify --topic: %s" % done)
    for what, times in shop.done.items():
        print("%3d times  %s" % (times, what))
    print("trouble: %d times something happened, %d orders, %d of them deleted unread and told, 0 violations" % (
        sum(times for what, times in shop.done.items() if what != "start" and not what.startswith("before")), shop.orders.count, shop.lost))


if __name__ == "__main__":
    sys.exit(harness.main(trouble, harness.options(__doc__, rounds=1), ("rounds",)))
