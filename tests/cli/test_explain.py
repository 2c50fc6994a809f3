#!/usr/bin/python3
"""`onceward explain`: what it says to people, the JSON for programs, and that it may be asked while a worker works.

The store is that of a demo (no broker needed), and a small one of the demo's form with a story that is known to the letter.

    tests/cli/test_explain.py
"""

import json
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile
import time

import jsonschema

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ONCEWARD", str(ROOT / "build/release/onceward"))
failed = 0

WHOLE = {"type": ["integer", "null"]}
TEXT = {"type": ["string", "null"]}


def closed(**properties):
    """An object with exactly these members."""
    return {"type": "object", "properties": properties, "required": sorted(properties), "additionalProperties": False}


def optional(schema):
    return {"anyOf": [{"type": "null"}, schema]}


PLACE = {"topic": TEXT, "partition": WHOLE, "offset": WHOLE}
MOMENT = closed(least_ms=WHOLE, most_ms=WHOLE)
DIFFERENCE = closed(first_kept={"enum": ["whole", "data", "nothing", "erased", "unreadable"]}, more=WHOLE,
                    fields={"type": "array", "items": closed(field={"type": "string"}, first=TEXT, second=TEXT)})
QUARANTINE = closed(id={"type": "integer"}, reason=TEXT, detail=TEXT, status=TEXT, note=TEXT, entity_id=TEXT, conflict_ref=WHOLE,
                    difference=optional(DIFFERENCE), first_seen_ms=WHOLE, last_seen_ms=WHOLE, seen=WHOLE, attempts=WHOLE, **PLACE)
CLAIM = {"anyOf": [closed(**{"is": {"enum": ["missing", "unknown", "none"]}}),
                   closed(**{"is": {"const": "found"}}, bucket=WHOLE, key={"type": "string", "pattern": "^[0-9a-f]{32}$"},
                          fingerprint={"type": "string", "pattern": "^[0-9a-f]{18}$"}, rule=WHOLE, retention_ms=WHOLE,
                          bucket_opened_at_ms=WHOLE, age_ms=WHOLE)]}
EVENT = closed(ref={"type": "integer"}, outcome={"enum": ["applied", "parked", "stale", "quarantined", None]}, first_outcome=TEXT,
               machine=TEXT, entity_id=TEXT, type=TEXT, source=TEXT, message_id=TEXT, first_seen=MOMENT, event_time_ms=WHOLE,
               applied=optional(closed(seq=WHOLE, version=WHOLE, machine_version=WHOLE, **{"from": TEXT}, to=TEXT, at_ms=WHOLE, via=TEXT,
                                       data={"type": ["object", "null"]}, erased_at_ms=WHOLE)),
               parked=optional(closed(since=MOMENT, until=optional(MOMENT), deadline_ms=WHOLE, waits_for=TEXT)),
               quarantine=optional(QUARANTINE), conflicts={"type": "array", "items": QUARANTINE},
               sightings={"type": "array", "items": closed(cause=TEXT, seen_at_ms=WHOLE, **PLACE)}, claim=CLAIM, **PLACE)
MEANING = closed(kind={"enum": ["entity", "record", "message", "mention"]}, machine=TEXT, table=TEXT,
                 row=optional({"anyOf": [closed(columns={"type": "object"}),
                                         closed(columns={"type": "object"}, state=TEXT, version=WHOLE, created_at_ms=WHOLE, updated_at_ms=WHOLE)]}),
                 events={"type": "array", "items": EVENT})
STORY = closed(id={"type": "string"}, store_id=TEXT, found={"type": "boolean"}, now_ms={"type": "integer"}, sources_tried=WHOLE,
               sources_cut={"type": "boolean"}, claims_readable={"type": "boolean"}, history_read={"type": "boolean"},
               meanings={"type": "array", "items": MEANING})
VALIDATOR = jsonschema.Draft202012Validator(STORY)


def run(*arguments):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=120, check=False)


def expect(name, result, code, *texts, absent=()):
    global failed
    said = result.stdout + result.stderr
    missing = [text for text in texts if text not in said] + [f"not {text}" for text in absent if text in said]
    if result.returncode != code or missing:
        failed += 1
        print(f"FAILED {name}: exit {result.returncode}, expected {code}; missing {missing}\n{said}")


