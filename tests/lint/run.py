#!/usr/bin/python3
"""Checks of the tree itself. Each check first has to find the violations planted for it, so that none can pass by not looking.

A check is a module check_*.py with check(root) -> complaints; notes(root) -> remarks that fail nothing (optional);
PLANTS [(files, text of the complaint)], NOTED likewise for notes, CLEAN [files] without complaint, prepare(root, files) (optional).
"""

import importlib
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def planted(module, sources, function):
    """What the check says of a tree that holds just these files."""
    with tempfile.TemporaryDirectory(prefix="onceward-lint-") as folder:
        root = pathlib.Path(folder)
        for name, text in sources.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        if hasattr(module, "prepare"):
            module.prepare(root, sources)
        return list(function(root))


def self_test(module):
    """Complaints about the check itself."""
    for function, plants in ((module.check, module.PLANTS), (getattr(module, "notes", None), getattr(module, "NOTED", []))):
        for sources, expected in plants:
            found = planted(module, sources, function)
            if not any(expected in complaint for complaint in found):
                yield f"{module.__name__} does not find what was planted: {expected!r}, but says {found}"
    for sources in module.CLEAN:
        for complaint in planted(module, sources, module.check):
            yield f"{module.__name__} complains without a reason: {complaint}"


def main():
    complaints = 0
    for path in sorted(HERE.glob("check_*.py")):
        module = importlib.import_module(path.stem)
        found = list(self_test(module)) + list(module.check(ROOT))
        for complaint in found:
            print(complaint)
        for remark in getattr(module, "notes", lambda root: [])(ROOT):
            print(f"note: {remark}")
        print(f"{path.stem}: {len(module.PLANTS) + len(getattr(module, 'NOTED', []))} planted, {len(found)} complaints")
        complaints += len(found)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
