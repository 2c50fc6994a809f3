#!/usr/bin/python3
"""The checker checked: it finds the model's own store equal, in any interleaving, and finds each planted bug."""
import os
import random
import shutil
import sqlite3
import tempfile
import unittest

import broker_io
import compare
import generate
import machine as mc
import model as om
import store
import walk
from envelope import Record

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MACHINE = os.path.join(ROOT, "schemas", "orders.yaml")


COLUMNS = {
    "orders": "state version last_seq amount_minor currency paid_minor refunded_minor created_at_ms updated_at_ms",
    "payments": "payment_id order_id amount_minor currency method seq",
    "refunds": "refund_id amount_minor seq",
    "ow_claims": "key fingerprint ref",
    "ow_position": "next_offset high_offset anchor applied reread",
    "ow_ledger": "first_offset last_offset outcome records",
    "ow_history": "seq version from_state to_state event_type source message_id event_time_ms via data offset prev_seq",
    "ow_sighting": "ref cause offset",
    "ow_parked": "id entity_id event_type key value headers timestamp_ms deadline_ms",
    "ow_quarantine": "id reason offset key value headers seen status timestamp_ms"}
OTHER_VALUE = {"headers": "'[]'", "fingerprint": "x'ff11'"}


def planted():
    """SQL statements, each of which damages one row of a store."""
    def one_of(table, where=""):
        return "WHERE rowid = (SELECT rowid FROM %s %s LIMIT 1 OFFSET 5)" % (table, where)

    for table, columns in COLUMNS.items():
        for column in columns.split():
            yield "UPDATE %s SET %s = %s %s" % (table, column, OTHER_VALUE.get(column, "4711"), one_of(table))
        yield "DELETE FROM %s %s" % (table, one_of(table))
        yield "INSERT INTO %s SELECT * FROM %s %s" % (table, table, one_of(table))
    yield "UPDATE ow_history SET first_ref = 1 " + one_of("ow_history", "WHERE first_ref IS NOT NULL")
    yield "UPDATE ow_quarantine SET conflict_ref = 3 " + one_of("ow_quarantine", "WHERE reason = 'conflict'")
    yield "UPDATE ow_meta SET value = value + 1 WHERE key = 'next_ref'"
    yield "UPDATE ow_bucket SET claims = claims - 1"
    yield "UPDATE ow_machine SET text = '{}'"


def partitioned(log, partitions=4):
    """What the broker would make of a log: (topic, partition) -> [Record]."""
    logs = {(t, p): [] for t in (generate.ORDERS, generate.PAYMENTS) for p in range(partitions)}
    for i, (topic, key, headers, value, timestamp_ms) in enumerate(log):
        place = (topic, broker_io.partition_of(i, key, partitions))
        logs[place].append(Record(*place, len(logs[place]), timestamp_ms, key, headers, value))
    return logs


def interleaved(logs, seed):
    """All records, partitions merged at random in runs, as a consumer gets them."""
    chance, waiting = random.Random(seed), {p: list(reversed(rs)) for p, rs in logs.items() if rs}
    while waiting:
        place = chance.choice(sorted(waiting))
        for _ in range(chance.choice((1, 1, 2, 5, 50))):
            if waiting[place]:
                yield waiting[place].pop()
        if not waiting[place]:
            del waiting[place]


def run_model(logs, seed, machine):
    model = om.Model([machine], hash_key=random.Random(seed).randbytes(32))
    for record in interleaved(logs, seed):
        model.handle(record, 0)
    return model


