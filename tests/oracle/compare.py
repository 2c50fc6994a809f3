"""Compares a worker's database with the model, given the records of the topics. Used by check.py and the broker tests.

The order in which partitions were interleaved is not in the topics. It is taken from the database: every record that draws
a number (ref) has it written down beside its topic, partition and offset, so the numbers give a total order of those
records. The others (duplicates, repeated conflicts, filtered) draw none and change nothing but counters, sightings and
`seen`; they are put in as late as their partition's order allows, which is never before the claim they repeat, if there
is any consistent order at all. The model is replayed in that order and then everything must match, number by number.
So the database chooses an interleaving and nothing else: an order that no reading of the partitions allows is a difference.
"""
import re

import canonical as cj
import model as om
import store

DURATION_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def duration_ms(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h|d)", text).groups()
    return int(number) * DURATION_MS[unit]


class Report:
    """What was compared, and what differs."""
    SHOWN = 12                                # differences printed for each table

    def __init__(self):
        self.compared, self.differences = {}, {}

    def count(self, what, number):
        self.compared[what] = self.compared.get(what, 0) + number

    def differ(self, what, text):
        self.differences.setdefault(what, []).append(text)

    def expect(self, what, name, found, expected):
        self.count(what, 1)
        if found != expected:
            self.differ(what, "%s: the store has %s, the model %s" % (name, brief(found), brief(expected)))

    @property
    def total(self):
        return sum(len(d) for d in self.differences.values())

    def lines(self):
        for what, number in self.compared.items():
            yield "%-16s %9d compared  %d differences" % (what, number, len(self.differences.get(what, ())))
        for what, texts in self.differences.items():
            yield ""
            for text in texts[:self.SHOWN]:
                yield "%s: %s" % (what, text)
            if len(texts) > self.SHOWN:
                yield "%s: … and %d more" % (what, len(texts) - self.SHOWN)
        yield ""
        yield "%d differences" % self.total


def brief(value):
    if isinstance(value, (bytes, bytearray)):
        text = value.hex() if len(value) <= 16 else repr(bytes(value[:60])) + " (%d bytes)" % len(value)
        return text
    text = repr(value)
    return text if len(text) <= 120 else text[:120] + "… (%d)" % len(text)


def interleave(logs, drawn, report):
    """One order of all records. `logs`: (topic, partition) -> [Record]; `drawn`: [(ref, place)] from the database."""
    index = {place: {r.offset: i for i, r in enumerate(records)} for place, records in logs.items()}
    taken = dict.fromkeys(logs, 0)
    last_ref = None
    for ref, (topic, partition, offset) in drawn:
        place = (topic, partition)
        at = index.get(place, {}).get(offset)
        report.count("order", 1)
        if ref == last_ref:
            report.differ("order", "number %d was drawn twice; the second is %s/%d@%d" % (ref, topic, partition, offset))
        last_ref = ref
        if at is None:
            report.differ("order", "number %d belongs to %s/%d@%d, which no topic has" % (ref, topic, partition, offset))
        elif at < taken[place]:
            report.differ("order", "number %d (%s/%d@%d) is later than that of a later offset" % (ref, topic, partition, offset))
        else:
            yield from logs[place][taken[place]:at + 1]
            taken[place] = at + 1
    for place, records in logs.items():
        yield from records[taken[place]:]


def check(db, machines, logs, firsts=None):
    """(Report, Model). `logs`: (topic, partition) -> [Record]; `firsts`: where each partition begins (default 0)."""
    report = Report()
    db.execute("BEGIN")                                  # one snapshot
    meta = store.read_meta(db)
    tables, doubles = store.read_rows(db, machines)
    compare_plumbing(db, machines, tables, report)
    erased = store.read_erased(db)
    db.execute("ROLLBACK")
    for table, key in doubles:
        report.differ(table, "two rows for %s" % (key,))
    replay = om.Model(machines, meta["hash_key"])
    for record in interleave(logs, store.order_of_refs(tables), report):
        replay.handle(record, (firsts or {}).get((record.topic, record.partition), 0))
    expected = store.model_rows(replay, rule_numbers(replay, tables, meta, report))
    drop_idle_positions(tables, logs)
    expect_erased(tables, expected, erased)
    for name in expected:
        compare_table(name, tables[name], expected[name], report)
    compare_offsets(replay, logs, tables, report)
    report.expect("ow_meta", "next_ref", int(meta["next_ref"]), replay.next_ref)
    return report, replay


def rule_numbers(model, tables, meta, report):
    """Which number the store gave each fingerprint rule: one number for each, known to ow_meta."""
    numbers = {}
    for key, claim in model.claims.items():
        row = tables["ow_claims"].get((key,))
        if row and claim.rule not in numbers:
            numbers[claim.rule] = row["rule"]
            if "fingerprint_rule.%d" % row["rule"] not in meta or row["rule"] in list(numbers.values())[:-1]:
                report.differ("ow_meta", "fingerprint rule %d is unknown or stands for two rules" % row["rule"])
    return numbers


