#!/usr/bin/python3
"""`onceward verify` from outside: exit codes, what a person reads, and the JSON for programs.

    tests/cli/test_verify.py
"""

import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ONCEWARD", str(ROOT / "build/release/onceward"))
KEYS = ["finished", "notes", "ok", "promises", "state_hash"]
PROMISE_KEYS = ["broken", "checked", "examples", "meaning", "name", "ok"]


def run(*arguments):
    return subprocess.run([BINARY, "verify", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


def verification(db, code):
    """The object, of the same form whatever was found."""
    result = run(db, "-o", "json")
    assert result.returncode == code, result
    told = json.loads(result.stdout)
    assert sorted(told) == KEYS, told
    for promise in told["promises"]:
        assert sorted(promise) == PROMISE_KEYS and promise["ok"] is (promise["broken"] == 0), promise
        assert bool(promise["examples"]) is not promise["ok"], promise
    assert told["ok"] is all(promise["ok"] for promise in told["promises"]) is (code == 0), told
    return told


def edited(db, own, *sql):
    shutil.copy(db, own)
    with sqlite3.connect(own) as edit:
        for line in sql:
            edit.execute(line)
    edit.close()
    return own


def a_sound_store(db):
    told = verification(db, 0)
    assert told["finished"] is True and told["notes"] == [] and len(told["state_hash"]) == 64, told
    assert len(told["promises"]) == 24 and sum(promise["checked"] for promise in told["promises"]) > 100_000, told
    result = run(db)
    assert result.returncode == 0 and f"all promises are kept: {db}\nstate hash {told['state_hash']}\n" in result.stdout, result
    assert result.stderr == "", result.stderr


def a_row_changed_by_hand(db, folder):
    own = edited(db, folder / "changed.db", "UPDATE payments SET amount_minor = amount_minor + 1 WHERE payment_id = (SELECT max(payment_id) FROM payments)")
    broken = {promise["name"]: promise for promise in verification(own, 3)["promises"] if not promise["ok"]}
    assert "record_rows_derived" in broken, broken
    result = run(own)
    assert result.returncode == 3 and "promises are broken:" in result.stdout and broken["record_rows_derived"]["examples"][0] in result.stdout, result


def a_store_without_its_sums(db, folder):
    """Made before there were any, say: no fault, but it is said, to people and to programs."""
    own = edited(db, folder / "unsealed.db", "DELETE FROM ow_meta WHERE key LIKE 'seal.%'")
    notes = verification(own, 0)["notes"]
    assert len(notes) == 1 and notes[0] in run(own).stderr, notes


def a_file_cut_short(db, folder):
    """What was not looked at has no figure, and is not said to be kept."""
    own = folder / "cut.db"
    own.write_bytes(pathlib.Path(db).read_bytes()[:65536])
    told = verification(own, 3)
    assert told["finished"] is False and told["state_hash"] is None, told
    result = run(own)
    kept = [line.split()[1] for line in result.stdout.splitlines() if line.split()[1:2] in (["yes"], ["?"], ["NO"])]
    assert result.returncode == 3 and kept.count("NO") >= 1 and kept.count("?") > 1 and "yes" not in kept, result
    assert "the checks could not be finished" in result.stdout, result


def what_is_no_store(folder):
    (folder / "text.db").write_text("a text\n" * 1000)
    (folder / "empty.db").write_text("")
    for name, code, says in (("nowhere.db", 2, "there is no store"), ("text.db", 4, "text.db"), ("empty.db", 4, "is empty")):
        result = run(folder / name)
        assert result.returncode == code and says in result.stderr and result.stdout == "", (name, result)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([BINARY, "demo", "--keep", folder / "demo", "--records", "20000", "--kills", "0"], capture_output=True, timeout=300, check=True)
        db = folder / "demo/orders.db"
        with sqlite3.connect(db) as whole:
            whole.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        whole.close()
        a_sound_store(db)
        a_row_changed_by_hand(db, folder)
        a_store_without_its_sums(db, folder)
        a_file_cut_short(db, folder)
        what_is_no_store(folder)
    print("ok")


if __name__ == "__main__":
    sys.exit(main())
