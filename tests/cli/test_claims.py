#!/usr/bin/python3
"""`onceward claims stats|show` from outside, on a demo's store (no broker needed), also while its worker works; and what `check` says
of claims.backups and claims.strict.

    tests/cli/test_claims.py
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
DAY = 86_400_000
failed = 0

WHOLE = {"type": ["integer", "null"]}
NUMBER = {"type": ["number", "null"]}
TEXT = {"type": ["string", "null"]}
SURE = {"type": "integer", "minimum": 0}
CLASS = {"class": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$"}, "class_ms": SURE}


def closed(**properties):
    """An object with exactly these members."""
    return {"type": "object", "properties": properties, "required": sorted(properties), "additionalProperties": False}


BUCKET = closed(bucket=SURE, opened_at_ms=SURE, sealed_at_ms=WHOLE, claims=SURE, bytes=SURE, state={"enum": ["open", "sealed", "pruning"]}, **CLASS)
TOTALS = {"claims": SURE, "bytes": SURE, "bytes_per_claim": NUMBER, "claims_per_day": WHOLE, "file_bytes": SURE, "free_bytes": SURE,
          "growth_bytes_per_day": WHOLE, "days_until_full": NUMBER,
          "horizons": {"type": "array", "items": closed(buckets=SURE, claims=SURE, claims_per_day=WHOLE, kept_since_ms=WHOLE, horizon_ms=WHOLE, **CLASS)}}
STATS = closed(buckets={"type": "array", "items": BUCKET}, **TOTALS)
OWNER = closed(table={"enum": ["history", "parked", "quarantine", "sighting", None]}, id=WHOLE, machine=TEXT, entity_id=TEXT, type=TEXT, source=TEXT,
               message_id=TEXT, topic=TEXT, partition=WHOLE, offset=WHOLE)
CLAIM = closed(key={"type": "string", "pattern": "^[0-9a-f]{32}$"}, bucket=SURE, bucket_opened_at_ms=SURE, age_ms=SURE,
               fingerprint={"type": "string", "pattern": "^[0-9a-f]{18}$"}, rule=SURE, rule_text=TEXT, ref=SURE, owner=OWNER, **CLASS)
SHOWN = closed(found={"type": "boolean"}, claims={"type": "array", "items": CLAIM})


def run(*arguments):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=120, check=False)


def expect(name, result, code, *texts):
    global failed
    said = result.stdout + result.stderr
    missing = [text for text in texts if text not in said]
    if result.returncode != code or missing:
        failed += 1
        print(f"FAILED {name}: exit {result.returncode}, expected {code}; missing {missing}\n{said}")


def must(name, condition, told):
    global failed
    if not condition:
        failed += 1
        print(f"FAILED {name}: {json.dumps(told, indent=1)}")


def valid(name, schema, told):
    global failed
    for error in jsonschema.Draft202012Validator(schema).iter_errors(told):
        failed += 1
        print(f"FAILED {name}: {'/'.join(map(str, error.absolute_path))}: {error.message}")
    return told


def stats(name, *arguments):
    return valid(name, STATS, json.loads(run("claims", "stats", *arguments, "-o", "json").stdout))


def show(name, *arguments):
    result = run("claims", "show", *arguments, "-o", "json")
    told = valid(name, SHOWN, json.loads(result.stdout))
    must(f"{name}: exit code", result.returncode == (0 if told["found"] else 1) and told["found"] == bool(told["claims"]), told)
    return told["claims"]


def usage():
    expect("no word", run("claims"), 2, "'': expects stats, show or seed")
    expect("another word", run("claims", "list"), 2, "'list': expects stats, show or seed")
    expect("no key", run("claims", "show"), 2, "show expects the key of a claim")
    expect("two stores", run("claims", "stats", "a.db", "-c", "c.yaml"), 2, "name one configuration or one database")
    expect("too much", run("claims", "show", "k", "a.db", "b.db"), 2, "name one configuration or one database")
    expect("format", run("claims", "stats", "a.db", "-o", "xml"), 2, "table, json or jsonl")
    expect("no store", run("claims", "stats", "nowhere.db"), 2, "there is no store 'nowhere.db'")
    expect("no store to show", run("claims", "show", "k", "nowhere.db"), 2, "there is no store 'nowhere.db'")
    help_text = run("claims", "--help").stdout
    must("help", all(re.search(rf"\b{key}\b", help_text) for schema in (STATS, BUCKET, SHOWN, CLAIM, OWNER) for key in schema["properties"]), help_text)


def live(folder):
    """While the demo's worker works and is killed, counts only grow."""
    demo = subprocess.Popen([BINARY, "demo", "--keep", str(folder), "--records", "6000", "--kills", "1", "--seconds", "3"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    db, seen = folder / "orders.db", []
    while demo.poll() is None:
        if db.exists():
            result = run("claims", "stats", str(db), "-o", "json")
            if result.returncode == 0:
                seen.append(json.loads(result.stdout)["claims"])
        time.sleep(0.05)
    must("live: the demo went well", demo.returncode == 0, demo.returncode)
    must("live: more and more", len(set(seen)) > 1 and seen == sorted(seen), seen)
    return str(db)


def whole(db):
    rows = sqlite3.connect(f"file:{db}?mode=ro", uri=True)
    count, = rows.execute("SELECT count(*) FROM ow_claims").fetchone()
    pages, = rows.execute("SELECT sum(pgsize) FROM dbstat WHERE name = 'ow_claims'").fetchone()
    told = stats("stats", db)
    must("one bucket", [b["state"] for b in told["buckets"]] == ["open"] and told["claims"] == count, told)
    must("bytes, as dbstat has them", abs(told["bytes"] - pages) <= 2 * 4096, {"told": told, "dbstat": pages})
    must("too young", told["claims_per_day"] is None and told["days_until_full"] is None, told)
    must("nothing pruned", told["horizons"][0]["kept_since_ms"] is None and told["horizons"][0]["horizon_ms"] is None, told)
    expect("table", run("claims", "stats", db), 0, "BUCKET  CLASS  OPENED", "  45d ", "\nclaims             %d\n" % count, "claims a day       -\n",
           "days until full    -\n", "horizon of 45d     none: nothing was pruned\n")
    lines = [json.loads(line) for line in run("claims", "stats", db, "-o", "jsonl").stdout.splitlines()]
    must("jsonl", lines[:-1] == told["buckets"] and lines[-1].keys() == TOTALS.keys(), lines)

    looked = 0
    for name, query in {"history": "SELECT seq, seq, message_id FROM ow_history WHERE via = 'kafka' LIMIT 1",
                        "history, woken": "SELECT first_ref, seq, message_id FROM ow_history WHERE via = 'wake' LIMIT 1",
                        "quarantine": "SELECT id, id, NULL FROM ow_quarantine WHERE id IN (SELECT ref FROM ow_claims) LIMIT 1"}.items():
        for ref, own, message in rows.execute(query):
            looked += 1
            key = owner(rows, db, name, ref, own)
            for given in ([message], [message, "--source", "/shop/eu"]) if message else ():
                must(f"{name}, by its message", [c["key"] for c in show(f"{name}, by its message", *given, db)] == [key], given)
    must("owners", looked > 0, looked)
    rows.close()


def owner(rows, db, name, ref, own):
    """`show` by the key of the claim with that ref tells this owner."""
    table = name.split(",")[0]
    key, bucket, fingerprint = rows.execute("SELECT lower(hex(key)), bucket, lower(hex(fingerprint)) FROM ow_claims WHERE ref = ?", (ref,)).fetchone()
    claims = show(name, key, db)
    must(name, len(claims) == 1 and (claims[0]["ref"], claims[0]["bucket"], claims[0]["fingerprint"], claims[0]["key"]) == (ref, bucket, fingerprint, key)
         and claims[0]["owner"]["table"] == (table if own else None) and claims[0]["owner"]["id"] == own and '"fields"' in claims[0]["rule_text"], claims)
    expect(name, run("claims", "show", key.upper(), db), 0, f"key          {key}\n", "class        45d\n", f"ref          {ref}\nowner        "
           + (f"{table} {own}" if own else "none is there any more"))
    return key


def by_hand(db):
    """Owners that a demo leaves none of."""
    own = db + ".hand.db"
    with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as source, sqlite3.connect(own) as target:
        source.backup(target)
        target.executemany("INSERT INTO ow_claims VALUES (1, randomblob(16), x'010000000000000000', ?)", [(1000000 + i,) for i in range(4)])
        target.execute("INSERT INTO ow_parked VALUES (1000000, 'orders', 'o-1', 'payment.succeeded', 1795341600000, 1795600800000, 'payment-events',"
                       " 1, 7, 1795341600000, NULL, NULL, x'00')")
        target.execute("INSERT INTO ow_sighting VALUES (1000001, 'stale', 'payment-events', 1, 9, 1795341600000)")
        target.execute("INSERT INTO ow_quarantine VALUES (1000003, 'illegal', 'too late', 'orders', 'o-1', 'payment-events', 1, 8, -1, NULL, NULL, x'00',"
                       " 1795341600000, 1795341600000, 1, 1, 'open', NULL, NULL, NULL)")
        target.commit()
        owner(target, own, "quarantine", 1000003, 1000003)
        owner(target, own, "parked", 1000000, 1000000)
        owner(target, own, "sighting", 1000001, 1000001)
        owner(target, own, "nobody", 1000002, None)
    target.close()
    source.close()


def nothing(db):
    expect("no such key", run("claims", "show", "0" * 32, db), 1, f"has no claim for key '{'0' * 32}'")
    expect("no such message", run("claims", "show", "nobody", db), 1, "has no claim for a message with the id 'nobody'")
    expect("a key's form, but a message", run("claims", "show", "0" * 32, db, "--source", "/shop/eu"), 1, "has no claim for a message with the id")
    must("JSON", show("JSON", "0" * 32, db) == [], None)


def old(db, folder):
    """The same store a week later, with one bucket being pruned."""
    own, now = str(folder / "old.db"), int(time.time() * 1000)
    with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as source, sqlite3.connect(own) as target:
        source.backup(target)
        target.execute("UPDATE ow_bucket SET opened_at_ms = ?, sealed_at_ms = ?", (now - 7 * DAY, now - 6 * DAY))
        target.execute("INSERT INTO ow_bucket VALUES (2, ?, ?, NULL, 0)", (45 * DAY, now - 6 * DAY))
    target.close()
    source.close()
    told = stats("old", own)
    must("old: claims a day", abs(told["claims_per_day"] - told["claims"] / 7) <= 1, told)
    must("old: days", abs(told["days_until_full"] - told["free_bytes"] / told["growth_bytes_per_day"]) < 1, told)
    must("old: the file is what it grew by", abs(told["growth_bytes_per_day"] * 7 - told["file_bytes"]) < told["file_bytes"] / 10, told)
    with sqlite3.connect(own) as target:
        target.executemany("INSERT INTO ow_meta VALUES (?, ?)", [(f"pruned.{45 * DAY}", now - 6 * DAY), (f"pruned_below.{45 * DAY}", 2)])
    target.close()
    told = stats("pruned", own)
    must("pruned: states", [b["state"] for b in told["buckets"]] == ["pruning", "open"], told)
    must("pruned: since", told["horizons"][0]["kept_since_ms"] == now - 6 * DAY and told["horizons"][0]["horizon_ms"] is None, told)
    expect("pruned: table", run("claims", "stats", own), 0, " + claims.skew\n")
    config = folder / "c.yaml"
    config.write_text(json.dumps({"store": {"path": own}, "kafka": {"group": "g", "properties": {"bootstrap.servers": "127.0.0.1:1"}},
                                  "machines": [str(ROOT / "schemas/orders.yaml")], "claims": {"skew": "1d"}}))
    told = stats("by configuration", "-c", str(config))
    must("by configuration", told["horizons"][0]["horizon_ms"] == now - 5 * DAY, told)
    return str(config)


def backups(config):
    """What the configuration itself says needs no broker."""
    check = ["check", "--offline", "-c", config, "--set"]
    expect("young enough", run(*check, "claims.backups=45d"), 0, "ok      claims.backups: ", "claims are kept 45d")
    expect("too old", run(*check, "claims.backups=46d"), 0, "warn    claims.backups: ", "as old as 46d, claims only 45d (event order.created)")
    expect("too old, strict", run(*check, "claims.backups=46d", "--set", "claims.strict=true"), 4, "FAILED  claims.backups: ", "(refused: claims.strict)")
    refused = run("run", "-c", config, "--set", "claims.backups=46d", "--set", "claims.strict=true")
    expect("run, strict", refused, 4, "onceward: claims.backups: ", "raise claim.retention in ")
    expect("strict alone", run(*check, "claims.strict=true"), 0)


def limits(config, folder):
    """What a retention is compared with that needs no broker either."""
    def check(retention, *arguments, command="check"):
        text = (ROOT / "schemas/orders.yaml").read_text().replace("retention: 45d", "retention: " + retention)
        (folder / "short.yaml").write_text(text)
        (folder / "short.json").write_text(json.dumps({**json.loads(pathlib.Path(config).read_text()), "machines": ["short.yaml"],
                                                       "store": {"path": str(folder / "short.db")}}, indent=1))
        return run(command, *(["--offline"] if command == "check" else []), "-c", str(folder / "short.json"), *arguments)

    expect("skew", check("2d"), 0, "ok      claims.skew: 1d, claims are kept 2d\n")
    expect("skew, near", check("47h"), 0, "warn    claims.skew: 1d, claims are kept 47h (event order.created): what comes more than 23h late")
    expect("skew, near, strict", check("4d", "--set", "claims.skew=49h", "--set", "claims.strict=true"), 4, "FAILED  claims.skew: ")
    why = "short.json:15: claims.skew: 1d is no less than the 1d that claims are kept (event order.created)"
    expect("skew, reached", check("1d"), 2, why, "raise claim.retention in ")
    expect("run, skew reached", check("1d", command="run"), 2, why)
    must("run, skew reached: no store", not (folder / "short.db").exists(), None)
    expect("skew, set", check("45d", "--set", "claims.skew=45d"), 2, "claims.skew: 45d is no less than the 45d")
    expect("parking", check("3d"), 0, "ok      park.deadline: 'orders' lets records wait 3d, claims are kept 3d\n")
    expect("parking, longer", check("71h"), 0, "warn    park.deadline: 'orders' lets records wait 3d, claims are only kept 71h (event payment.succeeded)")
    expect("parking, longer, strict", check("71h", "--set", "claims.strict=true"), 4, "FAILED  park.deadline: ", "(refused: claims.strict)")
    expect("run, parking", check("71h", "--set", "claims.strict=true", command="run"), 4, "onceward: park.deadline: ")


def main():
    usage()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        db = live(folder / "demo")
        whole(db)
        by_hand(db)
        nothing(db)
        config = old(db, folder)
        backups(config)
        limits(config, folder)
    print("claims: %s" % ("%d failed" % failed if failed else "all as it should be"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
