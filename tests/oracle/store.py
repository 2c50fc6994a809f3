"""The tables of DESIGN 6, from two sides in one shape: read from a worker's database, and derived from the model.

Shape: table name -> {key tuple -> {column -> value}}. The key is what names a row to a reader of a difference: where the
record came from, not a number the worker drew. `write_model` puts a model into a new SQLite file, for the oracle's own tests.
"""
import base64
import json
import sqlite3

import canonical as cj
import model as om

PLACE = ("topic", "partition", "offset")
TABLES = {                                   # name -> (key columns, compared columns)
    "ow_claims": (("key",), ("rule", "fingerprint", "ref")),
    "ow_position": (("topic", "partition"), ("next_offset", "high_offset", "anchor", *om.OUTCOMES, "reread")),
    "ow_ledger": (("topic", "partition", "first_offset"), ("last_offset", "outcome", "records")),
    "ow_history": (PLACE, ("seq", "first_ref", "machine", "machine_version", "entity_id", "version", "prev_seq", "event_type",
                           "source", "message_id", "from_state", "to_state", "event_time_ms", "via", "data")),
    "ow_sighting": (PLACE, ("ref", "cause")),
    "ow_parked": (PLACE, ("id", "machine", "entity_id", "event_type", "timestamp_ms", "key", "headers", "value")),
    "ow_quarantine": (PLACE, ("id", "reason", "machine", "entity_id", "timestamp_ms", "key", "headers", "value", "seen",
                              "status", "conflict_ref", "conflict_fingerprint")),
}


class Any:
    """Equal to everything: what the contract leaves open."""
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    def __repr__(self):
        return "(open)"


ANY = Any()


def keyed(table, key_columns, rows, doubles=None):
    """Rows as a dict; a second row under one key is written into `doubles`."""
    out = {}
    for row in rows:
        key = tuple(row.pop(c) for c in key_columns)
        if key in out and doubles is not None:
            doubles.append((table, key))
        out[key] = row
    return out


# --- headers: NULL, or JSON [[name, value]…] with {"base64": …} where a value is not UTF-8 -----------------------

def headers_json(headers):
    def text(value):
        if value is None:
            return None
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode("ascii")}
    return [[name, text(value)] for name, value in headers] or None


# --- from the model -----------------------------------------------------------------------------------------------

def model_rows(model, rule_numbers=None):
    """`rule_numbers`: fingerprint rule -> its number in the store; missing ones count from 1."""
    numbers = rule_numbers or {}
    rows = {name: [] for name in TABLES}
    for key, claim in model.claims.items():
        number = numbers.setdefault(claim.rule, len(numbers) + 1)
        rows["ow_claims"].append(dict(key=key, rule=number, fingerprint=claim.fingerprint, ref=claim.ref))
    for (topic, partition), place in model.partitions.items():
        if place is None:
            continue
        rows["ow_position"].append(dict(topic=topic, partition=partition, next_offset=place.next_offset, reread=0,
                                        high_offset=place.next_offset, anchor=place.anchor, **place.counters))
        for first, last, outcome, count in place.ledger:
            rows["ow_ledger"].append(dict(topic=topic, partition=partition, first_offset=first, last_offset=last,
                                          outcome=outcome, records=count))
    rows["ow_history"] = [dict(r) for r in model.history]
    rows["ow_sighting"] = [dict(r) for r in model.sightings]
    for entities in model.parked.values():
        for events in entities.values():
            for e in events:
                r = e.record
                rows["ow_parked"].append(dict(
                    id=e.ref, machine=e.machine.name, entity_id=e.envelope.entity, event_type=e.envelope.type,
                    topic=r.topic, partition=r.partition, offset=r.offset, timestamp_ms=r.timestamp_ms, key=r.key,
                    headers=headers_json(r.headers), value=r.value))
    for r in model.quarantine:
        row = dict(r, headers=headers_json(r["headers"]))
        if row["machine"] is None:
            row["machine"] = row["entity_id"] = ANY          # not claimed: what was known of it is the worker's choice
        rows["ow_quarantine"].append(row)
    out = {name: keyed(name, TABLES[name][0], rs) for name, rs in rows.items()}
    for name, (key, business) in model.business_tables().items():
        out[name] = keyed(name, (key,), (dict(r) for r in business))
    return out


# --- from a database ----------------------------------------------------------------------------------------------

def open_read_only(path):
    db = sqlite3.connect("file:%s?mode=ro" % path, uri=True, timeout=30)
    db.row_factory = sqlite3.Row
    return db


def read_meta(db):
    meta = {row["key"]: row["value"] for row in db.execute("SELECT key, value FROM ow_meta")}
    raw = meta["hash_key"]
    meta["hash_key"] = bytes.fromhex(raw) if isinstance(raw, str) else raw
    return meta


