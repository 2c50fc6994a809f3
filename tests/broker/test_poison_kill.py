#!/usr/bin/python3
"""Records that kill the process, on a real broker: a preloaded library (killer.c) aborts where jansson reads one marker and where
SQLite is given another; the worker is started again each time it dies, as systemd would. Every killer must end up in quarantine
as poison after a bounded number of deaths, everything else must be as in a run in which nothing kills, and `verify` be content.

    tests/broker/test_poison_kill.py [--records 6000] [--killers 6] [--seed 1] [--binary …] [--bootstrap …]
"""
import os
import pathlib
import random
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import generate      # noqa: E402
import harness       # noqa: E402
import store         # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
MONEY = {"amount": 1299, "currency": "EUR"}
TOGETHER, ALONE = 2, 3          # deaths among others, and of the record alone: OW_SUSPECT_PATIENCE, OW_SUSPECT_DEATHS
CONVICTIONS = 8                 # OW_SUSPECT_CONVICTIONS; a killer takes two at most


class Killers:
    """Events that kill, each of an order of its own: (order, most deaths, entity told) and their records."""

    def __init__(self, chance):
        self.chance, self.number, self.told, self.placed = chance, 0, {}, []

    def event(self, kind, order, topic=None, **data):
        self.number += 1
        made = generate.event("killer-%d" % self.number, kind, order, {"order_id": order, **data}, generate.START_MS + self.number)
        topic = topic or (generate.PAYMENTS if kind.startswith("payment") else generate.ORDERS)
        return (topic, order.encode(), [], generate.compact(made), generate.START_MS + self.number)

    def pay(self, order, method, topic=None):
        return self.event("payment.succeeded", order, topic, payment_id="pay-" + order, method=method, **MONEY)

    def add(self, kind):
        order = "DEADLY-%d-%s" % (self.number, kind)
        if kind == "named":                         # even its quarantine row kills, until it has no name either
            order += "-KILLS-THE-WRITER"
        created = self.event("order.created", order, **MONEY)
        steps = {
            "read": [created, self.pay(order, "KILLS-THE-READER")],
            "write": [created, self.pay(order, "KILLS-THE-WRITER")],
            "memory": [created, self.pay(order, "KILLS-BY-MEMORY")],
            "named": [created],
            # Parked, and woken by an event that is innocent; in one partition, so that it is.
            "woken": [self.pay(order, "KILLS-THE-WRITER", generate.ORDERS), self.event("order.dispatched", order), created],
        }[kind]
        # The woken one is found when the one that wakes it is alone: one death more.
        deaths = {"named": 2 * ALONE, "woken": ALONE + 1}.get(kind, ALONE)
        self.told[order] = (kind, deaths)
        self.placed.append(steps)

    def into(self, log):
        """The log with all of them, in order, in places next to each other or far apart."""
        log = list(log)
        near = self.chance.randrange(len(log))
        for i, steps in enumerate(self.placed):
            at = near if i % 2 == 0 else self.chance.randrange(len(log))
            for step in steps:
                log.insert(at, step)
                at += 1 + self.chance.randrange(3)
        return log


def build(world):
    """The library to be preloaded."""
    library = world.folder / "killer.so"
    subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-Wall", "-Werror", "-O1", "-o", library, HERE / "killer.c"], check=True)
    return library


def supervise(worker, library, most):
    """Starts it until it comes to the end; how often it died, and the seconds that took. Where many killers come one after another it takes
    them for no fault of theirs and stops: then we know better, and say so as an operator would."""
    begin, deaths = time.monotonic(), 0
    while deaths <= most:
        os.environ["LD_PRELOAD"] = str(library)
        try:
            worker.start()
        finally:
            del os.environ["LD_PRELOAD"]
        if worker.process.wait(worker.world.chosen.timeout) == 0:
            worker.finish()
            return deaths, time.monotonic() - begin
        if worker.process.returncode == 4 and "it is not the records" in worker.tail() and len(quarantined(worker)) >= (CONVICTIONS - 1) // 2:
            print("stopped after %d deaths, and told to go on" % deaths, flush=True)
            pathlib.Path(str(worker.db) + ".inflight").unlink()
            most += TOGETHER + 2 * ALONE            # what is forgotten
            continue
        if worker.process.returncode > 0:
            raise harness.Failure("ended with %d\n%s" % (worker.process.returncode, worker.tail()))
        said = [line for line in worker.tail().splitlines() if "died_in_work" in line or "event=poison" in line]
        deaths += 1
        print("death %2d by signal %d: %s" % (deaths, -worker.process.returncode, "; ".join(s.split(" ", 2)[-1] for s in said)),
              flush=True)
    raise harness.Failure("died more than %d times\n%s" % (most, worker.tail()))


