#!/usr/bin/python3
"""kill -9 under load on a real broker: a log run straight once, and once killed again and again, each kill only after
progress was seen in the database. Both databases must equal the independent model (tests/oracle), every row, and each other.

    tests/broker/test_kill.py [--records 120000] [--kills 20] [--seed 1] [--binary …] [--bootstrap …]
"""
import os
import pathlib
import random
import sqlite3
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import generate      # noqa: E402
import harness       # noqa: E402
import store         # noqa: E402


class Progress:
    """How far the worker has come: the sum of the positions, each look a read of its own."""

    def __init__(self, path):
        self.path, self.db = path, None

    def look(self):
        if not os.path.exists("%s-wal" % self.path):        # being made: a reader now could be in the way
            return None
        try:
            if self.db is None:
                self.db = store.open_read_only(self.path)
            return self.db.execute("SELECT coalesce(sum(next_offset), 0) FROM ow_position").fetchone()[0]
        except sqlite3.OperationalError:                    # not made yet, or being recovered
            self.close()
            return None

    def close(self):
        if self.db is not None:
            self.db.close()
            self.db = None


def killed_once(worker, begin, want, chance):
    """Starts the worker, waits until it is `want` records beyond `begin`, kills it. Where it was; None if it ended by itself."""
    worker.start()
    progress = Progress(worker.db)
    deadline = time.monotonic() + worker.world.chosen.timeout
    try:
        while True:
            ended = worker.process.poll() is not None
            now = progress.look()
            if now is not None and now >= begin + want and not ended:
                progress.close()
                time.sleep(chance.uniform(0, 0.01))         # anywhere in a batch, not only just after a commit
                worker.kill()
                return now if worker.process.returncode == -9 else None
            if ended:
                worker.finish()                             # raises unless it came to the end
                return None
            if time.monotonic() > deadline:
                worker.kill()
                raise harness.Failure("no progress from %d for %d s\n%s" % (begin, worker.world.chosen.timeout, worker.tail()))
            time.sleep(0.002)
    finally:
        progress.close()


def run_killed(world, records):
    """A worker that was killed chosen.kills times and then came to the end."""
    worker, chance = harness.Worker(world, "killed"), random.Random(world.chosen.seed)
    kills, at = 0, 0
    while kills < world.chosen.kills:
        share = (records - at) // (world.chosen.kills - kills + 1)      # what this round may take, leaving enough for the others
        at = killed_once(worker, at, chance.randint(1, max(1, share)), chance)
        if at is None:
            raise harness.Failure("at the end after %d of %d kills: give it more --records" % (kills, world.chosen.kills))
        kills += 1
        print("kill %2d after %d of %d records" % (kills, at, records), flush=True)
    worker.run()
    return worker


def business_rows(worker):
    """The business tables less the numbers that depend on the interleaving of the partitions."""
    db = store.open_read_only(worker.db)
    tables, _ = store.read_rows(db, [worker.world.machine()])
    db.close()
    return {name: {key: {c: v for c, v in row.items() if c not in ("seq", "last_seq")} for key, row in rows.items()}
            for name, rows in tables.items() if name not in store.TABLES}


def kill(world):
    log, counts = generate.load(world.chosen.records, world.chosen.seed)
    print("the log: %s" % dict(counts), flush=True)
    world.produce(log)
    straight = harness.Worker(world, "straight")
    summary = straight.run()
    print("straight: %s" % summary, flush=True)
    killed = run_killed(world, len(log))
    logs, firsts = world.dump()
    model = straight.check(logs, firsts)
    harness.summary_must_fit(summary, model)
    other = killed.check(logs, firsts)
    if model.state_hash() != other.state_hash() or business_rows(straight) != business_rows(killed):
        raise harness.Failure("the business state of the killed run is not that of the straight one")
    rows = sum(len(rows) for rows in business_rows(killed).values())
    print("%d kills, %d business rows equal in both runs, state_hash %s, straight %.0f records/s" % (
        world.chosen.kills, rows, model.state_hash(), summary["run"]["records_per_second"]))


if __name__ == "__main__":
    more = harness.MORE                                      # ONCEWARD_MORE
    found = harness.options(__doc__, records=300_000 if more else 120_000, kills=60 if more else 20)
    sys.exit(harness.main(kill, found, ("records", "kills")))
