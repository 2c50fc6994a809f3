#!/usr/bin/python3
"""Plants each bug of tests/mutants/*.patch in a copy of the tree, and shows which check finds it.

    tests/mutants/run.py            all checks on all bugs; the dear ones where nothing else finds one
    tests/mutants/run.py --fast     only until the first check finds it, beginning with the one that should
    tests/mutants/run.py --only NAME...

A patch begins with a sentence that says the bug and how it would hurt, and a line `Check: NAME, ...`: the checks that
should find it (transcripts/FILE: that transcript alone). This fails when a bug does not apply, does not build, is found
by nobody, or not by a check that should and was asked; and when the tree as it is does not pass. What is built stays in
build/mutants, so the next run is quick.
"""

import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCRATCH = pathlib.Path(os.environ.get("ONCEWARD_MUTANTS", ROOT / "build/mutants"))
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
BUILD_SECONDS = 600


@dataclasses.dataclass
class Check:
    """One way to find a bug; paths are below the build folder, {tree} is the copy of the tree."""
    name: str
    command: list
    seconds: int       # longer counts as found: it hangs
    slices: tuple = () # lists of options: the program is run with each, until one fails


# In the order of their cost.
CHECKS = [
    Check("unit_model", ["tests/unit_model"], 60),
    Check("unit_store", ["tests/unit_store"], 240),
    Check("unit_engine", ["tests/unit_engine"], 180),
    Check("transcripts", ["tests/transcripts"], 180),
    Check("simulation", ["tests/simulation/simulation"], 300,
          tuple(["--from", str(1 + 50 * n), "--seeds", "50"] for n in range(6))),
]
# For what none of these finds, or a patch names.
DEAR_CHECKS = [
    Check("synced", ["{python}", "-B", "{tree}/tests/deploy/test_synced.py"], 120),
    Check("kafka", ["{python}", "-B", "{tree}/tests/broker/test_kill.py", "--records", "20000", "--kills", "3"], 600),
]


@dataclasses.dataclass
class Mutant:
    """A patch, and what became of it."""
    name: str
    path: pathlib.Path
    checks: list  # the names of those that should find it
    trouble: str = ""
    build_s: float = 0.0
    found: dict = dataclasses.field(default_factory=dict)    # check -> how, or "" where it did not
    seconds: dict = dataclasses.field(default_factory=dict)


def read_mutant(path):
    text = path.read_text()
    check = re.search(r"^Check: (.+)$", text, re.M)
    if not check or text.startswith(("---", "Check:")):
        sys.exit(f"{path}: begins with a sentence and a line 'Check: NAME'")
    return Mutant(path.stem, path, check.group(1).split(", "))


class Copy:
    """A copy of the tree with a build folder of its own: one for each worker."""

    def __init__(self, number, targets):
        self.tree = SCRATCH / f"tree{number}"
        self.out = SCRATCH / f"out{number}"
        self.targets = targets
        self.jobs = 1
        self.planted = {}  # file -> what it was, of the bug that is planted

    def refresh(self):
        """Only what differs is copied, so that only that is built again."""
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        wanted = {each for each in listed if each and (ROOT / each).is_file()}
        for each in sorted(wanted):
            source, target = ROOT / each, self.tree / each
            if not target.is_file() or target.read_bytes() != source.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
                shutil.copymode(source, target)
        for target in self.tree.rglob("*"):
            if target.is_file() and str(target.relative_to(self.tree)) not in wanted:
                target.unlink()

    def build(self):
        if not (self.out / "build.ninja").is_file():
            call(["cmake", "-S", self.tree, "-B", self.out, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug",
                  "-DCMAKE_C_FLAGS_DEBUG=-O1 -g1", "-DONCEWARD_WERROR=OFF"], None, BUILD_SECONDS)
        return call(["ninja", "-C", self.out, f"-j{self.jobs}", *self.targets], None, BUILD_SECONDS)

    def plant(self, mutant):
        """Takes the last bug out, puts this one in. "" or why it does not go."""
        self.heal()
        for file, hunks in read_hunks(mutant.path.read_text()):
            path = self.tree / file
            text = path.read_text() if path.is_file() else ""
            self.planted[path] = text
            for hunk in hunks:
                changed = replace_hunk(text, hunk)
                if changed is None:
                    self.heal()
                    return f"not exactly one place in {file} for:\n{''.join(hunk)}"
                if changed == text:
                    self.heal()
                    return f"it changes nothing in {file}:\n{''.join(hunk)}"
                text = changed
            path.write_text(text)
        return "" if self.planted else "it changes nothing"

    def heal(self):
        for path, text in self.planted.items():
            path.write_text(text)
        self.planted = {}


