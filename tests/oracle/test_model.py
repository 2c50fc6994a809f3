#!/usr/bin/python3
"""The model against the contract: each rule of DESIGN 3, the cells of DESIGN 4 derived by hand, the hashes of DESIGN 5 and
the CloudEvents vectors."""
import copy
import hashlib
import json
import os
import unittest

import canonical as cj
import envelope as ev
import generate
import machine as mc
import model as om
import store

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MACHINE = mc.load(os.path.join(ROOT, "schemas", "orders.yaml"))
VECTORS = os.path.join(ROOT, "..", "shared", "vectors", "cloudevents.json")

# Derived by hand from DESIGN 4. Columns: none, created, paid, dispatched, received, cancelled.
BY_HAND = """
order.created      apply  stale  stale  stale  stale  stale
payment.succeeded  park   apply  stale  stale  stale  apply
order.dispatched   park   park   apply  stale  stale  reject
order.received     park   park   park   apply  stale  reject
order.cancelled    park   apply  apply  reject reject stale
payment.refunded   park   park   apply  apply  apply  apply
"""


class Shop:
    """Sends events to a model, all in one partition."""

    def __init__(self, machine=MACHINE, **options):
        self.model, self.offset, self.ids = om.Model([machine], **options), 0, 0

    def raw(self, value, key=b"k", headers=(), topic="order-events", at_ms=None):
        self.offset += 1
        stamp = 1_750_000_000_000 + self.offset if at_ms is None else at_ms
        return self.model.handle(ev.Record(topic, 0, self.offset - 1, stamp, key, list(headers), value), 0)

    def event(self, kind, order="A", **data):
        self.ids += 1
        money = {"amount": 100, "currency": "EUR"} if kind in ("order.created", "payment.succeeded", "payment.refunded") else {}
        if kind == "payment.succeeded":
            money.update(payment_id="p", method="card")
        if kind == "payment.refunded":
            money.update(refund_id="r")
        return generate.event("e%d" % self.ids, kind, order, {**money, **data}, 1_750_000_000_000 + self.ids)

    def send(self, event):
        return self.raw(generate.compact(event))

    def do(self, kind, order="A", **data):
        """The outcome, or the reason where the record is quarantined."""
        rows = len(self.model.quarantine)
        outcome = self.send(self.event(kind, order, **data))
        return self.model.quarantine[-1]["reason"] if len(self.model.quarantine) > rows and outcome == "quarantined" else outcome

    def reason(self, value, **how):
        """The reason why this is quarantined, else the outcome."""
        outcome = self.raw(value if isinstance(value, bytes) or value is None else generate.compact(value), **how)
        return self.model.quarantine[-1]["reason"] if outcome == "quarantined" else outcome

    def order(self, order="A"):
        return self.model.entities["orders"].get(order)


class Machine(unittest.TestCase):
    def test_cells_derived_by_hand(self):
        expected = {}
        for line in BY_HAND.split("\n")[1:-1]:
            kind, *verdicts = line.split()
            expected.update({(s, kind): v for s, v in zip(["none", "created", "paid", "dispatched", "received", "cancelled"], verdicts)})
        self.assertEqual(len(expected), 36)
        self.assertEqual(MACHINE.table_of, expected)

    def test_ambiguity_needs_an_override_and_nothing_else_may_have_one(self):
        spec = copy.deepcopy(MACHINE.source)
        spec["overrides"] = []
        self.assertRaises(mc.LoadError, mc.load, spec)
        spec["overrides"] = [*MACHINE.source["overrides"], {"state": "created", "event": "order.created", "do": "park"}]
        self.assertRaises(mc.LoadError, mc.load, spec)
        spec = copy.deepcopy(MACHINE.source)
        spec["events"]["order.dispatched"].append({"from": "paid", "to": "received"})
        self.assertRaises(mc.LoadError, mc.load, spec)


