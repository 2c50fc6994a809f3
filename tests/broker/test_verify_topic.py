#!/usr/bin/python3
"""`onceward verify --topic` on a real broker: content after the walk log, and with each row of the store changed by hand it names
the record. Some edits are so careful that the store by itself looks whole: there only the topic tells.

    tests/broker/test_verify_topic.py [--seed 1] [--binary …] [--bootstrap …]
"""
import ctypes
import json
import pathlib
import sqlite3
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import broker_io         # noqa: E402
import harness           # noqa: E402  (reads ONCEWARD_MORE: another seed)
import walk as walk_log  # noqa: E402

PROMISES = ["topic_records_have_outcome", "topic_runs_match", "topic_claims_match", "topic_history_matches", "topic_anchors_match"]


def verify(world, worker, db, topic=True):
    """(exit status, {promise: row}, stderr) of verify on another file of the same worker."""
    command = [world.chosen.binary, "verify", "-c", str(worker.config), "--set", "store.path=%s" % db, "-o", "json"]
    done = subprocess.run(command + (["--topic"] if topic else []), capture_output=True, text=True, timeout=world.chosen.timeout, check=False)
    if not done.stdout:
        raise harness.Failure("verify %s said nothing and ended with %d: %s" % (db, done.returncode, done.stderr))
    return done.returncode, {row["name"]: row for row in json.loads(done.stdout)["promises"]}, done.stderr


def must_be_content(world, worker, db, *texts):
    status, promises, said = verify(world, worker, db)
    broken = [row for row in promises.values() if not row["ok"]]
    if status != 0 or broken:
        raise harness.Failure("verify --topic ended with %d: %s %s" % (status, json.dumps(broken, indent=1), said))
    idle = [name for name in PROMISES if promises[name]["checked"] == 0]
    missing = [text for text in texts if text not in said]
    if idle or missing:
        raise harness.Failure("verify --topic looked at nothing of %s, did not say %s: %s" % (idle, missing, said))
    return promises


def must_find(world, worker, name, edit, promise, *texts):
    """True: the store by itself looks whole, so that only the topic tells."""
    db = str(world.folder / "edited.db")
    with sqlite3.connect("file:%s?mode=ro" % worker.db, uri=True) as source, sqlite3.connect(db) as target:
        source.backup(target)
    place = edit(target)
    target.execute("DELETE FROM ow_meta WHERE key GLOB 'seal.*'")  # who is that careful takes the sums away too
    target.commit()
    target.close()
    alone = verify(world, worker, db, topic=False)[0] == 0
    status, promises, said = verify(world, worker, db)
    examples = " ".join(promises[promise]["examples"])
    missing = [text for text in (place, *texts) if text not in examples]
    if status != 3 or promises[promise]["ok"] or missing:
        raise harness.Failure("%s: ended with %d, %s says %r, not %s\n%s" % (name, status, promise, examples, missing, said))
    print("found%s: %-40s %s" % (", by the topic alone" if alone else "", name, promises[promise]["examples"][0]), flush=True)
    pathlib.Path(db).unlink()
    return alone


def place_of(row):
    return "%s[%d] offset %d" % row


# --- edits ---------------------------------------------------------------------------------------------------------

def erase_message(db):
    """The message that came last, with all that it did: claim, count of the bucket, history, the entity, the number it drew, the ledger's word."""
    seq, entity, topic, partition, offset = db.execute(
        "SELECT seq, entity_id, topic, partition, offset FROM ow_history ORDER BY seq DESC LIMIT 1").fetchone()
    bucket, = db.execute("SELECT bucket FROM ow_claims WHERE ref = ?", (seq,)).fetchone()
    db.execute("DELETE FROM ow_claims WHERE ref = ?", (seq,))
    db.execute("UPDATE ow_bucket SET claims = claims - 1 WHERE bucket = ?", (bucket,))
    db.execute("DELETE FROM ow_history_row WHERE seq = ?", (seq,))
    db.execute("DELETE FROM orders WHERE order_id = ? AND version = 1", (entity,))
    db.execute("UPDATE ow_meta SET value = value - 1 WHERE key = 'next_ref' AND value = ?", (seq + 1,))
    as_filtered(db, topic, partition, offset)
    return place_of((topic, partition, offset))


