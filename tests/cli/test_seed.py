#!/usr/bin/python3
"""`onceward claims seed` and `onceward seed entities` from outside, without a broker: rows from JSONL and SQLite, bad ones, all of them
twice, a store that is owned; what verify and explain say of it; and the queries of deploy/seeding.md, on tables with those columns.

    tests/cli/test_seed.py
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

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ONCEWARD", str(ROOT / "build/release/onceward"))
failed = 0

# As their own programs make them; SQLite takes any type's name.
TABLES = {
    "received_messages": (
        "consumer_id VARCHAR(1000), message_id VARCHAR(1000), creation_time BIGINT, PRIMARY KEY (consumer_id, message_id)",
        [("orderService", "a", 1795000000000), ("orderService", "b", None), ("other", "c", 1795000000000)]),
    "InboxState": (
        "Id INTEGER PRIMARY KEY, MessageId TEXT NOT NULL, ConsumerId TEXT NOT NULL, LockId TEXT NOT NULL, RowVersion BLOB, Received TEXT NOT NULL,"
        " ReceiveCount INTEGER NOT NULL, ExpirationTime TEXT, Consumed TEXT, Delivered TEXT, LastSequenceNumber BIGINT",
        [(i, m, "C", "L", b"\x01", "2026-11-20 10:00:00", 1, None, consumed, None, None)
         for i, (m, consumed) in enumerate([("A", "2026-11-20 10:00:01.1234567"), ("B", "2026-11-20 10:00:02"), ("C", None)])]),
    "CAMEL_MESSAGEPROCESSED": (
        "processorName VARCHAR(255), messageId VARCHAR(100), createdAt TIMESTAMP, PRIMARY KEY (processorName, messageId)",
        [("orderProcessor", "a", "2026-11-20 10:00:00"), ("orderProcessor", "b", "2026-11-20 10:00:00"), ("other", "c", "2026-11-20 10:00:00")]),
    "wolverine_incoming_envelopes": (
        "id TEXT PRIMARY KEY, status VARCHAR(25) NOT NULL, owner_id INTEGER NOT NULL, execution_time TEXT, attempts INTEGER DEFAULT 0, body BLOB NOT NULL,"
        " message_type TEXT NOT NULL, received_at TEXT, keep_until TEXT",
        [(i, status, 0, None, 1, b"x", "T", "kafka://topic/" + topic, None)
         for i, status, topic in [("A", "Handled", "order-events"), ("B", "Handled", "order-events"), ("C", "Incoming", "order-events"), ("D", "Handled", "x")]]),
}

PAYMENT = {"payment_id": "p-1", "order_id": "o-1", "amount_minor": 1299, "currency": "EUR", "method": "card"}
ORDER = {"amount_minor": 1299, "currency": "EUR"}


def run(*arguments, given=None):
    return subprocess.run([BINARY, *map(str, arguments)], input=given, capture_output=True, text=True, timeout=120, check=False)


def must(name, condition, told):
    global failed
    if not condition:
        failed += 1
        print(f"FAILED {name}: {told}")


def expect(name, result, code, *texts):
    said = result.stdout + result.stderr
    must(name, result.returncode == code and all(text in said for text in texts), (result.returncode, texts, said))


class Store:
    def __init__(self, folder, name, **more):
        self.folder, self.db, self.config = folder, folder / f"{name}.db", folder / f"{name}.yaml"
        self.config.write_text(json.dumps({"store": {"path": str(self.db)}, "kafka": {"group": "g", "properties": {"bootstrap.servers": "127.0.0.1:1"}},
                                           "machines": [str(ROOT / "schemas/orders.yaml")], **more}), "utf-8")

    def claims(self, name, expected, *arguments, given=None):
        self.seed(name, dict(claimed=0, known=0, expired=0, filtered=0, bad=0) | expected, "claims", "seed", *arguments, given=given)

    def entities(self, name, expected, *arguments, given=None):
        self.seed(name, dict(seeded=0, known=0, bad=0) | expected, "seed", "entities", *arguments, given=given)

    def seed(self, name, expected, *arguments, given):
        result = run(*arguments, "-c", self.config, "-o", "json", given=given)
        told = json.loads(result.stdout or "{}")
        must(name, result.returncode == 0 and told == {"read": sum(expected.values())} | expected, (told, expected, result.stderr))

    def content(self, name):
        result = run("verify", "-c", self.config, "-o", "json")
        must(f"{name}: verify", result.returncode == 0 and json.loads(result.stdout)["ok"], result.stdout + result.stderr)

    def rows(self, query):
        db = sqlite3.connect(f"file:{self.db}?mode=ro", uri=True)
        try:
            return db.execute(query).fetchall()
        finally:
            db.close()


def lines(*rows):
    return "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)


def usage(folder):
    store = Store(folder, "usage")
    expect("no source", run("claims", "seed", "-c", store.config), 2, "say once where the rows come from")
    expect("two sources", run("claims", "seed", "-c", store.config, "--from-topic", "--from-jsonl", "x"), 2, "say once")
    expect("no query", run("claims", "seed", "-c", store.config, "--from-sqlite", "x"), 2, "--from-sqlite and --sql go together")
    expect("a database to seed", run("claims", "seed", "x.db", "--from-topic"), 2, "it needs a configuration")
    expect("seed what", run("seed", "-c", store.config), 2, "expects entities")
    expect("no topic there", run("seed", "entities", "-c", store.config), 2, "say once")
    expect("format", run("seed", "entities", "-o", "xml"), 2, "table, json or jsonl")
    expect("no file", run("claims", "seed", "-c", store.config, "--from-jsonl", folder / "nothing"), 2, "cannot read", "nothing")
    expect("no database", run("claims", "seed", "-c", store.config, "--from-sqlite", folder / "nothing", "--sql", "SELECT 1"), 2, "cannot read database")
    expect("a machine", run("seed", "entities", "-c", store.config, "-m", "loans", "--from-jsonl", "-"), 2, "there is no machine 'loans'")
    other = folder / "other.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE t (source, id)")
        db.execute("INSERT INTO t VALUES ('s', x'00')")
    for query, text in {"SELECT * FROM none_such": "no such table", "DELETE FROM t": "gives no rows", "DELETE FROM t RETURNING id": "gives no rows",
                        "": "gives no rows", "SELECT 1; SELECT 2": "more than one statement"}.items():
        expect(query, run("claims", "seed", "-c", store.config, "--from-sqlite", other, "--sql", query), 2, text, str(other))
    expect("a blob", run("claims", "seed", "-c", store.config, "--from-sqlite", other, "--sql", "SELECT * FROM t"), 1, "other.db:1: 'id' is a blob")
    other.write_bytes(b"no database, but long enough to be looked at" * 100)
    expect("no SQLite", run("claims", "seed", "-c", store.config, "--from-sqlite", other, "--sql", "SELECT * FROM t"), 2, str(other))
    help_text = run("claims", "--help").stdout + run("seed", "--help").stdout
    must("help", all(re.search(rf"\b{word}\b", help_text) for word in ("read", "claimed", "known", "expired", "filtered", "bad", "seeded")), help_text)


def claims(folder):
    store = Store(folder, "claims")
    good = lines({"source": "/shop/eu", "id": "m-1"}, "\n", {"source": "/shop/eu", "id": "m-2", "type": "payment.succeeded", "machine": "orders"},
                 {"source": "/shop/eu", "id": 3, "at": int(time.time() * 1000)}, {"source": "/shop/eu", "id": "m-4", "at": "2020-01-01T00:00:00Z"})
    store.claims("rows", dict(claimed=3, expired=1), "--from-jsonl", "-", given=good)
    store.claims("rows again", dict(known=3, expired=1), "--from-jsonl", "-", given=good)
    file = folder / "rows.jsonl"
    file.write_text(lines({"source": "/shop/eu", "id": "m-5"}, {"source": "/shop/eu"}, {"source": "/shop/eu", "id": "m-6"}, "{\n",
                          '{"source":"s","source":"t","id":"m-7"}\n'), "utf-8")
    expect("a bad row", run("claims", "seed", "-c", store.config, "--from-jsonl", file), 1, f"{file}:2: 'id' is missing")
    must("a bad row: nothing was written", store.rows("SELECT count(*) FROM ow_claims") == [(3,)], store.rows("SELECT * FROM ow_claims"))
    result = run("claims", "seed", "-c", store.config, "--from-jsonl", file, "--skip-bad")
    expect("bad rows", result, 0, f"{file}:2: 'id' is missing", f"{file}:4: not JSON", f"{file}:5: not JSON", "claimed   2\n", "bad       3\n")
    store.content("claims")
    expect("explain", run("explain", "m-2", "--source", "/shop/eu", "-c", store.config), 0, "seeded: taken over from another system, not applied")
    expect("show", run("claims", "show", "3", "--source", "/shop/eu", "-c", store.config), 0, "owner        sighting", "seed[0] 4")

    many = lines(*({"source": "s", "id": "n-%d" % i} for i in range(25000)))
    store.claims("many", dict(claimed=25000), "--from-jsonl", "-", given=many)
    store.claims("many again", dict(known=25000), "--from-jsonl", "-", given=many)
    store.content("many")

    with subprocess.Popen([BINARY, "claims", "seed", "-c", store.config, "--from-jsonl", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as owner:
        lock = pathlib.Path(f"{store.db}.lock")
        while owner.poll() is None and str(owner.pid) not in lock.read_text("ascii"):
            time.sleep(0.01)
        expect("owned", run("claims", "seed", "-c", store.config, "--from-jsonl", "-", given=""), 75)
        owner.stdin.close()


def entities(folder):
    store = Store(folder, "entities")
    paid = {"id": "o-1", "state": "paid", **ORDER, "paid_minor": 1299, "records": {"payments": [PAYMENT]}}
    good = lines(paid, {"id": "o-2", "state": "created", **ORDER, "at": "2026-11-01T00:00:00Z"}, {"id": "o-2", "state": "paid"})
    store.entities("orders", dict(seeded=2, known=1), "--from-jsonl", "-", "-m", "orders", given=good)
    store.entities("orders again", dict(known=3), "--from-jsonl", "-", given=good)
    must("orders: rows", store.rows("SELECT order_id, state, version, paid_minor, refunded_minor FROM orders ORDER BY 1") ==
         [("o-1", "paid", 1, 1299, 0), ("o-2", "created", 1, 0, 0)], store.rows("SELECT * FROM orders"))
    must("orders: time", store.rows("SELECT created_at_ms, updated_at_ms FROM orders WHERE order_id = 'o-2'") == [(1793491200000,) * 2], "")
    must("orders: via", store.rows("SELECT DISTINCT via, from_state FROM ow_history") == [("seed", "none")], store.rows("SELECT * FROM ow_history"))
    taken = lines({"id": "o-3", "state": "created", **ORDER}, {"id": "o-4", "state": "paid", **ORDER, "records": {"payments": [PAYMENT]}},
                  {"id": "o-5", "state": "created", **ORDER})
    expect("a row that is taken", run("seed", "entities", "-c", store.config, "--from-jsonl", "-", given=taken), 1, "stdin:2: a row that it brings is there already")
    store.entities("and skipped", dict(seeded=1, known=1, bad=1), "--from-jsonl", "-", "--skip-bad", given=taken)
    expect("a bad state", run("seed", "entities", "-c", store.config, "--from-jsonl", "-", given=lines({"id": "o-9", "state": "lost"})), 1,
           "stdin:1: 'state' is no state of the machine")
    other = folder / "shop.db"
    with sqlite3.connect(other) as db:
        db.executescript("CREATE TABLE o (id INTEGER, status TEXT, amount INTEGER); INSERT INTO o VALUES (7, 'PAID', 5), (8, 'NEW', 6);"
                         "CREATE TABLE p (id TEXT, o INTEGER, amount INTEGER); INSERT INTO p VALUES ('p-7', 7, 5);")
    query = """SELECT id, CASE status WHEN 'PAID' THEN 'paid' ELSE 'created' END AS state, amount AS amount_minor, 'EUR' AS currency,
        (SELECT sum(amount) FROM p WHERE p.o = o.id) AS paid_minor,
        json_object('payments', (SELECT json_group_array(json_object('payment_id', p.id, 'order_id', CAST(o.id AS TEXT), 'amount_minor', p.amount,
            'currency', 'EUR', 'method', 'card')) FROM p WHERE p.o = o.id)) AS records FROM o"""
    store.entities("by a query", dict(seeded=2), "--from-sqlite", other, "--sql", query)
    store.content("entities")
    expect("erased", run("erase", "--entity", "o-1", "-c", store.config), 0)
    store.content("entities, one of them erased")
    with sqlite3.connect(store.db) as db:
        db.execute("UPDATE payments SET method = 'cash' WHERE payment_id = 'p-1'")
    result = run("verify", "-c", store.config, "-o", "json")
    must("erased, and a row changed since", result.returncode == 3 and "is not what history row" in result.stdout, result.stdout)
    with sqlite3.connect(store.db) as db:
        db.execute("UPDATE payments SET method = 'card' WHERE payment_id = 'p-1'")
    store.content("and back")
    expect("explain", run("explain", "7", "-c", store.config), 0, "applied via seed: none -> paid, version 1", "paid_minor 5")


def documented(folder):
    """Each table's query in deploy/seeding.md, and that its columns are named as they are."""
    text = (ROOT / "deploy/seeding.md").read_text("utf-8")
    for table, (columns, rows) in TABLES.items():
        section = re.search(rf"### {table} .*?(?=\n##)", text, re.DOTALL)[0]
        query = re.search(r"```sql\n(.*?)```", section, re.DOTALL)[1]
        other = folder / f"{table}.db"
        with sqlite3.connect(other) as db:
            db.execute(f"CREATE TABLE {table} ({columns})")
            db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        must(f"{table}: columns", all(f"`{name}`" in section for name in names), names)
        store = Store(folder, f"of-{table}")
        store.claims(table, dict(claimed=2), "--from-sqlite", other, "--sql", query)
        for one in "ab":
            must(f"{table}: {one}", run("claims", "show", one, "--source", "/shop/eu", store.db).returncode == 0, one)
        store.content(table)
        for client in re.findall(r"^(?:psql|mysql|sqlcmd) .*?(?=^(?:psql|mysql|sqlcmd|```))", section, re.DOTALL | re.MULTILINE):
            used = set(re.findall(r"\b\w+\b", client))
            must(f"{table}: {client[:8]}", table in used and used & set(names), client)
    example = re.search(r"```json\n(.*?)```", text, re.DOTALL)[1]
    Store(folder, "example").entities("the example", dict(seeded=1), "--from-jsonl", "-", given=example)


def main():
    with tempfile.TemporaryDirectory(prefix="onceward-seed-") as name:
        folder = pathlib.Path(name)
        for test in (usage, claims, entities, documented):
            test(folder)
    print("seed: %s" % ("content" if failed == 0 else f"{failed} failed"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
