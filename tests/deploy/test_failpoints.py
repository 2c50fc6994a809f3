#!/usr/bin/python3
"""The shipped binary has no failpoints (lib/base/failpoint.h): no name of one, no function, and the environment arms nothing. Each that is
declared stands in the code once."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ["ONCEWARD"])
NAME = re.compile(r'^    X\((\w+), "([a-z.]+)", "', re.MULTILINE)


def traces(binary, names):
    """What a binary holds of failpoints."""
    data = binary.read_bytes()
    found = [name for name in names if b"\0%s\0" % name.encode() in data]
    return found + [word for word in ("ONCEWARD_FAILPOINT", "ow_failpoint") if word.encode() in data]


def problems():
    points = NAME.findall((ROOT / "lib/base/failpoint.h").read_text("utf-8"))
    names = [name for _, name in points]
    if len(names) < 20:
        yield f"only {len(names)} failpoints are declared, or they are not found"
    code = "".join(path.read_text("utf-8") for folder in ("lib", "cmd") for path in (ROOT / folder).glob("**/*.c"))
    for constant, name in points:
        places = code.count(f"OW_FAILPOINT({constant})")
        if places != 1:
            yield f"{name} stands in the code {places} times"
    for trace in traces(BINARY, names):
        yield f"{BINARY.name} holds '{trace}'"
    armed = subprocess.run([BINARY, "version"], env={**os.environ, "ONCEWARD_FAILPOINT": "no.such:1"}, capture_output=True, timeout=60, check=False)
    if armed.returncode != 0:
        yield f"the environment does something: {armed}"
    dev = ROOT / "build/dev/onceward"
    if not dev.exists():
        print("note: build/dev is not there, so it is not shown that traces are found in a build that has failpoints")
    elif len(traces(dev, names)) != len(names) + 2:
        yield f"of {dev} only {traces(dev, names)} were found"


found = list(problems())
print("\n".join(found) if found else "the failpoints are declared and placed; the shipped binary has none")
sys.exit(1 if found else 0)