def as_filtered(db, topic, partition, offset):
    """The ledger says of this one record that it was filtered, and the counters agree."""
    first, last, outcome, records = db.execute(
        "SELECT first_offset, last_offset, outcome, records FROM ow_ledger WHERE topic = ? AND partition = ? AND first_offset <= ?"
        " ORDER BY first_offset DESC LIMIT 1", (topic, partition, offset)).fetchone()
    db.execute("DELETE FROM ow_ledger WHERE topic = ? AND partition = ? AND first_offset = ?", (topic, partition, first))
    for begin, end, what in ((first, offset - 1, outcome), (offset, offset, "filtered"), (offset + 1, last, outcome)):
        if begin <= end:
            db.execute("INSERT INTO ow_ledger VALUES (?, ?, 0, ?, ?, ?, ?)", (topic, partition, begin, end, what, end - begin + 1))
    db.execute("UPDATE ow_position SET %s = %s - 1, filtered = filtered + 1 WHERE topic = ? AND partition = ?" % (outcome, outcome),
               (topic, partition))


def first_of(db, outcome):
    return db.execute("SELECT topic, partition, first_offset FROM ow_ledger WHERE outcome = ? ORDER BY 1, 2, 3 LIMIT 1", (outcome,)).fetchone()


# Of these messages the duplicates would be examples too, and there is no room for all of them.
SEEN_AGAIN = "(SELECT ref FROM ow_sighting WHERE ref IS NOT NULL)"


def claim_of(db, outcome):
    """(place, ref) of a record with that outcome."""
    seen = SEEN_AGAIN
    row = db.execute({
        "applied": "SELECT topic, partition, offset, seq FROM ow_history WHERE via = 'kafka' AND seq NOT IN %s ORDER BY seq LIMIT 1 OFFSET 50" % seen,
        "stale": "SELECT topic, partition, offset, ref FROM ow_sighting GROUP BY ref HAVING count(*) = 1 AND cause = 'stale' LIMIT 1 OFFSET 3",
        "parked": "SELECT topic, partition, offset, id FROM ow_parked WHERE id NOT IN %s LIMIT 1" % seen,
        "illegal": "SELECT topic, partition, offset, id FROM ow_quarantine WHERE reason = 'illegal' AND id NOT IN %s LIMIT 1" % seen,
    }[outcome]).fetchone()
    return place_of(row[:3]), row[3]


def other_fingerprint(outcome):
    def edit(db):
        place, ref = claim_of(db, outcome)
        text, = db.execute("SELECT fingerprint FROM ow_claims WHERE ref = ?", (ref,)).fetchone()
        db.execute("UPDATE ow_claims SET fingerprint = ? WHERE ref = ?", (text[:8] + bytes([text[8] ^ 1]), ref))
        return place
    return edit


def other_key(outcome):
    def edit(db):
        place, ref = claim_of(db, outcome)
        db.execute("UPDATE ow_claims SET key = randomblob(16) WHERE ref = ?", (ref,))
        return place
    return edit


def conflict_made_equal(db):
    """The claim gets the fingerprint of the record that conflicted with it."""
    row = db.execute("SELECT topic, partition, offset, conflict_ref, conflict_fingerprint FROM ow_quarantine WHERE reason = 'conflict'"
                     " AND conflict_ref NOT IN " + SEEN_AGAIN + " ORDER BY id LIMIT 1").fetchone()
    db.execute("UPDATE ow_claims SET fingerprint = ? WHERE ref = ?", (row[4], row[3]))
    return place_of(row[:3])


def run_counts_less(db):
    topic, partition, first, outcome = db.execute(
        "SELECT topic, partition, first_offset, outcome FROM ow_ledger WHERE records > 2 ORDER BY 1, 2, 3 LIMIT 1").fetchone()
    db.execute("UPDATE ow_ledger SET records = records - 1 WHERE topic = ? AND partition = ? AND first_offset = ?", (topic, partition, first))
    db.execute("UPDATE ow_position SET %s = %s - 1 WHERE topic = ? AND partition = ?" % (outcome, outcome), (topic, partition))
    return place_of((topic, partition, first))


