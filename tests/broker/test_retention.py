#!/usr/bin/python3
"""How long topics keep records, asked of a real broker: `check` and `run` compare it with how long claims are kept, warn, and with
claims.strict refuse. A broker that answers costs the start nothing that can be felt.

    tests/broker/test_retention.py [--binary …] [--bootstrap …]
"""
import ctypes
import json
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402

import harness           # noqa: E402

DAY = 86_400_000
KEPT = 45                                                   # days: claim.retention of schemas/orders.yaml
TOPICS = {                                                  # settings of the first topic, and what is to be said of it
    "shorter": ({"retention.ms": str(KEPT * DAY - 1)}, None),
    "equal": ({"retention.ms": str(KEPT * DAY)}, None),
    "longer": ({"retention.ms": str((KEPT + 1) * DAY)}, "46d"),
    "endless": ({"retention.ms": "-1"}, "for ever"),
    "compacted": ({"retention.ms": str(DAY), "cleanup.policy": "compact"}, "for ever"),
    "both": ({"retention.ms": str(DAY), "cleanup.policy": "compact,delete"}, None),
}


def make_topics(world):
    """By name: the machine file that reads this topic."""
    text, machines, new = pathlib.Path(world.chosen.machine).read_text("utf-8"), {}, []
    for name, (settings, _) in TOPICS.items():
        topic = "%s-%s" % (name, world.folder.name[-8:])
        path = world.folder / (name + ".machine.yaml")
        path.write_text(re.sub(r"topics: *\[[^]]*\]", "topics: [%s]" % topic, text), "utf-8")
        machines[name] = (topic, path)
        new.append(NewTopic(topic, num_partitions=2, replication_factor=1, config=settings))
    admin = AdminClient({"bootstrap.servers": world.bootstrap})
    for future in admin.create_topics(new, operation_timeout=30).values():
        future.result(60)
    return machines


def do(world, name, machine, *arguments):
    """(exit status, stdout, stderr, seconds)."""
    config = world.folder / (name + ".yaml")
    config.write_text(json.dumps({
        "store": {"path": str(world.folder / (name + ".db"))},
        "kafka": {"group": "%s-%s" % (world.folder.name, name), "properties": {"bootstrap.servers": world.bootstrap}},
        "machines": [str(machine)]}), "utf-8")
    begin = time.monotonic()
    done = subprocess.run([world.chosen.binary, arguments[0], "-c", str(config), *arguments[1:]], capture_output=True, text=True,
                          timeout=world.chosen.timeout, check=False)
    return done.returncode, done.stdout, done.stderr, time.monotonic() - begin


def deny(bootstrap, topic):
    """Nobody may see the topic's settings; all else stays allowed. confluent_kafka 1.7 cannot; the library beneath it can."""
    lib, text, pointer = ctypes.CDLL("librdkafka.so.1"), ctypes.create_string_buffer(512), ctypes.c_void_p
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_AclBinding_new", "rd_kafka_queue_new", "rd_kafka_queue_poll"):
        getattr(lib, name).restype = pointer
    conf = pointer(lib.rd_kafka_conf_new())
    for key, value in ((b"bootstrap.servers", bootstrap.encode()), (b"log_level", b"0")):
        lib.rd_kafka_conf_set(conf, key, value, text, len(text))
    client = pointer(lib.rd_kafka_new(0, conf, text, len(text)))
    queue = pointer(lib.rd_kafka_queue_new(client))
    is_topic, literal, everything, describe_configs, denied, allowed = 2, 3, 2, 10, 2, 3
    for operation, permission in ((everything, allowed), (describe_configs, denied)):
        binding = pointer(lib.rd_kafka_AclBinding_new(is_topic, topic.encode(), literal, b"User:ANONYMOUS", b"*", operation, permission, text, len(text)))
        lib.rd_kafka_CreateAcls(client, ctypes.byref(binding), ctypes.c_size_t(1), None, queue)
        event = pointer(lib.rd_kafka_queue_poll(queue, 30000))
        if not event or lib.rd_kafka_event_error(event) != 0:
            raise harness.Failure("cannot make an ACL")
        lib.rd_kafka_event_destroy(event)
        lib.rd_kafka_AclBinding_destroy(binding)
    lib.rd_kafka_queue_destroy(queue)
    lib.rd_kafka_destroy(client)