class Steps(unittest.TestCase):
    def test_1_oversize(self):
        shop = Shop()
        mib = om.RECORD_BYTES
        self.assertEqual(shop.reason(b"x" * (mib + 1)), "oversize")
        self.assertEqual(shop.reason(b"x" * mib), "malformed")
        self.assertEqual(shop.reason(b"{}", key=b"x" * (mib + 1)), "oversize")
        self.assertEqual(shop.reason(b"{}", headers=[("a", b"x" * (mib - 1)), ("b", None)]), "oversize")
        self.assertEqual(shop.reason(b"{}", headers=[("a", b"x" * (mib - 1))], key=b"x" * mib), "malformed")

    def test_2_malformed_comes_before_the_type(self):
        shop = Shop()
        for value in (b"", None, b"[]", b"{", b"\xff", b'{"a":1,"a":1}', b"[" * 100_000 + b"]" * 100_000, b"[NaN]", b'"\\ud800"'):
            self.assertEqual(shop.reason(value), "malformed", value and value[:20])
        event = shop.event("order.unknown")
        self.assertEqual(shop.reason({**event, "specversion": "0.3"}), "malformed")
        self.assertEqual(shop.reason({**event, "type": 7}), "malformed")
        self.assertEqual(shop.reason({**event, "type": ""}), "malformed")

    def test_3_unknown_types_and_filters(self):
        shop = Shop()
        self.assertEqual(shop.reason({**shop.event("order.unknown"), "id": ""}), "unknown_type")
        spec = {**copy.deepcopy(MACHINE.source), "unknown": "filter", "tombstones": "filter"}
        shop = Shop(mc.load(spec))
        self.assertEqual((shop.reason(shop.event("order.unknown")), shop.reason(None), shop.reason(b"")), ("filtered", "filtered", "malformed"))
        spec = {**copy.deepcopy(MACHINE.source), "filter": ["order.noise"]}
        shop = Shop(mc.load(spec))
        self.assertEqual((shop.reason(shop.event("order.noise")), shop.reason(shop.event("order.unknown"))), ("filtered", "unknown_type"))
        self.assertEqual(shop.model.next_ref, 2)

    def test_4_keys_then_time_then_values(self):
        shop = Shop()
        good = shop.event("order.created")
        for name in ("id", "source"):
            for value, reason in ((None, "missing_key"), ("", "missing_key"), (7, "malformed")):
                self.assertEqual(shop.reason({**good, name: value, "time": "bad"}), reason)
        self.assertEqual(shop.reason({**good, "id": 7, "source": ""}), "malformed")
        self.assertEqual(shop.reason({**good, "id": "", "source": 7}), "missing_key")
        self.assertEqual(shop.do("order.created", order=""), "missing_key")
        self.assertEqual(shop.reason({**good, "data": {**good["data"], "order_id": 7}}), "malformed")
        self.assertEqual(shop.reason({**good, "data": None}), "missing_key")
        self.assertEqual(shop.reason({**good, "time": "2025-02-30T00:00:00Z"}), "malformed")
        for amount in (0, -1, 1.5, 100.0, "100", None, True, 2 ** 53 + 1):
            self.assertEqual(shop.do("order.created", amount=amount), "malformed", amount)
        self.assertEqual(shop.reason(generate.compact(good).replace(b"100,", b"1e2,")), "malformed")
        for currency in ("EU", "EURO", 978):
            self.assertEqual(shop.do("order.created", currency=currency), "malformed", currency)
        self.assertEqual(shop.do("order.created", currency="\U0001F4B6é€", amount=2 ** 53), "applied")
        self.assertEqual(len(shop.model.claims), 1)
        self.assertEqual(shop.do("payment.succeeded", order="B", currency="EURO"), "parked")     # no range from a comparison

    def test_5_duplicates_and_conflicts(self):
        shop = Shop()
        made = shop.event("order.created", note={"b": 1, "a": 100.0})
        self.assertEqual(shop.send(made), "applied")
        again = copy.deepcopy(made)
        again["data"].update(retry_count=3, note={"a": 100, "b": 1}, order_id="A")
        again["time"] = "2030-01-01T00:00:00Z"
        self.assertEqual(shop.send(again), "duplicate")
        self.assertEqual(shop.model.sightings, [dict(ref=1, cause="same_id", topic="order-events", partition=0, offset=1)])
        again["data"]["note"] = "other"
        self.assertEqual([shop.send(again) for _ in range(3)], ["quarantined"] * 3)
        again["data"]["note"] = "third"
        self.assertEqual(shop.send(again), "quarantined")
        self.assertEqual([(r["id"], r["reason"], r["seen"]) for r in shop.model.quarantine], [(2, "conflict", 3), (3, "conflict", 1)])
        self.assertEqual(shop.send({**made, "source": "/shop/us"}), "stale")
        self.assertEqual(shop.order()["version"], 1)
        other_type = {**made, "type": "order.dispatched"}
        self.assertEqual(shop.reason(other_type), "conflict")
        self.assertEqual(len(shop.model.claims), 2)

    def test_6_expired_owns_its_claim(self):
        shop = Shop(horizon_ms=1_750_000_000_002)
        self.assertEqual(shop.do("order.created"), "expired")
        self.assertEqual(shop.do("order.created"), "applied")
        self.assertEqual(len(shop.model.claims), 2)
        without_time = {**shop.event("order.dispatched"), "time": None}
        self.assertEqual(shop.reason(without_time, at_ms=5), "expired")
        self.assertEqual(shop.reason(without_time, at_ms=5), "duplicate")

    def test_7_business_keys(self):
        shop = Shop()
        self.assertEqual([shop.do(k) for k in ("order.created", "payment.succeeded")], ["applied", "applied"])
        self.assertEqual(shop.do("payment.succeeded"), "stale")
        self.assertEqual(shop.model.sightings[-1], dict(ref=3, cause="stale", topic="order-events", partition=0, offset=2))
        self.assertEqual(shop.do("payment.succeeded", method="sepa"), "business_key")
        self.assertEqual(shop.do("payment.succeeded", order="B"), "business_key")         # before the cell: B would park
        self.assertEqual(shop.do("payment.succeeded", order="B", payment_id="q"), "parked")
        self.assertEqual(shop.do("payment.succeeded", order="C", payment_id="q"), "parked")     # parked ones are not stored

    def test_8_cells(self):
        shop = Shop()
        happy = ["order.created", "payment.succeeded", "order.dispatched", "order.received"]
        self.assertEqual([shop.do(k) for k in happy], ["applied"] * 4)
        self.assertEqual(shop.do("order.cancelled"), "illegal")
        self.assertEqual(shop.do("order.created"), "stale")
        self.assertEqual(shop.do("order.created", amount=99), "illegal")
        self.assertEqual(shop.do("order.dispatched"), "stale")
        self.assertEqual(shop.do("payment.succeeded", payment_id="second"), "illegal")
        self.assertEqual(shop.model.reasons(), {"illegal": 3})
        self.assertEqual(shop.order()["state"], "received")

    def test_9_guards(self):
        shop = Shop()
        shop.do("order.created")
        self.assertEqual(shop.do("payment.succeeded", amount=99), "guard")
        self.assertEqual(shop.do("payment.succeeded", currency="USD"), "guard")
        self.assertEqual(shop.do("payment.succeeded"), "applied")
        self.assertEqual(shop.do("payment.refunded", refund_id="1", amount=60), "applied")
        self.assertEqual(shop.do("payment.refunded", refund_id="2", amount=41), "guard")
        self.assertEqual(shop.do("payment.refunded", refund_id="3", amount=40), "applied")
        self.assertEqual(shop.order()["refunded_minor"], 100)
        big = 2 ** 53
        self.assertEqual(shop.do("order.created", order="B", amount=big), "applied")
        self.assertEqual(shop.do("order.cancelled", order="B"), "applied")
        self.assertEqual(shop.do("payment.succeeded", order="B", amount=big, payment_id="b"), "applied")
        self.assertEqual(shop.do("payment.succeeded", order="B", amount=big, payment_id="b2"), "guard")