def run_missing(db):
    topic, partition, first, outcome, records = db.execute(
        "SELECT topic, partition, first_offset, outcome, records FROM ow_ledger WHERE first_offset > 10 ORDER BY 1, 2, 3 LIMIT 1").fetchone()
    db.execute("DELETE FROM ow_ledger WHERE topic = ? AND partition = ? AND first_offset = ?", (topic, partition, first))
    return place_of((topic, partition, first))


def other_message(db):
    """Ids are told by no other row but the claim's key, which is a hash."""
    row = db.execute("SELECT topic, partition, offset, seq FROM ow_history WHERE via = 'kafka' ORDER BY seq LIMIT 1 OFFSET 70").fetchone()
    db.execute("UPDATE ow_history_row SET message_id = message_id || 'x' WHERE seq = ?", (row[3],))
    return place_of(row[:3])


def sighting_gone(db):
    row = db.execute("SELECT topic, partition, offset, rowid FROM ow_sighting WHERE cause = 'same_id' LIMIT 1").fetchone()
    db.execute("DELETE FROM ow_sighting WHERE rowid = ?", (row[3],))
    return place_of(row[:3])


def other_reason(db):
    row = db.execute("SELECT topic, partition, offset, id FROM ow_quarantine WHERE reason = 'malformed' LIMIT 1").fetchone()
    db.execute("UPDATE ow_quarantine SET reason = 'unknown_type' WHERE id = ?", (row[3],))
    return place_of(row[:3])


def other_anchor(db):
    row = db.execute("SELECT topic, partition, next_offset - 1 FROM ow_position ORDER BY 1, 2 LIMIT 1").fetchone()
    db.execute("UPDATE ow_position SET anchor = randomblob(16) WHERE topic = ? AND partition = ?", row[:2])
    return place_of(row)


# --- the test ------------------------------------------------------------------------------------------------------

def group_is_untouched(world, worker, before):
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": world.bootstrap, "group.id": json.loads(worker.config.read_text())["kafka"]["group"]})
    try:
        parts = [TopicPartition(t, p) for t in world.topics().values() for p in range(4)]
        now = [(p.topic, p.partition, p.offset, getattr(p, "metadata", None)) for p in consumer.committed(parts, timeout=30)]
    finally:
        consumer.close()
    if before is not None and now != before:
        raise harness.Failure("verify --topic changed the group's offsets: %s, before %s" % (now, before))
    return now


def test(world):
    log, _ = walk_log.walk(world.chosen.seed)
    cut = len(log) * 9 // 10
    log.insert(cut, last_message(world))
    cut += 1
    world.produce(log[:cut - 1])
    worker = harness.Worker(world, "walk")
    worker.run()
    produce(world, log[cut - 1:cut])
    worker.run()
    committed = group_is_untouched(world, worker, None)
    must_be_content(world, worker, worker.db, "%d records were read" % cut)
    group_is_untouched(world, worker, committed)

    for outcome in ("applied", "stale", "parked", "illegal"):
        must_find(world, worker, "another fingerprint, " + outcome, other_fingerprint(outcome), "topic_claims_match", "another fingerprint")
        must_find(world, worker, "another key, " + outcome, other_key(outcome), "topic_claims_match", "not claimed")
    must_find(world, worker, "a conflict's fingerprint", conflict_made_equal, "topic_claims_match", "the very same fingerprint")
    must_find(world, worker, "a run that counts less", run_counts_less, "topic_runs_match", "the topic holds")
    must_find(world, worker, "a run that is missing", run_missing, "topic_records_have_outcome", "has no outcome")
    must_find(world, worker, "another message id", other_message, "topic_history_matches", "of another message")
    must_find(world, worker, "a sighting that is gone", sighting_gone, "topic_records_have_outcome", "has no sighting")
    must_find(world, worker, "another reason", other_reason, "topic_records_have_outcome", "is read as malformed")
    alone = [must_find(world, worker, "a message erased, as if filtered", erase_message, "topic_records_have_outcome", "is filtered"),
             must_find(world, worker, "another anchor", other_anchor, "topic_anchors_match", "is the last handled record")]
    if not all(alone):
        raise harness.Failure("these were to look whole without the topic: the edits are not careful enough any more")

    # What is not handled yet is said, and no fault; nor is a worker that goes on meanwhile.
    produce(world, log[cut:])
    must_be_content(world, worker, worker.db, "%d of them have not been handled yet" % (len(log) - cut))
    worker.start()
    rounds = 0
    while worker.process.poll() is None or rounds == 0:
        must_be_content(world, worker, worker.db)
        rounds += 1
    worker.finish()
    print("content in %d rounds beside a worker" % rounds)

    # Markers and what was aborted are gaps, and no record is missing there.
    orders = world.topics()[walk_log.ORDERS]
    transactions(world, orders)
    worker.run()
    must_be_content(world, worker, worker.db, "%d records were read" % (len(log) + 3))

    # Retention takes the beginning of a partition: its runs cannot be checked any more, and that is said.
    delete_before(world.bootstrap, orders, 0, 20)
    must_be_content(world, worker, worker.db, "cannot be checked any more", "the topic begins at 20")


