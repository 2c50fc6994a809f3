#!/usr/bin/python3
"""A topic that is deleted while --until-end reads it: the worker ends, soon, and names it. It does not wait for ever, and
does not say that all is done.

    tests/broker/test_deleted_topic.py [--seed 1] [--records 200000] [--binary …]
"""
import pathlib
import re
import signal
import sys
import time

from confluent_kafka.admin import AdminClient

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import generate       # noqa: E402
import harness        # noqa: E402
import store          # noqa: E402

STATUS = 4
SECONDS = 60                                                # the broker is asked twice, and leaving the group takes its time


def handled(worker):
    try:
        db = store.open_read_only(worker.db)
        try:
            return db.execute("SELECT coalesce(sum(next_offset), 0) FROM ow_position").fetchone()[0]
        finally:
            db.close()
    except Exception:                                       # being made
        return 0


def deleted(world):
    log, _ = generate.load(world.chosen.records, world.chosen.seed)
    world.produce(log)
    worker = harness.Worker(world, "deleted")
    worker.start()
    while handled(worker) == 0:
        if worker.process.poll() is not None:
            raise harness.Failure("it ended by itself\n" + worker.tail())
        time.sleep(0.005)
    worker.process.send_signal(signal.SIGSTOP)              # in the middle of things
    at = handled(worker)
    topic = sorted(world.topics().values())[0]
    admin = AdminClient({"bootstrap.servers": world.bootstrap})
    admin.delete_topics([topic])[topic].result(30)
    time.sleep(1)
    begin = time.monotonic()
    worker.process.send_signal(signal.SIGCONT)
    try:
        status = worker.process.wait(SECONDS)
    except Exception:
        worker.kill()
        raise harness.Failure("still waiting %d s after %s was deleted\n%s" % (SECONDS, topic, worker.tail())) from None
    said = worker.tail()
    print("deleted after %d of %d records; ended with %d %.1f s later" % (at, len(log), status, time.monotonic() - begin))
    print(said[-600:])
    if at >= len(log):
        raise harness.Failure("it was at the end already: give it more --records")
    if status != STATUS or not re.search("^onceward: topic %s was deleted" % re.escape(topic), said, re.MULTILINE):
        raise harness.Failure("ended with %d, and does not say that %s was deleted" % (status, topic))


if __name__ == "__main__":
    found = harness.options(__doc__, records=300_000 if harness.MORE else 200_000)
    sys.exit(harness.main(deleted, found, ("records",)))
