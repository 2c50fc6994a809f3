#!/usr/bin/python3
"""Every cell of the shipped machine over both topics, and every kind of bad record, on a real broker: the database must equal
the independent model (tests/oracle), every table, row by row. A second run on the same store must change nothing.

    tests/broker/test_walk.py [--seed 1] [--binary …] [--bootstrap …]     # also for sanitizer builds: exit status and stderr
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import harness           # noqa: E402  (reads ONCEWARD_MORE: another seed)
import walk as walk_log  # noqa: E402

REASONS = {"oversize", "malformed", "unknown_type", "missing_key", "conflict", "illegal", "guard", "business_key", "overflow"}


def must_have_been_everywhere(machine, model):
    missed = [cell for cell in machine.table_of if not any(seen[:2] == cell for seen in model.cells_seen)]
    if missed or set(model.reasons()) != REASONS or 0 in (model.totals()[o] for o in ("applied", "duplicate", "stale", "parked")):
        raise harness.Failure("the log did not get everywhere: %s %s" % (missed, model.reasons()))
    print("%d cells, %d (cell, verdict) pairs, %d reasons reached" % (len(machine.table_of), len(model.cells_seen), len(REASONS)))


def walk(world):
    log, scenarios = walk_log.walk(world.chosen.seed)
    print("%d scenarios" % sum(scenarios.values()))
    world.produce(log)
    worker = harness.Worker(world, "walk")
    summary = worker.run()
    print(summary, flush=True)
    logs, firsts = world.dump()
    model = worker.check(logs, firsts)
    harness.summary_must_fit(summary, model)
    causes = {"same_offset": 0, "same_id": summary["total"]["duplicate"], "other_channel": 0, "replay": 0}
    if summary["run"]["duplicates"] != causes or causes["same_id"] == 0:
        raise harness.Failure("the causes of duplicates are %s, expected %s" % (summary["run"]["duplicates"], causes))
    must_have_been_everywhere(world.machine(), model)
    again = worker.run()
    if again["run"]["records"] != 0:
        raise harness.Failure("a second run handled records: %s" % again)
    worker.check(logs, firsts)


if __name__ == "__main__":
    sys.exit(harness.main(walk, harness.options(__doc__), ()))