def read_rows(db, machines):
    """(tables, doubles) of a worker's database; everything in memory, so that the snapshot is short."""
    tables, doubles = {}, []
    for name, (key, columns) in TABLES.items():
        if name == "ow_claims":
            rows = [dict(key=k, rule=f[0], fingerprint=f[1:], ref=ref)
                    for k, f, ref in db.execute("SELECT key, fingerprint, ref FROM ow_claims")]
        else:
            names = ", ".join('"%s"' % c for c in (*key, *columns))
            rows = [dict(r) for r in db.execute("SELECT %s FROM %s" % (names, name))]
        for row in rows:
            if row.get("headers") is not None:
                row["headers"] = json.loads(row["headers"])
            if row.get("conflict_fingerprint") is not None:
                row["conflict_fingerprint"] = row["conflict_fingerprint"][-8:]
        tables[name] = keyed(name, key, rows, doubles)
    for machine in machines:
        for table, key in [(machine.table, machine.key), *((t, k) for t, (k, _) in machine.records.items())]:
            tables[table] = keyed(table, (key,), (dict(r) for r in db.execute('SELECT * FROM "%s"' % table)), doubles)
    return tables, doubles


def read_erased(db):
    """The numbers of quarantine rows that say that their payload was erased."""
    return {row["id"] for row in db.execute("SELECT id FROM ow_quarantine WHERE note GLOB 'payload erased at *'")}


def is_erased(data):
    """Whether that is what an erasure leaves of a history row's data, whose members are else pointers ('/…')."""
    made = json.loads(str(data))
    return isinstance(made, dict) and "erased" in made and set(made) <= {"erased", "records", "columns"}


def order_of_refs(tables):
    """Where each drawn number went: [(ref, (topic, partition, offset))] in order, first sights only."""
    drawn = [(row["first_ref"] or row["seq"], place) for place, row in tables["ow_history"].items()]
    drawn += [(row["id"], place) for name in ("ow_parked", "ow_quarantine") for place, row in tables[name].items()]
    drawn += [(row["ref"], place) for place, row in tables["ow_sighting"].items() if row["cause"] == "stale"]
    return sorted(drawn)


# --- writing a model down, for the oracle's own tests -------------------------------------------------------------

def write_model(model, path, retention_ms=45 * 86_400_000):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE ow_meta (key TEXT PRIMARY KEY, value)")
    db.execute("CREATE TABLE ow_machine (name, version, digest, text)")
    db.execute("CREATE TABLE ow_bucket (bucket, class, opened_at_ms, sealed_at_ms, claims)")
    db.execute("CREATE TABLE ow_claims (bucket, key, fingerprint, ref)")
    db.execute("INSERT INTO ow_bucket VALUES (1, ?, 0, NULL, ?)", (retention_ms, len(model.claims)))
    for machine in model.machines:
        db.execute("INSERT INTO ow_machine VALUES (?, ?, '', ?)", (machine.name, machine.version, cj.canonical(machine.source)))
    meta = {"hash_key": model.hash_key, "next_ref": model.next_ref, "fingerprint_rule.1": "the rule"}
    db.executemany("INSERT INTO ow_meta VALUES (?, ?)", meta.items())
    for name, rows in model_rows(model).items():
        if name == "ow_claims":
            db.executemany("INSERT INTO ow_claims VALUES (1, ?, ?, ?)",
                           [(k, bytes([r["rule"]]) + r["fingerprint"], r["ref"]) for (k,), r in rows.items()])
            continue
        keys, columns = _columns_of(model, name)
        columns += {"ow_parked": ("parked_at_ms", "deadline_ms"), "ow_quarantine": ("note",)}.get(name, ())
        names = ", ".join('"%s"' % c for c in (*keys, *columns))
        db.execute("CREATE TABLE %s (%s)" % (name, names))
        marks = ", ".join("?" * (len(keys) + len(columns)))
        for key, row in rows.items():
            row = dict(row, parked_at_ms=0, deadline_ms=72 * 3_600_000, note=None)
            db.execute("INSERT INTO %s VALUES (%s)" % (name, marks), (*key, *(_plain(c, row[c]) for c in columns)))
    db.commit()
    db.close()


def _plain(column, value):
    return None if value is ANY else json.dumps(value) if column == "headers" and value is not None else value


def _columns_of(model, name):
    if name in TABLES:
        return TABLES[name]
    for m in model.machines:
        if name == m.table:
            return (m.key,), (*m.columns, "state", "version", "last_seq", "created_at_ms", "updated_at_ms")
        if name in m.records:
            key, columns = m.records[name]
            return (key,), (*(c for c in columns if c != key), "seq")
    raise KeyError(name)