class Effects(unittest.TestCase):
    def test_rows_of_a_happy_order(self):
        shop = Shop()
        for kind in ("order.created", "payment.succeeded", "payment.refunded"):
            shop.do(kind)
        start = 1_750_000_000_000
        self.assertEqual(shop.order(), dict(
            order_id="A", state="paid", version=3, last_seq=3, amount_minor=100, currency="EUR", paid_minor=100,
            refunded_minor=100, created_at_ms=start + 1, updated_at_ms=start + 3))
        self.assertEqual(shop.model.records["payments"]["p"], dict(
            payment_id="p", order_id="A", amount_minor=100, currency="EUR", method="card", seq=2))
        self.assertEqual(shop.model.history[0], dict(
            seq=1, first_ref=None, machine="orders", machine_version=1, entity_id="A", version=1, prev_seq=None,
            event_type="order.created", source="/shop/eu", message_id="e1", from_state="none", to_state="created",
            event_time_ms=start + 1, topic="order-events", partition=0, offset=0, via="kafka",
            data='{"/data/amount":100,"/data/currency":"EUR"}'))
        self.assertEqual([r["prev_seq"] for r in shop.model.history], [None, 1, 2])

    def test_waking_in_passes(self):
        shop = Shop()
        early = ["order.received", "order.dispatched", "payment.succeeded"]
        self.assertEqual([shop.do(k) for k in early], ["parked"] * 3)
        self.assertIsNone(shop.order())
        self.assertEqual(shop.do("order.created"), "applied")
        self.assertEqual((shop.order()["state"], shop.order()["version"]), ("received", 4))
        self.assertEqual([(r["seq"], r["first_ref"], r["via"], r["offset"]) for r in shop.model.history],
                         [(4, None, "kafka", 3), (5, 3, "wake", 2), (6, 2, "wake", 1), (7, 1, "wake", 0)])
        self.assertEqual(shop.model.totals()["parked"], 3)
        self.assertEqual([r[:3] for r in shop.model.partitions["order-events", 0].ledger], [[0, 2, "parked"], [3, 3, "applied"]])

    def test_woken_ones_may_become_stale_or_be_refused(self):
        shop = Shop()
        for kind, data in (("payment.succeeded", {}), ("payment.succeeded", {}), ("payment.succeeded", {"method": "sepa"}),
                           ("payment.refunded", {"amount": 101}), ("order.dispatched", {}), ("order.dispatched", {})):
            self.assertEqual(shop.do(kind, **data), "parked")
        shop.do("order.created")
        self.assertEqual([(r["id"], r["reason"]) for r in shop.model.quarantine], [(3, "business_key"), (4, "guard")])
        self.assertEqual([(r["ref"], r["cause"]) for r in shop.model.sightings], [(2, "stale"), (6, "stale")])
        self.assertEqual(shop.model.parked["orders"]["A"], [])
        self.assertEqual(shop.order()["state"], "dispatched")

    def test_the_33rd_parked_is_overflow(self):
        shop = Shop()
        self.assertEqual([shop.do("order.dispatched") for _ in range(34)], ["parked"] * 32 + ["overflow"] * 2)
        self.assertEqual(shop.do("order.dispatched", order="B"), "parked")

    def test_ledger_gaps_and_positions(self):
        model = om.Model([MACHINE])
        for offset in (5, 6, 9, 12):
            value = b"" if offset < 10 else generate.compact(Shop().event("order.created"))
            model.handle(ev.Record("order-events", 1, offset, 0, None, [], value), 3)
        place = model.partitions["order-events", 1]
        self.assertEqual(place.ledger, [[3, 11, "quarantined", 3], [12, 12, "applied", 1]])
        self.assertEqual((place.next_offset, place.counters["quarantined"]), (13, 3))


