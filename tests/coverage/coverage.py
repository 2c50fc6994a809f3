#!/usr/bin/python3
"""How much of lib/model and lib/engine the tests reach: branches, counted by gcov, collected by gcovr.

    tests/coverage/coverage.py              builds build/coverage, runs the C tests, prints a table, fails below the floor
    tests/coverage/coverage.py -v           and each branch that no test took
    tests/coverage/coverage.py --no-run     counts what was run before
    tests/coverage/coverage.py --raise      writes floor.txt where a layer got better

Fails (exit 1) where a layer is below BRANCHES_MIN, or more than DROP_MAX below what floor.txt says it had reached.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOOR = pathlib.Path(__file__).with_name("floor.txt")
LAYERS = ("model", "engine")
LABELS = ("unit", "transcripts")  # of ctest; see 4 below
BRANCHES_MIN = 95.0  # percent
DROP_MAX = 0.1  # percent: a reached branch that a change of the code takes away; not the luck of a run, see 5 below

# What is not counted, all of it here.
#
# 1. The branch by which a contract breaks: it aborts, so whoever reaches it has found a bug of ours. (gcc counts the whole
#    macro, however many lines its condition has, at the line where the macro's name stands.)
CONTRACT = r".*\bOW_(REQUIRE|ENSURE|INVARIANT|IMPOSSIBLE)\("
# 2. For the same reason the way of a switch to a case that is OW_IMPOSSIBLE, and to its implicit default where it has no
#    `default:`: -Wswitch-enum makes such a switch name every value of its enum, so that no value is left. See `dead_ways`.
# 3. json_object_foreach asks besides whether a member has a value; jansson has no member without one.
FOREACH = "json_object_foreach("
#
# 4. What only the simulation reaches: each of its runs is a fork that ends by _exit, which writes no counts, and what a seed
#    happens to reach is no promise.
# 5. Nothing for races: a run reaches the same branches whatever else the machine does. What threads reach by luck (a full ring,
#    a drain in vain, a batch before an assignment, a slow one) is reached by known steps besides, see
#    tests/unit/engine/crank_fixture.h. Where a run comes out lower than another, a test of that kind is missing.
#
# Out of memory needs no exception: it aborts in lib/base, and no caller has a branch for it.


def main():
    arguments = parse()
    build = arguments.build
    if arguments.run:
        run_tests(build)
    files = [File(entry) for entry in collect(build) if (ROOT / entry["file"]).exists()]  # an old build knows old names
    if not files:
        sys.exit(f"coverage: nothing was counted in {build}")
    report(files)
    if arguments.verbose:
        for file in files:
            file.print_missed()
    reached = {layer: percent([file for file in files if file.layer == layer]) for layer in LAYERS}
    sys.exit(0 if gate(reached, arguments.raise_floor) else 1)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "coverage", help="folder to build in")
    parser.add_argument("--no-run", dest="run", action="store_false", help="count what was run before")
    parser.add_argument("--raise", dest="raise_floor", action="store_true", help="write floor.txt where a layer got better")
    parser.add_argument("-v", "--verbose", action="store_true", help="print each branch that no test took")
    return parser.parse_args()


def run_tests(build):
    """Configures, builds, forgets what was counted before, and runs the C tests of LABELS."""
    must(["cmake", "--preset", "coverage", "-B", build, "-S", ROOT])
    must(["cmake", "--build", build])
    for counts in build.rglob("*.gcda"):
        counts.unlink()
    for label in LABELS:
        ctest = ["ctest", "--test-dir", build, "-L", f"^{label}$", "-E", "kafka"]  # which reaches neither layer's own code
        listed = subprocess.run(ctest + ["-N"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
        if "Total Tests: 0" in listed.stdout:
            sys.exit(f"coverage: no test has the label {label}")
        more = {"ONCEWARD_MORE": "1"} if label == "unit" else {}  # each place of the fault sweeps, and not some
        must(ctest + ["--output-on-failure"], more)


def must(command, more=None):
    """Runs a command in the tree; what it prints is shown only where it fails. more: environment variables."""
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **(more or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\ncoverage: {' '.join(map(str, command))} failed with {done.returncode}")


def collect(build):
    """gcovr's entries, one a source file."""
    if shutil.which("gcovr") is None:
        sys.exit("coverage: gcovr is not installed (apt-get install gcovr)")
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "coverage.json"
        command = ["gcovr", "--root", ROOT, "--json", out, "-j", "2", "--exclude-branches-by-pattern", CONTRACT]
        for layer in LAYERS:
            command += ["--filter", f"{ROOT}/lib/{layer}/"]
        must(command + [build / "CMakeFiles" / f"ow_{layer}.dir" for layer in LAYERS])
        return json.loads(out.read_text("utf-8"))["files"]