def read_hunks(text):
    """[(file, [lines of a hunk])] of a unified diff."""
    files = []
    for line in text.splitlines(keepends=True):
        if line.startswith("+++ b/"):
            files.append((line[6:].strip(), []))
        elif line.startswith("@@") and files:
            files[-1][1].append([])
        elif files and files[-1][1] and line[0] in " +-" and not line.startswith("--- a/"):
            files[-1][1][-1].append(line)
    return files


def replace_hunk(text, hunk):
    """Line numbers do not count, so that edits elsewhere do no harm: the lines are to be found in one place only, with their
    context or, where that has changed, without it. None: they are not.
    """
    for kinds in (" -", "-"):
        old = "".join(line[1:] for line in hunk if line[0] in kinds)
        new = "".join(line[1:] for line in hunk if line[0] in kinds.replace("-", "+"))
        if old and text.count(old) == 1:
            return text.replace(old, new)
    return None


def call(command, folder, seconds, environment=None):
    try:
        result = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
                                check=False, env=environment, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return None, ""
    return result.returncode, result.stdout.decode(errors="replace")


def failures(text):
    """How many tests say that they failed, and the name of the first.

    cmocka: "[  FAILED  ] name", transcripts: "FAILED  file: ...", simulation: "seed 7 FAILED at action 3: what: ...".
    """
    names = re.findall(r"^\[  FAILED  \] (?:\S+: )?(\w+)$", text, re.M)
    names += [each.rsplit("/", maxsplit=1)[-1] for each in re.findall(r"^FAILED  ([^\s:]+)", text, re.M)]
    names += re.findall(r"^seed \d+ FAILED at action \d+: ([^:\n]+)", text, re.M)
    return f"{len(dict.fromkeys(names))}: {names[0]}" if names else ""


def run_check(copy, check, story=""):
    """"" where all is well; else what it found. And the seconds."""
    command = [each.format(tree=copy.tree, python="/usr/bin/python3") for each in check.command]
    if not command[0].startswith("/"):
        command[0] = str(copy.out / command[0])
    if story:
        command.append(str(copy.tree / "tests/transcripts" / story))
    environment = dict(os.environ, ONCEWARD=str(copy.out / "onceward"))
    environment.pop("ONCEWARD_MORE", None)  # what every test run does must find them, not its long form
    start = time.monotonic()
    how = ""
    for options in check.slices or ([],):
        # What a crash leaves behind goes with the folder; in memory, for nobody cuts the power here. transcripts take a
        # TMPDIR of 30 characters.
        with tempfile.TemporaryDirectory(prefix="ow-bug-", dir=MEMORY) as folder:
            code, text = call([*command, *options], folder, check.seconds, dict(environment, TMPDIR=folder))
        if code is None:
            how = f"hangs for {check.seconds} s"
        elif code != 0:
            how = failures(text) or (f"signal {-code}" if code < 0 else (text.strip().splitlines() or ["?"])[-1][:60])
        if how:
            break
    return how, time.monotonic() - start


def look_fast(mutant, copy, checks):
    """Until the first finds it: those that should, a single transcript first, then the others in the order of their cost."""
    by_name = {each.name: each for each in [*checks, *DEAR_CHECKS]}
    wanted = [tuple(each.split("/")) if "/" in each else (each, "") for each in mutant.checks]
    wanted.sort(key=lambda each: each[1] == "")
    for name, story in [*wanted, *((each.name, "") for each in checks)]:
        if name in by_name:
            mutant.found[name], mutant.seconds[name] = run_check(copy, by_name[name], story)
            if mutant.found[name]:
                return