class Hashes(unittest.TestCase):
    def test_canonical_json(self):
        text = b'{ "b" : [1, 2.50, 100.0, 1e2, -0, true, null], "a\\u00e9\\u0001\\n\\/": "\\ud83d\\ude00", "B": {} }'
        self.assertEqual(cj.canonical(cj.parse(text)), '{"B":{},"aé\\u0001\\n/":"\U0001F600","b":[1,2.5,100,100,0,true,null]}')

    def test_claim_key_and_anchor(self):
        key = bytes(range(32))
        message = b"\4\0\0\0shop" + b"\3\0\0\0/eu" + b"\2\0\0\0\xc3\xa9" + b"\2\0\0\0-7"
        self.assertEqual(cj.claim_key(key, "shop", ["/eu", "é", -7]), hashlib.blake2b(message, digest_size=16, key=key).digest())
        message = b"\2\0\0\x0012" + b"\xff\xff\xff\xff" + b"\0\0\0\0"
        self.assertEqual(cj.anchor(key, 12, None, b""), hashlib.blake2b(message, digest_size=16, key=key).digest())

    def test_fingerprint_leaves_out_what_is_ignored(self):
        shop = Shop()
        event = {**shop.event("order.created"), "data": {"order_id": "A", "amount": 5, "currency": "EUR", "retry_count": 9}}
        shop.send(event)
        data = b'{"amount":5,"currency":"EUR","order_id":"A"}'
        message = b"\x0f\0\0\0" + b'"order.created"' + len(data).to_bytes(4, "little") + data + b'\3\0\0\0"A"'
        (claim,) = shop.model.claims.values()
        self.assertEqual(claim.fingerprint, hashlib.blake2b(message, digest_size=8, key=bytes(32)).digest())

    def test_state_hash_does_not_see_numbers_or_order(self):
        one, two = Shop(), Shop()
        for order in ("A", "B"):
            one.do("order.created", order)
        a, b = two.event("order.created", "A"), two.event("order.created", "B")
        for value in (b"", generate.compact(b), generate.compact(a)):
            two.raw(value)
        self.assertEqual(one.model.state_hash(), two.model.state_hash())
        row = b"".join(cj.part(p) for p in (b"5", b"1750000000001", b"EUR", b"A", b"0", b"0", b"created", b"1750000000001", b"1"))
        alone = Shop()
        alone.do("order.created", amount=5)
        self.assertEqual(alone.model.state_hash(), hashlib.blake2b(row, digest_size=32).hexdigest())

    def test_times(self):
        for text, ms in (("1970-01-01T00:00:00Z", 0), ("1969-12-31T23:59:59.5Z", -500), ("1970-01-01T01:00:00.1239+01:00", 123),
                         ("2024-02-29T00:00:00-00:00", 1709164800000), ("2016-12-31T23:59:60Z", 1483228800000)):
            self.assertEqual(ev.parse_time(text), ms)
        for text in ("", "2025-06-15", "2025-06-15T12:00:00", "2025-13-01T00:00:00Z", "2025-06-15T24:00:00Z", "2025-06-15 12:00:00Z",
                     "2025-06-15T12:00:00+24:00", "2025-06-15T12:00:00.Z", "2025-06-15T12:00:00Z "):
            self.assertIsNone(ev.parse_time(text), text)

    def test_headers_as_json(self):
        self.assertIsNone(store.headers_json([]))
        self.assertEqual(store.headers_json([("a", None), ("a", b""), ("b", b"\xff")]), [["a", None], ["a", ""], ["b", {"base64": "/w=="}]])


