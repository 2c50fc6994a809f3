#!/usr/bin/python3
"""The systemd unit stays hardened, by itself and as a standby: its exposure, as systemd rates it offline, is at most 1.0 of 10."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

if shutil.which("systemd-analyze") is None:
    print("no systemd-analyze here")
    sys.exit(77)
unit = (ROOT / "deploy/onceward.service").read_text("utf-8")
standby = unit + (ROOT / "deploy/onceward-standby.conf").read_text("utf-8")
failed = 0
with tempfile.TemporaryDirectory(prefix="onceward-test-") as folder:
    for name, text in (("onceward.service", unit), ("onceward-standby.service", standby)):
        path = pathlib.Path(folder) / name
        path.write_text(text, "utf-8")
        rating = ["systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=10", path]
        failed += subprocess.run(rating, check=False).returncode != 0
sys.exit(1 if failed else 0)
