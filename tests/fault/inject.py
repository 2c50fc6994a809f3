#!/usr/bin/python3
"""System calls of the shipped worker on its store's files fail, by strace: the n-th or all from the n-th on, with ENOSPC, EIO, EINTR, EROFS and
others, or the process is killed in it. Each run ends with 0 (nothing of it was needed, or it has recovered), with 75, or waits for room; the
store is verified then; and the next start without faults comes to the end with the business state of a straight run.

    tests/fault/inject.py [--records 4000] [--trials 60] [--seed 1] [--binary …]
"""
import collections
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))
import generate      # noqa: E402
import harness       # noqa: E402
import service       # noqa: E402

FILES = ("", "-wal", "-shm", ".lock", ".inflight")
FAULTS = {                                                  # what may come of each call
    "openat": ("EIO", "EINTR", "ENOSPC", "EROFS", "EMFILE"), "pwrite64": ("EIO", "EINTR", "ENOSPC", "EROFS", "SIGKILL"),
    "pread64": ("EIO", "EINTR"), "fdatasync": ("EIO", "EINTR", "ENOSPC", "SIGKILL"), "fsync": ("EIO", "EINTR", "ENOSPC"),
    "ftruncate": ("EIO", "EINTR", "ENOSPC", "SIGKILL"), "fallocate": ("EIO", "EINTR", "ENOSPC"), "mmap": ("ENOMEM", "ENODEV"),
    "fcntl": ("EIO", "EINTR", "ENOLCK"), "newfstatat": ("EIO", "ENOMEM"), "unlink": ("EIO", "EROFS", "SIGKILL")}
STATES = ("new", "closed", "killed")
PAUSED_S = 20


class Trial(service.Service):
    """One store in a folder and a group of its own, in one of the states."""

    def __init__(self, world, name, state=None):
        folder = world.folder / name
        folder.mkdir()
        super().__init__(world, name, folder, **LIMITS)
        self.folder = folder
        if state is not None:
            for each in FILES:
                found = pathlib.Path("%s%s" % (state.db, each))
                if found.exists():
                    shutil.copyfile(found, "%s%s" % (self.db, each))

    def traced(self, calls, *options, log="/dev/null"):
        """Starts it under strace, which looks at nothing but these calls on the store's files."""
        fast = [] if any("signal=" in option for option in options) else ["--seccomp-bpf"]  # with which strace 6.1 sends no signals
        paths = [word for each in FILES for word in ("-P", "%s%s" % (self.db, each))]
        self.serve("--until-end", "-o", "json", before=("strace", "-f", *fast, "-qq", "-o", log, *paths, "-e", "trace=" + calls, *options))


LIMITS = {"batch_rows": 100, "watchdog": "30s"}


def counted(world, name, state):
    """{call: how often each thread that makes it does so in a run without faults}."""
    trial, log = Trial(world, name, state), world.folder / (name + ".strace")
    trial.traced(",".join(FAULTS), log=log)
    trial.finish()
    found = collections.Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text("utf-8", "replace"), re.MULTILINE))
    shutil.rmtree(trial.folder)
    return {call: sorted(many for (_, other), many in found.items() if other == call) for call in FAULTS}


