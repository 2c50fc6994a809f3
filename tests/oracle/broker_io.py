"""The broker's side: making topics, producing a generated log fast, and dumping topics independently of the worker."""
import ctypes
import zlib

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from envelope import Record

WAIT_S = 60


def create_topics(bootstrap, topics, partitions=4):
    """Topics that keep everything (old timestamps too) and take records of some megabytes."""
    config = {"retention.ms": "-1", "max.message.bytes": "16777216"}
    admin = AdminClient({"bootstrap.servers": bootstrap})
    new = [NewTopic(t, num_partitions=partitions, replication_factor=1, config=config) for t in topics]
    for future in admin.create_topics(new, operation_timeout=30).values():
        future.result(WAIT_S)


def partition_of(record_index, key, partitions):
    """Fixed by us, so that a seed gives the same log everywhere; records without a key go round."""
    return (record_index if key is None else zlib.crc32(key)) % partitions


def produce(bootstrap, log, partitions=4):
    """`log`: (topic, key, headers, value, timestamp_ms). Every record acknowledged, each partition in order."""
    failed = []
    producer = Producer({
        "bootstrap.servers": bootstrap, "log_level": 3, "enable.idempotence": True, "acks": "all", "linger.ms": 20,
        "message.max.bytes": 16_777_216, "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": 1_000_000, "compression.type": "lz4"})

    def delivered(error, _message):
        if error:
            failed.append(error)

    for i, (topic, key, headers, value, timestamp_ms) in enumerate(log):
        while True:
            try:
                producer.produce(topic, value=value, key=key, partition=partition_of(i, key, partitions),
                                 headers=headers or None, timestamp=timestamp_ms, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        if i % 1000 == 0:
            producer.poll(0)
    left = producer.flush(300)
    if failed or left:
        raise RuntimeError("not produced: %d failed (%s), %d left" % (len(failed), failed[:1], left))


def held(bootstrap, topics):
    """How many offsets the broker has, of all partitions together."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "onceward-oracle", "log_level": 3})
    try:
        known = consumer.list_topics(timeout=WAIT_S).topics
        bounds = [consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=WAIT_S)
                  for topic in topics for partition in known[topic].partitions]
        return sum(high - low for low, high in bounds)
    finally:
        consumer.close()


def dump(bootstrap, topics):
    """(logs, firsts): (topic, partition) -> [Record] up to the end, and -> the first offset the broker still has."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "onceward-oracle", "enable.auto.commit": False,
        "isolation.level": "read_committed", "enable.partition.eof": True, "auto.offset.reset": "error",
        "check.crcs": True, "fetch.message.max.bytes": 16_777_216, "receive.message.max.bytes": 200_000_000})
    try:
        logs, firsts = {}, {}
        known = consumer.list_topics(timeout=WAIT_S).topics
        for topic in topics:
            if topic not in known or known[topic].error:
                raise RuntimeError("no such topic: " + topic)
            for partition in known[topic].partitions:
                logs[topic, partition] = []
                firsts[topic, partition] = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=WAIT_S)[0]
        consumer.assign([TopicPartition(t, p, first) for (t, p), first in firsts.items()])
        open_ends = set(logs)
        while open_ends:
            message = consumer.poll(WAIT_S)
            if message is None:
                raise RuntimeError("nothing came for %d s; not at the end of %s" % (WAIT_S, sorted(open_ends)))
            place = (message.topic(), message.partition())
            if message.error():
                if message.error().code() != KafkaError._PARTITION_EOF:
                    raise RuntimeError(str(message.error()))
                open_ends.discard(place)
                continue
            logs[place].append(Record(*place, message.offset(), message.timestamp()[1], message.key(),
                                      headers_of(message), message.value()))
        return logs, firsts
    finally:
        consumer.close()


def headers_of(message):
    """confluent_kafka 1.7 lends us None for a header without a value and takes it back twice: we pay for it here, or
    Python dies of "deallocating None" after some hundred of them."""
    headers = message.headers() or []
    for _, value in headers:
        if value is None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))
    return headers