def last_message(world):
    """Of an entity that nothing else is about: it can be erased without a trace but in the topic."""
    scenario = walk_log.Scenario(walk_log.Walk(world.chosen.seed), "last", walk_log.ORDERS)
    scenario.order = "LAST-1"
    scenario.do("order.created")
    return scenario.records[0]


def produce(world, log):
    names = world.topics()
    broker_io.produce(world.bootstrap, [(names[topic], *rest) for topic, *rest in log], 4)


def transactions(world, topic):
    """Into partition 0: two records, one that is aborted, and another one; the end is a marker."""
    from confluent_kafka import Producer
    made = walk_log.Walk(world.chosen.seed)
    producer = Producer({"bootstrap.servers": world.bootstrap, "transactional.id": "verify-topic", "log_level": 0})
    producer.init_transactions(30)
    for kinds, commits in ((["order.created", "payment.succeeded"], True), (["order.created"], False), (["order.created"], True)):
        scenario = walk_log.Scenario(made, "transaction", walk_log.ORDERS)
        scenario.order = "TX-%d" % made.orders
        scenario.do(*kinds)
        producer.begin_transaction()
        for _, key, _, value, timestamp_ms in scenario.records:
            producer.produce(topic, value=value, key=key, partition=0, timestamp=timestamp_ms)
        if commits:
            producer.commit_transaction(30)
        else:
            producer.flush(30)
            producer.abort_transaction(30)


def delete_before(bootstrap, topic, partition, offset):
    """As retention would. confluent_kafka 1.7 cannot; the library beneath it can."""
    lib, text = ctypes.CDLL("librdkafka.so.1"), ctypes.create_string_buffer(512)
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_topic_partition_list_new", "rd_kafka_topic_partition_list_add",
                 "rd_kafka_DeleteRecords_new", "rd_kafka_queue_new", "rd_kafka_queue_poll", "rd_kafka_event_error_string"):
        getattr(lib, name).restype = ctypes.c_void_p
    pointer = ctypes.c_void_p
    conf = pointer(lib.rd_kafka_conf_new())
    for key, value in ((b"bootstrap.servers", bootstrap.encode()), (b"log_level", b"0")):
        lib.rd_kafka_conf_set(conf, key, value, text, len(text))
    client = pointer(lib.rd_kafka_new(0, conf, text, len(text)))
    wanted = pointer(lib.rd_kafka_topic_partition_list_new(1))
    lib.rd_kafka_topic_partition_list_add(wanted, topic.encode(), partition)
    lib.rd_kafka_topic_partition_list_set_offset.argtypes = [pointer, ctypes.c_char_p, ctypes.c_int32, ctypes.c_int64]
    lib.rd_kafka_topic_partition_list_set_offset(wanted, topic.encode(), partition, offset)
    request = pointer(lib.rd_kafka_DeleteRecords_new(wanted))
    queue = pointer(lib.rd_kafka_queue_new(client))
    lib.rd_kafka_DeleteRecords(client, ctypes.byref(request), ctypes.c_size_t(1), None, queue)
    event = lib.rd_kafka_queue_poll(queue, 30000)
    if not event or lib.rd_kafka_event_error(pointer(event)) != 0:
        raise harness.Failure("cannot delete records")
    lib.rd_kafka_event_destroy(pointer(event))
    lib.rd_kafka_queue_destroy(queue)
    lib.rd_kafka_DeleteRecords_destroy(request)
    lib.rd_kafka_topic_partition_list_destroy(wanted)
    lib.rd_kafka_destroy(client)


if __name__ == "__main__":
    sys.exit(harness.main(test, harness.options(__doc__), ()))