def story(name, *arguments):
    """The JSON, which must be of the form that --help tells."""
    global failed
    result = run("explain", *arguments, "-o", "json")
    told = json.loads(result.stdout)
    for error in VALIDATOR.iter_errors(told):
        failed += 1
        print(f"FAILED {name}: {'/'.join(map(str, error.absolute_path))}: {error.message}")
    if told["found"] is not (result.returncode == 0):
        failed += 1
        print(f"FAILED {name}: exit {result.returncode}, found {told['found']}")
    return told


def must(name, condition, told):
    global failed
    if not condition:
        failed += 1
        print(f"FAILED {name}: {json.dumps(told, indent=1)}")


def usage():
    expect("no id", run("explain"), 2, "expects an id", "usage: onceward explain ID")
    expect("empty id", run("explain", ""), 2, "expects an id")
    expect("too much", run("explain", "a", "b", "c"), 2, "name one id, and one configuration or one database")
    expect("two stores", run("explain", "a", "b.db", "-c", "c.yaml"), 2, "name one id")
    expect("format", run("explain", "a", "b.db", "-o", "xml"), 2, "table, json or jsonl")
    expect("no store", run("explain", "a", "nowhere.db"), 2, "there is no store 'nowhere.db'")
    help_text = run("explain", "--help").stdout
    must("help", all(re.search(rf"\b{key}\b", help_text) for key in (*STORY["properties"], *MEANING["properties"], *EVENT["properties"])), help_text)