def refused(world, topic, machine):
    """A broker that does not tell is not passed over in silence."""
    why = "the brokers do not tell how long it keeps records: Broker: Topic authorization failed"
    said = do(world, "refused", machine, "run", "--until-end")
    must("refused", said[0] == 0 and why in said[2], said)
    for command in (("check",), ("run", "--until-end")):
        said = do(world, "refused", machine, *command, "--set", "claims.strict=true")
        must("refused, strict", said[0] == 4 and why in said[1] + said[2], said)


def must(name, condition, said):
    if not condition:
        raise harness.Failure("%s: %s" % (name, said))


def one_topic(world, name, topic, machine, expected):
    strict = ("--set", "claims.strict=true")
    short = "%s, claims only 45d (event order.created)" % expected
    said = do(world, name, machine, "check", "-o", "json")
    lines = [line for line in json.loads(said[1])["checks"] if line["subject"] == topic and "keeps records" in line["text"]]
    must(name, len(lines) == 1 and said[0] == 0, said)
    must(name, lines[0]["level"] == ("ok" if expected is None else "warn") and (expected is None or short in lines[0]["text"]), lines)
    said = do(world, name, machine, "check", *strict)
    must(name + ", strict", said[0] == (0 if expected is None else 4), said)

    said = do(world, name, machine, "run", "--until-end")
    warned = "event=claim_retention subject=%s" % topic in said[2]
    must(name + ", run", said[0] == 0 and warned == (expected is not None) and (expected is None or short in said[2]), said)
    seconds = said[3]
    said = do(world, name, machine, "run", "--until-end", *strict)
    must(name + ", run strict", said[0] == (0 if expected is None else 4), said)
    must(name + ", run strict", expected is None or re.search("^onceward: %s: keeps records %s" % (topic, short.replace("(", r"\(").replace(")", r"\)")),
                                                              said[2], re.MULTILINE), said)
    return seconds


def test(world):
    machines = make_topics(world)
    slowest = max(one_topic(world, name, *machines[name], TOPICS[name][1]) for name in TOPICS)
    print("content with %d topics; the slowest run over an empty topic took %.2f s" % (len(TOPICS), slowest))

    # A machine that keeps claims for less in one event decides, and claims.backups is looked at beside the topics.
    topic, machine = machines["equal"]
    text = machine.read_text("utf-8")
    short = world.folder / "short.machine.yaml"
    short.write_text(text.replace("45d", "30d"), "utf-8")
    said = do(world, "short", short, "check", "--set", "claims.backups=31d")
    must("short", said[0] == 0 and "keeps records 45d, claims only 30d" in said[1] and "as old as 31d, claims only 30d" in said[1], said)

    # A topic that is not there has nothing to be read again: it is waited for, and not refused.
    missing = world.folder / "missing.machine.yaml"
    missing.write_text(text.replace(topic, topic + "-missing"), "utf-8")
    said = do(world, "missing", missing, "run", "--until-end", "--set", "claims.strict=true")
    must("missing", said[0] == 75 and "none of the machines' topics" in said[2] and "claim_retention" not in said[2], said)

    if not world.chosen.bootstrap:                          # another's broker may have no ACLs
        deny(world.bootstrap, machines["shorter"][0])
        refused(world, *machines["shorter"])


if __name__ == "__main__":
    import kafka  # harness has put its folder on the path
    kafka.SERVER_PROPERTIES += ("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
                                "allow.everyone.if.no.acl.found=true\n")
    sys.exit(harness.main(test, harness.options(__doc__), ()))