def quarantined(worker):
    """What is in quarantine as poison: order (from the record's key) -> (entity, type of value seen, detail)."""
    db = store.open_read_only(worker.db)
    rows = [tuple(r) for r in db.execute("SELECT key, machine, entity_id, detail, value FROM ow_quarantine WHERE reason = 'poison'")]
    db.close()
    return rows


def rows_of(worker, deadly):
    """The business tables without the numbers of the run, less the orders of the killers."""
    db = store.open_read_only(worker.db)
    tables, _ = store.read_rows(db, [worker.world.machine()])
    db.close()
    return {name: {key: {c: v for c, v in row.items() if c not in ("seq", "last_seq")} for key, row in rows.items()
                   if not any(v in deadly for v in (*key, *row.values()))}
            for name, rows in tables.items() if name not in store.TABLES}


def check_killers(worker, told):
    rows, wrong = quarantined(worker), []
    if len(rows) != len(told):
        wrong.append("%d rows of poison for %d killers" % (len(rows), len(told)))
    for key, machine, entity, detail, value in rows:
        kind, _ = told.get(key.decode(), (None, 0))
        unread = kind in ("read", "named")
        if kind is None:
            wrong.append("%s is innocent" % key.decode())
        elif kind != "named" and b"KILLS" not in value:
            wrong.append("%s: an innocent event of the order was quarantined: %s" % (key.decode(), value.decode()))
        elif unread != (machine is None) or unread != (entity is None):
            wrong.append("%s: machine %s, entity %s" % (key.decode(), machine, entity))
        elif "the process died" not in detail:
            wrong.append("%s: %s" % (key.decode(), detail))
    db = store.open_read_only(worker.db)
    for order, (kind, _) in told.items():
        state = db.execute("SELECT state FROM orders WHERE order_id = ?", (order,)).fetchone()
        want = None if kind == "named" else ("created",)
        if (None if state is None else tuple(state)) != want:
            wrong.append("%s is %s, not %s" % (order, state, want))
    db.close()
    if wrong:
        raise harness.Failure("; ".join(wrong))


def poison_kill(world):
    library = build(world)
    killers = Killers(random.Random(world.chosen.seed))
    kinds = ["read", "write", "woken", "memory", "named"]
    for i in range(world.chosen.killers):
        killers.add(kinds[i % len(kinds)])
    log, _ = generate.load(world.chosen.records, world.chosen.seed)
    world.produce(killers.into(log))
    straight = harness.Worker(world, "straight")
    straight.run()
    killed = harness.Worker(world, "killed")
    most = sum(TOGETHER + deaths for _, deaths in killers.told.values())
    deaths, seconds = supervise(killed, library, most)
    print("%d killers, %d deaths (at most %d), %.1f s" % (len(killers.told), deaths, most, seconds), flush=True)
    check_killers(killed, killers.told)
    killed.verify()
    deadly = set(killers.told)
    if rows_of(straight, deadly) != rows_of(killed, deadly):
        raise harness.Failure("the others are not as in a run in which nothing kills")
    print("%d business rows of others are equal" % sum(len(rows) for rows in rows_of(killed, deadly).values()))


if __name__ == "__main__":
    found = harness.options(__doc__, records=60_000 if harness.MORE else 6_000, killers=20 if harness.MORE else 6)
    sys.exit(harness.main(poison_kill, found, ("records", "killers")))
