#!/usr/bin/python3
"""A real Kafka that asks who we are: a wrong password, a certificate that nobody vouches for, TLS where there is none and the reverse,
nobody at the port. The worker says what is wrong, once, goes on asking without running in circles, and stops when it is told to; with
--until-end it ends with 75 and the cause. Once the broker takes that password the same process goes on by itself. Everything is there once.

    tests/fault/security.py [--seed 1] [--binary …]
"""
import contextlib
import pathlib
import subprocess
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / folder) for folder in ("oracle", "broker")]
import generate       # noqa: E402
import harness        # noqa: E402
import kafka          # noqa: E402
import steady         # noqa: E402

RECORDS, PARTITIONS, ASK_S, CPU_MAX = 60, 2, 15, 0.25
PROPERTIES = """
listeners=PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller_port}},SASL://127.0.0.1:{sasl},TLS://127.0.0.1:{tls}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL
sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_worker="{password}";
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location={folder}/broker.pem
"""


def make_certificate(folder):
    """A key and a certificate that it has signed itself, for 127.0.0.1."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "certificate.pem"], cwd=folder, check=True, capture_output=True)
    key = subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", "key.pem"], cwd=folder, check=True, capture_output=True).stdout
    (folder / "broker.pem").write_bytes(key + (folder / "certificate.pem").read_bytes())


class World(steady.World):
    def broker(self):
        return contextlib.nullcontext()                     # the test's own


class Worker(steady.Worker):
    def said(self):
        return self.err.read_text("utf-8", "replace")

    def ends(self, text):
        """With --until-end, which does not wait for ever."""
        code = self.process.wait(self.world.chosen.timeout)
        last = self.said().splitlines()[-1]
        print("%-15s --until-end ends with %d: %s" % (self.name, code, last), flush=True)
        if code != 75 or text not in last:
            raise harness.Failure("%s: not with 75 and '%s'" % (self.name, text))

    def stays(self, text):
        """It has run a while, and has said that, and was not busy with it."""
        if self.process.poll() is not None:
            raise harness.Failure("%s: ended with %d: %s" % (self.name, self.process.returncode, self.said()))
        if self.said().count(text) not in (1, 2):           # the start may say it, and the poll loop
            raise harness.Failure("%s: says %d times '%s':\n%s" % (self.name, self.said().count(text), text, self.said()))
        if self.cpu_s() > CPU_MAX * ASK_S:
            raise harness.Failure("%s: %.1f s of CPU in %d s" % (self.name, self.cpu_s(), ASK_S))

    def goes_on(self):
        deadline = time.monotonic() + 60
        while not self.is_through():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise harness.Failure("%s: does not come to the end:\n%s" % (self.name, self.tail()))
            time.sleep(0.1)
        self.stop()
        self.check(*self.world.dump())
        print("%-15s comes to the end" % self.name, flush=True)


class Cases:
    def __init__(self, world, node, sasl, tls):
        closed, = kafka.free_ports(1)
        self.world = world
        password = {"security_protocol": "sasl_plaintext", "sasl_mechanism": "PLAIN", "sasl_username": "worker"}
        self.wrong_password = self.worker("wrong-password", sasl, **password, sasl_password="wrong")
        self.refused = {self.wrong_password: "the broker refuses our credentials",
                        self.worker("untrusted", tls, security_protocol="ssl"): "certificate verify failed",
                        self.worker("no-tls-there", node.port, security_protocol="ssl"): "no TLS connection",
                        self.worker("tls-wanted", tls): "no broker can be reached",
                        self.worker("nobody", closed): "Connection refused"}
        self.welcome = [self.worker("right-password", sasl, **password, sasl_password="right"),
                        self.worker("trusted", tls, security_protocol="ssl", ssl_ca_location=str(world.folder / "certificate.pem"))]

    def worker(self, name, port, **properties):
        return Worker(self.world, 6000, name, bootstrap_servers="127.0.0.1:%d" % port, **properties)

    def play(self, node):
        for worker in self.refused:
            worker.start("--until-end")
        for worker, text in self.refused.items():
            worker.ends(text)
        for worker in self.refused:
            worker.start()
        time.sleep(ASK_S)
        for worker, text in self.refused.items():
            worker.stays(text)
            if worker is not self.wrong_password:
                worker.stop()
        for worker in self.welcome:
            worker.start()
            worker.goes_on()
        properties = pathlib.Path(node.dir) / "server.properties"
        properties.write_text(properties.read_text("utf-8").replace('user_worker="right"', 'user_worker="wrong"'), "utf-8")
        node.restart()
        self.wrong_password.goes_on()

    def kill(self):
        for worker in (*self.refused, *self.welcome):
            if worker.process is not None and worker.process.poll() is None:
                worker.kill()


def security(world):
    sasl, tls = kafka.free_ports(2)
    make_certificate(world.folder)
    with kafka.Kafka(more=PROPERTIES.format(sasl=sasl, tls=tls, password="right", folder=world.folder)) as node:
        world.bootstrap = node.bootstrap
        world.begin(PARTITIONS)
        for name in world.topics().values():
            node.create_topic(name, PARTITIONS, {"retention.ms": "-1"})
        world.send(generate.load(RECORDS, world.chosen.seed)[0])
        cases = Cases(world, node, sasl, tls)
        try:
            cases.play(node)
        finally:
            cases.kill()
    print("%d refused in as many ways, said and stayed; %d welcome; one goes on by itself once its password is taken"
          % (len(cases.refused), len(cases.welcome)))


if __name__ == "__main__":
    harness.World = World
    sys.exit(harness.main(security, harness.options(__doc__), ()))
