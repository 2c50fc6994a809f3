#!/usr/bin/python3
"""The JSON Schemas and manual pages are what the tables say, and the schemas accept what the C code accepts.

1. The committed files equal the output of `onceward schema`.
2. For each table a document that has every key is changed in one place at a time: another type, a value out of range, a word that
   is none, an unknown key, a key taken away, a name that is not allowed. Of each, `onceward schema config|machine FILE...` (the
   table, as the C code reads files by it) and the schema must say the same.

    tests/schema/test_schemas.py [--write]      --write: write the committed files anew
"""

import copy
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import jsonschema

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ONCEWARD", str(ROOT / "build/release/onceward"))
GENERATED = {
    "config": "schemas/onceward.schema.json",
    "machine": "schemas/machine.schema.json",
    "onceward.1": "deploy/onceward.1",
    "onceward.yaml.5": "deploy/onceward.yaml.5",
    "onceward-machine.5": "deploy/onceward-machine.5",
}

CONFIG = {
    "store": {"path": "orders.db", "hash_key_file": "key"},
    "kafka": {"group": "g", "start": "earliest", "skips": "refuse",
              "properties": {"bootstrap.servers": "127.0.0.1:9092", "queued.min.messages": 1000, "sasl.password_file": "pw"}},
    "machines": ["orders.yaml"],
    "admin": {"listen": "127.0.0.1:8470"},
    "limits": {"record_bytes": 1048576, "batch_rows": 4096, "batch_bytes": 8388608, "batch_ms": 250, "decode_threads": 2, "wal_bytes": 1073741824},
    "claims": {"skew": "24h", "backups": "30d", "strict": False},
    "log": {"level": "info"},
}

MACHINE = {
    "machine": "m", "version": 1, "topics": ["t"],
    "message": {"format": "cloudevents", "entity": "/data/id"},
    "claim": {"space": "s", "key": ["source", "id", "/data/x", "header:h", "key"], "fingerprint": ["type", "/data"],
              "ignore": ["/data/retry"], "retention": "45d"},
    "entity": {"table": "things", "key": "thing_id",
               "columns": {"a": {"type": "integer", "min": 1, "max": 9, "default": 2, "index": True},
                           "b": {"type": "text", "length": 3, "default": "xxx", "index": False},
                           "c": "text", "d": {"type": "text", "min_length": 1, "max_length": 4}}},
    "records": {"r": {"key": "r_id", "columns": {"x": "integer", "y": {"type": "text"}}}},
    "states": {"s1": {}, "s2": {}},
    "events": {
        "made": [{"from": "none", "to": "s1", "require": [{"left": "/data/a", "equals": 1}, {"left": {"sum": ["a", 1, {"const": 2}]}, "at_most": 7},
                                                          {"left": "c", "equals": {"const": "x"}}, {"left": "/data/n", "at_least": 1}],
                  "set": {"b": "/data/b"}, "add": {"a": 1}, "record": {"r": {"r_id": "/data/r", "x": 1, "y": {"const": "y"}}}}],
        "moved": {"claim": {"key": ["/data/id"]}, "transitions": [{"from": ["s1"], "to": "s2"}]},
        "back": [{"from": "s2", "to": "s1"}, {"from": "s1", "to": "same"}],
    },
    "park": {"deadline": "72h", "per_entity": 32},
    "unknown": "quarantine", "tombstones": "filter", "filter": ["noise"],
    "overrides": [{"state": "s2", "event": "moved", "do": "stale"}],
}
EXPLICIT = {**MACHINE, "message": {"format": "explicit", "type": "header:type", "id": "/id", "source": "/source", "time": "/time", "entity": "key"}}

# Texts that some form or other accepts or refuses.
TEXTS = ["", "x", "X", "x-y", "x.y", "1x", "_x", "ow_x", "sqlite_x", "state", "seq", "none", "same", "a b", "é", "/a/b", "/a/~1b", "/a~2",
         "a/b", "header:", "header:x", "key", "subject", "type", "entity", "earliest", "2026-11-22T10:00:00Z", "2026-11-22", "1h", "0h",
         "00s", "10", "1 h", "1w", "-1s", ":80", "h:80", "h:", "h:123456", "h:x", "cloudevents", "explicit", "integer", "text", "x" * 63, "x" * 64,
         "x" * 256, ".", "..", "honour", "filter", "park", "apply", "debug"]
OTHER_TYPES = [None, True, 7, 1.5, "text", [], {}, [1], {"x": 1}]
NAMES = ["", "x", "X", "1x", "ow_x", "version", "none", "x y", "x.y", "/x", "group.id", "group.id_file", "enable.auto.commit",
         "enable.auto.x", "auto.offset.reset", "group.protocol", "partition.assignment.strategy", "bootstrap.servers", "x" * 64]
INTEGERS = [0, -1, 1, 2, 9, 10, 64, 65, 1023, 1024, 65535, 65536, 100000, 100001, 2**30, 2**30 + 1, 2**53, 2**53 + 1, -(2**53), -(2**53) - 1]


