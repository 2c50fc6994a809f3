#!/usr/bin/python3
"""`onceward machine prove` from outside: what it prints, its exit codes, and that it says the same each time."""

import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ONCEWARD", str(ROOT / "build/release/onceward"))
ORDERS = str(ROOT / "schemas/orders.yaml")
MACHINES = [ORDERS, str(ROOT / "tests/domain/loans.yaml"), *sorted(map(str, (ROOT / "tests/transcripts/machines").glob("*.yaml")))]
PROMISES = ["applied_once", "accounted", "path", "derived", "replay", "conflict", "wake", "agrees"]


def run(*arguments):
    return subprocess.run([BINARY, "machine", "prove", *arguments], capture_output=True, text=True, timeout=300)


def proof(*arguments):
    result = run("-o", "json", *arguments)
    assert result.returncode == 0, result
    return json.loads(result.stdout)


def every_machine_of_the_tree_keeps_its_promises():
    for file in MACHINES:
        one = proof("--length", "5", file)
        assert one["ok"] and one["counterexample"] is None and one["length"] == one["length_asked"] == 5, one
        assert [promise["name"] for promise in one["promises"]] == PROMISES, one["promises"]
        assert all(promise["ok"] and promise["checked"] > 0 for promise in one["promises"]), one["promises"]
        assert one["never_reached"] == [] and one["cells_played"] == one["cells"], (file, one["never_reached"])
        assert 0 < one["configurations"] < one["steps"] <= one["sequences"], one


def sequences_are_counted_as_one_counts_them_by_hand():
    """Three plain events: 3 first ones; then 3 new ones, and the first again, read again, and its id on other content."""
    doors = proof("--length", "2", MACHINES[2])
    assert doors["machine"] == "doors" and doors["sequences"] == 3 + 3 * 6 and doors["steps"] == 21, doors


def order_matters():
    """What the machine file says in a comment: after dispatch a cancellation is a return, which it does not model."""
    pairs = {tuple(pair["events"]): pair for pair in proof("--length", "4", ORDERS)["order_matters"]}
    pair = pairs["order.dispatched", "order.cancelled"]
    assert [line["event"] for line in pair["after"]] == ["order.created", "payment.succeeded"], pair
    assert [order["ends_with"] for order in pair["orders"]] == ["state dispatched", "state cancelled"], pair
    assert pair["orders"][0]["events"][1]["fate"] == "quarantined (illegal)", pair
    assert ("order.created", "order.dispatched") not in pairs, "what is too early waits: any order will do"


def for_people():
    result = run("--length", "4", ORDERS)
    assert result.returncode == 0 and result.stderr == "", result
    for text in ("orders, version 1", "all promises hold; 30 of 36 cells played", "payment.succeeded (/data/payment_id bbb)", "sequences of up to 4 events",
                 "holds  wake", "wakes 'payment.succeeded': applied", "6 of 36", "it needs at least 5 events"):
        assert text in result.stdout, (text, result.stdout)


BARE = """machine: bare
version: 1
topics: [t]
message: { format: cloudevents, entity: /data/e }
entity: { table: b, key: k, columns: { n: { type: integer, default: 0, max: 5 } } }
states: { a: {}, y: {}, z: {}, ghost: {} }
events:
  begin: [ { from: none, to: a } ]
  lift: [ { from: a, to: same, add: { n: /data/by } } ]
  done: [ { from: a, to: y, require: [ { left: { sum: [n, /data/by] }, at_most: 3 }, { left: n, at_least: 2 } ] } ]
  shut:
    claim: { key: [id] }
    transitions:
      - from: y
        to: z
        require:
          - { left: n, at_least: 1 }
          - { left: n, at_least: 6 }
"""


