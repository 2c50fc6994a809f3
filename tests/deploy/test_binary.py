#!/usr/bin/python3
"""The shipped binary is hardened: position independent, read-only relocations, no executable stack, canaries, fortified calls."""

import os
import subprocess
import sys

BINARY = os.environ["ONCEWARD"]


def readelf(option):
    return subprocess.run(["readelf", "--wide", option, BINARY], check=True, capture_output=True, text=True).stdout


dynamic, headers, symbols = readelf("--dynamic"), readelf("--program-headers"), readelf("--dyn-syms")
stack = [line.split() for line in headers.splitlines() if "GNU_STACK" in line]
wanted = {
    "position independent": "PIE" in dynamic,
    "relocations are read-only": "GNU_RELRO" in headers,
    "relocations are done at start": "NOW" in dynamic,
    "the stack is not executable": len(stack) == 1 and stack[0][-2] == "RW",
    "stack canaries": "__stack_chk_fail" in symbols,
    "fortified calls": "_chk@" in symbols.replace("__stack_chk_fail@", ""),
}
for name, held in wanted.items():
    print(f"{'ok    ' if held else 'FAILED'} {name}")
sys.exit(0 if all(wanted.values()) else 1)
