"""The walk log: every cell of the shipped machine over both topics, and what may go wrong with an event on its way.

It is a list of scenarios, each an ordered list of records about an order of its own; `walk` shuffles the scenarios into
each other, a few at a time, so that batches mix them. A scenario goes through one door (all its records to one topic, key =
order: one partition, so its order is certain), or the natural way (payments to payment-events, the rest to order-events).
"""
import copy
import itertools
import json
import random
from collections import Counter

import bad_input
from generate import ORDERS, PAYMENTS, START_MS, compact, event

NATURAL = "natural"
DOORS = (ORDERS, PAYMENTS, NATURAL)
HAPPY = ["order.created", "payment.succeeded", "order.dispatched", "order.received"]
PATHS = {                                             # how each state is reached
    "none": [], "created": HAPPY[:1], "paid": HAPPY[:2], "dispatched": HAPPY[:3], "received": HAPPY,
    "cancelled": ["order.created", "order.cancelled"],
    "cancelled after payment": ["order.created", "payment.succeeded", "order.cancelled"]}
ORDER_KEY = object()


class Scenario:
    def __init__(self, walk, name, door=NATURAL, amount=1299, currency="EUR"):
        walk.orders += 1
        self.walk, self.name, self.door, self.amount, self.currency = walk, name, door, amount, currency
        self.order = "ORD-%05d" % walk.orders
        self.records, self.made = [], 0
        walk.scenarios.append(self)

    def make(self, kind, **changes):
        """An event under a new id, with the order's amount and currency and its first payment or refund id."""
        data = {}
        if kind in ("order.created", "payment.succeeded", "payment.refunded"):
            data = {"amount": self.amount, "currency": self.currency}
        if kind == "payment.succeeded":
            data.update(payment_id="pay-" + self.order, method="card")
        if kind == "payment.refunded":
            data.update(refund_id="re-" + self.order, amount=min(self.amount, 100))
        self.made += 1
        return event("%s/%d" % (self.order, self.made), kind, self.order, {**data, **changes}, self.walk.tick())

    def send(self, made, door=None, key=ORDER_KEY, headers=()):
        """Sends an event, raw bytes, or None (a tombstone); gives it back, to be sent again."""
        door = door or self.door
        if door == NATURAL:
            door = PAYMENTS if isinstance(made, dict) and str(made.get("type")).startswith("payment.") else ORDERS
        value = compact(made) if isinstance(made, dict) else made
        self.records.append((door, self.order.encode() if key is ORDER_KEY else key, list(headers), value, self.walk.tick()))
        return made

    def do(self, *kinds, **changes):
        for kind in kinds:
            self.send(self.make(kind, **changes))


class Walk:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.scenarios, self.orders, self.time_ms = [], 0, START_MS

    def tick(self):
        self.time_ms += self.random.randint(1, 50)
        return self.time_ms

    def shuffled(self, width=6):
        """All records, a few scenarios at a time merged into each other, each keeping its own order."""
        waiting = [list(s.records) for s in self.scenarios]
        self.random.shuffle(waiting)
        active, out = [], []
        while waiting or active:
            while waiting and len(active) < width:
                active.append(waiting.pop())
            chosen = self.random.choice(active)
            if chosen:
                out.append(chosen.pop(0))
            if not chosen:
                active.remove(chosen)
        return out


# --- every cell, with every way an event can fit or not fit what is stored ----------------------------------------

def variants(s):
    """The events to try in a state: the same values under a new id, and others."""
    yield s.make("order.created")
    yield s.make("order.created", amount=s.amount + 1)
    yield s.make("order.created", currency="USD")
    yield s.make("payment.succeeded")
    yield s.make("payment.succeeded", method="sepa")                       # the first payment's id, other values
    yield s.make("payment.succeeded", payment_id="second-" + s.order)
    yield s.make("payment.succeeded", payment_id="less-" + s.order, amount=s.amount - 1)
    yield s.make("payment.succeeded", payment_id="usd-" + s.order, currency="USD")
    yield s.make("order.dispatched")
    yield s.make("order.received")
    yield s.make("order.cancelled")
    yield s.make("payment.refunded")
    yield s.make("payment.refunded", refund_id="all-" + s.order, amount=s.amount)
    yield s.make("payment.refunded", refund_id="more-" + s.order, amount=s.amount + 1)
    yield s.make("payment.refunded", refund_id="usd-" + s.order, currency="USD")


