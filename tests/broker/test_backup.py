#!/usr/bin/python3
"""A worker is backed up under load, goes on, is killed, and its store is lost; the backup is restored, and the worker runs to the end.
The database must then equal the independent model (tests/oracle), every row, and the business state that of a straight run. What may not
be restored, or run on, is refused: a plain copy, a backup whose records the topics do not keep any more.

    tests/broker/test_backup.py [--records 60000] [--rounds 2] [--seed 1] [--binary …] [--bootstrap …]
"""
import ctypes
import json
import pathlib
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import generate      # noqa: E402
import harness       # noqa: E402
import test_kill     # noqa: E402


def command(worker, name, *arguments, code=0):
    """stdout and stderr of a command on the worker's configuration, which must end with that code."""
    done = subprocess.run([worker.world.chosen.binary, name, "-c", str(worker.config), *map(str, arguments)], capture_output=True, text=True,
                          timeout=worker.world.chosen.timeout, check=False)
    if done.returncode != code:
        raise harness.Failure("%s %s ended with %d: %s%s" % (name, arguments, done.returncode, done.stdout, done.stderr))
    return done.stdout, done.stderr


def handled(db):
    connection = sqlite3.connect("file:%s?mode=ro" % db, uri=True)
    try:
        return connection.execute("SELECT coalesce(sum(next_offset), 0) FROM ow_position").fetchone()[0]
    finally:
        connection.close()


def wait_for(worker, records):
    progress, deadline = test_kill.Progress(worker.db), time.monotonic() + worker.world.chosen.timeout
    while (now := progress.look()) is None or now < records:
        if worker.process.poll() is not None or time.monotonic() > deadline:
            raise harness.Failure("ended before %d records: give it more --records\n%s" % (records, worker.tail()))
        time.sleep(0.001)
    progress.close()


def lose(worker):
    for ending in ("", "-wal", "-shm"):
        pathlib.Path("%s%s" % (worker.db, ending)).unlink(missing_ok=True)


def one_loss(worker, number, begin, total, chance):
    """Backup, further work, kill, loss, restore. Where the restored store is; None: the worker was at the topics' end before its backup was."""
    backup = worker.world.folder / ("backup-%d.db" % number)
    share = (total - begin) // 4
    worker.start()
    wait_for(worker, begin + chance.randint(1, share))
    done = subprocess.run([worker.world.chosen.binary, "backup", "-c", str(worker.config), "--to", backup, "-o", "json"], capture_output=True,
                          text=True, timeout=worker.world.chosen.timeout, check=False)
    if done.returncode == 75 and "given up before its end" in done.stderr:
        worker.finish()                                      # or it gave the backup up without a reason
        print("round %d: the worker is at the end already" % number, flush=True)
        return None, None
    told, at = json.loads(done.stdout), handled(backup)
    if not begin < at <= total:
        raise harness.Failure("backed up at %d of %d, begun after %d" % (at, total, begin))
    if worker.process.poll() is not None or at + share > total:
        worker.finish()
        print("round %d: the worker is nearly at the end already" % number, flush=True)
        return None, None
    wait_for(worker, at + chance.randint(1, share))
    worker.kill()
    lost = handled(worker.db)
    lose(worker)
    again = json.loads(command(worker, "restore", "--from", backup, "-o", "json")[0])
    if handled(worker.db) != at or again["pages"] != told["pages"] or not again["topics_checked"]:
        raise harness.Failure("restored: %s, backed up: %s" % (again, told))
    print("backup at %d of %d records: %d pages in %.2f s; lost at %d, %d offsets come again" % (
        at, total, told["pages"], told["seconds"], lost, again["offsets_again"]), flush=True)
    return at, backup


def run_with_losses(world, total):
    worker, chance, at = harness.Worker(world, "lost"), random.Random(world.chosen.seed), 0
    losses, backup = 0, None
    while losses < world.chosen.rounds:
        at, made = one_loss(worker, losses, at, total, chance)
        if made is None:
            break
        losses, backup = losses + 1, made
    if losses < min(2, world.chosen.rounds):
        raise harness.Failure("%d losses: the worker is too fast for so few --records" % losses)
    worker.run()
    return worker, backup