class File:
    """A source file: its lines, and its branches as (line number, times taken)."""

    def __init__(self, entry):
        self.path = entry["file"]
        self.layer = self.path.split("/")[1]
        self.source = (ROOT / self.path).read_text("utf-8").splitlines()
        lines = [line for line in entry["lines"] if not line["gcovr/noncode"]]
        self.lines = [line["count"] for line in lines]
        self.branches = []
        for line in lines:
            taken = [branch["count"] for branch in line["branches"]]
            for _ in range(min(dead_ways(self.source, line["line_number"]), taken.count(0))):
                taken.remove(0)
            self.branches += [(line["line_number"], count) for count in taken]

    def missed(self):
        return [line for line, count in self.branches if count == 0]

    def print_missed(self):
        for line in sorted(set(self.missed())):
            print(f"{self.path}:{line}: {self.missed().count(line)} not taken: {self.source[line - 1].strip()}")


def dead_ways(source, number):
    """How many of the branches of a line cannot be taken: see 2 and 3 above."""
    line = source[number - 1]
    if FOREACH in line:
        return 1
    switch = re.match(r"( *)switch \(", line)
    if switch is None:
        return 0
    end = next(i for i in range(number, len(source)) if source[i].startswith(switch.group(1) + "}"))  # clang-format's work
    body = [text.strip() for text in source[number:end]]
    impossible = sum(text.startswith("OW_IMPOSSIBLE(") and before.endswith(":") for before, text in zip(body, body[1:]))
    return impossible + ("default:" not in body)


def percent(files):
    branches = [count for file in files for _, count in file.branches]
    return 100.0 * sum(count > 0 for count in branches) / max(len(branches), 1)


def report(files):
    print(f"{'':<36}{'lines':>17}{'branches':>19}{'missed':>8}")
    for layer in LAYERS:
        of_layer = [file for file in files if file.layer == layer]
        for file in sorted(of_layer, key=lambda file: (percent([file]) if file.branches else 100.0, file.path)):
            print_row(file.path, [file])
        print_row(f"lib/{layer}, all", of_layer)
        print()


def print_row(name, files):
    lines = [count for file in files for count in file.lines]
    branches = [count for file in files for _, count in file.branches]
    covered = sum(count > 0 for count in lines)
    taken = sum(count > 0 for count in branches)
    print(f"{name:<36}{ratio(covered, len(lines))}  {ratio(taken, len(branches))}{len(branches) - taken:>8}")


def ratio(part, whole):
    counted = f"{part}/{whole}"
    return f"{100.0 * part / max(whole, 1) if whole else 100.0:>6.1f} %{counted:>9}"


def gate(reached, raise_floor):
    """Is each layer above the minimum, and not below what it had?"""
    floor = {layer: float(value) for layer, value in (line.split() for line in FLOOR.read_text("utf-8").splitlines())}
    good = True
    for layer, value in reached.items():
        needed = max(BRANCHES_MIN, floor[layer] - DROP_MAX)
        verdict = "ok" if value >= needed else "TOO LOW"
        good = good and value >= needed
        print(f"lib/{layer}: {value:.2f} % of the branches, at least {needed:.2f} %: {verdict}")
    if raise_floor:
        FLOOR.write_text("".join(f"{layer} {max(floor[layer], int(value * 10) / 10):.1f}\n" for layer, value in reached.items()), "utf-8")
    return good


if __name__ == "__main__":
    main()