def drop_idle_positions(tables, logs):
    """A partition without records may have a position with nothing counted in it, or none."""
    for place, row in list(tables["ow_position"].items()):
        if not logs.get(place) and not any(row[o] for o in (*om.OUTCOMES, "reread")):
            del tables["ow_position"][place]


def expect_erased(tables, expected, erased):
    """Where `onceward erase` has been, blanks are expected, and parked records that it gave up in quarantine. What it leaves,
    and every business row, is compared as ever. `erased`: the numbers of such quarantine rows."""
    for key, row in tables["ow_history"].items():
        if key in expected["ow_history"] and store.is_erased(row["data"]):
            expected["ow_history"][key]["data"] = row["data"]
    blank = {"key": None, "headers": None, "value": None, "status": "discarded"}
    for key, row in tables["ow_quarantine"].items():
        if row["id"] not in erased:
            continue
        if key in expected["ow_quarantine"]:
            expected["ow_quarantine"][key].update(blank)
        elif key in expected["ow_parked"]:
            given_up = expected["ow_parked"].pop(key)
            kept = {column: given_up[column] for column in ("id", "machine", "entity_id", "timestamp_ms")}
            expected["ow_quarantine"][key] = {**kept, **blank, "reason": "park_timeout", "seen": 1, "conflict_ref": None,
                                              "conflict_fingerprint": None}


def compare_table(name, found, expected, report):
    columns = store.TABLES[name][1] if name in store.TABLES else None
    report.count(name, max(len(found), len(expected)))
    for key, row in expected.items():
        if key not in found:
            report.differ(name, "%s is missing: %s" % (place(key), {c: brief(v) for c, v in row.items() if v is not None}))
            continue
        for column in columns or sorted({*row, *found[key]}):
            a, b = found[key].get(column, "(no such column)"), row.get(column, "(no such column)")
            if b != a:
                report.differ(name, "%s %s: the store has %s, the model %s" % (place(key), column, brief(a), brief(b)))
    for key, row in found.items():
        if key not in expected:
            report.differ(name, "%s should not be there: %s" % (place(key), {c: brief(v) for c, v in row.items() if v is not None}))


def place(key):
    return "%s/%s@%s" % key if len(key) == 3 else "/".join(k.hex() if isinstance(k, bytes) else str(k) for k in key)


def compare_offsets(model, logs, tables, report):
    """Each offset of each partition is in exactly one ledger run; the runs join from the first position to high_offset."""
    for (topic, partition), records in logs.items():
        runs = sorted((key[2], row["last_offset"], row["outcome"]) for key, row in tables["ow_ledger"].items()
                      if key[:2] == (topic, partition))
        for before, after in zip(runs, runs[1:]):
            if after[0] != before[1] + 1:
                report.differ("offsets", "%s/%d: the run after %d begins at %d" % (topic, partition, before[1], after[0]))
        at = 0
        for record in records:
            while at < len(runs) and runs[at][1] < record.offset:
                at += 1
            if at == len(runs) or runs[at][0] > record.offset:
                report.differ("offsets", "%s/%d@%d has no outcome" % (topic, partition, record.offset))
        report.count("offsets", len(records))


def compare_plumbing(db, machines, tables, report):
    """What no record decides: buckets, parked deadlines, the stored machine."""
    claims = dict(db.execute("SELECT bucket, count(*) FROM ow_claims GROUP BY bucket").fetchall())
    buckets = {r["bucket"]: r for r in db.execute("SELECT * FROM ow_bucket")}
    classes = {duration_ms(m.claim_of(e)["retention"]) for m in machines for e in m.events if "retention" in m.claim_of(e)}
    for bucket, number in claims.items():
        report.expect("ow_bucket", "bucket %s: it is listed" % bucket, bucket in buckets, True)
        if bucket in buckets:
            report.expect("ow_bucket", "bucket %s: claims" % bucket, buckets[bucket]["claims"], number)
    for bucket, row in buckets.items():
        report.expect("ow_bucket", "bucket %s: its class is a declared retention" % bucket, row["class"] in classes, True)
    deadlines = {m.name: duration_ms(m.park.get("deadline", "72h")) for m in machines}
    for row in db.execute("SELECT id, machine, deadline_ms - parked_at_ms AS wait FROM ow_parked"):
        report.expect("ow_parked", "number %d: deadline less parking" % row["id"], row["wait"], deadlines.get(row["machine"]))
    stored = {(r["name"], r["version"]): r["text"] for r in db.execute("SELECT name, version, text FROM ow_machine")}
    for m in machines:
        text = stored.get((m.name, m.version))
        report.expect("ow_machine", "%s %d" % (m.name, m.version), text, cj.canonical(m.source))