def run(*arguments):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True)


def places(node, path=()):
    """Every place of a document, the document itself first."""
    yield path, node
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from places(child, path + (key,))


def changed(document, path, value):
    if not path:
        return value
    document = copy.deepcopy(document)
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return document


def without(document, path):
    document = copy.deepcopy(document)
    node = document
    for key in path[:-1]:
        node = node[key]
    del node[path[-1]]
    return document


def variants(document):
    yield "as it is", document
    for path, node in places(document):
        name = "/".join(map(str, path)) or "(root)"
        if path:
            values = list(OTHER_TYPES)
            values += TEXTS if isinstance(node, str) else INTEGERS if isinstance(node, int) and not isinstance(node, bool) else []
            for value in values:
                yield f"{name} = {value!r}", changed(document, path, value)
            yield f"without {name}", without(document, path)
        if isinstance(node, dict):
            for key in NAMES:
                if key not in node:
                    some = copy.deepcopy(next(iter(node.values()), {}))
                    yield f"{name} + {key!r}", changed(document, path, {**node, key: some})
        if isinstance(node, list) and node:
            yield f"{name} + 300 entries", changed(document, path, node + [copy.deepcopy(node[0])] * 300)


def check_generated(write):
    bad = 0
    for what, path in GENERATED.items():
        made = run("schema", what)
        if made.returncode != 0:
            print(f"FAILED onceward schema {what}: {made.stderr}")
            bad += 1
        elif write:
            (ROOT / path).write_text(made.stdout)
        elif not (ROOT / path).exists() or (ROOT / path).read_text() != made.stdout:
            print(f"FAILED {path} is not what `onceward schema {what}` prints: tests/schema/test_schemas.py --write")
            bad += 1
    return bad


def check_agreement(what, documents, folder):
    schema = json.loads((ROOT / GENERATED[what]).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    names = []
    files = []
    expected = []
    for document in documents:
        for name, variant in variants(document):
            if not isinstance(variant, dict):
                continue
            path = folder / f"{what}{len(files)}.json"
            path.write_text(json.dumps(variant, ensure_ascii=False))
            names.append(name)
            files.append(path)
            expected.append(validator.is_valid(variant))
    found = {}
    for i in range(0, len(files), 500):
        for line in run("schema", what, *map(str, files[i:i + 500])).stdout.splitlines():
            verdict, _, file = line.partition(" ")
            found[file] = verdict == "fits"
    bad = 0
    for name, file, fits in zip(names, files, expected):
        if found.get(str(file)) is not fits:
            bad += 1
            print(f"FAILED {what}, {name}: the schema {'accepts' if fits else 'refuses'} it, the C code does not agree")
    print(f"{what}: {len(files)} documents, {sum(expected)} accepted, {bad} disagreements")
    return bad + (0 if 100 < sum(expected) < len(files) else 1)


def check_whole(folder):
    """The documents that everything is derived from are right as a whole: what is changed in them is all that is wrong."""
    bad = 0
    for number, document in enumerate((MACHINE, EXPLICIT)):
        path = folder / f"whole{number}.json"
        path.write_text(json.dumps(document))
        shown = run("machine", "show", str(path))
        if shown.returncode != 0:
            print(f"FAILED {path.name}: {shown.stderr}")
            bad += 1
    return bad


def check_shipped():
    """The files that are shipped fit the schemas."""
    import yaml
    bad = 0
    for what, path in [("machine", "schemas/orders.yaml"), ("machine", "tests/domain/loans.yaml"), ("config", "deploy/onceward.yaml")]:
        schema = json.loads((ROOT / GENERATED[what]).read_text())
        for error in jsonschema.Draft202012Validator(schema).iter_errors(yaml.safe_load((ROOT / path).read_text())):
            print(f"FAILED {path}: {error.message}")
            bad += 1
    return bad + check_sample(yaml)


def keys(schema, before=""):
    """The dotted names of all keys of a configuration."""
    for name, inner in schema.get("properties", {}).items():
        yield before + name
        yield from keys(inner, before + name + ".")


def check_sample(yaml):
    """The sample configuration has every key, so that nobody must look for one; hash_key_file may stand in a comment."""
    text = (ROOT / "deploy/onceward.yaml").read_text()
    sample, bad = yaml.safe_load(text), 0
    for key in keys(json.loads((ROOT / GENERATED["config"]).read_text())):
        at = sample
        for part in key.split("."):
            at = at.get(part) if isinstance(at, dict) else None
        if at is None and f"# {key.rsplit('.')[-1]}:" not in text:
            print(f"FAILED deploy/onceward.yaml: {key} is not there")
            bad += 1
    return bad


def main():
    bad = check_generated("--write" in sys.argv)
    with tempfile.TemporaryDirectory() as folder:
        bad += check_whole(pathlib.Path(folder))
        bad += check_agreement("config", [CONFIG], pathlib.Path(folder))
        bad += check_agreement("machine", [MACHINE, EXPLICIT], pathlib.Path(folder))
    bad += check_shipped()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
