#!/usr/bin/python3
"""`onceward positions` from outside, without a broker: what list says of a store when nobody answers, what is refused before anybody is asked,
a store that is owned, and a store of an older schema version. What needs a broker: tests/broker/test_positions.py.

    tests/cli/test_positions.py
"""

import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ONCEWARD", str(ROOT / "build/release/onceward"))
WHY = ("--why", "a test")
failed = 0


def run(*arguments):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


def must(name, condition, told):
    global failed
    if not condition:
        failed += 1
        print(f"FAILED {name}: {told}")


def expect(name, result, code, *texts):
    said = result.stdout + result.stderr
    must(name, result.returncode == code and all(text in said for text in texts), (result.returncode, texts, said))


def positions(config, verb, *arguments):
    return run("positions", verb, "-c", config, *arguments)


def make_store(folder):
    """Of version 1, with one position of order-events[0], and the machine of that time."""
    path = folder / "store.db"
    db = sqlite3.connect(path)
    db.executescript((ROOT / "tests/unit/store/fixtures/store_v1.sql").read_text("utf-8"))
    (folder / "machine.json").write_text(db.execute("SELECT text FROM ow_machine").fetchone()[0], "utf-8")
    db.close()
    config = folder / "onceward.yaml"
    config.write_text(json.dumps({"store": {"path": str(path)}, "kafka": {"group": "g", "properties": {"bootstrap.servers": "127.0.0.1:1"}},
                                  "machines": [str(folder / "machine.json")]}), "utf-8")
    return path, config


def version(path):
    db = sqlite3.connect(path)
    try:
        return db.execute("PRAGMA user_version").fetchone()[0]
    finally:
        db.close()


def usage(config):
    place = ("--topic", "order-events", "--partition", "0")
    for name, arguments, text in [
            ("no verb", [], "expects one of list, set, adopt, accept-lost"),
            ("another verb", ["move"], "expects one of list, set, adopt, accept-lost"),
            ("no topic", ["set", "--partition", "0", "--offset", "1", *WHY], "--topic must be given"),
            ("no partition", ["set", "--topic", "t", "--offset", "1", *WHY], "--partition must be given"),
            ("a partition that is none", ["set", "--topic", "t", "--partition", "-1", "--offset", "1", *WHY], "--partition must be a number"),
            ("no why", ["set", *place, "--offset", "1"], "--why must be given"),
            ("an empty why", ["adopt", *place, "--why", ""], "--why must be given"),
            ("an empty who", ["adopt", *place, *WHY, "--who", ""], "--who is empty"),
            ("no target", ["set", *place, *WHY], "set expects one of"),
            ("two targets", ["set", *place, "--to-earliest", "--offset", "1", *WHY], "set expects one of"),
            ("an offset that is none", ["set", *place, "--offset", "x", *WHY], "--offset must be a number"),
            ("a time that is none", ["set", *place, "--to-time", "yesterday", *WHY], "--to-time must be a time"),
            ("adopt to the end", ["adopt", *place, "--to-latest", *WHY], "adopt begins at"),
            ("accept-lost to an offset", ["accept-lost", *place, "--offset", "1", *WHY], "accept-lost goes to"),
            ("a format that is none", ["list", "-o", "xml"], "-o must be table, json or jsonl")]:
        expect(name, run("positions", *arguments, "-c", config), 2, text)
    expect("help", run("positions", "--help"), 0, "accept-lost", "ow_audit")


def test(folder):
    path, config = make_store(folder)
    usage(config)
    expect("list, a store of version 1", positions(config, "list"), 4, "has an older schema than version 2", "the next start of 'onceward run'")
    expect("verify, a store of version 1", run("verify", path), 4, "the next start of 'onceward run'")
    expect("check, a store of version 1", run("check", "-c", config), 75, "run will bring it up to 2")
    must("those who read change nothing", version(path) == 1, version(path))
    order = ("set", "--topic", "order-events", "--partition", "0", "--offset", "1", *WHY, "--dry-run")
    expect("a dry run, a store of version 1", positions(config, *order), 4, "the next start of 'onceward run'")
    must("a dry run changes nothing", version(path) == 1 and not path.with_name("store.db.lock").exists(), version(path))
    expect("set, nobody answers", positions(config, "set", "--topic", "order-events", "--partition", "0", "--offset", "1", *WHY), 75)
    must("who owns the store brings it up", version(path) == 2, version(path))
    before = path.read_bytes()
    expect("a dry run, nobody answers", positions(config, *order), 75)
    must("a dry run changes nothing of a store that is up", path.read_bytes() == before, "")
    expect("verify, afterwards", run("verify", path), 0, "all promises are kept")

    result = positions(config, "list", "-o", "json")
    told = json.loads(result.stdout)
    must("list, nobody answers", result.returncode == 0 and "what the brokers know is left out" in result.stderr, result)
    unknown = dict.fromkeys(["committed", "committed_by", "low", "end", "lag", "next_start", "refused"])
    must("list, what is known", told["positions"] == [dict(topic="order-events", partition=0, incarnation=0, position=28, high_offset=28) | unknown]
         and told["group"] == "g", told)
    result = positions(config, "list", "-o", "jsonl")
    must("list, a line each", [json.loads(line)["position"] for line in result.stdout.splitlines()] == [28], result)
    result = positions(config, "list")
    must("list, a table", result.stdout.splitlines()[1].split() == ["order-events", "0", "0", "28", "28", "?", "?", "?", "?", "?", "?"], result.stdout)

    expect("a topic of nobody", positions(config, "adopt", "--topic", "other", *WHY), 2, "no machine reads a topic 'other'")
    expect("no store", positions(config, "adopt", "--topic", "order-events", *WHY, "--set", f"store.path={folder}/none.db"), 2, "there is no store")
    must("and none was made", not (folder / "none.db").exists(), "")
    owner = subprocess.Popen([BINARY, "run", "-c", config], stderr=subprocess.PIPE, text=True)
    try:
        for line in owner.stderr:
            if "event=opened" in line or "store" in line:
                break
        expect("a store that is owned", positions(config, "set", "--topic", "order-events", "--partition", "0", "--offset", "1", *WHY), 75, "in use by another process")
        result = positions(config, *order)
        must("a dry run beside it", result.returncode == 75 and "in use" not in result.stderr, result)
        expect("list beside it", positions(config, "list"), 0, "order-events")
    finally:
        owner.kill()
        owner.wait()
    db = sqlite3.connect(path)
    must("nothing was changed", db.execute("SELECT count(*) FROM ow_audit").fetchone()[0] == 0, "")
    db.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="onceward-positions-") as name:
        test(pathlib.Path(name))
    print("positions: " + ("ok" if failed == 0 else f"{failed} failed"))
    sys.exit(failed > 0)
