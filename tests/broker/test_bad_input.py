#!/usr/bin/python3
"""Each bad record has an outcome, none stops its partition, and what was sent can be had back byte for byte from
ow_quarantine: compared with what the test sent, not with what the broker gave back, and without the model.

    tests/broker/test_bad_input.py [--seed 1] [--binary …] [--bootstrap …]
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import bad_input      # noqa: E402
import broker_io      # noqa: E402
import harness        # noqa: E402
import store          # noqa: E402
import walk           # noqa: E402

REASONS = {"oversize", "malformed", "missing_key", "unknown_type"}
PARTITIONS = 2


def cases(seed):
    """[(name, record)]: bad ones, each followed by a good event that must be applied."""
    made, out = walk.Walk(seed), []
    for door in (walk.ORDERS, walk.PAYMENTS):
        for name, record in bad_input.records(made, walk.Scenario, door):
            good = walk.Scenario(made, "good", door)
            good.do("order.created")
            out += [(name, record), (None, good.records[0])]
    return out


def bad(world):
    sent = cases(world.chosen.seed)
    world.produce([record for _, record in sent], PARTITIONS)
    worker = harness.Worker(world, "bad")
    summary = worker.run()
    db = store.open_read_only(worker.db)
    rows = {tuple(r)[:3]: r for r in db.execute("SELECT topic, partition, offset, * FROM ow_quarantine")}
    orders = db.execute("SELECT count(*) FROM orders WHERE state = 'created' AND version = 1").fetchone()[0]
    db.close()
    names, next_offset, wrong = world.topics(), {}, []
    for i, (name, (topic, key, headers, value, timestamp_ms)) in enumerate(sent):
        place = (names[topic], broker_io.partition_of(i, key, PARTITIONS))
        offset = next_offset.get(place, 0)
        next_offset[place] = offset + 1
        row = rows.pop((*place, offset), None)
        if name is None:
            if row:
                wrong.append("a good event was quarantined: %s" % row["reason"])
        elif row is None:
            wrong.append("%s: not in ow_quarantine" % name)
        else:
            same = (row["key"] == key and row["value"] == value and row["timestamp_ms"] == timestamp_ms and
                    (row["headers"] and json.loads(row["headers"])) == store.headers_json(headers))
            if not same or row["reason"] not in REASONS or row["seen"] != 1:
                wrong.append("%s: %s, bytes %s" % (name, row["reason"], "equal" if same else "differ"))
    good, count = sum(1 for name, _ in sent if name is None), sum(1 for name, _ in sent if name)
    if rows:
        wrong.append("%d rows that nobody sent" % len(rows))
    if orders != good or summary["total"]["quarantined"] != count:
        wrong.append("%d of %d good orders; %s" % (orders, good, summary))
    if wrong:
        raise harness.Failure("%d wrong:\n  %s" % (len(wrong), "\n  ".join(wrong[:20])))
    print("%d bad records had back byte for byte, %d good ones between them applied" % (count, good))


if __name__ == "__main__":
    sys.exit(harness.main(bad, harness.options(__doc__), ()))
