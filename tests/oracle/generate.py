#!/usr/bin/python3
"""Seeded logs for the shipped machine: lists of (topic, key, headers, value, timestamp_ms).

`load` is what a shop sends: orders, 5 % redeliveries, 0.5 % early dispatches, 0.1 % conflicts, 0.1 % malformed. Its final
business state does not depend on how the topics are interleaved: whatever does not commute is kept in one partition.
`walk` (walk.py) visits every cell of the machine and every kind of bad input.

    tests/oracle/generate.py load --records 100000 --seed 1     # prints what the log holds
"""
import argparse
import datetime
import json
import random
import sys
from collections import Counter

ORDERS, PAYMENTS = "order-events", "payment-events"
START_MS = 1_750_000_000_000                  # 2025-06-15: the past, so that no broker finds a timestamp too far ahead
MEAN_BYTES = 336


def rfc3339(ms):
    moment = datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + ".%03dZ" % (ms % 1000)


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def event(event_id, kind, order, data, time_ms, source="/shop/eu"):
    """A CloudEvent as in DESIGN 4, in structured form."""
    return {"specversion": "1.0", "id": event_id, "source": source, "type": kind, "subject": order, "time": rfc3339(time_ms),
            "datacontenttype": "application/json", "data": {"order_id": order, **data}}


class Load:
    KINDS = [        # share of orders, (topic, event type)…
        (78, [(ORDERS, "order.created"), (PAYMENTS, "payment.succeeded"), (ORDERS, "order.dispatched"), (ORDERS, "order.received")]),
        (11, [(ORDERS, "order.created"), (PAYMENTS, "payment.succeeded")]),
        (5, [(ORDERS, "order.created"), (ORDERS, "order.cancelled")]),
        (3, [(ORDERS, "order.created"), (ORDERS, "payment.succeeded"), (ORDERS, "order.cancelled"), (ORDERS, "payment.refunded")]),
        (3, [(ORDERS, "order.created"), (PAYMENTS, "payment.succeeded"), (ORDERS, "order.dispatched"), (ORDERS, "order.received"),
             (ORDERS, "payment.refunded")])]

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.number = 0
        self.out = []                 # (time, running number, record)
        self.counts = Counter()

    def uuid(self):
        bits = "%032x" % self.random.getrandbits(128)
        return "-".join((bits[:8], bits[8:12], bits[12:16], bits[16:20], bits[20:]))

    def order(self, time_ms):
        """All records of one order, with its redeliveries, conflicts and malformed ones."""
        self.number += 1
        order = "ORD-%08d-%04x" % (self.number, self.random.getrandbits(16))
        money = {"amount": self.random.randint(1, 250_000), "currency": self.random.choice(["EUR", "EUR", "USD", "SEK"])}
        steps = self.random.choices([k for _, k in self.KINDS], [w for w, _ in self.KINDS])[0]
        if len(steps) > 3 and steps[2][1] == "order.dispatched" and self.random.random() < 0.005 / 0.81:
            steps = [steps[2], steps[0], steps[1], *steps[3:]]
            self.counts["early"] += 1
        for topic, kind in steps:
            time_ms += self.random.randint(50, 20_000)
            self.step(topic, kind, order, money, time_ms)
        return time_ms

    def step(self, topic, kind, order, money, time_ms):
        data = {}
        if kind in ("order.created", "payment.succeeded", "payment.refunded"):
            data.update(money)
        if kind == "payment.succeeded":
            data.update(payment_id="pay_" + self.uuid(), method=self.random.choice(["card", "sepa", "paypal"]))
        if kind == "payment.refunded":
            data.update(refund_id="re_" + self.uuid(), amount=self.random.randint(1, money["amount"]))
        made = event(self.uuid(), kind, order, data, time_ms)
        want = max(0, int(self.random.gauss(MEAN_BYTES - 7, 15)) - len(compact(made)) - len(',"note":""'))
        if want:                                          # (7: some events are longer than that by themselves)
            made["data"]["note"] = "".join(self.random.choices("abcdefghij klmnop qrstuvw xyz", k=want))
        self.put(topic, order, compact(made), time_ms, kind)
        if self.random.random() < 0.05 / 0.948:           # of all records, not of the first deliveries
            again = json.loads(compact(made))
            if self.random.random() < 0.2:
                again["data"]["retry_count"] = self.random.randint(1, 9)
            self.put(topic, order, compact(again), time_ms + self.random.randint(1, 60_000), "redelivery")
        if self.random.random() < 0.001 / 0.948:
            other = json.loads(compact(made))
            other["data"]["note"] = "other words under the same id"
            self.put(topic, order, compact(other), time_ms + self.random.randint(1, 60_000), "conflict")
        if self.random.random() < 0.001 / 0.948:
            self.put(topic, order, self.malformed(order, money, time_ms), time_ms + 1, "malformed")

    def malformed(self, order, money, time_ms):
        bad = event(self.uuid(), "order.created", order, money, time_ms)
        kind = self.random.randrange(5)
        if kind == 0:
            return compact(bad)[:self.random.randint(1, 200)]
        if kind == 1:
            bad["data"]["amount"] += 0.5
        if kind == 2:
            bad["data"]["amount"] *= -1
        if kind == 3:
            bad["specversion"] = "0.3"
        if kind == 4:
            del bad["data"]["currency"]
        return compact(bad)

    def put(self, topic, order, value, time_ms, what):
        self.counts[what] += 1
        self.counts["bytes"] += len(value)
        self.out.append((time_ms, len(self.out), (topic, order.encode(), [], value, time_ms)))


def load(records, seed, start_ms=START_MS):
    """(log, counts). Exactly `records` records; the last orders may be cut short."""
    made, time_ms = Load(seed), start_ms
    while len(made.out) < records:
        made.order(time_ms)
        time_ms += made.random.randint(0, 40)
    log = [record for _, _, record in sorted(made.out)][:records]
    return log, made.counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", choices=["load", "walk"])
    parser.add_argument("--records", type=int, default=100_000, help="of the load log")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.log == "load":
        log, counts = load(options.records, options.seed)
    else:
        import walk
        log, counts = walk.walk(options.seed)
    print("%d records, mean %.0f bytes" % (len(log), sum(len(r[3] or b"") for r in log) / len(log)))
    print(dict(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