def cells(walk):
    count = len(list(variants(Scenario(walk, "unused"))))
    for door, (state, path), i in itertools.product(DOORS, PATHS.items(), range(count)):
        s = Scenario(walk, "cell of " + state, door)
        s.do(*path)
        tried = s.send(list(variants(s))[i])
        s.send({**tried, "id": tried["id"] + "-again"})       # the same once more under another id
        if state in ("none", "created"):
            s.do(*HAPPY)                                      # what was parked wakes
        if i % 3 == 0:
            s.do("payment.refunded")
            s.do("payment.refunded")


def early(walk):
    """All orders in which the happy path may arrive, and longer chains with refunds and cancellations."""
    for door, chain in itertools.product(DOORS, itertools.permutations(HAPPY)):
        Scenario(walk, "early", door).do(*chain)
    longer = [*HAPPY, "order.cancelled", "payment.refunded"]
    for door, _ in itertools.product(DOORS, range(25)):
        s = Scenario(walk, "early, longer", door)
        s.do(*walk.random.sample(longer, len(longer)))
    for door in DOORS:
        Scenario(walk, "a payment for an order that never comes", door).do("payment.succeeded")


def doors(walk):
    """One payment through two doors: another message id is stale, the same id a duplicate, other values an alarm."""
    for first, second in ((ORDERS, PAYMENTS), (PAYMENTS, ORDERS), (ORDERS, ORDERS)):
        for changes in ({}, {"method": "paypal"}, {"amount": 7}):
            s = Scenario(walk, "two doors", first)
            s.do("order.created")
            s.do("payment.succeeded")
            s.send(s.make("payment.succeeded", **changes), second)
            s.do("order.dispatched")
        s = Scenario(walk, "two doors, one id", first)
        s.do("order.created")
        s.send(s.send(s.make("payment.succeeded")), second)
        s = Scenario(walk, "two doors, early", first)
        paid = s.send(s.make("payment.succeeded"))
        s.send({**paid, "id": paid["id"] + "-b"}, second)
        s.do("order.created")
        s = Scenario(walk, "somebody else's payment id", first)
        s.do(*HAPPY[:2])
        t = Scenario(walk, "somebody else's payment id, too", first)
        t.do("order.created")
        t.send(t.make("payment.succeeded", payment_id="pay-" + s.order), second)


def conflicts(walk):
    """Other content under a taken id: of what was applied, parked, stale, refused; repeated, and with a third content."""
    firsts = {"applied": HAPPY[:1], "parked": [HAPPY[2]], "stale": [HAPPY[0], HAPPY[0]], "illegal": [*HAPPY, "order.cancelled"]}
    for door, (name, path) in itertools.product((ORDERS, PAYMENTS), firsts.items()):
        s = Scenario(walk, "conflict of what is " + name, door)
        s.do(*path[:-1])
        first = s.send(s.make(path[-1], note="one"))
        other, third = copy.deepcopy(first), copy.deepcopy(first)
        other["data"]["note"], third["data"]["note"] = "two", "three"
        for made in (other, other, first, third, other, third, first):
            s.send(made)
        retyped = {**first, "type": "order.received"}
        s.send(retyped)
        s.send({**first, "source": "/shop/us"})               # the same id of another source is another event
        moved = copy.deepcopy(first)
        moved["data"]["order_id"] = "moved-" + s.order
        s.send(moved)


def rewordings(made):
    """The same event in other words: each is a duplicate."""
    def turned(value):
        return {k: turned(value[k]) for k in reversed(list(value))} if isinstance(value, dict) else value
    yield compact(turned(made))
    yield json.dumps(made, indent=3).encode()
    yield b"\r\n\t " + json.dumps(made, separators=(" , ", " : ")).encode() + b"\n"
    yield compact(made).replace(b'"data"', b'"d\\u0061ta"').replace(b'"EUR"', b'"\\u0045U\\u0052"').replace(b"/shop", b"\\/shop")
    yield compact({**made, "time": "2031-01-01T00:00:00+01:00", "subject": "else", "extension": 7})
    for count in (0, 1, "two", None, [3]):
        yield compact({**made, "data": {**made["data"], "retry_count": count}})
    yield compact(made).replace(b'"weight":100', b'"weight":100.0').replace(b'"size":2.5', b'"size":0.25e1')
    yield compact(made).replace(b'"weight":100', b'"weight":1e2').replace("ü".encode(), b"\\u00FC")