def what_is_refused(worker, backup):
    """A backup is no store to run on; neither is a copy that was put back by hand; and both can be told to."""
    whole, kept = worker.world.folder / "whole.db", worker.db
    shutil.copy(kept, whole)
    shutil.copy(backup, kept)
    _, said = command(worker, "run", "--until-end", code=4)
    if "is a backup" not in said:
        raise harness.Failure("run on a backup says: %s" % said)
    connection = sqlite3.connect(kept)
    connection.execute("DELETE FROM ow_meta WHERE key = 'backup_at_ms' OR key GLOB 'seal.*'")
    connection.commit()
    connection.close()
    _, said = command(worker, "run", "--until-end", code=4)
    if "older copy" not in said:
        raise harness.Failure("run on an older copy says: %s" % said)
    shutil.copy(whole, kept)


def delete_records(bootstrap, topic, partition, before):
    """The topic begins at `before` from now on. confluent_kafka 1.7 cannot; the library beneath it can."""
    lib, text, pointer = ctypes.CDLL("librdkafka.so.1"), ctypes.create_string_buffer(512), ctypes.c_void_p
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_topic_partition_list_new", "rd_kafka_topic_partition_list_add",
                 "rd_kafka_DeleteRecords_new", "rd_kafka_queue_new", "rd_kafka_queue_poll"):
        getattr(lib, name).restype = pointer
    conf = pointer(lib.rd_kafka_conf_new())
    for key, value in ((b"bootstrap.servers", bootstrap.encode()), (b"log_level", b"0")):
        lib.rd_kafka_conf_set(conf, key, value, text, len(text))
    client = pointer(lib.rd_kafka_new(0, conf, text, len(text)))
    queue = pointer(lib.rd_kafka_queue_new(client))
    found = pointer(lib.rd_kafka_topic_partition_list_new(1))
    lib.rd_kafka_topic_partition_list_add(found, topic.encode(), partition)
    lib.rd_kafka_topic_partition_list_set_offset(found, topic.encode(), partition, ctypes.c_int64(before))
    order = pointer(lib.rd_kafka_DeleteRecords_new(found))
    lib.rd_kafka_DeleteRecords(client, ctypes.byref(order), ctypes.c_size_t(1), None, queue)
    event = pointer(lib.rd_kafka_queue_poll(queue, 30000))
    if not event or lib.rd_kafka_event_error(event) != 0:
        raise harness.Failure("cannot delete records")
    lib.rd_kafka_event_destroy(event)
    lib.rd_kafka_DeleteRecords_destroy(order)
    lib.rd_kafka_topic_partition_list_destroy(found)
    lib.rd_kafka_queue_destroy(queue)
    lib.rd_kafka_destroy(client)


def where_the_topics_have_lost_it(worker, backup):
    """Retention has taken what comes after the backup: refused, with what is gone; --no-broker hands that over to `run`, which refuses, too."""
    connection = sqlite3.connect("file:%s?mode=ro" % backup, uri=True)
    connection.execute("ATTACH ? AS now", ("file:%s?mode=ro" % worker.db,))
    topic, partition, offset = connection.execute(           # the one with the most behind it
        "SELECT topic, partition, was.next_offset FROM main.ow_position was JOIN now.ow_position has USING (topic, partition) "
        "ORDER BY has.next_offset - was.next_offset DESC, topic, partition LIMIT 1").fetchone()
    connection.close()
    delete_records(worker.world.bootstrap, topic, partition, offset + 7)
    before = worker.db.read_bytes()
    _, said = command(worker, "restore", "--from", backup, code=4)
    wanted = "%s[%d]: the backup goes on at offset %d, and the topic begins at %d: 7 offsets between are gone" % (topic, partition, offset, offset + 7)
    if wanted not in said or "1 partition, 7 offsets" not in said or worker.db.read_bytes() != before:
        raise harness.Failure("restore says: %s" % said)
    said, _ = command(worker, "restore", "--from", backup, "--no-broker", "--discard")
    if "run --restored" not in said:
        raise harness.Failure("restore says: %s" % said)
    command(worker, "run", "--until-end", code=4)
    _, said = command(worker, "run", "--until-end", "--restored", code=4)
    line = re.search(r"onceward positions (accept-lost --topic \S+ --partition \d+ --restored) --why TEXT", said)
    if "begins at offset" not in said or not line:
        raise harness.Failure("run says: %s" % said)
    positions(worker, *line.group(1).split(), "--why", "a test")
    connection = sqlite3.connect("file:%s?mode=ro" % worker.db, uri=True)
    did = connection.execute("SELECT detail ->> 'did', detail ->> 'left_out' FROM ow_audit WHERE command = 'positions accept-lost' ORDER BY id").fetchall()
    connection.close()
    if did[:1] != [("lost", 7)] or set(did[1:]) - {("kept", 0)}:  # given again until the group could be told
        raise harness.Failure("accept-lost did: %s" % did)
    command(worker, "run", "--until-end", "--restored")
    worker.verify()