class Messages(unittest.TestCase):
    def test_cloudevents_vectors(self):
        if not os.path.exists(VECTORS):
            self.skipTest("no vectors beside this tree")
        with open(VECTORS, encoding="utf-8") as file:
            vectors = json.load(file)["vectors"]
        for vector in vectors:
            record, expect = vector["request"]["record"], vector["expect"]
            value = None if record["value"] is None else record["value"].encode("utf-8")
            headers = [(n, v.encode("utf-8")) for n, v in record["headers"]]
            found = {"valid": False}
            try:
                mode, document = ev.cloudevent(headers, value)
                found["mode"] = mode
                source, name = (ev.require_name(document.get(a, cj.ABSENT), a) for a in ("source", "id"))
                found.update(valid=True, source=source, id=name)
            except ev.Rejected:
                pass
            self.assertEqual(found["valid"], expect["valid"], vector["id"])
            self.assertEqual(found.get("mode", expect["mode"]), expect["mode"], vector["id"])
            for name in ("source", "id"):
                self.assertEqual(found.get(name), expect.get(name), vector["id"])
        print("%d CloudEvents vectors" % len(vectors))

    def test_binary_and_structured_are_one_event(self):
        shop = Shop()
        made = shop.event("order.created")
        headers = [("ce_" + n, made[n].encode()) for n in ("id", "source", "type", "time", "specversion")]
        headers.append(("content-type", b"application/json"))
        self.assertEqual(shop.raw(generate.compact(made["data"]), headers=headers), "applied")
        self.assertEqual(shop.send(made), "duplicate")
        self.assertEqual(shop.reason(b"{}", headers=[*headers, ("CE_ID", b"x")]), "malformed")
        self.assertEqual(shop.reason(b"{}", headers=[h for h in headers if h[0] != "ce_id"]), "missing_key")
        self.assertEqual(shop.reason(b"[]", headers=[("content-type", b"application/cloudevents-batch+json")]), "malformed")

    def test_explicit_message_format(self):
        spec = copy.deepcopy(MACHINE.source)
        spec["message"] = {"type": "/what", "id": "header:msg-id", "source": "/who~1where", "time": "/when", "entity": "key"}
        shop = Shop(mc.load(spec))
        body = {"what": "order.created", "who/where": "pos", "when": "1970-01-01T00:00:05Z", "data": {"amount": 3, "currency": "EUR"}}
        headers = [("msg-id", b"m1")]
        self.assertEqual(shop.reason(body, key=b"A", headers=headers), "applied")
        self.assertEqual((shop.order()["created_at_ms"], shop.model.history[0]["source"]), (5000, "pos"))
        self.assertEqual(shop.reason(body, key=b"A", headers=headers), "duplicate")
        self.assertEqual(shop.reason(body, key=b"B", headers=headers), "conflict")
        self.assertEqual(shop.reason(body, key=b"A"), "missing_key")
        self.assertEqual(shop.reason(body, key=None, headers=headers), "missing_key")
        self.assertEqual(shop.reason({**body, "what": None}, key=b"A", headers=headers), "malformed")


if __name__ == "__main__":
    unittest.main()