def redeliveries(walk):
    for door, path in itertools.product(DOORS, ([HAPPY[0]], HAPPY[:2], HAPPY[2:3], HAPPY[:3])):
        s = Scenario(walk, "re-worded", door)
        s.do(*path[:-1])
        free = {"weight": 100, "size": 2.5, "note": "für \"alle\" \\ \u2028 \U0001F600 \u007f", "list": [1, {"b": None, "a": True}]}
        made = s.send(s.make(path[-1], **free))
        for value in rewordings(made):
            s.send(value, walk.random.choice((ORDERS, PAYMENTS)))
        for changes in ({"list": [{"b": None, "a": True}, 1]}, {"weight": "100"}, {"more": None}, {"size": 2.500001}):
            s.send({**made, "data": {**made["data"], **changes}})         # these say something else: conflicts
        s.send(compact(made).replace(b'"amount":1299', b'"amount":1299.0'), door)   # malformed where it has an amount


def limits(walk):
    """Too much parked, too much refunded, too much money."""
    for door in DOORS:
        s = Scenario(walk, "more than 32 parked", door)
        for _ in range(40):
            s.do("order.dispatched")
        s.do("order.created", "payment.succeeded", "order.received")
        s = Scenario(walk, "more than 32 refunds parked", door, amount=1000)
        for i in range(40):
            s.do("payment.refunded", refund_id="re-%s-%d" % (s.order, i))
        s.do(*HAPPY)
        s = Scenario(walk, "refunds up to the last cent", door, amount=1000)
        s.do(*HAPPY)
        for i, amount in enumerate((400, 600, 1, 1000)):
            s.do("payment.refunded", refund_id="re-%s-%d" % (s.order, i), amount=amount)
        for amount in (1, 2 ** 53 - 1, 2 ** 53):
            s = Scenario(walk, "the largest amounts", door, amount=amount)
            s.do("order.created", "order.cancelled", "payment.succeeded")
            s.do("payment.succeeded", payment_id="second-" + s.order)     # the sum goes beyond 2^53: guard
            s.do("payment.refunded", amount=amount)
        for currency in ("€€€", "\U0001F4B6\U0001F4B6\U0001F4B6", "e\u0301u", " EU"):
            s = Scenario(walk, "three characters", door, currency=currency)
            s.do(*HAPPY, "payment.refunded")
        s = Scenario(walk, "an order id of its own", door)
        s.order = "Bestellung %05d/ä \u0001\"\\ 订单" % walk.orders
        s.do(*HAPPY, "payment.refunded")


def wanderings(walk, orders=150):
    """Random events in random doors with redeliveries and conflicts: what nobody thought of."""
    kinds = [*HAPPY, "order.cancelled", "payment.refunded"]
    for _ in range(orders):
        s, sent = Scenario(walk, "wandering"), []
        for _ in range(walk.random.randint(2, 14)):
            door = walk.random.choice((ORDERS, PAYMENTS))
            if sent and walk.random.random() < 0.25:
                again = copy.deepcopy(walk.random.choice(sent))
                if walk.random.random() < 0.3:
                    again["data"]["note"] = walk.random.choice("ab")
                s.send(again, door)
                continue
            kind = walk.random.choice(kinds)
            changes = {"note": "n"} if walk.random.random() < 0.5 else {}
            if kind.startswith("payment") and walk.random.random() < 0.5:
                changes["payment_id" if kind == "payment.succeeded" else "refund_id"] = "%s-%d" % (s.order, walk.random.randint(1, 3))
            if kind.startswith("payment") and walk.random.random() < 0.2:
                changes["amount"] = walk.random.choice((1, 1299, 1300))
            sent.append(s.send(s.make(kind, **changes), door))


PARTS = (cells, early, doors, conflicts, redeliveries, limits, wanderings, lambda made: bad_input.add(made, Scenario, DOORS))


def walk(seed, parts=PARTS):
    """(log, how many scenarios of each name)."""
    made = Walk(seed)
    for part in parts:
        part(made)
    return made.shuffled(), Counter(s.name.split(":")[0] for s in made.scenarios if s.records)
