#!/usr/bin/python3
"""`onceward backup` from outside: of a store at rest, and by a running worker through its socket, which hostile requests do not harm.

    tests/cli/test_backup.py
"""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import resource
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ONCEWARD", str(ROOT / "build/release/onceward"))


def run(*arguments, **more):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False, **more)


def state_hash(db):
    told = json.loads(run("verify", db, "-o", "json").stdout)
    assert told["ok"] is True, told
    return told["state_hash"]


def meta(db, key):
    connection = sqlite3.connect(f"file:{db}?mode=ro", uri=True)
    try:
        return [value for value, in connection.execute("SELECT value FROM ow_meta WHERE key = ?", (key,))]
    finally:
        connection.close()


def refused(code, says, *arguments, **more):
    result = run(*arguments, **more)
    assert result.returncode == code and says in result.stderr and result.stdout == "", (arguments, result)


def must_be_copy(copy, hash_of_store):
    assert state_hash(copy) == hash_of_store
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600 and len(meta(copy, "backup_at_ms")) == 1
    assert sorted(path.name for path in copy.parent.glob(f"{copy.name}*")) == [copy.name]


def what_is_refused(folder, config, db):
    refused(2, "expects --to PATH", "backup", "-c", config)
    refused(2, "expects --to PATH", "backup", "-c", config, "copy.db")
    refused(2, "table, json or jsonl", "backup", "-c", config, "--to", folder / "x.db", "-o", "xml")
    refused(1, "is there already", "backup", "-c", config, "--to", db)
    refused(2, "the store itself uses", "backup", "-c", config, "--to", f"{db}-journal")
    refused(1, "cannot be used", "backup", "-c", config, "--to", folder / "nowhere/x.db")
    refused(2, "no name of a file", "backup", "-c", config, "--to", f"{folder}/")
    refused(1, "there is no store", "backup", "-c", config, "--set", f"store.path={folder}/not.db", "--to", folder / "x.db")
    with open(f"{db}.lock", "r+", encoding="utf-8") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)                     # somebody who is no worker, or an older one
        refused(75, "in use by another process", "backup", "-c", config, "--to", folder / "x.db")
        refused(75, "nobody answers at", "backup", "-c", config, "--to", folder / "x.db")
    assert not list(folder.glob("x.db*"))


def at_rest(folder, config, db):
    wanted, epoch = state_hash(db), meta(db, "epoch")
    result = run("backup", "-c", config, "--to", "copy.db", "-o", "json", cwd=folder)
    assert result.returncode == 0, result
    told = json.loads(result.stdout)
    copy = folder / "copy.db"
    assert sorted(told) == ["at_ms", "bytes", "pages", "path", "seconds"] and told["path"] == str(copy), told
    assert told["bytes"] == copy.stat().st_size == 4096 * told["pages"] and meta(copy, "backup_at_ms") == [told["at_ms"]], told
    must_be_copy(copy, wanted)
    assert meta(db, "epoch") == epoch and meta(db, "backup_at_ms") == []
    refused(1, "is there already", "backup", "-c", config, "--to", copy)


def where_the_disk_is_full(folder, config):
    def little():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    refused(1, "the backup", "backup", "-c", config, "--to", folder / "full.db", preexec_fn=little)
    assert not list(folder.glob("full.db*"))