def examine(mutant, copies, checks, fast):
    copy = copies.get()
    try:
        start = time.monotonic()
        text = copy.plant(mutant)
        if text:
            mutant.trouble = "does not apply: " + text.strip()
            return mutant
        code, text = copy.build()
        mutant.build_s = time.monotonic() - start
        if code != 0:
            mutant.trouble = "does not build: " + text[-1500:]
            return mutant
        if fast:
            look_fast(mutant, copy, checks)
            return mutant
        for check in checks:
            mutant.found[check.name], mutant.seconds[check.name] = run_check(copy, check)
        for check in DEAR_CHECKS:
            if check.name in mutant.checks or not any(mutant.found.values()):
                mutant.found[check.name], mutant.seconds[check.name] = run_check(copy, check)
        return mutant
    finally:
        copy.heal()
        copies.put(copy)


def show(mutant, checks):
    if mutant.trouble:
        print(f"{mutant.name:27} {mutant.trouble}", flush=True)
        return False
    cells = ""
    for name in [each.name for each in [*checks, *DEAR_CHECKS]]:
        how = mutant.found.get(name)
        cell = "" if how is None else f"{mutant.seconds[name]:5.1f} {'found' if how else '  -'}"
        cells += f" {cell:12}"
    by = [name for name, how in mutant.found.items() if how]
    first = next((f"{name} ({mutant.found[name]})" for name in by), "NOBODY")
    should = [each.split("/")[0] for each in mutant.checks]
    missed = [each for each in should if each not in by and each in mutant.found]
    print(f"{mutant.name:27} {mutant.build_s:5.1f}{cells}  {first}"
          + (f"  NOT by {', '.join(missed)}, which should" if missed else ""), flush=True)
    return bool(by) and not missed


def prepare(jobs, checks):
    """The copies of the tree, built."""
    targets = [*(pathlib.Path(each.command[0]).name for each in checks), "onceward"]
    made = [Copy(number, targets) for number in range(jobs)]
    for copy in made:
        copy.refresh()
        copy.jobs = os.cpu_count() or 1
        code, text = copy.build()
        if code != 0:
            sys.exit("the tree itself does not build:\n" + text[-3000:])
        copy.jobs = 1
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--fast", action="store_true", help="until the first check finds it; no Kafka")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--without", nargs="+", default=[], metavar="CHECK")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    chosen = parser.parse_args()
    paths = sorted(each for each in HERE.glob("*.patch") if not chosen.only or each.stem in chosen.only)
    mutants = [read_mutant(path) for path in paths]
    if len(mutants) < max(1, len(chosen.only)):
        sys.exit("no such bug: " + " ".join(chosen.only))
    start = time.monotonic()
    checks = [each for each in CHECKS if each.name not in chosen.without]
    made = prepare(chosen.jobs, checks)
    if not chosen.fast:
        subprocess.run(["/usr/bin/python3", "-B", ROOT / "tests/broker/kafka.py", "fetch"], check=True)
    print(f"built in {time.monotonic() - start:.0f} s; the tree as it is:", flush=True)
    for check in checks:
        how, seconds = run_check(made[0], check)
        print(f"  {check.name:12} {seconds:6.1f} s  {how or 'passes'}", flush=True)
        if how:
            sys.exit("a check that fails without a bug finds none")
    columns = "".join(f" {each.name:12}" for each in [*checks, *DEAR_CHECKS])
    print(f"\n{'bug':27} {'build':>5}{columns}  found first by (tests that fail)")
    copies = queue.Queue()
    for copy in made:
        copies.put(copy)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(len(made)) as pool:
        for done in [pool.submit(examine, mutant, copies, checks, chosen.fast) for mutant in mutants]:
            failed += not show(done.result(), checks)
    print(f"\nin {time.monotonic() - start:.0f} s")
    print(f"{len(mutants) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