def positions(worker, verb, *arguments):
    """Once nobody is in the group any more: the last worker is, for a session."""
    deadline = time.monotonic() + 60
    while True:
        done = subprocess.run([worker.world.chosen.binary, "positions", verb, "-c", str(worker.config), "-o", "json", *map(str, arguments)],
                              capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 75 or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    if done.returncode != 0:
        raise harness.Failure("positions %s ended with %d: %s" % (verb, done.returncode, done.stderr))
    return json.loads(done.stdout)["positions"]


def short_sessions(worker):
    """From its next run on: `positions` waits until a worker that has ended is out of the group."""
    settings = json.loads(worker.config.read_text("utf-8"))
    settings["kafka"]["properties"] |= {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500}
    worker.config.write_text(json.dumps(settings), "utf-8")


def what_positions_say(worker, backup):
    """Of a restored store what `run` says: it goes on at its own positions, and the lost one's commits are ahead of them."""
    command(worker, "restore", "--from", backup, "--discard")
    rows = positions(worker, "list")
    ahead = max(rows, key=lambda row: row["committed"] - row["position"])
    if any(row["refused"] or row["next_start"]["by"] != "position" for row in rows) or ahead["committed"] <= ahead["position"]:
        raise harness.Failure("positions list says: %s" % rows)
    told = positions(worker, "set", "--topic", ahead["topic"], "--partition", ahead["partition"], "--offset", ahead["position"], "--why", "a test")
    if told[0]["did"] != "kept":
        raise harness.Failure("positions set says: %s" % told)
    worker.run()


def another_group(worker, backup):
    """A backup of another store than the group worked with."""
    other = harness.Worker(worker.world, "other")
    other.run()
    lose(other)
    _, said = command(other, "restore", "--from", backup, code=4)
    if "by another store" not in said:
        raise harness.Failure("restore says: %s" % said)


def backup_and_restore(world):
    log, counts = generate.load(world.chosen.records, world.chosen.seed)
    print("the log: %s" % dict(counts), flush=True)
    world.produce(log)
    straight = harness.Worker(world, "straight")
    straight.run()
    lost, backup = run_with_losses(world, len(log))
    logs, firsts = world.dump()
    model = lost.check(logs, firsts)
    if model.state_hash() != straight.verify()["state_hash"] or test_kill.business_rows(straight) != test_kill.business_rows(lost):
        raise harness.Failure("the business state of the restored run is not that of the straight one")
    what_is_refused(lost, backup)
    short_sessions(lost)
    lost.run()                                               # goes on, whatever was tried
    what_positions_say(lost, backup)
    another_group(lost, backup)
    where_the_topics_have_lost_it(lost, backup)


if __name__ == "__main__":
    more = harness.MORE                                      # ONCEWARD_MORE
    found = harness.options(__doc__, records=400_000 if more else 60_000, rounds=8 if more else 2)
    sys.exit(harness.main(backup_and_restore, found, ("records", "rounds")))
