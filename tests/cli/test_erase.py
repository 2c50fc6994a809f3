#!/usr/bin/python3
"""`onceward erase` from outside: what a data protection officer sees, and what is left in the file's bytes.

    tests/cli/test_erase.py
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
KEYS = ["bytes_overwritten", "entity", "erased_at_ms", "history", "pages", "parked", "quarantine", "quarantine_without_entity"]


def run(*arguments):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


def rows(db, sql, *values):
    connection = sqlite3.connect(f"file:{db}?mode=ro", uri=True)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def everywhere(db, text):
    """How often a text is in the file, or in what lies beside it."""
    files = [pathlib.Path(f"{db}{behind}") for behind in ("", "-wal", "-shm")]
    return sum(file.read_bytes().count(text.encode()) for file in files if file.exists())


def state_hash(db, notes):
    told = json.loads(run("verify", db, "-o", "json").stdout)
    assert told["ok"] is True and len(told["notes"]) == notes, told
    return told["state_hash"]


def what_is_refused(config):
    for arguments, code, says in ((("erase", "-c", config), 2, "expects --entity ID"),
                                  (("erase", "-c", config, "--entity", ""), 2, "expects --entity ID"),
                                  (("erase", "-c", config, "o1"), 2, "expects --entity ID"),
                                  (("erase", "-c", config, "--entity", "o1", "-o", "xml"), 2, "table, json or jsonl"),
                                  (("erase", "-c", f"{config}.not", "--entity", "o1"), 2, "onceward.yaml.not"),
                                  (("erase", "-c", config, "--entity", "nobody"), 1, "nothing is known of entity 'nobody'")):
        result = run(*arguments)
        assert result.returncode == code and says in result.stderr and result.stdout == "", (arguments, result)


def while_somebody_reads(db, config, entity):
    """The WAL cannot be emptied under a reader's snapshot: the rows are blank, and the rest is to be done again."""
    writer = sqlite3.connect(db)
    writer.execute("PRAGMA user_version = 2")                # a WAL that is not empty
    reader = sqlite3.connect(f"file:{db}?mode=ro", uri=True)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM ow_meta").fetchall()
    result = run("erase", "-c", config, "--entity", entity)
    assert result.returncode == 75 and "copies may be left in the file" in result.stderr and "try again" in result.stderr, result
    reader.close()
    writer.close()


def an_erasure(db, config, entity):
    (payload,), = rows(db, "SELECT value FROM ow_quarantine WHERE entity_id = ? AND value IS NOT NULL", entity)
    message = json.loads(payload)
    words = json.dumps(message["data"], separators=(",", ":"))
    assert everywhere(db, words) > 0, words
    before, claims = state_hash(db, 0), rows(db, "SELECT key, fingerprint, ref FROM ow_claims ORDER BY key")
    history = len(rows(db, "SELECT 1 FROM ow_history WHERE entity_id = ?", entity))
    while_somebody_reads(db, config, entity)
    again = run("erase", "-c", config, "--entity", entity, "-o", "json")
    assert again.returncode == 0 and "event=erased" in again.stderr and "quarantine rows are of records" in again.stderr, again
    told = json.loads(again.stdout)
    assert sorted(told) == KEYS and told["entity"] == entity and told["bytes_overwritten"] > 0 and told["history"] == 0, told
    assert everywhere(db, words) == 0 and everywhere(db, message["id"]) > 0, words
    marks = rows(db, "SELECT data FROM ow_history WHERE entity_id = ?", entity)
    assert len(marks) == history and all("erased" in json.loads(data) for data, in marks), marks
    assert state_hash(db, 1) == before and rows(db, "SELECT key, fingerprint, ref FROM ow_claims ORDER BY key") == claims
    story = run("explain", entity, db)
    assert story.returncode == 0 and story.stdout.count("; payload erased at ") == history, story.stdout
    applied = [event["applied"] for event in json.loads(run("explain", entity, db, "-o", "json").stdout)["meanings"][0]["events"]]
    assert all(one["data"] is None and one["erased_at_ms"] > 0 for one in applied if one), applied


def another_for_people(db, config):
    (entity,), = rows(db, "SELECT entity_id FROM ow_history GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")
    result = run("erase", "-c", config, "--entity", entity)
    assert result.returncode == 0 and f"payloads erased: {entity} at " in result.stdout, result
    state_hash(db, 1)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([BINARY, "demo", "--keep", folder / "demo", "--records", "20000", "--kills", "0"], capture_output=True, timeout=300, check=True)
        db, config = folder / "demo/orders.db", folder / "demo/onceward.yaml"
        (entity,), = rows(db, "SELECT entity_id FROM ow_quarantine WHERE reason = 'conflict' ORDER BY id LIMIT 1")
        what_is_refused(config)
        an_erasure(db, config, entity)
        another_for_people(db, config)
    print("ok")


if __name__ == "__main__":
    sys.exit(main())
