#!/usr/bin/python3
"""One real Apache Kafka node (KRaft) for the tests, on free ports of 127.0.0.1, gone without a trace afterwards.

    from kafka import Kafka
    with Kafka() as k:
        k.create_topic("order-events", 4)
        ... {"bootstrap.servers": k.bootstrap} ...
        k.restart()                 # same ports, same data; kill() and start() do it in two steps

By hand: `kafka.py fetch` brings the jars, `kafka.py run [TOPIC:PARTITIONS ...]` starts a node and waits for ^C.

The jars come from Maven Central through mvn (pom.xml), once, into ~/.cache/onceward (or $ONCEWARD_KAFKA_DIR), and are
compared with jars.sha256. Topics are made with python3-confluent-kafka, so run this with /usr/bin/python3.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
VERSION = "4.1.1"
CLUSTER_ID = "b25jZXdhcmQtdGVzdHMtMQ"  # 16 bytes in base64
START_SECONDS = 60
JAVA = ["java", "-Xmx512m", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"]

SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://127.0.0.1:{controller_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={dir}/data

# small and fast to start
num.network.threads=2
num.io.threads=4
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.cleaner.dedupe.buffer.size=4194304
broker.heartbeat.interval.ms=200
broker.session.timeout.ms=2000

# what the tests rely on
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
message.max.bytes=33554432
replica.fetch.max.bytes=33554432
# events have times of their own: old ones are kept, future ones taken
log.retention.ms=-1
log.message.timestamp.after.max.ms=9223372036854775807
"""

LOG4J_PROPERTIES = """\
log4j.rootLogger=WARN, file
log4j.logger.kafka.server.KafkaRaftServer=INFO
log4j.appender.file=org.apache.log4j.FileAppender
log4j.appender.file.File={dir}/server.log
log4j.appender.file.layout=org.apache.log4j.PatternLayout
log4j.appender.file.layout.ConversionPattern=%d %p %c: %m%n
"""


def jars():
    """The folder with the jars, brought first where it is missing. Safe against a second caller and a broken download."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "onceward"
    target = pathlib.Path(os.environ.get("ONCEWARD_KAFKA_DIR") or cache / f"kafka-{VERSION}")
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / f"{target.name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            partial = target.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            subprocess.run(["mvn", "-q", "-B", "-Dstyle.color=never", "-f", HERE / "pom.xml", "dependency:copy-dependencies",
                            "-DincludeScope=runtime", f"-DoutputDirectory={partial}"], check=True)
            compare_with_list(partial)
            partial.rename(target)  # complete or not there
    return target


def compare_with_list(folder):
    """Raises unless the folder holds exactly the jars of jars.sha256."""
    want = dict(reversed(line.split()) for line in (HERE / "jars.sha256").read_text("ascii").splitlines())
    have = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")}
    wrong = sorted(name for name in want.keys() | have.keys() if want.get(name) != have.get(name))
    if wrong:
        raise RuntimeError(f"jars that differ from tests/broker/jars.sha256: {', '.join(wrong)}")


def free_ports(count):
    """Ports that were free a moment ago. All are held until the last is known, so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return [held.getsockname()[1] for held in sockets]


def die_with_parent():
    """In the child: no JVM survives a killed test."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Kafka:
    """One node. `bootstrap` is host:port, `dir` holds its data and logs until stop(). `host` is an address of this machine; `more`:
    properties that come last, so that they win."""

    def __init__(self, host="127.0.0.1", more=""):
        self.host = host
        self.more = more
        self.dir = None
        self.process = None
        self.port = None
        self._admin = None

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    @property
    def bootstrap(self):
        return f"{self.host}:{self.port}"

    @property
    def log(self):
        return pathlib.Path(self.dir) / "server.log"

    def start(self):
        """Starts the node: a new one, or after kill() the same one with its data."""
        if self.dir is None:
            self.dir = tempfile.mkdtemp(prefix="onceward-kafka-")
            self._format()
        deadline = time.monotonic() + START_SECONDS
        self._java("kafka.Kafka")
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"kafka did not start\n{self._output()}")
            time.sleep(0.05)
        return self

    def kill(self, number=signal.SIGKILL):
        """kill -9, as a crash, or another signal that ends it: the data stay."""
        self._admin = None
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait()
            self.process = None

    def restart(self):
        self.kill()
        return self.start()

    def stop(self):
        self.kill()
        if self.dir is not None:
            shutil.rmtree(self.dir, ignore_errors=True)
            self.dir = None

    def admin(self):
        """A confluent_kafka AdminClient."""
        if self._admin is None:
            from confluent_kafka.admin import AdminClient
            self._admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        return self._admin

    def create_topic(self, name, partitions, config=None):
        """Creates a topic and returns once the broker lists all its partitions with a leader."""
        from confluent_kafka.admin import NewTopic
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config or {})
        self.admin().create_topics([topic], operation_timeout=30)[name].result(30)
        self._until(lambda: self._leaders(name) == partitions, f"topic {name} has no leaders")

    def delete_topic(self, name):
        self.admin().delete_topics([name], operation_timeout=30)[name].result(30)
        self._until(lambda: name not in self.admin().list_topics(timeout=10).topics, f"topic {name} is still there")

    def add_partitions(self, name, partitions):
        """Grows a topic to this many partitions."""
        from confluent_kafka.admin import NewPartitions
        self.admin().create_partitions([NewPartitions(name, partitions)], operation_timeout=30)[name].result(30)
        self._until(lambda: self._leaders(name) == partitions, f"topic {name} has not grown")

    def _leaders(self, name):
        topic = self.admin().list_topics(timeout=10).topics.get(name)
        return 0 if topic is None else sum(1 for p in topic.partitions.values() if p.leader >= 0)

    @staticmethod
    def _until(condition, what, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(what)
            time.sleep(0.02)

    def _format(self):
        self.port, controller_port = free_ports(2)
        folder = pathlib.Path(self.dir)
        (folder / "server.properties").write_text(
            (SERVER_PROPERTIES + self.more).format(dir=self.dir, host=self.host, port=self.port, controller_port=controller_port), "utf-8")
        (folder / "log4j.properties").write_text(LOG4J_PROPERTIES.format(dir=self.dir), "utf-8")
        self._java("kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config")
        if self.process.wait() != 0:
            raise RuntimeError(f"cannot format kafka's storage\n{self._output()}")

    def _java(self, main, *arguments):
        command = [*JAVA, f"-Djava.io.tmpdir={self.dir}", f"-Dlog4j.configuration=file:{self.dir}/log4j.properties",
                   "-cp", f"{jars()}/*", main, *arguments, f"{self.dir}/server.properties"]
        with open(f"{self.dir}/output.log", "ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.dir,
                                            preexec_fn=die_with_parent)

    def _answers(self):
        with socket.socket() as probe:
            if probe.connect_ex((self.host, self.port)) != 0:
                return False  # without this librdkafka waits between its attempts
        from confluent_kafka import KafkaException
        try:
            return len(self.admin().list_topics(timeout=1).brokers) == 1
        except KafkaException:
            return False

    def _output(self):
        text = ""
        for name in ("output.log", "server.log"):
            path = pathlib.Path(self.dir) / name
            if path.exists():
                text += path.read_text("utf-8", "replace")[-3000:]
        return text


def main(arguments):
    if arguments == ["fetch"]:
        print(jars())
        return 0
    if arguments[:1] == ["run"]:
        with Kafka() as node:
            for topic in arguments[1:]:
                name, _, partitions = topic.partition(":")
                node.create_topic(name, int(partitions or 1))
            print(node.bootstrap, flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                node.process.wait()
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