def cells_that_were_not_played():
    """Which of them the machine has no way to, and which refused what was tried, with the line that did. Exit code 0: no promise is broken."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "bare.yaml"
        path.write_text(BARE)
        one = proof(str(path))
        cells = {(cell["state"], cell["event"]): cell for cell in one["never_reached"]}
        assert one["cells"] == 20 and one["cells_played"] == 20 - len(cells) == 11, one["never_reached"]
        shut = cells["y", "shut"]
        assert shut["cause"] == "never_fulfilled" and shut["line"] == 1 + BARE.splitlines().index("          - { left: n, at_least: 6 }"), shut
        assert shut["why"] == "never fulfilled: requirement 2, n at least 6, was false for all values tried", shut
        assert {cells[state, "lift"]["cause"] for state in ("z", "ghost")} == {"not_reached", "no_path"}, cells
        assert all("line" not in cell for cell in cells.values() if cell is not shut), cells
        text = run(str(path))
        assert text.returncode == 0 and "all promises hold; 11 of 20 cells played" in text.stdout, text
        assert f"n at least 6, was false for all values tried ({path}:{shut['line']})" in text.stdout, text
        assert "never reached: no sequence of events leads to 'ghost'" in text.stdout and "9 of 20" in text.stdout, text
        assert proof("--length", "2", str(path))["never_reached"][0]["cause"] == "too_far"


def values_are_found_where_some_fit():
    """Without them the machine would be called unreachable: a sum, a range, a constant on the left, a column against a pointer."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "bare.yaml"
        path.write_text(BARE.replace("at_least: 6", "at_least: /data/floor").replace(", ghost: {}", ""))
        one = proof(str(path))
        assert one["never_reached"] == [] and one["cells_played"] == one["cells"] == 16, one["never_reached"]
        values = {event["event"]: event["values"] for event in one["events"]}
        path.write_text(BARE.replace("at_least: 6", "at_least: 2").replace(", ghost: {}", "").replace("left: n, at_least: 1", "left: -40, at_least: /data/depth"))
        assert proof(str(path))["never_reached"] == [], values


def always_the_same():
    assert run("--length", "5", ORDERS).stdout == run("--length", "5", ORDERS).stdout


def several_machines():
    lines = [json.loads(line) for line in run("-o", "jsonl", "--length", "2", *MACHINES).stdout.splitlines()]
    assert [line["machine"] for line in lines] == ["orders", "loans", "doors", "reviews"], lines
    assert isinstance(proof("--length", "2", *MACHINES), list)


def mistakes():
    for length in ("0", "13", "-1", "many", ""):
        result = run("--length", length, ORDERS)
        assert result.returncode == 2 and "from 1 to 12" in result.stderr, result
    assert run("nope.yaml").returncode == 2
    assert run("-o", "xml", ORDERS).returncode == 2


def too_far():
    """A machine of many parallel events: the default goes as far as there is room, a length that was asked for is a failure."""
    events = "".join(f"  e{i}: [ {{ from: s{i}, to: s{i + 1} }} ]\n" for i in range(20))
    states = ", ".join(f"s{i}: {{}}" for i in range(21))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "wide.yaml"
        path.write_text("machine: wide\nversion: 1\ntopics: [t]\nmessage: { format: cloudevents, entity: /data/e }\n"
                        "entity: { table: t, key: k, columns: { n: { type: integer, default: 0 } } }\n"
                        f"states: {{ {states} }}\nevents:\n  begin: [ {{ from: none, to: s0 }} ]\n{events}")
        wide = run(str(path))
        assert wide.returncode == 0 and "NOT further: 5 events lead to more than 2,000,000 configurations" in wide.stdout, wide
        assert "it needs at least 6 events" in wide.stdout, wide
        assert run("--length", "7", str(path)).returncode == 1


def integer(dice):
    return dice.choice(["/data/n", "/data/m", "a", "b", "5", "{ sum: [a, /data/n] }", "{ sum: [b, 1] }", "{ sum: [/data/n, /data/m] }"])


def text(dice):
    return dice.choice(["/data/t", "/data/u", "w", "{ const: qqq }"])


def requirement(dice):
    if dice.random() < 0.4:
        return f"{{ left: {dice.choice(['/data/t', '/data/u'])}, equals: {dice.choice(['w', '{ const: qqq }', '/data/u'])} }}"
    return f"{{ left: {integer(dice)}, {dice.choice(['equals', 'at_most', 'at_least'])}: {integer(dice)} }}"