class Worker:
    """A worker that waits for a broker which is not there: its store and its socket are."""

    def __init__(self, folder, config, db):
        self.socket, self.log = f"{db}.sock", folder / "worker.err"
        with open(self.log, "wb") as err:
            self.process = subprocess.Popen([BINARY, "run", "-c", str(config)], stderr=err, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while "event=started" not in self.log.read_text("utf-8"):
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text("utf-8")
            time.sleep(0.05)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        begin = time.monotonic()
        code = self.process.wait(60)
        text = self.log.read_text("utf-8")
        assert not re.search(r"Sanitizer|runtime error:", text), text
        return code, time.monotonic() - begin

    def raw(self, *pieces, pause=0.0, half=False):
        """Sends bytes and reads to the end."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(60)
            peer.connect(self.socket)
            answer = b""
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for piece in pieces:
                    peer.sendall(piece)
                    time.sleep(pause)
                if half:
                    peer.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while piece := peer.recv(65536):
                    answer += piece
            return answer

    def ask(self, method, path, body=None, kind="application/json"):
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n"
        if body is not None:
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        answer = self.raw(head.encode() + b"\r\n" + (body or b""))
        head, _, rest = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), head.decode(), json.loads(rest) if rest else None


def problem(worker, code, *asked, **more):
    got, head, body = worker.ask(*asked, **more)
    assert got == code and body["status"] == code and "application/problem+json" in head and body["detail"], (asked, got, head, body)
    return head, body


def what_the_socket_says(worker, db):
    assert stat.S_IMODE(os.stat(worker.socket).st_mode) == 0o600
    assert worker.ask("GET", "/livez")[2] == {"live": True}
    code, head, none = worker.ask("HEAD", "/livez")
    assert (code, none) == (200, None) and "Content-Length: 14" in head, head
    code, head, told = worker.ask("GET", "/version")
    assert told["pid"] == worker.process.pid and [told["store_id"]] == meta(db, "store_id") and [told["epoch"]] == meta(db, "epoch"), told
    assert "Cache-Control: no-store" in head and worker.ask("GET", "/backup")[2] == {"running": False}


def hostile_requests(worker, folder):
    problem(worker, 404, "GET", "/")
    problem(worker, 404, "GET", "/livez/")
    problem(worker, 404, "GET", "/%6civez%00")
    head, _ = problem(worker, 405, "DELETE", "/backup")
    assert "Allow: GET, POST" in head, head
    problem(worker, 415, "POST", "/backup", b'{"to":"/x"}', "text/plain")
    problem(worker, 415, "POST", "/backup", b'{"to":"/x"}', "application/jsonx")
    for body in (b"", b"{", b"[]", b"null", b"{}", b'{"to":7}', b'{"to":"relative"}', b'{"to":"/a","to":"/b"}', b'{"to":"/a","force":true}',
                 b'{"to":"/a\\u0000b"}', b'{"to":"\xff"}', b"[" * 60000):
        assert problem(worker, 400, "POST", "/backup", body)[1]["exit_code"] == 2, body
    assert problem(worker, 500, "POST", "/backup", json.dumps({"to": f"{folder}/no/where.db"}).encode())[1]["exit_code"] == 1
    problem(worker, 413, "POST", "/backup", b"x" * 70000)
    assert b" 200 " not in worker.raw(b"POST /backup HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999999999999\r\n\r\n")
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    assert b" 200 " not in worker.raw(b"POST /backup HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", *[chunk] * 64)
    for noise in (b"\0" * 100, b"\r\n" * 5000, b"GET", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
                  b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"POST /backup HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"):
        assert b" 200 " not in worker.raw(noise, half=True), noise[:40]
    assert worker.ask("GET", "/livez")[0] == 200


def slow_and_many(worker):
    """Who dawdles is cut off, byte by byte or in silence, and does not keep others out for ever."""
    begin, ends = time.monotonic(), []

    def dawdle(pieces):
        with contextlib.suppress(BlockingIOError):           # kept out at the door
            worker.raw(*pieces, pause=0.5)
        ends.append(time.monotonic() - begin)
    threads = [threading.Thread(target=dawdle, args=([b"GET /livez HTTP/1.1\r\n"] + [b"X"] * 60,)) for _ in range(20)]
    threads += [threading.Thread(target=dawdle, args=([b"G"],)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert len(ends) == len(threads) and max(ends) < 60, ends
    assert worker.ask("GET", "/livez")[0] == 200


def by_the_worker(worker, folder, config, db):
    wanted = state_hash(db)
    copy = folder / "live.db"
    result = run("backup", "-c", config, "--to", "live.db", cwd=folder)
    assert result.returncode == 0 and f"backup made: {copy}, " in result.stdout, result
    must_be_copy(copy, wanted)
    refused(1, "the worker says: ", "backup", "-c", config, "--to", copy)
    assert worker.process.poll() is None


def enlarge(db, mebibytes):
    connection = sqlite3.connect(db)
    connection.execute("CREATE TABLE IF NOT EXISTS large (x)")
    for _ in range(mebibytes // 64):
        connection.execute("INSERT INTO large VALUES (zeroblob(67108864))")
        connection.commit()
    connection.close()


def while_it_runs(worker, folder):
    """One at a time; one whose client hangs up is given up; one that is in work does not hold a stop up."""
    first, results = folder / "first.db", []
    thread = threading.Thread(target=lambda: results.append(worker.ask("POST", "/backup", json.dumps({"to": str(first)}).encode())))
    thread.start()
    seen = None
    while thread.is_alive() and not (seen and seen["running"]):
        seen = worker.ask("GET", "/backup")[2]
    assert seen["running"] and seen["path"] == str(first) and seen["phase"] in ("copying", "checking"), seen
    assert problem(worker, 409, "POST", "/backup", json.dumps({"to": f"{folder}/second.db"}).encode())[1]["exit_code"] == 75
    thread.join()
    assert results[0][0] == 200 and results[0][2]["bytes"] == first.stat().st_size, results
    first.unlink()

    body = json.dumps({"to": str(first)}).encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.connect(worker.socket)
        peer.sendall(b"POST /backup HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        while not worker.ask("GET", "/backup")[2].get("pages_done"):
            pass
    deadline = time.monotonic() + 30
    while worker.ask("GET", "/backup")[2]["running"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not list(folder.glob("first.db*"))                # asked for the last time before it gets its name

    thread = threading.Thread(target=lambda: results.append(run("backup", "-c", folder / "demo/onceward.yaml", "--to", first)))
    thread.start()
    while not worker.ask("GET", "/backup")[2].get("pages_done"):
        pass
    code, seconds = worker.stop()
    thread.join()
    assert code == 0 and seconds < 8, (code, seconds)
    assert results[1].returncode == 75 and "the worker says: " in results[1].stderr or results[1].returncode == 0, results[1]
    assert not list(folder.glob("first.db.part")) and not os.path.exists(worker.socket)


def after_a_kill(folder, config, db):
    """A socket of a dead worker does not keep a backup from being made, nor the next worker from listening."""
    worker, results = Worker(folder, config, db), []
    thread = threading.Thread(target=lambda: results.append(run("backup", "-c", config, "--to", folder / "dead.db")))
    thread.start()
    while not worker.ask("GET", "/backup")[2].get("pages_done"):
        pass
    worker.stop(signal.SIGKILL)
    thread.join()
    assert results[0].returncode == 75 and "the worker " in results[0].stderr, results
    assert os.path.exists(worker.socket) and sorted(path.name for path in folder.glob("dead.db*")) == ["dead.db.part"]
    result = run("backup", "-c", config, "--to", folder / "dead.db")
    assert result.returncode == 0, result
    must_be_copy(folder / "dead.db", state_hash(db))
    worker = Worker(folder, config, db)
    assert worker.ask("GET", "/livez")[0] == 200
    assert worker.stop()[0] == 0


def where_the_path_is_long(folder, config):
    deep = folder / ("d" * 100)
    deep.mkdir()
    with open(folder / "long.err", "wb") as err:
        process = subprocess.Popen([BINARY, "run", "-c", str(config), "--set", f"store.path={deep}/orders.db"], stderr=err, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while "event=started" not in (text := (folder / "long.err").read_text("utf-8")):
        assert process.poll() is None and time.monotonic() < deadline, text
        time.sleep(0.05)
    assert "event=no_admin_socket" in text and "that of a socket may have 107" in text, text
    refused(75, "that of a socket may have 107", "backup", "-c", config, "--set", f"store.path={deep}/orders.db", "--to", folder / "x.db")
    process.terminate()
    assert process.wait(60) == 0
    assert run("backup", "-c", config, "--set", f"store.path={deep}/orders.db", "--to", folder / "x.db").returncode == 0


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([BINARY, "demo", "--keep", folder / "demo", "--records", "20000", "--kills", "0"], capture_output=True, timeout=300, check=True)
        db, config = folder / "demo/orders.db", folder / "demo/onceward.yaml"
        what_is_refused(folder, config, db)
        at_rest(folder, config, db)
        where_the_disk_is_full(folder, config)
        enlarge(db, 256)
        worker = Worker(folder, config, db)
        what_the_socket_says(worker, db)
        hostile_requests(worker, folder)
        by_the_worker(worker, folder, config, db)
        slow_and_many(worker)
        while_it_runs(worker, folder)
        after_a_kill(folder, config, db)
        where_the_path_is_long(folder, config)
    print("ok")


if __name__ == "__main__":
    sys.exit(main())
