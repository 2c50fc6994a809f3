"""Bad input: every kind that the issue names, each about an order of its own, between good events of that order.

`add` puts scenarios on a walk; `records` gives the bad ones alone, for test_bad_input.py.
"""
import json

from generate import compact

MEGABYTE = 1_048_576
CE = "application/cloudevents+json"


def broken_values(good):
    """(name, bytes) that are no event at all: malformed whatever else they say. `good` is an event of this order."""
    text = compact(good)
    deep = 100_000
    yield "empty", b""
    yield "binary", bytes(range(256))
    yield "zeros", bytes(100)
    yield "white space", b" \n"
    yield "truncated", text[:len(text) // 2]
    yield "truncated by one", text[:-1]
    yield "something after it", text + b"{}"
    yield "two commas", text.replace(b',"source"', b',,"source"')
    yield "byte order mark", b"\xef\xbb\xbf" + text
    yield "UTF-16", json.dumps(good).encode("utf-16")
    yield "not UTF-8", text.replace(b"EUR", b"E\xffR")
    yield "overlong UTF-8", text.replace(b"EUR", b"E\xc0\xafR")
    yield "surrogates in UTF-8", text.replace(b"EUR", b"\xed\xa0\x80R")
    yield "lone surrogate", text.replace(b"EUR", b"\\ud800R")
    yield "control character", text.replace(b"EUR", b"E\nR")
    yield "NaN", text.replace(b"1299", b"NaN")
    yield "Infinity", text.replace(b"1299", b"-Infinity")
    yield "leading zero", text.replace(b"1299", b"01299")
    yield "plus sign", text.replace(b"1299", b"+1299")
    yield "hexadecimal", text.replace(b"1299", b"0x513")
    yield "single quotes", text.replace(b'"', b"'")
    yield "comment", text.replace(b'"data"', b'/* here */ "data"')
    yield "deep arrays", b"[" * deep
    yield "deep arrays, closed", b"[" * deep + b"]" * deep
    yield "deep objects", b'{"a":' * deep + b"1" + b"}" * deep
    yield "deep inside an event", text[:-2] + b',"deep":' + b"[" * deep + b"]" * deep + b"}}"
    yield "duplicate member", text[:-1] + b',"id":"second"}'
    yield "duplicate member, equal", text[:-1] + b',"specversion":"1.0"}'
    yield "duplicate in data", text[:-2] + b',"amount":1}}'
    yield "duplicate at depth", text[:-2] + b',"x":[0,{"y":{"z":1,"q":[],"z":1}}]}}'
    yield "duplicate by escape", text[:-2] + b',"x":{"a":1,"\\u0061":2}}}'
    for value in (b"null", b"true", b"7", b'"text"', b"[]", b"[1]", b"{}", b'{"orderId":"1"}'):
        yield value.decode(), value


def wrong_events(good):
    """(name, event) that decode but cannot be judged: wrong types, missing keys, values out of range, unknown types."""
    def with_(**attributes):
        return {**good, **attributes}

    def data(**members):
        return {**good, "data": {**good["data"], **members}}

    def less(name):
        return {k: v for k, v in good.items() if k != name}

    for value in (12.99, 1299.0, -1299, 0, "1299", True, None, [1299], {"minor": 1299}, -(2 ** 53), 2 ** 53 + 1, 2 ** 62):
        yield "amount %r" % (value,), data(amount=value)
    for value in (b"1e3", b"1.299e3", b"1299E0", b"-0", b"0.0"):
        yield "amount " + value.decode(), compact(good).replace(b"1299", value)
    yield "no amount", {**good, "data": {k: v for k, v in good["data"].items() if k != "amount"}}
    for value in ("EU", "EURO", "", None, 978, ["EUR"]):
        yield "currency %r" % (value,), data(currency=value)
    for name in ("id", "source"):
        for value in ("", None, 7, 7.5, True, {}, ["a"]):
            yield "%s %r" % (name, value), with_(**{name: value})
        yield "no " + name, less(name)
    for value in ("", None, 7, False, {}, ["a"]):
        yield "order %r" % (value,), data(order_id=value)
    yield "no order", {**good, "data": {k: v for k, v in good["data"].items() if k != "order_id"}}
    for value in (None, "text", [], 7):
        yield "data %r" % (value,), with_(data=value)
    yield "no data", less("data")
    yield "several things missing", {"specversion": "1.0", "type": good["type"]}
    for value in ("0.3", "1.1", "1", 1, 1.0, None, ""):
        yield "specversion %r" % (value,), with_(specversion=value)
    yield "no specversion", less("specversion")
    for value in ("", None, 7, ["order.created"]):
        yield "type %r" % (value,), with_(type=value)
    yield "no type", less("type")
    for value in ("order.unknown", "Order.Created", "order.created ", "none"):
        yield "unknown type %s" % value, with_(type=value)
    yield "unknown type and no id", {k: v for k, v in with_(type="order.unknown").items() if k != "id"}
    for value in ("", "yesterday", "2025-06-15", "2025-06-15T12:00:00", "2025-02-30T12:00:00Z", "2025-06-15T25:00:00Z",
                  "2025-06-15T12:00Z", "2025-06-15T12:00:00+0100", "2025-06-15T12:00:00.Z", " 2025-06-15T12:00:00Z", 1750000000000, {}):
        yield "time %r" % (value,), with_(time=value)


def odd_but_good(good):
    """(name, event or bytes, headers): unusual, and every one of them a valid event."""
    def data(**members):
        return {**good, "data": {**good["data"], **members}}

    yield "no time", {k: v for k, v in good.items() if k != "time"}, []
    yield "time null", {**good, "time": None}, []
    for text in ("2025-06-15T12:00:00Z", "2025-06-15T14:00:00.25+02:00", "2025-06-14T20:30:00.123456789-15:30",
                 "1969-12-31T23:59:59.5Z", "2024-02-29T00:00:00-00:00"):
        yield "time " + text, {**good, "time": text}, []
    nested = 7
    for _ in range(100):
        nested = [nested]
    yield "a hundred levels", data(deep=nested), []
    yield "free members", data(n=None, big=2 ** 53 + 1, real=-1.5e-7, text="\u0001\t\"/"), []
    yield "headers without values", good, [("trace", None), ("empty", b"")]
    yield "binary headers", good, [("blob", bytes(range(250))), ("blob", b"twice"), ("name \u00e4", "\u00e4".encode())]
    yield "structured, content type", good, [("content-type", CE.encode())]
    yield "structured, upper case and charset", good, [("Content-Type", b"Application/CloudEvents+JSON; charset=UTF-8")]
    yield "structured, headers say otherwise", good, [("content-type", CE.encode()), ("ce_id", b"x"), ("ce_specversion", b"0.3")]
    full = compact(data(pad=""))
    yield "exactly 1 MiB", full.replace(b'"pad":""', b'"pad":"' + b"p" * (MEGABYTE - len(full)) + b'"'), []
    yield "headers of exactly 1 MiB", good, [("h", b"v" * (MEGABYTE - 1))]


def binary_mode(good):
    """(name, value, headers): the same event in binary mode, whole and broken."""
    value = compact(good["data"])
    names = ("id", "source", "type", "time", "specversion", "subject")
    headers = [("content-type", b"application/json")] + [("ce_" + n, good[n].encode()) for n in names]

    def put(name, data):
        return [(n, data if n == name else v) for n, v in headers]

    def drop(name):
        return [h for h in headers if h[0] != name]

    yield "binary", value, headers
    yield "binary, again", value, headers
    yield "binary, then structured", compact(good), []
    yield "binary, other members", compact({**good["data"], "note": "conflict"}), headers
    yield "binary, no content type", value, drop("content-type")
    yield "binary, upper case", value, [(n.upper(), v) for n, v in headers]
    yield "binary, +json", value, put("content-type", b"application/vnd.shop+json; charset=utf-8")
    yield "binary, twice ce_id", value, [*headers, ("ce_id", b"other")]
    yield "binary, twice ce_id in upper case", value, [*headers, ("CE_ID", good["id"].encode())]
    yield "binary, twice content-type", value, [*headers, ("Content-Type", b"application/json")]
    for name in ("ce_id", "ce_source", "ce_type", "ce_specversion"):
        yield "binary, no " + name, value, drop(name)
        yield "binary, empty " + name, value, put(name, b"")
        yield "binary, null " + name, value, put(name, None)
        yield "binary, not UTF-8 " + name, value, put(name, b"\xff\xfe")
    yield "binary, specversion 0.3", value, put("ce_specversion", b"0.3")
    yield "binary, bad time", value, put("ce_time", b"now")
    yield "binary, truncated", value[:-1], headers
    yield "binary, empty", b"", headers
    yield "binary, tombstone", None, headers
    yield "binary, unknown type", value, put("ce_type", b"order.unknown")
    yield "batch", b"[" + compact(good) + b"]", [("content-type", b"application/cloudevents-batch+json")]
    yield "Avro", compact(good), [("content-type", b"application/cloudevents+avro")]
    yield "structured, not JSON", b"id: 7", [("content-type", CE.encode())]
    yield "structured, an array", b"[]", [("content-type", CE.encode())]
    yield "structured, headers twice", compact(good), [("content-type", CE.encode()), ("content-type", CE.encode())]


def oversize(good):
    """(name, value, headers, key): larger than a limit, each way by itself."""
    def padded(size):
        return compact(good)[:-2] + b',"pad":"' + b"p" * (size - len(compact(good)) - 9) + b'"}}'

    yield "1 MiB and one byte", padded(MEGABYTE + 1), [], b"k"
    yield "3 MiB", padded(3 * MEGABYTE), [], b"k"
    yield "1 MiB and one byte of nothing", b"\x00" * (MEGABYTE + 1), [], None
    yield "key of 1 MiB and one byte", compact(good), [], b"k" * (MEGABYTE + 1)
    yield "headers of 1 MiB and one byte", compact(good), [("a", b"v" * (MEGABYTE // 2)), ("b", b"v" * (MEGABYTE // 2 - 1))], b"k"
    yield "exactly 1 MiB of nothing", b"\x00" * MEGABYTE, [], None         # malformed, not oversize


def keys(order):
    """(name, Kafka key): the key says nothing about the event; the entity is in the data."""
    return [("null key", None), ("empty key", b""), ("other key", b"another-order"), ("binary key", bytes(range(255, 200, -1))),
            ("long key", order.encode() * 1000)]


def add(walk, scenario, doors):
    for door in doors[:2]:
        names = [n for n, _ in broken_values(scenario(walk, "unused").make("order.created"))]
        for i, name in enumerate(names):
            s = scenario(walk, "bad: " + name, door)
            good = s.make("order.created")
            bad = list(broken_values(good))[i][1]
            s.send(bad)
            s.send(good)
            s.send(bad)                              # the same bytes at another offset: a row of their own
        for kind in ("order.created", "payment.succeeded", "payment.refunded"):
            s = scenario(walk, "wrong events", door)
            s.do("order.created", "payment.succeeded")
            for _, bad in list(wrong_events({**s.make(kind, amount=1299), "id": s.order + "/wrong"})):
                s.send(bad)
            s.do("order.dispatched")
        for kind, (_, odd, headers) in ((k, o) for k in ("order.created", "order.dispatched")
                                        for o in odd_but_good(scenario(walk, "unused").make(k))):
            s = scenario(walk, "odd but good", door)
            s.send(odd, headers=headers)
        for i in range(2):
            s = scenario(walk, "binary mode", door)
            good = s.make("order.created") if i else s.make("order.dispatched")
            for _, value, headers in binary_mode(good):
                s.send(value, headers=headers)
            s.do("order.created", "payment.succeeded")
        s = scenario(walk, "oversize", door)
        for _, value, headers, key in oversize(s.make("order.created")):
            s.send(value, headers=headers, key=key)
        s.do("order.created")
        s = scenario(walk, "keys", door)
        for (_, key), kind in zip(keys(s.order), ("order.created", "payment.succeeded", "order.dispatched", "order.received",
                                                  "payment.refunded")):
            s.send(s.make(kind), key=key)
        s = scenario(walk, "tombstones", door)
        s.do("order.created")
        s.send(None)
        s.send(None, key=None, headers=[("why", b"deleted"), ("what", None)])
        s.do("payment.succeeded")


def records(walk, scenario, door):
    """Only the records that own no claim whatever came before: (name, record as sent)."""
    good = scenario(walk, "bad", door).make("order.created")
    cases = [(n, v, [], b"k") for n, v in broken_values(good)]
    cases += [(n, compact(e) if isinstance(e, dict) else e, [("trace", None), ("blob", b"\xff\x00")], None) for n, e in wrong_events(good)]
    cases += [c for c in oversize(good)]
    cases.append(("tombstone", None, [("why", None)], b"k"))
    return [(name, (door, key, headers, value, walk.tick())) for name, value, headers, key in cases]
