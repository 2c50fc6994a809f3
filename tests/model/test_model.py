#!/usr/bin/python3
"""Has Spin prove the promises of protocol.pml, and find what each negative model breaks.

A positive run must walk through all states without an error, with nothing cut short (depth, memory), and every
statement of the model must be reached by one of them. A negative run must fail, and of the promise that is expected.
No hashing of states away: what is reported as stored was visited, all of it.
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

MODEL = pathlib.Path(__file__).resolve().with_name("protocol.pml")
DEPTH = 10000
SECONDS_MAX = 300  # a run; ten times that for tests/long/model
MEMORY_MB = 4000

SAFETY = ["-DSAFETY", "-DNOCLAIM"]
PROMISE = r"assertion violated "
CYCLE = "acceptance cycle"

# name, spin -D, liveness?, the error expected (None: it holds)
RUNS = [
    ("3 faults", ["FAULTS=3"], False, None),
    ("3 faults, liveness", ["FAULTS=3"], True, None),
    ("1 fault, a lock that does not hold", ["FAULTS=1", "LOCKS=1"], False, None),
    ("a lock that does not hold, liveness", ["FAULTS=0", "LOCKS=1"], True, None),
    ("not: OFFSET_FIRST", ["FAULTS=3", "OFFSET_FIRST"], False, PROMISE + "v7_"),
    ("not: CLAIM_APART", ["FAULTS=3", "CLAIM_APART"], False, PROMISE + "v3_below"),
    ("not: POSITION_APART", ["FAULTS=3", "POSITION_APART"], False, PROMISE + "v1_"),
    ("not: NO_CLAIM", ["FAULTS=3", "NO_CLAIM"], False, PROMISE + "v2_"),
    ("not: EPOCH_NOT_ASSERTED", ["FAULTS=1", "LOCKS=1", "EPOCH_NOT_ASSERTED"], False, PROMISE + "v16_"),
    ("not: GROUP_IS_TRUTH", ["FAULTS=3", "GROUP_IS_TRUTH"], False, PROMISE + "v18_back"),
    ("not: EARLY_COMMIT", ["FAULTS=3", "EARLY_COMMIT"], False, PROMISE + "v7_"),
    ("not: NO_RESEND, liveness", ["FAULTS=1", "NO_RESEND"], True, CYCLE),
    ("not: REWIND_NOT_SEEN", ["FAULTS=3", "REWIND_NOT_SEEN"], False, PROMISE + "v18_once"),
    ("not: TAKEN_IS_ENOUGH", ["FAULTS=3", "TAKEN_IS_ENOUGH"], False, PROMISE + "v18_once"),
    ("not: OLD_ANSWERS", ["FAULTS=3", "OLD_ANSWERS"], False, PROMISE + "v18_once"),
]

# More of everything: minutes and gigabytes, for tests/long/model.
LONG_RUNS = [
    ("4 faults", ["FAULTS=4"], False, None),
    ("1 fault, a lock that does not hold, liveness", ["FAULTS=1", "LOCKS=1"], True, None),
    ("3 records, 3 faults", ["N=3", "FAULTS=3"], False, None),
    ("3 records, 2 faults, liveness", ["N=3", "FAULTS=2"], True, None),
]


LAYER = r"\b((?:base|model|store|engine|kafka)/\w+\.[ch])"


def check_references():
    """The functions that the model says it models are there, in the files that it names."""
    text = re.sub(r"\n */?\*+ *", " ", MODEL.read_text())
    library = MODEL.parents[2] / "lib"
    missing = []
    named = re.findall(LAYER + r" ((?:struct )?\w+_\w+)((?:, \w+_\w+)*)", text)
    for file, first, more in named:
        path = library / file
        source = path.read_text() if path.is_file() else ""
        functions = [first, *filter(None, more.split(", "))]
        missing += [f"{file} {each}" for each in functions if not re.search(rf"\b{each}\b", source)]
    if len(named) < 20:
        missing.append(f"only {len(named)} references were found")
    return missing


class Failure(Exception):
    """A run that did not end as it must."""


def call(arguments, folder, seconds):
    result = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)
    return result.returncode, result.stdout + result.stderr


def build(folder, definitions, liveness, quick):
    code, text = call(["spin", "-a", *("-D" + each for each in definitions), str(MODEL)], folder, 60)
    if code != 0 or "Error" in text:
        raise Failure("spin: " + text)
    options = ["-DCOLLAPSE", f"-DMEMLIM={MEMORY_MB}"]
    options += ["-O0" if quick else "-O2"] + ([] if liveness else SAFETY)
    code, text = call(["gcc", "-w", *options, "-o", "pan", "pan.c"], folder, 120)
    if code != 0:
        raise Failure("gcc: " + text)


def unreached(text, liveness):
    """Statements that were not reached. The ends of loops that never end are not meant to be."""
    places = set()
    where = None
    for line in text.splitlines():
        head = re.match(r"unreached in (\w+)(?: (\w+))?", line)
        if head:
            where = head.group(0)
        elif where and "state " in line and '"-end-"' not in line and (liveness or "claim" not in where):
            places.add(where.removeprefix("unreached in ") + ": " + line.strip().split("/")[-1])
    return places


def figure(pattern, text):
    found = re.search(pattern, text)
    return float(found.group(1)) if found else 0.0


def check_held(text):
    if not re.search(r"errors: 0\b", text):
        raise Failure("it does not hold")
    # All of these mean that states were left out.
    for bad in ("Search not completed", "max search depth too small", "out of memory", "memory limit", "VECTORSZ",
                "aborted"):
        if bad in text:
            raise Failure("not exhaustive: " + bad)


def run(name, definitions, liveness, expected, seconds_max):
    with tempfile.TemporaryDirectory(prefix="onceward-model-") as folder:
        build(folder, definitions, liveness, expected is not None)
        start = time.monotonic()
        try:
            _, text = call(["./pan", f"-m{DEPTH}", *(["-a"] if liveness else [])], folder, seconds_max)
        except subprocess.TimeoutExpired as late:
            raise Failure(f"it took more than {seconds_max} s") from late
        seconds = time.monotonic() - start
        if expected is None:
            try:
                check_held(text)
            except Failure as failure:
                trail = call(["spin", "-t", "-p", *("-D" + each for each in definitions), str(MODEL)], folder, 60)[1]
                raise Failure(f"{failure}\n{text}\n{trail[-6000:]}") from failure
        elif not re.search(expected, text):
            raise Failure(f"it should fail with '{expected}':\n{text}")
    error = re.search(r"pan:1: (.*?)(?: \(at depth \d+\))?$", text, re.M)
    return {
        "name": name,
        "states": int(figure(r"(\d+) states, stored", text)),
        "depth": int(figure(r"depth reached (\d+)", text)),
        "megabytes": figure(r"([\d.]+)\ttotal actual memory usage", text),
        "seconds": seconds,
        "found": error.group(1) if error else "holds",
        "unreached": unreached(text, liveness) if expected is None and not liveness else None,
        "claim": unreached(text, True) if expected is None and liveness else None,
    }


def check_reached(results, kind):
    """Every statement is reached by one run at least: else the model has a part that says nothing."""
    sets = [each[kind] for each in results if each[kind] is not None]
    return sorted(set.intersection(*sets)) if sets else []


def main(runs, all_reached=True):
    """all_reached: the runs are all of `./dev test`, so they reach every statement; else the long ones."""
    references = check_references()
    for each in references:
        print("FAILED: lib/ has no", each)
    print(subprocess.run(["spin", "-V"], capture_output=True, text=True, check=True).stdout.strip())
    print(f"{'run':45} {'states':>9} {'depth':>6} {'MB':>6} {'s':>6}  found")
    results, failed = [], len(references)
    with concurrent.futures.ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        waiting = [pool.submit(run, *each, SECONDS_MAX if all_reached else 10 * SECONDS_MAX) for each in runs]
        for each, future in zip(runs, waiting):
            try:
                result = future.result()
            except Failure as failure:
                failed += 1
                print(f"{each[0]:45} FAILED: {failure}", flush=True)
                continue
            results.append(result)
            print(f"{result['name']:45} {result['states']:9} {result['depth']:6} {result['megabytes']:6.0f} "
                  f"{result['seconds']:6.1f}  {result['found']}", flush=True)
    if all_reached and failed == 0:
        for kind in ("unreached", "claim"):
            for place in check_reached(results, kind):
                failed += 1
                print("FAILED: no run reaches", place)
    print(f"{len(runs)} models, {sum(each['states'] for each in results)} states")
    print(f"{len(runs) - min(failed, len(runs))} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(RUNS))