class Checker(unittest.TestCase):
    def setUp(self):
        self.machine = mc.load(MACHINE)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name="model.db"):
        return os.path.join(self.folder.name, name)

    def check(self, logs, path=None):
        db = store.open_read_only(path or self.path())
        try:
            return compare.check(db, [self.machine], logs)
        finally:
            db.close()

    def test_the_models_own_store_is_equal(self):
        hashes = set()
        load, _ = generate.load(6000, 5)
        for name, log in (("walk", walk.walk(1)[0]), ("load", load)):
            logs = partitioned(log)
            for seed in range(3):
                path = self.path("%s-%d.db" % (name, seed))
                made = run_model(logs, seed, self.machine)
                store.write_model(made, path)
                report, replay = self.check(logs, path)
                self.assertEqual(report.differences, {})
                self.assertEqual(made.state_hash(), replay.state_hash())
                self.assertEqual(sum(made.totals().values()), len(log))
                if name == "load":
                    hashes.add(made.state_hash())
        self.assertEqual(len(hashes), 1, "the load log's business state must not depend on the interleaving")

    def test_a_stores_single_wrong_value_is_found(self):
        logs = partitioned(walk.walk(2, (walk.early, walk.doors, walk.conflicts, walk.limits))[0])
        store.write_model(run_model(logs, 2, self.machine), self.path())
        missed, count = [], 0
        for sql in planted():
            shutil.copyfile(self.path(), self.path("planted.db"))
            db = sqlite3.connect(self.path("planted.db"))
            self.assertEqual(db.execute(sql).rowcount, 1, sql)
            db.commit()
            db.close()
            count += 1
            if not self.check(logs, self.path("planted.db"))[0].total:
                missed.append(sql)
        self.assertEqual(missed, [])
        print("%d planted differences found" % count)

    def test_blank_rows_may_be_blank_and_nothing_else(self):
        logs = partitioned(walk.walk(2, (walk.early, walk.doors, walk.conflicts, walk.limits))[0])
        blank = "key = NULL, headers = NULL, value = NULL, status = 'discarded'"
        given_up = ("INSERT INTO ow_quarantine (topic, partition, offset, id, reason, machine, entity_id, timestamp_ms, seen, status, note)"
                    " SELECT topic, partition, offset, id, 'park_timeout', machine, entity_id, timestamp_ms, 1, 'discarded', 'payload erased at 2026'"
                    " FROM ow_parked; DELETE FROM ow_parked")
        for sql, fits in (("UPDATE ow_history SET data = '{\"erased\":7}'", True),
                          ("UPDATE ow_history SET data = '{\"erased\":7,\"/data/amount\":1}'", False),
                          ("UPDATE ow_quarantine SET note = 'payload erased at 2026', " + blank, True),
                          ("UPDATE ow_quarantine SET " + blank, False),
                          ("UPDATE ow_quarantine SET note = 'payload erased at 2026', reason = 'guard', " + blank, False),
                          (given_up, True),
                          (given_up.replace("'park_timeout'", "'guard'"), False),
                          ("UPDATE ow_history SET data = '{\"erased\":7}'; UPDATE payments SET amount_minor = 4711", False)):
            path = self.path("erased.db")
            if os.path.exists(path):
                os.remove(path)
            store.write_model(run_model(logs, 2, self.machine), path)
            with sqlite3.connect(path) as db:
                db.executescript(sql)
            db.close()
            self.assertEqual(self.check(logs, path)[0].total == 0, fits, sql)

    def test_a_worker_with_another_rule_is_found(self):
        """Planted bugs of judging: a model that errs must not pass for one that does not."""
        logs = partitioned(walk.walk(3)[0])

        class NoStaleComparison(om.Model):
            def _says_nothing_new(self, *_):
                return True

        class OnePassOfWaking(om.Model):
            def _wake(self, machine, entity_id):
                for event in list(self.parked[machine.name].get(entity_id, [])):
                    verdict, detail = self._decide(event)
                    if verdict != "park":
                        self.parked[machine.name][entity_id].remove(event)
                        self._carry_out(event, verdict, detail, self._draw() if verdict == "apply" else event.ref, "wake")

        class NoBusinessKeys(om.Model):
            def _decide_business_keys(self, *_):
                return None, None

        class ConflictIsDuplicate(om.Model):
            def _claim(self, event, key, rule, fingerprint):
                if key in self.claims:
                    fingerprint = self.claims[key].fingerprint
                return super()._claim(event, key, rule, fingerprint)

        class LooseLimit(om.Model):
            def __init__(self, *args, **named):
                super().__init__(*args, record_bytes=om.RECORD_BYTES + 1, **named)

        for wrong in (NoStaleComparison, OnePassOfWaking, NoBusinessKeys, ConflictIsDuplicate, LooseLimit):
            made = wrong([self.machine], hash_key=bytes(32))
            for record in interleaved(logs, 3):
                made.handle(record, 0)
            path = self.path(wrong.__name__)
            store.write_model(made, path)
            self.assertGreater(self.check(logs, path)[0].total, 0, wrong.__name__)

    def test_an_order_no_partition_allows_is_found(self):
        logs = partitioned(generate.load(500, 6)[0], partitions=1)
        swapped = {place: list(records) for place, records in logs.items()}
        records = swapped[generate.ORDERS, 0]
        records[10], records[11] = records[11], records[10]
        store.write_model(run_model(swapped, 1, self.machine), self.path())
        self.assertGreater(self.check(logs)[0].total, 0)


class WalkReaches(unittest.TestCase):
    """The walk log is only worth something if it gets everywhere, through one door and through two."""

    def test_every_cell_and_every_reason(self):
        machine = mc.load(MACHINE)
        made = run_model(partitioned(walk.walk(1)[0]), 1, machine)
        reached = {(state, kind) for state, kind, _ in made.cells_seen}
        self.assertEqual(set(machine.table_of) - reached, set())
        for cell, verdict in machine.table_of.items():
            wanted = {"reject": "illegal"}.get(verdict, verdict)
            self.assertIn((*cell, wanted), made.cells_seen)
        self.assertEqual(set(made.reasons()), {"oversize", "malformed", "unknown_type", "missing_key", "conflict", "illegal",
                                               "guard", "business_key", "overflow"})
        self.assertGreater(sum(1 for row in made.history if row["via"] == "wake"), 100)
        self.assertGreater(max(row["seen"] for row in made.quarantine), 1)

    def test_the_load_log_is_as_the_issue_says(self):
        log, counts = generate.load(50_000, 3)
        self.assertEqual(len(log), 50_000)
        self.assertAlmostEqual(sum(len(r[3]) for r in log) / len(log), 336, delta=2)
        self.assertAlmostEqual(counts["redelivery"] / 50_000, 0.05, delta=0.004)
        self.assertAlmostEqual(counts["conflict"] / 50_000, 0.001, delta=0.0005)
        self.assertAlmostEqual(counts["malformed"] / 50_000, 0.001, delta=0.0005)
        self.assertAlmostEqual(counts["early"] / counts["order.created"], 0.005, delta=0.0015)
        self.assertEqual(generate.load(500, 3)[0], generate.load(500, 3)[0])


if __name__ == "__main__":
    unittest.main()
