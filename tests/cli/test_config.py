#!/usr/bin/python3
"""The command line and the configuration, from outside: exit codes, messages, variables, --set, secrets from files."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ONCEWARD", str(ROOT / "build/release/onceward"))
CONFIG = """\
store: { path: orders.db }
kafka:
  group: order-worker
  properties: { bootstrap.servers: "127.0.0.1:9092" }
machines: [ orders.yaml ]
admin: { listen: 127.0.0.1:8470 }
"""
failed = 0


def run(*arguments, env=None):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, env={**os.environ, **(env or {})}, timeout=60)


def expect(name, result, code, *texts, absent=()):
    global failed
    said = result.stdout + result.stderr
    missing = [text for text in texts if text not in said] + [f"not {text}" for text in absent if text in said]
    if result.returncode != code or missing:
        failed += 1
        print(f"FAILED {name}: exit {result.returncode}, expected {code}; missing {missing}\n{said}")


def check(config, *arguments, env=None):
    pathlib.Path("c.yaml").write_text(config)
    return run("check", "--offline", "-c", "c.yaml", *arguments, env=env)


def command_line():
    expect("nothing", run(), 2, "usage: onceward COMMAND")
    expect("help", run("--help"), 0, "commands:", "check", "machine")
    expect("unknown command", run("chekc"), 2, "unknown command 'chekc' (did you mean 'check'?)")
    expect("unknown option", run("check", "--ofline"), 2, "(did you mean '--offline'?)")
    expect("missing value", run("check", "-c"), 2, "'-c' expects a value")
    expect("wrong format", run("version", "-o", "xml"), 2, "table, json or jsonl")
    expect("set without value", run("check", "--set", "a"), 2, "expects KEY=VALUE")
    for command in ("run", "demo", "check", "verify", "erase", "machine", "schema", "version"):
        expect(f"{command} --help", run(command, "--help"), 0, f"usage: onceward {command}")
    version = json.loads(run("version", "-o", "json").stdout)
    assert set(version) == {"onceward", "commit", "librdkafka", "sqlite", "jansson", "libyaml", "libsodium", "libmicrohttpd"}, version


def configuration():
    expect("as it should be", check(CONFIG), 0, "ok      configuration: c.yaml", "'orders' version 1", "run will create it",
           "admin.listen has no effect yet")
    expect("no file", run("check", "--offline"), 2, "there is no 'onceward.yaml' here")
    expect("unknown key", check(CONFIG + "lmits: {}\n"), 2, "c.yaml:7: lmits: unknown key (did you mean 'limits'?)")
    expect("twice", check(CONFIG + "store: { path: x }\n"), 2, "c.yaml:7: store: this key comes twice")
    expect("wrong type", check(CONFIG.replace("order-worker", "7")), 2, "c.yaml:3: kafka.group: expects a non-empty text, not an integer (quote it)")
    expect("reserved", check(CONFIG.replace("{ bootstrap", "{ group.id: x, bootstrap")), 2, "c.yaml:4: kafka.properties.group.id: cannot be set: it is kafka.group")
    expect("no broker", check(CONFIG.replace("bootstrap.servers:", "client.id:")), 2, "the key 'bootstrap.servers' is missing")
    expect("no machine", check(CONFIG.replace("orders.yaml", "nope.yaml")), 2, "c.yaml:5: machines.0: there is no file 'nope.yaml'")
    expect("start", check(CONFIG.replace("group: order-worker", "group: g\n  start: 2026-11-22T10:00:00Z")), 0)
    expect("all at once", check(CONFIG.replace("orders.db", "/nope/x.db").replace("order-worker", '""') + "log: { level: loud }\n"), 2,
           "kafka.group", "log.level: 'loud' is none of: debug, info, warn or error")
    expect("store folder", check(CONFIG.replace("orders.db", "/nope/x.db")), 2, "FAILED  store")
    pathlib.Path("junk.db").write_text("not a database at all\n" * 100)
    expect("foreign file", check(CONFIG.replace("orders.db", "junk.db")), 4, "is no store of onceward")
    lines = json.loads(check(CONFIG, "-o", "json").stdout)
    assert lines["ok"] is True and lines["checks"][0]["subject"] == "configuration", lines


def variables_and_sets():
    text = CONFIG.replace("order-worker", "${GROUP:fallback}").replace("path: orders.db", "path: '${DB}'")
    expect("variable", check(text, env={"DB": "some.db"}), 0, "some.db' is not there yet")
    expect("no variable", check(text), 2, "c.yaml:1: store.path: there is no variable 'DB' in the environment, and no default")
    expect("set", check(CONFIG, "--set", "store.path=other.db", "--set", "kafka.properties.client.id=x"), 0, "other.db' is not there yet")
    expect("set, wrong", check(CONFIG, "--set", "limits.batch_rows=0"), 2, "--set: limits.batch_rows: 0 is out of range")
    expect("set, unknown", check(CONFIG, "--set", "kafka.gruop=x"), 2, "--set kafka.gruop: unknown key 'gruop' (did you mean 'group'?)")
    expect("watchdog, shorter than SQLite's own patience", check(CONFIG, "--set", "limits.watchdog=9s"), 2, "limits.watchdog", "shorter than 10s")
    expect("watchdog, off", check(CONFIG, "--set", "limits.watchdog=0s"), 0)
    expect("set, reserved", check(CONFIG, "--set", "kafka.properties.enable.auto.commit=true"), 2, "cannot be set")


def secrets():
    pathlib.Path("password").write_text("hunter2\n")
    text = CONFIG.replace("{ bootstrap", "{ sasl.password_file: password, bootstrap")
    expect("secret", check(text), 0, absent=["hunter2"])
    expect("secret twice", check(text.replace("{ sasl", "{ sasl.password: hunter2, sasl")), 2, "'sasl.password' is given too", absent=["hunter2"])
    expect("secret missing", check(text.replace("password_file: password", "password_file: nope")), 2, "cannot open 'nope'")


def beside_the_configuration():
    os.makedirs("conf", exist_ok=True)
    pathlib.Path("conf/m.yaml").write_text(pathlib.Path("orders.yaml").read_text())
    pathlib.Path("conf/c.yaml").write_text(CONFIG.replace("orders.yaml", "m.yaml"))
    expect("beside", run("check", "--offline", "-c", "conf/c.yaml"), 0, "(conf/m.yaml)")


def machines():
    loans = str(ROOT / "tests/domain/loans.yaml")
    expect("show", run("machine", "show", "orders.yaml"), 0, "STATE", "too early: 'created' can still be reached")
    cells = json.loads(run("machine", "show", "-o", "json", "orders.yaml").stdout)["cells"]
    assert len(cells) == 36 and sum(cell["do"] == "apply" for cell in cells) == 11, cells
    expect("show, two", run("machine", "show", "orders.yaml", loans), 0, "loans, version 1")
    expect("lint", run("machine", "lint", "orders.yaml", loans), 0, "[order_matters]")
    pathlib.Path("odd.yaml").write_text(pathlib.Path("orders.yaml").read_text().replace("states: {", "states: { lost: {},"))
    expect("lint, a warning", run("machine", "lint", "odd.yaml"), 3, "no sequence of events leads to the state 'lost'")
    pathlib.Path("bad.yaml").write_text(pathlib.Path("orders.yaml").read_text().replace("overrides:", "filter: []\nnothing:"))
    expect("lint, not loaded", run("machine", "lint", "bad.yaml"), 2, "nothing: unknown key")
    expect("graph", run("machine", "graph", "orders.yaml"), 0, "stateDiagram-v2", "created --> paid: payment.succeeded")
    expect("graph, dot", run("machine", "graph", "--format", "dot", "orders.yaml"), 0, 'digraph "orders"', '"created" -> "paid"')
    pathlib.Path("c.yaml").write_text(CONFIG)
    expect("of the configuration", run("machine", "lint", "-c", "c.yaml"), 0)
    expect("no such verb", run("machine", "polish", "orders.yaml"), 2, "expects show, lint, graph or prove")


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        pathlib.Path("orders.yaml").write_text((ROOT / "schemas/orders.yaml").read_text())
        pathlib.Path("c.yaml").write_text(CONFIG)
        for part in (command_line, configuration, variables_and_sets, secrets, beside_the_configuration, machines):
            part()
        os.chdir("/")
    print("failed:", failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