def transition(dice, froms, states, tables):
    to = dice.choice(states) if froms == ["none"] or dice.random() < 0.7 else "same"
    parts = [f"from: [{', '.join(froms)}]", f"to: {to}"]
    if dice.random() < 0.4:
        parts.append(f"set: {{ b: {integer(dice)}, w: {text(dice)} }}")
    if dice.random() < 0.4:
        parts.append(f"add: {{ a: {integer(dice)} }}")
    if dice.random() < 0.5:
        parts.append(f"require: [ {', '.join(requirement(dice) for _ in range(dice.randint(1, 2)))} ]")
    rows = [f"{table}: {{ k: {dice.choice(['/data/k', '/data/l', '/data/t', '/data/e', '/id'])}, n: {integer(dice)}, w: {text(dice)} }}"
            for table in tables if dice.random() < 0.5]
    if rows:
        parts.append(f"record: {{ {', '.join(rows)} }}")
    return f"    - {{ {', '.join(parts)} }}\n"


def event(dice, number, states, tables):
    free = dice.sample([*states, "none"], len(states) + 1)
    if number == 0:
        free.sort(key=lambda state: state == "none")  # the first one always begins something
    lines = f"  e{number}:\n"
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        froms = [free.pop() for _ in range(min(len(free), dice.choice([1, 1, 2])))]
        if froms:
            lines += transition(dice, ["none"] if "none" in froms else froms, states, tables)
    return lines


def random_machine(dice):
    states = [f"s{i}" for i in range(dice.randint(1, 5))]
    tables = dice.sample(["r1", "r2"], dice.randint(0, 2))
    records = "".join(f"  {table}: {{ key: k, columns: {{ n: integer, w: text }} }}\n" for table in tables)
    return (f"machine: m\nversion: 1\ntopics: [t]\nmessage: {{ format: cloudevents, entity: {dice.choice(['/data/e', 'subject'])} }}\n"
            f"claim: {{ key: {dice.choice(['[source, id]', '[id, entity]', '[/data/k, type]', '[entity]'])}, "
            f"fingerprint: {dice.choice(['[type, /data]', '[type]', '[type, /data/n]'])} }}\n"
            f"entity: {{ table: tab, key: id, columns: {{ a: {{ type: integer, default: 0, max: {dice.choice([25, 1000])} }}, b: integer, "
            f"w: {{ type: text, {dice.choice(['length: 3', 'default: xx'])} }} }} }}\n"
            + (f"records:\n{records}" if tables else "") + f"states: {{ {', '.join(state + ': {}' for state in states)} }}\nevents:\n"
            + "".join(event(dice, number, states, tables) for number in range(dice.randint(1, 5)))
            + f"park: {{ per_entity: {dice.choice([1, 2, 32])} }}\n")


def random_machines():
    """The two readings of the contract agree on machines that nobody has thought of. Ambiguous cells are decided by the dice."""
    first = random.randrange(10**9) if os.environ.get("ONCEWARD_MORE") else 1
    proved = 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "random.yaml"
        for seed in range(first, first + (600 if os.environ.get("ONCEWARD_MORE") else 60)):
            dice = random.Random(seed)
            machine = random_machine(dice) + "overrides:\n"
            while True:
                path.write_text(machine if machine[-2] != ":" else machine[:-len("overrides:\n")])
                result = run("--length", "4", str(path))
                open_cell = re.search(r"overrides must decide (\{ state: \S+, event: \S+, do:)", result.stderr)
                if open_cell is None:
                    break
                machine += f"  - {open_cell.group(1)} {dice.choice(['stale', 'park', 'reject'])} }}\n"
            proved += result.returncode == 0
            assert result.returncode in (0, 2), f"seed {seed}: exit {result.returncode}\n{path.read_text()}\n{result.stdout}{result.stderr}"
    assert proved > 40, f"only {proved} of the machines can be loaded"


def in_seconds():
    """The default on the shipped machine; told here, and bounded loosely: other machines are slower, debug builds too."""
    start = time.monotonic()
    whole = proof(ORDERS)
    print(f"schemas/orders.yaml at 7: {time.monotonic() - start:.1f} s, {whole['configurations']} configurations, {whole['steps']} steps")
    assert whole["length"] == 7 and whole["ok"] and time.monotonic() - start < 120


def main():
    for test in (every_machine_of_the_tree_keeps_its_promises, sequences_are_counted_as_one_counts_them_by_hand, order_matters, for_people,
                 cells_that_were_not_played, values_are_found_where_some_fit,
                 always_the_same, several_machines, mistakes, too_far, random_machines, in_seconds):
        test()
    print("ok")


if __name__ == "__main__":
    sys.exit(main())
