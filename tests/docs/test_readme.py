#!/usr/bin/python3
"""The commands of README.md and CONTRIBUTING.md do what they say.

Each ```sh block of README.md is run as it stands, with `bash -e`, in a folder that looks like the tree but keeps what the commands leave
behind. A block marked ```sh kafka gets a real broker, whose address takes the place of 127.0.0.1:9092. Other blocks are not run.
`./dev VERB` is not run (it would start this test again): the verb and its options must be in its help.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BLOCK = re.compile(r"^```sh( kafka)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DEV = re.compile(r"\./dev(?: +(\w+))?((?: +--[\w-]+)*)")
SECONDS_MAX = 300


def check_dev_calls(name):
    """Complaints about each `./dev VERB --option` of a text."""
    for verb, options in DEV.findall((ROOT / name).read_text("utf-8")):
        if not verb:
            continue
        answer = subprocess.run(["./dev", "help", verb], cwd=ROOT, capture_output=True, text=True)
        if answer.returncode != 0:
            yield f"{name}: ./dev has no verb {verb}"
        known = answer.stdout + "--no-install"
        for option in options.split():
            if option not in known:
                yield f"{name}: ./dev help {verb} does not know {option}"


def run_block(script, bootstrap):
    script = DEV.sub(":", script)
    if bootstrap:
        script = script.replace("127.0.0.1:9092", bootstrap)
    with tempfile.TemporaryDirectory(prefix="onceward-readme-") as folder:
        for entry in ROOT.iterdir():
            os.symlink(entry, pathlib.Path(folder) / entry.name)
        result = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS_MAX)
    print(f"{script}{result.stdout}", flush=True)
    return result.returncode


def main():
    complaints = list(check_dev_calls("README.md")) + list(check_dev_calls("CONTRIBUTING.md"))
    blocks = BLOCK.findall((ROOT / "README.md").read_text("utf-8"))
    if not blocks:
        complaints.append("README.md has no ```sh block")
    node = None
    try:
        for wants_kafka, script in blocks:
            if wants_kafka and node is None:
                sys.path.insert(0, str(ROOT / "tests/broker"))
                from kafka import Kafka
                node = Kafka().start()
                node.create_topic("order-events", 4)
                node.create_topic("payment-events", 4)
            code = run_block(script, node.bootstrap if wants_kafka else None)
            if code != 0:
                complaints.append(f"README.md: exit status {code} of:\n{script}")
    finally:
        if node is not None:
            node.stop()
    print("\n".join(complaints) or f"{len(blocks)} blocks")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
