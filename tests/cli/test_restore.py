#!/usr/bin/python3
"""`onceward restore` from outside, without a broker: what is put in place, what is refused, and what the next start makes of it.

    tests/cli/test_restore.py
"""

import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ONCEWARD", str(ROOT / "build/release/onceward"))
KEYS = ["at_ms", "bytes", "pages", "path", "positions", "replaced_as", "store_id", "topics_checked"]


def run(*arguments, **more):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False, **more)


def must(*arguments):
    result = run(*arguments)
    assert result.returncode == 0, (arguments, result)
    return result


def refused(code, says, *arguments, **more):
    result = run(*arguments, **more)
    assert result.returncode == code and says in result.stderr and result.stdout == "", (arguments, result)
    return result.stderr


def state_hash(db):
    told = json.loads(run("verify", db, "-o", "json").stdout)
    assert told["ok"] is True, told
    return told["state_hash"]


def change(db, sql):
    connection = sqlite3.connect(db)
    connection.execute(sql)
    connection.commit()
    connection.close()


def meta(db, key):
    connection = sqlite3.connect(f"file:{db}?mode=ro", uri=True)
    try:
        return [value for value, in connection.execute("SELECT value FROM ow_meta WHERE key = ?", (key,))]
    finally:
        connection.close()


def usage(config, backup):
    for arguments in ((), ("--from", ""), (backup,), ("--from", backup, "x")):
        refused(2, "expects --from BACKUP", "restore", "-c", config, *arguments)
    refused(2, "table, json or jsonl", "restore", "-c", config, "--from", backup, "-o", "xml")
    refused(2, "cannot look at backup", "restore", "-c", config, "--from", f"{backup}.not", "--no-broker")


def where_no_broker_answers(config, db, backup):
    before = db.read_bytes()
    refused(75, "", "restore", "-c", config, "--from", backup)
    assert db.read_bytes() == before and not os.path.exists(f"{db}.part") and not os.path.exists(f"{db}.before-restore")


def while_a_worker_runs(folder, config, db, backup):
    with open(folder / "worker.err", "wb") as err:
        process = subprocess.Popen([BINARY, "run", "-c", str(config)], stderr=err, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while "event=started" not in (folder / "worker.err").read_text("utf-8"):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    refused(75, "in use by another process", "restore", "-c", config, "--from", backup, "--no-broker")
    process.terminate()
    assert process.wait(60) == 0
    return meta(db, "epoch")[0]


def in_its_place(config, db, backup, epoch):
    wanted = state_hash(backup)
    change(db, "UPDATE orders SET amount_minor = amount_minor + 1")  # a hand that did what it should not
    assert run("verify", db).returncode == 3
    told = json.loads(must("restore", "-c", config, "--from", backup, "--no-broker", "-o", "json").stdout)
    assert sorted(told) == KEYS and told["path"] == str(db) and told["topics_checked"] is False, told
    assert told["bytes"] == db.stat().st_size and told["pages"] * 4096 == told["bytes"] and told["replaced_as"] == f"{db}.before-restore", told
    assert [told["at_ms"]] == meta(backup, "backup_at_ms") and state_hash(db) == wanted
    assert meta(db, "backup_at_ms") == [] and meta(db, "epoch") == [epoch + 1] and len(meta(db, "restored_at_ms")) == 1
    assert run("verify", told["replaced_as"]).returncode == 3
    refused(1, "move it away first", "restore", "-c", config, "--from", backup, "--no-broker")
    os.unlink(told["replaced_as"])
    result = must("restore", "-c", config, "--from", backup, "--no-broker")
    for line in ("restored: ", "the old file is kept: ", "onceward run --restored"):
        assert line in result.stdout, result.stdout


def what_a_lost_store_left(config, db, backup):
    """The file was moved away, its WAL was not: what is committed in there is not thrown away unasked."""
    for path in db.parent.glob(f"{db.name}.before-restore*"):
        path.unlink()
    db.rename(f"{db}.moved")
    left = pathlib.Path(f"{db}-wal")
    left.write_text("commits that are nowhere else", "utf-8")
    result = must("restore", "-c", config, "--from", backup, "--no-broker")
    assert f"what a lost store has left here is kept: {db}.before-restore-*\n" in result.stdout and not left.exists(), result
    kept = pathlib.Path(f"{db}.before-restore-wal")
    assert kept.read_text("utf-8") == "commits that are nowhere else"
    kept.unlink()


def what_is_no_backup(folder, config, db, backup):
    hurt = folder / "hurt.db"
    shutil.copy(backup, hurt)
    change(hurt, "DELETE FROM payments WHERE payment_id = (SELECT min(payment_id) FROM payments)")
    said = refused(3, "does not keep promise", "restore", "-c", config, "--from", hurt, "--no-broker", "--discard")
    assert "first: " in said, said
    refused(4, "is no store of onceward", "restore", "-c", config, "--from", config, "--no-broker", "--discard")
    refused(2, "is the store itself", "restore", "-c", config, "--from", db, "--no-broker", "--discard")
    subprocess.run([BINARY, "demo", "--keep", folder / "other", "--records", "20000", "--kills", "0"], capture_output=True, timeout=300, check=True)
    refused(4, "the place of another one", "restore", "-c", config, "--from", folder / "other/orders.db", "--no-broker", "--discard")
    assert not os.path.exists(f"{db}.part")


def a_backup_is_no_store(folder, config, backup):
    there = ("--set", f"store.path={backup}")
    before = backup.read_bytes()
    refused(4, "is a backup", "run", "-c", config, *there)
    assert "is a backup" in run("check", "-c", config, "--offline", *there).stdout
    assert backup.read_bytes() == before and sorted(path.name for path in folder.glob("copy.db*")) == ["copy.db", "copy.db.lock"]


def claims_that_do_not_reach(folder, config, backup):
    """What came since the backup was made comes again; where claims are kept for less than that, strict says no."""
    machine, other = folder / "short.yaml", folder / "short-config.yaml"
    machine.write_text((config.parent / "orders.yaml").read_text("utf-8").replace("retention: 45d", "retention: 1s"), "utf-8")
    other.write_text(config.read_text("utf-8").replace("orders.yaml", "../short.yaml"), "utf-8")
    asked = ("restore", "-c", other, "--from", backup, "--no-broker", "--discard", "--set", "claims.skew=0s")
    refused(4, "claims only 1s", *asked, "--set", "claims.strict=true")
    result = must(*asked, "--set", "claims.backups=1ms")
    assert "claims only 1s" in result.stderr and "older than claims.backups" in result.stderr, result


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([BINARY, "demo", "--keep", folder / "demo", "--records", "20000", "--kills", "0"], capture_output=True, timeout=300, check=True)
        db, config, backup = folder / "demo/orders.db", folder / "demo/onceward.yaml", folder / "copy.db"
        must("backup", "-c", config, "--to", backup)
        usage(config, backup)
        where_no_broker_answers(config, db, backup)
        epoch = while_a_worker_runs(folder, config, db, backup)
        in_its_place(config, db, backup, epoch)
        what_a_lost_store_left(config, db, backup)
        what_is_no_backup(folder, config, db, backup)
        a_backup_is_no_store(folder, config, backup)
        claims_that_do_not_reach(folder, config, backup)
    print("ok")


if __name__ == "__main__":
    sys.exit(main())