def live(folder):
    """While the demo's worker works and is killed: each answer is whole, and soon there is one with all four steps."""
    global failed
    demo = subprocess.Popen([BINARY, "demo", "--keep", str(folder), "--records", "6000", "--kills", "1", "--seconds", "3"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    answers, db = 0, str(folder / "orders.db")
    while demo.poll() is None:
        if pathlib.Path(db).exists():
            result = run("explain", "ord-0000001", db, "-o", "jsonl")
            if result.returncode == 0:
                answers += 1
                events = json.loads(result.stdout)["meanings"][0]["events"]
                versions = sorted(e["applied"]["version"] for e in events if e["applied"])
                must("live: versions without a gap", versions == list(range(1, len(versions) + 1)), events)
            elif "nothing is known" not in result.stderr and "there is no store" not in result.stderr and "is empty" not in result.stderr:
                failed += 1
                print(f"FAILED live: exit {result.returncode}: {result.stderr}")
        time.sleep(0.02)
    must("live: asked while it ran", answers > 0, {"exit": demo.returncode})
    must("live: the demo went well", demo.returncode == 0, {"exit": demo.returncode})
    return db


def each_kind(db):
    """Some of each outcome of the demo's store."""
    rows = sqlite3.connect(f"file:{db}?mode=ro", uri=True)
    one = lambda sql: rows.execute(sql).fetchone()[0]  # noqa: E731
    order = one("SELECT order_id FROM orders WHERE state = 'received' LIMIT 1")
    expect("an order", run("explain", order, db), 0, f"{order}: an entity of machine orders (table orders)", "NUMBER  TIME", "created -> paid",
           "now:    received, version ", "paid_minor ", "claim of ", "fingerprint rule 1", "kept for 45 d")
    told = story("an order", order, db)
    must("an order", told["meanings"][0]["row"]["state"] == "received" and len(told["meanings"]) == 1, told)

    payment = one("SELECT payment_id FROM payments LIMIT 1")
    expect("a payment", run("explain", payment, db), 0, "a row of record table payments of machine orders", "belongs to ord-", "currency EUR")
    must("a payment", story("a payment", payment, db)["meanings"][0]["kind"] == "record", payment)

    message, ref = rows.execute("SELECT message_id, first_ref FROM ow_history WHERE via = 'wake' AND first_ref < seq - 100 LIMIT 1").fetchone()
    expect("a woken message", run("explain", message, db), 0, f"{message}: a message from /shop/eu", "applied via wake: ", "it was parked for ")
    event = story("a woken message", message, db)["meanings"][0]["events"][0]
    must("a woken message", event["ref"] == ref and event["first_outcome"] == "parked" and event["parked"]["until"], event)
    must("by source", story("by source", message, db, "--source", "/shop/eu")["meanings"], message)
    must("by another source", not story("by another source", message, db, "--source", "/elsewhere")["found"], message)

    twice, ref = rows.execute("SELECT h.message_id, h.seq FROM ow_sighting s JOIN ow_history h ON h.seq = s.ref LIMIT 1").fetchone()
    expect("a duplicate", run("explain", twice, db), 0, "duplicate: the same message again, at another offset")
    event = story("a duplicate", twice, db)["meanings"][0]["events"][0]
    must("a duplicate", event["sightings"][0]["cause"] == "same_id" and event["claim"]["is"] == "found", event)

    # The demo's conflicts change the amount of an event; their first messages are all applied.
    entity, row, detail = rows.execute("SELECT entity_id, id, detail FROM ow_quarantine WHERE reason = 'conflict' LIMIT 1").fetchone()
    change = re.search(r": (/data/amount: \d+ → \d+)(?:;|$)", detail)
    must("a conflict's detail", change, detail)
    expect("a conflict", run("explain", entity, db), 0, f"quarantined (conflict, row {row}): the id is taken by message ",
           f"in quarantine: row {row}, conflict, status open, ", f"\n    {change[1]}\n")
    conflicts = [c for e in story("a conflict", entity, db)["meanings"][0]["events"] for c in e["conflicts"] if c["id"] == row]
    first, second = re.findall(r"\d+", change[1])
    must("a conflict", {"field": "/data/amount", "first": first, "second": second} in conflicts[0]["difference"]["fields"], conflicts)

    unknown, = rows.execute("SELECT json_extract(value, '$.id') FROM ow_quarantine WHERE reason = 'unknown_type' LIMIT 1").fetchone()
    expect("an unknown type", run("explain", unknown, db), 0, "quarantined (unknown_type, row ", "none, for such a record claims nothing")
    story("an unknown type", unknown, db)
    rows.close()


def known_to_the_letter(db):
    """A parked event, put there by hand: times that do not change."""
    own = db + ".copy.db"
    with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as source, sqlite3.connect(own) as target:
        source.backup(target)
        value = json.dumps({"specversion": "1.0", "id": "m-1", "source": "/shop/eu", "type": "payment.succeeded", "time": "2026-11-22T10:00:00Z",
                            "data": {"order_id": "o-1", "payment_id": "p-1", "amount": 5, "currency": "EUR", "method": "card"}})
        target.execute("INSERT INTO ow_parked VALUES (1000000, 'orders', 'o-1', 'payment.succeeded', 1795341600000, 1795600800000, 'payment-events',"
                       " 1, 7, 1795341600000, NULL, NULL, ?)", (value.encode(),))
        # Seen again at once, changed before and as it was behind: one batch has one time, so the offsets tell the order.
        target.execute("INSERT INTO ow_quarantine VALUES (1000001, 'conflict', 'another amount', 'orders', 'o-1', 'payment-events', 1, 8, -1, NULL,"
                       " NULL, ?, 1795341600000, 1795341600000, 1, 1, 'open', NULL, 1000000, x'00')", (value.encode(),))
        target.executemany("INSERT INTO ow_sighting VALUES (1000000, 'same_id', 'payment-events', 1, ?, 1795341600000)", [(9,), (6,)])
    target.close()
    source.close()
    line = "1000000  2026-11-22T10:00:00.000Z  payment.succeeded m-1  payment-events[1] 7  parked\n"
    waits = "in state 'none', waits for 'cancelled' or 'created' (too early: 'cancelled' can still be reached)\n"
    for name, first in (("o-1", "o-1: an entity of machine orders (table orders)\n\nNUMBER "),
                        ("p-1", "p-1: a row of record table payments of machine orders\nbelongs to o-1 of machine orders\n\nNUMBER "),
                        ("m-1", "m-1: a message from /shop/eu\nbelongs to o-1 of machine orders\n\nNUMBER ")):
        result = run("explain", name, own)
        expect(f"parked, {name}", result, 0, first, line, waits, "at most until 2026-11-25T10:00:00.000Z; ")
        must(f"parked, {name}", result.stderr == "", result.stderr)
    offsets = re.findall(r"payment-events\[1\] (\d+)  ", run("explain", "o-1", own).stdout)
    must("one batch", offsets == ["7", "6", "8", "9"], offsets)
    expect("not in its table", run("explain", "p-1", own), 0, "now:    not in table payments\n")
    told = story("parked", "m-1", own)["meanings"][0]["events"][0]["parked"]
    must("parked", told == {"since": {"least_ms": 1795341600000, "most_ms": 1795341600000}, "until": None, "deadline_ms": 1795600800000,
                            "waits_for": waits.strip()}, told)


def nothing(db):
    result = run("explain", "nobody-knows", db)
    expect("nothing", result, 1, "nothing is known of 'nobody-knows'", "no entity, no row of a record table and no message has this id",
           "looked for under 1 source;", "--source")
    must("nothing is on stderr", result.stdout == "", result.stdout)
    told = story("nothing", "nobody-knows", db)
    must("nothing", told["meanings"] == [] and told["history_read"] is True, told)
    expect("nothing, with a source", run("explain", "nobody-knows", db, "--source", "/x"), 1, "nothing is known", absent=["looked for under"])
    expect("hostile", run("explain", "--", "-1' OR '1'='1", db), 1, "nothing is known of '-1' OR '1'='1'")


def hostile(folder, db):
    """What a message brought along neither colours a terminal nor adds a line to it."""
    own = str(folder / "hostile.db")
    with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as source, sqlite3.connect(own) as target:
        source.backup(target)
        seq, order = target.execute("SELECT seq, entity_id FROM ow_history_row LIMIT 1").fetchone()
        target.execute("UPDATE ow_history_row SET message_id = 'x' || char(27) || '[31mred' || char(10) || char(155) WHERE seq = ?", (seq,))
    target.close()
    source.close()
    expect("hostile id", run("explain", order, own), 0, "x?[31mred??", absent=["\x1b", "\x9b"])
    expect("hostile id, verify", run("verify", own), 3, "promises are broken", absent=["\x1b", "\x9b"])


def by_configuration(folder, db):
    """The store and its hash key are those of the configuration; without the key rows are told and claims are not."""
    order = sqlite3.connect(f"file:{db}?mode=ro", uri=True).execute("SELECT order_id FROM orders LIMIT 1").fetchone()[0]
    config = folder / "c.yaml"
    config.write_text(json.dumps({"store": {"path": db}, "machines": [str(ROOT / "schemas/orders.yaml")],
                                  "kafka": {"group": "g", "properties": {"bootstrap.servers": "127.0.0.1:1"}}}))
    expect("configuration", run("explain", order, "-c", str(config)), 0, f"{order}: an entity")
    expect("configuration, JSON lines", run("explain", order, "-c", str(config), "-o", "jsonl"), 0, '{"id":"')
    own = str(folder / "key.db")
    with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as source, sqlite3.connect(own) as target:
        source.backup(target)
        key = target.execute("SELECT value FROM ow_meta WHERE key = 'hash_key'").fetchone()[0]
        target.execute("DELETE FROM ow_meta WHERE key = 'hash_key'")
    target.close()
    source.close()
    expect("no key", run("explain", order, own), 0, "name the configuration (-c FILE)", "cannot be looked up from what is stored")
    (folder / "key").write_text(key + "\n")
    expect("key in a file", run("explain", order, "-c", str(config), "--set", f"store.path={own}", "--set", f"store.hash_key_file={folder}/key"), 0,
           "fingerprint rule 1", absent=["name the configuration"])
    (folder / "key").write_text("00" * 32)
    expect("another key", run("explain", order, "-c", str(config), "--set", f"store.path={own}", "--set", f"store.hash_key_file={folder}/key"), 4,
           "is not the one with which the store was made")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        os.chdir(folder)
        usage()
        db = live(folder / "demo")
        each_kind(db)
        known_to_the_letter(db)
        nothing(db)
        hostile(folder, db)
        by_configuration(folder, db)
        os.chdir("/")
    print("failed:", failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
