#!/usr/bin/python3
"""Compares a worker's database with an independent model of what the topics demand (DESIGN 3 to 6).

    tests/oracle/check.py orders.db --bootstrap 127.0.0.1:9092 --machine schemas/orders.yaml [--topic …] [--state-hash]

Proved, for a worker that is idle or stopped at the end of the topics: there is one order of reading the partitions in which
the model gives exactly this database: the outcome of every offset (counters, ledger runs, positions, anchors), every claim
with its key and fingerprint, every number drawn, every row of the business tables, history, parked, quarantine (raw bytes
and headers) and sightings, row by row and column by column. Also the bucket counts, park deadlines and the stored machine.
Not looked at: wall-clock columns (applied_at_ms, seen_at_ms, …), `detail`, `attempts`, `note`, ow_filter, seen_committed,
machine and entity of quarantined records that own no claim. Not modelled: HTTP records, requeueing, rewinds (reread must be
0), pruning and park timeouts. Rows that `onceward erase` has blanked may be blank.

Exit: 0 equal · 1 could not look · 2 usage · 3 differences.
"""
import argparse
import sqlite3
import sys
import time

import broker_io
import compare
import machine as mc
import store


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("db")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--machine", action="append", required=True, help="machine file; may be given more than once")
    parser.add_argument("--topic", action="append", help="default: the machines' topics")
    parser.add_argument("--state-hash", action="store_true", help="print the model's hash of the business state")
    options = parser.parse_args()
    try:
        machines = [mc.load(path) for path in options.machine]
    except (OSError, ValueError, KeyError) as error:
        print("cannot load the machine: %s" % error, file=sys.stderr)
        return 2
    topics = options.topic or sorted({t for m in machines for t in m.topics})
    try:
        logs, firsts = broker_io.dump(options.bootstrap, topics)
        db = store.open_read_only(options.db)
        begin = time.monotonic()
        report, model = compare.check(db, machines, logs, firsts)
    except (RuntimeError, sqlite3.Error) as error:
        print("cannot compare: %s" % error, file=sys.stderr)
        return 1
    print_result(report, model, time.monotonic() - begin)
    if options.state_hash:
        print("state_hash " + model.state_hash())
    return 3 if report.total else 0


def print_result(report, model, seconds):
    print("outcomes  " + "  ".join("%s %d" % pair for pair in model.totals().items()))
    print("reasons   " + "  ".join("%s %d" % pair for pair in sorted(model.reasons().items())))
    print("\n".join(report.lines()))
    print("model replayed in %.1f s" % seconds)


if __name__ == "__main__":
    sys.exit(main())