class States:
    """Stores to begin with: none, one that was closed half-way, and one that was killed there."""

    def __init__(self, world, records):
        self.world, self.of = world, {"new": None}
        for name in ("closed", "killed"):
            worker = Trial(world, name)
            worker.serve()
            worker.wait(lambda worker=worker: worker.position() >= records // 3, "a third is not handled")
            worker.stop() if name == "closed" else worker.kill()
            self.of[name] = worker
        self.calls = {name: counted(world, "count-" + name, state) for name, state in self.of.items()}
        for name, calls in self.calls.items():
            print("%s: %s" % (name, ", ".join("%s %s" % (call, "+".join(map(str, many))) for call, many in calls.items() if many)), flush=True)


class Tried:
    def __init__(self):
        self.ended, self.faults, self.unmet = collections.Counter(), collections.Counter(), 0


def outcome_of(trial, fault):
    """How a run with a fault came out: its exit code, or that it waits. Failure where that is none of what is promised."""
    try:
        code = trial.process.wait(PAUSED_S)
    except subprocess.TimeoutExpired:
        if "no space left for the store" not in trial.said():
            trial.fail("neither ended nor waits for room after %d s" % PAUSED_S)
        subprocess.run(["pkill", "-KILL", "-P", str(trial.process.pid)], check=False)   # our strace's only child
        trial.process.wait()
        return "waits"
    if code == -9 and fault == "SIGKILL":
        return "killed"
    if code not in (0, 75):
        trial.fail("ended with %d" % code)
    if code == 75 and not re.search(r"^onceward: \S", trial.said(), re.MULTILINE):
        trial.fail("ended with 75 and does not say why")
    return str(code)


def totals(summary):
    """What does not depend on how the partitions were interleaved: what comes early is parked and applied afterwards."""
    total = dict(summary["total"])
    total["applied"] += total.pop("parked")
    return total


def tried(world, states, number, chance, expected, counts):
    state = chance.choice(STATES)
    call = chance.choice([call for call, many in states.calls[state].items() if many])
    fault, many = chance.choice(FAULTS[call]), chance.choice(states.calls[state][call])
    at = chance.randint(1, chance.choice((min(many, 4), many)))
    when = "%d%s" % (at, chance.choice(("", "..%d" % (at + 3) if fault == "EINTR" else "+")))  # nothing is interrupted for ever
    what = "%s %s when=%s on a store that is %s" % (call, fault, when, state)
    trial = Trial(world, "trial-%d" % number, states.of[state])
    inject = "inject=%s:%s:when=%s" % (call, ("signal=" if fault.startswith("SIG") else "error=") + fault, when)
    log = world.folder / "trial.strace"
    trial.traced(call, "-e", inject, log=log)
    try:
        ended = outcome_of(trial, fault)
        if trial.ask("SELECT count(*) FROM sqlite_schema WHERE name = 'ow_meta'"):
            trial.verify()
        again = trial.run()
        found = (trial.verify()["state_hash"], totals(again))
        if found != expected:
            trial.fail("%s, and not %s" % (found, expected))
    except harness.Failure as failure:
        raise harness.Failure("trial %d, %s: %s" % (number, what, failure)) from None
    counts.ended[ended] += 1
    counts.faults[fault] += 1
    counts.unmet += "INJECTED" not in log.read_text("utf-8", "replace") and ended != "killed"
    print("%3d %s: %s" % (number, what, ended), flush=True)
    shutil.rmtree(trial.folder)


def inject(world):
    chance, counts, begin = random.Random(world.chosen.seed), Tried(), time.monotonic()
    log, _ = generate.load(world.chosen.records, world.chosen.seed)
    world.produce(log, 2)
    straight = Trial(world, "straight")
    summary = straight.run()
    model = straight.check(*world.dump())
    harness.summary_must_fit(summary, model)
    expected = (model.state_hash(), totals(summary))
    states = States(world, len(log))
    for number in range(world.chosen.trials):
        tried(world, states, number, chance, expected, counts)
    print("strace: %d runs with a fault (%s), of which %d did not come to it; ended: %s; %.0f s" % (
        world.chosen.trials, ", ".join("%s %d" % each for each in sorted(counts.faults.items())), counts.unmet,
        ", ".join("%s %d" % each for each in sorted(counts.ended.items())), time.monotonic() - begin))
    if counts.unmet > world.chosen.trials // 4:
        raise harness.Failure("too many faults were never met")


if __name__ == "__main__":
    found = harness.options(__doc__, records=4_000, trials=60)
    if shutil.which("strace") is None or subprocess.run(["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "true"], capture_output=True,
                                                        check=False).returncode != 0:
        print("strace is missing or may not trace here")
        sys.exit(77)
    sys.exit(harness.main(inject, found, ("records", "trials")))
